// SPDX-License-Identifier: MIT
// The rest of the races that broke other systems. Which race is told where:
//
//   upgrade crosses recall                           races       upgrade_crosses_recall, upgrade_without_data
//   FLUSH crosses recall                             races       flush_crosses_recall
//   recall while the block is being fetched          races       recall_while_fetching
//   recall for a block whose reply is in the queue   races       recall_right_behind_grant
//   two upgrades at once                             races       two_upgrades_at_once
//   recall at a node that waits for its parent       races       recall_reaches_a_node_that_waits_for_its_parent
//   fsync while a dirty block is recalled            races       fsync_while_dirty_block_is_recalled
//   PUSH crosses release, request, recall, link      push        (see there)
//   lease ends between check and acknowledgement     leases      lease_ends_between_check_and_acknowledgement
//   process stopped across its lease                 leases      stopped_process_across_its_lease
//   host suspended                                   hazards     suspended_host, suspended_proxy
//   heartbeat starved by bulk data                   hazards     heartbeats_beside_bulk_data
//   link cut with answers in flight                  leases      link_cut_with_answers_in_flight
//   child reconnects before the parent noticed       leases      child_reconnects_before_the_parent_noticed
//   credit exhaustion while recalls are due          leases      credits_are_used_up_while_recalls_are_due
//                                                    hazards     credits_of_a_proxy_are_used_up
//   barrier meets a reconnect                        leases      barrier_meets_a_reconnect
//                                                    hazards     barrier_meets_a_reconnect_above
//   reply to a transaction id of the link before     hazards     barrier_of_the_link_before, request_of_the_link_before
//   fsync fails, is tried again                      hazards     fsync_is_tried_again, fsync_after_a_sync_that_failed
//   eviction of dirty, uncommitted, pinned, frozen   hazards     cache_keeps_*
//   parent restarts faster than its lease            recovery    parent_restarts_faster_than_its_lease
//   parent and grandparent fail together             recovery    parent_and_grandparent_fail_together
//   asymmetric partition                             recovery    asymmetric_partition
//   evicted writer returns                           recovery    evicted_writer_returns
//                                                    restart     evictions_outlive_the_root
//   two claims for one block                         recovery    newer_claim_wins, claimed_on_two_sides
//   claim of who has gone on, or back                claims      claim_of_who_has_left_again, claim_of_an_older_link,
//                                                                claim_that_is_late_on_its_way
//   claim's answer crosses the claimant's leaving    claims      claim_granted_after_its_session,
//                                                                claim_granted_on_a_link_that_breaks
//   claimant is not known to the child he has left   claims      claim_at_the_parent_of_the_child_that_was_left
//   old bytes meet who is away                       claims      old_bytes_take_nothing_from_who_is_away
//   old bytes below a newer claim                    claims      proxy_keeps_bytes_older_than_a_claim
//   two claims where one is passed on                claims      newest_claim_behind_another
//   claim made again before the question is answered claims      claim_made_again_while_its_question_is_open
//   bytes, or a claim, go past who has the block     moves       bytes_that_move_past_*, bytes_that_move_while_they_are_read,
//                                                                claim_of_a_block_that_is_recalled
//   child begins anew, its old session stays         claims      old_session_of_who_began_anew
//   credit exhaustion while claims are due           recovery    claims_beyond_the_credits
//                                                    claims      claims_come_before_requests,
//                                                                claim_is_passed_on_before_requests,
//                                                                bytes_that_are_brought_use_no_credits
//   synchronous write meets a broken link            recovery    synchronous_write_over_a_broken_link
//   root restarts with writers below                 restart     root_restarts_with_writers_below
//   old bytes meet claims after a restart            restart     claimant_is_asked_*, older_bytes_*,
//                                                                bytes_of_the_version_that_is_claimed,
//                                                                what_came_in_the_grace_time,
//                                                                claim_older_than_what_was_brought
//   old root writes after takeover                   (not yet: F7)
#include "tests/scenario/steps.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEASE_MS = STEPS_HB_TTL_MS };

