// SPDX-License-Identifier: MIT
// Who may do what is the node's knowledge: it is asked when a child connects, and again at EVENT_RIGHTS. In between the answer is
// kept with the session, and each request is held against it.
//
// A right that is lowered: from then on nothing more is granted. What the child has beyond it is recalled; so its dirty bytes come
// home (R6), and what they were recalled with is answered. Then its link is closed: it connects anew and learns how it is, or that
// it may do nothing. If it does not give back what it has within a lease, its link is closed all the same, and it is treated as any
// child that fell silent: what it has for writing is frozen until its lease is over, and taken back after an eviction (F2).
//
// A right that is raised: the link is closed, so that the child connects anew and learns of it.
#include "core/rights.h"

#include "core/admission.h"
#include "core/check.h"
#include "core/claim.h"
#include "core/local.h"
#include "core/outbox.h"
#include "core/recall.h"
#include "core/server.h"

#include <string.h>

enum right
rights_of_link(const struct core *core, uint32_t link, const char *name, size_t name_size)
{
	char text[LIMIT_NAME_SIZE + 1];

	CHECK(name_size <= LIMIT_NAME_SIZE);
	if (core->config.right_of == NULL)
		return RIGHT_WRITE;
	memcpy(text, name, name_size);
	text[name_size] = '\0';
	return core->config.right_of(core->config.right_arg, link, text);
}

static enum perm
perm_allowed(const struct child *child)
{
	return child->right == RIGHT_NONE ? PERM_NO : child->right == RIGHT_READ ? PERM_READ : PERM_WRITE;
}

void
rights_tell(struct core *core, uint32_t link, int32_t volume, const char *text)
{
	struct action *action = actions_add(core->actions, ACTION_FORBIDDEN);

	action->link = link;
	action->volume = volume < 0 ? UINT32_MAX : (uint32_t)volume;
	action->text = text;
}

static bool
is_barrier(const struct message *message)
{
	return message->opcode == OP_FLUSH && !(message->present & PRESENT(BLOCK_NUM));
}

// Is it about bytes that change, or changes what others may do?
static bool
writes(const struct message *message)
{
	bool is_notice = !(message->present & PRESENT(BLOCK_NUM)) && (message->present & PRESENT(NODE_ID));

	if (message->opcode == OP_RECOVER)
		return message->items != NULL || is_notice;
	return message->opcode == OP_PUT || message->opcode == OP_FLUSH || message->opcode == OP_FORWARD || message->perm == PERM_WRITE;
}

// Who may only read may ask for a barrier: it may have written before, in a session that is over. And what is to be given back may be
// brought up. A repeated PUT may have been applied, and the
// block granted with it, before the right was lowered: that is found out block by block (server.c).
static bool
is_beyond(const struct child *child, const struct message *message)
{
	if (is_barrier(message) && (child->wrote || child->right != RIGHT_NONE))
		return false;
	if (child->right == RIGHT_NONE)
		return message->opcode != OP_FLUSH && (message->opcode != OP_LOCK || message->perm != PERM_NO);
	if (child->revoking && (message->opcode == OP_FLUSH || message->opcode == OP_PUT))
		return false;
	return child->read_only && writes(message);
}

enum status
rights_refusal(struct core *core, const struct child *child, const struct message *message)
{
	const struct volume *volume = core->volumes[child->volume];

	if (is_beyond(child, message)) {
		rights_tell(core, (uint32_t)child->link, (int32_t)volume->index, message_opcode_name(message->opcode));
		if (child->right == RIGHT_NONE || (child->right == RIGHT_READ && message->opcode == OP_RECOVER))
			return STATUS_ACCESS_DENIED; // so what was to be brought is given up, and kept for the user
		return STATUS_READ_ONLY;
	}
	if (volume->read_only && writes(message) && !(is_barrier(message) && (child->wrote || !volume->is_root)))
		return STATUS_READ_ONLY;
	return STATUS_NONE;
}

// ---- Lowering ----

static bool
has_excess(const struct child *child)
{
	return child->right == RIGHT_NONE ? child->dir.head != 0 : child->right == RIGHT_READ && child->dir.blocks_write > 0;
}

// Connecting anew does not give it more time.
static void
revoke_begin(struct core *core, struct child *child)
{
	core->revoking += !child->revoking;
	child->revoking = true;
	if (child->revoke_until == 0)
		child->revoke_until = moment_after_ms(core->now, core->config.hb_ttl_ms);
	core_wake(core, child->revoke_until);
	server_refuse_waiting(core, child, perm_allowed(child), child->right == RIGHT_NONE ? STATUS_ACCESS_DENIED : STATUS_READ_ONLY);
	core_trace(core, "child %s: what it has of %s beyond its right is taken back", child->name, core->volumes[child->volume]->name);
}

static void
revoke_stop(struct core *core, struct child *child)
{
	core->revoking -= child->revoking;
	child->revoking = false;
}

static void
revoke_over(struct core *core, struct child *child)
{
	revoke_stop(core, child);
	child->revoke_until = 0;
}

