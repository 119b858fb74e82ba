// SPDX-License-Identifier: MIT
// What must be true when the faults of a recovery run are over: everybody gets through to the root again, every request
// ends, a fsync of everybody succeeds (a node that lost something is told first), every mount reads and writes every
// block, and nothing is left frozen, dirty or pinned anywhere.
#include "tests/sim/run.h"

#include "cache/journal.h"
#include "core/check.h"
#include "tests/sim/byzantine.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
	ATTACH_LEASES = 3,        // until everybody is let back,
	ATTACH_US = 20 * 1000000, // with some dials
	SETTLE_SYNCS = 5,         // tries until a fsync succeeds
	SETTLE_GROUP = 32,        // so many requests at once, where they may time out,
	SETTLE_WRITERS = 2,       // and so many writes
	SETTLE_US = 10 * 1000000, // longer than the oldest dirty block
	SPARE_BLOCKS = 160,       // beyond a cache: victims, what is under way
};

static bool
is_there(const struct run *run, int index)
{
	return !run->world->nodes[index]->stopped;
}

static bool
all_ready(struct run *run)
{
	for (int i = 0; i < run->plan->node_count; i++) {
		const struct node *node = run->world->nodes[i];

		if (node->stopping && !node->stopped)
			return false;
		if (node->stopped && run->loads[i].returns)
			return false;
		for (int k = 0; k < run->plan->volume_count; k++)
			if (!node->stopped && run->plan->nodes[i].has_driver && !run->loads[i].ready[k])
				return false;
	}
	return true;
}

// Is it one that the plan has? What children have asked for that does not exist is none.
static bool
is_planned(const struct run *run, const struct volume_info *info)
{
	for (int i = 0; i < run->plan->volume_count; i++)
		if (strcmp(info->name, run_volume_name(i)) == 0)
			return true;
	return false;
}

// ---- A way up ----

// Is the way up of everybody whole, down to what he held before, and no root in its grace time?
static bool
all_attached(struct run *run)
{
	struct volume_info info;

	for (int i = 0; i < run->plan->node_count; i++) {
		const struct node *node = run->world->nodes[i];

		if (!is_there(run, i))
			continue;
		if (i > 0 && !world_has_uplink(node))
			return false;
		for (uint32_t volume = 0; volume < core_volume_count(node->core); volume++) {
			core_volume_info(node->core, volume, world_clock(node), &info);
			if (info.phase != PHASE_SERVING && is_planned(run, &info))
				return false;
		}
	}
	return true;
}

// Requests that may not wait, or not for long, rightly fail until their node is let back. That is bounded: a grace
// time, an eviction behind it (a lease and a quarter), their margins, and some dials and answers that do not come.
static void
attach(struct run *run)
{
	moment_us lease_us = (moment_us)run->plan->nodes[0].core.hb_ttl_ms * 1000;
	moment_us limit = run->world->now + ATTACH_LEASES * lease_us + ATTACH_US;

	run_phase(run, "attach", all_attached);
	if (run->world->now > limit)
		run_fail(run, "somebody was not let back in time");
}

// ---- Everybody ----

// The next client from number ${*at} on that is the first of a node which is there; NULL at the end.
static struct client *
next_first(struct run *run, size_t *at)
{
	while (*at < run->client_count) {
		struct client *client = &run->clients[(*at)++];
		bool first = client == run->clients || client[-1].node != client->node;

		if (first && !client->retired && !client->node->stopped)
			return client;
	}
	return NULL;
}

