// SPDX-License-Identifier: MIT
// What a root knows of its sealed blocks is found again, as far as a sync has made it true.
#include "node/sealed_root.h"
#include "node/sealing_rules.h"
#include "store/store.h"
#include "tests/unit/seal_help.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCKS = 20000 };

static char directory[] = "/tmp/test_sealed_root.XXXXXX", spec[64], path[96], error[512];
static struct volume_key *key;
static struct sealed_root *root;

static void
reopen(void)
{
	sealed_root_close(root);
	root = sealed_root_open(spec, BLOCKS, key, REST_PLAIN, false, error, sizeof(error));
	ck_assert_msg(root != NULL, "%s", error);
}

static void
setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(spec, sizeof(spec), "%s/v.img", directory);
	snprintf(path, sizeof(path), "%s.hvfs.seals", spec);
	close(open(spec, O_CREAT | O_WRONLY, 0600));
	key = seal_help_key(1, VOLUME_ROLE_OWNER, 1);
	root = NULL;
	reopen();
}

static void
teardown(void)
{
	sealed_root_close(root);
	volume_key_destroy(key);
	unlink(path);
	unlink(spec);
	rmdir(directory);
}

static void
wrote(uint64_t block, version_t sealed, version_t protocol)
{
	sealed_root_wrote(root, block, &(struct sealed_entry){sealed, protocol, {0}});
	sealed_root_stored(root, block, 1);
}

static void
check_is(uint64_t block, version_t sealed, version_t protocol)
{
	struct sealed_entry filed, entry;

	ck_assert_int_eq(sealed_root_read(root, block, 1, &filed), 0);
	entry = sealed_root_find(root, block, &filed);
	ck_assert_uint_eq(entry.sealed, sealed);
	ck_assert_uint_eq(entry.protocol, protocol);
}

static void
sync_all(bool ok)
{
	sealed_root_begin(root);
	if (ok)
		ck_assert_int_eq(sealed_root_save(root), 0);
	sealed_root_end(root, ok);
}

// What was written is known at once; after a crash what was written before the last sync began.
START_TEST(what_was_synced_stays)
{
	wrote(3, 10, 11);
	wrote(BLOCKS - 1, 20, 20);
	check_is(3, 10, 11);
	sealed_root_begin(root);
	wrote(3, 12, 12); // belongs to the next sync
	check_is(3, 12, 12);
	check_is(BLOCKS - 1, 20, 20);
	ck_assert_int_eq(sealed_root_save(root), 0);
	sealed_root_end(root, true);
	check_is(3, 12, 12);
	ck_assert_uint_eq(sealed_root_unsaved(root), 1);
	reopen();
	check_is(3, 10, 11);
	check_is(BLOCKS - 1, 20, 20);
	check_is(4, 0, 0);
	ck_assert_uint_eq(sealed_root_unsaved(root), 0);
}
END_TEST

// What is still being written when a sync begins is known, but not covered by it.
START_TEST(still_being_written)
{
	wrote(1, 1, 1);
	sealed_root_wrote(root, 1, &(struct sealed_entry){2, 2, {0}});
	check_is(1, 2, 2);
	sync_all(true);
	ck_assert_uint_eq(sealed_root_saves(root), 1);
	check_is(1, 2, 2);
	sealed_root_stored(root, 0, 4);
	check_is(1, 2, 2);
	reopen();
	check_is(1, 1, 1);
	sealed_root_wrote(root, 1, &(struct sealed_entry){2, 2, {0}});
	sealed_root_stored(root, 1, 1);
	sync_all(true);
	reopen();
	check_is(1, 2, 2);
}
END_TEST

// A sync that failed: nothing is in the file that may not be on the storage, and nothing newer is lost for older.
START_TEST(a_sync_fails)
{
	wrote(1, 1, 1);
	wrote(2, 1, 1);
	sealed_root_begin(root);
	wrote(2, 2, 2);
	sealed_root_end(root, false);
	check_is(1, 1, 1);
	check_is(2, 2, 2);
	ck_assert_uint_eq(sealed_root_unsaved(root), 2);
	sync_all(true);
	reopen();
	check_is(1, 1, 1);
	check_is(2, 2, 2);
}
END_TEST

// Runs of any length and any order arrive where they belong.
START_TEST(many_blocks)
{
	static struct sealed_entry all[BLOCKS];

	for (uint64_t i = 0; i < BLOCKS; i++) {
		uint64_t block = i * 7919 % BLOCKS;

		if (block % 5000 > 2)
			wrote(block, block + 1, block + 2);
	}
	ck_assert_int_eq(sealed_root_finish(root), 0);
	reopen();
	ck_assert_int_eq(sealed_root_read(root, 0, BLOCKS, all), 0);
	for (uint64_t i = 0; i < BLOCKS; i++)
		ck_assert_uint_eq(all[i].sealed, i % 5000 > 2 ? i + 1 : 0);
}
END_TEST

