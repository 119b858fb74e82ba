// SPDX-License-Identifier: MIT
// What a node holds from its parent. The parent's answer to a request replaces what was held: PERMISSIONS says what the
// node has afterwards. Bytes that come along replace the copy, unless the copy is dirty with a newer version.
//
// A dirty copy that is taken away (recall) or whose session is gone stays in the cache, unreadable (held NO), until its
// FLUSH is acknowledged: a link that breaks with the flush in flight loses nothing.
#include "core/client.h"
#include "core/check.h"
#include "core/claim.h"
#include "core/claimant.h"
#include "core/dirty.h"
#include "core/gaps.h"
#include "core/heartbeat.h"
#include "core/journaled.h"
#include "core/let_go.h"
#include "core/local.h"
#include "core/outbox.h"
#include "core/put_again.h"
#include "core/recall.h"
#include "core/recovery.h"
#include "core/sealed.h"
#include "core/unstable.h"
#include "core/writeback.h"

#include <stdlib.h>

bool
client_parent_usable(const struct core *core, const struct volume *volume)
{
	return core->parent.link >= 0 && volume->connected && !core->links[core->parent.link]->closing;
}

// Which request gets ${want} what it lacks; see docs/protocol.md, "Which request". If somebody else ${below} has the block for
// writing, the newest bytes are with him.
static enum opcode
ask_opcode(const struct entry *entry, const struct want *want, bool needs_data, bool below)
{
	if (below || (entry->held >= PERM_READ && entry->copy != COPY_ABSENT && !entry->stale))
		return OP_LOCK;
	if (needs_data && want->perm == PERM_WRITE)
		return OP_GET;
	if (needs_data || want->perm < PERM_WRITE)
		return OP_GET;
	return OP_PUT;
}

static struct saying
say_to_parent(const struct core *core, const struct entry *entry, enum opcode opcode, enum perm perm)
{
	const struct volume *volume = entry_volume(core, entry);

	return (struct saying){
		.link = (uint32_t)core->parent.link,
		.volume = volume->index,
		.volume_id = volume->parent_id,
		.opcode = opcode,
		.block = block_key_block(entry->key),
		.perm = perm,
		.hops_left = LIMIT_HOPS,
		.origin = (uint32_t)core->config.node_id,
	};
}

void
client_send_ask(struct core *core, struct entry *entry, struct want *want, const struct saying *say)
{
	struct work *work = table_work(&core->table, entry);

	if (say->item) {
		work->put_buf = buf_ref(say->buf);
		entry_volume(core, entry)->unsynced = true;
	}
	want->asks = true;
	work->ask = ASK_SENT;
	work->ask_opcode = (uint8_t)say->opcode;
	work->ask_perm = (uint8_t)say->perm;
	work->ask_at = core->now;
	work->ask_xid = outbox_say(core, say)->xid;
	core->parent.outstanding++;
	heartbeat_asked(core);
	core->parent.asked_at = core->now;
}

static void
ask_now(struct core *core, struct entry *entry, struct want *want, enum opcode opcode, enum perm perm, struct buf *buf)
{
	struct work *work = table_work(&core->table, entry);
	struct volume *volume = entry_volume(core, entry);
	struct saying say = say_to_parent(core, entry, opcode, perm);
	uint8_t digest[BLOCK_DIGEST_SIZE];

	say.hops_left = want->hops_left;
	say.alone = work->ask_alone;
	if (say.opcode == OP_PUT && buf != NULL) {
		say.flags = FLAG_FORCE_SYNC;
		say.item = true;
		say.kind = buf == buf_zero() ? ITEM_ZERO : ITEM_DATA;
		say.buf = buf;
	}
	// Without a copy: of what was kept over a restart.
	work->ask_digest = say.opcode == OP_GET &&
			   (entry_is_hint(core, entry) || (entry->copy == COPY_ABSENT && !work->gap)) &&
			   sealed_may_compare(core, entry) &&
			   core->copies.ops->digest(core->copies.self, entry->key, volume->block_size, digest);
	if (work->ask_digest)
		say.digest = digest;
	else if (say.opcode == OP_GET)
		core->copies.ops->missed(core->copies.self);
	client_send_ask(core, entry, want, &say);
}

