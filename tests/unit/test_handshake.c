// SPDX-License-Identifier: MIT
// Who comes in, and who does not, and that neither crowds nor silence keep others out.
#include "net/handshake.h"

#include "core/limits.h"
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
#include <unistd.h>

enum { WATCHDOG_S = 30 };

// ---- Fixture: one who is dialled, one who dials ----

struct side {
	struct identity *identity;
	struct handshakes *handshakes;
	struct fingerprint known; // the one key that is let in
	unsigned in, refused;     // accepted or dialled; refused or failed
	struct fingerprint peer;
	int fd;
	SSL *ssl;
	char why[500];
};

static struct event_base *base;
static struct event *watchdog;
static struct side here, there; // here listens
static int listener;
static struct sockaddr_in address;

static void
bark(evutil_socket_t fd, short what, void *arg)
{
	ck_abort_msg("nothing happened for %d s", WATCHDOG_S);
}

static bool
on_asked(void *arg, const struct fingerprint *peer)
{
	struct side *side = arg;

	return fingerprint_equal(peer, &side->known);
}

static void
take(struct side *side, int fd, SSL *ssl)
{
	side->in++;
	SSL_free(side->ssl);
	if (side->fd >= 0)
		close(side->fd);
	side->fd = fd;
	side->ssl = ssl;
}

static void
on_accepted(void *arg, int fd, struct ssl_st *ssl, const char *name, const struct fingerprint *peer)
{
	struct side *side = arg;

	take(side, fd, ssl);
	side->peer = *peer;
}

static void
on_refused(void *arg, const char *name, const char *why)
{
	struct side *side = arg;

	side->refused++;
	snprintf(side->why, sizeof(side->why), "%s", why);
}

static void
on_dialled(void *arg, int fd, struct ssl_st *ssl)
{
	take(arg, fd, ssl);
}

static void
on_failed(void *arg, const char *why, bool for_now)
{
	on_refused(arg, "", why);
}

static const struct handshake_callbacks callbacks = {on_asked, on_accepted, on_refused, on_dialled, on_failed};

static void
side_make(struct side *side)
{
	char error[300];

	*side = (struct side){.identity = tls_help_identity(), .fd = -1};
	side->handshakes = handshakes_create(base, side->identity, &callbacks, side, error, sizeof(error));
	ck_assert_msg(side->handshakes != NULL, "%s", error);
}

static void
side_drop(struct side *side)
{
	SSL_free(side->ssl);
	if (side->fd >= 0)
		close(side->fd);
	handshakes_destroy(side->handshakes);
	identity_destroy(side->identity);
}

static void
setup(void)
{
	socklen_t size = sizeof(address);

	signal(SIGPIPE, SIG_IGN);
	base = event_base_new();
	watchdog = evtimer_new(base, bark, NULL);
	evtimer_add(watchdog, &(struct timeval){.tv_sec = WATCHDOG_S});
	side_make(&here);
	side_make(&there);
	here.known = *identity_fingerprint(there.identity);
	address = (struct sockaddr_in){.sin_family = AF_INET};
	listener = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, size), 0);
	ck_assert_int_eq(listen(listener, 1000), 0);
	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&address, &size), 0);
}

static void
teardown(void)
{
	side_drop(&here);
	side_drop(&there);
	close(listener);
	event_free(watchdog);
	event_base_free(base);
}

// A connection from 127.0.0.${host}; what is dialled begins its handshake.
static int
connect_from(int host)
{
	struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr = {htonl(0x7f000000u | (uint32_t)host)}};
	struct sockaddr_in to = address;
	int fd = socket(AF_INET, SOCK_STREAM, 0), accepted;

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	ck_assert_int_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	accepted = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	ck_assert_int_ge(accepted, 0);
	handshakes_accept(here.handshakes, accepted, "child");
	return fd;
}

static void
dial(const struct fingerprint *peer)
{
	handshakes_dial(there.handshakes, connect_from(1), peer, 60 * 1000);
}

