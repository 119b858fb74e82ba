// SPDX-License-Identifier: MIT
#ifndef HVFS_CORE_ZEROS_H
#define HVFS_CORE_ZEROS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// Are these ${size} bytes all zero? What is not mostly shows it at one of its ends.
static inline bool
bytes_are_zero(const uint8_t *bytes, size_t size)
{
	return size == 0 || (bytes[0] == 0 && bytes[size - 1] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

#endif
