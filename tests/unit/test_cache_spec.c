// SPDX-License-Identifier: MIT
// Levels of the cache as users write them: what is right, and that what is wrong is named.
#include "node/cache_spec.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct level_config levels[STACK_LEVELS_MAX];
static uint32_t count;
static struct cache_disk_config disk;
static char error[256];

static int
parse(const char *text)
{
	return cache_spec_parse(text, levels, &count, &disk, error, sizeof(error));
}

static void
assert_refused(const char *text, const char *why)
{
	count = 77;
	ck_assert_msg(parse(text) == -1, "accepted: '%s'", text);
	ck_assert_msg(strstr(error, why) != NULL, "'%s': '%s' does not say '%s'", text, error, why);
	ck_assert_uint_eq(count, 77);
}

START_TEST(levels_are_read_top_to_bottom)
{
	ck_assert_msg(parse("mem:64M,ways=4,hash=xxh,policy=s3fifo/mem:1G/mem:2097153,policy=adaptive") == 0, "%s", error);
	ck_assert_uint_eq(count, 3);
	ck_assert_uint_eq(levels[0].size, 64 << 20);
	ck_assert_uint_eq(levels[0].ways, 4);
	ck_assert_int_eq(levels[0].hash, HASH_XXH);
	ck_assert_int_eq(levels[0].policy, POLICY_S3FIFO);
	ck_assert_uint_eq(levels[1].size, 1 << 30);
	ck_assert_uint_eq(levels[1].ways, 0);
	ck_assert_int_eq(levels[1].hash, HASH_ANY);
	ck_assert_int_eq(levels[1].policy, POLICY_LRU);
	ck_assert_uint_eq(levels[2].size, 2097153);
	ck_assert_int_eq(levels[2].policy, POLICY_ADAPTIVE);
}
END_TEST

START_TEST(the_last_may_be_on_a_disk)
{
	ck_assert_msg(parse("mem:64M/mem:1G/disk:/var/cache/a:b:2G,ways=8,hash=xxh,policy=s3fifo,block=32K") == 0, "%s", error);
	ck_assert_uint_eq(count, 2);
	ck_assert_str_eq(disk.path, "/var/cache/a:b");
	ck_assert_uint_eq(disk.level.size, UINT64_C(2) << 30);
	ck_assert_uint_eq(disk.level.ways, 8);
	ck_assert_int_eq(disk.level.hash, HASH_XXH);
	ck_assert_int_eq(disk.level.policy, POLICY_S3FIFO);
	ck_assert_uint_eq(disk.slot_size, 32768);
	ck_assert_int_eq(parse("mem:64M/disk:x:1M"), 0);
	ck_assert_str_eq(disk.path, "x");
	ck_assert_uint_eq(disk.slot_size, CACHE_DISK_SLOT_SIZE);
	ck_assert_int_eq(parse("mem:64M"), 0);
	ck_assert_str_eq(disk.path, "");
	assert_refused("disk:x:1G", "must be above");
	assert_refused("mem:1M/disk:x", "disk:PATH:SIZE");
	assert_refused("mem:1M/disk::1G", "disk:PATH:SIZE");
	assert_refused("mem:1M/disk:x:1G/mem:1G", "the last");
	assert_refused("mem:1M/disk:x:1G/disk:y:1G", "the last");
	assert_refused("mem:1M/disk:x:1K", "at least 1M");
	assert_refused("mem:1M/disk:x:1G,block=2K", "4K, 8K");
	assert_refused("mem:1M/disk:x:1G,size=2K", "ways=N");
}
END_TEST

START_TEST(what_is_printed_is_read_again)
{
	static const char *const texts[] = {"mem:1M", "mem:3G,ways=256", "mem:1025K,hash=modulo,policy=adaptive",
					    "mem:7M,ways=1,hash=neighbours,policy=s3fifo"};
	char text[CACHE_SPEC_LEVEL_SIZE];

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		ck_assert_int_eq(cache_spec_parse_level(texts[i], &levels[0], error, sizeof(error)), 0);
		ck_assert_str_eq(cache_spec_print(&levels[0], text), texts[i]);
	}
}
END_TEST

START_TEST(a_level_on_a_disk_is_printed_and_read_again)
{
	static const char *const texts[] = {"disk:/a/b:2M", "disk:x:y:3G,ways=8,hash=xxh,policy=s3fifo,block=16K"};
	char text[CACHE_SPEC_DISK_SIZE];

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		ck_assert_int_eq(cache_spec_parse_disk(texts[i], &disk, error, sizeof(error)), 0);
		ck_assert_str_eq(cache_spec_print_disk(&disk, text), texts[i]);
		ck_assert_int_eq(cache_spec_check_disk(&disk, error, sizeof(error)), 0);
	}
	ck_assert_int_eq(cache_spec_parse_disk("mem:1M", &disk, error, sizeof(error)), -1);
	ck_assert_int_eq(cache_spec_parse_disk("disk:/a/disk:1M/disk:/b:1M", &disk, error, sizeof(error)), -1);
	ck_assert_int_eq(cache_spec_parse_disk("disk:x:65536T", &disk, error, sizeof(error)), 0);
	ck_assert_int_eq(cache_spec_check_disk(&disk, error, sizeof(error)), -1);
	ck_assert(strstr(error, "its index would take") != NULL);
	ck_assert_int_eq(cache_spec_parse_disk("disk:x:1M", &disk, error, sizeof(error)), 0);
	ck_assert_int_eq(cache_spec_check_disk(&disk, error, sizeof(error)), -1); // its own takes that
	ck_assert_str_eq(error, "disk:x:1M: at least 1028K are needed");
}
END_TEST

