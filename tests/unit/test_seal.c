// SPDX-License-Identifier: MIT
// Sealed blocks: what was written is found again, and nothing else is taken for it.
#include "tests/unit/seal_help.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum {
	BLOCK_SIZE = 512,
	GENERATION_AT = 1,
	VERSION_AT = 5,
	LEAF_AT = 13,
	LEAVES_AT = 15,
	SIGNATURE_AT = 17,
	HEAD_SIZE = SEAL_HEAD_SIZE,
	SEALED = 7,
};

// ---- Fixture: what an owner, a reader and a proxy of a volume have, the owner of another; a write ----

static struct volume_key *owner, *reader, *proxy, *stranger;
static struct seal_cache *cache;
static struct sealed sealed, other;
static uint8_t plain[SEAL_HELP_BLOCK_SIZE_MAX], cipher[SEAL_HELP_BLOCK_SIZE_MAX];

static void
setup(void)
{
	owner = seal_help_key(1, VOLUME_ROLE_OWNER, 3);
	reader = seal_help_key(1, VOLUME_ROLE_READER, 3);
	proxy = seal_help_key(1, VOLUME_ROLE_PROXY, 3);
	stranger = seal_help_key(2, VOLUME_ROLE_OWNER, 3);
	cache = seal_cache_create();
	ck_assert_ptr_nonnull(cache);
	seal_help_seal(&sealed, owner, 1000, SEALED, BLOCK_SIZE);
}

static void
teardown(void)
{
	seal_cache_destroy(cache);
	volume_key_destroy(stranger);
	volume_key_destroy(proxy);
	volume_key_destroy(reader);
	volume_key_destroy(owner);
}

// Block ${index} of ${write}, with another verifier.
static enum seal_result
check_as(const struct sealed *write, size_t index, const uint8_t *verifier, size_t size)
{
	return seal_check(proxy, cache, &write->blocks[index].place, seal_help_cipher(write, index), verifier, size);
}

static enum seal_result
check(const struct sealed *write, size_t index)
{
	return check_as(write, index, write->verifiers[index].bytes, write->verifiers[index].size);
}

static enum seal_result
check_at(size_t index, struct seal_place place)
{
	return seal_check(proxy, cache, &place, seal_help_cipher(&sealed, index), sealed.verifiers[index].bytes,
			  sealed.verifiers[index].size);
}

static enum seal_result
open_it(const struct volume_key *key, const struct sealed *write, size_t index)
{
	return seal_open(key, cache, &write->blocks[index].place, seal_help_cipher(write, index),
			 write->verifiers[index].bytes, write->verifiers[index].size, plain);
}

// A proxy checks, a reader reads and makes the ciphertext again: all blocks.
static void
assert_whole(const struct sealed *write)
{
	for (size_t i = 0; i < write->count; i++) {
		const struct seal_place *place = &write->blocks[i].place;
		const struct seal_verifier *verifier = &write->verifiers[i];

		ck_assert_int_eq(check(write, i), SEAL_OK);
		ck_assert_int_eq(open_it(reader, write, i), SEAL_OK);
		ck_assert_mem_eq(plain, write->plain[i], place->block_size);
		if (write->blocks[i].plain == NULL)
			continue;
		ck_assert_mem_ne(write->cipher[i], write->plain[i], place->block_size);
		ck_assert_int_eq(seal_again(reader, place, write->plain[i], verifier->bytes, verifier->size, cipher),
				 SEAL_OK);
		ck_assert_mem_eq(cipher, write->cipher[i], place->block_size);
	}
}

// ---- Cases: what is right ----

START_TEST(test_round)
{
	assert_whole(&sealed);
	ck_assert_uint_eq(seal_cache_misses(cache), 1); // all share one signature
	seal_help_seal(&other, owner, 2000, 7, BLOCK_SIZE);
	for (size_t i = 0; i < sealed.count; i++) {
		const struct seal_verifier *verifier = &sealed.verifiers[i];

		ck_assert_uint_eq(seal_write_of(verifier->bytes, verifier->size),
				  seal_write_of(sealed.verifiers[0].bytes, sealed.verifiers[0].size));
		ck_assert_uint_ne(seal_write_of(verifier->bytes, verifier->size),
				  seal_write_of(other.verifiers[i].bytes, other.verifiers[i].size));
	}
	ck_assert_uint_eq(seal_write_of(sealed.verifiers[0].bytes, HEAD_SIZE - 1), 0);
}
END_TEST

// Trees of every size.
START_TEST(test_all_sizes)
{
	for (size_t count = 1; count <= SEAL_BLOCKS_MAX; count++) {
		uint64_t misses = seal_cache_misses(cache);

		seal_help_seal(&other, owner, count << 20, count, BLOCK_SIZE);
		assert_whole(&other);
		ck_assert_uint_eq(seal_cache_misses(cache), misses + 1);
	}
}
END_TEST

