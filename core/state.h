// SPDX-License-Identifier: MIT
// The state of one node, shared by the files of the core and by nobody else. Which file owns what:
//
//   claimant.c     who claims
//   recovery.c     after a lost session: our own claims
//   claim.c        claims of children
//   verdict.c      who gets what is claimed
//   put_again.c    writes of which nobody knows whether they were done
//   reclaims.c     what a root has granted in its grace time, for the next one
//   stored.c       after an unclean start of a root: the versions of what its storage has
//   eviction.c     sessions whose claims are void
//   session.c      links, and the session with the parent: CONNECT, DISCONNECT, HEARTBEAT; struct link, parent
//   admission.c    sessions of children; struct child, pending_connect
//   client.c       towards the parent: asks, grants, recalls from above
//   rights.c       what they may do
//   server.c       towards the children: requests, grants
//   server_flush.c what they bring up
//   recall.c       what they hold is taken back
//   overflow.c     ... when the directory is full
//   local.c        requests of this host's driver
//   root.c         the Dummy of Fig. 8: the store in place of a parent
//   dirty.c        what is dirty, who waits for it
//   unstable.c     what was sent up and may still be lost there
//   writeback.c    brings it up; barriers
//   elevator.c     ... to a root's storage, by block
//   journaled.c    what a journal has of it
//   stream.c       sequential reads
//   readahead.c    ahead of this host's
//   push.c         ahead of those of children, and what the parent sends ahead
//   transaction.c  goes through touched blocks: what stands between a request and its grant (R3)
//   outbox.c       messages of this step, adjacent blocks joined
//   route.c        which face a message concerns
//   stop.c         leaving in order
//   abort.c        a volume is given up
//   core.c         life, dispatch, deadlines
//   state.c        what all of them do with this state
#ifndef HVFS_CORE_STATE_H
#define HVFS_CORE_STATE_H

#include "core/actions.h"
#include "core/block_table.h"
#include "core/core.h"
#include "core/directory.h"
#include "core/peer_room.h"
#include "core/stream.h"

enum {
	NAMES_KEPT = 8,        // earlier ones of a node, for each volume
	LET_GO_KEPT = 64,      // blocks that were let go for others last, for each volume
	HEARTBEATS = 24,       // in one HB_TTL, or TTL while a block is asked for, so that leases reach depth 8 (protocol.md T3)
	HEARTBEATS_MORE = 16,  // times as often at most for a short TTL
	RETRY_US = 200 * 1000, // after UNAVAILABLE, IN_RECOVERY or a failing store
	RELEASE_BATCH = 16384, // permissions given back together: many will have been wanted again by then
	RELEASE_US = 2000 * 1000,
	FLUSH_WINDOW = 2048, // blocks on their way up at once, for each volume
	BACKGROUND_WRITES = 2, // operations of a root's store that write in the background, while others read
	QUIET_US = 100 * 1000, // nobody has asked for a block for so long: the background may have all of that
	READ_WINDOW = 2048,  // blocks that a root's store, or the cache, reads at once, for each volume
	COMMIT_AGE_US = 30 * 1000 * 1000, // what is unstable for so long is made durable without being asked
	FORWARD_WINDOW = 1024, // blocks that the parent is asked to send on, at once
	IO_WINDOW = 2048,    // blocks of one io that are asked for at once
	ERROR_VALUES = 64,   // ERR_REPLYs of one step whose values are kept apart
	POOLS = 7,           // block sizes 512 .. 32768
};

// Who says that it holds blocks under a session which is gone (F3, F4): NODE_ID, the number of its present link, and
// under whose names its blocks may be recorded: its own and those of the nodes that were above it.
struct claimant {
	uint64_t node_id, number;
	uint64_t path[LIMIT_HOPS];
	uint32_t path_count;
	uint32_t epoch; // of the root under which all that it claims was confirmed for the last time
	uint32_t uses;  // of a claimant in core->claimants
	uint32_t granted_to; // a child + 1 that may not know yet what was granted to it for this claimant
};

