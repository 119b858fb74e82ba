// SPDX-License-Identifier: MIT
#include "store_help.h"

#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

enum { PATIENCE_MS = 60 * 1000 }; // a lost completion fails the test instead of hanging it

char help_dir[PATH_MAX / 2];
char help_path[PATH_MAX];
char help_error[1024];
const char *const help_engines[] = {"threads", "io_uring"};
int help_engine_count = 1;

static int
remove_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
	return remove(path);
}

static bool
make_directory(void)
{
	const char *base = getenv("TMPDIR");

	snprintf(help_dir, sizeof(help_dir), "%s/hvfs-store-XXXXXX", base != NULL ? base : "/tmp");
	if (mkdtemp(help_dir) == NULL)
		return false;
	snprintf(help_path, sizeof(help_path), "%s/disk.img", help_dir);
	return true;
}

void
help_setup(void)
{
	ck_assert(make_directory());
}

void
help_teardown(void)
{
	(void)umount2(help_dir, MNT_DETACH); // where help_mount was used
	nftw(help_dir, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

void
help_find_engines(void)
{
	struct store *store = NULL;

	setenv("HVFS_STORE_ENGINE", "io_uring", 1);
	if (make_directory() && store_create(help_path, MIB, 4096, help_error, sizeof(help_error)) == 0)
		store = store_open(help_path, false, help_error, sizeof(help_error));
	if (store != NULL) {
		help_engine_count = 2;
		store->ops->close(store);
	} else {
		fprintf(stderr, "io_uring is not tested here: %s\n", help_error);
	}
	unsetenv("HVFS_STORE_ENGINE");
	help_teardown();
}

struct store *
help_open(int engine, bool read_only)
{
	struct store *store;

	setenv("HVFS_STORE_ENGINE", help_engines[engine], 1);
	store = store_open(help_path, read_only, help_error, sizeof(help_error));
	ck_assert_msg(store != NULL, "%s", help_error);
	ck_assert_str_eq(store->engine, help_engines[engine]);
	return store;
}

struct store *
help_create(int engine, uint64_t size, uint32_t block_size)
{
	int result = store_create(help_path, size, block_size, help_error, sizeof(help_error));

	ck_assert_msg(result == 0, "%s", help_error);
	return help_open(engine, false);
}

void
help_open_fails(bool read_only, const char *wanted)
{
	help_error[0] = '\0';
	ck_assert_ptr_null(store_open(help_path, read_only, help_error, sizeof(help_error)));
	ck_assert_msg(strstr(help_error, help_path) != NULL, "no path in: %s", help_error);
	ck_assert_msg(strstr(help_error, wanted) != NULL, "no \"%s\" in: %s", wanted, help_error);
}

static void
done(struct store_io *io, int sys_errno)
{
	struct test_io *test_io = io->owner;

	test_io->calls++;
	test_io->result = sys_errno;
}

void
help_submit_list(struct store *store, struct test_io *io, enum store_op op, uint64_t offset, struct iovec *iov, int count)
{
	uint64_t size = 0;

	for (int i = 0; i < count; i++)
		size += iov[i].iov_len;
	*io = (struct test_io){.io = {.op = op, .offset = offset, .size = size, .iov = iov, .iov_count = count,
		.done = done, .owner = io}};
	store->ops->submit(store, &io->io);
	ck_assert_int_eq(io->calls, 0); // never at once
}

static void
submit(struct store *store, struct test_io *io, enum store_op op, uint64_t offset, void *bytes, uint64_t size,
	const version_t *versions)
{
	*io = (struct test_io){.io = {.op = op, .offset = offset, .size = size, .versions = versions, .done = done,
		.owner = io}, .one = {.iov_base = bytes, .iov_len = size}};
	if (op == STORE_READ || op == STORE_WRITE) {
		io->io.iov = &io->one;
		io->io.iov_count = 1;
	}
	store->ops->submit(store, &io->io);
	ck_assert_int_eq(io->calls, 0);
}

void
help_submit(struct store *store, struct test_io *io, enum store_op op, uint64_t offset, void *bytes, uint64_t size)
{
	submit(store, io, op, offset, bytes, size, NULL);
}

static int
count_ended(const struct test_io *ios, int count)
{
	int ended = 0;

	for (int i = 0; i < count; i++) {
		ck_assert_int_le(ios[i].calls, 1);
		ended += ios[i].calls;
	}
	return ended;
}

void
help_wait(struct store *store, struct test_io *ios, int count)
{
	store->ops->kick(store);
	while (count_ended(ios, count) < count) {
		struct pollfd poll_fd = {.fd = store->ops->poll_fd(store), .events = POLLIN};
		unsigned due_ms = store->ops->due_ms(store);
		int ready = poll(&poll_fd, 1, due_ms > 0 ? (int)due_ms : PATIENCE_MS);

		ck_assert_msg(ready != 0 || due_ms > 0, "%d of %d ios never ended", count - count_ended(ios, count), count);
		store->ops->reap(store);
	}
}

int
help_do(struct store *store, enum store_op op, uint64_t offset, void *bytes, uint64_t size)
{
	struct test_io io;

	help_submit(store, &io, op, offset, bytes, size);
	help_wait(store, &io, 1);
	return io.result;
}

int
help_do_versions(struct store *store, enum store_op op, uint64_t offset, void *bytes, uint64_t size,
	const version_t *versions)
{
	struct test_io io;

	submit(store, &io, op, offset, bytes, size, versions);
	help_wait(store, &io, 1);
	return io.result;
}

void
help_pattern(uint8_t *bytes, size_t size, uint32_t seed)
{
	uint32_t state = seed * 2654435761u + 1;

	for (size_t i = 0; i < size; i++) {
		state = state * 1664525 + 1013904223;
		bytes[i] = (uint8_t)(state >> 24) | 1; // never the zero of a hole
	}
}

bool
help_mount(const char *type, const char *options)
{
	return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("none", help_dir, type, 0, options) == 0;
}

uint8_t *
help_allocate(size_t size)
{
	uint8_t *bytes = calloc(1, size);

	ck_assert_ptr_nonnull(bytes);
	return bytes;
}

void
help_file_has(uint64_t offset, const uint8_t *bytes, size_t size)
{
	uint8_t *found = help_allocate(size);
	int fd = open(help_path, O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pread(fd, found, size, (off_t)offset), (ssize_t)size);
	ck_assert_int_eq(memcmp(found, bytes, size), 0);
	close(fd);
	free(found);
}
