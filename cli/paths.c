// SPDX-License-Identifier: MIT
#include "cli/paths.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int
paths_control_directory(char *path, size_t size, char *error, size_t error_size)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	int length;
	if (geteuid() == 0)
		length = snprintf(path, size, "/run/hvfs");
	else if (runtime != NULL && runtime[0] == '/')
		length = snprintf(path, size, "%s/hvfs", runtime);
	else
		length = snprintf(path, size, "/tmp/hvfs-%u", (unsigned)geteuid());
	if (length >= 0 && (size_t)length < size)
		return 0;
	snprintf(error, error_size, "XDG_RUNTIME_DIR is too long for a socket's path (%d bytes): give --control PATH", PATHS_SOCKET_SIZE - 1);
	return -1;
}

int
paths_make_control_directory(const char *path, char *error, size_t error_size)
{
	struct stat st;
	bool is_root = geteuid() == 0;
	if (mkdir(path, is_root ? 0755 : 0700) != 0 && errno != EEXIST) {
		snprintf(error, error_size, "the directory of control sockets, %s: %s; give --control PATH", path, strerror(errno));
		return -1;
	}
	// In /tmp somebody else may have been here first.
	if (lstat(path, &st) != 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 022) != 0) {
		snprintf(error, error_size, "the directory of control sockets, %s, is not a directory that only you can write; give --control PATH",
			 path);
		return -1;
	}
	return 0;
}

int
paths_control_socket(const char *name, char path[PATHS_SOCKET_SIZE], char *error, size_t error_size)
{
	char directory[PATHS_SOCKET_SIZE];
	if (paths_control_directory(directory, sizeof directory, error, error_size) != 0)
		return -1;
	size_t size = strlen(directory) + 1 + strlen(name) + strlen(".sock");
	if (size >= PATHS_SOCKET_SIZE) {
		snprintf(error, error_size, "the control socket's path, %s/%s.sock, is longer than %d bytes: give --control PATH or a shorter --name",
			 directory, name, PATHS_SOCKET_SIZE - 1);
		return -1;
	}
	stpcpy(stpcpy(stpcpy(stpcpy(path, directory), "/"), name), ".sock");
	return 0;
}

int
paths_make_absolute(char *path, size_t size)
{
	char directory[PATH_MAX];
	if (path[0] == '/')
		return 0;
	if (getcwd(directory, sizeof directory) == NULL || directory[0] != '/')
		return -1;
	size_t prefix = strcmp(directory, "/") == 0 ? 0 : strlen(directory);
	if (prefix + 1 + strlen(path) >= size)
		return -1;
	memmove(path + prefix + 1, path, strlen(path) + 1);
	memcpy(path, directory, prefix);
	path[prefix] = '/';
	return 0;
}

bool
paths_is_reserved_store(const char *store)
{
	static const char *const kinds[] = { "nbd://", "nbd+unix://", "rbd:", "mirror:" };
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (strncmp(store, kinds[i], strlen(kinds[i])) == 0)
			return true;
	return false;
}
