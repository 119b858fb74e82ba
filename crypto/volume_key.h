// SPDX-License-Identifier: MIT
// The keys of a sealed volume, and how much of them somebody has. Generations are numbered from 1; each has a symmetric
// key, that blocks are encrypted with, and an Ed25519 pair, that they are signed with. New blocks are sealed with the
// newest generation; the others are kept, to read what was sealed before. Secrets are in memory that is locked and not
// in cores, where the system lets.
#ifndef HVFS_CRYPTO_VOLUME_KEY_H
#define HVFS_CRYPTO_VOLUME_KEY_H

#include "crypto/fingerprint.h"
#include "crypto/xaes.h"

#include <assert.h>
#include <sodium.h>

enum {
	VOLUME_KEY_ID_SIZE = 16,
	VOLUME_KEY_SYMMETRIC_SIZE = XAES_KEY_SIZE,
	VOLUME_KEY_SEED_SIZE = crypto_sign_SEEDBYTES, // of the signing key: this is kept in files
	VOLUME_KEY_SIGNING_SIZE = crypto_sign_SECRETKEYBYTES,
	VOLUME_KEY_PUBLIC_SIZE = crypto_sign_PUBLICKEYBYTES,
	VOLUME_KEY_GENERATIONS_MAX = 256,
	VOLUME_KEY_ID_TEXT_SIZE = 2 * VOLUME_KEY_ID_SIZE + 1,
};

static_assert(VOLUME_KEY_SYMMETRIC_SIZE == 32 && VOLUME_KEY_SEED_SIZE == 32 && VOLUME_KEY_PUBLIC_SIZE == 32,
	      "keys in files and in arrays have 32 bytes");

// What somebody has of the keys. Ordered: each has what the one before has, and
//   proxy   the public keys: can tell whether a block is one that a writer has sealed
//   reader  the symmetric keys: can read
//   writer  the signing keys: can write
//   owner   nothing more, but it is the owner's copy, which generations are added to and others are told of
enum volume_role { VOLUME_ROLE_PROXY, VOLUME_ROLE_READER, VOLUME_ROLE_WRITER, VOLUME_ROLE_OWNER, VOLUME_ROLE_COUNT };

struct volume_key;

// A new volume: an id and generation 1. Returns NULL when there is no memory or the library does not start.
struct volume_key *volume_key_create(void);
void volume_key_destroy(struct volume_key *key);

// A key of what is given, 32 bytes for each of ${count} generations; ${symmetric} and ${seeds} are NULL or as ${role}
// has them. The public keys have to be those of the seeds, and no key may be one that does not protect (all zeros, a
// point of small order). Returns NULL, and in *ret_bad the number of the generation with such a key, or 0 when there is
// no memory.
struct volume_key *volume_key_restore(const uint8_t id[VOLUME_KEY_ID_SIZE], enum volume_role role, uint32_t count,
				      const uint8_t *publics, const uint8_t *symmetric, const uint8_t *seeds,
				      uint32_t *ret_bad);

// What ${role} may have of ${key}, as a key of its own. Returns NULL when ${key} has not that much, or there is no
// memory.
struct volume_key *volume_key_restrict(const struct volume_key *key, enum volume_role role);

// Add a generation, to an owner's key that is below VOLUME_KEY_GENERATIONS_MAX. Returns 0, or -1: there is no memory.
int volume_key_rotate(struct volume_key *key);

// May ${next} take the place of ${key}: is it of the same volume, has it all generations and the role that ${key} has?
// Returns 0, or -1 and the end of a sentence that begins with "the key".
int volume_key_check_successor(const struct volume_key *key, const struct volume_key *next, char *error,
			       size_t error_size);

// The id of its volume, VOLUME_KEY_ID_SIZE bytes, and whose copy it is.
const uint8_t *volume_key_id(const struct volume_key *key);
enum volume_role volume_key_role(const struct volume_key *key);

// The newest generation, which is how many there are.
uint32_t volume_key_newest(const struct volume_key *key);

// The keys of ${generation}, valid as long as ${key} and its number of generations; NULL when there is no such
// generation, or the role does not have it. The signing key is in the form that crypto_sign_detached() takes.
const uint8_t *volume_key_public(const struct volume_key *key, uint32_t generation);
const uint8_t *volume_key_symmetric(const struct volume_key *key, uint32_t generation);
const uint8_t *volume_key_signing(const struct volume_key *key, uint32_t generation);

// By which the public key of ${generation}, which is there, is known. Returns 0, or -1: the library failed.
int volume_key_fingerprint(const struct volume_key *key, uint32_t generation, struct fingerprint *ret);

// "proxy", "reader", …
const char *volume_role_name(enum volume_role role);

// Returns 0, or -1: ${text} is no role.
int volume_role_parse(const char *text, enum volume_role *ret);

// The id as 32 hex digits into ${text}, which is returned.
const char *volume_key_id_print(const uint8_t id[VOLUME_KEY_ID_SIZE], char text[VOLUME_KEY_ID_TEXT_SIZE]);

#endif
