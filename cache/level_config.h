// SPDX-License-Identifier: MIT
// What a level of the cache is to be like.
#ifndef HVFS_CACHE_LEVEL_CONFIG_H
#define HVFS_CACHE_LEVEL_CONFIG_H

#include "cache/hash.h"
#include "cache/policy.h"

struct level_config {
	uint64_t size; // bytes of block data
	uint32_t ways; // to a group; 0: default
	enum hash hash;
	enum policy policy;
};

#endif
