// SPDX-License-Identifier: MIT
// A root is started after a crash and its version log tells what its storage has, or does not (core/stored.c): bytes that
// were recalled from C before and that C brings again are needed, or they would take the place of what is durable. A is
// the root; C, E and B are its children.
#include "tests/scenario/inside.h"
#include "tests/scenario/steps.h"

#include <check.h>
#include <stdlib.h>

enum { LEASE_MS = STEPS_HB_TTL_MS, EVICTED_MS = STEPS_EVICTED_MS };

// A has C, E and B. C has written the block, E over it: A has had C's bytes, and C keeps them (R13). ${writes_back}: the
// root's disk has what the root has, not synced.
static struct scenario *
overwritten(bool writes_back)
{
	struct scenario *scenario = steps_create();

	scenario->world->moving = true;
	steps_keep_dirty(scenario, !writes_back);
	steps_root(scenario, "A");
	steps_keep_dirty(scenario, true);
	steps_child(scenario, "C", "A", true);
	steps_child(scenario, "E", "A", true);
	steps_child(scenario, "B", "A", true);
	steps_write(scenario, "C", 'c');
	steps_write(scenario, "E", 'e');
	return scenario;
}

enum { ROOT_KILLED, ROOT_LOSES_POWER };

static void
root_again(struct scenario *scenario, int how)
{
	if (how == ROOT_KILLED)
		scenario_kill(scenario, "A");
	else
		world_crash(scenario_node(scenario, "A"), 0);
	scenario_restart(scenario, "A");
}

// F6: what E wrote over C's bytes is durable, and nobody claims the block: C's bytes are not needed.
START_TEST(synced_bytes_are_not_written_over)
{
	struct scenario *scenario = overwritten(false);
	struct request *sync;

	steps_sync(scenario, "E", ERR_OK);
	if (_i & 1)
		steps_read_at_last(scenario, "B", 'e'); // E has let go
	else
		scenario_kill(scenario, "E");
	root_again(scenario, ROOT_KILLED);
	sync = scenario_sync(scenario, "C");
	scenario_run(scenario, 2 * LEASE_MS);
	request_expect_ok(sync);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'e');
	steps_read_at_last(scenario, "C", 'e');
	steps_work_again(scenario, "C");
	scenario_destroy(scenario);
}
END_TEST

// F6: what E wrote was never synced and is lost with E and the root. C lives: its bytes are there.
START_TEST(unsynced_bytes_make_room_for_older_ones)
{
	struct scenario *scenario = overwritten(_i & 1);
	struct request *sync;

	if (_i & 1) {
		steps_read_at_last(scenario, "B", 'e');
		ck_assert_int_eq(scenario->disk->image[7 * SCENARIO_BLOCK_SIZE], 'e');
		ck_assert_int_eq(scenario_stored(scenario, 7), '.');
	}
	scenario_kill(scenario, "E");
	root_again(scenario, _i & 2 ? ROOT_LOSES_POWER : ROOT_KILLED);
	sync = scenario_sync(scenario, "C");
	scenario_run(scenario, 2 * LEASE_MS);
	request_expect_ok(sync);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'c');
	steps_read_at_last(scenario, "B", 'c');
	steps_work_again(scenario, "C");
	scenario_destroy(scenario);
}
END_TEST

// F6: what E wrote is on A's disk, though nobody was promised that. C's bytes take its place, and B reads them: so E's do not
// appear again when C is gone, too, and A loses power.
START_TEST(what_bytes_were_taken_over_does_not_appear_again)
{
	struct scenario *scenario = overwritten(true);

	steps_read_at_last(scenario, "B", 'e');
	scenario_kill(scenario, "E");
	steps_keep_dirty(scenario, true);
	root_again(scenario, ROOT_KILLED);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'e');
	scenario_run(scenario, LEASE_MS);
	steps_read_at_last(scenario, "B", 'c');
	scenario_kill(scenario, "C");
	scenario_kill(scenario, "B");
	root_again(scenario, ROOT_LOSES_POWER);
	scenario_restart(scenario, "B");
	scenario_run(scenario, 2 * LEASE_MS);
	steps_read_at_last(scenario, "B", 'c');
	steps_work_again(scenario, "B");
	scenario_destroy(scenario);
}
END_TEST

