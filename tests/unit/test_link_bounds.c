// SPDX-License-Identifier: MIT
// A link to a peer that sends and does not read, and makes of it as much work as it can. The peer is a socket here.
#include "net/link.h"

#include <check.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BLOCK = 4096, QUEUE_MAX = 256 * 1024, MESSAGE_MAX = 16 * 1024, HEADER = 12, WATCHDOG_S = 60, FLOOD_SIZE = 4 << 20 };

struct end {
	struct link *link;
	int peer; // the other end
	unsigned messages, malformed, closed;
	bool answers;  // each message with one
	unsigned *mark, marked; // with the first message: what that was then
	char why[200];
};

static struct event_base *base;
static struct event *watchdog;
static struct buf_pool *pool;

static void
bark(evutil_socket_t fd, short what, void *arg)
{
	ck_abort_msg("nothing happened for %d s", WATCHDOG_S);
}

static void
on_message(void *arg, struct link *link, const struct message *message)
{
	struct end *end = arg;
	struct message answer = {.opcode = OP_OK_REPLY, .hops_left = 32, .present = PRESENT(HB_TTL), .hb_ttl_ms = 1};

	if (end->messages++ == 0 && end->mark != NULL)
		end->marked = *end->mark;
	if (end->answers)
		link_send(link, &answer, BLOCK);
}

static void
on_malformed(void *arg, struct link *link, const struct message *header, const struct wire_error *error, bool fatal)
{
	struct end *end = arg;

	ck_assert(fatal);
	ck_assert_int_eq(error->status, STATUS_TOO_MANY);
	end->malformed++;
}

static void
on_room(void *arg, struct link *link)
{
}

