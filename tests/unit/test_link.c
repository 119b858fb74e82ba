// SPDX-License-Identifier: MIT
#include "net/link.h"
#include "net/channel.h"
#include "tls_help.h"

#include <arpa/inet.h>
#include <check.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

// ---- Fixture: two links, the ends of one connection ----

enum { BLOCK = 4096, WATCHDOG_S = 30 };

struct end {
	struct link *link;
	uint32_t next_xid; // messages have to come in order
	uint64_t blocks;   // data items seen
	unsigned malformed, fatal, rooms, closed;
	struct wire_error error;
	struct message header;
	char why[200];
	bool close_self; // in the next message callback
	struct link **close_other;
	bool in_call; // link_send or link_flush is running
	struct buf_pool *pool;
};

static struct event_base *base;
static struct event *watchdog;
static struct end ends[2];
static struct buf_pool *pool;

static void
bark(evutil_socket_t fd, short what, void *arg)
{
	ck_abort_msg("nothing happened for %d s", WATCHDOG_S);
}

static uint8_t
pattern(uint64_t block)
{
	return (uint8_t)(block * 7 + 1);
}

static void
on_message(void *arg, struct link *link, const struct message *message)
{
	struct end *end = arg;

	ck_assert(!end->in_call && end->link == link);
	ck_assert_uint_eq(message->xid, end->next_xid);
	end->next_xid++;
	for (uint32_t i = 0; message->items != NULL && i < message->count; i++) {
		if (message->items[i].kind != ITEM_DATA)
			continue;
		ck_assert_uint_eq(message->data_size, BLOCK);
		ck_assert_uint_eq(message->items[i].bytes[0], pattern(message->block + i));
		ck_assert_uint_eq(message->items[i].bytes[BLOCK - 1], pattern(message->block + i));
		end->blocks++;
	}
	if (end->close_other != NULL) {
		link_close(*end->close_other);
		*end->close_other = NULL;
	}
	if (end->close_self) {
		link_close(link);
		end->link = NULL;
	}
}

static void
on_malformed(void *arg, struct link *link, const struct message *header, const struct wire_error *error, bool fatal)
{
	struct end *end = arg;

	end->malformed++;
	end->fatal += fatal;
	end->error = *error;
	end->header = *header;
}

static void
on_room(void *arg, struct link *link)
{
	struct end *end = arg;

	ck_assert(!end->in_call);
	ck_assert_uint_lt(link_queued(link), LIMIT_LINK_DATA_SIZE / 2);
	end->rooms++;
}

static void
on_closed(void *arg, struct link *link, const char *why, enum tls_refusal refusal)
{
	struct end *end = arg;

	ck_assert(!end->in_call && end->link == link);
	end->closed++;
	snprintf(end->why, sizeof(end->why), "%s", why);
	end->link = NULL;
}

static struct buf_pool *
on_pool(void *arg, size_t size)
{
	ck_assert_uint_eq(size, BLOCK);
	return pool;
}

static const struct link_callbacks callbacks = {
	.pool = on_pool, .message = on_message, .malformed = on_malformed, .room = on_room, .closed = on_closed};

static void
adopt(int index, int fd)
{
	ends[index].link = link_create(base, fd, index == 0 ? "zero" : "one", &callbacks, &ends[index]);
}

static void
make_pair(int fds[2], bool tcp)
{
	struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t size = sizeof(name);
	int listener;

	if (!tcp) {
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
		return;
	}
	listener = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&name, size), 0);
	ck_assert_int_eq(listen(listener, 1), 0);
	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&name, &size), 0);
	fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(connect(fds[0], (struct sockaddr *)&name, size), 0);
	fds[1] = accept(listener, NULL, NULL);
	close(listener);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(fcntl(fds[i], F_SETFL, O_NONBLOCK), 0);
}

static void
setup(void)
{
	signal(SIGPIPE, SIG_IGN); // as a node does
	base = event_base_new();
	watchdog = evtimer_new(base, bark, NULL);
	evtimer_add(watchdog, &(struct timeval){.tv_sec = WATCHDOG_S});
	pool = buf_pool_create(BLOCK);
	memset(ends, 0, sizeof(ends));
}

