// SPDX-License-Identifier: MIT
// The root dies and is started anew (protocol.md F6, and what F2-F4 say of claims and evictions then). The tree is that of
// steps_tree; what the storage tells the new root is the matter of test_stored.c.
#include "tests/scenario/inside.h"
#include "tests/scenario/steps.h"

#include <check.h>
#include <stdlib.h>

enum { LEASE_MS = STEPS_HB_TTL_MS, EVICTED_MS = STEPS_EVICTED_MS };

// F6, R13: the root dies with what it had taken; writers live. Nothing is lost, no request fails.
START_TEST(root_restarts_with_writers_below)
{
	struct scenario *scenario = steps_tree();
	struct request *write, *other;

	steps_write(scenario, "C", 'c');
	other = scenario_write(scenario, "B", 3, 'b');
	scenario_run(scenario, 200);
	request_expect_ok(other);
	scenario_kill(scenario, "A");
	scenario_run(scenario, (uint64_t)_i * LEASE_MS);
	scenario_restart(scenario, "A");
	write = scenario_write(scenario, "E", 5, 'e');
	scenario_run(scenario, 2 * LEASE_MS);
	request_expect_ok(write);
	steps_sync(scenario, "C", ERR_OK);
	steps_sync(scenario, "B", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'c');
	ck_assert_int_eq(scenario_stored(scenario, 3), 'b');
	steps_read_at_last(scenario, "B", 'c');
	scenario_destroy(scenario);
}
END_TEST

// F3, F6: C, below Q, is away while the root is started anew, and what G has is confirmed, which was granted under the root before, as it
// was to C. C comes to G: nobody else has been given the block. _i == 1: its lease lasts, as Q stands still meanwhile.
// (seeds 1105056, 1129621)
START_TEST(block_that_was_granted_before_and_is_confirmed)
{
	struct scenario *scenario = steps_create();
	struct request *sync = NULL;

	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", false);
	steps_child(scenario, "G", "P", true);
	steps_child(scenario, "Q", "G", false);
	steps_child(scenario, "C", "Q", true);
	steps_write(scenario, "C", 'c');
	if (_i == 0) {
		steps_cut(scenario, "C", "Q", STEPS_EVICTED_MS);
	} else {
		world_pause(scenario_node(scenario, "Q"), scenario->world->now + LEASE_MS * 500);
		sync = scenario_sync(scenario, "C"); // Q has bytes to bring then
		scenario_run(scenario, 50);
		steps_leave(scenario, "C", "G", 100);
		scenario_run(scenario, 300);
		ck_assert_uint_eq(scenario_count(scenario, "G -> Q  INVALIDATE RECOVERY_OP"), 1);
	}
	scenario_kill(scenario, "A");
	scenario_restart(scenario, "A");
	scenario_run(scenario, _i == 0 ? 2 * LEASE_MS : LEASE_MS);
	if (_i == 0)
		steps_leave(scenario, "C", "G", 0);
	scenario_run(scenario, LEASE_MS);
	ck_assert_uint_eq(scenario_count(scenario, "G -> C  OK_REPLY volume=3 block=7 perm=WRITE"), 1);
	if (sync != NULL)
		request_expect_ok(sync);
	steps_sync(scenario, "C", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'c');
	scenario_destroy(scenario);
}
END_TEST

// F3, F6: Q was cut off when the root was started anew, and has bytes to bring to P: until they are answered it confirms nothing to those
// below. C has been granted the block meanwhile, as P was, under the new root. C comes to P. (seed 1154398)
START_TEST(block_that_is_granted_before_anything_is_confirmed)
{
	struct scenario *scenario = steps_create();
	struct request *read;

	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "B", "A", true);
	steps_child(scenario, "O", "A", false);
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "Q", "O", true);
	steps_child(scenario, "C", "Q", true);
	steps_write_block(scenario, "Q", 8, 'q');
	read = scenario_read(scenario, "B", 8);
	scenario_run(scenario, 35);
	steps_cut(scenario, "Q", "O", 2 * STEPS_EVICTED_MS);
	scenario_kill(scenario, "A");
	scenario_restart(scenario, "A");
	scenario_run(scenario, STEPS_EVICTED_MS);
	request_expect_ok(read);
	steps_write(scenario, "P", 'p');
	scenario_hold(scenario, "P", "A", true);
	steps_leave(scenario, "Q", "P", 0);
	scenario_run(scenario, 100);
	steps_write(scenario, "C", 'c');
	steps_leave(scenario, "C", "P", 0);
	scenario_run(scenario, 100);
	ck_assert_uint_eq(scenario_count(scenario, "P -> C  OK_REPLY volume=4 block=7 perm=WRITE"), 1);
	scenario_hold(scenario, "P", "A", false);
	scenario_run(scenario, LEASE_MS);
	steps_sync(scenario, "C", ERR_OK);
	scenario_destroy(scenario);
}
END_TEST

