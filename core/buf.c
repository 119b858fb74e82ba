// SPDX-License-Identifier: MIT
// Buffers live in chunks of 2 MiB, one huge page where the system has them (every byte that passes through here is
// reached through an address translation, twice in a virtual machine), aligned to their size: the headers (4 bytes
// each) at the start, the blocks behind them. So a buffer's bytes follow from its header's address, a block of 4 KiB
// costs 8 bytes beyond its data, and an empty chunk goes back to the system whole. One empty chunk is kept, so that a
// pool at an edge does not thrash. Proofs, which only sealed volumes have, are beside: a chunk gets room for all of its own
// with the first one, since to allocate and free each costs more than to copy it.
#include "core/buf.h"
#include "core/check.h"
#include "core/limits.h"
#include "core/memory.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK_SIZE = MEMORY_HUGE_SIZE, FREE_END = UINT16_MAX };

#define FREE (UINT32_C(1) << 31)

// A block that all children want has a count for each answer that waits on one of their links: 16 bits are too few.
struct buf {
	uint32_t refs; // of a free one: FREE and the index in the chunk of the next
};

struct chunk {
	struct buf_pool *pool;
	struct chunk *next, *prev; // among those with a free buffer
	uint32_t free_head;
	uint32_t used;
	uint32_t count;
	uint32_t first_offset; // of block 0
	struct proof *proofs;  // by index; NULL: nobody of this chunk had one yet
	struct buf bufs[];
};

struct buf_pool {
	size_t size;
	size_t used;
	struct chunk *free_chunks;
	size_t empty_count; // chunks in free_chunks without a used buffer
};

static struct buf zero_buf = {.refs = 1};
static _Alignas(4096) const uint8_t zeros[LIMIT_BLOCK_SIZE_MAX];

static struct chunk *
chunk_of(const struct buf *buf)
{
	return (struct chunk *)((uintptr_t)buf & ~(uintptr_t)(CHUNK_SIZE - 1));
}

struct buf_pool *
buf_pool_create(size_t size)
{
	struct buf_pool *pool;

	CHECK(size >= LIMIT_BLOCK_SIZE_MIN && size <= LIMIT_BLOCK_SIZE_MAX && (size & (size - 1)) == 0);
	pool = calloc(1, sizeof(*pool));
	if (pool != NULL)
		pool->size = size;
	return pool;
}

static void
chunk_link(struct chunk *chunk)
{
	struct buf_pool *pool = chunk->pool;

	chunk->prev = NULL;
	chunk->next = pool->free_chunks;
	if (chunk->next != NULL)
		chunk->next->prev = chunk;
	pool->free_chunks = chunk;
}

static void
chunk_unlink(struct chunk *chunk)
{
	if (chunk->prev != NULL)
		chunk->prev->next = chunk->next;
	else
		chunk->pool->free_chunks = chunk->next;
	if (chunk->next != NULL)
		chunk->next->prev = chunk->prev;
}

static void
chunk_free(struct chunk *chunk)
{
	chunk_unlink(chunk);
	free(chunk->proofs);
	free(chunk);
}

static void
chunk_create(struct buf_pool *pool)
{
	struct chunk *chunk = aligned_alloc(CHUNK_SIZE, CHUNK_SIZE);
	size_t alignment = pool->size < 4096 ? pool->size : 4096;
	size_t count = (CHUNK_SIZE - sizeof(*chunk)) / (pool->size + sizeof(struct buf));
	size_t first;

	CHECK(chunk != NULL);
	do
		first = (sizeof(*chunk) + count * sizeof(struct buf) + alignment - 1) & ~(alignment - 1);
	while (first + count * pool->size > CHUNK_SIZE && count-- > 1);
	memory_wish_huge(chunk, CHUNK_SIZE);
	*chunk = (struct chunk){.pool = pool, .count = (uint32_t)count};
	CHECK(chunk->count > 0 && chunk->count < FREE_END);
	chunk->first_offset = (uint32_t)first;
	for (uint32_t i = 0; i < chunk->count; i++)
		chunk->bufs[i].refs = FREE | (i + 1 < chunk->count ? i + 1 : FREE_END);
	chunk_link(chunk);
	pool->empty_count++;
}

