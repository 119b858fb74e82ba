// SPDX-License-Identifier: MIT
// A unix socket outlives its process as a file. Whether somebody still listens is found out by connecting: refused
// means stale, and only then is it replaced. The check and the replacement are not one step; two nodes started on one
// path in the same instant are told apart by their names and stores, not here.
#include "net/link.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	LISTENER_SOCKETS_MAX = 8, // addresses one name may stand for
	LISTENER_BACKLOG = 1024,
	LISTENER_PAUSE_S = 1, // after accept failed for lack of something, before the next try
};

struct listener {
	struct evconnlistener *sockets[LISTENER_SOCKETS_MAX];
	size_t socket_count;
	struct event *resume;
	struct address address;
	dev_t device; // of the socket's file: only our own is removed
	ino_t inode;
	void (*accepted)(void *arg, int fd, const char *peer);
	void *arg;
};

static int __attribute__((format(printf, 3, 4))) listener_fail(char *error, size_t error_size, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(error, error_size, format, arguments);
	va_end(arguments);
	return -1;
}

static void
peer_name(const struct listener *listener, int fd, struct sockaddr *from, int from_size, char *ret, size_t size)
{
	char host[NI_MAXHOST], port[NI_MAXSERV];
	struct ucred who;
	socklen_t who_size = sizeof(who);

	if (from->sa_family == AF_UNIX) {
		if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &who_size) != 0)
			who.pid = 0;
		snprintf(ret, size, "unix:%s(pid %d)", listener->address.path, (int)who.pid);
		return;
	}
	if (getnameinfo(from, (socklen_t)from_size, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		snprintf(ret, size, "?");
	else
		snprintf(ret, size, from->sa_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

static void
listener_accept(struct evconnlistener *socket_listener, evutil_socket_t fd, struct sockaddr *from, int from_size,
		void *arg)
{
	struct listener *listener = arg;
	char peer[NI_MAXHOST + NI_MAXSERV + 8];

	peer_name(listener, fd, from, from_size, peer, sizeof(peer));
	listener->accepted(listener->arg, fd, peer);
}

static void
listener_resume(evutil_socket_t fd, short what, void *arg)
{
	struct listener *listener = arg;

	for (size_t i = 0; i < listener->socket_count; i++)
		evconnlistener_enable(listener->sockets[i]);
}

// Out of descriptors or memory: the connection stays in the backlog, and without a pause the loop would spin.
static void
listener_pause(struct evconnlistener *socket_listener, void *arg)
{
	struct listener *listener = arg;

	for (size_t i = 0; i < listener->socket_count; i++)
		evconnlistener_disable(listener->sockets[i]);
	evtimer_add(listener->resume, &(struct timeval){.tv_sec = LISTENER_PAUSE_S});
}

static int
listener_add(struct listener *listener, struct event_base *base, int fd)
{
	struct evconnlistener *created;

	created = evconnlistener_new(base, listener_accept, listener, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC,
				     LISTENER_BACKLOG, fd);
	if (created == NULL)
		return -1;
	evconnlistener_set_error_cb(created, listener_pause);
	listener->sockets[listener->socket_count++] = created;
	return 0;
}

// Does somebody answer at ${name}? 1: yes; 0: nobody; -1: cannot be told (errno).
static int
unix_socket_is_live(const struct sockaddr_un *name)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int rc, saved;

	if (fd < 0)
		return -1;
	rc = connect(fd, (const struct sockaddr *)name, sizeof(*name));
	saved = errno;
	close(fd);
	errno = saved;
	if (rc == 0 || saved == EAGAIN || saved == EINPROGRESS) // EAGAIN: its backlog is full
		return 1;
	return saved == ECONNREFUSED ? 0 : -1;
}

static int
unix_clear_stale(const struct sockaddr_un *name, char *error, size_t error_size)
{
	struct stat status;

	if (lstat(name->sun_path, &status) != 0) {
		if (errno == ENOENT)
			return 0;
		return listener_fail(error, error_size, "%s: %s", name->sun_path, strerror(errno));
	}
	if (!S_ISSOCK(status.st_mode))
		return listener_fail(error, error_size, "%s: exists and is no socket; remove it or use another path",
				     name->sun_path);
	switch (unix_socket_is_live(name)) {
	case 1:
		return listener_fail(error, error_size,
				     "%s: in use, another process listens there; use another path or stop it",
				     name->sun_path);
	case -1:
		return listener_fail(error, error_size, "%s: %s", name->sun_path, strerror(errno));
	}
	if (unlink(name->sun_path) != 0 && errno != ENOENT)
		return listener_fail(error, error_size, "%s: cannot remove the stale socket: %s", name->sun_path,
				     strerror(errno));
	return 0;
}

static int
listener_open_unix(struct listener *listener, struct event_base *base, char *error, size_t error_size)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	struct stat status;
	mode_t mask;
	int fd, rc;

	memcpy(name.sun_path, listener->address.path, strlen(listener->address.path) + 1);
	if (unix_clear_stale(&name, error, error_size) != 0)
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return listener_fail(error, error_size, "%s: %s", name.sun_path, strerror(errno));
	mask = umask(0177);
	rc = bind(fd, (struct sockaddr *)&name, sizeof(name));
	umask(mask);
	if (rc != 0 || lstat(name.sun_path, &status) != 0) {
		listener_fail(error, error_size, "cannot listen at %s: %s", name.sun_path, strerror(errno));
		close(fd);
		return -1;
	}
	listener->device = status.st_dev;
	listener->inode = status.st_ino;
	if (listener_add(listener, base, fd) != 0) {
		listener_fail(error, error_size, "cannot listen at %s: %s", name.sun_path, strerror(errno));
		close(fd);
		return -1;
	}
	return 0;
}

static int
listener_open_one(struct listener *listener, struct event_base *base, const struct addrinfo *info, char *error,
		  size_t error_size)
{
	int one = 1, saved;
	int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, info->ai_protocol);

	if (fd < 0)
		return listener_fail(error, error_size, "cannot listen at %s: %s", listener->address.text,
				     strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (info->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(fd, info->ai_addr, info->ai_addrlen) != 0 || listener_add(listener, base, fd) != 0) {
		saved = errno;
		listener_fail(error, error_size, "cannot listen at %s: %s", listener->address.text, strerror(saved));
		close(fd);
		errno = saved; // the caller looks at it
		return -1;
	}
	return 0;
}

// All addresses of the name that can be had; localhost may have one of a family that is switched off. One in use is an
// error even so: half a listener would hide it.
static int
listener_open_tcp(struct listener *listener, struct event_base *base, char *error, size_t error_size)
{
	struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
	struct addrinfo *infos;
	int rc = getaddrinfo(listener->address.host, listener->address.port, &hints, &infos);

	if (rc != 0)
		return listener_fail(error, error_size, "cannot listen at %s: %s", listener->address.text,
				     gai_strerror(rc));
	rc = 0;
	for (struct addrinfo *info = infos; info != NULL && listener->socket_count < LISTENER_SOCKETS_MAX;
	     info = info->ai_next) {
		if (listener_open_one(listener, base, info, error, error_size) != 0 && errno == EADDRINUSE)
			rc = -1;
	}
	freeaddrinfo(infos);
	return listener->socket_count == 0 ? -1 : rc;
}

struct listener *
listener_create(struct event_base *base, const struct address *address,
		void (*accepted)(void *arg, int fd, const char *peer), void *arg, char *error, size_t error_size)
{
	struct listener *listener = calloc(1, sizeof(*listener));
	int rc;

	if (listener == NULL) {
		listener_fail(error, error_size, "cannot listen at %s: out of memory", address->text);
		return NULL;
	}
	listener->address = *address;
	listener->accepted = accepted;
	listener->arg = arg;
	listener->resume = evtimer_new(base, listener_resume, listener);
	if (address->is_unix)
		rc = listener_open_unix(listener, base, error, error_size);
	else
		rc = listener_open_tcp(listener, base, error, error_size);
	if (rc != 0) {
		listener_destroy(listener);
		return NULL;
	}
	return listener;
}

// By a descriptor: whoever can write to the directory may have put something else there.
int
listener_give(const struct listener *listener, uid_t uid, gid_t gid)
{
	struct stat status;
	int fd, rc, saved;

	if (!listener->address.is_unix)
		return 0;
	fd = open(listener->address.path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -1;
	errno = ESTALE;
	rc = fstat(fd, &status) == 0 && status.st_dev == listener->device && status.st_ino == listener->inode
		     ? fchownat(fd, "", uid, gid, AT_EMPTY_PATH)
		     : -1;
	saved = errno;
	close(fd);
	errno = saved;
	return rc;
}

void
listener_destroy(struct listener *listener)
{
	struct stat status;

	if (listener == NULL)
		return;
	if (listener->address.is_unix && listener->inode != 0 && lstat(listener->address.path, &status) == 0 &&
	    status.st_dev == listener->device && status.st_ino == listener->inode)
		unlink(listener->address.path);
	for (size_t i = 0; i < listener->socket_count; i++)
		evconnlistener_free(listener->sockets[i]);
	if (listener->resume != NULL)
		event_free(listener->resume);
	free(listener);
}
