// SPDX-License-Identifier: MIT
// fuse/driver.c on a real mount. In place of the core a few arrays of buffers answer, at once, later, or never; the
// loop runs on its own thread, so that the test itself can be the client.
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/check.h"
#include "fuse/driver.h"

enum {
	VOLUMES = 4,
	SIZE = 4 << 20,
	HELD_MAX = 64,
	MIB = 1 << 20,
};

enum mode {
	ANSWER_NOW,   // within submit
	ANSWER_LATER, // from a later event, last block first
	ANSWER_NEVER, // until it is cancelled
};

static const struct {
	const char *name;
	uint32_t block_size;
	bool read_only;
	uint64_t size;
} volumes[VOLUMES] = {
	{"small", 512, false, SIZE},
	{"page", 4096, false, SIZE},
	{"fixed", 4096, true, SIZE},
	{"odd", 512, false, SIZE + 512},
};

struct fixture {
	char directory[64];
	char detached[64]; // where a dead mount was taken away
	struct event_base *base;
	struct driver *driver;
	struct buf_pool *pools[VOLUMES];
	struct buf **blocks[VOLUMES];
	pthread_t thread;
	bool running;
	int command[2]; // run a function on the loop
	sem_t command_done;

	struct event *later;
	struct io *held[HELD_MAX];
	unsigned held_count;
	_Atomic enum mode mode;
	sem_t submitted, cancelled_sem, unmounted_sem;
	atomic_int syncs, forced, zeroes, cancels, unmounts, submits;
	atomic_int error;      // what the next answers say
	atomic_int sync_error; // the same, of synchronisations
	atomic_int last_kind;  // of the last io
	_Atomic uint32_t stream;
	_Atomic uint64_t size_max;
	atomic_int cpus, cpu; // how many the loop's thread may use, and the first of them
};

static struct fixture *fix;

// The core's stand-in, on the loop.

static void
answer_block(struct fixture *f, struct io *io, uint64_t index)
{
	uint32_t size = volumes[io->volume].block_size;
	uint64_t block = io->offset / size + index;
	struct buf **slot = &f->blocks[io->volume][block];
	bool whole = io->offset <= block * size && io->offset + io->size >= (block + 1) * size;
	struct buf *buf;

	if (io->kind == IO_READ) {
		driver_io_read(f->driver, io, (uint32_t)index, *slot);
		return;
	}
	if (io->kind == IO_ZERO && whole) {
		buf_unref(*slot);
		*slot = buf_zero();
		return;
	}
	buf = buf_is_shared(*slot) ? buf_alloc(f->pools[io->volume]) : *slot;
	driver_io_fill(f->driver, io, (uint32_t)index, whole ? NULL : *slot, buf);
	if (buf != *slot) {
		buf_unref(*slot);
		*slot = buf;
	}
}

static void
answer(struct fixture *f, struct io *io, bool backwards)
{
	uint32_t size = volumes[io->volume].block_size;
	uint64_t count = io->size == 0 ? 0 : (io->offset + io->size - 1) / size - io->offset / size + 1;

	for (uint64_t i = 0; f->error == 0 && i < count; i++)
		answer_block(f, io, backwards ? count - 1 - i : i);
	driver_io_done(f->driver, io, (enum hvfs_error)(io->kind == IO_SYNC && f->sync_error != 0 ? f->sync_error : f->error));
}

static void
note_cpus(struct fixture *f)
{
	cpu_set_t set;
	int cpu = 0;

	CHECK(sched_getaffinity(0, sizeof(set), &set) == 0);
	while (!CPU_ISSET(cpu, &set))
		cpu++;
	f->cpu = cpu;
	f->cpus = CPU_COUNT(&set);
}

static void
on_submit(void *arg, struct io *io)
{
	struct fixture *f = arg;

	note_cpus(f);
	f->submits++;
	f->stream = io->stream;
	f->last_kind = (int)io->kind;
	if (io->kind == IO_SYNC)
		f->syncs++;
	if (io->kind == IO_ZERO)
		f->zeroes++;
	if (io->force_sync)
		f->forced++;
	if (io->kind != IO_ZERO && io->size > f->size_max)
		f->size_max = io->size;
	if (f->mode == ANSWER_NOW) {
		answer(f, io, false);
		return;
	}
	CHECK(f->held_count < HELD_MAX);
	f->held[f->held_count++] = io;
	if (f->mode == ANSWER_LATER)
		event_active(f->later, EV_TIMEOUT, 1);
	else
		sem_post(&f->submitted);
}

static void
on_later(evutil_socket_t fd, short what, void *arg)
{
	struct fixture *f = arg;

	while (f->held_count > 0)
		answer(f, f->held[--f->held_count], true);
}

static void
on_cancel(void *arg, struct io *io)
{
	struct fixture *f = arg;

	for (unsigned i = 0; i < f->held_count; i++) {
		if (f->held[i] != io)
			continue;
		f->held[i] = f->held[--f->held_count];
		driver_io_done(f->driver, io, ERR_CANCELLED);
		break;
	}
	f->cancels++;
	sem_post(&f->cancelled_sem);
}

