// SPDX-License-Identifier: MIT
// Bytes, and claims, that go past the nodes which have the block on record for their author (protocol.md F3-F5). Claims that meet
// other claims are the matter of test_claims.c.
#include "tests/scenario/steps.h"

#include <check.h>
#include <stdlib.h>

enum { LEASE_MS = STEPS_HB_TTL_MS, EVICTED_MS = STEPS_EVICTED_MS };

// The root A with the child B and the chain G, C, X below it. G and then X have written the block, nothing has been brought up: C
// may have it from X. ${ttl_ms}: the lease of a block; 0: a long one.
static struct scenario *
past_c(uint32_t ttl_ms)
{
	struct scenario *scenario = steps_create();

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	if (ttl_ms != 0)
		scenario->config.ttl_ms = ttl_ms;
	steps_root(scenario, "A");
	steps_child(scenario, "G", "A", true);
	steps_child(scenario, "C", "G", true);
	steps_child(scenario, "X", "C", true);
	steps_child(scenario, "B", "A", true);
	steps_write(scenario, "G", 'g');
	steps_write(scenario, "X", 'x');
	return scenario;
}

// F3, F5: Q has the block for writing on P's record, but has never heard of that. It moves to A with bytes that it held to the
// end, and D below it may read them as long as it has not heard that they are revoked: B has to wait for it, though P has let Q go.
// _i & 1: the question to P goes through G.
START_TEST(bytes_that_move_while_they_are_read)
{
	struct scenario *scenario = steps_create();
	struct request *write;

	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	if (_i & 1)
		steps_child(scenario, "G", "A", true);
	steps_child(scenario, "P", _i & 1 ? "G" : "A", true);
	steps_child(scenario, "Q", "P", true);
	steps_child(scenario, "D", "Q", true);
	steps_child(scenario, "B", "A", true);
	steps_write(scenario, "Q", 'q');
	steps_read(scenario, "B", 'q');
	steps_read(scenario, "D", 'q');
	world_block(scenario_node(scenario, "P"), scenario_node(scenario, "Q"), scenario->world->now + LEASE_MS * 1000);
	write = scenario_write(scenario, "D", 7, 'd');
	scenario_run(scenario, 200);
	request_expect_waiting(write);
	steps_cut(scenario, "Q", "D", 1000);
	write = scenario_write(scenario, "B", 7, 'b');
	scenario_run(scenario, 100);
	steps_leave(scenario, "Q", "A", 10);
	scenario_run(scenario, 500);
	request_expect_waiting(write);
	scenario_run(scenario, EVICTED_MS);
	request_expect_ok(write);
	steps_sync(scenario, "Q", ERR_OK);
	scenario_destroy(scenario);
}
END_TEST

// F4: N is on its way to A, and has the block on P's record; C's bytes go past it to P, and M below N has written since. A has C's
// bytes already (0), or hears of them when it asks P (1): N's claim is of an older version, but P knows that N has left it. M's
// bytes may not be lost, nor C's be read. (seed 506101)
START_TEST(claim_of_who_does_not_know_what_went_past)
{
	struct scenario *scenario = steps_create();

	scenario->world->moving = true;
	steps_root(scenario, "A");
	steps_keep_dirty(scenario, _i == 1);
	steps_child(scenario, "P", "A", true);
	steps_keep_dirty(scenario, true);
	steps_child(scenario, "N", "P", true);
	steps_child(scenario, "M", "N", true);
	steps_child(scenario, "B", "A", true);
	steps_keep_dirty(scenario, false);
	steps_child(scenario, "C", "M", true);
	steps_write(scenario, "C", 'c');
	steps_write(scenario, "M", 'm');
	steps_leave(scenario, "N", "A", 1000);
	scenario_run(scenario, 100);
	steps_leave(scenario, "C", "P", 10);
	scenario_run(scenario, 500);
	ck_assert_uint_eq(scenario_count(scenario, "C -> P  RECOVER"), 2); // the bytes, and the end of its claims
	steps_read_at_last(scenario, "B", 'm');
	ck_assert_uint_eq(scenario_count(scenario, "A -> N  ERR_REPLY"), 0);
	steps_sync(scenario, "M", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'm');
	scenario_destroy(scenario);
}
END_TEST

// F4, F5: X's bytes are with C, too, which has the block from G; X goes past both to A. G's own bytes are older. When C is dead
// (0: before X comes, 1: after) G has to give it up, and must not bring up its bytes as if they were newer than X's.
START_TEST(bytes_that_move_past_a_dead_writer)
{
	struct scenario *scenario = past_c(0);
	struct request *sync;

	steps_read(scenario, "C", 'x');
	steps_cut(scenario, "X", "G", 2 * EVICTED_MS);
	if (_i == 0)
		scenario_kill(scenario, "C");
	steps_leave(scenario, "X", "A", 0);
	scenario_run(scenario, 500);
	sync = scenario_sync(scenario, "X");
	scenario_run(scenario, 500);
	if (_i == 1)
		scenario_kill(scenario, "C");
	scenario_run(scenario, EVICTED_MS);
	request_expect_ok(sync);
	steps_read_at_last(scenario, "B", 'x');
	ck_assert_int_eq(scenario_stored(scenario, 7), 'x');
	steps_work_again(scenario, "X");
	scenario_destroy(scenario);
}
END_TEST

