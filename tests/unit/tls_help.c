// SPDX-License-Identifier: MIT
#include "tls_help.h"

#include <check.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct identity *
tls_help_identity(void)
{
	char directory[] = "/tmp/hvfs-tls-XXXXXX", path[100], error[512];
	struct fingerprint fingerprint;
	struct identity *identity;

	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/key", directory);
	ck_assert_msg(identity_create(path, &fingerprint, error, sizeof(error)) == 0, "%s", error);
	identity = identity_load(path, error, sizeof(error));
	ck_assert_msg(identity != NULL, "%s", error);
	unlink(path);
	rmdir(directory);
	return identity;
}

static bool
everybody(void *arg, const struct fingerprint *peer)
{
	return true;
}

void
tls_help_pair(const int fds[2], struct ssl_st *ret[2])
{
	struct tls_question questions[2] = {{.is_right = everybody}, {.is_right = everybody}};
	int done[2] = {0};
	char error[256];

	for (int i = 0; i < 2; i++) {
		struct identity *identity = tls_help_identity();
		struct tls *tls = tls_create(identity, error, sizeof(error));

		ck_assert_msg(tls != NULL, "%s", error);
		ret[i] = tls_session(tls, fds[i], i == 0, &questions[i]);
		ck_assert_ptr_nonnull(ret[i]);
		identity_destroy(identity);
		tls_destroy(tls); // the session keeps what it needs
	}
	while (done[0] != 1 || done[1] != 1)
		for (int i = 0; i < 2; i++)
			if (done[i] != 1) {
				done[i] = SSL_do_handshake(ret[i]);
				ck_assert(done[i] == 1 || SSL_get_error(ret[i], done[i]) == SSL_ERROR_WANT_READ ||
					  SSL_get_error(ret[i], done[i]) == SSL_ERROR_WANT_WRITE);
			}
	for (int i = 0; i < 2; i++) {
		ck_assert(questions[i].asked);
		tls_forget_question(ret[i]);
	}
}
