// SPDX-License-Identifier: MIT
// Bytes that were written here and that nobody takes any more, kept for the user: NAME.img, a sparse file that has the
// blocks at their offsets, and NAME.map, text that says which of its bytes count. Lines of the map are "offset length
// version", in bytes, the version as EPOCH.COUNTER; lines that begin with # say what it is and how to put it back. When
// a block has several lines, the last one is what the image has.
#ifndef HVFS_NODE_RESCUE_FILE_H
#define HVFS_NODE_RESCUE_FILE_H

#include "core/types.h"

#include <limits.h>

struct rescue_file {
	char path[PATH_MAX]; // without .img and .map
	int image_fd, map_fd;
};

// Make both files, of a new name with ${node}, ${volume} and the time in it, readable for this user alone, in
// ${directory}, which is made when it is missing. Blocks, as all of these. Returns 0, or an errno value and nothing is
// left behind.
int rescue_file_create(struct rescue_file *file, const char *directory, const char *node, const char *volume,
		       uint64_t volume_size);

// Returns 0 or an errno value. Durable with the next sync.
int rescue_file_add(struct rescue_file *file, uint64_t offset, const void *bytes, uint32_t size, version_t version);
int rescue_file_sync(struct rescue_file *file);
void rescue_file_close(struct rescue_file *file);

#endif
