// SPDX-License-Identifier: MIT
// What can be changed while a node runs, as users write it: flags of `hvfs serve`, keys of the file and of `hvfs set`.
#ifndef HVFS_NODE_SETTINGS_H
#define HVFS_NODE_SETTINGS_H

#include "core/core.h"
#include "node/log.h"

struct settings {
	enum write_mode write_mode;
	enum durability durability;
	uint32_t disconnect_ms; // core_config.disconnect_ms
	uint32_t push_size;     // bytes: how far ahead of a child's sequential reads blocks are sent; 0: none are
	enum log_level log_level;
};

enum { SETTINGS_TEXT_SIZE = 32 };

// "write-mode", "durability", "on-disconnect", "push", "log-level", NULL.
extern const char *const settings_keys[];

// Set ${key} to what ${value} says. Returns 0, or -1 and a sentence without key and value: what would be right, or that there
// is no such key.
int settings_set(struct settings *settings, const char *key, const char *value, char *error, size_t error_size);

// The value of ${key}, which is one of settings_keys, as settings_set takes it. Returns ${text}.
const char *settings_print(const struct settings *settings, const char *key, char text[SETTINGS_TEXT_SIZE]);

#endif
