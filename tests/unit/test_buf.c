// SPDX-License-Identifier: MIT
#include "core/buf.h"
#include "core/limits.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { BUFS = 10000, BLOCK_SIZE = 512 };

// Buffers do not share bytes, and come back, in whatever order.
START_TEST(buffers_come_back)
{
	static struct buf *bufs[BUFS];
	struct buf_pool *pool = buf_pool_create(BLOCK_SIZE);

	for (int round = 0; round < 2; round++) {
		for (unsigned i = 0; i < BUFS; i++) {
			bufs[i] = buf_alloc(pool);
			memset(buf_bytes(bufs[i]), (int)(i % 251), BLOCK_SIZE);
		}
		ck_assert_uint_eq(buf_pool_used(pool), BUFS);
		for (unsigned i = 0; i < BUFS; i++) {
			struct buf *buf = bufs[i * 7 % BUFS];

			ck_assert_uint_eq(buf_bytes(buf)[0], i * 7 % BUFS % 251);
			ck_assert_uint_eq(buf_bytes(buf)[BLOCK_SIZE - 1], i * 7 % BUFS % 251);
			ck_assert(!buf_is_shared(buf));
			buf_unref(buf);
		}
		ck_assert_uint_eq(buf_pool_used(pool), 0);
	}
	buf_pool_destroy(pool);
}
END_TEST

// G6: children that ask for one block again and again, on many links, hold it as often as answers fit their links.
START_TEST(one_block_is_in_many_answers)
{
	uint32_t each = LIMIT_LINK_DATA_SIZE / BLOCK_SIZE + LIMIT_RUN_BLOCKS, count = LIMIT_LINKS * each;
	struct buf_pool *pool = buf_pool_create(BLOCK_SIZE);
	struct buf *buf = buf_alloc(pool);

	for (uint32_t i = 0; i < count; i++)
		buf_ref(buf);
	for (uint32_t i = 0; i < count; i++)
		buf_unref(buf);
	ck_assert(!buf_is_shared(buf));
	ck_assert_uint_eq(buf_pool_used(pool), 1);
	buf_unref(buf);
	buf_pool_destroy(pool);
}
END_TEST

// A proof stays with its bytes as long as these; who takes their place in memory does not have it.
START_TEST(proofs_go_with_the_bytes)
{
	struct buf_pool *pool = buf_pool_create(BLOCK_SIZE);
	struct buf *buf = buf_alloc(pool), *other = buf_alloc(pool), *next;

	ck_assert_ptr_null(buf_proof(buf));
	ck_assert_ptr_null(buf_proof(buf_zero()));
	buf_set_proof(buf, NULL, 0);
	buf_set_proof(buf, &(uint8_t){1}, 1);
	buf_set_proof(buf, &(uint8_t){2}, 1);
	ck_assert_ptr_null(buf_proof(other));
	buf_unref(buf_ref(buf));
	ck_assert_uint_eq(buf_proof(buf)->bytes[0], 2);
	buf_unref(buf);
	next = buf_alloc(pool);
	ck_assert_ptr_eq(next, buf);
	ck_assert_ptr_null(buf_proof(next));
	buf_unref(next);
	buf_unref(other);
	buf_pool_destroy(pool);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("buf");
	TCase *tcase = tcase_create("buf");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, buffers_come_back);
	tcase_add_test(tcase, one_block_is_in_many_answers);
	tcase_add_test(tcase, proofs_go_with_the_bytes);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
