// SPDX-License-Identifier: MIT
// Children come and go. A CONNECT for a volume that is not known here, or that this node itself cannot use at present,
// waits until the parent has answered. A session outlives its link until the lease that was given is over.
#include "core/admission.h"
#include "core/sealed.h"
#include "core/check.h"
#include "core/claimant.h"
#include "core/eviction.h"
#include "core/outbox.h"
#include "core/recovery.h"
#include "core/recall.h"
#include "core/rights.h"
#include "core/server.h"
#include "core/session.h"
#include "core/stored.h"
#include "core/way_up.h"

#include <stdlib.h>
#include <string.h>

enum { LATE_PART = 4 }; // of a lease: as long after its end an eviction waits for one who is late

// Nothing depends on whether it comes back.
static bool
child_is_nothing(const struct child *child)
{
	return child->link < 0 && child->dir.head == 0 && child->orphans == 0 && !child->wrote && child->acknowledged == 0 &&
	       !child->forwarded && !child->sync_failed && child->lost == LOST_NOTHING && !child->moved && !child->evicting;
}

// Who comes and goes, and comes again as somebody else, leaves a session behind each time, until its lease is over. When there
// is no place any more the one that has nothing and is away the longest makes room, of ${peer} or (0) of anybody.
static bool
make_room(struct core *core, uint32_t peer)
{
	const struct child *oldest = NULL;

	for (uint32_t i = 0; i < core->child_count; i++) {
		const struct child *child = core->children[i];

		if (child->in_use && child_is_nothing(child) && (peer == 0 || child->peer == peer) &&
		    (oldest == NULL || child->phase_since < oldest->phase_since))
			oldest = child;
	}
	if (oldest != NULL)
		server_child_free(core, oldest->index, true);
	return oldest != NULL;
}

// Of one peer that is known (not 0) so many that others have places, too.
static bool
has_room(struct core *core, uint32_t peer)
{
	uint32_t count = 0, of_peer = 0;

	for (uint32_t i = 0; i < core->child_count; i++) {
		count += core->children[i]->in_use;
		of_peer += core->children[i]->in_use && core->children[i]->peer == peer;
	}
	if (peer != 0 && of_peer >= LIMIT_CHILDREN_OF_PEER)
		return make_room(core, peer);
	return count < LIMIT_CHILDREN || make_room(core, 0);
}

