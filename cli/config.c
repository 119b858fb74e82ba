// SPDX-License-Identifier: MIT
// One table of keys, each with the function that takes its value; flags and the file both go through it, so that they
// can not differ. The order matters: flags are found first (which keys, and -c), then the file is read without those
// keys, then the flags are set.
#include "cli/config.h"

#include "cli/args.h"
#include "cli/config_file.h"
#include "cli/paths.h"
#include "node/cache_spec.h"
#include "node/units.h"

#include "store/place.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int __attribute__((format(printf, 3, 4)))
fail(char *error, size_t error_size, const char *format, ...)
{
	va_list list;
	va_start(list, format);
	vsnprintf(error, error_size, format, list);
	va_end(list);
	return -1;
}

// ---- Kinds of values ----

static int
set_text(char *field, size_t field_size, const char *value, char *error, size_t error_size)
{
	if (value[0] == '\0')
		return fail(error, error_size, "empty");
	if (strlen(value) >= field_size)
		return fail(error, error_size, "longer than %zu bytes", field_size - 1);
	strcpy(field, value);
	return 0;
}

static int
set_switch(bool *field, const char *value, char *error, size_t error_size)
{
	static const char *const yes[] = { "yes", "true", "on", "1" }, *const no[] = { "no", "false", "off", "0" };

	for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
		if (value == NULL || strcmp(value, yes[i]) == 0) {
			*field = true;
			return 0;
		}
		if (strcmp(value, no[i]) == 0) {
			*field = false;
			return 0;
		}
	}
	return fail(error, error_size, "neither yes nor no");
}

// Names become files, sockets and words of messages: letters, digits, and . _ - except in front.
static int
check_name(const char *name, size_t size, char *error, size_t error_size)
{
	if (size == 0 || size > LIMIT_NAME_SIZE)
		return fail(error, error_size, "a name has 1 to %d characters", LIMIT_NAME_SIZE);
	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)name[i];
		if (!(isascii(c) && isalnum(c)) && c != '_' && (i == 0 || (c != '.' && c != '-')))
			return fail(error, error_size, "a name is made of letters, digits, '_', and (not in front) '.' and '-'");
	}
	return 0;
}

static int
set_duration(uint32_t *field, const char *value, char *error, size_t error_size)
{
	return units_parse_duration(value, field, error, error_size);
}

static int
add_address(struct address *list, size_t *count, size_t max, const char *value, char *error, size_t error_size)
{
	if (*count == max)
		return fail(error, error_size, "more than %zu addresses", max);
	if (address_parse(value, &list[*count], error, error_size) != 0)
		return -1;
	++*count;
	return 0;
}

// ---- Keys ----

static int
set_name(struct config *config, const char *value, char *error, size_t error_size)
{
	if (check_name(value, strlen(value), error, error_size) != 0)
		return -1;
	strcpy(config->node.name, value);
	return 0;
}

static int
set_volume(struct config *config, const char *value, char *error, size_t error_size)
{
	struct node_config *node = &config->node;
	if (node->volume_count == LIMIT_VOLUMES)
		return fail(error, error_size, "more than %d volumes", LIMIT_VOLUMES);
	struct node_volume *volume = &node->volumes[node->volume_count];
	size_t size = strcspn(value, "=");
	if (check_name(value, size, error, error_size) != 0)
		return -1;
	for (size_t i = 0; i < node->volume_count; i++)
		if (strlen(node->volumes[i].name) == size && memcmp(node->volumes[i].name, value, size) == 0)
			return fail(error, error_size, "there is a volume of this name already");
	*volume = (struct node_volume){ .store = "" };
	memcpy(volume->name, value, size);
	if (value[size] == '=' && set_text(volume->store, sizeof volume->store, value + size + 1, error, error_size) != 0)
		return fail(error, error_size, "after '=' a STORE is due, a path of at most %zu bytes", sizeof volume->store - 1);
	if (paths_is_reserved_store(volume->store))
		return fail(error, error_size, "storage of this kind is not supported yet; right would be a path (./… for a file of such a name)");
	node->volume_count++;
	return 0;
}