// Runs of blocks that were claimed (reclaims.c).
struct reclaims {
	struct reclaim *list;
	uint32_t count, room;
	bool full; // sorting it makes no room
};

// A list of blocks that wait for something, by key (a block may be gone when its turn comes).
struct key_list {
	block_key *keys;
	uint32_t count, capacity;
};

// Dirty blocks of a root that are being written, in order (elevator.c).
struct sweep {
	struct key_list list;
	uint32_t next, left; // the next one's place in the list; how many are left
	block_key at;        // behind the last block that was written
};

struct link {
	bool in_use;
	bool closing; // ACTION_CLOSE is out
	moment_us silent_since;  // a child's link without a session: closed when that lasts
	enum link_role role;
	uint32_t xid;                    // of the last message that we began
	uint64_t grant;                  // number of the last grant (R8)
	uint64_t queued;                 // bytes of data that wait on it, as far as we know (R16)
	struct message *open;            // the last message of this step, may be joined
	struct key_list waiting;         // blocks that wait for room
	uint32_t peer;                   // of a child's link: who it is; 0: nobody knows
	int32_t child_of[LIMIT_VOLUMES]; // a child's link: its session with each volume; -1: none
	bool greeted;                    // the peer has said something valid
	bool no_push;                    // it does not know PUSH
	char denied[LIMIT_NAME_SIZE + 1]; // the last volume that was asked for without a right
	char name[LIMIT_NAME_SIZE + 1];  // of the peer, once known
};

// The one parent of this node.
struct parent {
	int32_t link;           // -1: none
	moment_us heartbeat_at; // when the next is due
	uint32_t heartbeat_xid; // under way; 0: none
	moment_us heartbeat_sent;
	moment_us answered;  // when the newest request was sent that has been answered on this link
	uint64_t grant_seen; // newest grant number of this link
	uint32_t credits;    // blocks we may have outstanding
	uint32_t outstanding;
	moment_us asked_at; // when it was last asked for a block, or one came
	struct key_list waiting; // blocks that wait for credits
	uint64_t number;                // of this link: it grows with each
	char address[LIMIT_ADDRESS_SIZE + 1]; // as it was dialled
	moment_us heard_at;             // when the last message came
	moment_us silence_at;           // a heartbeat is under way: when to look whether any message has come
	uint32_t silent_beats;          // heartbeat intervals since then, as far as this process was running
	uint32_t lease_ms;       // last HB_TTL received
	uint32_t ttl_ms;         // last TTL received on this link; 0: none yet
};

enum volume_state { VOLUME_DOWN, VOLUME_CONNECTING, VOLUME_READY, VOLUME_FAILED };

// Somebody waits until everything written here up to a point is durable at the root (R14).
struct barrier {
	struct barrier *next;
	uint64_t gen;   // it covers what became dirty in this generation or before
	uint64_t count; // blocks of that which are not yet above, less those that an earlier barrier counts
	struct io *io;  // a local fsync, or
	int32_t child;  // a child's FLUSH of the volume (index; -1: none), or neither: the node stops, or
	bool commit;    // unstable copies take too much room, or
	bool restores;  // what was taken over the content of the storage waits for it
	uint32_t child_generation;
	uint32_t xid;
	bool sent; // covered by the barrier that is under way above (or the store's sync)
};

// A fsync of this host that waits for the journal.
struct journal_wait {
	struct journal_wait *next;
	struct io *io;
	uint64_t number;
};

