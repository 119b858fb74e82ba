// SPDX-License-Identifier: MIT
// Bytes that were recalled before the root died, and are brought to the one that is started anew: beside claims, newer bytes, and
// those that have come since (protocol.md F4, F6). Who may claim and who is evicted then: test_restart.c.
#include "tests/scenario/inside.h"
#include "tests/scenario/steps.h"

#include <check.h>
#include <stdlib.h>

enum { LEASE_MS = STEPS_HB_TTL_MS, EVICTED_MS = STEPS_EVICTED_MS };

// R11, F6: P claims the block for F, which has died with what it wrote; P itself has had no bytes. C brings those of the very
// version that P claims: they are what the root waits for.
START_TEST(bytes_of_the_version_that_is_claimed)
{
	struct scenario *scenario = steps_create();
	struct request *sync;

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "F", "P", true);
	steps_child(scenario, "C", "A", true);
	steps_write(scenario, "C", 'c');
	steps_write(scenario, "F", 'f');
	scenario_kill(scenario, "F");
	scenario_lose_versions(scenario);
	scenario_kill(scenario, "A");
	scenario_restart(scenario, "A");
	sync = scenario_sync(scenario, "C");
	scenario_run(scenario, EVICTED_MS);
	request_expect_ok(sync);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'c');
	steps_read_at_last(scenario, "C", 'c');
	scenario_destroy(scenario);
}
END_TEST

// R11, F6: P has claimed the block for F, with a version beyond those of all bytes, and has none: F is dead. What B brings and
// the older bytes of C, which may have come first, wait for P's; without any, the newest of them are taken. _i == 2: B comes too
// late, and is told.
START_TEST(newest_bytes_below_a_claim_without_any)
{
	struct scenario *scenario = steps_create();
	struct request *b, *c, *f;

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "F", "P", true);
	steps_child(scenario, "B", "A", true);
	steps_child(scenario, "C", "A", true);
	steps_child(scenario, "D", "A", true);
	steps_write(scenario, "C", 'c');
	steps_write(scenario, "B", 'b');
	steps_write(scenario, "D", 'd');
	scenario_kill(scenario, "D");
	f = scenario_write(scenario, "F", 7, 'f');
	scenario_run(scenario, EVICTED_MS); // D is evicted: a gap in the versions
	request_expect_ok(f);
	scenario_kill(scenario, "F");
	steps_cut(scenario, _i == 0 ? "C" : "B", "A", _i < 2 ? 500 : 2 * EVICTED_MS);
	scenario_kill(scenario, "A");
	scenario_restart(scenario, "A");
	b = scenario_sync(scenario, "B");
	c = scenario_sync(scenario, "C");
	scenario_run(scenario, 3 * EVICTED_MS);
	if (_i < 2)
		request_expect_ok(b);
	else
		request_expect_error(b, ERR_LOST);
	request_expect_ok(c);
	ck_assert_int_eq(scenario_stored(scenario, 7), _i < 2 ? 'b' : 'c');
	steps_read_at_last(scenario, "C", _i < 2 ? 'b' : 'c');
	scenario_destroy(scenario);
}
END_TEST

// F6: E brings what it held to the end; the root writes it, and its small cache drops it. C brings what E wrote over, and that
// is decided when the grace time is over: the root must still know that it has had newer bytes, whether the version log tells
// of older times or not.
START_TEST(what_came_in_the_grace_time)
{
	struct scenario *scenario = steps_create();
	struct request *sync, *e, *others[3];

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	scenario->cache_blocks = 4;
	steps_root(scenario, "A");
	scenario->cache_blocks = 64;
	steps_child(scenario, "C", "A", true);
	steps_child(scenario, "E", "A", true);
	steps_child(scenario, "B", "A", true);
	steps_write(scenario, "C", 'c');
	steps_write(scenario, "E", 'e');
	steps_read(scenario, "B", 'e');
	for (unsigned i = 0; i < 3; i++)
		others[i] = scenario_write_run(scenario, "B", i < 2 ? 4 * i : 12, i == 1 ? 3 : 4, 'b');
	scenario_run(scenario, 500);
	for (unsigned i = 0; i < 3; i++)
		request_expect_ok(others[i]);
	ck_assert_int_eq(scenario_stored(scenario, 7), '.');
	if (_i == 1)
		scenario_lose_versions(scenario);
	scenario_node(scenario, "A")->config.writeback_ms = 10;
	steps_cut(scenario, "C", "A", LEASE_MS - 100);
	scenario_kill(scenario, "A");
	scenario_restart(scenario, "A");
	e = scenario_sync(scenario, "E");
	sync = scenario_sync(scenario, "B");
	scenario_run(scenario, LEASE_MS - 100); // what the cache has dropped would be forgotten by now
	request_expect_ok(e);
	request_expect_ok(sync);
	scenario_forget(scenario);
	world_set_parent(scenario_node(scenario, "C"), scenario_node(scenario, "A"), scenario_node(scenario, "C")->pipe, 0);
	sync = scenario_sync(scenario, "C");
	scenario_run(scenario, 100);
	ck_assert_uint_ge(scenario_count(scenario, "C -> A  RECOVER"), 1);
	request_expect_waiting(sync);
	scenario_run(scenario, 2 * LEASE_MS);
	request_expect_ok(sync);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'e');
	steps_read_at_last(scenario, "B", 'e');
	scenario_destroy(scenario);
}
END_TEST

