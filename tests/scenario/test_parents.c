// SPDX-License-Identifier: MIT
// The parent is another one than it was: it died and another took its place, or it left in order. What a node may then
// still believe of the writes that it had sent (protocol.md R13, G2, G4). A first reader of the core found the first
// four of these broken.
#include "tests/scenario/steps.h"

#include <check.h>
#include <stdlib.h>

// A root A, a proxy P that keeps what it is sent, and C, whose write it has taken.
static struct scenario *
taken_by_the_proxy(void)
{
	struct scenario *scenario = steps_create();

	steps_root(scenario, "A");
	steps_keep_dirty(scenario, true);
	steps_child(scenario, "P", "A", true);
	steps_keep_dirty(scenario, false);
	steps_child(scenario, "C", "P", true);
	steps_write(scenario, "C", 'c');
	scenario_run(scenario, 200);
	ck_assert_uint_eq(scenario_count(scenario, "C -> P  FLUSH"), 1);
	ck_assert_int_eq(scenario_stored(scenario, 7), '.');
	return scenario;
}

// Another proxy takes the place of P.
static void
replace_proxy(struct scenario *scenario)
{
	steps_child(scenario, "Q", "A", true);
	scenario_move(scenario, "C", "Q");
	scenario_run(scenario, 2000);
}

// R13: kill -9 of a proxy that had acknowledged C's FLUSH: C still has the bytes, and sends them again.
START_TEST(proxy_dies_with_what_it_took)
{
	struct scenario *scenario = taken_by_the_proxy();

	scenario_kill(scenario, "P");
	replace_proxy(scenario);
	steps_sync(scenario, "C", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'c');
	steps_read(scenario, "C", 'c');
	steps_work_again(scenario, "C");
	scenario_destroy(scenario);
}
END_TEST

// The same with another proxy between: the sessions of those below go on, and nothing of theirs is lost.
START_TEST(proxy_of_a_proxy_dies)
{
	struct scenario *scenario = steps_create();

	steps_root(scenario, "A");
	steps_keep_dirty(scenario, true);
	steps_child(scenario, "P", "A", true);
	steps_keep_dirty(scenario, false);
	scenario->config.has_driver = false;
	steps_child(scenario, "M", "P", false);
	scenario->config.has_driver = true;
	steps_child(scenario, "C", "M", true);
	steps_child(scenario, "E", "M", true);
	steps_child(scenario, "F", "M", true);
	steps_read(scenario, "F", '.'); // it writes nothing
	steps_write(scenario, "E", 'e');
	steps_write(scenario, "C", 'c');
	ck_assert_uint_ge(scenario_count(scenario, "M -> P  FLUSH"), 2);
	scenario_kill(scenario, "P");
	steps_child(scenario, "Q", "A", true);
	scenario_move(scenario, "M", "Q");
	scenario_run(scenario, 2000);
	steps_sync(scenario, "C", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'c');
	steps_sync(scenario, "F", ERR_OK);
	steps_sync(scenario, "E", ERR_OK);
	steps_work_again(scenario, "C");
	steps_work_again(scenario, "E");
	scenario_destroy(scenario);
}
END_TEST

// The same with the root itself.
START_TEST(root_dies_with_what_it_took)
{
	struct scenario *scenario = steps_create();

	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_keep_dirty(scenario, false);
	steps_child(scenario, "C", "A", true);
	steps_write(scenario, "C", 'c');
	ck_assert_uint_eq(scenario_count(scenario, "C -> A  FLUSH"), 1);
	scenario_kill(scenario, "A");
	steps_root(scenario, "R");
	scenario_move(scenario, "C", "R");
	scenario_run(scenario, 4 * STEPS_HB_TTL_MS);
	steps_sync(scenario, "C", ERR_LOST);
	steps_sync(scenario, "C", ERR_OK);
	steps_work_again(scenario, "C");
	scenario_destroy(scenario);
}
END_TEST

// The root dies while C holds bytes that it has not sent: they reach the disk, or the fsync fails.
START_TEST(root_dies_before_it_took_anything)
{
	struct scenario *scenario = steps_create();
	struct request *sync;

	steps_root(scenario, "A");
	steps_keep_dirty(scenario, true);
	steps_child(scenario, "C", "A", true);
	steps_write(scenario, "C", 'c');
	ck_assert_uint_eq(scenario_count(scenario, "C -> A  FLUSH"), 0);
	scenario_kill(scenario, "A");
	steps_root(scenario, "R");
	scenario_move(scenario, "C", "R");
	scenario_run(scenario, 4 * STEPS_HB_TTL_MS);
	sync = scenario_sync(scenario, "C");
	scenario_run(scenario, 1000);
	ck_assert(sync->ended);
	ck_assert(sync->io.error == ERR_LOST || (sync->io.error == ERR_OK && scenario_stored(scenario, 7) == 'c'));
	steps_work_again(scenario, "C");
	scenario_destroy(scenario);
}
END_TEST

