// SPDX-License-Identifier: MIT
// What is noted is in the order of events, so that a run that is claimed in order is one; what is known, or goes out, is sorted, and no
// two of its runs meet.
//
// A claim, when it is made again, has the same first name. Bytes have it somewhere among their names, which are also of those who were
// above their author then, and have brought bytes of that block themselves: newer ones than those are not meant.
#include "core/reclaims.h"
#include "core/check.h"
#include "core/claimant.h"
#include "core/eviction.h"
#include "core/gaps.h"
#include "core/limits.h"
#include "core/put_again.h"
#include "core/stored.h"

#include <stdlib.h>

static enum reclaim_kind
kind_of(const struct want *want)
{
	return want->perm != PERM_WRITE ? RECLAIM_BYTES : put_again_is(want) ? RECLAIM_PUT : RECLAIM_CLAIM;
}

static bool
is_same(const struct reclaim *a, const struct reclaim *b)
{
	return a->node_id == b->node_id && a->kind == b->kind && a->version == b->version;
}

static int
compare(const void *a, const void *b)
{
	const struct reclaim *left = a, *right = b;

	if (left->node_id != right->node_id)
		return left->node_id < right->node_id ? -1 : 1;
	if (left->kind != right->kind)
		return left->kind < right->kind ? -1 : 1;
	if (left->block != right->block)
		return left->block < right->block ? -1 : 1;
	return left->version < right->version ? -1 : left->version > right->version;
}

static void
sort(struct reclaims *reclaims)
{
	uint32_t count = 0;

	if (reclaims->count == 0)
		return;
	qsort(reclaims->list, reclaims->count, sizeof(*reclaims->list), compare);
	for (uint32_t i = 1; i < reclaims->count; i++) {
		struct reclaim *last = &reclaims->list[count], *next = &reclaims->list[i];

		if (!is_same(last, next) || last->block + last->count < next->block + (next->kind == RECLAIM_BYTES))
			reclaims->list[++count] = *next;
		else if (next->block + next->count > last->block + last->count)
			last->count = next->block + next->count - last->block;
	}
	reclaims->count = count + 1;
}

static void
add(struct reclaims *reclaims, const struct reclaim *reclaim)
{
	struct reclaim *last = reclaims->count > 0 ? &reclaims->list[reclaims->count - 1] : NULL;

	if (last != NULL && reclaim->kind != RECLAIM_BYTES && is_same(last, reclaim) && last->block + last->count == reclaim->block) {
		last->count += reclaim->count;
		return;
	}
	if (reclaims->count == LIMIT_RECLAIMS && !reclaims->full) {
		sort(reclaims); // they may have come in another order than they lie in
		reclaims->full = reclaims->count > LIMIT_RECLAIMS / 2;
	}
	if (reclaims->count == LIMIT_RECLAIMS)
		return;
	if (reclaims->count == reclaims->room) {
		reclaims->room = reclaims->room == 0 ? 64 : reclaims->room * 2;
		reclaims->list = realloc(reclaims->list, reclaims->room * sizeof(*reclaims->list));
		CHECK(reclaims->list != NULL);
	}
	reclaims->list[reclaims->count++] = *reclaim;
}

static void
clear(struct reclaims *reclaims)
{
	free(reclaims->list);
	*reclaims = (struct reclaims){0};
}

static void
note(const struct core *core, const struct entry *entry, const struct want *want, enum reclaim_kind kind)
{
	struct reclaim reclaim = {
		.node_id = claimant_get(core, want->claimant)->node_id,
		.block = block_key_block(entry->key),
		.count = 1,
		.version = kind == RECLAIM_BYTES ? want->version : 0,
		.kind = kind,
	};

	add(&entry_volume(core, entry)->reclaims, &reclaim);
}

void
reclaims_note(const struct core *core, const struct entry *entry, const struct want *want)
{
	const struct volume *volume = entry_volume(core, entry);

	if (volume->is_root && volume->in_grace && !volume->grace_ending)
		note(core, entry, want, kind_of(want));
}

// The newest version among the bytes of ${entry} that wait, or among the claims for WRITE; 0: there are none.
static version_t
newest_of(const struct core *core, const struct entry *entry, bool claims)
{
	version_t newest = 0;

	for (uint32_t i = table_work(&core->table, entry)->claim_head; i != 0; i = table_want(&core->table, i)->next) {
		const struct want *want = table_want(&core->table, i);

		if ((want->perm == PERM_WRITE) == claims && want->refusal == STATUS_NONE && want->version > newest)
			newest = want->version;
	}
	return newest;
}

// Bytes beside a claim are taken when it shows that the claimant has none; what is older than those that are taken has been written
// over.
static bool
bytes_will_be_taken(const struct core *core, const struct entry *entry, const struct want *want)
{
	struct bounds bounds = stored_bounds(core, entry, want);

	return want->version <= bounds.low || directory_writer(&core->directory, entry) != NULL || newest_of(core, entry, true) > 0 ||
	       (!entry->claimed && (entry->dir != 0 || (entry->version != 0 && entry->version >= want->version))) ||
	       newest_of(core, entry, false) >= bounds.high;
}

