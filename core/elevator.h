// SPDX-License-Identifier: MIT
// The order in which a root's storage gets what is dirty: by block, as a disk likes it, and not by age.
#ifndef HVFS_CORE_ELEVATOR_H
#define HVFS_CORE_ELEVATOR_H

#include "core/state.h"

// How much may be under way at once.
struct flush_window {
	uint32_t blocks;
	uint32_t writes; // operations of a root's store
};

// Write what is due of a root's ${volume}, or all (${all}) that nobody waits for by itself, until ${window} is full.
void elevator_pump(struct core *core, struct volume *volume, bool all, struct flush_window window);

#endif
