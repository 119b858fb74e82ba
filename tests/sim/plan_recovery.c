// SPDX-License-Identifier: MIT
// Plans of recovery runs. Clients work in bursts with idle gaps of about a lease, and a fault comes every half to two
// leases: so a run of many leases costs little, and leases of 30 s make simulated hours cheap. Half of each class is
// off, as in all plans. In a fair run every fault, and every absence of a dead node, is over before an eighth of a
// lease: then nobody is evicted and no request may fail.
#include "tests/sim/plan.h"

#include "cache/journal.h"

enum { LEASE_MS = 30 * 1000 };
enum { DRIFT_MAX_PPM = 1000000 / 65 }; // two clocks differ by 1/32 at most, the margin of leases (protocol.md T2)

static void
draw_times(struct rng *rng, struct plan *plan)
{
	bool default_leases = rng_chance(rng, 60) || plan->nodes[0].core.hb_ttl_ms > 2 * LEASE_MS;
	uint32_t ttl_ms = rng_chance(rng, 50) ? 40 * LEASE_MS : LEASE_MS / 3 * 2;
	moment_us lease_us;

	for (int i = 0; i < plan->node_count && default_leases; i++) {
		plan->nodes[i].core.hb_ttl_ms = LEASE_MS;
		plan->nodes[i].core.ttl_ms = ttl_ms;
		plan->nodes[i].pipe[PIPE_UP].bytes_per_s = plan->nodes[i].pipe[PIPE_DOWN].bytes_per_s = 0;
	}
	lease_us = (moment_us)plan->nodes[0].core.hb_ttl_ms * 1000;
	plan->span_us = lease_us * rng_between(rng, 4, 30) / (plan->node_count > 40 ? 4 : 1);
	plan->burst = (unsigned)rng_between(rng, 1, 8);
	plan->requests = (unsigned)rng_between(rng, 8, 60);
	plan->idle_us = plan->span_us * plan->burst / plan->requests + 1;
	plan->think_us = rng_between(rng, 1, 20000);
}

static void
draw_data(struct rng *rng, struct plan *plan)
{
	static const uint64_t sizes[] = {1, 2, 4, 8, 16, 16, 64, 300};

	plan->block_size = PLAN_BLOCK_SIZE << (rng_chance(rng, 50) ? rng_between(rng, 1, 3) : 0);
	plan->block_count = sizes[rng_below(rng, sizeof sizes / sizeof sizes[0])];
	plan->initial = rng_chance(rng, 70) ? UINT64_C(0xffff000000000001) : 0;
	if (plan->initial == 0)
		plan->zero_percent = 0;
}

static void
draw_nodes_again(struct rng *rng, struct plan *plan)
{
	bool drift = rng_chance(rng, 50), tiny = rng_chance(rng, 50), modes = rng_chance(rng, 30);

	plan->may_time_out = !plan->fair && rng_chance(rng, 20);
	plan->may_cut_off = !plan->fair && rng_chance(rng, 20);
	for (int i = 0; i < plan->node_count; i++) {
		struct plan_node *node = &plan->nodes[i];
		uint64_t lease_ms = node->core.hb_ttl_ms;

		if (drift)
			node->clock_drift_ppm = (int64_t)rng_below(rng, 2 * DRIFT_MAX_PPM + 1) - DRIFT_MAX_PPM;
		if (tiny && rng_chance(rng, 50)) {
			node->cache_blocks = 2;
			node->cache_ways = (uint32_t)rng_between(rng, 1, 2);
			node->core.dirty_max = rng_between(rng, 1, 8);
		}
		// Who gives a block back with its flush can not be told that others have written over it: a root that
		// loses its disk's last writes can not take it back from such a node.
		node->core.give_back = false;
		if (modes)
			node->core.durability = (enum durability)rng_below(rng, 3);
		if (plan->may_time_out && rng_chance(rng, 50))
			node->core.io_timeout_ms = (uint32_t)rng_between(rng, lease_ms / 2, 4 * lease_ms);
		if (plan->may_cut_off && rng_chance(rng, 50))
			node->core.disconnect_ms = (uint32_t)rng_below(rng, 2 * lease_ms);
	}
}

void
plan_draw_chaos(struct rng *rng, struct plan *plan, uint64_t wanted, uint32_t drawn, uint32_t off)
{
	moment_us lease_us = (moment_us)plan->nodes[0].core.hb_ttl_ms * 1000;
	unsigned on[CHAOS_COUNT], kinds = 0;

	for (unsigned kind = 0; kind < CHAOS_COUNT; kind++)
		if ((drawn >> kind & 1) && rng_chance(rng, 50) && !(off >> kind & 1))
			on[kinds++] = kind;
	for (uint64_t i = 0; i < wanted && kinds > 0; i++)
		plan->chaos.count[on[rng_below(rng, kinds)]]++;
	plan->chaos.shortest_us = plan->fair ? 1 : lease_us / 10;
	plan->chaos.longest_us = plan->fair ? lease_us / 8 : lease_us * 3;
	plan->chaos.stay_dead_percent = rng_chance(rng, 50) ? 20 : 0;
}

static void
draw_chaos(struct rng *rng, struct plan *plan, const struct plan_options *options)
{
	moment_us lease_us = (moment_us)plan->nodes[0].core.hb_ttl_ms * 1000;
	uint64_t wanted = plan->span_us / lease_us * rng_between(rng, 2, 8) / 4;
	uint32_t drawn = CHAOS_ALL & ~CHAOS_BIT(JOURNAL), off = options->kinds_off;

	// So that they change no seed.
	if (!options->aborts)
		drawn &= ~CHAOS_BIT(ABORT);
	if (!options->rights)
		drawn &= ~CHAOS_BIT(RIGHT);
	if (plan->fair)
		off |= CHAOS_BIT(DISK_ERROR) | CHAOS_BIT(SYNC_ERROR) | CHAOS_BIT(RIGHT);
	plan_draw_chaos(rng, plan, wanted, drawn, off);
}

