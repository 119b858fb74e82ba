// SPDX-License-Identifier: MIT
// Records gather in one of two buffers while the other is on its way to the disk. A buffer goes out when it is full, or
// when there is a marker in it. The marker is put behind what had been written when the sync began; what is written later
// comes behind it, in the same buffer or the next. A batch that fits one buffer is written durably; else, when all buffers
// with a marker are out, the file is synced. Files grow by zeros, so that this seldom has to change more than bytes.
//
// When a file has grown to its limit, the buffer is closed behind the marker, and the next one begins the other file. Both
// files are open all the time, so that no turn has to wait for a directory.
//
// A full disk fails the sync, and keeps the buffers: they are tried again with the next sync, or when somebody wants room.
#include "store/version_file.h"

#include "store/metadata.h"
#include "store/place.h"
#include "store/transfer.h"

#include "core/check.h"
#include "core/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	BUFFER_SIZE = 128 * 1024,
	RECORDS_SIZE_MAX = BUFFER_SIZE - VERSION_LOG_MARKER_SIZE,
	BOOT_ID_SIZE = 64,
	GROWTH = 256 * 1024, // so much a file grows at once
};

static_assert(VERSION_LOG_HEADER_SIZE + LIMIT_RUN_BLOCKS * VERSION_LOG_RECORD_SIZE <= RECORDS_SIZE_MAX,
	      "what one write of the core covers fits");

struct buffer {
	uint8_t bytes[BUFFER_SIZE];
	size_t size;
	int file;
	uint64_t offset; // in that file
	bool marked;     // a marker is in it
	bool closed;     // nothing more goes into it
};

struct version_file {
	int fds[VERSION_LOG_FILES];
	struct version_log log;
	struct buffer buffers[2], *filling, *going; // going: on its way, or to be tried again; NULL: none
	bool writes, syncs, voids;                  // operations under way
	struct store_io write_io, sync_io, void_io;
	struct iovec write_iov[2], void_iov;
	uint64_t sizes[VERSION_LOG_FILES]; // of the files
	bool added;                   // something since the last marker
	bool pushed;                  // somebody waits for room
	bool loose[VERSION_LOG_FILES];    // records of the batch have been written there, and not synced
	bool unsynced[VERSION_LOG_FILES]; // so have they, and the marker
	bool sync_wanted;
	int write_errno;              // of the write that is to be tried again
	int marker_file;              // of the marker of the last sync,
	uint64_t marker_offset;       // 0: it needed none
	bool dead, void_due;
};

// ---- Opening ----

static uint64_t
find_boot(void)
{
	char text[BOOT_ID_SIZE];
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t size = fd >= 0 ? read(fd, text, sizeof(text)) : -1;
	uint64_t boot;

	if (fd >= 0)
		close(fd);
	if (size > 0)
		crypto_generichash((uint8_t *)&boot, sizeof(boot), (const uint8_t *)text, (size_t)size, NULL, 0);
	else
		randombytes_buf(&boot, sizeof(boot)); // not known: no other is the same
	return boot;
}

static int
open_files(struct version_file *file, const char *path)
{
	struct stat status;
	char name[PATH_MAX];

	for (int i = 0; i < VERSION_LOG_FILES; i++) {
		int sys_errno = place_find_versions(path, i, name);

		if (sys_errno != 0)
			return sys_errno;
		file->fds[i] = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		if (file->fds[i] < 0)
			return errno;
		if (stat(path, &status) == 0)
			(void)!fchown(file->fds[i], status.st_uid, status.st_gid); // as metadata.c does
	}
	return metadata_sync_directory(path);
}

