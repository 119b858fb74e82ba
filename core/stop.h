// SPDX-License-Identifier: MIT
// Leaving in order: everything below gives back, then everything goes up, then the node leaves.
#ifndef HVFS_CORE_STOP_H
#define HVFS_CORE_STOP_H

#include "core/state.h"

// EVENT_STOP has come.
void stop_begin(struct core *core);

// What can be done next is done: at the end of each step.
void stop_advance(struct core *core);

#endif
