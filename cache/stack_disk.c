// SPDX-License-Identifier: MIT
// The stack above a disk level. A clean copy may be in memory and on the disk; a copy that was told to the core is in
// at least one of both. The levels in memory do not know of the disk: what falls out of them is not forgotten if it is
// there.
//
// While a disk level leaves there may be two. New copies go to the one that stays; what is in memory is not looked for
// in the one that leaves.
#include "cache/stack_internal.h"
#include "core/check.h"

#include <stdlib.h>
#include <string.h>

static bool
is_in_memory(struct stack *stack, block_key key)
{
	struct spot spot;

	return stack_find(stack, key, &spot);
}

// The disk that has the core's copy of ${key}, or NULL.
static struct stack_disk *
find_disk(const struct stack *stack, block_key key)
{
	if (stack->disk != NULL && disk_level_has(stack->disk->level, key))
		return stack->disk;
	if (stack->old_disk != NULL && disk_level_has(stack->old_disk->level, key))
		return stack->old_disk;
	return NULL;
}

void
stack_disk_lost(struct stack *stack, block_key key)
{
	if (key + 1 == stack->keep_tag || is_in_memory(stack, key) || find_disk(stack, key) != NULL)
		return; // it is here, or about to be
	stack->evictions++;
	if (stack->evicted != NULL)
		stack->evicted(stack->evicted_arg, key);
}

// ---- What a disk level says ----

static void
replaced(void *arg, block_key key)
{
	stack_disk_lost(((struct stack_disk *)arg)->stack, key);
}

static struct buf *
clean_copy(void *arg, block_key key)
{
	struct stack *stack = ((struct stack_disk *)arg)->stack;
	const struct slot *slot;
	struct spot spot;

	if (!stack_find(stack, key, &spot))
		return NULL;
	slot = spot.level < stack->count ? assoc_slot(&spot.place) : victim_slot(spot.victim);
	return slot->dirty ? NULL : slot->buf;
}

static void
wake(void *arg)
{
	const struct stack_disk *disk = arg;

	disk->hooks.wake(disk->hooks.arg);
}

static void
compute(void *arg, struct disk_work *work)
{
	const struct stack_disk *disk = arg;

	disk->hooks.compute(disk->hooks.arg, work);
}

static bool
is_well(const struct stack_disk *disk)
{
	struct disk_level_stats stats;

	disk_level_get_stats(disk->level, &stats);
	return stats.sys_errno == 0;
}

static void
begin_leaving(struct stack *stack)
{
	struct disk_level_stats stats;

	disk_level_get_stats(stack->old_disk->level, &stats);
	stack->old_disk->leaving_entries = stats.entries;
	disk_level_leave(stack->old_disk->level);
}

// What was to take the place of another level has failed: what has not come to it yet stays where it is.
static void
change_back(struct stack *stack)
{
	struct stack_disk *stays = stack->old_disk;

	stack->old_disk = stack->disk;
	stack->disk = stays;
	stack->disk_follows = false;
	disk_level_take_counters(stays->level, stack->old_disk->level);
	disk_level_stay(stays->level);
	begin_leaving(stack);
}

static void
failed(void *arg, bool writing, int sys_errno)
{
	struct stack_disk *disk = arg;
	struct stack *stack = disk->stack;

	if (disk == stack->disk && stack->disk_follows && stack->old_disk != NULL && is_well(stack->old_disk))
		change_back(stack);
	if (disk->hooks.failed != NULL)
		disk->hooks.failed(disk->hooks.arg, writing, sys_errno);
}

// ---- Levels ----

static struct stack_disk *
disk_create(struct stack *stack, struct disk_level *level, const struct stack_disk_hooks *hooks)
{
	struct stack_disk *disk = calloc(1, sizeof(*disk));
	struct disk_level_listener listener = {.arg = disk, .replaced = replaced, .clean_copy = clean_copy, .wake = wake,
					       .failed = failed, .compute = hooks->compute != NULL ? compute : NULL};

	CHECK(disk != NULL);
	*disk = (struct stack_disk){.stack = stack, .level = level, .hooks = *hooks, .id = ++stack->last_id};
	disk_level_listen(level, &listener);
	for (uint32_t i = 0; i < LIMIT_VOLUMES; i++)
		if (stack->volumes[i].name != NULL)
			disk_level_set_volume(level, i, stack->volumes[i].name, stack->volumes[i].form);
	return disk;
}

void
stack_set_disk(struct stack *stack, struct disk_level *disk, const struct stack_disk_hooks *hooks)
{
	CHECK(stack->disk == NULL);
	stack->disk = disk_create(stack, disk, hooks);
	stack->disk_hits = stack->disk_misses = 0;
}

