// SPDX-License-Identifier: MIT
#include "node/cache_spec.h"
#include "node/internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
	CACHE_SIZE_DEFAULT = 256 << 20,
	LEASE_MS_MIN = 100,
	LEASE_MS_MAX = 24 * 3600 * 1000,
	FILE_NAME_MAX_SIZE = LIMIT_NAME_SIZE - 4, // NAME.img is a file's name
};

static int __attribute__((format(printf, 3, 4))) config_fail(char *error, size_t error_size, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(error, error_size, format, arguments);
	va_end(arguments);
	return -1;
}

void
node_config_default(struct node_config *config)
{
	char host[sizeof(config->name)] = "";
	struct core_config core;

	core_config_default(&core);
	memset(config, 0, sizeof(*config));
	if (gethostname(host, sizeof(host) - 1) != 0)
		strcpy(host, "node");
	memcpy(config->name, host, sizeof(host));
	config->levels[0] = (struct level_config){.size = CACHE_SIZE_DEFAULT};
	config->level_count = 1;
	config->settings = (struct settings){
		.write_mode = core.write_mode,
		.durability = core.durability,
		.disconnect_ms = core.disconnect_ms,
		.push_size = core.push_blocks * 4096,
		.log_level = LOG_LEVEL_INFO,
	};
	config->hb_ttl_ms = core.hb_ttl_ms;
	config->ttl_ms = core.ttl_ms;
	config->io_timeout_ms = core.io_timeout_ms;
	config->writeback_ms = core.writeback_ms;
	config->readahead_size = core.readahead_blocks * 4096;
	config->directory_max = core.directory_max;
}

// A name becomes a file's name in the mount, and part of log lines.
static int
check_name(const char *what, const char *name, size_t size_max, char *error, size_t error_size)
{
	if (name[0] == '\0')
		return config_fail(error, error_size, "%s: the name is empty", what);
	if (strlen(name) > size_max)
		return config_fail(error, error_size, "%s %s: the name has %zu bytes, at most %zu are allowed", what,
				   name, strlen(name), size_max);
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strchr(name, '/') != NULL)
		return config_fail(error, error_size,
				   "%s %s: the name must do as a file's name: no '/', not '.' or '..'", what, name);
	for (const char *c = name; *c != '\0'; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			return config_fail(error, error_size, "%s: the name has a control character, 0x%02x", what,
					   (unsigned char)*c);
	return 0;
}

// A root has the bytes in the clear; so has who presents them.
static int
check_key(const struct node_config *config, const struct node_volume *volume, char *error, size_t error_size)
{
	enum volume_role role = volume->key != NULL ? volume_key_role(volume->key) : VOLUME_ROLE_OWNER;

	if (volume->store[0] != '\0' && role < VOLUME_ROLE_WRITER)
		return config_fail(error, error_size, "--volume-key %s: its root needs a writer's or an owner's key, this is a %s's",
				   volume->name, volume_role_name(role));
	if (config->mount[0] != '\0' && role < VOLUME_ROLE_READER)
		return config_fail(error, error_size,
				   "--mount %s: the key of volume %s is a proxy's, with which it can not be read", config->mount,
				   volume->name);
	return 0;
}

static int
check_volumes(const struct node_config *config, char *error, size_t error_size)
{
	if (config->volume_count == 0 && (config->parent_count == 0 || config->listen_count == 0))
		return config_fail(error, error_size,
				   "nothing to serve: give --volume NAME=STORE, or --volume NAME and --parent ADDR");
	for (size_t i = 0; i < config->volume_count; i++) {
		const struct node_volume *volume = &config->volumes[i];

		if (check_name("--volume", volume->name, FILE_NAME_MAX_SIZE, error, error_size) != 0)
			return -1;
		for (size_t j = 0; j < i; j++)
			if (strcmp(config->volumes[j].name, volume->name) == 0)
				return config_fail(error, error_size, "--volume %s: given twice", volume->name);
		if (check_key(config, volume, error, error_size) != 0)
			return -1;
		if (volume->store[0] == '\0' && config->parent_count == 0)
			return config_fail(error, error_size,
					   "--volume %s: no STORE is given and no --parent to take it from; use "
					   "--volume %s=STORE or --parent ADDR",
					   volume->name, volume->name);
	}
	return 0;
}

