// SPDX-License-Identifier: MIT
// As many records as go beyond the limit are recalled, in the step in which they came: from children that have more than
// an equal share, and of theirs what was granted longest ago and not asked for since (a clock for each child: who is asked
// for again gets a second chance). So who reads much pays for it, and a block that another uses stays.
//
// What is recalled keeps its record until the answer is there: so the directory is larger than its limit by what is under
// way. That is bounded, as a child that owes answers for half as many records as the limit says is not granted more. It
// does not wait for others: who does not answer is failed in time (recall_limit_us), and until then the rest goes on as
// if its records were not there, up to LIMIT_DIRECTORY_TIMES as many in all. The same with children that are absent: they
// can not be asked, and their records end with their leases, or with an eviction.
//
// Claims are granted in any case, as those who come back could not go on otherwise. While they are being decided the
// record says who has the block, and is not touched.
#include "core/overflow.h"
#include "core/check.h"
#include "core/claim.h"
#include "core/eviction.h"
#include "core/outbox.h"
#include "core/recall.h"
#include "core/transaction.h"

#include <stdlib.h>

// Records beyond the limit that one step may add.
static uint64_t
step_window(const struct core *core)
{
	uint64_t window = core->config.directory_max / 4 + 1;

	return window < LIMIT_RUN_BLOCKS ? window : LIMIT_RUN_BLOCKS;
}

// Answers that a child may owe and be granted more.
static uint64_t
owed_max(const struct core *core)
{
	return core->config.directory_max / 2 + 1;
}

// Records that are neither on their way back nor of somebody who can not be asked.
static uint64_t
records_kept(const struct core *core)
{
	return core->directory.records.used - core->directory.open_recalls - core->directory.absent;
}

static bool
is_exhausted(const struct core *core)
{
	return core->directory.records.used >= LIMIT_DIRECTORY_TIMES * core->config.directory_max;
}

bool
overflow_may_add(const struct core *core, const struct child *child)
{
	if (core->directory.records.used < core->config.directory_max)
		return true;
	return !is_exhausted(core) && records_kept(core) < core->config.directory_max + step_window(core) &&
	       child->dir.open_recalls < owed_max(core);
}

// ---- recalling ----

static bool
can_be_asked(const struct core *core, const struct child *child)
{
	return child->in_use && child->link >= 0 && !core->links[child->link]->closing;
}

// R9: what was granted last may first be used.
static bool
is_fresh(const struct core *core, const struct child *child, const struct dir_record *record)
{
	return child->dir.granted_in == core->step && pool_get(&core->directory.records, child->dir.newest) == record;
}

// The record decides between claims (claim.c).
static bool
is_claimed(const struct core *core, const struct entry *entry)
{
	const struct work *work = table_work(&core->table, entry);

	return claim_in_grace(core, entry_volume(core, entry)) ||
	       (work != NULL && (work->claim || work->claim_head != 0));
}

static bool
is_recallable(const struct core *core, const struct child *child, const struct dir_record *record)
{
	return !record->recall_open && !record->revoked && !is_fresh(core, child, record) &&
	       !is_claimed(core, table_entry(&core->table, record->entry));
}

// Recall what of ${child} is least likely to be wanted. What is looked at goes ahead of the others: each grant, and each
// use, pays for one look.
static bool
recall_one(struct core *core, struct child *child, uint32_t *looks)
{
	for (uint64_t left = 2 * directory_count(&child->dir); left > 0 && *looks > 0; left--, --*looks) {
		struct dir_record *record = pool_get(&core->directory.records, child->dir.tail);
		bool spared = record->used;

		directory_to_front(&core->directory, &child->dir, record);
		if (!is_recallable(core, child, record))
			continue;
		record->used = false;
		if (!spared && recall_back(core, record, PERM_NO))
			return true;
	}
	return false;
}

// From the child whose turn it is, down to an eighth less than its share: so the way to the next is paid for.
static bool
recall_next(struct core *core, uint32_t *looks)
{
	struct directory *directory = &core->directory;
	uint64_t share = directory->holders > 0 ? core->config.directory_max / directory->holders : 0;
	uint64_t least = share - share / 8;

	for (uint32_t passed = 0; passed <= core->child_count; passed++) {
		struct child *child = core->children[directory->turn % core->child_count];

		if (can_be_asked(core, child) && directory_count(&child->dir) - child->dir.open_recalls > least &&
		    recall_one(core, child, looks))
			return true;
		least = share;
		directory->turn = (directory->turn + 1) % core->child_count;
	}
	return false;
}