static int
set_parent(struct config *config, const char *value, char *error, size_t error_size)
{
	char one[sizeof config->node.parents[0].text];
	for (;;) {
		size_t size = strcspn(value, ",");
		if (size >= sizeof one)
			return fail(error, error_size, "an address of more than %zu bytes", sizeof one - 1);
		memcpy(one, value, size);
		one[size] = '\0';
		if (add_address(config->node.parents, &config->node.parent_count, LIMIT_PARENTS, one, error, error_size) != 0)
			return -1;
		if (value[size] == '\0')
			return 0;
		value += size + 1;
	}
}

static int
set_listen(struct config *config, const char *value, char *error, size_t error_size)
{
	return add_address(config->node.listens, &config->node.listen_count, LIMIT_LISTENERS, value, error, error_size);
}

static int
set_mount(struct config *config, const char *value, char *error, size_t error_size)
{
	return set_text(config->node.mount, sizeof config->node.mount, value, error, error_size);
}

static int
set_control(struct config *config, const char *value, char *error, size_t error_size)
{
	return set_text(config->node.control, sizeof config->node.control, value, error, error_size);
}

static int
set_rescue(struct config *config, const char *value, char *error, size_t error_size)
{
	return set_text(config->node.rescue, sizeof config->node.rescue, value, error, error_size);
}

static int
set_key(struct config *config, const char *value, char *error, size_t error_size)
{
	return set_text(config->node.key, sizeof config->node.key, value, error, error_size);
}

static int
set_acl(struct config *config, const char *value, char *error, size_t error_size)
{
	return set_text(config->node.acl, sizeof config->node.acl, value, error, error_size);
}

static int
set_volume_key(struct config *config, const char *value, char *error, size_t error_size)
{
	size_t size = strcspn(value, "=");
	if (config->volume_key_count == LIMIT_VOLUMES)
		return fail(error, error_size, "more than %d keys", LIMIT_VOLUMES);
	if (value[size] != '=')
		return fail(error, error_size, "right would be VOLUME=FILE");
	if (check_name(value, size, error, error_size) != 0)
		return -1;
	memcpy(config->volume_keys[config->volume_key_count].volume, value, size);
	return set_text(config->volume_keys[config->volume_key_count++].file, sizeof config->volume_keys[0].file, value + size + 1,
			error, error_size);
}

static int
set_at_rest(struct config *config, const char *value, char *error, size_t error_size)
{
	const char *equals = strchr(value, '='), *form = equals != NULL ? equals + 1 : value;
	size_t size = equals != NULL ? (size_t)(equals - value) : 0;
	struct at_rest_of *of = &config->at_rests[config->at_rest_count];
	if (strcmp(form, "sealed") != 0 && strcmp(form, "plain") != 0)
		return fail(error, error_size, "right would be sealed or plain, or VOLUME= and one of them");
	if (equals != NULL && check_name(value, size, error, error_size) != 0)
		return -1;
	for (size_t i = 0; i < config->at_rest_count; i++)
		if (strlen(config->at_rests[i].volume) == size && memcmp(config->at_rests[i].volume, value, size) == 0)
			return fail(error, error_size, "given twice");
	if (config->at_rest_count > LIMIT_VOLUMES)
		return fail(error, error_size, "more than %d volumes", LIMIT_VOLUMES);
	*of = (struct at_rest_of){ .at_rest = form[0] == 's' ? AT_REST_SEALED : AT_REST_PLAIN };
	memcpy(of->volume, value, size);
	config->at_rest_count++;
	return 0;
}

static int
set_passphrase_file(struct config *config, const char *value, char *error, size_t error_size)
{
	return set_text(config->passphrase_file, sizeof config->passphrase_file, value, error, error_size);
}

static int
set_user(struct config *config, const char *value, char *error, size_t error_size)
{
	return privileges_find(value, &config->user, error, error_size);
}

