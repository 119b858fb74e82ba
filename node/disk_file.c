// SPDX-License-Identifier: MIT
#include "node/disk_file.h"

#include "core/check.h"
#include "store/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PAGE = 4096, DYING_MS = 3000 };

int
disk_file_refuse(const struct disk_file *file, char *error, size_t error_size, const char *format, ...)
{
	va_list arguments;
	int length = snprintf(error, error_size, "%s%s: ", file->flag, file->path);

	va_start(arguments, format);
	vsnprintf(error + length, error_size - (size_t)length, format, arguments);
	va_end(arguments);
	return -1;
}

int
disk_file_perform(const struct disk_file *file, struct medium_io *io)
{
	size_t progress = 0;

	while (progress < io->size) {
		off_t offset = (off_t)(io->offset + progress);
		ssize_t result = io->write ? pwrite(file->fd, io->bytes + progress, io->size - progress, offset)
					   : pread(file->fd, io->bytes + progress, io->size - progress, offset);

		if (result < 0 && errno == EINTR)
			continue;
		if (result <= 0)
			return result < 0 ? errno : EIO;
		progress += (size_t)result;
	}
	return 0;
}

uint64_t
disk_file_size(const struct disk_file *file)
{
	off_t size = lseek(file->fd, 0, SEEK_END);

	return size > 0 ? (uint64_t)size : 0;
}

// In one piece, if the file system can: a file that grows block by block, in any order, is found slowly later. And a
// disk that is too small says so now.
int
disk_file_grow(const struct disk_file *file, uint64_t size)
{
	if (file->is_device)
		return ENOSPC;
	if (fallocate(file->fd, 0, 0, (off_t)size) == 0)
		return 0;
	if (errno != EOPNOTSUPP)
		return errno;
	return ftruncate(file->fd, (off_t)size) == 0 ? 0 : errno;
}

// Direct I/O, unless the system has none there or wants more than MEDIUM_ALIGN.
static void
try_direct(const struct disk_file *file)
{
	int flags = fcntl(file->fd, F_GETFL);
	uint8_t *bytes = aligned_alloc(PAGE, PAGE);

	CHECK(bytes != NULL);
	if (fcntl(file->fd, F_SETFL, flags | O_DIRECT) == 0 &&
	    pread(file->fd, bytes + MEDIUM_ALIGN, MEDIUM_ALIGN, MEDIUM_ALIGN) < 0)
		fcntl(file->fd, F_SETFL, flags);
	free(bytes);
}

int
disk_file_lock(int fd, pid_t *ret_holder)
{
	int sys_errno = lock_take(fd, false);

	*ret_holder = sys_errno == EAGAIN ? lock_find_holder(fd) : 0;
	return sys_errno == EAGAIN && *ret_holder == 0 ? lock_take_within(fd, false, DYING_MS) : sys_errno;
}

bool
disk_file_is_at(const struct disk_file *file, const char *path)
{
	struct stat here, there;

	return fstat(file->fd, &here) == 0 && stat(path, &there) == 0 && here.st_dev == there.st_dev &&
	       here.st_ino == there.st_ino;
}

int
disk_file_open(struct disk_file *file, const char *flag, const char *path, char *error, size_t error_size)
{
	struct stat status;
	bool exists = stat(path, &status) == 0;
	int sys_errno, flags = O_RDWR | O_CLOEXEC;
	pid_t holder;

	*file = (struct disk_file){.flag = flag, .path = path, .fd = -1};
	if (exists && !S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode))
		return disk_file_refuse(file, error, error_size, "is neither a file nor a block device");
	file->is_device = exists && S_ISBLK(status.st_mode);
	flags |= file->is_device ? O_EXCL : O_CREAT; // refused while the device is mounted
	file->fd = open(path, flags, 0600);
	if (file->fd < 0)
		return disk_file_refuse(file, error, error_size, "cannot be opened: %s", strerror(errno));
	sys_errno = disk_file_lock(file->fd, &holder);
	if (sys_errno == EAGAIN)
		return holder > 0 ? disk_file_refuse(file, error, error_size,
						     "is in use by process %d; each node needs its own", (int)holder)
				  : disk_file_refuse(file, error, error_size, "is in use; each node needs its own");
	if (sys_errno != 0)
		return disk_file_refuse(file, error, error_size, "cannot be locked: %s", strerror(sys_errno));
	if (!disk_file_is_at(file, path)) // somebody who wanted it at the same moment has removed it again
		return disk_file_refuse(file, error, error_size, "was removed just now; try again");
	file->is_new = !exists && disk_file_size(file) == 0; // else somebody else has made it since we looked
	try_direct(file);
	return 0;
}
