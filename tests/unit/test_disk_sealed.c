// SPDX-License-Identifier: MIT
// Blocks of sealed volumes in a disk level, with real keys: nothing in the clear is on the medium; they come back over
// a restart with their proofs; what was altered, swapped, made up or is older is not taken for them.
#include "cache/disk_format.h"
#include "core/check.h"
#include "node/sealed_form.h"
#include "tests/sim/memory_medium.h"
#include "tests/unit/sealed_help.h"

#include "cache/stack.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum {
	BLOCK = SEALED_HELP_BLOCK,
	SLOT = BLOCK + SEALED_TAIL_SIZE,
	SLOTS = 64,
	MEDIUM_SIZE = 8 << 20,
	SEALED = 3,
	PLAIN = 5, // a volume that is not
	WORKS_MAX = 64,
};

static const struct level_config memory_config = {
	.size = (uint64_t)32 * BLOCK, .ways = 8, .hash = HASH_NEIGHBOURS, .policy = POLICY_LRU};
static const enum volume_role roles[] = {VOLUME_ROLE_PROXY, VOLUME_ROLE_READER, VOLUME_ROLE_WRITER};

// ---- Fixture: a node, by the role of its key ----

static struct volume_key *owner, *keys[3];
static struct memory_medium medium;
static struct buf_pool *pool;
static struct stack *stack;
static struct copies copies;
static struct sealed_form *form;
static struct disk_work *works[WORKS_MAX];
static uint32_t work_count, slot_size, evicted;
static bool at_once; // what is to be computed
static char error[512];

static void
on_evicted(void *arg, block_key key)
{
	(void)arg;
	(void)key;
	evicted++;
}

static void
on_wake(void *arg)
{
	(void)arg;
}

static void
on_compute(void *arg, struct disk_work *work)
{
	(void)arg;
	ck_assert_uint_lt(work_count, WORKS_MAX);
	works[work_count++] = work;
}

static void
settle(void)
{
	do {
		memory_medium_end_all(&medium);
		for (uint32_t i = 0; i < work_count; i++) { // may not add to them
			works[i]->run(works[i]);
			works[i]->done(works[i]);
		}
		work_count = 0;
	} while (medium.pending_count > 0);
}

static struct disk_level *
open_level(struct memory_medium *on, uint32_t size)
{
	const struct level_config config = {
		.size = disk_level_size_min(0) + (uint64_t)SLOTS * size, .ways = 4, .hash = HASH_MURMUR, .policy = POLICY_LRU};
	const struct medium m = memory_medium(on);
	struct disk_level *level;
	bool emptied;

	level = disk_level_open(&m, &config, size, false, &emptied, error, sizeof(error));
	ck_assert_msg(level != NULL, "%s", error);
	return level;
}

static void
start_with(const struct volume_key *key)
{
	const struct stack_disk_hooks hooks = {.wake = on_wake, .compute = at_once ? NULL : on_compute};

	stack = stack_create(BLOCK, &memory_config, 1);
	form = key != NULL ? sealed_form_create(key) : NULL;
	stack_set_form(stack, SEALED, form);
	stack_set_disk(stack, open_level(&medium, slot_size), &hooks);
	copies = stack_copies(stack);
	copies.ops->on_evicted(copies.self, on_evicted, NULL);
	copies.ops->set_volume(copies.self, SEALED, "sealed", pool);
	copies.ops->set_volume(copies.self, PLAIN, "plain", pool);
	settle();
}

static void
stop(void)
{
	settle();
	disk_level_check(stack_disk(stack));
	stack_check(stack);
	stack_abandon_disk(stack);
	stack_destroy(stack);
	sealed_form_destroy(form);
	stack = NULL;
	ck_assert_uint_eq(buf_pool_used(pool), 0);
}

static void
restart_with(const struct volume_key *key)
{
	stop();
	start_with(key);
}

static void
setup(void)
{
	CHECK(sodium_init() >= 0);
	owner = seal_help_key(1, VOLUME_ROLE_OWNER, 2);
	for (int i = 0; i < 3; i++)
		keys[i] = seal_help_key(1, roles[i], 2);
	memory_medium_init(&medium, 0, MEDIUM_SIZE);
	pool = buf_pool_create(BLOCK);
	slot_size = SLOT;
	evicted = work_count = 0;
	at_once = false;
}

