// SPDX-License-Identifier: MIT
// The byte layout of messages. docs/protocol.md, "Bytes", is the listing; this is how it is done.
//
// One table, wire_params[], says for each parameter its type, the length of its value, the range of its value and the
// field of struct message it lives in. Decoder and encoder both walk it, so that they can not disagree, and the encoder
// CHECKs what the decoder refuses: what this process sends, a neighbour of the same version accepts.
//
// The parameters of blocks (VERSION, VERIFIER, DATA, ZERO_RUN, EMPTY_RUN) are not in the table's fields: in the order in which
// they come they append to message.items, block after block.
//
// Decoding trusts no length: each is compared with what is left before a byte of the value is read, nothing is
// allocated, and the number of items is bounded before they are written (a run of 8 bytes makes at most
// LIMIT_RUN_BLOCKS of them). The splitter only walks over lengths and remembers how far it came, so that a message of 1
// MiB that arrives in small pieces costs each of its parameters once.
#include "net/wire.h"

#include "core/check.h"
#include "net/wire_params.h"

// Fill *ret_error and return -1.
static int
fail(struct wire_error *ret_error, enum status status, uint16_t type, const uint8_t *value, size_t size)
{
	ret_error->status = status;
	ret_error->param = type;
	ret_error->value_size = size < LIMIT_ERR_VALUE_SIZE ? size : LIMIT_ERR_VALUE_SIZE;
	if (ret_error->value_size > 0)
		memcpy(ret_error->value, value, ret_error->value_size);
	return -1;
}

// The same, the offending value being an integer of ${size} bytes.
static int
fail_number(struct wire_error *ret_error, enum status status, uint16_t type, uint64_t value, size_t size)
{
	uint8_t bytes[8];

	put_number(bytes, size, value);
	return fail(ret_error, status, type, bytes, size);
}

// Check what is there of the header, from its first byte on: who speaks another protocol is found out at once.
static int
check_header(const uint8_t *bytes, size_t size, struct wire_error *ret_error)
{
	uint16_t unknown;

	if (size >= 1 && !wire_opcode_is_known(bytes[0]))
		return fail(ret_error, STATUS_INVALID_HEADER, 0, bytes, 1);
	if (size < 4)
		return 0;
	unknown = get16(bytes + 2) & (uint16_t)~FLAG_ALL;
	if (unknown != 0)
		return fail_number(ret_error, STATUS_INVALID_HEADER, 0, unknown, 2);
	return 0;
}

long
wire_split(struct wire_splitter *splitter, const uint8_t *bytes, size_t size, struct wire_error *ret_error)
{
	CHECK(splitter->scanned <= size);
	if (splitter->scanned == 0) {
		if (check_header(bytes, size, ret_error) < 0)
			return -1;
		if (size < WIRE_HEADER_SIZE)
			return 0;
		if (!(get16(bytes + 2) & FLAG_PARAMS))
			return WIRE_HEADER_SIZE;
		splitter->scanned = WIRE_HEADER_SIZE;
	}
	while (size - splitter->scanned >= WIRE_PARAM_SIZE) {
		const uint8_t *head = bytes + splitter->scanned;
		uint16_t type = get16(head);
		size_t end = splitter->scanned + WIRE_PARAM_SIZE + get16(head + 2);
		// What is not the end must leave room for it.
		size_t rest = type == PARAM_END_MSG ? 0 : WIRE_PARAM_SIZE;

		if (end + rest > LIMIT_MESSAGE_SIZE)
			return fail(ret_error, STATUS_TOO_MANY, type, head + 2, 2);
		if (end > size)
			return 0;
		if (type == PARAM_END_MSG)
			return (long)end;
		splitter->scanned = end;
	}
	return 0;
}

// Is it the value of this parameter that is kept apart?
static bool
is_block(uint16_t type, size_t size)
{
	return type == PARAM_DATA && wire_is_block_size(size);
}

