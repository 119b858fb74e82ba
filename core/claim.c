// SPDX-License-Identifier: MIT
// A claim for WRITE is granted when nobody else can have been given the block since the claimant had it. Who has the
// record decides, by the child under whose name it is:
//
//   the claimant's own earlier session   it goes on
//   a child that is connected            is asked (INVALIDATE with RECOVERY_OP): it knows whether the claimant left it
//   an absent child above the claimant   a live claim is granted: without us that child can not take anything from the
//                                        claimant (eviction.c), and its session is not resumed any more. A claim whose
//                                        lease is over waits until the absent one is evicted; the newest version wins
//   nobody                               refused; but by a root in its grace time, which knows of nothing, granted
//
// A node that has no WRITE itself passes the claim on, and grants what it is granted. Bytes alone (PERMISSIONS NO) are
// taken by whoever was above the claimant before, or by the root: they are newer than what it has, or superseded.
#include "core/claim.h"
#include "core/check.h"
#include "core/claimant.h"
#include "core/client.h"
#include "core/dirty.h"
#include "core/eviction.h"
#include "core/outbox.h"
#include "core/recovery.h"
#include "core/recall.h"
#include "core/server.h"
#include "core/stored.h"

enum verdict { CLAIM_WAITS, CLAIM_GRANTED, CLAIM_TAKEN, CLAIM_REFUSED };

bool
claim_in_grace(const struct core *core, const struct volume *volume)
{
	return volume->is_root && volume->in_grace;
}

// ---- arriving ----

// What was passed on is answered, or will not be.
static void
credit_back(struct core *core, struct want *want)
{
	if (want->counted)
		core->parent.outstanding--;
	want->counted = false;
}

static void
want_free(struct core *core, uint32_t *link)
{
	uint32_t index = *link;
	struct want *want = table_want(&core->table, index);
	struct child *child = core->children[want->child];
	struct volume *volume = entry_volume(core, table_entry(&core->table, want->entry));

	*link = want->next;
	volume->early_claims -= want->early;
	stored_rest(core, volume);
	credit_back(core, want);
	buf_unref(want->buf);
	claimant_release(core, want->claimant);
	if (want->orphan) {
		child->orphans--;
	} else if (want->perm == PERM_WRITE) {
		CHECK(child->pending > 0);
		child->pending--;
	}
	pool_free(&core->table.wants, index);
}

static void
answer(struct core *core, const struct entry *entry, const struct want *want, enum status status)
{
	const struct child *child = core->children[want->child];

	if (!want->orphan) // on another link its number means something else
		server_answer_block(core, child, block_key_block(entry->key), want->xid, status);
}

// The same claim made again takes the place of the first, whatever child it comes through (F4). False: the claimant has
// made it on a newer link already.
static bool
forget_earlier(struct core *core, struct entry *entry, enum perm perm, const struct claimant *claimant)
{
	uint32_t *link = &table_work_make(&core->table, entry)->claim_head;

	while (*link != 0) {
		struct want *want = table_want(&core->table, *link);
		const struct claimant *other = claimant_get(core, want->claimant);

		if (want->perm != (uint8_t)perm || other->node_id != claimant->node_id) {
			link = &want->next;
			continue;
		}
		if (other->number > claimant->number)
			return false;
		answer(core, entry, want, STATUS_NOT_HOLDER); // who passed it on does not wait for ever
		want_free(core, link);
	}
	return true;
}