static void
on_batch_end(void *arg)
{
}

static uint64_t
on_seek(void *arg, uint32_t volume, uint64_t offset, bool data)
{
	struct fixture *f = arg;
	uint32_t size = volumes[volume].block_size;
	uint64_t count = volumes[volume].size / size, block = offset / size;

	while (block < count && (f->blocks[volume][block] != buf_zero()) != data)
		block++;
	return block == offset / size ? offset : block * size;
}

static void
on_unmounted(void *arg)
{
	struct fixture *f = arg;

	f->unmounts++;
	sem_post(&f->unmounted_sem);
}

static void
on_detached(void *arg, const char *directory)
{
	struct fixture *f = arg;

	snprintf(f->detached, sizeof(f->detached), "%s", directory);
}

static const struct driver_callbacks callbacks = {on_submit, on_cancel,    on_batch_end,
						  on_seek,   on_unmounted, on_detached};

// The loop's thread.

typedef void (*command)(struct fixture *f);

static void
on_command(evutil_socket_t fd, short what, void *arg)
{
	struct fixture *f = arg;
	command function;

	CHECK(read(fd, &function, sizeof(function)) == sizeof(function));
	function(f);
	sem_post(&f->command_done);
}

static void
on_loop(command function)
{
	ck_assert_int_eq(write(fix->command[1], &function, sizeof(function)), sizeof(function));
	sem_wait(&fix->command_done);
}

static void *
run(void *arg)
{
	struct fixture *f = arg;

	event_base_dispatch(f->base);
	return NULL;
}

static void
command_stop(struct fixture *f)
{
	event_base_loopbreak(f->base);
}

static void
stop(void)
{
	if (!fix->running)
		return;
	on_loop(command_stop);
	pthread_join(fix->thread, NULL);
	fix->running = false;
}

static void
add_volume(uint32_t i)
{
	uint64_t count = volumes[i].size / volumes[i].block_size;

	fix->pools[i] = buf_pool_create(volumes[i].block_size);
	fix->blocks[i] = calloc(count, sizeof(struct buf *));
	for (uint64_t block = 0; block < count; block++)
		fix->blocks[i][block] = buf_zero();
	driver_add_volume(fix->driver, i, volumes[i].name, volumes[i].size, volumes[i].block_size,
			  volumes[i].read_only);
}

static struct driver *
mount_here(struct event_base *base, const char *directory, char *error, size_t error_size)
{
	struct driver_options options = {.directory = directory};

	return driver_create(base, &options, &callbacks, fix, error, error_size);
}

static void
setup(void)
{
	static struct event *command_event;
	char error[512];

	fix = calloc(1, sizeof(*fix));
	strcpy(fix->directory, "/tmp/hvfs-driver-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(fix->directory));
	sem_init(&fix->command_done, 0, 0);
	sem_init(&fix->submitted, 0, 0);
	sem_init(&fix->cancelled_sem, 0, 0);
	sem_init(&fix->unmounted_sem, 0, 0);
	fix->base = event_base_new();
	fix->driver = mount_here(fix->base, fix->directory, error, sizeof(error));
	ck_assert_msg(fix->driver != NULL, "%s", error);
	for (uint32_t i = 0; i + 1 < VOLUMES; i++)
		add_volume(i);
	ck_assert_int_eq(pipe(fix->command), 0);
	fix->later = event_new(fix->base, -1, 0, on_later, fix);
	command_event = event_new(fix->base, fix->command[0], EV_READ | EV_PERSIST, on_command, fix);
	event_add(command_event, NULL);
	pthread_create(&fix->thread, NULL, run, fix);
	fix->running = true;
}

static void
teardown(void)
{
	stop();
	driver_destroy(fix->driver);
	ck_assert_int_eq(rmdir(fix->directory), 0);
	for (uint32_t i = 0; i < VOLUMES; i++) {
		for (uint64_t block = 0; fix->blocks[i] != NULL && block < volumes[i].size / volumes[i].block_size;
		     block++)
			buf_unref(fix->blocks[i][block]);
		if (fix->pools[i] != NULL) {
			ck_assert_uint_eq(buf_pool_used(fix->pools[i]), 0);
			buf_pool_destroy(fix->pools[i]);
		}
		free(fix->blocks[i]);
	}
}

static const char *
path(const char *name)
{
	static char text[128];

	snprintf(text, sizeof(text), "%s/%s.img", fix->directory, name);
	return text;
}

static int
open_file(const char *name, int flags)
{
	int fd = open(path(name), flags | O_CLOEXEC);

	ck_assert_msg(fd >= 0, "%s: %s", path(name), strerror(errno));
	return fd;
}

static void *
page_memory(size_t size)
{
	void *memory;

	ck_assert_int_eq(posix_memalign(&memory, 4096, size), 0);
	return memory;
}

static uint32_t random_state = 12345;

static uint32_t
random_below(uint32_t limit)
{
	random_state = random_state * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)random_state * limit >> 32);
}

