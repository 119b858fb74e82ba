// SPDX-License-Identifier: MIT
// Hash functions that choose the group of a block, by name. Levels of a stack that lie next to each other use different
// ones, so that blocks that crowd one group of the one are spread over groups of the other (S27).
//
// The hash is a number of 64 bits; a multiplication maps it to a group by its high bits, which is cheaper than a
// division and needs no power of two. Only "modulo" uses the low bits, as its name says. All is inline: each lookup
// begins here.
#ifndef HVFS_CACHE_HASH_H
#define HVFS_CACHE_HASH_H

#include "core/types.h"

enum hash {
	HASH_ANY,        // whichever suits: the stack takes one that the neighbouring levels do not use
	HASH_NEIGHBOURS, // 16 neighbouring blocks get groups side by side, the sixteens are spread
	HASH_XXH,        // XXH64 of the key's eight bytes
	HASH_MURMUR,     // the finalizer of MurmurHash3
	HASH_FIBONACCI,  // one multiplication by the golden ratio, the high bits choose
	HASH_MODULO,     // the low-order bits: the seed's own example
	HASH_COUNT
};

#define HASH_GOLDEN_RATIO UINT64_C(0x9e3779b97f4a7c15)

// The name of ${hash}, as users write it.
const char *hash_name(enum hash hash);

// The function called ${name}; false when there is none.
bool hash_by_name(const char *name, enum hash *ret_hash);

// 64 bits that depend on all bits of ${key}, each on each: for samples and fingerprints.
static inline uint64_t
hash_mix(block_key key)
{
	uint64_t h = key;

	h = (h ^ h >> 33) * UINT64_C(0xff51afd7ed558ccd);
	h = (h ^ h >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
	return h ^ h >> 33;
}

static inline uint64_t
hash_rotate(uint64_t value, int bits)
{
	return value << bits | value >> (64 - bits);
}

static inline uint64_t
hash_xxh(block_key key)
{
	const uint64_t prime1 = UINT64_C(0x9e3779b185ebca87), prime2 = UINT64_C(0xc2b2ae3d27d4eb4f);
	const uint64_t prime3 = UINT64_C(0x165667b19e3779f9), prime4 = UINT64_C(0x85ebca77c2b2ae63);
	const uint64_t prime5 = UINT64_C(0x27d4eb2f165667c5);
	uint64_t h = prime5 + sizeof(key);

	h ^= hash_rotate(key * prime2, 31) * prime1;
	h = hash_rotate(h, 27) * prime1 + prime4;
	h = (h ^ h >> 33) * prime2;
	h = (h ^ h >> 29) * prime3;
	return h ^ h >> 32;
}

static inline uint64_t
hash_scale(uint64_t hash, uint64_t group_count)
{
	return (uint64_t)(((__uint128_t)hash * group_count) >> 64);
}

// Sixteen neighbours are close in memory, and never all in one group.
static inline uint64_t
hash_neighbours(block_key key, uint64_t group_count)
{
	uint64_t group = hash_scale((key / 16 + 1) * HASH_GOLDEN_RATIO, group_count) + key % 16;

	while (group >= group_count)
		group -= group_count;
	return group;
}

// The group of ${key} among ${group_count} (at least 1). Not HASH_ANY.
static inline uint64_t
hash_group(enum hash hash, block_key key, uint64_t group_count)
{
	switch (hash) {
	case HASH_NEIGHBOURS:
		return hash_neighbours(key, group_count);
	case HASH_XXH:
		return hash_scale(hash_xxh(key), group_count);
	case HASH_MURMUR:
		return hash_scale(hash_mix(key), group_count);
	case HASH_FIBONACCI:
		return hash_scale((key + 1) * HASH_GOLDEN_RATIO, group_count);
	default:
		return key % group_count;
	}
}

#endif
