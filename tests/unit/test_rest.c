// SPDX-License-Identifier: MIT
// A sealed storage after a crash, at any point, that leaves of what was not synced whatever it likes: each block can be read, and
// is what a sync had promised or newer. And what somebody has changed is not used.
#include "cache/sum.h"
#include "node/seals_io.h"
#include "tests/unit/rest_disk.h"
#include "tests/unit/seal_help.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCKS = REST_DISK_BLOCKS, SIZE = REST_DISK_BLOCK_SIZE, LIVES = 400, ACTIONS = 12, WRITES_MAX = 4096 };

// What was ever written: of which block, when it was begun, when a sync had promised it.
struct written {
	uint64_t block;
	version_t version;
	bool zeros, failed;
	size_t begun, promised; // steps of the disk; SIZE_MAX: not
};

static struct rest_disk disk;
static struct volume_key *key;
static struct written writes[WRITES_MAX];
static size_t write_count, write_from; // those before are of earlier lives
static uint64_t seed;
static version_t version;

static uint32_t
draw(void)
{
	seed = seed * 6364136223846793005 + 1442695040888963407;
	return (uint32_t)(seed >> 33);
}

static void
setup(void)
{
	rest_disk_setup();
	key = seal_help_key(1, VOLUME_ROLE_OWNER, 1);
	write_count = write_from = 0;
	version = 0;
	for (uint64_t block = 0; block < BLOCKS; block++)
		writes[write_count++] = (struct written){.block = block, .zeros = true, .promised = 0};
}

static void
teardown(void)
{
	rest_disk_teardown();
	volume_key_destroy(key);
}

static void
pattern(uint64_t block, version_t of, uint8_t ret[SIZE])
{
	memset(ret, 0, SIZE);
	memcpy(ret, &of, sizeof(of));
	memcpy(ret + 8, &block, sizeof(block));
	ret[SIZE - 1] = 1;
}

// ---- What a root does ----

// False: it has failed, and the store says so from then on (store/store.h).
static bool
sync_storage(void)
{
	uint64_t number = rest_sync_began(disk.rest);

	if (rest_disk_sync(&disk) != 0)
		return false;
	rest_synced(disk.rest, number);
	return true;
}

// A fsync. False: it has failed, and so has the storage.
static bool
promise(void)
{
	bool synced, saved;

	sealed_root_begin(disk.root);
	synced = sync_storage();
	saved = synced && sealed_root_save(disk.root) == 0;
	sealed_root_end(disk.root, saved);
	for (size_t i = write_from; i < write_count && saved; i++)
		if (writes[i].promised == SIZE_MAX && !writes[i].failed)
			writes[i].promised = rest_disk_steps();
	return synced;
}

// ${count} neighbours, of which some are zeros. ${fails}: the storage says it has not worked; it may have. False: a sync has failed.
static bool
write_blocks(uint64_t first, uint32_t count, bool fails)
{
	struct rest_block blocks[BLOCKS] = {0};
	uint8_t plain[BLOCKS][SIZE], sealed[BLOCKS][SIZE];

	if (rest_needs_sync(disk.rest, first, count) && !sync_storage())
		return false;
	for (uint32_t i = 0; i < count; i++) {
		struct rest_block *block = &blocks[i];
		bool zeros = draw() % 4 == 0;

		block->block = first + i;
		block->version = ++version;
		pattern(block->block, version, plain[i]);
		block->bytes = zeros ? NULL : plain[i];
		block->sealed = zeros ? NULL : sealed[i];
		rest_begin(disk.rest, block);
		writes[write_count++] = (struct written){block->block, version, zeros, fails, rest_disk_steps(), SIZE_MAX};
		sealed_root_wrote(disk.root, block->block, &(struct sealed_entry){version, version, {0}});
	}
	ck_assert_int_eq(rest_put(disk.rest, blocks, count), 0);
	if (rest_put_sync(disk.rest) != 0) {
		rest_wrote(disk.rest, first, count, false);
		return false;
	}
	for (uint32_t i = 0; i < count; i++) {
		if (fails && draw() % 2 == 0)
			continue;
		if (blocks[i].bytes == NULL)
			rest_disk_zero(&disk, first + i);
		else
			rest_disk_write(&disk, first + i, sealed[i]);
	}
	rest_wrote(disk.rest, first, count, !fails);
	if (!fails)
		sealed_root_stored(disk.root, first, count);
	return true;
}

