// SPDX-License-Identifier: MIT
#include "tests/sim/disk.h"

#include "core/check.h"

#include <stdlib.h>
#include <string.h>

struct disk *
disk_create(uint32_t block_size, uint64_t block_count)
{
	struct disk *disk = calloc(1, sizeof *disk);

	CHECK(disk != NULL);
	disk->block_size = block_size;
	disk->block_count = block_count;
	disk->image = calloc(block_count, block_size);
	disk->durable = calloc(block_count, block_size);
	CHECK(disk->image != NULL && disk->durable != NULL);
	return disk;
}

void
disk_destroy(struct disk *disk)
{
	if (disk == NULL)
		return;
	free(disk->image);
	free(disk->durable);
	free(disk->unsynced);
	free(disk);
}

void
disk_fill(struct disk *disk, uint64_t value)
{
	size_t size = disk->block_count * disk->block_size;

	for (size_t i = 0; i < size; i += sizeof value)
		memcpy(disk->image + i, &value, sizeof value);
	memcpy(disk->durable, disk->image, size);
}

void
disk_write(struct disk *disk, uint64_t block, const uint8_t *bytes)
{
	CHECK(block < disk->block_count);
	memcpy(disk->image + block * disk->block_size, bytes, disk->block_size);
	if (disk->unsynced_count == disk->unsynced_size) {
		disk->unsynced_size = disk->unsynced_size ? disk->unsynced_size * 2 : 64;
		disk->unsynced = realloc(disk->unsynced, disk->unsynced_size * sizeof *disk->unsynced);
		CHECK(disk->unsynced != NULL);
	}
	disk->unsynced[disk->unsynced_count++] = block;
}

const uint8_t *
disk_read(const struct disk *disk, uint64_t block)
{
	CHECK(block < disk->block_count);
	return disk->image + block * disk->block_size;
}

// Syncs end in the order they began (the caller sees to it): an older one must not undo a newer one.
struct disk_sync *
disk_sync_begin(struct disk *disk)
{
	struct disk_sync *sync = calloc(1, sizeof *sync);

	CHECK(sync != NULL);
	sync->count = disk->unsynced_count;
	sync->blocks = malloc((sync->count + 1) * sizeof *sync->blocks);
	sync->bytes = malloc((sync->count + 1) * disk->block_size);
	CHECK(sync->blocks != NULL && sync->bytes != NULL);
	for (size_t i = 0; i < sync->count; i++) {
		sync->blocks[i] = disk->unsynced[i];
		memcpy(sync->bytes + i * disk->block_size, disk_read(disk, sync->blocks[i]), disk->block_size);
	}
	disk->unsynced_count = 0;
	return sync;
}

void
disk_sync_end(struct disk *disk, struct disk_sync *sync)
{
	for (size_t i = 0; i < sync->count; i++)
		memcpy(disk->durable + sync->blocks[i] * disk->block_size, sync->bytes + i * disk->block_size,
		       disk->block_size);
	free(sync->blocks);
	free(sync->bytes);
	free(sync);
}