// F6: as long as the storage has not got such bytes, B does not get them either, neither when it asks for them nor (_i == 1) ahead of
// that.
START_TEST(bytes_that_are_not_durable_are_not_given_on)
{
	struct scenario *scenario = overwritten(true);
	struct request *read;

	steps_read_at_last(scenario, "B", 'e');
	scenario_kill(scenario, "E");
	root_again(scenario, ROOT_KILLED);
	core_set_push(scenario_node(scenario, "A")->core, _i == 1 ? 32 : 0);
	scenario->disk->sync_us = 30 * 1000 * 1000;
	scenario_forget(scenario);
	while (scenario_count(scenario, "A -> C  OK_REPLY volume=") == 0)
		scenario_run(scenario, 1);
	for (uint64_t block = 3; block < 7; block++)
		steps_read_block(scenario, "B", block, '.');
	ck_assert_uint_eq(scenario_count(scenario, "PUSH"), 0);
	read = scenario_read(scenario, "B", 7);
	scenario_run(scenario, 500);
	request_expect_waiting(read);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'e');
	while (!read->ended)
		scenario_run(scenario, 1);
	request_expect_letter(read, 'c');
	ck_assert_int_eq(scenario_stored(scenario, 7), 'c');
	scenario_destroy(scenario);
}
END_TEST

// F6: A's storage can not be synced when such bytes come. B is refused them as long as that is so, as A may lose its power, and
// E's be there again. When it can be (_i odd), they are written once more, as nobody knows what the storage has kept of them.
START_TEST(bytes_that_can_not_be_made_durable_are_not_given_on)
{
	struct scenario *scenario = overwritten(true);
	struct request *read;
	char kept;

	steps_read_at_last(scenario, "B", 'e');
	scenario_kill(scenario, "E");
	root_again(scenario, ROOT_KILLED);
	for (int i = 0; i < _i / 2; i++)
		rng_below(&scenario->world->rng, 3); // what the storage keeps of it
	scenario->disk->fail_syncs = true;
	while (!scenario->disk->sync_broken)
		scenario_run(scenario, 1);
	read = scenario_read(scenario, "B", 7);
	scenario_run(scenario, 1000);
	request_expect_error(read, ERR_IO);
	scenario->disk->fail_syncs = scenario->disk->sync_broken = false;
	if (_i & 1) {
		steps_read(scenario, "B", 'c');
		ck_assert_int_eq(scenario_stored(scenario, 7), 'c');
	}
	scenario_kill(scenario, "C");
	root_again(scenario, ROOT_LOSES_POWER);
	kept = scenario_stored(scenario, 7);
	ck_assert(kept == 'c' || !(_i & 1));
	scenario_run(scenario, 2 * LEASE_MS);
	steps_read_at_last(scenario, "B", kept);
	scenario_destroy(scenario);
}
END_TEST

// The log does not tell which of the two it is: it is gone, or its last sync may not have been done. C is told.
START_TEST(unknown_versions)
{
	struct scenario *scenario = overwritten(false);
	struct request *sync, *write, *read;

	steps_sync(scenario, "E", ERR_OK);
	scenario_kill(scenario, "E");
	if (_i == 0)
		scenario_lose_versions(scenario);
	root_again(scenario, _i == 0 ? ROOT_KILLED : ROOT_LOSES_POWER);
	sync = scenario_sync(scenario, "C");
	scenario_run(scenario, 2 * LEASE_MS);
	request_expect_error(sync, ERR_LOST);
	ck_assert_uint_ge(scenario->world->rescue_count, 1);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'e');
	write = scenario_write_half(scenario, "C", 7, 'C');
	scenario_run(scenario, 500);
	request_expect_ok(write);
	read = scenario_read(scenario, "B", 7);
	scenario_run(scenario, 500);
	request_expect_halves(read, 'C', 'e'); // not what C had under the version that A has heard of from it
	steps_work_again(scenario, "C");
	scenario_destroy(scenario);
}
END_TEST

