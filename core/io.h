// SPDX-License-Identifier: MIT
// A request of the local driver (FUSE): the requester without a wire. The driver owns the struct and hands it to the
// core with EVENT_IO; it stays untouched until ACTION_IO_DONE, which comes exactly once.
#ifndef HVFS_CORE_IO_H
#define HVFS_CORE_IO_H

#include "core/buf.h"
#include "core/error.h"
#include "core/types.h"

enum io_kind {
	IO_READ,  // bytes [offset, offset + size), any alignment, size 1 to LIMIT_IO_SIZE
	IO_WRITE, // the same; a partial block is a read-modify-write under one write permission
	IO_ZERO,  // make bytes zero, any size up to the volume's end; whole blocks become holes (punch, discard)
	IO_SYNC,  // G2: all that was written here before is on the root's stable storage
};

struct io {
	// Set by the driver.
	enum io_kind kind;
	uint32_t volume; // index that core_add_volume gave
	uint64_t offset; // bytes
	uint64_t size;   // bytes; 0 for IO_SYNC
	uint32_t stream; // which opener: sequential reads are detected for each (any number)
	bool force_sync; // write: acknowledged by the root, in any write mode; sync: at the root, whatever the durability

	// The core's own, zeroed by the driver before it hands the request over.
	struct io *next, *prev; // by arrival, for the time limit
	moment_us started;
	uint64_t first;  // block number
	uint64_t count;  // blocks
	uint64_t issued; // blocks that have been asked for
	uint64_t done;   // blocks that are finished
	uint32_t wants;  // head of its list of wants
	enum hvfs_error error;
	bool cancelled;
	bool queued; // the core has it
};

#endif