// The same with Y, who has written over X's bytes: both bring theirs, and G is asked about X first. What waits behind that is not
// void either, though C, whom both name, is evicted before G answers. (seed 502216)
// (X is told of a loss that there is not: of older bytes A can not know.)
START_TEST(bytes_that_wait_behind_the_question_for_others)
{
	struct scenario *scenario = steps_create();

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "G", "A", true);
	steps_child(scenario, "C", "G", true);
	steps_child(scenario, "X", "C", true);
	steps_child(scenario, "Y", "C", true);
	steps_child(scenario, "B", "A", true);
	steps_write(scenario, "G", 'g');
	steps_write(scenario, "X", 'x');
	steps_write(scenario, "Y", 'y');
	steps_read(scenario, "C", 'y');
	scenario_kill(scenario, "C");
	steps_leave(scenario, "X", "A", 0);
	scenario_run(scenario, 60);
	steps_leave(scenario, "Y", "A", 0);
	steps_read_at_last(scenario, "B", 'y');
	steps_sync(scenario, "Y", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'y');
	scenario_destroy(scenario);
}
END_TEST

// The same, but C lives, and has written over them: it gives the block back.
START_TEST(bytes_that_move_past_a_writer)
{
	struct scenario *scenario = past_c(0);

	steps_write(scenario, "C", 'c');
	steps_cut(scenario, "X", "G", 2 * EVICTED_MS);
	steps_leave(scenario, "X", "A", 0);
	scenario_run(scenario, 500);
	steps_sync(scenario, "X", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'c');
	scenario_kill(scenario, "C");
	steps_read_at_last(scenario, "B", 'c');
	scenario_destroy(scenario);
}
END_TEST

// C is away when X's bytes come to A, and comes to A itself with what it wrote over them: G lets go for it, and does not wait
// until it is evicted. (seed 60434)
START_TEST(bytes_that_move_past_a_writer_who_moves)
{
	struct scenario *scenario = past_c(0);

	steps_write(scenario, "C", 'c');
	steps_cut(scenario, "X", "G", 2 * EVICTED_MS);
	steps_leave(scenario, "C", "A", _i * LEASE_MS + 500);
	steps_leave(scenario, "X", "A", 0);
	scenario_run(scenario, EVICTED_MS);
	ck_assert_uint_eq(scenario_count(scenario, "A -> G  INVALIDATE RECOVERY_OP volume=1 block=7 perm=READ"), 1);
	ck_assert_uint_eq(scenario_count(scenario, "A -> G  INVALIDATE RECOVERY_OP volume=1 block=7 perm=NO"), 1);
	steps_sync(scenario, "C", ERR_OK);
	steps_sync(scenario, "X", ERR_OK);
	steps_read_at_last(scenario, "B", 'c');
	scenario_destroy(scenario);
}
END_TEST

// R18: A wants the block back from G. C has it there, and claims it anew; G's own lease of it is over, but G decides.
// Neither waits for the other. (X's bytes have come to A: so C's session at G is not resumed.)
START_TEST(claim_of_a_block_that_is_recalled)
{
	struct scenario *scenario = past_c(2000);

	steps_write(scenario, "C", 'c');
	scenario_run(scenario, 2500);
	scenario_forget(scenario);
	steps_cut(scenario, "X", "G", 2 * EVICTED_MS);
	steps_cut(scenario, "C", "A", 2 * EVICTED_MS);
	steps_leave(scenario, "C", "G", 500);
	steps_leave(scenario, "X", "A", 0);
	scenario_run(scenario, 1000);
	steps_sync(scenario, "X", ERR_OK);
	steps_sync(scenario, "C", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'c');
	scenario_destroy(scenario);
}
END_TEST