enum stack_error
stack_remove_disk(struct stack *stack)
{
	if (stack->old_disk != NULL)
		return STACK_BUSY;
	if (stack->disk == NULL)
		return STACK_NO_LEVEL;
	stack->old_disk = stack->disk;
	stack->disk = NULL;
	stack->disk_follows = false;
	begin_leaving(stack);
	return STACK_OK;
}

enum stack_error
stack_replace_disk(struct stack *stack, struct disk_level *disk, const struct stack_disk_hooks *hooks)
{
	enum stack_error error = stack_remove_disk(stack);

	if (error != STACK_OK)
		return error;
	stack->disk = disk_create(stack, disk, hooks);
	stack->disk_follows = true;
	disk_level_take_counters(disk, stack->old_disk->level);
	disk_level_set_filling(disk, true);
	return STACK_OK;
}

enum stack_error
stack_set_disk_policy(struct stack *stack, enum policy policy)
{
	if (stack->disk == NULL)
		return STACK_NO_LEVEL;
	disk_level_set_policy(stack->disk->level, policy);
	return STACK_OK;
}

struct disk_level *
stack_take_left_disk(struct stack *stack, void **ret_arg)
{
	struct disk_level *level;

	if (stack->old_disk == NULL || !disk_level_is_empty(stack->old_disk->level))
		return NULL;
	level = stack->old_disk->level;
	*ret_arg = stack->old_disk->hooks.arg;
	free(stack->old_disk);
	stack->old_disk = NULL;
	if (stack->disk_follows) {
		disk_level_take_counters(stack->disk->level, level);
		disk_level_set_filling(stack->disk->level, false);
	}
	stack->disk_follows = false;
	return level;
}

void
stack_abandon_disk(struct stack *stack)
{
	if (stack->disk != NULL)
		disk_level_abandon(stack->disk->level);
	if (stack->old_disk != NULL)
		disk_level_abandon(stack->old_disk->level);
}

static void
disk_destroy(struct stack_disk *disk)
{
	if (disk == NULL)
		return;
	disk_level_close(disk->level);
	free(disk);
}

void
stack_disk_fini(struct stack *stack)
{
	disk_destroy(stack->disk);
	disk_destroy(stack->old_disk);
	for (uint32_t i = 0; i < LIMIT_VOLUMES; i++)
		free(stack->volumes[i].name);
}

struct disk_level *
stack_disk(const struct stack *stack)
{
	return stack->disk != NULL ? stack->disk->level : NULL;
}

void *
stack_disk_owner(const struct stack *stack)
{
	return stack->disk != NULL ? stack->disk->hooks.arg : NULL;
}

struct disk_level *
stack_leaving_disk(const struct stack *stack)
{
	return stack->old_disk != NULL ? stack->old_disk->level : NULL;
}

void
stack_get_disk_change(const struct stack *stack, uint64_t *ret_moving, uint64_t *ret_total, bool *ret_follows)
{
	struct disk_level_stats stats = {.entries = 0};

	if (stack->old_disk != NULL)
		disk_level_get_stats(stack->old_disk->level, &stats);
	*ret_moving = stats.entries;
	*ret_total = stack->old_disk != NULL ? stack->old_disk->leaving_entries : 0;
	*ret_follows = stack->disk_follows;
}

void
stack_get_disk_lookups(const struct stack *stack, uint64_t *ret_hits, uint64_t *ret_misses)
{
	*ret_hits = stack->disk_hits;
	*ret_misses = stack->disk_misses;
}

// ---- Copies ----

void
stack_disk_put(struct stack *stack, block_key key, struct buf *buf)
{
	if (stack->old_disk != NULL)
		disk_level_forget(stack->old_disk->level, key);
	if (stack->disk != NULL)
		disk_level_put(stack->disk->level, key, buf, DISK_BROUGHT);
}

bool
stack_disk_keeps(struct stack *stack, const struct slot *slot)
{
	block_key key = slot_key(slot);
	bool stays;

	if (stack->disk == NULL)
		return stack->old_disk != NULL && disk_level_has(stack->old_disk->level, key);
	stays = disk_level_use(stack->disk->level, key) ||
		disk_level_put(stack->disk->level, key, slot->buf, slot->uses > 0 ? DISK_USED : DISK_NOT_USED);
	if (stack->old_disk == NULL)
		return stays;
	if (!stays)
		return disk_level_has(stack->old_disk->level, key);
	disk_level_forget(stack->old_disk->level, key);
	return true;
}

static bool
disk_digest(const struct stack_disk *disk, block_key key, size_t size, bool known, uint8_t ret[BLOCK_DIGEST_SIZE])
{
	return disk != NULL && (!known || disk_level_has(disk->level, key)) && disk_level_digest(disk->level, key, size, ret);
}

