// SPDX-License-Identifier: MIT
// Random operations on stacks that are rebuilt all the while, against a model that knows what must be there: a block
// that was put is there, with the bytes put last, until it is dropped or the callback says that it was evicted, which
// may not happen to dirty or pinned ones, nor from within get.
#include "tests/sim/rng.h"
#include "tests/unit/cache_help.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { KEYS = 600, STEPS = 60000, PINS = 8 };

struct model_block {
	uint64_t bytes; // what its first eight bytes are
	bool here, dirty, zero;
	int pins;
};

struct run {
	struct rng rng;
	struct buf_pool *small, *large;
	struct stack *stack;
	struct copies copies;
	struct model_block blocks[KEYS];
	struct {
		block_key first;
		uint64_t count;
	} pins[PINS];
	uint64_t next_bytes;
	bool may_evict;
	uint64_t changes, evictions;
};

// Keys of two volumes, some of which crowd one group of "modulo".
static block_key
key_of(uint64_t i)
{
	return i < KEYS / 2 ? i : block_key_make(1, (i - KEYS / 2) * 16);
}

static uint64_t
index_of(block_key key)
{
	return block_key_volume(key) == 0 ? key : KEYS / 2 + block_key_block(key) / 16;
}

static void
on_evicted(void *arg, block_key key)
{
	struct run *run = arg;
	struct model_block *block = &run->blocks[index_of(key)];

	ck_assert(run->may_evict && block->here && !block->dirty && block->pins == 0);
	block->here = false;
	run->evictions++;
}

static void
do_get(struct run *run, uint64_t i)
{
	struct model_block *block = &run->blocks[i];
	struct buf *buf = run->copies.ops->get(run->copies.self, key_of(i));

	ck_assert_int_eq(buf != NULL, block->here);
	if (buf == NULL)
		return;
	ck_assert_int_eq(buf == buf_zero(), block->zero);
	if (!block->zero)
		ck_assert(memcmp(buf_bytes(buf), &block->bytes, sizeof(block->bytes)) == 0);
}

static void
do_put(struct run *run, uint64_t i)
{
	struct model_block *block = &run->blocks[i];
	struct buf *buf = buf_zero();

	block->zero = rng_chance(&run->rng, 10);
	block->bytes = ++run->next_bytes;
	if (!block->zero) {
		buf = buf_alloc(rng_chance(&run->rng, 80) ? run->small : run->large);
		memcpy(buf_bytes(buf), &block->bytes, sizeof(block->bytes));
	}
	block->here = true;
	block->dirty = rng_chance(&run->rng, 20) || (block->dirty && rng_chance(&run->rng, 80));
	run->may_evict = true;
	run->copies.ops->put(run->copies.self, key_of(i), buf, block->dirty);
	run->may_evict = false;
	ck_assert(block->here);
	buf_unref(buf);
}

static void
do_set_dirty(struct run *run, uint64_t i)
{
	struct model_block *block = &run->blocks[i];
	bool dirty = rng_chance(&run->rng, 30);

	if (!block->here)
		return;
	block->dirty = dirty;
	run->may_evict = true;
	run->copies.ops->set_dirty(run->copies.self, key_of(i), dirty);
	run->may_evict = false;
}

static void
do_drop(struct run *run, uint64_t i)
{
	run->copies.ops->drop(run->copies.self, key_of(i));
	run->blocks[i].here = run->blocks[i].dirty = false;
}

static void
do_pin(struct run *run)
{
	uint64_t which = rng_below(&run->rng, PINS), first = rng_below(&run->rng, KEYS / 2 - 20);
	int change = run->pins[which].count != 0 ? -1 : 1;

	if (change > 0) {
		run->pins[which].first = first;
		run->pins[which].count = rng_between(&run->rng, 1, 20);
		if (stack_pin(run->stack, first, run->pins[which].count) != STACK_OK) {
			run->pins[which].count = 0;
			return;
		}
	}
	for (uint64_t i = 0; i < run->pins[which].count; i++)
		run->blocks[run->pins[which].first + i].pins += change;
	if (change > 0)
		return;
	ck_assert_int_eq(stack_unpin(run->stack, run->pins[which].first, run->pins[which].count), STACK_OK);
	run->pins[which].count = 0;
}

