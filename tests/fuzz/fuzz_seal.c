// SPDX-License-Identifier: MIT
// Arbitrary bytes as a verifier. What must hold: only the verifier that a block was sealed with is right, to the last
// bit.
#include "tests/fuzz/mutate.h"

#include "core/check.h"
#include "tests/unit/seal_help.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { BLOCKS = 7, BLOCK_SIZE = 512 };

static struct volume_key *owner, *proxy;
static struct seal_cache *cache;
static struct sealed sealed;

static void
start(void)
{
	owner = seal_help_key(1, VOLUME_ROLE_OWNER, 3);
	proxy = seal_help_key(1, VOLUME_ROLE_PROXY, 3);
	cache = seal_cache_create();
	CHECK(cache != NULL);
	seal_help_random(1);
	seal_help_seal(&sealed, owner, 0, BLOCKS, BLOCK_SIZE);
	for (size_t i = 0; i < BLOCKS; i++) // the signature is known: what is wrong must be found without
		CHECK(seal_check(proxy, cache, &sealed.blocks[i].place, seal_help_cipher(&sealed, i),
				 sealed.verifiers[i].bytes, sealed.verifiers[i].size) == SEAL_OK);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	uint8_t *copy = malloc(size > 0 ? size : 1), plain[BLOCK_SIZE]; // memory that ends with the verifier

	if (owner == NULL)
		start();
	CHECK(copy != NULL);
	if (size > 0)
		memcpy(copy, bytes, size);
	for (size_t i = 0; i < BLOCKS; i++) {
		const struct seal_verifier *right = &sealed.verifiers[i];
		bool is_right = size == right->size && memcmp(copy, right->bytes, size) == 0;
		const uint8_t *cipher = seal_help_cipher(&sealed, i);
		struct seal_place any = sealed.blocks[i].place;

		any.version = 0;
		CHECK((seal_check(proxy, cache, &any, cipher, copy, size) == SEAL_OK) == is_right);
		CHECK(!is_right || seal_version(copy, size) == sealed.blocks[i].place.version);
		CHECK((seal_check(proxy, cache, &sealed.blocks[i].place, cipher, copy, size) == SEAL_OK) == is_right);
		CHECK((seal_open(owner, cache, &sealed.blocks[i].place, cipher, copy, size, plain) == SEAL_OK) ==
		      is_right);
		CHECK(!is_right || memcmp(plain, sealed.plain[i], BLOCK_SIZE) == 0);
		CHECK(seal_again(owner, &sealed.blocks[i].place, sealed.plain[i], copy, size, plain) == SEAL_OK ||
		      !is_right || cipher == NULL);
	}
	free(copy);
	return 0;
}

// ---- For the mutator ----

const size_t fuzz_element_align = 1;

// A verifier that is right for one of the blocks.
size_t
fuzz_element(uint64_t *seed, uint8_t *bytes, size_t room)
{
	const struct seal_verifier *verifier = &sealed.verifiers[mutate_below(seed, BLOCKS)];

	if (owner == NULL || verifier->size > room)
		return 0;
	memcpy(bytes, verifier->bytes, verifier->size);
	return verifier->size;
}
