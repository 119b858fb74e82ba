// SPDX-License-Identifier: MIT
// Journals: what a fsync has promised is back when its node is, and is as old as it was. A is the root.
#include "cache/journal.h"
#include "tests/scenario/steps.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { LEASE_MS = STEPS_HB_TTL_MS, EVICTED_MS = STEPS_EVICTED_MS };

static void
child_with_journal(struct scenario *scenario, const char *name, const char *parent)
{
	struct core_config config = scenario->config;

	scenario->config.journal = true;
	scenario->config.durability = DURABILITY_LOCAL;
	scenario_child(scenario, name, parent, 10, 10, true);
	scenario->config = config;
	world_add_journal(scenario_node(scenario, name),
			  &(struct journal_config){.seed = 1, .size = 64 * JOURNAL_PAGE, .latency_us = 1000});
	scenario_connect(scenario, name);
	scenario_run(scenario, 500);
}

// C has the journal, B none.
static struct scenario *
create(void)
{
	struct scenario *scenario = steps_create();

	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	child_with_journal(scenario, "C", "A");
	steps_child(scenario, "B", "A", true);
	scenario_forget(scenario);
	return scenario;
}

static void
again(struct scenario *scenario, const char *name)
{
	scenario_kill(scenario, name);
	scenario_restart(scenario, name);
	scenario_run(scenario, 500);
}

START_TEST(what_was_promised_is_back)
{
	struct scenario *scenario = create();

	steps_write(scenario, "C", 'c');
	steps_sync(scenario, "C", ERR_OK);
	ck_assert_uint_eq(scenario_count(scenario, "FLUSH"), 0);
	again(scenario, "C");
	steps_read(scenario, "B", 'c');
	steps_read(scenario, "C", 'c');
	steps_work_again(scenario, "B");
	scenario_destroy(scenario);
}
END_TEST

// Somebody wanted the block while C was away: C is told, and the bytes are kept.
START_TEST(who_comes_too_late_is_told)
{
	struct scenario *scenario = create();

	steps_write(scenario, "C", 'c');
	steps_sync(scenario, "C", ERR_OK);
	scenario_kill(scenario, "C");
	steps_read_at_last(scenario, "B", '.');
	scenario_restart(scenario, "C");
	scenario_run(scenario, 500);
	ck_assert_uint_eq(scenario->world->rescue_count, 1);
	steps_sync(scenario, "C", ERR_LOST);
	steps_sync(scenario, "C", ERR_OK);
	steps_read(scenario, "C", '.');
	steps_work_again(scenario, "B");
	scenario_destroy(scenario);
}
END_TEST

// C dies again before its bytes have been refused.
START_TEST(who_comes_too_late_and_dies_is_told)
{
	struct scenario *scenario = create();

	steps_write(scenario, "C", 'c');
	steps_sync(scenario, "C", ERR_OK);
	scenario_kill(scenario, "C");
	steps_read_at_last(scenario, "B", '.');
	steps_write(scenario, "B", 'b');
	scenario_restart(scenario, "C");
	scenario_forget(scenario);
	while (scenario_count(scenario, "A -> C  OK_REPLY name=volume_X") == 0)
		scenario_run(scenario, 1);
	scenario_hold(scenario, "C", "A", true);
	scenario_run(scenario, 100);
	ck_assert_uint_eq(scenario_count(scenario, "C -> A  RECOVER RECOVERY_OP volume=1 block=7 perm=NO"), 1);
	ck_assert_uint_eq(scenario_count(scenario, "status=18"), 0);
	world_crash(scenario_node(scenario, "C"), 0);
	scenario_hold(scenario, "C", "A", false);
	scenario_restart(scenario, "C");
	scenario_run(scenario, 500);
	ck_assert_uint_eq(scenario->world->rescue_count, 1);
	steps_sync(scenario, "C", ERR_LOST);
	steps_read(scenario, "C", 'b');
	steps_work_again(scenario, "B");
	scenario_destroy(scenario);
}
END_TEST

// F2, F6: C has claimed what it wrote last, and dies with it. It comes back with older bytes, of its journal, which wait for those; the session
// that claimed them waits for nobody else, and ends with its lease. (Each waited for the other. `--sealed --journal --recovery --seed 102`)
START_TEST(who_dies_with_what_it_has_claimed)
{
	struct scenario *scenario = create();

	steps_write(scenario, "C", 'c');
	steps_sync(scenario, "C", ERR_OK);
	steps_write(scenario, "B", 'b');
	steps_write(scenario, "C", 'd');
	scenario_kill(scenario, "A");
	scenario_restart(scenario, "A");
	scenario_forget(scenario);
	while (scenario_count(scenario, "block=7 perm=WRITE ttl=20s") == 0)
		scenario_run(scenario, 1);
	scenario_kill(scenario, "C");
	scenario_restart(scenario, "C");
	scenario_run(scenario, EVICTED_MS);
	steps_sync(scenario, "C", ERR_OK);
	steps_read(scenario, "B", 'b');
	steps_read(scenario, "C", 'b');
	steps_work_again(scenario, "B");
	scenario_destroy(scenario);
}
END_TEST

