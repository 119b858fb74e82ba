// SPDX-License-Identifier: MIT
// AES-256-GCM, by whatever this machine has for it and by OpenSSL, which must be the same.
#include "crypto/gcm.h"

#include "crypto/multi_buffer.h"

#include <check.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { SIZES = 12, ROOM = 32768, DATA_ROOM = 4096 };

static const size_t sizes[SIZES] = {0, 1, 15, 16, 17, 60, 255, 256, 300, 4095, 4096, ROOM};
static const size_t data_sizes[SIZES] = {DATA_ROOM, 0, 1, 16, 20, 20, 56, 0, 33, 56, 56, 56};

static uint8_t key[GCM_KEY_SIZE], nonce[GCM_NONCE_SIZE], data[DATA_ROOM], plain[ROOM];

struct made {
	uint8_t ciphers[SIZES][ROOM], tags[SIZES][GCM_TAG_SIZE];
};

static struct made by_default, by_openssl;

static struct gcm_message
message_of(size_t i)
{
	return (struct gcm_message){nonce, data, data_sizes[i]};
}

static void *
make(void *arg)
{
	struct made *made = arg;
	struct gcm *gcm = gcm_create();

	gcm_set_key(gcm, key);
	for (size_t i = 0; i < SIZES; i++) {
		struct gcm_message message = message_of(i);

		gcm_encrypt(gcm, &message, plain, sizes[i], made->ciphers[i], made->tags[i]);
	}
	gcm_destroy(gcm);
	return NULL;
}

static void
make_in_thread(struct made *made)
{
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, make, made), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

START_TEST(test_same)
{
	randombytes_buf(key, sizeof(key));
	randombytes_buf(nonce, sizeof(nonce));
	randombytes_buf(data, sizeof(data));
	randombytes_buf(plain, sizeof(plain));
	make_in_thread(&by_default);
	multi_buffer_disable();
	make_in_thread(&by_openssl);
	for (size_t i = 0; i < SIZES; i++) {
		ck_assert_mem_eq(by_default.tags[i], by_openssl.tags[i], GCM_TAG_SIZE);
		ck_assert_mem_eq(by_default.ciphers[i], by_openssl.ciphers[i], sizes[i]);
	}
}
END_TEST

// Back, in place; and not, if the tag, the data or the nonce is another.
static void
assert_back(void)
{
	struct gcm *gcm = gcm_create();

	gcm_set_key(gcm, key);
	for (size_t i = 0; i < SIZES; i++) {
		struct gcm_message message = message_of(i);
		uint8_t tag[GCM_TAG_SIZE], bytes[ROOM];

		memcpy(bytes, plain, sizes[i]);
		gcm_encrypt(gcm, &message, bytes, sizes[i], bytes, tag);
		ck_assert(gcm_decrypt(gcm, &message, bytes, sizes[i], tag, bytes));
		ck_assert_mem_eq(bytes, plain, sizes[i]);
		gcm_encrypt(gcm, &message, plain, sizes[i], bytes, tag);
		tag[15] ^= 1;
		ck_assert(!gcm_decrypt(gcm, &message, bytes, sizes[i], tag, bytes));
		gcm_encrypt(gcm, &message, plain, sizes[i], bytes, tag);
		nonce[11] ^= 1;
		ck_assert(!gcm_decrypt(gcm, &message, bytes, sizes[i], tag, bytes));
		nonce[11] ^= 1;
		gcm_encrypt(gcm, &message, plain, sizes[i], bytes, tag);
		message.data_size ^= 1;
		ck_assert(!gcm_decrypt(gcm, &message, bytes, sizes[i], tag, bytes));
	}
	gcm_destroy(gcm);
}

START_TEST(test_back)
{
	if (_i == 1)
		multi_buffer_disable();
	randombytes_buf(plain, sizeof(plain));
	assert_back();
}
END_TEST

// Test case 16 of "The Galois/Counter Mode of Operation" (McGrew, Viega), which NIST names for SP 800-38D.
START_TEST(test_vector)
{
	uint8_t own_key[GCM_KEY_SIZE], own_nonce[GCM_NONCE_SIZE], own_data[20], own_plain[60], cipher[60], tag[GCM_TAG_SIZE];
	const struct gcm_message message = {own_nonce, own_data, sizeof(own_data)};
	char hex[2 * sizeof(cipher) + 1];
	struct gcm *gcm;

	if (_i == 1)
		multi_buffer_disable();
	gcm = gcm_create();
	sodium_hex2bin(own_key, sizeof(own_key), "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", 64, NULL, NULL, NULL);
	sodium_hex2bin(own_nonce, sizeof(own_nonce), "cafebabefacedbaddecaf888", 24, NULL, NULL, NULL);
	sodium_hex2bin(own_data, sizeof(own_data), "feedfacedeadbeeffeedfacedeadbeefabaddad2", 40, NULL, NULL, NULL);
	sodium_hex2bin(own_plain, sizeof(own_plain),
		       "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525"
		       "b16aedf5aa0de657ba637b39",
		       120, NULL, NULL, NULL);
	gcm_set_key(gcm, own_key);
	gcm_encrypt(gcm, &message, own_plain, sizeof(own_plain), cipher, tag);
	gcm_destroy(gcm);
	sodium_bin2hex(hex, sizeof(hex), cipher, sizeof(cipher));
	ck_assert_str_eq(hex, "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838"
			      "c5f61e6393ba7a0abcc9f662");
	sodium_bin2hex(hex, sizeof(hex), tag, sizeof(tag));
	ck_assert_str_eq(hex, "76fc6ece0f4e1768cddf8853bb2d551b");
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("gcm");
	TCase *tcase = tcase_create("gcm");
	SRunner *runner = srunner_create(suite);
	int failed;

	if (sodium_init() < 0)
		return EXIT_FAILURE;
	tcase_add_loop_test(tcase, test_vector, 0, 2); // 1: by OpenSSL
	tcase_add_test(tcase, test_same);
	tcase_add_loop_test(tcase, test_back, 0, 2);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
