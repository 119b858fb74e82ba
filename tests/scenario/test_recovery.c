// SPDX-License-Identifier: MIT
// Nodes die, are cut off, come back, move (protocol.md F1-F5, R13, T3, and the races of its section 6), and the root stays
// (test_restart.c). A is the root, P a proxy, C and E its children, B a child of A. Blocks that matter are read at the end by
// somebody else.
#include "tests/scenario/inside.h"
#include "tests/scenario/inside.h"
#include "tests/scenario/steps.h"

#include <check.h>
#include <stdlib.h>

enum { LEASE_MS = STEPS_HB_TTL_MS, EVICTED_MS = STEPS_EVICTED_MS };

// ---- A proxy dies ----

// F3, R13: the leaves go on at the grandparent, at once: with what they have for writing, dirty or sent up.
START_TEST(leaves_move_to_the_grandparent)
{
	struct scenario *scenario = steps_tree();
	struct request *write, *sync;

	steps_write(scenario, "C", 'c');
	scenario_kill(scenario, "P");
	scenario_run(scenario, 2 * LEASE_MS / 24); // two heartbeats
	write = scenario_write(scenario, "C", 7, 'C');
	scenario_run(scenario, 1);
	request_expect_ok(write); // served here again
	sync = scenario_sync(scenario, "C");
	scenario_run(scenario, 500);
	request_expect_ok(sync);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'C');
	steps_read_at_last(scenario, "E", 'C');
	steps_read_at_last(scenario, "B", 'C');
	scenario_destroy(scenario);
}
END_TEST

// F4: bytes that C wrote and E has for writing since: E's are newer, C's must not come back, whoever claims first.
START_TEST(newer_claim_wins)
{
	struct scenario *scenario = steps_tree();

	steps_write(scenario, "C", 'c');
	steps_write(scenario, "E", 'e');
	if (_i & 1)
		steps_cut(scenario, "E", "A", 300); // C is first
	else
		steps_cut(scenario, "C", "A", 300);
	scenario_kill(scenario, "P");
	scenario_run(scenario, LEASE_MS);
	steps_sync(scenario, "C", ERR_OK);
	steps_read_at_last(scenario, "B", 'e');
	steps_sync(scenario, "E", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'e');
	scenario_destroy(scenario);
}
END_TEST

// R13: the new P passes on what C brings, or has a copy of it from the root already, and so does not keep it. When the root
// has lost it with its power, C has to bring it again, though its own session stands. P has the name then under which it did that,
// as C still has block 5 from it, and has forgotten a block with a newer version (2).
START_TEST(bytes_that_were_passed_on_are_brought_again)
{
	struct scenario *scenario = steps_create();

	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "C", "P", true);
	steps_child(scenario, "B", "A", true);
	steps_write(scenario, "C", 'c');
	steps_read(scenario, "B", 'c');
	if (_i == 1)
		steps_cut(scenario, "C", "P", 500);
	scenario_kill(scenario, "P");
	scenario_restart(scenario, "P");
	if (_i == 1) {
		scenario_run(scenario, 200);
		steps_read(scenario, "P", 'c');
	}
	scenario_forget(scenario);
	scenario_run(scenario, 1000);
	ck_assert_uint_ge(scenario_count(scenario, "C -> P  RECOVER"), 1);
	if (_i == 2) {
		for (char letter = '1'; letter <= '3'; letter++) {
			steps_write_block(scenario, "B", 3, letter);
			steps_read_block(scenario, "P", 3, letter);
		}
		steps_write_block(scenario, "B", 3, 'b');
		steps_read_block(scenario, "C", 5, '.');
	}
	ck_assert_int_eq(scenario_stored(scenario, 7), '.');
	world_crash(scenario_node(scenario, "A"), 0);
	scenario_restart(scenario, "A");
	scenario_run(scenario, EVICTED_MS);
	steps_sync(scenario, "C", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'c');
	steps_read_at_last(scenario, "B", 'c');
	scenario_destroy(scenario);
}
END_TEST

// R13: E died together with P; what C wrote before is still there.
START_TEST(older_bytes_come_back_when_the_newer_are_lost)
{
	struct scenario *scenario = steps_tree();

	steps_write(scenario, "C", 'c');
	steps_write(scenario, "E", 'e');
	scenario_kill(scenario, "P");
	scenario_kill(scenario, "E");
	scenario_run(scenario, 500);
	steps_read_at_last(scenario, "B", 'c');
	steps_sync(scenario, "C", ERR_OK);
	scenario_destroy(scenario);
}
END_TEST

// F3: the proxy is back, with an empty memory, before its old lease is over: it passes the claims on.
START_TEST(parent_restarts_faster_than_its_lease)
{
	struct scenario *scenario = steps_tree();

	scenario->world->moving = false;
	steps_write(scenario, "C", 'c');
	scenario_kill(scenario, "P");
	scenario_restart(scenario, "P");
	scenario_run(scenario, LEASE_MS / 2);
	steps_write(scenario, "C", 'C');
	steps_read_at_last(scenario, "E", 'C');
	steps_sync(scenario, "C", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'C');
	scenario_destroy(scenario);
}
END_TEST

