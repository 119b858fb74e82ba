// SPDX-License-Identifier: MIT
#include "tests/sim/world.h"

#include "core/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- Time ----

moment_us
world_clock(const struct node *node)
{
	int64_t now = (int64_t)node->world->now;

	return (moment_us)(now + now * node->clock_drift_ppm / 1000000 + node->clock_offset_us);
}

moment_us
world_ran(const struct node *node)
{
	return node->ran_us + (node->stopped ? 0 : node->world->now - node->started_at);
}

// The first true moment at which the node's clock shows ${local} or more.
static moment_us
true_time(const struct node *node, moment_us local)
{
	int64_t shown = (int64_t)local - node->clock_offset_us;
	int64_t rate = 1000000 + node->clock_drift_ppm;
	int64_t guess = shown / rate * 1000000 + shown % rate * 1000000 / rate - 3;

	if (!node->world->moving) // up to 100 us late: the seeds of seeds.txt found something with that
		guess = shown - shown / 1000000 * node->clock_drift_ppm - 2;
	if (shown <= 0)
		return 0;
	while (guess + guess * node->clock_drift_ppm / 1000000 < shown)
		guess++;
	return (moment_us)guess;
}

void
world_at(struct world *world, moment_us at, void (*fn)(void *world, void *arg, uint64_t number), void *arg,
	 uint64_t number)
{
	heap_push(&world->heap, at < world->now ? world->now : at, fn, arg, number);
}

uint64_t
world_run(struct world *world, moment_us until, uint64_t events)
{
	uint64_t done = 0;

	while (heap_next(&world->heap) <= until) {
		struct heap_entry entry;

		if (done++ == events)
			return events;
		heap_pop(&world->heap, &entry);
		world->now = entry.at;
		entry.fn(world, entry.arg, entry.number);
	}
	if (world->now < until && until != MOMENT_NEVER)
		world->now = until;
	return done;
}

// ---- Steps ----

static void
timer_due(void *context, void *arg, uint64_t generation)
{
	struct node *node = arg;

	if (world_defer(node, timer_due, arg, generation) || generation != node->timer_generation || node->stopped)
		return;
	node->timer_at = MOMENT_NEVER;
	// Late timers are armed for the deadline, so another event may have moved it meanwhile.
	if (core_deadline(node->core) > world_clock(node)) {
		node_arm(node);
		return;
	}
	if (pipe_is_busy(node))
		world_step(node, &(struct event){.type = EVENT_LINK_ALIVE, .link = node->uplink->link[PIPE_UP]});
	world_step(node, &(struct event){.type = EVENT_TIMER});
}

void
node_arm(struct node *node)
{
	moment_us deadline = core_deadline(node->core), at;

	if (deadline == MOMENT_NEVER)
		return;
	at = true_time(node, deadline);
	if (at < node->world->now)
		at = node->world->now;
	at += rng_below(&node->world->rng, node->timer_late_us + 1);
	if (at >= node->timer_at)
		return;
	node->timer_at = at;
	world_at(node->world, at, timer_due, node, ++node->timer_generation);
}

void
world_step(struct node *node, const struct event *event)
{
	struct world *world = node->world;

	if (node->stopped)
		return;
	world->steps++;
	core_step(node->core, world_clock(node), event, world->actions);
	perform(node, world->actions);
	actions_reset(world->actions);
	if (world->check_every > 0 && node->steps++ % world->check_every == 0)
		core_check(node->core);
	if (world->hooks.stepped != NULL)
		world->hooks.stepped(world->hooks.arg, node, event);
	if (!node->stopped)
		node_arm(node);
}

// ---- A process that does not run ----

static void
node_resume(void *context, void *arg, uint64_t number)
{
	struct node *node = arg;
	struct heap_entry *deferred;
	size_t count;

	if (node->paused_until == 0 || node->world->now < node->paused_until)
		return; // killed, or paused again meanwhile
	trace_add(&node->world->trace, TRACE_WORLD, node->world->now, "%s goes on", node->name);
	// One of these events may end the process, which forgets what is deferred by then.
	deferred = node->deferred;
	count = node->deferred_count;
	node->paused_until = 0;
	node->deferred = NULL;
	node->deferred_count = node->deferred_size = 0;
	for (size_t i = 0; i < count; i++)
		deferred[i].fn(context, deferred[i].arg, deferred[i].number);
	free(deferred);
}

bool
world_defer(struct node *node, void (*fn)(void *world, void *arg, uint64_t number), void *arg, uint64_t number)
{
	if (node->paused_until == 0)
		return false;
	if (node->deferred_count == node->deferred_size) {
		node->deferred_size = node->deferred_size ? node->deferred_size * 2 : 16;
		node->deferred = realloc(node->deferred, node->deferred_size * sizeof *node->deferred);
		CHECK(node->deferred != NULL);
	}
	node->deferred[node->deferred_count++] = (struct heap_entry){.fn = fn, .arg = arg, .number = number};
	return true;
}

void
world_pause(struct node *node, moment_us until)
{
	if (until <= node->paused_until || node->stopped)
		return;
	trace_add(&node->world->trace, TRACE_WORLD, node->world->now, "%s is stopped for %llu ms", node->name,
		  (unsigned long long)((until - node->world->now) / 1000));
	node->paused_until = until;
	world_at(node->world, until, node_resume, node, 0);
}