static void
random_fill(uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)random_below(256);
}

// Files have the size, mode and owner of their volume; a file that comes later is seen although it was asked for
// before.
static void
command_add_last(struct fixture *f)
{
	add_volume(VOLUMES - 1);
}

static unsigned
count_names(void)
{
	DIR *directory = opendir(fix->directory);
	unsigned count = 0;

	ck_assert_ptr_nonnull(directory);
	while (readdir(directory) != NULL)
		count++;
	closedir(directory);
	return count;
}

START_TEST(test_names)
{
	struct stat st;
	struct statvfs fs;

	for (unsigned i = 0; i + 1 < VOLUMES; i++) {
		ck_assert_int_eq(stat(path(volumes[i].name), &st), 0);
		ck_assert_int_eq(st.st_size, SIZE);
		ck_assert_int_eq(st.st_blocks, SIZE / 512);
		ck_assert_uint_eq(st.st_ino, i + 2);
		ck_assert_uint_eq(st.st_mode, S_IFREG | (volumes[i].read_only ? 0400 : 0600));
		ck_assert_uint_eq(st.st_uid, getuid());
	}
	ck_assert_uint_eq(count_names(), VOLUMES - 1 + 2);
	ck_assert_int_eq(stat(path("odd"), &st), -1);
	ck_assert_int_eq(errno, ENOENT);
	on_loop(command_add_last);
	ck_assert_int_eq(stat(path("odd"), &st), 0);
	ck_assert_int_eq(st.st_size, SIZE + 512);
	ck_assert_uint_eq(count_names(), VOLUMES + 2);
	ck_assert_int_eq(statvfs(fix->directory, &fs), 0);
	ck_assert_uint_eq(fs.f_blocks * fs.f_frsize, VOLUMES * (uint64_t)SIZE + 512);
}
END_TEST

// The size stays; mode and times are remembered; the directory and the names cannot be changed.
START_TEST(test_attributes)
{
	struct timespec times[2] = {{1000, 0}, {2000, 0}};
	struct stat st;

	ck_assert_int_eq(truncate(path("page"), SIZE), 0);
	ck_assert_int_eq(truncate(path("page"), SIZE / 2), -1);
	ck_assert_int_eq(errno, EPERM);
	ck_assert_int_eq(truncate(path("page"), SIZE * 2), -1);
	ck_assert_int_eq(errno, EFBIG);
	ck_assert_int_eq(chmod(path("page"), 0640), 0);
	ck_assert_int_eq(utimensat(AT_FDCWD, path("page"), times, 0), 0);
	ck_assert_int_eq(stat(path("page"), &st), 0);
	ck_assert_uint_eq(st.st_mode, S_IFREG | 0640);
	ck_assert_int_eq(st.st_mtime, 2000);
	ck_assert_int_eq(st.st_size, SIZE);
	ck_assert_int_eq(unlink(path("page")), -1);
	ck_assert_int_eq(open(path("other"), O_CREAT | O_RDWR, 0600), -1);
}
END_TEST

// O_TRUNC takes the content, not the size; then a smaller size is accepted where nothing was written beyond it (cp of a
// sparse file sets it last), and the content stays as written.
START_TEST(test_truncate)
{
	uint8_t bytes[MIB];
	int fd = open_file("page", O_RDWR);

	fix->mode = _i == 1 ? ANSWER_LATER : ANSWER_NOW;
	memset(bytes, 7, MIB);
	ck_assert_int_eq(pwrite(fd, bytes, MIB, MIB), MIB);
	close(fd);
	ck_assert_int_eq(fix->syncs, 1);
	fd = open_file("page", O_RDWR | O_TRUNC);
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), SIZE);
	ck_assert_int_eq(lseek(fd, 0, SEEK_DATA), -1);
	ck_assert_int_eq(pread(fd, bytes, MIB, MIB), MIB);
	ck_assert_int_eq(bytes[0] + bytes[MIB - 1], 0);
	close(fd); // to truncate is to write
	ck_assert_int_eq(fix->syncs, 2);
	fd = open_file("page", O_RDWR);
	ck_assert_int_eq(pwrite(fd, "hello", 5, 8192), 5);
	ck_assert_int_eq(ftruncate(fd, 20000), 0);
	ck_assert_int_eq(ftruncate(fd, 8196), -1);
	ck_assert_int_eq(errno, EPERM);
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), SIZE);
	ck_assert_int_eq(pread(fd, bytes, 5, 8192), 5);
	ck_assert_int_eq(memcmp(bytes, "hello", 5), 0);
	close(fd);
	ck_assert_int_eq(truncate(path("fixed"), 0), -1);
}
END_TEST

