// SPDX-License-Identifier: MIT
// Time, credits and connections (protocol.md T1-T5, R15, F1, F3, F8, F9): leases that end, processes that stand still,
// links that break, parents in a circle.
#include "tests/scenario/scenario.h"

#include <check.h>
#include <stdlib.h>

enum { HB_TTL_MS = 3000 };

// A root and two children, each 10 ms away, with short leases.
static struct scenario *
pair_create(uint32_t credits)
{
	struct scenario *scenario = scenario_create(16);

	scenario->config.hb_ttl_ms = HB_TTL_MS;
	scenario->config.ttl_ms = 20 * 1000;
	scenario->config.credits = credits > 0 ? credits : scenario->config.credits;
	scenario_root(scenario, "A");
	scenario_child(scenario, "B", "A", 10, 10, true);
	scenario_child(scenario, "C", "A", 10, 10, true);
	scenario_connect(scenario, "B");
	scenario_connect(scenario, "C");
	scenario_run(scenario, 1000);
	scenario_forget(scenario);
	return scenario;
}

static struct request *
read_now(struct scenario *scenario, const char *name, char letter)
{
	struct request *read = scenario_read(scenario, name, 7);

	scenario_run(scenario, 500);
	request_expect_letter(read, letter);
	return read;
}

// ---- Processes that stand still ----

// T4, H4: B is stopped across its lease, with a copy of the block. C writes meanwhile (A waits for B's lease to end).
// Awake again, B must not answer the read that waits for it from its old copy.
START_TEST(stopped_process_across_its_lease)
{
	struct scenario *scenario = pair_create(0);
	struct request *c, *b;

	read_now(scenario, "B", '.');
	world_pause(scenario_node(scenario, "B"), scenario->world->now + 20 * HB_TTL_MS * 1000);
	c = scenario_write(scenario, "C", 7, 'c');
	b = scenario_read(scenario, "B", 7);
	scenario_run(scenario, 500);
	request_expect_waiting(c); // B may read it until its lease is over
	scenario_run(scenario, 4 * HB_TTL_MS);
	request_expect_ok(c);
	scenario_run(scenario, 20 * HB_TTL_MS);
	request_expect_letter(b, 'c');
	scenario_destroy(scenario);
}
END_TEST

// T4, H3: the write was done in time, the process stood still before it could say so, the lease ended meanwhile: no
// success may be reported.
START_TEST(lease_ends_between_check_and_acknowledgement)
{
	struct scenario *scenario = pair_create(0);
	struct node *node = scenario_node(scenario, "B");
	struct request *b;

	request_expect_ok(read_now(scenario, "B", '.'));
	b = scenario_write(scenario, "B", 7, 'b');
	scenario_run(scenario, 100);
	request_expect_ok(b);
	node->answer_late_us = 2;
	b = scenario_write(scenario, "B", 7, 'B'); // a local hit: done at once, answered later
	request_expect_waiting(b);
	world_pause(node, scenario->world->now + 3 * HB_TTL_MS * 1000);
	scenario_run(scenario, 4 * HB_TTL_MS);
	request_expect_error(b, ERR_IO);
	scenario_destroy(scenario);
}
END_TEST

// T1-T3: a child that hears nothing more from its parent stops using its copies before the parent gives them away.
START_TEST(silent_link_ends_the_lease)
{
	struct scenario *scenario = pair_create(0);
	struct request *c, *b;

	read_now(scenario, "B", '.');
	scenario_hold(scenario, "A", "B", true);
	c = scenario_write(scenario, "C", 7, 'c'); // its recall does not reach B; the oracle watches
	scenario_run(scenario, 4 * HB_TTL_MS);
	request_expect_ok(c);
	b = scenario_read(scenario, "B", 7);
	scenario_run(scenario, 200);
	request_expect_waiting(b);
	scenario_hold(scenario, "A", "B", false);
	scenario_run(scenario, 4 * HB_TTL_MS);
	request_expect_letter(b, 'c');
	scenario_destroy(scenario);
}
END_TEST

