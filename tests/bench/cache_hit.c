// SPDX-License-Identifier: MIT
// What the stack costs: a hit in the first level when there are others below it, putting a block that is there, and a
// new one, for which others have to go down, and out. Ratios of one run, turns taken in alternation, the best of each
// counts. All levels are full, and what is hit is in the first.
#include "tests/sim/rng.h"
#include "tests/unit/cache_help.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

enum { BLOCKS = 65536, USED = 2048, HITS = 20000, HIT_TURNS = 10, PUTS = 20000, TURNS = 40 };

enum { HIT, PUT_AGAIN, PUT_NEW, KIND_COUNT };

static const char *const kind_names[KIND_COUNT] = {"hit", "put", "put, new"};

static double
now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

// Nanoseconds for a hit, at random.
static double
turn_hit(struct cache_fixture *fix)
{
	struct rng rng = {.state = 1};
	uintptr_t sum = 0;
	double start = now();

	for (int i = 0; i < HITS; i++)
		sum += (uintptr_t)fix->copies.ops->get(fix->copies.self, rng_next(&rng) % USED);
	return sum != 0 ? (now() - start) / HITS * 1e9 : 0;
}

// Nanoseconds for putting one of the blocks that are hit, at random, or one after the other from ${first} on.
static double
turn_put(struct cache_fixture *fix, block_key first)
{
	struct rng rng = {.state = 1};
	double start = now();

	for (block_key i = 0; i < PUTS; i++)
		cache_put(fix, first != 0 ? first + i : rng_next(&rng) % USED, false);
	return (now() - start) / PUTS * 1e9;
}

// The blocks that are hit are in the first level.
static void
warm(struct cache_fixture *fix)
{
	for (int n = 0; n < 4; n++)
		for (block_key key = 0; key < USED; key++)
			cache_read(fix, key);
}

static void
setup(struct cache_fixture *fix, enum policy policy, uint32_t levels)
{
	const struct level_config level = cache_level(BLOCKS, 0, HASH_ANY, policy);
	const struct level_config all[] = {level, level, level, level};

	cache_setup(fix, all, levels);
	for (block_key key = 0; key < (block_key)BLOCKS * 8; key++) // all levels are full, all stacks have seen as much
		cache_read(fix, BLOCKS * 16 + key);
}

enum { LEVELS = 3 };
static const uint32_t level_counts[LEVELS] = {1, 2, 4};

static void
measure(struct cache_fixture *fix, double best[KIND_COUNT][LEVELS], double *ret_first)
{
	uint64_t hits = 0;

	for (int n = 0; n < TURNS; n++) {
		for (int i = 0; i < LEVELS; i++) {
			block_key first = (block_key)BLOCKS * 32 + (block_key)n * PUTS;
			uint64_t before;
			double times[KIND_COUNT];

			warm(&fix[i]);
			before = cache_level_stats(&fix[i], 0).hits;
			times[HIT] = turn_hit(&fix[i]);
			for (int k = 1; k < HIT_TURNS; k++)
				times[HIT] = fmin(times[HIT], turn_hit(&fix[i]));
			hits += i == 1 ? cache_level_stats(&fix[i], 0).hits - before : 0;
			times[PUT_AGAIN] = turn_put(&fix[i], 0);
			times[PUT_NEW] = turn_put(&fix[i], first);
			for (int kind = 0; kind < KIND_COUNT; kind++)
				best[kind][i] = fmin(times[kind], best[kind][i]);
		}
	}
	*ret_first = (double)hits / HITS / HIT_TURNS / TURNS;
}

int
main(void)
{
	for (int policy = 0; policy < POLICY_COUNT; policy++) {
		struct cache_fixture fix[LEVELS];
		double best[KIND_COUNT][LEVELS], first;

		for (int i = 0; i < LEVELS; i++)
			setup(&fix[i], (enum policy)policy, level_counts[i]);
		for (int i = 0; i < KIND_COUNT * LEVELS; i++)
			best[i / LEVELS][i % LEVELS] = 1e9;
		measure(fix, best, &first);
		for (int kind = 0; kind < KIND_COUNT; kind++)
			printf("%-9s %-9s %6.1f ns; with two levels %.3f, four %.3f of that\n", policy_name((enum policy)policy),
			       kind_names[kind], best[kind][0], best[kind][1] / best[kind][0],
			       best[kind][2] / best[kind][0]);
		printf("%-9s with two levels %.4f of the hits are in the first\n", policy_name((enum policy)policy), first);
		for (int i = 0; i < LEVELS; i++)
			cache_teardown(&fix[i]);
	}
	return 0;
}
