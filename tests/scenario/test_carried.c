// SPDX-License-Identifier: MIT
// Bytes that a node could not give back to its parent, and carries to another one (protocol.md F4): under which names they may be
// recorded, and what is asked, and answered, for their sake.
#include "tests/scenario/inside.h"
#include "tests/scenario/steps.h"

#include <check.h>

// F2, R13: Q has the bytes of C, which it has acknowledged, and could not give back to P. It goes to O, where nobody answers, and has
// another name there; P evicts the one that it knows. C goes to the root. (seed 1128110)
START_TEST(bytes_at_who_has_another_name_since)
{
	struct scenario *scenario = steps_create();
	struct request *read, *write;

	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "B", "A", true);
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "O", "A", true);
	steps_child(scenario, "Q", "P", true);
	steps_child(scenario, "C", "Q", true);
	steps_write(scenario, "C", 'c');
	steps_cut(scenario, "O", "A", 8 * STEPS_EVICTED_MS);
	read = scenario_read(scenario, "B", 7);
	scenario_run(scenario, 45);
	steps_cut(scenario, "Q", "P", 8 * STEPS_EVICTED_MS);
	scenario_run(scenario, 20);
	steps_leave(scenario, "Q", "O", 0);
	scenario_run(scenario, 500);
	ck_assert_uint_eq(scenario_count(scenario, "Q -> C  OK_REPLY volume=5 block=7"), 2);
	ck_assert_uint_eq(scenario_count(scenario, "Q -> O  RECOVER RECOVERY_OP volume=4 block=7"), 1);
	world_cut(scenario_node(scenario, "C"), 0, 0, 0);
	scenario_run(scenario, 100);
	steps_leave(scenario, "C", "A", STEPS_EVICTED_MS);
	scenario_run(scenario, STEPS_EVICTED_MS);
	write = scenario_write(scenario, "B", 7, 'b');
	scenario_run(scenario, STEPS_EVICTED_MS);
	request_expect_letter(read, '.');
	request_expect_ok(write);
	steps_sync(scenario, "C", ERR_LOST);
	steps_work_again(scenario, "C");
	scenario_destroy(scenario);
}
END_TEST

// R6, F4: Q, which has C's newest bytes and could not give them back to O, brings them to P. O lets the block go for these, with
// older ones, and A waits for it: P does not answer before it has taken the newer ones. (seed 1176715)
START_TEST(bytes_that_are_decided_about_while_the_block_is_recalled)
{
	struct scenario *scenario = steps_create();
	struct request *read;

	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "B", "A", true);
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "O", "P", true);
	steps_child(scenario, "D", "O", true);
	steps_child(scenario, "Q", "O", true);
	steps_child(scenario, "C", "Q", true);
	steps_write(scenario, "C", 'c');
	steps_read(scenario, "D", 'c');
	steps_write(scenario, "C", 'd');
	read = scenario_read(scenario, "B", 7);
	scenario_run(scenario, 65);
	steps_cut(scenario, "Q", "O", 4 * STEPS_EVICTED_MS);
	scenario_run(scenario, 10);
	steps_leave(scenario, "Q", "P", 0);
	scenario_run(scenario, 500);
	ck_assert_uint_eq(scenario_count(scenario, "Q -> P  RECOVER RECOVERY_OP volume=3 block=7 perm=READ data"), 1);
	request_expect_letter(read, 'd');
	steps_sync(scenario, "C", ERR_OK);
	scenario_destroy(scenario);
}
END_TEST

// F4: C brings its bytes to A, which asks G for the block, and G Q, which has to evict D first. E's claim, which comes to G meanwhile,
// takes the place of that question, and is refused. That is no answer to the question: Q goes on with older bytes behind the gap that D
// leaves, and C has to hear it. (seed 1203948)
START_TEST(claim_in_place_of_a_question_for_bytes)
{
	struct scenario *scenario = steps_create();

	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "G", "A", true);
	steps_child(scenario, "R", "G", true);
	steps_child(scenario, "Q", "G", true);
	steps_child(scenario, "D", "Q", true);
	steps_child(scenario, "E", "D", true);
	steps_child(scenario, "C", "E", true);
	steps_write(scenario, "Q", 'q');
	steps_write(scenario, "C", 'c');
	steps_cut(scenario, "D", "Q", 4 * STEPS_EVICTED_MS);
	steps_leave(scenario, "C", "A", STEPS_EVICTED_MS);
	steps_leave(scenario, "E", "R", STEPS_EVICTED_MS + 90);
	scenario_run(scenario, STEPS_EVICTED_MS + 300);
	ck_assert_uint_eq(scenario_count(scenario, "G -> Q  INVALIDATE RECOVERY_OP volume=2 block=7 perm=READ"), 2);
	steps_sync(scenario, "C", ERR_LOST);
	steps_read_at_last(scenario, "R", 'q');
	steps_work_again(scenario, "C");
	scenario_destroy(scenario);
}
END_TEST

