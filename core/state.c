// SPDX-License-Identifier: MIT
// What all files of the core do with its state: entries, lists of blocks that wait, the trace.
#include "core/state.h"
#include "core/check.h"
#include "core/claim.h"
#include "core/gaps.h"
#include "core/journaled.h"
#include "core/unstable.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
key_list_add(struct key_list *list, block_key key)
{
	if (list->count == list->capacity) {
		list->capacity = list->capacity ? list->capacity * 2 : 16;
		list->keys = realloc(list->keys, list->capacity * sizeof(*list->keys));
		CHECK(list->keys != NULL);
	}
	list->keys[list->count++] = key;
}

static bool
is_waiting(const struct work *work, enum wait wait)
{
	switch (wait) {
	case WAIT_ROOM:
		return work->wait_room;
	case WAIT_DIRTY:
		return work->wait_dirty;
	case WAIT_READ:
		return work->wait_read;
	case WAIT_PLACE:
		return work->wait_place;
	case WAIT_ASK:
		return work->ask == ASK_WAITING;
	}
	CHECK(!"a wait");
	return false;
}

static void
set_waiting(struct work *work, enum wait wait, bool waits)
{
	switch (wait) {
	case WAIT_ROOM:
		work->wait_room = waits;
		break;
	case WAIT_DIRTY:
		work->wait_dirty = waits;
		break;
	case WAIT_READ:
		work->wait_read = waits;
		break;
	case WAIT_PLACE:
		work->wait_place = waits;
		break;
	case WAIT_ASK:
		work->ask = waits ? ASK_WAITING : ASK_NONE;
		break;
	}
}

static bool
wait_end(struct work *work, enum wait wait)
{
	bool waited = is_waiting(work, wait);

	if (waited)
		set_waiting(work, wait, false);
	return waited;
}

// Only blocks that still wait stay on the list, each once.
static void
key_list_prune(struct core *core, struct key_list *list, enum wait wait)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < list->count; i++) {
		struct entry *entry = table_find(&core->table, list->keys[i]);
		struct work *work = entry != NULL ? table_work(&core->table, entry) : NULL;

		if (work != NULL && wait_end(work, wait))
			list->keys[kept++] = list->keys[i];
	}
	list->count = kept;
	for (uint32_t i = 0; i < kept; i++)
		set_waiting(table_work(&core->table, table_find(&core->table, list->keys[i])), wait, true);
}

void
key_list_wait(struct core *core, struct key_list *list, const struct entry *entry, enum wait wait)
{
	struct work *work = table_work(&core->table, entry);

	if (is_waiting(work, wait))
		return;
	set_waiting(work, wait, true);
	// Blocks that nobody wants any more would stay until their turn comes: not too many of them.
	if (list->count > 2 * core->table.works.used + LIMIT_RUN_BLOCKS)
		key_list_prune(core, list, wait);
	key_list_add(list, entry->key);
}

void
key_list_touch_first(struct core *core, struct key_list *list, enum wait wait, uint64_t count)
{
	uint32_t some = count < list->count ? (uint32_t)count : list->count;

	for (uint32_t i = 0; i < some; i++) {
		struct entry *entry = table_find(&core->table, list->keys[i]);
		struct work *work = entry != NULL ? table_work(&core->table, entry) : NULL;

		if (work != NULL && wait_end(work, wait))
			table_touch(&core->table, entry);
	}
	list->count -= some;
	if (list->count > 0)
		memmove(list->keys, list->keys + some, list->count * sizeof(*list->keys));
}

void
key_list_touch(struct core *core, struct key_list *list, enum wait wait)
{
	key_list_touch_first(core, list, wait, list->count);
}

void
core_trace(struct core *core, const char *format, ...)
{
	char text[256], line[640];
	va_list args;

	if (core->config.trace == NULL)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	snprintf(line, sizeof(line), "[%6llu] %s > %s", (unsigned long long)(core->now / 1000), core->name, text);
	core->config.trace(core->config.trace_arg, line);
}

void
core_wake(struct core *core, moment_us at)
{
	if (at < core->deadline)
		core->deadline = at;
}

moment_us
entry_lease_end(const struct core *core, const struct entry *entry)
{
	return core->started + ((moment_us)entry->expiry << EXPIRY_SHIFT);
}

