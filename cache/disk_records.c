// SPDX-License-Identifier: MIT
// The records of a disk level: written in batches, page by page, when no block is being written any more or enough have
// been. A page is made from the index, so a record never names a block whose bytes are still on their way. Nothing is
// ever synced: what a crash leaves of the records and the slots is checked when it is used.
#include "cache/disk_level_internal.h"
#include "core/check.h"

#include <stdlib.h>
#include <string.h>

enum { NEAR = 8, BATCH = DISK_PAGES_MAX / 2 };

bool
disk_records_room(const struct disk_level *level)
{
	return level->page_count < DISK_PAGES_MAX;
}

void
disk_record_due(struct disk_level *level, uint64_t slot)
{
	uint64_t page = slot / DISK_PAGE_RECORDS;
	uint32_t n = level->page_count;

	for (uint32_t i = n; i > 0 && i + NEAR > n; i--)
		if (level->pages[i - 1] == page)
			return;
	if (n < DISK_PAGES_MAX) // else the record stays as it is: wrong, and found so when it is used
		level->pages[level->page_count++] = page;
	disk_records_pump(level);
}

static int
page_compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void
group_write(const struct disk_level *level, uint64_t group, uint64_t first, uint8_t *bytes)
{
	struct group view = assoc_group(level->table, group);

	for (uint32_t i = 0; i < view.used; i++) {
		const struct slot *slot = &view.slots[i];
		uint64_t number = disk_slot_number(level, group, slot->way);
		struct disk_record record = {
			.number = block_key_volume(slot_key(slot)),
			.block = block_key_block(slot_key(slot)),
			.size = slot_disk_size(slot),
		};

		if (number < first || number >= first + DISK_PAGE_RECORDS || slot->writing)
			continue;
		memcpy(record.digest, level->digests[number], BLOCK_DIGEST_SIZE);
		disk_record_write(&level->superblock, number, &record, bytes + (number - first) * DISK_RECORD_SIZE);
	}
}

static void
page_write(const struct disk_level *level, uint64_t page, uint8_t *bytes)
{
	uint64_t first = page * DISK_PAGE_RECORDS, ways = level->table->way_count;

	memset(bytes, 0, DISK_PAGE_SIZE);
	for (uint64_t group = first / ways;
	     group * ways < first + DISK_PAGE_RECORDS && group < level->table->group_count; group++)
		group_write(level, group, first, bytes);
}

static void
page_written(struct medium_io *io, int sys_errno)
{
	struct disk_level *level = ((struct disk_own_io *)io)->level;

	level->page_ios_running--;
	if (sys_errno != 0)
		disk_level_fail(level, true, sys_errno);
	disk_records_pump(level);
	disk_tell_ended(level);
}

// One write for pages that lie next to each other.
static void
pages_submit(struct disk_level *level, uint32_t first, uint32_t count)
{
	struct disk_own_io *own = &level->page_ios[level->page_ios_running++];

	for (uint32_t i = first; i < first + count; i++)
		page_write(level, level->batch[i], level->page_bytes + (size_t)i * DISK_PAGE_SIZE);
	own->level = level;
	own->io = (struct medium_io){
		.write = true,
		.offset = disk_page_offset(level->batch[first]),
		.bytes = level->page_bytes + (size_t)first * DISK_PAGE_SIZE,
		.size = (size_t)count * DISK_PAGE_SIZE,
		.done = page_written,
	};
	level->medium.ops->submit(level->medium.self, &own->io);
}

static void
batch_write(struct disk_level *level)
{
	uint32_t count = 0;

	qsort(level->pages, level->page_count, sizeof(*level->pages), page_compare);
	for (uint32_t i = 0; i < level->page_count; i++)
		if (count == 0 || level->batch[count - 1] != level->pages[i])
			level->batch[count++] = level->pages[i];
	level->page_count = 0;
	for (uint32_t first = 0, i = 1; i <= count; i++)
		if (i == count || level->batch[i] != level->batch[i - 1] + 1) {
			pages_submit(level, first, i - first);
			first = i;
		}
}

static void superblock_pump(struct disk_level *level);

static void
superblock_written(struct medium_io *io, int sys_errno)
{
	struct disk_level *level = ((struct disk_own_io *)io)->level;

	level->superblock_runs = false;
	if (sys_errno != 0)
		disk_level_fail(level, true, sys_errno);
	else
		level->volumes_written = level->volumes_being_written;
	superblock_pump(level);
	disk_tell_ended(level);
}

// In the place of the older one.
static void
superblock_pump(struct disk_level *level)
{
	if (!level->superblock_due || level->superblock_runs || level->stats.sys_errno != 0)
		return;
	level->superblock_due = false;
	level->superblock_runs = true;
	level->superblock.generation++;
	level->volumes_being_written = level->superblock.volume_count;
	disk_superblock_write(&level->superblock, level->superblock_bytes);
	level->superblock_io.level = level;
	level->superblock_io.io = (struct medium_io){
		.write = true,
		.offset = disk_superblock_offset(level->superblock.generation % DISK_SUPERBLOCKS),
		.bytes = level->superblock_bytes,
		.size = DISK_SUPERBLOCK_SIZE,
		.done = superblock_written,
	};
	level->medium.ops->submit(level->medium.self, &level->superblock_io.io);
}

void
disk_records_pump(struct disk_level *level)
{
	superblock_pump(level);
	if (level->page_count == 0 || level->page_ios_running > 0 || level->stats.sys_errno != 0)
		return;
	if (level->writes == 0 || level->page_count >= BATCH || level->filling)
		batch_write(level);
}
