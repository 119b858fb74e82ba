// SPDX-License-Identifier: MIT
// Claims that are passed on, come late, or meet others (protocol.md F3-F5), while the root stays. What a root decides that was
// started anew is the matter of test_restart.c.
#include "tests/scenario/inside.h"
#include "tests/scenario/steps.h"

#include <check.h>
#include <stdlib.h>

enum { LEASE_MS = STEPS_HB_TTL_MS, EVICTED_MS = STEPS_EVICTED_MS };

// P's PUT with bytes waits at the root, behind a read there, when B comes to P with a claim, which is decided first. The root
// takes the PUT then, as from one who has the block: P must not have given it to E, nor written under the claim's grant.
START_TEST(claim_is_granted_while_a_put_with_bytes_is_under_way)
{
	struct scenario *scenario = steps_tree();
	struct request *a, *p, *e;

	steps_write(scenario, "B", 'b');
	steps_leave(scenario, "B", "P", 10);
	a = scenario_read(scenario, "A", 7);
	p = scenario_write_sync(scenario, "P", 7, 'p');
	scenario_run(scenario, 15);
	e = scenario_read(scenario, "E", 7);
	scenario_run(scenario, 50); // the claim is at A
	scenario_hold(scenario, "A", "P", true);
	scenario_run(scenario, 15);
	ck_assert_uint_gt(scenario_deliver(scenario, "A", "P", 1), 0); // it is granted; the recall for A's read is on its way
	scenario_run(scenario, 50);
	scenario_hold(scenario, "A", "P", false);
	scenario_run(scenario, STEPS_EVICTED_MS);
	request_expect_ok(a);
	request_expect_ok(p);
	request_expect_ok(e);
	ck_assert_uint_gt(scenario_count(scenario, "P -> A  PUT"), 0);
	steps_read(scenario, "E", 'p');
	steps_read(scenario, "B", 'p');
	steps_work_again(scenario, "B");
	scenario_destroy(scenario);
}
END_TEST

// The same, but the root takes the PUT before its node hears of the claim: what the claimant has is older by then.
START_TEST(claim_is_granted_before_a_put_with_bytes)
{
	struct scenario *scenario = steps_tree();
	struct request *b, *c;

	steps_write(scenario, "C", 'c');
	world_pause(scenario_node(scenario, "P"), scenario->world->now + LEASE_MS * 700);
	b = scenario_write_sync(scenario, "B", 7, 'b');
	scenario_run(scenario, 50);
	steps_leave(scenario, "C", "B", 10);
	scenario_run(scenario, 200);
	ck_assert_uint_gt(scenario_count(scenario, "B -> A  PUT FORCE_SYNC"), 0);
	ck_assert_uint_gt(scenario_count(scenario, "B -> A  RECOVER"), 0);
	c = scenario_write_half(scenario, "C", 7, 'C');
	request_expect_waiting(b);
	scenario_run(scenario, LEASE_MS);
	request_expect_ok(b);
	request_expect_ok(c);
	scenario_run(scenario, 500);
	c = scenario_read(scenario, "E", 7);
	scenario_run(scenario, 500);
	request_expect_halves(c, 'b', 'b');
	steps_work_again(scenario, "C");
	scenario_destroy(scenario);
}
END_TEST

// ---- Credits (R15) ----

// A node with one credit has two blocks to claim, and reads another block for which the root waits long, as D is stopped.
// The claims need none.
START_TEST(claims_come_before_requests)
{
	struct scenario *scenario = steps_create();
	struct request *read, *write;

	scenario->world->moving = true;
	scenario->config.credits = 1;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "C", "P", true);
	steps_child(scenario, "D", "A", true);
	steps_write_block(scenario, "C", 7, 'c');
	steps_write_block(scenario, "C", 8, 'c');
	steps_write_block(scenario, "D", 9, 'd');
	world_pause(scenario_node(scenario, "D"), scenario->world->now + LEASE_MS * 700);
	scenario_kill(scenario, "P");
	scenario_run(scenario, 15);
	read = scenario_read(scenario, "C", 9);
	scenario_run(scenario, 60); // C is at A
	write = scenario_write(scenario, "C", 8, 'C');
	scenario_run(scenario, LEASE_MS / 4);
	request_expect_ok(write);
	request_expect_waiting(read);
	scenario_run(scenario, LEASE_MS);
	request_expect_letter(read, 'd');
	scenario_destroy(scenario);
}
END_TEST

// P has one credit, which D's read of block 9 uses when C comes with a claim. E waits to write block 9, for which Z would have
// to be asked, who is stopped. The claim needs no credit.
START_TEST(claim_is_passed_on_before_requests)
{
	struct scenario *scenario = steps_create();
	struct request *d, *e, *c;

	scenario->world->moving = true;
	scenario->config.credits = 1;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	scenario->config.credits = 16;
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "D", "P", true);
	steps_child(scenario, "E", "P", true);
	steps_child(scenario, "G", "A", true);
	steps_child(scenario, "C", "G", true);
	steps_child(scenario, "Z", "A", true);
	steps_write(scenario, "C", 'c');
	steps_read_block(scenario, "Z", 9, '.');
	world_pause(scenario_node(scenario, "Z"), scenario->world->now + LEASE_MS * 700);
	scenario_hold(scenario, "A", "P", true);
	d = scenario_read(scenario, "D", 9);
	scenario_run(scenario, 50);
	e = scenario_write(scenario, "E", 9, 'e');
	steps_leave(scenario, "C", "P", 0);
	scenario_run(scenario, 100);
	scenario_hold(scenario, "A", "P", false);
	c = scenario_write(scenario, "C", 7, 'C');
	scenario_run(scenario, 200);
	request_expect_letter(d, '.');
	request_expect_ok(c);
	request_expect_waiting(e);
	scenario_run(scenario, LEASE_MS);
	request_expect_ok(e);
	scenario_destroy(scenario);
}
END_TEST

