// SPDX-License-Identifier: MIT
// The Block Table of Fig. 8, the market square of the core: what this node holds of each block, its copy, and whom it
// gave what (through directory.h). The faces (client, server, local, store) meet only here and never call each other:
// whoever changes a block touches it, and transaction.c goes through the touched ones.
//
// A block at rest is an entry of 32 bytes. A block about which something is going on, or which is dirty, has a work
// record besides. A block about which there is nothing to say has no entry at all.
//
//   copy      bytes valid?  held           in cache   may be evicted?
//   -------   ------------  -------------  ---------  ---------------
//   ABSENT    no            any            no         -
//   CLEAN     yes           >= READ        yes        yes
//             (perhaps not in memory: whoever needs the bytes waits until they are read)
//             (held NO: a hint from an earlier session, not readable; its digest may show that it is right: T5)
//   UNSTABLE  yes           any            yes        no
//             (acknowledged by the parent, not known to be durable at the root: R13; held NO: not readable)
//   DIRTY     yes           WRITE, or NO   yes        no
//             (held NO: taken away or lost before its flush was acknowledged; not readable)
#ifndef HVFS_CORE_BLOCK_TABLE_H
#define HVFS_CORE_BLOCK_TABLE_H

#include "core/io.h"
#include "core/limits.h"
#include "core/pool.h"
#include "core/types.h"

#include <assert.h>

enum copy { COPY_ABSENT, COPY_CLEAN, COPY_UNSTABLE, COPY_DIRTY };

// Below a root: was what is held granted when nothing was? Then it was under volume.held_epoch, or, if that has been confirmed
// anew since, under one before, or under that which is to be confirmed next. Else it was claimed.
enum anew { ANEW_NOT, ANEW_NOW, ANEW_BEFORE, ANEW_NEXT };

struct entry {
	block_key key;
	version_t version;      // of the copy, or the newest this node knows of when it has none
	uint32_t expiry;        // of what is held from the parent, in ticks; EXPIRY_NEVER at a root
	uint32_t chain : 30;    // next in the hash bucket
	uint32_t anew : 2;      // enum anew
	uint32_t dir : 31;      // head of its directory records
	uint32_t ahead : 1;     // the copy was read ahead, and nobody has used it yet
	uint32_t held : 2;      // enum perm
	uint32_t copy : 2;      // enum copy
	uint32_t releasing : 1; // on the list of blocks to give back
	uint32_t claimed : 1;   // at a root: the version is that of a claim, whose bytes have not come
	uint32_t stale : 1;     // what is held is newer than copy and version: the copy is kept for R13, not used
	uint32_t pushed : 1;    // the copy was sent ahead of demand, and nobody has used it yet
	uint32_t work : 24;
};

static_assert(sizeof(struct entry) == 32, "protocol.md 9: memory per cached block");

enum { DIR_MAX = INT32_MAX, CHAIN_MAX = INT32_MAX / 2 };

enum { EXPIRY_SHIFT = 14 }; // a tick is 16.4 ms, counted from the node's start: 32 bits last for two years
#define EXPIRY_NEVER UINT32_MAX

enum want_kind {
	WANT_NONE,     // cancelled
	WANT_READ,     // local
	WANT_WRITE,    // local
	WANT_PREFETCH, // read-ahead: no one waits
	WANT_GET,      // a child's
	WANT_PUT,
	WANT_LOCK,
	WANT_RECOVER,  // a child's claim, or bytes that were sent up before
};

// Of a PUT whose fate is unknown (put_again.h): what was so when its link broke.
struct doubt {
	moment_us until;    // the end of the lease of then, when that session is lost; 0: it may go on
	uint64_t names[2];  // of this node, the one before (the parent may not have heard of the newer one; 0: it has) at last
	uint32_t epoch;     // of the root
};

