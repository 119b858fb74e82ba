// SPDX-License-Identifier: MIT
// A session is a child's relation to one volume of its parent. It has a number, by which it goes on over a new link when the
// old one broke: as long as the parent has not ended it (lease over), everything held under it stands (RESUMED). A
// proxy that does not know a volume asks its own parent and answers the child when it knows.
//
// Leases (T1-T4, F9): the child counts HB_TTL from when it sent the request, the parent from when it sent the answer plus a
// margin. Twenty-four heartbeats fit into one lease, so the lease shrinks by at most a twenty-fourth at each hop. A
// lease that has ended is not renewed by a late answer: the link is closed and the session taken up anew.
#include "core/session.h"
#include "core/check.h"
#include "core/client.h"
#include "core/dirty.h"
#include "core/outbox.h"
#include "core/server.h"

#include <stdlib.h>
#include <string.h>

enum { CONNECT_RETRY_US = 1000 * 1000, HEARTBEAT_MIN_US = 20 * 1000 };

static void
close_link(struct core *core, uint32_t link, const char *why)
{
	struct action *action;

	if (core->links[link]->closing)
		return;
	core->links[link]->closing = true;
	action = actions_add(core->actions, ACTION_CLOSE);
	action->link = link;
	action->text = why;
}

// ---- volumes ----

struct volume *
session_volume_find(const struct core *core, struct blob name)
{
	for (uint32_t i = 0; i < core->volume_count; i++)
		if (strlen(core->volumes[i]->name) == name.size && memcmp(core->volumes[i]->name, name.bytes, name.size) == 0)
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
	volume->id = (uint32_t)((core->config.node_id ^ (core->config.node_id >> 32)) & 0x3fffffff) + volume->index;
	core->volumes[core->volume_count++] = volume;
	return volume;
}

// ---- towards the parent ----

static void
send_connect(struct core *core, struct volume *volume)
{
	struct message *message;
	const struct pending_connect *pending = core->pending_connects;

	if (core->parent.link < 0 || core->links[core->parent.link]->closing)
		return;
	while (pending != NULL && pending->volume != volume->index)
		pending = pending->next;
	message = outbox_message(core, (uint32_t)core->parent.link, OP_CONNECT, 0);
	message->present = PRESENT(VOLUME_NAME) | PRESENT(CONNECT_FLAGS) | PRESENT(PROTOCOL) | PRESENT(NODE_ID) |
		PRESENT(NODE_NAME) | PRESENT(SESSION) | PRESENT(PATH);
	message->volume_name = (struct blob){(const uint8_t *)volume->name, strlen(volume->name)};
	message->node_name = (struct blob){(const uint8_t *)core->name, strlen(core->name)};
	message->connect_flags = core->config.write_mode == WRITE_SYNC ? CONNECT_SYNC_WRITE : CONNECT_ASYNC_WRITE;
	if (volume->configured_read_only)
		message->connect_flags |= CONNECT_READ_ONLY;
	message->protocol = PROTOCOL_VERSION;
	message->node_id = core->config.node_id;
	message->session = volume->session;
	if (pending != NULL) {
		memcpy(message->path, pending->path, pending->path_count * sizeof(uint64_t));
		message->path_count = pending->path_count;
	}
	message->path[message->path_count++] = core->config.node_id;
	volume->connect_xid = message->xid;
	volume->session_asked = core->now;
	volume->retry_at = MOMENT_NEVER;
	if (volume->state != VOLUME_READY)
		volume->state = VOLUME_CONNECTING;
}

static void answer_pending(struct core *core, struct volume *volume, enum status status);

static bool
connect_answer_valid(const struct volume *volume, const struct message *message)
{
	uint64_t needed = PRESENT(VOLUME_ID) | PRESENT(VOLUME_SIZE) | PRESENT(BLOCK_SIZE) | PRESENT(HB_TTL) | PRESENT(SESSION);

	if ((message->present & needed) != needed || message->volume_size == 0 || message->session == 0)
		return false;
	if (message->volume_size % message->block_size != 0 || message->volume_size / message->block_size > UINT64_C(1) << BLOCK_KEY_BITS)
		return false;
	return !volume->announced || (volume->size == message->volume_size && volume->block_size == message->block_size);
}

