// SPDX-License-Identifier: MIT
// Rights that change while they are used.
#include "tests/scenario/inside.h"
#include "tests/scenario/steps.h"

#include <check.h>
#include <stdlib.h>

// The root A with its children B and C; nobody brings anything up before he must.
static struct scenario *
make(void)
{
	struct scenario *scenario = steps_create();

	scenario->config.io_timeout_ms = 20 * 1000;
	steps_keep_dirty(scenario, true);
	scenario_root(scenario, "A");
	steps_child(scenario, "B", "A", true);
	steps_child(scenario, "C", "A", true);
	scenario_run(scenario, 500);
	return scenario;
}

// B may not write any more: what it has written and not sent comes home, is durable by its next fsync, and others go on with it.
START_TEST(a_writer_may_only_read)
{
	struct scenario *scenario = make();
	struct request *write;

	steps_write(scenario, "B", 'b');
	steps_write_block(scenario, "B", 3, 'b');
	steps_right(scenario, "B", RIGHT_READ);
	scenario_run(scenario, 500);
	write = scenario_write(scenario, "B", 7, 'x');
	scenario_run(scenario, 500);
	request_expect_error(write, ERR_READ_ONLY);
	steps_read(scenario, "B", 'b');
	steps_read(scenario, "C", 'b');
	steps_sync(scenario, "B", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'b');
	steps_write(scenario, "C", 'c');
	steps_read(scenario, "B", 'c');
	steps_read_block(scenario, "C", 3, 'b');
	ck_assert_uint_eq(scenario_count(scenario, "B -> A  RECOVER"), 0); // its session has gone on
	scenario_destroy(scenario);
}
END_TEST

// A write that waits for the block when the right is lowered fails, and does not happen later.
START_TEST(a_write_that_waits_fails)
{
	struct scenario *scenario = make();
	struct request *write;

	steps_write(scenario, "C", 'c');
	scenario_hold(scenario, "C", "A", true);
	write = scenario_write(scenario, "B", 7, 'b');
	scenario_run(scenario, 200);
	request_expect_waiting(write);
	steps_right(scenario, "B", RIGHT_READ);
	scenario_run(scenario, 200);
	request_expect_error(write, ERR_READ_ONLY);
	scenario_hold(scenario, "C", "A", false);
	steps_read(scenario, "B", 'c');
	steps_read(scenario, "C", 'c');
	scenario_destroy(scenario);
}
END_TEST

// B may do nothing any more: its bytes come home first, then its link is closed, and it does not come in again. Nobody waits for
// it.
START_TEST(a_writer_is_shut_out)
{
	struct scenario *scenario = make();
	struct request *read;

	steps_write(scenario, "B", 'b');
	steps_read_block(scenario, "B", 2, '.');
	scenario_forget(scenario);
	steps_right(scenario, "B", RIGHT_NONE);
	scenario_run(scenario, 500);
	ck_assert_uint_eq(scenario_count(scenario, "B -> A  FLUSH"), 1);
	ck_assert_uint_ge(scenario_count(scenario, "A -> B  ERR_REPLY status=19"), 1);
	steps_read(scenario, "C", 'b');
	steps_write(scenario, "C", 'c');
	steps_write_block(scenario, "C", 2, 'c');
	read = scenario_read(scenario, "B", 7);
	scenario_run(scenario, 10);
	request_expect_error(read, ERR_DENIED);
	ck_assert_uint_eq(scenario_count(scenario, "B -> A  GET"), 0);
	steps_right(scenario, "B", RIGHT_WRITE);
	scenario_run(scenario, 3000);
	steps_read(scenario, "B", 'c');
	steps_work_again(scenario, "B");
	scenario_destroy(scenario);
}
END_TEST

// The writer is below a proxy, and the proxy's right is lowered: the bytes come through it.
START_TEST(a_proxy_may_only_read)
{
	struct scenario *scenario = steps_tree();
	struct request *write;

	steps_write(scenario, "C", 'c');
	steps_write_block(scenario, "E", 2, 'e');
	steps_right(scenario, "P", RIGHT_READ);
	scenario_run(scenario, 500);
	steps_read(scenario, "B", 'c');
	write = scenario_write(scenario, "C", 7, 'x');
	scenario_run(scenario, 500);
	request_expect_error(write, ERR_READ_ONLY);
	steps_sync(scenario, "C", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'c');
	steps_sync(scenario, "E", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 2), 'e');
	steps_write(scenario, "B", 'b');
	steps_read(scenario, "C", 'b');
	scenario_destroy(scenario);
}
END_TEST

// A child that comes to a proxy which may only read is told so. When the proxy may write again, so may the child.
START_TEST(a_proxy_may_write_again)
{
	struct scenario *scenario = steps_tree();
	struct request *write;

	steps_right(scenario, "P", RIGHT_READ);
	scenario_run(scenario, 500);
	steps_child(scenario, "F", "P", true);
	write = scenario_write(scenario, "F", 7, 'x');
	scenario_run(scenario, 500);
	request_expect_error(write, ERR_READ_ONLY);
	steps_right(scenario, "P", RIGHT_WRITE);
	scenario_run(scenario, 1000);
	steps_write(scenario, "F", 'f');
	steps_read(scenario, "B", 'f');
	scenario_destroy(scenario);
}
END_TEST

