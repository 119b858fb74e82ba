// SPDX-License-Identifier: MIT
// Which child holds which blocks, how. One record for each (block, child), on two lists: the block's, to find whom to
// recall, and the child's, to find everything when the child goes. The directory is a superset of the truth and never
// less (hazards H44, H51): a record goes only when the child said so or its lease is over.
#ifndef HVFS_CORE_DIRECTORY_H
#define HVFS_CORE_DIRECTORY_H

#include "core/block_table.h"

struct dir_record {
	uint32_t next; // of the block
	uint32_t entry;
	uint32_t child_prev, child_next;
	uint32_t grant; // low half of the number of the newest grant (R8)
	uint32_t recall_xid;
	uint16_t child;
	uint8_t perm;        // enum perm, never PERM_NO
	uint8_t recall_perm; // what the open INVALIDATE leaves
	bool recall_open;    // an INVALIDATE is out and not answered (R18)
	bool recall_moves;   // it names a claimant (RECOVERY_OP)
};

// What the directory keeps for each child.
struct dir_child {
	uint32_t head;
	uint64_t blocks_read, blocks_write;
	uint32_t open_recalls; // records whose recall is open
};

struct directory {
	struct pool records;
};

void directory_init(struct directory *directory);
void directory_fini(struct directory *directory);

// The record of ${child} in ${entry}, or NULL.
struct dir_record *directory_find(const struct directory *directory, const struct entry *entry, uint16_t child);

// The first and the following records of a block; NULL after the last.
struct dir_record *directory_first(const struct directory *directory, const struct entry *entry);
struct dir_record *directory_next(const struct directory *directory, const struct dir_record *record);

// The child has ${perm} from now on: the record is made, changed, or removed (PERM_NO). Returns it, or NULL when
// removed.
struct dir_record *directory_set(struct directory *directory, struct dir_child *child, uint16_t child_index,
				 struct entry *entry, uint32_t entry_index, enum perm perm);

// A recall of the record is open, or not any more.
void directory_set_recall(struct dir_child *child, struct dir_record *record, bool open);

// The most that any child but ${except} has (-1: no exception).
enum perm directory_max(const struct directory *directory, const struct entry *entry, int except);

#endif
