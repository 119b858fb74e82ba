// SPDX-License-Identifier: MIT
// An eviction travels up to the root, whose storage records it; each node on the way remembers it. Until the answer is
// there nothing is taken back. A node that is cut off from its own parent evicts nobody: the parent may be moving the
// very blocks to the child that it misses (claim.c).
#include "core/eviction.h"
#include "core/check.h"
#include "core/claim.h"
#include "core/claimant.h"
#include "core/client.h"
#include "core/outbox.h"
#include "core/recovery.h"
#include "core/rights.h"
#include "core/server.h"

#include <stdlib.h>
#include <string.h>

static bool
is_remembered(const struct volume *volume, uint64_t node_id)
{
	for (uint32_t i = 0; i < volume->evicted_count; i++)
		if (volume->evicted[i].node_id == node_id)
			return true;
	return false;
}

static void
remember(struct core *core, uint32_t index, uint64_t node_id, uint32_t peer)
{
	struct volume *volume = core->volumes[index];

	if (is_remembered(volume, node_id))
		return;
	if (volume->evicted == NULL) {
		volume->evicted = calloc(LIMIT_EVICTIONS, sizeof(*volume->evicted));
		CHECK(volume->evicted != NULL);
	}
	volume->evicted[volume->evicted_next] = (struct evicted){node_id, peer};
	volume->evicted_next = (volume->evicted_next + 1) % LIMIT_EVICTIONS;
	if (volume->evicted_count < LIMIT_EVICTIONS)
		volume->evicted_count++;
}

void
eviction_remember(struct core *core, uint32_t index, uint64_t node_id)
{
	remember(core, index, node_id, 0);
}

bool
eviction_voids(const struct core *core, uint32_t index, const struct claimant *claimant)
{
	const struct volume *volume = core->volumes[index];

	for (uint32_t i = 0; i < volume->evicted_count; i++)
		if (claimant_names(claimant, volume->evicted[i].node_id))
			return true;
	return false;
}

// ---- who goes first ----

// A node that has come back, here or by another way, has said what it still holds: its old sessions are over, but its
// claims are not void. NULL: it is not here. Who may only read has claimed nothing; and nobody can say for another peer that it is here.
static struct child *
session_of(const struct core *core, uint32_t volume, uint64_t node_id, const struct child *except)
{
	struct child *found = NULL;

	for (uint32_t i = 0; i < core->child_count; i++) {
		struct child *child = core->children[i];

		if (!child->in_use || child == except || child->volume != volume || child->node_id != node_id ||
		    child->evicting || child->moved || child->lapsed || child->read_only)
			continue;
		if (except != NULL && except->node_id == node_id && child->peer != except->peer)
			continue;
		if (found == NULL || child->settled)
			found = child;
	}
	return found;
}

// A child whose blocks were given, while it was away, to who claimed them from below it may have got them back in the same way:
// by the claim of somebody further below, who had left the claimant. What it writes then, by its own lease, is lost when the
// claimant's side gives the block to others. So it is evicted before ${except}, or anybody else, for whom that is done. When it has
// come back its claims, and bytes, go first; they may wait for this, so not longer than a lease (has_claimed). 0: nobody is waited
// for; else not longer than until then.
static moment_us
passed_over_until(const struct core *core, uint32_t volume, const struct child *except)
{
	moment_us until = 0;

	for (uint32_t i = 0; i < core->child_count && core->volumes[volume]->passed_over > 0; i++) {
		struct child *child = core->children[i];
		const struct child *here;
		moment_us end = MOMENT_NEVER;

		if (!child->in_use || child == except || child->volume != volume || !child->passed_over)
			continue;
		here = session_of(core, volume, child->node_id, child);
		if (here != NULL)
			end = moment_after_ms(here->phase_since, core->config.hb_ttl_ms);
		else
			child->goes_first = true; // admission.c
		if (end > core->now && (until == 0 || end < until))
			until = end;
	}
	return until;
}

