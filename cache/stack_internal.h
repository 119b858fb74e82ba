// SPDX-License-Identifier: MIT
// What the files of the stack share.
#ifndef HVFS_CACHE_STACK_INTERNAL_H
#define HVFS_CACHE_STACK_INTERNAL_H

#include "cache/advise.h"
#include "cache/disk_level.h"
#include "cache/level.h"
#include "cache/pins.h"
#include "cache/stack.h"
#include "cache/victims.h"

struct stack {
	struct level *levels[STACK_LEVELS_MAX]; // top first
	uint32_t count;
	uint32_t last_id; // given to a level
	uint32_t block_size;
	bool busy;         // a level is being rebuilt or leaves
	bool may_tell;     // the core may be told of evictions now,
	uint64_t keep_tag; // but not of this one, which is being put
	struct victims victims;
	uint64_t review; // waiting victims that may be pinned no more
	struct pins pins;
	struct disk_level *disk; // or NULL
	uint64_t disk_hits, disk_misses; // lookups that ended there, that it could have answered
	struct stack_disk_hooks disk_hooks;
	struct advise *advise;
	void (*evicted)(void *arg, block_key key);
	void *evicted_arg;
	uint64_t hits, misses, evictions;
};

// Where a block is: in a level, or among the victims.
struct spot {
	uint32_t level; // stack->count: ${victim}
	struct assoc_place place;
	struct victim *victim;
};

// Find ${key}; false: the stack does not have it.
bool stack_find(struct stack *stack, block_key key, struct spot *ret);

// Take what is at ${spot}, with its count.
struct slot stack_take(struct stack *stack, const struct spot *spot);

// ${slot}, with its count, comes to level ${level}, or the next below that takes blocks.
void stack_place(struct stack *stack, uint32_t level, const struct slot *slot);

// The clean, unpinned ${slot} is forgotten, and the core told.
void stack_tell(struct stack *stack, const struct slot *slot);

// ${slot}, with its count, comes from the disk to the top.
void stack_rise(struct stack *stack, const struct slot *slot);

// Whether ${slot} may be forgotten. A policy_may_fn, of a stack.
bool stack_may_forget(const void *arg, const struct slot *slot);

// ${slot} fell out of the stack: it is forgotten, or kept among the victims.
void stack_fall_out(struct stack *stack, const struct slot *slot);

// ---- stack_disk.c; without a disk level they do nothing ----

// The core's copy of ${key} is ${buf}, clean: it is kept on the disk, too, if that is possible now. True: it is.
bool stack_disk_put(struct stack *stack, block_key key, struct buf *buf, enum disk_why why);

// The core's copy of ${key} is another one, or dirty, or gone.
void stack_disk_forget(struct stack *stack, block_key key);

// The members of copies_ops that are about it.
bool stack_copies_ready(void *self, block_key key, struct buf_pool *pool);
bool stack_copies_next_loaded(void *self, block_key *ret_key);
bool stack_copies_adopt(void *self, block_key key, size_t size);
void stack_copies_set_volume(void *self, uint32_t index, const char *name);

// Room for this many blocks of ${block_size} bytes, all levels together.
uint64_t stack_capacity(const struct stack *stack, uint64_t block_size);

// Whether nothing may fall out of the stack just now.
bool stack_is_full(const struct stack *stack);

// Go on with levels that change, at most ${budget} slots, which are counted down.
void stack_work(struct stack *stack, uint32_t *budget);

// Tell the core of parked victims, look again at those that were pinned, at most ${budget}.
void stack_clean(struct stack *stack, uint32_t *budget);

#endif
