// SPDX-License-Identifier: MIT
// The journal with blocks of a sealed volume, with real keys: nothing in the clear is on the medium; what was reported as
// written is found with its proof; what nobody who may write has written is damage.
#include "cache/journal_format.h"
#include "cache/sum.h"
#include "core/check.h"
#include "node/sealed_form.h"
#include "tests/sim/memory_medium.h"
#include "tests/unit/sealed_help.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = SEALED_HELP_BLOCK, SIZE = 96 * JOURNAL_PAGE, SECTOR = 512, SEALED = 2, PLAIN = 3 };

// Who has something to write.
enum { PROXY, WRITER, READER };
static const enum volume_role roles[] = {VOLUME_ROLE_PROXY, VOLUME_ROLE_WRITER, VOLUME_ROLE_READER};

// ---- Fixture: a node, by the role of its key ----

static struct volume_key *owner, *keys[3];
static struct memory_medium medium;
static struct buf_pool *pool;
static struct journal *journal;
static struct sealed_form *form;
static struct seal_cache *cache;
static bool crashes; // records arrive sector by sector, by chance
static char error[512];

static const struct author author = {.node_id = 77, .number = 5, .names = {77}, .name_count = 1, .epoch = 3};

static struct buf_pool *
pool_of(void *arg, uint32_t size)
{
	(void)arg;
	ck_assert_uint_eq(size, BLOCK);
	return pool;
}

static const struct sealed_form *
form_of(void *arg, const char *volume)
{
	(void)arg;
	return strcmp(volume, "sealed") == 0 ? form : NULL;
}

// NULL: no volume is sealed.
static struct journal *
open_with(const struct volume_key *key)
{
	const struct medium m = memory_medium(&medium);
	const struct journal_hooks hooks = {.pool = pool_of, .form = form_of, .sealed = key != NULL};

	sealed_form_destroy(form);
	form = key != NULL ? sealed_form_create(key) : NULL;
	return journal_open(&m, SIZE, &hooks, error, sizeof(error));
}

static void
start_with(const struct volume_key *key)
{
	journal = open_with(key);
	ck_assert_msg(journal != NULL, "%s", error);
	journal_set_volume(journal, SEALED, "sealed");
	journal_set_author(journal, SEALED, &author);
	journal_set_volume(journal, PLAIN, "plain");
	journal_set_author(journal, PLAIN, &author);
}

static void
restart_with(const struct volume_key *key)
{
	journal_close(journal);
	journal = NULL;
	start_with(key);
}

static void
setup(void)
{
	CHECK(sodium_init() >= 0);
	owner = seal_help_key(1, VOLUME_ROLE_OWNER, 2);
	for (int i = 0; i < 3; i++)
		keys[i] = seal_help_key(1, roles[i], 2);
	memory_medium_init(&medium, 0, 1 << 20);
	pool = buf_pool_create(BLOCK);
	cache = seal_cache_create();
	CHECK(cache != NULL);
	crashes = false;
}

static void
teardown(void)
{
	journal_close(journal);
	journal = NULL;
	sealed_form_destroy(form);
	form = NULL;
	ck_assert_uint_eq(buf_pool_used(pool), 0);
	buf_pool_destroy(pool);
	memory_medium_fini(&medium);
	seal_cache_destroy(cache);
	for (int i = 0; i < 3; i++)
		volume_key_destroy(keys[i]);
	volume_key_destroy(owner);
}

// ---- Blocks ----

// As this node has it in memory: a writer in the clear and without a proof, a proxy with one.
static struct buf *
make(uint64_t block, version_t version)
{
	struct buf *buf = buf_alloc(pool);
	struct sealed_help_block made;

	if (form->is_plain) {
		sealed_help_fill(buf_bytes(buf), block, version);
		return buf;
	}
	made = sealed_help_make(owner, block, version);
	memcpy(buf_bytes(buf), made.cipher, BLOCK);
	sealed_help_give(buf, &made.verifier);
	return buf;
}

