// SPDX-License-Identifier: MIT
// A pool of equal records known by 32-bit indices, which never move: chunks of 1024, index 0 is "none". Halves the size
// of links between records against pointers.
#ifndef HVFS_CORE_POOL_H
#define HVFS_CORE_POOL_H

#include "core/types.h"

struct pool {
	size_t record_size;
	uint8_t *slab; // what is left of the last large piece of memory
	size_t slab_size;
	uint8_t **slabs; // all of them
	uint32_t slab_count;
	uint8_t **chunks; // records, then a bit for each that is used
	uint32_t chunk_count;
	uint32_t next;      // never used so far
	uint32_t free_head; // released ones, linked through their first 4 bytes
	uint32_t used;
};

enum { POOL_CHUNK = 1024 };

// ${record_size}: at least 4 bytes.
void pool_init(struct pool *pool, size_t record_size);
void pool_fini(struct pool *pool);

// A zeroed record; its index is never 0.
uint32_t pool_alloc(struct pool *pool);
void pool_free(struct pool *pool, uint32_t index);

// Is ${index} (from 1 to pool->next - 1) allocated? For walks over all records.
bool pool_is_used(const struct pool *pool, uint32_t index);

// The record of ${index}; NULL for 0.
static inline void *
pool_get(const struct pool *pool, uint32_t index)
{
	if (index == 0)
		return NULL;
	return pool->chunks[index / POOL_CHUNK] + (size_t)(index % POOL_CHUNK) * pool->record_size;
}

#endif
