// SPDX-License-Identifier: MIT
// A parent that does not resume our session may be another node, the old one started anew, or one that has moved some
// of our blocks meanwhile. What is held for writing is claimed, block by block, naming under whose names it may be
// recorded above: the node that finds such a record moves it (claim.c). Until its claim is granted nobody uses a block,
// and no lease that covers it is given on. Bytes that were sent up, or are dirty without a permission, are sent with
// the claims (RECOVER with DATA): who decides takes them if they are newer than what it has. A root that was started anew
// does not know what it has: it takes only what was held to the end (PERMISSIONS READ), since nobody can have written over
// it; what was recalled before (NO) is with those who came after, or may be lost.
//
// Clean copies that were held for reading stay as hints: unreadable, until the parent has found their digest right (T5).
#include "core/recovery.h"
#include "core/check.h"
#include "core/claimant.h"
#include "core/client.h"
#include "core/dirty.h"
#include "core/eviction.h"
#include "core/gaps.h"
#include "core/let_go.h"
#include "core/outbox.h"
#include "core/put_again.h"
#include "core/recall.h"
#include "core/server.h"
#include "core/session.h"
#include "core/unstable.h"
#include "core/writeback.h"

moment_us
recovery_lease_end(const struct volume *volume)
{
	if (volume->claims_end_due && volume->claim_lease_end < volume->lease_end)
		return volume->claim_lease_end;
	return volume->lease_end;
}

bool
recovery_is_confirmed(const struct volume *volume)
{
	return volume->held_epoch == volume->epoch && volume->owed == 0;
}

// Under which names what is held now may be recorded above.
static void
name_present(const struct volume *volume, struct claimant *claimant)
{
	claimant_add_name(claimant, volume->node_id);
	if (volume->name_before != 0)
		claimant_add_name(claimant, volume->name_before);
	for (uint32_t i = 0; i < volume->above_count; i++)
		claimant_add_name(claimant, volume->above[i]);
}

static bool
has_resends(const struct core *core, const struct volume *volume)
{
	for (uint32_t i = 1; i < core->table.works.next; i++) {
		const struct work *work = pool_get(&core->table.works, i);

		if (pool_is_used(&core->table.works, i) && work->resend &&
		    block_key_volume(table_entry(&core->table, work->entry)->key) == volume->index)
			return true;
	}
	return false;
}

// A PUT whose fate is unknown is claimed before the claims end: with them goes the session that the block may be recorded for.
static bool
has_puts(const struct core *core, const struct volume *volume)
{
	for (uint32_t i = 1; i < core->table.works.next; i++) {
		const struct work *work = pool_get(&core->table.works, i);

		if (pool_is_used(&core->table.works, i) && block_key_volume(table_entry(&core->table, work->entry)->key) == volume->index &&
		    put_again_is_due(work, table_want(&core->table, work->want_head)))
			return true;
	}
	return false;
}

// The names of the loss before this one are needed for bytes that are not answered yet.
static void
keep_names(struct volume *volume)
{
	if (volume->owed == 0)
		volume->own_before.path_count = 0;
	else
		for (uint32_t i = 0; i < volume->own.path_count; i++)
			claimant_add_name(&volume->own_before, volume->own.path[i]);
	volume->own.path_count = 0;
}

void
recovery_remember(struct core *core, struct volume *volume)
{
	if (volume->session == 0)
		return; // nothing was held
	if (!volume->claims_end_due) {
		keep_names(volume);
		volume->claim_lease_end = volume->lease_end;
	} else if (volume->lease_end < volume->claim_lease_end) {
		volume->claim_lease_end = volume->lease_end; // some blocks are still held under the one before
	}
	name_present(volume, &volume->own);
	volume->claims_end_due = true;
}

static void
claim_begin(struct core *core, struct entry *entry)
{
	struct work *work = table_work_make(&core->table, entry);

	if (!work->claim)
		entry_volume(core, entry)->claims++;
	work->claim = true;
	work->claim_xid = 0;
	table_touch(&core->table, entry);
}