// F1: what comes or goes slowly is no silence, though a message takes longer than a parent may be silent.
START_TEST(slow_link_is_not_silent)
{
	for (unsigned direction = PIPE_UP; direction <= PIPE_DOWN; direction++) {
		struct scenario *scenario = pair_create(0);
		struct request *request;

		scenario_node(scenario, "B")->pipe[direction].bytes_per_s = 1000;
		if (direction == PIPE_DOWN) {
			request = scenario_read_run(scenario, "B", 0, 4);
		} else {
			request = scenario_write_run(scenario, "B", 0, 4, 'b');
			scenario_run(scenario, 1000);
			request_expect_ok(request);
			request = scenario_sync(scenario, "B");
		}
		scenario_run(scenario, 2 * HB_TTL_MS);
		request_expect_ok(request);
		ck_assert_uint_eq(scenario_count(scenario, "CONNECT"), 0);
		scenario_destroy(scenario);
	}
}
END_TEST

// F1: nothing gets through for five of the six intervals; in the last one something is on its way again.
START_TEST(link_that_comes_back_in_time)
{
	struct scenario *scenario = pair_create(0);
	const uint64_t interval_ms = HB_TTL_MS / 24;

	scenario_node(scenario, "B")->pipe[PIPE_UP].bytes_per_s = 15; // a heartbeat takes longer than that
	world_block(scenario_node(scenario, "B"), scenario_node(scenario, "A"),
		    scenario->world->now + (6 * interval_ms - 10) * 1000);
	scenario_run(scenario, 2 * HB_TTL_MS);
	ck_assert_uint_eq(scenario_count(scenario, "B -> A  CONNECT"), 0);
	scenario_destroy(scenario);
}
END_TEST

// T3: heartbeats renew the lease: a copy stays usable without any request, much longer than one lease.
START_TEST(heartbeats_keep_the_lease)
{
	struct scenario *scenario = pair_create(0);

	read_now(scenario, "B", '.');
	scenario_run(scenario, 4 * HB_TTL_MS);
	scenario_forget(scenario);
	read_now(scenario, "B", '.');
	ck_assert_uint_eq(scenario_count(scenario, "GET"), 0);
	scenario_destroy(scenario);
}
END_TEST

// T5: a block's TTL is over: the copy is not used without asking.
START_TEST(ttl_ends)
{
	struct scenario *scenario = pair_create(0);

	read_now(scenario, "B", '.');
	scenario_run(scenario, 30 * 1000);
	scenario_forget(scenario);
	read_now(scenario, "B", '.');
	ck_assert_uint_eq(scenario_count(scenario, "B -> A  GET") + scenario_count(scenario, "B -> A  LOCK"), 1);
	scenario_destroy(scenario);
}
END_TEST

// T3: what is granted counts from the last request that was answered, at each of the nodes on the way; for who has waited for
// long that is a heartbeat. They come as often as short leases of blocks need, too: else C, eight links below the root, gets the
// block again and again with a lease that is over. (seed 730296)
START_TEST(short_block_leases_reach_depth_8)
{
	static const char *const chain[] = {"A", "N1", "N2", "N3", "N4", "N5", "N6", "N7", "C"};
	struct scenario *scenario = scenario_create(16);
	struct request *c = NULL, *slow[2] = {NULL, NULL};

	scenario->config.ttl_ms = 1000;
	scenario->config.hb_ttl_ms = 30000;
	scenario_root(scenario, "A");
	scenario_child(scenario, "D", "A", 600, 10, true);
	scenario_child(scenario, "E", "A", 600, 10, true);
	scenario_connect(scenario, "D");
	scenario_connect(scenario, "E");
	for (unsigned i = 1; i < 9; i++) {
		scenario_child(scenario, chain[i], chain[i - 1], 5, 5, i == 8);
		scenario_connect(scenario, chain[i]);
	}
	scenario_run(scenario, 1000);
	for (unsigned ms = 0; ms < 20000; ms += 50) { // D and E are slow, and always want it
		for (unsigned i = 0; i < 2; i++)
			if (slow[i] == NULL || slow[i]->ended)
				slow[i] = scenario_write(scenario, i == 0 ? "D" : "E", 7, 'd');
		scenario_run(scenario, 50);
		if (ms == 3000)
			c = scenario_write(scenario, "C", 7, 'c');
	}
	request_expect_ok(c);
	scenario_destroy(scenario);
}
END_TEST

