// SPDX-License-Identifier: MIT
#include "tests/sim/oracle.h"

#include "core/check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ORACLE_RUN_BLOCKS = 8, ORACLE_ALL_BLOCKS = 64, ORACLE_ALL_EVERY = 16 };

void
oracle_fini(struct oracle *oracle)
{
	free(oracle->indices);
	oracle->indices = NULL;
	oracle->index_count = 0;
}

// ---- Volumes ----

static void
indices_grow(struct oracle *oracle)
{
	oracle->indices = realloc(oracle->indices, (size_t)oracle->world->node_count * sizeof *oracle->indices);
	CHECK(oracle->indices != NULL);
	for (; oracle->index_count < oracle->world->node_count; oracle->index_count++)
		for (int volume = 0; volume < WORLD_VOLUMES; volume++)
			oracle->indices[oracle->index_count][volume] = -1;
}

int
oracle_volume(struct oracle *oracle, const struct node *node, int volume)
{
	struct volume_info info;
	int index;

	if (oracle->index_count < oracle->world->node_count)
		indices_grow(oracle);
	if (oracle->indices[node->index][volume] >= 0)
		return oracle->indices[node->index][volume];
	index = world_volume_index(node, oracle->volume_names[volume]);
	if (index < 0)
		return -1;
	core_volume_info(node->core, (uint32_t)index, world_clock(node), &info);
	if (!info.ready)
		return -1;
	return oracle->indices[node->index][volume] = index;
}

void
oracle_forget(struct oracle *oracle, const struct node *node)
{
	for (int volume = 0; node->index < oracle->index_count && volume < WORLD_VOLUMES; volume++)
		oracle->indices[node->index][volume] = -1;
}

// ---- One block, all nodes ----

struct view {
	int volume;
	uint64_t block;
	const struct node *writer, *reader; // found so far
	struct block_info first;            // what the reader has
};

static void __attribute__((format(printf, 3, 4)))
view_fail(struct oracle *oracle, const struct view *view, const char *format, ...)
{
	char text[400];
	int used = snprintf(text, sizeof text, "volume %d block %" PRIu64 ": ", view->volume, view->block);
	va_list args;

	va_start(args, format);
	vsnprintf(text + used, sizeof text - (size_t)used, format, args);
	va_end(args);
	oracle->fail(oracle->arg, text);
}

static void
view_compare(struct oracle *oracle, const struct view *view, const struct node *node, const struct block_info *info)
{
	const struct block_info *first = &view->first;

	if (info->writable || view->writer != NULL)
		view_fail(oracle, view, "%s and %s may read although one of them may write", view->reader->name,
			  node->name);
	if (first->version != info->version)
		view_fail(oracle, view, "%s reads version %#" PRIx64 ", %s version %#" PRIx64, view->reader->name,
			  first->version, node->name, info->version);
	if (first->copy != NULL && info->copy != NULL &&
	    memcmp(buf_bytes(first->copy), buf_bytes(info->copy), oracle->world->block_size) != 0)
		view_fail(oracle, view, "%s and %s read different bytes of version %#" PRIx64, view->reader->name,
			  node->name, info->version);
}

static void
view_add(struct oracle *oracle, struct view *view, const struct node *node, const struct block_info *info)
{
	if (info->writable && view->writer != NULL)
		view_fail(oracle, view, "%s and %s may both write", view->writer->name, node->name);
	if (info->readable && view->reader != NULL)
		view_compare(oracle, view, node, info);
	else if (info->readable && view->writer != NULL)
		view_fail(oracle, view, "%s may read although %s may write", node->name, view->writer->name);
	else if (info->writable && view->reader != NULL)
		view_fail(oracle, view, "%s may read although %s may write", view->reader->name, node->name);
	if (info->readable) {
		view->reader = node;
		view->first = *info;
	}
	if (info->writable)
		view->writer = node;
}

// What ${node} says of the blocks from ${first}.
static void
node_look(struct oracle *oracle, const struct node *node, struct view *views, uint64_t count)
{
	int index = node->stopped || node->distrusted ? -1 : oracle_volume(oracle, node, views[0].volume);
	moment_us now = world_clock(node);

	for (uint64_t i = 0; index >= 0 && i < count; i++) {
		struct block_info info;

		core_block_info(node->core, (uint32_t)index, views[i].block, now, &info);
		if (info.readable || info.writable)
			view_add(oracle, &views[i], node, &info);
	}
}

// One node after the other, so that each one's memory is gone through once.
static void
blocks_look(struct oracle *oracle, int volume, uint64_t first, uint64_t count)
{
	struct view views[ORACLE_ALL_BLOCKS];

	for (uint64_t i = 0; i < count; i++)
		views[i] = (struct view){.volume = volume, .block = first + i};
	for (int i = 0; i < oracle->world->node_count; i++)
		node_look(oracle, oracle->world->nodes[i], views, count);
	oracle->looks += count;
	for (uint64_t i = 0; i < count; i++)
		oracle->readable_looks += views[i].reader != NULL;
}

// ---- Which blocks ----

static void
volumes_look(struct oracle *oracle, uint64_t first, uint64_t count, uint64_t most)
{
	if (first >= oracle->block_count)
		return;
	if (count > oracle->block_count - first)
		count = oracle->block_count - first;
	for (int volume = 0; volume < oracle->volume_count && count > 0; volume++)
		blocks_look(oracle, volume, first, count < most ? count : most);
}

void
oracle_look(struct oracle *oracle, const struct event *event)
{
	uint32_t block_size = oracle->world->block_size;

	if (oracle->world->steps % oracle->every != 0)
		return;
	if (event->type == EVENT_MESSAGE && event->message->present & PRESENT(BLOCK_NUM))
		volumes_look(oracle, event->message->block, event->message->count, ORACLE_RUN_BLOCKS);
	else if (event->type == EVENT_IO && event->io->kind != IO_SYNC)
		volumes_look(oracle, event->io->offset / block_size, event->io->size / block_size + 1,
			     ORACLE_RUN_BLOCKS);
	else if (oracle->world->steps % (oracle->every * ORACLE_ALL_EVERY) == 0)
		oracle_look_at_all(oracle);
}

void
oracle_look_at_all(struct oracle *oracle)
{
	volumes_look(oracle, 0, oracle->block_count, ORACLE_ALL_BLOCKS);
}
