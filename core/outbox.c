// SPDX-License-Identifier: MIT
#include "core/outbox.h"
#include "core/check.h"

#include <string.h>

enum { TTL_SPREAD_MS = 1000 }; // leases that differ by less share a message, with the shorter one

static bool
is_reply(enum opcode opcode)
{
	return opcode == OP_OK_REPLY || opcode == OP_ERR_REPLY;
}

static bool
claims_alike(const struct message *open, const struct saying *say)
{
	const struct claimant *claimant = say->claimant;

	if (claimant == NULL)
		return !(open->present & PRESENT(NODE_ID));
	return open->node_id == claimant->node_id && open->link_number == claimant->number && open->epoch == claimant->epoch &&
	       (open->ttl_ms > 0) == (say->live_ms > 0) && open->path_count == claimant->path_count &&
	       memcmp(open->path, claimant->path, claimant->path_count * sizeof(uint64_t)) == 0;
}

static bool
joins(const struct core *core, const struct message *open, const struct saying *say)
{
	uint32_t block_size = core->volumes[say->volume]->block_size;

	if (open->opcode != say->opcode || open->flags != say->flags || open->volume_id != say->volume_id ||
	    open->hops_left != say->hops_left || open->origin != say->origin || open->status != say->status)
		return false;
	if (is_reply(say->opcode) && open->xid != say->xid)
		return false;
	if (!(open->present & PRESENT(BLOCK_NUM)) || open->block + open->count != say->block ||
	    open->count == LIMIT_RUN_BLOCKS)
		return false;
	if (((open->present & PRESENT(PERMISSIONS)) != 0) != (say->perm >= 0) ||
	    (say->perm >= 0 && open->perm != (enum perm)say->perm))
		return false;
	if (((open->present & PRESENT(DIGEST)) != 0) != (say->digest != NULL) ||
	    open->digest.size + BLOCK_DIGEST_SIZE > LIMIT_BLOB_SIZE)
		return false;
	if (say->gap.to != 0 || (open->present & PRESENT(GAP_TO)))
		return false;
	if (!claims_alike(open, say) || ((open->present & PRESENT(GRANT)) != 0) != (say->grant || say->grant_seen != 0) ||
	    (open->items != NULL) != say->item)
		return false;
	if (say->grant_seen != 0 && open->grant != say->grant_seen)
		return false;
	if (say->grant &&
	    (open->ttl_ms > say->ttl_ms ? open->ttl_ms - say->ttl_ms : say->ttl_ms - open->ttl_ms) > TTL_SPREAD_MS)
		return false;
	return !say->item || (uint64_t)(open->count + 1) * block_size <= LIMIT_MESSAGE_DATA_SIZE;
}

static struct message *
outbox_new(struct core *core, uint32_t link_id, uint32_t volume, enum opcode opcode, uint32_t xid)
{
	struct link *link = core->links[link_id];
	struct message *message = actions_send(core->actions, link_id, volume);

	message->opcode = opcode;
	message->hops_left = LIMIT_HOPS;
	message->origin = (uint32_t)core->config.node_id;
	if (!is_reply(opcode) && ++link->xid == 0)
		link->xid = 1;
	message->xid = is_reply(opcode) ? xid : link->xid;
	if (link->open == NULL)
		key_list_add(&core->opened, link_id);
	link->open = message;
	return message;
}

struct message *
outbox_message(struct core *core, uint32_t link, enum opcode opcode, uint32_t xid)
{
	return outbox_new(core, link, 0, opcode, xid);
}

static void
message_name_claimant(struct message *message, const struct claimant *claimant)
{
	message->present |= PRESENT(NODE_ID) | PRESENT(LINK_NUMBER) | PRESENT(PATH) | PRESENT(EPOCH);
	message->node_id = claimant->node_id;
	message->link_number = claimant->number;
	message->epoch = claimant->epoch;
	message->path_count = claimant->path_count;
	memcpy(message->path, claimant->path, claimant->path_count * sizeof(uint64_t));
}

