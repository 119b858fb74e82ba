// SPDX-License-Identifier: MIT
// Caches that change while they are used (docs/cache.md): levels come, go, move and take another shape, on every node,
// as `hvfs cache` does it. Chance of its own, so that a seed's other decisions are the same with it and without.
#include "core/check.h"
#include "tests/sim/run.h"

enum { PAUSE_US = 30000, CHANGES = 400, LEVEL_BLOCKS_MAX = 64, WAYS_MAX = 9, STEP_SLOTS_MAX = 16 };

static struct level_config
draw_level(struct run *run)
{
	struct rng *rng = &run->reshape;

	return (struct level_config){
		.size = rng_between(rng, 1, LEVEL_BLOCKS_MAX) * run->plan->block_size,
		.ways = (uint32_t)rng_below(rng, WAYS_MAX),
		.hash = (enum hash)rng_below(rng, HASH_COUNT),
		.policy = (enum policy)rng_below(rng, POLICY_COUNT),
	};
}

static enum stack_error
change(struct run *run, struct stack *stack)
{
	uint32_t count = stack_level_count(stack), position = (uint32_t)rng_below(&run->reshape, count);
	struct level_config level = draw_level(run);

	switch (rng_below(&run->reshape, 5)) {
	case 0:
		return stack_add(stack, (uint32_t)rng_below(&run->reshape, count + 1), &level);
	case 1:
		return stack_remove(stack, position);
	case 2:
		return stack_move(stack, position, (uint32_t)rng_below(&run->reshape, count));
	default:
		return stack_set(stack, position, &level);
	}
}

static void
reshape_node(struct run *run, struct node *node)
{
	struct copies copies = stack_copies(node->cache);
	enum stack_error error = change(run, node->cache);
	uint64_t dirty_max;

	CHECK(error == STACK_OK || error == STACK_BUSY || error == STACK_LAST || error == STACK_TOO_MANY);
	dirty_max = copies.ops->capacity(copies.self, run->plan->block_size) / 4 * 3;
	core_set_dirty_max(node->core, dirty_max > 0 ? dirty_max : 1);
	stack_step(node->cache, (uint32_t)rng_below(&run->reshape, STEP_SLOTS_MAX + 1));
	stack_check(node->cache);
	world_step(node, &(struct event){.type = EVENT_TIMER});
	stack_check(node->cache);
}

static void reshape_later(struct run *run, uint64_t index);

static void
reshape_due(void *world, void *arg, uint64_t index)
{
	struct run *run = arg;
	struct node *node = run->world->nodes[index];

	if (run->calm || world_defer(node, reshape_due, arg, index))
		return;
	if (!node->stopped)
		reshape_node(run, node);
	reshape_later(run, index);
}

static void
reshape_later(struct run *run, uint64_t index)
{
	moment_us pause = PAUSE_US; // a recovery run takes minutes

	if (run->plan->span_us / CHANGES > pause)
		pause = run->plan->span_us / CHANGES;
	world_at(run->world, run->world->now + 1 + rng_exponential(&run->reshape, pause), reshape_due, run, index);
}

void
reshape_schedule(struct run *run)
{
	run->reshape.state = run->plan->seed ^ UINT64_C(0x5e5e5e5e12121212);
	for (int i = 0; i < run->plan->node_count; i++)
		reshape_later(run, (uint64_t)i);
}
