// SPDX-License-Identifier: MIT
// One run of the simulator: a plan is built, loaded, healed, stopped and judged.
#ifndef HVFS_TESTS_SIM_RUN_H
#define HVFS_TESTS_SIM_RUN_H

#include "tests/sim/history.h"
#include "tests/sim/oracle.h"
#include "tests/sim/plan.h"

enum { RUN_READ_BLOCKS = 32, RUN_READ_TRIES = 10 };

struct run;

// One sequence of requests at one node.
struct client {
	struct run *run;
	struct node *node;
	uint32_t index;
	unsigned left; // requests still to be made
	bool running;
	bool asleep;  // its node is not there, or not ready: it goes on when it is
	bool retired; // its node is dead for ever
	bool cancelled;
	uint64_t generation; // of its request: a late interruption names it
	struct world_io io;
	int volume;            // of the plan
	uint64_t first, count; // registers of the request
	uint64_t value;
	uint64_t invoked;
	moment_us asked_at;   // of the world's clock
	uint32_t *begun;      // per register: index in the history
	uint64_t promised;    // IO_SYNC: up to which number it covers the node's writes
	unsigned root_starts; // of the root, when the request began
};

// A write that was acknowledged; a sync must make it, or a newer one, durable.
struct promise {
	uint64_t reg, value;
	uint32_t index; // in the history
	uint32_t client;
};

// Those of one node and volume that are not kept yet, in their order; ${first} is the first one's number.
struct promises {
	struct promise *list;
	size_t count, size;
	uint64_t first;
};

// Those that were kept, of one register: the last of each client.
struct firm {
	struct promise *list;
	uint32_t count;
};

// What the run knows of a node beyond the world.
struct load {
	bool ready[WORLD_VOLUMES]; // by volume of the plan
	int volume[WORLD_VOLUMES]; // the node's index of it
	struct promises promises[WORLD_VOLUMES];
	bool returns; // it is dead, and will be started again
	bool retired; // it is dead for ever
	bool doomed;  // it is to die of its next write to its journal
	bool aborted; // its volumes are, and it is to die of that
	moment_us lost_at; // with a journal: when it told of a loss last
};

struct run {
	const struct plan *plan;
	struct world *world;
	struct history *history;
	struct rng rng; // the load and the faults
	struct rng reshape; // caches that change
	struct disk *disks[WORLD_VOLUMES];
	struct load loads[PLAN_NODES_MAX];
	int parents[PLAN_NODES_MAX];
	moment_us healed_at; // from then on there are no faults
	struct client *clients;
	size_t client_count;
	size_t clients_busy; // have requests left or running
	uint64_t registers_per_block;
	uint64_t next_value;
	struct firm *firm; // by register
	bool *zeroed;      // registers that have had their one IO_ZERO
	uint64_t *final;   // what the last reader saw, by register
	const char *phase;
	bool calm;   // the load is over: no request is interrupted any more, no fault begins
	bool strict; // the faults are over, too: no request may fail
	bool ending; // everybody is asked to stop
	bool lying, lies_over;        // byzantine runs: some have begun to lie; they were taken away
	bool trusted[PLAN_NODES_MAX]; // since then
	struct oracle oracle;
	uint64_t faults_done[CHAOS_COUNT], errors[ERR_COUNT], restarts;
	moment_us longest_us; // that a request took
};

// Run the plan; returns the hash of its trace, if it is ${traced}. A failure is reported on stderr, with the end of the
// trace, and ends the process with status 1 (an invariant broken within the core: with SIGABRT, reported too). ${sink}
// gets the trace, or is NULL.
uint64_t run_plan(const struct plan *plan, bool traced, void (*sink)(void *arg, enum trace_kind kind, const char *line));

// What ${node} alone had may be lost: it died, was evicted, or was told so.
void run_failed(struct run *run, const struct node *node);

// Its process ends: so is that, but for what its journal has.
void run_died(struct run *run, const struct node *node);

// A new process for ${node}; its clients go on when its volumes are ready.
void run_restart(struct run *run, struct node *node);

// Report a failure of the current run and end the process.
_Noreturn void run_fail(struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));

// The name of volume ${volume} of the plan.
const char *run_volume_name(int volume);

// Run until ${is_over}; too long, or too much, is a failure.
void run_phase(struct run *run, const char *phase, bool (*is_over)(struct run *run));

// No client has anything to do.
bool run_clients_idle(struct run *run);

// ---- settle.c ----

enum { SETTLE_BLOCKS = 16 }; // of each volume, everybody reads and writes so many in the end

// After the load of a recovery run: heal, sync, let everybody read and write.
void settle(struct run *run);

// And later: nothing may be left over.
void settle_check(struct run *run);

// ---- workload.c ----

// Make the clients; each starts when its node's volumes are ready.
void workload_create(struct run *run);
void workload_destroy(struct run *run);

// A volume became ready at a node: its clients may start.
void workload_ready(struct run *run, struct node *node, int volume);

// A client's request has ended.
void workload_done(struct run *run, struct client *client);

// The process of ${node} has ended: in order, with everything brought up (left), or anyhow (died, also after left).
void workload_left(struct run *run, struct node *node);
void workload_died(struct run *run, struct node *node);

// It does not come back: its clients are done.
void workload_retire(struct run *run, struct node *node);

// The disks have lost their power: they must hold everything that was promised.
void workload_claim_all(struct run *run);

// Let client ${client} make one request of ${kind} for ${count} registers from ${first}.
void workload_request(struct client *client, enum io_kind kind, int volume, uint64_t first, uint64_t count);

// The value a disk durably holds in a register.
uint64_t workload_stored(const struct run *run, uint64_t reg);

// ---- reshape.c ----

// Let all caches change, again and again, until the load is over.
void reshape_schedule(struct run *run);

// ---- faults.c ----

// Schedule the faults of the plan over the next ${span_us}.
void faults_schedule(struct run *run, moment_us span_us);

#endif
