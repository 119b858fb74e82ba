// SPDX-License-Identifier: MIT
#include "tests/sim/chaos.h"

#include "core/check.h"
#include "tests/sim/run.h"

#include <string.h>

const char *
chaos_name(enum chaos_kind kind)
{
	static const char *const names[CHAOS_COUNT] = {
#define X(name, text) text,
		CHAOS_KINDS(X)
#undef X
	};

	return names[kind];
}

// ---- Whom, and for how long ----

static moment_us
draw_span(struct run *run)
{
	const struct chaos_plan *chaos = &run->plan->chaos;
	moment_us longest_us = chaos->longest_us;

	if (!run->plan->fair && rng_chance(&run->rng, 40)) // often not longer than a lease
		longest_us /= 3;
	return rng_between(&run->rng, chaos->shortest_us,
			   longest_us > chaos->shortest_us ? longest_us : chaos->shortest_us);
}

static moment_us
in_a_while(struct run *run, moment_us after_us)
{
	return run->world->now + after_us;
}

static bool
is_alive(const struct node *node)
{
	return !node->stopped && !node->stopping;
}

static bool
has_children(const struct run *run, int index)
{
	for (int i = 1; i < run->plan->node_count; i++)
		if (run->plan->nodes[i].parent == index)
			return true;
	return false;
}

enum role { ROLE_ANY, ROLE_CHILD, ROLE_LEAF, ROLE_PROXY, ROLE_ROOT, ROLE_JOURNAL };

static bool
role_is(const struct run *run, int index, enum role role)
{
	switch (role) {
	case ROLE_ANY:
		return true;
	case ROLE_CHILD:
		return index > 0;
	case ROLE_LEAF:
		return index > 0 && !has_children(run, index);
	case ROLE_PROXY:
		return index > 0 && has_children(run, index);
	case ROLE_JOURNAL:
		return run->world->nodes[index]->journal != NULL;
	default:
		return index == 0;
	}
}

// A living node of that role, or NULL.
static struct node *
draw_node(struct run *run, enum role role)
{
	int count = run->world->node_count, index = (int)rng_below(&run->rng, (uint64_t)count);

	for (int i = 0; i < count; i++, index = (index + 1) % count)
		if (role_is(run, index, role) && is_alive(run->world->nodes[index]))
			return run->world->nodes[index];
	return NULL;
}

// ---- Links ----

static bool
chaos_cut(struct run *run, bool half_open)
{
	struct node *node = draw_node(run, ROLE_CHILD);
	moment_us soon_us = (moment_us)run->plan->nodes[0].core.hb_ttl_ms * 1000 / 40 + 1;
	moment_us child = rng_below(&run->rng, soon_us), parent = rng_below(&run->rng, soon_us);

	if (node == NULL || node->uplink == NULL)
		return false;
	if (half_open && rng_chance(&run->rng, 50))
		child = draw_span(run);
	else if (half_open)
		parent = draw_span(run);
	world_cut(node, child, parent, rng_below(&run->rng, soon_us));
	return true;
}

// A way that was blocked for long may turn out to be broken.
static void
way_breaks(void *context, void *arg, uint64_t index)
{
	struct run *run = arg;
	struct node *node = run->world->nodes[index];

	if (!run->calm && is_alive(node))
		world_cut(node, rng_below(&run->rng, 10000), rng_below(&run->rng, 10000), 1);
}

static bool
chaos_clog(struct run *run, bool one_way)
{
	struct node *node = draw_node(run, ROLE_CHILD), *parent;
	moment_us span = draw_span(run);
	bool up = rng_chance(&run->rng, 50);

	if (node == NULL)
		return false;
	parent = run->world->nodes[node->parent];
	if (!one_way && span > 5000000)
		span = rng_below(&run->rng, 5000000);
	if (!one_way || up)
		world_block(node, parent, in_a_while(run, span));
	if (!one_way || !up)
		world_block(parent, node, in_a_while(run, span));
	if (one_way && rng_chance(&run->rng, 30))
		world_at(run->world, in_a_while(run, span), way_breaks, run, (uint64_t)node->index);
	return true;
}