static void
volume_ready(struct core *core, struct volume *volume, const struct message *message)
{
	volume->size = message->volume_size;
	volume->block_size = message->block_size;
	volume->blocks = volume->size / volume->block_size;
	volume->pool = core_pool(core, volume->block_size);
	volume->read_only = volume->configured_read_only || (message->connect_flags & CONNECT_READ_ONLY);
	volume->state = VOLUME_READY;
	if (!volume->announced) {
		volume->announced = true;
		actions_add(core->actions, ACTION_VOLUME_READY)->volume = volume->index;
	}
}

static void
connect_answered(struct core *core, struct volume *volume, const struct message *message)
{
	uint32_t link = (uint32_t)core->parent.link;

	volume->connect_xid = 0;
	if (!connect_answer_valid(volume, message)) {
		close_link(core, link, "the answer to CONNECT lacks something, or the volume has another size than before");
		return;
	}
	for (uint32_t i = 0; i < message->path_count; i++)
		if (message->path[i] == core->config.node_id) {
			close_link(core, link, "the parents form a loop");
			return;
		}
	memcpy(core->path, message->path, message->path_count * sizeof(uint64_t));
	core->path_count = message->path_count;
	volume->parent_id = message->volume_id;
	volume->session = message->session;
	volume->parent_is_root = (message->connect_flags & CONNECT_IS_ROOT) != 0;
	volume->lease_end = moment_after_ms(volume->session_asked, message->hb_ttl_ms);
	core->parent.lease_ms = message->hb_ttl_ms;
	if ((message->present & PRESENT(CREDITS)) && message->credits > 0)
		core->parent.credits = message->credits < LIMIT_CREDITS ? message->credits : LIMIT_CREDITS;
	if (message->epoch > volume->epoch)
		volume->epoch = message->epoch;
	volume->connected = true;
	core_trace(core, "volume %s: connected, %s", volume->name, message->connect_flags & CONNECT_RESUMED ? "session resumed" : "new session");
	volume_ready(core, volume, message);
	client_connected(core, volume, (message->connect_flags & CONNECT_RESUMED) != 0);
	answer_pending(core, volume, STATUS_NONE);
	core->parent.heartbeat_at = core->now;
	core_wake(core, core->now);
}

static void
connect_failed(struct core *core, struct volume *volume, const struct message *message)
{
	volume->connect_xid = 0;
	volume->retry_at = core->now + CONNECT_RETRY_US;
	core_wake(core, volume->retry_at);
	core_trace(core, "volume %s: the parent refuses: %s", volume->name, message_status_text(message->status));
	if (message->status == STATUS_UNAVAILABLE || message->status == STATUS_IN_RECOVERY)
		return;
	if (!volume->announced) {
		struct action *action = actions_add(core->actions, ACTION_VOLUME_FAILED);

		volume->state = VOLUME_FAILED;
		action->volume = volume->index;
		action->error = message->status == STATUS_NO_SUCH_VOLUME ? ERR_NO_VOLUME
			: message->status == STATUS_LOOP_DETECTED	 ? ERR_LOOP
									 : ERR_REFUSED;
		action->text = message_status_text(message->status);
	}
	answer_pending(core, volume, message->status);
}

