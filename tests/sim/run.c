// SPDX-License-Identifier: MIT
// A run has phases. Load: the clients work, faults strike. Sync: every mount asks for durability. Read: somebody reads
// everything; what is read must be what the disks durably hold. Quiet: with nothing to do, almost nothing may happen (a
// livelock would show here). Stop: leaves first, then their parents, up to the root; the disks must still hold the
// same. Then the history is judged.
#include "tests/sim/run.h"

#include "core/check.h"
#include "tests/sim/byzantine.h"
#include "tests/sim/totals.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	RUN_EVENTS_MAX = 3000000,     // of one phase: more is a livelock
	RUN_NODE_EVENTS_MAX = 100000, // and so many for each node of a long run
	RUN_SLICE_US = 1000000,
	RUN_LEASES_MAX = 10, // of one phase when the faults of a recovery run are over
};
#define RUN_TIME_MAX (UINT64_C(3600) * 1000000) // of one phase else
// And so much for each request of a recovery run: where all want one block, it goes through the whole tree for each of them; and
// who is far below has its turn when all have had theirs at each of the nodes above.
#define RUN_REQUEST_TIME_MAX (UINT64_C(1) * 1000000)

static struct run *current;

const char *
run_volume_name(int volume)
{
	static const char *const names[WORLD_VOLUMES] = {"vol0", "vol1", "vol2", "vol3"};

	return names[volume];
}

// ---- Failing ----

static void
run_report(const struct run *run)
{
	char text[600];

	plan_describe(run->plan, text, sizeof text);
	trace_dump(&run->world->trace);
	fprintf(stderr, "seed %" PRIu64 ": phase %s, %" PRIu64 " steps, %s\n", run->plan->seed, run->phase,
		run->world->steps, text);
	fprintf(stderr, "replay: sim --seed %" PRIu64 "%s\n", run->plan->seed, getenv("SIM_REPLAY_OPTIONS"));
}

void
run_fail(struct run *run, const char *format, ...)
{
	va_list args;

	run_report(run);
	va_start(args, format);
	fprintf(stderr, "FAILED: ");
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	va_end(args);
	fflush(NULL);
	totals_add(run);
	_exit(1);
}

// A CHECK failed or the core crashed; its own words are already on stderr.
static void
run_aborted(int number)
{
	struct run *run = current;

	signal(number, SIG_DFL);
	current = NULL;
	if (run != NULL)
		run_report(run);
	raise(number);
}

// ---- Phases ----

bool
run_clients_idle(struct run *run)
{
	return run->clients_busy == 0;
}

static bool
nodes_stopped(struct run *run)
{
	for (int i = 0; i < run->world->node_count; i++)
		if (run->world->nodes[i]->stopping && !run->world->nodes[i]->stopped)
			return false;
	return true;
}

static _Noreturn void
run_stuck(struct run *run, const char *why)
{
	for (size_t i = 0; i < run->client_count; i++) {
		const struct client *client = &run->clients[i];

		if (client->running)
			fprintf(stderr, "waiting: %s kind %d [%" PRIu64 ", +%" PRIu64 ") of volume %d\n",
				client->node->name, client->io.io.kind, client->io.io.offset, client->io.io.size,
				client->volume);
	}
	for (int i = 0; i < run->world->node_count; i++)
		if (run->world->nodes[i]->stopping && !run->world->nodes[i]->stopped)
			fprintf(stderr, "waiting: %s does not stop\n", run->world->nodes[i]->name);
	for (int i = 0; i < run->world->node_count; i++) {
		const struct node *node = run->world->nodes[i];
		struct volume_info info;

		for (uint32_t volume = 0; !node->stopped && volume < core_volume_count(node->core); volume++) {
			core_volume_info(node->core, volume, world_clock(node), &info);
			if (info.phase != PHASE_SERVING)
				fprintf(stderr, "waiting: %s, volume %u is in phase %d\n", node->name, volume, (int)info.phase);
		}
	}
	run_fail(run, "%s", why);
}

