// SPDX-License-Identifier: MIT
// One request of the kernel on its way through the core.
//
// The common request is answered before submit returns (a local hit), so the road there must cost nothing: the struct
// comes from a free-list, a write's bytes are used where the kernel put them, a read's reply is one writev straight
// from the blocks. Only a request that has to wait pays: its bytes leave the receive buffer (a small write is copied,
// a large one takes the whole receive buffer with it and the driver goes on with another), it becomes interruptible,
// and it counts against the driver's limits.
//
//	free --request_create--> new --request_submit--> with the core --driver_io_done--> free
//	                                                  | submit returned: parked
//
// Some go to the core more than once, in the same struct: the end of a write with O_DSYNC starts a synchronisation
// (G2), and a long zeroing goes piece by piece. The end of the last is the answer.
#include "fuse/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int
error_to_errno(enum hvfs_error error)
{
	static const int table[ERR_COUNT] = {
		[ERR_OK] = 0,
		[ERR_IO] = EIO,
		[ERR_NO_SPACE] = ENOSPC,
		[ERR_READ_ONLY] = EROFS,
		[ERR_OUT_OF_RANGE] = ENOSPC,
		[ERR_TIMED_OUT] = ETIMEDOUT,
		[ERR_CANCELLED] = EINTR,
		[ERR_NO_VOLUME] = ENODEV,
		[ERR_LOST] = EIO,
		[ERR_SHUT_DOWN] = EIO,
		[ERR_TOO_MANY] = EAGAIN,
		[ERR_LOOP] = ELOOP,
		[ERR_REFUSED] = EACCES,
		[ERR_DENIED] = EACCES,
		[ERR_PROTOCOL] = EPROTO,
	};

	CHECK((unsigned)error < ERR_COUNT);
	return table[error] != 0 || error == ERR_OK ? table[error] : EIO;
}

struct request *
request_create(struct driver *driver, fuse_req_t req, struct file *file, enum io_kind kind, enum reply reply)
{
	struct request *request = TAILQ_FIRST(&driver->spare);

	if (request != NULL) {
		TAILQ_REMOVE(&driver->spare, request, link);
		driver->spare_count--;
	} else {
		request = calloc(1, sizeof(*request));
		CHECK(request != NULL);
		request->driver = driver;
	}
	request->io = (struct io){.kind = kind, .volume = files_volume(driver, file)};
	request->req = req;
	request->file = file;
	request->opener = NULL;
	request->reply = reply;
	request->count = 0;
	request->zero_end = 0;
	request->sync_after = request->sync_forced = false;
	request->parked = false;
	request->interrupted = false;
	request->cancelled = false;
	request->abandoned = false;
	request->payload = NULL;
	request->held = NULL;
	request->bufs = NULL;
	request->buf_count = 0;
	return request;
}

static void
request_drop_bufs(struct request *request)
{
	struct driver *driver = request->driver;

	for (uint32_t i = 0; i < request->buf_count; i++)
		buf_unref(request->bufs[i]);
	if (request->bufs != NULL && request->bufs != request->bufs_inline) {
		struct buf_table *table = (struct buf_table *)request->bufs;

		if (driver->table_count < TABLE_SPARE_MAX) {
			LIST_INSERT_HEAD(&driver->tables, table, link);
			driver->table_count++;
		} else {
			free(table);
		}
	}
	request->bufs = NULL;
	request->buf_count = 0;
}

static void
request_free(struct request *request)
{
	struct driver *driver = request->driver;

	request_drop_bufs(request);
	if (request->held != NULL)
		driver_receive_return(driver, request->held);
	if (driver->spare_count == REQUEST_SPARE_MAX) {
		free(request->copy);
		free(request);
		return;
	}
	TAILQ_INSERT_HEAD(&driver->spare, request, link);
	driver->spare_count++;
}

