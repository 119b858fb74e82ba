// SPDX-License-Identifier: MIT
// Plain and TLS channels over sockets that take next to nothing at once.
#include "net/channel.h"
#include "tls_help.h"

#include <check.h>
#include <errno.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PLAIN, TLS, KINDS };

// ---- Fixture: the two ends ----

static struct channel ends[2];

static void
make_ends(int kind, int buffer_size)
{
	struct ssl_st *ssl[2] = {NULL, NULL};
	int fds[2];

	signal(SIGPIPE, SIG_IGN);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	if (kind == TLS)
		tls_help_pair(fds, ssl);
	for (int i = 0; i < 2; i++) {
		if (buffer_size > 0)
			ck_assert_int_eq(setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &buffer_size, sizeof(buffer_size)), 0);
		channel_init(&ends[i], fds[i], ssl[i]);
	}
}

static void
close_ends(void)
{
	for (int i = 0; i < 2; i++)
		if (ends[i].fd >= 0)
			channel_close(&ends[i]);
}

static uint8_t
pattern(size_t at)
{
	return (uint8_t)(at * 7 + at / 251);
}

// ---- One direction of a stream ----

struct stream {
	uint8_t *bytes;
	size_t size, written, read;
};

static struct stream
stream_make(size_t size)
{
	struct stream stream = {.bytes = malloc(size), .size = size};

	for (size_t i = 0; i < size; i++)
		stream.bytes[i] = pattern(i);
	return stream;
}

// As much as goes: pieces of all sizes, the same ones again when some were not taken, and sometimes more behind them.
static void
stream_write(struct stream *stream, struct channel *channel)
{
	static const size_t sizes[] = {1, 24, 4096, 16, 4096, 4096, 4096, 4096, 3, 40000, 16384, 16385};
	enum channel_result result = CHANNEL_DONE;
	struct iovec iov[12];
	size_t done;

	while (stream->written < stream->size && result == CHANNEL_DONE) {
		size_t at = stream->written;
		int count = 0;

		for (; count < 12 && at < stream->size; count++) {
			size_t size = sizes[(at / 4096 + (size_t)count) % 12];

			if (size > stream->size - at)
				size = stream->size - at;
			iov[count] = (struct iovec){.iov_base = stream->bytes + at, .iov_len = size};
			at += size;
		}
		result = channel_write(channel, iov, count, &done);
		ck_assert_msg(result == CHANNEL_DONE || result == CHANNEL_WAITS, "%s", channel->why);
		if (result == CHANNEL_DONE)
			stream->written += done;
	}
}

// In pieces, where there is room for more than one.
static enum channel_result
read_some(struct channel *channel, uint8_t *bytes, size_t size, size_t *ret_size, bool *ret_more)
{
	struct iovec iov[3] = {{bytes, size < 10 ? size : 3}};

	if (size >= 10) {
		iov[1] = (struct iovec){bytes + 3, size / 2};
		iov[2] = (struct iovec){bytes + 3 + size / 2, size - size / 2 - 3};
	}
	return channel_read(channel, iov, size < 10 ? 1 : 3, ret_size, ret_more);
}

// Returns whether there may be more that the socket does not tell of.
static bool
stream_read(struct stream *stream, struct channel *channel, size_t room)
{
	uint8_t bytes[70000];
	size_t size;
	bool more = false;

	switch (read_some(channel, bytes, room, &size, &more)) {
	case CHANNEL_DONE:
		ck_assert(size > 0 && size <= room && stream->read + size <= stream->size);
		ck_assert_mem_eq(bytes, stream->bytes + stream->read, size);
		stream->read += size;
		return more;
	case CHANNEL_WAITS:
		return false;
	default:
		ck_abort_msg("the stream ended: %s", channel->why);
		return false;
	}
}

// ---- Cases ----

