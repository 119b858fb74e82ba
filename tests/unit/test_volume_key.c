// SPDX-License-Identifier: MIT
// Keys of volumes: what each role has, and what is read from a file.
#include "crypto/volume_key_file.h"

#include <check.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct volume_key_cost cheap = {.passes = crypto_pwhash_OPSLIMIT_MIN,
					     .memory = crypto_pwhash_MEMLIMIT_MIN};
static const struct passphrase none = {NULL, 0}, word = {"correct horse", 13}, other = {"correct house", 13};

// ---- Fixture: a directory, an owner's key of three generations ----

static char directory[] = "/tmp/hvfs-volume-key-XXXXXX", path[200], error[1024];
static struct volume_key *owner;

static void
setup(void)
{
	strcpy(directory + strlen(directory) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/volume.key", directory);
	owner = volume_key_create();
	ck_assert_ptr_nonnull(owner);
	ck_assert_int_eq(volume_key_rotate(owner), 0);
	ck_assert_int_eq(volume_key_rotate(owner), 0);
	error[0] = '\0';
}

static void
teardown(void)
{
	volume_key_destroy(owner);
	unlink(path);
	rmdir(directory);
}

static void
assert_equal(const struct volume_key *left, const struct volume_key *right)
{
	ck_assert_mem_eq(volume_key_id(left), volume_key_id(right), VOLUME_KEY_ID_SIZE);
	ck_assert_int_eq(volume_key_role(left), volume_key_role(right));
	ck_assert_uint_eq(volume_key_newest(left), volume_key_newest(right));
	for (uint32_t i = 1; i <= volume_key_newest(left); i++) {
		ck_assert_mem_eq(volume_key_public(left, i), volume_key_public(right, i), VOLUME_KEY_PUBLIC_SIZE);
		if (volume_key_role(left) >= VOLUME_ROLE_READER)
			ck_assert_mem_eq(volume_key_symmetric(left, i), volume_key_symmetric(right, i),
					 VOLUME_KEY_SYMMETRIC_SIZE);
		if (volume_key_role(left) >= VOLUME_ROLE_WRITER)
			ck_assert_mem_eq(volume_key_signing(left, i), volume_key_signing(right, i),
					 VOLUME_KEY_SIGNING_SIZE);
	}
}

// ${key} through its text and back.
static struct volume_key *
through_text(const struct volume_key *key, struct passphrase passphrase)
{
	char *text = volume_key_file_print(key, passphrase, cheap, error, sizeof(error));
	struct volume_key_file *file;
	struct volume_key *again;

	ck_assert_msg(text != NULL, "%s", error);
	file = volume_key_file_parse("x.key", text, strlen(text), error, sizeof(error));
	ck_assert_msg(file != NULL, "%s", error);
	again = volume_key_file_open(file, passphrase, error, sizeof(error));
	ck_assert_msg(again != NULL, "%s", error);
	volume_key_file_destroy(file);
	sodium_free(text);
	return again;
}

// The object of ${key}'s text.
static json_t *
object_of(const struct volume_key *key, struct passphrase passphrase)
{
	char *text = volume_key_file_print(key, passphrase, cheap, error, sizeof(error));
	json_t *object = json_loads(text, 0, NULL);

	ck_assert_ptr_nonnull(object);
	sodium_free(text);
	return object;
}

// Parsed or opened, it fails, and says ${why}. Frees ${object}.
static void
assert_refused(json_t *object, struct passphrase passphrase, const char *why)
{
	char *text = json_dumps(object, 0);
	struct volume_key_file *file = volume_key_file_parse("x.key", text, strlen(text), error, sizeof(error));

	if (file != NULL)
		ck_assert_ptr_null(volume_key_file_open(file, passphrase, error, sizeof(error)));
	ck_assert_msg(strncmp(error, "x.key: ", 7) == 0 && strstr(error, why) != NULL, "'%s' does not say '%s'", error,
		      why);
	volume_key_file_destroy(file);
	free(text);
	json_decref(object);
}

static json_t *
generation_of(json_t *object, size_t index)
{
	return json_array_get(json_object_get(object, "generations"), index);
}

// ---- Cases: roles ----

// Each role has what it should, and no more; the rest can not be made of it.
START_TEST(test_roles)
{
	for (int role = VOLUME_ROLE_PROXY; role < VOLUME_ROLE_COUNT; role++) {
		struct volume_key *part = volume_key_restrict(owner, (enum volume_role)role);
		enum volume_role parsed;

		for (uint32_t i = 1; i <= 3; i++) {
			ck_assert_mem_eq(volume_key_public(part, i), volume_key_public(owner, i),
					 VOLUME_KEY_PUBLIC_SIZE);
			ck_assert((volume_key_symmetric(part, i) != NULL) == (role >= VOLUME_ROLE_READER));
			ck_assert((volume_key_signing(part, i) != NULL) == (role >= VOLUME_ROLE_WRITER));
		}
		for (int more = role + 1; more < VOLUME_ROLE_COUNT; more++)
			ck_assert_ptr_null(volume_key_restrict(part, (enum volume_role)more));
		ck_assert(volume_role_parse(volume_role_name((enum volume_role)role), &parsed) == 0 &&
			  parsed == (enum volume_role)role);
		volume_key_destroy(part);
	}
	ck_assert_ptr_null(volume_key_public(owner, 0));
	ck_assert_ptr_null(volume_key_public(owner, 4));
	ck_assert_ptr_null(volume_key_symmetric(owner, UINT32_MAX));
}
END_TEST

// Generations are all different, and those before stay.
START_TEST(test_rotate)
{
	struct volume_key *before = volume_key_restrict(owner, VOLUME_ROLE_OWNER);

	ck_assert_int_eq(volume_key_rotate(owner), 0);
	ck_assert_uint_eq(volume_key_newest(owner), 4);
	ck_assert_mem_eq(volume_key_signing(owner, 3), volume_key_signing(before, 3), VOLUME_KEY_SIGNING_SIZE);
	for (uint32_t i = 1; i < 4; i++) {
		ck_assert_mem_ne(volume_key_symmetric(owner, i), volume_key_symmetric(owner, 4),
				 VOLUME_KEY_SYMMETRIC_SIZE);
		ck_assert_mem_ne(volume_key_public(owner, i), volume_key_public(owner, 4), VOLUME_KEY_PUBLIC_SIZE);
	}
	volume_key_destroy(before);
}
END_TEST

START_TEST(test_successor)
{
	struct volume_key *before = volume_key_restrict(owner, VOLUME_ROLE_READER), *stranger = volume_key_create(),
			  *fork, *proxy;

	ck_assert_int_eq(volume_key_check_successor(before, owner, error, sizeof(error)), 0);
	ck_assert_int_eq(volume_key_check_successor(owner, before, error, sizeof(error)), -1);
	ck_assert_ptr_nonnull(strstr(error, "has less"));
	ck_assert_int_eq(volume_key_check_successor(before, stranger, error, sizeof(error)), -1);
	ck_assert_ptr_nonnull(strstr(error, "is of volume"));
	fork = volume_key_restrict(owner, VOLUME_ROLE_OWNER);
	ck_assert_int_eq(volume_key_rotate(owner), 0);
	ck_assert_int_eq(volume_key_check_successor(owner, fork, error, sizeof(error)), -1);
	ck_assert_ptr_nonnull(strstr(error, "older"));
	ck_assert_int_eq(volume_key_rotate(fork), 0);
	ck_assert_int_eq(volume_key_check_successor(owner, fork, error, sizeof(error)), -1);
	ck_assert_ptr_nonnull(strstr(error, "another generation 4"));
	proxy = volume_key_restrict(owner, VOLUME_ROLE_PROXY);
	ck_assert_int_eq(volume_key_check_successor(proxy, owner, error, sizeof(error)), 0);
	volume_key_destroy(proxy);
	volume_key_destroy(fork);
	volume_key_destroy(stranger);
	volume_key_destroy(before);
}
END_TEST

// ---- Cases: text ----

START_TEST(test_text)
{
	for (int role = VOLUME_ROLE_PROXY; role < VOLUME_ROLE_COUNT; role++) {
		struct volume_key *part = volume_key_restrict(owner, (enum volume_role)role);
		struct volume_key *plain = through_text(part, none), *locked = through_text(part, word);

		assert_equal(part, plain);
		assert_equal(part, locked);
		volume_key_destroy(locked);
		volume_key_destroy(plain);
		volume_key_destroy(part);
	}
}
END_TEST

START_TEST(test_most_generations)
{
	struct volume_key *again;

	while (volume_key_newest(owner) < VOLUME_KEY_GENERATIONS_MAX)
		ck_assert_int_eq(volume_key_rotate(owner), 0);
	ck_assert_msg(volume_key_file_create(path, owner, word, cheap, error, sizeof(error)) == 0, "%s", error);
	again = through_text(owner, none);
	assert_equal(owner, again);
	volume_key_destroy(again);
}
END_TEST

// Behind a passphrase there is no secret in the text; without, there is.
START_TEST(test_protected)
{
	char *text = volume_key_file_print(owner, word, cheap, error, sizeof(error));
	struct volume_key_file *file = volume_key_file_parse("x.key", text, strlen(text), error, sizeof(error));
	char base64[64];
	struct volume_key_cost cost;

	for (uint32_t i = 1; i <= 3; i++) {
		sodium_bin2base64(base64, sizeof(base64), volume_key_symmetric(owner, i), 32,
				  sodium_base64_VARIANT_ORIGINAL);
		ck_assert_ptr_null(strstr(text, base64));
		sodium_bin2base64(base64, sizeof(base64), volume_key_signing(owner, i), 32,
				  sodium_base64_VARIANT_ORIGINAL);
		ck_assert_ptr_null(strstr(text, base64));
	}
	ck_assert(volume_key_file_is_protected(file, &cost) && cost.passes == cheap.passes &&
		  cost.memory == cheap.memory);
	ck_assert_int_eq(volume_key_file_role(file), VOLUME_ROLE_OWNER);
	ck_assert_int_eq(volume_key_role(volume_key_file_public(file)), VOLUME_ROLE_PROXY);
	ck_assert_ptr_null(volume_key_file_open(file, none, error, sizeof(error)));
	ck_assert_ptr_nonnull(strstr(error, "none was given"));
	ck_assert_ptr_null(volume_key_file_open(file, other, error, sizeof(error)));
	ck_assert_ptr_nonnull(strstr(error, "not the passphrase"));
	volume_key_file_destroy(file);
	sodium_free(text);
}
END_TEST

// What a passphrase protects can not be changed, what is public included.
START_TEST(test_protected_is_whole)
{
	json_t *object = object_of(owner, word), *protected;
	struct volume_key *stranger = volume_key_create();
	char base64[64];

	json_object_set_new(object, "volume", json_string("00112233445566778899aabbccddeeff"));
	assert_refused(object, word, "the file was changed");
	object = object_of(owner, word);
	sodium_bin2base64(base64, sizeof(base64), volume_key_public(stranger, 1), 32, sodium_base64_VARIANT_ORIGINAL);
	json_object_set_new(generation_of(object, 1), "public", json_string(base64));
	assert_refused(object, word, "the file was changed");
	object = object_of(owner, word);
	json_object_set_new(object, "role", json_string("writer"));
	assert_refused(object, word, "the file was changed");
	object = object_of(owner, word);
	json_object_set_new(json_object_get(object, "protected"), "passes", json_integer(2));
	assert_refused(object, word, "the file was changed");
	object = object_of(owner, word);
	protected = json_object_get(object, "protected");
	json_object_set_new(protected, "memory", json_integer(16384));
	assert_refused(object, word, "the file was changed");
	volume_key_destroy(stranger);
}
END_TEST

// Every wrong field is named.
START_TEST(test_wrong_fields)
{
	static const struct {
		const char *field, *value, *why; // value NULL: without it; else JSON
	} cases[] = {
		{"format", NULL, "format: is missing"},
		{"format", "\"hvfs volume key 2\"", "right would be 'hvfs volume key 1'"},
		{"volume", "7", "volume: is no string"},
		{"volume", "\"00\"", "32 hex digits"},
		{"volume", "\"0011223344556677 8899aabbccddeeff\"", "32 hex digits"},
		{"role", "\"king\"", "role: 'king' is no role; right would be proxy, reader, writer or owner"},
		{"generations", "{}", "generations: is no array"},
		{"generations", "[]", "1 to 256"},
		{"generations", "[7]", "generations[0]: is no object"},
		{"protected", "7", "protected: is no object"},
		{"color", "1", "'color' is no field"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		json_t *object = object_of(owner, none);

		if (strcmp(cases[i].field, "protected") == 0)
			for (size_t j = 0; j < 3; j++) {
				json_object_del(generation_of(object, j), "symmetric");
				json_object_del(generation_of(object, j), "signing");
			}
		if (cases[i].value == NULL)
			json_object_del(object, cases[i].field);
		else
			json_object_set_new(object, cases[i].field, json_loads(cases[i].value, JSON_DECODE_ANY, NULL));
		assert_refused(object, none, cases[i].why);
	}
}
END_TEST

START_TEST(test_wrong_generations)
{
	static const struct {
		const char *field, *value, *why;
	} cases[] = {
		{"number", "1", "generations[1].number: is 1; right would be 2 to 2"},
		{"number", "\"2\"", "is no integer"},
		{"public", NULL, "generations[1].public: is missing"},
		{"public", "\"AAAA\"", "32 bytes in base64"},
		{"public", "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"",
		 "generations[1].public: is no public key"},
		{"public", "\"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"",
		 "generations[1].public: is no public key"},
		{"symmetric", NULL, "generations[1].symmetric: is missing"},
		{"symmetric", "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"", "all zeros"},
		{"symmetric", "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=\"", "32 bytes in base64"},
		{"symmetric", "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"", "32 bytes in base64"},
		{"signing", "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"", "not that of the public key"},
		{"signing", "\"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"", "not that of the public key"},
		{"extra", "1", "generations[1]: 'extra' is no field"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		json_t *object = object_of(owner, none), *generation = generation_of(object, 1);

		if (cases[i].value == NULL)
			json_object_del(generation, cases[i].field);
		else
			json_object_set_new(generation, cases[i].field,
					    json_loads(cases[i].value, JSON_DECODE_ANY, NULL));
		assert_refused(object, none, cases[i].why);
	}
}
END_TEST

// A role that has less must not bring more, nor bring in the clear what a passphrase protects.
START_TEST(test_too_much)
{
	json_t *object = object_of(owner, none), *locked = object_of(owner, word);

	json_object_set_new(object, "role", json_string("reader"));
	assert_refused(object, none, "generations[0].signing: the role does not have it");
	object = object_of(owner, none);
	json_object_set(generation_of(locked, 2), "symmetric", json_object_get(generation_of(object, 2), "symmetric"));
	assert_refused(locked, word, "generations[2].symmetric: is in the clear");
	json_object_set_new(object, "role", json_string("owner"));
	json_decref(object);
}
END_TEST

// A file does not make its reader spend what it likes.
START_TEST(test_cost)
{
	json_t *object = object_of(owner, word);

	json_object_set_new(json_object_get(object, "protected"), "memory", json_integer(INT64_C(1) << 40));
	assert_refused(object, word, "protected.memory: is 1099511627776; right would be 8192 to 1073741824");
	object = object_of(owner, word);
	json_object_set_new(json_object_get(object, "protected"), "passes", json_integer(1000));
	assert_refused(object, word, "protected.passes: is 1000; right would be 1 to 16");
}
END_TEST

START_TEST(test_no_json)
{
	static const char *const texts[] = {
		"", "{", "[]", "7", "{\"format\": 1, \"format\": 2}", "{\"a\": \"\\u0000\"}"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		ck_assert_ptr_null(volume_key_file_parse("x.key", texts[i], strlen(texts[i]), error, sizeof(error)));
		ck_assert_msg(strncmp(error, "x.key: ", 7) == 0, "%s", error);
	}
}
END_TEST

// ---- Cases: files ----

START_TEST(test_file)
{
	struct volume_key_file *file;
	struct volume_key *again;
	struct stat status;

	ck_assert_msg(volume_key_file_create(path, owner, none, cheap, error, sizeof(error)) == 0, "%s", error);
	ck_assert(stat(path, &status) == 0 && (status.st_mode & 07777) == 0600);
	ck_assert_int_eq(volume_key_file_create(path, owner, none, cheap, error, sizeof(error)), -1);
	ck_assert_ptr_nonnull(strstr(error, "never overwritten"));
	ck_assert_int_eq(volume_key_rotate(owner), 0);
	ck_assert_msg(volume_key_file_replace(path, owner, word, cheap, error, sizeof(error)) == 0, "%s", error);
	ck_assert(stat(path, &status) == 0 && (status.st_mode & 07777) == 0600);
	file = volume_key_file_load(path, error, sizeof(error));
	ck_assert_msg(file != NULL, "%s", error);
	again = volume_key_file_open(file, word, error, sizeof(error));
	ck_assert_msg(again != NULL, "%s", error);
	assert_equal(owner, again);
	volume_key_destroy(again);
	volume_key_file_destroy(file);
	ck_assert_int_eq(chmod(path, 0640), 0);
	ck_assert_ptr_null(volume_key_file_load(path, error, sizeof(error)));
	ck_assert(strstr(error, "0640") != NULL && strstr(error, "chmod 600") != NULL);
}
END_TEST

START_TEST(test_no_file)
{
	ck_assert_ptr_null(volume_key_file_load(path, error, sizeof(error)));
	ck_assert_ptr_nonnull(strstr(error, "hvfs volume-key new"));
	ck_assert_ptr_null(volume_key_file_load(directory, error, sizeof(error)));
	ck_assert_ptr_nonnull(strstr(error, "is no file"));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("volume_key");
	TCase *cases = tcase_create("cases");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(cases, setup, teardown);
	tcase_add_test(cases, test_roles);
	tcase_add_test(cases, test_rotate);
	tcase_add_test(cases, test_successor);
	tcase_add_test(cases, test_text);
	tcase_add_test(cases, test_most_generations);
	tcase_add_test(cases, test_protected);
	tcase_add_test(cases, test_protected_is_whole);
	tcase_add_test(cases, test_wrong_fields);
	tcase_add_test(cases, test_wrong_generations);
	tcase_add_test(cases, test_too_much);
	tcase_add_test(cases, test_cost);
	tcase_add_test(cases, test_no_json);
	tcase_add_test(cases, test_file);
	tcase_add_test(cases, test_no_file);
	suite_add_tcase(suite, cases);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
