// SPDX-License-Identifier: MIT
// Each side is a whole cache: who is missed there comes, whatever the table does. So what the winner would have is not in
// the table yet when it changes, and what it is good for over long times comes slowly.
//
// The score counts lookups in which only one of the two hit. LRU is followed until the other is clearly better: S3-FIFO is
// to have five hits of its own for each four of LRU, and 64 more, so that where both are as good nothing is changed to and
// fro. Who was better for long is given up only when the other has been for long, too: below a file system S3-FIFO keeps
// what scans would push out, LRU has the better moments between them, and who changes each time has neither's hits. That
// lasts the longer for S3-FIFO as it hits late; what was too long ago counts no more on either side.
// (meson test --benchmark cache-policy shows what that gives on each trace; the constants were chosen on those.)
#include "cache/duel.h"
#include "core/check.h"

#include <stdlib.h>

enum { GROUPS = 128, SIDES = 2, SCORE_MIN = -256, SCORE_CHANGE = 256, SCORE_MAX = 4096, LRU_ALONE = 5, S3FIFO_ALONE = 4 };

static const enum policy policies[SIDES] = {POLICY_LRU, POLICY_S3FIFO};

struct duel {
	uint64_t mask; // a group is in the sample when none of these bits is set
	uint64_t group_count; // of the table
	uint32_t way_count;
	bool admission; // a full group takes who has proved himself; then S3-FIFO has no ghosts of its own
	uint32_t lookups;
	int score; // for S3-FIFO
	enum policy winner;
	struct slot *slots[SIDES]; // group after group; no buffers
	uint16_t *ghosts;          // of S3-FIFO, unless admission
};

// Of the bits of a group's number, those that are not set in a sampled one.
static uint64_t
sample_mask(uint64_t group_count)
{
	uint64_t mask = 0;

	while ((mask + 1) * GROUPS < group_count)
		mask = mask * 2 + 1;
	return mask;
}

static uint64_t
sample_count(uint64_t group_count)
{
	uint64_t mask = sample_mask(group_count);

	return (group_count + mask) / (mask + 1);
}

struct duel *
duel_create(uint64_t group_count, uint32_t way_count, bool admission)
{
	struct duel *duel = calloc(1, sizeof(*duel));
	uint64_t count = sample_count(group_count) * way_count;

	CHECK(duel != NULL);
	*duel = (struct duel){
		.mask = sample_mask(group_count),
		.group_count = group_count,
		.way_count = way_count,
		.admission = admission,
		.winner = POLICY_LRU,
	};
	for (int i = 0; i < SIDES; i++) {
		duel->slots[i] = calloc(count, sizeof(struct slot));
		CHECK(duel->slots[i] != NULL);
	}
	if (admission)
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
duel_size(uint64_t group_count, uint32_t way_count, bool admission)
{
	uint64_t ghost_size = admission ? 0 : sizeof(uint16_t);

	return sizeof(struct duel) + sample_count(group_count) * way_count * (SIDES * sizeof(struct slot) + ghost_size);
}

uint64_t
duel_bytes(const struct duel *duel)
{
	return duel_size(duel->group_count, duel->way_count, duel->admission);
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

	if (policies[side] == POLICY_S3FIFO && !duel->admission)
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

// ${name} comes into ${side}, where it is not.
static void
bring(int side, struct group *group, const struct slot *name)
{
	if (group->used < group->way_count)
		policy_insert(policies[side], group, name);
	else
		policy_replace(policies[side], group, policy_choose(policies[side], group, NULL, NULL), name);
}

static void
count(struct duel *duel, bool lru, bool s3fifo)
{
	if (s3fifo && !lru && duel->score < SCORE_MAX)
		duel->score += S3FIFO_ALONE;
	else if (lru && !s3fifo && duel->score > SCORE_MIN)
		duel->score -= LRU_ALONE;
	if (duel->score >= SCORE_CHANGE)
		duel->winner = POLICY_S3FIFO;
	else if (duel->score <= SCORE_MIN)
		duel->winner = POLICY_LRU;
}

// Each side that has ${key} uses it. To the others it comes, if it ${comes} and they would take it.
static void
look_up(struct duel *duel, uint64_t number, block_key key, bool comes)
{
	struct slot name = {.tag = key + 1};
	bool hit[SIDES];

	for (int i = 0; i < SIDES; i++) {
		struct group group = group_of(duel, i, number);
		uint32_t way = way_of(&group, key);

		hit[i] = way != POLICY_NONE;
		if (hit[i])
			policy_use(policies[i], &group, way);
		else if (comes && (!duel->admission || policy_admit(&group, key, duel->lookups++)))
			bring(i, &group, &name);
	}
	count(duel, hit[0], hit[1]);
}

void
duel_touch(struct duel *duel, uint64_t number, block_key key)
{
	for (int i = 0; i < SIDES; i++) {
		struct group group = group_of(duel, i, number);
		uint32_t way = way_of(&group, key);

		if (way != POLICY_NONE)
			policy_use(policies[i], &group, way);
	}
}

void
duel_miss(struct duel *duel, uint64_t number, block_key key)
{
	look_up(duel, number, key, duel->admission); // without, it comes by duel_insert
}

void
duel_use(struct duel *duel, uint64_t number, const struct slot *slot, bool stays)
{
	if (!slot->fresh)
		look_up(duel, number, slot_key(slot), stays);
	else // it was brought for this, which is no second use; but not left alone any more
		duel_touch(duel, number, slot_key(slot));
}

void
duel_insert(struct duel *duel, uint64_t number, const struct slot *slot)
{
	struct slot name = {.tag = slot->tag, .fresh = slot->fresh};

	for (int i = 0; i < SIDES; i++) {
		struct group group = group_of(duel, i, number);
		bool takes = !duel->admission || group.used < group.way_count; // else who was looked for has come

		if (takes && way_of(&group, slot_key(slot)) == POLICY_NONE)
			bring(i, &group, &name);
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
