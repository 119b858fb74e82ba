// SPDX-License-Identifier: MIT
#include "core/stored.h"
#include "core/check.h"
#include "core/claim.h"

#include <stdlib.h>

// A block of the log.
struct stored {
	uint64_t block;
	struct bounds bounds;
};

void
core_add_stored_version(struct core *core, uint32_t index, uint64_t block, version_t low, version_t high)
{
	struct volume *volume = core->volumes[index];

	CHECK(index < core->volume_count && volume->is_root && block < volume->blocks && low <= high);
	CHECK(volume->stored_count == 0 || volume->stored[volume->stored_count - 1].block < block);
	if (volume->stored_count == volume->stored_capacity) {
		volume->stored_capacity = volume->stored_capacity ? volume->stored_capacity * 2 : 256;
		volume->stored = realloc(volume->stored, volume->stored_capacity * sizeof(*volume->stored));
		CHECK(volume->stored != NULL);
	}
	volume->stored[volume->stored_count++] = (struct stored){block, {low, high}};
}

void
core_set_versions_complete(struct core *core, uint32_t index, bool complete)
{
	CHECK(index < core->volume_count && core->volumes[index]->is_root);
	core->volumes[index]->stored_complete = complete;
}

struct bounds
stored_bounds(const struct core *core, const struct entry *entry, const struct want *want)
{
	const struct volume *volume = entry_volume(core, entry);
	uint64_t block = block_key_block(entry->key);
	size_t from = 0, to = volume->stored_count;

	if (!want->early)
		return (struct bounds){0, VERSION_MAX};
	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (volume->stored[middle].block < block)
			from = middle + 1;
		else
			to = middle;
	}
	if (from < volume->stored_count && volume->stored[from].block == block)
		return volume->stored[from].bounds;
	return (struct bounds){0, volume->stored_complete ? 0 : VERSION_MAX};
}

bool
stored_is_newer(struct bounds bounds, version_t version)
{
	// The same version again does no harm, and mends what a newer write that was not synced has left half done.
	return version > bounds.low || version >= bounds.high;
}

void
stored_rest(struct core *core, struct volume *volume)
{
	if (!volume->stored_kept || volume->early_claims > 0 || claim_in_grace(core, volume))
		return;
	volume->stored_kept = false;
	for (uint32_t i = 1; i < core->table.entries.next; i++) // they were kept for the claims (entry_rest)
		if (pool_is_used(&core->table.entries, i) &&
		    block_key_volume(table_entry(&core->table, i)->key) == volume->index &&
		    table_entry(&core->table, i)->work == 0)
			entry_rest(core, table_entry(&core->table, i));
	free(volume->stored);
	volume->stored = NULL;
	volume->stored_count = volume->stored_capacity = 0;
}
