// SPDX-License-Identifier: MIT
// Messages to try the wire with: one of each opcode as the protocol uses it, and random ones.
#include "tests/fuzz/wire_help.h"

#include "core/check.h"

#include <string.h>

#define TEXT(s) ((struct blob){(const uint8_t *)(s), sizeof(s) - 1})

static void
set_run(struct message *message, uint64_t block, uint32_t count)
{
	message->present |= PRESENT(VOLUME_ID) | PRESENT(BLOCK_NUM) | PRESENT(BLOCK_COUNT);
	message->volume_id = 7;
	message->block = block;
	message->count = count;
}

static void
set_perm(struct message *message, enum perm perm, uint64_t grant)
{
	message->present |= PRESENT(PERMISSIONS) | PRESENT(GRANT);
	message->perm = perm;
	message->grant = grant;
}

// Blocks of bytes, then a hole, then zeros: what a PUT or a reply to GET carries.
static void
set_items(struct sample *sample)
{
	static const enum item_kind kinds[] = {ITEM_DATA, ITEM_DATA, ITEM_ZERO, ITEM_ZERO, ITEM_ZERO, ITEM_EMPTY};
	struct message *message = &sample->message;

	sample->block_size = message->data_size = 512;
	set_run(message, 1000, 6);
	for (size_t i = 0; i < 6; i++) {
		sample->items[i] =
			(struct item){.version = version_make(1, 5 + i / 2), .kind = kinds[i], .bytes = sample->text};
	}
	message->items = sample->items;
	wire_help_fill(message);
}

static void
set_connect(struct message *message)
{
	message->present = PRESENT(PROTOCOL) | PRESENT(VOLUME_NAME) | PRESENT(CONNECT_FLAGS) | PRESENT(NODE_ID) |
			   PRESENT(NODE_NAME) | PRESENT(SESSION) | PRESENT(PATH);
	message->protocol = PROTOCOL_VERSION;
	message->volume_name = TEXT("disk");
	message->connect_flags = CONNECT_ASYNC_WRITE;
	message->node_id = 0x1122334455667788;
	message->node_name = TEXT("leaf-1");
	message->path_count = 2;
	message->path[0] = 11;
	message->path[1] = 12;
}

static void
set_error(struct message *message)
{
	message->present = PRESENT(STATUS) | PRESENT(ERR_PARAM) | PRESENT(ERR_VALUE);
	message->status = STATUS_BAD_PARAM_VALUE;
	message->err_param = PARAM_CONNECT_FLAGS;
	message->err_value = TEXT("\x00\x00\x01\x00");
}

void
wire_help_typical(struct sample *sample, enum opcode opcode)
{
	struct message *message = &sample->message;

	memset(sample, 0, sizeof(*sample));
	for (size_t i = 0; i < sizeof(sample->text); i++)
		sample->text[i] = (uint8_t)(i * 31 + 7);
	*message = (struct message){.opcode = opcode, .hops_left = LIMIT_HOPS, .origin = 0x7f000001, .xid = 99};
	switch (opcode) {
	case OP_CONNECT:
		set_connect(message);
		break;
	case OP_DISCONNECT:
		message->present = PRESENT(VOLUME_ID) | PRESENT(PARENT_ID);
		message->volume_id = 7;
		message->parent_id = 3;
		break;
	case OP_OK_REPLY:
		set_items(sample);
		set_perm(message, PERM_READ, 17);
		message->present |= PRESENT(TTL) | PRESENT(EPOCH);
		message->ttl_ms = 1200 * 1000;
		message->epoch = 1;
		break;
	case OP_ERR_REPLY:
		set_error(message);
		break;
	case OP_HEARTBEAT:
		break;
	case OP_INVALIDATE:
	case OP_LOCK:
	case OP_GET:
		set_run(message, 4096, 256);
		set_perm(message, PERM_WRITE, 0);
		break;
	case OP_RECOVER:
		set_items(sample);
		message->flags = FLAG_RECOVERY_OP;
		break;
	case OP_FLUSH:
		message->flags = FLAG_FORCE_SYNC;
		message->present = PRESENT(VOLUME_ID);
		message->volume_id = 7;
		break;
	case OP_PUSH:
	case OP_PUT:
	case OP_FORWARD:
		set_items(sample);
		break;
	case OP_GET_COOKIES:
		message->present = PRESENT(VOLUME_ID) | PRESENT(COOKIE);
		message->volume_id = 7;
		message->cookie = TEXT("crumbs");
		break;
	}
}

