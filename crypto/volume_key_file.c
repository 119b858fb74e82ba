// SPDX-License-Identifier: MIT
// The secret part, in a file in the clear or behind a passphrase, is the same bytes: the symmetric keys of all
// generations, then the seeds of all signing keys, as far as the role has them.
#include "crypto/volume_key_file.h"

#include "core/check.h"
#include "crypto/secret_file.h"
#include "crypto/wiping_json.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORMAT "hvfs volume key 1"
#define KDF "argon2id"

enum {
	SALT_SIZE = crypto_pwhash_SALTBYTES,
	NONCE_SIZE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
	TAG_SIZE = crypto_aead_xchacha20poly1305_ietf_ABYTES,
	FIELD_SIZE = 64, // of a field's name, for the errors
};

struct protection {
	struct volume_key_cost cost;
	uint8_t salt[SALT_SIZE];
	uint8_t nonce[NONCE_SIZE];
};

struct volume_key_file {
	char name[PATH_MAX];
	enum volume_role role;
	struct volume_key *public; // a proxy's
	bool is_protected;
	struct protection protection;
	uint8_t *secret; // sodium_malloc: ${secret_size} bytes, and TAG_SIZE more when protected; NULL: there are none
	size_t secret_size;
};

static int __attribute__((format(printf, 3, 4))) fail(char *error, size_t error_size, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(error, error_size, format, arguments);
	va_end(arguments);
	return -1;
}

// Bytes of the secret part.
static size_t
secret_size_of(enum volume_role role, uint32_t count)
{
	size_t each = (role >= VOLUME_ROLE_READER ? VOLUME_KEY_SYMMETRIC_SIZE : 0) +
		      (role >= VOLUME_ROLE_WRITER ? VOLUME_KEY_SEED_SIZE : 0);

	return count * each;
}

// ---- Protection ----

// What a passphrase protects besides the secrets: everything else in the file.
struct protected_public {
	uint8_t domain[24], id[VOLUME_KEY_ID_SIZE], role, count[4], passes[4], memory[4], salt[SALT_SIZE];
	uint8_t publics[VOLUME_KEY_GENERATIONS_MAX][VOLUME_KEY_PUBLIC_SIZE];
};

static void
put32(uint8_t bytes[4], uint32_t number)
{
	for (int i = 0; i < 4; i++)
		bytes[i] = (uint8_t)(number >> (24 - 8 * i));
}

static size_t
describe(const struct volume_key *key, enum volume_role role, const struct protection *protection,
	 struct protected_public *ret)
{
	uint32_t count = volume_key_newest(key);

	*ret = (struct protected_public){.domain = "hvfs volume key file 1", .role = (uint8_t)role};
	memcpy(ret->id, volume_key_id(key), sizeof(ret->id));
	put32(ret->count, count);
	put32(ret->passes, protection->cost.passes);
	put32(ret->memory, protection->cost.memory);
	memcpy(ret->salt, protection->salt, sizeof(ret->salt));
	for (uint32_t i = 0; i < count; i++)
		memcpy(ret->publics[i], volume_key_public(key, i + 1), sizeof(ret->publics[i]));
	return offsetof(struct protected_public, publics) + count * sizeof(ret->publics[0]);
}

// The key that ${passphrase} gives, in memory for secrets; NULL: there is not enough of it.
static uint8_t *
stretch(struct passphrase passphrase, const struct protection *protection)
{
	uint8_t *stretched = sodium_malloc(crypto_aead_xchacha20poly1305_ietf_KEYBYTES);

	if (stretched != NULL && crypto_pwhash(stretched, crypto_aead_xchacha20poly1305_ietf_KEYBYTES, passphrase.bytes,
					       passphrase.size, protection->salt, protection->cost.passes,
					       protection->cost.memory, crypto_pwhash_ALG_ARGON2ID13) == 0)
		return stretched;
	sodium_free(stretched);
	return NULL;
}

// ---- Reading: fields ----

// Where something is wrong.
struct parser {
	const char *name; // of the file
	char *error;
	size_t error_size;
};

