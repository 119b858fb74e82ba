// SPDX-License-Identifier: MIT
// SHA-256 (FIPS 180-4), by OpenSSL.
#ifndef HVFS_CRYPTO_SHA256_H
#define HVFS_CRYPTO_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { SHA256_SIZE = 32 };

// Of ${size} bytes.
void sha256(uint8_t ret[SHA256_SIZE], const void *bytes, size_t size);

#endif