static bool
coin(uint64_t *seed)
{
	return wire_help_below(seed, 2) == 1;
}

// Numbers at the ends of their range as often as between.
static uint64_t
random_number(uint64_t *seed, uint64_t min, uint64_t max)
{
	switch (wire_help_below(seed, 4)) {
	case 0:
		return min;
	case 1:
		return max;
	default:
		return min + wire_help_below(seed, max - min == UINT64_MAX ? 0 : max - min + 1);
	}
}

static struct blob
random_blob(struct sample *sample, uint64_t *seed, size_t min, size_t max)
{
	size_t size = wire_help_below(seed, 8) ? random_number(seed, min, max < 40 ? max : 40) : max;

	return (struct blob){sample->text + wire_help_below(seed, LIMIT_BLOB_SIZE - size + 1), size};
}

static void
random_fields(struct sample *sample, uint64_t *seed)
{
	struct message *message = &sample->message;

#define NUMBER(name, field, min, max)                           \
	if (coin(seed)) {                                       \
		message->present |= PRESENT(name);              \
		message->field = random_number(seed, min, max); \
	}
#define BLOB(name, field, min, max)                                   \
	if (coin(seed)) {                                             \
		message->present |= PRESENT(name);                    \
		message->field = random_blob(sample, seed, min, max); \
	}
	NUMBER(VOLUME_ID, volume_id, 0, UINT32_MAX)
	NUMBER(CONNECT_FLAGS, connect_flags, 0, 0x17f)
	NUMBER(PERMISSIONS, perm, 0, 2)
	NUMBER(TTL, ttl_ms, 0, UINT32_MAX)
	NUMBER(HB_TTL, hb_ttl_ms, 0, UINT32_MAX)
	NUMBER(STATUS, status, 1, 0xffff)
	NUMBER(ERR_PARAM, err_param, 0, 0xffff)
	NUMBER(PARENT_ID, parent_id, 0, UINT64_MAX)
	NUMBER(GRANT, grant, 0, UINT64_MAX)
	NUMBER(EPOCH, epoch, 0, 0xffffff)
	NUMBER(PROTOCOL, protocol, 0, UINT32_MAX)
	NUMBER(NODE_ID, node_id, 0, UINT64_MAX)
	NUMBER(SESSION, session, 0, UINT64_MAX)
	NUMBER(CREDITS, credits, 0, UINT32_MAX)
	NUMBER(VOLUME_SIZE, volume_size, 0, UINT64_MAX)
	NUMBER(PATH, path_count, 0, 32)
	BLOB(VOLUME_NAME, volume_name, 1, 255)
	BLOB(NODE_NAME, node_name, 1, 255)
	BLOB(ERR_VALUE, err_value, 0, 64)
	BLOB(KEY, key, 0, 4096)
	BLOB(DIGEST, digest, 0, 4096)
	BLOB(COOKIE, cookie, 0, 4096)
	BLOB(RANGE_START, range_start, 0, 4096)
	BLOB(STRIPE, stripe, 0, 4096)
	NUMBER(LINK_NUMBER, link_number, 0, UINT64_MAX)
	BLOB(PARENT_ADDR, parent_addr, 0, 4096)
	NUMBER(GAP_FROM, gap.from, 0, UINT64_MAX)
	NUMBER(GAP_TO, gap.to, 0, UINT64_MAX)
#undef NUMBER
#undef BLOB
	for (size_t i = 0; i < message->path_count; i++)
		message->path[i] = wire_help_below(seed, 0);
	if (coin(seed)) {
		message->present |= PRESENT(BLOCK_SIZE);
		message->block_size = UINT32_C(512) << wire_help_below(seed, 7);
	}
}

