// SPDX-License-Identifier: MIT
// What readers of the core found, and what was found while that was mended: each story failed once.
#include "tests/scenario/inside.h"
#include "tests/scenario/steps.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

// ---- Sessions (F9) ----

// B comes back after its lease, and while its CONNECT is under way a child below makes it send another: the second
// answer must not say RESUMED of a session that is new, or B goes on with copies that were given away.
START_TEST(connect_twice_resumes_nothing)
{
	struct scenario *scenario = steps_create();

	scenario_root(scenario, "A");
	scenario_child(scenario, "B", "A", 100, 100, true);
	scenario_child(scenario, "D", "B", 10, 10, true);
	scenario_connect(scenario, "B");
	steps_child(scenario, "C", "A", true);
	scenario_run(scenario, 500);
	steps_read(scenario, "B", '.');
	world_cut(scenario_node(scenario, "B"), 0, 0, 2 * STEPS_HB_TTL_MS * 1000);
	scenario_run(scenario, 5500);
	steps_write(scenario, "C", 'c');
	scenario_forget(scenario);
	for (int i = 0; i < 200 && scenario_count(scenario, "B -> A  CONNECT") == 0; i++)
		scenario_run(scenario, 20);
	scenario_connect(scenario, "D"); // its CONNECT reaches B while B's is under way
	scenario_run(scenario, 500);
	ck_assert_uint_eq(scenario_count(scenario, "B -> A  CONNECT"), 3); // the third tells its new name
	steps_read(scenario, "B", 'c');
	scenario_destroy(scenario);
}
END_TEST

// B is back, and a child below makes it send a second CONNECT before the first is answered: A's recall, which comes
// between the two answers, must not get lost. C waits for it.
START_TEST(recall_between_two_answers_to_connect)
{
	struct scenario *scenario = steps_create();
	struct request *write;

	scenario_root(scenario, "A");
	scenario_child(scenario, "B", "A", 100, 100, true);
	scenario_child(scenario, "D", "B", 10, 10, true);
	scenario_connect(scenario, "B");
	steps_child(scenario, "C", "A", true);
	scenario_run(scenario, 500);
	steps_read(scenario, "B", '.');
	world_cut(scenario_node(scenario, "B"), 0, 0, 200 * 1000);
	write = scenario_write(scenario, "C", 7, 'c');
	scenario_forget(scenario);
	for (int i = 0; i < 200 && scenario_count(scenario, "B -> A  CONNECT") == 0; i++)
		scenario_run(scenario, 20);
	request_expect_waiting(write);
	scenario_connect(scenario, "D");
	scenario_run(scenario, STEPS_HB_TTL_MS / 2);
	request_expect_ok(write);
	scenario_destroy(scenario);
}
END_TEST

// ---- Versions (R11) ----

// P gave WRITE to C and has no copy; C falls silent with a write that P never saw. D writes next: with a version of its
// own, so that C, back again, learns that its write is lost and does not take D's bytes for its own.
START_TEST(versions_of_a_silent_writer_are_not_reused)
{
	struct scenario *scenario = steps_create();
	struct request *write, *read;

	scenario_root(scenario, "A");
	scenario->config.has_driver = false;
	steps_child(scenario, "P", "A", false);
	scenario->config.has_driver = true;
	steps_keep_dirty(scenario, true);
	steps_child(scenario, "C", "P", true);
	steps_child(scenario, "D", "P", true);
	steps_write(scenario, "C", 'c');
	world_cut(scenario_node(scenario, "C"), 0, 0, 7 * 1000 * 1000);
	scenario_run(scenario, 5000);
	write = scenario_write_half(scenario, "D", 7, 'd');
	scenario_run(scenario, 5000);
	request_expect_ok(write);
	steps_sync(scenario, "C", ERR_LOST);
	read = scenario_read(scenario, "C", 7);
	scenario_run(scenario, 500);
	request_expect_halves(read, 'd', '.');
	scenario_destroy(scenario);
}
END_TEST

// ---- Errors reach whoever waits ----

