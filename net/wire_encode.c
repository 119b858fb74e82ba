// SPDX-License-Identifier: MIT
// Messages to bytes. Block data is not copied: a message becomes segments, by turns bytes in scratch (header,
// parameters, the heads of DATA) and the bytes of a block where they lie. The form is canonical: fields in the order of
// the table, a VERSION only where it changes, runs as long as they can be; it is never longer than another form of the
// same message, but for the three bytes that CONNECT_FLAGS may save.
#include "core/check.h"
#include "net/wire.h"
#include "net/wire_params.h"

enum { ITEM_HEAD_SIZE_MAX = 3 * WIRE_PARAM_SIZE + 8 + 4 }; // VERSION, VERIFIER (without its bytes) and a run

// How many items from ${index} on travel as one parameter: those of bytes, or with a verifier, alone, others in runs of
// one version.
static size_t
item_run(const struct message *message, size_t index)
{
	const struct item *first = &message->items[index];
	size_t end = index + 1;

	if (first->kind == ITEM_DATA || first->verifier.size > 0)
		return 1;
	while (end < message->count && message->items[end].kind == first->kind &&
	       message->items[end].version == first->version && message->items[end].verifier.size == 0)
		end++;
	return end - index;
}

static const struct blob *
message_blob(const struct message *message, const struct param *param)
{
	return (const struct blob *)((const uint8_t *)message + param->offset);
}

static uint64_t
message_number(const struct message *message, const struct param *param)
{
	const uint8_t *field = (const uint8_t *)message + param->offset;

	switch (param->width) {
	case 2:
		return *(const uint16_t *)field;
	case 4:
		return *(const uint32_t *)field;
	default:
		return *(const uint64_t *)field;
	}
}

static size_t
param_value_size(const struct message *message, const struct param *param)
{
	switch (param->kind) {
	case KIND_BLOB:
		return message_blob(message, param)->size;
	case KIND_PATH:
		return 8 * (size_t)message->path_count;
	default:
		return param->size;
	}
}

size_t
wire_scratch_size(const struct message *message)
{
	size_t size = WIRE_HEADER_SIZE + WIRE_PARAM_SIZE; // END_MSG

	CHECK((message->present & ~WIRE_PRESENT_FIELDS) == 0);
	for (uint64_t left = message->present; left != 0; left &= left - 1)
		size += WIRE_PARAM_SIZE + param_value_size(message, &wire_params[__builtin_ctzll(left)]);
	if (!message->items)
		return size;
	for (size_t i = 0; i < message->count; i += item_run(message, i))
		size += ITEM_HEAD_SIZE_MAX + message->items[i].verifier.size;
	return size;
}

size_t
wire_segment_count(const struct message *message)
{
	size_t count = 1;

	if (!message->items)
		return count;
	for (size_t i = 0; i < message->count; i++)
		count += message->items[i].kind == ITEM_DATA ? 2 : 0;
	return count;
}

static uint8_t *
put_param(uint8_t *at, uint16_t type, size_t size)
{
	return put16(put16(at, type), (uint16_t)size);
}

static uint8_t *
put_blob(uint8_t *at, uint16_t type, const struct blob *blob, size_t max)
{
	CHECK(blob->size <= max);
	at = put_param(at, type, blob->size);
	if (blob->size > 0)
		memcpy(at, blob->bytes, blob->size);
	return at + blob->size;
}

static uint8_t *
encode_field(uint8_t *at, const struct message *message, const struct param *param)
{
	size_t size = param_value_size(message, param);
	uint64_t number;

	if (param->kind == KIND_BLOB) {
		CHECK(size >= param->min);
		return put_blob(at, param->type, message_blob(message, param), param->max);
	}
	at = put_param(at, param->type, size);
	if (param->kind == KIND_PATH) {
		CHECK(message->path_count <= param->max);
		for (size_t i = 0; i < message->path_count; i++)
			at = put64(at, message->path[i]);
		return at;
	}
	number = message_number(message, param);
	CHECK(wire_param_allows(param, number));
	put_number(at, size, number);
	return at + size;
}

