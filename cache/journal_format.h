// SPDX-License-Identifier: MIT
// How a journal lies on its medium (docs/cache.md, "The journal"): a page with a superblock, then a ring of records, each
// a page with a header and the bytes of its blocks. All integers are little-endian.
#ifndef HVFS_CACHE_JOURNAL_FORMAT_H
#define HVFS_CACHE_JOURNAL_FORMAT_H

#include "cache/journal.h"

enum {
	JOURNAL_VERSION = 1,
	JOURNAL_VERSION_SEALED = 2, // there may be records of sealed volumes
	JOURNAL_ID_SIZE = 16,
};

struct journal_superblock {
	uint8_t id[JOURNAL_ID_SIZE]; // random, at each formatting
	uint64_t pages;              // of the ring
	bool sealed;                 // JOURNAL_VERSION_SEALED
};

struct journal_entry {
	uint64_t block;
	version_t version;
	uint64_t sum;  // of the bytes; of a sealed volume: of the ciphertext and the tail
	uint32_t size; // of the bytes; 0: a block of zeros
	bool forgotten; // no bytes: what older records have of it counts for nothing
};

struct journal_record {
	uint64_t sequence;
	uint64_t tail; // records with a smaller sequence count for nothing
	uint64_t run;  // the sequence of the first record that the same process wrote: the one before may be torn
	uint64_t page; // where in the ring it begins
	uint32_t block_size;
	char volume[LIMIT_NAME_SIZE + 1];
	uint8_t key[SEALED_KEY_ID_SIZE]; // with which the volume is sealed; zeros: it is not
	struct author author;
	uint32_t count;
	struct journal_entry entries[JOURNAL_RECORD_BLOCKS];
};

enum journal_superblock_found { JOURNAL_NOTHING, JOURNAL_FOREIGN, JOURNAL_DAMAGED, JOURNAL_OTHER_VERSION, JOURNAL_OURS };

// JOURNAL_PAGE bytes each.
void journal_superblock_write(const struct journal_superblock *superblock, uint8_t *bytes);
enum journal_superblock_found journal_superblock_read(const uint8_t *bytes, struct journal_superblock *ret);
void journal_record_write(const struct journal_superblock *superblock, const struct journal_record *record, uint8_t *bytes);
// False: this is no header of a record at ${page} of this formatting.
bool journal_record_read(const struct journal_superblock *superblock, uint64_t page, const uint8_t *bytes,
			 struct journal_record *ret);

// Are its blocks those of a sealed volume?
bool journal_record_is_sealed(const struct journal_record *record);

// Bytes that ${entry} of ${record} has behind the header.
uint32_t journal_entry_room(const struct journal_record *record, const struct journal_entry *entry);

// Pages of a whole record.
uint64_t journal_record_pages(const struct journal_record *record);

// Where a page of the ring is on the medium.
static inline uint64_t
journal_offset(uint64_t page)
{
	return (page + 1) * JOURNAL_PAGE;
}

#endif