void
client_put(struct core *core, struct entry *entry, struct want *want, struct buf *bytes)
{
	ask_now(core, entry, want, OP_PUT, PERM_WRITE, bytes);
}

void
client_ask(struct core *core, struct entry *entry, struct want *want, bool needs_data, struct buf *buf)
{
	const struct work *work = table_work(&core->table, entry);
	const struct volume *volume = entry_volume(core, entry);
	enum perm perm = want->perm;
	bool below;

	if (work->ask != ASK_NONE || !client_parent_usable(core, volume))
		return;
	if (want->doubt.until != 0 && buf != NULL && !put_again_waits(work)) {
		put_again_claim(core, entry, want, buf);
		return;
	}
	if (work->claim || work->resend)
		return; // the claim, and bytes that were sent before, come first
	if (perm == PERM_WRITE && entry->held != PERM_WRITE && recovery_is_doubtful(volume, core->now))
		return; // looked at again when the claims have ended
	if (core->parent.outstanding >= core->parent.credits) {
		key_list_wait(core, &core->parent.waiting, entry, WAIT_ASK);
		return;
	}
	// The answer replaces what is held: never ask for less than that.
	if (perm < entry->held)
		perm = entry->held;
	if (entry->copy == COPY_DIRTY && entry->held == PERM_WRITE)
		perm = PERM_WRITE;
	below = directory_max(&core->directory, entry, want->kind < WANT_GET ? -1 : want->child) == PERM_WRITE;
	ask_now(core, entry, want, ask_opcode(entry, want, needs_data, below), perm, buf);
}

void
client_ask_end(struct core *core, struct work *work)
{
	CHECK(core->parent.outstanding > 0);
	core->parent.outstanding--;
	core->parent.asked_at = core->now;
	work->ask = ASK_NONE;
	buf_unref(work->put_buf);
	work->put_buf = NULL;
}

// T2: a lease counts from when it was asked for, as the parent may have answered right then. But the link is FIFO: what
// the parent says after it has answered another request, it says after that request was sent. So a request that
// waited long at the parent does not come back with its lease over.
static moment_us
lease_start(struct core *core, moment_us asked)
{
	if (asked > core->parent.answered)
		core->parent.answered = asked;
	return core->parent.answered;
}

static uint32_t
expiry_from(const struct core *core, moment_us start, uint32_t ttl_ms)
{
	uint64_t tick = (moment_after_ms(start, ttl_ms) - core->started) >> EXPIRY_SHIFT;

	return tick < EXPIRY_NEVER ? (uint32_t)tick : EXPIRY_NEVER - 1;
}

// The dirty bytes are given up: the next fsync says so, and whoever waits for these bytes is told now.
static void
tell_lost(struct core *core, struct entry *entry)
{
	struct work *work = table_work_make(&core->table, entry);

	writeback_lost(core, entry_volume(core, entry), NULL);
	work->sync_failed = work->sync_head != 0;
	for (uint32_t i = work->want_head; i != 0; i = table_want(&core->table, i)->next)
		table_want(&core->table, i)->lost = table_want(&core->table, i)->applied;
}

// Dirty bytes meet what the parent says is the newest version. If that is theirs, it need not have them: it may know the number
// alone, from our claim. The acknowledgement of the FLUSH tells (R12).
static void
grant_over_dirty(struct core *core, struct entry *entry, const struct work *work, const struct item *item)
{
	struct buf *bytes = item->kind == ITEM_ZERO ? buf_zero() : item->kind == ITEM_DATA ? item->buf : work->put_buf;

	if (item->version <= entry->version)
		return;
	// What supersedes our bytes is kept as they were: until it is durable (R13).
	dirty_superseded(core, entry);
	if (bytes == NULL) {
		entry->stale = 1;
		client_learn_version(core, entry, item->version);
		return;
	}
	entry_put_copy(core, entry, bytes, COPY_CLEAN);
	unstable_mark(core, entry);
	if (work->put_buf != NULL)
		journaled_modified(core, entry); // it was never dirty
	entry->version = item->version;
}

