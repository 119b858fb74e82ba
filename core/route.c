// SPDX-License-Identifier: MIT
// A message is taken apart into its blocks, and each block brought to its end before the next: what a run brings must
// not be evicted by the rest of the run before somebody could use it.
#include "core/route.h"
#include "core/admission.h"
#include "core/check.h"
#include "core/claim.h"
#include "core/client.h"
#include "core/eviction.h"
#include "core/outbox.h"
#include "core/recovery.h"
#include "core/push.h"
#include "core/recall.h"
#include "core/server.h"
#include "core/session.h"
#include "core/transaction.h"
#include "core/writeback.h"

static void
for_blocks(struct core *core, struct volume *volume, const struct message *message,
	   void (*fn)(struct core *, struct volume *, const struct message *, uint32_t))
{
	for (uint32_t i = 0; i < message->count; i++) {
		fn(core, volume, message, i);
		transaction_drain(core);
	}
}

static bool
run_valid(const struct volume *volume, const struct message *message)
{
	return volume != NULL && (message->present & PRESENT(BLOCK_NUM)) && message->block < volume->blocks &&
	       message->count <= volume->blocks - message->block;
}

static struct volume *
parent_volume(const struct core *core, const struct message *message)
{
	for (uint32_t i = 0; i < core->volume_count; i++) {
		struct volume *volume = core->volumes[i];

		if (!volume->is_root && volume->connected && (message->present & PRESENT(VOLUME_ID)) &&
		    volume->parent_id == message->volume_id)
			return volume;
	}
	return NULL;
}

// What was lost above, a while ago (TTL), was not of those whose bytes have come here since.
static void
barrier_reply(struct core *core, struct volume *volume, const struct message *message)
{
	if (message->opcode == OP_OK_REPLY)
		writeback_barrier_done(core, volume, ERR_OK);
	else if (message->status == STATUS_NO_SPACE)
		writeback_barrier_done(core, volume, ERR_NO_SPACE);
	else if (message->present & PRESENT(TTL))
		writeback_lost_above(core, volume, (uint64_t)message->ttl_ms * 1000);
	else
		writeback_barrier_done(core, volume, ERR_IO);
}

static void
parent_reply(struct core *core, uint32_t link, const struct message *message)
{
	struct volume *volume;

	if (session_reply(core, message))
		return;
	if (eviction_reply(core, message))
		return;
	for (uint32_t i = 0; i < core->volume_count; i++) {
		volume = core->volumes[i];
		if (volume->barrier_out && !volume->is_root && volume->barrier_xid == message->xid) {
			barrier_reply(core, volume, message);
			return;
		}
	}
	volume = parent_volume(core, message);
	if (run_valid(volume, message))
		for_blocks(core, volume, message, client_reply_block);
	else if (message->opcode == OP_ERR_REPLY)
		client_request_refused(core, message);
	else if (message->present & PRESENT(BLOCK_NUM))
		outbox_close_link(core, link, "an answer about blocks or a volume that we did not ask for");
}

static void
parent_message(struct core *core, uint32_t link, const struct message *message)
{
	struct volume *volume;

	switch ((int)message->opcode) {
	case OP_OK_REPLY:
	case OP_ERR_REPLY:
		parent_reply(core, link, message);
		break;
	case OP_INVALIDATE:
		volume = parent_volume(core, message);
		if (run_valid(volume, message) && (message->present & PRESENT(PERMISSIONS)))
			for_blocks(core, volume, message, client_recall_block);
		else
			outbox_error(core, link, message->xid, STATUS_BAD_PARAM_VALUE, PARAM_BLOCK_NUM, message->block);
		break;
	case OP_PUSH:
		volume = parent_volume(core, message);
		if (volume == NULL)
			break; // the session has ended meanwhile
		if (run_valid(volume, message) && push_is_valid(message))
			for_blocks(core, volume, message, push_block);
		else
			outbox_error(core, link, message->xid, STATUS_BAD_PARAM_VALUE, PARAM_BLOCK_NUM, message->block);
		break;
	case OP_DISCONNECT:
		volume = parent_volume(core, message);
		if (volume != NULL)
			session_parent_left(core, volume);
		break;
	case OP_HEARTBEAT:
		volume = parent_volume(core, message);
		if (volume != NULL)
			session_news(core, volume, message);
		break;
	default:
		outbox_error(core, link, message->xid, STATUS_NOT_SUPPORTED, 0, 0);
		break;
	}
}

static void
child_request(struct core *core, uint32_t link, const struct message *message)
{
	struct child *child;

	if (!server_check_request(core, link, message, &child))
		return;
	if (message->opcode == OP_FLUSH && !(message->present & PRESENT(BLOCK_NUM))) {
		server_barrier(core, child, message);
		return;
	}
	if (message->opcode == OP_RECOVER) {
		if (!(message->present & PRESENT(BLOCK_NUM)) && (message->present & PRESENT(NODE_ID)))
			eviction_notice(core, child, message);
		else
			claim_request(core, child, message);
		transaction_drain(core);
		return;
	}
	for (uint32_t i = 0; i < message->count; i++) {
		if (message->opcode == OP_FORWARD)
			server_forward_block(core, child, message, i);
		else
			server_request_block(core, child, message, i);
		transaction_drain(core);
	}
	if (message->opcode == OP_GET && message->perm == PERM_READ)
		push_after(core, child, message);
}