// A child may bring more bytes than it has credits. Else it is cut off, again and again.
START_TEST(bytes_that_are_brought_use_no_credits)
{
	struct scenario *scenario = steps_create();
	struct request *write;

	scenario->config.credits = 2;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "C", "A", true);
	steps_child(scenario, "B", "A", true);
	for (uint64_t block = 0; block < 3; block++) {
		steps_write_block(scenario, "C", block, 'c');
		steps_write_block(scenario, "B", block, 'b');
		steps_write_block(scenario, "C", 7 + block, 'c');
	}
	scenario_kill(scenario, "A");
	scenario_restart(scenario, "A");
	scenario_forget(scenario);
	scenario_run(scenario, LEASE_MS / 2);
	// C's claims are granted; what it brought waits for the end of the grace time.
	write = scenario_write(scenario, "C", 9, 'C');
	scenario_run(scenario, 1);
	request_expect_ok(write);
	scenario_run(scenario, 2 * LEASE_MS);
	ck_assert_uint_eq(scenario_count(scenario, "C -> A  CONNECT"), 2); // and once more with the new name
	steps_sync(scenario, "C", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 9), 'C');
	steps_read_block(scenario, "C", 0, 'b');
	scenario_destroy(scenario);
}
END_TEST

// As many others as a node can keep bring something (here: are said to). C's bytes have no room for a while, which is no failure:
// its fsync waits.
START_TEST(bytes_that_are_brought_find_no_room)
{
	struct scenario *scenario = steps_create();
	struct request *sync;

	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "C", "A", true);
	steps_child(scenario, "B", "A", true);
	steps_write(scenario, "C", 'c');
	steps_read(scenario, "B", 'c');
	scenario_kill(scenario, "A");
	scenario_restart(scenario, "A");
	inside_claimants(scenario_node(scenario, "A")->core, true);
	scenario_forget(scenario);
	sync = scenario_sync(scenario, "C");
	scenario_run(scenario, LEASE_MS / 2);
	ck_assert_uint_gt(scenario_count(scenario, "A -> C  ERR_REPLY status=14"), 1);
	ck_assert_uint_lt(scenario_count(scenario, "A -> C  ERR_REPLY status=14"), LEASE_MS / 2 / 100);
	request_expect_waiting(sync);
	inside_claimants(scenario_node(scenario, "A")->core, false);
	scenario_run(scenario, EVICTED_MS);
	request_expect_ok(sync);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'c');
	scenario_destroy(scenario);
}
END_TEST

// F6: C has more to claim than it has credits, and its lease is over: the root decides at the end of its grace time, and by then
// has to know all of it. What came behind that would be refused. (seed 20817)
START_TEST(more_late_claims_than_credits)
{
	struct scenario *scenario = steps_create();

	scenario->world->moving = true;
	scenario->config.credits = 2;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	if (_i == 1)
		steps_child(scenario, "P", "A", false);
	steps_child(scenario, "C", _i == 0 ? "A" : "P", true);
	for (uint64_t block = 7; block < 16; block += 2)
		steps_write_block(scenario, "C", block, 'c');
	scenario_kill(scenario, "A");
	scenario_run(scenario, 2 * LEASE_MS);
	scenario_restart(scenario, "A");
	scenario_run(scenario, 3 * LEASE_MS);
	steps_sync(scenario, "C", ERR_OK);
	for (uint64_t block = 7; block < 16; block += 2)
		ck_assert_int_eq(scenario_stored(scenario, block), 'c');
	scenario_destroy(scenario);
}
END_TEST

// ---- Who is away ----

// F5: A has P, P has Q, Q has C. Q writes over what C has written; then it is cut off from P, but its lease lasts. C comes to A
// with its old bytes, and names Q: that does not take the block away from Q.
START_TEST(old_bytes_take_nothing_from_who_is_away)
{
	struct scenario *scenario = steps_create();
	struct request *b;

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "Q", "P", true);
	steps_child(scenario, "C", "Q", true);
	steps_child(scenario, "B", "A", true);
	steps_write(scenario, "C", 'c');
	steps_write(scenario, "Q", 'q');
	world_cut(scenario_node(scenario, "Q"), 0, 0, 0);
	steps_cut(scenario, "Q", "P", LEASE_MS / 2);
	steps_cut(scenario, "Q", "A", 60 * 1000);
	steps_leave(scenario, "C", "A", 0);
	scenario_forget(scenario);
	scenario_run(scenario, 200);
	ck_assert_uint_eq(scenario_count(scenario, "A -> P  INVALIDATE RECOVERY_OP"), 1);
	b = scenario_write(scenario, "B", 7, 'b');
	for (unsigned i = 0; i < LEASE_MS / 4 / 50; i++) { // the oracle watches
		request_expect_ok(scenario_write(scenario, "Q", 7, 'Q'));
		scenario_run(scenario, 50);
	}
	request_expect_waiting(b);
	scenario_run(scenario, EVICTED_MS);
	request_expect_ok(b);
	steps_sync(scenario, "Q", ERR_OK);
	steps_read_at_last(scenario, "C", 'b');
	scenario_destroy(scenario);
}
END_TEST

