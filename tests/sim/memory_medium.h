// SPDX-License-Identifier: MIT
// A medium in memory, whose reads and writes end when the test says so, in any order, and which outlives its user.
#ifndef HVFS_TESTS_SIM_MEMORY_MEDIUM_H
#define HVFS_TESTS_SIM_MEMORY_MEDIUM_H

#include "cache/medium.h"

struct memory_medium {
	uint8_t *bytes;
	uint64_t size, size_max; // grow fails beyond size_max
	struct medium_io **pending;
	size_t pending_count, pending_capacity;
	void (*submitted)(void *arg, struct medium_io *io); // or NULL
	void *arg;
	int read_errno, write_errno; // with which they end from now on
	uint64_t reads, writes;      // that have ended well
};

// ${size} bytes of zeros.
void memory_medium_init(struct memory_medium *medium, uint64_t size, uint64_t size_max);
void memory_medium_fini(struct memory_medium *medium);
struct medium memory_medium(struct memory_medium *medium);

// End the pending ${io}; false: it is not pending any more.
bool memory_medium_end(struct memory_medium *medium, struct medium_io *io);

// End what is pending, and what that begins, until nothing is.
void memory_medium_end_all(struct memory_medium *medium);

// The user dies: nothing pending ends. Each 512 bytes of the writes under way arrive or not, as sector(arg) says.
void memory_medium_crash(struct memory_medium *medium, bool (*sector)(void *arg), void *arg);

#endif
