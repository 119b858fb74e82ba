// SPDX-License-Identifier: MIT
// A session is a child's relation to one volume of its parent. It has a number, by which it goes on over a new link
// when the old one broke: as long as the parent has not ended it (lease over), everything held under it stands
// (RESUMED). A proxy that does not know a volume asks its own parent and answers the child when it knows.
//
// Leases (T1-T4, F9): the child counts HB_TTL from when it sent the request, the parent from when it sent the answer
// plus a margin. Twenty-four heartbeats fit into one lease, so the lease shrinks by at most a twenty-fourth at each
// hop. A lease that has ended is not renewed by a late answer: the link is closed and the session taken up anew.
#include "core/session.h"
#include "core/rights.h"
#include "core/sealed.h"
#include "core/admission.h"
#include "core/check.h"
#include "core/claimant.h"
#include "core/client.h"
#include "core/dirty.h"
#include "core/eviction.h"
#include "core/heartbeat.h"
#include "core/outbox.h"
#include "core/recovery.h"
#include "core/journaled.h"
#include "core/server.h"
#include "core/unstable.h"
#include "core/way_up.h"
#include "core/writeback.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	CONNECT_RETRY_US = 1000 * 1000,
};

// ---- volumes ----

struct volume *
session_volume_find(const struct core *core, struct blob name)
{
	for (uint32_t i = 0; i < core->volume_count; i++)
		if (strlen(core->volumes[i]->name) == name.size &&
		    memcmp(core->volumes[i]->name, name.bytes, name.size) == 0)
			return core->volumes[i];
	return NULL;
}

struct volume *
session_volume_new(struct core *core, const char *name, size_t name_size)
{
	struct volume *volume;

	if (core->volume_count == LIMIT_VOLUMES)
		return NULL;
	volume = calloc(1, sizeof(*volume));
	CHECK(volume != NULL && name_size <= LIMIT_NAME_SIZE);
	memcpy(volume->name, name, name_size);
	volume->index = core->volume_count;
	volume->retry_at = MOMENT_NEVER;
	volume->node_id = volume->told_name = core->config.node_id;
	volume->id = (uint32_t)((core->config.node_id ^ (core->config.node_id >> 32)) & 0x3fffffff) + volume->index;
	core->volumes[core->volume_count++] = volume;
	return volume;
}

// ---- towards the parent ----

void
session_connect(struct core *core, struct volume *volume)
{
	struct message *message;
	const struct pending_connect *pending = core->pending_connects;

	if (core->parent.link < 0 || core->links[core->parent.link]->closing || volume->left)
		return;
	while (pending != NULL && pending->volume != volume->index)
		pending = pending->next;
	message = outbox_message(core, (uint32_t)core->parent.link, OP_CONNECT, 0);
	message->present = PRESENT(VOLUME_NAME) | PRESENT(CONNECT_FLAGS) | PRESENT(PROTOCOL) | PRESENT(NODE_ID) |
			   PRESENT(NODE_NAME) | PRESENT(SESSION) | PRESENT(PATH) | PRESENT(LINK_NUMBER);
	message->volume_name = (struct blob){(const uint8_t *)volume->name, strlen(volume->name)};
	message->node_name = (struct blob){(const uint8_t *)core->name, strlen(core->name)};
	message->connect_flags = core->config.write_mode == WRITE_SYNC        ? CONNECT_SYNC_WRITE
				 : core->config.write_mode == WRITE_SEMI_SYNC ? CONNECT_SEMI_SYNC_WRITE
									      : CONNECT_ASYNC_WRITE;
	if (volume->configured_read_only)
		message->connect_flags |= CONNECT_READ_ONLY;
	if (volume->keeper != 0)
		message->connect_flags |= CONNECT_KNOWN;
	message->protocol = PROTOCOL_VERSION;
	message->node_id = volume->node_id;
	message->link_number = core->parent.number;
	// A parent that has left in order has ended nothing of what we had before, from others, and have not said to be given back.
	message->session = volume->session == 0 && volume->claims_end_due ? SESSION_OVER : volume->session;
	if (pending != NULL) {
		memcpy(message->path, pending->path, pending->path_count * sizeof(uint64_t));
		message->path_count = pending->path_count;
	}
	message->path[message->path_count++] = volume->node_id;
	sealed_say(volume, message);
	volume->connect_xid = message->xid;
	volume->session_asked = core->now;
	volume->retry_at = MOMENT_NEVER;
	if (volume->state != VOLUME_READY)
		volume->state = VOLUME_CONNECTING;
}