// F6: a root that is stopped in its grace time leaves what C may still come with, which was away all the time: the next one
// waits for it anew.
START_TEST(root_leaves_in_the_grace_time)
{
	struct scenario *scenario = steps_create();
	struct request *sync;

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "C", "A", true);
	steps_write(scenario, "C", 'c');
	steps_cut(scenario, "C", "A", 2 * LEASE_MS);
	scenario_kill(scenario, "A");
	scenario_restart(scenario, "A");
	scenario_run(scenario, LEASE_MS / 2);
	world_stop(scenario_node(scenario, "A"));
	scenario_run(scenario, LEASE_MS);
	ck_assert(scenario_node(scenario, "A")->stopped);
	scenario_restart(scenario, "A");
	scenario_run(scenario, EVICTED_MS);
	sync = scenario_sync(scenario, "C");
	scenario_run(scenario, LEASE_MS);
	request_expect_ok(sync);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'c');
	scenario_destroy(scenario);
}
END_TEST

// F6: C has bytes that B has written over, and is away from P while A leaves in order: nobody tells it that they need not be
// brought any more. It brings them to the root after the next, whose version log begins behind all that.
START_TEST(bytes_from_before_an_orderly_stop)
{
	struct scenario *scenario = steps_tree();

	steps_write(scenario, "C", 'c');
	steps_read(scenario, "B", 'c');
	steps_write(scenario, "B", 'b');
	steps_sync(scenario, "B", ERR_OK);
	steps_cut(scenario, "C", "P", LEASE_MS / 2);
	world_stop(scenario_node(scenario, "A"));
	scenario_run(scenario, 200);
	ck_assert(scenario_node(scenario, "A")->stopped);
	scenario_restart(scenario, "A");
	scenario_run(scenario, 200);
	scenario_kill(scenario, "A");
	scenario_restart(scenario, "A");
	scenario_run(scenario, EVICTED_MS);
	steps_sync(scenario, "C", ERR_OK);
	steps_read_at_last(scenario, "E", 'b');
	ck_assert_int_eq(scenario_stored(scenario, 7), 'b');
	scenario_destroy(scenario);
}
END_TEST

// R13: C has bytes that B has written over, and is cut off while A leaves in order. All that A had is durable; so the next root
// tells C what A could not.
START_TEST(orderly_stop_that_a_child_does_not_hear_of)
{
	struct scenario *scenario = steps_create();

	scenario->world->moving = true;
	steps_root(scenario, "A");
	steps_child(scenario, "B", "A", true);
	steps_child(scenario, "C", "A", true);
	steps_write(scenario, "C", 'c');
	if (_i == 1)
		steps_read(scenario, "B", 'c');
	steps_write(scenario, "B", 'b');
	steps_cut(scenario, "C", "A", LEASE_MS / 2);
	world_stop(scenario_node(scenario, "A"));
	scenario_run(scenario, 200);
	ck_assert(scenario_node(scenario, "A")->stopped);
	scenario_restart(scenario, "A");
	scenario_run(scenario, EVICTED_MS);
	steps_sync(scenario, "C", ERR_OK);
	steps_read(scenario, "C", 'b');
	scenario_destroy(scenario);
}
END_TEST

// F2, R13: P is evicted with what C has written, comes back, and knows then that C's bytes are lost; but it dies before C asks.
// C, who stays below P until then, and hears of its new name, has to learn it all the same. _i == 1: the root leaves in order, and
// the next one dies, so that C's bytes are older than all that the version log tells of, and pass for durable.
START_TEST(lost_by_a_proxy_that_dies)
{
	struct scenario *scenario = steps_tree();

	steps_write(scenario, "C", 'c');
	steps_read(scenario, "E", 'c'); // so P has it, and C may read
	steps_cut(scenario, "P", "A", EVICTED_MS);
	steps_cut(scenario, "C", "A", 2 * EVICTED_MS);
	steps_cut(scenario, "E", "A", 2 * EVICTED_MS);
	steps_read_at_last(scenario, "B", '.');
	if (_i == 1) {
		steps_sync(scenario, "B", ERR_OK);
		world_stop(scenario_node(scenario, "A"));
		scenario_run(scenario, 1000);
		ck_assert(scenario_node(scenario, "A")->stopped);
		scenario_restart(scenario, "A");
		scenario_run(scenario, 2000);
	}
	world_cut(scenario_node(scenario, "C"), 0, 0, 100 * 1000);
	scenario_run(scenario, 1000);
	scenario_kill(scenario, "P");
	if (_i == 1) {
		scenario_kill(scenario, "A");
		scenario_restart(scenario, "A");
	}
	scenario_run(scenario, EVICTED_MS);
	steps_sync(scenario, "C", ERR_LOST);
	steps_sync(scenario, "C", ERR_OK);
	steps_work_again(scenario, "C");
	scenario_destroy(scenario);
}
END_TEST