static void
put(uint64_t block, version_t version)
{
	struct buf *buf = make(block, version);

	journal_put(journal, block_key_make(SEALED, block), version, buf, BLOCK);
	buf_unref(buf);
}

static void
put_plain(uint64_t block, version_t version)
{
	struct buf *buf = buf_alloc(pool);

	sealed_help_fill(buf_bytes(buf), block, version);
	journal_put(journal, block_key_make(PLAIN, block), version, buf, BLOCK);
	buf_unref(buf);
}

static void
arrive(uint64_t offset, const uint8_t *bytes, size_t size)
{
	for (size_t at = 0; at < size; at += SECTOR)
		if (!crashes || randombytes_uniform(4) > 0)
			memcpy(medium.bytes + offset + at, bytes + at, SECTOR);
}

// The next record is sealed and written. False: there is none, or no room.
static bool
write_one(void)
{
	uint64_t offset;
	const uint8_t *bytes;
	size_t size;
	int sys_errno;

	if (!journal_take(journal, &offset, &bytes, &size))
		return false;
	ck_assert_uint_le(offset + size, medium.size);
	sys_errno = journal_seal(journal);
	if (sys_errno == 0)
		arrive(offset, bytes, size);
	if (crashes)
		return false;
	journal_written(journal, sys_errno);
	journal_check(journal);
	return sys_errno == 0;
}

static void
write_all(void)
{
	while (write_one())
		;
}

static void
take_over(void)
{
	struct journal_found found;

	for (size_t i = 0; journal_found(journal, i, &found); i++)
		journal_put(journal, block_key_make(SEALED, found.block), found.version, found.buf, BLOCK);
	journal_taken_over(journal);
}

static struct journal_stats
stats(void)
{
	struct journal_stats ret;

	journal_get_stats(journal, &ret);
	return ret;
}

static bool
find(const char *volume, uint64_t block, struct journal_found *ret)
{
	for (size_t i = 0; journal_found(journal, i, ret); i++)
		if (ret->block == block && strcmp(ret->volume, volume) == 0)
			return true;
	return false;
}

// What was found of ${block}, with a proof that is right for a proxy, too; 0: nothing.
static version_t
found_version(uint64_t block)
{
	struct journal_found found;
	uint8_t plain[BLOCK], cipher[BLOCK];
	const struct proof *proof;
	struct seal_place place = {.block = block, .block_size = BLOCK};

	if (!find("sealed", block, &found))
		return 0;
	proof = buf_proof(found.buf);
	ck_assert_ptr_nonnull(proof);
	place.version = found.version;
	memcpy(cipher, buf_bytes(found.buf), BLOCK);
	sealed_help_fill(plain, block, found.version);
	if (form->is_plain) {
		ck_assert_mem_eq(buf_bytes(found.buf), plain, BLOCK);
		ck_assert_int_eq(seal_again(owner, &place, plain, proof->bytes, proof->size, cipher), SEAL_OK);
	}
	ck_assert_int_eq(seal_check(keys[PROXY], cache, &place, cipher, proof->bytes, proof->size), SEAL_OK);
	ck_assert_int_eq(seal_open(owner, cache, &place, cipher, proof->bytes, proof->size, cipher), SEAL_OK);
	ck_assert_mem_eq(cipher, plain, BLOCK);
	return found.version;
}

// ---- The medium, as somebody sees it who has it ----

static bool
is_seen(const char *text)
{
	return memmem(medium.bytes, medium.size, text, strlen(text)) != NULL;
}

// The newest record that has ${block} of the sealed volume: where its header is, where the block is.
static uint8_t *
find_record(uint64_t block, struct journal_record *ret, uint32_t *ret_entry, uint8_t **ret_bytes)
{
	struct journal_superblock superblock;
	static struct journal_record record;
	uint8_t *header = NULL;

	ck_assert_int_eq(journal_superblock_read(medium.bytes, &superblock), JOURNAL_OURS);
	for (uint64_t page = 0; page < superblock.pages; page++) {
		uint8_t *at = medium.bytes + journal_offset(page), *bytes = at + JOURNAL_PAGE;

		if (!journal_record_read(&superblock, page, at, &record) ||
		    (header != NULL && record.sequence < ret->sequence))
			continue;
		for (uint32_t i = 0; i < record.count; bytes += journal_entry_room(&record, &record.entries[i]), i++)
			if (record.entries[i].block == block && !record.entries[i].forgotten) {
				*ret = record;
				*ret_entry = i;
				*ret_bytes = bytes;
				header = at;
			}
	}
	ck_assert_ptr_nonnull(header);
	return header;
}

