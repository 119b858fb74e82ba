// SPDX-License-Identifier: MIT
// Fair faults: links that break and processes that are stopped, both for less than a lease, so that a living writer
// loses nothing and every request ends. A cut loses what is under way; the two ends notice at different times, the
// child may be back before the parent knows. Crashes have their place in struct sim_faults, not here yet: what a crash
// may undo splits the history, and the checker must be asked for each part.
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

void
faults_schedule(struct run *run, moment_us span_us)
{
	const struct sim_faults *faults = &run->plan->faults;
	moment_us now = run->world->now;

	for (unsigned i = 0; i < faults->cuts && run->world->node_count > 1; i++)
		world_at(run->world, now + rng_below(&run->rng, span_us), cut_due, run, 0);
	for (unsigned i = 0; i < faults->pauses; i++)
		world_at(run->world, now + rng_below(&run->rng, span_us), pause_due, run, 0);
}
