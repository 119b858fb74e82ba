// SPDX-License-Identifier: MIT
// Disk levels that come, go and are replaced by others while the stack is used (S29): what was in them goes where it
// should, the core is told of what is lost, and nothing else; media fail and processes die in the midst of it.
#include "core/check.h"
#include "tests/sim/memory_medium.h"

#include "cache/disk_format.h"
#include "cache/stack.h"

#include <check.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 4096, MEDIUM_SIZE = 8 << 20, VOLUME = 3, BLOCKS = 64, MEDIA = 2 };

struct side {
	struct memory_medium medium;
	int failures;
	bool used;
};

// What the core would know.
static struct copy {
	bool there, dirty, loading;
	uint64_t version;
} model[BLOCKS];

static struct side sides[MEDIA];
static struct buf_pool *pool;
static struct stack *stack;
static struct copies copies;
static uint32_t evictions;
static int wakes;

static block_key
key_of(uint64_t block)
{
	return block_key_make(VOLUME, block);
}

static void
on_evicted(void *arg, block_key key)
{
	struct copy *copy = &model[block_key_block(key)];

	(void)arg;
	ck_assert(copy->there && !copy->dirty);
	copy->there = false;
	evictions++;
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
	(void)writing;
	ck_assert_int_ne(sys_errno, 0);
	((struct side *)arg)->failures++;
}

static struct disk_level *
open_level(struct side *side, uint64_t slots, uint32_t ways, bool anew)
{
	const struct level_config config = {.size = disk_level_size_min(0) + slots * BLOCK, .ways = ways, .hash = HASH_MURMUR};
	const struct medium medium = memory_medium(&side->medium);
	struct disk_level *level;
	char error[256];
	bool emptied;

	level = disk_level_open(&medium, &config, BLOCK, anew, &emptied, error, sizeof(error));
	ck_assert_msg(level != NULL, "%s", error);
	return level;
}

static struct stack_disk_hooks
hooks_of(struct side *side)
{
	return (struct stack_disk_hooks){.wake = on_wake, .failed = on_failed, .arg = side};
}

static void
add(int side, uint64_t slots, uint32_t ways)
{
	const struct stack_disk_hooks hooks = hooks_of(&sides[side]);

	stack_set_disk(stack, open_level(&sides[side], slots, ways, false), &hooks);
}

static void
replace(int side, uint64_t slots, uint32_t ways)
{
	const struct stack_disk_hooks hooks = hooks_of(&sides[side]);

	ck_assert_int_eq(stack_replace_disk(stack, open_level(&sides[side], slots, ways, true), &hooks), STACK_OK);
}

static void
start(uint64_t memory_blocks)
{
	const struct level_config level = {.size = memory_blocks * BLOCK, .ways = (uint32_t)memory_blocks, .hash = HASH_NEIGHBOURS};

	stack = stack_create(BLOCK, &level, 1);
	copies = stack_copies(stack);
	copies.ops->on_evicted(copies.self, on_evicted, NULL);
	copies.ops->set_volume(copies.self, VOLUME, "live", pool);
	memset(model, 0, sizeof(model));
	evictions = 0;
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
	for (int i = 0; i < MEDIA; i++)
		memory_medium_crash(&sides[i].medium, flip, NULL);
	stack_abandon_disk(stack);
	stack_destroy(stack);
	stack = NULL;
	ck_assert_uint_eq(buf_pool_used(pool), 0);
}

static void
setup(void)
{
	CHECK(sodium_init() >= 0);
	for (int i = 0; i < MEDIA; i++) {
		sides[i].failures = 0;
		sides[i].used = false;
		memory_medium_init(&sides[i].medium, 0, MEDIUM_SIZE);
	}
	pool = buf_pool_create(BLOCK);
	wakes = 0;
}

static void
teardown(void)
{
	if (stack != NULL)
		stop();
	buf_pool_destroy(pool);
	for (int i = 0; i < MEDIA; i++)
		memory_medium_fini(&sides[i].medium);
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
	model[block].there = true;
	model[block].dirty = dirty;
	model[block].version = version;
	copies.ops->put(copies.self, key_of(block), buf, dirty);
	buf_unref(buf);
}

