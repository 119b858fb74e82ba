// SPDX-License-Identifier: MIT
#include "cli/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// The kernel writes space, tab, newline and backslash as \ooo.
static void
unescape(char *text)
{
	char *to = text;
	for (const char *from = text; *from != '\0'; to++) {
		if (from[0] == '\\' && from[1] != '\0' && from[2] != '\0' && from[3] != '\0') {
			*to = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}

static int
find_path(const char *directory, char ret_path[4096], char *error, size_t error_size)
{
	char link[64];
	int fd = open(directory, O_PATH | O_CLOEXEC);
	if (fd < 0) {
		snprintf(error, error_size, "%s: %s%s", directory, strerror(errno),
			 errno == ENOTCONN ? ": its node is gone; fusermount3 -u takes it away" : "");
		return -1;
	}
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t size = readlink(link, ret_path, 4095);
	close(fd);
	if (size < 0) {
		snprintf(error, error_size, "%s: cannot read %s: is /proc mounted?", directory, link);
		return -1;
	}
	ret_path[size] = '\0';
	return 0;
}

// Is ${line} of mountinfo a mount of ours on ${path}? Then its source is in ${source}.
// id parent major:minor root MOUNTPOINT options... - TYPE SOURCE options
static bool
line_fits(const char *line, const char *path, char source[4096])
{
	char point[4096];
	const char *type = strstr(line, " - fuse.hvfs ");
	if (type == NULL || sscanf(line, "%*s %*s %*s %*s %4095s", point) != 1 || sscanf(type, " - %*s %4095s", source) != 1)
		return false;
	unescape(point);
	unescape(source);
	return strcmp(point, path) == 0;
}

int
mounts_find(const char *directory, char ret_path[4096], char ret_control[108], char *error, size_t error_size)
{
	char *line = NULL, source[4096];
	size_t room = 0;
	bool found = false;
	if (find_path(directory, ret_path, error, error_size) != 0)
		return -1;
	FILE *file = fopen("/proc/self/mountinfo", "re");
	ret_control[0] = '\0';
	while (file != NULL && getline(&line, &room, file) >= 0) {
		if (!line_fits(line, ret_path, source))
			continue;
		found = true; // the last of several is the one that is seen
		ret_control[0] = '\0';
		if (strncmp(source, "hvfs:", 5) == 0 && strlen(source + 5) < 108)
			strcpy(ret_control, source + 5);
	}
	free(line);
	if (file != NULL)
		fclose(file);
	if (found)
		return 0;
	snprintf(error, error_size, "%s is not the mount of a node", ret_path);
	return -1;
}
