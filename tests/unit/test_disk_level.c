// SPDX-License-Identifier: MIT
// The disk level, alone and below a stack: its file is opened, taken over, refused; what is written comes back over a
// restart and a crash; what is damaged is found; a medium that fails is given up.
#include "cache/disk_format.h"
#include "core/check.h"
#include "tests/sim/memory_medium.h"
#include "tests/unit/cache_help.h"

#include <check.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { SLOT = 4096, BLOCK = 4096, SLOTS = 64, MEDIUM_SIZE = 8 << 20, VOLUME = 3 };
enum { OWN = 1 << 20 }; // of a small level: what is not the bytes of slots

static const struct level_config disk_config = {
	.size = OWN + (uint64_t)SLOTS * SLOT, .ways = 4, .hash = HASH_MURMUR, .policy = POLICY_LRU};
static const struct level_config memory_config = {
	.size = (uint64_t)8 * BLOCK, .ways = 8, .hash = HASH_NEIGHBOURS, .policy = POLICY_LRU};

static struct memory_medium medium;
static struct buf_pool *pool;
static struct stack *stack;
static struct copies copies;
static block_key evicted[1024];
static uint32_t evicted_count;
static int failures, wakes;
static char error[512];

static void
on_evicted(void *arg, block_key key)
{
	(void)arg;
	ck_assert_uint_lt(evicted_count, 1024);
	evicted[evicted_count++] = key;
}

static void
on_wake(void *arg)
{
	(void)arg;
	wakes++;
}

static void
on_failed(void *arg, bool writing, int sys_errno)
{
	(void)arg;
	(void)writing;
	(void)sys_errno;
	failures++;
}

static struct disk_level *
open_level(bool *ret_emptied)
{
	const struct medium m = memory_medium(&medium);

	return disk_level_open(&m, &disk_config, SLOT, false, ret_emptied, error, sizeof(error));
}

static void
start_as(const char *name)
{
	const struct stack_disk_hooks hooks = {.wake = on_wake, .failed = on_failed};
	bool emptied;
	struct disk_level *level = open_level(&emptied);

	ck_assert_msg(level != NULL, "%s", error);
	stack = stack_create(BLOCK, &memory_config, 1);
	stack_set_disk(stack, level, &hooks);
	copies = stack_copies(stack);
	copies.ops->on_evicted(copies.self, on_evicted, NULL);
	copies.ops->set_volume(copies.self, VOLUME, name, pool);
	memory_medium_end_all(&medium);
}

static void
start(void)
{
	start_as("disk");
}

static bool
flip(void *arg)
{
	(void)arg;
	return rand() & 1;
}

static void
stop(void)
{
	memory_medium_crash(&medium, flip, NULL);
	disk_level_check(stack_disk(stack));
	disk_level_abandon(stack_disk(stack));
	stack_destroy(stack);
	stack = NULL;
	ck_assert_uint_eq(buf_pool_used(pool), 0);
}

static void
setup(void)
{
	CHECK(sodium_init() >= 0);
	memory_medium_init(&medium, 0, MEDIUM_SIZE);
	pool = buf_pool_create(BLOCK);
	evicted_count = 0;
	failures = wakes = 0;
}

static void
teardown(void)
{
	if (stack != NULL)
		stop();
	buf_pool_destroy(pool);
	memory_medium_fini(&medium);
}

static block_key
key_of(uint64_t block)
{
	return block_key_make(VOLUME, block);
}

static void
fill(uint8_t *bytes, uint64_t block, uint64_t version)
{
	memset(bytes, (int)(block * 7 + version), BLOCK);
	memcpy(bytes, &block, sizeof(block));
	memcpy(bytes + 8, &version, sizeof(version));
}

static void
put_version(uint64_t block, uint64_t version, bool dirty)
{
	struct buf *buf = buf_alloc(pool);

	fill(buf_bytes(buf), block, version);
	copies.ops->put(copies.self, key_of(block), buf, dirty);
	buf_unref(buf);
}

static void
put(uint64_t block)
{
	put_version(block, 0, false);
}

// It has been brought before: a full group takes it.
static void
put_proven(uint64_t block)
{
	put(block);
	put(block);
}

