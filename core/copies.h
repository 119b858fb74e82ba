// SPDX-License-Identifier: MIT
// Where the core keeps its copies of blocks: the interface of the cache (a stack of levels), as the core sees it.
// Implemented by cache/; the simulator uses the same code.
#ifndef HVFS_CORE_COPIES_H
#define HVFS_CORE_COPIES_H

#include "core/buf.h"
#include "core/limits.h"
#include "core/types.h"

struct copies_ops {
	// The copy of ${key}, or NULL: there is none, or its bytes are not in memory. Borrowed: valid until the next
	// call. Counts as a use (LRU).
	struct buf *(*get)(void *self, block_key key);

	// The same without being a use.
	struct buf *(*peek)(void *self, block_key key);

	// Are the bytes of the clean copy of ${key}, which there is, in memory, so that get gives them? If not they are
	// read into a buffer of ${pool}; next_loaded tells when that has ended, and until then this is not called for
	// ${key} again. May evict others, as put does.
	bool (*ready)(void *self, block_key key, struct buf_pool *pool);

	// A read that ready began has ended: of *${ret_key}. The bytes are in memory now; or the copy has been evicted, as
	// they can not be read; or there is no such copy any more. False: there is nothing more to tell. Called, until
	// then, in a step of EVENT_COPIES.
	bool (*next_loaded)(void *self, block_key *ret_key);

	// Keep ${buf} (one count is taken) as the copy of ${key}, in place of an older one. May evict clean copies of
	// other blocks: each is told by the evicted callback, during this call. Never fails.
	void (*put)(void *self, block_key key, struct buf *buf, bool dirty);

	// A dirty copy is not evicted. No effect when there is no copy.
	void (*set_dirty)(void *self, block_key key, bool dirty);

	// Forget the copy, if there is one. The evicted callback is not called.
	void (*drop)(void *self, block_key key);

	// The digest of the copy of ${key}, by which two nodes find that they have the same bytes (protocol.md T5): BLAKE2b
	// of its ${size} bytes or, if it has a proof, of that: who has it in the clear and who has it sealed agree. Also of what was kept of ${key} over a restart, which the core has not. False when
	// there is neither.
	bool (*digest)(void *self, block_key key, size_t size, uint8_t ret[BLOCK_DIGEST_SIZE]);

	// What was kept of ${key}, a block of ${size} bytes, over a restart, and whose digest was told, is the block's content:
	// it becomes the clean copy. False: that is not there any more.
	bool (*adopt)(void *self, block_key key, size_t size);

	// Volume ${index} is ${name}, and comes from a parent: its copies may be kept over a restart. Its blocks' buffers
	// are of ${pool}, which outlives what is kept.
	void (*set_volume)(void *self, uint32_t index, const char *name, struct buf_pool *pool);

	// A copy was wanted and there was none: for statistics.
	void (*missed)(void *self);

	// Who is told of evictions: fn(arg, key).
	void (*on_evicted)(void *self, void (*fn)(void *arg, block_key key), void *arg);

	// Room for this many copies of blocks of ${block_size} bytes. At least 1.
	uint64_t (*capacity)(void *self, size_t block_size);
};

struct copies {
	const struct copies_ops *ops;
	void *self;
};

#endif