static void
setup_links(bool tcp)
{
	int fds[2];

	make_pair(fds, tcp);
	adopt(0, fds[0]);
	adopt(1, fds[1]);
}

static void
setup_links_tls(bool tcp)
{
	struct ssl_st *ssl[2];
	int fds[2];

	make_pair(fds, tcp);
	tls_help_pair(fds, ssl);
	for (int i = 0; i < 2; i++)
		ends[i].link = link_create_tls(base, fds[i], ssl[i], i == 0 ? "zero" : "one", &callbacks, &ends[i]);
}

static void
teardown(void)
{
	for (int i = 0; i < 2; i++)
		link_close(ends[i].link);
	ck_assert_uint_eq(buf_pool_used(pool), 0);
	buf_pool_destroy(pool);
	event_free(watchdog);
	event_base_free(base);
}

// ---- Helpers ----

static void
send_message(struct end *end, const struct message *message)
{
	end->in_call = true;
	link_send(end->link, message, BLOCK);
	end->in_call = false;
}

static void
flush(struct end *end)
{
	end->in_call = true;
	link_flush(end->link);
	end->in_call = false;
}

static void
send_heartbeat(struct end *end, uint32_t xid)
{
	send_message(end, &(struct message){.opcode = OP_HEARTBEAT, .hops_left = 1, .xid = xid});
}

static void
send_blocks(struct end *end, uint32_t xid, uint64_t block, uint32_t count)
{
	struct item items[256] = {{0}};
	struct message message = {.opcode = OP_OK_REPLY,
				  .hops_left = 1,
				  .xid = xid,
				  .block = block,
				  .count = count,
				  .volume_id = 1,
				  .present = PRESENT(VOLUME_ID) | PRESENT(BLOCK_NUM) | PRESENT(BLOCK_COUNT),
				  .items = items};

	for (uint32_t i = 0; i < count; i++) {
		items[i].version = version_make(1, block + i + 1);
		items[i].kind = ITEM_DATA;
		items[i].buf = buf_alloc(pool);
		memset(buf_bytes(items[i].buf), pattern(block + i), BLOCK);
	}
	send_message(end, &message);
	for (uint32_t i = 0; i < count; i++)
		buf_unref(items[i].buf);
}

static void
run_until(const unsigned *value, unsigned wanted)
{
	while (*value < wanted)
		ck_assert_int_eq(event_base_loop(base, EVLOOP_ONCE), 0);
}

// The bytes of one heartbeat.
static size_t
encode_heartbeat(uint8_t *bytes)
{
	struct message message = {.opcode = OP_HEARTBEAT, .hops_left = 1};
	struct wire_segment segments[16];
	size_t used = 0;

	ck_assert_uint_le(wire_segment_count(&message), 16);
	for (size_t i = 0, count = wire_encode(&message, BLOCK, bytes + 512, segments); i < count; i++) {
		memmove(bytes + used, segments[i].bytes, segments[i].size);
		used += segments[i].size;
	}
	return used;
}

// A raw socket against ends[1].
static int
setup_raw(void)
{
	int fds[2];

	make_pair(fds, false);
	adopt(1, fds[1]);
	return fds[0];
}

static void
raw_send(int fd, const void *bytes, size_t size)
{
	ck_assert_int_eq(send(fd, bytes, size, MSG_NOSIGNAL), (ssize_t)size);
}

// ---- Cases: links ----

// Messages of all sizes, in both directions at once, arrive whole and in order; on Unix sockets and TCP, plain and with TLS. 48 MiB
// in all.
START_TEST(test_sizes_both_ways)
{
	uint32_t sent = 0;
	uint64_t blocks = 0;

	if (_i >= 2)
		setup_links_tls(_i == 3);
	else
		setup_links(_i == 1);
	for (int round = 0; round < 6; round++) {
		for (uint32_t count = 0; count <= 256; count = count * 2 + 1, sent++) {
			uint32_t use = count > 255 ? 256 : count;

			for (int i = 0; i < 2; i++) {
				if (use == 0)
					send_heartbeat(&ends[i], sent);
				else
					send_blocks(&ends[i], sent, blocks, use);
			}
			blocks += use;
		}
		send_blocks(&ends[0], sent, blocks, 256);
		send_blocks(&ends[1], sent++, blocks, 256);
		blocks += 256;
		flush(&ends[0]);
		flush(&ends[1]);
	}
	run_until(&ends[0].next_xid, sent);
	run_until(&ends[1].next_xid, sent);
	ck_assert_uint_eq(ends[0].blocks, blocks);
	ck_assert_uint_eq(ends[1].blocks, blocks);
	ck_assert_uint_eq(link_queued(ends[0].link), 0);
	ck_assert_uint_eq(ends[0].malformed + ends[1].malformed, 0);
}
END_TEST