// F3: nobody to go to but the proxy that comes back after its lease: C's own lease is over, too. Nobody else wanted the
// block, so nothing is lost.
START_TEST(parent_restarts_slower_than_its_lease)
{
	struct scenario *scenario = steps_tree();

	scenario->world->moving = false;
	steps_write(scenario, "C", 'c');
	scenario_kill(scenario, "P");
	scenario_run(scenario, 2 * LEASE_MS);
	scenario_restart(scenario, "P");
	scenario_run(scenario, EVICTED_MS);
	steps_sync(scenario, "C", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'c');
	steps_read_at_last(scenario, "B", 'c');
	scenario_destroy(scenario);
}
END_TEST

// F3: parent and grandparent die together: C goes to the root.
START_TEST(parent_and_grandparent_fail_together)
{
	struct scenario *scenario = steps_create();

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "G", "A", true);
	steps_child(scenario, "P", "G", true);
	steps_child(scenario, "C", "P", true);
	steps_child(scenario, "B", "A", true);
	steps_write(scenario, "C", 'c');
	scenario_kill(scenario, "P");
	scenario_kill(scenario, "G");
	scenario_run(scenario, LEASE_MS);
	steps_write(scenario, "C", 'C');
	steps_sync(scenario, "C", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'C');
	steps_read_at_last(scenario, "B", 'C');
	scenario_destroy(scenario);
}
END_TEST

// G2, R14: a fsync is under way when the proxy dies with everything: it waits until the bytes are sent again.
START_TEST(fsync_while_the_proxy_dies)
{
	struct scenario *scenario = steps_tree();
	struct request *sync;

	steps_write(scenario, "C", 'c');
	sync = scenario_sync(scenario, "C");
	scenario_run(scenario, (uint64_t)_i * 5);
	scenario_kill(scenario, "P");
	scenario_run(scenario, 1000);
	request_expect_ok(sync);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'c');
	scenario_destroy(scenario);
}
END_TEST

// R13, R14: C has sent 'c' up and waits for its fsync; what it writes then stands in the place of 'c'. When the root dies,
// the fsync covers that.
START_TEST(fsync_of_bytes_that_were_written_over)
{
	struct scenario *scenario = steps_tree();
	struct request *sync, *write;

	write = scenario_write(scenario, "B", 7, 'b');
	scenario_run(scenario, 500);
	request_expect_ok(write);
	sync = scenario_sync(scenario, "B");
	scenario_run(scenario, (uint64_t)_i * 4);
	write = scenario_write(scenario, "B", 7, 'B');
	scenario_run(scenario, 1);
	request_expect_ok(write);
	scenario_kill(scenario, "A");
	scenario_restart(scenario, "A");
	for (int i = 0; i < 4 * LEASE_MS / 10 && !sync->ended; i++)
		scenario_run(scenario, 10);
	request_expect_ok(sync);
	ck_assert_int_ne(scenario_stored(scenario, 7), '.');
	scenario_destroy(scenario);
}
END_TEST

// G3: C's synchronous write waits at Q until the root has it. Q asks P for the block anew, as its lease is over, and learns that
// P has the bytes; then the link between them breaks. That P has them is not enough.
START_TEST(synchronous_write_over_a_broken_link)
{
	struct scenario *scenario = steps_create();
	struct request *write, *read;

	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	scenario->config.ttl_ms = 200; // of what P gives
	steps_child(scenario, "P", "A", true);
	scenario->config.ttl_ms = 20 * 1000;
	steps_child(scenario, "Q", "P", true);
	steps_child(scenario, "C", "Q", true);
	write = scenario_write_sync(scenario, "C", 7, 'c');
	scenario_run(scenario, 500);
	request_expect_ok(write);
	scenario_hold(scenario, "P", "A", true);
	write = scenario_write_sync(scenario, "C", 7, 'C');
	scenario_run(scenario, 250);
	scenario_forget(scenario);
	read = scenario_read(scenario, "Q", 7);
	scenario_run(scenario, 100);
	request_expect_letter(read, 'C');
	ck_assert_uint_eq(scenario_count(scenario, "Q -> P  LOCK"), 1);
	request_expect_waiting(write);
	world_cut(scenario_node(scenario, "Q"), 0, 0, 10 * 1000);
	scenario_run(scenario, 100);
	request_expect_waiting(write);
	scenario_hold(scenario, "P", "A", false);
	scenario_run(scenario, 500);
	request_expect_ok(write);
	scenario_kill(scenario, "P");
	scenario_kill(scenario, "Q");
	scenario_kill(scenario, "C");
	steps_read_at_last(scenario, "A", 'C');
	scenario_destroy(scenario);
}
END_TEST

