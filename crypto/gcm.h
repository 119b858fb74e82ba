// SPDX-License-Identifier: MIT
// AES-256-GCM (NIST SP 800-38D) with nonces of 96 bits, by OpenSSL, or where it can by crypto/multi_buffer.h.
#ifndef HVFS_CRYPTO_GCM_H
#define HVFS_CRYPTO_GCM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GCM_KEY_SIZE = 32, GCM_NONCE_SIZE = 12, GCM_TAG_SIZE = 16 };

// A key, ready for use; of the thread that has made it.
struct gcm;

struct gcm *gcm_create(void); // without a key yet
void gcm_destroy(struct gcm *gcm);

// What is encrypted from now on is so with ${key}, of which no copy is kept elsewhere.
void gcm_set_key(struct gcm *gcm, const uint8_t key[GCM_KEY_SIZE]);

// With what a message goes, and what is authenticated besides it.
struct gcm_message {
	const uint8_t *nonce;
	const void *data;
	size_t data_size;
};

// ${size} bytes, INT_MAX at the most, of ${plain} to ${cipher}, which may be ${plain}.
void gcm_encrypt(struct gcm *gcm, const struct gcm_message *message, const uint8_t *plain, size_t size, uint8_t *cipher,
		 uint8_t tag[GCM_TAG_SIZE]);

// Back, to ${plain}, which may be ${cipher}. False: the tag is not theirs, and what is in ${plain} is not to be used.
bool gcm_decrypt(struct gcm *gcm, const struct gcm_message *message, const uint8_t *cipher, size_t size,
		 const uint8_t tag[GCM_TAG_SIZE], uint8_t *plain);

#endif