// B's lease ends while ${sync} bytes of it wait to be sent, and C writes meanwhile.
static struct scenario *
evicted(struct request **ret_write, bool sync)
{
	struct scenario *scenario = steps_create();
	struct request *c;

	scenario_root(scenario, "A");
	steps_keep_dirty(scenario, true);
	steps_child(scenario, "B", "A", true);
	steps_child(scenario, "C", "A", true);
	steps_write(scenario, "B", 'a');
	steps_sync(scenario, "B", ERR_OK);
	scenario_hold(scenario, "B", "A", true);
	*ret_write = sync ? scenario_write_sync(scenario, "B", 7, 'b') : scenario_write(scenario, "B", 7, 'b');
	c = scenario_write(scenario, "C", 7, 'c');
	scenario_run(scenario, 8000);
	request_expect_ok(c);
	world_cut(scenario_node(scenario, "B"), 0, 0, 100 * 1000);
	scenario_hold(scenario, "B", "A", false);
	return scenario;
}

// G3: a synchronous write that was given up is not acknowledged.
START_TEST(lost_synchronous_write_fails)
{
	struct request *write;
	struct scenario *scenario = evicted(&write, true);

	scenario_run(scenario, 6000);
	request_expect_error(write, ERR_IO);
	steps_read(scenario, "B", 'c');
	steps_sync(scenario, "B", ERR_LOST);
	steps_work_again(scenario, "B");
	scenario_destroy(scenario);
}
END_TEST

// The same below a proxy, which had the bytes and lost them: it may not acknowledge them to the writer.
START_TEST(lost_synchronous_write_fails_below_a_proxy)
{
	struct scenario *scenario = steps_create();
	struct request *write;

	steps_root(scenario, "A");
	steps_keep_dirty(scenario, true);
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "C", "P", true);
	steps_write(scenario, "C", 'b');
	scenario_hold(scenario, "P", "A", true);
	write = scenario_write_sync(scenario, "C", 7, 'c');
	scenario_run(scenario, 200);
	request_expect_waiting(write);
	ck_assert_uint_eq(scenario_count(scenario, "P -> A  FLUSH FORCE_SYNC"), 1);
	scenario_kill(scenario, "A");
	steps_root(scenario, "R");
	scenario_move(scenario, "P", "R");
	scenario_hold(scenario, "P", "R", false);
	scenario_run(scenario, 4 * STEPS_HB_TTL_MS);
	ck_assert(write->ended);
	if (write->io.error == ERR_OK)
		ck_assert_int_eq(scenario_stored(scenario, 7), 'c');
	else
		request_expect_error(write, ERR_IO);
	scenario_destroy(scenario);
}
END_TEST

// G1: B's synchronous write of a whole block is on its way to the root when the link falls silent. B goes to P, a child of that
// same root, and the message may arrive there behind what others write meanwhile: then the write has failed, and must not
// have succeeded before. A root that B comes back to closes the old link: it is made again. (seed 1066) _i == 2: P is below X, of
// which it tells B the name before, too, behind the root's.
START_TEST(synchronous_write_that_may_come_late)
{
	enum { LATE_MS = STEPS_HB_TTL_MS * 3 / 4 };
	struct scenario *scenario = steps_create();
	struct request *write;

	scenario->world->moving = true;
	steps_root(scenario, "A");
	steps_keep_dirty(scenario, true);
	if (_i == 2) {
		steps_child(scenario, "G", "A", true);
		steps_child(scenario, "X", "G", true);
	}
	steps_child(scenario, "P", _i == 2 ? "X" : "A", true);
	steps_child(scenario, "B", "A", true);
	if (_i == 2)
		scenario_kill(scenario, "G");
	scenario_run(scenario, STEPS_HB_TTL_MS);
	steps_cut(scenario, "B", "A", _i != 1 ? LATE_MS : 100);
	write = scenario_write_sync(scenario, "B", 7, 'b');
	scenario_run(scenario, 50);
	ck_assert_uint_eq(scenario_count(scenario, "B -> A  PUT FORCE_SYNC"), 1);
	if (_i != 1)
		scenario_move(scenario, "B", "P");
	else
		world_cut(scenario_node(scenario, "B"), 0, 0, 100 * 1000);
	scenario_run(scenario, LATE_MS - 100);
	ck_assert_int_eq(scenario_count(scenario, "B -> P  CONNECT") > 0, _i != 1);
	if (_i != 1)
		request_expect_waiting(write);
	else
		request_expect_ok(write);
	steps_read(scenario, "P", _i != 1 ? '.' : 'b');
	scenario_run(scenario, STEPS_HB_TTL_MS - LATE_MS);
	request_expect_error(write, _i != 1 ? ERR_IO : ERR_OK);
	scenario_destroy(scenario);
}
END_TEST

