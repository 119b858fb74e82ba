// SPDX-License-Identifier: MIT
// One attempt at a time: address by address, and for a name each of its numbers. Within a round there is no pause; after
// a round without success the next one waits: 50 ms, doubling to 5 s. A connection that did not prove useful
// (dialer_succeeded) is a failed attempt of its round: the next start goes on behind it. One that did begins a new round
// with itself, as a parent that worked before is tried first (protocol.md F3); without a pause, unless it was of use for
// a moment only.
//
//   RESTING --dialer_start--> WAITING --timer--> [RESOLVING -->] CONNECTING --> RESTING (connected)
//                                ^-------- next address, or round --------'
#include "net/link.h"
#include "net/resolver.h"

#include "core/check.h"

#include <errno.h>
#include <event2/event.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
	DIALER_DELAY_FIRST_MS = 50,
	DIALER_DELAY_MAX_MS = 5000,
	DIALER_CONNECT_TIMEOUT_MS = 5000, // an attempt that is not answered, or a name that is not found
	DIALER_USEFUL_MS = 1000,          // a success that lasted shorter is followed by a pause
};

struct dialer {
	struct event_base *base;
	struct address *addresses;
	size_t count;
	size_t current;         // address that is being tried, or was connected last
	size_t left;            // addresses of this round that remain, the current one included; 0: no round
	uint32_t delay_ms;      // before the next round; 0: at once
	uint32_t moment_delay_ms; // grows with each success in a row that lasted for a moment only
	uint32_t timeout_ms;    // of an attempt
	uint64_t succeeded_ms;  // when the last connection was of use; 0: not (yet)
	bool running;
	struct event *wait;
	struct resolver *resolver;
	struct addrinfo *infos, *info; // numbers of the current name; the one being tried
	int fd;                        // being connected, or -1
	struct event *writable;
	void (*connected)(void *arg, int fd, const struct address *address);
	void (*failed)(void *arg, const struct address *address, const char *why);
	void *arg;
};

static void dialer_try(struct dialer *dialer);

static struct timeval
time_of_ms(uint32_t ms)
{
	return (struct timeval){.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};
}

static void
dialer_clear_attempt(struct dialer *dialer)
{
	if (dialer->writable != NULL)
		event_free(dialer->writable);
	dialer->writable = NULL;
	if (dialer->fd >= 0)
		close(dialer->fd);
	dialer->fd = -1;
}

static void
dialer_clear(struct dialer *dialer)
{
	dialer_clear_attempt(dialer);
	resolver_cancel(dialer->resolver);
	dialer->resolver = NULL;
	if (dialer->infos != NULL)
		freeaddrinfo(dialer->infos);
	dialer->infos = dialer->info = NULL;
}

static uint32_t
grown(uint32_t delay_ms)
{
	if (delay_ms == 0)
		return DIALER_DELAY_FIRST_MS;
	return delay_ms * 2 < DIALER_DELAY_MAX_MS ? delay_ms * 2 : DIALER_DELAY_MAX_MS;
}

static uint64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void
dialer_wait(struct dialer *dialer)
{
	struct timeval delay = time_of_ms(dialer->delay_ms);

	dialer->left = dialer->count;
	evtimer_add(dialer->wait, &delay);
}

// The current address is of no use: go on with the next one, from the loop.
static void
dialer_next(struct dialer *dialer)
{
	dialer->current = (dialer->current + 1) % dialer->count;
	if (--dialer->left > 0) {
		evtimer_add(dialer->wait, &(struct timeval){0});
		return;
	}
	dialer->delay_ms = grown(dialer->delay_ms);
	dialer_wait(dialer);
}

static void
dialer_fail(struct dialer *dialer, const char *why)
{
	const struct address *address = &dialer->addresses[dialer->current];

	dialer_clear(dialer);
	dialer_next(dialer);
	dialer->failed(dialer->arg, address, why);
}

static void
dialer_done(struct dialer *dialer)
{
	const struct address *address = &dialer->addresses[dialer->current];
	int fd = dialer->fd;

	dialer->fd = -1;
	dialer_clear(dialer);
	dialer->running = false;
	dialer->succeeded_ms = 0;
	dialer->connected(dialer->arg, fd, address);
}

// This number failed; the name may have another.
static void
dialer_fail_attempt(struct dialer *dialer, int error)
{
	dialer_clear_attempt(dialer);
	if (dialer->info != NULL && dialer->info->ai_next != NULL) {
		dialer->info = dialer->info->ai_next;
		dialer_try(dialer);
		return;
	}
	dialer_fail(dialer, strerror(error));
}

static void
dialer_writable(evutil_socket_t fd, short what, void *arg)
{
	struct dialer *dialer = arg;
	int error = 0;
	socklen_t size = sizeof(error);

	if (what & EV_TIMEOUT)
		error = ETIMEDOUT;
	else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
		error = errno;
	if (error != 0)
		dialer_fail_attempt(dialer, error);
	else
		dialer_done(dialer);
}

