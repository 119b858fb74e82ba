// SPDX-License-Identifier: MIT
#include "core/put_again.h"
#include "core/check.h"
#include "core/claim.h"
#include "core/claimant.h"
#include "core/client.h"
#include "core/local.h"
#include "core/outbox.h"
#include "core/recovery.h"
#include "core/server.h"

// ---- who sends it ----

// What was sent to the root itself on a link that broke can still arrive there when we have left it for another node, behind
// what others write meanwhile. (A root that we come back to closes that link, if we still have the name (${is_known}) that it knows;
// one that is dead takes nothing.)
static bool
may_come_late(const struct volume *volume, bool is_known)
{
	for (uint32_t i = is_known ? 1 : 0; i < volume->way_up_count; i++)
		if (claimant_names(&volume->own, volume->above[i]))
			return true;
	return false;
}

void
put_again_link_down(const struct volume *volume, struct work *work, struct want *head)
{
	if (volume->session == 0 && head->doubt.until == 0)
		work->put_unknown = false; // a root that has left in order has answered all that it had taken
	head->doubtful = work->put_unknown;
	if (!head->doubtful || head->doubt.until != 0)
		return;
	head->doubt.names[0] = volume->node_id;
	head->doubt.names[1] = volume->name_before;
	head->doubt.epoch = volume->parent_epoch != 0 ? volume->parent_epoch : volume->held_epoch;
}

void
put_again_session_lost(struct core *core, struct entry *entry)
{
	struct volume *volume = entry_volume(core, entry);
	struct work *work = table_work(&core->table, entry);
	struct want *head = table_want(&core->table, work->want_head);

	if (head != NULL && head->asks && head->doubt.until == 0)
		head->doubt.until = volume->claim_lease_end;
	work->put_late = may_come_late(volume, true);
	if (work->put_late && volume->puts_until == 0)
		volume->puts_until = volume->claim_lease_end;
}

void
put_again_advance(struct core *core, struct entry *entry)
{
	const struct volume *volume = entry_volume(core, entry);
	struct work *work = table_work(&core->table, entry);

	if (!work->put_late)
		return;
	if (volume->puts_until <= core->now)
		work->failed_status = STATUS_STORE_ERROR; // others may have written since, or write before
	else if (may_come_late(volume, false))
		return;
	work->put_late = false;
}

void
put_again_claim(struct core *core, struct entry *entry, struct want *want, struct buf *bytes)
{
	struct volume *volume = entry_volume(core, entry);
	struct claimant names = {.node_id = volume->node_id, .number = core->parent.number, .epoch = want->doubt.epoch};
	struct saying say = {
		.link = (uint32_t)core->parent.link,
		.volume = volume->index,
		.volume_id = volume->parent_id,
		.opcode = OP_RECOVER,
		.flags = FLAG_RECOVERY_OP | FLAG_FORCE_SYNC,
		.block = block_key_block(entry->key),
		.perm = PERM_WRITE,
		.hops_left = want->hops_left,
		.origin = (uint32_t)core->config.node_id,
		.claimant = &names,
		.live_ms = want->doubt.until > core->now ? (uint32_t)((want->doubt.until - core->now) / 1000) : 0,
		.given_ms = server_given_ms(core, volume),
		.item = true,
		.kind = bytes == buf_zero() ? ITEM_ZERO : ITEM_DATA,
		.buf = bytes,
	};

	for (int i = 0; i < 2; i++)
		if (want->doubt.names[i] != 0)
			claimant_add_name(&names, want->doubt.names[i]);
	recovery_add_later_names(volume, &names);
	client_send_ask(core, entry, want, &say);
}

bool
put_again_waits(const struct work *work)
{
	return work->claim || (work->resend && !(work->flushing && work->flush_resent));
}

bool
put_again_is_due(const struct work *work, const struct want *head)
{
	return head != NULL && head->kind == WANT_WRITE && head->asks && !head->applied && head->doubt.until != 0 &&
	       work->ask == ASK_NONE && !work->put_late && !work->claim;
}

bool
put_again_holds(const struct work *work, const struct want *want)
{
	bool asked = work->ask == ASK_SENT && work->ask_opcode == OP_RECOVER;

	return want->asks && (asked || work->put_late);
}

void
put_again_now(struct core *core, struct entry *entry)
{
	struct work *work = table_work(&core->table, entry);
	struct want *head = table_want(&core->table, work->want_head);
	struct buf *bytes = head != NULL && head->asks ? local_put_bytes(core, entry, head) : NULL;

	if (bytes == NULL || work->ask != ASK_NONE || put_again_waits(work))
		return;
	if (head->doubt.until != 0)
		put_again_claim(core, entry, head, bytes);
	else
		client_put(core, entry, head, bytes);
}

enum status
put_again_refused(const struct work *work, struct want *head, enum status status)
{
	// The parent has looked at its record: it has given us nothing, nor with what was sent before in this session.
	if (work->ask_opcode == OP_PUT && status == STATUS_IN_RECOVERY && head != NULL && head->asks)
		put_again_answered(head);
	if (work->ask_opcode != OP_RECOVER)
		return status;
	if (status == STATUS_TOO_MANY)
		return STATUS_UNAVAILABLE;
	if (status == STATUS_ACCESS_DENIED)
		return STATUS_EVICTED; // of who may only read now, nothing that he claims is taken (A4)
	if (status != STATUS_NOT_HOLDER)
		return status;
	if (head != NULL && head->asks)
		put_again_answered(head);
	return STATUS_NONE;
}