static void
teardown(void)
{
	if (stack != NULL)
		stop();
	buf_pool_destroy(pool);
	memory_medium_fini(&medium);
	for (int i = 0; i < 3; i++)
		volume_key_destroy(keys[i]);
	volume_key_destroy(owner);
}

// ---- Blocks ----

static block_key
key_of(uint64_t block)
{
	return block_key_make(SEALED, block);
}

// What the node of this test has in memory.
static const uint8_t *
in_memory(const struct sealed_help_block *made)
{
	return form != NULL && !form->is_plain ? made->cipher : made->plain;
}

static void
put(uint64_t block, version_t version)
{
	struct sealed_help_block made = sealed_help_make(owner, block, version);
	struct buf *buf = buf_alloc(pool);

	memcpy(buf_bytes(buf), in_memory(&made), BLOCK);
	sealed_help_give(buf, &made.verifier);
	copies.ops->put(copies.self, key_of(block), buf, false);
	buf_unref(buf);
}

static void
proof_digest(const struct seal_verifier *verifier, uint8_t ret[BLOCK_DIGEST_SIZE])
{
	CHECK(crypto_generichash(ret, BLOCK_DIGEST_SIZE, verifier->bytes, verifier->size, NULL, 0) == 0);
}

static bool
digest_is(uint64_t block, version_t version)
{
	struct sealed_help_block made = sealed_help_make(owner, block, version);
	uint8_t right[BLOCK_DIGEST_SIZE], digest[BLOCK_DIGEST_SIZE];

	proof_digest(&made.verifier, right);
	return copies.ops->digest(copies.self, key_of(block), BLOCK, digest) &&
	       memcmp(digest, right, sizeof(right)) == 0;
}

// As the core takes over what its parent has confirmed.
static bool
adopt(uint64_t block)
{
	uint8_t digest[BLOCK_DIGEST_SIZE];

	return copies.ops->digest(copies.self, key_of(block), BLOCK, digest) &&
	       copies.ops->adopt(copies.self, key_of(block), BLOCK);
}

// As the core reads a copy that there is; NULL: it was evicted.
static struct buf *
bring(block_key key)
{
	block_key loaded;

	if (!copies.ops->ready(copies.self, key, pool)) {
		settle();
		ck_assert(copies.ops->next_loaded(copies.self, &loaded));
		ck_assert_uint_eq(loaded, key);
		ck_assert(!copies.ops->next_loaded(copies.self, &loaded));
	}
	return copies.ops->get(copies.self, key);
}

// The block is there, as the role has it, with its proof.
static void
assert_there(uint64_t block, version_t version)
{
	struct sealed_help_block made = sealed_help_make(owner, block, version);
	struct buf *buf = bring(key_of(block));

	ck_assert_msg(buf != NULL, "block %d", (int)block);
	ck_assert_mem_eq(buf_bytes(buf), in_memory(&made), BLOCK);
	ck_assert_ptr_nonnull(buf_proof(buf));
	ck_assert_uint_eq(buf_proof(buf)->size, made.verifier.size);
	ck_assert_mem_eq(buf_proof(buf)->bytes, made.verifier.bytes, made.verifier.size);
}

static struct disk_level_stats
stats(void)
{
	struct disk_level_stats ret;

	disk_level_get_stats(stack_disk(stack), &ret);
	return ret;
}

// ---- The medium, as somebody sees it who has it ----

static bool
is_seen(const void *bytes, size_t size)
{
	return memmem(medium.bytes, medium.size, bytes, size) != NULL;
}

static uint8_t *
slot_of(uint64_t block, version_t version)
{
	struct sealed_help_block made = sealed_help_make(owner, block, version);
	uint8_t *at = memmem(medium.bytes, medium.size, made.cipher, BLOCK);

	ck_assert_ptr_nonnull(at);
	return at;
}