// F2: P, which only reads something, moves from A to Q. Its session at A is evicted, as B writes that. What C writes below P afterwards is
// recorded under the name that P has since; and when C brings its bytes by way of Q, it does not name the old one any more. _i == 1, 3: nor
// does it when it is below R, which is below P; 2, 3: when P has bytes to bring. (seed 1268409)
START_TEST(written_after_the_old_name_was_evicted)
{
	struct scenario *scenario = steps_create();
	const char *parent = _i % 2 == 0 ? "P" : "R";
	struct request *read;
	char flush[32];

	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "B", "A", true);
	steps_child(scenario, "Q", "A", true);
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "R", "P", true);
	steps_child(scenario, "C", parent, true);
	steps_write_block(scenario, "P", 8, 'p');
	steps_read_block(scenario, "B", 8, 'p');
	if (_i < 2)
		steps_sync(scenario, "P", ERR_OK);
	steps_leave(scenario, "P", "Q", 100);
	scenario_run(scenario, 500);
	read = scenario_write(scenario, "B", 8, 'b');
	scenario_run(scenario, STEPS_EVICTED_MS);
	request_expect_ok(read);
	steps_write(scenario, "C", 'c');
	read = scenario_read(scenario, "B", 7);
	snprintf(flush, sizeof(flush), "C -> %s  FLUSH", parent);
	while (scenario_count(scenario, flush) == 0)
		scenario_run(scenario, 1);
	scenario_hold(scenario, parent, "C", true); // its answer
	scenario_run(scenario, 200);
	request_expect_letter(read, 'c');
	steps_leave(scenario, "C", "Q", 100);
	scenario_hold(scenario, "Q", "C", false);
	scenario_run(scenario, 1000);
	steps_sync(scenario, "C", ERR_OK);
	scenario_destroy(scenario);
}
END_TEST

// F6: C has bytes that the root has lost, and is away in the grace time of the next one. It comes to D behind that, has a session there, and
// has to begin another before it has said anything: it names the new root by then, but B has been served meanwhile. (seed 1343788)
START_TEST(names_of_a_root_that_was_told_nothing)
{
	struct scenario *scenario = steps_create();

	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "B", "A", true);
	steps_child(scenario, "D", "A", false);
	steps_child(scenario, "C", "A", true);
	steps_write(scenario, "C", 'c');
	steps_read(scenario, "B", 'c'); // so A has the bytes, too
	world_crash(scenario_node(scenario, "A"), 1000);
	steps_leave(scenario, "C", "D", 0);
	steps_cut(scenario, "C", "D", 2 * STEPS_HB_TTL_MS);
	scenario_restart(scenario, "A");
	scenario_run(scenario, 2 * STEPS_HB_TTL_MS - 500);
	steps_read(scenario, "B", '.');
	while (scenario_count(scenario, "C -> D  CONNECT") == 0)
		scenario_run(scenario, 1);
	scenario_run(scenario, 15);
	scenario_hold(scenario, "C", "D", true);
	scenario_run(scenario, 200);
	ck_assert_uint_eq(scenario_count(scenario, "C -> D  RECOVER RECOVERY_OP"), 2); // what does not arrive, and the end of claims
	inside_moved(scenario_node(scenario, "D")->core);
	steps_leave(scenario, "C", "D", 0);
	scenario_hold(scenario, "C", "D", false);
	scenario_run(scenario, 500);
	steps_sync(scenario, "C", ERR_LOST);
	steps_read(scenario, "B", '.');
	scenario_destroy(scenario);
}
END_TEST

