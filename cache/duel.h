// SPDX-License-Identifier: MIT
// Which policy would miss less in a table just now? A sample of its groups is kept a second and a third time, only the
// names of the blocks, once by LRU and once by S3-FIFO, and both see what the table sees (auxiliary tag directories,
// Qureshi et al., ISCA 2006). So no group of the table itself has to be the one of the losing side.
#ifndef HVFS_CACHE_DUEL_H
#define HVFS_CACHE_DUEL_H

#include "cache/policy.h"

struct duel;

// Of a table like this. ${admission}: a full group takes only who has proved himself (policy_admit). Never NULL.
struct duel *duel_create(uint64_t group_count, uint32_t way_count, bool admission);
void duel_destroy(struct duel *duel);

// Bytes of its memory; of one that is made like this.
uint64_t duel_bytes(const struct duel *duel);
uint64_t duel_size(uint64_t group_count, uint32_t way_count, bool admission);

// POLICY_LRU or POLICY_S3FIFO.
enum policy duel_winner(const struct duel *duel);

// Whether ${group} is in the sample. All below is about such a group only.
bool duel_has(const struct duel *duel, uint64_t group);

// ${slot}, as it was before, is used in the table, where it ${stays}, or leaves it.
void duel_use(struct duel *duel, uint64_t group, const struct slot *slot, bool stays);

// ${key} is used in the table, but was not looked for there.
void duel_touch(struct duel *duel, uint64_t group, block_key key);

// ${key} was looked for in the table, and is not there.
void duel_miss(struct duel *duel, uint64_t group, block_key key);

// ${slot} comes into the table.
void duel_insert(struct duel *duel, uint64_t group, const struct slot *slot);

// ${key} leaves the table, and not because there was no room.
void duel_remove(struct duel *duel, uint64_t group, block_key key);

#endif
