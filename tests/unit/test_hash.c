// SPDX-License-Identifier: MIT
#include "cache/hash.h"

#include <check.h>
#include <stdlib.h>

enum { GROUPS = 50, KEYS = 5000 };

static void
count_groups(enum hash hash, block_key stride, uint64_t counts[GROUPS])
{
	for (int i = 0; i < GROUPS; i++)
		counts[i] = 0;
	for (block_key i = 0; i < KEYS; i++)
		counts[hash_group(hash, i * stride, GROUPS)]++;
}

// Each name leads to its hash and back; others to none.
START_TEST(test_names)
{
	enum hash hash;

	for (int i = 0; i < HASH_COUNT; i++) {
		ck_assert(hash_by_name(hash_name((enum hash)i), &hash));
		ck_assert_int_eq(hash, i);
	}
	ck_assert(!hash_by_name("md5", &hash));
}
END_TEST

// A row of blocks fills all groups, whichever the hash: 100 to each, give or take.
START_TEST(test_row_is_spread)
{
	for (int hash = HASH_ANY + 1; hash < HASH_COUNT; hash++) {
		uint64_t counts[GROUPS];

		count_groups((enum hash)hash, 1, counts);
		for (int i = 0; i < GROUPS; i++) {
			ck_assert_uint_ge(counts[i], 50);
			ck_assert_uint_le(counts[i], 150);
		}
	}
}
END_TEST

// Every fiftieth block: "modulo" has all of them in one group; those that mix spread them.
START_TEST(test_stride_is_spread_by_those_that_mix)
{
	const enum hash mixing[] = {HASH_XXH, HASH_MURMUR, HASH_FIBONACCI};
	uint64_t counts[GROUPS];

	count_groups(HASH_MODULO, GROUPS, counts);
	ck_assert_uint_eq(counts[0], KEYS);
	for (size_t h = 0; h < sizeof(mixing) / sizeof(mixing[0]); h++) {
		count_groups(mixing[h], GROUPS, counts);
		for (int i = 0; i < GROUPS; i++)
			ck_assert_uint_le(counts[i], 150);
	}
}
END_TEST

// Sixteen neighbours have sixteen groups, side by side.
START_TEST(test_neighbours_are_side_by_side)
{
	for (block_key first = 0; first < 16 * 100; first += 16)
		for (block_key i = 1; i < 16; i++)
			ck_assert_uint_eq(hash_group(HASH_NEIGHBOURS, first + i, GROUPS),
					  (hash_group(HASH_NEIGHBOURS, first, GROUPS) + i) % GROUPS);
}
END_TEST

// One group is enough for all.
START_TEST(test_one_group)
{
	for (int hash = HASH_ANY + 1; hash < HASH_COUNT; hash++)
		for (block_key key = 0; key < 100; key++)
			ck_assert_uint_eq(hash_group((enum hash)hash, key * 12345, 1), 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("hash");
	TCase *all = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_test(all, test_names);
	tcase_add_test(all, test_row_is_spread);
	tcase_add_test(all, test_stride_is_spread_by_those_that_mix);
	tcase_add_test(all, test_neighbours_are_side_by_side);
	tcase_add_test(all, test_one_group);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