static void
run_until(const unsigned *value, unsigned wanted)
{
	while (*value < wanted)
		ck_assert_int_eq(event_base_loop(base, EVLOOP_ONCE), 0);
}

static void
assert_why(const struct side *side, const char *part)
{
	ck_assert_msg(strstr(side->why, part) != NULL, "'%s' does not say '%s'", side->why, part);
}

static const char *
text_of(const struct side *side)
{
	static char text[FINGERPRINT_TEXT_SIZE];

	return fingerprint_print(identity_fingerprint(side->identity), text);
}

// The first read of who has dialled, and is told only then.
static void
read_refusal(struct side *side)
{
	uint8_t unused;
	int result;

	do {
		event_base_loop(base, EVLOOP_NONBLOCK);
		result = SSL_read(side->ssl, &unused, 1);
	} while (result <= 0 && SSL_get_error(side->ssl, result) == SSL_ERROR_WANT_READ);
	ck_assert_int_le(result, 0);
	tls_describe(side->ssl, SSL_get_error(side->ssl, result), 0, "reading", side->why, sizeof(side->why));
}

// ---- Cases ----

START_TEST(test_both_known)
{
	dial(identity_fingerprint(here.identity));
	run_until(&here.in, 1);
	run_until(&there.in, 1);
	ck_assert(fingerprint_equal(&here.peer, identity_fingerprint(there.identity)));
	ck_assert_int_eq(SSL_version(here.ssl), TLS1_3_VERSION);
	ck_assert_uint_eq(handshakes_count(here.handshakes), 0);
	ck_assert_uint_eq(here.refused + there.refused, 0);
}
END_TEST

// Both are told; and who is dialled is never heard of.
START_TEST(test_wrong_pin)
{
	struct fingerprint other = *identity_fingerprint(here.identity);

	other.bytes[31] ^= 1;
	dial(&other);
	run_until(&here.refused, 1);
	run_until(&there.refused, 1);
	assert_why(&there, "it is somebody else");
	assert_why(&there, text_of(&here));
	assert_why(&here, "expects another key");
	assert_why(&here, text_of(&here));
	ck_assert_uint_eq(here.in + there.in, 0);
}
END_TEST

START_TEST(test_unknown_key)
{
	here.known.bytes[0] ^= 1;
	dial(identity_fingerprint(here.identity));
	run_until(&here.refused, 1);
	ck_assert_uint_eq(here.in, 0);
	assert_why(&here, "is not known here");
	assert_why(&here, text_of(&there));
	run_until(&there.in, 1);
	read_refusal(&there);
	assert_why(&there, "does not know this node's key");
	assert_why(&there, "hvfs allow VOLUME");
	assert_why(&there, text_of(&there));
}
END_TEST

// What the dialler has said at once, in the belief to be through, does not take the alert away.
START_TEST(test_unknown_key_that_talks)
{
	uint8_t bytes[8000] = {0};

	here.known.bytes[0] ^= 1;
	dial(identity_fingerprint(here.identity));
	run_until(&there.in, 1);
	ck_assert_int_eq(SSL_write(there.ssl, bytes, sizeof(bytes)), (int)sizeof(bytes));
	run_until(&here.refused, 1);
	ck_assert_uint_eq(here.in, 0);
	for (int i = 0; i < 10; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	read_refusal(&there);
	assert_why(&there, "does not know this node's key");
}
END_TEST

// No certificate at all.
START_TEST(test_no_key)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(context);
	int fd = connect_from(1);

	SSL_set_fd(ssl, fd);
	while (here.refused == 0) {
		SSL_connect(ssl);
		event_base_loop(base, EVLOOP_NONBLOCK);
	}
	assert_why(&here, "no key was shown");
	ck_assert_uint_eq(here.in, 0);
	SSL_free(ssl);
	SSL_CTX_free(context);
	close(fd);
}
END_TEST

