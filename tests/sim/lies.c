// SPDX-License-Identifier: MIT
#include "tests/sim/lies.h"

#include "core/check.h"
#include "net/wire_params.h"
#include "tests/sim/world.h"

#include <string.h>

void
lies_take_buffers(struct liar *liar, struct message *message)
{
	for (uint32_t i = 0; message->items != NULL && i < message->count; i++) {
		struct item *item = &message->items[i];

		item->buf = NULL;
		if (item->kind != ITEM_DATA)
			continue;
		item->buf = buf_alloc(liar->pool);
		memcpy(buf_bytes(item->buf), item->bytes, liar->node->world->block_size);
	}
}

void
lies_give_buffers(struct message *message)
{
	for (uint32_t i = 0; message->items != NULL && i < message->count; i++)
		buf_unref(message->items[i].buf);
}

// ---- Numbers ----

// One that is near, or at an end, or that somebody has, or any.
static uint64_t
other_number(struct liar *liar, uint64_t number)
{
	uint64_t kept = liar->number_count < LIES_NUMBERS ? liar->number_count : LIES_NUMBERS;

	switch (rng_below(&liar->rng, 8)) {
	case 0:
		return 0;
	case 1:
		return UINT64_MAX;
	case 2:
	case 3:
		return number + rng_between(&liar->rng, 1, 3);
	case 4:
		return number - rng_between(&liar->rng, 1, 3);
	case 5:
		return UINT64_C(1) << rng_below(&liar->rng, 64);
	case 6:
		return rng_next(&liar->rng);
	default:
		return kept > 0 ? liar->numbers[rng_below(&liar->rng, kept)] : 1;
	}
}

static uint64_t
into_range(const struct param *param, uint64_t number)
{
	uint64_t span = param->max - param->min;

	if (param->kind == KIND_FLAGS)
		return number & param->max;
	if (param->kind == KIND_POWER)
		return param->min << number % 7;
	if (number >= param->min && number <= param->max)
		return number;
	return param->min + (span == UINT64_MAX ? number : number % (span + 1));
}

static void
field_set(struct message *message, const struct param *param, uint64_t number)
{
	uint8_t *field = (uint8_t *)message + param->offset;
	uint16_t narrow = (uint16_t)number;
	uint32_t middle = (uint32_t)number;

	if (param->width == sizeof narrow)
		memcpy(field, &narrow, sizeof narrow);
	else if (param->width == sizeof middle)
		memcpy(field, &middle, sizeof middle);
	else
		memcpy(field, &number, sizeof number);
}

static uint64_t
field_get(const struct message *message, const struct param *param)
{
	const uint8_t *field = (const uint8_t *)message + param->offset;
	uint64_t number = 0;

	memcpy(&number, field, param->width); // the least byte is the first one, as everywhere where this runs
	return number;
}

static void
any_blob(struct liar *liar, const struct param *param, struct blob *ret)
{
	static uint8_t bytes[64];
	static const char *const words[] = {"vol0", "vol1", "n0", "n1\nn2\nn3", "nowhere\nn1", "of the world", "\x1b[2J"};
	const char *word = words[rng_below(&liar->rng, sizeof words / sizeof words[0])];
	size_t size = strlen(word);

	memcpy(bytes, word, size);
	*ret = (struct blob){bytes, size > param->max ? param->max : size < param->min ? param->min : size};
}

static void
any_path(struct liar *liar, struct message *message)
{
	message->path_count = (uint32_t)rng_below(&liar->rng, rng_chance(&liar->rng, 10) ? LIMIT_HOPS + 1 : 5);
	for (uint32_t i = 0; i < message->path_count; i++)
		message->path[i] = other_number(liar, message->path[i]);
}

static void
any_field(struct liar *liar, struct message *message, const struct param *param)
{
	switch (param->kind) {
	case KIND_BLOB:
		any_blob(liar, param, (struct blob *)((uint8_t *)message + param->offset));
		break;
	case KIND_PATH:
		any_path(liar, message);
		break;
	default:
		field_set(message, param, into_range(param, other_number(liar, field_get(message, param))));
		break;
	}
}

// As many items as the run has blocks, and as the volume can have: else nobody could send it.
static void
run_fit(struct message *message)
{
	if (!(message->present & PRESENT(BLOCK_NUM)))
		return;
	if (message->count == 0 || message->count > LIMIT_RUN_BLOCKS)
		message->count = 1;
	if (message->count > 1)
		message->present |= PRESENT(BLOCK_COUNT);
	if (message->block > WIRE_BLOCK_NUM_MAX - message->count)
		message->block = WIRE_BLOCK_NUM_MAX - message->count;
}

