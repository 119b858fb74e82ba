// SPDX-License-Identifier: MIT
// LRU keeps a group in order of use, so no age is stored.
//
// S3-FIFO (Yang et al., SOSP 2023) within a group: the order is that of arrival. An eighth of the ways, at least one,
// is the small queue: who is not used again while there goes, and leaves a fingerprint; who was used goes to the main
// queue, as does who comes back while the fingerprint is known. In the main queue who was used goes round again, one
// use less each time. A scan so takes an eighth of a group and no more.
//
// The core puts a block and then gets it once for whoever had waited: this first use is no reuse ("fresh"). Read-ahead
// puts blocks that are used later, or never: they are left in peace until half of a group is such blocks.
#include "cache/policy.h"
#include "cache/hash.h"
#include "core/check.h"

#include <string.h>

enum { SMALL_PART = 8, FRESH_PART = 2 };

static const char *const names[POLICY_COUNT] = {
	[POLICY_LRU] = "lru",
	[POLICY_S3FIFO] = "s3fifo",
	[POLICY_ADAPTIVE] = "adaptive",
};

const char *
policy_name(enum policy policy)
{
	CHECK(policy < POLICY_COUNT);
	return names[policy];
}

bool
policy_by_name(const char *name, enum policy *ret_policy)
{
	for (int i = 0; i < POLICY_COUNT; i++)
		if (strcmp(name, names[i]) == 0) {
			*ret_policy = (enum policy)i;
			return true;
		}
	return false;
}

void
policy_to_front(struct group *group, uint32_t way)
{
	struct slot moved = group->slots[way];

	memmove(group->slots + 1, group->slots, way * sizeof(moved));
	group->slots[0] = moved;
}

static uint16_t
fingerprint(uint64_t tag)
{
	uint16_t bits = (uint16_t)(hash_mix(tag) >> 48);

	return bits != 0 ? bits : 1;
}

static void
ghost_add(struct group *group, uint64_t tag)
{
	if (group->ghosts == NULL)
		return;
	memmove(group->ghosts + 1, group->ghosts, (group->way_count - 1) * sizeof(*group->ghosts));
	group->ghosts[0] = fingerprint(tag);
}

static bool
ghost_known(const struct group *group, uint64_t tag)
{
	uint16_t wanted = fingerprint(tag);

	if (group->ghosts != NULL)
		for (uint32_t i = 0; i < group->way_count; i++)
			if (group->ghosts[i] == wanted)
				return true;
	return false;
}

void
policy_insert(enum policy policy, struct group *group, const struct slot *slot)
{
	CHECK(group->used < group->way_count);
	policy_replace(policy, group, group->used++, slot);
}

void
policy_replace(enum policy policy, struct group *group, uint32_t way, const struct slot *slot)
{
	memmove(group->slots + 1, group->slots, way * sizeof(*slot));
	group->slots[0] = *slot;
	if (policy == POLICY_S3FIFO && !slot->main && ghost_known(group, slot->tag))
		group->slots[0].main = 1;
}

// What the queues of a group look like, as far as may be replaced: the oldest of each.
struct queues {
	uint32_t small, main, fresh; // ways, or POLICY_NONE
	uint32_t small_count, fresh_count;
};

static struct queues
look(const struct group *group, policy_may_fn *may, const void *arg)
{
	struct queues queues = {.small = POLICY_NONE, .main = POLICY_NONE, .fresh = POLICY_NONE};

	for (uint32_t i = group->used; i-- > 0;) {
		const struct slot *slot = &group->slots[i];
		bool fresh = slot->fresh && !slot->dirty;
		uint32_t *oldest = fresh ? &queues.fresh : slot->main ? &queues.main : &queues.small;

		queues.fresh_count += fresh;
		queues.small_count += !slot->main && !fresh;
		if (*oldest == POLICY_NONE && (may == NULL || may(arg, slot)))
			*oldest = i;
	}
	return queues;
}

static uint32_t
choose_s3fifo(struct group *group, policy_may_fn *may, const void *arg)
{
	uint32_t small_max = group->way_count / SMALL_PART > 0 ? group->way_count / SMALL_PART : 1;

	// Ends: each turn makes somebody's uses less, or moves somebody to the main queue.
	for (;;) {
		struct queues queues = look(group, may, arg);
		bool others = queues.small != POLICY_NONE || queues.main != POLICY_NONE;
		bool small = queues.small_count >= small_max || queues.main == POLICY_NONE;
		uint32_t way = small && queues.small != POLICY_NONE ? queues.small : queues.main;
		struct slot *slot;

		if (queues.fresh != POLICY_NONE && (!others || queues.fresh_count > group->way_count / FRESH_PART))
			way = queues.fresh;
		else if (way == POLICY_NONE)
			way = queues.small;
		if (way == POLICY_NONE)
			return way;
		slot = &group->slots[way];
		if (slot->uses == 0) {
			if (!slot->main)
				ghost_add(group, slot->tag);
			return way;
		}
		slot->uses = slot->main ? slot->uses - 1 : 0;
		slot->main = 1;
		policy_to_front(group, way);
	}
}

static uint32_t
choose_lru(const struct group *group, policy_may_fn *may, const void *arg)
{
	for (uint32_t way = group->used; way-- > 0;)
		if (may == NULL || may(arg, &group->slots[way]))
			return way;
	return POLICY_NONE;
}

uint32_t
policy_choose(enum policy policy, struct group *group, policy_may_fn *may, const void *arg)
{
	return policy == POLICY_LRU ? choose_lru(group, may, arg) : choose_s3fifo(group, may, arg);
}

bool
policy_admit(struct group *group, block_key key, uint64_t turn)
{
	uint8_t ghost = (uint8_t)(hash_mix(key) % UINT8_MAX + 1);

	if (group->used < group->way_count)
		return true;
	for (uint32_t way = 0; way < group->used; way++)
		if (group->slots[way].ghost == ghost) {
			group->slots[way].ghost = 0;
			return true;
		}
	group->slots[turn % group->used].ghost = ghost;
	return false;
}

void
policy_remove(struct group *group, uint32_t way)
{
	CHECK(way < group->used);
	group->used--;
	memmove(group->slots + way, group->slots + way + 1, (group->used - way) * sizeof(*group->slots));
	group->slots[group->used] = (struct slot){0};
}
