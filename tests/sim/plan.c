// SPDX-License-Identifier: MIT
// Swarm testing: each class of settings (short leases, tiny caches, slow links, faults, ...) is off in about half of
// the seeds, so that one does not hide what another would show. Leases are kept longer than the slowest round trip
// through the tree: shorter ones give no progress, which is no defect.
#include "tests/sim/plan.h"

#include <stdio.h>
#include <string.h>

static int
draw_node_count(struct rng *rng)
{
	unsigned kind = (unsigned)rng_below(rng, 100);

	if (kind < 75)
		return (int)rng_between(rng, 3, 10);
	if (kind < 97)
		return (int)rng_between(rng, 11, 30);
	return (int)rng_between(rng, 31, PLAN_NODES_MAX);
}

// A parent for node ${index}: deep trees prefer the newest node, flat ones the root.
static int
draw_parent(struct rng *rng, const struct plan *plan, int index, unsigned deep_percent, unsigned flat_percent)
{
	int parent = (int)rng_below(rng, (uint64_t)index);

	if (rng_chance(rng, deep_percent))
		parent = index - 1;
	else if (rng_chance(rng, flat_percent))
		parent = 0;
	while (plan->nodes[parent].depth >= PLAN_DEPTH_MAX)
		parent = plan->nodes[parent].parent;
	return parent;
}

static void
draw_tree(struct rng *rng, struct plan *plan)
{
	unsigned deep = (unsigned)rng_below(rng, 90), flat = (unsigned)rng_below(rng, 90);
	unsigned drivers = (unsigned)rng_between(rng, 20, 100), readers = rng_chance(rng, 50) ? 40 : 0;
	bool has_children[PLAN_NODES_MAX] = {false};

	plan->nodes[0].parent = WORLD_NO_NODE;
	for (int i = 1; i < plan->node_count; i++) {
		struct plan_node *node = &plan->nodes[i];

		node->parent = draw_parent(rng, plan, i, deep, flat);
		node->depth = plan->nodes[node->parent].depth + 1;
		has_children[node->parent] = true;
	}
	for (int i = 0; i < plan->node_count; i++) {
		plan->nodes[i].has_driver = !has_children[i] || rng_chance(rng, drivers);
		plan->nodes[i].only_reads = i > 1 && !has_children[i] && rng_chance(rng, readers);
		plan->nodes[i].knows_volumes = plan->nodes[i].has_driver || rng_chance(rng, 50);
	}
}

// Returns the longest time that a message and its answer take between two neighbours, with some room.
static moment_us
draw_links(struct rng *rng, struct plan *plan)
{
	bool slow = rng_chance(rng, 50), jitter = rng_chance(rng, 60), narrow = rng_chance(rng, 30);
	moment_us delay_max = slow ? 30000 : 300, jitter_max = jitter ? (slow ? 50000 : 2000) : 0;
	uint64_t rate = narrow ? UINT64_C(200000) << rng_below(rng, 6) : 0;

	for (int i = 1; i < plan->node_count; i++) {
		for (int d = 0; d < 2; d++) {
			plan->nodes[i].pipe[d].delay_us = rng_below(rng, delay_max + 1);
			plan->nodes[i].pipe[d].jitter_us = rng_below(rng, jitter_max + 1);
			plan->nodes[i].pipe[d].bytes_per_s = rate;
		}
		plan->nodes[i].dial_after_us = rng_below(rng, 300000);
	}
	return 2 * (delay_max + 8 * jitter_max) + (narrow ? 3000000 : 0);
}

static void
draw_load(struct rng *rng, struct plan *plan)
{
	static const uint64_t sizes[] = {1, 2, 3, 8, 16, 64, 64, 300, 4096};
	unsigned total = (unsigned)rng_between(rng, 100, 600);
	int drivers = 0;

	plan->volume_count = rng_chance(rng, 20) ? 2 : 1;
	plan->block_count = sizes[rng_below(rng, sizeof sizes / sizeof sizes[0])];
	plan->register_size = rng_chance(rng, 50) ? 64 : PLAN_BLOCK_SIZE;
	plan->initial = plan->block_count <= 64 && rng_chance(rng, 70) ? UINT64_C(0xffff000000000001) : 0;
	plan->store_latency_us = rng_chance(rng, 20) ? 0 : (unsigned)rng_between(rng, 10, 10000);
	plan->store_sync_us = rng_chance(rng, 20) ? 0 : (unsigned)rng_between(rng, 10, 30000);
	plan->clients_per_node = (int)rng_between(rng, 1, 3);
	for (int i = 0; i < plan->node_count; i++)
		drivers += plan->nodes[i].has_driver;
	plan->requests = total / (unsigned)(drivers * plan->clients_per_node) + 3;
	plan->hot_blocks = (unsigned)rng_between(rng, 1, 4);
	plan->think_us = rng_chance(rng, 50) ? rng_between(rng, 1, 2000) : rng_between(rng, 1000, 200000);
	plan->write_percent = (unsigned)rng_between(rng, 10, 80);
	plan->sync_percent = (unsigned)rng_below(rng, 20);
	plan->zero_percent = plan->initial != 0 && rng_chance(rng, 60) ? 4 : 0;
	plan->cancel_percent = rng_chance(rng, 20) ? 5 : 0;
	plan->run_blocks = rng_chance(rng, 50) ? 1 : rng_between(rng, 1, 24);
}

