// SPDX-License-Identifier: MIT
// A message is made in four steps: the form says which parameters it has; each gets a value (special[], or one that
// wire_params[] allows); modifiers change it; what the encoder demands is seen to. Then it is bytes, which modifiers
// may change once more.
#include "tests/fuzz/session_grammar.h"

#include "core/check.h"
#include "net/wire_params.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// What a form's blocks carry when the choice does not say otherwise.
enum items { NONE, EMPTY, BYTES };

struct form {
	const char *name;
	enum opcode opcode;
	uint16_t flags;
	uint64_t present;
	enum items items;
	enum perm perm; // unasked
};

#define P(name) PRESENT(name)
#define RUN (P(VOLUME_ID) | P(BLOCK_NUM) | P(BLOCK_COUNT))
#define CLAIMANT (P(NODE_ID) | P(LINK_NUMBER) | P(PATH) | P(TTL) | P(EPOCH))

// New ones at the end: the corpus names them by number.
static const struct form forms[] = {
	{"connect", OP_CONNECT, 0,
	 P(PROTOCOL) | P(VOLUME_NAME) | P(CONNECT_FLAGS) | P(NODE_ID) | P(NODE_NAME) | P(SESSION) | P(PATH) |
		 P(LINK_NUMBER),
	 NONE, PERM_NO},
	{"disconnect", OP_DISCONNECT, 0, P(VOLUME_ID), NONE, PERM_NO},
	{"heartbeat", OP_HEARTBEAT, 0, 0, NONE, PERM_NO},
	{"get", OP_GET, 0, RUN | P(PERMISSIONS), NONE, PERM_READ},
	{"put", OP_PUT, 0, RUN | P(PERMISSIONS), NONE, PERM_WRITE},
	{"put-bytes", OP_PUT, FLAG_FORCE_SYNC, RUN | P(PERMISSIONS), BYTES, PERM_WRITE},
	{"lock", OP_LOCK, 0, RUN | P(PERMISSIONS), NONE, PERM_WRITE},
	{"release", OP_LOCK, 0, RUN | P(PERMISSIONS) | P(GRANT), NONE, PERM_NO},
	{"flush", OP_FLUSH, 0, RUN | P(PERMISSIONS), BYTES, PERM_WRITE},
	{"flush-sync", OP_FLUSH, FLAG_FORCE_SYNC, RUN | P(PERMISSIONS), BYTES, PERM_WRITE},
	{"barrier", OP_FLUSH, FLAG_FORCE_SYNC, P(VOLUME_ID), NONE, PERM_NO},
	{"claim", OP_RECOVER, FLAG_RECOVERY_OP, RUN | P(PERMISSIONS) | CLAIMANT, EMPTY, PERM_WRITE},
	{"resend", OP_RECOVER, FLAG_RECOVERY_OP, RUN | P(PERMISSIONS) | CLAIMANT, BYTES, PERM_NO},
	{"claims-end", OP_RECOVER, FLAG_RECOVERY_OP, P(VOLUME_ID), NONE, PERM_NO},
	{"invalidate", OP_INVALIDATE, 0, RUN | P(PERMISSIONS), NONE, PERM_NO},
	{"invalidate-moved", OP_INVALIDATE, FLAG_RECOVERY_OP,
	 RUN | P(PERMISSIONS) | P(NODE_ID) | P(LINK_NUMBER) | P(PATH), NONE, PERM_NO},
	{"push", OP_PUSH, 0, RUN | P(PERMISSIONS) | P(TTL) | P(HB_TTL) | P(GRANT) | P(EPOCH), BYTES, PERM_READ},
	{"forward", OP_FORWARD, 0, RUN | P(PERMISSIONS), BYTES, PERM_NO},
	{"get-cookies", OP_GET_COOKIES, 0, P(VOLUME_ID) | P(COOKIE), NONE, PERM_NO},
	{"ok-connect", OP_OK_REPLY, 0,
	 P(VOLUME_NAME) | P(VOLUME_ID) | P(CONNECT_FLAGS) | P(HB_TTL) | P(SESSION) | P(CREDITS) | P(VOLUME_SIZE) |
		 P(BLOCK_SIZE) | P(EPOCH) | P(NODE_ID) | P(NODE_NAME) | P(PATH) | P(PROTOCOL) | P(PARENT_ADDR),
	 NONE, PERM_NO},
	{"ok-grant", OP_OK_REPLY, 0, RUN | P(PERMISSIONS) | P(TTL) | P(HB_TTL) | P(GRANT) | P(EPOCH), BYTES, PERM_READ},
	{"ok-blocks", OP_OK_REPLY, 0, RUN, NONE, PERM_NO},
	{"ok-recalled", OP_OK_REPLY, 0, RUN | P(PERMISSIONS), NONE, PERM_NO},
	{"ok-heartbeat", OP_OK_REPLY, 0, P(HB_TTL), NONE, PERM_NO},
	{"ok-volume", OP_OK_REPLY, 0, P(VOLUME_ID), NONE, PERM_NO},
	{"error", OP_ERR_REPLY, 0, P(STATUS) | P(ERR_PARAM) | P(ERR_VALUE), NONE, PERM_NO},
	{"error-blocks", OP_ERR_REPLY, 0, RUN | P(STATUS), NONE, PERM_NO},
	{"get-digest", OP_GET, 0, RUN | P(PERMISSIONS) | P(DIGEST), NONE, PERM_READ},
	{"eviction", OP_RECOVER, FLAG_RECOVERY_OP, P(VOLUME_ID) | P(NODE_ID) | P(SESSION), NONE, PERM_NO},
	{"news", OP_HEARTBEAT, 0, P(VOLUME_ID) | P(PATH) | P(PARENT_ADDR), NONE, PERM_NO},
	{"put-again", OP_RECOVER, FLAG_RECOVERY_OP | FLAG_FORCE_SYNC, RUN | P(PERMISSIONS) | CLAIMANT, BYTES, PERM_WRITE},
};