enum wire_part
wire_next(struct wire_splitter *splitter, const uint8_t *bytes, size_t size, size_t *ret_size,
	  struct wire_error *ret_error)
{
	if (splitter->scanned == 0) {
		if (check_header(bytes, size, ret_error) < 0)
			return WIRE_BAD;
		*ret_size = WIRE_HEADER_SIZE - size;
		if (size < WIRE_HEADER_SIZE)
			return WIRE_HEAD;
		splitter->scanned = WIRE_HEADER_SIZE;
		if (!(get16(bytes + 2) & FLAG_PARAMS))
			return WIRE_END;
	}
	for (;;) {
		const uint8_t *head = bytes + splitter->scanned;
		size_t left = size - splitter->scanned, value_size, rest;
		uint16_t type;

		*ret_size = WIRE_PARAM_SIZE - left;
		if (left < WIRE_PARAM_SIZE)
			return WIRE_HEAD;
		type = get16(head);
		value_size = get16(head + 2);
		rest = type == PARAM_END_MSG ? 0 : WIRE_PARAM_SIZE;
		if (splitter->scanned + splitter->apart + WIRE_PARAM_SIZE + value_size + rest > LIMIT_MESSAGE_SIZE) {
			fail(ret_error, STATUS_TOO_MANY, type, head + 2, 2);
			return WIRE_BAD;
		}
		*ret_size = value_size;
		if (is_block(type, value_size)) {
			splitter->scanned += WIRE_PARAM_SIZE;
			splitter->apart += value_size;
			return WIRE_BLOCK;
		}
		*ret_size = WIRE_PARAM_SIZE + value_size - left;
		if (left < WIRE_PARAM_SIZE + value_size)
			return WIRE_HEAD;
		if (type == PARAM_END_MSG)
			return WIRE_END;
		splitter->scanned += WIRE_PARAM_SIZE + value_size;
	}
}

uint32_t
wire_block_count(const uint8_t *bytes, size_t size)
{
	size_t at = WIRE_HEADER_SIZE;

	for (; at + WIRE_PARAM_SIZE + 4 <= size; at += WIRE_PARAM_SIZE + get16(bytes + at + 2))
		if (get16(bytes + at) == PARAM_BLOCK_COUNT && get16(bytes + at + 2) == 4)
			return get32(bytes + at + WIRE_PARAM_SIZE);
	return 1;
}

struct decoder {
	struct message *message;
	struct item *items; // room for LIMIT_RUN_BLOCKS
	struct buf *const *blocks; // where the values of DATA are; NULL: among the others
	size_t item_count;
	size_t data_count;      // ITEM_DATA among them
	version_t version;      // of the items that follow
	bool version_is_unused; // no item followed it yet
	struct blob verifier;   // of the next item; size 0: none
	struct wire_error *error;
};

static void
decode_header(const uint8_t *bytes, struct message *ret)
{
	ret->opcode = bytes[0];
	ret->hops_left = bytes[1];
	ret->flags = get16(bytes + 2) & (uint16_t)~FLAG_PARAMS;
	ret->origin = get32(bytes + 4);
	ret->xid = get32(bytes + 8);
}

static int
decode_number(struct decoder *decoder, const struct param *param, const uint8_t *value, size_t size)
{
	bool is_flags = param->kind == KIND_FLAGS;
	uint8_t *field = (uint8_t *)decoder->message + param->offset;
	uint64_t number;

	if (is_flags ? size < 1 || size > param->size : size != param->size)
		return fail(decoder->error, STATUS_BAD_PARAM_LENGTH, param->type, value, size);
	number = get_number(value, size);
	if (!wire_param_allows(param, number))
		return fail_number(decoder->error, STATUS_BAD_PARAM_VALUE, param->type,
				   is_flags ? number & ~param->max : number, size);
	switch (param->width) {
	case 2:
		memcpy(field, &(uint16_t){(uint16_t)number}, 2);
		return 0;
	case 4:
		memcpy(field, &(uint32_t){(uint32_t)number}, 4);
		return 0;
	default:
		memcpy(field, &number, 8);
		return 0;
	}
}

static int
decode_blob(struct decoder *decoder, const struct param *param, const uint8_t *value, size_t size)
{
	struct blob blob = {.bytes = value, .size = size};

	if (size < param->min || size > param->max)
		return fail(decoder->error, STATUS_BAD_PARAM_LENGTH, param->type, value, size);
	memcpy((uint8_t *)decoder->message + param->offset, &blob, sizeof(blob));
	return 0;
}

