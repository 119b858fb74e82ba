// SPDX-License-Identifier: MIT
#include "core/recall.h"
#include "core/claim.h"
#include "core/claimant.h"
#include "core/dirty.h"
#include "core/eviction.h"
#include "core/gaps.h"
#include "core/let_go.h"
#include "core/outbox.h"
#include "core/push.h"

// Below a child others may fall silent, one below the other, and be waited for.
enum { RECALL_LEASES = 8, RECALL_MIN_MS = 10000 };

#define RECLAIM_GAP (UINT64_C(1) << 20) // versions that a writer who fell silent may have used

moment_us
recall_limit_us(const struct core *core)
{
	return ((moment_us)core->config.hb_ttl_ms * RECALL_LEASES + RECALL_MIN_MS) * 1000;
}

// A claim goes before bytes: these may be waiting for the claimant himself, until he would be evicted.
static bool
overrides(const struct dir_record *record, enum perm allowed)
{
	return record->recall_perm == PERM_READ && allowed == PERM_NO;
}

// Does the open INVALIDATE of ${record} have to be answered before there can be another one? A claim takes the place of a plain
// recall, and so does it that the block is revoked, for which nothing that is granted meanwhile may be waited for (F3).
static bool
holds_back(const struct dir_record *record, enum perm allowed, const struct claimant *claimant)
{
	if (!record->recall_open)
		return false;
	if (record->recall_moves)
		return claimant == NULL || !overrides(record, allowed);
	return claimant == NULL && (!record->revoked || record->recall_revokes);
}

static uint32_t
invalidate(struct core *core, struct entry *entry, struct dir_record *record, enum perm allowed,
	   const struct claimant *claimant, bool live)
{
	struct child *child = core->children[record->child];
	bool revokes = claimant == NULL && record->revoked && allowed == PERM_NO;
	struct saying say = {
		.link = (uint32_t)child->link,
		.volume = child->volume,
		.volume_id = core->volumes[child->volume]->id,
		.opcode = OP_INVALIDATE,
		.flags = claimant != NULL || revokes ? FLAG_RECOVERY_OP : 0,
		.block = block_key_block(entry->key),
		.perm = allowed,
		.hops_left = LIMIT_HOPS,
		.origin = (uint32_t)core->config.node_id,
		.claimant = claimant,
		.live_ms = claimant != NULL && live ? 1 : 0,
	};

	if (child->link < 0 || core->links[child->link]->closing) {
		if (child->lapsed)
			eviction_begin(core, child);
		return 0;
	}
	if (holds_back(record, allowed, claimant))
		return 0;
	directory_set_recall(&core->directory, &child->dir, record, true);
	if (child->dir.open_recalls == 1)
		child->answered_at = core->now;
	core_wake(core, child->answered_at + recall_limit_us(core));
	record->recall_moves = claimant != NULL;
	record->recall_revokes = revokes;
	if (claimant != NULL)
		table_work_make(&core->table, entry)->asked_for = claimant->node_id;
	record->recall_perm = (uint8_t)allowed;
	record->recall_xid = outbox_say(core, &say)->xid;
	return record->recall_xid;
}

uint32_t
recall_for(struct core *core, struct entry *entry, struct dir_record *record, enum perm allowed, bool live,
	   const struct claimant *claimant)
{
	return invalidate(core, entry, record, allowed, claimant, live);
}

bool
recall_back(struct core *core, struct dir_record *record, enum perm allowed)
{
	return invalidate(core, table_entry(&core->table, record->entry), record, allowed, NULL, false) != 0;
}

bool
recall_is_frozen(struct core *core, const struct entry *entry, int except)
{
	for (struct dir_record *r = directory_first(&core->directory, entry); r != NULL;
	     r = directory_next(&core->directory, r))
		if (r->child != except && r->perm == PERM_WRITE && core->children[r->child]->link < 0)
			return true;
	return false;
}

void
recall_question_end(struct core *core, struct work *work)
{
	if (work->question_child != 0)
		core->children[work->question_child - 1]->questions--;
	work->question_child = 0;
}

bool
recall_end(struct core *core, struct entry *entry, struct dir_record *record)
{
	struct work *work = table_work_make(&core->table, entry);

	if (record->revoked)
		return false;
	directory_set_recall(&core->directory, &core->children[record->child]->dir, record, false);
	record->recall_moves = false;
	if (work->question_child == record->child + 1)
		recall_question_end(core, work);
	for (uint32_t i = work->claim_head; i != 0; i = table_want(&core->table, i)->next)
		if (table_want(&core->table, i)->asked == record->child)
			table_want(&core->table, i)->asked = -1;
	table_touch(&core->table, entry);
	return true;
}

