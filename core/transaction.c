// SPDX-License-Identifier: MIT
// A block's transaction has no program counter. It consists of what is true: the recall that is open from above, the
// FIFO of wants, what is held, what the children have, which requests are under way. transaction_advance compares that
// with what the first in the queue needs:
//
//   1. An open recall is served first, whoever waits (R4): children down to what it leaves, flush, give up, answer.
//   From
//      the moment it arrived, what it takes counts as gone (R18).
//   2. The first want needs: permission from the parent >= its own; no conflicting child; the bytes, if it needs them.
//      What is missing is asked for on both sides at once; asking twice is impossible, as each side remembers.
//   3. When nothing is missing, the operation happens at once, in the step that removed the last obstacle (R9).
#include "core/transaction.h"
#include "core/check.h"
#include "core/claim.h"
#include "core/client.h"
#include "core/dirty.h"
#include "core/local.h"
#include "core/put_again.h"
#include "core/recall.h"
#include "core/recovery.h"
#include "core/root.h"
#include "core/server.h"
#include "core/writeback.h"

static bool
is_local(const struct want *want)
{
	return want->kind <= WANT_PREFETCH;
}

static bool
needs_data(const struct core *core, const struct entry *entry, const struct want *want)
{
	return is_local(want) ? local_needs_data(core, entry, want) : server_needs_data(core, entry, want);
}

// A child that has WRITE and asks for no bytes has what is newer than ours, or somebody below it has (for whom it asks by a PUT, if it
// has no copy).
static bool
has_newer(const struct core *core, const struct entry *entry, const struct want *want)
{
	bool without_bytes = want->kind == WANT_LOCK || (want->kind == WANT_PUT && want->buf == NULL);
	const struct dir_record *record = without_bytes ? directory_find(&core->directory, entry, want->child) : NULL;

	return record != NULL && record->perm == PERM_WRITE;
}

static enum perm
held_now(const struct core *core, const struct entry *entry, const struct work *work)
{
	enum perm held = entry_held(core, entry);

	if (work->recall_open && held > work->recall_perm)
		held = work->recall_perm;
	return held;
}

// Ask the parent, or at a root the store.
static void
ask(struct core *core, struct entry *entry, struct want *want, bool data)
{
	struct buf *buf = NULL;

	if (entry_volume(core, entry)->is_root) {
		root_read(core, entry, want);
		return;
	}
	if (want->kind == WANT_WRITE)
		buf = local_put_bytes(core, entry, want);
	client_ask(core, entry, want, data, buf);
}

static bool
puts_bytes(const struct want *want)
{
	return want->sync && !want->applied && want->kind == WANT_WRITE;
}

static bool
needs_dirty_room(struct core *core, struct entry *entry, const struct want *want)
{
	struct volume *volume = entry_volume(core, entry);

	if (want->kind != WANT_WRITE || want->applied || dirty_room_for(core, entry))
		return false;
	key_list_wait(core, &volume->dirty_wait, entry, WAIT_DIRTY);
	return true;
}

// Versions that a writer who fell silent may have used are not used again (R11): the bytes that he had before he wrote get one
// beyond them, before anybody else below may write. (A write of this host gets it itself.)
static bool
closes_gap(const struct work *work, const struct want *want)
{
	return work->gap != 0 && want->perm == PERM_WRITE && want->kind != WANT_WRITE;
}

// The bytes that ${want} needs, of the copy that there is. A child that has the same ones needs none of ours, unless they
// get a new version.
static bool
bytes_ready(struct core *core, struct entry *entry, const struct work *work, const struct want *want)
{
	if (!is_local(want) && !closes_gap(work, want) && !entry_in_memory(core, entry) &&
	    server_has_same_bytes(core, entry, want))
		return true;
	return entry_bytes_ready(core, entry);
}