void
eviction_child_gone(struct core *core, const struct child *gone)
{
	if (!gone->passed_over)
		return;
	core->volumes[gone->volume]->passed_over--;
	for (uint32_t i = 0; i < core->child_count; i++) {
		struct child *child = core->children[i];

		if (child->in_use && child->volume == gone->volume && child->lapsed && child->evict_retry_at == 0)
			child->evict_retry_at = core->now;
	}
	core_wake(core, core->now);
}

// ---- on the way up ----

static struct eviction *
eviction_new(struct core *core, uint32_t volume, uint64_t node_id, uint64_t session)
{
	struct eviction *eviction = calloc(1, sizeof(*eviction));

	CHECK(eviction != NULL);
	*eviction = (struct eviction){.next = core->evictions,
				      .volume = volume,
				      .node_id = node_id,
				      .session = session,
				      .number = ++core->eviction_number,
				      .child = -1,
				      .asker = -1};
	core->evictions = eviction;
	core->volumes[volume]->evicts = true;
	return eviction;
}

static void
push_name(struct eviction *eviction, uint64_t node_id)
{
	eviction->names = realloc(eviction->names, (eviction->name_count + 1) * sizeof(*eviction->names));
	CHECK(eviction->names != NULL);
	eviction->names[eviction->name_count++] = node_id;
}

// Is it this node, or one above, by a name of now or of before?
static bool
is_here_or_above(const struct volume *volume, uint64_t node_id)
{
	for (uint32_t i = 0; i < volume->above_count; i++)
		if (volume->above[i] == node_id)
			return true;
	return recovery_is_own_name(volume, node_id) || claimant_names(&volume->own, node_id) ||
	       claimant_names(&volume->own_before, node_id);
}

static void
add_name(const struct volume *volume, struct eviction *eviction, const struct child *child, uint64_t node_id)
{
	for (uint32_t i = 0; i < eviction->name_count; i++)
		if (eviction->names[i] == node_id)
			return;
	if (node_id != child->node_id && !is_here_or_above(volume, node_id) && !is_remembered(volume, node_id))
		push_name(eviction, node_id);
}

// The child may have been granted a claim and never have heard of it: then the claimant may be back below who had the block
// on record. What they bring when it has been taken back here is as lost as what the child would bring, and both have to be
// told: so the names of that claim go first.
static void
add_names(const struct core *core, struct eviction *eviction, const struct child *child)
{
	const struct volume *volume = core->volumes[child->volume];

	for (uint32_t i = 1; i <= core->claimant_count; i++) {
		const struct claimant *claimant = claimant_get(core, i);

		if (claimant->granted_to != child->index + 1)
			continue;
		for (uint32_t j = 0; j < claimant->path_count; j++)
			add_name(volume, eviction, child, claimant->path[j]);
		add_name(volume, eviction, child, claimant->node_id);
	}
	// Who was below it, and is away, may know it by a name from before.
	for (uint32_t i = 0; i < child->former_count && i < FORMER_NAMES; i++)
		add_name(volume, eviction, child, child->former[i]);
	push_name(eviction, child->node_id);
}

void
eviction_note_former(struct child *child, uint64_t node_id)
{
	if (node_id != 0)
		child->former[child->former_count++ % FORMER_NAMES] = node_id;
}

void
eviction_inherit_former(struct child *child, const struct child *before)
{
	uint32_t count = before->former_count;

	for (uint32_t i = count > FORMER_NAMES ? count - FORMER_NAMES : 0; i < count; i++)
		eviction_note_former(child, before->former[i % FORMER_NAMES]);
}

// One that was passed on to us waits until none of our children can have given the blocks to who is evicted (leases_end).
static bool
has_to_wait(struct core *core, const struct eviction *eviction)
{
	moment_us until = eviction->not_before;

	if (until != 0 && until <= core->now)
		until = passed_over_until(core, eviction->volume, NULL);
	if (until != 0)
		core_wake(core, until);
	return until != 0;
}

