// SPDX-License-Identifier: MIT
// XAES-256-GCM as C2SP has it.
#include "crypto/xaes.h"

#include <check.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE_MAX_TRIED = 32768, DATA_SIZE_MAX = 64 };

static uint8_t key[XAES_KEY_SIZE], nonce[XAES_NONCE_SIZE], data[DATA_SIZE_MAX];
static uint8_t plain[SIZE_MAX_TRIED], cipher[SIZE_MAX_TRIED], wanted[SIZE_MAX_TRIED], bytes[SIZE_MAX_TRIED];

// Encrypt random bytes under a random key, and back; the same in place.
static void
assert_back(size_t size, size_t data_size)
{
	const struct xaes how = {key, nonce, data, data_size};
	uint8_t tag[XAES_TAG_SIZE], wanted_tag[XAES_TAG_SIZE];

	randombytes_buf(key, sizeof(key));
	randombytes_buf(nonce, sizeof(nonce));
	randombytes_buf(data, sizeof(data));
	randombytes_buf(plain, size);
	xaes_encrypt(&how, plain, size, wanted, wanted_tag);
	ck_assert(size < 16 || memcmp(wanted, plain, size) != 0);
	ck_assert(xaes_decrypt(&how, wanted, size, wanted_tag, bytes));
	ck_assert_mem_eq(bytes, plain, size);
	xaes_encrypt(&how, bytes, size, bytes, tag);
	ck_assert_mem_eq(bytes, wanted, size);
	ck_assert_mem_eq(tag, wanted_tag, sizeof(tag));
	ck_assert(xaes_decrypt(&how, bytes, size, tag, bytes));
	ck_assert_mem_eq(bytes, plain, size);
	memcpy(cipher, wanted, size);
}

START_TEST(test_back)
{
	for (size_t size = 1; size <= 300; size++)
		assert_back(size, size % (DATA_SIZE_MAX + 1));
	for (size_t size = 512; size <= SIZE_MAX_TRIED; size *= 2)
		assert_back(size, 56);
}
END_TEST

// The vectors of c2sp.org/XAES-256-GCM: CMAC's subkey without a carry, and with one. Each twice: once the key is
// derived, once it is remembered.
START_TEST(test_vectors)
{
	static const struct {
		uint8_t key;
		const char *data, *wanted;
	} vectors[] = {
		{0x01, "", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"},
		{0x03, "c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"},
	};
	static const char text[] = "XAES-256-GCM";
	enum { TEXT_SIZE = sizeof(text) - 1 };

	for (int i = 0; i < 4; i++) {
		uint8_t own_key[XAES_KEY_SIZE], out[TEXT_SIZE + XAES_TAG_SIZE];
		char hex[2 * sizeof(out) + 1];
		const struct xaes how = {own_key, (const uint8_t *)"ABCDEFGHIJKLMNOPQRSTUVWX", vectors[i / 2].data,
					 strlen(vectors[i / 2].data)};

		memset(own_key, vectors[i / 2].key, sizeof(own_key));
		xaes_encrypt(&how, (const uint8_t *)text, TEXT_SIZE, out, out + TEXT_SIZE);
		sodium_bin2hex(hex, sizeof(hex), out, sizeof(out));
		ck_assert_str_eq(hex, vectors[i / 2].wanted);
	}
}
END_TEST

// The key that is remembered is that of its key and first half of the nonce, and of nothing else.
START_TEST(test_remembered)
{
	uint8_t keys[2][XAES_KEY_SIZE] = {{1}, {2}}, nonces[2][XAES_NONCE_SIZE] = {{1}, {2}};
	uint8_t ciphers[4][64], tags[4][XAES_TAG_SIZE], again[64], tag[XAES_TAG_SIZE];

	for (int round = 0; round < 50; round++) {
		int i = round * 7 % 4, next = (i + round) % 4;
		const struct xaes how = {keys[i / 2], nonces[i % 2], NULL, 0};

		if (round < 4)
			xaes_encrypt(&(struct xaes){keys[round / 2], nonces[round % 2], NULL, 0}, plain, 64,
				     ciphers[round], tags[round]);
		if (round < 4)
			continue;
		xaes_encrypt(&how, plain, 64, again, tag);
		ck_assert_mem_eq(again, ciphers[i], 64);
		ck_assert_mem_eq(tag, tags[i], sizeof(tag));
		ck_assert(xaes_decrypt(&how, ciphers[next], 64, tags[next], again) == (i == next));
	}
	for (int i = 0; i < 4; i++)
		for (int k = 0; k < i; k++)
			ck_assert(memcmp(ciphers[i], ciphers[k], 64) != 0);
}
END_TEST

// A bit of anything is another: nothing of the bytes is given out.
START_TEST(test_changed)
{
	static const uint8_t zeros[512];
	const struct xaes how = {key, nonce, data, 56};
	uint8_t *const all[] = {key, nonce, data, cipher}, tag[XAES_TAG_SIZE];
	const size_t sizes[] = {sizeof(key), sizeof(nonce), 56, sizeof(zeros)};

	assert_back(sizeof(zeros), 56);
	xaes_encrypt(&how, plain, sizeof(zeros), cipher, tag);
	for (size_t i = 0; i < 4; i++)
		for (size_t bit = 0; bit < 8 * sizes[i]; bit += 5) {
			all[i][bit / 8] ^= (uint8_t)(1 << bit % 8);
			memset(bytes, 1, sizeof(zeros));
			ck_assert(!xaes_decrypt(&how, cipher, sizeof(zeros), tag, bytes));
			ck_assert_mem_eq(bytes, zeros, sizeof(zeros));
			all[i][bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
	for (size_t bit = 0; bit < 8 * sizeof(tag); bit++) {
		tag[bit / 8] ^= (uint8_t)(1 << bit % 8);
		ck_assert(!xaes_decrypt(&how, cipher, sizeof(zeros), tag, bytes));
		tag[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	ck_assert(xaes_decrypt(&how, cipher, sizeof(zeros), tag, bytes));
}
END_TEST

// Threads have nothing in common.
static void *
work(void *arg)
{
	static const uint8_t own_nonce[XAES_NONCE_SIZE], own_plain[4096];
	const uint8_t own_key[XAES_KEY_SIZE] = {*(uint8_t *)arg};
	const struct xaes how = {own_key, own_nonce, NULL, 0};
	uint8_t own[4096], tag[XAES_TAG_SIZE];
	uintptr_t wrong = 0;

	for (int i = 0; i < 500; i++) {
		xaes_encrypt(&how, own_plain, sizeof(own), own, tag);
		wrong += !xaes_decrypt(&how, own, sizeof(own), tag, own);
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
	Suite *suite = suite_create("xaes");
	TCase *cases = tcase_create("xaes");
	SRunner *runner;
	int failed;

	if (sodium_init() < 0)
		return EXIT_FAILURE;
	tcase_add_test(cases, test_vectors);
	tcase_add_test(cases, test_back);
	tcase_add_test(cases, test_remembered);
	tcase_add_test(cases, test_changed);
	tcase_add_test(cases, test_threads);
	suite_add_tcase(suite, cases);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
