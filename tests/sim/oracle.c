// SPDX-License-Identifier: MIT
// What no node can see alone (protocol.md I2, I4): over the whole tree at most one node may write a block, and then no
// other may read it; whoever may read has the same bytes and version. The oracle looks at all nodes at one true moment,
// each by its own clock.
#include "tests/sim/run.h"

#include <string.h>

enum { ORACLE_RUN_BLOCKS = 8, ORACLE_ALL_BLOCKS = 64 };

// The index the node gave to the volume, once it is ready there; -1 before.
static int
node_volume(struct run *run, const struct node *node, int volume)
{
	struct load *load = &run->loads[node->index];
	struct volume_info info;
	int index;

	if (load->volume[volume] >= 0)
		return load->volume[volume];
	index = world_volume_index(node, run_volume_name(volume));
	if (index < 0)
		return -1;
	core_volume_info(node->core, (uint32_t)index, world_clock(node), &info);
	if (!info.ready)
		return -1;
	return load->volume[volume] = index;
}

struct view {
	int writer, reader;      // nodes, or -1
	struct block_info first; // what the reader has
};

static void
view_add(struct run *run, struct view *view, const struct node *node, int volume, uint64_t block,
	 const struct block_info *info)
{
	const struct world *world = run->world;
	const char *reader = view->reader < 0 ? "" : world->nodes[view->reader]->name;

	if (info->writable && view->writer >= 0)
		run_fail(run, "volume %d block %llu: %s and %s may both write", volume, (unsigned long long)block,
			 world->nodes[view->writer]->name, node->name);
	if (!info->readable)
		return;
	if (view->reader >= 0 && (info->writable || view->writer >= 0))
		run_fail(run, "volume %d block %llu: %s and %s may read although one of them may write", volume,
			 (unsigned long long)block, reader, node->name);
	if (view->reader >= 0 && view->first.version != info->version)
		run_fail(run, "volume %d block %llu: %s reads version %#llx, %s version %#llx", volume, (unsigned long long)block,
			 reader, (unsigned long long)view->first.version, node->name, (unsigned long long)info->version);
	if (view->reader >= 0 && view->first.copy != NULL && info->copy != NULL &&
	    memcmp(buf_bytes(view->first.copy), buf_bytes(info->copy), run->world->block_size) != 0)
		run_fail(run, "volume %d block %llu: %s and %s read different bytes of version %#llx", volume,
			 (unsigned long long)block, reader, node->name, (unsigned long long)info->version);
	view->reader = node->index;
	view->first = *info;
}

static void
block_look(struct run *run, int volume, uint64_t block)
{
	struct view view = {.writer = -1, .reader = -1};

	run->looks++;
	for (int i = 0; i < run->world->node_count; i++) {
		const struct node *node = run->world->nodes[i];
		int index = node->stopped ? -1 : node_volume(run, node, volume);
		struct block_info info;

		if (index < 0)
			continue;
		core_block_info(node->core, (uint32_t)index, block, world_clock(node), &info);
		view_add(run, &view, node, volume, block, &info);
		if (info.writable)
			view.writer = i;
	}
	run->readable_looks += view.reader >= 0;
}

static void
blocks_look(struct run *run, uint64_t first, uint64_t count)
{
	if (count > ORACLE_RUN_BLOCKS)
		count = ORACLE_RUN_BLOCKS;
	for (int volume = 0; volume < run->plan->volume_count; volume++)
		for (uint64_t block = first; block < first + count && block < run->plan->block_count; block++)
			block_look(run, volume, block);
}

void
oracle_look(struct run *run, struct node *node, const struct event *event)
{
	if (run->world->steps % run->plan->oracle_every != 0)
		return;
	if (event->type == EVENT_MESSAGE && event->message->present & PRESENT(BLOCK_NUM))
		blocks_look(run, event->message->block, event->message->count);
	else if (event->type == EVENT_IO && event->io->kind != IO_SYNC)
		blocks_look(run, event->io->offset / PLAN_BLOCK_SIZE, event->io->size / PLAN_BLOCK_SIZE + 1);
	else if (run->world->steps % 16 == 0)
		oracle_look_at_all(run);
}

void
oracle_look_at_all(struct run *run)
{
	uint64_t count = run->plan->block_count;

	for (int volume = 0; volume < run->plan->volume_count; volume++)
		for (uint64_t block = 0; block < count && block < ORACLE_ALL_BLOCKS; block++)
			block_look(run, volume, block);
}
