// SPDX-License-Identifier: MIT
// The disk level's file or block device: a store's engine does its reads and writes, past the page cache where the
// system allows it. What it tells the core goes through the loop.
#include "node/internal.h"

#include "cache/disk_format.h"
#include "store/file.h"
#include "store/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// Submitted, and not yet told to the system. Not more, though that costs a system call: the disk is to work already
// while the loop goes on with the requests of this turn.
enum { UNTOLD_MAX = 16 };

struct cache_disk {
	struct node *node;
	const char *path;
	int fd;              // of the store, once there is one
	bool is_device;
	struct file_store *file;
	struct event *readable, *due; // its poll_fd; it wants to be looked at though that is not readable
	struct event *wake;
	bool wanted;      // the core is to be told
	unsigned untold;  // submitted since the last kick
	uint64_t running; // submitted, not done
};

struct transfer_io {
	struct store_io io;
	struct iovec iov;
	struct medium_io *medium_io;
	struct cache_disk *disk;
};

static void
look_again(struct cache_disk *disk)
{
	struct store *store = &disk->file->store;
	unsigned due_ms = store->ops->due_ms(store);
	struct timeval due = {.tv_sec = due_ms / 1000, .tv_usec = due_ms % 1000 * 1000};

	if (due_ms > 0)
		evtimer_add(disk->due, &due);
}

static void
kick(struct cache_disk *disk)
{
	disk->untold = 0;
	disk->file->store.ops->kick(&disk->file->store);
	look_again(disk);
}

// ---- the medium ----

static void
transfer_done(struct store_io *io, int sys_errno)
{
	struct transfer_io *transfer = (struct transfer_io *)io;
	struct medium_io *medium_io = transfer->medium_io;

	transfer->disk->running--;
	free(transfer);
	medium_io->done(medium_io, sys_errno);
}

static void
disk_submit(void *self, struct medium_io *medium_io)
{
	struct cache_disk *disk = self;
	struct transfer_io *transfer = calloc(1, sizeof(*transfer));

	CHECK(transfer != NULL);
	transfer->disk = disk;
	transfer->medium_io = medium_io;
	transfer->iov = (struct iovec){.iov_base = medium_io->bytes, .iov_len = medium_io->size};
	transfer->io = (struct store_io){
		.op = medium_io->write ? STORE_WRITE : STORE_READ,
		.offset = medium_io->offset,
		.size = medium_io->size,
		.iov = &transfer->iov,
		.iov_count = 1,
		.done = transfer_done,
	};
	disk->running++;
	disk->file->store.ops->submit(&disk->file->store, &transfer->io);
	disk->node->batch_due = true;
	if (++disk->untold >= UNTOLD_MAX)
		kick(disk);
}

static int
disk_perform(void *self, struct medium_io *io)
{
	struct cache_disk *disk = self;
	size_t progress = 0;

	while (progress < io->size) {
		off_t offset = (off_t)(io->offset + progress);
		ssize_t result = io->write ? pwrite(disk->fd, io->bytes + progress, io->size - progress, offset)
					   : pread(disk->fd, io->bytes + progress, io->size - progress, offset);

		if (result < 0 && errno == EINTR)
			continue;
		if (result <= 0)
			return result < 0 ? errno : EIO;
		progress += (size_t)result;
	}
	return 0;
}

static uint64_t
disk_size(void *self)
{
	struct cache_disk *disk = self;
	off_t size = lseek(disk->fd, 0, SEEK_END);

	return size > 0 ? (uint64_t)size : 0;
}

static int
disk_grow(void *self, uint64_t size)
{
	struct cache_disk *disk = self;

	if (disk->is_device)
		return ENOSPC;
	// In one piece, if the file system can: a file that grows block by block, in any order, is found slowly later. And a
	// disk that is too small says so now.
	if (fallocate(disk->fd, 0, 0, (off_t)size) == 0)
		return 0;
	if (errno != EOPNOTSUPP)
		return errno;
	return ftruncate(disk->fd, (off_t)size) == 0 ? 0 : errno;
}

static const struct medium_ops medium_ops = {
	.submit = disk_submit,
	.perform = disk_perform,
	.grow = disk_grow,
	.size = disk_size,
};

// ---- the loop ----

static void
tell_core(struct cache_disk *disk)
{
	if (!disk->wanted)
		return;
	disk->wanted = false;
	if (!disk->node->left)
		node_feed(disk->node, &(struct event){.type = EVENT_COPIES});
}

static void
reap(evutil_socket_t fd, short what, void *arg)
{
	struct cache_disk *disk = arg;

	disk->file->store.ops->reap(&disk->file->store);
	disk->untold = 0;
	look_again(disk);
	tell_core(disk);
}

static void
woken(evutil_socket_t fd, short what, void *arg)
{
	tell_core(arg);
}

static void
on_wake(void *arg)
{
	struct cache_disk *disk = arg;

	disk->wanted = true;
	evtimer_add(disk->wake, &(struct timeval){.tv_sec = 0}); // unless a reap is first; else in the next turn
}

static void
on_failed(void *arg, bool writing, int sys_errno)
{
	struct cache_disk *disk = arg;

	log_error("--cache disk:%s: cannot be %s: %s; nothing is kept there any more, the node goes on with its memory",
		  disk->path, writing ? "written" : "read", strerror(sys_errno));
}

void
node_cache_disk_kick(struct node *node)
{
	struct cache_disk *disk = node->cache_disk;

	if (disk != NULL && disk->untold > 0)
		kick(disk);
}

bool
node_cache_disk_is_busy(const struct node *node)
{
	return node->cache_disk != NULL && node->cache_disk->running > 0;
}