// F4, R11: P has claimed the block for C and is gone; C comes with its lease over, so that it gets the block when P has been
// evicted. B's older bytes, which came before C, wait for C's: in their place, with P's version or the one behind it, they
// would look like C's.
START_TEST(older_bytes_wait_for_the_heir)
{
	struct scenario *scenario = steps_tree();
	struct request *sync;

	steps_write(scenario, "B", 'b');
	steps_write(scenario, "C", 'c');
	steps_read(scenario, "E", 'c'); // P has these bytes
	steps_write(scenario, "C", 'C');
	scenario_kill(scenario, "A");
	scenario_restart(scenario, "A");
	sync = scenario_sync(scenario, "B");
	scenario_forget(scenario);
	scenario_run(scenario, 500);
	ck_assert_uint_eq(scenario_count(scenario, "block=7 perm=WRITE ttl=20s"), 1); // A has granted it to P
	request_expect_waiting(sync);
	steps_cut(scenario, "C", "A", LEASE_MS + 300);
	scenario_kill(scenario, "P");
	scenario_run(scenario, LEASE_MS + 300); // C's lease is over, P's is, but P is not evicted yet
	world_set_parent(scenario_node(scenario, "C"), scenario_node(scenario, "A"), scenario_node(scenario, "C")->pipe, 0);
	scenario_run(scenario, 100);
	ck_assert_uint_eq(scenario_count(scenario, "block=7 perm=WRITE ttl=0s"), 1); // C claims it
	ck_assert_uint_eq(scenario_count(scenario, "block=7 perm=WRITE ttl=20s"), 1);
	scenario_run(scenario, EVICTED_MS);
	request_expect_ok(sync);
	steps_sync(scenario, "C", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'C');
	steps_read_at_last(scenario, "B", 'C');
	scenario_destroy(scenario);
}
END_TEST

// F4: P has been away for longer than its lease. Meanwhile C, whose block it has on record, has moved to the root, and written
// (_i & 1: it holds that to the end; else B has written over it, and is lost together with the root). P's claim, and its
// older bytes, are behind what C brings.
START_TEST(claim_older_than_what_was_brought)
{
	struct scenario *scenario = steps_tree();

	steps_write(scenario, "C", 'c');
	steps_read(scenario, "E", 'c'); // P has these bytes
	steps_write(scenario, "C", '2');
	steps_cut(scenario, "P", "A", 3 * LEASE_MS);
	world_cut(scenario_node(scenario, "P"), 0, 0, 0);
	steps_cut(scenario, "E", "A", 60 * 1000);
	steps_cut(scenario, "C", "P", 60 * 1000);
	steps_leave(scenario, "C", "A", 0);
	scenario_run(scenario, 500);
	steps_write(scenario, "C", 'C');
	if (_i & 1)
		steps_read_at_last(scenario, "B", 'C');
	else
		steps_write(scenario, "B", 'b');
	scenario_run(scenario, LEASE_MS);
	if (!(_i & 1))
		scenario_kill(scenario, "B");
	scenario_kill(scenario, "A");
	world_unblock(scenario->world);
	if (_i & 2)
		steps_cut(scenario, "C", "A", LEASE_MS / 2); // P is first
	scenario_restart(scenario, "A");
	scenario_run(scenario, EVICTED_MS);
	steps_read_at_last(scenario, "E", 'C');
	steps_read_at_last(scenario, "C", 'C');
	steps_sync(scenario, "C", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'C');
	scenario_destroy(scenario);
}
END_TEST

// P has sent up what it had of C's, and waits for the end of the root's grace time; meanwhile newer bytes of C's come to it by
// Q. The answer is for the older ones: the newer ones have to go up as well. (seed 7700)
START_TEST(newer_bytes_while_older_ones_are_brought)
{
	struct scenario *scenario = steps_create();
	struct request *sync;

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "Q", "P", true);
	steps_child(scenario, "C", "Q", true);
	steps_child(scenario, "B", "A", true);
	steps_write(scenario, "C", 'c');
	steps_read(scenario, "B", 'c');
	steps_leave(scenario, "C", "A", 0);
	scenario_run(scenario, 2 * LEASE_MS);
	steps_write(scenario, "C", 'd');
	steps_read(scenario, "B", 'd');
	steps_leave(scenario, "C", "Q", 0);
	scenario_run(scenario, LEASE_MS / 4);
	steps_cut(scenario, "C", "Q", LEASE_MS * 3 / 2 + 300);
	steps_cut(scenario, "C", "P", EVICTED_MS);
	steps_cut(scenario, "C", "A", EVICTED_MS);
	scenario_run(scenario, LEASE_MS * 3 / 2);
	world_crash(scenario_node(scenario, "A"), 0);
	scenario_restart(scenario, "A");
	scenario_forget(scenario);
	sync = scenario_sync(scenario, "C");
	scenario_run(scenario, EVICTED_MS);
	request_expect_ok(sync);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'd');
	scenario_destroy(scenario);
}
END_TEST