static void
eviction_send(struct core *core, struct eviction *eviction)
{
	struct volume *volume = core->volumes[eviction->volume];
	struct message *message;

	if (has_to_wait(core, eviction))
		return;
	eviction->not_before = 0; // on its way: the timer has nothing to do with it any more
	if (volume->is_root) {
		struct action *action = actions_add(core->actions, ACTION_EVICT);

		eviction->storing = true;
		action->volume = eviction->volume;
		action->node_id = eviction->node_id;
		action->session = eviction->session;
		action->store_cookie = eviction->number;
		return;
	}
	if (eviction->up_xid != 0 || !client_parent_usable(core, volume) || volume->claims > 0)
		return; // who is missed may have claimed what we have lost: those below have to hear that first
	message = outbox_message(core, (uint32_t)core->parent.link, OP_RECOVER, 0);
	message->flags = FLAG_RECOVERY_OP;
	message->present = PRESENT(VOLUME_ID) | PRESENT(NODE_ID) | PRESENT(SESSION);
	message->volume_id = volume->parent_id;
	message->node_id = eviction->node_id;
	message->session = eviction->session;
	eviction->up_xid = message->xid;
}

bool
eviction_is_needless(const struct core *core, const struct child *child)
{
	const struct child *other = session_of(core, child->volume, child->node_id, child);

	return other != NULL && other->settled;
}

static void eviction_next(struct core *core, struct eviction *eviction);

void
eviction_begin(struct core *core, struct child *child)
{
	struct volume *volume = core->volumes[child->volume];
	struct eviction *eviction;
	moment_us until;

	if (child->evicting || child->link >= 0)
		return;
	if (child->evict_retry_at > core->now) {
		core_wake(core, child->evict_retry_at);
		return;
	}
	// What is granted may have been taken from who is away, whose lease lasts: the record here keeps it as long (F4).
	if (claim_may_be_granted(core, child))
		return;
	if (!volume->is_root && (!client_parent_usable(core, volume) || volume->claims > 0))
		return;
	until = child->passed_over ? 0 : passed_over_until(core, child->volume, child);
	if (until != 0) {
		child->evict_retry_at = until != MOMENT_NEVER ? until : 0; // eviction_child_gone
		return;
	}
	if (session_of(core, child->volume, child->node_id, child) != NULL) {
		child->evict_retry_at = core->now + RETRY_US; // not before it has claimed what it wants: then this session just ends
		core_wake(core, child->evict_retry_at);
		return;
	}
	core_trace(core, "child %s: being evicted", child->name);
	child->evicting = true;
	child->phase_since = core->now;
	eviction = eviction_new(core, child->volume, child->node_id, child->session);
	eviction->child = (int32_t)child->index;
	eviction->child_generation = child->generation;
	add_names(core, eviction, child);
	eviction_next(core, eviction);
}

static struct child *
child_of(const struct core *core, int32_t index, uint32_t generation)
{
	struct child *child = index >= 0 ? core->children[index] : NULL;

	return child != NULL && child->in_use && child->generation == generation ? child : NULL;
}

static void
answer_asker(struct core *core, const struct eviction *eviction, enum hvfs_error error, bool recorded)
{
	const struct child *asker = eviction->asker >= 0 ? core->children[eviction->asker] : NULL;
	struct message *message;

	if (asker == NULL)
		return;
	CHECK(asker->in_use && asker->link >= 0);
	if (error != ERR_OK) {
		outbox_error(core, (uint32_t)asker->link, eviction->asker_xid, STATUS_STORE_ERROR, 0, 0);
		return;
	}
	message = outbox_message(core, (uint32_t)asker->link, OP_OK_REPLY, eviction->asker_xid);
	message->present = PRESENT(VOLUME_ID);
	message->volume_id = core->volumes[eviction->volume]->id;
	if (!recorded)
		return;
	message->present |= PRESENT(NODE_ID);
	message->node_id = eviction->node_id;
}

