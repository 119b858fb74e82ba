// SPDX-License-Identifier: MIT
// XChaCha20-Poly1305 makes the bytes that libsodium's makes.
#include "crypto/xchacha.h"

#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE_MAX_TRIED = 32768, DATA_SIZE_MAX = 64 };

static uint8_t key[XCHACHA_KEY_SIZE], nonce[XCHACHA_NONCE_SIZE], data[DATA_SIZE_MAX];
static uint8_t plain[SIZE_MAX_TRIED], cipher[SIZE_MAX_TRIED], wanted[SIZE_MAX_TRIED], bytes[SIZE_MAX_TRIED];

static void
assert_same(size_t size, size_t data_size)
{
	const struct xchacha how = {key, nonce, data, data_size};
	uint8_t tag[XCHACHA_TAG_SIZE], wanted_tag[XCHACHA_TAG_SIZE];

	randombytes_buf(key, sizeof(key));
	randombytes_buf(nonce, sizeof(nonce));
	randombytes_buf(data, sizeof(data));
	randombytes_buf(plain, size);
	crypto_aead_xchacha20poly1305_ietf_encrypt_detached(wanted, wanted_tag, NULL, plain, size, data, data_size,
							    NULL, nonce, key);
	xchacha_encrypt(&how, plain, size, cipher, tag);
	ck_assert_mem_eq(cipher, wanted, size);
	ck_assert_mem_eq(tag, wanted_tag, sizeof(tag));
	ck_assert(xchacha_decrypt(&how, cipher, size, tag, bytes));
	ck_assert_mem_eq(bytes, plain, size);
	memcpy(bytes, plain, size); // in place
	xchacha_encrypt(&how, bytes, size, bytes, tag);
	ck_assert_mem_eq(bytes, wanted, size);
	ck_assert(xchacha_decrypt(&how, bytes, size, tag, bytes));
	ck_assert_mem_eq(bytes, plain, size);
}

START_TEST(test_as_libsodium)
{
	for (size_t size = 1; size <= 300; size++)
		assert_same(size, size % (DATA_SIZE_MAX + 1));
	for (size_t size = 512; size <= SIZE_MAX_TRIED; size *= 2)
		assert_same(size, 56);
}
END_TEST

// A bit of anything is another: nothing of the bytes is given out.
START_TEST(test_changed)
{
	static const uint8_t zeros[512];
	const struct xchacha how = {key, nonce, data, 56};
	uint8_t *const all[] = {key, nonce, data, cipher}, tag[XCHACHA_TAG_SIZE];
	const size_t sizes[] = {sizeof(key), sizeof(nonce), 56, sizeof(zeros)};

	assert_same(sizeof(zeros), 56);
	xchacha_encrypt(&how, plain, sizeof(zeros), cipher, tag);
	for (size_t i = 0; i < 4; i++)
		for (size_t bit = 0; bit < 8 * sizes[i]; bit += 5) {
			all[i][bit / 8] ^= (uint8_t)(1 << bit % 8);
			memset(bytes, 1, sizeof(zeros));
			ck_assert(!xchacha_decrypt(&how, cipher, sizeof(zeros), tag, bytes));
			ck_assert_mem_eq(bytes, zeros, sizeof(zeros));
			all[i][bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
	for (size_t bit = 0; bit < 8 * sizeof(tag); bit++) {
		tag[bit / 8] ^= (uint8_t)(1 << bit % 8);
		ck_assert(!xchacha_decrypt(&how, cipher, sizeof(zeros), tag, bytes));
		tag[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	ck_assert(xchacha_decrypt(&how, cipher, sizeof(zeros), tag, bytes));
}
END_TEST

// Threads have nothing in common.
static void *
work(void *arg)
{
	static const uint8_t own_nonce[XCHACHA_NONCE_SIZE], own_plain[4096];
	const uint8_t own_key[XCHACHA_KEY_SIZE] = {*(uint8_t *)arg};
	const struct xchacha how = {own_key, own_nonce, NULL, 0};
	uint8_t own[4096], tag[XCHACHA_TAG_SIZE];
	uintptr_t wrong = 0;

	for (int i = 0; i < 500; i++) {
		xchacha_encrypt(&how, own_plain, sizeof(own), own, tag);
		wrong += !xchacha_decrypt(&how, own, sizeof(own), tag, own);
		wrong += memcmp(own, own_plain, sizeof(own)) != 0;
	}
	return (void *)wrong;
}

START_TEST(test_threads)
{
	pthread_t threads[4];
	uint8_t keys[4] = {1, 2, 3, 4};
	void *wrong;

	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, work, &keys[i]), 0);
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(pthread_join(threads[i], &wrong), 0);
		ck_assert_ptr_null(wrong);
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("xchacha");
	TCase *cases = tcase_create("xchacha");
	SRunner *runner;
	int failed;

	tcase_add_test(cases, test_as_libsodium);
	tcase_add_test(cases, test_changed);
	tcase_add_test(cases, test_threads);
	suite_add_tcase(suite, cases);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
