// SPDX-License-Identifier: MIT
// How a disk level lies on its medium (docs/cache.md, "The file"): two superblocks, a record for each slot, the slots.
// All integers are little-endian.
#ifndef HVFS_CACHE_DISK_FORMAT_H
#define HVFS_CACHE_DISK_FORMAT_H

#include "cache/sealed.h"
#include "core/limits.h"
#include "core/types.h"

enum {
	DISK_VERSION = 1,
	DISK_VERSION_SEALED = 2, // with room for the proofs of blocks of sealed volumes
	DISK_ID_SIZE = 16,
	DISK_PAGE_SIZE = 4096,
	DISK_VOLUMES_MAX = 128, // names
	DISK_SUPERBLOCK_SIZE = DISK_PAGE_SIZE + DISK_VOLUMES_MAX * (LIMIT_NAME_SIZE + 1),
	DISK_SUPERBLOCKS = 2, // written in turn, so that one of them is whole
	DISK_RECORD_SIZE = 32,
	DISK_PAGE_RECORDS = DISK_PAGE_SIZE / DISK_RECORD_SIZE,
	DISK_EMPTY_SIZE = 1 << 20, // what begins with so many zeros is nobody's
};

struct disk_superblock {
	uint64_t generation;      // of two whole ones the newer counts
	uint8_t id[DISK_ID_SIZE]; // random, at each formatting: records of an earlier one are not taken for ours
	uint32_t slot_size; // a power of two, or with room for a proof behind: SEALED_TAIL_SIZE more
	uint32_t way_count;
	uint64_t group_count;
	uint32_t hash; // enum hash
	bool filling;  // it is to take the place of another level, and has not everything yet
	uint32_t volume_count;
	char volumes[DISK_VOLUMES_MAX][LIMIT_NAME_SIZE + 1]; // by number
	uint8_t keys[DISK_VOLUMES_MAX][SEALED_KEY_ID_SIZE];  // of sealed ones; zeros: it is not sealed
};

// What is at the place of a superblock.
enum disk_found { DISK_NOTHING, DISK_FOREIGN, DISK_DAMAGED, DISK_OTHER_VERSION, DISK_OURS };

// A block in a slot: the first ${size} bytes there; 0: a block of zeros.
struct disk_record {
	uint32_t number; // of the volume
	uint64_t block;
	uint32_t size;
	uint8_t digest[BLOCK_DIGEST_SIZE];
};

// Is there room for proofs?
bool disk_has_tails(const struct disk_superblock *superblock);

// Is volume ${number} a sealed one? Each of its blocks has SEALED_TAIL_SIZE bytes behind its own.
bool disk_is_sealed(const struct disk_superblock *superblock, uint32_t number);

// DISK_SUPERBLOCK_SIZE bytes.
void disk_superblock_write(const struct disk_superblock *superblock, uint8_t *bytes);
// ${ret} is set if DISK_OURS, ${ret_version} if DISK_OTHER_VERSION.
enum disk_found disk_superblock_read(const uint8_t *bytes, struct disk_superblock *ret, uint32_t *ret_version);

// DISK_RECORD_SIZE bytes, of slot number ${slot}. NULL: the slot is empty.
void disk_record_write(const struct disk_superblock *superblock, uint64_t slot, const struct disk_record *record,
		       uint8_t *bytes);
// False: empty, damaged, or of an earlier formatting.
bool disk_record_read(const struct disk_superblock *superblock, uint64_t slot, const uint8_t *bytes,
		      struct disk_record *ret);

// How many slots of ${slot_size} a file of ${size} bytes has room for, with all that belongs to them.
uint64_t disk_slots_within(uint64_t size, uint32_t slot_size);

// How many slots there are.
uint64_t disk_slot_count(const struct disk_superblock *superblock);

// Where superblock ${i}, the page of records ${page}, and slot ${slot} begin; where the last slot ends.
uint64_t disk_superblock_offset(uint64_t i);
uint64_t disk_page_offset(uint64_t page);
uint64_t disk_slot_offset(const struct disk_superblock *superblock, uint64_t slot);
uint64_t disk_end(const struct disk_superblock *superblock);

#endif