// C's bytes are with P, too, which brings them to the new root; that is in doubt about them, and refuses them when its grace time is
// over. C is cut off before: what it has heard until then does not mean that they have come. When it brings them itself, to the root
// after that one, they are not what B has written over, but lost, and C is told. (Seed 1071465)
START_TEST(bytes_in_doubt_are_not_confirmed)
{
	struct scenario *scenario = steps_create();

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "B", "A", true);
	steps_child(scenario, "E", "A", true);
	steps_child(scenario, "P", "A", false);
	steps_child(scenario, "C", "P", true);
	steps_write(scenario, "C", 'c');
	steps_write(scenario, "E", 'e');
	steps_sync(scenario, "E", ERR_OK);
	scenario_kill(scenario, "E");
	root_again(scenario, ROOT_LOSES_POWER);
	scenario_run(scenario, 500);
	steps_cut(scenario, "C", "P", 7000);
	steps_cut(scenario, "C", "A", 7000);
	scenario_run(scenario, 2 * LEASE_MS);
	steps_read(scenario, "B", 'e');
	steps_write(scenario, "B", 'b');
	root_again(scenario, ROOT_LOSES_POWER);
	scenario_run(scenario, 2 * EVICTED_MS);
	steps_sync(scenario, "C", ERR_LOST);
	steps_read(scenario, "C", 'b');
	steps_work_again(scenario, "C");
	scenario_destroy(scenario);
}
END_TEST

// When P's bytes have been taken, C hears that what it has is confirmed by that root: else its claim would be void at the next one.
START_TEST(bytes_that_were_taken_are_confirmed)
{
	struct scenario *scenario = steps_create();

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "C", "P", true);
	steps_write(scenario, "P", 'p');
	steps_read(scenario, "A", 'p');
	steps_write_block(scenario, "C", 8, 'x');
	root_again(scenario, ROOT_LOSES_POWER);
	scenario_run(scenario, 3 * LEASE_MS);
	steps_read(scenario, "A", 'p');
	scenario_kill(scenario, "P");
	steps_cut(scenario, "C", "A", LEASE_MS + 100);
	scenario_run(scenario, 1000);
	root_again(scenario, ROOT_LOSES_POWER);
	scenario_run(scenario, 3 * LEASE_MS);
	steps_read_block(scenario, "A", 8, 'x');
	steps_sync(scenario, "C", ERR_OK);
	steps_work_again(scenario, "C");
	scenario_destroy(scenario);
}
END_TEST

// The same, and B has newer bytes than E, and D newer ones than B. X, who wrote over them, is dead. D's are decided about first,
// under their own number: neither B's nor E's, which come after them, are newer, and C need not be told of a loss.
START_TEST(newest_bytes_beyond_refused_ones)
{
	struct scenario *scenario = steps_create();
	struct request *c, *b, *d;

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "X", "A", true);
	steps_child(scenario, "D", "A", true);
	steps_child(scenario, "B", "A", true);
	steps_child(scenario, "E", "A", true);
	steps_child(scenario, "C", "A", true);
	steps_write(scenario, "C", 'c');
	steps_write(scenario, "E", 'e');
	steps_sync(scenario, "E", ERR_OK);
	steps_write(scenario, "B", 'b');
	steps_write(scenario, "D", 'd');
	steps_write(scenario, "X", 'x');
	scenario_kill(scenario, "X");
	root_again(scenario, ROOT_LOSES_POWER);
	c = scenario_sync(scenario, "C");
	b = scenario_sync(scenario, "B");
	d = scenario_sync(scenario, "D");
	scenario_run(scenario, 2 * LEASE_MS);
	request_expect_ok(c);
	request_expect_ok(b);
	request_expect_ok(d);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'd');
	steps_read_at_last(scenario, "E", 'd');
	scenario_destroy(scenario);
}
END_TEST

// The log does not tell which of the two it is, but what is beside the storage of a sealed volume does: E's. _i == 1: the log is gone. C has
// lost nothing; and who had claimed what is older would have none of the bytes that belong to it. (sim --byzantine --faults all, seed 322)
START_TEST(versions_that_something_else_tells)
{
	struct scenario *scenario = overwritten(false);
	version_t version;
	struct core *root;

	steps_sync(scenario, "E", ERR_OK);
	version = inside_version(scenario_node(scenario, "A")->core, 7);
	scenario_kill(scenario, "E");
	if (_i == 1)
		scenario_lose_versions(scenario);
	root_again(scenario, _i == 1 ? ROOT_KILLED : ROOT_LOSES_POWER);
	root = scenario_node(scenario, "A")->core;
	scenario_run(scenario, LEASE_MS / 2);
	ck_assert(core_learn_stored(root, 0, 7, version));
	scenario_run(scenario, LEASE_MS);
	steps_sync(scenario, "C", ERR_OK);
	ck_assert_uint_eq(scenario->world->rescue_count, 0);
	steps_read_at_last(scenario, "B", 'e');
	scenario_destroy(scenario);
}
END_TEST

