// SPDX-License-Identifier: MIT
// Who claims: the names that come with the claims of children are kept once for all blocks.
#ifndef HVFS_CORE_CLAIMANT_H
#define HVFS_CORE_CLAIMANT_H

#include "core/state.h"

// The index (from 1) of the claimant that ${message} names, with one more use; 0 when LIMIT_CLAIMANTS are in use.
uint32_t claimant_take(struct core *core, const struct message *message);

// One use less. 0 is allowed.
void claimant_release(struct core *core, uint32_t index);

// The claimant of an index; NULL for 0. Valid until the next claimant_take.
const struct claimant *claimant_get(const struct core *core, uint32_t index);

// May blocks of ${claimant} be recorded under ${node_id}?
bool claimant_names(const struct claimant *claimant, uint64_t node_id);

// A claim of ${index} was granted to the child, which may never hear of it. One use more, until claimant_forget_child.
void claimant_granted(struct core *core, uint32_t index, const struct child *child);

// The child knows what it was granted, or its session is over.
void claimant_forget_child(struct core *core, const struct child *child);

// Add a name, unless it is there already or there is no more room.
void claimant_add_name(struct claimant *claimant, uint64_t node_id);

#endif