static void
question_begin(struct core *core, struct work *work, uint16_t child, uint32_t xid)
{
	recall_question_end(core, work);
	work->question_child = (uint16_t)(child + 1);
	work->question_xid = xid;
	core->children[child]->questions++;
}

// What gives the block back in answer to an earlier recall has not left it to the claimant. So the record can be gone before the
// question is answered, and says nothing.
static bool
question_answered(struct core *core, struct entry *entry, struct child *child, const struct message *message)
{
	struct work *work = table_work(&core->table, entry);
	const struct dir_record *record = directory_find(&core->directory, entry, (uint16_t)child->index);

	if (work == NULL || work->question_child != child->index + 1 || work->question_xid != message->xid)
		return false;
	recall_question_end(core, work);
	child->answered_at = core->now;
	table_touch(&core->table, entry);
	if (message->opcode == OP_ERR_REPLY && (record == NULL || !record->recall_open))
		claim_kept(core, entry);
	return true;
}

void
recall_question_unsent(struct core *core, struct entry *entry, uint32_t index)
{
	struct work *work = table_work(&core->table, entry);
	const struct dir_record *record;

	if (work->question_child != index + 1)
		return;
	recall_question_end(core, work);
	record = directory_find(&core->directory, entry, (uint16_t)index);
	if (record == NULL || record->perm != PERM_WRITE)
		claim_kept(core, entry);
	table_touch(&core->table, entry);
}

bool
recall_children(struct core *core, struct entry *entry, int except, enum perm allowed)
{
	struct work *work = table_work(&core->table, entry);
	const struct claimant *mover = work != NULL ? claimant_get(core, work->recall_mover) : NULL;
	bool done = true;
	uint32_t xid;

	for (struct dir_record *r = directory_first(&core->directory, entry); r != NULL;
	     r = directory_next(&core->directory, r)) {
		if (r->child == except || r->perm <= (uint8_t)allowed)
			continue;
		done = false;
		if (mover != NULL && r->revoked)
			continue; // it has to answer that (recall_revoked), and nobody can claim what it has
		xid = invalidate(core, entry, r, mover != NULL && work->recall_bytes ? PERM_READ : allowed, mover,
				 work != NULL && work->recall_live);
		if (mover == NULL || work->recall_bytes || r->perm != PERM_WRITE)
			continue;
		if (xid == 0 && r->recall_open && r->recall_moves && work->asked_for == mover->node_id)
			xid = r->recall_xid; // asked before our link broke, or for a claim here
		if (xid != 0)
			question_begin(core, work, r->child, xid);
	}
	return done && (work == NULL || work->question_child == 0);
}

bool
recall_revoke(struct core *core, struct entry *entry, enum perm left)
{
	struct dir_record *record = directory_first(&core->directory, entry), *next;
	bool any = false;

	for (; record != NULL; record = next) {
		struct child *child = core->children[record->child];

		next = directory_next(&core->directory, record);
		if (record->perm <= left || record->revoked)
			continue;
		any = true;
		directory_set_revoked(&child->dir, record, true);
		table_work_make(&core->table, entry)->revoked = true;
		table_touch(&core->table, entry);
		if (child->lapsed)
			recall_revoked_lapsed(core, child, record);
	}
	return any;
}

void
recall_revoked_lapsed(struct core *core, struct child *child, struct dir_record *record)
{
	if (record->perm == PERM_WRITE)
		child->moved = true; // it does not know: its session can not be resumed
	directory_set(&core->directory, &child->dir, (uint16_t)child->index, table_entry(&core->table, record->entry),
		      record->entry, PERM_NO);
}

void
recall_revoked(struct core *core, struct entry *entry)
{
	bool any = false;

	for (struct dir_record *r = directory_first(&core->directory, entry); r != NULL;
	     r = directory_next(&core->directory, r)) {
		if (!r->revoked)
			continue;
		any = true;
		if (core->children[r->child]->link >= 0) // else it ends with the lease
			invalidate(core, entry, r, PERM_NO, NULL, false);
	}
	table_work(&core->table, entry)->revoked = any;
}

// Somebody here or above waits to write the block.
static bool
is_to_be_written(const struct core *core, const struct entry *entry)
{
	const struct work *work = table_work(&core->table, entry);
	const struct want *want = work != NULL ? table_want(&core->table, work->want_head) : NULL;

	return work != NULL && ((want != NULL && want->perm == PERM_WRITE) || work->recall_open);
}

