// SPDX-License-Identifier: MIT
// A node that goes on as another user than the one that started it. What it has open stays open; what it will make, replace
// or remove by its name it has to be able to as that user.
#include "node/internal.h"

#include "node/control.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int
give(const struct listener *listener, const char *path, uid_t uid, gid_t gid, char *error, size_t error_size)
{
	if (listener_give(listener, uid, gid) == 0)
		return 0;
	snprintf(error, error_size, "%s: this socket can not be given to uid %u: %s", path, (unsigned)uid, strerror(errno));
	return -1;
}

int
node_give(struct node *node, uid_t uid, gid_t gid, char *error, size_t error_size)
{
	for (size_t i = 0; i < node->config.listen_count; i++)
		if (give(node->listeners[i], node->config.listens[i].text, uid, gid, error, error_size) != 0)
			return -1;
	if (node_cache_disk_give(node, uid, gid) != 0) {
		snprintf(error, error_size, "--cache disk:%s: can not be given to uid %u: %s", node->config.cache_disk.path, (unsigned)uid,
			 strerror(errno));
		return -1;
	}
	if (node->control == NULL)
		return 0;
	return give(node->control->listener, node->config.control, uid, gid, error, error_size);
}

// May files be made and replaced in the directory of ${path}? If not, it is in ${ret_directory}.
static bool
can_replace(const char *path, char ret_directory[PATH_MAX])
{
	char copy[PATH_MAX];

	if (snprintf(copy, sizeof(copy), "%s", path) >= (int)sizeof(copy))
		return false;
	snprintf(ret_directory, PATH_MAX, "%s", dirname(copy));
	return access(ret_directory, W_OK | X_OK) == 0;
}

// Where ${directory} will be made when it is needed.
static bool
can_make(const char *directory)
{
	char copy[PATH_MAX];
	char *at = copy;

	snprintf(copy, sizeof(copy), "%s", directory);
	while (access(at, F_OK) != 0 && errno == ENOENT && strcmp(at, "/") != 0 && strcmp(at, ".") != 0)
		at = dirname(at);
	return access(at, W_OK | X_OK) == 0;
}

int
node_check_writable(const struct node *node, char *error, size_t error_size)
{
	const struct node_config *config = &node->config;
	const struct cache_disk_config *disk = &config->cache_disk;
	char directory[PATH_MAX] = "";
	struct stat status;

	if (config->acl[0] != '\0' && !can_replace(config->acl, directory)) {
		snprintf(error, error_size, "--acl %s: is replaced in the directory %s, where uid %u can not write: give it that directory", config->acl,
			 directory, (unsigned)geteuid());
		return -1;
	}
	if (config->rescue[0] != '\0' && !can_make(config->rescue))
		log_warnx("--rescue %s: uid %u can not write there: what can not be brought to the root any more would be lost", config->rescue,
			  (unsigned)geteuid());
	if (disk->path[0] != '\0' && stat(disk->path, &status) == 0 && S_ISREG(status.st_mode) && !can_replace(disk->path, directory))
		log_warnx("--cache disk:%s: uid %u can not write in its directory: the file stays there when the level is removed", disk->path,
			  (unsigned)geteuid());
	return 0;
}

const char *
node_mount_path(const struct node *node)
{
	return node->driver != NULL ? driver_directory(node->driver) : NULL;
}

uint64_t
node_find_mount(const char *path)
{
	return driver_find_mount(path);
}
