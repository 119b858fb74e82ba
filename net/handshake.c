// SPDX-License-Identifier: MIT
//   SHAKING --done--> accepted, dialled
//      |------------> LINGERING (dialled by the peer, and it has been told why) --the end of its bytes, or a while--> gone
//      |------------> gone
//
// Who is refused has usually sent something more by then. Closing over bytes that nobody has read makes the system send a
// reset, which takes away, at the peer's host, the alert that says why. So its bytes are read and thrown away for a moment.
// Lingering ones count as under way.
#include "net/handshake.h"

#include "core/check.h"
#include "core/limits.h"
#include "net/host.h"
#include "net/tls.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	LINGER_MS = 1000,
	LINGER_SIZE = 64 * 1024, // bytes that are read and thrown away, at most
	WHY_SIZE = 400,
};

struct handshake {
	struct handshake *next; // the oldest is first
	struct handshakes *all;
	int fd;
	SSL *ssl; // NULL: it lingers
	bool dials;
	struct fingerprint expected; // of whom we dial
	struct tls_question question;
	struct host host; // who has dialled
	char *name;
	size_t drained;
	struct event readable, writable, timeout;
};

struct handshakes {
	struct event_base *base;
	struct tls *tls;
	const struct handshake_callbacks *callbacks;
	void *arg;
	struct handshake *first; // of those who have dialled
	size_t count;
	struct handshake *dial; // or NULL
};

static struct timeval
time_of_ms(uint32_t ms)
{
	return (struct timeval){.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};
}

// ---- Life of one ----

// Forget it; what it has of the connection is left alone.
static void
handshake_unlink(struct handshake *handshake)
{
	struct handshakes *all = handshake->all;
	struct handshake **at = &all->first;

	event_del(&handshake->readable);
	event_del(&handshake->writable);
	event_del(&handshake->timeout);
	if (handshake == all->dial) {
		all->dial = NULL;
		return;
	}
	while (*at != handshake)
		at = &(*at)->next;
	*at = handshake->next;
	all->count--;
}

static void
handshake_free(struct handshake *handshake)
{
	SSL_free(handshake->ssl);
	if (handshake->fd >= 0)
		close(handshake->fd);
	free(handshake->name);
	free(handshake);
}

static void
handshake_drop(struct handshake *handshake)
{
	handshake_unlink(handshake);
	handshake_free(handshake);
}

// ---- How it ends ----

static void
linger(struct handshake *handshake)
{
	struct timeval timeout = time_of_ms(LINGER_MS);

	SSL_free(handshake->ssl);
	handshake->ssl = NULL;
	shutdown(handshake->fd, SHUT_WR);
	event_del(&handshake->writable);
	event_add(&handshake->readable, NULL);
	event_add(&handshake->timeout, &timeout);
}

static void
drain(struct handshake *handshake)
{
	uint8_t bytes[4096];
	ssize_t got = recv(handshake->fd, bytes, sizeof(bytes), 0);

	if (got > 0)
		handshake->drained += (size_t)got;
	if ((got < 0 && errno != EAGAIN && errno != EINTR) || got == 0 || handshake->drained > LINGER_SIZE)
		handshake_drop(handshake);
}

static void
handshake_fail(struct handshake *handshake, const char *why, bool may_linger, bool for_now)
{
	const struct handshake_callbacks *callbacks = handshake->all->callbacks;
	void *arg = handshake->all->arg;

	if (handshake->dials) {
		handshake_drop(handshake);
		callbacks->failed(arg, why, for_now);
		return;
	}
	callbacks->refused(arg, handshake->name, why);
	if (may_linger)
		linger(handshake);
	else
		handshake_drop(handshake);
}

static void
handshake_done(struct handshake *handshake)
{
	const struct handshake_callbacks *callbacks = handshake->all->callbacks;
	void *arg = handshake->all->arg;
	SSL *ssl = handshake->ssl;
	int fd = handshake->fd;

	CHECK(handshake->question.asked); // or nobody was asked whether this is who it should be
	tls_forget_question(ssl);
	handshake->ssl = NULL;
	handshake->fd = -1;
	handshake_unlink(handshake);
	if (handshake->dials)
		callbacks->dialled(arg, fd, ssl);
	else
		callbacks->accepted(arg, fd, ssl, handshake->name, &handshake->question.peer);
	handshake_free(handshake);
}

// The other end has another key than it should.
static void
describe_wrong_key(const struct handshake *handshake, char *ret, size_t size)
{
	char is[FINGERPRINT_TEXT_SIZE], expected[FINGERPRINT_TEXT_SIZE];

	fingerprint_print(&handshake->question.peer, is);
	fingerprint_print(&handshake->expected, expected);
	if (handshake->dials)
		snprintf(ret, size, "its key is %s, and not %s: it is somebody else, or has a new key", is, expected);
	else
		snprintf(ret, size, "its key, %s, is not known here; to let it in: hvfs allow VOLUME %s read-write", is, is);
}

static void
handshake_broken(struct handshake *handshake, int result, int sys_errno)
{
	int error = SSL_get_error(handshake->ssl, result);
	bool wrong = handshake->question.asked && ERR_GET_REASON(ERR_peek_error()) == SSL_R_CERTIFICATE_VERIFY_FAILED;
	char why[WHY_SIZE];
	enum tls_refusal refusal = REFUSAL_USELESS;

	if (wrong)
		describe_wrong_key(handshake, why, sizeof(why));
	else
		refusal = tls_describe(handshake->ssl, error, sys_errno, "the TLS handshake", why, sizeof(why));
	ERR_clear_error();
	handshake_fail(handshake, why, error == SSL_ERROR_SSL, refusal == REFUSAL_NONE);
}

// ---- Events ----