static bool
want_ready(struct core *core, struct entry *entry, struct work *work, struct want *want)
{
	int except = is_local(want) ? -1 : want->child;
	enum perm held = held_now(core, entry, work);
	bool data = needs_data(core, entry, want) || closes_gap(work, want) ||
		    (entry->stale && !has_newer(core, entry, want)); // also of what is written over, for its version
	bool absent = entry->copy == COPY_ABSENT || entry->stale || entry_is_hint(core, entry);
	bool clear = true;

	if (want->kind == WANT_PREFETCH && want->perm == PERM_WRITE && work->gap == 0)
		return true; // somebody has written since
	if (want->applied && is_local(want)) // the bytes are in the copy; only their acknowledgement is missing
		return dirty_accepted(core, entry, want->version);
	// R9: what it asks for it could not use, nor keep from others who ask.
	if (needs_dirty_room(core, entry, want))
		return false;
	if (!is_local(want) && (held < want->perm || (data && absent)) && !server_may_grant(core, entry, want, data))
		return false;
	if (core->config.bug != BUG_GRANT_BEFORE_RECALL)
		clear = recall_children(core, entry, except, want->perm == PERM_WRITE ? PERM_NO : PERM_READ);
	if (held < want->perm) {
		// A PUT with bytes takes effect above: only when nobody below can read the old ones any more.
		if (clear || !puts_bytes(want))
			ask(core, entry, want, data && absent);
		return false;
	}
	if (data && absent) {
		if (directory_max(&core->directory, entry, except) < PERM_WRITE)
			ask(core, entry, want, true);
		return false;
	}
	if (!clear)
		return false;
	if (data && !bytes_ready(core, entry, work, want))
		return false;
	if (!is_local(want)) {
		if (!server_worth_granting(core, entry)) {
			ask(core, entry, want, data && absent);
			return false;
		}
		return server_may_grant(core, entry, want, data);
	}
	return true;
}

static void
want_end(struct core *core, struct entry *entry)
{
	uint32_t index = table_want_pop(&core->table, entry);

	buf_unref(table_want(&core->table, index)->buf);
	pool_free(&core->table.wants, index);
}

static bool
want_perform(struct core *core, struct entry *entry, struct want *want)
{
	if (closes_gap(table_work(&core->table, entry), want)) {
		enum copy was = entry->copy;

		entry->version = entry_next_version(core, entry);
		entry_dirty_copy(core, entry);
		dirty_mark(core, entry, was);
	}
	if (!is_local(want))
		return server_perform(core, entry, want);
	if (!local_perform(core, entry, want))
		return false;
	if (want->kind != WANT_PREFETCH)
		local_block_done(core, want, ERR_OK);
	return true;
}

// What it waited for was refused above, or the store failed.
static void
want_fail(struct core *core, struct entry *entry, struct want *want, enum status status)
{
	if (want->kind == WANT_READ || want->kind == WANT_WRITE)
		local_block_done(core, want, status == STATUS_READ_ONLY ? ERR_READ_ONLY : ERR_IO);
	else if (!is_local(want))
		server_refuse(core, entry, want, status);
}

static bool
flush_waits(struct core *core, const struct entry *entry, const struct want *want)
{
	struct volume *volume = entry_volume(core, entry);

	if (want->sync || want->forward)
		return !dirty_accepted(core, entry, want->version);
	if (!want->roomless || dirty_room(core, volume))
		return false;
	key_list_wait(core, &volume->dirty_wait, entry, WAIT_DIRTY);
	return true;
}

// FLUSHes of children whose answer waits until their bytes are above, or until there is room.
static void
answer_flushes(struct core *core, struct entry *entry, struct work *work)
{
	uint32_t *link = &work->sync_head;

	while (*link != 0) {
		uint32_t index = *link;
		struct want *want = table_want(&core->table, index);

		if (!work->sync_failed && flush_waits(core, entry, want)) {
			link = &want->next;
			continue;
		}
		*link = want->next;
		server_flush_reply(core, entry, want, !work->sync_failed);
		pool_free(&core->table.wants, index);
	}
	work->sync_failed = false;
}

