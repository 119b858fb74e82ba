// SPDX-License-Identifier: MIT
// An entry of the index is the slot of a set-associative table, as in memory, and the digest of the bytes: 32 bytes. The
// slots of a group on the disk belong to its ways; which way has which block is what the table's slot says, as those
// move when they are used.
//
// A block that is forgotten or replaced leaves its record on the disk as it was: after a restart it is a block of an
// earlier run like others, whose digest is confirmed by nobody, or whose bytes are found to be others.
#include "cache/disk_level_internal.h"
#include "cache/sum.h"
#include "core/check.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

// ---- keys ----

// ${key} with the number of its volume instead of the index; false: its blocks are not kept.
static bool
to_number(const struct disk_level *level, block_key *key)
{
	uint32_t number = level->number_of[block_key_volume(*key)];

	if (number == 0)
		return false;
	*key = block_key_make(number - 1, block_key_block(*key));
	return true;
}

bool
disk_core_key(const struct disk_level *level, const struct slot *slot, block_key *ret_key)
{
	uint32_t index = level->index_of[block_key_volume(slot_key(slot))];

	if (index == 0)
		return false;
	*ret_key = block_key_make(index - 1, block_key_block(slot_key(slot)));
	return true;
}

// The core's key of ${slot}, which is known.
static block_key
core_key(const struct disk_level *level, const struct slot *slot)
{
	block_key key = 0;

	CHECK(disk_core_key(level, slot, &key));
	return key;
}

void
disk_level_set_volume(struct disk_level *level, uint32_t index, const char *name, const struct sealed_form *form)
{
	static const uint8_t no_key[SEALED_KEY_ID_SIZE];
	struct disk_superblock *superblock = &level->superblock;
	const uint8_t *key = form != NULL ? form->id : no_key;
	uint32_t number = 0;

	CHECK(index < LIMIT_VOLUMES && strlen(name) <= LIMIT_NAME_SIZE && name[0] != '\0');
	while (number < superblock->volume_count && (strcmp(superblock->volumes[number], name) != 0 ||
						     memcmp(superblock->keys[number], key, SEALED_KEY_ID_SIZE) != 0))
		number++;
	if (number == DISK_VOLUMES_MAX || (form != NULL && !disk_has_tails(superblock)))
		return;
	if (number == superblock->volume_count) {
		strcpy(superblock->volumes[number], name);
		memcpy(superblock->keys[number], key, SEALED_KEY_ID_SIZE);
		superblock->volume_count++;
		level->superblock_due = true;
		disk_records_pump(level);
	}
	level->forms[index] = form;
	level->number_of[index] = (uint8_t)(number + 1);
	level->index_of[number] = (uint8_t)(index + 1);
}

// ---- the table ----

bool
disk_find(struct disk_level *level, block_key key, struct assoc_place *ret_place)
{
	return to_number(level, &key) && assoc_find(level->table, key, ret_place);
}

static uint8_t *
digest_at(const struct disk_level *level, const struct assoc_place *place)
{
	return level->digests[disk_slot_number(level, place->group, assoc_slot(place)->way)];
}

void
disk_take(struct disk_level *level, const struct assoc_place *place)
{
	struct slot slot = assoc_take(place);

	level->stats.unknown -= !slot.known;
}

static void
set_known(struct disk_level *level, struct slot *slot)
{
	level->stats.unknown -= !slot->known;
	level->stats.confirmed += !slot->known;
	slot->known = 1;
}

// ---- what is under way ----

void
disk_level_fail(struct disk_level *level, bool writing, int sys_errno)
{
	level->stats.errors++;
	if (level->stats.sys_errno != 0)
		return;
	level->stats.sys_errno = sys_errno;
	level->later_count = 0;
	if (level->listener.failed != NULL)
		level->listener.failed(level->listener.arg, writing, sys_errno);
	level->listener.wake(level->listener.arg);
}