struct volume {
	char name[LIMIT_NAME_SIZE + 1];
	uint32_t index;
	bool is_root;
	bool dynamic; // made because a child asked for it
	bool denied;  // nobody above gives us a right to it (EVENT_DENIED), until we are connected
	bool read_only;
	bool configured_read_only;
	enum volume_state state;
	bool announced; // ACTION_VOLUME_READY is out
	bool children_leave; // behind all answers, when the link to the parent is over: it has left
	bool aborted;   // every request of the driver fails
	enum volume_phase phase; // as of the last step
	moment_us phase_since;
	moment_us cut_off_at; // when the link to the parent broke; MOMENT_NEVER: it stands
	uint64_t size, blocks;
	uint32_t block_size;
	struct buf_pool *pool;
	uint32_t id;             // VOLUME_ID towards children
	uint32_t epoch;          // for new versions (R11)
	version_t version_floor; // no block without an entry has a newer version
	// of a root that was left uncleanly (stored.c)
	struct stored *stored; // by block
	size_t stored_count, stored_capacity;
	version_t stored_all;  // versions up to this are on stable storage, of all blocks, or written over; 0: not known
	bool stored_kept;      // so are entries that say what has come since
	uint64_t early_claims; // that came in the grace time and are not decided
	uint32_t restores;     // syncs begun for what was taken over the content of the storage (work.settles)
	bool restore_wanted, restoring; // one is to begin; is under way
	// towards the parent
	uint32_t parent_id; // VOLUME_ID there
	uint64_t session;   // 0: none
	uint64_t node_id;   // ours as the parent knows it: another one after each recovery (F2)
	uint64_t name_before; // the one before, while the parent may not have heard of node_id; else 0
	uint64_t names[NAMES_KEPT]; // all that it had, as a ring: children that were away may know it by an earlier one
	uint32_t names_count;
	struct let_go {
		uint64_t block, node_id; // for whom; 0: nobody
	} let_go[LET_GO_KEPT]; // a ring, of the session with the parent
	uint32_t let_go_count;
	uint64_t parent_before; // another name that the parent, the same process, had before; 0: none
	// claims (recovery.c): what was held when a session was lost
	struct claimant own;       // under which names it may be recorded
	struct claimant own_before; // the same of losses before that, whose bytes may not have been answered
	uint64_t owed;             // blocks whose bytes were uncovered when a session was lost, and are not answered yet
	uint32_t owed_epoch;       // held_epoch of the first of them
	uint64_t claims;           // blocks whose claim has not been answered
	moment_us claim_lease_end; // of the session that was lost
	moment_us claims_retry_at; // the parent has no room for claims: not before
	moment_us puts_until;      // PUTs that may come late fail then; 0: there are none
	bool claims_end_due;       // once all are answered, and nothing is used below that was not claimed, the parent is told
	// The nodes under whose names what is held is recorded, the parent first: the way up of the session. Other volumes may
	// have other names there.
	uint64_t above[LIMIT_HOPS];
	uint32_t above_count;
	uint32_t way_up_count; // so many of them are above now; behind a 0 come names of before
	uint64_t told_path[LIMIT_HOPS]; // the nodes above, and this one, as the children know them
	uint64_t told_name, told_before;
	uint32_t passed_over;  // children of it that are (struct child)
	uint32_t held_epoch;   // of the root, under which all that is held was confirmed (F6)
	uint32_t held_before;  // what that was before it was last confirmed anew, under the same session
	uint32_t next_epoch;   // the oldest that something was granted under since, and that is to be confirmed yet; 0: nothing was
	uint32_t parent_epoch; // the same of the parent; 0: it is recovering itself
	uint32_t told_epoch;   // as the children know it
	bool confirms_anew;    // all that was owed has been answered since: they have to hear it
	uint32_t claims_since;           // a root's: lapsed claims from an earlier epoch are void,
	struct reclaims reclaims_known;  // but for these, on the record of the root before;
	struct reclaims reclaims;        // these are granted or taken in this one's grace time, or at its end
	// NODE_IDs whose claims are void, evicted or said to be so by a node below; LIMIT_EVICTIONS at most: the oldest makes
	// room (as a root can not record more than its storage has place for, none of its own)
	struct evicted {
		uint64_t node_id;
		uint32_t peer; // of a child, who had it recorded; 0: nobody knows, or this node itself
	} *evicted;
	uint32_t evicted_count, evicted_next;
	bool evicts;           // somebody has been, or was to be, evicted since this root was started
	bool in_grace;         // a root's: only CONNECT and RECOVER are served
	bool grace_ending;     // ACTION_END_GRACE is out
	bool parent_is_root;
	bool farewell_missed;  // the parent under the session before this one was a root that left in order, before that lease was over
	uint32_t ttl_ms;         // last per-block lease received
	bool connected;          // CONNECT was answered on the present link
	bool left;               // there the parent has ended the session since (DISCONNECT)
	moment_us lease_end;     // of everything held from the parent (HB_TTL, counted from when we asked: T2)
	moment_us given_end;     // of the longest lease that a child has been given: later than lease_end once that is of a shorter one
	bool sealed;                        // with the keys called key_id
	uint8_t key_id[SEALED_KEY_ID_SIZE];
	moment_us session_asked; // when the CONNECT under way was sent
	uint32_t connect_xid;
	moment_us retry_at; // CONNECT again, after an error; MOMENT_NEVER: not
	// dirty blocks: the urgent ones, then the others, oldest first
	uint32_t dirty_head, dirty_tail;
	uint32_t urgent_tail; // the last urgent one; 0: none
	uint64_t dirty_count;            // blocks with a dirty copy
	uint64_t gen;                    // generation of what becomes dirty now (dirty.c)
	uint64_t open_count;             // blocks of it that are not yet above
	uint32_t flush_head, flush_tail; // works with a flush under way
	uint32_t flush_count;
	struct work_list unstable, committing; // unstable.c: sent up, not known to be durable; covered by barrier_out
	uint64_t unstable_count;               // blocks of both
	bool writes_held;                      // as if there were no room for them (core_hold_writes)
	moment_us unstable_since;              // of the oldest that no barrier covers
	uint32_t forwards;                     // blocks whose FORWARD is under way
	uint64_t keeper;                       // the node that has, besides our parent, what we no longer keep; 0: nothing
	uint32_t keeper_barrier;               // the last barrier that was sent before all of it was: one that comes later covers it
	bool forward_refused;                  // the parent has not kept something: a barrier makes room
	bool keeper_gone;                      // one of the two may have it no more: make it durable soon
	bool commit_wanted;                    // a barrier of our own, to make room, is on its way
	moment_us commit_retry_at;             // it failed: not before
	struct sweep sweep;
	uint32_t writing;            // operations with which the root's store writes
	uint32_t reading;            // blocks that the root's store reads; elsewhere, that the cache reads
	moment_us read_at;           // when it was last asked for one, or one came
	struct key_list read_wait;   // blocks that are to be read then
	struct key_list dirty_wait;  // blocks that wait for dirty room: a local write, the answer to a child's FLUSH
	moment_us flush_retry_at;    // the store or the parent failed: not before
	enum hvfs_error flush_error; // of this step: barriers that wait fail with it
	// barriers
	struct barrier *barriers;
	struct key_list unjournaled;        // blocks of which the journal has not got the newest bytes
	struct journal_wait *journal_waits; // in the order of their numbers
	bool barrier_out; // one is under way above
	uint32_t barriers_sent, barriers_done; // number of the last one sent; of the last one answered well
	uint32_t barrier_xid;
	bool unsynced; // something was sent up (written) since the last barrier began
	bool wrote_before; // the process of this node before, which has left a journal
	bool comes_back;   // as that one: the parent may forget its session as soon as it has been brought what the journal had
	bool elsewhere; // or by another way, from here or below: the next barrier goes on up to the root
	bool lost;     // writes were lost: the next fsync of this host says so, once
	bool lost_once; // so they were since this process began; whose, is not known any more
	moment_us lost_at; // the last time
	struct streams streams;
	uint64_t pushed; // copies that were sent ahead of demand and not used yet
	// counters
	uint64_t held_read, held_write;
	uint64_t reads, writes, read_hits, write_hits, fetched, flushed, recalled;
	uint64_t pushed_in, pushed_used, pushed_back, pushed_out; // PUSH: taken, and then used; given back; sent
	uint64_t ahead_asked, ahead_used, ahead_lost, ahead_late; // read-ahead: asked for, and then used; lost unused; waited for
};