// C has written over D's bytes. The root dies, Q goes to P; C claims the block by N, Q and P, but N has lost Q when that is
// granted, and C goes to the new root, its lease over: Q says no, for N may have it by right. So C brings its bytes. When
// D brings its older ones to P, P knows from C's claim that there are newer ones than it has, but not whether these are:
// when Q gives the block back, P must not take them for the newest. (seed 160366)
START_TEST(older_bytes_where_a_newer_version_was_claimed)
{
	struct scenario *scenario = steps_create();
	struct request *sync;

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "Q", "A", true);
	steps_child(scenario, "D", "Q", true);
	steps_child(scenario, "N", "Q", true);
	steps_child(scenario, "C", "A", true);
	steps_write(scenario, "D", 'd');
	steps_write(scenario, "C", 'c');
	scenario_kill(scenario, "A");
	steps_leave(scenario, "Q", "P", 0);
	steps_leave(scenario, "C", "N", 0);
	scenario_run(scenario, 500);
	steps_cut(scenario, "N", "Q", EVICTED_MS);
	scenario_restart(scenario, "A");
	scenario_run(scenario, 500);
	ck_assert_uint_ge(scenario_count(scenario, "block=7 perm=WRITE"), 1);
	steps_leave(scenario, "N", "A", LEASE_MS);
	steps_leave(scenario, "C", "A", LEASE_MS * 2 / 3);
	scenario_run(scenario, LEASE_MS * 2 / 3 + 100);
	steps_leave(scenario, "D", "P", 0);
	sync = scenario_sync(scenario, "C");
	scenario_run(scenario, EVICTED_MS);
	request_expect_ok(sync);
	steps_read(scenario, "P", 'c');
	steps_read_at_last(scenario, "D", 'c');
	ck_assert_int_eq(scenario_stored(scenario, 7), 'c');
	steps_work_again(scenario, "C");
	scenario_destroy(scenario);
}
END_TEST

// F4, F6: Q waits to read the block when C comes to it with a claim, and P, which the root gives the block for that, would fetch
// the bytes for Q: those of the disk, which the root would give the version that C claims. C's own come after them.
// (seed 160028)
START_TEST(read_that_waits_when_a_claim_is_passed_on)
{
	struct scenario *scenario = steps_create();
	struct request *read;

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "Q", "P", true);
	steps_child(scenario, "C", "A", true);
	steps_write(scenario, "C", 'c');
	steps_cut(scenario, "Q", "A", 60 * 1000);
	steps_cut(scenario, "C", "A", 60 * 1000);
	steps_leave(scenario, "C", "Q", 2 * LEASE_MS);
	scenario_kill(scenario, "A");
	scenario_run(scenario, 2 * LEASE_MS - 1000);
	scenario_restart(scenario, "A");
	scenario_forget(scenario);
	scenario_run(scenario, 800);
	read = scenario_read(scenario, "Q", 7);
	scenario_run(scenario, 900);
	request_expect_waiting(read);
	ck_assert_uint_eq(scenario_count(scenario, "block=7 perm=WRITE ttl=0s"), 3); // C's claim is at A
	scenario_run(scenario, LEASE_MS - 1700);
	scenario_hold(scenario, "C", "Q", true);
	scenario_run(scenario, 300);
	scenario_hold(scenario, "C", "Q", false);
	scenario_run(scenario, 500);
	request_expect_letter(read, 'c');
	steps_read(scenario, "C", 'c');
	steps_sync(scenario, "C", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'c');
	scenario_destroy(scenario);
}
END_TEST