// F6: C's write is done at the root, which dies before C hears of it. C claims it of the next root, and is cut off again, while D writes
// the block. When C is back it has been evicted: nobody can tell any more, and it is not written a second time.
// (seed 1236567)
START_TEST(synchronous_write_claimed_in_a_grace_time)
{
	struct scenario *scenario = steps_create();
	struct request *write, *other;

	steps_root(scenario, "A");
	steps_child(scenario, "D", "A", true);
	steps_child(scenario, "C", "A", true);
	world_block(scenario_node(scenario, "A"), scenario_node(scenario, "C"), scenario->world->now + 420 * 1000);
	write = scenario_write_sync(scenario, "C", 7, 'c');
	scenario_run(scenario, 400);
	ck_assert_uint_eq(scenario_count(scenario, "C -> A  PUT FORCE_SYNC"), 1);
	scenario_kill(scenario, "A");
	scenario_restart(scenario, "A");
	scenario_run(scenario, 1000);
	ck_assert_uint_eq(scenario_count(scenario, "C -> A  RECOVER FORCE_SYNC RECOVERY_OP"), 1);
	steps_leave(scenario, "C", "A", STEPS_EVICTED_MS);
	scenario_run(scenario, LEASE_MS);
	other = scenario_write(scenario, "D", 7, 'd');
	scenario_run(scenario, STEPS_EVICTED_MS);
	request_expect_ok(other);
	request_expect_error(write, ERR_IO);
	steps_read(scenario, "C", 'd');
	scenario_destroy(scenario);
}
END_TEST

// F6: in the grace time C's newest bytes come to the root by way of P, and then Q, which C is below, claims the block of the root itself. It
// hears that they are there, and disturbs nobody. (seed 1341968)
START_TEST(bytes_came_before_the_claim_in_the_grace_time)
{
	struct scenario *scenario = steps_create();

	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", false);
	steps_child(scenario, "Q", "P", false);
	steps_child(scenario, "C", "Q", true);
	steps_write(scenario, "C", 'c');
	scenario_kill(scenario, "A");
	scenario_restart(scenario, "A");
	scenario_run(scenario, 500);
	steps_write(scenario, "C", 'd');
	ck_assert_uint_eq(inside_version(scenario_node(scenario, "A")->core, 7), inside_version(scenario_node(scenario, "C")->core, 7));
	scenario_forget(scenario);
	steps_leave(scenario, "Q", "A", 0);
	scenario_run(scenario, 500);
	ck_assert_uint_eq(scenario_count(scenario, "block=7 perm=WRITE ttl=20s"), 1);
	ck_assert_uint_eq(scenario_count(scenario, "C -> Q  CONNECT"), 0);
	steps_write(scenario, "C", 'e');
	scenario_run(scenario, LEASE_MS);
	steps_sync(scenario, "C", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'e');
	scenario_destroy(scenario);
}
END_TEST

// R11: C has the block across a restart of the root, and writes with the epoch of the new one; P knows it under a version of the one
// before. C dies: the gap that P leaves is beyond what C has used. (seeds 756566, 760683)
START_TEST(gap_behind_a_writer_of_a_newer_epoch)
{
	struct scenario *scenario = steps_tree();
	version_t written;

	steps_write(scenario, "C", 'b');
	steps_sync(scenario, "C", ERR_OK);
	scenario_kill(scenario, "A");
	scenario_restart(scenario, "A");
	scenario_run(scenario, 3 * LEASE_MS);
	steps_write(scenario, "C", 'c');
	written = inside_version(scenario_node(scenario, "C")->core, 7);
	ck_assert_uint_gt(written, inside_version(scenario_node(scenario, "P")->core, 7) + (1 << 20));
	world_kill(scenario_node(scenario, "C"));
	steps_read_at_last(scenario, "E", 'b');
	ck_assert_uint_gt(inside_version(scenario_node(scenario, "P")->core, 7), written);
	scenario_destroy(scenario);
}
END_TEST

