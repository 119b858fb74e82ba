// SPDX-License-Identifier: MIT
// Reading, writing, zeroing and syncing, the same cases on each engine that works here.
#include "store_help.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BLOCK = 4096 };

// ---- Helpers ----

static uint64_t
room_taken(void)
{
	struct stat status;

	ck_assert_int_eq(stat(help_path, &status), 0);
	return (uint64_t)status.st_blocks * 512;
}

// ---- Cases ----

// What is written is read back, through the store, another descriptor, and after another open; the rest is zeros.
START_TEST(test_round_trip)
{
	uint8_t *written = help_allocate(3 * BLOCK), *found = help_allocate(3 * BLOCK);
	struct store *store = help_create(_i, MIB, BLOCK);

	help_pattern(written, BLOCK, 1);
	ck_assert_int_eq(help_do(store, STORE_WRITE, 5 * BLOCK, written, BLOCK), 0);
	ck_assert_int_eq(help_do(store, STORE_SYNC, 0, NULL, 0), 0);
	help_file_has(5 * BLOCK, written, BLOCK);
	store->ops->close(store);
	store = help_open(_i, false);
	memset(found, 0xff, 3 * BLOCK);
	memmove(written + BLOCK, written, BLOCK);
	memset(written, 0, BLOCK);
	ck_assert_int_eq(help_do(store, STORE_READ, 4 * BLOCK, found, 3 * BLOCK), 0);
	ck_assert_int_eq(memcmp(found, written, 3 * BLOCK), 0);
	store->ops->close(store);
	free(written);
	free(found);
}
END_TEST

// The last bytes belong to it, and not one more; sizes that wrap round do not get by.
START_TEST(test_range)
{
	uint8_t *bytes = help_allocate(2 * BLOCK);
	struct store *store = help_create(_i, MIB, BLOCK);

	ck_assert_int_eq(help_do(store, STORE_WRITE, MIB - BLOCK, bytes, BLOCK), 0);
	ck_assert_int_eq(help_do(store, STORE_READ, MIB - BLOCK, bytes, BLOCK), 0);
	ck_assert_int_eq(help_do(store, STORE_WRITE, MIB - BLOCK, bytes, 2 * BLOCK), EINVAL);
	ck_assert_int_eq(help_do(store, STORE_READ, MIB, bytes, BLOCK), EINVAL);
	ck_assert_int_eq(help_do(store, STORE_ZERO, UINT64_MAX - BLOCK + 1, NULL, 2 * BLOCK), EINVAL);
	ck_assert_int_eq(help_do(store, STORE_ZERO, BLOCK, NULL, UINT64_MAX), EINVAL);
	ck_assert_int_eq(help_do(store, STORE_ZERO, BLOCK, NULL, 0), 0);
	store->ops->close(store);
	free(bytes);
}
END_TEST

// A thousand at once, in two batches, each ends exactly once and its bytes are where they belong; then as many reads,
// with zeroing and barriers among them.
START_TEST(test_many)
{
	enum { COUNT = 1000 };
	static struct test_io ios[COUNT + 20];
	uint8_t *written = help_allocate(COUNT * BLOCK), *found = help_allocate(COUNT * BLOCK);
	struct store *store = help_create(_i, COUNT * BLOCK, BLOCK);

	for (int i = 0; i < COUNT; i++) {
		int block = i * 7 % COUNT; // every block, in no order

		help_pattern(written + (size_t)block * BLOCK, BLOCK, (uint32_t)block);
		help_submit(store, &ios[i], STORE_WRITE, (uint64_t)block * BLOCK, written + (size_t)block * BLOCK, BLOCK);
		if (i == COUNT / 2)
			store->ops->kick(store);
	}
	for (int i = 0; i < 10; i++)
		help_submit(store, &ios[COUNT + i], STORE_SYNC, 0, NULL, 0);
	help_wait(store, ios, COUNT + 10);
	for (int i = 0; i < COUNT + 10; i++)
		ck_assert_int_eq(ios[i].result, 0);
	help_file_has(0, written, COUNT * BLOCK);
	for (int i = 0; i < COUNT; i++)
		help_submit(store, &ios[i], STORE_READ, (uint64_t)i * BLOCK, found + (size_t)i * BLOCK, BLOCK);
	help_wait(store, ios, COUNT);
	for (int i = 0; i < COUNT; i++)
		ck_assert_int_eq(ios[i].result, 0);
	ck_assert_int_eq(memcmp(found, written, COUNT * BLOCK), 0);
	store->ops->close(store);
	free(written);
	free(found);
}
END_TEST