static void
grant_over_clean(struct core *core, struct entry *entry, struct work *work, const struct item *item)
{
	bool keep = entry->copy == COPY_UNSTABLE || work->put_buf != NULL;
	bool is_same = item->kind == ITEM_EMPTY && work->ask_digest && entry->copy != COPY_ABSENT;

	if (item->kind != ITEM_EMPTY) {
		entry_put_copy(core, entry, item->kind == ITEM_ZERO ? buf_zero() : item->buf, COPY_CLEAN);
		entry_volume(core, entry)->fetched++;
	} else if (work->put_buf != NULL) {
		entry_put_copy(core, entry, work->put_buf, COPY_CLEAN);
	} else if (entry->copy == COPY_ABSENT && work->ask_digest) {
		entry_adopt_copy(core, entry); // unless it is gone meanwhile: then the bytes are asked for
	} else if (core->config.bug == BUG_NO_CROSSING_DATA && work->ask_opcode == OP_LOCK &&
		   entry->copy == COPY_ABSENT) {
		entry_put_copy(core, entry, buf_zero(), COPY_CLEAN); // "I had it a moment ago"
	} else if (entry->copy == COPY_UNSTABLE && item->version > entry->version && !work->ask_digest) {
		entry->stale = 1; // until there is something that supersedes it
		client_learn_version(core, entry, item->version);
		return;
	} else if (entry->copy != COPY_ABSENT && item->version != entry->version && !work->ask_digest) {
		entry_drop_copy(core, entry); // ours is another content: it will be fetched
	}
	if (keep && entry->copy == COPY_CLEAN)
		unstable_mark(core, entry); // ours, or what supersedes it (R13)
	if (work->put_buf != NULL)
		journaled_modified(core, entry); // it was never dirty
	// What was sealed as a version is nothing that could have a lower one.
	if (item->version > entry->version || (item->version != 0 && !(is_same && entry_volume(core, entry)->sealed)))
		entry->version = item->version;
}

void
client_learn_version(struct core *core, struct entry *entry, version_t version)
{
	struct work *work = table_work(&core->table, entry);

	if (entry->copy == COPY_ABSENT)
		entry->version = version != 0 ? version : 1;
	else if (entry->stale && work != NULL && version > work->version_above)
		work->version_above = version;
}

// T3: a parent whose own parent is another one now may have a shorter lease than the one that it has given us. What it grants under
// that one is held above for so long only.
static void
shorten_lease(struct core *core, struct volume *volume, moment_us start, uint32_t hb_ttl_ms)
{
	moment_us end = moment_after_ms(start, hb_ttl_ms);

	if (end >= volume->lease_end)
		return;
	volume->lease_end = end;
	core_wake(core, end);
}

void
client_take_grant(struct core *core, struct entry *entry, const struct message *message, moment_us asked)
{
	struct volume *volume = entry_volume(core, entry);
	moment_us start = lease_start(core, asked);

	volume_told_epoch(volume, message->epoch, false);
	if (message->grant > core->parent.grant_seen)
		core->parent.grant_seen = message->grant;
	if (entry->held == PERM_NO)
		entry->anew = message->epoch > volume->held_epoch ? ANEW_NEXT : ANEW_NOW;
	if (entry->anew == ANEW_NEXT && volume->next_epoch == 0)
		volume->next_epoch = message->epoch;
	entry_set_held(core, entry, message->perm);
	entry->expiry = expiry_from(core, start, message->ttl_ms);
	shorten_lease(core, volume, start, message->hb_ttl_ms);
	volume->ttl_ms = core->parent.ttl_ms = message->ttl_ms;
	let_go_forget(volume, block_key_block(entry->key));
	// A parent that gives less than we had breaks the protocol; what is below goes all the same.
	if (recall_revoke(core, entry, message->perm))
		outbox_close_link(core, (uint32_t)core->parent.link, "an answer that gives less than what is held");
}

