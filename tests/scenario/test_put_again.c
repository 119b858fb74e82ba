// SPDX-License-Identifier: MIT
// A synchronous write of a whole block is under way, as a PUT with its bytes, when the link breaks, or its answer is (put_again.h).
#include "tests/scenario/inside.h"
#include "tests/scenario/steps.h"

#include <check.h>
#include <stdlib.h>

enum { LEASE_MS = STEPS_HB_TTL_MS };

#define CLAIM "C -> A  RECOVER FORCE_SYNC RECOVERY_OP"

// The root A, and its children C, D and E, 10 ms away.
static struct scenario *
tree(bool keep_dirty)
{
	struct scenario *scenario = steps_create();

	steps_keep_dirty(scenario, keep_dirty);
	steps_root(scenario, "A");
	steps_child(scenario, "C", "A", true);
	steps_child(scenario, "D", "A", true);
	steps_child(scenario, "E", "A", true);
	return scenario;
}

// What ${from} says to ${to} does not arrive any more: the root dies within the next ${ms}.
static void
lose(struct scenario *scenario, const char *from, const char *to, uint64_t ms)
{
	world_block(scenario_node(scenario, from), scenario_node(scenario, to), scenario->world->now + (ms + 20) * 1000);
}

// A has done C's write, and its answer does not arrive.
static struct request *
write_without_an_answer(struct scenario *scenario)
{
	struct request *write;

	lose(scenario, "A", "C", 50);
	write = scenario_write_sync(scenario, "C", 7, 'c');
	scenario_run(scenario, 50);
	ck_assert_uint_eq(scenario_count(scenario, "C -> A  PUT FORCE_SYNC"), 1);
	ck_assert_uint_eq(scenario_count(scenario, "A -> C  OK_REPLY volume=1 block=7 perm=WRITE"), 1);
	request_expect_waiting(write);
	return write;
}

static void
restart_root(struct scenario *scenario)
{
	scenario_kill(scenario, "A");
	scenario_restart(scenario, "A");
}

// In ${ms} others are served, or a moment later.
static void
run_to_the_end_of_the_grace_time(struct scenario *scenario, uint64_t ms)
{
	const struct node *root = scenario_node(scenario, "A");

	while (!core_in_grace(root->core))
		scenario_run(scenario, 1);
	scenario_run(scenario, LEASE_MS - ms);
}

// F6: the next root has it on its storage, and D wants to write there as soon as it may. It is not done a second time, behind D.
// (seed 1234183)
START_TEST(done_by_the_root_that_died)
{
	struct scenario *scenario = tree(false);
	struct request *write = write_without_an_answer(scenario), *other;

	restart_root(scenario);
	other = scenario_write(scenario, "D", 7, 'd');
	run_to_the_end_of_the_grace_time(scenario, 10);
	scenario_hold(scenario, "C", "A", true); // D comes before C then
	scenario_run(scenario, 400);
	scenario_hold(scenario, "C", "A", false);
	scenario_run(scenario, LEASE_MS);
	ck_assert_uint_eq(scenario_count(scenario, CLAIM), 1);
	request_expect_ok(write);
	request_expect_ok(other);
	steps_read(scenario, "E", 'd');
	scenario_destroy(scenario);
}
END_TEST

// F4: E has the block when the root dies, and C's write was waiting there. E claims it: so C's has not been done. It begins anew.
START_TEST(behind_a_writer_that_claims)
{
	struct scenario *scenario = tree(true);
	struct request *write;

	steps_write(scenario, "E", 'e');
	lose(scenario, "A", "E", 50);
	write = scenario_write_sync(scenario, "C", 7, 'c');
	scenario_run(scenario, 50);
	ck_assert_uint_eq(scenario_count(scenario, "A -> E  INVALIDATE"), 1);
	restart_root(scenario);
	scenario_run(scenario, 2 * LEASE_MS);
	ck_assert_uint_eq(scenario_count(scenario, CLAIM), 1);
	ck_assert_uint_eq(scenario_count(scenario, "block=7 status=10"), 1);
	request_expect_ok(write);
	steps_sync(scenario, "E", ERR_OK);
	steps_read(scenario, "D", 'c');
	scenario_destroy(scenario);
}
END_TEST

