// SPDX-License-Identifier: MIT
#include "cache/sum.h"

#include <check.h>
#include <string.h>

// What others compute, too.
START_TEST(known_sums)
{
	ck_assert_uint_eq(sum64((const uint8_t *)"", 0, 0), UINT64_C(0xef46db3751d8e999));
	ck_assert_uint_eq(sum64((const uint8_t *)"a", 1, 0), UINT64_C(0xd24ec4f1a98c6e5b));
	ck_assert_uint_eq(sum64((const uint8_t *)"abc", 3, 0), UINT64_C(0x44bc2cf5ad770999));
	ck_assert_uint_eq(sum64((const uint8_t *)"Nobody inspects the spammish repetition", 39, 0),
			  UINT64_C(0xfbcea83c8a378bf1));
}
END_TEST

// Whatever bit is another, so is the sum, in 32 bits, too.
START_TEST(each_bit_counts)
{
	enum { SIZE = 4096 };
	static uint8_t bytes[SIZE];
	uint32_t right;

	for (int i = 0; i < SIZE; i++)
		bytes[i] = (uint8_t)(i * 37 + i / 256);
	right = sum32(bytes, SIZE);
	for (int bit = 0; bit < SIZE * 8; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		ck_assert_uint_ne(sum32(bytes, SIZE), right);
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	ck_assert_uint_eq(sum32(bytes, SIZE), right);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("sum");
	TCase *tcase = tcase_create("sum");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, known_sums);
	tcase_add_test(tcase, each_bit_counts);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