// ---- what comes from above ----

// Nothing is to be claimed any more: what is held is so under the epoch that the parent holds under.
static void
epoch_confirmed(struct core *core, struct volume *volume)
{
	if (volume->parent_epoch == 0 || volume->parent_epoch == volume->held_epoch)
		return;
	volume->held_before = volume->held_epoch;
	volume->held_epoch = volume->parent_epoch;
	volume->next_epoch = 0;
	client_epoch_confirmed(core, volume);
}

bool
core_needs_ancestor(const struct core *core)
{
	for (uint32_t i = 0; i < core->volume_count; i++)
		if (core->volumes[i]->keeper != 0 && volume_is_below(core->volumes[i], core->volumes[i]->keeper))
			return true;
	return false;
}

void
session_news(struct core *core, struct volume *volume, const struct message *message)
{
	for (uint32_t i = 0; i < message->path_count; i++)
		if (message->path[i] == volume->node_id) {
			outbox_close_link(core, (uint32_t)core->parent.link, "the parents form a loop");
			return;
		}
	way_up_follow_names(volume, message, true);
	way_up_learn(core, volume, message);
	volume->keeper_gone |= volume->keeper != 0 && !volume_is_below(volume, volume->keeper);
	if (message->present & PRESENT(EPOCH))
		volume->parent_epoch = message->connect_flags & CONNECT_RECOVERING ? 0 : message->epoch;
	volume_told_epoch(volume, message->epoch, true);
	journaled_author_changed(core, volume);
	if (volume->puts_until != 0)
		table_touch_works(&core->table, volume->index); // another root may be above
	if (volume->claims_end_due)
		return;
	epoch_confirmed(core, volume);
	way_up_tell(core, volume);
}

void
session_renamed(struct core *core, struct volume *volume)
{
	if (volume->connect_xid == 0 && volume->connected)
		session_connect(core, volume);
}

void
session_recovered(struct core *core, struct volume *volume)
{
	epoch_confirmed(core, volume);
	journaled_author_changed(core, volume);
	if (way_up_has_changed(volume))
		way_up_tell(core, volume);
	admission_answer(core, volume, STATUS_NONE, 0);
	table_touch_works(&core->table, volume->index); // evictions that waited
}

static bool
connect_answer_valid(const struct volume *volume, const struct message *message)
{
	uint64_t needed =
		PRESENT(VOLUME_ID) | PRESENT(VOLUME_SIZE) | PRESENT(BLOCK_SIZE) | PRESENT(HB_TTL) | PRESENT(SESSION);

	if ((message->present & needed) != needed || message->volume_size == 0 || message->session == 0)
		return false;
	if (message->volume_size % message->block_size != 0 ||
	    message->volume_size / message->block_size > UINT64_C(1) << BLOCK_KEY_BITS)
		return false;
	if (volume->block_size != 0 && volume->block_size != message->block_size) // also of what the journal had
		return false;
	return !volume->announced || volume->size == message->volume_size;
}

static void
volume_ready(struct core *core, struct volume *volume, const struct message *message)
{
	volume->size = message->volume_size;
	volume->block_size = message->block_size;
	volume->blocks = volume->size / volume->block_size;
	volume->pool = core_pool(core, volume->block_size);
	volume->read_only = volume->configured_read_only || (message->connect_flags & CONNECT_READ_ONLY);
	rights_volume_changed(core, volume);
	volume->state = VOLUME_READY;
	core->copies.ops->set_volume(core->copies.self, volume->index, volume->name, volume->pool);
	if (!volume->announced) {
		volume->announced = true;
		actions_add(core->actions, ACTION_VOLUME_READY)->volume = volume->index;
	}
}

