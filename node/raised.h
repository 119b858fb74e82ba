// SPDX-License-Identifier: MIT
// The blocks of a root's volume whose content came under a higher version than it was sealed as: somebody below has closed
// a gap (R11), and may have shown what was in it. When a root passes such a block on it seals it anew (node/sealing.h).
#ifndef HVFS_NODE_RAISED_H
#define HVFS_NODE_RAISED_H

#include <stdbool.h>
#include <stdint.h>

struct raised;

// Never NULL.
struct raised *raised_create(void);
// NULL does nothing.
void raised_destroy(struct raised *raised);

// What has come of ${block} is so, or is not. There are hardly any; of too many nothing is known any more, and all are.
void raised_set(struct raised *raised, uint64_t block, bool is_raised);
bool raised_has(const struct raised *raised, uint64_t block);

#endif