// ---- Partitions ----

// F5: C can not reach P, both reach A. C moves; P lets the block go at once, without waiting for C's lease.
START_TEST(asymmetric_partition)
{
	struct scenario *scenario = steps_tree();

	steps_write(scenario, "C", 'c');
	steps_cut(scenario, "C", "P", 60 * 1000);
	scenario_run(scenario, LEASE_MS);
	steps_write(scenario, "C", 'C');
	steps_read_at_last(scenario, "E", 'C');
	steps_write(scenario, "E", 'e');
	steps_read_at_last(scenario, "C", 'e');
	steps_sync(scenario, "C", ERR_OK);
	scenario_destroy(scenario);
}
END_TEST

// R6, F5: what C sends to P gets lost, with the bytes that a recall took from it. It brings them to A; P, which still has C
// on record as the writer, must not put older ones over them when it gives C up.
START_TEST(bytes_that_move_past_their_record)
{
	struct scenario *scenario = steps_tree();
	struct request *read;

	steps_read(scenario, "E", '.'); // P has a copy
	steps_write(scenario, "C", 'c');
	world_block(scenario_node(scenario, "C"), scenario_node(scenario, "P"), scenario->world->now + 60 * 1000 * 1000);
	read = scenario_read(scenario, "B", 7);
	scenario_run(scenario, LEASE_MS / 2);
	steps_sync(scenario, "C", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'c');
	scenario_run(scenario, 2 * EVICTED_MS);
	request_expect_letter(read, 'c');
	steps_read_at_last(scenario, "E", 'c');
	steps_read_at_last(scenario, "C", 'c');
	scenario_destroy(scenario);
}
END_TEST

// F3: P lost its session when Q died, and Q has been evicted since; that is settled. Later C brings P bytes of which P has nothing
// left. They have nothing to do with Q: A has had them, and nobody is told of a loss. (seed 700)
START_TEST(bytes_that_come_after_a_recovery)
{
	struct scenario *scenario = steps_create();
	struct request *other;

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "Q", "A", true);
	steps_child(scenario, "P", "Q", true);
	steps_child(scenario, "C", "P", true);
	steps_child(scenario, "B", "A", true);
	other = scenario_write(scenario, "Q", 3, 'q');
	scenario_run(scenario, 200);
	request_expect_ok(other);
	steps_write(scenario, "P", 'p');
	scenario_kill(scenario, "Q");
	other = scenario_write(scenario, "B", 3, 'b');
	scenario_run(scenario, EVICTED_MS);
	request_expect_ok(other);
	steps_write(scenario, "C", 'c');
	steps_write(scenario, "B", 'b');
	steps_sync(scenario, "P", ERR_OK); // P has nothing of C's any more
	steps_cut(scenario, "C", "P", EVICTED_MS);
	steps_cut(scenario, "C", "A", 4 * EVICTED_MS);
	scenario_run(scenario, 3 * EVICTED_MS);
	ck_assert_uint_ge(scenario_count(scenario, "C -> P  RECOVER"), 1);
	steps_sync(scenario, "C", ERR_OK);
	steps_read_at_last(scenario, "C", 'b');
	scenario_destroy(scenario);
}
END_TEST

// F4, F5: C moves to A and comes back to P: the newest link counts.
START_TEST(mover_comes_back)
{
	struct scenario *scenario = steps_tree();

	steps_write(scenario, "C", 'c');
	steps_cut(scenario, "C", "P", 2 * LEASE_MS);
	scenario_run(scenario, LEASE_MS);
	steps_write(scenario, "C", 'C');
	scenario_run(scenario, 2 * LEASE_MS);
	world_set_parent(scenario_node(scenario, "C"), scenario_node(scenario, "P"), scenario_node(scenario, "C")->pipe, 0);
	steps_cut(scenario, "C", "A", LEASE_MS);
	scenario_run(scenario, 2 * LEASE_MS);
	steps_write(scenario, "C", '3');
	steps_read_at_last(scenario, "B", '3');
	steps_read_at_last(scenario, "E", '3');
	steps_sync(scenario, "C", ERR_OK);
	scenario_destroy(scenario);
}
END_TEST

// F2: P is cut off from A, and C from P: P may not take C's block back, for A gives it to C.
START_TEST(proxy_that_is_cut_off_evicts_nobody)
{
	struct scenario *scenario = steps_tree();
	struct request *read;

	steps_write(scenario, "C", 'c');
	steps_cut(scenario, "P", "A", 4 * EVICTED_MS);
	steps_cut(scenario, "E", "A", 4 * EVICTED_MS);
	steps_cut(scenario, "C", "P", 4 * EVICTED_MS);
	scenario_run(scenario, LEASE_MS);
	steps_write(scenario, "C", 'C');
	read = scenario_read(scenario, "E", 7);
	scenario_run(scenario, 2 * EVICTED_MS);
	request_expect_waiting(read);
	steps_write(scenario, "C", '3');
	scenario_run(scenario, 4 * EVICTED_MS);
	request_expect_letter(read, '3');
	steps_sync(scenario, "C", ERR_OK);
	scenario_destroy(scenario);
}
END_TEST

