// SPDX-License-Identifier: MIT
// Blocks of a sealed volume: encrypted, and signed so that everybody who has the public key sees that a writer wrote
// these bytes, as a version of this block of this volume. Functions of their arguments; docs/security.md says why
// each part is there.
//
// What proves that is the block's verifier. It stands alone: whoever has a block and its verifier can check it, keep it
// and pass it on, whatever became of the other blocks that were written with it. Integers are big-endian:
//
//	kind        1 byte    1: data, 2: zeros
//	generation  4         of the volume's keys
//	version     8         as which the block was sealed
//	leaf        2         of this block in the hash tree of the write
//	leaves      2         1 to SEAL_BLOCKS_MAX
//	signature   64        Ed25519, of the tree
//	nonce       24        of the encryption; data only
//	tag         16        data only
//	path        32 each   the hashes beside the way from the leaf to the root; leaf and leaves say how many
#ifndef HVFS_CRYPTO_SEAL_H
#define HVFS_CRYPTO_SEAL_H

#include "core/limits.h"
#include "core/types.h"
#include "core/zeros.h"
#include "crypto/volume_key.h"
#include "crypto/xaes.h"

enum {
	SEAL_BLOCKS_MAX = 256, // of one write: they share a signature
	SEAL_PATH_MAX = 8,     // hashes: levels of a tree of so many leaves
	SEAL_HASH_SIZE = 32,
	SEAL_NONCE_SIZE = XAES_NONCE_SIZE,
	SEAL_TAG_SIZE = XAES_TAG_SIZE,
	SEAL_SIGNATURE_SIZE = crypto_sign_BYTES,
	SEAL_HEAD_SIZE = 1 + 4 + 8 + 2 + 2 + SEAL_SIGNATURE_SIZE, // of a verifier, the signature included
	SEAL_VERIFIER_SIZE_MAX = SEAL_HEAD_SIZE + SEAL_NONCE_SIZE + SEAL_TAG_SIZE + SEAL_PATH_MAX * SEAL_HASH_SIZE,
	SEAL_DIGEST_SIZE = 16, // of a content
	SEAL_CACHE_TREES = 256, // verified signatures that are remembered
};

static_assert(SEAL_BLOCKS_MAX == 1 << SEAL_PATH_MAX, "the tree of a write has so many levels");
static_assert(SEAL_VERIFIER_SIZE_MAX <= (int)LIMIT_VERIFIER_SIZE, "a verifier fits a parameter");

// Which bytes a block has is said of a place: block ${block} of the volume, in its ${version}. A block may get another
// number on its way, never a lower one, and stays the same (protocol.md R11; a proxy that closes a gap gives one, and
// can not seal). So a block is sealed as a version, and found to be right in that one and those above it.
struct seal_place {
	uint64_t block;
	version_t version;   // to seal: as this one. Of a verifier: sealed as this one or an older one; 0: as any
	uint32_t block_size; // LIMIT_BLOCK_SIZE_MIN to LIMIT_BLOCK_SIZE_MAX
};

struct seal_verifier {
	uint16_t size;
	uint8_t bytes[SEAL_VERIFIER_SIZE_MAX];
};

// A block that is written.
struct seal_block {
	struct seal_place place;
	const uint8_t *plain; // block_size bytes; NULL: zeros, of which there is no ciphertext
	uint8_t *cipher;      // where the ciphertext goes, as many bytes; may be ${plain}; its own. NULL: it is not wanted
};

// A block that is checked or opened.
struct seal_sealed {
	struct seal_place place;
	const uint8_t *cipher; // NULL: zeros
	const uint8_t *verifier;
	size_t size;    // of the verifier
	uint8_t *plain; // where what was written goes, block_size bytes; may be ${cipher}. NULL: it is checked only
};

