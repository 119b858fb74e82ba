// SPDX-License-Identifier: MIT
// A new file beside the old one takes its name when it is on stable storage. The administrator may edit the file while the node
// runs; the node does not notice, but it does not write over that either.
#include "node/acl_file.h"

#include "core/check.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int __attribute__((format(printf, 3, 4))) fail(char *error, size_t error_size, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(error, error_size, format, arguments);
	va_end(arguments);
	return -1;
}

// ---- Reading ----

static int
check_file(int fd, const char *path, struct stat *ret, char *error, size_t error_size)
{
	if (fstat(fd, ret) != 0)
		return fail(error, error_size, "%s: %s", path, strerror(errno));
	if (!S_ISREG(ret->st_mode))
		return fail(error, error_size, "%s: is no file", path);
	if ((ret->st_uid != geteuid() && ret->st_uid != 0) || (ret->st_mode & 022) != 0)
		return fail(error, error_size, "%s: others than this user and root can write it (uid %u, mode %04o): chmod go-w %s", path,
			    (unsigned)ret->st_uid, (unsigned)ret->st_mode & 07777, path);
	return 0;
}

static ssize_t
read_all(int fd, char *bytes, size_t room)
{
	size_t size = 0;

	while (size < room) {
		ssize_t got = read(fd, bytes + size, room - size);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		size += (size_t)got;
	}
	return (ssize_t)size;
}

static struct acl *
load_open(struct acl_file *file, int fd, const char *path, char *error, size_t error_size)
{
	char *text = malloc(ACL_SIZE_MAX + 1), why[700];
	struct acl *acl = NULL;
	ssize_t size;

	CHECK(text != NULL);
	if (check_file(fd, path, &file->seen, error, error_size) == 0) {
		size = read_all(fd, text, ACL_SIZE_MAX + 1);
		if (size < 0)
			fail(error, error_size, "%s: %s", path, strerror(errno));
		else if ((acl = acl_parse(text, (size_t)size, why, sizeof(why))) == NULL)
			fail(error, error_size, "%s: %s", path, why);
	}
	free(text);
	return acl;
}

struct acl *
acl_file_load(struct acl_file *file, const char *path, char *error, size_t error_size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct acl *acl = NULL;

	if (fd < 0) {
		fail(error, error_size, "%s: %s", path, strerror(errno));
		return NULL;
	}
	if (realpath(path, file->path) == NULL) // later the node may be in another directory, and a link stays one
		fail(error, error_size, "%s: %s", path, strerror(errno));
	else
		acl = load_open(file, fd, path, error, error_size);
	close(fd);
	return acl;
}

// ---- Writing ----

static bool
was_changed(const struct acl_file *file)
{
	struct stat now;

	return stat(file->path, &now) != 0 || now.st_dev != file->seen.st_dev || now.st_ino != file->seen.st_ino ||
	       now.st_size != file->seen.st_size || now.st_mtim.tv_sec != file->seen.st_mtim.tv_sec ||
	       now.st_mtim.tv_nsec != file->seen.st_mtim.tv_nsec;
}

static int
write_all(int fd, const char *text)
{
	size_t size = strlen(text);

	while (size > 0) {
		ssize_t written = write(fd, text, size);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return -1;
		text += written;
		size -= (size_t)written;
	}
	return 0;
}

static int
write_new(const char *path, const char *text, mode_t mode, struct stat *ret)
{
	int fd, rc, saved;

	if (unlink(path) != 0 && errno != ENOENT) // of a process that died
		return -1;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -1;
	rc = write_all(fd, text) == 0 && fchmod(fd, mode) == 0 && fsync(fd) == 0 && fstat(fd, ret) == 0 ? 0 : -1;
	saved = errno;
	close(fd);
	if (rc != 0)
		unlink(path);
	errno = saved;
	return rc;
}

static int
sync_directory_of(const char *path)
{
	char copy[PATH_MAX];
	int fd, rc, saved;

	snprintf(copy, sizeof(copy), "%s", path);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	rc = fsync(fd);
	saved = errno;
	close(fd);
	errno = saved;
	return rc;
}

int
acl_file_save(struct acl_file *file, const char *text, char *error, size_t error_size)
{
	char path[PATH_MAX + 8];
	struct stat made;

	if (was_changed(file))
		return fail(error, error_size, "%s was changed by somebody else since this node has read it, and is not overwritten", file->path);
	snprintf(path, sizeof(path), "%s.new", file->path);
	if (write_new(path, text, file->seen.st_mode & 0755, &made) != 0)
		return fail(error, error_size, "%s: %s", path, strerror(errno));
	if (rename(path, file->path) != 0) {
		int saved = errno;

		unlink(path);
		return fail(error, error_size, "%s: %s", file->path, strerror(saved));
	}
	file->seen = made;
	if (sync_directory_of(file->path) != 0)
		return fail(error, error_size, "%s: its directory: %s", file->path, strerror(errno));
	return 0;
}
