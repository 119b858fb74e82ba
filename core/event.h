// SPDX-License-Identifier: MIT
// What can happen to a node. The caller owns everything an event points to; the core borrows it for the step and takes
// counts of buffers that it keeps. (The one exception is struct io: borrowed until ACTION_IO_DONE.)
#ifndef HVFS_CORE_EVENT_H
#define HVFS_CORE_EVENT_H

#include "core/error.h"
#include "core/io.h"
#include "core/message.h"

enum event_type {
	EVENT_TIMER,        // core_deadline() has come; also allowed earlier
	EVENT_LINK_UP,      // link: a new link; its id was not in use
	EVENT_LINK_DOWN,    // link: it is gone; no event names it afterwards until the next EVENT_LINK_UP
	EVENT_LINK_ROOM,    // link, queued_size: bytes of data that still wait on it
	EVENT_LINK_ALIVE,   // link: since the last one, or EVENT_LINK_UP, something came or went: a part of a message too.
			    // Given before EVENT_TIMER if so; of a child's link it says nothing
	EVENT_MESSAGE,      // link, message: DATA items carry buf (one block each), not bytes
	EVENT_IO,           // io
	EVENT_IO_CANCEL,    // io: finish it early with ERR_CANCELLED where possible; its ACTION_IO_DONE still comes
	EVENT_STORE_READ,   // store_cookie, error, bufs[count] (NULL when error): one buffer (or buf_zero()) for each
			    // block, NULL for one that can not be read
	EVENT_STORE_WROTE,  // store_cookie, error: a write or a zeroing has ended
	EVENT_STORE_SYNCED, // store_cookie, error
	EVENT_EVICTED,      // store_cookie, error: the answer to ACTION_EVICT
	EVENT_GRACE_ENDED,  // volume, error: the answer to ACTION_END_GRACE
	EVENT_JOURNALED,    // volume, store_cookie, error: the answer to ACTION_JOURNAL_SYNC, and to all before it of the volume
	EVENT_COPIES,       // the cache has something to tell (copies.h, next_loaded)
	EVENT_RIGHTS,       // core_config.right_of may say something else than before
	EVENT_DENIED,       // volume: whoever could give it says that this node has no right to it (ERR_DENIED of
			    // ACTION_VOLUME_FAILED, or by closing links): what waits for it fails, here and below, and what
			    // comes, until a parent gives it again
	EVENT_ABORT,        // volume: every request of the driver ends with an error, now and from now on; what was
			    // written here and is not known to be durable is given up, unless children have the volume
	EVENT_OUTDATED,     // volume, block: the copy is not the block's newest content, whatever the parent says: if it is
			    // clean, and not a root's, it is as if it had been evicted
	EVENT_STOP,         // flush everything, give everything back, then ACTION_STOPPED
};

enum link_role {
	LINK_PARENT, // we dialled; the peer is our parent
	LINK_CHILD,  // the peer dialled; it is our child
};

struct event {
	enum event_type type;
	uint32_t link;                 // 0 to LIMIT_LINKS - 1, chosen by the caller
	enum link_role role;           // EVENT_LINK_UP
	uint32_t peer;                 // EVENT_LINK_UP of a child: who it is; the same number for the same peer. 0: nobody knows
	const char *address;           // EVENT_LINK_UP of a parent: as it was dialled, to be told to our children as a way
				       // further up (F3); or NULL
	uint32_t volume;               // EVENT_DENIED, EVENT_ABORT, EVENT_GRACE_ENDED, EVENT_JOURNALED, EVENT_OUTDATED
	uint64_t block;                // EVENT_OUTDATED
	uint64_t queued_size;          // EVENT_LINK_ROOM
	const struct message *message; // EVENT_MESSAGE
	struct io *io;                 // EVENT_IO, EVENT_IO_CANCEL
	uint64_t store_cookie;         // EVENT_STORE_*, EVENT_JOURNALED
	enum hvfs_error error;         // EVENT_STORE_*, EVENT_GRACE_ENDED, EVENT_JOURNALED
	struct buf **bufs;             // EVENT_STORE_READ
	uint32_t count;
};

#endif
