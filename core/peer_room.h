// SPDX-License-Identifier: MIT
// How many bytes of each peer are in memory because they have to be: those that wait with claims (in its grace time a root keeps
// what comes until the end of it, protocol.md F6), and dirty ones that it has brought up (R6). Where nobody knows who is who (peer
// 0), nothing is bounded.
#ifndef HVFS_CORE_PEER_ROOM_H
#define HVFS_CORE_PEER_ROOM_H

#include "core/core.h"

enum peer_use { PEER_CLAIMS, PEER_BROUGHT, PEER_USES };

// ${size} bytes more of ${peer}. False: that is more than it has room for (core/limits.h).
bool peer_room_add(struct core *core, uint32_t peer, enum peer_use use, size_t size);

// They are not there any more.
void peer_room_give(struct core *core, uint32_t peer, enum peer_use use, size_t size);

// With the core.
void peer_room_destroy(struct core *core);

#endif