// R13: D's bytes are lost with the root, and so are C's, which were written over them. D brings them again, C claims: C's are the newer.
START_TEST(over_bytes_that_are_brought)
{
	struct scenario *scenario = tree(true);
	struct request *write;

	steps_write(scenario, "D", 'd');
	lose(scenario, "A", "C", 100);
	write = scenario_write_sync(scenario, "C", 7, 'c');
	scenario_run(scenario, 100);
	ck_assert_uint_eq(scenario_count(scenario, "A -> C  OK_REPLY volume=1 block=7 perm=WRITE"), 1);
	restart_root(scenario);
	scenario_run(scenario, 2 * LEASE_MS);
	ck_assert_uint_eq(scenario_count(scenario, "block=7 perm=NO data ttl"), 1);
	ck_assert_uint_eq(scenario_count(scenario, CLAIM), 1);
	request_expect_ok(write);
	steps_sync(scenario, "D", ERR_OK);
	steps_sync(scenario, "C", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'c');
	steps_read(scenario, "E", 'c');
	scenario_destroy(scenario);
}
END_TEST

// C's link breaks once more, in the grace time. _i == 0: it is back before that ends; _i == 1: behind, when D waits for the block, which
// has been given to C meanwhile. It is done before D's either way.
START_TEST(link_breaks_in_the_grace_time)
{
	struct scenario *scenario = tree(false);
	struct request *write = write_without_an_answer(scenario), *other;

	restart_root(scenario);
	run_to_the_end_of_the_grace_time(scenario, _i == 0 ? 1000 : 200);
	ck_assert_uint_eq(scenario_count(scenario, CLAIM), 1);
	steps_leave(scenario, "C", "A", _i == 0 ? 100 : 1000);
	other = scenario_write(scenario, "D", 7, 'd');
	scenario_run(scenario, 2 * LEASE_MS);
	ck_assert_uint_eq(scenario_count(scenario, CLAIM), 2);
	request_expect_ok(write);
	request_expect_ok(other);
	steps_read(scenario, "E", 'd');
	steps_read(scenario, "C", 'd');
	scenario_destroy(scenario);
}
END_TEST

// C comes to D, below the root that was started anew, and claims through it. What the root takes is in its memory: C's fsync goes there.
// _i == 1: D has the block, as E, below it, has written it. It claims that; so the root knows that C's write has not been done, and it
// begins anew. (seed 1497963)
START_TEST(through_another_node)
{
	struct scenario *scenario = steps_create();
	struct request *write;

	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "D", "A", true);
	steps_child(scenario, "E", "D", true);
	steps_child(scenario, "C", "A", true);
	if (_i == 1)
		steps_write(scenario, "E", 'e');
	lose(scenario, "A", "C", 50);
	if (_i == 1)
		lose(scenario, "A", "D", 50);
	write = scenario_write_sync(scenario, "C", 7, 'c');
	scenario_run(scenario, 50);
	restart_root(scenario);
	scenario_move(scenario, "C", "D");
	scenario_run(scenario, 2 * LEASE_MS);
	ck_assert_uint_eq(scenario_count(scenario, "C -> D  RECOVER FORCE_SYNC RECOVERY_OP"), 1);
	ck_assert_uint_eq(scenario_count(scenario, "D -> A  RECOVER FORCE_SYNC RECOVERY_OP"), 1);
	ck_assert_uint_eq(scenario_count(scenario, "D -> C  ERR_REPLY volume=2 block=7 status=10"), _i == 1);
	request_expect_ok(write);
	steps_sync(scenario, "C", ERR_OK);
	steps_sync(scenario, "E", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'c');
	steps_read(scenario, "E", 'c');
	scenario_destroy(scenario);
}
END_TEST

