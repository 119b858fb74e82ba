// SPDX-License-Identifier: MIT
// Of a block that this session has written, or one before that ended in order, the newest slot is the right one; that is
// found without its bytes. Of others both are possible until the block is written again.
#include "node/rest.h"

#include "cache/sum.h"
#include "core/check.h"
#include "core/zeros.h"
#include "node/log.h"
#include "node/seals_io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>

enum { CHUNK_SIZE = 1 << 20, GROUP_SIZE = 16 };

enum { LIVE_NONE = -2, LIVE_INITIAL = -1 }; // else the number of the slot

// Neighbours: a write of many blocks finds them once.
struct group {
	uint64_t number;             // of its first block / GROUP_SIZE
	uint64_t newest;             // of its marks
	uint64_t writes[GROUP_SIZE]; // marks: 1 more than the syncs that had begun when the last write ended; 0: none
	UT_hash_handle hh;
};

struct failed {
	uint64_t block;
	UT_hash_handle hh;
};

struct rest {
	int fd; // of the storage, to look at it
	uint32_t block_size;
	bool is_plain;
	const struct volume_key *key;
	const struct sealed_root *root;
	struct seal_slots *slots;
	// The loop's.
	struct group *touched; // in the order of their newest mark
	struct failed *failed; // what is on the storage is not known
	uint64_t syncs;        // that have begun,
	uint64_t synced;       // and the last that has ended well
	// A thread's.
	struct seal_cache *put_cache;
	uint8_t *look; // a block
	int put_errno;
	// Another's.
	struct seal_cache *get_cache;
};

// ---- Life ----

// 1: there is something in the ${size} bytes from ${offset} on, or in the chunk that begins there.
static int
look_at(int fd, uint8_t *chunk, uint64_t offset, size_t *ret_size)
{
	ssize_t got = pread(fd, chunk, CHUNK_SIZE, (off_t)offset);

	*ret_size = got > 0 ? (size_t)got : 0;
	if (got < 0)
		return -errno;
	return got > 0 && !bytes_are_zero(chunk, (size_t)got);
}

int
rest_has_data(const char *spec)
{
	int fd = open(spec, O_RDONLY | O_CLOEXEC), result = fd < 0 ? -errno : 0;
	uint8_t *chunk = malloc(CHUNK_SIZE);
	bool told = false;
	size_t size = 1;

	CHECK(chunk != NULL);
	for (uint64_t offset = 0; result == 0 && size > 0; offset += size) {
		off_t data = lseek(fd, (off_t)offset, SEEK_DATA);

		if (data < 0 && errno == ENXIO)
			break; // holes up to its end
		if (data < 0 && !told) // a device: that can take long, but once
			log_info("%s: is read, to see whether there is something on it", spec);
		told |= data < 0;
		if (data > 0)
			offset = (uint64_t)data;
		result = look_at(fd, chunk, offset, &size);
		if (told)
			posix_fadvise(fd, (off_t)offset, (off_t)size, POSIX_FADV_DONTNEED);
	}
	free(chunk);
	if (fd >= 0)
		close(fd);
	return result;
}

static struct rest *
failed(struct rest *rest, const char *spec, int sys_errno, char *error, size_t error_size)
{
	if (sys_errno == EBADMSG)
		snprintf(error, error_size, "%s: the file of its verifiers, .seals, is damaged", spec);
	else
		snprintf(error, error_size, "%s: as a sealed storage: %s", spec, strerror(sys_errno));
	rest_close(rest);
	return NULL;
}

// What can be read need not be on stable storage: where a write of the system has failed it keeps the page, as if it were there, and
// has told so only the session before. What that has not left in order is read anew.
static void
forget_pages(const struct rest *rest, int seals)
{
	if (seal_slots_settled_from(rest->slots) < seal_slots_session(rest->slots))
		return;
	posix_fadvise(rest->fd, 0, 0, POSIX_FADV_DONTNEED);
	posix_fadvise(seals, 0, 0, POSIX_FADV_DONTNEED);
}

