// SPDX-License-Identifier: MIT
// A disk level leaves the stack, for good or for another one (S29). Its blocks are gone through once. What is in memory
// needs not be read; what is not is read, a few blocks at a time, if it has somewhere to go: to the other disk level, or
// to the bottom level in memory as far as that has room. The rest is forgotten, and the core told.
#include "cache/stack_internal.h"

enum { READS_MAX = 32 }; // at once: the disk is there for others, too

// The bytes of the clean copy in memory of ${key}, borrowed; NULL: there is none.
static struct buf *
copy_in_memory(struct stack *stack, block_key key)
{
	struct spot spot;

	if (!stack_find(stack, key, &spot))
		return NULL;
	return (spot.level < stack->count ? assoc_slot(&spot.place) : victim_slot(spot.victim))->buf;
}

// ${buf} has the bytes of ${key}, which leaves the level that leaves.
static void
move(struct stack *stack, block_key key, bool known, struct buf *buf)
{
	struct slot slot = {.tag = key + 1, .buf = buf};
	bool may_tell = stack->may_tell, rises = false;

	disk_level_forget(stack->old_disk->level, key);
	stack->may_tell = true;
	stack->keep_tag = key + 1;
	if (stack->disk != NULL)
		disk_level_receive(stack->disk->level, key, buf, known);
	else if (known && copy_in_memory(stack, key) == NULL && stack_settle(stack, &slot))
		rises = buf_ref(buf) != NULL;
	stack->keep_tag = 0;
	stack->may_tell = may_tell;
	if (known)
		stack_disk_lost(stack, key);
	if (rises && stack->risen != NULL)
		stack->risen(stack->risen_arg, key, buf);
}

static void
forget(struct stack *stack, const struct disk_block *block)
{
	disk_level_forget(stack->old_disk->level, block->key);
	if (block->known)
		stack_disk_lost(stack, block->key);
}

static void
fetch(struct stack *stack, const struct disk_block *block)
{
	struct buf *buf = buf_alloc(stack->volumes[block_key_volume(block->key)].pool);

	if (buf_size(buf) == block->size) {
		disk_level_fetch(stack->old_disk->level, block->key, buf);
	} else { // the volume was made anew
		buf_unref(buf);
		forget(stack, block);
	}
}

static bool
has_somewhere_to_go(const struct stack *stack, const struct disk_block *block)
{
	return stack->disk_follows || (block->known && stack_has_room(stack, block->key, block->size));
}

static void
leave(struct stack *stack, const struct disk_block *block)
{
	struct buf *buf = buf_ref(copy_in_memory(stack, block->key));

	if (buf == NULL && block->size == 0)
		buf = buf_zero();
	if (!has_somewhere_to_go(stack, block))
		forget(stack, block);
	else if (buf != NULL)
		move(stack, block->key, block->known, buf);
	else
		fetch(stack, block);
	buf_unref(buf);
}

bool
stack_disk_work(struct stack *stack, uint32_t *budget)
{
	struct disk_block block;

	while (stack->old_disk != NULL && disk_level_reads(stack->old_disk->level) < READS_MAX && stack_disk_has_room(stack)) {
		if (!disk_level_next(stack->old_disk->level, budget, &block))
			return *budget == 0;
		leave(stack, &block);
	}
	return false;
}

void
stack_disk_moved(struct stack *stack, const struct disk_load *load)
{
	move(stack, load->key, load->known, load->buf);
}