bool
stack_disk_digest(struct stack *stack, block_key key, size_t size, bool known, uint8_t ret[BLOCK_DIGEST_SIZE])
{
	return disk_digest(stack->disk, key, size, known, ret) || disk_digest(stack->old_disk, key, size, known, ret);
}

bool
stack_disk_has_room(struct stack *stack)
{
	return stack->disk == NULL || disk_level_has_room(stack->disk->level);
}

void
stack_disk_forget(struct stack *stack, block_key key)
{
	if (stack->disk != NULL)
		disk_level_forget(stack->disk->level, key);
	if (stack->old_disk != NULL)
		disk_level_forget(stack->old_disk->level, key);
}

// ${key} was missed in memory and is on the disk: these are its bytes, with a count.
static void
rise(struct stack *stack, block_key key, struct buf *buf)
{
	struct slot slot = {.tag = key + 1, .fresh = 1, .buf = buf};
	bool may_tell = stack->may_tell;

	if (stack->risen != NULL)
		stack->risen(stack->risen_arg, key, buf);
	for (uint32_t i = 0; i < stack->count; i++)
		stack->levels[i]->passed++;
	stack->may_tell = true;
	stack->keep_tag = key + 1;
	stack_rise(stack, &slot);
	stack->keep_tag = 0;
	stack->may_tell = may_tell;
}

void
stack_on_risen(struct stack *stack, void (*fn)(void *arg, block_key key, struct buf *buf), void *arg)
{
	stack->risen = fn;
	stack->risen_arg = arg;
}

bool
stack_copies_ready(void *self, block_key key, struct buf_pool *pool)
{
	struct stack *stack = self;
	struct stack_disk *disk;
	struct buf *buf;

	if (is_in_memory(stack, key))
		return true;
	disk = find_disk(stack, key);
	CHECK(disk != NULL);
	stack->disk_hits++;
	buf = disk_level_buffered(disk->level, key);
	if (buf == NULL) {
		disk_level_load(disk->level, key, pool);
		return false;
	}
	rise(stack, key, buf_ref(buf));
	return true;
}

// ${buf} are the bytes of ${key}, with a count; the same may have come to memory in another way meanwhile.
static void
arrive(struct stack *stack, block_key key, struct buf *buf)
{
	if (is_in_memory(stack, key))
		buf_unref(buf);
	else
		rise(stack, key, buf);
}

// The next read of ${disk} that the core waits for and that has ended; what others have read is dealt with.
static bool
next_loaded(struct stack *stack, const struct stack_disk *disk, block_key *ret_key)
{
	struct disk_load load = {.asked = false};
	enum disk_loaded loaded = DISK_LOADED_STALE;

	while (disk != NULL && !load.asked) {
		loaded = disk_level_next_loaded(disk->level, &load);
		if (loaded == DISK_LOADED_NOTHING)
			return false;
		if (loaded == DISK_LOADED_FAILED && load.known)
			stack_disk_lost(stack, load.key);
		if (loaded != DISK_LOADED)
			continue;
		if (load.asked)
			arrive(stack, load.key, buf_ref(load.buf));
		if (disk == stack->old_disk)
			stack_disk_moved(stack, &load);
		buf_unref(load.buf);
	}
	*ret_key = load.key;
	return disk != NULL;
}

bool
stack_copies_next_loaded(void *self, block_key *ret_key)
{
	struct stack *stack = self;

	if (next_loaded(stack, stack->disk, ret_key) || next_loaded(stack, stack->old_disk, ret_key))
		return true;
	if (stack->disk != NULL)
		disk_level_step(stack->disk->level);
	if (stack->old_disk != NULL)
		disk_level_step(stack->old_disk->level);
	return false;
}

bool
stack_copies_adopt(void *self, block_key key, size_t size)
{
	struct stack *stack = self;

	return (stack->disk != NULL && disk_level_adopt(stack->disk->level, key, size)) ||
	       (stack->old_disk != NULL && disk_level_adopt(stack->old_disk->level, key, size));
}

void
stack_set_form(struct stack *stack, uint32_t index, const struct sealed_form *form)
{
	CHECK(stack->volumes[index].name == NULL);
	stack->volumes[index].form = form;
}

void
stack_copies_set_volume(void *self, uint32_t index, const char *name, struct buf_pool *pool)
{
	struct stack *stack = self;
	struct stack_volume *volume = &stack->volumes[index];

	free(volume->name);
	volume->name = strdup(name);
	volume->pool = pool;
	CHECK(volume->name != NULL);
	if (stack->disk != NULL)
		disk_level_set_volume(stack->disk->level, index, name, volume->form);
	if (stack->old_disk != NULL)
		disk_level_set_volume(stack->old_disk->level, index, name, volume->form);
}
