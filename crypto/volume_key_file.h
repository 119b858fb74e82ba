// SPDX-License-Identifier: MIT
// The keys of a volume as a file: one JSON object, that only its owner can read. The secret part may be protected by a
// passphrase besides (Argon2id, XChaCha20-Poly1305); then nothing of the rest can be changed either. docs/security.md
// has the format. Not to be called while other threads use jansson: its memory is wiped here when it is freed.
#ifndef HVFS_CRYPTO_VOLUME_KEY_FILE_H
#define HVFS_CRYPTO_VOLUME_KEY_FILE_H

#include "crypto/volume_key.h"

#include <assert.h>

enum {
	VOLUME_KEY_FILE_SIZE_MAX = 128 * 1024,
	PASSPHRASE_SIZE_MAX = 1024,
	// What a file may ask of whoever opens it.
	VOLUME_KEY_PASSES_MAX = 16,
	VOLUME_KEY_MEMORY_MAX = 1 << 30,
};

static_assert(VOLUME_KEY_GENERATIONS_MAX * 3 * 64 + 1024 <= VOLUME_KEY_FILE_SIZE_MAX, "every key fits a file");

// Borrowed. No bytes: none is given.
struct passphrase {
	const char *bytes;
	size_t size;
};

// What it costs to try a passphrase.
struct volume_key_cost {
	uint32_t passes;
	uint32_t memory; // bytes
};

// For what people choose as passphrases: most of a second.
#define VOLUME_KEY_COST_DEFAULT \
	((struct volume_key_cost){.passes = crypto_pwhash_OPSLIMIT_MODERATE, .memory = crypto_pwhash_MEMLIMIT_MODERATE})

// What a file says. The keys in it are not there for use before it is opened.
struct volume_key_file;

// Parse ${text}, ${name} is for the errors. Returns NULL and a sentence that names the field.
struct volume_key_file *volume_key_file_parse(const char *name, const char *text, size_t size, char *error,
					      size_t error_size);

// Parse the file ${path}, which has to belong to this user and to be closed to others.
struct volume_key_file *volume_key_file_load(const char *path, char *error, size_t error_size);
void volume_key_file_destroy(struct volume_key_file *file);

// Whose copy it says it is, and what a proxy would have of it: with a passphrase, that is not sure before it is opened.
enum volume_role volume_key_file_role(const struct volume_key_file *file);
const struct volume_key *volume_key_file_public(const struct volume_key_file *file);

// Is a passphrase needed to open it? Then *ret_cost is what that costs.
bool volume_key_file_is_protected(const struct volume_key_file *file, struct volume_key_cost *ret_cost);

// The keys, which the caller destroys; the passphrase is looked at when one is needed. Returns NULL and a sentence.
struct volume_key *volume_key_file_open(const struct volume_key_file *file, struct passphrase passphrase, char *error,
					size_t error_size);

// The text of ${key}, with a NUL, protected by ${passphrase} if that has bytes and ${key} has secrets. Returns it, to
// be given to sodium_free(), or NULL and the end of a sentence.
char *volume_key_file_print(const struct volume_key *key, struct passphrase passphrase, struct volume_key_cost cost,
			    char *error, size_t error_size);

// Write that text to the new file ${path}, or in place of the file that is there. Returns 0, or -1 and a sentence.
int volume_key_file_create(const char *path, const struct volume_key *key, struct passphrase passphrase,
			   struct volume_key_cost cost, char *error, size_t error_size);
int volume_key_file_replace(const char *path, const struct volume_key *key, struct passphrase passphrase,
			    struct volume_key_cost cost, char *error, size_t error_size);

#endif
