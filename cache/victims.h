// SPDX-License-Identifier: MIT
// The victim repository (S28): blocks that fell out of the bottom of the stack and can not be forgotten yet, outside
// the space of the levels. Dirty and pinned ones wait until they are neither; clean ones are parked, a few, until the
// core may be told.
#ifndef HVFS_CACHE_VICTIMS_H
#define HVFS_CACHE_VICTIMS_H

#include "cache/slot.h"

enum { VICTIMS_PARKED_MAX = 64 };

struct victim;

struct victims {
	struct victim *waiting, *parked; // the oldest first
	uint64_t waiting_count, parked_count;
	uint64_t waiting_bytes, parked_bytes; // of data
	uint64_t dirty;
};

// Give back the counts of all buffers.
void victims_clear(struct victims *victims);

// ${slot} is kept, with its count. ${parked}: it may be forgotten as soon as there is an occasion.
void victims_add(struct victims *victims, const struct slot *slot, bool parked);

// The victim ${key}, or NULL.
struct victim *victims_find(struct victims *victims, block_key key);

// What is kept of ${victim}; to be changed only by victims_set_dirty.
const struct slot *victim_slot(const struct victim *victim);

// Whether it is parked.
bool victim_is_parked(const struct victim *victim);

// The oldest parked one, the oldest waiting one; NULL: none.
struct victim *victims_parked(const struct victims *victims);
struct victim *victims_waiting(const struct victims *victims);

// ${victim} is dirty or clean, and waits.
void victims_set_dirty(struct victims *victims, struct victim *victim, bool dirty);

// ${victim} waits as the newest.
void victims_wait_again(struct victims *victims, struct victim *victim);

// ${victim} leaves, with its count.
struct slot victims_take(struct victims *victims, struct victim *victim);

#endif
