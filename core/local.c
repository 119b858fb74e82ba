// SPDX-License-Identifier: MIT
// A request on many blocks is many requests on one block each (R10): what can be served at once is, in the step in
// which the request arrives; for every other block a want joins that block's queue. The request ends when its last
// block does.
#include "core/local.h"
#include "core/check.h"
#include "core/claim.h"
#include "core/dirty.h"
#include "core/journaled.h"
#include "core/readahead.h"
#include "core/writeback.h"

static struct volume *
io_volume(const struct core *core, const struct io *io)
{
	CHECK(io->volume < core->volume_count);
	return core->volumes[io->volume];
}

static bool
covers_block(const struct volume *volume, const struct io *io, uint64_t index)
{
	uint64_t start = (io->first + index) * volume->block_size;

	return io->offset <= start && io->offset + io->size >= start + volume->block_size;
}

static bool
is_write(const struct io *io)
{
	return io->kind == IO_WRITE || io->kind == IO_ZERO;
}

static bool
is_sync(const struct core *core, const struct io *io)
{
	return io->force_sync || core->config.write_mode != WRITE_ASYNC;
}

static struct io *
io_enqueue(struct core *core, struct io *io)
{
	io->queued = true;
	io->next = NULL;
	io->prev = core->io_tail;
	if (core->io_tail != NULL)
		core->io_tail->next = io;
	else
		core->io_head = io;
	core->io_tail = io;
	if (core->config.io_timeout_ms != 0)
		core_wake(core, moment_after_ms(io->started, core->config.io_timeout_ms));
	return io;
}

static void
io_dequeue(struct core *core, struct io *io)
{
	if (!io->queued)
		return;
	io->queued = false;
	if (io->prev != NULL)
		io->prev->next = io->next;
	else
		core->io_head = io->next;
	if (io->next != NULL)
		io->next->prev = io->prev;
	else
		core->io_tail = io->prev;
}

static void
io_unlink_want(struct core *core, struct io *io, struct want *want)
{
	CHECK(io->wants != 0);
	if (want->io_prev != 0)
		table_want(&core->table, want->io_prev)->io_next = want->io_next;
	else
		io->wants = want->io_next;
	if (want->io_next != 0)
		table_want(&core->table, want->io_next)->io_prev = want->io_prev;
	want->io_next = want->io_prev = 0;
}

void
local_finish(struct core *core, struct io *io, enum hvfs_error error)
{
	struct action *action;

	io_dequeue(core, io);
	action = actions_add(core->actions, ACTION_IO_DONE);
	action->io = io;
	action->error = error;
	action->valid_until = MOMENT_NEVER;
	if (is_write(io) && !io_volume(core, io)->is_root && core->config.bug != BUG_SKIP_LEASE)
		action->valid_until = io_volume(core, io)->lease_end;
}

// False: the bytes are not in memory.
static bool
serve_read(struct core *core, struct entry *entry, struct io *io, uint64_t index)
{
	struct buf *buf = core->copies.ops->get(core->copies.self, entry->key);
	struct action *action;

	if (buf == NULL)
		return false;
	action = actions_add(core->actions, ACTION_IO_READ);
	entry_used(core, entry);
	action->io = io;
	action->index = (uint32_t)index;
	action->buf = buf_ref(buf);
	return true;
}

// The bytes of ${io} over those of ${old} (NULL: the whole block is written) into a buffer that nobody else has.
static struct buf *
fill(struct core *core, struct volume *volume, struct io *io, uint64_t index, struct buf *old)
{
	bool whole = covers_block(volume, io, index);
	struct action *action;
	struct buf *buf;

	if (whole && io->kind == IO_ZERO)
		return buf_zero();
	buf = old != NULL && !buf_is_shared(old) ? buf_ref(old) : buf_alloc(volume->pool);
	buf_set_proof(buf, NULL, 0); // of what it was
	action = actions_add(core->actions, ACTION_IO_FILL);
	action->io = io;
	action->index = (uint32_t)index;
	action->old = whole ? NULL : buf_ref(old);
	action->buf = buf_ref(buf);
	return buf;
}

static void
apply_write(struct core *core, struct entry *entry, struct io *io, uint64_t index)
{
	struct volume *volume = entry_volume(core, entry);
	enum copy was = entry->copy;
	struct buf *old = was != COPY_ABSENT ? core->copies.ops->get(core->copies.self, entry->key) : NULL;
	struct buf *buf;

	CHECK(covers_block(volume, io, index) || old != NULL);
	buf = fill(core, volume, io, index, old);
	entry->version = entry_next_version(core, entry);
	if (buf == old)
		entry_dirty_copy(core, entry); // changed in place
	else
		entry_put_copy(core, entry, buf, COPY_DIRTY);
	buf_unref(buf);
	dirty_mark(core, entry, was);
	table_work(&core->table, entry)->filled = core->step;
	table_work(&core->table, entry)->read_stale = table_work(&core->table, entry)->store_reading;
}

