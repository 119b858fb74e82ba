// SPDX-License-Identifier: MIT
// Reading: net/receiver. An idle link has no buffer; one within a message has what has come of it, its blocks in the
// buffers in which they stay. Where bytes are put of which nothing is known is shared by all links of the thread. A
// readiness event reads a few times at most, so that other links get their turn; with TLS the socket may not tell of what
// is left, so the link tells itself.
//
// Writing: net/send_queue. The socket is written at link_flush; only when it is full an event waits for it. With TLS
// either direction may have to wait for what the other one usually does.
//
// Callbacks may close this or any link. A link that is inside its own event is marked dead and freed at the event's
// end; every other one is freed at once.
#include "net/link.h"

#include "core/check.h"
#include "net/channel.h"
#include "net/receiver.h"
#include "net/send_queue.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

enum {
	READS_PER_EVENT = 4,
	LAST_READS_MAX = 64, // after writing failed
	SHARED_SIZE = 256 * 1024,
	SOCKET_BUFFER_SIZE = 1024 * 1024,
	UNSENT_SIZE_MAX = 256 * 1024,      // in the kernel, of TCP (R16: short queues)
	MESSAGES_PER_EVENT = 256,          // and then the others get their turn
	SMALL_READ_SIZE = 4096,            // read at once of a peer whose messages are so small that these are many
	WRITE_PIECES_MAX = 1024,           // IOV_MAX
	WHY_SIZE = CHANNEL_WHY_SIZE,
};

struct link {
	struct channel channel;
	char *peer;
	const struct link_callbacks *callbacks;
	void *arg, *owner;
	struct event readable, writable, later, again;

	struct receiver receiver;
	struct send_queue queue;
	size_t queue_max;         // a peer that does not read is cut off beyond this
	uint32_t delivered;       // messages, in this event
	bool small;               // the last read brought more than MESSAGES_PER_EVENT
	size_t queued_since_room; // bytes given to link_send since the room callback, and what waited then

	uint64_t received_size; // bytes, as of the last link_has_progressed
	int64_t taken_size;     // of what was sent, by the peer's host, as of then

	bool waits;  // for writable
	bool rests;  // its owner wants nothing read
	bool broken; // a write failed: why says how; told from the loop
	bool busy;   // inside an event of this link
	bool dead;   // no more callbacks
	char why[WHY_SIZE];
};

// Of all links of a thread.
static _Thread_local struct {
	size_t users;
	struct receiver_space *space;
	struct item *items;
} shared;

static void
shared_acquire(void)
{
	if (shared.users++ > 0)
		return;
	shared.space = malloc(sizeof(*shared.space));
	shared.items = calloc(LIMIT_RUN_BLOCKS, sizeof(*shared.items));
	CHECK(shared.space != NULL && shared.items != NULL);
	shared.space->rest = malloc(SHARED_SIZE);
	shared.space->rest_size = SHARED_SIZE;
	CHECK(shared.space->rest != NULL);
}

static void
shared_release(void)
{
	CHECK(shared.users > 0);
	if (--shared.users > 0)
		return;
	free(shared.space->rest);
	free(shared.space);
	free(shared.items);
	shared.space = NULL;
	shared.items = NULL;
}

static void
link_free(struct link *link)
{
	receiver_clear(&link->receiver);
	free(link->peer);
	free(link);
	shared_release();
}

// Give back all but the struct.
static void
link_shut(struct link *link)
{
	link->dead = true;
	event_del(&link->readable);
	event_del(&link->writable);
	event_del(&link->later);
	event_del(&link->again);
	channel_close(&link->channel);
	send_queue_clear(&link->queue);
}

// The link ended by itself: tell its owner.
static void
link_end(struct link *link, const char *why)
{
	CHECK(link->busy && !link->dead);
	link_shut(link);
	link->callbacks->closed(link->arg, link, why, link->channel.refusal);
}

static void
link_leave_event(struct link *link)
{
	link->busy = false;
	if (link->dead)
		link_free(link);
}

// ---- Reading ----

static void
link_tell_malformed(struct link *link, const struct message *header, const struct wire_error *error, bool fatal)
{
	link->callbacks->malformed(link->arg, link, header, error, fatal);
	if (fatal && !link->dead)
		link_end(link, "the peer sent bytes that are no message");
}

static bool
link_deliver(void *arg, const uint8_t *head, size_t size, struct buf *const *blocks)
{
	struct link *link = arg;
	struct message message = {0};
	struct wire_error error = {0};

	link->delivered++;
	if (wire_decode_apart(head, size, blocks, shared.items, &message, &error) == 0)
		link->callbacks->message(link->arg, link, &message);
	else
		link_tell_malformed(link, &message, &error, false);
	return !link->dead;
}