// The parent has left in order: all that it has acknowledged is durable, to us and through us.
static void
all_is_durable(struct core *core, struct volume *volume)
{
	volume->unsynced = false;
	unstable_all_committed(core, volume);
	for (uint32_t i = 0; i < core->child_count; i++)
		if (core->children[i]->in_use && core->children[i]->volume == volume->index)
			core->children[i]->passed_on = 0;
}

// Our parent was the root that has left in order since, and we were away when it said so.
static bool
missed_farewell(const struct volume *volume, const struct message *message)
{
	return volume->session != 0 && volume->parent_is_root && (message->connect_flags & CONNECT_AFTER_LEAVE) != 0 &&
	       message->epoch == volume->epoch + 1;
}

// What we do not keep any more (R13) is with the parent that it was left to, which may still be ours, and with the node above
// it. Under a new session one of them has to bring it up again, and the other may be gone.
static void
look_for_keepers(struct core *core, struct volume *volume, bool resumed, bool known)
{
	bool above = volume_is_below(volume, volume->keeper);

	volume->keeper_gone |= !resumed || !above;
	if (resumed || above)
		return;
	if (known) {
		volume->keeper = volume->above[0];
		return;
	}
	writeback_lost(core, volume, LOST_LEFT_ABOVE);
	unstable_forget_keepers(volume);
}

static void
connect_answered(struct core *core, struct volume *volume, const struct message *message)
{
	uint32_t link = (uint32_t)core->parent.link;
	bool resumed, refresh = volume->connected, lapsed = volume->lease_end <= core->now;

	volume->connect_xid = 0;
	if (!connect_answer_valid(volume, message) || sealed_check(volume, message) != STATUS_NONE) {
		outbox_close_link(core, link, "the answer to CONNECT lacks something, or the volume has another size, or key");
		return;
	}
	for (uint32_t i = 0; i < message->path_count; i++)
		if (message->path[i] == volume->node_id) {
			outbox_close_link(core, link, "the parents form a loop");
			return;
		}
	resumed = (message->connect_flags & CONNECT_RESUMED) != 0 && message->session == volume->session;
	if (!resumed) {
		bool missed = missed_farewell(volume, message);

		volume->farewell_missed = missed && !lapsed;
		if (missed)
			all_is_durable(core, volume);
		recovery_remember(core, volume);
	}
	volume->elsewhere |= !resumed && volume->unsynced;
	way_up_follow_names(volume, message, resumed || (message->connect_flags & CONNECT_SAME_PROCESS) != 0);
	way_up_learn(core, volume, message);
	if (volume->keeper != 0)
		look_for_keepers(core, volume, resumed, (message->connect_flags & CONNECT_KNOWN) != 0);
	volume->name_before = 0; // CONNECT said the new one
	volume->parent_id = message->volume_id;
	volume->session = message->session;
	volume->parent_is_root = (message->connect_flags & CONNECT_IS_ROOT) != 0;
	volume->lease_end = moment_after_ms(volume->session_asked, sealed_lease_ms(message));
	if (volume->session_asked > core->parent.answered)
		core->parent.answered = volume->session_asked;
	core->parent.lease_ms = message->hb_ttl_ms;
	if ((message->present & PRESENT(CREDITS)) && message->credits > 0)
		core->parent.credits = message->credits < LIMIT_CREDITS ? message->credits : LIMIT_CREDITS;
	volume_told_epoch(volume, message->epoch, true);
	volume->parent_epoch = message->connect_flags & CONNECT_RECOVERING ? 0 : message->epoch;
	volume->connected = true;
	volume->denied = false;
	core_trace(core, "volume %s: connected, %s", volume->name, resumed ? "session resumed" : "new session");
	volume_ready(core, volume, message);
	journaled_author_changed(core, volume);
	if (!refresh)
		client_connected(core, volume, resumed, lapsed);
	eviction_resume(core, volume);
	if (!volume->claims_end_due)
		session_recovered(core, volume);
	core->parent.heartbeat_at = core->now;
	core_wake(core, core->now);
}

