// SPDX-License-Identifier: MIT
#include "crypto/fingerprint.h"

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

int
fingerprint_of_key(struct evp_pkey_st *key, struct fingerprint *ret)
{
	unsigned char *der = NULL;
	int size = i2d_PUBKEY(key, &der);
	unsigned int digest_size = 0;
	int ok;

	if (size <= 0)
		return -1;
	ok = EVP_Digest(der, (size_t)size, ret->bytes, &digest_size, EVP_sha256(), NULL);
	OPENSSL_free(der);
	return ok == 1 && digest_size == FINGERPRINT_SIZE ? 0 : -1;
}

const char *
fingerprint_print(const struct fingerprint *fingerprint, char text[FINGERPRINT_TEXT_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	char *at = stpcpy(text, FINGERPRINT_PREFIX);

	for (int i = 0; i < FINGERPRINT_SIZE; i++) {
		*at++ = digits[fingerprint->bytes[i] >> 4];
		*at++ = digits[fingerprint->bytes[i] & 15];
	}
	*at = '\0';
	return text;
}

static int
digit_value(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	if (digit >= 'a' && digit <= 'f')
		return digit - 'a' + 10;
	return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

int
fingerprint_parse(const char *text, struct fingerprint *ret, char *error, size_t error_size)
{
	size_t prefix = strlen(FINGERPRINT_PREFIX);
	struct fingerprint parsed;

	if (strncmp(text, FINGERPRINT_PREFIX, prefix) != 0 || strlen(text) != prefix + (size_t)2 * FINGERPRINT_SIZE) {
		snprintf(error, error_size, "'%.80s' is no fingerprint: right would be sha256: and %d hex digits", text,
			 2 * FINGERPRINT_SIZE);
		return -1;
	}
	for (int i = 0; i < FINGERPRINT_SIZE; i++) {
		int high = digit_value(text[prefix + (size_t)2 * i]), low = digit_value(text[prefix + (size_t)2 * i + 1]);

		if (high < 0 || low < 0) {
			snprintf(error, error_size, "'%.80s' is no fingerprint: '%c' is no hex digit", text,
				 text[prefix + (size_t)2 * i + (high < 0 ? 0 : 1)]);
			return -1;
		}
		parsed.bytes[i] = (uint8_t)(high << 4 | low);
	}
	*ret = parsed;
	return 0;
}

bool
fingerprint_equal(const struct fingerprint *left, const struct fingerprint *right)
{
	return memcmp(left->bytes, right->bytes, FINGERPRINT_SIZE) == 0;
}