START_TEST(claim_of_something_older_than_something_else_tells)
{
	struct scenario *scenario = overwritten(false);
	version_t version = inside_version(scenario_node(scenario, "E")->core, 7);
	struct core *root;

	scenario_lose_versions(scenario);
	root_again(scenario, ROOT_KILLED);
	root = scenario_node(scenario, "A")->core;
	scenario_run(scenario, LEASE_MS / 2);
	ck_assert(core_learn_stored(root, 0, 7, version));
	ck_assert(!core_learn_stored(root, 0, 7, version + 1));
	scenario_run(scenario, LEASE_MS);
	steps_sync(scenario, "E", ERR_OK);
	scenario_destroy(scenario);
}
END_TEST

// The log does not tell, but E lives and has the block: versions tell.
START_TEST(unknown_versions_of_a_block_that_is_claimed)
{
	struct scenario *scenario = overwritten(false);
	struct request *sync;

	steps_sync(scenario, "E", ERR_OK);
	scenario_lose_versions(scenario);
	root_again(scenario, ROOT_KILLED);
	sync = scenario_sync(scenario, "C");
	scenario_run(scenario, 2 * LEASE_MS);
	request_expect_ok(sync);
	steps_read_at_last(scenario, "B", 'e');
	steps_sync(scenario, "E", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'e');
	scenario_destroy(scenario);
}
END_TEST

// The same, but E dies before it has sent what it has: C's older bytes must not take the place of what is durable.
START_TEST(unknown_versions_of_a_block_whose_claimant_dies)
{
	struct scenario *scenario = overwritten(false);
	struct request *sync;

	steps_sync(scenario, "E", ERR_OK);
	scenario_lose_versions(scenario);
	root_again(scenario, ROOT_KILLED);
	scenario_run(scenario, 50);
	ck_assert_uint_eq(scenario_count(scenario, "A -> E  OK_REPLY volume=1 block=7 perm=WRITE"), 1);
	scenario_kill(scenario, "E");
	sync = scenario_sync(scenario, "C");
	scenario_run(scenario, EVICTED_MS);
	request_expect_error(sync, ERR_LOST);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'e');
	steps_read_at_last(scenario, "B", 'e');
	scenario_destroy(scenario);
}
END_TEST

// C was below P, and both keep C's bytes; now they come to A on their own. That P's are refused does not make C's better.
START_TEST(unknown_versions_of_two_who_have_the_same)
{
	struct scenario *scenario = steps_create();
	struct request *sync;

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "C", "P", true);
	steps_child(scenario, "E", "A", true);
	steps_write(scenario, "C", 'c');
	steps_write(scenario, "E", 'e');
	steps_sync(scenario, "E", ERR_OK);
	scenario_kill(scenario, "E");
	world_block(scenario_node(scenario, "C"), scenario_node(scenario, "P"), MOMENT_NEVER);
	world_block(scenario_node(scenario, "P"), scenario_node(scenario, "C"), MOMENT_NEVER);
	scenario_run(scenario, 2 * LEASE_MS);
	if (_i == 0)
		scenario_lose_versions(scenario);
	root_again(scenario, _i == 0 ? ROOT_KILLED : ROOT_LOSES_POWER);
	sync = scenario_sync(scenario, "C");
	scenario_run(scenario, 2 * LEASE_MS);
	ck_assert(sync->ended && sync->io.error != ERR_OK); // from P, or of itself
	ck_assert_int_eq(scenario_stored(scenario, 7), 'e');
	scenario_destroy(scenario);
}
END_TEST

