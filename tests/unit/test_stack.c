// SPDX-License-Identifier: MIT
#include "tests/unit/cache_help.h"

#include <check.h>
#include <stdlib.h>

// The seed's own example (S26, S27): 250 entries, five ways, so fifty groups, chosen by the low-order bits.
static const struct level_config seed_level = {
	.size = 250 * CACHE_BLOCK_SIZE, .ways = 5, .hash = HASH_MODULO, .policy = POLICY_LRU};

static void
setup_one(struct cache_fixture *fix, uint64_t blocks, uint32_t ways)
{
	struct level_config level = cache_level(blocks, ways, HASH_NEIGHBOURS, POLICY_LRU);

	cache_setup(fix, &level, 1);
}

static void
set_dirty(struct cache_fixture *fix, block_key key, bool dirty)
{
	fix->copies.ops->set_dirty(fix->copies.self, key, dirty);
}

static void
drop(struct cache_fixture *fix, block_key key)
{
	fix->copies.ops->drop(fix->copies.self, key);
}

// One group of four: the entry that was used least recently goes.
START_TEST(test_least_recently_used_goes)
{
	struct cache_fixture fix;

	setup_one(&fix, 4, 4);
	for (block_key key = 0; key < 4; key++)
		cache_put(&fix, key, false);
	ck_assert(cache_get(&fix, 0)); // used again: now 1 is the oldest
	cache_put(&fix, 9, false);
	ck_assert_uint_eq(fix.evicted_count, 1);
	ck_assert_uint_eq(fix.evicted[0], 1);
	ck_assert(!cache_get(&fix, 1));
	ck_assert(cache_get(&fix, 0) && cache_get(&fix, 2) && cache_get(&fix, 3) && cache_get(&fix, 9));
	cache_teardown(&fix);
}
END_TEST

// Clean copies go before dirty ones. When all are dirty the oldest waits beside the groups, and leaves when it is clean.
START_TEST(test_dirty_stays)
{
	struct cache_fixture fix;

	setup_one(&fix, 2, 2);
	cache_put(&fix, 0, true);
	cache_put(&fix, 1, false);
	cache_put(&fix, 2, true);
	ck_assert_uint_eq(fix.evicted_count, 1);
	ck_assert_uint_eq(fix.evicted[0], 1);
	cache_put(&fix, 3, true);
	ck_assert_uint_eq(fix.evicted_count, 1);
	ck_assert_uint_eq(cache_stats(&fix).victims, 1);
	ck_assert_uint_eq(cache_stats(&fix).used, 3 * CACHE_BLOCK_SIZE);
	ck_assert_uint_eq(cache_stats(&fix).dirty, 3);
	set_dirty(&fix, 0, false);
	ck_assert_uint_eq(fix.evicted_count, 2);
	ck_assert_uint_eq(fix.evicted[1], 0);
	ck_assert(!cache_get(&fix, 0) && cache_get(&fix, 2) && cache_get(&fix, 3));
	cache_teardown(&fix);
}
END_TEST

// What waits beside the groups and is used again comes back, and another waits.
START_TEST(test_victim_used_again_comes_back)
{
	struct cache_fixture fix;

	setup_one(&fix, 2, 2);
	for (block_key key = 0; key < 3; key++)
		cache_put(&fix, key, true);
	ck_assert(cache_get(&fix, 0)); // 1 waits instead
	set_dirty(&fix, 0, false);
	ck_assert_uint_eq(fix.evicted_count, 0);
	set_dirty(&fix, 1, false);
	ck_assert_uint_eq(fix.evicted_count, 1);
	ck_assert_uint_eq(fix.evicted[0], 1);
	cache_teardown(&fix);
}
END_TEST

