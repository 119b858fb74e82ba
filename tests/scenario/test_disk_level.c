// SPDX-License-Identifier: MIT
// Copies on a disk below the cache: what a node that was started again has of them (T5), and what happens to a block
// while its bytes are read. A is the root; B, below it, has one block in memory and a disk, whose operations take 1 ms.
#include "tests/scenario/steps.h"

#include <check.h>

enum { SLOT = 4096, SLOTS = 16 };

static struct scenario *
create(void)
{
	struct scenario *scenario = steps_create();

	steps_root(scenario, "A");
	scenario->cache_blocks = 1;
	return scenario;
}

static void
child_with_disk(struct scenario *scenario, const char *name, const char *parent, uint64_t slots, uint32_t ways)
{
	scenario_child(scenario, name, parent, 10, 10, true);
	world_add_drive(scenario_node(scenario, name),
			&(struct drive_config){.seed = 1, .slots = slots, .ways = ways, .latency_us = 1000});
	scenario_connect(scenario, name);
	scenario_run(scenario, 500);
}

// A has written 'a' into blocks 0 to 3, B has read them, and they are on its disk; block 3 is in its memory, too.
static struct scenario *
warm(void)
{
	struct scenario *scenario = create();

	child_with_disk(scenario, "B", "A", SLOTS, SLOTS);
	for (uint64_t block = 0; block < 4; block++)
		steps_write_block(scenario, "A", block, 'a');
	for (uint64_t block = 0; block < 4; block++)
		steps_read_block(scenario, "B", block, 'a');
	scenario_forget(scenario);
	return scenario;
}

static struct drive *
drive(struct scenario *scenario, const char *name)
{
	return scenario_node(scenario, name)->drive;
}

// Blocks whose bytes have come down since the trace was forgotten.
static unsigned
came_down(const struct scenario *scenario)
{
	return scenario_count(scenario, " data");
}

static void
again(struct scenario *scenario, const char *name)
{
	scenario_kill(scenario, name);
	scenario_run(scenario, STEPS_EVICTED_MS);
	scenario_restart(scenario, name);
	scenario_run(scenario, 500);
	scenario_forget(scenario);
}

START_TEST(block_that_is_not_in_memory_is_read_from_the_disk)
{
	struct scenario *scenario = warm();

	for (uint64_t block = 0; block < 4; block++)
		steps_read_block(scenario, "B", block, 'a');
	ck_assert_uint_eq(scenario_count(scenario, "->"), scenario_count(scenario, "HEARTBEAT") / 2 +
								  scenario_count(scenario, "OK_REPLY hb_ttl") / 2);
	scenario_destroy(scenario);
}
END_TEST

START_TEST(what_is_on_the_disk_is_confirmed_after_a_restart)
{
	struct scenario *scenario = warm();

	again(scenario, "B");
	for (uint64_t block = 0; block < 4; block++)
		steps_read_block(scenario, "B", block, 'a');
	ck_assert_uint_eq(came_down(scenario), 0);
	again(scenario, "B"); // and once more
	steps_read_block(scenario, "B", 2, 'a');
	ck_assert_uint_eq(came_down(scenario), 0);
	scenario_destroy(scenario);
}
END_TEST

START_TEST(what_has_changed_while_it_was_away_comes_from_the_parent)
{
	struct scenario *scenario = warm();

	scenario_kill(scenario, "B");
	scenario_run(scenario, STEPS_EVICTED_MS);
	steps_write_block(scenario, "A", 1, 'b');
	scenario_restart(scenario, "B");
	scenario_run(scenario, 500);
	scenario_forget(scenario);
	steps_read_block(scenario, "B", 0, 'a');
	ck_assert_uint_eq(came_down(scenario), 0);
	steps_read_block(scenario, "B", 1, 'b');
	ck_assert_uint_eq(came_down(scenario), 1);
	steps_read_block(scenario, "B", 2, 'a');
	steps_read_block(scenario, "B", 1, 'b');
	ck_assert_uint_eq(came_down(scenario), 1);
	scenario_destroy(scenario);
}
END_TEST