// The form of an honest answer; with blocks in the request, and without.
static const struct {
	enum opcode opcode;
	const char *with_blocks, *without;
} replies[] = {
	{OP_CONNECT, "ok-connect", "ok-connect"},
	{OP_DISCONNECT, "ok-volume", "ok-volume"},
	{OP_HEARTBEAT, "ok-heartbeat", "ok-heartbeat"},
	{OP_GET, "ok-grant", "error"},
	{OP_PUT, "ok-grant", "error"},
	{OP_LOCK, "ok-grant", "error"},
	{OP_FLUSH, "ok-blocks", "ok-volume"},
	{OP_RECOVER, "ok-grant", "ok-volume"},
	{OP_INVALIDATE, "ok-recalled", "error"},
	{OP_FORWARD, "ok-blocks", "ok-volume"},
};

// A message being made.
struct making {
	struct peer *peer;
	const struct request *request; // that it answers, or NULL
	const struct choice *choice;
	const struct form *form;
	unsigned volume; // index
};

static struct message made;
static struct item made_items[LIMIT_RUN_BLOCKS];
static uint8_t pattern[LIMIT_BLOCK_SIZE_MAX + 256]; // what blocks and blobs are made of

unsigned
grammar_form_count(void)
{
	return sizeof(forms) / sizeof(forms[0]);
}

const char *
grammar_form_name(unsigned form)
{
	return form < grammar_form_count() ? forms[form].name : "?";
}

uint8_t
grammar_form(const char *name)
{
	unsigned form = 0;

	while (form < grammar_form_count() && strcmp(forms[form].name, name) != 0)
		form++;
	CHECK(form < grammar_form_count());
	return (uint8_t)form;
}

// ---- Values ----

