// SPDX-License-Identifier: MIT
// Names, attributes and openers. The directory is flat and grows only (driver_add_volume), so entries may be kept by
// the kernel for long; names that do not exist are never kept, since they may appear.
//
// Size is fixed. Truncation to 0, as by O_TRUNC, takes the content away (zeros, holes at the root) and leaves the size.
// To ignore it, as a block device does, would damage data silently: in a file, cp and qemu-img leave out what is a hole
// in their source once they have truncated it, and what was there before would show through. Both then set the size of
// the source, which is accepted as long as nothing was written beyond; any other truncation is refused: it could
// neither be done nor ignored. Mode, owner and times are remembered until the unmount.
#include "fuse/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENTRY_TIMEOUT_S 3600.0
#define ATTR_TIMEOUT_S 1.0

void
files_init(struct driver *driver)
{
	driver->uid = getuid();
	driver->gid = getgid();
	driver->umask = umask(0);
	umask(driver->umask);
	clock_gettime(CLOCK_REALTIME, &driver->created);
}

struct file *
files_get(struct driver *driver, fuse_ino_t ino)
{
	if (ino < FILE_INODE_FIRST || ino - FILE_INODE_FIRST >= LIMIT_VOLUMES)
		return NULL;
	return driver->files[ino - FILE_INODE_FIRST].present ? &driver->files[ino - FILE_INODE_FIRST] : NULL;
}

uint32_t
files_volume(const struct driver *driver, const struct file *file)
{
	return (uint32_t)(file - driver->files);
}

// Private like any image file; with allow_other like a disk's device node: owner and group, as far as the umask lets.
static mode_t
file_mode(const struct driver *driver, bool read_only)
{
	mode_t mode = driver->options.allow_other ? 0660 & ~driver->umask : 0600;

	return read_only ? mode & ~(mode_t)0222 : mode;
}

void
driver_add_volume(struct driver *driver, uint32_t volume, const char *name, uint64_t size, uint32_t block_size,
		  bool read_only)
{
	struct file *file;
	size_t length = strlen(name);

	CHECK(volume < LIMIT_VOLUMES);
	file = &driver->files[volume];
	CHECK(!file->present && length > 0 && length <= LIMIT_NAME_SIZE && strchr(name, '/') == NULL);
	CHECK(block_size >= LIMIT_BLOCK_SIZE_MIN && block_size <= LIMIT_BLOCK_SIZE_MAX &&
	      (block_size & (block_size - 1)) == 0);
	memcpy(file->name, name, length);
	memcpy(file->name + length, FILE_SUFFIX, sizeof(FILE_SUFFIX));
	file->present = true;
	file->read_only = read_only;
	file->size = size;
	file->written_end = size;
	file->block_size = block_size;
	file->mode = file_mode(driver, read_only);
	file->uid = driver->uid;
	file->gid = driver->gid;
	file->atime = file->mtime = file->ctime = driver->created;
}

static void
stat_directory(const struct driver *driver, struct stat *st)
{
	bool shared = driver->options.allow_other || driver->options.allow_root;

	*st = (struct stat){
		.st_ino = FUSE_ROOT_ID,
		.st_mode = S_IFDIR | (shared ? 0755 & ~driver->umask : 0700),
		.st_nlink = 2,
		.st_uid = driver->uid,
		.st_gid = driver->gid,
		.st_atim = driver->created,
		.st_mtim = driver->created,
		.st_ctim = driver->created,
	};
}

static void
stat_file(const struct driver *driver, const struct file *file, struct stat *st)
{
	*st = (struct stat){
		.st_ino = files_volume(driver, file) + FILE_INODE_FIRST,
		.st_mode = S_IFREG | file->mode,
		.st_nlink = 1,
		.st_uid = file->uid,
		.st_gid = file->gid,
		.st_size = (off_t)file->size,
		.st_blksize = file->block_size > 4096 ? file->block_size : 4096,
		.st_blocks = (blkcnt_t)(file->size / 512),
		.st_atim = file->atime,
		.st_mtim = file->mtime,
		.st_ctim = file->ctime,
	};
}

static void
op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct driver *driver = driver_of(req);
	struct fuse_entry_param entry = {.entry_timeout = ENTRY_TIMEOUT_S, .attr_timeout = ATTR_TIMEOUT_S};

	for (uint32_t i = 0; parent == FUSE_ROOT_ID && i < LIMIT_VOLUMES; i++) {
		struct file *file = &driver->files[i];

		if (!file->present || strcmp(file->name, name) != 0)
			continue;
		stat_file(driver, file, &entry.attr);
		entry.ino = entry.attr.st_ino;
		fuse_reply_entry(req, &entry);
		return;
	}
	fuse_reply_err(req, ENOENT);
}

// Inodes live as long as the mount: nothing to count.
static void
op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
	fuse_reply_none(req);
}

static void
op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct driver *driver = driver_of(req);
	struct file *file = files_get(driver, ino);
	struct stat st;

	if (ino != FUSE_ROOT_ID && file == NULL) {
		fuse_reply_err(req, ENOENT);
		return;
	}
	if (file == NULL)
		stat_directory(driver, &st);
	else
		stat_file(driver, file, &st);
	fuse_reply_attr(req, &st, ATTR_TIMEOUT_S);
}

static void
file_set_times(struct file *file, const struct stat *attr, int valid)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (valid & FUSE_SET_ATTR_ATIME)
		file->atime = valid & FUSE_SET_ATTR_ATIME_NOW ? now : attr->st_atim;
	if (valid & FUSE_SET_ATTR_MTIME)
		file->mtime = valid & FUSE_SET_ATTR_MTIME_NOW ? now : attr->st_mtim;
	file->ctime = now;
}

