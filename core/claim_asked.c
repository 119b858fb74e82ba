// SPDX-License-Identifier: MIT
// Our parent asks, by a recall that names a claimant, whether he has left the child that has the block (F5).
#include "core/check.h"
#include "core/claim.h"
#include "core/claimant.h"
#include "core/client.h"
#include "core/outbox.h"
#include "core/recall.h"

// The block is recalled for the claimant that ${message} names.
static bool
recall_named(struct core *core, struct work *work, const struct message *message, bool bytes)
{
	uint32_t claimant = claimant_take(core, message);

	claimant_release(core, work->recall_mover);
	work->recall_mover = claimant;
	work->recall_live = message->ttl_ms > 0;
	work->recall_bytes = bytes;
	return claimant != 0 || bytes; // without a name: an ordinary recall
}

bool
claim_recall(struct core *core, struct entry *entry, const struct message *message)
{
	struct work *work = table_work_make(&core->table, entry);
	struct dir_record *record = directory_writer(&core->directory, entry);
	struct child *child = record != NULL ? core->children[record->child] : NULL;
	bool here = child != NULL && child->link >= 0 && !core->links[child->link]->closing; // else it can not be asked
	bool is_mover = child != NULL && child->node_id == message->node_id, named = is_mover;
	bool bytes = message->perm != PERM_NO;

	for (uint32_t i = 0; child != NULL && i < message->path_count; i++)
		named |= message->path[i] == child->node_id;
	// Claims are passed on, and recorded, along other ways than their PATH: whoever is here is asked.
	if (child == NULL)
		return bytes;
	if (!here && !named)
		return bytes && recall_named(core, work, message, bytes);
	if (!here && !is_mover && message->ttl_ms == 0) {
		child->moved = true; // it may have the block by right; but has to say so
		return bytes && recall_named(core, work, message, bytes);
	}
	if (is_mover && child->number >= message->link_number) // it has come back since, though it may be away again
		return bytes && recall_named(core, work, message, bytes);
	if (is_mover || !here) {
		child->moved = true;
		if (here)
			outbox_close_link(core, (uint32_t)child->link, "the child has moved to another parent");
		// Below who brings bytes they may still be read, until that is revoked or its lease is over (F3).
		directory_set(&core->directory, &child->dir, (uint16_t)child->index, entry, record->entry,
			      bytes ? PERM_READ : PERM_NO);
		work->recall_bytes = bytes;
		return true;
	}
	return recall_named(core, work, message, bytes);
}

bool
claim_leaves(const struct core *core, const struct entry *entry)
{
	const struct work *work = table_work(&core->table, entry);

	if (work == NULL || !work->recall_open || !work->recall_leaves ||
	    directory_writer(&core->directory, entry) != NULL)
		return false;
	for (uint32_t i = work->claim_head; i != 0; i = table_want(&core->table, i)->next)
		if (table_want(&core->table, i)->asked >= 0 || table_want(&core->table, i)->cleared)
			return false;
	return true;
}

bool
claim_makes_room(const struct core *core, const struct entry *entry)
{
	const struct work *work = table_work(&core->table, entry);

	return work != NULL && work->recall_open && work->recall_mover != 0;
}

void
claim_kept(struct core *core, struct entry *entry)
{
	struct work *work = table_work(&core->table, entry);

	if (work != NULL && work->recall_mover != 0 && !work->recall_bytes) // a claim's question took the place of one for bytes
		client_refuse_recall(core, entry);
}

void
claim_asked_in_vain(struct core *core, struct entry *entry, struct child *child)
{
	struct work *work = table_work(&core->table, entry);
	const struct claimant *mover = work != NULL ? claimant_get(core, work->recall_mover) : NULL;

	if (mover == NULL || work->recall_bytes)
		return;
	if (work->recall_live) { // else it waits for the eviction
		const struct dir_record *record = directory_find(&core->directory, entry, (uint16_t)child->index);

		if (!claimant_names(mover, child->node_id))
			return;
		child->moved = true;
		directory_set(&core->directory, &child->dir, (uint16_t)child->index, entry, record->entry, PERM_NO);
		return;
	}
	child->moved |= claimant_names(mover, child->node_id); // it may have the block by right; but has to say so
	client_refuse_recall(core, entry);
}