// C has bytes to bring, too, which A had recalled. D passes them on, and C's write behind them, without waiting for the answer, which comes at
// the end of the grace time: it would be too late then. (seed 1553411)
START_TEST(behind_bytes_that_are_passed_on)
{
	struct scenario *scenario = tree(true);
	struct request *write;

	steps_write(scenario, "C", 'x');
	steps_write(scenario, "A", 'a');
	scenario_forget(scenario);
	write = write_without_an_answer(scenario);
	restart_root(scenario);
	scenario_move(scenario, "C", "D");
	scenario_run(scenario, LEASE_MS / 2);
	ck_assert_uint_eq(scenario_count(scenario, "C -> D  RECOVER RECOVERY_OP volume=3 block=7 perm=NO data"), 1);
	ck_assert_uint_eq(scenario_count(scenario, "C -> D  RECOVER FORCE_SYNC RECOVERY_OP"), 1);
	scenario_run(scenario, 2 * LEASE_MS);
	request_expect_ok(write);
	steps_sync(scenario, "C", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'c');
	steps_read(scenario, "E", 'c');
	scenario_destroy(scenario);
}
END_TEST

// C's write has been done when the root dies, and D's waits there. D is first to bring it, through E, and at the end of the grace time it is done.
// Nobody has read what C wrote: that begins anew. (seed 1621811)
START_TEST(beside_another_that_is_passed_on)
{
	struct scenario *scenario = tree(true);
	struct request *write = write_without_an_answer(scenario), *other;

	lose(scenario, "A", "C", 50);
	other = scenario_write_sync(scenario, "D", 7, 'd');
	scenario_run(scenario, 50);
	restart_root(scenario);
	scenario_hold(scenario, "C", "A", true);
	scenario_move(scenario, "D", "E");
	scenario_run(scenario, 500);
	scenario_hold(scenario, "C", "A", false);
	scenario_run(scenario, 2 * LEASE_MS);
	ck_assert_uint_eq(scenario_count(scenario, "E -> A  RECOVER FORCE_SYNC RECOVERY_OP"), 1);
	request_expect_ok(write);
	request_expect_ok(other);
	steps_sync(scenario, "D", ERR_OK);
	steps_read(scenario, "D", 'c');
	steps_read(scenario, "E", 'c');
	scenario_destroy(scenario);
}
END_TEST

// G has the block when the root dies, and C's write was waiting there. G comes to C, which passes on its claim: C has the block on record
// then, but for G, and its own write has not been done.
START_TEST(beside_a_claim_that_is_passed_on)
{
	struct scenario *scenario = tree(true);
	struct request *write;

	steps_child(scenario, "G", "D", true);
	steps_write(scenario, "G", 'g');
	lose(scenario, "A", "D", 50);
	write = scenario_write_sync(scenario, "C", 7, 'c');
	scenario_run(scenario, 50);
	restart_root(scenario);
	scenario_run(scenario, 200);
	ck_assert_uint_eq(scenario_count(scenario, CLAIM), 1);
	steps_leave(scenario, "G", "C", 0);
	scenario_run(scenario, 500);
	ck_assert_uint_eq(scenario_count(scenario, "C -> A  RECOVER RECOVERY_OP"), 2); // G's, and the end of its own
	steps_write_block(scenario, "G", 7, 'h');
	request_expect_waiting(write);
	scenario_run(scenario, 2 * LEASE_MS);
	ck_assert_uint_eq(scenario_count(scenario, "block=7 status=10"), 1);
	request_expect_ok(write);
	steps_sync(scenario, "G", ERR_OK);
	steps_read(scenario, "E", 'c');
	scenario_destroy(scenario);
}
END_TEST

