// SPDX-License-Identifier: MIT
// What is in memory only is kept by groups of neighbours: a write of many blocks finds its group once, not each of
// them.
#include "node/sealed_root.h"

#include "core/check.h"
#include "node/seals_io.h"
#include "store/metadata.h"
#include "store/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>

enum { PAGE_SIZE = 4096, ENTRY_SIZE = 16 + SEAL_DIGEST_SIZE, MAGIC_SIZE = 8, SUM_SIZE = 32, RUN_MAX = 2048, GROUP_SIZE = 16 };

static_assert(PAGE_SIZE % ENTRY_SIZE == 0, "no entry is in two sectors");

enum { OLD_PLAIN = 1, OLD_SEALED = 2 }; // formats that are not read any more

static const char magic[MAGIC_SIZE] = {'h', 'v', 'f', 's', 's', 'e', 'a', 'l'};

struct group {
	uint64_t number;  // of its first block / GROUP_SIZE
	uint32_t changed; // a bit for each entry
	struct sealed_entry entries[GROUP_SIZE];
	UT_hash_handle hh;
};

struct changes {
	struct group *groups;
	struct group *last; // that was changed last; NULL: none
	size_t count;       // of entries
};

struct sealed_root {
	int fd;
	int verifiers_fd; // of the same file
	uint64_t end; // of its part of the file
	struct changes writing; // not there yet, or not known to be
	struct changes now;     // since the sync that began last
	struct changes apart;   // until then
	uint64_t saves;
};

// ---- The file ----

// Who has the storage, and no key that reads, can not make one that says something else: a root that takes ciphertext for a plain
// image would write in the clear from then on. Returns how much of it a page that is there has to be like.
static size_t
fill_page(uint8_t page[PAGE_SIZE], uint64_t blocks, const struct volume_key *key, enum rest_form form)
{
	const uint8_t *secret = volume_key_symmetric(key, 1);

	memset(page, 0, PAGE_SIZE);
	memcpy(page, magic, MAGIC_SIZE);
	seals_put(page + 8, (uint64_t)form); // it is the version of the format, too
	seals_put(page + 16, blocks);
	memcpy(page + 24, volume_key_id(key), VOLUME_KEY_ID_SIZE);
	crypto_generichash(page + PAGE_SIZE - SUM_SIZE, SUM_SIZE, page, PAGE_SIZE - SUM_SIZE, secret,
			   secret != NULL ? VOLUME_KEY_SYMMETRIC_SIZE : 0);
	return secret != NULL ? PAGE_SIZE : PAGE_SIZE - SUM_SIZE;
}

static uint64_t
offset_of(uint64_t block)
{
	return PAGE_SIZE + block * ENTRY_SIZE;
}

// ---- Life ----

static bool
is_older(const uint8_t head[MAGIC_SIZE + 8])
{
	uint64_t format = seals_get(head + MAGIC_SIZE);

	return memcmp(head, magic, MAGIC_SIZE) == 0 && (format == OLD_PLAIN || format == OLD_SEALED);
}