void
recall_answered(struct core *core, struct child *child, const struct message *message, uint32_t i)
{
	struct entry *entry = table_find(&core->table, block_key_make(child->volume, message->block + i));
	struct dir_record *record =
		entry != NULL ? directory_find(&core->directory, entry, (uint16_t)child->index) : NULL;
	bool for_claim = entry != NULL && claim_answered(core, entry, child->index, message);
	bool for_above = entry != NULL && question_answered(core, entry, child, message), moves;
	const struct work *work = entry != NULL ? table_work(&core->table, entry) : NULL;
	enum perm left;

	if (for_claim)
		table_touch(&core->table, entry); // the record may be gone with the bytes that came before
	if (record == NULL || !record->recall_open || record->recall_xid != message->xid)
		return; // H23: an answer to something that is over
	directory_set_recall(&core->directory, &child->dir, record, false);
	child->answered_at = core->now;
	if (message->opcode == OP_ERR_REPLY && !record->recall_moves) {
		outbox_close_link(core, (uint32_t)child->link, "the child refuses an INVALIDATE");
		return;
	}
	if (message->opcode == OP_ERR_REPLY) {
		record->recall_moves = false;
		claim_kept(core, entry);
		table_touch(&core->table, entry);
		return;
	}
	moves = record->recall_moves && !record->revoked && record->perm == PERM_WRITE;
	record->recall_moves = false;
	left = record->recall_perm;
	if ((message->present & PRESENT(PERMISSIONS)) && message->perm < left)
		left = message->perm;
	if (record->perm < left)
		left = record->perm;
	if (left == PERM_NO && record->perm == PERM_READ && !record->pushed && is_to_be_written(core, entry))
		push_interest(core, entry, child);
	directory_set(&core->directory, &child->dir, (uint16_t)child->index, entry, record->entry, left);
	// Our own link has broken since: who wanted to know asks again, and is told.
	if (moves && left == PERM_NO && !for_claim && !for_above && entry->held != PERM_NO)
		let_go_of(core, entry, work != NULL ? work->asked_for : 0);
	table_touch(&core->table, entry);
}

// Recalls that were under way will not be answered: what still needs them sends them again. A child that has not heard who
// has left it has to say anew what it holds: asked without a name, it would take who is gone for one who has died.
void
recall_unsent(struct core *core, struct child *child)
{
	struct dir_record *record = pool_get(&core->directory.records, child->dir.head), *next;

	for (; record != NULL; record = next) {
		struct entry *entry = table_entry(&core->table, record->entry);
		bool moves = record->recall_moves;

		next = pool_get(&core->directory.records, record->child_next);
		if (!record->recall_open)
			continue;
		directory_set_recall(&core->directory, &child->dir, record, false);
		child->moved |= moves && record->revoked;
		record->recall_moves = false;
		if (moves)
			claim_asked_in_vain(core, entry, child);
		table_touch(&core->table, entry);
	}
}

// Is the copy the newest that there is when those below have nothing? One of which it was said that there are newer ones is so only
// if it is dirty, and not brought up for others to decide about.
static bool
is_newest_left(const struct core *core, const struct entry *entry)
{
	return !entry->stale || (entry->copy == COPY_DIRTY && !table_work(&core->table, entry)->resend);
}

void
recall_from_gone(struct core *core, struct entry *entry)
{
	version_t gap = entry->version;
	enum copy was;

	entry_drop_unless_in_memory(core, entry);
	was = entry->copy;
	if (version_epoch(gap) < entry_volume(core, entry)->epoch) // the writer may have known of it, too
		gap = version_make(entry_volume(core, entry)->epoch, 0);
	gap += RECLAIM_GAP;
	if (is_newest_left(core, entry) && (was != COPY_ABSENT || entry_volume(core, entry)->is_root))
		gaps_note(core, entry->key, (struct gap){entry->version, gap}); // else when it is known with which bytes it goes on
	if (was == COPY_ABSENT || is_newest_left(core, entry))
		entry->version = gap;
	if (was == COPY_ABSENT && entry_volume(core, entry)->is_root)
		return;
	if (was == COPY_ABSENT || !is_newest_left(core, entry)) { // the parent must learn of it, with the bytes
		table_want_add(&core->table, entry, WANT_PREFETCH, PERM_WRITE, NULL)->hops_left = LIMIT_HOPS;
		table_work(&core->table, entry)->gap = gap;
		return;
	}
	entry->stale = 0;
	entry_dirty_copy(core, entry);
	dirty_mark(core, entry, was);
}