// What was written over after that fsync was brought up as the same version, and is older in the journal.
START_TEST(what_was_written_since_is_newer)
{
	struct scenario *scenario = create();

	steps_write(scenario, "C", 'c');
	steps_sync(scenario, "C", ERR_OK);
	request_expect_waiting(scenario_write_sync(scenario, "C", 7, 'd'));
	scenario_run(scenario, 500);
	again(scenario, "C");
	steps_read(scenario, "B", 'd');
	steps_read(scenario, "C", 'd');
	steps_work_again(scenario, "B");
	scenario_destroy(scenario);
}
END_TEST

// A synchronous write was never dirty here; but the root may still lose it.
START_TEST(what_the_root_has_only_in_memory_is_kept_too)
{
	struct scenario *scenario = create();

	request_expect_waiting(scenario_write_sync(scenario, "C", 7, 'c'));
	scenario_run(scenario, 100);
	scenario->disk->fail_syncs = true;
	steps_sync(scenario, "C", ERR_OK);
	ck_assert_uint_eq(scenario_node(scenario, "C")->journal->kept, 1);
	scenario_kill(scenario, "C");
	world_crash(scenario_node(scenario, "A"), 0);
	memset(scenario->disk->durable, '.', SCENARIO_BLOCK_SIZE * scenario->disk->block_count);
	memset(scenario->disk->image, '.', SCENARIO_BLOCK_SIZE * scenario->disk->block_count);
	scenario_restart(scenario, "A");
	scenario_restart(scenario, "C");
	scenario_run(scenario, EVICTED_MS);
	steps_read(scenario, "B", 'c');
	steps_work_again(scenario, "B");
	scenario_destroy(scenario);
}
END_TEST

// C comes back, to A, while P, which it was below, still has the block for it; A, too, was started anew (_i == 1). What P has is older,
// and must not get a version beyond that of C's bytes when P gives C up. (seed 1045)
START_TEST(who_was_above_has_older_bytes)
{
	struct scenario *scenario = steps_create();

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", false);
	child_with_journal(scenario, "C", "P");
	steps_child(scenario, "B", "A", true);
	steps_read(scenario, "C", '.');
	steps_write(scenario, "C", 'c');
	steps_sync(scenario, "C", ERR_OK);
	scenario_kill(scenario, "C");
	if (_i == 1) {
		scenario_kill(scenario, "A");
		scenario_restart(scenario, "A");
		scenario_run(scenario, 100);
	}
	scenario_restart(scenario, "C");
	steps_leave(scenario, "C", "A", 1);
	steps_read_at_last(scenario, "B", 'c');
	steps_read_at_last(scenario, "C", 'c');
	steps_sync(scenario, "C", ERR_OK);
	steps_work_again(scenario, "B");
	scenario_destroy(scenario);
}
END_TEST

// ---- a node with children ----

// The root A, its children P, which has a journal, and B; C and E below P. They look for another parent when theirs is gone.
static struct scenario *
create_proxy(void)
{
	struct scenario *scenario = steps_create();

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	scenario->config.listens = true;
	child_with_journal(scenario, "P", "A");
	scenario->config.listens = false;
	steps_child(scenario, "C", "P", true);
	steps_child(scenario, "E", "P", true);
	steps_child(scenario, "B", "A", true);
	scenario_forget(scenario);
	return scenario;
}

// P wrote, and C over it; P is back within the lease, and C comes to it again. The block is C's.
START_TEST(children_come_back_with_newer_bytes)
{
	struct scenario *scenario = create_proxy();
	struct request *read;

	steps_write(scenario, "P", 'p');
	steps_sync(scenario, "P", ERR_OK);
	steps_write(scenario, "C", 'c');
	again(scenario, "P");
	read = scenario_read(scenario, "P", 7);
	steps_write(scenario, "C", 'd');
	scenario_run(scenario, EVICTED_MS);
	request_expect_letter(read, 'd');
	steps_read(scenario, "B", 'd');
	steps_work_again(scenario, "E");
	scenario_destroy(scenario);
}
END_TEST