static void
connect_failed(struct core *core, struct volume *volume, const struct message *message)
{
	volume->connect_xid = 0;
	if (!volume->dynamic || volume->announced) {
		volume->retry_at = core->now + CONNECT_RETRY_US;
		core_wake(core, volume->retry_at);
	}
	core_trace(core, "volume %s: the parent refuses: %s", volume->name, message_status_text(message->status));
	if (message->status == STATUS_UNAVAILABLE || message->status == STATUS_IN_RECOVERY)
		return;
	if (!volume->announced || message->status == STATUS_ACCESS_DENIED) {
		struct action *action = actions_add(core->actions, ACTION_VOLUME_FAILED);

		if (!volume->announced)
			volume->state = VOLUME_FAILED;
		action->volume = volume->index;
		action->error = message->status == STATUS_NO_SUCH_VOLUME  ? ERR_NO_VOLUME
				: message->status == STATUS_LOOP_DETECTED ? ERR_LOOP
				: message->status == STATUS_ACCESS_DENIED ? ERR_DENIED
									  : ERR_REFUSED;
		action->text = sealed_refusal_text(message);
	}
	admission_answer(core, volume, message->status, sealed_refused_param(message));
}

// A volume is taken up again on a new link, as is what crossed the farewell on this one. But the parent may be about to leave the
// others, too: it says so before it answers another heartbeat.
static void
leave_link(struct core *core)
{
	for (uint32_t i = 0; i < core->volume_count; i++)
		if (core->volumes[i]->connected) {
			core->parent.heartbeat_at = core->now;
			core_wake(core, core->now);
			return;
		}
	outbox_close_link(core, (uint32_t)core->parent.link, "the parent has left");
}

void
session_parent_left(struct core *core, struct volume *volume)
{
	core_trace(core, "volume %s: the parent leaves", volume->name);
	if (volume->parent_is_root) // it has waited until all that it had given was back, with the bytes
		dirty_all_arrived(core, volume);
	all_is_durable(core, volume);
	volume->lease_end = volume->cut_off_at = core->now;
	if (volume->dirty_count > 0)
		recovery_remember(core, volume); // its answer crosses the farewell: under these names it is brought elsewhere
	volume->session = 0;
	volume->children_leave = true;
	volume->connected = false; // nothing is asked, or taken, on this link any more
	volume->connect_xid = 0;   // nor does a session begin there
	volume->left = true;
	leave_link(core);
}

// A child closes its link when it has heard of one volume, and another heartbeat has been answered (leave_link): it is told of all
// in one step, when no more of them can follow here.
void
session_pump(struct core *core, struct volume *volume)
{
	if (volume->confirms_anew && volume->connected && !volume->claims_end_due)
		way_up_tell(core, volume);
	if (!volume->children_leave || (core->parent.link >= 0 && !core->links[core->parent.link]->closing))
		return;
	volume->children_leave = false;
	if (volume->dirty_count == 0) // else something that a child has sent may still get lost here
		admission_leave(core, volume);
}

bool
session_reply(struct core *core, const struct message *message)
{
	if (message->xid == core->parent.heartbeat_xid && core->parent.heartbeat_xid != 0) {
		if (message->opcode == OP_OK_REPLY && (message->present & PRESENT(HB_TTL)))
			heartbeat_answered(core, message);
		return true;
	}
	for (uint32_t i = 0; i < core->volume_count; i++) {
		struct volume *volume = core->volumes[i];

		if (volume->is_root || volume->connect_xid != message->xid || volume->connect_xid == 0)
			continue;
		if (core->stop == STOP_LEAVE) {
			volume->connect_xid = 0;
			volume->connected = false;
		} else if (message->opcode == OP_OK_REPLY) {
			connect_answered(core, volume, message);
		} else {
			connect_failed(core, volume, message);
		}
		return true;
	}
	return false;
}

static void
parent_timer(struct core *core)
{
	bool any = false;

	if (core->stop == STOP_LEAVE || core->stop == STOP_DONE) // only the answer to DISCONNECT is awaited
		return;
	if (core->parent.link < 0 || core->links[core->parent.link]->closing)
		return;
	for (uint32_t i = 0; i < core->volume_count; i++) {
		struct volume *volume = core->volumes[i];

		if (volume->is_root)
			continue;
		if (volume->retry_at <= core->now)
			session_connect(core, volume);
		core_wake(core, volume->retry_at);
		if (!volume->connected)
			continue;
		any = true;
		if (volume->lease_end <= core->now) {
			outbox_close_link(core, (uint32_t)core->parent.link,
					  "no answer to heartbeats before the lease ended");
			return;
		}
		core_wake(core, volume->lease_end);
	}
	if (!any)
		return;
	heartbeat_timer(core);
}

