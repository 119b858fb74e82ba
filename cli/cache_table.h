// SPDX-License-Identifier: MIT
// The levels of a cache, and the memory that blocks take, for reading.
#ifndef HVFS_CLI_CACHE_TABLE_H
#define HVFS_CLI_CACHE_TABLE_H

#include <jansson.h>

// Print ${cache}, an array of levels as in `hvfs status --json`, one line each, with ${indent} before it.
void cache_table_print(const json_t *cache, const char *indent);

// Print ${memory}, from the same, in one line.
void cache_table_print_memory(const json_t *memory);

#endif
