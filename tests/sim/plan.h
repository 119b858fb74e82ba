// SPDX-License-Identifier: MIT
// What a seed decides before the run: the tree, the settings of each node, the load, and which faults may happen.
#ifndef HVFS_TESTS_SIM_PLAN_H
#define HVFS_TESTS_SIM_PLAN_H

#include "tests/sim/chaos.h"
#include "tests/sim/world.h"

enum { PLAN_NODES_MAX = 200, PLAN_DEPTH_MAX = 8, PLAN_BLOCK_SIZE = 512 };

// What the user of the simulator asks for. Zeroed: the seed decides.
struct plan_options {
	int nodes;  // 0: drawn
	int faults; // -1: none; 0: drawn; 1: all classes (byzantine runs: all have some)
	enum core_bug bug;
	bool recovery;      // another plan: nodes die, ways are blocked for long, disks fail (plan_recovery.c)
	uint32_t kinds_off; // of enum chaos_kind, one bit each: never drawn
	bool aborts;        // CHAOS_ABORT, too
	bool rights;        // CHAOS_RIGHT, too
	enum world_break broken;
	bool crash_loop; // recovery runs: roots often die as soon as they serve others
	bool disk_level; // recovery runs: some nodes have a disk below their cache
	bool journal;    // recovery runs: some nodes have a journal
	bool byzantine;  // recovery runs: some proxies lie for a while (byzantine.h)
	bool sealed;     // recovery runs: volumes are sealed
	bool rot;        // which is damaged now and then, or an old one is put in its place
	bool reshape;    // caches change while they are used
	int fair; // -1: no fault is longer than the leases allow; 0: drawn; 1: some are
};

// Faults of a run. A cut or pause is fair when it is over before the lease ends: then a living writer loses nothing.
struct sim_faults {
	unsigned cuts;       // how many links are cut, in all
	moment_us notice_us; // an end notices at the latest after this
	moment_us redial_us; // the child dials again at the latest after this
	unsigned pauses;     // how many times a process is stopped
	moment_us pause_us;  // for at most this long
	unsigned naps;       // how many times a leaf that only reads is stopped or cut off for longer than its lease
};

struct plan_node {
	int parent; // WORLD_NO_NODE for the root
	int depth;
	bool has_driver;
	bool only_reads;    // a leaf whose clients write nothing: it may sleep through its lease and loses nothing
	bool knows_volumes; // a proxy without a driver may learn of a volume from its child
	struct pipe_config pipe[2];
	struct core_config core;
	uint64_t cache_blocks;
	uint32_t cache_ways;
	struct drive_config drive; // slots 0: none
	struct journal_config journal; // size 0: none
	moment_us timer_late_us, answer_late_us;
	moment_us dial_after_us;
	int64_t clock_offset_us, clock_drift_ppm;
	enum volume_role seal_role; // of a sealed volume
	struct liar_config liar;    // lies 0: it is none
};

struct plan {
	uint64_t seed;
	int node_count;
	struct plan_node nodes[PLAN_NODES_MAX];
	int volume_count;
	uint32_t block_size;
	uint64_t block_count;   // of each volume
	uint32_t register_size; // bytes: divides the block size
	uint64_t initial;       // what each word of the disks holds at first
	unsigned store_latency_us, store_sync_us;
	int clients_per_node;
	unsigned requests;   // of each client
	unsigned hot_blocks; // most requests go to so many blocks
	moment_us think_us;  // mean time between a client's requests
	unsigned write_percent, sync_percent, zero_percent, cancel_percent;
	uint64_t run_blocks;   // blocks of one request, at most
	unsigned oracle_every; // the cross-node oracle looks after each so many steps
	struct sim_faults faults;
	// Recovery runs only.
	bool recovery;
	bool reshape;
	bool journals; // some nodes have one
	enum world_break broken;
	bool sealed;       // volumes are sealed
	bool byzantine;    // and some proxies lie
	moment_us lies_from_us, lies_until_us;
	bool crash_loop;
	bool fair;         // no fault is longer than the leases allow: no request may fail
	bool may_time_out; // requests have a limit
	bool may_cut_off;  // so has being without a parent
	size_t versions_size; // at which a version log takes the other file; 0: as in life
	unsigned burst;    // requests of a client that follow each other closely, on average
	moment_us idle_us; // mean time between bursts
	moment_us span_us; // over which faults are spread
	struct chaos_plan chaos;
};

// Draw the plan of ${seed}.
void plan_draw(uint64_t seed, const struct plan_options *options, struct plan *ret);

// Turn a drawn plan into one of a recovery run, by chance of its own.
void plan_draw_recovery(struct plan *plan, const struct plan_options *options);

// Give it about ${wanted} faults, of half of the kinds ${drawn} (bits) without those that are ${off}.
void plan_draw_chaos(struct rng *rng, struct plan *plan, uint64_t wanted, uint32_t drawn, uint32_t off);
// Some nodes have no key that writes, by chance of its own.
void plan_draw_sealed(struct plan *plan);

// Turn that into one of a byzantine run, by chance of its own.
void plan_draw_byzantine(struct plan *plan, const struct plan_options *options);

// One line about it, for reports.
void plan_describe(const struct plan *plan, char *text, size_t size);

#endif
