// SPDX-License-Identifier: MIT
// How a store was left: what its record tells the next root about leases and evictions, in every way it can be left, and
// that a damaged record is never taken for a good one.
#include "store/metadata.h"
#include "store_help.h"

#include "core/limits.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LEASE_MS = 4321 };

enum { RECLAIMS = 3 };

static const struct eviction evicted[] = {{1, 2}, {UINT64_MAX, 3}, {0xa1b2c3d4e5f60718, UINT64_MAX}};
static const struct reclaim reclaims[RECLAIMS] = {
	{1, 2, 3, 0, RECLAIM_CLAIM}, {1, UINT64_MAX, 1, VERSION_MAX, RECLAIM_BYTES}, {UINT64_MAX, 0, UINT64_MAX, 0, RECLAIM_PUT}};

// ---- Helpers and assertions ----

static const char *
metadata_path(void)
{
	static char path[PATH_MAX + 8];

	snprintf(path, sizeof(path), "%s.hvfs", help_path);
	return path;
}

static void
create(void)
{
	ck_assert_msg(store_create(help_path, MIB, 4096, help_error, sizeof(help_error)) == 0, "%s", help_error);
}

static void
spill(const char *bytes, size_t size)
{
	FILE *file = fopen(metadata_path(), "we");

	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
	ck_assert_int_eq(fclose(file), 0);
}

static size_t
slurp(char *bytes, size_t size_max)
{
	FILE *file = fopen(metadata_path(), "re");
	size_t size;

	ck_assert_ptr_nonnull(file);
	size = fread(bytes, 1, size_max, file);
	fclose(file);
	return size;
}

// ${head} and the line with its digest: a record nobody has damaged.
static void
spill_record(const char *head)
{
	uint8_t digest[16];
	char hex[33], text[1024];

	ck_assert_int_ge(sodium_init(), 0);
	crypto_generichash(digest, sizeof(digest), (const uint8_t *)head, strlen(head), NULL, 0);
	sodium_bin2hex(hex, sizeof(hex), digest, sizeof(digest));
	snprintf(text, sizeof(text), "%sdigest %s\n", head, hex);
	spill(text, strlen(text));
}

static struct store *
open_left(bool read_only, bool clean, uint32_t hb_ttl_ms, size_t evictions)
{
	struct store *store = help_open(0, read_only);

	ck_assert_int_eq(store->clean_before, clean);
	ck_assert_uint_eq(store->hb_ttl_before_ms, hb_ttl_ms);
	ck_assert_uint_eq(store->eviction_count, evictions);
	for (size_t i = 0; i < evictions; i++) {
		ck_assert_uint_eq(store->evictions[i].node_id, evicted[i].node_id);
		ck_assert_uint_eq(store->evictions[i].session, evicted[i].session);
	}
	return store;
}

static void
close_store(struct store *store)
{
	store->ops->close(store);
}

static void
set_lease(struct store *store, uint32_t hb_ttl_ms)
{
	ck_assert_msg(store_set_lease(store, hb_ttl_ms, help_error, sizeof(help_error)) == 0, "%s", help_error);
}

// A root that gave leases and evicted ${count} has died.
static void
serve_and_die(size_t count)
{
	struct store *store = help_open(0, false);

	set_lease(store, LEASE_MS);
	if (count > 0)
		ck_assert_int_eq(store_record(store, evicted, count), 0);
	close_store(store);
}

// ---- Cases ----

START_TEST(test_fresh)
{
	struct stat status;

	create();
	close_store(open_left(true, true, 0, 0));
	close_store(open_left(false, true, 0, 0));
	close_store(open_left(false, true, 0, 0)); // opened, and nothing was given to anybody
	ck_assert_int_eq(stat(metadata_path(), &status), 0);
	ck_assert_int_eq(status.st_mode & 0777, 0600);
}
END_TEST

START_TEST(test_died)
{
	struct store *store;

	create();
	serve_and_die(0);
	close_store(open_left(true, false, LEASE_MS, 0));
	close_store(open_left(false, false, LEASE_MS, 0)); // once more, before it gave anything
	store = open_left(false, false, LEASE_MS, 0);
	set_lease(store, LEASE_MS - 1); // those of before may still run
	close_store(store);
	store = open_left(false, false, LEASE_MS, 0);
	set_lease(store, LEASE_MS + 1);
	ck_assert_uint_eq(store->hb_ttl_before_ms, LEASE_MS); // what was before stays what was before
	close_store(store);
	close_store(open_left(false, false, LEASE_MS + 1, 0));
}
END_TEST