static bool
change_number(struct liar *liar, struct message *message)
{
	uint64_t fields = message->present & WIRE_PRESENT_FIELDS & ~(message->items != NULL ? PRESENT(BLOCK_COUNT) : 0);
	unsigned which = (unsigned)rng_below(&liar->rng, (uint64_t)__builtin_popcountll(fields) + 1);

	if (which == 0) {
		message->xid = (uint32_t)other_number(liar, message->xid);
		return true;
	}
	for (; which > 1; which--)
		fields &= fields - 1;
	any_field(liar, message, &wire_params[__builtin_ctzll(fields)]);
	run_fit(message);
	return true;
}

// ---- Blocks ----

static bool
is_about(const struct lies_content *content, int volume, uint64_t block)
{
	return content->kind != ITEM_EMPTY && content->volume == volume && content->block == block;
}

// Some content that he has of that block (or of any other); NULL: none.
static const struct lies_content *
find_content(struct liar *liar, int volume, uint64_t block, bool other)
{
	uint64_t at = rng_next(&liar->rng);

	for (unsigned i = 0; i < LIES_CONTENTS; i++) {
		const struct lies_content *content = &liar->contents[(at + i) % LIES_CONTENTS];

		if (content->kind != ITEM_EMPTY && is_about(content, volume, block) != other)
			return content;
	}
	return NULL;
}

static void
item_take(struct liar *liar, struct item *item, const struct lies_content *content)
{
	buf_unref(item->buf);
	item->buf = NULL;
	item->kind = content->kind;
	item->verifier = (struct blob){content->verifier, content->verifier_size};
	if (content->kind != ITEM_DATA)
		return;
	item->buf = buf_alloc(liar->pool);
	memcpy(buf_bytes(item->buf), content->bytes, liar->node->world->block_size);
}

static version_t
other_version(struct liar *liar, version_t version)
{
	switch (rng_below(&liar->rng, 8)) {
	case 0:
		return version + 1;
	case 1:
		return version + rng_between(&liar->rng, 1, 1000);
	case 2:
		return version + (UINT64_C(1) << rng_below(&liar->rng, 40));
	case 3:
		return version > 0 ? version - 1 : 0;
	case 4:
		return version_make(version_epoch(version) + 1, 1);
	case 5:
		return version_make((uint32_t)rng_below(&liar->rng, WIRE_EPOCH_MAX), version_counter(version));
	default:
		return other_number(liar, version);
	}
}

// An item with content, or NULL.
static struct item *
any_item(struct liar *liar, struct message *message, uint32_t *ret_index)
{
	uint64_t at = rng_next(&liar->rng);

	for (uint32_t i = 0; message->items != NULL && i < message->count; i++) {
		*ret_index = (uint32_t)((at + i) % message->count);
		if (message->items[*ret_index].kind != ITEM_EMPTY)
			return &message->items[*ret_index];
	}
	return NULL;
}

static bool
change_bytes(struct liar *liar, struct item *item)
{
	uint8_t *bytes;

	if (item->kind != ITEM_DATA)
		return false;
	bytes = buf_bytes(item->buf);
	bytes[rng_below(&liar->rng, liar->node->world->block_size)] ^= (uint8_t)rng_between(&liar->rng, 1, 255);
	return true;
}

static bool
change_verifier(struct liar *liar, struct item *item)
{
	static uint8_t bytes[LIES_VERIFIER_MAX];
	size_t size = item->verifier.size;

	if (size == 0 || size > sizeof bytes)
		return false;
	memcpy(bytes, item->verifier.bytes, size);
	bytes[rng_below(&liar->rng, size)] ^= (uint8_t)rng_between(&liar->rng, 1, 255);
	item->verifier = (struct blob){bytes, rng_chance(&liar->rng, 20) ? rng_below(&liar->rng, size) : size};
	return true;
}

static bool
change_place(struct liar *liar, struct message *message, uint32_t at)
{
	struct item *first = &message->items[0], *other = &message->items[at], item = *first;

	if (at == 0) {
		message->block += rng_between(&liar->rng, 1, 3);
		run_fit(message);
		return true;
	}
	*first = *other;
	*other = item;
	if (rng_chance(&liar->rng, 50)) { // the bytes alone
		struct blob verifier = first->verifier;

		first->verifier = other->verifier;
		other->verifier = verifier;
	}
	return true;
}

