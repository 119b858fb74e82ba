// SPDX-License-Identifier: MIT
// The simulated storage of a root: what was written, and what of it would survive a loss of power. An operation takes
// effect at the moment it ends, so that two on one block which overlap may end in either order.
#ifndef HVFS_TESTS_SIM_DISK_H
#define HVFS_TESTS_SIM_DISK_H

#include "core/buf.h"

struct disk {
	uint32_t block_size;
	uint64_t block_count;
	uint8_t *image;     // as reads see it
	uint8_t *durable;   // what is on stable storage
	uint64_t *unsynced; // blocks written since the last sync began
	size_t unsynced_count, unsynced_size;
	unsigned latency_us; // mean of one operation
	unsigned sync_us;    // mean of a sync
	bool early_reads;    // a read sees what is there when it begins, not when it ends
};

// What a sync will make durable: the blocks written before it began, as they were then.
struct disk_sync {
	size_t count;
	uint64_t *blocks;
	uint8_t *bytes;
};

// A disk of zeros.
struct disk *disk_create(uint32_t block_size, uint64_t block_count);
void disk_destroy(struct disk *disk);

// Fill every 8-byte word with ${value}, durably.
void disk_fill(struct disk *disk, uint64_t value);

// Write ${bytes}, one block, at ${block}.
void disk_write(struct disk *disk, uint64_t block, const uint8_t *bytes);

// The block's bytes as a read sees them; never NULL.
const uint8_t *disk_read(const struct disk *disk, uint64_t block);

// A sync begins; disk_sync_end makes durable what it covers and frees it.
struct disk_sync *disk_sync_begin(struct disk *disk);
void disk_sync_end(struct disk *disk, struct disk_sync *sync);

#endif
