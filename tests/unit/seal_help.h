// SPDX-License-Identifier: MIT
// Keys of volumes that are always the same, and writes of many blocks, sealed.
#ifndef HVFS_TESTS_UNIT_SEAL_HELP_H
#define HVFS_TESTS_UNIT_SEAL_HELP_H

#include "crypto/seal.h"

enum { SEAL_HELP_BLOCK_SIZE_MAX = 4096 };

// A write: what was written, as it was sealed.
struct sealed {
	size_t count;
	struct seal_block blocks[SEAL_BLOCKS_MAX];
	struct seal_verifier verifiers[SEAL_BLOCKS_MAX];
	uint8_t plain[SEAL_BLOCKS_MAX][SEAL_HELP_BLOCK_SIZE_MAX], cipher[SEAL_BLOCKS_MAX][SEAL_HELP_BLOCK_SIZE_MAX];
};

// A key of ${generations} whose bytes follow from ${seed}.
struct volume_key *seal_help_key(uint64_t seed, enum volume_role role, uint32_t generations);

// Seal ${count} blocks from ${first} on; every fifth is zeros.
void seal_help_seal(struct sealed *sealed, const struct volume_key *key, uint64_t first, size_t count,
		    uint32_t block_size);

// The ciphertext of block ${index} of the write, NULL for zeros.
const uint8_t *seal_help_cipher(const struct sealed *sealed, size_t index);

// Numbers that the library draws from here on follow from ${seed}.
void seal_help_random(uint64_t seed);

#endif
