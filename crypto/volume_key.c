// SPDX-License-Identifier: MIT
#include "crypto/volume_key.h"

#include "core/check.h"

#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct secrets {
	uint8_t symmetric[VOLUME_KEY_SYMMETRIC_SIZE];
	uint8_t signing[VOLUME_KEY_SIGNING_SIZE]; // zeros in a reader's key
};

struct volume_key {
	uint8_t id[VOLUME_KEY_ID_SIZE];
	enum volume_role role;
	uint32_t count;
	uint8_t publics[VOLUME_KEY_GENERATIONS_MAX][VOLUME_KEY_PUBLIC_SIZE];
	struct secrets *secrets; // sodium_malloc: ${count} of them; NULL in a proxy's key
};

static const char *const role_names[VOLUME_ROLE_COUNT] = {
	[VOLUME_ROLE_PROXY] = "proxy",
	[VOLUME_ROLE_READER] = "reader",
	[VOLUME_ROLE_WRITER] = "writer",
	[VOLUME_ROLE_OWNER] = "owner",
};

// ---- Making ----

// Room for ${count} generations.
static struct volume_key *
key_alloc(const uint8_t *id, enum volume_role role, uint32_t count)
{
	struct volume_key *key = calloc(1, sizeof(*key));

	if (key == NULL || sodium_init() < 0) {
		free(key);
		return NULL;
	}
	memcpy(key->id, id, sizeof(key->id));
	key->role = role;
	key->count = count;
	if (role == VOLUME_ROLE_PROXY)
		return key;
	key->secrets = sodium_malloc(count * sizeof(*key->secrets));
	if (key->secrets == NULL) {
		free(key);
		return NULL;
	}
	sodium_memzero(key->secrets, count * sizeof(*key->secrets));
	return key;
}

static void
make_generation(struct volume_key *key, uint32_t index)
{
	randombytes_buf(key->secrets[index].symmetric, VOLUME_KEY_SYMMETRIC_SIZE);
	crypto_sign_keypair(key->publics[index], key->secrets[index].signing);
}

struct volume_key *
volume_key_create(void)
{
	uint8_t id[VOLUME_KEY_ID_SIZE];
	struct volume_key *key;

	if (sodium_init() < 0)
		return NULL;
	randombytes_buf(id, sizeof(id));
	key = key_alloc(id, VOLUME_ROLE_OWNER, 1);
	if (key != NULL)
		make_generation(key, 0);
	return key;
}

void
volume_key_destroy(struct volume_key *key)
{
	if (key == NULL)
		return;
	sodium_free(key->secrets); // wipes
	free(key);
}

// The secrets of generation ${index}; whether they are any good, and belong to the public key.
static bool
restore_secrets(struct volume_key *key, size_t index, const uint8_t *symmetric, const uint8_t *seed)
{
	struct secrets *secrets = &key->secrets[index];
	uint8_t public[VOLUME_KEY_PUBLIC_SIZE];

	memcpy(secrets->symmetric, symmetric, sizeof(secrets->symmetric));
	if (sodium_is_zero(symmetric, VOLUME_KEY_SYMMETRIC_SIZE))
		return false;
	if (seed == NULL)
		return true;
	crypto_sign_seed_keypair(public, secrets->signing, seed);
	return !sodium_is_zero(seed, VOLUME_KEY_SEED_SIZE) && memcmp(public, key->publics[index], sizeof(public)) == 0;
}

struct volume_key *
volume_key_restore(const uint8_t id[VOLUME_KEY_ID_SIZE], enum volume_role role, uint32_t count, const uint8_t *publics,
		   const uint8_t *symmetric, const uint8_t *seeds, uint32_t *ret_bad)
{
	struct volume_key *key;

	CHECK(count > 0 && count <= VOLUME_KEY_GENERATIONS_MAX);
	CHECK((symmetric != NULL) == (role >= VOLUME_ROLE_READER) && (seeds != NULL) == (role >= VOLUME_ROLE_WRITER));
	key = key_alloc(id, role, count);
	*ret_bad = 0;
	for (size_t i = 0; key != NULL && i < count; i++) {
		memcpy(key->publics[i], publics + 32 * i, sizeof(key->publics[i]));
		if (crypto_core_ed25519_is_valid_point(key->publics[i]) &&
		    (symmetric == NULL ||
		     restore_secrets(key, i, symmetric + 32 * i, seeds != NULL ? seeds + 32 * i : NULL)))
			continue;
		*ret_bad = (uint32_t)i + 1;
		volume_key_destroy(key);
		key = NULL;
	}
	return key;
}