// Does a child know that writes were lost? The answer to its fsync may be lost with the link: only what it sends next
// shows that it got it.
enum lost { LOST_NOTHING, LOST_UNTOLD, LOST_TOLD };

enum { FORMER_NAMES = 8 }; // of a child: who was away for longer may know it by another name, and is not told of a loss

// A session of a child with a volume. Lives on without a link until the lease we gave is over.
struct child {
	bool in_use;
	uint32_t index;
	uint32_t generation; // of this slot
	uint32_t volume;
	int32_t link; // -1: absent
	uint64_t node_id, session;
	uint64_t former[FORMER_NAMES]; // names that it had before, in this session and those that it took the place of: a ring
	uint32_t former_count;         // of them, in all
	uint32_t peer;         // whose session it is: nobody else's CONNECT goes on with it
	enum right right;
	bool asked_read_only;  // it will not write
	bool read_only, sync;  // it will not, or may not
	bool revoking;         // what it has beyond its right is taken back
	moment_us revoke_until;
	bool told_read_only;   // by the answer to its last CONNECT
	bool wrote;  // it has sent bytes, or claimed
	// How often bytes of it were acknowledged in this session, so that it does not send them to us again: in all, before
	// its barrier that is under way, and before its last one that ended well.
	uint64_t acknowledged, covered, synced;
	moment_us unsynced_since; // the first of those that are not synced; of one who comes by another way, always
	moment_us covered_at;     // when that barrier came
	uint64_t passed_on;       // the last of them of which no copy was kept here (R13)
	uint64_t number;          // of its link, as it says
	bool returns;             // its session before was one of this process
	bool forwarded;           // it may keep no more what we took and sent on (R13)
	bool settled;             // it has claimed all that it had elsewhere
	bool moved;               // some of its blocks were given to others: the session can not be resumed
	bool lapsed;              // absent, and its lease is over
	bool evicting;            // on its way to the record of evictions
	bool passed_over;         // while it was away blocks of it were given to who claimed them from below it
	bool goes_first;          // it is passed over, and the eviction of another one waits for it
	moment_us phase_since;    // when it connected, went, lapsed
	moment_us evict_retry_at; // the record failed: not before
	moment_us answered_at;    // when it last answered a recall, or the first of the open ones was sent
	uint32_t questions;       // INVALIDATEs for our parent's sake that it has not answered (work.question_child)
	enum lost lost;
	moment_us lost_at; // the last time
	bool sync_failed; // it is that a sync failed: what the child sends again over a new session does not mend that
	moment_us lease_end; // ours: later than the child's (T2)
	uint32_t pending;    // blocks asked for and not answered
	uint32_t orphans;    // blocks claimed on a link that is gone, and passed on
	uint32_t awaited;    // of these, how many are still to be answered
	struct dir_child dir;
	struct key_list place_wait; // blocks that wait for a place in the directory
	struct streams *streams;    // its sequential reads, once there is one and PUSH is on
	uint32_t push_max;          // how far ahead of them it is worth to be; below PUSH_MIN it is not:
	uint32_t push_rest;         // not before so many more requests
	uint32_t push_penalty;      // the last such number
	char name[LIMIT_NAME_SIZE + 1];
};

