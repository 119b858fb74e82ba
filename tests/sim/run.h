// SPDX-License-Identifier: MIT
// One run of the simulator: a plan is built, loaded, healed, stopped and judged.
#ifndef HVFS_TESTS_SIM_RUN_H
#define HVFS_TESTS_SIM_RUN_H

#include "tests/sim/history.h"
#include "tests/sim/oracle.h"
#include "tests/sim/plan.h"

enum { RUN_READ_BLOCKS = 32 };

struct run;

// One sequence of requests at one node.
struct client {
	struct run *run;
	struct node *node;
	uint32_t index;
	unsigned left; // requests still to be made
	bool running;
	bool cancelled;
	uint64_t generation; // of its request: a late interruption names it
	struct world_io io;
	int volume;            // of the plan
	uint64_t first, count; // registers of the request
	uint64_t value;
	uint64_t invoked;
	uint32_t *begun; // per register: index in the history
	size_t promised; // IO_SYNC: how many of the node's writes it covers
};

// A write that was acknowledged; a sync must make it, or a newer one, durable.
struct promise {
	uint64_t reg, value;
};

// What the run knows of a node beyond the world.
struct load {
	bool ready[WORLD_VOLUMES]; // by volume of the plan
	int volume[WORLD_VOLUMES]; // the node's index of it
	struct promise *promises;
	size_t promise_count, promise_size, promise_kept;
};

struct run {
	const struct plan *plan;
	struct world *world;
	struct history *history;
	struct rng rng; // the load and the faults
	struct disk *disks[WORLD_VOLUMES];
	struct load loads[PLAN_NODES_MAX];
	struct client *clients;
	size_t client_count;
	size_t clients_busy; // have requests left or running
	uint64_t registers_per_block;
	uint64_t next_value;
	bool *zeroed;    // registers that have had their one IO_ZERO
	uint64_t *final; // what the last reader saw, by register
	const char *phase;
	bool calm; // the load is over: no request is interrupted any more
	struct oracle oracle;
};

// Run the plan; returns the hash of its trace. A failure is reported on stderr and ends the process with status 1 (an
// invariant broken within the core: with SIGABRT, reported too). ${sink} gets the trace, or is NULL.
uint64_t run_plan(const struct plan *plan, void (*sink)(void *arg, enum trace_kind kind, const char *line));

// Report a failure of the current run and end the process.
_Noreturn void run_fail(struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));

// The name of volume ${volume} of the plan.
const char *run_volume_name(int volume);

// ---- workload.c ----

// Make the clients; each starts when its node's volumes are ready.
void workload_create(struct run *run);
void workload_destroy(struct run *run);

// A volume became ready at a node: its clients may start.
void workload_ready(struct run *run, struct node *node, int volume);

// A client's request has ended.
void workload_done(struct run *run, struct client *client);

// Let client ${client} make one request of ${kind} for ${count} registers from ${first}.
void workload_request(struct client *client, enum io_kind kind, int volume, uint64_t first, uint64_t count);

// The value a disk durably holds in a register.
uint64_t workload_stored(const struct run *run, uint64_t reg);

// ---- faults.c ----

// Schedule the faults of the plan over the next ${span_us}.
void faults_schedule(struct run *run, moment_us span_us);

#endif