// ---- Credits ----

// R15: B has one credit and it is in use; the recall of another block, and its answer, must go through all the same.
START_TEST(credits_are_used_up_while_recalls_are_due)
{
	struct scenario *scenario = pair_create(1);
	struct request *b[3], *c;

	b[0] = scenario_write(scenario, "B", 7, 'b');
	scenario_run(scenario, 200);
	request_expect_ok(b[0]);
	scenario->disk->latency_us = 200000;
	b[1] = scenario_read(scenario, "B", 1); // takes the credit for a long time
	b[2] = scenario_read(scenario, "B", 2);
	c = scenario_read(scenario, "C", 7);
	scenario_run(scenario, 60);
	request_expect_letter(c, 'b');
	scenario_run(scenario, 5000);
	request_expect_letter(b[1], '.');
	request_expect_letter(b[2], '.');
	scenario_destroy(scenario);
}
END_TEST

// ---- Links ----

// F3, H27: the child is back before its parent has noticed that the old link is dead. Nothing it wrote is lost.
START_TEST(child_reconnects_before_the_parent_noticed)
{
	struct scenario *scenario = pair_create(0);
	struct request *b = scenario_write(scenario, "B", 7, 'b'), *sync;

	scenario_run(scenario, 200);
	request_expect_ok(b);
	world_cut(scenario_node(scenario, "B"), 1000, 1000000, 50000);
	scenario_run(scenario, 300);
	read_now(scenario, "C", 'b');
	sync = scenario_sync(scenario, "B");
	scenario_run(scenario, 2000);
	request_expect_ok(sync);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'b');
	scenario_destroy(scenario);
}
END_TEST

// The link breaks with a request and its answer in flight: the request is asked again.
START_TEST(link_cut_with_answers_in_flight)
{
	struct scenario *scenario = pair_create(0);

	for (int after_ms = 0; after_ms < 25; after_ms++) {
		struct request *b = scenario_write_half(scenario, "B", 7, (char)('a' + after_ms)), *c;

		scenario_run(scenario, (uint64_t)after_ms);
		world_cut(scenario_node(scenario, "B"), 2000, 5000, 20000);
		scenario_run(scenario, 1000);
		request_expect_ok(b);
		c = scenario_read(scenario, "C", 7);
		scenario_run(scenario, 500);
		request_expect_halves(c, (char)('a' + after_ms), '.');
	}
	scenario_destroy(scenario);
}
END_TEST

// R14: a barrier meets the loss of its link: it starts again, and means what it says.
START_TEST(barrier_meets_a_reconnect)
{
	struct scenario *scenario = pair_create(0);
	struct request *sync;

	for (int after_ms = 0; after_ms < 40; after_ms += 3) {
		scenario_write(scenario, "B", 7, (char)('a' + after_ms % 26));
		scenario_run(scenario, 200);
		sync = scenario_sync(scenario, "B");
		scenario_run(scenario, (uint64_t)after_ms);
		world_cut(scenario_node(scenario, "B"), 1000, 1000, 20000);
		scenario_run(scenario, 1000);
		request_expect_ok(sync);
		ck_assert_int_eq(scenario_stored(scenario, 7), 'a' + after_ms % 26);
	}
	scenario_destroy(scenario);
}
END_TEST

// F8: B's parent is C and C's parent is B. Neither becomes ready; both say why.
static unsigned failed_volumes;
static enum hvfs_error failed_error;

static void
on_volume_failed(void *arg, struct node *node, uint32_t volume, enum hvfs_error error)
{
	failed_volumes++;
	failed_error = error;
}

