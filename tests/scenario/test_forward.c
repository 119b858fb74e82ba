// SPDX-License-Identifier: MIT
// Semi-synchronous writes (protocol.md R13, S18): two nodes have what was acknowledged; whoever drops its copy has the parent
// send it on (FORWARD), and has to learn if both are gone. A is the root.
#include "tests/scenario/steps.h"

#include <check.h>
#include <stdlib.h>

enum { LEASE_MS = STEPS_HB_TTL_MS, EVICTED_MS = STEPS_EVICTED_MS };

static struct scenario *
semi_sync_tree_with(uint64_t dirty_max, bool journal)
{
	struct scenario *scenario = steps_create();

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", true);
	scenario->config.write_mode = WRITE_SEMI_SYNC;
	scenario->config.dirty_max = dirty_max;
	scenario->config.journal = journal;
	scenario->config.durability = journal ? DURABILITY_LOCAL : DURABILITY_ROOT;
	steps_child(scenario, "C", "P", true);
	scenario->config.write_mode = WRITE_ASYNC;
	scenario->config.dirty_max = 8192;
	scenario->config.journal = false;
	scenario->config.durability = DURABILITY_ROOT;
	steps_child(scenario, "B", "A", true);
	scenario_forget(scenario);
	return scenario;
}

static struct scenario *
semi_sync_tree(uint64_t dirty_max)
{
	return semi_sync_tree_with(dirty_max, false);
}

// A semi-synchronous write survives its writer, or the proxy that has it, without any fsync.
START_TEST(semi_sync_survives_one_node)
{
	struct scenario *scenario = semi_sync_tree(64);

	steps_write(scenario, "C", 'c');
	ck_assert_uint_eq(scenario_count(scenario, "C -> P  FLUSH"), 1);
	ck_assert_uint_eq(scenario_count(scenario, "FORCE_SYNC"), 0);
	ck_assert_uint_eq(scenario_count(scenario, "P -> A  FLUSH"), 0);
	scenario_kill(scenario, _i == 0 ? "C" : "P");
	scenario_run(scenario, EVICTED_MS);
	steps_read_at_last(scenario, "B", 'c');
	scenario_destroy(scenario);
}
END_TEST

// C has no room to keep what it wrote: P sends it on before C drops it, and P may die then.
START_TEST(dropped_copies_are_forwarded)
{
	struct scenario *scenario = semi_sync_tree(4);
	struct request *write;

	for (unsigned i = 0; i < 10; i++) {
		write = scenario_write(scenario, "C", i, 'c');
		scenario_run(scenario, 200);
		request_expect_ok(write);
	}
	ck_assert_uint_ge(scenario_count(scenario, "C -> P  FORWARD"), 1);
	ck_assert_uint_eq(scenario_count(scenario, "FORCE_SYNC"), 0);
	scenario_kill(scenario, "P");
	scenario_run(scenario, LEASE_MS);
	steps_sync(scenario, "C", ERR_OK);
	for (unsigned i = 0; i < 10; i++)
		ck_assert_int_eq(scenario_stored(scenario, i), 'c');
	scenario_destroy(scenario);
}
END_TEST

// A write of C's whose fate is unknown is brought to the next root by way of P, which does not keep it: so P does not say that two
// nodes have it. (sim --crash-loop, seed 6178)
START_TEST(bytes_that_a_proxy_has_not_kept)
{
	struct scenario *scenario = steps_create();
	struct request *write;

	scenario->world->moving = true;
	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", true);
	scenario->config.write_mode = WRITE_SEMI_SYNC;
	scenario->config.dirty_max = 1;
	steps_child(scenario, "C", "A", true);
	world_block(scenario_node(scenario, "A"), scenario_node(scenario, "C"), scenario->world->now + 100 * 1000);
	write = scenario_write_sync(scenario, "C", 7, 'c');
	scenario_run(scenario, 80);
	request_expect_waiting(write);
	world_crash(scenario_node(scenario, "A"), 0);
	scenario_restart(scenario, "A");
	scenario_move(scenario, "C", "P");
	scenario_forget(scenario);
	scenario_run(scenario, 2 * LEASE_MS);
	ck_assert_uint_eq(scenario_count(scenario, "P -> A  RECOVER FORCE_SYNC"), 1);
	request_expect_ok(write);
	ck_assert_uint_ge(scenario_count(scenario, "C -> P  FORWARD"), 1);
	ck_assert_uint_eq(scenario_count(scenario, "P -> C  ERR_REPLY volume=2 block=7 status=10"), 1);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'c'); // so C asks for a barrier
	scenario_destroy(scenario);
}
END_TEST