// A proxy that leaves in order has brought everything up, and says so: no fsync fails for it.
START_TEST(proxy_leaves_in_order)
{
	struct scenario *scenario = taken_by_the_proxy();

	world_stop(scenario_node(scenario, "P"));
	scenario_run(scenario, 1000);
	ck_assert(scenario_node(scenario, "P")->stopped);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'c');
	replace_proxy(scenario);
	steps_sync(scenario, "C", ERR_OK);
	steps_read(scenario, "C", 'c');
	steps_work_again(scenario, "C");
	scenario_destroy(scenario);
}
END_TEST

// The same with bytes that C has not sent when the proxy is asked to leave.
START_TEST(proxy_leaves_in_order_with_a_writer_below)
{
	struct scenario *scenario = steps_create();

	steps_root(scenario, "A");
	steps_keep_dirty(scenario, true);
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "C", "P", true);
	steps_write(scenario, "C", 'c');
	world_stop(scenario_node(scenario, "P"));
	scenario_run(scenario, 1000);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'c');
	replace_proxy(scenario);
	steps_sync(scenario, "C", ERR_OK);
	steps_read(scenario, "C", 'c');
	steps_work_again(scenario, "C");
	scenario_destroy(scenario);
}
END_TEST

// P's answer to what C has brought is lost with the link; C sends it again, and P's farewell crosses that. A, which C brings it to,
// has it from P, under whose name C brings it. (seed 822543)
START_TEST(proxy_leaves_in_order_as_bytes_are_sent_again)
{
	struct scenario *scenario = steps_create();

	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", true);
	scenario_child(scenario, "C", "P", 100, 100, true);
	scenario_connect(scenario, "C");
	scenario_run(scenario, 500);
	steps_write(scenario, "C", 'c');
	scenario_forget(scenario);
	world_stop(scenario_node(scenario, "P"));
	while (scenario_count(scenario, "P -> C  OK_REPLY volume=2 block=7") == 0)
		scenario_run(scenario, 1);
	world_cut(scenario_node(scenario, "C"), 0, 0, 10 * 1000);
	scenario_hold(scenario, "A", "P", true);
	scenario_forget(scenario);
	while (scenario_count(scenario, "P -> C  OK_REPLY name=") == 0)
		scenario_run(scenario, 1);
	scenario_hold(scenario, "A", "P", false);
	while (!scenario_node(scenario, "P")->stopped)
		scenario_run(scenario, 1);
	scenario_run(scenario, 200);
	ck_assert_uint_eq(scenario_count(scenario, "C -> P  FLUSH"), 1);
	ck_assert_uint_eq(scenario_count(scenario, "P -> C  OK_REPLY volume=2"), 0);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'c');
	scenario_move(scenario, "C", "A");
	scenario_run(scenario, 4 * STEPS_HB_TTL_MS);
	ck_assert_uint_eq(scenario_count(scenario, "C -> A  RECOVER RECOVERY_OP volume=1 block=7 perm=NO"), 1);
	steps_sync(scenario, "C", ERR_OK);
	steps_read(scenario, "C", 'c');
	steps_work_again(scenario, "C");
	scenario_destroy(scenario);
}
END_TEST

// C has left Q for P, which is about to leave: the grant of C's claim comes when P has nothing of its children any more to take back,
// and only waits for its own bytes. It has to take back that block, too. (seed 765259)
START_TEST(proxy_leaves_in_order_as_a_claim_is_granted)
{
	struct scenario *scenario = steps_create();

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "Q", "A", true);
	scenario_child(scenario, "C", "Q", 100, 100, true);
	scenario_connect(scenario, "C");
	scenario_run(scenario, 500);
	steps_write_block(scenario, "P", 3, 'p');
	steps_write(scenario, "C", 'c');
	scenario_hold(scenario, "A", "P", true);
	steps_leave(scenario, "C", "P", 0);
	scenario_run(scenario, 600);
	ck_assert_uint_eq(scenario_count(scenario, "P -> A  RECOVER RECOVERY_OP volume=1 block=7 perm=WRITE"), 1);
	world_stop(scenario_node(scenario, "P"));
	scenario_run(scenario, 50);
	scenario_hold(scenario, "A", "P", false);
	scenario_run(scenario, 2000);
	ck_assert(scenario_node(scenario, "P")->stopped);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'c');
	scenario_move(scenario, "C", "A");
	scenario_run(scenario, 4 * STEPS_HB_TTL_MS);
	steps_read(scenario, "C", 'c');
	steps_work_again(scenario, "C");
	scenario_destroy(scenario);
}
END_TEST