// ---- A host is suspended ----

// The host sleeps for ${ms}: its processes stand still, its connections are gone when it wakes up, and the lease clock has
// gone on (T1).
static void
suspend(struct scenario *scenario, const char *name, uint64_t ms)
{
	struct node *node = scenario_node(scenario, name);

	world_pause(node, scenario->world->now + ms * 1000);
	world_cut(node, ms * 1000 + 5000, LEASE_MS * 200, 20000);
}

// T1, T4, F2, H4: B sleeps with a copy that C writes over, and with dirty bytes that nobody wants. A read that was under
// way when it wakes up comes before any timer: it must not see the old copy. The dirty bytes are still B's.
START_TEST(suspended_host)
{
	struct scenario *scenario = steps_create();
	struct request *c, *b, *sync;

	scenario->world->moving = true;
	steps_root(scenario, "A");
	steps_keep_dirty(scenario, true);
	steps_child(scenario, "B", "A", true);
	steps_child(scenario, "C", "A", true);
	steps_read_block(scenario, "B", 7, '.');
	steps_write_block(scenario, "B", 8, 'b');
	suspend(scenario, "B", 10 * LEASE_MS);
	b = scenario_read(scenario, "B", 7); // what its kernel has in the queue
	c = scenario_write(scenario, "C", 7, 'c');
	scenario_run(scenario, 4 * LEASE_MS);
	request_expect_ok(c);
	request_expect_waiting(b);
	scenario_run(scenario, 10 * LEASE_MS);
	request_expect_letter(b, 'c');
	steps_read_block(scenario, "B", 8, 'b');
	sync = scenario_sync(scenario, "B");
	scenario_run(scenario, 2 * LEASE_MS);
	request_expect_ok(sync);
	ck_assert_int_eq(scenario_stored(scenario, 8), 'b');
	scenario_destroy(scenario);
}
END_TEST

// T3: a proxy sleeps, its children are awake: their leases end before its own, and nobody below reads what B writes over.
START_TEST(suspended_proxy)
{
	struct scenario *scenario = steps_create();
	struct request *b, *c;

	scenario->world->moving = false; // C knows no other way up
	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "C", "P", true);
	steps_child(scenario, "B", "A", true);
	steps_read_block(scenario, "C", 7, '.');
	suspend(scenario, "P", 10 * LEASE_MS);
	b = scenario_write(scenario, "B", 7, 'b');
	for (unsigned i = 0; i < 40 && !b->ended; i++) {
		c = scenario_read(scenario, "C", 7); // the oracle watches
		scenario_run(scenario, LEASE_MS / 10);
		if (c->ended)
			request_expect_letter(c, '.');
	}
	request_expect_ok(b);
	c = scenario_read(scenario, "C", 7);
	scenario_run(scenario, LEASE_MS);
	request_expect_waiting(c);
	scenario_run(scenario, 14 * LEASE_MS);
	request_expect_letter(c, 'b');
	scenario_destroy(scenario);
}
END_TEST

// ---- Heartbeats and recalls beside bulk data ----

enum {
	BULK_BLOCKS = 32768,
	BULK_AHEAD = 4096,       // 2 MiB are asked for, which take two thirds of the lease
	BULK_RATE = 1024 * 1024, // the 512 KiB that may wait each way take a sixth of it
};

static moment_us least_lease_ms;

static void
watch_lease(void *arg, struct node *node, const struct event *event)
{
	struct volume_info info;

	if (strcmp(node->name, "B") != 0 || core_volume_count(node->core) == 0)
		return;
	core_volume_info(node->core, 0, world_clock(node), &info);
	if (info.ready && (moment_us)info.parent_lease_ms < least_lease_ms)
		least_lease_ms = (moment_us)info.parent_lease_ms;
}

