// SPDX-License-Identifier: MIT
// Messages of the running step. The rules speak of single blocks; the outbox joins what is said of adjacent blocks, one
// after the other, into one message on the same link, so that a run of blocks travels together.
#ifndef HVFS_CORE_OUTBOX_H
#define HVFS_CORE_OUTBOX_H

#include "core/state.h"

// What is said of one block.
struct saying {
	uint32_t link;
	uint32_t volume;    // index
	uint32_t volume_id; // as the peer knows it
	enum opcode opcode;
	uint16_t flags;
	uint64_t block;
	uint32_t xid; // of a reply: its request's; a request gets one of its own
	int perm;     // enum perm; -1: not said
	bool grant;   // an answer that gives: TTL, HB_TTL and a grant number go along
	uint32_t ttl_ms, hb_ttl_ms;
	uint64_t grant_seen; // a release: the last grant number seen; 0: not said
	uint8_t hops_left;
	uint32_t origin;
	enum status status; // of an ERR_REPLY
	const struct claimant *claimant; // RECOVER, or a recall for one; NULL
	uint32_t live_ms;                // RECOVER, INVALIDATE with RECOVERY_OP: what is left of the claimant's lease
	uint32_t given_ms;               // RECOVER: of the longest lease below him; 0: there is none
	const uint8_t *digest;           // GET: of the bytes that are here; NULL: none are
	bool alone;                      // a message of its own
	bool item;          // bytes, zeros or at least a version go along:
	enum item_kind kind;
	version_t version;
	struct buf *buf; // ITEM_DATA; counted
	struct gap gap;  // below its version; all zero: none is known
};

// Say it: in the link's last message when it fits there, else in a new one. Returns the message (its xid and grant
// number are set).
const struct message *outbox_say(struct core *core, const struct saying *saying);

// A message that is not about blocks. ${xid}: as in saying. Nothing is joined to it.
struct message *outbox_message(struct core *core, uint32_t link, enum opcode opcode, uint32_t xid);

// An ERR_REPLY to ${xid} for a whole request. ${param}: the type of the parameter that is wrong (0: none); ${value}:
// its value, told when ${param} is.
struct message *outbox_error(struct core *core, uint32_t link, uint32_t xid, enum status status, uint16_t param, uint64_t value);

// Have the link closed, because of ${why}, after what was said on it. EVENT_LINK_DOWN still comes.
void outbox_close_link(struct core *core, uint32_t link, const char *why);

// May data be queued on this link (R16)?
bool outbox_room(const struct core *core, uint32_t link);

// The step ends: messages can not be joined any more.
void outbox_close(struct core *core);

#endif
