// SPDX-License-Identifier: MIT
#include "core/let_go.h"

void
let_go_note(struct volume *volume, uint64_t block, uint64_t node_id)
{
	volume->let_go[volume->let_go_count++ % LET_GO_KEPT] = (struct let_go){block, node_id};
}

bool
let_go_was(const struct volume *volume, uint64_t block, uint64_t node_id)
{
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
