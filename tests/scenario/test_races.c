// SPDX-License-Identifier: MIT
// Races that broke other systems (protocol.md, section 6): messages that cross, on the nodes of Fig. 7. Each test names
// the rules it is about; where messages must cross, some are held back. core_check runs after each step, the oracle
// looks at the whole tree: a test fails where a rule is broken, also when the bytes come out right by luck.
#include "tests/scenario/scenario.h"

#include <check.h>
#include <stdlib.h>

static struct scenario *fig7;

static void
setup(void)
{
	fig7 = scenario_fig7(10);
}

static void
teardown(void)
{
	scenario_destroy(fig7);
}

// Everybody named reads block 7 and finds ${letter}.
static void
all_read(const char *names, char letter)
{
	for (; *names != '\0'; names++) {
		struct request *read = scenario_read(fig7, (const char[]){*names, '\0'}, 7);

		scenario_run(fig7, 500);
		request_expect_letter(read, letter);
	}
	scenario_forget(fig7);
}

static void
all_read_halves(const char *names, char first, char second)
{
	for (; *names != '\0'; names++) {
		struct request *read = scenario_read(fig7, (const char[]){*names, '\0'}, 7);

		scenario_run(fig7, 500);
		request_expect_halves(read, first, second);
	}
}

// ---- Upgrades ----

// R5, R18, H13: C's LOCK is under way while A recalls C's copy for B. C obeys at once; when its turn comes it gets
// WRITE with the data that B wrote, which its partial write needs.
START_TEST(upgrade_crosses_recall)
{
	struct request *b, *c;

	all_read("BC", '.');
	scenario_hold(fig7, "C", "A", true);
	c = scenario_write_half(fig7, "C", 7, 'c');
	scenario_run(fig7, 5);
	b = scenario_write(fig7, "B", 7, 'b');
	scenario_run(fig7, 100);
	request_expect_waiting(b); // C's LOCK and its answer to the recall wait: nobody may have been granted anything
	request_expect_waiting(c);
	scenario_hold(fig7, "C", "A", false);
	scenario_run(fig7, 500);
	request_expect_ok(b);
	request_expect_ok(c);
	all_read_halves("ABCDEF", 'c', 'b');
}
END_TEST

// R3, H22: two sharers upgrade at the same moment, below one parent, and in different branches. One is served after the
// other; both come to their end.
START_TEST(two_upgrades_at_once)
{
	struct request *e, *f, *d;

	all_read("DEF", '.');
	e = scenario_write(fig7, "E", 7, 'e');
	f = scenario_write_half(fig7, "F", 7, 'f');
	scenario_run(fig7, 1000);
	request_expect_ok(e);
	request_expect_ok(f);
	all_read_halves("DEF", 'f', 'e');
	d = scenario_write(fig7, "D", 7, 'd');
	e = scenario_write_half(fig7, "E", 7, 'e');
	scenario_run(fig7, 1000);
	request_expect_ok(d);
	request_expect_ok(e);
	all_read_halves("ABCDEF", 'e', 'd');
}
END_TEST

// R5: the upgrade itself needs no data when the copy is still there: then LOCK's answer carries none.
START_TEST(upgrade_without_data)
{
	struct request *e;

	all_read("E", '.');
	e = scenario_write_half(fig7, "E", 7, 'e');
	scenario_run(fig7, 500);
	request_expect_ok(e);
	ck_assert_uint_eq(scenario_count(fig7, "E -> C  LOCK"), 1);
	ck_assert_uint_eq(scenario_count(fig7, " data"), 0);
	all_read_halves("ABCDEF", 'e', '.');
}
END_TEST

// ---- Recalls ----

// R6, H17: D's FLUSH is under way when the recall for C's read comes down. The write is neither lost nor counted twice.
START_TEST(flush_crosses_recall)
{
	struct request *d, *sync, *c;

	d = scenario_write(fig7, "D", 7, 'd');
	scenario_run(fig7, 500);
	request_expect_ok(d);
	scenario_hold(fig7, "D", "B", true);
	sync = scenario_sync(fig7, "D");
	scenario_run(fig7, 5);
	c = scenario_read(fig7, "C", 7);
	scenario_run(fig7, 500);
	request_expect_waiting(c);
	scenario_hold(fig7, "D", "B", false);
	scenario_run(fig7, 500);
	request_expect_letter(c, 'd');
	request_expect_ok(sync);
	ck_assert_int_eq(scenario_stored(fig7, 7), 'd');
	all_read("ABCDEF", 'd');
}
END_TEST

