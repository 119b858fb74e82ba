// SPDX-License-Identifier: MIT
// What failures may undo, against a twin that tries every set of writes that may have been undone, each at every moment
// at which it may: a history is good when one of them leaves a linearizable rest, and has left one at every moment.
#include "tests/sim/losses.h"
#include "tests/sim/rng.h"

#include <check.h>
#include <stdlib.h>

enum { OPS_MAX = 6, FAILURES_MAX = 4, NODES = 5, SPAN_MAX = 30, MOMENTS = SPAN_MAX + SPAN_MAX / 4 + 2 };

// The root 0 has the children 1 and 4, 1 has 2, 2 has 3.
static const int parents[NODES] = {-1, 0, 1, 2, 0};

struct story {
	struct register_op ops[OPS_MAX];
	struct fate fates[OPS_MAX];
	size_t count;
	struct failure failures[FAILURES_MAX];
	struct losses losses;
};

// ---- The twin ----

static bool
failed(const struct story *story, int node, uint64_t from)
{
	for (size_t i = 0; i < story->losses.failure_count; i++)
		if ((int)story->failures[i].node == node && story->failures[i].at > from)
			return true;
	return false;
}

static bool
failed_or_was_failing(const struct story *story, int node, uint64_t from)
{
	for (size_t i = 0; i < story->losses.failure_count; i++)
		if ((int)story->failures[i].node == node && story->failures[i].until > from)
			return true;
	return failed(story, node, from);
}

static bool
ancestor_failed(const struct story *story, int node, uint64_t from)
{
	for (int up = parents[node]; up >= 0; up = parents[up])
		if (failed_or_was_failing(story, up, from))
			return true;
	return node == 0 && failed(story, 0, from);
}

static bool
below(int node, int top)
{
	for (; node >= 0; node = parents[node])
		if (node == top)
			return true;
	return false;
}

// May write ${w} have been undone by ${failure}, together with all its reads?
static bool
twin_may_undo(const struct story *story, size_t w, const struct failure *failure)
{
	const struct register_op *write = &story->ops[w];
	int author = (int)write->tag;
	uint64_t from = write->invoked;
	bool second = ancestor_failed(story, author, from);
	bool first = failed(story, author, from) || (write->returned == LINEARIZABLE_UNKNOWN && second);

	if (!first || failure->at <= from || story->fates[w].durable)
		return false;
	if (story->fates[w].place == PLACE_PARENT && !second)
		return false;
	if (story->fates[w].place == PLACE_ROOT && !failed(story, 0, from))
		return false;
	for (size_t i = 0; i < story->count; i++) {
		const struct register_op *read = &story->ops[i];

		if (read->write || read->value != write->value)
			continue;
		if (read->invoked >= failure->until || (!second && !below((int)read->tag, author)))
			return false;
	}
	return true;
}

static bool
twin_may_undo_some_time(const struct story *story, size_t w)
{
	for (size_t i = 0; i < story->losses.failure_count; i++) {
		int node = (int)story->failures[i].node;

		if (below((int)story->ops[w].tag, node) && twin_may_undo(story, w, &story->failures[i]))
			return true;
	}
	return false;
}

// Has one of the failures that may undo write ${w} come before ${moment}?
static bool
twin_has_begun(const struct story *story, size_t w, uint64_t moment)
{
	for (size_t i = 0; i < story->losses.failure_count; i++) {
		const struct failure *failure = &story->failures[i];

		if (failure->at > story->ops[w].invoked && failure->at < moment &&
		    below((int)story->ops[w].tag, (int)failure->node))
			return true;
	}
	return false;
}

// Is what had happened by ${moment} linearizable, without those writes of ${set} that may have been undone by then?
static bool
twin_is_good_at(const struct story *story, unsigned set, uint64_t moment)
{
	struct register_op rest[OPS_MAX];
	struct linearizable_verdict verdict;
	size_t kept = 0;

	for (size_t i = 0; i < story->count; i++) {
		struct register_op op = story->ops[i];
		bool gone = op.invoked >= moment || (!op.write && op.returned >= moment);

		for (size_t w = 0; w < story->count; w++)
			gone = gone || (set & 1u << w && story->ops[w].value == op.value &&
					twin_has_begun(story, w, moment));
		if (op.returned >= moment)
			op.returned = LINEARIZABLE_UNKNOWN;
		if (!gone)
			rest[kept++] = op;
	}
	return linearizable_check(rest, kept, &verdict);
}