static void
read_superblock(struct disk_superblock *ret)
{
	struct disk_superblock other;
	uint32_t version;

	ck_assert_int_eq(disk_superblock_read(medium.bytes, ret, &version), DISK_OURS);
	ck_assert_int_eq(disk_superblock_read(medium.bytes + DISK_SUPERBLOCK_SIZE, &other, &version), DISK_OURS);
	if (other.generation > ret->generation)
		*ret = other;
}

// Write the record of the slot that is at ${at}, of ${block} of volume ${number}, with this digest.
static void
forge_record(const uint8_t *at, uint32_t number, uint64_t block, const uint8_t digest[BLOCK_DIGEST_SIZE])
{
	static struct disk_superblock superblock;
	struct disk_record record = {.number = number, .block = block, .size = BLOCK};
	uint64_t slot;

	read_superblock(&superblock);
	slot = ((uint64_t)(at - medium.bytes) - disk_slot_offset(&superblock, 0)) / superblock.slot_size;
	memcpy(record.digest, digest, BLOCK_DIGEST_SIZE);
	disk_record_write(&superblock, slot, &record, medium.bytes + disk_page_offset(0) + slot * DISK_RECORD_SIZE);
}

// Which volume the record of the slot at ${at} is of.
static uint32_t
number_at(const uint8_t *at)
{
	static struct disk_superblock superblock;
	struct disk_record record;
	uint64_t slot;

	read_superblock(&superblock);
	slot = ((uint64_t)(at - medium.bytes) - disk_slot_offset(&superblock, 0)) / superblock.slot_size;
	ck_assert(disk_record_read(&superblock, slot, medium.bytes + disk_page_offset(0) + slot * DISK_RECORD_SIZE,
				   &record));
	return record.number;
}

// ---- Cases: what is right ----

// By role, computed at once and not.
START_TEST(they_come_back_with_their_proofs)
{
	at_once = _i >= 3;
	start_with(keys[_i % 3]);
	for (uint64_t block = 0; block < 20; block++)
		put(block, block + 1);
	settle();
	ck_assert_uint_eq(stats().entries, 20);
	restart_with(keys[_i % 3]);
	ck_assert_uint_eq(stats().found, 20);
	for (uint64_t block = 0; block < 20; block++) {
		ck_assert(digest_is(block, block + 1));
		ck_assert(adopt(block));
		assert_there(block, block + 1);
		ck_assert(digest_is(block, block + 1));
	}
	ck_assert_uint_eq(stats().damaged, 0);
	ck_assert_uint_eq(stats().confirmed, 20);
}
END_TEST

START_TEST(nothing_is_on_the_medium_in_the_clear)
{
	struct buf *buf = buf_alloc(pool);
	struct sealed_help_block made = sealed_help_make(owner, 7, 8);

	start_with(keys[_i]);
	put(7, 8);
	settle();
	ck_assert(!is_seen(sealed_help_marker, strlen(sealed_help_marker)));
	ck_assert(!is_seen(made.plain + 64, 32));
	ck_assert(is_seen(made.cipher, BLOCK));
	ck_assert(is_seen(made.verifier.bytes, made.verifier.size));
	// Of a volume beside it that is not sealed it is seen.
	sealed_help_fill(buf_bytes(buf), 9, 9);
	copies.ops->put(copies.self, block_key_make(PLAIN, 9), buf, false);
	buf_unref(buf);
	settle();
	ck_assert(is_seen(sealed_help_marker, strlen(sealed_help_marker)));
	restart_with(keys[_i]);
	ck_assert_uint_eq(stats().found, 2);
	uint8_t digest[BLOCK_DIGEST_SIZE];
	ck_assert(copies.ops->digest(copies.self, block_key_make(PLAIN, 9), BLOCK, digest));
	ck_assert(copies.ops->adopt(copies.self, block_key_make(PLAIN, 9), BLOCK));
	buf = bring(block_key_make(PLAIN, 9));
	ck_assert_ptr_nonnull(buf);
	ck_assert_ptr_null(buf_proof(buf));
	ck_assert_mem_eq(buf_bytes(buf), sealed_help_marker, strlen(sealed_help_marker));
}
END_TEST

