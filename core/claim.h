// SPDX-License-Identifier: MIT
// Claims of children (protocol.md F3-F5): a child that lost its session says what it held. Who has WRITE on the block
// decides; the others pass the claim on.
#ifndef HVFS_CORE_CLAIM_H
#define HVFS_CORE_CLAIM_H

#include "core/state.h"

// A child's RECOVER: of blocks, or the end of its claims. An eviction is eviction.c's.
void claim_request(struct core *core, struct child *child, const struct message *message);

// Decide what can be decided of the block's claims. True when none is left.
bool claim_advance(struct core *core, struct entry *entry);

// Is it to be decided who has the block, or are bytes on their way that are newer: does a claim for WRITE wait, or for a child that was
// asked?
bool claim_decides(const struct core *core, const struct work *work);

// The parent's answer to a claim that was passed on; false when it is about something else.
bool claim_reply(struct core *core, struct entry *entry, const struct message *message, const struct item *item);

// The parent takes a block back for somebody who says that he has left us (RECOVERY_OP). True: it is an ordinary recall
// from here on; false: refused, and answered. (Not for bytes: the parent takes them when nobody below it has the block any
// more. What we have would get a version beyond theirs if the child that has it were given up later.)
bool claim_recall(struct core *core, struct entry *entry, const struct message *message);

// Is the block about to be let go for a claimant whom our parent has named? Nobody below has it any more, nor lets it go for somebody else:
// other claims of it are for those above to decide.
bool claim_leaves(const struct core *core, const struct entry *entry);

// Is the block being recalled for somebody who has newer bytes than are here? When the child that had it is given up, what is
// here goes up as it is.
bool claim_makes_room(const struct core *core, const struct entry *entry);

// Child ${index} answers an INVALIDATE: is it a question of one of the claims? Then its claim is cleared, or refused.
bool claim_answered(struct core *core, struct entry *entry, uint32_t index, const struct message *message);

// A child that was asked for our parent's sake has not let the block go.
void claim_kept(struct core *core, struct entry *entry);

// ${child} was asked whether somebody who claims the block has it from there, and its link broke. The answer is that for a child that was
// absent before: if the claimant's lease is over it is no, as the child may be the one who claims it next (F5); else yes, if he names it.
void claim_asked_in_vain(struct core *core, struct entry *entry, struct child *child);

// ${child} is being evicted: is the block left to one of the claims? Whatever it names: the child may have left for the claimant
// before its own claim was granted here (claim_granted_to_who_has_left_again).
bool claim_inherits(struct core *core, struct entry *entry, const struct child *child);

// The link of a child, or to the parent, is gone.
void claim_forget_child(struct core *core, struct entry *entry, uint32_t index);
void claim_link_down(struct core *core, struct work *work);

// Is the answer still to come to a claim that ${child} made on a link which is gone?
bool claim_may_be_granted(const struct core *core, const struct child *child);

// The session of a child is over: what it still claims is not granted to whoever takes its place here.
void claim_forget_session(struct core *core, uint32_t index);

// The root's grace time is running: nothing but claims is served.
bool claim_in_grace(const struct core *core, const struct volume *volume);

#endif