// A get never evicts: clean copies that fall out while something comes up are parked, a few, and go with the next put. A
// copy that was parked and became dirty where it is may not be evicted any more (simulator seed 1765).
START_TEST(test_get_never_evicts)
{
	const struct level_config levels[] = {cache_level(200, 1, HASH_MODULO, POLICY_LRU),
					      cache_level(200, 1, HASH_XXH, POLICY_LRU)};
	struct cache_fixture fix;
	uint64_t evicted, dirty = 0;

	cache_setup(&fix, levels, 2);
	for (block_key key = 0; key < 2000; key++)
		cache_put(&fix, key, false);
	evicted = fix.evicted_count;
	for (int round = 0; round < 20; round++)
		for (block_key key = 0; key < 2000; key++)
			cache_get(&fix, key);
	ck_assert_uint_eq(fix.evicted_count, evicted);
	ck_assert_uint_eq(cache_stats(&fix).victims, 64);
	for (block_key key = 0; key < 2000; key++) { // without a get that might bring it back
		set_dirty(&fix, key, true);
		dirty += cache_stats(&fix).dirty > dirty;
	}
	ck_assert_uint_eq(cache_stats(&fix).dirty, dirty);
	for (block_key key = 10000; key < 20000; key++)
		cache_put(&fix, key, false);
	ck_assert_uint_eq(cache_stats(&fix).dirty, dirty);
	for (uint64_t i = evicted; i < CACHE_EVICTED_MAX; i++)
		ck_assert_uint_ge(fix.evicted[i], 10000);
	cache_teardown(&fix);
}
END_TEST

// What is put is not told as evicted meanwhile, though its old copy was parked, and is there afterwards, though a level
// is being rebuilt into its very group.
static void
check_put(block_key key, bool rebuild)
{
	const struct level_config levels[] = {cache_level(200, 1, HASH_MODULO, POLICY_LRU),
					      cache_level(200, 1, HASH_XXH, POLICY_LRU)};
	const struct level_config other = cache_level(40, 2, HASH_XXH, POLICY_LRU);
	struct cache_fixture fix;
	uint64_t before;

	cache_setup(&fix, levels, 2);
	for (block_key i = 0; i < 400; i++)
		cache_put(&fix, i, false);
	for (block_key i = 0; i < 200; i++) // those of the lower level come up, some of the upper are parked
		cache_get(&fix, i);
	ck_assert_uint_gt(cache_stats(&fix).victims, 0);
	if (rebuild)
		ck_assert_int_eq(stack_set(fix.stack, 0, &other), STACK_OK);
	before = fix.evicted_count;
	cache_put(&fix, key, false);
	for (uint64_t i = before; i < fix.evicted_count; i++)
		ck_assert_uint_ne(fix.evicted[i], key);
	ck_assert(cache_get(&fix, key));
	cache_teardown(&fix);
}

START_TEST(test_put_evicts_others_only)
{
	for (block_key key = 0; key < 400; key += 3) {
		check_put(key, false);
		check_put(key, true);
	}
}
END_TEST

// Dropping is no eviction; a copy that is put again replaces the old one, also with the same buffer.
START_TEST(test_drop_and_replace)
{
	struct cache_fixture fix;
	struct buf *buf;

	setup_one(&fix, 8, 4);
	cache_put(&fix, 5, false);
	cache_put(&fix, 5, true);
	buf = fix.copies.ops->get(fix.copies.self, 5);
	fix.copies.ops->put(fix.copies.self, 5, buf, true);
	ck_assert_uint_eq(cache_stats(&fix).entries, 1);
	ck_assert_uint_eq(cache_stats(&fix).used, CACHE_BLOCK_SIZE);
	ck_assert_uint_eq(cache_stats(&fix).dirty, 1);
	drop(&fix, 5);
	drop(&fix, 5);
	ck_assert(!cache_get(&fix, 5));
	ck_assert_uint_eq(fix.evicted_count, 0);
	ck_assert_uint_eq(cache_stats(&fix).dirty, 0);
	cache_teardown(&fix);
}
END_TEST

// Blocks of zeros take an entry but no bytes; key 0 of volume 0 is no empty entry.
START_TEST(test_zeros_cost_nothing)
{
	struct cache_fixture fix;

	setup_one(&fix, 4, 4);
	ck_assert(!cache_get(&fix, 0));
	fix.copies.ops->put(fix.copies.self, 0, buf_zero(), false);
	ck_assert_uint_eq(cache_stats(&fix).entries, 1);
	ck_assert_uint_eq(cache_stats(&fix).used, 0);
	ck_assert_ptr_eq(fix.copies.ops->get(fix.copies.self, 0), buf_zero());
	cache_teardown(&fix);
}
END_TEST