static bool
may_serve(const struct core *core, const struct entry *entry)
{
	const struct work *work;

	if (entry == NULL || entry->work == 0)
		return entry != NULL;
	work = table_work(&core->table, entry);
	return work->want_head == 0 && !work->recall_open && !work->claim && work->claim_head == 0 &&
	       work->settles == 0; // behind those who came before (R9)
}

static bool
may_write_now(const struct core *core, const struct entry *entry, const struct io *io, uint64_t index)
{
	const struct volume *volume = entry_volume(core, entry);

	return entry_held(core, entry) == PERM_WRITE && entry->dir == 0 && !is_sync(core, io) &&
	       (covers_block(volume, io, index) || entry_in_memory(core, entry)) && !entry->stale &&
	       dirty_room_for(core, entry);
}

// Serve block ${index} of ${io} now, if nothing stands against it.
static bool
serve_now(struct core *core, struct volume *volume, struct io *io, uint64_t index)
{
	struct entry *entry = table_find(&core->table, block_key_make(volume->index, io->first + index));

	if (claim_in_grace(core, volume))
		return false;
	if (entry == NULL && volume->is_root && is_write(io) && covers_block(volume, io, index))
		entry = entry_make(core, volume, io->first + index);
	if (!may_serve(core, entry))
		return false;
	if (io->kind == IO_READ) {
		if (!entry_readable(core, entry) || !serve_read(core, entry, io, index))
			return false;
		volume->read_hits++;
		return true;
	}
	if (!may_write_now(core, entry, io, index))
		return false;
	apply_write(core, entry, io, index);
	volume->write_hits++;
	return true;
}

static void
want_block(struct core *core, struct volume *volume, struct io *io, uint64_t index)
{
	struct entry *entry = entry_make(core, volume, io->first + index);
	enum want_kind kind = io->kind == IO_READ ? WANT_READ : WANT_WRITE;
	uint32_t want_index;
	struct want *want;

	if (kind == WANT_READ)
		readahead_awaited(core, volume, io, entry);
	want = table_want_add(&core->table, entry, kind, kind == WANT_READ ? PERM_READ : PERM_WRITE, &want_index);
	want->io = io;
	want->sync = is_write(io) && is_sync(core, io);
	want->semi = core->config.write_mode == WRITE_SEMI_SYNC && !io->force_sync;
	want->hops_left = LIMIT_HOPS;
	want->io_next = io->wants;
	if (io->wants != 0)
		table_want(&core->table, io->wants)->io_prev = want_index;
	io->wants = want_index;
	table_touch(&core->table, entry);
}

static void
local_issue(struct core *core, struct volume *volume, struct io *io)
{
	while (io->issued < io->count && io->issued - io->done < IO_WINDOW) {
		uint64_t index = io->issued++;

		if (serve_now(core, volume, io, index))
			io->done++;
		else
			want_block(core, volume, io, index);
	}
}

static enum hvfs_error
io_refusal(const struct core *core, const struct volume *volume, const struct io *io)
{
	if (volume->aborted)
		return ERR_ABORTED;
	if (volume->state != VOLUME_READY && !volume->announced)
		return ERR_NO_VOLUME;
	if (io->kind == IO_SYNC)
		return ERR_OK;
	if (core->stop != STOP_NO)
		return ERR_SHUT_DOWN;
	if (io->size == 0 || io->offset >= volume->size || io->size > volume->size - io->offset)
		return ERR_OUT_OF_RANGE;
	if (is_write(io) && volume->read_only)
		return ERR_READ_ONLY;
	return ERR_OK;
}

// Has the parent been away for too long, or does nobody give us the volume? The moment at which it will be so, else.
static moment_us
cut_off_limit(const struct core *core, const struct volume *volume)
{
	if (volume->denied)
		return core->now;
	if (volume->is_root || volume->connected || core->config.disconnect_ms == DISCONNECT_WAIT)
		return MOMENT_NEVER;
	return moment_after_ms(volume->cut_off_at, core->config.disconnect_ms);
}

// Does the request wait for the parent, which is away, and may it wait no longer?
static bool
is_cut_off(const struct core *core, const struct io *io)
{
	return cut_off_limit(core, io_volume(core, io)) <= core->now;
}

static enum hvfs_error
cut_off_error(const struct volume *volume)
{
	return volume->denied ? ERR_DENIED : ERR_CUT_OFF;
}

// A fsync waits for the root, unless it was asked for less by name (G2).
static void
submit_sync(struct core *core, struct volume *volume, struct io *io)
{
	if (journaled_suffices(core, volume) && !io->force_sync) {
		journaled_sync(core, volume, io_enqueue(core, io));
		return;
	}
	if (core->config.durability == DURABILITY_LOCAL && !io->force_sync) {
		enum hvfs_error error = volume->lost ? ERR_LOST : ERR_OK;

		if (volume->lost)
			writeback_tell_lost(core, volume, error);
		volume->lost = false;
		local_finish(core, io, error);
		return;
	}
	io_enqueue(core, io);
	if ((barrier_add(core, volume, io, -1, 0)->count > 0 || volume->unsynced) && is_cut_off(core, io))
		local_cancel(core, io, cut_off_error(volume));
}