static moment_us
phase_limit(const struct run *run)
{
	moment_us lease_us = (moment_us)run->plan->nodes[0].core.hb_ttl_ms * 1000;

	if (run->plan->recovery && run->calm)
		return RUN_LEASES_MAX * lease_us + 60 * (moment_us)1000000;
	return RUN_TIME_MAX + 4 * run->plan->span_us +
	       (run->plan->recovery ? run->client_count * run->plan->requests * RUN_REQUEST_TIME_MAX : 0);
}

// Since when does the phase wait for something, if not for a client who thinks? (He may for as long as he likes.)
static moment_us
waiting_since(const struct run *run, moment_us began)
{
	moment_us since = run->world->now;

	if (run->clients_busy == 0)
		return began;
	for (size_t i = 0; i < run->client_count; i++) {
		const struct client *client = &run->clients[i];

		if (client->asleep && !client->retired)
			return began;
		if (client->running && client->asked_at < since)
			since = client->asked_at;
	}
	return since;
}

void
run_phase(struct run *run, const char *phase, bool (*is_over)(struct run *run))
{
	moment_us began = run->world->now, limit = phase_limit(run);
	uint64_t events = 0, most = RUN_EVENTS_MAX;

	if (run->plan->recovery)
		most += (uint64_t)run->plan->node_count * RUN_NODE_EVENTS_MAX;
	run->phase = phase;
	trace_add(&run->world->trace, TRACE_WORLD, run->world->now, "phase %s", phase);
	while (!is_over(run)) {
		moment_us next = heap_next(&run->world->heap);
		moment_us until = run->world->now + RUN_SLICE_US;

		if (run->world->now > began + limit && run->world->now > waiting_since(run, began) + limit)
			run_stuck(run, "a request does not end");
		events += world_run(run->world, next != MOMENT_NEVER && next > until ? next : until, most);
		if (events >= most)
			run_stuck(run, "no end after very many events (livelock?)");
	}
}

// One request for each of the drivers (the first client of each), all at once.
static void
run_sync_all(struct run *run, int volume)
{
	const struct node *last = NULL;

	for (size_t i = 0; i < run->client_count; i++) {
		if (run->clients[i].node == last)
			continue;
		last = run->clients[i].node;
		run->clients_busy++;
		workload_request(&run->clients[i], IO_SYNC, volume, 0, 0);
	}
	run_phase(run, "sync", run_clients_idle);
}

static void
run_read(struct run *run, struct client *client, int volume, uint64_t first, uint64_t count)
{
	run->clients_busy++;
	workload_request(client, IO_READ, volume, first, count);
	run_phase(run, "read", run_clients_idle);
}

// What comes too late for one request is there for the next.
static void
run_read_block(struct run *run, struct client *client, int volume, uint64_t first)
{
	int tries = RUN_READ_TRIES;

	do
		run_read(run, client, volume, first, run->registers_per_block);
	while (client->io.error == ERR_TIMED_OUT && --tries > 0);
}

static void
run_read_all(struct run *run, struct client *client)
{
	uint64_t step = RUN_READ_BLOCKS * run->registers_per_block;
	uint64_t total = run->plan->block_count * run->registers_per_block;

	for (int volume = 0; volume < run->plan->volume_count; volume++) {
		for (uint64_t first = 0; first < total; first += step) {
			uint64_t count = total - first < step ? total - first : step;
			bool at_once;

			run_read(run, client, volume, first, count);
			// Where requests have limits, and a child has few places in a directory, much at once may take too long.
			at_once = client->io.error != ERR_TIMED_OUT;
			for (uint64_t i = 0; !at_once && i < count; i += run->registers_per_block)
				run_read_block(run, client, volume, first + i);
		}
	}
}

static void
run_compare_disks(struct run *run)
{
	uint64_t total = (uint64_t)run->plan->volume_count * run->plan->block_count * run->registers_per_block;

	for (uint64_t reg = 0; reg < total; reg++) {
		uint64_t stored = workload_stored(run, reg);

		if (stored != run->final[reg])
			run_fail(run,
				 "register %" PRIu64 " is %#" PRIx64
				 " to its readers, but the disk durably holds %#" PRIx64,
				 reg, run->final[reg], stored);
	}
}

