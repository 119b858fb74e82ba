// SPDX-License-Identifier: MIT
// Once the oldest dirty block is due, a sweep takes it and all that are at least half as old as that, the oldest 2048 of
// them, and writes them in ascending order, from where the one before has ended to the end and on from the beginning. Dirty
// neighbours go along, whatever their age, as far as one store operation reaches. So a disk's head moves little, and blocks
// that were written at random are collected for half of the write-back age before they go; and as a sweep takes the oldest,
// whoever is left out waits for one sweep at most once it is his turn.
//
// Which blocks are adjacent or older is all that is looked at: each block goes as it is when its turn comes, in one write
// at a time (root.c).
#include "core/elevator.h"
#include "core/dirty.h"
#include "core/root.h"

#include <stdlib.h>

enum { SWEEP_MAX = 2048 }; // blocks

static moment_us
due_age(const struct core *core)
{
	return (moment_us)core->config.writeback_ms * 1000;
}

static bool
may_go_along(const struct core *core, const struct work *work, bool all)
{
	return all || core->now - work->dirty_since >= due_age(core) / 2;
}

static int
key_compare(const void *a, const void *b)
{
	block_key x = *(const block_key *)a, y = *(const block_key *)b;

	return x < y ? -1 : x > y;
}

// Where in the sweep the first block is that is not before ${key}.
static uint32_t
sweep_find(const struct key_list *list, block_key key)
{
	uint32_t low = 0, high = list->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (list->keys[middle] < key)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

// False when nothing is due.
static bool
sweep_begin(struct core *core, struct volume *volume, bool all)
{
	struct sweep *sweep = &volume->sweep;
	const struct work *work = dirty_oldest(core, volume);

	if (work == NULL)
		return false;
	if (!all && core->now - work->dirty_since < due_age(core)) {
		core_wake(core, work->dirty_since + due_age(core));
		return false;
	}
	sweep->list.count = 0;
	for (; work != NULL && sweep->list.count < SWEEP_MAX && may_go_along(core, work, all);
	     work = pool_get(&core->table.works, work->dirty_next))
		if (!work->store_reading) // when the read has ended
			key_list_add(&sweep->list, table_entry(&core->table, work->entry)->key);
	if (sweep->list.count == 0)
		return false;
	qsort(sweep->list.keys, sweep->list.count, sizeof(*sweep->list.keys), key_compare);
	sweep->next = sweep_find(&sweep->list, sweep->at);
	sweep->left = sweep->list.count;
	return true;
}

// The block, if it is still to be written.
static struct entry *
writable(const struct core *core, block_key key, bool all)
{
	struct entry *entry = table_find(&core->table, key);
	const struct work *work = entry != NULL ? table_work(&core->table, entry) : NULL;

	return work != NULL && work->in_dirty && !work->store_reading && may_go_along(core, work, all) ? entry : NULL;
}

static block_key
sweep_take(struct sweep *sweep)
{
	if (sweep->next == sweep->list.count)
		sweep->next = 0;
	sweep->left--;
	return sweep->list.keys[sweep->next++];
}

void
elevator_pump(struct core *core, struct volume *volume, bool all, struct flush_window window)
{
	uint32_t run_max = LIMIT_MESSAGE_DATA_SIZE / volume->block_size;
	struct sweep *sweep = &volume->sweep;

	while (volume->flush_count < window.blocks && volume->writing < window.writes &&
	       (sweep->left > 0 || sweep_begin(core, volume, all))) {
		block_key key = sweep_take(sweep);
		struct entry *entry = writable(core, key, all);

		for (uint32_t run = 0; entry != NULL && run < run_max && volume->flush_count < window.blocks; run++) {
			root_write(core, entry);
			sweep->at = ++key;
			entry = writable(core, key, true);
		}
	}
}