// Somebody writes the header again, with sums that are right for what is there.
static void
make_sums_right(uint64_t block)
{
	struct journal_superblock superblock;
	static struct journal_record record;
	uint32_t entry;
	uint8_t *bytes, *header = find_record(block, &record, &entry, &bytes);

	ck_assert_int_eq(journal_superblock_read(medium.bytes, &superblock), JOURNAL_OURS);
	record.entries[entry].sum =
		sum64(bytes, journal_entry_room(&record, &record.entries[entry]), record.entries[entry].version);
	journal_record_write(&superblock, &record, header);
}

static uint8_t *
bytes_of(uint64_t block)
{
	static struct journal_record record;
	uint32_t entry;
	uint8_t *bytes;

	find_record(block, &record, &entry, &bytes);
	return bytes;
}

// ---- Cases: what is right ----

START_TEST(what_is_done_is_found_with_its_proof)
{
	start_with(keys[_i]);
	for (uint64_t block = 0; block < 5; block++)
		put(block, 10 + block);
	write_all();
	ck_assert_uint_eq(journal_done(journal), journal_point(journal));
	put(1, 20);
	write_all();
	put(1, 21); // not written
	restart_with(keys[_i]);
	ck_assert_uint_eq(stats().found, 5);
	for (uint64_t block = 0; block < 5; block++)
		ck_assert_uint_eq(found_version(block), block == 1 ? 20 : 10 + block);
	ck_assert_uint_eq(stats().damaged, 0);
	take_over();
	write_all();
	restart_with(keys[_i]);
	for (uint64_t block = 0; block < 5; block++)
		ck_assert_uint_eq(found_version(block), block == 1 ? 20 : 10 + block);
}
END_TEST

START_TEST(nothing_is_on_the_medium_in_the_clear)
{
	start_with(keys[_i]);
	for (uint64_t block = 0; block < 5; block++)
		put(block, 10 + block);
	write_all();
	ck_assert(!is_seen(sealed_help_marker));
	put_plain(1, 4); // of a volume beside it that is not sealed
	write_all();
	ck_assert(is_seen(sealed_help_marker));
	restart_with(keys[_i]);
	ck_assert_uint_eq(stats().found, 6);
	ck_assert_uint_eq(found_version(3), 13);
	struct journal_found found;
	uint8_t bytes[BLOCK];
	ck_assert(find("plain", 1, &found));
	sealed_help_fill(bytes, 1, 4);
	ck_assert_mem_eq(buf_bytes(found.buf), bytes, BLOCK);
	ck_assert_ptr_null(buf_proof(found.buf));
}
END_TEST

// One signature for the blocks of a record; what is in memory gets the proofs.
START_TEST(a_record_is_a_write)
{
	struct buf *bufs[5];

	start_with(keys[WRITER]);
	for (uint64_t block = 0; block < 5; block++) {
		bufs[block] = make(block, 3);
		journal_put(journal, block_key_make(SEALED, block), 3, bufs[block], BLOCK);
	}
	write_all();
	ck_assert_uint_eq(stats().records, 1);
	for (uint64_t block = 0; block < 5; block++) {
		const struct proof *proof = buf_proof(bufs[block]);

		ck_assert_ptr_nonnull(proof);
		ck_assert_uint_eq(seal_version(proof->bytes, proof->size), 3);
		ck_assert_uint_eq(proof->bytes[14], block); // leaf, of leaves
		ck_assert_uint_eq(proof->bytes[16], 5);
		buf_unref(bufs[block]);
	}
	restart_with(keys[WRITER]);
	for (uint64_t block = 0; block < 5; block++)
		ck_assert_uint_eq(found_version(block), 3);
	ck_assert_uint_eq(seal_cache_misses(cache), 1);
}
END_TEST

