// SPDX-License-Identifier: MIT
// XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha): the bytes are those of libsodium's function of that name, made by
// OpenSSL where it has the parts, which is faster.
#ifndef HVFS_CRYPTO_XCHACHA_H
#define HVFS_CRYPTO_XCHACHA_H

#include <sodium.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	XCHACHA_KEY_SIZE = crypto_aead_xchacha20poly1305_ietf_KEYBYTES,
	XCHACHA_NONCE_SIZE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
	XCHACHA_TAG_SIZE = crypto_aead_xchacha20poly1305_ietf_ABYTES,
};

// With what, and what is authenticated besides.
struct xchacha {
	const uint8_t *key, *nonce;
	const void *data;
	size_t data_size;
};

// ${size} bytes of ${plain} to ${cipher}, which may be ${plain}.
void xchacha_encrypt(const struct xchacha *how, const uint8_t *plain, size_t size, uint8_t *cipher,
		     uint8_t tag[XCHACHA_TAG_SIZE]);

// Back, to ${plain}, which may be ${cipher}. False: that is not what the key, the nonce and the data have made; then
// there are zeros in ${plain}.
bool xchacha_decrypt(const struct xchacha *how, const uint8_t *cipher, size_t size, const uint8_t tag[XCHACHA_TAG_SIZE],
		     uint8_t *plain);

#endif
