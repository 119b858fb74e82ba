// SPDX-License-Identifier: MIT
// The engine on io_uring: a batch of ios costs one system call, and none of them a thread of ours. Each running io has a
// slot with its transfer and at most one entry in the ring, so the rings cannot overflow; what finds no slot waits in
// order. The ring's own descriptor is what the loop polls: no eventfd to be read and written for each completion.
//
// The ring is made without "single issuer": the loop may run in another process (a daemon's fork) than open did.
#include "core/check.h"
#include "store/file.h"
#include "store/transfer.h"

#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>

enum {
	SLOTS = 128,
	RING_ENTRIES = 256,      // one for each slot, one for the wake, and a power of two
	STALL_MS = 10,           // the system had no memory for anything: not before
	USER_DATA_WAKE = SLOTS,  // else: the slot's index
};
static_assert(RING_ENTRIES > SLOTS + 1, "every slot and the wake have an entry");

struct ring {
	struct io_uring uring;
	struct io_list waiting;
	bool wake_runs;
	unsigned in_system;      // entries handed over and not reaped
	unsigned free_count;
	unsigned free[SLOTS];    // indexes of unused slots
	struct transfer slots[SLOTS];
};

static struct ring *
ring_of(struct file_store *file)
{
	return file->engine_state;
}

static bool
knows_all_operations(struct io_uring *uring)
{
	static const int needed[] = {IORING_OP_READ, IORING_OP_WRITE, IORING_OP_READV, IORING_OP_WRITEV,
		IORING_OP_FSYNC, IORING_OP_FALLOCATE, IORING_OP_NOP};
	struct io_uring_probe *probe = io_uring_get_probe_ring(uring);
	bool known = probe != NULL;

	for (size_t i = 0; known && i < sizeof(needed) / sizeof(needed[0]); i++)
		known = io_uring_opcode_supported(probe, needed[i]);
	io_uring_free_probe(probe);
	return known;
}

static int
open_ring(struct io_uring *uring)
{
	// Completions that need our thread wait until it enters the system anyway, without an interrupt.
	int result = io_uring_queue_init(RING_ENTRIES, uring, IORING_SETUP_COOP_TASKRUN);

	if (result == -EINVAL) // older than Linux 5.19
		result = io_uring_queue_init(RING_ENTRIES, uring, 0);
	if (result < 0)
		return -result;
	if (!knows_all_operations(uring)) {
		io_uring_queue_exit(uring);
		return ENOSYS;
	}
	return 0;
}

static int
uring_start(struct file_store *file)
{
	struct ring *ring = calloc(1, sizeof(*ring));
	int sys_errno;

	if (ring == NULL)
		return ENOMEM;
	sys_errno = open_ring(&ring->uring);
	if (sys_errno != 0) {
		free(ring);
		return sys_errno;
	}
	for (unsigned i = 0; i < SLOTS; i++)
		ring->free[ring->free_count++] = i;
	file->engine_state = ring;
	return 0;
}

static void
uring_stop(struct file_store *file)
{
	struct ring *ring = ring_of(file);

	CHECK(ring->free_count == SLOTS);
	io_uring_queue_exit(&ring->uring);
	free(ring);
}

static int
uring_poll_fd(struct file_store *file)
{
	return ring_of(file)->uring.ring_fd;
}

static void
prepare_transfer(struct io_uring_sqe *sqe, int fd, const struct transfer *transfer)
{
	bool one = transfer->iov_count == 1;

	switch (transfer->kind) {
	case STEP_READ:
		if (one)
			io_uring_prep_read(sqe, fd, transfer->one.iov_base, (unsigned)transfer->one.iov_len, transfer->offset);
		else
			io_uring_prep_readv(sqe, fd, transfer->iov, (unsigned)transfer->iov_count, transfer->offset);
		break;
	case STEP_WRITE:
		if (one)
			io_uring_prep_write(sqe, fd, transfer->one.iov_base, (unsigned)transfer->one.iov_len, transfer->offset);
		else
			io_uring_prep_writev(sqe, fd, transfer->iov, (unsigned)transfer->iov_count, transfer->offset);
		sqe->rw_flags = transfer->io->durable ? RWF_DSYNC : 0;
		break;
	case STEP_FALLOCATE:
		io_uring_prep_fallocate(sqe, fd, transfer->mode, (off_t)transfer->offset, (off_t)transfer->size);
		break;
	case STEP_SYNC:
		io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
		break;
	}
	if (transfer->retries > 0) // "not now" came from the attempt that may not block: let a kernel thread wait
		sqe->flags |= IOSQE_ASYNC;
}

