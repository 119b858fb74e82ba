// SPDX-License-Identifier: MIT
// A list has the blocks that were modified since the journal was last told of them; a key may be there in vain, as its
// block has gone up meanwhile. Such are taken out when they are many, so that the list is bounded by what is dirty.
#include "core/journaled.h"
#include "core/check.h"
#include "core/claimant.h"
#include "core/dirty.h"
#include "core/local.h"
#include "core/writeback.h"

#include <stdlib.h>
#include <string.h>

enum { LIST_SLACK = 4096 };

#define LINKS_UNSEEN (UINT64_C(1) << 20) // that the process before may have had since it wrote the journal
#define SESSION_GONE UINT64_MAX // no parent has it

static struct work *
listed(const struct core *core, block_key key)
{
	struct entry *entry = table_find(&core->table, key);
	struct work *work = entry != NULL ? table_work(&core->table, entry) : NULL;

	return work != NULL && work->journal_due ? work : NULL;
}

static void
compact(struct core *core, struct volume *volume)
{
	struct key_list *list = &volume->unjournaled;
	uint32_t kept = 0;

	if (list->count < 2 * (volume->dirty_count + volume->unstable_count) + LIST_SLACK)
		return;
	for (uint32_t i = 0; i < list->count; i++) {
		struct work *work = listed(core, list->keys[i]);

		if (work == NULL)
			continue;
		work->journal_due = false; // it may stand there twice
		list->keys[kept++] = list->keys[i];
	}
	list->count = kept;
	for (uint32_t i = 0; i < kept; i++)
		table_work(&core->table, table_find(&core->table, list->keys[i]))->journal_due = true;
}

void
journaled_modified(struct core *core, struct entry *entry)
{
	struct volume *volume = entry_volume(core, entry);
	struct work *work = table_work(&core->table, entry);

	if (!core->config.journal || volume->is_root || work->journal_due)
		return;
	compact(core, volume);
	work->journal_due = true;
	key_list_add(&volume->unjournaled, entry->key);
}

void
journaled_forget(struct core *core, struct entry *entry)
{
	struct work *work = table_work(&core->table, entry);
	struct action *action;

	if (work == NULL || !work->journaled)
		return;
	work->journaled = false;
	action = actions_add(core->actions, ACTION_JOURNAL);
	action->volume = block_key_volume(entry->key);
	action->block = block_key_block(entry->key);
}

bool
journaled_suffices(const struct core *core, const struct volume *volume)
{
	return core->config.journal && !volume->is_root && core->config.durability == DURABILITY_LOCAL;
}

static void
tell(struct core *core, block_key key)
{
	struct work *work = listed(core, key);
	struct entry *entry = work != NULL ? table_entry(&core->table, work->entry) : NULL;
	struct action *action;

	if (work == NULL)
		return;
	work->journal_due = false;
	if (entry->copy < COPY_UNSTABLE)
		return;
	work->journaled = work->exposed = true; // the next change must not come back as these bytes
	action = actions_add(core->actions, ACTION_JOURNAL);
	action->volume = block_key_volume(key);
	action->block = block_key_block(key);
	action->version = entry->version;
	action->buf = buf_ref(core->copies.ops->peek(core->copies.self, key));
	CHECK(action->buf != NULL);
}

void
journaled_sync(struct core *core, struct volume *volume, struct io *io)
{
	struct journal_wait *wait = calloc(1, sizeof(*wait)), **link = &volume->journal_waits;
	struct action *action;

	CHECK(wait != NULL);
	for (uint32_t i = 0; i < volume->unjournaled.count; i++)
		tell(core, volume->unjournaled.keys[i]);
	volume->unjournaled.count = 0;
	while (*link != NULL)
		link = &(*link)->next;
	*link = wait;
	wait->io = io;
	wait->number = ++core->journal_number;
	action = actions_add(core->actions, ACTION_JOURNAL_SYNC);
	action->volume = volume->index;
	action->store_cookie = wait->number;
}

