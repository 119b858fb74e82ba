// SPDX-License-Identifier: MIT
// What children bring up: FLUSH of blocks and of volumes (R6, R14), FORWARD (R13).
#include "core/check.h"
#include "core/dirty.h"
#include "core/gaps.h"
#include "core/outbox.h"
#include "core/recovery.h"
#include "core/server.h"
#include "core/sealed.h"
#include "core/stored.h"

#include <string.h>

// R6: bytes from the holder of WRITE are taken at once, whatever else runs on the block.
void
server_absorb(struct core *core, struct entry *entry, const struct item *item)
{
	enum copy was = entry->copy;
	struct work *work = table_work_make(&core->table, entry);

	entry->version = item->version;
	entry->claimed = false;
	entry_put_copy(core, entry, item->kind == ITEM_ZERO ? buf_zero() : item->buf, COPY_DIRTY);
	work->read_stale = work->store_reading;
	work->exposed = true;
	dirty_mark(core, entry, was);
	if (!entry_volume(core, entry)->is_root && entry->held != PERM_WRITE && !work->claim)
		recovery_uncovered(core, entry);
}

// What was taken stays, as it has to (R6): with the next link he brings the rest, if there is room then.
void
server_brought(struct core *core, const struct child *child, struct entry *entry, const struct buf *buf)
{
	if (!dirty_brought(core, entry, buf != NULL && buf != buf_zero() ? child->peer : 0) && child->link >= 0)
		outbox_close_link(core, (uint32_t)child->link, "more than one peer may have on its way to the storage");
}

void
server_flush_reply(struct core *core, const struct entry *entry, const struct want *want, bool ok)
{
	struct child *child = core->children[want->child];

	server_answer_block(core, child, block_key_block(entry->key), want->xid, ok ? STATUS_NONE : STATUS_EVICTED);
}

static struct want *
waiting_add(struct core *core, struct work *work, enum want_kind kind)
{
	uint32_t index = pool_alloc(&core->table.wants);
	struct want *want = table_want(&core->table, index);

	want->kind = (uint8_t)kind;
	want->next = work->sync_head;
	work->sync_head = index;
	return want;
}

// A child that sends a block again does not wait for the answer to what it sent before.
static struct want *
flush_waiting(struct core *core, struct work *work, const struct child *child)
{
	for (uint32_t i = work->sync_head; i != 0; i = table_want(&core->table, i)->next) {
		struct want *want = table_want(&core->table, i);

		if (want->child == child->index && want->kind == WANT_NONE)
			return want;
	}
	return waiting_add(core, work, WANT_NONE);
}

// The answer waits until the bytes are above: a synchronous write, or more dirty blocks here than allowed.
static void
flush_wait(struct core *core, struct child *child, struct entry *entry, const struct message *message,
	   version_t version, bool sync)
{
	struct work *work = table_work_make(&core->table, entry);
	struct want *want = flush_waiting(core, work, child);

	if (want->forward) // what it asked to send on is not its newest any more
		server_answer_block(core, child, block_key_block(entry->key), want->xid, STATUS_NOT_HOLDER);
	want->forward = false;
	want->child = (uint16_t)child->index;
	want->xid = message->xid;
	want->version = version;
	want->entry = work->entry;
	want->sync = sync;
	want->roomless = !dirty_room(core, core->volumes[child->volume]);
	if (sync)
		dirty_urge(core, entry);
}

void
server_flush_wait(struct core *core, struct entry *entry, const struct want *claim, version_t version)
{
	struct work *work = table_work_make(&core->table, entry);
	struct want *want = waiting_add(core, work, WANT_RECOVER); // a child may pass on those of several claimants

	want->child = claim->child;
	want->xid = claim->xid;
	want->version = version;
	want->entry = work->entry;
	want->sync = true;
	dirty_urge(core, entry);
}

