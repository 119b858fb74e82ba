// SPDX-License-Identifier: MIT
// A claim for WRITE is granted when nobody else can have been given the block since the claimant had it. Who has the
// record decides, by the child under whose name it is:
//
//   the claimant's own earlier session   it goes on
//   a child that is connected            is asked (INVALIDATE with RECOVERY_OP): it knows whether the claimant left it
//   an absent child above the claimant   a live claim is granted: without us that child can not take anything from the
//                                        claimant (eviction.c), and its session is not resumed any more
//   an absent child otherwise            waits until that is evicted; the newest version wins
//   nobody                               refused; but by a root in its grace time, which knows of nothing, granted
//
// A node that has no WRITE itself passes the claim on, and grants what it is granted. Bytes alone (PERMISSIONS NO) are
// taken by whoever was above the claimant before, or by the root: they are newer than what it has, or superseded.
#include "core/verdict.h"
#include "core/check.h"
#include "core/claim.h"
#include "core/claimant.h"
#include "core/client.h"
#include "core/eviction.h"
#include "core/gaps.h"
#include "core/outbox.h"
#include "core/put_again.h"
#include "core/recall.h"
#include "core/reclaims.h"
#include "core/recovery.h"
#include "core/server.h"
#include "core/stored.h"

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
	struct claimant names;
	struct saying say;

	if (want->up_xid != 0 || !client_parent_usable(core, volume) || is_behind(core, entry, want))
		return CLAIM_WAITS;
	if (want->hops_left <= 1)
		return refuse(want, STATUS_LOOP_DETECTED);
	if (!recovery_may_claim(core, volume))
		return CLAIM_WAITS;
	if (!server_wait_room(core, entry, (uint32_t)core->parent.link))
		return CLAIM_WAITS;
	names = *claimant_get(core, want->claimant);
	recovery_add_later_names(volume, &names);
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
		.claimant = &names,
		.live_ms = want->live_until > core->now ? (uint32_t)((want->live_until - core->now + 999) / 1000) : 0,
		.given_ms = server_given_ms(core, volume),
		.item = true,
		.kind = want->buf == NULL ? ITEM_EMPTY : want->buf == buf_zero() ? ITEM_ZERO : ITEM_DATA,
		.version = put_again_is(want) ? 0 : want->version,
		.gap = want->gap,
		.buf = want->buf,
	};
	want->up_xid = outbox_say(core, &say)->xid;
	want->passed_on = true;
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