static void
client_granted(struct core *core, struct entry *entry, struct work *work, const struct message *message, uint32_t i)
{
	static const struct item nothing = {.kind = ITEM_EMPTY};
	const struct item *item = message->items != NULL ? &message->items[i] : &nothing;
	struct volume *volume = entry_volume(core, entry);
	struct want *head = table_want(&core->table, work->want_head);

	if (work->put_buf != NULL)
		volume->unsynced = true; // a barrier that was sent before the PUT took effect does not cover it
	if (head != NULL)
		put_again_answered(head);
	if (entry->copy == COPY_DIRTY)
		grant_over_dirty(core, entry, work, item);
	else
		grant_over_clean(core, entry, work, item);
	client_take_grant(core, entry, message, work->ask_at);
	if (message->perm == PERM_NO && entry->copy == COPY_CLEAN)
		entry_drop_copy(core, entry);
	if (work->put_buf != NULL && head != NULL && head->asks) {
		head->applied = true;                                          // the root has these bytes
		head->version = item->kind == ITEM_EMPTY ? entry->version : 0; // 0: others have written since
	}
	work->fresh = true;
	work->ask_alone = false;
	client_ask_end(core, work);
}

// A FLUSH, or bytes that were sent again, were acknowledged: that version, or a newer one, is above. Newer bytes that have come
// meanwhile, from below, are still covered by nothing.
static void
client_flushed(struct core *core, struct entry *entry)
{
	struct work *work = table_work(&core->table, entry);
	bool uncovered = work->resend && work->again && entry->held != PERM_WRITE;

	dirty_set_resend(core, entry, false, 0);
	dirty_flushed(core, entry);
	if (uncovered && entry->copy == COPY_DIRTY)
		recovery_uncovered(core, entry);
	if (entry->copy == COPY_CLEAN && entry->held == PERM_NO)
		entry_drop_copy(core, entry);
}

// Looked at again in a moment; bounded by the requester's own time limit.
static void
retry_later(struct core *core, struct entry *entry)
{
	key_list_wait(core, &core->retry, entry, WAIT_ASK);
	if (core->retry_at == MOMENT_NEVER)
		core->retry_at = core->now + RETRY_US;
	core_wake(core, core->retry_at);
}

static void
client_ask_failed(struct core *core, struct entry *entry, struct work *work, const struct message *message)
{
	struct volume *volume = entry_volume(core, entry);
	enum status status = put_again_refused(work, table_want(&core->table, work->want_head), message->status);

	client_ask_end(core, work);
	switch (status) {
	case STATUS_NONE:
		return;
	case STATUS_UNAVAILABLE:
	case STATUS_IN_RECOVERY:
	case STATUS_ACCESS_DENIED: // as if cut off, which comes next (A4)
		retry_later(core, entry);
		return;
	case STATUS_BAD_VERIFIER:
		if (message->count == 1 || work->ask_alone)
			break;
		work->ask_alone = true; // it may be another block that is wrong
		return;
	default:
		break;
	}
	work->ask_alone = false;
	core_trace(core, "volume %s block %llu: the parent answers %s", volume->name, (unsigned long long)block_key_block(entry->key),
		   message_status_text(message->status));
	work->failed_status = (uint8_t)status;
}

void
client_lost(struct core *core, struct entry *entry, const char *why)
{
	core_trace(core, "block %llu: unflushed bytes LOST: %s", (unsigned long long)block_key_block(entry->key), why);
	if (entry->copy >= COPY_UNSTABLE) {
		struct action *action = actions_add(core->actions, ACTION_RESCUE);

		action->volume = block_key_volume(entry->key);
		action->block = block_key_block(entry->key);
		action->version = entry->version;
		action->buf = buf_ref(core->copies.ops->get(core->copies.self, entry->key));
	}
	tell_lost(core, entry);
	recovery_unsynced_below(core, entry_volume(core, entry));
	dirty_clear(core, entry);
	entry_drop_copy(core, entry); // what is held may be a child's by now
}

