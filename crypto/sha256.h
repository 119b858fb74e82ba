// SPDX-License-Identifier: MIT
// SHA-256 (FIPS 180-4), and of two messages at once: where the processor has instructions for it, two cost what one
// does, as each step of one waits for the step before. OpenSSL has no such function.
#ifndef HVFS_CRYPTO_SHA256_H
#define HVFS_CRYPTO_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { SHA256_SIZE = 32 };

// Of ${size} bytes.
void sha256(uint8_t ret[SHA256_SIZE], const void *bytes, size_t size);

// Of two messages, ${size} bytes each.
void sha256_two(uint8_t ret[2][SHA256_SIZE], const uint8_t *const bytes[2], size_t size);

// The same by OpenSSL, which the others use where they have no instructions of their own.
void sha256_openssl(uint8_t ret[SHA256_SIZE], const void *bytes, size_t size);

#endif
