// SPDX-License-Identifier: MIT
// Hashes one by one, and many at once.
#include "crypto/sha256.h"

#include <check.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { TASKS_MAX = 40, ROOM = 32768 };

static uint8_t bytes[TASKS_MAX][ROOM], wanted[TASKS_MAX][SHA256_SIZE], got[TASKS_MAX][SHA256_SIZE];

static void
assert_hash(const char *text, const char *hex)
{
	uint8_t hash[SHA256_SIZE];
	char as_hex[2 * SHA256_SIZE + 1];

	sha256(hash, text, strlen(text));
	sodium_bin2hex(as_hex, sizeof(as_hex), hash, sizeof(hash));
	ck_assert_str_eq(as_hex, hex);
}

// The examples of FIPS 180-4, as NIST publishes them.
START_TEST(test_vectors)
{
	assert_hash("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	assert_hash("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_hash("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		    "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}
END_TEST

// ${size} 0: each another one.
static void
assert_all(size_t count, size_t size)
{
	struct sha256_task tasks[TASKS_MAX] = {0};

	memset(got, 0, sizeof(got));
	for (size_t i = 0; i < count; i++) {
		tasks[i] = (struct sha256_task){bytes[i], size > 0 ? size : 1 + i * 101 % ROOM, got[i]};
		sha256(wanted[i], tasks[i].bytes, tasks[i].size);
	}
	sha256_all(tasks, count);
	for (size_t i = 0; i < count; i++)
		ck_assert_mem_eq(got[i], wanted[i], SHA256_SIZE);
	for (size_t i = count; i < TASKS_MAX; i++)
		ck_assert(sodium_is_zero(got[i], SHA256_SIZE));
}

START_TEST(test_all)
{
	static const size_t sizes[] = {0, 1, 55, 56, 64, 80, 128, 4096, ROOM};

	randombytes_buf(bytes, sizeof(bytes));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		for (size_t count = 0; count <= TASKS_MAX; count++)
			assert_all(count, sizes[i]);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("sha256");
	TCase *tcase = tcase_create("hashes");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tcase, test_vectors);
	tcase_add_test(tcase, test_all);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
