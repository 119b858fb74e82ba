// SPDX-License-Identifier: MIT
// Each hash and each key is used with a domain of its own, so that nothing made for one purpose passes for another; all
// that is hashed or authenticated has a fixed size, so that no two things have the same bytes.
//
//	nonce            block number / 256, version / 256, 12 bytes of BLAKE2b-256(symmetric key, header, sum)
//	sum              tag of XAES-256-GCM(symmetric key, nonce of ones, no bytes, the block)
//	ciphertext, tag  XAES-256-GCM(symmetric key, nonce, block, what the block is: struct seal_header)
//	leaf             SHA-256(header, nonce, tag, SHA-256(ciphertext)), or of zeros: SHA-256(header)
//	inner node       SHA-256(domain, left, right)
//	signature        Ed25519(signing key, domain, volume, generation, leaves, root)
//
// Nodes are paired from the left; one that is left over goes up unchanged, which gives the shape of RFC 6962.
// The version in a header is that of the verifier, as which the block was sealed.
// The number of leaves is signed: else a verifier could be changed, in that number, and still be right.
#include "crypto/seal.h"

#include "core/check.h"
#include "core/zeros.h"
#include "crypto/big_endian.h"
#include "crypto/seal_tree.h"
#include "crypto/xaes.h"

#include <stdlib.h>
#include <string.h>

enum kind { KIND_DATA = 1, KIND_ZERO = 2 };

enum {
	GENERATION_AT = 1, // in a verifier
	VERSION_AT = GENERATION_AT + 4,
	LEAF_AT = VERSION_AT + 8,
	LEAVES_AT = LEAF_AT + 2,
	SIGNATURE_AT = LEAVES_AT + 2,
	CACHE_WAYS = 4,
	NEAR = 256, // neighbours of a block, and versions of it, whose nonces begin alike
	NEAR_BLOCK_SIZE = 5,
	NEAR_VERSION_SIZE = 7,
	OWN_NONCE_SIZE = SEAL_NONCE_SIZE - XAES_PREFIX_SIZE,
};

static_assert(SIGNATURE_AT + SEAL_SIGNATURE_SIZE == SEAL_HEAD_SIZE, "the sizes are those of the layout");
static_assert(SEAL_CACHE_TREES % CACHE_WAYS == 0, "the cache is made of sets");
static_assert(NEAR_BLOCK_SIZE + NEAR_VERSION_SIZE == XAES_PREFIX_SIZE,
	      "blocks of one write are near each other, as a rule");
static_assert((int)OWN_NONCE_SIZE <= (int)crypto_generichash_BYTES && (int)SEAL_DIGEST_SIZE == (int)SEAL_TAG_SIZE,
	      "they fit");

static const char domain_cipher[SEAL_DOMAIN_SIZE] = "hvfs/1 cipher", domain_nonce[SEAL_DOMAIN_SIZE] = "hvfs/1 nonce";

struct content {
	struct seal_header header;
	uint8_t sum[XAES_TAG_SIZE]; // of what is in the clear: make_sum()
};

static_assert(sizeof(struct content) == 72, "only bytes, and none between them");

static void
encrypt(const struct volume_key *key, uint32_t generation, const struct seal_place *place, const uint8_t *nonce,
	const uint8_t *plain, uint8_t *cipher, uint8_t tag[SEAL_TAG_SIZE])
{
	struct seal_header header;

	seal_header_fill(&header, domain_cipher, key, generation, place);
	xaes_encrypt(&(struct xaes){volume_key_symmetric(key, generation), nonce, &header, sizeof(header)}, plain,
		     place->block_size, cipher, tag);
}

// ---- Verifiers ----

// Where the parts of a verifier are.
struct parts {
	enum kind kind;
	uint32_t generation, leaf, leaves;
	version_t version;
	const uint8_t *signature, *nonce, *tag, *path; // nonce and tag of data only
	size_t path_size;                              // bytes
};

