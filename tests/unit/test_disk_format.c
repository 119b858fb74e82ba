// SPDX-License-Identifier: MIT
// The bytes of a disk level's file.
#include "cache/disk_format.h"
#include "cache/disk_level.h"
#include "core/check.h"

#include <check.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

START_TEST(records_and_superblocks_come_back)
{
	static uint8_t bytes[DISK_SUPERBLOCK_SIZE];
	static struct disk_superblock superblock, back;
	struct disk_record record = {.number = 5, .block = (UINT64_C(1) << 48) - 1, .size = 32768}, found;
	uint8_t raw[DISK_RECORD_SIZE];
	uint32_t version;

	superblock = (struct disk_superblock){
		.generation = 7, .slot_size = 32768, .way_count = 16, .group_count = 1 << 20, .hash = HASH_XXH,
		.filling = true, .volume_count = 6};
	for (int i = 0; i < 6; i++)
		superblock.volumes[i][0] = (char)('a' + i);
	memset(superblock.id, 9, sizeof(superblock.id));
	memset(record.digest, 8, sizeof(record.digest));
	disk_superblock_write(&superblock, bytes);
	ck_assert_int_eq(disk_superblock_read(bytes, &back, &version), DISK_OURS);
	ck_assert_mem_eq(&superblock, &back, sizeof(back));
	bytes[5000] ^= 1;
	ck_assert_int_eq(disk_superblock_read(bytes, &back, &version), DISK_DAMAGED);
	disk_record_write(&superblock, 77, &record, raw);
	ck_assert(disk_record_read(&superblock, 77, raw, &found));
	ck_assert_uint_eq(found.number, 5);
	ck_assert_uint_eq(found.block, record.block);
	ck_assert_uint_eq(found.size, 32768);
	ck_assert_mem_eq(found.digest, record.digest, BLOCK_DIGEST_SIZE);
	ck_assert(!disk_record_read(&superblock, 78, raw, &found)); // it was written elsewhere
	for (int i = 0; i < DISK_RECORD_SIZE; i++) {
		raw[i] ^= 0x10;
		ck_assert(!disk_record_read(&superblock, 77, raw, &found));
		raw[i] ^= 0x10;
	}
	superblock.id[3]++; // it was formatted meanwhile
	ck_assert(!disk_record_read(&superblock, 77, raw, &found));
}
END_TEST

// A level takes no more of the medium than it is to, and hardly less.
START_TEST(its_size_is_what_it_takes)
{
	for (uint64_t size = disk_level_size_min(4096); size < UINT64_C(1) << 50; size += size / 3 + 12345)
		for (uint32_t slot = 512; slot <= 32768; slot *= 8) {
			struct disk_superblock superblock = {.slot_size = slot, .way_count = 1};

			superblock.group_count = disk_slots_within(size, slot);
			ck_assert_uint_le(disk_end(&superblock), size);
			superblock.group_count++;
			ck_assert_uint_gt(disk_end(&superblock) + DISK_EMPTY_SIZE, size); // as bytes begin at a multiple of that
		}
	ck_assert_uint_eq(disk_slots_within(disk_level_size_min(4096), 4096), 1);
	ck_assert_uint_eq(disk_slots_within(disk_level_size_min(4096) - 1, 4096), 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("disk_format");
	TCase *tcase = tcase_create("all");
	SRunner *runner;
	int failed;

	CHECK(sodium_init() >= 0);
	tcase_add_test(tcase, records_and_superblocks_come_back);
	tcase_add_test(tcase, its_size_is_what_it_takes);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
