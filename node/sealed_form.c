// SPDX-License-Identifier: MIT
#include "node/sealed_form.h"

#include "core/check.h"
#include "crypto/seal.h"

#include <stdlib.h>
#include <string.h>

struct form {
	struct sealed_form public;
	const struct volume_key *key;
	struct seal_cache *cache;
	struct seal_verifier verifiers[SEAL_BLOCKS_MAX]; // of the write that is being sealed
};

static_assert((int)SEALED_KEY_ID_SIZE == (int)VOLUME_KEY_ID_SIZE, "forms are known by the ids of keys");

static struct seal_place
place_of(const struct sealed_block *block)
{
	return (struct seal_place){.block = block->block, .version = block->version, .block_size = block->size};
}

// ---- to the medium ----

// As one write: they share a signature.
static void
make_proofs(struct form *form, struct sealed_block *const *blocks, size_t count)
{
	struct seal_block made[SEAL_BLOCKS_MAX];

	for (size_t i = 0; i < count; i++)
		made[i] = (struct seal_block){
			.place = place_of(blocks[i]), .plain = blocks[i]->bytes, .cipher = blocks[i]->sealed};
	if (count > 0)
		seal_make(form->key, made, count, form->verifiers);
	for (size_t i = 0; i < count; i++) {
		blocks[i]->proof_size = form->verifiers[i].size;
		memcpy(blocks[i]->proof, form->verifiers[i].bytes, form->verifiers[i].size);
	}
}

// As it was when its proof was made.
static bool
seal_as_before(const struct form *form, const struct sealed_block *block)
{
	struct seal_place place = place_of(block);

	place.version = 0;
	if (seal_is_of_zeros(block->proof, block->proof_size))
		memset(block->sealed, 0, block->size);
	else if (form->public.is_plain)
		return seal_again(form->key, &place, block->bytes, block->proof, block->proof_size, block->sealed) ==
		       SEAL_OK;
	else
		memcpy(block->sealed, block->bytes, block->size);
	return true;
}

static bool
seal(void *self, struct sealed_block *blocks, size_t count)
{
	struct form *form = self;
	struct sealed_block *unproven[SEAL_BLOCKS_MAX];
	size_t unproven_count = 0;

	for (size_t i = 0; i < count; i++) {
		if (blocks[i].proof_size > 0) {
			if (!seal_as_before(form, &blocks[i]))
				return false;
			continue;
		}
		if (!form->public.makes_proofs)
			return false;
		unproven[unproven_count++] = &blocks[i];
		if (unproven_count == SEAL_BLOCKS_MAX) {
			make_proofs(form, unproven, unproven_count);
			unproven_count = 0;
		}
	}
	make_proofs(form, unproven, unproven_count);
	return true;
}

// ---- back ----

static bool
open_zeros(const struct form *form, const struct sealed_block *block)
{
	struct seal_place place = place_of(block);

	if (seal_check(form->key, form->cache, &place, NULL, block->proof, block->proof_size) != SEAL_OK)
		return false;
	if (block->bytes != NULL)
		memset(block->bytes, 0, block->size);
	return true;
}

static bool
open_it(void *self, struct sealed_block *block)
{
	struct form *form = self;
	struct seal_place place = place_of(block);

	if (seal_is_of_zeros(block->proof, block->proof_size))
		return open_zeros(form, block);
	if (form->public.is_plain && block->bytes != NULL && block->sealed != NULL)
		return seal_open(form->key, form->cache, &place, block->sealed, block->proof, block->proof_size,
				 block->bytes) == SEAL_OK;
	if (seal_check(form->key, form->cache, &place, block->sealed, block->proof, block->proof_size) != SEAL_OK)
		return false;
	if (block->bytes != NULL)
		memcpy(block->bytes, block->sealed, block->size);
	return true;
}

static const struct sealed_ops ops = {.seal = seal, .open = open_it};

struct sealed_form *
sealed_form_create(const struct volume_key *key)
{
	struct form *form = calloc(1, sizeof(*form));

	CHECK(form != NULL);
	form->key = key;
	form->cache = seal_cache_create();
	CHECK(form->cache != NULL);
	form->public = (struct sealed_form){
		.is_plain = volume_key_role(key) >= VOLUME_ROLE_READER,
		.makes_proofs = volume_key_role(key) >= VOLUME_ROLE_WRITER,
		.ops = &ops,
		.self = form,
	};
	memcpy(form->public.id, volume_key_id(key), sizeof(form->public.id));
	return &form->public;
}

void
sealed_form_destroy(struct sealed_form *public)
{
	struct form *form = (struct form *)public;

	if (form == NULL)
		return;
	seal_cache_destroy(form->cache);
	free(form);
}