static void
claim_add(struct core *core, struct child *child, struct entry *entry, const struct message *message, uint32_t i,
	  uint32_t claimant)
{
	struct volume *volume = entry_volume(core, entry);
	const struct item *item = &message->items[i];
	uint32_t index, *link;
	struct work *work;
	struct want *want;

	table_touch(&core->table, entry);
	if (!forget_earlier(core, entry, message->perm, claimant_get(core, claimant))) {
		server_answer_block(core, child, block_key_block(entry->key), message->xid, STATUS_NOT_HOLDER);
		return;
	}
	work = table_work(&core->table, entry);
	index = pool_alloc(&core->table.wants);
	want = table_want(&core->table, index);
	want->kind = WANT_RECOVER;
	want->perm = (uint8_t)message->perm;
	want->child = (uint16_t)child->index;
	want->xid = message->xid;
	want->hops_left = message->hops_left;
	want->entry = work->entry;
	want->version = item->version;
	want->buf = item->kind == ITEM_ZERO ? buf_zero() : item->kind == ITEM_DATA ? buf_ref(item->buf) : NULL;
	want->claimant = claimant;
	want->asked = -1;
	want->sync = (message->flags & FLAG_FORCE_SYNC) != 0 || child->sync;
	want->live = message->ttl_ms > 0;
	want->live_until = moment_after_ms(core->now, message->ttl_ms);
	want->early = claim_in_grace(core, volume);
	if (want->early && message->ttl_ms == 0 && claimant_get(core, claimant)->epoch < volume->claims_since)
		want->refusal = STATUS_EVICTED; // it missed a root that has served others
	volume->early_claims += want->early;
	core->claimants[claimant - 1].uses++;
	child->pending += want->perm == PERM_WRITE; // as credits are counted (R15)
	for (link = &work->claim_head; *link != 0; link = &table_want(&core->table, *link)->next)
		;
	*link = index;
}

// Sessions of the same node from before: what it has not claimed it does not want.
static void
claims_ended(struct core *core, struct child *child)
{
	child->settled = true;
	for (uint32_t i = 0; i < core->child_count; i++) {
		const struct child *other = core->children[i];

		if (other->in_use && i != child->index && other->volume == child->volume && other->link < 0 &&
		    other->node_id == child->node_id && !other->evicting)
			server_child_free(core, i, true);
	}
}

void
claim_request(struct core *core, struct child *child, const struct message *message)
{
	struct volume *volume = core->volumes[child->volume];
	uint32_t claimant;

	if (!(message->present & PRESENT(BLOCK_NUM))) {
		claims_ended(core, child);
		return;
	}
	claimant = claimant_take(core, message);
	if (claimant == 0) {
		outbox_error(core, (uint32_t)child->link, message->xid, STATUS_TOO_MANY, 0, 0);
		return;
	}
	child->wrote = true;
	for (uint32_t i = 0; i < message->count; i++) {
		block_key key = block_key_make(volume->index, message->block + i);
		struct entry *entry;

		if (!server_version_fits(volume, message->items[i].version)) {
			server_answer_block(core, child, message->block + i, message->xid, STATUS_BAD_PARAM_VALUE);
			continue;
		}
		entry = claim_in_grace(core, volume) ? table_make(&core->table, key, NULL) // its version is not known yet
						     : entry_make(core, volume, message->block + i);
		claim_add(core, child, entry, message, i, claimant);
	}
	claimant_release(core, claimant);
}

// ---- answers ----

static void
grant(struct core *core, struct entry *entry, struct want *want)
{
	struct child *child = core->children[want->child];
	struct dir_record *record = directory_first(&core->directory, entry);
	struct bounds bounds = stored_bounds(core, entry, want);
	version_t told;

	while (record != NULL) { // at most one, a writer's, that is not revoked
		struct child *old = core->children[record->child];
		struct dir_record *next = directory_next(&core->directory, record);

		if (old != child && !record->revoked) {
			old->moved |= old->node_id != child->node_id;
			directory_set(&core->directory, &old->dir, (uint16_t)old->index, entry, record->entry,
				      PERM_NO);
		}
		record = next;
	}
	// The child is told whether our own copy is as new as its own. A root that was started anew knows only what its
	// storage has for certain.
	told = want->early || entry->claimed ? bounds.low : entry->version;
	if (want->early && entry->copy == COPY_ABSENT && entry->version < want->version) {
		entry->version = want->version;
		entry->claimed = want->version > bounds.low;
	}
	entry->stale |= entry->copy != COPY_ABSENT && want->version > entry->version && !entry_volume(core, entry)->is_root;
	core_trace(core, "block %llu: claimed by %s", (unsigned long long)block_key_block(entry->key), child->name);
	server_grant_claim(core, entry, want, told);
}

