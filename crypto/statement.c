// SPDX-License-Identifier: MIT
#include "crypto/statement.h"

#include "core/check.h"
#include "crypto/big_endian.h"

#include <string.h>

struct statement {
	char domain[STATEMENT_DOMAIN_SIZE];
	uint8_t volume[VOLUME_KEY_ID_SIZE], generation[4], hash[STATEMENT_HASH_SIZE];
};

static_assert(sizeof(struct statement) == 68, "only bytes, and none between them");

static void
fill(struct statement *statement, const char domain[STATEMENT_DOMAIN_SIZE], const struct volume_key *key, uint32_t generation,
     const uint8_t hash[STATEMENT_HASH_SIZE])
{
	memcpy(statement->domain, domain, STATEMENT_DOMAIN_SIZE);
	memcpy(statement->volume, volume_key_id(key), VOLUME_KEY_ID_SIZE);
	big_endian_put(statement->generation, sizeof(statement->generation), generation);
	memcpy(statement->hash, hash, STATEMENT_HASH_SIZE);
}

void
statement_sign(const char domain[STATEMENT_DOMAIN_SIZE], const struct volume_key *key, uint32_t generation,
	       const uint8_t hash[STATEMENT_HASH_SIZE], uint8_t ret[STATEMENT_SIGNATURE_SIZE])
{
	const uint8_t *secret = volume_key_signing(key, generation);
	struct statement statement;

	CHECK(secret != NULL);
	fill(&statement, domain, key, generation, hash);
	CHECK(crypto_sign_detached(ret, NULL, (const uint8_t *)&statement, sizeof(statement), secret) == 0);
}

bool
statement_is_signed(const char domain[STATEMENT_DOMAIN_SIZE], const struct volume_key *key, uint32_t generation,
		    const uint8_t hash[STATEMENT_HASH_SIZE], const uint8_t signature[STATEMENT_SIGNATURE_SIZE])
{
	const uint8_t *public = volume_key_public(key, generation);
	struct statement statement;

	if (public == NULL)
		return false;
	fill(&statement, domain, key, generation, hash);
	return crypto_sign_verify_detached(signature, (const uint8_t *)&statement, sizeof(statement), public) == 0;
}