static uint64_t
pick(uint8_t choice, const uint64_t *values, size_t count)
{
	return values[choice % count];
}
#define PICK(choice, ...) \
	pick(choice, (const uint64_t[]){__VA_ARGS__}, sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

static uint64_t
volume_id(const struct making *making)
{
	const struct peer *peer = making->peer;
	uint64_t first = peer->is_parent ? PARENT_ID : peer->volume_ids[0] != 0 ? peer->volume_ids[0] : FIRST_ID;
	uint64_t honest = making->request != NULL ? making->request->volume_id : first;

	if (making->request != NULL && making->request->opcode == OP_CONNECT)
		honest = PARENT_ID + making->volume;
	return PICK(making->choice->volume, honest, first + 1, first + 2, UINT32_MAX);
}

static uint64_t
block(const struct making *making)
{
	static const uint64_t blocks[PEER_VOLUMES] = VOLUME_BLOCKS;
	const struct peer *peer = making->peer;
	uint64_t last = blocks[0] - 1, key_last = (UINT64_C(1) << BLOCK_KEY_BITS) - 1;
	uint64_t honest = making->request != NULL ? making->request->block : 0;

	return PICK(making->choice->block, honest, 1, 2, 3, 4, 7, 15, 16, 31, peer->block, peer->block + peer->count,
		    peer->block + 1, last, last - 1, last - 15, last - LIMIT_RUN_BLOCKS + 1, last + 1, key_last,
		    key_last - LIMIT_RUN_BLOCKS + 1, blocks[1] - 1, blocks[1], 512, 2047, 2048);
}

static uint64_t
count(const struct making *making)
{
	uint64_t honest = making->request != NULL && making->request->count > 0 ? making->request->count : 1;

	return PICK(making->choice->count, honest, 2, 3, 4, 5, 8, 16, 1, honest + 1, 17, 64, 128, 512, 1024,
		    LIMIT_RUN_BLOCKS - 1, LIMIT_RUN_BLOCKS);
}

static uint64_t
perm(const struct making *making)
{
	uint64_t honest = making->request != NULL ? making->request->perm : making->form->perm;

	return PICK(making->choice->perm, honest, PERM_NO, PERM_READ, PERM_WRITE);
}

static version_t
version(const struct making *making)
{
	version_t known = making->peer->version, ours = version_make(EPOCH, 1);
	version_t honest = making->request == NULL || making->request->version == 0 ? known : making->request->version;

	if (making->form->opcode == OP_RECOVER && making->form->perm == PERM_WRITE && making->form->items == BYTES)
		honest = 0; // put-again
	else if (making->request == NULL) // it has written
		honest = known + 1;
	return PICK(making->choice->version, honest, 0, known, known + 1, known - 1, ours, ours + 1,
		    version_make(EPOCH + 1, 0), version_make(EPOCH, (UINT64_C(1) << VERSION_COUNTER_BITS) - 1),
		    UINT64_MAX, UINT64_MAX - 1, 1);
}

static uint64_t
session(const struct making *making)
{
	const struct peer *peer = making->peer;
	uint64_t honest = peer->sessions[making->volume];

	if (making->request != NULL && making->request->opcode == OP_CONNECT)
		honest = making->request->session != 0 ? making->request->session : 7000 + making->volume;
	return PICK(making->choice->session, honest, 0, peer->sessions[(making->volume + 1) % PEER_VOLUMES],
		    honest + 1);
}

static uint64_t
node_id(const struct making *making)
{
	uint64_t honest = making->peer->node_id;

	return PICK(making->choice->node, honest, NODE_ID_BASE, honest + 1, 0);
}

static uint64_t
connect_flags(const struct making *making)
{
	uint64_t honest = CONNECT_ASYNC_WRITE;

	if (making->request != NULL)
		honest |= CONNECT_IS_ROOT | (making->request->session != 0 ? CONNECT_RESUMED : 0);
	return PICK(making->choice->rest, honest, CONNECT_SYNC_WRITE, honest | CONNECT_READ_ONLY,
		    honest ^ CONNECT_RESUMED, CONNECT_IS_PROXY | CONNECT_ASYNC_WRITE, CONNECT_SEMI_SYNC_WRITE, 0,
		    CONNECT_ALL);
}

static uint64_t
hb_ttl(const struct making *making)
{
	uint64_t honest = making->peer->hb_ttl_ms;

	return PICK(making->choice->rest, honest, honest / 2, 0, 1, 20, 60, honest * 2, UINT32_MAX, UINT32_MAX - 1);
}

static uint64_t
ttl(const struct making *making)
{
	uint64_t honest = making->peer->ttl_ms;

	return PICK(making->choice->rest, honest, 0, 1, honest / 2, 17, UINT32_MAX, honest * 3);
}

static uint64_t
grant(const struct making *making)
{
	struct peer *peer = making->peer;
	bool grants = making->request != NULL || making->form->opcode == OP_PUSH;
	uint64_t honest = grants ? ++peer->grants : peer->echo[PRESENT_INDEX_GRANT];

	return PICK(making->choice->rest, honest, honest - 1, 0, UINT64_MAX, honest + 1, UINT32_MAX, INT32_MAX);
}

static uint64_t
status(const struct making *making)
{
	return PICK(making->choice->rest, STATUS_UNAVAILABLE, STATUS_IN_RECOVERY, STATUS_NOT_HOLDER, STATUS_STORE_ERROR,
		    STATUS_NO_SPACE, STATUS_READ_ONLY, STATUS_NO_SUCH_VOLUME, STATUS_LOOP_DETECTED, STATUS_TOO_MANY,
		    STATUS_NOT_SUPPORTED, STATUS_BAD_VERIFIER, STATUS_MISSING_PARAM, STATUS_BAD_VERSION, 999,
		    UINT16_MAX, STATUS_EVICTED);
}

static uint64_t
credits(const struct making *making)
{
	return PICK(making->choice->rest, 64, 1, 0, 4, LIMIT_CREDITS, LIMIT_CREDITS + 1, UINT32_MAX);
}

static uint64_t
epoch(const struct making *making)
{
	return PICK(making->choice->rest, EPOCH, EPOCH + 1, 0, WIRE_EPOCH_MAX, EPOCH - 1);
}

static uint64_t
link_number(const struct making *making)
{
	uint64_t honest = making->peer->connects;

	return PICK(making->choice->rest, honest, honest + 1, honest - 1, 0, UINT64_MAX);
}

static uint64_t
protocol(const struct making *making)
{
	return PICK(making->choice->rest, PROTOCOL_VERSION, PROTOCOL_VERSION, PROTOCOL_VERSION, PROTOCOL_VERSION,
		    PROTOCOL_VERSION, 0, PROTOCOL_VERSION + 1);
}

static uint64_t
block_size(const struct making *making)
{
	static const uint64_t sizes[PEER_VOLUMES] = VOLUME_BLOCK_SIZES;

	return PICK(making->choice->rest, sizes[making->volume], sizes[making->volume], LIMIT_BLOCK_SIZE_MAX,
		    sizes[(making->volume + 1) % PEER_VOLUMES]);
}

static uint64_t
volume_size(const struct making *making)
{
	static const uint64_t blocks[PEER_VOLUMES] = VOLUME_BLOCKS, sizes[PEER_VOLUMES] = VOLUME_BLOCK_SIZES;
	uint64_t honest = blocks[making->volume] * sizes[making->volume];

	return PICK(making->choice->rest, honest, honest, honest - 512, honest * 2, UINT64_MAX, 0, 1,
		    UINT64_MAX - UINT64_MAX % sizes[0], honest + 1);
}

// Parameters with values of their own. The others get one that wire_params[] allows.
static uint64_t (*const special[PRESENT_COUNT])(const struct making *making) = {
	[PRESENT_INDEX_VOLUME_ID] = volume_id,
	[PRESENT_INDEX_BLOCK_NUM] = block,
	[PRESENT_INDEX_BLOCK_COUNT] = count,
	[PRESENT_INDEX_PERMISSIONS] = perm,
	[PRESENT_INDEX_SESSION] = session,
	[PRESENT_INDEX_NODE_ID] = node_id,
	[PRESENT_INDEX_CONNECT_FLAGS] = connect_flags,
	[PRESENT_INDEX_HB_TTL] = hb_ttl,
	[PRESENT_INDEX_TTL] = ttl,
	[PRESENT_INDEX_GRANT] = grant,
	[PRESENT_INDEX_STATUS] = status,
	[PRESENT_INDEX_CREDITS] = credits,
	[PRESENT_INDEX_EPOCH] = epoch,
	[PRESENT_INDEX_LINK_NUMBER] = link_number,
	[PRESENT_INDEX_PROTOCOL] = protocol,
	[PRESENT_INDEX_BLOCK_SIZE] = block_size,
	[PRESENT_INDEX_VOLUME_SIZE] = volume_size,
};

// ---- Fields ----

static void
set_number(struct message *message, const struct param *param, uint64_t value)
{
	uint8_t *field = (uint8_t *)message + param->offset;

	if (param->kind == KIND_FLAGS)
		value &= param->max;
	if (!wire_param_allows(param, value))
		value = value < param->min ? param->min : param->max;
	if (param->width == 2)
		memcpy(field, &(uint16_t){(uint16_t)value}, 2);
	else if (param->width == 4)
		memcpy(field, &(uint32_t){(uint32_t)value}, 4);
	else
		memcpy(field, &value, 8);
}

// Of the bytes that the fuzzer gives blocks, or of zeros; or just so many bytes.
static struct blob
digests(const struct message *message, uint8_t choice)
{
	static uint8_t all[LIMIT_BLOB_SIZE];
	static const uint8_t zeros[LIMIT_BLOCK_SIZE_MAX];
	size_t size = message->count * BLOCK_DIGEST_SIZE;

	if (size > sizeof(all) || choice % 4 == 3)
		return (struct blob){all, choice};
	for (uint32_t i = 0; i < message->count; i++)
		crypto_generichash(all + (size_t)i * BLOCK_DIGEST_SIZE, BLOCK_DIGEST_SIZE,
				   choice % 4 == 1 ? zeros : pattern + i % 256, message->data_size, NULL, 0);
	return (struct blob){all, size};
}

static struct blob
blob_of(const struct making *making, const struct message *message, size_t index)
{
	static const char *const names[] = {"disk", "tape", "other", "..", "-x", "a/b", "DISK", "d"};
	const struct param *param = &wire_params[index];
	uint8_t choice = making->choice->rest;
	static char name[16];
	const char *text = NULL;
	size_t size;

	if (index == PRESENT_INDEX_DIGEST && message->data_size != 0)
		return digests(message, choice);
	snprintf(name, sizeof(name), "n%u", choice);
	if (index == PRESENT_INDEX_VOLUME_NAME && making->request == NULL && choice >= 16)
		text = name;
	else if (index == PRESENT_INDEX_VOLUME_NAME)
		text = names[making->request != NULL ? making->volume : (making->choice->volume + choice) % 8];
	else if (index == PRESENT_INDEX_PARENT_ADDR && choice % 4 == 0)
		text = "one:1\ntwo:2\n\nthree:3\n";
	if (text != NULL)
		return (struct blob){(const uint8_t *)text, strlen(text)};
	size = (size_t)PICK(choice, param->min, 1, 16, param->max, 8, 64);
	size = size < param->min ? param->min : size > param->max ? param->max : size;
	return (struct blob){pattern, size};
}

// Of a claimant: the nodes that were above it, and the fuzzer's others. Else the nodes below or above the peer.
static void
set_path(struct message *message, const struct making *making)
{
	bool claims = message->opcode == OP_RECOVER || message->opcode == OP_INVALIDATE;
	uint64_t id = making->peer->node_id;

	message->path_count =
		(uint32_t)PICK(making->choice->rest, claims ? 4 : 1, 0, 2, 2, LIMIT_HOPS, LIMIT_HOPS - 1, 1);
	for (uint32_t i = 0; i < message->path_count; i++)
		message->path[i] = claims && i > 0 ? PEER_ID_BASE + 10 * i : id - i;
	if (claims || making->choice->rest % 7 == 3 || making->choice->rest % 7 == 6)
		message->path[0] = NODE_ID_BASE; // for others: a loop
}

static void
set_field(struct message *message, const struct making *making, size_t index)
{
	const struct param *param = &wire_params[index];
	uint64_t echo = making->peer->echo[index];

	if (param->kind == KIND_STRUCTURE)
		return;
	message->present |= UINT64_C(1) << index;
	if (param->kind == KIND_BLOB) {
		struct blob blob = blob_of(making, message, index);

		memcpy((uint8_t *)message + param->offset, &blob, sizeof(blob));
	} else if (param->kind == KIND_PATH) {
		set_path(message, making);
	} else if (special[index] != NULL) {
		set_number(message, param, special[index](making));
	} else {
		set_number(
			message, param,
			PICK(making->choice->rest, echo, param->min, param->max, echo + 1, echo - 1, param->min + 1));
	}
}

// ---- Blocks ----

// What block ${i} of the run carries: all the same, or by turns.
static enum item_kind
item_kind(const struct making *making, uint32_t i, enum item_kind honest)
{
	static const enum item_kind mixed[] = {ITEM_DATA, ITEM_ZERO, ITEM_DATA, ITEM_EMPTY};

	switch (making->choice->items % 8) {
	case 1:
		return ITEM_DATA;
	case 2:
		return ITEM_ZERO;
	case 3:
		return ITEM_EMPTY;
	case 4:
		return mixed[i % 4];
	case 5:
		return i % 2 ? honest : ITEM_ZERO;
	default:
		return honest;
	}
}

static enum item_kind
honest_kind(const struct making *making, enum items items)
{
	if (items == EMPTY)
		return ITEM_EMPTY;
	if (making->request == NULL || making->request->opcode == OP_GET)
		return ITEM_DATA;
	return ITEM_EMPTY; // a LOCK or a PUT is granted without bytes
}

static void
set_items(struct message *message, const struct making *making, enum items items)
{
	enum item_kind honest = honest_kind(making, items);
	version_t first = version(making);

	if (items == NONE || making->choice->items % 8 == 7)
		return;
	for (uint32_t i = 0; i < message->count; i++)
		made_items[i] = (struct item){.kind = item_kind(making, i, honest),
					      .version = making->choice->items % 8 == 6 ? first + i : first,
					      .bytes = pattern + i % 256};
	message->items = made_items;
}

// ---- Modifiers ----

static void
modify_message(struct message *message, const struct making *making, const struct modifier *modifier, uint32_t had)
{
	size_t index = modifier->param % PRESENT_COUNT;
	const struct param *param = &wire_params[index];
	struct choice choice = {.form = making->choice->form,
				.block = modifier->choice,
				.count = modifier->choice,
				.perm = modifier->choice,
				.volume = modifier->choice,
				.session = modifier->choice,
				.node = modifier->choice,
				.rest = modifier->choice};
	struct making other = *making;

	other.choice = &choice;
	switch (modifier->kind) {
	case MODIFY_ADD:
		set_field(message, &other, index);
		break;
	case MODIFY_DROP:
		message->present &= ~(UINT64_C(1) << index);
		break;
	case MODIFY_SET:
		if (param->kind == KIND_NUMBER || param->kind == KIND_POWER || param->kind == KIND_FLAGS) {
			message->present |= UINT64_C(1) << index;
			set_number(message, param, modifier->value);
		}
		break;
	case MODIFY_HEADER:
		if (modifier->choice % 3 == 0)
			message->hops_left = (uint8_t)modifier->value;
		else if (modifier->choice % 3 == 1)
			message->flags = modifier->value & (FLAG_ALL & ~FLAG_PARAMS);
		else
			message->xid = modifier->value;
		break;
	case MODIFY_SIZE:
		message->data_size = (uint32_t)LIMIT_BLOCK_SIZE_MIN << modifier->choice % 7;
		for (uint32_t i = 0; message->items != NULL && i < had; i++)
			message->items[i].bytes = pattern;
		break;
	default:
		break;
	}
}

// The place of the parameter number ${nth} in the bytes, or 0.
static size_t
param_place(const uint8_t *bytes, size_t size, unsigned nth)
{
	size_t at = WIRE_HEADER_SIZE;

	for (; at + WIRE_PARAM_SIZE <= size; at += WIRE_PARAM_SIZE + get16(bytes + at + 2))
		if (nth-- == 0)
			return at;
	return 0;
}

static void
modify_bytes(uint8_t *bytes, size_t *size, const struct modifier *modifier)
{
	size_t place;

	switch (modifier->kind) {
	case MODIFY_BYTE:
		bytes[modifier->value % *size] ^= modifier->choice;
		break;
	case MODIFY_CUT:
		*size = 1 + modifier->value % *size;
		break;
	case MODIFY_PARAM:
		place = param_place(bytes, *size, modifier->param % 32);
		if (place != 0)
			put16(bytes + place + 2, (uint16_t)modifier->value);
		break;
	default:
		break;
	}
}

// ---- Messages ----

static void
pattern_make(void)
{
	if (pattern[0] != 0)
		return;
	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = (uint8_t)(i * 31 + 7);
}

// What the encoder demands, whatever was chosen. The message has ${had} items.
static void
settle(struct message *message, uint32_t had)
{
	uint64_t key_last = (UINT64_C(1) << BLOCK_KEY_BITS) - 1;
	size_t data_max;

	if (!(message->present & PRESENT(BLOCK_NUM))) {
		message->present &= ~PRESENT(BLOCK_COUNT);
		message->items = NULL;
	}
	if (!(message->present & PRESENT(BLOCK_COUNT)))
		message->count = 1;
	if (message->count - 1 > key_last - message->block)
		message->count = (uint32_t)(key_last - message->block + 1);
	if (message->data_size == 0)
		message->data_size = LIMIT_BLOCK_SIZE_MIN;
	data_max = LIMIT_MESSAGE_DATA_SIZE / message->data_size;
	for (uint32_t i = had; had > 0 && i < message->count; i++)
		message->items[i] = (struct item){.version = message->items[had - 1].version, .kind = ITEM_ZERO};
	for (uint32_t i = 0; message->items != NULL && i < message->count; i++)
		if (message->items[i].kind == ITEM_DATA && data_max-- == 0) {
			data_max = 0;
			message->items[i].kind = ITEM_ZERO;
		}
}

static uint8_t *
finish(struct message *message, const struct making *making, struct modifiers *modifiers, size_t *ret_size)
{
	uint32_t had = message->items != NULL ? message->count : 0;
	uint8_t *bytes;

	for (unsigned i = 0; i < modifiers->count; i++)
		modify_message(message, making, &modifiers->list[i], had);
	settle(message, had);
	if (message->items != NULL)
		wire_help_fill(message);
	bytes = wire_help_encode(message, message->data_size, ret_size);
	if (message->items != NULL)
		wire_help_drop(message);
	for (unsigned i = 0; i < modifiers->count; i++)
		modify_bytes(bytes, ret_size, &modifiers->list[i]);
	modifiers->count = 0;
	return bytes;
}

static uint8_t *
build(const struct making *making, struct modifiers *modifiers, size_t *ret_size)
{
	static const uint32_t sizes[PEER_VOLUMES] = VOLUME_BLOCK_SIZES;
	const struct form *form = making->form;
	struct message *message = &made;

	pattern_make();
	making->peer->connects += form->opcode == OP_CONNECT;
	*message = (struct message){.opcode = form->opcode,
				    .hops_left = LIMIT_HOPS,
				    .flags = form->flags ^ (making->choice->flags & 1 ? FLAG_FORCE_SYNC : 0) ^
					     (making->choice->flags & 2 ? FLAG_RECOVERY_OP : 0),
				    .origin = (uint32_t)making->peer->node_id,
				    .data_size = sizes[making->volume]};
	if (making->request != NULL)
		message->xid = (uint32_t)PICK(making->choice->xid, making->request->xid, making->request->xid - 1, 0,
					      making->request->xid + 1);
	else
		message->xid = (uint32_t)PICK(making->choice->xid, ++making->peer->xid, making->peer->xid - 1, 0,
					      making->peer->echo[0]);
	for (size_t i = 0; i < PRESENT_COUNT; i++)
		if (form->present & UINT64_C(1) << i)
			set_field(message, making, i);
	if (message->present & PRESENT(BLOCK_NUM))
		set_items(message, making, form->items);
	return finish(message, making, modifiers, ret_size);
}

uint8_t *
grammar_forge(struct peer *peer, const struct choice *choice, struct modifiers *modifiers, size_t *ret_size)
{
	struct making making = {.peer = peer, .choice = choice, .volume = choice->volume % PEER_VOLUMES};

	if (choice->form >= grammar_form_count())
		return NULL;
	making.form = &forms[choice->form];
	return build(&making, modifiers, ret_size);
}

static unsigned
reply_form(const struct request *request)
{
	if (request->opcode == OP_RECOVER && request->perm == PERM_NO && request->has_blocks)
		return grammar_form("ok-blocks"); // bytes that were sent again
	for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++)
		if (replies[i].opcode == request->opcode)
			return grammar_form(request->has_blocks ? replies[i].with_blocks : replies[i].without);
	return grammar_form("error");
}