// F6: B's lease is over when it claims in the grace time, so that this is decided at the end; B's link breaks before, and B makes the
// claim again behind it. The first has come in time. (seed 774910)
START_TEST(claimed_in_time_on_a_link_that_breaks)
{
	struct scenario *scenario = steps_tree();

	steps_write(scenario, "B", 'b');
	scenario_kill(scenario, "A");
	scenario_run(scenario, 2 * LEASE_MS);
	scenario_restart(scenario, "A");
	scenario_forget(scenario);
	while (scenario_count(scenario, "B -> A  RECOVER RECOVERY_OP") == 0)
		scenario_run(scenario, 10);
	scenario_run(scenario, 50);
	ck_assert_uint_eq(scenario_count(scenario, "block=7 perm=WRITE ttl=0s"), 1);
	world_cut(scenario_node(scenario, "B"), 0, 0, 3 * LEASE_MS / 2 * 1000);
	scenario_run(scenario, 3 * LEASE_MS);
	ck_assert_uint_eq(scenario_count(scenario, "block=7 perm=WRITE ttl=0s"), 2);
	steps_sync(scenario, "B", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'b');
	steps_read_at_last(scenario, "E", 'b');
	scenario_destroy(scenario);
}
END_TEST

// F6, R11: P remembers of block 3, which it has forgotten, that its version was higher than that of block 7. The root
// that was started anew knows none: that must not make P believe that block 7 is newer than E's.
START_TEST(proxy_that_knew_newer_versions_of_others)
{
	struct scenario *scenario = steps_create();
	struct request *read, *write;

	scenario->world->moving = true;
	scenario->cache_blocks = 4;
	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", false);
	steps_keep_dirty(scenario, true);
	steps_child(scenario, "C", "P", true);
	steps_child(scenario, "E", "P", true);
	steps_child(scenario, "B", "A", true);
	for (int i = 0; i < 4; i++) {
		write = scenario_write(scenario, "C", 3, 'c');
		scenario_run(scenario, 200);
		request_expect_ok(write);
		steps_sync(scenario, "C", ERR_OK);
	}
	for (uint64_t i = 9; i < 16; i++) { // no more room for block 3: P forgets it
		read = scenario_read(scenario, "C", i);
		scenario_run(scenario, 200);
		request_expect_letter(read, '.');
	}
	scenario_run(scenario, LEASE_MS);
	steps_write(scenario, "E", 'e');
	scenario_kill(scenario, "A");
	scenario_restart(scenario, "A");
	scenario_run(scenario, LEASE_MS / 2);
	steps_write(scenario, "E", 'E'); // it still has the block
	scenario_run(scenario, 2 * LEASE_MS);
	steps_sync(scenario, "E", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'E');
	steps_read_at_last(scenario, "B", 'E');
	scenario_destroy(scenario);
}
END_TEST

// R11, R13: P keeps what C wrote, and is refused it when the root has been started anew. Then C brings it to P again, and has to
// be told: neither that P remembers the version of block 7, or a higher one of block 3, which it has forgotten, nor (_i == 1)
// that it has, of a newer epoch, what the storage has, makes C's bytes superseded ones.
START_TEST(bytes_refused_to_a_proxy_that_knew_newer_versions)
{
	struct scenario *scenario = steps_create();

	scenario->world->moving = true;
	scenario->cache_blocks = 4;
	steps_root(scenario, "A");
	steps_keep_dirty(scenario, true);
	steps_child(scenario, "P", "A", false);
	steps_child(scenario, "C", "P", true);
	steps_child(scenario, "E", "P", true);
	steps_child(scenario, "B", "A", true);
	for (int i = 0; i < 4; i++) {
		steps_write_block(scenario, "C", 3, 'c');
		steps_sync(scenario, "C", ERR_OK);
	}
	for (uint64_t i = 9; i < 16; i++)
		steps_read_block(scenario, "C", i, '.');
	scenario_run(scenario, LEASE_MS); // P forgets block 3
	steps_write(scenario, "C", 'c');
	steps_write(scenario, "B", 'b');
	scenario_kill(scenario, "B");
	scenario_lose_versions(scenario);
	world_crash(scenario_node(scenario, "A"), 0);
	scenario_restart(scenario, "A");
	scenario_forget(scenario);
	while (scenario_count(scenario, "status=18") == 0)
		scenario_run(scenario, 1);
	steps_cut(scenario, "C", "P", LEASE_MS / 3);
	steps_cut(scenario, "C", "A", EVICTED_MS);
	if (_i == 1)
		steps_read(scenario, "E", '.');
	scenario_run(scenario, EVICTED_MS);
	steps_sync(scenario, "C", ERR_LOST);
	steps_read_at_last(scenario, "C", '.');
	scenario_destroy(scenario);
}
END_TEST