static bool
claim_will_be_granted(const struct core *core, const struct entry *entry, const struct want *want)
{
	const struct dir_record *record = directory_writer(&core->directory, entry);

	if (want->version < entry_newest(core, entry) || stored_goes_past(stored_bounds(core, entry, want), want->version))
		return false;
	if (record != NULL)
		return child_is_same_node(core->children[record->child], core->children[want->child]);
	return entry->dir == 0 && want->version >= newest_of(core, entry, true);
}

// Does somebody have the block, or is going to, so that a PUT has not been done?
static bool
is_claimed(const struct core *core, const struct entry *entry)
{
	bool found = entry->dir != 0;

	for (uint32_t i = table_work(&core->table, entry)->claim_head; i != 0 && !found; i = table_want(&core->table, i)->next) {
		const struct want *want = table_want(&core->table, i);

		found = want->perm == PERM_WRITE && !put_again_is(want) && want->refusal == STATUS_NONE &&
			claim_will_be_granted(core, entry, want);
	}
	return found;
}

// Note what it is as good as certain that ${want} comes to when the grace time is over. (If not, it is because somebody comes who has a
// newer version; the next root would see that, too.)
static void
note_at_end(const struct core *core, const struct entry *entry, const struct want *want)
{
	if (!want->early || want->refusal != STATUS_NONE ||
	    eviction_voids(core, entry_volume(core, entry)->index, claimant_get(core, want->claimant)))
		return;
	if (put_again_is(want))
		note(core, entry, want, is_claimed(core, entry) ? RECLAIM_NOT_PUT : RECLAIM_PUT);
	else if (want->perm == PERM_WRITE ? claim_will_be_granted(core, entry, want)
					  : bytes_will_be_taken(core, entry, want) && !gaps_have(core, entry->key, want->version))
		note(core, entry, want, kind_of(want));
}

void
reclaims_end(struct core *core, struct volume *volume)
{
	for (uint32_t i = 1; i < core->table.works.next && volume->early_claims > 0; i++) {
		const struct work *work = pool_get(&core->table.works, i);
		const struct entry *entry = pool_is_used(&core->table.works, i) ? table_entry(&core->table, work->entry) : NULL;

		if (entry == NULL || entry_volume(core, entry) != volume)
			continue;
		for (uint32_t j = work->claim_head; j != 0; j = table_want(&core->table, j)->next)
			note_at_end(core, entry, table_want(&core->table, j));
	}
	sort(&volume->reclaims);
}

void
reclaims_written(struct volume *volume)
{
	clear(&volume->reclaims);
}

void
reclaims_forget(struct volume *volume)
{
	clear(&volume->reclaims_known);
	clear(&volume->reclaims);
}

static bool
find(const struct reclaims *known, uint64_t node_id, const struct want *want, uint64_t block, enum reclaim_kind kind)
{
	struct reclaim behind = {.node_id = node_id, .block = block, .version = VERSION_MAX, .kind = kind};
	uint32_t low = 0, high = known->count;
	const struct reclaim *found;

	while (low < high) { // those before low do not begin behind it
		uint32_t middle = low + (high - low) / 2;

		if (compare(&known->list[middle], &behind) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	found = low > 0 ? &known->list[low - 1] : NULL;
	return found != NULL && found->node_id == node_id && found->kind == kind && block - found->block < found->count &&
	       (kind != RECLAIM_BYTES || want->version <= found->version);
}

static bool
find_any_name(const struct core *core, const struct entry *entry, const struct want *want, enum reclaim_kind kind)
{
	const struct reclaims *known = &entry_volume(core, entry)->reclaims_known;
	const struct claimant *claimant = claimant_get(core, want->claimant);
	uint64_t block = block_key_block(entry->key);
	bool found = find(known, claimant->node_id, want, block, kind);

	for (uint32_t i = 0; i < claimant->path_count && !found && kind != RECLAIM_CLAIM; i++)
		found = find(known, claimant->path[i], want, block, kind);
	return found;
}

bool
reclaims_have(const struct core *core, const struct entry *entry, const struct want *want)
{
	return find_any_name(core, entry, want, kind_of(want));
}

void
reclaims_judge(const struct core *core, const struct entry *entry, struct want *want)
{
	if (put_again_is(want) && find_any_name(core, entry, want, RECLAIM_NOT_PUT))
		want->refusal = STATUS_NOT_HOLDER;
	else if (reclaims_have(core, entry, want))
		want->reclaimed = true;
	else
		want->refusal = STATUS_EVICTED;
}

void
reclaims_set(struct volume *volume, const struct reclaim *list, size_t count)
{
	clear(&volume->reclaims_known);
	for (size_t i = 0; i < count; i++)
		add(&volume->reclaims_known, &list[i]);
	sort(&volume->reclaims_known);
}