void
overflow_recall(struct core *core)
{
	uint32_t looks = LIMIT_RUN_BLOCKS; // in one step: a child may come back with very many
	bool found = true, any = false;

	while (found && records_kept(core) > core->config.directory_max) {
		found = recall_next(core, &looks);
		any |= found;
	}
	core->directory.freed |= any;
	core->directory.owing = looks == 0;
	if (records_kept(core) > core->config.directory_max && (any || core->directory.granted_in == core->step))
		core_wake(core, core->now); // the others have their turn, and what was fresh
}

// ---- waiting ----

void
overflow_wait(struct core *core, struct entry *entry, struct child *child)
{
	struct work *work = table_work(&core->table, entry);

	if (work->wait_place && work->place_child == child->index)
		return;
	work->wait_place = false; // for another child, whose request has ended
	work->place_child = (uint16_t)child->index;
	key_list_wait(core, &child->place_wait, entry, WAIT_PLACE);
	core->places_wanted = true;
}

void
overflow_forget(struct core *core, struct child *child)
{
	key_list_touch(core, &child->place_wait, WAIT_PLACE);
	free(child->place_wait.keys);
	child->place_wait = (struct key_list){NULL, 0, 0};
}

// Touch blocks that wait for a place, of each child for which there is one. False: there is none. Some of them may not
// wait any more: so it is asked again.
static bool
touch_waiting(struct core *core)
{
	uint64_t owed = owed_max(core);
	uint32_t first = core->directory.turn;
	bool wanted = false, any = false;

	for (uint32_t i = 0; i < core->child_count; i++) {
		struct child *child = core->children[(first + i) % core->child_count];
		uint32_t open = child->dir.open_recalls;

		if (child->place_wait.count > 0 && overflow_may_add(core, child)) {
			key_list_touch_first(core, &child->place_wait, WAIT_PLACE, open < owed ? owed - open : 1);
			any = true;
		}
		wanted |= child->place_wait.count > 0;
	}
	core->places_wanted = wanted;
	return any;
}

// Those who do not come back keep places that others wait for.
static void
evict_lapsed(struct core *core)
{
	for (uint32_t i = 0; i < core->child_count; i++)
		if (core->children[i]->in_use && core->children[i]->lapsed && core->children[i]->dir.head != 0)
			eviction_begin(core, core->children[i]);
}

void
overflow_pump(struct core *core)
{
	overflow_recall(core);
	if (core->places_wanted && is_exhausted(core))
		evict_lapsed(core);
	if (!core->places_wanted || !core->directory.freed)
		return;
	core->directory.freed = false;
	while (touch_waiting(core)) {
		transaction_drain(core);
		overflow_recall(core);
	}
}

// ---- checking ----

void
overflow_check(const struct core *core)
{
	const struct directory *directory = &core->directory;
	uint64_t open = 0, absent = 0, recallable = 0, records = 0;
	uint32_t holders = 0;

	for (uint32_t i = 0; i < core->child_count; i++) {
		const struct child *child = core->children[i];
		uint32_t index = child->dir.head, last = 0;

		holders += child->in_use && index != 0;
		while (child->in_use && index != 0) {
			const struct dir_record *record = pool_get(&directory->records, index);

			CHECK(record->child_prev == last);
			open += record->recall_open;
			absent += child->link < 0;
			recallable += can_be_asked(core, child) && is_recallable(core, child, record);
			records++;
			last = index;
			index = record->child_next;
		}
		CHECK(!child->in_use || child->dir.tail == last);
	}
	CHECK(records == directory->records.used && open == directory->open_recalls);
	CHECK(absent == directory->absent && holders == directory->holders);
	CHECK(recallable <= core->config.directory_max || directory->owing);
	CHECK(records - directory->beyond <= LIMIT_DIRECTORY_TIMES * core->config.directory_max);
}
