// SPDX-License-Identifier: MIT
#include "core/let_go.h"
#include "core/client.h"
#include "core/dirty.h"

void
let_go_note(struct volume *volume, uint64_t block, uint64_t node_id)
{
	volume->let_go[volume->let_go_count++ % LET_GO_KEPT] = (struct let_go){block, node_id};
}

// Is nothing of the block held here, nor below? Dirty bytes have to be on their way.
static bool
is_gone(const struct core *core, const struct entry *entry)
{
	return entry == NULL || (entry->held == PERM_NO && entry->dir == 0 &&
				 (entry->copy != COPY_DIRTY || entry_is_on_its_way(core, entry)));
}

bool
let_go_was(const struct core *core, const struct volume *volume, uint64_t block, uint64_t node_id)
{
	if (!is_gone(core, table_find(&core->table, block_key_make(volume->index, block))))
		return false;
	for (uint32_t i = 0; i < LET_GO_KEPT && i < volume->let_go_count; i++)
		if (volume->let_go[i].block == block && volume->let_go[i].node_id == node_id)
			return true;
	return false;
}

void
let_go_forget(struct volume *volume, uint64_t block)
{
	for (uint32_t i = 0; i < LET_GO_KEPT && i < volume->let_go_count; i++)
		if (volume->let_go[i].block == block)
			volume->let_go[i].node_id = 0;
}

void
let_go_of(struct core *core, struct entry *entry, uint64_t node_id)
{
	struct work *work = table_work_make(&core->table, entry);
	struct volume *volume = entry_volume(core, entry);

	if (work->claim) { // those above would take it for given back, and grant it all the same
		work->claim_lets_go = true;
		work->claim_lets_go_for = node_id;
		return;
	}
	if (node_id != 0)
		let_go_note(volume, block_key_block(entry->key), node_id);
	if (entry->copy == COPY_DIRTY && entry->held == PERM_WRITE && !entry_is_on_its_way(core, entry) && client_parent_usable(core, volume))
		client_flush(core, entry, PERM_NO, dirty_root_awaited(core, work));
	entry_set_held(core, entry, PERM_NO);
	if (entry->copy == COPY_CLEAN)
		entry_drop_copy(core, entry);
}
