// SPDX-License-Identifier: MIT
// The floor F of the benchmark: what any single-threaded FUSE file server costs. One file in RAM, answered from the
// receive loop of libfuse, with the same flags to the kernel as hvfs (direct I/O, parallel writes, 1 MiB requests). Or
// (--file) reads are those of a file, past the page cache, as a file system has them that passes everything through.
//
//	floor_fuse [--mt] [--file PATH] SIZE_MIB DIR     serves DIR/v.img in the foreground until it is unmounted or terminated
#define FUSE_USE_VERSION 312

#include <errno.h>
#include <fcntl.h>
#include <fuse3/fuse_lowlevel.h>
#include <linux/fuse.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_NAME "v.img"
#define FILE_INODE 2
#define BACKGROUND 128

static uint8_t *ram;
static uint64_t ram_size;
static int passed_fd = -1; // of the file

static void
op_init(void *arg, struct fuse_conn_info *conn)
{
	conn->max_background = BACKGROUND;
	conn->congestion_threshold = BACKGROUND * 3 / 4;
}

static struct stat
stat_of(fuse_ino_t ino)
{
	struct stat st = {.st_ino = ino, .st_uid = getuid(), .st_gid = getgid(), .st_nlink = 1};

	if (ino == FILE_INODE) {
		st.st_mode = S_IFREG | 0600;
		st.st_size = (off_t)ram_size;
		st.st_blocks = (blkcnt_t)(ram_size / 512);
	} else {
		st.st_mode = S_IFDIR | 0700;
	}
	return st;
}

static void
op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param entry = {.ino = FILE_INODE, .attr_timeout = 1, .entry_timeout = 1};

	entry.attr = stat_of(FILE_INODE);
	if (strcmp(name, FILE_NAME) != 0)
		fuse_reply_err(req, ENOENT);
	else
		fuse_reply_entry(req, &entry);
}

static void
op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st = stat_of(ino);

	fuse_reply_attr(req, &st, 1);
}

static void
op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int valid, struct fuse_file_info *fi)
{
	op_getattr(req, ino, fi);
}

static void
op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fuse_open_out out = {.open_flags = FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES};

	fuse_reply_buf(req, (const char *)&out, sizeof(out));
}

static size_t
clip(size_t size, off_t offset)
{
	if ((uint64_t)offset >= ram_size)
		return 0;
	return size < ram_size - (uint64_t)offset ? size : ram_size - (uint64_t)offset;
}

static void
read_passed(fuse_req_t req, size_t size, off_t offset)
{
	static _Thread_local uint8_t *bytes;
	ssize_t got;

	if (bytes == NULL)
		bytes = aligned_alloc(4096, 1 << 20);
	got = bytes != NULL ? pread(passed_fd, bytes, size, offset) : -1;
	if (got < 0)
		fuse_reply_err(req, EIO);
	else
		fuse_reply_buf(req, (const char *)bytes, (size_t)got);
}

static void
op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	if (passed_fd >= 0) {
		read_passed(req, clip(size, offset), offset);
		return;
	}
	fuse_reply_buf(req, (const char *)ram + offset, clip(size, offset));
}

static void
op_write(fuse_req_t req, fuse_ino_t ino, const char *bytes, size_t size, off_t offset, struct fuse_file_info *fi)
{
	size = clip(size, offset);
	memcpy(ram + offset, bytes, size);
	fuse_reply_write(req, size);
}

static void
op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	fuse_reply_err(req, 0);
}

static void
op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length, struct fuse_file_info *fi)
{
	memset(ram + offset, 0, clip((size_t)length, offset));
	fuse_reply_err(req, 0);
}

static int
serve(const char *directory, bool threads)
{
	static const struct fuse_lowlevel_ops ops = {
		.init = op_init,
		.lookup = op_lookup,
		.getattr = op_getattr,
		.setattr = op_setattr,
		.open = op_open,
		.read = op_read,
		.write = op_write,
		.fsync = op_fsync,
		.fallocate = op_fallocate,
	};
	char *argv[] = {(char *)"floor_fuse", (char *)"-ofsname=floor,default_permissions", NULL};
	struct fuse_args args = FUSE_ARGS_INIT(2, argv);
	struct fuse_loop_config *config = fuse_loop_cfg_create();
	struct fuse_session *session = fuse_session_new(&args, &ops, sizeof(ops), NULL);
	int result = 1;

	if (session == NULL || fuse_set_signal_handlers(session) != 0 || fuse_session_mount(session, directory) != 0)
		return 1;
	result = threads ? fuse_session_loop_mt(session, config) : fuse_session_loop(session);
	fuse_session_unmount(session);
	fuse_remove_signal_handlers(session);
	fuse_session_destroy(session);
	fuse_loop_cfg_destroy(config);
	return result < 0;
}

int
main(int argc, char **argv)
{
	bool threads = argc > 1 && strcmp(argv[1], "--mt") == 0;

	argv += threads;
	argc -= threads;
	if (argc > 2 && strcmp(argv[1], "--file") == 0) {
		passed_fd = open(argv[2], O_RDONLY | O_DIRECT);
		if (passed_fd < 0) {
			perror(argv[2]);
			return 1;
		}
		argv += 2;
		argc -= 2;
	}
	if (argc != 3) {
		fprintf(stderr, "usage: floor_fuse [--mt] [--file PATH] SIZE_MIB DIR\n");
		return 2;
	}
	ram_size = strtoull(argv[1], NULL, 10) << 20;
	if (passed_fd >= 0)
		return serve(argv[2], threads);
	ram = mmap(NULL, ram_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (ram_size == 0 || ram == MAP_FAILED) {
		fprintf(stderr, "floor_fuse: cannot take %s MiB of memory\n", argv[1 + threads]);
		return 1;
	}
	return serve(argv[2], threads);
}
