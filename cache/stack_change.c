// SPDX-License-Identifier: MIT
// The stack changes while it is used. A level that changes shape has two tables for a while, one that leaves only the
// one that is being emptied; each operation moves a few blocks, and stack_step as many as its caller wants. So no
// single step takes longer than any other, and all that is here stays here: it is looked for in both tables.
#include "cache/stack_internal.h"
#include "core/check.h"

#include <string.h>

const char *
stack_error_text(enum stack_error error)
{
	static const char *const texts[STACK_ERROR_COUNT] = {
#define X(name, text) [STACK_##name] = (text),
		STACK_ERRORS(X)
#undef X
	};

	CHECK(error < STACK_ERROR_COUNT);
	return texts[error];
}

// A cache that is pinned full would be none.
static bool
too_much_pinned(uint64_t pinned, uint64_t room)
{
	return pinned > room / 2;
}

// The hash of the level at ${position}, or HASH_ANY.
static enum hash
hash_at(const struct stack *stack, uint32_t position)
{
	return position < stack->count ? stack->levels[position]->config.hash : HASH_ANY;
}

// A hash that neither neighbour uses.
static enum hash
free_hash(enum hash above, enum hash below)
{
	enum hash hash = HASH_NEIGHBOURS;

	while (hash == above || hash == below)
		hash++;
	return hash;
}

enum stack_error
stack_add(struct stack *stack, uint32_t position, const struct level_config *config)
{
	struct level_config chosen = *config;

	if (position > stack->count)
		return STACK_NO_LEVEL;
	if (stack->count == STACK_LEVELS_MAX)
		return STACK_TOO_MANY;
	if (!level_config_is_valid(config, stack->block_size))
		return STACK_INVALID;
	if (chosen.hash == HASH_ANY)
		chosen.hash = free_hash(hash_at(stack, position - 1), hash_at(stack, position));
	memmove(&stack->levels[position + 1], &stack->levels[position],
		(stack->count - position) * sizeof(stack->levels[0]));
	stack->levels[position] = level_create(&chosen, stack->block_size);
	stack->levels[position]->id = ++stack->last_id;
	stack->count++;
	return STACK_OK;
}

static uint32_t
taker_count(const struct stack *stack)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < stack->count; i++)
		count += !level_is_leaving(stack->levels[i]);
	return count;
}

// A level that is there and not busy.
static enum stack_error
check_position(const struct stack *stack, uint32_t position)
{
	if (position >= stack->count)
		return STACK_NO_LEVEL;
	return level_is_busy(stack->levels[position]) ? STACK_BUSY : STACK_OK;
}

// Levels that have left are gone.
static void
reap(struct stack *stack)
{
	uint32_t count = 0;

	stack->busy = false;
	for (uint32_t i = 0; i < stack->count; i++) {
		struct level *level = stack->levels[i];

		stack->busy |= level_is_busy(level);
		if (level_is_busy(level) || !level_is_leaving(level))
			stack->levels[count++] = level;
		else
			level_destroy(level);
	}
	stack->count = count;
}

enum stack_error
stack_remove(struct stack *stack, uint32_t position)
{
	enum stack_error error = check_position(stack, position);

	if (error != STACK_OK)
		return error;
	if (taker_count(stack) == 1)
		return STACK_LAST;
	if (too_much_pinned(stack->pins.blocks, stack_capacity(stack, stack->block_size) -
							level_capacity(stack->levels[position], stack->block_size)))
		return STACK_PINNED;
	level_leave(stack->levels[position]);
	reap(stack);
	return STACK_OK;
}

static bool
same_shape(const struct level_config *a, const struct level_config *b)
{
	return a->size == b->size && a->ways == b->ways && a->hash == b->hash;
}

enum stack_error
stack_set(struct stack *stack, uint32_t position, const struct level_config *config)
{
	enum stack_error error = check_position(stack, position);
	struct level_config chosen = *config;
	struct level *level;

	if (error != STACK_OK)
		return error;
	if (!level_config_is_valid(config, stack->block_size))
		return STACK_INVALID;
	level = stack->levels[position];
	if (chosen.hash == HASH_ANY)
		chosen.hash = level->config.hash;
	if (chosen.ways == 0)
		chosen.ways = level->config.ways;
	if (too_much_pinned(stack->pins.blocks, stack_capacity(stack, stack->block_size) -
							level_capacity(level, stack->block_size) +
							chosen.size / stack->block_size))
		return STACK_PINNED;
	if (same_shape(&level->config, &chosen)) {
		level->config.policy = chosen.policy;
		assoc_set_policy(level->now, chosen.policy);
		return STACK_OK;
	}
	level_rebuild(level, &chosen, stack->block_size);
	reap(stack);
	return STACK_OK;
}