void
request_free_spares(struct driver *driver)
{
	struct request *request;
	struct buf_table *table;

	while ((request = TAILQ_FIRST(&driver->spare)) != NULL) {
		TAILQ_REMOVE(&driver->spare, request, link);
		free(request->copy);
		free(request);
	}
	driver->spare_count = 0;
	while ((table = LIST_FIRST(&driver->tables)) != NULL) {
		LIST_REMOVE(table, link);
		free(table);
	}
	driver->table_count = 0;
}

// Room for a count of each block of a read.
static void
request_prepare_bufs(struct request *request)
{
	struct driver *driver = request->driver;
	uint32_t block_size = request->file->block_size;
	uint64_t first = request->io.offset / block_size;
	uint64_t last = (request->io.offset + request->io.size - 1) / block_size;
	struct buf_table *table;

	request->buf_count = (uint32_t)(last - first + 1);
	CHECK(request->buf_count <= REQUEST_BUFS_MAX);
	if (request->buf_count <= REQUEST_BUFS_INLINE) {
		request->bufs = request->bufs_inline;
	} else {
		table = LIST_FIRST(&driver->tables);
		if (table != NULL) {
			LIST_REMOVE(table, link);
			driver->table_count--;
		} else {
			table = malloc(sizeof(*table));
			CHECK(table != NULL);
		}
		request->bufs = table->bufs;
	}
	memset(request->bufs, 0, request->buf_count * sizeof(request->bufs[0]));
}

// The bytes of block number ${index} of the io that the io speaks of: [*ret_offset, + result) within the block.
static uint32_t
request_span(const struct request *request, uint32_t index, uint32_t *ret_offset)
{
	const struct io *io = &request->io;
	uint32_t block_size = request->file->block_size;
	uint64_t block = (io->offset / block_size + index) * block_size;
	uint64_t from = block > io->offset ? block : io->offset;
	uint64_t to = block + block_size < io->offset + io->size ? block + block_size : io->offset + io->size;

	CHECK(from < to);
	*ret_offset = (uint32_t)(from - block);
	return (uint32_t)(to - from);
}

void
driver_io_read(struct driver *driver, struct io *io, uint32_t index, struct buf *buf)
{
	struct request *request = (struct request *)io;

	CHECK(request->driver == driver && io->kind == IO_READ);
	CHECK(index < request->buf_count);
	// The core may answer a block again after a recall; the last answer counts.
	buf_unref(request->bufs[index]);
	request->bufs[index] = buf_ref(buf);
}

void
driver_io_fill(struct driver *driver, struct io *io, uint32_t index, struct buf *old, struct buf *buf)
{
	struct request *request = (struct request *)io;
	uint8_t *bytes = buf_bytes(buf);
	uint32_t block_size = request->file->block_size, offset;
	uint32_t size = request_span(request, index, &offset);

	CHECK(request->driver == driver && (io->kind == IO_WRITE || io->kind == IO_ZERO));
	if (old != NULL && old != buf) {
		const uint8_t *before = buf_bytes(old);

		buf_copy(bytes, before, offset);
		buf_copy(bytes + offset + size, before + offset + size, block_size - offset - size);
	}
	if (io->kind == IO_ZERO) {
		memset(bytes + offset, 0, size);
	} else {
		uint64_t at = (io->offset / block_size + index) * block_size + offset - io->offset;

		buf_copy(bytes + offset, request->payload + at, size);
	}
}

// Fill driver->iov with the read's bytes, neighbours in memory joined. Returns the count, 0 when there are too many.
static int
request_gather_iov(struct request *request)
{
	struct iovec *iov = request->driver->iov;
	int count = 0;

	for (uint32_t i = 0; i < request->buf_count; i++) {
		uint32_t offset, size = request_span(request, i, &offset);
		uint8_t *bytes;

		CHECK(request->bufs[i] != NULL);
		bytes = buf_bytes(request->bufs[i]) + offset;
		if (count > 0 && (uint8_t *)iov[count - 1].iov_base + iov[count - 1].iov_len == bytes) {
			iov[count - 1].iov_len += size;
			continue;
		}
		if (count == REQUEST_IOV_MAX)
			return 0;
		iov[count++] = (struct iovec){bytes, size};
	}
	return count;
}