bool
volume_is_below(const struct volume *volume, uint64_t node_id)
{
	for (uint32_t i = 0; i < volume->way_up_count; i++)
		if (volume->above[i] == node_id)
			return true;
	return false;
}

enum perm
entry_held(const struct core *core, const struct entry *entry)
{
	const struct volume *volume = entry_volume(core, entry);

	if (volume->is_root)
		return PERM_WRITE;
	if (core->config.bug != BUG_SKIP_LEASE &&
	    (volume->lease_end <= core->now || entry_lease_end(core, entry) <= core->now))
		return PERM_NO;
	return entry->held;
}

void
entry_set_held(struct core *core, struct entry *entry, enum perm held)
{
	struct volume *volume = entry_volume(core, entry);

	volume->held_read -= entry->held == PERM_READ;
	volume->held_write -= entry->held == PERM_WRITE;
	entry->held = (uint32_t)held & 3;
	entry->stale &= held != PERM_NO || entry->copy != COPY_ABSENT;
	volume->held_read += held == PERM_READ;
	volume->held_write += held == PERM_WRITE;
}

version_t
entry_newest(const struct core *core, const struct entry *entry)
{
	const struct work *work = table_work(&core->table, entry);

	return entry->stale && work != NULL && work->version_above > entry->version ? work->version_above : entry->version;
}

bool
entry_readable(const struct core *core, const struct entry *entry)
{
	if (entry->copy == COPY_ABSENT || entry->stale || entry_held(core, entry) < PERM_READ)
		return false;
	return entry->dir == 0 || directory_max(&core->directory, entry, -1) < PERM_WRITE;
}

bool
entry_is_hint(const struct core *core, const struct entry *entry)
{
	return entry->copy == COPY_CLEAN && entry->held == PERM_NO && !entry_volume(core, entry)->is_root;
}

struct entry *
entry_make(struct core *core, struct volume *volume, uint64_t block)
{
	struct entry *entry = table_make(&core->table, block_key_make(volume->index, block), NULL);

	// In the grace time of a root nothing is known of the versions: claims tell (F6).
	if (entry->version == 0 && !claim_in_grace(core, volume))
		entry->version = volume->version_floor;
	return entry;
}

void
entry_release_later(struct core *core, struct entry *entry)
{
	if (entry->releasing)
		return;
	entry->releasing = 1;
	key_list_add(&core->released, entry->key);
}

void
entry_rest(struct core *core, struct entry *entry)
{
	struct volume *volume = entry_volume(core, entry);

	if (entry->copy < COPY_UNSTABLE)
		journaled_forget(core, entry);
	if (!table_work_rest(&core->table, entry) || entry->copy != COPY_ABSENT || entry->dir != 0)
		return;
	if (entry->held != PERM_NO) {
		entry_release_later(core, entry);
		return;
	}
	if (entry->version != 0 && volume->is_root && (volume->in_grace || volume->early_claims > 0))
		return; // what has come since the root was started counts when claims are decided (stored_rest)
	if (entry->version > volume->version_floor)
		volume->version_floor = entry->version;
	table_remove(&core->table, entry);
}

void
entry_put_copy(struct core *core, struct entry *entry, struct buf *buf, enum copy copy)
{
	CHECK(copy == COPY_CLEAN || copy == COPY_DIRTY);
	if (entry->copy == COPY_UNSTABLE)
		unstable_forget(core, entry);
	entry->copy = (uint32_t)copy & 3;
	entry->stale = 0;
	entry->ahead = 0;
	entry_set_pushed(core, entry, false);
	core->copies.ops->put(core->copies.self, entry->key, buf, copy == COPY_DIRTY);
}

void
entry_dirty_copy(struct core *core, struct entry *entry)
{
	if (entry->copy == COPY_UNSTABLE)
		unstable_forget(core, entry);
	else if (entry->copy != COPY_DIRTY)
		core->copies.ops->set_dirty(core->copies.self, entry->key, true);
	entry->copy = COPY_DIRTY;
	entry_used(core, entry);
}

void
entry_set_pushed(struct core *core, struct entry *entry, bool pushed)
{
	if (entry->pushed == pushed)
		return;
	entry->pushed = pushed;
	entry_volume(core, entry)->pushed += pushed ? 1 : UINT64_MAX;
}

