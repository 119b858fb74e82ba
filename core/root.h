// SPDX-License-Identifier: MIT
// The Dummy of Fig. 8: at a root, the store stands in for the parent.
#ifndef HVFS_CORE_ROOT_H
#define HVFS_CORE_ROOT_H

#include "core/state.h"

// Read the block from the store, unless that is under way.
void root_read(struct core *core, struct entry *entry, struct want *want);

// Write the dirty copy to the store.
void root_write(struct core *core, struct entry *entry);

// Make the store durable for the volume's barriers.
void root_sync(struct core *core, struct volume *volume);

// A store operation: which blocks it was about. The i-th block of a read (${buf} NULL: it has failed) or a write has ended. Touches
// it.
struct store_op *root_op(struct core *core, uint64_t cookie);
void root_read_block(struct core *core, const struct store_op *op, uint32_t i, struct buf *buf);
void root_wrote_block(struct core *core, const struct store_op *op, uint32_t i, enum hvfs_error error);
void root_op_end(struct core *core, uint64_t cookie);

#endif
