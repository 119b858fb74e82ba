// SPDX-License-Identifier: MIT
#include "cache/set_cache.h"

#include <check.h>
#include <stdlib.h>

enum { BLOCK_SIZE = 512, EVICTED_MAX = 1024 };

struct fixture {
	struct buf_pool *pool;
	struct set_cache *cache;
	struct copies copies;
	block_key evicted[EVICTED_MAX];
	int evicted_count;
};

static void
on_evicted(void *arg, block_key key)
{
	struct fixture *fix = arg;

	ck_assert_int_lt(fix->evicted_count, EVICTED_MAX);
	fix->evicted[fix->evicted_count++] = key;
}

static void
setup(struct fixture *fix, uint64_t blocks, uint32_t ways)
{
	*fix = (struct fixture){.pool = buf_pool_create(BLOCK_SIZE)};
	fix->cache = set_cache_create(blocks * BLOCK_SIZE, BLOCK_SIZE, ways);
	fix->copies = set_cache_copies(fix->cache);
	fix->copies.ops->on_evicted(fix->copies.self, on_evicted, fix);
}

// Everything that was put is given back.
static void
teardown(struct fixture *fix)
{
	set_cache_destroy(fix->cache);
	ck_assert_uint_eq(buf_pool_used(fix->pool), 0);
	buf_pool_destroy(fix->pool);
}

static void
put(struct fixture *fix, block_key key, bool dirty)
{
	struct buf *buf = buf_alloc(fix->pool);

	buf_bytes(buf)[0] = (uint8_t)key;
	fix->copies.ops->put(fix->copies.self, key, buf, dirty);
	buf_unref(buf);
}

static bool
has(struct fixture *fix, block_key key)
{
	struct buf *buf = fix->copies.ops->get(fix->copies.self, key);

	ck_assert(buf == NULL || buf_bytes(buf)[0] == (uint8_t)key);
	return buf != NULL;
}

// One group of four: the entry that was used least recently goes.
START_TEST(test_least_recently_used_goes)
{
	struct fixture fix;

	setup(&fix, 4, 4);
	for (block_key key = 0; key < 4; key++)
		put(&fix, key, false);
	ck_assert(has(&fix, 0)); // used again: now 1 is the oldest
	put(&fix, 9, false);
	ck_assert_int_eq(fix.evicted_count, 1);
	ck_assert_uint_eq(fix.evicted[0], 1);
	ck_assert(!has(&fix, 1));
	ck_assert(has(&fix, 0) && has(&fix, 2) && has(&fix, 3) && has(&fix, 9));
	teardown(&fix);
}
END_TEST

// Dirty copies stay, whatever comes; what finds no room waits beside the groups, and leaves when it is clean.
START_TEST(test_dirty_stays)
{
	struct fixture fix;
	struct set_cache_stats stats;

	setup(&fix, 2, 2);
	put(&fix, 0, true);
	put(&fix, 1, true);
	put(&fix, 2, true);
	ck_assert_int_eq(fix.evicted_count, 0);
	set_cache_get_stats(fix.cache, &stats);
	ck_assert_uint_eq(stats.victims, 1);
	ck_assert_uint_eq(stats.used, 3 * BLOCK_SIZE);
	ck_assert(has(&fix, 0) && has(&fix, 1) && has(&fix, 2));
	fix.copies.ops->set_dirty(fix.copies.self, 2, false);
	ck_assert_int_eq(fix.evicted_count, 1);
	ck_assert_uint_eq(fix.evicted[0], 2);
	ck_assert(has(&fix, 0) && has(&fix, 1) && !has(&fix, 2));
	teardown(&fix);
}
END_TEST