void
entry_ahead_lost(struct core *core, struct entry *entry)
{
	struct volume *volume = entry_volume(core, entry);
	struct stream *stream;

	if (!entry->ahead)
		return;
	entry->ahead = 0;
	volume->ahead_lost++;
	stream = stream_over(&volume->streams, block_key_block(entry->key));
	if (stream != NULL)
		stream->lost = true;
}

void
entry_drop_copy(struct core *core, struct entry *entry)
{
	version_t newest = entry_newest(core, entry);

	CHECK(entry->copy != COPY_DIRTY);
	if (entry->copy == COPY_ABSENT)
		return;
	entry->version = newest;
	journaled_forget(core, entry);
	if (entry->copy == COPY_UNSTABLE)
		unstable_forget(core, entry);
	entry->copy = COPY_ABSENT;
	entry->stale &= entry->held != PERM_NO;
	entry_set_pushed(core, entry, false);
	entry_ahead_lost(core, entry);
	core->copies.ops->drop(core->copies.self, entry->key);
}

bool
entry_in_memory(const struct core *core, const struct entry *entry)
{
	return entry->copy != COPY_ABSENT && core->copies.ops->peek(core->copies.self, entry->key) != NULL;
}

bool
entry_bytes_ready(struct core *core, struct entry *entry)
{
	struct volume *volume = entry_volume(core, entry);
	struct work *work = table_work(&core->table, entry);

	CHECK(entry->copy != COPY_ABSENT && work != NULL);
	if (entry_in_memory(core, entry))
		return true;
	if (work->loading)
		return false;
	if (volume->reading >= READ_WINDOW) {
		key_list_wait(core, &volume->read_wait, entry, WAIT_READ);
		return false;
	}
	if (core->copies.ops->ready(core->copies.self, entry->key, volume->pool))
		return true;
	work->loading = true;
	volume->reading++;
	return false;
}

void
entry_drop_unless_in_memory(struct core *core, struct entry *entry)
{
	if (entry->copy == COPY_CLEAN && !entry_in_memory(core, entry))
		entry_drop_copy(core, entry);
}

void
entry_loaded(struct core *core, block_key key)
{
	struct entry *entry = table_find(&core->table, key);
	struct work *work = entry != NULL ? table_work(&core->table, entry) : NULL;

	CHECK(work != NULL && work->loading);
	work->loading = false;
	entry_volume(core, entry)->reading--;
	table_touch(&core->table, entry);
}

void
entry_adopt_copy(struct core *core, struct entry *entry)
{
	CHECK(entry->copy == COPY_ABSENT);
	if (core->copies.ops->adopt(core->copies.self, entry->key, entry_volume(core, entry)->block_size))
		entry->copy = COPY_CLEAN;
}

void
volume_told_epoch(struct volume *volume, uint32_t epoch, bool is_news)
{
	if (is_news && epoch != 0 && epoch < volume->epoch)
		volume->told_epoch = 0; // the children have to hear that, too
	if (epoch > volume->epoch || (is_news && epoch != 0))
		volume->epoch = epoch;
	if (is_news && volume->parent_is_root && version_epoch(volume->version_floor) > volume->epoch)
		volume->version_floor = version_make(volume->epoch, 0);
}

bool
entry_is_on_its_way(const struct core *core, const struct entry *entry)
{
	const struct work *work = table_work(&core->table, entry);

	return work != NULL && work->flushing && work->flush_version == entry->version;
}

version_t
entry_next_version(struct core *core, const struct entry *entry)
{
	struct work *work = table_work(&core->table, entry);
	version_t epoch = version_make(entry_volume(core, entry)->epoch, 0), newest = entry_newest(core, entry);

	// R11: the same version as long as nobody has seen it.
	if (entry->copy == COPY_DIRTY && (work->in_dirty || work->again) && !work->exposed && work->gap == 0 &&
	    !entry_is_on_its_way(core, entry))
		return entry->version;
	if (work != NULL) {
		work->exposed = false;
		if (entry->copy != COPY_ABSENT)
			gaps_note(core, entry->key, (struct gap){entry->version, work->gap});
		newest = work->gap > newest ? work->gap : newest;
		work->gap = 0;
	}
	return (newest > epoch ? newest : epoch) + 1;
}
