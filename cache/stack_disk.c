// SPDX-License-Identifier: MIT
// The stack above a disk level. A clean copy may be in memory and on the disk; a copy that was told to the core is in
// at least one of both. The levels in memory do not know of the disk: what falls out of them is not forgotten if it is
// there.
#include "cache/stack_internal.h"
#include "core/check.h"

static void
replaced(void *arg, block_key key)
{
	struct stack *stack = arg;
	struct spot spot;

	if (key + 1 == stack->keep_tag || stack_find(stack, key, &spot))
		return; // in memory, too, or about to be
	stack->evictions++;
	if (stack->evicted != NULL)
		stack->evicted(stack->evicted_arg, key);
}

static struct buf *
clean_copy(void *arg, block_key key)
{
	struct stack *stack = arg;
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
	struct stack *stack = arg;

	stack->disk_hooks.wake(stack->disk_hooks.arg);
}

static void
failed(void *arg, bool writing, int sys_errno)
{
	struct stack *stack = arg;

	if (stack->disk_hooks.failed != NULL)
		stack->disk_hooks.failed(stack->disk_hooks.arg, writing, sys_errno);
}

void
stack_set_disk(struct stack *stack, struct disk_level *disk, const struct stack_disk_hooks *hooks)
{
	const struct disk_level_listener listener = {
		.arg = stack,
		.replaced = replaced,
		.clean_copy = clean_copy,
		.wake = wake,
		.failed = failed,
	};

	CHECK(stack->disk == NULL);
	stack->disk = disk;
	stack->disk_hooks = *hooks;
	disk_level_listen(disk, &listener);
}

void
stack_abandon_disk(struct stack *stack)
{
	if (stack->disk != NULL)
		disk_level_abandon(stack->disk);
}

struct disk_level *
stack_disk(const struct stack *stack)
{
	return stack->disk;
}

void
stack_get_disk_lookups(const struct stack *stack, uint64_t *ret_hits, uint64_t *ret_misses)
{
	*ret_hits = stack->disk_hits;
	*ret_misses = stack->disk_misses;
}

bool
stack_disk_put(struct stack *stack, block_key key, struct buf *buf, enum disk_why why)
{
	return stack->disk != NULL && disk_level_put(stack->disk, key, buf, why);
}

void
stack_disk_forget(struct stack *stack, block_key key)
{
	if (stack->disk != NULL)
		disk_level_forget(stack->disk, key);
}

// ${key} was missed in memory and is on the disk: these are its bytes, with a count.
static void
rise(struct stack *stack, block_key key, struct buf *buf)
{
	struct slot slot = {.tag = key + 1, .fresh = 1, .buf = buf};
	bool may_tell = stack->may_tell;

	for (uint32_t i = 0; i < stack->count; i++)
		stack->levels[i]->passed++;
	stack->may_tell = true;
	stack->keep_tag = key + 1;
	stack_rise(stack, &slot);
	stack->keep_tag = 0;
	stack->may_tell = may_tell;
}

bool
stack_copies_ready(void *self, block_key key, struct buf_pool *pool)
{
	struct stack *stack = self;
	struct spot spot;
	struct buf *buf;

	if (stack_find(stack, key, &spot))
		return true;
	CHECK(stack->disk != NULL && disk_level_has(stack->disk, key));
	stack->disk_hits++;
	buf = disk_level_buffered(stack->disk, key);
	if (buf == NULL) {
		disk_level_load(stack->disk, key, pool);
		return false;
	}
	rise(stack, key, buf_ref(buf));
	return true;
}

// ${buf} are the bytes of ${key}, with a count; the same may have come to memory in another way meanwhile.
static void
arrive(struct stack *stack, block_key key, struct buf *buf)
{
	struct spot spot;

	if (stack_find(stack, key, &spot))
		buf_unref(buf);
	else
		rise(stack, key, buf);
}

// ${key} is on the disk no more.
static void
lose(struct stack *stack, block_key key)
{
	struct spot spot;

	if (stack_find(stack, key, &spot))
		return;
	stack->evictions++;
	if (stack->evicted != NULL)
		stack->evicted(stack->evicted_arg, key);
}

bool
stack_copies_next_loaded(void *self, block_key *ret_key)
{
	struct stack *stack = self;
	struct buf *buf;

	if (stack->disk == NULL)
		return false;
	switch (disk_level_next_loaded(stack->disk, ret_key, &buf)) {
	case DISK_LOADED:
		arrive(stack, *ret_key, buf);
		return true;
	case DISK_LOADED_FAILED:
		lose(stack, *ret_key);
		return true;
	case DISK_LOADED_STALE:
		return true;
	case DISK_LOADED_NOTHING:
		break;
	}
	disk_level_step(stack->disk);
	return false;
}

bool
stack_copies_adopt(void *self, block_key key, size_t size)
{
	struct stack *stack = self;

	return stack->disk != NULL && disk_level_adopt(stack->disk, key, size);
}

void
stack_copies_set_volume(void *self, uint32_t index, const char *name)
{
	struct stack *stack = self;

	if (stack->disk != NULL)
		disk_level_set_volume(stack->disk, index, name);
}
