// SPDX-License-Identifier: MIT
// The version log through the store: what the next root is told when the one before died, when a sync failed, when the
// disk was full, when the log has grown too long.
#include "store/version_log.h"
#include "store_help.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { BLOCK = 4096, LEASE_MS = 1000, RUN = 2048 };

// ---- Helpers ----

// What makes this file durable fails once; 0: none does. (The threads engine calls these.)
static ino_t failing;

static bool
fails(int fd)
{
	struct stat status;

	if (failing == 0 || fstat(fd, &status) < 0 || status.st_ino != failing)
		return false;
	failing = 0;
	errno = EIO;
	return true;
}

int
fdatasync(int fd)
{
	return fails(fd) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

ssize_t
pwritev2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
	if ((flags & RWF_DSYNC) != 0 && fails(fd))
		return -1;
	return syscall(SYS_pwritev2, fd, iov, count, offset, 0, flags);
}

static ino_t
inode(const char *suffix)
{
	char path[PATH_MAX + 16];
	struct stat status;

	snprintf(path, sizeof(path), "%s%s", help_path, suffix);
	ck_assert_int_eq(stat(path, &status), 0);
	return status.st_ino;
}

static bool
exists(const char *suffix)
{
	char path[PATH_MAX + 16];

	snprintf(path, sizeof(path), "%s%s", help_path, suffix);
	return access(path, F_OK) == 0;
}

static struct store *
serve(struct store *store)
{
	ck_assert_msg(store_set_lease(store, LEASE_MS, help_error, sizeof(help_error)) == 0, "%s", help_error);
	return store;
}

// The root dies, and the next one begins.
static struct store *
die(struct store *store, int engine)
{
	store->ops->close(store);
	store = help_open(engine, false);
	ck_assert(!store->clean_before);
	return store;
}

// Write, or zero, ${count} blocks with versions from ${version} on. Returns the errno value.
static int
put(struct store *store, enum store_op op, uint64_t block, uint32_t count, version_t version)
{
	static uint8_t bytes[BLOCK];
	static version_t versions[RUN];

	for (uint32_t i = 0; i < count; i++)
		versions[i] = version + i;
	return help_do_versions(store, op, block * BLOCK, bytes, (uint64_t)count * BLOCK, versions);
}

static void
put_well(struct store *store, uint64_t block, version_t version)
{
	ck_assert_int_eq(put(store, STORE_WRITE, block, 1, version), 0);
}

static int
sync_store(struct store *store)
{
	return help_do(store, STORE_SYNC, 0, NULL, 0);
}

static void
expect(const struct store *store, uint64_t block, version_t low, version_t high)
{
	const struct stored_versions *told = store->versions;
	struct stored_version is = {block, 0, told->complete ? 0 : VERSION_MAX};

	for (size_t i = 0; i < told->count; i++)
		if (told->list[i].block == block)
			is = told->list[i];
	ck_assert_uint_eq(is.low, low);
	ck_assert_uint_eq(is.high, high);
}

// ---- Cases ----

// What was synced is known, what was only written is not; also zeros; also after a second death.
START_TEST(test_died)
{
	struct store *store = serve(help_create(_i, MIB, BLOCK));

	ck_assert(store->clean_before && store->versions->complete);
	put_well(store, 7, 1);
	put_well(store, 7, 2);
	ck_assert_int_eq(put(store, STORE_ZERO, 20, 3, 100), 0);
	ck_assert_int_eq(sync_store(store), 0);
	put_well(store, 7, 3);
	put_well(store, 8, 3);
	for (int i = 0; i < 2; i++) {
		store = serve(die(store, _i));
		ck_assert(store->versions->complete);
		expect(store, 7, 2, 2);
		expect(store, 8, 0, 0);
		expect(store, 20, 100, 100);
		expect(store, 22, 102, 102);
		expect(store, 23, 0, 0);
	}
	put_well(store, 7, 9);
	ck_assert_int_eq(sync_store(store), 0);
	store = die(store, _i);
	expect(store, 7, 9, 9);
	expect(store, 20, 100, 100);
	store_forget_versions(store);
	ck_assert_uint_eq(store->versions->count, 0);
	store->ops->close(store);
}
END_TEST

