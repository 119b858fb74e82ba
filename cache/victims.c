// SPDX-License-Identifier: MIT
#include "cache/victims.h"
#include "core/check.h"

#include <stdlib.h>
#include <uthash.h>

struct victim {
	block_key key;
	struct slot slot;
	bool parked;
	UT_hash_handle hh; // of waiting or parked: a hash table that remembers the order
};

static void
link_in(struct victims *victims, struct victim *victim, bool parked)
{
	victim->parked = parked;
	if (parked)
		HASH_ADD(hh, victims->parked, key, sizeof(victim->key), victim);
	else
		HASH_ADD(hh, victims->waiting, key, sizeof(victim->key), victim);
	*(parked ? &victims->parked_count : &victims->waiting_count) += 1;
	*(parked ? &victims->parked_bytes : &victims->waiting_bytes) += buf_size(victim->slot.buf);
}

static void
link_out(struct victims *victims, struct victim *victim)
{
	if (victim->parked)
		HASH_DELETE(hh, victims->parked, victim);
	else
		HASH_DELETE(hh, victims->waiting, victim);
	*(victim->parked ? &victims->parked_count : &victims->waiting_count) -= 1;
	*(victim->parked ? &victims->parked_bytes : &victims->waiting_bytes) -= buf_size(victim->slot.buf);
}

void
victims_clear(struct victims *victims)
{
	while (victims->waiting != NULL)
		buf_unref(victims_take(victims, victims->waiting).buf);
	while (victims->parked != NULL)
		buf_unref(victims_take(victims, victims->parked).buf);
}

void
victims_add(struct victims *victims, const struct slot *slot, bool parked)
{
	struct victim *victim = calloc(1, sizeof(*victim));

	CHECK(victim != NULL && !(parked && slot->dirty));
	victim->key = slot_key(slot);
	victim->slot = *slot;
	victims->dirty += slot->dirty;
	link_in(victims, victim, parked);
}

struct victim *
victims_find(struct victims *victims, block_key key)
{
	struct victim *victim = NULL;

	if (victims->waiting != NULL)
		HASH_FIND(hh, victims->waiting, &key, sizeof(key), victim);
	if (victim == NULL && victims->parked != NULL)
		HASH_FIND(hh, victims->parked, &key, sizeof(key), victim);
	return victim;
}

const struct slot *
victim_slot(const struct victim *victim)
{
	return &victim->slot;
}

bool
victim_is_parked(const struct victim *victim)
{
	return victim->parked;
}

struct victim *
victims_parked(const struct victims *victims)
{
	return victims->parked;
}

struct victim *
victims_waiting(const struct victims *victims)
{
	return victims->waiting;
}

void
victims_set_dirty(struct victims *victims, struct victim *victim, bool dirty)
{
	victims->dirty -= victim->slot.dirty;
	victim->slot.dirty = dirty;
	victims->dirty += dirty;
	if (victim->parked)
		victims_wait_again(victims, victim);
}

void
victims_wait_again(struct victims *victims, struct victim *victim)
{
	link_out(victims, victim);
	link_in(victims, victim, false);
}

struct slot
victims_take(struct victims *victims, struct victim *victim)
{
	struct slot slot = victim->slot;

	link_out(victims, victim);
	victims->dirty -= slot.dirty;
	free(victim);
	return slot;
}