// A proxy numbers a block anew: it has the proof of the version that was sealed.
START_TEST(a_higher_version_than_it_was_sealed_as)
{
	struct journal_found found;
	struct buf *buf;

	start_with(keys[PROXY]);
	buf = make(1, 5);
	journal_put(journal, block_key_make(SEALED, 1), 9, buf, BLOCK);
	buf_unref(buf);
	write_all();
	restart_with(keys[PROXY]);
	ck_assert(find("sealed", 1, &found));
	ck_assert_uint_eq(found.version, 9);
	ck_assert_uint_eq(seal_version(buf_proof(found.buf)->bytes, buf_proof(found.buf)->size), 5);
}
END_TEST

// Who can seal needs no memory for zeros; who can not has their proof.
START_TEST(zeros_are_sealed)
{
	struct journal_found found;

	start_with(keys[WRITER]);
	journal_put(journal, block_key_make(SEALED, 1), 5, buf_zero(), BLOCK);
	put(2, 5);
	journal_put(journal, block_key_make(SEALED, 3), 6, buf_zero(), BLOCK);
	write_all();
	restart_with(keys[WRITER]);
	ck_assert_uint_eq(stats().damaged, 0);
	ck_assert(find("sealed", 1, &found) && found.buf == buf_zero() && found.version == 5);
	ck_assert(find("sealed", 3, &found) && found.buf == buf_zero() && found.version == 6);
	ck_assert_uint_eq(found_version(2), 5);
	restart_with(keys[PROXY]);
	for (uint64_t block = 1; block < 4; block += 2) {
		ck_assert(find("sealed", block, &found));
		ck_assert(buf_bytes(found.buf)[0] == 0 &&
			  memcmp(buf_bytes(found.buf), buf_bytes(found.buf) + 1, BLOCK - 1) == 0);
		ck_assert(seal_is_of_zeros(buf_proof(found.buf)->bytes, buf_proof(found.buf)->size));
	}
	take_over();
	write_all();
	restart_with(keys[WRITER]);
	ck_assert(find("sealed", 1, &found));
	ck_assert_uint_eq(buf_bytes(found.buf)[7], 0);
	ck_assert_uint_eq(stats().damaged, 0);
}
END_TEST

START_TEST(the_ring_goes_round)
{
	start_with(keys[_i]);
	put(0, 1);
	write_all();
	for (version_t version = 2; version < 200; version++) {
		put(1 + version % 3, version);
		ck_assert(write_one());
		ck_assert_uint_eq(journal_done(journal), journal_point(journal));
	}
	restart_with(keys[_i]);
	ck_assert_uint_eq(found_version(0), 1);
	for (version_t version = 197; version < 200; version++)
		ck_assert_uint_eq(found_version(1 + version % 3), version);
	ck_assert_uint_eq(stats().damaged, 0);
}
END_TEST

START_TEST(what_does_not_fit_waits)
{
	uint64_t done;

	start_with(keys[_i]);
	for (uint64_t block = 0; block < 90; block++) {
		put(block, 1);
		write_all();
	}
	done = journal_done(journal);
	ck_assert_uint_lt(done, 90);
	ck_assert_uint_gt(done, 20);
	restart_with(keys[_i]);
	for (uint64_t block = 0; block < 90; block++)
		ck_assert_uint_eq(found_version(block), block < done ? 1 : 0);
}
END_TEST

// Whatever of the last record has arrived: of each block there is the newest that has, or the one before.
START_TEST(a_crash)
{
	for (int round = 0; round < 60; round++) {
		version_t version = 10 * (version_t)round + 1;

		start_with(keys[_i]);
		take_over();
		for (uint64_t block = 0; block < 4; block++)
			put(block, version);
		write_all();
		ck_assert_uint_eq(journal_done(journal), journal_point(journal));
		for (uint64_t block = 0; block < 4; block++)
			put(block, version + 1);
		crashes = true;
		write_one();
		crashes = false;
		restart_with(keys[_i]);
		ck_assert_uint_eq(stats().damaged, 0);
		for (uint64_t block = 0; block < 4; block++) {
			version_t found = found_version(block);

			ck_assert(found == version || found == version + 1);
		}
		take_over();
		write_all();
		put(4, version); // what is before counts no more
		write_all();
		journal_close(journal);
		journal = NULL;
	}
	start_with(keys[_i]);
}
END_TEST