static void
read_block(uint64_t number, struct rest_block *block, uint8_t bytes[SIZE])
{
	*block = (struct rest_block){.block = number, .bytes = bytes};
	rest_disk_read(&disk, number, bytes);
	rest_begin(disk.rest, block);
	ck_assert_int_eq(rest_get(disk.rest, block, 1), 0);
}

// ---- What is right ----

static bool
is_allowed(uint64_t block, const uint8_t *bytes, size_t end)
{
	static const uint8_t zeros[SIZE];
	uint8_t wanted[SIZE];
	size_t from = 0;

	for (size_t i = 0; i < write_count; i++)
		if (writes[i].block == block && writes[i].promised <= end)
			from = i;
	for (size_t i = from; i < write_count; i++) {
		if (writes[i].block != block || (i != from && writes[i].begun >= end))
			continue;
		pattern(block, writes[i].version, wanted);
		if (memcmp(bytes, writes[i].zeros ? zeros : wanted, SIZE) == 0)
			return true;
	}
	return false;
}

static void
check_all(size_t end)
{
	for (uint64_t number = 0; number < BLOCKS; number++) {
		uint8_t bytes[SIZE];
		struct rest_block block;

		read_block(number, &block, bytes);
		ck_assert_msg(block.why == NULL, "seed %lu, block %lu after step %zu: %s", (unsigned long)seed,
			      (unsigned long)number, end, block.why);
		ck_assert_msg(is_allowed(number, bytes, end), "block %lu after step %zu is none of what it may be",
			      (unsigned long)number, end);
	}
}

// A life of the root: what it finds is right; then it writes this and that, until a sync fails. False: one has.
static bool
live(bool syncs_fail)
{
	bool well = true;

	write_from = write_count;
	rest_disk_open(&disk, key, true, true);
	for (uint32_t i = 0; i < ACTIONS && write_count < WRITES_MAX - BLOCKS && well; i++) {
		uint64_t first = draw() % BLOCKS;
		uint32_t what = draw() % 8;

		if (syncs_fail && draw() % 10 == 0)
			rest_disk_fail_sync(draw() % 2 == 0);
		if (what == 0)
			well = promise();
		else if (what == 1)
			well = sync_storage();
		else
			well = write_blocks(first, 1 + draw() % (uint32_t)(BLOCKS - first), what == 2);
	}
	return well;
}

// What the last life has left can be read by the next one: it is what the block is from then on, and nothing else was.
static void
take_over(size_t end)
{
	struct written found[BLOCKS];
	uint8_t bytes[SIZE];
	struct rest_block block;

	rest_disk_open(&disk, key, true, true);
	check_all(end);
	for (uint64_t number = 0; number < BLOCKS; number++) {
		version_t of;

		read_block(number, &block, bytes);
		memcpy(&of, bytes, sizeof(of));
		found[number] = (struct written){.block = number, .version = of, .zeros = of == 0};
	}
	rest_disk_close(&disk);
	memcpy(writes, found, sizeof(found));
	write_count = BLOCKS;
}

// Lives that end anywhere, the next of which goes on with what is left.
START_TEST(crashes)
{
	for (seed = (uint64_t)_i * 1000003; version < LIVES * ACTIONS;) {
		size_t end;

		bool in_order = draw() % 4 == 0;

		live(false);
		if (in_order) {
			promise();
			ck_assert_int_eq(rest_finish(disk.rest), 0);
		}
		end = in_order ? rest_disk_steps() : draw() % (rest_disk_steps() + 1);
		rest_disk_close(&disk);
		rest_disk_crash(end, in_order || draw() % 3 == 0, draw);
		take_over(end);
	}
}
END_TEST

// Lives in which a sync fails, so that of what was written some will never be on stable storage, though the next life could read
// it. It may begin without a crash of the system; that comes later.
START_TEST(syncs_fail)
{
	for (seed = (uint64_t)_i * 1000003 + 5; version < LIVES * ACTIONS;) {
		bool well = live(true), in_order = well && draw() % 4 == 0 && promise();
		size_t end;

		if (in_order && rest_finish(disk.rest) != 0)
			in_order = false;
		end = in_order || !well ? rest_disk_steps() : draw() % (rest_disk_steps() + 1);
		rest_disk_close(&disk);
		rest_disk_crash(end, in_order || draw() % 3 != 0, draw);
		take_over(end);
	}
}
END_TEST

