// SPDX-License-Identifier: MIT
// Making and opening stores: what is on the disk afterwards, who is refused, and that each sentence names the store.
#include "store_help.h"

#include "store/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

// ---- Helpers and assertions ----

static const char *
metadata_path(void)
{
	static char path[PATH_MAX + 8];

	snprintf(path, sizeof(path), "%s.hvfs", help_path);
	return path;
}

static void
create(uint64_t size, uint32_t block_size)
{
	ck_assert_msg(store_create(help_path, size, block_size, help_error, sizeof(help_error)) == 0, "%s", help_error);
}

static void
assert_create_fails(uint64_t size, uint32_t block_size, const char *wanted)
{
	help_error[0] = '\0';
	ck_assert_int_eq(store_create(help_path, size, block_size, help_error, sizeof(help_error)), -1);
	ck_assert_msg(strstr(help_error, help_path) != NULL, "no path in: %s", help_error);
	ck_assert_msg(strstr(help_error, wanted) != NULL, "no \"%s\" in: %s", wanted, help_error);
}

// The epoch that an open gives.
static uint32_t
open_and_close(bool read_only)
{
	struct store *store = help_open(0, read_only);
	uint32_t epoch = store->epoch;

	store->ops->close(store);
	return epoch;
}

// All of a small file; returns its size.
static size_t
slurp(const char *path, char *bytes, size_t size_max)
{
	FILE *file = fopen(path, "re");
	size_t size;

	ck_assert_ptr_nonnull(file);
	size = fread(bytes, 1, size_max, file);
	fclose(file);
	return size;
}

static void
spill(const char *path, const char *bytes, size_t size)
{
	FILE *file = fopen(path, "we");

	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
	ck_assert_int_eq(fclose(file), 0);
}

enum { DESCRIPTORS = 64 };

// Which of the first descriptors are open; ${private}: and do not reach a program that we start.
static uint64_t
open_descriptors(bool private)
{
	uint64_t set = 0;

	for (int fd = 0; fd < DESCRIPTORS; fd++) {
		int flags = fcntl(fd, F_GETFD);

		if (flags != -1 && (!private || (flags & FD_CLOEXEC)))
			set |= UINT64_C(1) << fd;
	}
	return set;
}

