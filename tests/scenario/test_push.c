// SPDX-License-Identifier: MIT
// PUSH (protocol.md R8, "PUSH"): what a parent sends ahead of demand, and what it crosses on its way. Where a test needs
// a PUSH at a certain moment, it has A, the root, say it: A's own C reads sequentially.
#include "tests/scenario/steps.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCKS = 128, LEASE_MS = STEPS_HB_TTL_MS };

static struct scenario *scenario;

// A root that has all blocks in its cache and a directory of ${places}, and B and C below.
static void
begin_with(unsigned cache_blocks, uint64_t places)
{
	scenario = scenario_create(BLOCKS);
	scenario->config.directory_max = places;
	scenario->config.hb_ttl_ms = LEASE_MS;
	scenario->config.writeback_ms = 100;
	scenario->config.push_blocks = 32;
	scenario->world->moving = true;
	scenario->cache_blocks = 2 * BLOCKS;
	steps_root(scenario, "A");
	for (unsigned block = 0; block < BLOCKS; block += 4)
		scenario_read_run(scenario, "A", block, 4);
	scenario->request_count = 0;
	scenario->cache_blocks = cache_blocks;
	steps_child(scenario, "B", "A", true);
	steps_child(scenario, "C", "A", true);
	scenario_forget(scenario);
}

static void
begin(unsigned cache_blocks)
{
	begin_with(cache_blocks, 1000);
}

static struct request *
read_block(const char *name, uint64_t block, char letter)
{
	struct request *read = scenario_read(scenario, name, block);

	scenario_run(scenario, 200);
	request_expect_letter(read, letter);
	return read;
}

static struct request *
write_block(const char *name, uint64_t block, char letter)
{
	struct request *write = scenario_write(scenario, name, block, letter);

	scenario_run(scenario, 200);
	request_expect_ok(write);
	return write;
}

static struct volume_info
info_of(const char *name)
{
	struct volume_info info;

	core_volume_info(scenario_node(scenario, name)->core, 0, world_clock(scenario_node(scenario, name)), &info);
	return info;
}

// C has read blocks 0 and 1; the next ones are on their way to it, or held.
static void
begin_pushing(bool hold)
{
	begin(2 * BLOCKS);
	read_block("C", 0, '.');
	scenario_forget(scenario);
	scenario_read(scenario, "C", 1);
	scenario_hold(scenario, "A", "C", hold);
	scenario_run(scenario, hold ? 15 : 100);
	ck_assert_uint_eq(scenario_count(scenario, "A -> C  PUSH volume=1 block=2+"), 1);
}

static void
end(void)
{
	scenario_destroy(scenario);
}

// ---- Ahead of demand ----

// C reads one block after the other: after the second it gets what follows, and asks for ever less.
START_TEST(sequential_reader_is_ahead)
{
	begin(8 * BLOCKS);
	for (uint64_t block = 0; block < 100; block++)
		read_block("C", block, '.');
	ck_assert_uint_le(scenario_count(scenario, "C -> A  GET"), 8);
	ck_assert_uint_eq(scenario_count(scenario, "C -> A  LOCK"), 0); // nothing came back
	ck_assert_uint_ge(info_of("C").pushed_used, 90);
	ck_assert_uint_eq(info_of("C").pushed_in, info_of("A").pushed_out);
	end();
}
END_TEST

// Who reads here and there is sent nothing; nor what somebody else writes.
START_TEST(others_are_sent_nothing)
{
	begin(2 * BLOCKS);
	for (uint64_t block = 0; block < 40; block++)
		read_block("C", block * 37 % BLOCKS, '.');
	ck_assert_uint_eq(scenario_count(scenario, "PUSH"), 0);
	end();
	begin(2 * BLOCKS);
	write_block("B", 4, 'b');
	for (uint64_t block = 0; block < 20; block++)
		read_block("C", block, block == 4 ? 'b' : '.');
	ck_assert_uint_eq(scenario_count(scenario, "A -> B  INVALIDATE"), 1); // for C's own GET
	end();
}
END_TEST