// F6, R13: P claims the block that C has written, and dies after the grace time with what C has brought it since. E had the block then,
// and claims it after (_i == 0) or before C brings its bytes: they are superseded, not lost. (seed 1434 of those with journals)
START_TEST(bytes_from_below_who_claimed_and_died)
{
	struct scenario *scenario = steps_tree();

	steps_write(scenario, "E", 'e');
	steps_write(scenario, "C", 'c');
	scenario_kill(scenario, "A");
	scenario_restart(scenario, "A");
	scenario_run(scenario, 2 * LEASE_MS);
	steps_write(scenario, "E", 'E');
	scenario_kill(scenario, "P");
	steps_leave(scenario, _i == 0 ? "C" : "E", "A", 1);
	steps_leave(scenario, _i == 0 ? "E" : "C", "A", 200);
	scenario_run(scenario, 500);
	steps_sync(scenario, "C", ERR_OK);
	steps_read(scenario, "B", 'E');
	steps_sync(scenario, "E", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'E');
	scenario_destroy(scenario);
}
END_TEST

// F6: what was evicted before the root died stays evicted: the record is beside the storage.
START_TEST(evictions_outlive_the_root)
{
	struct scenario *scenario = steps_tree();
	struct node *c = scenario_node(scenario, "C");

	steps_write(scenario, "C", 'c');
	world_pause(c, scenario->world->now + 4 * EVICTED_MS * 1000);
	steps_read_at_last(scenario, "B", '.');
	steps_write(scenario, "B", 'b');
	steps_sync(scenario, "B", ERR_OK);
	scenario_kill(scenario, "B");
	scenario_kill(scenario, "P");
	scenario_kill(scenario, "A");
	world_pause(c, scenario->world->now + 100 * 1000);
	c->paused_until = scenario->world->now + 100 * 1000;
	scenario_restart(scenario, "A");
	scenario_restart(scenario, "P");
	scenario_run(scenario, 5 * EVICTED_MS);
	steps_read_at_last(scenario, "C", 'b');
	steps_sync(scenario, "C", ERR_LOST);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'b');
	scenario_destroy(scenario);
}
END_TEST

// F2, F3: B's claim is granted, but the root never hears of its new name: it evicts B under the old one. B has to learn that.
START_TEST(evicted_before_the_new_name_is_heard)
{
	struct scenario *scenario = steps_tree();
	struct request *write;

	steps_write(scenario, "B", 'b');
	scenario_kill(scenario, "A");
	scenario_restart(scenario, "A");
	scenario_forget(scenario);
	while (scenario_count(scenario, "A -> B  OK_REPLY volume") == 0)
		scenario_run(scenario, 1);
	world_block(scenario_node(scenario, "B"), scenario_node(scenario, "A"), scenario->world->now + 4 * EVICTED_MS * 1000);
	scenario_run(scenario, 50);
	write = scenario_write(scenario, "B", 7, 'B');
	scenario_run(scenario, 50);
	request_expect_ok(write);
	steps_cut(scenario, "B", "A", 3 * EVICTED_MS);
	steps_cut(scenario, "B", "P", 3 * EVICTED_MS);
	steps_read_at_last(scenario, "C", '.');
	steps_write(scenario, "C", 'c');
	steps_sync(scenario, "C", ERR_OK);
	scenario_run(scenario, 4 * EVICTED_MS);
	steps_read_at_last(scenario, "B", 'c');
	steps_sync(scenario, "B", ERR_LOST);
	scenario_destroy(scenario);
}
END_TEST

// F6: B's bytes wait for what E claims; E, which writes nothing back by itself, is asked for it.
START_TEST(claimant_is_asked_for_its_bytes)
{
	struct scenario *scenario = steps_create();
	struct request *sync;

	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "B", "A", true);
	steps_child(scenario, "E", "A", true);
	steps_write(scenario, "B", 'b');
	steps_write(scenario, "E", 'e');
	scenario_lose_versions(scenario);
	scenario_kill(scenario, "A");
	scenario_restart(scenario, "A");
	sync = scenario_sync(scenario, "B");
	scenario_run(scenario, 3 * LEASE_MS);
	request_expect_ok(sync);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'e');
	scenario_destroy(scenario);
}
END_TEST