// A part of a message is a sign of life, and so is what the peer's host has taken of what is sent to it; nothing else is.
START_TEST(test_progress)
{
	uint8_t bytes[1024];
	size_t size = encode_heartbeat(bytes);
	int fds[2];

	make_pair(fds, _i == 1);
	adopt(1, fds[1]);
	ck_assert(!link_has_progressed(ends[1].link));
	raw_send(fds[0], bytes, size - 1);
	event_base_loop(base, EVLOOP_ONCE);
	ck_assert_uint_eq(ends[1].next_xid, 0);
	ck_assert(link_has_progressed(ends[1].link));
	ck_assert(!link_has_progressed(ends[1].link));
	for (uint32_t i = 0; i < 32; i++)
		send_blocks(&ends[1], i, i * 256, 256);
	flush(&ends[1]);
	do { // until the peer's host, whose program does not read, takes no more
		event_base_loop(base, EVLOOP_NONBLOCK);
	} while (link_has_progressed(ends[1].link));
	ck_assert_uint_gt(link_queued(ends[1].link), 0); // or the test tests nothing
	while (!link_has_progressed(ends[1].link)) // the program reads
		ck_assert_int_gt(recv(fds[0], bytes, sizeof(bytes), 0), 0);
	close(fds[0]);
}
END_TEST

// Blocks come into the buffers in which they stay, and leave from those in which they are: nothing is copied, once it
// is known what the messages look like. Of all sizes; in one read and in many.
START_TEST(test_no_copy)
{
	static const uint32_t counts[] = {1, 2, 7, 256};
	uint64_t before;
	uint32_t xid = 0;

	setup_links(_i == 1);
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		send_blocks(&ends[0], xid++, 0, counts[i]);
		flush(&ends[0]);
		run_until(&ends[1].next_xid, xid);
		before = buf_copied();
		for (int n = 0; n < 100; n++) {
			send_blocks(&ends[0], xid++, n, counts[i]);
			if (n % 3 != 0)
				flush(&ends[0]);
			if (n % 5 == 0)
				run_until(&ends[1].next_xid, xid - 2);
		}
		flush(&ends[0]);
		run_until(&ends[1].next_xid, xid);
		ck_assert_msg(buf_copied() == before, "of messages with %u blocks %lu bytes are copied", counts[i],
			      buf_copied() - before);
	}
	ck_assert_uint_eq(ends[1].malformed, 0);
}
END_TEST

// What was foreseen is not what comes: other sizes of messages, and some without blocks. It all arrives.
START_TEST(test_unforeseen)
{
	uint32_t random = 1, xid = 0;
	uint64_t blocks = 0;

	setup_links(_i == 1);
	for (int n = 0; n < 2000; n++) {
		uint32_t count;

		random = random * 1664525 + 1013904223;
		count = (random >> 16) % 4 == 0 ? 0 : 1 + (random >> 20) % 9;
		if (count == 0)
			send_heartbeat(&ends[0], xid++);
		else
			send_blocks(&ends[0], xid++, blocks, count);
		blocks += count;
		if (random >> 30 == 0)
			flush(&ends[0]);
		if (random >> 29 == 7)
			event_base_loop(base, EVLOOP_NONBLOCK);
	}
	flush(&ends[0]);
	run_until(&ends[1].next_xid, xid);
	ck_assert_uint_eq(ends[1].blocks, blocks);
	ck_assert_uint_eq(ends[1].malformed, 0);
}
END_TEST

static enum channel_result
read_some(struct channel *channel, uint8_t *bytes, size_t size, size_t *ret_size, bool *ret_more)
{
	return channel_read(channel, &(struct iovec){bytes, size}, 1, ret_size, ret_more);
}

