// SPDX-License-Identifier: MIT
// Open-file-description locks. The system does not say who holds one (a daemon's lock was taken by a parent that is long
// gone), so the holder is looked for among the open files in /proc, for the sake of the error message only.
#include "store/lock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int
lock_take(int fd, bool shared)
{
	struct flock lock = {.l_type = shared ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET};

	if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	return errno == EACCES ? EAGAIN : errno;
}

// Does ${info}, a file of /proc/PID/fdinfo, tell of a lock?
static bool
tells_lock(const char *info)
{
	FILE *file = fopen(info, "re");
	char line[256];
	bool found = false;

	if (file == NULL)
		return false;
	while (!found && fgets(line, sizeof(line), file) != NULL)
		found = strncmp(line, "lock:", 5) == 0;
	fclose(file);
	return found;
}

static bool
holds_lock(const char *pid, const struct stat *wanted)
{
	char path[600];
	struct stat status;
	struct dirent *entry;
	DIR *dir;
	bool found = false;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	dir = opendir(path);
	if (dir == NULL)
		return false;
	while (!found && (entry = readdir(dir)) != NULL) {
		snprintf(path, sizeof(path), "/proc/%s/fd/%s", pid, entry->d_name);
		if (entry->d_name[0] == '.' || stat(path, &status) < 0 || status.st_dev != wanted->st_dev ||
			status.st_ino != wanted->st_ino)
			continue;
		snprintf(path, sizeof(path), "/proc/%s/fdinfo/%s", pid, entry->d_name);
		found = tells_lock(path);
	}
	closedir(dir);
	return found;
}

pid_t
lock_find_holder(int fd)
{
	struct stat wanted;
	struct dirent *entry;
	DIR *proc;
	pid_t holder = 0;

	if (fstat(fd, &wanted) < 0 || (proc = opendir("/proc")) == NULL)
		return 0;
	while (holder == 0 && (entry = readdir(proc)) != NULL) {
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && holds_lock(entry->d_name, &wanted))
			holder = (pid_t)strtol(entry->d_name, NULL, 10);
	}
	closedir(proc);
	return holder;
}
