// SPDX-License-Identifier: MIT
#include "crypto/gcm.h"

#include "core/check.h"
#include "crypto/gcm_engine.h"
#include "crypto/multi_buffer.h"

#include <limits.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

// ---- By OpenSSL ----

struct openssl_gcm {
	struct gcm gcm;
	EVP_CIPHER_CTX *context;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static EVP_CIPHER *algorithm; // looked up once: that costs more than a small message

static void
begin(void)
{
	algorithm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	CHECK(algorithm != NULL);
}

static EVP_CIPHER_CTX *
context_of(struct gcm *gcm)
{
	return ((struct openssl_gcm *)gcm)->context;
}

static void
openssl_destroy(struct gcm *gcm)
{
	EVP_CIPHER_CTX_free(context_of(gcm)); // which clears what was in it
	free(gcm);
}

static void
openssl_set_key(struct gcm *gcm, const uint8_t *key)
{
	CHECK(EVP_CipherInit_ex2(context_of(gcm), NULL, key, NULL, -1, NULL) == 1);
}

static EVP_CIPHER_CTX *
start(struct gcm *gcm, const struct gcm_message *message, bool encrypts)
{
	EVP_CIPHER_CTX *context = context_of(gcm);
	int count;

	CHECK(EVP_CipherInit_ex2(context, NULL, NULL, message->nonce, encrypts ? 1 : 0, NULL) == 1);
	CHECK(EVP_CipherUpdate(context, NULL, &count, message->data, (int)message->data_size) == 1);
	return context;
}

static void
openssl_encrypt(struct gcm *gcm, const struct gcm_message *message, const uint8_t *plain, size_t size, uint8_t *cipher,
		uint8_t *tag)
{
	EVP_CIPHER_CTX *context = start(gcm, message, true);
	int count;

	CHECK(EVP_CipherUpdate(context, cipher, &count, plain, (int)size) == 1 && count == (int)size);
	CHECK(EVP_CipherFinal_ex(context, cipher + count, &count) == 1 && count == 0);
	CHECK(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, GCM_TAG_SIZE, tag) == 1);
}

static bool
openssl_decrypt(struct gcm *gcm, const struct gcm_message *message, const uint8_t *cipher, size_t size,
		const uint8_t *tag, uint8_t *plain)
{
	EVP_CIPHER_CTX *context = start(gcm, message, false);
	uint8_t wanted[GCM_TAG_SIZE];
	int count;

	memcpy(wanted, tag, sizeof(wanted)); // OpenSSL takes none that is constant
	CHECK(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, GCM_TAG_SIZE, wanted) == 1);
	CHECK(EVP_CipherUpdate(context, plain, &count, cipher, (int)size) == 1 && count == (int)size);
	return EVP_CipherFinal_ex(context, plain + count, &count) == 1;
}

static struct gcm *
openssl_create(void)
{
	static const struct gcm_engine engine = {openssl_destroy, openssl_set_key, openssl_encrypt, openssl_decrypt};
	struct openssl_gcm *own = calloc(1, sizeof(*own));

	pthread_once(&once, begin);
	CHECK(own != NULL);
	own->gcm.engine = &engine;
	own->context = EVP_CIPHER_CTX_new();
	CHECK(own->context != NULL && EVP_CipherInit_ex2(own->context, algorithm, NULL, NULL, 1, NULL) == 1);
	return &own->gcm;
}

// ---- By either ----

struct gcm *
gcm_create(void)
{
	struct gcm *gcm = multi_buffer_gcm_create();

	return gcm != NULL ? gcm : openssl_create();
}

void
gcm_destroy(struct gcm *gcm)
{
	gcm->engine->destroy(gcm);
}

void
gcm_set_key(struct gcm *gcm, const uint8_t key[GCM_KEY_SIZE])
{
	gcm->engine->set_key(gcm, key);
}

void
gcm_encrypt(struct gcm *gcm, const struct gcm_message *message, const uint8_t *plain, size_t size, uint8_t *cipher,
	    uint8_t tag[GCM_TAG_SIZE])
{
	CHECK(size <= INT_MAX && message->data_size <= INT_MAX);
	gcm->engine->encrypt(gcm, message, plain, size, cipher, tag);
}

bool
gcm_decrypt(struct gcm *gcm, const struct gcm_message *message, const uint8_t *cipher, size_t size,
	    const uint8_t tag[GCM_TAG_SIZE], uint8_t *plain)
{
	CHECK(size <= INT_MAX && message->data_size <= INT_MAX);
	return gcm->engine->decrypt(gcm, message, cipher, size, tag, plain);
}
