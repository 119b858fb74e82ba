// SPDX-License-Identifier: MIT
// A lookup cannot be interrupted, so the thread is detached and the job it works on is counted: loop and thread hold
// one count each, the last one frees. The thread writes the result before the byte that announces it.
#include "net/resolver.h"

#include <event2/event.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

struct lookup {
	atomic_int count;
	int fds[2]; // [0] the loop's end, [1] the thread's
	char host[sizeof(((struct address *)0)->host)];
	char port[sizeof(((struct address *)0)->port)];
	int rc;
	struct addrinfo *infos;
};

struct resolver {
	struct lookup *lookup;
	struct event *answered;
	void (*found)(void *arg, struct addrinfo *infos, const char *why);
	void *arg;
};

static void
lookup_release(struct lookup *lookup)
{
	if (atomic_fetch_sub(&lookup->count, 1) != 1)
		return;
	if (lookup->infos != NULL)
		freeaddrinfo(lookup->infos);
	free(lookup);
}

static void *
lookup_run(void *arg)
{
	struct addrinfo hints = {.ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG, .ai_socktype = SOCK_STREAM};
	struct lookup *lookup = arg;
	struct addrinfo *infos = NULL;

	lookup->rc = getaddrinfo(lookup->host, lookup->port, &hints, &infos);
	lookup->infos = lookup->rc == 0 ? infos : NULL;
	send(lookup->fds[1], "", 1, MSG_NOSIGNAL); // nobody may be there any more
	close(lookup->fds[1]);
	lookup_release(lookup);
	return NULL;
}

// Starts the thread with all signals blocked: they are the loop's.
static int
lookup_start(struct lookup *lookup)
{
	pthread_attr_t attributes;
	pthread_t thread;
	sigset_t all, before;
	int rc;

	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&thread, &attributes, lookup_run, lookup);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return rc == 0 ? 0 : -1;
}

static struct lookup *
lookup_create(const struct address *address)
{
	struct lookup *lookup = calloc(1, sizeof(*lookup));

	if (lookup == NULL)
		return NULL;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, lookup->fds) != 0) {
		free(lookup);
		return NULL;
	}
	for (size_t i = 0; i < sizeof(lookup->host); i++)
		lookup->host[i] = address->host[i];
	for (size_t i = 0; i < sizeof(lookup->port); i++)
		lookup->port[i] = address->port[i];
	atomic_init(&lookup->count, 2);
	if (lookup_start(lookup) != 0) {
		close(lookup->fds[0]);
		close(lookup->fds[1]);
		free(lookup);
		return NULL;
	}
	return lookup;
}

static void
resolver_answered(evutil_socket_t fd, short what, void *arg)
{
	struct resolver *resolver = arg;
	struct lookup *lookup = resolver->lookup;
	void (*found)(void *, struct addrinfo *, const char *) = resolver->found;
	void *found_arg = resolver->arg;
	struct addrinfo *infos;
	const char *why;
	char byte;

	if (recv(fd, &byte, 1, 0) < 0)
		return; // woken for nothing
	infos = lookup->infos;
	why = lookup->rc == 0 ? NULL : gai_strerror(lookup->rc);
	lookup->infos = NULL;
	resolver_cancel(resolver);
	found(found_arg, infos, why);
}

struct resolver *
resolver_start(struct event_base *base, const struct address *address,
	       void (*found)(void *arg, struct addrinfo *infos, const char *why), void *arg)
{
	struct resolver *resolver = calloc(1, sizeof(*resolver));

	if (resolver == NULL)
		return NULL;
	resolver->lookup = lookup_create(address);
	if (resolver->lookup == NULL) {
		free(resolver);
		return NULL;
	}
	resolver->found = found;
	resolver->arg = arg;
	resolver->answered =
		event_new(base, resolver->lookup->fds[0], EV_READ | EV_PERSIST, resolver_answered, resolver);
	if (resolver->answered == NULL || event_add(resolver->answered, NULL) != 0) {
		resolver_cancel(resolver);
		return NULL;
	}
	return resolver;
}

void
resolver_cancel(struct resolver *resolver)
{
	if (resolver == NULL)
		return;
	if (resolver->answered != NULL)
		event_free(resolver->answered);
	close(resolver->lookup->fds[0]);
	lookup_release(resolver->lookup);
	free(resolver);
}
