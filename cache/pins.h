// SPDX-License-Identifier: MIT
// Ranges of blocks that are to stay, each with a count of who wants it so.
#ifndef HVFS_CACHE_PINS_H
#define HVFS_CACHE_PINS_H

#include "core/types.h"

enum { PINS_RANGES_MAX = 4096 };

// Blocks [first, end) with one count; neighbours differ in it, or do not touch.
struct pin {
	block_key first, end;
	uint32_t count;
};

struct pins {
	struct pin *ranges; // in order of blocks
	uint32_t count, capacity;
	uint64_t blocks; // pinned
};

void pins_fini(struct pins *pins);

// Whether ${key} is pinned.
bool pins_has(const struct pins *pins, block_key key);

// Blocks that pinning [${first}, ${end}) would add to those that are pinned.
uint64_t pins_new_blocks(const struct pins *pins, block_key first, block_key end);

// One more wants [${first}, ${end}) to stay. False, and nothing is changed: too many ranges.
bool pins_add(struct pins *pins, block_key first, block_key end);

// One less. False, and nothing is changed: not all of it is pinned, or too many ranges.
bool pins_remove(struct pins *pins, block_key first, block_key end);

#endif
