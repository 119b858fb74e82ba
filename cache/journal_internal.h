// SPDX-License-Identifier: MIT
// What the files of the journal share.
#ifndef HVFS_CACHE_JOURNAL_INTERNAL_H
#define HVFS_CACHE_JOURNAL_INTERNAL_H

#include "cache/journal_format.h"
#include "core/pool.h"

enum {
	JOURNAL_BUCKETS = 1 << 16,
	JOURNAL_FORGOTTEN_MAX = 4096,
	JOURNAL_RESERVE = 2, // pages that only a record without blocks may take; the last one only if it moves the tail on
};

// A block that was put and not forgotten.
struct journal_block {
	uint32_t next;         // in its bucket
	uint32_t next_pending; // of those that are to be written
	block_key key;
	version_t version;
	uint64_t sequence; // of the newest record that has it; 0: none
	uint64_t number;   // of the put; moved: 0
	struct buf *buf;
	bool pending;
	bool gone; // forgotten while it was pending: freed when its turn comes
};

// A record whose place may not be used again yet.
struct journal_place {
	uint64_t sequence, page, pages;
	uint32_t live;  // blocks whose newest bytes are in it
	uint32_t count; // of
	uint32_t blocks[JOURNAL_RECORD_BLOCKS];
};

struct journal_leftover {
	uint32_t record; // index into the records that were found
	struct journal_entry entry;
	struct buf *buf;
};

struct journal {
	struct medium medium;
	struct journal_hooks hooks;
	struct journal_superblock superblock;
	struct pool blocks;
	uint32_t buckets[JOURNAL_BUCKETS];
	uint32_t pending_head, pending_tail;
	uint64_t pending_count;
	uint64_t puts, done; // numbers
	block_key forgotten[JOURNAL_FORGOTTEN_MAX];
	uint32_t forgotten_count;
	// by volume's index
	char names[LIMIT_VOLUMES][LIMIT_NAME_SIZE + 1];
	struct author authors[LIMIT_VOLUMES];
	const struct sealed_form *forms[LIMIT_VOLUMES]; // of those that are sealed
	uint32_t block_sizes[LIMIT_VOLUMES];
	uint64_t counts[LIMIT_VOLUMES]; // blocks in the journal
	bool author_due[LIMIT_VOLUMES];
	// The ring: places[first], ... in the order of their sequence.
	struct journal_place **places;
	size_t place_count, place_capacity;
	uint64_t head; // where the next record begins, if there is room
	uint64_t sequence; // of the next record
	uint64_t run;      // of the first record of this run
	uint64_t tail_on_medium;
	bool empty_on_medium; // the newest record there has nothing, and no record before it counts
	uint64_t hold, hold_until; // the tail stays at ${hold} until the put of this number is done; 0: it does not
	// The record that is being written.
	bool running, record_is_empty;
	struct journal_record record;
	uint8_t *bytes;
	uint64_t running_point;
	const struct sealed_form *sealing_form; // of its volume, or NULL; then of its blocks, in the order of its entries:
	struct sealed_block *sealing;           // what becomes of them on the medium,
	struct buf *sealing_bufs[JOURNAL_RECORD_BLOCKS]; // and their counts
	uint32_t sealing_count;
	// What was found.
	struct journal_record *records;
	size_t record_count;
	struct journal_leftover *leftovers;
	size_t leftover_count;
	struct journal_stats stats;
};

// A place is in use: ${record}, written or found. It is the last one.
struct journal_place *journal_place_add(struct journal *journal, const struct journal_record *record);

#endif
