// SPDX-License-Identifier: MIT
// One node of the tree, as a pure state machine: no I/O, no clock, no threads. core_step takes an event and says what
// to do; core_deadline says when it wants EVENT_TIMER. Every node, root, proxy or leaf, runs this same code
// (docs/architecture.md, "The core").
#ifndef HVFS_CORE_CORE_H
#define HVFS_CORE_CORE_H

#include "core/action.h"
#include "core/author.h"
#include "core/copies.h"
#include "core/event.h"

struct core;

enum write_mode { WRITE_ASYNC, WRITE_SEMI_SYNC, WRITE_SYNC };

// When a fsync may answer: everything is on the root's stable storage; in the parent's memory; in this node's.
enum durability { DURABILITY_ROOT, DURABILITY_PARENT, DURABILITY_LOCAL };

#define DISCONNECT_WAIT UINT32_MAX // requests wait for the parent as long as io_timeout_ms allows

// Deliberately broken rules, for the test of the tests (tests/sim). Never set by hvfs itself.
enum core_bug {
	BUG_NONE,
	BUG_ANSWER_BEFORE_DROP,  // answer an INVALIDATE before the local copy is gone
	BUG_GRANT_BEFORE_RECALL, // grant WRITE before the other copies are gone
	BUG_NO_CROSSING_DATA,    // drop R5: grant an upgrade without data to a child that lost its copy
	BUG_GRANT_OVER_RECALL,   // drop R18
	BUG_CLEAN_ON_GRANT,      // drop R12: a dirty copy counts as clean once WRITE is granted below
	BUG_SKIP_LEASE,          // use blocks after the lease is over
	BUG_BARRIER_EARLY,       // answer a barrier without flushing first
	BUG_COUNT
};

struct core_config {
	const char *name;          // of the node; copied
	uint64_t node_id;          // random, not 0
	uint64_t session_seed;     // random: sessions given to children are counted up from here
	uint32_t epoch;            // 1 to 2^24 - 1; larger at each start of a root
	uint32_t ttl_ms;           // per-block lease given to children
	uint32_t hb_ttl_ms;        // global lease given to children
	uint32_t io_timeout_ms;    // a local request that cannot go on ends with ERR_TIMED_OUT after this; 0: never
	uint32_t writeback_ms;     // age at which the sync daemon brings a dirty block up
	uint64_t dirty_max;        // dirty blocks at which local writes wait
	uint32_t background_size;  // bytes that are on their way up because of their age alone, while blocks are asked for
	uint32_t readahead_blocks; // largest read-ahead window; 0: none
	uint32_t push_blocks;      // how far ahead of a child's sequential reads blocks are sent, at most; 0: none are
	uint32_t credits;          // blocks a child may have outstanding here
	uint64_t directory_max;    // records (a block that a child has) beyond which something is taken back (R17); not 0
	enum write_mode write_mode;
	enum durability durability;
	uint32_t disconnect_ms; // cut off from the parent for as long, requests that need it fail; DISCONNECT_WAIT: not
	uint32_t grace_ms; // a root after an unclean stop: only CONNECT and RECOVER are served for as long (F6); 0: none
	bool give_back;  // the sync daemon gives a block's permission back when it flushes it (as the seed's Example Four);
			 // hvfs does not: it would not learn that others have written over what may still get lost (R13)
	bool journal;    // there is one: a fsync with DURABILITY_LOCAL waits for it (ACTION_JOURNAL)
	bool has_parent; // a parent is configured: unknown volumes are asked for there
	bool listens;    // children may come
	bool has_driver; // this node uses the volumes itself (a mount), not only on behalf of children
	enum core_bug bug;
	// What the peer of a child's link may do with a volume of that name, which may not exist. NULL: everybody may do everything. Asked
	// when a child connects and at EVENT_RIGHTS.
	enum right (*right_of)(void *arg, uint32_t link, const char *volume);
	void *right_arg;
	void (*trace)(void *arg, const char *line); // one line per transition, or NULL
	void *trace_arg;
};

// A config with the defaults of docs/protocol.md ("Numbers"); name, node_id, session_seed, epoch remain to be set.
void core_config_default(struct core_config *config);

// ${copies} and everything it needs outlive the core. Never NULL.
struct core *core_create(const struct core_config *config, const struct copies *copies);
void core_destroy(struct core *core);

// This node is root of ${name}: ${size} bytes, a multiple of ${block_size}. Before the first step. Returns the
// volume's index, or -1 when LIMIT_VOLUMES are there or the name is taken.
int core_add_root_volume(struct core *core, const char *name, uint64_t size, uint32_t block_size, bool read_only);

// This node takes ${name} from its parent; the size is known at ACTION_VOLUME_READY. Returns as above.
int core_add_child_volume(struct core *core, const char *name, bool read_only);