static void
handshake_go_on(struct handshake *handshake)
{
	int result, error, sys_errno;

	ERR_clear_error();
	result = SSL_do_handshake(handshake->ssl);
	sys_errno = errno;
	if (result == 1) {
		handshake_done(handshake);
		return;
	}
	error = SSL_get_error(handshake->ssl, result);
	if (error == SSL_ERROR_WANT_WRITE)
		event_add(&handshake->writable, NULL);
	else if (error != SSL_ERROR_WANT_READ)
		handshake_broken(handshake, result, sys_errno);
}

static void
on_event(evutil_socket_t fd, short what, void *arg)
{
	struct handshake *handshake = arg;

	if (handshake->ssl == NULL)
		drain(handshake);
	else
		handshake_go_on(handshake);
}

static void
on_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct handshake *handshake = arg;

	if (handshake->ssl == NULL)
		handshake_drop(handshake);
	else
		handshake_fail(handshake, "the TLS handshake was not finished in time", false, true);
}

// ---- Beginning ----

static struct handshake *
handshake_new(struct handshakes *all, int fd, bool dials)
{
	struct handshake *handshake = calloc(1, sizeof(*handshake));

	CHECK(handshake != NULL);
	handshake->all = all;
	handshake->fd = fd;
	handshake->dials = dials;
	event_assign(&handshake->readable, all->base, fd, EV_READ | EV_PERSIST, on_event, handshake);
	event_assign(&handshake->writable, all->base, fd, EV_WRITE, on_event, handshake);
	evtimer_assign(&handshake->timeout, all->base, on_timeout, handshake);
	return handshake;
}

static void
handshake_start(struct handshake *handshake, uint32_t ms)
{
	struct timeval timeout = time_of_ms(ms);

	handshake->ssl = tls_session(handshake->all->tls, handshake->fd, handshake->dials, &handshake->question);
	CHECK(handshake->ssl != NULL);
	event_add(&handshake->readable, NULL);
	event_add(&handshake->writable, NULL); // begins when the loop runs
	event_add(&handshake->timeout, &timeout);
}

static bool
is_known(void *arg, const struct fingerprint *peer)
{
	const struct handshake *handshake = arg;

	return handshake->all->callbacks->is_known(handshake->all->arg, peer);
}

static bool
is_expected(void *arg, const struct fingerprint *peer)
{
	const struct handshake *handshake = arg;

	return fingerprint_equal(&handshake->expected, peer);
}

static size_t
count_of(const struct handshakes *all, const struct host *host)
{
	size_t count = 0;

	for (const struct handshake *other = all->first; other != NULL; other = other->next)
		count += host_equal(&other->host, host);
	return count;
}

// The oldest of the host with the most. Two hundred times two hundred comparisons, when there is a flood.
static struct handshake *
find_superfluous(struct handshakes *all)
{
	struct handshake *found = NULL;
	size_t most = 0;

	for (struct handshake *other = all->first; other != NULL; other = other->next) {
		size_t count = count_of(all, &other->host);

		if (count > most) {
			most = count;
			found = other;
		}
	}
	return found;
}

static void
make_room(struct handshakes *all, const struct host *host)
{
	struct handshake *oldest = NULL;

	if (count_of(all, host) >= LIMIT_HANDSHAKES_OF_HOST) {
		oldest = all->first;
		while (!host_equal(&oldest->host, host))
			oldest = oldest->next;
	} else if (all->count >= LIMIT_HANDSHAKES) {
		oldest = find_superfluous(all);
	}
	if (oldest != NULL && oldest->ssl == NULL)
		handshake_drop(oldest);
	else if (oldest != NULL)
		handshake_fail(oldest, "too many connections are not through with their TLS handshake; the oldest makes room", false, true);
}

void
handshakes_accept(struct handshakes *all, int fd, const char *name)
{
	struct handshake *handshake = handshake_new(all, fd, false), **at = &all->first;

	handshake->host = host_of(fd);
	make_room(all, &handshake->host);
	handshake->name = strdup(name);
	CHECK(handshake->name != NULL);
	handshake->question = (struct tls_question){.is_right = is_known, .arg = handshake};
	while (*at != NULL)
		at = &(*at)->next;
	*at = handshake;
	all->count++;
	handshake_start(handshake, LIMIT_HANDSHAKE_MS);
}

void
handshakes_dial(struct handshakes *all, int fd, const struct fingerprint *peer, uint32_t ms)
{
	CHECK(all->dial == NULL);
	all->dial = handshake_new(all, fd, true);
	all->dial->expected = *peer;
	all->dial->question = (struct tls_question){.is_right = is_expected, .arg = all->dial};
	handshake_start(all->dial, ms < LIMIT_HANDSHAKE_MS ? ms : LIMIT_HANDSHAKE_MS);
}

void
handshakes_cancel_dial(struct handshakes *all)
{
	if (all != NULL && all->dial != NULL)
		handshake_drop(all->dial);
}

size_t
handshakes_count(const struct handshakes *all)
{
	return all->count;
}

// ---- All ----

struct handshakes *
handshakes_create(struct event_base *base, const struct identity *identity, const struct handshake_callbacks *callbacks, void *arg,
		  char *error, size_t error_size)
{
	struct handshakes *all = calloc(1, sizeof(*all));

	CHECK(all != NULL);
	all->base = base;
	all->callbacks = callbacks;
	all->arg = arg;
	all->tls = tls_create(identity, error, error_size);
	if (all->tls != NULL)
		return all;
	free(all);
	return NULL;
}

void
handshakes_destroy(struct handshakes *all)
{
	if (all == NULL)
		return;
	handshakes_cancel_dial(all);
	while (all->first != NULL)
		handshake_drop(all->first);
	tls_destroy(all->tls);
	free(all);
}
