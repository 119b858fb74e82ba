// SPDX-License-Identifier: MIT
#include "node/settings.h"

#include "core/check.h"
#include "node/units.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { PUSH_SIZE_MAX = 64 << 20 };

const char *const settings_keys[] = {"write-mode", "durability", "on-disconnect", "push", "log-level", NULL};

static const char *const write_modes[] = {"async", "semi-sync", "sync", NULL};
static const char *const durabilities[] = {"root", "parent", "local", NULL};
static const char *const log_levels[] = {"error", "warn", "info", "debug", NULL};

static int __attribute__((format(printf, 3, 4))) fail(char *error, size_t error_size, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(error, error_size, format, arguments);
	va_end(arguments);
	return -1;
}

// The place of ${value} among ${names}, or -1.
static int
find(const char *const *names, const char *value)
{
	for (int i = 0; names[i] != NULL; i++)
		if (strcmp(names[i], value) == 0)
			return i;
	return -1;
}

static int
set_disconnect(struct settings *settings, const char *value, char *error, size_t error_size)
{
	char why[160];
	uint32_t ms = 0;

	if (strcmp(value, "wait") == 0)
		ms = DISCONNECT_WAIT;
	else if (strcmp(value, "error") != 0 && strncmp(value, "error:", 6) != 0)
		return fail(error, error_size, "right would be wait, error, or error:DURATION");
	else if (value[5] == ':' && units_parse_duration(value + 6, &ms, why, sizeof(why)) != 0)
		return fail(error, error_size, "after error: %s", why);
	settings->disconnect_ms = ms;
	return 0;
}

static int
set_push(struct settings *settings, const char *value, char *error, size_t error_size)
{
	uint64_t size;

	if (units_parse_size(value, &size, error, error_size) != 0)
		return -1;
	if (size > PUSH_SIZE_MAX)
		return fail(error, error_size, "right would be 0 (none) to 64M");
	settings->push_size = (uint32_t)size;
	return 0;
}

int
settings_set(struct settings *settings, const char *key, const char *value, char *error, size_t error_size)
{
	int index;

	if (strcmp(key, "on-disconnect") == 0)
		return set_disconnect(settings, value, error, error_size);
	if (strcmp(key, "push") == 0)
		return set_push(settings, value, error, error_size);
	if (strcmp(key, "write-mode") == 0) {
		index = find(write_modes, value);
		if (index < 0)
			return fail(error, error_size, "right would be async, semi-sync or sync");
		settings->write_mode = (enum write_mode)index;
	} else if (strcmp(key, "durability") == 0) {
		index = find(durabilities, value);
		if (index < 0)
			return fail(error, error_size, "right would be root, parent or local");
		settings->durability = (enum durability)index;
	} else if (strcmp(key, "log-level") == 0) {
		index = find(log_levels, value);
		if (index < 0)
			return fail(error, error_size, "right would be error, warn, info or debug");
		settings->log_level = (enum log_level)index;
	} else {
		return fail(error, error_size,
			    "no such setting; write-mode, durability, on-disconnect, push and log-level can be changed");
	}
	return 0;
}

static const char *
print_disconnect(uint32_t ms, char text[SETTINGS_TEXT_SIZE])
{
	static const struct {
		const char *name;
		uint32_t ms;
	} units[] = {{"h", 60 * 60 * 1000}, {"m", 60 * 1000}, {"s", 1000}, {"ms", 1}};
	size_t i = 0;

	if (ms == DISCONNECT_WAIT || ms == 0)
		return strcpy(text, ms == 0 ? "error" : "wait");
	while (ms % units[i].ms != 0)
		i++;
	snprintf(text, SETTINGS_TEXT_SIZE, "error:%" PRIu32 "%s", ms / units[i].ms, units[i].name);
	return text;
}

const char *
settings_print(const struct settings *settings, const char *key, char text[SETTINGS_TEXT_SIZE])
{
	if (strcmp(key, "on-disconnect") == 0)
		return print_disconnect(settings->disconnect_ms, text);
	if (strcmp(key, "push") == 0)
		return units_print_size(settings->push_size, text);
	if (strcmp(key, "write-mode") == 0)
		return strcpy(text, write_modes[settings->write_mode]);
	if (strcmp(key, "durability") == 0)
		return strcpy(text, durabilities[settings->durability]);
	CHECK(strcmp(key, "log-level") == 0);
	return strcpy(text, log_levels[settings->log_level]);
}
