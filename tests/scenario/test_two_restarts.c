// SPDX-License-Identifier: MIT
// A root dies right behind its grace time, before those who have claimed something in it have its answers (protocol.md F6,
// core/reclaims.h).
#include "tests/scenario/inside.h"
#include "tests/scenario/steps.h"

#include <check.h>
#include <stdlib.h>

enum { LEASE_MS = STEPS_HB_TTL_MS, EVICTED_MS = STEPS_EVICTED_MS };

// It dies as soon as it serves others, and the next one comes at once; its children after ${ms}.
static void
die_with_the_answers(struct scenario *scenario, uint64_t ms)
{
	struct node *root = scenario_node(scenario, "A");

	steps_near_the_end_of_the_grace_time(scenario, 5);
	world_block(root, scenario_node(scenario, "B"), scenario->world->now + 500 * 1000);
	world_block(root, scenario_node(scenario, "P"), scenario->world->now + 500 * 1000);
	while (core_in_grace(root->core))
		scenario_run(scenario, 1);
	scenario_run(scenario, 1);
	world_cut(scenario_node(scenario, "B"), 0, 0, ms * 1000);
	if (!scenario_node(scenario, "P")->stopped)
		world_cut(scenario_node(scenario, "P"), 0, 0, ms * 1000);
	scenario_kill(scenario, "A");
	scenario_restart(scenario, "A");
}

// The leases are over when the second root comes. It grants B, and C by way of P, what they have claimed, and dies with its answers: the
// third does, or, if that dies in the same way, the fourth (_i == 1).
START_TEST(claims_of_lapsed_leases)
{
	struct scenario *scenario = steps_tree();

	steps_write(scenario, "B", 'b');
	steps_write_block(scenario, "C", 3, 'c');
	scenario_kill(scenario, "A");
	scenario_run(scenario, 2 * LEASE_MS);
	scenario_restart(scenario, "A");
	for (int i = 0; i <= _i; i++)
		die_with_the_answers(scenario, 100);
	scenario_run(scenario, EVICTED_MS);
	steps_sync(scenario, "B", ERR_OK);
	steps_sync(scenario, "C", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'b');
	ck_assert_int_eq(scenario_stored(scenario, 3), 'c');
	steps_read_at_last(scenario, "E", 'b');
	scenario_destroy(scenario);
}
END_TEST

// E has written over what B had written and not made durable (and C over that: ${twice}), and dies with it, as P does.
static struct scenario *
written_over(bool twice)
{
	struct scenario *scenario = steps_tree();

	steps_write(scenario, "B", 'b');
	if (twice)
		steps_write(scenario, "C", 'c');
	steps_write(scenario, "E", 'e');
	scenario_kill(scenario, "E");
	scenario_kill(scenario, "P");
	return scenario;
}

// B's bytes are the newest that are left, or C's (_i == 1), which shows at the end of the grace time.
START_TEST(bytes_that_were_recalled)
{
	struct scenario *scenario = written_over(_i == 1);

	world_crash(scenario_node(scenario, "A"), 0);
	scenario_run(scenario, 2 * LEASE_MS);
	scenario_restart(scenario, "A");
	die_with_the_answers(scenario, 100);
	scenario_run(scenario, EVICTED_MS);
	steps_sync(scenario, "B", ERR_OK);
	steps_sync(scenario, "C", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), _i == 1 ? 'c' : 'b');
	steps_read_at_last(scenario, "B", _i == 1 ? 'c' : 'b');
	scenario_destroy(scenario);
}
END_TEST

// B's link breaks as the third root takes them, and its answer is lost as well: they are brought again when others are served. (sim
// --crash-loop, seed 204480)
START_TEST(bytes_that_are_brought_again_after_the_grace_time)
{
	struct scenario *scenario = written_over(false);

	world_crash(scenario_node(scenario, "A"), 0);
	scenario_run(scenario, 2 * LEASE_MS);
	scenario_restart(scenario, "A");
	die_with_the_answers(scenario, 100);
	steps_near_the_end_of_the_grace_time(scenario, 100);
	scenario_forget(scenario);
	world_cut(scenario_node(scenario, "B"), 0, 0, 300 * 1000);
	scenario_run(scenario, LEASE_MS);
	ck_assert_uint_eq(scenario_count(scenario, "block=7 perm=NO data"), 1);
	steps_sync(scenario, "B", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'b');
	scenario_destroy(scenario);
}
END_TEST

// B's other block is granted at once, as its lease runs; but the bytes that it has to bring are decided about at the end only:
// until then nothing is confirmed.
START_TEST(claim_beside_bytes_that_were_recalled)
{
	struct scenario *scenario = written_over(false);

	steps_write_block(scenario, "B", 3, 'c');
	world_crash(scenario_node(scenario, "A"), 0);
	scenario_restart(scenario, "A");
	die_with_the_answers(scenario, LEASE_MS + LEASE_MS / 50);
	scenario_run(scenario, EVICTED_MS);
	steps_sync(scenario, "B", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'b');
	ck_assert_int_eq(scenario_stored(scenario, 3), 'c');
	scenario_destroy(scenario);
}
END_TEST

