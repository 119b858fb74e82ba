// SPDX-License-Identifier: MIT
// News of a root: a reader finds out what is not the newest, and nothing but what the root has signed passes for its word. The
// root is a list and a table here; the reader has copies in an array.
#include "crypto/news.h"
#include "node/news.h"
#include "node/news_log.h"
#include "node/news_root.h"
#include "tests/unit/seal_help.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCKS = 4000, LEASE_MS = 1000, LOG_RUNS = 100 };

static struct volume_key *owner, *reader, *stranger;
static struct news_log *written;
static version_t newest[BLOCKS]; // at the root
static struct {
	enum news_copy copy;
	version_t sealed;
} copies[BLOCKS];
static struct news *news;
static uint32_t next_xid, dropped, looked;
static moment_us now;

// ---- The reader ----

static enum news_copy
find(void *arg, uint64_t block, version_t *ret_sealed)
{
	if (copies[block].copy != NEWS_NO_COPY)
		*ret_sealed = copies[block].sealed;
	return copies[block].copy;
}

static void
drop(void *arg, uint64_t block, version_t sealed, version_t version)
{
	ck_assert(copies[block].copy == NEWS_COPY && sealed == copies[block].sealed && sealed < version);
	copies[block].copy = NEWS_NO_COPY;
	dropped++;
}

static bool
next(void *arg, uint32_t *at, uint32_t *looks, uint64_t *ret_block)
{
	for (; *at < BLOCKS && *looks > 0; (*at)++) {
		(*looks)--;
		looked++;
		if (copies[*at].copy == NEWS_NO_COPY)
			continue;
		*ret_block = (*at)++;
		return true;
	}
	return false;
}

static const struct news_callbacks callbacks = {.find = find, .drop = drop, .next = next};

// The parent gives it ${block} as it was sealed as ${version}. False: it refuses that.
static bool
given(uint64_t block, version_t version)
{
	if (news_is_old(news, block, version))
		return false;
	copies[block].copy = NEWS_COPY;
	copies[block].sealed = version;
	news_came(news, block, version);
	return true;
}

// ---- The root ----

static void
write_block(uint64_t block, version_t version)
{
	newest[block] = version;
	news_log_add(written, block, version);
}

static void
restart_root(void)
{
	news_log_destroy(written);
	written = news_log_create(LOG_RUNS);
}

// Its answer to ${question}.
static size_t
answer_to(const uint8_t *bytes, size_t size, const struct volume_key *key, uint8_t *ret)
{
	static struct news_question question;
	static struct news_answer answer;

	ck_assert(news_question_open(bytes, size, &question));
	answer = (struct news_answer){.lease_ms = LEASE_MS};
	news_log_tell(written, &question, &answer);
	for (uint32_t i = 0; i < question.count; i++)
		for (uint32_t j = 0; j < question.asked[i].count; j++) {
			uint64_t block = question.asked[i].block + j;

			if (newest[block] > question.asked[i].version)
				answer.older[answer.older_count++] = (struct news_run){block, 1, newest[block]};
		}
	return news_answer(key, bytes, size, &answer, ret);
}

// ---- Between ----

struct asked {
	uint32_t xid;
	size_t size;
	uint8_t bytes[NEWS_QUESTION_SIZE_MAX];
};

static bool
ask(struct asked *ret)
{
	uint32_t looks = NEWS_LOOKS;

	ret->xid = next_xid++;
	ret->size = news_next(news, ret->xid, &looks, ret->bytes);
	return ret->size > 0;
}

static enum news_result
reply(const struct asked *asked)
{
	static uint8_t bytes[NEWS_ANSWER_SIZE_MAX];
	size_t size = answer_to(asked->bytes, asked->size, owner, bytes);

	return news_answered(news, reader, asked->xid, bytes, size);
}

// A whole round. Returns how many questions there were.
static uint32_t
hear(void)
{
	static struct asked asked[NEWS_AT_ONCE];
	uint32_t count = 0, under_way = 0;

	news_begin(news, now);
	for (;;) {
		while (under_way < NEWS_AT_ONCE && ask(&asked[under_way]))
			under_way++;
		if (under_way == 0)
			break;
		count += under_way;
		while (under_way > 0) // the last one first: they may come in any order
			ck_assert_int_eq(reply(&asked[--under_way]), NEWS_TAKEN);
	}
	ck_assert_uint_eq(news_heard_at(news), now);
	return count;
}

