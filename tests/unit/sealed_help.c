// SPDX-License-Identifier: MIT
#include "tests/unit/sealed_help.h"

#include "core/check.h"

#include <stdlib.h>
#include <string.h>

const char sealed_help_marker[] = "this must not be seen";

void
sealed_help_fill(uint8_t *bytes, uint64_t block, version_t version)
{
	memset(bytes, (int)(block * 7 + version), SEALED_HELP_BLOCK);
	for (size_t at = 0; at < SEALED_HELP_BLOCK; at += 512)
		memcpy(bytes + at, sealed_help_marker, sizeof(sealed_help_marker));
	memcpy(bytes + 64, &block, sizeof(block));
	memcpy(bytes + 72, &version, sizeof(version));
}

struct sealed_help_block
sealed_help_make(const struct volume_key *key, uint64_t block, version_t version)
{
	struct sealed_help_block made;
	struct seal_block sealed = {.place = {.block = block, .version = version, .block_size = SEALED_HELP_BLOCK},
				    .plain = made.plain,
				    .cipher = made.cipher};

	sealed_help_fill(made.plain, block, version);
	seal_help_random(block << 20 | version);
	seal_make(key, &sealed, 1, &made.verifier);
	return made;
}

void
sealed_help_give(struct buf *buf, const struct seal_verifier *verifier)
{
	buf_set_proof(buf, verifier->bytes, verifier->size);
}