static int
set_no_sandbox(struct config *config, const char *value, char *error, size_t error_size)
{
	bool no;
	if (set_switch(&no, value, error, error_size) != 0)
		return -1;
	config->sandbox = !no;
	return 0;
}

static int
set_log_file(struct config *config, const char *value, char *error, size_t error_size)
{
	return set_text(config->log_file, sizeof config->log_file, value, error, error_size);
}

static int
set_journal(struct config *config, const char *value, char *error, size_t error_size)
{
	const char *size = strrchr(value, ':');
	struct node_config *node = &config->node;

	if (size == NULL || size == value || (size_t)(size - value) >= sizeof node->journal) {
		snprintf(error, error_size, "right would be PATH:SIZE");
		return -1;
	}
	if (units_parse_size(size + 1, &node->journal_size, error, error_size) != 0)
		return -1;
	if (node->journal_size < 1 << 20) {
		snprintf(error, error_size, "too small; at least 1M");
		return -1;
	}
	memcpy(node->journal, value, (size_t)(size - value));
	node->journal[size - value] = '\0';
	return 0;
}

static int
set_cache(struct config *config, const char *value, char *error, size_t error_size)
{
	return cache_spec_parse(value, config->node.levels, &config->node.level_count, &config->node.cache_disk, error, error_size);
}

static int
set_readahead(struct config *config, const char *value, char *error, size_t error_size)
{
	uint64_t size;
	if (units_parse_size(value, &size, error, error_size) != 0)
		return -1;
	if (size > 64 << 20)
		return fail(error, error_size, "right would be 0 (none) to 64M");
	config->node.readahead_size = (uint32_t)size;
	return 0;
}

static int
set_directory(struct config *config, const char *value, char *error, size_t error_size)
{
	uint64_t records;
	if (units_parse_size(value, &records, error, error_size) != 0)
		return -1;
	if (records == 0 || records > LIMIT_DIRECTORY_MAX)
		return fail(error, error_size, "right would be 1 to 256M");
	config->node.directory_max = records;
	return 0;
}

static int
set_io_timeout(struct config *config, const char *value, char *error, size_t error_size)
{
	config->node.io_timeout_ms = 0;
	return strcmp(value, "never") == 0 ? 0 : set_duration(&config->node.io_timeout_ms, value, error, error_size);
}

#define SETTING(key, name)                                                                   \
	static int set_##key(struct config *config, const char *value, char *error, size_t error_size) \
	{                                                                                   \
		return settings_set(&config->node.settings, name, value, error, error_size); \
	}
SETTING(write_mode, "write-mode")
SETTING(durability, "durability")
SETTING(on_disconnect, "on-disconnect")
SETTING(push, "push")
SETTING(log_level, "log-level")

#define SIMPLE(key, kind, field)                                                            \
	static int set_##key(struct config *config, const char *value, char *error, size_t error_size) \
	{                                                                                   \
		return set_##kind(&config->field, value, error, error_size);                \
	}
SIMPLE(read_only, switch, node.read_only)
SIMPLE(allow_other, switch, node.allow_other)
SIMPLE(allow_root, switch, node.allow_root)
SIMPLE(insecure, switch, node.insecure)
SIMPLE(daemon, switch, daemon)
SIMPLE(hb_ttl, duration, node.hb_ttl_ms)
SIMPLE(ttl, duration, node.ttl_ms)
SIMPLE(writeback, duration, node.writeback_ms)

struct key {
	struct arg_flag flag;
	int (*set)(struct config *config, const char *value, char *error, size_t error_size);
	bool repeatable;
};