// C's fsync has promised that its journal keeps what is not durable at the root: P and A may lose power. So C asks for a barrier
// instead, and forgets nothing before.
START_TEST(journaled_copies_are_not_left_to_others)
{
	struct scenario *scenario = semi_sync_tree_with(4, true);
	struct request *write;

	for (unsigned i = 0; i < 10; i++) {
		write = scenario_write(scenario, "C", i, 'c');
		scenario_run(scenario, 200);
		request_expect_ok(write);
	}
	ck_assert_uint_eq(scenario_count(scenario, "C -> P  FORWARD"), 0);
	ck_assert_uint_ge(scenario_count(scenario, "C -> P  FLUSH FORCE_SYNC"), 1);
	scenario_destroy(scenario);
}
END_TEST

// The node that P sent it to dies, too: the next fsync says that writes may be lost. _i == 1: C goes to Q, which has bytes to bring from
// then, and so names the root also by the name that it had: that is not there any more. (seed 1448267)
START_TEST(forwarded_copies_may_be_lost)
{
	struct scenario *scenario = semi_sync_tree(4);
	struct request *write;

	for (unsigned i = 0; i < 10; i++) {
		write = scenario_write(scenario, "C", i, 'c');
		scenario_run(scenario, 200);
		request_expect_ok(write);
	}
	if (_i == 1) {
		steps_child(scenario, "Q", "A", true);
		steps_write_block(scenario, "Q", 12, 'q');
		steps_write_block(scenario, "A", 12, 'a');
	}
	scenario_kill(scenario, "P");
	scenario_kill(scenario, "A");
	scenario_restart(scenario, "A");
	if (_i == 0)
		scenario_restart(scenario, "P");
	else
		scenario_move(scenario, "C", "Q");
	scenario_run(scenario, EVICTED_MS);
	ck_assert_uint_eq(scenario_node(scenario, "C")->losses_told, 1); // there is nothing to rescue, but the reason is told
	steps_sync(scenario, "C", ERR_LOST);
	steps_sync(scenario, "C", ERR_OK);
	scenario_destroy(scenario);
}
END_TEST

// The node that P sent it to dies alone: P has it, and brings it up again, though C has to claim anew what it holds.
START_TEST(forwarded_copies_are_with_the_parent)
{
	struct scenario *scenario = semi_sync_tree(4);
	struct request *write;

	for (unsigned i = 0; i < 10; i++) {
		write = scenario_write(scenario, "C", i, 'c');
		scenario_run(scenario, 200);
		request_expect_ok(write);
	}
	ck_assert_uint_ge(scenario_count(scenario, "C -> P  FORWARD"), 1);
	scenario_forget(scenario);
	scenario_kill(scenario, "A");
	scenario_restart(scenario, "A");
	scenario_run(scenario, EVICTED_MS);
	ck_assert_uint_ge(scenario_count(scenario, "C -> P  RECOVER"), 1);
	ck_assert_uint_eq(scenario_node(scenario, "C")->losses_told, 0);
	steps_sync(scenario, "C", ERR_OK);
	for (unsigned i = 0; i < 10; i++)
		ck_assert_int_eq(scenario_stored(scenario, i), 'c');
	scenario_destroy(scenario);
}
END_TEST

// A barrier was on its way when C left bytes to the others: it does not cover them.
START_TEST(forwarded_copies_behind_a_barrier)
{
	struct scenario *scenario = semi_sync_tree(4);
	struct request *sync, *write;

	scenario->disk->sync_us = 3000 * 1000;
	steps_write_block(scenario, "C", 0, 'c');
	sync = scenario_sync(scenario, "C");
	scenario_run(scenario, 100);
	for (unsigned i = 1; i < 10; i++) {
		write = scenario_write(scenario, "C", i, 'c');
		scenario_run(scenario, 100);
		request_expect_ok(write);
	}
	ck_assert_uint_ge(scenario_count(scenario, "C -> P  FORWARD"), 1);
	request_expect_waiting(sync);
	while (!sync->ended)
		scenario_run(scenario, 10);
	request_expect_ok(sync);
	scenario_kill(scenario, "P");
	scenario_kill(scenario, "A");
	scenario->disk->sync_us = 0;
	scenario_restart(scenario, "A");
	scenario_restart(scenario, "P");
	scenario_run(scenario, EVICTED_MS);
	steps_sync(scenario, "C", ERR_LOST);
	steps_sync(scenario, "C", ERR_OK);
	scenario_destroy(scenario);
}
END_TEST

