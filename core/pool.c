// SPDX-License-Identifier: MIT
#include "core/pool.h"
#include "core/check.h"

#include <stdlib.h>
#include <string.h>

void
pool_init(struct pool *pool, size_t record_size)
{
	CHECK(record_size >= sizeof(uint32_t));
	*pool = (struct pool){.record_size = record_size, .next = 1};
}

void
pool_fini(struct pool *pool)
{
	for (uint32_t i = 0; i < pool->chunk_count; i++)
		free(pool->chunks[i]);
	free(pool->chunks);
	memset(pool, 0, sizeof(*pool));
}

static void
pool_grow(struct pool *pool)
{
	if ((pool->chunk_count & (pool->chunk_count - 1)) == 0) {
		size_t capacity = pool->chunk_count ? (size_t)pool->chunk_count * 2 : 1;

		pool->chunks = realloc(pool->chunks, capacity * sizeof(*pool->chunks));
		CHECK(pool->chunks != NULL);
	}
	pool->chunks[pool->chunk_count] = calloc(1, POOL_CHUNK * pool->record_size + POOL_CHUNK / 8);
	CHECK(pool->chunks[pool->chunk_count] != NULL);
	pool->chunk_count++;
}

static uint8_t *
used_byte(const struct pool *pool, uint32_t index)
{
	return pool->chunks[index / POOL_CHUNK] + POOL_CHUNK * pool->record_size + index % POOL_CHUNK / 8;
}

bool
pool_is_used(const struct pool *pool, uint32_t index)
{
	return (*used_byte(pool, index) >> (index % 8) & 1) != 0;
}

uint32_t
pool_alloc(struct pool *pool)
{
	uint32_t index = pool->free_head;
	void *record;

	if (index != 0) {
		memcpy(&pool->free_head, pool_get(pool, index), sizeof(pool->free_head));
	} else {
		index = pool->next++;
		if (index / POOL_CHUNK >= pool->chunk_count)
			pool_grow(pool);
	}
	record = pool_get(pool, index);
	memset(record, 0, pool->record_size);
	*used_byte(pool, index) |= (uint8_t)(1u << index % 8);
	pool->used++;
	return index;
}

void
pool_free(struct pool *pool, uint32_t index)
{
	void *record = pool_get(pool, index);

	CHECK(record != NULL && pool_is_used(pool, index));
	*used_byte(pool, index) &= (uint8_t)~(1u << index % 8);
	memset(record, 0, pool->record_size);
	memcpy(record, &pool->free_head, sizeof(pool->free_head));
	pool->free_head = index;
	pool->used--;
}