static size_t
path_offset(enum kind kind)
{
	return SEAL_HEAD_SIZE + (kind == KIND_DATA ? SEAL_NONCE_SIZE + SEAL_TAG_SIZE : 0);
}

// False: it is none.
static bool
parse(const uint8_t *bytes, size_t size, struct parts *ret)
{
	if (size < SEAL_HEAD_SIZE || (bytes[0] != KIND_DATA && bytes[0] != KIND_ZERO))
		return false;
	ret->kind = (enum kind)bytes[0];
	ret->generation = (uint32_t)big_endian_get(bytes + GENERATION_AT, 4);
	ret->version = big_endian_get(bytes + VERSION_AT, 8);
	ret->leaf = (uint32_t)big_endian_get(bytes + LEAF_AT, 2);
	ret->leaves = (uint32_t)big_endian_get(bytes + LEAVES_AT, 2);
	ret->signature = bytes + SIGNATURE_AT;
	if (ret->leaves == 0 || ret->leaves > SEAL_BLOCKS_MAX || ret->leaf >= ret->leaves)
		return false;
	ret->path_size = seal_path_length(ret->leaf, ret->leaves) * SEAL_HASH_SIZE;
	if (size != path_offset(ret->kind) + ret->path_size)
		return false;
	ret->nonce = bytes + SEAL_HEAD_SIZE;
	ret->tag = ret->nonce + SEAL_NONCE_SIZE;
	ret->path = bytes + path_offset(ret->kind);
	return true;
}

static void
write_head(struct seal_verifier *verifier, enum kind kind, uint32_t generation, version_t version, size_t leaf,
	   size_t leaves)
{
	verifier->bytes[0] = (uint8_t)kind;
	big_endian_put(verifier->bytes + GENERATION_AT, 4, generation);
	big_endian_put(verifier->bytes + VERSION_AT, 8, version);
	big_endian_put(verifier->bytes + LEAF_AT, 2, leaf);
	big_endian_put(verifier->bytes + LEAVES_AT, 2, leaves);
}

version_t
seal_version(const uint8_t *verifier, size_t size)
{
	struct parts parts;

	return parse(verifier, size, &parts) ? parts.version : 0;
}

void
seal_digest(const uint8_t *verifier, size_t size, uint8_t ret[SEAL_DIGEST_SIZE])
{
	struct parts parts;

	memset(ret, 0, SEAL_DIGEST_SIZE);
	if (!parse(verifier, size, &parts))
		return;
	if (parts.kind == KIND_DATA)
		memcpy(ret, parts.tag, SEAL_DIGEST_SIZE);
	else
		seal_digest_of_zeros(ret);
}

void
seal_digest_of_zeros(uint8_t ret[SEAL_DIGEST_SIZE])
{
	static const uint8_t zeros[SEAL_DIGEST_SIZE] = "zeros";

	memcpy(ret, zeros, SEAL_DIGEST_SIZE);
}

uint32_t
seal_write_of(const uint8_t *verifier, size_t size)
{
	return size >= SEAL_HEAD_SIZE ? (uint32_t)big_endian_get(verifier + SIGNATURE_AT, 4) : 0;
}

// The place as it was sealed. False: as a newer version than the ${place} has.
static bool
sealed_place(const struct seal_place *place, const struct parts *parts, struct seal_place *ret)
{
	if (place->version != 0 && parts->version > place->version)
		return false;
	*ret = *place;
	ret->version = parts->version;
	return true;
}

// ---- Making ----

