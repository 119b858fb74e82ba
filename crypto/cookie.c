// SPDX-License-Identifier: MIT
// Signed is a hash of what was signed before, with a domain of its own for each purpose: a baked cookie is none that is
// burnt, and nothing of crypto/seal.c is either.
//
//	baked  1 byte 1, generation 4, nonce 16, count 4, entries (block 8, version 8, digest 16), signature 64 of all before it
//	burnt  1 byte 2, generation 4, signature 64 of the baked one
//	lost   1 byte 5, generation 4, map 16, signature 64 of the baked one and all before it; 3 and 4 are news (crypto/news.c)
#include "crypto/cookie.h"

#include "core/check.h"
#include "crypto/big_endian.h"
#include "crypto/statement.h"

#include <string.h>

enum { KIND_BAKED = 1, KIND_BURNT = 2, KIND_LOST = 5 };

enum { MAP_AT = 1 + 4 };

static const char domain_baked[STATEMENT_DOMAIN_SIZE] = "hvfs/1 baked", domain_burnt[STATEMENT_DOMAIN_SIZE] = "hvfs/1 burnt",
		  domain_lost[STATEMENT_DOMAIN_SIZE] = "hvfs/1 lost";

struct bytes {
	const uint8_t *bytes;
	size_t size;
};

// Of both, one after the other.
static void
hash_of(struct bytes first, struct bytes second, uint8_t ret[STATEMENT_HASH_SIZE])
{
	crypto_generichash_state state;

	crypto_generichash_init(&state, NULL, 0, STATEMENT_HASH_SIZE);
	crypto_generichash_update(&state, first.bytes, first.size);
	crypto_generichash_update(&state, second.bytes, second.size);
	crypto_generichash_final(&state, ret, STATEMENT_HASH_SIZE);
}

static void
sign(const char domain[STATEMENT_DOMAIN_SIZE], const struct volume_key *key, uint32_t generation, struct bytes first,
     struct bytes second, uint8_t ret[crypto_sign_BYTES])
{
	uint8_t hash[STATEMENT_HASH_SIZE];

	hash_of(first, second, hash);
	statement_sign(domain, key, generation, hash, ret);
}

static bool
is_signed(const char domain[STATEMENT_DOMAIN_SIZE], const struct volume_key *key, uint32_t generation, struct bytes first,
	  struct bytes second, const uint8_t *signature)
{
	uint8_t hash[STATEMENT_HASH_SIZE];

	hash_of(first, second, hash);
	return statement_is_signed(domain, key, generation, hash, signature);
}

static const struct bytes nothing;

size_t
cookie_bake(const struct volume_key *key, const struct cookie_entry *entries, uint32_t count, uint8_t *ret)
{
	uint32_t generation = volume_key_newest(key);
	uint8_t *at = ret + COOKIE_HEAD_SIZE;

	CHECK(count > 0 && count <= COOKIE_ENTRIES_MAX);
	ret[0] = KIND_BAKED;
	big_endian_put(ret + 1, 4, generation);
	randombytes_buf(ret + 5, COOKIE_NONCE_SIZE);
	big_endian_put(ret + 5 + COOKIE_NONCE_SIZE, 4, count);
	for (uint32_t i = 0; i < count; i++, at += COOKIE_ENTRY_SIZE) {
		big_endian_put(at, 8, entries[i].block);
		big_endian_put(at + 8, 8, entries[i].version);
		memcpy(at + 16, entries[i].digest, SEAL_DIGEST_SIZE);
	}
	sign(domain_baked, key, generation, (struct bytes){ret, (size_t)(at - ret)}, nothing, at);
	return (size_t)(at - ret) + crypto_sign_BYTES;
}

uint32_t
cookie_open(const struct volume_key *key, const uint8_t *baked, size_t size, struct cookie_entry *ret)
{
	const uint8_t *at = baked + COOKIE_HEAD_SIZE;
	uint64_t count;

	if (size < COOKIE_HEAD_SIZE + COOKIE_ENTRY_SIZE + crypto_sign_BYTES || baked[0] != KIND_BAKED)
		return 0;
	count = big_endian_get(baked + 5 + COOKIE_NONCE_SIZE, 4);
	if (count == 0 || count > COOKIE_ENTRIES_MAX ||
	    size != COOKIE_HEAD_SIZE + count * COOKIE_ENTRY_SIZE + crypto_sign_BYTES)
		return 0;
	size -= crypto_sign_BYTES;
	if (!is_signed(domain_baked, key, (uint32_t)big_endian_get(baked + 1, 4), (struct bytes){baked, size}, nothing, baked + size))
		return 0;
	for (uint32_t i = 0; i < count; i++, at += COOKIE_ENTRY_SIZE) {
		ret[i] = (struct cookie_entry){.block = big_endian_get(at, 8), .version = big_endian_get(at + 8, 8)};
		memcpy(ret[i].digest, at + 16, SEAL_DIGEST_SIZE);
	}
	return (uint32_t)count;
}

void
cookie_burn(const struct volume_key *key, const uint8_t *baked, size_t size, uint8_t ret[COOKIE_BURNT_SIZE])
{
	uint32_t generation = volume_key_newest(key);

	ret[0] = KIND_BURNT;
	big_endian_put(ret + 1, 4, generation);
	sign(domain_burnt, key, generation, (struct bytes){baked, size}, nothing, ret + 5);
}

// A root signs with its newest keys, and opens no cookie of newer ones than it has: an answer of older ones is somebody's who was left
// out when they were made.
static bool
is_as_new(const uint8_t *baked, const uint8_t *answer)
{
	return big_endian_get(answer + 1, 4) >= big_endian_get(baked + 1, 4);
}

bool
cookie_is_burnt(const struct volume_key *key, const uint8_t *baked, size_t size, const uint8_t *burnt, size_t burnt_size)
{
	return burnt_size == COOKIE_BURNT_SIZE && burnt[0] == KIND_BURNT && is_as_new(baked, burnt) &&
	       is_signed(domain_burnt, key, (uint32_t)big_endian_get(burnt + 1, 4), (struct bytes){baked, size}, nothing, burnt + 5);
}

void
cookie_tell_lost(const struct volume_key *key, const uint8_t *baked, size_t size, const uint8_t map[COOKIE_LOST_MAP_SIZE],
		 uint8_t ret[COOKIE_LOST_SIZE])
{
	const size_t said = MAP_AT + COOKIE_LOST_MAP_SIZE;
	uint32_t generation = volume_key_newest(key);

	ret[0] = KIND_LOST;
	big_endian_put(ret + 1, 4, generation);
	memcpy(ret + MAP_AT, map, COOKIE_LOST_MAP_SIZE);
	sign(domain_lost, key, generation, (struct bytes){baked, size}, (struct bytes){ret, said}, ret + said);
}

const uint8_t *
cookie_lost(const struct volume_key *key, const uint8_t *baked, size_t size, const uint8_t *lost, size_t lost_size)
{
	const size_t said = MAP_AT + COOKIE_LOST_MAP_SIZE;

	return lost_size == COOKIE_LOST_SIZE && lost[0] == KIND_LOST && is_as_new(baked, lost) &&
			       is_signed(domain_lost, key, (uint32_t)big_endian_get(lost + 1, 4), (struct bytes){baked, size},
					 (struct bytes){lost, said}, lost + said)
		       ? lost + MAP_AT
		       : NULL;
}