// No end of the message can be found; its header may still say which request it was.
static void
link_deliver_fatal(void *arg, const uint8_t *head, size_t size, const struct wire_error *error)
{
	struct message header = {0};
	struct wire_error ignored = {0};

	if (error->status != STATUS_INVALID_HEADER && size >= WIRE_HEADER_SIZE)
		(void)wire_decode(head, WIRE_HEADER_SIZE, shared.items, &header, &ignored);
	link_tell_malformed(arg, &header, error, true);
}

static struct buf_pool *
link_pool(void *arg, size_t size)
{
	const struct link *link = arg;

	return link->callbacks->pool(link->arg, size);
}

static void link_write(struct link *link);

static void
link_wait_writable(struct link *link)
{
	if (!link->waits)
		event_add(&link->writable, NULL);
	link->waits = true;
}

// The peer has closed the connection, or reading failed.
static void
link_read_ended(struct link *link, enum channel_result result)
{
	char why[WHY_SIZE];

	if (result == CHANNEL_FAILED)
		memcpy(why, link->channel.why, sizeof(why)); // the channel goes first
	else
		snprintf(why, sizeof(why), "the peer closed the connection%s", receiver_is_within(&link->receiver) ? " within a message" : "");
	link_end(link, why);
}

// One read. Returns false when the socket is empty for now, or the link is dead.
static bool
link_read_once(struct link *link)
{
	const struct receiver_listener listener = {
		.pool = link_pool, .message = link_deliver, .fatal = link_deliver_fatal, .arg = link};
	struct receiver_space *space = shared.space;
	enum channel_result result;
	uint32_t before = link->delivered;
	size_t size = 0;
	bool more = false;

	space->rest_size = link->small ? SMALL_READ_SIZE : SHARED_SIZE;
	receiver_prepare(&link->receiver, &listener, space);
	result = channel_read(&link->channel, space->iov, space->count, &size, &more);
	if (!receiver_take(&link->receiver, &listener, space, result == CHANNEL_DONE ? size : 0))
		return false;
	link->small = link->delivered - before > MESSAGES_PER_EVENT;
	if (result != CHANNEL_DONE && result != CHANNEL_WAITS)
		link_read_ended(link, result);
	return result == CHANNEL_DONE && more;
}

static void
link_read(struct link *link)
{
	bool more = true;

	link->delivered = 0;
	for (int i = 0; i < READS_PER_EVENT && more && !link->rests && link->delivered < MESSAGES_PER_EVENT; i++)
		more = link_read_once(link);
	if (link->dead || link->rests)
		return;
	if (more && link->channel.ssl != NULL)
		evtimer_add(&link->again, &(struct timeval){0}); // behind the others' events
	if (link->channel.read_waits_write)
		link_wait_writable(link);
}

static void
link_readable(evutil_socket_t fd, short what, void *arg)
{
	struct link *link = arg;

	link->busy = true;
	link_read(link);
	if (!link->dead && !link->broken && link->channel.write_waits_read)
		link_write(link);
	link_leave_event(link);
}

// ---- Writing ----

static void
link_break(struct link *link, const char *why)
{
	link->broken = true;
	snprintf(link->why, sizeof(link->why), "%s", why);
	send_queue_clear(&link->queue);
	event_active(&link->later, EV_TIMEOUT, 1);
}

// Write until the queue is empty or the socket is full.
static void
link_write(struct link *link)
{
	enum channel_result result = CHANNEL_DONE;
	struct iovec iov[WRITE_PIECES_MAX];
	size_t size;

	while (link->queue.size > 0 && result == CHANNEL_DONE) {
		result = channel_write(&link->channel, iov, send_queue_peek(&link->queue, iov, WRITE_PIECES_MAX), &size);
		if (result == CHANNEL_DONE)
			send_queue_advance(&link->queue, size);
	}
	if (result == CHANNEL_FAILED)
		link_break(link, link->channel.why);
	else if (link->queue.size > 0 && !link->channel.write_waits_read)
		link_wait_writable(link);
}

// There is room again, and the owner may think that there is none: he counts what he sent since the last time.
static bool
link_has_news(const struct link *link)
{
	return link->queued_since_room >= LIMIT_LINK_DATA_SIZE / 2 && link->queue.size < LIMIT_LINK_DATA_SIZE / 2;
}

static void
link_writable(evutil_socket_t fd, short what, void *arg)
{
	struct link *link = arg;

	link->busy = true;
	link->waits = false;
	if (link->channel.read_waits_write)
		link_read(link);
	link_flush(link);
	link_leave_event(link);
}