// Reads and writes of any offset and size agree with a model, for a small and a page-sized block.
static void
check_against_model(const char *name)
{
	uint8_t *model = calloc(1, SIZE), *bytes = malloc(MIB);
	int fd = open_file(name, O_RDWR);

	for (int i = 0; i < 400; i++) {
		uint32_t size = 1 + random_below(i % 8 == 0 ? MIB : 10000), offset = random_below(SIZE - size);

		if (random_below(2) == 0) {
			random_fill(bytes, size < 5000 ? size : 5000);
			ck_assert_int_eq(pwrite(fd, bytes, size, offset), size);
			memcpy(model + offset, bytes, size);
		} else {
			ck_assert_int_eq(pread(fd, bytes, size, offset), size);
			ck_assert_int_eq(memcmp(bytes, model + offset, size), 0);
		}
	}
	for (uint32_t offset = 0; offset < SIZE; offset += MIB) {
		ck_assert_int_eq(pread(fd, bytes, MIB, offset), MIB);
		ck_assert_int_eq(memcmp(bytes, model + offset, MIB), 0);
	}
	close(fd);
	free(model);
	free(bytes);
}

START_TEST(test_model)
{
	fix->mode = _i & 1 ? ANSWER_LATER : ANSWER_NOW;
	check_against_model(_i & 2 ? "page" : "small");
}
END_TEST

// A 1 MiB O_DIRECT request arrives whole, and its 2048 blocks (more than one writev takes) come back in order.
START_TEST(test_direct)
{
	uint8_t *out = page_memory(MIB), *in = page_memory(MIB);
	int fd = open_file(_i & 2 ? "page" : "small", O_RDWR | O_DIRECT);

	fix->mode = _i & 1 ? ANSWER_LATER : ANSWER_NOW;
	random_fill(out, MIB);
	ck_assert_int_eq(pwrite(fd, out, MIB, MIB), MIB);
	ck_assert_uint_eq(fix->size_max, MIB);
	ck_assert_int_eq(pread(fd, in, MIB, MIB), MIB);
	ck_assert_int_eq(memcmp(in, out, MIB), 0);
	ck_assert_int_eq(pread(fd, in, MIB, MIB + 512), MIB);
	ck_assert_int_eq(memcmp(in, out + 512, MIB - 512), 0);
	close(fd);
	free(out);
	free(in);
}
END_TEST

// Several large writes wait at once: each keeps its own bytes although the receive buffer is used again.
static void *
write_mib(void *arg)
{
	uint32_t index = (uint32_t)(uintptr_t)arg;
	int fd = open_file("page", O_WRONLY);
	uint8_t *bytes = malloc(MIB);

	for (int i = 0; i < 20; i++) {
		memset(bytes, (int)(index * 20) + i + 1, MIB);
		CHECK(pwrite(fd, bytes, i % 2 == 0 ? MIB : 4096, (off_t)index * MIB) > 0);
	}
	free(bytes);
	close(fd);
	return NULL;
}

START_TEST(test_parallel_writes)
{
	pthread_t threads[4];
	uint8_t *bytes = malloc(MIB);
	int fd;

	fix->mode = ANSWER_LATER;
	for (uintptr_t i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, write_mib, (void *)i);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	fd = open_file("page", O_RDONLY);
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(pread(fd, bytes, MIB, i * MIB), MIB);
		for (int at = 0; at < MIB; at++)
			if (bytes[at] != i * 20 + (at < 4096 ? 20 : 19))
				ck_abort_msg("MiB %d, byte %d is %d", i, at, bytes[at]);
	}
	close(fd);
	free(bytes);
}
END_TEST

// Across the end: short. At the end: nothing to read, no space to write.
START_TEST(test_end)
{
	uint8_t bytes[8192] = {1};
	int fd = open_file("small", O_RDWR);

	ck_assert_int_eq(pread(fd, bytes, 8192, SIZE - 100), 100);
	ck_assert_int_eq(pread(fd, bytes, 8192, SIZE), 0);
	ck_assert_int_eq(pread(fd, bytes, 8192, (off_t)SIZE * 1000), 0);
	ck_assert_int_eq(pwrite(fd, bytes, 8192, SIZE - 100), 100);
	ck_assert_int_eq(pwrite(fd, bytes, 8192, SIZE), -1);
	ck_assert_int_eq(errno, ENOSPC);
	ck_assert_int_eq(pwrite(fd, bytes, 8192, (off_t)SIZE * 1000), -1);
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), SIZE);
	close(fd);
}
END_TEST