// A sum of the content that only who has the key can foresee, and nobody is shown: so two contents have another one (a
// polynomial over the block, as AES-GCM-SIV has it for the same purpose, RFC 8452), and it takes a fifth of the time of
// a hash. No block has the nonce, which says of the version that its counter is all ones (protocol.md R11: that can not
// be).
static void
make_sum(const struct volume_key *key, uint32_t generation, const struct seal_block *block, uint8_t ret[XAES_TAG_SIZE])
{
	uint8_t nonce[SEAL_NONCE_SIZE];
	struct xaes how = {volume_key_symmetric(key, generation), nonce, block->plain, block->place.block_size};

	memset(nonce, 0xff, sizeof(nonce));
	xaes_encrypt(&how, block->plain, 0, ret, ret); // no bytes: where they would go does not matter
}

// It depends on the content and its place alone: so one content has one ciphertext, whoever seals it, and how often.
// The first half is common to what is near: such blocks share a derived key (crypto/xaes.h).
static void
make_nonce(const struct volume_key *key, uint32_t generation, const struct seal_place *place,
	   const uint8_t sum[XAES_TAG_SIZE], uint8_t ret[SEAL_NONCE_SIZE])
{
	struct content content;
	uint8_t own[crypto_generichash_BYTES];

	seal_header_fill(&content.header, domain_nonce, key, generation, place);
	memcpy(content.sum, sum, sizeof(content.sum));
	big_endian_put(ret, NEAR_BLOCK_SIZE, place->block / NEAR);
	big_endian_put(ret + NEAR_BLOCK_SIZE, NEAR_VERSION_SIZE, place->version / NEAR);
	crypto_generichash(own, sizeof(own), (const uint8_t *)&content, sizeof(content),
			   volume_key_symmetric(key, generation), VOLUME_KEY_SYMMETRIC_SIZE);
	memcpy(ret + XAES_PREFIX_SIZE, own, OWN_NONCE_SIZE);
}

// Encrypt a block: its nonce and tag into its verifier.
static void
make_data(const struct volume_key *key, uint32_t generation, const struct seal_block *block,
	  const uint8_t sum[XAES_TAG_SIZE], struct seal_verifier *verifier, struct seal_leaf_of *ret_leaf)
{
	uint8_t *nonce = verifier->bytes + SEAL_HEAD_SIZE, *tag = nonce + SEAL_NONCE_SIZE;

	make_nonce(key, generation, &block->place, sum, nonce);
	encrypt(key, generation, &block->place, nonce, block->plain, block->cipher, tag);
	ret_leaf->cipher = block->cipher;
	ret_leaf->nonce = nonce;
	ret_leaf->tag = tag;
}

// The blocks, ${count} of them, SEAL_TOGETHER at the most, with their ${sums} if they are not zeros; and their
// ${leaves}.
static void
make_blocks(const struct volume_key *key, uint32_t generation, const struct seal_block *blocks, size_t count,
	    const enum kind *kinds, uint8_t sums[][XAES_TAG_SIZE], struct seal_verifier *verifiers,
	    uint8_t leaves[][SEAL_HASH_SIZE])
{
	struct seal_leaf_of of[SEAL_TOGETHER];

	for (size_t i = 0; i < count; i++) {
		of[i] = (struct seal_leaf_of){.place = blocks[i].place, .generation = generation, .ret = leaves[i]};
		if (kinds[i] == KIND_DATA)
			make_data(key, generation, &blocks[i], sums[i], &verifiers[i], &of[i]);
		else if (blocks[i].cipher != NULL)
			memset(blocks[i].cipher, 0, blocks[i].place.block_size);
	}
	seal_leaves(key, of, count);
}

// Each block needs a place for its ciphertext until that is hashed. Returns room that is to be freed, or NULL.
static uint8_t *
give_room(struct seal_block *blocks, size_t count)
{
	uint8_t *room = NULL;
	size_t size = 0;

	for (size_t i = 0; i < count; i++)
		size += blocks[i].plain != NULL && blocks[i].cipher == NULL ? blocks[i].place.block_size : 0;
	if (size > 0)
		room = malloc(size);
	CHECK(size == 0 || room != NULL);
	for (size_t i = 0; i < count && size > 0; i++) {
		if (blocks[i].plain == NULL || blocks[i].cipher != NULL)
			continue;
		size -= blocks[i].place.block_size;
		blocks[i].cipher = room + size;
	}
	return room;
}