// Both ways at once, through buffers that are smaller than a record: all arrives, in order, and only the socket's events are
// needed to know when to go on.
START_TEST(test_both_ways)
{
	static const size_t rooms[] = {1, 70000, 13, 16384, 4096, 16385, 70000};
	struct stream streams[2];

	make_ends(_i, 4096);
	for (int i = 0; i < 2; i++)
		streams[i] = stream_make(3 << 20);
	for (size_t round = 0; streams[0].read < streams[0].size || streams[1].read < streams[1].size; round++) {
		bool any = false;

		for (int i = 0; i < 2; i++)
			stream_write(&streams[i], &ends[i]);
		for (int i = 0; i < 2; i++) {
			struct pollfd poll_fd = {.fd = ends[i].fd, .events = POLLIN};
			bool more = poll(&poll_fd, 1, 0) == 1;

			any |= more;
			while (more)
				more = stream_read(&streams[1 - i], &ends[i], rooms[round % 7]);
		}
		ck_assert_msg(any, "nothing is readable, and not all has come: the test, or a link, would wait for ever");
	}
	for (int i = 0; i < 2; i++) {
		ck_assert_uint_ge(channel_sent(&ends[i]), streams[i].size);
		ck_assert_uint_eq(channel_sent(&ends[i]), channel_received(&ends[1 - i]));
		free(streams[i].bytes);
	}
	close_ends();
}
END_TEST

// What is under way when a write was not taken may grow, and lie elsewhere, but is sent as it was.
START_TEST(test_retry_elsewhere)
{
	uint8_t *first = malloc(1 << 20), *second = malloc(1 << 20);
	struct stream expected = stream_make(2 << 20);
	struct iovec iov = {.iov_base = first, .iov_len = 5000};
	size_t written = 0, done;

	make_ends(_i, 4096);
	memcpy(first, expected.bytes, 1 << 20);
	while (channel_write(&ends[0], &iov, 1, &done) == CHANNEL_DONE) {
		written += done;
		iov.iov_base = first + written;
	}
	memcpy(second, expected.bytes + written, 30000);
	memset(first, 0xee, 1 << 20);
	iov = (struct iovec){.iov_base = second, .iov_len = 30000};
	for (size_t end = written + 30000; written < end;) {
		while (stream_read(&expected, &ends[1], 70000))
			;
		if (channel_write(&ends[0], &iov, 1, &done) != CHANNEL_DONE)
			continue;
		written += done;
		iov.iov_base = (uint8_t *)iov.iov_base + done;
		iov.iov_len -= done;
	}
	while (expected.read < written)
		stream_read(&expected, &ends[1], 70000);
	close_ends();
	free(first);
	free(second);
	free(expected.bytes);
}
END_TEST

// New keys in the middle of a stream, which the other end has to answer while it reads: with a full socket, too.
START_TEST(test_new_keys)
{
	struct stream there = stream_make(1 << 20), back = stream_make(1 << 20);

	make_ends(TLS, 4096);
	for (unsigned round = 0; there.read < there.size || back.read < back.size; round++) {
		// Not while a record is on its way: OpenSSL refuses that.
		if (round % 5 == 0)
			SSL_key_update(ends[0].ssl, SSL_KEY_UPDATE_REQUESTED);
		stream_write(&there, &ends[0]);
		stream_write(&back, &ends[1]);
		while (stream_read(&back, &ends[0], 70000))
			;
		while (stream_read(&there, &ends[1], 70000))
			;
	}
	close_ends();
	free(there.bytes);
	free(back.bytes);
}
END_TEST

// The end comes behind the last bytes, however much is read at once; and again when it is asked for again.
START_TEST(test_end)
{
	struct stream stream = stream_make(20000);
	uint8_t byte;
	size_t size;
	bool more;

	make_ends(_i, 0);
	stream_write(&stream, &ends[0]);
	ck_assert_uint_eq(stream.written, stream.size);
	channel_close(&ends[0]);
	while (stream.read < stream.size)
		stream_read(&stream, &ends[1], 7000);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(read_some(&ends[1], &byte, 1, &size, &more), CHANNEL_ENDED);
	close_ends();
	free(stream.bytes);
}
END_TEST

