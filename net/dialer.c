// SPDX-License-Identifier: MIT
// One attempt at a time: address by address, and for a name each of its numbers. After a round without success, or
// after a connection that did not prove useful (dialer_succeeded), the next round waits: 50 ms, doubling to 5 s. A
// parent that worked before is tried first (protocol.md F3).
//
//   RESTING --dialer_start--> WAITING --timer--> [RESOLVING -->] CONNECTING --> RESTING (connected)
//                                ^-------- all addresses failed --------'
#include "net/link.h"
#include "net/resolver.h"

#include <errno.h>
#include <event2/event.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	DIALER_DELAY_FIRST_MS = 50,
	DIALER_DELAY_MAX_MS = 5000,
	DIALER_CONNECT_TIMEOUT_MS = 5000, // an attempt that is not answered
};

struct dialer {
	struct event_base *base;
	struct address *addresses;
	size_t count;
	size_t current;         // address that is being tried
	size_t connected_index; // address that was connected last
	size_t left;            // addresses of this round that remain, the current one included
	uint32_t delay_ms;      // before the next round; 0: at once
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

static void
dialer_grow_delay(struct dialer *dialer)
{
	dialer->delay_ms = dialer->delay_ms == 0 ? DIALER_DELAY_FIRST_MS : dialer->delay_ms * 2;
	if (dialer->delay_ms > DIALER_DELAY_MAX_MS)
		dialer->delay_ms = DIALER_DELAY_MAX_MS;
}

static void
dialer_wait(struct dialer *dialer)
{
	struct timeval delay = time_of_ms(dialer->delay_ms);

	dialer->left = dialer->count;
	evtimer_add(dialer->wait, &delay);
}

// The current address is of no use: tell, and go on with the next one from the loop.
static void
dialer_fail(struct dialer *dialer, const char *why)
{
	const struct address *address = &dialer->addresses[dialer->current];

	dialer_clear(dialer);
	dialer->current = (dialer->current + 1) % dialer->count;
	if (--dialer->left > 0) {
		evtimer_add(dialer->wait, &(struct timeval){0});
	} else {
		dialer_grow_delay(dialer);
		dialer_wait(dialer);
	}
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
	dialer->connected_index = dialer->current;
	dialer->current = (dialer->current + 1) % dialer->count;
	dialer_grow_delay(dialer); // until dialer_succeeded says that it was worth it
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
	struct timeval timeout = time_of_ms(DIALER_CONNECT_TIMEOUT_MS);

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

	if (getaddrinfo(address->host, address->port, &hints, &dialer->infos) == 0) {
		dialer->info = dialer->infos;
		dialer_try(dialer);
		return;
	}
	dialer->infos = NULL;
	dialer->resolver = resolver_start(dialer->base, address, dialer_resolved, dialer);
	if (dialer->resolver == NULL)
		dialer_fail(dialer, "the name lookup cannot be started");
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
	dialer_try(arg);
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
	dialer->count = count;
	dialer->connected = connected;
	dialer->failed = failed;
	dialer->arg = arg;
	dialer->addresses = calloc(count, sizeof(*addresses));
	dialer->wait = evtimer_new(base, dialer_waited, dialer);
	if (count == 0 || dialer->addresses == NULL || dialer->wait == NULL) {
		dialer_destroy(dialer);
		return NULL;
	}
	memcpy(dialer->addresses, addresses, count * sizeof(*addresses));
	return dialer;
}

void
dialer_start(struct dialer *dialer)
{
	if (dialer->running)
		return;
	dialer->running = true;
	dialer_wait(dialer);
}

void
dialer_succeeded(struct dialer *dialer)
{
	dialer->delay_ms = 0;
	dialer->current = dialer->connected_index;
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
