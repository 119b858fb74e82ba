// SPDX-License-Identifier: MIT
// The node's parts among themselves. Nobody outside node/ includes this.
//
//   perform.c  a step: event in, actions out; the timer; flushing after a batch
//   links.c    accepting, messages in and out;  sealing.c  those of sealed volumes;  freshness.c  whether they are the newest;  parent.c  dialling, and whom;  access.c  who may come in
//   stores.c   the storage of root volumes;  rest_store.c  of those that have it sealed;  own_seals.c  of others;  record.c  what is recorded beside it
//   rescue.c   what the core gives up becomes files
//   worker.c   a thread for what is seldom and blocks
//   cache.c    the cache changes while it is used;  cache_disk.c  its level on a disk;  cache_change.c  that comes and goes
//   volumes.c  opening volumes, mounting them, the driver's calls
//   acl.c, acl_file.c  who may do what
//   control.c  the control socket;  commands.c, control_*.c  what it is told;  status.c  what it tells
//   stop.c     leaving in order;  waiting.c  what that waits for
//   confine.c  going on as another user
//   config.c   defaults and checks
#ifndef HVFS_NODE_INTERNAL_H
#define HVFS_NODE_INTERNAL_H

#include "cache/stack.h"
#include "core/check.h"
#include "crypto/identity.h"
#include "fuse/driver.h"
#include "net/handshake.h"
#include "net/host.h"
#include "net/link.h"
#include "node/acl.h"
#include "node/acl_file.h"
#include "node/cookies.h"
#include "node/freshness.h"
#include "node/latency.h"
#include "node/log.h"
#include "node/news_log.h"
#include "node/node.h"
#include "node/raised.h"
#include "node/rest.h"
#include "node/sealed_form.h"
#include "node/sealing.h"
#include "node/worker.h"
#include "store/metadata.h"
#include "store/store.h"
#include "store/version_log.h"

#include <event2/event.h>
#include <jansson.h>
#include <limits.h>

struct control;
struct cache_change;
struct cache_disk;
struct record;
struct rescue;
struct rest_store;

// What the log has been told of.
struct telling {
	moment_us told; // last; 0: never
	uint64_t hidden; // since then
};

// One open link; its slot is what the core calls it.
struct node_link {
	struct node *node;
	struct link *link;
	uint32_t slot;
	enum link_role role;
	struct peer peer;
	struct host host; // from where, of one of whom nothing else is known
	struct sealing_link *sealing; // NULL: the node has no sealed volumes
	struct telling malformed, unproven, keyless; // messages that came
	uint32_t cookies; // of a child: that it has asked for and has no answer to
	bool heard;   // a valid message came
	bool unwanted; // of a parent: it has said that it gives this node nothing
	uint64_t denied; // of a parent: bit i: it gives no right to the core's volume i
	bool written; // is in node->written
	struct node_link *next_written;
};

// What the node keeps of a volume, by the core's index.
struct volume {
	struct store *store;          // root: its storage, else NULL
	struct event *store_readable; // its poll_fd
	struct event *store_due;      // it wants to be looked at though that is not readable
	bool kick;                    // operations were submitted since the last kick
	int last_errno;               // of the store, that was logged
	bool configured;              // named in the configuration: readiness waits for it
	bool ready;                   // its size is known, and it is mounted
	bool denied_told;             // the log says that this node has no right to it any more
	bool aborted;                 // by the administrator: its requests fail
	uint32_t block_size;          // 0 until known
	const struct volume_key *key; // of a sealed one; or NULL
	struct volume_key *carrier;   // its proxy's part, where the node's memory has ciphertext though it could read; or NULL
	struct sealed_form *cache_form, *journal_form; // of a sealed one: how its blocks are on disks of this node; or NULL
	uint64_t unproven;            // messages that came with blocks of it that no writer wrote
	struct sealed_root *sealed_root; // root of a sealed one that can be written, else NULL
	struct rest *rest;            // root: its storage has ciphertext; or NULL
	struct rest_store *rest_store; // the same
	struct worker *own_sealer;    // root of a sealed one whose storage is plain: of what was written here (own_seals.c); or NULL
	struct raised *raised;        // the same
	struct sealed_root *rest_root; // root that can not write: what there is beside its storage, if anything; else NULL
	struct news_log *news_log;    // root of a sealed one: what was written, for those who ask; else NULL
	uint64_t damaged;             // blocks that were read there and were not right
	const char *store_name;       // root: as configured
	bool may_write;               // root: its storage is not read-only
	int record_errno;              // why the last one was not written
	struct record *record_waiting; // for the end of the write that runs
	bool record_runs;
	struct rescue *rescue; // NULL: nothing was given up
	struct latency *latencies; // LATENCY_KINDS, of the driver's requests; NULL: there are none
};