// Nobody can reach C or E, which may use P's block until their leases are over: until then nobody else does.
START_TEST(children_that_are_cut_off_keep_their_leases)
{
	struct scenario *scenario = create_proxy();
	struct request *write;

	steps_write(scenario, "P", 'p');
	steps_sync(scenario, "P", ERR_OK);
	if (_i == 0)
		steps_read(scenario, "C", 'p');
	else
		steps_write(scenario, "C", 'c');
	for (int i = 0; i < 2; i++) {
		steps_cut(scenario, "C", i == 0 ? "P" : "A", EVICTED_MS);
		steps_cut(scenario, "E", i == 0 ? "P" : "A", EVICTED_MS);
	}
	again(scenario, "P");
	write = scenario_write(scenario, "P", 7, 'q');
	steps_read(scenario, "C", _i == 0 ? 'p' : 'c');
	scenario_run(scenario, EVICTED_MS);
	request_expect_ok(write);
	steps_read(scenario, "B", 'q');
	steps_read_at_last(scenario, "C", 'q');
	steps_sync(scenario, "C", _i == 0 ? ERR_OK : ERR_LOST);
	steps_work_again(scenario, "E");
	scenario_destroy(scenario);
}
END_TEST

// C has gone to A, and claimed the block there, before P is back: with newer bytes, or (_i == 1) with P's own.
START_TEST(children_have_moved)
{
	struct scenario *scenario = create_proxy();

	steps_write(scenario, "P", 'p');
	steps_sync(scenario, "P", ERR_OK);
	if (_i == 0)
		steps_write(scenario, "C", 'c');
	else
		request_expect_waiting(scenario_write_half(scenario, "C", 7, 'p'));
	scenario_run(scenario, 100);
	scenario_kill(scenario, "P");
	steps_leave(scenario, "C", "A", 10);
	steps_leave(scenario, "E", "A", 10);
	scenario_run(scenario, 500);
	steps_read(scenario, "C", _i == 0 ? 'c' : 'p');
	scenario_restart(scenario, "P");
	scenario_run(scenario, 500);
	steps_read(scenario, "C", _i == 0 ? 'c' : 'p');
	steps_read(scenario, "B", _i == 0 ? 'c' : 'p');
	steps_read(scenario, "P", _i == 0 ? 'c' : 'p');
	steps_sync(scenario, "P", ERR_OK);
	steps_work_again(scenario, "E");
	scenario_destroy(scenario);
}
END_TEST

// P's children are dead: what P had promised is back, when the leases that they may have had are over.
START_TEST(children_do_not_come_back)
{
	struct scenario *scenario = create_proxy();

	steps_write(scenario, "P", 'p');
	steps_sync(scenario, "P", ERR_OK);
	steps_write(scenario, "C", 'c');
	scenario_kill(scenario, "C");
	scenario_kill(scenario, "E");
	again(scenario, "P");
	if (_i == 1)
		again(scenario, "P");
	steps_read_at_last(scenario, "B", 'p');
	steps_read(scenario, "P", 'p');
	steps_sync(scenario, "P", ERR_OK);
	steps_work_again(scenario, "B");
	scenario_destroy(scenario);
}
END_TEST

// What C had brought P, which made it durable with its own, is as old as the journal: C has written over it since.
START_TEST(bytes_of_a_child_in_the_journal)
{
	struct scenario *scenario = create_proxy();

	steps_write(scenario, "C", 'c');
	steps_read(scenario, "P", 'c');
	steps_sync(scenario, "P", ERR_OK);
	ck_assert_uint_eq(scenario_node(scenario, "P")->journal->kept, 1);
	if (_i == 1)
		steps_write(scenario, "C", 'd');
	again(scenario, "P");
	steps_read_at_last(scenario, "B", _i == 0 ? 'c' : 'd');
	steps_read(scenario, "P", _i == 0 ? 'c' : 'd');
	steps_sync(scenario, "C", ERR_OK);
	steps_work_again(scenario, "E");
	scenario_destroy(scenario);
}
END_TEST

// P comes too late: its blocks, and those that its children had of it, have been given to B.
START_TEST(proxy_that_comes_too_late_is_told)
{
	struct scenario *scenario = create_proxy();

	steps_write(scenario, "P", 'p');
	steps_sync(scenario, "P", ERR_OK);
	scenario_kill(scenario, "P");
	steps_read_at_last(scenario, "B", '.');
	steps_write(scenario, "B", 'b');
	scenario_restart(scenario, "P");
	scenario_run(scenario, 500);
	ck_assert_uint_eq(scenario->world->rescue_count, 1);
	steps_sync(scenario, "P", ERR_LOST);
	steps_sync(scenario, "P", ERR_OK);
	steps_read(scenario, "P", 'b');
	steps_work_again(scenario, "E");
	scenario_destroy(scenario);
}
END_TEST

