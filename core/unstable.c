// SPDX-License-Identifier: MIT
// Two lists for each volume: what is unstable, and what is covered by the barrier that is under way. So a barrier costs
// what it covers, and a block that is modified meanwhile leaves its list in one step.
#include "core/unstable.h"
#include "core/check.h"
#include "core/journaled.h"
#include "core/outbox.h"

static struct work_list *
list_of(struct volume *volume, const struct work *work)
{
	return work->unstable == UNSTABLE_COMMITTING ? &volume->committing : &volume->unstable;
}

static struct work *
work_get(const struct core *core, uint32_t index)
{
	return pool_get(&core->table.works, index);
}

static void
list_add(struct core *core, struct volume *volume, uint32_t index)
{
	struct work *work = work_get(core, index);
	struct work_list *list = list_of(volume, work);

	if (volume->unstable.head == 0 && volume->keeper == 0)
		volume->unstable_since = core->now;

	work->unstable_next = 0;
	work->unstable_prev = list->tail;
	if (list->tail != 0)
		work_get(core, list->tail)->unstable_next = index;
	else
		list->head = index;
	list->tail = index;
}

static void
list_remove(struct core *core, struct work_list *list, struct work *work)
{
	if (work->unstable_prev != 0)
		work_get(core, work->unstable_prev)->unstable_next = work->unstable_next;
	else
		list->head = work->unstable_next;
	if (work->unstable_next != 0)
		work_get(core, work->unstable_next)->unstable_prev = work->unstable_prev;
	else
		list->tail = work->unstable_prev;
	work->unstable_prev = work->unstable_next = 0;
}

void
unstable_mark(struct core *core, struct entry *entry)
{
	struct volume *volume = entry_volume(core, entry);
	struct work *work = table_work_make(&core->table, entry);

	CHECK(entry->copy != COPY_ABSENT && !volume->is_root);
	if (entry->copy == COPY_UNSTABLE)
		unstable_forget(core, entry); // what is new is not covered by a barrier that is under way
	else if (entry->copy == COPY_CLEAN)
		core->copies.ops->set_dirty(core->copies.self, entry->key, true);
	entry->copy = COPY_UNSTABLE;
	work->unstable = UNSTABLE_OPEN;
	list_add(core, volume, entry->work);
	volume->unstable_count++;
	volume->unsynced = true;
}

void
unstable_settle(struct core *core, struct entry *entry)
{
	journaled_forget(core, entry);
	unstable_forget(core, entry);
	entry->copy = COPY_CLEAN;
	core->copies.ops->set_dirty(core->copies.self, entry->key, false);
}

// Clean now, if it may be used at all; else nobody needs the bytes any more.
static void
commit(struct core *core, struct entry *entry)
{
	unstable_settle(core, entry);
	if (entry->held == PERM_NO)
		entry_drop_copy(core, entry);
}