// Who has a copy in the clear and who has it sealed know it by the same digest; before it is on the disk, and after.
START_TEST(digests_are_of_proofs)
{
	start_with(keys[_i]);
	copies.ops->set_volume(copies.self, 9, "another", pool);
	put(1, 4);
	ck_assert(digest_is(1, 4));
	settle();
	ck_assert(digest_is(1, 4));
	put(1, 5);
	ck_assert(digest_is(1, 5));
	copies.ops->set_dirty(copies.self, key_of(1), true);
	ck_assert(digest_is(1, 5));
}
END_TEST

// What nobody has sealed is not kept, by nobody: in whose name should it come back?
START_TEST(without_a_proof_it_is_not_kept)
{
	struct buf *buf = buf_alloc(pool);

	start_with(keys[2]);
	sealed_help_fill(buf_bytes(buf), 1, 1);
	copies.ops->put(copies.self, key_of(1), buf, false);
	copies.ops->put(copies.self, key_of(2), buf_zero(), false);
	buf_unref(buf);
	settle();
	ck_assert_uint_eq(stats().entries, 0);
	ck_assert_uint_eq(stats().waiting, 0);
	ck_assert(!is_seen(sealed_help_marker, strlen(sealed_help_marker)));
	ck_assert_ptr_nonnull(copies.ops->get(copies.self, key_of(1)));
	// Written over what was there with one.
	put(3, 1);
	settle();
	ck_assert_uint_eq(stats().entries, 1);
	buf = buf_alloc(pool);
	sealed_help_fill(buf_bytes(buf), 3, 2);
	copies.ops->put(copies.self, key_of(3), buf, false);
	buf_unref(buf);
	settle();
	ck_assert_uint_eq(stats().entries, 0);
	for (uint64_t block = 100; block < 200; block++)
		put(block, 1);
	settle();
	ck_assert_ptr_null(copies.ops->get(copies.self, key_of(1)));
}
END_TEST

// Zeros that a writer has sealed: who can not seal has a proof of them.
START_TEST(sealed_zeros)
{
	struct seal_block zeros = {.place = {.block = 4, .version = 2, .block_size = BLOCK}};
	struct seal_verifier verifier;
	struct buf *buf = buf_alloc(pool);

	seal_make(owner, &zeros, 1, &verifier);
	start_with(keys[_i]);
	memset(buf_bytes(buf), 0, BLOCK);
	sealed_help_give(buf, &verifier);
	copies.ops->put(copies.self, key_of(4), buf, false);
	buf_unref(buf);
	settle();
	restart_with(keys[_i]);
	ck_assert(adopt(4));
	buf = bring(key_of(4));
	ck_assert_ptr_nonnull(buf);
	ck_assert(buf_bytes(buf)[0] == 0 && memcmp(buf_bytes(buf), buf_bytes(buf) + 1, BLOCK - 1) == 0);
	ck_assert_mem_eq(buf_proof(buf)->bytes, verifier.bytes, verifier.size);
}
END_TEST

// A file is the same for all roles.
START_TEST(another_role_reads_it)
{
	start_with(keys[_i]);
	put(1, 4);
	for (int i = 0; i < 3; i++) {
		restart_with(keys[i]);
		ck_assert(adopt(1));
		assert_there(1, 4);
	}
}
END_TEST

// Modified, forgotten, put again while it is being sealed, or opened.
START_TEST(it_changes_while_it_is_computed)
{
	start_with(keys[_i]);
	put(1, 1);
	put(1, 2);
	copies.ops->drop(copies.self, key_of(1));
	put(1, 3);
	settle();
	put(1, 3); // if that was too soon
	settle();
	restart_with(keys[_i]);
	ck_assert(adopt(1));
	assert_there(1, 3);
	restart_with(keys[_i]);
	ck_assert(adopt(1));
	ck_assert(!copies.ops->ready(copies.self, key_of(1), pool));
	memory_medium_end_all(&medium);
	put(1, 5); // in its place, while the old one is being opened
	settle();
	block_key key;
	ck_assert(copies.ops->next_loaded(copies.self, &key));
	assert_there(1, 5);
	put(1, 5);
	settle();
	restart_with(keys[_i]);
	ck_assert(digest_is(1, 5));
}
END_TEST

