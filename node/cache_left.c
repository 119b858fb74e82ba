// SPDX-License-Identifier: MIT
#include "node/cache_left.h"

#include "core/check.h"
#include "node/disk_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MARK "hvfs-cache-moves-to:" // before a path, as what the link says

enum { PAGE = 4096 };

// As a change makes it, before the superblocks are there. Holes of any other size may be somebody's who has not written yet: the
// image of a new disk, say.
static bool
is_begun(int fd)
{
	off_t size = lseek(fd, 0, SEEK_END);

	if (size == 0)
		return true;
	return size == (off_t)disk_superblock_offset(DISK_SUPERBLOCKS) && lseek(fd, 0, SEEK_DATA) < 0 && errno == ENXIO;
}

enum cache_left
cache_left_look(int fd, struct disk_superblock *ret)
{
	struct disk_superblock *superblock = calloc(1, sizeof(*superblock));
	uint8_t *bytes = aligned_alloc(PAGE, DISK_SUPERBLOCK_SIZE);
	enum cache_left left = is_begun(fd) ? CACHE_LEFT_NOTHING : CACHE_LEFT_ELSE;

	CHECK(superblock != NULL && bytes != NULL);
	ret->generation = 0;
	for (uint64_t i = 0; i < DISK_SUPERBLOCKS && left != CACHE_LEFT_NOTHING; i++) {
		enum disk_found found = DISK_NOTHING;
		uint32_t version;

		if (pread(fd, bytes, DISK_SUPERBLOCK_SIZE, (off_t)disk_superblock_offset(i)) == DISK_SUPERBLOCK_SIZE)
			found = disk_superblock_read(bytes, superblock, &version);
		if (found != DISK_NOTHING && found != DISK_FOREIGN)
			left = CACHE_LEFT_WHOLE;
		if (found == DISK_OURS && superblock->generation > ret->generation)
			*ret = *superblock;
	}
	free(superblock);
	free(bytes);
	return left == CACHE_LEFT_WHOLE && ret->generation > 0 && ret->filling ? CACHE_LEFT_HALF : left;
}

// Remove ${path} if it is a file, nobody uses it, and it is a cache (${half}: only one that has not everything), or was to
// become one. False: there is nothing, or it is something else.
static bool
remove_ours(const char *path, bool half)
{
	struct disk_superblock *superblock = calloc(1, sizeof(*superblock));
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat status;
	bool removed = false;
	pid_t holder;

	CHECK(superblock != NULL);
	if (fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && disk_file_lock(fd, &holder) == 0) {
		enum cache_left left = cache_left_look(fd, superblock);

		removed = left != CACHE_LEFT_ELSE && (left != CACHE_LEFT_WHOLE || !half) && unlink(path) == 0;
	}
	if (fd >= 0)
		close(fd);
	free(superblock);
	return removed;
}

bool
cache_left_remove(const char *beside, char ret_path[PATH_MAX])
{
	char text[PATH_MAX] = "";
	bool removed;

	if (readlink(beside, text, sizeof(text) - 1) < 0) {
		snprintf(ret_path, PATH_MAX, "%s", beside);
		return remove_ours(beside, false);
	}
	if (strncmp(text, MARK, strlen(MARK)) != 0)
		return false; // somebody else's link
	snprintf(ret_path, PATH_MAX, "%s", text + strlen(MARK));
	removed = remove_ours(ret_path, true);
	unlink(beside);
	return removed;
}

char *
cache_left_mark(const char *path, const char *to)
{
	char *from = realpath(path, NULL), *target = realpath(to, NULL), *mark = NULL;
	char beside[PATH_MAX + 8], text[PATH_MAX];

	if (from != NULL && target != NULL && snprintf(text, sizeof(text), MARK "%s", target) < (int)sizeof(text) &&
	    snprintf(beside, sizeof(beside), "%s" CACHE_LEFT_SUFFIX, from) < (int)sizeof(beside) && symlink(text, beside) == 0)
		mark = strdup(beside);
	free(from);
	free(target);
	return mark;
}