// A clean copy beside the groups that becomes dirty where it is may not be evicted any more (simulator seed 1765).
START_TEST(test_victim_made_dirty_stays)
{
	struct fixture fix;

	setup(&fix, 2, 2);
	put(&fix, 0, true);
	put(&fix, 1, true);
	put(&fix, 2, false);
	fix.copies.ops->set_dirty(fix.copies.self, 2, true);
	for (block_key key = 100; key < 400; key++)
		put(&fix, key, false);
	for (int i = 0; i < fix.evicted_count; i++)
		ck_assert_uint_ge(fix.evicted[i], 100);
	ck_assert(has(&fix, 2));
	teardown(&fix);
}
END_TEST

// Clean copies beside the groups are few, however many come.
START_TEST(test_clean_victims_are_bounded)
{
	struct fixture fix;
	struct set_cache_stats stats;

	setup(&fix, 2, 2);
	put(&fix, 0, true);
	put(&fix, 1, true);
	for (block_key key = 100; key < 600; key++)
		put(&fix, key, false);
	set_cache_get_stats(fix.cache, &stats);
	ck_assert_uint_le(stats.victims, 64);
	ck_assert_int_eq(fix.evicted_count, 500 - (int)stats.victims);
	ck_assert(has(&fix, 599));
	teardown(&fix);
}
END_TEST

// Dropping is no eviction; a copy that is put again replaces the old one.
START_TEST(test_drop_and_replace)
{
	struct fixture fix;
	struct set_cache_stats stats;

	setup(&fix, 8, 4);
	put(&fix, 5, false);
	put(&fix, 5, true);
	set_cache_get_stats(fix.cache, &stats);
	ck_assert_uint_eq(stats.entries, 1);
	ck_assert_uint_eq(stats.used, BLOCK_SIZE);
	fix.copies.ops->drop(fix.copies.self, 5);
	fix.copies.ops->drop(fix.copies.self, 5);
	ck_assert(!has(&fix, 5));
	ck_assert_int_eq(fix.evicted_count, 0);
	teardown(&fix);
}
END_TEST

// Blocks of zeros take an entry but no bytes; key 0 of volume 0 is no empty entry.
START_TEST(test_zeros_cost_nothing)
{
	struct fixture fix;
	struct set_cache_stats stats;

	setup(&fix, 4, 4);
	ck_assert(!has(&fix, 0));
	fix.copies.ops->put(fix.copies.self, 0, buf_zero(), false);
	set_cache_get_stats(fix.cache, &stats);
	ck_assert_uint_eq(stats.entries, 1);
	ck_assert_uint_eq(stats.used, 0);
	ck_assert_ptr_eq(fix.copies.ops->get(fix.copies.self, 0), buf_zero());
	teardown(&fix);
}
END_TEST

// Blocks larger than the cache was made for: the bytes stay within the bound.
START_TEST(test_bytes_are_bounded)
{
	struct fixture fix;
	struct buf_pool *large = buf_pool_create(4096);
	struct set_cache_stats stats;

	setup(&fix, 64, 4); // 32 KiB: eight blocks of 4 KiB
	for (block_key key = 0; key < 40; key++) {
		struct buf *buf = buf_alloc(large);

		fix.copies.ops->put(fix.copies.self, key, buf, false);
		buf_unref(buf);
	}
	set_cache_get_stats(fix.cache, &stats);
	ck_assert_uint_le(stats.used, 32768);
	ck_assert_uint_eq(stats.entries, stats.used / 4096);
	ck_assert_ptr_nonnull(fix.copies.ops->get(fix.copies.self, 39));
	teardown(&fix);
	ck_assert_uint_eq(buf_pool_used(large), 0);
	buf_pool_destroy(large);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("set cache");
	TCase *all = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_test(all, test_least_recently_used_goes);
	tcase_add_test(all, test_dirty_stays);
	tcase_add_test(all, test_victim_made_dirty_stays);
	tcase_add_test(all, test_clean_victims_are_bounded);
	tcase_add_test(all, test_drop_and_replace);
	tcase_add_test(all, test_zeros_cost_nothing);
	tcase_add_test(all, test_bytes_are_bounded);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
