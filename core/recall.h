// SPDX-License-Identifier: MIT
// What the children hold is taken back: INVALIDATE, and their answers.
#ifndef HVFS_CORE_RECALL_H
#define HVFS_CORE_RECALL_H

#include "core/state.h"

// Recall what is more than ${allowed} from all children but ${except} (-1: from all), once. True when nothing is.
bool recall_children(struct core *core, struct entry *entry, int except, enum perm allowed);

// Recall the block from the child of ${record} because ${claimant} says that he has left it (F5). Returns the number of
// the question; 0: not now, as it is being asked about another.
uint32_t recall_for(struct core *core, struct entry *entry, struct dir_record *record,
		const struct claimant *claimant);

// The i-th block of a child's answer to an INVALIDATE. Touches it.
void recall_answered(struct core *core, struct child *child, const struct message *message, uint32_t i);

// Is the block frozen: an absent child other than ${except} has it for writing (F1)?
bool recall_is_frozen(struct core *core, const struct entry *entry, int except);

// A child with this many microseconds of unanswered recalls is failed, heartbeats or not (F1).
moment_us recall_limit_us(const struct core *core);

// The link of ${child} is gone: recalls that were under way will not be answered.
void recall_unsent(struct core *core, struct child *child);

#endif
