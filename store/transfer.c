// SPDX-License-Identifier: MIT
// Short transfers are continued from io->progress. The caller's iovec is never changed: when progress ends inside an
// element, the rest of that element is a step of its own, and the step after it starts at a whole element again. So a
// step needs no copy of the list, however long it is.
//
// Zeros: punch a hole; where there are no holes, let the storage zero the range (a device's kernel driver does that for
// every device); where that is not known either, write zeros. What is not supported is remembered for the store.
#include "store/transfer.h"

#include "core/check.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

enum {
	ONE_SIZE_MAX = 1 << 30,   // a single buffer's step: io_uring's length has 32 bits
	ZEROS_SIZE = 1 << 20,
	RETRIES_MAX = 64,         // "not now" in a row before it is an error
};

// Never written: the system backs it with its page of zeros.
static uint8_t zeros[ZEROS_SIZE];

static uint64_t
min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void
set_one(struct transfer *transfer, void *base, uint64_t size)
{
	transfer->one = (struct iovec){.iov_base = base, .iov_len = min_u64(size, ONE_SIZE_MAX)};
	transfer->iov = &transfer->one;
	transfer->iov_count = 1;
}

// The next step of a read or write: the rest of a broken element, or whole elements.
static void
set_step_from_list(struct transfer *transfer)
{
	const struct store_io *io = transfer->io;
	uint64_t skip = io->progress;
	int index = 0;

	while (skip >= io->iov[index].iov_len) {
		skip -= io->iov[index].iov_len;
		index++;
		CHECK(index < io->iov_count);
	}
	transfer->kind = io->op == STORE_READ ? STEP_READ : STEP_WRITE;
	transfer->iov = io->iov + index;
	transfer->iov_count = io->iov_count - index < IOV_MAX ? io->iov_count - index : IOV_MAX;
	if (skip > 0 || transfer->iov_count == 1)
		set_one(transfer, (uint8_t *)io->iov[index].iov_base + skip, io->iov[index].iov_len - skip);
}

static void
set_step_zero(struct transfer *transfer)
{
	uint64_t left = transfer->io->size - transfer->io->progress;

	if (transfer->zero_way == ZERO_BY_WRITE) {
		transfer->kind = STEP_WRITE;
		set_one(transfer, zeros, min_u64(left, ZEROS_SIZE));
		return;
	}
	transfer->kind = STEP_FALLOCATE;
	transfer->size = left;
	transfer->mode = FALLOC_FL_KEEP_SIZE |
			 (transfer->zero_way == ZERO_BY_PUNCH ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE);
}

static void
set_step(struct transfer *transfer)
{
	const struct store_io *io = transfer->io;

	transfer->retries = 0;
	transfer->offset = io->offset + io->progress;
	if (io->op == STORE_SYNC)
		transfer->kind = STEP_SYNC;
	else if (io->op == STORE_ZERO)
		set_step_zero(transfer);
	else
		set_step_from_list(transfer);
}

bool
transfer_may_succeed_later(int sys_errno)
{
	return sys_errno == ENOSPC || sys_errno == EDQUOT;
}

void
transfer_begin(struct transfer *transfer, struct store_io *io, atomic_int *zero_way_known)
{
	CHECK(io->op == STORE_SYNC || io->size > 0);
	io->progress = 0;
	transfer->io = io;
	transfer->zero_way_known = zero_way_known;
	transfer->zero_way = (enum zero_way)atomic_load_explicit(zero_way_known, memory_order_relaxed);
	set_step(transfer);
}

// Zeroing this way failed. Returns true when there is another way to try.
static bool
zero_fall_back(struct transfer *transfer, int sys_errno)
{
	bool unsupported = sys_errno == EOPNOTSUPP || sys_errno == ENOSYS || sys_errno == ENODEV;

	// EINVAL: a device whose sectors are larger than this range. Other ranges may still do.
	if (transfer->zero_way == ZERO_BY_WRITE || (!unsupported && sys_errno != EINVAL))
		return false;
	transfer->zero_way++;
	if (unsupported && atomic_load_explicit(transfer->zero_way_known, memory_order_relaxed) < (int)transfer->zero_way)
		atomic_store_explicit(transfer->zero_way_known, (int)transfer->zero_way, memory_order_relaxed);
	set_step(transfer);
	return true;
}

// The step failed. Returns true when the io has ended.
static bool
advance_failed(struct transfer *transfer, int sys_errno, int *ret_errno)
{
	if (sys_errno == EINTR)
		return false;
	if (sys_errno == EAGAIN && transfer->retries < RETRIES_MAX) {
		transfer->retries++;
		return false;
	}
	if (transfer->kind == STEP_FALLOCATE && zero_fall_back(transfer, sys_errno))
		return false;
	*ret_errno = sys_errno;
	return true;
}

bool
transfer_advance(struct transfer *transfer, long result, int *ret_errno)
{
	struct store_io *io = transfer->io;

	if (result < 0)
		return advance_failed(transfer, (int)-result, ret_errno);
	if (transfer->kind == STEP_READ || transfer->kind == STEP_WRITE) {
		if (result == 0) { // the file ends before the volume does: somebody cut it under us
			*ret_errno = EIO;
			return true;
		}
		CHECK((uint64_t)result <= io->size - io->progress);
		io->progress += (uint64_t)result;
		if (io->progress < io->size) {
			set_step(transfer);
			return false;
		}
	}
	*ret_errno = 0;
	return true;
}

long
transfer_perform(const struct transfer *transfer, int fd)
{
	long result = -1;

	switch (transfer->kind) {
	case STEP_READ:
		result = preadv(fd, transfer->iov, transfer->iov_count, (off_t)transfer->offset);
		break;
	case STEP_WRITE:
		result = pwritev2(fd, transfer->iov, transfer->iov_count, (off_t)transfer->offset,
				  transfer->io->durable ? RWF_DSYNC : 0);
		break;
	case STEP_FALLOCATE:
		result = fallocate(fd, transfer->mode, (off_t)transfer->offset, (off_t)transfer->size);
		break;
	case STEP_SYNC:
		result = fdatasync(fd);
		break;
	}
	return result < 0 ? -errno : result;
}
