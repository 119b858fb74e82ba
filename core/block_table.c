// SPDX-License-Identifier: MIT
// Entries hang in a hash table with chains. It doubles in one go when entries outnumber buckets; that pause is short
// (one pass over 4-byte links) and rare, and the table never shrinks.
#include "core/block_table.h"
#include "core/check.h"
#include "core/memory.h"

#include <stdlib.h>
#include <string.h>

enum { BUCKETS_MIN = 1024, WORK_MAX = (1 << 24) - 1 };

void
table_init(struct block_table *table)
{
	memset(table, 0, sizeof(*table));
	pool_init(&table->entries, sizeof(struct entry));
	pool_init(&table->works, sizeof(struct work));
	pool_init(&table->wants, sizeof(struct want));
	table->bucket_count = BUCKETS_MIN;
	table->buckets = memory_table(table->bucket_count * sizeof(*table->buckets));
}

void
table_fini(struct block_table *table)
{
	pool_fini(&table->entries);
	pool_fini(&table->works);
	pool_fini(&table->wants);
	free(table->buckets);
}

static uint32_t
bucket_of(const struct block_table *table, block_key key)
{
	// Sixteen neighbours share a cache line of buckets: what is read in sequence is found in sequence.
	uint64_t hash = (key / 16) * UINT64_C(0x9e3779b97f4a7c15);

	return ((uint32_t)(hash >> 32) * 16 + (uint32_t)(key % 16)) & (table->bucket_count - 1);
}

struct entry *
table_entry(const struct block_table *table, uint32_t index)
{
	return pool_get(&table->entries, index);
}

struct entry *
table_find(const struct block_table *table, block_key key)
{
	uint32_t index = table->buckets[bucket_of(table, key)];

	while (index != 0) {
		struct entry *entry = table_entry(table, index);

		if (entry->key == key)
			return entry;
		index = entry->chain;
	}
	return NULL;
}

static void
table_grow(struct block_table *table)
{
	uint32_t old_count = table->bucket_count;
	uint32_t *old = table->buckets;

	table->bucket_count *= 2;
	table->buckets = memory_table(table->bucket_count * sizeof(*table->buckets));
	for (uint32_t i = 0; i < old_count; i++) {
		uint32_t index = old[i];

		while (index != 0) {
			struct entry *entry = table_entry(table, index);
			uint32_t next = entry->chain;
			uint32_t *bucket = &table->buckets[bucket_of(table, entry->key)];

			entry->chain = *bucket & CHAIN_MAX;
			*bucket = index;
			index = next;
		}
	}
	free(old);
}

struct entry *
table_make(struct block_table *table, block_key key, uint32_t *ret_index)
{
	struct entry *entry = table_find(table, key);
	uint32_t index, *bucket;

	if (entry != NULL) {
		if (ret_index != NULL)
			*ret_index = table_index(table, entry);
		return entry;
	}
	if (table->entries.used >= table->bucket_count)
		table_grow(table);
	index = pool_alloc(&table->entries);
	entry = table_entry(table, index);
	entry->key = key;
	bucket = &table->buckets[bucket_of(table, key)];
	entry->chain = *bucket & CHAIN_MAX;
	*bucket = index;
	if (ret_index != NULL)
		*ret_index = index;
	return entry;
}

uint32_t
table_index(const struct block_table *table, const struct entry *entry)
{
	uint32_t index = table->buckets[bucket_of(table, entry->key)];

	while (table_entry(table, index) != entry)
		index = table_entry(table, index)->chain;
	return index;
}

void
table_remove(struct block_table *table, struct entry *entry)
{
	uint32_t *bucket = &table->buckets[bucket_of(table, entry->key)];
	uint32_t index = *bucket, before = 0;

	CHECK(entry->work == 0 && entry->dir == 0 && entry->copy == COPY_ABSENT);
	while (table_entry(table, index) != entry) {
		before = index;
		index = table_entry(table, index)->chain;
	}
	if (before == 0)
		*bucket = entry->chain;
	else
		table_entry(table, before)->chain = entry->chain;
	pool_free(&table->entries, index);
}

