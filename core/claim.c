// SPDX-License-Identifier: MIT
// Claims of children: arriving, what becomes of them, what others say to them. Who gets the block is decided in verdict.c.
#include "core/claim.h"
#include "core/check.h"
#include "core/claimant.h"
#include "core/client.h"
#include "core/dirty.h"
#include "core/eviction.h"
#include "core/gaps.h"
#include "core/outbox.h"
#include "core/peer_room.h"
#include "core/put_again.h"
#include "core/recovery.h"
#include "core/recall.h"
#include "core/reclaims.h"
#include "core/server.h"
#include "core/stored.h"
#include "core/verdict.h"
#include "core/writeback.h"

bool
claim_in_grace(const struct core *core, const struct volume *volume)
{
	return volume->is_root && volume->in_grace;
}

// ---- arriving ----

// A claim of a child that has left: has somebody been asked, here or above, or will be? (One that waits for another eviction
// here is not meant: that one could wait for this in turn.)
static bool
is_awaited(const struct core *core, const struct want *want)
{
	const struct entry *entry = table_entry(&core->table, want->entry);

	return want->orphan && want->perm == PERM_WRITE &&
	       (want->asked >= 0 || want->cleared || (!entry_volume(core, entry)->is_root && entry->held != PERM_WRITE));
}

// The last of the answers may be here that the eviction of an absent child waits for (claim_may_be_granted).
static void
set_awaited(struct core *core, struct want *want, bool awaited)
{
	struct child *child = core->children[want->child];

	if (want->awaited == awaited)
		return;
	want->awaited = awaited;
	child->awaited += awaited ? 1 : UINT32_MAX;
	if (child->awaited > 0)
		return;
	if (child->lapsed && child->evict_retry_at == 0)
		child->evict_retry_at = core->now;
	core_wake(core, core->now);
}

// How many bytes it keeps in memory.
static size_t
room_of(const struct buf *buf)
{
	return buf != NULL && buf != buf_zero() ? buf_size(buf) : 0;
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
	peer_room_give(core, want->room_of, PEER_CLAIMS, room_of(want->buf));
	buf_unref(want->buf);
	claimant_release(core, want->claimant);
	set_awaited(core, want, false);
	if (want->orphan && --child->orphans == 0)
		core_wake(core, core->now); // nothing may be left of its session
	pool_free(&core->table.wants, index);
}

static void
answer(struct core *core, const struct entry *entry, const struct want *want, enum status status)
{
	const struct child *child = core->children[want->child];

	if (!want->orphan) // on another link its number means something else
		server_answer_block(core, child, block_key_block(entry->key), want->xid, status);
}