struct rest *
rest_open(const char *spec, uint32_t block_size, const struct volume_key *key, const struct sealed_root *root,
	  bool is_plain, bool read_only, char *error, size_t error_size)
{
	struct rest *rest = calloc(1, sizeof(*rest));
	uint64_t end;
	int file = sealed_root_file(root, &end), sys_errno;

	CHECK(rest != NULL);
	*rest = (struct rest){.block_size = block_size, .is_plain = is_plain, .key = key, .root = root};
	rest->put_cache = seal_cache_create();
	rest->get_cache = seal_cache_create();
	rest->look = malloc(block_size);
	CHECK(rest->put_cache != NULL && rest->get_cache != NULL && rest->look != NULL);
	rest->fd = open(spec, O_RDONLY | O_CLOEXEC);
	if (rest->fd < 0 || (!read_only && fdatasync(rest->fd) != 0))
		return failed(rest, spec, errno, error, error_size);
	rest->slots = seal_slots_open(file, end, read_only, &sys_errno);
	if (rest->slots == NULL)
		return failed(rest, spec, sys_errno, error, error_size);
	forget_pages(rest, file);
	return rest;
}

static void
drop_touched(struct rest *rest, struct group *group)
{
	HASH_DEL(rest->touched, group);
	free(group);
}

static void
drop_failed(struct rest *rest, struct failed *failed)
{
	HASH_DEL(rest->failed, failed);
	free(failed);
}

void
rest_close(struct rest *rest)
{
	if (rest == NULL)
		return;
	while (rest->touched != NULL)
		drop_touched(rest, rest->touched);
	while (rest->failed != NULL)
		drop_failed(rest, rest->failed);
	seal_slots_close(rest->slots);
	seal_cache_destroy(rest->put_cache);
	seal_cache_destroy(rest->get_cache);
	free(rest->look);
	if (rest->fd >= 0)
		close(rest->fd);
	free(rest);
}

bool
rest_is_plain(const struct rest *rest)
{
	return rest->is_plain;
}

// ---- On the loop ----

static struct group *
find_touched(const struct rest *rest, uint64_t number)
{
	struct group *group;

	HASH_FIND(hh, rest->touched, &number, sizeof(number), group);
	return group;
}

// At the end, where the newest are.
static struct group *
touch(struct rest *rest, uint64_t number)
{
	struct group *group = find_touched(rest, number);

	if (group != NULL && group->newest == rest->syncs + 1)
		return group;
	if (group != NULL)
		HASH_DEL(rest->touched, group);
	else
		group = calloc(1, sizeof(*group));
	CHECK(group != NULL);
	group->number = number;
	group->newest = rest->syncs + 1;
	HASH_ADD(hh, rest->touched, number, sizeof(group->number), group);
	return group;
}

static struct failed *
find_failed(const struct rest *rest, uint64_t block)
{
	struct failed *failed;

	HASH_FIND(hh, rest->failed, &block, sizeof(block), failed);
	return failed;
}

static void
set_failed(struct rest *rest, uint64_t block, bool has_failed)
{
	struct failed *failed = find_failed(rest, block);

	if (has_failed == (failed != NULL))
		return;
	if (!has_failed) {
		drop_failed(rest, failed);
		return;
	}
	failed = calloc(1, sizeof(*failed));
	CHECK(failed != NULL);
	failed->block = block;
	HASH_ADD(hh, rest->failed, block, sizeof(failed->block), failed);
}

bool
rest_needs_sync(const struct rest *rest, uint64_t block, uint32_t count)
{
	const struct group *group = NULL;

	for (uint64_t i = block; i < block + count; i++) {
		if (i == block || i % GROUP_SIZE == 0)
			group = find_touched(rest, i / GROUP_SIZE);
		if (group != NULL && group->writes[i % GROUP_SIZE] > rest->synced)
			return true;
	}
	return false;
}

uint64_t
rest_sync_began(struct rest *rest)
{
	return ++rest->syncs;
}

void
rest_synced(struct rest *rest, uint64_t number)
{
	if (number > rest->synced)
		rest->synced = number;
	while (rest->touched != NULL && rest->touched->newest <= rest->synced)
		drop_touched(rest, rest->touched);
}

void
rest_begin(const struct rest *rest, struct rest_block *block)
{
	block->is_open = find_failed(rest, block->block) != NULL;
}

