// SPDX-License-Identifier: MIT
// How many bytes wait with claims: in its grace time a root keeps what comes until the end of it (protocol.md F6), and each
// peer has room for so much.
#ifndef HVFS_CORE_CLAIM_ROOM_H
#define HVFS_CORE_CLAIM_ROOM_H

#include "core/core.h"

// Room for ${size} bytes of ${peer} (0: of all who are not known). False: there is none now.
bool claim_room_take(struct core *core, uint32_t peer, size_t size);

// They do not wait any more.
void claim_room_give(struct core *core, uint32_t peer, size_t size);

#endif
