// SPDX-License-Identifier: MIT
// What a hit in the first level costs when there is a second one: ratios of one run, turns taken in alternation, the
// best of each counts. The first level is full and all that is used is in it.
#include "tests/sim/rng.h"
#include "tests/unit/cache_help.h"

#include <stdio.h>
#include <time.h>

enum { BLOCKS = 8192, USED = BLOCKS / 4, HITS = 200000, TURNS = 100 };

static double
now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

// Nanoseconds for a hit, at random.
static double
turn(struct cache_fixture *fix)
{
	struct rng rng = {.state = 1};
	uintptr_t sum = 0;
	double start = now();

	for (int i = 0; i < HITS; i++)
		sum += (uintptr_t)fix->copies.ops->get(fix->copies.self, rng_below(&rng, USED));
	return sum != 0 ? (now() - start) / HITS * 1e9 : 0;
}

static void
setup(struct cache_fixture *fix, enum policy policy, uint32_t levels)
{
	const struct level_config level = cache_level(BLOCKS, 0, HASH_ANY, policy);
	const struct level_config all[] = {level, level, level, level};

	cache_setup(fix, all, levels);
	for (block_key key = 0; key < (block_key)BLOCKS * 4;
	     key++) // all levels are full, and all stacks have seen as much
		cache_read(fix, BLOCKS * 16 + key);
	for (int n = 0; n < 8; n++)
		for (block_key key = 0; key < USED; key++)
			cache_read(fix, key);
}

int
main(void)
{
	enum { LEVELS = 3 };
	const uint32_t counts[LEVELS] = {1, 2, 4};

	for (int policy = 0; policy < POLICY_COUNT; policy++) {
		struct cache_fixture fix[LEVELS];
		double best[LEVELS] = {1e9, 1e9, 1e9};
		uint64_t hits[LEVELS];

		for (int i = 0; i < LEVELS; i++) {
			setup(&fix[i], (enum policy)policy, counts[i]);
			hits[i] = cache_level_stats(&fix[i], 0).hits;
		}
		for (int n = 0; n < TURNS; n++)
			for (int i = 0; i < LEVELS; i++) {
				double time = turn(&fix[i]);

				best[i] = time < best[i] ? time : best[i];
			}
		printf("%-9s hit %.1f ns; with two levels %.3f, four %.3f of that", policy_name((enum policy)policy),
		       best[0], best[1] / best[0], best[2] / best[0]);
		printf(" (in the first: %.4f)\n",
		       (double)(cache_level_stats(&fix[1], 0).hits - hits[1]) / HITS / TURNS);
		for (int i = 0; i < LEVELS; i++)
			cache_teardown(&fix[i]);
	}
	return 0;
}