void
rest_wrote(struct rest *rest, uint64_t block, uint32_t count, bool ok)
{
	struct group *group = NULL;

	for (uint64_t i = block; i < block + count; i++) {
		if (i == block || i % GROUP_SIZE == 0)
			group = touch(rest, i / GROUP_SIZE);
		group->writes[i % GROUP_SIZE] = group->newest;
		set_failed(rest, i, !ok);
	}
}

void
rest_set_epoch(struct rest *rest, uint32_t epoch, bool in_order)
{
	if (!in_order || seal_slots_epoch(rest->slots) == 0)
		seal_slots_set_epoch(rest->slots, epoch);
}

uint32_t
rest_settled_epoch(const struct rest *rest)
{
	return (uint32_t)seal_slots_epoch(rest->slots);
}

int
rest_finish(struct rest *rest)
{
	return rest->failed == NULL && rest->touched == NULL && rest->put_errno == 0 ? seal_slots_settle(rest->slots) : 0;
}

// ---- Which slot ----

static int
newest_of(const struct seal_record *record)
{
	const struct seal_slot *slots = record->slots;

	if (slots[0].turn == 0 && slots[1].turn == 0)
		return LIVE_INITIAL;
	return slots[1].turn > slots[0].turn;
}

// May another one than the newest be right?
static bool
is_open(const struct rest *rest, const struct seal_record *record, const struct rest_block *block)
{
	int newest = newest_of(record);

	return block->is_open ||
	       (newest >= 0 && record->slots[newest].session < seal_slots_settled_from(rest->slots));
}

static struct seal_place
place_of(const struct rest *rest, const struct rest_block *block, version_t version)
{
	return (struct seal_place){.block = block->block, .version = version, .block_size = rest->block_size};
}

// What a root has in the clear of zeros it seals itself, so that their verifier has to be right. Of ciphertext that is seen
// to by whoever decrypts it, or gets it.
static bool
fits(const struct rest *rest, struct seal_cache *cache, const struct rest_block *block, const struct seal_slot *slot,
     const uint8_t *bytes)
{
	const struct seal_verifier *verifier = &slot->verifier;
	struct seal_place place = place_of(rest, block, 0);

	if (slot->turn == 0)
		return false;
	if (!seal_is_of_zeros(verifier->bytes, verifier->size))
		return slot->cipher == sum64(bytes, rest->block_size, block->block);
	return bytes_are_zero(bytes, rest->block_size) &&
	       seal_check(rest->key, cache, &place, NULL, verifier->bytes, verifier->size) == SEAL_OK;
}

// Was it never written, though a write may have begun? Not if ${sealed}, that is known to be on stable storage, is newer.
static bool
is_initial(const struct rest *rest, const struct seal_record *record, version_t sealed, const uint8_t *bytes)
{
	int newest = newest_of(record);
	const struct seal_verifier *verifier = newest >= 0 ? &record->slots[newest].verifier : NULL;

	return bytes_are_zero(bytes, rest->block_size) && record->slots[newest == 0].turn == 0 &&
	       (verifier == NULL || sealed < seal_version(verifier->bytes, verifier->size));
}

// Which slot has the verifier of ${bytes}, which are on the storage? ${sealed}: as which version that was sealed which is known to
// be on stable storage.
static int
find_live(const struct rest *rest, struct seal_cache *cache, const struct rest_block *block,
	  const struct seal_record *record, version_t sealed, const uint8_t *bytes, const char **ret_why)
{
	int newest = newest_of(record), live = LIVE_NONE;
	bool open = is_open(rest, record, block);

	*ret_why = "it is not what a writer of the volume has sealed: it was changed, or a crash has torn it";
	if (newest >= 0 && fits(rest, cache, block, &record->slots[newest], bytes))
		live = newest;
	else if (newest >= 0 && open && fits(rest, cache, block, &record->slots[!newest], bytes))
		live = !newest;
	else if ((newest < 0 || open) && is_initial(rest, record, sealed, bytes))
		return LIVE_INITIAL;
	if (live < 0)
		return LIVE_NONE;
	if (seal_version(record->slots[live].verifier.bytes, record->slots[live].verifier.size) >= sealed)
		return live;
	*ret_why = "it was sealed before what is known to be there: somebody has put back an older one";
	return LIVE_NONE;
}

