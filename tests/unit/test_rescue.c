// SPDX-License-Identifier: MIT
// Rescue files: what is in them, that a user can put it back with the tools named in them, and what can go wrong.
#include "node/rescue_file.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK = 4096, VOLUME_SIZE = 1 << 20 };

static char directory[] = "/tmp/hvfs-rescue-XXXXXX";
static char inside[64];

static void
setup(void)
{
	memcpy(directory + strlen(directory) - 6, "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(inside, sizeof(inside), "%s/state/rescue", directory);
	umask(0);
}

static int
remove_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
	return remove(path);
}

static void
teardown(void)
{
	nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void
add(struct rescue_file *file, uint64_t block, char byte, version_t version)
{
	char bytes[BLOCK];

	memset(bytes, byte, sizeof(bytes));
	ck_assert_int_eq(rescue_file_add(file, block * BLOCK, bytes, BLOCK, version), 0);
}

static void
check_block(const char *path, uint64_t block, char byte)
{
	char bytes[BLOCK], wanted[BLOCK];
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	memset(wanted, byte, sizeof(wanted));
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pread(fd, bytes, BLOCK, (off_t)(block * BLOCK)), BLOCK);
	ck_assert_int_eq(memcmp(bytes, wanted, BLOCK), 0);
	close(fd);
}

static const char *
with_suffix(const struct rescue_file *file, const char *suffix)
{
	static char paths[4][PATH_MAX + 8];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s%s", file->path, suffix);
	return path;
}

// Nobody else may read them; the image is as large as the volume and takes no more room than its blocks.
START_TEST(test_files)
{
	struct rescue_file file;
	struct stat status;
	char text[4096] = "";
	FILE *map;

	ck_assert_int_eq(rescue_file_create(&file, inside, "node", "vol", VOLUME_SIZE), 0);
	add(&file, 3, 'a', version_make(5, 7));
	add(&file, 200, 'b', version_make(5, 8));
	ck_assert_int_eq(rescue_file_sync(&file), 0);
	rescue_file_close(&file);
	ck_assert_int_eq(stat(inside, &status), 0);
	ck_assert_int_eq(status.st_mode & 0777, 0700);
	ck_assert_int_eq(stat(with_suffix(&file, ".map"), &status), 0);
	ck_assert_int_eq(status.st_mode & 0777, 0600);
	ck_assert_int_eq(stat(with_suffix(&file, ".img"), &status), 0);
	ck_assert_int_eq(status.st_mode & 0777, 0600);
	ck_assert_int_eq(status.st_size, VOLUME_SIZE);
	ck_assert_int_le(status.st_blocks, 64);
	check_block(with_suffix(&file, ".img"), 3, 'a');
	check_block(with_suffix(&file, ".img"), 4, 0);
	check_block(with_suffix(&file, ".img"), 200, 'b');
	map = fopen(with_suffix(&file, ".map"), "re");
	ck_assert_ptr_nonnull(map);
	ck_assert_uint_gt(fread(text, 1, sizeof(text) - 1, map), 0);
	fclose(map);
	ck_assert_ptr_nonnull(strstr(text, "\n12288 4096 5.7\n819200 4096 5.8\n"));
	ck_assert_ptr_nonnull(strstr(text, "volume vol"));
	ck_assert_ptr_nonnull(strstr(strrchr(file.path, '/'), "/node-vol-2"));
}
END_TEST

// The commands in the map, run as they stand there, put back these blocks and no others.
START_TEST(test_put_back)
{
	struct rescue_file file;
	char volume[100], command[2 * PATH_MAX];
	FILE *image;

	ck_assert_int_eq(rescue_file_create(&file, inside, "node", "vol", VOLUME_SIZE), 0);
	add(&file, 3, 'a', 1);
	add(&file, 3, 'b', 2);
	add(&file, 17, 0, 3);
	ck_assert_int_eq(rescue_file_sync(&file), 0);
	rescue_file_close(&file);
	snprintf(volume, sizeof(volume), "%s/VOLUME.img", inside);
	image = fopen(volume, "we");
	ck_assert_ptr_nonnull(image);
	for (int i = 0; i < 20 * BLOCK; i++)
		fputc('x', image);
	fclose(image);
	snprintf(command, sizeof(command), "cd %s && sed -n 's/^#   //p' %s >run && sh -e run 2>/dev/null", inside,
		 with_suffix(&file, ".map"));
	ck_assert_int_eq(system(command), 0);
	check_block(volume, 3, 'b');
	check_block(volume, 17, 0);
	for (uint64_t i = 0; i < 20; i++)
		if (i != 3 && i != 17)
			check_block(volume, i, 'x');
}
END_TEST

// Several in the same second, and names that are longer than a file's may be.
START_TEST(test_names)
{
	struct rescue_file files[3];
	char node[256], volume[252];

	memset(node, 'n', sizeof(node));
	memset(volume, 'v', sizeof(volume));
	node[255] = volume[251] = '\0';
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(rescue_file_create(&files[i], inside, node, volume, VOLUME_SIZE), 0);
		for (int j = 0; j < i; j++)
			ck_assert_str_ne(files[i].path, files[j].path);
	}
	for (int i = 0; i < 3; i++)
		rescue_file_close(&files[i]);
}
END_TEST

START_TEST(test_fails)
{
	struct rescue_file file;
	char link[100];

	ck_assert_int_eq(rescue_file_create(&file, "/proc/none", "n", "v", VOLUME_SIZE), ENOENT);
	snprintf(link, sizeof(link), "%s/file", directory);
	ck_assert_int_eq(creat(link, 0600) >= 0, 1);
	ck_assert_int_eq(rescue_file_create(&file, link, "n", "v", VOLUME_SIZE), ENOTDIR);
	ck_assert_int_eq(rescue_file_create(&file, inside, "n", "v", VOLUME_SIZE), 0);
	close(file.image_fd);
	file.image_fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	ck_assert_int_eq(rescue_file_add(&file, 0, "x", 1, 1), ENOSPC);
	rescue_file_close(&file);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("rescue");
	TCase *tcase = tcase_create("files");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_files);
	tcase_add_test(tcase, test_put_back);
	tcase_add_test(tcase, test_names);
	tcase_add_test(tcase, test_fails);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