// A CONNECT that waits until the volume is known here.
struct pending_connect {
	struct pending_connect *next;
	uint32_t link, xid, volume;
	uint64_t node_id, session, number;
	uint32_t connect_flags;
	char name[LIMIT_NAME_SIZE + 1];
	uint64_t path[LIMIT_HOPS];
	uint32_t path_count;
};

// An operation of the root's store.
struct store_op {
	uint32_t volume;
	uint64_t block;
	uint32_t count;
	bool sync;
};

// An eviction on its way to the record at the root.
struct eviction {
	struct eviction *next;
	uint32_t volume;
	uint64_t number; // by which the storage answers
	uint64_t node_id, session;
	uint64_t *names;     // for an own child: in turn, its own at last
	uint32_t name_count;
	int32_t child; // our own child (index, generation), or -1:
	uint32_t child_generation;
	int32_t asker; // a child that passes it on, to be answered on its present link; -1: none
	uint32_t asker_xid;
	uint32_t peer; // who that is
	moment_us not_before;
	uint32_t up_xid; // under way at the parent; 0: not sent
	bool storing;    // under way at the root
};

// Bytes of a peer, by what for (peer_room.h).
struct peer_room {
	struct peer_room *next;
	uint32_t peer;
	uint64_t used[PEER_USES];
};