enum { LATENCY_READ, LATENCY_WRITE, LATENCY_FSYNC, LATENCY_KINDS };

// Events that arose within a step; they wait until it is over.
struct event_queue {
	struct event *events;
	size_t head, count, capacity; // a ring
};

enum {
	NODE_SIGNALS = 3,       // that end a node in order
	PARENT_FAULTS_TOLD = 8, // different reasons why no parent can be reached that are told, until one is
	CANDIDATES_MAX = 1 + LIMIT_PARENTS + LIMIT_ANCESTORS, // addresses of parents
};
static_assert(CANDIDATES_MAX <= 64 && LIMIT_VOLUMES <= 64, "a bit for each");

struct node {
	struct node_config config;
	void (*ready)(void *arg);
	void (*failed)(void *arg, const char *text);
	void *arg;
	moment_us started;
	uint32_t block_size; // the smallest that was known at the start

	struct event_base *base;
	struct core *core;
	struct actions *actions;
	struct stack *cache;
	struct cache_disk *cache_disks; // levels on a disk, the one that leaves too, by next
	struct cache_disk *opening_disk; // the configured one, before the loop runs; or NULL
	struct cache_change *cache_change; // of them, or NULL
	struct worker *cache_worker, *cache_closer; // open their files, close them
	struct worker *cache_sealer; // makes what is to be there of blocks of sealed volumes, and checks what was
	struct node_journal *journal;  // or NULL
	struct event *cache_slice; // it goes on changing
	moment_us cache_told;      // when those who wait for that heard of it last
	bool stepping;
	moment_us step_began;
	uint32_t hits_to_measure; // before the clock is read for one again
	moment_us hit_us;         // that the last one took
	struct event_queue waiting;
	struct event *batch; // ends the batch once the loop has run what was due
	bool batch_due;
	int timer_fd; // CLOCK_BOOTTIME, as leases are
	struct event *timer;
	moment_us timer_armed;

	struct sealing *sealing; // NULL: no volume is sealed
	struct cookies *cookies; // the same
	struct freshness *freshness; // the same
	struct node_link *links[LIMIT_LINKS];
	uint32_t free_slots[LIMIT_LINKS]; // a stack
	uint32_t free_count, links_max;
	struct node_link *written; // links that have something to flush
	struct listener *listeners[LIMIT_LISTENERS];
	struct acl *acl;
	struct acl_file acl_file; // where it is, if it is in a file; the worker's while acl_saves
	uint64_t acl_changes;     // since the start
	bool acl_saves;           // the file is being written
	struct identity *identity;     // NULL: none
	struct handshakes *handshakes; // of TCP; NULL: it is plain
	moment_us refused_since;       // of the refusals that are counted: how many were told, and how many were not
	uint32_t refused_told, refused_hidden;
	struct refusal {
		uint64_t hash; // of the reason
		moment_us told;
	} refusals[16];
	struct peer *peers; // that have ever been in; their index + 1 is by what the core knows them
	uint32_t peer_count;
	struct forbidden *forbidden; // what was told of those who tried what they may not
	struct dialer *dialer;
	struct node_link *parent; // NULL: not connected
	struct address parent_at; // connected last, or tried first
	uint32_t parent_lease_ms; // it gave last
	struct address candidates[CANDIDATES_MAX]; // those that are dialled
	size_t candidate_count;
	uint64_t candidates_tried;  // since a parent answered last: bit i: candidates[i] was, in vain; and the last time since it
	uint64_t candidates_denied; // says that this node has no right there
	struct event *parent_patience;
	uint32_t useless_parents; // bit i: config.parents[i] does not speak hvfs, or does not want this node
	// Why none could be reached, as far as it was told since one was; without digits, as times differ.
	char parent_faults[PARENT_FAULTS_TOLD][128];
	size_t parent_fault_count;
	moment_us parent_lost;    // since when it is not connected
	uint32_t parent_connections; // that have been of use
	char parent_told[PATH_MAX + 512]; // its address, as children can use it

