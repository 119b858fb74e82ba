// SPDX-License-Identifier: MIT
// Which sector size a loop device on an image should have.
#ifndef HVFS_CLI_SECTOR_H
#define HVFS_CLI_SECTOR_H

#include <stddef.h>
#include <stdint.h>

enum { SECTOR_LOOK_SIZE = 8192 }; // bytes of the image's start that decide

// The sector size, 512 to 4096, for an image of blocks of ${block_size} that starts with ${bytes}[${size}].
uint32_t sector_size_choose(const uint8_t *bytes, size_t size, uint32_t block_size);

// The same, for an open image.
uint32_t sector_size_of(int fd);

#endif
