// SPDX-License-Identifier: MIT
#include "tests/fuzz/wire_help.h"

#include "core/check.h"

#include <stdlib.h>
#include <string.h>

uint64_t
wire_help_below(uint64_t *seed, uint64_t limit)
{
	uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	z ^= z >> 31;
	return limit == 0 ? z : z % limit;
}

uint8_t *
wire_help_encode(const struct message *message, size_t block_size, size_t *ret_size)
{
	size_t scratch_size = wire_scratch_size(message), used = 0, size = 0;
	size_t room = wire_segment_count(message), count;
	struct wire_segment *segments = calloc(room, sizeof(*segments));
	uint8_t *scratch = malloc(scratch_size), *bytes, *at;

	CHECK(segments && scratch);
	count = wire_encode(message, block_size, scratch, segments);
	CHECK(count >= 1 && count <= room);
	for (size_t i = 0; i < count; i++) {
		CHECK(segments[i].size > 0);
		CHECK(i == 0 || (segments[i].buf != NULL) != (segments[i - 1].buf != NULL));
		CHECK(!segments[i].buf || segments[i].bytes == buf_bytes(segments[i].buf));
		CHECK(segments[i].buf || segments[i].bytes == scratch + used);
		used += segments[i].buf ? 0 : segments[i].size;
		size += segments[i].size;
	}
	CHECK(used <= scratch_size);
	at = bytes = malloc(size);
	CHECK(bytes);
	for (size_t i = 0; i < count; at += segments[i].size, i++)
		memcpy(at, segments[i].bytes, segments[i].size);
	free(scratch);
	free(segments);
	*ret_size = size;
	return bytes;
}

// A pool for each block size, kept for ever.
static struct buf_pool *
pool_of(size_t block_size)
{
	static struct buf_pool *pools[16];
	struct buf_pool **pool = &pools[__builtin_ctzll(block_size)];

	if (!*pool)
		*pool = buf_pool_create(block_size);
	CHECK(*pool);
	return *pool;
}

void
wire_help_fill(struct message *message)
{
	for (size_t i = 0; message->items && i < message->count; i++) {
		struct item *item = &message->items[i];

		if (item->kind != ITEM_DATA)
			continue;
		item->buf = buf_alloc(pool_of(message->data_size));
		memcpy(buf_bytes(item->buf), item->bytes, message->data_size);
	}
}

void
wire_help_drop(struct message *message)
{
	for (size_t i = 0; message->items && i < message->count; i++) {
		buf_unref(message->items[i].buf);
		message->items[i].buf = NULL;
	}
}

static bool
blobs_differ(struct blob a, struct blob b)
{
	return a.size != b.size || (a.size > 0 && memcmp(a.bytes, b.bytes, a.size) != 0);
}

static bool
items_differ(const struct message *a, const struct message *b, size_t block_size)
{
	if (!a->items != !b->items)
		return true;
	for (size_t i = 0; a->items && i < a->count; i++) {
		const struct item *x = &a->items[i], *y = &b->items[i];

		if (x->kind != y->kind || x->version != y->version || blobs_differ(x->verifier, y->verifier))
			return true;
		if (x->kind == ITEM_DATA && memcmp(x->buf ? buf_bytes(x->buf) : x->bytes,
						   y->buf ? buf_bytes(y->buf) : y->bytes, block_size) != 0)
			return true;
	}
	return false;
}

#define MESSAGE_NUMBERS(X)                                                                                          \
	X(opcode)                                                                                                   \
	X(hops_left) X(flags) X(origin) X(xid) X(present) X(volume_id) X(connect_flags) X(block) X(count) X(perm)   \
		X(ttl_ms) X(hb_ttl_ms) X(status) X(err_param) X(parent_id) X(grant) X(epoch) X(protocol) X(node_id) \
			X(session) X(link_number) X(gap.from) X(gap.to) X(path_count) X(credits) X(volume_size) X(block_size)
#define MESSAGE_BLOBS(X) \
	X(volume_name)   \
	X(err_value) X(node_name) X(key) X(digest) X(cookie) X(range_start) X(stripe) X(parent_addr)

const char *
wire_help_difference(const struct message *a, const struct message *b, size_t block_size)
{
#define SAME(field)               \
	if (a->field != b->field) \
		return #field;
#define SAME_BLOB(field)                      \
	if (blobs_differ(a->field, b->field)) \
		return #field;
	MESSAGE_NUMBERS(SAME)
	MESSAGE_BLOBS(SAME_BLOB)
#undef SAME
#undef SAME_BLOB
	for (size_t i = 0; i < LIMIT_HOPS; i++) {
		if (a->path[i] != b->path[i])
			return "path";
	}
	return items_differ(a, b, block_size) ? "items" : NULL;
}

long
wire_help_split(const uint8_t *bytes, size_t size, uint64_t seed, struct wire_error *ret_error)
{
	struct wire_splitter splitter = {0};
	size_t arrived = 0;
	uint64_t piece_max = seed % 2 ? 7 : 4096;

	while (arrived < size) {
		uint64_t piece = seed == 0 ? size : 1 + wire_help_below(&seed, piece_max);
		long result;

		arrived = piece < size - arrived ? arrived + piece : size;
		result = wire_split(&splitter, bytes, arrived, ret_error);
		if (result != 0)
			return result;
	}
	return 0;
}

void
raw_header(struct raw *raw, uint8_t opcode, uint16_t flags)
{
	const uint8_t header[WIRE_HEADER_SIZE] = {opcode, 3, flags >> 8, flags & 0xff, 10, 0, 0, 1, 0, 0, 1, 2};

	memcpy(raw->bytes, header, sizeof(header));
	raw->size = sizeof(header);
}

void
raw_param(struct raw *raw, uint16_t type, const void *value, size_t size)
{
	uint8_t *at = raw->bytes + raw->size;

	CHECK(size <= UINT16_MAX && raw->size + 4 + size <= sizeof(raw->bytes));
	at[0] = type >> 8;
	at[1] = type & 0xff;
	at[2] = (uint8_t)(size >> 8);
	at[3] = size & 0xff;
	if (size > 0)
		memcpy(at + 4, value, size);
	raw->size += 4 + size;
}

void
raw_number(struct raw *raw, uint16_t type, uint64_t value, size_t size)
{
	uint8_t bytes[8];

	for (size_t i = size; i-- > 0; value >>= 8)
		bytes[i] = value & 0xff;
	raw_param(raw, type, bytes, size);
}
