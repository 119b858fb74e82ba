// SPDX-License-Identifier: MIT
// Plans of byzantine runs: a recovery run whose volumes are sealed, and where some of the proxies, which have no key that could
// write, lie for a while. What they tell is swarm testing, too: half of the lies are off. In half of the later seeds there are
// faults besides; those below FAULTS_FROM are as they were when there were none, so that what they have found can be compared.
#include "tests/sim/plan.h"

#include <string.h>

enum { FAULTS_FROM = 5000, FAULTS_PERCENT = 50 };

static bool
has_children(const struct plan *plan, int index)
{
	for (int i = 1; i < plan->node_count; i++)
		if (plan->nodes[i].parent == index)
			return true;
	return false;
}

static bool
is_proxy(const struct plan *plan, int index)
{
	return index > 0 && has_children(plan, index);
}

// At least one node is between others.
static void
draw_depth(struct plan *plan)
{
	for (int i = 1; i < plan->node_count; i++)
		if (is_proxy(plan, i))
			return;
	plan->nodes[2].parent = 1;
	plan->nodes[2].depth = 2;
	plan->nodes[1].only_reads = false;
}

static void
make_liar(struct rng *rng, struct plan *plan, int index)
{
	moment_us span_us = plan->lies_until_us - plan->lies_from_us;
	struct plan_node *node = &plan->nodes[index];
	uint32_t all = (UINT32_C(1) << LIAR_LIE_COUNT) - 1;

	node->has_driver = node->core.has_driver = false;
	node->seal_role = VOLUME_ROLE_PROXY;
	node->liar = (struct liar_config){
		.seed = rng_next(rng),
		.lies = (uint32_t)rng_next(rng) & all,
		.percent = (unsigned)(rng_chance(rng, 50) ? rng_between(rng, 1, 5) : rng_between(rng, 5, 50)),
		.unasked_us = span_us / rng_between(rng, 10, 2000) + 1,
	};
	if (node->liar.lies == 0)
		node->liar.lies = all;
}

static void
draw_roles(struct rng *rng, struct plan *plan)
{
	unsigned keyless = (unsigned)rng_below(rng, 100);

	for (int i = 0; i < plan->node_count; i++) {
		struct plan_node *node = &plan->nodes[i];

		node->knows_volumes = true; // by their keys
		node->seal_role = VOLUME_ROLE_WRITER;
		if (!node->has_driver && i > 0 && rng_chance(rng, keyless))
			node->seal_role = VOLUME_ROLE_PROXY;
		else if (node->only_reads && rng_chance(rng, 50))
			node->seal_role = VOLUME_ROLE_READER;
	}
}

// Nodes die and leave, and ways are blocked, at a quarter of the rate of other recovery runs.
static void
draw_faults(struct plan *plan, const struct plan_options *options)
{
	struct rng rng = {plan->seed * UINT64_C(0x9e3779b97f4a7c15) + 10};
	moment_us lease_us = (moment_us)plan->nodes[0].core.hb_ttl_ms * 1000;
	uint64_t wanted = plan->span_us / lease_us * rng_between(&rng, 2, 8) / 16 + 1;
	uint32_t kinds = CHAOS_BIT(CUT) | CHAOS_BIT(HALF_OPEN) | CHAOS_BIT(CLOG) | CHAOS_BIT(ONE_WAY) | CHAOS_BIT(PARTITION) |
			 CHAOS_BIT(LEAF) | CHAOS_BIT(PROXY) | CHAOS_BIT(ROOT) | CHAOS_BIT(LEAVE);
	bool has_some = plan->seed >= FAULTS_FROM && rng_chance(&rng, FAULTS_PERCENT);

	if (options->faults < 0 || (options->faults == 0 && !has_some))
		return;
	plan_draw_chaos(&rng, plan, wanted, kinds, options->kinds_off);
}

void
plan_draw_sealed(struct plan *plan)
{
	struct rng rng = {plan->seed * UINT64_C(0x9e3779b97f4a7c15) + 10};

	plan->sealed = true;
	draw_roles(&rng, plan);
}

void
plan_draw_byzantine(struct plan *plan, const struct plan_options *options)
{
	struct rng rng = {plan->seed * UINT64_C(0x9e3779b97f4a7c15) + 9};
	unsigned liars = (unsigned)rng_between(&rng, 10, 90);
	bool any = false;

	plan->sealed = plan->byzantine = true;
	plan->fair = false;
	memset(plan->chaos.count, 0, sizeof plan->chaos.count);
	if (rng_chance(&rng, 80))
		plan->register_size = plan->block_size;
	draw_depth(plan);
	draw_roles(&rng, plan);
	plan->lies_until_us = plan->span_us;
	plan->lies_from_us = plan->span_us / 100 * rng_between(&rng, 5, 60);
	for (int i = 1; i < plan->node_count; i++) {
		if (!is_proxy(plan, i) || !rng_chance(&rng, liars))
			continue;
		make_liar(&rng, plan, i);
		any = true;
	}
	for (int i = 1; i < plan->node_count && !any; i++) {
		if (!is_proxy(plan, i))
			continue;
		make_liar(&rng, plan, i);
		any = true;
	}
	if (rng_chance(&rng, 50))
		plan->nodes[0].has_driver = plan->nodes[0].core.has_driver = true;
	draw_faults(plan, options);
}