// F5, F6: C has left Q for N, and claims the block through P; so does Q, and the root asks P whether C has gone back. P itself wants
// to read. What the root has are the bytes of the disk, under the version that C claims: P must not fetch them.
START_TEST(read_above_a_claimant_who_is_asked_for)
{
	struct scenario *scenario = steps_create();
	struct request *read;

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "Q", "A", true);
	steps_keep_dirty(scenario, false);
	steps_child(scenario, "C", "Q", true);
	steps_keep_dirty(scenario, true);
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "N", "P", true);
	steps_write(scenario, "C", 'c');
	steps_cut(scenario, "C", "A", 60 * 1000);
	steps_cut(scenario, "N", "A", 60 * 1000);
	steps_leave(scenario, "C", "N", 2 * LEASE_MS);
	scenario_kill(scenario, "A");
	scenario_run(scenario, 2 * LEASE_MS - 1000);
	scenario_restart(scenario, "A");
	read = scenario_read(scenario, "P", 7);
	while (scenario_count(scenario, "Q -> A  RECOVER RECOVERY_OP") == 0)
		scenario_run(scenario, 1);
	scenario_hold(scenario, "Q", "A", true);
	scenario_run(scenario, 200); // C's claim is the first
	scenario_hold(scenario, "Q", "A", false);
	scenario_run(scenario, EVICTED_MS);
	request_expect_letter(read, 'c');
	steps_sync(scenario, "C", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'c');
	scenario_destroy(scenario);
}
END_TEST

// R13, F4: P brings bytes of its own, again, when C behind it claims the block. Q grants that at once and has newer bytes than P; then
// the root refuses P's. They are superseded: the refusal says nothing about what P has been granted since. (seed 520967)
START_TEST(superseded_bytes_are_refused)
{
	enum { AWAY_MS = 2450 }; // until the grace time is over
	struct scenario *scenario = steps_create();
	struct request *sync;

	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "Q", "A", true);
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "C", "A", true);
	steps_write(scenario, "P", 'p');
	steps_write(scenario, "Q", 'q');
	steps_write(scenario, "C", 'c');
	scenario_kill(scenario, "A");
	scenario_lose_versions(scenario);
	steps_leave(scenario, "P", "Q", 0);
	steps_leave(scenario, "C", "P", 0);
	steps_cut(scenario, "C", "P", 700);
	scenario_run(scenario, 100);
	scenario_restart(scenario, "A");
	scenario_run(scenario, 730); // A has granted C's claim, and P has not heard of it
	steps_leave(scenario, "P", "Q", AWAY_MS);
	scenario_run(scenario, AWAY_MS + 10);
	scenario_hold(scenario, "C", "P", true);
	scenario_run(scenario, 100);
	scenario_hold(scenario, "C", "P", false);
	scenario_run(scenario, 1000);
	sync = scenario_sync(scenario, "C");
	scenario_run(scenario, EVICTED_MS);
	request_expect_ok(sync);
	steps_read(scenario, "C", 'c');
	ck_assert_int_eq(scenario_stored(scenario, 7), 'c');
	steps_work_again(scenario, "C");
	scenario_destroy(scenario);
}
END_TEST

// F4: Q claims for D, which is dead, a version that the root does not have, and is told which one that has. E's bytes, which come to
// Q then, lie between the two: they are older than C's, which C brings to the root. (seed 524895)
START_TEST(bytes_below_a_version_that_was_claimed)
{
	struct scenario *scenario = steps_create();

	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "Q", "A", true);
	steps_child(scenario, "D", "Q", true);
	steps_child(scenario, "E", "A", true);
	steps_child(scenario, "C", "A", true);
	steps_write(scenario, "E", 'e');
	steps_write(scenario, "C", 'c');
	steps_write(scenario, "D", 'd');
	scenario_kill(scenario, "D");
	scenario_kill(scenario, "A");
	steps_leave(scenario, "E", "Q", 0);
	steps_cut(scenario, "C", "A", 1000);
	scenario_run(scenario, 100);
	scenario_restart(scenario, "A");
	scenario_run(scenario, 2 * LEASE_MS);
	steps_read_at_last(scenario, "Q", 'c');
	steps_read(scenario, "C", 'c');
	steps_read(scenario, "E", 'c');
	steps_work_again(scenario, "C");
	scenario_destroy(scenario);
}
END_TEST

// F4: P claims a block for D, whose bytes it has, and is told of an older version. These are the newest: P must not wait for newer
// ones from D, nor ask above for bytes, which are those of the disk under the version that it has claimed. (seed 509101)
START_TEST(claimed_bytes_that_came_from_below)
{
	struct scenario *scenario = steps_create();

	steps_root(scenario, "A");
	steps_child(scenario, "E", "A", true);
	steps_keep_dirty(scenario, true);
	steps_child(scenario, "P", "A", true);
	steps_keep_dirty(scenario, false);
	steps_child(scenario, "D", "P", true);
	steps_write(scenario, "D", 'd');
	scenario_kill(scenario, "A");
	scenario_restart(scenario, "A");
	scenario_run(scenario, 2 * LEASE_MS);
	scenario_forget(scenario);
	steps_read(scenario, "P", 'd');
	ck_assert_uint_eq(scenario_count(scenario, "GET"), 0);
	steps_read(scenario, "E", 'd');
	steps_read(scenario, "A", 'd');
	steps_work_again(scenario, "D");
	scenario_destroy(scenario);
}
END_TEST

