// SPDX-License-Identifier: MIT
// Writes the seeds of corpus/volume_key, corpus/seal and corpus/news: keys of each role, in the clear and not, verifiers of one
// write, and a question of a reader with its answer.
#include "core/check.h"
#include "crypto/volume_key_file.h"
#include "node/news_root.h"
#include "tests/unit/seal_help.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
write_file(const char *folder, const char *name, const void *bytes, size_t size)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "wb");
	if (!file || fwrite(bytes, 1, size, file) != size || fclose(file) != 0) {
		perror(path);
		exit(1);
	}
}

static void
write_keys(const char *folder)
{
	static const struct passphrase none = {NULL, 0}, word = {"word", 4};
	static const struct volume_key_cost cheap = {.passes = crypto_pwhash_OPSLIMIT_MIN,
						     .memory = crypto_pwhash_MEMLIMIT_MIN};
	char name[64], error[200];

	for (int role = 0; role < VOLUME_ROLE_COUNT; role++)
		for (int locked = 0; locked < 2; locked++) {
			struct volume_key *key = seal_help_key(1, (enum volume_role)role, 2);
			char *text = volume_key_file_print(key, locked ? word : none, cheap, error, sizeof(error));

			CHECK(text != NULL);
			snprintf(name, sizeof(name), "%s%s", volume_role_name((enum volume_role)role),
				 locked ? "-locked" : "");
			write_file(folder, name, text, strlen(text));
			sodium_free(text);
			volume_key_destroy(key);
		}
}

static void
write_verifiers(const char *folder)
{
	static struct sealed sealed;
	struct volume_key *key = seal_help_key(1, VOLUME_ROLE_OWNER, 3);
	char name[64];

	seal_help_random(1);
	seal_help_seal(&sealed, key, 0, 7, 512); // as in fuzz_seal.c
	for (size_t i = 0; i < sealed.count; i++) {
		snprintf(name, sizeof(name), "block-%zu", i);
		write_file(folder, name, sealed.verifiers[i].bytes, sealed.verifiers[i].size);
	}
	volume_key_destroy(key);
}

// As in fuzz_news.c.
static void
write_news(const char *folder)
{
	struct news_question asked = {.count = 3, .asked = {{7, 1, 10}, {1000, 900, 11}, {UINT64_C(1) << 47, 1, 0}}};
	struct volume_key *key = seal_help_key(1, VOLUME_ROLE_OWNER, 2);
	uint8_t question[NEWS_QUESTION_SIZE_MAX];
	struct news_log *written;
	struct news_work *work;
	size_t size;

	seal_help_random(1);
	written = news_log_create(64);
	for (uint64_t i = 0; i < 100; i++)
		news_log_add(written, i * i, i + 1);
	size = news_ask(&asked, question);
	write_file(folder, "question", question, size);
	work = news_root_begin(key, NULL, written, 1000, question, size);
	CHECK(work != NULL);
	news_root_make(work);
	write_file(folder, "answer", work->made, work->size);
	free(work);
	news_log_destroy(written);
	volume_key_destroy(key);
}

int
main(int argc, char **argv)
{
	if (argc != 4) {
		fprintf(stderr, "usage: %s FOLDER-FOR-KEYS FOLDER-FOR-VERIFIERS FOLDER-FOR-NEWS\n", argv[0]);
		return 2;
	}
	CHECK(sodium_init() >= 0);
	write_keys(argv[1]);
	write_verifiers(argv[2]);
	write_news(argv[3]);
	return 0;
}