// F2: the root stops in order, all are told, and when it is there again C begins anew: with the same name, a new session, and
// nothing to claim. P has not noticed yet that C's old link is gone, so the old session stays, and P grants it what C asked for
// before. Somebody wants that block: the session must end, though its node is here and so is not evicted.
START_TEST(old_session_of_who_began_anew)
{
	struct scenario *scenario = steps_create();
	struct request *b;
	struct node *c;

	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "C", "P", true);
	steps_child(scenario, "B", "A", true);
	steps_write_block(scenario, "C", 8, 'c');
	steps_sync(scenario, "C", ERR_OK);
	c = scenario_node(scenario, "C");
	scenario_forget(scenario);
	world_stop(scenario_node(scenario, "A"));
	scenario_read(scenario, "C", 7);
	for (unsigned i = 0; i < 1000 && scenario_count(scenario, "P -> C  DISCONNECT") == 0; i++)
		scenario_run(scenario, 1);
	ck_assert_uint_eq(scenario_count(scenario, "C -> P  GET volume=2 block=7"), 1);
	world_cut(c, 15 * 1000, 2000 * 1000, 0);
	c->uplink->heard_max[PIPE_DOWN] = UINT64_MAX; // what P has said arrives
	scenario_run(scenario, 100);
	scenario_restart(scenario, "A");
	scenario_run(scenario, 1500);
	ck_assert_uint_eq(scenario_count(scenario, "P -> C  OK_REPLY volume=2 block=7 perm=READ"), 2); // in either session
	scenario_run(scenario, LEASE_MS / 2);
	b = scenario_write(scenario, "B", 7, 'b');
	scenario_run(scenario, EVICTED_MS);
	request_expect_ok(b);
	steps_read(scenario, "C", 'b');
	scenario_destroy(scenario);
}
END_TEST

// F1, F2: C is back after its lease, with a new session, and dies before it has claimed its block; A waits for that block, and for C's
// claim. When the new session is over, the old one is evicted. (seed 752085)
START_TEST(old_session_of_who_dies_before_it_claims)
{
	struct scenario *scenario = steps_create();
	struct request *read;

	steps_keep_dirty(scenario, true);
	scenario->world->moving = true;
	steps_root(scenario, "A");
	steps_child(scenario, "C", "A", true);
	steps_write(scenario, "C", 'c');
	scenario_forget(scenario);
	world_cut(scenario_node(scenario, "C"), 0, 0, 2 * LEASE_MS * 1000);
	inside_moved(scenario_node(scenario, "A")->core); // as who has learnt that C has left him for another
	while (scenario_count(scenario, "A -> C  OK_REPLY name") == 0)
		scenario_run(scenario, 1);
	scenario_hold(scenario, "C", "A", true);
	read = scenario_read(scenario, "A", 7);
	scenario_run(scenario, 50);
	ck_assert_uint_eq(scenario_count(scenario, "C -> A  RECOVER RECOVERY_OP volume=1 block=7 perm=WRITE"), 1);
	world_kill(scenario_node(scenario, "C"));
	scenario_run(scenario, EVICTED_MS);
	request_expect_letter(read, '.');
	scenario_destroy(scenario);
}
END_TEST

// ---- What was passed on ----

// I4, R13: P keeps bytes that it wrote, and that were written over at the root, for they are not durable. Q, which was at
// the root, comes with the claim of a child that is dead; it has no bytes to bring when it gives the block back. Those of P
// are too old to be read then, whatever the root, which was started anew, says of what it has.
START_TEST(proxy_keeps_bytes_older_than_a_claim)
{
	struct scenario *scenario = steps_create();
	struct request *c;

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "C", "P", true);
	steps_child(scenario, "Q", "A", true);
	steps_child(scenario, "F", "Q", true);
	steps_child(scenario, "B", "A", true);
	steps_write(scenario, "P", 'P');
	steps_write(scenario, "B", 'B');
	steps_sync(scenario, "B", ERR_OK);
	steps_write(scenario, "F", 'f');
	ck_assert_int_eq(scenario_stored(scenario, 7), 'B');
	scenario_kill(scenario, "F");
	scenario_lose_versions(scenario);
	world_set_parent(scenario_node(scenario, "Q"), scenario_node(scenario, "P"), scenario_node(scenario, "Q")->pipe, 0);
	scenario_kill(scenario, "A");
	scenario_restart(scenario, "A");
	scenario_run(scenario, 200);
	c = scenario_read(scenario, "C", 7);
	scenario_run(scenario, EVICTED_MS);
	request_expect_letter(c, 'B');
	steps_read_at_last(scenario, "B", 'B');
	scenario_destroy(scenario);
}
END_TEST