// Streaks of one kind and version, so that runs form and end in every way.
static void
random_items(struct sample *sample, uint64_t *seed)
{
	struct message *message = &sample->message;
	size_t data_left = LIMIT_MESSAGE_DATA_SIZE / sample->block_size;
	struct item item = {.kind = ITEM_EMPTY};
	bool has_verifiers = wire_help_below(seed, 4) == 0;

	for (size_t i = 0; i < message->count; i++) {
		if (wire_help_below(seed, 4) == 0)
			item.kind = (enum item_kind)wire_help_below(seed, 3);
		if (wire_help_below(seed, 4) == 0)
			item.version = random_number(seed, 0, UINT64_MAX);
		if (item.kind == ITEM_DATA && data_left-- == 0) {
			data_left = 0;
			item.kind = ITEM_ZERO;
		}
		sample->items[i] = item;
		if (item.kind != ITEM_EMPTY && has_verifiers)
			sample->items[i].verifier = (struct blob){sample->text, 1 + wire_help_below(seed, LIMIT_VERIFIER_SIZE)};
		if (item.kind != ITEM_DATA)
			continue;
		sample->items[i].bytes = sample->text + wire_help_below(seed, LIMIT_BLOB_SIZE);
		message->data_size = (uint32_t)sample->block_size;
	}
	message->items = sample->items;
}

// Data items' buffers: LIMIT_BLOCK_SIZE_MAX bytes are not in text, so a short pattern is repeated.
static void
random_data(struct sample *sample)
{
	uint8_t bytes[LIMIT_BLOCK_SIZE_MAX];

	for (size_t i = 0; i < sample->message.count; i++) {
		struct item *item = &sample->items[i];
		struct message one = {.count = 1, .items = item, .data_size = (uint32_t)sample->block_size};

		if (item->kind != ITEM_DATA)
			continue;
		memset(bytes, item->bytes[0], sample->block_size);
		bytes[0] = (uint8_t)i;
		item->bytes = bytes;
		wire_help_fill(&one);
		item->bytes = NULL;
	}
}

void
wire_help_random(struct sample *sample, uint64_t *seed)
{
	static const enum opcode opcodes[] = {
#define X(name, value) OP_##name,
		MESSAGE_OPCODES(X)
#undef X
	};
	struct message *message = &sample->message;
	uint64_t block_max = (UINT64_C(1) << 48) - 1;

	memset(sample, 0, sizeof(*sample));
	for (size_t i = 0; i < sizeof(sample->text); i++)
		sample->text[i] = (uint8_t)wire_help_below(seed, 256);
	message->opcode = opcodes[wire_help_below(seed, sizeof(opcodes) / sizeof(opcodes[0]))];
	message->hops_left = (uint8_t)wire_help_below(seed, 256);
	message->flags = coin(seed) * FLAG_FORCE_SYNC | coin(seed) * FLAG_RECOVERY_OP;
	message->origin = (uint32_t)wire_help_below(seed, 0);
	message->xid = (uint32_t)wire_help_below(seed, 0);
	if (wire_help_below(seed, 16) == 0)
		return;
	random_fields(sample, seed);
	if (coin(seed))
		return;
	message->present |= PRESENT(BLOCK_NUM);
	message->count = 1;
	if (coin(seed)) {
		message->present |= PRESENT(BLOCK_COUNT);
		message->count = (uint32_t)random_number(seed, 1, wire_help_below(seed, 8) ? 20 : 2048);
	}
	message->block = random_number(seed, 0, block_max + 1 - message->count);
	if (coin(seed))
		return;
	sample->block_size = (size_t)512 << wire_help_below(seed, 7);
	random_items(sample, seed);
	random_data(sample);
}
