// SPDX-License-Identifier: MIT
// What the children hold. A grant is entered in the directory in the step that queues its answer (R2); a record goes
// away only when the child says so, or when its lease is over by a clock that started later than the child's (T2).
#include "core/server.h"
#include "core/check.h"
#include "core/claim.h"
#include "core/claimant.h"
#include "core/dirty.h"
#include "core/eviction.h"
#include "core/outbox.h"
#include "core/overflow.h"
#include "core/push.h"
#include "core/put_again.h"
#include "core/recall.h"
#include "core/recovery.h"
#include "core/rights.h"

#include <stdlib.h>
#include <string.h>

static struct volume *
child_volume(const struct core *core, const struct child *child)
{
	return core->volumes[child->volume];
}

uint32_t
server_hb_ttl_ms(const struct core *core, const struct volume *volume)
{
	uint64_t left;

	if (volume->is_root)
		return core->config.hb_ttl_ms;
	if (recovery_lease_end(volume) <= core->now)
		return 0;
	left = (recovery_lease_end(volume) - core->now) / 1000; // T3: ends before ours
	return left < core->config.hb_ttl_ms ? (uint32_t)left : core->config.hb_ttl_ms;
}

void
server_acknowledged(const struct core *core, struct child *child)
{
	if (child->acknowledged++ == child->synced)
		child->unsynced_since = core->now;
}

void
server_lease_given(struct core *core, struct child *child, uint32_t hb_ttl_ms)
{
	uint64_t margin_ms = hb_ttl_ms / 32 + 20; // for clocks that drift
	moment_us end = moment_after_ms(core->now, hb_ttl_ms + margin_ms), given_end = moment_after_ms(core->now, hb_ttl_ms);
	struct volume *volume = child_volume(core, child);

	if (end > child->lease_end)
		child->lease_end = end;
	if (given_end > volume->given_end)
		volume->given_end = given_end;
	core_wake(core, child->lease_end);
}

uint32_t
server_given_ms(const struct core *core, const struct volume *volume)
{
	return volume->given_end > core->now ? (uint32_t)((volume->given_end - core->now + 999) / 1000) : 0;
}

static uint32_t
block_ttl_ms(const struct core *core, const struct entry *entry)
{
	moment_us end;
	uint64_t left;

	if (entry_volume(core, entry)->is_root)
		return core->config.ttl_ms;
	end = entry_lease_end(core, entry);
	left = end > core->now ? (end - core->now) / 1000 : 0;
	return left < core->config.ttl_ms ? (uint32_t)left : core->config.ttl_ms;
}

// ---- requests ----

static struct child *
find_child(struct core *core, uint32_t link, uint32_t volume_id)
{
	for (uint32_t i = 0; i < core->volume_count; i++) {
		int32_t child = core->links[link]->child_of[i];

		if (core->volumes[i]->id == volume_id && child >= 0)
			return core->children[child];
	}
	return NULL;
}

static bool
refuse_request(struct core *core, uint32_t link, const struct message *message, enum status status, uint16_t param,
	       uint64_t value)
{
	outbox_error(core, link, message->xid, status, param, value);
	return false;
}

static bool
names_claimant(const struct message *message)
{
	uint64_t needed = PRESENT(NODE_ID) | PRESENT(LINK_NUMBER) | PRESENT(PATH) | PRESENT(TTL) | PRESENT(EPOCH);

	return (message->present & needed) == needed && message->node_id != 0;
}

// A claim for WRITE carries versions, or bytes that have none yet (put_again.h); bytes that are sent again, all of them.
static bool
claim_items_fit(const struct message *message)
{
	for (uint32_t i = 0; i < message->count; i++) {
		const struct item *item = &message->items[i];

		if (item->kind == ITEM_EMPTY ? message->perm != PERM_WRITE : (message->perm == PERM_WRITE) != (item->version == 0))
			return false;
	}
	return true;
}

