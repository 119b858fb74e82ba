// SPDX-License-Identifier: MIT
// The journal: what was reported as written is found after a crash at any moment, whatever of the last write has
// arrived; what is damaged is told; the ring goes round; what is not ours is left alone.
#include "cache/journal.h"
#include "core/check.h"
#include "tests/sim/memory_medium.h"

#include <check.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 4096, SIZE = 64 * JOURNAL_PAGE, BLOCKS = 12, SECTOR = 512, VOLUME = 2 };

static struct memory_medium medium;
static struct buf_pool *pool;
static struct journal *journal;
static char error[512];

static struct buf_pool *
pool_of(void *arg, uint32_t size)
{
	(void)arg;
	ck_assert_uint_eq(size, BLOCK);
	return pool;
}

static struct journal *
open_journal(uint64_t size)
{
	const struct medium m = memory_medium(&medium);

	const struct journal_hooks hooks = {.pool = pool_of};

	return journal_open(&m, size, &hooks, error, sizeof(error));
}

static const struct author author = {.node_id = 77, .number = 5, .names = {77, 88}, .name_count = 2, .shared = 1, .epoch = 3};

static void
start(void)
{
	journal = open_journal(SIZE);
	ck_assert_msg(journal != NULL, "%s", error);
	journal_set_volume(journal, VOLUME, "disk");
	journal_set_author(journal, VOLUME, &author);
}

static void
setup(void)
{
	CHECK(sodium_init() >= 0);
	memory_medium_init(&medium, 0, 1 << 20);
	pool = buf_pool_create(BLOCK);
}

static void
teardown(void)
{
	journal_close(journal);
	journal = NULL;
	ck_assert_uint_eq(buf_pool_used(pool), 0);
	buf_pool_destroy(pool);
	memory_medium_fini(&medium);
}

static void
fill(uint8_t *bytes, uint64_t block, version_t version)
{
	memset(bytes, (int)(block * 31 + version), BLOCK);
	memcpy(bytes, &block, 8);
	memcpy(bytes + 8, &version, 8);
}

static void
put(uint64_t block, version_t version)
{
	struct buf *buf = version % 7 == 0 ? buf_zero() : buf_alloc(pool);

	if (version % 7 != 0)
		fill(buf_bytes(buf), block, version);
	journal_put(journal, block_key_make(VOLUME, block), version, buf, BLOCK);
	buf_unref(buf);
}

static void
forget(uint64_t block)
{
	journal_forget(journal, block_key_make(VOLUME, block));
}

// The next record is written. False: there is none, or no room.
static bool
write_one(void)
{
	uint64_t offset;
	const uint8_t *bytes;
	size_t size;

	if (!journal_take(journal, &offset, &bytes, &size))
		return false;
	ck_assert_uint_le(offset + size, medium.size);
	memcpy(medium.bytes + offset, bytes, size);
	journal_written(journal, 0);
	journal_check(journal);
	return true;
}

static void
write_all(void)
{
	while (write_one())
		;
}

static void
restart(void)
{
	journal_close(journal);
	start();
}

// What was found of ${block}; 0: nothing.
static version_t
found_version(uint64_t block)
{
	struct journal_found found;
	uint8_t bytes[BLOCK];

	for (size_t i = 0; journal_found(journal, i, &found); i++) {
		if (found.block != block)
			continue;
		ck_assert_str_eq(found.volume, "disk");
		ck_assert_uint_eq(found.block_size, BLOCK);
		fill(bytes, block, found.version);
		if (found.version % 7 == 0)
			memset(bytes, 0, BLOCK);
		ck_assert_mem_eq(buf_bytes(found.buf), bytes, BLOCK);
		return found.version;
	}
	return 0;
}

static void
take_over(void)
{
	struct journal_found found;

	for (size_t i = 0; journal_found(journal, i, &found); i++)
		journal_put(journal, block_key_make(VOLUME, found.block), found.version, found.buf, BLOCK);
	journal_taken_over(journal);
}

static struct journal_stats
stats(void)
{
	struct journal_stats ret;

	journal_get_stats(journal, &ret);
	return ret;
}

START_TEST(what_is_done_is_found)
{
	struct author back;

	start();
	put(1, 10);
	put(2, 14);
	ck_assert_uint_eq(journal_point(journal), 2);
	ck_assert_uint_eq(journal_done(journal), 0);
	write_all();
	ck_assert_uint_eq(journal_done(journal), 2);
	put(1, 11);
	write_all();
	put(1, 12); // not written
	restart();
	ck_assert_uint_eq(found_version(1), 11);
	ck_assert_uint_eq(found_version(2), 14);
	ck_assert_uint_eq(stats().damaged, 0);
	ck_assert(journal_found_author(journal, "disk", &back));
	ck_assert_uint_eq(back.node_id, 77);
	ck_assert_uint_eq(back.number, 5);
	ck_assert_uint_eq(back.epoch, 3);
	ck_assert_uint_eq(back.name_count, 2);
	ck_assert_uint_eq(back.shared, 1);
	ck_assert(!journal_found_author(journal, "other", &back));
}
END_TEST

