// SPDX-License-Identifier: MIT
// Two bounds hold: entries (groups x ways) and bytes of data. Blocks of zeros take an entry but no bytes; blocks larger
// than the level was made for reach the byte bound first: then a hand goes round the groups. While a level is rebuilt,
// both tables together hold no more bytes than the larger of both was configured for.
#include "cache/level.h"
#include "core/check.h"

#include <stdlib.h>

enum { WAYS_DEFAULT = 8, SQUEEZE_GROUPS = 256 };

bool
level_config_is_valid(const struct level_config *config, uint32_t block_size)
{
	return config->size >= block_size && config->ways <= ASSOC_WAYS_MAX && config->hash < HASH_COUNT &&
	       config->policy < POLICY_COUNT;
}

static void
take_shape(struct level *level, const struct level_config *config, uint32_t block_size)
{
	uint64_t entries = config->size / block_size;
	uint32_t ways = config->ways != 0 ? config->ways : WAYS_DEFAULT;

	CHECK(level_config_is_valid(config, block_size));
	if (ways > entries)
		ways = (uint32_t)entries;
	level->config = *config;
	level->config.ways = ways;
	level->now = assoc_create(entries / ways, ways, config->hash, config->policy, true);
	level->hand = 0;
}

struct level *
level_create(const struct level_config *config, uint32_t block_size)
{
	struct level *level = calloc(1, sizeof(*level));

	CHECK(level != NULL && block_size >= LIMIT_BLOCK_SIZE_MIN);
	take_shape(level, config, block_size);
	return level;
}

void
level_destroy(struct level *level)
{
	if (level == NULL)
		return;
	assoc_destroy(level->now);
	assoc_destroy(level->old);
	free(level);
}

static void
now_is_old(struct level *level)
{
	CHECK(!level_is_busy(level) && level->now != NULL);
	level->old = level->now;
	level->now = NULL;
	level->old_size = level->config.size;
	level->old_entries = level->old->entries;
	level->cursor = 0;
}

static void
old_is_empty(struct level *level)
{
	CHECK(level->old->entries == 0);
	assoc_destroy(level->old);
	level->old = NULL;
}

void
level_rebuild(struct level *level, const struct level_config *config, uint32_t block_size)
{
	now_is_old(level);
	take_shape(level, config, block_size);
	if (level->old->entries == 0)
		old_is_empty(level);
}

void
level_leave(struct level *level)
{
	now_is_old(level);
	if (level->old->entries == 0)
		old_is_empty(level);
}

bool
level_is_busy(const struct level *level)
{
	return level->old != NULL;
}

bool
level_is_leaving(const struct level *level)
{
	return level->now == NULL;
}

bool
level_next_old(struct level *level, uint32_t *budget, struct slot *ret_slot)
{
	struct assoc *old = level->old;

	if (old == NULL)
		return false;
	if (old->entries == 0) {
		old_is_empty(level);
		return false;
	}
	while (*budget > 0) {
		struct group group = assoc_group(old, level->cursor);

		(*budget)--;
		if (group.used > 0) { // the oldest first, so that the order stays
			struct assoc_place place = {.table = old, .group = level->cursor, .way = group.used - 1};

			*ret_slot = assoc_take(&place);
			return true;
		}
		level->cursor++;
		CHECK(level->cursor < old->group_count);
	}
	return false;
}

bool
level_find(struct level *level, block_key key, struct assoc_place *ret_place)
{
	return (level->now != NULL && assoc_find(level->now, key, ret_place)) ||
	       (level->old != NULL && assoc_find(level->old, key, ret_place));
}

bool
level_insert(struct level *level, const struct slot *slot, policy_may_fn *may, const void *arg, struct slot *ret_out)
{
	return assoc_push(level->now, slot, may, arg, ret_out);
}

struct squeeze {
	policy_may_fn *may;
	const void *arg;
	block_key keep;
};

static bool
may_be_squeezed(const void *arg, const struct slot *slot)
{
	const struct squeeze *squeeze = arg;

	return slot_key(slot) != squeeze->keep && buf_size(slot->buf) > 0 &&
	       (squeeze->may == NULL || squeeze->may(squeeze->arg, slot));
}

static bool
squeeze_old(struct level *level, uint64_t outside, struct slot *ret_out)
{
	uint64_t bytes_max = level->config.size > level->old_size ? level->config.size : level->old_size;
	uint32_t budget = SQUEEZE_GROUPS;

	return level_bytes(level) + outside > bytes_max && level_next_old(level, &budget, ret_out);
}

bool
level_squeeze(struct level *level, uint64_t outside, block_key keep, policy_may_fn *may, const void *arg,
	      struct slot *ret_out)
{
	struct squeeze squeeze = {.may = may, .arg = arg, .keep = keep};

	if (level->old != NULL && squeeze_old(level, outside, ret_out))
		return true;
	for (int n = 0; level->now->bytes + outside > level->config.size && n < SQUEEZE_GROUPS; n++) {
		struct assoc_place place;
		uint64_t group = level->hand;

		level->hand = group + 1 < level->now->group_count ? group + 1 : 0;
		if (!assoc_choose(level->now, group, may_be_squeezed, &squeeze, &place))
			continue;
		*ret_out = assoc_take(&place);
		return true;
	}
	return false;
}

uint64_t
level_entries(const struct level *level)
{
	return (level->now != NULL ? level->now->entries : 0) + (level->old != NULL ? level->old->entries : 0);
}

uint64_t
level_bytes(const struct level *level)
{
	return (level->now != NULL ? level->now->bytes : 0) + (level->old != NULL ? level->old->bytes : 0);
}

uint64_t
level_dirty(const struct level *level)
{
	return (level->now != NULL ? level->now->dirty : 0) + (level->old != NULL ? level->old->dirty : 0);
}

uint64_t
level_index_bytes(const struct level *level)
{
	return (level->now != NULL ? assoc_index_bytes(level->now) : 0) +
	       (level->old != NULL ? assoc_index_bytes(level->old) : 0);
}

uint64_t
level_capacity(const struct level *level, uint64_t block_size)
{
	uint64_t entries, by_size = level->config.size / block_size;

	if (level->now == NULL)
		return 0;
	entries = level->now->group_count * level->now->way_count;
	return by_size < entries ? by_size : entries;
}
