// SPDX-License-Identifier: MIT
// A volume that is aborted on a node: what was written there and is not known to be durable is given up and kept for the
// user, and does not appear later.
#include "tests/scenario/steps.h"

#include <check.h>
#include <stdlib.h>

static void
abort_volume_of(struct scenario *scenario, const char *name)
{
	world_step(scenario_node(scenario, name), &(struct event){.type = EVENT_ABORT, .volume = 0});
}

// C's bytes have not gone up when its parent goes away, and C is aborted. Long after they are together again, the others
// see what was there before; C's bytes are kept, and a repair that somebody else has written stands.
START_TEST(dirty_bytes_do_not_come_later)
{
	struct scenario *scenario = steps_tree();
	struct request *read;

	steps_write(scenario, "C", 'c');
	steps_cut(scenario, "C", "P", 1000);
	read = scenario_read(scenario, "C", 8);
	scenario_run(scenario, 100);
	request_expect_waiting(read);
	abort_volume_of(scenario, "C");
	scenario_run(scenario, 1);
	request_expect_error(read, ERR_ABORTED);
	ck_assert_uint_eq(scenario->world->rescue_count, 1);
	scenario_run(scenario, 2 * STEPS_EVICTED_MS);
	steps_read(scenario, "B", '.');
	steps_write(scenario, "B", 'b');
	scenario_run(scenario, 2 * STEPS_EVICTED_MS);
	steps_read(scenario, "E", 'b');
	request_expect_error(scenario_read(scenario, "C", 7), ERR_ABORTED);
	request_expect_error(scenario_sync(scenario, "C"), ERR_ABORTED);
	steps_work_again(scenario, "B");
	scenario_destroy(scenario);
}
END_TEST

// Nobody was cut off: C has the block for writing, and bytes that it has not sent. Who wants the block gets what was there
// before them.
START_TEST(the_holder_gives_up_its_bytes)
{
	struct scenario *scenario = steps_tree();

	steps_write(scenario, "C", '1');
	steps_sync(scenario, "C", ERR_OK);
	steps_write(scenario, "C", '2');
	abort_volume_of(scenario, "C");
	ck_assert_uint_eq(scenario->world->rescue_count, 1);
	steps_read(scenario, "E", '1');
	steps_write(scenario, "E", 'e');
	steps_read(scenario, "B", 'e');
	steps_work_again(scenario, "B");
	scenario_destroy(scenario);
}
END_TEST

// A has C's bytes, and has not synced them. C would send them again to the root that comes after A, for it keeps them; but it
// is aborted.
START_TEST(unstable_bytes_are_not_sent_again)
{
	struct scenario *scenario = steps_create();

	steps_root(scenario, "A");
	steps_child(scenario, "C", "A", true);
	steps_child(scenario, "B", "A", true);
	steps_write(scenario, "C", 'c');
	scenario_run(scenario, 1000); // it has gone up
	abort_volume_of(scenario, "C");
	ck_assert_uint_eq(scenario->world->rescue_count, 1);
	steps_read(scenario, "B", 'c'); // A has it
	scenario_destroy(scenario);
}
END_TEST

// The same, while a barrier and a FLUSH are under way, and their answers come afterwards.
START_TEST(answers_come_after_the_abort)
{
	struct scenario *scenario = steps_create();
	struct request *sync;

	steps_root(scenario, "A");
	steps_child(scenario, "C", "A", true);
	steps_child(scenario, "B", "A", true);
	steps_write(scenario, "C", '1');
	scenario_hold(scenario, "A", "C", true);
	sync = scenario_sync(scenario, "C");
	scenario_run(scenario, 100);
	scenario_write(scenario, "C", 7, '2');
	scenario_run(scenario, 200);
	request_expect_waiting(sync);
	abort_volume_of(scenario, "C");
	request_expect_error(sync, ERR_ABORTED);
	scenario_hold(scenario, "A", "C", false);
	scenario_run(scenario, 1000);
	scenario_run(scenario, 2 * STEPS_EVICTED_MS);
	steps_write(scenario, "B", 'b');
	steps_read(scenario, "B", 'b');
	steps_work_again(scenario, "B");
	scenario_destroy(scenario);
}
END_TEST

// C was cut off until its lease was over, and claims what it held when it is aborted.
START_TEST(aborted_while_it_claims)
{
	struct scenario *scenario = steps_tree();

	steps_write(scenario, "C", 'c');
	steps_cut(scenario, "C", "P", STEPS_HB_TTL_MS * 5 / 4);
	scenario_run(scenario, STEPS_HB_TTL_MS);
	scenario_move(scenario, "C", "A");
	scenario_hold(scenario, "A", "C", true);
	scenario_run(scenario, 1000);
	scenario_deliver(scenario, "A", "C", 1); // the answer to CONNECT
	scenario_run(scenario, 100);
	abort_volume_of(scenario, "C");
	scenario_hold(scenario, "A", "C", false);
	scenario_run(scenario, 2 * STEPS_EVICTED_MS);
	ck_assert_uint_eq(scenario->world->rescue_count, 1);
	steps_read_at_last(scenario, "B", '.');
	steps_write(scenario, "E", 'e');
	steps_read(scenario, "B", 'e');
	steps_work_again(scenario, "B");
	scenario_destroy(scenario);
}
END_TEST

// The proxy P is aborted. Its children may have read what it has written: that goes up all the same.
START_TEST(a_proxy_goes_on_for_its_children)
{
	struct scenario *scenario = steps_create();

	steps_root(scenario, "A");
	steps_keep_dirty(scenario, true);
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "C", "P", true);
	steps_child(scenario, "B", "A", true);
	steps_write(scenario, "P", 'p');
	steps_read(scenario, "C", 'p');
	abort_volume_of(scenario, "P");
	ck_assert_uint_eq(scenario->world->rescue_count, 0);
	steps_read(scenario, "B", 'p');
	steps_write(scenario, "C", 'c');
	steps_sync(scenario, "C", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'c');
	scenario_destroy(scenario);
}
END_TEST

// An aborted node leaves at once: nothing is left to be brought up, though its parent is away.
START_TEST(it_has_nothing_to_wait_for)
{
	struct scenario *scenario = steps_tree();
	struct volume_info info;

	steps_write(scenario, "C", 'c');
	steps_cut(scenario, "C", "P", 60 * 1000);
	abort_volume_of(scenario, "C");
	core_volume_info(scenario_node(scenario, "C")->core, 0, world_clock(scenario_node(scenario, "C")), &info);
	ck_assert_uint_eq(info.dirty_blocks + info.unstable_blocks, 0);
	scenario_run(scenario, 2 * STEPS_HB_TTL_MS); // the link is found broken
	world_stop(scenario_node(scenario, "C"));
	scenario_run(scenario, 100);
	ck_assert(scenario_node(scenario, "C")->stopped);
	scenario_destroy(scenario);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("abort");
	TCase *tests = tcase_create("abort");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tests, dirty_bytes_do_not_come_later);
	tcase_add_test(tests, the_holder_gives_up_its_bytes);
	tcase_add_test(tests, unstable_bytes_are_not_sent_again);
	tcase_add_test(tests, answers_come_after_the_abort);
	tcase_add_test(tests, aborted_while_it_claims);
	tcase_add_test(tests, a_proxy_goes_on_for_its_children);
	tcase_add_test(tests, it_has_nothing_to_wait_for);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
