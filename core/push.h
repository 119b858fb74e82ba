// SPDX-License-Identifier: MIT
// PUSH: blocks that the parent sends ahead of demand. Each is a grant of READ like any other (R2, R8).
#ifndef HVFS_CORE_PUSH_H
#define HVFS_CORE_PUSH_H

#include "core/state.h"

// ---- As a parent ----

// ${child} has asked for the blocks of ${message} to read: if it reads sequentially it is sent the next ones, as far as
// they are here and there is room.
void push_after(struct core *core, struct child *child, const struct message *message);

// ${child} gives back a block that it was sent, and did not want.
void push_unwanted(struct core *core, struct child *child, uint64_t block);

// ${child} gives up ${entry}, which it had asked for to read, because somebody wants to write: when that is read again,
// the child gets the new bytes, too (push_news).
void push_interest(struct core *core, const struct entry *entry, const struct child *child);
void push_news(struct core *core, struct entry *entry);

// ---- As a child ----

// Has ${message} all that a PUSH needs?
bool push_is_valid(const struct message *message);

// The i-th block of it: taken, or given back at once.
void push_block(struct core *core, struct volume *volume, const struct message *message, uint32_t i);

#endif