// As the core reads a copy that there is. False: it was evicted.
static bool
read_version(uint64_t block, uint64_t version)
{
	uint8_t bytes[BLOCK];
	block_key key;
	struct buf *buf;

	if (!copies.ops->ready(copies.self, key_of(block), pool)) {
		memory_medium_end_all(&medium);
		ck_assert(copies.ops->next_loaded(copies.self, &key));
		ck_assert_uint_eq(key, key_of(block));
		ck_assert(!copies.ops->next_loaded(copies.self, &key));
	}
	buf = copies.ops->get(copies.self, key_of(block));
	if (buf == NULL)
		return false;
	fill(bytes, block, version);
	ck_assert_mem_eq(buf_bytes(buf), bytes, BLOCK);
	return true;
}

static bool
digest_is_right(uint64_t block, uint64_t version)
{
	uint8_t bytes[BLOCK], right[BLOCK_DIGEST_SIZE], digest[BLOCK_DIGEST_SIZE];

	fill(bytes, block, version);
	CHECK(crypto_generichash(right, sizeof(right), bytes, BLOCK, NULL, 0) == 0);
	if (!copies.ops->digest(copies.self, key_of(block), BLOCK, digest))
		return false;
	return memcmp(digest, right, sizeof(digest)) == 0;
}

// As the core takes over what its parent has confirmed.
static bool
adopt(block_key key, size_t size)
{
	uint8_t digest[BLOCK_DIGEST_SIZE];

	return copies.ops->digest(copies.self, key, size, digest) && copies.ops->adopt(copies.self, key, size);
}

static struct disk_level_stats
stats(void)
{
	struct disk_level_stats ret;

	disk_level_get_stats(stack_disk(stack), &ret);
	return ret;
}

static bool
was_evicted(uint64_t block)
{
	for (uint32_t i = 0; i < evicted_count; i++)
		if (evicted[i] == key_of(block))
			return true;
	return false;
}

static uint64_t
slot_offset_of(uint64_t block)
{
	uint8_t bytes[16];
	uint64_t version = 0;

	memcpy(bytes, &block, 8);
	memcpy(bytes + 8, &version, 8);
	for (uint64_t at = 1 << 20; at < medium.size; at += SLOT)
		if (memcmp(medium.bytes + at, bytes, 16) == 0)
			return at;
	ck_abort_msg("the block is not on the disk");
}

// ---- the file ----

static void
refused(const char *what)
{
	uint8_t *before = malloc(medium.size);
	bool emptied;

	memcpy(before, medium.bytes, medium.size);
	ck_assert_ptr_null(open_level(&emptied));
	ck_assert_msg(strstr(error, what) != NULL, "%s", error);
	ck_assert_mem_eq(before, medium.bytes, medium.size); // and left alone
	free(before);
}

START_TEST(what_is_not_ours_is_left_alone)
{
	medium.size = 4 << 20;
	medium.bytes[70000] = 1;
	refused("something else");
	medium.bytes[70000] = 0;
	medium.bytes[0] = 1;
	refused("something else");
	medium.size = 100;
	refused("something else");
	medium.size = MEDIUM_SIZE;
	medium.bytes[0] = 0;
	start(); // zeros are nobody's
}
END_TEST

START_TEST(a_damaged_cut_or_other_file_is_refused)
{
	uint64_t size;

	start();
	stop();
	size = medium.size;
	medium.size = size - SLOT;
	refused("was cut");
	medium.size = 1 << 20;
	refused("was cut");
	medium.size = size;
	medium.bytes[8] = 9;
	refused("another version");
	medium.bytes[8] = 1;
	medium.bytes[100] ^= 1; // one of both is whole
	start();
	stop();
	medium.bytes[100] ^= 1;
	medium.bytes[100] ^= 1;
	medium.bytes[DISK_SUPERBLOCK_SIZE + 100] ^= 1;
	refused("damaged");
}
END_TEST

START_TEST(a_disk_that_is_too_small_is_refused)
{
	medium.size_max = 1 << 20;
	refused("are needed");
}
END_TEST