void
disk_tell_ended(struct disk_level *level)
{
	disk_writes_pump(level);
	if (level->later_count > 0 || level->leaving || level->room_wanted || level->stats.sys_errno != 0)
		level->listener.wake(level->listener.arg);
}

// ---- writing ----

static void
written(struct medium_io *io, int sys_errno)
{
	struct disk_op *op = (struct disk_op *)io;
	struct disk_level *level = op->level;
	uint64_t number = disk_slot_number(level, op->group, op->way);
	struct assoc_place place;
	bool stays = disk_op_place(level, op, &place);

	level->writing--;
	level->stats.written++;
	disk_op_end(level, op);
	if (stays) {
		assoc_slot(&place)->busy = 0;
		assoc_slot(&place)->writing = false;
	}
	if (sys_errno != 0)
		disk_level_fail(level, true, sys_errno);
	else
		disk_record_due(level, number);
	disk_writes_pump(level); // first: what is forgotten ends
	disk_records_pump(level);
	disk_tell_ended(level);
}

static bool
may_replace(const void *arg, const struct slot *slot)
{
	(void)arg;
	return !slot->busy;
}

// A place in ${group} for one more, and the ghost that was there. Whoever had it is told.
static bool
make_room(struct disk_level *level, block_key key, uint64_t group, uint8_t *ret_ghost)
{
	struct assoc_place place;
	struct slot *slot;
	bool known;
	block_key told = 0;

	*ret_ghost = 0;
	if (assoc_has_room(level->table, key))
		return true;
	if (!assoc_choose(level->table, group, may_replace, NULL, &place))
		return false;
	slot = assoc_slot(&place);
	known = slot->known;
	if (known)
		told = core_key(level, slot);
	*ret_ghost = slot->ghost;
	assoc_evict(&place);
	level->stats.unknown -= !known;
	level->stats.replaced++;
	if (known)
		level->listener.replaced(level->listener.arg, told);
	return true;
}

// Whether blocks like this one, of the core's ${told_key}, are kept: it fits, and of a sealed volume it has a proof.
static bool
is_kept(const struct disk_level *level, block_key told_key, const struct buf *buf)
{
	if (level->forms[block_key_volume(told_key)] == NULL)
		return buf_size(buf) <= level->superblock.slot_size;
	return buf_proof(buf) != NULL && buf_size(buf) + SEALED_TAIL_SIZE <= level->superblock.slot_size;
}

static bool
may_write(const struct disk_level *level, uint32_t number)
{
	return level->stats.sys_errno == 0 && number < level->volumes_written && disk_writes_room(level) &&
	       disk_records_room(level);
}

// ${key}, with its volume's number, is not here.
static bool
put_new(struct disk_level *level, block_key key, block_key told_key, struct buf *buf, const uint8_t *digest)
{
	struct slot slot = {.tag = key + 1, .on_disk = 1, .known = 1};
	uint64_t group = hash_group(level->table->hash, key, level->table->group_count);
	uint8_t ghost = 0;
	struct assoc_place place;

	if (!may_write(level, block_key_volume(key)) || !make_room(level, key, group, &ghost))
		return false;
	slot.ghost = ghost;
	slot.way = (uint16_t)disk_free_way(level, group);
	slot_set_disk_size(&slot, (uint32_t)buf_size(buf));
	if (level->forms[block_key_volume(told_key)] == NULL) // else the proof tells
		slot.sum = sum32(buf_bytes(buf), buf_size(buf));
	slot.checked = 1;
	if (slot.way == level->table->way_count)
		return false;
	memcpy(level->digests[disk_slot_number(level, group, slot.way)], digest, BLOCK_DIGEST_SIZE);
	assoc_insert(level->table, &slot);
	CHECK(assoc_find(level->table, key, &place));
	if (slot.size_log == 0) {
		disk_record_due(level, disk_slot_number(level, group, slot.way));
		return true;
	}
	disk_op_begin(level, &place, told_key, buf_ref(buf), true, written);
	return true;
}