// Cut off a subtree, or any nodes.
static bool
chaos_partition(struct run *run)
{
	bool inside[PLAN_NODES_MAX] = {false};
	struct node *top = draw_node(run, ROLE_CHILD);
	bool subtree = rng_chance(&run->rng, 60);

	if (top == NULL)
		return false;
	inside[top->index] = true;
	for (int i = top->index + 1; i < run->plan->node_count; i++)
		inside[i] = subtree ? inside[run->plan->nodes[i].parent] : rng_chance(&run->rng, 40);
	world_partition(run->world, inside, in_a_while(run, draw_span(run)));
	return true;
}

// ---- Processes that do not run ----

static bool
chaos_pause(struct run *run, bool host)
{
	struct node *node = draw_node(run, ROLE_ANY);
	moment_us until = in_a_while(run, draw_span(run));
	bool inside[PLAN_NODES_MAX] = {false};

	if (node == NULL)
		return false;
	world_pause(node, until);
	inside[node->index] = true;
	if (host)
		world_partition(run->world, inside, until);
	return true;
}

// ---- Deaths ----

static void
come_back(void *context, void *arg, uint64_t number)
{
	struct run *run = arg;
	struct node *node = run->world->nodes[number >> 32];

	if (node->starts == (uint32_t)number && node->stopped && run->loads[node->index].returns)
		run_restart(run, node);
}

// Are there enough others that will be there in the end?
static bool
may_stay_dead(const struct run *run, const struct node *node)
{
	int others = 0;

	for (int i = 0; i < run->plan->node_count; i++)
		others += i != node->index && run->plan->nodes[i].has_driver && !run->loads[i].retired;
	return node->index > 0 && others >= 2;
}

// ${node} has stopped: it comes back some time later, or never.
static void
plan_return(struct run *run, struct node *node)
{
	struct load *load = &run->loads[node->index];

	load->returns = !may_stay_dead(run, node) || !rng_chance(&run->rng, run->plan->chaos.stay_dead_percent);
	if (load->returns)
		world_at(run->world, in_a_while(run, rng_chance(&run->rng, 20) ? 1 : draw_span(run)), come_back, run,
			 (uint64_t)node->index << 32 | node->starts);
	else
		workload_retire(run, node);
}

static void
die(struct run *run, struct node *node, bool power)
{
	moment_us noticed_us = rng_chance(&run->rng, 50) ? draw_span(run) : 0;

	trace_add(&run->world->trace, TRACE_WORLD, run->world->now, "%s is killed", node->name);
	run_died(run, node);
	if (power)
		world_crash(node, noticed_us);
	else
		world_kill(node);
	workload_died(run, node);
	if (power && node->index == 0)
		workload_claim_all(run);
}

void
chaos_restart(struct run *run, struct node *node)
{
	die(run, node, false);
	run->loads[node->index].returns = true;
	run_restart(run, node);
}

static bool
chaos_death(struct run *run, enum role role)
{
	struct node *node = draw_node(run, role);

	if (node == NULL)
		return false;
	die(run, node, rng_chance(&run->rng, 50));
	plan_return(run, node);
	return true;
}

static bool
chaos_journal(struct run *run)
{
	struct node *node = draw_node(run, ROLE_JOURNAL);

	if (node != NULL)
		run->loads[node->index].doomed = true;
	return node != NULL;
}

static void
doomed_dies(void *context, void *arg, uint64_t number)
{
	struct run *run = arg;
	struct node *node = run->world->nodes[number >> 32];

	if (run->calm || node->starts != (uint32_t)number || !is_alive(node))
		return;
	die(run, node, rng_chance(&run->rng, 50));
	plan_return(run, node);
}

void
chaos_journal_writes(struct run *run, struct node *node)
{
	struct load *load = &run->loads[node->index];
	moment_us most_us = node->journal->config.latency_us * (rng_chance(&run->rng, 50) ? 1 : 20);

	if (load->doomed)
		world_at(run->world, in_a_while(run, rng_below(&run->rng, most_us + 1)), doomed_dies, run,
			 (uint64_t)node->index << 32 | node->starts);
	load->doomed = false;
}

