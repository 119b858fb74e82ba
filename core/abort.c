// SPDX-License-Identifier: MIT
// After an abort programs have heard EIO, and somebody may repair on another node what they left. Bytes that came up hours
// later, when the parent is there again, would surprise him: they are given up now, and kept in a rescue file. What was
// sent and not answered may have arrived, as with every write that failed.
//
// A node with children of the volume gives nothing up. They may have read what was written here, and what they wrote
// stands in the same copies: it goes on bringing up all of it, as a proxy. So does a root: its store is no parent that
// could be away.
#include "core/abort.h"
#include "core/client.h"
#include "core/dirty.h"
#include "core/local.h"
#include "core/unstable.h"

#include <stdlib.h>

static bool
has_children(const struct core *core, const struct volume *volume)
{
	for (uint32_t i = 0; i < core->child_count; i++)
		if (core->children[i]->in_use && core->children[i]->volume == volume->index)
			return true;
	return false;
}

static void
give_up(struct core *core, struct entry *entry)
{
	struct work *work = table_work(&core->table, entry);

	if (work->claim_clean && entry->copy == COPY_UNSTABLE) { // nothing of ours; but the parent may lack these bytes
		work->claim_clean = false;
		entry_drop_copy(core, entry);
	} else {
		client_lost(core, entry, "the volume is aborted");
	}
	table_touch(&core->table, entry);
}

// There is nothing left that a barrier could make durable.
static void
forget_barriers(struct volume *volume)
{
	while (volume->barriers != NULL) {
		struct barrier *barrier = volume->barriers;

		barrier_remove(volume, barrier);
		free(barrier);
	}
	volume->barrier_out = volume->commit_wanted = volume->unsynced = false;
	unstable_forget_keepers(volume);
}

void
abort_volume(struct core *core, struct volume *volume)
{
	local_abort(core, volume);
	if (volume->is_root || has_children(core, volume))
		return;
	for (uint32_t i = 1; i < core->table.works.next; i++) {
		struct work *work = pool_get(&core->table.works, i);
		struct entry *entry;

		if (!pool_is_used(&core->table.works, i))
			continue;
		entry = table_entry(&core->table, work->entry);
		if (block_key_volume(entry->key) == volume->index && entry->copy >= COPY_UNSTABLE)
			give_up(core, entry);
	}
	forget_barriers(volume);
}