// C's bytes are refused to P, who has passed them on and loses them with that. C brings them anew. P, who may know newer versions of
// other blocks (_i == 0), does not take them for superseded; nor does it take them a second time, to lose them again.
START_TEST(unknown_versions_of_a_block_that_was_forgotten)
{
	struct scenario *scenario = steps_create();

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "C", "P", true);
	steps_child(scenario, "E", "A", true);
	steps_write(scenario, "C", 'c');
	steps_write(scenario, "E", 'e');
	for (int i = 0; i < 3 && _i == 0; i++) {
		steps_write_block(scenario, "E", 8, 'e');
		steps_read_block(scenario, "P", 8, 'e');
	}
	steps_write_block(scenario, "E", 8, 'e');
	steps_sync(scenario, "E", ERR_OK);
	scenario_kill(scenario, "E");
	scenario_lose_versions(scenario);
	root_again(scenario, ROOT_KILLED);
	scenario_run(scenario, EVICTED_MS);
	ck_assert_uint_ge(scenario_count(scenario, "C -> P  RECOVER RECOVERY_OP volume=2 block=7"), 1);
	steps_sync(scenario, "C", ERR_LOST);
	steps_read_at_last(scenario, "C", 'e');
	steps_work_again(scenario, "C");
	scenario_destroy(scenario);
}
END_TEST

// C's bytes are in doubt: B wrote over them, and nobody knows whether A's last sync was done. E wrote over B's, and then A itself,
// which is lost. E's count, in whatever order they are brought, and C need not be told of a loss.
START_TEST(newest_of_three_when_versions_are_in_doubt)
{
	static const char *const authors[3][3] = {{"C", "E", "B"}, {"E", "B", "C"}, {"B", "C", "E"}};
	struct scenario *scenario = steps_create();

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	for (int i = 0; i < 3; i++)
		steps_child(scenario, authors[_i][i], "A", true);
	steps_write(scenario, "C", 'c');
	steps_write(scenario, "B", '1');
	steps_read(scenario, "E", '1');
	steps_write(scenario, "B", 'b');
	steps_sync(scenario, "B", ERR_OK);
	steps_write(scenario, "B", 'B');
	steps_write(scenario, "E", 'e');
	steps_write(scenario, "A", 'a');
	root_again(scenario, ROOT_LOSES_POWER);
	scenario_run(scenario, 3 * LEASE_MS);
	steps_read(scenario, "B", 'e');
	steps_sync(scenario, "C", ERR_OK);
	steps_sync(scenario, "E", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'e');
	steps_work_again(scenario, "C");
	scenario_destroy(scenario);
}
END_TEST

// What is known to be there need not be sent again.
START_TEST(synced_bytes_are_not_sent_again)
{
	struct scenario *scenario = overwritten(false);

	steps_sync(scenario, "E", ERR_OK);
	root_again(scenario, ROOT_KILLED);
	scenario_forget(scenario);
	scenario_run(scenario, 2 * LEASE_MS);
	ck_assert_uint_eq(scenario_count(scenario, "E -> A  RECOVER"), 2); // the claim, and the end of the claims
	ck_assert_uint_eq(scenario_count(scenario, "E -> A  FLUSH"), 0);
	steps_write(scenario, "E", 'E');
	steps_read_at_last(scenario, "B", 'E');
	steps_sync(scenario, "E", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'E');
	scenario_destroy(scenario);
}
END_TEST

// C's bytes were with P, too, who has brought them to the new root, or newer ones; then P dies. C, who has not heard of the
// root's death, brings them once more, long after the grace time: nothing is lost, nobody is told that it is. (seed 1207)
START_TEST(bytes_that_were_brought_by_another)
{
	struct scenario *scenario = steps_tree();
	char letter = _i & 2 ? 'e' : 'c';

	steps_write(scenario, "C", 'c');
	if (_i & 2)
		steps_write(scenario, "E", 'e');
	if (_i & 1)
		steps_write(scenario, "B", 'b'); // P has nothing left of its permission
	else
		steps_read_at_last(scenario, "B", letter);
	if (_i & 1)
		scenario_kill(scenario, "B");
	root_again(scenario, ROOT_KILLED);
	scenario_run(scenario, EVICTED_MS);
	scenario_kill(scenario, "P");
	scenario_run(scenario, 100);
	steps_sync(scenario, "C", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), letter);
	steps_read_at_last(scenario, "C", letter);
	scenario_destroy(scenario);
}
END_TEST