// F3: what C sent to G is lost with their link, and what it brings to Q with Q's death. It comes to A from a third session, and
// G still has the block for C's first name.
START_TEST(bytes_of_a_session_before_the_last)
{
	struct scenario *scenario = steps_create();

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "G", "A", true);
	steps_child(scenario, "Q", "A", true);
	steps_child(scenario, "C", "G", true);
	steps_child(scenario, "E", "G", true);
	steps_child(scenario, "B", "A", true);
	steps_write(scenario, "G", 'g');
	steps_write(scenario, "C", 'c');
	world_block(scenario_node(scenario, "C"), scenario_node(scenario, "G"), MOMENT_NEVER);
	scenario_read(scenario, "E", 7);
	scenario_run(scenario, 100);
	scenario_forget(scenario);
	world_block(scenario_node(scenario, "G"), scenario_node(scenario, "C"), MOMENT_NEVER);
	world_block(scenario_node(scenario, "Q"), scenario_node(scenario, "A"), MOMENT_NEVER);
	steps_leave(scenario, "C", "Q", 0);
	scenario_run(scenario, 200);
	ck_assert_uint_eq(scenario_count(scenario, "C -> Q  RECOVER RECOVERY_OP volume=3 block=7 perm=READ data"), 1);
	scenario_kill(scenario, "Q");
	steps_leave(scenario, "C", "A", 0);
	scenario_run(scenario, EVICTED_MS);
	ck_assert_uint_eq(scenario_count(scenario, "C -> A  RECOVER RECOVERY_OP volume=1 block=7 perm=READ data"), 1);
	steps_sync(scenario, "C", ERR_OK);
	steps_read_at_last(scenario, "B", 'c');
	ck_assert_int_eq(scenario_stored(scenario, 7), 'c');
	scenario_destroy(scenario);
}
END_TEST

// R13, R14: C keeps nothing of what it wrote, since Q and P have it. It leaves Q for N, another node far below P. N and M have
// nothing that the root lacks, but C's fsync has to go on up to it. _i == 1: C has nothing to claim either. (seed 101843)
START_TEST(fsync_by_another_way)
{
	struct scenario *scenario = steps_create();

	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "B", "A", true);
	steps_child(scenario, "M", "P", true);
	steps_child(scenario, "N", "M", true);
	steps_child(scenario, "Q", "P", true);
	scenario->config.write_mode = WRITE_SEMI_SYNC;
	scenario->config.dirty_max = 1;
	steps_child(scenario, "C", "Q", true);
	steps_write(scenario, "C", 'c');
	ck_assert_uint_eq(scenario_count(scenario, "C -> Q  FORWARD"), 1);
	if (_i == 1)
		steps_read(scenario, "B", 'c');
	ck_assert_uint_eq(scenario_count(scenario, "C -> Q  FLUSH FORCE_SYNC"), 0);
	steps_leave(scenario, "C", "N", 100);
	scenario_run(scenario, 500);
	steps_sync(scenario, "C", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'c');
	scenario_destroy(scenario);
}
END_TEST

// R18, F5: C waits for D, who is cut off, before it answers an INVALIDATE. B, which C has left, claims the block meanwhile: C is
// asked whether it is with B, and says no. That question took the place of the first INVALIDATE, and whom that was for is gone: so
// A grants C's request, and C may use it. (C asked again and again, and in the end both could read as one could write: seed 132159)
START_TEST(question_takes_the_place_of_a_recall)
{
	struct scenario *scenario = steps_create();
	struct request *write;

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "B", "A", true);
	steps_child(scenario, "E", "A", true);
	steps_child(scenario, "C", "B", true);
	steps_child(scenario, "D", "C", true);
	steps_write(scenario, "D", 'd');
	steps_leave(scenario, "C", "A", 0);
	steps_leave(scenario, "B", "A", LEASE_MS + 500);
	scenario_run(scenario, LEASE_MS);
	ck_assert_uint_ge(scenario_count(scenario, "C -> A  RECOVER"), 1);
	steps_leave(scenario, "D", "C", LEASE_MS);
	scenario_read(scenario, "E", 7);
	scenario_run(scenario, 50);
	ck_assert_uint_eq(scenario_count(scenario, "A -> C  INVALIDATE"), 1);
	write = scenario_write(scenario, "C", 7, 'c');
	scenario_run(scenario, 50);
	scenario_kill(scenario, "E");
	scenario_run(scenario, 500);
	ck_assert_uint_ge(scenario_count(scenario, "A -> C  INVALIDATE RECOVERY_OP"), 1);
	ck_assert_uint_le(scenario_count(scenario, "C -> A  LOCK"), 3);
	scenario_run(scenario, 2 * LEASE_MS);
	request_expect_ok(write);
	steps_read_at_last(scenario, "B", 'c');
	scenario_destroy(scenario);
}
END_TEST

// F5: C claims the block at A, with its lease over; P, which is asked, asks Q, and loses its link. P does not wait for Q, which
// claims the block itself at A: P could not evict Q as long as that claim waits for C's. (They waited for P's recall limit: seed
// 150021)
START_TEST(who_was_asked_claims_the_block_elsewhere)
{
	struct scenario *scenario = steps_create();

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "Q", "P", true);
	steps_child(scenario, "C", "Q", true);
	steps_write(scenario, "C", 'c');
	steps_leave(scenario, "C", "A", LEASE_MS + 500);
	scenario_run(scenario, LEASE_MS + 400);
	steps_cut(scenario, "P", "Q", 1000);
	scenario_run(scenario, 200);
	ck_assert_uint_eq(scenario_count(scenario, "P -> Q  INVALIDATE RECOVERY_OP"), 1);
	steps_leave(scenario, "Q", "A", 0);
	scenario_run(scenario, LEASE_MS);
	ck_assert_uint_ge(scenario_count(scenario, "Q -> A  RECOVER"), 1);
	steps_write(scenario, "Q", 'q');
	steps_sync(scenario, "Q", ERR_OK);
	steps_read_at_last(scenario, "C", 'q');
	scenario_destroy(scenario);
}
END_TEST

