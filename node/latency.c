// SPDX-License-Identifier: MIT
#include "node/latency.h"

uint64_t
latency_bucket_max(uint32_t bucket)
{
	uint32_t shift;

	if (bucket < LATENCY_PARTS)
		return bucket;
	shift = bucket / LATENCY_PARTS - 1;
	return (((uint64_t)LATENCY_PARTS + bucket % LATENCY_PARTS + 1) << shift) - 1;
}

uint64_t
latency_quantile(const struct latency *latency, double quantile)
{
	double rank = quantile * (double)latency->count;
	uint64_t below = 0, max;

	for (uint32_t i = 0; i < LATENCY_BUCKETS; i++) {
		below += latency->buckets[i];
		if (below == 0 || (double)below < rank)
			continue;
		max = latency_bucket_max(i);
		return max < latency->max_us ? max : latency->max_us;
	}
	return latency->max_us;
}