void
world_resume(struct node *node)
{
	if (node->paused_until == 0)
		return;
	node->paused_until = node->world->now;
	world_at(node->world, node->world->now, node_resume, node, 0);
}

static void
rights_change(void *context, void *arg, uint64_t number)
{
	struct node *node = arg;

	if (!world_defer(node, rights_change, arg, number) && node->core != NULL && !node->stopped)
		world_step(node, &(struct event){.type = EVENT_RIGHTS});
}

void
world_set_right(struct node *node, enum right right)
{
	static const char *const names[] = {[RIGHT_NONE] = "do nothing", [RIGHT_READ] = "read", [RIGHT_WRITE] = "read and write"};
	struct world *world = node->world;

	trace_add(&world->trace, TRACE_WORLD, world->now, "%s may %s", node->name, names[right]);
	node->right = right;
	for (int i = 0; i < world->node_count; i++)
		world_at(world, world->now, rights_change, world->nodes[i], 0);
}

// ---- Local requests ----

static void
io_submit(void *context, void *arg, uint64_t serial)
{
	struct world_io *io = arg;

	if (io->serial == serial && !world_defer(io->node, io_submit, arg, serial))
		world_step(io->node, &(struct event){.type = EVENT_IO, .io = &io->io});
}

void
world_submit(struct node *node, struct world_io *io)
{
	static const char *const kinds[] = {"read", "write", "zero", "sync"};
	struct io clean = {.kind = io->io.kind,
			   .volume = io->io.volume,
			   .offset = io->io.offset,
			   .size = io->io.size,
			   .stream = io->io.stream,
			   .force_sync = io->io.force_sync};

	CHECK(!node->stopped);
	io->io = clean;
	io->node = node;
	io->done = io->lapsed = io->died = false;
	io->serial = ++node->world->serial;
	io->next = node->ios;
	node->ios = io;
	trace_add(&node->world->trace, TRACE_IO, node->world->now, "%s %s [%llu, +%llu)%s", node->name,
		  kinds[io->io.kind], (unsigned long long)io->io.offset, (unsigned long long)io->io.size,
		  io->io.force_sync ? " force_sync" : "");
	io_submit(node->world, io, io->serial);
}

static void
io_cancel(void *context, void *arg, uint64_t serial)
{
	struct world_io *io = arg;

	if (io->serial == serial && !io->done && !io->died && !world_defer(io->node, io_cancel, arg, serial))
		world_step(io->node, &(struct event){.type = EVENT_IO_CANCEL, .io = &io->io});
}

void
world_cancel(struct world_io *io)
{
	io_cancel(io->node->world, io, io->serial);
}

void
world_io_end(struct world_io *io)
{
	struct world *world = io->node->world;
	struct world_io **link = &io->node->ios;

	while (*link != io)
		link = &(*link)->next;
	*link = io->next;
	if (world->hooks.io_done != NULL)
		world->hooks.io_done(world->hooks.arg, io);
}

static void
node_stop(void *context, void *arg, uint64_t number)
{
	struct node *node = arg;

	if (world_defer(node, node_stop, arg, number))
		return;
	node->in_order = !core_in_grace(node->core);
	world_step(node, &(struct event){.type = EVENT_STOP});
}

void
world_stop(struct node *node)
{
	trace_add(&node->world->trace, TRACE_WORLD, node->world->now, "%s is asked to stop", node->name);
	node->stopping = true;
	node_stop(node->world, node, 0);
}

int
world_volume_index(const struct node *node, const char *name)
{
	for (uint32_t volume = 0; volume < core_volume_count(node->core); volume++) {
		struct volume_info info;

		core_volume_info(node->core, volume, world_clock(node), &info);
		if (strcmp(info.name, name) == 0)
			return (int)volume;
	}
	return -1;
}

// ---- Worlds ----

struct world *
world_create(uint64_t seed, uint32_t block_size)
{
	struct world *world = calloc(1, sizeof *world);

	CHECK(world != NULL);
	world->rng.state = seed;
	world->block_size = block_size;
	world->actions = actions_create();
	world->check_every = 1;
	world->message = calloc(1, sizeof *world->message);
	CHECK(world->message != NULL);
	return world;
}

void
world_forget(const struct heap_entry *entry)
{
	pipe_forget(entry);
	liar_forget(entry);
	storage_forget(entry);
}

void
world_destroy(struct world *world)
{
	for (size_t i = 0; i < world->heap.count; i++)
		world_forget(&world->heap.entries[i]);
	for (int i = 0; i < world->node_count; i++)
		for (size_t k = 0; k < world->nodes[i]->deferred_count; k++)
			world_forget(&world->nodes[i]->deferred[k]);
	pipe_free_all(world);
	world_free_obstacles(world);
	for (int i = 0; i < world->node_count; i++)
		node_destroy(world->nodes[i]);
	while (world->rescues != NULL) {
		struct rescue *rescue = world->rescues;

		world->rescues = rescue->next;
		free(rescue);
	}
	seals_destroy(world->seals);
	actions_destroy(world->actions);
	heap_fini(&world->heap);
	free(world->message);
	free(world->gone);
	free(world->nodes);
	free(world);
}