// ---- Cases: what is not ----

// Each in a record that is not the last, whose bytes are there; with the sums of the journal made right.
START_TEST(altered_or_made_up)
{
	struct volume_key *stranger = seal_help_key(2, VOLUME_ROLE_OWNER, 2);
	struct sealed_help_block made = sealed_help_make(stranger, 5, 2);
	uint8_t *bytes, other[BLOCK + SEALED_TAIL_SIZE];

	start_with(keys[_i]);
	for (uint64_t block = 0; block < 8; block++)
		put(block, 1);
	put(200, 1); // is needed: so that record counts
	write_all();
	for (uint64_t block = 0; block < 8; block++)
		put(block, 2);
	write_all();
	put(100, 1);
	write_all();
	bytes_of(0)[17] ^= 1;
	bytes_of(1)[BLOCK + 40] ^= 1;
	memset(bytes_of(2) + BLOCK, 0, SEALED_TAIL_SIZE);
	memcpy(other, bytes_of(3), sizeof(other)); // swapped
	memcpy(bytes_of(3), bytes_of(4), sizeof(other));
	memcpy(bytes_of(4), other, sizeof(other));
	bytes = bytes_of(5); // another writer
	memcpy(bytes, made.cipher, BLOCK);
	bytes[BLOCK] = (uint8_t)made.verifier.size;
	memcpy(bytes + BLOCK + 2, made.verifier.bytes, made.verifier.size);
	sealed_help_fill(bytes_of(6), 6, 2); // in the clear
	for (uint64_t block = 0; block < 7; block++)
		make_sums_right(block);
	restart_with(keys[_i]);
	ck_assert_uint_eq(stats().damaged, 7);
	ck_assert_uint_eq(stats().found, 10);
	for (uint64_t block = 0; block < 7; block++)
		ck_assert_uint_eq(found_version(block), 1); // the record before counts
	ck_assert_uint_eq(found_version(7), 2);
	volume_key_destroy(stranger);
}
END_TEST

// A newer content under an older number, as if it had been there before.
START_TEST(a_lower_version_than_it_was_sealed_as)
{
	struct journal_superblock superblock;
	static struct journal_record record;
	uint32_t entry;
	uint8_t *bytes, *header;

	start_with(keys[_i]);
	put(1, 5);
	write_all();
	header = find_record(1, &record, &entry, &bytes);
	ck_assert_int_eq(journal_superblock_read(medium.bytes, &superblock), JOURNAL_OURS);
	record.entries[entry].version = 4;
	journal_record_write(&superblock, &record, header);
	make_sums_right(1);
	restart_with(keys[_i]);
	ck_assert_uint_eq(found_version(1), 0);
	ck_assert_uint_eq(stats().damaged, 1);
	ck_assert(!stats().torn); // its bytes are there
}
END_TEST

// A proof that is damaged, as a disk does it, is found by the sum, in the last record too.
START_TEST(a_damaged_proof)
{
	start_with(keys[_i]);
	put(1, 1);
	write_all();
	put(1, 2);
	write_all();
	bytes_of(1)[BLOCK + 20] ^= 1;
	restart_with(keys[_i]);
	ck_assert_uint_eq(found_version(1), 1);
	ck_assert(stats().torn);
}
END_TEST