// F5: C goes from Q to P, whose own lease of the block is over: P decides all the same, and asks Q, which learns that C is
// gone: D, below Q, does not wait until C could be evicted.
START_TEST(claim_at_the_parent_of_the_child_that_was_left)
{
	struct scenario *scenario = steps_create();
	struct request *d;

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	scenario->config.ttl_ms = 300;
	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "Q", "P", true);
	steps_child(scenario, "C", "Q", true);
	steps_child(scenario, "D", "Q", true);
	steps_write(scenario, "C", 'c');
	steps_leave(scenario, "C", "P", 0);
	scenario_forget(scenario);
	scenario_run(scenario, 300);
	ck_assert_uint_eq(scenario_count(scenario, "P -> A  RECOVER RECOVERY_OP volume=1 block=7 perm=WRITE"), 0);
	ck_assert_uint_eq(scenario_count(scenario, "P -> Q  INVALIDATE RECOVERY_OP"), 1);
	d = scenario_read(scenario, "D", 7);
	scenario_run(scenario, LEASE_MS / 3);
	request_expect_letter(d, 'c');
	steps_work_again(scenario, "C");
	scenario_destroy(scenario);
}
END_TEST

// F4: C comes to P, which passes its claim on, but the way is blocked; C goes back to G, where it has the block by right. When
// P gets through again, G is away for a moment: C's old claim must not take the block from it.
START_TEST(claim_of_who_has_left_again)
{
	struct scenario *scenario = steps_create();

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "G", "A", true);
	steps_child(scenario, "C", "G", true);
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "E", "P", true);
	steps_write(scenario, "C", 'c');
	scenario_forget(scenario);
	steps_cut(scenario, "P", "A", 500);
	steps_leave(scenario, "C", "P", 0);
	scenario_run(scenario, 100);
	ck_assert_uint_eq(scenario_count(scenario, "C -> P  RECOVER RECOVERY_OP volume=4 block=7 perm=WRITE"), 1);
	ck_assert_uint_eq(scenario_count(scenario, "P -> A  RECOVER RECOVERY_OP volume=1 block=7 perm=WRITE"), 1);
	steps_leave(scenario, "C", "G", 0);
	scenario_run(scenario, 200);
	request_expect_ok(scenario_write(scenario, "C", 7, 'C'));
	scenario_forget(scenario);
	world_cut(scenario_node(scenario, "G"), 0, 0, 0);
	steps_cut(scenario, "G", "A", LEASE_MS / 3);
	world_cut(scenario_node(scenario, "P"), 0, 0, 0);
	scenario_run(scenario, LEASE_MS / 3);
	ck_assert_uint_eq(scenario_count(scenario, "P -> A  CONNECT"), 1);
	scenario_run(scenario, LEASE_MS / 2);
	steps_write(scenario, "C", '3');
	ck_assert_uint_eq(scenario_count(scenario, "G -> A  RECOVER"), 0);
	steps_sync(scenario, "C", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), '3');
	steps_read_at_last(scenario, "E", '3');
	scenario_destroy(scenario);
}
END_TEST

// F4: the same at the root, which has not noticed yet that C has left it for P again when the link to P breaks, and grants C what
// it had claimed. C has another name now. When that session is evicted the block is P's, whose claim waits. (seed 2651)
START_TEST(claim_granted_to_who_has_left_again)
{
	struct scenario *scenario = steps_tree();
	struct node *c = scenario_node(scenario, "C"), *p = scenario_node(scenario, "P");

	steps_write(scenario, "C", 'c');
	scenario_forget(scenario);
	steps_cut(scenario, "P", "A", 400);
	steps_leave(scenario, "C", "A", 0);
	scenario_run(scenario, 100);
	ck_assert_uint_eq(scenario_count(scenario, "A -> P  INVALIDATE RECOVERY_OP"), 1);
	world_cut(c, 0, 400 * 1000, 0);
	world_set_parent(c, p, c->pipe, 0);
	scenario_run(scenario, 200);
	ck_assert_uint_eq(scenario_count(scenario, "P -> C  OK_REPLY volume=2 block=7 perm=WRITE"), 1);
	world_cut(p, 0, 0, 0);
	scenario_run(scenario, 50);
	ck_assert_uint_eq(scenario_count(scenario, "A -> C  OK_REPLY volume=1 block=7 perm=WRITE"), 1);
	steps_read_at_last(scenario, "B", 'c');
	steps_work_again(scenario, "C");
	scenario_destroy(scenario);
}
END_TEST

// F5: the same, but P gets through while C is away from G for a moment, which has granted C the one of its two blocks, so
// that C has still its old name. That C is not there does not say that it has left: what it claimed through P it did before
// it came back.
START_TEST(late_behind_a_claim_of_who_has_left)
{
	struct scenario *scenario = steps_tree();
	struct node *c = scenario_node(scenario, "C"), *p = scenario_node(scenario, "P");

	steps_write(scenario, "C", 'c');
	scenario_forget(scenario);
	steps_cut(scenario, "P", "A", 400);
	steps_leave(scenario, "C", "A", 0);
	scenario_run(scenario, 100);
	ck_assert_uint_eq(scenario_count(scenario, "A -> P  INVALIDATE RECOVERY_OP"), 1);
	world_cut(c, 0, 400 * 1000, 0);
	world_set_parent(c, p, c->pipe, 0);
	scenario_run(scenario, 200);
	ck_assert_uint_eq(scenario_count(scenario, "P -> C  OK_REPLY volume=2 block=7 perm=WRITE"), 1);
	world_cut(p, 0, 0, 0);
	scenario_run(scenario, 50);
	ck_assert_uint_eq(scenario_count(scenario, "A -> C  OK_REPLY volume=1 block=7 perm=WRITE"), 1);
	steps_cut(scenario, "P", "A", EVICTED_MS);
	steps_cut(scenario, "C", "A", EVICTED_MS);
	steps_read_at_last(scenario, "B", '.');
	steps_sync(scenario, "C", ERR_LOST);
	scenario_destroy(scenario);
}
END_TEST

