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

// The first true moment at which the node's clock shows ${local} or more.
static moment_us
true_time(const struct node *node, moment_us local)
{
	int64_t shown = (int64_t)local - node->clock_offset_us;
	int64_t guess = shown - shown / 1000000 * node->clock_drift_ppm - 2;

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

static void node_arm(struct node *node);

static void
timer_due(void *context, void *arg, uint64_t generation)
{
	struct node *node = arg;

	if (world_defer(node, timer_due, arg, generation) || generation != node->timer_generation || node->stopped)
		return;
	node->timer_at = MOMENT_NEVER;
	// Late timers are armed for the deadline, so another event may have moved it meanwhile.
	if (core_deadline(node->core) <= world_clock(node))
		world_step(node, &(struct event){.type = EVENT_TIMER});
	else
		node_arm(node);
}

static void
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

	if (node->world->now < node->paused_until)
		return; // paused again meanwhile
	trace_add(&node->world->trace, TRACE_WORLD, node->world->now, "%s goes on", node->name);
	node->paused_until = 0;
	for (size_t i = 0; i < node->deferred_count; i++)
		node->deferred[i].fn(context, node->deferred[i].arg, node->deferred[i].number);
	node->deferred_count = 0;
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

// ---- Local requests ----

static void
io_submit(void *context, void *arg, uint64_t number)
{
	struct world_io *io = arg;

	if (!world_defer(io->node, io_submit, arg, number))
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
	io->done = io->lapsed = false;
	trace_add(&node->world->trace, TRACE_IO, node->world->now, "%s %s [%llu, +%llu)%s", node->name,
		  kinds[io->io.kind], (unsigned long long)io->io.offset, (unsigned long long)io->io.size,
		  io->io.force_sync ? " force_sync" : "");
	io_submit(node->world, io, 0);
}

static void
io_cancel(void *context, void *arg, uint64_t number)
{
	struct world_io *io = arg;

	if (!io->done && !world_defer(io->node, io_cancel, arg, number))
		world_step(io->node, &(struct event){.type = EVENT_IO_CANCEL, .io = &io->io});
}

void
world_cancel(struct world_io *io)
{
	io_cancel(io->node->world, io, 0);
}

static void
node_stop(void *context, void *arg, uint64_t number)
{
	struct node *node = arg;

	if (!world_defer(node, node_stop, arg, number))
		world_step(node, &(struct event){.type = EVENT_STOP});
}

void
world_stop(struct node *node)
{
	trace_add(&node->world->trace, TRACE_WORLD, node->world->now, "%s is asked to stop", node->name);
	node->stopping = true;
	node_stop(node->world, node, 0);
}

// ---- Nodes ----

static void
node_trace(void *arg, const char *line)
{
	struct node *node = arg;

	trace_add(&node->world->trace, TRACE_CORE, node->world->now, "%s > %s", node->name, line);
}

struct node *
world_add_node(struct world *world, const char *name, const struct core_config *base, uint64_t cache_size,
	       uint32_t cache_ways)
{
	struct node *node = calloc(1, sizeof *node);
	struct core_config config = *base;
	struct copies copies;

	CHECK(node != NULL);
	node->world = world;
	node->index = world->node_count++;
	snprintf(node->name, sizeof node->name, "%s", name);
	node->parent = WORLD_NO_NODE;
	node->going = -1;
	node->timer_at = MOMENT_NEVER;
	config.name = node->name;
	config.trace = node_trace;
	config.trace_arg = node;
	node->cache = set_cache_create(cache_size, world->block_size, cache_ways);
	copies = set_cache_copies(node->cache);
	node->core = core_create(&config, &copies);
	world->nodes = realloc(world->nodes, (size_t)world->node_count * sizeof *world->nodes);
	CHECK(world->nodes != NULL);
	world->nodes[node->index] = node;
	return node;
}

int
world_add_root_volume(struct node *node, const char *name, struct disk *disk, bool read_only)
{
	int volume = core_add_root_volume(node->core, name, disk->block_count * disk->block_size, disk->block_size,
					  read_only);

	CHECK(volume >= 0 && volume < WORLD_VOLUMES);
	node->disks[volume] = disk;
	return volume;
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

void
world_set_parent(struct node *node, struct node *parent, const struct pipe_config pipe[2], moment_us after_us)
{
	node->parent = parent->index;
	node->pipe[PIPE_UP] = pipe[PIPE_UP];
	node->pipe[PIPE_DOWN] = pipe[PIPE_DOWN];
	pipe_dial(node, node->world->now + after_us);
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

static void
node_destroy(struct node *node)
{
	core_destroy(node->core);
	set_cache_destroy(node->cache);
	for (int i = 0; i < WORLD_VOLUMES; i++)
		disk_destroy(node->disks[i]);
	free(node->deferred);
	free(node);
}

static void
entry_forget(const struct heap_entry *entry)
{
	pipe_forget(entry);
	perform_forget(entry);
}

void
world_destroy(struct world *world)
{
	for (size_t i = 0; i < world->heap.count; i++)
		entry_forget(&world->heap.entries[i]);
	for (int i = 0; i < world->node_count; i++)
		for (size_t k = 0; k < world->nodes[i]->deferred_count; k++)
			entry_forget(&world->nodes[i]->deferred[k]);
	pipe_free_all(world);
	for (int i = 0; i < world->node_count; i++)
		node_destroy(world->nodes[i]);
	actions_destroy(world->actions);
	heap_fini(&world->heap);
	free(world->message);
	free(world->nodes);
	free(world);
}
