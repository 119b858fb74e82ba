// SPDX-License-Identifier: MIT
// Numbers as they are signed and hashed: the highest byte first.
#ifndef HVFS_CRYPTO_BIG_ENDIAN_H
#define HVFS_CRYPTO_BIG_ENDIAN_H

#include <stddef.h>
#include <stdint.h>

// The lowest ${size} bytes of ${number}.
static inline void
big_endian_put(uint8_t *bytes, size_t size, uint64_t number)
{
	for (size_t i = size; i > 0; i--, number >>= 8)
		bytes[i - 1] = (uint8_t)number;
}

// ${size} bytes, 8 at the most.
static inline uint64_t
big_endian_get(const uint8_t *bytes, size_t size)
{
	uint64_t number = 0;

	for (size_t i = 0; i < size; i++)
		number = number << 8 | bytes[i];
	return number;
}

#endif