void
put_again_answered(struct want *want)
{
	want->doubtful = false;
	want->doubt = (struct doubt){0};
}

// ---- who gets it ----

// The child asks again before it answers anything else, so nobody else can have written since it was given WRITE: it is a FLUSH
// then; applying it behind those who wait would let an old write reappear (hazard H40).
bool
put_again_taken(struct core *core, struct child *child, struct entry *entry, const struct message *message, uint32_t i)
{
	struct dir_record *record = directory_find(&core->directory, entry, (uint16_t)child->index);
	struct item item;

	if (message->opcode == OP_RECOVER && (message->node_id != child->node_id || record == NULL || !record->put))
		return false; // the child passes it on, or has the block for something else
	if (message->perm != PERM_WRITE || message->items == NULL || message->items[i].kind == ITEM_EMPTY || record == NULL ||
	    record->perm != PERM_WRITE || !core->volumes[child->volume]->is_root)
		return false;
	item = message->items[i];
	item.version = entry_next_version(core, entry);
	server_absorb(core, entry, &item);
	server_grant_again(core, child, entry, record, message->xid);
	return true;
}

bool
put_again_is(const struct want *want)
{
	return want->kind == WANT_RECOVER && want->perm == PERM_WRITE && want->buf != NULL;
}

static enum verdict
refuse(struct want *want, enum status status)
{
	want->refusal = (uint8_t)status;
	return CLAIM_REFUSED;
}

// Is anything else to be decided that came in the grace time, or that this child has brought before? (What has been passed on is
// decided before it there.)
bool
put_again_is_behind(const struct core *core, const struct work *work, const struct want *want)
{
	for (uint32_t i = work->claim_head; i != 0; i = table_want(&core->table, i)->next) {
		const struct want *other = table_want(&core->table, i);

		if ((other->early || other->child == want->child) && !put_again_is(other) && other->refusal == STATUS_NONE &&
		    other->up_xid == 0)
			return true;
	}
	return false;
}

// Is the block on record for such a write of the claimant, and for nothing else? A child that has it for a claim that it has passed on
// has it for others.
static bool
is_own(const struct core *core, const struct want *want, const struct dir_record *record)
{
	const struct claimant *claimant = claimant_get(core, want->claimant);
	const struct child *child = core->children[want->child], *old = core->children[record->child];

	if (record->perm != PERM_WRITE || !record->put)
		return false;
	if (old == child)
		return want->own && !record->recall_open;
	return claimant_names(claimant, old->node_id) && old->link < 0 && !old->evicting && old->number < claimant->number;
}

enum verdict
put_again_decide(struct core *core, const struct entry *entry, struct want *want)
{
	const struct volume *volume = entry_volume(core, entry);
	// One, as long as nobody is served who has not claimed it; else the writer's.
	const struct dir_record *record = want->early ? directory_first(&core->directory, entry) : directory_writer(&core->directory, entry);
	bool same_root = claimant_get(core, want->claimant)->epoch == volume->epoch, was_not_done;

	CHECK(volume->is_root);
	if (claim_in_grace(core, volume) || put_again_is_behind(core, table_work(&core->table, entry), want))
		return CLAIM_WAITS;
	if (record != NULL && is_own(core, want, record))
		return CLAIM_GRANTED;
	// What the root before had done once more may have been given to others, if who was above its author was evicted then.
	if (want->early && record == NULL)
		return want->reclaimed && volume->evicts ? refuse(want, STATUS_EVICTED) : CLAIM_GRANTED;
	// Who has it before others are served has claimed it, though he may only read it by now; but for a proxy that has passed on an
	// earlier claim of this write, here or at the root before.
	was_not_done = want->early ? !want->reclaimed && (record->early || record->perm != PERM_WRITE)
				   : record == NULL && same_root && want->live;
	return refuse(want, was_not_done ? STATUS_NOT_HOLDER : STATUS_EVICTED);
}

bool
put_again_is_told(const struct want *want)
{
	return !put_again_is(want) || want->own;
}

// Of several that came in the grace time one at most was done before. Nobody has read what that one wrote, and it is written over
// here: it begins anew, as do those that were not done.
static void
others_begin_anew(struct core *core, const struct work *work, const struct want *want)
{
	for (uint32_t i = work->claim_head; i != 0; i = table_want(&core->table, i)->next) {
		struct want *other = table_want(&core->table, i);

		if (other != want && other->early && put_again_is(other) && other->refusal == STATUS_NONE)
			other->refusal = STATUS_NOT_HOLDER;
	}
}

void
put_again_apply(struct core *core, struct entry *entry, struct want *want)
{
	struct item item = {.kind = want->buf == buf_zero() ? ITEM_ZERO : ITEM_DATA, .buf = want->buf};

	if (!entry_volume(core, entry)->is_root)
		return; // it is done above
	if (entry->version == 0)
		entry->version = entry_volume(core, entry)->version_floor; // nobody has claimed it
	item.version = want->version = entry_next_version(core, entry);
	server_absorb(core, entry, &item);
	if (want->early)
		others_begin_anew(core, table_work(&core->table, entry), want);
}
