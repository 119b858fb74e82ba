// SPDX-License-Identifier: MIT
// Reading and writing a file of fixed places, with what it leaves out as zeros. Functions block.
#ifndef HVFS_NODE_SEALS_IO_H
#define HVFS_NODE_SEALS_IO_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

// 8 bytes, big-endian.
static inline void
seals_put(uint8_t *bytes, uint64_t number)
{
	for (size_t i = 8; i > 0; i--, number >>= 8)
		bytes[i - 1] = (uint8_t)number;
}

static inline uint64_t
seals_get(const uint8_t *bytes)
{
	uint64_t number = 0;

	for (size_t i = 0; i < 8; i++)
		number = number << 8 | bytes[i];
	return number;
}

// Beyond its end there are zeros. Returns 0 or an errno value.
static inline int
seals_read_at(int fd, void *bytes, size_t size, uint64_t offset)
{
	uint8_t *at = bytes;

	while (size > 0) {
		ssize_t got = pread(fd, at, size, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return errno;
		if (got == 0) { // it ends where nothing was written
			memset(at, 0, size);
			return 0;
		}
		at += got;
		offset += (uint64_t)got;
		size -= (size_t)got;
	}
	return 0;
}

static inline int
seals_write_at(int fd, const void *bytes, size_t size, uint64_t offset)
{
	const uint8_t *at = bytes;

	while (size > 0) {
		ssize_t done = pwrite(fd, at, size, (off_t)offset);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return errno;
		at += done;
		offset += (uint64_t)done;
		size -= (size_t)done;
	}
	return 0;
}

#endif
