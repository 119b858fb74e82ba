// SPDX-License-Identifier: MIT
// What others may ask of the core (core.h) changes with time.
#ifndef HVFS_CORE_INFO_H
#define HVFS_CORE_INFO_H

#include "core/state.h"

// At the end of each step: since when is each volume in its phase?
void info_pump(struct core *core);

#endif
