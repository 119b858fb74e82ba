// SPDX-License-Identifier: MIT
#include "cache/hash.h"
#include "core/check.h"

#include <string.h>

static const char *const names[HASH_COUNT] = {
	[HASH_ANY] = "any",       [HASH_NEIGHBOURS] = "neighbours", [HASH_XXH] = "xxh",
	[HASH_MURMUR] = "murmur", [HASH_FIBONACCI] = "fibonacci",   [HASH_MODULO] = "modulo",
};

const char *
hash_name(enum hash hash)
{
	CHECK(hash < HASH_COUNT);
	return names[hash];
}

bool
hash_by_name(const char *name, enum hash *ret_hash)
{
	for (int i = 0; i < HASH_COUNT; i++)
		if (strcmp(name, names[i]) == 0) {
			*ret_hash = (enum hash)i;
			return true;
		}
	return false;
}