// Number ${a} is later than ${b}.
static bool
is_later(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

void
unstable_flushed(struct core *core, struct entry *entry, uint32_t after)
{
	struct volume *volume = entry_volume(core, entry);
	struct work *work = table_work_make(&core->table, entry);

	CHECK(entry->copy == COPY_DIRTY);
	entry->copy = COPY_UNSTABLE;
	work->unstable = UNSTABLE_OPEN;
	if (volume->barrier_out && is_later(volume->barriers_sent, after))
		work->unstable = UNSTABLE_COMMITTING;
	list_add(core, volume, entry->work);
	volume->unstable_count++;
	if (is_later(volume->barriers_done, after))
		commit(core, entry);
	else if (work->unstable == UNSTABLE_OPEN)
		volume->unsynced = true;
}

void
unstable_forget(struct core *core, struct entry *entry)
{
	struct volume *volume = entry_volume(core, entry);
	struct work *work = table_work(&core->table, entry);

	CHECK(entry->copy == COPY_UNSTABLE && work->unstable != UNSTABLE_NOT && volume->unstable_count > 0);
	list_remove(core, list_of(volume, work), work);
	work->unstable = UNSTABLE_NOT;
	volume->unstable_count--;
}

void
unstable_barrier_sent(struct core *core, struct volume *volume)
{
	CHECK(volume->committing.head == 0);
	volume->barriers_sent++;
	for (uint32_t i = volume->unstable.head; i != 0; i = work_get(core, i)->unstable_next)
		work_get(core, i)->unstable = UNSTABLE_COMMITTING;
	volume->committing = volume->unstable;
	volume->unstable = (struct work_list){0, 0};
}

static void
commit_work(struct core *core, const struct work *work)
{
	struct entry *entry = table_entry(&core->table, work->entry);

	commit(core, entry);
	entry_rest(core, entry);
}

void
unstable_forget_keepers(struct volume *volume)
{
	volume->keeper = 0;
	volume->keeper_gone = false;
}

void
unstable_committed(struct core *core, struct volume *volume)
{
	volume->barriers_done = volume->barriers_sent;
	if (volume->keeper_barrier != volume->barriers_sent)
		unstable_forget_keepers(volume);
	else
		volume->unstable_since = core->now; // some was left to them since it was sent
	while (volume->committing.head != 0) {
		struct work *work = work_get(core, volume->committing.head);

		if (work->claim) // this parent may not have the bytes
			unstable_mark(core, table_entry(&core->table, work->entry));
		else
			commit_work(core, work);
	}
}

void
unstable_all_committed(struct core *core, struct volume *volume)
{
	uint32_t next;

	unstable_committed(core, volume);
	unstable_forget_keepers(volume);
	for (uint32_t i = volume->unstable.head; i != 0; i = next) {
		const struct work *work = work_get(core, i);

		next = work->unstable_next;
		if (!work->claim)
			commit_work(core, work);
	}
}

void
unstable_barrier_failed(struct core *core, struct volume *volume)
{
	struct work_list *open = &volume->unstable;

	if (volume->committing.head == 0)
		return;
	for (uint32_t i = volume->committing.head; i != 0; i = work_get(core, i)->unstable_next)
		work_get(core, i)->unstable = UNSTABLE_OPEN;
	if (open->head != 0) {
		work_get(core, volume->committing.tail)->unstable_next = open->head;
		work_get(core, open->head)->unstable_prev = volume->committing.tail;
	} else {
		open->tail = volume->committing.tail;
	}
	open->head = volume->committing.head;
	volume->committing = (struct work_list){0, 0};
}

// ---- FORWARD ----

static void
forward(struct core *core, struct volume *volume, const struct entry *entry, struct work *work)
{
	struct saying say = {
		.link = (uint32_t)core->parent.link,
		.volume = volume->index,
		.volume_id = volume->parent_id,
		.opcode = OP_FORWARD,
		.block = block_key_block(entry->key),
		.perm = -1,
		.hops_left = LIMIT_HOPS,
		.origin = (uint32_t)core->config.node_id,
		.item = true,
		.kind = ITEM_EMPTY,
		.version = entry->version,
	};

	work->forward_xid = outbox_say(core, &say)->xid;
	work->forward_version = entry->version;
	volume->forwards++;
}

void
unstable_forward(struct core *core, struct volume *volume)
{
	uint32_t left = volume->forwards < FORWARD_WINDOW ? FORWARD_WINDOW - volume->forwards : 0;

	for (uint32_t i = volume->unstable.head; i != 0 && left > 0; i = work_get(core, i)->unstable_next) {
		struct work *work = work_get(core, i);

		if (work->forward_xid != 0 || work->claim || work->flushing)
			continue;
		forward(core, volume, table_entry(&core->table, work->entry), work);
		left--;
	}
}

static void
forward_end(struct volume *volume, struct work *work)
{
	CHECK(volume->forwards > 0);
	volume->forwards--;
	work->forward_xid = 0;
}

bool
unstable_forwarded(struct core *core, struct entry *entry, const struct message *message)
{
	struct volume *volume = entry_volume(core, entry);
	struct work *work = table_work(&core->table, entry);
	bool is_meant = entry->copy == COPY_UNSTABLE && entry->version == work->forward_version;

	if (work->forward_xid == 0 || work->forward_xid != message->xid)
		return false;
	forward_end(volume, work);
	volume->forward_refused |= is_meant && message->opcode != OP_OK_REPLY; // what has been written over since is asked for anew
	if (!is_meant || message->opcode != OP_OK_REPLY)
		return true;
	if (volume->keeper == 0 && volume->unstable.head == 0)
		volume->unstable_since = core->now;
	if (work->unstable == UNSTABLE_OPEN)
		volume->keeper_barrier = volume->barriers_sent;
	else if (volume->keeper == 0)
		volume->keeper_barrier = volume->barriers_sent - 1; // the barrier that is under way covers it
	if (volume->keeper == 0)
		volume->keeper = volume->way_up_count > 1 ? volume->above[1] : volume->above[0];
	commit(core, entry);
	return true;
}

void
unstable_link_down(struct core *core, struct entry *entry, struct work *work)
{
	if (work->forward_xid != 0)
		forward_end(entry_volume(core, entry), work);
}
