// SPDX-License-Identifier: MIT
// Barriers, and the bounds of the threads engine. Barriers are shared code of the engines; they are tested on threads,
// where a test can stand in for fdatasync.
#include "store_help.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS_ENGINE = 0, BLOCK = 4096 };

// ---- Helpers ----

// The engine's fdatasync: counted, and made to fail when a test says so.
static int sync_calls, sync_errno_next;

int
fdatasync(int fd)
{
	int sys_errno = __atomic_exchange_n(&sync_errno_next, 0, __ATOMIC_SEQ_CST);

	__atomic_add_fetch(&sync_calls, 1, __ATOMIC_SEQ_CST);
	if (sys_errno != 0) {
		errno = sys_errno;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

static int
count_tasks(void)
{
	DIR *dir = opendir("/proc/self/task");
	int count = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count;
}

// ---- Cases ----

// Barriers that are asked for together cost one fdatasync; so do all that come while it runs.
START_TEST(test_sync_shared)
{
	struct test_io ios[50];
	struct store *store = help_create(THREADS_ENGINE, MIB, BLOCK);

	sync_calls = 0;
	for (int i = 0; i < 25; i++)
		help_submit(store, &ios[i], STORE_SYNC, 0, NULL, 0);
	store->ops->kick(store);
	for (int i = 25; i < 50; i++) {
		help_submit(store, &ios[i], STORE_SYNC, 0, NULL, 0);
		store->ops->kick(store);
	}
	help_wait(store, ios, 50);
	for (int i = 0; i < 50; i++)
		ck_assert_int_eq(ios[i].result, 0);
	ck_assert_int_eq(sync_calls, 2);
	store->ops->close(store);
}
END_TEST

// After a failed fdatasync no barrier succeeds, though the system would say so, until the store is opened again. Those
// that were asked for while it ran fail too. Reads and writes go on.
START_TEST(test_sync_fails)
{
	struct test_io ios[2];
	uint8_t *bytes = help_allocate(BLOCK);
	struct store *store = help_create(THREADS_ENGINE, MIB, BLOCK);

	sync_errno_next = EINTR; // not a failure: tried again
	ck_assert_int_eq(help_do(store, STORE_SYNC, 0, NULL, 0), 0);
	sync_errno_next = EIO;
	help_submit(store, &ios[0], STORE_SYNC, 0, NULL, 0);
	store->ops->kick(store);
	help_submit(store, &ios[1], STORE_SYNC, 0, NULL, 0);
	help_wait(store, ios, 2);
	ck_assert_int_eq(ios[0].result, EIO);
	ck_assert_int_eq(ios[1].result, EIO);
	sync_calls = 0;
	ck_assert_int_eq(help_do(store, STORE_SYNC, 0, NULL, 0), EIO);
	ck_assert_int_eq(help_do(store, STORE_WRITE, 0, bytes, BLOCK), 0);
	ck_assert_int_eq(help_do(store, STORE_SYNC, 0, NULL, 0), EIO);
	ck_assert_int_eq(help_do(store, STORE_READ, 0, bytes, BLOCK), 0);
	ck_assert_int_eq(sync_calls, 0);
	store->ops->close(store);
	store = help_open(THREADS_ENGINE, false);
	sync_calls = 0;
	ck_assert_int_eq(help_do(store, STORE_SYNC, 0, NULL, 0), 0);
	ck_assert_int_eq(sync_calls, 1);
	store->ops->close(store);
	free(bytes);
}
END_TEST

// Four threads, from the first io on, however many ios there are.
START_TEST(test_threads_bounded)
{
	static struct test_io ios[200];
	static uint8_t bytes[BLOCK];
	int before = count_tasks();
	struct store *store = help_create(THREADS_ENGINE, MIB, BLOCK);

	ck_assert_int_eq(count_tasks(), before);
	for (int i = 0; i < 200; i++)
		help_submit(store, &ios[i], STORE_WRITE, (uint64_t)i * BLOCK, bytes, BLOCK);
	help_wait(store, ios, 200);
	ck_assert_int_eq(count_tasks(), before + 4);
	store->ops->close(store);
}
END_TEST

// A system that gives this process no thread: the loop does the work.
START_TEST(test_no_threads)
{
	const struct rlimit none = {0};
	uint8_t *bytes = help_allocate(8 * BLOCK);
	struct store *store = help_create(THREADS_ENGINE, MIB, BLOCK);
	int status;
	pid_t child;

	help_pattern(bytes, 8 * BLOCK, 5);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		if ((geteuid() == 0 && setresuid(65534, 65534, 65534) < 0) || setrlimit(RLIMIT_NPROC, &none) < 0)
			_exit(2);
		if (help_do(store, STORE_WRITE, 0, bytes, 8 * BLOCK) != 0 || help_do(store, STORE_SYNC, 0, NULL, 0) != 0)
			_exit(3);
		store->ops->close(store);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	help_file_has(0, bytes, 8 * BLOCK);
	store->ops->close(store);
	free(bytes);
}
END_TEST

static void
add_cases(Suite *suite)
{
	TCase *tcase = tcase_create("threads");

	tcase_add_checked_fixture(tcase, help_setup, help_teardown);
	tcase_add_test(tcase, test_sync_shared);
	tcase_add_test(tcase, test_sync_fails);
	tcase_add_test(tcase, test_threads_bounded);
	tcase_add_test(tcase, test_no_threads);
	suite_add_tcase(suite, tcase);
}

int
main(void)
{
	Suite *suite = suite_create("store threads");
	SRunner *runner = srunner_create(suite);
	int failed;

	add_cases(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
