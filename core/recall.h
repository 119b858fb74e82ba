// SPDX-License-Identifier: MIT
// What the children hold is taken back: INVALIDATE, and their answers.
#ifndef HVFS_CORE_RECALL_H
#define HVFS_CORE_RECALL_H

#include "core/state.h"

// Recall what is more than ${allowed} from all children but ${except} (-1: from all), once. True when nothing is.
bool recall_children(struct core *core, struct entry *entry, int except, enum perm allowed);

// What children have of the block, beyond ${left}, rests on a permission that is gone, here or above: it is recalled, and its
// records are kept until the children have answered or their leases are over. Nobody can claim it. True when there was anything.
bool recall_revoke(struct core *core, struct entry *entry, enum perm left);

// The lease of ${child} is over, and ${record} is revoked: it ends.
void recall_revoked_lapsed(struct core *core, struct child *child, struct dir_record *record);

// Recall what is revoked, once.
void recall_revoked(struct core *core, struct entry *entry);

// Recall the block from the child of ${record} because ${claimant} says that he has left it (F5). ${allowed}: NO, he claims it,
// and ${live} if his lease is not over; READ, he brings bytes of it. Returns the number of the question; 0: not now, as it is
// being asked about another.
uint32_t recall_for(struct core *core, struct entry *entry, struct dir_record *record, enum perm allowed, bool live,
		    const struct claimant *claimant);

// What ${record} gives beyond ${allowed} is recalled, since its place in the directory is needed (R17), or the child has no right to it
// any more. False: the child can not be asked.
bool recall_back(struct core *core, struct dir_record *record, enum perm allowed);

// The i-th block of a child's answer to an INVALIDATE. Touches it.
void recall_answered(struct core *core, struct child *child, const struct message *message, uint32_t i);

// A recall from the child of ${record} is under way: it is over, and its answer means nothing; who needs it sends it again (R18).
// False: what is revoked is not forgotten.
bool recall_end(struct core *core, struct entry *entry, struct dir_record *record);

// The parent's INVALIDATE is over for ${entry}, or needs no answer of that child any more.
void recall_question_end(struct core *core, struct work *work);

// The link of child ${index} is gone, and the answer with which it would have let the block go for a claimant: if the bytes were
// here before, it can not be asked again, and he does not get it.
void recall_question_unsent(struct core *core, struct entry *entry, uint32_t index);

// Is the block frozen: an absent child other than ${except} has it for writing (F1)?
bool recall_is_frozen(struct core *core, const struct entry *entry, int except);

// A child with this many microseconds of unanswered recalls is failed, heartbeats or not (F1).
moment_us recall_limit_us(const struct core *core);

// The link of ${child} is gone: recalls that were under way will not be answered.
void recall_unsent(struct core *core, struct child *child);

// A writer below is gone, whose record is removed: nobody may ever again use the versions it may have used (R11).
void recall_from_gone(struct core *core, struct entry *entry);

#endif