static bool
twin_is_good(const struct story *story)
{
	for (unsigned set = 0; set < 1u << story->count; set++) {
		bool legal = true;

		for (size_t i = 0; i < story->count; i++)
			if (set & 1u << i)
				legal = legal && story->ops[i].write && twin_may_undo_some_time(story, i);
		for (uint64_t moment = 1; legal && moment < MOMENTS; moment++)
			legal = twin_is_good_at(story, set, moment);
		if (legal && twin_is_good_at(story, set, LINEARIZABLE_UNKNOWN))
			return true;
	}
	return false;
}

// ---- Random stories ----

static void
story_make(struct rng *rng, struct story *story)
{
	size_t writes;
	uint64_t span = rng_between(rng, 6, SPAN_MAX);

	story->count = rng_between(rng, 2, OPS_MAX);
	writes = rng_between(rng, 1, story->count - 1);
	for (size_t i = 0; i < story->count; i++) {
		uint64_t invoked = 1 + rng_below(rng, span), length = rng_between(rng, 0, span / 4);
		bool write = i < writes;

		story->ops[i] = (struct register_op){
			.write = write,
			.tag = (uint32_t)rng_below(rng, NODES),
			.value = write ? i + 1 : rng_between(rng, 1, writes),
			.invoked = invoked,
			.returned = write && rng_chance(rng, 15) ? LINEARIZABLE_UNKNOWN : invoked + length,
		};
		story->fates[i] = (struct fate){
			.place = (enum place)rng_below(rng, 3),
			.durable = rng_chance(rng, 20),
		};
	}
	story->losses = (struct losses){parents, story->failures, rng_below(rng, FAILURES_MAX + 1), NULL};
	for (size_t i = 0; i < story->losses.failure_count; i++) {
		uint64_t at = 1 + rng_below(rng, span + span / 4);

		story->failures[i] =
			(struct failure){(uint32_t)rng_below(rng, NODES), FAILURE, at, at + rng_below(rng, span / 4)};
	}
}

static bool
story_is_good(const struct story *story, size_t *ret_undone)
{
	struct register_op rest[OPS_MAX];
	struct linearizable_verdict verdict;
	uint64_t undone[OPS_MAX];
	bool good = true;
	size_t kept;

	losses_find(&story->losses, story->ops, story->fates, story->count, undone);
	for (size_t i = 0; i < story->count; i++) {
		kept = losses_cut(story->ops, undone, story->count, undone[i], rest);
		good = good && linearizable_check(rest, kept, &verdict);
	}
	kept = losses_cut(story->ops, undone, story->count, LINEARIZABLE_UNKNOWN, rest);
	*ret_undone = story->count - kept;
	return good && linearizable_check(rest, kept, &verdict);
}

START_TEST(agrees_with_brute_force)
{
	struct rng rng = {1};
	unsigned good = 0, bad = 0, excused = 0, still_bad = 0;

	for (int round = 0; round < 240000; round++) {
		struct story story;
		struct linearizable_verdict verdict;
		size_t undone;
		bool found, twin;

		story_make(&rng, &story);
		found = story_is_good(&story, &undone);
		twin = twin_is_good(&story);
		ck_assert_msg(found == twin, "round %d: losses say %d, brute force %d", round, found, twin);
		good += found;
		bad += !found;
		excused += found && undone > 0 && !linearizable_check(story.ops, story.count, &verdict);
		still_bad += !found && undone > 0;
	}
	ck_assert_uint_gt(good, 1000);
	ck_assert_uint_gt(bad, 1000);
	ck_assert_uint_gt(excused, 1000);
	ck_assert_uint_gt(still_bad, 1000);
}
END_TEST

// ---- Single stories: an old value, a write by node 3 that is acknowledged, a later read of the old value ----

static struct story
story_of_a_loss(enum place place)
{
	struct story story = {
		.ops =
			{
				{.write = true, .value = 1},
				{.write = true, .tag = 3, .value = 2, .invoked = 1, .returned = 2},
				{.tag = 4, .value = 1, .invoked = 20, .returned = 21},
			},
		.fates = {{.durable = true}, {.place = place}},
		.count = 3,
	};

	return story;
}