// A cache of 16 blocks takes two that it has not used; the rest comes back, and A sends less and less.
START_TEST(unwanted_blocks_come_back)
{
	begin(16);
	for (uint64_t block = 0; block < 100; block++)
		read_block("C", block, '.');
	ck_assert_uint_ge(info_of("C").pushed_back, 1);
	ck_assert_uint_le(info_of("C").pushed_back, 60);
	ck_assert_uint_le(info_of("C").pushed_in, 100);
	ck_assert_uint_le(info_of("A").pushed_out, 160);
	end();
}
END_TEST

// R17: a full directory has no places for what nobody asked for.
START_TEST(no_places_for_what_is_sent)
{
	struct directory_info info;

	begin_with(2 * BLOCKS, 16);
	for (uint64_t block = 0; block < 4; block++)
		read_block("B", 60 + 3 * block, '.');
	for (uint64_t block = 0; block < 12; block++)
		read_block("C", block, '.');
	core_directory_info(scenario_node(scenario, "A")->core, &info);
	ck_assert_uint_eq(info.records, 16);
	ck_assert_uint_eq(info_of("A").pushed_out, 10);
	ck_assert_uint_eq(scenario_count(scenario, "INVALIDATE"), 0);
	end();
}
END_TEST

// What C read and B writes is sent to C, too, when D reads it; once, as long as C does not ask again.
START_TEST(news_for_who_has_read)
{
	begin(2 * BLOCKS);
	steps_child(scenario, "D", "A", true);
	read_block("C", 50, '.');
	for (int i = 0; i < 3; i++) {
		write_block("B", 50, (char)('a' + i));
		read_block("D", 50, (char)('a' + i));
	}
	ck_assert_uint_eq(scenario_count(scenario, "A -> C  PUSH"), 1);
	write_block("B", 50, 'x');
	read_block("C", 50, 'x');
	write_block("B", 50, 'y');
	read_block("D", 50, 'y');
	scenario_forget(scenario);
	read_block("C", 50, 'y'); // it has come already
	ck_assert_uint_eq(scenario_count(scenario, "C -> A  GET"), 0);
	end();
}
END_TEST

// ---- What a PUSH crosses ----

// R8: C asks for block 9 when it is already on its way to it unasked. C can not take it (its cache is too small), and gives
// it back, after A has granted it once more, to the request: A ignores the release, which names the older grant.
// (An ordinary release can not cross a PUSH: A sends nothing that it has on record as C's.)
START_TEST(push_crosses_release)
{
	struct request *c;

	begin(8); // C takes one block at most
	read_block("C", 0, '.');
	scenario_read(scenario, "C", 1);
	scenario_hold(scenario, "A", "C", true);
	scenario_run(scenario, 25);
	c = scenario_read(scenario, "C", 9);
	scenario_run(scenario, 5);
	request_expect_waiting(c);
	scenario_hold(scenario, "A", "C", false); // the GET is on its way, the releases follow it
	scenario_run(scenario, 200);
	ck_assert_uint_ge(info_of("C").pushed_back, 10);
	request_expect_letter(c, '.');
	scenario_forget(scenario);
	read_block("C", 9, '.'); // it has it
	ck_assert_uint_eq(scenario_count(scenario, "C -> A  GET"), 0);
	write_block("B", 9, 'b'); // and A knows
	ck_assert_uint_eq(scenario_count(scenario, "A -> C  INVALIDATE volume=1 block=9"), 1);
	read_block("C", 9, 'b');
	write_block("B", 12, 'b'); // this one came back
	ck_assert_uint_eq(scenario_count(scenario, "A -> C  INVALIDATE volume=1 block=12"), 0);
	end();
}
END_TEST

// The same with a request that waits at A, as B's recall is open, when the release comes: C is granted it later.
START_TEST(give_back_while_a_request_waits)
{
	struct request *b, *c;

	begin(8);
	read_block("C", 0, '.');
	scenario_read(scenario, "C", 1);
	scenario_hold(scenario, "A", "C", true);
	scenario_run(scenario, 25);
	b = scenario_write(scenario, "B", 9, 'b'); // A recalls the block from C, behind the PUSH
	c = scenario_read(scenario, "C", 9);
	scenario_run(scenario, 50);
	request_expect_waiting(b);
	request_expect_waiting(c);
	scenario_hold(scenario, "A", "C", false);
	scenario_run(scenario, 200);
	request_expect_ok(b);
	request_expect_letter(c, 'b');
	write_block("B", 9, 'B');
	read_block("C", 9, 'B');
	end();
}
END_TEST

