// SPDX-License-Identifier: MIT
// The table of mounts: which node is behind a directory.
#ifndef HVFS_CLI_MOUNTS_H
#define HVFS_CLI_MOUNTS_H

#include <stddef.h>

// ${directory}, the mount of a node, as an absolute path in ${ret_path}, and the node's control socket in ${ret_control}, ""
// when the table does not say. The mount itself is not asked: it may hang. Returns 0, or -1 and a sentence.
int mounts_find(const char *directory, char ret_path[4096], char ret_control[108], char *error, size_t error_size);

#endif