void
seal_make(const struct volume_key *key, const struct seal_block *blocks, size_t count,
	  struct seal_verifier *ret_verifiers)
{
	uint32_t generation = volume_key_newest(key);
	uint8_t signature[SEAL_SIGNATURE_SIZE];
	uint8_t sums[SEAL_BLOCKS_MAX][XAES_TAG_SIZE];
	enum kind kinds[SEAL_BLOCKS_MAX];
	struct seal_tree tree;
	struct seal_root root;

	CHECK(count > 0 && count <= SEAL_BLOCKS_MAX && volume_key_signing(key, generation) != NULL);
	for (size_t i = 0; i < count; i++) { // all of them first, as they have a derived key in common
		kinds[i] = blocks[i].plain == NULL || bytes_are_zero(blocks[i].plain, blocks[i].place.block_size)
				   ? KIND_ZERO
				   : KIND_DATA;
		if (kinds[i] == KIND_DATA)
			make_sum(key, generation, &blocks[i], sums[i]);
	}
	for (size_t i = 0; i < count; i += SEAL_TOGETHER) {
		size_t some = count - i < SEAL_TOGETHER ? count - i : SEAL_TOGETHER;
		struct seal_block group[SEAL_TOGETHER];
		uint8_t *room;

		memcpy(group, &blocks[i], some * sizeof(*group));
		room = give_room(group, some);
		make_blocks(key, generation, group, some, &kinds[i], &sums[i], &ret_verifiers[i], &tree.nodes[i]);
		free(room);
	}
	sodium_memzero(sums, sizeof(sums));
	seal_tree_build(&tree, count);
	seal_root_fill(&root, key, generation, (uint32_t)count, seal_tree_root(&tree));
	crypto_sign_detached(signature, NULL, (const uint8_t *)&root, sizeof(root),
			     volume_key_signing(key, generation));
	for (size_t i = 0; i < count; i++) {
		struct seal_verifier *verifier = &ret_verifiers[i];

		write_head(verifier, kinds[i], generation, blocks[i].place.version, i, count);
		memcpy(verifier->bytes + SIGNATURE_AT, signature, SEAL_SIGNATURE_SIZE);
		verifier->size =
			(uint16_t)(seal_tree_path(&tree, i, verifier->bytes + path_offset(kinds[i])) - verifier->bytes);
	}
}

// ---- What was verified ----

// A tree that is right. This is all that its verification depends on: another signature of the same tree, or the same
// of another key, is another one.
struct signed_tree {
	struct seal_root root;
	uint8_t signature[SEAL_SIGNATURE_SIZE], public[VOLUME_KEY_PUBLIC_SIZE];
};

// The way from a leaf up: itself, and what it became on each level, the root last.
struct way {
	uint32_t leaf;
	size_t path_size;
	uint8_t path[SEAL_PATH_MAX * SEAL_HASH_SIZE];
	uint8_t nodes[SEAL_PATH_MAX + 1][SEAL_HASH_SIZE];
};

// Where nothing is yet there are zeros, which no domain is.
struct seal_cache {
	uint64_t misses;
	struct signed_tree trees[SEAL_CACHE_TREES]; // sets of CACHE_WAYS, newest first
	struct signed_tree last_tree;               // of the block that was right last,
	struct way last_way;                        // and its way
};

struct seal_cache *
seal_cache_create(void)
{
	return calloc(1, sizeof(struct seal_cache));
}

void
seal_cache_destroy(struct seal_cache *cache)
{
	free(cache);
}

uint64_t
seal_cache_misses(const struct seal_cache *cache)
{
	return cache->misses;
}