static void
claim_end(struct core *core, struct entry *entry, struct work *work)
{
	struct volume *volume = entry_volume(core, entry);

	CHECK(work->claim && volume->claims > 0);
	work->claim = work->claim_lets_go = false;
	work->claim_xid = 0;
	volume->claims--;
	table_touch(&core->table, entry);
	if (volume->claims == 0)
		eviction_resume(core, volume);
}

static void
uncovered(struct core *core, struct entry *entry, uint8_t losses)
{
	CHECK(entry->copy == COPY_DIRTY);
	dirty_set_resend(core, entry, true, losses);
	table_work(&core->table, entry)->resend_read = false;
	dirty_urge(core, entry);
	table_touch(&core->table, entry);
}

void
recovery_uncovered(struct core *core, struct entry *entry)
{
	uncovered(core, entry, 0);
}

void
recovery_give_back(struct core *core, struct entry *entry)
{
	entry_set_held(core, entry, PERM_NO); // a clean copy stays as a hint
	recall_revoke(core, entry, PERM_NO);
}

void
recovery_revoked(struct core *core, struct entry *entry)
{
	recovery_give_back(core, entry);
	if (entry->copy == COPY_DIRTY)
		recovery_uncovered(core, entry);
}

// Under which root what is held, or was when it was written, was granted, or confirmed since.
static uint32_t
epoch_of(const struct volume *volume, const struct entry *entry)
{
	return entry->anew == ANEW_NEXT ? volume->next_epoch : volume->held_epoch;
}

// What is not covered by a permission any more is sent again.
static void
give_up_claim(struct core *core, struct entry *entry)
{
	struct work *work = table_work(&core->table, entry);
	bool again = work != NULL && work->resend; // no answer came before this session was lost, too
	// A root that leaves in order has taken back all that it had given, with the bytes; it evicts nobody whose lease lasts.
	bool to_the_end = (entry->held == PERM_READ && !entry->stale) ||
			  (again ? work->resend_read : entry_volume(core, entry)->farewell_missed);
	uint32_t losses = again ? work->resend_losses : 0;
	uint32_t epoch = losses > 0 ? work->resend_epoch : epoch_of(entry_volume(core, entry), entry);

	if (work != NULL && work->claim_clean && entry->copy == COPY_UNSTABLE)
		unstable_settle(core, entry); // nothing of ours
	if (work != NULL)
		work->claim_clean = false;
	recovery_give_back(core, entry);
	if (entry->copy == COPY_UNSTABLE)
		dirty_again(core, entry);
	if (entry->copy != COPY_DIRTY)
		return;
	uncovered(core, entry, losses > 0 ? 2 : 1);
	work = table_work(&core->table, entry);
	work->resend_epoch = epoch;
	work->resend_read = to_the_end;
}

void
recovery_block(struct core *core, struct entry *entry)
{
	struct work *work = table_work(&core->table, entry);
	bool below = directory_max(&core->directory, entry, -1) == PERM_WRITE;

	if (entry->copy == COPY_DIRTY)
		dirty_before_barriers(core, entry);
	if (work != NULL && work->put_unknown)
		put_again_session_lost(core, entry);
	if (below)
		entry_drop_unless_in_memory(core, entry);
	// What is clean and not in memory is no more than a hint: what the parent may have lost could not be sent again.
	if (entry->held != PERM_WRITE || ((entry->copy == COPY_ABSENT || entry->stale || !entry_in_memory(core, entry)) && !below)) {
		if (work != NULL && work->claim)
			claim_end(core, entry, work);
		give_up_claim(core, entry);
		return;
	}
	// Bytes that were sent up may have been lost there: they go up again once the claim is granted. Clean ones are
	// kept until it is known that the parent has them; not those of which it was said that there are newer ones.
	claim_begin(core, entry);
	work = table_work(&core->table, entry);
	if (entry->copy == COPY_CLEAN && entry->stale) {
		entry_drop_copy(core, entry);
	} else if (entry->copy == COPY_CLEAN) {
		work->claim_clean = true;
		unstable_mark(core, entry);
	} else if (entry->copy == COPY_UNSTABLE && !work->claim_clean && !entry->stale) {
		dirty_again(core, entry);
	}
}

