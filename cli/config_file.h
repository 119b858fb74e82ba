// SPDX-License-Identifier: MIT
// The configuration file: lines of KEY = VALUE, read with inih.
#ifndef HVFS_CLI_CONFIG_FILE_H
#define HVFS_CLI_CONFIG_FILE_H

#include <stddef.h>

// Call set(arg, key, value) for each line of ${path}, in order, until it returns -1 with what is wrong in ${error}. Keys
// stand before any section, or in the section [serve]. Returns 0, or -1 and a sentence that names file, line and value.
int config_file_read(const char *path, int (*set)(void *arg, const char *key, const char *value, char *error, size_t error_size), void *arg,
	char *error, size_t error_size);

#endif
