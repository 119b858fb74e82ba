// SPDX-License-Identifier: MIT
// What a cache knows of one block: 16 bytes. A slot is at rest in a group of a table, or on its way from one level to
// another; wherever it is, it holds one count of its buffer (S31: bytes are never copied). The slots of a disk level say
// where in their group's place on the disk the bytes are instead.
#ifndef HVFS_CACHE_SLOT_H
#define HVFS_CACHE_SLOT_H

#include "core/buf.h"
#include "core/limits.h"
#include "core/types.h"

struct slot {
	uint64_t tag : 56;  // key + 1; 0: empty, so that fresh zeroed memory is an empty cache
	uint64_t uses : 2;  // how often it was used again, up to 3 (s3fifo)
	uint64_t main : 1;  // has proved itself (s3fifo)
	uint64_t fresh : 1; // brought and not yet used: the use it was brought for does not count as one more
	uint64_t dirty : 1;
	uint64_t on_disk : 1;
	uint64_t known : 1; // on disk: the core has it; else it is from an earlier run, and nobody has asked for it yet
	uint64_t busy : 1;  // on disk: being written or read
	union {
		struct buf *buf;
		struct {
			uint32_t sum;         // on disk: of the bytes (sum.h), once checked
			uint16_t way;         // where in the group's place
			uint8_t size_log : 5; // of the bytes' number; 0: a block of zeros, which has none
			uint8_t writing : 1;  // busy because it is being written
			uint8_t checked : 1;  // written by this run, or read and found right
			uint8_t told : 1;     // not known: the core has been told its digest, and may take it over
			uint8_t ghost;        // of another block of the group, that was not written (disk_level.c)
		};
	};
};

enum { SLOT_USES_MAX = 3 };

static_assert(sizeof(struct slot) == 16, "the index costs 16 bytes a block");
static_assert(LIMIT_VOLUMES < 1 << (56 - BLOCK_KEY_BITS), "a key fits a tag");

static inline block_key
slot_key(const struct slot *slot)
{
	return slot->tag - 1;
}

// Of a slot of a disk level: the bytes there; 0: a block of zeros.
static inline uint32_t
slot_disk_size(const struct slot *slot)
{
	return slot->size_log == 0 ? 0 : UINT32_C(1) << slot->size_log;
}

// ${size}: 0, or a power of two.
static inline void
slot_set_disk_size(struct slot *slot, uint32_t size)
{
	slot->size_log = size == 0 ? 0 : (uint8_t)(31 - __builtin_clz(size)) & 31;
}

// Bytes of data that it stands for.
static inline size_t
slot_bytes(const struct slot *slot)
{
	return slot->on_disk ? slot_disk_size(slot) : buf_size(slot->buf);
}

// The same block as it comes to another level, where it has yet to prove itself.
static inline struct slot
slot_unmarked(const struct slot *slot)
{
	return (struct slot){.tag = slot->tag, .dirty = slot->dirty, .buf = slot->buf};
}

#endif
