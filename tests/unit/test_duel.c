// SPDX-License-Identifier: MIT
#include "cache/duel.h"
#include "tests/sim/rng.h"

#include <check.h>
#include <stdlib.h>

enum { WAYS = 8, GROUPS = 4 };

// ${key} is looked for in a table that never has it, and then brought.
static void
access(struct duel *duel, uint64_t group, block_key key)
{
	struct slot slot = {.tag = key + 1};

	duel_miss(duel, group, key);
	duel_insert(duel, group, &slot);
}

// Round and round a little more than there is room for: LRU never hits. Then a window that slides on: S3-FIFO goes on
// keeping what was hot before.
START_TEST(test_follows_the_better)
{
	struct duel *duel = duel_create(GROUPS, WAYS, true);
	struct rng rng = {.state = 1};

	ck_assert_int_eq(duel_winner(duel), POLICY_LRU);
	for (int n = 0; n < 200; n++)
		for (block_key key = 0; key < WAYS + 2; key++)
			access(duel, 0, key);
	ck_assert_int_eq(duel_winner(duel), POLICY_S3FIFO);
	for (uint64_t n = 0; n < 10000; n++)
		access(duel, 0, 100 + n / 10 + rng_below(&rng, WAYS - 2));
	ck_assert_int_eq(duel_winner(duel), POLICY_LRU);
	duel_destroy(duel);
}
END_TEST

// Both are as good: nothing changes.
START_TEST(test_a_draw_is_for_lru)
{
	struct duel *duel = duel_create(GROUPS, WAYS, true);
	struct rng rng = {.state = 1};

	for (uint64_t n = 0; n < 100000; n++) {
		access(duel, n % GROUPS, rng_below(&rng, (uint64_t)2 * WAYS));
		ck_assert_int_eq(duel_winner(duel), POLICY_LRU);
	}
	duel_destroy(duel);
}
END_TEST

// All groups of a small table are in the sample, some of a large one; none shares its memory with another.
START_TEST(test_sample)
{
	const uint64_t counts[] = {1, 2, 127, 128, 129, 1000, 1 << 20};

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		struct duel *duel = duel_create(counts[i], WAYS, true);
		uint64_t sampled = 0;

		for (uint64_t group = 0; group < counts[i]; group++)
			if (duel_has(duel, group)) {
				sampled++;
				access(duel, group, group);
			}
		ck_assert_uint_ge(sampled, counts[i] < 64 ? counts[i] : 64);
		ck_assert_uint_le(sampled, 128);
		ck_assert_uint_le(duel_bytes(duel), 128 * WAYS * 34 + 256);
		duel_destroy(duel);
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("duel");
	TCase *all = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_set_timeout(all, 60);
	tcase_add_test(all, test_follows_the_better);
	tcase_add_test(all, test_a_draw_is_for_lru);
	tcase_add_test(all, test_sample);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