START_TEST(what_is_forgotten_is_gone_with_the_next_record)
{
	start();
	put(1, 10);
	put(2, 11);
	write_all();
	forget(1);
	restart();
	ck_assert_uint_eq(found_version(1), 10); // nobody has said so yet
	take_over();
	write_all();
	forget(1);
	put(3, 12);
	write_all();
	restart();
	ck_assert_uint_eq(found_version(1), 0);
	ck_assert_uint_eq(found_version(2), 11);
	ck_assert_uint_eq(found_version(3), 12);
}
END_TEST

// Also when it was all in the last record, or in that of an earlier run.
START_TEST(that_nothing_is_left_is_said)
{
	for (int i = 0; i < 3; i++) {
		start();
		ck_assert(!journal_is_due(journal));
		put(1, 10);
		write_all();
		if (i > 0)
			restart();
		take_over();
		if (i > 1)
			write_all();
		forget(1);
		write_all();
		ck_assert(!journal_is_due(journal));
		restart();
		ck_assert_uint_eq(stats().found, 0);
		ck_assert(!journal_is_due(journal));
		journal_close(journal);
	}
	start();
}
END_TEST

START_TEST(a_new_name_is_written_if_something_is_there)
{
	struct author other = author, back;

	start();
	other.node_id = 99;
	other.number = 9;
	journal_set_author(journal, VOLUME, &other);
	ck_assert(!journal_is_due(journal));
	put(1, 10);
	write_all();
	other.node_id = 100;
	journal_set_author(journal, VOLUME, &other);
	ck_assert(journal_is_due(journal));
	write_all();
	ck_assert(!journal_is_due(journal));
	restart();
	ck_assert(journal_found_author(journal, "disk", &back));
	ck_assert_uint_eq(back.node_id, 100);
	ck_assert_uint_eq(back.name_count, 2); // his: earlier ones are over
}
END_TEST

// The last page is left to the record that makes room.
START_TEST(new_names_do_not_fill_the_ring)
{
	struct author other = author;

	start();
	put(1, 10);
	write_all();
	for (int i = 0; i < 100; i++) {
		other.node_id++;
		journal_set_author(journal, VOLUME, &other);
		write_all();
	}
	forget(1);
	write_all();
	ck_assert(!journal_is_due(journal));
	put(2, 11);
	write_all();
	ck_assert_uint_eq(journal_done(journal), journal_point(journal));
	restart();
	ck_assert_uint_eq(found_version(1), 0);
	ck_assert_uint_eq(found_version(2), 11);
}
END_TEST

// A block that stays is written again before its place is; what does not fit waits.
START_TEST(the_ring_goes_round)
{
	start();
	put(0, 1);
	write_all();
	for (version_t version = 2; version < 500; version++) {
		put(1 + version % 3, version);
		ck_assert(write_one());
		ck_assert_uint_eq(journal_done(journal), journal_point(journal));
	}
	restart();
	ck_assert_uint_eq(found_version(0), 1);
	for (version_t version = 497; version < 500; version++)
		ck_assert_uint_eq(found_version(1 + version % 3), version);
	ck_assert_uint_eq(stats().damaged, 0);
}
END_TEST

START_TEST(what_does_not_fit_waits_until_there_is_room)
{
	uint64_t done;

	start();
	for (uint64_t block = 0; block < 60; block++) {
		put(block, 1);
		write_all();
	}
	done = journal_done(journal);
	ck_assert_uint_lt(done, 60);
	ck_assert_uint_gt(done, 20);
	restart();
	for (uint64_t block = 0; block < 60; block++)
		ck_assert_uint_eq(found_version(block), block < done ? 1 : 0);
	take_over();
	for (uint64_t block = 0; block < 60; block++)
		forget(block);
	for (uint64_t block = 100; block < 120; block++)
		put(block, 1);
	write_all();
	ck_assert_uint_eq(journal_done(journal), journal_point(journal));
	restart();
	ck_assert_uint_eq(stats().found, 20);
}
END_TEST

START_TEST(what_is_not_ours_is_left_alone)
{
	start();
	put(1, 10);
	write_all();
	journal_close(journal);
	journal = open_journal(SIZE * 2);
	ck_assert_ptr_nonnull(journal); // it is needed: it stays as it is
	ck_assert_uint_eq(found_version(1), 10);
	journal_close(journal);
	medium.bytes[8] += 7;
	journal = open_journal(SIZE);
	ck_assert_ptr_null(journal);
	ck_assert_ptr_nonnull(strstr(error, "another version"));
	medium.bytes[8] -= 7;
	medium.bytes[100]++;
	journal = open_journal(SIZE);
	ck_assert_ptr_null(journal);
	ck_assert_ptr_nonnull(strstr(error, "damaged"));
	medium.bytes[0] = 'x';
	journal = open_journal(SIZE);
	ck_assert_ptr_null(journal);
	ck_assert_ptr_nonnull(strstr(error, "something else"));
	memset(medium.bytes, 0, JOURNAL_PAGE);
	start();
	ck_assert_uint_eq(stats().found, 0); // other random bytes: no record is ours
	put(2, 3);
	write_all();
	medium.size -= JOURNAL_PAGE;
	journal_close(journal);
	journal = open_journal(SIZE);
	ck_assert_ptr_null(journal);
	ck_assert_ptr_nonnull(strstr(error, "cut"));
	medium.size += JOURNAL_PAGE;
}
END_TEST

