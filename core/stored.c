// SPDX-License-Identifier: MIT
#include "core/stored.h"
#include "core/check.h"
#include "core/claim.h"
#include "core/limits.h"
#include "core/memory.h"

#include <stdlib.h>

enum { STORED_MIN = 256 };

// A block of which something is known. In a table with open addressing: 43 to 86 bytes a block.
struct stored {
	uint64_t block_next; // block + 1; 0: empty
	struct bounds bounds;
	version_t brought; // the newest of an earlier epoch that came since; 0: none
};

// Of a block that the log does not name.
static struct bounds
unknown(const struct volume *volume)
{
	return (struct bounds){0, volume->stored_all != 0 ? 0 : VERSION_MAX};
}

static struct stored *
slot_of(const struct volume *volume, uint64_t block)
{
	uint64_t mask = volume->stored_capacity - 1;
	uint64_t i = ((block + 1) * UINT64_C(0x9e3779b97f4a7c15) >> 32) & mask;

	while (volume->stored[i].block_next != 0 && volume->stored[i].block_next != block + 1)
		i = (i + 1) & mask;
	return &volume->stored[i];
}

static void
grow(struct volume *volume)
{
	struct stored *old = volume->stored;
	size_t old_capacity = volume->stored_capacity;

	volume->stored_capacity = old_capacity ? old_capacity * 2 : STORED_MIN;
	volume->stored = memory_table(volume->stored_capacity * sizeof(*volume->stored));
	for (size_t i = 0; i < old_capacity; i++)
		if (old[i].block_next != 0)
			*slot_of(volume, old[i].block_next - 1) = old[i];
	free(old);
}

static struct stored *
stored_find(const struct volume *volume, uint64_t block)
{
	struct stored *stored = volume->stored_count > 0 ? slot_of(volume, block) : NULL;

	return stored != NULL && stored->block_next != 0 ? stored : NULL;
}

static struct stored *
stored_make(struct volume *volume, uint64_t block)
{
	struct stored *stored;

	if (4 * (volume->stored_count + 1) > 3 * volume->stored_capacity)
		grow(volume);
	stored = slot_of(volume, block);
	if (stored->block_next == 0) {
		volume->stored_count++;
		stored->block_next = block + 1;
		stored->bounds = unknown(volume);
	}
	return stored;
}

void
core_add_stored_version(struct core *core, uint32_t index, uint64_t block, version_t low, version_t high)
{
	struct volume *volume = core->volumes[index];

	CHECK(index < core->volume_count && volume->is_root && block < volume->blocks && low <= high);
	stored_make(volume, block)->bounds = (struct bounds){low, high};
}

bool
core_learn_stored(struct core *core, uint32_t index, uint64_t block, version_t low)
{
	struct volume *volume = core->volumes[index];
	const struct entry *entry = table_find(&core->table, block_key_make(index, block));
	struct stored *stored = stored_find(volume, block);

	CHECK(volume->is_root);
	if (!volume->stored_kept || version_epoch(low) >= volume->epoch)
		return true; // it is too late, or of now
	if (stored == NULL && volume->stored_count < LIMIT_STORED)
		stored = stored_make(volume, block);
	if (stored != NULL && stored->bounds.low < low)
		stored->bounds.low = low;
	if (stored != NULL && stored->bounds.high < low)
		stored->bounds.high = low;
	return entry == NULL || !entry->claimed || entry->version >= low;
}

void
core_set_versions_complete(struct core *core, uint32_t index, uint32_t epoch)
{
	CHECK(index < core->volume_count && core->volumes[index]->is_root);
	core->volumes[index]->stored_all = version_make(epoch, 0);
}

struct bounds
stored_bounds(const struct core *core, const struct entry *entry, const struct want *want)
{
	const struct volume *volume = entry_volume(core, entry);
	const struct stored *stored = stored_find(volume, block_key_block(entry->key));
	struct bounds bounds = stored != NULL ? stored->bounds : unknown(volume);

	if (!want->early)
		return (struct bounds){0, VERSION_MAX};
	if (bounds.low < volume->stored_all)
		bounds.low = volume->stored_all;
	if (bounds.high < bounds.low)
		bounds.high = bounds.low;
	return bounds;
}

void
stored_brought(struct volume *volume, uint64_t block, version_t version)
{
	struct stored *stored = stored_find(volume, block);

	if (!volume->is_root || version_epoch(version) >= volume->epoch ||
	    (stored == NULL && volume->stored_count >= LIMIT_STORED))
		return;
	if (stored == NULL)
		stored = stored_make(volume, block);
	if (stored->brought < version)
		stored->brought = version;
}

bool
stored_was_brought(const struct volume *volume, uint64_t block, version_t version)
{
	const struct stored *stored = stored_find(volume, block);

	return stored != NULL && version <= stored->brought;
}

bool
stored_has(const struct volume *volume, uint64_t block, version_t version)
{
	const struct stored *stored = stored_find(volume, block);

	return stored != NULL && (version <= stored->bounds.low || version <= stored->brought);
}

bool
stored_is_after_leave(const struct volume *volume)
{
	return volume->stored_all == version_make(volume->epoch, 0);
}

bool
stored_is_newer(struct bounds bounds, version_t version)
{
	// The same version again does no harm, and mends what a newer write that was not synced has left half done.
	return version > bounds.low || version >= bounds.high;
}

bool
stored_goes_past(struct bounds bounds, version_t version)
{
	return version < bounds.low || (version < bounds.high && bounds.high != VERSION_MAX);
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
}