static struct dir_record *
writer_record(struct core *core, const struct entry *entry)
{
	struct dir_record *record = directory_first(&core->directory, entry);

	while (record != NULL && (record->perm != PERM_WRITE || record->revoked))
		record = directory_next(&core->directory, record);
	return record;
}

// Bytes that were sent up before and may have been lost.
static void
take(struct core *core, struct entry *entry, const struct want *want)
{
	struct item item = {.version = want->version, .kind = ITEM_DATA, .buf = want->buf};
	struct bounds bounds = stored_bounds(core, entry, want);

	if (want->buf == buf_zero())
		item.kind = ITEM_ZERO;
	// Who claimed a newer version is gone, and it with him: its number is not used again (R11).
	if (want->early && entry->claimed && writer_record(core, entry) == NULL && want->version >= bounds.high)
		item.version = entry->version + 1;
	if ((item.version > entry->version || (item.version == entry->version && entry->copy == COPY_ABSENT)) &&
	    stored_is_newer(bounds, want->version))
		server_absorb(core, entry, &item);
	core->children[want->child]->acknowledged++;
	if (want->sync && !want->orphan && !entry_volume(core, entry)->is_root &&
	    !dirty_accepted(core, entry, want->version))
		server_flush_wait(core, entry, want, want->version); // a synchronous write waits for the root
	else
		answer(core, entry, want, STATUS_NONE);
}

// ---- deciding ----

static enum verdict
refuse(struct want *want, enum status status)
{
	want->refusal = (uint8_t)status;
	return CLAIM_REFUSED;
}

// One claim of a block for WRITE is passed on at a time: if it is granted, the next is ours to decide.
static bool
is_behind(const struct core *core, const struct entry *entry, const struct want *want)
{
	const struct work *work = table_work(&core->table, entry);

	for (uint32_t i = work->claim_head; i != 0 && want->perm == PERM_WRITE; i = table_want(&core->table, i)->next) {
		const struct want *other = table_want(&core->table, i);

		if (other->perm == PERM_WRITE && other->up_xid != 0)
			return true;
	}
	return false;
}

static enum verdict
pass_on(struct core *core, struct entry *entry, struct want *want)
{
	struct volume *volume = entry_volume(core, entry);
	struct saying say;

	if (want->up_xid != 0 || !client_parent_usable(core, volume) || is_behind(core, entry, want))
		return CLAIM_WAITS;
	if (want->hops_left <= 1)
		return refuse(want, STATUS_LOOP_DETECTED);
	if (want->perm == PERM_WRITE && !recovery_has_credit(core, entry))
		return CLAIM_WAITS;
	if (want->buf != NULL && !server_wait_room(core, entry, (uint32_t)core->parent.link))
		return CLAIM_WAITS;
	say = (struct saying){
		.link = (uint32_t)core->parent.link,
		.volume = volume->index,
		.volume_id = volume->parent_id,
		.opcode = OP_RECOVER,
		.flags = FLAG_RECOVERY_OP | (want->sync && want->buf != NULL ? FLAG_FORCE_SYNC : 0),
		.block = block_key_block(entry->key),
		.perm = want->perm,
		.hops_left = (uint8_t)(want->hops_left - 1),
		.origin = (uint32_t)core->config.node_id,
		.claimant = claimant_get(core, want->claimant),
		.live_ms = want->live_until > core->now ? (uint32_t)((want->live_until - core->now + 999) / 1000) : 0,
		.item = true,
		.kind = want->buf == NULL ? ITEM_EMPTY : want->buf == buf_zero() ? ITEM_ZERO : ITEM_DATA,
		.version = want->version,
		.buf = want->buf,
	};
	want->up_xid = outbox_say(core, &say)->xid;
	want->counted = want->perm == PERM_WRITE;
	core->parent.outstanding += want->counted;
	return CLAIM_WAITS;
}