// D's bytes wait at C for room, which C has when P leaves: D hears that they are taken before it hears that P has left.
START_TEST(proxy_leaves_in_order_above_a_full_one)
{
	struct scenario *scenario = steps_create();

	steps_root(scenario, "A");
	steps_keep_dirty(scenario, true);
	steps_child(scenario, "P", "A", true);
	scenario->config.write_mode = WRITE_SEMI_SYNC;
	scenario->config.dirty_max = 1;
	scenario_child(scenario, "C", "P", 100, 100, true);
	scenario_connect(scenario, "C");
	scenario->config.write_mode = WRITE_ASYNC;
	scenario->config.dirty_max = 8192;
	steps_child(scenario, "D", "C", true);
	scenario_run(scenario, 1000);
	steps_write(scenario, "D", 'd');
	scenario_forget(scenario);
	world_stop(scenario_node(scenario, "P"));
	scenario_run(scenario, 1000);
	ck_assert(scenario_node(scenario, "P")->stopped);
	ck_assert_uint_eq(scenario_count(scenario, "C -> D  DISCONNECT"), 1);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'd');
	scenario_move(scenario, "C", "A");
	scenario_run(scenario, 4 * STEPS_HB_TTL_MS);
	steps_sync(scenario, "D", ERR_OK);
	steps_read(scenario, "D", 'd');
	steps_work_again(scenario, "D");
	scenario_destroy(scenario);
}
END_TEST

START_TEST(root_leaves_in_order)
{
	struct scenario *scenario = steps_create();

	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_keep_dirty(scenario, false);
	steps_child(scenario, "C", "A", true);
	steps_write(scenario, "C", 'c');
	world_stop(scenario_node(scenario, "A"));
	scenario_run(scenario, 1000);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'c');
	scenario_node(scenario, "A")->disks[0] = NULL; // R's now
	steps_root(scenario, "R");
	scenario_move(scenario, "C", "R");
	scenario_run(scenario, 4 * STEPS_HB_TTL_MS);
	steps_sync(scenario, "C", ERR_OK);
	steps_read(scenario, "C", 'c');
	steps_work_again(scenario, "C");
	scenario_destroy(scenario);
}
END_TEST

// C's bytes cross the root's farewell: that has answered all that the root has taken, so these are sent again to the next one.
START_TEST(root_leaves_in_order_as_a_write_arrives)
{
	struct scenario *scenario = steps_create();
	struct request *write;

	steps_root(scenario, "A");
	steps_child(scenario, "C", "A", true);
	world_stop(scenario_node(scenario, "A"));
	write = scenario_write_sync(scenario, "C", 7, 'c');
	scenario_run(scenario, 1000);
	ck_assert_uint_eq(scenario_count(scenario, "C -> A  PUT FORCE_SYNC"), 1);
	ck_assert(scenario_node(scenario, "A")->stopped);
	scenario_node(scenario, "A")->disks[0] = NULL; // R's now
	steps_root(scenario, "R");
	scenario_move(scenario, "C", "R");
	scenario_run(scenario, 4 * STEPS_HB_TTL_MS);
	request_expect_ok(write);
	steps_sync(scenario, "C", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'c');
	steps_work_again(scenario, "C");
	scenario_destroy(scenario);
}
END_TEST

// The answer to C's write is lost, and the root stops before C sends it again: that must not come to R behind what others write.
START_TEST(root_leaves_in_order_as_a_write_is_sent_again)
{
	struct scenario *scenario = steps_create();
	struct request *write;

	scenario->world->moving = true;
	steps_root(scenario, "A");
	steps_child(scenario, "C", "A", true);
	scenario_hold(scenario, "A", "C", true);
	write = scenario_write_sync(scenario, "C", 7, 'c');
	scenario_run(scenario, 15);
	ck_assert_uint_eq(scenario_count(scenario, "block=7 perm=WRITE ttl"), 1);
	world_cut(scenario_node(scenario, "C"), 0, 0, 10 * 1000);
	scenario_run(scenario, 1);
	scenario_hold(scenario, "A", "C", false);
	scenario_run(scenario, 44); // C has connected again
	world_stop(scenario_node(scenario, "A"));
	scenario_run(scenario, 1000);
	ck_assert_uint_eq(scenario_count(scenario, "C -> A  PUT FORCE_SYNC"), 2);
	ck_assert(scenario_node(scenario, "A")->stopped);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'c');
	scenario_node(scenario, "A")->disks[0] = NULL; // R's now
	steps_root(scenario, "R");
	steps_child(scenario, "B", "R", true);
	steps_read(scenario, "B", 'c');
	steps_write(scenario, "B", 'b');
	scenario_move(scenario, "C", "R");
	scenario_run(scenario, 4 * STEPS_HB_TTL_MS);
	request_expect_ok(write);
	steps_read(scenario, "B", 'b');
	steps_read(scenario, "C", 'b');
	scenario_destroy(scenario);
}
END_TEST

