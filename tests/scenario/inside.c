// SPDX-License-Identifier: MIT
#include "tests/scenario/inside.h"
#include "core/check.h"
#include "core/dirty.h"
#include "core/recovery.h"
#include "core/state.h"
#include "core/writeback.h"

#include <stdlib.h>

void
inside_claimants(struct core *core, bool full)
{
	if (core->claimant_count < LIMIT_CLAIMANTS) {
		core->claimants = realloc(core->claimants, LIMIT_CLAIMANTS * sizeof(*core->claimants));
		CHECK(core->claimants != NULL);
	}
	for (; core->claimant_count < LIMIT_CLAIMANTS; core->claimant_count++)
		core->claimants[core->claimant_count] = (struct claimant){.uses = 0};
	for (uint32_t i = 0; i < LIMIT_CLAIMANTS; i++) {
		CHECK(core->claimants[i].uses == (full ? 0 : 1)); // none of its own
		core->claimants[i].uses = full;
	}
}

uint64_t
inside_name(const struct core *core)
{
	return core->volumes[0]->node_id;
}

version_t
inside_version(struct core *core, uint64_t block)
{
	const struct entry *entry = table_find(&core->table, block_key_make(0, block));

	CHECK(entry != NULL);
	return entry->version;
}

void
inside_loss(struct core *core)
{
	writeback_lost(core, core->volumes[0], NULL);
}

uint32_t
inside_link(const struct core *core)
{
	CHECK(core->child_count > 0 && core->children[0]->link >= 0);
	return (uint32_t)core->children[0]->link;
}

void
inside_moved(struct core *core)
{
	for (uint32_t i = 0; i < core->child_count; i++)
		core->children[i]->moved |= core->children[i]->in_use;
}

void
inside_uncovered(struct core *core, uint64_t block, version_t version)
{
	struct entry *entry = table_find(&core->table, block_key_make(0, block));
	enum copy was;

	CHECK(entry != NULL);
	was = (enum copy)entry->copy;
	table_work_make(&core->table, entry);
	entry->version = version;
	entry_put_copy(core, entry, buf_zero(), COPY_DIRTY);
	dirty_mark(core, entry, was);
	recovery_uncovered(core, entry);
}

moment_us
inside_grace_end(const struct core *core)
{
	return core->grace_end;
}
