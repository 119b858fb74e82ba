// SPDX-License-Identifier: MIT
#include "tests/sim/disk.h"

#include "core/check.h"

#include <stdlib.h>
#include <string.h>

struct disk *
disk_create(uint32_t block_size, uint64_t block_count)
{
	struct disk *disk = calloc(1, sizeof *disk);

	CHECK(disk != NULL && block_size % DISK_SECTOR_SIZE == 0);
	disk->block_size = block_size;
	disk->block_count = block_count;
	disk->sector_size = DISK_SECTOR_SIZE;
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
	free(disk->log);
	free(disk->log_bytes);
	free(disk->sealed);
	free(disk->sealed_filed);
	free(disk->log_sealed);
	free(disk->misled);
	versions_fini(&disk->versions);
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

static uint8_t *
block_in(const struct disk *disk, uint8_t *bytes, uint64_t block)
{
	CHECK(block < disk->block_count);
	return bytes + block * disk->block_size;
}

static uint8_t *
log_entry(const struct disk *disk, size_t i)
{
	return disk->log_bytes + i * disk->block_size;
}

// The image has a new content of ${block}.
static void
log_add(struct disk *disk, uint64_t block)
{
	if (disk->log_count == disk->log_size) {
		disk->log_size = disk->log_size ? disk->log_size * 2 : 64;
		disk->log = realloc(disk->log, disk->log_size * sizeof *disk->log);
		disk->log_bytes = realloc(disk->log_bytes, disk->log_size * disk->block_size);
		disk->log_sealed = realloc(disk->log_sealed, disk->log_size * sizeof *disk->log_sealed);
		CHECK(disk->log != NULL && disk->log_bytes != NULL && disk->log_sealed != NULL);
	}
	disk->log[disk->log_count] = block;
	disk->log_sealed[disk->log_count] = disk->sealed != NULL ? disk->sealed[block] : (struct sealed_entry){0};
	memcpy(log_entry(disk, disk->log_count++), block_in(disk, disk->image, block), disk->block_size);
}

// The first ${count} entries leave the log.
static void
log_drop(struct disk *disk, size_t count)
{
	if (count == 0)
		return;
	disk->log_count -= count;
	disk->log_first += count;
	memmove(disk->log, disk->log + count, disk->log_count * sizeof *disk->log);
	memmove(disk->log_sealed, disk->log_sealed + count, disk->log_count * sizeof *disk->log_sealed);
	memmove(disk->log_bytes, log_entry(disk, count), disk->log_count * disk->block_size);
}

static void
tell_durable(struct disk *disk, uint64_t block)
{
	if (disk->on_durable != NULL)
		disk->on_durable(disk->arg, disk, block);
}

// Some sectors of ${from} go to ${to}.
static void
copy_sectors(const struct disk *disk, uint8_t *to, const uint8_t *from, struct rng *rng)
{
	for (uint32_t at = 0; at < disk->block_size; at += disk->sector_size)
		if (rng_chance(rng, 50))
			memcpy(to + at, from + at, disk->sector_size);
}

void
disk_write(struct disk *disk, uint64_t block, const uint8_t *bytes)
{
	memcpy(block_in(disk, disk->image, block), bytes, disk->block_size);
	log_add(disk, block);
}

void
disk_write_part(struct disk *disk, uint64_t block, const uint8_t *bytes, struct rng *rng)
{
	copy_sectors(disk, block_in(disk, disk->image, block), bytes, rng);
	log_add(disk, block);
}

const uint8_t *
disk_read(const struct disk *disk, uint64_t block)
{
	return block_in(disk, disk->image, block);
}

// ---- What lasts ----

uint64_t
disk_pass(struct disk *disk, uint64_t now, uint64_t block, uint32_t count)
{
	uint64_t way = block > disk->head ? block - disk->head : disk->head - block;

	if (disk->busy_until < now)
		disk->busy_until = now;
	if (count == 0)
		return disk->busy_until;
	if (way > 0)
		disk->busy_until += disk->settle_us + disk->stroke_us * way / disk->block_count;
	disk->busy_until += (uint64_t)disk->block_us * count;
	disk->head = block + count;
	return disk->busy_until;
}

uint64_t
disk_sync_begin(struct disk *disk)
{
	versions_sync_begin(&disk->versions);
	return disk->log_first + disk->log_count;
}

static size_t
covered(const struct disk *disk, uint64_t until)
{
	return until > disk->log_first ? until - disk->log_first : 0;
}

// The first ${count} entries of the log go to stable storage.
static void
log_apply(struct disk *disk, size_t count)
{
	for (size_t i = 0; i < count; i++)
		memcpy(block_in(disk, disk->durable, disk->log[i]), log_entry(disk, i), disk->block_size);
}

void
disk_sync_end(struct disk *disk, uint64_t until, bool told)
{
	size_t count = covered(disk, until);

	log_apply(disk, count);
	for (size_t i = 0; i < count && told; i++) {
		if (disk->sealed != NULL)
			disk->sealed_filed[disk->log[i]] = disk->log_sealed[i];
		tell_durable(disk, disk->log[i]);
	}
	log_drop(disk, count);
	versions_sync_end(&disk->versions);
}

// Each of the first ${count} entries goes to stable storage: not at all, as a whole or torn.
static void
log_apply_part(struct disk *disk, size_t count, struct rng *rng)
{
	for (size_t i = 0; i < count; i++) {
		uint8_t *to = block_in(disk, disk->durable, disk->log[i]);
		unsigned dice = (unsigned)rng_below(rng, 3);

		if (dice == 1)
			memcpy(to, log_entry(disk, i), disk->block_size);
		else if (dice == 2)
			copy_sectors(disk, to, log_entry(disk, i), rng);
	}
	log_drop(disk, count);
}

void
disk_sync_fail(struct disk *disk, uint64_t until, struct rng *rng)
{
	disk->sync_broken = true;
	log_apply_part(disk, covered(disk, until), rng);
	versions_sync_fail(&disk->versions, rng);
}

void
disk_crash(struct disk *disk, struct rng *rng)
{
	log_apply_part(disk, disk->log_count, rng);
	memcpy(disk->image, disk->durable, disk->block_count * disk->block_size);
	versions_crash(&disk->versions, rng);
}

void
disk_left(struct disk *disk, struct rng *rng)
{
	versions_kill(&disk->versions, rng);
}

static bool
in_log(const struct disk *disk, uint64_t block)
{
	for (size_t i = 0; i < disk->log_count; i++)
		if (disk->log[i] == block)
			return true;
	return false;
}

void
disk_reopen(struct disk *disk, struct rng *rng)
{
	for (uint64_t block = 0; disk->sync_broken && block < disk->block_count; block++) {
		uint8_t *image = block_in(disk, disk->image, block);
		const uint8_t *durable = block_in(disk, disk->durable, block);

		if (memcmp(image, durable, disk->block_size) == 0 || in_log(disk, block))
			continue;
		if (!rng_chance(rng, 50)) {
			log_add(disk, block);
			continue;
		}
		memcpy(image, durable, disk->block_size);
		if (disk->on_reverted != NULL)
			disk->on_reverted(disk->arg, disk, block);
	}
	// The file of the seals is written with a sync, by the process that has asked for it (node/sealed_root.h).
	if (disk->sealed != NULL)
		memcpy(disk->sealed, disk->sealed_filed, disk->block_count * sizeof *disk->sealed);
	disk->sync_broken = disk->fail_syncs = false;
	log_apply(disk, disk->log_count);
	log_drop(disk, disk->log_count);
}