// The same, but the root is dead, or dies: as soon as P says that another one is above, B writes again. (seed 565511) _i == 1: it
// goes to that one itself, as it has lost P, too. _i == 2: the root lives, and B comes back to it, under another name: it does not
// know that the old link is B's, and so the write still fails with the lease. _i == 3: it is given up before.
START_TEST(synchronous_write_that_can_not_come_late_any_more)
{
	struct scenario *scenario = steps_create();
	struct request *write, *read;

	scenario->world->moving = true;
	steps_root(scenario, "A");
	steps_keep_dirty(scenario, true);
	steps_child(scenario, "P", "A", true);
	if (_i == 3)
		scenario->config.io_timeout_ms = STEPS_HB_TTL_MS / 2;
	steps_child(scenario, "B", "A", true);
	steps_cut(scenario, "B", "A", STEPS_HB_TTL_MS / 4);
	write = scenario_write_sync(scenario, "B", 7, 'b');
	scenario_run(scenario, 50);
	ck_assert_uint_eq(scenario_count(scenario, "B -> A  PUT FORCE_SYNC"), 1);
	steps_leave(scenario, "B", "P", 0);
	scenario_run(scenario, STEPS_HB_TTL_MS / 4);
	ck_assert_uint_eq(scenario_count(scenario, "P -> B  OK_REPLY name"), 2);
	request_expect_waiting(write);
	read = scenario_read(scenario, "B", 7);
	if (_i < 2) {
		scenario_kill(scenario, "A");
		scenario_restart(scenario, "A");
	}
	if (_i == 1)
		scenario_kill(scenario, "P");
	if (_i == 2)
		steps_leave(scenario, "B", "A", 0);
	scenario_run(scenario, STEPS_HB_TTL_MS);
	if (_i == 3)
		request_expect_letter(read, '.');
	scenario_run(scenario, 2 * STEPS_HB_TTL_MS);
	request_expect_error(write, _i < 2 ? ERR_OK : _i == 2 ? ERR_IO : ERR_TIMED_OUT);
	request_expect_letter(read, _i < 2 ? 'b' : '.');
	steps_read(scenario, "B", _i < 2 ? 'b' : '.');
	scenario_destroy(scenario);
}
END_TEST

// Its time is over while the link is broken: it has failed with that. A read behind it is another request, and reads. (seed 101236)
START_TEST(read_behind_a_synchronous_write_that_is_given_up)
{
	enum { TIMEOUT_MS = STEPS_HB_TTL_MS / 2 };
	struct scenario *scenario = steps_create();
	struct request *write, *read;

	scenario->world->moving = true;
	steps_root(scenario, "A");
	steps_keep_dirty(scenario, true);
	steps_child(scenario, "P", "A", true);
	scenario->config.io_timeout_ms = TIMEOUT_MS;
	steps_child(scenario, "B", "A", true);
	steps_cut(scenario, "B", "A", 2 * TIMEOUT_MS);
	write = scenario_write_sync(scenario, "B", 7, 'b');
	scenario_run(scenario, TIMEOUT_MS - 50);
	read = scenario_read(scenario, "B", 7);
	if (_i == 0) { // the link is given up first, or the write
		steps_cut(scenario, "B", "P", 100);
		scenario_move(scenario, "B", "P");
	}
	scenario_run(scenario, 100);
	request_expect_error(write, ERR_TIMED_OUT);
	if (_i == 1)
		scenario_move(scenario, "B", "P");
	scenario_run(scenario, TIMEOUT_MS - 200);
	request_expect_ok(read);
	scenario_destroy(scenario);
}
END_TEST

