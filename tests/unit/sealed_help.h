// SPDX-License-Identifier: MIT
// Blocks as a writer of a sealed volume has written them, that can be found in what lies about.
#ifndef HVFS_TESTS_UNIT_SEALED_HELP_H
#define HVFS_TESTS_UNIT_SEALED_HELP_H

#include "core/buf.h"
#include "tests/unit/seal_help.h"

enum { SEALED_HELP_BLOCK = 4096 };

// It is all over each block in the clear.
extern const char sealed_help_marker[];

struct sealed_help_block {
	uint8_t plain[SEALED_HELP_BLOCK], cipher[SEALED_HELP_BLOCK];
	struct seal_verifier verifier;
};

// The bytes of ${block} in ${version}.
void sealed_help_fill(uint8_t *bytes, uint64_t block, version_t version);

// The same, sealed with ${key}; the same each time.
struct sealed_help_block sealed_help_make(const struct volume_key *key, uint64_t block, version_t version);

// ${buf} has this proof.
void sealed_help_give(struct buf *buf, const struct seal_verifier *verifier);

#endif