static void
on_closed(void *arg, struct link *link, const char *why, enum tls_refusal refusal)
{
	struct end *end = arg;

	end->closed++;
	end->link = NULL;
	strncpy(end->why, why, sizeof(end->why) - 1);
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
open_end(struct end *end)
{
	int fds[2], size = 8 << 20;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	setsockopt(fds[1], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	end->peer = fds[1];
	end->link = link_create(base, fds[0], "peer", &callbacks, end);
}

static void
close_end(struct end *end)
{
	link_close(end->link);
	if (end->peer >= 0)
		close(end->peer);
}

static void
setup(void)
{
	signal(SIGPIPE, SIG_IGN); // as a node does
	base = event_base_new();
	watchdog = evtimer_new(base, bark, NULL);
	evtimer_add(watchdog, &(struct timeval){.tv_sec = WATCHDOG_S});
	pool = buf_pool_create(BLOCK);
}

static void
teardown(void)
{
	event_free(watchdog);
	event_base_free(base);
	buf_pool_destroy(pool);
}

// As much as the socket takes of messages that are a header each. Returns how many whole ones.
static size_t
send_small(int fd, size_t size)
{
	uint8_t *bytes = calloc(1, size);
	ssize_t sent;

	for (size_t at = 0; at + HEADER <= size; at += HEADER) {
		bytes[at] = OP_HEARTBEAT;
		bytes[at + 1] = 32;
	}
	sent = send(fd, bytes, size / HEADER * HEADER, MSG_NOSIGNAL);
	free(bytes);
	ck_assert_int_gt(sent, 0);
	return (size_t)sent / HEADER;
}

// Whoever reads nothing is cut off; what waits for it stays within the bound.
START_TEST(test_unread)
{
	struct end end = {.answers = true};

	open_end(&end);
	link_set_bounds(end.link, QUEUE_MAX, 0);
	while (end.closed == 0) {
		(void)!send_small(end.peer, 64 * 1024);
		event_base_loop(base, EVLOOP_ONCE);
		if (end.link != NULL) {
			link_flush(end.link);
			ck_assert_uint_le(link_queued(end.link), QUEUE_MAX);
		}
	}
	ck_assert_str_eq(end.why, "the peer does not read what is sent to it");
	close_end(&end);
}
END_TEST

// One peer has filled its socket with small messages before another one says a word: that is heard after one read of the first one's,
// and then they take turns, some hundred messages each.
START_TEST(test_turns)
{
	struct end flood = {.peer = -1}, other = {.mark = &flood.messages};
	size_t sent;

	open_end(&flood);
	open_end(&other);
	sent = send_small(flood.peer, FLOOD_SIZE);
	ck_assert_uint_gt(sent, 100000); // else this tests nothing
	event_base_loop(base, EVLOOP_ONCE);
	ck_assert_uint_gt(flood.messages, 0);
	ck_assert_uint_le(flood.messages, 256 * 1024 / HEADER + 1);
	for (int i = 0; i < 10; i++) {
		unsigned before = flood.messages, heard = other.messages;

		send_small(other.peer, HEADER);
		while (other.messages == heard)
			event_base_loop(base, EVLOOP_ONCE);
		ck_assert_uint_le(flood.messages - before, 2 * (256 + 4096 / HEADER + 1));
	}
	while (flood.messages < sent)
		event_base_loop(base, EVLOOP_ONCE);
	close_end(&flood);
	close_end(&other);
}
END_TEST

// Of a message that is too long no more is kept than may be, be it blocks or others' bytes.
START_TEST(test_long_message)
{
	static const uint16_t types[] = {PARAM_DATA, 0x8fff};
	struct end end = {.answers = false};
	uint8_t param[4 + BLOCK] = {types[_i] >> 8, types[_i] & 0xff, BLOCK >> 8, BLOCK & 0xff};
	uint8_t header[HEADER] = {OP_PUT, 32, 0, FLAG_PARAMS};
	size_t sent = 0;

	open_end(&end);
	link_set_bounds(end.link, QUEUE_MAX, MESSAGE_MAX);
	ck_assert_int_eq(send(end.peer, header, sizeof(header), MSG_NOSIGNAL), sizeof(header));
	while (end.closed == 0 && sent < 1 << 20) {
		sent += (size_t)send(end.peer, param, sizeof(param), MSG_NOSIGNAL);
		event_base_loop(base, EVLOOP_ONCE);
		ck_assert_uint_le(buf_pool_used(pool) * BLOCK, MESSAGE_MAX + BLOCK);
	}
	ck_assert_uint_eq(end.malformed, 1);
	ck_assert_uint_eq(end.closed, 1);
	ck_assert_uint_le(sent, MESSAGE_MAX + 2 * sizeof(param));
	close_end(&end);
}
END_TEST

// With a session it may be as long as any.
START_TEST(test_bounds_lifted)
{
	struct end end = {.answers = false};
	uint8_t param[4 + BLOCK] = {0x8f, 0xff, BLOCK >> 8, BLOCK & 0xff}, last[4] = {0};
	uint8_t header[HEADER] = {OP_HEARTBEAT, 32, 0, FLAG_PARAMS};

	open_end(&end);
	link_set_bounds(end.link, QUEUE_MAX, MESSAGE_MAX);
	link_set_bounds(end.link, QUEUE_MAX, LIMIT_MESSAGE_SIZE);
	ck_assert_int_eq(send(end.peer, header, sizeof(header), MSG_NOSIGNAL), sizeof(header));
	for (int i = 0; i < 2 * MESSAGE_MAX / BLOCK; i++) {
		ck_assert_int_eq(send(end.peer, param, sizeof(param), MSG_NOSIGNAL), sizeof(param));
		event_base_loop(base, EVLOOP_ONCE);
	}
	ck_assert_int_eq(send(end.peer, last, sizeof(last), MSG_NOSIGNAL), sizeof(last));
	while (end.messages == 0)
		event_base_loop(base, EVLOOP_ONCE);
	close_end(&end);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("link bounds");
	TCase *tests = tcase_create("link bounds");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_set_timeout(tests, 120);
	tcase_add_test(tests, test_unread);
	tcase_add_test(tests, test_turns);
	tcase_add_loop_test(tests, test_long_message, 0, 2);
	tcase_add_test(tests, test_bounds_lifted);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
