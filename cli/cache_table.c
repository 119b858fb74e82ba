// SPDX-License-Identifier: MIT
#include "cli/cache_table.h"

#include "node/units.h"

#include <stdio.h>
#include <string.h>

static uint64_t
number(const json_t *object, const char *key)
{
	json_int_t value = json_integer_value(json_object_get(object, key));
	return value < 0 ? 0 : (uint64_t)value;
}

static const char *
string(const json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));
	return value != NULL ? value : "-";
}

static unsigned
percent(uint64_t part, uint64_t whole)
{
	return whole == 0 ? 0 : (unsigned)((double)part / (double)whole * 100);
}

// What only a level on a disk has.
static void
print_disk(const json_t *level, const char *indent)
{
	const char *error = string(level, "error");
	printf("%s       %s: %llu written, %llu waiting, %llu not at once, %llu refused; %llu read back", indent, string(level, "path"),
	       (unsigned long long)number(level, "written"), (unsigned long long)number(level, "victims"),
	       (unsigned long long)number(level, "not_written"), (unsigned long long)number(level, "refused"),
	       (unsigned long long)number(level, "promotions_out"));
	if (number(level, "found") > 0)
		printf("; %llu found, %llu confirmed, %llu not yet", (unsigned long long)number(level, "found"),
		       (unsigned long long)number(level, "confirmed"), (unsigned long long)number(level, "unconfirmed"));
	if (number(level, "errors") > 0)
		printf("; %llu errors, %llu damaged", (unsigned long long)number(level, "errors"), (unsigned long long)number(level, "damaged"));
	printf("%s%s\n", error[0] != '\0' ? "; " : "", error);
}

static void
print_level(const json_t *level, const char *indent)
{
	char size[UNITS_TEXT_SIZE], used[UNITS_TEXT_SIZE];
	uint64_t hits = number(level, "hits"), all = hits + number(level, "misses"), total = number(level, "moving_total");
	printf("%s%-5llu  %-4s  %6s  %6s  %4llu  %-10s  %-8s  %10llu  %10llu  %3u%%  %8llu  %8llu  %8llu  %6llu", indent,
	       (unsigned long long)number(level, "level"), string(level, "kind"), units_print_size_short(number(level, "size"), size),
	       units_print_size_short(number(level, "used"), used), (unsigned long long)number(level, "ways"), string(level, "hash"),
	       string(level, "policy"), (unsigned long long)hits, (unsigned long long)number(level, "misses"), percent(hits, all),
	       (unsigned long long)number(level, "promotions"), (unsigned long long)number(level, "demotions"),
	       (unsigned long long)number(level, "evictions"), (unsigned long long)number(level, "dirty"));
	if (strcmp(string(level, "state"), "steady") != 0)
		printf("  %s", string(level, "state"));
	if (total > 0)
		printf(", %u%% done", percent(total - number(level, "moving"), total));
	putchar('\n');
	if (json_object_get(level, "path") != NULL)
		print_disk(level, indent);
}

void
cache_table_print(const json_t *cache, const char *indent)
{
	size_t index;
	const json_t *level;
	if (json_array_size(cache) == 0)
		return;
	printf("%slevel  kind    size    used  ways  hash        policy          hits      misses   hit  promoted   demoted   evicted   dirty\n",
	       indent);
	json_array_foreach(cache, index, level)
		print_level(level, indent);
}

void
cache_table_print_memory(const json_t *memory)
{
	char size[UNITS_TEXT_SIZE], used[UNITS_TEXT_SIZE], beyond[UNITS_TEXT_SIZE], victims[UNITS_TEXT_SIZE], index[UNITS_TEXT_SIZE];
	printf("memory      %s of %s used for blocks, %s beyond that; victims %llu (%s), pinned %llu; indices %s\n",
	       units_print_size_short(number(memory, "used"), used), units_print_size_short(number(memory, "size"), size),
	       units_print_size_short(number(memory, "beyond"), beyond), (unsigned long long)number(memory, "victims"),
	       units_print_size_short(number(memory, "victims_bytes"), victims), (unsigned long long)number(memory, "pinned"),
	       units_print_size_short(number(memory, "index_bytes"), index));
}
