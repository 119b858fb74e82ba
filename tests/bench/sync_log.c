// SPDX-License-Identifier: MIT
// What the version log costs: 4 KiB writes at random places, each followed by a barrier, with versions and without, in
// turns. Printed are medians in barriers per second, and their ratio.
//
// usage: sync_log DIRECTORY [threads|io_uring]
#include "core/check.h"
#include "store/store.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK = 4096, BLOCKS = 16384, ROUNDS = 150, OPERATIONS = 10 };

static uint8_t bytes[BLOCK];

static void
done(struct store_io *io, int sys_errno)
{
	CHECK(sys_errno == 0);
	*(bool *)io->owner = true;
}

static void
perform(struct store *store, enum store_op op, uint64_t block, const version_t *version)
{
	bool ended = false;
	struct iovec iov = {.iov_base = bytes, .iov_len = BLOCK};
	struct store_io io = {.op = op, .done = done, .owner = &ended};

	if (op == STORE_WRITE) {
		io.offset = block * BLOCK;
		io.size = BLOCK;
		io.iov = &iov;
		io.iov_count = 1;
		io.versions = version;
	}
	store->ops->submit(store, &io);
	store->ops->kick(store);
	while (!ended) {
		poll(&(struct pollfd){.fd = store->ops->poll_fd(store), .events = POLLIN}, 1, -1);
		store->ops->reap(store);
	}
}

static double
now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double
round_of(struct store *store, bool versions)
{
	static version_t version;
	double start = now();

	for (int i = 0; i < OPERATIONS; i++) {
		version++;
		bytes[0] = (uint8_t)version;
		perform(store, STORE_WRITE, (uint64_t)rand() % BLOCKS, versions ? &version : NULL);
		perform(store, STORE_SYNC, 0, NULL);
	}
	return OPERATIONS / (now() - start);
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int
main(int argc, char **argv)
{
	char path[4096], error[1024];
	double rates[2][ROUNDS];
	struct store *store;

	if (argc < 2)
		return 2;
	if (argc > 2)
		setenv("HVFS_STORE_ENGINE", argv[2], 1);
	snprintf(path, sizeof(path), "%s/hvfs-sync-log-%ld.img", argv[1], (long)getpid());
	if (store_create(path, (uint64_t)BLOCK * BLOCKS, BLOCK, error, sizeof(error)) != 0 ||
	    (store = store_open(path, false, error, sizeof(error))) == NULL) {
		fprintf(stderr, "sync_log: %s\n", error);
		return 1;
	}
	memset(bytes, 1, sizeof(bytes));
	for (uint64_t block = 0; block < BLOCKS; block++)
		perform(store, STORE_WRITE, block, NULL);
	perform(store, STORE_SYNC, 0, NULL);
	for (int i = 0; i < 2 * ROUNDS; i++)
		rates[i % 2][i / 2] = round_of(store, i % 2 == 1);
	for (int i = 0; i < 2; i++)
		qsort(rates[i], ROUNDS, sizeof(double), compare);
	printf("%s: without the log %.0f/s, with it %.0f/s: ratio %.2f\n", store->engine, rates[0][ROUNDS / 2],
	       rates[1][ROUNDS / 2], rates[1][ROUNDS / 2] / rates[0][ROUNDS / 2]);
	store_set_clean(store);
	store->ops->close(store);
	unlink(path);
	strcat(path, ".hvfs");
	unlink(path);
	return 0;
}