// One life that ends after each of its steps.
START_TEST(each_step)
{
	seed = (uint64_t)_i + 77;
	live(false);
	promise();
	rest_disk_close(&disk);
	for (size_t end = 0, all = rest_disk_steps(); end <= all; end++) {
		rest_disk_crash(end, end % 4 == 0, draw);
		rest_disk_open(&disk, key, true, false); // the next crash is of the same life
		check_all(end);
		rest_disk_close(&disk);
	}
}
END_TEST

// The file of the verifiers has the versions, too. That one of two syncs of it has heard of a failure is no reason to believe the other.
START_TEST(each_part_hears_of_a_failed_sync)
{
	uint8_t plain[SIZE], sealed[SIZE];
	struct rest_block block = {.version = 1, .bytes = plain, .sealed = sealed};

	for (uint32_t verifiers_first = 0; verifiers_first < 2; verifiers_first++) {
		uint32_t epoch = 10 * verifiers_first + 1;

		rest_disk_open(&disk, key, true, true);
		rest_set_epoch(disk.rest, epoch, false);
		pattern(0, 1, plain);
		ck_assert_int_eq(rest_put(disk.rest, &block, 1), 0);
		sealed_root_wrote(disk.root, 1, &(struct sealed_entry){1, 1, {0}});
		sealed_root_stored(disk.root, 1, 1);
		sealed_root_begin(disk.root);
		rest_disk_fail_sync(true);
		if (verifiers_first)
			ck_assert_int_eq(rest_put_sync(disk.rest), EIO);
		ck_assert_int_eq(sealed_root_save(disk.root), EIO);
		sealed_root_end(disk.root, false);
		ck_assert_int_eq(rest_put_sync(disk.rest), EIO);
		ck_assert_int_eq(rest_put_sync(disk.rest), EIO);
		ck_assert_int_eq(rest_put(disk.rest, &block, 1), EIO);
		ck_assert_int_eq(sealed_root_finish(disk.root), 0); // they are written again
		ck_assert_int_eq(rest_finish(disk.rest), 0);
		rest_disk_close(&disk);
		rest_disk_open(&disk, key, true, true);
		rest_set_epoch(disk.rest, epoch + 1, true);
		ck_assert_uint_eq(rest_settled_epoch(disk.rest), epoch + 1); // it was not left in order
		rest_disk_close(&disk);
	}
}
END_TEST

// Which version a block has could not be recorded: who comes next does not read it, as if it were.
START_TEST(what_was_not_saved_is_not_read)
{
	struct sealed_entry entry;

	rest_disk_open(&disk, key, true, true);
	sealed_root_wrote(disk.root, 1, &(struct sealed_entry){7, 7, {0}});
	sealed_root_stored(disk.root, 1, 1);
	sealed_root_begin(disk.root);
	rest_disk_fail_sync(true);
	ck_assert_int_eq(sealed_root_save(disk.root), EIO);
	rest_disk_close(&disk);
	rest_disk_crash(rest_disk_steps(), true, draw);
	rest_disk_open(&disk, key, true, true);
	ck_assert_int_eq(sealed_root_read(disk.root, 1, 1, &entry), 0);
	ck_assert_uint_eq(entry.sealed, 0);
	rest_disk_close(&disk);
}
END_TEST

// ---- What somebody changes ----

enum { RECORD_SIZE = 1024 };

static off_t
record_offset(uint64_t block)
{
	uint64_t end;

	sealed_root_file(disk.root, &end);
	return (off_t)(end + 4096 + block * RECORD_SIZE);
}

// Bytes of the file of the verifiers.
static void
seals(bool writes_them, off_t offset, uint8_t *bytes, size_t size)
{
	uint64_t end;
	int fd = sealed_root_file(disk.root, &end);

	ck_assert_int_eq(writes_them ? pwrite(fd, bytes, size, offset) : pread(fd, bytes, size, offset), (ssize_t)size);
}

static void
check_refused(uint64_t number, const char *why)
{
	uint8_t bytes[SIZE];
	struct rest_block block;

	read_block(number, &block, bytes);
	ck_assert_ptr_nonnull(block.why);
	ck_assert_msg(strstr(block.why, why) != NULL, "block %lu: %s", (unsigned long)number, block.why);
}

