// SPDX-License-Identifier: MIT
// Runs every file of the folders named on the command line through a fuzz target, without libFuzzer: the corpus as an
// ordinary test, with any compiler.
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void
run_file(const char *folder, const char *name)
{
	char path[4096];
	uint8_t *bytes = NULL;
	size_t size = 0, got;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	printf("%s\n", path);
	fflush(stdout); // the last line is the one that failed
	file = fopen(path, "rb");
	if (!file) {
		perror(path);
		exit(1);
	}
	do {
		bytes = realloc(bytes, size + 65536);
		if (!bytes)
			abort();
		got = fread(bytes + size, 1, 65536, file);
		size += got;
	} while (got > 0);
	fclose(file);
	LLVMFuzzerTestOneInput(bytes, size);
	free(bytes);
}

static int
run_folder(const char *folder)
{
	struct dirent **entries;
	int count = scandir(folder, &entries, NULL, alphasort), ran = 0;

	if (count < 0) {
		perror(folder);
		exit(1);
	}
	for (int i = 0; i < count; i++) {
		if (entries[i]->d_name[0] != '.') {
			run_file(folder, entries[i]->d_name);
			ran++;
		}
		free(entries[i]);
	}
	free(entries);
	return ran;
}

int
main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (run_folder(argv[i]) == 0) {
			fprintf(stderr, "%s: no files to replay\n", argv[i]);
			return 1;
		}
	}
	return argc > 1 ? 0 : 1;
}