static uint8_t *
encode_header(uint8_t *at, const struct message *message)
{
	uint16_t flags = message->flags | (message->present != 0 ? FLAG_PARAMS : 0);

	CHECK(wire_opcode_is_known(message->opcode));
	CHECK((flags & ~FLAG_ALL) == 0);
	*at++ = (uint8_t)message->opcode;
	*at++ = message->hops_left;
	return put32(put32(put16(at, flags), message->origin), message->xid);
}

// What the decoder asks of a run of blocks (decode_run_of_blocks).
static void
check_run_of_blocks(const struct message *message)
{
	bool has_block = message->present & PRESENT(BLOCK_NUM);
	bool has_count = message->present & PRESENT(BLOCK_COUNT);

	CHECK(has_block || (!has_count && !message->items));
	CHECK(!has_block || has_count || message->count == 1);
	CHECK(!has_block || message->count - 1 <= WIRE_BLOCK_NUM_MAX - message->block);
}

// Segments under construction: scratch bytes from ${start} on are not in a segment yet.
struct encoder {
	uint8_t *start;
	uint8_t *at;
	struct wire_segment *segments;
	size_t count;
	size_t size; // bytes in segments
};

static void
encoder_add(struct encoder *encoder, const uint8_t *bytes, size_t size, struct buf *buf)
{
	encoder->segments[encoder->count++] = (struct wire_segment){bytes, size, buf};
	encoder->size += size;
}

// The scratch bytes written since the last segment become one.
static void
encoder_cut(struct encoder *encoder)
{
	encoder_add(encoder, encoder->start, (size_t)(encoder->at - encoder->start), NULL);
	encoder->start = encoder->at;
}

static void
encode_items(struct encoder *encoder, const struct message *message, size_t block_size)
{
	version_t version = 0;
	size_t run;

	for (size_t i = 0; i < message->count; i += run) {
		const struct item *item = &message->items[i];

		run = item_run(message, i);
		if (item->version != version) {
			version = item->version;
			encoder->at = put64(put_param(encoder->at, PARAM_VERSION, 8), version);
		}
		if (item->verifier.size > 0)
			encoder->at = put_blob(encoder->at, PARAM_VERIFIER, &item->verifier, LIMIT_VERIFIER_SIZE);
		if (item->kind != ITEM_DATA) {
			uint16_t type = item->kind == ITEM_ZERO ? PARAM_ZERO_RUN : PARAM_EMPTY_RUN;

			encoder->at = put32(put_param(encoder->at, type, 4), (uint32_t)run);
			continue;
		}
		CHECK(item->buf && wire_is_block_size(block_size));
		encoder->at = put_param(encoder->at, PARAM_DATA, block_size);
		encoder_cut(encoder);
		encoder_add(encoder, buf_bytes(item->buf), block_size, item->buf);
	}
}

size_t
wire_encode(const struct message *message, size_t block_size, uint8_t *scratch, struct wire_segment *segments)
{
	struct encoder encoder = {.start = scratch, .segments = segments};

	CHECK((message->present & ~WIRE_PRESENT_FIELDS) == 0);
	check_run_of_blocks(message);
	encoder.at = encode_header(scratch, message);
	for (uint64_t left = message->present; left != 0; left &= left - 1)
		encoder.at = encode_field(encoder.at, message, &wire_params[__builtin_ctzll(left)]);
	if (message->items)
		encode_items(&encoder, message, block_size);
	if (message->present != 0)
		encoder.at = put_param(encoder.at, PARAM_END_MSG, 0);
	encoder_cut(&encoder);
	CHECK(encoder.size <= LIMIT_MESSAGE_SIZE);
	CHECK(encoder.count / 2 * block_size <= LIMIT_MESSAGE_DATA_SIZE);
	return encoder.count;
}