// What came in the grace time counts when it is over, whether its author is still there or not: else others read what was there
// before, and his bytes come back later. (seed 292)
START_TEST(author_is_cut_off_in_the_grace_time)
{
	struct scenario *scenario = steps_create();

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "C", "A", true);
	steps_child(scenario, "B", "A", true);
	steps_write(scenario, "C", 'c');
	steps_write(scenario, "B", 'b');
	scenario_kill(scenario, "B");
	root_again(scenario, ROOT_LOSES_POWER);
	scenario_forget(scenario);
	while (scenario_count(scenario, "block=7 perm=NO data ttl=") == 0)
		scenario_run(scenario, 10);
	scenario_run(scenario, 100);
	steps_cut(scenario, "C", "A", EVICTED_MS);
	world_cut(scenario_node(scenario, "C"), 0, 0, 100 * 1000);
	steps_read_at_last(scenario, "A", 'c');
	steps_sync(scenario, "C", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'c');
	scenario_destroy(scenario);
}
END_TEST

// Whether A's last sync, of E's bytes, was done is not known. C's older ones, which come first, are refused: the storage may have
// newer ones. B's, which were written over E's, are newer than any that the storage may have, and are taken; they do not become
// older than E's by that. (What D had written over them is lost with it.) (seed 4744)
START_TEST(newest_bytes_behind_refused_ones)
{
	struct scenario *scenario = steps_create();
	struct request *sync;

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "C", "A", true);
	steps_child(scenario, "E", "A", true);
	steps_child(scenario, "B", "A", true);
	steps_child(scenario, "D", "A", true);
	steps_write(scenario, "C", 'c');
	steps_write(scenario, "E", '2');
	steps_read(scenario, "A", '2');
	steps_write(scenario, "E", 'e');
	steps_read(scenario, "A", 'e');
	steps_sync(scenario, "A", ERR_OK);
	steps_write(scenario, "B", 'b');
	steps_write(scenario, "D", 'd');
	scenario_kill(scenario, "D");
	steps_cut(scenario, "B", "A", LEASE_MS / 4);
	steps_cut(scenario, "E", "A", LEASE_MS / 2);
	root_again(scenario, ROOT_LOSES_POWER);
	scenario_run(scenario, LEASE_MS);
	sync = scenario_sync(scenario, "B");
	steps_read_at_last(scenario, "C", 'b');
	request_expect_ok(sync);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'b');
	scenario_destroy(scenario);
}
END_TEST

// C, who was below Q and P and away for longer than its lease, has brought newer bytes than P has past it, and they are durable.
// P may still read; but what it has is not what it may read, and it did not hold that to the end: A, which loses power and does
// not know whether its last sync was done, must not take it.
START_TEST(bytes_that_were_gone_past)
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
	steps_read(scenario, "B", 'c'); // P has these bytes
	steps_write(scenario, "C", 'C');
	scenario_kill(scenario, "Q");
	steps_cut(scenario, "C", "A", LEASE_MS * 3 / 2);
	steps_cut(scenario, "C", "P", 60 * 1000);
	sync = scenario_sync(scenario, "C");
	scenario_run(scenario, EVICTED_MS);
	request_expect_ok(sync);
	scenario_kill(scenario, "C");
	scenario_forget(scenario);
	root_again(scenario, ROOT_LOSES_POWER);
	scenario_run(scenario, EVICTED_MS);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'C');
	steps_read_at_last(scenario, "B", 'C');
	steps_work_again(scenario, "P");
	scenario_destroy(scenario);
}
END_TEST