// Only what a writer has signed gets in, so nobody else can choose what falls out.
static bool
verify(struct seal_cache *cache, const struct signed_tree *tree)
{
	size_t set = big_endian_get(tree->root.hash, 4) % (SEAL_CACHE_TREES / CACHE_WAYS), way = 0;
	struct signed_tree *ways = &cache->trees[set * CACHE_WAYS];

	while (way < CACHE_WAYS && memcmp(&ways[way], tree, sizeof(*tree)) != 0)
		way++;
	if (way == CACHE_WAYS) {
		cache->misses++;
		if (crypto_sign_verify_detached(tree->signature, (const uint8_t *)&tree->root, sizeof(tree->root),
						tree->public) != 0)
			return false;
		way = CACHE_WAYS - 1;
	}
	memmove(&ways[1], &ways[0], way * sizeof(*tree));
	ways[0] = *tree;
	return true;
}

// ---- Checking, opening ----

// One level up: from the node at ${leaf} of ${count} to the one above, with the hash beside it at *beside if it has
// one.
static void
step_up(uint8_t above[SEAL_HASH_SIZE], const uint8_t *node, uint32_t leaf, uint32_t count, const uint8_t **beside)
{
	if ((leaf ^ 1) >= count) {
		memcpy(above, node, SEAL_HASH_SIZE);
		return;
	}
	if (leaf % 2 == 0)
		seal_node(above, node, *beside);
	else
		seal_node(above, *beside, node);
	*beside += SEAL_HASH_SIZE;
}

// From the leaf in ${nodes} to the root, which is returned.
static const uint8_t *
climb(uint8_t nodes[][SEAL_HASH_SIZE], const struct parts *parts)
{
	const uint8_t *beside = parts->path;
	uint32_t leaf = parts->leaf;
	size_t level = 0;

	for (uint32_t count = parts->leaves; count > 1; leaf /= 2, count = (count + 1) / 2, level++)
		step_up(nodes[level + 1], nodes[level], leaf, count, &beside);
	return nodes[level];
}

static bool
same(const uint8_t *left, const uint8_t *right, size_t size)
{
	return memcmp(left, right, size) == 0;
}

// The same as climb() for a leaf of the tree that ${last} is a way in, as far as the two ways are apart: blocks mostly
// come in order, and the next one has all but one or two nodes in common with the last. True: all that remains is what
// it was there, so that this way, too, leads to the root. False: look at all of it.
static bool
climb_to_last(uint8_t nodes[][SEAL_HASH_SIZE], const struct parts *parts, const struct way *last, size_t *ret_level)
{
	const uint8_t *beside = parts->path, *end = parts->path + parts->path_size;
	uint32_t leaf = parts->leaf, other = last->leaf, count = parts->leaves;
	size_t level = 0;

	for (; leaf != other && (leaf ^ 1) != other; leaf /= 2, other /= 2, count = (count + 1) / 2, level++)
		step_up(nodes[level + 1], nodes[level], leaf, count, &beside);
	// At the same place, or beside each other, they have equally far to go.
	size_t rest = (size_t)(end - beside);
	const uint8_t *last_beside = last->path + last->path_size - rest;
	*ret_level = level;
	if (leaf == other)
		return same(nodes[level], last->nodes[level], SEAL_HASH_SIZE) && same(beside, last_beside, rest);
	return same(nodes[level], last_beside, SEAL_HASH_SIZE) && same(beside, last->nodes[level], SEAL_HASH_SIZE) &&
	       same(beside + SEAL_HASH_SIZE, last_beside + SEAL_HASH_SIZE, rest - SEAL_HASH_SIZE);
}

// A way that is right; ${levels} of its nodes are new.
static void
remember(struct way *last, uint8_t nodes[][SEAL_HASH_SIZE], size_t levels, const struct parts *parts)
{
	last->leaf = parts->leaf;
	last->path_size = parts->path_size;
	memcpy(last->path, parts->path, parts->path_size);
	memcpy(last->nodes, nodes, levels * SEAL_HASH_SIZE);
}