// R6, R12, R14: a neighbour recalls the dirty block while the writer waits in fsync: fsync returns when the block is on
// the root's disk, whoever brought it there.
START_TEST(fsync_while_dirty_block_is_recalled)
{
	struct request *d, *sync, *e;

	fig7->disk->sync_us = 50000;
	d = scenario_write(fig7, "D", 7, 'd');
	scenario_run(fig7, 500);
	e = scenario_write_half(fig7, "E", 7, 'e');
	scenario_run(fig7, 25);
	sync = scenario_sync(fig7, "D");
	for (int i = 0; i < 1000 && !sync->ended; i++)
		scenario_run(fig7, 1);
	request_expect_ok(d);
	request_expect_ok(sync);
	// E's half may have overtaken; D's half must be there.
	ck_assert_int_eq(fig7->disk->durable[7 * SCENARIO_BLOCK_SIZE + SCENARIO_BLOCK_SIZE - 1], 'd');
	scenario_run(fig7, 1000);
	request_expect_ok(e);
	all_read_halves("ABCDEF", 'e', 'd');
}
END_TEST

// R1, R4, R9, H14: the grant for B's write and the recall for C's are both in the pipe. B writes once, then gives up.
START_TEST(recall_right_behind_grant)
{
	struct request *b, *c;

	scenario_hold(fig7, "A", "B", true);
	b = scenario_write(fig7, "B", 7, 'b');
	scenario_run(fig7, 50);
	c = scenario_write_half(fig7, "C", 7, 'c');
	scenario_run(fig7, 50);
	request_expect_waiting(b);
	request_expect_waiting(c);
	scenario_hold(fig7, "A", "B", false);
	scenario_run(fig7, 500);
	request_expect_ok(b);
	request_expect_ok(c);
	all_read_halves("ABCDEF", 'c', 'b');
}
END_TEST

// R4: the recall comes while the same block is being fetched for reading: the answer to the recall does not wait for a
// request from below, and the fetch still comes to its end.
START_TEST(recall_while_fetching)
{
	struct request *e, *b;

	all_read("F", '.'); // C holds READ
	scenario_hold(fig7, "C", "E", true);
	e = scenario_read(fig7, "E", 7);
	scenario_run(fig7, 50);
	b = scenario_write(fig7, "B", 7, 'b');
	scenario_run(fig7, 100);
	scenario_hold(fig7, "C", "E", false);
	scenario_run(fig7, 500);
	request_expect_ok(b);
	request_expect_letter(e, '.'); // granted before the write began
	all_read("ABCDEF", 'b');
}
END_TEST

// R4, R18, H20: C waits for its own parent (F wants to write) when A recalls the block for B. C must obey at once: both
// would wait for each other otherwise.
START_TEST(recall_reaches_a_node_that_waits_for_its_parent)
{
	struct request *f, *b;

	all_read("EF", '.');
	scenario_hold(fig7, "A", "C", true);
	b = scenario_write(fig7, "B", 7, 'b');
	scenario_run(fig7, 50);
	f = scenario_write_half(fig7, "F", 7, 'f'); // C's LOCK crosses the recall that is held
	scenario_run(fig7, 100);
	request_expect_waiting(b);
	request_expect_waiting(f);
	scenario_hold(fig7, "A", "C", false);
	scenario_run(fig7, 1000);
	request_expect_ok(b);
	request_expect_ok(f);
	all_read_halves("ABCDEF", 'f', 'b');
}
END_TEST

