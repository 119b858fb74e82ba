// SPDX-License-Identifier: MIT
// How long requests take: a histogram with eight buckets to each power of two, so that a quantile is an eighth too large
// at most.
#ifndef HVFS_NODE_LATENCY_H
#define HVFS_NODE_LATENCY_H

#include <stdint.h>

enum {
	LATENCY_PART_BITS = 3,
	LATENCY_PARTS = 1 << LATENCY_PART_BITS,
	LATENCY_BITS_MAX = 32, // what takes longer than 2^32 us, more than an hour, counts as that
	LATENCY_BUCKETS = (LATENCY_BITS_MAX - LATENCY_PART_BITS + 1) * LATENCY_PARTS,
};

struct latency {
	uint64_t count, sum_us, max_us;
	uint64_t buckets[LATENCY_BUCKETS];
};

// The bucket of ${us}.
static inline uint32_t
latency_bucket(uint64_t us)
{
	uint32_t exponent;

	if (us < LATENCY_PARTS)
		return (uint32_t)us;
	if (us >> LATENCY_BITS_MAX != 0)
		return LATENCY_BUCKETS - 1;
	exponent = 63 - (uint32_t)__builtin_clzll(us);
	return (exponent - LATENCY_PART_BITS + 1) * LATENCY_PARTS +
	       (uint32_t)(us >> (exponent - LATENCY_PART_BITS) & (LATENCY_PARTS - 1));
}

// One more has taken ${us}.
static inline void
latency_add(struct latency *latency, uint64_t us)
{
	latency->count++;
	latency->sum_us += us;
	latency->max_us = us > latency->max_us ? us : latency->max_us;
	latency->buckets[latency_bucket(us)]++;
}

// The most that belongs to ${bucket}.
uint64_t latency_bucket_max(uint32_t bucket);

// So many microseconds at most did the share ${quantile} (0 to 1) of all take; 0 when there was none.
uint64_t latency_quantile(const struct latency *latency, double quantile);

#endif