// What link_send and link_flush found out.
static void
link_later(evutil_socket_t fd, short what, void *arg)
{
	struct link *link = arg;

	link->busy = true;
	if (link->broken) {
		// What the peer said before it went away may be the reason.
		for (int i = 0; i < LAST_READS_MAX && link_read_once(link); i++)
			;
		if (!link->dead)
			link_end(link, link->why);
	} else if (link_has_news(link)) {
		link->queued_since_room = link->queue.size;
		link->callbacks->room(link->arg, link);
	}
	link_leave_event(link);
}

void
link_count(struct link *link, size_t size)
{
	link->queued_since_room += size;
}

void
link_set_reading(struct link *link, bool reading)
{
	link->rests = !reading;
	if (link->dead)
		return;
	if (!reading) {
		event_del(&link->readable);
		event_del(&link->again);
		return;
	}
	event_add(&link->readable, NULL);
	evtimer_add(&link->again, &(struct timeval){0}); // what TLS has read already
}

void
link_send(struct link *link, const struct message *message, size_t block_size)
{
	size_t before = link->queue.size;

	if (link->dead || link->broken)
		return;
	send_queue_add(&link->queue, message, block_size);
	link->queued_since_room += link->queue.size - before;
	if (link->queue.size > link->queue_max)
		link_break(link, "the peer does not read what is sent to it");
}

void
link_flush(struct link *link)
{
	if (link->dead || link->broken)
		return;
	if (!link->waits)
		link_write(link);
	if (!link->broken && link_has_news(link))
		event_active(&link->later, EV_TIMEOUT, 1);
}

// The system's answer for a Unix socket is an estimate, so a difference of it is, too: good enough for a sign of life.
bool
link_has_progressed(struct link *link)
{
	int64_t taken_size;
	int waiting_size;
	bool progressed;

	if (link->dead)
		return false;
	progressed = channel_received(&link->channel) > link->received_size;
	link->received_size = channel_received(&link->channel);
	if (ioctl(link->channel.fd, SIOCOUTQ, &waiting_size) != 0)
		return progressed;
	taken_size = (int64_t)channel_sent(&link->channel) - waiting_size;
	progressed |= taken_size > link->taken_size;
	link->taken_size = taken_size;
	return progressed;
}

void
link_set_bounds(struct link *link, size_t queue_max, size_t message_max)
{
	link->queue_max = queue_max;
	link->receiver.size_max = message_max;
}

size_t
link_queued(const struct link *link)
{
	return link->queue.size;
}

// ---- Life ----

// TCP sizes its buffers by itself, and better than we could; only what is not sent yet is kept short. Unix sockets have
// what they are given: without the right to more, the system's limit.
static void
link_set_options(int fd)
{
	int size = SOCKET_BUFFER_SIZE, unsent = UNSENT_SIZE_MAX, one = 1;

	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0) {
		setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
		return;
	}
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) != 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

// Nothing is known of what the handshake has left in OpenSSL's buffers: it is read without being told.
struct link *
link_create_tls(struct event_base *base, int fd, struct ssl_st *ssl, const char *peer, const struct link_callbacks *callbacks,
		void *arg)
{
	struct link *link = calloc(1, sizeof(*link));

	CHECK(link != NULL);
	shared_acquire();
	channel_init(&link->channel, fd, ssl);
	link->peer = strdup(peer);
	CHECK(link->peer != NULL);
	link->callbacks = callbacks;
	link->arg = arg;
	link->queue_max = LIMIT_PARENT_QUEUE_SIZE;
	link_set_options(fd);
	event_assign(&link->readable, base, fd, EV_READ | EV_PERSIST, link_readable, link);
	event_assign(&link->writable, base, fd, EV_WRITE, link_writable, link);
	event_assign(&link->later, base, -1, 0, link_later, link);
	evtimer_assign(&link->again, base, link_readable, link);
	event_add(&link->readable, NULL);
	if (ssl != NULL) {
		evtimer_add(&link->again, &(struct timeval){0});
		(void)link_has_progressed(link); // what the handshake has moved does not count
	}
	return link;
}

struct link *
link_create(struct event_base *base, int fd, const char *peer, const struct link_callbacks *callbacks, void *arg)
{
	return link_create_tls(base, fd, NULL, peer, callbacks, arg);
}

void
link_close(struct link *link)
{
	if (link == NULL || link->dead)
		return;
	link_shut(link);
	if (!link->busy)
		link_free(link);
}

const char *
link_peer(const struct link *link)
{
	return link->peer;
}

void *
link_owner(const struct link *link)
{
	return link->owner;
}

void
link_set_owner(struct link *link, void *owner)
{
	link->owner = owner;
}
