// SPDX-License-Identifier: MIT
// A level is KIND:SIZE and options, or disk:PATH:SIZE and options. A path has slashes in it, so what is on a disk comes
// last, and its size after the last colon.
#include "node/cache_spec.h"

#include "cache/assoc.h"
#include "node/units.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LEVEL_SIZE_MIN = 1 << 20, TEXT_SIZE_MAX = 4096 };

static int __attribute__((format(printf, 3, 4))) fail(char *error, size_t error_size, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(error, error_size, format, arguments);
	va_end(arguments);
	return -1;
}

// ---- Values ----

// "xxh, murmur or modulo" of the names from ${first} to ${count}.
static int
fail_choice(char *error, size_t error_size, const char *(*name)(int index), int first, int count)
{
	char list[200] = "";

	for (int i = first; i < count; i++) {
		const char *joint = i == first ? "" : i + 1 < count ? ", " : " or ";
		size_t length = strlen(list);

		snprintf(list + length, sizeof(list) - length, "%s%s", joint, name(i));
	}
	return fail(error, error_size, "right would be %s", list);
}

static const char *
name_of_hash(int index)
{
	return hash_name((enum hash)index);
}

static const char *
name_of_policy(int index)
{
	return policy_name((enum policy)index);
}

static int
set_ways(struct level_config *level, const char *value, char *error, size_t error_size)
{
	char *end;
	unsigned long ways = strtoul(value, &end, 10);

	if (value[0] < '0' || value[0] > '9' || *end != '\0' || ways == 0 || ways > ASSOC_WAYS_MAX)
		return fail(error, error_size, "right would be 1 to %d", ASSOC_WAYS_MAX);
	level->ways = (uint32_t)ways;
	return 0;
}

static int
set_size(struct level_config *level, const char *value, char *error, size_t error_size)
{
	uint64_t size;

	if (units_parse_size(value, &size, error, error_size) != 0)
		return -1;
	if (size < LEVEL_SIZE_MIN)
		return fail(error, error_size, "right would be at least 1M");
	level->size = size;
	return 0;
}

int
cache_spec_set(struct level_config *level, const char *key, const char *value, char *error, size_t error_size)
{
	if (strcmp(key, "size") == 0)
		return set_size(level, value, error, error_size);
	if (strcmp(key, "ways") == 0)
		return set_ways(level, value, error, error_size);
	if (strcmp(key, "hash") == 0)
		return hash_by_name(value, &level->hash) ? 0
							 : fail_choice(error, error_size, name_of_hash, 0, HASH_COUNT);
	if (strcmp(key, "policy") == 0)
		return policy_by_name(value, &level->policy)
			       ? 0
			       : fail_choice(error, error_size, name_of_policy, 0, POLICY_COUNT);
	return fail(error, error_size, "no such key; right would be size, ways, hash or policy");
}

// ---- Levels ----

static int
parse_options(struct level_config *level, char *options, char *error, size_t error_size)
{
	char why[256];

	for (char *option; (option = strsep(&options, ",")) != NULL;) {
		char *value = strchr(option, '=');

		if (value == NULL || strncmp(option, "size=", 5) == 0)
			return fail(error, error_size, "%.64s: right would be ways=N, hash=NAME or policy=NAME", option);
		*value++ = '\0';
		if (cache_spec_set(level, option, value, why, sizeof(why)) != 0)
			return fail(error, error_size, "%.64s=%.64s: %s", option, value, why);
	}
	return 0;
}

int
cache_spec_parse_level(const char *text, struct level_config *ret_level, char *error, size_t error_size)
{
	struct level_config level = {.policy = POLICY_LRU};
	char copy[TEXT_SIZE_MAX], why[256];
	char *options = copy;
	const char *size;

	if (strlen(text) >= sizeof(copy))
		return fail(error, error_size, "longer than %zu bytes", sizeof(copy) - 1);
	if (strncmp(text, "disk:", 5) == 0)
		return fail(error, error_size, "%.64s: not here; right would be mem:SIZE", text);
	if (strncmp(text, "mem:", 4) != 0)
		return fail(error, error_size, "%.64s: right would be mem:SIZE[,ways=N][,hash=NAME][,policy=NAME]", text);
	strcpy(copy, text + 4);
	size = strsep(&options, ",");
	if (set_size(&level, size, why, sizeof(why)) != 0)
		return fail(error, error_size, "%.64s: %s", size, why);
	if (options != NULL && parse_options(&level, options, error, error_size) != 0)
		return -1;
	*ret_level = level;
	return 0;
}