static void
draw_leases(struct rng *rng, struct plan *plan, moment_us round_trip_us)
{
	uint32_t least_ms = (uint32_t)(round_trip_us / 1000) * 12 + 400;
	bool short_ttl = rng_chance(rng, 40), short_hb = rng_chance(rng, 40);
	uint32_t ttl_ms = (uint32_t)rng_between(rng, least_ms, 4 * least_ms);
	uint32_t hb_ms = (uint32_t)rng_between(rng, least_ms, 4 * least_ms);

	for (int i = 0; i < plan->node_count; i++) {
		if (short_ttl)
			plan->nodes[i].core.ttl_ms = ttl_ms;
		if (short_hb)
			plan->nodes[i].core.hb_ttl_ms = hb_ms;
	}
}

static void
draw_core(struct rng *rng, struct plan_node *node, int index, enum core_bug bug, bool one_mode, enum write_mode mode)
{
	struct core_config *core = &node->core;

	core->node_id = rng_next(rng) | 1;
	core->session_seed = rng_next(rng);
	core->epoch = index == 0 ? (uint32_t)rng_between(rng, 1, 1000) : 1;
	core->write_mode = one_mode ? mode : (enum write_mode)rng_below(rng, 3);
	core->has_driver = node->has_driver;
	core->has_parent = index > 0;
	core->give_back = rng_chance(rng, 30);
	core->bug = bug;
	core->io_timeout_ms = 0;
	if (rng_chance(rng, 50))
		core->writeback_ms = (uint32_t)rng_between(rng, 1, 500);
	if (rng_chance(rng, 30))
		core->dirty_max = rng_between(rng, 1, 8);
	core->readahead_blocks = rng_chance(rng, 50) ? 0 : (uint32_t)rng_between(rng, 1, 64);
	if (rng_chance(rng, 30))
		core->credits = (uint32_t)rng_between(rng, 1, 16);
}

static void
draw_nodes(struct rng *rng, struct plan *plan, enum core_bug bug)
{
	bool tiny_caches = rng_chance(rng, 50), late = rng_chance(rng, 50), clocks = rng_chance(rng, 50);
	bool one_mode = rng_chance(rng, 60);
	enum write_mode mode = (enum write_mode)rng_below(rng, 3);

	for (int i = 0; i < plan->node_count; i++) {
		struct plan_node *node = &plan->nodes[i];

		draw_core(rng, node, i, bug, one_mode, mode);
		node->cache_blocks = tiny_caches ? rng_between(rng, 2, 12) : rng_between(rng, 32, 8192);
		node->cache_ways = tiny_caches ? (uint32_t)rng_between(rng, 1, 4) : 0;
		node->answer_late_us = late && rng_chance(rng, 50) ? rng_below(rng, 5000) : 0;
		node->timer_late_us = late ? rng_below(rng, 5000) : 0;
		node->clock_offset_us = clocks ? (int64_t)rng_below(rng, UINT64_C(1000000000000)) : 0;
		node->clock_drift_ppm = clocks ? (int64_t)rng_below(rng, 201) - 100 : 0;
	}
}

// What came later is drawn by chance of its own, so that seeds keep their other numbers.
static void
draw_directories(struct plan *plan)
{
	struct rng rng = {plan->seed * UINT64_C(0xd1342543de82ef95) + 3};
	bool small = rng_chance(&rng, 25);
	unsigned nodes = (unsigned)rng_between(&rng, 30, 100);

	for (int i = 0; i < plan->node_count && small; i++)
		if (rng_chance(&rng, nodes))
			plan->nodes[i].core.directory_max = rng_between(&rng, 1, rng_chance(&rng, 50) ? 4 : 64);
}

static void
draw_pushes(struct plan *plan)
{
	struct rng rng = {plan->seed * UINT64_C(0xa0761d6478bd642f) + 5};
	bool on = rng_chance(&rng, 30);

	for (int i = 0; i < plan->node_count && on; i++)
		plan->nodes[i].core.push_blocks = rng_chance(&rng, 80) ? (uint32_t)rng_between(&rng, 1, 64) : 0;
}