static void
eviction_free(struct core *core, struct eviction *eviction)
{
	struct eviction **link = &core->evictions;

	while (*link != eviction)
		link = &(*link)->next;
	*link = eviction->next;
	free(eviction->names);
	free(eviction);
}

// What a node still has here under a name that is evicted is not to be resumed.
static void
sessions_end(struct core *core, uint32_t volume, uint64_t node_id)
{
	for (uint32_t i = 0; i < core->child_count; i++) {
		struct child *child = core->children[i];

		if (child->in_use && child->volume == volume && child->node_id == node_id)
			child->moved = true;
	}
}

static void
eviction_end(struct core *core, struct eviction *eviction, enum hvfs_error error, bool recorded)
{
	struct child *child = child_of(core, eviction->child, eviction->child_generation);

	if (error == ERR_OK && recorded)
		sessions_end(core, eviction->volume, eviction->node_id);
	answer_asker(core, eviction, error, recorded);
	if (child != NULL && error == ERR_OK && eviction->name_count > 0) {
		if (recorded)
			remember(core, eviction->volume, eviction->node_id, eviction->peer);
		eviction_next(core, eviction);
		return;
	}
	if (child != NULL && error == ERR_OK) {
		server_child_free(core, child->index, false);
	} else if (child != NULL) {
		child->evicting = false;
		child->evict_retry_at = core->now + RETRY_US;
		server_touch_blocks(core, child);
		core_wake(core, child->evict_retry_at);
	}
	if (error == ERR_OK && recorded) // behind claim_inherits: what waits for this is not void
		remember(core, eviction->volume, eviction->node_id, eviction->peer);
	eviction_free(core, eviction);
}

// Has who is here, and not the evicted child itself, claimed all that it held? Its claims may wait for this eviction, and get
// what they are for by it; so after a lease, in which they should have come, nobody waits for the rest of them.
static bool
has_claimed(const struct core *core, const struct child *here, const struct eviction *eviction)
{
	return here->settled ||
	       (eviction->name_count > 0 && moment_after_ms(here->phase_since, core->config.hb_ttl_ms) <= core->now);
}

// The names of a child's eviction in turn. One who lives elsewhere has claimed what it holds.
static void
eviction_next(struct core *core, struct eviction *eviction)
{
	const struct child *here = NULL;

	eviction->storing = false;
	eviction->up_xid = 0;
	do {
		CHECK(eviction->name_count > 0);
		eviction->node_id = eviction->names[0];
		memmove(eviction->names, eviction->names + 1, --eviction->name_count * sizeof(*eviction->names));
		here = session_of(core, eviction->volume, eviction->node_id, core->children[eviction->child]);
	} while (here != NULL && has_claimed(core, here, eviction) && eviction->name_count > 0);
	if (here != NULL)
		eviction_end(core, eviction, here->settled ? ERR_OK : ERR_REFUSED, false);
	else
		eviction_send(core, eviction);
}

void
eviction_stored(struct core *core, uint64_t cookie, enum hvfs_error error)
{
	struct eviction *eviction = core->evictions;

	while (eviction != NULL && eviction->number != cookie)
		eviction = eviction->next;
	CHECK(eviction != NULL && eviction->storing);
	eviction_end(core, eviction, error, true);
}

// A child of ours that is away may have given the evicted one its blocks anew, by a claim, just as we have given them to
// who evicts it now, by another: until its lease is over (T3).
static moment_us
leases_end(const struct core *core, uint32_t volume)
{
	moment_us end = 0;

	for (uint32_t i = 0; i < core->child_count; i++) {
		const struct child *child = core->children[i];

		if (child->in_use && child->volume == volume && child->link < 0 && child->lease_end > end)
			end = child->lease_end;
	}
	return end;
}