// Blocks larger than the cache was made for: the bytes stay within the bound, in each level.
START_TEST(test_bytes_are_bounded)
{
	const struct level_config levels[] = {cache_level(64, 4, HASH_ANY, POLICY_LRU),
					      cache_level(64, 4, HASH_ANY, POLICY_LRU)}; // 32 KiB: eight blocks of 4 KiB
	struct buf_pool *large = buf_pool_create(4096);

	for (uint32_t count = 1; count <= 2; count++) {
		struct cache_fixture fix;

		cache_setup(&fix, levels, count);
		for (block_key key = 0; key < 40; key++) {
			struct buf *buf = buf_alloc(large);

			fix.copies.ops->put(fix.copies.self, key, buf, false);
			buf_unref(buf);
		}
		for (uint32_t i = 0; i < count; i++)
			ck_assert_uint_le(cache_level_stats(&fix, i).used, 32768);
		ck_assert_uint_eq(cache_stats(&fix).entries, cache_stats(&fix).used / 4096);
		ck_assert_uint_eq(fix.copies.ops->capacity(fix.copies.self, 4096), 8 * count);
		ck_assert_ptr_nonnull(fix.copies.ops->get(fix.copies.self, 39));
		cache_teardown(&fix);
	}
	ck_assert_uint_eq(buf_pool_used(large), 0);
	buf_pool_destroy(large);
}
END_TEST

// The seed's example, one level: ten blocks whose numbers are equal modulo fifty, read in turn. All of them belong to
// one group of five ways, and LRU always replaces the one that is wanted next but four: nobody ever hits, 245 of 250
// entries stay empty.
START_TEST(test_seed_one_level_thrashes)
{
	struct cache_fixture fix;
	struct stack_level_stats stats;

	cache_setup(&fix, &seed_level, 1);
	for (int round = 0; round < 10; round++)
		for (block_key i = 0; i < 10; i++)
			ck_assert(!cache_read(&fix, 7 + 50 * i));
	stats = cache_level_stats(&fix, 0);
	ck_assert_uint_eq(stats.entries, 5);
	ck_assert_uint_eq(stats.hits, 0);
	ck_assert_uint_eq(stats.misses, 100);
	ck_assert_uint_eq(stats.evicted, 95); // each but the last five
	ck_assert_uint_eq(fix.evicted_count, 95);
	cache_teardown(&fix);
}
END_TEST

// The same with a second level of the same shape and another hash. The first round misses ten times; the sixth to the
// tenth block push the first five down, where they lie in different groups. From then on the five that were used last
// are in the first level and the other five in the second, so that each of the 90 further reads hits in the second: the
// block comes up, and the one it replaces goes down. Nothing falls out.
START_TEST(test_seed_two_levels_do_not)
{
	struct level_config levels[] = {seed_level, seed_level};
	struct cache_fixture fix;
	struct stack_level_stats first, second;

	levels[1].hash = HASH_XXH;
	cache_setup(&fix, levels, 2);
	for (int round = 0; round < 10; round++)
		for (block_key i = 0; i < 10; i++)
			ck_assert_int_eq(cache_read(&fix, 7 + 50 * i), round > 0);
	first = cache_level_stats(&fix, 0);
	second = cache_level_stats(&fix, 1);
	ck_assert_uint_eq(first.hits, 0);
	ck_assert_uint_eq(first.misses, 100);
	ck_assert_uint_eq(first.promoted_in, 90);
	ck_assert_uint_eq(first.demoted_out, 95); // 5 in the first round, then one for each that comes up
	ck_assert_uint_eq(first.entries, 5);
	ck_assert_uint_eq(second.hits, 90);
	ck_assert_uint_eq(second.misses, 10);
	ck_assert_uint_eq(second.promoted_out, 90);
	ck_assert_uint_eq(second.demoted_in, 95);
	ck_assert_uint_eq(second.entries, 5);
	ck_assert_uint_eq(second.evicted, 0);
	ck_assert_uint_eq(cache_stats(&fix).hits, 90);
	ck_assert_uint_eq(cache_stats(&fix).misses, 10);
	ck_assert_uint_eq(fix.evicted_count, 0);
	cache_teardown(&fix);
}
END_TEST

