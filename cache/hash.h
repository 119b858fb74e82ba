// SPDX-License-Identifier: MIT
// Hash functions that choose the group of a block, by name. Levels of a stack that lie next to each other use different
// ones, so that blocks that crowd one group of the one are spread over groups of the other (S27).
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

// The name of ${hash}, as users write it.
const char *hash_name(enum hash hash);

// The function called ${name}; false when there is none.
bool hash_by_name(const char *name, enum hash *ret_hash);

// The group of ${key} among ${group_count} (at least 1).
uint64_t hash_group(enum hash hash, block_key key, uint64_t group_count);

// 64 bits that depend on all bits of ${key}, each on each: for samples and fingerprints.
static inline uint64_t
hash_mix(block_key key)
{
	uint64_t h = key;

	h = (h ^ h >> 33) * UINT64_C(0xff51afd7ed558ccd);
	h = (h ^ h >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
	return h ^ h >> 33;
}

#endif