static void
child_reply(struct core *core, uint32_t link, const struct message *message)
{
	if (message->opcode == OP_ERR_REPLY && message->status == STATUS_NOT_SUPPORTED) {
		core->links[link]->no_push = true; // nothing else that it is sent can be unknown there
		return;
	}
	for (uint32_t v = 0; v < core->volume_count; v++) {
		int32_t child = core->links[link]->child_of[v];

		if (child < 0 || core->volumes[v]->id != message->volume_id || !run_valid(core->volumes[v], message))
			continue;
		// A child may only refuse to let a block go for somebody who has not left it (F5).
		if (message->opcode == OP_ERR_REPLY && message->status != STATUS_NOT_HOLDER) {
			outbox_close_link(core, link, "the child refuses an INVALIDATE");
			return;
		}
		for (uint32_t i = 0; i < message->count; i++) {
			recall_answered(core, core->children[child], message, i);
			transaction_drain(core);
		}
		return;
	}
	// A recall came before the child was ready for it: it is sent again on the next link.
	if (message->opcode == OP_ERR_REPLY)
		outbox_close_link(core, link, "the child refuses an INVALIDATE");
}

static void
child_message(struct core *core, uint32_t link, const struct message *message)
{
	switch ((int)message->opcode) {
	case OP_CONNECT:
	case OP_DISCONNECT:
	case OP_HEARTBEAT:
		admission_request(core, link, message);
		break;
	case OP_GET:
	case OP_PUT:
	case OP_FLUSH:
	case OP_LOCK:
	case OP_RECOVER:
	case OP_FORWARD:
		child_request(core, link, message);
		break;
	case OP_OK_REPLY:
	case OP_ERR_REPLY:
		child_reply(core, link, message);
		break;
	case OP_GET_COOKIES: // the node's, where there are any, and who asks has a session
		if (core_message_volume(core, link, message) < 0) {
			outbox_error(core, link, message->xid, STATUS_NO_SUCH_VOLUME, PARAM_VOLUME_ID, message->volume_id);
			break;
		}
		outbox_error(core, link, message->xid, STATUS_NOT_SUPPORTED, 0, 0);
		break;
	default:
		outbox_error(core, link, message->xid, STATUS_NOT_SUPPORTED, 0, 0);
		break;
	}
}

bool
core_is_own_claim(const struct core *core, uint32_t volume, const struct message *message)
{
	return (message->present & PRESENT(NODE_ID)) != 0 && recovery_is_own_name(core->volumes[volume], message->node_id);
}

int
core_message_volume(const struct core *core, uint32_t link, const struct message *message)
{
	bool is_parent = core->links[link]->role == LINK_PARENT;

	for (uint32_t i = 0; (message->present & PRESENT(VOLUME_ID)) && i < core->volume_count; i++) {
		const struct volume *volume = core->volumes[i];

		if (is_parent ? !volume->is_root && volume->connected && volume->parent_id == message->volume_id
			      : volume->id == message->volume_id && core->links[link]->child_of[i] >= 0)
			return (int)i;
	}
	return -1;
}

// All bytes that come in must be of the volume's block size: a peer may not make us read beyond a buffer.
static bool
items_sized(const struct core *core, uint32_t link, const struct message *message)
{
	int index = message->items != NULL ? core_message_volume(core, link, message) : -1;
	uint32_t block_size = index >= 0 ? core->volumes[index]->block_size : 0;

	for (uint32_t i = 0; block_size != 0 && i < message->count; i++) {
		const struct item *item = &message->items[i];

		if (item->kind == ITEM_DATA && item->buf != buf_zero() && buf_size(item->buf) != block_size)
			return false;
	}
	return true;
}

// Numbers at the end of an epoch would go on in the next one, or at zero, with the first gap that is left for a silent writer (R11).
static bool
versions_can_be(const struct message *message)
{
	for (uint32_t i = 0; message->items != NULL && i < message->count; i++)
		if (version_counter(message->items[i].version) > VERSION_COUNTER_PARENT_MAX)
			return false;
	return true;
}

void
route_message(struct core *core, uint32_t link, const struct message *message)
{
	CHECK(link < core->link_capacity && core->links[link] != NULL);
	if (core->links[link]->closing)
		return;
	if (!items_sized(core, link, message)) {
		outbox_error(core, link, message->xid, STATUS_BAD_PARAM_LENGTH, PARAM_DATA, 0);
		return;
	}
	session_link_alive(core, link);
	if (core->links[link]->role == LINK_PARENT && !versions_can_be(message))
		outbox_close_link(core, link, "a version that can not be");
	else if (core->links[link]->role == LINK_PARENT)
		parent_message(core, link, message);
	else
		child_message(core, link, message);
}