// Into another one, as when its size changes; out of it, to memory.
START_TEST(a_level_leaves)
{
	const struct stack_disk_hooks hooks = {.wake = on_wake, .compute = on_compute};
	struct memory_medium second;
	struct memory_medium *both[] = {&medium, &second};
	void *arg;

	memory_medium_init(&second, 0, MEDIUM_SIZE);
	start_with(keys[_i]);
	for (uint64_t block = 0; block < 20; block++)
		put(block, 1);
	restart_with(keys[_i]);
	ck_assert(adopt(3)); // the others are not confirmed yet
	ck_assert_int_eq(stack_replace_disk(stack, open_level(&second, SLOT), &hooks), STACK_OK);
	for (int i = 0; i < 1000 && stack_leaving_disk(stack) != NULL; i++) {
		struct disk_level *level;
		block_key key;

		stack_step(stack, 64);
		memory_medium_end_all(both[1]);
		settle();
		copies.ops->next_loaded(copies.self, &key);
		level = stack_take_left_disk(stack, &arg);
		if (level != NULL)
			disk_level_close(level);
	}
	memory_medium_end_all(both[1]);
	ck_assert_ptr_null(stack_leaving_disk(stack));
	ck_assert_uint_eq(stats().entries, 20);
	ck_assert_uint_eq(stats().unknown, 19);
	ck_assert_ptr_null(memmem(second.bytes, second.size, sealed_help_marker, strlen(sealed_help_marker)));
	for (uint64_t block = 0; block < 20; block++)
		ck_assert(digest_is(block, 1));
	stack_abandon_disk(stack);
	stack_destroy(stack);
	sealed_form_destroy(form);
	stack = NULL;
	memory_medium_fini(&second);
}
END_TEST

// ---- Cases: what is not ----

// Put, so that it is on the disk; then again of a new run, confirmed, and nothing of it in memory.
static void
put_and_restart(int role, uint64_t blocks)
{
	start_with(keys[role]);
	for (uint64_t block = 0; block < blocks; block++)
		put(block, 1);
	restart_with(keys[role]);
	for (uint64_t block = 0; block < blocks; block++)
		ck_assert(adopt(block));
}

static void
assert_refused(uint64_t block)
{
	uint64_t damaged = stats().damaged;
	uint32_t before = evicted;

	ck_assert_ptr_null(bring(key_of(block)));
	ck_assert_uint_eq(stats().damaged, damaged + 1);
	ck_assert_uint_eq(evicted, before + 1);
}

START_TEST(altered)
{
	static const size_t places[] = {0, 100, BLOCK - 1, BLOCK, BLOCK + 1, BLOCK + 2, BLOCK + 30, BLOCK + 100};
	const size_t count = sizeof(places) / sizeof(*places);

	put_and_restart(_i, count + 2);
	for (size_t i = 0; i < count; i++)
		slot_of(i, 1)[places[i]] ^= 1;
	memset(slot_of(count, 1) + BLOCK, 0, SEALED_TAIL_SIZE);
	for (size_t i = 0; i <= count; i++)
		assert_refused(i);
	assert_there(count + 1, 1);
}
END_TEST

// What is written in the clear where ciphertext belongs is no block, also for who knows no better.
START_TEST(in_the_clear)
{
	put_and_restart(_i, 2);
	sealed_help_fill(slot_of(1, 1), 1, 1);
	assert_refused(1);
	assert_there(0, 1);
}
END_TEST

START_TEST(swapped)
{
	uint8_t *one, *two, slot[SLOT];

	put_and_restart(_i, 5);
	one = slot_of(1, 1);
	two = slot_of(2, 1);
	memcpy(slot, one, SLOT);
	memcpy(one, two, SLOT);
	memcpy(two, slot, SLOT);
	memcpy(slot_of(3, 1), slot_of(4, 1), BLOCK); // without its proof
	assert_refused(1);
	assert_refused(2);
	assert_refused(3);
	assert_there(4, 1);
}
END_TEST