// Holes are made by punching and zeroing, at any byte, and found by seeking.
START_TEST(test_holes)
{
	uint8_t bytes[MIB];
	int fd = open_file("page", O_RDWR), punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

	fix->mode = _i == 1 ? ANSWER_LATER : ANSWER_NOW;
	memset(bytes, 7, MIB);
	ck_assert_int_eq(lseek(fd, 0, SEEK_DATA), -1);
	ck_assert_int_eq(errno, ENXIO);
	ck_assert_int_eq(pwrite(fd, bytes, MIB, MIB), MIB);
	ck_assert_int_eq(lseek(fd, 0, SEEK_DATA), MIB);
	ck_assert_int_eq(lseek(fd, MIB + 5, SEEK_DATA), MIB + 5);
	ck_assert_int_eq(lseek(fd, MIB, SEEK_HOLE), 2 * MIB);
	ck_assert_int_eq(fallocate(fd, punch, MIB + 100, 20000), 0);
	ck_assert_int_eq(lseek(fd, MIB, SEEK_HOLE), MIB + 4096);
	ck_assert_int_eq(pread(fd, bytes, 30000, MIB), 30000);
	for (int i = 0; i < 30000; i++)
		if (bytes[i] != (i >= 100 && i < 20100 ? 0 : 7))
			ck_abort_msg("byte %d is %d", i, bytes[i]);
	ck_assert_int_eq(fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, SIZE), 0);
	ck_assert_int_eq(lseek(fd, 0, SEEK_DATA), -1);
	ck_assert_int_eq(fix->zeroes, 2);
	ck_assert_int_eq(fallocate(fd, 0, 0, SIZE), 0);
	ck_assert_int_eq(fallocate(fd, 0, 0, SIZE + 1), -1);
	ck_assert_int_eq(errno, ENOSPC);
	ck_assert_int_eq(fallocate(fd, punch, SIZE - 4096, MIB), 0);
	ck_assert_int_eq(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, 4096), -1);
	close(fd);
}
END_TEST

START_TEST(test_read_only)
{
	uint8_t bytes[4096];
	int fd = open_file("fixed", O_RDONLY);

	ck_assert_int_eq(pread(fd, bytes, 4096, 0), 4096);
	ck_assert_int_eq(fsync(fd), 0);
	close(fd);
	ck_assert_int_eq(fix->syncs, 0);
	// The mode 0400 stops an ordinary user before us.
	ck_assert_int_eq(open(path("fixed"), O_RDWR), -1);
	ck_assert_int_eq(errno, geteuid() == 0 ? EROFS : EACCES);
	ck_assert_int_eq(open(path("fixed"), O_WRONLY), -1);
	ck_assert_int_eq(errno, geteuid() == 0 ? EROFS : EACCES);
}
END_TEST

// fsync, and the close of an opener that has written, are synchronisations; a reader's close is none.
START_TEST(test_sync)
{
	int writer = open_file("small", O_RDWR), reader = open_file("small", O_RDONLY);

	fix->mode = _i == 1 ? ANSWER_LATER : ANSWER_NOW;
	ck_assert_int_eq(fsync(reader), 0);
	ck_assert_int_eq(fix->syncs, 1);
	ck_assert_int_eq(pwrite(writer, "x", 1, 0), 1);
	ck_assert_int_eq(fix->forced, 0);
	close(reader);
	ck_assert_int_eq(fix->syncs, 1);
	ck_assert_int_eq(fdatasync(writer), 0);
	ck_assert_int_eq(fix->syncs, 2);
	close(writer);
	ck_assert_int_eq(fix->syncs, 2);
	writer = open_file("small", O_RDWR);
	ck_assert_int_eq(fallocate(writer, FALLOC_FL_ZERO_RANGE, 0, 1), 0);
	ck_assert_int_eq(close(writer), 0);
	ck_assert_int_eq(fix->syncs, 3);
}
END_TEST

// A write of an O_SYNC or O_DSYNC opener, or with RWF_DSYNC, is answered after a synchronisation that began after it; a
// close has nothing more to do then. The same for a hole.
START_TEST(test_synchronous)
{
	static const int flags[] = {O_DSYNC, O_SYNC, 0};
	size_t size = _i / 3 == 1 ? MIB : 10;
	uint8_t *out = page_memory(MIB), *in = page_memory(MIB);
	struct iovec iov = {out, size};
	int fd = open_file("page", O_RDWR | flags[_i % 3]);

	fix->mode = _i / 3 == 0 ? ANSWER_NOW : ANSWER_LATER;
	random_fill(out, size);
	ck_assert_int_eq(pwritev2(fd, &iov, 1, 5, flags[_i % 3] == 0 ? RWF_DSYNC : 0), (ssize_t)size);
	ck_assert_int_eq(fix->syncs, 1);
	ck_assert_int_eq(fix->last_kind, IO_SYNC);
	ck_assert_int_eq(fix->forced, 0);
	ck_assert_int_eq(pread(fd, in, size, 5), (ssize_t)size);
	ck_assert_int_eq(memcmp(in, out, size), 0);
	if (flags[_i % 3] != 0) {
		ck_assert_int_eq(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 8192), 0);
		ck_assert_int_eq(fix->syncs, 2);
		ck_assert_int_eq(fix->last_kind, IO_SYNC);
	}
	ck_assert_int_eq(close(fd), 0);
	ck_assert_int_eq(fix->syncs, flags[_i % 3] != 0 ? 2 : 1);
	free(out);
	free(in);
}
END_TEST

