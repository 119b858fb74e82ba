// SPDX-License-Identifier: MIT
// What the judge makes of a disk whose syncs fail.
#include "tests/sim/history.h"

#include <check.h>
#include <stdlib.h>

static void
write_value(struct history *history, uint64_t value)
{
	uint64_t began = history_now(history);
	uint32_t index = history_write_began(history, 0, 0, value, began);

	history_write_ended(history, 0, index, history_now(history), PLACE_ROOT);
}

static void
read_value(struct history *history, uint64_t value)
{
	uint64_t began = history_now(history);

	history_read(history, 0, 0, value, began, history_now(history));
}

// A failed sync has left 2 on the disk; the root dies, and 1 is brought again. The sync of that fails, too, and the next process finds
// 2: it may (0), but not if it was promised that 2 is durable (1). (seed 501521)
START_TEST(failed_syncs_leave_what_was_undone)
{
	static const int parents[] = {-1};
	struct history *history = history_create(1, 0);

	history_set_tree(history, parents);
	write_value(history, 1);
	history_durable(history, 0, 1);
	write_value(history, 2);
	if (_i == 1)
		history_durable(history, 0, 2);
	history_failure_over(history, history_failed(history, 0));
	read_value(history, 1);
	history_failed(history, 0);
	history_reverted(history, 0, 2);
	read_value(history, 2);
	history_durable(history, 0, 2);
	ck_assert_int_eq(history_check(history), _i == 0);
	history_destroy(history);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("history");
	TCase *tcase = tcase_create("history");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tcase, failed_syncs_leave_what_was_undone, 0, 2);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
