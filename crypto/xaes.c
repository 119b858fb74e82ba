// SPDX-License-Identifier: MIT
// The derived key is CMAC's of two blocks: AES-256 of a counter, a label and the first half of the nonce, with CMAC's
// subkey added, as the blocks are whole (NIST SP 800-108 with SP 800-38B).
//
// Each thread has contexts of OpenSSL's, as to make one costs as much as a block, and remembers which key they have:
// the blocks of one write have it in common. It ends with the thread.
#include "crypto/xaes.h"

#include "core/check.h"
#include "crypto/gcm.h"

#include <assert.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { AES_BLOCK_SIZE = 16 };

static_assert((int)XAES_PREFIX_SIZE + (int)GCM_NONCE_SIZE == (int)XAES_NONCE_SIZE, "the nonce is used up");
static_assert((int)XAES_KEY_SIZE == (int)GCM_KEY_SIZE && XAES_KEY_SIZE == 2 * AES_BLOCK_SIZE, "two blocks make a key");
static_assert((int)XAES_TAG_SIZE == (int)GCM_TAG_SIZE, "its tag is the other's");

struct own {
	bool has_key;
	uint8_t *key; // of which that of ${gcm} was derived, with the prefix. sodium_malloc: locked, and cleared in the
		      // end
	uint8_t prefix[XAES_PREFIX_SIZE];
	EVP_CIPHER_CTX *ecb;
	struct gcm *gcm;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t owns;
static EVP_CIPHER *aes_ecb; // looked up once: that costs more than a small message

static void
end_of_thread(void *arg)
{
	struct own *own = arg;

	EVP_CIPHER_CTX_free(own->ecb); // which clears what was in it
	gcm_destroy(own->gcm);
	sodium_free(own->key);
	free(own);
}

static void
begin(void)
{
	CHECK(pthread_key_create(&owns, end_of_thread) == 0);
	aes_ecb = EVP_CIPHER_fetch(NULL, "AES-256-ECB", NULL);
	CHECK(aes_ecb != NULL);
}

static struct own *
own_get(void)
{
	struct own *own;

	pthread_once(&once, begin);
	own = pthread_getspecific(owns);
	if (own != NULL)
		return own;
	own = calloc(1, sizeof(*own));
	CHECK(own != NULL);
	own->key = sodium_malloc(XAES_KEY_SIZE);
	own->ecb = EVP_CIPHER_CTX_new();
	own->gcm = gcm_create();
	CHECK(own->key != NULL && own->ecb != NULL);
	CHECK(EVP_EncryptInit_ex2(own->ecb, aes_ecb, NULL, NULL, NULL) == 1);
	CHECK(EVP_CIPHER_CTX_set_padding(own->ecb, 0) == 1);
	CHECK(pthread_setspecific(owns, own) == 0);
	return own;
}

static void
aes(struct own *own, const uint8_t *in, uint8_t *out, int size)
{
	int count;

	CHECK(EVP_EncryptUpdate(own->ecb, out, &count, in, size) == 1 && count == size);
}

// OpenSSL keeps a key in memory that is not locked, and may get into a core: none stays there.
static void
forget_key(struct own *own)
{
	static const uint8_t zeros[XAES_KEY_SIZE];

	CHECK(EVP_EncryptInit_ex2(own->ecb, NULL, zeros, NULL, NULL) == 1);
}

// CMAC's first subkey: AES of zeros, times x in GF(2^128).
static void
make_subkey(struct own *own, uint8_t subkey[AES_BLOCK_SIZE])
{
	uint8_t bits[AES_BLOCK_SIZE] = {0};

	aes(own, bits, bits, sizeof(bits));
	for (int i = 0; i < AES_BLOCK_SIZE; i++)
		subkey[i] = (uint8_t)(bits[i] << 1 | (i + 1 < AES_BLOCK_SIZE ? bits[i + 1] >> 7 : 0));
	subkey[AES_BLOCK_SIZE - 1] ^= (uint8_t)(0x87 & -(bits[0] >> 7));
	sodium_memzero(bits, sizeof(bits));
}

static void
derive(struct own *own, const uint8_t *key, const uint8_t *prefix, uint8_t derived[XAES_KEY_SIZE])
{
	uint8_t subkey[AES_BLOCK_SIZE];

	CHECK(EVP_EncryptInit_ex2(own->ecb, NULL, key, NULL, NULL) == 1);
	make_subkey(own, subkey);
	for (uint8_t i = 0; i < 2; i++) {
		uint8_t *block = derived + i * AES_BLOCK_SIZE;
		const uint8_t label[4] = {0, (uint8_t)(i + 1), 'X', 0}; // a counter of 16 bits, what it is for, an end

		memcpy(block, label, sizeof(label));
		memcpy(block + sizeof(label), prefix, XAES_PREFIX_SIZE);
		for (int k = 0; k < AES_BLOCK_SIZE; k++)
			block[k] ^= subkey[k];
	}
	aes(own, derived, derived, XAES_KEY_SIZE);
	forget_key(own);
	sodium_memzero(subkey, sizeof(subkey));
}

static void
set_key(struct own *own, const uint8_t *key, const uint8_t *prefix)
{
	uint8_t derived[XAES_KEY_SIZE];

	if (own->has_key && memcmp(own->prefix, prefix, sizeof(own->prefix)) == 0 &&
	    sodium_memcmp(own->key, key, XAES_KEY_SIZE) == 0)
		return;
	derive(own, key, prefix, derived);
	gcm_set_key(own->gcm, derived);
	sodium_memzero(derived, sizeof(derived));
	memcpy(own->key, key, XAES_KEY_SIZE);
	memcpy(own->prefix, prefix, sizeof(own->prefix));
	own->has_key = true;
}

// This thread's, with the key that goes with the nonce.
static struct gcm *
prepare(const struct xaes *how)
{
	struct own *own = own_get();

	set_key(own, how->key, how->nonce);
	return own->gcm;
}

static struct gcm_message
message_of(const struct xaes *how)
{
	return (struct gcm_message){how->nonce + XAES_PREFIX_SIZE, how->data, how->data_size};
}

void
xaes_encrypt(const struct xaes *how, const uint8_t *plain, size_t size, uint8_t *cipher, uint8_t tag[XAES_TAG_SIZE])
{
	const struct gcm_message message = message_of(how);

	gcm_encrypt(prepare(how), &message, plain, size, cipher, tag);
}

bool
xaes_decrypt(const struct xaes *how, const uint8_t *cipher, size_t size, const uint8_t tag[XAES_TAG_SIZE],
	     uint8_t *plain)
{
	const struct gcm_message message = message_of(how);

	if (gcm_decrypt(prepare(how), &message, cipher, size, tag, plain))
		return true;
	sodium_memzero(plain, size);
	return false;
}