static void
check_content(uint64_t number, version_t of)
{
	uint8_t bytes[SIZE], wanted[SIZE];
	struct rest_block block;

	pattern(number, of, wanted);
	read_block(number, &block, bytes);
	ck_assert_msg(block.why == NULL, "block %lu: %s", (unsigned long)number, block.why);
	ck_assert_mem_eq(bytes, wanted, SIZE);
}

// Blocks 0 to 3 have data; it is on stable storage.
static void
begin_with_data(void)
{
	rest_disk_open(&disk, key, true, true);
	for (seed = 1; write_count < BLOCKS + 4;) {
		uint64_t before = seed;

		draw();
		if ((uint32_t)(seed >> 33) % 4 == 0)
			continue; // that one would be zeros
		seed = before;
		write_blocks(write_count - BLOCKS, 1, false);
	}
	promise();
}

START_TEST(changed_or_swapped)
{
	uint8_t one[SIZE], two[SIZE], record[RECORD_SIZE], other[RECORD_SIZE];

	begin_with_data();
	rest_disk_read(&disk, 0, one);
	rest_disk_read(&disk, 1, two);
	one[100] ^= 1;
	rest_disk_write(&disk, 0, one);
	check_refused(0, "not what a writer");
	check_content(1, 2);
	one[100] ^= 1;
	rest_disk_write(&disk, 0, two);
	rest_disk_write(&disk, 1, one);
	check_refused(0, "not what a writer");
	check_refused(1, "not what a writer");
	seals(false, record_offset(0), record, RECORD_SIZE); // with their verifiers
	seals(false, record_offset(1), other, RECORD_SIZE);
	seals(true, record_offset(0), other, RECORD_SIZE);
	seals(true, record_offset(1), record, RECORD_SIZE);
	check_refused(0, "not what a writer");
	check_refused(1, "not what a writer");
	check_content(2, 3);
	rest_disk_close(&disk);
}
END_TEST

// Who changes bytes and their sums is not noticed by a root that has ciphertext in memory, but by whoever has the block decrypted:
// such a root, or the first who gets it.
START_TEST(changed_with_sums)
{
	uint8_t one[SIZE], record[RECORD_SIZE], bytes[SIZE];
	struct seal_cache *cache = seal_cache_create();
	struct rest_block block;

	begin_with_data();
	rest_disk_read(&disk, 1, one);
	one[100] ^= 1;
	rest_disk_write(&disk, 1, one);
	seals(false, record_offset(1), record, RECORD_SIZE);
	seals_put(record + 496, sum64(one, SIZE, 1));
	seals_put(record + 504, sum64(record, 504, 1));
	seals(true, record_offset(1), record, RECORD_SIZE);
	check_refused(1, "the verifier is not that of this block");
	rest_disk_close(&disk);
	rest_disk_open(&disk, key, false, true);
	read_block(1, &block, bytes);
	ck_assert_ptr_null(block.why);
	ck_assert_int_eq(seal_check(key, cache, &(struct seal_place){.block = 1, .block_size = SIZE}, bytes, block.verifier.bytes,
				    block.verifier.size),
			 SEAL_FORGED);
	rest_disk_close(&disk);
	seal_cache_destroy(cache);
}
END_TEST

// Zeros are what a writer has sealed as such, whoever reads: a root seals them anew.
START_TEST(zeros_with_sums)
{
	uint8_t record[RECORD_SIZE];

	begin_with_data();
	rest_disk_zero(&disk, 1);
	seals(false, record_offset(1), record, RECORD_SIZE);
	record[18] = 2; // kind
	record[17] = (uint8_t)(record[17] - SEAL_NONCE_SIZE - SEAL_TAG_SIZE);
	seals_put(record + 504, sum64(record, 504, 1));
	seals(true, record_offset(1), record, RECORD_SIZE);
	check_refused(1, "not what a writer");
	rest_disk_close(&disk);
	rest_disk_open(&disk, key, false, true);
	check_refused(1, "not what a writer");
	rest_disk_close(&disk);
}
END_TEST