// A request for one block, in the block's FIFO.
struct want {
	uint32_t next; // in the queue
	uint8_t kind;  // enum want_kind
	uint8_t perm;  // enum perm: what it needs
	bool sync;     // FORCE_SYNC: accepted by the root before the answer
	bool forward;  // a FORWARD: answered when our own parent has the bytes
	bool semi;     // of a synchronous local write: accepted by the parent is enough
	bool roomless; // a FLUSH that came when there was no room: answered when there is
	bool applied;  // its bytes are in the copy, it waits for the acknowledgement of version
	bool lost;     // ... which will not come: they were given up
	bool doubtful; // a PUT of its bytes was under way when a link broke: it was done or not, until one is answered
	struct doubt doubt;
	bool asks;     // what its block was last asked for above, or of the store, was for it
	uint8_t hops_left;
	uint16_t child;   // index, for a child's want
	uint32_t xid;     // the child's request
	uint32_t io_next; // wants of one io
	uint32_t io_prev;
	uint32_t entry;
	struct io *io;     // NULL: cancelled
	struct buf *buf;   // bytes of a PUT, a child's or of a synchronous local write of a whole block
	version_t version; // of a FLUSH that waits; of the applied bytes; of the copy that is claimed
	struct gap gap;    // below that, as who brings bytes knows it; all zero: none
	bool has_digest;   // of a GET: the child has bytes of this digest
	uint8_t digest[BLOCK_DIGEST_SIZE];
	// A claim (claim.c).
	uint32_t claimant; // index
	uint32_t room_of;  // the peer whose room its bytes take (peer_room.h)
	uint32_t up_xid;   // passed on to our parent; 0: not, or on a link that is gone
	bool passed_on;    // there it may have been granted
	bool own;          // the claimant was the child itself, by the name of then
	bool awaited;      // counted in child.awaited
	bool orphan;       // the link that it came on is gone: not pending any more, not answered
	int32_t asked;     // the child that was asked whether the claimant has left it; -1: none
	uint32_t asked_xid;
	bool asked_before;    // for an earlier claim of the same claimant
	bool live;            // the claimant's lease was not over when it said so here
	moment_us live_until; // and when it will be
	bool early;        // came in the root's grace time
	bool reclaimed;    // and had come in that of the root before
	bool heeded;       // of bytes: who is on record for writing has been asked
	bool heeds;        // of bytes: they have come before that
	bool past_readers; // of bytes: who reads older ones has been asked to stop
	bool cleared;      // whoever had the block has let it go for this claim, or our parent has granted it
	uint8_t refusal;   // enum status: it can not be had
};

enum ask_state { ASK_NONE, ASK_WAITING, ASK_SENT };

// Is the copy unstable, and does the barrier that is under way cover it?
enum unstable { UNSTABLE_NOT, UNSTABLE_OPEN, UNSTABLE_COMMITTING };

// Ends of a list of work records.
struct work_list {
	uint32_t head, tail;
};

