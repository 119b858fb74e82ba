// SPDX-License-Identifier: MIT
// A bounded directory (protocol.md R17): a node takes back what it has granted beyond its limit, and nobody notices but
// by the time it takes. core_check looks at the bound after each step.
#include "tests/scenario/scenario.h"

#include <check.h>
#include <stdlib.h>

enum { BLOCKS = 128, LIMIT = 8, MANY = 100, HB_TTL_MS = 3000 };

static struct scenario *scenario;
static uint64_t most; // records that the watched node had after any step
static const char *watched;

static void
watch(void *arg, struct node *node, const struct event *event)
{
	struct directory_info info;

	oracle_look_at_all(&scenario->oracle);
	if (watched == NULL || node != scenario_node(scenario, watched))
		return;
	core_directory_info(node->core, &info);
	most = info.records > most ? info.records : most;
}

// A root with ${limit}; children are added by add_child.
static void
begin(uint64_t limit)
{
	scenario = scenario_create(BLOCKS);
	scenario->cache_blocks = 256;
	scenario->config.hb_ttl_ms = HB_TTL_MS;
	scenario->config.directory_max = limit;
	scenario->world->hooks.stepped = watch;
	watched = "A";
	most = 0;
	scenario_root(scenario, "A");
}

static void
add_child(const char *name, const char *parent, bool mounts)
{
	scenario_child(scenario, name, parent, 10, 10, mounts);
	scenario_connect(scenario, name);
	scenario_run(scenario, 500);
	scenario_forget(scenario);
}

static void
end(void)
{
	watched = NULL;
	scenario_destroy(scenario);
}

static struct directory_info
directory_of(const char *name)
{
	struct directory_info info;

	core_directory_info(scenario_node(scenario, name)->core, &info);
	return info;
}

// Time for many round trips; their trace is too long to keep.
static void
run_long(void)
{
	for (int i = 0; i < 100; i++) {
		scenario_run(scenario, 100);
		scenario_forget(scenario);
	}
}

// ${name} reads all of the first MANY blocks, many at a time.
static void
read_many(const char *name, char letter)
{
	struct request *reads[MANY / 4];

	for (int i = 0; i < MANY / 4; i++)
		reads[i] = scenario_read_run(scenario, name, (uint64_t)i * 4, 4);
	run_long();
	for (int i = 0; i < MANY / 4; i++)
		request_expect_letter(reads[i], letter);
}

static void
write_many(const char *name, char letter)
{
	struct request *writes[MANY / 4];

	for (int i = 0; i < MANY / 4; i++)
		writes[i] = scenario_write_run(scenario, name, (uint64_t)i * 4, 4, letter);
	run_long();
	for (int i = 0; i < MANY / 4; i++)
		request_expect_ok(writes[i]);
}

static void
read_one(const char *name, uint64_t block, char letter)
{
	struct request *read = scenario_read(scenario, name, block);

	scenario_run(scenario, 500);
	request_expect_letter(read, letter);
}

// R17: C reads a hundred blocks through a directory of eight. They are all read; what B has is its own, and stays.
START_TEST(who_reads_much_pays_for_it)
{
	begin(LIMIT);
	add_child("B", "A", true);
	add_child("C", "A", true);
	read_one("B", 110, '.');
	read_many("C", '.');
	ck_assert_uint_le(most, 2 * LIMIT);
	ck_assert_uint_le(directory_of("A").records, LIMIT);
	scenario_forget(scenario);
	read_one("B", 110, '.');
	ck_assert_uint_eq(scenario_count(scenario, "B -> A  GET"), 0);
	read_many("C", '.'); // and once more, with what it still has
	ck_assert_uint_le(most, 2 * LIMIT);
	end();
}
END_TEST

// What is asked for again stays, in place of what was read once.
START_TEST(what_is_used_again_stays)
{
	begin(LIMIT);
	scenario->config.writeback_ms = 30;
	add_child("C", "A", true);
	for (uint64_t block = 0; block < 40; block++) {
		struct request *write = scenario_write(scenario, "C", 110, (char)('a' + block % 26));

		read_one("C", block, '.');
		request_expect_ok(write);
	}
	ck_assert_uint_eq(scenario_count(scenario, "A -> C  INVALIDATE volume=1 block=110"), 0);
	ck_assert_uint_ge(scenario_count(scenario, "A -> C  INVALIDATE"), 40 - LIMIT);
	end();
}
END_TEST

// R6: what is taken back from a writer comes up first.
START_TEST(writer_of_many_loses_nothing)
{
	struct request *sync;

	begin(LIMIT);
	add_child("C", "A", true);
	add_child("B", "A", true);
	write_many("C", 'c');
	ck_assert_uint_le(most, 2 * LIMIT);
	read_many("B", 'c');
	sync = scenario_sync(scenario, "C");
	scenario_run(scenario, 2000);
	request_expect_ok(sync);
	for (uint64_t block = 0; block < MANY; block++)
		ck_assert_int_eq(scenario_stored(scenario, block), 'c');
	end();
}
END_TEST

// The proxy's directory is full, and the root's: what the proxy takes back from its child it gives back itself.
START_TEST(proxy_with_a_full_directory)
{
	begin(LIMIT);
	scenario->cache_blocks = 4;
	add_child("P", "A", false);
	scenario->cache_blocks = 256;
	add_child("D", "P", true);
	add_child("E", "P", true);
	watched = "P";
	write_many("D", 'd');
	read_many("E", 'd');
	write_many("E", 'e');
	read_many("D", 'e');
	ck_assert_uint_le(most, 2 * LIMIT);
	ck_assert_uint_le(directory_of("P").records, LIMIT);
	ck_assert_uint_le(directory_of("A").records, LIMIT);
	end();
}
END_TEST

