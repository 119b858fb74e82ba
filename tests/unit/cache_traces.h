// SPDX-License-Identifier: MIT
// Traces of block accesses, always the same, on which policies and estimates are compared.
#ifndef HVFS_TESTS_UNIT_CACHE_TRACES_H
#define HVFS_TESTS_UNIT_CACHE_TRACES_H

#include "core/types.h"

enum trace {
	TRACE_ZIPF_07,        // skewed accesses to ten times as many blocks as the cache has room for: exponent 0.7,
	TRACE_ZIPF_09,        // 0.9,
	TRACE_ZIPF_12,        // 1.2
	TRACE_ZIPF_SCAN,      // zipf 0.9 with bursts of a scan of new blocks
	TRACE_ZIPF_SCAN_HALF, // every other access is of a scan
	TRACE_HOT_SCAN,       // a hot set of half the cache's size, rarely used among scans
	TRACE_ZIPF_LOOP,      // zipf with every fourth access of a loop over twice the cache
	TRACE_LOOP_LARGE,     // round and round 5/4 of the cache
	TRACE_LOOP_SMALL,     // round and round 3/4
	TRACE_PHASES,         // a hot set of half the cache, another one every now and then
	TRACE_WINDOW,         // a window of 4/5 of the cache that slides on
	TRACE_UNIFORM,        // any of twice the cache
	TRACE_REUSE,          // exponential reuse distances: what LRU is best at
	TRACE_DRIFT,          // zipf whose hottest blocks change
	TRACE_ZIPF_11,        // zipf 1.1
	TRACE_COUNT
};

// The name of ${trace}.
const char *trace_name(enum trace trace);

// ${trace} for a cache of ${blocks}: ${length} block numbers, to be given back with free().
uint64_t *trace_make(enum trace trace, uint64_t blocks, uint64_t length);

// A trace that was recorded (tests/bench/record_trace).
struct recorded {
	uint64_t *blocks;
	bool *writes; // as many: whether the block was written
	uint64_t length;
	uint64_t different; // blocks
};

// The one in the file at ${path}. Stops the process when it can not be read.
void recorded_load(struct recorded *recorded, const char *path);
void recorded_fini(struct recorded *recorded);

#endif
