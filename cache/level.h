// SPDX-License-Identifier: MIT
// One level of the cache stack: a table, and while the level changes shape or leaves the stack a second one that is
// being emptied a few blocks at a time (S29). A block is in one of both; lookups look into both, new blocks go into the
// new one.
#ifndef HVFS_CACHE_LEVEL_H
#define HVFS_CACHE_LEVEL_H

#include "cache/assoc.h"
#include "cache/level_config.h"

struct level {
	uint32_t id;                // never the same again in its stack
	struct level_config config; // as it is to be
	struct assoc *now;          // where blocks go; NULL: the level leaves
	struct assoc *old;          // what is being emptied, or NULL
	uint64_t old_size;          // bytes that were configured for it
	uint64_t old_entries;       // that were in it at first
	uint64_t cursor;            // its group that is emptied next
	uint64_t hand;              // group of the new one from which the byte bound takes next
	uint64_t hits;              // lookups that ended here
	uint64_t first_uses;        // of these, about as many were of what had just been brought because it was missed
	uint64_t passed;            // lookups that went on below, or found nothing
	uint64_t promoted_in, promoted_out, demoted_in, demoted_out, evicted;
};

// Whether a level can be like this.
bool level_config_is_valid(const struct level_config *config, uint32_t block_size);

// An empty level for blocks of ${block_size}, or of any size as far as its bytes allow. ${config} is valid and names a
// hash.
struct level *level_create(const struct level_config *config, uint32_t block_size);
void level_destroy(struct level *level);

// Take this shape from now on. Not while it is busy.
void level_rebuild(struct level *level, const struct level_config *config, uint32_t block_size);

// Take no more blocks. Not while it is busy.
void level_leave(struct level *level);

// A table of it is being emptied.
bool level_is_busy(const struct level *level);

// It takes no more blocks.
bool level_is_leaving(const struct level *level);

// The next block of the table that is being emptied, if one is met within ${budget} steps, which are counted down. The
// emptied table is given back to the system.
bool level_next_old(struct level *level, uint32_t *budget, struct slot *ret_slot);

// Where ${key} is; false: it is not in this level.
bool level_find(struct level *level, block_key key, struct assoc_place *ret_place);

// ${slot}, with its count, comes in. True: its group was full and ${ret_out} had to go, the policy's choice among those
// who ${may}, or among all when nobody may.
bool level_insert(struct level *level, const struct slot *slot, policy_may_fn *may, const void *arg,
		  struct slot *ret_out);

// One block that has to go because the level holds more bytes than it may, ${outside} of it taken for its own, any who
// ${may} but ${keep}. False: the bound is kept, or nobody was met in a bounded search.
bool level_squeeze(struct level *level, uint64_t outside, block_key keep, policy_may_fn *may, const void *arg,
		   struct slot *ret_out);

// Copies in it; bytes of their data; how many are dirty; bytes of its index.
uint64_t level_entries(const struct level *level);
uint64_t level_bytes(const struct level *level);
uint64_t level_dirty(const struct level *level);
uint64_t level_index_bytes(const struct level *level);

// Room for this many blocks of ${block_size} bytes, once it has its shape; 0 when it leaves.
uint64_t level_capacity(const struct level *level, uint64_t block_size);

#endif