void
server_flush_block(struct core *core, struct child *child, struct entry *entry, const struct message *message, uint32_t i)
{
	struct volume *volume = core->volumes[child->volume];
	const struct item *item = &message->items[i];
	struct dir_record *record = directory_find(&core->directory, entry, (uint16_t)child->index);
	bool sync = (message->flags & FLAG_FORCE_SYNC) != 0 || child->sync;
	uint64_t block = message->block + i;

	if (!server_version_fits(volume, item->version)) {
		server_answer_block(core, child, block, message->xid, STATUS_BAD_PARAM_VALUE);
		return;
	}
	if (version_epoch(item->version) > volume->epoch) { // it has heard of it before us, or from a liar: the root knows
		server_answer_block(core, child, block, message->xid, STATUS_NOT_HOLDER);
		return;
	}
	// What is revoked was held in another session: since then somebody else below, or we, may have been granted the block.
	if (record == NULL || record->perm != PERM_WRITE ||
	    (record->revoked && (directory_writer(&core->directory, entry) != NULL || entry->held != PERM_NO))) {
		// The same bytes again after a reconnect, or somebody who no longer may.
		if (sync && item->version <= entry->version && !dirty_accepted(core, entry, item->version)) {
			flush_wait(core, child, entry, message, item->version, sync);
			return;
		}
		server_answer_block(core, child, block, message->xid,
			     item->version <= entry->version ? STATUS_NONE : STATUS_NOT_HOLDER);
		return;
	}
	if (item->kind == ITEM_EMPTY) {
		server_answer_block(core, child, block, message->xid, STATUS_MISSING_PARAM);
		return;
	}
	if (item->version > entry->version || (item->version == entry->version && entry->copy == COPY_ABSENT)) {
		if (entry->claimed) // he had those bytes, and may have written over them since
			stored_brought(volume, block, entry->version);
		gaps_note(core, entry->key, gaps_told(message));
		server_absorb(core, entry, item);
		stored_brought(volume, block, item->version);
	}
	record->used = true;
	if (message->perm < PERM_WRITE)
		directory_set(&core->directory, &child->dir, (uint16_t)child->index, entry, record->entry,
			      message->perm);
	if (!volume->is_root && ((sync && entry->copy == COPY_DIRTY) || !dirty_room(core, volume)))
		flush_wait(core, child, entry, message, entry->version, sync);
	else
		server_answer_block(core, child, block, message->xid, STATUS_NONE);
	server_brought(core, child, entry, item->kind == ITEM_DATA ? item->buf : NULL);
}

void
server_forward_block(struct core *core, struct child *child, const struct message *message, uint32_t i)
{
	struct entry *entry = entry_make(core, core->volumes[child->volume], message->block + i);
	version_t version = message->items[i].version;

	table_touch(&core->table, entry);
	child->forwarded = true;
	// What was passed on is above alone, and so may be what is clean here: that can be dropped at any time.
	if ((entry->copy < COPY_UNSTABLE || entry->stale || entry->version < version) && !core->volumes[child->volume]->is_root) {
		server_answer_block(core, child, message->block + i, message->xid, STATUS_NOT_HOLDER);
		return;
	}
	if (entry->copy != COPY_DIRTY || dirty_accepted(core, entry, version)) {
		server_answer_block(core, child, message->block + i, message->xid, STATUS_NONE);
		return;
	}
	flush_wait(core, child, entry, message, entry->version, false);
	flush_waiting(core, table_work(&core->table, entry), child)->forward = true;
	dirty_urge(core, entry);
}

void
server_barrier(struct core *core, struct child *child, const struct message *message)
{
	struct volume *volume = core->volumes[child->volume];

	if (barrier_of_child(volume, child) != NULL) {
		outbox_close_link(core, (uint32_t)child->link, "a barrier before the last one was answered");
		return;
	}
	if (child->lost == LOST_TOLD) {
		child->lost = LOST_NOTHING;
		volume->confirms_anew |= !volume->is_root;
		child->sync_failed = false;
	}
	volume->elsewhere |= (message->flags & FLAG_RECOVERY_OP) != 0 && !volume->is_root;
	child->covered = child->acknowledged;
	child->covered_at = core->now;
	barrier_add(core, volume, NULL, (int32_t)child->index, message->xid);
}

// How long ago ${then} was, or less: who is told may have a slower clock.
static uint32_t
ms_since(const struct core *core, moment_us then)
{
	uint64_t ms = (core->now - then) / 1000;

	ms -= ms / 32 + (ms % 32 != 0); // as much as for leases (T2)

	return ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
}

void
server_barrier_done(struct core *core, int32_t index, uint32_t generation, uint32_t xid, enum hvfs_error error)
{
	struct child *child = core->children[index];
	struct message *message;

	if (child->generation != generation || child->link < 0)
		return;
	if (error != ERR_OK) {
		message = outbox_error(core, (uint32_t)child->link, xid,
				       error == ERR_NO_SPACE ? STATUS_NO_SPACE : STATUS_STORE_ERROR, 0, 0);
		if (error == ERR_LOST) {
			message->present |= PRESENT(TTL);
			message->ttl_ms = ms_since(core, child->lost_at);
		}
		return;
	}
	child->synced = child->covered;
	child->unsynced_since = child->covered_at;
	message = outbox_message(core, (uint32_t)child->link, OP_OK_REPLY, xid);
	message->present = PRESENT(VOLUME_ID);
	message->volume_id = core->volumes[child->volume]->id;
}

bool
server_has_same_bytes(const struct core *core, const struct entry *entry, const struct want *want)
{
	const struct work *work = table_work(&core->table, entry);
	uint8_t digest[BLOCK_DIGEST_SIZE];

	return want->has_digest && (work == NULL || work->filled != core->step) && sealed_may_compare(core, entry) &&
	       core->copies.ops->digest(core->copies.self, entry->key, entry_volume(core, entry)->block_size, digest) &&
	       memcmp(digest, want->digest, BLOCK_DIGEST_SIZE) == 0;
}