// B's read has failed with the time, and then fails at the root, whose disk can not be read. It is nothing to a write of the whole
// block behind it, which has not asked for anything yet.
START_TEST(write_behind_a_read_that_is_given_up)
{
	enum { TIMEOUT_MS = 200 };
	struct scenario *scenario = steps_create();
	struct request *read, *write;

	steps_root(scenario, "A");
	steps_keep_dirty(scenario, true);
	scenario->config.io_timeout_ms = TIMEOUT_MS;
	steps_child(scenario, "B", "A", true);
	scenario->disk->fail_reads = 100;
	scenario_hold(scenario, "A", "B", true);
	read = scenario_read(scenario, "B", 7);
	scenario_run(scenario, TIMEOUT_MS - 50);
	write = scenario_write(scenario, "B", 7, 'b');
	scenario_run(scenario, 80);
	request_expect_error(read, ERR_TIMED_OUT);
	scenario_hold(scenario, "A", "B", false);
	scenario_run(scenario, 50);
	request_expect_ok(write);
	steps_sync(scenario, "B", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'b');
	scenario_destroy(scenario);
}
END_TEST

// R11: the same when who waits writes the whole block, and P has to ask for the block anew: it gets it without bytes. (In seed 555
// the version of the written bytes was changed later, while others had them for reading.)
START_TEST(versions_of_a_silent_writer_are_not_reused_by_who_writes_over)
{
	enum { TTL_MS = 300 };
	struct scenario *scenario = steps_create();
	struct request *write, *read;
	version_t version;

	scenario->config.ttl_ms = TTL_MS;
	scenario_root(scenario, "A");
	steps_keep_dirty(scenario, true);
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "C", "P", true);
	steps_child(scenario, "D", "P", true);
	steps_write(scenario, "C", 'c');
	version = inside_version(scenario_node(scenario, "C")->core, 7);
	scenario_kill(scenario, "C");
	scenario_run(scenario, 500);
	write = scenario_write(scenario, "P", 7, 'p');
	read = scenario_read(scenario, "D", 7);
	while (scenario_count(scenario, "P -> A  RECOVER") == 0) // the eviction of C
		scenario_run(scenario, 1);
	scenario_hold(scenario, "A", "P", true);
	scenario_run(scenario, TTL_MS + 100);
	scenario_hold(scenario, "A", "P", false);
	scenario_run(scenario, 500);
	request_expect_ok(write);
	request_expect_letter(read, 'p');
	ck_assert_uint_ge(inside_version(scenario_node(scenario, "P")->core, 7), version + (1 << 20));
	scenario_destroy(scenario);
}
END_TEST

// G2: lost writes are told to all that wait, not to the first alone; also when the second has come while the barrier of the first
// was on its way (1): else that would succeed while nobody knows yet that the first has failed. (seed 519559)
START_TEST(lost_writes_are_told_to_all_who_wait)
{
	struct request *write, *first, *second;
	struct scenario *scenario = evicted(&write, false);

	scenario_forget(scenario);
	first = scenario_sync(scenario, "B");
	while (_i == 1 && scenario_count(scenario, "B -> A  FLUSH FORCE_SYNC") == 0)
		scenario_run(scenario, 1);
	second = scenario_sync(scenario, "B");
	scenario_run(scenario, 6000);
	request_expect_error(first, ERR_LOST);
	request_expect_error(second, ERR_LOST);
	steps_sync(scenario, "B", ERR_OK);
	steps_work_again(scenario, "B");
	scenario_destroy(scenario);
}
END_TEST

// G2: B has written one of two blocks when it is evicted, and its fsync says that writes were lost. The other block is written
// later: the write of both may not succeed then, since no fsync would tell of the first any more. (seed 20780)
START_TEST(write_that_has_lost_a_part_fails)
{
	struct scenario *scenario = steps_create();
	struct request *write, *other;

	scenario_root(scenario, "A");
	steps_keep_dirty(scenario, true);
	steps_child(scenario, "B", "A", true);
	steps_child(scenario, "C", "A", true);
	steps_child(scenario, "D", "A", true);
	steps_write(scenario, "B", 'a');
	steps_write_block(scenario, "D", 8, 'd');
	scenario_hold(scenario, "B", "A", true);
	write = scenario_write_run(scenario, "B", 7, 2, 'b'); // 7 at once
	other = scenario_write(scenario, "C", 7, 'c');
	scenario_run(scenario, 8000);
	request_expect_ok(other);
	scenario_hold(scenario, "D", "A", true);
	world_cut(scenario_node(scenario, "B"), 0, 0, 100 * 1000);
	scenario_hold(scenario, "B", "A", false);
	scenario_run(scenario, 1000);
	steps_sync(scenario, "B", ERR_LOST);
	request_expect_waiting(write);
	scenario_hold(scenario, "D", "A", false);
	scenario_run(scenario, 1000);
	request_expect_error(write, ERR_LOST);
	steps_sync(scenario, "B", ERR_OK);
	steps_work_again(scenario, "B");
	scenario_destroy(scenario);
}
END_TEST