START_TEST(part_of_a_block_on_the_disk_is_written)
{
	struct scenario *scenario = warm();
	struct request *write, *read;

	again(scenario, "B");
	write = scenario_write_half(scenario, "B", 0, 'b');
	scenario_run(scenario, 500);
	request_expect_ok(write);
	ck_assert_uint_eq(scenario_count(scenario, "OK_REPLY") - scenario_count(scenario, "OK_REPLY hb_ttl"),
			  scenario_count(scenario, "OK_REPLY volume"));
	read = scenario_read(scenario, "A", 0);
	scenario_run(scenario, 500);
	request_expect_halves(read, 'b', 'a');
	scenario_destroy(scenario);
}
END_TEST

// Damaged bytes, and a disk that can not be read: the block is fetched.
START_TEST(load_that_fails)
{
	struct scenario *scenario = warm();

	if (_i == 0)
		for (uint64_t at = 1 << 20; at < drive(scenario, "B")->medium.size; at += SLOT)
			drive(scenario, "B")->medium.bytes[at] ^= 1;
	else
		drive(scenario, "B")->config.fail_ppm = 1000000;
	steps_read_block(scenario, "B", 0, 'a');
	ck_assert_uint_gt(came_down(scenario), 0);
	steps_read_block(scenario, "B", 1, 'a');
	steps_read_block(scenario, "B", 2, 'a');
	steps_work_again(scenario, "B");
	scenario_destroy(scenario);
}
END_TEST

// Reads of B's disk take long from now on, until slow_end.
static void
slow(struct scenario *scenario)
{
	drive(scenario, "B")->config.latency_us = 100 * 1000 * 1000;
}

static void
slow_end(struct scenario *scenario)
{
	drive(scenario, "B")->config.latency_us = 1000;
	while (drive(scenario, "B")->medium.pending_count > 0)
		memory_medium_end(&drive(scenario, "B")->medium, drive(scenario, "B")->medium.pending[0]);
	scenario_run(scenario, 1000);
}

START_TEST(block_is_recalled_while_it_is_loaded)
{
	struct scenario *scenario = warm();
	struct request *read, *write;

	slow(scenario);
	read = scenario_read(scenario, "B", 0);
	scenario_run(scenario, 5);
	request_expect_waiting(read);
	write = scenario_write(scenario, "A", 0, 'b');
	scenario_run(scenario, 500);
	request_expect_ok(write); // it does not wait for B's disk
	slow_end(scenario);
	request_expect_letter(read, 'b');
	steps_read_block(scenario, "B", 1, 'a');
	scenario_destroy(scenario);
}
END_TEST

START_TEST(block_is_written_over_while_it_is_loaded)
{
	struct scenario *scenario = warm();
	struct request *read, *write;

	slow(scenario);
	read = scenario_read(scenario, "B", 0);
	scenario_run(scenario, 5);
	write = scenario_write(scenario, "B", 0, 'b');
	scenario_run(scenario, 500);
	request_expect_waiting(read);
	request_expect_waiting(write); // behind it
	slow_end(scenario);
	request_expect_letter(read, 'a');
	request_expect_ok(write);
	steps_read_block(scenario, "A", 0, 'b');
	scenario_destroy(scenario);
}
END_TEST

START_TEST(request_is_cancelled_while_its_block_is_loaded)
{
	struct scenario *scenario = warm();

	slow(scenario);
	world_cancel(&scenario_read(scenario, "B", 0)->io);
	scenario_run(scenario, 100);
	slow_end(scenario);
	steps_read_block(scenario, "B", 0, 'a');
	scenario_destroy(scenario);
}
END_TEST

