// SPDX-License-Identifier: MIT
#include "cache/journal_format.h"
#include "cache/little_endian.h"
#include "core/check.h"

#include <sodium.h>
#include <string.h>

enum { SUM_SIZE = 16, AT_SUM = JOURNAL_PAGE - SUM_SIZE };

// Offsets in a superblock.
enum { SB_MAGIC = 0, SB_VERSION = 8, SB_PAGES = 16, SB_ID = 24 };

// Offsets in a header of a record.
enum {
	AT_MAGIC = 0,
	AT_COUNT = 8,
	AT_BLOCK_SIZE = 12,
	AT_SEQUENCE = 16,
	AT_TAIL = 24,
	AT_PAGE = 32,
	AT_NODE_ID = 40,
	AT_NUMBER = 48,
	AT_EPOCH = 56,
	AT_NAME_COUNT = 60,
	AT_SHARED = 62,
	AT_NAMES = 64,
	AT_VOLUME = AT_NAMES + LIMIT_HOPS * 8,
	AT_ENTRIES = AT_VOLUME + LIMIT_NAME_SIZE + 1,
	ENTRY_SIZE = 32,
	AT_KEY = AT_ENTRIES + JOURNAL_RECORD_BLOCKS * ENTRY_SIZE,
	AT_RUN = AT_SUM - 8,
	ENTRY_BLOCK = 0,
	ENTRY_VERSION = 8,
	ENTRY_SUM = 16,
	ENTRY_BYTES = 24,
	ENTRY_FLAGS = 28,
	FLAG_FORGOTTEN = 1,
};
static_assert(AT_KEY + SEALED_KEY_ID_SIZE <= AT_RUN, "a header is one page");

static const char superblock_magic[8] = {'h', 'v', 'f', 's', 'j', 'r', 'n', 'l'};
static const char record_magic[8] = {'h', 'v', 'f', 's', 'j', 'r', 'e', 'c'};

// Keyed with the formatting: what another one has left is not taken for ours.
static void
page_sum(const uint8_t *id, const uint8_t *bytes, uint8_t ret[SUM_SIZE])
{
	CHECK(crypto_generichash(ret, SUM_SIZE, bytes, AT_SUM, id, id != NULL ? JOURNAL_ID_SIZE : 0) == 0);
}

static bool
sum_is_right(const uint8_t *id, const uint8_t *bytes)
{
	uint8_t sum[SUM_SIZE];

	page_sum(id, bytes, sum);
	return memcmp(sum, bytes + AT_SUM, SUM_SIZE) == 0;
}

// With either version the sum is that of JOURNAL_VERSION: so a journal becomes one of the other by a write of one sector.
static void
superblock_sum(const uint8_t *bytes, uint8_t ret[SUM_SIZE])
{
	uint8_t copy[JOURNAL_PAGE];

	memcpy(copy, bytes, sizeof(copy));
	put32(copy + SB_VERSION, JOURNAL_VERSION);
	page_sum(NULL, copy, ret);
}

void
journal_superblock_write(const struct journal_superblock *superblock, uint8_t *bytes)
{
	memset(bytes, 0, JOURNAL_PAGE);
	memcpy(bytes + SB_MAGIC, superblock_magic, sizeof(superblock_magic));
	put32(bytes + SB_VERSION, superblock->sealed ? JOURNAL_VERSION_SEALED : JOURNAL_VERSION);
	put64(bytes + SB_PAGES, superblock->pages);
	memcpy(bytes + SB_ID, superblock->id, JOURNAL_ID_SIZE);
	superblock_sum(bytes, bytes + AT_SUM);
}

enum journal_superblock_found
journal_superblock_read(const uint8_t *bytes, struct journal_superblock *ret)
{
	uint32_t version = get32(bytes + SB_VERSION);
	uint8_t sum[SUM_SIZE];

	if (bytes[0] == 0 && memcmp(bytes, bytes + 1, JOURNAL_PAGE - 1) == 0)
		return JOURNAL_NOTHING;
	if (memcmp(bytes + SB_MAGIC, superblock_magic, sizeof(superblock_magic)) != 0)
		return JOURNAL_FOREIGN;
	if (version != JOURNAL_VERSION && version != JOURNAL_VERSION_SEALED)
		return JOURNAL_OTHER_VERSION;
	superblock_sum(bytes, sum);
	if (memcmp(sum, bytes + AT_SUM, SUM_SIZE) != 0)
		return JOURNAL_DAMAGED;
	ret->sealed = version == JOURNAL_VERSION_SEALED;
	ret->pages = get64(bytes + SB_PAGES);
	memcpy(ret->id, bytes + SB_ID, JOURNAL_ID_SIZE);
	return ret->pages > 0 && ret->pages < UINT64_C(1) << 40 ? JOURNAL_OURS : JOURNAL_DAMAGED;
}

