// SPDX-License-Identifier: MIT
// Which face a message concerns.
#ifndef HVFS_CORE_ROUTE_H
#define HVFS_CORE_ROUTE_H

#include "core/state.h"

// A message has come in on ${link}: check what must hold for all, and give it to the face and the blocks it is about.
void route_message(struct core *core, uint32_t link, const struct message *message);

#endif