// F4: P asks Q, who has the block for writing on its record, for what C has written, and is cut off from it. Q moves to A with C's
// bytes, and dies before it has brought them: C, who brings them now, knows Q by its new name, and P no more. But only from below P
// can they be, so that P must not bring up its older bytes for newer when it gives Q up.
START_TEST(bytes_that_are_newer_than_those_of_a_writer_who_is_not_named)
{
	struct scenario *scenario = steps_create();
	struct request *read;

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "Q", "P", true);
	steps_child(scenario, "C", "Q", true);
	steps_child(scenario, "B", "A", true);
	steps_read(scenario, "C", '.');
	steps_write(scenario, "C", 'c');
	world_block(scenario_node(scenario, "Q"), scenario_node(scenario, "P"), scenario->world->now + EVICTED_MS * 1000);
	read = scenario_read(scenario, "P", 7);
	scenario_run(scenario, 100);
	steps_leave(scenario, "Q", "A", 10);
	scenario_forget(scenario);
	while (scenario_count(scenario, "A -> Q  OK_REPLY") == 0)
		scenario_run(scenario, 1);
	world_block(scenario_node(scenario, "Q"), scenario_node(scenario, "A"), scenario->world->now + EVICTED_MS * 1000);
	scenario_run(scenario, 100);
	ck_assert_uint_eq(scenario_count(scenario, "Q -> A  CONNECT"), 2); // it has a new name, and C knows it
	scenario_kill(scenario, "Q");
	scenario_run(scenario, 3 * EVICTED_MS);
	ck_assert_uint_gt(scenario_count(scenario, "C -> A  RECOVER"), 0);
	request_expect_ok(read);
	steps_read(scenario, "P", 'c');
	steps_read(scenario, "B", 'c');
	steps_sync(scenario, "C", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'c');
	scenario_destroy(scenario);
}
END_TEST

// F4, F5: Q moves from P to A with C's bytes, and dies while A asks P to let the block go for them. They have come: nobody may read
// what was there before, though C can bring them again.
START_TEST(bytes_of_who_dies_while_they_wait)
{
	struct scenario *scenario = steps_create();
	struct request *read;

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "Q", "P", true);
	steps_child(scenario, "C", "Q", true);
	steps_child(scenario, "B", "A", true);
	steps_read(scenario, "C", '.');
	steps_write(scenario, "C", 'c');
	world_block(scenario_node(scenario, "Q"), scenario_node(scenario, "P"), scenario->world->now + EVICTED_MS * 1000);
	read = scenario_read(scenario, "P", 7);
	scenario_run(scenario, 100);
	steps_leave(scenario, "Q", "A", 10);
	scenario_forget(scenario);
	while (scenario_count(scenario, "A -> P  INVALIDATE RECOVERY_OP") == 0)
		scenario_run(scenario, 1);
	scenario_kill(scenario, "Q");
	scenario_run(scenario, 3 * EVICTED_MS);
	request_expect_letter(read, 'c');
	steps_read(scenario, "B", 'c');
	steps_sync(scenario, "C", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'c');
	scenario_destroy(scenario);
}
END_TEST

// F4: S has written over what it got from C, and is cut off (or dies). Q moves to A, which asks P whether it has left; but before
// that question comes, C has brought its bytes to P: newer ones than those that Q knows of. They come from below Q, and so the
// block is Q's all the same: refused, Q could not take S's claim, and A would serve C's bytes beside those of S.
START_TEST(bytes_that_move_past_a_claim)
{
	struct scenario *scenario = steps_create();
	struct request *read;
	bool lives = _i == 0;

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "Q", "P", true);
	steps_child(scenario, "S", "Q", true);
	steps_child(scenario, "C", "S", true);
	steps_child(scenario, "B", "A", true);
	steps_write(scenario, "C", 'c');
	steps_read(scenario, "S", 'c');
	steps_write(scenario, "S", 's');
	steps_cut(scenario, "S", "Q", 500);
	steps_cut(scenario, "S", "P", 500);
	steps_cut(scenario, "S", "A", 500);
	if (!lives)
		scenario_kill(scenario, "S");
	scenario_hold(scenario, "A", "P", true);
	steps_leave(scenario, "Q", "A", 10);
	steps_leave(scenario, "C", "P", 10);
	scenario_forget(scenario);
	scenario_run(scenario, 200);
	ck_assert_uint_eq(scenario_count(scenario, "A -> P  INVALIDATE RECOVERY_OP volume=1 block=7"), 1);
	ck_assert_uint_eq(scenario_count(scenario, "P -> C  OK_REPLY volume=2 block=7"), 1);
	read = scenario_read(scenario, "B", 7);
	scenario_hold(scenario, "A", "P", false);
	scenario_run(scenario, 2 * EVICTED_MS);
	request_expect_letter(read, lives ? 's' : 'c');
	steps_read(scenario, "Q", lives ? 's' : 'c');
	if (lives)
		steps_sync(scenario, "S", ERR_OK);
	steps_sync(scenario, "C", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), lives ? 's' : 'c');
	scenario_destroy(scenario);
}
END_TEST

