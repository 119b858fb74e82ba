// SPDX-License-Identifier: MIT
// The disk below a node's cache. It has chances of its own, so that a world with one is otherwise like one without.
#include "core/check.h"
#include "tests/sim/world.h"

#include <errno.h>
#include <stdlib.h>

enum { SLOT = 4096, INDEX_SIZE = 2 << 20 }; // what lies before the slots takes less

static struct drive *
drive_of(struct world *world, uint64_t number, struct node **ret_node)
{
	struct node *node = world->nodes[number & 0xffff];

	*ret_node = node;
	return node->drive != NULL && !node->stopped && node->starts == number >> 16 ? node->drive : NULL;
}

static uint64_t
number_of(const struct node *node)
{
	return (uint64_t)node->index | (uint64_t)node->starts << 16;
}

static void
tell_core(void *context, void *arg, uint64_t number)
{
	struct node *node;
	struct drive *drive = drive_of(context, number, &node);

	if (drive == NULL || world_defer(node, tell_core, arg, number))
		return;
	drive->wanted = false;
	world_step(node, &(struct event){.type = EVENT_COPIES});
}

static void
on_wake(void *arg)
{
	struct node *node = arg;

	if (!node->drive->wanted)
		world_at(node->world, node->world->now, tell_core, NULL, number_of(node));
	node->drive->wanted = true;
}

static void
on_failed(void *arg, bool writing, int sys_errno)
{
	struct node *node = arg;

	trace_add(&node->world->trace, TRACE_STORE, node->world->now, "%s gives up its cache on disk", node->name);
}

static void
ended(void *context, void *arg, uint64_t number)
{
	struct node *node;
	struct drive *drive = drive_of(context, number, &node);
	bool fails;

	if (drive == NULL || world_defer(node, ended, arg, number))
		return;
	fails = rng_below(&drive->rng, 1000000) < drive->config.fail_ppm;
	drive->medium.read_errno = drive->medium.write_errno = fails ? EIO : 0;
	memory_medium_end(&drive->medium, arg); // unless a scenario has done so
}

static void
submitted(void *arg, struct medium_io *io)
{
	struct node *node = arg;
	struct drive *drive = node->drive;
	moment_us latency_us = rng_exponential(&drive->rng, drive->config.latency_us);

	world_at(node->world, node->world->now + latency_us, ended, io, number_of(node));
}

void
drive_open(struct node *node)
{
	struct drive *drive = node->drive;
	const struct stack_disk_hooks hooks = {.wake = on_wake, .failed = on_failed, .arg = node};
	const struct medium medium = memory_medium(&drive->medium);
	const struct level_config config = {.size = disk_level_size_min(0) + drive->config.slots * SLOT, .ways = drive->config.ways,
					    .hash = HASH_NEIGHBOURS};
	struct disk_level *level;
	char error[256];
	bool emptied;

	drive->medium.read_errno = drive->medium.write_errno = 0;
	drive->wanted = false;
	level = disk_level_open(&medium, &config, SLOT, false, &emptied, error, sizeof error);
	CHECK(level != NULL && !emptied);
	stack_set_disk(node->cache, level, &hooks);
}

void
world_add_drive(struct node *node, const struct drive_config *config)
{
	CHECK(node->drive == NULL);
	node->drive = calloc(1, sizeof *node->drive);
	CHECK(node->drive != NULL);
	node->drive->config = *config;
	node->drive->rng.state = config->seed;
	memory_medium_init(&node->drive->medium, 0, INDEX_SIZE + config->slots * SLOT);
	node->drive->medium.submitted = submitted;
	node->drive->medium.arg = node;
	drive_open(node);
}

static bool
sector_arrives(void *arg)
{
	struct drive *drive = arg;

	return rng_chance(&drive->rng, 50);
}

void
drive_crash(struct node *node)
{
	struct drive *drive = node->drive;
	struct disk_level_stats stats;

	if (drive == NULL)
		return;
	disk_level_get_stats(stack_disk(node->cache), &stats);
	disk_level_check(stack_disk(node->cache));
	drive->loaded += stats.loaded;
	drive->confirmed += stats.confirmed;
	drive->damaged += stats.damaged;
	memory_medium_crash(&drive->medium, sector_arrives, drive);
	for (unsigned n = 0; n < drive->config.rot; n++)
		drive->medium.bytes[drive->medium.size - 1 -
				    rng_below(&drive->rng, drive->config.slots * SLOT)] ^= 1;
}

void
drive_close(struct node *node)
{
	if (node->drive != NULL)
		stack_abandon_disk(node->cache);
}

void
drive_destroy(struct node *node)
{
	if (node->drive != NULL)
		memory_medium_fini(&node->drive->medium);
	free(node->drive);
}
