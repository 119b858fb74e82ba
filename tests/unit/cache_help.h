// SPDX-License-Identifier: MIT
// A stack as the core uses it, for tests and benchmarks: what is missed is reported, put, and then got.
#ifndef HVFS_TESTS_UNIT_CACHE_HELP_H
#define HVFS_TESTS_UNIT_CACHE_HELP_H

#include "cache/stack.h"

enum { CACHE_BLOCK_SIZE = 512, CACHE_EVICTED_MAX = 1024 };

struct cache_fixture {
	struct buf_pool *pool;
	struct stack *stack;
	struct copies copies;
	block_key evicted[CACHE_EVICTED_MAX]; // the first of them
	uint64_t evicted_count;
};

// A level of ${blocks} blocks.
struct level_config cache_level(uint64_t blocks, uint32_t ways, enum hash hash, enum policy policy);

// A stack of ${count} ${levels}.
void cache_setup(struct cache_fixture *fix, const struct level_config *levels, uint32_t count);

// Everything that was put is given back.
void cache_teardown(struct cache_fixture *fix);

// A buffer with the bytes of ${key}, as the copy of it.
void cache_put(struct cache_fixture *fix, block_key key, bool dirty);

// Whether ${key} is there, with its bytes.
bool cache_get(struct cache_fixture *fix, block_key key);

// ${key} is read as the core reads it. True: it was there.
bool cache_read(struct cache_fixture *fix, block_key key);

// The hit ratio of one level on a trace of ${length} blocks. ${writes}: NULL, or which of them are writes, which are
// neither hit nor miss.
double cache_hit_ratio(const uint64_t *trace, const bool *writes, uint64_t length, uint64_t blocks, uint32_t ways,
		       enum policy policy);

// ${key} is written, and is clean after that.
void cache_write(struct cache_fixture *fix, block_key key);

// The statistics of the level at ${position}, of all.
struct stack_level_stats cache_level_stats(const struct cache_fixture *fix, uint32_t position);
struct stack_stats cache_stats(const struct cache_fixture *fix);

#endif
