// SPDX-License-Identifier: MIT
// The seed's Examples One to Four, on the nodes of its Figure 7, as one story: each example goes on where the one
// before ended. The whole trace is given as text: virtual time, sender, receiver, message.
//
// Messages between A and C take one second each way, as the seed's "round-trip time between C and A (2 seconds)" says;
// the others take 100 ms. Two things differ from the seed. HB_TTL is shortened at each hop as TTL is: what a child holds
// must end before what its parent holds (docs/protocol.md, T3), which the seed's unchanged 30 seconds would not give. And
// leases are counted in ticks, so C passes on a little less than the seed's 1198 seconds.
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
	scenario_root(scenario, "A");
	scenario->config.has_driver = false; // B, "in its role as proxy", keeps for reading what it brings up, at once
	scenario->config.writeback_ms = 0;
	scenario_child(scenario, "B", "A", 100, 100, true);
	scenario->config.has_driver = true;
	scenario->config.writeback_ms = 30 * 1000;
	scenario_child(scenario, "C", "A", 1000, 1000, false);
	scenario_child(scenario, "E", "C", 100, 100, true);
	scenario_child(scenario, "F", "C", 100, 100, true);
	scenario->config.give_back = true; // D does not expect to need again what its sync daemon has brought up
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
	scenario_expect(scenario,
			"[   3.200] E -> C  CONNECT name=volume_X\n"
			"[   3.300] C -> A  CONNECT name=volume_X\n"
			"[   4.300] A -> C  OK_REPLY name=volume_X volume=32002 hb_ttl=30s\n"
			"[   5.300] C -> E  OK_REPLY name=volume_X volume=26924852 hb_ttl=28s\n"
			"[   6.000] E -> C  GET volume=26924852 block=7 perm=READ\n"
			"[   6.100] C -> A  GET volume=32002 block=7 perm=READ\n"
			"[   7.100] A -> C  OK_REPLY volume=32002 block=7 perm=READ data ttl=1200s hb_ttl=30s\n"
			"[   8.100] C -> E  OK_REPLY volume=26924852 block=7 perm=READ data ttl=1197992ms hb_ttl=27200ms\n"
			"[   8.200] E has read block 7 '.': success\n");
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
	scenario_expect(scenario,
			"[  10.200] F -> C  CONNECT name=volume_X\n"
			"[  10.300] C -> F  OK_REPLY name=volume_X volume=26924852 hb_ttl=27s\n"
			"[  54.000] F -> C  GET volume=26924852 block=7 perm=READ\n"
			"[  54.100] C -> F  OK_REPLY volume=26924852 block=7 perm=READ data ttl=1151992ms hb_ttl=27200ms\n"
			"[  54.200] F has read block 7 '.': success\n");
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
	scenario_expect(scenario,
			"[  56.000] B -> A  PUT FORCE_SYNC volume=32002 block=7 perm=WRITE data\n"
			"[  56.100] A -> C  INVALIDATE volume=32002 block=7 perm=NO\n"
			"[  57.100] C -> F  INVALIDATE volume=26924852 block=7 perm=NO\n"
			"[  57.100] C -> E  INVALIDATE volume=26924852 block=7 perm=NO\n"
			"[  57.200] F -> C  OK_REPLY volume=26924852 block=7 perm=NO\n"
			"[  57.200] E -> C  OK_REPLY volume=26924852 block=7 perm=NO\n"
			"[  57.300] C -> A  OK_REPLY volume=32002 block=7 perm=NO\n"
			"[  58.300] A -> B  OK_REPLY volume=32002 block=7 perm=WRITE ttl=1200s hb_ttl=30s\n"
			"[  58.400] B has written block 7: success\n");
}

// E reads the block again, so that "A has given a copy of the block to node C". D writes asynchronously; time passes; its
// sync daemon brings the block up and gives the permission back with it. B answers D as soon as it has the block (D asked
// for no more), where the seed lets B wait for A.
static void
example_four(struct scenario *scenario)
{
	struct request *read, *write;

	scenario_connect(scenario, "D");
	read = scenario_read(scenario, "E", 7);
	scenario_run(scenario, 5000);
	request_expect_letter(read, 'x');
	scenario_forget(scenario);
	write = scenario_write_half(scenario, "D", 7, 'y');
	scenario_run(scenario, 40000);
	request_expect_ok(write);
	scenario_expect(scenario,
			"[  65.000] D -> B  GET volume=32002 block=7 perm=WRITE\n"
			"[  65.100] B -> A  LOCK volume=32002 block=7 perm=WRITE\n"
			"[  65.200] A -> C  INVALIDATE volume=32002 block=7 perm=NO\n"
			"[  66.200] C -> E  INVALIDATE volume=26924852 block=7 perm=NO\n"
			"[  66.300] E -> C  OK_REPLY volume=26924852 block=7 perm=NO\n"
			"[  66.400] C -> A  OK_REPLY volume=32002 block=7 perm=NO\n"
			"[  67.400] A -> B  OK_REPLY volume=32002 block=7 perm=WRITE ttl=1200s hb_ttl=30s\n"
			"[  67.500] B -> D  OK_REPLY volume=32002 block=7 perm=WRITE data ttl=1199149ms hb_ttl=29150ms\n"
			"[  67.600] D has written block 7: success\n"
			"[  88.400] B -> A  FLUSH FORCE_SYNC volume=32002\n" // its own write of before is 30 s old
			"[  88.500] A -> B  OK_REPLY volume=32002\n"
			"[  97.600] D -> B  FLUSH volume=32002 block=7 perm=NO data\n"
			"[  97.700] B -> D  OK_REPLY volume=32002 block=7\n"
			"[  97.700] B -> A  FLUSH volume=32002 block=7 perm=READ data\n"
			"[  97.800] A -> B  OK_REPLY volume=32002 block=7\n");
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