bool
client_superseded(const struct entry *entry, const struct message *message)
{
	uint64_t old = 0;

	for (size_t i = 0; i < message->err_value.size && i < sizeof(old); i++)
		old = old << 8 | message->err_value.bytes[i];
	return message->status == STATUS_BAD_VERIFIER && message->err_param == PARAM_VERSION &&
	       old == block_key_block(entry->key);
}

static void
client_flush_failed(struct core *core, struct entry *entry, const struct message *message)
{
	struct volume *volume = entry_volume(core, entry);

	core_trace(core, "volume %s block %llu: flush refused: %s", volume->name,
		   (unsigned long long)block_key_block(entry->key), message_status_text(message->status));
	struct work *work = table_work(&core->table, entry);
	bool refused = client_superseded(entry, message) || message->status == STATUS_NOT_HOLDER ||
		       message->status == STATUS_EVICTED || message->status == STATUS_ACCESS_DENIED ||
		       message->status == STATUS_BAD_PARAM_VALUE; // a version that can not be, from a child

	if (work->flush_resent && !work->resend) {
		dirty_unsent(core, entry); // superseded meanwhile: it says nothing about what is held since
	} else if (refused && work->resend) {
		recovery_give_up(core, entry, message->status);
	} else if (work->resend && recovery_retries(core, volume, message->status)) {
		dirty_unsent(core, entry); // there was no room for it yet
		volume->flush_retry_at = core->now + RETRY_US;
	} else if (refused) {
		// The parent has taken the block back.
		dirty_unsent(core, entry);
		recovery_revoked(core, entry);
	} else {
		dirty_failed(core, entry, message->status == STATUS_NO_SPACE ? ERR_NO_SPACE : ERR_IO);
		if (entry->held != PERM_WRITE && entry->copy == COPY_DIRTY)
			recovery_uncovered(core, entry); // it was given up with the FLUSH
	}
}

void
client_reply_block(struct core *core, struct volume *volume, const struct message *message, uint32_t i)
{
	static const struct item nothing = {.kind = ITEM_EMPTY};
	const struct item *item = message->items != NULL ? &message->items[i] : &nothing;
	struct entry *entry = table_find(&core->table, block_key_make(volume->index, message->block + i));
	struct work *work = entry != NULL ? table_work(&core->table, entry) : NULL;

	if (work == NULL)
		return; // an answer to something that is over
	if (work->claim && work->claim_xid != 0 && work->claim_xid == message->xid) {
		if (message->opcode == OP_OK_REPLY)
			recovery_granted(core, entry, message, item);
		else
			recovery_refused(core, entry, message->status);
	} else if (claim_reply(core, entry, message, item) || unstable_forwarded(core, entry, message)) {
		// a child's; or not kept any more
	} else if (work->ask == ASK_SENT && work->ask_xid == message->xid) {
		if (message->opcode == OP_OK_REPLY)
			client_granted(core, entry, work, message, i);
		else
			client_ask_failed(core, entry, work, message);
	} else if (work->flushing && work->flush_xid == message->xid) {
		if (message->opcode == OP_OK_REPLY)
			client_flushed(core, entry);
		else
			client_flush_failed(core, entry, message);
	} else {
		return;
	}
	table_touch(&core->table, entry);
}

void
client_request_refused(struct core *core, const struct message *message)
{
	for (uint32_t i = 1; i < core->table.works.next; i++) {
		struct work *work = pool_get(&core->table.works, i);
		struct entry *entry;

		if (!pool_is_used(&core->table.works, i))
			continue;
		entry = table_entry(&core->table, work->entry);
		if (work->ask == ASK_SENT && work->ask_xid == message->xid)
			client_ask_failed(core, entry, work, message);
		else if (work->flushing && work->flush_xid == message->xid)
			client_flush_failed(core, entry, message);
		else if (work->claim && work->claim_xid != 0 && work->claim_xid == message->xid)
			recovery_refused(core, entry, message->status);
		else if (!claim_reply(core, entry, message, NULL) && !unstable_forwarded(core, entry, message))
			continue;
		table_touch(&core->table, entry);
	}
}

