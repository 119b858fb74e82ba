// SPDX-License-Identifier: MIT
// What write-back in the background costs those who read meanwhile, and the storage. In virtual time, with real cores.
//
// Latency: 64 MiB that were written in random order go up because of their age, while one reader reads random blocks, one after
// the other: at a root, with a disk that has a head or with one that has none, and at a child on a narrow link. As ratios to the
// same reads without any write-back: with all of it on its way at once, and as it is.
//
// Order: how long the head of a disk takes to write these 64 MiB by age, and as it is.
#include "core/check.h"
#include "tests/sim/world.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	BLOCK_SIZE = 4096,
	DIRTY_SIZE = 64 << 20,
	DIRTY = DIRTY_SIZE / BLOCK_SIZE,
	BLOCKS = 64 * DIRTY, // 4 GiB
	STEP = 40503,        // prime to all powers of two
	AGE_MS = 5000,
	READS_MAX = 100000,
	AS_IT_IS = 128 << 10,
	ALL_AT_ONCE = 64 << 20,
};
#define VOLUME "v"

struct place {
	const char *name;
	bool below;
	unsigned block_us, settle_us, stroke_us; // of the root's disk
	uint64_t bytes_per_s;                    // of the link
};

static const struct place places[] = {
	{"disk with a head", false, 20, 1000, 15000, 0},
	{"disk without", false, 20, 60, 0, 0},
	{"link of 100 Mbit/s, 5 ms", true, 0, 0, 0, 100000000 / 8},
};

struct driver {
	struct world_io io;
	struct node *node;
	uint64_t count;
	moment_us asked_at, sum;
	unsigned read_count;
	uint32_t size; // of a request
	uint8_t bytes[1 << 20];
};

static struct node *
add_node(struct world *world, const char *name, uint32_t background_size)
{
	struct core_config config;

	core_config_default(&config);
	config.node_id = (uint64_t)world->node_count + 1;
	config.session_seed = config.node_id << 32;
	config.has_parent = world->node_count > 0;
	config.has_driver = true;
	config.writeback_ms = AGE_MS;
	config.dirty_max = (uint64_t)4 * DIRTY;
	config.background_size = background_size;
	return world_add_node(world, name, &config, (uint64_t)8 * DIRTY * BLOCK_SIZE, 0);
}

static struct volume_info
info_of(struct node *node)
{
	struct volume_info info;

	core_volume_info(node->core, 0, world_clock(node), &info);
	return info;
}

static uint64_t
random_block(uint64_t i)
{
	uint64_t half = i * STEP % (BLOCKS / 2); // a bijection,

	return (half ^ half >> 7) * STEP % (BLOCKS / 2); // and another one
}

static void
submit(struct driver *driver, enum io_kind kind, uint64_t block)
{
	driver->io = (struct world_io){.bytes = driver->bytes, .owner = driver};
	driver->io.io = (struct io){.kind = kind, .offset = block * BLOCK_SIZE, .size = driver->size};
	driver->asked_at = driver->node->world->now;
	world_submit(driver->node, &driver->io);
}

static void
go_on(void *world, void *arg, uint64_t kind)
{
	struct driver *driver = arg;

	driver->count++;
	if (kind == IO_WRITE && driver->count * driver->size < DIRTY_SIZE)
		submit(driver, IO_WRITE, driver->size > BLOCK_SIZE ? driver->count * driver->size / BLOCK_SIZE
								    : random_block(driver->count));
	else if (kind == IO_READ)
		submit(driver, IO_READ, BLOCKS / 2 + random_block(driver->count));
}

static void
on_done(void *arg, struct world_io *io)
{
	struct driver *driver = io->owner;
	struct world *world = io->node->world;

	CHECK(io->error == ERR_OK);
	if (io->io.kind == IO_READ) {
		driver->sum += world->now - driver->asked_at;
		driver->read_count++;
	}
	world_at(world, world->now, go_on, driver, io->io.kind);
}

static struct node *
make_tree(struct world *world, const struct place *place, uint32_t background_size)
{
	struct node *root = add_node(world, "root", background_size), *leaf = root;
	struct disk *disk = disk_create(BLOCK_SIZE, BLOCKS);

	world->check_every = 0;
	world->hooks.io_done = on_done;
	world_add_root_volume(root, VOLUME, disk, false);
	if (place->below) {
		leaf = add_node(world, "leaf", background_size);
		world_add_child_volume(leaf, VOLUME, false);
		leaf->parent = root->index;
		for (unsigned way = 0; way < 2; way++) {
			leaf->pipe[way].delay_us = 5000;
			leaf->pipe[way].bytes_per_s = place->bytes_per_s;
		}
		pipe_dial(leaf, 0);
	}
	world_run(world, 1000000, UINT64_MAX);
	return leaf;
}