static const struct key keys[] = {
	{ { "name", 0, true }, set_name, false },
	{ { "volume", 0, true }, set_volume, true },
	{ { "parent", 0, true }, set_parent, true },
	{ { "listen", 0, true }, set_listen, true },
	{ { "mount", 0, true }, set_mount, false },
	{ { "write-mode", 0, true }, set_write_mode, false },
	{ { "durability", 0, true }, set_durability, false },
	{ { "on-disconnect", 0, true }, set_on_disconnect, false },
	{ { "cache", 0, true }, set_cache, false },
	{ { "journal", 0, true }, set_journal, false },
	{ { "read-only", 0, false }, set_read_only, false },
	{ { "allow-other", 0, false }, set_allow_other, false },
	{ { "allow-root", 0, false }, set_allow_root, false },
	{ { "key", 0, true }, set_key, false },
	{ { "acl", 0, true }, set_acl, false },
	{ { "volume-key", 0, true }, set_volume_key, true },
	{ { "at-rest", 0, true }, set_at_rest, true },
	{ { "passphrase-file", 0, true }, set_passphrase_file, false },
	{ { "insecure", 0, false }, set_insecure, false },
	{ { "hb-ttl", 0, true }, set_hb_ttl, false },
	{ { "ttl", 0, true }, set_ttl, false },
	{ { "io-timeout", 0, true }, set_io_timeout, false },
	{ { "writeback", 0, true }, set_writeback, false },
	{ { "readahead", 0, true }, set_readahead, false },
	{ { "push", 0, true }, set_push, false },
	{ { "directory", 0, true }, set_directory, false },
	{ { "control", 0, true }, set_control, false },
	{ { "rescue", 0, true }, set_rescue, false },
	{ { "user", 0, true }, set_user, false },
	{ { "no-sandbox", 0, false }, set_no_sandbox, false },
	{ { "daemon", 0, false }, set_daemon, false },
	{ { "log-level", 0, true }, set_log_level, false },
	{ { "log-file", 0, true }, set_log_file, false },
};

enum { KEY_COUNT = sizeof keys / sizeof *keys, FLAG_CONFIG = KEY_COUNT };

// ---- The file ----

struct file_source {
	struct config *config;
	bool by_flag[KEY_COUNT]; // leave these alone
	bool seen[KEY_COUNT];
};

static int
set_from_file(void *arg, const char *name, const char *value, char *error, size_t error_size)
{
	struct file_source *source = arg;
	size_t key = 0;
	while (key < KEY_COUNT && strcmp(keys[key].flag.name, name) != 0)
		key++;
	if (key == KEY_COUNT)
		return fail(error, error_size, "no such key; keys are the flags of 'hvfs serve' without '--'");
	if (source->seen[key] && !keys[key].repeatable)
		return fail(error, error_size, "given a second time");
	source->seen[key] = true;
	return source->by_flag[key] ? 0 : keys[key].set(source->config, value, error, error_size);
}

// ---- The flags ----

static void
copy_flags(struct arg_flag flags[KEY_COUNT + 2])
{
	for (size_t i = 0; i < KEY_COUNT; i++)
		flags[i] = keys[i].flag;
	flags[FLAG_CONFIG] = (struct arg_flag){ "config", 'c', true };
	flags[KEY_COUNT + 1] = (struct arg_flag){ .name = NULL };
}

// Which keys are flags, and which file is named.
static int
find_flags(int argc, char **argv, struct file_source *source, const char **ret_file, char *error, size_t error_size)
{
	struct arg_flag flags[KEY_COUNT + 2];
	struct args args;
	const char *value;

	copy_flags(flags);
	args_init(&args, argc, argv);
	for (int flag; (flag = args_next(&args, flags, &value)) != ARGS_END;) {
		if (flag == ARGS_ERROR)
			return fail(error, error_size, "%s", args.error);
		if (flag == ARGS_WORD)
			return fail(error, error_size, "%s: not expected; volumes are given by --volume NAME or --volume NAME=STORE", value);
		if (flag == FLAG_CONFIG && *ret_file != NULL)
			return fail(error, error_size, "-c %s: a second file; one is enough", value);
		if (flag == FLAG_CONFIG)
			*ret_file = value;
		else
			source->by_flag[flag] = true;
	}
	return 0;
}

