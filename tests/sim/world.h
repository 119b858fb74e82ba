// SPDX-License-Identifier: MIT
// A simulated world: nodes (each the real core over the real cache), links between them, disks, and virtual time. It
// performs the cores' actions with simulated effects. It draws no fault and issues no request by itself: the
// simulator (run.h) and the scenarios (tests/scenario) do.
//
//	world.c     time, steps, requests        perform.c   the actions of a step
//	life.c      nodes begin, die, begin again  storage.c what a root's disk and its record are told
//	pipe.c      links: FIFO, delay, bandwidth, hold, cut
//	dial.c      whom a node dials, and what is in the way
//	drive.c     the disk below a cache               journal_file.c  a node's journal
//	seals.c     volumes that are sealed              liar.c     a node that says what it likes
//	proofs.c    whether what was sent up has arrived
#ifndef HVFS_TESTS_SIM_WORLD_H
#define HVFS_TESTS_SIM_WORLD_H

#include "cache/stack.h"
#include "core/core.h"
#include "crypto/volume_key.h"
#include "tests/sim/memory_medium.h"
#include "tests/sim/disk.h"
#include "tests/sim/heap.h"
#include "tests/sim/liar.h"
#include "tests/sim/proofs.h"
#include "tests/sim/rng.h"
#include "tests/sim/seals.h"
#include "tests/sim/trace.h"

enum { WORLD_NO_NODE = -1, WORLD_VOLUMES = 4, WORLD_NAME_SIZE = 16, WORLD_WAYS = 33 };

// One direction of a connection to the parent.
struct pipe_config {
	moment_us delay_us;   // least
	moment_us jitter_us;  // mean of what comes on top
	uint64_t bytes_per_s; // 0: without bound
};

enum { PIPE_UP, PIPE_DOWN }; // child to parent, parent to child; also the ends: child's, parent's

struct obstacle;

struct packet {
	struct packet *next;
	struct conn *conn;
	unsigned direction;
	uint64_t data_size; // bytes of blocks in it, and of claims
	size_t size;
	uint8_t bytes[];
};

struct pipe {
	struct packet *head, **tail; // arrived, not yet given to the receiver (held)
	moment_us sent_since, sent_until; // the sender's side is, or was last, busy
	moment_us arrived_until;     // arrival of the last packet: the next is not earlier
	uint64_t queued;             // bytes of blocks that still wait at the sender
	uint64_t since_room;         // bytes of blocks sent since EVENT_LINK_ROOM, and what waited then (as net/link)
	bool room_due;
};

// A connection between a child and its parent.
struct conn {
	struct conn *next;
	struct world *world;
	int node[2];           // by end
	uint32_t link[2];      // the id it has at each end
	bool open[2];          // the end has had EVENT_LINK_UP and not yet EVENT_LINK_DOWN
	bool closed[2];        // the end's process takes and gives nothing any more
	moment_us down_at[2];  // when EVENT_LINK_DOWN is scheduled
	bool gone[2];          // it is over for this end
	bool answered;         // the child has been answered with OK
	bool silent;           // an end is lost without a word
	uint64_t heard_max[2]; // packets beyond this many are lost (set by a cut), by direction
	uint64_t sent[2], arrived[2];
	uint32_t beat_xid[2]; // of the last HEARTBEAT that each end sent
	struct pipe pipe[2];
};

// A volume that a node was configured with; it is given it again at each start.
struct node_volume {
	char name[WORLD_NAME_SIZE];
	struct disk *disk; // NULL: it comes from the parent
	bool read_only;
};

// An eviction on record at a root.
struct eviction {
	uint32_t volume;
	uint64_t node_id, session;
};

// A name that ${node} had: of an earlier process, or of this one two recoveries ago.
struct gone {
	uint64_t node_id;
	struct node *node;
};

struct record_reclaims {
	struct reclaim *list;
	size_t count;
};

// What outlives a root's process beside its disks.
struct metadata {
	uint32_t epoch;
	bool clean; // the last process ended in order
	struct eviction *evictions;
	size_t eviction_count;
	uint32_t claims_since[WORLD_VOLUMES];
	struct record_reclaims reclaims[WORLD_VOLUMES];
};

// A disk below the cache of a node.
struct drive_config {
	uint64_t seed;
	uint64_t slots;
	uint32_t ways;
	unsigned latency_us; // mean
	unsigned fail_ppm;   // of its operations fail, of a million
	unsigned rot;        // bits that change while no process runs
};

