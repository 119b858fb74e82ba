// SPDX-License-Identifier: MIT
#include "cache/assoc.h"
#include "core/check.h"
#include "core/memory.h"

#include <stdlib.h>
#include <sys/mman.h>

static uint64_t
memory_size(uint64_t size)
{
	return size < MEMORY_HUGE_SIZE ? size : (size + MEMORY_HUGE_SIZE - 1) & ~(uint64_t)(MEMORY_HUGE_SIZE - 1);
}

// Zeroed memory that costs nothing until it is touched: a new index must not stop the event loop, however large.
static void *
memory_take(uint64_t bytes)
{
	uint64_t size = memory_size(bytes), padding = size >= MEMORY_HUGE_SIZE ? MEMORY_HUGE_SIZE : 0;
	char *start = mmap(NULL, size + padding, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *aligned = start;

	CHECK(start != MAP_FAILED);
	if (padding == 0)
		return start;
	aligned = (char *)(((uintptr_t)start + padding - 1) & ~(uintptr_t)(padding - 1));
	if (aligned > start)
		munmap(start, (size_t)(aligned - start));
	if (aligned < start + padding)
		munmap(aligned + size, (size_t)(start + padding - aligned));
	memory_wish_huge(aligned, size);
	return aligned;
}

static void
memory_give(void *start, uint64_t bytes)
{
	if (start != NULL)
		munmap(start, memory_size(bytes));
}

static uint64_t
slots_bytes(const struct assoc *table)
{
	return table->group_count * table->way_count * sizeof(*table->slots);
}

static uint64_t
ghosts_bytes(const struct assoc *table)
{
	return table->group_count * table->way_count * sizeof(*table->ghosts);
}

struct assoc *
assoc_create(uint64_t group_count, uint32_t way_count, enum hash hash, enum policy policy, bool may_have_ghosts)
{
	struct assoc *table = calloc(1, sizeof(*table));

	CHECK(table != NULL && group_count > 0 && way_count > 0 && way_count <= ASSOC_WAYS_MAX && hash != HASH_ANY);
	table->group_count = group_count;
	table->way_count = way_count;
	table->hash = hash;
	table->may_have_ghosts = may_have_ghosts;
	table->slots = memory_take(slots_bytes(table));
	assoc_set_policy(table, policy);
	return table;
}

void
assoc_destroy(struct assoc *table)
{
	if (table == NULL)
		return;
	for (uint64_t i = 0; i < table->group_count * table->way_count && table->entries > 0; i++)
		if (table->slots[i].tag != 0) {
			if (!table->slots[i].on_disk)
				buf_unref(table->slots[i].buf);
			table->entries--;
		}
	memory_give(table->slots, slots_bytes(table));
	memory_give(table->ghosts, ghosts_bytes(table));
	duel_destroy(table->duel);
	free(table);
}

uint64_t
assoc_index_bytes(const struct assoc *table)
{
	return slots_bytes(table) + (table->ghosts != NULL ? ghosts_bytes(table) : 0) +
	       (table->duel != NULL ? duel_bytes(table->duel) : 0);
}

uint64_t
assoc_index_size(uint64_t group_count, uint32_t way_count, enum policy policy, bool may_have_ghosts)
{
	const struct assoc table = {.group_count = group_count, .way_count = way_count};
	uint64_t ghosts = policy != POLICY_LRU && may_have_ghosts ? ghosts_bytes(&table) : 0;
	uint64_t duel = policy == POLICY_ADAPTIVE ? duel_size(group_count, way_count, !may_have_ghosts) : 0;

	return slots_bytes(&table) + ghosts + duel;
}

void
assoc_set_policy(struct assoc *table, enum policy policy)
{
	table->policy = policy;
	if (policy != POLICY_LRU && table->ghosts == NULL && table->may_have_ghosts)
		table->ghosts = memory_take(ghosts_bytes(table));
	if ((policy == POLICY_ADAPTIVE) == (table->duel != NULL))
		return;
	duel_destroy(table->duel);
	table->duel = NULL;
	if (policy == POLICY_ADAPTIVE)
		table->duel = duel_create(table->group_count, table->way_count, !table->may_have_ghosts);
}

// The policy that is followed now.
static enum policy
policy_now(const struct assoc *table)
{
	return table->duel != NULL ? duel_winner(table->duel) : table->policy;
}

static bool
is_sampled(const struct assoc *table, uint64_t group)
{
	return table->duel != NULL && duel_has(table->duel, group);
}

static struct slot *
slots_of(const struct assoc *table, uint64_t group)
{
	return &table->slots[group * table->way_count];
}

struct group
assoc_group(const struct assoc *table, uint64_t group)
{
	struct group ret = {.slots = slots_of(table, group), .way_count = table->way_count};

	if (table->ghosts != NULL)
		ret.ghosts = &table->ghosts[group * table->way_count];
	if (ret.slots[ret.way_count - 1].tag != 0)
		ret.used = ret.way_count; // as a rule
	while (ret.used < ret.way_count && ret.slots[ret.used].tag != 0)
		ret.used++;
	return ret;
}

// Where ${key} is among the ${slots} of its group, or POLICY_NONE.
static inline uint32_t
way_of(const struct assoc *table, const struct slot *slots, block_key key)
{
	for (uint32_t way = 0; way < table->way_count; way++) {
		if (slots[way].tag == key + 1)
			return way;
		if (slots[way].tag == 0)
			break;
	}
	return POLICY_NONE;
}

bool
assoc_find(struct assoc *table, block_key key, struct assoc_place *ret_place)
{
	uint64_t group = hash_group(table->hash, key, table->group_count);
	uint32_t way = way_of(table, slots_of(table, group), key);

	if (way == POLICY_NONE)
		return false;
	*ret_place = (struct assoc_place){.table = table, .group = group, .way = way};
	return true;
}

struct slot *
assoc_slot(const struct assoc_place *place)
{
	return &slots_of(place->table, place->group)[place->way];
}

static void
use(struct assoc_place *place, bool stays)
{
	struct group group = {.slots = slots_of(place->table, place->group)};

	if (is_sampled(place->table, place->group))
		duel_use(place->table->duel, place->group, &group.slots[place->way], stays);
	place->way = policy_use(policy_now(place->table), &group, place->way);
}

void
assoc_use(struct assoc_place *place)
{
	use(place, true);
}

void
assoc_use_last(struct assoc_place *place)
{
	use(place, false);
}

void
assoc_touch(struct assoc_place *place)
{
	struct group group = {.slots = slots_of(place->table, place->group)};

	if (is_sampled(place->table, place->group))
		duel_touch(place->table->duel, place->group, slot_key(&group.slots[place->way]));
	place->way = policy_use(policy_now(place->table), &group, place->way);
}

struct slot *
assoc_get(struct assoc *table, block_key key)
{
	uint64_t number = hash_group(table->hash, key, table->group_count);
	struct group group = {.slots = slots_of(table, number)};
	uint32_t way = way_of(table, group.slots, key);

	if (way == POLICY_NONE)
		return NULL;
	if (is_sampled(table, number))
		duel_use(table->duel, number, &group.slots[way], true);
	return &group.slots[policy_use(policy_now(table), &group, way)];
}

// The group of ${key}, if it is in the sample.
static bool
find_sampled(const struct assoc *table, block_key key, uint64_t *ret_group)
{
	if (table->duel == NULL)
		return false;
	*ret_group = hash_group(table->hash, key, table->group_count);
	return duel_has(table->duel, *ret_group);
}

void
assoc_missed(struct assoc *table, block_key key)
{
	uint64_t group;

	if (find_sampled(table, key, &group))
		duel_miss(table->duel, group, key);
}

void
assoc_forget(struct assoc *table, block_key key)
{
	uint64_t group;

	if (find_sampled(table, key, &group))
		duel_remove(table->duel, group, key);
}

bool
assoc_has_room(const struct assoc *table, block_key key)
{
	uint64_t group = hash_group(table->hash, key, table->group_count);

	return slots_of(table, group)[table->way_count - 1].tag == 0;
}

static void
count_in(struct assoc *table, const struct slot *slot)
{
	table->entries++;
	table->bytes += slot_bytes(slot);
	table->dirty += slot->dirty;
}

static void
count_out(struct assoc *table, const struct slot *slot)
{
	table->entries--;
	table->bytes -= slot_bytes(slot);
	table->dirty -= slot->dirty;
}

void
assoc_insert(struct assoc *table, const struct slot *slot)
{
	uint64_t number = hash_group(table->hash, slot_key(slot), table->group_count);
	struct group group = assoc_group(table, number);

	if (is_sampled(table, number))
		duel_insert(table->duel, number, slot);
	policy_insert(policy_now(table), &group, slot);
	count_in(table, slot);
}

bool
assoc_push(struct assoc *table, const struct slot *slot, policy_may_fn *may, const void *arg, struct slot *ret_out)
{
	uint64_t number = hash_group(table->hash, slot_key(slot), table->group_count);
	struct group group = assoc_group(table, number);
	enum policy policy = policy_now(table);
	bool full = group.used == group.way_count;
	uint32_t way;

	if (is_sampled(table, number))
		duel_insert(table->duel, number, slot);
	count_in(table, slot);
	if (!full) {
		policy_insert(policy, &group, slot);
		return false;
	}
	way = policy_choose(policy, &group, may, arg);
	if (way == POLICY_NONE)
		way = policy_choose(policy, &group, NULL, NULL);
	*ret_out = group.slots[way];
	count_out(table, ret_out);
	policy_replace(policy, &group, way, slot);
	return true;
}

bool
assoc_choose(struct assoc *table, uint64_t group, policy_may_fn *may, const void *arg, struct assoc_place *ret_place)
{
	struct group view = assoc_group(table, group);
	uint32_t way = policy_choose(policy_now(table), &view, may, arg);

	if (way == POLICY_NONE)
		return false;
	*ret_place = (struct assoc_place){.table = table, .group = group, .way = way};
	return true;
}

struct slot
assoc_evict(const struct assoc_place *place)
{
	struct group group = assoc_group(place->table, place->group);
	struct slot slot = *assoc_slot(place);

	policy_remove(&group, place->way);
	count_out(place->table, &slot);
	return slot;
}

struct slot
assoc_take(const struct assoc_place *place)
{
	if (is_sampled(place->table, place->group))
		duel_remove(place->table->duel, place->group, slot_key(assoc_slot(place)));
	return assoc_evict(place);
}

void
assoc_replace(const struct assoc_place *place, struct buf *buf)
{
	struct slot *slot = assoc_slot(place);
	struct buf *old = slot->buf;

	slot->buf = buf_ref(buf);
	place->table->bytes += buf_size(buf);
	place->table->bytes -= buf_size(old);
	buf_unref(old);
}

void
assoc_set_dirty(const struct assoc_place *place, bool dirty)
{
	struct slot *slot = assoc_slot(place);

	place->table->dirty -= slot->dirty;
	slot->dirty = dirty;
	place->table->dirty += dirty;
}
