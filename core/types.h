// SPDX-License-Identifier: MIT
// The words all layers share.
#ifndef HVFS_CORE_TYPES_H
#define HVFS_CORE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// A moment on this host's lease clock (CLOCK_BOOTTIME) in microseconds. Never sent, never compared with another host's.
typedef uint64_t moment_us;

#define MOMENT_NEVER UINT64_MAX

// What a node may do with a block. Ordered: each includes the one before.
enum perm { PERM_NO = 0, PERM_READ = 1, PERM_WRITE = 2 };

// What a peer may do with a volume. Ordered as well.
// Of a volume that is sealed RIGHT_PROXY is RIGHT_WRITE, of others it is none: the core knows the first three only.
enum right { RIGHT_NONE = 0, RIGHT_READ = 1, RIGHT_WRITE = 2, RIGHT_PROXY = 3 };

// The version of a block's content: epoch (24 bits) above counter (40 bits). 0: never written in this system.
// Two contents never share one (protocol.md R11).
typedef uint64_t version_t;

#define VERSION_COUNTER_BITS 40
#define VERSION_MAX UINT64_MAX

// The highest counter that a child may name. What this node itself adds to it, also 65,000 gaps of 2^20 for writers that
// fell silent, does not reach the next epoch.
#define VERSION_COUNTER_MAX ((UINT64_C(1) << VERSION_COUNTER_BITS) - (UINT64_C(1) << 36))

// The highest that a parent may name: with what it has added, and room for what this node adds.
#define VERSION_COUNTER_PARENT_MAX ((UINT64_C(1) << VERSION_COUNTER_BITS) - (UINT64_C(1) << 35))

static inline version_t
version_make(uint32_t epoch, uint64_t counter)
{
	return (uint64_t)epoch << VERSION_COUNTER_BITS | counter;
}

// Versions of a block that are lost: above from, below to (core/gaps.h). All zero: none.
struct gap {
	version_t from, to;
};

static inline uint64_t
version_counter(version_t version)
{
	return version & ((UINT64_C(1) << VERSION_COUNTER_BITS) - 1);
}

static inline uint32_t
version_epoch(version_t version)
{
	return (uint32_t)(version >> VERSION_COUNTER_BITS);
}

// A block of a volume of this node: the volume's index above the block's number.
typedef uint64_t block_key;

#define BLOCK_KEY_BITS 48
#define BLOCK_KEY_NONE UINT64_MAX // no block: the "special tag" of an empty cache entry (S26)

static inline block_key
block_key_make(uint32_t volume, uint64_t block)
{
	return (uint64_t)volume << BLOCK_KEY_BITS | block;
}

static inline uint32_t
block_key_volume(block_key key)
{
	return (uint32_t)(key >> BLOCK_KEY_BITS);
}

static inline uint64_t
block_key_block(block_key key)
{
	return key & ((UINT64_C(1) << BLOCK_KEY_BITS) - 1);
}

#endif