static bool
change_content(struct liar *liar, struct item *item, const struct lies_content *content)
{
	if (content == NULL)
		return false;
	item_take(liar, item, content);
	if (rng_chance(&liar->rng, 20))
		item->version = content->version;
	else if (rng_chance(&liar->rng, 30))
		item->version = other_version(liar, item->version);
	return true;
}

static bool
change_to_zeros(struct liar *liar, struct item *item)
{
	buf_unref(item->buf);
	item->buf = NULL;
	item->kind = ITEM_ZERO;
	if (rng_chance(&liar->rng, 50))
		item->verifier = (struct blob){0};
	return true;
}

// Items without content have a version, too.
static bool
change_version(struct liar *liar, struct message *message)
{
	struct item *item = message->items != NULL ? &message->items[rng_below(&liar->rng, message->count)] : NULL;

	if (item == NULL)
		return false;
	item->version = other_version(liar, item->version);
	for (uint32_t i = 0; i < message->count && rng_chance(&liar->rng, 50); i++)
		message->items[i].version = item->version;
	return true;
}

// ---- Grants ----

static bool
change_permission(struct liar *liar, struct message *message)
{
	static const enum perm perms[] = {PERM_NO, PERM_READ, PERM_WRITE};

	if (!(message->present & PRESENT(BLOCK_NUM)))
		return false;
	if (rng_chance(&liar->rng, 10))
		message->present ^= PRESENT(PERMISSIONS);
	else
		message->present |= PRESENT(PERMISSIONS);
	message->perm = message->present & PRESENT(PERMISSIONS) ? perms[rng_below(&liar->rng, 3)] : PERM_NO;
	return true;
}

static uint32_t
other_lease(struct liar *liar, uint32_t ms)
{
	switch (rng_below(&liar->rng, 5)) {
	case 0:
		return 0;
	case 1:
		return 1;
	case 2:
		return UINT32_MAX;
	case 3:
		return ms * 100;
	default:
		return ms / 100;
	}
}

static bool
change_lease(struct liar *liar, struct message *message)
{
	if (!(message->present & (PRESENT(TTL) | PRESENT(HB_TTL))))
		return false;
	if (message->present & PRESENT(TTL))
		message->ttl_ms = other_lease(liar, message->ttl_ms);
	if (message->present & PRESENT(HB_TTL))
		message->hb_ttl_ms = other_lease(liar, message->hb_ttl_ms);
	return true;
}

static bool
change_to_refusal(struct liar *liar, struct message *message)
{
	if (message->opcode != OP_OK_REPLY)
		return false;
	lies_give_buffers(message);
	message->items = NULL;
	message->opcode = OP_ERR_REPLY;
	message->status = (enum status)rng_between(&liar->rng, 1, STATUS_ACCESS_DENIED + 1);
	message->present = PRESENT(STATUS) | (message->present & (PRESENT(VOLUME_ID) | PRESENT(BLOCK_NUM) | PRESENT(BLOCK_COUNT)));
	return true;
}

bool
lies_change(struct liar *liar, enum liar_lie lie, int volume, struct message *message)
{
	uint32_t at = 0;
	struct item *item;

	switch (lie) {
	case LIAR_VERSION:
		return change_version(liar, message);
	case LIAR_PERMISSION:
		return change_permission(liar, message);
	case LIAR_LEASE:
		return change_lease(liar, message);
	case LIAR_NUMBER:
		return change_number(liar, message);
	case LIAR_REFUSE:
		return change_to_refusal(liar, message);
	default:
		break;
	}
	item = any_item(liar, message, &at);
	if (item == NULL)
		return false;
	switch (lie) {
	case LIAR_BYTES:
		return change_bytes(liar, item);
	case LIAR_VERIFIER:
		return change_verifier(liar, item);
	case LIAR_SWAP:
		return change_place(liar, message, at);
	case LIAR_ZEROS:
		return change_to_zeros(liar, item);
	case LIAR_OLD:
	case LIAR_OTHER:
		return change_content(liar, item, find_content(liar, volume, message->block + at, lie == LIAR_OTHER));
	default:
		return false;
	}
}

// ---- Messages of his own ----