// ---- the beginning ----

static int __attribute__((format(printf, 4, 5)))
refuse(const struct cache_disk *disk, char *error, size_t error_size, const char *format, ...)
{
	va_list arguments;
	int length = snprintf(error, error_size, "--cache disk:%s: ", disk->path);

	va_start(arguments, format);
	vsnprintf(error + length, error_size - (size_t)length, format, arguments);
	va_end(arguments);
	return -1;
}

// Direct I/O, unless the system has none there or wants more than MEDIUM_ALIGN.
static void
try_direct(const struct cache_disk *disk)
{
	int flags = fcntl(disk->fd, F_GETFL);
	uint8_t *bytes = aligned_alloc(DISK_PAGE_SIZE, DISK_PAGE_SIZE);

	CHECK(bytes != NULL);
	if (fcntl(disk->fd, F_SETFL, flags | O_DIRECT) == 0 &&
	    pread(disk->fd, bytes + MEDIUM_ALIGN, MEDIUM_ALIGN, MEDIUM_ALIGN) < 0)
		fcntl(disk->fd, F_SETFL, flags);
	free(bytes);
}

static int
open_path(struct cache_disk *disk, char *error, size_t error_size)
{
	struct stat status;
	bool exists = stat(disk->path, &status) == 0;
	int sys_errno, flags = O_RDWR | O_CLOEXEC;

	if (exists && !S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode))
		return refuse(disk, error, error_size, "is neither a file nor a block device");
	disk->is_device = exists && S_ISBLK(status.st_mode);
	flags |= disk->is_device ? O_EXCL : O_CREAT; // refused while the device is mounted
	disk->fd = open(disk->path, flags, 0600);
	if (disk->fd < 0)
		return refuse(disk, error, error_size, "cannot be opened: %s", strerror(errno));
	sys_errno = lock_take(disk->fd, false);
	if (sys_errno == EAGAIN) {
		pid_t holder = lock_find_holder(disk->fd);

		return holder > 0 ? refuse(disk, error, error_size, "is in use by process %d; each node needs its own",
					   (int)holder)
				  : refuse(disk, error, error_size, "is in use; each node needs its own");
	}
	if (sys_errno != 0)
		return refuse(disk, error, error_size, "cannot be locked: %s", strerror(sys_errno));
	try_direct(disk);
	return 0;
}

static int
start_engine(struct cache_disk *disk, char *error, size_t error_size)
{
	struct node *node = disk->node;

	disk->file = file_store_create(disk->path, disk->fd, error, error_size);
	if (disk->file == NULL)
		return -1;
	disk->file->store.size = disk_size(disk);
	disk->readable = event_new(node->base, disk->file->store.ops->poll_fd(&disk->file->store),
				   EV_READ | EV_PERSIST, reap, disk);
	disk->due = evtimer_new(node->base, reap, disk);
	disk->wake = evtimer_new(node->base, woken, disk);
	CHECK(disk->readable != NULL && disk->due != NULL && disk->wake != NULL &&
	      event_add(disk->readable, NULL) == 0);
	return 0;
}

static void
tell_found(const struct cache_disk *disk, const struct disk_level *level, bool emptied)
{
	struct disk_level_stats stats;

	disk_level_get_stats(level, &stats);
	if (emptied)
		log_warnx("--cache disk:%s: it was of another size, ways or hash: what was in it is given up", disk->path);
	else if (stats.found > 0)
		log_info("--cache disk:%s: %" PRIu64 " blocks of an earlier run, to be confirmed", disk->path, stats.found);
}

int
node_cache_disk_open(struct node *node, char *error, size_t error_size)
{
	const struct cache_disk_config *config = &node->config.cache_disk;
	struct cache_disk *disk = node->cache_disk;
	const struct stack_disk_hooks hooks = {.wake = on_wake, .failed = on_failed, .arg = disk};
	struct level_config level = config->level;
	struct disk_level *opened;
	bool emptied = false;
	char why[256];

	if (disk == NULL)
		return 0;
	if (level.hash == HASH_ANY)
		level.hash = HASH_NEIGHBOURS; // the records of neighbouring blocks are written together
	if (level.ways == 0)
		level.ways = CACHE_DISK_WAYS;
	opened = disk_level_open(&(struct medium){.ops = &medium_ops, .self = disk}, &level, config->slot_size, &emptied,
				 why, sizeof(why));
	if (opened == NULL)
		return refuse(disk, error, error_size, "%s", why);
	stack_set_disk(node->cache, opened, &hooks);
	tell_found(disk, opened, emptied);
	return start_engine(disk, error, error_size);
}

int
node_cache_disk_init(struct node *node, char *error, size_t error_size)
{
	struct cache_disk *disk;

	if (node->config.cache_disk.path[0] == '\0')
		return 0;
	disk = calloc(1, sizeof(*disk));
	CHECK(disk != NULL);
	disk->node = node;
	disk->path = node->config.cache_disk.path;
	disk->fd = -1;
	node->cache_disk = disk;
	return open_path(disk, error, error_size);
}

void
node_cache_disk_fini(struct node *node)
{
	struct cache_disk *disk = node->cache_disk;

	if (disk == NULL)
		return;
	if (disk->readable != NULL)
		event_free(disk->readable);
	if (disk->due != NULL)
		event_free(disk->due);
	if (disk->wake != NULL)
		event_free(disk->wake);
	if (disk->file != NULL)
		disk->file->store.ops->close(&disk->file->store);
	else if (disk->fd >= 0)
		close(disk->fd);
	free(disk);
	node->cache_disk = NULL;
}