// D, who has been asked for the block, comes to C, which passes on its claim: what C has sent again is refused as not done. C asks D, and its
// link to the root breaks once more: it has the block for D then, and nothing to repeat. (seed 1584618)
START_TEST(refused_for_a_claim_that_is_passed_on)
{
	struct scenario *scenario = tree(true);
	struct request *write;

	steps_child(scenario, "G", "D", true);
	steps_write(scenario, "G", 'g');
	lose(scenario, "D", "G", 1000);
	write = scenario_write_sync(scenario, "C", 7, 'c');
	scenario_run(scenario, 50);
	steps_leave(scenario, "C", "A", 0);
	scenario_run(scenario, 100);
	ck_assert_uint_eq(scenario_count(scenario, "C -> A  PUT FORCE_SYNC"), 2);
	steps_leave(scenario, "D", "C", 0);
	while (scenario_count(scenario, "C -> D  INVALIDATE") == 0)
		scenario_run(scenario, 1);
	steps_write(scenario, "G", 'h');
	steps_leave(scenario, "C", "A", 0);
	scenario_run(scenario, LEASE_MS);
	ck_assert_uint_eq(scenario_count(scenario, "C -> A  PUT FORCE_SYNC"), 2);
	request_expect_ok(write);
	steps_read(scenario, "D", 'c');
	steps_read(scenario, "E", 'c');
	scenario_destroy(scenario);
}
END_TEST

// C may only read by the time that it is back: what it claims is refused, for good. What it reads it reads.
START_TEST(who_may_only_read_meanwhile)
{
	struct scenario *scenario = tree(false);
	struct request *write = write_without_an_answer(scenario);

	restart_root(scenario);
	steps_right(scenario, "C", RIGHT_READ);
	scenario_run(scenario, STEPS_EVICTED_MS);
	request_expect_error(write, ERR_IO);
	steps_read(scenario, "C", 'c'); // it was done, as it happens
	scenario_destroy(scenario);
}
END_TEST

// R18: C answers a recall of what it does not know to have, behind its write, which is done once more; the answer to that is lost, too. It
// still has the block on the record: so the write is not done a third time, behind D's. (seed 1905339)
START_TEST(recalled_before_it_is_answered)
{
	struct scenario *scenario = tree(false);
	struct request *write = write_without_an_answer(scenario), *other;

	world_cut(scenario_node(scenario, "C"), 0, 0, 200 * 1000);
	scenario_run(scenario, 20);
	other = scenario_write(scenario, "D", 7, 'd');
	scenario_forget(scenario);
	while (scenario_count(scenario, "A -> C  OK_REPLY name") == 0)
		scenario_run(scenario, 1);
	scenario_hold(scenario, "C", "A", true);
	while (scenario_count(scenario, "C -> A  OK_REPLY volume=1 block=7 perm=NO") == 0)
		scenario_run(scenario, 1);
	ck_assert_uint_eq(scenario_count(scenario, "C -> A  PUT FORCE_SYNC"), 1);
	lose(scenario, "A", "C", 30);
	scenario_hold(scenario, "C", "A", false);
	scenario_run(scenario, 30);
	ck_assert_uint_eq(scenario_count(scenario, "A -> C  OK_REPLY volume=1 block=7"), 1);
	world_cut(scenario_node(scenario, "C"), 0, 0, 500 * 1000);
	scenario_run(scenario, 400);
	request_expect_waiting(write);
	request_expect_waiting(other);
	scenario_run(scenario, 600);
	request_expect_ok(write);
	request_expect_ok(other);
	steps_read(scenario, "E", 'd');
	scenario_destroy(scenario);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("put again");
	TCase *tcase = tcase_create("put again");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, done_by_the_root_that_died);
	tcase_add_test(tcase, behind_a_writer_that_claims);
	tcase_add_test(tcase, over_bytes_that_are_brought);
	tcase_add_loop_test(tcase, link_breaks_in_the_grace_time, 0, 2);
	tcase_add_loop_test(tcase, through_another_node, 0, 2);
	tcase_add_test(tcase, behind_bytes_that_are_passed_on);
	tcase_add_test(tcase, beside_another_that_is_passed_on);
	tcase_add_test(tcase, beside_a_claim_that_is_passed_on);
	tcase_add_test(tcase, refused_for_a_claim_that_is_passed_on);
	tcase_add_test(tcase, who_may_only_read_meanwhile);
	tcase_add_test(tcase, recalled_before_it_is_answered);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