// ---- A proxy takes up a new session while its parent lives ----

// A has P, P has Q, Q has C and E; E has written block 8.
static struct scenario *
tree_of_proxies(void)
{
	struct scenario *scenario = steps_create();

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "Q", "P", true);
	steps_child(scenario, "C", "Q", true);
	steps_child(scenario, "E", "Q", true);
	steps_child(scenario, "B", "A", true);
	request_expect_waiting(scenario_write(scenario, "E", 8, 'e'));
	scenario_run(scenario, 500);
	return scenario;
}

// E moves to P while Q is away: Q's session there has lost a block, and can not be resumed.
static void
lose_session(struct scenario *scenario)
{
	world_cut(scenario_node(scenario, "Q"), 0, 0, 100 * 1000);
	world_set_parent(scenario_node(scenario, "E"), scenario_node(scenario, "P"), scenario_node(scenario, "E")->pipe, 0);
	world_cut(scenario_node(scenario, "E"), 0, 0, 0);
}

// Below the proxy somebody still reads what was held under the session before, and has not heard that it is over: until
// he has, or his lease is over, the parent has to remember that session.
START_TEST(readers_below_a_new_session)
{
	struct scenario *scenario = tree_of_proxies();
	struct request *write;

	steps_read(scenario, "C", '.');
	lose_session(scenario);
	scenario_hold(scenario, "Q", "C", true);
	scenario_forget(scenario);
	scenario_run(scenario, 200);
	ck_assert_uint_eq(scenario_count(scenario, "Q -> C  INVALIDATE RECOVERY_OP volume=3 block=7"), 1);
	write = scenario_write(scenario, "B", 7, 'b');
	scenario_run(scenario, 200);
	request_expect_waiting(write);
	if (_i & 1)
		steps_cut(scenario, "Q", "C", 60 * 1000); // it will not reach C at all
	scenario_hold(scenario, "Q", "C", false);
	scenario_run(scenario, EVICTED_MS);
	request_expect_ok(write);
	steps_read_at_last(scenario, "C", 'b');
	scenario_destroy(scenario);
}
END_TEST

// C has slept for longer than its lease: nobody waits for it.
START_TEST(sleeper_below_a_new_session)
{
	struct scenario *scenario = tree_of_proxies();
	struct request *write = scenario_write(scenario, "C", 9, 'c'), *read;

	scenario_run(scenario, 500);
	request_expect_ok(write);
	steps_sync(scenario, "C", ERR_OK);
	steps_read(scenario, "C", '.');
	scenario->world->moving = false;
	steps_cut(scenario, "C", "Q", 60 * 1000);
	scenario_run(scenario, 2 * LEASE_MS);
	lose_session(scenario);
	scenario_run(scenario, 2 * LEASE_MS);
	steps_child(scenario, "F", "Q", true); // it may come in: Q has recovered
	read = scenario_read(scenario, "F", 5);
	scenario_run(scenario, 500);
	request_expect_letter(read, '.');
	scenario_destroy(scenario);
}
END_TEST

// F2, F4, T3: C, below Q below P, is given its block anew by P, and Q, which has C on record too, by A: A does not hear of P
// any more, but what P gave may be in use until the lease that A gave P is over. So long Q may not take it back.
START_TEST(claimed_on_two_sides)
{
	struct scenario *scenario = tree_of_proxies();
	struct request *write = scenario_write(scenario, "C", 7, 'c'), *read;

	scenario_run(scenario, 500);
	request_expect_ok(write);
	world_cut(scenario_node(scenario, "Q"), 0, 0, 0);
	steps_cut(scenario, "Q", "C", 60 * 1000);
	steps_cut(scenario, "Q", "E", 60 * 1000);
	steps_cut(scenario, "Q", "P", 60 * 1000);
	steps_cut(scenario, "Q", "A", LEASE_MS * 6 / 10);
	world_set_parent(scenario_node(scenario, "C"), scenario_node(scenario, "P"), scenario_node(scenario, "C")->pipe, 0);
	world_cut(scenario_node(scenario, "C"), 0, 0, 0);
	scenario_run(scenario, LEASE_MS / 2 - 500);
	steps_write(scenario, "C", 'C'); // at P
	world_cut(scenario_node(scenario, "P"), LEASE_MS * 1000, 0, 0); // A notices at once
	steps_cut(scenario, "P", "A", 60 * 1000);
	steps_cut(scenario, "C", "A", 60 * 1000);
	read = scenario_read(scenario, "B", 7);
	for (unsigned i = 0; i < EVICTED_MS / 50; i++) { // as long as it may
		scenario_write(scenario, "C", 7, '3');
		scenario_run(scenario, 50);
	}
	scenario_run(scenario, 2 * EVICTED_MS);
	ck_assert(read->ended);
	scenario_destroy(scenario);
}
END_TEST