struct work {
	uint32_t entry;
	uint32_t want_head, want_tail;
	uint32_t sync_head;    // wants that wait until their version is accepted above
	uint32_t claim_head;   // claims of children, in the order of their arrival
	uint64_t asked_for;    // the node of whom the writer on record was last asked whether it has left him (F5)
	uint32_t touched_next; // chain of touched blocks
	bool touched;
	bool wait_room;  // is on a link's list of blocks that wait for room
	bool wait_dirty; // is on the volume's list of blocks that wait for dirty room
	bool wait_read;  // is on the volume's list of blocks that the store is to read
	bool wait_place; // is on a child's list of blocks that wait for a place in the directory:
	uint16_t place_child;
	// Towards the parent: one permission request at a time (R7).
	uint8_t ask; // enum ask_state
	uint8_t ask_perm;
	uint8_t ask_opcode;
	bool ask_digest;       // the digest of our hint went along
	bool ask_alone;        // not with others: an answer with it and others had something that is none of the volume's
	uint8_t failed_status; // enum status: the first want in the queue ends with it, if it has asked
	version_t gap;         // a writer below fell silent: it may have used versions up to this; what comes next is beyond. 0: none
	bool put_unknown;      // a PUT with bytes was under way when the link broke
	bool put_late;         // it may still come to the root, which we have left: who asked waits (put_again_advance)
	bool fresh;            // the last request was granted, and nothing has been done with it yet (R9)
	uint32_t ask_xid;
	moment_us ask_at;
	struct buf *put_buf; // bytes of a PUT under way
	// The parent's INVALIDATE, open until everything below is within recall_perm (R4).
	bool recall_open;
	uint8_t recall_perm;
	uint32_t recall_xid;
	uint32_t recall_mover; // the claimant for whom it is let go (F5); 0: an ordinary recall
	bool recall_leaves;    // it is one for a claimant, named here or not: he has the block when it is answered
	bool recall_bytes;     // and who does not claim it, but brings bytes
	bool recall_live;      // he claims it, and his lease is not over
	bool recall_revokes;   // those above have lost the block: whether that is answered or not, it is not ours any more
	uint16_t question_child; // index + 1 of the child that has been asked whether it lets the block go for him; 0: none
	uint32_t question_xid;   // that INVALIDATE's
	// Dirty: what is to go up, and what is on its way.
	bool in_dirty;                   // on the volume's dirty list
	bool again;                      // modified while a flush is under way: onto the list when that has ended
	bool urgent;                     // somebody waits until it is above: ahead of the list
	bool flushing;                   // a FLUSH or a store write is under way
	bool claim;                      // held under a session that is gone: the present parent has not confirmed it
	bool revoked;                    // of what children have something is revoked
	bool claim_lets_go;              // a child has let the block go for another meanwhile: so do we, when it is granted,
	uint64_t claim_lets_go_for;      // that is, for this node; 0: it is not known
	bool claim_clean;                // its copy was clean: kept until the parent has said whether it has these bytes
	bool resend;                     // dirty, and nothing covers it: it goes up by RECOVER
	uint8_t resend_losses;           // of resend: sessions lost since it was covered: none (it names the present one), one, two or more
	uint32_t resend_epoch;           // of the root under which it was covered, if a session was lost
	bool resend_read;                // and it was held until the session ended: nobody has written since
	uint32_t claim_xid;              // under way; 0: not
	uint32_t dirty_prev, dirty_next; // dirty list
	uint32_t flush_prev, flush_next; // list of flushes under way
	uint64_t dirty_gen, flush_gen;   // between which barriers it became dirty (dirty.c)
	moment_us dirty_since;
	uint64_t filled; // the step that last changed the copy's bytes: they are there when it is over
	uint8_t unstable;                      // enum unstable: which of the volume's lists it is on
	uint32_t forward_xid;                  // a FORWARD is under way; 0: none
	version_t forward_version;
	uint32_t unstable_prev, unstable_next; // of that list
	version_t flush_version;
	uint32_t flush_xid;
	bool flush_resent;  // by RECOVER: no permission covered it
	uint32_t flush_after; // barriers sent before it: a later one covers it (R1)
	bool exposed;       // children, or a journal, have this version of the dirty copy: the next change is a new one
	version_t version_above; // when the entry is stale: as which those above have granted what is newer; 0: not known
	version_t claim_version; // when it is stale and there is no copy: as which it was claimed, if those above knew of older ones only
	version_t accepted; // newest version that is known to be above (at a root: here)
	bool sync_owed; // a child whose link broke waited until the root has it: it will ask again
	bool sync_failed;   // what sync_head waits for was lost
	bool loading; // the cache reads the copy's bytes
	// The journal (journaled.c).
	bool journal_due; // modified since the journal was told: on the volume's list
	bool journaled;   // the journal may have bytes of it
	// The root's store.
	uint32_t brought_by; // of a dirty copy: the peer whose room it takes (peer_room.h); 0: nobody's
	uint32_t settles; // number of the sync that has to end before what was taken over its content is served; 0: none
	bool store_reading;
	bool read_stale; // what is being read was overwritten meanwhile
};

struct block_table {
	struct pool entries, works, wants;
	uint32_t *buckets;
	uint32_t bucket_count; // a power of two
	uint32_t touched_head, touched_tail;
};

void table_init(struct block_table *table);
void table_fini(struct block_table *table);

// The entry of ${key}, or NULL.
struct entry *table_find(const struct block_table *table, block_key key);

// The entry of ${key}, made when there is none (held NO, copy ABSENT, version 0). *ret_index when not NULL.
struct entry *table_make(struct block_table *table, block_key key, uint32_t *ret_index);

// An entry by its index in the table, and back. Indices stay while the entry does.
uint32_t table_index(const struct block_table *table, const struct entry *entry);
struct entry *table_entry(const struct block_table *table, uint32_t index);

// Remove an entry that has neither work, copy nor directory records.
void table_remove(struct block_table *table, struct entry *entry);

// The work record of ${entry}, or NULL; table_work_make makes one.
struct work *table_work(const struct block_table *table, const struct entry *entry);
struct work *table_work_make(struct block_table *table, struct entry *entry);

// Drop the work record when nothing is going on; true when there is none afterwards.
bool table_work_rest(struct block_table *table, struct entry *entry);

// Touch every block with a work record of ${volume}.
void table_touch_works(struct block_table *table, uint32_t volume);

// Put the block on the list of blocks to look at again (once).
void table_touch(struct block_table *table, struct entry *entry);

// Take the next touched block off the list; NULL when there is none.
struct entry *table_touched(struct block_table *table);

// Append a zeroed want to the block's FIFO.
struct want *table_want_add(struct block_table *table, struct entry *entry, enum want_kind kind, enum perm perm,
			    uint32_t *ret_index);

// Move the want that was added last to the head of the FIFO.
void table_want_to_front(struct block_table *table, struct entry *entry);

// Take the head of the FIFO off; the want's record is not freed.
uint32_t table_want_pop(struct block_table *table, struct entry *entry);

// A want by its index; NULL for 0.
struct want *table_want(const struct block_table *table, uint32_t index);

#endif
