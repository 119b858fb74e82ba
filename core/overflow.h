// SPDX-License-Identifier: MIT
// The directory is bounded (R17): beyond core_config.directory_max records a node takes back what it has granted.
#ifndef HVFS_CORE_OVERFLOW_H
#define HVFS_CORE_OVERFLOW_H

#include "core/state.h"

// May ${child} be granted a block that it has no record of? Nobody is refused for want of a place: it waits until others
// have given something back (overflow_wait).
bool overflow_may_add(const struct core *core, const struct child *child);

// The block is touched when ${child} may be granted one more.
void overflow_wait(struct core *core, struct entry *entry, struct child *child);

// The child is gone: those who wait on its list wait for nothing.
void overflow_forget(struct core *core, struct child *child);

// Recall what is too much; go on with those for whom there is a place now.
void overflow_pump(struct core *core);

// Only the first, at the end of a step.
void overflow_recall(struct core *core);

// For core_check: stops the process when a record could be recalled that should be.
void overflow_check(const struct core *core);

#endif
