// SPDX-License-Identifier: MIT
#include "tests/unit/rest_disk.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECTOR = 512, FILES = 2, FDS = 256, SIZE_MAX_HERE = 1 << 16 };

// A sector that was written, or (size 0) a sync.
struct step {
	int file; // 0: the storage
	off_t offset;
	uint8_t bytes[SECTOR];
	size_t size;
	size_t number; // of the call it belongs to
	bool lost;     // a sync has failed
};

char rest_disk_spec[64], rest_disk_seals[96];
static char directory[] = "/tmp/test_rest.XXXXXX";
static bool records;
static uint8_t *before[FILES]; // content of the files on stable storage when the recording began
static size_t sizes[FILES];
static bool fails[FILES];     // its next sync
static unsigned errors[FILES]; // that there were
static unsigned seen[FDS];     // by whom
static uint8_t *truth[FILES];  // what is there, unlike what can be read; NULL: it is the same
static struct step *steps;
static size_t step_count, step_capacity, calls;

ssize_t __real_pwrite64(int fd, const void *bytes, size_t size, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *bytes, size_t size, off_t offset);
int __wrap_fdatasync(int fd);
int __wrap_posix_fadvise64(int fd, off_t offset, off_t size, int advice);

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

static const char *
path_of(int file)
{
	return file == 0 ? rest_disk_spec : rest_disk_seals;
}

static int
file_of(int fd)
{
	struct stat status, other;

	for (int i = 0; i < FILES && records && fstat(fd, &status) == 0; i++)
		if (stat(path_of(i), &other) == 0 && other.st_ino == status.st_ino)
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
	if (file >= 0 && truth[file] != NULL) {
		ck_assert_uint_le((size_t)offset + size, SIZE_MAX_HERE);
		memcpy(truth[file] + offset, bytes, size);
	}
	return __real_pwrite64(fd, bytes, size, offset);
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
lose(int file)
{
	for (size_t i = last_sync(file, calls); i < step_count; i++)
		steps[i].lost |= steps[i].file == file;
	fails[file] = false;
	errors[file]++;
}

int
__wrap_fdatasync(int fd)
{
	int file = file_of(fd);

	if (file < 0)
		return 0; // nothing real depends on it
	ck_assert_int_lt(fd, FDS);
	if (fails[file])
		lose(file);
	add(file);
	calls++;
	if (seen[fd] == errors[file])
		return 0;
	seen[fd] = errors[file];
	errno = EIO;
	return -1;
}

int
__wrap_posix_fadvise64(int fd, off_t offset, off_t size, int advice)
{
	int file = file_of(fd);

	if (file < 0 || truth[file] == NULL || advice != POSIX_FADV_DONTNEED || offset != 0 || size != 0)
		return 0;
	fd = open(path_of(file), O_WRONLY);
	ck_assert(fd >= 0 && __real_pwrite64(fd, truth[file], sizes[file], 0) == (ssize_t)sizes[file]);
	close(fd);
	free(truth[file]);
	truth[file] = NULL;
	return 0;
}

void
rest_disk_fail_sync(bool seals)
{
	fails[seals] = true;
}

// ---- Life ----

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
		if (truth[i] != NULL)
			memcpy(before[i], truth[i], sizes[i]);
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
		free(truth[i]);
		before[i] = truth[i] = NULL;
		fails[i] = false;
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

	disk->root = sealed_root_open(rest_disk_spec, REST_DISK_BLOCKS, key, REST_SEALED, false, error, sizeof(error));
	ck_assert_msg(disk->root != NULL, "%s", error);
	disk->fd = open(rest_disk_spec, O_RDWR);
	if (record) {
		begin_recording(); // whose file it is, is there durably
		memset(fails, 0, sizeof(fails));
		memset(errors, 0, sizeof(errors));
		memset(seen, 0, sizeof(seen));
	}
	records = record;
	disk->rest = rest_open(rest_disk_spec, REST_DISK_BLOCK_SIZE, key, disk->root, is_plain, false, error, sizeof(error));
	ck_assert_msg(disk->rest != NULL, "%s", error);
}

void
rest_disk_close(struct rest_disk *disk)
{
	rest_close(disk->rest);
	sealed_root_close(disk->root);
	close(disk->fd);
	records = false;
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

int
rest_disk_sync(struct rest_disk *disk)
{
	return fdatasync(disk->fd) == 0 ? 0 : errno;
}

size_t
rest_disk_steps(void)
{
	return calls;
}

// What is there after ${end} steps, or (${lost}) what can be read, too, that is not there.
static void
fill_in(int file, uint8_t *bytes, size_t end, bool process_only, bool lost, uint32_t (*random)(void))
{
	size_t synced = last_sync(file, end);

	memset(bytes, 0, SIZE_MAX_HERE);
	memcpy(bytes, before[file], sizes[file]);
	for (size_t i = 0; i < step_count && steps[i].number < end; i++) {
		const struct step *step = &steps[i];

		if (step->file == file && step->size > 0 && (lost || !step->lost) &&
		    (i < synced || process_only || random() % 2 == 0))
			memcpy(bytes + step->offset, step->bytes, step->size);
	}
}

static void
write_back(int file, size_t end, bool process_only, uint32_t (*random)(void))
{
	static uint8_t bytes[SIZE_MAX_HERE];
	struct stat status;
	int fd = open(path_of(file), O_RDWR);

	ck_assert(fd >= 0 && fstat(fd, &status) == 0 && status.st_size <= SIZE_MAX_HERE);
	fill_in(file, bytes, end, process_only, process_only, random);
	ck_assert_int_eq(__real_pwrite64(fd, bytes, (size_t)status.st_size, 0), status.st_size);
	close(fd);
	free(truth[file]);
	truth[file] = process_only ? malloc(SIZE_MAX_HERE) : NULL;
	if (process_only)
		fill_in(file, truth[file], end, true, false, random);
}

void
rest_disk_crash(size_t end, bool process_only, uint32_t (*random)(void))
{
	for (int i = 0; i < FILES; i++)
		write_back(i, end, process_only, random);
}
