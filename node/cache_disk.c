// SPDX-License-Identifier: MIT
// The disk level's file or block device: a store's engine does its reads and writes, past the page cache where the
// system allows it. What it tells the core goes through the loop.
#include "node/cache_disk.h"

#include "store/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// Submitted, and not yet told to the system. Not more, though that costs a system call: the disk is to work already
// while the loop goes on with the requests of this turn.
enum { UNTOLD_MAX = 16 };

// In one step: the records of 2 GiB of blocks of 4 KiB, a tenth of a second. A level that has more is there later.
enum { OPEN_READS = 16 };

struct transfer_io {
	struct store_io io;
	struct iovec iov;
	struct medium_io *medium_io;
	struct cache_disk *disk;
};

struct computing {
	struct task task;
	struct disk_work *work;
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
	if (disk->node->left)
		return;
	node_feed(disk->node, &(struct event){.type = EVENT_COPIES});
	node_cache_go_on(disk->node);
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
run_work(struct task *task)
{
	struct disk_work *work = ((struct computing *)task)->work;

	work->run(work);
}

static void
work_done(struct task *task)
{
	struct computing *computing = (struct computing *)task;
	struct disk_work *work = computing->work;

	free(computing);
	work->done(work);
}

static void
on_compute(void *arg, struct disk_work *work)
{
	struct cache_disk *disk = arg;
	struct computing *computing = calloc(1, sizeof(*computing));

	CHECK(computing != NULL);
	*computing = (struct computing){.task = {.run = run_work, .done = work_done}, .work = work};
	worker_submit(disk->node->cache_sealer, &computing->task);
}

static void
on_failed(void *arg, bool writing, int sys_errno)
{
	struct cache_disk *disk = arg;

	snprintf(disk->failure, sizeof(disk->failure), "cannot be %s: %s", writing ? "written" : "read", strerror(sys_errno));
	log_error("--cache disk:%s: %s; nothing is kept there any more until it is removed and added again (hvfs cache); the node goes on",
		  disk->path, disk->failure);
}

void
node_cache_disk_kick(struct node *node)
{
	for (struct cache_disk *disk = node->cache_disks; disk != NULL; disk = disk->next)
		if (disk->untold > 0)
			kick(disk);
}

bool
node_cache_disk_is_busy(const struct node *node)
{
	for (const struct cache_disk *disk = node->cache_disks; disk != NULL; disk = disk->next)
		if (disk->running > 0)
			return true;
	return worker_is_busy(node->cache_worker) || worker_is_busy(node->cache_closer) || worker_is_busy(node->cache_sealer);
}

// ---- coming and going ----

struct cache_disk *
cache_disk_create(struct node *node, const struct cache_disk_config *config, const char *path)
{
	struct cache_disk *disk = calloc(1, sizeof(*disk));

	CHECK(disk != NULL && strlen(path) < sizeof(disk->path));
	disk->node = node;
	disk->config = *config;
	disk->disk_file.fd = -1;
	strcpy(disk->path, path);
	if (disk->config.level.hash == HASH_ANY)
		disk->config.level.hash = HASH_NEIGHBOURS; // the records of neighbouring blocks are written together
	if (disk->config.level.ways == 0)
		disk->config.level.ways = CACHE_DISK_WAYS;
	return disk;
}

int
cache_disk_open_file(struct cache_disk *disk, const char *flag, char *error, size_t error_size)
{
	return disk_file_open(&disk->disk_file, flag, disk->path, error, error_size);
}

int
cache_disk_open_level(struct cache_disk *disk, bool anew, char *error, size_t error_size)
{
	const struct medium medium = {.ops = &medium_ops, .self = disk};
	const struct level_config *level = &disk->config.level;
	uint32_t slot_size = disk->config.slot_size + (node_has_sealed_volumes(disk->node) ? SEALED_TAIL_SIZE : 0);
	char why[256];

	if (level->size < disk_level_size_min(slot_size))
		return disk_file_refuse(&disk->disk_file, error, error_size,
					"%" PRIu64 " bytes are too few; right would be at least %" PRIu64, level->size,
					disk_level_size_min(slot_size));
	disk->anew = anew;
	disk->level = disk_level_begin_open(&medium, level, slot_size, anew, &disk->emptied, why, sizeof(why));
	return disk->level != NULL ? 0 : disk_file_refuse(&disk->disk_file, error, error_size, "%s", why);
}

int
cache_disk_open_more(struct cache_disk *disk, char *error, size_t error_size)
{
	char why[256];

	if (disk_level_open_more(disk->level, OPEN_READS, why, sizeof(why)) == 0)
		return 0;
	return disk_file_refuse(&disk->disk_file, error, error_size, "%s", why);
}

static void
tell_found(const struct cache_disk *disk)
{
	struct disk_level_stats stats;

	disk_level_get_stats(disk->level, &stats);
	if (disk->emptied && disk->anew)
		log_warnx("disk:%s: there was a cache already, which is given up: the level that comes there has its own blocks",
			  disk->path);
	else if (disk->emptied)
		log_warnx("--cache disk:%s: it was of another shape (size, ways, hash, sealed volumes or not): what was in it is given up", disk->path);
	else if (stats.found > 0)
		log_info("--cache disk:%s: %" PRIu64 " blocks of an earlier run, to be confirmed", disk->path, stats.found);
}

int
cache_disk_begin(struct cache_disk *disk, struct stack_disk_hooks *ret_hooks, char *error, size_t error_size)
{
	struct node *node = disk->node;

	disk->file = file_store_create(disk->path, disk->disk_file.fd, error, error_size);
	if (disk->file == NULL)
		return -1;
	disk->file->store.size = disk_size(disk);
	disk->readable = event_new(node->base, disk->file->store.ops->poll_fd(&disk->file->store),
				   EV_READ | EV_PERSIST, reap, disk);
	disk->due = evtimer_new(node->base, reap, disk);
	disk->wake = evtimer_new(node->base, woken, disk);
	CHECK(disk->readable != NULL && disk->due != NULL && disk->wake != NULL &&
	      event_add(disk->readable, NULL) == 0);
	disk->next = node->cache_disks;
	node->cache_disks = disk;
	tell_found(disk);
	*ret_hooks = (struct stack_disk_hooks){.wake = on_wake, .compute = on_compute, .failed = on_failed, .arg = disk};
	return 0;
}

int
cache_disk_end(struct cache_disk *disk)
{
	struct cache_disk **link = &disk->node->cache_disks;
	int fd = fcntl(disk->disk_file.fd, F_DUPFD_CLOEXEC, 0); // the last close of a file may take its time

	while (*link != disk)
		link = &(*link)->next;
	*link = disk->next;
	event_free(disk->readable);
	event_free(disk->due);
	event_free(disk->wake);
	disk->file->store.ops->close(&disk->file->store);
	disk->disk_file.fd = -1;
	return fd;
}

static int
give(const struct cache_disk *disk, uid_t uid, gid_t gid)
{
	struct stat status;

	if (fstat(disk->disk_file.fd, &status) != 0)
		return -1;
	return S_ISREG(status.st_mode) ? fchown(disk->disk_file.fd, uid, gid) : 0;
}

int
node_cache_disk_give(struct node *node, uid_t uid, gid_t gid)
{
	for (const struct cache_disk *disk = node->cache_disks; disk != NULL; disk = disk->next)
		if (give(disk, uid, gid) != 0)
			return -1;
	return node->opening_disk != NULL ? give(node->opening_disk, uid, gid) : 0;
}

void
cache_disk_destroy(struct cache_disk *disk)
{
	disk_level_close(disk->level);
	if (disk->disk_file.fd >= 0)
		close(disk->disk_file.fd);
	free(disk);
}

// ---- the beginning and the end ----

int
node_cache_disk_init(struct node *node, char *error, size_t error_size)
{
	const struct cache_disk_config *config = &node->config.cache_disk;
	struct cache_disk *disk;

	if (config->path[0] == '\0')
		return 0;
	if (cache_spec_check_disk(config, error, error_size) != 0)
		return -1;
	disk = cache_disk_create(node, config, config->path);
	if (cache_disk_open_file(disk, "--cache disk:", error, error_size) != 0) {
		cache_disk_destroy(disk);
		return -1;
	}
	node_cache_disk_clean_up(config->path); // nobody else is about to use it now
	node->opening_disk = disk;
	return 0;
}

int
node_cache_disk_open(struct node *node, char *error, size_t error_size)
{
	struct cache_disk *disk = node->opening_disk;
	struct stack_disk_hooks hooks;
	uint64_t total;

	if (disk == NULL)
		return 0;
	if (cache_disk_open_level(disk, false, error, error_size) != 0 || cache_disk_open_more(disk, error, error_size) != 0)
		return -1;
	if (disk_level_open_left(disk->level, &total) > 0)
		return 0; // the rest takes its time: node_cache_disk_start
	if (cache_disk_begin(disk, &hooks, error, error_size) != 0)
		return -1;
	stack_set_disk(node->cache, disk->level, &hooks);
	disk->level = NULL;
	node->opening_disk = NULL;
	return 0;
}

void
node_cache_disk_fini(struct node *node)
{
	if (node->opening_disk != NULL)
		cache_disk_destroy(node->opening_disk);
	node->opening_disk = NULL;
	while (node->cache_disks != NULL) {
		struct cache_disk *disk = node->cache_disks;
		int fd = cache_disk_end(disk);

		if (fd >= 0)
			close(fd);
		cache_disk_destroy(disk);
	}
}