static void
end_all(void)
{
	for (int i = 0; i < MEDIA; i++)
		memory_medium_end_all(&sides[i].medium);
}

// What the node does once something has ended.
static void
take_loaded(void)
{
	block_key key;

	while (copies.ops->next_loaded(copies.self, &key)) {
		ck_assert(model[block_key_block(key)].loading);
		model[block_key_block(key)].loading = false;
	}
}

static void
put_many(uint64_t first, uint64_t count)
{
	for (uint64_t block = first; block < first + count; block++) {
		put_version(block, 0, false);
		end_all();
	}
}

static void
check_bytes(uint64_t block)
{
	struct buf *buf = copies.ops->get(copies.self, key_of(block));
	uint8_t bytes[BLOCK];

	ck_assert_ptr_nonnull(buf);
	fill(bytes, block, model[block].version);
	ck_assert_mem_eq(buf_bytes(buf), bytes, BLOCK);
}

// As the core reads a copy that there is.
static void
read_copy(uint64_t block)
{
	ck_assert(model[block].there);
	if (!copies.ops->ready(copies.self, key_of(block), pool)) {
		model[block].loading = true;
		end_all();
		take_loaded();
		ck_assert(!model[block].loading);
	}
	if (model[block].there)
		check_bytes(block);
}

static bool
is_here(uint64_t block)
{
	uint8_t bytes[BLOCK], right[BLOCK_DIGEST_SIZE], digest[BLOCK_DIGEST_SIZE];

	fill(bytes, block, model[block].version);
	CHECK(crypto_generichash(right, sizeof(right), bytes, BLOCK, NULL, 0) == 0);
	return copies.ops->digest(copies.self, key_of(block), BLOCK, digest) && memcmp(digest, right, sizeof(digest)) == 0;
}

static uint32_t
there_count(void)
{
	uint32_t count = 0;

	for (uint64_t block = 0; block < BLOCKS; block++)
		count += model[block].there;
	return count;
}

static void
read_all(void)
{
	for (uint64_t block = 0; block < BLOCKS; block++)
		if (model[block].there)
			read_copy(block);
}

// Until the change has ended. Returns who left, or NULL.
static struct side *
go_on(void)
{
	struct disk_level *left = NULL;
	void *side = NULL;

	for (int n = 0; stack_is_changing(stack) && left == NULL; n++) {
		ck_assert_int_lt(n, 10000);
		while (stack_step(stack, 7)) {
		}
		end_all();
		take_loaded();
		left = stack_take_left_disk(stack, &side);
	}
	disk_level_close(left);
	return side;
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

	disk_level_check(stack_disk(stack));
	disk_level_get_stats(stack_disk(stack), &ret);
	return ret;
}

// ---- coming and going ----

START_TEST(a_level_that_is_added_takes_what_falls_out)
{
	start(8);
	put_many(0, 8);
	add(0, 64, 8);
	end_all(); // the volume's name
	put_many(8, 32);
	ck_assert_uint_eq(evictions, 0);
	ck_assert_uint_eq(stats().entries, 40); // also those from before
	read_all();
}
END_TEST

START_TEST(what_is_removed_comes_up_as_far_as_there_is_room)
{
	const struct level_config room = {.size = (uint64_t)16 * BLOCK, .ways = 16, .hash = HASH_XXH};

	start(8);
	add(0, 64, 64);
	put_many(0, 40);
	ck_assert_int_eq(stack_add(stack, 1, &room), STACK_OK);
	ck_assert_int_eq(stack_remove_disk(stack), STACK_OK);
	ck_assert_int_eq(stack_remove_disk(stack), STACK_BUSY);
	ck_assert_ptr_eq(go_on(), &sides[0]);
	ck_assert_uint_eq(there_count(), 24);
	ck_assert_uint_eq(evictions, 16);
	ck_assert_ptr_null(stack_disk(stack));
	ck_assert_int_eq(stack_remove_disk(stack), STACK_NO_LEVEL);
	read_all();
	stack_check(stack);
}
END_TEST

START_TEST(pinned_blocks_come_up_in_any_case)
{
	start(8);
	add(0, 64, 64);
	put_many(0, 40);
	ck_assert_int_eq(stack_pin(stack, key_of(3), 3), STACK_OK);
	ck_assert_int_eq(stack_remove_disk(stack), STACK_OK);
	go_on();
	for (uint64_t block = 3; block < 6; block++)
		ck_assert(model[block].there);
	ck_assert_uint_le(there_count(), 9);
	read_all();
}
END_TEST

