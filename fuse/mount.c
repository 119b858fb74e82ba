// SPDX-License-Identifier: MIT
// What can be wrong with a mount point, looked for before libfuse tries, since fusermount3 would tell only stderr.
//
// A file system that is mounted there already is never asked anything (it may be a daemon that hangs, or this one): an
// O_PATH descriptor and /proc tell enough. The result is absolute, as the daemon may change its directory.
#include "fuse/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *log_text;
static size_t log_size;

static void
on_log(enum fuse_log_level level, const char *format, va_list list)
{
	if (log_text == NULL || log_text[0] != '\0')
		return; // the first complaint is the cause
	vsnprintf(log_text, log_size, format, list);
	log_text[strcspn(log_text, "\n")] = '\0';
}

void
mount_capture_log(char *text, size_t size)
{
	log_text = text;
	log_size = size;
	if (text != NULL)
		text[0] = '\0';
	fuse_set_log_func(text != NULL ? on_log : NULL);
}

// ${line}'s next word, ended in place.
static char *
next_word(char **line)
{
	char *word = strsep(line, " \n");

	return word != NULL ? word : (char *)"";
}

// The kernel writes space, tab, newline and backslash as \ooo.
static void
unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from != '\0'; to++) {
		if (from[0] == '\\' && from[1] != '\0' && from[2] != '\0' && from[3] != '\0') {
			*to = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}

enum mounted { MOUNTED_NOTHING, MOUNTED_FUSE, MOUNTED_HVFS };

// What ${line} of mountinfo says of ${path}. ID parent major:minor root MOUNTPOINT options... - TYPE source
static enum mounted
line_mounted(char *line, const char *path, uint64_t *ret_id)
{
	char *mount_point, *type = strstr(line, " - ");

	if (type == NULL || strncmp(type + 3, "fuse", 4) != 0)
		return MOUNTED_NOTHING;
	*ret_id = strtoull(line, NULL, 10);
	for (int i = 0; i < 4; i++)
		next_word(&line);
	mount_point = next_word(&line);
	unescape(mount_point);
	if (strcmp(mount_point, path) != 0)
		return MOUNTED_NOTHING;
	return strncmp(type + 3, "fuse.hvfs ", 10) == 0 ? MOUNTED_HVFS : MOUNTED_FUSE;
}

// The last of those that lie on each other is the one that is seen.
static enum mounted
mounted_on(const char *path, uint64_t *ret_id)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t size = 0;
	enum mounted found = MOUNTED_NOTHING;

	if (file == NULL)
		return MOUNTED_NOTHING;
	while (getline(&line, &size, file) >= 0) {
		uint64_t id;
		enum mounted mounted = line_mounted(line, path, &id);

		if (mounted == MOUNTED_NOTHING)
			continue;
		found = mounted;
		*ret_id = id;
	}
	free(line);
	fclose(file);
	return found;
}

uint64_t
driver_find_mount(const char *path)
{
	uint64_t id;

	return mounted_on(path, &id) == MOUNTED_HVFS ? id : 0;
}

static bool
user_allow_other(void)
{
	FILE *file = fopen("/etc/fuse.conf", "re");
	char *line = NULL;
	size_t size = 0;
	bool found = false;

	if (file == NULL)
		return false;
	while (!found && getline(&line, &size, file) >= 0) {
		char *word = line + strspn(line, " \t");
		size_t length = strcspn(word, " \t\r\n");

		found = length == strlen("user_allow_other") && strncmp(word, "user_allow_other", length) == 0;
	}
	free(line);
	fclose(file);
	return found;
}

// The absolute path of an existing directory, without asking what is mounted there.
static char *
directory_path(const char *directory, int *ret_fd, char *error, size_t error_size)
{
	char link[64], path[4096];
	ssize_t length;
	int fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);

	*ret_fd = fd;

	if (fd < 0 && errno == ENOTCONN)
		snprintf(error, error_size,
			 "mount directory '%s': the server of the file system mounted there is gone; "
			 "unmount it first: fusermount3 -u '%s'",
			 directory, directory);
	else if (fd < 0 && errno == ENOENT)
		snprintf(error, error_size, "mount directory '%s' does not exist: create it first", directory);
	else if (fd < 0 && errno == ENOTDIR)
		snprintf(error, error_size, "mount directory '%s' is not a directory", directory);
	else if (fd < 0)
		snprintf(error, error_size, "mount directory '%s': %s", directory, strerror(errno));
	if (fd < 0)
		return NULL;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, path, sizeof(path) - 1);
	if (length < 0) {
		close(fd);
		snprintf(error, error_size, "mount directory '%s': cannot read %s: %s (is /proc mounted?)", directory,
			 link, strerror(errno));
		return NULL;
	}
	path[length] = '\0';
	return strdup(path);
}

// What libfuse needs from the system. False and a sentence when it is not there.
static bool
system_check(const struct driver_options *options, char *error, size_t error_size)
{
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (fd < 0 && (errno == ENOENT || errno == ENODEV || errno == ENXIO))
		snprintf(error, error_size,
			 "cannot open /dev/fuse: %s: the kernel has no FUSE here (modprobe fuse; "
			 "in a container: give it the device)",
			 strerror(errno));
	else if (fd < 0)
		snprintf(error, error_size, "cannot open /dev/fuse: %s: this user must be able to read and write it",
			 strerror(errno));
	if (fd < 0)
		return false;
	close(fd);
	if (geteuid() != 0 && (options->allow_other || options->allow_root) && !user_allow_other()) {
		snprintf(error, error_size,
			 "%s needs the line 'user_allow_other' in /etc/fuse.conf when not run by root",
			 options->allow_other ? "allow_other" : "allow_root");
		return false;
	}
	return true;
}

// Take away what a killed node left on ${path}, to which ${fd} leads. False and a sentence when something is mounted.
static bool
make_free(const char *path, int fd, bool *ret_detached, char *error, size_t error_size)
{
	uint64_t id;

	*ret_detached = mounted_on(path, &id) == MOUNTED_HVFS && mount_detach_dead(path, fd);
	if (mounted_on(path, &id) == MOUNTED_NOTHING)
		return true;
	snprintf(error, error_size,
		 "mount directory '%s' is a FUSE mount already; unmount it first "
		 "(also when its server is gone): fusermount3 -u '%s'",
		 path, path);
	return false;
}

static bool
is_writable(const char *path, char *error, size_t error_size)
{
	if (geteuid() == 0 || access(path, W_OK) == 0)
		return true;
	snprintf(error, error_size, "mount directory '%s': %s: a user may only mount on a directory it can write to",
		 path, strerror(errno));
	return false;
}

char *
mount_check(const struct driver_options *options, bool *ret_detached, char *error, size_t error_size)
{
	int fd;
	char *path = directory_path(options->directory, &fd, error, error_size);
	bool ok;

	if (path == NULL)
		return NULL;
	ok = make_free(path, fd, ret_detached, error, error_size) && is_writable(path, error, error_size) &&
	     system_check(options, error, error_size);
	close(fd);
	if (ok)
		return path;
	free(path);
	return NULL;
}