// Is there no other claim of the block, as well founded, of a newer version? Bytes of a newer version, too, show that somebody
// has had the block since a lease that is over.
static bool
is_newest(const struct core *core, const struct work *work, const struct want *want)
{
	for (uint32_t i = work->claim_head; i != 0; i = table_want(&core->table, i)->next) {
		const struct want *other = table_want(&core->table, i);

		if (other != want && (other->perm == PERM_WRITE || !want->live) && other->early &&
		    other->refusal == STATUS_NONE && other->version > want->version)
			return false;
	}
	return true;
}

// Is a claim of the same or a newer version still to be decided? (One of an older version waits for the bytes: is_newest.)
static bool
has_newer_claim(const struct core *core, const struct work *work, const struct want *want)
{
	for (uint32_t i = work->claim_head; i != 0; i = table_want(&core->table, i)->next) {
		const struct want *other = table_want(&core->table, i);

		if (other->perm == PERM_WRITE && other->refusal == STATUS_NONE &&
		    (other->cleared || other->version >= want->version))
			return true;
	}
	return false;
}

static enum verdict
decide_unrecorded(struct core *core, struct entry *entry, struct want *want)
{
	struct volume *volume = entry_volume(core, entry);

	if (want->asked >= 0)
		return CLAIM_WAITS; // the answer follows
	if (!volume->is_root || !want->early || entry->dir != 0)
		return refuse(want, STATUS_NOT_HOLDER);
	if (claim_in_grace(core, volume) && !want->live)
		return CLAIM_WAITS;
	return is_newest(core, table_work(&core->table, entry), want) ? CLAIM_GRANTED : CLAIM_WAITS;
}

// Has the claimant left the child that is on record (F5)?
static void
ask_recorded(struct core *core, struct entry *entry, struct want *want, struct dir_record *record)
{
	int32_t child = record->child;

	if (want->asked == child)
		return;
	want->asked_xid = recall_for(core, entry, record, claimant_get(core, want->claimant));
	want->asked = want->asked_xid != 0 ? child : -1;
}

// Somebody else's name is on the record.
static enum verdict
decide_recorded(struct core *core, struct entry *entry, struct want *want, struct dir_record *record)
{
	const struct claimant *claimant = claimant_get(core, want->claimant);
	struct child *child = core->children[want->child], *old = core->children[record->child];

	if (old == child)
		return record->recall_open ? CLAIM_WAITS : CLAIM_GRANTED; // R18
	if (old->node_id == child->node_id)
		return CLAIM_GRANTED;
	if (old->node_id == claimant->node_id && (old->link < 0 || old->number < claimant->number))
		return CLAIM_GRANTED; // it says itself that it has left
	if (old->link >= 0) {
		ask_recorded(core, entry, want, record);
		return CLAIM_WAITS;
	}
	want->asked = -1;
	if (want->live && claimant_names(claimant, old->node_id) && !old->evicting)
		return CLAIM_GRANTED;
	if (old->lapsed)
		eviction_begin(core, old);
	return CLAIM_WAITS;
}

static enum verdict
decide_write(struct core *core, struct entry *entry, struct want *want)
{
	struct volume *volume = entry_volume(core, entry);
	struct work *work = table_work(&core->table, entry);
	struct dir_record *record;

	if (work->claim)
		return CLAIM_WAITS;
	if (!volume->is_root && entry_held(core, entry) != PERM_WRITE)
		return pass_on(core, entry, want);
	record = writer_record(core, entry);
	if (want->version < stored_bounds(core, entry, want).low ||
	    (want->version < entry->version && !(want->early && want->live)))
		return refuse(want, STATUS_NOT_HOLDER);
	return record != NULL ? decide_recorded(core, entry, want, record) : decide_unrecorded(core, entry, want);
}