// ---- Evictions ----

// Each volume has its own: as many as its storage may have on record do not take the place of those of another.
START_TEST(evictions_of_two_volumes)
{
	struct scenario *scenario = steps_create();
	struct core *core;
	int other;

	scenario_root(scenario, "A");
	core = scenario_node(scenario, "A")->core;
	other = core_add_root_volume(core, "other", 16 * SCENARIO_BLOCK_SIZE, SCENARIO_BLOCK_SIZE, false);
	ck_assert_int_ge(other, 0);
	for (uint64_t i = 1; i <= LIMIT_EVICTIONS; i++)
		ck_assert_int_eq(core_add_eviction(core, 0, i, i), 0);
	for (uint64_t i = 1; i <= LIMIT_EVICTIONS; i++)
		ck_assert_int_eq(core_add_eviction(core, (uint32_t)other, i, i), 0);
	ck_assert_int_eq(core_add_eviction(core, 0, LIMIT_EVICTIONS + 1, 1), -1);
	scenario_destroy(scenario);
}
END_TEST

// F2, F3: P has a name of its own for each volume since it came from Q to A; N, below it, has both volumes. P is evicted with what C
// has written. C must have known the name under which that was. (seed 150242)
START_TEST(names_of_two_volumes)
{
	struct scenario *scenario = steps_create();
	static const char *const way[][2] = {{"Q", "A"}, {"P", "Q"}, {"N", "P"}};

	scenario->world->moving = true;
	steps_root(scenario, "A");
	world_add_root_volume(scenario_node(scenario, "A"), "other", disk_create(SCENARIO_BLOCK_SIZE, 16), false);
	for (unsigned i = 0; i < 3; i++) {
		steps_keep_dirty(scenario, i == 1);
		scenario_child(scenario, way[i][0], way[i][1], 10, 10, true);
		world_add_child_volume(scenario_node(scenario, way[i][0]), "other", false);
		scenario_connect(scenario, way[i][0]);
		scenario_run(scenario, 500);
		if (i == 1)
			steps_leave(scenario, "P", "A", 10);
		scenario_run(scenario, 500);
	}
	steps_child(scenario, "C", "N", true);
	steps_child(scenario, "B", "A", true);
	steps_write(scenario, "C", 'c');
	ck_assert_uint_eq(scenario_count(scenario, "N -> P  FLUSH"), 1);
	scenario_kill(scenario, "P");
	scenario_kill(scenario, "N");
	steps_cut(scenario, "C", "A", 2 * EVICTED_MS);
	steps_read_at_last(scenario, "B", '.');
	scenario_run(scenario, EVICTED_MS);
	steps_read_at_last(scenario, "C", '.');
	steps_sync(scenario, "C", ERR_LOST);
	steps_work_again(scenario, "C");
	scenario_destroy(scenario);
}
END_TEST

// F2: C sleeps through its lease with unsent bytes, B wants the block: C is evicted, its bytes are kept for the user,
// one fsync says so.
START_TEST(evicted_writer_returns)
{
	struct scenario *scenario = steps_tree();
	struct node *c = scenario_node(scenario, "C");

	steps_write(scenario, "C", 'c');
	world_pause(c, scenario->world->now + 2 * EVICTED_MS * 1000);
	steps_read_at_last(scenario, "B", '.');
	steps_write(scenario, "B", 'b');
	scenario_run(scenario, EVICTED_MS);
	steps_read_at_last(scenario, "C", 'b');
	ck_assert_uint_ge(scenario->world->rescue_count, 1);
	steps_sync(scenario, "C", ERR_LOST);
	steps_sync(scenario, "C", ERR_OK);
	steps_work_again(scenario, "C");
	scenario_destroy(scenario);
}
END_TEST

// The same, but nobody wanted the block: C goes on as if nothing had been.
START_TEST(sleeper_whose_blocks_nobody_wants)
{
	struct scenario *scenario = steps_tree();

	steps_write(scenario, "C", 'c');
	world_pause(scenario_node(scenario, "C"), scenario->world->now + 2 * EVICTED_MS * 1000);
	scenario_run(scenario, 3 * EVICTED_MS);
	steps_sync(scenario, "C", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'c');
	scenario_destroy(scenario);
}
END_TEST