// A synchronisation that fails fails the write, and the close tries again. A write that fails asks for none.
START_TEST(test_synchronous_errors)
{
	int fd = open_file("small", O_RDWR | O_DSYNC), again;

	fix->mode = _i == 1 ? ANSWER_LATER : ANSWER_NOW;
	fix->sync_error = ERR_IO;
	ck_assert_int_eq(pwrite(fd, "x", 1, 0), -1);
	ck_assert_int_eq(errno, EIO);
	again = dup(fd);
	ck_assert_int_eq(close(again), -1);
	ck_assert_int_eq(errno, EIO);
	ck_assert_int_eq(fix->syncs, 2);
	fix->sync_error = 0;
	fix->error = ERR_NO_SPACE;
	ck_assert_int_eq(pwrite(fd, "x", 1, 0), -1);
	ck_assert_int_eq(errno, ENOSPC);
	ck_assert_int_eq(fix->syncs, 2);
	fix->error = 0;
	ck_assert_int_eq(close(fd), 0);
	ck_assert_int_eq(fix->syncs, 3);
}
END_TEST

// A write that is under way while another one of its opener is synchronised is not forgotten by the close. (The kernel
// itself keeps fsync and close apart from writes; two writes run at once since Linux 6.2.)
static bool
writes_are_parallel(void)
{
	struct utsname name;
	int major = 0, minor = 0;

	uname(&name);
	return sscanf(name.release, "%d.%d", &major, &minor) == 2 && (major > 6 || (major == 6 && minor >= 2));
}

static void *
write_byte(void *arg)
{
	CHECK(pwrite(*(int *)arg, "x", 1, 0) == 1);
	return NULL;
}

static void
command_answer(struct fixture *f)
{
	on_later(-1, 0, f);
}

START_TEST(test_write_across_sync)
{
	int fd = open_file("small", O_RDWR);
	struct iovec iov = {(void *)"y", 1};
	pthread_t writer;

	if (!writes_are_parallel())
		return;
	fix->mode = ANSWER_NEVER;
	pthread_create(&writer, NULL, write_byte, &fd);
	sem_wait(&fix->submitted);
	fix->mode = ANSWER_NOW;
	ck_assert_int_eq(pwritev2(fd, &iov, 1, 1, RWF_DSYNC), 1);
	ck_assert_int_eq(fix->syncs, 1);
	on_loop(command_answer);
	pthread_join(writer, NULL);
	ck_assert_int_eq(close(fd), 0);
	ck_assert_int_eq(fix->syncs, 2);
}
END_TEST

// The core's errors arrive as errno; a failed flush is tried again.
START_TEST(test_errors)
{
	uint8_t byte = 1;
	int fd = open_file("small", O_RDWR), again;

	fix->error = ERR_NO_SPACE;
	ck_assert_int_eq(pwrite(fd, &byte, 1, 0), -1);
	ck_assert_int_eq(errno, ENOSPC);
	fix->error = ERR_TIMED_OUT;
	ck_assert_int_eq(pread(fd, &byte, 1, 0), -1);
	ck_assert_int_eq(errno, ETIMEDOUT);
	fix->error = ERR_LOST;
	again = dup(fd);
	ck_assert_int_eq(close(again), -1);
	ck_assert_int_eq(errno, EIO);
	fix->error = 0;
	ck_assert_int_eq(close(fd), 0);
	ck_assert_int_eq(fix->syncs, 2);
}
END_TEST

// Sequential reads of one opener are told from those of another.
START_TEST(test_streams)
{
	uint8_t byte;
	int one = open_file("small", O_RDONLY), two = open_file("small", O_RDONLY);
	uint32_t stream;

	ck_assert_int_eq(pread(one, &byte, 1, 0), 1);
	stream = fix->stream;
	ck_assert_int_eq(pread(two, &byte, 1, 0), 1);
	ck_assert_uint_ne(fix->stream, stream);
	ck_assert_int_eq(pread(one, &byte, 1, 1), 1);
	ck_assert_uint_eq(fix->stream, stream);
	close(one);
	close(two);
}
END_TEST

// A lone synchronous client is followed to its CPU; a second one ends that.
static void *
read_once(void *arg)
{
	uint8_t byte;

	CHECK(pread(*(int *)arg, &byte, 1, 0) == 1);
	return NULL;
}

START_TEST(test_placement)
{
	int fd = open_file("small", O_RDONLY), allowed, last = 0;
	cpu_set_t set;
	pthread_t other;

	read_once(&fd);
	allowed = fix->cpus;
	ck_assert_int_eq(sched_getaffinity(0, sizeof(set), &set), 0);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &set))
			last = cpu;
	CPU_ZERO(&set);
	CPU_SET(last, &set);
	ck_assert_int_eq(sched_setaffinity(0, sizeof(set), &set), 0);
	for (int i = 0; i < 100000 && (fix->cpus != 1 || fix->cpu != last); i++)
		read_once(&fd);
	ck_assert_int_eq(fix->cpus, 1);
	ck_assert_int_eq(fix->cpu, last);
	pthread_create(&other, NULL, read_once, &fd);
	pthread_join(other, NULL);
	ck_assert_int_eq(fix->cpus, allowed);
	close(fd);
}
END_TEST