// Heartbeats, lease renewals and the sync daemon go on, each a few times in a lease; nothing else has a reason.
static void
run_quiet(struct run *run)
{
	uint64_t allowed = 1000 + (uint64_t)run->world->node_count * 400;
	moment_us span = (moment_us)run->plan->nodes[0].core.hb_ttl_ms * 1000 * 3;

	run->phase = "quiet";
	trace_add(&run->world->trace, TRACE_WORLD, run->world->now, "phase quiet");
	if (world_run(run->world, run->world->now + span, allowed) >= allowed)
		run_fail(run, "%" PRIu64 " events in three heartbeat leases without any request", allowed);
}

static void
run_stop(struct run *run)
{
	run->ending = true;
	for (int depth = PLAN_DEPTH_MAX; depth >= 0; depth--) {
		for (int i = 0; i < run->world->node_count; i++)
			if (run->plan->nodes[i].depth == depth && !run->world->nodes[i]->stopped)
				world_stop(run->world->nodes[i]);
		run_phase(run, "stop", nodes_stopped);
	}
	for (int i = 0; i < run->world->node_count; i++)
		if (!run->loads[i].retired && journal_file_left(run->world->nodes[i]) > 0)
			run_fail(run, "%s has stopped in order, and its journal has something left", run->world->nodes[i]->name);
}

// ---- Hooks ----

static void
failure_over(void *context, void *arg, uint64_t number)
{
	struct run *run = arg;

	history_failure_over(run->history, number);
}

static void
failure_ends(struct run *run, const struct node *node, size_t number)
{
	moment_us lease_us = (moment_us)node->config.hb_ttl_ms * 1000;

	// A lease by a slow clock, and what the giver adds to it.
	world_at(run->world, run->world->now + lease_us + lease_us / 16 + 20000, failure_over, run, number);
}

void
run_failed(struct run *run, const struct node *node)
{
	if (run->plan->recovery)
		failure_ends(run, node, history_failed(run->history, (uint32_t)node->index));
}

// What those below had sent up through it before the last root died may be refused to them now, though it is well: nobody knows
// any more whether what came since was written over it (F6).
static void
doubt_what_went_through(struct run *run, const struct node *node)
{
	for (int i = 1; i < run->world->node_count; i++)
		run->world->doubts += run->plan->nodes[i].parent == node->index && node->index > 0 && run->world->nodes[0]->starts > 1;
}

void
run_died(struct run *run, const struct node *node)
{
	doubt_what_went_through(run, node);
	if (node->journal == NULL)
		run_failed(run, node);
	else if (run->plan->recovery)
		failure_ends(run, node, history_died(run->history, (uint32_t)node->index));
}

// Its log and a file say so, whether there is a fsync to be told or not.
static void
on_lost(void *arg, struct node *node)
{
	struct run *run = arg;
	struct load *load = &run->loads[node->index];

	if ((node->journal == NULL && !run->plan->byzantine) || load->lost_at == run->world->now + 1)
		return;
	load->lost_at = run->world->now + 1;
	if (node->journal == NULL) { // a liar has claimed, say, what was its own: it is gone from now on, and a fsync will tell
		failure_ends(run, node, history_may_have_failed(run->history, (uint32_t)node->index));
		return;
	}
	run_failed(run, node);
	history_told(run->history, (uint32_t)node->index);
}

static void
on_journal_writes(void *arg, struct node *node)
{
	chaos_journal_writes(arg, node);
}

static void
on_io_done(void *arg, struct world_io *io)
{
	workload_done(arg, io->owner);
}

static void
on_volume_ready(void *arg, struct node *node, uint32_t volume)
{
	struct run *run = arg;

	for (int i = 0; i < run->plan->volume_count; i++) {
		if (world_volume_index(node, run_volume_name(i)) == (int)volume) {
			run->loads[node->index].volume[i] = (int)volume;
			workload_ready(run, node, i);
		}
	}
}

static void
on_stepped(void *arg, struct node *node, const struct event *event)
{
	struct run *run = arg;

	oracle_look(&run->oracle, event);
}

// Does ${node}, which is away, keep bytes that were acknowledged below the root?
static bool
is_away_with_bytes(const struct node *node)
{
	struct volume_info info;

	for (uint32_t volume = 0; node->core != NULL && volume < core_volume_count(node->core); volume++) {
		core_volume_info(node->core, volume, world_clock(node), &info);
		if ((info.phase == PHASE_CUT_OFF || info.phase == PHASE_LAPSED) && info.unstable_blocks > 0)
			return true;
	}
	return false;
}