// It could not be written just now, as too much is under way, its group is busy, or its volume's name is not on the disk
// yet: later, if it is still in memory.
static void
put_later(struct disk_level *level, block_key told_key)
{
	level->stats.passed++;
	if (level->stats.sys_errno != 0 || level->later_count == DISK_LATER_MAX)
		return;
	level->later[(level->later_first + level->later_count++) % DISK_LATER_MAX] = told_key;
}

// A full group takes only who has proved himself: who was used again in memory, or has been brought before, not long ago. So
// a scan does not push out what is used, nor does it wear the disk.
static bool
has_proved_itself(struct disk_level *level, block_key key, enum disk_why why)
{
	struct group group;

	if (why == DISK_USED || assoc_has_room(level->table, key))
		return true;
	if (why == DISK_NOT_USED)
		return false;
	group = assoc_group(level->table, hash_group(level->table->hash, key, level->table->group_count));
	return policy_admit(&group, key, level->stats.refused);
}

static bool
put(struct disk_level *level, block_key key, block_key told_key, struct buf *buf)
{
	uint8_t digest[BLOCK_DIGEST_SIZE] = {0}; // of a block of zeros it depends on the size

	if (!is_kept(level, told_key, buf))
		return false;
	if (level->stats.sys_errno == 0 && buf_size(buf) > 0)
		sealed_digest(buf, buf_size(buf), digest);
	if (put_new(level, key, told_key, buf, digest))
		return true;
	put_later(level, told_key);
	return false;
}

// Whether the bytes at ${place} are those of ${buf}.
static bool
is_same(const struct disk_level *level, const struct assoc_place *place, struct buf *buf)
{
	const struct slot *slot = assoc_slot(place);
	uint8_t digest[BLOCK_DIGEST_SIZE];

	if (level->stats.sys_errno != 0 || slot_disk_size(slot) != buf_size(buf))
		return false;
	if (buf_size(buf) == 0)
		return true;
	sealed_digest(buf, buf_size(buf), digest);
	return memcmp(digest, digest_at(level, place), BLOCK_DIGEST_SIZE) == 0;
}

bool
disk_level_put(struct disk_level *level, block_key key, struct buf *buf, enum disk_why why)
{
	block_key told_key = key;
	struct assoc_place place;

	if (!to_number(level, &key))
		return false;
	if (assoc_find(level->table, key, &place)) {
		if (is_same(level, &place, buf)) {
			set_known(level, assoc_slot(&place));
			assoc_use(&place);
			return true;
		}
		disk_level_forget(level, told_key);
		return put(level, key, told_key, buf); // in its own place
	}
	if (!is_kept(level, told_key, buf))
		return false;
	if (why == DISK_BROUGHT)
		assoc_missed(level->table, key);
	if (has_proved_itself(level, key, why))
		return put(level, key, told_key, buf);
	level->stats.refused++;
	return false;
}

static void
put_again(struct disk_level *level, block_key told_key, struct buf *buf)
{
	block_key key = told_key;
	struct assoc_place place;

	if (!to_number(level, &key))
		return;
	if (assoc_find(level->table, key, &place)) // of an earlier run
		disk_level_put(level, told_key, buf, DISK_USED);
	else
		put(level, key, told_key, buf);
}

// Each that is still in the way comes to the end of the row: so not more of them than there are, nor too many at once.
static void
write_later(struct disk_level *level)
{
	uint32_t count = level->later_count < DISK_LATER_TRIES ? level->later_count : DISK_LATER_TRIES;

	while (count-- > 0 && level->write_bytes < DISK_WRITES_MAX / 2 && disk_records_room(level)) {
		block_key key = level->later[level->later_first];
		struct buf *buf;

		level->later_first = (level->later_first + 1) % DISK_LATER_MAX;
		level->later_count--;
		buf = level->listener.clean_copy(level->listener.arg, key);
		if (buf != NULL && !disk_level_has(level, key))
			put_again(level, key, buf);
	}
}

