// SPDX-License-Identifier: MIT
// Two kinds of memory stand behind a piece: a counted buffer, or a part of a chunk. A chunk is freed when its last
// piece is written, so bytes are never moved, and an idle link holds no memory. Small messages that follow each other
// in a chunk become one piece.
#include "net/send_queue.h"

#include "core/check.h"
#include "net/wire.h"

#include <stdlib.h>
#include <string.h>

enum {
	CHUNK_SIZE = 16 * 1024,
	PIECES_MIN = 64,
	SEGMENTS_SMALL = 64,
};

struct chunk {
	size_t size, used;
	size_t pieces; // that wait in it
	uint8_t bytes[];
};

struct piece {
	const uint8_t *bytes;
	size_t size;
	struct buf *buf;     // counted, or NULL
	struct chunk *chunk; // or NULL
};

static void
chunk_release(struct send_queue *queue, struct chunk *chunk)
{
	CHECK(chunk->pieces > 0);
	if (--chunk->pieces > 0)
		return;
	if (queue->chunk == chunk)
		queue->chunk = NULL;
	free(chunk);
}

// Room for ${size} bytes of scratch at the end of the current chunk.
static uint8_t *
chunk_reserve(struct send_queue *queue, size_t size)
{
	struct chunk *chunk = queue->chunk;
	size_t capacity;

	if (chunk != NULL && chunk->size - chunk->used >= size)
		return chunk->bytes + chunk->used;
	capacity = size > CHUNK_SIZE ? size : CHUNK_SIZE;
	chunk = malloc(sizeof(*chunk) + capacity);
	CHECK(chunk != NULL);
	chunk->size = capacity;
	chunk->used = 0;
	chunk->pieces = 0;
	queue->chunk = chunk; // the one before, if any, lives on in its pieces
	return chunk->bytes;
}

static void
pieces_reserve(struct send_queue *queue, size_t count)
{
	size_t used = queue->tail - queue->head;

	if (queue->capacity - queue->tail >= count)
		return;
	if (queue->head > 0) {
		memmove(queue->pieces, queue->pieces + queue->head, used * sizeof(*queue->pieces));
		queue->head = 0;
		queue->tail = used;
	}
	if (queue->capacity >= 2 * (used + count))
		return;
	queue->capacity = 2 * (used + count);
	if (queue->capacity < PIECES_MIN)
		queue->capacity = PIECES_MIN;
	queue->pieces = realloc(queue->pieces, queue->capacity * sizeof(*queue->pieces));
	CHECK(queue->pieces != NULL);
}

// Appends scratch bytes, to the last piece where they follow it.
static void
pieces_add_scratch(struct send_queue *queue, const uint8_t *bytes, size_t size)
{
	struct chunk *chunk = queue->chunk;
	struct piece *last = queue->tail > queue->head ? &queue->pieces[queue->tail - 1] : NULL;

	if (last != NULL && last->chunk == chunk && last->bytes + last->size == bytes) {
		last->size += size;
		return;
	}
	chunk->pieces++;
	queue->pieces[queue->tail++] = (struct piece){.bytes = bytes, .size = size, .chunk = chunk};
}

static void
pieces_add(struct send_queue *queue, const struct wire_segment *segment)
{
	if (segment->size == 0)
		return;
	queue->size += segment->size;
	if (segment->buf == NULL) {
		pieces_add_scratch(queue, segment->bytes, segment->size);
		return;
	}
	queue->pieces[queue->tail++] =
		(struct piece){.bytes = segment->bytes, .size = segment->size, .buf = buf_ref(segment->buf)};
}

void
send_queue_add(struct send_queue *queue, const struct message *message, size_t block_size)
{
	struct wire_segment small[SEGMENTS_SMALL], *segments = small;
	size_t max = wire_segment_count(message), count;
	size_t scratch_size = wire_scratch_size(message);
	uint8_t *scratch = chunk_reserve(queue, scratch_size);

	if (max > SEGMENTS_SMALL) {
		segments = malloc(max * sizeof(*segments));
		CHECK(segments != NULL);
	}
	pieces_reserve(queue, max);
	count = wire_encode(message, block_size, scratch, segments);
	CHECK(count > 0 && count <= max);
	for (size_t i = 0; i < count; i++) {
		const struct wire_segment *segment = &segments[i];

		pieces_add(queue, segment);
		if (segment->buf == NULL && segment->size > 0) {
			CHECK(segment->bytes >= scratch && segment->bytes + segment->size <= scratch + scratch_size);
			queue->chunk->used = (size_t)(segment->bytes + segment->size - queue->chunk->bytes);
		}
	}
	if (segments != small)
		free(segments);
}

int
send_queue_peek(const struct send_queue *queue, struct iovec *iov, int max)
{
	size_t skip = queue->sent;
	int count = 0;

	for (size_t i = queue->head; i < queue->tail && count < max; i++, count++) {
		iov[count].iov_base = (void *)(uintptr_t)(queue->pieces[i].bytes + skip);
		iov[count].iov_len = queue->pieces[i].size - skip;
		skip = 0;
	}
	return count;
}

static void
piece_release(struct send_queue *queue, struct piece *piece)
{
	buf_unref(piece->buf);
	if (piece->chunk != NULL)
		chunk_release(queue, piece->chunk);
}

static void
send_queue_free_memory(struct send_queue *queue)
{
	free(queue->pieces);
	queue->pieces = NULL;
	queue->head = queue->tail = queue->capacity = 0;
	queue->sent = 0;
	CHECK(queue->size == 0);
}

void
send_queue_advance(struct send_queue *queue, size_t size)
{
	CHECK(size <= queue->size);
	queue->size -= size;
	size += queue->sent;
	while (queue->head < queue->tail && size >= queue->pieces[queue->head].size) {
		size -= queue->pieces[queue->head].size;
		piece_release(queue, &queue->pieces[queue->head++]);
	}
	queue->sent = size;
	if (queue->head == queue->tail) {
		CHECK(size == 0);
		queue->head = queue->tail = 0;
		if (queue->capacity > PIECES_MIN)
			send_queue_free_memory(queue);
	}
}

void
send_queue_clear(struct send_queue *queue)
{
	while (queue->head < queue->tail)
		piece_release(queue, &queue->pieces[queue->head++]);
	queue->size = 0;
	send_queue_free_memory(queue);
}