// The root is about to leave, so that C's write waits at P: for the next root, to which P goes on. But C has been told the farewell,
// too: what P grants it after that, in a session that is over, covers nothing that C writes.
START_TEST(root_leaves_in_order_as_a_write_waits_below)
{
	struct scenario *scenario = steps_create();
	struct request *write;

	scenario->world->moving = true;
	scenario->config.hb_ttl_ms = 10 * STEPS_HB_TTL_MS; // C's next heartbeat is far away
	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", false);
	steps_child(scenario, "C", "P", true);
	steps_child(scenario, "B", "A", true);
	steps_write(scenario, "B", 'b');
	scenario_hold(scenario, "B", "A", true);
	world_stop(scenario_node(scenario, "A"));
	scenario_run(scenario, 50);
	write = scenario_write_half(scenario, "C", 7, 'c');
	scenario_run(scenario, 50);
	ck_assert_uint_eq(scenario_count(scenario, "C -> P  GET"), 1);
	scenario_hold(scenario, "B", "A", false);
	scenario_run(scenario, 50);
	ck_assert_uint_eq(scenario_count(scenario, "P -> C  DISCONNECT"), 1);
	ck_assert(scenario_node(scenario, "A")->stopped);
	scenario_restart(scenario, "A");
	scenario_run(scenario, 200);
	scenario_read(scenario, "B", 7);
	scenario_run(scenario, 4 * STEPS_HB_TTL_MS);
	request_expect_ok(write);
	steps_sync(scenario, "C", ERR_OK);
	ck_assert_uint_le(scenario_count(scenario, "C -> P  LOCK"), 1);
	steps_work_again(scenario, "C");
	scenario_destroy(scenario);
}
END_TEST

// C gives its block up, with the bytes, and A makes them durable and leaves; neither the answer nor the farewell gets to C. What C
// brings to the next one is what A's storage has. (seed 703272)
START_TEST(root_leaves_in_order_with_what_was_given_up)
{
	struct scenario *scenario = steps_create();

	steps_keep_dirty(scenario, true);
	scenario->world->moving = true;
	steps_root(scenario, "A");
	steps_child(scenario, "C", "A", true);
	steps_write(scenario, "C", 'c');
	scenario_hold(scenario, "A", "C", true);
	world_stop(scenario_node(scenario, "A"));
	scenario_run(scenario, 50);
	ck_assert_uint_eq(scenario_deliver(scenario, "A", "C", 1), 1); // INVALIDATE
	scenario_run(scenario, 1000);
	ck_assert_uint_eq(scenario_count(scenario, "C -> A  FLUSH volume"), 1);
	ck_assert_uint_eq(scenario_count(scenario, "C <- A  DISCONNECT"), 0);
	ck_assert(scenario_node(scenario, "A")->stopped);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'c');
	scenario_restart(scenario, "A");
	steps_child(scenario, "B", "A", true);
	steps_read(scenario, "B", 'c');
	steps_write(scenario, "B", 'b');
	scenario_hold(scenario, "A", "C", false);
	scenario_run(scenario, 4 * STEPS_HB_TTL_MS);
	steps_sync(scenario, "C", ERR_OK);
	steps_read(scenario, "B", 'b');
	steps_read(scenario, "C", 'b');
	steps_work_again(scenario, "C");
	scenario_destroy(scenario);
}
END_TEST

// The same, but C was cut off, and A has evicted it before it left: what C brings then is lost, and C is told.
START_TEST(root_leaves_in_order_without_who_was_evicted)
{
	struct scenario *scenario = steps_create();

	steps_keep_dirty(scenario, true);
	scenario->world->moving = true;
	steps_root(scenario, "A");
	steps_child(scenario, "B", "A", true);
	steps_child(scenario, "C", "A", true);
	steps_write(scenario, "C", 'c');
	steps_cut(scenario, "A", "C", 5 * STEPS_EVICTED_MS);
	world_stop(scenario_node(scenario, "A"));
	scenario_run(scenario, STEPS_EVICTED_MS);
	ck_assert(scenario_node(scenario, "A")->stopped);
	scenario_restart(scenario, "A");
	scenario_run(scenario, 6 * STEPS_EVICTED_MS);
	steps_sync(scenario, "C", ERR_LOST);
	steps_read(scenario, "C", '.');
	steps_work_again(scenario, "C");
	scenario_destroy(scenario);
}
END_TEST

