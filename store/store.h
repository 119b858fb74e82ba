// SPDX-License-Identifier: MIT
// What a root reads and writes: the storage of one volume. All operations are asynchronous: they are submitted on the
// event loop's thread and end by a callback from store_reap, on the same thread.
#ifndef HVFS_STORE_STORE_H
#define HVFS_STORE_STORE_H

#include "core/error.h"
#include "core/types.h"

#include <sys/uio.h>

enum store_op {
	STORE_READ,  // offset, iov: all bytes; holes and the part beyond a short end read as an error, not as zeros
	STORE_WRITE, // offset, iov
	STORE_ZERO,  // offset, size: zeros afterwards, space given back where the storage can
	STORE_SYNC,  // every write that ended before is on stable storage
};

struct store_io {
	enum store_op op;
	uint64_t offset;     // bytes
	uint64_t size;       // bytes in all
	struct iovec *iov;   // READ and WRITE: the caller's, valid until done
	int iov_count;
	// Called once, from store_reap. ${sys_errno} is 0 or an errno value.
	void (*done)(struct store_io *io, int sys_errno);
	void *owner;         // the caller's
	struct store_io *next; // the store's, while it runs
	uint64_t progress;     // the store's: bytes done of a short transfer
};

struct store;

struct store_ops {
	// Start ${io}, owned by the caller until done is called. Never fails at once.
	void (*submit)(struct store *store, struct store_io *io);
	// Readable when store_reap has something to do.
	int (*poll_fd)(struct store *store);
	// Call done for everything that has ended. Never blocks.
	void (*reap)(struct store *store);
	// Hand what was submitted to the system: once after a batch of submits.
	void (*kick)(struct store *store);
	// The next byte >= offset that may be data (data true) or is in a hole; the volume's size when there is none.
	// May block shortly (metadata). Stores that cannot tell say: all data.
	uint64_t (*seek)(struct store *store, uint64_t offset, bool data);
	// No operation may be running.
	void (*close)(struct store *store);
};

struct store {
	const struct store_ops *ops;
	uint64_t size;        // bytes of the volume
	uint32_t block_size;  // bytes of a block, from create
	uint32_t epoch;       // raised and made durable at each open for writing (protocol.md R11)
	const char *engine;   // "io_uring", "threads", "memory"
};

// Make the storage of a new volume at ${spec} (a path; a sparse file is created, a block device must be at least
// ${size} or size 0 for all of it). Fails when the file exists. Returns 0, or -1 and a sentence in ${error}.
int store_create(const char *spec, uint64_t size, uint32_t block_size, char *error, size_t error_size);

// Open for use by one root: locked against a second one. Returns NULL and a sentence that names the store and what is
// wrong: missing, no hvfs store, truncated, unreadable, in use.
struct store *store_open(const char *spec, bool read_only, char *error, size_t error_size);

#endif