// ${volume} is sealed, with the keys that are called ${id}: parent and children have to have the same. Before the first step.
void core_set_volume_key(struct core *core, uint32_t volume, const uint8_t id[SEALED_KEY_ID_SIZE]);

// The VOLUME_ID of ${volume} towards children; towards the parent (false: it does not have it now).
uint32_t core_volume_id(const struct core *core, uint32_t volume);
bool core_parent_volume_id(const struct core *core, uint32_t volume, uint32_t *ret);

// Is all that was sent up of ${volume} durable at its root, as the parent has said, by the answer to a barrier or by leaving in
// order?
bool core_is_all_durable(const struct core *core, uint32_t volume);

// Which of our volumes ${message}, from ${link}, names by VOLUME_ID; -1: none. A child can name those that it has a session with.
int core_message_volume(const struct core *core, uint32_t link, const struct message *message);

// Are the bytes, or the claim, of ${message}, a RECOVER that this node sends up for ${volume}, its own, also under a name that it
// has given up since it was said? Else it passes them on.
bool core_is_own_claim(const struct core *core, uint32_t volume, const struct message *message);

// The pool of buffers of ${block_size} bytes, made on demand: for data that comes in. Lives as long as the core.
struct buf_pool *core_pool(struct core *core, uint32_t block_size);

// The id under which children know ${volume}; for tests that want a certain one.
void core_set_volume_id(struct core *core, uint32_t volume, uint32_t id);

// One step: ${now} is not before the last step's. Appends to ${actions}.
void core_step(struct core *core, moment_us now, const struct event *event, struct actions *actions);

// When the core wants the next EVENT_TIMER, MOMENT_NEVER for never.
moment_us core_deadline(const struct core *core);

// Verify all invariants within this node (protocol.md I1-I3, I5, structure); stops the process when one is broken.
// O(state); for tests.
void core_check(struct core *core);

// ---- What others may ask (status, simulator) ----

// What a volume is doing.
enum volume_phase {
	PHASE_STARTING,   // its size is not known yet
	PHASE_GRACE,      // a root that waits for those who held something before it was started
	PHASE_SERVING,    // all is well
	PHASE_CUT_OFF,    // the parent is away; what is held may still be used
	PHASE_LAPSED,     // and the lease is over
	PHASE_RECOVERING, // a parent is there again: claims are on their way
	PHASE_STOPPING,
	PHASE_ABORTED,
};

struct volume_info {
	const char *name;
	bool is_root, ready, read_only;
	enum volume_phase phase;
	moment_us phase_since;
	uint64_t unstable_blocks; // sent up, not known to be durable at the root
	uint64_t waiting;         // local requests that have not ended
	uint64_t size;         // bytes, 0 until ready
	uint32_t block_size;   // bytes, 0 until ready
	struct buf_pool *pool; // buffers of this volume's blocks; NULL until ready
	uint64_t dirty_blocks;
	uint64_t flushing_blocks; // on their way up
	uint64_t table_blocks;   // blocks the table has an entry for
	int64_t parent_lease_ms; // what is left of the global lease; -1: none (or root)
	bool parent_connected;
	bool parent_denies; // nobody above gives this node a right to it: tried again when somebody wants it
	uint64_t blocks_held_read, blocks_held_write; // from the parent
	// counters since the start
	uint64_t reads, writes, read_hits, write_hits, fetched, flushed, recalled;
	uint64_t pushed_in, pushed_used, pushed_back, pushed_out; // PUSH: taken, and then used; given back; sent
	uint64_t ahead_asked, ahead_used, ahead_lost, ahead_late; // read-ahead: asked for, and then used; lost unused; waited for
};

// The volumes, by index from 0; those that children brought along come last.
uint32_t core_volume_count(const struct core *core);
void core_volume_info(const struct core *core, uint32_t volume, moment_us now, struct volume_info *ret);

// May somebody come yet with what he held of the root before: is there a grace time whose end is not on record?
bool core_in_grace(const struct core *core);

// What a child is doing.
enum child_phase {
	CHILD_CONNECTED,
	CHILD_ABSENT,   // its link is gone: what it has for writing is frozen until it is back
	CHILD_LAPSED,   // and its lease is over: whoever wants its blocks gets them after an eviction
	CHILD_EVICTING, // the eviction is being recorded
};

struct child_info {
	const char *name;
	uint32_t volume;
	enum child_phase phase;
	moment_us phase_since;
	int32_t link; // -1: absent
	bool connected;
	enum right right; // as of its last CONNECT, or EVENT_RIGHTS
	int64_t lease_ms; // what is left of the lease we gave, 0 when over
	uint64_t blocks_read, blocks_write;
};

