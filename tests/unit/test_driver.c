// SPDX-License-Identifier: MIT
// fuse/driver.c on a real mount: what files, reads, writes, holes and synchronisations do.
#include "driver_help.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "core/check.h"

// Files have the size, mode and owner of their volume; a file that comes later is seen although it was asked for
// before.
static void
command_add_last(struct fixture *f)
{
	help_add_volume(VOLUMES - 1);
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
		ck_assert_int_eq(stat(help_path(help_volumes[i].name), &st), 0);
		ck_assert_int_eq(st.st_size, SIZE);
		ck_assert_int_eq(st.st_blocks, SIZE / 512);
		ck_assert_uint_eq(st.st_ino, i + 2);
		ck_assert_uint_eq(st.st_mode, S_IFREG | (help_volumes[i].read_only ? 0400 : 0600));
		ck_assert_uint_eq(st.st_uid, getuid());
	}
	ck_assert_uint_eq(count_names(), VOLUMES - 1 + 2);
	ck_assert_int_eq(stat(help_path("odd"), &st), -1);
	ck_assert_int_eq(errno, ENOENT);
	help_on_loop(command_add_last);
	ck_assert_int_eq(stat(help_path("odd"), &st), 0);
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

	ck_assert_int_eq(truncate(help_path("page"), SIZE), 0);
	ck_assert_int_eq(truncate(help_path("page"), SIZE / 2), -1);
	ck_assert_int_eq(errno, EPERM);
	ck_assert_int_eq(truncate(help_path("page"), SIZE * 2), -1);
	ck_assert_int_eq(errno, EFBIG);
	ck_assert_int_eq(chmod(help_path("page"), 0640), 0);
	ck_assert_int_eq(utimensat(AT_FDCWD, help_path("page"), times, 0), 0);
	ck_assert_int_eq(stat(help_path("page"), &st), 0);
	ck_assert_uint_eq(st.st_mode, S_IFREG | 0640);
	ck_assert_int_eq(st.st_mtime, 2000);
	ck_assert_int_eq(st.st_size, SIZE);
	ck_assert_int_eq(unlink(help_path("page")), -1);
	ck_assert_int_eq(open(help_path("other"), O_CREAT | O_RDWR, 0600), -1);
}
END_TEST

// O_TRUNC takes the content, not the size; then a smaller size is accepted where nothing was written beyond it (cp of a
// sparse file sets it last), and the content stays as written.
START_TEST(test_truncate)
{
	uint8_t bytes[MIB];
	int fd = help_open("page", O_RDWR);

	fix->mode = _i == 1 ? ANSWER_LATER : ANSWER_NOW;
	memset(bytes, 7, MIB);
	ck_assert_int_eq(pwrite(fd, bytes, MIB, MIB), MIB);
	close(fd);
	ck_assert_int_eq(fix->syncs, 1);
	fd = help_open("page", O_RDWR | O_TRUNC);
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), SIZE);
	ck_assert_int_eq(lseek(fd, 0, SEEK_DATA), -1);
	ck_assert_int_eq(pread(fd, bytes, MIB, MIB), MIB);
	ck_assert_int_eq(bytes[0] + bytes[MIB - 1], 0);
	close(fd); // to truncate is to write
	ck_assert_int_eq(fix->syncs, 2);
	fd = help_open("page", O_RDWR);
	ck_assert_int_eq(pwrite(fd, "hello", 5, 8192), 5);
	ck_assert_int_eq(ftruncate(fd, 20000), 0);
	ck_assert_int_eq(ftruncate(fd, 8196), -1);
	ck_assert_int_eq(errno, EPERM);
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), SIZE);
	ck_assert_int_eq(pread(fd, bytes, 5, 8192), 5);
	ck_assert_int_eq(memcmp(bytes, "hello", 5), 0);
	close(fd);
	ck_assert_int_eq(truncate(help_path("fixed"), 0), -1);
}
END_TEST