// F3, R11: P has never had C's bytes, only the block. It moves to S, which has older ones of its own, and says so: so C has to claim
// the block anew, and P closes its link. What C had asked for before is not granted beside that: it would learn the older version,
// and write under a number that it has used. (seed 504236)
START_TEST(lock_that_waits_at_who_asks_for_a_claim)
{
	struct scenario *scenario = steps_create();
	struct request *write;

	scenario->world->moving = true;
	scenario->config.ttl_ms = 300;
	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", false);
	steps_child(scenario, "Q", "A", false);
	steps_child(scenario, "S", "A", true);
	steps_child(scenario, "C", "Q", true);
	steps_write(scenario, "S", 's');
	for (int i = 0; i < 3; i++)
		steps_write(scenario, "C", 'c');
	steps_sync(scenario, "C", ERR_OK);
	steps_leave(scenario, "C", "P", 10);
	scenario_run(scenario, 1000);
	steps_cut(scenario, "P", "A", LEASE_MS / 2);
	scenario_run(scenario, 100);
	scenario_forget(scenario);
	write = scenario_write(scenario, "C", 7, 'n');
	scenario_run(scenario, 100);
	request_expect_waiting(write);
	steps_leave(scenario, "P", "S", 10);
	scenario_run(scenario, LEASE_MS);
	request_expect_ok(write);
	steps_sync(scenario, "C", ERR_OK);
	steps_read_at_last(scenario, "S", 'n');
	ck_assert_int_eq(scenario_stored(scenario, 7), 'n');
	scenario_destroy(scenario);
}
END_TEST

// F5: C, with D below it, comes from Q to P and claims what it has for writing. Its link breaks, and Q's answer, that it lets the
// block go for C, is lost with Q's, as P goes to A itself. Q comes back to a new session and does not name the block any more: it is
// C's all the same, D may write it, and P must not. (seed 501779)
START_TEST(answer_to_the_question_is_lost)
{
	struct scenario *scenario = steps_create();
	struct request *write;

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "X", "A", false);
	steps_child(scenario, "P", "X", true);
	steps_child(scenario, "Q", "P", true);
	steps_child(scenario, "C", "Q", true);
	steps_child(scenario, "D", "C", true);
	steps_child(scenario, "E", "Q", true);
	steps_write(scenario, "D", 'd');
	steps_write_block(scenario, "E", 3, 'e');
	steps_read_block(scenario, "Q", 3, 'e');
	steps_leave(scenario, "C", "P", 10);
	scenario_forget(scenario);
	while (scenario_count(scenario, "P -> Q  INVALIDATE RECOVERY_OP") == 0)
		scenario_run(scenario, 1);
	world_block(scenario_node(scenario, "Q"), scenario_node(scenario, "P"), scenario->world->now + 45 * 1000);
	while (scenario_count(scenario, "Q -> P  OK_REPLY volume=3 block=7") == 0)
		scenario_run(scenario, 1);
	steps_leave(scenario, "C", "P", 1000);
	scenario_kill(scenario, "X");
	steps_leave(scenario, "P", "A", 10);
	steps_leave(scenario, "E", "P", 60); // its bytes are newer than P's: so Q's session is not resumed
	steps_leave(scenario, "Q", "P", 250);
	scenario_run(scenario, 500);
	ck_assert_uint_eq(scenario_count(scenario, "P <- Q  OK_REPLY volume=3 block=7"), 0);
	ck_assert_uint_eq(scenario_count(scenario, "Q -> P  RECOVER RECOVERY_OP volume=3 block=7"), 0);
	write = scenario_write(scenario, "P", 7, 'p');
	scenario_run(scenario, 2 * EVICTED_MS);
	request_expect_ok(write);
	steps_read(scenario, "D", 'p');
	steps_sync(scenario, "D", ERR_OK);
	scenario_destroy(scenario);
}
END_TEST