static uint64_t
index_of(uint64_t slots, enum policy policy)
{
	struct level_config config = disk_config;
	struct memory_medium bytes;
	struct disk_level_stats stats;
	struct disk_level *level;
	struct medium m;
	bool emptied;

	config.size = OWN + slots * SLOT;
	config.policy = policy;
	memory_medium_init(&bytes, 0, 2 * config.size);
	m = memory_medium(&bytes);
	level = disk_level_open(&m, &config, SLOT, false, &emptied, error, sizeof(error));
	ck_assert_msg(level != NULL, "%s", error);
	disk_level_get_stats(level, &stats);
	memory_medium_end_all(&bytes);
	disk_level_close(level);
	memory_medium_fini(&bytes);
	return stats.index;
}

static uint64_t
index_foreseen(uint64_t size, enum policy policy)
{
	struct level_config config = disk_config;

	config.size = size;
	config.ways = 16;
	config.policy = policy;
	return disk_level_index(&config, SLOT);
}

// 32 bytes a block, whatever the policy, and some that do not grow with the level. So a level that takes 1 TiB of a disk
// takes no more than 8 GiB of memory, all of it included: also what is on its way to the disk.
START_TEST(the_index_takes_32_bytes_a_block)
{
	const uint64_t on_its_way = 4 << 20;
	uint64_t few = index_of(1024, (enum policy)_i), many = index_of(2048, (enum policy)_i);
	struct level_config config = disk_config;

	ck_assert_uint_eq(many - few, UINT64_C(1024) * 32);
	ck_assert_uint_le(few, UINT64_C(1024) * 32 + (64 << 10));
	config.size = OWN + (uint64_t)2048 * SLOT;
	config.policy = (enum policy)_i;
	ck_assert_uint_eq(many, disk_level_index(&config, SLOT)); // what is foreseen is what it takes
	ck_assert_uint_le(index_foreseen(UINT64_C(1) << 40, (enum policy)_i) + on_its_way, UINT64_C(8) << 30);
}
END_TEST

START_TEST(another_shape_empties_it)
{
	const struct medium m = memory_medium(&medium);
	struct level_config other = disk_config;
	struct disk_level *level;
	bool emptied;

	start();
	put(1);
	memory_medium_end_all(&medium);
	stop();
	other.ways = 8;
	level = disk_level_open(&m, &other, SLOT, false, &emptied, error, sizeof(error));
	ck_assert(level != NULL && emptied);
	disk_level_close(level);
	start(); // and so does this one
	ck_assert_uint_eq(stats().found, 0);
}
END_TEST

// ---- copies ----

START_TEST(what_falls_out_of_memory_is_on_the_disk)
{
	start();
	for (uint64_t block = 0; block < 24; block++) {
		put(block);
		memory_medium_end_all(&medium);
	}
	ck_assert_uint_eq(evicted_count, 0);
	ck_assert_uint_eq(stats().written, 24);
	for (uint64_t block = 0; block < 24; block++)
		ck_assert(read_version(block, 0));
	ck_assert_uint_eq(evicted_count, 0);
	ck_assert_uint_eq(stats().written, 24); // nothing twice
	ck_assert_uint_eq(stats().loaded, 24);
}
END_TEST

START_TEST(what_is_replaced_on_the_disk_is_told_unless_it_is_in_memory)
{
	uint32_t here = 0;

	start();
	for (uint64_t block = 0; block < 200; block++) {
		put(block);
		memory_medium_end_all(&medium);
	}
	for (uint64_t block = 0; block < 200; block++)
		if (!was_evicted(block)) {
			ck_assert(read_version(block, 0));
			here++;
		}
	ck_assert_uint_ge(here, SLOTS * 3 / 4);
	ck_assert_uint_le(here, SLOTS + 8);
}
END_TEST

