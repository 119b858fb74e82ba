// SPDX-License-Identifier: MIT
// Ranges of bytes as users write them.
#include "cli/range.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static uint64_t begin, end;
static char error[200];

static void
assert_range(const char *text, uint64_t from, uint64_t to)
{
	ck_assert_msg(range_parse(text, &begin, &end, error, sizeof(error)) == 0, "%s: %s", text, error);
	ck_assert_uint_eq(begin, from);
	ck_assert_uint_eq(end, to);
}

static void
assert_refused(const char *text, const char *why)
{
	ck_assert_msg(range_parse(text, &begin, &end, error, sizeof(error)) == -1, "accepted: '%s'", text);
	ck_assert_msg(strstr(error, why) != NULL, "'%s': '%s' does not say '%s'", text, error, why);
}

START_TEST(ranges_are_read)
{
	assert_range("0-1", 0, 1);
	assert_range("0-", 0, RANGE_TO_END);
	assert_range("512K-1G", 512 << 10, 1 << 30);
	assert_range("3T-", (uint64_t)3 << 40, RANGE_TO_END);
}
END_TEST

START_TEST(what_is_wrong_is_named)
{
	assert_refused("", "right would be FROM-TO");
	assert_refused("5", "right would be FROM-TO");
	assert_refused("-", "right would be FROM-TO");
	assert_refused("-5", "right would be FROM-TO");
	assert_refused("1-1", "it is empty");
	assert_refused("2-1", "it is empty");
	assert_refused("1X-2", "1X: no size");
	assert_refused("1-2X", "2X: no size");
	assert_refused("1--2", "-2: no size");
	assert_refused("1-2-3", "2-3: no size");
	assert_refused("99999999999999999999-", "no size");
	assert_refused("1111111111111111111111111111111111111111111-2", "right would be FROM-TO");
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("range");
	TCase *tcase = tcase_create("range");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, ranges_are_read);
	tcase_add_test(tcase, what_is_wrong_is_named);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