static void
dialer_connect(struct dialer *dialer, int family, const struct sockaddr *to, socklen_t to_size)
{
	struct timeval timeout = time_of_ms(dialer->timeout_ms);

	dialer->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (dialer->fd < 0) {
		dialer_fail_attempt(dialer, errno);
		return;
	}
	if (connect(dialer->fd, to, to_size) != 0 && errno != EINPROGRESS) { // EAGAIN of a unix socket: backlog full
		dialer_fail_attempt(dialer, errno);
		return;
	}
	dialer->writable = event_new(dialer->base, dialer->fd, EV_WRITE, dialer_writable, dialer);
	if (dialer->writable == NULL || event_add(dialer->writable, &timeout) != 0)
		dialer_fail_attempt(dialer, ENOMEM);
}

static void
dialer_resolved(void *arg, struct addrinfo *infos, const char *why)
{
	struct dialer *dialer = arg;

	dialer->resolver = NULL;
	evtimer_del(dialer->wait);
	if (infos == NULL) {
		dialer_fail(dialer, why);
		return;
	}
	dialer->infos = dialer->info = infos;
	dialer_try(dialer);
}

// Numbers need no lookup, and so no thread.
static void
dialer_resolve(struct dialer *dialer, const struct address *address)
{
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
	struct timeval timeout = time_of_ms(dialer->timeout_ms);

	if (getaddrinfo(address->host, address->port, &hints, &dialer->infos) == 0) {
		dialer->info = dialer->infos;
		dialer_try(dialer);
		return;
	}
	dialer->infos = NULL;
	dialer->resolver = resolver_start(dialer->base, address, dialer_resolved, dialer);
	if (dialer->resolver == NULL)
		dialer_fail(dialer, "the name lookup cannot be started");
	else
		evtimer_add(dialer->wait, &timeout);
}

static void
dialer_try(struct dialer *dialer)
{
	const struct address *address = &dialer->addresses[dialer->current];
	struct sockaddr_un name = {.sun_family = AF_UNIX};

	if (address->is_unix) {
		memcpy(name.sun_path, address->path, sizeof(name.sun_path));
		dialer_connect(dialer, AF_UNIX, (struct sockaddr *)&name, sizeof(name));
	} else if (dialer->info != NULL) {
		dialer_connect(dialer, dialer->info->ai_family, dialer->info->ai_addr, dialer->info->ai_addrlen);
	} else {
		dialer_resolve(dialer, address);
	}
}

static void
dialer_waited(evutil_socket_t fd, short what, void *arg)
{
	struct dialer *dialer = arg;

	if (dialer->resolver != NULL)
		dialer_fail(dialer, "the name lookup takes too long");
	else
		dialer_try(dialer);
}

static bool
dialer_copy_addresses(struct dialer *dialer, const struct address *addresses, size_t count)
{
	struct address *copy = calloc(count, sizeof(*copy));

	if (copy == NULL || count == 0) {
		free(copy);
		return false;
	}
	memcpy(copy, addresses, count * sizeof(*copy));
	free(dialer->addresses);
	dialer->addresses = copy;
	dialer->count = count;
	dialer->current = 0;
	dialer->left = 0;
	return true;
}

struct dialer *
dialer_create(struct event_base *base, const struct address *addresses, size_t count,
	      void (*connected)(void *arg, int fd, const struct address *address),
	      void (*failed)(void *arg, const struct address *address, const char *why), void *arg)
{
	struct dialer *dialer = calloc(1, sizeof(*dialer));

	if (dialer == NULL)
		return NULL;
	dialer->base = base;
	dialer->fd = -1;
	dialer->timeout_ms = DIALER_CONNECT_TIMEOUT_MS;
	dialer->connected = connected;
	dialer->failed = failed;
	dialer->arg = arg;
	dialer->wait = evtimer_new(base, dialer_waited, dialer);
	if (dialer->wait == NULL || !dialer_copy_addresses(dialer, addresses, count)) {
		dialer_destroy(dialer);
		return NULL;
	}
	return dialer;
}

void
dialer_set_addresses(struct dialer *dialer, const struct address *addresses, size_t count)
{
	CHECK(!dialer->running);
	CHECK(dialer_copy_addresses(dialer, addresses, count));
}

void
dialer_set_timeout(struct dialer *dialer, uint32_t ms)
{
	dialer->timeout_ms = ms < DIALER_CONNECT_TIMEOUT_MS ? ms : DIALER_CONNECT_TIMEOUT_MS;
}

void
dialer_start(struct dialer *dialer)
{
	if (dialer->running)
		return;
	dialer->running = true;
	if (dialer->succeeded_ms == 0 && dialer->left > 0) {
		dialer_next(dialer); // this round goes on
		return;
	}
	if (dialer->succeeded_ms != 0) {
		bool was_useful = now_ms() - dialer->succeeded_ms >= DIALER_USEFUL_MS;

		dialer->moment_delay_ms = was_useful ? 0 : grown(dialer->moment_delay_ms);
		dialer->delay_ms = dialer->moment_delay_ms;
	}
	dialer_wait(dialer);
}

void
dialer_succeeded(struct dialer *dialer)
{
	dialer->succeeded_ms = now_ms();
}

void
dialer_destroy(struct dialer *dialer)
{
	if (dialer == NULL)
		return;
	dialer_clear(dialer);
	if (dialer->wait != NULL)
		event_free(dialer->wait);
	free(dialer->addresses);
	free(dialer);
}
