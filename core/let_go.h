// SPDX-License-Identifier: MIT
// For whom this node has let a block go (F5): the last LET_GO_KEPT. The parent may ask once more, when the answer was lost with the
// link and the session goes on.
#ifndef HVFS_CORE_LET_GO_H
#define HVFS_CORE_LET_GO_H

#include "core/state.h"

// ${block} is let go for the claimant ${node_id}.
void let_go_note(struct volume *volume, uint64_t block, uint64_t node_id);

// Was it, and is it still?
bool let_go_was(const struct core *core, const struct volume *volume, uint64_t block, uint64_t node_id);

// It was not, after all, or has come back.
void let_go_forget(struct volume *volume, uint64_t block);

// A child has let the block go for ${node_id} (0: for whom is not known any more), for those above, who have to ask again, as our own
// link has broken since. What is here is older than what he has.
void let_go_of(struct core *core, struct entry *entry, uint64_t node_id);

#endif