static void
setup(void)
{
	owner = seal_help_key(1, VOLUME_ROLE_OWNER, 2);
	reader = seal_help_key(1, VOLUME_ROLE_READER, 2);
	stranger = seal_help_key(2, VOLUME_ROLE_OWNER, 2);
	written = news_log_create(LOG_RUNS);
	news = news_create(&callbacks, NULL);
	memset(newest, 0, sizeof(newest));
	memset(copies, 0, sizeof(copies));
	next_xid = 1;
	dropped = 0;
	now = 1000000;
}

static void
teardown(void)
{
	volume_key_destroy(owner);
	volume_key_destroy(reader);
	volume_key_destroy(stranger);
	news_log_destroy(written);
	news_destroy(news);
}

// ---- What is told ----

START_TEST(what_was_given_is_asked_about)
{
	write_block(7, 10);
	write_block(8, 10);
	ck_assert(given(7, 10) && given(8, 9) && given(9, 1));
	hear();
	ck_assert_uint_eq(dropped, 1);
	ck_assert(copies[7].copy == NEWS_COPY && copies[8].copy == NEWS_NO_COPY && copies[9].copy == NEWS_COPY);
	ck_assert(!given(8, 9)); // a second time it is not taken
	ck_assert(given(8, 10) && given(8, 11));
	hear();
	ck_assert_uint_eq(dropped, 1);
}
END_TEST

START_TEST(what_is_written_later_is_told)
{
	ck_assert(given(7, 10) && given(8, 10));
	hear();
	write_block(7, 11);
	now += 1000;
	hear();
	ck_assert(copies[7].copy == NEWS_NO_COPY && copies[8].copy == NEWS_COPY);
	ck_assert(!given(7, 10));
	write_block(8, 10); // as what is here
	write_block(100, 5);
	hear();
	ck_assert_uint_eq(dropped, 1);
	ck_assert(!given(100, 4) && given(100, 5)); // also of what it never had
}
END_TEST

// What was written here, and not brought to the root, stays; the root is asked again until that is decided.
START_TEST(what_is_its_own_stays)
{
	hear();
	copies[7].copy = NEWS_OWN;
	copies[7].sealed = 12;
	write_block(7, 11);
	hear();
	ck_assert_uint_eq(dropped, 0);
	write_block(7, 13); // somebody else's, which is newer
	hear();
	hear();
	ck_assert(copies[7].copy == NEWS_OWN);
	copies[7].copy = NEWS_COPY; // it is said to be at the root
	hear();
	ck_assert(copies[7].copy == NEWS_NO_COPY);
}
END_TEST

// The root begins anew, with another list: what it had named before may be lost, and all that is in memory is asked about.
START_TEST(root_starts_anew)
{
	for (uint64_t i = 0; i < BLOCKS; i++)
		ck_assert(given(i, 10));
	hear();
	write_block(1, 20);
	hear();
	ck_assert(!given(1, 19));
	newest[1] = 10; // that was never synced
	newest[3000] = 11;
	restart_root();
	hear();
	ck_assert(copies[3000].copy == NEWS_NO_COPY && copies[2999].copy == NEWS_COPY);
	ck_assert(given(1, 19));
	ck_assert_uint_eq(dropped, 2);
}
END_TEST

// Of a table where hardly anything has a copy no step looks at more than it may, and the round goes on in the next one.
START_TEST(a_walk_takes_steps)
{
	enum { STEP = 100 };
	uint8_t bytes[NEWS_QUESTION_SIZE_MAX];
	struct asked asked;
	uint32_t steps = 0, looks;
	size_t size = 0;

	ck_assert(given(BLOCKS - 1, 10));
	hear();
	newest[BLOCKS - 1] = 11;
	restart_root();
	now++;
	news_begin(news, now);
	ck_assert(ask(&asked));
	ck_assert_int_eq(reply(&asked), NEWS_TAKEN); // that it is another root
	for (; size == 0; steps++) {
		looks = STEP;
		looked = 0;
		size = news_next(news, next_xid, &looks, bytes);
		ck_assert_uint_le(looked, STEP);
		ck_assert_uint_ne(news_heard_at(news), now);
		ck_assert(size > 0 || looks == 0);
	}
	ck_assert_uint_eq(steps, BLOCKS / STEP);
	news_lost(news); // the next round looks at all again
	hear();
	ck_assert_uint_eq(dropped, 1);
}
END_TEST

