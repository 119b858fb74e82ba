// SPDX-License-Identifier: MIT
#include "crypto/seal_tree.h"

#include "core/check.h"
#include "crypto/big_endian.h"
#include "crypto/sha256.h"

#include <string.h>

static const char domain_leaf[SEAL_DOMAIN_SIZE] = "hvfs/1 leaf", domain_zero[SEAL_DOMAIN_SIZE] = "hvfs/1 zeros",
		  domain_node[SEAL_DOMAIN_SIZE] = "hvfs/1 node", domain_root[SEAL_DOMAIN_SIZE] = "hvfs/1 root";

struct leaf {
	struct seal_header header;
	uint8_t nonce[SEAL_NONCE_SIZE], tag[SEAL_TAG_SIZE], digest[SEAL_HASH_SIZE];
};

struct node {
	char domain[SEAL_DOMAIN_SIZE];
	uint8_t left[SEAL_HASH_SIZE], right[SEAL_HASH_SIZE];
};

static_assert(sizeof(struct seal_header) == 56 && sizeof(struct leaf) == 128 && sizeof(struct node) == 80 &&
		      sizeof(struct seal_root) == 72,
	      "only bytes, and none between them");

void
seal_header_fill(struct seal_header *header, const char domain[SEAL_DOMAIN_SIZE], const struct volume_key *key,
		 uint32_t generation, const struct seal_place *place)
{
	CHECK(place->block_size >= LIMIT_BLOCK_SIZE_MIN && place->block_size <= LIMIT_BLOCK_SIZE_MAX);
	memcpy(header->domain, domain, SEAL_DOMAIN_SIZE);
	memcpy(header->volume, volume_key_id(key), VOLUME_KEY_ID_SIZE);
	big_endian_put(header->generation, sizeof(header->generation), generation);
	big_endian_put(header->block, sizeof(header->block), place->block);
	big_endian_put(header->version, sizeof(header->version), place->version);
	big_endian_put(header->block_size, sizeof(header->block_size), place->block_size);
}

// ---- Leaves ----

// The blocks first, side by side, then what is made of them in the same way.
void
seal_leaves(const struct volume_key *key, const struct seal_leaf_of *of, size_t count)
{
	struct leaf leaves[SEAL_TOGETHER];
	struct sha256_task tasks[SEAL_TOGETHER] = {0};
	size_t data = 0;

	for (size_t i = 0; i < count; i++) {
		struct leaf *leaf = &leaves[i];

		seal_header_fill(&leaf->header, of[i].cipher != NULL ? domain_leaf : domain_zero, key, of[i].generation,
				 &of[i].place);
		if (of[i].cipher == NULL)
			continue;
		memcpy(leaf->nonce, of[i].nonce, SEAL_NONCE_SIZE);
		memcpy(leaf->tag, of[i].tag, SEAL_TAG_SIZE);
		tasks[data++] = (struct sha256_task){of[i].cipher, of[i].place.block_size, leaf->digest};
	}
	sha256_all(tasks, data);
	for (size_t i = 0; i < count; i++)
		tasks[i] = (struct sha256_task){
			&leaves[i], of[i].cipher != NULL ? sizeof(leaves[i]) : sizeof(leaves[i].header), of[i].ret};
	sha256_all(tasks, count);
}

// ---- The tree ----

static void
fill_node(struct node *node, const uint8_t *left, const uint8_t *right)
{
	memcpy(node->domain, domain_node, SEAL_DOMAIN_SIZE);
	memcpy(node->left, left, SEAL_HASH_SIZE);
	memcpy(node->right, right, SEAL_HASH_SIZE);
}

void
seal_node(uint8_t ret[SEAL_HASH_SIZE], const uint8_t *left, const uint8_t *right)
{
	struct node node;

	fill_node(&node, left, right);
	sha256(ret, &node, sizeof(node));
}

size_t
seal_path_length(uint32_t leaf, uint32_t leaves)
{
	size_t length = 0;

	for (; leaves > 1; leaf /= 2, leaves = (leaves + 1) / 2)
		length += (leaf ^ 1) < leaves;
	return length;
}

void
seal_tree_build(struct seal_tree *tree, size_t leaves)
{
	struct node pairs[SEAL_BLOCKS_MAX / 2];
	struct sha256_task tasks[SEAL_BLOCKS_MAX / 2];
	size_t start = 0, count = leaves;

	tree->leaves = leaves;
	tree->levels = 0;
	tree->starts[0] = 0;
	for (; count > 1; count = (count + 1) / 2) {
		size_t above = start + count;

		for (size_t i = 0; i < count / 2; i++) {
			fill_node(&pairs[i], tree->nodes[start + 2 * i], tree->nodes[start + 2 * i + 1]);
			tasks[i] = (struct sha256_task){&pairs[i], sizeof(pairs[i]), tree->nodes[above + i]};
		}
		sha256_all(tasks, count / 2);
		if (count % 2 == 1)
			memcpy(tree->nodes[above + count / 2], tree->nodes[start + count - 1], SEAL_HASH_SIZE);
		tree->starts[++tree->levels] = start = above;
	}
	CHECK(start < SEAL_TREE_NODES_MAX && tree->levels <= SEAL_PATH_MAX);
}

const uint8_t *
seal_tree_root(const struct seal_tree *tree)
{
	return tree->nodes[tree->starts[tree->levels]];
}

uint8_t *
seal_tree_path(const struct seal_tree *tree, size_t leaf, uint8_t *bytes)
{
	size_t count = tree->leaves;

	for (size_t level = 0; level < tree->levels; level++, leaf /= 2, count = (count + 1) / 2) {
		if ((leaf ^ 1) >= count)
			continue;
		memcpy(bytes, tree->nodes[tree->starts[level] + (leaf ^ 1)], SEAL_HASH_SIZE);
		bytes += SEAL_HASH_SIZE;
	}
	return bytes;
}

void
seal_root_fill(struct seal_root *root, const struct volume_key *key, uint32_t generation, uint32_t leaves,
	       const uint8_t *root_hash)
{
	memcpy(root->domain, domain_root, SEAL_DOMAIN_SIZE);
	memcpy(root->volume, volume_key_id(key), VOLUME_KEY_ID_SIZE);
	big_endian_put(root->generation, sizeof(root->generation), generation);
	big_endian_put(root->leaves, sizeof(root->leaves), leaves);
	memcpy(root->hash, root_hash, SEAL_HASH_SIZE);
}
