// SPDX-License-Identifier: MIT
// Each dirty block has a sequence number from when it became dirty, and hangs in its volume's dirty list in that order.
// When it is sent it moves to the flush list; when it is modified after that, it enters the dirty list again, behind
// all others. A barrier remembers the newest number of its time and waits until neither list has one that is not newer
// (writeback.c). A fsync therefore costs what is dirty, not what is cached.
#include "core/dirty.h"
#include "core/check.h"

#include <stdlib.h>

static struct work *
work_get(const struct core *core, uint32_t index)
{
	return pool_get(&core->table.works, index);
}

static void
dirty_unlink(struct core *core, struct volume *volume, struct work *work)
{
	if (work->dirty_prev != 0)
		work_get(core, work->dirty_prev)->dirty_next = work->dirty_next;
	else
		volume->dirty_head = work->dirty_next;
	if (work->dirty_next != 0)
		work_get(core, work->dirty_next)->dirty_prev = work->dirty_prev;
	else
		volume->dirty_tail = work->dirty_prev;
	work->in_dirty = false;
	work->dirty_prev = work->dirty_next = 0;
}

// Into the dirty list before ${next} (0: at the end).
static void
dirty_link(struct core *core, struct volume *volume, uint32_t index, uint32_t next)
{
	struct work *work = work_get(core, index);

	work->in_dirty = true;
	work->dirty_next = next;
	work->dirty_prev = next != 0 ? work_get(core, next)->dirty_prev : volume->dirty_tail;
	if (work->dirty_prev != 0)
		work_get(core, work->dirty_prev)->dirty_next = index;
	else
		volume->dirty_head = index;
	if (next != 0)
		work_get(core, next)->dirty_prev = index;
	else
		volume->dirty_tail = index;
}

static void
flush_unlink(struct core *core, struct volume *volume, struct work *work)
{
	CHECK(work->flushing && volume->flush_count > 0);
	if (work->flush_prev != 0)
		work_get(core, work->flush_prev)->flush_next = work->flush_next;
	else
		volume->flush_head = work->flush_next;
	if (work->flush_next != 0)
		work_get(core, work->flush_next)->flush_prev = work->flush_prev;
	else
		volume->flush_tail = work->flush_prev;
	work->flushing = false;
	work->flush_prev = work->flush_next = 0;
	volume->flush_count--;
}

static void
flush_link(struct core *core, struct volume *volume, uint32_t index)
{
	struct work *work = work_get(core, index);

	work->flushing = true;
	work->flush_next = 0;
	work->flush_prev = volume->flush_tail;
	if (volume->flush_tail != 0)
		work_get(core, volume->flush_tail)->flush_next = index;
	else
		volume->flush_head = index;
	volume->flush_tail = index;
	volume->flush_count++;
}

void
dirty_mark(struct core *core, struct entry *entry, enum copy was)
{
	struct volume *volume = entry_volume(core, entry);
	struct work *work = table_work_make(&core->table, entry);

	CHECK(entry->copy == COPY_DIRTY);
	if (was != COPY_DIRTY)
		volume->dirty_count++;
	if (work->in_dirty)
		return;
	work->dirty_seq = ++volume->dirty_seq;
	work->dirty_since = core->now;
	dirty_link(core, volume, entry->work, 0);
}

void
dirty_sent(struct core *core, struct entry *entry)
{
	struct volume *volume = entry_volume(core, entry);
	struct work *work = table_work(&core->table, entry);

	CHECK(entry->copy == COPY_DIRTY);
	if (work->in_dirty) {
		if (!work->flushing || work->dirty_seq < work->flush_seq)
			work->flush_seq = work->dirty_seq;
		dirty_unlink(core, volume, work);
	}
	work->flush_version = entry->version;
	if (!work->flushing)
		flush_link(core, volume, entry->work);
	volume->unsynced = true;
	volume->flushed++;
}

// The copy is not dirty any more.
static void
now_clean(struct core *core, struct volume *volume, struct entry *entry)
{
	CHECK(entry->copy == COPY_DIRTY && volume->dirty_count > 0);
	volume->dirty_count--;
	entry->copy = COPY_CLEAN;
	core->copies.ops->set_dirty(core->copies.self, entry->key, false);
}

