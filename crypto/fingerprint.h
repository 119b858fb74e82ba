// SPDX-License-Identifier: MIT
// By which a node is known: the SHA-256 of its public key as DER SubjectPublicKeyInfo, written "sha256:" and 64 hex digits.
// `openssl pkey -pubin -outform der | sha256sum` gives the same.
#ifndef HVFS_CRYPTO_FINGERPRINT_H
#define HVFS_CRYPTO_FINGERPRINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	FINGERPRINT_SIZE = 32,
	FINGERPRINT_TEXT_SIZE = 7 + 2 * FINGERPRINT_SIZE + 1, // the NUL included
};

#define FINGERPRINT_PREFIX "sha256:"

struct fingerprint {
	uint8_t bytes[FINGERPRINT_SIZE];
};

struct evp_pkey_st;

// Of ${key}. Returns 0, or -1: the library failed.
int fingerprint_of_key(struct evp_pkey_st *key, struct fingerprint *ret);

// The text of ${fingerprint} into ${text}, which is returned.
const char *fingerprint_print(const struct fingerprint *fingerprint, char text[FINGERPRINT_TEXT_SIZE]);

// Parse ${text}, all of it; hex digits of either case. Returns 0, or -1 and a sentence that says what is wrong and what would be
// right.
int fingerprint_parse(const char *text, struct fingerprint *ret, char *error, size_t error_size);

// Are they of the same key?
bool fingerprint_equal(const struct fingerprint *left, const struct fingerprint *right);

#endif