// C was below P, who did not answer any more (_i & 1: below Q, a child of P's), and has gone past it to A, with newer bytes
// than P ever had, which are durable; then C dies and A loses power, so that nobody knows whether A's last sync was done. P, who
// has heard of nothing, claims the block, which it believes to be with C (or Q): what it has itself is not what was synced.
// (_i & 2: P's lease is not over.) (seed 4952)
START_TEST(claim_that_was_gone_past)
{
	struct scenario *scenario = steps_create();

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", true);
	if (_i & 1)
		steps_child(scenario, "Q", "P", true);
	steps_child(scenario, "C", _i & 1 ? "Q" : "P", true);
	steps_child(scenario, "B", "A", true);
	steps_write(scenario, "C", 'c');
	steps_sync(scenario, "C", ERR_OK);
	steps_cut(scenario, "P", "A", EVICTED_MS);
	world_cut(scenario_node(scenario, "P"), 0, 0, 0);
	steps_cut(scenario, "C", _i & 1 ? "Q" : "P", EVICTED_MS);
	steps_leave(scenario, "C", "A", 0);
	scenario_run(scenario, 100);
	steps_write(scenario, "C", 'C');
	steps_sync(scenario, "C", ERR_OK);
	scenario_kill(scenario, "C");
	if (!(_i & 2))
		scenario_run(scenario, LEASE_MS);
	root_again(scenario, ROOT_LOSES_POWER);
	world_unblock(scenario->world);
	scenario_run(scenario, EVICTED_MS);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'C');
	steps_read_at_last(scenario, "B", 'C');
	steps_sync(scenario, "P", ERR_OK); // all that it has is durable, or written over
	steps_work_again(scenario, "P");
	scenario_destroy(scenario);
}
END_TEST

// R12: what C has claimed is as new as what the root knows of, but the bytes are at C alone. When its permission is renewed the
// root names that version, and C does not take that for the acknowledgement of its bytes. (seed 515143)
START_TEST(renewed_permission_of_a_claimed_block)
{
	struct scenario *scenario = steps_create();

	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "C", "A", true);
	steps_write(scenario, "C", 'c');
	root_again(scenario, _i == 0 ? ROOT_KILLED : ROOT_LOSES_POWER);
	scenario_run(scenario, 2 * LEASE_MS);
	scenario_run(scenario, 20 * 1000); // the block's own lease is over
	scenario_forget(scenario);
	steps_read(scenario, "C", 'c');
	ck_assert_uint_eq(scenario_count(scenario, "C -> A  LOCK"), 1);
	steps_sync(scenario, "C", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'c');
	steps_work_again(scenario, "C");
	scenario_destroy(scenario);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("stored");
	TCase *tcase = tcase_create("stored");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, synced_bytes_are_not_written_over, 0, 2);
	tcase_add_loop_test(tcase, unsynced_bytes_make_room_for_older_ones, 0, 4);
	tcase_add_test(tcase, what_bytes_were_taken_over_does_not_appear_again);
	tcase_add_loop_test(tcase, bytes_that_are_not_durable_are_not_given_on, 0, 2);
	tcase_add_loop_test(tcase, bytes_that_can_not_be_made_durable_are_not_given_on, 0, 8);
	tcase_add_loop_test(tcase, unknown_versions, 0, 2);
	tcase_add_loop_test(tcase, versions_that_something_else_tells, 0, 2);
	tcase_add_test(tcase, claim_of_something_older_than_something_else_tells);
	tcase_add_test(tcase, newest_bytes_beyond_refused_ones);
	tcase_add_test(tcase, unknown_versions_of_a_block_that_is_claimed);
	tcase_add_test(tcase, unknown_versions_of_a_block_whose_claimant_dies);
	tcase_add_loop_test(tcase, unknown_versions_of_two_who_have_the_same, 0, 2);
	tcase_add_loop_test(tcase, unknown_versions_of_a_block_that_was_forgotten, 0, 2);
	tcase_add_loop_test(tcase, newest_of_three_when_versions_are_in_doubt, 0, 3);
	tcase_add_test(tcase, synced_bytes_are_not_sent_again);
	tcase_add_loop_test(tcase, bytes_that_were_brought_by_another, 0, 4);
	tcase_add_test(tcase, author_is_cut_off_in_the_grace_time);
	tcase_add_test(tcase, bytes_that_were_gone_past);
	tcase_add_test(tcase, newest_bytes_behind_refused_ones);
	tcase_add_loop_test(tcase, claim_that_was_gone_past, 0, 4);
	tcase_add_loop_test(tcase, renewed_permission_of_a_claimed_block, 0, 2);
	tcase_add_test(tcase, bytes_in_doubt_are_not_confirmed);
	tcase_add_test(tcase, bytes_that_were_taken_are_confirmed);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