// Returns 0 or an errno value.
static int
read_file(int fd, struct version_log_bytes *ret)
{
	struct stat status;
	uint8_t *bytes;
	size_t size = 0;
	ssize_t count;

	if (fstat(fd, &status) < 0)
		return errno;
	bytes = malloc((size_t)status.st_size + 1);
	if (bytes == NULL)
		return ENOMEM;
	while (size < (size_t)status.st_size) {
		count = pread(fd, bytes + size, (size_t)status.st_size - size, (off_t)size);
		if (count == 0)
			break;
		if (count < 0 && errno != EINTR) {
			free(bytes);
			return errno;
		}
		size += count > 0 ? (size_t)count : 0;
	}
	*ret = (struct version_log_bytes){bytes, size};
	return 0;
}

// Write all of the buffer that fills now, and have it synced.
static int
write_now(struct version_file *file)
{
	struct buffer *buffer = file->filling;
	int fd = file->fds[buffer->file];
	size_t done = 0;

	while (done < buffer->size) {
		ssize_t count = pwrite(fd, buffer->bytes + done, buffer->size - done, (off_t)(buffer->offset + done));

		if (count < 0 && errno != EINTR)
			return errno;
		done += count > 0 ? (size_t)count : 0;
	}
	if (fdatasync(fd) < 0)
		return errno;
	buffer->offset += buffer->size;
	buffer->size = 0;
	buffer->marked = false;
	file->marker_offset = 0;
	return 0;
}

static void
put_marker(struct version_file *file)
{
	struct buffer *buffer = file->filling;

	CHECK(buffer->size + VERSION_LOG_MARKER_SIZE <= BUFFER_SIZE);
	version_log_mark(&file->log, buffer->bytes + buffer->size);
	file->marker_file = buffer->file;
	file->marker_offset = buffer->offset + buffer->size;
	buffer->size += VERSION_LOG_MARKER_SIZE;
	buffer->marked = true;
	file->added = false;
}

// The log begins anew, or goes on where it ended; with a marker of ours.
static int
start_log(struct version_file *file, bool clean, uint32_t least_epoch, uint32_t epoch, struct stored_versions *ret)
{
	struct version_log_bytes in[VERSION_LOG_FILES] = {{0}};
	uint64_t boot = find_boot();
	struct version_log_end end = {0, 0};
	int sys_errno = 0;

	*ret = (struct stored_versions){.complete = true, .epoch = epoch};
	for (int i = 0; i < VERSION_LOG_FILES && !clean && sys_errno == 0; i++)
		sys_errno = read_file(file->fds[i], &in[i]);
	if (sys_errno == 0 && !clean && version_log_read(in, boot, least_epoch, ret, &file->log, &end)) {
		file->filling->file = end.file;
		file->filling->offset = end.offset;
		file->log.epoch = epoch;
	} else if (sys_errno == 0) {
		version_log_begin(&file->log, boot, epoch, !clean, file->filling->bytes);
		file->filling->size = VERSION_LOG_HEADER_SIZE;
		if (ftruncate(file->fds[1], 0) < 0 || fdatasync(file->fds[1]) < 0)
			sys_errno = errno;
	}
	for (int i = 0; i < VERSION_LOG_FILES; i++)
		free((void *)in[i].bytes);
	if (sys_errno == 0 && ftruncate(file->fds[file->filling->file], (off_t)end.offset) < 0)
		sys_errno = errno;
	if (sys_errno != 0)
		return sys_errno;
	put_marker(file);
	return write_now(file);
}

struct version_file *
version_file_open(const char *path, bool clean, uint32_t least_epoch, uint32_t epoch, struct stored_versions *ret,
		  int *ret_errno)
{
	struct version_file *file = calloc(1, sizeof(*file));

	*ret_errno = ENOMEM;
	*ret = (struct stored_versions){0};
	if (file == NULL)
		return NULL;
	file->filling = &file->buffers[0];
	file->fds[0] = file->fds[1] = -1;
	*ret_errno = open_files(file, path);
	if (*ret_errno == 0)
		*ret_errno = start_log(file, clean, least_epoch, epoch, ret);
	if (*ret_errno == 0)
		return file;
	version_log_free(ret);
	version_file_close(file);
	return NULL;
}