static void
on_stopped(void *arg, struct node *node, enum hvfs_error error)
{
	struct run *run = arg;

	if (!run->plan->recovery)
		return;
	// The next root does not know what a root that has left in order had of bytes whose way up has died (F6).
	for (int i = 0; node->parent < 0 && node->metadata.clean && i < run->world->node_count; i++)
		run->world->doubts += !run->world->nodes[i]->stopped && is_away_with_bytes(run->world->nodes[i]);
	if (error == ERR_OK)
		workload_left(run, node);
	else
		run_died(run, node);
	workload_died(run, node);
	if (!run->ending)
		chaos_stopped(run, node);
}

// What was only at an evicted node is lost, as if it had died.
static void
on_evicted(void *arg, uint64_t node_id)
{
	struct run *run = arg;
	const struct node *node = world_find_id(run->world, node_id), *gone = world_find_gone(run->world, node_id);

	if (node == run->world->nodes[0] || gone == run->world->nodes[0]) // a liar has said so: a root is nobody's child
		return;
	if (node != NULL && node->journal != NULL)
		failure_ends(run, node, history_evicted(run->history, (uint32_t)node->index));
	else if (node != NULL)
		run_failed(run, node);
	else if (gone != NULL && run->plan->recovery)
		failure_ends(run, gone, history_gone_evicted(run->history, (uint32_t)gone->index));
}

static bool
is_connected(const struct run *run, const struct node *node, const char *volume)
{
	const struct world *world = run->world;
	struct volume_info info;
	int index;

	if (node->stopped && node->journal != NULL)
		return false;
	for (int hops = 0; node->parent >= 0 && hops < world->node_count; hops++) {
		index = node->core != NULL ? world_volume_index(node, volume) : -1;
		if (index < 0)
			return false;
		core_volume_info(node->core, (uint32_t)index, world_clock(node), &info);
		if (!info.parent_connected || info.phase == PHASE_RECOVERING)
			return false;
		node = world->nodes[node->parent];
	}
	return node->parent < 0;
}

// Whoever is cut off by then may find what he had written given to others (F6): he is told when he is here again.
static void
on_grace_over(void *arg, const struct node *root, uint32_t volume)
{
	struct run *run = arg;
	struct volume_info info;

	if (!run->plan->recovery)
		return;
	if (run->plan->crash_loop)
		chaos_serves(run);
	core_volume_info(root->core, volume, world_clock(root), &info);
	for (int i = 0; i < run->world->node_count; i++)
		if (run->world->nodes[i] != root && !is_connected(run, run->world->nodes[i], info.name))
			failure_ends(run, run->world->nodes[i], history_may_have_failed(run->history, (uint32_t)i));
}

// The first register of a block.
static uint64_t
first_register(const struct run *run, const struct disk *disk, uint64_t block)
{
	uint64_t first = block * run->registers_per_block;

	for (int volume = 0; volume < run->plan->volume_count; volume++)
		if (run->disks[volume] == disk)
			first += (uint64_t)volume * run->plan->block_count * run->registers_per_block;
	return first;
}

static void
on_durable(void *arg, struct disk *disk, uint64_t block)
{
	struct run *run = arg;
	uint64_t first = first_register(run, disk, block);

	for (uint64_t i = 0; i < run->registers_per_block; i++)
		history_durable(run->history, first + i, workload_stored(run, first + i));
}

static void
on_reverted(void *arg, struct disk *disk, uint64_t block)
{
	struct run *run = arg;
	uint64_t first = first_register(run, disk, block);

	for (uint64_t i = 0; i < run->registers_per_block; i++)
		history_reverted(run->history, first + i, workload_stored(run, first + i));
}

static void
on_oracle_fail(void *arg, const char *what)
{
	run_fail(arg, "%s", what);
}

// ---- Building ----