static struct child *
child_new(struct core *core, uint32_t peer)
{
	struct child *child;

	if (!has_room(core, peer))
		return NULL;
	for (uint32_t i = 0; i < core->child_count; i++)
		if (!core->children[i]->in_use) {
			child = core->children[i];
			*child = (struct child){.index = i, .generation = child->generation, .link = -1};
			return child;
		}
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

// The session that ${pending} wants to go on with: one of the same peer, or anybody who guesses a number could take over what another
// has. One that was moved or evicted has lost something, and one that is not
// wanted any more is over; what a node with a new session still claims stands until it has said so (claim.c).
static struct child *
child_resume(struct core *core, const struct pending_connect *pending)
{
	struct child *found = NULL;

	for (uint32_t i = 0; i < core->child_count; i++) {
		struct child *child = core->children[i];

		if (!child->in_use || child->volume != pending->volume || child->moved || child->evicting ||
		    child->peer != core->links[pending->link]->peer)
			continue;
		if (pending->session != 0 && child->session == pending->session)
			found = child;
		else if (pending->session == 0 && child->node_id == pending->node_id && child->link < 0)
			server_child_free(core, i, false);
	}
	return found;
}

// The session before, which is not resumed. A child that has left bytes to us and to the node above us does not send them
// again: it has to learn if we lose them, or have lost them meanwhile. That a storage could not be synced is not mended by what any
// child sends again: others may have read what is there instead.
static void
inherit_session(const struct core *core, struct child *child, const struct pending_connect *pending)
{
	for (uint32_t i = 0; i < core->child_count && pending->session != 0; i++) {
		const struct child *old = core->children[i];

		if (old == child || !old->in_use || old->volume != pending->volume || old->session != pending->session ||
		    old->peer != child->peer)
			continue;
		child->returns = true;
		child->lost = old->sync_failed ? LOST_UNTOLD : LOST_NOTHING;
		child->sync_failed = old->sync_failed;
		child->lost_at = old->lost_at;
		if (!old->forwarded)
			continue;
		child->forwarded = true;
		child->acknowledged = old->acknowledged > old->synced;
		child->unsynced_since = old->unsynced_since;
		if (old->lost != LOST_NOTHING)
			child->lost = old->lost;
	}
}

// A child that has left bytes to nodes above it, and comes by another way, does not send them again: they may be here, from a
// child that it was below, and it has to learn if we lose them, or have done so.
static void
heed_left(const struct volume *volume, struct child *child, const struct pending_connect *pending)
{
	if (!(pending->connect_flags & CONNECT_KNOWN) || child->forwarded)
		return;
	child->acknowledged = 1;
	if (!volume->lost_once)
		return;
	child->lost = LOST_UNTOLD;
	child->lost_at = volume->lost_at;
}

static void
child_detach(struct core *core, struct child *child)
{
	struct link *link = core->links[child->link];

	link->child_of[child->volume] = -1;
	server_link_down(core, child->index);
	key_list_touch(core, &link->waiting, WAIT_ROOM); // others may wait for these blocks, but not for this link
}

static void
send_connect_answer(struct core *core, const struct pending_connect *pending, struct child *child, bool resumed)
{
	struct volume *volume = core->volumes[child->volume];
	struct message *message = outbox_message(core, pending->link, OP_OK_REPLY, pending->xid);
	uint32_t hb_ttl = server_hb_ttl_ms(core, volume);

	message->present = PRESENT(VOLUME_NAME) | PRESENT(VOLUME_ID) | PRESENT(CONNECT_FLAGS) | PRESENT(HB_TTL) |
			   PRESENT(SESSION) | PRESENT(CREDITS) | PRESENT(VOLUME_SIZE) | PRESENT(BLOCK_SIZE) |
			   PRESENT(EPOCH) | PRESENT(NODE_ID) | PRESENT(NODE_NAME) | PRESENT(PROTOCOL);
	message->volume_name = (struct blob){(const uint8_t *)volume->name, strlen(volume->name)};
	message->volume_id = volume->id;
	message->connect_flags = volume->is_root ? CONNECT_IS_ROOT : CONNECT_IS_PROXY;
	message->connect_flags |= child->sync ? CONNECT_SYNC_WRITE : CONNECT_ASYNC_WRITE;
	message->connect_flags |= resumed ? CONNECT_RESUMED : child->returns ? CONNECT_SAME_PROCESS : 0;
	message->connect_flags |= !resumed && child->forwarded ? CONNECT_KNOWN : 0;
	message->connect_flags |= volume->claims_end_due || !recovery_is_confirmed(volume) ? CONNECT_RECOVERING : 0;
	message->connect_flags |= child->read_only || volume->read_only ? CONNECT_READ_ONLY : 0;
	child->told_read_only = (message->connect_flags & CONNECT_READ_ONLY) != 0;
	message->connect_flags |= volume->is_root && stored_is_after_leave(volume) ? CONNECT_AFTER_LEAVE : 0;
	message->hb_ttl_ms = hb_ttl;
	message->session = child->session;
	message->credits = core->config.credits;
	message->volume_size = volume->size;
	message->block_size = volume->block_size;
	message->epoch = volume->epoch;
	message->node_id = volume->node_id;
	message->node_name = (struct blob){(const uint8_t *)core->name, strlen(core->name)};
	message->protocol = PROTOCOL_VERSION;
	sealed_say(volume, message);
	way_up_add(core, volume, message);
	server_lease_given(core, child, hb_ttl);
}

static void
accept_connect(struct core *core, const struct pending_connect *pending)
{
	struct link *link = core->links[pending->link];
	const char *name = core->volumes[pending->volume]->name;
	enum right right = rights_of_link(core, pending->link, name, strlen(name)); // it may have changed since it was asked for
	int32_t here = link->child_of[pending->volume]; // CONNECT again on the same link: the same session
	struct child *child = here >= 0 ? core->children[here] : child_resume(core, pending);
	bool resumed;

	if (child != NULL && child->link >= 0 && (uint32_t)child->link != pending->link) {
		uint32_t old = (uint32_t)child->link;

		child_detach(core, child); // it came back before we noticed that it was gone (H27)
		outbox_close_link(core, old, "the child has connected anew");
		child = child_resume(core, pending); // what it had been asked there may have been answered without it
	}
	resumed = child != NULL && pending->session == child->session;
	CHECK(right != RIGHT_NONE);
	if (child == NULL) {
		child = child_new(core, link->peer);
		if (child == NULL) {
			outbox_error(core, pending->link, pending->xid, STATUS_TOO_MANY, 0, 0);
			return;
		}
		child->in_use = true;
		child->session = ++core->session_next;
		child->volume = pending->volume;
		child->peer = link->peer;
		child->node_id = pending->node_id;
		child->settled = pending->session == 0; // else it has claims
		inherit_session(core, child, pending);
		heed_left(core->volumes[child->volume], child, pending);
	}
	if (child->link < 0)
		child->phase_since = core->now;
	child->link = (int32_t)pending->link;
	directory_set_absent(&core->directory, &child->dir, false);
	eviction_note_former(child, child->node_id != pending->node_id ? child->node_id : 0);
	child->node_id = pending->node_id;
	child->number = pending->number;
	child->lapsed = false;
	child->asked_read_only = (pending->connect_flags & CONNECT_READ_ONLY) != 0;
	rights_set(core, child, right);
	child->sync = (pending->connect_flags & CONNECT_SYNC_WRITE) != 0;
	memcpy(child->name, pending->name, sizeof(child->name));
	memcpy(link->name, pending->name, sizeof(link->name));
	link->child_of[pending->volume] = (int32_t)child->index;
	core_trace(core, "child %s: connected to %s, %s", child->name, core->volumes[child->volume]->name,
		   resumed ? "session resumed" : "new session");
	send_connect_answer(core, pending, child, resumed);
	if (resumed) {
		if (child->settled)
			claimant_forget_child(core, child); // what was claimed by way of it is claimed again
		server_touch_blocks(core, child); // recalls that were not answered are sent again
	}
}

static bool
volume_serves(const struct core *core, const struct volume *volume)
{
	return volume->is_root || (volume->announced && volume->connected && server_hb_ttl_ms(core, volume) > 0);
}

static bool
is_denied(struct core *core, uint32_t link, struct blob name)
{
	if (rights_of_link(core, link, (const char *)name.bytes, name.size) != RIGHT_NONE)
		return false;
	memcpy(core->links[link]->denied, name.bytes, name.size);
	core->links[link]->denied[name.size] = '\0';
	rights_tell(core, link, -1, core->links[link]->denied);
	return true;
}

void
admission_answer(struct core *core, struct volume *volume, enum status status, uint16_t param)
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
		if (is_denied(core, pending->link, (struct blob){(const uint8_t *)volume->name, strlen(volume->name)}))
			outbox_error(core, pending->link, pending->xid, STATUS_ACCESS_DENIED, 0, 0);
		else if (status == STATUS_NONE)
			accept_connect(core, pending);
		else
			outbox_error(core, pending->link, pending->xid, status, param, 0);
		free(pending);
	}
}

