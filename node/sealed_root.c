// SPDX-License-Identifier: MIT
#include "node/sealed_root.h"

#include "core/check.h"
#include "store/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>

enum { PAGE_SIZE = 4096, ENTRY_SIZE = 16, MAGIC_SIZE = 8, SUM_SIZE = 32, RUN_MAX = 4096 };

static const char magic[MAGIC_SIZE] = {'h', 'v', 'f', 's', 's', 'e', 'a', 'l'};

struct change {
	uint64_t block;
	struct sealed_entry entry;
	UT_hash_handle hh;
};

struct sealed_root {
	int fd;
	struct change *writing; // not there yet, or not known to be
	struct change *changes; // since the sync that began last
	struct change *apart;   // until then
	uint64_t saves;
};

// ---- The file ----

static void
put_be(uint8_t *bytes, uint64_t number)
{
	for (size_t i = 8; i > 0; i--, number >>= 8)
		bytes[i - 1] = (uint8_t)number;
}

static uint64_t
get_be(const uint8_t *bytes)
{
	uint64_t number = 0;

	for (size_t i = 0; i < 8; i++)
		number = number << 8 | bytes[i];
	return number;
}

static void
fill_page(uint8_t page[PAGE_SIZE], uint64_t blocks, const struct volume_key *key)
{
	memset(page, 0, PAGE_SIZE);
	memcpy(page, magic, MAGIC_SIZE);
	put_be(page + 8, 1); // of the format
	put_be(page + 16, blocks);
	memcpy(page + 24, volume_key_id(key), VOLUME_KEY_ID_SIZE);
	crypto_generichash(page + PAGE_SIZE - SUM_SIZE, SUM_SIZE, page, PAGE_SIZE - SUM_SIZE, NULL, 0);
}

static int
read_at(int fd, void *bytes, size_t size, off_t offset)
{
	uint8_t *at = bytes;

	while (size > 0) {
		ssize_t got = pread(fd, at, size, offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return errno;
		if (got == 0) { // it ends where nothing was written
			memset(at, 0, size);
			return 0;
		}
		at += got;
		offset += got;
		size -= (size_t)got;
	}
	return 0;
}

static int
write_at(int fd, const void *bytes, size_t size, off_t offset)
{
	const uint8_t *at = bytes;

	while (size > 0) {
		ssize_t done = pwrite(fd, at, size, offset);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return errno;
		at += done;
		offset += done;
		size -= (size_t)done;
	}
	return 0;
}

static off_t
offset_of(uint64_t block)
{
	return (off_t)(PAGE_SIZE + block * ENTRY_SIZE);
}

// ---- Life ----

static int
begin_file(int fd, const char *path, uint64_t blocks, const struct volume_key *key, char *error, size_t error_size)
{
	static const uint8_t nothing[PAGE_SIZE];
	uint8_t page[PAGE_SIZE], wanted[PAGE_SIZE];
	int sys_errno = read_at(fd, page, PAGE_SIZE, 0);

	fill_page(wanted, blocks, key);
	if (sys_errno == 0 && memcmp(page, nothing, PAGE_SIZE) == 0) {
		sys_errno = write_at(fd, wanted, PAGE_SIZE, 0);
		if (sys_errno == 0 && fsync(fd) != 0)
			sys_errno = errno;
	} else if (sys_errno == 0 && memcmp(page, wanted, PAGE_SIZE) != 0) {
		snprintf(error, error_size,
			 "%s: is not of this volume and its key, or damaged; right would be the storage with its own files, or "
			 "none of this name: then writes of former times are not told from new ones",
			 path);
		return -1;
	}
	if (sys_errno == 0)
		return 0;
	snprintf(error, error_size, "%s: %s", path, strerror(sys_errno));
	return -1;
}

static int
find_path(const char *spec, char path[PATH_MAX])
{
	char metadata[PATH_MAX];
	struct stat status;
	int sys_errno;

	if (stat(spec, &status) != 0)
		return errno;
	sys_errno = place_find_metadata(spec, &status, metadata);
	if (sys_errno != 0)
		return sys_errno;
	return snprintf(path, PATH_MAX, "%s.seals", metadata) < PATH_MAX ? 0 : ENAMETOOLONG;
}

struct sealed_root *
sealed_root_open(const char *spec, uint64_t blocks, const struct volume_key *key, char *error, size_t error_size)
{
	struct sealed_root *root;
	char path[PATH_MAX];
	int sys_errno = find_path(spec, path);
	int fd = sys_errno == 0 ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;

	if (fd < 0) {
		snprintf(error, error_size, "%s: where its versions are sealed: %s", spec,
			 strerror(sys_errno != 0 ? sys_errno : errno));
		return NULL;
	}
	if (begin_file(fd, path, blocks, key, error, error_size) != 0) {
		close(fd);
		return NULL;
	}
	root = calloc(1, sizeof(*root));
	CHECK(root != NULL);
	root->fd = fd;
	return root;
}

static void
drop(struct change **changes)
{
	struct change *change, *next;

	HASH_ITER (hh, *changes, change, next) {
		HASH_DEL(*changes, change);
		free(change);
	}
}

void
sealed_root_close(struct sealed_root *root)
{
	if (root == NULL)
		return;
	drop(&root->writing);
	drop(&root->changes);
	drop(&root->apart);
	close(root->fd);
	free(root);
}

// ---- On the loop ----

static struct change *
find(struct change *changes, uint64_t block)
{
	struct change *change;

	HASH_FIND(hh, changes, &block, sizeof(block), change);
	return change;
}

static void
put(struct change **changes, struct change *change)
{
	struct change *before = find(*changes, change->block);

	if (before != NULL) {
		HASH_DEL(*changes, before);
		free(before);
	}
	HASH_ADD(hh, *changes, block, sizeof(change->block), change);
}

void
sealed_root_wrote(struct sealed_root *root, uint64_t block, const struct sealed_entry *entry)
{
	struct change *change = calloc(1, sizeof(*change));

	CHECK(change != NULL);
	change->block = block;
	change->entry = *entry;
	put(&root->writing, change);
}

void
sealed_root_stored(struct sealed_root *root, uint64_t block, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		struct change *change = find(root->writing, block + i);

		if (change == NULL)
			continue;
		HASH_DEL(root->writing, change);
		put(&root->changes, change);
	}
}