// F1, S23: while C is away and its lease runs, B's request is answered IN_RECOVERY, and comes to its end.
START_TEST(frozen_blocks_thaw)
{
	struct scenario *scenario = steps_tree();
	struct request *read;

	steps_write(scenario, "C", 'c');
	scenario_kill(scenario, "C");
	read = scenario_read(scenario, "E", 7);
	scenario_run(scenario, LEASE_MS / 2);
	request_expect_waiting(read);
	ck_assert_uint_ge(scenario_count(scenario, "ERR_REPLY volume=4 block=7 status=7") +
				  scenario_count(scenario, "status=7"),
			  1);
	scenario_run(scenario, EVICTED_MS);
	request_expect_letter(read, '.');
	scenario_destroy(scenario);
}
END_TEST

// R13: A's storage can not be synced once while C is away (_i == 0), or has not asked for a fsync since. The last sync succeeds, as A
// stops: it must not have left in order, or C takes the next one's word for it that all that A had is durable.
START_TEST(loss_that_a_root_could_not_tell_before_it_left)
{
	struct scenario *scenario = steps_create();
	struct request *sync;

	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "C", "A", true);
	steps_child(scenario, "B", "A", true);
	steps_write_block(scenario, "C", 3, 'c');
	steps_read_block(scenario, "B", 3, 'c'); // so A has it
	if (_i == 0)
		world_cut(scenario_node(scenario, "C"), 0, 0, LEASE_MS / 2 * 1000);
	steps_write_block(scenario, "B", 5, 'b');
	scenario->disk->fail_syncs = true;
	steps_sync(scenario, "B", ERR_IO);
	scenario->disk->fail_syncs = scenario->disk->sync_broken = false;
	world_stop(scenario_node(scenario, "A"));
	scenario_run(scenario, LEASE_MS / 4);
	ck_assert(scenario_node(scenario, "A")->stopped);
	ck_assert(!scenario_node(scenario, "A")->metadata.clean);
	scenario_restart(scenario, "A");
	scenario_run(scenario, 4 * LEASE_MS);
	sync = scenario_sync(scenario, "C");
	scenario_run(scenario, 1000);
	ck_assert(sync->io.error == ERR_LOST || (sync->io.error == ERR_OK && scenario_stored(scenario, 3) == 'c'));
	scenario_destroy(scenario);
}
END_TEST

// G4: P itself has no use for the volume, and so asks for no fsync: that A has lost what came from it P learns from the first of its
// children that does. That one has come since, and nothing of it is lost: it is not told, but C, who wrote before, if it is still
// there. (seed 521490)
START_TEST(loss_before_a_child_has_come)
{
	struct scenario *scenario = steps_create();
	bool lives = _i == 0;

	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", false);
	steps_child(scenario, "C", "P", true);
	steps_child(scenario, "B", "A", true);
	steps_write_block(scenario, "C", 3, 'c');
	steps_read_block(scenario, "B", 3, 'c'); // so A has it
	scenario->disk->fail_syncs = true;
	steps_write_block(scenario, "B", 5, 'b');
	steps_sync(scenario, "B", ERR_IO);
	scenario->disk->fail_syncs = scenario->disk->sync_broken = false;
	if (!lives)
		scenario_kill(scenario, "C");
	scenario_run(scenario, 1000);
	steps_child(scenario, "N", "P", true);
	steps_write(scenario, "N", 'n');
	steps_sync(scenario, "N", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'n');
	if (lives)
		steps_sync(scenario, "C", ERR_LOST);
	steps_sync(scenario, "N", ERR_OK);
	scenario_destroy(scenario);
}
END_TEST

// R13: A has lost what came from P, who does not know that yet; and P has lost something, too, a while later. What L wrote came to C
// in between. When P hears of the older loss it still tells C of its own: L is told as well as K.
START_TEST(older_loss_is_heard_of_after_a_newer_one)
{
	struct scenario *scenario = steps_create();

	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", false);
	steps_child(scenario, "C", "P", false);
	steps_child(scenario, "K", "C", true);
	steps_child(scenario, "L", "C", true);
	steps_child(scenario, "E", "P", true);
	steps_child(scenario, "B", "A", true);
	steps_write_block(scenario, "E", 3, 'e');
	steps_read_block(scenario, "B", 3, 'e');
	steps_write_block(scenario, "K", 4, 'k');
	steps_read_block(scenario, "E", 4, 'k'); // so P has it
	scenario->disk->fail_syncs = true;
	steps_write_block(scenario, "B", 5, 'b');
	steps_sync(scenario, "B", ERR_IO);
	scenario->disk->fail_syncs = scenario->disk->sync_broken = false;
	scenario_run(scenario, 1000);
	steps_write(scenario, "L", 'l');
	steps_read(scenario, "E", 'l');
	inside_loss(scenario_node(scenario, "P")->core);
	steps_sync(scenario, "E", ERR_LOST);
	steps_sync(scenario, "L", ERR_LOST);
	steps_sync(scenario, "K", ERR_LOST);
	steps_sync(scenario, "L", ERR_OK);
	scenario_destroy(scenario);
}
END_TEST