void
admission_forget(struct core *core, uint32_t link_id, int32_t volume)
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

// By which this node is known to the others that have the volume.
static uint64_t
name_of(const struct core *core, struct blob volume_name)
{
	const struct volume *volume = session_volume_find(core, volume_name);

	return volume != NULL ? volume->node_id : core->config.node_id;
}

static bool
has_session(const struct core *core, uint64_t session)
{
	for (uint32_t i = 0; i < core->child_count; i++)
		if (core->children[i]->in_use && core->children[i]->session == session)
			return true;
	return false;
}

// Those who have something may come back to give it up: who has a session, and who had it from a child that is away, and may be dead.
static bool
waits_for_somebody(const struct core *core)
{
	for (uint32_t i = 0; i < core->child_count; i++)
		if (core->children[i]->in_use && core->children[i]->link < 0)
			return true;
	return false;
}

static enum status
connect_refusal(struct core *core, uint32_t link, const struct message *message, uint16_t *ret_param, uint64_t *ret_value)
{
	enum status status;

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
	if (!blob_is_name(message->volume_name))
		return STATUS_BAD_PARAM_VALUE;
	*ret_param = 0;
	if (is_denied(core, link, message->volume_name))
		return STATUS_ACCESS_DENIED; // whether there is such a volume or not
	*ret_param = PARAM_NODE_NAME;
	if ((message->present & PRESENT(NODE_NAME)) && !blob_is_name(message->node_name))
		return STATUS_BAD_PARAM_VALUE;
	*ret_param = PARAM_NODE_ID;
	if (!(message->present & PRESENT(NODE_ID)) || message->node_id == 0)
		return STATUS_MISSING_PARAM;
	*ret_param = PARAM_KEY;
	status = sealed_check(session_volume_find(core, message->volume_name), message);
	if (status != STATUS_NONE)
		return status;
	*ret_param = 0;
	for (uint32_t i = 0; i < message->path_count; i++)
		if (message->path[i] == name_of(core, message->volume_name))
			return STATUS_LOOP_DETECTED;
	if (message->path_count >= LIMIT_HOPS)
		return STATUS_LOOP_DETECTED;
	if (core->stop != STOP_NO && !has_session(core, message->session) && (message->session == 0 || !waits_for_somebody(core)))
		return STATUS_UNAVAILABLE;
	if (core->pending_connect_count >= LIMIT_CHILDREN)
		return STATUS_TOO_MANY;
	return STATUS_NONE;
}