struct drive {
	struct drive_config config;
	struct rng rng;
	struct memory_medium medium;
	bool wanted;                         // EVENT_COPIES is on its way
	uint64_t loaded, confirmed, damaged; // blocks, of all processes that have ended
};

// A node's journal. Of the chances that its writes fail, or take up to ${stall_us}, it has its own.
struct journal_config {
	uint64_t seed;
	uint64_t size; // bytes; 0: there is none
	unsigned latency_us; // mean
	moment_us stall_us;
	unsigned fail_ppm; // of its records, of a million
	unsigned rot, old; // percent of restarts at which a byte of it has changed, or it is as it was before one of those before
};

struct fsync_wait;
struct proofs_entry;

// What a node has sent up of a volume, and not been told by the root that it is there.
struct proofs {
	struct proofs_entry *entries;
	size_t count, covered, barrier_end; // so many are covered by a barrier that was answered; by the one that runs
	uint32_t barrier_xid;
	bool barrier_runs;
};

struct journal_file {
	struct journal_config config;
	struct rng rng;
	struct memory_medium medium;
	struct journal *journal; // of the present process
	struct sealed_form *forms[LIMIT_VOLUMES]; // of its node's volumes, where they are sealed
	struct fsync_wait *first, **last;
	struct medium_io io; // the record that is being written
	bool writing, answer_due, answering;
	int sys_errno;
	unsigned sector_percent;
	uint8_t *copy; // as it was once when a process had ended, or NULL
	bool spoilt;   // the present process may not have found what the one before had promised
	uint64_t kept, full;                     // fsyncs that it has answered, or could not
	uint64_t records, found, torn, failures; // of all processes that have ended; of those, how many it failed
};

struct node {
	// What the oracle asks of each node again and again stands together.
	struct world *world;
	struct core *core;
	int64_t clock_offset_us; // its clock is true time + offset + drift
	int64_t clock_drift_ppm;
	int index;
	bool stopping, stopped;
	bool in_order; // it was asked to stop when nobody could come any more with what he held of the root before
	char name[WORLD_NAME_SIZE];
	struct stack *cache;
	struct drive *drive; // of its cache, or NULL
	struct journal_file *journal; // or NULL
	struct core_config config; // as given to world_add_node, for the next start
	uint64_t cache_size;
	uint32_t cache_ways;
	struct node_volume volumes[WORLD_VOLUMES];
	int volume_count;
	struct metadata metadata;
	unsigned starts;                 // processes that there have been
	moment_us started_at;            // of the present one
	moment_us ran_us;                // how long those before it ran, together
	uint64_t names[WORLD_VOLUMES][2]; // NODE_IDs that it has told last, by volume: the present one and the one before
	struct world_io *ios;            // not answered yet
	struct conn *links[LIMIT_LINKS]; // by link id
	int parent;                      // whom it has dialled last, or WORLD_NO_NODE
	int home;                        // whom it was told to dial
	int ways[WORLD_WAYS];            // whom else it dials in this round, in order
	int way_count, way_at;
	struct pipe_config pipe[2]; // of that connection
	bool hold[2];               // packets of that connection wait for world_release
	struct conn *uplink;        // open or opening connection to it
	moment_us backoff_us;
	uint64_t dial_generation;
	int64_t going; // the link whose EVENT_LINK_DOWN is being given; timers before it may still name it. -1: none
	uint64_t losses_told;  // ACTION_LOST of this process
	bool has_told_of_loss; // that, or a rescue: without one no fsync may say ERR_LOST
	bool has_had_children; // since the world began
	enum right right;      // what its parents let it do
	enum volume_role seal_role; // which key it has, where volumes are sealed
	struct proofs proofs[WORLD_VOLUMES]; // by volume index
	struct liar *liar;     // or NULL
	bool distrusted;       // it is one, or may have been lied to: the oracle does not look at it
	moment_us paused_until;      // the process does not run
	struct heap_entry *deferred; // events that wait for its end
	size_t deferred_count, deferred_size;
	moment_us timer_at; // when EVENT_TIMER is scheduled
	uint64_t timer_generation;
	moment_us timer_late_us;  // timers come up to this much late
	moment_us answer_late_us; // as long may pass between ACTION_IO_DONE and the answer
	struct disk *disks[WORLD_VOLUMES]; // by volume index, for a root
	moment_us sync_end[WORLD_VOLUMES]; // syncs of one disk end in order
	uint64_t steps;
};

