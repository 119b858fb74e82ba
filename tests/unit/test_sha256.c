// SPDX-License-Identifier: MIT
// SHA-256 is what OpenSSL says, whatever the processor has.
#include "crypto/sha256.h"

#include <check.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE_MAX_TRIED = 32768 };

static uint8_t messages[2][SIZE_MAX_TRIED + 64];

static void
assert_same(size_t size, size_t offset)
{
	const uint8_t *const both[2] = {messages[0] + offset, messages[1]};
	uint8_t one[SHA256_SIZE], two[2][SHA256_SIZE], wanted[SHA256_SIZE];

	sha256_two(two, both, size);
	for (int i = 0; i < 2; i++) {
		sha256_openssl(wanted, both[i], size);
		sha256(one, both[i], size);
		ck_assert_mem_eq(one, wanted, SHA256_SIZE);
		ck_assert_mem_eq(two[i], wanted, SHA256_SIZE);
	}
}

// Every size up to four blocks, where the padding is all there is to differ, and those of blocks of volumes; bytes that
// are not aligned.
START_TEST(test_as_openssl)
{
	randombytes_buf(messages, sizeof(messages));
	for (size_t size = 0; size <= 256; size++)
		assert_same(size, size % 7);
	for (size_t size = 512; size <= SIZE_MAX_TRIED; size *= 2)
		for (size_t offset = 0; offset < 64; offset += 21)
			assert_same(size, offset);
}
END_TEST

// As FIPS 180 has them.
START_TEST(test_vectors)
{
	static const struct {
		const char *message, *hash;
	} vectors[] = {
		{"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
		{"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		{"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		 "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
	};

	for (size_t i = 0; i < sizeof(vectors) / sizeof(*vectors); i++) {
		uint8_t hash[SHA256_SIZE];
		char text[2 * SHA256_SIZE + 1];

		sha256(hash, vectors[i].message, strlen(vectors[i].message));
		sodium_bin2hex(text, sizeof(text), hash, sizeof(hash));
		ck_assert_str_eq(text, vectors[i].hash);
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("sha256");
	TCase *cases = tcase_create("sha256");
	SRunner *runner;
	int failed;

	tcase_add_test(cases, test_as_openssl);
	tcase_add_test(cases, test_vectors);
	suite_add_tcase(suite, cases);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
