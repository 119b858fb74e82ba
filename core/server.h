// SPDX-License-Identifier: MIT
// The server face: towards the children.
#ifndef HVFS_CORE_SERVER_H
#define HVFS_CORE_SERVER_H

#include "core/state.h"

// GET, PUT, LOCK or FLUSH of a child: checked as a whole; false: refused (and answered).
bool server_check_request(struct core *core, uint32_t link, const struct message *message, struct child **ret_child);

// May a child's bytes have this version (R11)?
bool server_version_fits(const struct volume *volume, version_t version);

// The i-th block of a request that was checked. Touches it.
void server_request_block(struct core *core, struct child *child, const struct message *message, uint32_t i);

// The same for a FLUSH of a block.
void server_flush_block(struct core *core, struct child *child, struct entry *entry, const struct message *message,
			uint32_t i);

// The i-th block of a FORWARD: answered when another node above has the child's bytes, too (R13).
void server_forward_block(struct core *core, struct child *child, const struct message *message, uint32_t i);

// A child's FLUSH of the whole volume (R14).
void server_barrier(struct core *core, struct child *child, const struct message *message);

// That barrier has ended.
void server_barrier_done(struct core *core, int32_t child, uint32_t generation, uint32_t xid, enum hvfs_error error);

// Does a child's ${want} need the bytes of the block? Decided by the directory at the time of the grant (R5).
bool server_needs_data(const struct core *core, const struct entry *entry, const struct want *want);

// The child says by a digest which bytes it has (T5): they are those of the copy here.
bool server_has_same_bytes(const struct core *core, const struct entry *entry, const struct want *want);

// A lease that is more than half over is renewed before it is handed on: what a child gets must be worth having, at any
// depth (T3).
bool server_worth_granting(const struct core *core, const struct entry *entry);

// May the child be granted anything now: it owes no answer (R18) and its link has room (R16)? Else the block is touched
// when that changes.
bool server_may_grant(struct core *core, struct entry *entry, const struct want *want, bool data);

// Everything ${want} needs is there: apply the bytes of a PUT and grant. Returns false when it was applied but waits
// for an acknowledgement.
bool server_perform(struct core *core, struct entry *entry, struct want *want);

// Grant the block to ${child} for reading, unasked: it is here and may be read.
void server_push(struct core *core, struct child *child, struct entry *entry);

// ${want} can not be had.
void server_refuse(struct core *core, const struct entry *entry, struct want *want, enum status status);

// Requests of ${of} (NULL: of all children) for more than ${left} that wait are refused, so that nothing more is granted.
void server_refuse_waiting(struct core *core, const struct child *of, enum perm left, enum status status);

// Answer a FLUSH: the bytes are above (${ok}), or lost. Then the child has to say what it has left of them (RECOVER), and is
// refused for good if that is lost, too.
void server_flush_reply(struct core *core, const struct entry *entry, const struct want *want, bool ok);

// A PUT was done once more: the child of ${record} has what it has, and learns the version.
void server_grant_again(struct core *core, const struct child *child, struct entry *entry, struct dir_record *record,
			uint32_t xid);

// For claim.c: grant the claimed block to the child of ${want}, told that our own copy has ${version}; take bytes as a
// FLUSH's; answer about one block (STATUS_NONE: well, and nothing is given).
void server_grant_claim(struct core *core, struct entry *entry, const struct want *want, version_t version);
void server_absorb(struct core *core, struct entry *entry, const struct item *item);

// What was absorbed are the bytes ${buf} (NULL: none) of ${child}: they take its peer's room until they have gone on. If there is none
// left, its link ends.
void server_brought(struct core *core, const struct child *child, struct entry *entry, const struct buf *buf);
void server_answer_block(struct core *core, const struct child *child, uint64_t block, uint32_t xid, enum status status);

// The answer to bytes that were sent again, ${claim}, waits until ${version} is above.
void server_flush_wait(struct core *core, struct entry *entry, const struct want *claim, version_t version);

// Is there room for block data on ${link}? Else the block is touched when there is.
bool server_wait_room(struct core *core, struct entry *entry, uint32_t link);

// Touch all blocks that ${child} has.
void server_touch_blocks(struct core *core, const struct child *child);

// The lease of an absent child is over: what it had for writing is frozen. What it had for reading is free, unless it may
// still have unstable bytes of it: nobody may write over those before its claims are void.
void server_child_lapsed(struct core *core, struct child *child);

// The link of a child is gone; its session waits for it.
void server_link_down(struct core *core, uint32_t child);

// The session is over: its blocks are free. ${orderly}: the child said so, and has sent everything before; else what it
// had for writing may be lost.
void server_child_free(struct core *core, uint32_t child, bool orderly);

// The lease we may give now: HB_TTL for a child.
uint32_t server_hb_ttl_ms(const struct core *core, const struct volume *volume);

// Bytes of ${child} are acknowledged, or will be.
void server_acknowledged(const struct core *core, struct child *child);

// What is left of the longest lease that a child of the volume has been given, in milliseconds, rounded up; 0: nothing is.
uint32_t server_given_ms(const struct core *core, const struct volume *volume);

// An answer with HB_TTL goes out: our side of the lease.
void server_lease_given(struct core *core, struct child *child, uint32_t hb_ttl_ms);

#endif
