// SPDX-License-Identifier: MIT
#include "cache/advise.h"
#include "tests/unit/cache_help.h"
#include "tests/unit/cache_traces.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

enum { BLOCKS = 32768, LENGTH = 20 * BLOCKS, SIZES = 6 };

static const uint64_t sizes[SIZES] = {BLOCKS / 4, BLOCKS / 2, BLOCKS, 2 * BLOCKS, 4 * BLOCKS, 8 * BLOCKS};

struct access {
	uint64_t block, time;
};

static int
by_block_and_time(const void *a, const void *b)
{
	const struct access *x = a, *y = b;

	if (x->block != y->block)
		return x->block < y->block ? -1 : 1;
	return x->time < y->time ? -1 : x->time > y->time;
}

// For each access 1 + the time of the one before to the same block; 0: none.
static uint64_t *
find_previous(const uint64_t *trace)
{
	struct access *accesses = calloc(LENGTH, sizeof(*accesses));
	uint64_t *previous = calloc(LENGTH, sizeof(*previous));

	for (uint64_t i = 0; i < LENGTH; i++)
		accesses[i] = (struct access){.block = trace[i], .time = i};
	qsort(accesses, LENGTH, sizeof(*accesses), by_block_and_time);
	for (uint64_t i = 1; i < LENGTH; i++)
		if (accesses[i].block == accesses[i - 1].block)
			previous[accesses[i].time] = accesses[i - 1].time + 1;
	free(accesses);
	return previous;
}

static void
sums_add(int *sums, uint64_t time, int change)
{
	for (; time <= LENGTH; time += time & -time)
		sums[time] += change;
}

static int
sums_up_to(const int *sums, uint64_t time)
{
	int sum = 0;

	for (; time > 0; time -= time & -time)
		sum += sums[time];
	return sum;
}

// LRU as it is: every distance, by counting the different blocks that were used since.
static void
lru_exactly(const uint64_t *trace, double ratios[SIZES])
{
	uint64_t *previous = find_previous(trace), hits[SIZES] = {0};
	int *sums = calloc(LENGTH + 1, sizeof(*sums));
	int blocks = 0;

	for (uint64_t i = 0; i < LENGTH; i++) {
		if (previous[i] != 0) {
			int distance = blocks - sums_up_to(sums, previous[i]);

			for (int s = 0; s < SIZES; s++)
				hits[s] += (uint64_t)distance < sizes[s];
			sums_add(sums, previous[i], -1);
		} else {
			blocks++;
		}
		sums_add(sums, i + 1, 1);
	}
	for (int s = 0; s < SIZES; s++)
		ratios[s] = (double)hits[s] / LENGTH;
	free(sums);
	free(previous);
}

// From 8192 blocks in the sample the estimate is within three hundredths of LRU's hit ratio, at a quarter of the size
// to eight times as much, on each trace.
START_TEST(test_against_exact_lru)
{
	uint64_t *trace = trace_make((enum trace)_i, BLOCKS, LENGTH);
	struct advise *advise = advise_create(BLOCKS * 4);
	double ratios[SIZES], worst = 0;

	lru_exactly(trace, ratios);
	for (uint64_t i = 0; i < LENGTH; i++)
		advise_use(advise, trace[i]);
	for (int s = 0; s < SIZES; s++) {
		double error = fabs(advise_hit_ratio(advise, sizes[s]) - ratios[s]);

		worst = error > worst ? error : worst;
	}
	ck_assert_double_le(worst, 0.03);
	advise_destroy(advise);
	free(trace);
}
END_TEST

// When all blocks fit the sample nothing is estimated: round and round ten blocks needs room for ten.
START_TEST(test_few_blocks_are_exact)
{
	struct advise *advise = advise_create(100);

	for (int i = 0; i < 100000; i++)
		advise_use(advise, (block_key)i % 10);
	ck_assert_double_eq_tol(advise_hit_ratio(advise, 9), 0, 0.0005);
	ck_assert_double_eq_tol(advise_hit_ratio(advise, 10), 1, 0.0005);
	advise_destroy(advise);
}
END_TEST

// What was long ago counts less and less.
START_TEST(test_follows)
{
	struct advise *advise = advise_create(100);

	for (block_key i = 0; i < 2000000; i++)
		advise_use(advise, i % 100000); // round and round: no hits in a small cache
	ck_assert_double_le(advise_hit_ratio(advise, 4000), 0.01);
	for (block_key i = 0; i < 4000000; i++)
		advise_use(advise, (UINT64_C(1) << 40) + i % 1000);
	ck_assert_double_ge(advise_hit_ratio(advise, 4000), 0.85); // of all that ever was it would be two thirds
	advise_destroy(advise);
}
END_TEST

// Through the stack, used as the core uses it: what was missed is put and then got, which is one use. A group is no
// whole cache, and the estimate is of a whole one: a little more.
START_TEST(test_of_a_stack)
{
	struct level_config level = cache_level(BLOCKS, 16, HASH_MURMUR, POLICY_LRU);
	uint64_t *trace = trace_make(TRACE_ZIPF_09, BLOCKS, LENGTH), hits = 0;
	struct cache_fixture fix;

	cache_setup(&fix, &level, 1);
	for (uint64_t i = 0; i < LENGTH; i++)
		hits += cache_read(&fix, trace[i]);
	ck_assert_double_eq_tol(stack_advise(fix.stack, level.size), (double)hits / LENGTH, 0.03);
	ck_assert_double_ge(stack_advise(fix.stack, 4 * level.size), stack_advise(fix.stack, level.size) + 0.05);
	cache_teardown(&fix);
	free(trace);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("advise");
	TCase *all = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_set_timeout(all, 60);
	tcase_add_test(all, test_few_blocks_are_exact);
	tcase_add_test(all, test_follows);
	tcase_add_test(all, test_of_a_stack);
	tcase_add_loop_test(all, test_against_exact_lru, 0, TRACE_COUNT);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
