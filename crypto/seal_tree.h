// SPDX-License-Identifier: MIT
// What crypto/seal.c hashes, and what has to be signed of it. The comment at its top says what each is made of.
#ifndef HVFS_CRYPTO_SEAL_TREE_H
#define HVFS_CRYPTO_SEAL_TREE_H

#include "crypto/seal.h"

enum {
	SEAL_DOMAIN_SIZE = 16,
	SEAL_TOGETHER = 64, // blocks that are hashed at once
	SEAL_TREE_NODES_MAX =
		2 * SEAL_BLOCKS_MAX + SEAL_PATH_MAX, // each level has at most one more than half of the one below
};

// What a block is.
struct seal_header {
	char domain[SEAL_DOMAIN_SIZE];
	uint8_t volume[VOLUME_KEY_ID_SIZE], generation[4], block[8], version[8], block_size[4];
};

// ${domain} is padded with zeros.
void seal_header_fill(struct seal_header *header, const char domain[SEAL_DOMAIN_SIZE], const struct volume_key *key,
		      uint32_t generation, const struct seal_place *place);

// What a leaf is made of.
struct seal_leaf_of {
	struct seal_place place; // as which it was sealed
	uint32_t generation;
	const uint8_t *cipher, *nonce, *tag; // cipher NULL: the leaf of zeros, which has no others either
	uint8_t *ret;                        // SEAL_HASH_SIZE
};

// ${count} leaves, SEAL_TOGETHER at the most, each to its ${ret}.
void seal_leaves(const struct volume_key *key, const struct seal_leaf_of *of, size_t count);

// Of an inner node.
void seal_node(uint8_t ret[SEAL_HASH_SIZE], const uint8_t *left, const uint8_t *right);

// All levels, leaves first.
struct seal_tree {
	size_t leaves, levels;
	size_t starts[SEAL_PATH_MAX + 1]; // by level
	uint8_t nodes[SEAL_TREE_NODES_MAX][SEAL_HASH_SIZE];
};

// The rest of it: the first ${leaves} nodes are there.
void seal_tree_build(struct seal_tree *tree, size_t leaves);

// Of one that is built: SEAL_HASH_SIZE bytes, which are the tree's.
const uint8_t *seal_tree_root(const struct seal_tree *tree);

// The path of ${leaf} to ${bytes}; returns its end.
uint8_t *seal_tree_path(const struct seal_tree *tree, size_t leaf, uint8_t *bytes);

// How many neighbours a leaf has on its way up.
size_t seal_path_length(uint32_t leaf, uint32_t leaves);

// What is signed.
struct seal_root {
	char domain[SEAL_DOMAIN_SIZE];
	uint8_t volume[VOLUME_KEY_ID_SIZE], generation[4], leaves[4], hash[SEAL_HASH_SIZE];
};

// ${root_hash} is that of a tree with so many ${leaves}.
void seal_root_fill(struct seal_root *root, const struct volume_key *key, uint32_t generation, uint32_t leaves,
		    const uint8_t *root_hash);

#endif