// A root, B behind a narrow link with much to read and write, and C.
static struct scenario *
narrow_link(void)
{
	struct scenario *scenario = scenario_create(BULK_BLOCKS);

	scenario->config.hb_ttl_ms = LEASE_MS;
	scenario->config.writeback_ms = 50;
	scenario->cache_blocks = BULK_BLOCKS;
	scenario_root(scenario, "A");
	scenario->config.readahead_blocks = BULK_AHEAD;
	scenario_child(scenario, "B", "A", 5, 5, true);
	scenario_child(scenario, "C", "A", 5, 5, true);
	scenario_node(scenario, "B")->pipe[PIPE_UP].bytes_per_s = BULK_RATE;
	scenario_node(scenario, "B")->pipe[PIPE_DOWN].bytes_per_s = BULK_RATE;
	scenario->world->check_every = 64;
	scenario->world->hooks.stepped = watch_lease; // the oracle would take too long
	scenario_connect(scenario, "B");
	scenario_connect(scenario, "C");
	scenario_run(scenario, 500);
	least_lease_ms = LEASE_MS;
	return scenario;
}

// R16, H26: the link is full of data both ways for many leases. Heartbeats and recalls do not wait behind more than
// 512 KiB of it: the lease never ends, and C, who wants what B has, waits for less than a lease.
START_TEST(heartbeats_beside_bulk_data)
{
	struct scenario *scenario = narrow_link();
	struct request *io[128] = {NULL}, *c;
	uint64_t next[2] = {0, BULK_BLOCKS / 2}; // of the reads, of the writes

	scenario_forget(scenario);
	for (unsigned ms = 0; ms < 5 * LEASE_MS; ms += 20) {
		for (unsigned i = 0; i < 128; i++) {
			uint64_t *block = &next[i % 2];

			if (io[i] != NULL && !io[i]->ended)
				continue;
			if (io[i] != NULL)
				request_expect_ok(io[i]);
			scenario->request_count = i; // its place is used again
			io[i] = i % 2 == 0 ? scenario_read_run(scenario, "B", *block, 4)
					   : scenario_write_run(scenario, "B", *block, 4, 'b');
			*block = (*block + 4) % BULK_BLOCKS;
		}
		scenario_run(scenario, 20);
		ck_assert_uint_eq(scenario_count(scenario, "B -> A  CONNECT"), 0);
		scenario_forget(scenario);
	}
	ck_assert_uint_gt(next[0], BULK_BLOCKS / 8);
	ck_assert_uint_gt(least_lease_ms, LEASE_MS / 2);
	scenario->request_count = 128;
	c = scenario_write(scenario, "C", BULK_BLOCKS / 2 + 1, 'c');
	scenario_run(scenario, LEASE_MS);
	request_expect_ok(c);
	scenario_destroy(scenario);
}
END_TEST

// ---- Credits ----

// R15: the proxy has one credit, and uses it for a child; its other child's answer to a recall, and the bytes that come
// before it, need none.
START_TEST(credits_of_a_proxy_are_used_up)
{
	struct scenario *scenario = steps_create();
	struct request *e, *b;

	scenario->config.credits = 1;
	steps_root(scenario, "A");
	steps_keep_dirty(scenario, true);
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "C", "P", true);
	steps_child(scenario, "E", "P", true);
	steps_child(scenario, "B", "A", true);
	steps_write_block(scenario, "C", 7, 'c');
	scenario->disk->latency_us = 2000000;
	e = scenario_read(scenario, "E", 1); // takes P's credit, for a long time
	scenario_run(scenario, 100);
	scenario_read(scenario, "E", 2);
	b = scenario_read(scenario, "B", 7);
	scenario_run(scenario, 100);
	request_expect_letter(b, 'c');
	request_expect_waiting(e);
	scenario_run(scenario, 10000);
	request_expect_letter(e, '.');
	scenario_destroy(scenario);
}
END_TEST

// ---- The link before ----

