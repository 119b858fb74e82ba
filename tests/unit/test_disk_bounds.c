// SPDX-License-Identifier: MIT
// What bounds a disk level: how much of a large one is read at once when it is opened, and how much is being written, or held
// until it is.
#include "cache/disk_format.h"
#include "core/check.h"
#include "tests/sim/memory_medium.h"
#include "tests/unit/cache_help.h"

#include <check.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { SLOT = 4096, BLOCK = 4096, VOLUME = 3 };
enum { OWN = 1 << 20 }; // of a small level: what is not the bytes of slots

static const struct level_config disk_config = {
	.size = OWN + (uint64_t)64 * SLOT, .ways = 4, .hash = HASH_MURMUR, .policy = POLICY_LRU};
static const struct level_config memory_config = {
	.size = (uint64_t)8 * BLOCK, .ways = 8, .hash = HASH_NEIGHBOURS, .policy = POLICY_LRU};

static struct memory_medium medium;
static uint32_t evicted_count;
static char error[512];

// What there is of an earlier run is found in steps that do not grow with the level, and it is known how far that is.
START_TEST(a_large_level_is_opened_in_steps)
{
	const uint64_t records = 3 * 32768;
	struct level_config config = disk_config;
		struct disk_level *level;
	struct medium m;
	uint64_t left = records, total;
	bool emptied;

	config.size = UINT64_C(1) << 20;
	while (disk_slots_within(config.size, SLOT) < records)
		config.size += SLOT;
	memory_medium_init(&medium, 0, 2 * config.size);
	m = memory_medium(&medium);
	disk_level_close(disk_level_open(&m, &config, SLOT, false, &emptied, error, sizeof(error)));
	level = disk_level_begin_open(&m, &config, SLOT, false, &emptied, error, sizeof(error));
	ck_assert_msg(level != NULL, "%s", error);
	for (uint64_t left_before = left; left > 0; left_before = left) {
		left = disk_level_open_left(level, &total);
		ck_assert_uint_eq(total, disk_slots_within(config.size, SLOT) / config.ways * config.ways);
		ck_assert(left == left_before || left_before - left <= 32768);
		ck_assert_int_eq(disk_level_open_more(level, 1, error, sizeof(error)), 0);
	}
	medium.read_errno = EIO;
	ck_assert_int_eq(disk_level_open_more(level, 1, error, sizeof(error)), 0); // nothing is left
	disk_level_close(level);
	level = disk_level_begin_open(&m, &config, SLOT, false, &emptied, error, sizeof(error));
	ck_assert_ptr_null(level);
	medium.read_errno = 0;
	level = disk_level_begin_open(&m, &config, SLOT, false, &emptied, error, sizeof(error));
	medium.read_errno = EIO;
	ck_assert_int_eq(disk_level_open_more(level, 1, error, sizeof(error)), -1);
	ck_assert_ptr_nonnull(strstr(error, "read"));
	disk_level_close(level);
	memory_medium_fini(&medium);
}
END_TEST

static void
on_evicted(void *arg, block_key key)
{
	(void)arg;
	(void)key;
	evicted_count++;
}

static void
ignore_wake(void *arg)
{
	(void)arg;
}

static bool
never(void *arg)
{
	(void)arg;
	return false;
}

static struct disk_level_stats
stats(const struct disk_level *level)
{
	struct disk_level_stats ret;

	disk_level_get_stats(level, &ret);
	return ret;
}

static void
put(struct copies *copies, struct buf_pool *pool, uint64_t block)
{
	struct buf *buf = buf_alloc(pool);

	memset(buf_bytes(buf), (int)(block % 255 + 1), BLOCK);
	copies->ops->put(copies->self, block_key_make(VOLUME, block), buf, false);
	buf_unref(buf);
}

static uint32_t
pending(bool write)
{
	uint32_t count = 0;

	for (size_t i = 0; i < medium.pending_count; i++)
		count += medium.pending[i]->write == write;
	return count;
}

// A burst that the medium can not take at once, of blocks that do not stay in memory: they are held until they are written.
// A read does not wait for all of them.
START_TEST(what_falls_out_of_memory_in_a_burst_is_held)
{
	const struct stack_disk_hooks hooks = {.wake = ignore_wake};
	struct level_config config = disk_config;
	struct buf_pool *pool = buf_pool_create(BLOCK);
	struct disk_level *level;
	struct copies copies;
	struct stack *stack;
	struct medium m;
	block_key key;
	bool emptied;

	memory_medium_init(&medium, 0, 2 * OWN + (uint64_t)4000 * SLOT);
	config.size = 2 * OWN + (uint64_t)4000 * SLOT;
	config.ways = 16;
	m = memory_medium(&medium);
	level = disk_level_open(&m, &config, SLOT, false, &emptied, error, sizeof(error));
	ck_assert_msg(level != NULL, "%s", error);
	stack = stack_create(BLOCK, &memory_config, 1);
	stack_set_disk(stack, level, &hooks);
	copies = stack_copies(stack);
	copies.ops->on_evicted(copies.self, on_evicted, NULL);
	copies.ops->set_volume(copies.self, VOLUME, "disk", pool);
	memory_medium_end_all(&medium);
	put(&copies, pool, 5000);
	memory_medium_end_all(&medium);
	for (uint64_t block = 0; block < 1000; block++)
		put(&copies, pool, block);
	ck_assert_uint_eq(stats(level).passed, 0);
	ck_assert_uint_eq(evicted_count, 0);
	ck_assert_uint_le(pending(true), 100);
	ck_assert(!copies.ops->ready(copies.self, block_key_make(VOLUME, 5000), pool));
	ck_assert_uint_eq(pending(false), 1);
	copies.ops->drop(copies.self, block_key_make(VOLUME, 700)); // and what is not wanted any more is not written
	memory_medium_end_all(&medium);
	ck_assert(copies.ops->next_loaded(copies.self, &key));
	ck_assert_uint_eq(stats(level).entries, 1000);
	ck_assert_uint_eq(stats(level).written, 1000);
	disk_level_check(level);
	memory_medium_end_all(&medium);
	memory_medium_crash(&medium, never, NULL);
	stack_abandon_disk(stack);
	stack_destroy(stack);
	ck_assert_uint_eq(buf_pool_used(pool), 0);
	buf_pool_destroy(pool);
	memory_medium_fini(&medium);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("disk level, bounds");
	TCase *tcase = tcase_create("bounds");
	SRunner *runner;
	int failed;

	CHECK(sodium_init() >= 0);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, a_large_level_is_opened_in_steps);
	tcase_add_test(tcase, what_falls_out_of_memory_in_a_burst_is_held);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