static void
say_recalled(struct core *core, const struct entry *entry, uint64_t block, const struct volume *volume, uint32_t xid)
{
	struct saying say = {
		.link = (uint32_t)core->parent.link,
		.volume = volume->index,
		.volume_id = volume->parent_id,
		.opcode = OP_OK_REPLY,
		.block = block,
		.xid = xid,
		.perm = -1,
		.hops_left = LIMIT_HOPS,
		.origin = (uint32_t)core->config.node_id,
	};

	if (entry != NULL && entry->held == PERM_NO)
		say.perm = PERM_NO;
	outbox_say(core, &say);
}

static void
say_not_left(struct core *core, const struct volume *volume, uint64_t block, uint32_t xid)
{
	struct saying say = {
		.link = (uint32_t)core->parent.link,
		.volume = volume->index,
		.volume_id = volume->parent_id,
		.opcode = OP_ERR_REPLY,
		.block = block,
		.xid = xid,
		.perm = -1,
		.hops_left = LIMIT_HOPS,
		.origin = (uint32_t)core->config.node_id,
		.status = STATUS_NOT_HOLDER,
	};

	outbox_say(core, &say);
}

bool
client_forget_recall(struct core *core, struct work *work)
{
	bool was_open = work->recall_open;

	claimant_release(core, work->recall_mover);
	work->recall_mover = 0;
	recall_question_end(core, work);
	work->recall_open = work->recall_leaves = work->recall_bytes = work->recall_live = work->recall_revokes = false;
	return was_open;
}

void
client_refuse_recall(struct core *core, struct entry *entry)
{
	struct work *work = table_work(&core->table, entry);
	struct volume *volume = entry_volume(core, entry);

	let_go_forget(volume, block_key_block(entry->key));
	if (client_forget_recall(core, work) && client_parent_usable(core, volume))
		say_not_left(core, volume, block_key_block(entry->key), work->recall_xid);
}

void
client_recall_block(struct core *core, struct volume *volume, const struct message *message, uint32_t i)
{
	uint64_t block = message->block + i;
	struct entry *entry = table_find(&core->table, block_key_make(volume->index, block));
	bool named = (message->present & PRESENT(NODE_ID)) != 0, recovery = (message->flags & FLAG_RECOVERY_OP) != 0 && named;
	// Those above have lost the block: nobody is evicted for it, and it is not claimed below.
	bool revoked = (message->flags & FLAG_RECOVERY_OP) != 0 && !named && message->perm == PERM_NO;
	// Who brings bytes may have readers below him, who had the block from us: so READ is left for him, where he was.
	bool readers = recovery && message->perm != PERM_NO && entry != NULL && directory_writer(&core->directory, entry) != NULL;
	enum perm left = recovery && !readers ? PERM_NO : message->perm;
	struct work *work;

	volume->recalled++;
	if (recovery && let_go_was(core, volume, block, message->node_id)) { // the answer was lost
		say_recalled(core, entry, block, volume, message->xid);
		return;
	}
	if (recovery && (entry != NULL ? !claim_recall(core, entry, message) : message->perm == PERM_NO)) {
		// This one took the place of that which we have not answered yet, and which will be sent again if it is needed.
		if (entry != NULL && !table_work_make(&core->table, entry)->recall_revokes &&
		    client_forget_recall(core, table_work(&core->table, entry)))
			table_touch(&core->table, entry);
		let_go_forget(volume, block);
		say_not_left(core, volume, block, message->xid);
		return;
	}
	if (entry == NULL || (entry->held <= left && entry->dir == 0) || core->config.bug == BUG_ANSWER_BEFORE_DROP) {
		say_recalled(core, entry, block, volume, message->xid); // nothing to give up: still an answer (H15)
		return;
	}
	work = table_work_make(&core->table, entry);
	if (recovery && message->perm == PERM_NO) {
		let_go_note(volume, block, message->node_id);
		work->recall_leaves = true;
	}
	if (revoked)
		client_forget_recall(core, work); // for whom it is to be let go does not matter any more
	if (!work->recall_open || left < (enum perm)work->recall_perm || readers) // this one takes the place of the open one
		work->recall_perm = (uint8_t)left;
	work->recall_open = true;
	work->recall_xid = message->xid;
	table_touch(&core->table, entry);
	work->recall_revokes |= revoked;
	if (revoked)
		recall_revoke(core, entry, PERM_NO);
}

