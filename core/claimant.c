// SPDX-License-Identifier: MIT
#include "core/claimant.h"
#include "core/check.h"

#include <stdlib.h>
#include <string.h>

static bool
is_named(const struct claimant *claimant, const struct message *message)
{
	return claimant->node_id == message->node_id && claimant->number == message->link_number &&
	       claimant->path_count == message->path_count && claimant->epoch == message->epoch &&
	       memcmp(claimant->path, message->path, message->path_count * sizeof(uint64_t)) == 0;
}

uint32_t
claimant_take(struct core *core, const struct message *message)
{
	uint32_t free_index = 0;
	struct claimant *claimant;

	for (uint32_t i = 1; i <= core->claimant_count; i++) {
		claimant = &core->claimants[i - 1];
		if (claimant->uses > 0 && is_named(claimant, message)) {
			claimant->uses++;
			return i;
		}
		if (claimant->uses == 0 && free_index == 0)
			free_index = i;
	}
	if (free_index == 0) {
		if (core->claimant_count == LIMIT_CLAIMANTS)
			return 0;
		core->claimants = realloc(core->claimants, (core->claimant_count + 1) * sizeof(*core->claimants));
		CHECK(core->claimants != NULL);
		free_index = ++core->claimant_count;
	}
	claimant = &core->claimants[free_index - 1];
	*claimant = (struct claimant){.node_id = message->node_id,
				      .number = message->link_number,
				      .path_count = message->path_count,
				      .epoch = message->epoch,
				      .uses = 1};
	memcpy(claimant->path, message->path, message->path_count * sizeof(uint64_t));
	return free_index;
}

void
claimant_release(struct core *core, uint32_t index)
{
	if (index == 0)
		return;
	CHECK(core->claimants[index - 1].uses > 0);
	core->claimants[index - 1].uses--;
}

const struct claimant *
claimant_get(const struct core *core, uint32_t index)
{
	return index != 0 ? &core->claimants[index - 1] : NULL;
}

bool
claimant_names(const struct claimant *claimant, uint64_t node_id)
{
	if (claimant->node_id == node_id)
		return true;
	for (uint32_t i = 0; i < claimant->path_count; i++)
		if (claimant->path[i] == node_id)
			return true;
	return false;
}

void
claimant_granted(struct core *core, uint32_t index, const struct child *child)
{
	struct claimant *claimant = &core->claimants[index - 1];

	claimant->uses += claimant->granted_to == 0;
	claimant->granted_to = child->index + 1;
}

void
claimant_forget_child(struct core *core, const struct child *child)
{
	for (uint32_t i = 1; i <= core->claimant_count; i++) {
		if (core->claimants[i - 1].granted_to != child->index + 1)
			continue;
		core->claimants[i - 1].granted_to = 0;
		claimant_release(core, i);
	}
}

void
claimant_add_name(struct claimant *claimant, uint64_t node_id)
{
	for (uint32_t i = 0; i < claimant->path_count; i++)
		if (claimant->path[i] == node_id)
			return;
	if (node_id != 0 && claimant->path_count < LIMIT_HOPS) // 0 stands between names of now and of before (way_up.h)
		claimant->path[claimant->path_count++] = node_id;
}
