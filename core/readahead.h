// SPDX-License-Identifier: MIT
// Sequential readers get the blocks ahead of them fetched: each opener is a stream; a read that starts where its last
// one ended goes on with it.
#ifndef HVFS_CORE_READAHEAD_H
#define HVFS_CORE_READAHEAD_H

#include "core/state.h"

// A local read has been issued: ask for what it will want next.
void readahead_after(struct core *core, struct volume *volume, const struct io *io);

// A local read is going to wait for the block: perhaps for what was asked for ahead of it.
void readahead_awaited(struct core *core, struct volume *volume, const struct io *io, const struct entry *entry);

#endif