static bool
is_awaited(const struct core *core, const struct volume *volume)
{
	const struct pending_connect *pending = core->pending_connects;

	while (pending != NULL && pending->volume != volume->index)
		pending = pending->next;
	return pending != NULL;
}

// A name that some child has asked for, that the parent does not know, or could not be asked about as long as anybody waited.
static bool
makes_room(const struct core *core, const struct volume *volume)
{
	return volume->dynamic && !volume->announced &&
	       (volume->state == VOLUME_FAILED || (volume->connect_xid == 0 && !is_awaited(core, volume)));
}

// The volume a child names; one that is not known here is asked for at the parent.
static struct volume *
connect_volume(struct core *core, const struct message *message)
{
	struct volume *volume = session_volume_find(core, message->volume_name);

	if (volume != NULL || !core->config.has_parent)
		return volume;
	volume = session_volume_new(core, (const char *)message->volume_name.bytes, message->volume_name.size);
	for (uint32_t i = 0; volume == NULL && i < core->volume_count; i++) {
		struct volume *old = core->volumes[i];

		if (!makes_room(core, old))
			continue;
		volume = old;
		memset(volume->name, 0, sizeof(volume->name));
		memcpy(volume->name, message->volume_name.bytes, message->volume_name.size);
		volume->state = VOLUME_DOWN;
	}
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
	enum status status = connect_refusal(core, link, message, &param, &value);

	if (status != STATUS_NONE) {
		outbox_error(core, link, message->xid, status, param, value);
		return;
	}
	volume = connect_volume(core, message);
	if (volume == NULL) {
		outbox_error(core, link, message->xid, core->config.has_parent ? STATUS_TOO_MANY : STATUS_NO_SUCH_VOLUME,
			     PARAM_VOLUME_NAME, 0);
		return;
	}
	admission_forget(core, link, (int32_t)volume->index);
	pending = calloc(1, sizeof(*pending));
	CHECK(pending != NULL);
	*pending = (struct pending_connect){.link = link,
					    .xid = message->xid,
					    .volume = volume->index,
					    .node_id = message->node_id,
					    .session = message->session,
					    .number = message->link_number,
					    .connect_flags = message->connect_flags,
					    .path_count = message->path_count};
	memcpy(pending->path, message->path, message->path_count * sizeof(uint64_t));
	memcpy(pending->name, message->node_name.bytes != NULL ? (const char *)message->node_name.bytes : "",
	       message->node_name.size);
	if (volume_serves(core, volume)) {
		accept_connect(core, pending);
		free(pending);
		return;
	}
	if (volume->denied) { // nor can there be anything new before the parent has said so
		outbox_error(core, link, message->xid, STATUS_ACCESS_DENIED, 0, 0);
		free(pending);
		return;
	}
	pending->next = core->pending_connects;
	core->pending_connects = pending;
	core->pending_connect_count++;
	if (!volume->connected)
		session_connect(core, volume); // with the path of those below, so that a loop shows (F8)
}

