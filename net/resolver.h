// SPDX-License-Identifier: MIT
// Names to addresses without stopping the loop. getaddrinfo knows everything a host is configured for (files, mDNS,
// LDAP), but blocks: it runs in a thread of its own, whose answer comes back through a socket pair.
#ifndef HVFS_NET_RESOLVER_H
#define HVFS_NET_RESOLVER_H

#include "net/address.h"

struct addrinfo;
struct event_base;
struct resolver;

// Look up the TCP ${address}. found(arg, infos, why) is called once from the loop: ${infos} is the callee's
// (freeaddrinfo), or NULL and ${why} a sentence. Returns NULL when it can not be started.
struct resolver *resolver_start(struct event_base *base, const struct address *address,
				void (*found)(void *arg, struct addrinfo *infos, const char *why), void *arg);

// Not called any more. The thread, if it still waits for a server, ends by itself.
void resolver_cancel(struct resolver *resolver);

#endif