uint8_t *
grammar_answer(struct peer *peer, unsigned index, const struct choice *choice, struct modifiers *modifiers,
	       size_t *ret_size)
{
	struct request request;
	struct making making = {.peer = peer, .request = &request, .choice = choice};
	uint32_t first = peer->is_parent ? PARENT_ID : peer->volume_ids[0];

	if (index >= peer->request_count || choice->form > grammar_form_count())
		return NULL;
	request = peer->requests[index];
	making.volume = request.opcode == OP_CONNECT ? request.volume : (request.volume_id - first) % PEER_VOLUMES;
	if (!(choice->rest & 0x80)) {
		peer->request_count--;
		memmove(&peer->requests[index], &peer->requests[index + 1],
			(peer->request_count - index) * sizeof(request));
	}
	making.form = &forms[choice->form == 0 ? reply_form(&request) : choice->form - 1u];
	return build(&making, modifiers, ret_size);
}

uint8_t *
grammar_alter(const uint8_t *bytes, size_t size, struct modifiers *modifiers, size_t *ret_size)
{
	static struct peer nobody = {.node_id = PEER_ID_BASE, .hb_ttl_ms = 1000, .ttl_ms = 1000};
	static const struct choice honest;
	struct making making = {.peer = &nobody, .choice = &honest, .form = &forms[0]};
	struct wire_error error;
	uint8_t *copy;

	pattern_make();
	if (modifiers->count > 0 && wire_decode(bytes, size, made_items, &made, &error) == 0)
		return finish(&made, &making, modifiers, ret_size);
	copy = malloc(size);
	CHECK(copy != NULL && size > 0);
	memcpy(copy, bytes, size);
	*ret_size = size;
	for (unsigned i = 0; i < modifiers->count; i++)
		modify_bytes(copy, ret_size, &modifiers->list[i]);
	modifiers->count = 0;
	return copy;
}

