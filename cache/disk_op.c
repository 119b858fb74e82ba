// SPDX-License-Identifier: MIT
// Slots of a disk level that are being written or read. A block of a sealed volume is written from memory of its own,
// in which its proof is behind it, and read into such; the rest, between that and the buffer, is computed elsewhere:
//
//	write   sealed -> on the medium -> done
//	read    from the medium -> the proof is the one that was written last, and proves the bytes: opened -> done
#include "cache/disk_level_internal.h"
#include "core/check.h"

#include <stdlib.h>
#include <string.h>

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

// ---- Blocks of sealed volumes ----

static void
compute(struct disk_level *level, struct disk_work *work)
{
	if (level->listener.compute != NULL) {
		level->listener.compute(level->listener.arg, work);
		return;
	}
	work->run(work);
	work->done(work);
}

// It can not fail: the proof is that of these bytes. If it does, zeros are written, and found damaged when they are
// read.
static void
seal(struct disk_work *work)
{
	struct disk_sealing *sealing = (struct disk_sealing *)work;
	struct sealed_block *block = &sealing->block;

	if (!sealing->form->ops->seal(sealing->form->self, block, 1))
		memset(sealing->bytes, 0, block->size + SEALED_TAIL_SIZE);
	else
		sealed_tail_write(block, sealing->bytes + block->size);
}

static void
sealed(struct disk_work *work)
{
	struct disk_op *op = ((struct disk_sealing *)work)->op;

	op->level->medium.ops->submit(op->level->medium.self, &op->io);
}

static void
open_sealed(struct disk_work *work)
{
	struct disk_sealing *sealing = (struct disk_sealing *)work;
	struct sealed_block *block = &sealing->block;
	uint8_t digest[BLOCK_DIGEST_SIZE];

	if (!sealed_tail_read(sealing->bytes + block->size, block))
		return;
	sealed_proof_digest(block->proof, block->proof_size, digest); // another one is right, too, of an older content
	sealing->is_right = memcmp(digest, sealing->digest, sizeof(digest)) == 0 &&
			    sealing->form->ops->open(sealing->form->self, block);
}

static void
opened(struct disk_work *work)
{
	struct disk_sealing *sealing = (struct disk_sealing *)work;

	if (sealing->is_right)
		sealed_give_proof(&sealing->block, sealing->op->buf);
	sealing->done(&sealing->op->io, 0);
}

static void
came(struct medium_io *io, int sys_errno)
{
	struct disk_op *op = (struct disk_op *)io;
	struct disk_sealing *sealing = op->sealing;

	if (sys_errno != 0)
		sealing->done(io, sys_errno);
	else
		compute(op->level, &sealing->work);
}

static struct disk_sealing *
sealing_create(struct disk_level *level, struct disk_op *op)
{
	struct disk_sealing *sealing = calloc(1, sizeof(*sealing));
	uint32_t size = (uint32_t)buf_size(op->buf);

	CHECK(sealing != NULL);
	sealing->op = op;
	sealing->form = level->forms[block_key_volume(op->told_key)];
	sealing->bytes = aligned_alloc(MEDIUM_ALIGN, size + SEALED_TAIL_SIZE);
	CHECK(sealing->bytes != NULL);
	sealing->block = (struct sealed_block){
		.block = block_key_block(op->told_key),
		.size = size,
		.bytes = buf_bytes(op->buf),
		.sealed = sealing->bytes,
	};
	sealing->done = op->io.done;
	return sealing;
}

static void
sealing_destroy(struct disk_sealing *sealing)
{
	if (sealing != NULL)
		free(sealing->bytes);
	free(sealing);
}

static void
begin_sealed(struct disk_level *level, struct disk_op *op)
{
	struct disk_sealing *sealing = op->sealing = sealing_create(level, op);

	op->io.bytes = sealing->bytes;
	op->io.size += SEALED_TAIL_SIZE;
	if (op->io.write) {
		sealed_take_proof(&sealing->block, op->buf);
		sealing->work = (struct disk_work){.run = seal, .done = sealed};
		compute(level, &sealing->work);
		return;
	}
	memcpy(sealing->digest, level->digests[disk_slot_number(level, op->group, op->way)], BLOCK_DIGEST_SIZE);
	sealing->work = (struct disk_work){.run = open_sealed, .done = opened};
	op->io.done = came;
	level->medium.ops->submit(level->medium.self, &op->io);
}

// ---- All blocks ----

static void
begin(struct disk_level *level, struct disk_op *op)
{
	if (level->forms[block_key_volume(op->told_key)] != NULL)
		begin_sealed(level, op);
	else
		level->medium.ops->submit(level->medium.self, &op->io);
}

struct disk_op *
disk_op_begin(struct disk_level *level, const struct assoc_place *place, block_key told_key, struct buf *buf,
	      bool write, void (*done)(struct medium_io *io, int sys_errno))
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
	if (!write) {
		begin(level, op);
		return op;
	}
	level->writes++;
	level->write_bytes += buf_size(buf);
	*level->held_tail = op;
	level->held_tail = &op->next_ended;
	disk_writes_pump(level);
	return op;
}

// In the order in which they came. Few enough that a read does not wait for all of them; and with room for their records.
void
disk_writes_pump(struct disk_level *level)
{
	while (level->held != NULL && level->writing < DISK_WRITING_MAX &&
	       (disk_records_room(level) || level->stats.sys_errno != 0)) {
		struct disk_op *op = level->held;

		level->held = op->next_ended;
		if (level->held == NULL)
			level->held_tail = &level->held;
		if (op->forgotten) {
			disk_op_end(level, op);
			continue;
		}
		level->writing++;
		begin(level, op);
	}
}

void
disk_op_end(struct disk_level *level, struct disk_op *op)
{
	struct disk_op **link = bucket(level, op->group);

	while (*link != op)
		link = &(*link)->next;
	*link = op->next;
	level->op_count--;
	level->writes -= op->io.write;
	level->write_bytes -= op->io.write ? buf_size(op->buf) : 0;
	buf_unref(op->buf);
	sealing_destroy(op->sealing);
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