// B does not answer: within a lease it is cut off, and then treated as one who fell silent.
START_TEST(who_gives_nothing_back_is_evicted)
{
	struct scenario *scenario = make();
	struct request *write;

	steps_write(scenario, "B", 'b');
	scenario_hold(scenario, "B", "A", true);
	steps_right(scenario, "B", RIGHT_READ);
	write = scenario_write(scenario, "C", 7, 'c');
	scenario_run(scenario, STEPS_EVICTED_MS);
	request_expect_ok(write);
	scenario_hold(scenario, "B", "A", false);
	scenario_run(scenario, 3000);
	steps_read_at_last(scenario, "B", 'c');
	steps_sync(scenario, "B", ERR_LOST);
	ck_assert_uint_eq(scenario->world->rescue_count, 1);
	write = scenario_write(scenario, "B", 7, 'x');
	scenario_run(scenario, 500);
	request_expect_error(write, ERR_READ_ONLY);
	scenario_destroy(scenario);
}
END_TEST

// The same with heartbeats and no answer to recalls, and a link that breaks and is there again all the time: that does not give it
// more time.
START_TEST(who_comes_back_again_and_again_has_no_more_time)
{
	struct scenario *scenario = make();
	struct request *write;

	steps_write(scenario, "B", 'b');
	steps_right(scenario, "B", RIGHT_READ);
	write = scenario_write(scenario, "C", 7, 'c');
	for (int i = 0; i < 30; i++) {
		world_cut(scenario_node(scenario, "B"), 0, 0, 1000); // 10 ms from each other: no answer gets through
		scenario_run(scenario, 15);
	}
	ck_assert(!write->ended || scenario_count(scenario, "B -> A  FLUSH") > 0);
	scenario_run(scenario, STEPS_EVICTED_MS);
	request_expect_ok(write);
	scenario_destroy(scenario);
}
END_TEST

// Right back: B connects anew, and writes.
START_TEST(a_reader_may_write)
{
	struct scenario *scenario = make();
	struct request *write;

	steps_right(scenario, "B", RIGHT_READ);
	scenario_run(scenario, 500);
	steps_read(scenario, "B", '.');
	write = scenario_write(scenario, "B", 7, 'b');
	scenario_run(scenario, 500);
	request_expect_error(write, ERR_READ_ONLY);
	steps_right(scenario, "B", RIGHT_WRITE);
	scenario_run(scenario, 500);
	steps_read(scenario, "B", '.');
	steps_work_again(scenario, "B");
	scenario_destroy(scenario);
}
END_TEST

// A PUT is applied, and its answer lost with the link; before B repeats it, its right is lowered. What it then reads are its own
// bytes, and not what it had before.
START_TEST(a_put_whose_answer_is_lost)
{
	struct scenario *scenario = make();
	struct request *write;

	steps_read(scenario, "B", '.'); // it has a copy
	scenario_hold(scenario, "A", "B", true);
	write = scenario_write_sync(scenario, "B", 7, 'b');
	scenario_run(scenario, 200);
	world_cut(scenario_node(scenario, "B"), 0, 0, 100 * 1000);
	scenario_hold(scenario, "A", "B", false);
	steps_right(scenario, "B", RIGHT_READ);
	scenario_run(scenario, 1000);
	ck_assert(write->ended);
	steps_read(scenario, "C", 'b');
	steps_read(scenario, "B", 'b');
	steps_write(scenario, "C", 'c');
	steps_read(scenario, "B", 'c');
	scenario_destroy(scenario);
}
END_TEST

// B asks for another block while it is asked for what it has. Nothing more is granted, not even what nobody has. (seed 14)
START_TEST(nothing_more_is_granted)
{
	struct scenario *scenario = make();
	struct request *write;

	steps_write(scenario, "B", 'b');
	scenario_forget(scenario);
	write = scenario_write(scenario, "B", 8, 'x'); // crosses the recall
	steps_right(scenario, "B", RIGHT_READ);
	scenario_run(scenario, 500);
	request_expect_error(write, ERR_READ_ONLY);
	ck_assert_uint_eq(scenario_count(scenario, "A -> B  OK_REPLY volume=1 block=8 perm=WRITE"), 0);
	steps_read_block(scenario, "C", 8, '.');
	steps_read(scenario, "C", 'b');
	scenario_destroy(scenario);
}
END_TEST

