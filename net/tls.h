// SPDX-License-Identifier: MIT
// TLS 1.3 between two nodes that know each other by their keys: both have a certificate, and nothing of it counts but the
// fingerprint of its key. No tickets, no resumption, no early data: each link is authenticated from the beginning.
#ifndef HVFS_NET_TLS_H
#define HVFS_NET_TLS_H

#include "crypto/fingerprint.h"

struct identity;
struct ssl_st;
struct tls;

// Is to try again of no use, before something is changed at one of the two?
enum tls_refusal {
	REFUSAL_NONE,    // it may be
	REFUSAL_USELESS, // they do not understand each other
	REFUSAL_OF_KEY,  // the other end says, under its own key, that it does not want ours
};

// What a session asks about the other end, once: is it right? Has to live until the handshake is over.
struct tls_question {
	bool (*is_right)(void *arg, const struct fingerprint *peer);
	void *arg;
	bool asked;
	struct fingerprint peer; // whom it was asked about
};

// As ${identity}, which is borrowed for the call. Returns NULL and a sentence.
struct tls *tls_create(const struct identity *identity, char *error, size_t error_size);
void tls_destroy(struct tls *tls);

// A session on ${fd}, to be closed before it; its handshake is still to be done. NULL: no memory. ${dials}: this is who has
// dialled.
struct ssl_st *tls_session(struct tls *tls, int fd, bool dials, struct tls_question *question);

// The handshake is over: the question is answered.
void tls_forget_question(struct ssl_st *ssl);

// Why ${what} (a word like "reading") failed, in a sentence. ${error}: SSL_get_error, ${sys_errno}: of then.
enum tls_refusal tls_describe(struct ssl_st *ssl, int error, int sys_errno, const char *what, char *ret, size_t size);

#endif