// R14: the link of the proxy breaks while the barrier of its child is on its way, at any moment.
START_TEST(barrier_meets_a_reconnect_above)
{
	struct scenario *scenario = steps_create();
	struct request *sync;

	steps_root(scenario, "A");
	steps_keep_dirty(scenario, true);
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "C", "P", true);
	scenario->disk->sync_us = 10000;
	for (unsigned after_ms = 0; after_ms < 80; after_ms += 3) {
		char letter = (char)('a' + after_ms % 26);

		steps_write_block(scenario, "C", 7, letter);
		sync = scenario_sync(scenario, "C");
		scenario_run(scenario, after_ms);
		world_cut(scenario_node(scenario, "P"), 1000, 1000, 20000);
		scenario_run(scenario, 1000);
		request_expect_ok(sync);
		ck_assert_int_eq(scenario_stored(scenario, 7), letter);
		scenario_forget(scenario);
	}
	scenario_destroy(scenario);
}
END_TEST

// H27: A's disk still syncs for B's barrier when the link breaks. On the new link transaction ids begin anew: the end of
// the first sync is no answer to what B asks there.
START_TEST(barrier_of_the_link_before)
{
	struct scenario *scenario = steps_create();
	struct request *sync;

	steps_root(scenario, "A");
	steps_keep_dirty(scenario, true);
	steps_child(scenario, "B", "A", true);
	steps_write(scenario, "B", '!');
	scenario->disk->sync_us = 500000;
	for (unsigned i = 0; i < 20; i++) {
		world_cut(scenario_node(scenario, "B"), 500, 500, 1000);
		scenario_run(scenario, 60); // a new link
		scenario_write(scenario, "B", 7, (char)('a' + i));
		sync = scenario_sync(scenario, "B");
		if (i % 2 == 0) { // leave it: the sync is under way
			scenario_run(scenario, 30);
			world_cancel(&sync->io);
			continue;
		}
		for (unsigned ms = 0; ms < 3000 && !sync->ended; ms++)
			scenario_run(scenario, 1);
		request_expect_ok(sync);
		ck_assert_int_eq(scenario_stored(scenario, 7), 'a' + (int)i);
		scenario_forget(scenario);
	}
	scenario_destroy(scenario);
}
END_TEST

// H23, H27: A has not answered B's requests when the link breaks, as C's recall is open. On the new link it answers what
// was asked there, once, and nothing of before.
START_TEST(request_of_the_link_before)
{
	struct scenario *scenario = steps_create();
	struct request *cancelled, *b;

	steps_root(scenario, "A");
	steps_keep_dirty(scenario, true);
	steps_child(scenario, "B", "A", true);
	steps_child(scenario, "C", "A", true);
	steps_write_block(scenario, "C", 7, 'c');
	steps_write_block(scenario, "C", 9, 'C');
	scenario_hold(scenario, "C", "A", true);
	cancelled = scenario_read(scenario, "B", 7);
	b = scenario_read(scenario, "B", 9);
	scenario_run(scenario, 50);
	world_cancel(&cancelled->io);
	world_cut(scenario_node(scenario, "B"), 1000, 1000, 5000);
	scenario_run(scenario, 200);
	scenario_forget(scenario);
	scenario_hold(scenario, "C", "A", false);
	scenario_run(scenario, 500);
	request_expect_letter(b, 'C');
	ck_assert_uint_eq(scenario_count(scenario, "A -> B  OK_REPLY volume=1 block=9"), 1);
	ck_assert_uint_eq(scenario_count(scenario, "A -> B  OK_REPLY volume=1 block=7"), 0);
	steps_read_block(scenario, "B", 7, 'c');
	scenario_destroy(scenario);
}
END_TEST

// ---- fsync ----

static struct scenario *
below_a_proxy(void)
{
	struct scenario *scenario = steps_create();

	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "C", "P", true);
	return scenario;
}

