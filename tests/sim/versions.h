// SPDX-License-Identifier: MIT
// The version log of a simulated disk, byte for byte what store/version_log.h makes of it: two files, each as reads see it
// and as it is on stable storage. It is synced beside the data, and neither waits for the other.
#ifndef HVFS_TESTS_SIM_VERSIONS_H
#define HVFS_TESTS_SIM_VERSIONS_H

#include "store/version_log.h"
#include "tests/sim/rng.h"

struct versions_bytes {
	uint8_t *bytes;
	size_t size;
};

struct versions {
	struct versions_bytes image[VERSION_LOG_FILES], durable[VERSION_LOG_FILES];
	struct versions_bytes pending; // of the process: not yet in a file
	struct version_log log;
	int file;          // that is written
	size_t size_max;   // of a file: then the other one's turn comes; 0: 32 MiB
	// The marker of the sync that runs, if there is one: its file, where the batch begins, where the marker ends.
	bool syncs;
	int marker_file;
	size_t batch_at, marker_end;
	uint64_t boot;
	bool dead; // nobody writes it any more, until somebody opens it: a sync has failed, the process has ended
};

void versions_fini(struct versions *versions);

// A storage that was left in order is opened: an empty log.
void versions_begin(struct versions *versions, uint32_t epoch);

// It was not: what the log says, to be given to version_log_free. It goes on.
void versions_reopen(struct versions *versions, uint32_t epoch, struct stored_versions *ret);

// A block was written.
void versions_add(struct versions *versions, uint64_t block, version_t version);

// A sync begins, ends, fails.
void versions_sync_begin(struct versions *versions);
void versions_sync_end(struct versions *versions);
void versions_sync_fail(struct versions *versions, struct rng *rng);

// It tells of a sync that has not been (for the test of the tests).
void versions_lie(struct versions *versions);

// The process ends: it may have begun a sync without having written the marker.
void versions_kill(struct versions *versions, struct rng *rng);

// The power goes.
void versions_crash(struct versions *versions, struct rng *rng);

#endif
