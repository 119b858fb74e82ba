// SPDX-License-Identifier: MIT
// Write-back in the background: in which order, and how much at once while others read. A is the root, B its child.
#include "tests/scenario/steps.h"

#include <check.h>
#include <stdlib.h>

enum { BLOCKS = 8192, AGE_MS = 1000, BACKGROUND = 8, PLACES = 200 };

static struct scenario *scenario;
static struct request *places[PLACES];
static unsigned submitted;

static void
begin(const char *writer)
{
	scenario = scenario_create(BLOCKS);
	scenario->config.hb_ttl_ms = 60 * 1000;
	scenario->config.writeback_ms = AGE_MS;
	scenario->config.background_size = BACKGROUND * SCENARIO_BLOCK_SIZE;
	scenario->cache_blocks = BLOCKS;
	scenario->show_store = true;
	scenario_root(scenario, "A");
	if (writer[0] == 'B') {
		scenario_child(scenario, "B", "A", 10, 10, true);
		scenario_connect(scenario, "B");
	}
	scenario->world->check_every = 16;
	scenario->world->hooks.stepped = NULL; // the oracle would take too long
	scenario_run(scenario, 500);
	scenario_forget(scenario);
}

// The request's place is used again, once the one that had it has ended.
static void
submit(const char *name, uint64_t block, char letter)
{
	unsigned place = submitted++ % PLACES;

	while (places[place] != NULL && !places[place]->ended) {
		scenario_run(scenario, 1);
		scenario_forget(scenario);
	}
	scenario->request_count = place;
	places[place] = letter != 0 ? scenario_write(scenario, name, block, letter) : scenario_read(scenario, name, block);
}

static void
write_block(const char *name, uint64_t block)
{
	submit(name, block, 'w');
}

// Between ${first} and ${end}, every other block, so that no two are neighbours.
static void
write_many(const char *name, uint64_t first, uint64_t end)
{
	for (uint64_t block = first; block < end; block += 2) {
		write_block(name, block);
		if (block % 64 == first % 64)
			scenario_run(scenario, 1);
		scenario_forget(scenario);
	}
}

static struct volume_info
info(const char *name)
{
	struct node *node = scenario_node(scenario, name);
	struct volume_info info;

	core_volume_info(node->core, 0, world_clock(node), &info);
	return info;
}

// ---- Order ----

// Blocks that were written here and there, within half of the age, go in their order, and neighbours together; one that is not
// old enough goes along with its neighbour (13), or waits (20). The next sweep goes on where the first has ended.
START_TEST(sweeps_go_up)
{
	static const uint64_t blocks[] = {9, 3, 12, 5, 4};

	begin("A");
	for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
		write_block("A", blocks[i]);
		scenario_run(scenario, 100);
	}
	scenario_run(scenario, 400);
	write_block("A", 13);
	write_block("A", 20);
	write_block("A", 2);
	scenario_forget(scenario);
	scenario_run(scenario, 200);
	scenario_expect(scenario, "[   1.500] A store write block=3+3\n"
				  "[   1.500] A store write block=9+1\n"
				  "[   1.500] A store write block=12+2\n"
				  "[   1.500] A store: write block=3+3 ended\n"
				  "[   1.500] A store: write block=9+1 ended\n"
				  "[   1.500] A store: write block=12+2 ended\n");
	scenario_run(scenario, AGE_MS);
	scenario_expect(scenario, "[   2.400] A store write block=20+1\n"
				  "[   2.400] A store write block=2+1\n"
				  "[   2.400] A store: write block=20+1 ended\n"
				  "[   2.400] A store: write block=2+1 ended\n");
	scenario_destroy(scenario);
}
END_TEST

// The storage is slower than who writes, always at its beginning: a block at its end, and one at its beginning, are not put off for
// ever, and go before twice the age.
START_TEST(nothing_is_put_off)
{
	begin("A");
	scenario->disk->block_us = 100;
	scenario->disk->settle_us = 1000;
	write_block("A", BLOCKS - 1);
	for (unsigned i = 0; i < 2 * AGE_MS; i++) {
		write_block("A", i * 37 % 1000);
		scenario_run(scenario, 1);
		scenario_forget(scenario);
	}
	ck_assert_int_eq(disk_read(scenario->disk, BLOCKS - 1)[0], 'w');
	ck_assert_int_eq(disk_read(scenario->disk, 0)[0], 'w');
	scenario_destroy(scenario);
}
END_TEST

// A block that changes while it waits for its turn, or is on its way, is stored as it was at last.
START_TEST(changes_while_a_sweep_runs)
{
	begin("A");
	scenario->disk->block_us = 1000;
	write_many("A", 0, 200);
	scenario_run(scenario, AGE_MS - 100);
	while (info("A").flushing_blocks == 0)
		scenario_run(scenario, 1);
	for (uint64_t block = 0; block < 200; block += 2)
		submit("A", block, 'x');
	scenario_run(scenario, 3 * AGE_MS);
	ck_assert_uint_eq(info("A").dirty_blocks, 0);
	for (uint64_t block = 0; block < 200; block += 2)
		ck_assert_int_eq(disk_read(scenario->disk, block)[0], 'x');
	scenario_destroy(scenario);
}
END_TEST

// ---- Beside reads ----

