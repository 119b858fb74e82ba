// SPDX-License-Identifier: MIT
// A run of blocks that somebody has brought, or claimed, in a root's grace time, and has been granted (core/reclaims.h).
#ifndef HVFS_CORE_RECLAIM_H
#define HVFS_CORE_RECLAIM_H

#include "core/types.h"

enum reclaim_kind {
	RECLAIM_BYTES, // that are not durable yet
	RECLAIM_CLAIM, // for WRITE
	RECLAIM_PUT,   // whose fate was unknown: it was done, once more
	RECLAIM_NOT_PUT, // it was not, as somebody had the block
};

struct reclaim {
	uint64_t node_id; // of the claimant, by its first name
	uint64_t block, count;
	version_t version; // of bytes, which are one block each; else 0
	uint32_t kind;     // enum reclaim_kind
};

#endif
