// SPDX-License-Identifier: MIT
// Who may do what: the text, and what follows from it.
#include "node/acl.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define A "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define C "sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"

static char error[1024];

static struct peer
peer(const char *text)
{
	struct peer parsed;

	ck_assert_msg(peer_parse(text, &parsed, error, sizeof(error)) == 0, "%s", error);
	return parsed;
}

static struct acl *
parsed(const char *text)
{
	struct acl *acl = acl_parse(text, strlen(text), error, sizeof(error));

	ck_assert_msg(acl != NULL, "%s", error);
	return acl;
}

static void
refused(const char *text, const char *first, const char *second)
{
	ck_assert_msg(acl_parse(text, strlen(text), error, sizeof(error)) == NULL, "'%s' was taken", text);
	ck_assert_msg(strstr(error, first) != NULL && strstr(error, second) != NULL, "'%s' does not say '%s' and '%s'", error, first, second);
}

static enum right
right(const struct acl *acl, const char *who, const char *volume)
{
	struct peer whom = peer(who);

	return acl_right(acl, &whom, volume);
}

static void
assert_prints(const struct acl *acl, const char *expected)
{
	char *text = acl_print(acl);

	ck_assert_str_eq(text, expected);
	free(text);
}

static struct acl_entry
entry(const char *who, const char *volume, enum right what, const char *label)
{
	struct acl_entry made = {.peer = peer(who), .right = what};

	snprintf(made.volume, sizeof(made.volume), "%s", volume);
	snprintf(made.label, sizeof(made.label), "%s", label);
	return made;
}

// A named volume counts before *; who is not there has nothing.
START_TEST(test_rights)
{
	struct acl *acl = parsed("# who may\n\n" A " v read-write\n" A " * read the laptop  # of mine\n\t" B "\tw none \n" B " * read\nuid:77 v read");
	struct peer whom = peer(A);

	ck_assert_int_eq(right(acl, A, "v"), RIGHT_WRITE);
	ck_assert_int_eq(right(acl, A, "other"), RIGHT_READ);
	ck_assert_int_eq(right(acl, B, "w"), RIGHT_NONE);
	ck_assert_int_eq(right(acl, B, "v"), RIGHT_READ);
	ck_assert_int_eq(right(acl, C, "v"), RIGHT_NONE);
	ck_assert_int_eq(right(acl, "uid:77", "v"), RIGHT_READ);
	ck_assert_int_eq(right(acl, "uid:77", "w"), RIGHT_NONE);
	ck_assert_str_eq(acl_label(acl, &whom), "the laptop");
	whom = peer(B);
	ck_assert_str_eq(acl_label(acl, &whom), "");
	acl_destroy(acl);
}
END_TEST

// This user and root, unless they are listed; plain TCP.
START_TEST(test_not_listed)
{
	struct acl *acl = parsed("uid:0 v read\n");
	struct peer insecure = {.kind = PEER_INSECURE};
	char own[32], other[32];

	snprintf(own, sizeof(own), "uid:%u", (unsigned)geteuid());
	snprintf(other, sizeof(other), "uid:%u", (unsigned)geteuid() + 1);
	ck_assert_int_eq(right(acl, own, "w"), RIGHT_WRITE);
	ck_assert_int_eq(right(acl, "uid:0", "v"), RIGHT_READ);
	ck_assert_int_eq(right(acl, "uid:0", "w"), RIGHT_WRITE);
	ck_assert_int_eq(right(acl, other, "w"), RIGHT_NONE);
	ck_assert_int_eq(acl_right(acl, &insecure, "w"), RIGHT_WRITE);
	acl_destroy(acl);
}
END_TEST

START_TEST(test_known)
{
	struct acl *acl = parsed(A " v none\n" B " v none\n" B " w read\n");
	struct peer a = peer(A), b = peer(B), c = peer(C);

	ck_assert(!acl_knows(acl, &a) && acl_knows(acl, &b) && !acl_knows(acl, &c));
	acl_destroy(acl);
}
END_TEST