static void
heartbeat_answered(struct core *core, const struct message *message)
{
	core->parent.heartbeat_xid = 0;
	core->parent.lease_ms = message->hb_ttl_ms;
	if (core->parent.heartbeat_sent > core->parent.answered)
		core->parent.answered = core->parent.heartbeat_sent;
	for (uint32_t i = 0; i < core->volume_count; i++) {
		struct volume *volume = core->volumes[i];
		moment_us end = moment_after_ms(core->parent.heartbeat_sent, message->hb_ttl_ms);

		if (volume->is_root || !volume->connected)
			continue;
		if (volume->lease_end <= core->now) {
			close_link(core, (uint32_t)core->parent.link, "the lease ended before it was renewed");
			return;
		}
		if (end > volume->lease_end)
			volume->lease_end = end;
	}
	core_wake(core, core->parent.heartbeat_at); // long past when the answer took longer than the interval
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
send_heartbeat(struct core *core)
{
	struct message *message = outbox_message(core, (uint32_t)core->parent.link, OP_HEARTBEAT, 0);
	moment_us interval = (moment_us)core->parent.lease_ms * 1000 / HEARTBEATS;

	core->parent.heartbeat_xid = message->xid;
	core->parent.heartbeat_sent = core->now;
	core->parent.heartbeat_at = core->now + (interval > HEARTBEAT_MIN_US ? interval : HEARTBEAT_MIN_US);
}

static void
parent_timer(struct core *core)
{
	bool any = false;

	if (core->parent.link < 0 || core->links[core->parent.link]->closing)
		return;
	for (uint32_t i = 0; i < core->volume_count; i++) {
		struct volume *volume = core->volumes[i];

		if (volume->is_root)
			continue;
		if (volume->retry_at <= core->now)
			send_connect(core, volume);
		core_wake(core, volume->retry_at);
		if (!volume->connected)
			continue;
		any = true;
		if (volume->lease_end <= core->now) {
			close_link(core, (uint32_t)core->parent.link, "no answer to heartbeats before the lease ended");
			return;
		}
		core_wake(core, volume->lease_end);
	}
	if (!any)
		return;
	if (core->parent.heartbeat_at <= core->now && core->parent.heartbeat_xid == 0)
		send_heartbeat(core);
	if (core->parent.heartbeat_xid == 0)
		core_wake(core, core->parent.heartbeat_at);
	else if (core->parent.heartbeat_at > core->now)
		core_wake(core, core->parent.heartbeat_at);
}

bool
session_leave(struct core *core)
{
	bool left = true;

	for (uint32_t i = 0; i < core->volume_count; i++) {
		struct volume *volume = core->volumes[i];
		struct message *message;

		if (volume->is_root || !volume->connected || core->parent.link < 0 || core->links[core->parent.link]->closing)
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

// ---- towards the children ----

static bool
name_valid(struct blob name)
{
	if (name.size == 0 || name.size > LIMIT_NAME_SIZE || name.bytes[0] == '.' || name.bytes[0] == '-')
		return false;
	for (size_t i = 0; i < name.size; i++) {
		uint8_t c = name.bytes[i];

		if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && c != '.' && c != '_' && c != '-')
			return false;
	}
	return true;
}

static struct child *
child_new(struct core *core)
{
	struct child *child;

	for (uint32_t i = 0; i < core->child_count; i++)
		if (!core->children[i]->in_use) {
			child = core->children[i];
			*child = (struct child){.index = i, .generation = child->generation, .link = -1};
			return child;
		}
	if (core->child_count == LIMIT_CHILDREN)
		return NULL;
	if (core->child_count == core->child_capacity) {
		core->child_capacity = core->child_capacity ? core->child_capacity * 2 : 8;
		core->children = realloc(core->children, core->child_capacity * sizeof(*core->children));
		CHECK(core->children != NULL);
	}
	child = calloc(1, sizeof(*child));
	CHECK(child != NULL);
	*child = (struct child){.index = core->child_count, .link = -1};
	core->children[core->child_count++] = child;
	return child;
}

// The session that ${pending} wants to go on with; sessions of the same node that it does not want any more end.
static struct child *
child_resume(struct core *core, const struct pending_connect *pending)
{
	struct child *found = NULL;

	for (uint32_t i = 0; i < core->child_count; i++) {
		struct child *child = core->children[i];

		if (!child->in_use || child->volume != pending->volume || child->node_id != pending->node_id)
			continue;
		if (pending->session != 0 && child->session == pending->session) {
			found = child;
			continue;
		}
		if (child->link < 0)
			server_child_free(core, i);
	}
	return found;
}

static void
child_detach(struct core *core, struct child *child)
{
	struct link *link = core->links[child->link];

	link->child_of[child->volume] = -1;
	server_link_down(core, child->index);
}

static void
send_connect_answer(struct core *core, const struct pending_connect *pending, struct child *child, bool resumed)
{
	struct volume *volume = core->volumes[child->volume];
	struct message *message = outbox_message(core, pending->link, OP_OK_REPLY, pending->xid);
	uint32_t hb_ttl = server_hb_ttl_ms(core, volume);

	message->present = PRESENT(VOLUME_NAME) | PRESENT(VOLUME_ID) | PRESENT(CONNECT_FLAGS) | PRESENT(HB_TTL) | PRESENT(SESSION) |
		PRESENT(CREDITS) | PRESENT(VOLUME_SIZE) | PRESENT(BLOCK_SIZE) | PRESENT(EPOCH) | PRESENT(NODE_ID) |
		PRESENT(NODE_NAME) | PRESENT(PATH) | PRESENT(PROTOCOL);
	message->volume_name = (struct blob){(const uint8_t *)volume->name, strlen(volume->name)};
	message->volume_id = volume->id;
	message->connect_flags = volume->is_root ? CONNECT_IS_ROOT : CONNECT_IS_PROXY;
	message->connect_flags |= child->sync ? CONNECT_SYNC_WRITE : CONNECT_ASYNC_WRITE;
	message->connect_flags |= resumed ? CONNECT_RESUMED : 0;
	message->connect_flags |= child->read_only || volume->read_only ? CONNECT_READ_ONLY : 0;
	message->hb_ttl_ms = hb_ttl;
	message->session = child->session;
	message->credits = core->config.credits;
	message->volume_size = volume->size;
	message->block_size = volume->block_size;
	message->epoch = volume->epoch;
	message->node_id = core->config.node_id;
	message->node_name = (struct blob){(const uint8_t *)core->name, strlen(core->name)};
	message->protocol = PROTOCOL_VERSION;
	message->path[message->path_count++] = core->config.node_id;
	for (uint32_t i = 0; !volume->is_root && i < core->path_count && message->path_count < LIMIT_HOPS; i++)
		message->path[message->path_count++] = core->path[i];
	server_lease_given(core, child, hb_ttl);
}

static void
accept_connect(struct core *core, const struct pending_connect *pending)
{
	struct link *link = core->links[pending->link];
	int32_t here = link->child_of[pending->volume]; // CONNECT again on the same link: the same session
	struct child *child = here >= 0 ? core->children[here] : child_resume(core, pending);
	bool resumed = child != NULL;

	if (child == NULL) {
		child = child_new(core);
		if (child == NULL) {
			outbox_error(core, pending->link, pending->xid, STATUS_TOO_MANY, 0, 0);
			return;
		}
		child->in_use = true;
		child->session = ++core->session_next;
		child->volume = pending->volume;
		child->node_id = pending->node_id;
	} else if (child->link >= 0 && (uint32_t)child->link != pending->link) {
		uint32_t old = (uint32_t)child->link;

		child_detach(core, child); // it came back before we noticed that it was gone (H27)
		close_link(core, old, "the child has connected anew");
	}
	child->link = (int32_t)pending->link;
	child->read_only = (pending->connect_flags & CONNECT_READ_ONLY) != 0;
	child->sync = (pending->connect_flags & CONNECT_SYNC_WRITE) != 0;
	memcpy(child->name, pending->name, sizeof(child->name));
	memcpy(link->name, pending->name, sizeof(link->name));
	link->child_of[pending->volume] = (int32_t)child->index;
	core_trace(core, "child %s: connected to %s, %s", child->name, core->volumes[child->volume]->name,
		resumed ? "session resumed" : "new session");
	send_connect_answer(core, pending, child, resumed);
	if (resumed)
		server_resumed(core, child->index);
}

static bool
volume_serves(const struct core *core, const struct volume *volume)
{
	return volume->is_root || (volume->announced && volume->connected && volume->lease_end > core->now);
}

static void
answer_pending(struct core *core, struct volume *volume, enum status status)
{
	struct pending_connect **link = &core->pending_connects;

	while (*link != NULL) {
		struct pending_connect *pending = *link;

		if (pending->volume != volume->index) {
			link = &pending->next;
			continue;
		}
		*link = pending->next;
		core->pending_connect_count--;
		if (status == STATUS_NONE)
			accept_connect(core, pending);
		else
			outbox_error(core, pending->link, pending->xid, status, 0, 0);
		free(pending);
	}
}

// Forget the CONNECTs of a link that wait, about ${volume} (-1: all).
static void
pending_forget(struct core *core, uint32_t link_id, int32_t volume)
{
	struct pending_connect **link = &core->pending_connects;

	while (*link != NULL) {
		struct pending_connect *pending = *link;

		if (pending->link != link_id || (volume >= 0 && pending->volume != (uint32_t)volume)) {
			link = &pending->next;
			continue;
		}
		*link = pending->next;
		core->pending_connect_count--;
		free(pending);
	}
}

static enum status
connect_refusal(const struct core *core, const struct message *message, uint16_t *ret_param, uint64_t *ret_value)
{
	*ret_param = 0;
	*ret_value = 0;
	if (!(message->present & PRESENT(PROTOCOL)) || message->protocol != PROTOCOL_VERSION) {
		*ret_param = PARAM_PROTOCOL;
		*ret_value = message->protocol;
		return message->present & PRESENT(PROTOCOL) ? STATUS_BAD_VERSION : STATUS_MISSING_PARAM;
	}
	*ret_param = PARAM_VOLUME_NAME;
	if (!(message->present & PRESENT(VOLUME_NAME)))
		return STATUS_MISSING_PARAM;
	if (!name_valid(message->volume_name))
		return STATUS_BAD_PARAM_VALUE;
	*ret_param = PARAM_NODE_ID;
	if (!(message->present & PRESENT(NODE_ID)) || message->node_id == 0)
		return STATUS_MISSING_PARAM;
	*ret_param = 0;
	for (uint32_t i = 0; i < message->path_count; i++)
		if (message->path[i] == core->config.node_id)
			return STATUS_LOOP_DETECTED;
	if (message->path_count >= LIMIT_HOPS)
		return STATUS_LOOP_DETECTED;
	if (core->stop != STOP_NO)
		return STATUS_UNAVAILABLE;
	if (core->pending_connect_count >= LIMIT_CHILDREN)
		return STATUS_TOO_MANY;
	return STATUS_NONE;
}

// The volume a child names; one that is not known here is asked for at the parent.
static struct volume *
connect_volume(struct core *core, const struct message *message)
{
	struct volume *volume = session_volume_find(core, message->volume_name);

	if (volume != NULL || !core->config.has_parent)
		return volume;
	volume = session_volume_new(core, (const char *)message->volume_name.bytes, message->volume_name.size);
	if (volume != NULL)
		volume->dynamic = true;
	return volume;
}

static void
child_connect(struct core *core, uint32_t link, const struct message *message)
{
	struct pending_connect *pending;
	struct volume *volume;
	uint16_t param;
	uint64_t value;
	enum status status = connect_refusal(core, message, &param, &value);

	if (status != STATUS_NONE) {
		outbox_error(core, link, message->xid, status, param, value);
		return;
	}
	volume = connect_volume(core, message);
	if (volume == NULL) {
		outbox_error(core, link, message->xid, STATUS_NO_SUCH_VOLUME, PARAM_VOLUME_NAME, 0);
		return;
	}
	pending_forget(core, link, (int32_t)volume->index);
	pending = calloc(1, sizeof(*pending));
	CHECK(pending != NULL);
	*pending = (struct pending_connect){.link = link, .xid = message->xid, .volume = volume->index, .node_id = message->node_id,
		.session = message->session, .connect_flags = message->connect_flags, .path_count = message->path_count};
	memcpy(pending->path, message->path, message->path_count * sizeof(uint64_t));
	memcpy(pending->name, message->node_name.bytes != NULL ? (const char *)message->node_name.bytes : "", message->node_name.size);
	if (volume_serves(core, volume)) {
		accept_connect(core, pending);
		free(pending);
		return;
	}
	pending->next = core->pending_connects;
	core->pending_connects = pending;
	core->pending_connect_count++;
	if (!volume->connected)
		send_connect(core, volume); // with the path of those below, so that a loop shows (F8)
}

static void
child_disconnect(struct core *core, uint32_t link, const struct message *message)
{
	for (uint32_t i = 0; i < core->volume_count; i++) {
		struct volume *volume = core->volumes[i];
		int32_t index = core->links[link]->child_of[i];
		struct message *answer;

		if (index < 0 || volume->id != message->volume_id)
			continue;
		child_detach(core, core->children[index]);
		server_child_free(core, (uint32_t)index);
		answer = outbox_message(core, link, OP_OK_REPLY, message->xid);
		answer->present = PRESENT(VOLUME_NAME) | PRESENT(VOLUME_ID) | PRESENT(PARENT_ID) | PRESENT(CONNECT_FLAGS);
		answer->volume_name = (struct blob){(const uint8_t *)volume->name, strlen(volume->name)};
		answer->volume_id = volume->id;
		answer->parent_id = core->path_count > 0 && !volume->is_root ? core->path[0] : 0;
		answer->connect_flags = volume->is_root ? CONNECT_IS_ROOT : CONNECT_IS_PROXY;
		return;
	}
	outbox_error(core, link, message->xid, STATUS_NO_SUCH_VOLUME, PARAM_VOLUME_ID, message->volume_id);
}

static void
child_heartbeat(struct core *core, uint32_t link, const struct message *message)
{
	uint32_t hb_ttl = core->config.hb_ttl_ms;
	struct message *answer = outbox_message(core, link, OP_OK_REPLY, message->xid);

	for (uint32_t i = 0; i < core->volume_count; i++)
		if (core->links[link]->child_of[i] >= 0 && server_hb_ttl_ms(core, core->volumes[i]) < hb_ttl)
			hb_ttl = server_hb_ttl_ms(core, core->volumes[i]);
	for (uint32_t i = 0; i < core->volume_count; i++)
		if (core->links[link]->child_of[i] >= 0)
			server_lease_given(core, core->children[core->links[link]->child_of[i]], hb_ttl);
	answer->present = PRESENT(HB_TTL);
	answer->hb_ttl_ms = hb_ttl;
}

void
session_request(struct core *core, uint32_t link, const struct message *message)
{
	if (message->opcode == OP_CONNECT)
		child_connect(core, link, message);
	else if (message->opcode == OP_DISCONNECT)
		child_disconnect(core, link, message);
	else
		child_heartbeat(core, link, message);
}

static void
children_timer(struct core *core)
{
	for (uint32_t i = 0; i < core->child_count; i++) {
		struct child *child = core->children[i];

		if (!child->in_use)
			continue;
		if (child->lease_end > core->now) {
			core_wake(core, child->lease_end);
			continue;
		}
		if (child->link >= 0)
			close_link(core, (uint32_t)child->link, "no heartbeat before the lease ended");
		else
			server_child_free(core, i);
	}
}

void
session_timer(struct core *core)
{
	parent_timer(core);
	children_timer(core);
}

// ---- links ----

void
session_link_up(struct core *core, uint32_t id, enum link_role role)
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
	link->role = role;
	for (int i = 0; i < LIMIT_VOLUMES; i++)
		link->child_of[i] = -1;
	if (role != LINK_PARENT)
		return;
	CHECK(core->parent.link < 0);
	core->parent.link = (int32_t)id;
	core->parent.heartbeat_xid = 0;
	core->parent.grant_seen = 0;
	core->parent.answered = 0;
	for (uint32_t i = 0; i < core->volume_count; i++)
		if (!core->volumes[i]->is_root)
			send_connect(core, core->volumes[i]);
}

void
session_link_down(struct core *core, uint32_t id)
{
	struct link *link = core->links[id];

	CHECK(link != NULL && link->in_use);
	if (link->role == LINK_PARENT) {
		client_link_down(core);
		for (uint32_t i = 0; i < core->volume_count; i++) {
			struct volume *volume = core->volumes[i];

			if (volume->is_root)
				continue;
			volume->connected = false;
			volume->connect_xid = 0;
			volume->retry_at = MOMENT_NEVER;
			barriers_link_down(core, volume);
		}
		core->parent.link = -1;
	}
	for (uint32_t i = 0; i < core->volume_count; i++)
		if (link->child_of[i] >= 0)
			server_link_down(core, (uint32_t)link->child_of[i]);
	pending_forget(core, id, -1);
	key_list_touch(core, &link->waiting, WAIT_ROOM);
	free(link->waiting.keys);
	free(link);
	core->links[id] = NULL;
	core_wake(core, core->now);
}