START_TEST(what_is_in_a_level_comes_to_the_one_in_its_place)
{
	struct disk_level_stats was;

	start(8);
	add(0, 64, 8);
	put_many(0, 40);
	was = stats();
	replace(1, 128, 4);
	ck_assert_ptr_eq(go_on(), &sides[0]);
	ck_assert_uint_eq(evictions, 0);
	ck_assert_uint_ge(stats().entries, 40);
	ck_assert_uint_ge(stats().written, was.written + 40); // counters go on
	read_all();
	replace(0, 16, 2); // a smaller one keeps what it has room for
	go_on();
	ck_assert_uint_le(stats().entries, 16);
	ck_assert_uint_ge(there_count(), 16);
	read_all();
}
END_TEST

// Counters are the level's, whatever medium it is on: what is met during a change counts, also if it fails.
START_TEST(counters_go_on)
{
	start(8);
	add(0, 64, 64);
	put_many(0, 40);
	for (uint64_t slot = 0; slot < 64; slot++)
		sides[0].medium.bytes[DISK_EMPTY_SIZE + slot * BLOCK] ^= 1;
	ck_assert_uint_eq(stats().damaged, 0);
	replace(1, 64, 64);
	if (_i == 1) { // it fails when some have been read
		stack_step(stack, 20);
		end_all();
		take_loaded();
		sides[1].medium.write_errno = ENOSPC;
		put_version(50, 0, false);
	}
	go_on();
	ck_assert_uint_ge(stats().written, 40);
	ck_assert_uint_gt(stats().damaged, 0);
	ck_assert_uint_le(stats().damaged, evictions);
}
END_TEST

// An earlier run's blocks are confirmed after the change as they would have been before.
START_TEST(unconfirmed_blocks_come_along)
{
	start(8);
	add(0, 64, 8);
	put_many(0, 24);
	stop();
	start(8);
	add(0, 64, 8);
	ck_assert_uint_eq(stats().unknown, 24);
	replace(1, 64, 4);
	ck_assert(adopt(key_of(5), BLOCK));
	model[5].there = true;
	go_on();
	ck_assert_uint_eq(stats().unknown, 23);
	ck_assert(adopt(key_of(6), BLOCK));
	model[6].there = true;
	read_all();
	ck_assert_uint_eq(evictions, 0);
}
END_TEST

START_TEST(a_removed_level_that_is_added_again_has_its_blocks)
{
	start(8);
	add(0, 64, 8);
	put_many(0, 40);
	ck_assert_int_eq(stack_remove_disk(stack), STACK_OK);
	go_on();
	ck_assert_uint_eq(evictions, 32);
	add(0, 64, 8);
	ck_assert_uint_eq(stats().found, 40);
	ck_assert(adopt(key_of(1), BLOCK));
	model[1].there = true;
	read_all();
}
END_TEST

// What a level has of an earlier run may be old: it counts for nothing beside a copy, and is not what an answer that was
// under way when it came has confirmed.
START_TEST(a_level_that_is_added_may_have_other_bytes)
{
	uint8_t old[BLOCK_DIGEST_SIZE], now[BLOCK_DIGEST_SIZE];

	start(8);
	add(0, 64, 8);
	put_many(0, 24);
	ck_assert_int_eq(stack_remove_disk(stack), STACK_OK);
	go_on();
	put_version(1, 1, false);
	put_version(2, 1, true);
	add(1, 64, 8);
	put_version(3, 1, false);
	end_all();
	for (uint64_t block = 30; block < 40; block++)
		put_many(block, 1);
	stop();
	start(8);
	add(1, 64, 8);
	ck_assert(copies.ops->digest(copies.self, key_of(3), BLOCK, now)); // asked for by this
	ck_assert_int_eq(stack_remove_disk(stack), STACK_OK);
	go_on();
	put_version(1, 1, false);
	put_version(2, 1, true);
	add(0, 64, 8);
	ck_assert(is_here(1) && is_here(2));
	ck_assert(!copies.ops->adopt(copies.self, key_of(3), BLOCK));
	ck_assert(copies.ops->digest(copies.self, key_of(3), BLOCK, old));
	ck_assert_mem_ne(old, now, sizeof(old));
	put_many(40, 10); // they fall out of memory
	end_all();
	ck_assert(is_here(1));
	read_all();
}
END_TEST

