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

// A disk level below the stack.
struct stack_disk {
	struct stack *stack;
	struct disk_level *level;
	struct stack_disk_hooks hooks;
	uint32_t id;
	uint64_t leaving_entries; // that were in it when it began to leave
};

struct stack_volume {
	char *name; // NULL: its blocks are not kept on a disk
	struct buf_pool *pool;
	const struct sealed_form *form; // of a sealed one, or NULL
};

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
	struct stack_disk *disk;     // or NULL
	struct stack_disk *old_disk; // that leaves, or NULL; a block is in one of both
	bool disk_follows;           // what is in the one that leaves comes to the other one
	uint64_t disk_hits, disk_misses; // lookups that ended there, that it could have answered
	struct stack_volume volumes[LIMIT_VOLUMES]; // by the core's index
	struct advise *advise;
	void (*evicted)(void *arg, block_key key);
	void *evicted_arg;
	void (*risen)(void *arg, block_key key, struct buf *buf); // or NULL
	void *risen_arg;
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

// ${slot}, with its count, comes to the bottom level if that has room, or the block is pinned. False: not, and the
// count is the caller's still.
bool stack_settle(struct stack *stack, const struct slot *slot);

// Whether it would.
bool stack_has_room(const struct stack *stack, block_key key, uint64_t size);

// Whether ${slot} may be forgotten. A policy_may_fn, of a stack.
bool stack_may_forget(const void *arg, const struct slot *slot);

// ${slot} fell out of the stack: it is forgotten, or kept among the victims.
void stack_fall_out(struct stack *stack, const struct slot *slot);

// ---- stack_disk.c; without a disk level they do nothing ----

// The core's copy of ${key} is ${buf}, clean, and in memory: it is kept on the disk, too, if that is possible now.
void stack_disk_put(struct stack *stack, block_key key, struct buf *buf);

// The clean ${slot} falls out of memory: whether it is on the disk.
bool stack_disk_keeps(struct stack *stack, const struct slot *slot);

// Whether what falls out of memory could be written. If not, the hook wakes when it could.
bool stack_disk_has_room(struct stack *stack);

// The digest of what is on the disk of ${key}, ${size} bytes: the core's copy (${known}), or also of what was kept of it.
bool stack_disk_digest(struct stack *stack, block_key key, size_t size, bool known, uint8_t ret[BLOCK_DIGEST_SIZE]);

// ${key} is on the disk no more: unless it is in memory the core is told.
void stack_disk_lost(struct stack *stack, block_key key);

// Give back what the stack has of disks.
void stack_disk_fini(struct stack *stack);

// The core's copy of ${key} is another one, or dirty, or gone.
void stack_disk_forget(struct stack *stack, block_key key);

// The members of copies_ops that are about it.
bool stack_copies_ready(void *self, block_key key, struct buf_pool *pool);
bool stack_copies_next_loaded(void *self, block_key *ret_key);
bool stack_copies_adopt(void *self, block_key key, size_t size);
void stack_copies_set_volume(void *self, uint32_t index, const char *name, struct buf_pool *pool);

// ---- stack_leave.c ----

// Go on with the disk level that leaves, at most ${budget} steps, which are counted down. True: there is more that needs
// not wait for the disk.
bool stack_disk_work(struct stack *stack, uint32_t *budget);

// A read of a block of the level that leaves has ended: ${load}, whose buffer is the callee's.
void stack_disk_moved(struct stack *stack, const struct disk_load *load);

// Room for this many blocks of ${block_size} bytes, all levels together.
uint64_t stack_capacity(const struct stack *stack, uint64_t block_size);

// Whether nothing may fall out of the stack just now.
bool stack_is_full(const struct stack *stack);

// Go on with levels that change, at most ${budget} slots, which are counted down. False: none does, or they wait for
// the disk.
bool stack_work(struct stack *stack, uint32_t *budget);

// Tell the core of parked victims, look again at those that were pinned, at most ${budget}.
void stack_clean(struct stack *stack, uint32_t *budget);

#endif
