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
	tcase_add_test(tcase, what_was_written_since_is_newer);
	tcase_add_test(tcase, what_the_root_has_only_in_memory_is_kept_too);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