	struct volume volumes[LIMIT_VOLUMES];
	bool rescue_due;         // something given up waits for the end of the batch
	size_t store_operations; // that run, writes of the record included
	struct worker *worker;
	struct driver *driver;
	bool unmounted; // its mount has gone; requests may still be with the core
	struct control *control;

	struct event *signals[NODE_SIGNALS];
	bool running;             // node_run was called
	bool is_ready;
	bool failed_told;
	bool stopping; // EVENT_STOP was given
	bool in_order; // the core had time to bring everything to the root and to take everything back
	bool left;     // the core gets no more events
	bool hurry;    // do not wait for anything any more
	struct event *stop_timer;
	uint64_t stop_dirty; // bytes, when the stop timer was set
	struct event *stop_limit, *stop_watch;
	uint32_t stop_limit_ms;
	moment_us good_bye; // since when nothing else is waited for
	char *waiting_told; // what the stop waits for, as it was told last
	uint64_t waiting_dirty;
	moment_us waiting_told_at;
	int status;
	char why[2048]; // what was not brought to the root; empty: nothing
};

// ---- node.c ----

// Is a volume of the configuration sealed?
bool node_has_sealed_volumes(const struct node *node);

// ---- perform.c ----
moment_us node_now(void);
int node_perform_init(struct node *node);
void node_perform_fini(struct node *node);
// Give ${event} to the core and do what it says; within a step: after it.
void node_feed(struct node *node, const struct event *event);
// The core is done with ${io}.
void node_answer_io(struct node *node, struct io *io, enum hvfs_error error);
// Flush what the steps since the last call wrote; set the timer. Happens by itself once the loop has run what was due.
void node_end_batch(struct node *node);

// ---- links.c ----
int node_links_init(struct node *node, char *error, size_t error_size);
void node_links_fini(struct node *node);
void node_link_send(struct node *node, const struct action *action);
// A message without blocks, of who is not the core.
void node_link_write(struct node_link *link, const struct message *message);
void node_link_close(struct node *node, uint32_t slot, const char *why);
// To the core, or who takes it before. The link may be gone afterwards.
void node_link_deliver(struct node_link *link, const struct message *message);
// A peer that goes on and on is told of once a minute. False: not now. Else ${again} says how often that was.
bool node_telling_due(struct telling *telling, char *again, size_t size);
// Over ${fd}, with TLS if there is ${ssl}. NULL: no slot is free; both are still the caller's then.
struct node_link *node_link_new(struct node *node, int fd, struct ssl_st *ssl, const char *name, const struct peer *peer, enum link_role role);
// Somebody has dialled, and may come in: ${fd} and ${ssl} are taken over.
void node_link_accept(struct node *node, int fd, struct ssl_st *ssl, const char *name, const struct peer *peer);
// Close it without a word.
void node_link_drop(struct node_link *link);

// ---- access.c ----
// Read the key and the list of who may do what.
int node_access_init(struct node *node, char *error, size_t error_size);
// After the links.
void node_access_fini(struct node *node);
// ${name} has dialled: let it in, begin TLS, or close ${fd}.
void node_access_accept(struct node *node, int fd, const char *name);
// One line about somebody who was not let in; of a flood only some.
void node_access_refused(struct node *node, const char *name, const char *why);
// By which number the core knows ${peer}.
uint32_t node_access_number(struct node *node, const struct peer *peer);
// For the core: what the peer of a child's link may do.
enum right node_access_right(void *arg, uint32_t slot, const char *volume);
// A child has tried what it may not: one line a minute for each peer and volume.
void node_access_forbidden(struct node *node, const struct action *action);
// Whom has ${fd} reached, a unix socket that we have dialled? False: one who is not to be trusted, and why.
bool node_access_trusts(const struct node *node, int fd, struct peer *ret, char *why, size_t size);

// ---- parent.c ----
int node_parent_init(struct node *node, char *error, size_t error_size);
void node_parent_start(struct node *node);
void node_parent_fini(struct node *node);
// The address of the parent: the one connected last, or the one tried first. "": there is none.
const char *node_parent_address(const struct node *node);
// Is it connected, and another than the first of the configuration?
bool node_parent_is_other(const struct node *node);
// Its link: a message, before the core has it; what was no message; its end, before the core knows.
void node_parent_said(struct node *node, const struct message *message);
void node_parent_useless(struct node *node, const char *why);
void node_parent_gone(struct node *node, bool was_heard);
// The core's ${volume}: it gives no right to that.
void node_parent_denies(struct node *node, uint32_t volume);
// It could not be reached, or was lost before it had answered. ${denied}: since it gives this node no right at all.
void node_parent_fault(struct node *node, const char *why, bool denied);
// TLS with who was dialled is there; has failed.
void node_parent_dialled(struct node *node, int fd, struct ssl_st *ssl);
void node_parent_not_dialled(struct node *node, const char *why, bool for_now);