// G and H have what C left to them. The root is started anew, so that they get other names; then G dies. C still knows that the
// node above is H. (seed 110054)
START_TEST(forwarded_copies_are_at_a_node_with_another_name)
{
	struct scenario *scenario = steps_create();
	struct request *write;

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "H", "A", true);
	steps_child(scenario, "G", "H", true);
	scenario->config.write_mode = WRITE_SEMI_SYNC;
	scenario->config.dirty_max = 4;
	steps_child(scenario, "C", "G", true);
	for (unsigned i = 0; i < 10; i++) {
		write = scenario_write(scenario, "C", i, 'c');
		scenario_run(scenario, 200);
		request_expect_ok(write);
	}
	ck_assert_uint_ge(scenario_count(scenario, "C -> G  FORWARD"), 1);
	for (int i = 0; i < 2; i++) {
		scenario_kill(scenario, "A");
		scenario_restart(scenario, "A");
		scenario_run(scenario, LEASE_MS / 4);
	}
	scenario_forget(scenario);
	scenario_kill(scenario, "G");
	scenario_run(scenario, 2 * LEASE_MS);
	ck_assert_uint_ge(scenario_count(scenario, "C -> H  CONNECT"), 1);
	ck_assert_uint_eq(scenario_node(scenario, "C")->losses_told, 0);
	steps_sync(scenario, "C", ERR_OK);
	for (unsigned i = 0; i < 10; i++)
		ck_assert_int_eq(scenario_stored(scenario, i), 'c');
	scenario_destroy(scenario);
}
END_TEST

// G has what C left to it and to H, and dies. C is configured with Q, which is below A alone: it goes to H nevertheless.
START_TEST(forwarded_copies_are_further_up)
{
	struct scenario *scenario = steps_create();
	struct request *write;

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "H", "A", true);
	steps_child(scenario, "G", "H", true);
	steps_child(scenario, "Q", "G", true);
	scenario->config.write_mode = WRITE_SEMI_SYNC;
	scenario->config.dirty_max = 4;
	steps_child(scenario, "C", "G", true);
	steps_leave(scenario, "C", "Q", 0); // so it is told to dial that one
	scenario_run(scenario, 500);
	scenario_kill(scenario, "Q");
	scenario_run(scenario, 500); // C is at G
	scenario_restart(scenario, "Q");
	steps_leave(scenario, "Q", "A", 0);
	for (unsigned i = 0; i < 10; i++) {
		write = scenario_write(scenario, "C", i, 'c');
		scenario_run(scenario, 200);
		request_expect_ok(write);
	}
	ck_assert_uint_ge(scenario_count(scenario, "C -> G  FORWARD"), 1);
	scenario_forget(scenario);
	scenario_kill(scenario, "G");
	scenario_run(scenario, LEASE_MS);
	ck_assert_uint_ge(scenario_count(scenario, "C -> H  CONNECT"), 1);
	ck_assert_uint_eq(scenario_node(scenario, "C")->losses_told, 0);
	steps_sync(scenario, "C", ERR_OK);
	for (unsigned i = 0; i < 10; i++)
		ck_assert_int_eq(scenario_stored(scenario, i), 'c');
	scenario_destroy(scenario);
}
END_TEST

// G and H have what C left to them, and H reads it. H is evicted, as it is cut off for long, and G dies. C goes to H, which is the
// process that it was: it has to learn that H loses what it has, a moment later (0) or earlier (1). (seed 502379)
START_TEST(forwarded_copies_are_at_a_node_that_loses_them)
{
	struct scenario *scenario = steps_create();

	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "B", "A", true);
	steps_child(scenario, "H", "A", true);
	steps_child(scenario, "G", "H", true);
	scenario->config.write_mode = WRITE_SEMI_SYNC;
	scenario->config.dirty_max = 4;
	steps_child(scenario, "C", "G", true);
	for (unsigned i = 0; i < 4; i++)
		steps_write_block(scenario, "C", i, 'c');
	scenario_run(scenario, 1000);
	ck_assert_uint_ge(scenario_count(scenario, "C -> G  FORWARD"), 1);
	for (unsigned i = 0; i < 4; i++)
		steps_read_block(scenario, "H", i, 'c');
	scenario_hold(scenario, "H", "A", true);
	scenario_hold(scenario, "A", "H", true);
	scenario_run(scenario, EVICTED_MS);
	for (unsigned i = 0; i < 4; i++)
		steps_write_block(scenario, "B", i, 'b');
	scenario_kill(scenario, "G");
	scenario_forget(scenario);
	if (_i == 0)
		scenario_move(scenario, "C", "H");
	scenario_run(scenario, 100);
	scenario_hold(scenario, "H", "A", false);
	while (scenario_count(scenario, "A -> H  ERR_REPLY") < 2) { // the claims, the bytes
		scenario_run(scenario, 1);
		scenario_deliver(scenario, "A", "H", 1);
	}
	ck_assert_uint_eq(scenario_count(scenario, "H -> C  OK_REPLY name"), _i == 0);
	scenario_deliver(scenario, "A", "H", 1);
	if (_i == 1)
		scenario_move(scenario, "C", "H");
	scenario_run(scenario, 100);
	scenario_hold(scenario, "A", "H", false);
	scenario_run(scenario, LEASE_MS);
	steps_sync(scenario, "C", ERR_LOST);
	steps_sync(scenario, "C", ERR_OK);
	scenario_destroy(scenario);
}
END_TEST