// T2: how long ago something was lost is told by a clock that is fast. C's bytes came shortly before that: C is told.
START_TEST(loss_is_told_by_a_fast_clock)
{
	struct scenario *scenario = steps_create();

	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	scenario_node(scenario, "A")->clock_drift_ppm = 20 * 1000;
	steps_child(scenario, "P", "A", false);
	steps_child(scenario, "C", "P", true);
	steps_child(scenario, "E", "P", true);
	steps_child(scenario, "B", "A", true);
	steps_write_block(scenario, "B", 5, 'b');
	steps_write_block(scenario, "E", 4, 'e');
	steps_read_block(scenario, "B", 4, 'e');
	scenario_write(scenario, "C", 3, 'c');
	scenario_run(scenario, 100);
	scenario_read(scenario, "B", 3); // so A has it
	scenario->disk->fail_syncs = true;
	scenario_run(scenario, 50);
	steps_sync(scenario, "B", ERR_IO);
	scenario->disk->fail_syncs = scenario->disk->sync_broken = false;
	scenario_run(scenario, 20 * 1000);
	steps_sync(scenario, "E", ERR_LOST);
	steps_sync(scenario, "C", ERR_LOST);
	scenario_destroy(scenario);
}
END_TEST

// R14, G2: A's storage can not be synced, which B learns. P, which has what C wrote, leaves A and comes back to a new session, as E
// has gone its own way with a block of P's. That P sends C's bytes again does not mend it: C is told.
START_TEST(failed_sync_before_a_new_session)
{
	struct scenario *scenario = steps_create();

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "C", "P", true);
	steps_child(scenario, "E", "P", true);
	steps_child(scenario, "B", "A", true);
	steps_write_block(scenario, "C", 3, 'c');
	steps_read_block(scenario, "B", 3, 'c'); // so A has it
	steps_write(scenario, "E", 'e');
	scenario->disk->fail_syncs = true;
	steps_write_block(scenario, "B", 5, 'b');
	steps_sync(scenario, "B", ERR_IO);
	steps_cut(scenario, "P", "A", LEASE_MS / 2);
	scenario_run(scenario, 100);
	steps_leave(scenario, "E", "A", 0);
	scenario_run(scenario, LEASE_MS / 4);
	scenario_forget(scenario);
	scenario_run(scenario, LEASE_MS);
	ck_assert_uint_ge(scenario_count(scenario, "P -> A  RECOVER"), 1);
	scenario->disk->fail_syncs = scenario->disk->sync_broken = false;
	steps_sync(scenario, "C", ERR_LOST);
	steps_sync(scenario, "C", ERR_OK);
	scenario_destroy(scenario);
}
END_TEST

// G3: C's synchronous write waits at Q for the root. E writes over it, and P, which reads that, loses Q: that there are newer bytes
// at Q does not say that the root has them, or C's. (seed 6515 without FORWARD)
START_TEST(synchronous_write_that_is_written_over_further_up)
{
	struct scenario *scenario = steps_create();
	struct request *write;

	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "Q", "A", true);
	steps_child(scenario, "E", "Q", true);
	steps_child(scenario, "P", "Q", true);
	steps_child(scenario, "C", "P", true);
	steps_write(scenario, "E", 'e');
	scenario_hold(scenario, "A", "Q", true);
	write = scenario_write_sync(scenario, "C", 7, 'c');
	scenario_run(scenario, 100);
	steps_write(scenario, "E", 'E');
	steps_read(scenario, "P", 'E');
	request_expect_waiting(write);
	scenario_hold(scenario, "Q", "P", true);
	world_cut(scenario_node(scenario, "P"), 0, 0, 100 * 1000);
	scenario_run(scenario, 50);
	request_expect_waiting(write);
	scenario_hold(scenario, "Q", "P", false);
	scenario_hold(scenario, "A", "Q", false);
	scenario_run(scenario, 2 * LEASE_MS);
	request_expect_ok(write);
	steps_sync(scenario, "C", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'E');
	steps_work_again(scenario, "C");
	scenario_destroy(scenario);
}
END_TEST

// ---- Many at once ----

// R15: far more blocks to claim than credits.
START_TEST(claims_beyond_the_credits)
{
	struct scenario *scenario = steps_create();
	struct request *writes[3];

	scenario->world->moving = true;
	scenario->config.credits = 2;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "C", "P", true);
	for (unsigned i = 0; i < 3; i++)
		writes[i] = scenario_write_run(scenario, "C", 4 * i, 4, 'c');
	scenario_run(scenario, 1000);
	for (unsigned i = 0; i < 3; i++)
		request_expect_ok(writes[i]);
	scenario_kill(scenario, "P");
	scenario_run(scenario, LEASE_MS);
	steps_sync(scenario, "C", ERR_OK);
	for (unsigned i = 0; i < 12; i++)
		ck_assert_int_eq(scenario_stored(scenario, i), 'c');
	scenario_destroy(scenario);
}
END_TEST

