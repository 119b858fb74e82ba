// SPDX-License-Identifier: MIT
#include "tests/sim/byzantine.h"

#include "core/check.h"

#include <inttypes.h>

enum { SPARE_BUFFERS = 8192, SPARE_RECORDS = 4096 }; // what is under way

void
byzantine_add_node(const struct plan *plan, struct node *node)
{
	const struct plan_node *planned = &plan->nodes[node->index];

	node->seal_role = planned->seal_role;
	if (planned->liar.lies != 0)
		liar_create(node, &planned->liar);
}

// Of each node: which child of the root is above it, or is it?
static int
branch_of(const struct plan *plan, int index)
{
	while (plan->nodes[index].depth > 1)
		index = plan->nodes[index].parent;
	return index;
}

// In a branch of the root with a liar anywhere nobody is trusted: who has a liar below him may be given old blocks.
static void
find_trusted(struct run *run)
{
	bool lies[PLAN_NODES_MAX] = {false};

	for (int i = 1; i < run->plan->node_count; i++)
		if (run->plan->nodes[i].liar.lies != 0)
			lies[branch_of(run->plan, i)] = true;
	for (int i = 0; i < run->plan->node_count; i++)
		run->trusted[i] = i == 0 || !lies[branch_of(run->plan, i)];
}

bool
byzantine_believes(const struct run *run, const struct node *node)
{
	return !run->lying || run->trusted[node->index];
}

static void
lies_begin(void *context, void *arg, uint64_t number)
{
	struct run *run = arg;

	find_trusted(run);
	run->lying = true;
	history_lies(run->history, run->trusted);
	for (int i = 0; i < run->world->node_count; i++) {
		struct node *node = run->world->nodes[i];

		node->distrusted = !run->trusted[i];
		if (node->liar != NULL)
			liar_begin(node->liar);
	}
}

// Whoever was configured with a liar is configured with the next node above that is none; and not with one that is gone for ever,
// since of others he knows only what liars have told him.
static void
give_homes(struct run *run)
{
	const struct plan *plan = run->plan;

	for (int i = 1; i < run->world->node_count; i++) {
		struct node *node = run->world->nodes[i];

		while (plan->nodes[node->home].liar.lies != 0 || run->loads[node->home].retired)
			node->home = plan->nodes[node->home].parent;
	}
}

// Whatever they said, nothing has grown without end.
static void
check_bounds(struct run *run, const struct node *node)
{
	uint64_t most = run->plan->nodes[node->index].cache_blocks + SPARE_BUFFERS;
	struct directory_info directory;
	struct volume_info info;

	core_directory_info(node->core, &directory);
	if (directory.records > 4 * directory.max + SPARE_RECORDS)
		run_fail(run, "%s: the directory has %" PRIu64 " records of %" PRIu64, node->name, directory.records, directory.max);
	for (uint32_t volume = 0; volume < core_volume_count(node->core); volume++) {
		core_volume_info(node->core, volume, world_clock(node), &info);
		if (info.pool != NULL && buf_pool_used(info.pool) > most)
			run_fail(run, "%s: %zu buffers are in use", node->name, buf_pool_used(info.pool));
	}
}

// Who was started below a liar, and was told another size of the volume or its blocks, has to be started anew (docs/security.md).
static bool
was_told_another_size(const struct run *run, const struct node *node)
{
	struct volume_info info;

	for (uint32_t volume = 0; node->core != NULL && volume < core_volume_count(node->core); volume++) {
		core_volume_info(node->core, volume, world_clock(node), &info);
		if (info.size != 0 && (info.size != run->plan->block_count * run->plan->block_size ||
				       info.block_size != run->plan->block_size))
			return true;
	}
	return false;
}

static void
liars_forgotten(void *context, void *arg, uint64_t number)
{
	struct run *run = arg;

	for (int i = 1; i < run->world->node_count; i++)
		if (!run->world->nodes[i]->stopped && was_told_another_size(run, run->world->nodes[i]))
			chaos_restart(run, run->world->nodes[i]);
	give_homes(run); // somebody may have left for ever since
	run->lies_over = true;
}

static void
lies_end(void *context, void *arg, uint64_t number)
{
	struct run *run = arg;

	for (int i = 0; i < run->world->node_count; i++)
		if (!run->world->nodes[i]->stopped)
			check_bounds(run, run->world->nodes[i]);
	for (int i = 0; i < run->world->node_count; i++) {
		struct node *node = run->world->nodes[i];

		if (node->liar == NULL)
			continue;
		trace_add(&run->world->trace, TRACE_WORLD, run->world->now, "%s, a liar, is taken away", node->name);
		run->loads[i].returns = false;
		if (!node->stopped) {
			run_died(run, node);
			world_kill(node);
			workload_died(run, node);
		}
		workload_retire(run, node);
	}
	give_homes(run);
	// What they had for writing is free when they have been evicted.
	world_at(run->world, run->world->now + 2 * (moment_us)run->plan->nodes[0].core.hb_ttl_ms * 1000, liars_forgotten, run, 0);
}

void
byzantine_schedule(struct run *run)
{
	world_at(run->world, run->world->now + run->plan->lies_from_us, lies_begin, run, 0);
	world_at(run->world, run->world->now + run->plan->lies_until_us, lies_end, run, 0);
}

bool
byzantine_is_over(struct run *run)
{
	return run->lies_over;
}

void
byzantine_judge(struct run *run)
{
	const struct plan *plan = run->plan;
	uint64_t per_volume = plan->block_count * run->registers_per_block;

	// Who was shown an old block, and writes a part of it, makes the rest of it the newest; so does who leaves a gap.
	bool parts = plan->register_size < plan->block_size;

	for (uint64_t reg = 0; reg < (uint64_t)plan->volume_count * per_volume; reg++) {
		const char *volume = run_volume_name((int)(reg / per_volume));
		uint64_t block = reg % per_volume / run->registers_per_block;

		if (parts || seals_came_again(run->world, volume, block))
			history_came_again(run->history, reg);
		if (proofs_misled(run->world, volume, block))
			history_misled(run->history, reg);
	}
}