// P and A have what C left to them, and has no more in its small cache. P goes to X, a child of A's, and dies before X has that; then
// A dies. C, who has heard of X, does not take it for A under another name, and is told of the loss.
START_TEST(forwarded_copies_are_not_with_who_comes_between)
{
	struct scenario *scenario = steps_create();
	struct request *write;

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "X", "A", true);
	steps_child(scenario, "P", "A", true);
	scenario->config.write_mode = WRITE_SEMI_SYNC;
	scenario->config.dirty_max = 4;
	scenario->cache_blocks = 8;
	steps_child(scenario, "C", "P", true);
	for (unsigned i = 0; i < 10; i++) {
		write = scenario_write(scenario, "C", i, 'c');
		scenario_run(scenario, 200);
		request_expect_ok(write);
	}
	ck_assert_uint_ge(scenario_count(scenario, "C -> P  FORWARD"), 1);
	scenario_forget(scenario);
	steps_leave(scenario, "P", "X", 0);
	while (scenario_count(scenario, "X -> A  RECOVER") == 0)
		scenario_run(scenario, 1);
	scenario_hold(scenario, "P", "X", true);
	scenario_run(scenario, 100);
	ck_assert_uint_ge(scenario_count(scenario, "P -> X  RECOVER RECOVERY_OP volume=2"), 1);
	scenario_kill(scenario, "P");
	scenario_kill(scenario, "A");
	scenario_restart(scenario, "A");
	scenario_run(scenario, 2 * EVICTED_MS);
	ck_assert_uint_eq(scenario_node(scenario, "C")->losses_told, 1);
	steps_sync(scenario, "C", ERR_LOST);
	scenario_destroy(scenario);
}
END_TEST

// C sends a barrier while P sends on what C wants to drop: that was brought up before, so the barrier covers it. When both of
// those who had it are gone, nothing is lost.
START_TEST(forwarded_copies_before_a_barrier)
{
	struct scenario *scenario = semi_sync_tree(4);
	struct request *sync;

	scenario_hold(scenario, "A", "P", true); // but for grants
	for (unsigned i = 0; i < 4; i++) {
		struct request *write = scenario_write(scenario, "C", i, 'c');

		for (unsigned k = 0; k < 2; k++) {
			scenario_run(scenario, 50);
			scenario_deliver(scenario, "A", "P", 1);
		}
		scenario_run(scenario, 50);
		request_expect_ok(write);
	}
	ck_assert_uint_ge(scenario_count(scenario, "C -> P  FORWARD"), 1);
	sync = scenario_sync(scenario, "C");
	scenario_run(scenario, 100);
	request_expect_waiting(sync);
	scenario_hold(scenario, "A", "P", false);
	scenario_run(scenario, 200);
	request_expect_ok(sync);
	scenario_kill(scenario, "P");
	scenario_kill(scenario, "A");
	scenario_restart(scenario, "A");
	scenario_restart(scenario, "P");
	scenario_run(scenario, EVICTED_MS);
	ck_assert_uint_eq(scenario_node(scenario, "C")->losses_told, 0);
	steps_sync(scenario, "C", ERR_OK);
	scenario_destroy(scenario);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("forward");
	TCase *tcase = tcase_create("forward");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, semi_sync_survives_one_node, 0, 2);
	tcase_add_test(tcase, dropped_copies_are_forwarded);
	tcase_add_test(tcase, bytes_that_a_proxy_has_not_kept);
	tcase_add_test(tcase, journaled_copies_are_not_left_to_others);
	tcase_add_loop_test(tcase, forwarded_copies_may_be_lost, 0, 2);
	tcase_add_test(tcase, forwarded_copies_are_with_the_parent);
	tcase_add_test(tcase, forwarded_copies_are_at_a_node_with_another_name);
	tcase_add_loop_test(tcase, forwarded_copies_are_at_a_node_that_loses_them, 0, 2);
	tcase_add_test(tcase, forwarded_copies_are_further_up);
	tcase_add_test(tcase, forwarded_copies_behind_a_barrier);
	tcase_add_test(tcase, forwarded_copies_are_not_with_who_comes_between);
	tcase_add_test(tcase, forwarded_copies_before_a_barrier);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