// The root leaves in order. C has given its block back, with the bytes; the link breaks before the answer comes, C sends the bytes once more,
// and that crosses the farewell, for which the root has waited for E. They are on stable storage. (seed 1410026)
START_TEST(bytes_that_cross_the_farewell_once_more)
{
	struct scenario *scenario = steps_create();

	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "C", "A", true);
	steps_child(scenario, "E", "A", true);
	steps_write(scenario, "C", 'c');
	steps_write_block(scenario, "E", 8, 'e');
	scenario_hold(scenario, "E", "A", true);
	world_stop(scenario_node(scenario, "A"));
	scenario_run(scenario, 22);
	ck_assert_uint_eq(scenario_count(scenario, "C -> A  FLUSH volume=1 block=7 perm=NO data"), 1);
	steps_leave(scenario, "C", "A", 0);
	scenario_run(scenario, 35); // C is back, and its bytes not
	scenario_hold(scenario, "E", "A", false);
	scenario_run(scenario, 100);
	ck_assert_uint_eq(scenario_count(scenario, "C -> A  FLUSH volume=1 block=7 perm=NO data"), 2);
	ck_assert_uint_eq(scenario_count(scenario, "A -> C  OK_REPLY volume=1 block=7\n"), 1);
	scenario_run(scenario, 500);
	scenario_restart(scenario, "A");
	scenario_run(scenario, 1000);
	steps_sync(scenario, "C", ERR_OK);
	steps_read(scenario, "E", 'c');
	scenario_destroy(scenario);
}
END_TEST

// P leaves in order, and Q, below it, dies: P waits for what Q has, until Q is evicted. C, below Q, has that, and finds P. It has no session
// there, and has to bring what it has to another node before its lease is over. (seed 1755358)
START_TEST(below_who_dies_while_the_parent_leaves)
{
	struct scenario *scenario = steps_create();

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "E", "A", true);
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "Q", "P", true);
	steps_child(scenario, "C", "Q", true);
	steps_write(scenario, "C", 'c');
	scenario_hold(scenario, "Q", "P", true);
	world_stop(scenario_node(scenario, "P"));
	scenario_run(scenario, 10);
	scenario_kill(scenario, "Q");
	scenario_run(scenario, STEPS_EVICTED_MS);
	steps_sync(scenario, "C", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'c');
	steps_read(scenario, "E", 'c');
	scenario_destroy(scenario);
}
END_TEST

// The same, and it is the root that leaves: C has no other to go to. (seed 1778605)
START_TEST(below_who_dies_while_the_root_leaves)
{
	struct scenario *scenario = steps_create();

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "Q", "A", true);
	steps_child(scenario, "C", "Q", true);
	steps_write(scenario, "C", 'c');
	scenario_hold(scenario, "Q", "A", true);
	world_stop(scenario_node(scenario, "A"));
	scenario_run(scenario, 10);
	scenario_kill(scenario, "Q");
	scenario_run(scenario, STEPS_EVICTED_MS);
	ck_assert(scenario_node(scenario, "A")->stopped);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'c');
	scenario_restart(scenario, "A");
	scenario_run(scenario, 1000);
	steps_sync(scenario, "C", ERR_OK);
	steps_read(scenario, "C", 'c');
	scenario_destroy(scenario);
}
END_TEST

// F6: what D wrote is durable, but the version log is lost. P and Q, who have the block for O, which has let it go by now, claim it, and learn that
// the root knows of nothing. That dies, too, before its grace time is over. They claim it as what it was: B's bytes are older. (seed 1700068)
START_TEST(claimed_twice_without_bytes)
{
	struct scenario *scenario = steps_create();

	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "B", "A", true);
	steps_child(scenario, "E", "A", true);
	scenario->cache_blocks = 4;
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "Q", "P", true);
	steps_child(scenario, "O", "Q", true);
	steps_child(scenario, "D", "O", true);
	steps_write(scenario, "B", 'b');
	steps_write(scenario, "D", 'd');
	steps_sync(scenario, "D", ERR_OK);
	steps_read(scenario, "O", 'd');
	for (uint64_t block = 0; block < 6; block++)
		steps_read_block(scenario, "O", block, '.');
	scenario_lose_versions(scenario);
	for (int i = 0; i < 2; i++) {
		scenario_kill(scenario, "A");
		scenario_forget(scenario);
		scenario_restart(scenario, "A");
		scenario_run(scenario, STEPS_HB_TTL_MS / 2);
	}
	scenario_run(scenario, STEPS_EVICTED_MS);
	steps_read(scenario, "E", 'd');
	scenario_destroy(scenario);
}
END_TEST

