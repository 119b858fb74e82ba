// SPDX-License-Identifier: MIT
// The checker of histories against a twin that tries every order: both must agree on small random histories, of which
// some must be legal and some not.
#include "tests/sim/linearizable.h"
#include "tests/sim/rng.h"

#include <check.h>
#include <stdlib.h>

enum { OPS_MAX = 7 };

// ---- The twin ----

struct brute {
	const struct register_op *ops;
	size_t count;
	bool placed[OPS_MAX];
	uint64_t value, other; // ask: is there an order with the write of other before the write of value?
	int value_at, other_at;
	bool legal, other_first;
};

// May operation ${index} come next: has everything that ended before it began been placed?
static bool
brute_may_come(const struct brute *brute, size_t index)
{
	for (size_t i = 0; i < brute->count; i++)
		if (!brute->placed[i] && brute->ops[i].returned < brute->ops[index].invoked)
			return false;
	return true;
}

static bool
brute_is_complete(const struct brute *brute)
{
	for (size_t i = 0; i < brute->count; i++)
		if (!brute->placed[i] && brute->ops[i].returned != LINEARIZABLE_UNKNOWN)
			return false;
	return true;
}

static void
brute_try(struct brute *brute, bool written, uint64_t value, int depth)
{
	if (brute_is_complete(brute)) {
		brute->legal = true;
		// A write of unknown outcome that was not placed may come last.
		if (brute->other_at >= 0 && (brute->value_at < 0 || brute->other_at < brute->value_at))
			brute->other_first = true;
	}
	for (size_t i = 0; i < brute->count; i++) {
		const struct register_op *op = &brute->ops[i];
		int value_at = brute->value_at, other_at = brute->other_at;

		if (brute->placed[i] || !brute_may_come(brute, i))
			continue;
		if (!op->write && (!written || op->value != value))
			continue;
		if (op->write && op->value == brute->value)
			brute->value_at = depth;
		if (op->write && op->value == brute->other)
			brute->other_at = depth;
		brute->placed[i] = true;
		brute_try(brute, true, op->value, depth + 1);
		brute->placed[i] = false;
		brute->value_at = value_at;
		brute->other_at = other_at;
	}
}

static struct brute
brute_run(const struct register_op *ops, size_t count, uint64_t value, uint64_t other)
{
	struct brute brute = {
		.ops = ops, .count = count, .value = value, .other = other, .value_at = -1, .other_at = -1};

	brute_try(&brute, false, 0, 0);
	return brute;
}

// ---- Random histories ----

static size_t
history_make(struct rng *rng, struct register_op *ops)
{
	size_t count = rng_between(rng, 1, OPS_MAX), writes = rng_between(rng, 1, count);
	uint64_t span = rng_between(rng, 4, 30);

	for (size_t i = 0; i < count; i++) {
		uint64_t invoked = rng_below(rng, span), length = rng_between(rng, 0, span / 2);

		ops[i] = (struct register_op){
			.write = i < writes,
			.value = i < writes ? i + 1 : rng_between(rng, 1, writes),
			.invoked = invoked,
			.returned = i < writes && rng_chance(rng, 10) ? LINEARIZABLE_UNKNOWN : invoked + length,
		};
	}
	return count;
}

static bool
is_before(const struct register_op *ops, size_t count, uint64_t value, uint64_t other)
{
	struct linearizable_order *order = linearizable_order_create(ops, count);
	bool before = linearizable_is_before(order, value, other);

	ck_assert(linearizable_is_before(order, value, other) == before); // asked again
	linearizable_order_destroy(order);
	return before;
}

