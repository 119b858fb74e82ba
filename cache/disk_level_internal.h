// SPDX-License-Identifier: MIT
// What the files of the disk level share.
#ifndef HVFS_CACHE_DISK_LEVEL_INTERNAL_H
#define HVFS_CACHE_DISK_LEVEL_INTERNAL_H

#include "cache/assoc.h"
#include "cache/disk_format.h"
#include "cache/disk_level.h"

enum {
	DISK_WRITES_MAX = 8 << 20,  // bytes of blocks being written at once, or held until they are
	DISK_WRITING_MAX = 96,      // blocks being written at once: so many may be before a read
	DISK_LATER_MAX = 16384,  // blocks in memory that wait to be written
	DISK_LATER_TRIES = 512,  // of them looked at in one step
	DISK_PAGES_MAX = 256,    // pages of records written together
	DISK_PURGE_GROUPS = 512, // emptied in one step of a level that has failed
	DISK_OP_BUCKETS = 4096,
};

// A slot that is being written or read. The slot's way is not used for anything else until it has ended, even if the
// block was forgotten.
struct disk_op {
	struct medium_io io;
	struct disk_level *level;
	struct disk_op *next;       // in its bucket, by group
	struct disk_op *next_ended; // of reads; of writes that are held the next one
	block_key key;              // with the volume's number
	block_key told_key;         // as the core calls it
	uint64_t group;
	uint32_t way;
	struct buf *buf;
	struct disk_sealing *sealing; // of a block of a sealed volume; or NULL
	bool asked; // of a read: the core waits for it
	bool forgotten;
	bool failed;
};

// A block of a sealed volume, between how it is in memory and how it is on the medium.
struct disk_sealing {
	struct disk_work work;
	struct disk_op *op;
	const struct sealed_form *form;
	struct sealed_block block;
	uint8_t *bytes; // the block and its tail, as on the medium
	// of a read:
	uint8_t digest[BLOCK_DIGEST_SIZE]; // of the proof that it has to have
	bool is_right;
	void (*done)(struct medium_io *io, int sys_errno);
};

// What is written of the level's own.
struct disk_own_io {
	struct medium_io io;
	struct disk_level *level;
};

struct disk_level {
	struct medium medium;
	struct level_config config;
	struct disk_superblock superblock;
	struct disk_level_listener listener;
	struct assoc *table;                  // by key with the volume's number
	uint8_t (*digests)[BLOCK_DIGEST_SIZE]; // by slot on the disk
	uint8_t number_of[LIMIT_VOLUMES];     // number + 1 of this node's volumes; 0: none
	const struct sealed_form *forms[LIMIT_VOLUMES]; // of those that are sealed
	uint8_t index_of[DISK_VOLUMES_MAX];   // and back: index + 1
	struct disk_op *ops[DISK_OP_BUCKETS];
	uint64_t op_count; // ended reads included
	uint64_t writes, write_bytes; // held ones included
	uint64_t writing;             // without them
	struct disk_op *held, **held_tail;
	struct disk_op *ended, **ended_tail;
	// Blocks that could not be written at once: a ring of their keys, as the core calls them.
	block_key *later;
	uint32_t later_first, later_count;
	// Records (disk_records.c).
	uint64_t *pages, *batch; // DISK_PAGES_MAX each: to be written, being written
	uint32_t page_count;
	uint8_t *page_bytes; // of the batch
	struct disk_own_io *page_ios;
	uint32_t page_ios_running;
	struct disk_own_io superblock_io;
	uint8_t *superblock_bytes;
	bool superblock_runs, superblock_due;
	uint32_t volumes_written, volumes_being_written; // names that are on the disk, that will be
	uint64_t records_read, records_total; // of an earlier run, while it is being opened
	uint64_t purge_group;
	// A level that is being emptied (disk_leave.c).
	bool leaving;
	uint64_t leave_group; // whose blocks are next
	bool filling;         // from one that is being emptied: records are written without delay
	bool room_wanted;     // the listener is to be woken when there is room
	struct disk_level_stats stats; // the counters
};

// Where slot ${way} of ${group} is among all.
static inline uint64_t
disk_slot_number(const struct disk_level *level, uint64_t group, uint32_t way)
{
	return group * level->table->way_count + way;
}

// The core's key of ${slot}; false: its volume is none of this node's.
bool disk_core_key(const struct disk_level *level, const struct slot *slot, block_key *ret_key);

// Where ${key} is; false: it is not here.
bool disk_find(struct disk_level *level, block_key key, struct assoc_place *ret_place);

// The block at ${place}, which is not busy, is here no more.
void disk_take(struct disk_level *level, const struct assoc_place *place);

// ---- disk_op.c ----

// The one that ${place} is busy with.
struct disk_op *disk_op_find(struct disk_level *level, const struct assoc_place *place);

// A way of ${group} that nothing is in, nor will be when what is under way has ended; way_count: there is none.
uint32_t disk_free_way(struct disk_level *level, uint64_t group);

// Write (or read) what is at ${place}, which is not busy, from (to) ${buf}, whose count is the op's; ${told_key}: the
// core's key.
struct disk_op *disk_op_begin(struct disk_level *level, const struct assoc_place *place, block_key told_key,
			      struct buf *buf, bool write, void (*done)(struct medium_io *io, int sys_errno));

// Begin writes that are held, as far as the medium is to have more.
void disk_writes_pump(struct disk_level *level);

// It has ended. Gives back the count of its buffer, if it still has one.
void disk_op_end(struct disk_level *level, struct disk_op *op);

// The slot that ${op} is about, unless it was forgotten.
bool disk_op_place(struct disk_level *level, const struct disk_op *op, struct assoc_place *ret_place);

// ---- disk_level.c ----

// Something has ended: whoever waits for that is woken.
void disk_tell_ended(struct disk_level *level);

// Nothing is kept any more.
void disk_level_fail(struct disk_level *level, bool writing, int sys_errno);

// The record of ${slot} (a number) is to be written.
void disk_record_due(struct disk_level *level, uint64_t slot);

// Write records, if it is time; the superblock, if it is due.
void disk_records_pump(struct disk_level *level);

// Whether another write is to be taken.
static inline bool
disk_writes_room(const struct disk_level *level)
{
	return level->write_bytes < DISK_WRITES_MAX;
}

// Whether there is room for another record.
bool disk_records_room(const struct disk_level *level);

#endif