void
local_submit(struct core *core, struct io *io)
{
	struct volume *volume = io_volume(core, io);
	enum hvfs_error error = io_refusal(core, volume, io);

	io->started = core->now;
	if (error != ERR_OK) {
		local_finish(core, io, error);
		return;
	}
	if (io->kind == IO_SYNC) {
		submit_sync(core, volume, io);
		return;
	}
	io->first = io->offset / volume->block_size;
	io->count = (io->offset + io->size - 1) / volume->block_size - io->first + 1;
	if (is_write(io))
		volume->writes++;
	else
		volume->reads++;
	local_issue(core, volume, io);
	if (io->done == io->count)
		local_finish(core, io, ERR_OK);
	else if (is_cut_off(core, io))
		local_cancel(core, io_enqueue(core, io), cut_off_error(volume));
	else
		io_enqueue(core, io);
	if (io->kind == IO_READ)
		readahead_after(core, volume, io);
}

void
local_cancel(struct core *core, struct io *io, enum hvfs_error error)
{
	if (!io->queued)
		return;
	while (io->wants != 0) {
		struct want *want = table_want(&core->table, io->wants);

		io_unlink_want(core, io, want);
		want->kind = WANT_NONE;
		want->io = NULL;
		table_touch(&core->table, table_entry(&core->table, want->entry));
	}
	if (io->kind == IO_SYNC) {
		journaled_cancel(io_volume(core, io), io);
		barrier_cancel(core, io_volume(core, io), io);
	}
	local_finish(core, io, error);
}

bool
local_needs_data(const struct core *core, const struct entry *entry, const struct want *want)
{
	if (want->kind != WANT_WRITE)
		return true;
	return !want->applied &&
	       !covers_block(entry_volume(core, entry), want->io, block_key_block(entry->key) - want->io->first);
}

bool
local_perform(struct core *core, struct entry *entry, struct want *want)
{
	struct volume *volume = entry_volume(core, entry);
	uint64_t index;

	if (want->kind == WANT_PREFETCH) {
		entry->ahead |= want->perm == PERM_READ; // for WRITE it was not for a reader, and there may be nothing by now
		return true;
	}
	index = block_key_block(entry->key) - want->io->first;
	if (want->kind == WANT_READ) {
		CHECK(serve_read(core, entry, want->io, index));
		return true;
	}
	if (want->applied)
		return true;
	apply_write(core, entry, want->io, index);
	if (!want->sync || volume->is_root)
		return true;
	want->applied = true;
	want->version = entry->version;
	dirty_urge(core, entry);
	return false;
}

struct buf *
local_put_bytes(struct core *core, const struct entry *entry, struct want *want)
{
	struct volume *volume = entry_volume(core, entry);
	uint64_t index;

	if (want->kind != WANT_WRITE || !want->sync || want->applied || (!volume->parent_is_root && want->doubt.until == 0))
		return NULL;
	if (volume->sealed)
		return NULL; // what has no version yet can not be told from what was written before (S35): first WRITE, then FLUSH
	index = block_key_block(entry->key) - want->io->first;
	if (!covers_block(volume, want->io, index))
		return NULL;
	if (want->buf == NULL)
		want->buf = fill(core, volume, want->io, index, NULL);
	return want->buf;
}

void
local_block_done(struct core *core, struct want *want, enum hvfs_error error)
{
	struct io *io = want->io;

	if (io == NULL)
		return;
	io_unlink_want(core, io, want);
	io->done++;
	if (error != ERR_OK && io->error == ERR_OK)
		io->error = error;
	if (io->issued < io->count && io->error == ERR_OK)
		local_issue(core, io_volume(core, io), io);
	if (io->done == (io->error == ERR_OK ? io->count : io->issued))
		local_finish(core, io, io->error);
}

void
local_abort(struct core *core, struct volume *volume)
{
	struct io *next;

	volume->aborted = true;
	for (struct io *io = core->io_head; io != NULL; io = next) {
		next = io->next;
		if (io->volume == volume->index)
			local_cancel(core, io, ERR_ABORTED);
	}
}

void
local_lost(struct core *core, const struct volume *volume)
{
	for (struct io *io = core->io_head; io != NULL; io = io->next)
		if (io->volume == volume->index && is_write(io) && io->done > 0 && io->error == ERR_OK)
			io->error = ERR_LOST;
}

static void
expire_cut_off(struct core *core)
{
	struct io *next;

	for (uint32_t i = 0; i < core->volume_count; i++) {
		moment_us limit = cut_off_limit(core, core->volumes[i]);

		if (limit > core->now) {
			core_wake(core, limit);
			continue;
		}
		for (struct io *io = core->io_head; io != NULL; io = next) {
			next = io->next;
			if (io->volume == i)
				local_cancel(core, io, cut_off_error(core->volumes[i]));
		}
	}
}

void
local_expire(struct core *core)
{
	uint64_t limit = (uint64_t)core->config.io_timeout_ms * 1000;

	expire_cut_off(core);
	if (limit == 0)
		return;
	while (core->io_head != NULL && core->io_head->started + limit <= core->now)
		local_cancel(core, core->io_head, ERR_TIMED_OUT);
	if (core->io_head != NULL)
		core_wake(core, core->io_head->started + limit);
}
