// SPDX-License-Identifier: MIT
// Who has written what is not durable at the root: to be remembered over a crash, so that he may claim it afterwards.
#ifndef HVFS_CORE_AUTHOR_H
#define HVFS_CORE_AUTHOR_H

#include "core/limits.h"

#include <stdint.h>

struct author {
	uint64_t node_id;          // of this node, as its parent knows it
	uint64_t number;           // of its present link
	uint64_t names[LIMIT_HOPS]; // under which its blocks may be recorded besides
	uint16_t name_count;
	uint16_t shared;           // 1: other nodes may have had blocks from it, and have them yet; else 0
	uint32_t epoch;            // of the root under which what is held was confirmed
};

#endif
