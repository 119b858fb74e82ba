// SPDX-License-Identifier: MIT
// After a session was lost: what is held is claimed anew (protocol.md F3, F4, R13).
#ifndef HVFS_CORE_RECOVERY_H
#define HVFS_CORE_RECOVERY_H

#include "core/state.h"

// The parent has answered CONNECT with a new session, or has left before it has answered all. Before anything of the old one is
// overwritten: remember under which names, and until when, blocks were held.
void recovery_remember(struct core *core, struct volume *volume);

// The block was held under the old session: what this node may claim is claimed, the rest is given up.
void recovery_block(struct core *core, struct entry *entry);

// A PUT with bytes may still come to the root that we have left, if that lives: who asked for it waits until another root is above,
// or fails with the lease of then.
void recovery_put_late(struct core *core, struct entry *entry);

// What children had brought and this node had passed on without a copy may be lost above: they have to bring it again.
void recovery_below(struct core *core, const struct volume *volume);

// What children have sent up and not made durable is lost here, or may be: they have to bring it again, by the names that they
// know now. (To tell them at their next barrier is not enough: this node may be gone by then.)
void recovery_unsynced_below(struct core *core, const struct volume *volume);

// Nothing is held of the block any more, nor may the children keep anything.
void recovery_give_back(struct core *core, struct entry *entry);

// The same, as those above have given it to others: whoever decides says whether the dirty bytes may still be taken.
void recovery_revoked(struct core *core, struct entry *entry);

// Send the claim of a block, unless that is done; the claim waits for room on the link by itself.
void recovery_claim(struct core *core, struct entry *entry);

// Would what is granted for writing now be claimed after another loss as what was held before, of a lease that is over, under a name
// that may be evicted (F2), and an epoch that may be void (F6)? Until the claims have ended a node asks for none then.
bool recovery_is_doubtful(const struct volume *volume, moment_us now);

// Is ${node_id} this node, under its name or one of the last NAMES_KEPT before?
bool recovery_is_own_name(const struct volume *volume, uint64_t node_id);

// A claim, or bytes, that name an earlier name of this node are passed on with the later ones, too: what the claimant had was claimed
// under these, and may have been taken back under them, while he was away.
void recovery_add_later_names(const struct volume *volume, struct claimant *claimant);

// May claims be sent? Not for a while after the parent had no room for one, or could not decide.
bool recovery_may_claim(struct core *core, struct volume *volume);

// Was a claim refused with ${status} only for now? Then all that wait are sent after a while.
bool recovery_retries(struct core *core, struct volume *volume, enum status status);

// There are newer bytes than those that a child has for writing, perhaps: whoever has the block so has to claim it anew, but for
// the child ${from}, whose bytes they are; -1: whoever it is.
void recovery_ask_writers(struct core *core, const struct entry *entry, int from);

// The parent's answer to a claim.
void recovery_granted(struct core *core, struct entry *entry, const struct message *message, const struct item *item);
void recovery_refused(struct core *core, struct entry *entry, enum status status);

// Send dirty bytes that no present permission covers; ${entry} is on the dirty list.
void recovery_resend(struct core *core, struct entry *entry);

// They were refused for good: they are given up (F2).
void recovery_give_up(struct core *core, struct entry *entry, enum status status);

// The copy is dirty and nothing covers it: it is to be sent again.
void recovery_uncovered(struct core *core, struct entry *entry);

// All claims have been answered, and what was not claimed is not used below any more: tell the parent, once. At the end
// of each step.
void recovery_pump(struct core *core, struct volume *volume);

// The lease that children may be given: until the recovery is over, what they hold is still held under the old one (T3).
moment_us recovery_lease_end(const struct volume *volume);

// Is what those below have confirmed under the epoch that is known here? What they hold is, once our claims are answered. But what they
// have sent up, we may still have to bring ourselves: whether that is lost shows by the answer.
bool recovery_is_confirmed(const struct volume *volume);

#endif
