// SPDX-License-Identifier: MIT
// What becomes of that which a node has asked, sent and been told, when the link to its parent breaks, and when there is another.
#include "core/claim.h"
#include "core/client.h"
#include "core/check.h"
#include "core/dirty.h"
#include "core/put_again.h"
#include "core/recall.h"
#include "core/recovery.h"
#include "core/unstable.h"

// Nothing that was sent will be answered any more.
static void
work_link_down(struct core *core, struct entry *entry, struct work *work)
{
	struct want *head = table_want(&core->table, work->want_head);

	if (work->ask == ASK_SENT) {
		// It may have reached the root; but one that has left in order has answered all that it had taken.
		work->put_unknown |= work->put_buf != NULL && entry_volume(core, entry)->session != 0;
		client_ask_end(core, work);
	}
	// Nor does it say what has become of the first that one which was sent again was refused, and waits to be sent once more.
	// (One that may come late waits for what has been decided about it: put_again.c.)
	if (head != NULL && head->asks && !work->put_late) {
		work->put_unknown |= head->doubtful;
		put_again_link_down(entry_volume(core, entry), work, head);
	}
	work->ask = ASK_NONE;
	work->claim_xid = 0;
	unstable_link_down(core, entry, work);
	claim_link_down(core, work);
	if (work->flushing)
		dirty_unsent(core, entry);
	if (work->recall_revokes)
		recovery_revoked(core, entry);
	client_forget_recall(core, work); // sent again when the session goes on
	table_touch(&core->table, entry);
}

void
client_link_down(struct core *core)
{
	for (uint32_t i = 1; i < core->table.works.next; i++) {
		struct work *work = pool_get(&core->table.works, i);
		struct entry *entry;

		if (!pool_is_used(&core->table.works, i))
			continue;
		entry = table_entry(&core->table, work->entry);
		if (!entry_volume(core, entry)->is_root)
			work_link_down(core, entry, work);
	}
	CHECK(core->parent.outstanding == 0);
	core->parent.waiting.count = 0;
}

void
client_epoch_confirmed(struct core *core, const struct volume *volume)
{
	for (uint32_t i = 1; i < core->table.entries.next; i++) {
		struct entry *entry = table_entry(&core->table, i);

		if (!pool_is_used(&core->table.entries, i) || block_key_volume(entry->key) != volume->index)
			continue;
		if (entry->anew == ANEW_NOW)
			entry->anew = ANEW_BEFORE;
		else if (entry->anew == ANEW_NEXT)
			entry->anew = ANEW_NOW;
	}
}

void
client_connected(struct core *core, struct volume *volume, bool resumed, bool lapsed)
{
	if (!resumed) {
		volume->let_go_count = 0;
		recovery_below(core, volume);
	}
	volume->claims++; // no eviction goes before the claims, though one from before may end here
	for (uint32_t i = 1; i < core->table.entries.next; i++) {
		struct entry *entry = table_entry(&core->table, i);
		struct work *work;

		if (!pool_is_used(&core->table.entries, i) || block_key_volume(entry->key) != volume->index)
			continue;
		if (!resumed)
			recovery_block(core, entry);
		else if (lapsed && entry->held == PERM_READ)
			recovery_give_back(core, entry);
		work = table_work(&core->table, entry);
		if (work == NULL) {
			entry_rest(core, entry);
			continue;
		}
		if (work->put_unknown && !work->put_late && work->failed_status == STATUS_NONE)
			put_again_now(core, entry);
		work->put_unknown = false;
		// Dirty bytes whose FLUSH was under way when the link broke and whose permission is gone go first. They do not give back
		// what a PUT has been granted that was sent behind them.
		if (resumed && entry->copy == COPY_DIRTY && entry->held != PERM_WRITE && !work->resend)
			client_flush(core, entry, work->ask == ASK_SENT ? PERM_WRITE : entry->held, dirty_root_awaited(core, work));
		table_touch(&core->table, entry);
	}
	volume->claims--;
}