void
files_reply_attr(struct driver *driver, const struct file *file, fuse_req_t req)
{
	struct stat st;

	stat_file(driver, file, &st);
	fuse_reply_attr(req, &st, ATTR_TIMEOUT_S);
}

static int
check_truncation(const struct file *file, uint64_t size)
{
	if (file->read_only)
		return EROFS;
	if (size > file->size)
		return EFBIG;
	return size == 0 || size >= file->written_end ? 0 : EPERM;
}

static void
file_set_attributes(struct file *file, const struct stat *attr, int valid)
{
	if (valid & FUSE_SET_ATTR_MODE)
		file->mode = attr->st_mode & (file->read_only ? 0555 : 0777);
	if (valid & FUSE_SET_ATTR_UID)
		file->uid = attr->st_uid;
	if (valid & FUSE_SET_ATTR_GID)
		file->gid = attr->st_gid;
	file_set_times(file, attr, valid);
}

// Who may do this has been decided by the kernel (default_permissions).
static void
op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int valid, struct fuse_file_info *fi)
{
	struct driver *driver = driver_of(req);
	struct file *file = files_get(driver, ino);
	bool truncate = (valid & FUSE_SET_ATTR_SIZE) != 0;
	int error = file == NULL ? EPERM // the directory stays as it is
		    : truncate   ? check_truncation(file, (uint64_t)attr->st_size)
				 : 0;

	if (error != 0) {
		fuse_reply_err(req, error);
		return;
	}
	file_set_attributes(file, attr, valid);
	if (truncate && attr->st_size == 0)
		ops_truncate(req, file, fi != NULL ? (struct opener *)(uintptr_t)fi->fh : NULL);
	else
		files_reply_attr(driver, file, req);
}

// The answer is built by hand since the flag for parallel writes is newer than some libfuse 3 (3.14 has no field for
// it). Direct I/O: no page cache, which another host's write could make stale (H34).
static void
op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct driver *driver = driver_of(req);
	struct file *file = files_get(driver, ino);
	struct fuse_open_out out = {.open_flags = FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES};
	struct opener *opener;

	if (file == NULL || (file->read_only && (fi->flags & O_ACCMODE) != O_RDONLY)) {
		fuse_reply_err(req, file == NULL ? ENOENT : EROFS);
		return;
	}
	opener = calloc(1, sizeof(*opener));
	if (opener == NULL) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	opener->stream = driver->stream_next++;
	opener->synchronous = (fi->flags & O_DSYNC) != 0; // part of O_SYNC
	LIST_INSERT_HEAD(&driver->openers, opener, link);
	out.fh = (uintptr_t)opener;
	// Nobody heard of it: no RELEASE will come.
	if (fuse_reply_buf(req, (const char *)&out, sizeof(out)) != 0) {
		LIST_REMOVE(opener, link);
		free(opener);
	}
}

// The kernel sends it after the last request of this opener has been answered. Usually a flush came before; not from
// within the kernel (a loop device is detached), and that of a killed client may have been cancelled.
static void
op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct opener *opener = (struct opener *)(uintptr_t)fi->fh;
	struct file *file = files_get(driver_of(req), ino);
	bool written = opener->written;

	LIST_REMOVE(opener, link);
	free(opener);
	if (written && file != NULL)
		ops_release_sync(req, file);
	else
		fuse_reply_err(req, 0);
}

// Offset 0 and 1 are the dots, then the volumes by index.
static size_t
directory_add(fuse_req_t req, char *bytes, size_t size, uint32_t index)
{
	struct driver *driver = driver_of(req);
	struct stat st = {.st_ino = FUSE_ROOT_ID, .st_mode = S_IFDIR};

	if (index < 2)
		return fuse_add_direntry(req, bytes, size, index == 0 ? "." : "..", &st, index + 1);
	if (!driver->files[index - 2].present)
		return 0;
	st.st_ino = index - 2 + FILE_INODE_FIRST;
	st.st_mode = S_IFREG;
	return fuse_add_direntry(req, bytes, size, driver->files[index - 2].name, &st, index + 1);
}

static void
op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	char bytes[16384];
	size_t used = 0;

	if (size > sizeof(bytes))
		size = sizeof(bytes);
	for (uint32_t i = (uint32_t)offset; offset >= 0 && i < LIMIT_VOLUMES + 2; i++) {
		size_t length = directory_add(req, bytes + used, size - used, i);

		if (length > size - used)
			break;
		used += length;
	}
	fuse_reply_buf(req, bytes, used);
}

static void
op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct driver *driver = driver_of(req);
	struct statvfs st = {.f_bsize = 4096, .f_frsize = 512, .f_namemax = 255};

	for (uint32_t i = 0; i < LIMIT_VOLUMES; i++) {
		if (!driver->files[i].present)
			continue;
		st.f_blocks += driver->files[i].size / 512;
		st.f_files++;
	}
	fuse_reply_statfs(req, &st);
}

void
files_set_ops(struct fuse_lowlevel_ops *ops)
{
	ops->lookup = op_lookup;
	ops->forget = op_forget;
	ops->getattr = op_getattr;
	ops->setattr = op_setattr;
	ops->open = op_open;
	ops->release = op_release;
	ops->readdir = op_readdir;
	ops->statfs = op_statfs;
}