// What is used stays, and a scan costs hardly any write; what comes again is taken.
START_TEST(a_scan_leaves_a_full_disk_as_it_is)
{
	uint64_t before, kept = 0, again = 0;

	start();
	for (uint64_t block = 0; block < 200; block++) {
		put(block); // until all groups are full
		memory_medium_end_all(&medium);
	}
	ck_assert_uint_eq(stats().entries, SLOTS);
	before = stats().written;
	for (uint64_t block = 1000; block < 3000; block++) {
		evicted_count = 0;
		put(block);
		memory_medium_end_all(&medium);
	}
	ck_assert_uint_le(stats().written - before, 2000 * 4 * 2 / 255); // four ways: so many are taken for another, or two
	ck_assert_uint_ge(stats().refused, 1900);
	for (uint64_t block = 0; block < 200; block++)
		kept += disk_level_has(stack_disk(stack), key_of(block));
	ck_assert_uint_ge(kept, SLOTS - 40);
	for (int round = 0; round < 2; round++)
		for (uint64_t block = 5000; block < 5020; block++)
			put(block);
	memory_medium_end_all(&medium);
	for (uint64_t block = 5000; block < 5020; block++)
		again += disk_level_has(stack_disk(stack), key_of(block));
	ck_assert_uint_ge(again, 12); // 20 in 16 groups, each of which remembers four
}
END_TEST

// ${block} as the core reads any block: what is not here is brought. True: it was on the disk.
static bool
read_any(uint64_t block)
{
	bool on_disk = disk_level_has(stack_disk(stack), key_of(block));

	if (copies.ops->peek(copies.self, key_of(block)) == NULL && !on_disk) {
		copies.ops->missed(copies.self);
		put(block);
	}
	ck_assert(read_version(block, 0));
	memory_medium_end_all(&medium);
	evicted_count = 0;
	return on_disk;
}

// Reads of a trace that the disk had. Two halves of it: round and round 5/4 of the level, in which s3fifo is better, and a
// hot set of half of it, another one now and then, where LRU is.
static void
read_both(enum policy policy, uint64_t *ret_loop, uint64_t *ret_phases)
{
	enum { LAPS = 200, PHASES = 20 };

	*ret_loop = *ret_phases = 0;
	start();
	CHECK(stack_set_disk_policy(stack, policy) == STACK_OK);
	for (uint64_t i = 0; i < (uint64_t)LAPS * SLOTS * 5 / 4; i++)
		*ret_loop += read_any(i % (SLOTS * 5 / 4));
	srand(1);
	for (uint64_t i = 0; i < (uint64_t)PHASES * SLOTS * 6; i++)
		*ret_phases += read_any(1000 + i / (SLOTS * 6) * SLOTS + (uint64_t)rand() % (SLOTS / 2));
	stop();
	medium.size = 0; // the next one begins anew
}

START_TEST(adaptive_follows_who_hits_more)
{
	uint64_t loop[POLICY_COUNT], phases[POLICY_COUNT];

	for (int i = 0; i < POLICY_COUNT; i++)
		read_both((enum policy)i, &loop[i], &phases[i]);
	ck_assert_uint_gt(loop[POLICY_S3FIFO], loop[POLICY_LRU]);
	ck_assert_uint_gt(phases[POLICY_LRU], phases[POLICY_S3FIFO]);
	ck_assert_uint_ge(loop[POLICY_ADAPTIVE], loop[POLICY_LRU] + (loop[POLICY_S3FIFO] - loop[POLICY_LRU]) / 5);
	ck_assert_uint_ge(phases[POLICY_ADAPTIVE], phases[POLICY_LRU] - phases[POLICY_LRU] / 30); // just after the other was better
}
END_TEST

START_TEST(what_is_used_in_memory_is_kept_when_it_falls_out)
{
	start();
	for (uint64_t block = 0; block < 200; block++) {
		put(block);
		memory_medium_end_all(&medium);
	}
	put(1000);
	for (int n = 0; n < 3; n++)
		ck_assert_ptr_nonnull(copies.ops->get(copies.self, key_of(1000)));
	for (uint64_t block = 2000; block < 2010; block++)
		put(block);
	ck_assert_ptr_null(copies.ops->peek(copies.self, key_of(1000)));
	ck_assert(disk_level_has(stack_disk(stack), key_of(1000)));
}
END_TEST