// R18: as long as C's answer to the recall is out, C gets no new grant of the block, and nobody else a conflicting one.
START_TEST(no_grant_over_an_open_recall)
{
	struct request *b, *e;

	all_read("E", '.');
	scenario_hold(fig7, "E", "C", true);
	b = scenario_write(fig7, "B", 7, 'b');
	scenario_run(fig7, 100);
	scenario_forget(fig7);
	e = scenario_read(fig7, "F", 7);
	scenario_run(fig7, 100);
	request_expect_waiting(b);
	request_expect_waiting(e);
	ck_assert_uint_eq(scenario_count(fig7, "A -> C  OK_REPLY"), 0);
	scenario_hold(fig7, "E", "C", false);
	scenario_run(fig7, 500);
	request_expect_ok(b);
	request_expect_letter(e, 'b');
	all_read("ABCDEF", 'b');
}
END_TEST

// R18: the reason for the recall is gone (A's own write was interrupted), C's answer to it is still out, and C's LOCK comes
// in. Granted now, it would be taken away again by the late answer, and C would not know.
START_TEST(no_grant_over_a_recall_whose_reason_is_gone)
{
	struct request *a, *c, *b;

	all_read("C", '.');
	scenario_hold(fig7, "C", "A", true);
	c = scenario_write_half(fig7, "C", 7, 'c');
	scenario_run(fig7, 5);
	a = scenario_write(fig7, "A", 7, 'a');
	scenario_run(fig7, 50);
	world_cancel(&a->io);
	request_expect_error(a, ERR_CANCELLED);
	ck_assert_uint_ge(scenario_deliver(fig7, "C", "A", 1), 1); // the LOCK, not the answer behind it
	scenario_run(fig7, 50);
	request_expect_waiting(c);
	scenario_hold(fig7, "C", "A", false);
	scenario_run(fig7, 500);
	request_expect_ok(c);
	b = scenario_write(fig7, "B", 7, 'b');
	scenario_run(fig7, 500);
	request_expect_ok(b);
	all_read("ABCDEF", 'b');
}
END_TEST

// ---- Progress ----

// R9: three writers, one block, many turns: each grant is used before it is lost, and nobody starves.
START_TEST(writers_take_turns)
{
	static const char *const names[] = {"D", "E", "F"};
	struct request *writes[3] = {NULL};
	unsigned ended[3] = {0};

	for (int ms = 0; ms < 4000; ms += 5) {
		for (int i = 0; i < 3; i++) {
			if (writes[i] != NULL && !writes[i]->ended)
				continue;
			ended[i] += writes[i] != NULL;
			if (ended[i] < 15)
				writes[i] = scenario_write_half(fig7, names[i], 7, 'd');
		}
		scenario_run(fig7, 5);
	}
	for (int i = 0; i < 3; i++)
		ck_assert_msg(ended[i] >= 15, "%s wrote only %u times", names[i], ended[i]);
}
END_TEST

// R10: requests for the same blocks in overlapping runs never wait for each other in a circle.
START_TEST(runs_that_overlap)
{
	struct request *d = scenario_write_run(fig7, "D", 4, 4, 'd'), *e = scenario_write_run(fig7, "E", 5, 4, 'e');
	struct request *f = scenario_write_run(fig7, "F", 3, 4, 'f'), *read = scenario_read_run(fig7, "B", 4, 4);

	scenario_run(fig7, 3000);
	request_expect_ok(d);
	request_expect_ok(e);
	request_expect_ok(f);
	request_expect_ok(read);
}
END_TEST

// R14: barriers that wait together share one flush of the store.
START_TEST(barriers_share_a_store_sync)
{
	struct request *syncs[5];
	static const char *const names[] = {"B", "C", "D", "E", "F"};

	for (int i = 0; i < 5; i++)
		scenario_write(fig7, names[i], (uint64_t)i, 'w');
	scenario_run(fig7, 1000);
	scenario_forget(fig7);
	fig7->show_store = true;
	fig7->disk->sync_us = 100000;
	for (int i = 0; i < 5; i++)
		syncs[i] = scenario_sync(fig7, names[i]);
	scenario_run(fig7, 5000);
	for (int i = 0; i < 5; i++) {
		request_expect_ok(syncs[i]);
		ck_assert_int_eq(scenario_stored(fig7, (uint64_t)i), 'w');
	}
	ck_assert_uint_ge(scenario_count(fig7, "A store sync"), 1);
	ck_assert_uint_le(scenario_count(fig7, "A store sync"), 4);
}
END_TEST