// The same claim made again takes the place of the first, whatever child it comes through (F4), and has come in time if that has
// (${early}). (A PUT, ${put}, names all the names of its author, and no others.) False: the claimant has made it on a newer link already.
static bool
forget_earlier(struct core *core, struct entry *entry, enum perm perm, bool put, const struct claimant *claimant, bool *early)
{
	uint32_t *link = &table_work_make(&core->table, entry)->claim_head;

	while (*link != 0) {
		struct want *want = table_want(&core->table, *link);
		const struct claimant *other = claimant_get(core, want->claimant);

		bool same = other->node_id == claimant->node_id ||
			    (put && put_again_is(want) && claimant_names(claimant, other->node_id));

		if (want->perm != (uint8_t)perm || !same) {
			link = &want->next;
			continue;
		}
		if (other->number > claimant->number)
			return false;
		answer(core, entry, want, put_again_is(want) ? STATUS_EVICTED : STATUS_NOT_HOLDER); // who passed it on does not wait for ever
		*early |= want->early;
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
	bool early = claim_in_grace(core, volume);
	size_t size = room_of(item->kind == ITEM_DATA ? item->buf : NULL);

	table_touch(&core->table, entry);
	if (!peer_room_add(core, child->peer, PEER_CLAIMS, size) || core->table.wants.used >= LIMIT_CLAIMS) {
		peer_room_give(core, child->peer, PEER_CLAIMS, size);
		server_answer_block(core, child, block_key_block(entry->key), message->xid, STATUS_TOO_MANY);
		return;
	}
	if (!forget_earlier(core, entry, message->perm, item->kind != ITEM_EMPTY, claimant_get(core, claimant), &early)) {
		peer_room_give(core, child->peer, PEER_CLAIMS, size);
		server_answer_block(core, child, block_key_block(entry->key), message->xid,
				    item->kind != ITEM_EMPTY ? STATUS_EVICTED : STATUS_NOT_HOLDER);
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
	want->gap = gaps_told(message);
	want->buf = item->kind == ITEM_ZERO ? buf_zero() : item->kind == ITEM_DATA ? buf_ref(item->buf) : NULL;
	want->claimant = claimant;
	want->room_of = child->peer;
	want->asked = -1;
	want->sync = (message->flags & FLAG_FORCE_SYNC) != 0 || child->sync;
	want->own = message->node_id == child->node_id;
	want->live = message->ttl_ms > 0;
	want->live_until = moment_after_ms(core->now, message->ttl_ms);
	want->early = early;
	if (want->early && message->ttl_ms == 0 && claimant_get(core, claimant)->epoch < volume->claims_since)
		reclaims_judge(core, entry, want); // it missed a root that has served others
	volume->early_claims += want->early;
	core->claimants[claimant - 1].uses++;
	for (link = &work->claim_head; *link != 0; link = &table_want(&core->table, *link)->next)
		;
	*link = index;
}

// Sessions of the same node from before: what it has not claimed it does not want.
static void
claims_ended(struct core *core, struct child *child)
{
	child->settled = true;
	claimant_forget_child(core, child);
	for (uint32_t i = 0; i < core->child_count; i++) {
		const struct child *other = core->children[i];

		if (other->in_use && i != child->index && other->volume == child->volume && other->link < 0 &&
		    child_is_same_node(other, child) && !other->evicting) {
			eviction_inherit_former(child, other);
			server_child_free(core, i, true);
		}
	}
}

// The claimant's children, or theirs, were given longer leases than he has now: so long what he claims counts as held below this
// child (T3), though not longer than we would wait for an answer.
static void
given_below(struct core *core, struct child *child, uint32_t given_ms)
{
	moment_us limit_ms = recall_limit_us(core) / 1000;

	server_lease_given(core, child, given_ms < limit_ms ? given_ms : (uint32_t)limit_ms);
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
	if (message->present & PRESENT(HB_TTL))
		given_below(core, child, message->hb_ttl_ms);
	for (uint32_t i = 0; i < message->count; i++) {
		block_key key = block_key_make(volume->index, message->block + i);
		struct entry *entry;

		if (!server_version_fits(volume, message->items[i].version)) {
			server_answer_block(core, child, message->block + i, message->xid, STATUS_BAD_PARAM_VALUE);
			continue;
		}
		entry = claim_in_grace(core, volume) ? table_make(&core->table, key, NULL) // its version is not known yet
						     : entry_make(core, volume, message->block + i);
		if (put_again_taken(core, child, entry, message, i)) {
			server_acknowledged(core, child);
			table_touch(&core->table, entry);
			continue;
		}
		claim_add(core, child, entry, message, i, claimant);
	}
	claimant_release(core, claimant);
}

// ---- answers ----

// A block was, or may have been, taken from somebody who is away and knows nothing of it. If the child that got it never hears
// of that, and the claimant goes back to who is away, those two have the block by right: until the child is evicted (F2).
static void
note_taken(struct core *core, const struct want *want)
{
	const struct child *child = core->children[want->child];

	if (want->orphan || (!child->settled && claimant_get(core, want->claimant)->node_id == child->node_id))
		claimant_granted(core, want->claimant, child);
}

// The block of ${record} goes to the claimant. A child that is connected, and has not been asked as our own parent has decided,
// has to learn that the claimant has left it.
static void
take_from(struct core *core, struct entry *entry, struct dir_record *record, const struct want *want)
{
	struct child *child = core->children[want->child], *old = core->children[record->child];
	const struct claimant *claimant = claimant_get(core, want->claimant);

	if (old->link >= 0 && !child_is_same_node(old, child) && old->node_id != claimant->node_id) {
		directory_set_revoked(&old->dir, record, true);
		table_work_make(&core->table, entry)->revoked = true;
		recall_for(core, entry, record, PERM_NO, want->live, claimant);
		return;
	}
	if (!child_is_same_node(old, child)) {
		if (old->link >= 0) // the claim is in its own name: as a liar's may be
			outbox_close_link(core, (uint32_t)old->link, "the child has to say anew what it holds");
		old->moved = true;
		core->volumes[old->volume]->passed_over += !old->passed_over;
		old->passed_over = true;
		note_taken(core, want);
	}
	directory_set(&core->directory, &old->dir, (uint16_t)old->index, entry, record->entry, PERM_NO);
}

// What the child had asked for before it made, or passed on, the claim is answered without bytes: the newest are with the
// claimant, and what is above would be taken for them. A child that lacks bytes afterwards asks again. What it wanted to put in
// their place is not taken any more: it would not be told from a repetition (put_again.h), and the claimant may write before
// it. The child may write it now itself. Nor is a digest answered, for it would take no bytes for those that it has named.
static void
spare_bytes(struct core *core, const struct entry *entry, const struct want *claim)
{
	const struct work *work = table_work(&core->table, entry);

	for (uint32_t i = work->want_head; i != 0; i = table_want(&core->table, i)->next) {
		struct want *want = table_want(&core->table, i);

		if (want->child != claim->child || want->applied || (want->kind != WANT_GET && want->kind != WANT_PUT))
			continue;
		if (want->buf != NULL || want->has_digest)
			server_refuse(core, entry, want, STATUS_IN_RECOVERY);
		want->kind = want->buf != NULL || want->has_digest ? WANT_NONE : WANT_LOCK;
	}
}

static void
acknowledged(struct core *core, const struct want *want, bool kept)
{
	struct child *child = core->children[want->child];

	if (!want->orphan)
		server_acknowledged(core, child);
	if (!kept)
		child->passed_on = child->acknowledged;
}

// Who had claimed a newer version, which is on record as that of the block, has let it go, and has not brought its bytes first, as he
// would have: so there are none.
static bool
was_claimed_in_vain(const struct core *core, const struct entry *entry, const struct want *want)
{
	return entry->claimed && entry->version > want->version && !put_again_is(want) &&
	       directory_find(&core->directory, entry, want->child) == NULL;
}

static void
grant(struct core *core, struct entry *entry, struct want *want)
{
	struct child *child = core->children[want->child];
	struct dir_record *record = directory_first(&core->directory, entry);
	struct bounds bounds = stored_bounds(core, entry, want);
	bool is_root = entry_volume(core, entry)->is_root;
	bool early = (want->early || entry->claimed) && put_again_is_told(want); // nobody else has been given the block since the grace time
	version_t told;

	if (put_again_is(want)) {
		put_again_apply(core, entry, want);
		acknowledged(core, want, is_root);
	}
	if (want->cleared)
		note_taken(core, want); // those above us may have taken it from one who is away
	while (record != NULL) { // at most one, a writer's, that is not revoked
		struct child *old = core->children[record->child];
		struct dir_record *next = directory_next(&core->directory, record);

		early |= record->early && !record->revoked;
		if (old != child && !record->revoked)
			take_from(core, entry, record, want);
		record = next;
	}
	// The child is told whether our own copy is as new as its own. A root that was started anew knows only what its
	// storage has for certain, and what has come since, past the claimant, it may be.
	told = entry->claimed ? bounds.low : entry_newest(core, entry);
	if (want->early && told < bounds.low)
		told = bounds.low;
	if (want->early && entry->copy == COPY_ABSENT && (entry->version < want->version || was_claimed_in_vain(core, entry, want))) {
		entry->version = want->version;
		entry->claimed = want->version > bounds.low;
	}
	entry->stale |= want->version > entry->version && !is_root;
	core_trace(core, "block %llu: claimed by %s", (unsigned long long)block_key_block(entry->key), child->name);
	server_grant_claim(core, entry, want, put_again_is(want) ? want->version : told);
	record = directory_find(&core->directory, entry, want->child);
	record->early = early;
	record->put = put_again_is(want) && want->own;
	spare_bytes(core, entry, want);
}

// Bytes that were sent up before and may have been lost.
static void
take(struct core *core, struct entry *entry, const struct want *want)
{
	struct item item = {.version = want->version, .kind = ITEM_DATA, .buf = want->buf};
	struct bounds bounds = stored_bounds(core, entry, want);
	struct volume *volume = entry_volume(core, entry);
	bool lacks = entry->copy == COPY_ABSENT && volume->is_root;
	bool known = want->early ? stored_was_brought(volume, block_key_block(entry->key), want->version)
				 : stored_has(volume, block_key_block(entry->key), want->version);

	if (want->buf == buf_zero())
		item.kind = ITEM_ZERO;
	// Who claimed a newer version is gone, and it with him: its number is not used again (R11).
	if (want->early && entry->claimed && directory_writer(&core->directory, entry) == NULL &&
	    want->version >= bounds.high && want->version <= entry->version)
		item.version = entry->version + 1;
	if ((item.version > entry->version || (item.version == entry->version && lacks)) &&
	    !known && stored_is_newer(bounds, want->version)) {
		gaps_note(core, entry->key, want->gap);
		server_absorb(core, entry, &item);
		server_brought(core, core->children[want->child], entry, item.buf);
		stored_brought(volume, block_key_block(entry->key), want->version);
		if (volume->is_root && want->early && (want->perm == PERM_NO || want->reclaimed))
			writeback_restore(core, entry);
	}
	if (!volume->is_root && table_work(&core->table, entry)->claim_clean)
		table_work(&core->table, entry)->claim_clean = false; // what is kept stands for somebody's bytes now
	acknowledged(core, want, volume->is_root || entry->copy == COPY_DIRTY || entry->copy == COPY_UNSTABLE);
	if (want->sync && !want->orphan && !volume->is_root &&
	    !dirty_accepted(core, entry, want->version))
		server_flush_wait(core, entry, want, want->version); // a synchronous write waits for the root
	else
		answer(core, entry, want, STATUS_NONE);
}

// ---- deciding ----

// What has gone past us may be newer than what is here, and than what a child has by a claim that was granted behind it. (What we only
// read is recalled by those who have taken it.)
static void
taken_above(struct core *core, struct entry *entry, const struct want *want)
{
	if (entry->held == PERM_WRITE && want->version > entry->version) {
		if (entry->copy == COPY_DIRTY)
			dirty_superseded(core, entry);
		entry->stale |= entry->copy != COPY_ABSENT;
		client_learn_version(core, entry, want->version);
		recovery_ask_writers(core, entry, want->child);
	}
	acknowledged(core, want, false);
	answer(core, entry, want, STATUS_NONE);
}

bool
claim_advance(struct core *core, struct entry *entry)
{
	struct work *work = table_work(&core->table, entry);
	uint32_t *link = &work->claim_head;

	while (*link != 0) {
		struct want *want = table_want(&core->table, *link);
		enum verdict verdict = verdict_of(core, entry, want);

		if (verdict == CLAIM_WAITS) {
			set_awaited(core, want, is_awaited(core, want));
			link = &want->next;
			continue;
		}
		if (verdict != CLAIM_REFUSED)
			reclaims_note(core, entry, want);
		if (verdict == CLAIM_GRANTED)
			grant(core, entry, want);
		else if (verdict == CLAIM_REFUSED)
			answer(core, entry, want, want->refusal);
		else if (want->cleared)
			taken_above(core, entry, want);
		else
			take(core, entry, want);
		want_free(core, link);
		link = &work->claim_head; // the others may see it with other eyes now
	}
	return work->claim_head == 0;
}

bool
claim_decides(const struct core *core, const struct work *work)
{
	uint32_t i = work->claim_head;

	while (i != 0 && table_want(&core->table, i)->perm != PERM_WRITE && table_want(&core->table, i)->asked < 0)
		i = table_want(&core->table, i)->next;
	return i != 0;
}

// ---- what others say ----

// Who gets what is granted to ${want}: itself, or, when its lease was over and others could have had the block since, who claims
// a newer version of it behind.
static struct want *
newest_behind(struct core *core, const struct work *work, struct want *want)
{
	struct want *newest = want;

	for (uint32_t i = work->claim_head; i != 0 && !want->live && !put_again_is(want); i = table_want(&core->table, i)->next) {
		struct want *other = table_want(&core->table, i);

		if (other->perm == PERM_WRITE && other->refusal == STATUS_NONE && !other->orphan && !put_again_is(other) &&
		    other->version > newest->version)
			newest = other;
	}
	return newest;
}

static void
passed_on_granted(struct core *core, struct entry *entry, struct want *want, const struct message *message,
		  const struct item *item)
{
	struct volume *volume = entry_volume(core, entry);

	if (want->perm == PERM_WRITE) {
		want->up_xid = 0;
		newest_behind(core, table_work(&core->table, entry), want)->cleared = true;
		if (put_again_is(want)) {
			want->version = item->version;
			volume->unsynced = true;
		}
	} else {
		want->cleared = true;
		volume->unsynced = true; // a barrier of the child's has to go up, too
		return;
	}
	client_take_grant(core, entry, message, core->parent.answered);
	entry->anew = ANEW_NOT;
	// The child has to learn what the parent has, not what was here under an earlier session. What is still to be brought
	// up of that goes on, unless the parent has newer bytes.
	if (entry->copy == COPY_DIRTY && item->version > entry->version)
		dirty_superseded(core, entry);
	if (entry->copy == COPY_CLEAN && item->version != entry->version)
		entry_drop_copy(core, entry);
	else if (entry->copy == COPY_UNSTABLE && item->version > entry->version)
		entry->stale = 1;
	client_learn_version(core, entry, item->version);
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
	if (message->opcode == OP_OK_REPLY)
		passed_on_granted(core, entry, table_want(&core->table, index), message, item);
	else if (!table_want(&core->table, index)->orphan &&
		 recovery_retries(core, entry_volume(core, entry), message->status))
		table_want(&core->table, index)->up_xid = table_want(&core->table, index)->passed_on = 0;
	else
		table_want(&core->table, index)->refusal =
			(uint8_t)(client_superseded(entry, message) ? STATUS_EVICTED : message->status);
	return true;
}

bool
claim_answered(struct core *core, struct entry *entry, uint32_t index, const struct message *message)
{
	struct work *work = table_work(&core->table, entry);
	bool any = false;

	for (uint32_t i = work != NULL ? work->claim_head : 0; i != 0; i = table_want(&core->table, i)->next) {
		struct want *want = table_want(&core->table, i);

		if (want->asked != (int32_t)index || (want->asked_xid != message->xid && want->perm == PERM_WRITE))
			continue;
		any = true;
		want->asked = -1;
		if (want->asked_xid != message->xid)
			continue; // a claim took the place of the question: it is asked again, if it has to be
		if (want->asked_before && message->opcode != OP_OK_REPLY)
			continue; // of the earlier one, that may be: it is asked again
		want->heeded = true; // who still has the block has gone on: of bytes, the versions tell
		if (want->perm != PERM_WRITE)
			continue;
		want->cleared = message->opcode == OP_OK_REPLY;
		want->refusal = want->cleared ? STATUS_NONE : STATUS_NOT_HOLDER;
	}
	return any;
}

bool
claim_inherits(struct core *core, struct entry *entry, const struct child *child)
{
	struct work *work = table_work(&core->table, entry);
	struct want *heir = NULL;

	for (uint32_t i = work != NULL ? work->claim_head : 0; i != 0; i = table_want(&core->table, i)->next) {
		struct want *want = table_want(&core->table, i);

		if (want->perm == PERM_WRITE && !put_again_is(want) && want->refusal == STATUS_NONE &&
		    want->version >= entry->version && !eviction_voids(core, child->volume, claimant_get(core, want->claimant)) &&
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
		// One for the permission that was passed on may be granted there: then the record here shows for whom. What
		// came in the grace time is as good as before; so are bytes that somebody lets the block go for.
		if (want->child != index || want->early || (want->buf != NULL && (want->asked >= 0 || want->heeded)) ||
		    (want->perm == PERM_WRITE && (want->passed_on || want->asked >= 0)))
			link = &want->next;
		else
			want_free(core, link);
		table_touch(&core->table, entry);
	}
}

bool
claim_may_be_granted(const struct core *core, const struct child *child)
{
	if (child->awaited > 0)
		return true;
	// What they are counted by is looked at in turn: for what has changed in this step, once for each eviction.
	for (uint32_t i = 1; i < core->table.works.next && child->orphans > 0; i++) {
		const struct work *work = pool_get(&core->table.works, i);
		uint32_t claim = pool_is_used(&core->table.works, i) ? work->claim_head : 0;

		for (; claim != 0; claim = table_want(&core->table, claim)->next) {
			const struct want *want = table_want(&core->table, claim);

			if (want->child == child->index && is_awaited(core, want))
				return true;
		}
	}
	return false;
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
	for (uint32_t i = work->claim_head; i != 0; i = table_want(&core->table, i)->next) {
		struct want *want = table_want(&core->table, i);

		want->up_xid = 0;
		if (!want->orphan)
			continue;
		// The claimant has left: he may have been given the block elsewhere; but this claim may have been granted, too.
		// Made again as one that is late, it gets what is on record for us, or what nobody can have any more.
		want->live = false;
		want->live_until = core->now;
	}
}