START_TEST(dirty_and_dropped_copies_are_not_on_the_disk)
{
	uint8_t digest[BLOCK_DIGEST_SIZE];

	start();
	put_version(1, 1, true);
	memory_medium_end_all(&medium);
	ck_assert_uint_eq(stats().entries, 0);
	copies.ops->set_dirty(copies.self, key_of(1), false);
	memory_medium_end_all(&medium);
	ck_assert_uint_eq(stats().entries, 1);
	copies.ops->set_dirty(copies.self, key_of(1), true);
	ck_assert_uint_eq(stats().entries, 0);
	put(2);
	copies.ops->drop(copies.self, key_of(2)); // while it is being written
	memory_medium_end_all(&medium);
	ck_assert_uint_eq(stats().entries, 0);
	ck_assert(!copies.ops->digest(copies.self, key_of(2), BLOCK, digest));
	put_version(2, 1, false);
	memory_medium_end_all(&medium);
	ck_assert(digest_is_right(2, 1));
}
END_TEST

START_TEST(what_is_being_written_needs_not_be_read)
{
	start();
	for (uint64_t block = 0; block < 16; block++)
		put(block);
	for (uint64_t block = 0; block < 16; block++)
		ck_assert(copies.ops->ready(copies.self, key_of(block), pool) && read_version(block, 0));
}
END_TEST

START_TEST(zeros_take_no_space)
{
	start();
	copies.ops->put(copies.self, key_of(1), buf_zero(), false);
	memory_medium_end_all(&medium);
	ck_assert_uint_eq(stats().entries, 1);
	ck_assert_uint_eq(stats().used, 0);
	stop();
	start();
	ck_assert(adopt(key_of(1), BLOCK));
	ck_assert(copies.ops->ready(copies.self, key_of(1), pool));
	ck_assert_ptr_eq(copies.ops->get(copies.self, key_of(1)), buf_zero());
}
END_TEST

START_TEST(a_copy_that_changes_while_it_is_read)
{
	block_key key;

	start();
	for (uint64_t block = 0; block < 16; block++) {
		put(block);
		memory_medium_end_all(&medium);
	}
	ck_assert(!copies.ops->ready(copies.self, key_of(0), pool));
	put_version(0, 1, true);
	ck_assert(!copies.ops->ready(copies.self, key_of(1), pool));
	copies.ops->drop(copies.self, key_of(1));
	ck_assert(!copies.ops->ready(copies.self, key_of(2), pool));
	put(2); // the same again
	memory_medium_end_all(&medium);
	for (int i = 0; i < 3; i++)
		ck_assert(copies.ops->next_loaded(copies.self, &key));
	ck_assert(!copies.ops->next_loaded(copies.self, &key));
	ck_assert(read_version(0, 1));
	ck_assert_ptr_null(copies.ops->get(copies.self, key_of(1)));
	ck_assert(read_version(2, 0));
	ck_assert_uint_eq(evicted_count, 0);
}
END_TEST

// ---- restarts ----

START_TEST(a_restart_brings_the_blocks_back_unconfirmed)
{
	start();
	for (uint64_t block = 0; block < 24; block++)
		put(block);
	memory_medium_end_all(&medium);
	stop();
	start();
	ck_assert_uint_eq(stats().found, 24);
	ck_assert_uint_eq(stats().unknown, 24);
	for (uint64_t block = 0; block < 24; block++) {
		ck_assert(digest_is_right(block, 0));
		ck_assert_ptr_null(copies.ops->get(copies.self, key_of(block)));
	}
	ck_assert(adopt(key_of(5), BLOCK));
	ck_assert(read_version(5, 0));
	put(6); // the parent has sent the same bytes
	put_version(7, 1, false); // others
	memory_medium_end_all(&medium);
	ck_assert_uint_eq(stats().confirmed, 2);
	ck_assert_uint_eq(stats().written, 1);
	ck_assert(digest_is_right(7, 1));
	ck_assert(!adopt(key_of(99), BLOCK));
	ck_assert(!adopt(key_of(8), BLOCK / 2));
	for (uint64_t block = 100; block < 300; block++) {
		put(block);
		memory_medium_end_all(&medium);
	}
	for (uint64_t block = 8; block < 24; block++)
		ck_assert(!was_evicted(block)); // nobody has known of them
}
END_TEST

