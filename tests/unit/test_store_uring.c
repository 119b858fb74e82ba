// SPDX-License-Identifier: MIT
// The io_uring engine when the system has no memory for what is handed over.
#include "store_help.h"

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>

enum { URING_ENGINE = 1, BLOCK = 4096 };

// The engine's: counted, and made to fail when a test says so.
static int submit_calls, submit_failures;

int
io_uring_submit(struct io_uring *ring)
{
	submit_calls++;
	if (submit_failures > 0) {
		submit_failures--;
		return -ENOMEM;
	}
	return io_uring_submit_and_wait(ring, 0);
}

// With nothing in the system no completion will come: the store says when it wants to be looked at, and does not wait.
START_TEST(test_no_memory)
{
	struct test_io ios[3];
	uint8_t *bytes = help_allocate(BLOCK);
	struct store *store;

	if (help_engine_count <= URING_ENGINE)
		return;
	store = help_create(URING_ENGINE, MIB, BLOCK);
	ck_assert_uint_eq(store->ops->due_ms(store), 0);
	help_pattern(bytes, BLOCK, 1);
	for (int i = 0; i < 3; i++)
		help_submit(store, &ios[i], STORE_WRITE, (uint64_t)i * BLOCK, bytes, BLOCK);
	submit_calls = 0;
	submit_failures = 3;
	store->ops->kick(store);
	ck_assert_int_eq(submit_calls, 1);
	ck_assert_uint_gt(store->ops->due_ms(store), 0);
	ck_assert_int_eq(poll(&(struct pollfd){.fd = store->ops->poll_fd(store), .events = POLLIN}, 1, 0), 0);
	store->ops->reap(store);
	ck_assert_int_eq(submit_calls, 2);
	ck_assert_uint_gt(store->ops->due_ms(store), 0);
	help_wait(store, ios, 3);
	ck_assert_int_eq(submit_failures, 0);
	ck_assert_uint_eq(store->ops->due_ms(store), 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(ios[i].result, 0);
	help_file_has(2 * BLOCK, bytes, BLOCK);
	store->ops->close(store);
	free(bytes);
}
END_TEST

// While something is in the system its completion is what the engine waits for.
START_TEST(test_no_memory_for_more)
{
	struct test_io ios[2];
	uint8_t *bytes = help_allocate(BLOCK);
	struct store *store;

	if (help_engine_count <= URING_ENGINE)
		return;
	store = help_create(URING_ENGINE, MIB, BLOCK);
	help_submit(store, &ios[0], STORE_READ, 0, bytes, BLOCK);
	store->ops->kick(store);
	submit_failures = 1;
	help_submit(store, &ios[1], STORE_WRITE, BLOCK, bytes, BLOCK);
	store->ops->kick(store);
	ck_assert_uint_eq(store->ops->due_ms(store), 0);
	help_wait(store, ios, 2);
	ck_assert_int_eq(ios[0].result | ios[1].result, 0);
	store->ops->close(store);
	free(bytes);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("store uring");
	TCase *tcase = tcase_create("uring");
	SRunner *runner;
	int failed;

	help_find_engines();
	tcase_add_checked_fixture(tcase, help_setup, help_teardown);
	tcase_add_test(tcase, test_no_memory);
	tcase_add_test(tcase, test_no_memory_for_more);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