void
disk_level_forget(struct disk_level *level, block_key key)
{
	struct assoc_place place;

	if (!to_number(level, &key))
		return;
	if (!assoc_find(level->table, key, &place)) {
		assoc_forget(level->table, key);
		return;
	}
	if (assoc_slot(&place)->busy)
		disk_op_find(level, &place)->forgotten = true;
	disk_take(level, &place);
}

// ---- reading ----

bool
disk_level_has(struct disk_level *level, block_key key)
{
	struct assoc_place place;

	return disk_find(level, key, &place) && assoc_slot(&place)->known;
}

bool
disk_level_use(struct disk_level *level, block_key key)
{
	struct assoc_place place;

	if (!disk_find(level, key, &place) || !assoc_slot(&place)->known)
		return false;
	assoc_touch(&place);
	return true;
}

// Whether ${slot} can be a block of ${size}, and its bytes may be told.
static bool
is_whole(const struct disk_level *level, const struct slot *slot, size_t size)
{
	return (slot_disk_size(slot) == size || slot->size_log == 0) && (slot->known || level->stats.sys_errno == 0);
}

bool
disk_level_digest(struct disk_level *level, block_key key, size_t size, uint8_t ret[BLOCK_DIGEST_SIZE])
{
	struct assoc_place place;

	if (!disk_find(level, key, &place) || !is_whole(level, assoc_slot(&place), size))
		return false;
	assoc_slot(&place)->told = 1;
	if (assoc_slot(&place)->size_log == 0)
		sealed_digest(buf_zero(), size, ret);
	else
		memcpy(ret, digest_at(level, &place), BLOCK_DIGEST_SIZE);
	return true;
}

bool
disk_level_adopt(struct disk_level *level, block_key key, size_t size)
{
	struct assoc_place place;

	if (!disk_find(level, key, &place) || !is_whole(level, assoc_slot(&place), size) || !assoc_slot(&place)->told)
		return false;
	set_known(level, assoc_slot(&place));
	assoc_use(&place);
	return true;
}

struct buf *
disk_level_buffered(struct disk_level *level, block_key key)
{
	struct assoc_place place;

	if (!disk_find(level, key, &place))
		return NULL;
	if (assoc_slot(&place)->size_log == 0)
		return buf_zero();
	return assoc_slot(&place)->writing ? disk_op_find(level, &place)->buf : NULL;
}

// Whether what ${op} has read are the bytes of ${place}. What an earlier run has written, and a crash perhaps has not, is
// compared by its digest; what this run has written or read before, by a sum, at a tenth of the time.
static bool
is_right(struct disk_level *level, const struct assoc_place *place, const struct disk_op *op)
{
	struct slot *slot = assoc_slot(place);
	const uint8_t *bytes = op->io.bytes;
	size_t size = op->io.size;
	uint8_t digest[BLOCK_DIGEST_SIZE];

	if (op->sealing != NULL)
		return op->sealing->is_right;
	if (slot->checked)
		return sum32(bytes, size) == slot->sum;
	sealed_digest(op->buf, size, digest);
	if (memcmp(digest, digest_at(level, place), BLOCK_DIGEST_SIZE) != 0)
		return false;
	slot->sum = sum32(bytes, size);
	slot->checked = 1;
	return true;
}

static void
loaded(struct medium_io *io, int sys_errno)
{
	struct disk_op *op = (struct disk_op *)io;
	struct disk_level *level = op->level;
	struct assoc_place place;

	if (sys_errno != 0) {
		op->failed = true;
		disk_level_fail(level, false, sys_errno);
	} else if (disk_op_place(level, op, &place)) {
		op->failed = !is_right(level, &place, op);
		level->stats.damaged += op->failed;
	}
	*level->ended_tail = op;
	level->ended_tail = &op->next_ended;
	level->listener.wake(level->listener.arg);
}

void
disk_level_fetch(struct disk_level *level, block_key key, struct buf *buf)
{
	struct assoc_place place;

	CHECK(disk_find(level, key, &place) && slot_disk_size(assoc_slot(&place)) == buf_size(buf));
	disk_op_begin(level, &place, key, buf, false, loaded);
}