// R7: C's own GET of the block is on its way when the PUSH comes. C reads at once; the answer says what it has.
START_TEST(push_crosses_get)
{
	struct request *c;

	begin_pushing(true);
	c = scenario_read(scenario, "C", 5);
	scenario_run(scenario, 5);
	request_expect_waiting(c);
	scenario_hold(scenario, "A", "C", false);
	scenario_run(scenario, 1);
	request_expect_letter(c, '.');
	scenario_run(scenario, 200);
	write_block("B", 5, 'b');
	read_block("C", 5, 'b');
	end();
}
END_TEST

// R5, R7: C's request for WRITE, of a part and of the whole block, crosses the PUSH.
START_TEST(push_crosses_write)
{
	struct request *half, *whole, *sync, *b;

	begin_pushing(true);
	half = scenario_write_half(scenario, "C", 5, 'h');
	whole = scenario_write(scenario, "C", 6, 'w');
	sync = scenario_write_sync(scenario, "C", 7, 's'); // a PUT with bytes: what is sent is not taken
	scenario_run(scenario, 5);
	scenario_hold(scenario, "A", "C", false);
	scenario_run(scenario, 200);
	request_expect_ok(half);
	request_expect_ok(whole);
	request_expect_ok(sync);
	b = scenario_read(scenario, "B", 5);
	scenario_run(scenario, 200);
	request_expect_halves(b, 'h', '.');
	read_block("B", 6, 'w');
	read_block("B", 7, 's');
	steps_sync(scenario, "C", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 6), 'w');
	end();
}
END_TEST

// R1: B writes a block right after it was sent to C: the recall follows the PUSH on the same link.
START_TEST(recall_right_behind_push)
{
	struct request *b, *c;

	begin_pushing(true);
	b = scenario_write(scenario, "B", 5, 'b');
	scenario_run(scenario, 50);
	request_expect_waiting(b);
	scenario_hold(scenario, "A", "C", false);
	scenario_run(scenario, 100);
	request_expect_ok(b);
	ck_assert_uint_eq(scenario_count(scenario, "A -> C  INVALIDATE volume=1 block=5"), 1);
	c = scenario_read(scenario, "C", 5);
	scenario_run(scenario, 200);
	request_expect_letter(c, 'b');
	read_block("C", 6, '.');
	end();
}
END_TEST

// The same with a C that gives the block back: its release comes before its answer.
START_TEST(recall_right_behind_unwanted_push)
{
	struct request *b;

	begin(8);
	read_block("C", 0, '.');
	scenario_hold(scenario, "A", "C", true);
	scenario_read(scenario, "C", 1);
	scenario_run(scenario, 15);
	b = scenario_write(scenario, "B", 9, 'b');
	scenario_run(scenario, 50);
	request_expect_waiting(b);
	scenario_hold(scenario, "A", "C", false);
	scenario_run(scenario, 100);
	request_expect_ok(b);
	read_block("C", 9, 'b');
	end();
}
END_TEST

// The link breaks with a PUSH under way, at any moment, and the session goes on: A thinks that C has the blocks.
START_TEST(push_and_a_broken_link)
{
	for (unsigned after_ms = 0; after_ms < 25; after_ms++) {
		begin(2 * BLOCKS);
		read_block("C", 0, '.');
		scenario_read(scenario, "C", 1);
		scenario_run(scenario, after_ms);
		world_cut(scenario_node(scenario, "C"), 1000, 1000, 5000);
		scenario_run(scenario, 200);
		ck_assert_uint_ge(scenario_count(scenario, "A -> C  OK_REPLY name=volume_X"), 1);
		write_block("B", 5, 'b');
		for (uint64_t block = 2; block < 8; block++)
			read_block("C", block, block == 5 ? 'b' : '.');
		end();
	}
}
END_TEST