static void
end_session(struct core *core, struct child *child)
{
	child->moved = true;
	if (child->link >= 0)
		outbox_close_link(core, (uint32_t)child->link, "the child has to say anew what it holds");
}

void
recovery_below(struct core *core, const struct volume *volume)
{
	for (uint32_t i = 0; i < core->child_count; i++) {
		struct child *child = core->children[i];

		if (child->in_use && child->volume == volume->index && child->passed_on > child->synced)
			end_session(core, child);
	}
}

void
recovery_unsynced_below(struct core *core, const struct volume *volume)
{
	for (uint32_t i = 0; i < core->child_count; i++) {
		struct child *child = core->children[i];

		if (child->in_use && child->volume == volume->index && child->acknowledged > child->synced)
			end_session(core, child);
	}
}

static version_t
claimed_version(const struct core *core, const struct entry *entry)
{
	const struct work *work = table_work(&core->table, entry);

	return entry->stale && entry->copy == COPY_ABSENT && work != NULL && work->claim_version > entry->version ? work->claim_version
												 : entry->version;
}

static struct saying
recover_saying(struct core *core, const struct entry *entry, enum perm perm)
{
	struct volume *volume = entry_volume(core, entry);
	moment_us end = volume->claim_lease_end;

	volume->own.node_id = volume->node_id;
	volume->own.number = core->parent.number;
	volume->own.epoch = epoch_of(volume, entry);
	return (struct saying){
		.link = (uint32_t)core->parent.link,
		.volume = volume->index,
		.volume_id = volume->parent_id,
		.opcode = OP_RECOVER,
		.flags = FLAG_RECOVERY_OP,
		.block = block_key_block(entry->key),
		.perm = perm,
		.hops_left = LIMIT_HOPS,
		.origin = (uint32_t)core->config.node_id,
		.claimant = &volume->own,
		.live_ms = end > core->now ? (uint32_t)((end - core->now) / 1000) : 0,
		.given_ms = server_given_ms(core, volume),
		.item = true,
		.kind = ITEM_EMPTY,
		.version = perm == PERM_WRITE ? claimed_version(core, entry) : entry->version,
	};
}

bool
recovery_is_doubtful(const struct volume *volume, moment_us now)
{
	return volume->claims_end_due && volume->claim_lease_end <= now;
}

bool
recovery_may_claim(struct core *core, struct volume *volume)
{
	if (volume->claims_retry_at > core->now)
		core_wake(core, volume->claims_retry_at);
	return volume->claims_retry_at <= core->now;
}

bool
recovery_retries(struct core *core, struct volume *volume, enum status status)
{
	if (status != STATUS_TOO_MANY && status != STATUS_IN_RECOVERY && status != STATUS_UNAVAILABLE)
		return false;
	volume->claims_retry_at = core->now + RETRY_US;
	core_wake(core, volume->claims_retry_at);
	return true;
}

void
recovery_claim(struct core *core, struct entry *entry)
{
	struct work *work = table_work(&core->table, entry);
	struct saying say;

	if (work->claim_xid != 0 || !client_parent_usable(core, entry_volume(core, entry)))
		return;
	if (!recovery_may_claim(core, entry_volume(core, entry)) ||
	    !server_wait_room(core, entry, (uint32_t)core->parent.link))
		return;
	say = recover_saying(core, entry, PERM_WRITE);
	work->claim_xid = outbox_say(core, &say)->xid;
	work->ask_at = core->now;
}

void
recovery_ask_writers(struct core *core, const struct entry *entry, int from)
{
	for (struct dir_record *record = directory_first(&core->directory, entry); record != NULL;
	     record = directory_next(&core->directory, record)) {
		if (record->perm == PERM_WRITE && record->child != from)
			end_session(core, core->children[record->child]);
	}
}