static int
decode_path(struct decoder *decoder, const uint8_t *value, size_t size)
{
	if (size % 8 != 0 || size > 8 * LIMIT_HOPS)
		return fail(decoder->error, STATUS_BAD_PARAM_LENGTH, PARAM_PATH, value, size);
	decoder->message->path_count = (uint32_t)(size / 8);
	for (size_t i = 0; i < size / 8; i++)
		decoder->message->path[i] = get64(value + 8 * i);
	return 0;
}

static int
decode_field(struct decoder *decoder, uint16_t type, const uint8_t *value, size_t size)
{
	const struct param *param = wire_param_find(type);
	uint64_t bit;

	if (!param)
		return type & WIRE_OPTIONAL ? 0 : fail(decoder->error, STATUS_BAD_PARAM_ID, type, value, size);
	bit = UINT64_C(1) << (param - wire_params);
	if (decoder->message->present & bit)
		return fail(decoder->error, STATUS_BAD_PARAM_VALUE, type, value, size);
	decoder->message->present |= bit;
	if (param->kind == KIND_BLOB)
		return decode_blob(decoder, param, value, size);
	if (param->kind == KIND_PATH)
		return decode_path(decoder, value, size);
	return decode_number(decoder, param, value, size);
}

static int
decode_version(struct decoder *decoder, const uint8_t *value, size_t size)
{
	if (size != 8)
		return fail(decoder->error, STATUS_BAD_PARAM_LENGTH, PARAM_VERSION, value, size);
	if (decoder->version_is_unused || decoder->verifier.size > 0)
		return fail(decoder->error, STATUS_BAD_PARAM_VALUE, PARAM_VERSION, value, size);
	decoder->version = get64(value);
	decoder->version_is_unused = true;
	return 0;
}

static int
decode_verifier(struct decoder *decoder, const uint8_t *value, size_t size)
{
	if (size == 0 || size > LIMIT_VERIFIER_SIZE)
		return fail(decoder->error, STATUS_BAD_PARAM_LENGTH, PARAM_VERIFIER, value, size);
	if (decoder->verifier.size > 0)
		return fail(decoder->error, STATUS_BAD_PARAM_VALUE, PARAM_VERIFIER, value, size);
	decoder->verifier = (struct blob){value, size};
	return 0;
}

static void
add_item(struct decoder *decoder, const struct item *item)
{
	struct item *added = &decoder->items[decoder->item_count++];

	*added = *item;
	added->version = decoder->version;
	added->verifier = decoder->verifier;
	decoder->version_is_unused = false;
	decoder->verifier.size = 0;
}

// A verifier is one block's, which has bytes or zeros.
static int
decode_run(struct decoder *decoder, uint16_t type, const uint8_t *value, size_t size)
{
	enum item_kind kind = type == PARAM_ZERO_RUN ? ITEM_ZERO : ITEM_EMPTY;
	uint32_t count;

	if (size != 4)
		return fail(decoder->error, STATUS_BAD_PARAM_LENGTH, type, value, size);
	count = get32(value);
	if (count == 0 || count > LIMIT_RUN_BLOCKS - decoder->item_count)
		return fail(decoder->error, STATUS_BAD_PARAM_VALUE, type, value, size);
	if (decoder->verifier.size > 0 && (kind == ITEM_EMPTY || count > 1))
		return fail(decoder->error, STATUS_BAD_PARAM_VALUE, PARAM_VERIFIER, value, size);
	for (uint32_t i = 0; i < count; i++)
		add_item(decoder, &(struct item){.kind = kind});
	return 0;
}

static int
decode_data(struct decoder *decoder, const uint8_t *value, size_t size)
{
	struct message *message = decoder->message;
	struct buf *buf = NULL;

	if (!wire_is_block_size(size))
		return fail(decoder->error, STATUS_BAD_PARAM_LENGTH, PARAM_DATA, value, size);
	if (decoder->blocks != NULL) {
		buf = decoder->blocks[decoder->data_count];
		value = buf_bytes(buf);
	}
	if (message->data_size != 0 && message->data_size != size)
		return fail(decoder->error, STATUS_BAD_PARAM_LENGTH, PARAM_DATA, value, size);
	if (decoder->data_count == LIMIT_MESSAGE_DATA_SIZE / size || decoder->item_count == LIMIT_RUN_BLOCKS)
		return fail(decoder->error, STATUS_TOO_MANY, PARAM_DATA, value, size);
	message->data_size = (uint32_t)size;
	decoder->data_count++;
	add_item(decoder, &(struct item){.kind = ITEM_DATA, .bytes = value, .buf = buf});
	return 0;
}

