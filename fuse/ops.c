// SPDX-License-Identifier: MIT
// Operations on data: each becomes a struct io, or is answered here because of its range or mode.
//
// The file behaves like a block device: its size is fixed, a read across the end is short, a write across the end is
// short, a write at the end is ENOSPC.
#include "fuse/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <unistd.h>

static struct opener *
opener_of(const struct fuse_file_info *fi)
{
	return fi == NULL ? NULL : (struct opener *)(uintptr_t)fi->fh;
}

// A write, or zeroing, ends with a synchronisation if the opener asks for it, or the volume does.
static void
request_ends_with_sync(struct request *request, bool synchronous)
{
	const struct driver *driver = request->driver;

	request->sync_forced = driver->callbacks.syncs_writes != NULL && driver->callbacks.syncs_writes(driver->arg, request->io.volume);
	request->sync_after = synchronous || request->sync_forced;
}

static void
request_set_opener(struct request *request, struct opener *opener)
{
	request->opener = opener;
	request->io.stream = opener->stream;
}

static void
op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	struct driver *driver = driver_of(req);
	struct file *file = files_get(driver, ino);
	struct request *request;

	if (file == NULL || offset < 0) {
		fuse_reply_err(req, file == NULL ? EIO : EINVAL);
		return;
	}
	if (size == 0 || (uint64_t)offset >= file->size) {
		fuse_reply_buf(req, NULL, 0);
		return;
	}
	if (size > LIMIT_IO_SIZE)
		size = LIMIT_IO_SIZE;
	if (size > file->size - (uint64_t)offset)
		size = file->size - (uint64_t)offset;
	request = request_create(driver, req, file, IO_READ, REPLY_DATA);
	request->io.offset = (uint64_t)offset;
	request->io.size = size;
	request->io.stream = opener_of(fi)->stream;
	request_submit(request);
}

static void
op_write(fuse_req_t req, fuse_ino_t ino, const char *bytes, size_t size, off_t offset, struct fuse_file_info *fi)
{
	struct driver *driver = driver_of(req);
	struct file *file = files_get(driver, ino);
	struct request *request;

	if (file == NULL || file->read_only || offset < 0 || size > LIMIT_IO_SIZE) {
		fuse_reply_err(req, file == NULL ? EIO : file->read_only ? EROFS : EINVAL);
		return;
	}
	if (size == 0) {
		fuse_reply_write(req, 0);
		return;
	}
	if ((uint64_t)offset >= file->size) {
		fuse_reply_err(req, ENOSPC);
		return;
	}
	if (size > file->size - (uint64_t)offset)
		size = file->size - (uint64_t)offset;
	clock_gettime(CLOCK_REALTIME_COARSE, &file->mtime);
	request = request_create(driver, req, file, IO_WRITE, REPLY_COUNT);
	request->io.offset = (uint64_t)offset;
	request->io.size = size;
	request->count = size;
	request->payload = (const uint8_t *)bytes;
	if (request->io.offset + size > file->written_end)
		file->written_end = request->io.offset + size;
	// The flags are of this write: O_SYNC and O_DSYNC openers and RWF_DSYNC alike.
	request_ends_with_sync(request, (fi->flags & O_DSYNC) != 0);
	request_set_opener(request, opener_of(fi));
	request_submit(request);
}

static void
submit_sync(fuse_req_t req, struct file *file, struct opener *opener)
{
	struct request *request = request_create(driver_of(req), req, file, IO_SYNC, REPLY_ERROR);

	if (opener != NULL) {
		request_set_opener(request, opener);
		opener->written = false; // a write that ends meanwhile sets it again
	}
	request_submit(request);
}

void
ops_release_sync(fuse_req_t req, struct file *file)
{
	submit_sync(req, file, NULL);
}

// close(2): what this opener wrote is at the root when it returns.
static void
op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct file *file = files_get(driver_of(req), ino);
	struct opener *opener = opener_of(fi);

	if (file == NULL || !opener->written)
		fuse_reply_err(req, 0);
	else
		submit_sync(req, file, opener);
}

static void
op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	struct file *file = files_get(driver_of(req), ino);

	if (file == NULL || file->read_only)
		fuse_reply_err(req, file == NULL ? EIO : 0);
	else
		submit_sync(req, file, opener_of(fi));
}

static void
submit_zero(struct request *request, struct opener *opener, uint64_t offset, uint64_t end)
{
	request->io.offset = offset;
	request->io.size = end - offset < REQUEST_ZERO_MAX ? end - offset : REQUEST_ZERO_MAX;
	request->zero_end = end;
	request_ends_with_sync(request, opener != NULL && opener->synchronous);
	if (opener != NULL)
		request_set_opener(request, opener);
	request_submit(request);
}

// Blocks are taken from the storage when they are written: allocating ahead has nothing to do within the size.
static void
op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length, struct fuse_file_info *fi)
{
	struct driver *driver = driver_of(req);
	struct file *file = files_get(driver, ino);
	bool punch = mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
	bool zero = (mode & ~FALLOC_FL_KEEP_SIZE) == FALLOC_FL_ZERO_RANGE;
	bool plain = (mode & ~FALLOC_FL_KEEP_SIZE) == 0;
	bool beyond;

	if (file == NULL || file->read_only || !(punch || zero || plain) || offset < 0 || length <= 0) {
		fuse_reply_err(req, file == NULL                ? EIO
				    : file->read_only           ? EROFS
				    : !(punch || zero || plain) ? EOPNOTSUPP
								: EINVAL);
		return;
	}
	beyond = (uint64_t)offset > file->size || (uint64_t)length > file->size - (uint64_t)offset;
	if (beyond && (plain || zero) && (mode & FALLOC_FL_KEEP_SIZE) == 0) {
		fuse_reply_err(req, ENOSPC);
		return;
	}
	if (plain || (uint64_t)offset >= file->size) {
		fuse_reply_err(req, 0);
		return;
	}
	clock_gettime(CLOCK_REALTIME_COARSE, &file->mtime);
	submit_zero(request_create(driver, req, file, IO_ZERO, REPLY_ERROR), opener_of(fi), (uint64_t)offset,
		    beyond ? file->size : (uint64_t)(offset + length));
}

void
ops_truncate(fuse_req_t req, struct file *file, struct opener *opener)
{
	file->written_end = 0;
	submit_zero(request_create(driver_of(req), req, file, IO_ZERO, REPLY_ATTR), opener, 0, file->size);
}

static void
op_lseek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence, struct fuse_file_info *fi)
{
	struct driver *driver = driver_of(req);
	struct file *file = files_get(driver, ino);
	uint64_t found;

	if (file == NULL || (whence != SEEK_DATA && whence != SEEK_HOLE)) {
		fuse_reply_err(req, EINVAL);
		return;
	}
	if (offset < 0 || (uint64_t)offset >= file->size) {
		fuse_reply_err(req, ENXIO);
		return;
	}
	found = driver->callbacks.seek(driver->arg, files_volume(driver, file), (uint64_t)offset, whence == SEEK_DATA);
	if (whence == SEEK_DATA && found >= file->size)
		fuse_reply_err(req, ENXIO);
	else
		fuse_reply_lseek(req, (off_t)found);
}

void
ops_set(struct fuse_lowlevel_ops *ops)
{
	ops->read = op_read;
	ops->write = op_write;
	ops->flush = op_flush;
	ops->fsync = op_fsync;
	ops->fallocate = op_fallocate;
	ops->lseek = op_lseek;
}
