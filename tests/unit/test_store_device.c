// SPDX-License-Identifier: MIT
// A store on a block device: a loop device on a file of the test. Passes without a look where that is not permitted.
#include "store_help.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { DEVICE_SIZE = 8 << 20, BLOCK = 4096 };

static char state_dir[PATH_MAX];
static char backing_path[PATH_MAX];
static int device_fd;

// A loop device that goes away with its last descriptor; its path becomes help_path.
static bool
attach(void)
{
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int backing = open(backing_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	bool attached = false;

	// Somebody else may take the free one before us: try the next.
	for (int tries = 0; control >= 0 && backing >= 0 && tries < 16 && !attached; tries++) {
		struct loop_config config = {.fd = (uint32_t)backing, .info = {.lo_flags = LO_FLAGS_AUTOCLEAR}};
		int number = ioctl(control, LOOP_CTL_GET_FREE);

		ck_assert_int_eq(ftruncate(backing, DEVICE_SIZE), 0);
		snprintf(help_path, sizeof(help_path), "/dev/loop%d", number);
		device_fd = open(help_path, O_RDWR | O_CLOEXEC);
		if (device_fd < 0)
			break;
		attached = ioctl(device_fd, LOOP_CONFIGURE, &config) == 0;
		if (!attached)
			close(device_fd);
	}
	close(control);
	close(backing);
	return attached;
}

static bool
setup_device(void)
{
	help_setup();
	snprintf(backing_path, sizeof(backing_path), "%s/backing", help_dir);
	snprintf(state_dir, sizeof(state_dir), "%s/deep/state", help_dir);
	setenv("HVFS_STATE_DIR", state_dir, 1);
	if (attach())
		return true;
	fprintf(stderr, "block devices are not tested here: no loop device\n");
	help_teardown();
	return false;
}

static void
teardown_device(void)
{
	close(device_fd);
	help_teardown();
}

static void
assert_create_fails(uint64_t size, const char *wanted)
{
	ck_assert_int_eq(store_create(help_path, size, BLOCK, help_error, sizeof(help_error)), -1);
	ck_assert_msg(strstr(help_error, help_path) != NULL, "no path in: %s", help_error);
	ck_assert_msg(strstr(help_error, wanted) != NULL, "no \"%s\" in: %s", wanted, help_error);
}

// How many files the state directory has.
static int
count_state_files(void)
{
	DIR *dir = opendir(state_dir);
	struct dirent *entry;
	int count = 0;

	ck_assert_ptr_nonnull(dir);
	while ((entry = readdir(dir)) != NULL)
		count += entry->d_name[0] != '.';
	closedir(dir);
	return count;
}

// The whole device, by size 0; its metadata is in the state directory; a second volume on it is refused, so is one that
// it has no room for.
START_TEST(test_create)
{
	struct store *store;

	if (!setup_device())
		return;
	help_open_fails(false, "is no hvfs store");
	assert_create_fails(DEVICE_SIZE + BLOCK, "less than the size");
	assert_create_fails(BLOCK + 512, "no multiple");
	store = help_create(_i, 0, BLOCK);
	ck_assert_uint_eq(store->size, DEVICE_SIZE);
	ck_assert_uint_eq(store->epoch, 1);
	ck_assert_int_eq(count_state_files(), 3); // and its version log
	help_open_fails(false, "in use");
	help_open_fails(true, "in use");
	store->ops->close(store);
	assert_create_fails(0, "is an hvfs store already");
	store = help_open(_i, true);
	ck_assert_uint_eq(store->epoch, 1);
	store->ops->close(store);
	teardown_device();
}
END_TEST

// A device that the system itself uses, as a mount does.
START_TEST(test_claimed)
{
	struct store *store;
	int claim;

	if (!setup_device())
		return;
	claim = open(help_path, O_RDWR | O_EXCL | O_CLOEXEC);
	ck_assert_int_ge(claim, 0);
	assert_create_fails(0, "in use by this system");
	close(claim);
	store = help_create(_i, 0, BLOCK);
	store->ops->close(store);
	claim = open(help_path, O_RDWR | O_EXCL | O_CLOEXEC);
	ck_assert_int_ge(claim, 0);
	help_open_fails(false, "in use by this system");
	close(claim);
	teardown_device();
}
END_TEST

// Bytes that were there stay; a volume may be smaller than its device.
START_TEST(test_keeps_bytes)
{
	uint8_t written[BLOCK], found[BLOCK];
	struct store *store;

	if (!setup_device())
		return;
	help_pattern(written, BLOCK, 1);
	ck_assert_int_eq(pwrite(device_fd, written, BLOCK, 3 * BLOCK), BLOCK);
	store = help_create(_i, 4 * BLOCK, BLOCK);
	ck_assert_uint_eq(store->size, 4 * BLOCK);
	ck_assert_int_eq(help_do(store, STORE_READ, 3 * BLOCK, found, BLOCK), 0);
	ck_assert_int_eq(memcmp(found, written, BLOCK), 0);
	ck_assert_int_eq(help_do(store, STORE_READ, 4 * BLOCK, found, BLOCK), EINVAL);
	ck_assert_uint_eq(store->ops->seek(store, BLOCK, true), BLOCK);
	ck_assert_uint_eq(store->ops->seek(store, BLOCK, false), 4 * BLOCK);
	store->ops->close(store);
	teardown_device();
}
END_TEST

START_TEST(test_write_and_zero)
{
	uint8_t *written = malloc(MIB), *found = malloc(MIB);
	struct store *store;

	ck_assert(written != NULL && found != NULL);
	if (setup_device()) {
		store = help_create(_i, 0, 512);
		help_pattern(written, MIB, 2);
		ck_assert_int_eq(help_do(store, STORE_WRITE, 512, written, MIB), 0);
		ck_assert_int_eq(help_do(store, STORE_ZERO, 1024, NULL, MIB / 2), 0);
		ck_assert_int_eq(help_do(store, STORE_SYNC, 0, NULL, 0), 0);
		memset(written + 512, 0, MIB / 2);
		ck_assert_int_eq(help_do(store, STORE_READ, 512, found, MIB), 0);
		ck_assert_int_eq(memcmp(found, written, MIB), 0);
		store->ops->close(store);
		teardown_device();
	}
	free(written);
	free(found);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("store device");
	TCase *tcase = tcase_create("loop device");
	SRunner *runner = srunner_create(suite);
	int failed;

	help_find_engines();
	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, test_create, 0, help_engine_count);
	tcase_add_loop_test(tcase, test_claimed, 0, help_engine_count);
	tcase_add_loop_test(tcase, test_keeps_bytes, 0, help_engine_count);
	tcase_add_loop_test(tcase, test_write_and_zero, 0, help_engine_count);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