// With the same hash in both, the second level has the same crowded group: of ten blocks all fit, of eleven none does,
// as in one level of ten ways.
START_TEST(test_seed_same_hash_is_one_larger_group)
{
	const struct level_config levels[] = {seed_level, seed_level};
	struct cache_fixture fix;

	cache_setup(&fix, levels, 2);
	for (int round = 0; round < 10; round++)
		for (block_key i = 0; i < 11; i++)
			ck_assert(!cache_read(&fix, 7 + 50 * i));
	cache_teardown(&fix);
}
END_TEST

// Three levels of one entry each: what comes in pushes the others down one by one, and the last one out.
START_TEST(test_domino)
{
	const struct level_config one = cache_level(1, 1, HASH_ANY, POLICY_LRU);
	const struct level_config levels[] = {one, one, one};
	struct cache_fixture fix;

	cache_setup(&fix, levels, 3);
	for (block_key key = 1; key <= 4; key++)
		cache_put(&fix, key, false);
	ck_assert_uint_eq(fix.evicted_count, 1);
	ck_assert_uint_eq(fix.evicted[0], 1);
	ck_assert_uint_eq(cache_level_stats(&fix, 0).demoted_out, 3);
	ck_assert_uint_eq(cache_level_stats(&fix, 1).demoted_out, 2);
	ck_assert_uint_eq(cache_level_stats(&fix, 2).demoted_in, 2);
	ck_assert_uint_eq(cache_level_stats(&fix, 2).evicted, 1);
	ck_assert(cache_get(&fix, 2)); // from the bottom to the top: 4 and 3 go down one each
	ck_assert_uint_eq(cache_level_stats(&fix, 2).promoted_out, 1);
	ck_assert_uint_eq(cache_level_stats(&fix, 2).demoted_in, 3);
	ck_assert(cache_get(&fix, 2));
	ck_assert_uint_eq(cache_level_stats(&fix, 0).hits, 1);
	cache_put(&fix, 5, false);
	ck_assert_uint_eq(fix.evicted_count, 2);
	ck_assert_uint_eq(fix.evicted[1], 3);
	cache_teardown(&fix);
}
END_TEST

// Dirty blocks go down like others, and wait when they fall out.
START_TEST(test_dirty_goes_down)
{
	const struct level_config one = cache_level(1, 1, HASH_ANY, POLICY_LRU);
	const struct level_config levels[] = {one, one};
	struct cache_fixture fix;

	cache_setup(&fix, levels, 2);
	for (block_key key = 1; key <= 4; key++)
		cache_put(&fix, key, true);
	ck_assert_uint_eq(cache_level_stats(&fix, 1).dirty, 1);
	ck_assert_uint_eq(cache_stats(&fix).victims, 2);
	for (block_key key = 1; key <= 4; key++)
		set_dirty(&fix, key, false);
	ck_assert_uint_eq(fix.evicted_count, 2);
	ck_assert_uint_eq(cache_stats(&fix).victims, 0);
	ck_assert_uint_eq(cache_stats(&fix).dirty, 0);
	cache_teardown(&fix);
}
END_TEST

// Levels that lie next to each other get different hashes, wherever the new one comes in.
START_TEST(test_neighbours_differ)
{
	const struct level_config any = cache_level(64, 0, HASH_ANY, POLICY_LRU);
	struct cache_fixture fix;

	cache_setup(&fix, &any, 1);
	ck_assert_int_eq(cache_level_stats(&fix, 0).config.hash, HASH_NEIGHBOURS);
	ck_assert_int_eq(stack_add(fix.stack, 1, &any), STACK_OK);
	ck_assert_int_eq(stack_add(fix.stack, 1, &any), STACK_OK);
	ck_assert_int_eq(stack_add(fix.stack, 0, &any), STACK_OK);
	for (uint32_t i = 1; i < stack_level_count(fix.stack); i++)
		ck_assert_int_ne(cache_level_stats(&fix, i).config.hash, cache_level_stats(&fix, i - 1).config.hash);
	cache_teardown(&fix);
}
END_TEST