static void
request_reply_gathered(struct request *request)
{
	struct driver *driver = request->driver;
	size_t at = 0;

	if (driver->gather == NULL) {
		driver->gather = malloc(LIMIT_IO_SIZE);
		CHECK(driver->gather != NULL);
	}
	for (uint32_t i = 0; i < request->buf_count; i++) {
		uint32_t offset, size = request_span(request, i, &offset);

		buf_copy(driver->gather + at, buf_bytes(request->bufs[i]) + offset, size);
		at += size;
	}
	CHECK(at == request->io.size);
	fuse_reply_buf(request->req, (const char *)driver->gather, at);
}

static void
request_reply_data(struct request *request)
{
	struct iovec *iov = request->driver->iov;
	int count = request_gather_iov(request);

	if (count == 1)
		fuse_reply_buf(request->req, iov[0].iov_base, iov[0].iov_len);
	else if (count > 1)
		fuse_reply_iov(request->req, iov, count);
	else
		request_reply_gathered(request);
}

// Answer the kernel. A reply that fails (the client is gone) needs no more: libfuse has freed its side.
static void
request_reply(struct request *request, int error)
{
	if (error != 0)
		fuse_reply_err(request->req, error);
	else if (request->reply == REPLY_DATA)
		request_reply_data(request);
	else if (request->reply == REPLY_COUNT)
		fuse_reply_write(request->req, request->count);
	else if (request->reply == REPLY_ATTR)
		files_reply_attr(request->driver, request->file, request->req);
	else
		fuse_reply_err(request->req, 0);
}

// The memory a waiting request may hold: its blocks, its bytes, or a whole receive buffer.
static uint64_t
request_weight(const struct request *request)
{
	if (request->held != NULL)
		return LIMIT_IO_SIZE;
	return request->io.kind == IO_READ || request->io.kind == IO_WRITE ? request->io.size : 0;
}

// A write makes its opener unsynchronised at its end, since a synchronisation that began earlier knows nothing of it.
// So does a failed synchronisation: the next close tries again. A truncation may have come with the opening itself,
// before its opener has a name: then it counts for all.
static void
request_note_opener(struct request *request, int error)
{
	struct opener *opener;

	if (request->io.kind == IO_READ || (request->io.kind == IO_SYNC && error == 0))
		return;
	if (request->opener != NULL)
		request->opener->written = true;
	else if (request->io.kind == IO_ZERO)
		LIST_FOREACH(opener, &request->driver->openers, link)
	opener->written = true;
}

static void
request_answer(struct request *request, int error)
{
	struct driver *driver = request->driver;

	if (driver->submitting == request)
		driver->submitting = NULL;
	if (request->parked) {
		TAILQ_REMOVE(&driver->pending, request, link);
		driver->pending_count--;
		driver->pending_size -= request_weight(request);
	}
	if (request->interrupted)
		TAILQ_REMOVE(&driver->interrupted, request, interrupted_link);
	request_note_opener(request, error);
	request_reply(request, error);
}

static void
request_finish(struct request *request, int error)
{
	request_answer(request, error);
	request_free(request);
}

static bool
request_zeroes_on(const struct request *request)
{
	return request->io.kind == IO_ZERO && request->io.offset + request->io.size < request->zero_end;
}

// The bytes of a write are with the core now.
static void
request_drop_payload(struct request *request)
{
	struct driver *driver = request->driver;

	if (request->parked)
		driver->pending_size -= request_weight(request);
	if (request->held != NULL)
		driver_receive_return(driver, request->held);
	request->held = NULL;
	request->payload = NULL;
}

