// SPDX-License-Identifier: MIT
// How a transfer is cut into steps, by telling it results that real storage seldom gives.
#include "store/transfer.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>

// ---- Fixture ----

static uint8_t memory[4096];
static atomic_int zero_way;
static struct transfer transfer;

// Three elements of 100, 50 and 200 bytes.
static struct iovec three[3] = {
	{.iov_base = memory, .iov_len = 100},
	{.iov_base = memory + 1000, .iov_len = 50},
	{.iov_base = memory + 2000, .iov_len = 200},
};

static struct store_io
three_io(enum store_op op)
{
	return (struct store_io){.op = op, .offset = 512, .size = 350, .iov = three, .iov_count = 3};
}

// ---- Assertions ----

static void
assert_goes_on(long result)
{
	int sys_errno = -1;

	ck_assert(!transfer_advance(&transfer, result, &sys_errno));
}

static void
assert_ends(long result, int wanted)
{
	int sys_errno = -1;

	ck_assert(transfer_advance(&transfer, result, &sys_errno));
	ck_assert_int_eq(sys_errno, wanted);
}

static void
assert_step(enum step_kind kind, uint64_t offset, int count, const void *base, size_t size)
{
	ck_assert_int_eq(transfer.kind, kind);
	ck_assert_uint_eq(transfer.offset, offset);
	ck_assert_int_eq(transfer.iov_count, count);
	ck_assert_ptr_eq(transfer.iov[0].iov_base, base);
	ck_assert_uint_eq(transfer.iov[0].iov_len, size);
}

// ---- Cases ----

// A transfer that stops inside an element does the rest of the element alone, then the whole elements; the caller's
// list stays as it was.
START_TEST(test_short)
{
	struct store_io io = three_io(STORE_WRITE);

	transfer_begin(&transfer, &io, &zero_way);
	assert_step(STEP_WRITE, 512, 3, memory, 100);
	assert_goes_on(30);
	assert_step(STEP_WRITE, 542, 1, memory + 30, 70);
	assert_goes_on(70);
	assert_step(STEP_WRITE, 612, 2, memory + 1000, 50);
	assert_goes_on(51);
	assert_step(STEP_WRITE, 663, 1, memory + 2001, 199);
	assert_ends(199, 0);
	ck_assert_ptr_eq(three[0].iov_base, memory);
	ck_assert_uint_eq(three[0].iov_len, 100);
	ck_assert_ptr_eq(three[2].iov_base, memory + 2000);
	ck_assert_uint_eq(three[2].iov_len, 200);
}
END_TEST

// The end of the file inside the volume is an error, never zeros, also after a part has been read.
START_TEST(test_end_of_file)
{
	struct store_io io = three_io(STORE_READ);

	transfer_begin(&transfer, &io, &zero_way);
	assert_ends(0, EIO);
	transfer_begin(&transfer, &io, &zero_way);
	assert_goes_on(349);
	assert_ends(0, EIO);
}
END_TEST

// Interrupted: the same step again, as often as it takes. "Not now": again, but not for ever.
START_TEST(test_again)
{
	struct store_io io = three_io(STORE_READ);
	int sys_errno = 0, tries = 0;

	transfer_begin(&transfer, &io, &zero_way);
	assert_goes_on(100);
	for (int i = 0; i < 1000; i++)
		assert_goes_on(-EINTR);
	assert_step(STEP_READ, 612, 2, memory + 1000, 50);
	while (!transfer_advance(&transfer, -EAGAIN, &sys_errno))
		ck_assert_int_lt(++tries, 1000);
	ck_assert_int_gt(tries, 0);
	ck_assert_int_eq(sys_errno, EAGAIN);
	transfer_begin(&transfer, &io, &zero_way);
	assert_ends(-ENOSPC, ENOSPC);
}
END_TEST

// A list longer than a system call takes is cut at IOV_MAX elements.
START_TEST(test_long_list)
{
	enum { COUNT = 2 * IOV_MAX + 1 };
	struct iovec *list = calloc(COUNT, sizeof(*list));
	struct store_io io = {.op = STORE_READ, .size = COUNT, .iov = list, .iov_count = COUNT};

	ck_assert_ptr_nonnull(list);
	for (int i = 0; i < COUNT; i++)
		list[i] = (struct iovec){.iov_base = memory + i % 4096, .iov_len = 1};
	transfer_begin(&transfer, &io, &zero_way);
	assert_step(STEP_READ, 0, IOV_MAX, memory, 1);
	assert_goes_on(IOV_MAX);
	assert_step(STEP_READ, IOV_MAX, IOV_MAX, memory + IOV_MAX, 1);
	assert_goes_on(IOV_MAX);
	assert_step(STEP_READ, 2 * IOV_MAX, 1, memory + 2 * IOV_MAX, 1);
	assert_ends(1, 0);
	free(list);
}
END_TEST

// Zeros: punch, else zero the range, else write; what is not supported is not tried again.
START_TEST(test_zero)
{
	struct store_io io = {.op = STORE_ZERO, .offset = 4096, .size = 3 << 20};

	atomic_store(&zero_way, ZERO_BY_PUNCH);
	transfer_begin(&transfer, &io, &zero_way);
	ck_assert_int_eq(transfer.kind, STEP_FALLOCATE);
	ck_assert_int_eq(transfer.mode, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
	ck_assert_uint_eq(transfer.size, 3 << 20);
	assert_goes_on(-EINTR);
	assert_goes_on(-EOPNOTSUPP);
	ck_assert_int_eq(transfer.mode, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE);
	ck_assert_int_eq(atomic_load(&zero_way), ZERO_BY_RANGE);
	assert_goes_on(-EOPNOTSUPP);
	ck_assert_int_eq(transfer.kind, STEP_WRITE);
	ck_assert_uint_eq(transfer.offset, 4096);
	ck_assert_uint_le(transfer.one.iov_len, 3 << 20);
	ck_assert_uint_eq(*(uint8_t *)transfer.one.iov_base, 0);
	transfer_begin(&transfer, &io, &zero_way);
	ck_assert_int_eq(transfer.kind, STEP_WRITE);
	for (uint64_t done = 0; done < io.size;) {
		uint64_t step = transfer.one.iov_len;
		int sys_errno = -1;

		ck_assert_uint_eq(transfer.offset, 4096 + done);
		done += step;
		ck_assert(transfer_advance(&transfer, (long)step, &sys_errno) == (done == io.size));
	}
}
END_TEST

// A range that the device's sectors do not fit is zeroed in another way; other ranges are punched as before. Real
// errors are told.
START_TEST(test_zero_odd)
{
	struct store_io io = {.op = STORE_ZERO, .offset = 512, .size = 512};

	atomic_store(&zero_way, ZERO_BY_PUNCH);
	transfer_begin(&transfer, &io, &zero_way);
	assert_goes_on(-EINVAL);
	assert_goes_on(-EINVAL);
	ck_assert_int_eq(transfer.kind, STEP_WRITE);
	ck_assert_int_eq(atomic_load(&zero_way), ZERO_BY_PUNCH);
	assert_ends(512, 0);
	transfer_begin(&transfer, &io, &zero_way);
	assert_ends(-ENOSPC, ENOSPC);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("transfer");
	TCase *tcase = tcase_create("steps");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tcase, test_short);
	tcase_add_test(tcase, test_end_of_file);
	tcase_add_test(tcase, test_again);
	tcase_add_test(tcase, test_long_list);
	tcase_add_test(tcase, test_zero);
	tcase_add_test(tcase, test_zero_odd);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