// R4, F6: the same, but both are below a proxy that was started anew. It has passed on what C brings, and the root asks it for
// what E has claimed: that recall must not wait for the answer to the other.
START_TEST(claimant_is_asked_through_a_proxy_that_waits)
{
	struct scenario *scenario = steps_tree();
	struct request *sync;

	scenario->world->moving = false;
	steps_write(scenario, "C", 'c');
	steps_write(scenario, "E", 'e');
	scenario_kill(scenario, "P");
	scenario_kill(scenario, "A");
	scenario_restart(scenario, "A");
	scenario_restart(scenario, "P");
	sync = scenario_sync(scenario, "C");
	scenario_run(scenario, 4 * LEASE_MS);
	request_expect_ok(sync);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'e');
	scenario_destroy(scenario);
}
END_TEST

// F6: what E wrote is durable, and E claims the block; it dies before it has brought its bytes. B's, which are older, must not
// take their place.
START_TEST(older_bytes_beside_a_claim)
{
	struct scenario *scenario = steps_create();

	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "B", "A", true);
	steps_child(scenario, "E", "A", true);
	steps_write(scenario, "B", 'b');
	steps_write(scenario, "E", 'e');
	steps_sync(scenario, "E", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'e');
	scenario_lose_versions(scenario);
	scenario_kill(scenario, "A");
	scenario_restart(scenario, "A");
	scenario_forget(scenario);
	while (scenario_count(scenario, "A -> E  OK_REPLY volume") == 0)
		scenario_run(scenario, 1);
	scenario_kill(scenario, "E");
	scenario_run(scenario, 3 * EVICTED_MS);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'e');
	steps_read_at_last(scenario, "B", 'e');
	scenario_destroy(scenario);
}
END_TEST

// F6: B was away while the root served after its first restart, so others may have had its block since. (RFC 8881 8.4.3
// calls it an edge condition of servers that restart twice.) What it held under the first root means nothing to the third.
START_TEST(absent_over_two_restarts)
{
	struct scenario *scenario = steps_tree();

	steps_write(scenario, "B", 'b');
	steps_cut(scenario, "B", "A", 4 * EVICTED_MS);
	steps_cut(scenario, "B", "P", 4 * EVICTED_MS);
	scenario_kill(scenario, "A");
	scenario_restart(scenario, "A");
	scenario_run(scenario, 2 * EVICTED_MS);
	steps_write(scenario, "C", 'c');
	steps_sync(scenario, "C", ERR_OK);
	scenario_kill(scenario, "C");
	scenario_kill(scenario, "P");
	scenario_run(scenario, EVICTED_MS);
	scenario_kill(scenario, "A");
	scenario_run(scenario, EVICTED_MS - LEASE_MS / 2);
	scenario_restart(scenario, "A");
	scenario_run(scenario, 4 * EVICTED_MS);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'c');
	steps_read_at_last(scenario, "B", 'c');
	steps_sync(scenario, "B", ERR_LOST);
	scenario_destroy(scenario);
}
END_TEST

// F6: the first root dies with B's bytes while B is away; under the second, C writes over what was there before, durably. That
// is newer by its version, but nobody has written it over B's bytes: B, who comes when the third serves, has to be told.
START_TEST(bytes_from_before_two_restarts)
{
	struct scenario *scenario = steps_tree();

	steps_write(scenario, "B", 'b');
	steps_read(scenario, "C", 'b');
	steps_cut(scenario, "B", "A", 5 * EVICTED_MS);
	steps_cut(scenario, "B", "P", 5 * EVICTED_MS);
	world_crash(scenario_node(scenario, "A"), 0);
	scenario_kill(scenario, "P");
	scenario_restart(scenario, "P");
	scenario_restart(scenario, "A");
	scenario_run(scenario, 2 * EVICTED_MS);
	steps_write(scenario, "C", 'c');
	steps_sync(scenario, "C", ERR_OK);
	scenario_kill(scenario, "A");
	scenario_restart(scenario, "A");
	scenario_run(scenario, 4 * EVICTED_MS);
	steps_sync(scenario, "B", ERR_LOST);
	steps_read_at_last(scenario, "B", 'c');
	scenario_destroy(scenario);
}
END_TEST

