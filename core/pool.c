// SPDX-License-Identifier: MIT
#include "core/pool.h"
#include "core/check.h"
#include "core/memory.h"

#include <stdlib.h>
#include <string.h>

enum { SINGLE_CHUNKS = 8 };

void
pool_init(struct pool *pool, size_t record_size)
{
	CHECK(record_size >= sizeof(uint32_t));
	*pool = (struct pool){.record_size = record_size, .next = 1};
}

void
pool_fini(struct pool *pool)
{
	for (uint32_t i = 0; i < pool->chunk_count && i < SINGLE_CHUNKS; i++)
		free(pool->chunks[i]);
	for (uint32_t i = 0; i < pool->slab_count; i++)
		free(pool->slabs[i]);
	free(pool->slabs);
	free(pool->chunks);
	memset(pool, 0, sizeof(*pool));
}

// A small pool takes its chunks one by one, a large one many at a time.
static uint8_t *
chunk_memory(struct pool *pool)
{
	size_t size = (POOL_CHUNK * pool->record_size + POOL_CHUNK / 8 + 63) & ~(size_t)63;
	uint8_t *memory;

	if (pool->chunk_count < SINGLE_CHUNKS)
		return memory_table(size);
	if (pool->slab_size < size) {
		pool->slab_size = MEMORY_HUGE_SIZE;
		pool->slab = memory_table(pool->slab_size);
		pool->slabs = realloc(pool->slabs, (pool->slab_count + 1) * sizeof(*pool->slabs));
		CHECK(pool->slabs != NULL);
		pool->slabs[pool->slab_count++] = pool->slab;
	}
	memory = pool->slab;
	pool->slab += size;
	pool->slab_size -= size;
	return memory;
}

static void
pool_grow(struct pool *pool)
{
	if ((pool->chunk_count & (pool->chunk_count - 1)) == 0) {
		size_t capacity = pool->chunk_count ? (size_t)pool->chunk_count * 2 : 1;

		pool->chunks = realloc(pool->chunks, capacity * sizeof(*pool->chunks));
		CHECK(pool->chunks != NULL);
	}
	pool->chunks[pool->chunk_count] = chunk_memory(pool);
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
	*used_byte(pool, index) &= (uint8_t) ~(1u << index % 8);
	memset(record, 0, pool->record_size);
	memcpy(record, &pool->free_head, sizeof(pool->free_head));
	pool->free_head = index;
	pool->used--;
}
