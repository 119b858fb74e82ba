// SPDX-License-Identifier: MIT
// The histogram: each duration has its bucket, and quantiles are an eighth too large at most.
#include "node/latency.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct latency latency;

static void
setup(void)
{
	memset(&latency, 0, sizeof(latency));
}

// Buckets follow each other without a gap: what is one more than a bucket's most is in the next.
START_TEST(buckets_cover_everything)
{
	ck_assert_uint_eq(latency_bucket(0), 0);
	for (uint32_t i = 0; i + 1 < LATENCY_BUCKETS; i++) {
		ck_assert_uint_eq(latency_bucket(latency_bucket_max(i)), i);
		ck_assert_uint_eq(latency_bucket(latency_bucket_max(i) + 1), i + 1);
	}
	ck_assert_uint_eq(latency_bucket_max(LATENCY_BUCKETS - 1), UINT32_MAX);
	ck_assert_uint_eq(latency_bucket(UINT64_MAX), LATENCY_BUCKETS - 1);
}
END_TEST

START_TEST(quantiles_are_close)
{
	for (uint64_t us = 1; us <= 10000; us++)
		latency_add(&latency, us);
	for (int percent = 1; percent <= 100; percent++) {
		uint64_t quantile = latency_quantile(&latency, percent / 100.0), exact = (uint64_t)percent * 100;

		ck_assert_uint_ge(quantile, exact);
		ck_assert_uint_le(quantile, exact + exact / 8);
	}
	ck_assert_uint_eq(latency.count, 10000);
	ck_assert_uint_eq(latency.max_us, 10000);
	ck_assert_uint_eq(latency.sum_us, 50005000);
}
END_TEST

START_TEST(few_and_far)
{
	ck_assert_uint_eq(latency_quantile(&latency, 0.5), 0);
	latency_add(&latency, 0);
	ck_assert_uint_eq(latency_quantile(&latency, 0.99), 0);
	latency_add(&latency, (uint64_t)1 << 50);
	ck_assert_uint_eq(latency_quantile(&latency, 0.5), 0);
	ck_assert_uint_eq(latency_quantile(&latency, 0.99), UINT32_MAX);
	ck_assert_uint_eq(latency.max_us, (uint64_t)1 << 50);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("latency");
	TCase *tcase = tcase_create("latency");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, buckets_cover_everything);
	tcase_add_test(tcase, quantiles_are_close);
	tcase_add_test(tcase, few_and_far);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