// Who has the block on record as the writer, above the claimant, must not bring up older bytes with a version beyond the
// claimant's when it gives him up: it has to let go, or, if it is absent, to claim anew. False: it is being asked.
static bool
heed_record(struct core *core, struct entry *entry, struct want *want)
{
	const struct claimant *claimant = claimant_get(core, want->claimant);
	struct child *child = core->children[want->child], *old;
	struct dir_record *record = writer_record(core, entry);

	if (want->asked >= 0)
		return false;
	if (want->heeded || record == NULL || core->children[record->child] == child)
		return true;
	old = core->children[record->child];
	if (!claimant_names(claimant, old->node_id))
		return true;
	if (old->link >= 0 && (old->node_id != claimant->node_id || old->number >= claimant->number)) {
		ask_recorded(core, entry, want, record);
		return false;
	}
	old->moved = true;
	return true;
}

static bool
decides_bytes(const struct core *core, const struct volume *volume, const struct want *want)
{
	const struct claimant *claimant = claimant_get(core, want->claimant);

	return claimant_names(claimant, volume->node_id) || (volume->is_root && want->early);
}

// Bytes that were recalled from the claimant may be older than what the storage has. The version log of a root that was
// started anew tells (stored.c). When it does not, somebody who has had the block since and claims it has them, or newer
// ones; he may die before he has sent them, so that is decided when he has given the block back. Else those who wrote over
// them have made that durable, or it has died with them: nobody can tell, and so the author must be told.
static enum verdict
decide_recalled_bytes(struct core *core, struct entry *entry, struct want *want)
{
	struct bounds bounds = stored_bounds(core, entry, want);
	bool brought = !entry->claimed && entry->version != 0 && entry->version >= want->version;

	if (claim_in_grace(core, entry_volume(core, entry)))
		return CLAIM_WAITS;
	if (!want->early)
		return refuse(want, STATUS_EVICTED);
	if (want->version <= bounds.low || (entry->claimed && want->version >= entry->version))
		return CLAIM_TAKEN; // the storage has them, or newer ones; or they are those that were claimed
	if (has_newer_claim(core, table_work(&core->table, entry), want))
		return CLAIM_WAITS;
	if (entry->claimed && writer_record(core, entry) != NULL) {
		recall_children(core, entry, -1, PERM_READ); // he has not brought them yet
		return CLAIM_WAITS;
	}
	if (brought || (entry->dir != 0 && !entry->claimed) || want->version >= bounds.high)
		return CLAIM_TAKEN; // versions tell, or nothing newer can be durable
	if (entry->version < want->version) { // there was one (R11)
		entry->version = want->version;
		entry->claimed = true;
	}
	return refuse(want, STATUS_EVICTED);
}

// R18: the answer to a recall that is under way would be taken for one to what is granted now.
static bool
is_recalled(const struct core *core, const struct entry *entry, const struct want *want)
{
	const struct dir_record *record = directory_find(&core->directory, entry, want->child);

	return record != NULL && record->recall_open;
}

static enum verdict
decide(struct core *core, struct entry *entry, struct want *want)
{
	struct volume *volume = entry_volume(core, entry);

	if (want->refusal != STATUS_NONE)
		return CLAIM_REFUSED;
	if (want->cleared && want->perm == PERM_WRITE && !volume->is_root && entry->held != PERM_WRITE) {
		want->cleared = false; // we have lost it meanwhile
		want->up_xid = 0;
	}
	if (want->cleared && want->perm == PERM_WRITE)
		return is_recalled(core, entry, want) ? CLAIM_WAITS : CLAIM_GRANTED;
	if (want->cleared)
		return CLAIM_TAKEN;
	if (eviction_voids(core, volume->index, claimant_get(core, want->claimant)))
		return refuse(want, STATUS_EVICTED);
	if (want->perm == PERM_WRITE)
		return decide_write(core, entry, want);
	if (decides_bytes(core, volume, want)) {
		// A root may compare with what it has only bytes that were written under its own epoch.
		if (want->perm == PERM_NO && volume->is_root &&
		    (want->early || version_epoch(want->version) < volume->epoch))
			return decide_recalled_bytes(core, entry, want);
		return heed_record(core, entry, want) ? CLAIM_TAKEN : CLAIM_WAITS;
	}
	return volume->is_root ? refuse(want, STATUS_EVICTED) : pass_on(core, entry, want);
}

