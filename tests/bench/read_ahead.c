// SPDX-License-Identifier: MIT
// How long does a leaf 10 ms away take to read 64 MiB sequentially, as ratios to the time that the link needs for the
// bytes? In virtual time, with real cores: so it is the protocol that is measured, without the machine. For each link
// speed: without anything, with the parent's PUSH, with the leaf's own read-ahead, with both.
#include "core/check.h"
#include "tests/sim/world.h"

#include <stdio.h>
#include <stdlib.h>

enum { BLOCK_SIZE = 4096, BLOCKS = (64 << 20) / BLOCK_SIZE, REQUEST_SIZE = 128 << 10, DELAY_US = 10000, AHEAD = 1024 };
#define VOLUME "v"

struct reader {
	struct world_io io;
	struct node *node;
	uint64_t offset;
	uint8_t bytes[REQUEST_SIZE];
};

static void
read_next(void *world, void *arg, uint64_t number)
{
	struct reader *reader = arg;

	if (reader->offset == (uint64_t)BLOCKS * BLOCK_SIZE)
		return;
	reader->io.io = (struct io){.kind = IO_READ, .offset = reader->offset, .size = REQUEST_SIZE, .stream = 1};
	reader->io.bytes = reader->bytes;
	reader->io.owner = reader;
	reader->offset += REQUEST_SIZE;
	world_submit(reader->node, &reader->io);
}

static void
on_done(void *arg, struct world_io *io)
{
	CHECK(io->error == ERR_OK);
	world_at(io->node->world, io->node->world->now, read_next, io->owner, 0);
}

static struct node *
add_node(struct world *world, const char *name, uint32_t readahead, uint32_t push)
{
	struct core_config config;

	core_config_default(&config);
	config.node_id = (uint64_t)world->node_count + 1;
	config.session_seed = config.node_id << 32;
	config.has_parent = world->node_count > 0;
	config.has_driver = true;
	config.readahead_blocks = readahead;
	config.push_blocks = push;
	return world_add_node(world, name, &config, (uint64_t)4 * BLOCKS * BLOCK_SIZE, 0);
}

static void
read_all(struct world *world, struct node *node)
{
	static struct reader reader;

	reader = (struct reader){.node = node};
	read_next(world, &reader, 0);
	while (reader.offset < (uint64_t)BLOCKS * BLOCK_SIZE || node->ios != NULL)
		world_run(world, world->now + 100, UINT64_MAX);
}

// The seconds that it takes; *ret_messages: from the parent and to it.
static double
measure(uint64_t bytes_per_s, uint32_t readahead, uint32_t push, uint64_t *ret_messages)
{
	struct world *world = world_create(1, BLOCK_SIZE);
	struct node *root = add_node(world, "root", AHEAD, push), *leaf = add_node(world, "leaf", readahead, 0);
	moment_us begun;

	world->check_every = 0;
	world->hooks.io_done = on_done;
	world_add_root_volume(root, VOLUME, disk_create(BLOCK_SIZE, BLOCKS), false);
	disk_fill(root->disks[0], 1);
	world_add_child_volume(leaf, VOLUME, false);
	leaf->parent = root->index;
	for (unsigned way = 0; way < 2; way++) {
		leaf->pipe[way].delay_us = DELAY_US;
		leaf->pipe[way].bytes_per_s = bytes_per_s;
	}
	pipe_dial(leaf, 0);
	world_run(world, 1000000, UINT64_MAX);
	read_all(world, root); // it has all in its cache
	begun = world->now;
	*ret_messages = world->messages;
	read_all(world, leaf);
	*ret_messages = world->messages - *ret_messages;
	begun = world->now - begun;
	world_destroy(world);
	return (double)begun / 1e6;
}

int
main(void)
{
	static const unsigned speeds[] = {100, 1000, 10000}; // Mbit/s
	static const char *const names[] = {"neither", "PUSH", "read-ahead", "both"};

	printf("64 MiB read by a leaf 10 ms away, in requests of 128 KiB; 1.00 is what the link takes for the bytes\n");
	for (size_t i = 0; i < sizeof speeds / sizeof speeds[0]; i++) {
		double bytes_per_s = speeds[i] * 1e6 / 8, least = (double)BLOCKS * BLOCK_SIZE / bytes_per_s;

		printf("%6u Mbit/s, %.2f s:", speeds[i], least);
		for (unsigned with = 0; with < 4; with++) {
			uint64_t messages;
			double seconds = measure((uint64_t)bytes_per_s, with & 2 ? AHEAD : 0, with & 1 ? AHEAD : 0, &messages);

			printf("  %s %.2f (%llu messages)", names[with], seconds / least, (unsigned long long)messages);
		}
		printf("\n");
	}
	return 0;
}