static int
decode_param(struct decoder *decoder, uint16_t type, const uint8_t *value, size_t size)
{
	switch (type) {
	case PARAM_VERSION:
		return decode_version(decoder, value, size);
	case PARAM_VERIFIER:
		return decode_verifier(decoder, value, size);
	case PARAM_DATA:
		return decode_data(decoder, value, size);
	case PARAM_ZERO_RUN:
	case PARAM_EMPTY_RUN:
		return decode_run(decoder, type, value, size);
	default:
		return decode_field(decoder, type, value, size);
	}
}

// The parameters up to END_MSG, which must be the last bytes.
static int
decode_params(struct decoder *decoder, const uint8_t *bytes, size_t size)
{
	while (size >= WIRE_PARAM_SIZE) {
		uint16_t type = get16(bytes);
		size_t value_size = get16(bytes + 2);
		size_t here = decoder->blocks != NULL && is_block(type, value_size) ? 0 : value_size;

		bytes += WIRE_PARAM_SIZE;
		size -= WIRE_PARAM_SIZE;
		if (here > size || (type == PARAM_END_MSG && size > 0))
			return fail(decoder->error, STATUS_BAD_PARAM_LENGTH, type, bytes, size);
		if (type == PARAM_END_MSG)
			return 0;
		if (decode_param(decoder, type, bytes, value_size) < 0)
			return -1;
		bytes += here;
		size -= here;
	}
	return fail(decoder->error, STATUS_MISSING_PARAM, PARAM_END_MSG, NULL, 0);
}

// What must hold between the parameters.
static int
decode_run_of_blocks(struct decoder *decoder)
{
	struct message *message = decoder->message;
	bool has_count = message->present & PRESENT(BLOCK_COUNT);

	if (decoder->version_is_unused || decoder->verifier.size > 0)
		return fail(decoder->error, STATUS_MISSING_PARAM, PARAM_DATA, NULL, 0);
	if (!(message->present & PRESENT(BLOCK_NUM))) {
		if (has_count || decoder->item_count > 0)
			return fail(decoder->error, STATUS_MISSING_PARAM, PARAM_BLOCK_NUM, NULL, 0);
		return 0;
	}
	if (!has_count)
		message->count = 1;
	if (message->count - 1 > WIRE_BLOCK_NUM_MAX - message->block)
		return fail_number(decoder->error, STATUS_BAD_PARAM_VALUE, PARAM_BLOCK_COUNT, message->count, 4);
	if (decoder->item_count == 0)
		return 0;
	if (decoder->item_count != message->count)
		return fail_number(decoder->error, STATUS_BAD_PARAM_VALUE, PARAM_BLOCK_COUNT, message->count, 4);
	message->items = decoder->items;
	return 0;
}

int
wire_decode_apart(const uint8_t *bytes, size_t size, struct buf *const *blocks, struct item *items, struct message *ret,
		  struct wire_error *ret_error)
{
	struct decoder decoder = {.message = ret, .items = items, .blocks = blocks, .error = ret_error};

	memset(ret, 0, sizeof(*ret));
	if (check_header(bytes, size, ret_error) < 0)
		return -1;
	if (size < WIRE_HEADER_SIZE)
		return fail(ret_error, STATUS_INVALID_HEADER, 0, bytes, size);
	decode_header(bytes, ret);
	if (!(get16(bytes + 2) & FLAG_PARAMS))
		return size == WIRE_HEADER_SIZE ? 0 : fail(ret_error, STATUS_BAD_PARAM_LENGTH, PARAM_END_MSG, NULL, 0);
	if (decode_params(&decoder, bytes + WIRE_HEADER_SIZE, size - WIRE_HEADER_SIZE) == 0 &&
	    decode_run_of_blocks(&decoder) == 0)
		return 0;
	// Half a message is none: only the header is told.
	memset(ret, 0, sizeof(*ret));
	decode_header(bytes, ret);
	return -1;
}

int
wire_decode(const uint8_t *bytes, size_t size, struct item *items, struct message *ret, struct wire_error *ret_error)
{
	return wire_decode_apart(bytes, size, NULL, items, ret, ret_error);
}