// A local request. The world owns what the core sees; whoever submits owns the struct.
struct world_io {
	struct io io;
	struct world_io *next; // of the node's
	struct node *node;
	uint64_t serial; // of this submission: later calls name it
	uint8_t *bytes;  // io.size: to be written, or what was read; NULL for IO_ZERO and IO_SYNC
	bool done;       // the core has ended it
	bool lapsed;     // the answer came after valid_until: it was made an error (protocol.md T4)
	bool died;       // the node's process ended before the answer was out
	enum hvfs_error error;
	moment_us valid_until;
	void *owner;
};

// Called in the midst of a step: who wants to go on schedules it with world_at.
struct world_hooks {
	void *arg;
	void (*io_done)(void *arg, struct world_io *io);
	void (*volume_ready)(void *arg, struct node *node, uint32_t volume);
	void (*volume_failed)(void *arg, struct node *node, uint32_t volume, enum hvfs_error error);
	void (*stepped)(void *arg, struct node *node, const struct event *event);
	void (*stopped)(void *arg, struct node *node, enum hvfs_error error); // ACTION_STOPPED; in the midst of it
	void (*evicted)(void *arg, uint64_t node_id);                         // it is on record now
	void (*lost)(void *arg, struct node *node); // it tells that something is lost, or rescued
	void (*journal_writes)(void *arg, struct node *node); // a record, from now on
	void (*grace_over)(void *arg, const struct node *root, uint32_t volume); // so is that: it serves others
};

// Bytes that a node gave up (ACTION_RESCUE).
struct rescue {
	struct rescue *next;
	int node;
	uint32_t volume;
	uint64_t block;
	version_t version;
	uint8_t bytes[]; // one block
};

// A world that breaks a promise which the core relies on, for the test of the tests.
enum world_break {
	BREAK_NOTHING,
	BREAK_GRACE,     // a root that did not stop in order is not told to wait
	BREAK_EPOCH,     // a root is started with the epoch it had
	BREAK_EVICTIONS, // evictions are forgotten
	BREAK_SINCE,     // it is forgotten that a root has served others since
	BREAK_RECLAIMS,  // or what it had granted these
	BREAK_SYNC,      // the disk says that it has synced, and has not
	BREAK_CLOCKS,    // clocks run apart by more than the margin of leases
	BREAK_VERSIONS,  // version logs are lost, or tell of syncs that have not been
	BREAK_JOURNAL,   // a journal says that it has written, and has not
	BREAK_AUTHOR,    // it does not know under whose names its blocks are on record
	BREAK_SHARED,    // nor that children may have them
	BREAK_SEALS,     // nobody looks at verifiers
	BREAK_AGE,       // nothing is too old
	BREAK_PROOFS,    // of a fsync the root is not asked
	BREAK_TIES,      // a root takes another content of a version that it has
	BREAK_COUNT
};

struct world {
	moment_us now;
	enum world_break broken;
	struct rng rng; // delays, lateness
	struct heap heap;
	struct trace trace;
	struct world_hooks hooks; // members may be NULL
	uint32_t block_size;
	struct node **nodes;
	int node_count;
	struct conn *conns; // all there ever were
	struct obstacle *obstacles;
	struct actions *actions;
	bool moving;          // nodes dial on to their ancestors; who closes a connection is rid of it at once
	struct seals *seals;  // all volumes are sealed; or NULL
	bool patient;         // who is refused by a node that stops waits before he dials again
	unsigned check_every; // core_check after each so many steps of a node; 0: never
	uint64_t steps, messages;
	uint64_t serial;        // of the last request
	struct rescue *rescues; // newest first
	struct gone *gone;
	size_t gone_count;
	uint64_t rescue_count, eviction_count, move_count;
	uint64_t doubts; // what version logs did not know, who was away when a root left, and who does not know where what he sent on
			 // (FORWARD) is
	struct message *message; // being delivered
};

// A world at moment 0 whose blocks have ${block_size} bytes.
struct world *world_create(uint64_t seed, uint32_t block_size);

// End everything, running or not.
void world_destroy(struct world *world);

// The index ${node} has given to the volume ${name}, or -1.
int world_volume_index(const struct node *node, const char *name);