bool
node_config_forbids(const struct node_config *config, const struct address *address)
{
	return config->key[0] == '\0' && !config->insecure && !address_is_local(address);
}

static int
check_listens(const struct node_config *config, char *error, size_t error_size)
{
	for (size_t i = 0; i < config->listen_count; i++) {
		const struct address *address = &config->listens[i];

		if (address->is_pinned)
			return config_fail(error, error_size,
					   "--listen %s: a fingerprint belongs to the address of a parent; use HOST:PORT", address->text);
		if (!node_config_forbids(config, address))
			continue;
		return config_fail(error, error_size,
				   "--listen %s: without a key links are neither authenticated nor encrypted; use --key FILE ('hvfs "
				   "keygen' makes one), a loopback address, unix:PATH, or, in a network that is yours alone, --insecure",
				   address->text);
	}
	return 0;
}

static int
check_parents(const struct node_config *config, char *error, size_t error_size)
{
	for (size_t i = 0; i < config->parent_count; i++) {
		const struct address *address = &config->parents[i];

		if (config->key[0] == '\0' && address->is_pinned)
			return config_fail(error, error_size,
					   "--parent %s: whoever checks the key of another needs one himself: --key FILE ('hvfs keygen' "
					   "makes one)",
					   address->text);
		if (node_config_forbids(config, address))
			return config_fail(error, error_size,
					   "--parent %s: without a key the link is neither authenticated nor encrypted, and whoever is on the "
					   "way can read and change everything; use --key FILE ('hvfs keygen' makes one) and sha256:HEX@%s, or, in "
					   "a network that is yours alone, --insecure",
					   address->text, address->text);
		if (config->key[0] != '\0' && !address->is_unix && !address->is_pinned)
			return config_fail(error, error_size,
					   "--parent %s: which key is to be there? use sha256:HEX@%s; 'hvfs keygen --show FILE' and 'hvfs "
					   "status' print it at the parent",
					   address->text, address->text);
	}
	return 0;
}

static int
check_duration(const char *flag, uint32_t ms, char *error, size_t error_size)
{
	if (ms >= LEASE_MS_MIN && ms <= LEASE_MS_MAX)
		return 0;
	return config_fail(error, error_size, "%s %" PRIu32 "ms: use 100ms to 24h", flag, ms);
}

int
node_config_check(const struct node_config *config, char *error, size_t error_size)
{
	char why[256];

	if (check_name("--name", config->name, LIMIT_NAME_SIZE, error, error_size) != 0 ||
	    check_volumes(config, error, error_size) != 0 || check_listens(config, error, error_size) != 0 ||
	    check_parents(config, error, error_size) != 0 ||
	    check_duration("--hb-ttl", config->hb_ttl_ms, error, error_size) != 0 ||
	    check_duration("--ttl", config->ttl_ms, error, error_size) != 0)
		return -1;
	if (cache_spec_check(config->levels, config->level_count, why, sizeof(why)) != 0)
		return config_fail(error, error_size, "--cache %s", why);
	if (config->directory_max == 0 || config->directory_max > LIMIT_DIRECTORY_MAX)
		return config_fail(error, error_size, "--directory %" PRIu64 ": use 1 to %d", config->directory_max,
				   LIMIT_DIRECTORY_MAX);
	if (config->mount[0] != '\0' && config->volume_count == 0)
		return config_fail(error, error_size, "--mount %s: there is no --volume to present", config->mount);
	if (config->key[0] != '\0' && config->insecure)
		return config_fail(error, error_size,
				   "--key and --insecure exclude each other: with a key every TCP link is TLS; use one");
	if (config->allow_other && config->allow_root)
		return config_fail(error, error_size, "--allow-other and --allow-root exclude each other; use one");
	return 0;
}