START_TEST(claim_of_an_older_link)
{
	struct scenario *scenario = steps_create();
	struct request *e;

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "G", "A", true);
	steps_child(scenario, "C", "G", true);
	scenario->config.hb_ttl_ms = 200; // of what P gives
	steps_child(scenario, "P", "A", true);
	scenario->config.hb_ttl_ms = LEASE_MS;
	steps_child(scenario, "E", "P", true);
	steps_write_block(scenario, "C", 7, 'c');
	steps_write_block(scenario, "C", 9, 'c');
	scenario_forget(scenario);
	steps_cut(scenario, "P", "A", 500);
	steps_leave(scenario, "C", "P", 0);
	scenario_run(scenario, 100);
	ck_assert_uint_eq(scenario_count(scenario, "P -> A  RECOVER RECOVERY_OP volume=1 block=7 perm=WRITE"), 1);
	steps_leave(scenario, "C", "G", 0);
	scenario_run(scenario, 45);
	scenario_hold(scenario, "G", "C", true);
	scenario_run(scenario, 20);
	ck_assert_uint_eq(scenario_deliver(scenario, "G", "C", 1), 1);
	request_expect_ok(scenario_write(scenario, "C", 7, 'C'));
	steps_cut(scenario, "C", "G", LEASE_MS / 2);
	steps_cut(scenario, "C", "A", 60 * 1000);
	steps_cut(scenario, "C", "P", 60 * 1000);
	world_cut(scenario_node(scenario, "C"), 0, 0, 0);
	scenario_run(scenario, 450);
	scenario_hold(scenario, "G", "C", false);
	ck_assert_uint_eq(scenario_count(scenario, "A -> G  INVALIDATE RECOVERY_OP volume=1 block=7"), 1);
	e = scenario_write(scenario, "E", 7, 'e');
	for (unsigned i = 0; i < LEASE_MS / 4 / 50; i++) { // the oracle watches
		request_expect_ok(scenario_write(scenario, "C", 7, '3'));
		scenario_run(scenario, 50);
	}
	scenario_run(scenario, LEASE_MS);
	request_expect_ok(e);
	ck_assert_uint_eq(scenario_count(scenario, "C -> G  RECOVER RECOVERY_OP volume=2 block=7 perm=WRITE"), 1);
	steps_sync(scenario, "C", ERR_OK);
	steps_read_at_last(scenario, "C", 'e');
	scenario_destroy(scenario);
}
END_TEST

// F5, T3: what C claims through P is on its way for long. Meanwhile C is back at Q, where D has got the block from it, and Q
// is cut off from G, but its lease lasts. The claim takes the block from Q; as long as that lasts nobody may get it from P.
START_TEST(claim_that_is_late_on_its_way)
{
	struct scenario *scenario = steps_create();
	struct request *e;

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "G", "A", true);
	steps_child(scenario, "Q", "G", true);
	steps_child(scenario, "C", "Q", true);
	steps_child(scenario, "D", "Q", true);
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "E", "P", true);
	steps_write(scenario, "C", 'c');
	scenario_forget(scenario);
	world_block(scenario_node(scenario, "P"), scenario_node(scenario, "A"), scenario->world->now + 1600 * 1000);
	steps_leave(scenario, "C", "P", 0);
	scenario_run(scenario, 100);
	ck_assert_uint_eq(scenario_count(scenario, "P -> A  RECOVER RECOVERY_OP volume=1 block=7 perm=WRITE"), 1);
	steps_leave(scenario, "C", "Q", 0);
	scenario_run(scenario, 400);
	steps_write(scenario, "D", 'd');
	scenario_run(scenario, 500);
	steps_cut(scenario, "Q", "G", 2 * LEASE_MS);
	steps_cut(scenario, "Q", "A", 2 * LEASE_MS);
	steps_cut(scenario, "Q", "P", 2 * LEASE_MS);
	world_cut(scenario_node(scenario, "Q"), 0, 0, 0);
	scenario_run(scenario, 200);
	ck_assert_uint_eq(scenario_count(scenario, "A -> G  INVALIDATE RECOVERY_OP volume=1 block=7"), 1);
	e = scenario_write(scenario, "E", 7, 'e');
	for (unsigned i = 0; i < LEASE_MS / 50; i++) { // as long as it may
		scenario_write(scenario, "D", 7, 'D');
		scenario_run(scenario, 50);
	}
	scenario_run(scenario, 2 * EVICTED_MS);
	request_expect_ok(e);
	scenario_destroy(scenario);
}
END_TEST

// C has written over P's bytes, and gone from G to P, which gives leases of ${hb_ttl_ms}. The root has granted P what it
// claims for C, but P does not hear of it; C has left P, and will be at the root in a second.
static struct scenario *
granted_unheard(uint32_t hb_ttl_ms)
{
	struct scenario *scenario = steps_create();

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "G", "A", true);
	steps_child(scenario, "C", "G", true);
	steps_child(scenario, "B", "A", true);
	scenario->config.hb_ttl_ms = hb_ttl_ms;
	steps_child(scenario, "P", "A", true);
	scenario->config.hb_ttl_ms = LEASE_MS;
	steps_child(scenario, "E", "P", true);
	steps_write(scenario, "P", 'p');
	steps_write(scenario, "C", 'c');
	steps_leave(scenario, "C", "P", 0);
	scenario_run(scenario, 50);
	scenario_forget(scenario);
	scenario_hold(scenario, "A", "P", true);
	scenario_run(scenario, 100);
	ck_assert_uint_eq(scenario_count(scenario, "A -> P  OK_REPLY volume=1 block=7 perm=WRITE"), 1);
	steps_leave(scenario, "C", "A", 1000);
	scenario_run(scenario, 50);
	return scenario;
}

