// SPDX-License-Identifier: MIT
// A free loop number is asked for, then taken; in between somebody else may take it, so that is done until it works.
// LOOP_CONFIGURE takes the device in one step with all options (Linux 5.8 and later).
#include "cli/loop.h"

#include "cli/loop_wait.h"
#include "cli/sector.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef LOOP_CONFIGURE
#error "the kernel headers are older than Linux 5.8: LOOP_CONFIGURE is missing"
#endif

static int __attribute__((format(printf, 3, 4)))
fail(char *error, size_t error_size, const char *format, ...)
{
	va_list list;
	va_start(list, format);
	vsnprintf(error, error_size, format, list);
	va_end(list);
	return -1;
}

// ---- The image ----

// FUSE keeps everybody but its owner, root included, out of a mount without allow_other.
static int
fail_open(const char *image, char *error, size_t error_size)
{
	int reason = errno;
	if (reason == EACCES && geteuid() == 0)
		return fail(error, error_size,
			    "%s: permission denied, even to root: it is on an ordinary user's FUSE mount. Serve it with --allow-root or "
			    "--allow-other (and user_allow_other in /etc/fuse.conf), or use it as that user without a loop device: "
			    "fuse2fs -o fakeroot IMAGE DIR",
			    image);
	return fail(error, error_size, "%s: %s", image, strerror(reason));
}

// Opens for writing where that is possible and wanted.
static int
open_image(const char *image, bool *read_only, char *error, size_t error_size)
{
	int fd = -1;
	if (!*read_only)
		fd = open(image, O_RDWR | O_CLOEXEC);
	if (fd < 0 && (*read_only || errno == EROFS)) {
		*read_only = true;
		fd = open(image, O_RDONLY | O_CLOEXEC);
	}
	if (fd < 0)
		return fail_open(image, error, error_size);
	struct stat st;
	if (fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode))) {
		// Root may write what is marked read-only; a read-only volume is so marked.
		if ((st.st_mode & 0222) == 0)
			*read_only = true;
		return fd;
	}
	close(fd);
	return fail(error, error_size, "%s: no image: right would be DIR/NAME.img of a mounted volume", image);
}

// ---- Attach ----

static int
fail_privilege(const char *path, char *error, size_t error_size)
{
	if (errno == EACCES || errno == EPERM)
		return fail(error, error_size,
			    "%s: %s: loop devices need root (sudo hvfs attach …); without it, use the image by fuse2fs or debugfs", path,
			    strerror(errno));
	if (errno == ENOENT || errno == ENXIO || errno == ENODEV)
		return fail(error, error_size, "%s: %s: this machine has no loop devices (modprobe loop; in a container they must be given to it)",
			    path, strerror(errno));
	return fail(error, error_size, "%s: %s", path, strerror(errno));
}