void
buf_pool_destroy(struct buf_pool *pool)
{
	if (pool == NULL)
		return;
	CHECK(pool->used == 0);
	while (pool->free_chunks != NULL)
		chunk_free(pool->free_chunks);
	free(pool);
}

size_t
buf_pool_used(const struct buf_pool *pool)
{
	return pool->used;
}

struct buf *
buf_alloc(struct buf_pool *pool)
{
	struct chunk *chunk;
	struct buf *buf;

	if (pool->free_chunks == NULL)
		chunk_create(pool);
	chunk = pool->free_chunks;
	buf = &chunk->bufs[chunk->free_head];
	CHECK(buf->refs & FREE);
	chunk->free_head = buf->refs & ~FREE;
	if (chunk->used++ == 0)
		pool->empty_count--;
	if (chunk->free_head == FREE_END)
		chunk_unlink(chunk);
	pool->used++;
	buf->refs = 1;
	return buf;
}

static void
buf_free(struct buf *buf)
{
	struct chunk *chunk = chunk_of(buf);
	struct buf_pool *pool = chunk->pool;
	bool was_full = chunk->free_head == FREE_END;

	buf_set_proof(buf, NULL, 0);
	buf->refs = FREE | chunk->free_head;
	chunk->free_head = (uint32_t)(buf - chunk->bufs);
	if (was_full)
		chunk_link(chunk);
	pool->used--;
	if (--chunk->used > 0)
		return;
	if (pool->empty_count > 0)
		chunk_free(chunk);
	else
		pool->empty_count++;
}

struct buf *
buf_zero(void)
{
	return &zero_buf;
}

struct buf *
buf_ref(struct buf *buf)
{
	if (buf != NULL && buf != &zero_buf) {
		CHECK(buf->refs > 0 && buf->refs < FREE - 1);
		buf->refs++;
	}
	return buf;
}

void
buf_unref(struct buf *buf)
{
	if (buf == NULL || buf == &zero_buf)
		return;
	CHECK(buf->refs > 0 && buf->refs < FREE);
	if (--buf->refs == 0)
		buf_free(buf);
}

bool
buf_is_shared(const struct buf *buf)
{
	return buf == &zero_buf || buf->refs > 1;
}

size_t
buf_size(const struct buf *buf)
{
	return buf == &zero_buf ? 0 : chunk_of(buf)->pool->size;
}

uint8_t *
buf_bytes(struct buf *buf)
{
	struct chunk *chunk;

	if (buf == &zero_buf)
		return (uint8_t *)(uintptr_t)zeros;
	chunk = chunk_of(buf);
	return (uint8_t *)chunk + chunk->first_offset + (size_t)(buf - chunk->bufs) * chunk->pool->size;
}

static struct proof *
proof_of(const struct buf *buf)
{
	const struct chunk *chunk = buf == &zero_buf ? NULL : chunk_of(buf);

	return chunk == NULL || chunk->proofs == NULL ? NULL : &chunk->proofs[buf - chunk->bufs];
}

const struct proof *
buf_proof(const struct buf *buf)
{
	const struct proof *proof = proof_of(buf);

	return proof != NULL && proof->size > 0 ? proof : NULL;
}

void
buf_set_proof(struct buf *buf, const uint8_t *bytes, size_t size)
{
	struct proof *proof = proof_of(buf);

	CHECK(buf != &zero_buf && size <= LIMIT_VERIFIER_SIZE);
	if (proof == NULL && size > 0) {
		struct chunk *chunk = chunk_of(buf);

		chunk->proofs = calloc(chunk->count, sizeof(*chunk->proofs));
		CHECK(chunk->proofs != NULL);
		proof = proof_of(buf);
	}
	if (proof == NULL)
		return;
	proof->size = (uint16_t)size;
	if (size > 0)
		memcpy(proof->bytes, bytes, size);
}

static uint64_t copied;

void
buf_copy(uint8_t *to, const uint8_t *from, size_t size)
{
	memcpy(to, from, size);
	copied += size;
}

uint64_t
buf_copied(void)
{
	return copied;
}