static int
set_slot_size(struct cache_disk_config *disk, const char *value, char *error, size_t error_size)
{
	uint64_t size;

	if (units_parse_size(value, &size, error, error_size) != 0 || size < CACHE_DISK_SLOT_SIZE ||
	    size > LIMIT_BLOCK_SIZE_MAX || (size & (size - 1)) != 0)
		return fail(error, error_size, "right would be 4K, 8K, 16K or 32K");
	disk->slot_size = (uint32_t)size;
	return 0;
}

// PATH:SIZE[,OPTION...]; ${text} is changed.
static int
parse_disk(char *text, struct cache_disk_config *disk, char *error, size_t error_size)
{
	char *options = strrchr(text, ':'), why[256], *rest = NULL;
	const char *size;

	if (options == NULL || options == text || (size_t)(options - text) >= sizeof(disk->path))
		return fail(error, error_size, "disk:%.64s: right would be disk:PATH:SIZE", text);
	if (strstr(text, "/mem:") != NULL || strstr(text, "/disk:") != NULL)
		return fail(error, error_size, "disk:%.64s: one level on a disk can be had, the last", text);
	*options++ = '\0';
	*disk = (struct cache_disk_config){.slot_size = CACHE_DISK_SLOT_SIZE};
	strcpy(disk->path, text);
	size = strsep(&options, ",");
	if (set_size(&disk->level, size, why, sizeof(why)) != 0)
		return fail(error, error_size, "%.64s: %s", size, why);
	for (char *option; (option = strsep(&options, ",")) != NULL;) {
		int rc;

		rest = strchr(option, '=');
		if (rest == NULL || strncmp(option, "size=", 5) == 0)
			return fail(error, error_size, "%.64s: right would be ways=N, hash=NAME, policy=NAME or block=SIZE",
				    option);
		*rest++ = '\0';
		rc = strcmp(option, "block") == 0 ? set_slot_size(disk, rest, why, sizeof(why))
						  : cache_spec_set(&disk->level, option, rest, why, sizeof(why));
		if (rc != 0)
			return fail(error, error_size, "%.64s=%.64s: %s", option, rest, why);
	}
	return 0;
}

int
cache_spec_parse(const char *text, struct level_config levels[STACK_LEVELS_MAX], uint32_t *ret_count,
		 struct cache_disk_config *disk, char *error, size_t error_size)
{
	struct level_config parsed[STACK_LEVELS_MAX];
	struct cache_disk_config parsed_disk = {.slot_size = CACHE_DISK_SLOT_SIZE};
	char *on_disk;
	char copy[TEXT_SIZE_MAX];
	char *rest = copy;
	uint32_t count = 0;

	if (strlen(text) >= sizeof(copy))
		return fail(error, error_size, "longer than %zu bytes", sizeof(copy) - 1);
	strcpy(copy, text);
	on_disk = strstr(copy, "/disk:");
	if (strncmp(copy, "disk:", 5) == 0)
		return fail(error, error_size, "%.64s: a level in memory must be above it: mem:SIZE/disk:PATH:SIZE", text);
	if (on_disk != NULL) {
		*on_disk = '\0';
		if (parse_disk(on_disk + 6, &parsed_disk, error, error_size) != 0)
			return -1;
	}
	for (const char *level; (level = strsep(&rest, "/")) != NULL; count++) {
		if (count == STACK_LEVELS_MAX)
			return fail(error, error_size, "more than %d levels", STACK_LEVELS_MAX);
		if (cache_spec_parse_level(level, &parsed[count], error, error_size) != 0)
			return -1;
	}
	memcpy(levels, parsed, count * sizeof(parsed[0]));
	*ret_count = count;
	*disk = parsed_disk;
	return 0;
}