// C gives the block up with its FLUSH, and the FLUSH is refused: the bytes are neither forgotten nor stuck, and who
// waits for them is told. (P has taken them, and loses them with the session at a root that is killed.)
START_TEST(flush_refused_after_the_permission_was_given_up)
{
	struct scenario *scenario = steps_create();
	struct request *write, *read, *sync;

	steps_root(scenario, "A");
	steps_keep_dirty(scenario, true);
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "C", "P", true);
	steps_child(scenario, "E", "P", true);
	steps_write(scenario, "C", 'b');
	scenario_hold(scenario, "P", "A", true);
	write = scenario_write_sync(scenario, "C", 7, 'c');
	scenario_run(scenario, 5);
	read = scenario_read(scenario, "E", 7);
	scenario_run(scenario, 200);
	request_expect_waiting(write);
	request_expect_letter(read, 'c');
	scenario_kill(scenario, "A");
	steps_root(scenario, "R");
	scenario_move(scenario, "P", "R");
	scenario_forget(scenario);
	scenario_hold(scenario, "P", "R", false);
	sync = scenario_sync(scenario, "C");
	scenario_run(scenario, 10 * STEPS_HB_TTL_MS);
	ck_assert_uint_ge(scenario_count(scenario, "P -> C  ERR_REPLY"), 1);
	request_expect_error(write, ERR_IO);
	request_expect_error(sync, ERR_LOST); // told once
	steps_sync(scenario, "C", ERR_OK);
	steps_work_again(scenario, "C");
	scenario_destroy(scenario);
}
END_TEST

// ---- Leaving ----

// G5: B's GET waits for the store of A when A is asked to stop, and the store is done while A still recalls another
// block: B may not be given what nobody recalls any more. It is refused, and A leaves.
START_TEST(stop_while_a_child_waits)
{
	struct scenario *scenario = steps_create();
	struct request *other, *read;

	scenario_root(scenario, "A");
	steps_child(scenario, "B", "A", true);
	other = scenario_read(scenario, "B", 3);
	scenario_run(scenario, 100);
	request_expect_ok(other);
	scenario->disk->latency_us = 500 * 1000;
	read = scenario_read(scenario, "B", 7);
	scenario_run(scenario, 15);
	request_expect_waiting(read); // the store reads
	scenario_hold(scenario, "B", "A", true);
	world_stop(scenario_node(scenario, "A"));
	scenario_run(scenario, 2000);
	ck_assert(!scenario_node(scenario, "A")->stopped);
	scenario_hold(scenario, "B", "A", false);
	scenario_run(scenario, 2 * STEPS_HB_TTL_MS); // B has dialled anew meanwhile, as nothing came from A
	ck_assert(scenario_node(scenario, "A")->stopped);
	scenario_destroy(scenario);
}
END_TEST

// C is asked to stop and goes to A. All is durable as soon as its barrier has been answered, but its new name is on its way: the
// answer to that CONNECT is not the one to a DISCONNECT. (It was taken for that: C was gone without having left.)
START_TEST(stop_while_the_new_name_is_told)
{
	struct scenario *scenario = steps_create();

	steps_root(scenario, "A");
	scenario->disk->sync_us = 5000;
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "B", "A", true);
	steps_child(scenario, "C", "P", true);
	steps_write_block(scenario, "C", 3, 'c');
	steps_sync(scenario, "C", ERR_OK);
	steps_write_block(scenario, "C", 5, 'c');
	steps_read_block(scenario, "B", 5, 'c');
	scenario_forget(scenario);
	steps_leave(scenario, "C", "A", 100);
	world_stop(scenario_node(scenario, "C"));
	scenario_run(scenario, 1000);
	ck_assert(scenario_node(scenario, "C")->stopped);
	ck_assert_uint_eq(scenario_count(scenario, "C -> A  DISCONNECT"), 1);
	ck_assert_int_eq(scenario_stored(scenario, 5), 'c');
	scenario_destroy(scenario);
}
END_TEST

