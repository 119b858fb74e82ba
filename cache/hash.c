// SPDX-License-Identifier: MIT
// The hash is a number of 64 bits; a multiplication maps it to a group by its high bits, which is cheaper than a
// division and needs no power of two. Only "modulo" uses the low bits, as its name says.
#include "cache/hash.h"
#include "core/check.h"

#include <string.h>

enum { NEIGHBOURS = 16 };

#define GOLDEN_RATIO UINT64_C(0x9e3779b97f4a7c15)

static const char *const names[HASH_COUNT] = {
	[HASH_ANY] = "any",       [HASH_NEIGHBOURS] = "neighbours", [HASH_XXH] = "xxh",
	[HASH_MURMUR] = "murmur", [HASH_FIBONACCI] = "fibonacci",   [HASH_MODULO] = "modulo",
};

const char *
hash_name(enum hash hash)
{
	CHECK(hash < HASH_COUNT);
	return names[hash];
}

bool
hash_by_name(const char *name, enum hash *ret_hash)
{
	for (int i = 0; i < HASH_COUNT; i++)
		if (strcmp(name, names[i]) == 0) {
			*ret_hash = (enum hash)i;
			return true;
		}
	return false;
}

static uint64_t
rotate(uint64_t value, int bits)
{
	return value << bits | value >> (64 - bits);
}

static uint64_t
xxh(uint64_t key)
{
	const uint64_t prime1 = UINT64_C(0x9e3779b185ebca87), prime2 = UINT64_C(0xc2b2ae3d27d4eb4f);
	const uint64_t prime3 = UINT64_C(0x165667b19e3779f9), prime4 = UINT64_C(0x85ebca77c2b2ae63);
	const uint64_t prime5 = UINT64_C(0x27d4eb2f165667c5);
	uint64_t h = prime5 + sizeof(key);

	h ^= rotate(key * prime2, 31) * prime1;
	h = rotate(h, 27) * prime1 + prime4;
	h = (h ^ h >> 33) * prime2;
	h = (h ^ h >> 29) * prime3;
	return h ^ h >> 32;
}

static uint64_t
scale(uint64_t hash, uint64_t group_count)
{
	return (uint64_t)(((__uint128_t)hash * group_count) >> 64);
}

// Sixteen neighbours are close in memory, and never all in one group.
static uint64_t
neighbours(block_key key, uint64_t group_count)
{
	uint64_t group = scale((key / NEIGHBOURS + 1) * GOLDEN_RATIO, group_count) + key % NEIGHBOURS;

	while (group >= group_count)
		group -= group_count;
	return group;
}

uint64_t
hash_group(enum hash hash, block_key key, uint64_t group_count)
{
	switch (hash) {
	case HASH_NEIGHBOURS:
		return neighbours(key, group_count);
	case HASH_XXH:
		return scale(xxh(key), group_count);
	case HASH_MURMUR:
		return scale(hash_mix(key), group_count);
	case HASH_FIBONACCI:
		return scale((key + 1) * GOLDEN_RATIO, group_count);
	case HASH_MODULO:
		return key % group_count;
	case HASH_ANY:
	case HASH_COUNT:
		break;
	}
	CHECK(false);
	return 0;
}
