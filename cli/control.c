// SPDX-License-Identifier: MIT
#include "cli/control.h"

#include "cli/paths.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
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
	if (getsockopt(control->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.pid > 0)
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
	control->stream = fdopen(control->fd, "r");
	return control->stream != NULL ? 0 : fail(control, "no memory");
}

void
control_close(struct control *control)
{
	if (control->stream != NULL)
		fclose(control->stream);
	else if (control->fd >= 0)
		close(control->fd);
	if (control->pidfd >= 0)
		close(control->pidfd);
	free(control->line);
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
control_send(struct control *control, const char *command, const char *key, const char *value)
{
	json_t *object = json_pack("{ss}", "command", command);
	if (object != NULL && key != NULL)
		json_object_set_new(object, key, json_string(value));
	char *text = object != NULL ? json_dumps(object, JSON_COMPACT) : NULL;
	json_decref(object);
	if (text == NULL)
		return fail(control, "no memory");
	int result = send_all(control, text, strlen(text));
	free(text);
	return result == 0 ? send_all(control, "\n", 1) : -1;
}

json_t *
control_receive(struct control *control, bool *ret_closed)
{
	json_error_t why;
	if (ret_closed != NULL)
		*ret_closed = false;
	ssize_t size = getline(&control->line, &control->line_room, control->stream);
	if (size < 0) {
		fail(control, "%s: the node went away without an answer", control->path);
		if (ret_closed != NULL)
			*ret_closed = feof(control->stream);
		return NULL;
	}
	json_t *object = json_loadb(control->line, (size_t)size, 0, &why);
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

void
control_wait_gone(struct control *control)
{
	struct pollfd poll_fd = { .fd = control->pidfd, .events = POLLIN };
	while (control->pidfd >= 0 && poll(&poll_fd, 1, -1) < 0 && errno == EINTR)
		;
}