// The parent has older bytes than a child of ours has for writing, perhaps without knowing that they are not durable: it
// has to claim anew, and learns from the answer that it must send them.
static void
ask_writer_below(struct core *core, struct entry *entry, version_t version)
{
	struct work *work = table_work(&core->table, entry);

	recovery_ask_writers(core, entry, -1);
	if (entry->copy != COPY_ABSENT)
		return; // what we have goes up by itself: if it is as new as the claim, there need not be newer bytes below
	// Should the parent be lost, too, the claim is what it was: who has only older bytes must not come before it.
	if (entry->version > work->claim_version)
		work->claim_version = entry->version;
	client_learn_version(core, entry, version);
	entry->stale = 1; // what others bring may be newer than that, and is not the newest
}

// The parent has not got these bytes. If there were newer ones, which may be durable, those above decide about these.
static void
parent_lacks(struct core *core, struct entry *entry)
{
	dirty_again(core, entry);
	if (!entry->stale)
		return;
	uncovered(core, entry, 1);
	table_work(&core->table, entry)->resend_epoch = entry_volume(core, entry)->held_epoch;
}

void
recovery_granted(struct core *core, struct entry *entry, const struct message *message, const struct item *item)
{
	struct work *work = table_work(&core->table, entry);
	bool lets_go = work->claim_lets_go;

	if (message->perm != PERM_WRITE) {
		recovery_refused(core, entry, STATUS_NOT_HOLDER);
		return;
	}
	claim_end(core, entry, work);
	client_take_grant(core, entry, message, work->ask_at);
	entry->anew = ANEW_NOT;
	if (item->version > entry->version) { // newer ones from below went past us
		if (entry->copy == COPY_DIRTY)
			dirty_superseded(core, entry);
		entry->stale = 1;
		client_learn_version(core, entry, item->version);
		recovery_ask_writers(core, entry, -1);
	}
	if (entry->copy == COPY_UNSTABLE && item->version < entry->version)
		parent_lacks(core, entry);
	else if (entry->copy == COPY_UNSTABLE && work->claim_clean)
		unstable_settle(core, entry);
	work->claim_clean = false;
	if (item->version < entry->version && entry->dir != 0)
		ask_writer_below(core, entry, item->version);
	if (lets_go && entry->dir == 0)
		let_go_of(core, entry, work->claim_lets_go_for);
}

void
recovery_refused(struct core *core, struct entry *entry, enum status status)
{
	struct volume *volume = entry_volume(core, entry);

	if (recovery_retries(core, volume, status)) {
		table_work(&core->table, entry)->claim_xid = 0; // as if it had not been sent
		return;
	}
	core_trace(core, "volume %s block %llu: claim refused: %s", volume->name,
		   (unsigned long long)block_key_block(entry->key), message_status_text(status));
	claim_end(core, entry, table_work(&core->table, entry));
	give_up_claim(core, entry);
}

void
recovery_resend(struct core *core, struct entry *entry)
{
	struct work *work = table_work(&core->table, entry);
	struct saying say = recover_saying(core, entry, work->resend_read ? PERM_READ : PERM_NO);
	struct buf *buf = core->copies.ops->get(core->copies.self, entry->key);
	struct volume *volume = entry_volume(core, entry);
	struct claimant names = volume->own;

	CHECK(entry->copy == COPY_DIRTY && buf != NULL);
	if (work->resend_losses > 0)
		names.epoch = work->resend_epoch;
	if (work->resend_losses > 1) {
		for (uint32_t i = 0; i < volume->own_before.path_count; i++)
			claimant_add_name(&names, volume->own_before.path[i]);
		say.live_ms = 0; // there is one for the last session only
	} else if (work->resend_losses == 0) {
		names.path_count = 0;
		name_present(volume, &names);
	}
	say.claimant = &names;
	say.flags |= dirty_root_awaited(core, work) ? FLAG_FORCE_SYNC : 0;
	say.kind = buf == buf_zero() ? ITEM_ZERO : ITEM_DATA;
	say.buf = buf;
	say.gap = gaps_below(core, entry->key, entry->version);
	work->flush_xid = outbox_say(core, &say)->xid;
	work->flush_resent = true;
	dirty_sent(core, entry);
	if (work->want_head != 0)
		table_touch(&core->table, entry); // what has to be sent behind it (put_again.h)
}