static void
taken_above(struct core *core, const struct entry *entry, const struct want *want)
{
	core->children[want->child]->acknowledged++;
	answer(core, entry, want, STATUS_NONE);
}

bool
claim_advance(struct core *core, struct entry *entry)
{
	struct work *work = table_work(&core->table, entry);
	uint32_t *link = &work->claim_head;

	while (*link != 0) {
		struct want *want = table_want(&core->table, *link);
		enum verdict verdict = decide(core, entry, want);

		if (verdict == CLAIM_WAITS) {
			link = &want->next;
			continue;
		}
		if (verdict == CLAIM_GRANTED)
			grant(core, entry, want);
		else if (verdict == CLAIM_REFUSED)
			answer(core, entry, want, want->refusal);
		else if (want->up_xid != 0)
			taken_above(core, entry, want);
		else
			take(core, entry, want);
		want_free(core, link);
		link = &work->claim_head; // the others may see it with other eyes now
	}
	return work->claim_head == 0;
}

// ---- what others say ----

static void
passed_on_granted(struct core *core, struct entry *entry, struct want *want, const struct message *message,
		  const struct item *item)
{
	struct volume *volume = entry_volume(core, entry);

	want->cleared = true;
	if (want->perm != PERM_WRITE) {
		volume->unsynced = true; // a barrier of the child's has to go up, too
		return;
	}
	client_take_grant(core, entry, message, core->parent.answered);
	// The child has to learn what the parent has, not what was here under an earlier session. What is still to be brought
	// up of that goes on, unless the parent has newer bytes.
	if (entry->copy == COPY_DIRTY && item->version > entry->version)
		dirty_superseded(core, entry);
	if ((entry->copy == COPY_CLEAN && item->version != entry->version) ||
	    (entry->copy == COPY_UNSTABLE && item->version > entry->version))
		entry_drop_copy(core, entry);
	client_learn_version(entry, item->version);
}

bool
claim_reply(struct core *core, struct entry *entry, const struct message *message, const struct item *item)
{
	struct work *work = table_work(&core->table, entry);
	uint32_t index = work->claim_head;

	while (index != 0 && (table_want(&core->table, index)->up_xid == 0 ||
			      table_want(&core->table, index)->up_xid != message->xid))
		index = table_want(&core->table, index)->next;
	if (index == 0)
		return false;
	credit_back(core, table_want(&core->table, index));
	if (message->opcode == OP_OK_REPLY)
		passed_on_granted(core, entry, table_want(&core->table, index), message, item);
	else if (message->status != STATUS_UNAVAILABLE) // else it is gone soon, and the next is asked
		table_want(&core->table, index)->refusal = (uint8_t)message->status;
	return true;
}

bool
claim_recall(struct core *core, struct entry *entry, const struct message *message)
{
	struct work *work = table_work_make(&core->table, entry);
	struct dir_record *record = writer_record(core, entry);
	struct child *child = record != NULL ? core->children[record->child] : NULL;
	bool is_mover = child != NULL && child->node_id == message->node_id, named = is_mover;
	uint32_t claimant;

	for (uint32_t i = 0; child != NULL && i < message->path_count; i++)
		named |= message->path[i] == child->node_id;
	// Claims are passed on, and recorded, along other ways than their PATH: whoever is here is asked.
	if (child == NULL || (child->link < 0 && !named))
		return false;
	if (is_mover && child->link >= 0 && child->number >= message->link_number)
		return false; // it has come back since
	if (is_mover || child->link < 0) {
		child->moved = true;
		if (child->link >= 0)
			outbox_close_link(core, (uint32_t)child->link, "the child has moved to another parent");
		directory_set(&core->directory, &child->dir, (uint16_t)child->index, entry, record->entry, PERM_NO);
		return true;
	}
	claimant = claimant_take(core, message);
	claimant_release(core, work->recall_mover);
	work->recall_mover = claimant;
	return claimant != 0;
}