void
eviction_timer(struct core *core)
{
	struct eviction *eviction, *next;

	for (eviction = core->evictions; eviction != NULL; eviction = next) {
		const struct child *here;

		next = eviction->next;
		if (eviction->not_before == 0 || has_to_wait(core, eviction))
			continue;
		eviction->not_before = 0;
		here = session_of(core, eviction->volume, eviction->node_id, NULL); // it may have come meanwhile
		if (here != NULL)
			eviction_end(core, eviction, here->settled ? ERR_OK : ERR_REFUSED, false);
		else
			eviction_send(core, eviction);
	}
}

// How many evictions are recorded, or about to be, of ${peer}, or (0) of all? Those may be any names: nobody here knows who is below him.
static uint32_t
count_recorded(const struct core *core, const struct volume *volume, uint32_t peer)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < volume->evicted_count; i++)
		count += peer == 0 || volume->evicted[i].peer == peer;
	for (const struct eviction *eviction = core->evictions; eviction != NULL; eviction = eviction->next)
		count += eviction->volume == volume->index && (peer == 0 || eviction->peer == peer);
	return count;
}

// Would the record of this root be full of what ${peer} has had recorded? Where nobody knows who is who there is no telling.
static bool
has_too_many(const struct core *core, const struct volume *volume, uint32_t peer)
{
	return volume->is_root && peer != 0 && count_recorded(core, volume, 0) >= LIMIT_EVICTIONS / 4 * 3 &&
	       count_recorded(core, volume, peer) >= LIMIT_EVICTIONS / 4;
}

void
eviction_notice(struct core *core, struct child *child, const struct message *message)
{
	struct eviction *eviction;
	const struct child *here;
	uint32_t count = 0;

	for (eviction = core->evictions; eviction != NULL; eviction = eviction->next)
		count += eviction->child < 0 && eviction->volume == child->volume; // one that comes back is not told from another
	if (count >= LIMIT_CLAIMANTS) {
		outbox_error(core, (uint32_t)child->link, message->xid, STATUS_TOO_MANY, 0, 0);
		return;
	}
	here = session_of(core, child->volume, message->node_id, NULL);
	if (here == NULL && !is_remembered(core->volumes[child->volume], message->node_id) &&
	    has_too_many(core, core->volumes[child->volume], child->peer)) {
		rights_tell(core, (uint32_t)child->link, (int32_t)child->volume, "more evictions than one peer may have recorded");
		outbox_error(core, (uint32_t)child->link, message->xid, STATUS_TOO_MANY, 0, 0);
		return;
	}
	eviction = eviction_new(core, child->volume, message->node_id, message->session);
	eviction->peer = child->peer;
	eviction->asker = (int32_t)child->index;
	eviction->asker_xid = message->xid;
	eviction->not_before = leases_end(core, child->volume);
	if (here != NULL)
		eviction_end(core, eviction, here->settled ? ERR_OK : ERR_REFUSED, false);
	else
		eviction_send(core, eviction);
}

void
eviction_forget_asker(struct core *core, const struct child *child)
{
	for (struct eviction *eviction = core->evictions; eviction != NULL; eviction = eviction->next)
		if (eviction->asker == (int32_t)child->index)
			eviction->asker = -1;
}

bool
eviction_reply(struct core *core, const struct message *message)
{
	struct eviction *eviction = core->evictions;

	while (eviction != NULL && (eviction->up_xid == 0 || eviction->up_xid != message->xid))
		eviction = eviction->next;
	if (eviction == NULL)
		return false;
	// Without NODE_ID in the answer nothing was recorded: the node lives, elsewhere.
	eviction_end(core, eviction, message->opcode == OP_OK_REPLY ? ERR_OK : ERR_REFUSED,
		     (message->present & PRESENT(NODE_ID)) != 0);
	return true;
}

void
eviction_link_down(struct core *core)
{
	for (struct eviction *eviction = core->evictions; eviction != NULL; eviction = eviction->next)
		eviction->up_xid = 0;
}

void
eviction_resume(struct core *core, struct volume *volume)
{
	for (struct eviction *eviction = core->evictions; eviction != NULL; eviction = eviction->next)
		if (eviction->volume == volume->index)
			eviction_send(core, eviction);
}
