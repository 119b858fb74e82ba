// SPDX-License-Identifier: MIT
// Keys that live as long as a test, and pairs of sessions.
#ifndef HVFS_TESTS_TLS_HELP_H
#define HVFS_TESTS_TLS_HELP_H

#include "crypto/identity.h"
#include "net/tls.h"

// A new key. The file is gone.
struct identity *tls_help_identity(void);

// Two sessions on the ends of a connection, each with a key of its own, whose handshake is done; ${fds} are not blocking. The
// first has dialled.
void tls_help_pair(const int fds[2], struct ssl_st *ret[2]);

#endif
