// SPDX-License-Identifier: MIT
// The hit ratios of the replacement policies on traces that are always the same, one level of 32768 blocks.
#include "tests/unit/cache_help.h"
#include "tests/unit/cache_traces.h"

#include <stdio.h>
#include <stdlib.h>

enum { BLOCKS = 32768, TRACE_LENGTH = 40 * BLOCKS };

static double
hit_ratio(const uint64_t *trace, uint32_t ways, enum policy policy)
{
	struct level_config level = cache_level(BLOCKS, ways, HASH_MURMUR, policy);
	struct cache_fixture fix;
	uint64_t hits = 0;

	cache_setup(&fix, &level, 1);
	for (uint64_t i = 0; i < TRACE_LENGTH; i++)
		hits += cache_read(&fix, trace[i]);
	cache_teardown(&fix);
	return (double)hits / TRACE_LENGTH;
}

int
main(void)
{
	printf("%-22s", "hit ratio, 8 ways");
	for (int policy = 0; policy < POLICY_COUNT; policy++)
		printf("%10s", policy_name((enum policy)policy));
	printf("%15s%15s\n", "lru, 16 ways", "adaptive, 16");
	for (int i = 0; i < TRACE_COUNT; i++) {
		uint64_t *trace = trace_make((enum trace)i, BLOCKS, TRACE_LENGTH);

		printf("%-22s", trace_name((enum trace)i));
		for (int policy = 0; policy < POLICY_COUNT; policy++)
			printf("%10.4f", hit_ratio(trace, 8, (enum policy)policy));
		printf("%15.4f%15.4f\n", hit_ratio(trace, 16, POLICY_LRU), hit_ratio(trace, 16, POLICY_ADAPTIVE));
		free(trace);
	}
	return 0;
}