int
version_file_set_epoch(struct version_file *file, uint32_t epoch)
{
	CHECK(!file->added && file->filling->size == 0);
	file->log.epoch = epoch;
	put_marker(file);
	return write_now(file);
}

void
version_file_remove(const char *path)
{
	char name[PATH_MAX];

	for (int i = 0; i < VERSION_LOG_FILES; i++)
		if (place_find_versions(path, i, name) == 0)
			unlink(name);
	metadata_sync_directory(path);
}

void
version_file_close(struct version_file *file)
{
	if (file == NULL)
		return;
	CHECK(!version_file_is_busy(file));
	for (int i = 0; i < VERSION_LOG_FILES; i++)
		if (file->fds[i] >= 0)
			close(file->fds[i]);
	free(file);
}

// ---- What goes out ----

// The other buffer fills from now on, where this one ends.
static void
send_filling(struct version_file *file)
{
	struct buffer *sent = file->filling, *next = sent == file->buffers ? sent + 1 : file->buffers;

	file->going = sent;
	file->filling = next;
	next->size = 0;
	next->marked = next->closed = false;
	next->file = sent->file;
	next->offset = sent->offset + sent->size;
	if (!sent->closed)
		return;
	next->file = 1 - sent->file;
	next->offset = 0;
	version_log_turn(&file->log, next->bytes);
	next->size = VERSION_LOG_HEADER_SIZE;
}

static struct store_io *
begin_write(struct version_file *file)
{
	struct buffer *buffer = file->going;

	static const uint8_t zeros[GROWTH];
	uint64_t end = buffer->offset + buffer->size;
	uint64_t growth = end > file->sizes[buffer->file] ? GROWTH - end % GROWTH : 0;

	file->writes = true;
	file->write_iov[0] = (struct iovec){.iov_base = buffer->bytes, .iov_len = buffer->size};
	file->write_iov[1] = (struct iovec){.iov_base = (void *)zeros, .iov_len = growth};
	file->write_io = (struct store_io){.op = STORE_WRITE,
					   .fd = file->fds[buffer->file],
					   .offset = buffer->offset,
					   .size = buffer->size + growth,
					   .iov = file->write_iov,
					   .iov_count = growth > 0 ? 2 : 1,
					   .durable = buffer->marked && !file->loose[buffer->file]};
	return &file->write_io;
}

static struct store_io *
begin_sync(struct version_file *file, int i)
{
	file->unsynced[i] = file->loose[i] = false;
	file->syncs = true;
	file->sync_io = (struct store_io){.op = STORE_SYNC, .fd = file->fds[i]};
	return &file->sync_io;
}

// The last marker, wherever it has got to, is made none.
static struct store_io *
begin_void(struct version_file *file)
{
	static const uint8_t nothing[VERSION_LOG_MARKER_SIZE];

	file->void_due = false;
	file->voids = true;
	file->void_iov = (struct iovec){.iov_base = (void *)nothing, .iov_len = sizeof(nothing)};
	file->void_io = (struct store_io){.op = STORE_WRITE,
					  .fd = file->fds[file->marker_file],
					  .offset = file->marker_offset,
					  .size = sizeof(nothing),
					  .iov = &file->void_iov,
					  .iov_count = 1};
	return &file->void_io;
}

// Are all buffers with a marker on the disk, or in the system?
static bool
is_marker_out(const struct version_file *file)
{
	return !file->filling->marked && (file->going == NULL || !file->going->marked);
}

struct store_io *
version_file_next(struct version_file *file)
{
	if (file->dead)
		return file->void_due && !file->writes ? begin_void(file) : NULL;
	for (int i = 0; i < VERSION_LOG_FILES && file->sync_wanted && !file->syncs && is_marker_out(file); i++)
		if (file->unsynced[i])
			return begin_sync(file, i);
	if (file->writes)
		return NULL;
	if (file->going == NULL && (file->filling->marked || (file->pushed && file->filling->size > 0)))
		send_filling(file);
	if (file->going == NULL || file->write_errno != 0)
		return NULL;
	file->pushed = false;
	return begin_write(file);
}

