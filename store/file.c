// SPDX-License-Identifier: MIT
// The front of the file store: what is the same whatever engine runs below.
//
// Nothing ends inside submit: what is refused at once goes to the list of ended ios and is answered by the next reap.
//
// Barriers are shared. At most one fdatasync runs; those that are asked for meanwhile wait and are all answered by the
// next one, which begins after they were asked for and so covers every write that had ended before. One at a time also
// because the system reports a failed write-back to one fdatasync only: a second one beside it would say success.
//
// The version log is told of each write that has ended, before the caller is; a barrier syncs it beside the storage, and
// has ended when both have.
//
// A failed fdatasync is remembered: the system may have dropped the pages it could not write and called them clean, so
// a later success would prove nothing. Every barrier fails from then on, until the store is opened again, which makes
// its epoch and thus the loss visible. Reads and writes go on.
#include "store/file.h"

#include "core/check.h"
#include "store/transfer.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void
io_list_append(struct io_list *list, struct store_io *io)
{
	io->next = NULL;
	if (list->first == NULL)
		list->first = io;
	else
		list->last->next = io;
	list->last = io;
}

struct store_io *
io_list_take(struct io_list *list)
{
	struct store_io *io = list->first;

	if (io != NULL) {
		list->first = io->next;
		io->next = NULL;
	}
	return io;
}

static struct file_store *
file_of(struct store *store)
{
	return (struct file_store *)store;
}

static void
end(struct file_store *file, struct store_io *io, int sys_errno)
{
	io->progress = (uint64_t)sys_errno;
	io_list_append(&file->ended, io);
}

static void
end_all(struct file_store *file, struct io_list *list, int sys_errno)
{
	struct store_io *io;

	while ((io = io_list_take(list)) != NULL)
		end(file, io, sys_errno);
}

// ---- The version log ----

static void
push_log(struct file_store *file)
{
	struct store_io *io;

	while (file->versions != NULL && (io = version_file_next(file->versions)) != NULL)
		file->engine->push(file, io);
}

// A write has ended well. Only when its versions are recorded it has ended for the caller.
static bool
record(struct file_store *file, const struct store_io *io)
{
	uint32_t block_size = file->store.block_size;
	bool recorded;

	if (file->versions == NULL || io->versions == NULL)
		return true;
	recorded = version_file_add(file->versions, io->offset / block_size, io->versions,
				    (uint32_t)(io->size / block_size));
	push_log(file);
	return recorded;
}

static void
record_waiting(struct file_store *file)
{
	while (file->unrecorded.first != NULL && record(file, file->unrecorded.first))
		end(file, io_list_take(&file->unrecorded), 0);
}

static void
fail_syncs(struct file_store *file, int sys_errno)
{
	if (file->sync_errno == 0)
		file->sync_errno = sys_errno;
	if (file->versions != NULL)
		version_file_give_up(file->versions);
}

// A part of the running barrier has ended.
static void
sync_part_ended(struct file_store *file, int sys_errno)
{
	CHECK(file->sync_parts > 0);
	if (file->sync_group_errno == 0)
		file->sync_group_errno = sys_errno;
	if (--file->sync_parts == 0)
		end_all(file, &file->sync_group, file->sync_group_errno);
}

static void
log_io_ended(struct file_store *file, struct store_io *io, int sys_errno)
{
	enum version_sync sync = version_file_ended(file->versions, io, sys_errno, &sys_errno);

	if (sys_errno != 0 && (io->op == STORE_SYNC || !transfer_may_succeed_later(sys_errno)))
		fail_syncs(file, sys_errno);
	if (sync == VERSION_SYNC_OVER)
		sync_part_ended(file, sys_errno);
	if (version_file_errno(file->versions) != 0 && file->sync_errno == 0)
		end_all(file, &file->unrecorded, version_file_errno(file->versions)); // the disk is full
	record_waiting(file);
	push_log(file);
}

static void
data_synced(struct file_store *file, int sys_errno)
{
	bool log_runs = file->sync_parts == 2;

	if (sys_errno != 0)
		fail_syncs(file, sys_errno);
	sync_part_ended(file, sys_errno);
	if (sys_errno != 0 && log_runs)
		sync_part_ended(file, sys_errno); // it is given up
	record_waiting(file);
	push_log(file);
}

void
file_io_ended(struct file_store *file, struct store_io *io, int sys_errno)
{
	if (io == &file->sync_io) {
		data_synced(file, sys_errno);
	} else if (file->versions != NULL && version_file_owns(file->versions, io)) {
		log_io_ended(file, io, sys_errno);
	} else if (sys_errno != 0 || io->op == STORE_READ) {
		end(file, io, sys_errno);
	} else if (file->unrecorded.first == NULL && record(file, io)) {
		end(file, io, 0);
	} else {
		io_list_append(&file->unrecorded, io);
	}
}

static void
check_list(const struct store_io *io)
{
	uint64_t size = 0;

	for (int i = 0; i < io->iov_count; i++) {
		CHECK(io->iov[i].iov_len > 0);
		size += io->iov[i].iov_len;
	}
	CHECK(size == io->size);
}

static int
refusal(const struct file_store *file, const struct store_io *io)
{
	if (io->op == STORE_SYNC)
		return 0;
	if (io->offset > file->store.size || io->size > file->store.size - io->offset)
		return EINVAL;
	if (file->read_only && io->op != STORE_READ)
		return EROFS;
	return 0;
}