// A thousand that are refused, each told by a kick of its own, before anybody looks.
START_TEST(test_many_refused)
{
	static struct test_io ios[1000];
	struct store *store = help_create(_i, MIB, BLOCK);

	for (int i = 0; i < 1000; i++) {
		help_submit(store, &ios[i], STORE_ZERO, MIB, NULL, BLOCK);
		store->ops->kick(store);
	}
	help_wait(store, ios, 1000);
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(ios[i].result, EINVAL);
	store->ops->close(store);
}
END_TEST

// done may submit the next one: a chain of a hundred, each from the callback of the one before.
struct chain {
	struct store_io io;
	struct iovec one;
	struct store *store;
	int left;
	int result;
};

static void
chain_done(struct store_io *io, int sys_errno)
{
	struct chain *chain = io->owner;

	chain->result |= sys_errno;
	if (--chain->left > 0) {
		chain->io.offset += BLOCK;
		chain->store->ops->submit(chain->store, io);
	}
}

START_TEST(test_submit_in_done)
{
	uint8_t *bytes = help_allocate(BLOCK);
	struct chain chain = {.left = 100};
	struct test_io last;

	chain.store = help_create(_i, MIB, BLOCK);
	chain.one = (struct iovec){.iov_base = bytes, .iov_len = BLOCK};
	chain.io = (struct store_io){.op = STORE_WRITE, .size = BLOCK, .iov = &chain.one, .iov_count = 1,
		.done = chain_done, .owner = &chain};
	help_pattern(bytes, BLOCK, 3);
	chain.store->ops->submit(chain.store, &chain.io);
	while (chain.left > 0) {
		help_submit(chain.store, &last, STORE_SYNC, 0, NULL, 0);
		help_wait(chain.store, &last, 1);
	}
	ck_assert_int_eq(chain.result, 0);
	help_file_has(99 * BLOCK, bytes, BLOCK);
	chain.store->ops->close(chain.store);
	free(bytes);
}
END_TEST

// More buffers than one system call takes, each with bytes of its own.
START_TEST(test_long_list)
{
	enum { COUNT = 2 * IOV_MAX + 17, PART = 512, SIZE = COUNT * PART };
	struct iovec *list = calloc(COUNT, sizeof(*list));
	uint8_t *written = help_allocate(SIZE), *found = help_allocate(SIZE);
	struct store *store = help_create(_i, 4 * MIB, PART);
	struct test_io io;

	help_pattern(written, SIZE, 9);
	for (int i = 0; i < COUNT; i++)
		list[i] = (struct iovec){.iov_base = written + (size_t)i * PART, .iov_len = PART};
	help_submit_list(store, &io, STORE_WRITE, PART, list, COUNT);
	help_wait(store, &io, 1);
	ck_assert_int_eq(io.result, 0);
	help_file_has(PART, written, SIZE);
	for (int i = 0; i < COUNT; i++)
		list[i] = (struct iovec){.iov_base = found + (size_t)i * PART, .iov_len = PART};
	help_submit_list(store, &io, STORE_READ, PART, list, COUNT);
	help_wait(store, &io, 1);
	ck_assert_int_eq(io.result, 0);
	ck_assert_int_eq(memcmp(found, written, SIZE), 0);
	store->ops->close(store);
	free(list);
	free(written);
	free(found);
}
END_TEST