// F5: P has been granted its claim, with older bytes than C has, below it: so C has to claim anew, and its link is closed. D, whom
// P had left long ago, claims the block, too, of a lease that is over: P is asked while that link is on its way out. C is not to
// be found gone, for D, then. (seed 544363)
START_TEST(asked_while_the_writer_has_to_claim_anew)
{
	struct scenario *scenario = steps_create();
	struct request *write, *read;

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "Q", "A", false);
	steps_child(scenario, "D", "Q", true);
	steps_child(scenario, "P", "D", true);
	steps_child(scenario, "C", "P", true);
	steps_write(scenario, "C", 'c');
	steps_sync(scenario, "C", ERR_OK);
	steps_cut(scenario, "D", "Q", 100 * LEASE_MS);
	steps_cut(scenario, "D", "P", 100 * LEASE_MS);
	steps_leave(scenario, "P", "Q", 10);
	steps_leave(scenario, "D", "A", LEASE_MS * 3 / 2);
	scenario_run(scenario, LEASE_MS);
	scenario_kill(scenario, "A");
	scenario_restart(scenario, "A");
	scenario_run(scenario, 200);
	scenario_hold(scenario, "Q", "A", true);
	steps_write(scenario, "C", 'e');
	scenario_sync(scenario, "C");
	scenario_run(scenario, 50);
	world_cut(scenario_node(scenario, "C"), 0, 100 * LEASE_MS * 1000, 100 * LEASE_MS * 1000); // P does not notice
	steps_leave(scenario, "P", "A", LEASE_MS / 2);
	write = scenario_write_half(scenario, "P", 7, 'p');
	scenario_forget(scenario);
	while (scenario_count(scenario, "P -> A  RECOVER") == 0)
		scenario_run(scenario, 1);
	scenario_run(scenario, 20);
	world_cut(scenario_node(scenario, "Q"), 100 * LEASE_MS * 1000, 0, 100 * LEASE_MS * 1000);
	read = scenario_read(scenario, "D", 7);
	scenario_run(scenario, 4 * LEASE_MS);
	request_expect_ok(write);
	request_expect_letter(read, 'e'); // before P wrote, who waited behind
	scenario_destroy(scenario);
}
END_TEST

// F5: P has let the block go for C, who has left it; that answer is lost with the link. Asked again, in the session that goes on, P has
// nothing any more, and does not say that it keeps what it has: C's claim would be refused. (seed 623819)
START_TEST(asked_again_as_the_answer_was_lost)
{
	struct scenario *scenario = steps_tree();

	steps_write(scenario, "C", 'c');
	scenario_forget(scenario);
	steps_leave(scenario, "C", "A", 10);
	while (scenario_count(scenario, "A -> P  INVALIDATE") == 0)
		scenario_run(scenario, 1);
	scenario_run(scenario, 11); // P has it, and has answered
	world_cut(scenario_node(scenario, "P"), 0, 1000 * 1000, 10 * 1000); // A has not noticed when P is back
	scenario_forget(scenario);
	scenario_run(scenario, 500);
	ck_assert_uint_eq(scenario_count(scenario, "A -> P  INVALIDATE"), 1);
	ck_assert_uint_eq(scenario_count(scenario, "A -> C  ERR_REPLY"), 0);
	steps_write(scenario, "C", 'C');
	steps_read(scenario, "B", 'C');
	steps_sync(scenario, "C", ERR_OK);
	scenario_destroy(scenario);
}
END_TEST

// F5: C has left S, and brings A its bytes; P, through whom A had given them the block, is asked, and waits for R. R leaves P for A,
// which P lets the block go for. R, which does not know C's bytes, has to heed them, too, before they are taken: S, below it, would
// bring what was there before them under a version beyond theirs, when it gives C up. (seed 892991)
START_TEST(bytes_are_heeded_by_who_is_granted_the_block_meanwhile)
{
	struct scenario *scenario = steps_create();

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "R", "P", true);
	steps_child(scenario, "S", "R", true);
	steps_child(scenario, "C", "S", true);
	steps_child(scenario, "B", "A", true);
	steps_write(scenario, "S", 's');
	steps_write(scenario, "C", 'c');
	steps_leave(scenario, "C", "A", LEASE_MS + LEASE_MS / 10);
	scenario_run(scenario, LEASE_MS * 9 / 10);
	steps_leave(scenario, "R", "A", LEASE_MS / 2);
	scenario_run(scenario, LEASE_MS);
	scenario_run(scenario, EVICTED_MS);
	steps_read_at_last(scenario, "B", 'c');
	steps_sync(scenario, "C", ERR_OK);
	steps_work_again(scenario, "C");
	steps_work_again(scenario, "R");
	scenario_destroy(scenario);
}
END_TEST

// C, which has written 'c', has moved from A to P. Its claim was granted, and the answer has just been lost with the link between P
// and A, which will be back soon.
static struct scenario *
answer_lost(void)
{
	struct scenario *scenario = steps_create();

	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "B", "A", true);
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "C", "A", true);
	steps_write(scenario, "C", 'c');
	scenario_run(scenario, 2 * STEPS_HB_TTL_MS);
	scenario_forget(scenario);
	steps_leave(scenario, "C", "P", 1);
	scenario_run(scenario, 64);
	ck_assert_uint_eq(scenario_count(scenario, "A -> P  OK_REPLY volume=1 block=7 perm=WRITE"), 1);
	world_cut(scenario_node(scenario, "P"), 0, 0, 30 * 1000);
	return scenario;
}