static void
file_submit(struct store *store, struct store_io *io)
{
	struct file_store *file = file_of(store);
	int sys_errno = refusal(file, io);

	if (io->op == STORE_READ || io->op == STORE_WRITE)
		check_list(io);
	file->running++;
	io->fd = file->fd;
	if (sys_errno != 0)
		end(file, io, sys_errno);
	else if (io->op == STORE_SYNC)
		io_list_append(&file->sync_waiting, io);
	else if (io->size == 0)
		end(file, io, 0);
	else
		file->engine->push(file, io);
}

// Begin one fdatasync for all barriers that wait, and one of the version log beside it.
static void
start_sync(struct file_store *file)
{
	bool log_runs = false;

	if (file->sync_parts > 0 || file->sync_waiting.first == NULL)
		return;
	if (file->sync_errno != 0) {
		end_all(file, &file->sync_waiting, file->sync_errno);
		return;
	}
	file->sync_group = file->sync_waiting;
	file->sync_waiting = (struct io_list){0};
	file->sync_parts = 1;
	file->sync_group_errno = 0;
	file->sync_io = (struct store_io){.op = STORE_SYNC, .fd = file->fd};
	file->engine->push(file, &file->sync_io);
	if (file->versions == NULL)
		return;
	file->sync_group_errno = version_file_begin_sync(file->versions, &log_runs);
	file->sync_parts += log_runs;
	push_log(file);
}

static void
file_kick(struct store *store)
{
	struct file_store *file = file_of(store);

	start_sync(file);
	if (file->ended.first != NULL)
		file->engine->wake(file);
	file->engine->kick(file);
}

static void
file_reap(struct store *store)
{
	struct file_store *file = file_of(store);
	struct io_list ended;
	struct store_io *io;

	file->engine->reap(file);
	ended = file->ended;
	file->ended = (struct io_list){0}; // what done submits is answered by the next reap
	while ((io = io_list_take(&ended)) != NULL) {
		CHECK(file->running > 0);
		file->running--;
		io->done(io, (int)io->progress);
	}
	file_kick(store);
}

static int
file_poll_fd(struct store *store)
{
	struct file_store *file = file_of(store);

	return file->engine->poll_fd(file);
}

static unsigned
file_due_ms(struct store *store)
{
	struct file_store *file = file_of(store);

	return file->engine->due_ms != NULL ? file->engine->due_ms(file) : 0;
}

static uint64_t
file_seek(struct store *store, uint64_t offset, bool data)
{
	struct file_store *file = file_of(store);
	off_t found;

	if (offset >= store->size)
		return store->size;
	found = file->is_device ? -1 : lseek(file->fd, (off_t)offset, data ? SEEK_DATA : SEEK_HOLE);
	if (found >= 0)
		return (uint64_t)found < store->size ? (uint64_t)found : store->size;
	if (!file->is_device && errno == ENXIO)
		return store->size; // nothing of the kind from here on
	return data ? offset : store->size;
}

static void
file_close(struct store *store)
{
	struct file_store *file = file_of(store);

	CHECK(file->running == 0 && file->sync_parts == 0);
	while (file->versions != NULL && version_file_is_busy(file->versions)) {
		unsigned due_ms = file_due_ms(store);

		poll(&(struct pollfd){.fd = file->engine->poll_fd(file), .events = POLLIN}, 1, due_ms > 0 ? (int)due_ms : -1);
		file_reap(store);
	}
	file->engine->stop(file);
	close(file->fd); // and with it the lock
	version_file_close(file->versions);
	version_log_free(&file->stored);
	metadata_fini(&file->metadata);
	free(file);
}

static const struct store_ops file_ops = {
	.submit = file_submit,
	.poll_fd = file_poll_fd,
	.due_ms = file_due_ms,
	.reap = file_reap,
	.kick = file_kick,
	.seek = file_seek,
	.close = file_close,
};

// In the order of preference.
static const struct engine *const engines[] = {
#ifdef HVFS_HAVE_URING
	&engine_uring,
#endif
	&engine_threads,
};

static int
start_engine(struct file_store *file, const char *wanted)
{
	int sys_errno = ENOENT;

	for (size_t i = 0; i < sizeof(engines) / sizeof(engines[0]) && sys_errno != 0; i++) {
		if (wanted != NULL && strcmp(wanted, engines[i]->name) != 0)
			continue;
		file->engine = engines[i];
		sys_errno = engines[i]->start(file);
	}
	return sys_errno;
}

static void
explain_engine(const char *spec, const char *wanted, int sys_errno, char *error, size_t error_size)
{
	if (sys_errno == ENOENT)
		snprintf(error, error_size, "%s: HVFS_STORE_ENGINE is \"%s\", which this hvfs does not have: io_uring "
			"(where it was built in) or threads", spec, wanted);
	else
		snprintf(error, error_size, "%s: the store engine %s does not start: %s", spec,
			wanted != NULL ? wanted : "threads", strerror(sys_errno));
}

struct file_store *
file_store_create(const char *spec, int fd, char *error, size_t error_size)
{
	struct file_store *file = calloc(1, sizeof(*file));
	const char *wanted = getenv("HVFS_STORE_ENGINE");
	int sys_errno;

	if (wanted != NULL && *wanted == '\0')
		wanted = NULL;
	if (file == NULL) {
		snprintf(error, error_size, "%s: %s", spec, strerror(ENOMEM));
		return NULL;
	}
	file->fd = fd;
	atomic_init(&file->zero_way_known, ZERO_BY_PUNCH);
	sys_errno = start_engine(file, wanted);
	if (sys_errno != 0) {
		explain_engine(spec, wanted, sys_errno, error, error_size);
		free(file);
		return NULL;
	}
	file->store.ops = &file_ops;
	file->store.engine = file->engine->name;
	return file;
}