START_TEST(every_name_is_known)
{
	struct level_config level = {.size = 1 << 20};

	for (int i = 0; i < HASH_COUNT; i++) {
		ck_assert_int_eq(cache_spec_set(&level, "hash", hash_name((enum hash)i), error, sizeof(error)), 0);
		ck_assert_int_eq(level.hash, i);
	}
	for (int i = 0; i < POLICY_COUNT; i++) {
		ck_assert_int_eq(cache_spec_set(&level, "policy", policy_name((enum policy)i), error, sizeof(error)), 0);
		ck_assert_int_eq(level.policy, i);
	}
}
END_TEST

START_TEST(what_is_wrong_is_named)
{
	assert_refused("", "right would be mem:SIZE");
	assert_refused("mem:", "no size");
	assert_refused("mem:1X", "1X: no size");
	assert_refused("mem:1023K", "1023K: right would be at least 1M");
	assert_refused("mem:0", "at least 1M");
	assert_refused("mem:99999999T", "too large");
	assert_refused("MEM:1M", "MEM:1M: right would be");
	assert_refused("1M", "right would be mem:SIZE");
	assert_refused("mem:1M/", "right would be mem:SIZE");
	assert_refused("/mem:1M", "right would be mem:SIZE");
	assert_refused("mem:1M//mem:1M", "right would be mem:SIZE");
	assert_refused("mem:1M/floppy:1M", "floppy:1M: right would be mem:SIZE");
	assert_refused("mem:1M,", "right would be ways=N");
	assert_refused("mem:1M,ways", "ways: right would be ways=N");
	assert_refused("mem:1M,ways=", "ways=: right would be 1 to 256");
	assert_refused("mem:1M,ways=0", "ways=0: right would be 1 to 256");
	assert_refused("mem:1M,ways=-1", "ways=-1: right would be 1 to 256");
	assert_refused("mem:1M,ways=257", "ways=257: right would be 1 to 256");
	assert_refused("mem:1M,ways=4x", "ways=4x: right would be 1 to 256");
	assert_refused("mem:1M,ways=99999999999999999999", "right would be 1 to 256");
	assert_refused("mem:1M,size=2M", "size=2M: right would be ways=N");
	assert_refused("mem:1M,hash=md5", "hash=md5: right would be any, neighbours, xxh, murmur, fibonacci or modulo");
	assert_refused("mem:1M,policy=mru", "policy=mru: right would be lru, s3fifo or adaptive");
	assert_refused("mem:1M,colour=red", "colour=red: no such key");
	assert_refused("mem:1M/mem:1M/mem:1M/mem:1M/mem:1M/mem:1M/mem:1M/mem:1M/mem:1M", "more than 8 levels");
}
END_TEST

START_TEST(long_texts_are_refused)
{
	char text[10000];

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	assert_refused(text, "longer than");
	memcpy(text, "mem:1M,policy=", 14);
	text[4000] = '\0';
	assert_refused(text, "right would be lru");
	memset(text, '/', sizeof(text) - 1);
	assert_refused(text, "longer than");
}
END_TEST

// An index is made at once: what can not fit must not be tried.
START_TEST(more_than_the_machine_has_is_refused)
{
	ck_assert_int_eq(parse("mem:1M/mem:2M"), 0);
	ck_assert_int_eq(cache_spec_check(levels, count, error, sizeof(error)), 0);
	ck_assert_int_eq(parse("mem:1M/mem:99999T"), 0);
	ck_assert_int_eq(cache_spec_check(levels, count, error, sizeof(error)), -1);
	ck_assert_ptr_nonnull(strstr(error, "mem:99999T: this machine has"));
	ck_assert_int_eq(cache_spec_check(levels, 0, error, sizeof(error)), -1);
	levels[0].size = 4096;
	ck_assert_int_eq(cache_spec_check(levels, 1, error, sizeof(error)), -1);
	ck_assert_ptr_nonnull(strstr(error, "mem:4K: right would be at least 1M"));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("cache_spec");
	TCase *tcase = tcase_create("cache_spec");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, levels_are_read_top_to_bottom);
	tcase_add_test(tcase, the_last_may_be_on_a_disk);
	tcase_add_test(tcase, what_is_printed_is_read_again);
	tcase_add_test(tcase, a_level_on_a_disk_is_printed_and_read_again);
	tcase_add_test(tcase, every_name_is_known);
	tcase_add_test(tcase, what_is_wrong_is_named);
	tcase_add_test(tcase, long_texts_are_refused);
	tcase_add_test(tcase, more_than_the_machine_has_is_refused);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