// With TLS a part of a record is a sign of life, and so is what the peer's host has taken.
START_TEST(test_progress_tls)
{
	struct ssl_st *ssl[2];
	struct channel other;
	uint8_t bytes[70000];
	ssize_t size;
	int fds[2], relay[2];
	size_t got;
	bool more;

	make_pair(fds, _i == 1);
	tls_help_pair(fds, ssl);
	channel_init(&other, fds[0], ssl[0]);
	ends[1].link = link_create_tls(base, fds[1], ssl[1], "one", &callbacks, &ends[1]);
	event_base_loop(base, EVLOOP_ONCE); // it looks whether the handshake has left anything
	ck_assert(!link_has_progressed(ends[1].link));

	// The peer writes into a socket from where its record is passed on in two parts.
	make_pair(relay, false);
	ck_assert_int_eq(dup2(relay[0], 900), 900);
	SSL_set_wfd(ssl[0], 900);
	size = (ssize_t)encode_heartbeat(bytes);
	ck_assert_int_eq(channel_write(&other, &(struct iovec){.iov_base = bytes, .iov_len = (size_t)size}, 1, &got), CHANNEL_DONE);
	size = recv(relay[1], bytes, sizeof(bytes), 0);
	raw_send(fds[0], bytes, (size_t)size - 1);
	event_base_loop(base, EVLOOP_ONCE);
	ck_assert_uint_eq(ends[1].next_xid, 0);
	ck_assert(link_has_progressed(ends[1].link));
	ck_assert(!link_has_progressed(ends[1].link));
	raw_send(fds[0], bytes + size - 1, 1);
	run_until(&ends[1].next_xid, 1);
	ck_assert(link_has_progressed(ends[1].link));

	for (uint32_t i = 0; i < 32; i++)
		send_blocks(&ends[1], i, i * 256, 256);
	flush(&ends[1]);
	do {
		event_base_loop(base, EVLOOP_NONBLOCK);
	} while (link_has_progressed(ends[1].link));
	ck_assert_uint_gt(link_queued(ends[1].link), 0); // or the test tests nothing
	while (!link_has_progressed(ends[1].link))
		ck_assert_int_eq(read_some(&other, bytes, sizeof(bytes), &got, &more), CHANNEL_DONE);
	channel_close(&other);
	close(900);
	close(relay[0]);
	close(relay[1]);
}
END_TEST

// All that was written before the end arrives, and the end is told.
START_TEST(test_close_tls)
{
	setup_links_tls(true);
	for (uint32_t i = 0; i < 3; i++)
		send_blocks(&ends[0], i, i * 16, 16);
	flush(&ends[0]);
	ck_assert_uint_eq(link_queued(ends[0].link), 0);
	link_close(ends[0].link);
	ends[0].link = NULL;
	run_until(&ends[1].closed, 1);
	ck_assert_uint_eq(ends[1].next_xid, 3);
	ck_assert_str_eq(ends[1].why, "the peer closed the connection");
}
END_TEST

// Nobody reads for a while: messages wait with their counts, and come out right later, byte by byte and in gulps.
START_TEST(test_slow_reader)
{
	int fds[2];
	uint8_t bytes[70000];
	size_t moved = 0;
	uint64_t size;

	make_pair(fds, false);
	adopt(0, fds[0]);
	for (uint32_t i = 0; i < 8; i++)
		send_blocks(&ends[0], i, i * 256, 256);
	size = link_queued(ends[0].link);
	ck_assert_uint_gt(size, 8u << 20);
	flush(&ends[0]);
	ck_assert_uint_gt(link_queued(ends[0].link), 0); // or the test tests nothing
	ck_assert_uint_gt(buf_pool_used(pool), 0);

	// A second pair carries on what is read here, in pieces of odd sizes.
	int relay[2];
	make_pair(relay, false);
	adopt(1, relay[1]);
	for (unsigned step = 0; moved < size; step++) {
		size_t want = step < 40 ? 1 : step % 2 ? 4099 : sizeof(bytes);
		ssize_t got = recv(fds[1], bytes, want, 0);

		if (got > 0) {
			for (ssize_t done = 0; done < got;) {
				ssize_t put = send(relay[0], bytes + done, (size_t)(got - done), MSG_NOSIGNAL);

				if (put > 0)
					done += put;
				event_base_loop(base, EVLOOP_NONBLOCK);
			}
			moved += (size_t)got;
		}
		event_base_loop(base, EVLOOP_NONBLOCK);
	}
	run_until(&ends[1].next_xid, 8);
	ck_assert_uint_eq(ends[1].blocks, 8 * 256);
	ck_assert_uint_eq(buf_pool_used(pool), 0);
	ck_assert_uint_ge(ends[0].rooms, 1);
	close(relay[0]);
	close(fds[1]);
}
END_TEST

