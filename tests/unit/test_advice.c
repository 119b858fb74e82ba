// SPDX-License-Identifier: MIT
// Which size is advised for which curve.
#include "node/advice.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { POINTS = 7, NOW = 3 };

static char text[ADVICE_TEXT_SIZE];

// 1M, 2M, 3M, now 4M, 8M, 16M and 32M serve these shares.
static uint64_t
advise_for(const double ratios[POINTS], double uses, uint64_t size_max)
{
	static const uint64_t sizes[POINTS] = {1, 2, 3, 4, 8, 16, 32};
	struct advice_point points[POINTS];
	struct advice_curve curve = {.points = points, .count = POINTS, .now = NOW, .size_max = size_max, .uses = uses};

	for (int i = 0; i < POINTS; i++)
		points[i] = (struct advice_point){.size = sizes[i] << 20, .hit_ratio = ratios[i]};
	return advice_give(&curve, text) >> 20;
}

#define ADVISE(...) advise_for((const double[POINTS]){__VA_ARGS__}, 1e6, UINT64_MAX)

// The smallest size that has most of what can be had.
START_TEST(larger_where_it_helps)
{
	ck_assert_uint_eq(ADVISE(.1, .2, .25, .3, .35, .9, .95), 16);
	ck_assert_str_eq(text, "Make the cache larger, 16M in place of 4M: it would serve about 90.0% of all uses instead of 30.0%.");
	ck_assert_uint_eq(ADVISE(0, 0, 0, 0, 0, 0, .5), 32);
	ck_assert_uint_eq(ADVISE(.9, .91, .92, .93, .98, .98, .98), 8);
}
END_TEST

START_TEST(smaller_where_nothing_is_lost)
{
	ck_assert_uint_eq(ADVISE(.5, .8, .8, .8, .8, .8, .8), 2);
	ck_assert_str_eq(text, "The cache could be smaller, 2M in place of 4M: it would still serve about 80.0% of all uses.");
	ck_assert_uint_eq(ADVISE(0, 0, 0, 0, 0, 0, 0), 1);
}
END_TEST

// A little more for much more memory is no advice.
START_TEST(else_as_it_is)
{
	ck_assert_uint_eq(ADVISE(.5, .6, .7, .8, .805, .81, .82), 4);
	ck_assert_ptr_nonnull(strstr(text, "Leave the cache as it is, 4M: it serves about 80.0%"));
	ck_assert_uint_eq(ADVISE(.98, .985, .988, .992, .995, .999, 1), 4); // few misses are left
}
END_TEST

START_TEST(no_more_than_there_is)
{
	const double ratios[POINTS] = {.1, .2, .25, .3, .3, .3, .9};

	ck_assert_uint_eq(advise_for(ratios, 1e6, 32 << 20), 32);
	ck_assert_uint_eq(advise_for(ratios, 1e6, 31 << 20), 4);
}
END_TEST

START_TEST(nothing_from_nothing)
{
	const double ratios[POINTS] = {0, 0, 0, 0, 1, 1, 1};

	ck_assert_uint_eq(advise_for(ratios, 9999, UINT64_MAX), 4);
	ck_assert_str_eq(text, "Too little was used so far to say anything: 9999 blocks, of 10000.");
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("advice");
	TCase *tcase = tcase_create("advice");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, larger_where_it_helps);
	tcase_add_test(tcase, smaller_where_nothing_is_lost);
	tcase_add_test(tcase, else_as_it_is);
	tcase_add_test(tcase, no_more_than_there_is);
	tcase_add_test(tcase, nothing_from_nothing);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