static bool
good_after(struct story story, const struct failure *failures, size_t count)
{
	size_t undone;

	story.losses = (struct losses){parents, failures, count, NULL};
	return story_is_good(&story, &undone);
}

// Who was cut off when a root began to serve others loses something by that only if he is told, or dies before he could be, and
// only what he has written.
START_TEST(author_misses_a_grace_time)
{
	const struct failure silent[] = {{3, FAILURE_IF_TOLD, 10, 10}}, told[] = {{3, FAILURE_TOLD, 10, 10}},
			     above[] = {{3, FAILURE, 12, 12}, {2, FAILURE_TOLD, 10, 10}},
			     dead[] = {{3, FAILURE_IF_TOLD, 10, 10}, {3, FAILURE, 30, 30}}, late[] = {{3, FAILURE, 30, 30}},
			     before[] = {{3, FAILURE, 1, 1}, {3, FAILURE_IF_TOLD, 10, 10}};

	ck_assert(!good_after(story_of_a_loss(PLACE_NODE), silent, 1));
	ck_assert(good_after(story_of_a_loss(PLACE_NODE), told, 1));
	ck_assert(!good_after(story_of_a_loss(PLACE_PARENT), above, 2));
	ck_assert(good_after(story_of_a_loss(PLACE_NODE), dead, 2));
	ck_assert(!good_after(story_of_a_loss(PLACE_NODE), late, 1));
	ck_assert(!good_after(story_of_a_loss(PLACE_NODE), before, 2));
}
END_TEST

// What a process that had died had is given to others: those below it lose what they wrote under its leases.
START_TEST(parent_is_evicted_after_its_death)
{
	struct story story = story_of_a_loss(PLACE_NODE);
	const struct failure own[] = {{3, FAILURE_GONE, 10, 10}, {3, FAILURE, 30, 30}},
			     above[] = {{2, FAILURE_GONE, 10, 10}, {3, FAILURE, 30, 30}};

	ck_assert(!good_after(story, own, 2));
	ck_assert(!good_after(story, above, 1)); // its author has it yet
	ck_assert(good_after(story, above, 2));
	story.ops[2].invoked = 5;
	story.ops[2].returned = 6;
	ck_assert(!good_after(story, above, 2));
}
END_TEST

START_TEST(author_dies)
{
	const struct failure author[] = {{3, FAILURE, 10, 10}}, other[] = {{4, FAILURE, 10, 10}}, above[] = {{2, FAILURE, 10, 10}},
			     early[] = {{3, FAILURE, 1, 1}};

	ck_assert(good_after(story_of_a_loss(PLACE_NODE), author, 1));
	ck_assert(!good_after(story_of_a_loss(PLACE_NODE), author, 0));
	ck_assert(!good_after(story_of_a_loss(PLACE_NODE), other, 1));
	ck_assert(!good_after(story_of_a_loss(PLACE_NODE), above, 1)); // it is to send its write again
	ck_assert(!good_after(story_of_a_loss(PLACE_NODE), early, 1));
}
END_TEST

// What is in its author's journal comes back with him, unless he stays dead, or what he has is given to others.
START_TEST(author_with_a_journal_dies)
{
	const struct failure back[] = {{3, FAILURE_DEATH, 10, 10}}, gone[] = {{3, FAILURE, 10, 10}},
			     evicted[] = {{3, FAILURE_DEATH, 10, 10}, {3, FAILURE_GONE, 12, 12}, {3, FAILURE, 30, 30}},
			     present[] = {{3, FAILURE_EVICTED, 10, 10}, {3, FAILURE, 30, 30}},
			     above[] = {{3, FAILURE_DEATH, 10, 10}, {2, FAILURE, 12, 12}},
			     hidden[] = {{3, FAILURE_IF_TOLD, 10, 10}, {3, FAILURE_DEATH, 30, 30}},
			     told[] = {{3, FAILURE_DEATH, 9, 9}, {3, FAILURE_TOLD, 10, 10}};
	struct story story = story_of_a_loss(PLACE_NODE);

	ck_assert(good_after(story, back, 1)); // no fsync has covered it
	ck_assert(good_after(story, hidden, 2));
	ck_assert(good_after(story, present, 1));
	story.fates[1].kept = true;
	ck_assert(!good_after(story, back, 1));
	ck_assert(good_after(story, gone, 1));
	ck_assert(good_after(story, evicted, 3));
	ck_assert(!good_after(story, evicted, 2)); // he has to be told
	ck_assert(good_after(story, present, 2));
	ck_assert(!good_after(story, present, 1));
	ck_assert(!good_after(story, above, 2));
	ck_assert(!good_after(story, hidden, 2));
	ck_assert(good_after(story, told, 2));
}
END_TEST