START_TEST(agrees_with_brute_force)
{
	struct rng rng = {1};
	unsigned legal = 0, illegal = 0, before = 0, not_before = 0;

	for (int round = 0; round < 20000; round++) {
		struct register_op ops[OPS_MAX];
		struct linearizable_verdict verdict;
		size_t count = history_make(&rng, ops);
		bool found = linearizable_check(ops, count, &verdict);
		struct brute brute = brute_run(ops, count, 1, 2);

		ck_assert_msg(found == brute.legal, "round %d: checker says %d, brute force %d", round, found,
			      brute.legal);
		legal += found;
		illegal += !found;
		// Which came first is asked only of writes that are known to have happened.
		if (!found || count < 2 || !ops[1].write || ops[1].returned == LINEARIZABLE_UNKNOWN)
			continue;
		found = is_before(ops, count, 1, 2);
		ck_assert_msg(found == !brute.other_first, "round %d: before %d, brute force %d", round, found,
			      !brute.other_first);
		before += found;
		not_before += !found;
	}
	ck_assert_uint_gt(legal, 1000);
	ck_assert_uint_gt(illegal, 1000);
	ck_assert_uint_gt(before, 1000);
	ck_assert_uint_gt(not_before, 1000);
}
END_TEST

// The order "before" is not transitive by one comparison: a, b, c where a must precede c only through b.
START_TEST(before_goes_through_a_third)
{
	const struct register_op ops[] = {
		{.write = true, .value = 1, .invoked = 0, .returned = 10},
		{.write = true, .value = 2, .invoked = 5, .returned = 30}, // concurrent with 1
		{.write = false, .value = 2, .invoked = 11, .returned = 12},
		{.write = true, .value = 3, .invoked = 13, .returned = 20},
	};

	ck_assert(is_before(ops, 4, 1, 2));
	ck_assert(is_before(ops, 4, 2, 3));
	ck_assert(is_before(ops, 4, 1, 3));
	ck_assert(!is_before(ops, 4, 3, 1));
	ck_assert(!is_before(ops, 4, 1, 1));
}
END_TEST

// A stale read: the old value is seen after the new one was written and acknowledged.
START_TEST(stale_read_is_named)
{
	const struct register_op ops[] = {
		{.write = true, .value = 1, .invoked = 0, .returned = 0},
		{.write = true, .value = 2, .invoked = 1, .returned = 2},
		{.write = false, .value = 1, .invoked = 3, .returned = 4},
	};
	struct linearizable_verdict verdict;

	ck_assert(linearizable_check(ops, 2, &verdict));
	ck_assert(!linearizable_check(ops, 3, &verdict));
	ck_assert_str_eq(verdict.why, "each of two values must come before the other");
	ck_assert_uint_eq(verdict.evidence_count, 6);
}
END_TEST

START_TEST(strange_values_are_named)
{
	const struct register_op unwritten = {.value = 7, .invoked = 0, .returned = 1};
	const struct register_op early[] = {
		{.write = true, .value = 1, .invoked = 5, .returned = 6},
		{.value = 1, .invoked = 0, .returned = 1},
	};
	struct linearizable_verdict verdict;

	ck_assert(!linearizable_check(&unwritten, 1, &verdict));
	ck_assert_str_eq(verdict.why, "a value was read that nobody wrote");
	ck_assert(!linearizable_check(early, 2, &verdict));
	ck_assert_str_eq(verdict.why, "a value was read before it was written");
}
END_TEST

// An unread write that failed explains nothing and forbids nothing; once it is read it has happened.
START_TEST(unknown_outcome)
{
	const struct register_op ops[] = {
		{.write = true, .value = 1, .invoked = 0, .returned = 0},
		{.write = true, .value = 2, .invoked = 1, .returned = LINEARIZABLE_UNKNOWN},
		{.value = 1, .invoked = 10, .returned = 11},
		{.value = 2, .invoked = 12, .returned = 13},
		{.value = 1, .invoked = 14, .returned = 15},
	};
	struct linearizable_verdict verdict;

	ck_assert(linearizable_check(ops, 3, &verdict));
	ck_assert(linearizable_check(ops, 4, &verdict));
	ck_assert(!linearizable_check(ops, 5, &verdict));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("linearizable");
	TCase *tcase = tcase_create("linearizable");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, agrees_with_brute_force);
	tcase_add_test(tcase, before_goes_through_a_third);
	tcase_add_test(tcase, stale_read_is_named);
	tcase_add_test(tcase, strange_values_are_named);
	tcase_add_test(tcase, unknown_outcome);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
