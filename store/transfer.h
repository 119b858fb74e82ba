// SPDX-License-Identifier: MIT
// One store_io cut into system calls. An engine performs the step that a transfer asks for, in whatever way it has, and
// tells the result; what that result means (short, interrupted, not supported, at the end) is decided here, once.
#ifndef HVFS_STORE_TRANSFER_H
#define HVFS_STORE_TRANSFER_H

#include "store/store.h"

#include <stdatomic.h>

enum step_kind {
	STEP_READ,      // preadv(iov, iov_count, offset)
	STEP_WRITE,     // pwritev2(iov, iov_count, offset, io->durable ? RWF_DSYNC : 0)
	STEP_FALLOCATE, // fallocate(mode, offset, size)
	STEP_SYNC,      // fdatasync
};

// How storage makes zeros, the best way first.
enum zero_way { ZERO_BY_PUNCH, ZERO_BY_RANGE, ZERO_BY_WRITE };

struct transfer {
	struct store_io *io;

	// The step to perform.
	enum step_kind kind;
	uint64_t offset;
	const struct iovec *iov;   // at most IOV_MAX; &one when iov_count is 1
	int iov_count;
	struct iovec one;
	uint64_t size;             // STEP_FALLOCATE
	int mode;                  // STEP_FALLOCATE
	unsigned retries;          // times that this step said "not now"

	enum zero_way zero_way;    // of this io
	atomic_int *zero_way_known; // what the storage has shown to support: shared by all transfers of a store
};

// Is ${sys_errno}, with which a write or a sync has failed, one that passes when there is room again?
bool transfer_may_succeed_later(int sys_errno);

// Begin ${io} and set the first step. ${transfer} stays in its place until the io ends (iov points into it).
void transfer_begin(struct transfer *transfer, struct store_io *io, atomic_int *zero_way_known);

// The step gave ${result}: bytes, or a negated errno. Returns true when the io has ended, with 0 or an errno value in
// ${ret_errno}; false when there is a step to perform (the next one, or the same again).
bool transfer_advance(struct transfer *transfer, long result, int *ret_errno);

// Perform the step on ${fd} and wait for it. Returns what transfer_advance wants.
long transfer_perform(const struct transfer *transfer, int fd);

#endif
