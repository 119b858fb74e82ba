// SPDX-License-Identifier: MIT
// The storage of a new volume. Either all of it is there afterwards, or nothing that was not there before.
#include "store/lock.h"
#include "store/metadata.h"
#include "store/place.h"
#include "store/store.h"

#include "core/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

// What all steps need: the volume wanted, and where the sentence goes.
struct creation {
	const char *spec;
	uint64_t size;
	uint32_t block_size;
	char *error;
	size_t error_size;
};

__attribute__((format(printf, 2, 3))) static int
fail(struct creation *creation, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(creation->error, creation->error_size, format, args);
	va_end(args);
	return -1;
}

static int
check_block_size(struct creation *creation)
{
	uint32_t block_size = creation->block_size;

	if (block_size >= LIMIT_BLOCK_SIZE_MIN && block_size <= LIMIT_BLOCK_SIZE_MAX && (block_size & (block_size - 1)) == 0)
		return 0;
	return fail(creation, "%s: the block size %" PRIu32 " is not a power of two from %d to %d", creation->spec, block_size,
		LIMIT_BLOCK_SIZE_MIN, LIMIT_BLOCK_SIZE_MAX);
}

static int
check_size(struct creation *creation)
{
	uint64_t size = creation->size, block_size = creation->block_size;
	uint64_t size_max = ((UINT64_C(1) << BLOCK_KEY_BITS) - 1) * block_size;

	if (size_max > INT64_MAX) // a file offset
		size_max = INT64_MAX / block_size * block_size;
	if (size < block_size || size > size_max)
		return fail(creation, "%s: the size %" PRIu64 " is not from %" PRIu64 " (one block) to %" PRIu64, creation->spec,
			size, block_size, size_max);
	if (size % block_size != 0)
		return fail(creation, "%s: the size %" PRIu64 " is no multiple of the block size %" PRIu64 ": %" PRIu64
			" would be", creation->spec, size, block_size, size - size % block_size);
	return 0;
}

// Write the metadata of the new volume. A record left by an earlier volume of this name gives its epoch on, so that the
// versions of the two never meet in somebody's cache.
static int
write_metadata(struct creation *creation, const char *path)
{
	struct metadata before = {0};
	struct metadata metadata = {.size = creation->size, .block_size = creation->block_size, .clean = true};
	int sys_errno;

	if (metadata_read(path, &before) == 0)
		metadata.epoch = before.epoch;
	metadata_fini(&before);
	sys_errno = metadata_write(path, &metadata);
	if (sys_errno != 0)
		return fail(creation, "%s: cannot write %s: %s", creation->spec, path, strerror(sys_errno));
	return 0;
}

// What an earlier volume of this name has left of how its blocks were sealed (node/sealed_root.h): they are gone.
static int
remove_seals(struct creation *creation, const char *path)
{
	char seals[PATH_MAX];

	if (snprintf(seals, sizeof(seals), "%s.seals", path) >= (int)sizeof(seals))
		return fail(creation, "%s: cannot remove %s.seals: %s", creation->spec, path, strerror(ENAMETOOLONG));
	if (unlink(seals) < 0 && errno != ENOENT)
		return fail(creation, "%s: cannot remove %s: %s", creation->spec, seals, strerror(errno));
	return 0;
}

static int
fill_file(struct creation *creation, int fd)
{
	char path[PATH_MAX];
	struct stat status;
	int sys_errno;

	// From its first moment nobody else opens it.
	sys_errno = lock_take(fd, false);
	if (sys_errno != 0)
		return fail(creation, "%s: cannot lock it: %s", creation->spec, strerror(sys_errno));
	if (ftruncate(fd, (off_t)creation->size) < 0 || fsync(fd) < 0 || fstat(fd, &status) < 0)
		return fail(creation, "%s: cannot make a file of %" PRIu64 " bytes: %s", creation->spec, creation->size,
			strerror(errno));
	sys_errno = place_find_metadata(creation->spec, &status, path);
	if (sys_errno != 0)
		return fail(creation, "%s: no place for its metadata: %s", creation->spec, strerror(sys_errno));
	return remove_seals(creation, path) == 0 ? write_metadata(creation, path) : -1;
}

static int
create_file(struct creation *creation)
{
	int fd, result;

	if (check_size(creation) < 0)
		return -1;
	fd = open(creation->spec, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 && errno == EEXIST)
		return fail(creation, "%s exists already: name a new file, or remove it first", creation->spec);
	if (fd < 0)
		return fail(creation, "cannot create %s: %s", creation->spec, strerror(errno));
	result = fill_file(creation, fd);
	if (result < 0)
		unlink(creation->spec);
	close(fd);
	return result;
}

static int
fill_device(struct creation *creation, int fd, const struct stat *status)
{
	char path[PATH_MAX];
	struct metadata before;
	uint64_t device_size;
	int sys_errno = lock_take(fd, false);

	if (sys_errno != 0)
		return fail(creation, "%s is in use by another root", creation->spec);
	sys_errno = place_find_size(fd, status, &device_size);
	if (sys_errno != 0)
		return fail(creation, "%s: cannot tell its size: %s", creation->spec, strerror(sys_errno));
	if (creation->size == 0)
		creation->size = device_size - device_size % creation->block_size;
	if (creation->size > device_size)
		return fail(creation, "%s has %" PRIu64 " bytes, less than the size %" PRIu64, creation->spec, device_size,
			creation->size);
	if (check_size(creation) < 0)
		return -1;
	sys_errno = place_find_metadata(creation->spec, status, path);
	if (sys_errno == 0)
		sys_errno = place_make_directories(path);
	if (sys_errno != 0)
		return fail(creation, "%s: no place for its metadata (HVFS_STATE_DIR names one): %s", creation->spec,
			strerror(sys_errno));
	if (metadata_read(path, &before) == 0) {
		metadata_fini(&before);
		return fail(creation, "%s is an hvfs store already: remove %s to make a new one", creation->spec, path);
	}
	return write_metadata(creation, path);
}

// A device keeps its bytes: the volume begins with what is on it.
static int
create_on_device(struct creation *creation, const struct stat *status)
{
	int fd = open(creation->spec, O_RDWR | O_EXCL | O_CLOEXEC), result;

	if (fd < 0 && errno == EBUSY)
		return fail(creation, "%s is in use by this system (mounted, or part of another device)", creation->spec);
	if (fd < 0)
		return fail(creation, "cannot open %s: %s", creation->spec, strerror(errno));
	result = fill_device(creation, fd, status);
	close(fd);
	return result;
}

int
store_create(const char *spec, uint64_t size, uint32_t block_size, char *error, size_t error_size)
{
	struct creation creation = {.spec = spec, .size = size, .block_size = block_size, .error = error,
		.error_size = error_size};
	struct stat status;

	if (check_block_size(&creation) < 0)
		return -1;
	if (stat(spec, &status) == 0 && S_ISBLK(status.st_mode))
		return create_on_device(&creation, &status);
	return create_file(&creation);
}