void
recovery_give_up(struct core *core, struct entry *entry, enum status status)
{
	core_trace(core, "block %llu: refused for good: %s", (unsigned long long)block_key_block(entry->key),
		   message_status_text(status));
	client_lost(core, entry, "the block was given to others");
}

// All that was held under the old name is claimed, or given up: it may be evicted now. What is held from now on must not
// be taken for that.
static void
new_name(struct core *core, struct volume *volume)
{
	uint64_t id = (volume->node_id ^ (volume->node_id >> 31)) * UINT64_C(0x9e3779b97f4a7c15) + volume->index + 1;

	volume->names[volume->names_count++ % NAMES_KEPT] = volume->node_id;
	volume->name_before = volume->node_id;
	volume->node_id = id != 0 ? id : 1;
	session_renamed(core, volume);
}

bool
recovery_is_own_name(const struct volume *volume, uint64_t node_id)
{
	for (uint32_t i = 0; i < NAMES_KEPT && i < volume->names_count; i++)
		if (volume->names[i] == node_id)
			return true;
	return volume->node_id == node_id;
}

void
recovery_add_later_names(const struct volume *volume, struct claimant *claimant)
{
	uint32_t first = volume->names_count > NAMES_KEPT ? volume->names_count - NAMES_KEPT : 0;
	bool was_below = false;

	for (uint32_t i = first; i < volume->names_count; i++) {
		if (was_below)
			claimant_add_name(claimant, volume->names[i % NAMES_KEPT]);
		was_below |= claimant_names(claimant, volume->names[i % NAMES_KEPT]);
	}
	if (was_below && volume->claims_end_due)
		claimant_add_name(claimant, volume->node_id);
}

// May anybody below still use what was held under the old session and not claimed?
static bool
is_used_below(const struct core *core, const struct volume *volume)
{
	for (uint32_t i = 0; i < core->child_count; i++)
		if (core->children[i]->in_use && core->children[i]->volume == volume->index &&
		    core->children[i]->dir.revoked > 0)
			return true;
	return false;
}

void
recovery_pump(struct core *core, struct volume *volume)
{
	struct message *message;

	if (volume->claims_retry_at != 0 && volume->claims_retry_at <= core->now) {
		volume->claims_retry_at = 0;
		table_touch_works(&core->table, volume->index); // gone through at the end of this step
	}
	if (volume->puts_until > core->now) {
		core_wake(core, volume->puts_until);
	} else if (volume->puts_until != 0) {
		volume->puts_until = 0;
		table_touch_works(&core->table, volume->index);
	}
	if (!volume->claims_end_due || volume->claims > 0 || !client_parent_usable(core, volume) ||
	    is_used_below(core, volume) || (volume->comes_back && volume->owed > 0) || has_puts(core, volume))
		return;
	volume->claims_end_due = volume->comes_back = false;
	// An eviction under the old name voids what is sent again, and what children bring of it only as long as they know that name.
	if (volume->claim_lease_end <= core->now && has_resends(core, volume))
		recovery_unsynced_below(core, volume);
	message = outbox_message(core, (uint32_t)core->parent.link, OP_RECOVER, 0);
	message->flags = FLAG_RECOVERY_OP;
	message->present = PRESENT(VOLUME_ID);
	message->volume_id = volume->parent_id;
	core_trace(core, "volume %s: recovered", volume->name);
	new_name(core, volume);
	session_recovered(core, volume);
}