enum { NOBODY, E_READS, E_WRITES, CASES }; // below P, before C is back

// The block is C's, whose bytes nobody else has, and not the root's to give: whoever wants it waits until C is back.
static void
expect_for_the_claimant(struct scenario *scenario, int who)
{
	struct request *e = NULL, *b;

	if (who == E_READS)
		e = scenario_read(scenario, "E", 7);
	else if (who == E_WRITES)
		e = scenario_write_half(scenario, "E", 7, 'e');
	scenario_run(scenario, EVICTED_MS);
	if (e != NULL)
		request_expect_ok(e);
	if (who == E_READS)
		request_expect_letter(e, 'c');
	steps_sync(scenario, "C", ERR_OK);
	b = scenario_read(scenario, "B", 7);
	scenario_run(scenario, EVICTED_MS);
	request_expect_halves(b, who == E_WRITES ? 'e' : 'c', 'c');
	steps_work_again(scenario, "C");
}

// R11: when P hears of it, C's session there would be over.
START_TEST(claim_granted_after_its_session)
{
	struct scenario *scenario = granted_unheard(200);

	scenario_run(scenario, 350);
	scenario_hold(scenario, "A", "P", false);
	scenario_run(scenario, 50);
	expect_for_the_claimant(scenario, _i);
	scenario_destroy(scenario);
}
END_TEST

// The answer is lost with the link between P and the root, where P's session goes on.
START_TEST(claim_granted_on_a_link_that_breaks)
{
	struct scenario *scenario = granted_unheard(LEASE_MS);

	world_cut(scenario_node(scenario, "P"), 0, 0, 10 * 1000);
	scenario_run(scenario, 10);
	scenario_hold(scenario, "A", "P", false);
	scenario_run(scenario, 100);
	expect_for_the_claimant(scenario, _i);
	scenario_destroy(scenario);
}
END_TEST

// F2, F5: C is back at Q, which is cut off and lets C go on. The root has granted P what C had claimed there, past Q: as long
// as Q's lease lasts nobody may get the block from P. But P does not hear of that yet, and E wants another block that C has
// there: the eviction of C would end its session, and what is granted to it with it.
START_TEST(claim_granted_while_its_session_is_evicted)
{
	struct scenario *scenario = steps_create();
	struct request *other, *e;

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "G", "A", true);
	steps_child(scenario, "Q", "G", true);
	steps_child(scenario, "C", "Q", true);
	scenario->config.hb_ttl_ms = 300;
	steps_child(scenario, "P", "A", true);
	scenario->config.hb_ttl_ms = LEASE_MS;
	steps_child(scenario, "E", "P", true);
	steps_write_block(scenario, "P", 3, 'p');
	steps_write(scenario, "C", 'c');
	scenario_forget(scenario);
	scenario_hold(scenario, "P", "A", true);
	steps_leave(scenario, "C", "P", 0);
	scenario_run(scenario, 50);
	other = scenario_read(scenario, "C", 3);
	scenario_run(scenario, 50);
	request_expect_letter(other, 'p');
	steps_leave(scenario, "C", "Q", 0);
	scenario_run(scenario, 100);
	steps_cut(scenario, "Q", "G", 2 * LEASE_MS);
	steps_cut(scenario, "Q", "A", 2 * LEASE_MS);
	steps_cut(scenario, "Q", "P", 2 * LEASE_MS);
	world_cut(scenario_node(scenario, "Q"), 0, 0, 0);
	scenario_run(scenario, 10);
	scenario_hold(scenario, "A", "P", true);
	scenario_hold(scenario, "P", "A", false);
	other = scenario_write(scenario, "E", 3, 'e');
	scenario_run(scenario, 100);
	ck_assert_uint_eq(scenario_count(scenario, "A -> P  OK_REPLY volume=1 block=7 perm=WRITE"), 1);
	scenario_run(scenario, 300); // C's lease at P is over
	request_expect_waiting(other);
	scenario_hold(scenario, "A", "P", false);
	scenario_run(scenario, 50);
	e = scenario_write(scenario, "E", 7, 'e');
	for (unsigned i = 0; i < LEASE_MS / 50; i++) { // as long as it may; the oracle watches
		scenario_write(scenario, "C", 7, 'C');
		scenario_run(scenario, 50);
	}
	scenario_run(scenario, 2 * EVICTED_MS);
	request_expect_ok(other);
	request_expect_ok(e);
	scenario_destroy(scenario);
}
END_TEST