// By chances of their own, too: the rest of the plan is as without.
static void
draw_drives(struct plan *plan)
{
	struct rng rng = {plan->seed * UINT64_C(0x9e3779b97f4a7c15) + 3};
	unsigned latency_us = (unsigned)rng_between(&rng, 1, rng_chance(&rng, 50) ? 200 : 50000);
	unsigned fail_ppm = rng_chance(&rng, 20) ? 2000 : 0, rot = rng_chance(&rng, 30) ? 20 : 0;

	for (int i = 1; i < plan->node_count; i++) {
		if (rng_chance(&rng, 30))
			continue;
		plan->nodes[i].drive = (struct drive_config){
			.seed = rng_next(&rng),
			.slots = rng_between(&rng, 1, 2 * plan->block_count),
			.ways = (uint32_t)rng_between(&rng, 1, 4),
			.latency_us = latency_us,
			.fail_ppm = fail_ppm,
			.rot = rot,
		};
	}
}

// The same; only that there are more fsyncs. A small journal is full now and then.
static void
draw_journals(struct plan *plan, uint32_t off, bool rot)
{
	struct rng rng = {plan->seed * UINT64_C(0x9e3779b97f4a7c15) + 5};
	moment_us lease_us = (moment_us)plan->nodes[0].core.hb_ttl_ms * 1000;
	unsigned nodes = (unsigned)rng_between(&rng, 30, 100), latency_us = rng_chance(&rng, 50) ? 200 : 50000;
	moment_us stall_us = rng_chance(&rng, 30) ? lease_us / (plan->fair ? 8 : 2) : 0;
	unsigned fail_ppm = rng_chance(&rng, 20) ? 20000 : 0;
	bool small = rng_chance(&rng, 40), parent[PLAN_NODES_MAX] = {false};
	// In half of the runs only leaves have one, as in those that found something before there were others.
	struct rng proxies = {plan->seed * UINT64_C(0x9e3779b97f4a7c15) + 6};
	unsigned proxy_percent = rng_chance(&proxies, 50) ? (unsigned)rng_between(&proxies, 30, 100) : 0;
	struct rng files = {plan->seed * UINT64_C(0x9e3779b97f4a7c15) + 7};
	unsigned rot_percent = rng_chance(&files, 70) ? 40 : 0, old_percent = rng_chance(&files, 70) ? 40 : 0;

	for (int i = 1; i < plan->node_count; i++)
		parent[plan->nodes[i].parent] = true;
	plan->journals = true;
	plan->sync_percent = (unsigned)rng_between(&rng, 5, 40);
	plan->chaos.count[CHAOS_JOURNAL] = (unsigned)(plan->span_us / lease_us * rng_between(&rng, 1, 4) / 2);
	if (off >> CHAOS_JOURNAL & 1)
		plan->chaos.count[CHAOS_JOURNAL] = 0;
	for (int i = 1; i < plan->node_count; i++) {
		struct rng *own = parent[i] ? &proxies : &rng;

		plan->nodes[i].core.listens = parent[i];
		if (!plan->nodes[i].has_driver || !rng_chance(own, parent[i] ? proxy_percent : nodes))
			continue;
		plan->nodes[i].journal = (struct journal_config){
			.seed = rng_next(own),
			.size = (small ? rng_between(own, 16, 48) : rng_between(own, 64, 1024)) * JOURNAL_PAGE,
			.latency_us = (unsigned)rng_between(own, 1, latency_us),
			.stall_us = stall_us,
			.fail_ppm = fail_ppm,
		};
		plan->nodes[i].core.journal = true;
		if (rng_chance(own, 80))
			plan->nodes[i].core.durability = DURABILITY_LOCAL;
	}
	for (int i = 1; i < plan->node_count && rot; i++) {
		plan->nodes[i].journal.rot = rot_percent;
		plan->nodes[i].journal.old = old_percent;
	}
}

void
plan_draw_recovery(struct plan *plan, const struct plan_options *options)
{
	struct rng rng = {plan->seed * UINT64_C(0x9e3779b97f4a7c15) + 2};

	plan->recovery = true;
	plan->broken = options->broken;
	plan->fair = rng_chance(&rng, 30);
	if (options->fair != 0)
		plan->fair = options->fair < 0;
	draw_times(&rng, plan);
	draw_data(&rng, plan);
	draw_nodes_again(&rng, plan);
	draw_chaos(&rng, plan, options);
	plan->faults = (struct sim_faults){0};
	plan->versions_size = rng_chance(&rng, 30) ? rng_between(&rng, 200, 5000) : 0;
	for (int i = 0; i < plan->node_count && plan->broken == BREAK_CLOCKS; i++)
		plan->nodes[i].clock_drift_ppm = i % 2 == 0 ? 60000 : -60000;
	plan->crash_loop = options->crash_loop;
	if (plan->crash_loop && plan->chaos.count[CHAOS_ROOT] == 0)
		plan->chaos.count[CHAOS_ROOT] = 2;
	if (options->disk_level)
		draw_drives(plan);
	if (options->journal)
		draw_journals(plan, options->kinds_off, options->rot);
	if (options->faults < 0)
		plan->chaos = (struct chaos_plan){.longest_us = 1};
}
