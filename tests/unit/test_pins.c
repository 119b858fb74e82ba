// SPDX-License-Identifier: MIT
#include "cache/pins.h"
#include "tests/sim/rng.h"

#include <check.h>
#include <stdlib.h>

enum { KEYS = 64 };

// Ranges that overlap are pinned as often as somebody pinned them.
START_TEST(test_counts)
{
	struct pins pins = {0};

	ck_assert(pins_add(&pins, 10, 20));
	ck_assert(pins_add(&pins, 15, 30));
	ck_assert_uint_eq(pins.blocks, 20);
	ck_assert_uint_eq(pins.count, 3); // 10-15 once, 15-20 twice, 20-30 once
	ck_assert(!pins_has(&pins, 9) && pins_has(&pins, 10) && pins_has(&pins, 29) && !pins_has(&pins, 30));
	ck_assert(pins_remove(&pins, 10, 20));
	ck_assert(!pins_has(&pins, 14) && pins_has(&pins, 15));
	ck_assert_uint_eq(pins.count, 1);
	ck_assert(!pins_remove(&pins, 10, 20));
	ck_assert(pins_remove(&pins, 15, 30));
	ck_assert_uint_eq(pins.blocks, 0);
	ck_assert_uint_eq(pins.count, 0);
	pins_fini(&pins);
}
END_TEST

// Against an array with a count for each block.
START_TEST(test_random)
{
	struct rng rng = {.state = 1};
	struct pins pins = {0};
	int model[KEYS] = {0};

	for (int step = 0; step < 5000; step++) {
		block_key first = rng_below(&rng, KEYS), end = rng_between(&rng, first + 1, KEYS);
		bool add = rng_chance(&rng, 50), possible = true;
		uint64_t blocks = 0;
		bool same = true;

		for (block_key i = first; i < end; i++)
			possible &= add || model[i] > 0;
		ck_assert_int_eq(add ? pins_add(&pins, first, end) : pins_remove(&pins, first, end), possible);
		for (block_key i = first; possible && i < end; i++)
			model[i] += add ? 1 : -1;
		for (block_key i = 0; i < KEYS; i++) {
			same &= pins_has(&pins, i) == (model[i] > 0);
			blocks += model[i] > 0;
		}
		ck_assert(same);
		ck_assert_uint_eq(pins.blocks, blocks);
	}
	pins_fini(&pins);
}
END_TEST

// Many ranges are refused, and nothing is changed by that.
START_TEST(test_ranges_are_bounded)
{
	struct pins pins = {0};
	block_key i = 0;

	while (pins_add(&pins, 2 * i, 2 * i + 1))
		i++;
	ck_assert_uint_ge(i, PINS_RANGES_MAX / 2);
	ck_assert_uint_eq(pins.blocks, i);
	ck_assert(!pins_has(&pins, 2 * i));
	ck_assert(!pins_remove(&pins, 0, 2));
	pins_fini(&pins);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("pins");
	TCase *all = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_test(all, test_counts);
	tcase_add_test(all, test_random);
	tcase_add_test(all, test_ranges_are_bounded);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
