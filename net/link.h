// SPDX-License-Identifier: MIT
// One connection to a neighbour: bytes to messages and back. On libevent; TCP (TCP_NODELAY) or unix stream sockets, with TLS on
// it or not (net/channel).
// Reading never stops while the link is open (protocol.md R15). Writing is tried at once; what the socket does not take
// waits, in order, with counts of the buffers it needs (no copy of block data).
#ifndef HVFS_NET_LINK_H
#define HVFS_NET_LINK_H

#include "core/message.h"
#include "net/address.h"
#include "net/tls.h"
#include "net/wire.h"

struct event_base;
struct link;
struct ssl_st;
struct listener;
struct dialer;

struct link_callbacks {
	// The pool of buffers of ${size} bytes, for blocks that arrive.
	struct buf_pool *(*pool)(void *arg, size_t size);
	// A message arrived; it and what it points to is valid during the call. DATA items are in buffers (bytes points
	// there): who keeps one takes a count.
	// link_close (of this or another link) may be called from here.
	void (*message)(void *arg, struct link *link, const struct message *message);
	// A message did not decode. The link goes on when the message's end was known (${fatal} false).
	void (*malformed)(void *arg, struct link *link, const struct message *header, const struct wire_error *error, bool fatal);
	// Less than half of LIMIT_LINK_DATA_SIZE is waiting now, and more was before.
	void (*room)(void *arg, struct link *link);
	// The peer or the network ended it, or a write failed; ${why} is a sentence, ${refusal}: whether to
	// try again may help. The link is freed after the call.
	void (*closed)(void *arg, struct link *link, const char *why, enum tls_refusal refusal);
};

// Takes over the connected, non-blocking socket ${fd}. ${peer} is a name for logs. Callbacks run from the event loop only,
// never from within link_send.
struct link *link_create(struct event_base *base, int fd, const char *peer, const struct link_callbacks *callbacks, void *arg);

// The same with TLS on it, whose handshake is done: ${ssl} is taken over, too.
struct link *link_create_tls(struct event_base *base, int fd, struct ssl_st *ssl, const char *peer,
	const struct link_callbacks *callbacks, void *arg);

// Close and free without the closed callback. Safe inside any callback of any link.
void link_close(struct link *link);

// Encode and queue ${message}; ${block_size} is that of its data items. Counts of its buffers are taken as needed.
void link_send(struct link *link, const struct message *message, size_t block_size);

// The owner counts ${size} bytes more as waiting than link_send was given: the room callback is due for them too.
void link_count(struct link *link, size_t size);

// Write what was queued since the last call: once after a batch of sends.
void link_flush(struct link *link);

// Since the last call, or the beginning: did bytes come, or did the peer's host take any of those that were sent? So a long
// message on a slow link can be told from silence.
bool link_has_progressed(struct link *link);

// More than ${queue_max} bytes that wait are too many, and messages of more than ${message_max} bytes are no messages, from now on.
// At first the bounds of a parent, and of all messages.
void link_set_bounds(struct link *link, size_t queue_max, size_t message_max);

// Read no more until told to: for an owner who has got more than he can work off. Not to wait for the peer by (R15).
void link_set_reading(struct link *link, bool reading);

// Bytes that wait in this process.
size_t link_queued(const struct link *link);

// The name given at creation.
const char *link_peer(const struct link *link);

// A pointer of the owner's that the link carries along; NULL at first.
void *link_owner(const struct link *link);
void link_set_owner(struct link *link, void *owner);

// Listen on ${address}; accepted(arg, fd, peer name) owns the non-blocking fd. A stale unix socket (nobody answers) is
// replaced; one in use is an error. Unix sockets are made with mode 0600. Returns NULL and a sentence.
struct listener *listener_create(struct event_base *base, const struct address *address,
	void (*accepted)(void *arg, int fd, const char *peer), void *arg, char *error, size_t error_size);

// Its socket in the file system (of a unix address, else nothing is done) belongs to that user from now on. Returns 0, or -1
// with errno; ESTALE: it is not there any more.
int listener_give(const struct listener *listener, uid_t uid, gid_t gid);

void listener_destroy(struct listener *listener);

// Keeps dialling the ${count} addresses in order, round and round, with a pause between rounds (50 ms doubling to 5 s)
// until a connection is there; then connected(arg, fd, address) owns the fd and the dialer rests until dialer_start is
// called again. If dialer_succeeded was called meanwhile, that begins a new round with this address, and without a pause
// if it was of use for a second; else it goes on with the next address of the same round. failed(arg, address, why) is
// called for each attempt that failed.
struct dialer *dialer_create(struct event_base *base, const struct address *addresses, size_t count,
	void (*connected)(void *arg, int fd, const struct address *address),
	void (*failed)(void *arg, const struct address *address, const char *why), void *arg);
void dialer_start(struct dialer *dialer);
void dialer_succeeded(struct dialer *dialer);

// While it rests: other addresses from now on. The next start begins a round with the first of them.
void dialer_set_addresses(struct dialer *dialer, const struct address *addresses, size_t count);

// Give an attempt up after ${ms}, at most 5 s.
void dialer_set_timeout(struct dialer *dialer, uint32_t ms);
void dialer_destroy(struct dialer *dialer);

#endif