// Read another block, whose bytes the storage (at B: the parent) has to give, in each millisecond until ${until_clean}: nothing is
// dirty any more, or for 50 ms. Returns how many blocks were on their way up at once, at most.
static uint64_t
read_meanwhile(const char *name, bool until_clean)
{
	static uint64_t block;
	uint64_t most = 0;

	for (unsigned ms = 0; until_clean ? info(name).dirty_blocks > 0 : ms < 50; ms++) {
		submit(name, block++ % (BLOCKS / 2) + BLOCKS / 2, 0);
		scenario_run(scenario, 1);
		scenario_forget(scenario);
		if (info(name).flushing_blocks > most)
			most = info(name).flushing_blocks;
	}
	return most;
}

static const char *const writers[] = {"A", "B"};

// What goes up because of its age leaves room for who reads: at a root in the storage's queue, at a child on the link.
START_TEST(background_is_small_beside_reads)
{
	const char *name = writers[_i];

	begin(name);
	scenario->disk->block_us = 100;
	write_many(name, 0, 300);
	read_meanwhile(name, false);
	scenario_run(scenario, AGE_MS / 2);
	ck_assert_uint_eq(info(name).flushing_blocks, 0);
	ck_assert_uint_eq(read_meanwhile(name, true), name[0] == 'A' ? 2 : BACKGROUND); // two operations; or as many blocks
	scenario_destroy(scenario);
}
END_TEST

// When nobody reads, all of it is on its way at once.
START_TEST(background_is_large_when_it_is_quiet)
{
	const char *name = writers[_i];
	uint64_t most = 0;

	begin(name);
	scenario->disk->block_us = 100;
	write_many(name, 0, 1000);
	for (unsigned ms = 0; ms < 2 * AGE_MS; ms++) {
		scenario_run(scenario, 1);
		scenario_forget(scenario);
		most = info(name).flushing_blocks > most ? info(name).flushing_blocks : most;
	}
	ck_assert_uint_gt(most, 100);
	ck_assert_uint_eq(info(name).dirty_blocks, 0);
	scenario_destroy(scenario);
}
END_TEST

// The storage has hardly time for those who read: what goes up in the background has the more of it the longer it is due.
START_TEST(background_is_not_put_off)
{
	begin("A");
	scenario->disk->block_us = 1000;
	scenario->disk->settle_us = 9000;
	write_many("A", 0, 400);
	read_meanwhile("A", false);
	ck_assert_uint_gt(read_meanwhile("A", true), 2);
	scenario_destroy(scenario);
}
END_TEST

// A fsync does not wait behind reads.
START_TEST(sync_is_not_background)
{
	const char *name = writers[_i];
	struct request *sync;

	begin(name);
	scenario->disk->block_us = 100;
	write_many(name, 0, 1000);
	read_meanwhile(name, false);
	scenario->request_count = PLACES;
	sync = scenario_sync(scenario, name);
	ck_assert_uint_gt(info(name).flushing_blocks, 200);
	read_meanwhile(name, true);
	scenario_run(scenario, 100);
	request_expect_ok(sync);
	scenario_destroy(scenario);
}
END_TEST

// Nor does who has no room to write into.
START_TEST(full_is_not_background)
{
	const char *name = writers[_i];

	begin(name);
	core_set_dirty_max(scenario_node(scenario, name)->core, 400);
	scenario->disk->block_us = 100;
	write_many(name, 0, 600);
	read_meanwhile(name, false);
	write_many(name, 600, 640);
	ck_assert_uint_le(info(name).dirty_blocks, 320);
	write_many(name, 640, 1000);
	ck_assert_uint_le(info(name).dirty_blocks, 400);
	scenario_destroy(scenario);
}
END_TEST

// Writes of a host whose node waits for something else: they go on when that is there, those over what is dirty here, too.
START_TEST(writes_are_held)
{
	struct request *again, *other;
	struct node *b;

	scenario = steps_create();
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "B", "A", true);
	b = scenario_node(scenario, "B");
	steps_write(scenario, "B", 'a');
	core_hold_writes(b->core, 0, true);
	again = scenario_write(scenario, "B", 7, 'b');
	other = scenario_write(scenario, "B", 8, 'c');
	scenario_run(scenario, 1000);
	request_expect_waiting(again);
	request_expect_waiting(other);
	core_hold_writes(b->core, 0, false);
	world_step(b, &(struct event){.type = EVENT_TIMER});
	scenario_run(scenario, 100);
	request_expect_ok(again);
	request_expect_ok(other);
	steps_work_again(scenario, "B");
	scenario_destroy(scenario);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("writeback");
	TCase *tcase = tcase_create("writeback");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, sweeps_go_up);
	tcase_add_test(tcase, nothing_is_put_off);
	tcase_add_test(tcase, changes_while_a_sweep_runs);
	tcase_add_loop_test(tcase, background_is_small_beside_reads, 0, 2);
	tcase_add_loop_test(tcase, background_is_large_when_it_is_quiet, 0, 2);
	tcase_add_test(tcase, background_is_not_put_off);
	tcase_add_loop_test(tcase, sync_is_not_background, 0, 2);
	tcase_add_loop_test(tcase, full_is_not_background, 0, 2);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, writes_are_held);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