static struct item own_items[LIMIT_RUN_BLOCKS];

static void
grant(struct liar *liar, enum perm perm, struct message *ret)
{
	ret->present |= PRESENT(PERMISSIONS) | PRESENT(TTL) | PRESENT(HB_TTL) | PRESENT(GRANT) | PRESENT(EPOCH);
	ret->perm = perm;
	ret->ttl_ms = rng_chance(&liar->rng, 50) ? liar->node->config.ttl_ms : other_lease(liar, 1000);
	ret->hb_ttl_ms = liar->node->config.hb_ttl_ms;
	ret->grant = ++liar->grant;
	ret->epoch = rng_chance(&liar->rng, 90) ? liar->epoch : (uint32_t)rng_below(&liar->rng, WIRE_EPOCH_MAX + 1);
}

// Contents that he has of the blocks of ${ret}; of those of which he has none it says nothing, or that they are zeros.
static void
fill(struct liar *liar, int volume, struct message *ret)
{
	ret->items = own_items;
	for (uint32_t i = 0; i < ret->count; i++) {
		const struct lies_content *content = find_content(liar, volume, ret->block + i, false);

		own_items[i] = (struct item){.version = 1};
		if (content == NULL) {
			own_items[i].kind = rng_chance(&liar->rng, 20) ? ITEM_ZERO : ITEM_EMPTY;
			continue;
		}
		item_take(liar, &own_items[i], content);
		own_items[i].version = rng_chance(&liar->rng, 50) ? content->version : other_version(liar, content->version);
	}
}

bool
lies_answer(struct liar *liar, enum liar_lie lie, int volume, const struct message *request, struct message *ret)
{
	bool blocks = request->present & PRESENT(BLOCK_NUM);

	*ret = (struct message){
		.opcode = OP_OK_REPLY,
		.hops_left = LIMIT_HOPS,
		.xid = request->xid,
		.present = request->present & (PRESENT(VOLUME_ID) | PRESENT(BLOCK_NUM) | PRESENT(BLOCK_COUNT)),
		.volume_id = request->volume_id,
		.block = request->block,
		.count = request->count,
	};
	switch (lie) {
	case LIAR_KEEP:
		ret->present |= PRESENT(PERMISSIONS);
		return request->opcode == OP_INVALIDATE;
	case LIAR_ACKNOWLEDGE:
		return request->opcode == OP_FLUSH || request->opcode == OP_FORWARD ||
		       (request->opcode == OP_RECOVER && request->perm != PERM_WRITE);
	default:
		break;
	}
	if (!blocks || request->count > 256 ||
	    (request->opcode != OP_GET && request->opcode != OP_LOCK && request->opcode != OP_PUT && request->opcode != OP_RECOVER))
		return false;
	grant(liar, rng_chance(&liar->rng, 70) ? request->perm : PERM_WRITE, ret);
	if (request->opcode == OP_PUT)
		ret->perm = PERM_WRITE;
	fill(liar, volume, ret);
	return true;
}

static void
any_run(struct liar *liar, uint32_t volume_id, struct message *ret)
{
	uint64_t blocks = liar->node->world->nodes[0]->disks[0]->block_count;

	ret->present |= PRESENT(VOLUME_ID) | PRESENT(BLOCK_NUM) | PRESENT(BLOCK_COUNT);
	ret->volume_id = volume_id;
	ret->block = rng_below(&liar->rng, blocks);
	ret->count = (uint32_t)rng_between(&liar->rng, 1, rng_chance(&liar->rng, 70) ? 1 : 8);
}

// A block is claimed, or bytes are brought, or all claims are complete.
static void
claim(struct liar *liar, int volume, struct message *ret)
{
	ret->opcode = OP_RECOVER;
	ret->flags = FLAG_RECOVERY_OP;
	ret->present |= PRESENT(PERMISSIONS) | PRESENT(NODE_ID) | PRESENT(LINK_NUMBER) | PRESENT(PATH) | PRESENT(EPOCH) | PRESENT(TTL);
	ret->perm = (enum perm)rng_below(&liar->rng, 3);
	ret->node_id = other_number(liar, 1);
	ret->link_number = other_number(liar, 1);
	any_path(liar, ret);
	ret->epoch = rng_chance(&liar->rng, 80) ? liar->epoch : (uint32_t)rng_below(&liar->rng, WIRE_EPOCH_MAX + 1);
	ret->ttl_ms = rng_chance(&liar->rng, 50) ? 0 : liar->node->config.hb_ttl_ms;
	fill(liar, volume, ret);
	for (uint32_t i = 0; i < ret->count && ret->perm == PERM_WRITE; i++) {
		buf_unref(ret->items[i].buf);
		ret->items[i] = (struct item){.version = ret->items[i].version};
	}
}

