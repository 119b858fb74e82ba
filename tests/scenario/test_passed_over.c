// SPDX-License-Identifier: MIT
// A parent that is away is passed over by the claims of who was below it (protocol.md F4), and can be given the same blocks back by
// the claims of others who were. It is evicted before any of those is, and what it brings is not taken for written over.
#include "tests/scenario/steps.h"

#include <check.h>

// The root A with B and P; Q is a child of P, and C one of Q. C has the block. P is cut off, and Q goes to the root, which gives
// it the block, as it was P's above C. C goes to P, which takes it back, as it was Q's, and writes by its own lease.
static struct scenario *
tree_passed_over(void)
{
	struct scenario *scenario = steps_create();

	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "B", "A", true);
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "Q", "P", true);
	steps_child(scenario, "C", "Q", true);
	steps_write(scenario, "C", 'c');
	steps_write_block(scenario, "P", 8, 'p'); // its session has something left
	steps_cut(scenario, "P", "A", 4 * STEPS_EVICTED_MS);
	steps_leave(scenario, "Q", "A", 0);
	steps_leave(scenario, "C", "P", 200);
	scenario_run(scenario, 400);
	steps_write(scenario, "P", 'p');
	scenario_run(scenario, 600);
	ck_assert_uint_eq(scenario_count(scenario, "A -> Q  OK_REPLY volume=1 block=7 perm=WRITE"), 1);
	ck_assert_uint_eq(scenario_count(scenario, "P -> C  OK_REPLY volume=3 block=7 perm=WRITE"), 1);
	return scenario;
}

// B writes, when Q has evicted C, whose session with it is over. (seed 1066404)
START_TEST(writer_who_is_passed_over)
{
	struct scenario *scenario = tree_passed_over();
	struct request *b = scenario_write_half(scenario, "B", 7, 'b');

	scenario_run(scenario, 2 * STEPS_EVICTED_MS);
	request_expect_ok(b);
	scenario_run(scenario, 4 * STEPS_EVICTED_MS);
	steps_sync(scenario, "P", ERR_LOST);
	steps_work_again(scenario, "P");
	scenario_destroy(scenario);
}
END_TEST

// The same when it is Q that is evicted, which has no time left to evict C.
START_TEST(writer_who_is_passed_over_for_one_who_dies)
{
	struct scenario *scenario = tree_passed_over();
	struct request *b;

	steps_cut(scenario, "Q", "A", 4 * STEPS_EVICTED_MS);
	b = scenario_write_half(scenario, "B", 7, 'b');
	scenario_run(scenario, 2 * STEPS_EVICTED_MS);
	request_expect_ok(b);
	scenario_run(scenario, 4 * STEPS_EVICTED_MS);
	steps_sync(scenario, "P", ERR_LOST);
	steps_work_again(scenario, "P");
	scenario_destroy(scenario);
}
END_TEST

// C, which had the block below P, claims it by way of Q, and Q writes; the root, which granted that, dies. P is there before Q, and is
// granted the block, as C has it below it, for all that the next root knows. P evicts C, and writes
// behind a gap. Q's bytes are not of
// anybody who was evicted; but nobody who had the block from then on has seen them. (seed 1155652)
START_TEST(bytes_in_the_gap_of_another)
{
	struct scenario *scenario = steps_create();
	struct request *p;

	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "Q", "A", true);
	steps_child(scenario, "C", "P", true);
	steps_write(scenario, "C", 'c');
	steps_sync(scenario, "C", ERR_OK); // so P has the bytes, too, with which it goes on
	steps_cut(scenario, "P", "A", 900);
	scenario_kill(scenario, "A");
	scenario_restart(scenario, "A");
	steps_leave(scenario, "C", "Q", 0);
	scenario_run(scenario, 300);
	steps_write(scenario, "Q", 'q');
	scenario_kill(scenario, "A");
	scenario_restart(scenario, "A");
	steps_cut(scenario, "Q", "A", 900);
	scenario_run(scenario, 1800);
	p = scenario_write_half(scenario, "P", 7, 'p');
	scenario_run(scenario, 2 * STEPS_EVICTED_MS);
	request_expect_ok(p);
	steps_sync(scenario, "Q", ERR_LOST);
	steps_work_again(scenario, "Q");
	scenario_destroy(scenario);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("passed_over");
	TCase *tcase = tcase_create("passed_over");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, writer_who_is_passed_over);
	tcase_add_test(tcase, writer_who_is_passed_over_for_one_who_dies);
	tcase_add_test(tcase, bytes_in_the_gap_of_another);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
