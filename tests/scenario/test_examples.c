// SPDX-License-Identifier: MIT
// The seed's Examples One to Four, on the nodes of its Figure 7, as one story: each example goes on where the one
// before ended. The whole trace is given as text: virtual time, sender, receiver, message.
//
// Messages between A and C take one second each way, as the seed's "round-trip time between C and A (2 seconds)" says;
// the others take 100 ms.
#include "tests/scenario/scenario.h"

#include <check.h>
#include <stdlib.h>

static struct scenario *
examples_begin(void)
{
	struct scenario *scenario = scenario_create(16);

	scenario->config.ttl_ms = 1200 * 1000;
	scenario->config.hb_ttl_ms = 30 * 1000;
	scenario->config.writeback_ms = 30 * 1000;
	scenario->config.give_back = true;
	scenario_root(scenario, "A");
	scenario_child(scenario, "C", "A", 1000, 1000, false);
	scenario_child(scenario, "E", "C", 100, 100, true);
	scenario_child(scenario, "F", "C", 100, 100, true);
	scenario_child(scenario, "B", "A", 100, 100, true);
	scenario_child(scenario, "D", "B", 100, 100, true);
	core_set_volume_id(scenario_node(scenario, "A")->core, 0, 32002);
	core_set_volume_id(scenario_node(scenario, "B")->core, 0, 32002);
	scenario_connect(scenario, "C");
	scenario_run(scenario, 3000);
	scenario_forget(scenario);
	return scenario;
}

// E connects and reads block 7: C does not know the volume, then maps the volume id, keeps a copy, shortens the TTL.
static void
example_one(struct scenario *scenario)
{
	struct request *read;

	scenario_connect(scenario, "E");
	scenario_run(scenario, 1000);
	core_set_volume_id(scenario_node(scenario, "C")->core, 0, 26924852);
	scenario_run(scenario, 2000);
	read = scenario_read(scenario, "E", 7);
	scenario_run(scenario, 4000);
	request_expect_letter(read, '.');
	scenario_expect(scenario, "");
}

// F connects and reads the same block: C answers both at once; the TTL is what is left.
static void
example_two(struct scenario *scenario)
{
	struct request *read;

	scenario_connect(scenario, "F");
	scenario_run(scenario, 44000);
	read = scenario_read(scenario, "F", 7);
	scenario_run(scenario, 1000);
	request_expect_letter(read, '.');
	scenario_expect(scenario, "");
}

// B overwrites the block synchronously, without asking for its data: the copies at C, E and F go first.
static void
example_three(struct scenario *scenario)
{
	struct request *write;

	scenario_connect(scenario, "B");
	scenario_run(scenario, 1000);
	scenario_forget(scenario);
	write = scenario_write_sync(scenario, "B", 7, 'x');
	scenario_run(scenario, 4000);
	request_expect_ok(write);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'x');
	scenario_expect(scenario, "");
}

// D writes asynchronously; its sync daemon brings the block up later and gives the permission back with it.
static void
example_four(struct scenario *scenario)
{
	struct request *write;

	scenario_connect(scenario, "D");
	scenario_run(scenario, 1000);
	scenario_forget(scenario);
	write = scenario_write(scenario, "D", 7, 'y');
	scenario_run(scenario, 40000);
	request_expect_ok(write);
	scenario_expect(scenario, "");
}

START_TEST(examples)
{
	struct scenario *scenario = examples_begin();

	example_one(scenario);
	example_two(scenario);
	example_three(scenario);
	example_four(scenario);
	scenario_destroy(scenario);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("examples");
	TCase *tcase = tcase_create("examples");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, examples);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