// R6, R12: C read what D wrote; D's bytes are not forgotten on the way: a sync at D makes them durable, and D's word is
// good when B, in the middle, has them only in its cache.
START_TEST(downgrade_keeps_dirty_data)
{
	struct request *d = scenario_write(fig7, "D", 7, 'd'), *c, *sync;

	scenario_run(fig7, 500);
	c = scenario_read(fig7, "C", 7);
	scenario_run(fig7, 500);
	request_expect_ok(d);
	request_expect_letter(c, 'd');
	sync = scenario_sync(fig7, "D");
	scenario_run(fig7, 500);
	request_expect_ok(sync);
	ck_assert_int_eq(scenario_stored(fig7, 7), 'd');
}
END_TEST

// ---- Stopping ----

// A node that stops brings everything up first; its parent holds nothing for it afterwards.
START_TEST(stop_loses_nothing)
{
	struct request *d = scenario_write(fig7, "D", 7, 'd'), *e;

	scenario_run(fig7, 500);
	request_expect_ok(d);
	world_stop(scenario_node(fig7, "D"));
	scenario_run(fig7, 500);
	ck_assert(scenario_node(fig7, "D")->stopped);
	e = scenario_write_half(fig7, "E", 7, 'e');
	scenario_run(fig7, 500);
	request_expect_ok(e);
	all_read_halves("ABCEF", 'e', 'd');
}
END_TEST

// C leaves while a write of its own waits for a block of B's: its barrier is answered, and it says that it leaves. The block comes
// behind the answer to the barrier, in the same moment or later: the write does not end well, for nobody would bring it up
// any more (T4). (seed 522550)
START_TEST(write_that_waits_when_the_node_leaves)
{
	struct request *b = scenario_write(fig7, "B", 7, 'b'), *c;

	scenario_run(fig7, 500);
	request_expect_ok(b);
	scenario_hold(fig7, "B", "A", true);
	c = scenario_write_sync(fig7, "C", 7, 'c');
	scenario_run(fig7, 100);
	request_expect_waiting(c);
	scenario_forget(fig7);
	scenario_hold(fig7, "A", "C", true);
	world_stop(scenario_node(fig7, "C"));
	scenario_run(fig7, 100);
	scenario_hold(fig7, "B", "A", false);
	scenario_run(fig7, 100);
	ck_assert_uint_eq(scenario_count(fig7, "A -> C  OK_REPLY volume=1 block=7 perm=WRITE"), 1);
	if (_i == 1) {
		while (scenario_count(fig7, "C -> A  DISCONNECT") == 0)
			ck_assert_uint_eq(scenario_deliver(fig7, "A", "C", 1), 1);
		scenario_run(fig7, 5);
	}
	scenario_hold(fig7, "A", "C", false);
	scenario_run(fig7, 500);
	ck_assert(scenario_node(fig7, "C")->stopped);
	request_expect_error(c, ERR_IO);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("races");
	TCase *tcase = tcase_create("races");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, upgrade_crosses_recall);
	tcase_add_test(tcase, two_upgrades_at_once);
	tcase_add_test(tcase, upgrade_without_data);
	tcase_add_test(tcase, flush_crosses_recall);
	tcase_add_test(tcase, fsync_while_dirty_block_is_recalled);
	tcase_add_test(tcase, recall_right_behind_grant);
	tcase_add_test(tcase, recall_while_fetching);
	tcase_add_test(tcase, recall_reaches_a_node_that_waits_for_its_parent);
	tcase_add_test(tcase, no_grant_over_an_open_recall);
	tcase_add_test(tcase, no_grant_over_a_recall_whose_reason_is_gone);
	tcase_add_test(tcase, writers_take_turns);
	tcase_add_test(tcase, runs_that_overlap);
	tcase_add_test(tcase, barriers_share_a_store_sync);
	tcase_add_test(tcase, downgrade_keeps_dirty_data);
	tcase_add_test(tcase, stop_loses_nothing);
	tcase_add_loop_test(tcase, write_that_waits_when_the_node_leaves, 0, 2);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
