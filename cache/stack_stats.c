// SPDX-License-Identifier: MIT
#include "cache/stack_internal.h"
#include "core/check.h"

// What was missed has been looked up too, once it was there: on top.
static uint64_t
without(uint64_t hits, uint64_t misses)
{
	return hits > misses ? hits - misses : 0;
}

uint32_t
stack_level_count(const struct stack *stack)
{
	return stack->count;
}

void
stack_get_level_stats(const struct stack *stack, uint32_t position, struct stack_level_stats *ret)
{
	const struct level *level;

	CHECK(position < stack->count);
	level = stack->levels[position];
	*ret = (struct stack_level_stats){
		.id = level->id,
		.config = level->config,
		.entries = level_entries(level),
		.used = level_bytes(level),
		.dirty = level_dirty(level),
		.index = level_index_bytes(level),
		.hits = without(level->hits, level->first_uses),
		.misses = level->passed,
		.promoted_in = level->promoted_in,
		.promoted_out = level->promoted_out,
		.demoted_in = level->demoted_in,
		.demoted_out = level->demoted_out,
		.evicted = level->evicted,
		.busy = level_is_busy(level),
		.leaving = level_is_leaving(level),
	};
	if (!ret->busy)
		return;
	ret->moving = level->old->entries;
	ret->moving_total = level->old_entries;
}

void
stack_get_stats(const struct stack *stack, struct stack_stats *ret)
{
	*ret = (struct stack_stats){
		.used = stack->victims.waiting_bytes + stack->victims.parked_bytes,
		.victims = stack->victims.waiting_count + stack->victims.parked_count,
		.victims_used = stack->victims.waiting_bytes + stack->victims.parked_bytes,
		.dirty = stack->victims.dirty,
		.pinned = stack->pins.blocks,
		.hits = without(stack->hits, stack->misses),
		.misses = stack->misses,
		.evictions = stack->evictions,
	};
	for (uint32_t i = 0; i < stack->count; i++) {
		const struct level *level = stack->levels[i];

		ret->size += level_is_leaving(level) ? 0 : level->config.size;
		ret->used += level_bytes(level);
		ret->index += level_index_bytes(level);
		ret->entries += level_entries(level);
		ret->dirty += level_dirty(level);
	}
}

double
stack_advise(const struct stack *stack, uint64_t size)
{
	return advise_hit_ratio(stack->advise, size / stack->block_size);
}

static bool
is_elsewhere(struct stack *stack, block_key key, const struct assoc *here)
{
	struct assoc_place place;

	for (uint32_t i = 0; i < stack->count; i++) {
		struct level *level = stack->levels[i];

		if ((level->now != here && level->now != NULL && assoc_find(level->now, key, &place)) ||
		    (level->old != here && level->old != NULL && assoc_find(level->old, key, &place)))
			return true;
	}
	return victims_find(&stack->victims, key) != NULL;
}

static void
check_table(struct stack *stack, struct assoc *table)
{
	uint64_t entries = 0, bytes = 0, dirty = 0;

	if (table == NULL)
		return;
	for (uint64_t i = 0; i < table->group_count; i++) {
		struct group group = assoc_group(table, i);

		for (uint32_t way = 0; way < group.way_count; way++) {
			const struct slot *slot = &group.slots[way];
			struct assoc_place place;

			CHECK((slot->tag != 0) == (way < group.used) && (slot->buf != NULL) == (way < group.used));
			if (way >= group.used)
				continue;
			CHECK(assoc_find(table, slot_key(slot), &place) && place.group == i && place.way == way);
			CHECK(!is_elsewhere(stack, slot_key(slot), table));
			entries++;
			bytes += buf_size(slot->buf);
			dirty += slot->dirty;
		}
	}
	CHECK(table->entries == entries && table->bytes == bytes && table->dirty == dirty);
}

void
stack_check(struct stack *stack)
{
	bool busy = false;

	CHECK(stack->count > 0 && stack->count <= STACK_LEVELS_MAX && !stack->may_tell);
	for (uint32_t i = 0; i < stack->count; i++) {
		check_table(stack, stack->levels[i]->now);
		check_table(stack, stack->levels[i]->old);
		busy |= level_is_busy(stack->levels[i]);
	}
	CHECK(stack->busy == busy);
}