// Random writes of random blocks; a random bit anywhere is seen.
START_TEST(test_random)
{
	for (int round = 0; round < 300; round++) {
		size_t count = 1 + randombytes_uniform(SEAL_BLOCKS_MAX), index = randombytes_uniform((uint32_t)count);
		uint32_t block_size = (uint32_t)BLOCK_SIZE << randombytes_uniform(4);
		struct seal_verifier *verifier = &other.verifiers[index];
		uint32_t bit;

		seal_help_seal(&other, owner, randombytes_random(), count, block_size);
		ck_assert_int_eq(open_it(owner, &other, index), SEAL_OK);
		ck_assert_mem_eq(plain, other.plain[index], block_size);
		bit = randombytes_uniform(8u * verifier->size);
		verifier->bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		ck_assert_int_ne(check(&other, index), SEAL_OK);
		verifier->bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		ck_assert_int_eq(check(&other, index), SEAL_OK);
		if (seal_help_cipher(&other, index) == NULL)
			continue;
		bit = randombytes_uniform(8 * block_size);
		other.cipher[index][bit / 8] ^= (uint8_t)(1 << bit % 8);
		ck_assert_int_eq(check(&other, index), SEAL_FORGED);
	}
}
END_TEST

// In any order: which block was right last makes no difference, neither for what is right nor for what is not.
START_TEST(test_any_order)
{
	for (int round = 0; round < 40; round++) {
		size_t count = 1 + randombytes_uniform(round % 2 == 0 ? 12 : SEAL_BLOCKS_MAX);

		seal_help_seal(&other, owner, randombytes_random(), count, BLOCK_SIZE);
		for (int i = 0; i < 200; i++) {
			size_t last = randombytes_uniform((uint32_t)count),
			       index = randombytes_uniform((uint32_t)count);
			struct seal_verifier verifier = other.verifiers[index];
			uint32_t bit = randombytes_uniform(8u * verifier.size);

			ck_assert_int_eq(check(&other, last), SEAL_OK);
			verifier.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
			ck_assert_int_ne(check_as(&other, index, verifier.bytes, verifier.size), SEAL_OK);
			if (i % 2 == 0)
				ck_assert_int_eq(check(&other, index), SEAL_OK);
		}
	}
}
END_TEST

// In place, and the largest and smallest blocks.
START_TEST(test_in_place)
{
	static uint8_t bytes[LIMIT_BLOCK_SIZE_MAX], before[LIMIT_BLOCK_SIZE_MAX];
	struct seal_verifier verifier;

	for (uint32_t size = LIMIT_BLOCK_SIZE_MIN; size <= LIMIT_BLOCK_SIZE_MAX; size *= 2) {
		struct seal_block block = {
			.place = {.block = 5, .version = 9, .block_size = size}, .plain = bytes, .cipher = bytes};

		randombytes_buf(bytes, size);
		memcpy(before, bytes, size);
		seal_make(owner, &block, 1, &verifier);
		ck_assert_int_eq(seal_check(proxy, cache, &block.place, bytes, verifier.bytes, verifier.size), SEAL_OK);
		ck_assert_int_eq(seal_open(reader, cache, &block.place, bytes, verifier.bytes, verifier.size, bytes),
				 SEAL_OK);
		ck_assert_mem_eq(bytes, before, size);
		ck_assert_int_eq(seal_again(reader, &block.place, bytes, verifier.bytes, verifier.size, bytes),
				 SEAL_OK);
		ck_assert_int_eq(seal_check(proxy, cache, &block.place, bytes, verifier.bytes, verifier.size), SEAL_OK);
	}
}
END_TEST

// Blocks whose ciphertext is not wanted get the same verifiers, beside others.
START_TEST(test_unwanted)
{
	struct seal_verifier verifiers[SEALED];
	struct seal_block blocks[SEALED];

	memcpy(blocks, sealed.blocks, sizeof(blocks));
	for (size_t i = 0; i < SEALED; i++)
		if (i % 3 != 1)
			blocks[i].cipher = NULL;
	seal_make(owner, blocks, SEALED, verifiers);
	for (size_t i = 0; i < SEALED; i++) {
		ck_assert_uint_eq(verifiers[i].size, sealed.verifiers[i].size);
		ck_assert_mem_eq(verifiers[i].bytes, sealed.verifiers[i].bytes, verifiers[i].size);
	}
}
END_TEST

// Of many blocks at once the answer is the one that each of them gives alone: blocks of two writes, of two sizes, and
// zeros among each other, in place or only checked, and one that is wrong somewhere.
START_TEST(test_all_at_once)
{
	enum { COUNT = 14 };

	seal_help_seal(&other, owner, 2000, COUNT - sealed.count, 4096);
	for (size_t wrong = 0; wrong <= COUNT; wrong++) {
		static uint8_t bytes[COUNT][SEAL_HELP_BLOCK_SIZE_MAX];
		struct seal_sealed blocks[COUNT];
		enum seal_result result;
		size_t right;

		for (size_t i = 0; i < COUNT; i++) {
			const struct sealed *write = wrong % 2 == 0 ? (i % 2 == 0 ? &sealed : &other)
						     : i < 7        ? &sealed
								    : &other;
			size_t index = wrong % 2 == 0 ? i / 2 : i % 7;
			const uint8_t *from = seal_help_cipher(write, index);
			const struct seal_verifier *verifier = &write->verifiers[index];

			if (from != NULL)
				memcpy(bytes[i], from, write->blocks[index].place.block_size);
			blocks[i] = (struct seal_sealed){write->blocks[index].place, from != NULL ? bytes[i] : NULL,
							 verifier->bytes, verifier->size, i % 3 == 0 ? NULL : bytes[i]};
		}
		if (wrong < COUNT)
			blocks[wrong].place.block ^= 1;
		right = seal_open_all(reader, cache, blocks, COUNT, &result);
		ck_assert_uint_eq(right, wrong);
		ck_assert_int_eq(result, wrong < COUNT ? SEAL_FORGED : SEAL_OK);
		for (size_t i = 0; i < right; i++) {
			const struct sealed *write = blocks[i].place.block_size == BLOCK_SIZE ? &sealed : &other;

			if (blocks[i].plain != NULL)
				ck_assert_mem_eq(bytes[i], write->plain[blocks[i].place.block % 1000],
						 blocks[i].place.block_size);
		}
	}
}
END_TEST

