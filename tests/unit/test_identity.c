// SPDX-License-Identifier: MIT
// Keys of nodes, and by which they are known.
#include "crypto/identity.h"

#include <check.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

// ---- Fixture: a directory ----

static char directory[] = "/tmp/hvfs-identity-XXXXXX", path[200], error[1024];

static void
setup(void)
{
	strcpy(directory + strlen(directory) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/node.key", directory);
	error[0] = '\0';
}

static void
teardown(void)
{
	unlink(path);
	rmdir(directory);
}

static struct fingerprint
created(void)
{
	struct fingerprint fingerprint;

	ck_assert_msg(identity_create(path, &fingerprint, error, sizeof(error)) == 0, "%s", error);
	return fingerprint;
}

static void
assert_not_loaded(const char *why)
{
	ck_assert_ptr_null(identity_load(path, error, sizeof(error)));
	ck_assert_msg(strstr(error, why) != NULL && strstr(error, path) != NULL, "'%s' does not say '%s'", error, why);
}

static void
write_file(const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

// ---- Cases ----

// What was made is found again, as the same.
START_TEST(test_created_and_loaded)
{
	struct fingerprint made = created();
	struct identity *identity = identity_load(path, error, sizeof(error));
	struct stat status;

	ck_assert_msg(identity != NULL, "%s", error);
	ck_assert(fingerprint_equal(&made, identity_fingerprint(identity)));
	ck_assert_int_eq(stat(path, &status), 0);
	ck_assert_uint_eq(status.st_mode & 07777, 0600);
	identity_destroy(identity);
}
END_TEST

// Also under a careless umask.
START_TEST(test_umask)
{
	mode_t mask = umask(0);
	struct stat status;

	created();
	umask(mask);
	ck_assert_int_eq(stat(path, &status), 0);
	ck_assert_uint_eq(status.st_mode & 07777, 0600);
}
END_TEST

// Two keys are two nodes; a key is never written over, not by way of a link either.
START_TEST(test_never_overwritten)
{
	struct fingerprint first = created(), second;
	struct identity *identity;
	char other[300];

	ck_assert_int_eq(identity_create(path, &second, error, sizeof(error)), -1);
	ck_assert(strstr(error, "never overwritten") != NULL && strstr(error, path) != NULL);
	identity = identity_load(path, error, sizeof(error));
	ck_assert(identity != NULL && fingerprint_equal(&first, identity_fingerprint(identity)));
	identity_destroy(identity);

	snprintf(other, sizeof(other), "%s/link", directory);
	ck_assert_int_eq(symlink("nowhere", other), 0);
	ck_assert_int_eq(identity_create(other, &second, error, sizeof(error)), -1);
	unlink(other);
	snprintf(other, sizeof(other), "%s/other", directory);
	ck_assert_int_eq(identity_create(other, &second, error, sizeof(error)), 0);
	ck_assert(!fingerprint_equal(&first, &second));
	unlink(other);
}
END_TEST

START_TEST(test_loose_file)
{
	static const mode_t loose[] = {0640, 0604, 0660, 0601, 0620, 0644, 0777};

	created();
	for (size_t i = 0; i < sizeof(loose) / sizeof(*loose); i++) {
		char mode[8];

		snprintf(mode, sizeof(mode), "%04o", (unsigned)loose[i]);
		ck_assert_int_eq(chmod(path, loose[i]), 0);
		assert_not_loaded(mode);
		assert_not_loaded("chmod 600");
	}
	ck_assert_int_eq(chmod(path, 0400), 0);
	identity_destroy(identity_load(path, error, sizeof(error)));
}
END_TEST

START_TEST(test_file_of_another)
{
	if (geteuid() != 0)
		return;
	created();
	ck_assert_int_eq(chown(path, 12345, (gid_t)-1), 0);
	assert_not_loaded("belongs to uid 12345");
}
END_TEST

START_TEST(test_no_key)
{
	assert_not_loaded("hvfs keygen");
	write_file("");
	assert_not_loaded("no private key");
	write_file("-----BEGIN PRIVATE KEY-----\nMC4CAQ\n-----END PRIVATE KEY-----\n");
	assert_not_loaded("no private key");
	ck_assert_int_eq(truncate(path, 1 << 20), 0);
	assert_not_loaded("which is no key");
	unlink(path);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	assert_not_loaded("is no file");
}
END_TEST

// Keys of other kinds and encrypted ones are told from no key.
START_TEST(test_other_keys)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	FILE *file;

	ck_assert_ptr_nonnull(key);
	write_file("");
	file = fopen(path, "w");
	ck_assert_int_eq(PEM_write_PKCS8PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
	fclose(file);
	assert_not_loaded("another kind than Ed25519");
	file = fopen(path, "w");
	ck_assert_int_eq(PEM_write_PKCS8PrivateKey(file, key, EVP_aes_256_cbc(), "secret", 6, NULL, NULL), 1);
	fclose(file);
	assert_not_loaded("encrypted");
	EVP_PKEY_free(key);
}
END_TEST

// The certificate is the key's, and tells nothing else.
START_TEST(test_certificate)
{
	struct identity *identity;
	X509 *certificate;

	created();
	identity = identity_load(path, error, sizeof(error));
	certificate = identity_certificate(identity);
	ck_assert_int_eq(X509_verify(certificate, identity_key(identity)), 1);
	ck_assert_int_eq(X509_NAME_entry_count(X509_get_subject_name(certificate)), 0);
	ck_assert_int_eq(X509_NAME_entry_count(X509_get_issuer_name(certificate)), 0);
	ck_assert_int_eq(X509_get_ext_count(certificate), 0);
	identity_destroy(identity);
}
END_TEST

START_TEST(test_fingerprint_text)
{
	static const char text[] = "sha256:00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF";
	static const char *const wrong[] = {
		"", "sha256:", "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
		"sha512:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
		"sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeef",
		"sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff0",
		"sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeefg",
		"sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddee f"};
	char printed[FINGERPRINT_TEXT_SIZE];
	struct fingerprint fingerprint;

	ck_assert_int_eq(fingerprint_parse(text, &fingerprint, error, sizeof(error)), 0);
	ck_assert_uint_eq(fingerprint.bytes[1], 0x11);
	ck_assert_uint_eq(fingerprint.bytes[31], 0xff);
	ck_assert_int_eq(strcasecmp(fingerprint_print(&fingerprint, printed), text), 0);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		ck_assert_msg(fingerprint_parse(wrong[i], &fingerprint, error, sizeof(error)) == -1, "%s was taken", wrong[i]);
}
END_TEST

int
main(void)
{
	const TTest *const cases[] = {
		test_created_and_loaded, test_umask, test_never_overwritten, test_loose_file, test_file_of_another,
		test_no_key, test_other_keys, test_certificate, test_fingerprint_text,
	};
	Suite *suite = suite_create("identity");
	TCase *tcase = tcase_create("identity");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		tcase_add_test(tcase, cases[i]);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
