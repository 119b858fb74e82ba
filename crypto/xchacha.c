// SPDX-License-Identifier: MIT
// XChaCha20 is ChaCha20 under a key that HChaCha20 makes of the key and the first 16 bytes of the nonce, with the 8
// that are left, after four zeros, as the nonce.
//
// Each thread has a context of OpenSSL's, as to make one costs as much as a block; it ends with the thread. What stays
// in it is the key of the last block, which opens that one alone.
#include "crypto/xchacha.h"

#include "core/check.h"

#include <assert.h>
#include <limits.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>

enum { IETF_NONCE_SIZE = 12, DERIVING_SIZE = crypto_core_hchacha20_INPUTBYTES, ZEROS = 4 };

static_assert(ZEROS + XCHACHA_NONCE_SIZE - DERIVING_SIZE == IETF_NONCE_SIZE, "the nonce is used up");

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t contexts;
static EVP_CIPHER *chacha; // NULL: this OpenSSL has none (of FIPS 140)

static void
end_of_thread(void *context)
{
	EVP_CIPHER_CTX_free(context);
}

static void
begin(void)
{
	CHECK(pthread_key_create(&contexts, end_of_thread) == 0);
	chacha = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
}

static EVP_CIPHER_CTX *
own_context(void)
{
	EVP_CIPHER_CTX *context = pthread_getspecific(contexts);

	if (context != NULL)
		return context;
	context = EVP_CIPHER_CTX_new();
	CHECK(context != NULL && EVP_CipherInit_ex2(context, chacha, NULL, NULL, 1, NULL) == 1);
	CHECK(pthread_setspecific(contexts, context) == 0);
	return context;
}

// This thread's context, ready for the bytes.
static EVP_CIPHER_CTX *
prepare(const struct xchacha *how, bool encrypts)
{
	uint8_t key[XCHACHA_KEY_SIZE], nonce[IETF_NONCE_SIZE] = {0};
	EVP_CIPHER_CTX *context = own_context();
	int count;

	CHECK(how->data_size <= INT_MAX);
	crypto_core_hchacha20(key, how->nonce, how->key, NULL);
	memcpy(nonce + ZEROS, how->nonce + DERIVING_SIZE, sizeof(nonce) - ZEROS);
	CHECK(EVP_CipherInit_ex2(context, NULL, key, nonce, encrypts ? 1 : 0, NULL) == 1);
	sodium_memzero(key, sizeof(key));
	CHECK(EVP_CipherUpdate(context, NULL, &count, how->data, (int)how->data_size) == 1);
	return context;
}

void
xchacha_encrypt(const struct xchacha *how, const uint8_t *plain, size_t size, uint8_t *cipher,
		uint8_t tag[XCHACHA_TAG_SIZE])
{
	EVP_CIPHER_CTX *context;
	int count;

	CHECK(size <= INT_MAX);
	pthread_once(&once, begin);
	if (chacha == NULL) {
		crypto_aead_xchacha20poly1305_ietf_encrypt_detached(cipher, tag, NULL, plain, size, how->data,
								    how->data_size, NULL, how->nonce, how->key);
		return;
	}
	context = prepare(how, true);
	CHECK(EVP_CipherUpdate(context, cipher, &count, plain, (int)size) == 1 && count == (int)size);
	CHECK(EVP_CipherFinal_ex(context, cipher + count, &count) == 1 && count == 0);
	CHECK(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, XCHACHA_TAG_SIZE, tag) == 1);
}

bool
xchacha_decrypt(const struct xchacha *how, const uint8_t *cipher, size_t size, const uint8_t tag[XCHACHA_TAG_SIZE],
		uint8_t *plain)
{
	EVP_CIPHER_CTX *context;
	uint8_t wanted[XCHACHA_TAG_SIZE];
	int count;

	CHECK(size <= INT_MAX);
	pthread_once(&once, begin);
	if (chacha == NULL)
		return crypto_aead_xchacha20poly1305_ietf_decrypt_detached(plain, NULL, cipher, size, tag, how->data,
									   how->data_size, how->nonce, how->key) == 0;
	context = prepare(how, false);
	memcpy(wanted, tag, sizeof(wanted)); // OpenSSL takes none that is constant
	CHECK(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, XCHACHA_TAG_SIZE, wanted) == 1);
	CHECK(EVP_CipherUpdate(context, plain, &count, cipher, (int)size) == 1 && count == (int)size);
	if (EVP_CipherFinal_ex(context, plain + count, &count) == 1)
		return true;
	memset(plain, 0, size);
	return false;
}