// T2: what is granted on a link on which nothing else has been answered yet counts from the CONNECT.
START_TEST(claim_that_is_granted_before_a_heartbeat_was_answered)
{
	struct scenario *scenario = answer_lost();

	scenario_run(scenario, 500);
	ck_assert_uint_eq(scenario_count(scenario, "P -> A  CONNECT"), 1);
	steps_write(scenario, "C", 'd');
	steps_work_again(scenario, "C");
	scenario_destroy(scenario);
}
END_TEST

// F4: a claim that P has passed on is granted, the answer is lost with the link, and then the link to the claimant C breaks, too. P
// comes back before he does: it has to ask again what became of the claim before it says that nobody below it has the block. (Seed 953723)
START_TEST(claim_with_an_answer_that_was_lost_before_the_claimant_was)
{
	struct scenario *scenario = answer_lost();
	struct request *read;

	scenario_run(scenario, 5);
	world_cut(scenario_node(scenario, "C"), 0, 0, 300 * 1000);
	read = scenario_read(scenario, "B", 7);
	scenario_run(scenario, 1000);
	request_expect_letter(read, 'c');
	steps_write(scenario, "C", 'd');
	steps_work_again(scenario, "C");
	scenario_destroy(scenario);
}
END_TEST

// F5: P has asked Q, for the root's sake, whether C has left it; then P's link to the root breaks, and Q lets the block go. What P has is
// older than what C has: it is not P's to read. (seed 1367134)
START_TEST(let_go_while_the_link_above_is_down)
{
	struct scenario *scenario = steps_create();
	struct request *read;

	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "Q", "P", false);
	steps_child(scenario, "C", "Q", true);
	steps_write(scenario, "C", 'b');
	steps_read(scenario, "P", 'b');
	steps_write(scenario, "C", 'c');
	scenario_forget(scenario);
	steps_leave(scenario, "C", "A", 0);
	while (scenario_count(scenario, "P -> Q  INVALIDATE RECOVERY_OP") == 0)
		scenario_run(scenario, 1);
	steps_leave(scenario, "P", "A", 100);
	read = scenario_read(scenario, "P", 7);
	scenario_run(scenario, 50);
	ck_assert_uint_eq(scenario_count(scenario, "Q -> P  OK_REPLY volume=2 block=7 perm=NO"), 1);
	scenario_run(scenario, 1000);
	request_expect_letter(read, 'c');
	steps_write(scenario, "C", 'd');
	steps_sync(scenario, "C", ERR_OK);
	scenario_destroy(scenario);
}
END_TEST

// F5: the root that asked dies, and P claims the block of the next one, as Q lets it go: that is given back when it has been granted, not
// before, or P would think that it has it. (sim --crash-loop, seed 15571)
START_TEST(let_go_while_it_is_claimed)
{
	struct scenario *scenario = steps_create();

	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "Q", "P", false);
	steps_child(scenario, "C", "Q", true);
	steps_write(scenario, "C", 'b');
	steps_read(scenario, "P", 'b');
	steps_write(scenario, "C", 'c');
	scenario_forget(scenario);
	steps_leave(scenario, "C", "A", 0);
	scenario_hold(scenario, "Q", "P", true);
	while (scenario_count(scenario, "P -> Q  INVALIDATE RECOVERY_OP") == 0)
		scenario_run(scenario, 1);
	scenario_run(scenario, 20);
	scenario_kill(scenario, "A");
	scenario_restart(scenario, "A");
	scenario_forget(scenario);
	while (scenario_count(scenario, "P -> A  RECOVER RECOVERY_OP") == 0)
		scenario_run(scenario, 1);
	scenario_hold(scenario, "Q", "P", false);
	scenario_run(scenario, 500);
	ck_assert_uint_eq(scenario_count(scenario, "block=7 perm=WRITE ttl=20s"), 2); // P's claim, and C's
	ck_assert_uint_eq(scenario_count(scenario, "block=7 status=10"), 0);
	steps_write(scenario, "C", 'd');
	scenario_run(scenario, 2 * LEASE_MS);
	steps_read(scenario, "P", 'd');
	steps_sync(scenario, "C", ERR_OK);
	scenario_destroy(scenario);
}
END_TEST