void
disk_level_load(struct disk_level *level, block_key key, struct buf_pool *pool)
{
	struct assoc_place place;

	CHECK(disk_find(level, key, &place) && assoc_slot(&place)->known);
	assoc_use(&place);
	if (!assoc_slot(&place)->busy)
		disk_level_fetch(level, key, buf_alloc(pool));
	CHECK(disk_find(level, key, &place));
	disk_op_find(level, &place)->asked = true;
}

enum disk_loaded
disk_level_next_loaded(struct disk_level *level, struct disk_load *ret)
{
	struct disk_op *op = level->ended;
	struct assoc_place place;
	bool stays, failed;

	if (op == NULL)
		return DISK_LOADED_NOTHING;
	level->ended = op->next_ended;
	if (level->ended == NULL)
		level->ended_tail = &level->ended;
	*ret = (struct disk_load){.key = op->told_key, .asked = op->asked};
	failed = op->failed;
	stays = disk_op_place(level, op, &place);
	if (stays && !failed) {
		ret->buf = op->buf;
		op->buf = NULL;
	}
	disk_op_end(level, op);
	if (!stays)
		return DISK_LOADED_STALE;
	ret->known = assoc_slot(&place)->known;
	assoc_slot(&place)->busy = 0;
	if (failed) {
		disk_take(level, &place);
		return DISK_LOADED_FAILED;
	}
	level->stats.loaded++;
	return DISK_LOADED;
}

// ---- the background ----

static void
purge_group(struct disk_level *level, uint64_t group)
{
	struct assoc_place place;

	while (assoc_choose(level->table, group, may_replace, NULL, &place)) {
		struct slot *slot = assoc_slot(&place);
		block_key told = slot->known ? core_key(level, slot) : 0;
		bool known = slot->known;

		disk_take(level, &place);
		if (known)
			level->listener.replaced(level->listener.arg, told);
	}
}

// Slots that are busy are met in a later round.
static void
purge(struct disk_level *level)
{
	for (int n = 0; n < DISK_PURGE_GROUPS && level->table->entries > 0; n++) {
		purge_group(level, level->purge_group);
		level->purge_group = (level->purge_group + 1) % level->table->group_count;
	}
	if (level->table->entries > level->op_count)
		level->listener.wake(level->listener.arg);
}

void
disk_level_step(struct disk_level *level)
{
	if (level->stats.sys_errno != 0)
		purge(level);
	else
		write_later(level);
}

bool
disk_level_is_busy(const struct disk_level *level)
{
	return level->op_count > 0 || level->page_ios_running > 0 || level->superblock_runs;
}

void
disk_level_abandon(struct disk_level *level)
{
	memset(level->number_of, 0, sizeof(level->number_of)); // nobody finds anything any more
	for (int i = 0; i < DISK_OP_BUCKETS; i++)
		while (level->ops[i] != NULL)
			disk_op_end(level, level->ops[i]);
	level->ended = NULL;
	level->ended_tail = &level->ended;
	level->held = NULL;
	level->held_tail = &level->held;
	level->writing = 0;
	level->page_ios_running = 0;
	level->superblock_runs = false;
}

void
disk_level_listen(struct disk_level *level, const struct disk_level_listener *listener)
{
	level->listener = *listener;
}

void
disk_level_set_policy(struct disk_level *level, enum policy policy)
{
	level->config.policy = policy;
	assoc_set_policy(level->table, policy);
}

void
disk_level_get_stats(const struct disk_level *level, struct disk_level_stats *ret)
{
	*ret = level->stats;
	ret->config = level->config;
	ret->slot_size = level->superblock.slot_size;
	ret->entries = level->table->entries;
	ret->used = level->table->bytes;
	ret->waiting = level->later_count;
	ret->index = assoc_index_bytes(level->table) + disk_slot_count(&level->superblock) * BLOCK_DIGEST_SIZE;
}