// Pinned blocks stay, whatever comes, until they are unpinned as often as they were pinned.
START_TEST(test_pinned_stays)
{
	struct cache_fixture fix;

	setup_one(&fix, 16, 4);
	ck_assert_int_eq(stack_pin(fix.stack, 100, 8), STACK_OK);
	ck_assert_int_eq(stack_pin(fix.stack, 100, 8), STACK_OK);
	for (block_key key = 100; key < 108; key++)
		cache_put(&fix, key, false);
	for (block_key key = 1000; key < 1100; key++)
		cache_put(&fix, key, false);
	for (block_key key = 100; key < 108; key++)
		ck_assert(cache_get(&fix, key));
	ck_assert_int_eq(stack_unpin(fix.stack, 100, 8), STACK_OK);
	for (block_key key = 1000; key < 1100; key++)
		cache_put(&fix, key, false);
	for (block_key key = 100; key < 108; key++)
		ck_assert(cache_get(&fix, key));
	ck_assert_int_eq(stack_unpin(fix.stack, 100, 8), STACK_OK);
	for (block_key key = 1000; key < 1100; key++)
		cache_put(&fix, key, false);
	for (block_key key = 100; key < 108; key++)
		ck_assert(!cache_get(&fix, key));
	ck_assert_int_eq(stack_unpin(fix.stack, 100, 8), STACK_NOT_PINNED);
	cache_teardown(&fix);
}
END_TEST

// At most half of the cache is pinned, also after it has become smaller.
START_TEST(test_pins_are_bounded)
{
	struct level_config level = cache_level(16, 4, HASH_NEIGHBOURS, POLICY_LRU);
	struct cache_fixture fix;

	cache_setup(&fix, &level, 1);
	ck_assert_int_eq(stack_pin(fix.stack, 0, 9), STACK_PINNED);
	ck_assert_int_eq(stack_pin(fix.stack, 0, 8), STACK_OK);
	ck_assert_int_eq(stack_pin(fix.stack, 4, 4), STACK_OK); // again
	ck_assert_int_eq(stack_pin(fix.stack, 20, 1), STACK_PINNED);
	ck_assert_uint_eq(cache_stats(&fix).pinned, 8);
	level.size /= 2;
	ck_assert_int_eq(stack_set(fix.stack, 0, &level), STACK_PINNED);
	ck_assert_int_eq(stack_unpin(fix.stack, 0, 4), STACK_OK);
	ck_assert_int_eq(stack_set(fix.stack, 0, &level), STACK_OK);
	cache_teardown(&fix);
}
END_TEST

// A group that has more pinned blocks than ways: those that wait beside it are looked at when they are unpinned.
START_TEST(test_pinned_victims_leave_when_unpinned)
{
	const struct level_config level = cache_level(50, 2, HASH_MODULO, POLICY_LRU);
	struct cache_fixture fix;

	cache_setup(&fix, &level, 1);
	for (block_key key = 0; key < 10; key++)
		ck_assert_int_eq(stack_pin(fix.stack, key * 25, 1), STACK_OK);
	for (block_key key = 0; key < 10; key++)
		cache_put(&fix, key * 25, false);
	ck_assert_uint_eq(fix.evicted_count, 0);
	ck_assert_uint_eq(cache_stats(&fix).victims, 8);
	for (block_key key = 0; key < 10; key++)
		ck_assert_int_eq(stack_unpin(fix.stack, key * 25, 1), STACK_OK);
	while (stack_step(fix.stack, 3))
		;
	ck_assert_uint_eq(fix.evicted_count, 8);
	ck_assert_uint_eq(cache_stats(&fix).victims, 0);
	cache_teardown(&fix);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("stack");
	TCase *all = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_set_timeout(all, 60);
	tcase_add_test(all, test_least_recently_used_goes);
	tcase_add_test(all, test_dirty_stays);
	tcase_add_test(all, test_victim_used_again_comes_back);
	tcase_add_test(all, test_get_never_evicts);
	tcase_add_test(all, test_put_evicts_others_only);
	tcase_add_test(all, test_drop_and_replace);
	tcase_add_test(all, test_zeros_cost_nothing);
	tcase_add_test(all, test_bytes_are_bounded);
	tcase_add_test(all, test_seed_one_level_thrashes);
	tcase_add_test(all, test_seed_two_levels_do_not);
	tcase_add_test(all, test_seed_same_hash_is_one_larger_group);
	tcase_add_test(all, test_domino);
	tcase_add_test(all, test_dirty_goes_down);
	tcase_add_test(all, test_neighbours_differ);
	tcase_add_test(all, test_pinned_stays);
	tcase_add_test(all, test_pins_are_bounded);
	tcase_add_test(all, test_pinned_victims_leave_when_unpinned);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