// An old content, with its verifier: it is noticed as long as the versions are not put back, too.
START_TEST(put_back)
{
	uint8_t old[SIZE], record[RECORD_SIZE], entry[16];

	begin_with_data();
	rest_disk_read(&disk, 0, old);
	seals(false, record_offset(0), record, RECORD_SIZE);
	seals(false, 4096, entry, sizeof(entry));
	for (version_t last = version; last == version || writes[write_count - 1].zeros;)
		write_blocks(0, 1, false);
	promise();
	check_content(0, version);
	rest_disk_write(&disk, 0, old);
	check_refused(0, "not what a writer");
	seals(true, record_offset(0), record, RECORD_SIZE);
	check_refused(0, "was sealed before");
	seals(true, 4096, entry, sizeof(entry));
	check_content(0, 1);
	rest_disk_close(&disk);
}
END_TEST

// Nobody makes zeros of what was written.
START_TEST(taken_away)
{
	static uint8_t nothing[RECORD_SIZE], clear[SIZE];

	begin_with_data();
	rest_disk_zero(&disk, 2);
	check_refused(2, "not what a writer");
	rest_disk_close(&disk);
	rest_disk_open(&disk, key, true, true); // also where a write may have been under way
	check_refused(2, "not what a writer");
	memcpy(clear, "in the clear", 12);
	rest_disk_write(&disk, 5, clear);
	check_refused(5, "not what a writer");
	seals(true, record_offset(3), nothing, RECORD_SIZE);
	check_refused(3, "not what a writer");
	rest_disk_close(&disk);
}
END_TEST

// Whose memory has ciphertext: it is on the storage as it came, and is found as such; what came under a higher number than it was
// sealed as is sealed as that.
START_TEST(as_it_travels)
{
	struct sealed *sealed = calloc(1, sizeof(*sealed));
	struct rest_block blocks[2] = {0}, block;
	uint8_t other[SIZE], bytes[SIZE];
	struct seal_cache *cache = seal_cache_create();

	seal_help_seal(sealed, key, 1, 2, SIZE);
	rest_disk_open(&disk, key, false, true);
	for (uint32_t i = 0; i < 2; i++) {
		const struct seal_verifier *verifier = &sealed->verifiers[i];

		blocks[i] = (struct rest_block){.block = 1 + i, .bytes = sealed->cipher[i], .verifier = *verifier};
		blocks[i].version = seal_version(verifier->bytes, verifier->size) + i;
		blocks[i].sealed = i == 1 ? other : NULL;
	}
	ck_assert_int_eq(rest_put(disk.rest, blocks, 2), 0);
	ck_assert(!blocks[0].seals && blocks[1].seals);
	rest_disk_write(&disk, 1, blocks[0].bytes);
	rest_disk_write(&disk, 2, other);
	read_block(1, &block, bytes);
	ck_assert(block.why == NULL && block.verifier.size == sealed->verifiers[0].size);
	ck_assert_mem_eq(block.verifier.bytes, sealed->verifiers[0].bytes, block.verifier.size);
	ck_assert_mem_eq(bytes, sealed->cipher[0], SIZE);
	read_block(2, &block, bytes);
	ck_assert(block.why == NULL && seal_version(block.verifier.bytes, block.verifier.size) == blocks[1].version);
	ck_assert_int_eq(seal_open(key, cache, &(struct seal_place){.block = 2, .block_size = SIZE}, bytes,
				   block.verifier.bytes, block.verifier.size, bytes),
			 SEAL_OK);
	ck_assert_mem_eq(bytes, sealed->plain[1], SIZE);
	rest_disk_close(&disk);
	seal_cache_destroy(cache);
	free(sealed);
}
END_TEST

// Since when all roots have left in order is found again.
START_TEST(epochs)
{
	static const struct {
		uint32_t epoch, settled;
		bool in_order, leaves;
	} lives[] = {{3, 3, true, true}, {4, 3, true, true}, {5, 5, false, true}, {6, 5, true, false}, {7, 7, true, true}, {8, 7, true, false}};

	for (size_t i = 0; i < sizeof(lives) / sizeof(lives[0]); i++) {
		rest_disk_open(&disk, key, true, true);
		rest_set_epoch(disk.rest, lives[i].epoch, lives[i].in_order);
		ck_assert_uint_eq(rest_settled_epoch(disk.rest), lives[i].settled);
		ck_assert(write_blocks(0, BLOCKS, false));
		if (lives[i].leaves)
			ck_assert(promise());
		ck_assert_int_eq(rest_finish(disk.rest), 0); // what is not on stable storage is not left in order
		rest_disk_close(&disk);
	}
}
END_TEST