bool
rest_sealed_as(struct rest *rest, uint64_t number, struct sealed_entry *entry)
{
	struct rest_block block = {.block = number};
	struct seal_record record;
	const char *why;
	int live;

	rest_begin(rest, &block);
	if (seal_slots_read(rest->slots, number, 1, &record) != 0 ||
	    seals_read_at(rest->fd, rest->look, rest->block_size, number * rest->block_size) != 0)
		return false;
	live = find_live(rest, rest->get_cache, &block, &record, entry->sealed, rest->look, &why);
	entry->sealed = 0;
	seal_digest_of_zeros(entry->digest);
	if (live >= 0) {
		entry->sealed = seal_version(record.slots[live].verifier.bytes, record.slots[live].verifier.size);
		seal_digest(record.slots[live].verifier.bytes, record.slots[live].verifier.size, entry->digest);
	}
	return live != LIVE_NONE;
}

// ---- To the storage ----

// Has it a verifier that says it is sealed as the version that it has?
static bool
has_proof(const struct rest_block *block)
{
	const struct seal_verifier *verifier = &block->verifier;

	return verifier->size > 0 && seal_version(verifier->bytes, verifier->size) == block->version &&
	       seal_is_of_zeros(verifier->bytes, verifier->size) == (block->bytes == NULL);
}

// Those ${which} get a verifier, as one write.
static void
make_proofs(struct rest *rest, struct rest_block *blocks, const uint32_t *which, uint32_t count)
{
	struct seal_verifier verifiers[SEAL_SLOTS_RUN];
	struct seal_block made[SEAL_SLOTS_RUN];

	for (uint32_t i = 0; i < count; i++) {
		struct rest_block *block = &blocks[which[i]];

		made[i] = (struct seal_block){
			.place = place_of(rest, block, block->version), .plain = block->bytes, .cipher = block->sealed};
		if (!rest->is_plain && block->bytes != NULL)
			made[i].plain = block->sealed; // it was decrypted there
		block->seals = block->bytes != NULL;
	}
	if (count > 0)
		seal_make(rest->key, made, count, verifiers);
	for (uint32_t i = 0; i < count; i++)
		blocks[which[i]].verifier = verifiers[i];
}

// What a block without a proof of its version is to be made from, or one that has it, of which there is no ciphertext yet.
static bool
prepare(struct rest *rest, struct rest_block *block)
{
	const struct seal_verifier *verifier = &block->verifier;
	struct seal_place place = place_of(rest, block, 0);
	enum seal_result result = SEAL_OK;

	if (block->bytes == NULL)
		return true;
	if (!rest->is_plain && !has_proof(block))
		result = seal_open(rest->key, rest->put_cache, &place, block->bytes, verifier->bytes, verifier->size,
				   block->sealed);
	if (rest->is_plain && has_proof(block)) {
		result = seal_again(rest->key, &place, block->bytes, verifier->bytes, verifier->size, block->sealed);
		block->seals = true;
	}
	return result == SEAL_OK;
}

static int
seal_blocks(struct rest *rest, struct rest_block *blocks, uint32_t count)
{
	uint32_t which[SEAL_SLOTS_RUN], unproven = 0;

	for (uint32_t i = 0; i < count; i++) {
		if (!prepare(rest, &blocks[i]))
			return EIO;
		if (!has_proof(&blocks[i]))
			which[unproven++] = i;
	}
	make_proofs(rest, blocks, which, unproven);
	return 0;
}

// Which slot the next verifier goes to.
static int
find_free(struct rest *rest, const struct rest_block *block, const struct seal_record *record)
{
	int newest = newest_of(record), live = newest;
	uint64_t offset = block->block * rest->block_size;
	const char *why;

	if (is_open(rest, record, block)) {
		live = seals_read_at(rest->fd, rest->look, rest->block_size, offset) != 0
			       ? LIVE_NONE
			       : find_live(rest, rest->put_cache, block, record, 0, rest->look, &why);
		if (live == LIVE_INITIAL)
			return newest < 0 ? 0 : newest; // what had begun there has come to nothing
	}
	return live < 0 ? newest == 0 : !live;
}

