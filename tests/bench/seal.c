// SPDX-License-Identifier: MIT
// What sealing costs: MB per second of CPU time of seal_make, seal_check, seal_open and seal_again, and as a ratio to
// memcpy of the same blocks in the same run. The signature of each write is verified anew, as on a node that sees the
// write for the first time.
#include "tests/unit/seal_help.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MEASURE_NS = 150 * 1000 * 1000 };

static struct volume_key *key;
static struct seal_block blocks[SEAL_BLOCKS_MAX];
static struct seal_verifier verifiers[SEAL_BLOCKS_MAX];
static uint8_t *plain, *cipher;
static size_t count;
static uint32_t block_size;
static uint64_t wrong;

static uint64_t
now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time); // others may have the core for a while
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void
copy(void)
{
	for (size_t i = 0; i < count; i++) {
		memcpy(blocks[i].cipher, blocks[i].plain, block_size);
		__asm__ volatile("" : : "r"(blocks[i].cipher) : "memory"); // it is done
	}
}

static void
make(void)
{
	seal_make(key, blocks, count, verifiers);
}

// To ${to}; NULL: only check.
static void
check_to(uint8_t *to)
{
	struct seal_cache *cache = seal_cache_create();
	struct seal_sealed all[SEAL_BLOCKS_MAX];
	enum seal_result result;

	for (size_t i = 0; i < count; i++)
		all[i] = (struct seal_sealed){blocks[i].place, blocks[i].cipher, verifiers[i].bytes, verifiers[i].size,
					      to != NULL ? to + i * block_size : NULL};
	wrong += seal_open_all(key, cache, all, count, &result) != count;
	seal_cache_destroy(cache);
}

static void
check(void)
{
	check_to(NULL);
}

static void
open_all(void)
{
	check_to(plain);
}

// As somebody does who has kept the blocks in the clear.
static void
again(void)
{
	for (size_t i = 0; i < count; i++)
		wrong += seal_again(key, &blocks[i].place, blocks[i].plain, verifiers[i].bytes, verifiers[i].size,
				    blocks[i].cipher) != SEAL_OK;
}

// MB/s, the best of a few: what others do on the machine only makes it slower.
static double
measure(void (*work)(void))
{
	double best = 0;

	for (int i = 0; i < 3; i++) {
		uint64_t start = now_ns(), rounds = 0, ns;

		do {
			work();
			rounds++;
			ns = now_ns() - start;
		} while (ns < MEASURE_NS / 3);
		double rate = (double)rounds * (double)count * block_size * 1000 / (double)ns;
		if (rate > best)
			best = rate;
	}
	return best;
}

int
main(void)
{
	static const uint32_t sizes[] = {4096, 32768};
	static const size_t counts[] = {1, 32, 256};

	key = seal_help_key(1, VOLUME_ROLE_OWNER, 1);
	plain = malloc((size_t)SEAL_BLOCKS_MAX * LIMIT_BLOCK_SIZE_MAX);
	cipher = malloc((size_t)SEAL_BLOCKS_MAX * LIMIT_BLOCK_SIZE_MAX);
	if (plain == NULL || cipher == NULL)
		return 1;
	randombytes_buf(plain, (size_t)SEAL_BLOCKS_MAX * LIMIT_BLOCK_SIZE_MAX);
	printf("%7s %7s %16s %16s %16s %16s %16s\n", "block", "run", "memcpy MB/s", "seal_make", "seal_check",
	       "seal_open", "seal_again");
	for (int i = 0; i < 2; i++)
		for (int j = 0; j < 3; j++) {
			block_size = sizes[i];
			count = counts[j];
			for (size_t k = 0; k < count; k++)
				blocks[k] = (struct seal_block){
					.place = {.block = k, .version = 1, .block_size = block_size},
					.plain = plain + k * block_size,
					.cipher = cipher + k * block_size};
			double base = measure(copy), made = measure(make), checked = measure(check),
			       opened = measure(open_all), encrypted = measure(again);

			printf("%7u %7zu %16.0f %8.0f (%.3f) %8.0f (%.3f) %8.0f (%.3f) %8.0f (%.3f)\n", block_size,
			       count, base, made, made / base, checked, checked / base, opened, opened / base,
			       encrypted, encrypted / base);
		}
	free(plain);
	free(cipher);
	volume_key_destroy(key);
	return wrong == 0 ? 0 : 1;
}