START_TEST(parents_in_a_circle)
{
	struct scenario *scenario = scenario_create(16);
	struct volume_info info;

	scenario->world->hooks.volume_failed = on_volume_failed;
	scenario_root(scenario, "A");
	scenario_child(scenario, "B", "A", 10, 10, true);
	scenario_child(scenario, "C", "B", 10, 10, true);
	scenario_node(scenario, "B")->parent = scenario_node(scenario, "C")->index;
	scenario_connect(scenario, "B");
	scenario_connect(scenario, "C");
	scenario_run(scenario, 5000);
	ck_assert_uint_ge(failed_volumes, 1);
	ck_assert_int_eq(failed_error, ERR_LOOP);
	ck_assert_uint_ge(scenario_count(scenario, "the request came round"), 1);
	for (int i = 1; i <= 2; i++) {
		core_volume_info(scenario->world->nodes[i]->core, 0, scenario->world->now, &info);
		ck_assert(!info.ready);
	}
	scenario_destroy(scenario);
}
END_TEST

// ---- Settings while requests wait ----

// B has written, and cannot reach its parent; its fsync waits.
static struct request *
sync_waits(struct scenario *scenario)
{
	struct node *a = scenario_node(scenario, "A"), *b = scenario_node(scenario, "B");
	struct request *write = scenario_write(scenario, "B", 7, 'b'), *sync;

	scenario_run(scenario, 500);
	request_expect_ok(write);
	world_block(a, b, scenario->world->now + 1000 * HB_TTL_MS * UINT64_C(1000));
	world_block(b, a, scenario->world->now + 1000 * HB_TTL_MS * UINT64_C(1000));
	scenario_run(scenario, 2 * HB_TTL_MS);
	sync = scenario_sync(scenario, "B");
	scenario_run(scenario, 100);
	request_expect_waiting(sync);
	return sync;
}

START_TEST(durability_changes_for_what_waits)
{
	struct scenario *scenario = pair_create(0);
	struct node *b = scenario_node(scenario, "B");
	struct request *sync = sync_waits(scenario);

	core_set_durability(b->core, DURABILITY_LOCAL);
	world_step(b, &(struct event){.type = EVENT_TIMER});
	request_expect_ok(sync);
	core_set_durability(b->core, DURABILITY_ROOT);
	sync = scenario_sync(scenario, "B");
	scenario_run(scenario, 100);
	request_expect_waiting(sync); // what ended early was not synced
	world_unblock(scenario->world);
	scenario_run(scenario, 4 * HB_TTL_MS);
	request_expect_ok(sync);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'b');
	scenario_destroy(scenario);
}
END_TEST

START_TEST(on_disconnect_changes_for_what_waits)
{
	struct scenario *scenario = pair_create(0);
	struct node *b = scenario_node(scenario, "B");
	struct request *sync = sync_waits(scenario);

	core_set_disconnect(b->core, 0);
	world_step(b, &(struct event){.type = EVENT_TIMER});
	request_expect_error(sync, ERR_CUT_OFF);
	scenario_destroy(scenario);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("leases");
	TCase *tcase = tcase_create("leases");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, stopped_process_across_its_lease);
	tcase_add_test(tcase, lease_ends_between_check_and_acknowledgement);
	tcase_add_test(tcase, silent_link_ends_the_lease);
	tcase_add_test(tcase, slow_link_is_not_silent);
	tcase_add_test(tcase, link_that_comes_back_in_time);
	tcase_add_test(tcase, heartbeats_keep_the_lease);
	tcase_add_test(tcase, ttl_ends);
	tcase_add_test(tcase, short_block_leases_reach_depth_8);
	tcase_add_test(tcase, credits_are_used_up_while_recalls_are_due);
	tcase_add_test(tcase, child_reconnects_before_the_parent_noticed);
	tcase_add_test(tcase, link_cut_with_answers_in_flight);
	tcase_add_test(tcase, barrier_meets_a_reconnect);
	tcase_add_test(tcase, parents_in_a_circle);
	tcase_add_test(tcase, durability_changes_for_what_waits);
	tcase_add_test(tcase, on_disconnect_changes_for_what_waits);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