// A private mapping reads the file.
START_TEST(test_mmap)
{
	int fd = open_file("page", O_RDWR);
	uint8_t *bytes;

	ck_assert_int_eq(pwrite(fd, "hello", 5, 12345), 5);
	bytes = mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE, fd, 0);
	ck_assert(bytes != MAP_FAILED);
	ck_assert_int_eq(memcmp(bytes + 12345, "hello", 5), 0);
	ck_assert_int_eq(bytes[SIZE - 1], 0);
	munmap(bytes, SIZE);
	close(fd);
}
END_TEST

// What a child process does: exits with the errno of its read or write.
static pid_t
fork_client(bool write)
{
	pid_t pid = fork();
	uint8_t byte = 1;
	int fd;

	ck_assert_int_ge(pid, 0);
	if (pid > 0)
		return pid;
	close_range(3, ~0U, 0); // a client does not hold the daemon's /dev/fuse open
	fd = open(path("small"), O_RDWR);
	if ((write ? pwrite(fd, &byte, 1, 0) : pread(fd, &byte, 1, 0)) < 0)
		_exit(errno);
	_exit(0);
}

// A killed client's request is cancelled, the client goes away, and the mount goes on serving others.
START_TEST(test_killed_client)
{
	pid_t pid;
	int status, fd;
	uint8_t byte;

	fix->mode = ANSWER_NEVER;
	pid = fork_client(_i == 1);
	sem_wait(&fix->submitted);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	sem_wait(&fix->cancelled_sem);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status));
	fix->mode = ANSWER_NOW;
	fd = open_file("small", O_RDONLY);
	ck_assert_int_eq(pread(fd, &byte, 1, 0), 1);
	close(fd);
	ck_assert_int_ge(fix->cancels, 1); // the write's flush is cancelled too
}
END_TEST

// A signal that does not kill ends no request; one that kills does, also after the other. (Opening a file makes the kernel
// send what it has: the interrupt has come when some of that is done.)
static void
ignore_signal(int number)
{
}

START_TEST(test_signal)
{
	struct sigaction action = {.sa_handler = ignore_signal}; // no SA_RESTART
	pid_t pid;
	int status;

	ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
	fix->mode = ANSWER_NEVER;
	pid = fork_client(_i & 1);
	sem_wait(&fix->submitted);
	fix->mode = ANSWER_NOW;
	ck_assert_int_eq(kill(pid, SIGUSR1), 0);
	for (int i = 0; i < 200; i++)
		close(open_file("page", O_RDONLY));
	ck_assert_int_eq(fix->cancels, 0);
	if (_i & 2) {
		ck_assert_int_eq(kill(pid, SIGKILL), 0);
		sem_wait(&fix->cancelled_sem);
	} else {
		on_loop(command_answer);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(_i & 2 ? WIFSIGNALED(status) : WIFEXITED(status) && WEXITSTATUS(status) == 0);
	ck_assert_int_eq(fix->cancels, _i & 2 ? 1 : 0);
}
END_TEST

// What waits when the driver ends gets EIO, and the mount is gone although the file is open.
START_TEST(test_destroy_pending)
{
	struct stat before, after;
	pid_t pid;
	int status;

	fix->mode = ANSWER_NEVER;
	pid = fork_client(true);
	sem_wait(&fix->submitted);
	stop();
	ck_assert_uint_eq(driver_pending(fix->driver), 1);
	driver_destroy(fix->driver);
	fix->driver = NULL;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), EIO);
	ck_assert_int_eq(stat(fix->directory, &before), 0);
	ck_assert_int_eq(stat("/tmp", &after), 0);
	ck_assert_uint_eq(before.st_dev, after.st_dev);
}
END_TEST

static void
unmount(const char *directory)
{
	char text[128];

	snprintf(text, sizeof(text), "fusermount3 -u '%s'", directory);
	ck_assert_int_eq(geteuid() == 0 ? umount2(directory, 0) : system(text), 0);
}

// An unmount by somebody else is told once.
START_TEST(test_unmounted)
{
	unmount(fix->directory);
	sem_wait(&fix->unmounted_sem);
	stop();
	ck_assert_int_eq(fix->unmounts, 1);
}
END_TEST

// A second mount, a missing directory and a file are refused with a sentence that names them.
static void
refused(const char *directory, const char *why)
{
	struct event_base *base = event_base_new();
	char error[512] = "";

	ck_assert_ptr_null(mount_here(base, directory, error, sizeof(error)));
	ck_assert_msg(strstr(error, directory) != NULL, "%s", error);
	ck_assert_msg(strstr(error, why) != NULL, "%s", error);
	event_base_free(base);
}

