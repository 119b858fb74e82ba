// SPDX-License-Identifier: MIT
#include "cache/disk_format.h"
#include "cache/hash.h"
#include "cache/assoc.h"
#include "cache/little_endian.h"
#include "core/check.h"
#include "core/zeros.h"

#include <sodium.h>
#include <string.h>

// Offsets in a superblock.
enum {
	AT_MAGIC = 0,
	AT_VERSION = 8,
	AT_SLOT_SIZE = 12,
	AT_GENERATION = 16,
	AT_ID = 24,
	AT_GROUPS = 40,
	AT_WAYS = 48,
	AT_HASH = 52,
	AT_VOLUME_COUNT = 56,
	AT_FLAGS = 60,
	AT_KEYS = 64, // DISK_VERSION_SEALED only
	AT_SUM = DISK_PAGE_SIZE - BLOCK_DIGEST_SIZE, // of all other bytes
	AT_VOLUMES = DISK_PAGE_SIZE,
};

enum { FLAG_FILLING = 1 };

static_assert(AT_KEYS + DISK_VOLUMES_MAX * SEALED_KEY_ID_SIZE <= AT_SUM, "the first page has room for them");

// Offsets in a record. The key: block 48 bits, volume 8 bits, size 4 bits.
enum { AT_KEY = 0, AT_DIGEST = 8, AT_ZERO = 24, AT_CHECK = 28, CHECK_SIZE = 4, SIZE_SHIFT = 56 };

static const char magic[8] = {'h', 'v', 'f', 's', 'c', 'a', 'c', 'h'};

static bool
is_power_of_two(uint32_t size)
{
	return (size & (size - 1)) == 0;
}

bool
disk_has_tails(const struct disk_superblock *superblock)
{
	return !is_power_of_two(superblock->slot_size);
}

bool
disk_is_sealed(const struct disk_superblock *superblock, uint32_t number)
{
	return !bytes_are_zero(superblock->keys[number], SEALED_KEY_ID_SIZE);
}

static void
superblock_sum(const uint8_t *bytes, uint8_t ret[BLOCK_DIGEST_SIZE])
{
	static const uint8_t zeros[BLOCK_DIGEST_SIZE];
	crypto_generichash_state state;

	crypto_generichash_init(&state, NULL, 0, BLOCK_DIGEST_SIZE);
	crypto_generichash_update(&state, bytes, AT_SUM);
	crypto_generichash_update(&state, zeros, sizeof(zeros));
	crypto_generichash_update(&state, bytes + AT_VOLUMES, DISK_SUPERBLOCK_SIZE - AT_VOLUMES);
	crypto_generichash_final(&state, ret, BLOCK_DIGEST_SIZE);
}

void
disk_superblock_write(const struct disk_superblock *superblock, uint8_t *bytes)
{
	memset(bytes, 0, DISK_SUPERBLOCK_SIZE);
	memcpy(bytes + AT_MAGIC, magic, sizeof(magic));
	put32(bytes + AT_VERSION, disk_has_tails(superblock) ? DISK_VERSION_SEALED : DISK_VERSION);
	put32(bytes + AT_SLOT_SIZE, superblock->slot_size);
	put64(bytes + AT_GENERATION, superblock->generation);
	memcpy(bytes + AT_ID, superblock->id, DISK_ID_SIZE);
	put64(bytes + AT_GROUPS, superblock->group_count);
	put32(bytes + AT_WAYS, superblock->way_count);
	put32(bytes + AT_HASH, superblock->hash);
	put32(bytes + AT_VOLUME_COUNT, superblock->volume_count);
	put32(bytes + AT_FLAGS, superblock->filling ? FLAG_FILLING : 0);
	memcpy(bytes + AT_KEYS, superblock->keys, sizeof(superblock->keys));
	memcpy(bytes + AT_VOLUMES, superblock->volumes, sizeof(superblock->volumes));
	superblock_sum(bytes, bytes + AT_SUM);
}

static bool
is_possible(const struct disk_superblock *superblock, bool has_tails)
{
	uint32_t size = superblock->slot_size - (has_tails ? SEALED_TAIL_SIZE : 0);

	if (size < DISK_PAGE_SIZE || size > LIMIT_BLOCK_SIZE_MAX || !is_power_of_two(size) ||
	    superblock->way_count == 0 || superblock->way_count > ASSOC_WAYS_MAX || superblock->group_count == 0 ||
	    superblock->group_count > UINT64_C(1) << 48 || superblock->hash == HASH_ANY ||
	    superblock->hash >= HASH_COUNT || superblock->volume_count > DISK_VOLUMES_MAX)
		return false;
	for (uint32_t i = 0; i < superblock->volume_count; i++)
		if (superblock->volumes[i][0] == '\0' || superblock->volumes[i][LIMIT_NAME_SIZE] != '\0')
			return false;
	return true;
}