// Room is told also when every single message went out at once: the owner adds up what it sent.
START_TEST(test_room_adds_up)
{
	const uint32_t per_room = LIMIT_LINK_DATA_SIZE / 2 / (4 * BLOCK);

	setup_links(true);
	for (uint32_t i = 0; i < 2 * per_room; i++) {
		send_blocks(&ends[0], i, i * 4, 4);
		flush(&ends[0]);
		run_until(&ends[1].next_xid, i + 1);
		if (i < per_room / 2)
			ck_assert_uint_eq(ends[0].rooms, 0);
	}
	ck_assert_uint_ge(ends[0].rooms, 1);
	ck_assert_uint_le(ends[0].rooms, 2);
}
END_TEST

// The link is closed inside its own callback, with more messages in the same read.
START_TEST(test_close_self)
{
	setup_links(false);
	for (uint32_t i = 0; i < 3; i++)
		send_heartbeat(&ends[0], i);
	ends[1].close_self = true;
	flush(&ends[0]);
	run_until(&ends[0].closed, 1);
	ck_assert_uint_eq(ends[1].next_xid, 1);
	ck_assert_uint_eq(ends[1].closed, 0);
	ck_assert_ptr_null(ends[1].link);
}
END_TEST

// The callback of one link closes another one that has an event pending in the same turn of the loop.
START_TEST(test_close_other)
{
	int fds[2];
	uint8_t bytes[1024];
	size_t size = encode_heartbeat(bytes);

	setup_links(false);
	link_close(ends[0].link);
	run_until(&ends[1].closed, 1);
	make_pair(fds, false);
	adopt(0, fds[0]);
	int other[2];
	make_pair(other, false);
	adopt(1, other[0]);
	ends[0].close_other = &ends[1].link;
	ends[1].close_other = &ends[0].link;
	raw_send(fds[1], bytes, size);
	raw_send(other[1], bytes, size);
	event_base_loop(base, EVLOOP_ONCE);
	event_base_loop(base, EVLOOP_NONBLOCK);
	ck_assert_uint_eq(ends[0].next_xid + ends[1].next_xid, 1);
	ck_assert((ends[0].link == NULL) != (ends[1].link == NULL));
	close(fds[1]);
	close(other[1]);
}
END_TEST

// Not our protocol: told once as fatal, then closed.
START_TEST(test_garbage)
{
	static const char garbage[] =
		"GET / HTTP/1.1\r\nHost: example\r\nUser-Agent: something else altogether\r\n\r\n";
	int fd = setup_raw();

	raw_send(fd, garbage, sizeof(garbage));
	run_until(&ends[1].closed, 1);
	ck_assert_uint_eq(ends[1].malformed, 1);
	ck_assert_uint_eq(ends[1].fatal, 1);
	ck_assert_uint_eq(ends[1].next_xid, 0);
	ck_assert_msg(strstr(ends[1].why, "no message") != NULL, "%s", ends[1].why);
	close(fd);
}
END_TEST

