// SPDX-License-Identifier: MIT
// Evictions (protocol.md F2): what a silent child has for writing is taken back only after it is on record, durably at
// the root, that its claims are void.
#ifndef HVFS_CORE_EVICTION_H
#define HVFS_CORE_EVICTION_H

#include "core/state.h"

// Somebody wants blocks that ${child}, whose lease is over, has for writing: evict it, unless that is under way or this
// node may not decide it now. Asked again by whoever still wants them.
void eviction_begin(struct core *core, struct child *child);

// The child had this name before; 0: it had none.
void eviction_note_former(struct child *child, uint64_t node_id);

// ${child} takes the place of an earlier session of the same node.
void eviction_inherit_former(struct child *child, const struct child *before);

// Has the node of this absent child another session here, and said what it still holds? Then this one is over.
bool eviction_is_needless(const struct core *core, const struct child *child);

// The session of ${gone} is over. If it was passed over by claims, others may be evicted now.
void eviction_child_gone(struct core *core, const struct child *gone);

// Send those whose time has come.
void eviction_timer(struct core *core);

// A child passes an eviction on.
void eviction_notice(struct core *core, struct child *child, const struct message *message);

// The link of ${child} is gone: what it passed on goes on, but is not answered. On another link the number of the answer
// means something else.
void eviction_forget_asker(struct core *core, const struct child *child);

// The parent's answer to one of ours; false when it is about something else.
bool eviction_reply(struct core *core, const struct message *message);

// The root's storage has recorded it, or not.
void eviction_stored(struct core *core, uint64_t cookie, enum hvfs_error error);

// The link to the parent is gone; ${volume}'s session goes on: what waits is sent again.
void eviction_link_down(struct core *core);
void eviction_resume(struct core *core, struct volume *volume);

// Claims under the name of ${node_id} are void from now on.
void eviction_remember(struct core *core, uint32_t volume, uint64_t node_id);

// Are claims void that ${claimant} makes?
bool eviction_voids(const struct core *core, uint32_t volume, const struct claimant *claimant);

#endif
