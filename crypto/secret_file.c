// SPDX-License-Identifier: MIT
// The file is looked at by its descriptor, so that what was checked is what is read.
#include "crypto/secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int __attribute__((format(printf, 3, 4))) fail(char *error, size_t error_size, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(error, error_size, format, arguments);
	va_end(arguments);
	return -1;
}

// ---- Writing ----

static int
write_all(int fd, const char *bytes, size_t size)
{
	while (size > 0) {
		ssize_t written = write(fd, bytes, size);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return -1;
		bytes += written;
		size -= (size_t)written;
	}
	return fsync(fd);
}

// The name of a new file is on stable storage when its directory is.
static int
sync_directory_of(const char *path)
{
	char copy[PATH_MAX];
	int fd, rc, saved;

	if (snprintf(copy, sizeof(copy), "%s", path) >= (int)sizeof(copy)) {
		errno = ENAMETOOLONG;
		return -1;
	}
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
secret_file_create(const char *path, const void *bytes, size_t size, char *error, size_t error_size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	int saved;

	if (fd < 0 && errno == EEXIST)
		return fail(error, error_size,
			    "%s: is there already, and a key is never overwritten: give another name", path);
	if (fd < 0)
		return fail(error, error_size, "%s: %s", path, strerror(errno));
	if (write_all(fd, bytes, size) == 0 && sync_directory_of(path) == 0) {
		close(fd);
		return 0;
	}
	saved = errno;
	close(fd);
	unlink(path);
	return fail(error, error_size, "%s: %s", path, strerror(saved));
}

int
secret_file_replace(const char *path, const void *bytes, size_t size, char *error, size_t error_size)
{
	char beside[PATH_MAX];
	int fd, saved;

	if (snprintf(beside, sizeof(beside), "%s.XXXXXX", path) >= (int)sizeof(beside))
		return fail(error, error_size, "%s: %s", path, strerror(ENAMETOOLONG));
	fd = mkostemp(beside, O_CLOEXEC); // mode 0600
	if (fd < 0)
		return fail(error, error_size, "%s: a new file beside it: %s", path, strerror(errno));
	if (write_all(fd, bytes, size) == 0 && rename(beside, path) == 0) {
		close(fd);
		// The new one is there, and may be gone after a crash: that is worth a word.
		return sync_directory_of(path) == 0
			       ? 0
			       : fail(error, error_size, "%s: its directory: %s", path, strerror(errno));
	}
	saved = errno;
	close(fd);
	unlink(beside);
	return fail(error, error_size, "%s: %s", path, strerror(saved));
}

// ---- Reading ----

static int
check_file(int fd, const char *path, const struct secret_kind *kind, size_t room, char *error, size_t error_size)
{
	struct stat status;
	char made[200] = "";

	if (fstat(fd, &status) != 0)
		return fail(error, error_size, "%s: %s", path, strerror(errno));
	if (!S_ISREG(status.st_mode)) {
		if (kind->maker != NULL)
			snprintf(made, sizeof(made), "; right would be one that '%s' has made", kind->maker);
		return fail(error, error_size, "%s: is no file%s", path, made);
	}
	if (status.st_uid != geteuid()) {
		if (kind->maker != NULL)
			snprintf(made, sizeof(made), "make one of your own with '%s', or: ", kind->maker);
		return fail(error, error_size,
			    "%s: belongs to uid %u, and this is uid %u: who owns the file has the %s; %schown %u %s",
			    path, (unsigned)status.st_uid, (unsigned)geteuid(), kind->noun, made, (unsigned)geteuid(),
			    path);
	}
	if ((status.st_mode & 077) != 0)
		return fail(error, error_size,
			    "%s: has mode %04o, so that others than its owner can get at the %s: chmod 600 %s", path,
			    (unsigned)status.st_mode & 07777, kind->noun, path);
	if (status.st_size > (off_t)room)
		return fail(error, error_size, "%s: has %lld bytes, which is no %s", path, (long long)status.st_size,
			    kind->noun);
	return 0;
}

// Returns the bytes read, or -1 with errno.
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

ssize_t
secret_file_read(const char *path, const struct secret_kind *kind, void *bytes, size_t room, char *error,
		 size_t error_size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); // whatever it is, opening it ends
	ssize_t size = -1;

	if (fd < 0 && errno == ENOENT && kind->maker != NULL)
		return fail(error, error_size, "%s: %s; make one: %s %s", path, strerror(errno), kind->maker, path);
	if (fd < 0)
		return fail(error, error_size, "%s: %s", path, strerror(errno));
	if (check_file(fd, path, kind, room, error, error_size) == 0) {
		size = read_all(fd, bytes, room);
		if (size < 0)
			fail(error, error_size, "%s: %s", path, strerror(errno));
	}
	close(fd);
	return size;
}