// F3: C comes back with a new session: A sends it nothing before it has said what it had, as it would not be taken.
START_TEST(push_to_a_child_that_recovers)
{
	struct request *reads[8];
	const char *push, *end_of_claims;

	begin(2 * BLOCKS);
	for (uint64_t block = 100; block < 110; block++)
		write_block("C", block, 'c');
	world_cut(scenario_node(scenario, "C"), 1000, 1000, 3 * LEASE_MS * 1000); // longer than its lease
	scenario_run(scenario, 20);
	for (uint64_t block = 0; block < 8; block++)
		reads[block] = scenario_read(scenario, "C", block);
	scenario_run(scenario, 2 * LEASE_MS);
	scenario_write(scenario, "B", 100, 'b'); // C's session ends
	scenario_forget(scenario);
	scenario_run(scenario, 6 * LEASE_MS);
	push = strstr(scenario->text, "A -> C  PUSH");
	end_of_claims = strstr(scenario->text, "C -> A  RECOVER RECOVERY_OP volume=1\n");
	ck_assert_ptr_nonnull(end_of_claims);
	ck_assert(push == NULL || push > end_of_claims);
	for (uint64_t block = 0; block < 8; block++)
		request_expect_letter(reads[block], '.');
	for (uint64_t block = 8; block < 20; block++)
		read_block("C", block, '.');
	read_block("C", 100, 'b');
	end();
}
END_TEST

// R13: bytes of its own that C has sent up, and that B has written over since, are kept until they are durable: what is sent
// does not take their place, and comes back.
START_TEST(push_over_unstable_bytes)
{
	begin(2 * BLOCKS);
	write_block("C", 4, 'c');
	read_block("B", 4, 'c'); // C's bytes are at A
	write_block("B", 4, 'b');
	read_block("A", 4, 'b');
	write_block("C", 6, 'd');
	scenario_forget(scenario);
	read_block("C", 0, '.');
	read_block("C", 1, '.');
	ck_assert_uint_eq(scenario_count(scenario, "A -> C  PUSH volume=1 block=2+4"), 1); // 6 is C's
	ck_assert_uint_eq(scenario_count(scenario, "C -> A  LOCK volume=1 block=4 perm=NO"), 1);
	for (uint64_t block = 0; block < 20; block++)
		read_block("C", block, block == 4 ? 'b' : block == 6 ? 'd' : '.');
	steps_sync(scenario, "C", ERR_OK);
	steps_sync(scenario, "B", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 4), 'b');
	ck_assert_int_eq(scenario_stored(scenario, 6), 'd');
	end();
}
END_TEST

// Through a proxy, which has what it read for others: it sends ahead, too.
START_TEST(push_from_a_proxy)
{
	begin(8 * BLOCKS);
	scenario->config.has_driver = false;
	steps_child(scenario, "P", "A", false);
	scenario->config.has_driver = true;
	steps_child(scenario, "D", "P", true);
	steps_child(scenario, "E", "P", true);
	for (uint64_t block = 0; block < 60; block++)
		read_block("D", block, '.');
	scenario_forget(scenario);
	for (uint64_t block = 0; block < 60; block++)
		read_block("E", block, '.');
	ck_assert_uint_ge(scenario_count(scenario, "P -> E  PUSH"), 2);
	ck_assert_uint_le(scenario_count(scenario, "E -> P  GET"), 8);
	write_block("B", 30, 'b');
	read_block("E", 30, 'b');
	read_block("D", 30, 'b');
	end();
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("push");
	TCase *tcase = tcase_create("push");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, sequential_reader_is_ahead);
	tcase_add_test(tcase, others_are_sent_nothing);
	tcase_add_test(tcase, unwanted_blocks_come_back);
	tcase_add_test(tcase, no_places_for_what_is_sent);
	tcase_add_test(tcase, news_for_who_has_read);
	tcase_add_test(tcase, push_crosses_release);
	tcase_add_test(tcase, give_back_while_a_request_waits);
	tcase_add_test(tcase, push_crosses_get);
	tcase_add_test(tcase, push_crosses_write);
	tcase_add_test(tcase, recall_right_behind_push);
	tcase_add_test(tcase, recall_right_behind_unwanted_push);
	tcase_add_test(tcase, push_and_a_broken_link);
	tcase_add_test(tcase, push_to_a_child_that_recovers);
	tcase_add_test(tcase, push_over_unstable_bytes);
	tcase_add_test(tcase, push_from_a_proxy);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