// Not with these keys: nothing is given up for that.
START_TEST(the_keys_are_not_there)
{
	struct volume_key *stranger = seal_help_key(2, VOLUME_ROLE_OWNER, 2);

	start_with(keys[_i]);
	put(1, 5);
	write_all();
	journal_close(journal);
	journal = open_with(NULL);
	ck_assert_ptr_null(journal);
	ck_assert_ptr_nonnull(strstr(error, "sealed bytes of sealed"));
	journal = open_with(stranger);
	ck_assert_ptr_null(journal);
	ck_assert_ptr_nonnull(strstr(error, "key with which they were sealed"));
	start_with(keys[_i]);
	ck_assert_uint_eq(found_version(1), 5);
	volume_key_destroy(stranger);
}
END_TEST

// What a volume had before it was sealed is not taken for sealed bytes, nor thrown away.
START_TEST(from_before_it_was_sealed)
{
	struct journal_found found;
	struct buf *buf = buf_alloc(pool);

	start_with(NULL);
	sealed_help_fill(buf_bytes(buf), 1, 5);
	journal_put(journal, block_key_make(SEALED, 1), 5, buf, BLOCK);
	buf_unref(buf);
	write_all();
	journal_close(journal);
	journal = open_with(keys[_i]);
	ck_assert_ptr_null(journal);
	ck_assert_ptr_nonnull(strstr(error, "from before it was sealed"));
	start_with(NULL);
	ck_assert(find("sealed", 1, &found));
}
END_TEST

// Without a proof, and without a key to make one: it is not written, and the journal says that it can not.
START_TEST(nobody_can_seal_it)
{
	start_with(keys[READER]);
	put(1, 5);
	ck_assert(!write_one());
	ck_assert_int_eq(stats().sys_errno, ENOKEY);
	ck_assert_uint_eq(journal_done(journal), 0);
	ck_assert(!is_seen(sealed_help_marker));
}
END_TEST

// A journal that was made without sealed volumes becomes one that may have them: by a write of which either the first
// sector arrives or not. An older program leaves it alone then.
START_TEST(an_older_journal)
{
	uint8_t before[JOURNAL_PAGE];
	struct journal_found found;
	struct journal_superblock superblock;

	start_with(NULL);
	put_plain(1, 5);
	write_all();
	memcpy(before, medium.bytes, sizeof(before));
	ck_assert_uint_eq(before[8], JOURNAL_VERSION);
	restart_with(keys[_i]);
	ck_assert(find("plain", 1, &found));
	ck_assert_uint_eq(medium.bytes[8], JOURNAL_VERSION_SEALED);
	ck_assert_mem_eq(medium.bytes + SECTOR, before + SECTOR, JOURNAL_PAGE - SECTOR);
	ck_assert_int_eq(journal_superblock_read(medium.bytes, &superblock), JOURNAL_OURS);
	ck_assert(superblock.sealed);
	put(2, 6);
	write_all();
	restart_with(keys[_i]);
	ck_assert(find("plain", 1, &found));
	ck_assert_uint_eq(found_version(2), 6);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("journal_sealed");
	TCase *cases = tcase_create("cases");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(cases, setup, teardown);
	tcase_set_timeout(cases, 60);
	tcase_add_loop_test(cases, what_is_done_is_found_with_its_proof, 0, 2);
	tcase_add_loop_test(cases, nothing_is_on_the_medium_in_the_clear, 0, 2);
	tcase_add_test(cases, a_record_is_a_write);
	tcase_add_test(cases, a_higher_version_than_it_was_sealed_as);
	tcase_add_test(cases, zeros_are_sealed);
	tcase_add_loop_test(cases, the_ring_goes_round, 0, 2);
	tcase_add_loop_test(cases, what_does_not_fit_waits, 0, 2);
	tcase_add_loop_test(cases, a_crash, 0, 2);
	tcase_add_loop_test(cases, altered_or_made_up, 0, 2);
	tcase_add_loop_test(cases, a_lower_version_than_it_was_sealed_as, 0, 2);
	tcase_add_loop_test(cases, a_damaged_proof, 0, 2);
	tcase_add_loop_test(cases, the_keys_are_not_there, 0, 2);
	tcase_add_loop_test(cases, from_before_it_was_sealed, 0, 2);
	tcase_add_test(cases, nobody_can_seal_it);
	tcase_add_loop_test(cases, an_older_journal, 0, 2);
	suite_add_tcase(suite, cases);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