// An older one in its place was right once.
START_TEST(older)
{
	uint8_t slot[SLOT];

	start_with(keys[_i]);
	put(1, 1);
	settle();
	memcpy(slot, slot_of(1, 1), SLOT);
	put(1, 2);
	settle();
	memcpy(slot_of(1, 2), slot, SLOT);
	restart_with(keys[_i]);
	ck_assert(digest_is(1, 2));
	ck_assert(adopt(1));
	assert_refused(1);
	// With its record it says so: whoever is asked by that digest knows a newer one.
	put(1, 2);
	settle();
	memcpy(slot_of(1, 2), slot, SLOT);
	struct sealed_help_block made = sealed_help_make(owner, 1, 1);
	uint8_t digest[BLOCK_DIGEST_SIZE];
	proof_digest(&made.verifier, digest);
	stop();
	forge_record(slot_of(1, 1), number_at(slot_of(1, 1)), 1, digest);
	start_with(keys[_i]);
	ck_assert(digest_is(1, 1));
}
END_TEST

// Another writer, of another volume, has sealed it, and the record is right: a parent may be in league with him.
START_TEST(made_up)
{
	struct volume_key *stranger = seal_help_key(2, VOLUME_ROLE_OWNER, 2);
	struct sealed_help_block made = sealed_help_make(stranger, 1, 1), zeros = {.verifier = {.size = 81}};
	uint8_t *at, digest[BLOCK_DIGEST_SIZE];

	start_with(keys[_i]);
	put(1, 1);
	put(2, 1);
	stop();
	at = slot_of(1, 1);
	proof_digest(&made.verifier, digest);
	forge_record(at, number_at(at), 1, digest);
	memcpy(at, made.cipher, BLOCK);
	at[BLOCK] = (uint8_t)made.verifier.size;
	at[BLOCK + 1] = (uint8_t)(made.verifier.size >> 8);
	memcpy(at + BLOCK + 2, made.verifier.bytes, made.verifier.size);
	// Zeros, with something that looks like a proof of them.
	zeros.verifier.bytes[0] = 2;
	zeros.verifier.bytes[4] = 1;
	zeros.verifier.bytes[16] = 1;
	at = slot_of(2, 1);
	proof_digest(&zeros.verifier, digest);
	forge_record(at, number_at(at), 2, digest);
	memset(at, 0, BLOCK);
	at[BLOCK] = 81;
	memcpy(at + BLOCK + 2, zeros.verifier.bytes, 81);
	start_with(keys[_i]);
	ck_assert(adopt(1));
	ck_assert(adopt(2));
	assert_refused(1);
	assert_refused(2);
	volume_key_destroy(stranger);
}
END_TEST

// A record that says zeros, which have no bytes and no proof.
START_TEST(zeros_without_a_proof)
{
	static struct disk_superblock superblock;
	struct disk_record record = {.block = 1, .size = 0};
	uint8_t digest[BLOCK_DIGEST_SIZE], *at;
	uint64_t slot;

	start_with(keys[_i]);
	put(1, 1);
	stop();
	at = slot_of(1, 1);
	record.number = number_at(at);
	read_superblock(&superblock);
	slot = ((uint64_t)(at - medium.bytes) - disk_slot_offset(&superblock, 0)) / superblock.slot_size;
	disk_record_write(&superblock, slot, &record, medium.bytes + disk_page_offset(0) + slot * DISK_RECORD_SIZE);
	start_with(keys[_i]);
	ck_assert_uint_eq(stats().found, 0);
	ck_assert(!copies.ops->digest(copies.self, key_of(1), BLOCK, digest));
}
END_TEST

// A volume of the same name that is sealed with other keys, or was not sealed, is another one.
START_TEST(another_volume_of_that_name)
{
	struct volume_key *stranger = seal_help_key(2, VOLUME_ROLE_OWNER, 2);
	uint8_t digest[BLOCK_DIGEST_SIZE];
	struct buf *buf = buf_alloc(pool);

	start_with(NULL);
	sealed_help_fill(buf_bytes(buf), 1, 1);
	copies.ops->put(copies.self, key_of(1), buf, false);
	buf_unref(buf);
	settle();
	ck_assert(is_seen(sealed_help_marker, strlen(sealed_help_marker)));
	restart_with(keys[_i]);
	ck_assert_uint_eq(stats().found, 1);
	ck_assert(!copies.ops->digest(copies.self, key_of(1), BLOCK, digest));
	put(2, 1);
	restart_with(stranger);
	ck_assert_uint_eq(stats().found, 2);
	ck_assert(!copies.ops->digest(copies.self, key_of(1), BLOCK, digest));
	ck_assert(!copies.ops->digest(copies.self, key_of(2), BLOCK, digest));
	restart_with(NULL);
	ck_assert(copies.ops->digest(copies.self, key_of(1), BLOCK, digest));
	ck_assert(!copies.ops->digest(copies.self, key_of(2), BLOCK, digest));
	restart_with(keys[_i]);
	ck_assert(digest_is(2, 1));
	volume_key_destroy(stranger);
}
END_TEST