START_TEST(damage_is_told)
{
	start();
	for (version_t version = 1; version < 6; version++) {
		put(version, version);
		write_all();
	}
	medium.bytes[2 * JOURNAL_PAGE + 100] ^= 1; // the bytes of the first record
	restart();
	ck_assert_uint_eq(stats().damaged, 1);
	ck_assert_uint_eq(found_version(1), 0);
	for (version_t version = 2; version < 6; version++)
		ck_assert_uint_eq(found_version(version), version);
	medium.bytes[3 * JOURNAL_PAGE + 100] ^= 1; // the header of the second
	restart();
	ck_assert_uint_eq(stats().damaged, 2);
	ck_assert_uint_eq(found_version(2), 0);
}
END_TEST

START_TEST(a_write_that_fails_ends_it)
{
	uint64_t offset;
	const uint8_t *bytes;
	size_t size;

	start();
	put(1, 10);
	write_all();
	put(2, 11);
	ck_assert(journal_take(journal, &offset, &bytes, &size));
	journal_written(journal, EIO);
	ck_assert_uint_eq(journal_done(journal), 1);
	put(3, 12);
	ck_assert(!journal_take(journal, &offset, &bytes, &size));
	ck_assert_int_eq(stats().sys_errno, EIO);
	restart();
	ck_assert_uint_eq(found_version(1), 10);
}
END_TEST

// ---- a crash at any moment ----

static struct {
	version_t put, done; // the newest; the newest that is done
	uint64_t number;     // of the newest put
	bool forgotten;      // since
	bool may_be_old;     // it was forgotten, and put again since: the older may be found
} model[BLOCKS];

static void
learn_done(void)
{
	for (int i = 0; i < BLOCKS; i++)
		if (model[i].number != 0 && model[i].number <= journal_done(journal) && !model[i].forgotten)
			model[i].done = model[i].put;
}

static void
do_something(version_t *version)
{
	int block = rand() % BLOCKS;

	switch (rand() % 8) {
	case 0:
		forget((uint64_t)block);
		model[block].forgotten = true;
		model[block].done = 0;
		break;
	case 1:
	case 2:
	case 3:
		write_one();
		break;
	default:
		put((uint64_t)block, ++*version);
		model[block].put = *version;
		model[block].number = journal_point(journal);
		model[block].forgotten = false;
	}
	learn_done();
}

// The record that is being written arrives in part: each sector or not.
static void
crash(void)
{
	uint64_t offset;
	const uint8_t *bytes;
	size_t size;

	if (!journal_take(journal, &offset, &bytes, &size))
		return;
	for (size_t at = 0; at < size; at += SECTOR)
		if (rand() % 4 != 0)
			memcpy(medium.bytes + offset + at, bytes + at, SECTOR);
}

static void
check_found(void)
{
	for (int i = 0; i < BLOCKS; i++) {
		version_t version = found_version((uint64_t)i);

		ck_assert_msg(version >= model[i].done, "block %d: %d found, %d was done", i, (int)version,
			      (int)model[i].done);
		ck_assert_uint_le(version, model[i].put);
		model[i].put = version;
		model[i].done = version;
		model[i].forgotten = version == 0;
	}
	ck_assert_uint_eq(stats().damaged, 0);
}

START_TEST(a_crash_at_any_moment)
{
	version_t version = 0;

	srand((unsigned)_i + 1);
	memset(model, 0, sizeof(model));
	start();
	for (int round = 0; round < 30; round++) {
		for (int n = rand() % 100; n > 0; n--)
			do_something(&version);
		crash();
		restart();
		check_found();
		take_over();
		for (int i = 0; i < BLOCKS; i++)
			model[i].number = 0;
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("journal");
	TCase *tcase = tcase_create("journal");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, what_is_done_is_found);
	tcase_add_test(tcase, what_is_forgotten_is_gone_with_the_next_record);
	tcase_add_test(tcase, that_nothing_is_left_is_said);
	tcase_add_test(tcase, a_new_name_is_written_if_something_is_there);
	tcase_add_test(tcase, new_names_do_not_fill_the_ring);
	tcase_add_test(tcase, the_ring_goes_round);
	tcase_add_test(tcase, what_does_not_fit_waits_until_there_is_room);
	tcase_add_test(tcase, what_is_not_ours_is_left_alone);
	tcase_add_test(tcase, damage_is_told);
	tcase_add_test(tcase, a_write_that_fails_ends_it);
	tcase_add_loop_test(tcase, a_crash_at_any_moment, 0, 60);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
