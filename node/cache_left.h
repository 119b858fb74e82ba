// SPDX-License-Identifier: MIT
// What a change of the level on a disk leaves if the node is killed meanwhile, and how that is known again. A level that
// takes another shape grows in PATH.new. While one moves to another path, PATH.new is a mark that says where to: a symbolic
// link that leads nowhere; and the superblock of the new file says that it has not everything.
#ifndef HVFS_NODE_CACHE_LEFT_H
#define HVFS_NODE_CACHE_LEFT_H

#include "cache/disk_format.h"

#include <limits.h>

#define CACHE_LEFT_SUFFIX ".new"

enum cache_left {
	CACHE_LEFT_ELSE,    // something else is in it
	CACHE_LEFT_NOTHING, // as one is that is begun: empty, or with room for the superblocks alone. (Other zeros may be anything.)
	CACHE_LEFT_WHOLE,   // a cache; maybe of another version, or damaged
	CACHE_LEFT_HALF,    // one that was to take the place of another, and has not everything
};

// What the file ${fd} is. ${ret}: its superblock, or, if none is whole, one of generation 0. All of this blocks.
enum cache_left cache_left_look(int fd, struct disk_superblock *ret);

// Remove what a change that did not end has left, which ${beside} (PATH.new) is or leads to, if nobody uses it. Only what is
// ours goes. True: it was at ${ret_path}, and is removed.
bool cache_left_remove(const char *beside, char ret_path[PATH_MAX]);

// The level at ${path} is to go to ${to}, a file. Returns the mark, which the caller unlinks and frees at the end; NULL: there
// can not be one. Then what a kill leaves stays until somebody moves the level there again, or removes it.
char *cache_left_mark(const char *path, const char *to);

#endif
