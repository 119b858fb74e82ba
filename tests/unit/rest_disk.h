// SPDX-License-Identifier: MIT
// A sealed storage and the file of its verifiers whose every write and sync is recorded, so that a crash can leave of them
// whatever a system may leave: what was synced, and of what came later any sectors.
#ifndef HVFS_TESTS_UNIT_REST_DISK_H
#define HVFS_TESTS_UNIT_REST_DISK_H

#include "node/rest.h"

enum { REST_DISK_BLOCKS = 6, REST_DISK_BLOCK_SIZE = 512 };

struct rest_disk {
	struct sealed_root *root;
	struct rest *rest;
	int fd; // of the storage
};

// Make the directory, with a storage of holes; remove it.
void rest_disk_setup(void);
void rest_disk_teardown(void);

extern char rest_disk_spec[64], rest_disk_seals[96];

// With blocks in memory as ${is_plain} says. ${record}: what is done from now on takes the place of what was recorded.
void rest_disk_open(struct rest_disk *disk, const struct volume_key *key, bool is_plain, bool record);
void rest_disk_close(struct rest_disk *disk);

// The storage itself: the sector of a block; a hole in its place; its bytes.
void rest_disk_write(struct rest_disk *disk, uint64_t block, const uint8_t *bytes);
void rest_disk_zero(struct rest_disk *disk, uint64_t block);
void rest_disk_read(struct rest_disk *disk, uint64_t block, uint8_t *bytes);
// Returns 0 or an errno value.
int rest_disk_sync(struct rest_disk *disk);

// The next sync of the storage, or (${seals}) of the file of the verifiers, fails. As with Linux what was not on stable storage
// will never be, but can be read until the pages are dropped; and each open file hears of that from one sync.
void rest_disk_fail_sync(bool seals);

// How many writes and syncs are recorded.
size_t rest_disk_steps(void);

// The system stops after ${steps} of them. ${process_only}: it is the process alone, and all that it did is there. Else what
// was not synced is there or not, sector by sector, as the numbers of ${random} say. Close first.
void rest_disk_crash(size_t steps, bool process_only, uint32_t (*random)(void));

#endif