START_TEST(a_volume_is_known_by_its_name)
{
	uint8_t digest[BLOCK_DIGEST_SIZE];

	start();
	put(1);
	memory_medium_end_all(&medium);
	stop();
	start_as("another");
	ck_assert(!copies.ops->digest(copies.self, key_of(1), BLOCK, digest));
	copies.ops->set_volume(copies.self, 9, "disk", pool);
	ck_assert(copies.ops->digest(copies.self, block_key_make(9, 1), BLOCK, digest));
	put(2);
	memory_medium_end_all(&medium);
	stop();
	start_as("another");
	ck_assert(digest_is_right(2, 0));
}
END_TEST

// Killed at any moment, with sectors of the last writes there or not: whatever has a digest has its bytes, or is found out.
START_TEST(a_crash_at_any_moment)
{
	srand(_i);
	start();
	for (int n = 0; n < 300; n++) {
		uint64_t block = (uint64_t)rand() % 40;

		switch (rand() % 8) {
		case 0:
			copies.ops->drop(copies.self, key_of(block));
			break;
		case 1:
			put_version(block, (uint64_t)rand() % 3, true);
			copies.ops->set_dirty(copies.self, key_of(block), false);
			break;
		default:
			put_version(block, (uint64_t)rand() % 3, false);
			break;
		}
		while (medium.pending_count > 0 && rand() % 3 > 0)
			memory_medium_end(&medium, medium.pending[(size_t)rand() % medium.pending_count]);
		disk_level_check(stack_disk(stack));
	}
	stop();
	evicted_count = 0;
	start();
	disk_level_check(stack_disk(stack));
	for (uint64_t block = 0; block < 40; block++)
		for (uint64_t version = 0; version < 3; version++)
			if (digest_is_right(block, version)) {
				ck_assert(adopt(key_of(block), BLOCK));
				ck_assert(read_version(block, version) || was_evicted(block));
			}
}
END_TEST

START_TEST(damaged_bytes_are_found)
{
	start();
	put(1);
	put(2);
	memory_medium_end_all(&medium);
	stop();
	medium.bytes[slot_offset_of(1) + 1000] ^= 4;
	start();
	ck_assert(adopt(key_of(1), BLOCK));
	ck_assert(!read_version(1, 0));
	ck_assert(was_evicted(1));
	ck_assert_uint_eq(stats().damaged, 1);
	ck_assert_int_eq(stats().sys_errno, 0);
	put(1); // it comes from the parent
	memory_medium_end_all(&medium);
	ck_assert(adopt(key_of(2), BLOCK));
	ck_assert(read_version(2, 0));
}
END_TEST

// ---- failures ----

START_TEST(a_medium_that_fails_is_given_up)
{
	bool writing = _i == 1;
	block_key key;

	start();
	for (uint64_t block = 0; block < 24; block++) {
		put(block);
		memory_medium_end_all(&medium);
	}
	if (writing)
		medium.write_errno = ENOSPC;
	else
		medium.read_errno = EIO;
	if (writing)
		put_proven(50);
	else
		ck_assert(!copies.ops->ready(copies.self, key_of(0), pool));
	memory_medium_end_all(&medium);
	ck_assert_int_eq(failures, 1);
	while (copies.ops->next_loaded(copies.self, &key))
		ck_assert_uint_eq(key, key_of(0));
	ck_assert_uint_eq(stats().entries, 0);
	for (uint64_t block = 0; block < 51; block++) {
		bool in_memory = copies.ops->peek(copies.self, key_of(block)) != NULL;

		if (block < 24 || (writing && block == 50))
			ck_assert(in_memory != was_evicted(block));
	}
	for (uint64_t block = 100; block < 120; block++)
		put(block);
	memory_medium_end_all(&medium);
	ck_assert_uint_eq(stats().entries, 0);
	ck_assert_int_eq(failures, 1);
}
END_TEST

