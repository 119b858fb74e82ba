// SPDX-License-Identifier: MIT
// Each dirty block hangs in its volume's dirty list: the urgent ones, then the others, oldest first. When it is sent it
// moves to the flush list; when it is modified after that, it enters the dirty list again once the flush has ended.
//
// A fsync waits for what was dirty when it came. So each block that is dirty, or on its way up, is counted in the
// generation of barriers in which it became dirty: a barrier closes the open generation and takes over its count; what
// becomes dirty later belongs to the next. A block that is on its way and modified again counts twice. A barrier may
// go on when its count, and those of all barriers before it, are zero. That costs O(1) for each block and nothing for
// what is only cached.
#include "core/dirty.h"
#include "core/check.h"
#include "core/journaled.h"
#include "core/peer_room.h"
#include "core/unstable.h"

#include <stdlib.h>

static struct work *
work_get(const struct core *core, uint32_t index)
{
	return pool_get(&core->table.works, index);
}

// ---- generations ----

static uint64_t
count_in(struct volume *volume)
{
	volume->open_count++;
	return volume->gen;
}

// One block of generation ${gen} is above.
static void
count_out(struct volume *volume, uint64_t gen)
{
	struct barrier *barrier = volume->barriers;
	uint64_t *count;

	while (barrier != NULL && barrier->gen < gen)
		barrier = barrier->next;
	count = barrier != NULL ? &barrier->count : &volume->open_count;
	CHECK(*count > 0);
	--*count;
}

struct barrier *
barrier_add(struct core *core, struct volume *volume, struct io *io, int32_t child, uint32_t xid)
{
	struct barrier *barrier = calloc(1, sizeof(*barrier));
	struct barrier **link = &volume->barriers;

	CHECK(barrier != NULL);
	*barrier =
		(struct barrier){.gen = volume->gen, .count = volume->open_count, .io = io, .child = child, .xid = xid};
	volume->gen++;
	volume->open_count = 0;
	if (child >= 0)
		barrier->child_generation = core->children[child]->generation;
	while (*link != NULL)
		link = &(*link)->next;
	*link = barrier;
	return barrier;
}

void
barrier_remove(struct volume *volume, struct barrier *barrier)
{
	struct barrier **link = &volume->barriers;

	while (*link != barrier)
		link = &(*link)->next;
	*link = barrier->next;
	// Later barriers wait for what it waited for.
	*(barrier->next != NULL ? &barrier->next->count : &volume->open_count) += barrier->count;
}

void
barriers_link_down(struct core *core, struct volume *volume)
{
	unstable_barrier_failed(core, volume);
	if (volume->barrier_out)
		volume->unsynced = volume->elsewhere = true;
	volume->barrier_out = false;
	for (struct barrier *barrier = volume->barriers; barrier != NULL; barrier = barrier->next)
		barrier->sent = false;
}

struct barrier *
barrier_of_child(const struct volume *volume, const struct child *child)
{
	struct barrier *barrier = volume->barriers;

	while (barrier != NULL && (barrier->child != (int32_t)child->index ||
				   barrier->child_generation != child->generation))
		barrier = barrier->next;
	return barrier;
}

bool
barrier_cancel(struct core *core, struct volume *volume, const struct io *io)
{
	struct barrier *barrier = volume->barriers;

	(void)core;
	while (barrier != NULL && barrier->io != io)
		barrier = barrier->next;
	if (barrier == NULL)
		return false;
	barrier_remove(volume, barrier);
	free(barrier);
	return true;
}

// ---- lists ----

