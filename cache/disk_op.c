// SPDX-License-Identifier: MIT
// Slots of a disk level that are being written or read.
#include "cache/disk_level_internal.h"
#include "core/check.h"

#include <stdlib.h>

static struct disk_op **
bucket(struct disk_level *level, uint64_t group)
{
	return &level->ops[group % DISK_OP_BUCKETS];
}

struct disk_op *
disk_op_find(struct disk_level *level, const struct assoc_place *place)
{
	struct disk_op *op = *bucket(level, place->group);

	while (op != NULL && (op->forgotten || op->key != slot_key(assoc_slot(place))))
		op = op->next;
	return op;
}

static bool
way_is_used(struct disk_level *level, uint64_t group, const struct group *view, uint32_t way)
{
	for (uint32_t i = 0; i < view->used; i++)
		if (view->slots[i].way == way)
			return true;
	for (const struct disk_op *op = *bucket(level, group); op != NULL; op = op->next)
		if (op->group == group && op->way == way)
			return true;
	return false;
}

uint32_t
disk_free_way(struct disk_level *level, uint64_t group)
{
	struct group view = assoc_group(level->table, group);
	uint32_t way = 0;

	while (way < view.way_count && way_is_used(level, group, &view, way))
		way++;
	return way;
}

struct disk_op *
disk_op_begin(struct disk_level *level, const struct assoc_place *place, block_key told_key, struct buf *buf, bool write,
	 void (*done)(struct medium_io *io, int sys_errno))
{
	struct disk_op *op = calloc(1, sizeof(*op));
	struct slot *slot = assoc_slot(place);

	CHECK(op != NULL && !slot->busy);
	*op = (struct disk_op){.level = level, .key = slot_key(slot), .told_key = told_key, .group = place->group};
	op->way = slot->way;
	op->buf = buf;
	op->next = *bucket(level, op->group);
	*bucket(level, op->group) = op;
	level->op_count++;
	slot->busy = 1;
	slot->writing = write;
	op->io = (struct medium_io){
		.write = write,
		.offset = disk_slot_offset(&level->superblock, disk_slot_number(level, op->group, op->way)),
		.bytes = buf_bytes(buf),
		.size = buf_size(buf),
		.done = done,
	};
	level->medium.ops->submit(level->medium.self, &op->io);
	return op;
}

void
disk_op_end(struct disk_level *level, struct disk_op *op)
{
	struct disk_op **link = bucket(level, op->group);

	while (*link != op)
		link = &(*link)->next;
	*link = op->next;
	level->op_count--;
	buf_unref(op->buf);
	free(op);
}

bool
disk_op_place(struct disk_level *level, const struct disk_op *op, struct assoc_place *ret_place)
{
	if (op->forgotten)
		return false;
	CHECK(assoc_find(level->table, op->key, ret_place) && assoc_slot(ret_place)->busy);
	return true;
}