void
journaled_cancel(struct volume *volume, const struct io *io)
{
	struct journal_wait **link = &volume->journal_waits, *wait;

	while (*link != NULL && (*link)->io != io)
		link = &(*link)->next;
	wait = *link;
	if (wait == NULL)
		return;
	*link = wait->next;
	free(wait);
}

static struct io *
take_first(struct volume *volume)
{
	struct journal_wait *wait = volume->journal_waits;
	struct io *io = wait->io;

	volume->journal_waits = wait->next;
	free(wait);
	return io;
}

void
journaled_tell_lost(struct core *core, struct volume *volume, enum hvfs_error error)
{
	while (volume->journal_waits != NULL) {
		volume->lost = false;
		local_finish(core, take_first(volume), error);
	}
}

void
journaled_done(struct core *core, struct volume *volume, uint64_t number, enum hvfs_error error)
{
	while (volume->journal_waits != NULL && volume->journal_waits->number <= number) {
		if (error != ERR_OK)
			barrier_add(core, volume, take_first(volume), -1, 0);
		else if (volume->lost)
			writeback_tell_lost(core, volume, ERR_LOST);
		else
			local_finish(core, take_first(volume), ERR_OK);
	}
}

void
journaled_author_changed(struct core *core, const struct volume *volume)
{
	if (core->config.journal && !volume->is_root)
		actions_add(core->actions, ACTION_JOURNAL_AUTHOR)->volume = volume->index;
}

void
core_author(const struct core *core, uint32_t index, struct author *ret)
{
	const struct volume *volume = core->volumes[index];
	struct claimant names = {.path_count = 0};

	// An eviction under one of the earlier names may have voided what is not answered yet.
	if (volume->claims_end_due || volume->owed > 0) {
		names = volume->own_before;
		for (uint32_t i = 0; i < volume->own.path_count; i++)
			claimant_add_name(&names, volume->own.path[i]);
	}
	claimant_add_name(&names, volume->node_id);
	if (volume->name_before != 0)
		claimant_add_name(&names, volume->name_before);
	for (uint32_t i = 0; i < volume->above_count; i++)
		claimant_add_name(&names, volume->above[i]);
	memset(ret, 0, sizeof(*ret));
	ret->node_id = volume->node_id;
	ret->number = core->parent.number;
	ret->epoch = volume->owed > 0 ? volume->owed_epoch : volume->held_epoch;
	ret->name_count = (uint16_t)names.path_count;
	ret->shared = core->config.listens;
	memcpy(ret->names, names.path, names.path_count * sizeof(names.path[0]));
}

void
core_set_author(struct core *core, uint32_t index, const struct author *author)
{
	struct volume *volume = core->volumes[index];

	CHECK(!volume->is_root && volume->session == 0 && author->node_id != 0);
	// What that process held its children may use until their leases are over, and claim: its session stays, and this node
	// comes as another, which was below it.
	if (author->shared)
		volume->name_before = author->node_id;
	else
		volume->node_id = author->node_id;
	volume->comes_back = !author->shared;
	volume->session = SESSION_GONE;
	volume->held_epoch = author->epoch;
	volume->above_count = volume->way_up_count = author->name_count;
	memcpy(volume->above, author->names, author->name_count * sizeof(author->names[0]));
	if (core->link_number < author->number + LINKS_UNSEEN)
		core->link_number = author->number + LINKS_UNSEEN;
}

int
core_add_uncommitted(struct core *core, uint32_t index, uint64_t block, version_t version, uint32_t block_size,
		     struct buf *buf)
{
	struct volume *volume = core->volumes[index];
	struct entry *entry;
	struct work *work;

	CHECK(volume->session == SESSION_GONE);
	if (block >= UINT64_C(1) << BLOCK_KEY_BITS || version == 0 ||
	    (volume->block_size != 0 && volume->block_size != block_size))
		return -1;
	volume->block_size = block_size;
	volume->wrote_before = true;
	entry = entry_make(core, volume, block);
	entry->version = version;
	entry_put_copy(core, entry, buf, COPY_DIRTY);
	dirty_mark(core, entry, COPY_ABSENT);
	work = table_work(&core->table, entry);
	work->exposed = work->journaled = true;
	work->journal_due = false;
	return 0;
}