static void
run_add_node(struct run *run, int index)
{
	const struct plan_node *plan = &run->plan->nodes[index];
	char name[WORLD_NAME_SIZE];
	struct node *node;

	snprintf(name, sizeof name, "n%d", index);
	node = world_add_node(run->world, name, &plan->core, plan->cache_blocks * run->plan->block_size,
			      plan->cache_ways);
	if (plan->drive.slots > 0)
		world_add_drive(node, &plan->drive);
	if (plan->journal.size > 0)
		world_add_journal(node, &plan->journal);
	if (run->plan->sealed)
		byzantine_add_node(run->plan, node);
	node->timer_late_us = plan->timer_late_us;
	node->answer_late_us = plan->answer_late_us;
	node->clock_offset_us = plan->clock_offset_us;
	node->clock_drift_ppm = plan->clock_drift_ppm;
	for (int volume = 0; volume < run->plan->volume_count; volume++) {
		if (index == 0)
			world_add_root_volume(node, run_volume_name(volume), run->disks[volume], false);
		else if (plan->knows_volumes)
			world_add_child_volume(node, run_volume_name(volume), false);
	}
	if (index > 0)
		world_set_parent(node, run->world->nodes[plan->parent], plan->pipe, plan->dial_after_us);
}

// A root's volumes are ready from the beginning.
static void
root_ready(struct run *run)
{
	struct node *root = run->world->nodes[0];

	for (int volume = 0; volume < run->plan->volume_count && run->plan->nodes[0].has_driver; volume++)
		on_volume_ready(run, root, (uint32_t)world_volume_index(root, run_volume_name(volume)));
}

static void
run_disk(struct run *run, int volume)
{
	const struct plan *plan = run->plan;
	struct disk *disk = disk_create(plan->block_size, plan->block_count);

	if (plan->register_size > disk->sector_size) // a block that is torn has no verifier (docs/security.md, "At rest")
		disk->sector_size = plan->register_size;
	disk->latency_us = plan->store_latency_us;
	disk->sync_us = plan->store_sync_us;
	disk->versions.size_max = plan->versions_size;
	disk->on_durable = on_durable;
	disk->on_reverted = on_reverted;
	disk->arg = run;
	if (plan->initial != 0)
		disk_fill(disk, plan->initial);
	run->disks[volume] = disk;
}

static void
run_build(struct run *run, bool traced)
{
	const struct plan *plan = run->plan;
	uint64_t registers;

	run->world = world_create(plan->seed, plan->block_size);
	run->world->trace.off = !traced;
	if (plan->sealed)
		seals_begin(run->world);
	run->rng.state = plan->seed ^ UINT64_C(0xa5a5a5a55a5a5a5a);
	run->registers_per_block = plan->block_size / plan->register_size;
	registers = (uint64_t)plan->volume_count * plan->block_count * run->registers_per_block;
	run->history = history_create(registers, plan->initial);
	for (int i = 0; i < plan->volume_count; i++)
		run_disk(run, i);
	for (int i = 0; i < plan->node_count; i++)
		run->parents[i] = plan->nodes[i].parent;
	if (plan->recovery)
		history_set_tree(run->history, run->parents);
	run->world->moving = plan->recovery;
	run->world->patient = plan->journals;
	run->world->broken = plan->broken;
	run->world->hooks = (struct world_hooks){
		.arg = run,
		.io_done = on_io_done,
		.volume_ready = on_volume_ready,
		.stepped = on_stepped,
		.stopped = on_stopped,
		.evicted = on_evicted,
		.lost = on_lost,
		.journal_writes = on_journal_writes,
		.grace_over = on_grace_over,
	};
	run->oracle = (struct oracle){.world = run->world,
				      .volume_count = plan->volume_count,
				      .block_count = plan->block_count,
				      .every = plan->oracle_every,
				      .fail = on_oracle_fail,
				      .arg = run};
	for (int i = 0; i < plan->volume_count; i++)
		run->oracle.volume_names[i] = run_volume_name(i);
	run->world->check_every = plan->block_count > 64 || plan->node_count > 30 ? 16 : 1;
	for (int i = 0; i < plan->node_count; i++)
		run_add_node(run, i);
	workload_create(run);
	root_ready(run);
}

