// SPDX-License-Identifier: MIT
#include "tests/unit/seal_help.h"

#include "core/check.h"

#include <string.h>

// ---- Chance that can be repeated ----

static uint64_t drawn;

static void
fill(uint64_t seed, void *bytes, size_t size)
{
	uint8_t key[randombytes_SEEDBYTES] = {0};

	memcpy(key, &seed, sizeof(seed));
	randombytes_buf_deterministic(bytes, size, key);
}

static const char *
random_name(void)
{
	return "repeated";
}

static void
random_buf(void *bytes, size_t size)
{
	fill(drawn++, bytes, size);
}

static uint32_t
random_number(void)
{
	uint32_t number;

	random_buf(&number, sizeof(number));
	return number;
}

void
seal_help_random(uint64_t seed)
{
	static randombytes_implementation repeated = {
		.implementation_name = random_name, .random = random_number, .buf = random_buf};

	drawn = seed;
	CHECK(sodium_init() >= 0);
	randombytes_set_implementation(&repeated);
}

// ---- Keys ----

struct volume_key *
seal_help_key(uint64_t seed, enum volume_role role, uint32_t generations)
{
	uint8_t id[VOLUME_KEY_ID_SIZE], publics[8][32], symmetric[8][32], seeds[8][32],
		signing[VOLUME_KEY_SIGNING_SIZE];
	struct volume_key *key;
	uint32_t bad;

	CHECK(sodium_init() >= 0 && generations <= 8);
	fill(seed << 8, id, sizeof(id));
	for (uint32_t i = 0; i < generations; i++) {
		fill(seed << 8 | (2 * i + 1), symmetric[i], sizeof(symmetric[i]));
		fill(seed << 8 | (2 * i + 2), seeds[i], sizeof(seeds[i]));
		crypto_sign_seed_keypair(publics[i], signing, seeds[i]);
	}
	key = volume_key_restore(id, role, generations, publics[0], role >= VOLUME_ROLE_READER ? symmetric[0] : NULL,
				 role >= VOLUME_ROLE_WRITER ? seeds[0] : NULL, &bad);
	CHECK(key != NULL);
	return key;
}

// ---- Writes ----

void
seal_help_seal(struct sealed *sealed, const struct volume_key *key, uint64_t first, size_t count, uint32_t block_size)
{
	sealed->count = count;
	for (size_t i = 0; i < count; i++) {
		bool zeros = i % 5 == 4;

		fill(first + i, sealed->plain[i], block_size);
		if (zeros)
			memset(sealed->plain[i], 0, block_size);
		sealed->blocks[i] = (struct seal_block){
			.place = {.block = first + i, .version = version_make(3, 100 + i), .block_size = block_size},
			.plain = zeros ? NULL : sealed->plain[i],
			.cipher = sealed->cipher[i],
		};
	}
	seal_make(key, sealed->blocks, count, sealed->verifiers);
}

const uint8_t *
seal_help_cipher(const struct sealed *sealed, size_t index)
{
	return sealed->blocks[index].plain != NULL ? sealed->cipher[index] : NULL;
}