// Does the leaf in ${nodes} lead to a root that was signed?
static bool
check_tree(struct seal_cache *cache, const struct volume_key *key, const struct parts *parts,
	   uint8_t nodes[][SEAL_HASH_SIZE])
{
	struct signed_tree tree;
	const uint8_t *root;
	size_t level;

	memcpy(tree.signature, parts->signature, sizeof(tree.signature));
	memcpy(tree.public, volume_key_public(key, parts->generation), sizeof(tree.public));
	seal_root_fill(&tree.root, key, parts->generation, parts->leaves, cache->last_tree.root.hash);
	if (memcmp(&tree, &cache->last_tree, sizeof(tree)) == 0 &&
	    climb_to_last(nodes, parts, &cache->last_way, &level)) {
		remember(&cache->last_way, nodes, level + 1, parts);
		return true;
	}
	root = climb(nodes, parts);
	memcpy(tree.root.hash, root, sizeof(tree.root.hash));
	if (!verify(cache, &tree))
		return false;
	cache->last_tree = tree;
	remember(&cache->last_way, nodes, (size_t)(root - nodes[0]) / SEAL_HASH_SIZE + 1, parts);
	return true;
}

// A block that is looked at.
struct checked {
	struct parts parts;       // of its verifier
	struct seal_place sealed; // as which it was sealed
	uint8_t leaf[SEAL_HASH_SIZE];
};

// What can be said without a look at the block: if nothing is wrong, what is to be hashed.
static enum seal_result
examine(const struct volume_key *key, const struct seal_sealed *block, struct checked *ret,
	struct seal_leaf_of *ret_leaf)
{
	struct parts *parts = &ret->parts;

	if (!parse(block->verifier, block->size, parts) || (parts->kind == KIND_DATA) != (block->cipher != NULL))
		return SEAL_MALFORMED;
	if (volume_key_public(key, parts->generation) == NULL)
		return SEAL_NO_GENERATION;
	if (!sealed_place(&block->place, parts, &ret->sealed))
		return SEAL_FORGED;
	*ret_leaf = (struct seal_leaf_of){ret->sealed,  parts->generation, block->cipher,
					  parts->nonce, parts->tag,        ret->leaf};
	return SEAL_OK;
}

// It is right: decrypt it.
static enum seal_result
decrypt(const struct volume_key *key, const struct seal_sealed *block, const struct parts *parts,
	const struct seal_place *sealed)
{
	const struct seal_place *place = &block->place;
	struct seal_header header;
	struct xaes how = {volume_key_symmetric(key, parts->generation), parts->nonce, &header, sizeof(header)};

	CHECK(volume_key_role(key) >= VOLUME_ROLE_READER);
	if (block->cipher == NULL) {
		memset(block->plain, 0, place->block_size);
		return SEAL_OK;
	}
	seal_header_fill(&header, domain_cipher, key, parts->generation, sealed);
	return xaes_decrypt(&how, block->cipher, place->block_size, parts->tag, block->plain) ? SEAL_OK
											      : SEAL_UNREADABLE;
}

// The leaf is there: is it right, and what was it?
static enum seal_result
finish(const struct volume_key *key, struct seal_cache *cache, const struct seal_sealed *block,
       const struct checked *checked)
{
	uint8_t nodes[SEAL_PATH_MAX + 1][SEAL_HASH_SIZE];

	memcpy(nodes[0], checked->leaf, SEAL_HASH_SIZE);
	if (!check_tree(cache, key, &checked->parts, nodes))
		return SEAL_FORGED;
	return block->plain != NULL ? decrypt(key, block, &checked->parts, &checked->sealed) : SEAL_OK;
}