void
admission_end(struct core *core, struct child *child)
{
	child_detach(core, child);
	server_child_free(core, child->index, true);
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
		server_child_free(core, (uint32_t)index, true);
		answer = outbox_message(core, link, OP_OK_REPLY, message->xid);
		answer->present =
			PRESENT(VOLUME_NAME) | PRESENT(VOLUME_ID) | PRESENT(PARENT_ID) | PRESENT(CONNECT_FLAGS);
		answer->volume_name = (struct blob){(const uint8_t *)volume->name, strlen(volume->name)};
		answer->volume_id = volume->id;
		answer->parent_id = volume->above_count > 0 && !volume->is_root ? volume->above[0] : 0;
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
admission_request(struct core *core, uint32_t link, const struct message *message)
{
	if (message->opcode == OP_CONNECT)
		child_connect(core, link, message);
	else if (message->opcode == OP_DISCONNECT)
		child_disconnect(core, link, message);
	else
		child_heartbeat(core, link, message);
}

uint32_t
admission_silent_ms(const struct core *core)
{
	return core->config.hb_ttl_ms < LIMIT_SILENT_MS ? core->config.hb_ttl_ms : LIMIT_SILENT_MS;
}

// A connection that does not become a session within a lease takes a place that others need.
static void
silent_links(struct core *core)
{
	for (uint32_t id = 0; id < core->link_capacity; id++) {
		struct link *link = core->links[id];
		bool wanted = false;

		if (link == NULL || !link->in_use || link->role != LINK_CHILD || link->closing)
			continue;
		for (uint32_t i = 0; i < core->volume_count; i++)
			wanted |= link->child_of[i] >= 0;
		for (struct pending_connect *pending = core->pending_connects; pending != NULL; pending = pending->next)
			wanted |= pending->link == id;
		if (wanted)
			link->silent_since = core->now;
		else if (core->now >= moment_after_ms(link->silent_since, admission_silent_ms(core)))
			outbox_close_link(core, id, "no CONNECT in time");
		if (!wanted && !link->closing)
			core_wake(core, moment_after_ms(link->silent_since, admission_silent_ms(core)));
	}
}

// The lease of an absent child is over. What it has for writing stays frozen until somebody wants it, and for a while
// longer: one that is late may still come.
static void
absent_timer(struct core *core, struct child *child)
{
	bool empty;

	if (!child->lapsed) {
		server_child_lapsed(core, child);
		child->evict_retry_at = moment_after_ms(core->now, core->config.hb_ttl_ms / LATE_PART);
	} else if (child->evict_retry_at != 0 && child->evict_retry_at <= core->now) {
		child->evict_retry_at = 0;
		server_touch_blocks(core, child);
	}
	// What it has claimed may still be granted above: then the record here says to whom (server_grant_claim).
	empty = child->dir.head == 0 && child->orphans == 0;
	if (((empty && !child->passed_over) || eviction_is_needless(core, child)) && !child->evicting) {
		server_child_free(core, child->index, true);
		return;
	}
	if (empty || child->goes_first)
		eviction_begin(core, child);
	if (child->evict_retry_at != 0)
		core_wake(core, child->evict_retry_at);
}

// F1: heartbeats come, but no answers to recalls.
static void
recall_timer(struct core *core, struct child *child)
{
	moment_us limit = child->answered_at + recall_limit_us(core);

	if (child->link < 0 || (child->dir.open_recalls == 0 && child->questions == 0))
		return;
	if (limit > core->now) {
		core_wake(core, limit);
		return;
	}
	child->moved = true; // it has to say anew what it holds
	outbox_close_link(core, (uint32_t)child->link, "recalls are not answered");
}

void
admission_timer(struct core *core)
{
	silent_links(core);
	for (uint32_t i = 0; i < core->child_count; i++) {
		struct child *child = core->children[i];

		if (!child->in_use)
			continue;
		recall_timer(core, child);
		if (child->lease_end > core->now) {
			core_wake(core, child->lease_end);
			continue;
		}
		if (child->link >= 0)
			outbox_close_link(core, (uint32_t)child->link, "no heartbeat before the lease ended");
		else
			absent_timer(core, child);
	}
}

void
admission_leave(struct core *core, const struct volume *volume)
{
	for (uint32_t i = 0; i < core->child_count; i++) {
		const struct child *child = core->children[i];
		struct message *message;

		if (!child->in_use || child->volume != volume->index || child->lost == LOST_UNTOLD || child->link < 0 ||
		    core->links[child->link]->closing)
			continue;
		message = outbox_message(core, (uint32_t)child->link, OP_DISCONNECT, 0);
		message->present = PRESENT(VOLUME_ID);
		message->volume_id = volume->id;
	}
}
