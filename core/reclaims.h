// SPDX-License-Identifier: MIT
// What was brought in a root's grace time, and granted or taken (protocol.md F6). It goes on record beside the storage together with the
// end of that time: if the root dies before its answers have come, the next one knows that the block was given to nobody else, though
// the claimant has missed a root that has served others.
#ifndef HVFS_CORE_RECLAIMS_H
#define HVFS_CORE_RECLAIMS_H

#include "core/state.h"

// ${want} of ${entry} is granted, or taken. Nothing happens unless that is in a root's grace time.
void reclaims_note(const struct core *core, const struct entry *entry, const struct want *want);

// ${volume}'s grace time ends: note what is going to be granted then, too, as far as that is certain, and sort it for the record. At most
// LIMIT_RECLAIMS runs are noted.
void reclaims_end(struct core *core, struct volume *volume);

// That is on record, or can not be written: what has been noted is not needed any more.
void reclaims_written(struct volume *volume);

// The volume is given up.
void reclaims_forget(struct volume *volume);

// What is on the record of the root before. Before the first step.
void reclaims_set(struct volume *volume, const struct reclaim *list, size_t count);

// Is ${want} of ${entry} there, as granted or taken?
bool reclaims_have(const struct core *core, const struct entry *entry, const struct want *want);

// ${want} of ${entry} has come in the grace time, by who has missed a root that has served others: it is refused, unless it is there.
void reclaims_judge(const struct core *core, const struct entry *entry, struct want *want);

#endif