// How long ${node} has had a process, by true time. A stopped one (SIGSTOP) counts too: its peers have to cope with it.
moment_us world_ran(const struct node *node);

// The node's own clock now.
moment_us world_clock(const struct node *node);

// Call fn(world, arg, number) at ${at}.
void world_at(struct world *world, moment_us at, void (*fn)(void *world, void *arg, uint64_t number), void *arg,
	      uint64_t number);

// Run everything that is due until ${until} (included), at most ${events} of it. Returns the number of events run; time
// stands at ${until} afterwards, unless the number was reached.
uint64_t world_run(struct world *world, moment_us until, uint64_t events);

// Give ${node} an event now.
void world_step(struct node *node, const struct event *event);

// Submit a local request. io.kind, volume, offset, size, stream, force_sync and bytes are set by the caller.
void world_submit(struct node *node, struct world_io *io);

// Interrupt it (EVENT_IO_CANCEL).
void world_cancel(struct world_io *io);

// Ask ${node} to stop; node->stopped becomes true some time later.
void world_stop(struct node *node);

// Stop the process of ${node} (SIGSTOP) until ${until}: what comes in waits.
void world_pause(struct node *node, moment_us until);

// It goes on now, if it was stopped.
void world_resume(struct node *node);

// From now on the parents of ${node} let it do so much with every volume, and those it has know that at once.
void world_set_right(struct node *node, enum right right);

// ---- life.c ----

// Add a node. ${config}'s trace and name are set here. It is not connected to anything.
struct node *world_add_node(struct world *world, const char *name, const struct core_config *config,
			    uint64_t cache_size, uint32_t cache_ways);

// ${node} has a disk below its cache, which outlives its processes. Before its first step.
void world_add_drive(struct node *node, const struct drive_config *config);

// ${node} has a journal, which outlives its processes. Before its first step; its config says so, too.
void world_add_journal(struct node *node, const struct journal_config *config);

// ${node} is root of a volume on ${disk}, which outlives the world's run and is destroyed with it.
int world_add_root_volume(struct node *node, const char *name, struct disk *disk, bool read_only);

// ${node} takes the volume ${name} from its parent. Before its first step.
void world_add_child_volume(struct node *node, const char *name, bool read_only);

// The process of ${node} ends at once (kill -9): node->stopped. What its disks were told to do, they do. Its requests
// that were not answered end: io_done with died.
void world_kill(struct node *node);

// The host of ${node} loses power. Its neighbours notice after ${noticed_us}, or when it is there again; of what was
// under way a part is lost. Its disks keep what was synced and a part of the rest, torn (disk.h).
void world_crash(struct node *node, moment_us noticed_us);

// A new process for a node that has stopped, with new ids and an empty cache. A root has the next epoch; when it did
// not stop in order also the evictions on record, and a grace time. The node dials after ${dial_us}.
void world_restart(struct node *node, moment_us dial_us);

// ${node} calls itself ${node_id} to its parent, for ${volume}: another name after each recovery (protocol.md F3).
void node_told_name(struct node *node, const struct blob *volume, uint64_t node_id);

// The node whose present process has this name, or had it before its last recovery (its parent may not know better);
// NULL when there is none any more.
struct node *world_find_id(const struct world *world, uint64_t node_id);

// The node that had this name before.
struct node *world_find_gone(const struct world *world, uint64_t node_id);

// Free what it has; the world ends.
void node_destroy(struct node *node);

// ---- drive.c; without a disk below the cache they do nothing, but for drive_open ----

// A new process uses it; a process dies: of what was under way a part arrives; its cache goes; the world ends.
void drive_open(struct node *node);
void drive_crash(struct node *node);
void drive_close(struct node *node);
void drive_destroy(struct node *node);

// ---- journal_file.c; without a journal they do nothing ----

// ACTION_JOURNAL, ACTION_JOURNAL_*; after a step: write what is due.
void journal_file_perform(struct node *node, const struct action *action);
void journal_file_kick(struct node *node);

// A new process, which has its volumes, takes it over; a process ends in order: it writes what it has to; a process dies: of
// the record under way a part arrives; its memory goes; the world ends.
void journal_file_open(struct node *node);
void journal_file_leave(struct node *node);
void journal_file_crash(struct node *node);
void journal_file_close(struct node *node);
void journal_file_destroy(struct node *node);

// Blocks that a next process of ${node}, which has ended, would find in its journal, if it could be written to the end.
uint64_t journal_file_left(struct node *node);