// Zeros where nothing was ever written need no verifier.
static bool
put_slot(struct rest *rest, const struct rest_block *block, struct seal_record *record)
{
	int newest = newest_of(record);
	uint64_t turn = newest >= 0 ? record->slots[newest].turn : 0;
	const uint8_t *cipher = block->seals ? block->sealed : block->bytes;
	struct seal_slot *slot;

	if (block->bytes == NULL && newest < 0)
		return false;
	slot = &record->slots[find_free(rest, block, record)];
	slot->turn = turn + 1;
	slot->session = seal_slots_session(rest->slots);
	slot->cipher = cipher != NULL ? sum64(cipher, rest->block_size, block->block) : 0;
	slot->verifier = block->verifier;
	return true;
}

static int
put_run(struct rest *rest, struct rest_block *blocks, uint32_t count)
{
	struct seal_record records[SEAL_SLOTS_RUN];
	int sys_errno = seal_blocks(rest, blocks, count);
	uint32_t from = 0;

	if (sys_errno == 0)
		sys_errno = seal_slots_read(rest->slots, blocks->block, count, records);
	for (uint32_t i = 0; i < count && sys_errno == 0; i++) {
		if (put_slot(rest, &blocks[i], &records[i]))
			continue;
		if (i > from)
			sys_errno = seal_slots_write(rest->slots, blocks[from].block, i - from, &records[from]);
		from = i + 1;
	}
	if (sys_errno == 0 && from < count)
		sys_errno = seal_slots_write(rest->slots, blocks[from].block, count - from, &records[from]);
	return sys_errno;
}

int
rest_put(struct rest *rest, struct rest_block *blocks, uint32_t count)
{
	int sys_errno = rest->put_errno;

	for (uint32_t run; count > 0 && sys_errno == 0; blocks += run, count -= run) {
		run = count < SEAL_SLOTS_RUN ? count : SEAL_SLOTS_RUN;
		sys_errno = put_run(rest, blocks, run);
	}
	return sys_errno;
}

int
rest_put_sync(struct rest *rest)
{
	if (rest->put_errno == 0)
		rest->put_errno = seal_slots_sync(rest->slots);
	return rest->put_errno;
}

// ---- Back ----

static void
open_block(struct rest *rest, struct rest_block *block)
{
	struct seal_place place = place_of(rest, block, 0);
	enum seal_result result = seal_open(rest->key, rest->get_cache, &place, block->bytes, block->verifier.bytes,
					    block->verifier.size, block->bytes);

	if (result != SEAL_OK)
		block->why = seal_result_text(result);
}

static void
get_block(struct rest *rest, struct rest_block *block, const struct seal_record *record, version_t sealed)
{
	const struct seal_verifier *verifier;
	const char *why;
	int live = find_live(rest, rest->get_cache, block, record, sealed, block->bytes, &why);

	block->verifier.size = 0;
	block->why = live == LIVE_NONE ? why : NULL;
	if (live < 0)
		return;
	verifier = &record->slots[live].verifier;
	block->verifier = *verifier;
	if (rest->is_plain && !seal_is_of_zeros(verifier->bytes, verifier->size))
		open_block(rest, block);
}

int
rest_get(struct rest *rest, struct rest_block *blocks, uint32_t count)
{
	struct seal_record records[SEAL_SLOTS_RUN];
	struct sealed_entry entries[SEAL_SLOTS_RUN];
	int sys_errno = 0;

	for (uint32_t run; count > 0 && sys_errno == 0; blocks += run, count -= run) {
		run = count < SEAL_SLOTS_RUN ? count : SEAL_SLOTS_RUN;
		sys_errno = seal_slots_read(rest->slots, blocks->block, run, records);
		if (sys_errno == 0)
			sys_errno = sealed_root_read(rest->root, blocks->block, run, entries);
		for (uint32_t i = 0; i < run && sys_errno == 0; i++)
			get_block(rest, &blocks[i], &records[i], entries[i].sealed);
	}
	return sys_errno;
}
