// SPDX-License-Identifier: MIT
// XAES-256-GCM (C2SP, c2sp.org/XAES-256-GCM): AES-256-GCM under a key that is derived from the key and the first half
// of the nonce. So nonces are long enough to be drawn at random, as often as anybody likes. Where the processor has
// instructions for it, it is the AEAD that costs least.
#ifndef HVFS_CRYPTO_XAES_H
#define HVFS_CRYPTO_XAES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	XAES_KEY_SIZE = 32,
	XAES_NONCE_SIZE = 24,
	XAES_PREFIX_SIZE = 12, // of the nonce: those that have it in common cost less one after the other
	XAES_TAG_SIZE = 16,
};

// With what, and what is authenticated besides.
struct xaes {
	const uint8_t *key, *nonce;
	const void *data;
	size_t data_size;
};

// ${size} bytes of ${plain} to ${cipher}, which may be ${plain}.
void xaes_encrypt(const struct xaes *how, const uint8_t *plain, size_t size, uint8_t *cipher,
		  uint8_t tag[XAES_TAG_SIZE]);

// Back, to ${plain}, which may be ${cipher}. False: that is not what the key, the nonce and the data have made; then
// there are zeros in ${plain}.
bool xaes_decrypt(const struct xaes *how, const uint8_t *cipher, size_t size, const uint8_t tag[XAES_TAG_SIZE],
		  uint8_t *plain);

#endif