// Bytes that are brought up have a version: 0 is that of a block that was never written.
static bool
versions_fit(const struct message *message)
{
	for (uint32_t i = 0; i < message->count; i++)
		if (message->items[i].kind != ITEM_EMPTY && message->items[i].version == 0)
			return false;
	return true;
}

// Only the root knows the newest epoch: a child may have learned of it before its parent does.
bool
server_version_fits(const struct volume *volume, version_t version)
{
	return version_counter(version) <= VERSION_COUNTER_MAX &&
	       (!volume->is_root || version_epoch(version) <= volume->epoch);
}

static bool
items_fit(const struct message *message)
{
	if (message->opcode == OP_RECOVER)
		return message->items != NULL && claim_items_fit(message);
	if (message->opcode == OP_FORWARD)
		return message->items != NULL;
	if (message->opcode == OP_FLUSH && (message->present & PRESENT(BLOCK_NUM)))
		return message->items != NULL && versions_fit(message);
	return message->items == NULL || message->opcode == OP_PUT;
}

// What is brought up, claimed, or given back, needs none (R15).
static bool
needs_credit(const struct message *message)
{
	return message->opcode != OP_FLUSH && message->opcode != OP_RECOVER && message->perm != PERM_NO;
}

bool
server_check_request(struct core *core, uint32_t link, const struct message *message, struct child **ret_child)
{
	enum status refusal;
	struct child *child;
	struct volume *volume;

	if (!(message->present & PRESENT(VOLUME_ID)))
		return refuse_request(core, link, message, STATUS_MISSING_PARAM, PARAM_VOLUME_ID, 0);
	child = find_child(core, link, message->volume_id);
	if (child == NULL)
		return refuse_request(core, link, message, STATUS_NO_SUCH_VOLUME, PARAM_VOLUME_ID, message->volume_id);
	volume = child_volume(core, child);
	*ret_child = child;
	refusal = rights_refusal(core, child, message);
	if (refusal != STATUS_NONE)
		return refuse_request(core, link, message, refusal, PARAM_PERMISSIONS, message->perm);
	if (core->stop != STOP_NO && message->opcode != OP_FLUSH && message->opcode != OP_RECOVER &&
	    message->perm != PERM_NO && message->items == NULL)
		return refuse_request(core, link, message, STATUS_UNAVAILABLE, 0, 0);
	if (claim_in_grace(core, volume) && message->opcode != OP_FLUSH && message->opcode != OP_RECOVER &&
	    message->perm != PERM_NO)
		return refuse_request(core, link, message, STATUS_IN_RECOVERY, 0, 0);
	if (!(message->present & PRESENT(BLOCK_NUM)) && (message->opcode == OP_FLUSH || message->opcode == OP_RECOVER))
		return true; // a barrier; the end of claims, an eviction
	if (!(message->present & PRESENT(BLOCK_NUM)))
		return refuse_request(core, link, message, STATUS_MISSING_PARAM, PARAM_BLOCK_NUM, 0);
	if (!(message->present & PRESENT(PERMISSIONS)) && message->opcode != OP_FORWARD)
		return refuse_request(core, link, message, STATUS_MISSING_PARAM, PARAM_PERMISSIONS, 0);
	if ((message->opcode == OP_PUT && message->perm != PERM_WRITE) ||
	    (message->opcode == OP_GET && message->perm == PERM_NO))
		return refuse_request(core, link, message, STATUS_BAD_PARAM_VALUE, PARAM_PERMISSIONS, message->perm);
	if (message->block >= volume->blocks || message->count > volume->blocks - message->block)
		return refuse_request(core, link, message, STATUS_BAD_PARAM_VALUE, PARAM_BLOCK_NUM, message->block);
	if (message->opcode == OP_RECOVER && !names_claimant(message))
		return refuse_request(core, link, message, STATUS_MISSING_PARAM, PARAM_NODE_ID, 0);
	if ((message->present & PRESENT(DIGEST)) && message->digest.size != (size_t)message->count * BLOCK_DIGEST_SIZE)
		return refuse_request(core, link, message, STATUS_BAD_PARAM_LENGTH, PARAM_DIGEST, message->digest.size);
	if (!items_fit(message))
		return refuse_request(core, link, message, STATUS_MISSING_PARAM, PARAM_DATA, 0);
	if (message->hops_left == 0 || (message->hops_left == 1 && !volume->is_root))
		return refuse_request(core, link, message, STATUS_LOOP_DETECTED, 0, 0);
	if (needs_credit(message) && child->pending + message->count > core->config.credits) {
		outbox_close_link(core, link, "more requests than agreed (CREDITS)");
		return false;
	}
	return true;
}