enum stack_error
stack_move(struct stack *stack, uint32_t from, uint32_t to)
{
	struct level *level;

	if (from >= stack->count || to >= stack->count)
		return STACK_NO_LEVEL;
	level = stack->levels[from];
	memmove(&stack->levels[from], &stack->levels[from + 1], (stack->count - from - 1) * sizeof(level));
	memmove(&stack->levels[to + 1], &stack->levels[to], (stack->count - to - 1) * sizeof(level));
	stack->levels[to] = level;
	return STACK_OK;
}

// ${slot} leaves the level at ${position}, which leaves the stack: to the next below; from the bottom to the one above,
// if it has room, or ${slot} can not be forgotten.
static void
retire(struct stack *stack, uint32_t position, const struct slot *slot)
{
	struct slot retired = slot_unmarked(slot);
	struct level *level = stack->levels[position];
	uint32_t to = position;

	while (to < stack->count && level_is_leaving(stack->levels[to]))
		to++;
	if (to == stack->count)
		do
			to--;
		while (level_is_leaving(stack->levels[to]));
	if (to > position || assoc_has_room(stack->levels[to]->now, slot_key(slot)) || !stack_may_forget(stack, slot)) {
		*(to > position ? &level->demoted_out : &level->promoted_out) += 1;
		*(to > position ? &stack->levels[to]->demoted_in : &stack->levels[to]->promoted_in) += 1;
		stack_place(stack, to, &retired);
	} else {
		level->evicted++;
		retired.uses = slot->uses; // by which a disk level judges
		stack_fall_out(stack, &retired);
	}
}

bool
stack_work(struct stack *stack, uint32_t *budget)
{
	bool more = false;
	struct slot slot;

	for (uint32_t i = 0; i < stack->count; i++) {
		struct level *level = stack->levels[i];
		bool may_go = true; // what falls out of a level that leaves is to reach the disk

		while (level_is_busy(level) && !stack_is_full(stack)) {
			may_go = !level_is_leaving(level) || stack_disk_has_room(stack);
			if (!may_go || !level_next_old(level, budget, &slot))
				break;
			if (level_is_leaving(level))
				retire(stack, i, &slot);
			else
				stack_place(stack, i, &slot);
		}
		more |= level_is_busy(level) && may_go;
	}
	reap(stack);
	return more;
}

static void
forget(struct stack *stack, struct victim *victim)
{
	struct slot slot = victims_take(&stack->victims, victim);

	stack_tell(stack, &slot);
}

void
stack_clean(struct stack *stack, uint32_t *budget)
{
	struct victims *victims = &stack->victims;
	struct victim *victim;

	for (; *budget > 0 && (victim = victims_parked(victims)) != NULL; (*budget)--) {
		if (!stack_may_forget(stack, victim_slot(victim)))
			break; // it is the one that is being put
		forget(stack, victim);
	}
	for (; *budget > 0 && stack->review > 0 && (victim = victims_waiting(victims)) != NULL; (*budget)--) {
		stack->review--;
		if (stack_may_forget(stack, victim_slot(victim)))
			forget(stack, victim);
		else
			victims_wait_again(victims, victim);
	}
	if (victims_waiting(victims) == NULL)
		stack->review = 0;
}

bool
stack_step(struct stack *stack, uint32_t slots_max)
{
	bool more = false;

	stack->may_tell = true;
	stack_clean(stack, &slots_max);
	if (stack->busy)
		more = stack_work(stack, &slots_max);
	more |= stack_disk_work(stack, &slots_max);
	stack->may_tell = false;
	return more || stack->victims.parked_count > 0 || stack->review > 0;
}

bool
stack_is_changing(const struct stack *stack)
{
	return stack->busy || stack->old_disk != NULL;
}

enum stack_error
stack_pin(struct stack *stack, block_key first, uint64_t count)
{
	uint64_t added;

	if (count == 0 || first + count <= first)
		return STACK_INVALID;
	added = pins_new_blocks(&stack->pins, first, first + count);
	if (too_much_pinned(stack->pins.blocks + added, stack_capacity(stack, stack->block_size)))
		return STACK_PINNED;
	if (!pins_add(&stack->pins, first, first + count))
		return STACK_TOO_MANY;
	return STACK_OK;
}

enum stack_error
stack_unpin(struct stack *stack, block_key first, uint64_t count)
{
	if (count == 0 || first + count <= first)
		return STACK_INVALID;
	if (pins_new_blocks(&stack->pins, first, first + count) != 0)
		return STACK_NOT_PINNED;
	if (!pins_remove(&stack->pins, first, first + count))
		return STACK_TOO_MANY;
	stack->review = stack->victims.waiting_count;
	return STACK_OK;
}
