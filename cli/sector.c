// SPDX-License-Identifier: MIT
// The best sector is the volume's block: then the kernel never writes a part of one. But what was made on the image
// earlier, without the loop device, may be built on smaller sectors, and could not be mounted: an ext4 of 1 KiB blocks, an
// XFS of 512-byte sectors, a partition table. So the start of the image decides: blank or known, the best that it allows;
// unknown, 512.
#include "cli/sector.h"

#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECTOR_MIN = 512, SECTOR_MAX = 4096 };

static bool
is_blank(const uint8_t *bytes, size_t size)
{
	return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

// The largest sector that what is on the image can live on; 0: any.
static uint32_t
largest_allowed(const uint8_t *bytes, size_t size)
{
	if (is_blank(bytes, size))
		return 0;
	// ext2, 3 and 4: magic number and logarithm of the block size in the superblock at 1024.
	if (size >= 2048 && bytes[1024 + 56] == 0x53 && bytes[1024 + 57] == 0xef)
		return bytes[1024 + 24] >= 2 ? SECTOR_MAX : (uint32_t)1024 << bytes[1024 + 24];
	// XFS: sector size, big-endian, at 102.
	if (size >= 512 && memcmp(bytes, "XFSB", 4) == 0)
		return (uint32_t)bytes[102] << 8 | bytes[103];
	return SECTOR_MIN;
}

uint32_t
sector_size_choose(const uint8_t *bytes, size_t size, uint32_t block_size)
{
	uint32_t allowed = largest_allowed(bytes, size), sector = SECTOR_MIN;
	while (sector < SECTOR_MAX && sector * 2 <= block_size && (allowed == 0 || sector * 2 <= allowed))
		sector *= 2;
	return sector;
}

uint32_t
sector_size_of(int fd)
{
	uint8_t bytes[SECTOR_LOOK_SIZE];
	struct stat st;
	ssize_t size = pread(fd, bytes, sizeof bytes, 0);
	if (fstat(fd, &st) != 0 || size < 0)
		return SECTOR_MIN;
	// A size that is no multiple of the sector would lose its end.
	uint32_t sector = sector_size_choose(bytes, (size_t)size, (uint32_t)st.st_blksize);
	while (S_ISREG(st.st_mode) && sector > SECTOR_MIN && st.st_size % sector != 0)
		sector /= 2;
	return sector;
}
