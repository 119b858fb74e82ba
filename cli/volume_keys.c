// SPDX-License-Identifier: MIT
#include "cli/volume_keys.h"

#include "cli/passphrase.h"

#include <stdio.h>
#include <string.h>

static int
find_passphrase(const struct config *config, const char *path, struct passphrase *ret, char *error, size_t error_size)
{
	char why[512];
	if (config->passphrase_file[0] != '\0')
		return passphrase_read(config->passphrase_file, ret, error, error_size);
	if (passphrase_ask(path, false, ret, why, sizeof why) == 0)
		return 0;
	snprintf(error, error_size, "%s: %s; right would be --passphrase-file FILE", path, why);
	return -1;
}

static struct volume_key *
open_file(const struct config *config, const struct volume_key_file *file, const char *path, char *error, size_t error_size)
{
	struct passphrase passphrase = { NULL, 0 };
	struct volume_key_cost cost;
	struct volume_key *key = NULL;
	if (!volume_key_file_is_protected(file, &cost) ||
	    find_passphrase(config, path, &passphrase, error, error_size) == 0)
		key = volume_key_file_open(file, passphrase, error, error_size);
	passphrase_wipe(&passphrase);
	return key;
}

static struct node_volume *
find_volume(struct config *config, const char *name)
{
	struct node_volume *volume = config->node.volumes;
	while (strcmp(volume->name, name) != 0)
		volume++; // it is there (check_together)
	return volume;
}

int
volume_keys_open(struct config *config, char *error, size_t error_size)
{
	for (size_t i = 0; i < config->volume_key_count; i++) {
		const char *path = config->volume_keys[i].file;
		struct volume_key_file *file = volume_key_file_load(path, error, error_size);
		if (file == NULL)
			return -1;
		struct volume_key *key = open_file(config, file, path, error, error_size);
		volume_key_file_destroy(file);
		if (key == NULL)
			return -1;
		find_volume(config, config->volume_keys[i].volume)->key = key;
	}
	return 0;
}

void
volume_keys_close(struct config *config)
{
	for (size_t i = 0; i < config->node.volume_count; i++) {
		volume_key_destroy((struct volume_key *)config->node.volumes[i].key);
		config->node.volumes[i].key = NULL;
	}
}