// ---- Hearing ----

static unsigned
volume_named(struct blob name)
{
	static const char *const names[PEER_VOLUMES] = VOLUME_NAMES;

	for (unsigned i = 0; i < PEER_VOLUMES; i++)
		if (name.size == strlen(names[i]) && memcmp(name.bytes, names[i], name.size) == 0)
			return i;
	return PEER_VOLUMES - 1;
}

static void
hear_request(struct peer *peer, const struct message *message)
{
	const struct item *last = message->items != NULL ? &message->items[message->count - 1] : NULL;

	const uint64_t eviction = PRESENT(NODE_ID), blocks = PRESENT(BLOCK_NUM);

	if (message->opcode == OP_LOCK && message->perm == PERM_NO)
		return; // nobody waits for it
	if (message->opcode == OP_RECOVER && !(message->present & (blocks | eviction)))
		return; // nor for the end of claims,
	if (message->opcode == OP_HEARTBEAT && !peer->is_parent)
		return; // nor for news
	if (peer->request_count == PEER_REQUESTS) {
		peer->request_count--;
		memmove(&peer->requests[0], &peer->requests[1], peer->request_count * sizeof(peer->requests[0]));
	}
	peer->requests[peer->request_count++] = (struct request){
		.opcode = message->opcode,
		.flags = message->flags,
		.xid = message->xid,
		.volume_id = message->volume_id,
		.has_blocks = (message->present & PRESENT(BLOCK_NUM)) != 0,
		.block = message->block,
		.count = message->count,
		.perm = message->perm,
		.kind = last != NULL ? last->kind : ITEM_EMPTY,
		.version = last != NULL ? last->version : 0,
		.session = message->session,
		.volume = volume_named(message->volume_name),
	};
}