// As seal_open_all(), for SEAL_TOGETHER blocks at the most. The first one that is wrong may be so at a first look, or
// behind others.
static size_t
open_some(const struct volume_key *key, struct seal_cache *cache, const struct seal_sealed *blocks, size_t count,
	  enum seal_result *ret_result)
{
	struct checked checked[SEAL_TOGETHER];
	struct seal_leaf_of leaves[SEAL_TOGETHER];
	enum seal_result result, examined = SEAL_OK;
	size_t good = 0;

	while (good < count && (examined = examine(key, &blocks[good], &checked[good], &leaves[good])) == SEAL_OK)
		good++;
	seal_leaves(key, leaves, good);
	for (size_t i = 0; i < good; i++) {
		result = finish(key, cache, &blocks[i], &checked[i]);
		if (result == SEAL_OK)
			continue;
		*ret_result = result;
		return i;
	}
	*ret_result = examined;
	return good;
}

size_t
seal_open_all(const struct volume_key *key, struct seal_cache *cache, const struct seal_sealed *blocks, size_t count,
	      enum seal_result *ret_result)
{
	*ret_result = SEAL_OK;
	for (size_t i = 0; i < count; i += SEAL_TOGETHER) {
		size_t some = count - i < SEAL_TOGETHER ? count - i : SEAL_TOGETHER;
		size_t right = open_some(key, cache, &blocks[i], some, ret_result);

		if (right < some)
			return i + right;
	}
	return count;
}

enum seal_result
seal_check(const struct volume_key *key, struct seal_cache *cache, const struct seal_place *place,
	   const uint8_t *cipher, const uint8_t *verifier, size_t size)
{
	const struct seal_sealed block = {.place = *place, .cipher = cipher, .verifier = verifier, .size = size};
	enum seal_result result;

	seal_open_all(key, cache, &block, 1, &result);
	return result;
}

enum seal_result
seal_open(const struct volume_key *key, struct seal_cache *cache, const struct seal_place *place, const uint8_t *cipher,
	  const uint8_t *verifier, size_t size, uint8_t *plain)
{
	const struct seal_sealed block = {*place, cipher, verifier, size, plain};
	enum seal_result result;

	CHECK(volume_key_role(key) >= VOLUME_ROLE_READER);
	seal_open_all(key, cache, &block, 1, &result);
	return result;
}

enum seal_result
seal_again(const struct volume_key *key, const struct seal_place *place, const uint8_t *plain, const uint8_t *verifier,
	   size_t size, uint8_t *cipher)
{
	struct parts parts;
	struct seal_place sealed;
	uint8_t tag[SEAL_TAG_SIZE];
	enum seal_result result;

	CHECK(volume_key_role(key) >= VOLUME_ROLE_READER);
	if (!parse(verifier, size, &parts) || parts.kind != KIND_DATA)
		result = SEAL_MALFORMED;
	else if (volume_key_symmetric(key, parts.generation) == NULL)
		result = SEAL_NO_GENERATION;
	else if (!sealed_place(place, &parts, &sealed))
		result = SEAL_FORGED;
	else {
		encrypt(key, parts.generation, &sealed, parts.nonce, plain, cipher, tag);
		result = sodium_memcmp(tag, parts.tag, sizeof(tag)) == 0 ? SEAL_OK : SEAL_UNREADABLE;
	}
	if (result != SEAL_OK)
		memset(cipher, 0, place->block_size);
	return result;
}

bool
seal_is_of_zeros(const uint8_t *verifier, size_t size)
{
	return size > 0 && verifier[0] == KIND_ZERO;
}

const char *
seal_result_text(enum seal_result result)
{
	static const char *const texts[] = {
		[SEAL_OK] = "it is right",
		[SEAL_MALFORMED] = "the verifier is malformed, or not one of such a block",
		[SEAL_NO_GENERATION] = "the verifier names a generation of the volume's keys that is not here",
		[SEAL_FORGED] = "the verifier is not that of this block in this version",
		[SEAL_UNREADABLE] = "the block was sealed with another key, or from other bytes",
	};

	return texts[result];
}