// F3: D has left C for A, which P, C's parent, has lost and found again. P's claim is refused, and revoked from C, which waits for
// the end of D's lease. That ends while C's link to P is broken: C has not answered, but does not have the block for that. (seed 753747)
START_TEST(revoked_across_a_broken_link)
{
	struct scenario *scenario = steps_create();

	steps_keep_dirty(scenario, true);
	scenario->world->moving = true;
	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "C", "P", true);
	steps_child(scenario, "D", "C", true);
	steps_child(scenario, "B", "A", true);
	steps_write(scenario, "D", 'd');
	steps_leave(scenario, "D", "A", 1100);
	scenario_run(scenario, 1000);
	world_cut(scenario_node(scenario, "P"), 0, 0, 1000 * 1000);
	scenario_run(scenario, 300);
	steps_write(scenario, "B", 'b');
	scenario_run(scenario, 500);
	ck_assert_uint_eq(scenario_count(scenario, "P -> C  INVALIDATE RECOVERY_OP"), 1);
	ck_assert_uint_eq(scenario_count(scenario, "C -> P  OK_REPLY volume=2 block=7"), 0);
	scenario_run(scenario, 400);
	world_cut(scenario_node(scenario, "C"), 0, 0, 600 * 1000);
	scenario_run(scenario, LEASE_MS);
	ck_assert_uint_eq(scenario_count(scenario, "C -> P  OK_REPLY volume=2 block=7"), 1);
	steps_read(scenario, "C", 'b');
	scenario_destroy(scenario);
}
END_TEST

// F5: C has left P for A, which asks P whether that is so. C's link breaks, and it claims again before P's answer is there: it is
// the answer for this claim, too. A must not read what it has itself in between. (Found by chaos: a root that was stopped found
// many links of its children at once.)
START_TEST(claim_made_again_while_its_question_is_open)
{
	struct scenario *scenario = steps_tree();
	struct request *read;

	steps_write(scenario, "C", 'c');
	steps_leave(scenario, "C", "A", 0);
	scenario_hold(scenario, "P", "A", true);
	scenario_run(scenario, 60);
	ck_assert_uint_eq(scenario_count(scenario, "A -> P  INVALIDATE RECOVERY_OP"), 1);
	read = scenario_read(scenario, "A", 7);
	world_cut(scenario_node(scenario, "C"), 0, 0, 1000);
	scenario_run(scenario, 100);
	ck_assert_uint_ge(scenario_count(scenario, "C -> A  RECOVER RECOVERY_OP volume=1 block=7 perm=WRITE"), 2);
	scenario_hold(scenario, "P", "A", false);
	scenario_run(scenario, 200);
	request_expect_letter(read, 'c');
	ck_assert_uint_eq(scenario_count(scenario, "A -> C  ERR_REPLY"), 0);
	steps_sync(scenario, "C", ERR_OK);
	scenario_destroy(scenario);
}
END_TEST

// F5: P is away, and C has gone on without it; then D has written over its bytes. P comes back, and claims the block, when its lease
// is over, and as D gives the block back so that A can write: that D has it no more does not mean that it has left D for P.
// (seed 697829)
START_TEST(claim_while_the_block_is_given_back)
{
	struct scenario *scenario = steps_tree();
	struct request *write, *read;

	steps_child(scenario, "D", "B", true);
	steps_write(scenario, "C", 'c');
	steps_write_block(scenario, "P", 8, 'p'); // with nothing left on record P would be evicted when its lease is over
	world_cut(scenario_node(scenario, "P"), 0, 0, 3 * LEASE_MS * 1000);
	steps_leave(scenario, "C", "A", 0);
	scenario_run(scenario, 2 * LEASE_MS);
	steps_write(scenario, "D", 'd');
	scenario_run(scenario, LEASE_MS - 600);
	scenario_hold(scenario, "D", "B", true);
	write = scenario_write_half(scenario, "A", 7, 'a');
	scenario_run(scenario, 200);
	ck_assert_uint_eq(scenario_count(scenario, "D -> B  FLUSH volume"), 1);
	ck_assert_uint_eq(scenario_count(scenario, "D -> B  ERR_REPLY"), 1);
	scenario_hold(scenario, "D", "B", false);
	scenario_run(scenario, 200);
	ck_assert_uint_eq(scenario_count(scenario, "A -> P  ERR_REPLY volume=1 block=7"), 1);
	request_expect_ok(write);
	read = scenario_read(scenario, "D", 7);
	scenario_run(scenario, 200);
	request_expect_halves(read, 'a', 'd');
	scenario_destroy(scenario);
}
END_TEST

// F4: C and D, which was below E and C, claim the block through Q when their leases are over. Q passes one claim on at a time, that of C
// first; it is granted when P is evicted. The newest version wins all the same: D's. (seed 10266)
START_TEST(newest_claim_behind_another)
{
	struct scenario *scenario = steps_create();

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "Q", "A", true);
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "C", "P", true);
	steps_child(scenario, "E", "C", true);
	steps_child(scenario, "D", "E", true);
	steps_child(scenario, "B", "A", true);
	steps_write(scenario, "C", 'c');
	steps_write(scenario, "D", 'd');
	scenario_kill(scenario, "P");
	scenario_kill(scenario, "E");
	steps_leave(scenario, "D", "Q", LEASE_MS + 500);
	steps_leave(scenario, "C", "Q", LEASE_MS + 200);
	steps_read_at_last(scenario, "B", 'd');
	steps_sync(scenario, "D", ERR_OK);
	steps_sync(scenario, "C", ERR_LOST); // what it wrote before, under P's name
	steps_read_at_last(scenario, "C", 'd');
	scenario_destroy(scenario);
}
END_TEST

