// SPDX-License-Identifier: MIT
#include "node/rescue_file.h"

#include "store/metadata.h"
#include "store/place.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { NAME_PART_MAX = 80, TRIES = 1000, PATH_SIZE = PATH_MAX + 8 };

static int
write_all(int fd, const void *bytes, size_t size, off_t offset)
{
	const char *at = bytes;

	while (size > 0) {
		ssize_t count = offset >= 0 ? pwrite(fd, at, size, offset) : write(fd, at, size);

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return errno;
		at += count;
		size -= (size_t)count;
		offset += offset >= 0 ? count : 0;
	}
	return 0;
}

static int __attribute__((format(printf, 2, 3)))
map_print(struct rescue_file *file, const char *format, ...)
{
	char text[2 * PATH_MAX];
	va_list arguments;
	int size;

	va_start(arguments, format);
	size = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	return (size_t)size < sizeof(text) ? write_all(file->map_fd, text, (size_t)size, -1) : ENAMETOOLONG;
}

static int
open_new(const char *path, const char *suffix)
{
	char whole[PATH_SIZE];

	snprintf(whole, sizeof(whole), "%s%s", path, suffix);
	return open(whole, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
}

static void
remove_one(const char *path, const char *suffix)
{
	char whole[PATH_SIZE];

	snprintf(whole, sizeof(whole), "%s%s", path, suffix);
	unlink(whole);
}

// Returns 0, EEXIST (another name must be tried) or another errno value.
static int
open_pair(struct rescue_file *file)
{
	int sys_errno;

	file->map_fd = open_new(file->path, ".map");
	if (file->map_fd < 0)
		return errno;
	file->image_fd = open_new(file->path, ".img");
	if (file->image_fd >= 0)
		return 0;
	sys_errno = errno;
	close(file->map_fd);
	remove_one(file->path, ".map");
	return sys_errno;
}

static int
open_free_name(struct rescue_file *file, const char *directory, const char *node, const char *volume)
{
	time_t now = time(NULL);
	char date[40];
	struct tm parts;
	int sys_errno = EEXIST;

	localtime_r(&now, &parts);
	strftime(date, sizeof(date), "%Y%m%d-%H%M%S", &parts);
	for (int i = 1; i <= TRIES && sys_errno == EEXIST; i++) {
		char number[16] = "";

		if (i > 1)
			snprintf(number, sizeof(number), "-%d", i);
		if (snprintf(file->path, sizeof(file->path), "%s/%.*s-%.*s-%s%s", directory, NAME_PART_MAX, node,
			     NAME_PART_MAX, volume, date, number) >= (int)sizeof(file->path))
			return ENAMETOOLONG;
		sys_errno = open_pair(file);
	}
	return sys_errno;
}

// The size only makes the image look like the volume: where the file system has no such sizes, it is smaller.
static int
begin(struct rescue_file *file, const char *volume, uint64_t volume_size)
{
	const char *name = strrchr(file->path, '/') + 1;

	(void)!ftruncate(file->image_fd, (off_t)volume_size);
	return map_print(file,
			 "# hvfs: bytes of volume %s that were written here and could not be brought to its root.\n"
			 "# They are in %s.img. Lines: offset length version (the last of several lines counts).\n"
			 "# To put them back, over what is there now, look at them first and then, with VOLUME.img on a mount:\n"
			 "#   grep -v '^#' %s.map | while read offset length version; do\n"
			 "#     dd if=%s.img of=VOLUME.img iflag=skip_bytes,count_bytes oflag=seek_bytes conv=notrunc,fsync "
			 "bs=64K skip=$offset seek=$offset count=$length; done\n",
			 volume, name, name, name);
}

int
rescue_file_create(struct rescue_file *file, const char *directory, const char *node, const char *volume,
		   uint64_t volume_size)
{
	char inside[PATH_SIZE];
	int sys_errno;

	if (snprintf(inside, sizeof(inside), "%s/x", directory) >= PATH_MAX)
		return ENAMETOOLONG;
	sys_errno = place_make_directories(inside);
	if (sys_errno == 0)
		sys_errno = open_free_name(file, directory, node, volume);
	if (sys_errno != 0)
		return sys_errno;
	sys_errno = begin(file, volume, volume_size);
	if (sys_errno == 0)
		sys_errno = metadata_sync_directory(file->path);
	if (sys_errno != 0) {
		rescue_file_close(file);
		remove_one(file->path, ".img");
		remove_one(file->path, ".map");
	}
	return sys_errno;
}

int
rescue_file_add(struct rescue_file *file, uint64_t offset, const void *bytes, uint32_t size, version_t version)
{
	int sys_errno = write_all(file->image_fd, bytes, size, (off_t)offset);

	if (sys_errno != 0)
		return sys_errno;
	return map_print(file, "%" PRIu64 " %" PRIu32 " %" PRIu32 ".%" PRIu64 "\n", offset, size, version_epoch(version),
			 (uint64_t)(version & ((UINT64_C(1) << VERSION_COUNTER_BITS) - 1)));
}

// The map last: a line in it speaks of bytes that are there.
int
rescue_file_sync(struct rescue_file *file)
{
	return fsync(file->image_fd) < 0 || fsync(file->map_fd) < 0 ? errno : 0;
}

void
rescue_file_close(struct rescue_file *file)
{
	close(file->image_fd);
	close(file->map_fd);
	file->image_fd = file->map_fd = -1;
}
