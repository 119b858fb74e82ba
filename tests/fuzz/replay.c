// SPDX-License-Identifier: MIT
// Runs files through a fuzz target without libFuzzer: the corpus as an ordinary test, with any compiler. With --random
// also inputs that are made of the corpus by mutate.c: the same ones for the same seed and corpus.
//
//	replay_NAME [--random COUNT] [--seed SEED] [--from NUMBER] FILE-OR-FOLDER...
//
// When the target stops the process, the input is kept as crash-NAME-SEED-NUMBER (NUMBER counts from 0) or named.
#include "tests/fuzz/mutate.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SIZE_MAX_RANDOM = 4096, SECONDS_MAX = 60 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

struct input {
	uint8_t *bytes;
	size_t size;
};

static struct input *corpus;
static size_t corpus_count;

// What runs now, for the last words.
static char running[4200];
static const uint8_t *running_bytes; // NULL: it is a file
static size_t running_size;

// The process ends here: only what a signal handler may do.
static void
died(int number)
{
	static const char told[] = "\nThe input that did this: ";
	ssize_t wrote = write(STDERR_FILENO, told, sizeof(told) - 1);

	wrote += write(STDERR_FILENO, running, strlen(running));
	wrote += write(STDERR_FILENO, "\n", 1);
	if (running_bytes != NULL) {
		int fd = open(running, O_WRONLY | O_CREAT | O_TRUNC, 0644);

		wrote += write(fd, running_bytes, running_size);
	}
	signal(number, SIG_DFL);
	raise(number);
	_exit(wrote > 0);
}

static void
watch(void)
{
	static const int numbers[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGALRM};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		signal(numbers[i], died);
}

static void
run(const uint8_t *bytes, size_t size)
{
	alarm(SECONDS_MAX); // an input that does not end is one that we want to see
	LLVMFuzzerTestOneInput(bytes, size);
	alarm(0);
}

// ---- Files ----

static struct input
read_file(const char *path)
{
	struct input input = {NULL, 0};
	FILE *file = fopen(path, "rb");
	size_t got;

	if (file == NULL) {
		perror(path);
		exit(1);
	}
	do {
		input.bytes = realloc(input.bytes, input.size + 65536);
		if (input.bytes == NULL)
			abort();
		got = fread(input.bytes + input.size, 1, 65536, file);
		input.size += got;
	} while (got > 0);
	fclose(file);
	return input;
}

static void
run_file(const char *path)
{
	struct input input = read_file(path);

	snprintf(running, sizeof(running), "%s", path);
	run(input.bytes, input.size);
	corpus = realloc(corpus, (corpus_count + 1) * sizeof(*corpus));
	if (corpus == NULL)
		abort();
	corpus[corpus_count++] = input;
}

static void
run_folder(const char *folder)
{
	struct dirent **entries;
	int count = scandir(folder, &entries, NULL, alphasort);
	char path[4096];

	if (count < 0) {
		perror(folder);
		exit(1);
	}
	for (int i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
		if (entries[i]->d_name[0] != '.')
			run_file(path);
		free(entries[i]);
	}
	free(entries);
}

static void
run_path(const char *path)
{
	struct stat status;

	if (stat(path, &status) != 0) {
		perror(path);
		exit(1);
	}
	if (S_ISDIR(status.st_mode))
		run_folder(path);
	else
		run_file(path);
}

// ---- Chance ----

static void
run_random(const char *name, uint64_t seed, uint64_t number)
{
	static uint8_t bytes[SIZE_MAX_RANDOM];
	uint64_t state = seed * UINT64_C(1000000007) + number;
	const struct input *one = &corpus[mutate_below(&state, corpus_count)];
	const struct input *other = &corpus[mutate_below(&state, corpus_count)];
	size_t size = one->size < sizeof(bytes) ? one->size : sizeof(bytes);

	if (size > 0)
		memcpy(bytes, one->bytes, size);
	for (uint64_t i = mutate_below(&state, 4); i < 4; i++)
		size = mutate(&state, bytes, size, sizeof(bytes), other->bytes, other->size);
	snprintf(running, sizeof(running), "crash-%s-%llu-%llu", name, (unsigned long long)seed,
		 (unsigned long long)number);
	running_bytes = bytes;
	running_size = size;
	run(bytes, size);
}

int
main(int argc, char **argv)
{
	const char *name = strrchr(argv[0], '/') != NULL ? strrchr(argv[0], '/') + 1 : argv[0];
	uint64_t count = 0, seed = 1, from = 0;

	watch();
	for (int i = 1; i < argc; i++) {
		uint64_t *option = strcmp(argv[i], "--random") == 0 ? &count
				   : strcmp(argv[i], "--seed") == 0 ? &seed
				   : strcmp(argv[i], "--from") == 0 ? &from
								    : NULL;

		if (option != NULL && i + 1 < argc)
			*option = strtoull(argv[++i], NULL, 10);
		else
			run_path(argv[i]);
	}
	if (corpus_count == 0) {
		fprintf(stderr, "usage: %s [--random COUNT] [--seed SEED] [--from NUMBER] FILE-OR-FOLDER...\n",
			argv[0]);
		return 1;
	}
	printf("%zu files\n", corpus_count);
	for (uint64_t i = from; i < from + count; i++)
		run_random(name, seed, i);
	printf("%llu random inputs from seed %llu\n", (unsigned long long)count, (unsigned long long)seed);
	for (size_t i = 0; i < corpus_count; i++)
		free(corpus[i].bytes);
	free(corpus);
	return 0;
}