// ---- Memory ----

// A proxy has nothing more to say of blocks that neither its cache nor anybody below holds, however many went through it.
START_TEST(table_of_a_proxy_is_bounded)
{
	struct scenario *scenario = scenario_create(128);
	struct volume_info info;

	scenario->cache_blocks = 4;
	scenario->config.ttl_ms = 1200 * 1000;
	scenario_root(scenario, "A");
	scenario->config.has_driver = false;
	steps_child(scenario, "P", "A", false);
	scenario->config.has_driver = true;
	steps_child(scenario, "C", "P", true);
	for (unsigned block = 0; block < 128; block++) {
		scenario_read(scenario, "C", block);
		scenario_run(scenario, 300);
	}
	core_volume_info(scenario_node(scenario, "P")->core, 0, scenario->world->now, &info);
	ck_assert_uint_le(info.table_blocks, 32);
	ck_assert_uint_le(info.blocks_held_read, 32);
	scenario_destroy(scenario);
}
END_TEST

// Nor has a root that stops, and refuses what comes, of the blocks that it has refused.
START_TEST(table_of_a_root_that_stops_is_bounded)
{
	struct scenario *scenario = steps_create();
	struct volume_info info;

	scenario_root(scenario, "A");
	steps_child(scenario, "B", "A", true);
	steps_child(scenario, "C", "A", true);
	steps_read(scenario, "B", '.');
	scenario_hold(scenario, "B", "A", true); // A waits for its answer
	world_stop(scenario_node(scenario, "A"));
	for (unsigned block = 8; block < 16; block++)
		scenario_write_sync(scenario, "C", block, 'c');
	scenario_run(scenario, 100);
	ck_assert_uint_eq(scenario_count(scenario, "A -> C  ERR_REPLY"), 8);
	core_volume_info(scenario_node(scenario, "A")->core, 0, scenario->world->now, &info);
	ck_assert_uint_eq(info.table_blocks, 1);
	scenario_destroy(scenario);
}
END_TEST

// A proxy learns of volumes from its children. Names that the parent refuses must not use up its room.
START_TEST(refused_volumes_make_room)
{
	struct scenario *scenario = steps_create();
	static const char *const strangers[] = {"X", "Y"};

	scenario_root(scenario, "A");
	scenario->config.has_driver = false;
	steps_child(scenario, "P", "A", false);
	for (unsigned i = 0; i < 2; i++) {
		scenario_child(scenario, strangers[i], "P", 10, 10, false);
		for (unsigned k = 0; k < 40; k++) {
			char name[16];

			snprintf(name, sizeof name, "none-%s-%u", strangers[i], k);
			ck_assert(core_add_child_volume(scenario_node(scenario, strangers[i])->core, name, false) >= 0);
		}
		scenario_connect(scenario, strangers[i]);
		scenario_run(scenario, 1000);
	}
	scenario->config.has_driver = true;
	steps_child(scenario, "C", "P", true);
	steps_write(scenario, "C", 'c');
	steps_sync(scenario, "C", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'c');
	scenario_destroy(scenario);
}
END_TEST

// ---- The store ----

// A read of the root's store is overtaken by a write of the same block, which is brought to the disk and leaves the
// cache before the read ends: the old bytes that it brings are not taken.
START_TEST(store_read_overtaken_by_a_write)
{
	struct scenario *scenario = steps_create();
	struct request *read;

	scenario->cache_blocks = 4;
	scenario_root(scenario, "A");
	scenario->disk->early_reads = true;
	scenario->disk->latency_us = 30 * 1000 * 1000;
	read = scenario_read(scenario, "A", 7);
	request_expect_waiting(read);
	world_cancel(&read->io);
	scenario->disk->latency_us = 0;
	steps_write(scenario, "A", 'a');
	for (unsigned block = 8; block < 16; block++) {
		scenario_read(scenario, "A", block);
		scenario_run(scenario, 100);
	}
	scenario_run(scenario, 600 * 1000); // the first read has ended long ago
	steps_read(scenario, "A", 'a');
	steps_sync(scenario, "A", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'a');
	scenario_destroy(scenario);
}
END_TEST

