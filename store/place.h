// SPDX-License-Identifier: MIT
// Where a store is: what kind of thing its path names, and where its metadata belongs.
#ifndef HVFS_STORE_PLACE_H
#define HVFS_STORE_PLACE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

// Where the metadata of ${spec} is: beside a file (the real one, when ${spec} is a symbolic link), so that the two move
// together; for a block device in the state directory, by the identity of the device and not by its name, which may
// change at the next boot. ${status} is of ${spec}. Returns 0 or an errno value (ENOENT: no state directory is known).
int place_find_metadata(const char *spec, const struct stat *status, char ret_path[PATH_MAX]);

// Where file number ${file} of the version log is: beside the metadata at ${path}. Returns 0 or an errno value.
int place_find_versions(const char *path, int file, char ret_path[PATH_MAX]);

// The state directory. Returns 0 or an errno value (ENOENT: none is known).
int place_find_state_directory(char ret_path[PATH_MAX]);

// Make the directories that ${path} is in, mode 0700. Returns 0 or an errno value.
int place_make_directories(const char *path);

// Bytes of the file or block device ${fd}. Returns 0 or an errno value.
int place_find_size(int fd, const struct stat *status, uint64_t *ret);

#endif
