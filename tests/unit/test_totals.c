// SPDX-License-Identifier: MIT
// How runs of the simulator are counted: tree hours for the whole tree, host hours for each node that had a process.
#include "tests/sim/run.h"
#include "tests/sim/totals.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define HOUR_US UINT64_C(3600000000)

const char *
chaos_name(enum chaos_kind kind)
{
	return "a fault";
}

// A root that always runs, and a node that is dead for an hour.
static struct world *
world_make(void)
{
	struct world *world = world_create(1, 512);
	struct core_config config;
	struct node *root, *child;

	core_config_default(&config);
	config.node_id = config.session_seed = 1;
	root = world_add_node(world, "root", &config, 16 * 512, 4);
	world_add_root_volume(root, "vol0", disk_create(512, 4), false);
	config.node_id = config.session_seed = 2;
	child = world_add_node(world, "child", &config, 16 * 512, 4);
	world_add_child_volume(child, "vol0", false);
	world_run(world, HOUR_US, UINT64_MAX);
	world_kill(child);
	world_run(world, 2 * HOUR_US, UINT64_MAX);
	ck_assert_uint_eq(world_ran(child), HOUR_US);
	world_restart(child, 0);
	world_run(world, 2 * HOUR_US + HOUR_US / 2, UINT64_MAX);
	ck_assert_uint_eq(world_ran(root), 2 * HOUR_US + HOUR_US / 2);
	ck_assert_uint_eq(world_ran(child), HOUR_US + HOUR_US / 2);
	world_kill(child);
	world_kill(child); // a second end of the same process adds nothing
	ck_assert_uint_eq(world_ran(child), HOUR_US + HOUR_US / 2);
	return world;
}

START_TEST(hours_are_those_of_trees_and_of_hosts)
{
	static struct plan plan;
	static struct run run = {.plan = &plan};
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	totals_init();
	run.world = world_make();
	run.world->serial = 7;
	run.history = history_create(1, 0);
	run.faults_done[CHAOS_CUT] = 3;
	totals_add(&run);
	totals_add(&run);
	ck_assert_uint_eq(totals_time(), 5 * HOUR_US);
	totals_print(out, 2, 1, false);
	fclose(out);
	ck_assert_str_eq(text, "2 seeds, 1 failed: 5.0 tree hours, 8.0 host hours, 6 faults, 14 operations\n");
	free(text);
	history_destroy(run.history);
	world_destroy(run.world);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("totals");
	TCase *all = tcase_create("totals");
	SRunner *runner;
	int failed;

	tcase_add_test(all, hours_are_those_of_trees_and_of_hosts);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