// G2, H38: the disk can not be written: fsync fails, each time, and what was written stays dirty, readable, and gets there
// when the disk is well again.
START_TEST(fsync_is_tried_again)
{
	struct scenario *scenario = below_a_proxy();

	scenario->disk->fail_writes = 100;
	steps_write(scenario, "C", 'c');
	for (unsigned i = 0; i < 3; i++) {
		steps_sync(scenario, "C", ERR_IO);
		steps_read(scenario, "C", 'c');
		steps_read(scenario, "A", 'c');
		ck_assert_int_eq(scenario_stored(scenario, 7), '.');
	}
	scenario->disk->fail_writes = 0;
	scenario_run(scenario, 500);
	steps_sync(scenario, "C", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'c');
	scenario_destroy(scenario);
}
END_TEST

// G2, H38: a sync of the disk fails, and what it covered is only in the system's memory: from then on no fsync succeeds
// until a root that is started anew has had it synced again.
START_TEST(fsync_after_a_sync_that_failed)
{
	struct scenario *scenario = below_a_proxy();

	scenario->world->moving = true;
	scenario->disk->fail_syncs = true;
	steps_write(scenario, "C", 'c');
	steps_sync(scenario, "C", ERR_IO);
	scenario->disk->fail_syncs = false;
	steps_sync(scenario, "C", ERR_IO);
	steps_write(scenario, "C", 'd');
	steps_sync(scenario, "C", ERR_IO);
	steps_read(scenario, "C", 'd');
	world_kill(scenario_node(scenario, "A"));
	scenario_restart(scenario, "A");
	scenario_run(scenario, 4 * LEASE_MS);
	steps_read(scenario, "C", 'd');
	for (unsigned i = 0; i < 2; i++) { // it may be told once more of what was lost
		struct request *sync = scenario_sync(scenario, "C");

		scenario_run(scenario, 1000);
		if (i > 0)
			request_expect_ok(sync);
	}
	ck_assert_int_eq(scenario_stored(scenario, 7), 'd');
	scenario_destroy(scenario);
}
END_TEST

// ---- What a cache may not evict ----

enum { SMALL_CACHE = 4, FLOOD = 60 };

// ${name} reads many blocks that nobody writes.
static void
flood(struct scenario *scenario, const char *name)
{
	for (uint64_t block = 20; block < 20 + FLOOD; block += 4) {
		struct request *read = scenario_read_run(scenario, name, block, 4);

		scenario_run(scenario, 200);
		request_expect_letter(read, '.');
		scenario_forget(scenario);
	}
}

// A root, a proxy P with room for four blocks, its children C and E with as much.
static struct scenario *
small_caches(void)
{
	struct scenario *scenario = scenario_create(20 + FLOOD);

	scenario->config.hb_ttl_ms = LEASE_MS;
	scenario->config.writeback_ms = 100;
	scenario->config.dirty_max = 64;
	scenario->world->moving = true;
	steps_root(scenario, "A");
	scenario->cache_blocks = SMALL_CACHE;
	scenario->config.writeback_ms = 3600 * 1000;
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "C", "P", true);
	steps_child(scenario, "E", "P", true);
	return scenario;
}

static void
write_twelve(struct scenario *scenario, const char *name)
{
	for (uint64_t block = 0; block < 12; block++)
		steps_write_block(scenario, name, block, (char)('a' + block));
}

// Everything is on the disk.
static void
expect_twelve(struct scenario *scenario, const char *name)
{
	steps_sync(scenario, name, ERR_OK);
	for (uint64_t block = 0; block < 12; block++)
		ck_assert_int_eq(scenario_stored(scenario, block), 'a' + (int)block);
}

// Dirty: three times as many as there is room for, and then a flood of others.
START_TEST(cache_keeps_what_is_dirty)
{
	struct scenario *scenario = small_caches();

	write_twelve(scenario, "C");
	flood(scenario, "C");
	for (uint64_t block = 0; block < 12; block++)
		steps_read_block(scenario, "C", block, (char)('a' + block));
	ck_assert_uint_eq(scenario_count(scenario, "C -> P  GET"), 0);
	for (uint64_t block = 0; block < 12; block++)
		steps_read_block(scenario, "E", block, (char)('a' + block)); // P has it dirty now
	flood(scenario, "E");
	expect_twelve(scenario, "C");
	scenario_destroy(scenario);
}
END_TEST