static struct message *
outbox_begin_run(struct core *core, const struct saying *say)
{
	struct message *message = outbox_new(core, say->link, say->volume, say->opcode, say->xid);

	message->flags = say->flags;
	message->hops_left = say->hops_left;
	message->origin = say->origin;
	message->present = PRESENT(VOLUME_ID) | PRESENT(BLOCK_NUM);
	message->volume_id = say->volume_id;
	message->block = say->block;
	if (say->perm >= 0) {
		message->present |= PRESENT(PERMISSIONS);
		message->perm = (enum perm)say->perm;
	}
	if (say->grant) {
		message->present |= PRESENT(TTL) | PRESENT(HB_TTL) | PRESENT(GRANT) | PRESENT(EPOCH);
		message->ttl_ms = say->ttl_ms;
		message->hb_ttl_ms = say->hb_ttl_ms;
		message->grant = ++core->links[say->link]->grant;
		message->epoch = core->volumes[say->volume]->epoch;
	}
	if (say->claimant != NULL)
		message_name_claimant(message, say->claimant);
	if (say->opcode == OP_RECOVER || say->live_ms > 0) {
		message->present |= PRESENT(TTL);
		message->ttl_ms = say->live_ms;
	}
	if (say->given_ms > 0) {
		message->present |= PRESENT(HB_TTL);
		message->hb_ttl_ms = say->given_ms;
	}
	if (say->grant_seen != 0) {
		message->present |= PRESENT(GRANT);
		message->grant = say->grant_seen;
	}
	if (say->gap.to != 0) {
		message->present |= PRESENT(GAP_FROM) | PRESENT(GAP_TO);
		message->gap = say->gap;
	}
	if (say->status != STATUS_NONE) {
		message->present |= PRESENT(STATUS);
		message->status = say->status;
	}
	return message;
}

// What is claimed may be much, and comes at once: it waits for room as bytes do (R16). The link says that there is room again
// when so much has left: so no more may be counted than is sent.
static uint64_t
claim_size(const struct message *message, const struct saying *say)
{
	enum { RUN_SIZE = 64, VERSION_SIZE = 16 };

	if (message->count == 0)
		return RUN_SIZE + VERSION_SIZE;
	return say->item && message->items[message->count - 1].version != say->version ? VERSION_SIZE : 0;
}

const struct message *
outbox_say(struct core *core, const struct saying *say)
{
	struct link *link = core->links[say->link];
	struct message *message = link->open;

	CHECK(link->in_use);
	if (message == NULL || say->alone || !joins(core, message, say))
		message = outbox_begin_run(core, say);
	if (say->opcode == OP_RECOVER)
		link->queued += claim_size(message, say);
	message->count++;
	if (message->count == 2)
		message->present |= PRESENT(BLOCK_COUNT);
	if (say->grant && say->ttl_ms < message->ttl_ms)
		message->ttl_ms = say->ttl_ms;
	if (say->digest != NULL)
		actions_add_digest(core->actions, message, say->digest);
	if (say->item) {
		actions_add_item(core->actions, message, say->kind, say->version,
				 say->kind == ITEM_DATA ? say->buf : NULL);
		if (say->kind == ITEM_DATA)
			link->queued += core->volumes[say->volume]->block_size;
	}
	if (say->alone)
		link->open = NULL;
	return message;
}

struct message *
outbox_error(struct core *core, uint32_t link, uint32_t xid, enum status status, uint16_t param, uint64_t value)
{
	struct message *message = outbox_message(core, link, OP_ERR_REPLY, xid);
	uint8_t *bytes = core->error_values[core->error_next++ % ERROR_VALUES];

	message->present = PRESENT(STATUS);
	message->status = status;
	if (param == 0)
		return message;
	for (int i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(value >> (56 - 8 * i));
	message->present |= PRESENT(ERR_PARAM) | PRESENT(ERR_VALUE);
	message->err_param = param;
	message->err_value = (struct blob){bytes, 8};
	return message;
}

void
outbox_close_link(struct core *core, uint32_t link, const char *why)
{
	struct action *action;

	if (core->links[link]->closing)
		return;
	core->links[link]->closing = true;
	action = actions_add(core->actions, ACTION_CLOSE);
	action->link = link;
	action->text = why;
}

bool
outbox_room(const struct core *core, uint32_t link)
{
	return core->links[link]->queued < LIMIT_LINK_DATA_SIZE;
}

void
outbox_close(struct core *core)
{
	for (uint32_t i = 0; i < core->opened.count; i++) {
		struct link *link = core->links[core->opened.keys[i]];

		if (link != NULL)
			link->open = NULL;
	}
	core->opened.count = 0;
}
