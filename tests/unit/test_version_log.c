// SPDX-License-Identifier: MIT
// What a version log says after it was left in the midst of something: never more than was synced, never less than was
// promised, in whatever way it is cut, torn or damaged.
#include "store/version_log.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { BOOT = 1, OTHER_BOOT = 2, EPOCH = 5, FILE_MAX = 8192 };

// A log in memory.
struct fixture {
	uint8_t bytes[VERSION_LOG_FILES][FILE_MAX];
	size_t size[VERSION_LOG_FILES];
	int file;
	struct version_log log;
	struct stored_versions told;
};

// ---- Helpers ----

static uint8_t *
more(struct fixture *f, size_t size)
{
	uint8_t *bytes = f->bytes[f->file] + f->size[f->file];

	f->size[f->file] += size;
	ck_assert_uint_le(f->size[f->file], FILE_MAX);
	return bytes;
}

static void
mark(struct fixture *f)
{
	version_log_mark(&f->log, more(f, VERSION_LOG_MARKER_SIZE));
}

static void
add(struct fixture *f, uint64_t block, version_t version)
{
	version_log_add(&f->log, block, version, more(f, VERSION_LOG_RECORD_SIZE));
}

static struct fixture *
begin(bool follows)
{
	struct fixture *f = calloc(1, sizeof(*f));

	ck_assert_ptr_nonnull(f);
	version_log_begin(&f->log, BOOT, EPOCH, follows, more(f, VERSION_LOG_HEADER_SIZE));
	mark(f);
	return f;
}

static void
turn(struct fixture *f)
{
	f->file = 1 - f->file;
	f->size[f->file] = 0;
	version_log_turn(&f->log, more(f, VERSION_LOG_HEADER_SIZE));
}

static void
end(struct fixture *f)
{
	version_log_free(&f->told);
	free(f);
}

// Read it as a root of ${boot} does, whose record says that the last one had ${epoch}.
static bool
read_log(struct fixture *f, uint64_t boot, uint32_t epoch, struct version_log *log, struct version_log_end *ret_end)
{
	struct version_log_bytes in[VERSION_LOG_FILES];

	version_log_free(&f->told);
	for (int i = 0; i < VERSION_LOG_FILES; i++)
		in[i] = (struct version_log_bytes){f->bytes[i], f->size[i]};
	return version_log_read(in, boot, epoch, &f->told, log, ret_end);
}

// The same, and go on with it.
static void
reopen(struct fixture *f, uint64_t boot)
{
	struct version_log_end ended;

	ck_assert(read_log(f, boot, EPOCH, &f->log, &ended));
	f->file = ended.file;
	f->size[f->file] = ended.offset;
	mark(f);
}

static struct stored_version
told(const struct fixture *f, uint64_t block)
{
	for (size_t i = 0; i < f->told.count; i++)
		if (f->told.list[i].block == block)
			return f->told.list[i];
	return (struct stored_version){block, 0, f->told.complete ? 0 : VERSION_MAX};
}

static void
expect(const struct fixture *f, uint64_t block, version_t low, version_t high)
{
	struct stored_version is = told(f, block);

	ck_assert_msg(is.low == low && is.high == high, "block %llu: %llu to %llu in place of %llu to %llu",
		      (unsigned long long)block, (unsigned long long)is.low, (unsigned long long)is.high,
		      (unsigned long long)low, (unsigned long long)high);
}

// ---- Cases ----

// The newest version of each block that a marker covers; what follows the last marker was never promised.
START_TEST(test_newest)
{
	struct fixture *f = begin(false);

	add(f, 9, 1);
	add(f, 7, 1);
	add(f, 9, 2);
	mark(f);
	add(f, 8, 4);
	mark(f);
	add(f, 8, 5);
	reopen(f, BOOT);
	ck_assert(f->told.complete && f->told.why == NULL);
	ck_assert_uint_eq(f->told.count, 3);
	for (size_t i = 1; i < f->told.count; i++)
		ck_assert_uint_lt(f->told.list[i - 1].block, f->told.list[i].block);
	expect(f, 7, 1, 1);
	expect(f, 8, 4, 4);
	expect(f, 9, 2, 2);
	expect(f, 1, 0, 0);
	end(f);
}
END_TEST

// It goes on where it ended: what was not promised then does not come back.
START_TEST(test_goes_on)
{
	struct fixture *f = begin(false);

	add(f, 7, 1);
	mark(f);
	add(f, 7, 9);
	reopen(f, BOOT);
	f->log.epoch = EPOCH + 1;
	add(f, 8, 2);
	mark(f);
	reopen(f, BOOT);
	expect(f, 7, 1, 1);
	expect(f, 8, 2, 2);
	ck_assert(f->told.complete);
	ck_assert_uint_eq(f->told.epoch, EPOCH); // of the first
	end(f);
}
END_TEST

// Another boot: whether the sync of the last marker was done is not known, that of the one before it was.
START_TEST(test_other_boot)
{
	struct fixture *f = begin(false);

	add(f, 7, 1);
	add(f, 8, 1);
	mark(f);
	add(f, 7, 2);
	add(f, 9, 3);
	mark(f);
	reopen(f, OTHER_BOOT);
	expect(f, 7, 1, 2);
	expect(f, 8, 1, 1);
	expect(f, 9, 0, 3);
	// That stays so, until it is written again.
	add(f, 9, 4);
	mark(f);
	reopen(f, OTHER_BOOT);
	expect(f, 7, 1, 2);
	expect(f, 9, 4, 4);
	add(f, 7, 3);
	mark(f);
	reopen(f, BOOT);
	expect(f, 7, 1, 3);
	end(f);
}
END_TEST