void
journal_record_write(const struct journal_superblock *superblock, const struct journal_record *record, uint8_t *bytes)
{
	memset(bytes, 0, JOURNAL_PAGE);
	memcpy(bytes + AT_MAGIC, record_magic, sizeof(record_magic));
	put32(bytes + AT_COUNT, record->count);
	put32(bytes + AT_BLOCK_SIZE, record->block_size);
	put64(bytes + AT_SEQUENCE, record->sequence);
	put64(bytes + AT_TAIL, record->tail);
	put64(bytes + AT_PAGE, record->page);
	put64(bytes + AT_RUN, record->run);
	put64(bytes + AT_NODE_ID, record->author.node_id);
	put64(bytes + AT_NUMBER, record->author.number);
	put32(bytes + AT_EPOCH, record->author.epoch);
	put16(bytes + AT_NAME_COUNT, record->author.name_count);
	put16(bytes + AT_SHARED, record->author.shared);
	for (uint32_t i = 0; i < record->author.name_count; i++)
		put64(bytes + AT_NAMES + (size_t)i * 8, record->author.names[i]);
	memcpy(bytes + AT_VOLUME, record->volume, sizeof(record->volume));
	memcpy(bytes + AT_KEY, record->key, sizeof(record->key));
	for (uint32_t i = 0; i < record->count; i++) {
		const struct journal_entry *entry = &record->entries[i];
		uint8_t *at = bytes + AT_ENTRIES + (size_t)i * ENTRY_SIZE;

		put64(at + ENTRY_BLOCK, entry->block);
		put64(at + ENTRY_VERSION, entry->version);
		put64(at + ENTRY_SUM, entry->sum);
		put32(at + ENTRY_BYTES, entry->size);
		put32(at + ENTRY_FLAGS, entry->forgotten ? FLAG_FORGOTTEN : 0);
	}
	page_sum(superblock->id, bytes, bytes + AT_SUM);
}

static bool
block_size_is_possible(uint32_t size)
{
	return size >= LIMIT_BLOCK_SIZE_MIN && size <= LIMIT_BLOCK_SIZE_MAX && (size & (size - 1)) == 0;
}

bool
journal_record_read(const struct journal_superblock *superblock, uint64_t page, const uint8_t *bytes,
		    struct journal_record *ret)
{
	if (memcmp(bytes + AT_MAGIC, record_magic, sizeof(record_magic)) != 0 || get64(bytes + AT_PAGE) != page ||
	    !sum_is_right(superblock->id, bytes))
		return false;
	*ret = (struct journal_record){
		.sequence = get64(bytes + AT_SEQUENCE),
		.tail = get64(bytes + AT_TAIL),
		.run = get64(bytes + AT_RUN),
		.page = page,
		.block_size = get32(bytes + AT_BLOCK_SIZE),
		.count = get32(bytes + AT_COUNT),
		.author = {.node_id = get64(bytes + AT_NODE_ID),
			   .number = get64(bytes + AT_NUMBER),
			   .epoch = get32(bytes + AT_EPOCH),
			   .name_count = get16(bytes + AT_NAME_COUNT),
			   .shared = get16(bytes + AT_SHARED)},
	};
	if (ret->count > JOURNAL_RECORD_BLOCKS || ret->author.name_count > LIMIT_HOPS || ret->author.shared > 1 ||
	    ret->author.node_id == 0 || !block_size_is_possible(ret->block_size) || ret->tail > ret->sequence)
		return false;
	for (uint32_t i = 0; i < ret->author.name_count; i++)
		ret->author.names[i] = get64(bytes + AT_NAMES + (size_t)i * 8);
	memcpy(ret->volume, bytes + AT_VOLUME, sizeof(ret->volume));
	ret->volume[LIMIT_NAME_SIZE] = '\0';
	memcpy(ret->key, bytes + AT_KEY, sizeof(ret->key)); // zeros in JOURNAL_VERSION
	for (uint32_t i = 0; i < ret->count; i++) {
		const uint8_t *at = bytes + AT_ENTRIES + (size_t)i * ENTRY_SIZE;

		ret->entries[i] = (struct journal_entry){
			.block = get64(at + ENTRY_BLOCK) & ((UINT64_C(1) << BLOCK_KEY_BITS) - 1),
			.version = get64(at + ENTRY_VERSION),
			.sum = get64(at + ENTRY_SUM),
			.size = get32(at + ENTRY_BYTES),
			.forgotten = (get32(at + ENTRY_FLAGS) & FLAG_FORGOTTEN) != 0,
		};
		if (ret->entries[i].size != 0 && ret->entries[i].size != ret->block_size)
			return false;
	}
	return page + journal_record_pages(ret) <= superblock->pages;
}

bool
journal_record_is_sealed(const struct journal_record *record)
{
	static const uint8_t none[SEALED_KEY_ID_SIZE];

	return memcmp(record->key, none, sizeof(none)) != 0;
}

uint32_t
journal_entry_room(const struct journal_record *record, const struct journal_entry *entry)
{
	if (entry->forgotten)
		return 0;
	return entry->size + (journal_record_is_sealed(record) ? SEALED_TAIL_SIZE : 0);
}

uint64_t
journal_record_pages(const struct journal_record *record)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < record->count; i++)
		bytes += journal_entry_room(record, &record->entries[i]);
	return 1 + (bytes + JOURNAL_PAGE - 1) / JOURNAL_PAGE;
}