enum seal_result {
	SEAL_OK,
	SEAL_MALFORMED,     // the verifier is none, or one of zeros for data, or of data for zeros
	SEAL_NO_GENERATION, // it names a generation that this key does not have
	SEAL_FORGED,        // nobody who may write has written these bytes as this version of this block, or an older
	SEAL_UNREADABLE, // a writer has, but under another symmetric key than this; or, of seal_again, of other bytes
};

// Trees whose signature was verified, so that blocks of one write cost one verification. Not shared between threads.
struct seal_cache;
struct seal_cache *seal_cache_create(void); // NULL: no memory
void seal_cache_destroy(struct seal_cache *cache);

// How often a signature had to be verified so far.
uint64_t seal_cache_misses(const struct seal_cache *cache);

// Seal the ${count} (1 to SEAL_BLOCKS_MAX) blocks of a write with the newest generation of a writer's ${key}: their
// ciphertexts and, in the same order, their verifiers. One content of a place has one ciphertext, nonce and tag, also when it
// is sealed once more, alone or among others. Zeros are sealed as such, also if they are in ${plain}; ${cipher} is zeros then.
void seal_make(const struct volume_key *key, const struct seal_block *blocks, size_t count,
	       struct seal_verifier *ret_verifiers);

// As which version a block was sealed, if the ${size} bytes are its verifier; 0: they are none.
version_t seal_version(const uint8_t *verifier, size_t size);

// Which content it is, of those that were sealed as one version of one block with one generation of keys: the tag of data, and a
// digest of their own for zeros. All zeros, which no content has: the ${size} bytes are no verifier.
void seal_digest(const uint8_t *verifier, size_t size, uint8_t ret[SEAL_DIGEST_SIZE]);
void seal_digest_of_zeros(uint8_t ret[SEAL_DIGEST_SIZE]);

static inline bool
seal_digest_is_known(const uint8_t digest[SEAL_DIGEST_SIZE])
{
	return !bytes_are_zero(digest, SEAL_DIGEST_SIZE);
}

// A number that the blocks of one write have in common, and hardly any others; of no use but to keep them together. 0:
// the ${size} bytes are no verifier.
uint32_t seal_write_of(const uint8_t *verifier, size_t size);

// Is ${cipher} (NULL: zeros) what a writer of the volume has written at ${place}, as the ${size} bytes ${verifier} say?
// Any role can tell. Every byte of the verifier counts: who has checked one can pass it on.
enum seal_result seal_check(const struct volume_key *key, struct seal_cache *cache, const struct seal_place *place,
			    const uint8_t *cipher, const uint8_t *verifier, size_t size);

// The same, and what was written to ${plain}, block_size bytes, which may be ${cipher}; nothing of use is there unless
// SEAL_OK is returned. ${key} is a reader's.
enum seal_result seal_open(const struct volume_key *key, struct seal_cache *cache, const struct seal_place *place,
			   const uint8_t *cipher, const uint8_t *verifier, size_t size, uint8_t *plain);

// The same of ${count} blocks, one after the other until one is not right; together they cost less. Returns how many
// are right, and what is to be said of the next one.
size_t seal_open_all(const struct volume_key *key, struct seal_cache *cache, const struct seal_sealed *blocks,
		     size_t count, enum seal_result *ret_result);

// Encrypt ${plain} once more as it was for ${verifier}, which was checked, to ${cipher}, which may be ${plain}: the
// ciphertext is the same. So a reader can keep blocks in the clear and pass them on. Unless SEAL_OK is returned there
// are zeros in ${cipher}: other bytes, encrypted with the same nonce, would tell about both. SEAL_UNREADABLE: these
// were not the bytes.
enum seal_result seal_again(const struct volume_key *key, const struct seal_place *place, const uint8_t *plain,
			    const uint8_t *verifier, size_t size, uint8_t *cipher);

// Is this the verifier of zeros, of which there is no ciphertext?
bool seal_is_of_zeros(const uint8_t *verifier, size_t size);

// What is wrong, in words.
const char *seal_result_text(enum seal_result result);

#endif