// The open must fail in another process, as ${user} (0: as this one), with ${wanted} in the sentence.
static void
assert_refused_elsewhere(uid_t user, bool read_only, const char *wanted)
{
	int status;
	pid_t child = fork();

	ck_assert_int_ge(child, 0);
	if (child == 0) {
		struct store *store;
		bool right;

		if (user != 0 && setresuid(user, user, user) < 0)
			_exit(2);
		store = store_open(help_path, read_only, help_error, sizeof(help_error));
		right = store == NULL && strstr(help_error, wanted) != NULL && strstr(help_error, help_path) != NULL;
		if (!right)
			fprintf(stderr, "another process: %s\n", store != NULL ? "could open it" : help_error);
		_exit(right ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
}

// ---- Cases: create ----

// The file is the raw volume: its size, no bytes of ours, no room taken; nobody else may read it.
START_TEST(test_create)
{
	struct stat status;

	umask(0);
	create(1024 * MIB, 4096);
	ck_assert_int_eq(stat(help_path, &status), 0);
	ck_assert_int_eq(status.st_size, 1024 * MIB);
	ck_assert_int_le(status.st_blocks, 16);
	ck_assert_int_eq(status.st_mode & 0777, 0600);
	ck_assert_int_eq(stat(metadata_path(), &status), 0);
	ck_assert_int_eq(status.st_mode & 0777, 0600);
}
END_TEST

START_TEST(test_create_bad_values)
{
	assert_create_fails(MIB, 0, "block size 0 is");
	assert_create_fails(MIB, 256, "block size 256 is not a power of two from 512 to 32768");
	assert_create_fails(MIB, 65536, "65536");
	assert_create_fails(MIB, 4095, "4095");
	assert_create_fails(0, 4096, "size 0 is not from 4096");
	assert_create_fails(512, 4096, "size 512 is not from 4096");
	assert_create_fails(10000, 4096, "size 10000 is no multiple of the block size 4096: 8192");
	assert_create_fails(UINT64_C(512) << 48, 512, "size 144115188075855872 is not from 512 (one block) to 144115188075855360");
	assert_create_fails(UINT64_MAX / 4096 * 4096, 4096, "is not from 4096 (one block) to");
	ck_assert_int_eq(access(help_path, F_OK), -1);
	ck_assert_int_eq(access(metadata_path(), F_OK), -1);
}
END_TEST

START_TEST(test_create_exists)
{
	create(MIB, 4096);
	assert_create_fails(MIB, 4096, "exists already");
	ck_assert_uint_eq(open_and_close(false), 1);
	unlink(help_path);
	ck_assert_int_eq(symlink("nowhere", help_path), 0);
	assert_create_fails(MIB, 4096, "exists already");
}
END_TEST

// What cannot be finished leaves nothing: no directory, a size the file system does not have, a name with no room for
// the metadata's.
START_TEST(test_create_cleans_up)
{
	snprintf(help_path, sizeof(help_path), "%s/nowhere/disk.img", help_dir);
	assert_create_fails(MIB, 4096, strerror(ENOENT));
	snprintf(help_path, sizeof(help_path), "%s/%0250d", help_dir, 7);
	assert_create_fails(MIB, 4096, strerror(ENAMETOOLONG));
	ck_assert_int_eq(access(help_path, F_OK), -1);
	if (!help_mount("tmpfs", "size=1m,nr_inodes=2")) // the directory and one file
		return;
	snprintf(help_path, sizeof(help_path), "%s/disk.img", help_dir);
	assert_create_fails(MIB, 4096, strerror(ENOSPC));
	ck_assert_int_eq(access(help_path, F_OK), -1);
}
END_TEST

// A new volume in the place of an old one goes on with its epochs.
START_TEST(test_create_again)
{
	create(MIB, 4096);
	ck_assert_uint_eq(open_and_close(false), 1);
	ck_assert_uint_eq(open_and_close(false), 2);
	unlink(help_path);
	create(2 * MIB, 512);
	ck_assert_uint_eq(open_and_close(false), 3);
}
END_TEST

// ---- Cases: open ----

START_TEST(test_open)
{
	struct store *store;

	create(MIB, 32768);
	store = help_open(_i, false);
	ck_assert_uint_eq(store->size, MIB);
	ck_assert_uint_eq(store->block_size, 32768);
	ck_assert_uint_eq(store->epoch, 1);
	store->ops->close(store);
}
END_TEST

// Each open for writing has an epoch of its own; opens for reading raise nothing and give one that is valid.
START_TEST(test_epoch)
{
	create(MIB, 4096);
	ck_assert_uint_eq(open_and_close(true), 1);
	ck_assert_uint_eq(open_and_close(false), 1);
	ck_assert_uint_eq(open_and_close(false), 2);
	ck_assert_uint_eq(open_and_close(true), 2);
	ck_assert_uint_eq(open_and_close(false), 3);
}
END_TEST

// A node that serves several volumes has one epoch: a store that was served under a larger one goes on from that.
START_TEST(test_raise_epoch)
{
	struct store *store;

	create(MIB, 4096);
	store = help_open(0, false);
	ck_assert_int_eq(store_raise_epoch(store, 1, help_error, sizeof(help_error)), 0);
	ck_assert_int_eq(store_raise_epoch(store, 7, help_error, sizeof(help_error)), 0);
	ck_assert_uint_eq(store->epoch, 7);
	store->ops->close(store);
	ck_assert_uint_eq(open_and_close(true), 7);
	store = help_open(0, false);
	ck_assert_uint_eq(store->epoch, 8);
	ck_assert_uint_eq(store->size, MIB);
	ck_assert_uint_eq(store->block_size, 4096);
	store->ops->close(store);
	store = help_open(0, true); // changes nothing on the disk
	ck_assert_int_eq(store_raise_epoch(store, 99, help_error, sizeof(help_error)), 0);
	store->ops->close(store);
	ck_assert_uint_eq(open_and_close(false), 9);
}
END_TEST

// The metadata stays its owner's, whoever opens the store.
START_TEST(test_metadata_owner)
{
	struct stat status;

	create(MIB, 4096);
	if (geteuid() == 0)
		ck_assert_int_eq(chown(metadata_path(), 1234, 1235), 0);
	ck_assert_uint_eq(open_and_close(false), 1);
	ck_assert_int_eq(stat(metadata_path(), &status), 0);
	ck_assert_uint_eq(status.st_uid, geteuid() == 0 ? 1234 : geteuid());
	ck_assert_int_eq(status.st_mode & 0777, 0600);
}
END_TEST

// A root that died while it wrote the metadata leaves a part of the new one: it is not in the way.
START_TEST(test_open_after_crash)
{
	char path[PATH_MAX + 16];

	create(MIB, 4096);
	snprintf(path, sizeof(path), "%s.new", metadata_path());
	spill(path, "hvfs st", 7);
	ck_assert_uint_eq(open_and_close(false), 1);
	ck_assert_int_eq(access(path, F_OK), -1);
}
END_TEST

// By a symbolic link it is the same store with the same metadata.
START_TEST(test_open_link)
{
	char real[PATH_MAX];

	create(MIB, 4096);
	ck_assert_uint_eq(open_and_close(false), 1);
	strcpy(real, help_path);
	snprintf(help_path, sizeof(help_path), "%s/link", help_dir);
	ck_assert_int_eq(symlink(real, help_path), 0);
	ck_assert_uint_eq(open_and_close(false), 2);
}
END_TEST

START_TEST(test_open_missing)
{
	help_open_fails(false, "does not exist");
	ck_assert_int_eq(mkdir(help_path, 0700), 0);
	help_open_fails(false, "neither a file nor a block device");
	rmdir(help_path);
	ck_assert_int_eq(mkfifo(help_path, 0600), 0);
	help_open_fails(false, "neither a file nor a block device");
	unlink(help_path);
	spill(help_path, "some bytes", 10);
	help_open_fails(false, "is no hvfs store");
	help_open_fails(true, "hvfs create");
}
END_TEST

// A file that this user may not read. (In another process: root has to become somebody else for it.)
START_TEST(test_open_unreadable)
{
	create(MIB, 4096);
	ck_assert_int_eq(chmod(help_path, 0), 0);
	ck_assert_int_eq(chmod(help_dir, 0755), 0);
	if (geteuid() == 0)
		assert_refused_elsewhere(65534, true, strerror(EACCES));
	else
		help_open_fails(true, strerror(EACCES));
}
END_TEST

// One byte changed, anywhere, or an end missing, at any length: damaged, and the old record is not replaced.
START_TEST(test_open_damaged)
{
	char good[1024], bad[1024];
	size_t size;

	create(MIB, 4096);
	size = slurp(metadata_path(), good, sizeof(good));
	for (size_t i = 0; i < size; i++) {
		memcpy(bad, good, size);
		bad[i] ^= 1;
		spill(metadata_path(), bad, size);
		help_open_fails(false, "is damaged");
		spill(metadata_path(), good, i);
		help_open_fails(false, "is damaged");
	}
	memset(bad, 'x', sizeof(bad));
	spill(metadata_path(), bad, sizeof(bad));
	help_open_fails(true, "is damaged");
	memcpy(bad, good, size);
	bad[size] = '\n';
	spill(metadata_path(), bad, size + 1);
	help_open_fails(true, "is damaged");
	spill(metadata_path(), good, size);
	ck_assert_uint_eq(open_and_close(false), 1);
}
END_TEST

START_TEST(test_open_truncated)
{
	create(MIB, 4096);
	ck_assert_int_eq(truncate(help_path, MIB - 1), 0);
	help_open_fails(false, "is truncated: it has 1048575 bytes, its volume has 1048576");
	help_open_fails(true, "is truncated");
	ck_assert_int_eq(truncate(help_path, 0), 0);
	help_open_fails(false, "is truncated");
	ck_assert_int_eq(truncate(help_path, MIB + 1), 0);
	help_open_fails(false, "has grown");
	ck_assert_int_eq(truncate(help_path, MIB), 0);
	ck_assert_uint_eq(open_and_close(false), 1); // what was refused raised nothing
}
END_TEST

// Refused opens, and a closed store, leave no descriptor; those of an open one do not reach a program we start.
START_TEST(test_descriptors)
{
	uint64_t before = open_descriptors(false), ours;
	struct store *store;

	create(MIB, 4096);
	store = help_open(_i, false);
	ours = open_descriptors(false) & ~before;
	ck_assert_uint_ne(ours, 0);
	ck_assert_uint_eq(open_descriptors(true) & ours, ours);
	help_open_fails(false, "in use");
	store->ops->close(store);
	ck_assert_int_eq(truncate(help_path, 0), 0);
	help_open_fails(false, "truncated");
	ck_assert_uint_eq(open_descriptors(false), before);
}
END_TEST

START_TEST(test_engine_unknown)
{
	create(MIB, 4096);
	setenv("HVFS_STORE_ENGINE", "steam", 1);
	help_open_fails(false, "\"steam\"");
	setenv("HVFS_STORE_ENGINE", "", 1);
	struct store *store = store_open(help_path, false, help_error, sizeof(help_error));
	ck_assert_ptr_nonnull(store);
	ck_assert_str_eq(store->engine, help_engines[help_engine_count - 1]);
	store->ops->close(store);
}
END_TEST

// ---- Cases: lock ----

START_TEST(test_lock)
{
	char wanted[128];
	struct store *store;

	create(MIB, 4096);
	store = help_open(_i, false);
	snprintf(wanted, sizeof(wanted), "is in use by another root (pid %ld)", (long)getpid());
	assert_refused_elsewhere(0, false, wanted);
	assert_refused_elsewhere(0, true, "is in use");
	help_open_fails(false, wanted);
	store->ops->close(store);
	ck_assert_uint_eq(open_and_close(false), 2);
}
END_TEST

// Readers do not exclude each other, only a writer.
START_TEST(test_lock_shared)
{
	struct store *first, *second;

	create(MIB, 4096);
	first = help_open(_i, true);
	second = help_open(_i, true);
	assert_refused_elsewhere(0, false, "is in use");
	first->ops->close(first);
	assert_refused_elsewhere(0, false, "is in use");
	second->ops->close(second);
	ck_assert_uint_eq(open_and_close(false), 1);
}
END_TEST

// The lock goes with the last process that has it, not with the one that took it.
START_TEST(test_lock_of_daemon)
{
	int stop[2], status;
	pid_t child;
	char wanted[128];
	struct store *store;

	create(MIB, 4096);
	ck_assert_int_eq(pipe2(stop, O_CLOEXEC), 0);
	store = help_open(_i, false);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		char byte;

		close(stop[1]);
		_exit(read(stop[0], &byte, 1) == 0 ? 0 : 1);
	}
	store->ops->close(store);
	snprintf(wanted, sizeof(wanted), "(pid %ld)", (long)child);
	help_open_fails(false, wanted);
	close(stop[1]);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ck_assert_uint_eq(open_and_close(false), 2);
}
END_TEST

// A lock of a storage that is in no process any more, as of a root that was killed: here it is on its way through a socket.
START_TEST(test_lock_of_the_dead)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {.header = {.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))}};
	char x = 0;
	struct iovec byte = {&x, 1};
	struct msghdr message = {
		.msg_iov = &byte, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control.room)};
	int fd, pair[2];

	create(MIB, 4096);
	fd = open(help_path, O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(lock_take(fd, false), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	ck_assert_int_eq(sendmsg(pair[0], &message, 0), 1);
	close(fd);
	if (fork() == 0)
		_exit(0); // and with it the last end of the socket
	close(pair[0]);
	close(pair[1]);
	ck_assert_uint_eq(open_and_close(false), 1);
	ck_assert_int_gt(wait(NULL), 0);
}
END_TEST

// Somebody who died may have it a moment longer, until the system has ended what he had begun.
START_TEST(test_lock_is_waited_for)
{
	int first, second;

	ck_assert_int_eq(store_create(help_path, 1 << 20, 4096, help_error, sizeof(help_error)), 0);
	first = open(help_path, O_RDWR);
	second = open(help_path, O_RDWR);
	ck_assert_int_eq(lock_take(first, false), 0);
	ck_assert_int_eq(lock_take_within(second, false, 20), EAGAIN);
	if (fork() == 0) { // it has the first one's lock, too
		close(second);
		_exit(0);
	}
	close(first);
	ck_assert_int_eq(lock_take_within(second, false, 60000), 0);
	close(second);
	ck_assert_int_gt(wait(NULL), 0);
}
END_TEST

static void
add_create_cases(Suite *suite)
{
	TCase *tcase = tcase_create("create");

	tcase_add_checked_fixture(tcase, help_setup, help_teardown);
	tcase_add_test(tcase, test_create);
	tcase_add_test(tcase, test_create_bad_values);
	tcase_add_test(tcase, test_create_exists);
	tcase_add_test(tcase, test_create_cleans_up);
	tcase_add_test(tcase, test_create_again);
	suite_add_tcase(suite, tcase);
}

static void
add_open_cases(Suite *suite)
{
	TCase *tcase = tcase_create("open");

	tcase_add_checked_fixture(tcase, help_setup, help_teardown);
	tcase_add_loop_test(tcase, test_open, 0, help_engine_count);
	tcase_add_test(tcase, test_epoch);
	tcase_add_test(tcase, test_raise_epoch);
	tcase_add_test(tcase, test_metadata_owner);
	tcase_add_test(tcase, test_open_after_crash);
	tcase_add_test(tcase, test_open_link);
	tcase_add_test(tcase, test_open_missing);
	tcase_add_test(tcase, test_open_unreadable);
	tcase_add_test(tcase, test_open_damaged);
	tcase_add_test(tcase, test_open_truncated);
	tcase_add_loop_test(tcase, test_descriptors, 0, help_engine_count);
	tcase_add_test(tcase, test_engine_unknown);
	tcase_add_test(tcase, test_lock_of_the_dead);
	tcase_add_test(tcase, test_lock_is_waited_for);
	tcase_add_loop_test(tcase, test_lock, 0, help_engine_count);
	tcase_add_loop_test(tcase, test_lock_shared, 0, help_engine_count);
	tcase_add_loop_test(tcase, test_lock_of_daemon, 0, help_engine_count);
	suite_add_tcase(suite, tcase);
}

int
main(void)
{
	Suite *suite = suite_create("store");
	SRunner *runner = srunner_create(suite);
	int failed;

	help_find_engines();
	add_create_cases(suite);
	add_open_cases(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