// Zeroing gives the room back and leaves the neighbours alone; seek tells where the data is.
START_TEST(test_zero_and_seek)
{
	enum { PART = 1 << 20 };
	uint8_t *written = help_allocate(8 * PART), *found = help_allocate(8 * PART);
	struct store *store = help_create(_i, 16 * MIB, BLOCK);
	uint64_t before;

	ck_assert_uint_eq(store->ops->seek(store, 0, true), 16 * MIB);
	ck_assert_uint_eq(store->ops->seek(store, 0, false), 0);
	help_pattern(written, 8 * PART, 4);
	ck_assert_int_eq(help_do(store, STORE_WRITE, 0, written, 8 * PART), 0);
	ck_assert_int_eq(help_do(store, STORE_SYNC, 0, NULL, 0), 0);
	before = room_taken();
	ck_assert_uint_ge(before, 8 * MIB);
	ck_assert_int_eq(help_do(store, STORE_ZERO, 2 * PART, NULL, 4 * PART), 0);
	ck_assert_int_eq(help_do(store, STORE_SYNC, 0, NULL, 0), 0);
	ck_assert_uint_le(room_taken(), before - 4 * MIB + MIB / 4);
	memset(written + 2 * PART, 0, 4 * PART);
	ck_assert_int_eq(help_do(store, STORE_READ, 0, found, 8 * PART), 0);
	ck_assert_int_eq(memcmp(found, written, 8 * PART), 0);
	ck_assert_uint_eq(store->ops->seek(store, 0, true), 0);
	ck_assert_uint_eq(store->ops->seek(store, 0, false), 2 * MIB);
	ck_assert_uint_eq(store->ops->seek(store, 2 * MIB, true), 6 * MIB);
	ck_assert_uint_eq(store->ops->seek(store, 7 * MIB, false), 8 * MIB);
	ck_assert_uint_eq(store->ops->seek(store, 8 * MIB, true), 16 * MIB);
	ck_assert_uint_eq(store->ops->seek(store, 20 * MIB, true), 16 * MIB);
	// The size of the file is the size of the volume, also when its last bytes are a hole.
	ck_assert_int_eq(help_do(store, STORE_ZERO, 0, NULL, 16 * MIB), 0);
	store->ops->close(store);
	store = help_open(_i, false);
	ck_assert_uint_eq(store->size, 16 * MIB);
	store->ops->close(store);
	free(written);
	free(found);
}
END_TEST

// A file system without holes (ramfs) gets zeros written.
START_TEST(test_zero_without_holes)
{
	enum { SIZE = 3 << 20 };
	uint8_t *written = help_allocate(SIZE), *found = help_allocate(SIZE);
	struct store *store;

	if (help_mount("ramfs", NULL)) {
		store = help_create(_i, 4 * MIB, 512);
		help_pattern(written, SIZE, 6);
		ck_assert_int_eq(help_do(store, STORE_WRITE, 0, written, SIZE), 0);
		ck_assert_int_eq(help_do(store, STORE_ZERO, 512, NULL, SIZE - 1024), 0);
		memset(written + 512, 0, SIZE - 1024);
		ck_assert_int_eq(help_do(store, STORE_READ, 0, found, SIZE), 0);
		ck_assert_int_eq(memcmp(found, written, SIZE), 0);
		store->ops->close(store);
	}
	free(written);
	free(found);
}
END_TEST

START_TEST(test_read_only)
{
	uint8_t *bytes = help_allocate(BLOCK), *zeros = help_allocate(BLOCK);
	struct store *store = help_create(_i, MIB, BLOCK);

	store->ops->close(store);
	store = help_open(_i, true);
	help_pattern(bytes, BLOCK, 1);
	ck_assert_int_eq(help_do(store, STORE_WRITE, 0, bytes, BLOCK), EROFS);
	ck_assert_int_eq(help_do(store, STORE_ZERO, 0, NULL, BLOCK), EROFS);
	ck_assert_int_eq(help_do(store, STORE_READ, 0, bytes, BLOCK), 0);
	ck_assert_int_eq(memcmp(bytes, zeros, BLOCK), 0);
	ck_assert_int_eq(help_do(store, STORE_SYNC, 0, NULL, 0), 0);
	store->ops->close(store);
	free(bytes);
	free(zeros);
}
END_TEST