// An answer that gives ${perm}, without bytes.
static struct saying
grant_saying(const struct core *core, const struct child *child, const struct entry *entry, uint32_t xid,
	     enum perm perm)
{
	struct volume *volume = child_volume(core, child);

	return (struct saying){
		.link = (uint32_t)child->link,
		.volume = child->volume,
		.volume_id = volume->id,
		.opcode = OP_OK_REPLY,
		.block = block_key_block(entry->key),
		.xid = xid,
		.perm = perm,
		.grant = true,
		.ttl_ms = block_ttl_ms(core, entry),
		.hb_ttl_ms = server_hb_ttl_ms(core, volume),
		.hops_left = LIMIT_HOPS,
		.origin = (uint32_t)core->config.node_id,
		.item = true,
		.kind = ITEM_EMPTY,
		.version = entry_newest(core, entry),
	};
}

static void
release_block(struct core *core, struct child *child, struct entry *entry, const struct message *message)
{
	struct dir_record *record = directory_find(&core->directory, entry, (uint16_t)child->index);

	if (record == NULL ||
	    ((message->present & PRESENT(GRANT)) && (int32_t)(record->grant - (uint32_t)message->grant) > 0))
		return; // R8: older than the newest grant
	if (record->pushed)
		push_unwanted(core, child, block_key_block(entry->key));
	directory_set(&core->directory, &child->dir, (uint16_t)child->index, entry, record->entry, PERM_NO);
}

// An answer about one block that gives nothing.
void
server_answer_block(struct core *core, const struct child *child, uint64_t block, uint32_t xid, enum status status)
{
	struct saying say = {
		.link = (uint32_t)child->link,
		.volume = child->volume,
		.volume_id = child_volume(core, child)->id,
		.opcode = status == STATUS_NONE ? OP_OK_REPLY : OP_ERR_REPLY,
		.block = block,
		.xid = xid,
		.perm = -1,
		.hops_left = LIMIT_HOPS,
		.origin = (uint32_t)core->config.node_id,
		.status = status,
	};

	if (child->link >= 0)
		outbox_say(core, &say);
}

bool
server_needs_data(const struct core *core, const struct entry *entry, const struct want *want)
{
	const struct dir_record *record;

	if (want->kind == WANT_GET)
		return true;
	if (want->kind == WANT_PUT) // bytes that were applied, but are not the newest any more: it must not keep them
		return want->applied && want->version != entry->version;
	record = directory_find(&core->directory, entry, want->child);
	return record == NULL && core->config.bug != BUG_NO_CROSSING_DATA; // R5: it lost its copy meanwhile
}

bool
server_worth_granting(const struct core *core, const struct entry *entry)
{
	const struct volume *volume = entry_volume(core, entry);
	const struct work *work = table_work(&core->table, entry);

	return volume->is_root || (work != NULL && work->fresh) ||
	       entry_lease_end(core, entry) >= core->now + (moment_us)volume->ttl_ms * 1000 / 2;
}