// ---- stores.c ----
int node_store_open(struct volume *volume, const char *spec, bool read_only, char *error, size_t error_size);
// Reap what ends from now on. ${volume} does not move any more.
void node_store_watch(struct node *node, struct volume *volume);
void node_store_perform(struct node *node, const struct action *action);
void node_stores_kick(struct node *node);
void node_store_close(struct volume *volume);
enum hvfs_error node_error_of_errno(int sys_errno);
// How long the root must wait for those who hold something: the longest lease that may run, and more (protocol.md F6). A root
// that can not write waits for writers only.
uint32_t node_stores_grace_ms(const struct volume volumes[LIMIT_VOLUMES]);
// Leases of the configured length may be given from now on.
int node_stores_set_lease(struct node *node, char *error, size_t error_size);
// Nobody holds anything, and all is on stable storage.
void node_stores_set_clean(struct node *node);

// ---- record.c ----
void node_record_eviction(struct node *node, const struct action *action);
void node_record_grace_end(struct node *node, const struct action *action);

// ---- rescue.c ----
void node_rescue(struct node *node, const struct action *action);
void node_tell_lost(const struct node *node, const struct action *action);
// ${io} is to fail with ERR_LOST: not before the file of what was lost is there. False: nothing is being written.
bool node_rescue_hold(struct node *node, struct io *io);
// Let what has come in this batch be written.
void node_rescue_write(struct node *node);
// How many bytes of ${volume} are in rescue files, and the last one's path without .img and .map; "": none.
uint64_t node_rescued(const struct volume *volume, const char **ret_path);
// Nothing may be under way.
void node_rescue_fini(struct volume *volume);

// ---- volumes.c ----
// Open the storage of config.volumes[i] into ${opened}[i]; then, with a core, move it to node->volumes.
int node_volumes_open(struct node *node, struct volume opened[LIMIT_VOLUMES], char *error, size_t error_size);
int node_volumes_add(struct node *node, struct volume opened[LIMIT_VOLUMES], char *error, size_t error_size);
int node_mount(struct node *node, char *error, size_t error_size);
void node_volume_ready(struct node *node, uint32_t index);
void node_volume_failed(struct node *node, const struct action *action);
void node_check_ready(struct node *node);
// What was asked for can not be had: tell, and end node_run. Only before the node is ready.
void node_fail(struct node *node, const char *format, ...) __attribute__((format(printf, 2, 3)));
// Bytes of ${volume} (-1: of all) that are not yet at the root.
uint64_t node_dirty_bytes(struct node *node, int volume);

// ---- cache_disk.c ----
// Open and lock the file or device of the disk level, if one is configured; then, below the cache, take over what is
// there, unless that is much (node_cache_disk_start).
int node_cache_disk_init(struct node *node, char *error, size_t error_size);
int node_cache_disk_open(struct node *node, char *error, size_t error_size);
// Begin what was submitted since the last call.
void node_cache_disk_kick(struct node *node);
// Is something under way?
bool node_cache_disk_is_busy(const struct node *node);
// Nothing may be. After the cache.
void node_cache_disk_fini(struct node *node);

// ---- cache_change.c ----
// Is a level on a disk coming, going or being replaced? Then no other one may. Blocks still to move, of how many (0: that
// is not known).
bool node_cache_disk_changes(const struct node *node, uint64_t *ret_moving, uint64_t *ret_total);
// One is being opened: records of its blocks still to read, of how many; and its configuration. NULL: none is.
const struct cache_disk_config *node_cache_disk_opening(const struct node *node, uint64_t *ret_left, uint64_t *ret_total);
// The loop runs: the configured one, if it is not there yet, comes as one that is added.
void node_cache_disk_start(struct node *node);
// Begin such a change, whose number is returned; control_cache_disk_ended is called with it.
// One comes; then the level in memory called ${level_id} (0: none) leaves for it.
uint32_t node_cache_disk_add(struct node *node, const struct cache_disk_config *config, uint32_t level_id);
// One comes in the place of another, with what is in that.
uint32_t node_cache_disk_replace(struct node *node, const struct cache_disk_config *config);
// The one that there is leaves.
uint32_t node_cache_disk_remove(struct node *node);
// It is of this policy from now on.
void node_cache_disk_set_policy(struct node *node, enum policy policy);
// The stack has gone on with it.
void node_cache_disk_moved(struct node *node);
// Its file, if it is one, belongs to that user from now on. Returns 0, or -1 with errno.
int node_cache_disk_give(struct node *node, uid_t uid, gid_t gid);
// The disk level's file or device, as it is configured now; NULL: there is none.
const struct cache_disk_config *node_cache_disk_config(const struct node *node);
bool node_cache_disk_is_device(const struct node *node);
// What a change that did not end has left beside ${path} is removed, and that is logged.
void node_cache_disk_clean_up(const char *path);
void node_cache_change_fini(struct node *node);