void
rights_set(struct core *core, struct child *child, enum right right)
{
	child->right = right;
	child->read_only = child->asked_read_only || right < RIGHT_WRITE;
	if (has_excess(child))
		revoke_begin(core, child);
	else
		revoke_over(core, child);
}

void
rights_granted_claim(struct core *core, struct child *child)
{
	if (child->link >= 0 && !child->revoking && has_excess(child))
		revoke_begin(core, child);
}

void
rights_link_down(struct core *core, struct child *child)
{
	revoke_stop(core, child);
}

// What was granted in this step may first be used (R9); the record of what is claimed says who gets it (F4).
static bool
waits(const struct core *core, const struct child *child, const struct dir_record *record)
{
	const struct entry *entry = table_entry(&core->table, record->entry);
	const struct work *work = table_work(&core->table, entry);

	return record->revoked || child->dir.granted_in == core->step ||
	       (work != NULL && (work->claim || work->claim_head != 0));
}

// Recall what is beyond the child's right, looking at a part of its blocks in each step.
static void
recall_excess(struct core *core, struct child *child)
{
	enum perm allowed = perm_allowed(child);
	bool late = false;

	for (uint64_t looks = 0; looks < directory_count(&child->dir) && child->dir.open_recalls < LIMIT_RUN_BLOCKS; looks++) {
		struct dir_record *record = pool_get(&core->directory.records, child->dir.tail);

		if (looks == LIMIT_RUN_BLOCKS) {
			core_wake(core, core->now);
			return;
		}
		directory_to_front(&core->directory, &child->dir, record);
		if (record->perm <= (uint8_t)allowed || record->recall_open)
			continue;
		if (waits(core, child, record))
			late = true;
		else
			recall_back(core, record, allowed);
	}
	if (late)
		core_wake(core, core->now + RETRY_US);
}

// Nothing that it has is beyond its right.
static void
revoke_end(struct core *core, struct child *child)
{
	uint32_t link = (uint32_t)child->link;

	revoke_over(core, child);
	core_trace(core, "child %s: nothing of %s is left beyond its right", child->name, core->volumes[child->volume]->name);
	if (child->right == RIGHT_NONE) {
		outbox_close_link(core, link, "its right to a volume was taken away");
		admission_end(core, child);
	} else if (!child->told_read_only) {
		outbox_close_link(core, link, "it may only read a volume from now on, and has to connect anew");
	}
}

static void
revoke_go_on(struct core *core, struct child *child)
{
	if (core->links[child->link]->closing)
		return;
	if (!has_excess(child)) {
		revoke_end(core, child);
	} else if (child->revoke_until <= core->now) {
		child->moved = true; // it has to say anew what it holds
		outbox_close_link(core, (uint32_t)child->link, "it has not given back within a lease what it has no right to any more");
	} else {
		recall_excess(core, child);
		core_wake(core, child->revoke_until);
	}
}

void
rights_pump(struct core *core)
{
	for (uint32_t i = 0; core->revoking > 0 && i < core->child_count; i++)
		if (core->children[i]->in_use && core->children[i]->revoking)
			revoke_go_on(core, core->children[i]);
}

// ---- Changes ----

static void
child_changed(struct core *core, struct child *child, enum right right)
{
	enum right before = child->right;

	if (right == before)
		return;
	rights_set(core, child, right);
	if (right > before && !child->asked_read_only)
		outbox_close_link(core, (uint32_t)child->link, "it has another right to a volume from now on, and has to connect anew");
	else if (right < before && !child->revoking)
		revoke_end(core, child);
}

void
rights_volume_changed(struct core *core, const struct volume *volume)
{
	for (uint32_t i = 0; i < core->child_count; i++) {
		const struct child *child = core->children[i];

		if (child->in_use && child->volume == volume->index && child->link >= 0 && child->told_read_only &&
		    !child->read_only && !volume->read_only)
			outbox_close_link(core, (uint32_t)child->link, "a volume can be written from now on, and it has to connect anew");
	}
}

void
rights_changed(struct core *core)
{
	for (uint32_t i = 0; i < core->child_count; i++) {
		struct child *child = core->children[i];
		const char *name;

		if (!child->in_use || child->link < 0 || core->links[child->link]->closing)
			continue;
		name = core->volumes[child->volume]->name;
		child_changed(core, child, rights_of_link(core, (uint32_t)child->link, name, strlen(name)));
	}
}

// ---- Ours ----

// Those below connect anew, and are told; what they still have is good until its lease ends.
void
rights_denied(struct core *core, struct volume *volume)
{
	if (volume->is_root || volume->connected || volume->denied)
		return;
	core_trace(core, "volume %s: nobody above gives this node a right to it", volume->name);
	volume->denied = volume->announced; // else it is asked for anew whenever somebody wants it
	local_expire(core);
	for (uint32_t i = 0; i < core->child_count; i++) {
		const struct child *child = core->children[i];

		if (child->in_use && child->volume == volume->index && child->link >= 0)
			outbox_close_link(core, (uint32_t)child->link, "this node has no right to a volume any more");
	}
	admission_answer(core, volume, STATUS_ACCESS_DENIED, 0);
}
