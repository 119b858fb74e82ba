// SPDX-License-Identifier: MIT
// A node whose parent is another one now may have a shorter lease than the one that its children were given under the parent
// before (protocol.md T3). What goes by way of it then must not be used for longer than it is held above. The oracle watches.
#include "tests/scenario/steps.h"

#include <check.h>

// The root A with B; P, and Q, a child of A yet, with C. ${deep}: D is below P, and Q below O.
static struct scenario *
tree_create(bool deep)
{
	struct scenario *scenario = steps_create();

	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "B", "A", true);
	steps_child(scenario, "P", "A", true);
	if (deep) {
		steps_child(scenario, "D", "P", true);
		steps_child(scenario, "O", "A", true);
	}
	steps_child(scenario, "Q", deep ? "O" : "A", true);
	steps_child(scenario, "C", "Q", true);
	return scenario;
}

static void
pause(struct scenario *scenario, const char *name, uint64_t ms)
{
	world_pause(scenario_node(scenario, name), scenario->world->now + ms * 1000);
}

// P, which has the block, stands still for most of its lease, and is cut off from the root. It does not know yet that it is when Q
// comes to it, whose child C asks for the block and is out of reach, too, once it has it. The root gives it to B when P's lease is over.
START_TEST(block_that_is_granted_by_who_has_a_shorter_lease)
{
	struct scenario *scenario = tree_create(false);
	struct request *b, *c;

	steps_write(scenario, "P", 'p');
	steps_cut(scenario, "P", "A", 2 * STEPS_EVICTED_MS);
	pause(scenario, "P", 2000);
	scenario_run(scenario, 1900);
	steps_leave(scenario, "Q", "P", 1);
	scenario_run(scenario, 200);
	c = scenario_write(scenario, "C", 7, 'c');
	scenario_run(scenario, 100);
	request_expect_ok(c);
	steps_cut(scenario, "C", "Q", 2 * STEPS_EVICTED_MS);
	b = scenario_write(scenario, "B", 7, 'b');
	scenario_run(scenario, 2000);
	request_expect_ok(b);
	c = scenario_read(scenario, "C", 7);
	scenario_run(scenario, 100);
	request_expect_waiting(c);
	scenario_run(scenario, 4 * STEPS_EVICTED_MS);
	request_expect_letter(c, 'b');
	steps_sync(scenario, "C", ERR_LOST); // what it wrote went with P's lease
	steps_work_again(scenario, "C");
	scenario_destroy(scenario);
}
END_TEST

// C has the block. P and D stand still, and D has what is left of P's lease when Q comes to it and claims the block for C. The claim
// is granted, and D is alone from then on: its lease ends, and it comes back, before that is over which Q gave C.
START_TEST(block_that_is_claimed_by_way_of_who_has_a_shorter_lease)
{
	struct scenario *scenario = tree_create(true);
	struct request *b, *c;

	steps_write(scenario, "C", 'c');
	pause(scenario, "P", 2000);
	pause(scenario, "D", 2000);
	scenario_run(scenario, 1950);
	steps_leave(scenario, "Q", "D", 1);
	scenario_run(scenario, 150);
	steps_cut(scenario, "D", "P", 1100);
	steps_cut(scenario, "C", "Q", 2 * STEPS_EVICTED_MS);
	steps_cut(scenario, "Q", "D", 2 * STEPS_EVICTED_MS);
	b = scenario_write(scenario, "B", 7, 'b');
	c = scenario_write(scenario, "C", 7, 'd');
	scenario_run(scenario, STEPS_EVICTED_MS);
	request_expect_ok(b);
	request_expect_ok(c);
	scenario_run(scenario, 4 * STEPS_EVICTED_MS);
	steps_sync(scenario, "C", ERR_LOST);
	steps_work_again(scenario, "C");
	scenario_destroy(scenario);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("shorter_leases");
	TCase *tcase = tcase_create("shorter_leases");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, block_that_is_granted_by_who_has_a_shorter_lease);
	tcase_add_test(tcase, block_that_is_claimed_by_way_of_who_has_a_shorter_lease);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