// R13: C's bytes are not durable yet, and what the root has written over them is in the root's memory only. C is granted the
// permission to write without bytes: until it has what supersedes its own, it keeps those. (seed 134)
START_TEST(permission_without_bytes_over_unstable_ones)
{
	struct scenario *scenario = steps_create();
	struct request *write, *read;

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "C", _i == 0 ? "A" : "P", true);
	steps_write(scenario, "C", 'c');
	steps_write(scenario, "A", 'a'); // C's bytes are brought up, and overwritten
	write = scenario_write_half(scenario, "C", 7, 'C');
	scenario_forget(scenario);
	while (scenario_count(scenario, _i == 0 ? "A -> C  OK_REPLY" : "A -> P  OK_REPLY") == 0)
		scenario_run(scenario, 1);
	scenario_run(scenario, 12);
	world_crash(scenario_node(scenario, "A"), 0);
	scenario_restart(scenario, "A");
	scenario_run(scenario, STEPS_EVICTED_MS);
	request_expect_ok(write);
	read = scenario_read(scenario, "C", 7);
	scenario_run(scenario, 200);
	request_expect_halves(read, 'C', 'c');
	scenario_destroy(scenario);
}
END_TEST

// F2: C goes to the root that was started anew, and has there what it held below Q. P, cut off from that root, goes on under its
// lease, and does not know. It says what it holds before it asks for the eviction of C, whom Q misses: else Q would have taken
// the block back, and have others read it, beside C. Nor does Q bring up the bytes that it has of it, as newer ones. (seed 541033)
START_TEST(evicted_by_who_does_not_know_of_the_claim)
{
	struct scenario *scenario = steps_create();
	struct request *read;

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "Q", "P", true);
	steps_child(scenario, "C", "Q", true);
	steps_write(scenario, "Q", 'q');
	steps_write(scenario, "C", 'c');
	steps_leave(scenario, "C", "A", LEASE_MS / 2 + 100);
	scenario_run(scenario, LEASE_MS / 2);
	steps_cut(scenario, "P", "A", LEASE_MS * 3 / 4);
	scenario_kill(scenario, "A");
	scenario_restart(scenario, "A");
	scenario_run(scenario, 300);
	steps_write(scenario, "C", 'd');
	read = scenario_read(scenario, _i == 0 ? "P" : "Q", 7);
	scenario_run(scenario, 3 * LEASE_MS);
	request_expect_letter(read, 'd');
	steps_sync(scenario, "C", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'd');
	steps_read_at_last(scenario, "Q", 'd');
	scenario_destroy(scenario);
}
END_TEST

// R11: P waits for X before it has recovered; Q, which has come to P, has already. What Q says to R of its way up must not make R
// forget the epoch of the new root, under which C, below it, writes: else R would refuse C's bytes. (seed 542203)
START_TEST(news_of_who_is_below_one_that_recovers)
{
	struct scenario *scenario = steps_create();
	struct request *write;

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "X", "P", true);
	steps_child(scenario, "Q", "A", true);
	steps_child(scenario, "R", "Q", true);
	steps_child(scenario, "C", "R", true);
	steps_read_block(scenario, "X", 5, '.');
	steps_write_block(scenario, "Q", 9, 'q');
	steps_sync(scenario, "Q", ERR_OK);
	steps_cut(scenario, "P", "X", 10 * LEASE_MS);
	scenario_forget(scenario);
	scenario_kill(scenario, "A");
	scenario_restart(scenario, "A");
	steps_leave(scenario, "Q", "P", 500);
	while (scenario_count(scenario, "Q -> P  RECOVER") == 0)
		scenario_run(scenario, 1);
	write = scenario_write(scenario, "C", 9, 'c');
	scenario_run(scenario, 200);
	request_expect_ok(write);
	steps_sync(scenario, "C", ERR_OK);
	ck_assert_uint_eq(scenario_count(scenario, "C -> R  RECOVER"), 0);
	ck_assert_int_eq(scenario_stored(scenario, 9), 'c');
	scenario_destroy(scenario);
}
END_TEST

// F6: P has been away for longer than its lease, and has missed a root. As long as its claims are not answered, what it is granted
// would be claimed, at the next root, as what it held before: of a lease that is over, and confirmed by a root before the last. So
// it asks for nothing to write, until it knows. (seed 613944)
START_TEST(writes_while_claims_wait)
{
	struct scenario *scenario = steps_create();
	struct request *write;

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "Q", "A", true);
	steps_child(scenario, "P", "Q", true);
	steps_write(scenario, "P", 'p');
	steps_sync(scenario, "P", ERR_OK);
	scenario_kill(scenario, "A");
	scenario_restart(scenario, "A");
	steps_leave(scenario, "P", "A", 2 * LEASE_MS);
	scenario_run(scenario, 2 * LEASE_MS - 100);
	steps_cut(scenario, "Q", "A", 100 * LEASE_MS);
	scenario_run(scenario, 300);
	write = scenario_write(scenario, "P", 9, 'P');
	scenario_run(scenario, 500);
	scenario_kill(scenario, "A");
	scenario_restart(scenario, "A");
	scenario_run(scenario, 2 * EVICTED_MS);
	request_expect_ok(write);
	steps_sync(scenario, "P", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 9), 'P');
	scenario_destroy(scenario);
}
END_TEST

