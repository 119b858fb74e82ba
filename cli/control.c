// SPDX-License-Identifier: MIT
#include "cli/control.h"

#include "cli/paths.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static int __attribute__((format(printf, 2, 3)))
fail(struct control *control, const char *format, ...)
{
	va_list list;
	va_start(list, format);
	vsnprintf(control->error, sizeof control->error, format, list);
	va_end(list);
	return -1;
}

// ---- Which socket ----

// The number of sockets in ${directory}; the last one's path in ${path}.
static unsigned
list_sockets(const char *directory, char path[108])
{
	DIR *dir = opendir(directory);
	unsigned count = 0;
	if (dir == NULL)
		return 0;
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		size_t size = strlen(entry->d_name);
		if (size <= strlen(".sock") || strcmp(entry->d_name + size - strlen(".sock"), ".sock") != 0)
			continue;
		if (strlen(directory) + 1 + size >= 108)
			continue;
		stpcpy(stpcpy(stpcpy(path, directory), "/"), entry->d_name);
		count++;
	}
	closedir(dir);
	return count;
}

static int
find_socket(struct control *control)
{
	char host[256] = "", directory[108], only[108];
	if (paths_control_directory(directory, sizeof directory, control->error, sizeof control->error) != 0)
		return -1;
	if (gethostname(host, sizeof host - 1) == 0 &&
	    paths_control_socket(host, control->path, control->error, sizeof control->error) == 0 &&
	    access(control->path, F_OK) == 0)
		return 0;
	unsigned count = list_sockets(directory, only);
	if (count > 1)
		return fail(control, "%u nodes have their control sockets in %s: say which by --control PATH", count, directory);
	if (count == 0)
		return fail(control, "no node has its control socket in %s: is one running? If it was given --control PATH, give the same here",
			    directory);
	strcpy(control->path, only);
	return 0;
}

// ---- The connection ----

static int
connect_socket(struct control *control)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	strcpy(address.sun_path, control->path);
	control->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (control->fd < 0)
		return fail(control, "socket: %s", strerror(errno));
	if (connect(control->fd, (struct sockaddr *)&address, sizeof address) == 0)
		return 0;
	if (errno == ENOENT || errno == ECONNREFUSED)
		return fail(control, "--control %s: no node answers there (%s)", control->path, strerror(errno));
	return fail(control, "--control %s: %s", control->path, strerror(errno));
}

