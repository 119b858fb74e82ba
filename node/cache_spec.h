// SPDX-License-Identifier: MIT
// Levels of the cache as users write them: mem:SIZE[,ways=N][,hash=NAME][,policy=NAME], top to bottom with / between,
// and at the end perhaps disk:PATH:SIZE[,ways=N][,hash=NAME][,policy=NAME][,block=SIZE].
#ifndef HVFS_NODE_CACHE_SPEC_H
#define HVFS_NODE_CACHE_SPEC_H

#include "cache/stack.h"

// A level of the cache on a disk.
struct cache_disk_config {
	char path[4096]; // "": none
	struct level_config level;
	uint32_t slot_size; // the largest block that it has room for
};

enum { CACHE_DISK_WAYS = 16, CACHE_DISK_SLOT_SIZE = 4096 }; // unless others are asked for

// "mem:1G,ways=16/mem:4G/disk:/var/cache/hvfs:100G" into ${levels}, their number in *ret_count, and ${disk}; none changes when something is wrong. Returns 0,
// or -1 and a sentence in ${error} that names the level, the value and what would be right.
int cache_spec_parse(const char *text, struct level_config levels[STACK_LEVELS_MAX], uint32_t *ret_count,
		     struct cache_disk_config *disk, char *error, size_t error_size);

// A level on a disk: "disk:/var/cache/hvfs:100G,ways=32". Returns as above.
int cache_spec_parse_disk(const char *text, struct cache_disk_config *ret_disk, char *error, size_t error_size);

// ${disk} as cache_spec_parse reads it. Returns ${text}.
enum { CACHE_SPEC_DISK_SIZE = 4096 + 200 };
const char *cache_spec_print_disk(const struct cache_disk_config *disk, char text[CACHE_SPEC_DISK_SIZE]);

// Whether a node can have it: its index fits into half of this machine's memory. Returns 0, or -1 and a sentence.
int cache_spec_check_disk(const struct cache_disk_config *disk, char *error, size_t error_size);

// One level in memory: "mem:1G,ways=16". Returns as above.
int cache_spec_parse_level(const char *text, struct level_config *ret_level, char *error, size_t error_size);

// Set size, ways, hash or policy, called ${key}, of ${level}. Returns 0, or -1 and what would be right in ${error}, without
// the value itself.
int cache_spec_set(struct level_config *level, const char *key, const char *value, char *error, size_t error_size);

// Whether a node can have these levels: each has a block's room at least, and all fit this machine's memory. Returns 0,
// or -1 and a sentence.
int cache_spec_check(const struct level_config *levels, uint32_t count, char *error, size_t error_size);

// Bytes of this machine's memory.
uint64_t cache_spec_memory(void);

enum { CACHE_SPEC_LEVEL_SIZE = 128 };

// ${level} as cache_spec_parse_level reads it. Returns ${text}.
const char *cache_spec_print(const struct level_config *level, char text[CACHE_SPEC_LEVEL_SIZE]);

#endif
