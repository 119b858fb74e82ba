// SPDX-License-Identifier: MIT
// What somebody who may write a volume says, signed: cookies (crypto/cookie.h) and news (crypto/news.h). Signed is a hash, with
// the volume, the generation of its keys, and a domain for each use: nothing that was said once is found to be said elsewhere.
#ifndef HVFS_CRYPTO_STATEMENT_H
#define HVFS_CRYPTO_STATEMENT_H

#include "crypto/volume_key.h"

enum { STATEMENT_DOMAIN_SIZE = 16, STATEMENT_HASH_SIZE = 32, STATEMENT_SIGNATURE_SIZE = crypto_sign_BYTES };

// Sign ${hash} with that ${generation} of a writer's ${key}.
void statement_sign(const char domain[STATEMENT_DOMAIN_SIZE], const struct volume_key *key, uint32_t generation,
		    const uint8_t hash[STATEMENT_HASH_SIZE], uint8_t ret[STATEMENT_SIGNATURE_SIZE]);

// Has somebody who may write signed it? Any role can tell.
bool statement_is_signed(const char domain[STATEMENT_DOMAIN_SIZE], const struct volume_key *key, uint32_t generation,
			 const uint8_t hash[STATEMENT_HASH_SIZE], const uint8_t signature[STATEMENT_SIGNATURE_SIZE]);

#endif
