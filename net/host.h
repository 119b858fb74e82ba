// SPDX-License-Identifier: MIT
// Whose connections are counted together.
#ifndef HVFS_NET_HOST_H
#define HVFS_NET_HOST_H

#include <stdbool.h>
#include <stdint.h>

// An IPv4 address, or the net that an IPv6 host has for itself (a /64); all zeros: neither.
struct host {
	uint8_t bytes[16];
};

// Who is at the other end of the socket ${fd}.
struct host host_of(int fd);

// The same?
bool host_equal(const struct host *left, const struct host *right);

#endif