// Older versions are not spoken, whoever asks.
START_TEST(test_old_version)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	SSL *ssl;
	int fd = connect_from(1);

	SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
	SSL_CTX_use_certificate(context, identity_certificate(there.identity));
	SSL_CTX_use_PrivateKey(context, identity_key(there.identity));
	ssl = SSL_new(context);
	SSL_set_fd(ssl, fd);
	while (here.refused == 0) {
		SSL_connect(ssl);
		event_base_loop(base, EVLOOP_NONBLOCK);
	}
	assert_why(&here, "TLS");
	ck_assert_uint_eq(here.in, 0);
	SSL_free(ssl);
	SSL_CTX_free(context);
	close(fd);
}
END_TEST

START_TEST(test_not_tls)
{
	static const char *const texts[] = {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\x01\x20\x40\x00\x00\x00\x00\x01\x00\x00\x00\x01", "SSH-2.0-x\r\n"};

	for (unsigned i = 0; i < 3; i++) {
		int fd = connect_from(1);

		ck_assert_int_gt(send(fd, texts[i], i == 1 ? 12 : strlen(texts[i]), MSG_NOSIGNAL), 0);
		run_until(&here.refused, i + 1);
		assert_why(&here, "does not speak TLS");
		close(fd);
	}
	ck_assert_uint_eq(here.in, 0);
}
END_TEST

// Who dials and meets no TLS is told, too.
START_TEST(test_dial_plain)
{
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	ck_assert_int_eq(send(fds[1], "\x04\x20\x40\x00\x00\x00\x00\x01\x00\x00\x00\x01", 12, 0), 12);
	handshakes_dial(there.handshakes, fds[0], identity_fingerprint(here.identity), 1000);
	run_until(&there.refused, 1);
	assert_why(&there, "does not speak TLS");
	close(fds[1]);
}
END_TEST

// Silence ends.
START_TEST(test_silent)
{
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	handshakes_dial(there.handshakes, fds[0], identity_fingerprint(here.identity), 100);
	run_until(&there.refused, 1);
	assert_why(&there, "in time");
	close(fds[1]);
}
END_TEST

// A thousand connections of one host that say nothing: there are never more than its share, and others come in meanwhile; so does
// another program of that host.
START_TEST(test_flood)
{
	static int fds[1000];

	for (int i = 0; i < 1000; i++) {
		fds[i] = connect_from(_i);
		ck_assert_uint_le(handshakes_count(here.handshakes), LIMIT_HANDSHAKES_OF_HOST);
		if (i >= 200)
			close(fds[i - 200]);
		if (i == 500)
			dial(identity_fingerprint(here.identity));
		event_base_loop(base, EVLOOP_NONBLOCK);
	}
	run_until(&here.in, 1);
	run_until(&there.in, 1);
	for (int i = 800; i < 1000; i++)
		close(fds[i]);
}
END_TEST

// The same from a hundred hosts: there are never more than the limit in all, and the one connection of another host stays.
START_TEST(test_flood_of_hosts)
{
	static int fds[1500];

	dial(identity_fingerprint(here.identity)); // but nothing runs: it has not begun
	for (int i = 0; i < 1500; i++) {
		fds[i] = connect_from(2 + i % 100);
		ck_assert_uint_le(handshakes_count(here.handshakes), LIMIT_HANDSHAKES);
		if (i >= 200)
			close(fds[i - 200]);
	}
	ck_assert_uint_eq(handshakes_count(here.handshakes), LIMIT_HANDSHAKES);
	run_until(&here.in, 1);
	run_until(&there.in, 1);
	for (int i = 1300; i < 1500; i++)
		close(fds[i]);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("handshake");
	TCase *tcase = tcase_create("handshake");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_both_known);
	tcase_add_test(tcase, test_wrong_pin);
	tcase_add_test(tcase, test_unknown_key);
	tcase_add_test(tcase, test_unknown_key_that_talks);
	tcase_add_test(tcase, test_no_key);
	tcase_add_test(tcase, test_old_version);
	tcase_add_test(tcase, test_not_tls);
	tcase_add_test(tcase, test_dial_plain);
	tcase_add_test(tcase, test_silent);
	tcase_add_loop_test(tcase, test_flood, 1, 3);
	tcase_add_test(tcase, test_flood_of_hosts);
	tcase_set_timeout(tcase, 60);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