// Reads and writes of any offset and size agree with a model, for a small and a page-sized block.
static void
check_against_model(const char *name)
{
	uint8_t *model = calloc(1, SIZE), *bytes = malloc(MIB);
	int fd = help_open(name, O_RDWR);

	for (int i = 0; i < 400; i++) {
		uint32_t size = 1 + help_random_below(i % 8 == 0 ? MIB : 10000);
		uint32_t offset = help_random_below(SIZE - size);

		if (help_random_below(2) == 0) {
			help_random_fill(bytes, size < 5000 ? size : 5000);
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
	uint8_t *out = help_page_memory(MIB), *in = help_page_memory(MIB);
	int fd = help_open(_i & 2 ? "page" : "small", O_RDWR | O_DIRECT);

	fix->mode = _i & 1 ? ANSWER_LATER : ANSWER_NOW;
	help_random_fill(out, MIB);
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
	int fd = help_open("page", O_WRONLY);
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
	fd = help_open("page", O_RDONLY);
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
	int fd = help_open("small", O_RDWR);

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
	int fd = help_open("page", O_RDWR), punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

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
	int fd = help_open("fixed", O_RDONLY);

	ck_assert_int_eq(pread(fd, bytes, 4096, 0), 4096);
	ck_assert_int_eq(fsync(fd), 0);
	close(fd);
	ck_assert_int_eq(fix->syncs, 0);
	// The mode 0400 stops an ordinary user before us.
	ck_assert_int_eq(open(help_path("fixed"), O_RDWR), -1);
	ck_assert_int_eq(errno, geteuid() == 0 ? EROFS : EACCES);
	ck_assert_int_eq(open(help_path("fixed"), O_WRONLY), -1);
	ck_assert_int_eq(errno, geteuid() == 0 ? EROFS : EACCES);
}
END_TEST

// fsync, and the close of an opener that has written, are synchronisations; a reader's close is none.
START_TEST(test_sync)
{
	int writer = help_open("small", O_RDWR), reader = help_open("small", O_RDONLY);

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
	writer = help_open("small", O_RDWR);
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
	uint8_t *out = help_page_memory(MIB), *in = help_page_memory(MIB);
	struct iovec iov = {out, size};
	int fd = help_open("page", O_RDWR | flags[_i % 3]);

	fix->mode = _i / 3 == 0 ? ANSWER_NOW : ANSWER_LATER;
	help_random_fill(out, size);
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
	int fd = help_open("small", O_RDWR | O_DSYNC), again;

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

START_TEST(test_write_across_sync)
{
	int fd = help_open("small", O_RDWR);
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
	help_on_loop(help_answer_held);
	pthread_join(writer, NULL);
	ck_assert_int_eq(close(fd), 0);
	ck_assert_int_eq(fix->syncs, 2);
}
END_TEST

// The core's errors arrive as errno; a failed flush is tried again.
START_TEST(test_errors)
{
	uint8_t byte = 1;
	int fd = help_open("small", O_RDWR), again;

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
	int one = help_open("small", O_RDONLY), two = help_open("small", O_RDONLY);
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

// Returns its number.
static int
bind_to_last_cpu(void)
{
	int last = 0;
	cpu_set_t set;

	ck_assert_int_eq(sched_getaffinity(0, sizeof(set), &set), 0);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &set))
			last = cpu;
	CPU_ZERO(&set);
	CPU_SET(last, &set);
	ck_assert_int_eq(sched_setaffinity(0, sizeof(set), &set), 0);
	return last;
}

START_TEST(test_placement)
{
	int fd = help_open("small", O_RDONLY), allowed, last;
	pthread_t other;

	read_once(&fd);
	allowed = fix->cpus;
	last = bind_to_last_cpu();
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

static void
answer_now(struct fixture *f)
{
	f->mode = ANSWER_NOW;
}

// A client one of whose requests waits has more than one under way, though the others come one by one and are answered
// at once: it is not followed until that is over.
START_TEST(test_placement_of_who_waits)
{
	int fd = help_open("small", O_RDONLY | O_DIRECT), allowed;
	void *bytes = help_page_memory(4096);
	aio_context_t aio = 0;
	struct iocb read = {.aio_fildes = (uint32_t)fd, .aio_lio_opcode = IOCB_CMD_PREAD, .aio_buf = (uintptr_t)bytes,
			    .aio_nbytes = 4096};
	struct iocb *list[] = {&read};
	struct io_event ended;
	bool followed = false;

	read_once(&fd);
	allowed = fix->cpus;
	bind_to_last_cpu();
	fix->mode = ANSWER_NEVER;
	ck_assert_int_eq(syscall(SYS_io_setup, 1, &aio), 0);
	ck_assert_int_eq(syscall(SYS_io_submit, aio, 1, list), 1);
	sem_wait(&fix->submitted);
	help_on_loop(answer_now);
	for (int i = 0; i < 1000; i++) {
		read_once(&fd);
		followed |= fix->cpus != allowed;
	}
	help_on_loop(help_answer_held);
	ck_assert_int_eq(syscall(SYS_io_getevents, aio, 1, 1, &ended, NULL), 1);
	for (int i = 0; i < 100000 && fix->cpus != 1; i++)
		read_once(&fd);
	syscall(SYS_io_destroy, aio);
	close(fd); // before anything is asserted: a process that serves its own files can not end with one open
	ck_assert_int_eq(ended.res, 4096);
	ck_assert(!followed);
	ck_assert_int_eq(fix->cpus, 1);
	free(bytes);
}
END_TEST

// A private mapping reads the file.
START_TEST(test_mmap)
{
	int fd = help_open("page", O_RDWR);
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

int
main(void)
{
	Suite *suite = suite_create("driver");
	TCase *tcase = tcase_create("mount");
	SRunner *runner;
	int failed;

	if (!help_can_mount())
		return 77;
	tcase_add_checked_fixture(tcase, help_setup, help_teardown);
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
	tcase_add_test(tcase, test_placement_of_who_waits);
	tcase_add_test(tcase, test_mmap);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
