// SPDX-License-Identifier: MIT
// Read-ahead: how far ahead of its readers a node is, on a far link and a near one, and what it fetches for nothing. B reads
// from A.
#include "tests/scenario/scenario.h"

#include <check.h>
#include <stdlib.h>

enum { BLOCKS = 8192, AHEAD = 512, RUN = 4 };

static struct scenario *scenario;

static void
begin(unsigned delay_ms, unsigned cache_blocks)
{
	scenario = scenario_create(BLOCKS);
	scenario->config.hb_ttl_ms = 60 * 1000;
	scenario->cache_blocks = BLOCKS;
	scenario_root(scenario, "A");
	scenario->config.readahead_blocks = AHEAD;
	scenario->cache_blocks = cache_blocks;
	scenario_child(scenario, "B", "A", delay_ms, delay_ms, true);
	scenario_child(scenario, "C", "A", 1, 1, true);
	scenario->world->check_every = 64;
	scenario->world->hooks.stepped = NULL; // the oracle would take too long
	scenario_connect(scenario, "B");
	scenario_connect(scenario, "C");
	scenario_run(scenario, 500);
}

static struct volume_info
info(void)
{
	struct node *node = scenario_node(scenario, "B");
	struct volume_info info;

	core_volume_info(node->core, 0, world_clock(node), &info);
	return info;
}

// Read ${count} blocks from ${block} on, as the opener ${stream}. Returns the milliseconds that it takes.
static unsigned
read_on(uint32_t stream, uint64_t block, unsigned count)
{
	struct request *read;
	unsigned ms = 0;

	scenario->request_count = 0; // its place is used again
	scenario_forget(scenario);
	read = scenario_read_stream(scenario, "B", stream, block, count);
	for (; !read->ended; ms++)
		scenario_run(scenario, 1);
	request_expect_ok(read);
	return ms;
}

// A reader of four blocks each millisecond. On a near link it never waits for what is ahead of it after the first reads, and is
// no further ahead than it was at the beginning; on a far one the window grows until it does not wait any more, and no further.
START_TEST(window_is_as_large_as_the_link_is_long)
{
	static const struct { unsigned delay_ms, least, most; } links[] = {{1, 8, 64}, {20, 150, AHEAD}};
	unsigned waited = 0;
	uint64_t late = 0, ahead;

	begin(links[_i].delay_ms, BLOCKS);
	for (uint64_t block = 0; block < BLOCKS / 2; block += RUN) {
		if (block == BLOCKS / 4) {
			waited = 0;
			late = info().ahead_late;
		}
		waited += read_on(1, block, RUN);
		scenario_run(scenario, 1);
	}
	ahead = info().ahead_asked - info().ahead_used;
	ck_assert_uint_ge(ahead, links[_i].least);
	ck_assert_uint_le(ahead, links[_i].most);
	ck_assert_uint_eq(waited, 0);
	ck_assert_uint_eq(info().ahead_late, late);
	ck_assert_uint_eq(info().ahead_lost, 0);
	scenario_destroy(scenario);
}
END_TEST

// --readahead bounds it, though it is not enough.
START_TEST(window_is_bounded)
{
	begin(40, BLOCKS);
	for (uint64_t block = 0; block < BLOCKS / 4; block += RUN) {
		read_on(1, block, RUN);
		ck_assert_uint_le(info().ahead_asked, block + RUN + AHEAD);
	}
	ck_assert_uint_ge(info().ahead_late, 1);
	scenario_destroy(scenario);
}
END_TEST

// Sixteen readers by turns, for whose windows the cache is too small: blocks are evicted before they come by. The windows shrink
// until most of what is read ahead is used.
START_TEST(evicted_blocks_shrink_the_window)
{
	enum { READERS = 16, READS = 200, CACHE = 256 };
	struct volume_info before = {0}, after;

	begin(1, CACHE);
	for (unsigned i = 0; i < 2 * READS; i++) {
		if (i == READS)
			before = info();
		for (uint32_t reader = 0; reader < READERS; reader++)
			read_on(reader, reader * (BLOCKS / READERS) + i, 1);
	}
	after = info();
	ck_assert_uint_ge(before.ahead_lost, 1);
	ck_assert_uint_ge(after.ahead_used - before.ahead_used, READERS * READS / 2);
	ck_assert_uint_le((after.ahead_lost - before.ahead_lost) * 10, after.ahead_used - before.ahead_used);
	scenario_destroy(scenario);
}
END_TEST

// C overwrites what B has ahead of it: B goes less far ahead.
START_TEST(recalled_blocks_shrink_the_window)
{
	uint64_t asked[2] = {0, 0};

	for (int writes = 0; writes < 2; writes++) {
		begin(20, BLOCKS);
		for (uint64_t block = 0; block < 1024; block += RUN) {
			read_on(1, block, RUN);
			if (writes && block % 16 == 0)
				scenario_write_run(scenario, "C", block + 12, RUN, 'c');
			scenario_run(scenario, 60);
		}
		asked[writes] = info().ahead_asked - info().ahead_used - info().ahead_lost;
		ck_assert_int_eq(info().ahead_lost > 0, writes);
		scenario_destroy(scenario);
	}
	ck_assert_uint_lt(asked[1], asked[0] / 2);
}
END_TEST

// Who reads three blocks here and three there gets hardly more than these; when it reads on, the window grows again.
START_TEST(short_runs_begin_with_small_windows)
{
	enum { RUNS = 500 };
	struct volume_info before;

	begin(5, BLOCKS);
	for (unsigned run = 0; run < RUNS; run++)
		for (unsigned i = 0; i < 3; i++)
			read_on(1, (uint64_t)run * 1201 % (BLOCKS / 2) / 16 * 16 + i, 1);
	ck_assert_uint_le(info().fetched, 5 * RUNS);
	before = info();
	for (uint64_t block = BLOCKS / 2; block < BLOCKS; block += RUN)
		read_on(1, block, RUN);
	ck_assert_uint_ge(info().ahead_asked - before.ahead_asked, BLOCKS / 2 - 4 * RUN);
	scenario_destroy(scenario);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("readahead");
	TCase *tcase = tcase_create("readahead");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tcase, window_is_as_large_as_the_link_is_long, 0, 2);
	tcase_add_test(tcase, window_is_bounded);
	tcase_add_test(tcase, evicted_blocks_shrink_the_window);
	tcase_add_test(tcase, recalled_blocks_shrink_the_window);
	tcase_add_test(tcase, short_runs_begin_with_small_windows);
	tcase_set_timeout(tcase, 60);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