static struct level_config
random_level(struct run *run)
{
	return cache_level(rng_between(&run->rng, 1, 120), (uint32_t)rng_below(&run->rng, 12),
			   (enum hash)rng_below(&run->rng, HASH_COUNT), (enum policy)rng_below(&run->rng, POLICY_COUNT));
}

static void
do_change(struct run *run)
{
	uint32_t count = stack_level_count(run->stack), position = (uint32_t)rng_below(&run->rng, count);
	struct level_config level = random_level(run);
	enum stack_error error = STACK_OK;

	switch (rng_below(&run->rng, 5)) {
	case 0:
		error = stack_add(run->stack, (uint32_t)rng_below(&run->rng, count + 1), &level);
		break;
	case 1:
		error = stack_remove(run->stack, position);
		break;
	case 2:
		error = stack_move(run->stack, position, (uint32_t)rng_below(&run->rng, count));
		break;
	default:
		error = stack_set(run->stack, position, &level);
		break;
	}
	run->changes += error == STACK_OK;
	ck_assert(error == STACK_OK || error == STACK_BUSY || error == STACK_LAST || error == STACK_TOO_MANY ||
		  error == STACK_PINNED);
}

static void
do_step(struct run *run)
{
	run->may_evict = true;
	stack_step(run->stack, (uint32_t)rng_below(&run->rng, 40));
	run->may_evict = false;
}

// Memory beyond what is configured is bounded: by what is dirty or pinned, by a few parked blocks, while a level is
// rebuilt by what it was before.
static void
check(struct run *run)
{
	uint64_t here = 0, dirty = 0, held = 0;
	struct stack_stats stats;

	for (uint64_t i = 0; i < KEYS; i++) {
		here += run->blocks[i].here;
		dirty += run->blocks[i].here && run->blocks[i].dirty;
		held += run->blocks[i].here && (run->blocks[i].dirty || run->blocks[i].pins > 0);
	}
	stack_get_stats(run->stack, &stats);
	ck_assert_uint_eq(stats.entries + stats.victims, here);
	ck_assert_uint_eq(stats.dirty, dirty);
	ck_assert_uint_le(stats.victims, 80 + held); // those that were unpinned leave soon
	stack_check(run->stack);
}

static void
run_steps(struct run *run)
{
	for (int step = 0; step < STEPS; step++) {
		uint64_t i = rng_chance(&run->rng, 70) ? rng_below(&run->rng, KEYS / 6) : rng_below(&run->rng, KEYS);
		uint64_t what = rng_below(&run->rng, 1000);

		if (what < 450)
			do_get(run, i);
		else if (what < 800)
			do_put(run, i);
		else if (what < 930)
			do_set_dirty(run, i);
		else if (what < 960)
			do_drop(run, i);
		else if (what < 970)
			do_pin(run);
		else if (what < 985)
			do_change(run);
		else
			do_step(run);
		if (step % 100 == 0)
			check(run);
	}
}

static void
run_seed(uint64_t seed)
{
	struct run run = {.rng = {.state = seed}, .small = buf_pool_create(512), .large = buf_pool_create(2048)};
	struct level_config level = random_level(&run);

	run.stack = stack_create(512, &level, 1);
	run.copies = stack_copies(run.stack);
	run.copies.ops->on_evicted(run.copies.self, on_evicted, &run);
	run_steps(&run);
	run.may_evict = true;
	while (stack_step(run.stack, 100))
		;
	run.may_evict = false;
	for (uint64_t i = 0; i < KEYS; i++) // nothing was lost
		do_get(&run, i);
	check(&run);
	ck_assert_uint_gt(run.changes, 200);
	ck_assert_uint_gt(run.evictions, 1000);
	stack_destroy(run.stack);
	ck_assert_uint_eq(buf_pool_used(run.small) + buf_pool_used(run.large), 0);
	buf_pool_destroy(run.small);
	buf_pool_destroy(run.large);
}

START_TEST(test_random)
{
	run_seed((uint64_t)_i + 1);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("stack, random");
	TCase *all = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_set_timeout(all, 60);
	tcase_add_loop_test(all, test_random, 0, 12);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
