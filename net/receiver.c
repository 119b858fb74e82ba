// SPDX-License-Identifier: MIT
// All bytes go through feed, in their order: those that lie where they belong are only counted there.
#include "net/receiver.h"
#include "core/check.h"

#include <stdlib.h>
#include <string.h>

enum { HEAD_SIZE_MIN = 1024, BLOCKS_MIN = 16, AHEAD_MIN = 2, SMALL_MAX = 4 };

// ---- What is coming ----

static void
head_add(struct receiver *receiver, const uint8_t *bytes, size_t size)
{
	if (receiver->head_size - receiver->head_used < size) {
		receiver->head_size = 2 * (receiver->head_used + size);
		if (receiver->head_size < HEAD_SIZE_MIN)
			receiver->head_size = HEAD_SIZE_MIN;
		receiver->head = realloc(receiver->head, receiver->head_size);
		CHECK(receiver->head != NULL);
	}
	memcpy(receiver->head + receiver->head_used, bytes, size);
	receiver->head_used += size;
	receiver->since_block += size;
}

// A block of ${size} bytes comes next.
static void
block_begin(struct receiver *receiver, size_t size)
{
	struct receiver_shape *coming = &receiver->coming;

	if (receiver->block_count == receiver->block_capacity) {
		receiver->block_capacity = receiver->block_capacity == 0 ? BLOCKS_MIN : 2 * receiver->block_capacity;
		receiver->blocks = realloc(receiver->blocks, receiver->block_capacity * sizeof(*receiver->blocks));
		CHECK(receiver->blocks != NULL);
	}
	if (receiver->block_count == 0) {
		coming->before = receiver->since_block;
		coming->total = wire_block_count(receiver->head, receiver->head_used);
	} else {
		coming->between = receiver->since_block;
	}
	coming->size = size;
	coming->count++;
	receiver->since_block = 0;
	receiver->block_size = size;
	receiver->block_used = 0;
	receiver->blocks[receiver->block_count++] = NULL;
}

static void
block_take(struct receiver *receiver, size_t size)
{
	receiver->block_used += size;
	if (receiver->block_used == receiver->block_size)
		receiver->block_used = receiver->block_size = 0;
}

static void
drop_blocks(struct receiver *receiver)
{
	while (receiver->block_count > 0)
		buf_unref(receiver->blocks[--receiver->block_count]);
}

// The next message begins.
static void
begin(struct receiver *receiver)
{
	drop_blocks(receiver);
	if (receiver->coming.count > 0) {
		receiver->steady =
			receiver->shape.total == receiver->coming.total && receiver->coming.total <= SMALL_MAX;
		receiver->shape = receiver->coming;
	}
	receiver->coming = (struct receiver_shape){0};
	receiver->splitter = (struct wire_splitter){0};
	receiver->head_used = 0;
	receiver->since_block = 0;
}

// Put bytes of the block that is coming where it belongs. Returns how many of them.
static size_t
feed_block(struct receiver *receiver, const struct receiver_listener *listener, const uint8_t *bytes, size_t size,
	   struct buf *buf)
{
	struct buf **block = &receiver->blocks[receiver->block_count - 1];
	size_t use = receiver->block_size - receiver->block_used;

	if (use > size)
		use = size;
	if (*block == NULL && buf != NULL && bytes == buf_bytes(buf) && buf_size(buf) == receiver->block_size) {
		*block = buf_ref(buf);
		receiver->placed++;
	}
	if (*block == NULL)
		*block = buf_alloc(listener->pool(listener->arg, receiver->block_size));
	if (bytes != buf_bytes(*block) + receiver->block_used)
		buf_copy(buf_bytes(*block) + receiver->block_used, bytes, use);
	block_take(receiver, use);
	return use;
}

// The message that is coming, and of which ${size} bytes more are known to come, is longer than it may be.
static bool
is_too_long(const struct receiver *receiver, enum wire_part part, size_t size, struct wire_error *ret_error)
{
	size_t known = receiver->head_used + receiver->splitter.apart + (part == WIRE_HEAD ? size : 0);

	if (part == WIRE_BAD || receiver->size_max == 0 || known <= receiver->size_max)
		return false;
	*ret_error = (struct wire_error){.status = STATUS_TOO_MANY};
	return true;
}

// Some bytes have been put where they belong: what comes next? A message, and that there will be none, is told with the
// last byte of it. False: the end.
static bool
look(struct receiver *receiver, const struct receiver_listener *listener)
{
	struct wire_error error = {0};
	size_t size = 0;
	enum wire_part part = wire_next(&receiver->splitter, receiver->head, receiver->head_used, &size, &error);

	if (is_too_long(receiver, part, size, &error))
		part = WIRE_BAD;
	switch (part) {
	case WIRE_HEAD:
		receiver->head_wanted = size;
		return true;
	case WIRE_BLOCK:
		block_begin(receiver, size);
		return true;
	case WIRE_END:
		if (!listener->message(listener->arg, receiver->head, receiver->head_used, receiver->blocks))
			return false;
		begin(receiver);
		return true;
	case WIRE_BAD:
		break;
	}
	listener->fatal(listener->arg, receiver->head, receiver->head_used, &error);
	return false;
}