size_t
sealed_root_unsaved(const struct sealed_root *root)
{
	return HASH_COUNT(root->writing) + HASH_COUNT(root->changes) + HASH_COUNT(root->apart);
}

uint64_t
sealed_root_saves(const struct sealed_root *root)
{
	return root->saves;
}

struct sealed_entry
sealed_root_find(const struct sealed_root *root, uint64_t block, const struct sealed_entry *filed)
{
	const struct change *change = find(root->writing, block);

	if (change == NULL)
		change = find(root->changes, block);
	if (change == NULL)
		change = find(root->apart, block);
	return change != NULL ? change->entry : *filed;
}

void
sealed_root_begin(struct sealed_root *root)
{
	CHECK(root->apart == NULL);
	root->apart = root->changes;
	root->changes = NULL;
}

void
sealed_root_end(struct sealed_root *root, bool ok)
{
	struct change *change, *next;

	if (ok) {
		root->saves += root->apart != NULL;
		drop(&root->apart);
		return;
	}
	HASH_ITER (hh, root->apart, change, next) {
		HASH_DEL(root->apart, change);
		if (find(root->changes, change->block) != NULL)
			free(change);
		else
			HASH_ADD(hh, root->changes, block, sizeof(change->block), change);
	}
}

// ---- On any thread ----

int
sealed_root_read(const struct sealed_root *root, uint64_t block, uint32_t count, struct sealed_entry *ret)
{
	uint8_t bytes[RUN_MAX * ENTRY_SIZE];

	for (uint32_t run; count > 0; block += run, count -= run, ret += run) {
		int sys_errno;

		run = count < RUN_MAX ? count : RUN_MAX;
		sys_errno = read_at(root->fd, bytes, run * ENTRY_SIZE, offset_of(block));
		if (sys_errno != 0)
			return sys_errno;
		for (uint32_t i = 0; i < run; i++)
			ret[i] = (struct sealed_entry){.sealed = get_be(bytes + i * ENTRY_SIZE),
						       .protocol = get_be(bytes + i * ENTRY_SIZE + 8)};
	}
	return 0;
}

static int
by_block(struct change *a, struct change *b)
{
	return a->block < b->block ? -1 : a->block > b->block;
}

int
sealed_root_save(struct sealed_root *root)
{
	uint8_t bytes[RUN_MAX * ENTRY_SIZE];
	uint64_t first = 0;
	uint32_t count = 0;
	int sys_errno = 0;

	HASH_SORT(root->apart, by_block);
	for (struct change *change = root->apart; change != NULL && sys_errno == 0; change = change->hh.next) {
		if (count == RUN_MAX || (count > 0 && change->block != first + count)) {
			sys_errno = write_at(root->fd, bytes, count * ENTRY_SIZE, offset_of(first));
			count = 0;
		}
		if (count == 0)
			first = change->block;
		put_be(bytes + count * ENTRY_SIZE, change->entry.sealed);
		put_be(bytes + count++ * ENTRY_SIZE + 8, change->entry.protocol);
	}
	if (sys_errno == 0 && count > 0)
		sys_errno = write_at(root->fd, bytes, count * ENTRY_SIZE, offset_of(first));
	if (sys_errno == 0 && root->apart != NULL && fdatasync(root->fd) != 0)
		sys_errno = errno;
	return sys_errno;
}

int
sealed_root_finish(struct sealed_root *root)
{
	int sys_errno;

	sealed_root_end(root, false);
	sealed_root_begin(root);
	sys_errno = sealed_root_save(root);
	sealed_root_end(root, sys_errno == 0);
	return sys_errno;
}