// Often before the answers of its grace time have come.
void
chaos_serves(struct run *run)
{
	struct node *root = run->world->nodes[0];
	moment_us longest_us = rng_chance(&run->rng, 70) ? 20000 : (moment_us)run->plan->nodes[0].core.hb_ttl_ms * 1000 / 8;

	if (rng_chance(&run->rng, 70))
		world_at(run->world, in_a_while(run, rng_below(&run->rng, longest_us)), doomed_dies, run, root->starts);
}

static void
aborted_dies(void *context, void *arg, uint64_t number)
{
	struct run *run = arg;
	struct node *node = run->world->nodes[number >> 32];

	if (run->calm || node->starts != (uint32_t)number || !is_alive(node))
		return; // chaos_heal
	die(run, node, false);
	plan_return(run, node);
}

// Its programs end; what was written there and is nowhere else is lost at once, and may not come later.
static bool
chaos_abort(struct run *run)
{
	struct node *node = draw_node(run, ROLE_LEAF);

	if (node == NULL || node->paused_until > 0 || run->loads[node->index].aborted)
		return false;
	trace_add(&run->world->trace, TRACE_WORLD, run->world->now, "%s is aborted", node->name);
	run->loads[node->index].aborted = true;
	run->loads[node->index].doomed |= node->journal != NULL && rng_chance(&run->rng, 50);
	run_failed(run, node);
	workload_died(run, node);
	for (uint32_t i = 0; i < core_volume_count(node->core); i++)
		world_step(node, &(struct event){.type = EVENT_ABORT, .volume = i});
	world_at(run->world, in_a_while(run, draw_span(run)), aborted_dies, run, (uint64_t)node->index << 32 | node->starts);
	return true;
}

static void
right_is_back(void *context, void *arg, uint64_t index)
{
	struct run *run = arg;

	world_set_right(run->world->nodes[index], RIGHT_WRITE);
}

// Its parents let it only read for a while, or nothing. What it has comes home before, if it is there; else it is as anybody who is
// away.
static bool
chaos_right(struct run *run)
{
	struct node *node = draw_node(run, ROLE_CHILD);

	if (node == NULL || node->right != RIGHT_WRITE)
		return false;
	world_set_right(node, rng_chance(&run->rng, 60) ? RIGHT_READ : RIGHT_NONE);
	world_at(run->world, in_a_while(run, draw_span(run)), right_is_back, run, (uint64_t)node->index);
	return true;
}

static bool
chaos_leave(struct run *run)
{
	struct node *node = draw_node(run, ROLE_ANY);

	if (node == NULL || node->paused_until > 0)
		return false;
	world_stop(node);
	return true;
}

// (All may be healed by then: the last of those who are needed is among them.)
void
chaos_stopped(struct run *run, struct node *node)
{
	plan_return(run, node);
}

// ---- The disk ----

static struct disk *
draw_disk(struct run *run)
{
	return run->disks[rng_below(&run->rng, (uint64_t)run->plan->volume_count)];
}

static void
disk_recovers(void *context, void *arg, uint64_t number)
{
	struct run *run = arg;

	for (int i = 0; i < run->plan->volume_count; i++)
		run->disks[i]->slow = run->disks[i]->fail_reads = run->disks[i]->fail_writes = 0;
}

static bool
chaos_disk(struct run *run, bool slow)
{
	struct disk *disk = draw_disk(run);
	moment_us span = draw_span(run);

	if (slow) {
		disk->slow = (unsigned)rng_between(&run->rng, 2, 100);
	} else {
		disk->fail_reads = rng_chance(&run->rng, 60) ? (unsigned)rng_between(&run->rng, 10, 100) : 0;
		disk->fail_writes = disk->fail_reads == 0 || rng_chance(&run->rng, 50) ? 100 : 0;
	}
	trace_add(&run->world->trace, TRACE_WORLD, run->world->now, "the disk %s for %llu ms",
		  slow ? "is slow" : "fails", (unsigned long long)(span / 1000));
	world_at(run->world, in_a_while(run, span), disk_recovers, run, 0);
	return true;
}

