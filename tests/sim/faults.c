// SPDX-License-Identifier: MIT
// Fair faults: links that break and processes that are stopped, both for less than a lease, so that a living writer
// loses nothing and every request ends. A cut loses what is under way; the two ends notice at different times, the
// child may be back before the parent knows. A leaf that only reads may also sleep, or be cut off, for longer than its
// lease: the others wait for the lease to end, and awake again it must not use what it has. Everything worse is in
// chaos.c.
#include "tests/sim/run.h"

static void
cut_due(void *context, void *arg, uint64_t number)
{
	struct run *run = arg;
	struct node *node = run->world->nodes[1 + rng_below(&run->rng, (uint64_t)run->world->node_count - 1)];
	const struct sim_faults *faults = &run->plan->faults;
	moment_us child = rng_below(&run->rng, faults->notice_us), parent = rng_below(&run->rng, faults->notice_us);
	moment_us redial = rng_below(&run->rng, faults->redial_us);

	if (!node->stopping)
		world_cut(node, child, parent, redial);
}

static void
pause_due(void *context, void *arg, uint64_t number)
{
	struct run *run = arg;
	struct node *node = run->world->nodes[rng_below(&run->rng, (uint64_t)run->world->node_count)];

	world_pause(node, run->world->now + 1 + rng_below(&run->rng, run->plan->faults.pause_us));
}

static void
nap_due(void *context, void *arg, uint64_t number)
{
	struct run *run = arg;
	int index = (int)rng_below(&run->rng, (uint64_t)run->world->node_count);
	moment_us lease_us = (moment_us)run->plan->nodes[0].core.hb_ttl_ms * 1000;
	moment_us span = rng_between(&run->rng, lease_us / 2, 3 * lease_us);

	for (int i = 0; i < run->world->node_count && !run->plan->nodes[index].only_reads; i++)
		index = (index + 1) % run->world->node_count;
	if (!run->plan->nodes[index].only_reads || run->world->nodes[index]->stopping)
		return;
	if (rng_chance(&run->rng, 60))
		world_pause(run->world->nodes[index], run->world->now + span);
	else // nobody notices: only the lease tells
		world_cut(run->world->nodes[index], span, span + rng_below(&run->rng, lease_us), 1);
}

void
faults_schedule(struct run *run, moment_us span_us)
{
	const struct sim_faults *faults = &run->plan->faults;
	moment_us now = run->world->now;

	for (unsigned i = 0; i < faults->cuts && run->world->node_count > 1; i++)
		world_at(run->world, now + rng_below(&run->rng, span_us), cut_due, run, 0);
	for (unsigned i = 0; i < faults->naps; i++)
		world_at(run->world, now + rng_below(&run->rng, span_us), nap_due, run, 0);
	for (unsigned i = 0; i < faults->pauses; i++)
		world_at(run->world, now + rng_below(&run->rng, span_us), pause_due, run, 0);
}