// The first client of each node that is there makes a request; the phase is over when all have ended. Where a request
// may time out they come in groups: many writers of one block may rightly take longer than one of them is to wait. (The
// way of a block from one leaf to another, eight deep, is 32 messages: on slow links 2.6 s, where the limit may be 5.3 s.)
static void
everybody(struct run *run, const char *phase, enum io_kind kind, int volume, uint64_t first, uint64_t count)
{
	unsigned asked = 0, group = kind == IO_WRITE ? SETTLE_WRITERS : SETTLE_GROUP;
	size_t at = 0;

	for (struct client *client; (client = next_first(run, &at)) != NULL;) {
		if (kind == IO_WRITE && run->plan->nodes[client->node->index].only_reads)
			continue;
		run->clients_busy++;
		workload_request(client, kind, volume, first, count);
		if (++asked % group == 0 && run->plan->may_time_out)
			run_phase(run, phase, run_clients_idle);
	}
	run_phase(run, phase, run_clients_idle);
}

static bool
all_succeeded(struct run *run)
{
	size_t at = 0;

	for (struct client *client; (client = next_first(run, &at)) != NULL;)
		if (client->io.error != ERR_OK)
			return false;
	return true;
}

// What was sent by way of a liar, and has not come to the root, is not proven any more, and can not be written over where it is lost
// above: only a restart helps (docs/security.md, "Cookies"). Returns whether there was anybody who has lied.
static bool
restart_unproven(struct run *run)
{
	size_t at = 0;

	if (!run->plan->byzantine)
		return false;
	for (struct client *client; (client = next_first(run, &at)) != NULL;)
		if (client->io.error != ERR_OK)
			chaos_restart(run, client->node);
	run->healed_at = run->world->now; // theirs are the last leases of who is gone
	run_phase(run, "heal", all_ready);
	attach(run);
	return true;
}

static void
sync_all(struct run *run)
{
	for (int volume = 0; volume < run->plan->volume_count; volume++) {
		for (int i = 0;; i++) {
			everybody(run, "sync", IO_SYNC, volume, 0, 0);
			if (all_succeeded(run))
				break;
			if (i == SETTLE_SYNCS && !restart_unproven(run))
				run_fail(run, "fsync fails again and again after the faults");
			if (i == 2 * SETTLE_SYNCS)
				run_fail(run, "fsync fails again and again, also after a restart");
		}
	}
}

static void
touch_all(struct run *run)
{
	uint64_t count = run->plan->block_count < SETTLE_BLOCKS ? run->plan->block_count : SETTLE_BLOCKS;
	uint64_t per_block = run->registers_per_block;

	for (int volume = 0; volume < run->plan->volume_count; volume++) {
		for (uint64_t block = 0; block < count; block++) {
			everybody(run, "touch (write)", IO_WRITE, volume,
				  block * per_block + rng_below(&run->rng, per_block), 1);
			everybody(run, "touch (read)", IO_READ, volume, block * per_block, per_block);
		}
	}
}

// ---- What is left ----

// Blocks that the cache of ${node} can hold, now or at first, and a few.
static uint64_t
room(const struct run *run, const struct node *node)
{
	uint64_t planned = run->plan->nodes[node->index].cache_blocks;
	struct stack_stats stats;

	stack_get_stats(node->cache, &stats);
	stats.size /= run->plan->block_size;
	return (stats.size > planned ? stats.size : planned) + SPARE_BLOCKS;
}

// Blocks that all caches together can hold: nobody needs to know of more.
static uint64_t
cache_blocks(const struct run *run)
{
	uint64_t sum = 0;

	for (int i = 0; i < run->plan->node_count; i++)
		sum += room(run, run->world->nodes[i]);
	return sum;
}