static void
evict(struct liar *liar, uint32_t volume_id, struct message *ret)
{
	ret->opcode = OP_RECOVER;
	ret->flags = FLAG_RECOVERY_OP;
	ret->present = PRESENT(VOLUME_ID) | PRESENT(NODE_ID) | PRESENT(SESSION);
	ret->volume_id = volume_id;
	ret->node_id = other_number(liar, 1);
	ret->session = other_number(liar, 1);
}

static void
news(struct liar *liar, uint32_t volume_id, struct message *ret)
{
	static const char *const ways[] = {"n0", "n0\nnowhere", "nowhere\nn0", "nowhere", "\n\n"};
	const char *way = ways[rng_below(&liar->rng, sizeof ways / sizeof ways[0])];

	ret->opcode = OP_HEARTBEAT;
	ret->present = PRESENT(VOLUME_ID) | PRESENT(EPOCH) | PRESENT(PATH) | PRESENT(PARENT_ADDR);
	ret->volume_id = volume_id;
	ret->epoch = rng_chance(&liar->rng, 50) ? liar->epoch : (uint32_t)rng_below(&liar->rng, WIRE_EPOCH_MAX + 1);
	ret->parent_addr = (struct blob){(const uint8_t *)way, strlen(way)};
	any_path(liar, ret);
}

static enum opcode
any_opcode(struct liar *liar)
{
	static const enum opcode opcodes[] = {
#define X(name, value) OP_##name,
		MESSAGE_OPCODES(X)
#undef X
	};

	return opcodes[rng_below(&liar->rng, sizeof opcodes / sizeof opcodes[0])];
}

static void
garbage(struct liar *liar, int volume, uint32_t volume_id, struct message *ret)
{
	uint64_t few = rng_next(&liar->rng) & rng_next(&liar->rng);
	bool items = rng_chance(&liar->rng, 50);

	if (!items)
		ret->present = 0;
	ret->opcode = any_opcode(liar);
	ret->flags = (uint16_t)rng_below(&liar->rng, 8) & (FLAG_FORCE_SYNC | FLAG_RECOVERY_OP);
	ret->present |= few & WIRE_PRESENT_FIELDS & (items ? UINT64_MAX : ~PRESENT(BLOCK_COUNT));
	for (uint64_t left = ret->present; left != 0; left &= left - 1)
		if (!items || !((left & -left) & (PRESENT(BLOCK_NUM) | PRESENT(BLOCK_COUNT))))
			any_field(liar, ret, &wire_params[__builtin_ctzll(left)]);
	if (rng_chance(&liar->rng, 80)) {
		ret->present |= PRESENT(VOLUME_ID);
		ret->volume_id = volume_id;
	}
	if (items)
		fill(liar, volume, ret);
	else if (ret->present & PRESENT(BLOCK_NUM))
		ret->count = 1;
	run_fit(ret);
}

bool
lies_unasked(struct liar *liar, enum liar_lie lie, int volume, uint32_t volume_id, bool to_child, struct message *ret)
{
	*ret = (struct message){.hops_left = LIMIT_HOPS, .xid = (uint32_t)other_number(liar, 1)};
	any_run(liar, volume_id, ret);
	switch (lie) {
	case LIAR_PUSH:
		ret->opcode = OP_PUSH;
		grant(liar, PERM_READ, ret);
		fill(liar, volume, ret);
		return to_child;
	case LIAR_RECALL:
		ret->opcode = OP_INVALIDATE;
		ret->present |= PRESENT(PERMISSIONS);
		ret->perm = (enum perm)rng_below(&liar->rng, 2);
		return to_child;
	case LIAR_CLAIM:
		claim(liar, volume, ret);
		return !to_child;
	case LIAR_EVICT:
		evict(liar, volume_id, ret);
		return !to_child;
	case LIAR_NEWS:
		news(liar, volume_id, ret);
		return to_child;
	case LIAR_GARBAGE:
		garbage(liar, volume, volume_id, ret);
		return true;
	default:
		return false;
	}
}
