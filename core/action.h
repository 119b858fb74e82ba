// SPDX-License-Identifier: MIT
// What a node must do. The caller performs the actions of a step in their order, before the next step, then calls
// actions_reset, which returns the counts the list holds. No action may fail: what can fail answers by an event.
#ifndef HVFS_CORE_ACTION_H
#define HVFS_CORE_ACTION_H

#include "core/error.h"
#include "core/io.h"
#include "core/message.h"
#include "core/reclaim.h"

// One of the reasons of ACTION_LOST: two nodes above have, or had, the bytes (FORWARD), and neither is to be reached (R13).
#define LOST_LEFT_ABOVE "they were left to nodes above, which are not there any more"

enum action_type {
	ACTION_IO_READ, // io, index, buf: take the bytes of the io's block number index (0: its first) from buf
	ACTION_IO_FILL, // io, index, old, buf: old's bytes (when old is not NULL and not buf), then the io's bytes over
			// them, into buf. IO_ZERO: zeros instead of the io's bytes
	ACTION_IO_DONE, // io, error: answer it; the struct is the driver's again. A write whose valid_until has passed
			// by a clock read just before the answer is answered with an I/O error (protocol.md T4)
	ACTION_STORE_READ,    // volume, block, count, store_cookie
	ACTION_STORE_WRITE,   // volume, block, count, bufs[count], versions[count], store_cookie: zero buffers give space back
	ACTION_STORE_SYNC,    // volume, store_cookie
	ACTION_EVICT,         // volume, node_id, session, store_cookie: record durably, beside the root's storage, that
			      // claims of that session are void (F2); EVENT_EVICTED answers
	ACTION_END_GRACE,     // volume, epoch, reclaims[count]: record durably, beside the root's storage, that claims from before
			      // this epoch are void unless their lease runs, but for these (F6); EVENT_GRACE_ENDED answers
	ACTION_RESCUE,        // volume, block, version, buf: bytes that were given up; keep them for the user (F2)
	ACTION_LOST,          // volume, text: what was written here or below may be lost, and why; a fsync is going to fail
	ACTION_JOURNAL,       // volume, block, version, buf: not durable at the root; to be kept over a crash. No buf: forget it
	ACTION_JOURNAL_SYNC,  // volume, store_cookie: EVENT_JOURNALED when all of the volume's before it is kept
	ACTION_JOURNAL_AUTHOR, // volume: core_author says something else now
	ACTION_VOLUME_READY,  // volume: size and block size are known (core_volume_info): mount it
	ACTION_VOLUME_FAILED, // volume, error, text: the parent does not give it (and why); tried again on reconnect. ERR_DENIED:
			      // we have no right to it, or not any more; at each try
	ACTION_FORBIDDEN,     // link, volume, text: a child has asked for something (text) that it has no right to; volume UINT32_MAX:
			      // for a volume (text) itself
	ACTION_CLOSE,         // link, text: close it because of text; EVENT_LINK_DOWN still comes
	ACTION_SEND,          // link, message
	ACTION_STOPPED,       // error: everything is flushed (or not, and why); end
};

struct action {
	enum action_type type;
	uint32_t link;
	uint32_t volume;
	uint32_t index;
	uint32_t count;
	uint64_t block;
	uint64_t store_cookie;
	uint64_t node_id, session;
	version_t version;
	uint32_t epoch;
	enum hvfs_error error;
	moment_us valid_until;
	struct io *io;
	struct buf *old, *buf;
	struct buf **bufs;
	version_t *versions;
	const struct reclaim *reclaims; // valid until the next step
	struct message *message;
	const char *text;
};

struct actions;

// An empty list. Never NULL.
struct actions *actions_create(void);
void actions_destroy(struct actions *actions);

// How many there are, and one of them, in their order.
size_t actions_count(const struct actions *actions);
struct action *actions_get(struct actions *actions, size_t index);

// Return all counts of buffers and empty the list, keeping its memory.
void actions_reset(struct actions *actions);

#endif