// R9: three children, one place: each uses what it is granted before that goes on to the next.
START_TEST(one_place_for_three)
{
	static const char *const names[] = {"B", "C", "D"};
	struct request *writes[3] = {NULL};
	unsigned ended[3] = {0};

	begin(1);
	for (int i = 0; i < 3; i++)
		add_child(names[i], "A", true);
	for (int ms = 0; ms < 4000; ms += 5) {
		for (unsigned i = 0; i < 3; i++) {
			if (writes[i] != NULL && !writes[i]->ended)
				continue;
			ended[i] += writes[i] != NULL;
			if (ended[i] < 12)
				writes[i] = scenario_write_half(scenario, names[i], 10 + ended[i] % 2, 'w');
		}
		scenario_run(scenario, 5);
	}
	for (int i = 0; i < 3; i++)
		ck_assert_msg(ended[i] >= 12, "%s wrote only %u times", names[i], ended[i]);
	ck_assert_uint_le(most, 4);
	end();
}
END_TEST

// F1: C has taken all places and does not answer. B goes on all the same; C is failed when its time is over.
START_TEST(child_that_keeps_everything)
{
	begin(LIMIT);
	add_child("C", "A", true);
	add_child("B", "A", true);
	read_many("C", '.');
	scenario_hold(scenario, "C", "A", true);
	scenario_forget(scenario);
	read_many("B", '.');
	ck_assert_uint_le(most, 4 * LIMIT);
	scenario_hold(scenario, "C", "A", false);
	scenario_run(scenario, 4 * HB_TTL_MS);
	read_many("C", '.');
	ck_assert_uint_le(directory_of("A").records, LIMIT);
	end();
}
END_TEST

// The same with heartbeats that go on: only its answers to recalls do not come.
START_TEST(child_that_answers_no_recall)
{
	struct request *reads[20];

	begin(LIMIT);
	add_child("P", "A", false);
	add_child("C", "P", true);
	add_child("B", "A", true);
	write_many("C", 'c');
	ck_assert_uint_ge(directory_of("A").records, LIMIT / 2);
	scenario_hold(scenario, "C", "P", true); // P can not answer before C's lease is over
	for (unsigned i = 0; i < 20; i++)
		reads[i] = scenario_read(scenario, "B", MANY + i);
	scenario_run(scenario, HB_TTL_MS / 2);
	for (int i = 0; i < 20; i++)
		request_expect_letter(reads[i], '.');
	ck_assert_uint_ge(directory_of("A").open_recalls, 1);
	ck_assert_uint_le(most, 4 * LIMIT);
	scenario_hold(scenario, "C", "P", false);
	scenario_run(scenario, 4 * HB_TTL_MS);
	read_many("B", 'c');
	ck_assert_uint_le(directory_of("A").records, LIMIT);
	end();
}
END_TEST

// A child whose link is gone keeps what it has until its lease is over, and does not stand in the way of others.
START_TEST(absent_child_is_not_asked)
{
	begin(LIMIT);
	add_child("C", "A", true);
	add_child("B", "A", true);
	write_many("C", 'c');
	world_cut(scenario_node(scenario, "C"), 1000, 1000, 1000000);
	scenario_run(scenario, 10);
	for (uint64_t block = 100; block < 120; block++)
		read_one("B", block, '.');
	ck_assert_uint_le(most, 3 * LIMIT);
	scenario_run(scenario, 2000);
	read_many("C", 'c');
	ck_assert_uint_le(directory_of("A").records, LIMIT);
	end();
}
END_TEST

// F6: more is claimed from a root that was started anew than it has places for. All of it is granted, and comes up.
START_TEST(claims_beyond_the_limit)
{
	struct request *sync;

	begin(MANY);
	scenario->config.writeback_ms = 3600 * 1000;
	add_child("C", "A", true);
	write_many("C", 'c');
	ck_assert_uint_eq(directory_of("A").records, MANY);
	scenario_kill(scenario, "A");
	watched = NULL;
	scenario->config.directory_max = 2;
	scenario->config.epoch = 2;
	scenario->config.grace_ms = 2 * HB_TTL_MS;
	scenario_root(scenario, "R");
	scenario_move(scenario, "C", "R");
	scenario_run(scenario, 4 * HB_TTL_MS);
	ck_assert_uint_le(directory_of("R").records, 2);
	sync = scenario_sync(scenario, "C");
	scenario_run(scenario, 2000);
	request_expect_ok(sync);
	for (uint64_t block = 0; block < MANY; block++)
		ck_assert_int_eq(scenario_stored(scenario, block), 'c');
	read_many("C", 'c');
	end();
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("directory");
	TCase *tcase = tcase_create("directory");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, who_reads_much_pays_for_it);
	tcase_add_test(tcase, what_is_used_again_stays);
	tcase_add_test(tcase, writer_of_many_loses_nothing);
	tcase_add_test(tcase, proxy_with_a_full_directory);
	tcase_add_test(tcase, one_place_for_three);
	tcase_add_test(tcase, child_that_keeps_everything);
	tcase_add_test(tcase, child_that_answers_no_recall);
	tcase_add_test(tcase, absent_child_is_not_asked);
	tcase_add_test(tcase, claims_beyond_the_limit);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