// F5: R dies, and C, whose lease lasts, goes to P, which asks Q. Q asks R before it hears of that: then it need not wait until R would be
// evicted. (seed 1410686)
START_TEST(asked_who_is_dead)
{
	struct scenario *scenario = steps_create();

	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", false);
	steps_child(scenario, "Q", "P", false);
	steps_child(scenario, "R", "Q", false);
	steps_child(scenario, "C", "R", true);
	steps_write(scenario, "C", 'c');
	scenario_forget(scenario);
	steps_leave(scenario, "C", "P", 0);
	world_crash(scenario_node(scenario, "R"), 300 * 1000);
	scenario_run(scenario, 200);
	ck_assert_uint_eq(scenario_count(scenario, "Q -> R  INVALIDATE RECOVERY_OP"), 1);
	ck_assert_uint_eq(scenario_count(scenario, "Q -> P  OK_REPLY"), 0);
	scenario_run(scenario, 500);
	ck_assert_uint_eq(scenario_count(scenario, "Q -> P  OK_REPLY volume=2 block=7 perm=NO"), 1);
	steps_write(scenario, "C", 'd');
	steps_sync(scenario, "C", ERR_OK);
	scenario_destroy(scenario);
}
END_TEST

// F4, F5: R, whose lease is over, has come to P, which waits for Q, who is away; then Q claims the block of the root, and P lets it go for
// Q. R has what Q has it for: its claim is not refused, but passed on. (seed 1411933)
START_TEST(claim_of_what_is_let_go_for_another)
{
	struct scenario *scenario = steps_create();

	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", false);
	steps_child(scenario, "Q", "P", false);
	steps_child(scenario, "R", "Q", false);
	steps_child(scenario, "C", "R", true);
	steps_child(scenario, "E", "A", true);
	steps_write(scenario, "C", 'c');
	steps_cut(scenario, "R", "Q", 4 * STEPS_HB_TTL_MS);
	scenario_run(scenario, STEPS_HB_TTL_MS + 300);
	scenario_forget(scenario);
	steps_leave(scenario, "Q", "A", 200);
	steps_leave(scenario, "R", "P", 0);
	scenario_run(scenario, 150);
	ck_assert_uint_eq(scenario_count(scenario, "R -> P  RECOVER RECOVERY_OP volume=2 block=7 perm=WRITE ttl=0s"), 1);
	scenario_run(scenario, 1500);
	ck_assert_uint_eq(scenario_count(scenario, "Q -> A  RECOVER RECOVERY_OP volume=1 block=7 perm=WRITE"), 1);
	ck_assert_uint_eq(scenario_count(scenario, "block=7 status=10"), 0);
	ck_assert_uint_eq(scenario_count(scenario, "P -> R  OK_REPLY volume=2 block=7 perm=WRITE"), 1);
	steps_write(scenario, "C", 'd');
	steps_sync(scenario, "C", ERR_OK);
	steps_read(scenario, "E", 'd');
	scenario_destroy(scenario);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("moves");
	TCase *tcase = tcase_create("moves");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, bytes_that_move_while_they_are_read, 0, 2);
	tcase_add_loop_test(tcase, claim_of_who_does_not_know_what_went_past, 0, 2);
	tcase_add_loop_test(tcase, bytes_that_move_past_a_dead_writer, 0, 2);
	tcase_add_test(tcase, asked_while_the_writer_has_to_claim_anew);
	tcase_add_test(tcase, asked_again_as_the_answer_was_lost);
	tcase_add_test(tcase, let_go_while_it_is_claimed);
	tcase_add_test(tcase, bytes_that_wait_behind_the_question_for_others);
	tcase_add_test(tcase, bytes_that_move_past_a_writer);
	tcase_add_loop_test(tcase, bytes_that_move_past_a_writer_who_moves, 0, 2);
	tcase_add_test(tcase, bytes_that_are_newer_than_those_of_a_writer_who_is_not_named);
	tcase_add_loop_test(tcase, bytes_that_move_past_a_claim, 0, 2);
	tcase_add_test(tcase, bytes_of_who_dies_while_they_wait);
	tcase_add_test(tcase, lock_that_waits_at_who_asks_for_a_claim);
	tcase_add_test(tcase, answer_to_the_question_is_lost);
	tcase_add_test(tcase, claim_of_a_block_that_is_recalled);
	tcase_add_test(tcase, bytes_of_a_session_before_the_last);
	tcase_add_loop_test(tcase, fsync_by_another_way, 0, 2);
	tcase_add_test(tcase, question_takes_the_place_of_a_recall);
	tcase_add_test(tcase, who_was_asked_claims_the_block_elsewhere);
	tcase_add_test(tcase, bytes_are_heeded_by_who_is_granted_the_block_meanwhile);
	tcase_add_test(tcase, claim_that_is_granted_before_a_heartbeat_was_answered);
	tcase_add_test(tcase, claim_with_an_answer_that_was_lost_before_the_claimant_was);
	tcase_add_test(tcase, let_go_while_the_link_above_is_down);
	tcase_add_test(tcase, asked_who_is_dead);
	tcase_add_test(tcase, claim_of_what_is_let_go_for_another);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