// R11: P has older bytes than D, whose claim it passes on, and keeps them for R13. It never gets D's: those are at the root. What D writes
// when the block's lease is over, and it has asked again, has a version beyond them all the same. (seed 1671834)
START_TEST(version_of_what_was_claimed_through_who_has_older_bytes)
{
	struct scenario *scenario = steps_create();

	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "B", "A", true);
	steps_child(scenario, "D", "B", true);
	steps_child(scenario, "E", "A", true);
	steps_write(scenario, "P", 'p');
	steps_write(scenario, "D", 'd');
	steps_sync(scenario, "D", ERR_OK);
	steps_leave(scenario, "D", "P", 0);
	scenario_run(scenario, 500);
	ck_assert_uint_eq(scenario_count(scenario, "P -> A  RECOVER RECOVERY_OP volume=1 block=7 perm=WRITE"), 1);
	scenario_run(scenario, STEPS_TTL_MS);
	scenario_forget(scenario);
	steps_write(scenario, "D", 'e');
	ck_assert_uint_eq(scenario_count(scenario, "P -> A  PUT volume=1 block=7 perm=WRITE"), 1);
	steps_sync(scenario, "D", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'e');
	steps_read(scenario, "E", 'e');
	scenario_destroy(scenario);
}
END_TEST

// F3: C has left A for P, and D, below C, still reads what it had from A, as it does not hear C. P leaves in order before C could say that it
// has nothing more of that, and C comes back to A: what it had there before is not over with P. (seed 1594806)
START_TEST(parent_leaves_before_all_is_given_back)
{
	struct scenario *scenario = steps_create();
	struct request *write;

	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "C", "A", true);
	steps_child(scenario, "D", "C", true);
	steps_read(scenario, "D", '.');
	world_block(scenario_node(scenario, "C"), scenario_node(scenario, "D"), scenario->world->now + 1000 * 1000);
	steps_leave(scenario, "C", "P", 0);
	scenario_run(scenario, 100);
	ck_assert_uint_eq(scenario_count(scenario, "C -> D  INVALIDATE RECOVERY_OP"), 1);
	world_stop(scenario_node(scenario, "P"));
	scenario_run(scenario, 50);
	scenario_move(scenario, "C", "A");
	write = scenario_write(scenario, "A", 7, 'a');
	scenario_run(scenario, 100);
	steps_read(scenario, "D", '.');
	request_expect_waiting(write);
	scenario_run(scenario, STEPS_EVICTED_MS);
	request_expect_ok(write);
	steps_read(scenario, "D", 'a');
	scenario_destroy(scenario);
}
END_TEST

// F5: P has asked C whether G has left it, and has not noticed that the link to C is gone when C is back on another. C has not heard the
// question, and P answers without it: so C's session is over. (seed 1587895)
START_TEST(asked_on_a_link_that_is_replaced)
{
	struct scenario *scenario = steps_create();

	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "C", "P", true);
	steps_child(scenario, "G", "C", true);
	steps_write(scenario, "G", 'g');
	world_block(scenario_node(scenario, "P"), scenario_node(scenario, "C"), scenario->world->now + 100 * 1000);
	steps_leave(scenario, "G", "A", 0);
	while (scenario_count(scenario, "P -> C  INVALIDATE RECOVERY_OP") == 0)
		scenario_run(scenario, 1);
	world_cut(scenario_node(scenario, "C"), 0, 2000 * 1000, 0);
	scenario_run(scenario, 100);
	ck_assert_uint_eq(scenario_count(scenario, "P -> A  OK_REPLY volume=1 block=7 perm=NO"), 1);
	steps_write(scenario, "G", 'h');
	steps_read_at_last(scenario, "C", 'h');
	steps_sync(scenario, "G", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'h');
	scenario_destroy(scenario);
}
END_TEST

