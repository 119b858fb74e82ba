// SPDX-License-Identifier: MIT
// The sync daemon, and the barriers of fsync (R12, R14).
#ifndef HVFS_CORE_WRITEBACK_H
#define HVFS_CORE_WRITEBACK_H

#include "core/state.h"

// The barrier under way has ended.
void writeback_barrier_done(struct core *core, struct volume *volume, enum hvfs_error error);

// Send what is due and let barriers go on: at the end of each step.
void writeback_pump(struct core *core, struct volume *volume);

#endif
