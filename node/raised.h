// SPDX-License-Identifier: MIT
// The blocks of a root's volume whose content came under a higher version than it was sealed as: somebody below has closed
// a gap (R11), and may have shown what was in it. When a root passes such a block on it seals it anew (node/sealing.h).
#ifndef HVFS_NODE_RAISED_H
#define HVFS_NODE_RAISED_H

#include "core/types.h"

#include <stdbool.h>
#include <stdint.h>

struct raised;

// Never NULL.
struct raised *raised_create(void);
// NULL does nothing.
void raised_destroy(struct raised *raised);

// There are hardly any; of too many nothing is known any more, and all are.

// Content of ${block} has come, sealed as ${sealed} and told to be ${version}. The core may not take it: what is here stays
// what it was.
void raised_came(struct raised *raised, uint64_t block, version_t sealed, version_t version);

// Such content is being written to the storage, in place of what was there.
void raised_stored(struct raised *raised, uint64_t block, version_t sealed, version_t version);

// Is what is here of ${block} so?
bool raised_has(const struct raised *raised, uint64_t block);

#endif