// The file's page is new, or says what it is to say.
static int
begin_file(int fd, const char *path, const uint8_t wanted[PAGE_SIZE], size_t wanted_size, bool read_only)
{
	static const uint8_t nothing[PAGE_SIZE];
	uint8_t page[PAGE_SIZE];
	int sys_errno = seals_read_at(fd, page, PAGE_SIZE, 0);

	if (sys_errno != 0 || memcmp(page, wanted, wanted_size) == 0)
		return sys_errno;
	if (is_older(page))
		return EPROTONOSUPPORT;
	if (memcmp(page, nothing, PAGE_SIZE) != 0 || read_only)
		return EBADMSG;
	sys_errno = seals_write_at(fd, wanted, PAGE_SIZE, 0);
	if (sys_errno == 0 && fsync(fd) != 0)
		sys_errno = errno;
	return sys_errno != 0 ? sys_errno : metadata_sync_directory(path);
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

enum rest_form
sealed_root_form(const char *spec)
{
	static const uint8_t nothing[MAGIC_SIZE + 8];
	enum rest_form form = REST_UNKNOWN;
	char path[PATH_MAX];
	uint8_t head[MAGIC_SIZE + 8];
	int fd = find_path(spec, path) == 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	if (fd < 0)
		return form;
	if (seals_read_at(fd, head, sizeof(head), 0) == 0 && memcmp(head, magic, MAGIC_SIZE) == 0)
		form = seals_get(head + MAGIC_SIZE) == (is_older(head) ? OLD_SEALED : (uint64_t)REST_SEALED) ? REST_SEALED : REST_PLAIN;
	else if (memcmp(head, nothing, sizeof(head)) != 0) // else it says nothing, and whoever opens it would begin it
		form = REST_PLAIN; // it is damaged: whoever opens it hears so
	close(fd);
	return form;
}

static void
explain(const char *path, int sys_errno, char *error, size_t error_size)
{
	if (sys_errno == EBADMSG)
		snprintf(error, error_size,
			 "%s: is not of this volume and its key, or damaged; right would be the storage with its own files, or "
			 "none of this name: then writes of former times are not told from new ones, and a storage that is "
			 "sealed can not be read",
			 path);
	else if (sys_errno == EPROTONOSUPPORT)
		snprintf(error, error_size,
			 "%s: was made by an earlier hvfs, which did not note which content of a version there is, and can not "
			 "be used any more; right would be to copy the volume, through a mount of that hvfs, into a new one",
			 path);
	else
		snprintf(error, error_size, "%s: %s", path, strerror(sys_errno));
}

struct sealed_root *
sealed_root_open(const char *spec, uint64_t blocks, const struct volume_key *key, enum rest_form form, bool read_only,
		 char *error, size_t error_size)
{
	struct sealed_root *root;
	char path[PATH_MAX];
	uint8_t page[PAGE_SIZE];
	int sys_errno = find_path(spec, path);
	int fd = sys_errno == 0 ? open(path, (read_only ? O_RDONLY : O_RDWR | O_CREAT) | O_CLOEXEC, 0600) : -1;

	if (fd < 0) {
		snprintf(error, error_size, "%s: where its versions are sealed: %s", spec,
			 strerror(sys_errno != 0 ? sys_errno : errno));
		return NULL;
	}
	sys_errno = begin_file(fd, path, page, fill_page(page, blocks, key, form), read_only);
	if (sys_errno != 0) {
		explain(path, sys_errno, error, error_size);
		close(fd);
		return NULL;
	}
	root = calloc(1, sizeof(*root));
	CHECK(root != NULL);
	root->fd = fd;
	root->end = (offset_of(blocks) + PAGE_SIZE - 1) / PAGE_SIZE * PAGE_SIZE;
	root->verifiers_fd = open(path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	if (root->verifiers_fd >= 0)
		return root;
	explain(path, errno, error, error_size);
	sealed_root_close(root);
	return NULL;
}

int
sealed_root_file(const struct sealed_root *root, uint64_t *ret_end)
{
	*ret_end = root->end;
	return root->verifiers_fd;
}

static void
drop(struct changes *changes)
{
	struct group *group, *next;

	HASH_ITER (hh, changes->groups, group, next)
	{
		HASH_DEL(changes->groups, group);
		free(group);
	}
	*changes = (struct changes){0};
}

void
sealed_root_close(struct sealed_root *root)
{
	if (root == NULL)
		return;
	drop(&root->writing);
	drop(&root->now);
	drop(&root->apart);
	close(root->fd);
	if (root->verifiers_fd >= 0)
		close(root->verifiers_fd);
	free(root);
}

// ---- On the loop ----

static struct group *
find_group(const struct changes *changes, uint64_t number)
{
	struct group *group = changes->last;

	if (group == NULL || group->number != number)
		HASH_FIND(hh, changes->groups, &number, sizeof(number), group);
	return group;
}

static const struct sealed_entry *
find(const struct changes *changes, uint64_t block)
{
	const struct group *group = find_group(changes, block / GROUP_SIZE);

	return group != NULL && (group->changed >> block % GROUP_SIZE & 1) != 0 ? &group->entries[block % GROUP_SIZE]
										: NULL;
}

static void
put(struct changes *changes, uint64_t block, const struct sealed_entry *entry)
{
	struct group *group = find_group(changes, block / GROUP_SIZE);
	uint32_t bit = UINT32_C(1) << block % GROUP_SIZE;

	if (group == NULL) {
		group = calloc(1, sizeof(*group));
		CHECK(group != NULL);
		group->number = block / GROUP_SIZE;
		HASH_ADD(hh, changes->groups, number, sizeof(group->number), group);
	}
	changes->last = group;
	changes->count += (group->changed & bit) == 0;
	group->changed |= bit;
	group->entries[block % GROUP_SIZE] = *entry;
}

// It is there.
static void
forget(struct changes *changes, uint64_t block)
{
	struct group *group = find_group(changes, block / GROUP_SIZE);

	changes->count--;
	group->changed &= ~(UINT32_C(1) << block % GROUP_SIZE);
	if (group->changed != 0)
		return;
	changes->last = NULL;
	HASH_DEL(changes->groups, group);
	free(group);
}

void
sealed_root_wrote(struct sealed_root *root, uint64_t block, const struct sealed_entry *entry)
{
	put(&root->writing, block, entry);
}

void
sealed_root_stored(struct sealed_root *root, uint64_t block, uint32_t count)
{
	for (uint64_t end = block + count; block < end; block++) {
		const struct sealed_entry *entry = find(&root->writing, block);

		if (entry == NULL)
			continue;
		put(&root->now, block, entry);
		forget(&root->writing, block);
	}
}

size_t
sealed_root_unsaved(const struct sealed_root *root)
{
	return root->writing.count + root->now.count + root->apart.count;
}

uint64_t
sealed_root_saves(const struct sealed_root *root)
{
	return root->saves;
}

struct sealed_entry
sealed_root_find(const struct sealed_root *root, uint64_t block, const struct sealed_entry *filed)
{
	const struct sealed_entry *entry = find(&root->writing, block);

	if (entry == NULL)
		entry = find(&root->now, block);
	if (entry == NULL)
		entry = find(&root->apart, block);
	return entry != NULL ? *entry : *filed;
}

static int
by_number(struct group *a, struct group *b)
{
	return a->number < b->number ? -1 : a->number > b->number;
}

void
sealed_root_begin(struct sealed_root *root)
{
	CHECK(root->apart.groups == NULL);
	root->apart = root->now;
	root->now = (struct changes){0};
	HASH_SRT(hh, root->apart.groups, by_number); // here, since blocks are looked up while the file is written
}

static void
put_back(struct changes *changes, const struct group *group)
{
	for (uint32_t i = 0; i < GROUP_SIZE; i++) {
		uint64_t block = group->number * GROUP_SIZE + i;

		if ((group->changed >> i & 1) != 0 && find(changes, block) == NULL)
			put(changes, block, &group->entries[i]);
	}
}

void
sealed_root_end(struct sealed_root *root, bool ok)
{
	if (ok)
		root->saves += root->apart.groups != NULL;
	for (const struct group *group = root->apart.groups; !ok && group != NULL; group = group->hh.next)
		put_back(&root->now, group);
	drop(&root->apart);
}

// ---- On any thread ----

int
sealed_root_read(const struct sealed_root *root, uint64_t block, uint32_t count, struct sealed_entry *ret)
{
	uint8_t bytes[RUN_MAX * ENTRY_SIZE];

	for (uint32_t run; count > 0; block += run, count -= run, ret += run) {
		int sys_errno;

		run = count < RUN_MAX ? count : RUN_MAX;
		sys_errno = seals_read_at(root->fd, bytes, run * ENTRY_SIZE, offset_of(block));
		if (sys_errno != 0)
			return sys_errno;
		for (uint32_t i = 0; i < run; i++) {
			const uint8_t *at = bytes + i * ENTRY_SIZE;

			ret[i] = (struct sealed_entry){.sealed = seals_get(at), .protocol = seals_get(at + 8)};
			memcpy(ret[i].digest, at + 16, SEAL_DIGEST_SIZE);
		}
	}
	return 0;
}

// Neighbours, that are to be written at once.
struct run {
	uint64_t first;
	uint32_t count;
	uint8_t bytes[RUN_MAX * ENTRY_SIZE];
};

static int
run_write(const struct sealed_root *root, struct run *run)
{
	int sys_errno =
		run->count > 0 ? seals_write_at(root->fd, run->bytes, run->count * ENTRY_SIZE, offset_of(run->first)) : 0;

	run->count = 0;
	return sys_errno;
}

static int
run_add(const struct sealed_root *root, struct run *run, uint64_t block, const struct sealed_entry *entry)
{
	uint8_t *at;
	int sys_errno = 0;

	if (run->count == RUN_MAX || block != run->first + run->count)
		sys_errno = run_write(root, run);
	if (run->count == 0)
		run->first = block;
	at = run->bytes + run->count++ * ENTRY_SIZE;
	seals_put(at, entry->sealed);
	seals_put(at + 8, entry->protocol);
	memcpy(at + 16, entry->digest, SEAL_DIGEST_SIZE);
	return sys_errno;
}

int
sealed_root_save(struct sealed_root *root)
{
	struct run run;
	int sys_errno = 0;

	run.first = run.count = 0;
	for (struct group *group = root->apart.groups; group != NULL; group = group->hh.next)
		for (uint32_t i = 0; i < GROUP_SIZE && sys_errno == 0; i++)
			if ((group->changed >> i & 1) != 0)
				sys_errno = run_add(root, &run, group->number * GROUP_SIZE + i, &group->entries[i]);
	if (sys_errno == 0)
		sys_errno = run_write(root, &run);
	if (sys_errno == 0 && root->apart.groups != NULL && fdatasync(root->fd) != 0)
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