static void
draw_faults(struct rng *rng, struct plan *plan, int wanted)
{
	moment_us lease_us = (moment_us)plan->nodes[0].core.hb_ttl_ms * 1000;
	bool cuts = rng_chance(rng, 50), pauses = rng_chance(rng, 40), naps = rng_chance(rng, 40);
	unsigned cut_count = (unsigned)rng_between(rng, 1, 6), pause_count = (unsigned)rng_between(rng, 1, 4);

	plan->faults.notice_us = rng_below(rng, lease_us / 20) + 1;
	plan->faults.redial_us = rng_below(rng, lease_us / 20) + 1;
	plan->faults.pause_us = rng_below(rng, lease_us / 20) + 1;
	plan->faults.cuts = wanted > 0 || (wanted == 0 && cuts) ? cut_count : 0;
	plan->faults.naps = wanted > 0 || (wanted == 0 && naps) ? (unsigned)rng_between(rng, 1, 4) : 0;
	plan->faults.pauses = wanted > 0 || (wanted == 0 && pauses) ? pause_count : 0;
}

void
plan_draw(uint64_t seed, const struct plan_options *options, struct plan *ret)
{
	struct rng rng = {seed * UINT64_C(0x2545f4914f6cdd1d) + 1};
	moment_us round_trip_us;
	int drawn = draw_node_count(&rng);

	memset(ret, 0, sizeof *ret);
	ret->seed = seed;
	ret->reshape = options->reshape;
	ret->block_size = PLAN_BLOCK_SIZE;
	ret->node_count = options->nodes > 0 ? options->nodes : drawn;
	for (int i = 0; i < ret->node_count; i++)
		core_config_default(&ret->nodes[i].core);
	draw_tree(&rng, ret);
	round_trip_us = draw_links(&rng, ret);
	draw_load(&rng, ret);
	draw_nodes(&rng, ret, options->bug);
	draw_leases(&rng, ret, round_trip_us * PLAN_DEPTH_MAX / 4);
	draw_faults(&rng, ret, options->faults);
	draw_directories(ret);
	draw_pushes(ret);
	if (options->recovery)
		plan_draw_recovery(ret, options);
	if (options->byzantine)
		plan_draw_byzantine(ret, options);
	else if (options->sealed)
		plan_draw_sealed(ret);
	ret->oracle_every = ret->node_count <= 20 ? 1 : (unsigned)ret->node_count / 10;
}

static int
describe_liars(const struct plan *plan, char *text, size_t size)
{
	size_t used = (size_t)snprintf(text, size, "from %llu to %llu s these lie:",
				       (unsigned long long)(plan->lies_from_us / 1000000),
				       (unsigned long long)(plan->lies_until_us / 1000000));

	for (int i = 0; i < plan->node_count && used < size; i++)
		if (plan->nodes[i].liar.lies != 0)
			used += (size_t)snprintf(text + used, size - used, " n%d", i);
	used += used < size ? (size_t)snprintf(text + used, size - used, ", ") : 0;
	return (int)(used < size ? used : size);
}

static int
describe_chaos(const struct plan *plan, char *text, size_t size)
{
	size_t used = 0;

	used += (size_t)snprintf(text, size, "%s run of %llu s", plan->fair ? "fair" : "unfair",
				 (unsigned long long)(plan->span_us / 1000000));
	for (int kind = 0; kind < CHAOS_COUNT && used < size; kind++)
		if (plan->chaos.count[kind] > 0)
			used += (size_t)snprintf(text + used, size - used, ", %u %s", plan->chaos.count[kind],
						 chaos_name((enum chaos_kind)kind));
	return (int)used;
}

void
plan_describe(const struct plan *plan, char *text, size_t size)
{
	const struct plan_node *first = &plan->nodes[0];
	int depth = 0, drivers = 0, used;

	for (int i = 0; i < plan->node_count; i++) {
		depth = plan->nodes[i].depth > depth ? plan->nodes[i].depth : depth;
		drivers += plan->nodes[i].has_driver;
	}
	used = snprintf(
		text, size,
		"%d nodes (depth %d, %d drivers), %d*%llu blocks of %u, registers of %u, %u requests each, ttl %u ms, "
		"hb_ttl %u ms, ",
		plan->node_count, depth, drivers, plan->volume_count, (unsigned long long)plan->block_count,
		plan->block_size, plan->register_size, plan->requests, first->core.ttl_ms, first->core.hb_ttl_ms);
	if (plan->byzantine)
		used += describe_liars(plan, text + used, size - (size_t)used);
	if (plan->recovery)
		describe_chaos(plan, text + used, size - (size_t)used);
	else
		snprintf(text + used, size - (size_t)used, "%u cuts, %u pauses, %u naps", plan->faults.cuts,
			 plan->faults.pauses, plan->faults.naps);
}
