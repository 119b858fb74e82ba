// SPDX-License-Identifier: MIT
// A set-associative table of blocks: groups of ways, a hash chooses the group, a policy who goes when a group is full
// (S26). Its shape is fixed; a level that changes shape makes a new one (level.h).
#ifndef HVFS_CACHE_ASSOC_H
#define HVFS_CACHE_ASSOC_H

#include "cache/duel.h"
#include "cache/hash.h"
#include "cache/policy.h"

enum { ASSOC_WAYS_MAX = 256 };

struct assoc {
	struct slot *slots; // group after group
	bool may_have_ghosts; // else who comes to a full group has been admitted (policy_admit)
	uint16_t *ghosts;     // as many; NULL for LRU, and where there may be none
	uint64_t group_count;
	uint32_t way_count;
	enum hash hash;
	enum policy policy;
	struct duel *duel; // POLICY_ADAPTIVE, else NULL
	uint64_t entries, bytes, dirty;
};

// Where a block is in a table. Valid until the group is changed.
struct assoc_place {
	struct assoc *table;
	uint64_t group;
	uint32_t way;
};

// An empty table. Its memory is taken from the system as it is used, so that this takes no time. With
// ${may_have_ghosts} a policy that remembers who left does so.
struct assoc *assoc_create(uint64_t group_count, uint32_t way_count, enum hash hash, enum policy policy,
			   bool may_have_ghosts);

// Gives back the counts of all buffers.
void assoc_destroy(struct assoc *table);

// Bytes of its own memory, when all of it is in use.
uint64_t assoc_index_bytes(const struct assoc *table);

// The same of one that is made like this.
uint64_t assoc_index_size(uint64_t group_count, uint32_t way_count, enum policy policy, bool may_have_ghosts);

// Another policy from now on. What is in the table stays.
void assoc_set_policy(struct assoc *table, enum policy policy);

// Where ${key} is; false: it is not here. Changes nothing.
bool assoc_find(struct assoc *table, block_key key, struct assoc_place *ret_place);

// The slot at ${place}.
struct slot *assoc_slot(const struct assoc_place *place);

// The block at ${place} is used; ${place} follows it.
void assoc_use(struct assoc_place *place);

// The same, and it is about to be taken, as those who are used go to another table.
void assoc_use_last(struct assoc_place *place);

// The same, but nobody has looked for it here: it says nothing of who misses less.
void assoc_touch(struct assoc_place *place);

// The block ${key} is used; its slot, until the group is changed. NULL: it is not here.
struct slot *assoc_get(struct assoc *table, block_key key);

// ${key} was looked for and is not here: the adaptive policy learns from it.
void assoc_missed(struct assoc *table, block_key key);

// Nobody will look for ${key}, which is not here, before it comes again: also another policy would not have it any more.
void assoc_forget(struct assoc *table, block_key key);

// Whether the group of ${key} has an empty way.
bool assoc_has_room(const struct assoc *table, block_key key);

// ${slot}, with its count, comes into its group, which has room.
void assoc_insert(struct assoc *table, const struct slot *slot);

// ${slot}, with its count, comes into its group. True: that was full, and ${ret_out} had to go, with its count; the
// policy's choice among those who ${may}, or among all when nobody may.
bool assoc_push(struct assoc *table, const struct slot *slot, policy_may_fn *may, const void *arg,
		struct slot *ret_out);

// Who goes next from ${group}, of those who ${may} (NULL: all); false: nobody may. Nobody is removed yet.
bool assoc_choose(struct assoc *table, uint64_t group, policy_may_fn *may, const void *arg,
		  struct assoc_place *ret_place);

// The block at ${place} leaves the table, with its count.
struct slot assoc_take(const struct assoc_place *place);

// The same, because another one needs the room: a policy that chose otherwise might have it still.
struct slot assoc_evict(const struct assoc_place *place);

// The block at ${place} has these bytes now; takes a count of ${buf}, gives that of the old one back.
void assoc_replace(const struct assoc_place *place, struct buf *buf);

// The block at ${place} is dirty, or clean.
void assoc_set_dirty(const struct assoc_place *place, bool dirty);

// The blocks of ${group}.
struct group assoc_group(const struct assoc *table, uint64_t group);

#endif
