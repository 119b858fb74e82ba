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
	uint8_t perm;         // enum perm, never PERM_NO
	uint8_t recall_perm;  // what the open INVALIDATE leaves
	bool recall_open : 1; // an INVALIDATE is out and not answered (R18)
	bool recall_moves : 1; // it names a claimant (RECOVERY_OP)
	bool recall_revokes : 1; // it says that the block is revoked (RECOVERY_OP without a name)
	bool revoked : 1; // the permission that it was given under is gone: it ends with the answer or with the lease
	bool used : 1;    // the child has asked for the block again, or brought it up, since it was last looked at (R17)
	bool pushed : 1;  // sent ahead of demand, and not asked for since
	bool beyond : 1;  // made by a claim, for which there was no place
	bool put : 1;     // given for a PUT with bytes, and for nothing since (put_again.h)
	bool early : 1;   // a root's: of a claim of the grace time; nobody else has been given the block since
};

static_assert(sizeof(struct dir_record) == 32, "protocol.md 9: memory per granted block and child");

// What the directory keeps for each child.
struct dir_child {
	uint32_t head, tail; // the child's records, as a clock (R17): what was granted last, or used, is ahead
	uint32_t newest;     // the record that was granted last; 0: it is gone
	uint64_t granted_in; // the step in which it was
	uint64_t blocks_read, blocks_write;
	uint32_t open_recalls; // records whose recall is open
	uint64_t revoked;      // records that are revoked
	bool absent;           // its link is gone: it can not be asked for anything
};

struct directory {
	struct pool records;
	uint64_t open_recalls; // of all children
	uint64_t absent;       // records of those that are absent
	uint64_t beyond;       // records that were made by claims, for which there was no place
	uint32_t holders;      // children that have any
	uint64_t granted_in;   // the last step in which something was granted
	uint32_t turn;         // the child that gives back next
	bool freed;            // there may be a place for whom there was none
	bool owing;            // not all that is too much has been recalled yet
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

// It was granted in ${step}: last of the child's.
void directory_granted(struct directory *directory, struct dir_child *child, struct dir_record *record, uint64_t step);

// Ahead of the child's other records.
void directory_to_front(struct directory *directory, struct dir_child *child, struct dir_record *record);

// The records that the child has.
uint64_t directory_count(const struct dir_child *child);

// The link of the child is gone, or there again.
void directory_set_absent(struct directory *directory, struct dir_child *child, bool absent);

// A recall of the record is open, or not any more.
void directory_set_recall(struct directory *directory, struct dir_child *child, struct dir_record *record, bool open);

// What the record gives is revoked; or granted anew.
void directory_set_revoked(struct dir_child *child, struct dir_record *record, bool revoked);

// The record of the child that has the block for writing, and by right; NULL when none has.
struct dir_record *directory_writer(const struct directory *directory, const struct entry *entry);

// The most that any child but ${except} has (-1: no exception).
enum perm directory_max(const struct directory *directory, const struct entry *entry, int except);

#endif
