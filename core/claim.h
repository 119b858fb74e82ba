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

// The parent's answer to a claim that was passed on; false when it is about something else.
bool claim_reply(struct core *core, struct entry *entry, const struct message *message, const struct item *item);

// The parent takes a block back for somebody who says that he has left us (RECOVERY_OP). True: it is an ordinary recall
// from here on; false: refused, and answered.
bool claim_recall(struct core *core, struct entry *entry, const struct message *message);

// Child ${index} has answered such a recall: it has let the block go, or it has not.
void claim_let_go(struct core *core, struct entry *entry, uint32_t index);
void claim_kept(struct core *core, struct entry *entry, uint32_t index);

// Child ${index} was asked and its link broke: it is asked again, or not any more.
void claim_unasked(struct core *core, struct entry *entry, uint32_t index);

// ${child} is being evicted: is the block left to one of the claims?
bool claim_inherits(struct core *core, struct entry *entry, const struct child *child);

// The link of a child, or to the parent, is gone.
void claim_forget_child(struct core *core, struct entry *entry, uint32_t index);
void claim_link_down(struct core *core, struct work *work);

// The root's grace time is running: nothing but claims is served.
bool claim_in_grace(const struct core *core, const struct volume *volume);

#endif