// Left in order: there is no log, and the next one begins with nothing.
START_TEST(test_left_in_order)
{
	struct store *store = serve(help_create(_i, MIB, BLOCK));

	put_well(store, 7, 1);
	ck_assert_int_eq(sync_store(store), 0);
	ck_assert(exists(".hvfs.versions0"));
	ck_assert_int_eq(store_set_clean(store), 0);
	store->ops->close(store);
	ck_assert(!exists(".hvfs.versions0") && !exists(".hvfs.versions1"));
	store = serve(help_open(_i, false));
	ck_assert(store->clean_before && store->versions->complete);
	ck_assert_uint_eq(store->versions->count, 0);
	store = die(store, _i);
	ck_assert(store->versions->complete);
	expect(store, 7, 0, 0);
	store->ops->close(store);
}
END_TEST

// The log is gone: nothing is known of what was before, and that stays so.
START_TEST(test_lost)
{
	struct store *store = serve(help_create(_i, MIB, BLOCK));
	char path[PATH_MAX + 16];

	put_well(store, 7, 1);
	ck_assert_int_eq(sync_store(store), 0);
	store->ops->close(store);
	snprintf(path, sizeof(path), "%s.hvfs.versions0", help_path);
	ck_assert_int_eq(unlink(path), 0);
	store = serve(help_open(_i, false));
	ck_assert(!store->versions->complete);
	ck_assert_str_eq(store->versions->why, "there is none");
	put_well(store, 8, 2);
	ck_assert_int_eq(sync_store(store), 0);
	store = die(store, _i);
	expect(store, 7, 0, VERSION_MAX);
	expect(store, 8, 2, 2);
	store->ops->close(store);
}
END_TEST

// A node of several volumes: the epoch is raised after the open.
START_TEST(test_epoch)
{
	struct store *store = help_create(_i, MIB, BLOCK);

	ck_assert_int_eq(store_raise_epoch(store, 9, help_error, sizeof(help_error)), 0);
	serve(store);
	put_well(store, 7, 1);
	ck_assert_int_eq(sync_store(store), 0);
	store = die(store, _i);
	ck_assert(store->versions->complete);
	expect(store, 7, 1, 1);
	store->ops->close(store);
}
END_TEST

enum { DATA_FAILS, LOG_WRITE_FAILS, LOG_SYNC_FAILS, WAYS_TO_FAIL };

// A sync of the storage that fails promises nothing, and the log does not say that it did. One of the log fails the
// barrier as well. Both until the store is opened again.
START_TEST(test_sync_fails)
{
	struct store *store = serve(help_create(0, 16 * MIB, BLOCK));

	put_well(store, 7, 1);
	ck_assert_int_eq(sync_store(store), 0);
	put_well(store, 7, 2);
	for (int i = 0; i < 10 && _i == LOG_SYNC_FAILS; i++) // more than is written at once
		ck_assert_int_eq(put(store, STORE_ZERO, 8, RUN, 1000), 0);
	failing = inode(_i == DATA_FAILS ? "" : ".hvfs.versions0");
	ck_assert_int_eq(sync_store(store), EIO);
	ck_assert_int_eq(failing, 0);
	put_well(store, 7, 3);
	ck_assert_int_eq(sync_store(store), EIO);
	store = serve(die(store, 0));
	ck_assert(store->versions->complete);
	expect(store, 7, 1, 1);
	put_well(store, 7, 4);
	ck_assert_int_eq(sync_store(store), 0);
	store = die(store, 0);
	expect(store, 7, 4, 4);
	store->ops->close(store);
}
END_TEST

// A storage that can not be synced when it is opened is not served, and its log says nothing any more.
START_TEST(test_open_fails)
{
	struct store *store = serve(help_create(0, MIB, BLOCK));

	put_well(store, 7, 1);
	ck_assert_int_eq(sync_store(store), 0);
	store->ops->close(store);
	failing = inode("");
	help_open_fails(false, "can not be synced");
	store = help_open(0, false);
	ck_assert(!store->versions->complete && store->versions->count == 0);
	store->ops->close(store);
}
END_TEST

// Take all the room that is left at help_path.
static void
fill_disk(const char *path)
{
	static uint8_t bytes[BLOCK];
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	while (write(fd, bytes, sizeof(bytes)) > 0)
		;
	ck_assert_int_eq(errno, ENOSPC);
	close(fd);
}

// A full disk fails the barrier; when there is room again it succeeds, and nothing was forgotten.
START_TEST(test_disk_full)
{
	char filler[PATH_MAX + 8];
	struct store *store;

	if (!help_mount("tmpfs", "size=2m"))
		return;
	snprintf(filler, sizeof(filler), "%s.filler", help_path);
	store = serve(help_create(_i, MIB, BLOCK));
	for (uint64_t block = 0; block < 256; block++) // the log's first page is full then
		put_well(store, block, block + 1);
	fill_disk(filler);
	ck_assert_int_eq(sync_store(store), ENOSPC);
	put_well(store, 7, 1000);
	ck_assert_int_eq(sync_store(store), ENOSPC);
	unlink(filler);
	put_well(store, 8, 1001);
	ck_assert_int_eq(sync_store(store), 0);
	store = serve(die(store, _i));
	ck_assert(store->versions->complete);
	expect(store, 6, 7, 7);
	expect(store, 7, 1000, 1000);
	expect(store, 8, 1001, 1001);
	ck_assert_int_eq(sync_store(store), 0);
	store->ops->close(store);
}
END_TEST

