// SPDX-License-Identifier: MIT
// A few lines of text; the last one is a digest of those before. There is one way to write a record, so it is read by
// taking the numbers out, writing them again and comparing: whatever is not byte for byte a record is damaged.
//
//   hvfs store 4
//   size 1073741824
//   block_size 4096
//   epoch 7
//   clean 0
//   hb_ttl_ms 30000
//   claims_since 7
//   evicted 00000000000000a1 00000000000000b2      node, session: a line for each
//   reclaim 00000000000000a1 1 4096 2 0            node, kind, block, count, version: a line for each (core/reclaim.h)
//   digest ...
//
// Format 1, of earlier versions, ends behind the epoch. Whether its last root left in order is not known; so it did not,
// unless there was none.
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
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	HEAD_SIZE_MAX = 512, // bytes of everything but the evictions and the reclaims
	EVICTION_SIZE = sizeof("evicted 0123456789abcdef 0123456789abcdef\n") - 1,
	RECLAIM_SIZE = sizeof("reclaim 0123456789abcdef 4294967295 18446744073709551615 18446744073709551615 18446744073709551615\n") - 1,
	RECORD_SIZE_MAX = HEAD_SIZE_MAX + LIMIT_EVICTIONS * EVICTION_SIZE + LIMIT_RECLAIMS * RECLAIM_SIZE,
	DIGEST_SIZE = 16,
	OLD_HB_TTL_MS = 30 * 1000, // what a root of format 1 has given, unless told otherwise
};

// Format 1 knows nothing of how a store was left, format 2 nothing of claims_since, format 3 nothing of reclaims.
enum format { FORMAT_NONE = 0, FORMAT_1 = 1, FORMAT_2 = 2, FORMAT_3 = 3, FORMAT_NOW = 4 };

// The text of a record, to be freed, or NULL: no memory.
static char *
encode(const struct metadata *metadata, enum format format, size_t *ret_size)
{
	uint8_t digest[DIGEST_SIZE];
	char hex[2 * DIGEST_SIZE + 1];
	char *text = malloc(HEAD_SIZE_MAX + metadata->eviction_count * EVICTION_SIZE + metadata->reclaim_count * RECLAIM_SIZE);
	int size;

	if (text == NULL)
		return NULL;
	size = snprintf(text, HEAD_SIZE_MAX, "hvfs store %d\nsize %" PRIu64 "\nblock_size %" PRIu32 "\nepoch %" PRIu32 "\n",
		(int)format, metadata->size, metadata->block_size, metadata->epoch);
	if (format >= FORMAT_2)
		size += sprintf(text + size, "clean %d\nhb_ttl_ms %" PRIu32 "\n", metadata->clean, metadata->hb_ttl_ms);
	if (format >= FORMAT_3)
		size += sprintf(text + size, "claims_since %" PRIu32 "\n", metadata->claims_since);
	for (size_t i = 0; format >= FORMAT_2 && i < metadata->eviction_count; i++)
		size += sprintf(text + size, "evicted %016" PRIx64 " %016" PRIx64 "\n", metadata->evictions[i].node_id,
			metadata->evictions[i].session);
	for (size_t i = 0; format >= FORMAT_NOW && i < metadata->reclaim_count; i++) {
		const struct reclaim *reclaim = &metadata->reclaims[i];

		size += sprintf(text + size, "reclaim %016" PRIx64 " %" PRIu32 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", reclaim->node_id,
			reclaim->kind, reclaim->block, reclaim->count, reclaim->version);
	}
	crypto_generichash(digest, sizeof(digest), (const uint8_t *)text, (size_t)size, NULL, 0);
	sodium_bin2hex(hex, sizeof(hex), digest, sizeof(digest));
	size += sprintf(text + size, "digest %s\n", hex);
	*ret_size = (size_t)size;
	return text;
}

static bool
is_plausible(const struct metadata *metadata)
{
	uint32_t block_size = metadata->block_size;

	return block_size >= LIMIT_BLOCK_SIZE_MIN && block_size <= LIMIT_BLOCK_SIZE_MAX &&
	       (block_size & (block_size - 1)) == 0 && metadata->size > 0 && metadata->size % block_size == 0 &&
	       metadata->size / block_size < UINT64_C(1) << BLOCK_KEY_BITS && metadata->epoch <= METADATA_EPOCH_MAX;
}

// The evictions at the start of ${text}; returns what is behind them.
static const char *
take_evictions(const char *text, struct metadata *ret)
{
	static const char word[] = "evicted ";

	while (ret->eviction_count < LIMIT_EVICTIONS && strncmp(text, word, sizeof(word) - 1) == 0) {
		struct eviction *eviction = &ret->evictions[ret->eviction_count++];
		char *end;

		eviction->node_id = strtoull(text + sizeof(word) - 1, &end, 16);
		eviction->session = strtoull(end, &end, 16);
		text = *end == '\n' ? end + 1 : end;
	}
	return text;
}

