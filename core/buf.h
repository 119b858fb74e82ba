// SPDX-License-Identifier: MIT
// Counted buffers: the bytes of one block. A cache slot, a reply and a message share a buffer by count instead of
// copying it. Not thread-safe: counts change on the event loop only (other threads may read or fill the bytes while
// the loop holds a count for them).
#ifndef HVFS_CORE_BUF_H
#define HVFS_CORE_BUF_H

#include "core/limits.h"
#include "core/types.h"

struct buf;
struct buf_pool;

// A pool of buffers of ${size} bytes (a power of two, LIMIT_BLOCK_SIZE_MIN to LIMIT_BLOCK_SIZE_MAX). Memory is taken
// from the system in chunks and given back when a chunk is empty. Returns NULL without memory.
struct buf_pool *buf_pool_create(size_t size);

// All buffers must have been returned.
void buf_pool_destroy(struct buf_pool *pool);

// Buffers of ${pool} that somebody holds.
size_t buf_pool_used(const struct buf_pool *pool);

// A buffer with one count and undefined bytes. Stops the process when the system has no memory left: the daemon may
// back a block device, where no answer is right then.
struct buf *buf_alloc(struct buf_pool *pool);

// The one buffer of zeros, for blocks of any size. It is never counted, never freed, never written.
struct buf *buf_zero(void);

// Take one more count; returns ${buf}. NULL is allowed.
struct buf *buf_ref(struct buf *buf);

// Give one count back; the last one frees. NULL is allowed.
void buf_unref(struct buf *buf);

// True when somebody else holds a count too, or the buffer is the zero buffer: then its bytes must not be changed.
bool buf_is_shared(const struct buf *buf);

// Bytes of memory that the buffer's data takes: its pool's size, 0 for the zero buffer.
size_t buf_size(const struct buf *buf);

// The bytes; aligned to the block size (at most 4096). The zero buffer gives LIMIT_BLOCK_SIZE_MAX zeros.
uint8_t *buf_bytes(struct buf *buf);

// What proves that a writer has written the bytes (crypto/seal.h), for who passes them on. It belongs to the bytes: who
// changes them takes it away.
struct proof {
	uint16_t size; // 0: there is none
	uint8_t bytes[LIMIT_VERIFIER_SIZE];
};

// The proof of the buffer's bytes, which stays where it is until the buffer gets another or is freed; NULL: it has none.
const struct proof *buf_proof(const struct buf *buf);

// Give ${buf}, which is not the zero buffer, these ${size} (at most LIMIT_VERIFIER_SIZE) bytes as its proof in place of
// what it had. 0: none.
void buf_set_proof(struct buf *buf, const uint8_t *bytes, size_t size);

// Copy bytes of a block: into, out of, or between buffers. They are counted: what is not in buf_copied is shared (S31).
void buf_copy(uint8_t *to, const uint8_t *from, size_t size);

// Bytes that buf_copy has copied in this process.
uint64_t buf_copied(void);

#endif