// F6: P has claimed the block for D when the grace time is over, and older bytes are here: its own (_i == 0), or those of C, which are
// durable. P dies when D has given the block back, with D's bytes: nobody has been given the older ones, so D's are not too late.
// (seed 525162)
START_TEST(bytes_of_who_died_with_a_claim_beside_older_ones)
{
	struct scenario *scenario = steps_create();
	struct request *write, *read;

	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "C", "A", true);
	steps_child(scenario, "P", "A", false);
	steps_child(scenario, "D", "P", true);
	steps_child(scenario, "B", "A", true);
	steps_write(scenario, _i == 0 ? "D" : "C", 'c');
	steps_read(scenario, "B", 'c');
	steps_sync(scenario, "A", ERR_OK);
	steps_write(scenario, "D", 'd');
	scenario_kill(scenario, "A");
	scenario_run(scenario, EVICTED_MS);
	scenario_restart(scenario, "A");
	steps_cut(scenario, "P", "A", 500);
	scenario_run(scenario, EVICTED_MS);
	scenario_hold(scenario, "P", "A", true);
	write = scenario_write_half(scenario, "B", 7, 'b');
	scenario_run(scenario, 500);
	scenario_kill(scenario, "P");
	steps_leave(scenario, "D", "A", 1);
	scenario_run(scenario, EVICTED_MS);
	steps_sync(scenario, "D", ERR_OK);
	request_expect_ok(write);
	steps_sync(scenario, "B", ERR_OK);
	read = scenario_read(scenario, "C", 7);
	scenario_run(scenario, 200);
	request_expect_halves(read, 'b', 'd');
	scenario_destroy(scenario);
}
END_TEST

// C brings P, who has been given the block to read (_i == 0) or has just asked for it, bytes that are newer than those, and the root
// refuses them, as nobody has claimed the block: nobody reads them. (seed 525162)
START_TEST(newer_bytes_for_who_may_only_read)
{
	struct scenario *scenario = steps_create();
	struct request *read;
	version_t version;

	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "C", "P", true);
	steps_child(scenario, "B", "A", true);
	steps_write(scenario, "C", 'c');
	steps_write(scenario, "B", 'b');
	scenario_kill(scenario, "A");
	scenario_restart(scenario, "A");
	scenario_run(scenario, EVICTED_MS);
	steps_read(scenario, "A", 'b');
	steps_read(scenario, _i == 0 ? "P" : "A", 'b');
	version = inside_version(scenario_node(scenario, "A")->core, 7);
	read = scenario_read(scenario, "P", 7);
	inside_uncovered(scenario_node(scenario, "C")->core, 7, version + 1);
	steps_sync(scenario, "C", ERR_LOST);
	request_expect_letter(read, 'b');
	steps_read(scenario, "P", 'b');
	steps_read(scenario, "C", 'b');
	scenario_destroy(scenario);
}
END_TEST

// R13: P has passed C's bytes on to the root, and has read them there; the root dies with them. When C brings them again, P may not
// say that it has them: what it has is clean, and nobody will bring it up. (seed 545726)
START_TEST(bytes_that_a_proxy_has_read_are_brought_again)
{
	struct scenario *scenario = steps_create();

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "C", "A", true);
	steps_write(scenario, "C", 'c');
	steps_read(scenario, "A", 'c');
	scenario_kill(scenario, "A");
	scenario_restart(scenario, "A");
	steps_leave(scenario, "C", "P", 200);
	scenario_run(scenario, 2 * STEPS_HB_TTL_MS);
	steps_read(scenario, "P", 'c');
	steps_read(scenario, "C", 'c');
	scenario_kill(scenario, "A");
	scenario_restart(scenario, "A");
	scenario_run(scenario, 2 * STEPS_HB_TTL_MS);
	steps_sync(scenario, "C", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'c');
	steps_read(scenario, "A", 'c');
	scenario_destroy(scenario);
}
END_TEST

// F4: P has written over C's bytes, and Q has that. When P is dead, C brings them to Q: they are superseded, and Q says so. It does not
// wait for R to evict P, in whose name they come, too; then they would be told lost. (seed 620197)
START_TEST(bytes_that_are_superseded_do_not_wait)
{
	struct scenario *scenario = steps_create();
	struct request *sync;

	scenario->world->moving = true;
	steps_root(scenario, "A");
	steps_keep_dirty(scenario, true);
	steps_child(scenario, "Q", "A", true);
	steps_keep_dirty(scenario, false);
	steps_child(scenario, "R", "Q", true);
	steps_child(scenario, "P", "R", true);
	steps_keep_dirty(scenario, true);
	steps_child(scenario, "C", "P", true);
	steps_write(scenario, "C", 'c');
	steps_write(scenario, "P", 'p');
	scenario_run(scenario, 1000);
	scenario_kill(scenario, "P");
	steps_leave(scenario, "C", "Q", 100);
	scenario_run(scenario, 500);
	sync = scenario_sync(scenario, "C");
	scenario_run(scenario, 2 * STEPS_EVICTED_MS);
	request_expect_ok(sync);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'p');
	scenario_destroy(scenario);
}
END_TEST

