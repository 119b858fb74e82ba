// SPDX-License-Identifier: MIT
// What was sent up and is not known to be durable at the root (protocol.md R13; NFS calls such writes unstable): it
// stays in the cache until a barrier that began after its acknowledgement has been answered, so that it can be sent
// again when the nodes above lose it.
#ifndef HVFS_CORE_UNSTABLE_H
#define HVFS_CORE_UNSTABLE_H

#include "core/state.h"

// The copy (clean or dirty until now) equals what the parent has: it is unstable from now on, whatever barriers are
// under way.
void unstable_mark(struct core *core, struct entry *entry);

// The dirty copy was acknowledged, having been sent after the barrier of number ${after}: unstable, or covered by a
// later barrier already.
void unstable_flushed(struct core *core, struct entry *entry, uint32_t after);

// The copy is no longer unstable: it is modified, replaced or dropped. For those who change entry->copy.
void unstable_forget(struct core *core, struct entry *entry);

// A barrier is on its way up: it covers what is unstable now.
void unstable_barrier_sent(struct core *core, struct volume *volume);

// It was answered: what it covers is at the root. Or it was not, and covers nothing.
void unstable_committed(struct core *core, struct volume *volume);
void unstable_barrier_failed(struct core *core, struct volume *volume);

// Make room without waiting for the root's storage (semi-sync): have the parent send the oldest copies on (FORWARD), so
// that two nodes have them besides this one.
void unstable_forward(struct core *core, struct volume *volume);

// The parent's answer to a FORWARD; false when ${message} is about something else.
bool unstable_forwarded(struct core *core, struct entry *entry, const struct message *message);

// The link to the parent is gone.
void unstable_link_down(struct core *core, struct entry *entry, struct work *work);

// The copy need not be kept any more: it is clean.
void unstable_settle(struct core *core, struct entry *entry);

// Whatever is unstable is at the root's storage: the parent says so as it leaves.
void unstable_all_committed(struct core *core, struct volume *volume);

// What was left to nodes above (FORWARD) is durable, or lost and told: nobody has to be looked for any more.
void unstable_forget_keepers(struct volume *volume);

#endif