// The directory: how many records it has, and from how many on something is taken back.
struct directory_info {
	uint64_t records, max;
	uint64_t open_recalls; // records that children have been asked to give back
};

// At this moment.
void core_directory_info(const struct core *core, struct directory_info *ret);

// The next one of the child sessions; *${at} is 0 for the first. False when there are no more.
bool core_child_info(const struct core *core, uint32_t *at, moment_us now, struct child_info *ret);

// Change while running: from the next step on, also for what waits.
void core_set_write_mode(struct core *core, enum write_mode mode);
void core_set_durability(struct core *core, enum durability durability);
void core_set_push(struct core *core, uint32_t push_blocks);
void core_set_dirty_max(struct core *core, uint64_t dirty_max);
void core_set_disconnect(struct core *core, uint32_t disconnect_ms);

// As long as ${hold}, nothing more is written to the volume here, as if there were no room for what is dirty: it waits.
void core_hold_writes(struct core *core, uint32_t volume, bool hold);

// A root volume was left uncleanly, and this session had been evicted before: its claims are refused in the grace time.
// Before the first step. Returns -1 when LIMIT_EVICTIONS of that volume are there.
int core_add_eviction(struct core *core, uint32_t volume, uint64_t node_id, uint64_t session);

// The epoch in which a root of the volume has last served others than those who claimed (ACTION_END_GRACE): whoever missed
// it, and has no lease any more, has nothing left to claim. Before the first step.
void core_set_claims_since(struct core *core, uint32_t volume, uint32_t epoch);

// What that root had put on record with it. Before the first step.
void core_set_reclaims(struct core *core, uint32_t volume, const struct reclaim *list, size_t count);

// A root volume was left uncleanly, and its version log tells (protocol.md F6): ${block} has the content of version
// ${low}, or one that came later, on stable storage, and none newer than ${high} was ever promised to be. Before the
// first step.
void core_add_stored_version(struct core *core, uint32_t volume, uint64_t block, version_t low, version_t high);

// The same, by what else is beside the storage (of a sealed volume), when somebody brings bytes of ${block}: ${low}, or something
// later, is on stable storage, though the log may not know that. At any time. False: somebody has claimed it with something older, and
// has nothing to bring.
bool core_learn_stored(struct core *core, uint32_t volume, uint64_t block, version_t low);

// Nothing was made durable of all other blocks since a root of ${epoch} began behind one that had left in order, with all that
// it had on stable storage. Without this call nothing is known of them.
void core_set_versions_complete(struct core *core, uint32_t volume, uint32_t epoch);

// Under which names blocks of ${volume}, which is a parent's, are held; at ACTION_JOURNAL_AUTHOR, or any time.
void core_author(const struct core *core, uint32_t volume, struct author *ret);

// A crashed process of this node has left bytes that were not durable at the root: ${author} is what it was. They are brought
// there once there is a parent. Before the first step; then, for each, core_add_uncommitted. Returns -1 if the block can not be one of
// the volume's.
void core_set_author(struct core *core, uint32_t volume, const struct author *author);
int core_add_uncommitted(struct core *core, uint32_t volume, uint64_t block, version_t version, uint32_t block_size,
			 struct buf *buf);

// Addresses of nodes further up, the parent's parent first, as they were told in the answer to CONNECT: where else to go
// when the parent can not be reached (F3). The i-th, or NULL when there are no more; valid until the next step.
const char *core_ancestor_address(const struct core *core, uint32_t i);

// Is the first of these to be dialled before all others but the parent? It has what this node has left to it (R13).
bool core_needs_ancestor(const struct core *core);

// For the simulator's oracle, and news of the root: what this node may do with a block right now by its own clock, and its copy.
struct block_info {
	enum perm held; // in time; the root: PERM_WRITE
	bool readable;  // a local read would be served at once
	bool writable;  // a local write would be served at once
	bool dirty;
	bool unstable; // clean, but not known to be durable at the root
	version_t version;
	struct buf *copy; // borrowed, NULL when absent
};
void core_block_info(struct core *core, uint32_t volume, uint64_t block, moment_us now, struct block_info *ret);

// A root: is what is on its storage, of which there is no copy in memory, told to be ${version}, of its own epoch? Then bytes that
// come with that number are taken for it. (Of epochs before the version log speaks, which may know of more than is on record.)
bool core_storage_has(struct core *core, uint32_t volume, uint64_t block, version_t version);

// The next block of ${volume} whose copy is in memory; *${at} is 0 for the first, and steps may be between. At most *${looks}
// entries of the block table, of whatever volume, are looked at, and it is less by those. False when there are no more, or when it
// is 0 then.
bool core_next_copy(struct core *core, uint32_t volume, uint32_t *at, uint32_t *looks, uint64_t *ret_block);

#endif