// Which blocks wait for a sync, or may be either of two, is found by groups: as if each was looked at alone.
START_TEST(groups)
{
	enum { COUNT = 70, STEPS = 4000 };
	uint64_t written[COUNT] = {0}, began = 0, synced = 0; // 1 more than the syncs that had begun
	bool failed[COUNT] = {false};

	rest_disk_open(&disk, key, true, false);
	seed = 3;
	for (uint32_t step = 0; step < STEPS; step++) {
		uint64_t first = draw() % COUNT;
		uint32_t count = 1 + draw() % (uint32_t)(COUNT - first), what = draw() % 8;
		bool needs = false;

		if (what == 0) {
			ck_assert_uint_eq(rest_sync_began(disk.rest), ++began);
		} else if (what == 1) {
			synced += draw() % (uint32_t)(began - synced + 1);
			rest_synced(disk.rest, synced);
		} else if (what == 2) {
			count = count % 20 + 1 < COUNT - first ? count % 20 + 1 : 1;
			rest_wrote(disk.rest, first, count, step % 3 != 0);
			for (uint64_t i = first; i < first + count; i++) {
				written[i] = began + 1;
				failed[i] = step % 3 == 0;
			}
		}
		for (uint64_t i = first; i < first + count; i++) {
			struct rest_block block = {.block = i};

			needs |= written[i] > synced;
			rest_begin(disk.rest, &block);
			ck_assert(block.is_open == failed[i]);
			ck_assert(rest_needs_sync(disk.rest, i, 1) == (written[i] > synced));
		}
		ck_assert(rest_needs_sync(disk.rest, first, count) == needs);
	}
	rest_disk_close(&disk);
}
END_TEST

START_TEST(other_forms)
{
	char error[512];

	ck_assert_int_eq(sealed_root_form(rest_disk_spec), REST_UNKNOWN);
	ck_assert_int_eq(rest_has_data(rest_disk_spec), 0);
	begin_with_data();
	rest_disk_close(&disk);
	ck_assert_int_eq(sealed_root_form(rest_disk_spec), REST_SEALED);
	ck_assert_int_eq(rest_has_data(rest_disk_spec), 1);
	ck_assert_ptr_null(sealed_root_open(rest_disk_spec, BLOCKS, key, REST_PLAIN, false, error, sizeof(error)));
}
END_TEST

// Who has no key can not make a root take ciphertext for a plain image: not by a page that says so, nor by one that says nothing.
START_TEST(said_to_be_plain)
{
	uint8_t page[4096] = {0};
	char error[512];
	int fd;

	begin_with_data();
	rest_disk_close(&disk);
	fd = open(rest_disk_seals, O_RDWR);
	ck_assert_int_eq(pread(fd, page, sizeof(page), 0), sizeof(page));
	page[15] = REST_PLAIN;
	crypto_generichash(page + sizeof(page) - 32, 32, page, sizeof(page) - 32, NULL, 0);
	ck_assert_int_eq(pwrite(fd, page, sizeof(page), 0), sizeof(page));
	ck_assert_ptr_null(sealed_root_open(rest_disk_spec, BLOCKS, key, REST_PLAIN, false, error, sizeof(error)));
	ck_assert_msg(strstr(error, "is not of this volume and its key, or damaged") != NULL, "%s", error);
	memset(page, 0, sizeof(page));
	ck_assert_int_eq(pwrite(fd, page, sizeof(page), 0), sizeof(page));
	close(fd);
	ck_assert_int_eq(sealed_root_form(rest_disk_spec), REST_UNKNOWN); // then it is looked at whether there is data
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("rest");
	TCase *tcase = tcase_create("rest");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 120);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, crashes, 0, 6);
	tcase_add_loop_test(tcase, each_step, 0, 6);
	tcase_add_loop_test(tcase, syncs_fail, 0, 12);
	tcase_add_test(tcase, each_part_hears_of_a_failed_sync);
	tcase_add_test(tcase, what_was_not_saved_is_not_read);
	tcase_add_test(tcase, changed_or_swapped);
	tcase_add_test(tcase, changed_with_sums);
	tcase_add_test(tcase, zeros_with_sums);
	tcase_add_test(tcase, put_back);
	tcase_add_test(tcase, taken_away);
	tcase_add_test(tcase, as_it_travels);
	tcase_add_test(tcase, epochs);
	tcase_add_test(tcase, groups);
	tcase_add_test(tcase, other_forms);
	tcase_add_test(tcase, said_to_be_plain);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
