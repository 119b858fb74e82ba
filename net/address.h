// SPDX-License-Identifier: MIT
// Addresses of nodes: HOST:PORT, [IPv6]:PORT, unix:PATH; of one whose key is known, sha256:HEX@HOST:PORT.
#ifndef HVFS_NET_ADDRESS_H
#define HVFS_NET_ADDRESS_H

#include "crypto/fingerprint.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

struct address {
	char text[512];   // as the user wrote it
	bool is_unix;
	char host[256];   // TCP: name or number
	char port[8];     // TCP: decimal
	char path[108];   // unix
	bool is_pinned;   // TCP: who is there has this key
	struct fingerprint pin;
};

// Parse ${text}. Returns 0, or -1 and a sentence that names the text, what is wrong and what would be right.
int address_parse(const char *text, struct address *ret, char *error, size_t error_size);

// True when ${address} can only be reached from this machine: unix, localhost, 127.0.0.0/8, ::1.
bool address_is_local(const struct address *address);

#endif