bool
claim_answered(struct core *core, struct entry *entry, uint32_t index, const struct message *message)
{
	struct work *work = table_work(&core->table, entry);

	for (uint32_t i = work != NULL ? work->claim_head : 0; i != 0; i = table_want(&core->table, i)->next) {
		struct want *want = table_want(&core->table, i);

		if (want->asked != (int32_t)index || want->asked_xid != message->xid)
			continue;
		want->asked = -1;
		want->heeded = true; // who still has the block has gone on: of bytes, the versions tell
		if (want->perm != PERM_WRITE)
			return true;
		want->cleared = message->opcode == OP_OK_REPLY;
		want->refusal = want->cleared ? STATUS_NONE : STATUS_NOT_HOLDER;
		return true;
	}
	return false;
}

void
claim_kept(struct core *core, struct entry *entry)
{
	struct work *work = table_work(&core->table, entry);

	if (work != NULL && work->recall_mover != 0)
		client_refuse_recall(core, entry);
}

bool
claim_inherits(struct core *core, struct entry *entry, const struct child *child)
{
	struct work *work = table_work(&core->table, entry);
	struct want *heir = NULL;

	for (uint32_t i = work != NULL ? work->claim_head : 0; i != 0; i = table_want(&core->table, i)->next) {
		struct want *want = table_want(&core->table, i);

		if (want->perm == PERM_WRITE && want->refusal == STATUS_NONE && want->version >= entry->version &&
		    claimant_names(claimant_get(core, want->claimant), child->node_id) &&
		    (heir == NULL || want->version > heir->version))
			heir = want;
	}
	if (heir == NULL)
		return false;
	heir->cleared = true;
	return true;
}

void
claim_forget_child(struct core *core, struct entry *entry, uint32_t index)
{
	struct work *work = table_work(&core->table, entry);
	uint32_t *link = &work->claim_head;

	while (*link != 0) {
		struct want *want = table_want(&core->table, *link);

		if (want->asked == (int32_t)index)
			want->asked = -1; // its answer will not come
		if (want->child == index && !want->orphan) {
			want->orphan = true;
			core->children[index]->orphans++;
		}
		// One for the permission that was passed on may be granted there: then the record here shows for whom.
		if (want->child != index || (want->perm == PERM_WRITE && (want->up_xid != 0 || want->asked >= 0)))
			link = &want->next;
		else
			want_free(core, link);
		table_touch(&core->table, entry);
	}
}

void
claim_forget_session(struct core *core, uint32_t index)
{
	for (uint32_t i = 1; i < core->table.works.next && core->children[index]->orphans > 0; i++) {
		struct work *work = pool_get(&core->table.works, i);
		uint32_t *link = &work->claim_head;

		while (pool_is_used(&core->table.works, i) && *link != 0) {
			if (table_want(&core->table, *link)->child != index) {
				link = &table_want(&core->table, *link)->next;
				continue;
			}
			want_free(core, link);
			table_touch(&core->table, table_entry(&core->table, work->entry));
		}
	}
	CHECK(core->children[index]->orphans == 0);
}

void
claim_link_down(struct core *core, struct work *work)
{
	uint32_t *link = &work->claim_head;

	while (*link != 0) {
		struct want *want = table_want(&core->table, *link);

		credit_back(core, want);
		want->up_xid = 0;
		if (want->orphan) // nobody makes it any more
			want_free(core, link);
		else
			link = &want->next;
	}
}
