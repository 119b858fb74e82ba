// SPDX-License-Identifier: MIT
// What waits to be written on one link: encoded messages in order. Bytes of blocks stay in their counted buffers, all
// other bytes lie in chunks of scratch memory.
#ifndef HVFS_NET_SEND_QUEUE_H
#define HVFS_NET_SEND_QUEUE_H

#include "core/message.h"

#include <sys/uio.h>

struct chunk;
struct piece;

struct send_queue {
	struct piece *pieces; // [head, tail) wait
	size_t head, tail, capacity;
	size_t sent;         // bytes of the head piece that are written
	size_t size;         // bytes that wait
	struct chunk *chunk; // where the next message's bytes go, or NULL
};

// A zeroed queue is empty. Gives back what waits.
void send_queue_clear(struct send_queue *queue);

// Encode ${message} behind what waits; ${block_size} is that of its data items.
void send_queue_add(struct send_queue *queue, const struct message *message, size_t block_size);

// The first pieces, at most ${max}. Returns how many.
int send_queue_peek(const struct send_queue *queue, struct iovec *iov, int max);

// ${size} bytes from the front are written.
void send_queue_advance(struct send_queue *queue, size_t size);

#endif
