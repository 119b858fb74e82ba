// SPDX-License-Identifier: MIT
// A file or block device of this node's own: opened, locked, past the page cache where the system allows it.
#ifndef HVFS_NODE_DISK_FILE_H
#define HVFS_NODE_DISK_FILE_H

#include "cache/medium.h"

#include <sys/types.h>

struct disk_file {
	const char *flag, *path; // as it was asked for: FLAG immediately before PATH
	int fd;                  // -1: not open
	bool is_device;
	bool is_new; // made by this open, and ours
};

// ${path} is made if it is not there. Both texts outlive the file. Returns -1 and a sentence; then fd may be open.
int disk_file_open(struct disk_file *file, const char *flag, const char *path, char *error, size_t error_size);

// Lock the file ${fd}, also if somebody who has died is about to give it up. EAGAIN: somebody else, ${ret_holder} (0: it
// is not known who), has it; or another error, or 0. Blocks.
int disk_file_lock(int fd, pid_t *ret_holder);

// Whether what ${path} names is this file. Blocks.
bool disk_file_is_at(const struct disk_file *file, const char *path);

// A sentence about it. Returns -1.
int disk_file_refuse(const struct disk_file *file, char *error, size_t error_size, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

// As medium_ops want it.
int disk_file_perform(const struct disk_file *file, struct medium_io *io);
uint64_t disk_file_size(const struct disk_file *file);
int disk_file_grow(const struct disk_file *file, uint64_t size);

#endif