START_TEST(test_refused)
{
	refused(fix->directory, "already");
	refused("/tmp/hvfs-no-such-directory", "does not exist");
	refused("/etc/passwd", "not a directory");
	ck_assert_int_eq(fix->submits, 0);
}
END_TEST

// A mount whose server died is taken away; one whose server lives but does not answer is not.
static pid_t
fork_server(const char *directory, bool stay)
{
	char error[512], byte;
	int fds[2];
	pid_t pid;

	ck_assert_int_eq(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		bool ok = mount_here(event_base_new(), directory, error, sizeof(error)) != NULL;

		if (write(fds[1], &ok, 1) == 1 && stay)
			pause();
		_exit(!ok); // never answers INIT, never unmounts
	}
	ck_assert_int_eq(read(fds[0], &byte, 1), 1);
	ck_assert_int_eq(byte, 1);
	close(fds[0]);
	close(fds[1]);
	return pid;
}

START_TEST(test_dead_mount)
{
	char directory[] = "/tmp/hvfs-driver-dead-XXXXXX", error[512] = "";
	struct event_base *base = event_base_new();
	struct driver *driver;
	struct stat before, after;
	pid_t pid;

	ck_assert_ptr_nonnull(mkdtemp(directory));
	ck_assert_int_eq(stat(directory, &before), 0);
	pid = fork_server(directory, false);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert_int_eq(stat(directory, &after), -1);
	driver = mount_here(base, directory, error, sizeof(error));
	ck_assert_msg(driver != NULL, "%s", error);
	ck_assert_str_eq(fix->detached, directory);
	driver_destroy(driver);
	event_base_free(base);
	// Nothing is left, neither below nor above.
	ck_assert_int_eq(stat(directory, &after), 0);
	ck_assert_uint_eq(after.st_dev, before.st_dev);
	ck_assert_uint_eq(after.st_ino, before.st_ino);
	ck_assert_int_eq(rmdir(directory), 0);
}
END_TEST

START_TEST(test_hanging_mount)
{
	char directory[] = "/tmp/hvfs-driver-hang-XXXXXX";
	pid_t pid;

	ck_assert_ptr_nonnull(mkdtemp(directory));
	pid = fork_server(directory, true);
	refused(directory, "fusermount3 -u");
	ck_assert_str_eq(fix->detached, "");
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	unmount(directory);
	ck_assert_int_eq(rmdir(directory), 0);
}
END_TEST

// True when mounts work here; else says why not.
static bool
can_mount(void)
{
	struct fixture none = {0};
	char directory[] = "/tmp/hvfs-driver-probe-XXXXXX", error[512] = "";
	struct event_base *base = event_base_new();
	struct driver *driver;
	bool skip;

	CHECK(mkdtemp(directory) != NULL);
	fix = &none;
	driver = mount_here(base, directory, error, sizeof(error));
	driver_destroy(driver);
	event_base_free(base);
	rmdir(directory);
	// Only what the machine denies is a reason to skip.
	skip = driver == NULL && (strstr(error, "/dev/fuse") || strstr(error, "ermi") || strstr(error, "fusermount3"));
	if (skip)
		printf("skipped: %s\n", error);
	return !skip;
}

int
main(void)
{
	Suite *suite = suite_create("driver");
	TCase *tcase = tcase_create("mount");
	SRunner *runner;
	int failed;

	if (!can_mount())
		return 77;
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, test_names);
	tcase_add_test(tcase, test_attributes);
	tcase_add_loop_test(tcase, test_truncate, 0, 2);
	tcase_add_loop_test(tcase, test_model, 0, 4);
	tcase_add_loop_test(tcase, test_direct, 0, 4);
	tcase_add_test(tcase, test_parallel_writes);
	tcase_add_test(tcase, test_end);
	tcase_add_loop_test(tcase, test_holes, 0, 2);
	tcase_add_test(tcase, test_read_only);
	tcase_add_loop_test(tcase, test_sync, 0, 2);
	tcase_add_loop_test(tcase, test_synchronous, 0, 6);
	tcase_add_loop_test(tcase, test_synchronous_errors, 0, 2);
	tcase_add_test(tcase, test_write_across_sync);
	tcase_add_test(tcase, test_errors);
	tcase_add_test(tcase, test_streams);
	tcase_add_test(tcase, test_placement);
	tcase_add_test(tcase, test_mmap);
	tcase_add_loop_test(tcase, test_killed_client, 0, 2);
	tcase_add_loop_test(tcase, test_signal, 0, 4);
	tcase_add_test(tcase, test_destroy_pending);
	tcase_add_test(tcase, test_unmounted);
	tcase_add_test(tcase, test_refused);
	tcase_add_test(tcase, test_dead_mount);
	tcase_add_test(tcase, test_hanging_mount);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