static struct dir_record *
record_grant(struct core *core, struct child *child, struct entry *entry, enum perm perm)
{
	bool had = directory_find(&core->directory, entry, (uint16_t)child->index) != NULL;
	struct dir_record *record = directory_set(&core->directory, &child->dir, (uint16_t)child->index, entry,
						  table_index(&core->table, entry), perm);

	record->used = had;
	record->pushed = record->put = false;
	directory_set_revoked(&child->dir, record, false);
	directory_granted(&core->directory, &child->dir, record, core->step);
	return record;
}

static void
grant(struct core *core, struct entry *entry, const struct want *want)
{
	struct child *child = core->children[want->child];
	struct work *work = table_work(&core->table, entry);
	struct buf *buf = server_needs_data(core, entry, want) && !server_has_same_bytes(core, entry, want)
				  ? core->copies.ops->get(core->copies.self, entry->key)
				  : NULL;
	struct dir_record *record = directory_find(&core->directory, entry, (uint16_t)child->index);
	// A claim that was granted meanwhile may have given it more than this asks for.
	enum perm perm = record != NULL && record->perm > want->perm ? (enum perm)record->perm : (enum perm)want->perm;
	struct saying say = grant_saying(core, child, entry, want->xid, perm);

	say.kind = buf == NULL ? ITEM_EMPTY : buf == buf_zero() ? ITEM_ZERO : ITEM_DATA;
	say.buf = buf;
	entry_used(core, entry);
	if (buf != NULL || record == NULL || record->perm != PERM_WRITE)
		entry->claimed = false; // what is here counts from now on, or was never used
	record = record_grant(core, child, entry, perm);
	record->early = record->early && buf == NULL;
	record->put = want->buf != NULL;
	record->grant = (uint32_t)outbox_say(core, &say)->grant;
	server_lease_given(core, child, say.hb_ttl_ms);
	if (work != NULL)
		work->exposed = true;
	if (core->config.bug == BUG_CLEAN_ON_GRANT && want->perm == PERM_WRITE)
		dirty_clear(core, entry);
	if (want->perm == PERM_READ && buf != NULL)
		push_news(core, entry);
}

void
server_push(struct core *core, struct child *child, struct entry *entry)
{
	struct work *work = table_work(&core->table, entry);
	struct buf *buf = core->copies.ops->get(core->copies.self, entry->key);
	struct saying say = grant_saying(core, child, entry, 0, PERM_READ);
	struct dir_record *record;

	CHECK(buf != NULL);
	say.opcode = OP_PUSH;
	say.kind = buf == buf_zero() ? ITEM_ZERO : ITEM_DATA;
	say.buf = buf;
	record = record_grant(core, child, entry, PERM_READ);
	record->pushed = true;
	record->grant = (uint32_t)outbox_say(core, &say)->grant;
	if (work != NULL)
		work->exposed = true;
	core->volumes[child->volume]->pushed_out++;
}

void
server_grant_claim(struct core *core, struct entry *entry, const struct want *want, version_t version)
{
	struct child *child = core->children[want->child];
	struct dir_record *record = directory_find(&core->directory, entry, (uint16_t)child->index);
	bool beyond = record == NULL ? !overflow_may_add(core, child) : record->beyond;
	struct saying say;

	record = record_grant(core, child, entry, PERM_WRITE);
	core->directory.beyond += beyond && !record->beyond;
	record->beyond = beyond;
	table_work_make(&core->table, entry)->exposed = true;
	rights_granted_claim(core, child);
	if (want->orphan) {
		// It has left meanwhile: the record says where the block was given to. The claim may have been long on its way, and
		// have taken the block from who is away, whose lease lasts: so long nobody gets it from us.
		server_lease_given(core, child,
				   child_volume(core, child)->is_root ? core->config.hb_ttl_ms : core->parent.lease_ms);
		child->lapsed = false;
		return;
	}
	say = grant_saying(core, child, entry, want->xid, PERM_WRITE);
	say.version = version;
	record->grant = (uint32_t)outbox_say(core, &say)->grant;
	server_lease_given(core, child, say.hb_ttl_ms);
}