static int __attribute__((format(printf, 3, 4)))
wrong(const struct parser *parser, const char *field, const char *format, ...)
{
	char what[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(what, sizeof(what), format, arguments);
	va_end(arguments);
	return fail(parser->error, parser->error_size, "%s: %s%s%s", parser->name, field, *field != '\0' ? ": " : "",
		    what);
}

// An object with no fields but those of ${fields}, which is ended by NULL.
static int
check_fields(const struct parser *parser, const char *field, json_t *object, const char *const *fields)
{
	const char *key;
	json_t *value;

	if (!json_is_object(object))
		return wrong(parser, field, "is no object");
	json_object_foreach(object, key, value)
	{
		size_t i = 0;

		while (fields[i] != NULL && strcmp(fields[i], key) != 0)
			i++;
		if (fields[i] == NULL)
			return wrong(parser, field, "'%.40s' is no field of it", key);
	}
	return 0;
}

static const char *
get_text(const struct parser *parser, const char *field, const json_t *value)
{
	if (json_is_string(value))
		return json_string_value(value);
	wrong(parser, field, value == NULL ? "is missing" : "is no string");
	return NULL;
}

// ${size} bytes in base64. A value that may be secret is not told.
static int
get_bytes(const struct parser *parser, const char *field, const json_t *value, uint8_t *bytes, size_t size)
{
	const char *text = get_text(parser, field, value), *end;
	size_t length, got;

	if (text == NULL)
		return -1;
	length = json_string_length(value);
	if (sodium_base642bin(bytes, size, text, length, NULL, &got, &end, sodium_base64_VARIANT_ORIGINAL) == 0 &&
	    end == text + length && got == size)
		return 0;
	return wrong(parser, field,
		     "is not what it should be: %zu bytes in base64, which is %zu characters (this has %zu)", size,
		     sodium_base64_encoded_len(size, sodium_base64_VARIANT_ORIGINAL) - 1, length);
}

static int
get_number(const struct parser *parser, const char *field, const json_t *value, uint32_t min, uint32_t max,
	   uint32_t *ret)
{
	json_int_t number = json_integer_value(value);

	if (!json_is_integer(value))
		return wrong(parser, field, value == NULL ? "is missing" : "is no integer");
	if (number < (json_int_t)min || number > (json_int_t)max)
		return wrong(parser, field, "is %lld; right would be %u to %u", (long long)number, min, max);
	*ret = (uint32_t)number;
	return 0;
}

// ---- Reading: the object ----

static int
get_format(const struct parser *parser, const json_t *object)
{
	const char *format = get_text(parser, "format", json_object_get(object, "format"));

	if (format != NULL && strcmp(format, FORMAT) != 0)
		return wrong(parser, "format", "is '%.40s'; right would be '" FORMAT "'", format);
	return format != NULL ? 0 : -1;
}

static int
get_id(const struct parser *parser, const json_t *object, uint8_t id[VOLUME_KEY_ID_SIZE])
{
	const char *text = get_text(parser, "volume", json_object_get(object, "volume")), *end;
	size_t got;

	if (text == NULL)
		return -1;
	if (strlen(text) == VOLUME_KEY_ID_TEXT_SIZE - 1 &&
	    sodium_hex2bin(id, VOLUME_KEY_ID_SIZE, text, strlen(text), NULL, &got, &end) == 0 &&
	    got == VOLUME_KEY_ID_SIZE)
		return 0;
	return wrong(parser, "volume", "'%.80s' is no id of a volume: right would be %d hex digits", text,
		     VOLUME_KEY_ID_TEXT_SIZE - 1);
}

static int
get_role(const struct parser *parser, const json_t *object, enum volume_role *ret)
{
	const char *text = get_text(parser, "role", json_object_get(object, "role"));

	if (text != NULL && volume_role_parse(text, ret) != 0)
		return wrong(parser, "role", "'%.40s' is no role; right would be proxy, reader, writer or owner", text);
	return text != NULL ? 0 : -1;
}

// A secret of generation ${index}; there has to be one if ${wanted}.
static int
get_secret(const struct parser *parser, const char *generation, const char *name, const json_t *object, bool wanted,
	   bool is_protected, uint8_t bytes[32])
{
	const json_t *value = json_object_get(object, name);
	char field[FIELD_SIZE];

	snprintf(field, sizeof(field), "%s.%s", generation, name);
	if (wanted)
		return get_bytes(parser, field, value, bytes, 32);
	if (value != NULL)
		return wrong(parser, field,
			     is_protected ? "is in the clear, though there is a passphrase"
					  : "the role does not have it");
	return 0;
}

static int
get_generation(const struct parser *parser, struct volume_key_file *file, json_t *object, uint32_t index,
	       uint32_t count, uint8_t public[VOLUME_KEY_PUBLIC_SIZE])
{
	static const char *const fields[] = {"number", "public", "symmetric", "signing", NULL};
	char generation[FIELD_SIZE / 2], field[FIELD_SIZE];
	uint8_t *symmetric = NULL, *seed = NULL;
	uint32_t number;

	if (!file->is_protected && file->role >= VOLUME_ROLE_READER)
		symmetric = file->secret + (size_t)index * 32;
	if (!file->is_protected && file->role >= VOLUME_ROLE_WRITER)
		seed = file->secret + (size_t)(count + index) * 32;
	snprintf(generation, sizeof(generation), "generations[%u]", index);
	if (check_fields(parser, generation, object, fields) != 0)
		return -1;
	snprintf(field, sizeof(field), "%s.number", generation);
	if (get_number(parser, field, json_object_get(object, "number"), index + 1, index + 1, &number) != 0)
		return -1;
	snprintf(field, sizeof(field), "%s.public", generation);
	if (get_bytes(parser, field, json_object_get(object, "public"), public, VOLUME_KEY_PUBLIC_SIZE) != 0 ||
	    get_secret(parser, generation, "symmetric", object, symmetric != NULL, file->is_protected, symmetric) !=
		    0 ||
	    get_secret(parser, generation, "signing", object, seed != NULL, file->is_protected, seed) != 0)
		return -1;
	return 0;
}

static int
get_protection(const struct parser *parser, struct volume_key_file *file, json_t *object)
{
	static const char *const fields[] = {"kdf", "passes", "memory", "salt", "nonce", "secret", NULL};
	struct protection *protection = &file->protection;
	const char *kdf;

	if (check_fields(parser, "protected", object, fields) != 0)
		return -1;
	if (file->secret == NULL)
		return wrong(parser, "protected", "a proxy's key has no secrets");
	kdf = get_text(parser, "protected.kdf", json_object_get(object, "kdf"));
	if (kdf == NULL)
		return -1;
	if (strcmp(kdf, KDF) != 0)
		return wrong(parser, "protected.kdf", "is '%.40s'; right would be " KDF, kdf);
	if (get_number(parser, "protected.passes", json_object_get(object, "passes"), crypto_pwhash_OPSLIMIT_MIN,
		       VOLUME_KEY_PASSES_MAX, &protection->cost.passes) != 0 ||
	    get_number(parser, "protected.memory", json_object_get(object, "memory"), crypto_pwhash_MEMLIMIT_MIN,
		       VOLUME_KEY_MEMORY_MAX, &protection->cost.memory) != 0 ||
	    get_bytes(parser, "protected.salt", json_object_get(object, "salt"), protection->salt, SALT_SIZE) != 0 ||
	    get_bytes(parser, "protected.nonce", json_object_get(object, "nonce"), protection->nonce, NONCE_SIZE) != 0)
		return -1;
	return get_bytes(parser, "protected.secret", json_object_get(object, "secret"), file->secret,
			 file->secret_size + TAG_SIZE);
}

static int
get_generations(const struct parser *parser, struct volume_key_file *file, json_t *object, json_t *generations,
		uint32_t count)
{
	uint8_t id[VOLUME_KEY_ID_SIZE], publics[VOLUME_KEY_GENERATIONS_MAX][VOLUME_KEY_PUBLIC_SIZE];
	char field[FIELD_SIZE];
	uint32_t bad;

	for (uint32_t i = 0; i < count; i++)
		if (get_generation(parser, file, json_array_get(generations, i), i, count, publics[i]) != 0)
			return -1;
	if (file->is_protected && get_protection(parser, file, json_object_get(object, "protected")) != 0)
		return -1;
	if (get_id(parser, object, id) != 0)
		return -1;
	file->public = volume_key_restore(id, VOLUME_ROLE_PROXY, count, publics[0], NULL, NULL, &bad);
	if (file->public != NULL)
		return 0;
	if (bad == 0)
		return wrong(parser, "", "no memory");
	snprintf(field, sizeof(field), "generations[%u].public", bad - 1);
	return wrong(parser, field, "is no public key (Ed25519)");
}

static int
get_file(const struct parser *parser, struct volume_key_file *file, json_t *object)
{
	static const char *const fields[] = {"format", "volume", "role", "generations", "protected", NULL};
	json_t *generations;
	size_t count;

	if (check_fields(parser, "", object, fields) != 0 || get_format(parser, object) != 0 ||
	    get_role(parser, object, &file->role) != 0)
		return -1;
	generations = json_object_get(object, "generations");
	count = json_array_size(generations);
	if (!json_is_array(generations))
		return wrong(parser, "generations", generations == NULL ? "is missing" : "is no array");
	if (count == 0 || count > VOLUME_KEY_GENERATIONS_MAX)
		return wrong(parser, "generations", "there are %zu; right would be 1 to %d", count,
			     VOLUME_KEY_GENERATIONS_MAX);
	file->is_protected = json_object_get(object, "protected") != NULL;
	file->secret_size = secret_size_of(file->role, (uint32_t)count);
	if (file->secret_size > 0) {
		file->secret = sodium_malloc(file->secret_size + TAG_SIZE);
		if (file->secret == NULL)
			return wrong(parser, "", "no memory for secrets");
	}
	return get_generations(parser, file, object, generations, (uint32_t)count);
}

struct volume_key_file *
volume_key_file_parse(const char *name, const char *text, size_t size, char *error, size_t error_size)
{
	struct parser parser = {.name = name, .error = error, .error_size = error_size};
	struct volume_key_file *file = calloc(1, sizeof(*file));
	struct wiping_json before;
	json_error_t where;
	json_t *object;
	int rc;

	if (file == NULL || sodium_init() < 0) {
		free(file);
		wrong(&parser, "", "no memory");
		return NULL;
	}
	snprintf(file->name, sizeof(file->name), "%s", name);
	wiping_json_begin(&before);
	object = json_loadb(text, size, JSON_REJECT_DUPLICATES, &where);
	// What jansson says about it would quote the text.
	rc = object != NULL ? get_file(&parser, file, object)
			    : wrong(&parser, "",
				    "is no JSON object (line %d, column %d); right would be a file that 'hvfs "
				    "volume-key' has made",
				    where.line, where.column);
	json_decref(object);
	wiping_json_end(&before);
	sodium_memzero(&where, sizeof(where));
	if (rc == 0)
		return file;
	volume_key_file_destroy(file);
	return NULL;
}

struct volume_key_file *
volume_key_file_load(const char *path, char *error, size_t error_size)
{
	static const struct secret_kind kind = {.noun = "key", .maker = "hvfs volume-key new"};
	char *text = sodium_init() < 0 ? NULL : sodium_malloc(VOLUME_KEY_FILE_SIZE_MAX);
	struct volume_key_file *file = NULL;
	ssize_t size;

	if (text == NULL) {
		fail(error, error_size, "%s: no memory for secrets", path);
		return NULL;
	}
	size = secret_file_read(path, &kind, text, VOLUME_KEY_FILE_SIZE_MAX, error, error_size);
	if (size >= 0)
		file = volume_key_file_parse(path, text, (size_t)size, error, error_size);
	sodium_free(text);
	return file;
}

void
volume_key_file_destroy(struct volume_key_file *file)
{
	if (file == NULL)
		return;
	volume_key_destroy(file->public);
	sodium_free(file->secret);
	free(file);
}

// ---- What is in it ----

enum volume_role
volume_key_file_role(const struct volume_key_file *file)
{
	return file->role;
}

const struct volume_key *
volume_key_file_public(const struct volume_key_file *file)
{
	return file->public;
}

bool
volume_key_file_is_protected(const struct volume_key_file *file, struct volume_key_cost *ret_cost)
{
	if (file->is_protected)
		*ret_cost = file->protection.cost;
	return file->is_protected;
}

// The secret part in the clear to ${secret}.
static int
unlock(const struct volume_key_file *file, struct passphrase passphrase, uint8_t *secret, char *error,
       size_t error_size)
{
	struct protected_public public;
	size_t public_size = describe(file->public, file->role, &file->protection, &public);
	unsigned long long size;
	uint8_t *stretched;
	int rc;

	if (passphrase.size == 0)
		return fail(error, error_size, "%s: is protected by a passphrase, and none was given", file->name);
	stretched = stretch(passphrase, &file->protection);
	if (stretched == NULL)
		return fail(error, error_size,
			    "%s: protected.memory: there are no %u bytes of memory to try a passphrase", file->name,
			    file->protection.cost.memory);
	rc = crypto_aead_xchacha20poly1305_ietf_decrypt(secret, &size, NULL, file->secret, file->secret_size + TAG_SIZE,
							(const uint8_t *)&public, public_size, file->protection.nonce,
							stretched);
	sodium_free(stretched);
	return rc == 0 ? 0
		       : fail(error, error_size, "%s: this is not the passphrase, or the file was changed", file->name);
}

struct volume_key *
volume_key_file_open(const struct volume_key_file *file, struct passphrase passphrase, char *error, size_t error_size)
{
	uint32_t count = volume_key_newest(file->public), bad = 0;
	struct volume_key *key = NULL;
	uint8_t publics[VOLUME_KEY_GENERATIONS_MAX][VOLUME_KEY_PUBLIC_SIZE];
	uint8_t *secret;

	if (file->role == VOLUME_ROLE_PROXY) {
		key = volume_key_restrict(file->public, VOLUME_ROLE_PROXY);
		if (key == NULL)
			fail(error, error_size, "%s: no memory", file->name);
		return key;
	}
	secret = sodium_malloc(file->secret_size);
	if (secret == NULL) {
		fail(error, error_size, "%s: no memory for secrets", file->name);
		return NULL;
	}
	if (!file->is_protected)
		memcpy(secret, file->secret, file->secret_size);
	if (!file->is_protected || unlock(file, passphrase, secret, error, error_size) == 0) {
		for (uint32_t i = 0; i < count; i++)
			memcpy(publics[i], volume_key_public(file->public, i + 1), sizeof(publics[i]));
		key = volume_key_restore(volume_key_id(file->public), file->role, count, publics[0], secret,
					 file->role >= VOLUME_ROLE_WRITER ? secret + (size_t)count * 32 : NULL, &bad);
		if (key == NULL && bad == 0)
			fail(error, error_size, "%s: no memory for secrets", file->name);
		else if (key == NULL)
			fail(error, error_size,
			     "%s: generations[%u]: the signing key is not that of the public key, or a key is all "
			     "zeros",
			     file->name, bad - 1);
	}
	sodium_free(secret);
	return key;
}

// ---- Writing ----

static int
set_bytes(json_t *object, const char *name, const uint8_t *bytes, size_t size)
{
	size_t length = sodium_base64_encoded_len(size, sodium_base64_VARIANT_ORIGINAL);
	char *text = sodium_malloc(length);
	int rc;

	if (text == NULL)
		return -1;
	sodium_bin2base64(text, length, bytes, size, sodium_base64_VARIANT_ORIGINAL);
	rc = json_object_set_new(object, name, json_string(text));
	sodium_free(text);
	return rc;
}

static json_t *
make_generations(const struct volume_key *key, bool with_secrets)
{
	json_t *generations = json_array();

	for (uint32_t i = 1; i <= volume_key_newest(key); i++) {
		const uint8_t *symmetric = with_secrets ? volume_key_symmetric(key, i) : NULL;
		const uint8_t *signing = with_secrets ? volume_key_signing(key, i) : NULL;
		json_t *generation = json_pack("{si}", "number", (int)i);

		if (json_array_append_new(generations, generation) != 0 ||
		    set_bytes(generation, "public", volume_key_public(key, i), VOLUME_KEY_PUBLIC_SIZE) != 0 ||
		    (symmetric != NULL &&
		     set_bytes(generation, "symmetric", symmetric, VOLUME_KEY_SYMMETRIC_SIZE) != 0) ||
		    (signing != NULL && set_bytes(generation, "signing", signing, VOLUME_KEY_SEED_SIZE) != 0)) {
			json_decref(generations);
			return NULL;
		}
	}
	return generations;
}

// The secret part of ${key}.
static void
collect(const struct volume_key *key, uint8_t *secret)
{
	uint32_t count = volume_key_newest(key);

	for (uint32_t i = 0; i < count; i++) {
		memcpy(secret + (size_t)i * 32, volume_key_symmetric(key, i + 1), 32);
		if (volume_key_role(key) >= VOLUME_ROLE_WRITER) // the seed is the first half of it
			memcpy(secret + (size_t)(count + i) * 32, volume_key_signing(key, i + 1), 32);
	}
}

static json_t *
make_protected(const struct volume_key *key, struct passphrase passphrase, struct volume_key_cost cost)
{
	size_t size = secret_size_of(volume_key_role(key), volume_key_newest(key));
	struct protection protection = {.cost = cost};
	struct protected_public public;
	uint8_t *stretched, *secret = sodium_malloc(size + TAG_SIZE);
	json_t *object =
		json_pack("{sssisI}", "kdf", KDF, "passes", (int)cost.passes, "memory", (json_int_t)cost.memory);

	randombytes_buf(protection.salt, sizeof(protection.salt));
	randombytes_buf(protection.nonce, sizeof(protection.nonce));
	stretched = stretch(passphrase, &protection);
	if (object != NULL && secret != NULL && stretched != NULL) {
		size_t public_size = describe(key, volume_key_role(key), &protection, &public);

		collect(key, secret);
		crypto_aead_xchacha20poly1305_ietf_encrypt(secret, NULL, secret, size, (const uint8_t *)&public,
							   public_size, NULL, protection.nonce, stretched);
		if (set_bytes(object, "salt", protection.salt, SALT_SIZE) == 0 &&
		    set_bytes(object, "nonce", protection.nonce, NONCE_SIZE) == 0 &&
		    set_bytes(object, "secret", secret, size + TAG_SIZE) == 0) {
			sodium_free(stretched);
			sodium_free(secret);
			return object;
		}
	}
	sodium_free(stretched);
	sodium_free(secret);
	json_decref(object);
	return NULL;
}

// A copy of ${text} with a line feed, in memory for secrets.
static char *
keep_text(const char *text)
{
	size_t length = text != NULL ? strlen(text) : 0;
	char *kept = text != NULL ? sodium_malloc(length + 2) : NULL;

	if (kept != NULL) {
		memcpy(kept, text, length);
		memcpy(kept + length, "\n", 2);
	}
	return kept;
}

char *
volume_key_file_print(const struct volume_key *key, struct passphrase passphrase, struct volume_key_cost cost,
		      char *error, size_t error_size)
{
	bool protect = passphrase.size > 0 && volume_key_role(key) > VOLUME_ROLE_PROXY;
	char id[VOLUME_KEY_ID_TEXT_SIZE], *text, *kept;
	struct wiping_json before;
	json_t *object;
	json_free_t json_free;

	CHECK(sodium_init() >= 0);
	wiping_json_begin(&before);
	json_get_alloc_funcs(NULL, &json_free);
	object = json_pack("{ssssss}", "format", FORMAT, "volume", volume_key_id_print(volume_key_id(key), id), "role",
			   volume_role_name(volume_key_role(key)));
	if (json_object_set_new(object, "generations", make_generations(key, !protect)) != 0 ||
	    (protect && json_object_set_new(object, "protected", make_protected(key, passphrase, cost)) != 0)) {
		json_decref(object);
		object = NULL;
	}
	text = object != NULL ? json_dumps(object, JSON_INDENT(2)) : NULL;
	kept = keep_text(text);
	json_free(text);
	json_decref(object);
	wiping_json_end(&before);
	if (kept == NULL)
		fail(error, error_size, "no memory for secrets%s", protect ? ", or for trying a passphrase" : "");
	return kept;
}

static int
save(const char *path, const struct volume_key *key, struct passphrase passphrase, struct volume_key_cost cost,
     int (*write)(const char *, const void *, size_t, char *, size_t), char *error, size_t error_size)
{
	char why[100];
	char *text = volume_key_file_print(key, passphrase, cost, why, sizeof(why));
	int rc;

	if (text == NULL)
		return fail(error, error_size, "%s: %s", path, why);
	rc = write(path, text, strlen(text), error, error_size);
	sodium_free(text);
	return rc;
}

int
volume_key_file_create(const char *path, const struct volume_key *key, struct passphrase passphrase,
		       struct volume_key_cost cost, char *error, size_t error_size)
{
	return save(path, key, passphrase, cost, secret_file_create, error, error_size);
}

int
volume_key_file_replace(const char *path, const struct volume_key *key, struct passphrase passphrase,
			struct volume_key_cost cost, char *error, size_t error_size)
{
	return save(path, key, passphrase, cost, secret_file_replace, error, error_size);
}