// The records of what was just written are on their way when it leaves: they are not written from an emptied index.
START_TEST(a_level_removed_while_it_is_written_has_its_blocks)
{
	start(8);
	add(0, 64, 8);
	end_all();
	for (uint64_t block = 0; block < 40; block++)
		put_version(block, 0, false);
	ck_assert_int_eq(stack_remove_disk(stack), STACK_OK);
	go_on();
	add(0, 64, 8);
	ck_assert_uint_eq(stats().found, 40);
}
END_TEST

START_TEST(a_read_while_it_is_moved_is_told_once)
{
	start(8);
	add(0, 64, 8);
	put_many(0, 40);
	replace(1, 64, 8);
	stack_step(stack, 1000); // reads all that it may
	for (uint64_t block = 0; block < 32; block++) // on the disk only
		if (!copies.ops->ready(copies.self, key_of(block), pool))
			model[block].loading = true;
	end_all();
	take_loaded();
	for (uint64_t block = 0; block < 32; block++)
		ck_assert(!model[block].loading);
	go_on();
	ck_assert_uint_eq(evictions, 0);
	read_all();
}
END_TEST

START_TEST(blocks_that_change_while_they_are_moved)
{
	start(8);
	add(0, 64, 8);
	put_many(0, 40);
	replace(1, 64, 8);
	stack_step(stack, 1000);
	put_version(0, 1, true);
	copies.ops->drop(copies.self, key_of(1));
	model[1].there = false;
	put_version(2, 2, false);
	go_on();
	ck_assert(copies.ops->peek(copies.self, key_of(0)) != NULL);
	ck_assert_uint_eq(there_count(), 39);
	read_all();
}
END_TEST

// What falls out of memory faster than a disk can write is not lost.
START_TEST(a_level_in_memory_leaves_no_faster_than_the_disk_writes)
{
	const struct level_config large = {.size = (uint64_t)48 * BLOCK, .ways = 48, .hash = HASH_XXH};

	start(8);
	ck_assert_int_eq(stack_add(stack, 1, &large), STACK_OK);
	put_many(0, 50);
	add(0, 64, 64); // its volume's name is on its way
	ck_assert_int_eq(stack_remove(stack, 1), STACK_OK);
	ck_assert(!stack_step(stack, 1000));
	ck_assert_uint_eq(evictions, 0);
	wakes = 0;
	end_all();
	ck_assert_int_gt(wakes, 0);
	go_on();
	ck_assert_uint_eq(evictions, 0);
	ck_assert_uint_eq(there_count(), 50);
	read_all();
}
END_TEST

START_TEST(another_policy_at_once)
{
	start(8);
	ck_assert_int_eq(stack_set_disk_policy(stack, POLICY_S3FIFO), STACK_NO_LEVEL);
	add(0, 64, 8);
	put_many(0, 40);
	ck_assert_int_eq(stack_set_disk_policy(stack, POLICY_S3FIFO), STACK_OK);
	ck_assert_int_eq(stats().config.policy, POLICY_S3FIFO);
	ck_assert_uint_eq(stats().entries, 40);
	read_all();
}
END_TEST

// ---- failures ----

START_TEST(a_failed_level_that_is_removed_and_added_again_is_used)
{
	start(8);
	add(0, 64, 8);
	put_many(0, 40);
	sides[0].medium.write_errno = EIO;
	put_version(50, 0, false);
	put_version(50, 1, false);
	end_all();
	take_loaded();
	ck_assert_int_eq(sides[0].failures, 1);
	ck_assert_int_eq(stack_remove_disk(stack), STACK_OK);
	ck_assert_ptr_eq(go_on(), &sides[0]);
	ck_assert_uint_eq(there_count(), 8);
	sides[0].medium.write_errno = 0;
	add(0, 64, 8);
	end_all();
	put_many(0, 40);
	ck_assert_uint_eq(stats().sys_errno, 0);
	ck_assert_uint_ge(stats().entries, 40);
	read_all();
}
END_TEST