// F4: Q has written over C's bytes, and A has that. Q dies, C goes to A, and brings its own: that they are older A knows, and P, which
// may have to wait until Q is evicted, is not asked. (They were refused for that eviction. Seed 813026)
START_TEST(bytes_that_a_dead_node_has_written_over)
{
	struct scenario *scenario = steps_create();

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", false);
	steps_child(scenario, "Q", "P", true);
	steps_child(scenario, "C", "Q", true);
	steps_write(scenario, "C", 'c');
	steps_write(scenario, "Q", 'q');
	steps_sync(scenario, "Q", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'q');
	scenario_kill(scenario, "Q");
	scenario_forget(scenario);
	scenario_move(scenario, "C", "A");
	scenario_run(scenario, LEASE_MS / 2);
	ck_assert_uint_eq(scenario_count(scenario, "C -> A  RECOVER RECOVERY_OP volume=1 block=7 perm=NO"), 1);
	ck_assert_uint_eq(scenario_count(scenario, "A -> C  OK_REPLY volume=1 block=7"), 1);
	ck_assert_uint_eq(scenario_count(scenario, "INVALIDATE"), 0);
	steps_sync(scenario, "C", ERR_OK);
	scenario_run(scenario, EVICTED_MS);
	steps_read(scenario, "C", 'q');
	steps_work_again(scenario, "C");
	scenario_destroy(scenario);
}
END_TEST

// P was above W when W had the block, and has let it go since, for X's claim. W is evicted, but P does not know, to
// whom it comes after ${ms}.
static struct scenario *
evicted_elsewhere(uint64_t ms)
{
	struct scenario *scenario = steps_create();

	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "B", "A", true);
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "D", "P", true);
	steps_child(scenario, "X", "P", true);
	steps_child(scenario, "W", "X", true);
	steps_write(scenario, "W", 'w');
	steps_cut(scenario, "W", "X", 100 * STEPS_EVICTED_MS);
	steps_leave(scenario, "X", "A", 1);
	scenario_run(scenario, 500);
	steps_read_at_last(scenario, "B", '.');
	scenario_forget(scenario);
	steps_leave(scenario, "W", "P", ms);
	return scenario;
}

// It must not take the bytes that W brings as if they were its own, under whose name nobody refuses them. (Seed 927577)
START_TEST(bytes_of_an_evicted_node_come_to_who_was_above_it)
{
	struct scenario *scenario = evicted_elsewhere(1);

	scenario_run(scenario, STEPS_EVICTED_MS);
	steps_sync(scenario, "W", ERR_LOST);
	steps_read(scenario, "W", '.');
	steps_work_again(scenario, "W");
	scenario_destroy(scenario);
}
END_TEST

// It has the block for D, or a copy to read: what W brings is older, but not written over by anybody who had it by right from W on.
START_TEST(older_bytes_of_an_evicted_node_come_to_who_has_the_block)
{
	struct scenario *scenario = evicted_elsewhere(2 * LEASE_MS);
	char letter = _i == 0 ? 'd' : '.';

	if (_i == 0)
		steps_write(scenario, "D", 'd');
	else
		steps_read(scenario, "P", '.');
	scenario_run(scenario, 2 * STEPS_EVICTED_MS);
	steps_sync(scenario, "W", ERR_LOST);
	steps_read(scenario, "W", letter);
	steps_work_again(scenario, "W");
	scenario_destroy(scenario);
}
END_TEST

// The same, but P is granted the block for D when it has passed the bytes on: their answer is that of those above all the same.
START_TEST(block_is_granted_when_bytes_have_been_passed_on)
{
	struct scenario *scenario = evicted_elsewhere(1);

	while (scenario_count(scenario, "W -> P  RECOVER RECOVERY_OP volume=3 block=7 perm=WRITE") == 0)
		scenario_run(scenario, 1);
	scenario_write(scenario, "D", 7, 'd');
	scenario_run(scenario, STEPS_EVICTED_MS);
	steps_sync(scenario, "W", ERR_LOST);
	steps_read(scenario, "W", 'd');
	steps_work_again(scenario, "W");
	scenario_destroy(scenario);
}
END_TEST

// The root dies, and P is cut off; so is C, which had written 'c' below P. The root that is started then lets their leases end. B brings
// what it had written before C, under a version of then, and reads it. P is back after that, and C only after ${ms} more.
static struct scenario *
outlived_by_root(uint64_t ms)
{
	struct scenario *scenario = steps_create();

	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "B", "A", true);
	steps_child(scenario, "P", "A", false);
	steps_child(scenario, "C", "P", true);
	steps_child(scenario, "D", "P", true);
	steps_write(scenario, "B", 'x');
	steps_write(scenario, "C", 'c');
	scenario_kill(scenario, "A");
	steps_cut(scenario, "P", "A", 4 * LEASE_MS);
	steps_cut(scenario, "P", "C", 4 * LEASE_MS + ms);
	scenario_restart(scenario, "A");
	scenario_run(scenario, 3 * LEASE_MS);
	steps_read(scenario, "B", 'x');
	scenario_run(scenario, 2 * LEASE_MS);
	scenario_forget(scenario);
	return scenario;
}

