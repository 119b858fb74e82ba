// SPDX-License-Identifier: MIT
// Where a disk level keeps its bytes: a file or a block device, or what a test puts in its place.
#ifndef HVFS_CACHE_MEDIUM_H
#define HVFS_CACHE_MEDIUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// One read or write of ${size} bytes at ${offset}, both multiples of MEDIUM_ALIGN; ${bytes} is aligned to it too. Owned
// by who submits it and not touched by him until done.
struct medium_io {
	bool write;
	uint64_t offset;
	uint8_t *bytes;
	size_t size;
	void (*done)(struct medium_io *io, int sys_errno); // later, never from within submit
};

enum { MEDIUM_ALIGN = 512 };

struct medium_ops {
	// Begin ${io}. Those that are under way together may end in any order.
	void (*submit)(void *self, struct medium_io *io);

	// Perform ${io} and wait for it, while nothing is under way: only at the start. Returns 0 or an errno value.
	int (*perform)(void *self, struct medium_io *io);

	// Make it at least ${size} bytes large; what is new is zero. Returns 0 or an errno value.
	int (*grow)(void *self, uint64_t size);

	// Bytes that it has now.
	uint64_t (*size)(void *self);
};

struct medium {
	const struct medium_ops *ops;
	void *self;
};

#endif