// P has the block for writing until it gives it back, though not to use any more: B wants it, and Q, which has it, has died.
// C's claim is P's to decide. The root, which waits for P's answer, would have it wait until Q is evicted, and the lease over.
START_TEST(claim_where_the_block_lease_is_over)
{
	struct scenario *scenario = steps_create();
	struct request *read;

	scenario->world->moving = true;
	scenario->config.ttl_ms = 1000;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "Q", "P", true);
	steps_child(scenario, "C", "Q", true);
	steps_child(scenario, "B", "A", true);
	steps_write(scenario, "C", 'c');
	scenario_run(scenario, 1500);
	scenario_forget(scenario);
	scenario_kill(scenario, "Q");
	read = scenario_read(scenario, "B", 7);
	scenario_run(scenario, 1000);
	ck_assert_uint_eq(scenario_count(scenario, "C -> P  RECOVER RECOVERY_OP"), 2);
	request_expect_letter(read, 'c');
	ck_assert_uint_eq(scenario_count(scenario, "P -> A  RECOVER"), 0);
	scenario_destroy(scenario);
}
END_TEST

// The same, and the recall for A's read reaches P with the grant: B has the block for reading then, and would go on reading the
// old bytes when the root has taken P's PUT.
START_TEST(claimant_reads_on_while_a_put_with_bytes_is_under_way)
{
	struct scenario *scenario = steps_tree();
	struct request *a, *p;

	steps_write(scenario, "B", 'b');
	steps_leave(scenario, "B", "P", 10);
	a = scenario_read(scenario, "A", 7);
	p = scenario_write_sync(scenario, "P", 7, 'p');
	scenario_run(scenario, 95); // B answers the recall
	scenario_hold(scenario, "P", "B", true);
	scenario_run(scenario, 100);
	request_expect_waiting(p);
	scenario_hold(scenario, "P", "B", false);
	scenario_run(scenario, STEPS_EVICTED_MS);
	request_expect_ok(a);
	request_expect_ok(p);
	ck_assert_uint_gt(scenario_count(scenario, "P -> A  PUT"), 0);
	steps_read(scenario, "B", 'p');
	steps_work_again(scenario, "B");
	scenario_destroy(scenario);
}
END_TEST

// F4: P has 'c', which E below it has written over, and claims that; its parent, which was started anew, has older bytes. E, who was
// asked to let C read, brings its own: newer than what P claimed and has, so P takes them. If they went past P, which has the
// block for writing, 'c' would follow, and be read. (seed 512530)
START_TEST(bytes_newer_than_those_that_were_claimed)
{
	struct scenario *scenario = steps_create();

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "M", "A", true);
	steps_child(scenario, "P", "M", true);
	steps_child(scenario, "C", "P", true);
	steps_child(scenario, "E", "P", true);
	steps_child(scenario, "B", "P", true);
	steps_write(scenario, "C", 'c');
	steps_write(scenario, "E", 'e');
	scenario_hold(scenario, "E", "P", true);
	scenario_read(scenario, "C", 7);
	scenario_run(scenario, 100);
	scenario_kill(scenario, "C");
	scenario_kill(scenario, "M");
	scenario_restart(scenario, "M");
	scenario_run(scenario, 300);
	scenario_hold(scenario, "E", "P", false);
	scenario_run(scenario, 500);
	steps_sync(scenario, "E", ERR_OK);
	steps_read(scenario, "E", 'e');
	steps_read(scenario, "B", 'e');
	steps_work_again(scenario, "B");
	scenario_destroy(scenario);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("claims");
	TCase *tcase = tcase_create("claims");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, claim_is_granted_while_a_put_with_bytes_is_under_way);
	tcase_add_test(tcase, claim_is_granted_before_a_put_with_bytes);
	tcase_add_test(tcase, claims_come_before_requests);
	tcase_add_test(tcase, claim_is_passed_on_before_requests);
	tcase_add_test(tcase, bytes_that_are_brought_use_no_credits);
	tcase_add_test(tcase, bytes_that_are_brought_find_no_room);
	tcase_add_loop_test(tcase, more_late_claims_than_credits, 0, 2);
	tcase_add_test(tcase, old_bytes_take_nothing_from_who_is_away);
	tcase_add_test(tcase, old_session_of_who_began_anew);
	tcase_add_test(tcase, old_session_of_who_dies_before_it_claims);
	tcase_add_test(tcase, proxy_keeps_bytes_older_than_a_claim);
	tcase_add_test(tcase, claim_at_the_parent_of_the_child_that_was_left);
	tcase_add_test(tcase, claim_of_who_has_left_again);
	tcase_add_test(tcase, claim_granted_to_who_has_left_again);
	tcase_add_test(tcase, late_behind_a_claim_of_who_has_left);
	tcase_add_test(tcase, claim_of_an_older_link);
	tcase_add_test(tcase, claim_that_is_late_on_its_way);
	tcase_add_loop_test(tcase, claim_granted_after_its_session, 0, CASES);
	tcase_add_loop_test(tcase, claim_granted_on_a_link_that_breaks, 0, CASES);
	tcase_add_test(tcase, claim_granted_while_its_session_is_evicted);
	tcase_add_test(tcase, revoked_across_a_broken_link);
	tcase_add_test(tcase, claim_while_the_block_is_given_back);
	tcase_add_test(tcase, claim_made_again_while_its_question_is_open);
	tcase_add_test(tcase, newest_claim_behind_another);
	tcase_add_test(tcase, claim_where_the_block_lease_is_over);
	tcase_add_test(tcase, claimant_reads_on_while_a_put_with_bytes_is_under_way);
	tcase_add_test(tcase, bytes_newer_than_those_that_were_claimed);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