void
server_grant_again(struct core *core, const struct child *child, struct entry *entry, struct dir_record *record, uint32_t xid)
{
	// An answer that is on its way to a recall is none to this: the child does not know yet that it has done what it asks for. If
	// it lost this answer, too, and let the block go with that one, nobody could tell.
	enum perm perm = record->recall_open && !recall_end(core, entry, record) ? PERM_NO : PERM_WRITE;
	struct saying say = grant_saying(core, child, entry, xid, perm);

	record->grant = (uint32_t)outbox_say(core, &say)->grant;
}

// A request that nothing stands against, and that nobody waits before, needs no place in a queue.
static bool
grant_now(struct core *core, const struct child *child, struct entry *entry, const struct want *want)
{
	const struct work *work = table_work(&core->table, entry);
	const struct dir_record *record;
	bool data;

	if ((work != NULL && (work->want_head != 0 || work->recall_open || work->claim || work->claim_head != 0 ||
			      work->settles != 0)) ||
	    entry_held(core, entry) < want->perm || !server_worth_granting(core, entry))
		return false;
	if (directory_max(&core->directory, entry, (int)child->index) >
	    (want->perm == PERM_WRITE ? PERM_NO : PERM_READ))
		return false;
	record = directory_find(&core->directory, entry, (uint16_t)child->index);
	data = server_needs_data(core, entry, want);
	if (record != NULL ? record->recall_open || record->revoked : !overflow_may_add(core, child))
		return false;
	if (entry->stale || (data && (entry->copy == COPY_ABSENT || !outbox_room(core, (uint32_t)child->link))))
		return false;
	if (data && !entry_in_memory(core, entry) && !server_has_same_bytes(core, entry, want))
		return false;
	grant(core, entry, want);
	return true;
}

// A GET, a PUT or a LOCK: granted at once, or behind those who came before.
static void
request_grant(struct core *core, struct child *child, struct entry *entry, const struct message *message, uint32_t i)
{
	static const uint8_t kinds[] = {[OP_GET] = WANT_GET, [OP_PUT] = WANT_PUT, [OP_LOCK] = WANT_LOCK};
	const struct item *item = message->items != NULL ? &message->items[i] : NULL;
	struct want now = {
		.kind = kinds[message->opcode],
		.perm = (uint8_t)(message->opcode == OP_PUT ? PERM_WRITE : message->perm),
		.child = (uint16_t)child->index,
		.xid = message->xid,
	};
	struct want *want;

	if (message->opcode == OP_GET && (message->present & PRESENT(DIGEST))) {
		now.has_digest = true;
		memcpy(now.digest, message->digest.bytes + (size_t)i * BLOCK_DIGEST_SIZE, BLOCK_DIGEST_SIZE);
	}
	if (message->opcode == OP_PUT && put_again_taken(core, child, entry, message, i))
		return;
	if (child->read_only && now.perm == PERM_WRITE) { // it is being taken back, and was no repetition (A4)
		table_touch(&core->table, entry);
		server_answer_block(core, child, message->block + i, message->xid, STATUS_READ_ONLY);
		return;
	}
	if (item == NULL && grant_now(core, child, entry, &now))
		return;
	if (core->stop != STOP_NO) { // of bytes: only what is here already
		table_touch(&core->table, entry); // what it has nothing to say of is forgotten
		server_answer_block(core, child, message->block + i, message->xid, STATUS_UNAVAILABLE);
		return;
	}
	want = table_want_add(&core->table, entry, now.kind, now.perm, NULL);
	want->child = now.child;
	want->xid = now.xid;
	want->has_digest = now.has_digest;
	memcpy(want->digest, now.digest, BLOCK_DIGEST_SIZE);
	want->hops_left = (uint8_t)(message->hops_left - 1);
	want->sync = (message->flags & FLAG_FORCE_SYNC) != 0 || child->sync;
	if (item != NULL && item->kind != ITEM_EMPTY)
		want->buf = item->kind == ITEM_ZERO ? buf_zero() : buf_ref(item->buf);
	child->pending++;
	table_touch(&core->table, entry);
}