START_TEST(test_left_in_order)
{
	struct store *store;

	create();
	serve_and_die(0);
	store = open_left(false, false, LEASE_MS, 0);
	set_lease(store, LEASE_MS);
	ck_assert_int_eq(store_set_clean(store), 0);
	close_store(store);
	store = open_left(false, true, 0, 0);
	ck_assert_uint_eq(store->epoch, 3);
	set_lease(store, 5);
	close_store(store);
	close_store(open_left(false, false, 5, 0));
}
END_TEST

START_TEST(test_evictions)
{
	struct store *store;

	create();
	serve_and_die(2);
	store = open_left(false, false, LEASE_MS, 2);
	ck_assert_int_eq(store_record(store, evicted, 2), 0); // are there
	ck_assert_uint_eq(store->eviction_count, 2);
	ck_assert_int_eq(store_record(store, evicted, 3), 0);
	ck_assert_uint_eq(store->eviction_count, 3);
	ck_assert_int_eq(store_raise_epoch(store, 17, help_error, sizeof(help_error)), 0);
	close_store(store);
	store = open_left(false, false, LEASE_MS, 3);
	ck_assert_uint_eq(store->epoch, 18);
	ck_assert_int_eq(store_set_clean(store), 0);
	close_store(store);
	close_store(open_left(false, true, 0, 0));
}
END_TEST

// Since when claims count: from the open that follows a stop in order; else as it was, until a grace time ends.
START_TEST(test_claims_since)
{
	struct store *store;

	create();
	serve_and_die(0); // epoch 1
	store = open_left(false, false, LEASE_MS, 0);
	ck_assert_uint_eq(store->claims_since, 1);
	close_store(store); // dies in its grace time
	store = open_left(false, false, LEASE_MS, 0);
	ck_assert_uint_eq(store->claims_since, 1);
	ck_assert_int_eq(store_end_grace(store, store->epoch, NULL, 0), 0);
	ck_assert_int_eq(store_end_grace(store, 2, reclaims, 1), 0); // it never goes back
	ck_assert_uint_eq(store->reclaim_count, 0);
	ck_assert_int_eq(store_record(store, evicted, 1), 0);
	close_store(store);
	store = open_left(false, false, LEASE_MS, 1);
	ck_assert_uint_eq(store->claims_since, 3);
	ck_assert_int_eq(store_set_clean(store), 0);
	close_store(store);
	store = open_left(false, true, 0, 0);
	ck_assert_uint_eq(store->claims_since, store->epoch);
	close_store(store);
	store = help_open(0, true);
	ck_assert_int_eq(store_end_grace(store, 9, reclaims, 1), 0); // read-only: nothing to record
	ck_assert_uint_eq(store->reclaim_count, 0);
	close_store(store);
}
END_TEST

static void
assert_reclaims(const struct store *store, size_t count)
{
	ck_assert_uint_eq(store->reclaim_count, count);
	for (size_t i = 0; i < count; i++) {
		ck_assert_uint_eq(store->reclaims[i].node_id, reclaims[i].node_id);
		ck_assert_uint_eq(store->reclaims[i].kind, reclaims[i].kind);
		ck_assert_uint_eq(store->reclaims[i].block, reclaims[i].block);
		ck_assert_uint_eq(store->reclaims[i].count, reclaims[i].count);
		ck_assert_uint_eq(store->reclaims[i].version, reclaims[i].version);
	}
}

// What was claimed in a grace time stays on record until the next one ends, somebody is evicted after it, or the root leaves.
START_TEST(test_reclaims)
{
	struct store *store;

	create();
	serve_and_die(1); // epoch 1
	store = open_left(false, false, LEASE_MS, 1);
	assert_reclaims(store, 0);
	ck_assert_int_eq(store_end_grace(store, store->epoch, reclaims, RECLAIMS), 0);
	assert_reclaims(store, RECLAIMS);
	close_store(store);
	store = open_left(false, false, LEASE_MS, 1);
	assert_reclaims(store, RECLAIMS);
	ck_assert_int_eq(store_record(store, evicted, 2), 0); // in the grace time
	assert_reclaims(store, RECLAIMS);
	close_store(store); // dies in it
	store = open_left(false, false, LEASE_MS, 2);
	assert_reclaims(store, RECLAIMS);
	ck_assert_int_eq(store_end_grace(store, store->epoch, reclaims, 1), 0);
	close_store(store);
	store = open_left(false, false, LEASE_MS, 2);
	assert_reclaims(store, 1);
	ck_assert_int_eq(store_end_grace(store, store->epoch, reclaims, RECLAIMS), 0);
	ck_assert_int_eq(store_record(store, evicted, 3), 0);
	assert_reclaims(store, 0);
	close_store(store);
	store = open_left(false, false, LEASE_MS, 3);
	assert_reclaims(store, 0);
	ck_assert_int_eq(store_end_grace(store, store->epoch, reclaims, RECLAIMS), 0);
	ck_assert_int_eq(store_set_clean(store), 0);
	close_store(store);
	store = open_left(false, true, 0, 0);
	assert_reclaims(store, 0);
	close_store(store);
}
END_TEST

