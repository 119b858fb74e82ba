// SPDX-License-Identifier: MIT
// Random hits in a disk level below a small memory, without a node and FUSE around it: the stack and a store's engine, so
// many at once.
//
//	disk_stack PATH SIZE_MIB DEPTH     makes a level there with so many MiB of blocks; then, for each line of standard
//	                                   input, a number of seconds, prints the hits of each second
#include "cache/stack.h"
#include "core/check.h"
#include "node/disk_file.h"
#include "store/file.h"

#include <inttypes.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK = 4096, MEMORY = 8 << 20, UNTOLD_MAX = 16 };

static struct disk_file disk_file;
static struct file_store *file;
static struct stack *stack;
static struct copies copies;
static struct buf_pool *pool;
static uint64_t running;
static unsigned untold;
static bool *is_read; // by block: it is on its way

// ---- The medium, as node/cache_disk.c has it ----

struct transfer {
	struct store_io io;
	struct iovec iov;
	struct medium_io *medium_io;
};

static void
kick(void)
{
	untold = 0;
	file->store.ops->kick(&file->store);
}

static void
done(struct store_io *io, int sys_errno)
{
	struct transfer *transfer = (struct transfer *)io;
	struct medium_io *medium_io = transfer->medium_io;

	CHECK(sys_errno == 0);
	running--;
	free(transfer);
	medium_io->done(medium_io, sys_errno);
}

static void
submit(void *self, struct medium_io *medium_io)
{
	struct transfer *transfer = calloc(1, sizeof(*transfer));

	CHECK(transfer != NULL);
	transfer->medium_io = medium_io;
	transfer->iov = (struct iovec){.iov_base = medium_io->bytes, .iov_len = medium_io->size};
	transfer->io = (struct store_io){.op = medium_io->write ? STORE_WRITE : STORE_READ,
					 .offset = medium_io->offset,
					 .size = medium_io->size,
					 .iov = &transfer->iov,
					 .iov_count = 1,
					 .done = done};
	running++;
	file->store.ops->submit(&file->store, &transfer->io);
	if (++untold >= UNTOLD_MAX)
		kick();
}

static int
perform(void *self, struct medium_io *io)
{
	return disk_file_perform(&disk_file, io);
}

static int
grow(void *self, uint64_t size)
{
	return disk_file_grow(&disk_file, size);
}

static uint64_t
size_of(void *self)
{
	return disk_file_size(&disk_file);
}

static void
ignore(void *arg)
{
}

static void
on_evicted(void *arg, block_key key)
{
}

static void
setup(const char *path, uint64_t size)
{
	static const struct medium_ops ops = {.submit = submit, .perform = perform, .grow = grow, .size = size_of};
	const struct level_config memory = {.size = MEMORY, .ways = 8, .hash = HASH_NEIGHBOURS, .policy = POLICY_LRU};
	const struct level_config disk = {.size = size / 4 * 5, .ways = 16, .hash = HASH_XXH, .policy = POLICY_LRU};
	const struct stack_disk_hooks hooks = {.wake = ignore};
	const struct medium medium = {.ops = &ops};
	struct disk_level *level;
	char error[512];
	bool emptied;

	if (disk_file_open(&disk_file, "", path, error, sizeof(error)) != 0 ||
	    (level = disk_level_open(&medium, &disk, BLOCK, true, &emptied, error, sizeof(error))) == NULL ||
	    (file = file_store_create(path, disk_file.fd, error, sizeof(error))) == NULL) {
		fprintf(stderr, "disk_stack: %s\n", error);
		exit(1);
	}
	file->store.size = disk_file_size(&disk_file);
	pool = buf_pool_create(BLOCK);
	stack = stack_create(BLOCK, &memory, 1);
	stack_set_disk(stack, level, &hooks);
	copies = stack_copies(stack);
	copies.ops->on_evicted(copies.self, on_evicted, NULL);
	copies.ops->set_volume(copies.self, 0, "bench", pool);
}

// Wait for something to end.
static void
turn(void)
{
	struct pollfd fd = {.fd = file->store.ops->poll_fd(&file->store), .events = POLLIN};

	kick();
	if (running > 0)
		CHECK(poll(&fd, 1, -1) >= 0);
	file->store.ops->reap(&file->store);
	untold = 0;
}

static void
fill(uint64_t blocks)
{
	struct disk_level_stats stats;
	block_key key;

	while (running > 0) // the volume's name is to be on the disk first
		turn();
	for (uint64_t block = 0; block < blocks; block++) {
		struct buf *buf = buf_alloc(pool);

		randombytes_buf(buf_bytes(buf), BLOCK);
		copies.ops->put(copies.self, block_key_make(0, block), buf, false);
		while (running > 64) {
			turn();
			CHECK(!copies.ops->next_loaded(copies.self, &key));
		}
	}
	while (running > 0) {
		turn();
		CHECK(!copies.ops->next_loaded(copies.self, &key));
	}
	disk_level_get_stats(stack_disk(stack), &stats);
	printf("%" PRIu64 " of %" PRIu64 " blocks\n", stats.entries, blocks);
	fflush(stdout);
	CHECK(stats.entries > blocks / 2);
}

static double
seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double
cpu_seconds(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static uint64_t
draw(void)
{
	static uint64_t state = 88172645463325252u;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

// One more read of a block that is not in memory, nor being read. Those that are in memory are hits, too, and counted.
static uint64_t
read_one(uint64_t blocks)
{
	uint64_t hits = 0;

	for (;;) {
		uint64_t block = draw() % blocks;
		block_key key = block_key_make(0, block);

		if (is_read[block])
			continue;
		if (copies.ops->get(copies.self, key) != NULL) {
			hits++;
		} else if (disk_level_has(stack_disk(stack), key) && !copies.ops->ready(copies.self, key, pool)) {
			is_read[block] = true;
			return hits;
		}
	}
}

static void
measure(uint64_t blocks, unsigned depth, double duration)
{
	double begin = seconds(), cpu = cpu_seconds();
	uint64_t hits = 0, outstanding = 0;
	bool over = false;
	block_key key;

	while (!over || outstanding > 0) {
		while (!over && outstanding < depth) {
			hits += read_one(blocks);
			outstanding++;
		}
		turn();
		while (copies.ops->next_loaded(copies.self, &key)) {
			CHECK(copies.ops->get(copies.self, key) != NULL);
			is_read[block_key_block(key)] = false;
			outstanding--;
			hits++;
		}
		over = seconds() - begin >= duration;
	}
	duration = seconds() - begin;
	printf("%.0f %.2f\n", (double)hits / duration, 1e6 * (cpu_seconds() - cpu) / (double)hits);
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	uint64_t blocks;
	double duration;

	if (argc != 4 || sodium_init() < 0) {
		fprintf(stderr, "usage: disk_stack PATH SIZE_MIB DEPTH\n");
		return 2;
	}
	blocks = strtoull(argv[2], NULL, 10) << 20 >> 12;
	is_read = calloc(blocks, sizeof(*is_read));
	CHECK(is_read != NULL);
	setup(argv[1], blocks * BLOCK);
	fill(blocks);
	while (scanf("%lf", &duration) == 1)
		measure(blocks, (unsigned)strtoul(argv[3], NULL, 10), duration);
	return 0;
}
