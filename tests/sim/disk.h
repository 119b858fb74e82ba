// SPDX-License-Identifier: MIT
// The simulated storage of a root: what was written, and what of it would survive a loss of power. An operation takes
// effect at the moment it ends, so that two on one block which overlap may end in either order.
//
// What is written goes to the image and to the end of a log; a sync makes durable what the log held when it began. A
// loss of power applies of each entry of the log nothing, everything, or some sectors of 512 bytes: an older write of a
// block may so outlive a newer one. A sync that fails leaves what it covered in the image only, for good: the system
// takes it for written (store/store.h, STORE_SYNC). The next process finds it gone, or there and to be synced again.
#ifndef HVFS_TESTS_SIM_DISK_H
#define HVFS_TESTS_SIM_DISK_H

#include "core/buf.h"
#include "node/sealed_root.h"
#include "tests/sim/rng.h"
#include "tests/sim/versions.h"

enum { DISK_SECTOR_SIZE = 512 };

struct disk {
	uint32_t block_size;
	uint64_t block_count;
	uint8_t *image;     // as reads see it
	uint8_t *durable;   // what is on stable storage
	uint64_t *log;      // blocks written and not yet made durable, oldest first
	uint8_t *log_bytes; // and what was written there
	size_t log_count, log_size;
	uint64_t log_first;  // entries that have left the log: the number of its first one
	struct versions versions;
	// By block: what the root of a sealed volume remembers, and what of that is on record beside the disk; NULL: nothing.
	struct sealed_entry *sealed, *sealed_filed;
	struct sealed_entry *log_sealed; // of what is in the log
	bool *misled;                    // proofs.h; or NULL
	uint32_t sector_size; // what is written whole, or not at all
	unsigned latency_us; // mean of one operation
	unsigned sync_us;    // mean of a sync
	// With one head, if block_us is not 0: operations go one after another, in the order in which they come.
	unsigned block_us;  // a block passes under it
	unsigned settle_us; // it comes to rest at another place,
	unsigned stroke_us; // and the way there, if it is from one end to the other
	uint64_t head;      // where it will be
	uint64_t busy_until;
	bool early_reads;    // a read sees what is there when it begins, not when it ends
	// Faults, set by whoever wants them.
	unsigned slow;                    // everything takes this many times longer; 0: does not
	unsigned fail_reads, fail_writes; // percent
	bool fail_syncs, sync_broken;     // the next sync fails; one has failed, so all do
	void (*on_durable)(void *arg, struct disk *disk, uint64_t block); // a sync has made it durable; or NULL
	void (*on_reverted)(void *arg, struct disk *disk, uint64_t block); // disk_reopen has gone back to what was durable; or NULL
	void *arg;
};

// A disk of zeros.
struct disk *disk_create(uint32_t block_size, uint64_t block_count);
void disk_destroy(struct disk *disk);

// Fill every 8-byte word with ${value}, durably.
void disk_fill(struct disk *disk, uint64_t value);

// Write ${bytes}, one block, at ${block}.
void disk_write(struct disk *disk, uint64_t block, const uint8_t *bytes);

// A write that fails: some of its sectors are written.
void disk_write_part(struct disk *disk, uint64_t block, const uint8_t *bytes, struct rng *rng);

// The block's bytes as a read sees them; never NULL.
const uint8_t *disk_read(const struct disk *disk, uint64_t block);

// With one head: when an operation on ${count} blocks that comes ${now} will have ended; a sync has none.
uint64_t disk_pass(struct disk *disk, uint64_t now, uint64_t block, uint32_t count);

// A sync begins: the number up to which it covers the log. Syncs end in the order in which they began, one at a time.
uint64_t disk_sync_begin(struct disk *disk);

// It ends: what it covers is durable, and that is ${told} (not if nobody is left to learn of it); or it fails, and each block
// that it covers is or is not.
void disk_sync_end(struct disk *disk, uint64_t until, bool told);
void disk_sync_fail(struct disk *disk, uint64_t until, struct rng *rng);

// The power goes: the log is applied in part, the image is what is durable.
void disk_crash(struct disk *disk, struct rng *rng);

// The process that used it has ended.
void disk_left(struct disk *disk, struct rng *rng);

// Another process opens it, and has what is there synced: syncs work again; what a failed one has left in the image may be
// gone. Nobody was promised that any of it is there.
void disk_reopen(struct disk *disk, struct rng *rng);

#endif
