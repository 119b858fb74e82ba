// SPDX-License-Identifier: MIT
#include "core/message.h"

#include "core/check.h"

#include <stdlib.h>
#include <string.h>

bool
blob_is_name(struct blob blob)
{
	if (blob.size == 0 || blob.size > LIMIT_NAME_SIZE || blob.bytes[0] == '.' || blob.bytes[0] == '-')
		return false;
	for (size_t i = 0; i < blob.size; i++) {
		uint8_t c = blob.bytes[i];

		if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && c != '.' &&
		    c != '_' && c != '-')
			return false;
	}
	return true;
}

bool
blob_is_printable(struct blob blob)
{
	for (size_t i = 0; i < blob.size; i++)
		if (blob.bytes[i] < ' ' || blob.bytes[i] > '~')
			return false;
	return true;
}

// All that a message points to, but for its items.
#define MESSAGE_BLOBS(X)                                                                                        \
	X(volume_name) X(err_value) X(node_name) X(key) X(digest) X(parent_addr) X(cookie) X(range_start) \
		X(stripe)

static uint8_t *
move_blob(struct blob *blob, uint8_t *to)
{
	if (blob->size > 0)
		memcpy(to, blob->bytes, blob->size);
	blob->bytes = to;
	return to + blob->size;
}

struct message *
message_copy(const struct message *message)
{
	size_t items = message->items != NULL ? message->count : 0, blobs = 0;
	struct message *copy;
	uint8_t *at;

#define ADD(name) blobs += message->name.size;
	MESSAGE_BLOBS(ADD)
#undef ADD
	for (size_t i = 0; i < items; i++)
		blobs += message->items[i].verifier.size;
	copy = malloc(sizeof(*copy) + items * sizeof(*copy->items) + blobs);
	CHECK(copy != NULL);
	*copy = *message;
	at = (uint8_t *)(copy + 1) + items * sizeof(*copy->items);
#define MOVE(name) at = move_blob(&copy->name, at);
	MESSAGE_BLOBS(MOVE)
#undef MOVE
	if (message->items == NULL)
		return copy;
	copy->items = memcpy(copy + 1, message->items, items * sizeof(*copy->items));
	for (size_t i = 0; i < items; i++) {
		at = move_blob(&copy->items[i].verifier, at);
		buf_ref(copy->items[i].buf);
	}
	return copy;
}

void
message_free(struct message *message)
{
	if (message == NULL)
		return;
	for (size_t i = 0; message->items != NULL && i < message->count; i++)
		buf_unref(message->items[i].buf);
	free(message);
}

const char *
message_opcode_name(unsigned opcode)
{
	switch (opcode) {
#define X(name, value) \
	case value:    \
		return #name;
		MESSAGE_OPCODES(X)
#undef X
	default:
		return "?";
	}
}

const char *
message_status_text(unsigned status)
{
	switch (status) {
#define X(name, value, text) \
	case value:          \
		return text;
		MESSAGE_STATUSES(X)
#undef X
	default:
		return "unknown status";
	}
}

const char *
message_param_name(unsigned type)
{
	switch (type) {
#define X(name, value) \
	case value:    \
		return #name;
		MESSAGE_PARAMS(X)
#undef X
	default:
		return "?";
	}
}
