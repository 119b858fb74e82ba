// SPDX-License-Identifier: MIT
// The file of who may do what: read at the start; written anew, by a thread, when the node was told of a change.
#ifndef HVFS_NODE_ACL_FILE_H
#define HVFS_NODE_ACL_FILE_H

#include "node/acl.h"
#include "node/worker.h"

#include <limits.h>
#include <sys/stat.h>

struct acl_file {
	char path[PATH_MAX];
	struct stat seen; // when it was read, or written last
};

// Read ${path}, which nobody but this user and root may be able to write. Returns NULL and a sentence.
struct acl *acl_file_load(struct acl_file *file, const char *path, char *error, size_t error_size);

// Put ${text} in the place of what is there, all of it or nothing, and on stable storage. What somebody else has written since
// is not overwritten. Blocks. Returns 0, or -1 and a sentence.
int acl_file_save(struct acl_file *file, const char *text, char *error, size_t error_size);

#endif