bool
version_file_owns(const struct version_file *file, const struct store_io *io)
{
	return io == &file->write_io || io == &file->sync_io || io == &file->void_io;
}

bool
version_file_is_busy(const struct version_file *file)
{
	return file->writes || file->syncs || file->voids;
}

int
version_file_errno(const struct version_file *file)
{
	return file->write_errno;
}

// ---- What comes in ----

bool
version_file_add(struct version_file *file, uint64_t block, const version_t *versions, uint32_t count)
{
	struct buffer *buffer = file->filling;

	if (file->dead)
		return true;
	CHECK(VERSION_LOG_HEADER_SIZE + count * VERSION_LOG_RECORD_SIZE <= RECORDS_SIZE_MAX);
	if (buffer->closed || buffer->size + count * VERSION_LOG_RECORD_SIZE > RECORDS_SIZE_MAX) {
		file->pushed = true;
		if (!file->writes)
			file->write_errno = 0; // once more
		return false;
	}
	for (uint32_t i = 0; i < count; i++) {
		version_log_add(&file->log, block + i, versions[i], buffer->bytes + buffer->size);
		buffer->size += VERSION_LOG_RECORD_SIZE;
	}
	file->added = true;
	return true;
}

int
version_file_begin_sync(struct version_file *file, bool *ret_runs)
{
	struct buffer *buffer = file->filling;

	CHECK(!file->sync_wanted && !file->dead);
	file->marker_offset = 0;
	if (!file->writes)
		file->write_errno = 0; // once more
	*ret_runs = file->added || file->going != NULL || buffer->marked || file->unsynced[0] || file->unsynced[1];
	file->sync_wanted = *ret_runs;
	if (!file->added)
		return 0;
	if (buffer->closed || buffer->size + VERSION_LOG_MARKER_SIZE > BUFFER_SIZE) { // the disk was full before
		*ret_runs = file->sync_wanted = false;
		file->pushed = true;
		return ENOSPC;
	}
	put_marker(file);
	buffer->closed = buffer->offset + buffer->size >= VERSION_LOG_FILE_SIZE_MAX;
	return 0;
}

static enum version_sync
sync_over(struct version_file *file)
{
	bool wanted = file->sync_wanted;

	file->sync_wanted = false;
	return wanted ? VERSION_SYNC_OVER : VERSION_SYNC_NONE;
}

static enum version_sync
fail(struct version_file *file, const struct store_io *io, int sys_errno)
{
	enum version_sync sync = sync_over(file);

	file->write_errno = sys_errno;
	if (io == &file->sync_io || (io == &file->write_io && !transfer_may_succeed_later(sys_errno)))
		version_file_give_up(file);
	return sync;
}

enum version_sync
version_file_ended(struct version_file *file, struct store_io *io, int sys_errno, int *ret_errno)
{
	*ret_errno = io != &file->void_io ? sys_errno : 0;
	if (io == &file->void_io)
		file->voids = false;
	else if (io == &file->sync_io)
		file->syncs = false;
	else
		file->writes = false;
	if (*ret_errno != 0)
		return fail(file, io, sys_errno);
	if (io == &file->write_io) {
		if (io->offset + io->size > file->sizes[file->going->file])
			file->sizes[file->going->file] = io->offset + io->size;
		file->loose[file->going->file] |= !io->durable;
		file->unsynced[file->going->file] |= file->going->marked && !io->durable;
		file->going = NULL;
		file->write_errno = 0;
	}
	return is_marker_out(file) && !file->syncs && !file->unsynced[0] && !file->unsynced[1] ? sync_over(file)
												: VERSION_SYNC_NONE;
}

void
version_file_give_up(struct version_file *file)
{
	if (file->dead)
		return;
	file->dead = true;
	file->sync_wanted = false;
	file->void_due = file->marker_offset > 0;
}