START_TEST(two_die)
{
	const struct failure author[] = {{3, FAILURE, 10, 10}}, proxy[] = {{3, FAILURE, 10, 10}, {1, FAILURE, 12, 12}},
			     root[] = {{0, FAILURE, 8, 8}, {3, FAILURE, 10, 10}},
			     before[] = {{0, FAILURE, 1, 4}, {3, FAILURE, 10, 10}},
			     long_before[] = {{0, FAILURE, 0, 1}, {3, FAILURE, 10, 10}};

	ck_assert(good_after(story_of_a_loss(PLACE_PARENT), before, 2)); // the write was done under a lease from before
	ck_assert(!good_after(story_of_a_loss(PLACE_PARENT), long_before, 2));
	ck_assert(!good_after(story_of_a_loss(PLACE_ROOT), before, 2));
	ck_assert(!good_after(story_of_a_loss(PLACE_PARENT), author, 1));
	ck_assert(good_after(story_of_a_loss(PLACE_PARENT), proxy, 2));
	ck_assert(!good_after(story_of_a_loss(PLACE_ROOT), proxy, 2));
	ck_assert(good_after(story_of_a_loss(PLACE_ROOT), root, 2));
}
END_TEST

START_TEST(durable_stays)
{
	const struct failure root[] = {{0, FAILURE, 8, 8}, {3, FAILURE, 10, 10}};
	struct story story = story_of_a_loss(PLACE_NODE);

	ck_assert(good_after(story, root, 2));
	story.fates[1].durable = true;
	ck_assert(!good_after(story, root, 2));
}
END_TEST

// Another node has read it: its author's failure alone does not undo that. Below the author it does.
START_TEST(somebody_has_read_it)
{
	const struct failure failures[] = {{3, FAILURE, 10, 10}, {2, FAILURE, 11, 11}}, long_leases[] = {{2, FAILURE, 11, 13}};
	struct story story = story_of_a_loss(PLACE_NODE);

	story.ops[story.count++] = (struct register_op){.tag = 4, .value = 2, .invoked = 5, .returned = 6};
	ck_assert(!good_after(story, failures, 1));
	ck_assert(good_after(story, failures, 2));
	story.ops[1].tag = story.ops[3].tag = 2;
	ck_assert(!good_after(story, failures, 1)); // of a node below
	ck_assert(good_after(story, failures + 1, 1));
	story.ops[3].tag = 3;
	ck_assert(good_after(story, failures + 1, 1));
	story.ops[3].invoked = 12;
	story.ops[3].returned = 13;
	ck_assert(!good_after(story, failures + 1, 1));
	ck_assert(good_after(story, long_leases, 1)); // by a lease that was older than the failure
}
END_TEST

// An old value that is read before anything failed stays wrong.
START_TEST(somebody_has_read_too_little)
{
	const struct failure failures[] = {{3, FAILURE, 10, 10}, {0, FAILURE, 12, 12}};
	struct story story = story_of_a_loss(PLACE_NODE);

	story.ops[story.count++] = (struct register_op){.tag = 4, .value = 1, .invoked = 5, .returned = 6};
	ck_assert(!good_after(story, failures, 2));
	story.ops[3].invoked = 1; // while it was written
	ck_assert(good_after(story, failures, 2));
	story.ops[3].invoked = 9;
	story.ops[3].returned = 11;
	ck_assert(good_after(story, failures, 2));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("losses");
	TCase *tcase = tcase_create("losses");
	SRunner *runner;
	int failed_count;

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, agrees_with_brute_force);
	tcase_add_test(tcase, parent_is_evicted_after_its_death);
	tcase_add_test(tcase, author_dies);
	tcase_add_test(tcase, author_misses_a_grace_time);
	tcase_add_test(tcase, author_with_a_journal_dies);
	tcase_add_test(tcase, two_die);
	tcase_add_test(tcase, durable_stays);
	tcase_add_test(tcase, somebody_has_read_it);
	tcase_add_test(tcase, somebody_has_read_too_little);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed_count = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed_count != 0;
}