static void
get_digest(const struct sealed *write, size_t index, uint8_t ret[SEAL_DIGEST_SIZE])
{
	seal_digest(write->verifiers[index].bytes, write->verifiers[index].size, ret);
}

// Neither two blocks nor two versions of one look the same, though they are.
START_TEST(test_fresh_nonces)
{
	struct seal_block blocks[3] = {sealed.blocks[0], sealed.blocks[0], sealed.blocks[0]};
	struct seal_verifier made[3];

	blocks[1].place.version++;
	blocks[2].place.block++;
	for (size_t i = 0; i < 3; i++)
		blocks[i].cipher = other.cipher[i];
	seal_make(owner, blocks, 3, made);
	for (size_t i = 1; i < 3; i++) {
		ck_assert_mem_ne(other.cipher[i], other.cipher[0], BLOCK_SIZE);
		ck_assert_mem_ne(other.cipher[i], other.cipher[3 - i], BLOCK_SIZE);
		ck_assert_mem_ne(made[i].bytes + HEAD_SIZE, made[0].bytes + HEAD_SIZE, SEAL_NONCE_SIZE);
	}
	for (size_t i = 0; i < 4; i++)
		ck_assert_mem_ne(sealed.verifiers[i].bytes + HEAD_SIZE, sealed.verifiers[(i + 1) % 4].bytes + HEAD_SIZE, SEAL_NONCE_SIZE);
}
END_TEST

// One content of a version is the same whoever seals it, with whatever else; another content has nothing in common with it.
START_TEST(test_one_content)
{
	struct seal_block blocks[2] = {sealed.blocks[6], sealed.blocks[3]};
	struct seal_verifier made[2];
	uint8_t digest[SEAL_DIGEST_SIZE], again[SEAL_DIGEST_SIZE];

	blocks[0].cipher = other.cipher[0];
	blocks[1].cipher = other.cipher[1];
	seal_make(owner, blocks, 2, made);
	ck_assert_mem_eq(other.cipher[1], sealed.cipher[3], BLOCK_SIZE);
	ck_assert_mem_eq(made[1].bytes + HEAD_SIZE, sealed.verifiers[3].bytes + HEAD_SIZE, SEAL_NONCE_SIZE + SEAL_TAG_SIZE);
	ck_assert_mem_ne(made[1].bytes, sealed.verifiers[3].bytes, HEAD_SIZE); // it stands elsewhere in another write
	get_digest(&sealed, 3, digest);
	seal_digest(made[1].bytes, made[1].size, again);
	ck_assert_mem_eq(digest, again, SEAL_DIGEST_SIZE);
	sealed.plain[3][BLOCK_SIZE - 1] ^= 1;
	seal_make(owner, &blocks[1], 1, made);
	seal_digest(made[0].bytes, made[0].size, again);
	ck_assert_mem_ne(digest, again, SEAL_DIGEST_SIZE);
	ck_assert_mem_ne(made[0].bytes + HEAD_SIZE, sealed.verifiers[3].bytes + HEAD_SIZE, SEAL_NONCE_SIZE);
}
END_TEST

// Who keeps zeros as a hole, and seals them again, is not to have another content than who has written them.
START_TEST(test_zeros_are_zeros)
{
	struct seal_block block = sealed.blocks[4];
	struct seal_verifier made;
	uint8_t hole[SEAL_DIGEST_SIZE], bytes[SEAL_DIGEST_SIZE];

	ck_assert_ptr_null(block.plain);
	block.plain = sealed.plain[4];
	memset(other.cipher[0], 1, BLOCK_SIZE);
	block.cipher = other.cipher[0];
	seal_make(owner, &block, 1, &made);
	ck_assert(seal_is_of_zeros(made.bytes, made.size));
	ck_assert_mem_eq(other.cipher[0], sealed.plain[4], BLOCK_SIZE);
	ck_assert_int_eq(seal_check(proxy, cache, &block.place, NULL, made.bytes, made.size), SEAL_OK);
	get_digest(&sealed, 4, hole);
	seal_digest(made.bytes, made.size, bytes);
	ck_assert_mem_eq(hole, bytes, SEAL_DIGEST_SIZE);
	get_digest(&sealed, 3, bytes);
	ck_assert_mem_ne(hole, bytes, SEAL_DIGEST_SIZE);
	seal_digest(made.bytes, made.size - 1, bytes); // it is none
	memset(hole, 0, sizeof(hole));
	ck_assert_mem_eq(hole, bytes, SEAL_DIGEST_SIZE);
}
END_TEST