void
dirty_flushed(struct core *core, struct entry *entry)
{
	struct volume *volume = entry_volume(core, entry);
	struct work *work = table_work(&core->table, entry);

	flush_unlink(core, volume, work);
	work->accepted = work->flush_version;
	if (volume->is_root)
		volume->unsynced = true; // a write that ends after a sync has begun is not covered by it
	if (entry->copy == COPY_DIRTY && entry->version == work->flush_version)
		now_clean(core, volume, entry);
}

void
dirty_unsent(struct core *core, struct entry *entry)
{
	struct volume *volume = entry_volume(core, entry);
	struct work *work = table_work(&core->table, entry);
	uint32_t next;

	flush_unlink(core, volume, work);
	if (entry->copy != COPY_DIRTY) { // superseded
		work->accepted = work->flush_version;
		return;
	}
	if (work->in_dirty)
		dirty_unlink(core, volume, work);
	work->dirty_seq = work->flush_seq;
	for (next = volume->dirty_head; next != 0 && work_get(core, next)->dirty_seq < work->dirty_seq;)
		next = work_get(core, next)->dirty_next;
	dirty_link(core, volume, entry->work, next);
}

void
dirty_failed(struct core *core, struct entry *entry, enum hvfs_error error)
{
	struct volume *volume = entry_volume(core, entry);

	dirty_unsent(core, entry);
	volume->flush_error = error;
	volume->flush_retry_at = core->now + RETRY_US;
	core_wake(core, volume->flush_retry_at);
}

void
dirty_clear(struct core *core, struct entry *entry)
{
	struct volume *volume = entry_volume(core, entry);
	struct work *work = table_work(&core->table, entry);

	if (entry->copy != COPY_DIRTY)
		return;
	if (work->in_dirty)
		dirty_unlink(core, volume, work);
	if (work->flushing)
		flush_unlink(core, volume, work);
	work->rescue = false;
	work->accepted = entry->version;
	now_clean(core, volume, entry);
}

void
dirty_superseded(struct core *core, struct entry *entry)
{
	struct volume *volume = entry_volume(core, entry);
	struct work *work = table_work(&core->table, entry);

	if (work->in_dirty)
		dirty_unlink(core, volume, work);
	work->rescue = false;
	now_clean(core, volume, entry);
}

bool
dirty_accepted(const struct core *core, const struct entry *entry, version_t version)
{
	const struct work *work = table_work(&core->table, entry);

	return work == NULL || version <= work->accepted || (entry->copy != COPY_DIRTY && !work->flushing);
}

void
dirty_rescue(struct core *core, struct entry *entry)
{
	struct work *work = table_work_make(&core->table, entry);

	CHECK(entry->copy == COPY_DIRTY);
	if (work->rescue)
		return;
	work->rescue = true;
	table_want_add(&core->table, entry, WANT_RECLAIM, PERM_WRITE, NULL)->hops_left = LIMIT_HOPS;
	table_want_to_front(&core->table, entry);
	table_touch(&core->table, entry);
}

bool
dirty_room(const struct core *core, const struct volume *volume)
{
	return volume->dirty_count < core->config.dirty_max;
}

void
barrier_add(struct core *core, struct volume *volume, struct io *io, int32_t child, uint32_t xid)
{
	struct barrier *barrier = calloc(1, sizeof(*barrier));
	struct barrier **link = &volume->barriers;

	CHECK(barrier != NULL);
	*barrier = (struct barrier){.seq = volume->dirty_seq, .io = io, .child = child, .xid = xid};
	if (child >= 0)
		barrier->child_generation = core->children[child]->generation;
	while (*link != NULL)
		link = &(*link)->next;
	*link = barrier;
}

void
barriers_link_down(struct core *core, struct volume *volume)
{
	(void)core;
	if (volume->barrier_out)
		volume->unsynced = true;
	volume->barrier_out = false;
	for (struct barrier *barrier = volume->barriers; barrier != NULL; barrier = barrier->next)
		barrier->sent = false;
}

bool
barrier_cancel(struct core *core, struct volume *volume, const struct io *io)
{
	(void)core;
	for (struct barrier **link = &volume->barriers; *link != NULL; link = &(*link)->next) {
		struct barrier *barrier = *link;

		if (barrier->io != io)
			continue;
		*link = barrier->next;
		free(barrier);
		return true;
	}
	return false;
}