void
run_restart(struct run *run, struct node *node)
{
	run->loads[node->index].returns = run->loads[node->index].aborted = false;
	run->restarts++;
	oracle_forget(&run->oracle, node);
	world_restart(node, rng_below(&run->rng, 100000));
	if (node->journal != NULL && node->journal->spoilt) {
		run_failed(run, node); // its log may say so; a fsync does not
		run->world->doubts++;  // what is brought may be refused, long after it was durable
	}
	if (node->index == 0)
		root_ready(run);
}

// ---- The whole ----

static void
run_judge(struct run *run)
{
	struct history_counts counts;

	run->phase = "judge";
	if (run->plan->byzantine)
		byzantine_judge(run);
	history_get_counts(run->history, &counts);
	if (!history_check(run->history))
		run_fail(run, "the history is wrong");
	if (counts.reads == 0 || (run->oracle.readable_looks == 0 && !run->plan->byzantine)) // liars may leave one node
		run_fail(run, "nothing was tested: %" PRIu64 " reads, %" PRIu64 " looks", counts.reads,
			 run->oracle.readable_looks);
}

static struct client *
run_reader(struct run *run)
{
	size_t index = rng_below(&run->rng, run->client_count);

	while (run->clients[index].retired || run->clients[index].node->stopped)
		index = (index + 1) % run->client_count;
	for (size_t i = 0; i < run->client_count; i++) {
		struct client *client = &run->clients[(index + i) % run->client_count];

		if (!client->retired && !client->node->stopped && byzantine_believes(run, client->node))
			return client;
	}
	return &run->clients[index];
}

// Is anybody left who writes? The fsync of who only reads does not go up (R14): what the dead have left at the root is on stable
// storage when that leaves, not before.
static bool
has_writer(const struct run *run)
{
	for (size_t i = 0; i < run->client_count; i++) {
		const struct client *client = &run->clients[i];

		if (!client->retired && !client->node->stopped && !run->plan->nodes[client->node->index].only_reads)
			return true;
	}
	return false;
}

static void
run_load(struct run *run)
{
	const struct plan *plan = run->plan;

	if (plan->reshape)
		reshape_schedule(run);
	if (plan->recovery)
		chaos_schedule(run, plan->span_us);
	else
		faults_schedule(run, plan->requests * (plan->think_us + 20000) + 500000);
	if (plan->byzantine)
		byzantine_schedule(run);
	run_phase(run, "load", run_clients_idle);
	if (plan->byzantine)
		run_phase(run, "lies", byzantine_is_over);
	run->calm = true;
	if (plan->recovery)
		settle(run);
	else
		for (int volume = 0; volume < plan->volume_count; volume++)
			run_sync_all(run, volume);
}

static void
run_phases(struct run *run)
{
	const struct plan *plan = run->plan;
	uint64_t registers = (uint64_t)plan->volume_count * plan->block_count * run->registers_per_block;
	bool final_is_right = true;

	run_load(run);
	run->final = calloc(registers, sizeof *run->final);
	CHECK(run->final != NULL);
	for (int i = 0; i < 2; i++) {
		struct client *reader = run_reader(run);

		run_read_all(run, reader);
		final_is_right = byzantine_believes(run, reader->node);
		if (has_writer(run) && final_is_right) // who was lied to may yet have old copies of what nobody has written since
			run_compare_disks(run);
	}
	oracle_look_at_all(&run->oracle);
	if (plan->recovery)
		settle_check(run);
	run_quiet(run);
	run_stop(run);
	if (final_is_right)
		run_compare_disks(run);
	run_judge(run);
}

uint64_t
run_plan(const struct plan *plan, bool traced, void (*sink)(void *arg, enum trace_kind kind, const char *line))
{
	struct run *run = calloc(1, sizeof *run);
	uint64_t hash;

	CHECK(run != NULL);
	run->plan = plan;
	run->phase = "build";
	run_build(run, traced);
	current = run;
	signal(SIGABRT, run_aborted);
	signal(SIGSEGV, run_aborted);
	run->world->trace.sink = sink;
	run_phases(run);
	current = NULL;
	hash = run->world->trace.hash;
	totals_add(run);
	oracle_fini(&run->oracle);
	world_destroy(run->world);
	history_destroy(run->history);
	workload_destroy(run);
	free(run->final);
	free(run);
	return hash;
}
