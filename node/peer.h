// SPDX-License-Identifier: MIT
// Who is at the other end of a link, as far as that was proved: somebody with a key, a process of some user of this machine, or
// nobody knows who.
#ifndef HVFS_NODE_PEER_H
#define HVFS_NODE_PEER_H

#include "crypto/fingerprint.h"

#include <sys/types.h>

enum peer_kind {
	PEER_INSECURE, // plain TCP
	PEER_UID,      // a unix socket
	PEER_KEY,      // TLS
};

struct peer {
	enum peer_kind kind;
	uid_t uid;
	struct fingerprint key;
};

enum { PEER_TEXT_SIZE = FINGERPRINT_TEXT_SIZE };

// "sha256:HEX" or "uid:N". Returns 0, or -1 and a sentence that names ${text} and what would be right.
int peer_parse(const char *text, struct peer *ret, char *error, size_t error_size);

// The same the other way round, and "insecure"; into ${text}, which is returned.
const char *peer_print(const struct peer *peer, char text[PEER_TEXT_SIZE]);

// Is it the same?
bool peer_equal(const struct peer *left, const struct peer *right);

// Who is at the other end of ${fd}, a unix socket. Returns 0 or -1.
int peer_of_socket(int fd, struct peer *ret);

#endif