// Uncommitted (R13): P has acknowledged the bytes; C keeps them however full its cache gets, and has them when P dies.
START_TEST(cache_keeps_what_is_uncommitted)
{
	struct scenario *scenario = small_caches();

	write_twelve(scenario, "C");
	for (uint64_t block = 0; block < 12; block++)
		steps_read_block(scenario, "E", block, (char)('a' + block));
	flood(scenario, "C");
	scenario_kill(scenario, "P");
	scenario_run(scenario, 4 * LEASE_MS);
	expect_twelve(scenario, "C");
	steps_read_block(scenario, "E", 3, 'd');
	scenario_destroy(scenario);
}
END_TEST

// Pinned: a run of blocks that is being read or written is larger than the room, and others come in between.
START_TEST(cache_keeps_what_is_in_use)
{
	struct scenario *scenario = small_caches();
	struct request *io[24];

	scenario->disk->latency_us = 20000;
	for (unsigned i = 0; i < 24; i++) {
		const char *name = i % 3 == 0 ? "C" : "E";

		io[i] = i % 2 == 0 ? scenario_read_run(scenario, name, 20 + (i % 12) * 4, 4)
				   : scenario_write_run(scenario, name, (i % 3) * 4, 4, 'w');
	}
	scenario_run(scenario, 5000);
	for (unsigned i = 0; i < 24; i++) {
		request_expect_ok(io[i]);
		if (i % 2 == 0)
			request_expect_letter(io[i], '.');
	}
	steps_sync(scenario, "C", ERR_OK);
	steps_sync(scenario, "E", ERR_OK);
	for (uint64_t block = 0; block < 12; block++)
		ck_assert_int_eq(scenario_stored(scenario, block), 'w');
	scenario_destroy(scenario);
}
END_TEST

// Frozen (F1): C is away with blocks for writing, of which P has older bytes, dirty. A flood goes through P meanwhile;
// neither C's bytes nor P's are lost.
START_TEST(cache_keeps_what_is_frozen)
{
	struct scenario *scenario = small_caches();
	struct request *write[12];

	write_twelve(scenario, "E");
	for (uint64_t block = 0; block < 12; block++)
		write[block] = scenario_write_half(scenario, "C", block, 'C'); // E's bytes are at P, and C's half of them is new
	scenario_run(scenario, 500);
	for (unsigned i = 0; i < 12; i++)
		request_expect_ok(write[i]);
	world_cut(scenario_node(scenario, "C"), 1000, 1000, LEASE_MS * 500);
	scenario_run(scenario, 100);
	flood(scenario, "E");
	scenario_run(scenario, LEASE_MS);
	steps_sync(scenario, "C", ERR_OK);
	for (uint64_t block = 0; block < 12; block++) {
		struct request *read = scenario_read(scenario, "E", block);

		scenario_run(scenario, 500);
		request_expect_halves(read, 'C', (char)('a' + block));
		ck_assert_int_eq(scenario->disk->durable[block * SCENARIO_BLOCK_SIZE], 'C');
	}
	scenario_destroy(scenario);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("hazards");
	TCase *tcase = tcase_create("hazards");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, suspended_host);
	tcase_add_test(tcase, suspended_proxy);
	tcase_add_test(tcase, heartbeats_beside_bulk_data);
	tcase_add_test(tcase, credits_of_a_proxy_are_used_up);
	tcase_add_test(tcase, barrier_meets_a_reconnect_above);
	tcase_add_test(tcase, barrier_of_the_link_before);
	tcase_add_test(tcase, request_of_the_link_before);
	tcase_add_test(tcase, fsync_is_tried_again);
	tcase_add_test(tcase, fsync_after_a_sync_that_failed);
	tcase_add_test(tcase, cache_keeps_what_is_dirty);
	tcase_add_test(tcase, cache_keeps_what_is_uncommitted);
	tcase_add_test(tcase, cache_keeps_what_is_in_use);
	tcase_add_test(tcase, cache_keeps_what_is_frozen);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
