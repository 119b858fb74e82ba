// SPDX-License-Identifier: MIT
// Heartbeats to the parent: they renew the leases of what is held from it, and tell whether it is there (protocol.md T3, F1).
#ifndef HVFS_CORE_HEARTBEAT_H
#define HVFS_CORE_HEARTBEAT_H

#include "core/state.h"

// There is a link to the parent, with a volume connected: send the heartbeat that is due, or close the link of a parent that is
// silent.
void heartbeat_timer(struct core *core);

// Something is asked for: until it is granted, heartbeats come as often as the TTL of blocks needs.
void heartbeat_asked(struct core *core);

// The answer to the one that is under way: the leases of all volumes on this link are renewed.
void heartbeat_answered(struct core *core, const struct message *message);

#endif