// The file of another volume, or one that is damaged, is not taken, and not changed.
START_TEST(foreign_files)
{
	struct volume_key *other = seal_help_key(2, VOLUME_ROLE_OWNER, 1);
	int fd;

	ck_assert_ptr_null(sealed_root_open(spec, BLOCKS, other, REST_PLAIN, false, error, sizeof(error)));
	ck_assert_ptr_nonnull(strstr(error, path));
	ck_assert_ptr_null(sealed_root_open(spec, BLOCKS + 1, key, REST_PLAIN, false, error, sizeof(error)));
	volume_key_destroy(other);
	reopen();
	fd = open(path, O_WRONLY);
	ck_assert_int_eq(pwrite(fd, "x", 1, 100), 1);
	close(fd);
	ck_assert_ptr_null(sealed_root_open(spec, BLOCKS, key, REST_PLAIN, false, error, sizeof(error)));
}
END_TEST

// Which content it is stays, too, in memory and in the file.
START_TEST(digests_stay)
{
	struct sealed_entry wrote = {7, 8, {1, 2, 3}}, filed, entry;

	wrote.digest[SEAL_DIGEST_SIZE - 1] = 16;
	sealed_root_wrote(root, 5, &wrote);
	ck_assert_int_eq(sealed_root_read(root, 5, 1, &filed), 0);
	entry = sealed_root_find(root, 5, &filed);
	ck_assert_mem_eq(entry.digest, wrote.digest, SEAL_DIGEST_SIZE);
	sealed_root_stored(root, 5, 1);
	sync_all(true);
	reopen();
	check_is(5, 7, 8);
	check_is(4, 0, 0);
	check_is(6, 0, 0);
	ck_assert_int_eq(sealed_root_read(root, 5, 1, &filed), 0);
	ck_assert_mem_eq(filed.digest, wrote.digest, SEAL_DIGEST_SIZE);
}
END_TEST

// A file of before there were digests is refused, whole, and the sentence says what it is; it is not changed.
START_TEST(older_files)
{
	uint8_t page[16], again[16];
	int fd = open(path, O_RDWR);

	ck_assert_int_eq(pread(fd, page, sizeof(page), 0), sizeof(page));
	page[15] = (uint8_t)(_i + 1);
	ck_assert_int_eq(pwrite(fd, page, sizeof(page), 0), sizeof(page));
	ck_assert_int_eq(sealed_root_form(spec), _i == 0 ? REST_PLAIN : REST_SEALED);
	ck_assert_ptr_null(sealed_root_open(spec, BLOCKS, key, sealed_root_form(spec), false, error, sizeof(error)));
	ck_assert_ptr_nonnull(strstr(error, "was made by an earlier hvfs"));
	ck_assert_int_eq(pread(fd, again, sizeof(again), 0), sizeof(again));
	ck_assert_mem_eq(page, again, sizeof(page));
	close(fd);
}
END_TEST

// ---- What may take its place (node/sealing_rules.h) ----

static bool
is_old(version_t sealed, version_t told, uint8_t digest, const struct sealed_entry *known, bool on_storage)
{
	return sealing_is_old(&(struct sealed_entry){sealed, told, {digest}}, known, on_storage, NULL, 0);
}

START_TEST(one_content_of_a_version)
{
	const struct sealed_entry known = {5, 5, {1}}, raised = {5, 9, {1}}, unknown = {5, 5, {0}}, older = {3, 3, {1}};

	ck_assert(!is_old(5, 5, 1, &known, false)); // it comes again
	ck_assert(is_old(5, 5, 2, &known, false));  // another one
	ck_assert(is_old(5, 7, 2, &known, false));  // as whatever it is told
	ck_assert(!is_old(6, 6, 2, &known, false)); // a later one
	ck_assert(is_old(4, 5, 1, &known, false));  // an older one
	ck_assert(!is_old(5, 4, 2, &known, false)); // that the protocol refuses by its number
	ck_assert(!is_old(5, 5, 2, NULL, false));   // not at a root
	ck_assert(!is_old(5, 5, 2, &unknown, false));
	ck_assert(is_old(9, 9, 2, &raised, false)); // a number that what is there was given
	ck_assert(!is_old(5, 9, 1, &raised, false));
	ck_assert(is_old(7, 7, 2, &older, true)); // so told, though it is nowhere on record
	ck_assert(!is_old(7, 7, 2, &older, false));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("sealed root");
	TCase *tcase = tcase_create("sealed root");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, what_was_synced_stays);
	tcase_add_test(tcase, still_being_written);
	tcase_add_test(tcase, a_sync_fails);
	tcase_add_test(tcase, many_blocks);
	tcase_add_test(tcase, foreign_files);
	tcase_add_test(tcase, digests_stay);
	tcase_add_loop_test(tcase, older_files, 0, 2);
	tcase_add_test(tcase, one_content_of_a_version);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