static void
dirty_unlink(struct core *core, struct volume *volume, struct work *work)
{
	if (work_get(core, volume->urgent_tail) == work)
		volume->urgent_tail = work->dirty_prev;
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

// Into the dirty list: at its end, or behind those that are urgent, in order: what is adjacent is to travel together.
static void
dirty_link(struct core *core, struct volume *volume, uint32_t index)
{
	struct work *work = work_get(core, index);

	work->in_dirty = true;
	work->dirty_prev = work->urgent ? volume->urgent_tail : volume->dirty_tail;
	work->dirty_next = work->dirty_prev != 0 ? work_get(core, work->dirty_prev)->dirty_next : volume->dirty_head;
	if (work->urgent)
		volume->urgent_tail = index;
	if (work->dirty_prev != 0)
		work_get(core, work->dirty_prev)->dirty_next = index;
	else
		volume->dirty_head = index;
	if (work->dirty_next != 0)
		work_get(core, work->dirty_next)->dirty_prev = index;
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

// The block is not to be sent any more (it has been, or need not be).
static void
dirty_leave(struct core *core, struct volume *volume, struct work *work)
{
	if (work->in_dirty)
		dirty_unlink(core, volume, work);
	work->again = work->urgent = false;
}

// The older of two generations in which one block is counted stays, the other count goes.
static uint64_t
join_counts(struct volume *volume, uint64_t a, uint64_t b)
{
	count_out(volume, a > b ? a : b);
	return a < b ? a : b;
}

// ---- what happens to a dirty block ----

void
dirty_set_resend(struct core *core, struct entry *entry, bool resend, uint8_t losses)
{
	struct volume *volume = entry_volume(core, entry);
	struct work *work = table_work(&core->table, entry);
	bool was_owed = work->resend_losses > 0;

	CHECK(resend || losses == 0);
	work->resend = resend;
	work->resend_losses = losses;
	if (was_owed == (losses > 0))
		return;
	if (volume->owed == 0)
		volume->owed_epoch = volume->held_epoch;
	if (losses > 0) {
		volume->owed++;
	} else if (--volume->owed == 0) {
		volume->confirms_anew = true;
		journaled_author_changed(core, volume);
	}
}

static void
brought_end(struct core *core, const struct entry *entry, struct work *work)
{
	peer_room_give(core, work->brought_by, PEER_BROUGHT, entry_volume(core, entry)->block_size);
	work->brought_by = 0;
}

void
dirty_mark(struct core *core, struct entry *entry, enum copy was)
{
	struct volume *volume = entry_volume(core, entry);
	struct work *work = table_work_make(&core->table, entry);

	CHECK(entry->copy == COPY_DIRTY);
	journaled_modified(core, entry);
	if (was != COPY_DIRTY)
		volume->dirty_count++;
	if (work->resend && !work->claim && !volume->is_root) {
		// What was to be sent again is written over, under a permission or by newer bytes from below: these go up, and do
		// not wait for the answer to the other, which may wait for them, or for the end of a grace time.
		if (entry->held == PERM_WRITE)
			dirty_set_resend(core, entry, false, 0);
		if (work->flushing)
			dirty_unsent(core, entry);
	}
	if (work->in_dirty || work->again)
		return;
	work->dirty_gen = count_in(volume);
	work->dirty_since = core->now;
	if (work->flushing)
		work->again = true;
	else
		dirty_link(core, volume, entry->work);
}

bool
dirty_brought(struct core *core, struct entry *entry, uint32_t peer)
{
	struct work *work = table_work(&core->table, entry);

	if (entry->copy != COPY_DIRTY || work->brought_by == peer)
		return true;
	brought_end(core, entry, work);
	work->brought_by = peer;
	return peer_room_add(core, peer, PEER_BROUGHT, entry_volume(core, entry)->block_size);
}

// Into the generation of the barrier that goes first.
static void
count_in_first(struct volume *volume, struct work *work)
{
	work->dirty_gen = 0;
	++*(volume->barriers != NULL ? &volume->barriers->count : &volume->open_count);
}

void
dirty_before_barriers(struct core *core, struct entry *entry)
{
	struct volume *volume = entry_volume(core, entry);
	struct work *work = table_work(&core->table, entry);

	CHECK(entry->copy == COPY_DIRTY && work->in_dirty && !work->flushing);
	count_out(volume, work->dirty_gen);
	count_in_first(volume, work);
}

void
dirty_again(struct core *core, struct entry *entry)
{
	struct volume *volume = entry_volume(core, entry);
	struct work *work = table_work(&core->table, entry);

	unstable_forget(core, entry);
	entry->copy = COPY_DIRTY;
	volume->dirty_count++;
	CHECK(!work->in_dirty && !work->again && !work->flushing);
	count_in_first(volume, work);
	work->dirty_since = core->now;
	work->urgent = work->exposed = true; // others know this version
	dirty_link(core, volume, entry->work);
}

void
dirty_urge(struct core *core, struct entry *entry)
{
	struct volume *volume = entry_volume(core, entry);
	struct work *work = table_work(&core->table, entry);

	if (work->urgent || !(work->in_dirty || work->again))
		return;
	if (work->in_dirty)
		dirty_unlink(core, volume, work);
	work->urgent = true;
	if (!work->again)
		dirty_link(core, volume, entry->work);
}

void
dirty_sent(struct core *core, struct entry *entry)
{
	struct volume *volume = entry_volume(core, entry);
	struct work *work = table_work(&core->table, entry);

	CHECK(entry->copy == COPY_DIRTY);
	if (work->in_dirty || work->again) {
		work->flush_gen =
			work->flushing ? join_counts(volume, work->flush_gen, work->dirty_gen) : work->dirty_gen;
		dirty_leave(core, volume, work);
	} else {
		CHECK(work->flushing);
	}
	work->flush_version = entry->version;
	work->flush_after = volume->barriers_sent;
	if (!work->flushing)
		flush_link(core, volume, entry->work);
	volume->unsynced = true;
	volume->flushed++;
}

// What a sync has yet to settle may have to be written once more: the cache keeps it.
static void
copy_clean(struct core *core, struct entry *entry)
{
	entry->copy = COPY_CLEAN;
	if (table_work(&core->table, entry)->settles == 0)
		core->copies.ops->set_dirty(core->copies.self, entry->key, false);
}

void
dirty_settled(struct core *core, struct entry *entry)
{
	table_work(&core->table, entry)->settles = 0;
	if (entry->copy == COPY_CLEAN)
		copy_clean(core, entry);
}

void
dirty_flushed(struct core *core, struct entry *entry)
{
	struct volume *volume = entry_volume(core, entry);
	struct work *work = table_work(&core->table, entry);

	flush_unlink(core, volume, work);
	count_out(volume, work->flush_gen);
	work->accepted = work->flush_version;
	core->flush_error = ERR_OK;
	work->sync_owed = work->sync_owed && work->again;
	if (volume->is_root)
		volume->unsynced = true; // a write that ends after a sync has begun is not covered by it
	if (work->again) {
		work->again = false;
		work->dirty_since = core->now;
		dirty_link(core, volume, entry->work);
	} else if (entry->copy == COPY_DIRTY && entry->version == work->flush_version) {
		volume->dirty_count--;
		brought_end(core, entry, work);
		if (volume->is_root)
			copy_clean(core, entry);
		else
			unstable_flushed(core, entry, work->flush_after);
	}
}

void
dirty_all_arrived(struct core *core, const struct volume *volume)
{
	for (uint32_t i = 1; i < core->table.works.next; i++) {
		struct work *work = pool_get(&core->table.works, i);
		struct entry *entry;

		if (!pool_is_used(&core->table.works, i) || !work->flushing || work->flush_resent)
			continue;
		entry = table_entry(&core->table, work->entry);
		if (block_key_volume(entry->key) != volume->index)
			continue;
		dirty_flushed(core, entry);
		table_touch(&core->table, entry);
	}
}

void
dirty_unsent(struct core *core, struct entry *entry)
{
	struct volume *volume = entry_volume(core, entry);
	struct work *work = table_work(&core->table, entry);

	flush_unlink(core, volume, work);
	if (entry->copy != COPY_DIRTY) { // superseded
		count_out(volume, work->flush_gen);
		if (entry->copy == COPY_UNSTABLE && dirty_root_awaited(core, work))
			dirty_again(core, entry); // the parent has these bytes, or newer ones: somebody waits until the root has
		else
			work->accepted = work->flush_version;
		return;
	}
	if (work->in_dirty || work->again)
		work->flush_gen = join_counts(volume, work->flush_gen, work->dirty_gen);
	dirty_leave(core, volume, work);
	work->dirty_gen = work->flush_gen;
	work->urgent = work->exposed = true; // it may have arrived
	dirty_link(core, volume, entry->work);
}

void
dirty_failed(struct core *core, struct entry *entry, enum hvfs_error error)
{
	struct volume *volume = entry_volume(core, entry);

	dirty_unsent(core, entry);
	volume->flush_error = core->flush_error = error;
	volume->flush_retry_at = core->now + RETRY_US;
	core_wake(core, volume->flush_retry_at);
}

void
dirty_superseded(struct core *core, struct entry *entry)
{
	struct volume *volume = entry_volume(core, entry);
	struct work *work = table_work(&core->table, entry);

	if (work->in_dirty || work->again)
		count_out(volume, work->dirty_gen);
	dirty_leave(core, volume, work);
	dirty_set_resend(core, entry, false, 0);
	CHECK(entry->copy == COPY_DIRTY && volume->dirty_count > 0);
	volume->dirty_count--;
	brought_end(core, entry, work);
	if (volume->is_root)
		copy_clean(core, entry);
	else
		unstable_mark(core, entry);
}

void
dirty_clear(struct core *core, struct entry *entry)
{
	struct volume *volume = entry_volume(core, entry);
	struct work *work = table_work(&core->table, entry);

	if (entry->copy != COPY_DIRTY)
		return;
	if (work->flushing) {
		flush_unlink(core, volume, work);
		count_out(volume, work->flush_gen);
	}
	work->accepted = entry->version;
	dirty_superseded(core, entry);
}

bool
dirty_root_awaited(const struct core *core, const struct work *work)
{
	const struct want *head = table_want(&core->table, work->want_head);

	for (uint32_t i = work->sync_head; i != 0; i = table_want(&core->table, i)->next)
		if (table_want(&core->table, i)->sync)
			return true;
	return work->sync_owed || (head != NULL && head->applied && !head->semi);
}

bool
dirty_accepted(const struct core *core, const struct entry *entry, version_t version)
{
	const struct work *work = table_work(&core->table, entry);

	return work == NULL || version <= work->accepted || (entry->copy != COPY_DIRTY && !work->flushing);
}

const struct work *
dirty_oldest(const struct core *core, const struct volume *volume)
{
	const struct work *urgent = work_get(core, volume->urgent_tail);

	return work_get(core, urgent != NULL ? urgent->dirty_next : volume->dirty_head);
}

bool
dirty_room(const struct core *core, const struct volume *volume)
{
	return !volume->writes_held && volume->dirty_count + volume->unstable_count < core->config.dirty_max;
}

bool
dirty_room_for(const struct core *core, const struct entry *entry)
{
	const struct volume *volume = entry_volume(core, entry);

	return (entry->copy >= COPY_UNSTABLE && !volume->writes_held) || dirty_room(core, volume);
}
