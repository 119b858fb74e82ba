// SPDX-License-Identifier: MIT
#include "cache/sum.h"
#include "cache/little_endian.h"

#include <string.h>

#define PRIME1 UINT64_C(0x9e3779b185ebca87)
#define PRIME2 UINT64_C(0xc2b2ae3d27d4eb4f)
#define PRIME3 UINT64_C(0x165667b19e3779f9)
#define PRIME4 UINT64_C(0x85ebca77c2b2ae63)
#define PRIME5 UINT64_C(0x27d4eb2f165667c5)

static uint64_t
rotate(uint64_t value, int bits)
{
	return value << bits | value >> (64 - bits);
}

static uint64_t
take_in(uint64_t lane, uint64_t value)
{
	return rotate(lane + value * PRIME2, 31) * PRIME1;
}

// Four lanes of eight bytes each, which a processor works on side by side.
static uint64_t
stripes(const uint8_t *bytes, size_t size, uint64_t seed)
{
	uint64_t a = seed + PRIME1 + PRIME2, b = seed + PRIME2, c = seed, d = seed - PRIME1, h;

	for (; size >= 32; bytes += 32, size -= 32) {
		a = take_in(a, get64(bytes));
		b = take_in(b, get64(bytes + 8));
		c = take_in(c, get64(bytes + 16));
		d = take_in(d, get64(bytes + 24));
	}
	h = rotate(a, 1) + rotate(b, 7) + rotate(c, 12) + rotate(d, 18);
	h = (h ^ take_in(0, a)) * PRIME1 + PRIME4;
	h = (h ^ take_in(0, b)) * PRIME1 + PRIME4;
	h = (h ^ take_in(0, c)) * PRIME1 + PRIME4;
	return (h ^ take_in(0, d)) * PRIME1 + PRIME4;
}

uint64_t
sum64(const uint8_t *bytes, size_t size, uint64_t seed)
{
	const uint8_t *end = bytes + size;
	uint64_t h = size >= 32 ? stripes(bytes, size, seed) : seed + PRIME5;

	bytes += size & ~(size_t)31;
	h += size;
	for (; end - bytes >= 8; bytes += 8)
		h = rotate(h ^ take_in(0, get64(bytes)), 27) * PRIME1 + PRIME4;
	for (; end - bytes >= 4; bytes += 4)
		h = rotate(h ^ get32(bytes) * PRIME1, 23) * PRIME2 + PRIME3;
	for (; bytes < end; bytes++)
		h = rotate(h ^ *bytes * PRIME5, 11) * PRIME1;
	h = (h ^ h >> 33) * PRIME2;
	h = (h ^ h >> 29) * PRIME3;
	return h ^ h >> 32;
}
