// SPDX-License-Identifier: MIT
// The hit ratios of the replacement policies on traces that are always the same: of one level in memory, of 32768 blocks
// and of other sizes, and of a level on a disk below an eighth of its size in memory. And on some that were recorded below
// file systems (with any argument: these only).
#include "core/check.h"
#include "tests/sim/memory_medium.h"
#include "tests/unit/cache_help.h"
#include "tests/unit/cache_traces.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

enum { BLOCKS = 32768, TRACE_LENGTH = 40 * BLOCKS };
enum { DISK_BLOCKS = 2048, DISK_TRACE_LENGTH = 20 * DISK_BLOCKS, DISK_SLOT = 4096 };

// ---- below a level in memory, on a disk ----

static void
ignore_wake(void *arg)
{
	(void)arg;
}

static bool
disk_read(struct cache_fixture *fix, struct memory_medium *medium, block_key key)
{
	struct buf *buf = fix->copies.ops->get(fix->copies.self, key);
	block_key loaded;

	if (buf != NULL || !disk_level_has(stack_disk(fix->stack), key)) {
		bool hit = cache_read(fix, key);

		memory_medium_end_all(medium);
		return hit;
	}
	fix->copies.ops->ready(fix->copies.self, key, fix->pool);
	memory_medium_end_all(medium);
	while (fix->copies.ops->next_loaded(fix->copies.self, &loaded))
		;
	CHECK(cache_get(fix, key));
	memory_medium_end_all(medium);
	return true;
}

static bool
never(void *arg)
{
	(void)arg;
	return false;
}

// ${writes}: NULL, or which of them are writes, which count neither as a hit nor as a miss.
static double
disk_hit_ratio(const uint64_t *trace, const bool *writes, uint64_t length, uint64_t blocks, enum policy policy)
{
	const struct level_config memory = cache_level(blocks / 8, 8, HASH_NEIGHBOURS, POLICY_LRU);
	const struct level_config disk = {.size = disk_level_size_min(0) + blocks * DISK_SLOT,
					  .ways = 8,
					  .hash = HASH_MURMUR,
					  .policy = policy};
	const struct stack_disk_hooks hooks = {.wake = ignore_wake};
	struct memory_medium bytes;
	struct medium medium;
	struct cache_fixture fix;
	uint64_t hits = 0, reads = 0;
	bool emptied;
	char error[256];

	memory_medium_init(&bytes, 0, 2 * disk.size);
	medium = memory_medium(&bytes);
	cache_setup(&fix, &memory, 1);
	stack_set_disk(fix.stack, disk_level_open(&medium, &disk, DISK_SLOT, false, &emptied, error, sizeof(error)), &hooks);
	fix.copies.ops->set_volume(fix.copies.self, 0, "trace", fix.pool);
	memory_medium_end_all(&bytes);
	for (uint64_t i = 0; i < length; i++) {
		if (writes != NULL && writes[i]) {
			cache_write(&fix, trace[i]);
			memory_medium_end_all(&bytes);
			continue;
		}
		hits += disk_read(&fix, &bytes, trace[i]);
		reads++;
	}
	memory_medium_crash(&bytes, never, NULL);
	stack_abandon_disk(fix.stack);
	cache_teardown(&fix);
	memory_medium_fini(&bytes);
	return (double)hits / (double)reads;
}

// ---- tables ----

static void
head(const char *text)
{
	printf("%-22s", text);
	for (int policy = 0; policy < POLICY_COUNT; policy++)
		printf("%10s", policy_name((enum policy)policy));
}