// Sizes as docs/security.md has them.
START_TEST(test_sizes)
{
	ck_assert_uint_eq(sealed.verifiers[0].size, 17 + 64 + 24 + 16 + 3 * 32);
	ck_assert_uint_eq(sealed.verifiers[4].size, 17 + 64 + 3 * 32);           // zeros
	ck_assert_uint_eq(sealed.verifiers[6].size, 17 + 64 + 24 + 16 + 2 * 32); // the odd one has no neighbour below
	seal_help_seal(&other, owner, 0, SEAL_BLOCKS_MAX, BLOCK_SIZE);
	ck_assert_uint_eq(other.verifiers[0].size, SEAL_VERIFIER_SIZE_MAX);
	seal_help_seal(&other, owner, 0, 1, BLOCK_SIZE);
	ck_assert_uint_eq(other.verifiers[0].size, 17 + 64 + 24 + 16);
}
END_TEST

// ---- Cases: what is not ----

// Every bit of every verifier counts, also when the signature is known; and of the ciphertext.
START_TEST(test_every_bit)
{
	for (size_t i = 0; i < sealed.count; i++) {
		struct seal_verifier verifier = sealed.verifiers[i];

		ck_assert_int_eq(check(&sealed, i), SEAL_OK);
		for (size_t bit = 0; bit < 8 * (size_t)verifier.size; bit++) {
			verifier.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
			ck_assert_msg(check_as(&sealed, i, verifier.bytes, verifier.size) != SEAL_OK,
				      "block %zu, bit %zu", i, bit);
			verifier.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
	}
	for (size_t bit = 0; bit < (size_t)8 * BLOCK_SIZE; bit++) {
		sealed.cipher[2][bit / 8] ^= (uint8_t)(1 << bit % 8);
		ck_assert_int_eq(check(&sealed, 2), SEAL_FORGED);
		ck_assert_int_eq(open_it(reader, &sealed, 2), SEAL_FORGED);
		sealed.cipher[2][bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}
END_TEST

// Another block or block size; all bits of them.
START_TEST(test_other_place)
{
	for (size_t i = 0; i < sealed.count; i++)
		for (int bit = 0; bit < 64; bit++) {
			struct seal_place place = sealed.blocks[i].place;

			place.block ^= UINT64_C(1) << bit;
			ck_assert_int_eq(check_at(i, place), SEAL_FORGED);
		}
	// Zeros of another size, of which no byte is there to differ.
	struct seal_place place = sealed.blocks[4].place;
	place.block_size = 4096;
	ck_assert_int_eq(check_at(4, place), SEAL_FORGED);
}
END_TEST

// A verifier has its version, which counts to the last bit: one that was given another number on its way is still
// right, as the core numbers blocks anew where nobody can seal; one that is said to be older than it was sealed is not.
START_TEST(test_versions)
{
	for (size_t i = 0; i < sealed.count; i++) {
		struct seal_place place = sealed.blocks[i].place;
		const struct seal_verifier *verifier = &sealed.verifiers[i];
		const version_t version = place.version, higher[] = {version + 1, version_make(4, 0), VERSION_MAX, 0},
				lower[] = {version - 1, version_make(2, 500), 1};

		ck_assert_uint_eq(seal_version(verifier->bytes, verifier->size), version);
		ck_assert_uint_eq(seal_version(verifier->bytes, verifier->size - 1u), 0);
		for (size_t j = 0; j < 4; j++) {
			place.version = higher[j];
			ck_assert_int_eq(check_at(i, place), SEAL_OK);
			ck_assert_int_eq(seal_open(reader, cache, &place, seal_help_cipher(&sealed, i), verifier->bytes,
						   verifier->size, plain),
					 SEAL_OK);
			ck_assert_mem_eq(plain, sealed.plain[i], BLOCK_SIZE);
			if (sealed.blocks[i].plain == NULL)
				continue;
			ck_assert_int_eq(seal_again(reader, &place, plain, verifier->bytes, verifier->size, cipher),
					 SEAL_OK);
			ck_assert_mem_eq(cipher, sealed.cipher[i], BLOCK_SIZE);
		}
		for (size_t j = 0; j < 3; j++) {
			place.version = lower[j];
			ck_assert_int_eq(check_at(i, place), SEAL_FORGED);
			ck_assert_int_eq(seal_open(reader, cache, &place, seal_help_cipher(&sealed, i), verifier->bytes,
						   verifier->size, plain),
					 SEAL_FORGED);
			if (sealed.blocks[i].plain != NULL)
				ck_assert_int_eq(seal_again(reader, &place, sealed.plain[i], verifier->bytes,
							    verifier->size, cipher),
						 SEAL_FORGED);
		}
		for (int bit = 0; bit < 64; bit++) {
			struct seal_verifier odd = *verifier;

			odd.bytes[VERSION_AT + 7 - bit / 8] ^= (uint8_t)(1 << bit % 8);
			place.version = 0;
			ck_assert_uint_eq(seal_version(odd.bytes, odd.size), version ^ UINT64_C(1) << bit);
			ck_assert_int_eq(
				seal_check(proxy, cache, &place, seal_help_cipher(&sealed, i), odd.bytes, odd.size),
				SEAL_FORGED);
		}
	}
}
END_TEST

// Two versions of a block do not get each other's numbers.
START_TEST(test_swapped_versions)
{
	struct seal_verifier newer, older = sealed.verifiers[0];
	struct seal_place any = sealed.blocks[0].place;

	other = sealed;
	for (size_t i = 0; i < sealed.count; i++) {
		other.blocks[i].place.version++;
		if (other.blocks[i].plain != NULL)
			other.blocks[i].cipher = other.cipher[i];
	}
	seal_make(owner, other.blocks, other.count, other.verifiers);
	newer = other.verifiers[0];
	any.version = 0;
	ck_assert_int_eq(seal_check(proxy, cache, &any, sealed.cipher[0], older.bytes, older.size), SEAL_OK);
	ck_assert_int_eq(seal_check(proxy, cache, &any, other.cipher[0], newer.bytes, newer.size), SEAL_OK);
	memcpy(older.bytes + VERSION_AT, other.verifiers[0].bytes + VERSION_AT, 8);
	memcpy(newer.bytes + VERSION_AT, sealed.verifiers[0].bytes + VERSION_AT, 8);
	ck_assert_int_eq(seal_check(proxy, cache, &any, sealed.cipher[0], older.bytes, older.size), SEAL_FORGED);
	ck_assert_int_eq(seal_check(proxy, cache, &any, other.cipher[0], newer.bytes, newer.size), SEAL_FORGED);
}
END_TEST

// Blocks of one write with each other's bytes, or verifiers.
START_TEST(test_swapped_blocks)
{
	for (size_t i = 0; i < sealed.count; i++)
		for (size_t j = 0; j < sealed.count; j++) {
			const struct seal_verifier *verifier = &sealed.verifiers[j];

			if (i == j)
				continue;
			ck_assert_int_ne(check_as(&sealed, i, verifier->bytes, verifier->size), SEAL_OK);
			ck_assert_int_ne(seal_check(proxy, cache, &sealed.blocks[i].place, seal_help_cipher(&sealed, j),
						    verifier->bytes, verifier->size),
					 SEAL_OK);
		}
}
END_TEST

// A newer write of the same block does not pass for the older one, nor do parts of either for the other.
START_TEST(test_other_write)
{
	other = sealed;
	for (size_t i = 0; i < sealed.count; i++)
		other.blocks[i].place.version--;
	seal_make(owner, other.blocks, other.count, other.verifiers);
	memcpy(other.cipher, sealed.cipher, sizeof(other.cipher)); // blocks[] point into ${sealed}
	for (size_t i = 0; i < sealed.count; i++) {
		struct seal_verifier mixed = other.verifiers[i];

		ck_assert_int_eq(check_as(&other, i, sealed.verifiers[i].bytes, sealed.verifiers[i].size), SEAL_FORGED);
		memcpy(mixed.bytes + HEAD_SIZE, sealed.verifiers[i].bytes + HEAD_SIZE,
		       sealed.verifiers[i].size - HEAD_SIZE);
		ck_assert_int_eq(check_as(&other, i, mixed.bytes, mixed.size), SEAL_FORGED);
	}
}
END_TEST

// What is right in one volume is not in another; not even with the same keys under another id.
START_TEST(test_swapped_volumes)
{
	uint8_t id[VOLUME_KEY_ID_SIZE] = "another volume", publics[3][32];
	struct volume_key *twin;
	uint32_t bad;

	seal_help_seal(&other, stranger, 1000, 7, BLOCK_SIZE);
	ck_assert_int_eq(check(&other, 0), SEAL_FORGED);
	ck_assert_int_eq(check(&other, 4), SEAL_FORGED);
	for (uint32_t i = 0; i < 3; i++)
		memcpy(publics[i], volume_key_public(proxy, i + 1), 32);
	twin = volume_key_restore(id, VOLUME_ROLE_PROXY, 3, publics[0], NULL, NULL, &bad);
	ck_assert_int_eq(check(&sealed, 0), SEAL_OK);
	for (size_t i = 0; i < sealed.count; i++)
		ck_assert_int_eq(seal_check(twin, cache, &sealed.blocks[i].place, seal_help_cipher(&sealed, i),
					    sealed.verifiers[i].bytes, sealed.verifiers[i].size),
				 SEAL_FORGED);
	volume_key_destroy(twin);
}
END_TEST

// The same id and other keys: a signature that one key has found right is not right for the other.
START_TEST(test_cache_knows_keys)
{
	uint8_t publics[3][32];
	struct volume_key *twin;
	uint32_t bad;

	for (uint32_t i = 0; i < 3; i++)
		memcpy(publics[i], volume_key_public(stranger, i + 1), 32);
	twin = volume_key_restore(volume_key_id(owner), VOLUME_ROLE_PROXY, 3, publics[0], NULL, NULL, &bad);
	ck_assert_int_eq(check(&sealed, 0), SEAL_OK);
	ck_assert_int_eq(seal_check(twin, cache, &sealed.blocks[0].place, sealed.cipher[0], sealed.verifiers[0].bytes,
				    sealed.verifiers[0].size),
			 SEAL_FORGED);
	volume_key_destroy(twin);
}
END_TEST

// Generations: older ones are still right, unknown ones are said to be so, and one is not another.
START_TEST(test_generations)
{
	struct volume_key *before = seal_help_key(1, VOLUME_ROLE_WRITER, 2);
	struct seal_verifier verifier;

	seal_help_seal(&other, before, 1000, 7, BLOCK_SIZE);
	assert_whole(&other);
	for (uint8_t generation = 0; generation < 6; generation++) {
		verifier = other.verifiers[1];
		verifier.bytes[GENERATION_AT + 3] = generation;
		ck_assert_int_eq(check_as(&other, 1, verifier.bytes, verifier.size), generation == 2 ? SEAL_OK
										     : generation == 0 || generation > 3
											     ? SEAL_NO_GENERATION
											     : SEAL_FORGED);
	}
	ck_assert_int_eq(seal_check(before, cache, &sealed.blocks[1].place, sealed.cipher[1], sealed.verifiers[1].bytes,
				    sealed.verifiers[1].size),
			 SEAL_NO_GENERATION);
	volume_key_destroy(before);
}
END_TEST

// Verifiers of any other length; the bytes end where they end.
START_TEST(test_lengths)
{
	for (size_t i = 0; i < sealed.count; i++) {
		size_t right = sealed.verifiers[i].size;

		for (size_t size = 0; size <= LIMIT_BLOB_SIZE; size += size < 512 ? 1 : 100) {
			uint8_t *bytes = calloc(1, size > 0 ? size : 1);

			memcpy(bytes, sealed.verifiers[i].bytes, size < right ? size : right);
			ck_assert_int_eq(check_as(&sealed, i, bytes, size), size == right ? SEAL_OK : SEAL_MALFORMED);
			free(bytes);
		}
	}
}
END_TEST

// Places in the tree that there are not, and trees that are too large.
START_TEST(test_leaf_and_leaves)
{
	static const uint16_t counts[] = {0, 1, 2, 4, 6, 7, 8, 255, 256, 257, 65535};

	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++)
		for (uint32_t leaf = 0; leaf < 300; leaf++) {
			struct seal_verifier verifier = sealed.verifiers[0];

			verifier.bytes[LEAF_AT] = (uint8_t)(leaf >> 8);
			verifier.bytes[LEAF_AT + 1] = (uint8_t)leaf;
			verifier.bytes[LEAVES_AT] = (uint8_t)(counts[i] >> 8);
			verifier.bytes[LEAVES_AT + 1] = (uint8_t)counts[i];
			if (leaf == 0 && counts[i] == 7)
				continue;
			ck_assert_int_ne(check_as(&sealed, 0, verifier.bytes, verifier.size), SEAL_OK);
			if (leaf >= counts[i] || counts[i] > SEAL_BLOCKS_MAX)
				ck_assert_int_eq(check_as(&sealed, 0, verifier.bytes, verifier.size), SEAL_MALFORMED);
		}
}
END_TEST

// The root of a tree, or an inner node of it, is no leaf: a path that begins higher up, in a smaller tree, is wrong.
START_TEST(test_shorter_path)
{
	struct seal_verifier verifier = sealed.verifiers[0];

	seal_help_seal(&other, owner, 2000, 4, BLOCK_SIZE);
	verifier = other.verifiers[0];
	memmove(verifier.bytes + HEAD_SIZE + 40, verifier.bytes + HEAD_SIZE + 40 + 32, 32);
	verifier.size -= 32;
	verifier.bytes[LEAVES_AT + 1] = 2;
	ck_assert_int_eq(check_as(&other, 0, verifier.bytes, verifier.size), SEAL_FORGED);
}
END_TEST

// Zeros are not data and data not zeros, whatever the kind says.
START_TEST(test_kinds)
{
	static uint8_t zeros[BLOCK_SIZE];
	struct seal_verifier verifier = sealed.verifiers[4];

	ck_assert_int_eq(seal_check(proxy, cache, &sealed.blocks[4].place, zeros, verifier.bytes, verifier.size),
			 SEAL_MALFORMED);
	ck_assert_int_eq(seal_check(proxy, cache, &sealed.blocks[0].place, NULL, sealed.verifiers[0].bytes,
				    sealed.verifiers[0].size),
			 SEAL_MALFORMED);
	// Data said to be zeros: nonce and tag left out.
	verifier = sealed.verifiers[0];
	verifier.bytes[0] = 2;
	memmove(verifier.bytes + HEAD_SIZE, verifier.bytes + HEAD_SIZE + 40, verifier.size - HEAD_SIZE - 40);
	verifier.size -= 40;
	ck_assert_int_eq(seal_check(proxy, cache, &sealed.blocks[0].place, NULL, verifier.bytes, verifier.size),
			 SEAL_FORGED);
	for (int kind = 0; kind < 256; kind++) {
		verifier = sealed.verifiers[0];
		verifier.bytes[0] = (uint8_t)kind;
		ck_assert_int_eq(check_as(&sealed, 0, verifier.bytes, verifier.size),
				 kind == 1 ? SEAL_OK : SEAL_MALFORMED);
	}
}
END_TEST

// S + L is as good as S in the equation of Ed25519, and refused.
START_TEST(test_malleability)
{
	static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58,       0xd6,
					  0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, [31] = 0x10};
	struct seal_verifier verifier = sealed.verifiers[0];
	unsigned carry = 0;

	for (int i = 0; i < 32; i++) {
		carry += verifier.bytes[SIGNATURE_AT + 32 + i] + order[i];
		verifier.bytes[SIGNATURE_AT + 32 + i] = (uint8_t)carry;
		carry >>= 8;
	}
	ck_assert_int_eq(check_as(&sealed, 0, verifier.bytes, verifier.size), SEAL_FORGED);
	ck_assert_int_eq(check(&sealed, 0), SEAL_OK);
	ck_assert_int_eq(check_as(&sealed, 0, verifier.bytes, verifier.size), SEAL_FORGED);
	memset(verifier.bytes + SIGNATURE_AT, 0, SEAL_SIGNATURE_SIZE);
	ck_assert_int_eq(check_as(&sealed, 0, verifier.bytes, verifier.size), SEAL_FORGED);
}
END_TEST

// Keys that protect nothing are not taken as keys.
START_TEST(test_zero_keys)
{
	static const uint8_t id[VOLUME_KEY_ID_SIZE], zeros[32], identity[32] = {1};
	uint8_t public[32], signing[64], seed[32] = {7};
	uint32_t bad;

	crypto_sign_seed_keypair(public, signing, seed);
	ck_assert_ptr_null(volume_key_restore(id, VOLUME_ROLE_PROXY, 1, zeros, NULL, NULL, &bad));
	ck_assert_uint_eq(bad, 1);
	ck_assert_ptr_null(volume_key_restore(id, VOLUME_ROLE_PROXY, 1, identity, NULL, NULL, &bad));
	ck_assert_ptr_null(volume_key_restore(id, VOLUME_ROLE_READER, 1, public, zeros, NULL, &bad));
	ck_assert_ptr_null(volume_key_restore(id, VOLUME_ROLE_WRITER, 1, public, public, zeros, &bad));
	crypto_sign_seed_keypair(public, signing, zeros);
	ck_assert_ptr_null(volume_key_restore(id, VOLUME_ROLE_WRITER, 1, public, public, zeros, &bad));
}
END_TEST

// A reader with a symmetric key that is not the writer's sees that, after the signature.
START_TEST(test_other_symmetric_key)
{
	uint8_t publics[3][32], symmetric[3][32];
	struct volume_key *odd;
	uint32_t bad;

	for (uint32_t i = 0; i < 3; i++) {
		memcpy(publics[i], volume_key_public(reader, i + 1), 32);
		memcpy(symmetric[i], volume_key_symmetric(stranger, i + 1), 32);
	}
	odd = volume_key_restore(volume_key_id(reader), VOLUME_ROLE_READER, 3, publics[0], symmetric[0], NULL, &bad);
	ck_assert_int_eq(open_it(odd, &sealed, 0), SEAL_UNREADABLE);
	ck_assert_int_eq(open_it(odd, &sealed, 4), SEAL_OK); // zeros
	volume_key_destroy(odd);
}
END_TEST

// Other bytes are not encrypted with a nonce that is in use.
START_TEST(test_again_with_other_bytes)
{
	static const uint8_t zeros[BLOCK_SIZE];
	const struct seal_verifier *verifier = &sealed.verifiers[0];
	struct seal_place place = sealed.blocks[0].place;

	sealed.plain[0][17] ^= 1;
	ck_assert_int_eq(seal_again(reader, &place, sealed.plain[0], verifier->bytes, verifier->size, cipher),
			 SEAL_UNREADABLE);
	ck_assert_mem_eq(cipher, zeros, BLOCK_SIZE);
	sealed.plain[0][17] ^= 1;
	place.block++;
	ck_assert_int_eq(seal_again(reader, &place, sealed.plain[0], verifier->bytes, verifier->size, cipher),
			 SEAL_UNREADABLE);
	ck_assert_mem_eq(cipher, zeros, BLOCK_SIZE);
	ck_assert_int_eq(seal_again(reader, &place, sealed.plain[0], verifier->bytes, verifier->size - 1u, cipher),
			 SEAL_MALFORMED);
	verifier = &sealed.verifiers[4];
	ck_assert_int_eq(seal_again(reader, &place, sealed.plain[4], verifier->bytes, verifier->size, cipher),
			 SEAL_MALFORMED);
}
END_TEST

// What fell out of the cache is found right again; what is wrong never gets in.
START_TEST(test_cache_is_bounded)
{
	uint64_t misses;

	ck_assert_int_eq(check(&sealed, 0), SEAL_OK);
	for (uint64_t i = 0; i < 4 * SEAL_CACHE_TREES; i++) {
		seal_help_seal(&other, owner, i, 2, BLOCK_SIZE);
		ck_assert_int_eq(check(&other, 0), SEAL_OK);
		ck_assert_int_eq(check(&other, 1), SEAL_OK);
	}
	ck_assert_uint_eq(seal_cache_misses(cache), 4 * SEAL_CACHE_TREES + 1);
	ck_assert_int_eq(check(&sealed, 1), SEAL_OK);
	misses = seal_cache_misses(cache);
	sealed.verifiers[1].bytes[SIGNATURE_AT + 11] ^= 1;
	ck_assert_int_eq(check(&sealed, 1), SEAL_FORGED);
	ck_assert_int_eq(check(&sealed, 1), SEAL_FORGED);
	ck_assert_uint_eq(seal_cache_misses(cache), misses + 2);
}
END_TEST

// ---- Cases: the format stays ----

// Kept when format 1 was made, and then compared with what other implementations of the parts gave. What another
// version of the program makes of the same keys and the same chance is the same.
START_TEST(test_vectors)
{
	static const struct {
		size_t count;
		uint32_t block_size;
		const char *digest; // of ciphertexts and verifiers
	} vectors[] = {
		{1, 512, "174b740e7b715dfa9bb1566a8bf8aa47e047b6af2f687dac4f4a267450bd27f9"},
		{2, 512, "c5ad5f6b4c9c532976f54b96365ffab3265dc7c04192d2daac572847a7b61522"},
		{7, 4096, "b95f60ec49c0e95e201af9bd04ccb5479a69217da2c9a737289cc93e6bbc2426"},
		{256, 512, "a50f15c182dca0beac6b1f85d41d68722a092a6cf07006c9c000079ae8976eb8"},
	};

	for (size_t i = 0; i < sizeof(vectors) / sizeof(*vectors); i++) {
		crypto_generichash_state state;
		uint8_t digest[32];
		char text[65];

		seal_help_random(1);
		seal_help_seal(&other, owner, 1 << 20, vectors[i].count, vectors[i].block_size);
		crypto_generichash_init(&state, NULL, 0, sizeof(digest));
		for (size_t j = 0; j < other.count; j++) {
			if (seal_help_cipher(&other, j) != NULL)
				crypto_generichash_update(&state, other.cipher[j], vectors[i].block_size);
			crypto_generichash_update(&state, other.verifiers[j].bytes, other.verifiers[j].size);
		}
		crypto_generichash_final(&state, digest, sizeof(digest));
		sodium_bin2hex(text, sizeof(text), digest, sizeof(digest));
		ck_assert_str_eq(text, vectors[i].digest);
	}
}
END_TEST

// Written out: block 7, version 0x30000000064, 512 bytes of it are zeros, alone in its write, generation 3.
START_TEST(test_written_out)
{
	static const char text[] = "0200000003000003000000006400000001"
				   "660abeed81ce0e31b9c492a527d7941f5aaed7568d6b902b70a86ef286e1de72"
				   "5311fff0469911f8159f6bf3922889800d87af4235059510b6c31a887ef6e20f";
	const struct seal_place place = {.block = 7, .version = version_make(3, 100), .block_size = 512};
	uint8_t bytes[512];
	size_t size;

	ck_assert_int_eq(sodium_hex2bin(bytes, sizeof(bytes), text, strlen(text), NULL, &size, NULL), 0);
	ck_assert_int_eq(seal_check(proxy, cache, &place, NULL, bytes, size), SEAL_OK);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("seal");
	TCase *cases = tcase_create("cases");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(cases, setup, teardown);
	tcase_set_timeout(cases, 60);
	tcase_add_test(cases, test_round);
	tcase_add_test(cases, test_all_sizes);
	tcase_add_test(cases, test_random);
	tcase_add_test(cases, test_any_order);
	tcase_add_test(cases, test_in_place);
	tcase_add_test(cases, test_all_at_once);
	tcase_add_test(cases, test_unwanted);
	tcase_add_test(cases, test_fresh_nonces);
	tcase_add_test(cases, test_one_content);
	tcase_add_test(cases, test_zeros_are_zeros);
	tcase_add_test(cases, test_sizes);
	tcase_add_test(cases, test_every_bit);
	tcase_add_test(cases, test_other_place);
	tcase_add_test(cases, test_swapped_blocks);
	tcase_add_test(cases, test_versions);
	tcase_add_test(cases, test_swapped_versions);
	tcase_add_test(cases, test_other_write);
	tcase_add_test(cases, test_swapped_volumes);
	tcase_add_test(cases, test_cache_knows_keys);
	tcase_add_test(cases, test_generations);
	tcase_add_test(cases, test_lengths);
	tcase_add_test(cases, test_leaf_and_leaves);
	tcase_add_test(cases, test_shorter_path);
	tcase_add_test(cases, test_kinds);
	tcase_add_test(cases, test_malleability);
	tcase_add_test(cases, test_zero_keys);
	tcase_add_test(cases, test_other_symmetric_key);
	tcase_add_test(cases, test_again_with_other_bytes);
	tcase_add_test(cases, test_cache_is_bounded);
	tcase_add_test(cases, test_vectors);
	tcase_add_test(cases, test_written_out);
	suite_add_tcase(suite, cases);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