// ---- pipe.c ----

// Packets to or from the parent of ${node} wait from now on (${hold}), or go on.
void world_hold(struct node *node, unsigned direction, bool hold);

// Let ${count} of the waiting packets through. Returns how many there were.
unsigned world_release(struct node *node, unsigned direction, unsigned count);

// Cut the connection of ${node} to its parent: of what is under way a part is lost. Each end notices after its time.
// The node dials again ${redial_us} after it noticed.
void world_cut(struct node *node, moment_us child_notices_us, moment_us parent_notices_us, moment_us redial_us);

// Has ${node} a connection to a parent that both ends know, and that no end is about to lose?
bool world_has_uplink(const struct node *node);

// Is a message on its way to or from the parent of ${node}, which takes its time (bandwidth), and nothing in its way?
bool pipe_is_busy(const struct node *node);

// Queue a message from ${node} on its link.
void pipe_send(struct node *node, uint32_t link, const struct message *message);

// Put a message on the connection that ${end} has to the other, whatever it is; its blocks have ${block_size} bytes. The same with
// bytes that need not be one.
void pipe_put(struct conn *conn, unsigned end, const struct message *message, uint32_t block_size);
void pipe_put_bytes(struct conn *conn, unsigned end, const uint8_t *bytes, size_t size);

// The process at ${end} closes the connection; the same of a link of ${node}, for a reason.
void pipe_close(struct conn *conn, unsigned end);
void pipe_close_link(struct node *node, uint32_t link, const char *why);

// ${node} has a connection to ${parent} once it is through.
void pipe_connect(struct node *node, struct node *parent);

// Nobody is at ${node}'s end of its connections any more: the host is lost. The others notice after ${noticed_us}.
void pipe_abandon(struct node *node, moment_us noticed_us);

// A new process of ${node} has none of the connections that the old one had.
void pipe_detach(struct node *node);

// What waited because its way was blocked goes on, where it is free now.
void pipe_unblock(struct world *world);

// If this scheduled call carries a packet, free it.
void pipe_forget(const struct heap_entry *entry);

// Free the connections; nothing may be under way.
void pipe_free_all(struct world *world);

// ---- dial.c ----

// From now on ${node} dials ${parent}, first after ${after_us}, and again when the connection is lost.
void world_set_parent(struct node *node, struct node *parent, const struct pipe_config pipe[2], moment_us after_us);

// Until ${until} nothing gets from ${from} to ${to}. Nobody notices by that alone.
void world_block(struct node *from, struct node *to, moment_us until);

// The same between those nodes that are ${inside} (by index) and the others, both ways.
void world_partition(struct world *world, const bool *inside, moment_us until);

// Everything gets through again.
void world_unblock(struct world *world);

// Until when nothing gets from node ${from} to node ${to}; 0: it does.
moment_us world_blocked_until(struct world *world, int from, int to);

// Free them all; the world ends.
void world_free_obstacles(struct world *world);

// ${node} dials at ${at}: the next in its row, or its parent of before first (anew).
void pipe_dial(struct node *node, moment_us at);
void pipe_dial_anew(struct node *node, moment_us at);

// ---- perform.c ----

// Perform the actions of ${node}'s last step.
void perform(struct node *node, struct actions *actions);

// ---- storage.c ----

// ACTION_STORE_*, ACTION_EVICT, ACTION_END_GRACE, ACTION_RESCUE.
void storage_begin(struct node *node, const struct action *action);
void storage_evict(struct node *node, const struct action *action);
void storage_end_grace(struct node *node, const struct action *action);
void storage_rescue(struct node *node, const struct action *action);

// The process that waits for operations of ${node}'s disks is gone. ${power}: so is the power, else they are carried
// out at once.
void storage_abandon(struct node *node, bool power);

// If this scheduled call carries an operation of a disk, free it.
void storage_forget(const struct heap_entry *entry);

// ---- world.c, for the others ----

// If this scheduled call carries something, free it.
void world_forget(const struct heap_entry *entry);

// The answer to ${io} is out: tell the hook.
void world_io_end(struct world_io *io);

// Schedule EVENT_TIMER of a node for when its core wants it.
void node_arm(struct node *node);

// If ${node} is paused, keep this call for later and return true.
bool world_defer(struct node *node, void (*fn)(void *world, void *arg, uint64_t number), void *arg, uint64_t number);

#endif