// The disk that is to take the blocks is full (0, 1), or the one that has them fails (2, 3): at once, or after a while.
START_TEST(a_disk_fails_in_the_middle)
{
	bool is_new = _i < 2;
	struct side *side = &sides[is_new ? 1 : 0];

	start(8);
	add(0, 64, 8);
	put_many(0, 48);
	replace(1, 128, 8);
	if (_i % 2 == 1) {
		end_all();
		stack_step(stack, 12);
		end_all();
		take_loaded();
	}
	side->medium.write_errno = is_new ? ENOSPC : 0;
	side->medium.read_errno = is_new ? 0 : EIO;
	ck_assert_ptr_eq(go_on(), side);
	ck_assert_int_eq(side->failures, 1);
	ck_assert_int_eq(sides[is_new ? 0 : 1].failures, 0);
	ck_assert_int_eq(stats().sys_errno, 0);
	ck_assert_uint_eq(there_count() + evictions, 48);
	if (is_new)
		ck_assert_uint_ge(there_count(), 30); // what had not moved stays
	read_all();
	put_many(50, 10); // the one that is there goes on
	ck_assert_uint_gt(stats().entries, 9);
}
END_TEST

// Killed at any moment of a change: what is on either disk, and has the digest of a block, has its bytes.
START_TEST(a_crash_in_the_middle)
{
	srand(_i);
	start(8);
	add(0, 64, 8);
	put_many(0, 40);
	replace(1, 32, 4);
	for (int n = rand() % 60; n > 0; n--) {
		struct memory_medium *medium = &sides[rand() % 2].medium;

		stack_step(stack, (uint32_t)(rand() % 8));
		if (medium->pending_count > 0)
			memory_medium_end(medium, medium->pending[(size_t)rand() % medium->pending_count]);
		take_loaded();
	}
	stop();
	for (int side = 0; side < MEDIA; side++) {
		start(8);
		add(side, side == 0 ? 64 : 32, side == 0 ? 8 : 4);
		ck_assert(side == 1 || stats().found == 40); // the one that leaves is as it was
		for (uint64_t block = 0; block < BLOCKS; block++)
			if (adopt(key_of(block), BLOCK)) {
				model[block].there = true;
				read_copy(block);
			}
		ck_assert(side == 1 || evictions == 0);
		stop();
	}
}
END_TEST

// ---- any order of calls ----

static void
random_level(struct side *side)
{
	uint64_t slots = 1 + (uint64_t)rand() % 32;
	uint32_t ways = 1 + (uint32_t)rand() % 4;

	side->used = true;
	if (stack_disk(stack) == NULL)
		add((int)(side - sides), slots, ways);
	else
		replace((int)(side - sides), slots, ways);
}

static void
random_change(void)
{
	struct disk_level *left;
	void *arg;

	left = stack_take_left_disk(stack, &arg);
	if (left != NULL) {
		struct side *side = arg;

		disk_level_close(left);
		side->medium.read_errno = side->medium.write_errno = 0;
		side->used = false;
	}
	if (stack_leaving_disk(stack) != NULL)
		return;
	if (stack_disk(stack) != NULL && rand() % 3 == 0) {
		ck_assert_int_eq(stack_remove_disk(stack), STACK_OK);
		return;
	}
	for (int i = 0; i < MEDIA; i++)
		if (!sides[i].used) {
			random_level(&sides[i]);
			return;
		}
}

static void
random_memory_change(void)
{
	struct level_config level = {.size = (1 + (uint64_t)rand() % 8) * BLOCK, .ways = (uint32_t)(rand() % 4), .hash = HASH_XXH};
	uint32_t position = (uint32_t)rand() % stack_level_count(stack);

	switch (rand() % 3) {
	case 0:
		stack_add(stack, position, &level);
		break;
	case 1:
		stack_remove(stack, position);
		break;
	default:
		stack_set(stack, position, &level);
	}
}