// Somebody cuts the file under a running root: reads of what is gone fail, they do not give zeros; the rest goes on.
START_TEST(test_cut_under_us)
{
	uint8_t *bytes = help_allocate(4 * BLOCK);
	struct store *store = help_create(_i, MIB, BLOCK);

	ck_assert_int_eq(truncate(help_path, 10 * BLOCK), 0);
	ck_assert_int_eq(help_do(store, STORE_READ, 10 * BLOCK, bytes, BLOCK), EIO);
	ck_assert_int_eq(help_do(store, STORE_READ, 8 * BLOCK, bytes, 4 * BLOCK), EIO);
	ck_assert_int_eq(help_do(store, STORE_READ, 6 * BLOCK, bytes, 4 * BLOCK), 0);
	store->ops->close(store);
	free(bytes);
}
END_TEST

// A limit in the middle of a write: the part before it is done, then the error comes, once, and the store works on.
START_TEST(test_write_error)
{
	struct rlimit limit = {.rlim_cur = MIB, .rlim_max = MIB};
	uint8_t *bytes = help_allocate(4 * BLOCK);
	struct store *store = help_create(_i, 4 * MIB, BLOCK);

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	help_pattern(bytes, 4 * BLOCK, 2);
	ck_assert_int_eq(help_do(store, STORE_WRITE, 2 * MIB, bytes, BLOCK), EFBIG);
	ck_assert_int_eq(help_do(store, STORE_WRITE, MIB - 2 * BLOCK, bytes, 4 * BLOCK), EFBIG);
	ck_assert_int_eq(help_do(store, STORE_WRITE, 0, bytes, BLOCK), 0);
	help_file_has(0, bytes, BLOCK);
	store->ops->close(store);
	free(bytes);
}
END_TEST

// A full disk: told for the write, which may be tried again when there is room.
START_TEST(test_disk_full)
{
	enum { SIZE = 2 << 20 };
	uint8_t *bytes = help_allocate(SIZE);
	struct store *store;

	if (help_mount("tmpfs", "size=1m")) {
		store = help_create(_i, 8 * MIB, BLOCK);
		help_pattern(bytes, SIZE, 8);
		ck_assert_int_eq(help_do(store, STORE_WRITE, 0, bytes, MIB / 4), 0);
		ck_assert_int_eq(help_do(store, STORE_WRITE, MIB, bytes, SIZE), ENOSPC);
		help_file_has(0, bytes, MIB / 4);
		ck_assert_int_eq(help_do(store, STORE_ZERO, MIB, NULL, SIZE), 0);
		ck_assert_int_eq(help_do(store, STORE_WRITE, 4 * MIB, bytes, MIB / 4), 0);
		help_file_has(4 * MIB, bytes, MIB / 4);
		store->ops->close(store);
	}
	free(bytes);
}
END_TEST

// A daemon opens the store, forks, and works in the child; the process that opened it ends.
START_TEST(test_fork)
{
	uint8_t *bytes = help_allocate(64 * BLOCK), *found = help_allocate(64 * BLOCK);
	struct store *store = help_create(_i, MIB, BLOCK);
	int status;
	pid_t child;

	help_pattern(bytes, 64 * BLOCK, 5);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		bool right = help_do(store, STORE_WRITE, 0, bytes, 64 * BLOCK) == 0 &&
			     help_do(store, STORE_SYNC, 0, NULL, 0) == 0 &&
			     help_do(store, STORE_READ, 0, found, 64 * BLOCK) == 0 && memcmp(found, bytes, 64 * BLOCK) == 0;

		store->ops->close(store);
		_exit(right ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	help_file_has(0, bytes, 64 * BLOCK);
	store->ops->close(store);
	free(bytes);
	free(found);
}
END_TEST

static void
add_engine_cases(Suite *suite)
{
	TCase *tcase = tcase_create("each engine");
	const TTest *tests[] = {test_round_trip, test_range, test_many, test_many_refused, test_submit_in_done, test_long_list,
		test_zero_and_seek, test_zero_without_holes, test_read_only, test_cut_under_us, test_write_error,
		test_disk_full, test_fork};

	tcase_add_checked_fixture(tcase, help_setup, help_teardown);
	tcase_set_timeout(tcase, 60);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_loop_test(tcase, tests[i], 0, help_engine_count);
	suite_add_tcase(suite, tcase);
}

int
main(void)
{
	Suite *suite = suite_create("store io");
	SRunner *runner = srunner_create(suite);
	int failed;

	help_find_engines();
	add_engine_cases(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
