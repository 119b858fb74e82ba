// SPDX-License-Identifier: MIT
// Loop devices on images: direct I/O, so that no block is cached twice.
#ifndef HVFS_CLI_LOOP_H
#define HVFS_CLI_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LOOP_PATH_SIZE = 32 };

struct loop_options {
	uint32_t sector_size; // 0: what suits the image
	bool read_only;       // also when the image can not be written
};

// Make a loop device of ${image}; its path in ${ret_device}. *ret_cached is true when the kernel would not do direct I/O.
// Returns 0, or -1 and a sentence.
int loop_attach(const char *image, const struct loop_options *options, char ret_device[LOOP_PATH_SIZE], bool *ret_cached,
	char *error, size_t error_size);

// The devices whose backing file is ${image}, at most ${max}; their paths in ${devices}. Returns the count, or -1 and a
// sentence.
int loop_find(const char *image, char (*devices)[LOOP_PATH_SIZE], int max, char *error, size_t error_size);

// Write out and release ${device}, and wait until it is free. One that is mounted or otherwise in use is refused; so is one
// whose image does not take what was written, unless ${force} gives that up. Returns 0, or -1 and a sentence.
int loop_detach(const char *device, bool force, char *error, size_t error_size);

#endif