START_TEST(test_reclaims_limit)
{
	struct reclaim *many = calloc(LIMIT_RECLAIMS + 1, sizeof(*many));
	struct store *store;

	ck_assert_ptr_nonnull(many);
	for (uint64_t i = 0; i <= LIMIT_RECLAIMS; i++)
		many[i] = (struct reclaim){UINT64_MAX - i, UINT64_MAX - i, UINT64_MAX, VERSION_MAX, RECLAIM_BYTES};
	create();
	serve_and_die(0);
	store = help_open(0, false);
	ck_assert_int_eq(store_end_grace(store, store->epoch, many, LIMIT_RECLAIMS + 1), 0); // the others are told, as if it were not there
	close_store(store);
	store = help_open(0, false);
	ck_assert_uint_eq(store->reclaim_count, LIMIT_RECLAIMS);
	ck_assert_int_eq(memcmp(store->reclaims, many, LIMIT_RECLAIMS * sizeof(*many)), 0);
	close_store(store);
	free(many);
}
END_TEST

START_TEST(test_evictions_limit)
{
	struct eviction *many = calloc(LIMIT_EVICTIONS + 1, sizeof(*many));
	struct store *store;

	ck_assert_ptr_nonnull(many);
	create();
	store = help_open(0, false);
	set_lease(store, LEASE_MS);
	for (uint64_t i = 0; i <= LIMIT_EVICTIONS; i++)
		many[i] = (struct eviction){UINT64_MAX - i, i};
	ck_assert_int_eq(store_record(store, many, LIMIT_EVICTIONS - 1), 0);
	ck_assert_int_eq(store_record(store, many + LIMIT_EVICTIONS - 1, 2), ENOBUFS); // all or none
	ck_assert_uint_eq(store->eviction_count, LIMIT_EVICTIONS - 1);
	ck_assert_int_eq(store_record(store, many, LIMIT_EVICTIONS), 0);
	ck_assert_int_eq(store_record(store, many + LIMIT_EVICTIONS, 1), ENOBUFS);
	ck_assert_int_eq(store_record(store, many, LIMIT_EVICTIONS), 0); // known ones need no room
	close_store(store);
	store = help_open(0, false);
	ck_assert_uint_eq(store->eviction_count, LIMIT_EVICTIONS);
	ck_assert_int_eq(memcmp(store->evictions, many, LIMIT_EVICTIONS * sizeof(*many)), 0);
	close_store(store);
	free(many);
}
END_TEST

// A root that can not write, after one that could and has died: it records no more than its own lease, and takes nothing back.
START_TEST(test_read_only)
{
	struct store *store;

	create();
	serve_and_die(1);
	store = open_left(true, false, LEASE_MS, 1);
	set_lease(store, 2 * LEASE_MS);
	ck_assert_int_eq(store_record(store, evicted, 1), EROFS);
	ck_assert_int_eq(store_set_clean(store), 0);
	close_store(store);
	store = open_left(false, false, 2 * LEASE_MS, 1);
	ck_assert_uint_eq(store->epoch, 2);
	close_store(store);
}
END_TEST

// Its readers may go on for a lease after it has died; who writes next knows of them. Nobody holds anything for writing.
START_TEST(test_readers_are_left)
{
	struct store *store;

	create();
	close_store(open_left(false, true, 0, 0)); // gave no lease
	store = open_left(true, true, 0, 0);
	set_lease(store, LEASE_MS);
	close_store(store);
	store = open_left(false, true, LEASE_MS, 0);
	ck_assert_uint_eq(store->claims_since, store->epoch);
	set_lease(store, 5);
	close_store(store);
	store = open_left(false, false, LEASE_MS, 0);
	ck_assert_int_eq(store_set_clean(store), 0);
	close_store(store);
	close_store(open_left(false, true, 0, 0));
}
END_TEST

