// SPDX-License-Identifier: MIT
// TLS handshakes on the event loop. Nobody hears of a connection before the key at its other end is known to be right. How many
// are under way is bounded, in all and for each host that dials; when there are too many the oldest of the host with the most
// makes room, so that who floods is in his own way.
#ifndef HVFS_NET_HANDSHAKE_H
#define HVFS_NET_HANDSHAKE_H

#include "crypto/fingerprint.h"

#include <stddef.h>
#include <stdint.h>

struct event_base;
struct handshake;
struct handshakes;
struct identity;
struct ssl_st;

struct handshake_callbacks {
	// Somebody with this key has dialled: may he come in?
	bool (*is_known)(void *arg, const struct fingerprint *peer);
	// Who has dialled, ${name}, has come in: ${fd} and ${ssl} are the callee's now.
	void (*accepted)(void *arg, int fd, struct ssl_st *ssl, const char *name, const struct fingerprint *peer);
	// He has not; ${why} is a sentence. The connection is closed.
	void (*refused)(void *arg, const char *name, const char *why);
	// The same for the one that we have dialled.
	void (*dialled)(void *arg, int fd, struct ssl_st *ssl);
	// ${for_now}: to try again may help without a change at one of the two.
	void (*failed)(void *arg, const char *why, bool for_now);
};

// All handshakes of a node with ${identity}, which is borrowed for the call. Returns NULL and a sentence.
struct handshakes *handshakes_create(struct event_base *base, const struct identity *identity,
	const struct handshake_callbacks *callbacks, void *arg, char *error, size_t error_size);

// Closes those that are under way, and tells nobody.
void handshakes_destroy(struct handshakes *handshakes);

// Take over ${fd}, which ${name} (for logs) has dialled. Callbacks run from the loop only.
void handshakes_accept(struct handshakes *handshakes, int fd, const char *name);

// Take over ${fd}, a connection to who has to have the key of ${peer}; give up after ${ms}. One at a time.
void handshakes_dial(struct handshakes *handshakes, int fd, const struct fingerprint *peer, uint32_t ms);

// That one is not wanted any more, if there is one.
void handshakes_cancel_dial(struct handshakes *handshakes);

// How many of those who have dialled are not through.
size_t handshakes_count(const struct handshakes *handshakes);

#endif