// 0: configured; 1: taken by somebody else in the meantime; -1: an error.
static int
try_configure(const char *device, const struct loop_config *config, bool *ret_cached, char *error, size_t error_size)
{
	struct loop_info64 info;
	int fd = open(device, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return fail_privilege(device, error, error_size);
	int result = 0;
	if (ioctl(fd, LOOP_CONFIGURE, config) != 0) {
		result = errno == EBUSY ? 1 : -1;
		if (errno == EINVAL)
			fail(error, error_size, "%s: the kernel refuses a sector size of %u", device, config->block_size);
		else if (result < 0)
			fail(error, error_size, "%s: LOOP_CONFIGURE: %s", device, strerror(errno));
	} else {
		*ret_cached = ioctl(fd, LOOP_GET_STATUS64, &info) != 0 || (info.lo_flags & LO_FLAGS_DIRECT_IO) == 0;
	}
	close(fd);
	return result;
}

static int
attach_free(int control, const struct loop_config *config, char device[LOOP_PATH_SIZE], bool *ret_cached, char *error, size_t error_size)
{
	for (;;) {
		int number = ioctl(control, LOOP_CTL_GET_FREE);
		if (number < 0)
			return fail(error, error_size, "/dev/loop-control: LOOP_CTL_GET_FREE: %s", strerror(errno));
		snprintf(device, LOOP_PATH_SIZE, "/dev/loop%d", number);
		int result = try_configure(device, config, ret_cached, error, error_size);
		if (result <= 0)
			return result;
	}
}

int
loop_attach(const char *image, const struct loop_options *options, char ret_device[LOOP_PATH_SIZE], bool *ret_cached, char *error,
	    size_t error_size)
{
	bool read_only = options->read_only;
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	if (control < 0)
		return fail_privilege("/dev/loop-control", error, error_size);
	int fd = open_image(image, &read_only, error, error_size);
	int result = -1;
	if (fd < 0)
		goto out;
	struct loop_config config = { .fd = (uint32_t)fd };
	config.block_size = options->sector_size != 0 ? options->sector_size : sector_size_of(fd);
	config.info.lo_flags = LO_FLAGS_DIRECT_IO | (read_only ? LO_FLAGS_READ_ONLY : 0);
	snprintf((char *)config.info.lo_file_name, LO_NAME_SIZE, "%s", image);
	result = attach_free(control, &config, ret_device, ret_cached, error, error_size);
	close(fd);
out:
	close(control);
	return result;
}

// ---- Find ----

// Is the backing file of /dev/${name} the file (device, inode)? The kernel is asked, because its text in sysfs is a path of
// another time and name space.
static bool
is_backed_by(const char *device, const struct stat *image)
{
	struct loop_info64 info;
	int fd = open(device, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	bool found = ioctl(fd, LOOP_GET_STATUS64, &info) == 0 && info.lo_device == image->st_dev && info.lo_inode == image->st_ino;
	close(fd);
	return found;
}

// Where the image itself can not be looked at any more (its node died), the path it had must do.
static bool
is_named(const char *name, const char *image)
{
	char path[64], line[4096];
	snprintf(path, sizeof path, "/sys/block/%.16s/loop/backing_file", name);
	FILE *file = fopen(path, "re");
	if (file == NULL)
		return false;
	bool found = fgets(line, sizeof line, file) != NULL;
	fclose(file);
	if (!found)
		return false;
	line[strcspn(line, "\n")] = '\0';
	return strcmp(line, image) == 0;
}

static bool
is_attached(const char *name)
{
	char path[64];
	snprintf(path, sizeof path, "/sys/block/%.16s/loop", name);
	return access(path, F_OK) == 0;
}

int
loop_find(const char *image, char (*devices)[LOOP_PATH_SIZE], int max, char *error, size_t error_size)
{
	struct stat st;
	bool known = stat(image, &st) == 0;
	DIR *dir = opendir("/sys/block");
	if (dir == NULL)
		return fail(error, error_size, "/sys/block: %s", strerror(errno));
	int count = 0;
	for (struct dirent *entry; count < max && (entry = readdir(dir)) != NULL;) {
		if (strncmp(entry->d_name, "loop", 4) != 0 || !is_attached(entry->d_name))
			continue;
		snprintf(devices[count], LOOP_PATH_SIZE, "/dev/%.16s", entry->d_name);
		if (known ? is_backed_by(devices[count], &st) : is_named(entry->d_name, image))
			count++;
	}
	closedir(dir);
	return count;
}

// ---- Detach ----

static int
release(int fd, const char *device, bool force, char *error, size_t error_size)
{
	if (fsync(fd) != 0 && !force)
		return fail(error, error_size, "%s: what was written there can not be written out (%s); --force gives it up", device,
			    strerror(errno));
	if (ioctl(fd, LOOP_CLR_FD) == 0)
		return 0;
	if (errno == ENXIO)
		return fail(error, error_size, "%s: is not attached to anything", device);
	return fail(error, error_size, "%s: %s", device, strerror(errno));
}

int
loop_detach(const char *device, bool force, char *error, size_t error_size)
{
	const char *name = strrchr(device, '/') != NULL ? strrchr(device, '/') + 1 : device;
	struct stat st;
	if (stat(device, &st) != 0)
		return fail(error, error_size, "%s: %s", device, strerror(errno));
	if (!S_ISBLK(st.st_mode) || strncmp(name, "loop", 4) != 0)
		return fail(error, error_size, "%s: no loop device", device);
	if (!is_attached(name))
		return fail(error, error_size, "%s: is not attached to anything", device);
	// Exclusive: refused while a file system on it is mounted.
	int fd = open(device, O_RDWR | O_EXCL | O_CLOEXEC);
	if (fd < 0 && (errno == EROFS || errno == EACCES))
		fd = open(device, O_RDONLY | O_EXCL | O_CLOEXEC);
	if (fd < 0 && errno == EBUSY)
		return fail(error, error_size, "%s: in use: unmount what is on it first", device);
	if (fd < 0)
		return fail_privilege(device, error, error_size);
	struct loop_wait wait;
	loop_wait_start(&wait);
	int result = release(fd, device, force, error, error_size);
	close(fd);
	while (result == 0 && is_attached(name))
		loop_wait_event(&wait);
	loop_wait_end(&wait);
	return result;
}