// F4, F6: Q and P claim the same version; Q, who is granted it first, takes newer bytes of C's before it lets the block go for P,
// whom C has gone past. P is told of them, as of what is here: else it would bring up its own, as newer ones, when it gives up R.
// (seed 543569)
START_TEST(newer_bytes_came_before_the_claim_is_granted)
{
	static const char *const others[] = {"P", "Q", "A"};
	struct scenario *scenario = steps_create();

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "Q", "A", true);
	steps_child(scenario, "P", "Q", true);
	steps_child(scenario, "R", "P", true);
	steps_child(scenario, "C", "R", true);
	steps_write(scenario, "P", 'p');
	steps_sync(scenario, "P", ERR_OK);
	steps_write(scenario, "C", 'c');
	steps_read(scenario, "R", 'c');
	scenario_kill(scenario, "A");
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
		steps_cut(scenario, "R", others[i], 4 * EVICTED_MS);
		steps_cut(scenario, "C", others[i], 2 * LEASE_MS + 300);
	}
	steps_cut(scenario, "C", "R", 4 * EVICTED_MS);
	scenario_run(scenario, LEASE_MS + 300);
	scenario_restart(scenario, "A");
	steps_leave(scenario, "Q", "A", 100);
	steps_leave(scenario, "P", "A", 300);
	scenario_run(scenario, LEASE_MS);
	scenario_forget(scenario);
	scenario_hold(scenario, "A", "Q", true);
	steps_leave(scenario, "C", "Q", 50);
	while (scenario_count(scenario, "A -> Q  INVALIDATE RECOVERY_OP") == 0)
		scenario_run(scenario, 1);
	while (scenario_count(scenario, "Q -> A  RECOVER") == 0) {
		scenario_deliver(scenario, "A", "Q", 1);
		scenario_run(scenario, 1);
	}
	while (scenario_count(scenario, "C -> Q  RECOVER") == 0)
		scenario_run(scenario, 1);
	scenario_run(scenario, 10);
	scenario_hold(scenario, "A", "Q", false);
	scenario_run(scenario, 300);
	steps_sync(scenario, "C", ERR_OK);
	steps_read_at_last(scenario, "Q", 'c');
	scenario_destroy(scenario);
}
END_TEST

// P has 'p', which C has written over with 'c', durably, and then with 'd'; C comes below P, claims that of the root that was started
// anew, and dies. P claims it in turn when it moves. It has heard that there was something newer than 'p', and where; so when nobody
// has 'd' any more, it does not bring up 'p' as the newest that is left, whether that was synced or not. (Seed 982162)
START_TEST(stale_copy_is_not_the_newest_that_is_left)
{
	struct scenario *scenario = steps_create();
	struct request *read;

	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "B", "A", true);
	steps_child(scenario, "Q", "A", true);
	steps_child(scenario, "P", "Q", true);
	steps_child(scenario, "C", "A", true);
	steps_write(scenario, "P", 'p');
	steps_write(scenario, "C", 'c');
	steps_sync(scenario, "C", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'c');
	steps_write(scenario, "C", 'd');
	scenario_kill(scenario, "A");
	scenario_move(scenario, "C", "P");
	scenario_restart(scenario, "A");
	scenario_run(scenario, 3 * STEPS_HB_TTL_MS);
	if (_i == 1)
		steps_sync(scenario, "P", ERR_OK);
	scenario_kill(scenario, "C");
	scenario_run(scenario, 2 * STEPS_HB_TTL_MS);
	scenario_forget(scenario);
	read = scenario_read(scenario, "B", 7);
	while (scenario_count(scenario, "P -> Q  RECOVER") == 0)
		scenario_run(scenario, 1);
	steps_leave(scenario, "P", "A", 1); // before it hears that C is evicted
	while (scenario_count(scenario, "A -> P  INVALIDATE") == 0)
		scenario_run(scenario, 1);
	scenario_hold(scenario, "P", "A", true);
	scenario_run(scenario, 20);
	scenario_deliver(scenario, "P", "A", 1); // C's eviction goes before the bytes
	scenario_run(scenario, 50);
	scenario_hold(scenario, "P", "A", false);
	scenario_run(scenario, STEPS_EVICTED_MS);
	request_expect_letter(read, 'c');
	ck_assert_uint_eq(scenario_count(scenario, "perm=NO data ttl"), _i == 0); // RECOVER: what may be lost, and no other copies
	steps_sync(scenario, "P", ERR_OK);
	steps_read(scenario, "P", 'c');
	steps_work_again(scenario, "P");
	scenario_destroy(scenario);
}
END_TEST