// F5: all have left each other for longer than their leases last: A, P, Q, R, D and G had the block one below the other. G brings its bytes to
// P, whom it was below, too; they go up, and cross the grant of R's claim there. D comes to Q then, and is granted the block by A: it
// learns that its own bytes, and those that Q has kept, are not the newest. (seed 1516456) _i == 1: nor are those of X, who had the
// block between the two, and stays below D.
START_TEST(newer_bytes_than_who_passes_the_claim_has_kept)
{
	static const char *const chains[][8] = {{"A", "P", "Q", "R", "D", "G"}, {"A", "P", "Q", "R", "D", "X", "G"}};
	const char *const *chain = chains[_i];
	struct scenario *scenario = steps_create();

	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "E", "A", true);
	for (int i = 1; chain[i] != NULL; i++)
		steps_child(scenario, chain[i], chain[i - 1], true);
	for (int i = 1; chain[i] != NULL; i++)
		steps_write(scenario, chain[i], chain[i][0]);
	steps_leave(scenario, "Q", "A", STEPS_HB_TTL_MS + 100);
	steps_leave(scenario, "R", "P", STEPS_HB_TTL_MS + 240);
	steps_leave(scenario, "D", "Q", STEPS_HB_TTL_MS + 300);
	steps_leave(scenario, "G", "P", STEPS_HB_TTL_MS + 200);
	scenario_run(scenario, STEPS_HB_TTL_MS + 600);
	ck_assert_uint_eq(scenario_count(scenario, "P -> G  OK_REPLY volume=3 block=7\n"), 1);
	ck_assert_uint_eq(scenario_count(scenario, "Q -> D  OK_REPLY volume=4 block=7 perm=WRITE"), 1);
	steps_read(scenario, _i == 0 ? "D" : "X", 'G');
	steps_read(scenario, "E", 'G');
	scenario_destroy(scenario);
}
END_TEST

// F5: A, P, Q, R and G had the block one below the other, and have left each other for longer than their leases last. Z, where G and R
// come to, was above neither: it passes G's bytes on, and they cross the grant of R's claim.
START_TEST(bytes_that_cross_the_grant_of_a_claim)
{
	static const char *const chain[] = {"A", "P", "Q", "R", "G"};
	struct scenario *scenario = steps_create();

	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "E", "A", true);
	steps_child(scenario, "Z", "A", true);
	for (int i = 1; i < 5; i++)
		steps_child(scenario, chain[i], chain[i - 1], true);
	for (int i = 1; i < 5; i++)
		steps_write(scenario, chain[i], chain[i][0]);
	steps_leave(scenario, "Q", "A", STEPS_HB_TTL_MS + 100);
	steps_leave(scenario, "R", "Z", STEPS_HB_TTL_MS + 240);
	steps_leave(scenario, "G", "Z", STEPS_HB_TTL_MS + 200);
	scenario_run(scenario, STEPS_HB_TTL_MS + 305);
	scenario_hold(scenario, "Z", "A", true);
	scenario_run(scenario, 40);
	scenario_hold(scenario, "Z", "A", false);
	scenario_run(scenario, 300);
	ck_assert_uint_eq(scenario_count(scenario, "Z -> R  OK_REPLY volume=3 block=7 perm=WRITE"), 1);
	ck_assert_uint_eq(scenario_count(scenario, "Z -> G  OK_REPLY volume=3 block=7\n"), 1);
	steps_read(scenario, "R", 'G');
	steps_read(scenario, "E", 'G');
	scenario_destroy(scenario);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("carried");
	TCase *tcase = tcase_create("carried");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, bytes_at_who_has_another_name_since);
	tcase_add_test(tcase, bytes_that_are_decided_about_while_the_block_is_recalled);
	tcase_add_test(tcase, claim_in_place_of_a_question_for_bytes);
	tcase_add_loop_test(tcase, written_after_the_old_name_was_evicted, 0, 4);
	tcase_add_test(tcase, names_of_a_root_that_was_told_nothing);
	tcase_add_test(tcase, bytes_that_cross_the_farewell_once_more);
	tcase_add_test(tcase, below_who_dies_while_the_parent_leaves);
	tcase_add_test(tcase, below_who_dies_while_the_root_leaves);
	tcase_add_test(tcase, claimed_twice_without_bytes);
	tcase_add_test(tcase, version_of_what_was_claimed_through_who_has_older_bytes);
	tcase_add_test(tcase, parent_leaves_before_all_is_given_back);
	tcase_add_test(tcase, asked_on_a_link_that_is_replaced);
	tcase_add_loop_test(tcase, newer_bytes_than_who_passes_the_claim_has_kept, 0, 2);
	tcase_add_test(tcase, bytes_that_cross_the_grant_of_a_claim);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