void
server_request_block(struct core *core, struct child *child, const struct message *message, uint32_t i)
{
	struct entry *entry = entry_make(core, child_volume(core, child), message->block + i);

	child->wrote |= message->items != NULL;
	if (message->items != NULL)
		server_acknowledged(core, child);
	if (message->opcode != OP_FLUSH && message->perm != PERM_NO) {
		request_grant(core, child, entry, message, i);
		return;
	}
	if (message->opcode == OP_FLUSH)
		server_flush_block(core, child, entry, message, i);
	else
		release_block(core, child, entry, message); // not answered: nobody waits for it
	table_touch(&core->table, entry);
}

// ---- grants ----

bool
server_wait_room(struct core *core, struct entry *entry, uint32_t link)
{
	if (outbox_room(core, link))
		return true;
	key_list_wait(core, &core->links[link]->waiting, entry, WAIT_ROOM);
	return false;
}

bool
server_may_grant(struct core *core, struct entry *entry, const struct want *want, bool data)
{
	const struct dir_record *record = directory_find(&core->directory, entry, want->child);
	struct child *child = core->children[want->child];
	int32_t link = child->link;

	if (record != NULL && (record->recall_open || record->revoked) && core->config.bug != BUG_GRANT_OVER_RECALL)
		return false;
	if (record == NULL && !overflow_may_add(core, child)) {
		overflow_wait(core, entry, child);
		return false;
	}
	return !data || server_wait_room(core, entry, (uint32_t)link);
}

// The bytes of a PUT become the copy here, under our own WRITE.
static void
apply_put(struct core *core, struct entry *entry, struct want *want)
{
	enum copy was = entry->copy;

	entry->version = entry_next_version(core, entry);
	entry_put_copy(core, entry, want->buf, COPY_DIRTY);
	table_work(&core->table, entry)->read_stale = table_work(&core->table, entry)->store_reading;
	dirty_mark(core, entry, was);
	server_brought(core, core->children[want->child], entry, want->buf);
	want->applied = true;
	want->version = entry->version;
	if (want->sync)
		dirty_urge(core, entry);
}

bool
server_perform(struct core *core, struct entry *entry, struct want *want)
{
	if (want->buf != NULL && !want->applied)
		apply_put(core, entry, want);
	if (want->buf != NULL && want->sync && !entry_volume(core, entry)->is_root && want->version != 0 &&
	    !dirty_accepted(core, entry, want->version))
		return false;
	grant(core, entry, want);
	core->children[want->child]->pending--;
	return true;
}

void
server_refuse(struct core *core, const struct entry *entry, struct want *want, enum status status)
{
	struct child *child = core->children[want->child];

	server_answer_block(core, child, block_key_block(entry->key), want->xid, status);
	child->pending--;
}

void
server_refuse_waiting(struct core *core, const struct child *of, enum perm left, enum status status)
{
	for (uint32_t i = 1; i < core->table.wants.next; i++) {
		struct want *want = table_want(&core->table, i);

		if (!pool_is_used(&core->table.wants, i) || want->kind < WANT_GET || want->kind == WANT_RECOVER ||
		    want->applied || want->perm <= (uint8_t)left || (of != NULL && want->child != of->index))
			continue;
		server_refuse(core, table_entry(&core->table, want->entry), want, status);
		want->kind = WANT_NONE;
		table_touch(&core->table, table_entry(&core->table, want->entry));
	}
}

// ---- sessions ----