// A file that was made without room for proofs has no blocks of sealed volumes; others as ever.
START_TEST(no_room_for_proofs)
{
	struct buf *buf = buf_alloc(pool);

	slot_size = BLOCK;
	start_with(keys[_i]);
	put(1, 1);
	sealed_help_fill(buf_bytes(buf), 9, 9);
	copies.ops->put(copies.self, block_key_make(PLAIN, 9), buf, false);
	buf_unref(buf);
	settle();
	ck_assert_uint_eq(stats().entries, 1);
	ck_assert_uint_eq(medium.bytes[8], DISK_VERSION);
	assert_there(1, 1);
	ck_assert(digest_is(1, 1));
}
END_TEST

START_TEST(the_superblock)
{
	static uint8_t bytes[DISK_SUPERBLOCK_SIZE];
	static struct disk_superblock superblock, back;
	uint32_t version;

	superblock = (struct disk_superblock){.generation = 7,
					      .slot_size = 32768 + SEALED_TAIL_SIZE,
					      .way_count = 16,
					      .group_count = 1 << 20,
					      .hash = HASH_XXH,
					      .volume_count = 2,
					      .volumes = {"one", "two"},
					      .keys = {{0}, "sixteen bytes..."}};
	disk_superblock_write(&superblock, bytes);
	ck_assert_int_eq(disk_superblock_read(bytes, &back, &version), DISK_OURS);
	ck_assert_uint_eq(version, DISK_VERSION_SEALED);
	ck_assert_mem_eq(&back, &superblock, sizeof(back));
	ck_assert(!disk_is_sealed(&back, 0) && disk_is_sealed(&back, 1));
	bytes[64 + 16] ^= 1; // another key
	ck_assert_int_eq(disk_superblock_read(bytes, &back, &version), DISK_DAMAGED);
	superblock.slot_size = 4096 + 1024; // neither with nor without
	disk_superblock_write(&superblock, bytes);
	ck_assert_int_eq(disk_superblock_read(bytes, &back, &version), DISK_DAMAGED);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("disk_sealed");
	TCase *cases = tcase_create("cases");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(cases, setup, teardown);
	tcase_set_timeout(cases, 60);
	tcase_add_loop_test(cases, they_come_back_with_their_proofs, 0, 6);
	tcase_add_loop_test(cases, nothing_is_on_the_medium_in_the_clear, 0, 3);
	tcase_add_loop_test(cases, digests_are_of_proofs, 0, 3);
	tcase_add_test(cases, without_a_proof_it_is_not_kept);
	tcase_add_loop_test(cases, sealed_zeros, 0, 3);
	tcase_add_loop_test(cases, another_role_reads_it, 0, 3);
	tcase_add_loop_test(cases, it_changes_while_it_is_computed, 0, 3);
	tcase_add_loop_test(cases, a_level_leaves, 0, 3);
	tcase_add_loop_test(cases, altered, 0, 3);
	tcase_add_loop_test(cases, in_the_clear, 0, 3);
	tcase_add_loop_test(cases, swapped, 0, 3);
	tcase_add_loop_test(cases, older, 0, 3);
	tcase_add_loop_test(cases, made_up, 0, 3);
	tcase_add_loop_test(cases, zeros_without_a_proof, 0, 3);
	tcase_add_loop_test(cases, another_volume_of_that_name, 0, 3);
	tcase_add_loop_test(cases, no_room_for_proofs, 0, 3);
	tcase_add_test(cases, the_superblock);
	suite_add_tcase(suite, cases);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
