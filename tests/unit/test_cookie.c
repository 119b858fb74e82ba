// SPDX-License-Identifier: MIT
// Cookies: a list is signed, and that it was seen; nothing else passes for either.
#include "crypto/cookie.h"
#include "tests/unit/seal_help.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct volume_key *owner, *proxy, *stranger;
static struct cookie_entry entries[COOKIE_ENTRIES_MAX], opened[COOKIE_ENTRIES_MAX];
static uint8_t baked[COOKIE_BAKED_SIZE_MAX], other[COOKIE_BAKED_SIZE_MAX], burnt[COOKIE_BURNT_SIZE];

static void
setup(void)
{
	owner = seal_help_key(1, VOLUME_ROLE_OWNER, 3);
	proxy = seal_help_key(1, VOLUME_ROLE_PROXY, 3);
	stranger = seal_help_key(2, VOLUME_ROLE_OWNER, 3);
	for (uint32_t i = 0; i < COOKIE_ENTRIES_MAX; i++)
		entries[i] = (struct cookie_entry){.block = (uint64_t)i << 40 | i, .version = UINT64_MAX - i, .digest = {(uint8_t)i, 7}};
}

static void
teardown(void)
{
	volume_key_destroy(owner);
	volume_key_destroy(proxy);
	volume_key_destroy(stranger);
}

// Everybody who has a key of the volume can read the list, and see that it was burnt.
START_TEST(a_list_goes_up_and_comes_back)
{
	static const uint32_t counts[] = {1, 2, COOKIE_ENTRIES_MAX};
	uint32_t count = counts[_i];
	size_t size = cookie_bake(owner, entries, count, baked);

	ck_assert_uint_le(size, LIMIT_BLOB_SIZE);
	ck_assert_uint_eq(cookie_open(proxy, baked, size, opened), count);
	ck_assert_mem_eq(opened, entries, count * sizeof(*entries));
	cookie_burn(owner, baked, size, burnt);
	ck_assert(cookie_is_burnt(proxy, baked, size, burnt, sizeof(burnt)));
	ck_assert(!cookie_is_burnt(stranger, baked, size, burnt, sizeof(burnt)));
	ck_assert_uint_eq(cookie_open(stranger, baked, size, opened), 0);
}
END_TEST

// No byte of either can be another, none can be missing, none can come behind.
START_TEST(every_byte_counts)
{
	size_t size = cookie_bake(owner, entries, 3, baked);

	cookie_burn(owner, baked, size, burnt);
	for (size_t i = 0; i < size; i++) {
		baked[i] ^= 1;
		ck_assert_uint_eq(cookie_open(owner, baked, size, opened), 0);
		ck_assert(!cookie_is_burnt(owner, baked, size, burnt, sizeof(burnt)));
		baked[i] ^= 1;
	}
	for (size_t i = 0; i < sizeof(burnt); i++) {
		burnt[i] ^= 1;
		ck_assert(!cookie_is_burnt(owner, baked, size, burnt, sizeof(burnt)));
		burnt[i] ^= 1;
	}
	for (size_t less = 0; less < size; less++)
		ck_assert_uint_eq(cookie_open(owner, baked, less, opened), 0);
	ck_assert_uint_eq(cookie_open(owner, baked, size + 1, opened), 0);
	ck_assert(!cookie_is_burnt(owner, baked, size, burnt, sizeof(burnt) - 1));
	ck_assert(!cookie_is_burnt(owner, baked, size, NULL, 0));
	ck_assert(cookie_is_burnt(owner, baked, size, burnt, sizeof(burnt)));
}
END_TEST

// A list that is asked for again is another cookie, so that an answer of before is none; a baked one is none that is burnt.
START_TEST(each_is_another)
{
	size_t size = cookie_bake(owner, entries, 3, baked);

	ck_assert_uint_eq(cookie_bake(owner, entries, 3, other), size);
	ck_assert_mem_ne(baked, other, size);
	cookie_burn(owner, other, size, burnt);
	ck_assert(!cookie_is_burnt(owner, baked, size, burnt, sizeof(burnt)));
	memcpy(burnt + 5, baked + size - 64, 64);
	ck_assert(!cookie_is_burnt(owner, baked, size, burnt, sizeof(burnt)));
}
END_TEST

// What can not come any more is told of this cookie alone, by who may write; nothing else passes for it, nor it for a burnt one.
START_TEST(what_is_lost_is_told)
{
	uint8_t map[COOKIE_LOST_MAP_SIZE] = {0}, lost[COOKIE_LOST_SIZE];
	size_t size = cookie_bake(owner, entries, COOKIE_ENTRIES_MAX, baked);
	const uint8_t *told;

	ck_assert_uint_eq(cookie_count(size), COOKIE_ENTRIES_MAX);
	cookie_map_add(map, 0);
	cookie_map_add(map, COOKIE_ENTRIES_MAX - 1);
	cookie_tell_lost(owner, baked, size, map, lost);
	told = cookie_lost(proxy, baked, size, lost, sizeof(lost));
	ck_assert_ptr_nonnull(told);
	for (uint32_t i = 0; i < COOKIE_ENTRIES_MAX; i++)
		ck_assert(cookie_map_has(told, i) == (i == 0 || i == COOKIE_ENTRIES_MAX - 1));
	ck_assert_ptr_null(cookie_lost(stranger, baked, size, lost, sizeof(lost)));
	ck_assert_ptr_null(cookie_lost(owner, baked, size, lost, sizeof(lost) - 1));
	ck_assert_ptr_null(cookie_lost(owner, baked, size, NULL, 0));
	ck_assert(!cookie_is_burnt(owner, baked, size, lost, sizeof(lost)));
	for (size_t i = 0; i < sizeof(lost); i++) {
		lost[i] ^= 1;
		ck_assert_ptr_null(cookie_lost(owner, baked, size, lost, sizeof(lost)));
		lost[i] ^= 1;
	}
	ck_assert_uint_eq(cookie_bake(owner, entries, COOKIE_ENTRIES_MAX, other), size);
	ck_assert_ptr_null(cookie_lost(owner, other, size, lost, sizeof(lost)));
	cookie_burn(owner, baked, size, burnt);
	ck_assert_ptr_null(cookie_lost(owner, baked, size, burnt, sizeof(burnt)));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("cookie");
	TCase *tcase = tcase_create("cookie");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, a_list_goes_up_and_comes_back, 0, 3);
	tcase_add_test(tcase, every_byte_counts);
	tcase_add_test(tcase, each_is_another);
	tcase_add_test(tcase, what_is_lost_is_told);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