// The process behind the socket. A node in another pid namespace has none for us.
static void
find_process(struct control *control)
{
	struct ucred peer;
	socklen_t size = sizeof peer;
	if (getsockopt(control->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.pid <= 0)
		return;
	control->pid = peer.pid;
	control->pidfd = (int)syscall(SYS_pidfd_open, peer.pid, 0);
}

int
control_open(struct control *control, const char *path)
{
	*control = (struct control){ .fd = -1, .pidfd = -1 };
	if (path != NULL && (path[0] == '\0' || strlen(path) >= sizeof control->path))
		return fail(control, "--control %s: a socket's path has 1 to %zu bytes", path, sizeof control->path - 1);
	if (path != NULL)
		strcpy(control->path, path);
	else if (find_socket(control) != 0)
		return -1;
	if (connect_socket(control) != 0)
		return -1;
	find_process(control);
	return 0;
}

void
control_close(struct control *control)
{
	if (control->fd >= 0)
		close(control->fd);
	if (control->pidfd >= 0)
		close(control->pidfd);
	free(control->line);
	free(control->bytes);
	*control = (struct control){ .fd = -1, .pidfd = -1 };
}

// ---- Lines ----

static int
send_all(struct control *control, const char *bytes, size_t size)
{
	while (size > 0) {
		ssize_t sent = send(control->fd, bytes, size, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return fail(control, "%s: the node went away (%s)", control->path, strerror(errno));
		bytes += sent;
		size -= (size_t)sent;
	}
	return 0;
}

int
control_ask(struct control *control, json_t *request)
{
	char *text = request != NULL ? json_dumps(request, JSON_COMPACT) : NULL;
	json_decref(request);
	if (text == NULL)
		return fail(control, "the request can not be written as JSON: is it UTF-8?");
	int result = send_all(control, text, strlen(text));
	free(text);
	return result == 0 ? send_all(control, "\n", 1) : -1;
}

int
control_send(struct control *control, const char *command, const char *key, const char *value)
{
	json_t *object = json_pack("{ss}", "command", command);
	if (object != NULL && key != NULL)
		json_object_set_new(object, key, json_string(value));
	return control_ask(control, object);
}

static uint64_t
now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void
control_set_patience(struct control *control, uint64_t ms)
{
	control->deadline_ms = ms != 0 ? now_ms() + ms : 0;
}

bool
control_is_too_late(const struct control *control)
{
	return control->deadline_ms != 0 && now_ms() >= control->deadline_ms;
}

// Wait until ${fd} is readable, but not beyond the deadline of ${control} nor ${until_ms} (0: no such limit).
static bool
wait_readable(struct control *control, int fd, uint64_t until_ms)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	uint64_t until = until_ms;
	if (control->deadline_ms != 0 && (until == 0 || control->deadline_ms < until))
		until = control->deadline_ms;
	for (;;) {
		uint64_t now = now_ms(), left = until > now ? until - now : 0;
		int count = poll(&poll_fd, 1, until == 0 ? -1 : left > INT_MAX ? INT_MAX : (int)left);
		if (count > 0)
			return true;
		if (count == 0 && now_ms() >= until)
			return false;
	}
}

// The bytes up to the first newline become control->line. False: there is none yet.
static bool
take_line(struct control *control)
{
	char *end = control->bytes_size > 0 ? memchr(control->bytes, '\n', control->bytes_size) : NULL;
	if (end == NULL)
		return false;
	size_t size = (size_t)(end - control->bytes) + 1;
	free(control->line);
	control->line = strndup(control->bytes, size);
	control->bytes_size -= size;
	memmove(control->bytes, end + 1, control->bytes_size);
	return control->line != NULL;
}

static int
read_more(struct control *control)
{
	if (control->bytes_size == control->bytes_room) {
		control->bytes_room = control->bytes_room != 0 ? control->bytes_room * 2 : 4096;
		char *grown = realloc(control->bytes, control->bytes_room);
		if (grown == NULL)
			return fail(control, "no memory");
		control->bytes = grown;
	}
	ssize_t size = read(control->fd, control->bytes + control->bytes_size, control->bytes_room - control->bytes_size);
	if (size < 0 && errno == EINTR)
		return 0;
	if (size <= 0)
		return fail(control, "%s: the node went away without an answer", control->path);
	control->bytes_size += (size_t)size;
	return 0;
}

static json_t *
parse_line(struct control *control)
{
	json_error_t why;
	json_t *object = json_loads(control->line, 0, &why);
	if (!json_is_object(object)) {
		fail(control, "%s: the answer is not a node's: %s", control->path, object == NULL ? why.text : "no object");
		json_decref(object);
		return NULL;
	}
	const char *error = json_string_value(json_object_get(object, "error"));
	if (error != NULL) {
		fail(control, "%s", error);
		json_decref(object);
		return NULL;
	}
	return object;
}

json_t *
control_receive_within(struct control *control, uint32_t ms, bool *ret_late)
{
	uint64_t until = ms != 0 ? now_ms() + ms : 0;
	*ret_late = false;
	while (!take_line(control)) {
		if (!wait_readable(control, control->fd, until)) {
			*ret_late = control->deadline_ms == 0 || now_ms() < control->deadline_ms;
			fail(control, "%s: the node does not answer in time", control->path);
			return NULL;
		}
		if (read_more(control) != 0)
			return NULL;
	}
	return parse_line(control);
}

json_t *
control_receive(struct control *control)
{
	bool late;
	return control_receive_within(control, 0, &late);
}

void
control_wait_end(struct control *control, uint32_t ms)
{
	if (control->pidfd >= 0)
		wait_readable(control, control->pidfd, now_ms() + ms);
}

int
control_wait_gone(struct control *control)
{
	if (control->pidfd < 0 || wait_readable(control, control->pidfd, 0))
		return 0;
	return fail(control, "the node, pid %ld, has said that it is done, but does not end", (long)control->pid);
}