enum stop_state { STOP_NO, STOP_RECALL, STOP_FLUSH, STOP_LEAVE, STOP_DONE };

// Are these sessions of one node? Anybody can say that he has the name of another, so it is one of the same peer.
static inline bool
child_is_same_node(const struct child *a, const struct child *b)
{
	return a->node_id == b->node_id && a->peer == b->peer;
}

struct core {
	struct core_config config;
	char name[LIMIT_NAME_SIZE + 1];
	struct copies copies;
	moment_us now;
	moment_us started;       // the first step
	uint64_t step;           // number of the running step
	struct actions *actions; // of the running step
	struct block_table table;
	struct directory directory;
	struct interest *interests; // push.c
	bool places_wanted; // some child's place_wait may not be empty
	struct buf_pool *pools[POOLS];
	struct volume *volumes[LIMIT_VOLUMES];
	uint32_t volume_count;
	struct link **links; // by id; NULL or not in use
	uint32_t link_capacity;
	struct key_list opened; // ids of links with an open message in this step
	struct parent parent;
	struct child **children; // by index; slots are used again
	uint32_t child_count, child_capacity;
	uint64_t session_next;
	uint32_t revoking; // children of which something is taken back
	char ancestors[LIMIT_ANCESTORS][LIMIT_ADDRESS_SIZE + 1]; // where they can be reached, but for the parent
	uint32_t ancestor_count;
	char way_up[LIMIT_BLOB_SIZE]; // PARENT_ADDR of the message that is being made
	size_t way_up_size;
	uint64_t link_number;
	struct pending_connect *pending_connects;
	uint32_t pending_connect_count;
	struct pool store_ops;
	struct peer_room *peer_rooms;
	struct claimant *claimants; // of children's claims, by index from 1
	uint32_t claimant_count;
	struct gap_known *gaps;
	struct eviction *evictions;
	uint64_t eviction_number;
	moment_us grace_end; // of root volumes (F6), not before; 0: none
	struct io *io_head, *io_tail; // local requests by arrival
	struct key_list released;     // blocks whose permission may be given back
	moment_us release_at;
	struct key_list retry; // blocks to look at again at retry_at
	moment_us retry_at;
	uint64_t journal_number; // of the last fsync that waits for the journal
	enum stop_state stop;
	moment_us stop_deadline;
	enum hvfs_error stop_error;
	uint64_t stop_left;          // dirty blocks when the deadline was last moved
	enum hvfs_error flush_error; // why the last flush that failed did
	uint8_t error_values[ERROR_VALUES][8];
	uint32_t error_next;
	moment_us deadline;
};

// ---- small helpers that all files use (state.c) ----

// Append ${key}; the same key may stand in a list twice.
void key_list_add(struct key_list *list, block_key key);

// What the blocks of a list wait for.
enum wait { WAIT_ROOM, WAIT_DIRTY, WAIT_READ, WAIT_ASK, WAIT_PLACE };

// The block waits, at the end of the list, unless it does already. It has a work record.
void key_list_wait(struct core *core, struct key_list *list, const struct entry *entry, enum wait wait);

// Touch every block of the list that still waits for it, and empty the list.
void key_list_touch(struct core *core, struct key_list *list, enum wait wait);

// The same for the ${count} that wait longest.
void key_list_touch_first(struct core *core, struct key_list *list, enum wait wait, uint64_t count);

// One line to the trace, when there is one: "[ms] node > text".
void core_trace(struct core *core, const char *format, ...) __attribute__((format(printf, 2, 3)));