bool
session_leave(struct core *core)
{
	bool left = true;

	for (uint32_t i = 0; i < core->volume_count; i++) {
		struct volume *volume = core->volumes[i];
		struct message *message;

		if (volume->is_root || !volume->connected || core->parent.link < 0 ||
		    core->links[core->parent.link]->closing)
			continue;
		left = false;
		if (volume->connect_xid != 0)
			continue; // DISCONNECT is under way
		message = outbox_message(core, (uint32_t)core->parent.link, OP_DISCONNECT, 0);
		message->present = PRESENT(VOLUME_ID);
		message->volume_id = volume->parent_id;
		volume->connect_xid = message->xid;
		volume->lease_end = core->now; // from now on the parent may give everything to others
	}
	return left;
}

void
session_timer(struct core *core)
{
	parent_timer(core);
}

// ---- links ----

void
session_link_up(struct core *core, uint32_t id, enum link_role role, uint32_t peer, const char *address)
{
	struct link *link;

	CHECK(id < LIMIT_LINKS);
	if (id >= core->link_capacity) {
		uint32_t capacity = id + 1 > core->link_capacity * 2 ? id + 1 : core->link_capacity * 2;

		core->links = realloc(core->links, capacity * sizeof(*core->links));
		CHECK(core->links != NULL);
		memset(core->links + core->link_capacity, 0, (capacity - core->link_capacity) * sizeof(*core->links));
		core->link_capacity = capacity;
	}
	if (core->links[id] == NULL)
		core->links[id] = calloc(1, sizeof(*link));
	link = core->links[id];
	CHECK(link != NULL && !link->in_use);
	link->in_use = true;
	link->silent_since = core->now;
	core_wake(core, moment_after_ms(core->now, admission_silent_ms(core)));
	link->role = role;
	link->peer = peer;
	for (int i = 0; i < LIMIT_VOLUMES; i++)
		link->child_of[i] = -1;
	if (role != LINK_PARENT)
		return;
	CHECK(core->parent.link < 0);
	core->parent.link = (int32_t)id;
	core->parent.heartbeat_xid = 0;
	core->parent.grant_seen = 0;
	core->parent.answered = 0;
	core->parent.ttl_ms = 0;
	core->parent.heard_at = core->now;
	core->parent.silent_beats = 0;
	core->parent.number = ++core->link_number;
	snprintf(core->parent.address, sizeof(core->parent.address), "%s", address != NULL ? address : "");
	for (uint32_t i = 0; i < core->volume_count; i++)
		if (!core->volumes[i]->is_root)
			session_connect(core, core->volumes[i]);
}

void
session_link_alive(struct core *core, uint32_t id)
{
	if (core->parent.link != (int32_t)id)
		return;
	core->parent.heard_at = core->now;
	core->parent.silent_beats = 0;
}

void
session_link_down(struct core *core, uint32_t id)
{
	struct link *link = core->links[id];

	CHECK(link != NULL && link->in_use);
	if (link->role == LINK_PARENT) {
		client_link_down(core);
		eviction_link_down(core);
		for (uint32_t i = 0; i < core->volume_count; i++) {
			struct volume *volume = core->volumes[i];

			if (volume->is_root)
				continue;
			if (volume->connected)
				volume->cut_off_at = core->now;
			volume->connected = volume->left = false;
			volume->connect_xid = 0;
			volume->retry_at = MOMENT_NEVER;
			barriers_link_down(core, volume);
		}
		core->parent.link = -1;
	}
	for (uint32_t i = 0; i < core->volume_count; i++)
		if (link->child_of[i] >= 0)
			server_link_down(core, (uint32_t)link->child_of[i]);
	admission_forget(core, id, -1);
	key_list_touch(core, &link->waiting, WAIT_ROOM);
	free(link->waiting.keys);
	free(link);
	core->links[id] = NULL;
	core_wake(core, core->now);
}