// P is back, and dies again before A has what it brings. The journal knows it by its new name then, under which A has nothing of that;
// what was done about the old one still counts: B was given the block.
START_TEST(proxy_that_dies_twice_is_told)
{
	struct scenario *scenario = create_proxy();

	steps_write(scenario, "P", 'p');
	steps_sync(scenario, "P", ERR_OK);
	scenario_kill(scenario, "C");
	scenario_kill(scenario, "E");
	scenario_kill(scenario, "P");
	scenario_restart(scenario, "P");
	scenario_forget(scenario);
	while (scenario_count(scenario, "A -> P  OK_REPLY name=volume_X") == 0)
		scenario_run(scenario, 1);
	scenario_hold(scenario, "P", "A", true);
	scenario_run(scenario, 100);
	ck_assert_uint_eq(scenario_count(scenario, "P -> A  RECOVER RECOVERY_OP volume=1 block=7 perm=NO"), 1);
	ck_assert_uint_eq(scenario_count(scenario, "A -> P  OK_REPLY volume=1 block=7"), 0);
	world_crash(scenario_node(scenario, "P"), 0);
	scenario_hold(scenario, "P", "A", false);
	steps_read_at_last(scenario, "B", '.');
	steps_write(scenario, "B", 'b');
	scenario_restart(scenario, "P");
	scenario_run(scenario, 500);
	ck_assert_uint_eq(scenario->world->rescue_count, 1);
	steps_sync(scenario, "P", ERR_LOST);
	steps_read(scenario, "P", 'b');
	steps_work_again(scenario, "B");
	scenario_destroy(scenario);
}
END_TEST

// F6: A is started anew, and again before P's bytes are answered, which are from before both: that is what the journal has to say
// if P dies.
START_TEST(bytes_stay_as_old_as_they_are)
{
	struct scenario *scenario = create_proxy();
	struct author before, after;

	steps_write(scenario, "P", 'p');
	steps_sync(scenario, "P", ERR_OK);
	core_author(scenario_node(scenario, "P")->core, 0, &before);
	scenario_kill(scenario, "P");
	for (int i = 0; i < 2; i++) {
		scenario_kill(scenario, "A");
		scenario_restart(scenario, "A");
		if (i == 0)
			scenario_restart(scenario, "P");
		scenario_forget(scenario);
		scenario_run(scenario, LEASE_MS / 3);
		ck_assert_uint_eq(scenario_count(scenario, " block=7 perm=NO data"), 1);
		ck_assert_uint_eq(scenario_count(scenario, "A -> P  OK_REPLY volume="), 0);
		core_author(scenario_node(scenario, "P")->core, 0, &after);
		ck_assert_uint_eq(after.epoch, before.epoch);
	}
	scenario_run(scenario, EVICTED_MS);
	core_author(scenario_node(scenario, "P")->core, 0, &after);
	ck_assert_uint_eq(after.epoch, before.epoch + 2);
	steps_read_at_last(scenario, "B", 'p');
	steps_work_again(scenario, "E");
	scenario_destroy(scenario);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("journal");
	TCase *tcase = tcase_create("journal");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, what_was_promised_is_back);
	tcase_add_test(tcase, who_comes_too_late_is_told);
	tcase_add_test(tcase, who_comes_too_late_and_dies_is_told);
	tcase_add_test(tcase, who_dies_with_what_it_has_claimed);
	tcase_add_test(tcase, what_was_written_since_is_newer);
	tcase_add_test(tcase, what_the_root_has_only_in_memory_is_kept_too);
	tcase_add_loop_test(tcase, who_was_above_has_older_bytes, 0, 2);
	tcase_add_test(tcase, children_come_back_with_newer_bytes);
	tcase_add_loop_test(tcase, children_that_are_cut_off_keep_their_leases, 0, 2);
	tcase_add_loop_test(tcase, children_have_moved, 0, 2);
	tcase_add_loop_test(tcase, children_do_not_come_back, 0, 2);
	tcase_add_loop_test(tcase, bytes_of_a_child_in_the_journal, 0, 2);
	tcase_add_test(tcase, proxy_that_comes_too_late_is_told);
	tcase_add_test(tcase, proxy_that_dies_twice_is_told);
	tcase_add_test(tcase, bytes_stay_as_old_as_they_are);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