// The disk is full, and there is no room for more records in memory: writes fail, and go well again later.
START_TEST(test_disk_full_for_long)
{
	char filler[PATH_MAX + 8];
	struct store *store;
	int result = 0;

	if (!help_mount("tmpfs", "size=2m"))
		return;
	snprintf(filler, sizeof(filler), "%s.filler", help_path);
	store = serve(help_create(_i, 16 * MIB, BLOCK));
	fill_disk(filler);
	for (int i = 0; i < 20 && result == 0; i++)
		result = put(store, STORE_ZERO, 0, RUN, (version_t)i * RUN + 1);
	ck_assert_int_eq(result, ENOSPC);
	ck_assert_int_eq(sync_store(store), ENOSPC);
	unlink(filler);
	ck_assert_int_eq(put(store, STORE_ZERO, 0, RUN, 1000000), 0);
	ck_assert_int_eq(sync_store(store), 0);
	store = die(store, _i);
	ck_assert(store->versions->complete);
	expect(store, 0, 1000000, 1000000);
	expect(store, RUN - 1, 1000000 + RUN - 1, 1000000 + RUN - 1);
	store->ops->close(store);
}
END_TEST

// The log takes turns between its files: after the second turn it does not tell of all blocks any more.
START_TEST(test_turns)
{
	struct store *store = serve(help_create(_i, 64 * MIB, BLOCK));
	uint32_t runs = VERSION_LOG_FILE_SIZE_MAX / (RUN * VERSION_LOG_RECORD_SIZE) + 1;
	struct stat status;
	char path[PATH_MAX + 16];

	put_well(store, 8000, 5);
	for (int turn = 1; turn <= 2; turn++) {
		for (uint32_t i = 0; i < runs; i++) {
			ck_assert_int_eq(put(store, STORE_ZERO, 0, RUN, ((version_t)turn << 32) + (version_t)i * RUN), 0);
			if (i % 64 == 0 || i + 1 == runs)
				ck_assert_int_eq(sync_store(store), 0);
		}
		put_well(store, 7000, (version_t)turn);
		ck_assert_int_eq(sync_store(store), 0);
		store = serve(die(store, _i));
		expect(store, 8000, turn == 1 ? 5 : 0, turn == 1 ? 5 : VERSION_MAX);
		expect(store, 7000, (version_t)turn, (version_t)turn);
		expect(store, 3, ((version_t)turn << 32) + (version_t)(runs - 1) * RUN + 3,
		       ((version_t)turn << 32) + (version_t)(runs - 1) * RUN + 3);
	}
	for (int i = 0; i < VERSION_LOG_FILES; i++) {
		snprintf(path, sizeof(path), "%s.hvfs.versions%d", help_path, i);
		ck_assert_int_eq(stat(path, &status), 0);
		ck_assert_int_le(status.st_size, VERSION_LOG_FILE_SIZE_MAX + (int)(4 * MIB));
	}
	store->ops->close(store);
}
END_TEST

static void
add_cases(Suite *suite)
{
	TCase *tcase = tcase_create("versions");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, help_setup, help_teardown);
	tcase_add_loop_test(tcase, test_died, 0, help_engine_count);
	tcase_add_loop_test(tcase, test_left_in_order, 0, help_engine_count);
	tcase_add_loop_test(tcase, test_lost, 0, help_engine_count);
	tcase_add_loop_test(tcase, test_epoch, 0, help_engine_count);
	tcase_add_loop_test(tcase, test_sync_fails, 0, WAYS_TO_FAIL);
	tcase_add_test(tcase, test_open_fails);
	tcase_add_loop_test(tcase, test_disk_full, 0, help_engine_count);
	tcase_add_loop_test(tcase, test_disk_full_for_long, 0, help_engine_count);
	tcase_add_loop_test(tcase, test_turns, 0, help_engine_count);
	suite_add_tcase(suite, tcase);
}

int
main(void)
{
	Suite *suite = suite_create("store versions");
	SRunner *runner;
	int failed;

	help_find_engines();
	add_cases(suite);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
