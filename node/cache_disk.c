// SPDX-License-Identifier: MIT
// The disk level's file or block device: a store's engine does its reads and writes, past the page cache where the
// system allows it. What it tells the core goes through the loop.
#include "node/internal.h"

#include "cache/disk_format.h"
#include "node/disk_file.h"
#include "store/file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// Submitted, and not yet told to the system. Not more, though that costs a system call: the disk is to work already
// while the loop goes on with the requests of this turn.
enum { UNTOLD_MAX = 16 };

struct cache_disk {
	struct node *node;
	struct disk_file disk_file; // its descriptor is the store's, once there is one
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
	return disk_file_perform(&((struct cache_disk *)self)->disk_file, io);
}

static uint64_t
disk_size(void *self)
{
	return disk_file_size(&((struct cache_disk *)self)->disk_file);
}

static int
disk_grow(void *self, uint64_t size)
{
	return disk_file_grow(&((struct cache_disk *)self)->disk_file, size);
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
		  disk->disk_file.path, writing ? "written" : "read", strerror(sys_errno));
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

static int
start_engine(struct cache_disk *disk, char *error, size_t error_size)
{
	struct node *node = disk->node;

	disk->file = file_store_create(disk->disk_file.path, disk->disk_file.fd, error, error_size);
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
		log_warnx("--cache disk:%s: it was of another size, ways or hash: what was in it is given up", disk->disk_file.path);
	else if (stats.found > 0)
		log_info("--cache disk:%s: %" PRIu64 " blocks of an earlier run, to be confirmed", disk->disk_file.path, stats.found);
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
		return disk_file_refuse(&disk->disk_file, error, error_size, "%s", why);
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
	node->cache_disk = disk;
	return disk_file_open(&disk->disk_file, "--cache disk:", node->config.cache_disk.path, error, error_size);
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
	else if (disk->disk_file.fd >= 0)
		close(disk->disk_file.fd);
	free(disk);
	node->cache_disk = NULL;
}