// D is granted the block by the new root, and dies before it has written. That P has it for writing does not mean that it has what C
// brings, nor that this may be taken, or what C had be granted to it. (Seed 929523)
START_TEST(bytes_that_come_after_their_root_to_who_has_the_block)
{
	struct scenario *scenario = outlived_by_root(3 * LEASE_MS);

	scenario_write(scenario, "D", 7, 'd');
	while (scenario_count(scenario, "P -> D  OK_REPLY volume=3 block=7 perm=WRITE") == 0)
		scenario_run(scenario, 1);
	scenario_kill(scenario, "D");
	scenario_run(scenario, 2 * EVICTED_MS);
	steps_sync(scenario, "C", ERR_LOST);
	steps_read(scenario, "B", 'x');
	steps_work_again(scenario, "C");
	scenario_destroy(scenario);
}
END_TEST

// F2: C was below P, and is away when P loses its session, claims what C has, and gets a new name. P dies, and is evicted by that; C knows
// it by the one from before. What C brings was not written over, but lost. (Seed 1066687)
START_TEST(bytes_from_below_an_evicted_node_that_had_another_name)
{
	struct scenario *scenario = steps_create();

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "B", "A", true);
	steps_child(scenario, "Q", "A", true);
	steps_child(scenario, "P", "Q", true);
	steps_child(scenario, "C", "P", true);
	steps_write(scenario, "C", 'c');
	steps_cut(scenario, "C", "P", 100 * EVICTED_MS);
	steps_cut(scenario, "C", "A", 2 * EVICTED_MS);
	steps_cut(scenario, "C", "Q", 100 * EVICTED_MS);
	steps_leave(scenario, "P", "A", 1);
	scenario_run(scenario, 500);
	scenario_kill(scenario, "P");
	steps_read_at_last(scenario, "B", '.');
	scenario_run(scenario, 2 * EVICTED_MS);
	steps_sync(scenario, "C", ERR_LOST);
	steps_read(scenario, "C", '.');
	steps_work_again(scenario, "C");
	scenario_destroy(scenario);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("brought");
	TCase *tcase = tcase_create("brought");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, bytes_that_a_proxy_has_read_are_brought_again);
	tcase_add_test(tcase, bytes_that_are_superseded_do_not_wait);
	tcase_add_test(tcase, bytes_of_the_version_that_is_claimed);
	tcase_add_loop_test(tcase, newest_bytes_below_a_claim_without_any, 0, 3);
	tcase_add_loop_test(tcase, what_came_in_the_grace_time, 0, 2);
	tcase_add_test(tcase, root_leaves_in_the_grace_time);
	tcase_add_test(tcase, bytes_from_before_an_orderly_stop);
	tcase_add_loop_test(tcase, orderly_stop_that_a_child_does_not_hear_of, 0, 2);
	tcase_add_loop_test(tcase, lost_by_a_proxy_that_dies, 0, 2);
	tcase_add_test(tcase, older_bytes_wait_for_the_heir);
	tcase_add_loop_test(tcase, claim_older_than_what_was_brought, 0, 4);
	tcase_add_test(tcase, newer_bytes_while_older_ones_are_brought);
	tcase_add_test(tcase, older_bytes_where_a_newer_version_was_claimed);
	tcase_add_test(tcase, read_that_waits_when_a_claim_is_passed_on);
	tcase_add_test(tcase, read_above_a_claimant_who_is_asked_for);
	tcase_add_test(tcase, superseded_bytes_are_refused);
	tcase_add_test(tcase, bytes_below_a_version_that_was_claimed);
	tcase_add_test(tcase, claimed_bytes_that_came_from_below);
	tcase_add_loop_test(tcase, bytes_of_who_died_with_a_claim_beside_older_ones, 0, 2);
	tcase_add_loop_test(tcase, newer_bytes_for_who_may_only_read, 0, 2);
	tcase_add_test(tcase, bytes_that_a_dead_node_has_written_over);
	tcase_add_test(tcase, bytes_of_an_evicted_node_come_to_who_was_above_it);
	tcase_add_loop_test(tcase, older_bytes_of_an_evicted_node_come_to_who_has_the_block, 0, 2);
	tcase_add_test(tcase, block_is_granted_when_bytes_have_been_passed_on);
	tcase_add_test(tcase, bytes_that_come_after_their_root_to_who_has_the_block);
	tcase_add_test(tcase, bytes_from_below_an_evicted_node_that_had_another_name);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
