// SPDX-License-Identifier: MIT
// Buffers that the key's bytes pass through are wiped.
#include "crypto/identity.h"

#include "crypto/secret_file.h"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	FILE_SIZE_MAX = 16 * 1024,
	SECURE_SIZE = 64 * 1024, // of all keys; powers of two
	SECURE_PIECE_MIN = 32,
};

struct identity {
	EVP_PKEY *key;
	X509 *certificate;
	struct fingerprint fingerprint;
};

static int __attribute__((format(printf, 3, 4))) fail(char *error, size_t error_size, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(error, error_size, format, arguments);
	va_end(arguments);
	ERR_clear_error(); // what OpenSSL has to say about it is about formats, not about the file
	return -1;
}

// ---- A new one ----

static int
write_key(EVP_PKEY *key, const char *path, char *error, size_t error_size)
{
	BIO *memory = BIO_new(BIO_s_mem());
	char *bytes = NULL;
	long size;
	int rc;

	if (memory == NULL || PEM_write_bio_PKCS8PrivateKey(memory, key, NULL, NULL, 0, NULL, NULL) != 1 ||
	    (size = BIO_get_mem_data(memory, &bytes)) <= 0) {
		BIO_free(memory);
		return fail(error, error_size, "%s: the key can not be encoded", path);
	}
	rc = secret_file_create(path, bytes, (size_t)size, error, error_size);
	OPENSSL_cleanse(bytes, (size_t)size);
	BIO_free(memory);
	return rc;
}

int
identity_create(const char *path, struct fingerprint *ret, char *error, size_t error_size)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	struct fingerprint fingerprint;
	int rc;

	if (key == NULL || fingerprint_of_key(key, &fingerprint) != 0) {
		EVP_PKEY_free(key);
		return fail(error, error_size, "%s: OpenSSL has no Ed25519 key to give", path);
	}
	rc = write_key(key, path, error, error_size);
	EVP_PKEY_free(key);
	if (rc == 0)
		*ret = fingerprint;
	return rc;
}

// ---- One that is there ----

// Nobody is there to type a passphrase.
static int
no_passphrase(char *bytes, int size, int writing, void *arg)
{
	bool *asked = arg;

	*asked = true;
	return -1;
}

static EVP_PKEY *
decode(char *bytes, size_t size, const char *path, char *error, size_t error_size)
{
	BIO *memory = BIO_new_mem_buf(bytes, (int)size);
	bool asked = false;
	EVP_PKEY *key = memory != NULL ? PEM_read_bio_PrivateKey(memory, NULL, no_passphrase, &asked) : NULL;

	BIO_free(memory);
	if (key != NULL && EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519)
		return key;
	if (asked)
		fail(error, error_size, "%s: the key is encrypted, and nobody is asked for a passphrase here", path);
	else if (key == NULL)
		fail(error, error_size, "%s: there is no private key in it (PEM); right would be a file that 'hvfs keygen' has made",
		     path);
	else
		fail(error, error_size, "%s: the key is of another kind than Ed25519; right would be a file that 'hvfs keygen' has made",
		     path);
	EVP_PKEY_free(key);
	return NULL;
}

static EVP_PKEY *
load_key(const char *path, char *error, size_t error_size)
{
	static const struct secret_kind kind = {.noun = "key", .maker = "hvfs keygen"};
	char bytes[FILE_SIZE_MAX];
	ssize_t size = secret_file_read(path, &kind, bytes, sizeof(bytes), error, error_size);
	EVP_PKEY *key = size >= 0 ? decode(bytes, (size_t)size, path, error, error_size) : NULL;

	OPENSSL_cleanse(bytes, sizeof(bytes));
	return key;
}

static X509 *
make_certificate(EVP_PKEY *key)
{
	X509 *certificate = X509_new();

	if (certificate != NULL && X509_set_version(certificate, X509_VERSION_3) == 1 &&
	    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1) == 1 &&
	    ASN1_TIME_set_string_X509(X509_getm_notBefore(certificate), "19700101000000Z") == 1 &&
	    ASN1_TIME_set_string_X509(X509_getm_notAfter(certificate), "99991231235959Z") == 1 &&
	    X509_set_pubkey(certificate, key) == 1 && X509_sign(certificate, key, NULL) > 0)
		return certificate;
	X509_free(certificate);
	return NULL;
}

struct identity *
identity_load(const char *path, char *error, size_t error_size)
{
	struct identity *identity = calloc(1, sizeof(*identity));

	if (identity == NULL) {
		fail(error, error_size, "%s: no memory", path);
		return NULL;
	}
	// OpenSSL keeps private keys in memory that is locked and left out of cores, if it has some; without, it goes on.
	if (CRYPTO_secure_malloc_initialized() == 0)
		CRYPTO_secure_malloc_init(SECURE_SIZE, SECURE_PIECE_MIN);
	identity->key = load_key(path, error, error_size);
	if (identity->key == NULL) {
		identity_destroy(identity);
		return NULL;
	}
	identity->certificate = make_certificate(identity->key);
	if (identity->certificate != NULL && fingerprint_of_key(identity->key, &identity->fingerprint) == 0)
		return identity;
	fail(error, error_size, "%s: no certificate can be made of the key", path);
	identity_destroy(identity);
	return NULL;
}

void
identity_destroy(struct identity *identity)
{
	if (identity == NULL)
		return;
	X509_free(identity->certificate);
	EVP_PKEY_free(identity->key); // wipes it
	free(identity);
}

const struct fingerprint *
identity_fingerprint(const struct identity *identity)
{
	return &identity->fingerprint;
}

struct evp_pkey_st *
identity_key(const struct identity *identity)
{
	return identity->key;
}

struct x509_st *
identity_certificate(const struct identity *identity)
{
	return identity->certificate;
}
