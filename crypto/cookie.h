// SPDX-License-Identifier: MIT
// That a write which went through machines of others has arrived (S34). Who wrote bakes a cookie: the list of what has to
// be there, signed. Whoever carries it can neither make one nor burn one. The root burns it when all of that is on its
// stable storage: it signs that it has seen this very cookie.
//
// The random number in it makes each cookie another, so that a burnt one can not be told again for a later list. What the
// seed's raw cookie does besides, that a write counts once, versions do here (node/sealed_root.h): a cookie for each write
// would have to be remembered for as long as somebody on the way may keep that write.
#ifndef HVFS_CRYPTO_COOKIE_H
#define HVFS_CRYPTO_COOKIE_H

#include "core/limits.h"
#include "core/types.h"
#include "crypto/seal.h"
#include "crypto/volume_key.h"

// The content of ${block} that was sealed as ${version} and has that digest, or one that came later, is there. Version 0: nothing
// has to be.
struct cookie_entry {
	uint64_t block;
	version_t version;
	uint8_t digest[SEAL_DIGEST_SIZE];
};

enum {
	COOKIE_NONCE_SIZE = 16,
	COOKIE_HEAD_SIZE = 1 + 4 + COOKIE_NONCE_SIZE + 4, // kind, generation, nonce, number of entries
	COOKIE_ENTRY_SIZE = 8 + 8 + SEAL_DIGEST_SIZE,
	COOKIE_BURNT_SIZE = 1 + 4 + crypto_sign_BYTES, // kind, generation, signature
	COOKIE_ENTRIES_MAX = ((int)LIMIT_BLOB_SIZE - COOKIE_HEAD_SIZE - crypto_sign_BYTES) / COOKIE_ENTRY_SIZE,
	COOKIE_LOST_MAP_SIZE = (COOKIE_ENTRIES_MAX + 7) / 8, // a bit for each entry
	COOKIE_LOST_SIZE = 1 + 4 + COOKIE_LOST_MAP_SIZE + crypto_sign_BYTES,
	COOKIE_BAKED_SIZE_MAX = COOKIE_HEAD_SIZE + COOKIE_ENTRIES_MAX * COOKIE_ENTRY_SIZE + crypto_sign_BYTES,
};

// Bake a cookie of ${count} (1 to COOKIE_ENTRIES_MAX) entries with a writer's ${key}. Returns its size, at most
// COOKIE_BAKED_SIZE_MAX.
size_t cookie_bake(const struct volume_key *key, const struct cookie_entry *entries, uint32_t count, uint8_t *ret);

// Is this a cookie that a writer has baked? Then how many entries it has, which are put into ${ret} (room for
// COOKIE_ENTRIES_MAX); else 0. Any role can tell.
uint32_t cookie_open(const struct volume_key *key, const uint8_t *baked, size_t size, struct cookie_entry *ret);

// How many entries a cookie of that size has, that was baked here.
static inline uint32_t
cookie_count(size_t size)
{
	return (uint32_t)((size - COOKIE_HEAD_SIZE - crypto_sign_BYTES) / COOKIE_ENTRY_SIZE);
}

// Burn it, which was opened, with a writer's ${key}.
void cookie_burn(const struct volume_key *key, const uint8_t *baked, size_t size, uint8_t ret[COOKIE_BURNT_SIZE]);

// Is that this cookie, burnt by somebody who may write?
bool cookie_is_burnt(const struct volume_key *key, const uint8_t *baked, size_t size, const uint8_t *burnt, size_t burnt_size);

// Say of it, which was opened, that the entries whose bits are set in ${map} can not come any more: another content of that
// version is there.
void cookie_tell_lost(const struct volume_key *key, const uint8_t *baked, size_t size, const uint8_t map[COOKIE_LOST_MAP_SIZE],
		      uint8_t ret[COOKIE_LOST_SIZE]);

// Does somebody who may write say so of this cookie? Then which, else NULL.
const uint8_t *cookie_lost(const struct volume_key *key, const uint8_t *baked, size_t size, const uint8_t *lost, size_t lost_size);

static inline bool
cookie_map_has(const uint8_t map[COOKIE_LOST_MAP_SIZE], uint32_t index)
{
	return (map[index / 8] >> index % 8 & 1) != 0;
}

static inline void
cookie_map_add(uint8_t map[COOKIE_LOST_MAP_SIZE], uint32_t index)
{
	map[index / 8] |= (uint8_t)(1 << index % 8);
}

#endif