// A connection that is cut is told from one that is closed: somebody on the way may have cut it.
START_TEST(test_cut)
{
	struct stream stream = stream_make(100);
	uint8_t byte;
	size_t size;
	bool more;

	make_ends(TLS, 0);
	stream_write(&stream, &ends[0]);
	shutdown(ends[0].fd, SHUT_RDWR);
	while (stream.read < stream.size)
		stream_read(&stream, &ends[1], 7000);
	ck_assert_int_eq(read_some(&ends[1], &byte, 1, &size, &more), CHANNEL_FAILED);
	ck_assert_msg(strstr(ends[1].why, "cut") != NULL, "%s", ends[1].why);
	close_ends();
	free(stream.bytes);
}
END_TEST

// One flipped bit on the way is a failure, and not one byte of that record is given out.
START_TEST(test_altered)
{
	struct stream stream = stream_make(1000);
	uint8_t record[2000];
	ssize_t record_size;
	size_t size;
	bool more;

	make_ends(TLS, 0);
	stream_write(&stream, &ends[0]);
	record_size = recv(ends[1].fd, record, sizeof(record), 0);
	ck_assert_int_gt(record_size, 1000);
	record[500] ^= 1;
	ck_assert_int_eq(send(ends[0].fd, record, (size_t)record_size, 0), record_size);
	ck_assert_int_eq(read_some(&ends[1], record, sizeof(record), &size, &more), CHANNEL_FAILED);
	ck_assert_msg(strstr(ends[1].why, "TLS") != NULL, "%s", ends[1].why);
	close_ends();
	free(stream.bytes);
}
END_TEST

// A record that was sent is not taken a second time.
START_TEST(test_replayed)
{
	struct stream stream = stream_make(1000);
	uint8_t record[3000];
	ssize_t record_size;
	size_t size;
	bool more;

	make_ends(TLS, 0);
	stream_write(&stream, &ends[0]);
	record_size = recv(ends[1].fd, record, sizeof(record), 0);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(send(ends[0].fd, record, (size_t)record_size, 0), record_size);
	ck_assert_int_eq(read_some(&ends[1], record, sizeof(record), &size, &more), CHANNEL_DONE);
	ck_assert_uint_eq(size, 1000);
	ck_assert_int_eq(read_some(&ends[1], record, sizeof(record), &size, &more), CHANNEL_FAILED);
	close_ends();
	free(stream.bytes);
}
END_TEST

// What is on the wire is TLS 1.3 and nothing of the text.
START_TEST(test_wire)
{
	static const char text[] = "a secret that nobody on the way should see";
	struct iovec iov = {.iov_base = (void *)(uintptr_t)text, .iov_len = sizeof(text)};
	uint8_t record[1000];
	ssize_t record_size;
	size_t size;

	make_ends(TLS, 0);
	ck_assert_int_eq(SSL_version(ends[0].ssl), TLS1_3_VERSION);
	ck_assert_int_eq(channel_write(&ends[0], &iov, 1, &size), CHANNEL_DONE);
	record_size = recv(ends[1].fd, record, sizeof(record), 0);
	ck_assert_int_gt(record_size, (ssize_t)sizeof(text));
	ck_assert_int_eq(record[0], 23); // application data
	ck_assert_ptr_null(memmem(record, (size_t)record_size, text + 2, 6));
	close_ends();
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("channel");
	TCase *tcase = tcase_create("channel");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tcase, test_both_ways, 0, KINDS);
	tcase_add_loop_test(tcase, test_retry_elsewhere, 0, KINDS);
	tcase_add_test(tcase, test_new_keys);
	tcase_add_loop_test(tcase, test_end, 0, KINDS);
	tcase_add_test(tcase, test_cut);
	tcase_add_test(tcase, test_altered);
	tcase_add_test(tcase, test_replayed);
	tcase_add_test(tcase, test_wire);
	tcase_set_timeout(tcase, 60);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