// Line, value, and what would be right.
START_TEST(test_errors)
{
	refused("\n\n" A "\n", "line 3", "VOLUME");
	refused(A " v\n", "line 1", "RIGHT");
	refused("somebody v read\n", "'somebody'", "uid:N");
	refused("sha256:12 v read\n", "'sha256:12'", "64 hex digits");
	refused("uid: v read\n", "'uid:'", "no peer");
	refused("uid:-1 v read\n", "'uid:-1'", "no peer");
	refused("uid:4294967295 v read\n", "'uid:4294967295'", "no peer");
	refused("uid:99999999999999999999999 v read\n", "uid:9999", "no peer");
	refused("insecure v read\n", "'insecure'", "no peer");
	refused(A " a/b read\n", "'a/b'", "no volume");
	refused(A " ../x read\n", "'../x'", "no volume");
	refused(A " v write\n", "'write'", "read-write");
	refused(A " v owner\n", "'owner'", "proxy");
	refused(A " v read\n# x\n" A " v none\n", "line 3", "line 1 already");
	refused(A " v read a\tb\n", "line 1", "control character");
	refused(A " v read 1234567890123456789012345678901234567890123456789012345678901234567890\n", "label", "64");
}
END_TEST

START_TEST(test_limits)
{
	char *text = malloc(ACL_SIZE_MAX + 10);
	size_t size = 0;

	memset(text, '#', ACL_SIZE_MAX + 10);
	ck_assert_ptr_null(acl_parse(text, ACL_SIZE_MAX + 10, error, sizeof(error)));
	for (int i = 0; i <= ACL_ENTRIES_MAX; i++)
		size += (size_t)sprintf(text + size, "uid:%d v read\n", i + 5);
	ck_assert_ptr_null(acl_parse(text, size, error, sizeof(error)));
	ck_assert_msg(strstr(error, "line 4097") != NULL, "%s", error);
	ck_assert_ptr_null(acl_parse("a\0b", 3, error, sizeof(error)));
	free(text);
}
END_TEST

// What is not changed stays as it was, to the last space.
START_TEST(test_changes)
{
	struct acl *acl = parsed("# mine\n" A "   v  read  the laptop # old\n\n" B " * none");
	struct acl_entry change = entry(A, "v", RIGHT_WRITE, "");
	struct peer a = peer(A), b = peer(B);

	ck_assert_int_eq(acl_set(acl, &change, error, sizeof(error)), 0);
	assert_prints(acl, "# mine\n" A " v read-write the laptop\n\n" B " * none\n");
	change = entry(C, "w", RIGHT_READ, "a new one");
	ck_assert_int_eq(acl_set(acl, &change, error, sizeof(error)), 0);
	assert_prints(acl, "# mine\n" A " v read-write the laptop\n\n" B " * none\n" C " w read a new one\n");
	ck_assert(acl_remove(acl, &b, "*"));
	ck_assert(!acl_remove(acl, &b, "*"));
	ck_assert(!acl_remove(acl, &a, "w"));
	assert_prints(acl, "# mine\n" A " v read-write the laptop\n\n" C " w read a new one\n");
	ck_assert_ptr_nonnull(acl_get(acl, 1));
	ck_assert_str_eq(acl_get(acl, 1)->volume, "w");
	ck_assert_ptr_null(acl_get(acl, 2));
	acl_destroy(acl);
}
END_TEST

// What is printed is read as the same.
START_TEST(test_round_trip)
{
	struct acl *acl = parsed(A " v read-write x y z\nuid:7 * none\n"), *again;
	char *text = acl_print(acl);

	again = parsed(text);
	assert_prints(again, text);
	ck_assert_int_eq(right(again, "uid:7", "v"), RIGHT_NONE);
	free(text);
	acl_destroy(acl);
	acl_destroy(again);
}
END_TEST

int
main(void)
{
	const TTest *const cases[] = {test_rights, test_not_listed, test_known,	    test_errors,
				      test_limits, test_changes,    test_round_trip};
	Suite *suite = suite_create("acl");
	TCase *tcase = tcase_create("acl");
	SRunner *runner;
	int failed;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		tcase_add_test(tcase, cases[i]);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