// Nobody knows whether a write was done, nor whether it was done once more.
START_TEST(write_whose_fate_is_unknown)
{
	struct scenario *scenario = steps_tree();
	struct request *write;

	world_block(scenario_node(scenario, "A"), scenario_node(scenario, "B"), scenario->world->now + 100 * 1000);
	write = scenario_write_sync(scenario, "B", 7, 'b');
	scenario_run(scenario, 50);
	request_expect_waiting(write);
	world_crash(scenario_node(scenario, "A"), 0);
	scenario_run(scenario, 2 * LEASE_MS);
	scenario_restart(scenario, "A");
	die_with_the_answers(scenario, 100);
	scenario_run(scenario, EVICTED_MS);
	request_expect_ok(write);
	steps_sync(scenario, "B", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'b');
	scenario_destroy(scenario);
}
END_TEST

// The second root has granted such a write to P, for C and B below it, when it dies; P claims the block of the third, but B's own claim has
// not got further than P. It may have been done, and P may give the block to others: B is told that nobody knows, and it is not done
// a third time behind what they write. (sim --crash-loop, seed 43250)
START_TEST(write_that_a_proxy_has_been_granted)
{
	struct scenario *scenario = steps_tree();
	struct request *write;
	struct node *root;

	world_block(scenario_node(scenario, "A"), scenario_node(scenario, "B"), scenario->world->now + 100 * 1000);
	write = scenario_write_sync(scenario, "B", 7, 'b');
	scenario_run(scenario, 50);
	request_expect_waiting(write);
	world_crash(scenario_node(scenario, "A"), 0);
	scenario_restart(scenario, "A");
	scenario_move(scenario, "B", "C");
	root = scenario_node(scenario, "A");
	steps_near_the_end_of_the_grace_time(scenario, 5);
	world_block(scenario_node(scenario, "P"), scenario_node(scenario, "C"), scenario->world->now + 500 * 1000);
	while (core_in_grace(root->core))
		scenario_run(scenario, 1);
	scenario_run(scenario, 20);
	world_cut(scenario_node(scenario, "C"), 0, 0, 200 * 1000);
	scenario_kill(scenario, "A");
	scenario_restart(scenario, "A");
	scenario_run(scenario, EVICTED_MS);
	request_expect_error(write, ERR_IO);
	steps_work_again(scenario, "B");
	scenario_destroy(scenario);
}
END_TEST

// B held its bytes to the end, and the second root took them; but it had served C, too, when it died, and the third knows nothing of what
// is on the storage. That was promised: what B held before is no older than the first root.
START_TEST(bytes_that_were_held_to_the_end)
{
	struct scenario *scenario = steps_tree();

	steps_write(scenario, "B", 'b');
	steps_read(scenario, "E", 'b');
	world_crash(scenario_node(scenario, "A"), 0);
	scenario_restart(scenario, "A");
	scenario_forget(scenario);
	while (scenario_count(scenario, "block=7 perm=READ data") == 0)
		scenario_run(scenario, 1);
	scenario_run(scenario, 12);
	world_block(scenario_node(scenario, "A"), scenario_node(scenario, "B"), scenario->world->now + 500 * 1000);
	world_cut(scenario_node(scenario, "B"), 0, 0, 3 * LEASE_MS * 1000);
	scenario_run(scenario, 2 * LEASE_MS);
	steps_write(scenario, "C", 'c');
	steps_sync(scenario, "C", ERR_OK);
	scenario_kill(scenario, "C");
	scenario_kill(scenario, "P");
	scenario_kill(scenario, "A");
	scenario_lose_versions(scenario);
	scenario_restart(scenario, "A");
	scenario_run(scenario, EVICTED_MS);
	steps_sync(scenario, "B", ERR_LOST);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'c');
	steps_read_at_last(scenario, "B", 'c');
	scenario_destroy(scenario);
}
END_TEST

// B is away in that grace time, and others are served: what it has is not on record, and is lost, as it has missed a root.
START_TEST(claim_of_who_was_away)
{
	struct scenario *scenario = steps_tree();

	steps_write(scenario, "B", 'b');
	steps_write_block(scenario, "C", 3, 'c');
	scenario_kill(scenario, "A");
	steps_cut(scenario, "B", "A", 4 * LEASE_MS);
	scenario_run(scenario, 2 * LEASE_MS);
	scenario_restart(scenario, "A");
	die_with_the_answers(scenario, 100);
	scenario_run(scenario, EVICTED_MS);
	steps_sync(scenario, "B", ERR_LOST);
	steps_sync(scenario, "C", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 3), 'c');
	steps_work_again(scenario, "B");
	scenario_destroy(scenario);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("two_restarts");
	TCase *tcase = tcase_create("two_restarts");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, claims_of_lapsed_leases, 0, 2);
	tcase_add_loop_test(tcase, bytes_that_were_recalled, 0, 2);
	tcase_add_test(tcase, bytes_that_are_brought_again_after_the_grace_time);
	tcase_add_test(tcase, claim_beside_bytes_that_were_recalled);
	tcase_add_test(tcase, write_whose_fate_is_unknown);
	tcase_add_test(tcase, write_that_a_proxy_has_been_granted);
	tcase_add_test(tcase, bytes_that_were_held_to_the_end);
	tcase_add_test(tcase, claim_of_who_was_away);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