START_TEST(what_can_not_be_written_at_once_is_written_later)
{
	const struct level_config large = {
		.size = (uint64_t)6000 * BLOCK, .ways = 8, .hash = HASH_NEIGHBOURS, .policy = POLICY_LRU};
	const struct stack_disk_hooks hooks = {.wake = on_wake, .failed = on_failed};
	struct level_config config = disk_config;
	const struct medium m = memory_medium(&medium);
	struct disk_level *level;
	block_key key;
	bool emptied;

	memory_medium_fini(&medium);
	memory_medium_init(&medium, 0, 2 * OWN + (uint64_t)4500 * SLOT);
	config.size = 2 * OWN + (uint64_t)4500 * SLOT;
	config.ways = 16;
	level = disk_level_open(&m, &config, SLOT, false, &emptied, error, sizeof(error));
	ck_assert_msg(level != NULL, "%s", error);
	stack = stack_create(BLOCK, &large, 1);
	stack_set_disk(stack, level, &hooks);
	copies = stack_copies(stack);
	copies.ops->on_evicted(copies.self, on_evicted, NULL);
	copies.ops->set_volume(copies.self, VOLUME, "disk", pool);
	memory_medium_end_all(&medium);
	for (uint64_t block = 0; block < 3000; block++)
		put(block);
	ck_assert_uint_gt(stats().passed, 0);
	for (int n = 0; n < 20; n++) {
		memory_medium_end_all(&medium);
		ck_assert(!copies.ops->next_loaded(copies.self, &key));
	}
	ck_assert_uint_gt(stats().entries, 2850); // of those whose group has room
	ck_assert_uint_eq(evicted_count, 0);
}
END_TEST

// More blocks of one group than it has ways, while all are being written; and before the volume's name is on the disk.
START_TEST(what_waits_for_its_group_is_tried_once_a_step)
{
	const struct stack_disk_hooks hooks = {.wake = on_wake, .failed = on_failed};
	struct level_config config = disk_config;
	const struct medium m = memory_medium(&medium);
	struct disk_level *level;
	block_key key;
	bool emptied;

	config.size = OWN + (uint64_t)2 * SLOT;
	level = disk_level_open(&m, &config, SLOT, false, &emptied, error, sizeof(error));
	ck_assert_ptr_nonnull(level);
	stack = stack_create(BLOCK, &memory_config, 1);
	stack_set_disk(stack, level, &hooks);
	copies = stack_copies(stack);
	copies.ops->on_evicted(copies.self, on_evicted, NULL);
	copies.ops->set_volume(copies.self, VOLUME, "disk", pool);
	put(0);
	ck_assert_uint_eq(stats().entries, 0);
	memory_medium_end_all(&medium);
	ck_assert_int_gt(wakes, 0);
	for (uint64_t block = 1; block < 5; block++)
		put_proven(block);
	ck_assert_uint_eq(stats().entries, 2);
	ck_assert(!copies.ops->next_loaded(copies.self, &key)); // and comes back
	ck_assert_uint_eq(stats().entries, 2);
	memory_medium_end_all(&medium);
	ck_assert(!copies.ops->next_loaded(copies.self, &key));
	memory_medium_end_all(&medium);
	ck_assert_uint_eq(stats().written, 4);
	ck_assert_uint_eq(evicted_count, 0);
}
END_TEST

// ---- any order of calls ----

enum { MODEL_BLOCKS = 24 };

static struct model {
	bool there, dirty, loading;
	uint64_t version;
} model[MODEL_BLOCKS];

static void
model_evicted(void *arg, block_key key)
{
	struct model *block = &model[block_key_block(key)];

	(void)arg;
	ck_assert(block->there && !block->dirty);
	block->there = false;
}

static void
model_call(uint64_t number)
{
	struct model *block = &model[number];
	uint64_t loaded_number;
	block_key key;

	switch (rand() % 8) {
	case 0:
	case 1:
		block->there = true;
		block->dirty = rand() % 3 == 0;
		block->version = (uint64_t)rand() % 3;
		put_version(number, block->version, block->dirty);
		break;
	case 2:
		if (block->there && copies.ops->peek(copies.self, key_of(number)) != NULL) {
			block->dirty = rand() & 1;
			copies.ops->set_dirty(copies.self, key_of(number), block->dirty);
		}
		break;
	case 3:
		block->there = block->dirty = false;
		copies.ops->drop(copies.self, key_of(number));
		break;
	case 4:
	case 5:
		if (!block->there || block->loading)
			break;
		if (!copies.ops->ready(copies.self, key_of(number), pool))
			block->loading = true;
		else
			ck_assert(read_version(number, block->version));
		break;
	case 6:
		if (medium.pending_count > 0)
			memory_medium_end(&medium, medium.pending[(size_t)rand() % medium.pending_count]);
		break;
	default:
		while (copies.ops->next_loaded(copies.self, &key)) {
			loaded_number = block_key_block(key);
			ck_assert(model[loaded_number].loading);
			model[loaded_number].loading = false;
		}
	}
}

