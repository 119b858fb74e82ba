// SPDX-License-Identifier: MIT
// Arbitrary text as the file of a volume's keys. What must hold: it is refused with a sentence that names the file, or
// it is a key that, written and read again, is the same.
#include "tests/fuzz/mutate.h"

#include "core/check.h"
#include "crypto/volume_key_file.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { CHEAP_MEMORY = 64 * 1024 };

static const struct passphrase none = {NULL, 0}, word = {"word", 4};
static const char name[] = "fuzz.key";

static void
check_error(const char *error)
{
	CHECK(strncmp(error, name, strlen(name)) == 0 && error[strlen(name)] == ':');
}

static void
check_again(const struct volume_key *key)
{
	static char error[5000];
	struct volume_key_file *file;
	struct volume_key *again;
	char *first = volume_key_file_print(key, none, VOLUME_KEY_COST_DEFAULT, error, sizeof(error)), *second;

	CHECK(first != NULL && strlen(first) <= VOLUME_KEY_FILE_SIZE_MAX);
	file = volume_key_file_parse(name, first, strlen(first), error, sizeof(error));
	CHECK(file != NULL);
	again = volume_key_file_open(file, none, error, sizeof(error));
	CHECK(again != NULL && volume_key_check_successor(key, again, error, sizeof(error)) == 0);
	second = volume_key_file_print(again, none, VOLUME_KEY_COST_DEFAULT, error, sizeof(error));
	CHECK(second != NULL && strcmp(first, second) == 0);
	sodium_free(second);
	volume_key_destroy(again);
	volume_key_file_destroy(file);
	sodium_free(first);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static char error[5000];
	struct volume_key_cost cost;
	struct volume_key_file *file;
	struct volume_key *key = NULL;

	strcpy(error, "");
	file = volume_key_file_parse(name, (const char *)bytes, size, error, sizeof(error));
	if (file == NULL) {
		check_error(error);
		return 0;
	}
	CHECK(volume_key_newest(volume_key_file_public(file)) > 0);
	if (!volume_key_file_is_protected(file, &cost))
		key = volume_key_file_open(file, none, error, sizeof(error));
	else if (cost.passes == 1 && cost.memory <= CHEAP_MEMORY)
		key = volume_key_file_open(file, word, error, sizeof(error));
	else
		strcpy(error, "fuzz.key: too dear");
	if (key != NULL) {
		CHECK(volume_key_role(key) == volume_key_file_role(file));
		check_again(key);
	} else {
		check_error(error);
	}
	volume_key_destroy(key);
	volume_key_file_destroy(file);
	return 0;
}

// ---- For the mutator ----

const size_t fuzz_element_align = 1;

// A piece of such a file.
size_t
fuzz_element(uint64_t *seed, uint8_t *bytes, size_t room)
{
	static const char *const pieces[] = {
		"{",
		"}",
		"[",
		"]",
		",",
		":",
		"\"\"",
		"null",
		"true",
		"-1",
		"1e99",
		"18446744073709551616",
		"\"owner\"",
		"\"reader\"",
		"\"proxy\"",
		"\"number\": 1,",
		"\"number\": 2,",
		"\"public\": \"\"",
		"\"symmetric\": \"AAAA\"",
		"\"signing\": 1",
		"\"protected\": {}",
		"\"generations\": []",
		"\\u0000",
		"\\ud800",
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
		"=",
		"\"argon2id\"",
		"\"passes\": 2,",
	};
	const char *piece = pieces[mutate_below(seed, sizeof(pieces) / sizeof(*pieces))];
	size_t size = strlen(piece);

	if (size > room)
		return 0;
	memcpy(bytes, piece, size);
	return size;
}
