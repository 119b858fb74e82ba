// SPDX-License-Identifier: MIT
// Five lines of text; the last one is a digest of those before. There is one way to write a record, so it is read by
// taking the numbers out, writing them again and comparing: whatever is not byte for byte a record is damaged.
//
// It is replaced, never changed in place: new file, fsync, rename, fsync of the directory.
#include "store/metadata.h"

#include "core/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RECORD_SIZE_MAX = 512, DIGEST_SIZE = 16 };

// Returns the size of the text in ${text}.
static size_t
encode(const struct metadata *metadata, char text[RECORD_SIZE_MAX])
{
	uint8_t digest[DIGEST_SIZE];
	char hex[2 * DIGEST_SIZE + 1];
	int size = snprintf(text, RECORD_SIZE_MAX, "hvfs store 1\nsize %" PRIu64 "\nblock_size %" PRIu32 "\nepoch %" PRIu32 "\n",
		metadata->size, metadata->block_size, metadata->epoch);

	crypto_generichash(digest, sizeof(digest), (const uint8_t *)text, (size_t)size, NULL, 0);
	sodium_bin2hex(hex, sizeof(hex), digest, sizeof(digest));
	size += snprintf(text + size, (size_t)(RECORD_SIZE_MAX - size), "digest %s\n", hex);
	return (size_t)size;
}

static bool
is_plausible(const struct metadata *metadata)
{
	uint32_t block_size = metadata->block_size;

	return block_size >= LIMIT_BLOCK_SIZE_MIN && block_size <= LIMIT_BLOCK_SIZE_MAX &&
	       (block_size & (block_size - 1)) == 0 && metadata->size > 0 && metadata->size % block_size == 0 &&
	       metadata->size / block_size < UINT64_C(1) << BLOCK_KEY_BITS && metadata->epoch <= METADATA_EPOCH_MAX;
}

static int
decode(const char *text, size_t size, struct metadata *ret)
{
	struct metadata metadata;
	char again[RECORD_SIZE_MAX];

	if (sscanf(text, "hvfs store 1 size %" SCNu64 " block_size %" SCNu32 " epoch %" SCNu32, &metadata.size,
		    &metadata.block_size, &metadata.epoch) != 3)
		return EBADMSG;
	if (encode(&metadata, again) != size || memcmp(text, again, size) != 0 || !is_plausible(&metadata))
		return EBADMSG;
	*ret = metadata;
	return 0;
}

// Read up to ${size} bytes. Returns their count or a negated errno.
static ssize_t
read_all(int fd, char *bytes, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t count = read(fd, bytes + done, size - done);

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return -errno;
		if (count == 0)
			break;
		done += (size_t)count;
	}
	return (ssize_t)done;
}

int
metadata_read(const char *path, struct metadata *ret)
{
	char text[RECORD_SIZE_MAX + 1];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t size;

	if (fd < 0)
		return errno;
	size = read_all(fd, text, RECORD_SIZE_MAX);
	close(fd);
	if (size < 0)
		return (int)-size;
	text[size] = '\0';
	return decode(text, (size_t)size, ret);
}

static int
write_all(int fd, const char *bytes, size_t size)
{
	while (size > 0) {
		ssize_t count = write(fd, bytes, size);

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return errno;
		bytes += count;
		size -= (size_t)count;
	}
	return 0;
}

int
metadata_sync_directory(const char *path)
{
	char copy[PATH_MAX];
	int fd, sys_errno = 0;

	if (snprintf(copy, sizeof(copy), "%s", path) >= (int)sizeof(copy))
		return ENAMETOOLONG;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	if (fsync(fd) < 0 && errno != EINVAL) // EINVAL: this file system has no such thing
		sys_errno = errno;
	close(fd);
	return sys_errno;
}

// A new, durable file with ${text}, that belongs to whom ${model} belongs, if there is one: root may serve a user's
// store once and the user still opens it afterwards. Returns 0 or an errno value; then it is gone.
static int
write_file(const char *path, const char *model, const char *text, size_t size)
{
	struct stat status;
	int fd, sys_errno;

	if (unlink(path) < 0 && errno != ENOENT) // left by one that died here
		return errno;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno;
	if (stat(model, &status) == 0)
		(void)!fchown(fd, status.st_uid, status.st_gid); // not ours to give: then it is ours
	sys_errno = write_all(fd, text, size);
	if (sys_errno == 0 && fsync(fd) < 0)
		sys_errno = errno;
	if (close(fd) < 0 && sys_errno == 0)
		sys_errno = errno;
	if (sys_errno != 0)
		unlink(path);
	return sys_errno;
}

int
metadata_write(const char *path, const struct metadata *metadata)
{
	char text[RECORD_SIZE_MAX], new_path[PATH_MAX];
	size_t size = encode(metadata, text);
	int sys_errno;

	if (snprintf(new_path, sizeof(new_path), "%s.new", path) >= (int)sizeof(new_path))
		return ENAMETOOLONG;
	sys_errno = write_file(new_path, path, text, size);
	if (sys_errno != 0)
		return sys_errno;
	if (rename(new_path, path) < 0) {
		sys_errno = errno;
		unlink(new_path);
		return sys_errno;
	}
	return metadata_sync_directory(path);
}