void
client_flush(struct core *core, struct entry *entry, enum perm perm, bool sync)
{
	struct work *work = table_work(&core->table, entry);
	struct saying say = say_to_parent(core, entry, OP_FLUSH, perm);
	struct buf *buf = core->copies.ops->get(core->copies.self, entry->key);

	CHECK(entry->copy == COPY_DIRTY && buf != NULL);
	say.flags = sync ? FLAG_FORCE_SYNC : 0;
	say.item = true;
	say.kind = buf == buf_zero() ? ITEM_ZERO : ITEM_DATA;
	say.version = entry->version;
	say.gap = gaps_below(core, entry->key, entry->version);
	say.buf = buf;
	work->flush_xid = outbox_say(core, &say)->xid;
	work->flush_resent = false;
	dirty_sent(core, entry);
}

// Dirty bytes go up before the answer, unless this very version is on its way already (R6).
static void
flush_for_recall(struct core *core, struct entry *entry, struct work *work)
{
	if (entry_is_on_its_way(core, entry))
		return;
	client_flush(core, entry, work->recall_perm, dirty_root_awaited(core, work));
}

void
client_answer_recall(struct core *core, struct entry *entry)
{
	struct work *work = table_work(&core->table, entry);
	struct volume *volume = entry_volume(core, entry);
	bool connected = client_parent_usable(core, volume);

	CHECK(work->recall_open);
	claimant_release(core, work->recall_mover);
	work->recall_mover = 0;
	if (entry->copy == COPY_DIRTY && entry->held == PERM_WRITE && work->recall_perm < PERM_WRITE &&
	    !volume->is_root && connected)
		flush_for_recall(core, entry, work);
	work->recall_open = work->recall_leaves = work->recall_revokes = false;
	if (volume->is_root)
		return;
	if (entry->held > work->recall_perm)
		entry_set_held(core, entry, work->recall_perm);
	if ((entry->held == PERM_NO || work->recall_bytes) && entry->copy == COPY_CLEAN)
		entry_drop_copy(core, entry);
	entry->stale |= work->recall_bytes && entry->held != PERM_NO && entry->copy != COPY_ABSENT; // those bytes may be newer
	work->recall_bytes = false;
	if (connected)
		say_recalled(core, entry, block_key_block(entry->key), volume, work->recall_xid);
}

static int
key_compare(const void *a, const void *b)
{
	block_key x = *(const block_key *)a, y = *(const block_key *)b;

	return x < y ? -1 : x > y;
}

static bool
may_release(const struct core *core, const struct entry *entry)
{
	return entry != NULL && entry->held > PERM_NO && entry->copy == COPY_ABSENT && entry->dir == 0 &&
	       entry->work == 0 && client_parent_usable(core, entry_volume(core, entry));
}

void
client_release(struct core *core)
{
	struct key_list *list = &core->released;

	if (list->count > 1)
		qsort(list->keys, list->count, sizeof(*list->keys), key_compare);
	for (uint32_t i = 0; i < list->count; i++) {
		struct entry *entry = table_find(&core->table, list->keys[i]);
		struct saying say;

		if (entry == NULL)
			continue;
		entry->releasing = 0;
		if (entry->held == PERM_NO) {
			entry_rest(core, entry); // nothing to give back
			continue;
		}
		if (!may_release(core, entry)) // R19: a request is under way, or it is in use again
			continue;
		say = say_to_parent(core, entry, OP_LOCK, PERM_NO);
		say.grant_seen = core->parent.grant_seen;
		outbox_say(core, &say);
		entry_set_held(core, entry, PERM_NO);
		entry_rest(core, entry);
	}
	list->count = 0;
	core->release_at = MOMENT_NEVER;
}