// The newest bytes are decided about first. Those below a version that somebody has claimed, and is gone with, are given a number
// beyond it; and when older ones are refused, their number counts as one that there was.
static bool
has_newer_bytes(const struct core *core, const struct work *work, const struct want *want)
{
	for (uint32_t i = work->claim_head; i != 0; i = table_want(&core->table, i)->next) {
		const struct want *other = table_want(&core->table, i);

		if (other->perm != PERM_WRITE && other->early && other->refusal == STATUS_NONE && other->version > want->version)
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

// Has the claimant left the child that is on record (F5)? He may have made an earlier claim, on a link that broke, for which that
// child has been asked and has not answered: it lets the block go for him once.
static void
ask_recorded(struct core *core, struct entry *entry, struct want *want, struct dir_record *record)
{
	int32_t child = record->child;

	if (want->asked == child)
		return;
	want->asked_before = record->recall_open && record->recall_moves &&
			     (want->perm != PERM_WRITE || record->recall_perm == PERM_NO) &&
			     table_work(&core->table, entry)->asked_for == claimant_get(core, want->claimant)->node_id;
	if (want->asked_before) {
		want->asked = child;
		want->asked_xid = record->recall_xid;
		return;
	}
	want->asked_xid = recall_for(core, entry, record, want->perm == PERM_WRITE ? PERM_NO : PERM_READ,
				     want->perm == PERM_WRITE && want->live, claimant_get(core, want->claimant));
	want->asked = want->asked_xid != 0 ? child : -1;
}

// R18: the answer to a recall that is under way would be taken for one to what is granted now. But a child that passes on the
// claim of who has the block below it does not answer before that is decided. So that recall is over. False: the answer has to come
// (and does, if the claim is the child's own).
static bool
end_recall(struct core *core, struct entry *entry, const struct want *claim)
{
	struct dir_record *record = directory_find(&core->directory, entry, claim->child);

	if (record == NULL || !record->recall_open)
		return true;
	if (claimant_get(core, claim->claimant)->node_id == core->children[claim->child]->node_id)
		return false;
	return recall_end(core, entry, record);
}

// Somebody else's name is on the record.
static enum verdict
decide_recorded(struct core *core, struct entry *entry, struct want *want, struct dir_record *record)
{
	const struct claimant *claimant = claimant_get(core, want->claimant);
	struct child *child = core->children[want->child], *old = core->children[record->child];

	if (old == child)
		return end_recall(core, entry, want) ? CLAIM_GRANTED : CLAIM_WAITS;
	if (child_is_same_node(old, child))
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

// A block is this node's to decide until it gives it back, or its session ends. The block's own lease may be over meanwhile: it
// says how long the block may be used (T2).
static bool
has_write(const struct core *core, const struct entry *entry)
{
	const struct volume *volume = entry_volume(core, entry);

	return volume->is_root || (entry->held == PERM_WRITE && volume->lease_end > core->now);
}

// Is somebody else asked, who is connected? He knows whether the claimant has left him. That there are newer bytes than the
// claimant's does not say more: somebody below the claimant may have brought them past it, who had the block before.
static bool
is_for_others(const struct core *core, const struct want *want, const struct dir_record *record)
{
	const struct child *child = core->children[want->child], *old;

	if (want->asked >= 0 || record == NULL)
		return want->asked >= 0;
	old = core->children[record->child];
	return old != child && !child_is_same_node(old, child) && old->link >= 0;
}

// Was the block granted here, and nobody's claim of it, by a later root than that under which the author held it? That root had let
// his lease end, and he has to be told, whatever has been written since. (Versions go on behind those of what was lost only when
// somebody has written.)
static bool
was_lost_before(const struct core *core, const struct entry *entry, const struct want *want)
{
	const struct volume *volume = entry_volume(core, entry);
	uint32_t granted_under = entry->anew == ANEW_BEFORE ? volume->held_before : volume->held_epoch;

	return !volume->is_root && entry->held != PERM_NO && entry->anew != ANEW_NOT &&
	       claimant_get(core, want->claimant)->epoch < granted_under;
}

// Bytes that are not newer than what is here, since the block was granted here: were they written over from then on, or was their
// author evicted before? Those above know, or will.
static bool
may_be_lost_before(const struct core *core, const struct entry *entry, const struct want *want)
{
	return !entry_volume(core, entry)->is_root && entry->anew != ANEW_NOT && want->version <= entry->version;
}

// A PUT whose fate is unknown: the root decides, also if the block is this node's. That node does not know whether it has had it ever
// since, nor who had it before; the root knows whether it came by a claim.
static enum verdict
decide_put(struct core *core, struct entry *entry, struct want *want)
{
	const struct work *work = table_work(&core->table, entry);

	if (entry_volume(core, entry)->is_root)
		return put_again_decide(core, entry, want);
	if (put_again_waits(work) || put_again_is_behind(core, work, want))
		return CLAIM_WAITS;
	return pass_on(core, entry, want);
}

static enum verdict
decide_write(struct core *core, struct entry *entry, struct want *want)
{
	struct work *work = table_work(&core->table, entry);
	struct dir_record *record;

	if (work->claim)
		return CLAIM_WAITS;
	if (!has_write(core, entry))
		return pass_on(core, entry, want);
	if (claim_leaves(core, entry))
		return CLAIM_WAITS; // passed on, when it has left
	record = directory_writer(&core->directory, entry);
	if (was_lost_before(core, entry, want) || stored_goes_past(stored_bounds(core, entry, want), want->version) ||
	    (want->version < entry_newest(core, entry) && !is_for_others(core, want, record)))
		return refuse(want, STATUS_NOT_HOLDER);
	return record != NULL ? decide_recorded(core, entry, want, record) : decide_unrecorded(core, entry, want);
}

// Has somebody let the block go for a claim, which is to be granted?
static bool
has_cleared_claim(const struct core *core, const struct entry *entry)
{
	const struct work *work = table_work(&core->table, entry);

	for (uint32_t i = work->claim_head; i != 0; i = table_want(&core->table, i)->next) {
		const struct want *other = table_want(&core->table, i);

		if (other->perm == PERM_WRITE && other->cleared && other->refusal == STATUS_NONE)
			return true;
	}
	return false;
}

// What a root has, under a version of its own epoch, was written: nobody has to be waited for to tell whether other bytes are older.
static bool
has_content(const struct core *core, const struct entry *entry)
{
	return entry_volume(core, entry)->is_root && !entry->claimed;
}

// Who has the block on record as the writer, above the claimant, must not bring up older bytes with a version beyond the
// claimant's when it gives him up: it has to let go, or, if it is absent, to claim anew. It need not be named: bytes newer than
// those here can come from below it alone. False: it is being asked.
static bool
heed_record(struct core *core, struct entry *entry, struct want *want)
{
	const struct claimant *claimant = claimant_get(core, want->claimant);
	struct child *child = core->children[want->child], *old;
	struct dir_record *record = directory_writer(&core->directory, entry);

	if (has_cleared_claim(core, entry))
		want->heeded = false; // who is about to be granted the block has to heed them, too
	if (want->asked >= 0 || has_cleared_claim(core, entry))
		return false;
	if (want->heeded || record == NULL || core->children[record->child] == child)
		return true;
	old = core->children[record->child];
	if ((!claimant_names(claimant, old->node_id) || has_content(core, entry)) && want->version <= entry->version)
		return true;
	want->heeds = true;
	if (old->link >= 0 && (old->node_id != claimant->node_id || old->number >= claimant->number)) {
		ask_recorded(core, entry, want, record);
		return false;
	}
	old->moved = true;
	return true;
}

// What a proxy may read, or is about to, is the newest by the word of those above, who may refuse newer bytes. If it has nothing
// of the block, they may have given that to others, and have evicted the author, since he was below this node: what it took and sent
// on under its own name would not be refused for that.
static bool
is_for_those_above(const struct core *core, const struct entry *entry)
{
	const struct work *work = table_work(&core->table, entry);

	if (entry_volume(core, entry)->is_root)
		return false;
	return entry->held == PERM_READ ||
	       (entry->held == PERM_NO && (entry->copy < COPY_UNSTABLE || (work->ask == ASK_SENT && work->ask_perm == PERM_READ)));
}

// Who has the block for writing need not be named: his child may know him by an earlier name only. Bytes newer than his can
// come from below him alone; others, above, may not take them beside him. Of older ones he does not know whether they are lost.
static bool
decides_bytes(const struct core *core, const struct entry *entry, const struct want *want)
{
	const struct claimant *claimant = claimant_get(core, want->claimant);
	const struct volume *volume = entry_volume(core, entry);

	if (was_lost_before(core, entry, want) || may_be_lost_before(core, entry, want))
		return false;
	if (want->version > entry->version && is_for_those_above(core, entry))
		return false;
	return claimant_names(claimant, volume->node_id) || (volume->is_root && want->early) ||
	       (!volume->is_root && has_write(core, entry) && !entry->stale && want->version > entry->version);
}

// Has another root served since what the claimant holds was confirmed? Not, if that one has taken it.
static bool
misses_root(const struct core *core, const struct entry *entry, const struct want *want)
{
	return claimant_get(core, want->claimant)->epoch < entry_volume(core, entry)->claims_since &&
	       !reclaims_have(core, entry, want);
}

// A root that leaves in order takes back all that it has given, with the bytes, or evicts who does not answer, when his lease is
// over. So what was held to its end, under a lease that lasts, is on stable storage, or what was written over it.
static bool
was_held_at_farewell(const struct core *core, const struct volume *volume, const struct want *want)
{
	return want->perm == PERM_READ && want->live && stored_is_after_leave(volume) &&
	       claimant_get(core, want->claimant)->epoch + 1 == volume->epoch;
}

// Bytes that come after the grace time, of an author whom this root does not know: somebody may have brought them already,
// since every node that they passed keeps them until they are durable. If the author has missed another root that has served
// in between, what is newer need not have been written over them: that root may never have had them. But they may be those that
// somebody has claimed, and does not have: the author's own claim came behind that one.
static enum verdict
decide_late_bytes(const struct core *core, const struct entry *entry, struct want *want)
{
	const struct volume *volume = entry_volume(core, entry);
	const struct dir_record *record = directory_writer(&core->directory, entry);

	if (entry->claimed && record != NULL && record->early && want->version == entry->version)
		return CLAIM_TAKEN;
	if (was_held_at_farewell(core, volume, want))
		return CLAIM_TAKEN;
	if (!misses_root(core, entry, want) && stored_has(volume, block_key_block(entry->key), want->version))
		return CLAIM_TAKEN;
	return refuse(want, STATUS_EVICTED);
}

// Has who claimed the block died with it, and come back with these bytes of his? His session from then is not evicted as long as he has
// not said that he brings no more, and he waits for this; it ends, for this block, when its lease is over: so long somebody below
// it may still come with a claim.
static bool
outlives_claim(struct core *core, struct entry *entry, const struct want *want, const struct dir_record *record)
{
	const struct claimant *claimant = claimant_get(core, want->claimant);
	struct child *old = core->children[record->child];

	if (old->link >= 0 || !old->lapsed || old->node_id != claimant->node_id || old->number >= claimant->number)
		return false;
	directory_set(&core->directory, &old->dir, (uint16_t)old->index, entry, record->entry, PERM_NO);
	table_touch(&core->table, entry); // others wait for it, too
	return true;
}

// Bytes that were recalled from the claimant may be older than what the storage has. The version log of a root that was
// started anew tells (stored.c). When it does not, somebody who has had the block since and claims it has them, or newer
// ones; he may die before he has sent them, so that is decided when he has given the block back. Else those who wrote over
// them have made that durable, or it has died with them: nobody can tell, and so the author must be told.
// As long as who has claimed it has it, nobody has been given what is here: so it is not too late for those that are newer.
static enum verdict
decide_recalled_bytes(struct core *core, struct entry *entry, struct want *want)
{
	struct bounds bounds = stored_bounds(core, entry, want);
	bool brought = !entry->claimed && entry->version != 0 && entry->version >= want->version;
	const struct dir_record *record = directory_writer(&core->directory, entry);
	bool is_claimed;

	if (record != NULL && outlives_claim(core, entry, want, record))
		record = NULL;
	is_claimed = entry->claimed && record != NULL;
	if (claim_in_grace(core, entry_volume(core, entry)))
		return CLAIM_WAITS;
	if (!want->early && (record == NULL || !record->early || misses_root(core, entry, want) ||
			     (!is_claimed && want->version < entry->version)))
		return decide_late_bytes(core, entry, want);
	// The storage has them, or newer ones, or somebody has brought those since; or they are those that somebody has claimed.
	if (want->version <= bounds.low || stored_was_brought(entry_volume(core, entry), block_key_block(entry->key), want->version) ||
	    (is_claimed && want->version >= entry->version))
		return CLAIM_TAKEN;
	if (has_newer_claim(core, table_work(&core->table, entry), want))
		return CLAIM_WAITS;
	if (is_claimed) {
		recall_children(core, entry, -1, PERM_READ); // he has not brought them yet
		return CLAIM_WAITS;
	}
	if (has_newer_bytes(core, table_work(&core->table, entry), want))
		return CLAIM_WAITS;
	if (brought || (entry->dir != 0 && !entry->claimed) || want->version >= bounds.high)
		return CLAIM_TAKEN; // versions tell, or nothing newer can be durable
	if (entry->version < want->version) { // there was one (R11)
		entry->version = want->version;
		entry->claimed = true;
	}
	return refuse(want, STATUS_EVICTED);
}

// A proxy may not know what has come of bytes that are not newer than what it knows of. The version of a block that it neither
// has nor holds may be that of another, which it has forgotten (R11), or of bytes that were refused; that of a clean copy which it
// does not hold, of bytes that were lost above since; and what it has been given by a root that was started anew may be what was
// there before them.
static bool
has_as_new(const struct entry *entry, const struct want *want)
{
	return (entry->copy >= COPY_UNSTABLE || entry->held >= PERM_READ) &&
	       version_epoch(want->version) == version_epoch(entry->version);
}

// A proxy has these bytes, or newer ones, which those above have, too, or will get: nobody needs to let the block go for these.
static bool
is_here(const struct core *core, const struct entry *entry, const struct want *want)
{
	return !entry_volume(core, entry)->is_root && want->asked < 0 && want->version <= entry->version &&
	       entry->copy != COPY_ABSENT && !entry->stale && has_as_new(entry, want);
}

// Bytes that are newer than what others may read here come from who has kept them too long: nobody was given the block before
// all that was written had come home (R6). As with any write, who reads is asked to stop first, also who passes the bytes
// on for another.
static bool
goes_past_readers(struct core *core, struct entry *entry, struct want *want)
{
	const struct volume *volume = entry_volume(core, entry);
	bool clear;

	if (!volume->is_root || want->version <= entry->version || directory_writer(&core->directory, entry) != NULL || want->heeds)
		return false;
	clear = recall_children(core, entry, want->own ? want->child : -1, PERM_NO);
	want->past_readers |= !clear;
	return !clear;
}

// Was somebody who is named by bytes evicted after they had come? Who had the block then has let it go for them, or for others
// behind which they waited, or has what was written over them.
static bool
came_before_eviction(const struct entry *entry, const struct want *want)
{
	return want->perm != PERM_WRITE && (want->asked >= 0 || ((want->heeds || want->past_readers) && want->version >= entry->version));
}

// What was held to the end, under a root before this one, tells no more than what was recalled, when this one has served others. (The
// author may name this one by now, from a session in which he has told it nothing.)
static bool
is_late(const struct core *core, const struct entry *entry, const struct want *want)
{
	return !want->early && claimant_get(core, want->claimant)->epoch < entry_volume(core, entry)->epoch;
}

enum verdict
verdict_of(struct core *core, struct entry *entry, struct want *want)
{
	struct volume *volume = entry_volume(core, entry);

	if (want->refusal != STATUS_NONE)
		return CLAIM_REFUSED;
	if (want->cleared && want->perm == PERM_WRITE && !volume->is_root && entry->held != PERM_WRITE) {
		want->cleared = false; // we have lost it meanwhile
		want->up_xid = 0;
	}
	if (want->cleared && want->perm == PERM_WRITE)
		return end_recall(core, entry, want) ? CLAIM_GRANTED : CLAIM_WAITS;
	if (want->cleared)
		return CLAIM_TAKEN;
	if (want->perm != PERM_WRITE && gaps_have(core, entry->key, want->version))
		return refuse(want, STATUS_EVICTED); // nobody who had the block from then on has seen them
	if (eviction_voids(core, volume->index, claimant_get(core, want->claimant)) && !came_before_eviction(entry, want))
		return refuse(want, STATUS_EVICTED);
	if (version_epoch(want->version) > volume->epoch)
		return pass_on(core, entry, want); // an epoch that we do not know of: the root does
	if (want->perm == PERM_WRITE)
		return put_again_is(want) ? decide_put(core, entry, want) : decide_write(core, entry, want);
	if (decides_bytes(core, entry, want)) {
		// A root may compare with what it has only bytes that were written under its own epoch.
		// What was held to the end, under a root before the last, others may have been given by that one.
		if ((want->perm == PERM_NO || want->reclaimed || is_late(core, entry, want)) && volume->is_root && !want->heeds &&
		    (want->early || version_epoch(want->version) < volume->epoch)) {
			enum verdict verdict = decide_recalled_bytes(core, entry, want);

			if (verdict != CLAIM_TAKEN || want->version <= entry->version)
				return verdict;
		}
		if (is_here(core, entry, want))
			return CLAIM_TAKEN;
		if (!heed_record(core, entry, want))
			return CLAIM_WAITS;
		// There are newer bytes than ours, and we do not know their version (it was claimed, it may be): whether they
		// are these is for those to say who do.
		if (entry->stale || (!volume->is_root && want->version <= entry->version && !has_as_new(entry, want)))
			return pass_on(core, entry, want);
		return goes_past_readers(core, entry, want) ? CLAIM_WAITS : CLAIM_TAKEN;
	}
	if (volume->is_root)
		return decide_late_bytes(core, entry, want);
	return pass_on(core, entry, want);
}