// Nothing but a new start of the root helps.
static void
root_is_restarted(void *context, void *arg, uint64_t starts)
{
	struct run *run = arg;
	struct node *root = run->world->nodes[0];

	if (root->starts != starts || !is_alive(root))
		return;
	if (rng_chance(&run->rng, 30)) {
		world_stop(root);
	} else {
		die(run, root, rng_chance(&run->rng, 30));
		plan_return(run, root);
	}
}

static bool
chaos_sync_error(struct run *run)
{
	draw_disk(run)->fail_syncs = true;
	trace_add(&run->world->trace, TRACE_WORLD, run->world->now, "the disk will fail to sync");
	world_at(run->world, in_a_while(run, draw_span(run)), root_is_restarted, run, run->world->nodes[0]->starts);
	return true;
}

// ---- All of them ----

static bool
chaos_do(struct run *run, enum chaos_kind kind)
{
	switch (kind) {
	case CHAOS_CUT:
	case CHAOS_HALF_OPEN:
		return chaos_cut(run, kind == CHAOS_HALF_OPEN);
	case CHAOS_CLOG:
	case CHAOS_ONE_WAY:
		return chaos_clog(run, kind == CHAOS_ONE_WAY);
	case CHAOS_PARTITION:
		return chaos_partition(run);
	case CHAOS_PAUSE:
	case CHAOS_SUSPEND:
		return chaos_pause(run, kind == CHAOS_SUSPEND);
	case CHAOS_LEAF:
		return chaos_death(run, ROLE_LEAF);
	case CHAOS_PROXY:
		return chaos_death(run, ROLE_PROXY);
	case CHAOS_ROOT:
		return chaos_death(run, ROLE_ROOT);
	case CHAOS_LEAVE:
		return chaos_leave(run);
	case CHAOS_SLOW_DISK:
	case CHAOS_DISK_ERROR:
		return chaos_disk(run, kind == CHAOS_SLOW_DISK);
	case CHAOS_SYNC_ERROR:
		return chaos_sync_error(run);
	case CHAOS_ABORT:
		return chaos_abort(run);
	case CHAOS_RIGHT:
		return chaos_right(run);
	case CHAOS_JOURNAL:
		return chaos_journal(run);
	case CHAOS_COUNT:
		break;
	}
	return false;
}

static void
chaos_due(void *context, void *arg, uint64_t kind)
{
	struct run *run = arg;

	if (!run->calm && chaos_do(run, (enum chaos_kind)kind))
		run->faults_done[kind]++;
}

void
chaos_schedule(struct run *run, moment_us span_us)
{
	for (unsigned kind = 0; kind < CHAOS_COUNT; kind++)
		for (unsigned i = 0; i < run->plan->chaos.count[kind]; i++)
			world_at(run->world, in_a_while(run, rng_below(&run->rng, span_us)), chaos_due, run, kind);
}

static bool
disks_broken(const struct run *run)
{
	for (int i = 0; i < run->plan->volume_count; i++)
		if (run->disks[i]->sync_broken || run->disks[i]->fail_syncs)
			return true;
	return false;
}

void
chaos_heal(struct run *run)
{
	struct node *root = run->world->nodes[0];

	world_unblock(run->world);
	disk_recovers(NULL, run, 0);
	for (int i = 0; i < run->world->node_count; i++)
		world_resume(run->world->nodes[i]);
	for (int i = 0; i < run->world->node_count; i++)
		if (run->world->nodes[i]->right != RIGHT_WRITE)
			world_set_right(run->world->nodes[i], RIGHT_WRITE);
	if (!root->stopped && (disks_broken(run) || root->stopping)) // it may wait for who is gone, and is needed
		die(run, root, false);
	for (int i = 0; i < run->world->node_count; i++) {
		if (!run->loads[i].aborted || !is_alive(run->world->nodes[i]))
			continue;
		die(run, run->world->nodes[i], false);
		run->loads[i].returns = true;
	}
	for (int i = 0; i < run->world->node_count; i++)
		if (run->world->nodes[i]->stopped && (i == 0 || run->loads[i].returns))
			run_restart(run, run->world->nodes[i]);
}