// The core wants EVENT_TIMER at ${at}, or earlier.
void core_wake(struct core *core, moment_us at);

static inline moment_us
moment_after_ms(moment_us moment, uint64_t ms)
{
	return moment + ms * 1000;
}

static inline struct volume *
entry_volume(const struct core *core, const struct entry *entry)
{
	return core->volumes[block_key_volume(entry->key)];
}

// Is the node on the way up, by its name of now, as far as the parent has told it?
bool volume_is_below(const struct volume *volume, uint64_t node_id);

// What this node holds of a block right now (T4: compared with the present moment at each use).
enum perm entry_held(const struct core *core, const struct entry *entry);

// When the per-block lease of what is held ends.
moment_us entry_lease_end(const struct core *core, const struct entry *entry);

// Set what is held, keeping the counters right.
void entry_set_held(struct core *core, struct entry *entry, enum perm held);

// The newest version that this node knows of: that of its copy, or of what those above have when it is stale.
version_t entry_newest(const struct core *core, const struct entry *entry);

// The copy may be used: held in time, bytes there, no child has WRITE (I3).
bool entry_readable(const struct core *core, const struct entry *entry);

// The copy is only a hint: it was clean under a session that is gone, and is valid if the parent finds its digest right
// (protocol.md T5).
bool entry_is_hint(const struct core *core, const struct entry *entry);

// The entry of a block, made with the volume's version floor when it is new.
struct entry *entry_make(struct core *core, struct volume *volume, uint64_t block);

// Forget the entry when there is nothing to say about the block any more. ${entry} may be gone afterwards.
void entry_rest(struct core *core, struct entry *entry);

// Nobody needs the permission any more, if there is one: it is given back, together with others, and the entry forgotten
// (client_release).
void entry_release_later(struct core *core, struct entry *entry);

// Keep ${buf} as the copy. For a dirty copy see writeback_mark.
void entry_put_copy(struct core *core, struct entry *entry, struct buf *buf, enum copy copy);

// The copy's bytes change where they are: it is dirty from now on.
void entry_dirty_copy(struct core *core, struct entry *entry);
void entry_drop_copy(struct core *core, struct entry *entry);

// The copy's bytes are in memory. Changes nothing.
bool entry_in_memory(const struct core *core, const struct entry *entry);

// The same of an entry with a work record; if they are not they are read, now or when there is room, and the block is
// touched then.
bool entry_bytes_ready(struct core *core, struct entry *entry);

// What goes on needs the copy in memory: a clean one that is not there is dropped, as if it had been evicted before.
void entry_drop_unless_in_memory(struct core *core, struct entry *entry);

// A read of the cache has ended: the bytes are in memory, or the copy is gone.
void entry_loaded(struct core *core, block_key key);

// The parent has found right what was kept of the block over a restart.
void entry_adopt_copy(struct core *core, struct entry *entry);

// The copy was sent ahead of demand; or has been used, or is gone.
void entry_set_pushed(struct core *core, struct entry *entry, bool pushed);

// The copy is gone; if it was read ahead and not used yet, its reader is to go less far ahead.
void entry_ahead_lost(struct core *core, struct entry *entry);

// Somebody uses the copy.
static inline void
entry_used(struct core *core, struct entry *entry)
{
	entry_volume(core, entry)->ahead_used += entry->ahead;
	entry->ahead = 0;
	if (!entry->pushed)
		return;
	entry_volume(core, entry)->pushed_used++;
	entry_set_pushed(core, entry, false);
}

// The parent says what the epoch is (0: it does not): for a new session, or as news (${is_news}), where it may be lower than what one
// before has said. He lied; who went on with his epoch would make versions that the root refuses for ever.
void volume_told_epoch(struct volume *volume, uint32_t epoch, bool is_news);

// Is this very version of the copy on its way up: has a FLUSH been said, or a store write begun?
bool entry_is_on_its_way(const struct core *core, const struct entry *entry);

// The next version for a modification of ${entry} (R11).
version_t entry_next_version(struct core *core, const struct entry *entry);

#endif