struct work *
table_work(const struct block_table *table, const struct entry *entry)
{
	return pool_get(&table->works, entry->work);
}

struct work *
table_work_make(struct block_table *table, struct entry *entry)
{
	struct work *work = table_work(table, entry);
	uint32_t index;

	if (work != NULL)
		return work;
	index = pool_alloc(&table->works);
	CHECK(index <= WORK_MAX);
	entry->work = index & WORK_MAX;
	work = table_work(table, entry);
	work->entry = table_index(table, entry);
	return work;
}

bool
table_work_rest(struct block_table *table, struct entry *entry)
{
	struct work *work = table_work(table, entry);
	uint32_t index = entry->work;

	if (work == NULL)
		return true;
	if (work->want_head != 0 || work->sync_head != 0 || work->touched || work->wait_room || work->wait_dirty ||
	    work->wait_place ||
	    work->ask != ASK_NONE || work->recall_open || work->revoked || work->in_dirty || work->again || work->flushing ||
	    work->claim || work->resend || work->claim_head != 0 || work->store_reading || work->loading ||
	    work->settles != 0 || work->unstable != UNSTABLE_NOT ||
	    (entry->stale && (work->version_above > entry->version || work->claim_version > entry->version)) || work->forward_xid != 0)
		return false;
	CHECK(work->put_buf == NULL);
	entry->work = 0;
	pool_free(&table->works, index);
	return true;
}

void
table_touch(struct block_table *table, struct entry *entry)
{
	struct work *work = table_work_make(table, entry);

	if (work->touched)
		return;
	work->touched = true;
	work->touched_next = 0;
	if (table->touched_tail != 0)
		((struct work *)pool_get(&table->works, table->touched_tail))->touched_next = entry->work;
	else
		table->touched_head = entry->work;
	table->touched_tail = entry->work;
}

struct entry *
table_touched(struct block_table *table)
{
	struct work *work = pool_get(&table->works, table->touched_head);

	if (work == NULL)
		return NULL;
	table->touched_head = work->touched_next;
	if (table->touched_head == 0)
		table->touched_tail = 0;
	work->touched = false;
	return table_entry(table, work->entry);
}

void
table_touch_works(struct block_table *table, uint32_t volume)
{
	for (uint32_t i = 1; i < table->works.next; i++) {
		struct work *work = pool_get(&table->works, i);

		if (pool_is_used(&table->works, i) && block_key_volume(table_entry(table, work->entry)->key) == volume)
			table_touch(table, table_entry(table, work->entry));
	}
}

struct want *
table_want(const struct block_table *table, uint32_t index)
{
	return pool_get(&table->wants, index);
}

struct want *
table_want_add(struct block_table *table, struct entry *entry, enum want_kind kind, enum perm perm, uint32_t *ret_index)
{
	struct work *work = table_work_make(table, entry);
	uint32_t index = pool_alloc(&table->wants);
	struct want *want = table_want(table, index);

	want->kind = (uint8_t)kind;
	want->perm = (uint8_t)perm;
	want->entry = work->entry;
	if (work->want_tail != 0)
		table_want(table, work->want_tail)->next = index;
	else
		work->want_head = index;
	work->want_tail = index;
	if (ret_index != NULL)
		*ret_index = index;
	return want;
}

void
table_want_to_front(struct block_table *table, struct entry *entry)
{
	struct work *work = table_work(table, entry);
	uint32_t index = work->want_tail, before = work->want_head;

	if (index == before)
		return;
	while (table_want(table, before)->next != index)
		before = table_want(table, before)->next;
	table_want(table, before)->next = 0;
	work->want_tail = before;
	table_want(table, index)->next = work->want_head;
	work->want_head = index;
}

uint32_t
table_want_pop(struct block_table *table, struct entry *entry)
{
	struct work *work = table_work(table, entry);
	uint32_t index = work->want_head;

	CHECK(index != 0);
	work->want_head = table_want(table, index)->next;
	if (work->want_head == 0)
		work->want_tail = 0;
	table_want(table, index)->next = 0;
	return index;
}
