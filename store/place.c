// SPDX-License-Identifier: MIT
// The state directory: $HVFS_STATE_DIR; else /var/lib/hvfs for root; else $XDG_STATE_HOME/hvfs or ~/.local/state/hvfs.
//
// The identity of a device is what its driver says in sysfs: the uuid of a mapped device, the world-wide name or serial
// number of a disk, of a partition its disk's with its number. A device without any of them goes by its kernel name.
#include "store/place.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { IDENTITY_SIZE = 160 };

int
place_find_state_directory(char ret_path[PATH_MAX])
{
	const char *state = getenv("HVFS_STATE_DIR"), *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	int size;

	if (state != NULL && *state != '\0')
		size = snprintf(ret_path, PATH_MAX, "%s", state);
	else if (geteuid() == 0)
		size = snprintf(ret_path, PATH_MAX, "/var/lib/hvfs");
	else if (xdg != NULL && *xdg == '/')
		size = snprintf(ret_path, PATH_MAX, "%s/hvfs", xdg);
	else if (home != NULL && *home == '/')
		size = snprintf(ret_path, PATH_MAX, "%s/.local/state/hvfs", home);
	else
		return ENOENT;
	return size < PATH_MAX - NAME_MAX ? 0 : ENAMETOOLONG;
}

// The first line of a sysfs file, with nothing in it that a file name may not have. Returns true when there is some.
static bool
read_word(const char *directory, const char *name, char ret[IDENTITY_SIZE])
{
	char path[PATH_MAX + 64];
	FILE *file;
	size_t size = 0;
	int c;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "re");
	if (file == NULL)
		return false;
	while (size + 1 < IDENTITY_SIZE && (c = getc(file)) != EOF && c != '\n')
		ret[size++] = isalnum(c) || c == '.' || c == '-' ? (char)c : '_';
	fclose(file);
	while (size > 0 && ret[size - 1] == '_')
		size--;
	ret[size] = '\0';
	return size > 0;
}

static void
identify_device(dev_t device, char ret[PATH_MAX])
{
	static const char *const names[] = {"dm/uuid", "wwid", "device/wwid", "serial", "device/serial"};
	char link[64], directory[PATH_MAX], word[IDENTITY_SIZE], number[IDENTITY_SIZE] = "";
	const char *kernel_name;

	snprintf(link, sizeof(link), "/sys/dev/block/%u:%u", major(device), minor(device));
	if (realpath(link, directory) == NULL) {
		snprintf(ret, PATH_MAX, "block-%u-%u", major(device), minor(device));
		return;
	}
	kernel_name = strrchr(directory, '/') + 1;
	snprintf(ret, PATH_MAX, "name-%s", kernel_name);
	if (read_word(directory, "partition", number))
		*strrchr(directory, '/') = '\0'; // the disk it is on
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!read_word(directory, names[i], word))
			continue;
		snprintf(ret, PATH_MAX, "id-%s%s%s", word, *number != '\0' ? "-part" : "", number);
		return;
	}
}

int
place_find_metadata(const char *spec, const struct stat *status, char ret_path[PATH_MAX])
{
	char base[PATH_MAX], name[PATH_MAX];
	int sys_errno, size;

	if (S_ISBLK(status->st_mode)) {
		sys_errno = place_find_state_directory(base);
		if (sys_errno != 0)
			return sys_errno;
		identify_device(status->st_rdev, name);
		size = snprintf(ret_path, PATH_MAX, "%.*s/%.*s.hvfs", PATH_MAX - NAME_MAX, base, NAME_MAX - 8, name);
	} else {
		if (realpath(spec, base) == NULL)
			return errno;
		size = snprintf(ret_path, PATH_MAX, "%s.hvfs", base);
	}
	return size < PATH_MAX ? 0 : ENAMETOOLONG;
}

int
place_find_versions(const char *path, int file, char ret_path[PATH_MAX])
{
	return snprintf(ret_path, PATH_MAX, "%s.versions%d", path, file) < PATH_MAX ? 0 : ENAMETOOLONG;
}

int
place_make_directories(const char *path)
{
	char copy[PATH_MAX];

	if (snprintf(copy, sizeof(copy), "%s", path) >= (int)sizeof(copy))
		return ENAMETOOLONG;
	for (char *slash = strchr(copy + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(copy, 0700) < 0 && errno != EEXIST)
			return errno;
		*slash = '/';
	}
	return 0;
}

int
place_find_size(int fd, const struct stat *status, uint64_t *ret)
{
	if (!S_ISBLK(status->st_mode)) {
		*ret = (uint64_t)status->st_size;
		return 0;
	}
	return ioctl(fd, BLKGETSIZE64, ret) < 0 ? errno : 0;
}