struct volume_key *
volume_key_restrict(const struct volume_key *key, enum volume_role role)
{
	struct volume_key *part = role <= key->role ? key_alloc(key->id, role, key->count) : NULL;

	if (part == NULL)
		return NULL;
	memcpy(part->publics, key->publics, sizeof(part->publics));
	for (uint32_t i = 0; role >= VOLUME_ROLE_READER && i < key->count; i++) {
		memcpy(part->secrets[i].symmetric, key->secrets[i].symmetric, VOLUME_KEY_SYMMETRIC_SIZE);
		if (role >= VOLUME_ROLE_WRITER)
			memcpy(part->secrets[i].signing, key->secrets[i].signing, VOLUME_KEY_SIGNING_SIZE);
	}
	return part;
}

int
volume_key_rotate(struct volume_key *key)
{
	struct secrets *secrets;

	CHECK(key->role == VOLUME_ROLE_OWNER && key->count < VOLUME_KEY_GENERATIONS_MAX);
	secrets = sodium_malloc((key->count + 1) * sizeof(*secrets));
	if (secrets == NULL)
		return -1;
	memcpy(secrets, key->secrets, key->count * sizeof(*secrets));
	sodium_free(key->secrets);
	key->secrets = secrets;
	make_generation(key, key->count++);
	return 0;
}

// ---- Asking ----

static int __attribute__((format(printf, 3, 4))) fail(char *error, size_t error_size, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(error, error_size, format, arguments);
	va_end(arguments);
	return -1;
}

int
volume_key_check_successor(const struct volume_key *key, const struct volume_key *next, char *error, size_t error_size)
{
	char have[VOLUME_KEY_ID_TEXT_SIZE], other[VOLUME_KEY_ID_TEXT_SIZE];

	if (memcmp(key->id, next->id, sizeof(key->id)) != 0)
		return fail(error, error_size, "is of volume %s, not of %s", volume_key_id_print(next->id, other),
			    volume_key_id_print(key->id, have));
	if (next->role < key->role)
		return fail(error, error_size, "is a %s's, which has less than the %s's that is there",
			    role_names[next->role], role_names[key->role]);
	if (next->count < key->count)
		return fail(error, error_size, "has %u generations, and the one that is there %u: it is older",
			    next->count, key->count);
	for (uint32_t i = 0; i < key->count; i++)
		if (memcmp(key->publics[i], next->publics[i], sizeof(key->publics[i])) != 0 ||
		    (key->secrets != NULL && sodium_memcmp(key->secrets[i].symmetric, next->secrets[i].symmetric,
							   VOLUME_KEY_SYMMETRIC_SIZE) != 0))
			return fail(error, error_size, "has another generation %u than the one that is there", i + 1);
	return 0;
}

const uint8_t *
volume_key_id(const struct volume_key *key)
{
	return key->id;
}

enum volume_role
volume_key_role(const struct volume_key *key)
{
	return key->role;
}

uint32_t
volume_key_newest(const struct volume_key *key)
{
	return key->count;
}

static bool
has(const struct volume_key *key, uint32_t generation, enum volume_role least)
{
	return generation > 0 && generation <= key->count && key->role >= least;
}

const uint8_t *
volume_key_public(const struct volume_key *key, uint32_t generation)
{
	return has(key, generation, VOLUME_ROLE_PROXY) ? key->publics[generation - 1] : NULL;
}

const uint8_t *
volume_key_symmetric(const struct volume_key *key, uint32_t generation)
{
	return has(key, generation, VOLUME_ROLE_READER) ? key->secrets[generation - 1].symmetric : NULL;
}

const uint8_t *
volume_key_signing(const struct volume_key *key, uint32_t generation)
{
	return has(key, generation, VOLUME_ROLE_WRITER) ? key->secrets[generation - 1].signing : NULL;
}

int
volume_key_fingerprint(const struct volume_key *key, uint32_t generation, struct fingerprint *ret)
{
	EVP_PKEY *public = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, volume_key_public(key, generation),
						       VOLUME_KEY_PUBLIC_SIZE);
	int rc = public != NULL ? fingerprint_of_key(public, ret) : -1;

	EVP_PKEY_free(public);
	return rc;
}

// ---- Words ----

const char *
volume_role_name(enum volume_role role)
{
	return role_names[role];
}

int
volume_role_parse(const char *text, enum volume_role *ret)
{
	for (int role = 0; role < VOLUME_ROLE_COUNT; role++)
		if (strcmp(text, role_names[role]) == 0) {
			*ret = (enum volume_role)role;
			return 0;
		}
	return -1;
}

const char *
volume_key_id_print(const uint8_t id[VOLUME_KEY_ID_SIZE], char text[VOLUME_KEY_ID_TEXT_SIZE])
{
	return sodium_bin2hex(text, VOLUME_KEY_ID_TEXT_SIZE, id, VOLUME_KEY_ID_SIZE);
}