// F6: B's bytes have been written over by what C has brought for D. Who claims the block when that is over need not be waited for; if it
// was, and that one was gone without his bytes, B's would have taken their place. (seed 1869553)
START_TEST(older_bytes_than_were_brought_beside_a_claim)
{
	struct scenario *scenario = steps_create();
	struct request *sync;

	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "B", "A", true);
	steps_child(scenario, "C", "A", false);
	steps_child(scenario, "D", "C", true);
	steps_write(scenario, "B", 'b');
	steps_write(scenario, "D", 'd');
	world_crash(scenario_node(scenario, "A"), 0);
	scenario_restart(scenario, "A");
	scenario_forget(scenario);
	scenario_run(scenario, 500);
	steps_sync(scenario, "D", ERR_OK);
	ck_assert_uint_eq(scenario_count(scenario, "C -> A  FLUSH volume"), 1);
	ck_assert_uint_eq(scenario_count(scenario, "block=7 perm=NO data"), 1); // B's, which wait
	steps_near_the_end_of_the_grace_time(scenario, 200);
	scenario_hold(scenario, "C", "A", true);
	steps_leave(scenario, "D", "A", 0);
	sync = scenario_sync(scenario, "B");
	scenario_run(scenario, 300);
	request_expect_ok(sync);
	ck_assert_uint_eq(scenario_count(scenario, "A -> C  INVALIDATE RECOVERY_OP"), 1);
	ck_assert_uint_eq(scenario_count(scenario, "perm=WRITE ttl=20s"), 1); // C's
	scenario_hold(scenario, "C", "A", false);
	scenario_run(scenario, EVICTED_MS);
	steps_sync(scenario, "D", ERR_OK);
	steps_read_at_last(scenario, "B", 'd');
	scenario_destroy(scenario);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("restart");
	TCase *tcase = tcase_create("restart");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, absent_over_two_restarts);
	tcase_add_test(tcase, bytes_from_before_two_restarts);
	tcase_add_test(tcase, older_bytes_beside_a_claim);
	tcase_add_test(tcase, older_bytes_than_were_brought_beside_a_claim);
	tcase_add_test(tcase, claimant_is_asked_for_its_bytes);
	tcase_add_test(tcase, claimant_is_asked_through_a_proxy_that_waits);
	tcase_add_test(tcase, evicted_before_the_new_name_is_heard);
	tcase_add_loop_test(tcase, root_restarts_with_writers_below, 0, 3);
	tcase_add_loop_test(tcase, block_that_was_granted_before_and_is_confirmed, 0, 2);
	tcase_add_test(tcase, block_that_is_granted_before_anything_is_confirmed);
	tcase_add_test(tcase, synchronous_write_claimed_in_a_grace_time);
	tcase_add_test(tcase, bytes_came_before_the_claim_in_the_grace_time);
	tcase_add_test(tcase, claimed_in_time_on_a_link_that_breaks);
	tcase_add_test(tcase, gap_behind_a_writer_of_a_newer_epoch);
	tcase_add_test(tcase, proxy_that_knew_newer_versions_of_others);
	tcase_add_loop_test(tcase, bytes_refused_to_a_proxy_that_knew_newer_versions, 0, 2);
	tcase_add_loop_test(tcase, bytes_from_below_who_claimed_and_died, 0, 2);
	tcase_add_test(tcase, evictions_outlive_the_root);
	tcase_add_test(tcase, newer_bytes_came_before_the_claim_is_granted);
	tcase_add_test(tcase, writes_while_claims_wait);
	tcase_add_test(tcase, news_of_who_is_below_one_that_recovers);
	tcase_add_loop_test(tcase, evicted_by_who_does_not_know_of_the_claim, 0, 2);
	tcase_add_loop_test(tcase, permission_without_bytes_over_unstable_ones, 0, 2);
	tcase_add_loop_test(tcase, stale_copy_is_not_the_newest_that_is_left, 0, 2);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
