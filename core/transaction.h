// SPDX-License-Identifier: MIT
// What stands between a request and its grant? Asked anew on every event (protocol.md R3).
#ifndef HVFS_CORE_TRANSACTION_H
#define HVFS_CORE_TRANSACTION_H

#include "core/state.h"

// Go through the touched blocks until there are none: send what is missing, once; serve what can be served.
void transaction_drain(struct core *core);

#endif