// R9: B and C want to write one block, and have no room for it before the disk has synced what they wrote before. So long they do
// not take it from each other: neither could use it. (They did, as fast as messages go.)
START_TEST(writers_without_room_do_not_ask)
{
	struct scenario *scenario = steps_create();
	struct request *writes[2];

	steps_root(scenario, "A");
	scenario->config.dirty_max = 1;
	steps_child(scenario, "B", "A", true);
	steps_child(scenario, "C", "A", true);
	scenario->disk->sync_us = 5000 * 1000;
	steps_write_block(scenario, "B", 1, 'b');
	steps_write_block(scenario, "C", 2, 'c');
	scenario_forget(scenario);
	writes[0] = scenario_write(scenario, "B", 7, 'b');
	writes[1] = scenario_write(scenario, "C", 7, 'c');
	scenario_run(scenario, 2000);
	request_expect_waiting(writes[0]);
	request_expect_waiting(writes[1]);
	ck_assert_uint_eq(scenario_count(scenario, "block=7"), 0);
	scenario_run(scenario, 30 * 1000);
	request_expect_ok(writes[0]);
	request_expect_ok(writes[1]);
	scenario_destroy(scenario);
}
END_TEST

// R9: the link from P to C is full. So long P does not ask for what C wants to read: it could not give it on, and takes it from who writes.
// (It did, as fast as messages go: seed 1621070.)
START_TEST(readers_without_room_are_not_asked_for)
{
	struct scenario *scenario = steps_create();
	struct request *read;
	struct event room = {.type = EVENT_LINK_ROOM, .queued_size = LIMIT_LINK_DATA_SIZE};
	struct node *p;

	steps_root(scenario, "A");
	steps_child(scenario, "B", "A", true);
	steps_child(scenario, "P", "A", false);
	steps_child(scenario, "C", "P", true);
	p = scenario_node(scenario, "P");
	room.link = inside_link(p->core);
	world_step(p, &room);
	scenario_forget(scenario);
	read = scenario_read(scenario, "C", 7);
	scenario_run(scenario, 1000);
	ck_assert_uint_eq(scenario_count(scenario, "C -> P  GET"), 1);
	ck_assert_uint_eq(scenario_count(scenario, "P -> A  GET"), 0);
	steps_write(scenario, "B", 'b');
	room.queued_size = 0;
	world_step(p, &room);
	scenario_run(scenario, 500);
	request_expect_letter(read, 'b');
	scenario_destroy(scenario);
}
END_TEST

// ---- Runs ----

// A synchronous write of four blocks that C has for writing goes up as one FLUSH, through P too, and not block by block
// from its end.
START_TEST(synchronous_write_goes_up_in_one_run)
{
	struct scenario *scenario = steps_create();
	struct request *write;

	scenario->world->moving = true;
	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", false);
	scenario->config.write_mode = WRITE_SYNC;
	steps_child(scenario, "C", "P", true);
	for (int i = 0; i < 2; i++) {
		write = scenario_write_run(scenario, "C", 4, 4, 'a' + (char)i);
		scenario_run(scenario, 500);
		request_expect_ok(write);
		ck_assert_uint_eq(scenario_count(scenario, "C -> P  FLUSH"), 1);
		ck_assert_uint_eq(scenario_count(scenario, "P -> A  FLUSH"), 1);
		scenario_forget(scenario);
	}
	ck_assert_int_eq(scenario_stored(scenario, 5), '.'); // in the root's memory
	steps_sync(scenario, "C", ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 5), 'b');
	scenario_destroy(scenario);
}
END_TEST

