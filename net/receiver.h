// SPDX-License-Identifier: MIT
// The receiving end of a stream of messages. The bytes of blocks go to counted buffers of their own, all others are
// collected, message by message.
//
// Where a block begins in the stream is known only when what is before it has come; but messages of one kind follow
// each other, so it is foreseen from the last one (struct receiver_shape), and the system is asked to put the bytes
// there at once. How many blocks a message has says its beginning; of the next one its first block is foreseen, and
// while small ones follow each other, several of them. What was foreseen wrongly is copied to where it belongs: never
// wrong, only slower (buf_copied tells).
#ifndef HVFS_NET_RECEIVER_H
#define HVFS_NET_RECEIVER_H

#include "net/wire.h"

enum {
	RECEIVER_AHEAD_MAX = 128,                // blocks that are foreseen at once
	RECEIVER_AHEAD_SIZE = 512 * 1024,        // their bytes
	RECEIVER_GAP_MAX = 512,                  // bytes before a block that is foreseen
	RECEIVER_PIECES = 2 * RECEIVER_AHEAD_MAX + 3,
};

// The last message with blocks.
struct receiver_shape {
	size_t size;    // of a block; 0: there was none yet
	size_t before;  // bytes before the first block
	size_t between; // two blocks
	uint32_t count; // blocks that came
	uint32_t total; // blocks that it was about
};

struct receiver {
	uint8_t *head; // of the message that is coming: all but the bytes of blocks
	size_t head_used, head_size;
	size_t head_wanted; // bytes that come next and belong there
	struct wire_splitter splitter;
	size_t size_max; // of a message, if it is less than LIMIT_MESSAGE_SIZE; 0: it is not
	struct buf **blocks; // of that message
	uint32_t block_count, block_capacity;
	size_t block_size, block_used; // of the last of them, while it is coming: else both are 0
	size_t since_block;            // bytes of the head that came since the last block, or the beginning
	struct receiver_shape shape, coming;
	bool steady;     // the last two messages with blocks were about the same few: more of them are foreseen
	uint32_t ahead;  // blocks to foresee of messages that have not begun
	uint32_t placed; // by the last read: blocks that were foreseen
};

// Where the next bytes of the stream are to be put. One for all receivers of a thread.
struct receiver_space {
	struct iovec iov[RECEIVER_PIECES];
	struct buf *bufs[RECEIVER_PIECES]; // that a piece is; or NULL
	int count;
	size_t size;
	uint8_t gaps[RECEIVER_AHEAD_MAX + 1][RECEIVER_GAP_MAX];
	uint8_t *rest; // rest_size bytes, for what nothing is foreseen of
	size_t rest_size;
};

struct receiver_listener {
	// Buffers of ${size} bytes, which is a legal block size.
	struct buf_pool *(*pool)(void *arg, size_t size);
	// A whole message: decode it with wire_decode_apart. False: the receiver is not to be used any more.
	bool (*message)(void *arg, const uint8_t *head, size_t size, struct buf *const *blocks);
	// What comes can not become a message; these bytes have come. The receiver is not to be used any more.
	void (*fatal)(void *arg, const uint8_t *head, size_t size, const struct wire_error *error);
	void *arg;
};

// Fill ${space}. To be followed by receiver_take.
void receiver_prepare(struct receiver *receiver, const struct receiver_listener *listener,
		      struct receiver_space *space);

// ${size} bytes have been put into ${space}, 0 if reading failed. False: the listener said that this was the end.
bool receiver_take(struct receiver *receiver, const struct receiver_listener *listener, struct receiver_space *space,
		   size_t size);

// Has a message begun whose end has not come?
bool receiver_is_within(const struct receiver *receiver);

// Give back what it holds.
void receiver_clear(struct receiver *receiver);

#endif