// The next ${size} bytes of the stream, which may lie in ${buf} (or NULL). False: the end.
static bool
feed(struct receiver *receiver, const struct receiver_listener *listener, const uint8_t *bytes, size_t size,
     struct buf *buf)
{
	size_t use;

	for (; size > 0; bytes += use, size -= use) {
		if (receiver->block_size > 0) {
			use = feed_block(receiver, listener, bytes, size, buf);
			if (receiver->block_size > 0)
				continue;
		} else {
			if (receiver->head_used == 0)
				receiver->head_wanted = WIRE_HEADER_SIZE;
			use = receiver->head_wanted < size ? receiver->head_wanted : size;
			head_add(receiver, bytes, use);
		}
		if (!look(receiver, listener))
			return false;
	}
	return true;
}

// ---- What is foreseen ----

static void
add_piece(struct receiver_space *space, uint8_t *bytes, size_t size, struct buf *buf)
{
	space->bufs[space->count] = buf;
	space->iov[space->count++] = (struct iovec){bytes, size};
	space->size += size;
}

// What messages look like as far as we know; the one that is coming knows best.
static struct receiver_shape
known_shape(const struct receiver *receiver)
{
	const struct receiver_shape *coming = &receiver->coming;
	struct receiver_shape ret = receiver->shape;

	if (coming->count > 0) {
		ret.size = coming->size;
		ret.before = coming->before;
		ret.total = coming->total;
	}
	if (coming->count > 1 || ret.between == 0)
		ret.between = coming->between > 0 ? coming->between : WIRE_PARAM_SIZE; // blocks of one version
	return ret;
}

// Bytes before the block that comes when ${count} blocks of a message have come.
static size_t
gap_after(const struct receiver_shape *shape, uint32_t count)
{
	if (count == 0)
		return shape->before;
	return count < shape->total ? shape->between : shape->before + WIRE_PARAM_SIZE;
}

static void
foresee(struct receiver *receiver, const struct receiver_listener *listener, struct receiver_space *space)
{
	const struct receiver_shape shape = known_shape(receiver);
	uint32_t count = receiver->coming.count, left = receiver->steady ? receiver->ahead : 1;
	bool begun = count > 0;
	size_t come = receiver->since_block;

	for (uint32_t i = 0; shape.size > 0; i++) {
		size_t gap = gap_after(&shape, count);
		struct buf *buf;

		if (gap <= come || gap > RECEIVER_GAP_MAX)
			return;
		add_piece(space, space->gaps[i], gap - come, NULL);
		begun = begun && count < shape.total;
		if (i == RECEIVER_AHEAD_MAX || (i + 1) * shape.size > RECEIVER_AHEAD_SIZE || (!begun && left-- == 0))
			return;
		buf = buf_alloc(listener->pool(listener->arg, shape.size));
		add_piece(space, buf_bytes(buf), shape.size, buf);
		count = count < shape.total ? count + 1 : 1;
		come = 0;
		if (!begun && !receiver->steady)
			return;
	}
}

void
receiver_prepare(struct receiver *receiver, const struct receiver_listener *listener, struct receiver_space *space)
{
	space->count = 0;
	space->size = 0;
	if (receiver->block_size > 0) {
		struct buf **block = &receiver->blocks[receiver->block_count - 1];

		if (*block == NULL)
			*block = buf_alloc(listener->pool(listener->arg, receiver->block_size));
		add_piece(space, buf_bytes(*block) + receiver->block_used, receiver->block_size - receiver->block_used,
			  NULL);
	}
	foresee(receiver, listener, space);
	if (space->count < 2) // else no more, so that no block comes where it does not belong
		add_piece(space, space->rest, space->rest_size, NULL);
}

bool
receiver_take(struct receiver *receiver, const struct receiver_listener *listener, struct receiver_space *space,
	      size_t size)
{
	bool goes_on = true;

	receiver->placed = 0;
	for (int i = 0; i < space->count; i++) {
		size_t use = space->iov[i].iov_len < size ? space->iov[i].iov_len : size;

		size -= use;
		if (goes_on)
			goes_on = feed(receiver, listener, space->iov[i].iov_base, use, space->bufs[i]);
		buf_unref(space->bufs[i]);
	}
	if (!goes_on)
		return false;
	receiver->ahead = receiver->placed * 2 < RECEIVER_AHEAD_MAX ? receiver->placed * 2 : RECEIVER_AHEAD_MAX;
	if (receiver->ahead < AHEAD_MIN)
		receiver->ahead = AHEAD_MIN;
	if (!receiver_is_within(receiver))
		receiver_clear(receiver);
	return true;
}

bool
receiver_is_within(const struct receiver *receiver)
{
	return receiver->head_used > 0;
}

void
receiver_clear(struct receiver *receiver)
{
	drop_blocks(receiver);
	free(receiver->head);
	free(receiver->blocks);
	receiver->head = NULL;
	receiver->blocks = NULL;
	receiver->head_size = receiver->head_used = 0;
	receiver->block_capacity = 0;
}
