// SPDX-License-Identifier: MIT
// One set-associative cache of blocks in memory (S26): groups of ways, a hash chooses the group, LRU within the group,
// a special tag for an empty entry. What does not fit because a group is full of dirty blocks waits in a victim list
// outside the pre-allocated space (S28) until it is clean.
#ifndef HVFS_CACHE_SET_CACHE_H
#define HVFS_CACHE_SET_CACHE_H

#include "core/copies.h"

struct set_cache;

struct set_cache_stats {
	uint64_t size;    // bytes configured
	uint64_t used;    // bytes of data of the copies in it (zero blocks count nothing)
	uint64_t entries; // copies in it
	uint64_t victims; // copies beyond the pre-allocated space
	uint64_t hits, misses, evictions;
};

// A cache of ${size} bytes of data in blocks of ${block_size}, ${ways} to a group (0: default). Never NULL.
struct set_cache *set_cache_create(uint64_t size, uint32_t block_size, uint32_t ways);
void set_cache_destroy(struct set_cache *cache);

// As the core sees it.
struct copies set_cache_copies(struct set_cache *cache);

// What it holds and how it was used since it was made.
void set_cache_get_stats(const struct set_cache *cache, struct set_cache_stats *ret);

#endif