// When it leaves in order its own readers are gone. Those of another one may not be, whether that is still there, or was.
START_TEST(test_readers_leave)
{
	struct store *store, *other;

	create();
	store = open_left(true, true, 0, 0);
	set_lease(store, LEASE_MS);
	ck_assert_int_eq(store_set_clean(store), 0);
	close_store(store);
	store = open_left(true, true, 0, 0);
	set_lease(store, LEASE_MS);
	other = open_left(true, true, LEASE_MS, 0);
	ck_assert_int_eq(store_set_clean(store), 0); // the other has given nothing yet, but may
	set_lease(other, 5);
	close_store(store);
	store = open_left(true, true, LEASE_MS + 1, 0);
	ck_assert_int_eq(store_set_clean(other), 0); // this is not all his
	close_store(other);
	close_store(store);
	store = open_left(false, true, LEASE_MS + 1, 0);
	ck_assert_int_eq(store_set_clean(store), 0);
	close_store(store);
	store = open_left(true, true, 0, 0);
	set_lease(store, LEASE_MS);
	other = open_left(true, true, LEASE_MS, 0);
	set_lease(other, LEASE_MS);
	close_store(other); // it dies
	ck_assert_int_eq(store_set_clean(store), 0);
	close_store(store);
	close_store(open_left(false, true, LEASE_MS + 1, 0));
}
END_TEST

// A new volume of an old name: nobody holds anything of it.
START_TEST(test_create_again)
{
	struct store *store;

	create();
	serve_and_die(3);
	unlink(help_path);
	create();
	store = open_left(false, true, 0, 0);
	ck_assert_uint_eq(store->epoch, 2);
	close_store(store);
}
END_TEST

// The record is as large as the reclaims make it: where there is no room for them, the grace time ends all the same.
START_TEST(test_no_room_for_reclaims)
{
	struct reclaim *many = calloc(LIMIT_RECLAIMS, sizeof(*many));
	struct store *store;

	ck_assert_ptr_nonnull(many);
	if (!help_mount("tmpfs", "size=4m"))
		return;
	for (uint64_t i = 0; i < LIMIT_RECLAIMS; i++)
		many[i] = (struct reclaim){UINT64_MAX - i, UINT64_MAX - i, UINT64_MAX, VERSION_MAX, RECLAIM_BYTES};
	create();
	serve_and_die(1);
	store = open_left(false, false, LEASE_MS, 1);
	ck_assert_int_eq(store_end_grace(store, store->epoch, many, LIMIT_RECLAIMS), 0);
	assert_reclaims(store, 0);
	ck_assert_uint_eq(store->claims_since, store->epoch);
	ck_assert_int_eq(store_end_grace(store, store->epoch, reclaims, RECLAIMS), 0);
	close_store(store);
	store = open_left(false, false, LEASE_MS, 1);
	assert_reclaims(store, RECLAIMS);
	close_store(store);
	free(many);
}
END_TEST

// What can not be recorded is said, and what was on record stays.
START_TEST(test_no_room)
{
	char filler[PATH_MAX + 8];
	FILE *file;
	struct store *store;

	if (!help_mount("tmpfs", "size=4m,nr_inodes=6")) // the directory, the volume, its record and the next record, its log
		return;
	create();
	serve_and_die(1);
	store = open_left(false, false, LEASE_MS, 1);
	snprintf(filler, sizeof(filler), "%s.filler", help_path);
	file = fopen(filler, "we");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(store_record(store, evicted, 2), ENOSPC);
	ck_assert_uint_eq(store->eviction_count, 1);
	ck_assert_int_eq(store_set_clean(store), ENOSPC);
	ck_assert_int_eq(store_set_lease(store, LEASE_MS + 1, help_error, sizeof(help_error)), -1);
	ck_assert_msg(strstr(help_error, metadata_path()) != NULL, "no path in: %s", help_error);
	close_store(store);
	fclose(file);
	unlink(filler);
	close_store(open_left(false, false, LEASE_MS, 1));
}
END_TEST

// A record of the format before: how its root left is not known, so it did not leave in order, unless there was none.
START_TEST(test_old_format)
{
	struct store *store;

	create();
	spill_record("hvfs store 1\nsize 1048576\nblock_size 4096\nepoch 0\n");
	close_store(open_left(true, true, 0, 0));
	close_store(open_left(false, true, 0, 0));
	spill_record("hvfs store 1\nsize 1048576\nblock_size 4096\nepoch 6\n");
	close_store(open_left(true, false, 30000, 0));
	store = open_left(false, false, 30000, 0);
	ck_assert_uint_eq(store->epoch, 7);
	set_lease(store, 100);
	close_store(store);
	close_store(open_left(false, false, 30000, 0));
}
END_TEST