static void
hear_connected(struct peer *peer, const struct message *message)
{
	unsigned volume = volume_named(message->volume_name);

	peer->volume_ids[volume] = message->volume_id;
	peer->sessions[volume] = message->session;
}

void
grammar_heard(struct peer *peer, const struct message *message)
{
	bool reply = message->opcode == OP_OK_REPLY || message->opcode == OP_ERR_REPLY;
	const uint64_t connected = PRESENT(VOLUME_ID) | PRESENT(SESSION);

	for (size_t i = 0; i < PRESENT_COUNT; i++) {
		const struct param *param = &wire_params[i];

		if (!(message->present & UINT64_C(1) << i) || param->width > 8 || param->kind == KIND_PATH)
			continue;
		peer->echo[i] = 0;
		memcpy(&peer->echo[i], (const uint8_t *)message + param->offset, param->width);
	}
	peer->echo[0] = message->xid; // END_MSG has no value
	if (message->present & PRESENT(BLOCK_NUM)) {
		peer->block = message->block;
		peer->count = message->count;
	}
	for (uint32_t i = 0; message->items != NULL && i < message->count; i++)
		if (message->items[i].version > peer->version)
			peer->version = message->items[i].version;
	if (!reply && message->opcode != OP_PUSH) // which nobody answers
		hear_request(peer, message);
	else if ((message->present & connected) == connected)
		hear_connected(peer, message);
}
