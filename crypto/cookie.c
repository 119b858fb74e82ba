// SPDX-License-Identifier: MIT
// Signed is a hash of what was signed before, with a domain of its own for each purpose: a baked cookie is none that is
// burnt, and nothing of crypto/seal.c is either.
//
//	baked  1 byte 1, generation 4, nonce 16, count 4, entries (block 8, version 8), signature 64 of all before it
//	burnt  1 byte 2, generation 4, signature 64 of the baked one
#include "crypto/cookie.h"

#include "core/check.h"

#include <string.h>

enum { KIND_BAKED = 1, KIND_BURNT = 2, DOMAIN_SIZE = 16, HASH_SIZE = 32 };

static const char domain_baked[DOMAIN_SIZE] = "hvfs/1 baked", domain_burnt[DOMAIN_SIZE] = "hvfs/1 burnt";

struct statement {
	char domain[DOMAIN_SIZE];
	uint8_t volume[VOLUME_KEY_ID_SIZE], generation[4], hash[HASH_SIZE];
};

static_assert(sizeof(struct statement) == 68, "only bytes, and none between them");

static void
put_be(uint8_t *bytes, size_t size, uint64_t number)
{
	for (size_t i = size; i > 0; i--, number >>= 8)
		bytes[i - 1] = (uint8_t)number;
}

static uint64_t
get_be(const uint8_t *bytes, size_t size)
{
	uint64_t number = 0;

	for (size_t i = 0; i < size; i++)
		number = number << 8 | bytes[i];
	return number;
}

static void
fill_statement(struct statement *statement, const char domain[DOMAIN_SIZE], const struct volume_key *key, uint32_t generation,
	       const uint8_t *bytes, size_t size)
{
	memcpy(statement->domain, domain, DOMAIN_SIZE);
	memcpy(statement->volume, volume_key_id(key), VOLUME_KEY_ID_SIZE);
	put_be(statement->generation, sizeof(statement->generation), generation);
	crypto_generichash(statement->hash, HASH_SIZE, bytes, size, NULL, 0);
}

static void
sign(const char domain[DOMAIN_SIZE], const struct volume_key *key, uint32_t generation, const uint8_t *bytes, size_t size,
     uint8_t ret[crypto_sign_BYTES])
{
	const uint8_t *secret = volume_key_signing(key, generation);
	struct statement statement;

	CHECK(secret != NULL);
	fill_statement(&statement, domain, key, generation, bytes, size);
	CHECK(crypto_sign_detached(ret, NULL, (const uint8_t *)&statement, sizeof(statement), secret) == 0);
}

static bool
is_signed(const char domain[DOMAIN_SIZE], const struct volume_key *key, uint32_t generation, const uint8_t *bytes, size_t size,
	  const uint8_t *signature)
{
	const uint8_t *public = volume_key_public(key, generation);
	struct statement statement;

	if (public == NULL)
		return false;
	fill_statement(&statement, domain, key, generation, bytes, size);
	return crypto_sign_verify_detached(signature, (const uint8_t *)&statement, sizeof(statement), public) == 0;
}

size_t
cookie_bake(const struct volume_key *key, const struct cookie_entry *entries, uint32_t count, uint8_t *ret)
{
	uint32_t generation = volume_key_newest(key);
	uint8_t *at = ret + COOKIE_HEAD_SIZE;

	CHECK(count > 0 && count <= COOKIE_ENTRIES_MAX);
	ret[0] = KIND_BAKED;
	put_be(ret + 1, 4, generation);
	randombytes_buf(ret + 5, COOKIE_NONCE_SIZE);
	put_be(ret + 5 + COOKIE_NONCE_SIZE, 4, count);
	for (uint32_t i = 0; i < count; i++, at += COOKIE_ENTRY_SIZE) {
		put_be(at, 8, entries[i].block);
		put_be(at + 8, 8, entries[i].version);
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
	count = get_be(baked + 5 + COOKIE_NONCE_SIZE, 4);
	if (count == 0 || count > COOKIE_ENTRIES_MAX ||
	    size != COOKIE_HEAD_SIZE + count * COOKIE_ENTRY_SIZE + crypto_sign_BYTES)
		return 0;
	size -= crypto_sign_BYTES;
	if (!is_signed(domain_baked, key, (uint32_t)get_be(baked + 1, 4), baked, size, baked + size))
		return 0;
	for (uint32_t i = 0; i < count; i++, at += COOKIE_ENTRY_SIZE)
		ret[i] = (struct cookie_entry){.block = get_be(at, 8), .version = get_be(at + 8, 8)};
	return (uint32_t)count;
}

void
cookie_burn(const struct volume_key *key, const uint8_t *baked, size_t size, uint8_t ret[COOKIE_BURNT_SIZE])
{
	uint32_t generation = volume_key_newest(key);

	ret[0] = KIND_BURNT;
	put_be(ret + 1, 4, generation);
	sign(domain_burnt, key, generation, baked, size, ret + 5);
}

bool
cookie_is_burnt(const struct volume_key *key, const uint8_t *baked, size_t size, const uint8_t *burnt, size_t burnt_size)
{
	return burnt_size == COOKIE_BURNT_SIZE && burnt[0] == KIND_BURNT &&
	       is_signed(domain_burnt, key, (uint32_t)get_be(burnt + 1, 4), baked, size, burnt + 5);
}