static void
model_check(void)
{
	for (uint64_t i = 0; i < MODEL_BLOCKS; i++) {
		ck_assert(!model[i].dirty || copies.ops->peek(copies.self, key_of(i)) != NULL);
		ck_assert(!model[i].there || digest_is_right(i, model[i].version));
	}
}

// Whoever is told as evicted was there and clean, whatever is there is in memory or on the disk, with the right bytes.
START_TEST(copies_in_any_order_of_calls)
{
	const struct level_config levels[] = {
		{.size = 2 * BLOCK, .ways = 2, .hash = HASH_NEIGHBOURS}, {.size = 3 * BLOCK, .ways = 1, .hash = HASH_XXH}};
	const struct stack_disk_hooks hooks = {.wake = on_wake, .failed = on_failed};
	const struct medium m = memory_medium(&medium);
	struct level_config config = disk_config;
	struct disk_level *level;
	bool emptied;

	srand(_i);
	memset(model, 0, sizeof(model));
	config.size = OWN + (uint64_t)(1 + rand() % 16) * SLOT;
	config.ways = (uint32_t)(1 + rand() % 4);
	level = disk_level_open(&m, &config, SLOT, false, &emptied, error, sizeof(error));
	stack = stack_create(BLOCK, levels, 2);
	stack_set_disk(stack, level, &hooks);
	copies = stack_copies(stack);
	copies.ops->on_evicted(copies.self, model_evicted, NULL);
	copies.ops->set_volume(copies.self, VOLUME, "disk", pool);
	for (int n = 0; n < 3000; n++) {
		model_call((uint64_t)rand() % MODEL_BLOCKS);
		if (n == 2500 && _i % 4 == 0)
			medium.write_errno = medium.read_errno = EIO;
		model_check();
		disk_level_check(level);
	}
	stack_check(stack);
}
END_TEST

static Suite *
disk_level_suite(void)
{
	Suite *suite = suite_create("disk_level");
	TCase *tcase = tcase_create("disk_level");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, what_is_not_ours_is_left_alone);
	tcase_add_test(tcase, a_damaged_cut_or_other_file_is_refused);
	tcase_add_test(tcase, a_disk_that_is_too_small_is_refused);
	tcase_add_loop_test(tcase, the_index_takes_32_bytes_a_block, 0, POLICY_COUNT);
	tcase_add_test(tcase, another_shape_empties_it);
	tcase_add_test(tcase, what_falls_out_of_memory_is_on_the_disk);
	tcase_add_test(tcase, what_is_replaced_on_the_disk_is_told_unless_it_is_in_memory);
	tcase_add_test(tcase, a_scan_leaves_a_full_disk_as_it_is);
	tcase_add_test(tcase, adaptive_follows_who_hits_more);
	tcase_add_test(tcase, what_is_used_in_memory_is_kept_when_it_falls_out);
	tcase_add_test(tcase, dirty_and_dropped_copies_are_not_on_the_disk);
	tcase_add_test(tcase, what_is_being_written_needs_not_be_read);
	tcase_add_test(tcase, zeros_take_no_space);
	tcase_add_test(tcase, a_copy_that_changes_while_it_is_read);
	tcase_add_test(tcase, a_restart_brings_the_blocks_back_unconfirmed);
	tcase_add_test(tcase, a_volume_is_known_by_its_name);
	tcase_add_loop_test(tcase, a_crash_at_any_moment, 0, 50);
	tcase_add_test(tcase, damaged_bytes_are_found);
	tcase_add_loop_test(tcase, a_medium_that_fails_is_given_up, 0, 2);
	tcase_add_test(tcase, what_can_not_be_written_at_once_is_written_later);
	tcase_add_test(tcase, what_waits_for_its_group_is_tried_once_a_step);
	tcase_add_loop_test(tcase, copies_in_any_order_of_calls, 0, 40);
	suite_add_tcase(suite, tcase);
	return suite;
}

int
main(void)
{
	SRunner *runner = srunner_create(disk_level_suite());
	int failed;

	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