// A child's request for a frozen block is not kept waiting: it asks again (F1, S23).
static bool
is_frozen_for(struct core *core, struct entry *entry, const struct want *want)
{
	if (is_local(want) || want->applied || !recall_is_frozen(core, entry, want->child))
		return false;
	recall_children(core, entry, want->child, PERM_NO); // an eviction begins when it may
	return true;
}

// A child whose link is about to be closed asks again on the next one, when it has said what it holds: what it is granted before,
// it would take for what goes on from there.
static bool
give_up(const struct core *core, const struct want *want)
{
	struct child *child;

	if (want->kind < WANT_GET || want->kind > WANT_LOCK)
		return false;
	child = core->children[want->child];
	if (child->link < 0 || !core->links[child->link]->closing)
		return false;
	child->pending--;
	return true;
}

static void
transaction_advance(struct core *core, struct entry *entry)
{
	struct work *work = table_work(&core->table, entry);
	bool ended_only = false, claimed;

	if (work->claim)
		recovery_claim(core, entry);
	put_again_advance(core, entry);
	// Who claims a block that we hold has it: the recall has to reach him, too.
	claimed = claim_advance(core, entry);
	if (work->revoked)
		recall_revoked(core, entry);
	if (core->stop != STOP_NO)
		recall_children(core, entry, -1, PERM_NO);
	if (work->recall_open && (entry->held != PERM_WRITE || !claim_decides(core, work) || claim_leaves(core, entry)) &&
	    recall_children(core, entry, -1, work->recall_perm)) {
		client_answer_recall(core, entry);
		if (!claimed)
			table_touch(&core->table, entry); // claims may be passed on now
	}
	if (!claimed || work->claim || work->settles != 0 || claim_in_grace(core, entry_volume(core, entry)))
		ended_only = true; // who comes before the claims are decided, and what they brought is durable, waits
	else if (entry->version == 0)
		entry->version = entry_volume(core, entry)->version_floor; // nobody has claimed it in a grace time
	while (work->want_head != 0) {
		struct want *want = table_want(&core->table, work->want_head);

		if (want->kind == WANT_NONE || give_up(core, want)) {
			want_end(core, entry);
			continue;
		}
		if (want->lost) {
			want_fail(core, entry, want, STATUS_STORE_ERROR);
			want_end(core, entry);
			continue;
		}
		// Who asked may have left meanwhile: it is nothing to those behind him.
		// Nor is it to who wants to read, if WRITE was refused, which was asked for because it was held (A4).
		if (work->failed_status == STATUS_READ_ONLY && want->perm < PERM_WRITE)
			work->failed_status = STATUS_NONE;
		if (work->failed_status != STATUS_NONE && want->asks) {
			want_fail(core, entry, want, work->failed_status);
			work->failed_status = STATUS_NONE;
			want_end(core, entry);
			continue;
		}
		if ((ended_only && !want->applied) || put_again_holds(work, want))
			break;
		work->put_late = false;
		if (is_frozen_for(core, entry, want)) {
			server_refuse(core, entry, want, STATUS_IN_RECOVERY);
			want_end(core, entry);
			continue;
		}
		if (!want_ready(core, entry, work, want))
			break;
		if (want->doubtful)
			put_again_answered(want); // it begins anew
		if (!want_perform(core, entry, want))
			break;
		work->fresh = false;
		want_end(core, entry);
	}
	work->failed_status = STATUS_NONE;
	if (work->want_head != 0 && work->settles != 0 && !writeback_is_restoring(core, entry))
		writeback_restore(core, entry); // the sync that it waited for has failed
	if (work->sync_head != 0)
		answer_flushes(core, entry, work);
	if (work->want_head == 0) { // nobody wants it any more
		if (work->ask == ASK_WAITING)
			work->ask = ASK_NONE;
		work->wait_dirty = work->wait_dirty && work->sync_head != 0;
		work->wait_read = work->wait_place = false;
	}
}

void
transaction_drain(struct core *core)
{
	struct entry *entry;

	while ((entry = table_touched(&core->table)) != NULL) {
		if (entry->work != 0)
			transaction_advance(core, entry);
		entry_rest(core, entry);
	}
}