// The io that comes next before the client hears of it: another piece of a long zeroing, or the synchronisation after a
// write. (Sharing a barrier with others is the core's part. Another write of this opener that is still under way says
// at its own end that it is not synchronised.)
static void
request_go_on(struct request *request)
{
	struct io next = {.volume = request->io.volume, .stream = request->io.stream};

	request_drop_payload(request);
	if (request_zeroes_on(request)) {
		next.kind = IO_ZERO;
		next.offset = request->io.offset + request->io.size;
		next.size = request->zero_end - next.offset;
		if (next.size > REQUEST_ZERO_MAX)
			next.size = REQUEST_ZERO_MAX;
	} else {
		next.kind = IO_SYNC;
		next.force_sync = request->sync_forced;
		request->sync_after = false;
		if (request->opener != NULL)
			request->opener->written = false;
	}
	request->io = next;
	if (request->cancelled)
		request_finish(request, EINTR);
	else
		request->driver->callbacks.submit(request->driver->arg, &request->io); // the struct may be free now
}

void
driver_io_done(struct driver *driver, struct io *io, enum hvfs_error error)
{
	struct request *request = (struct request *)io;

	CHECK(request->driver == driver);
	if (request->abandoned) {
		TAILQ_REMOVE(&driver->abandoned, request, link);
		request_free(request);
		return;
	}
	CHECK(request->parked || driver->submitting == request);
	if (error == ERR_OK && (request->sync_after || request_zeroes_on(request)))
		request_go_on(request);
	else
		request_finish(request, error_to_errno(error));
	if (driver->paused)
		driver_resume(driver);
}

static void
on_interrupt(fuse_req_t req, void *arg)
{
	interrupt_add(arg);
}

// The receive buffer is about to be used again: take the write's bytes out of it, or take it away.
static void
request_keep_payload(struct request *request)
{
	struct driver *driver = request->driver;
	size_t size = request->io.size;

	if (size > REQUEST_COPY_MAX) {
		request->held = driver->receive;
		driver->receive = driver_receive_take(driver);
		return;
	}
	if (request->copy_size < size) {
		free(request->copy);
		request->copy = malloc(size);
		CHECK(request->copy != NULL);
		request->copy_size = size;
	}
	buf_copy(request->copy, request->payload, size);
	request->payload = request->copy;
}

static void
request_park(struct request *request)
{
	struct driver *driver = request->driver;

	request->parked = true;
	TAILQ_INSERT_TAIL(&driver->pending, request, link);
	driver->pending_count++;
	if (request->io.kind == IO_WRITE)
		request_keep_payload(request);
	driver->pending_size += request_weight(request);
	fuse_req_interrupt_func(request->req, on_interrupt, request);
}

void
request_submit(struct request *request)
{
	struct driver *driver = request->driver;

	CHECK(driver->submitting == NULL);
	if (request->file->aborted) {
		request_finish(request, EIO);
		return;
	}
	if (request->io.kind == IO_READ)
		request_prepare_bufs(request);
	driver->submitting = request;
	driver->callbacks.submit(driver->arg, &request->io);
	if (driver->submitting == NULL)
		return; // answered, and the struct is free again
	driver->submitting = NULL;
	request_park(request);
}

void
request_fail_all(struct driver *driver, int error)
{
	struct request *request;

	while ((request = TAILQ_FIRST(&driver->pending)) != NULL)
		request_finish(request, error);
	while ((request = TAILQ_FIRST(&driver->abandoned)) != NULL) {
		TAILQ_REMOVE(&driver->abandoned, request, link);
		request_free(request);
	}
}

// The core may still read the bytes of a write, and give those of a read: the struct stays until it is done.
size_t
driver_abort(struct driver *driver, uint32_t volume)
{
	struct request *request = TAILQ_FIRST(&driver->pending), *next;
	size_t count = 0;

	CHECK(volume < LIMIT_VOLUMES && driver->submitting == NULL);
	driver->files[volume].aborted = true;
	for (; request != NULL; request = next) {
		next = TAILQ_NEXT(request, link);
		if (request->io.volume != volume)
			continue;
		request_answer(request, EIO);
		request->abandoned = true;
		TAILQ_INSERT_TAIL(&driver->abandoned, request, link);
		count++;
	}
	if (driver->paused)
		driver_resume(driver);
	return count;
}
