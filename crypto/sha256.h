// SPDX-License-Identifier: MIT
// SHA-256 (FIPS 180-4), by OpenSSL; of many things at once by lanes of the processor, where crypto/multi_buffer.h has them.
#ifndef HVFS_CRYPTO_SHA256_H
#define HVFS_CRYPTO_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { SHA256_SIZE = 32 };

struct sha256_task {
	const void *bytes;
	size_t size;
	uint8_t *ret; // SHA256_SIZE
};

// Of ${size} bytes.
void sha256(uint8_t ret[SHA256_SIZE], const void *bytes, size_t size);

// The same, ${count} times. It is fastest when there are many of one size. Nothing that is returned is read by another task.
void sha256_all(const struct sha256_task *tasks, size_t count);

#endif
