// SPDX-License-Identifier: MIT
// Gaps behind writers who fell silent (protocol.md R11): which versions somebody may have used whose bytes nobody went on with.
// Bytes of such a version are lost, and not written over, whoever brings them.
#ifndef HVFS_CORE_GAPS_H
#define HVFS_CORE_GAPS_H

#include "core/state.h"

// Versions of ${key} above ${gap}.from and below ${gap}.to are lost. Of a block only the last gap is known, and of all blocks the
// LIMIT_GAPS last. Not one (from is not below to): nothing happens.
void gaps_note(struct core *core, block_key key, struct gap gap);

// The gap of ${key} that lies below ${version}; all zero when there is none.
struct gap gaps_below(const struct core *core, block_key key, version_t version);

// The gap that ${message} tells of, below the version of its only block; all zero when it tells of none, or of one that can not be.
struct gap gaps_told(const struct message *message);

// Is ${version} one of those that are lost?
bool gaps_have(const struct core *core, block_key key, version_t version);

// Forget all.
void gaps_forget(struct core *core);

#endif