enum disk_found
disk_superblock_read(const uint8_t *bytes, struct disk_superblock *ret, uint32_t *ret_version)
{
	uint8_t sum[BLOCK_DIGEST_SIZE];

	if (bytes_are_zero(bytes, DISK_SUPERBLOCK_SIZE))
		return DISK_NOTHING;
	if (memcmp(bytes + AT_MAGIC, magic, sizeof(magic)) != 0)
		return DISK_FOREIGN;
	*ret_version = get32(bytes + AT_VERSION);
	if (*ret_version != DISK_VERSION && *ret_version != DISK_VERSION_SEALED)
		return DISK_OTHER_VERSION;
	superblock_sum(bytes, sum);
	if (memcmp(bytes + AT_SUM, sum, sizeof(sum)) != 0)
		return DISK_DAMAGED;
	ret->slot_size = get32(bytes + AT_SLOT_SIZE);
	ret->generation = get64(bytes + AT_GENERATION);
	memcpy(ret->id, bytes + AT_ID, DISK_ID_SIZE);
	ret->group_count = get64(bytes + AT_GROUPS);
	ret->way_count = get32(bytes + AT_WAYS);
	ret->hash = get32(bytes + AT_HASH);
	ret->volume_count = get32(bytes + AT_VOLUME_COUNT);
	ret->filling = (get32(bytes + AT_FLAGS) & FLAG_FILLING) != 0;
	memcpy(ret->keys, bytes + AT_KEYS, sizeof(ret->keys)); // zeros in DISK_VERSION
	memcpy(ret->volumes, bytes + AT_VOLUMES, sizeof(ret->volumes));
	return is_possible(ret, *ret_version == DISK_VERSION_SEALED) ? DISK_OURS : DISK_DAMAGED;
}

// Depends on the formatting and on the place: a record that lies where it was not written counts for nothing.
static void
record_check(const struct disk_superblock *superblock, uint64_t slot, const uint8_t *bytes, uint8_t ret[CHECK_SIZE])
{
	uint8_t place[8], sum[crypto_generichash_BYTES_MIN];
	crypto_generichash_state state;

	put64(place, slot);
	crypto_generichash_init(&state, superblock->id, DISK_ID_SIZE, sizeof(sum));
	crypto_generichash_update(&state, place, sizeof(place));
	crypto_generichash_update(&state, bytes, AT_CHECK);
	crypto_generichash_final(&state, sum, sizeof(sum));
	memcpy(ret, sum, CHECK_SIZE);
}

// 0 for no bytes, else 1 for LIMIT_BLOCK_SIZE_MIN, 2 for twice as many, ...
static uint64_t
size_code(uint32_t size)
{
	uint64_t code = 0;

	for (uint32_t n = LIMIT_BLOCK_SIZE_MIN; size >= n; n *= 2)
		code++;
	return code;
}

void
disk_record_write(const struct disk_superblock *superblock, uint64_t slot, const struct disk_record *record,
		  uint8_t *bytes)
{
	memset(bytes, 0, DISK_RECORD_SIZE);
	if (record == NULL)
		return;
	put64(bytes + AT_KEY, block_key_make(record->number, record->block) | size_code(record->size) << SIZE_SHIFT);
	memcpy(bytes + AT_DIGEST, record->digest, BLOCK_DIGEST_SIZE);
	record_check(superblock, slot, bytes, bytes + AT_CHECK);
}

bool
disk_record_read(const struct disk_superblock *superblock, uint64_t slot, const uint8_t *bytes, struct disk_record *ret)
{
	uint64_t key = get64(bytes + AT_KEY), code = key >> SIZE_SHIFT;
	uint8_t check[CHECK_SIZE];

	if (bytes_are_zero(bytes, DISK_RECORD_SIZE))
		return false;
	record_check(superblock, slot, bytes, check);
	if (memcmp(check, bytes + AT_CHECK, CHECK_SIZE) != 0)
		return false;
	key &= (UINT64_C(1) << SIZE_SHIFT) - 1;
	ret->number = block_key_volume(key);
	ret->block = block_key_block(key);
	ret->size = code == 0 ? 0 : code < 8 ? (uint32_t)LIMIT_BLOCK_SIZE_MIN << (code - 1) : UINT32_MAX;
	memcpy(ret->digest, bytes + AT_DIGEST, BLOCK_DIGEST_SIZE);
	if (ret->number >= superblock->volume_count || ret->size > superblock->slot_size)
		return false;
	return !disk_is_sealed(superblock, ret->number) ||
	       (ret->size > 0 && ret->size + SEALED_TAIL_SIZE <= superblock->slot_size);
}

uint64_t
disk_slot_count(const struct disk_superblock *superblock)
{
	return superblock->group_count * superblock->way_count;
}

uint64_t
disk_superblock_offset(uint64_t i)
{
	return i * DISK_SUPERBLOCK_SIZE;
}

uint64_t
disk_page_offset(uint64_t page)
{
	return disk_superblock_offset(DISK_SUPERBLOCKS) + page * DISK_PAGE_SIZE;
}

// Where the bytes of ${count} slots begin.
static uint64_t
bytes_offset(uint64_t count)
{
	uint64_t pages = (count + DISK_PAGE_RECORDS - 1) / DISK_PAGE_RECORDS;

	return (disk_page_offset(pages) + DISK_EMPTY_SIZE - 1) & ~(uint64_t)(DISK_EMPTY_SIZE - 1);
}

uint64_t
disk_slots_within(uint64_t size, uint32_t slot_size)
{
	uint64_t count = size / slot_size;

	while (count > 0 && bytes_offset(count) + count * slot_size > size) {
		uint64_t over = bytes_offset(count) + count * slot_size - size;
		uint64_t fewer = over / (slot_size + DISK_RECORD_SIZE) + 1;

		count -= fewer < count ? fewer : count;
	}
	return count;
}

uint64_t
disk_slot_offset(const struct disk_superblock *superblock, uint64_t slot)
{
	return bytes_offset(disk_slot_count(superblock)) + slot * superblock->slot_size;
}

uint64_t
disk_end(const struct disk_superblock *superblock)
{
	return disk_slot_offset(superblock, disk_slot_count(superblock));
}
