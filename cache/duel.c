// SPDX-License-Identifier: MIT
// The score counts lookups in which only one of the two hit. It is bounded on both sides, so that what was long ago
// weighs no more than what is now. LRU is followed until the other is clearly better: S3-FIFO is to have three hits of its
// own for each two of LRU, so that where both are as good nothing is changed to and fro. (With five for four, LRU won
// 0.0025 where the hottest blocks change now and then: zipf that drifts, at half its size.)
#include "cache/duel.h"
#include "core/check.h"

#include <stdlib.h>

enum { GROUPS = 128, SIDES = 2, SCORE_MAX = 256, SCORE_CHANGE = 96, LRU_ALONE = 3, S3FIFO_ALONE = 2 };

static const enum policy policies[SIDES] = {POLICY_LRU, POLICY_S3FIFO};

struct duel {
	uint64_t mask; // a group is in the sample when none of these bits is set
	uint64_t group_count; // in the sample
	uint32_t way_count;
	int score; // for S3-FIFO
	enum policy winner;
	struct slot *slots[SIDES]; // group after group; no buffers
	uint16_t *ghosts;          // of S3-FIFO, or NULL
};

struct duel *
duel_create(uint64_t group_count, uint32_t way_count, bool has_ghosts)
{
	struct duel *duel = calloc(1, sizeof(*duel));
	uint64_t count;

	CHECK(duel != NULL);
	while ((duel->mask + 1) * GROUPS < group_count)
		duel->mask = duel->mask * 2 + 1;
	duel->group_count = (group_count + duel->mask) / (duel->mask + 1);
	duel->way_count = way_count;
	duel->winner = POLICY_LRU;
	count = duel->group_count * way_count;
	for (int i = 0; i < SIDES; i++) {
		duel->slots[i] = calloc(count, sizeof(struct slot));
		CHECK(duel->slots[i] != NULL);
	}
	if (!has_ghosts)
		return duel;
	duel->ghosts = calloc(count, sizeof(*duel->ghosts));
	CHECK(duel->ghosts != NULL);
	return duel;
}

void
duel_destroy(struct duel *duel)
{
	if (duel == NULL)
		return;
	for (int i = 0; i < SIDES; i++)
		free(duel->slots[i]);
	free(duel->ghosts);
	free(duel);
}

uint64_t
duel_bytes(const struct duel *duel)
{
	uint64_t ghost_size = duel->ghosts != NULL ? sizeof(*duel->ghosts) : 0;

	return sizeof(*duel) + duel->group_count * duel->way_count * (SIDES * sizeof(struct slot) + ghost_size);
}

enum policy
duel_winner(const struct duel *duel)
{
	return duel->winner;
}

bool
duel_has(const struct duel *duel, uint64_t group)
{
	return (group & duel->mask) == 0;
}

static struct group
group_of(const struct duel *duel, int side, uint64_t group)
{
	uint64_t first = group / (duel->mask + 1) * duel->way_count;
	struct group ret = {.slots = duel->slots[side] + first, .way_count = duel->way_count};

	if (policies[side] == POLICY_S3FIFO && duel->ghosts != NULL)
		ret.ghosts = duel->ghosts + first;
	while (ret.used < ret.way_count && ret.slots[ret.used].tag != 0)
		ret.used++;
	return ret;
}

static uint32_t
way_of(const struct group *group, block_key key)
{
	for (uint32_t way = 0; way < group->used; way++)
		if (group->slots[way].tag == key + 1)
			return way;
	return POLICY_NONE;
}

// Each side that has ${key} uses it.
static void
use(struct duel *duel, uint64_t number, block_key key, bool hit[SIDES])
{
	for (int i = 0; i < SIDES; i++) {
		struct group group = group_of(duel, i, number);
		uint32_t way = way_of(&group, key);

		hit[i] = way != POLICY_NONE;
		if (hit[i])
			policy_use(policies[i], &group, way);
	}
}

static void
look_up(struct duel *duel, uint64_t number, block_key key)
{
	bool hit[SIDES];

	use(duel, number, key, hit);
	if (hit[1] && !hit[0] && duel->score < SCORE_MAX)
		duel->score += S3FIFO_ALONE;
	else if (hit[0] && !hit[1] && duel->score > -SCORE_MAX)
		duel->score -= LRU_ALONE;
	if (duel->score >= SCORE_CHANGE)
		duel->winner = POLICY_S3FIFO;
	else if (duel->score <= 0)
		duel->winner = POLICY_LRU;
}

void
duel_touch(struct duel *duel, uint64_t number, block_key key)
{
	bool hit[SIDES];

	use(duel, number, key, hit);
}

void
duel_miss(struct duel *duel, uint64_t number, block_key key)
{
	look_up(duel, number, key);
}

void
duel_use(struct duel *duel, uint64_t number, const struct slot *slot)
{
	if (!slot->fresh) {
		look_up(duel, number, slot_key(slot));
		return;
	}
	for (int i = 0; i < SIDES; i++) { // it was brought for this, which is no second use; but not left alone any more
		struct group group = group_of(duel, i, number);
		uint32_t way = way_of(&group, slot_key(slot));

		if (way != POLICY_NONE)
			group.slots[way].fresh = 0;
	}
}

void
duel_insert(struct duel *duel, uint64_t number, const struct slot *slot)
{
	struct slot name = {.tag = slot->tag, .fresh = slot->fresh};

	for (int i = 0; i < SIDES; i++) {
		struct group group = group_of(duel, i, number);

		if (way_of(&group, slot_key(slot)) != POLICY_NONE)
			continue;
		if (group.used < group.way_count)
			policy_insert(policies[i], &group, &name);
		else
			policy_replace(policies[i], &group, policy_choose(policies[i], &group, NULL, NULL), &name);
	}
}

void
duel_remove(struct duel *duel, uint64_t number, block_key key)
{
	for (int i = 0; i < SIDES; i++) {
		struct group group = group_of(duel, i, number);
		uint32_t way = way_of(&group, key);

		if (way != POLICY_NONE)
			policy_remove(&group, way);
	}
}