// F2, F4: P has got another name while C, below it, was away; under that it is evicted, with what C had. C knows P by its name before.
// What it brings by way of P is void all the same, and told. (seed 630073)
START_TEST(below_who_was_evicted_under_a_later_name)
{
	struct scenario *scenario = steps_create();

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "Q", "A", true);
	steps_child(scenario, "P", "Q", true);
	steps_child(scenario, "C", "P", true);
	steps_child(scenario, "B", "A", true);
	steps_write(scenario, "C", 'c');
	steps_cut(scenario, "C", "P", 2 * EVICTED_MS);
	steps_cut(scenario, "C", "Q", 100 * EVICTED_MS);
	steps_cut(scenario, "C", "A", 100 * EVICTED_MS);
	steps_leave(scenario, "P", "A", 10);
	scenario_run(scenario, 500);
	steps_cut(scenario, "P", "A", EVICTED_MS);
	steps_cut(scenario, "P", "Q", 100 * EVICTED_MS);
	steps_read_at_last(scenario, "B", '.');
	scenario_run(scenario, EVICTED_MS);
	steps_sync(scenario, "C", ERR_LOST);
	steps_read_at_last(scenario, "C", '.');
	scenario_destroy(scenario);
}
END_TEST

// What a node has said of its own may still be on its way out when it gets another name: it is its own all the same, and what a
// child says is not.
START_TEST(what_was_said_under_an_earlier_name_is_ones_own)
{
	struct scenario *scenario = steps_tree();
	const struct node *node = scenario_node(scenario, "P");
	struct message claim = {.opcode = OP_RECOVER, .present = PRESENT(NODE_ID), .node_id = inside_name(node->core)};

	ck_assert(core_is_own_claim(node->core, 0, &claim));
	steps_leave(scenario, "P", "B", 10);
	scenario_run(scenario, EVICTED_MS);
	ck_assert_uint_ne(inside_name(node->core), claim.node_id);
	ck_assert(core_is_own_claim(node->core, 0, &claim));
	claim.node_id = inside_name(scenario_node(scenario, "C")->core);
	ck_assert(!core_is_own_claim(node->core, 0, &claim));
	scenario_destroy(scenario);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("recovery");
	TCase *tcase = tcase_create("recovery");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, below_who_was_evicted_under_a_later_name);
	tcase_add_test(tcase, what_was_said_under_an_earlier_name_is_ones_own);
	tcase_add_test(tcase, leaves_move_to_the_grandparent);
	tcase_add_loop_test(tcase, newer_claim_wins, 0, 2);
	tcase_add_loop_test(tcase, bytes_that_were_passed_on_are_brought_again, 0, 3);
	tcase_add_test(tcase, older_bytes_come_back_when_the_newer_are_lost);
	tcase_add_test(tcase, parent_restarts_faster_than_its_lease);
	tcase_add_test(tcase, parent_restarts_slower_than_its_lease);
	tcase_add_test(tcase, parent_and_grandparent_fail_together);
	tcase_add_loop_test(tcase, fsync_while_the_proxy_dies, 0, 10);
	tcase_add_loop_test(tcase, fsync_of_bytes_that_were_written_over, 0, 12);
	tcase_add_test(tcase, synchronous_write_over_a_broken_link);
	tcase_add_test(tcase, asymmetric_partition);
	tcase_add_test(tcase, bytes_that_move_past_their_record);
	tcase_add_test(tcase, bytes_that_come_after_a_recovery);
	tcase_add_test(tcase, mover_comes_back);
	tcase_add_test(tcase, proxy_that_is_cut_off_evicts_nobody);
	tcase_add_loop_test(tcase, readers_below_a_new_session, 0, 2);
	tcase_add_test(tcase, sleeper_below_a_new_session);
	tcase_add_test(tcase, claimed_on_two_sides);
	tcase_add_test(tcase, evicted_writer_returns);
	tcase_add_test(tcase, evictions_of_two_volumes);
	tcase_add_test(tcase, names_of_two_volumes);
	tcase_add_test(tcase, sleeper_whose_blocks_nobody_wants);
	tcase_add_test(tcase, frozen_blocks_thaw);
	tcase_add_test(tcase, failed_sync_before_a_new_session);
	tcase_add_loop_test(tcase, loss_that_a_root_could_not_tell_before_it_left, 0, 2);
	tcase_add_loop_test(tcase, loss_before_a_child_has_come, 0, 2);
	tcase_add_test(tcase, older_loss_is_heard_of_after_a_newer_one);
	tcase_add_test(tcase, loss_is_told_by_a_fast_clock);
	tcase_add_test(tcase, synchronous_write_that_is_written_over_further_up);
	tcase_add_test(tcase, claims_beyond_the_credits);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
