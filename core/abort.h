// SPDX-License-Identifier: MIT
// A volume is given up on this node, by the administrator.
#ifndef HVFS_CORE_ABORT_H
#define HVFS_CORE_ABORT_H

#include "core/state.h"

// Every request of the driver fails from now on. What was written to ${volume} here and is not known to be durable at the
// root is lost (ACTION_RESCUE), so that it can not appear later; unless the node is its root or has children there.
void abort_volume(struct core *core, struct volume *volume);

#endif