static void
by_trace(void)
{
	head("hit ratio, 8 ways");
	printf("%15s%15s\n", "lru, 16 ways", "adaptive, 16");
	for (int i = 0; i < TRACE_COUNT; i++) {
		uint64_t *trace = trace_make((enum trace)i, BLOCKS, TRACE_LENGTH);

		printf("%-22s", trace_name((enum trace)i));
		for (int policy = 0; policy < POLICY_COUNT; policy++)
			printf("%10.4f", cache_hit_ratio(trace, NULL, TRACE_LENGTH, BLOCKS, 8, (enum policy)policy));
		printf("%15.4f%15.4f\n", cache_hit_ratio(trace, NULL, TRACE_LENGTH, BLOCKS, 16, POLICY_LRU),
		       cache_hit_ratio(trace, NULL, TRACE_LENGTH, BLOCKS, 16, POLICY_ADAPTIVE));
		free(trace);
	}
}

static void
by_disk(void)
{
	head("\non a disk");
	printf("\n");
	for (int i = 0; i < TRACE_COUNT; i++) {
		uint64_t *trace = trace_make((enum trace)i, DISK_BLOCKS, DISK_TRACE_LENGTH);

		printf("%-22s", trace_name((enum trace)i));
		for (int policy = 0; policy < POLICY_COUNT; policy++)
			printf("%10.4f", disk_hit_ratio(trace, NULL, DISK_TRACE_LENGTH, DISK_BLOCKS, (enum policy)policy));
		printf("\n");
		fflush(stdout);
		free(trace);
	}
}

static void
by_size(void)
{
	printf("\n%-14s%-8s", "of the cache:", "");
	for (uint64_t blocks = BLOCKS / 8; blocks <= 2 * BLOCKS; blocks *= 2)
		printf("%10.3f", (double)blocks / BLOCKS);
	printf("\n");
	for (int i = 0; i < TRACE_COUNT; i++) {
		uint64_t *trace = trace_make((enum trace)i, BLOCKS, TRACE_LENGTH);

		for (int policy = 0; policy < POLICY_COUNT; policy++) {
			printf("%-22s", policy == 0 ? trace_name((enum trace)i) : "");
			for (uint64_t blocks = BLOCKS / 8; blocks <= 2 * BLOCKS; blocks *= 2)
				printf("%10.4f", cache_hit_ratio(trace, NULL, TRACE_LENGTH, blocks, 8, (enum policy)policy));
			printf("  %s\n", policy_name((enum policy)policy));
		}
		free(trace);
	}
}

// Sizes as parts of all the blocks that are asked for.
static void
recorded_by_size(const char *name, const char *path)
{
	struct recorded recorded;

	recorded_load(&recorded, path);
	printf("\nrecorded: %s; %lu blocks, %lu different ones\n", name, (unsigned long)recorded.length, (unsigned long)recorded.different);
	head("");
	printf("   on a disk:");
	for (int policy = 0; policy < POLICY_COUNT; policy++)
		printf("%10s", policy_name((enum policy)policy));
	printf("\n");
	for (uint64_t part = 64; part >= 2; part /= 2) {
		uint64_t blocks = recorded.different / part;

		printf("%7lu blocks, 1/%-4lu", (unsigned long)blocks, (unsigned long)part);
		for (int policy = 0; policy < POLICY_COUNT; policy++)
			printf("%10.4f", cache_hit_ratio(recorded.blocks, recorded.writes, recorded.length, blocks, 8,
							 (enum policy)policy));
		printf("%13s", "");
		for (int policy = 0; policy < POLICY_COUNT; policy++)
			printf("%10.4f", disk_hit_ratio(recorded.blocks, recorded.writes, recorded.length, blocks,
							(enum policy)policy));
		printf("\n");
		fflush(stdout);
	}
	recorded_fini(&recorded);
}

int
main(int argc, char **argv)
{
	CHECK(sodium_init() >= 0);
	if (argc == 1) {
		by_trace();
		by_size();
		by_disk();
	}
	recorded_by_size("ext4, work", RECORDED_TRACES "/ext4_work.trace");
	recorded_by_size("xfs, database", RECORDED_TRACES "/xfs_database.trace");
	return 0;
}
