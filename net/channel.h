// SPDX-License-Identifier: MIT
// What a link reads from and writes to: a connected, non-blocking socket, as it is, or with TLS on it. The process ignores
// SIGPIPE.
#ifndef HVFS_NET_CHANNEL_H
#define HVFS_NET_CHANNEL_H

#include "net/tls.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct ssl_st;

enum channel_result {
	CHANNEL_DONE,   // as much as was possible
	CHANNEL_WAITS,  // for the socket: to be readable, when it was read; else to be writable. But see channel_crosses
	CHANNEL_ENDED,  // reading: the peer has closed its side
	CHANNEL_FAILED, // why says how
};

enum { CHANNEL_WHY_SIZE = 320 };

struct channel {
	int fd;
	struct ssl_st *ssl; // NULL: plain
	bool read_waits_write, write_waits_read;
	enum channel_result next_read; // what the next read has to tell, but for CHANNEL_DONE: found out behind the last bytes
	uint64_t plain_received, plain_sent;
	char why[CHANNEL_WHY_SIZE];
	enum tls_refusal refusal; // of the other end
};

// Take over ${fd}, and ${ssl} on it, whose handshake is done; NULL: plain.
void channel_init(struct channel *channel, int fd, struct ssl_st *ssl);

// Say good-bye, if that can be done without waiting, and close.
void channel_close(struct channel *channel);

// Read into the ${count} pieces of ${iov}, at least one byte. *ret_more: there may be more, of which the socket will not
// tell. Only after CHANNEL_DONE are the outputs set.
enum channel_result channel_read(struct channel *channel, const struct iovec *iov, int count, size_t *ret_size, bool *ret_more);

// Write of ${iov} as much as is possible at once, at least one byte. What is not written has to be given again, in front of
// whatever follows, and unchanged.
enum channel_result channel_write(struct channel *channel, const struct iovec *iov, int count, size_t *ret_size);

// Bytes that came from the peer's host; that were given to the system for it. Of TLS, those of its records.
uint64_t channel_received(const struct channel *channel);
uint64_t channel_sent(const struct channel *channel);

#endif
