// SPDX-License-Identifier: MIT
// The file is looked at by its descriptor, so that what was checked is what is read. Buffers that the key's bytes pass through
// are wiped.
#include "crypto/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_SIZE_MAX = 16 * 1024 };

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
write_all(int fd, const char *bytes, size_t size)
{
	while (size > 0) {
		ssize_t written = write(fd, bytes, size);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return -1;
		bytes += written;
		size -= (size_t)written;
	}
	return 0;
}

// The name of a new file is on stable storage when its directory is.
static int
sync_directory_of(const char *path)
{
	char copy[PATH_MAX];
	int fd, rc, saved;

	if (snprintf(copy, sizeof(copy), "%s", path) >= (int)sizeof(copy)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	rc = fsync(fd);
	saved = errno;
	close(fd);
	errno = saved;
	return rc;
}

static int
write_new_file(const char *path, const char *bytes, size_t size, char *error, size_t error_size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	int saved;

	if (fd < 0 && errno == EEXIST)
		return fail(error, error_size, "%s: is there already, and a key is never overwritten: give another name", path);
	if (fd < 0)
		return fail(error, error_size, "%s: %s", path, strerror(errno));
	if (write_all(fd, bytes, size) == 0 && fsync(fd) == 0 && sync_directory_of(path) == 0) {
		close(fd);
		return 0;
	}
	saved = errno;
	close(fd);
	unlink(path);
	return fail(error, error_size, "%s: %s", path, strerror(saved));
}

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
	rc = write_new_file(path, bytes, (size_t)size, error, error_size);
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

static int
check_file(int fd, const char *path, char *error, size_t error_size)
{
	struct stat status;

	if (fstat(fd, &status) != 0)
		return fail(error, error_size, "%s: %s", path, strerror(errno));
	if (!S_ISREG(status.st_mode))
		return fail(error, error_size, "%s: is no file; right would be one that 'hvfs keygen' has made", path);
	if (status.st_uid != geteuid())
		return fail(error, error_size,
			    "%s: belongs to uid %u, and this is uid %u: who owns the file has the key; make one of your own with "
			    "'hvfs keygen', or: chown %u %s",
			    path, (unsigned)status.st_uid, (unsigned)geteuid(), (unsigned)geteuid(), path);
	if ((status.st_mode & 077) != 0)
		return fail(error, error_size, "%s: has mode %04o, so that others than its owner can get at the key: chmod 600 %s",
			    path, (unsigned)status.st_mode & 07777, path);
	if (status.st_size > FILE_SIZE_MAX)
		return fail(error, error_size, "%s: has %lld bytes, which is no key", path, (long long)status.st_size);
	return 0;
}

// Returns the bytes read, or -1 with errno.
static ssize_t
read_all(int fd, char *bytes, size_t room)
{
	size_t size = 0;

	while (size < room) {
		ssize_t got = read(fd, bytes + size, room - size);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		size += (size_t)got;
	}
	return (ssize_t)size;
}

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
	char bytes[FILE_SIZE_MAX];
	EVP_PKEY *key = NULL;
	ssize_t size;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); // whatever it is, opening it ends

	if (fd < 0) {
		fail(error, error_size, "%s: %s%s%s", path, strerror(errno), errno == ENOENT ? "; make one: hvfs keygen " : "",
		     errno == ENOENT ? path : "");
		return NULL;
	}
	if (check_file(fd, path, error, error_size) == 0) {
		size = read_all(fd, bytes, sizeof(bytes));
		if (size < 0)
			fail(error, error_size, "%s: %s", path, strerror(errno));
		else
			key = decode(bytes, (size_t)size, path, error, error_size);
		OPENSSL_cleanse(bytes, sizeof(bytes));
	}
	close(fd);
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