// ---- journal.c ----
// Open and lock the journal, if one is configured; then, with a core that has the volumes, take over what is there.
int node_journal_init(struct node *node, char *error, size_t error_size);
int node_journal_open(struct node *node, char *error, size_t error_size);
void node_journal_perform(struct node *node, const struct action *action);
// Write what is due.
void node_journal_kick(struct node *node);
bool node_journal_is_busy(const struct node *node);
json_t *node_journal_status(const struct node *node);
// Nothing may be under way. Before the core goes.
void node_journal_fini(struct node *node);

// ---- cache.c ----
int node_cache_init(struct node *node);
void node_cache_fini(struct node *node);
// The stack was changed: what depends on its size follows, and what is to be done in the background begins.
void node_cache_changed(struct node *node);
// Something has ended that a change may have waited for.
void node_cache_go_on(struct node *node);
// Dirty blocks of a volume beyond which local writes wait.
uint64_t node_dirty_max(const struct node *node);

// ---- control.c ----
struct control *control_create(struct node *node, const char *path, char *error, size_t error_size);
// Answer those who wait for the end: ${error} NULL means all is well.
void control_tell_stopped(struct control *control, const char *error);
void control_destroy(struct control *control);
// Is ${io} one of ours (a flush, a warming)? Then it is finished.
bool control_io_done(struct control *control, struct io *io, enum hvfs_error error);
// Is ${io} a read whose bytes nobody wants?
bool control_reads(const struct control *control, const struct io *io);
// To those who wait for the end: what is waited for.
void control_tell_waiting(struct control *control, json_t *list, uint64_t dirty);
// The mount has gone. Returns whether one of the clients did it; they hear whether the node goes on.
bool command_unmounted(struct control *control, bool goes_on);

// The cache has changed a bit: who waits for that hears of it.
void control_cache_moved(struct control *control, bool progress_due);
// The change ${id} of the level on a disk has ended, or failed with ${error}. Now the level in memory called ${level_id}
// leaves, if that is not 0.
void control_cache_disk_ended(struct control *control, uint32_t id, uint32_t level_id, const char *error);

// ---- status.c ----
json_t *node_status(struct node *node);
// The levels of the cache, and the memory that blocks take: {"cache":[...],"memory":{...}}.
json_t *node_cache_status(const struct node *node);

// ---- stop.c ----
int node_signals_init(struct node *node);
void node_stop(struct node *node, const char *why);
// What was sent of sealed volumes is proven to be at their roots, or (${ok} is false) is not: go on.
void node_stop_proven(struct node *node, bool ok);
// Wait no longer than ${ms} for the end of the stop that has begun.
void node_stop_within(struct node *node, uint32_t ms);
void node_stopped(struct node *node, enum hvfs_error error);
// Unmount, close links, wait for the storage, answer who waits.
void node_leave(struct node *node);

// ---- waiting.c ----
// What a stop waits for: to the log and to those who wait, if it has changed.
void node_waiting_tell(struct node *node);
// What a flush of ${volume} (-1: of all) waits for, the caller's; NULL: nothing but what ${*told}, its own to free, says.
json_t *node_waiting_flush(const struct node *node, int volume, char **told);
// May something be lost by not waiting any longer?
bool node_waiting_is_loss(const struct node *node);
// Is nothing left to be done but to tell the parent that we leave?
bool node_waiting_is_good_bye(const struct node *node);
// The same as a part of a sentence, from "; " on; empty: nothing.
void node_waiting_print(const struct node *node, char *text, size_t size);

// ---- config.c ----
// Is a TCP link to, or at, ${address} refused, since it would be plain and leave this machine?
bool node_config_forbids(const struct node_config *config, const struct address *address);

#endif