static void
take_reclaims(const char *text, struct metadata *ret)
{
	static const char word[] = "reclaim ";

	while (ret->reclaim_count < LIMIT_RECLAIMS && strncmp(text, word, sizeof(word) - 1) == 0) {
		struct reclaim *reclaim = &ret->reclaims[ret->reclaim_count++];
		char *end;

		reclaim->node_id = strtoull(text + sizeof(word) - 1, &end, 16);
		reclaim->kind = (uint32_t)strtoul(end, &end, 10);
		reclaim->block = strtoull(end, &end, 10);
		reclaim->count = strtoull(end, &end, 10);
		reclaim->version = strtoull(end, &end, 10);
		text = *end == '\n' ? end + 1 : end;
	}
}

// The numbers of ${text}. Whether they stood there as they should is seen when they are written again.
static enum format
take_numbers(const char *text, struct metadata *ret)
{
	unsigned format = 0, clean = 0;
	int head = 0, size = 0;

	if (sscanf(text, "hvfs store %u size %" SCNu64 " block_size %" SCNu32 " epoch %" SCNu32 " %n", &format, &ret->size,
		    &ret->block_size, &ret->epoch, &head) != 4)
		return FORMAT_NONE;
	if (format == FORMAT_1) {
		ret->clean = ret->epoch == 0;
		ret->hb_ttl_ms = ret->clean ? 0 : OLD_HB_TTL_MS;
		return FORMAT_1;
	}
	if (sscanf(text + head, "clean %u hb_ttl_ms %" SCNu32 " %n", &clean, &ret->hb_ttl_ms, &size) != 2)
		return FORMAT_NONE;
	ret->clean = clean == 1;
	head += size;
	size = 0;
	if (format >= FORMAT_3 && sscanf(text + head, "claims_since %" SCNu32 " %n", &ret->claims_since, &size) != 1)
		return FORMAT_NONE;
	take_reclaims(take_evictions(text + head + size, ret), ret);
	return format <= FORMAT_NOW ? (enum format)format : FORMAT_NONE;
}

static int
decode(const char *text, size_t size, struct metadata *ret)
{
	struct metadata metadata = {
		.evictions = calloc(LIMIT_EVICTIONS, sizeof(struct eviction)),
		.reclaims = calloc(LIMIT_RECLAIMS, sizeof(struct reclaim)),
	};
	size_t again_size = 0;
	enum format format;
	char *again;
	int sys_errno = EBADMSG;

	if (metadata.evictions == NULL || metadata.reclaims == NULL) {
		metadata_fini(&metadata);
		return ENOMEM;
	}
	format = take_numbers(text, &metadata);
	again = format != FORMAT_NONE ? encode(&metadata, format, &again_size) : NULL;
	if (again != NULL && again_size == size && memcmp(text, again, size) == 0 && is_plausible(&metadata))
		sys_errno = 0;
	free(again);
	if (sys_errno == 0)
		*ret = metadata;
	else
		metadata_fini(&metadata);
	return sys_errno;
}

void
metadata_fini(struct metadata *metadata)
{
	free(metadata->evictions);
	free(metadata->reclaims);
	*metadata = (struct metadata){0};
}

bool
metadata_is_evicted(const struct metadata *metadata, const struct eviction *eviction)
{
	for (size_t i = 0; i < metadata->eviction_count; i++)
		if (metadata->evictions[i].node_id == eviction->node_id &&
			metadata->evictions[i].session == eviction->session)
			return true;
	return false;
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

static int
read_text(int fd, struct metadata *ret)
{
	char *text = malloc(RECORD_SIZE_MAX + 1);
	ssize_t size;
	int sys_errno;

	if (text == NULL)
		return ENOMEM;
	size = read_all(fd, text, RECORD_SIZE_MAX);
	if (size >= 0) {
		text[size] = '\0';
		sys_errno = decode(text, (size_t)size, ret);
	} else {
		sys_errno = (int)-size;
	}
	free(text);
	return sys_errno;
}

int
metadata_read(const char *path, struct metadata *ret)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), sys_errno;

	if (fd < 0)
		return errno;
	sys_errno = read_text(fd, ret);
	close(fd);
	return sys_errno;
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

// Returns a descriptor or a negated errno value.
static int
open_directory(const char *path)
{
	char copy[PATH_MAX];
	int fd;

	if (snprintf(copy, sizeof(copy), "%s", path) >= (int)sizeof(copy))
		return -ENAMETOOLONG;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd >= 0 ? fd : -errno;
}

int
metadata_lock_directory(const char *path)
{
	int fd = open_directory(path), sys_errno;

	while (fd >= 0 && flock(fd, LOCK_EX) != 0) {
		if (errno == EINTR)
			continue;
		sys_errno = errno;
		close(fd);
		return -sys_errno;
	}
	return fd;
}

int
metadata_sync_directory(const char *path)
{
	int fd = open_directory(path), sys_errno = 0;

	if (fd < 0)
		return -fd;
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

static int
replace_file(const char *path, const char *text, size_t size)
{
	char new_path[PATH_MAX];
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

int
metadata_write(const char *path, const struct metadata *metadata)
{
	size_t size;
	char *text = encode(metadata, FORMAT_NOW, &size);
	int sys_errno;

	if (text == NULL)
		return ENOMEM;
	sys_errno = replace_file(path, text, size);
	free(text);
	return sys_errno;
}