// A message that is wrong inside, but whose end is known: told with its header, and the link goes on.
START_TEST(test_malformed_goes_on)
{
	uint8_t bytes[1024], bad[64];
	size_t size = encode_heartbeat(bytes);
	int fd = setup_raw();
	// GET with a 3-byte VOLUME_ID, then END_MSG
	static const uint8_t tail[] = {0x00, 0x02, 0x00, 0x03, 1, 2, 3, 0x00, 0x00, 0x00, 0x00};

	memcpy(bad, bytes, WIRE_HEADER_SIZE);
	struct message message = {.opcode = OP_GET, .hops_left = 3, .xid = 77};
	struct wire_segment segments[16];
	uint8_t scratch[512];
	ck_assert_uint_ge(wire_encode(&message, BLOCK, scratch, segments), 1);
	memcpy(bad, segments[0].bytes, WIRE_HEADER_SIZE);
	bad[2] = 0;
	bad[3] = FLAG_PARAMS;
	memcpy(bad + WIRE_HEADER_SIZE, tail, sizeof(tail));
	raw_send(fd, bad, WIRE_HEADER_SIZE + sizeof(tail));
	raw_send(fd, bytes, size);
	run_until(&ends[1].next_xid, 1);
	ck_assert_uint_eq(ends[1].malformed, 1);
	ck_assert_uint_eq(ends[1].fatal, 0);
	ck_assert_uint_eq(ends[1].closed, 0);
	ck_assert_int_eq(ends[1].error.status, STATUS_BAD_PARAM_LENGTH);
	ck_assert_uint_eq(ends[1].error.param, PARAM_VOLUME_ID);
	ck_assert_uint_eq(ends[1].header.xid, 77);
	ck_assert_int_eq(ends[1].header.opcode, OP_GET);
	close(fd);
}
END_TEST

// The peer dies within a message.
START_TEST(test_half_message)
{
	uint8_t bytes[1024];
	size_t size = encode_heartbeat(bytes);
	int fd = setup_raw();

	raw_send(fd, bytes, size);
	raw_send(fd, bytes, size - 1);
	close(fd);
	run_until(&ends[1].closed, 1);
	ck_assert_uint_eq(ends[1].next_xid, 1);
	ck_assert_msg(strstr(ends[1].why, "within a message") != NULL, "%s", ends[1].why);
}
END_TEST

// Writing to a peer that is gone: no callback from link_send or link_flush, closed comes from the loop, once; and what
// the peer had said before is still heard.
START_TEST(test_write_error)
{
	uint8_t bytes[1024];
	size_t size = encode_heartbeat(bytes);
	int fd = setup_raw();

	raw_send(fd, bytes, size);
	close(fd);
	send_blocks(&ends[1], 0, 0, 16);
	flush(&ends[1]);
	send_blocks(&ends[1], 0, 0, 16);
	flush(&ends[1]);
	ck_assert_uint_eq(ends[1].closed, 0);
	run_until(&ends[1].closed, 1);
	ck_assert_uint_eq(ends[1].next_xid, 1);
	event_base_loop(base, EVLOOP_NONBLOCK);
	ck_assert_uint_eq(ends[1].closed, 1);
}
END_TEST

// A peer that never reads does not make us grow without bound.
START_TEST(test_never_reads)
{
	int fd = setup_raw();

	for (uint32_t i = 0; i < 100; i++) {
		send_blocks(&ends[1], i, 0, 256);
		flush(&ends[1]);
	}
	ck_assert_uint_le(link_queued(ends[1].link), 65u << 20);
	run_until(&ends[1].closed, 1);
	ck_assert_msg(strstr(ends[1].why, "does not read") != NULL, "%s", ends[1].why);
	close(fd);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("link");
	TCase *links = tcase_create("link");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(links, setup, teardown);
	tcase_set_timeout(links, 60);
	tcase_add_loop_test(links, test_sizes_both_ways, 0, 4);
	tcase_add_loop_test(links, test_no_copy, 0, 2);
	tcase_add_loop_test(links, test_unforeseen, 0, 2);
	tcase_add_loop_test(links, test_progress, 0, 2);
	tcase_add_loop_test(links, test_progress_tls, 0, 2);
	tcase_add_test(links, test_close_tls);
	tcase_add_test(links, test_slow_reader);
	tcase_add_test(links, test_room_adds_up);
	tcase_add_test(links, test_close_self);
	tcase_add_test(links, test_close_other);
	tcase_add_test(links, test_garbage);
	tcase_add_test(links, test_malformed_goes_on);
	tcase_add_test(links, test_half_message);
	tcase_add_test(links, test_write_error);
	tcase_add_test(links, test_never_reads);
	suite_add_tcase(suite, links);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