// The beginning is there as long as it is in the older file.
START_TEST(test_turns)
{
	struct fixture *f = begin(false);

	add(f, 7, 1);
	add(f, 8, 1);
	mark(f);
	turn(f);
	reopen(f, BOOT); // nothing in it yet
	expect(f, 8, 1, 1);
	ck_assert_int_eq(f->file, 0);
	turn(f);
	add(f, 7, 2);
	mark(f);
	reopen(f, BOOT);
	ck_assert(f->told.complete);
	expect(f, 7, 2, 2);
	expect(f, 8, 1, 1);
	turn(f);
	add(f, 9, 1);
	mark(f);
	reopen(f, BOOT);
	ck_assert(!f->told.complete);
	ck_assert_str_eq(f->told.why, "its beginning was dropped");
	expect(f, 7, 2, 2);
	expect(f, 8, 0, VERSION_MAX);
	expect(f, 9, 1, 1);
	end(f);
}
END_TEST

// A turn that was not finished: the header is not good, or no marker came behind it.
START_TEST(test_half_a_turn)
{
	struct fixture *f = begin(false);

	add(f, 7, 1);
	mark(f);
	turn(f);
	add(f, 7, 2);
	if (_i == 1)
		f->bytes[1][20] ^= 1;
	reopen(f, BOOT);
	ck_assert(f->told.complete);
	expect(f, 7, 1, 1);
	ck_assert_int_eq(f->file, 0);
	end(f);
}
END_TEST

// What an older use of the file has left behind its end is not read.
START_TEST(test_old_bytes_behind)
{
	struct fixture *f = begin(false);
	size_t size;

	for (int i = 0; i < 5; i++) {
		add(f, 7, (version_t)i + 1);
		mark(f);
	}
	size = f->size[0];
	turn(f);
	add(f, 8, 1);
	mark(f);
	turn(f);
	add(f, 9, 1);
	mark(f);
	f->size[0] = size;
	reopen(f, BOOT);
	expect(f, 7, 0, VERSION_MAX);
	expect(f, 8, 1, 1);
	expect(f, 9, 1, 1);
	end(f);
}
END_TEST

// A log that a root did not write is worth nothing, nor is none.
START_TEST(test_not_of_the_last_root)
{
	struct fixture *f = begin(false);
	struct version_log log;
	struct version_log_end ended;

	add(f, 7, 1);
	mark(f);
	ck_assert(!read_log(f, BOOT, EPOCH + 1, &log, &ended));
	ck_assert(!f->told.complete && f->told.count == 0);
	ck_assert_str_eq(f->told.why, "it does not know of the last root");
	f->size[0] = 0;
	ck_assert(!read_log(f, BOOT, EPOCH, &log, &ended));
	ck_assert_str_eq(f->told.why, "there is none");
	end(f);
	f = begin(true); // what follows that
	add(f, 7, 1);
	mark(f);
	reopen(f, BOOT);
	ck_assert(!f->told.complete);
	expect(f, 7, 1, 1);
	expect(f, 8, 0, VERSION_MAX);
	end(f);
}
END_TEST

static struct fixture *
three_batches(void)
{
	struct fixture *f = begin(false);

	for (version_t version = 1; version <= 3; version++) {
		add(f, 7, version);
		add(f, 8, version);
		mark(f);
	}
	return f;
}

// Cut anywhere: each batch is there as a whole, or it is not there at all.
START_TEST(test_cut)
{
	struct fixture *f = three_batches();
	size_t size = f->size[0], batch = 2 * VERSION_LOG_RECORD_SIZE + VERSION_LOG_MARKER_SIZE;
	size_t first = VERSION_LOG_HEADER_SIZE + VERSION_LOG_MARKER_SIZE;
	struct version_log log;
	struct version_log_end ended;

	for (size_t cut = 0; cut <= size; cut++) {
		version_t whole = cut >= first ? (cut - first) / batch : 0;

		f->size[0] = cut;
		ck_assert_int_eq(read_log(f, BOOT, EPOCH, &log, &ended), cut >= first);
		if (cut < first)
			continue;
		expect(f, 7, whole, whole);
		expect(f, 8, whole, whole);
		ck_assert_uint_eq(ended.offset, first + whole * batch);
	}
	end(f);
}
END_TEST

// Each bit changed: in the last batch that is as if it were not there; before, it shows that the log is damaged. Nothing
// is believed that was not written.
START_TEST(test_damaged)
{
	struct fixture *f = three_batches();
	size_t last = f->size[0] - 2 * VERSION_LOG_RECORD_SIZE - VERSION_LOG_MARKER_SIZE;
	struct version_log log;
	struct version_log_end ended;

	for (size_t bit = 0; bit < 8 * f->size[0]; bit++) {
		f->bytes[0][bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (read_log(f, BOOT, EPOCH, &log, &ended)) {
			ck_assert_uint_ge(bit / 8, last);
			expect(f, 7, 2, 2);
			expect(f, 8, 2, 2);
		} else {
			ck_assert_msg(f->told.why != NULL && !f->told.complete && f->told.count == 0, "bit %zu", bit);
		}
		f->bytes[0][bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	end(f);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("version log");
	TCase *tcase = tcase_create("version log");
	SRunner *runner = srunner_create(suite);
	int failed;

	if (sodium_init() < 0)
		return 1;
	tcase_add_test(tcase, test_newest);
	tcase_add_test(tcase, test_goes_on);
	tcase_add_test(tcase, test_other_boot);
	tcase_add_test(tcase, test_turns);
	tcase_add_loop_test(tcase, test_half_a_turn, 0, 2);
	tcase_add_test(tcase, test_old_bytes_behind);
	tcase_add_test(tcase, test_not_of_the_last_root);
	tcase_add_test(tcase, test_cut);
	tcase_add_test(tcase, test_damaged);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