static void
wants_forget(struct core *core, struct entry *entry, struct work *work, uint32_t child)
{
	uint32_t *link = &work->want_head;

	work->want_tail = 0;
	while (*link != 0) { // at once: who comes before it in the queue may stay for long
		struct want *want = table_want(&core->table, *link);
		uint32_t index = *link;

		if (want->kind < WANT_GET || want->child != child) {
			work->want_tail = index;
			link = &want->next;
			continue;
		}
		*link = want->next;
		buf_unref(want->buf);
		pool_free(&core->table.wants, index);
		table_touch(&core->table, entry);
	}
	link = &work->sync_head;
	while (*link != 0) {
		struct want *want = table_want(&core->table, *link);
		uint32_t index = *link;

		if (want->child != child) {
			link = &want->next;
			continue;
		}
		work->sync_owed = true;
		*link = want->next;
		pool_free(&core->table.wants, index);
		table_touch(&core->table, entry);
	}
}

void
server_link_down(struct core *core, uint32_t index)
{
	struct child *child = core->children[index];

	struct barrier *barrier = barrier_of_child(child_volume(core, child), child);

	child->link = -1;
	child->pending = 0;
	rights_link_down(core, child);
	if (barrier != NULL) { // nobody waits for it any more
		barrier_remove(child_volume(core, child), barrier);
		free(barrier);
	}
	if (child->lost == LOST_TOLD)
		child->lost = LOST_UNTOLD;
	child->phase_since = core->now;
	for (uint32_t i = 1; i < core->table.works.next; i++) {
		struct work *work = pool_get(&core->table.works, i);

		if (!pool_is_used(&core->table.works, i))
			continue;
		wants_forget(core, table_entry(&core->table, work->entry), work, index);
		claim_forget_child(core, table_entry(&core->table, work->entry), index);
		recall_question_unsent(core, table_entry(&core->table, work->entry), index);
	}
	recall_unsent(core, child);
	directory_set_absent(&core->directory, &child->dir, true);
	overflow_forget(core, child);
	eviction_forget_asker(core, child);
}

void
server_child_free(struct core *core, uint32_t index, bool orderly)
{
	struct child *child = core->children[index];

	claim_forget_session(core, index);
	claimant_forget_child(core, child);
	while (child->dir.head != 0) {
		struct dir_record *record = pool_get(&core->directory.records, child->dir.head);
		struct entry *entry = table_entry(&core->table, record->entry);
		// Who has claimed the block of the child has it, also if that has gone in order: its answer, that it lets the block go,
		// may have been lost.
		bool wrote = record->perm == PERM_WRITE && !record->revoked && !claim_inherits(core, entry, child) &&
			     !orderly && !claim_makes_room(core, entry);

		directory_set(&core->directory, &child->dir, (uint16_t)index, entry, record->entry, PERM_NO);
		if (wrote)
			recall_from_gone(core, entry);
		table_touch(&core->table, entry);
	}
	core_trace(core, "child %s: session over", child->name);
	CHECK(child->dir.open_recalls == 0 && child->questions == 0);
	free(child->streams);
	child->streams = NULL;
	child->in_use = false;
	child->generation++;
	eviction_child_gone(core, child);
}

void
server_touch_blocks(struct core *core, const struct child *child)
{
	struct dir_record *record = pool_get(&core->directory.records, child->dir.head);

	for (; record != NULL; record = pool_get(&core->directory.records, record->child_next))
		table_touch(&core->table, table_entry(&core->table, record->entry));
}

void
server_child_lapsed(struct core *core, struct child *child)
{
	struct dir_record *record = pool_get(&core->directory.records, child->dir.head), *next;
	bool moved = child->moved;

	child->lapsed = true;
	child->phase_since = core->now;
	for (; record != NULL; record = next) {
		struct entry *entry = table_entry(&core->table, record->entry);

		next = pool_get(&core->directory.records, record->child_next);
		table_touch(&core->table, entry);
		if (record->revoked)
			recall_revoked_lapsed(core, child, record);
		else if (record->perm == PERM_READ && (!child->wrote || moved))
			directory_set(&core->directory, &child->dir, (uint16_t)child->index, entry, record->entry,
				      PERM_NO);
	}
}