static int
set_from_flags(struct config *config, int argc, char **argv, char *error, size_t error_size)
{
	struct arg_flag flags[KEY_COUNT + 2];
	struct args args;
	const char *value;
	char why[1024];

	copy_flags(flags);
	args_init(&args, argc, argv);
	for (int flag; (flag = args_next(&args, flags, &value)) >= 0;) {
		if (flag != FLAG_CONFIG && keys[flag].set(config, value, why, sizeof why) != 0)
			return fail(error, error_size, "--%s%s%.400s: %s", keys[flag].flag.name, value != NULL ? " " : "",
				    value != NULL ? value : "", why);
	}
	return 0;
}

// ---- The whole ----

static int
default_name(struct config *config, char *error, size_t error_size)
{
	char host[256] = "";
	if (gethostname(host, sizeof host - 1) != 0 || set_name(config, host, error, error_size) != 0)
		return fail(error, error_size, "--name NODE is needed: the host's name, '%s', can not be a node's name", host);
	return 0;
}

static int
default_control(struct config *config, char *error, size_t error_size)
{
	config->default_control = true;
	return paths_control_socket(config->node.name, config->node.control, error, error_size);
}

// Where there is no state directory the node says so when it has something to keep.
static void
default_rescue(struct config *config)
{
	char state[PATH_MAX];
	if (place_find_state_directory(state) == 0)
		snprintf(config->node.rescue, sizeof config->node.rescue, "%.*s/rescue", (int)sizeof config->node.rescue - 8, state);
}

static bool
is_sealed(const struct config *config, const char *volume)
{
	for (size_t i = 0; i < config->volume_key_count; i++)
		if (strcmp(config->volume_keys[i].volume, volume) == 0)
			return true;
	return false;
}

// To each volume what is said of it, or of all.
static int
apply_at_rest(struct config *config, char *error, size_t error_size)
{
	struct node_config *node = &config->node;
	for (size_t i = 0; i < config->at_rest_count; i++) {
		const struct at_rest_of *of = &config->at_rests[i];
		bool found = false;
		for (size_t j = 0; j < node->volume_count; j++) {
			struct node_volume *volume = &node->volumes[j];
			bool all = of->volume[0] == '\0', fits = all || strcmp(of->volume, volume->name) == 0;
			if (!fits || volume->store[0] == '\0' || !is_sealed(config, volume->name))
				continue;
			found = true;
			if (!all || volume->at_rest == AT_REST_DEFAULT)
				volume->at_rest = of->at_rest;
		}
		if (!found)
			return fail(error, error_size, "--at-rest%s%s: there is no such --volume with a STORE and a --volume-key",
				    of->volume[0] != '\0' ? " " : "", of->volume);
	}
	return 0;
}

// What no single key can know.
static int
check_together(const struct config *config, char *error, size_t error_size)
{
	const struct node_config *node = &config->node;
	// A proxy may leave it to its children which volumes pass through it.
	if (node->volume_count == 0 && (node->parent_count == 0 || node->listen_count == 0))
		return fail(error, error_size, "no volume; --volume NAME=STORE (be its root) or --volume NAME (take it from a --parent) is needed");
	for (size_t i = 0; i < node->volume_count; i++)
		if (node->volumes[i].store[0] == '\0' && node->parent_count == 0)
			return fail(error, error_size, "--volume %s: without =STORE it comes from a parent: --parent ADDR is needed",
				    node->volumes[i].name);
	for (size_t i = 0; i < config->volume_key_count; i++) {
		const char *volume = config->volume_keys[i].volume;
		size_t found = 0;
		while (found < node->volume_count && strcmp(node->volumes[found].name, volume) != 0)
			found++;
		if (found == node->volume_count)
			return fail(error, error_size, "--volume-key %s: there is no --volume %s", volume, volume);
		for (size_t j = 0; j < i; j++)
			if (strcmp(config->volume_keys[j].volume, volume) == 0)
				return fail(error, error_size, "--volume-key %s: given twice", volume);
	}
	if (config->passphrase_file[0] != '\0' && config->volume_key_count == 0)
		return fail(error, error_size, "--passphrase-file: there is no --volume-key that it could open");
	if (config->user.name[0] != '\0' && geteuid() != 0 && geteuid() != config->user.uid)
		return fail(error, error_size, "--user %s: only root can become another user; start it as root, or as %s", config->user.name,
			    config->user.name);
	if (node->allow_other && node->allow_root)
		return fail(error, error_size, "--allow-other and --allow-root: only one of them; --allow-other includes root");
	return 0;
}

