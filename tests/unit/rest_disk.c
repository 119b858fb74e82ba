// SPDX-License-Identifier: MIT
#include "tests/unit/rest_disk.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECTOR = 512, FILES = 2 };

// A sector that was written, or (size 0) a sync.
struct step {
	int file; // 0: the storage
	off_t offset;
	uint8_t bytes[SECTOR];
	size_t size;
	size_t number; // of the call it belongs to
};

char rest_disk_spec[64], rest_disk_seals[96];
static char directory[] = "/tmp/test_rest.XXXXXX";
static int files[FILES] = {-1, -1}; // that are recorded
static uint8_t *before[FILES]; // content of the files when the recording began
static size_t sizes[FILES];
static struct step *steps;
static size_t step_count, step_capacity, calls;

ssize_t __real_pwrite64(int fd, const void *bytes, size_t size, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *bytes, size_t size, off_t offset);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

static struct step *
add(int file)
{
	if (step_count == step_capacity) {
		step_capacity = step_capacity * 2 + 64;
		steps = realloc(steps, step_capacity * sizeof(*steps));
		ck_assert_ptr_nonnull(steps);
	}
	steps[step_count] = (struct step){.file = file, .number = calls};
	return &steps[step_count++];
}

static int
file_of(int fd)
{
	for (int i = 0; i < FILES; i++)
		if (fd >= 0 && files[i] == fd)
			return i;
	return -1;
}

ssize_t
__wrap_pwrite64(int fd, const void *bytes, size_t size, off_t offset)
{
	int file = file_of(fd);

	for (size_t done = 0; file >= 0 && done < size; ) {
		size_t part = SECTOR - (size_t)(offset + (off_t)done) % SECTOR;
		struct step *step = add(file);

		step->offset = offset + (off_t)done;
		step->size = part < size - done ? part : size - done;
		memcpy(step->bytes, (const uint8_t *)bytes + done, step->size);
		done += step->size;
	}
	calls += file >= 0;
	return __real_pwrite64(fd, bytes, size, offset);
}

int
__wrap_fdatasync(int fd)
{
	int file = file_of(fd);

	if (file >= 0) {
		add(file);
		calls++;
	}
	return 0; // nothing real depends on it
}

static const char *
path_of(int file)
{
	return file == 0 ? rest_disk_spec : rest_disk_seals;
}

static void
begin_recording(void)
{
	step_count = calls = 0;
	for (int i = 0; i < FILES; i++) {
		int fd = open(path_of(i), O_RDONLY);
		struct stat status = {0};

		free(before[i]);
		before[i] = NULL;
		sizes[i] = 0;
		if (fd < 0)
			continue;
		ck_assert_int_eq(fstat(fd, &status), 0);
		sizes[i] = (size_t)status.st_size;
		before[i] = malloc(sizes[i] + 1);
		ck_assert(before[i] != NULL && pread(fd, before[i], sizes[i], 0) == (ssize_t)sizes[i]);
		close(fd);
	}
}

void
rest_disk_setup(void)
{
	int fd;

	memcpy(strrchr(directory, '.'), ".XXXXXX", 7);
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(rest_disk_spec, sizeof(rest_disk_spec), "%s/v.img", directory);
	snprintf(rest_disk_seals, sizeof(rest_disk_seals), "%s.hvfs.seals", rest_disk_spec);
	fd = open(rest_disk_spec, O_CREAT | O_WRONLY, 0600);
	ck_assert_int_eq(ftruncate(fd, REST_DISK_BLOCKS * REST_DISK_BLOCK_SIZE), 0);
	close(fd);
}

void
rest_disk_teardown(void)
{
	for (int i = 0; i < FILES; i++) {
		unlink(path_of(i));
		free(before[i]);
		before[i] = NULL;
	}
	rmdir(directory);
	free(steps);
	steps = NULL;
	step_count = step_capacity = 0;
}

void
rest_disk_open(struct rest_disk *disk, const struct volume_key *key, bool is_plain, bool record)
{
	char error[512];
	uint64_t end;

	disk->root = sealed_root_open(rest_disk_spec, REST_DISK_BLOCKS, key, REST_SEALED, false, error, sizeof(error));
	ck_assert_msg(disk->root != NULL, "%s", error);
	disk->fd = open(rest_disk_spec, O_RDWR);
	if (record) {
		begin_recording(); // whose file it is, is there durably
		files[0] = disk->fd;
		files[1] = sealed_root_file(disk->root, &end);
	}
	disk->rest = rest_open(rest_disk_spec, REST_DISK_BLOCK_SIZE, key, disk->root, is_plain, false, error, sizeof(error));
	ck_assert_msg(disk->rest != NULL, "%s", error);
}

void
rest_disk_close(struct rest_disk *disk)
{
	rest_close(disk->rest);
	sealed_root_close(disk->root);
	close(disk->fd);
	files[0] = files[1] = -1;
}

void
rest_disk_write(struct rest_disk *disk, uint64_t block, const uint8_t *bytes)
{
	ck_assert_int_eq(pwrite(disk->fd, bytes, REST_DISK_BLOCK_SIZE, (off_t)(block * REST_DISK_BLOCK_SIZE)),
			 REST_DISK_BLOCK_SIZE);
}

void
rest_disk_zero(struct rest_disk *disk, uint64_t block)
{
	static const uint8_t zeros[REST_DISK_BLOCK_SIZE];

	rest_disk_write(disk, block, zeros);
}

void
rest_disk_read(struct rest_disk *disk, uint64_t block, uint8_t *bytes)
{
	ck_assert_int_eq(pread(disk->fd, bytes, REST_DISK_BLOCK_SIZE, (off_t)(block * REST_DISK_BLOCK_SIZE)),
			 REST_DISK_BLOCK_SIZE);
}

void
rest_disk_sync(struct rest_disk *disk)
{
	fdatasync(disk->fd);
}

size_t
rest_disk_steps(void)
{
	return calls;
}

static size_t
last_sync(int file, size_t end)
{
	size_t found = 0;

	for (size_t i = 0; i < step_count && steps[i].number < end; i++)
		if (steps[i].file == file && steps[i].size == 0)
			found = i;
	return found;
}

static void
write_back(int file, size_t end, bool process_only, uint32_t (*random)(void))
{
	size_t synced = last_sync(file, end);
	int fd = open(path_of(file), O_RDWR | O_TRUNC);

	ck_assert(fd >= 0 && __real_pwrite64(fd, before[file], sizes[file], 0) == (ssize_t)sizes[file]);
	for (size_t i = 0; i < step_count && steps[i].number < end; i++)
		if (steps[i].file == file && steps[i].size > 0 && (i < synced || process_only || random() % 2 == 0))
			ck_assert_int_eq(__real_pwrite64(fd, steps[i].bytes, steps[i].size, steps[i].offset),
					 (ssize_t)steps[i].size);
	close(fd);
}

void
rest_disk_crash(size_t end, bool process_only, uint32_t (*random)(void))
{
	for (int i = 0; i < FILES; i++)
		write_back(i, end, process_only, random);
}