// More was written than the root remembers.
START_TEST(list_has_forgotten)
{
	for (uint64_t i = 0; i < BLOCKS; i++)
		ck_assert(given(i, 10));
	hear();
	for (uint64_t i = 0; i < 3 * LOG_RUNS; i++)
		write_block(2 * i, 11 + i);
	hear();
	ck_assert_uint_eq(dropped, 3 * LOG_RUNS);
	ck_assert_uint_le(hear(), 1);
	ck_assert_uint_eq(dropped, 3 * LOG_RUNS);
}
END_TEST

// Blocks side by side that were sealed as one version take one entry, on both sides; one that was told does not change.
START_TEST(runs)
{
	hear();
	for (uint64_t i = 0; i < 3000; i++) {
		write_block(i, 10);
		ck_assert(given(i, 10));
	}
	ck_assert_uint_eq(hear(), 3); // 1024 blocks in each
	write_block(3000, 10);
	hear();
	ck_assert(!given(3000, 9));
	for (uint64_t i = 0; i < 300; i++)
		ck_assert(given(2 * i, 10));
	ck_assert_uint_eq(hear(), 2); // 250 runs in each
	ck_assert_uint_eq(dropped, 0);
}
END_TEST

// There are bounds for what waits: beyond them all that is in memory is asked about.
START_TEST(much_comes)
{
	hear();
	for (uint64_t i = 0; i < 2 * NEWS_WAITING_MAX; i++)
		news_came(news, i % BLOCKS, i);
	copies[5].copy = NEWS_COPY;
	copies[5].sealed = 10;
	newest[5] = 11;
	ck_assert_uint_eq(hear(), 1);
	ck_assert_uint_eq(dropped, 1);
}
END_TEST

START_TEST(floors_are_bounded)
{
	hear();
	for (uint32_t i = 0; i < BLOCKS; i++) {
		write_block(i, 10);
		if (i % LOG_RUNS == LOG_RUNS - 1)
			hear();
	}
	hear();
	for (uint64_t i = 0; i < BLOCKS; i++)
		ck_assert(news_is_old(news, i, 9) && !news_is_old(news, i, 10));
}
END_TEST

// ---- How long it may be believed ----

START_TEST(only_a_whole_round_counts)
{
	struct asked first, second;

	ck_assert_uint_eq(news_good_until(news), 0);
	hear();
	ck_assert_uint_eq(news_good_until(news), now + LEASE_MS * 1000);
	for (uint64_t i = 0; i < 300; i++)
		ck_assert(given(2 * i, 10));
	now += 500;
	news_begin(news, now);
	ck_assert(ask(&first) && ask(&second));
	ck_assert_int_eq(reply(&first), NEWS_TAKEN);
	ck_assert_uint_eq(news_heard_at(news), now - 500);
	ck_assert(given(1, 10)); // is asked about in the next
	ck_assert_int_eq(reply(&second), NEWS_TAKEN);
	ck_assert_uint_eq(news_heard_at(news), now);
	ck_assert_int_eq(reply(&second), NEWS_NOT_ASKED);
	ck_assert(!ask(&first));
}
END_TEST

// A link breaks, or there is no answer: what was to be asked is in the next round.
START_TEST(nothing_is_left_out)
{
	struct asked asked;

	for (int turn = 0; turn < 3; turn++) {
		for (uint64_t i = 0; i < BLOCKS; i += 2)
			if (turn == 0)
				ck_assert(given(i, 10));
		newest[1000] = 11;
		news_begin(news, now);
		ck_assert(ask(&asked));
		if (turn == 0)
			news_lost(news);
		else if (turn == 1)
			ck_assert_int_eq(news_answered(news, reader, asked.xid, NULL, 0), NEWS_NONE);
		ck_assert_uint_eq(news_good_until(news), 0);
		if (turn == 2)
			ck_assert_int_eq(reply(&asked), NEWS_TAKEN);
	}
	news_lost(news);
	hear();
	ck_assert_uint_eq(dropped, 1);
}
END_TEST

// ---- What is forged ----