// B reads, under a lease that is over, what it has for writing: so it asks for WRITE, which it has no right to any more. It may
// read all the same. (seed 14)
START_TEST(a_read_that_asks_for_too_much)
{
	struct scenario *scenario = make();
	struct request *read;

	steps_write(scenario, "B", 'b');
	scenario_run(scenario, 25 * 1000);
	scenario_forget(scenario);
	read = scenario_read(scenario, "B", 7);
	steps_right(scenario, "B", RIGHT_READ);
	scenario_run(scenario, 1000);
	ck_assert_uint_ge(scenario_count(scenario, "B -> A  LOCK volume=1 block=7 perm=WRITE"), 1); // or it tests nothing
	request_expect_letter(read, 'b');
	steps_read(scenario, "C", 'b');
	scenario_destroy(scenario);
}
END_TEST

// B asks for a block while its right is taken away: that fails like all that B wants, at once, and B goes on when it has its right
// again. (seed 33)
START_TEST(a_read_that_crosses)
{
	struct scenario *scenario = make();
	struct request *read;

	steps_write(scenario, "B", 'b');
	read = scenario_read(scenario, "B", 2);
	steps_right(scenario, "B", RIGHT_NONE);
	scenario_run(scenario, 500);
	request_expect_error(read, ERR_DENIED);
	steps_right(scenario, "B", RIGHT_WRITE);
	scenario_run(scenario, 3000);
	steps_read_block(scenario, "B", 2, '.');
	steps_work_again(scenario, "B");
	scenario_destroy(scenario);
}
END_TEST

// The right of P is taken away: what waits at the leaves below it fails, at every hop, and what they ask for then. They connect
// anew, are told the same, and go on when P has its right again.
START_TEST(a_proxy_is_shut_out)
{
	struct scenario *scenario = make();
	struct request *read, *write, *sync;

	steps_child(scenario, "P", "A", false);
	steps_child(scenario, "Q", "P", false);
	steps_child(scenario, "D", "Q", true);
	scenario_run(scenario, 500);
	steps_write_block(scenario, "D", 3, 'd');
	steps_write(scenario, "C", 'c');
	scenario_hold(scenario, "C", "A", true); // it does not give the block back
	read = scenario_read(scenario, "D", 7);
	write = scenario_write(scenario, "D", 7, 'd');
	scenario_run(scenario, 200);
	request_expect_waiting(read);
	request_expect_waiting(write);
	steps_right(scenario, "P", RIGHT_NONE);
	scenario_run(scenario, 500);
	request_expect_error(read, ERR_DENIED);
	request_expect_error(write, ERR_DENIED);
	steps_read_block(scenario, "B", 3, 'd'); // that came home
	read = scenario_read(scenario, "D", 9);
	write = scenario_write(scenario, "D", 9, 'x');
	sync = scenario_sync(scenario, "D");
	scenario_run(scenario, 10);
	request_expect_error(read, ERR_DENIED);
	request_expect_error(write, ERR_DENIED);
	ck_assert(sync->ended);
	scenario_hold(scenario, "C", "A", false);
	steps_right(scenario, "P", RIGHT_WRITE);
	scenario_run(scenario, 5000);
	steps_read(scenario, "D", 'c');
	steps_read_block(scenario, "D", 9, '.');
	steps_work_again(scenario, "D");
	scenario_destroy(scenario);
}
END_TEST

// While B is away its right is taken; it has dirty bytes. Its fsync fails, since nobody takes them. It does not come in, is evicted
// when C wants the block.
START_TEST(taken_away_while_away)
{
	struct scenario *scenario = make();
	struct request *write, *sync;

	steps_write(scenario, "B", 'b');
	world_cut(scenario_node(scenario, "B"), 0, 0, 500 * 1000);
	steps_right(scenario, "B", RIGHT_NONE);
	sync = scenario_sync(scenario, "B");
	scenario_run(scenario, 400);
	request_expect_waiting(sync);
	scenario_run(scenario, 200);
	request_expect_error(sync, ERR_DENIED);
	write = scenario_write(scenario, "C", 7, 'c');
	scenario_run(scenario, STEPS_EVICTED_MS);
	request_expect_ok(write);
	steps_right(scenario, "B", RIGHT_WRITE);
	scenario_run(scenario, 3000);
	steps_sync(scenario, "B", ERR_LOST);
	steps_read(scenario, "B", 'c');
	steps_work_again(scenario, "B");
	scenario_destroy(scenario);
}
END_TEST

int
main(void)
{
	const TTest *const cases[] = {
		a_writer_may_only_read,		   a_write_that_waits_fails,
		a_writer_is_shut_out,		   a_proxy_may_only_read,
		who_gives_nothing_back_is_evicted, who_comes_back_again_and_again_has_no_more_time,
		a_reader_may_write,		   a_put_whose_answer_is_lost,
		taken_away_while_away,		   nothing_more_is_granted,
		a_read_that_asks_for_too_much,	   a_read_that_crosses,
		a_proxy_is_shut_out,		   a_proxy_may_write_again,
	};
	Suite *suite = suite_create("rights");
	TCase *tcase = tcase_create("rights");
	SRunner *runner;
	int failed;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		tcase_add_test(tcase, cases[i]);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