static void
prepare(struct file_store *file, unsigned slot)
{
	struct ring *ring = ring_of(file);
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);

	CHECK(sqe != NULL);
	prepare_transfer(sqe, ring->slots[slot].io->fd, &ring->slots[slot]);
	io_uring_sqe_set_data64(sqe, slot);
}

// Hand the prepared entries over. What the system does not take now (no memory) stays prepared: the next reap tries
// again. With nothing in the system no reap would come: then the owner is asked for one (uring_due_ms).
static void
submit_prepared(struct ring *ring)
{
	while (io_uring_sq_ready(&ring->uring) > 0) {
		int result = io_uring_submit(&ring->uring);

		if (result > 0) {
			ring->in_system += (unsigned)result;
			continue;
		}
		CHECK(result == 0 || result == -EINTR || result == -EAGAIN || result == -EBUSY || result == -ENOMEM);
		if (result != -EINTR)
			return;
	}
}

static unsigned
uring_due_ms(struct file_store *file)
{
	const struct ring *ring = ring_of(file);

	return ring->in_system == 0 && io_uring_sq_ready(&ring->uring) > 0 ? STALL_MS : 0;
}

static void
uring_push(struct file_store *file, struct store_io *io)
{
	io_list_append(&ring_of(file)->waiting, io);
}

static void
uring_kick(struct file_store *file)
{
	struct ring *ring = ring_of(file);

	while (ring->free_count > 0 && ring->waiting.first != NULL) {
		unsigned slot = ring->free[--ring->free_count];

		transfer_begin(&ring->slots[slot], io_list_take(&ring->waiting), &file->zero_way_known);
		prepare(file, slot);
	}
	submit_prepared(ring);
}

static void
uring_wake(struct file_store *file)
{
	struct ring *ring = ring_of(file);
	struct io_uring_sqe *sqe;

	if (ring->wake_runs)
		return;
	sqe = io_uring_get_sqe(&ring->uring);
	CHECK(sqe != NULL);
	io_uring_prep_nop(sqe);
	io_uring_sqe_set_data64(sqe, USER_DATA_WAKE);
	ring->wake_runs = true;
}

static void
complete(struct file_store *file, uint64_t user_data, int result)
{
	struct ring *ring = ring_of(file);
	struct transfer *transfer;
	int sys_errno;

	CHECK(ring->in_system > 0);
	ring->in_system--;
	if (user_data == USER_DATA_WAKE) {
		ring->wake_runs = false;
		return;
	}
	CHECK(user_data < SLOTS);
	transfer = &ring->slots[user_data];
	if (!transfer_advance(transfer, result, &sys_errno)) {
		prepare(file, (unsigned)user_data); // handed over by the kick that ends every reap
		return;
	}
	ring->free[ring->free_count++] = (unsigned)user_data;
	file_io_ended(file, transfer->io, sys_errno);
}

static void
uring_reap(struct file_store *file)
{
	struct ring *ring = ring_of(file);
	struct io_uring_cqe *cqe;

	while (io_uring_peek_cqe(&ring->uring, &cqe) == 0) {
		uint64_t user_data = io_uring_cqe_get_data64(cqe);
		int result = cqe->res;

		io_uring_cqe_seen(&ring->uring, cqe);
		complete(file, user_data, result);
	}
}

const struct engine engine_uring = {
	.name = "io_uring",
	.start = uring_start,
	.stop = uring_stop,
	.poll_fd = uring_poll_fd,
	.due_ms = uring_due_ms,
	.push = uring_push,
	.kick = uring_kick,
	.wake = uring_wake,
	.reap = uring_reap,
};