// The disk has one slot: what is being read there can not make room, and what comes meanwhile is not written.
START_TEST(others_come_while_a_block_is_loaded)
{
	struct scenario *scenario = create();
	struct request *read;

	child_with_disk(scenario, "B", "A", 1, 1);
	for (uint64_t block = 0; block < 4; block++)
		steps_write_block(scenario, "A", block, (char)('a' + block));
	steps_read_block(scenario, "B", 0, 'a');
	drive(scenario, "B")->config.fail_ppm = 0;
	again(scenario, "B");
	slow(scenario);
	read = scenario_read(scenario, "B", 0);
	scenario_run(scenario, 500);
	steps_read_block(scenario, "B", 1, 'b');
	steps_read_block(scenario, "B", 2, 'c');
	slow_end(scenario);
	request_expect_letter(read, 'a');
	steps_read_block(scenario, "B", 2, 'c');
	steps_read_block(scenario, "B", 0, 'a');
	scenario_destroy(scenario);
}
END_TEST

START_TEST(proxy_serves_children_from_its_disk)
{
	struct scenario *scenario = warm();

	scenario->cache_blocks = 16;
	steps_child(scenario, "C", "B", true);
	again(scenario, "B");
	scenario_run(scenario, STEPS_EVICTED_MS);
	scenario_forget(scenario);
	steps_read_block(scenario, "C", 0, 'a');
	ck_assert_uint_eq(scenario_count(scenario, "A -> B  OK_REPLY volume=1 block=0 perm=READ data"), 0);
	ck_assert_uint_eq(came_down(scenario), 1); // to C
	scenario_destroy(scenario);
}
END_TEST

// Found by the simulator: what B holds for writing, clean, is only on its disk when it loses its session. It can not be
// sent again, if the root has lost it; so it is not claimed.
START_TEST(clean_block_on_the_disk_is_not_claimed)
{
	struct scenario *scenario = warm();

	steps_write_block(scenario, "B", 0, 'b');
	steps_sync(scenario, "B", ERR_OK);
	steps_read_block(scenario, "B", 1, 'a'); // block 0 goes
	scenario_kill(scenario, "A");
	scenario_restart(scenario, "A");
	scenario_run(scenario, 3 * STEPS_HB_TTL_MS);
	steps_read_block(scenario, "B", 0, 'b');
	steps_read_block(scenario, "A", 0, 'b');
	steps_work_again(scenario, "B");
	scenario_destroy(scenario);
}
END_TEST

// The same of a child that had it from B for writing, and fell silent.
START_TEST(block_on_the_disk_whose_writer_below_fell_silent)
{
	struct scenario *scenario = warm();
	struct request *read;

	scenario->cache_blocks = 16;
	steps_keep_dirty(scenario, true);
	steps_child(scenario, "C", "B", true);
	steps_write_block(scenario, "C", 0, 'c');
	scenario_kill(scenario, "C");
	scenario_run(scenario, STEPS_EVICTED_MS);
	read = scenario_read(scenario, "B", 0);
	scenario_run(scenario, STEPS_EVICTED_MS);
	request_expect_letter(read, 'a');
	steps_work_again(scenario, "B");
	scenario_destroy(scenario);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("disk_level");
	TCase *tcase = tcase_create("disk_level");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, block_that_is_not_in_memory_is_read_from_the_disk);
	tcase_add_test(tcase, what_is_on_the_disk_is_confirmed_after_a_restart);
	tcase_add_test(tcase, what_has_changed_while_it_was_away_comes_from_the_parent);
	tcase_add_test(tcase, part_of_a_block_on_the_disk_is_written);
	tcase_add_loop_test(tcase, load_that_fails, 0, 2);
	tcase_add_test(tcase, block_is_recalled_while_it_is_loaded);
	tcase_add_test(tcase, block_is_written_over_while_it_is_loaded);
	tcase_add_test(tcase, request_is_cancelled_while_its_block_is_loaded);
	tcase_add_test(tcase, others_come_while_a_block_is_loaded);
	tcase_add_test(tcase, proxy_serves_children_from_its_disk);
	tcase_add_test(tcase, clean_block_on_the_disk_is_not_claimed);
	tcase_add_test(tcase, block_on_the_disk_whose_writer_below_fell_silent);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