START_TEST(every_byte_counts)
{
	uint8_t bytes[NEWS_ANSWER_SIZE_MAX + 1];
	struct news_answer *answer = calloc(1, sizeof(*answer));
	uint32_t generation = 0;
	struct asked asked;
	size_t size;

	ck_assert_ptr_nonnull(answer);
	write_block(7, 11);
	ck_assert(given(7, 10));
	news_begin(news, now);
	ck_assert(ask(&asked));
	size = answer_to(asked.bytes, asked.size, owner, bytes);
	for (size_t i = 0; i < size; i++) {
		bytes[i] ^= 1;
		ck_assert(!news_answer_open(reader, asked.bytes, asked.size, bytes, size, &generation, answer));
		bytes[i] ^= 1;
	}
	for (size_t less = 0; less < size; less++)
		ck_assert(!news_answer_open(reader, asked.bytes, asked.size, bytes, less, &generation, answer));
	ck_assert(!news_answer_open(reader, asked.bytes, asked.size, bytes, size + 1, &generation, answer));
	for (size_t i = 0; i < asked.size; i++) { // it was asked something else
		asked.bytes[i] ^= 1;
		ck_assert(!news_answer_open(reader, asked.bytes, asked.size, bytes, size, &generation, answer));
		asked.bytes[i] ^= 1;
	}
	ck_assert(!news_answer_open(stranger, asked.bytes, asked.size, bytes, size, &generation, answer));
	ck_assert(news_answer_open(reader, asked.bytes, asked.size, bytes, size, &generation, answer));
	ck_assert_uint_eq(generation, 2);
	ck_assert(answer->older_count == 1 && answer->older[0].block == 7 && answer->older[0].version == 11);
	free(answer);
}
END_TEST

// A former writer has keys of a generation before that with which the root signs.
START_TEST(old_keys_do_not_come_back)
{
	struct volume_key *former = seal_help_key(1, VOLUME_ROLE_OWNER, 1);
	uint8_t bytes[NEWS_ANSWER_SIZE_MAX];
	struct asked asked;
	size_t size;

	news_begin(news, now);
	ck_assert(ask(&asked));
	size = answer_to(asked.bytes, asked.size, former, bytes); // the root may not have the new keys yet
	ck_assert_int_eq(news_answered(news, reader, asked.xid, bytes, size), NEWS_TAKEN);
	ck_assert(!ask(&asked)); // the round is over
	hear();
	news_begin(news, now);
	ck_assert(ask(&asked));
	size = answer_to(asked.bytes, asked.size, former, bytes);
	ck_assert_int_eq(news_answered(news, reader, asked.xid, bytes, size), NEWS_FORGED);
	volume_key_destroy(former);
}
END_TEST

START_TEST(no_questions)
{
	struct news_question question = {.count = 2, .asked = {{1, 1000, 1}, {5000, 24, 1}}};
	uint8_t bytes[NEWS_QUESTION_SIZE_MAX];
	size_t size = news_ask(&question, bytes);

	ck_assert(news_question_open(bytes, size, &question));
	ck_assert(!news_question_open(bytes, size - 1, &question));
	ck_assert_ptr_null(news_root_begin(owner, NULL, written, LEASE_MS, bytes, size - 1));
	ck_assert_ptr_null(news_root_begin(reader, NULL, written, LEASE_MS, bytes, size)); // it can not sign
	question = (struct news_question){.count = 2, .asked = {{1, 1000, 1}, {5000, 25, 1}}};
	ck_assert(!news_question_open(bytes, news_ask(&question, bytes), &question)); // more blocks than may be
	bytes[0] = 1;
	ck_assert(!news_question_open(bytes, size, &question));
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		what_was_given_is_asked_about, what_is_written_later_is_told, what_is_its_own_stays, root_starts_anew, a_walk_takes_steps,
		list_has_forgotten, runs, much_comes, floors_are_bounded, only_a_whole_round_counts, nothing_is_left_out, every_byte_counts,
		old_keys_do_not_come_back, no_questions};
	Suite *suite = suite_create("news");
	TCase *tcase = tcase_create("news");
	SRunner *runner;
	int failed;

	if (sodium_init() < 0)
		return EXIT_FAILURE;
	tcase_add_checked_fixture(tcase, setup, teardown);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(tcase, tests[i]);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
