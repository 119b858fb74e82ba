// SPDX-License-Identifier: MIT
// A PUT with bytes whose fate is unknown, as a link broke before its answer came (protocol.md, "A PUT with bytes whose fate is
// unknown"). It was done or not; if it was, it has given the block to who sent it, and nobody else can have had it since, as long
// as his lease lasts. Behind the same session it is simply sent again. To another it is sent as a claim: RECOVER for WRITE with the
// bytes, whose version is 0.
#ifndef HVFS_CORE_PUT_AGAIN_H
#define HVFS_CORE_PUT_AGAIN_H

#include "core/verdict.h"

// ---- who sends it ----

// The link is down. Is it unknown (work->put_unknown) what has become of what ${head} has asked for? Then this node's names, and the
// root, are kept.
void put_again_link_down(const struct volume *volume, struct work *work, struct want *head);

// The session that it was sent in is lost, and there is another. What can still come late waits.
void put_again_session_lost(struct core *core, struct entry *entry);

// The session goes on, or is a new one: it is sent, before anything else is said of its block, whatever room there is.
void put_again_now(struct core *core, struct entry *entry);

// What may come late has waited (work->put_late): go on, or fail, when the lease of then is over.
void put_again_advance(struct core *core, struct entry *entry);

// Is a claim of it still to be sent, for ${head}, the first in the queue?
bool put_again_is_due(const struct work *work, const struct want *head);

// Has something else of the block to be sent first: bytes that were written before, it may be?
bool put_again_waits(const struct work *work);

// Does ${want} wait until it is known what has become of it? Also if a child's claim brings the permission meanwhile: what is
// written then could be done once more above, behind what others write.
bool put_again_holds(const struct work *work, const struct want *want);

// Send ${bytes} of ${want}, of which that is known, as a claim. Its answer is that of a PUT.
void put_again_claim(struct core *core, struct entry *entry, struct want *want, struct buf *bytes);

// What was asked for ${head}, or for one before it, was refused with ${status}. If that was such a claim: STATUS_NONE if the PUT
// has not been done, so that the write begins anew; UNAVAILABLE if it is to be made again. Else the write fails.
enum status put_again_refused(const struct work *work, struct want *head, enum status status);

// Nothing about ${want} is unknown any more.
void put_again_answered(struct want *want);

// ---- who gets it ----

// Is block ${i} of ${message}, a PUT or a claim, one that was done before, by the record? Then it is done once more, and answered.
bool put_again_taken(struct core *core, struct child *child, struct entry *entry, const struct message *message, uint32_t i);

// Is ${want} such a claim?
bool put_again_is(const struct want *want);

// Is anything else of the block to be decided first: what came in a grace time, or what the same child has brought before?
bool put_again_is_behind(const struct core *core, const struct work *work, const struct want *want);

// Does the record tell whose write it is, when another is decided about? Not if a child passes it on; of other claims always.
bool put_again_is_told(const struct want *want);

// It is granted: at the root the bytes are the newest, of ${want}->version.
void put_again_apply(struct core *core, struct entry *entry, struct want *want);

// What becomes of it. Others who claim the block, or bring bytes, come first: had it been done, they would have lost the block
// before. At a root that had not been started anew since the record tells as much. It is granted, or has to wait, or was not done
// (NOT_HOLDER), or nobody can tell (EVICTED).
enum verdict put_again_decide(struct core *core, const struct entry *entry, struct want *want);

#endif