int
cache_spec_parse_disk(const char *text, struct cache_disk_config *ret_disk, char *error, size_t error_size)
{
	struct cache_disk_config disk;
	char copy[TEXT_SIZE_MAX];

	if (strlen(text) >= sizeof(copy))
		return fail(error, error_size, "longer than %zu bytes", sizeof(copy) - 1);
	if (strncmp(text, "disk:", 5) != 0)
		return fail(error, error_size, "%.64s: right would be disk:PATH:SIZE", text);
	strcpy(copy, text);
	if (parse_disk(copy + 5, &disk, error, error_size) != 0)
		return -1;
	*ret_disk = disk;
	return 0;
}

uint64_t
cache_spec_memory(void)
{
	return (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
}

int
cache_spec_check(const struct level_config *levels, uint32_t count, char *error, size_t error_size)
{
	uint64_t memory = cache_spec_memory(), left = memory;
	char text[CACHE_SPEC_LEVEL_SIZE], has[UNITS_TEXT_SIZE];

	if (count == 0 || count > STACK_LEVELS_MAX)
		return fail(error, error_size, "%" PRIu32 " levels; right would be 1 to %d", count, STACK_LEVELS_MAX);
	for (uint32_t i = 0; i < count; i++) {
		if (levels[i].size < LEVEL_SIZE_MIN)
			return fail(error, error_size, "%s: right would be at least 1M", cache_spec_print(&levels[i], text));
		if (levels[i].size > left)
			return fail(error, error_size, "%s: this machine has %s of memory, for all levels together",
				    cache_spec_print(&levels[i], text), units_print_size_short(memory, has));
		left -= levels[i].size;
	}
	return 0;
}

int
cache_spec_check_disk(const struct cache_disk_config *disk, char *error, size_t error_size)
{
	uint64_t memory = cache_spec_memory(), index, size_min = disk_level_size_min(disk->slot_size);
	char needs[UNITS_TEXT_SIZE], has[UNITS_TEXT_SIZE], size[UNITS_TEXT_SIZE];
	struct level_config level = disk->level;

	if (level.size < size_min)
		return fail(error, error_size, "disk:%.64s:%s: at least %s are needed", disk->path,
			    units_print_size(level.size, size), units_print_size(size_min, needs));
	if (level.ways == 0)
		level.ways = CACHE_DISK_WAYS;
	index = disk_level_index(&level, disk->slot_size);
	if (index <= memory / 2)
		return 0;
	return fail(error, error_size, "disk:%.64s:%s: its index would take %s of memory, and this machine has %s", disk->path,
		    units_print_size(disk->level.size, size), units_print_size_short(index, needs),
		    units_print_size_short(memory, has));
}

// ",ways=N,hash=NAME,policy=NAME", as far as they are not the default.
static void
print_options(const struct level_config *level, char *text, size_t text_size)
{
	char ways[24] = "", hash[48] = "", policy[48] = "";

	if (level->ways != 0)
		snprintf(ways, sizeof(ways), ",ways=%" PRIu32, level->ways);
	if (level->hash != HASH_ANY)
		snprintf(hash, sizeof(hash), ",hash=%s", hash_name(level->hash));
	if (level->policy != POLICY_LRU)
		snprintf(policy, sizeof(policy), ",policy=%s", policy_name(level->policy));
	snprintf(text, text_size, "%s%s%s", ways, hash, policy);
}

const char *
cache_spec_print(const struct level_config *level, char text[CACHE_SPEC_LEVEL_SIZE])
{
	char size[UNITS_TEXT_SIZE], options[CACHE_SPEC_LEVEL_SIZE - UNITS_TEXT_SIZE - 8];

	print_options(level, options, sizeof(options));
	snprintf(text, CACHE_SPEC_LEVEL_SIZE, "mem:%s%s", units_print_size(level->size, size), options);
	return text;
}

const char *
cache_spec_print_disk(const struct cache_disk_config *disk, char text[CACHE_SPEC_DISK_SIZE])
{
	char size[UNITS_TEXT_SIZE], block[UNITS_TEXT_SIZE], options[80], slot[UNITS_TEXT_SIZE + 8] = "";

	print_options(&disk->level, options, sizeof(options));
	if (disk->slot_size != CACHE_DISK_SLOT_SIZE)
		snprintf(slot, sizeof(slot), ",block=%s", units_print_size(disk->slot_size, block));
	snprintf(text, CACHE_SPEC_DISK_SIZE, "disk:%s:%s%s%s", disk->path, units_print_size(disk->level.size, size), options, slot);
	return text;
}