static void
volume_check(struct run *run, struct node *node, uint32_t volume, bool phases)
{
	const struct plan_node *plan = &run->plan->nodes[node->index];
	uint64_t spare = room(run, node), unstable_max = 0;
	struct volume_info info;

	core_volume_info(node->core, volume, world_clock(node), &info);
	// A node with children makes durable what they send after its own fsync when that has got old, or much; so it does
	// what it brings up in their place when it gives them up, perhaps only now that somebody reads it.
	if (node->has_had_children)
		unstable_max = plan->core.dirty_max > spare ? plan->core.dirty_max : spare;
	if ((info.dirty_blocks > 0 && !node->has_had_children) || info.waiting > 0 ||
	    info.dirty_blocks + info.unstable_blocks > unstable_max)
		run_fail(run,
			 "%s, volume %u: %" PRIu64 " blocks are dirty, %" PRIu64 " unstable, %" PRIu64
			 " requests wait when everything is synced",
			 node->name, volume, info.dirty_blocks, info.unstable_blocks, info.waiting);
	if (phases && info.phase != PHASE_SERVING && is_planned(run, &info))
		run_fail(run, "%s, volume %u: phase %d when all is well", node->name, volume, (int)info.phase);
	if (info.table_blocks > cache_blocks(run))
		run_fail(run, "%s, volume %u: %" PRIu64 " blocks in the table", node->name, volume, info.table_blocks);
	if (info.pool != NULL && buf_pool_used(info.pool) > spare)
		run_fail(run, "%s: %zu buffers are in use", node->name, buf_pool_used(info.pool));
}

// What is durable at the root is not in a journal any more.
static void
journal_check_left(struct run *run, struct node *node)
{
	struct volume_info info;
	struct journal_stats stats;
	uint64_t unstable = 0;

	if (node->journal == NULL)
		return;
	journal_get_stats(node->journal->journal, &stats);
	for (uint32_t volume = 0; volume < core_volume_count(node->core); volume++) {
		core_volume_info(node->core, volume, world_clock(node), &info);
		unstable += info.unstable_blocks;
	}
	if (stats.blocks > unstable)
		run_fail(run, "%s: %" PRIu64 " blocks are in the journal, and %" PRIu64 " are unstable", node->name,
			 stats.blocks, unstable);
}

static void
children_check(struct run *run, struct node *node)
{
	struct child_info info;

	for (uint32_t at = 0; core_child_info(node->core, &at, world_clock(node), &info);)
		if (info.phase == CHILD_EVICTING || (info.phase != CHILD_CONNECTED && info.blocks_write > 0))
			run_fail(run, "%s: child %s is in phase %d and has %" PRIu64 " blocks for writing", node->name,
				 info.name, (int)info.phase, info.blocks_write);
}

// Does this core tell in which phase a volume is?
static bool
has_phases(const struct run *run)
{
	struct volume_info info;

	core_volume_info(run->world->nodes[0]->core, 0, world_clock(run->world->nodes[0]), &info);
	return info.phase != PHASE_STARTING;
}

static void
leftovers_check(struct run *run)
{
	bool phases = has_phases(run);

	for (int i = 0; i < run->plan->node_count; i++) {
		struct node *node = run->world->nodes[i];

		if (!is_there(run, i))
			continue;
		for (uint32_t volume = 0; volume < core_volume_count(node->core); volume++)
			volume_check(run, node, volume, phases);
		journal_check_left(run, node);
		if (phases)
			children_check(run, node);
	}
}

// ---- The whole ----

void
settle(struct run *run)
{
	run->calm = true;
	chaos_heal(run);
	run->healed_at = run->world->now;
	run_phase(run, "heal", all_ready);
	if (run->plan->may_cut_off || run->plan->may_time_out || run->plan->byzantine)
		attach(run);
	sync_all(run);
	run->strict = true;
	touch_all(run);
	sync_all(run);
	if (!run->plan->byzantine)
		return;
	history_settled(run->history);
	touch_all(run);
	sync_all(run);
}

// A root may have been started only just now, and everything since then have been served by copies.
static bool
grace_is_over(struct run *run)
{
	const struct node *root = run->world->nodes[0];
	struct volume_info info;

	for (uint32_t volume = 0; is_there(run, 0) && volume < core_volume_count(root->core); volume++) {
		core_volume_info(root->core, volume, world_clock(root), &info);
		if (info.phase == PHASE_GRACE)
			return false;
	}
	return true;
}

void
settle_check(struct run *run)
{
	if (run->plan->recovery)
		run_phase(run, "grace", grace_is_over);
	run->phase = "settle";
	world_run(run->world, run->world->now + SETTLE_US, UINT64_MAX);
	leftovers_check(run);
}