struct result {
	double latency;    // mean, microseconds
	double write_back; // seconds
};

// The reads during the write-back of ${dirty} blocks; if that is 0, for a second.
static struct result
measure(const struct place *place, uint64_t dirty, uint32_t background_size)
{
	struct world *world = world_create(1, BLOCK_SIZE);
	struct node *node = make_tree(world, place, background_size);
	static struct driver writer, reader;
	struct disk *disk = world->nodes[0]->disks[0];
	struct result result;
	moment_us begun;

	disk->block_us = place->block_us;
	disk->settle_us = place->settle_us;
	disk->stroke_us = place->stroke_us;
	writer.node = reader.node = node;
	writer.size = place->below ? sizeof writer.bytes : BLOCK_SIZE;
	reader.size = BLOCK_SIZE;
	writer.count = reader.count = 0;
	if (dirty > 0)
		submit(&writer, IO_WRITE, 0);
	while (writer.count * writer.size < dirty * BLOCK_SIZE)
		world_run(world, world->now + 1000, UINT64_MAX);
	go_on(world, &reader, IO_READ);
	while (dirty > 0 && info_of(node).flushing_blocks == 0)
		world_run(world, world->now + 100, UINT64_MAX);
	begun = world->now;
	reader.sum = reader.read_count = 0;
	while (dirty > 0 ? info_of(node).dirty_blocks > 0 : world->now < begun + 1000000)
		world_run(world, world->now + 1000, UINT64_MAX);
	result.latency = (double)reader.sum / reader.read_count;
	result.write_back = (double)(world->now - begun) / 1e6;
	world_destroy(world);
	return result;
}

static void
print_latency(const struct place *place)
{
	struct result alone = measure(place, 0, AS_IT_IS), all = measure(place, DIRTY, ALL_AT_ONCE),
		      now = measure(place, DIRTY, AS_IT_IS);

	printf("  %-26s alone %.0f us; all at once %.2f (written in %.1f s), as it is %.2f (%.1f s)\n", place->name,
	       alone.latency, all.latency / alone.latency, all.write_back, now.latency / alone.latency, now.write_back);
}

// By age: as they were written.
static double
seconds_by_age(const struct place *place)
{
	struct disk *disk = disk_create(BLOCK_SIZE, BLOCKS);
	uint64_t end = 0;

	disk->block_us = place->block_us;
	disk->settle_us = place->settle_us;
	disk->stroke_us = place->stroke_us;
	for (uint64_t i = 0; i < DIRTY; i++)
		end = disk_pass(disk, 0, random_block(i), 1);
	disk_destroy(disk);
	return (double)end / 1e6;
}

static double
seconds_as_it_is(const struct place *place)
{
	struct world *world = world_create(1, BLOCK_SIZE);
	struct node *node = make_tree(world, place, AS_IT_IS);
	static struct driver writer;
	struct disk *disk = node->disks[0];
	moment_us begun;

	writer.node = node;
	writer.size = BLOCK_SIZE;
	writer.count = 0;
	submit(&writer, IO_WRITE, random_block(0));
	while (writer.count < DIRTY)
		world_run(world, world->now + 1000, UINT64_MAX);
	disk->block_us = place->block_us;
	disk->settle_us = place->settle_us;
	disk->stroke_us = place->stroke_us;
	while (info_of(node).flushing_blocks == 0)
		world_run(world, world->now + 100, UINT64_MAX);
	begun = world->now;
	while (info_of(node).dirty_blocks > 0)
		world_run(world, world->now + 100, UINT64_MAX);
	begun = world->now - begun;
	world_destroy(world);
	return (double)begun / 1e6;
}

int
main(void)
{
	double by_age, now;

	printf("reads of random blocks while 64 MiB are written back; 1.00 is what they take alone\n");
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
		print_latency(&places[i]);
	by_age = seconds_by_age(&places[0]);
	now = seconds_as_it_is(&places[0]);
	printf("a disk with a head writes these 64 MiB by age in %.1f s, as it is in %.1f s: %.2f\n", by_age, now, now / by_age);
	return 0;
}
