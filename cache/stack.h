// SPDX-License-Identifier: MIT
// The cache of a node: a stack of levels, top to bottom (S27). What is used comes to the top; what has to make room
// goes down a level, which may push out the next, and so on; what falls out of the bottom is forgotten, or waits in the
// victim repository until it is clean (S28). Levels come, go and change while it is used (S29), a few blocks with each
// operation. docs/cache.md has the whole story.
#ifndef HVFS_CACHE_STACK_H
#define HVFS_CACHE_STACK_H

#include "cache/disk_level.h"
#include "cache/level_config.h"
#include "core/copies.h"

struct stack;

enum { STACK_LEVELS_MAX = 8 };

#define STACK_ERRORS(X)                                                       \
	X(OK, "success")                                                      \
	X(NO_LEVEL, "there is no such level")                                 \
	X(BUSY, "the level is still changing")                                \
	X(INVALID, "a level can not be like this")                            \
	X(LAST, "the last level in memory can not be removed")                \
	X(TOO_MANY, "a limit is reached")                                     \
	X(PINNED, "more would be pinned than half of the cache has room for") \
	X(NOT_PINNED, "not all of this is pinned")

enum stack_error {
#define X(name, text) STACK_##name,
	STACK_ERRORS(X)
#undef X
		STACK_ERROR_COUNT
};

struct stack_level_stats {
	uint32_t id; // of the level, wherever it moves; never given again
	struct level_config config;
	uint64_t entries, used, dirty; // copies in it; bytes of their data (zero blocks count nothing); dirty copies
	uint64_t index;                // bytes of its index
	uint64_t hits, misses;         // lookups that ended here, that went further down
	uint64_t promoted_in, promoted_out;
	uint64_t demoted_in, demoted_out;
	uint64_t evicted;              // that fell out of the stack from here
	uint64_t moving, moving_total; // being rebuilt or leaving: copies still to move, of how many
	bool busy, leaving;
};

struct stack_stats {
	uint64_t size;         // bytes configured, all levels
	uint64_t used;         // bytes of data of all copies, victims too
	uint64_t index;        // bytes of the levels' indices
	uint64_t entries;      // copies in the levels
	uint64_t victims;      // copies beyond the levels' space
	uint64_t victims_used; // bytes of their data
	uint64_t dirty;        // dirty copies, wherever they are
	uint64_t pinned;       // blocks that are pinned, whether they are here or not
	uint64_t hits, misses, evictions;
};

// A stack of ${count} levels (1 to STACK_LEVELS_MAX; valid), the first on top, for blocks of ${block_size} or larger. A
// hash that is not named is chosen. Never NULL.
struct stack *stack_create(uint32_t block_size, const struct level_config *levels, uint32_t count);
void stack_destroy(struct stack *stack);

// As the core sees it. The evicted callback comes from within put, set_dirty and stack_step, never from get.
struct copies stack_copies(struct stack *stack);

// Volume ${index} of the core is sealed: on disks its blocks are as ${form} makes them, which outlives the stack. Before
// the core says that the volume is there (copies_ops.set_volume).
void stack_set_form(struct stack *stack, uint32_t index, const struct sealed_form *form);

// Who is told of copies that come from a disk to memory: fn(arg, key, buf), whoever wanted them there. NULL: nobody.
void stack_on_risen(struct stack *stack, void (*fn)(void *arg, block_key key, struct buf *buf), void *arg);

struct stack_disk_hooks {
	void (*wake)(void *arg); // EVENT_COPIES is to be given to the core; also from within calls of the core
	void (*compute)(void *arg, struct disk_work *work); // as of disk_level_listener; or NULL
	void (*failed)(void *arg, bool writing, int sys_errno); // the medium failed: nothing is kept there any more
	void *arg;
};

// ${disk} is below the levels from now on. The stack, which has none, owns it.
void stack_set_disk(struct stack *stack, struct disk_level *disk, const struct stack_disk_hooks *hooks);

// The disk level takes no more blocks. What is in it comes up as far as there is room, the rest is forgotten.
enum stack_error stack_remove_disk(struct stack *stack);

// ${disk} is in its place from now on, and what is in it comes there. If ${disk} fails before all has come, it leaves
// instead, and the one before stays.
enum stack_error stack_replace_disk(struct stack *stack, struct disk_level *disk, const struct stack_disk_hooks *hooks);

// The disk level is of this policy from now on.
enum stack_error stack_set_disk_policy(struct stack *stack, enum policy policy);

// The disk level that has left, empty, with nothing under way: the caller's now, and who its hooks were for. NULL:
// there is none, or it is still leaving.
struct disk_level *stack_take_left_disk(struct stack *stack, void **ret_arg);

// Nothing of what the disk level has begun will end any more. Nothing is found there from now on.
void stack_abandon_disk(struct stack *stack);

// The disk level, or NULL; the one that leaves, or NULL; for their statistics.
struct disk_level *stack_disk(const struct stack *stack);
struct disk_level *stack_leaving_disk(const struct stack *stack);

// Whose hooks (their arg) those of the disk level are; NULL: there is none.
void *stack_disk_owner(const struct stack *stack);

// Blocks still to move from the disk level that leaves, and of how many; whether they come to the other one.
void stack_get_disk_change(const struct stack *stack, uint64_t *ret_moving, uint64_t *ret_total, bool *ret_follows);

// Is a level changing or leaving?
bool stack_is_changing(const struct stack *stack);

// How often a block was looked for in the disk level, and found or not.
void stack_get_disk_lookups(const struct stack *stack, uint64_t *ret_hits, uint64_t *ret_misses);

// The sentence for ${error}, never NULL.
const char *stack_error_text(enum stack_error error);

// A new, empty level at ${position} (0: top); those from there on are one further down.
enum stack_error stack_add(struct stack *stack, uint32_t position, const struct level_config *config);

// The level at ${position} takes no more blocks, its blocks go down (from the bottom: up, as far as there is room for
// the clean ones), and then it is gone and those below are one further up.
enum stack_error stack_remove(struct stack *stack, uint32_t position);

// The level at ${position} becomes like this: size, ways, hash, policy.
enum stack_error stack_set(struct stack *stack, uint32_t position, const struct level_config *config);

// The level at ${from} is at ${to} from now on, with all that is in it.
enum stack_error stack_move(struct stack *stack, uint32_t from, uint32_t to);

// Go on with what is to be done in the background: at most ${slots_max} blocks are looked at. True: there is more that
// needs not wait for a disk (whose hook wakes).
bool stack_step(struct stack *stack, uint32_t slots_max);

// Blocks [${first}, ${first} + ${count}) stay once they are here, until unpinned as often as pinned.
enum stack_error stack_pin(struct stack *stack, block_key first, uint64_t count);
enum stack_error stack_unpin(struct stack *stack, block_key first, uint64_t count);

// How many levels there are, those that leave included.
uint32_t stack_level_count(const struct stack *stack);

// What the level at ${position} (below stack_level_count) is, holds, and how it was used since it was made.
void stack_get_level_stats(const struct stack *stack, uint32_t position, struct stack_level_stats *ret);

// The same of the whole.
void stack_get_stats(const struct stack *stack, struct stack_stats *ret);

// The share of uses that a cache of ${size} bytes would have served of late, as LRU over all of it: an estimate.
double stack_advise(const struct stack *stack, uint64_t size);

// What must be true whatever happened; stops the process when it is not. Looks at every slot: for tests.
void stack_check(struct stack *stack);

#endif