int
config_load(struct config *config, int argc, char **argv, char *error, size_t error_size)
{
	struct file_source source = { .config = config };
	const char *file = NULL;

	*config = (struct config){ .sandbox = true };
	node_config_default(&config->node);
	config->node.name[0] = config->node.control[0] = '\0';
	if (find_flags(argc, argv, &source, &file, error, error_size) != 0)
		return -1;
	if (file != NULL && config_file_read(file, set_from_file, &source, error, error_size) != 0)
		return -1;
	if (set_from_flags(config, argc, argv, error, error_size) != 0)
		return -1;
	if (config->node.name[0] == '\0' && default_name(config, error, error_size) != 0)
		return -1;
	if (config->node.control[0] == '\0' && default_control(config, error, error_size) != 0)
		return -1;
	if (config->node.rescue[0] == '\0')
		default_rescue(config);
	if (check_together(config, error, error_size) != 0)
		return -1;
	return apply_at_rest(config, error, error_size);
}

// ---- Paths ----

static bool
make_all_absolute(struct config *config)
{
	struct node_config *node = &config->node;
	bool fits = true;
	for (size_t i = 0; i < node->volume_count; i++)
		if (node->volumes[i].store[0] != '\0')
			fits = fits && paths_make_absolute(node->volumes[i].store, sizeof node->volumes[i].store) == 0;
	for (size_t i = 0; i < node->parent_count; i++)
		if (node->parents[i].is_unix)
			fits = fits && paths_make_absolute(node->parents[i].path, sizeof node->parents[i].path) == 0;
	for (size_t i = 0; i < node->listen_count; i++)
		if (node->listens[i].is_unix)
			fits = fits && paths_make_absolute(node->listens[i].path, sizeof node->listens[i].path) == 0;
	if (node->mount[0] != '\0')
		fits = fits && paths_make_absolute(node->mount, sizeof node->mount) == 0;
	if (node->journal[0] != '\0')
		fits = fits && paths_make_absolute(node->journal, sizeof node->journal) == 0;
	if (node->key[0] != '\0')
		fits = fits && paths_make_absolute(node->key, sizeof node->key) == 0;
	for (size_t i = 0; i < config->volume_key_count; i++)
		fits = fits && paths_make_absolute(config->volume_keys[i].file, sizeof config->volume_keys[i].file) == 0;
	if (config->passphrase_file[0] != '\0')
		fits = fits && paths_make_absolute(config->passphrase_file, sizeof config->passphrase_file) == 0;
	if (node->acl[0] != '\0')
		fits = fits && paths_make_absolute(node->acl, sizeof node->acl) == 0;
	if (node->cache_disk.path[0] != '\0')
		fits = fits && paths_make_absolute(node->cache_disk.path, sizeof node->cache_disk.path) == 0;
	if (node->rescue[0] != '\0')
		fits = fits && paths_make_absolute(node->rescue, sizeof node->rescue) == 0;
	if (config->log_file[0] != '\0')
		fits = fits && paths_make_absolute(config->log_file, sizeof config->log_file) == 0;
	return fits && paths_make_absolute(node->control, sizeof node->control) == 0;
}

bool
config_make_absolute(struct config *config)
{
	struct config *copy = malloc(sizeof *copy);
	if (copy == NULL)
		return false;
	*copy = *config;
	bool fits = make_all_absolute(copy);
	if (fits)
		*config = *copy;
	free(copy);
	return fits;
}