// Each byte changed in each bit, and every length that is too short.
START_TEST(test_damaged)
{
	char good[1024], bad[1024];
	struct metadata metadata;
	size_t size;

	create();
	serve_and_die(3);
	size = slurp(good, sizeof(good));
	ck_assert_uint_lt(size, sizeof(good));
	for (size_t i = 0; i < size; i++) {
		for (int bit = 0; bit < 8; bit++) {
			memcpy(bad, good, size);
			bad[i] = (char)(bad[i] ^ 1 << bit);
			spill(bad, size);
			ck_assert_int_eq(metadata_read(metadata_path(), &metadata), EBADMSG);
		}
		spill(good, i);
		ck_assert_int_eq(metadata_read(metadata_path(), &metadata), EBADMSG);
	}
	memcpy(bad, good, size);
	bad[size] = '\n';
	spill(bad, size + 1);
	help_open_fails(false, "is damaged");
	spill(good, size);
	close_store(open_left(false, false, LEASE_MS, 3));
}
END_TEST

// Not damaged on the way, but nothing that this program writes: with a right digest it is refused all the same.
START_TEST(test_foreign)
{
#define HEAD "hvfs store 2\nsize 1048576\nblock_size 4096\nepoch 6\n"
#define NOW "hvfs store 4\nsize 1048576\nblock_size 4096\nepoch 6\nclean 0\nhb_ttl_ms 7\nclaims_since 6\n"
	static const char *const heads[] = {
		"",
		"hvfs store 0\nsize 1048576\nblock_size 4096\nepoch 6\n",
		"hvfs store 3\nsize 1048576\nblock_size 4096\nepoch 6\nclean 0\nhb_ttl_ms 7\n",
		"hvfs store 1\nsize 1048576\nblock_size 4096\nepoch 6\nclean 0\nhb_ttl_ms 7\n",
		HEAD,
		HEAD "clean 2\nhb_ttl_ms 7\n",
		HEAD "clean 0\nhb_ttl_ms 4294967296\n",
		HEAD "clean 0\nhb_ttl_ms  7\n",
		HEAD "clean 0\nhb_ttl_ms 7\nevicted 1 2\n",
		HEAD "clean 0\nhb_ttl_ms 7\nevicted 0000000000000001\n",
		HEAD "clean 0\nhb_ttl_ms 7\nevicted 0000000000000001 00000000000000000002\n",
		HEAD "clean 0\nhb_ttl_ms 7\nevicted -000000000000001 0000000000000002\n",
		HEAD "clean 0\nhb_ttl_ms 7\nsomething 5\n",
		HEAD "clean 0\nhb_ttl_ms 7\nclaims_since 6\n",
		HEAD "clean 0\nhb_ttl_ms 7\nreclaim 0000000000000001 1 2 3 4\n",
		NOW "reclaim 0000000000000001 1 2 3\n",
		NOW "reclaim 0000000000000001 1 2 3 4 5\n",
		NOW "reclaim 1 1 2 3 4\n",
		NOW "reclaim f -1 -1 -1 -1\n",
		NOW "reclaim 0000000000000001 1 2 3 18446744073709551616\n",
		NOW "reclaim 0000000000000001 1 2 3 4\nevicted 0000000000000001 0000000000000002\n",
	};

	create();
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		spill_record(heads[i]);
		help_open_fails(false, "is damaged");
	}
	spill_record(HEAD "clean 0\nhb_ttl_ms 7\nevicted 0000000000000001 0000000000000002\n");
	close_store(open_left(false, false, 7, 1));
	spill_record("hvfs store 3\nsize 1048576\nblock_size 4096\nepoch 6\nclean 0\nhb_ttl_ms 7\nclaims_since 6\n");
	close_store(open_left(false, false, 7, 0)); // the format before
	spill_record(NOW "reclaim 0000000000000001 1 2 3 4\n");
	close_store(open_left(false, false, 7, 0));
#undef HEAD
#undef NOW
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("store_left");
	TCase *tcase = tcase_create("left");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, help_setup, help_teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, test_fresh);
	tcase_add_test(tcase, test_died);
	tcase_add_test(tcase, test_left_in_order);
	tcase_add_test(tcase, test_evictions);
	tcase_add_test(tcase, test_claims_since);
	tcase_add_test(tcase, test_reclaims);
	tcase_add_test(tcase, test_reclaims_limit);
	tcase_add_test(tcase, test_no_room_for_reclaims);
	tcase_add_test(tcase, test_evictions_limit);
	tcase_add_test(tcase, test_read_only);
	tcase_add_test(tcase, test_readers_are_left);
	tcase_add_test(tcase, test_readers_leave);
	tcase_add_test(tcase, test_create_again);
	tcase_add_test(tcase, test_no_room);
	tcase_add_test(tcase, test_old_format);
	tcase_add_test(tcase, test_damaged);
	tcase_add_test(tcase, test_foreign);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