// R9: B's synchronous write has been applied when the link breaks, and there is no room at B when the session goes on. The write is
// made again all the same before B gives the block back: what C writes after it has read that stays. (seed 880663)
START_TEST(put_with_bytes_is_made_again_without_room)
{
	struct scenario *scenario = steps_create();
	struct request *write, *other, *read;

	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	scenario->config.dirty_max = 1;
	scenario_child(scenario, "B", "A", 10, 10, true);
	scenario_connect(scenario, "B");
	scenario->config.dirty_max = 8192;
	steps_child(scenario, "C", "A", true);
	steps_write_block(scenario, "B", 3, 'x');
	steps_sync(scenario, "B", ERR_OK);
	scenario_forget(scenario);
	write = scenario_write_sync(scenario, "B", 7, 'b');
	other = scenario_write(scenario, "B", 3, 'y');
	while (scenario_count(scenario, "A -> B  OK_REPLY volume=1 block=7 perm=WRITE") == 0)
		scenario_run(scenario, 1);
	request_expect_ok(other);
	world_cut(scenario_node(scenario, "B"), 0, 0, 100 * 1000);
	scenario_run(scenario, 20);
	read = scenario_read(scenario, "C", 7);
	scenario->disk->sync_us = 500 * 1000;
	scenario_run(scenario, 300);
	request_expect_letter(read, 'b');
	steps_write_block(scenario, "C", 7, 'c');
	scenario_run(scenario, 2000);
	request_expect_ok(write);
	steps_read_block(scenario, "C", 7, 'c');
	steps_read_block(scenario, "B", 7, 'c');
	scenario_destroy(scenario);
}
END_TEST

// R6: B has given the block back, with its bytes, and has written it anew by a PUT; all of that arrives, and no answer comes back. When
// the link does, the PUT is made again, and so is the FLUSH, behind it: that must not give back what the PUT has been granted.
// (Seed 1023023)
START_TEST(flush_behind_a_put_that_is_made_again)
{
	struct scenario *scenario = steps_create();
	struct request *a, *write;

	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "B", "A", true);
	steps_write(scenario, "B", 'b');
	scenario_hold(scenario, "B", "A", true);
	a = scenario_write(scenario, "A", 7, 'a');
	scenario_run(scenario, 100);
	write = scenario_write_sync(scenario, "B", 7, 'B');
	scenario_run(scenario, 100);
	scenario_deliver(scenario, "B", "A", 100);
	scenario_run(scenario, 5);
	request_expect_ok(a);
	world_cut(scenario_node(scenario, "B"), 0, 0, 10 * 1000);
	scenario_hold(scenario, "B", "A", false);
	scenario_run(scenario, 1000);
	request_expect_ok(write);
	steps_write(scenario, "A", 'c');
	steps_read(scenario, "B", 'c');
	scenario_destroy(scenario);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("found");
	TCase *tcase = tcase_create("found");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, connect_twice_resumes_nothing);
	tcase_add_test(tcase, recall_between_two_answers_to_connect);
	tcase_add_test(tcase, versions_of_a_silent_writer_are_not_reused);
	tcase_add_test(tcase, versions_of_a_silent_writer_are_not_reused_by_who_writes_over);
	tcase_add_test(tcase, lost_synchronous_write_fails);
	tcase_add_test(tcase, lost_synchronous_write_fails_below_a_proxy);
	tcase_add_loop_test(tcase, read_behind_a_synchronous_write_that_is_given_up, 0, 2);
	tcase_add_test(tcase, write_behind_a_read_that_is_given_up);
	tcase_add_loop_test(tcase, synchronous_write_that_may_come_late, 0, 3);
	tcase_add_loop_test(tcase, synchronous_write_that_can_not_come_late_any_more, 0, 4);
	tcase_add_loop_test(tcase, lost_writes_are_told_to_all_who_wait, 0, 2);
	tcase_add_test(tcase, write_that_has_lost_a_part_fails);
	tcase_add_test(tcase, flush_refused_after_the_permission_was_given_up);
	tcase_add_test(tcase, stop_while_a_child_waits);
	tcase_add_test(tcase, stop_while_the_new_name_is_told);
	tcase_add_test(tcase, table_of_a_proxy_is_bounded);
	tcase_add_test(tcase, table_of_a_root_that_stops_is_bounded);
	tcase_add_test(tcase, refused_volumes_make_room);
	tcase_add_test(tcase, store_read_overtaken_by_a_write);
	tcase_add_test(tcase, writers_without_room_do_not_ask);
	tcase_add_test(tcase, readers_without_room_are_not_asked_for);
	tcase_add_test(tcase, synchronous_write_goes_up_in_one_run);
	tcase_add_test(tcase, put_with_bytes_is_made_again_without_room);
	tcase_add_test(tcase, flush_behind_a_put_that_is_made_again);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
