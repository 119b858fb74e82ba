// SPDX-License-Identifier: MIT
// Signed is a hash of what was signed before, with a domain of its own for each purpose: a baked cookie is none that is
// burnt, and nothing of crypto/seal.c is either.
//
//	baked  1 byte 1, generation 4, nonce 16, count 4, entries (block 8, version 8), signature 64 of all before it
//	burnt  1 byte 2, generation 4, signature 64 of the baked one
#include "crypto/cookie.h"

#include "core/check.h"
#include "crypto/statement.h"

enum { KIND_BAKED = 1, KIND_BURNT = 2 };

static const char domain_baked[STATEMENT_DOMAIN_SIZE] = "hvfs/1 baked", domain_burnt[STATEMENT_DOMAIN_SIZE] = "hvfs/1 burnt";

static void
sign(const char domain[STATEMENT_DOMAIN_SIZE], const struct volume_key *key, uint32_t generation, const uint8_t *bytes, size_t size,
     uint8_t ret[crypto_sign_BYTES])
{
	uint8_t hash[STATEMENT_HASH_SIZE];

	crypto_generichash(hash, sizeof(hash), bytes, size, NULL, 0);
	statement_sign(domain, key, generation, hash, ret);
}

static bool
is_signed(const char domain[STATEMENT_DOMAIN_SIZE], const struct volume_key *key, uint32_t generation, const uint8_t *bytes,
	  size_t size, const uint8_t *signature)
{
	uint8_t hash[STATEMENT_HASH_SIZE];

	crypto_generichash(hash, sizeof(hash), bytes, size, NULL, 0);
	return statement_is_signed(domain, key, generation, hash, signature);
}

size_t
cookie_bake(const struct volume_key *key, const struct cookie_entry *entries, uint32_t count, uint8_t *ret)
{
	uint32_t generation = volume_key_newest(key);
	uint8_t *at = ret + COOKIE_HEAD_SIZE;

	CHECK(count > 0 && count <= COOKIE_ENTRIES_MAX);
	ret[0] = KIND_BAKED;
	statement_put(ret + 1, 4, generation);
	randombytes_buf(ret + 5, COOKIE_NONCE_SIZE);
	statement_put(ret + 5 + COOKIE_NONCE_SIZE, 4, count);
	for (uint32_t i = 0; i < count; i++, at += COOKIE_ENTRY_SIZE) {
		statement_put(at, 8, entries[i].block);
		statement_put(at + 8, 8, entries[i].version);
	}
	sign(domain_baked, key, generation, ret, (size_t)(at - ret), at);
	return (size_t)(at - ret) + crypto_sign_BYTES;
}

uint32_t
cookie_open(const struct volume_key *key, const uint8_t *baked, size_t size, struct cookie_entry *ret)
{
	const uint8_t *at = baked + COOKIE_HEAD_SIZE;
	uint64_t count;

	if (size < COOKIE_HEAD_SIZE + COOKIE_ENTRY_SIZE + crypto_sign_BYTES || baked[0] != KIND_BAKED)
		return 0;
	count = statement_get(baked + 5 + COOKIE_NONCE_SIZE, 4);
	if (count == 0 || count > COOKIE_ENTRIES_MAX ||
	    size != COOKIE_HEAD_SIZE + count * COOKIE_ENTRY_SIZE + crypto_sign_BYTES)
		return 0;
	size -= crypto_sign_BYTES;
	if (!is_signed(domain_baked, key, (uint32_t)statement_get(baked + 1, 4), baked, size, baked + size))
		return 0;
	for (uint32_t i = 0; i < count; i++, at += COOKIE_ENTRY_SIZE)
		ret[i] = (struct cookie_entry){.block = statement_get(at, 8), .version = statement_get(at + 8, 8)};
	return (uint32_t)count;
}

void
cookie_burn(const struct volume_key *key, const uint8_t *baked, size_t size, uint8_t ret[COOKIE_BURNT_SIZE])
{
	uint32_t generation = volume_key_newest(key);

	ret[0] = KIND_BURNT;
	statement_put(ret + 1, 4, generation);
	sign(domain_burnt, key, generation, baked, size, ret + 5);
}

bool
cookie_is_burnt(const struct volume_key *key, const uint8_t *baked, size_t size, const uint8_t *burnt, size_t burnt_size)
{
	return burnt_size == COOKIE_BURNT_SIZE && burnt[0] == KIND_BURNT &&
	       is_signed(domain_burnt, key, (uint32_t)statement_get(burnt + 1, 4), baked, size, burnt + 5);
}