static void
random_use(uint64_t block)
{
	switch (rand() % 6) {
	case 0:
	case 1:
		put_version(block, (uint64_t)rand() % 3, rand() % 3 == 0);
		break;
	case 2:
		if (model[block].there && copies.ops->peek(copies.self, key_of(block)) != NULL) {
			model[block].dirty = rand() & 1;
			copies.ops->set_dirty(copies.self, key_of(block), model[block].dirty);
		}
		break;
	case 3:
		model[block].there = model[block].dirty = false;
		copies.ops->drop(copies.self, key_of(block));
		break;
	default:
		if (!model[block].there || model[block].loading)
			break;
		if (!copies.ops->ready(copies.self, key_of(block), pool))
			model[block].loading = true;
		else
			check_bytes(block);
	}
}

static void
random_end(void)
{
	struct memory_medium *medium = &sides[rand() % MEDIA].medium;

	if (medium->pending_count > 0)
		memory_medium_end(medium, medium->pending[(size_t)rand() % medium->pending_count]);
}

static void
random_failure(struct side *side)
{
	if (!side->used || rand() % 200 > 0)
		return;
	if (rand() & 1)
		side->medium.read_errno = EIO;
	else
		side->medium.write_errno = ENOSPC;
}

static void
random_check(void)
{
	for (uint64_t block = 0; block < 24; block++) {
		ck_assert(!model[block].dirty || copies.ops->peek(copies.self, key_of(block)) != NULL);
		ck_assert(!model[block].there || is_here(block));
	}
	if (stack_disk(stack) != NULL)
		disk_level_check(stack_disk(stack));
	if (stack_leaving_disk(stack) != NULL)
		disk_level_check(stack_leaving_disk(stack));
	stack_check(stack);
}

// Whoever is told as evicted was there and clean, whatever is there is somewhere, with the right bytes; each read that the
// core waits for is told once.
START_TEST(changes_in_any_order_of_calls)
{
	srand(_i);
	start(2 + (uint64_t)rand() % 6);
	for (int n = 0; n < 3000; n++) {
		random_use((uint64_t)rand() % 24);
		random_end();
		if (rand() % 4 == 0)
			take_loaded();
		if (rand() % 3 == 0)
			stack_step(stack, (uint32_t)rand() % 8);
		if (rand() % 30 == 0)
			random_change();
		if (rand() % 50 == 0)
			random_memory_change();
		if (_i % 2 == 0)
			random_failure(&sides[rand() % MEDIA]);
		if (n % 16 == 0)
			random_check();
	}
	go_on();
	end_all();
	take_loaded();
	for (uint64_t block = 0; block < 24; block++)
		ck_assert(!model[block].loading);
}
END_TEST

static Suite *
disk_live_suite(void)
{
	Suite *suite = suite_create("disk_live");
	TCase *tcase = tcase_create("disk_live");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, a_level_that_is_added_takes_what_falls_out);
	tcase_add_test(tcase, what_is_removed_comes_up_as_far_as_there_is_room);
	tcase_add_test(tcase, pinned_blocks_come_up_in_any_case);
	tcase_add_test(tcase, what_is_in_a_level_comes_to_the_one_in_its_place);
	tcase_add_loop_test(tcase, counters_go_on, 0, 2);
	tcase_add_test(tcase, unconfirmed_blocks_come_along);
	tcase_add_test(tcase, a_removed_level_that_is_added_again_has_its_blocks);
	tcase_add_test(tcase, a_level_that_is_added_may_have_other_bytes);
	tcase_add_test(tcase, a_level_removed_while_it_is_written_has_its_blocks);
	tcase_add_test(tcase, a_read_while_it_is_moved_is_told_once);
	tcase_add_test(tcase, blocks_that_change_while_they_are_moved);
	tcase_add_test(tcase, a_level_in_memory_leaves_no_faster_than_the_disk_writes);
	tcase_add_test(tcase, another_policy_at_once);
	tcase_add_test(tcase, a_failed_level_that_is_removed_and_added_again_is_used);
	tcase_add_loop_test(tcase, a_disk_fails_in_the_middle, 0, 4);
	tcase_add_loop_test(tcase, a_crash_in_the_middle, 0, 50);
	tcase_add_loop_test(tcase, changes_in_any_order_of_calls, 0, 60);
	suite_add_tcase(suite, tcase);
	return suite;
}

int
main(void)
{
	SRunner *runner = srunner_create(disk_live_suite());
	int failed;

	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