// C does not hear the root's farewell itself, only its proxy does: nothing is lost for C either, however long the root
// is away.
static void
root_leaves_above_a_proxy(uint64_t away_ms)
{
	struct scenario *scenario = taken_by_the_proxy();

	world_stop(scenario_node(scenario, "A"));
	scenario_run(scenario, 1000);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'c');
	scenario_run(scenario, away_ms);
	scenario_node(scenario, "A")->disks[0] = NULL;
	steps_root(scenario, "R");
	scenario_move(scenario, "P", "R");
	scenario_run(scenario, 8 * STEPS_HB_TTL_MS);
	steps_sync(scenario, "C", ERR_OK);
	steps_read(scenario, "C", 'c');
	steps_work_again(scenario, "C");
	scenario_destroy(scenario);
}

START_TEST(root_leaves_in_order_above_a_proxy)
{
	root_leaves_above_a_proxy(10);
}
END_TEST

START_TEST(root_is_away_for_long_above_a_proxy)
{
	root_leaves_above_a_proxy(4 * STEPS_HB_TTL_MS);
}
END_TEST

// R13: A leaves two volumes, and P hears of the second from G a while after the first. C would give its link to P up after the
// first: so it hears of both together. Else it would keep what is durable, and if P died, a later root could not know that.
// (seed 520323)
START_TEST(root_leaves_two_volumes_above_a_proxy)
{
	static const char *const way[][2] = {{"G", "A"}, {"P", "G"}, {"C", "P"}};
	struct scenario *scenario = steps_create();

	scenario->world->moving = true;
	scenario->config.hb_ttl_ms = 10 * STEPS_HB_TTL_MS; // the next heartbeats are far away
	steps_root(scenario, "A");
	world_add_root_volume(scenario_node(scenario, "A"), "other", disk_create(SCENARIO_BLOCK_SIZE, 16), false);
	for (unsigned i = 0; i < 3; i++) {
		scenario_child(scenario, way[i][0], way[i][1], 10, 10, true);
		world_add_child_volume(scenario_node(scenario, way[i][0]), "other", false);
		scenario_connect(scenario, way[i][0]);
		scenario_run(scenario, 500);
	}
	scenario_hold(scenario, "G", "P", true);
	world_stop(scenario_node(scenario, "A"));
	scenario_run(scenario, 50);
	ck_assert_uint_eq(scenario_count(scenario, "G -> P  DISCONNECT"), 2);
	ck_assert_uint_eq(scenario_deliver(scenario, "G", "P", 1), 1);
	scenario_run(scenario, 50);
	scenario_hold(scenario, "G", "P", false);
	scenario_run(scenario, 50);
	ck_assert_uint_eq(scenario_count(scenario, "P -> C  DISCONNECT"), 2);
	scenario_destroy(scenario);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("parents");
	TCase *tcase = tcase_create("parents");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, proxy_dies_with_what_it_took);
	tcase_add_test(tcase, proxy_of_a_proxy_dies);
	tcase_add_test(tcase, root_dies_with_what_it_took);
	tcase_add_test(tcase, root_dies_before_it_took_anything);
	tcase_add_test(tcase, proxy_leaves_in_order);
	tcase_add_test(tcase, proxy_leaves_in_order_with_a_writer_below);
	tcase_add_test(tcase, proxy_leaves_in_order_as_bytes_are_sent_again);
	tcase_add_test(tcase, proxy_leaves_in_order_as_a_claim_is_granted);
	tcase_add_test(tcase, proxy_leaves_in_order_above_a_full_one);
	tcase_add_test(tcase, root_leaves_in_order);
	tcase_add_test(tcase, root_leaves_in_order_with_what_was_given_up);
	tcase_add_test(tcase, root_leaves_in_order_without_who_was_evicted);
	tcase_add_test(tcase, root_leaves_in_order_as_a_write_arrives);
	tcase_add_test(tcase, root_leaves_in_order_as_a_write_is_sent_again);
	tcase_add_test(tcase, root_leaves_in_order_as_a_write_waits_below);
	tcase_add_test(tcase, root_leaves_in_order_above_a_proxy);
	tcase_add_test(tcase, root_is_away_for_long_above_a_proxy);
	tcase_add_test(tcase, root_leaves_two_volumes_above_a_proxy);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
