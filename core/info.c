// SPDX-License-Identifier: MIT
// What others may ask of the core, and the check of its invariants.
#include "core/info.h"
#include "core/check.h"
#include "core/claim.h"
#include "core/overflow.h"
#include "core/state.h"

uint32_t
core_volume_count(const struct core *core)
{
	return core->volume_count;
}

static int64_t
left_ms(moment_us end, moment_us now)
{
	return end > now ? (int64_t)((end - now) / 1000) : 0;
}

// What the volume is doing, by what is true now.
static enum volume_phase
phase_now(const struct core *core, const struct volume *volume, moment_us now)
{
	if (volume->aborted)
		return PHASE_ABORTED;
	if (core->stop != STOP_NO)
		return PHASE_STOPPING;
	if (volume->is_root)
		return volume->in_grace ? PHASE_GRACE : PHASE_SERVING;
	if (!volume->announced)
		return PHASE_STARTING;
	if (volume->connected)
		return volume->claims > 0 || volume->claims_end_due ? PHASE_RECOVERING : PHASE_SERVING;
	return volume->lease_end > now ? PHASE_CUT_OFF : PHASE_LAPSED;
}

void
info_pump(struct core *core)
{
	for (uint32_t i = 0; i < core->volume_count; i++) {
		struct volume *volume = core->volumes[i];
		enum volume_phase phase = phase_now(core, volume, core->now);

		if (phase == volume->phase && volume->phase_since != 0)
			continue;
		volume->phase = phase;
		volume->phase_since = core->now;
	}
}

static enum child_phase
child_phase(const struct child *child)
{
	if (child->evicting)
		return CHILD_EVICTING;
	if (child->link >= 0)
		return CHILD_CONNECTED;
	return child->lapsed ? CHILD_LAPSED : CHILD_ABSENT;
}

static uint64_t
waiting_requests(const struct core *core, uint32_t volume)
{
	uint64_t count = 0;

	for (const struct io *io = core->io_head; io != NULL; io = io->next)
		count += io->volume == volume;
	return count;
}

void
core_volume_info(const struct core *core, uint32_t index, moment_us now, struct volume_info *ret)
{
	const struct volume *volume;

	CHECK(index < core->volume_count);
	volume = core->volumes[index];
	*ret = (struct volume_info){
		.name = volume->name,
		.is_root = volume->is_root,
		.ready = volume->announced,
		.phase = phase_now(core, volume, now),
		.phase_since = volume->phase_since,
		.waiting = waiting_requests(core, index),
		.read_only = volume->read_only,
		.size = volume->size,
		.block_size = volume->block_size,
		.pool = volume->pool,
		.dirty_blocks = volume->dirty_count,
		.flushing_blocks = volume->flush_count,
		.unstable_blocks = volume->unstable_count,
		.table_blocks = core->table.entries.used,
		.parent_lease_ms = volume->is_root || !volume->announced ? -1 : left_ms(volume->lease_end, now),
		.parent_connected = volume->connected,
		.parent_denies = volume->denied,
		.blocks_held_read = volume->held_read,
		.blocks_held_write = volume->held_write,
		.reads = volume->reads,
		.writes = volume->writes,
		.read_hits = volume->read_hits,
		.write_hits = volume->write_hits,
		.fetched = volume->fetched,
		.flushed = volume->flushed,
		.recalled = volume->recalled,
		.pushed_in = volume->pushed_in,
		.pushed_used = volume->pushed_used,
		.pushed_back = volume->pushed_back,
		.pushed_out = volume->pushed_out,
		.ahead_asked = volume->ahead_asked,
		.ahead_used = volume->ahead_used,
		.ahead_lost = volume->ahead_lost,
		.ahead_late = volume->ahead_late,
	};
}

bool
core_in_grace(const struct core *core)
{
	for (uint32_t i = 0; i < core->volume_count && core->config.grace_ms > 0; i++)
		if (claim_in_grace(core, core->volumes[i]))
			return true;
	return false;
}

void
core_directory_info(const struct core *core, struct directory_info *ret)
{
	*ret = (struct directory_info){
		.records = core->directory.records.used,
		.max = core->config.directory_max,
		.open_recalls = core->directory.open_recalls,
	};
}

bool
core_child_info(const struct core *core, uint32_t *at, moment_us now, struct child_info *ret)
{
	while (*at < core->child_count) {
		const struct child *child = core->children[(*at)++];

		if (!child->in_use)
			continue;
		*ret = (struct child_info){
			.name = child->name,
			.volume = child->volume,
			.phase = child_phase(child),
			.phase_since = child->phase_since,
			.link = child->link,
			.connected = child->link >= 0,
			.right = child->right,
			.lease_ms = left_ms(child->lease_end, now),
			.blocks_read = child->dir.blocks_read,
			.blocks_write = child->dir.blocks_write,
		};
		return true;
	}
	return false;
}

void
core_block_info(struct core *core, uint32_t volume, uint64_t block, moment_us now, struct block_info *ret)
{
	struct entry *entry = table_find(&core->table, block_key_make(volume, block));
	moment_us before = core->now;
	const struct work *work;

	*ret = (struct block_info){.held = core->volumes[volume]->is_root ? PERM_WRITE : PERM_NO};
	if (entry == NULL)
		return;
	core->now = now > before ? now : before;
	work = table_work(&core->table, entry);
	ret->held = entry_held(core, entry);
	if (work != NULL && work->recall_open && ret->held > work->recall_perm)
		ret->held = work->recall_perm;
	if ((work != NULL && (work->claim || work->claim_head != 0)) || claim_in_grace(core, core->volumes[volume]))
		ret->held = PERM_NO;
	ret->readable = entry_readable(core, entry) && ret->held >= PERM_READ;
	ret->writable = ret->held == PERM_WRITE && entry->dir == 0;
	ret->dirty = entry->copy == COPY_DIRTY;
	ret->unstable = entry->copy == COPY_UNSTABLE;
	ret->version = entry->version;
	ret->copy = entry->copy != COPY_ABSENT ? core->copies.ops->peek(core->copies.self, entry->key) : NULL;
	core->now = before;
}

// Who is not known has the floor (R11), but while claims come.
bool
core_storage_has(struct core *core, uint32_t index, uint64_t block, version_t version)
{
	const struct volume *volume = core->volumes[index];
	const struct entry *entry = table_find(&core->table, block_key_make(index, block));

	if (!volume->is_root || version_epoch(version) != volume->epoch)
		return false;
	if (entry == NULL)
		return version == volume->version_floor && !claim_in_grace(core, volume);
	return entry->version == version && entry->copy == COPY_ABSENT && !entry->claimed;
}

// ---- invariants ----

// I2: one writer; R18 apart, a record says nothing that the node does not hold (I1).
static void
check_directory(const struct core *core, const struct entry *entry)
{
	const struct volume *volume = entry_volume(core, entry);
	uint32_t readers = 0, writers = 0;

	for (struct dir_record *r = directory_first(&core->directory, entry); r != NULL;
	     r = directory_next(&core->directory, r)) {
		CHECK(r->child < core->child_count && core->children[r->child]->in_use);
		CHECK(core->children[r->child]->volume == volume->index);
		CHECK(table_entry(&core->table, r->entry) == entry);
		CHECK(r->perm == PERM_READ || r->perm == PERM_WRITE);
		CHECK(!r->revoked || (table_work(&core->table, entry) != NULL && table_work(&core->table, entry)->revoked));
		if (core->children[r->child]->link >= 0 && !core->links[core->children[r->child]->link]->closing) // what it has no right to goes
			CHECK(core->children[r->child]->revoking || core->children[r->child]->right == RIGHT_WRITE ||
			      (core->children[r->child]->right == RIGHT_READ && r->perm == PERM_READ));
		readers += r->perm == PERM_READ && !r->revoked;
		writers += r->perm == PERM_WRITE && !r->revoked;
	}
	if (core->config.bug != BUG_NONE)
		return;
	CHECK(writers <= 1 && (writers == 0 || readers == 0));
	if (!volume->is_root && (writers > 0 ? PERM_WRITE : readers > 0 ? PERM_READ : PERM_NO) > entry->held) {
		const struct work *work = table_work(&core->table, entry);

		CHECK(work != NULL && work->recall_open);
	}
}

// A clean copy that is not in memory.
static bool
is_kept(const struct core *core, const struct entry *entry)
{
	uint8_t digest[BLOCK_DIGEST_SIZE];

	return entry->copy == COPY_CLEAN && core->copies.ops->digest(core->copies.self, entry->key,
								    entry_volume(core, entry)->block_size, digest);
}

static void
check_entry(struct core *core, struct entry *entry)
{
	const struct work *work = table_work(&core->table, entry);
	struct buf *copy = NULL;

	if (entry->copy != COPY_ABSENT) {
		copy = core->copies.ops->peek(core->copies.self, entry->key);
		CHECK(copy != NULL || is_kept(core, entry));
		CHECK(copy == NULL || copy == buf_zero() || buf_size(copy) == entry_volume(core, entry)->block_size);
	}
	if (entry_volume(core, entry)->is_root) // R11
		CHECK(version_epoch(entry->version) <= entry_volume(core, entry)->epoch);
	CHECK(!entry->ahead || entry->copy != COPY_ABSENT);
	CHECK((entry->copy == COPY_UNSTABLE) == (work != NULL && work->unstable != UNSTABLE_NOT));
	if (entry->copy == COPY_DIRTY) // I5: what is dirty is on its way up, or will be
		CHECK(work != NULL && (work->in_dirty || work->again || work->flushing));
	if (work != NULL) {
		CHECK(!work->touched);
		CHECK(!work->in_dirty || entry->copy == COPY_DIRTY);
		CHECK(work->ask != ASK_SENT || core->parent.link >= 0);
	}
	check_directory(core, entry);
}

void
core_check(struct core *core)
{
	uint64_t dirty = 0, unstable = 0, counted = 0, pushed = 0;

	for (uint32_t i = 1; i < core->table.entries.next; i++) {
		struct entry *entry = table_entry(&core->table, i);

		if (!pool_is_used(&core->table.entries, i))
			continue;
		CHECK(table_find(&core->table, entry->key) == entry);
		check_entry(core, entry);
		dirty += entry->copy == COPY_DIRTY;
		unstable += entry->copy == COPY_UNSTABLE;
		pushed += entry->pushed;
	}
	for (uint32_t i = 0; i < core->volume_count; i++) {
		counted += core->volumes[i]->dirty_count;
		pushed -= core->volumes[i]->pushed;
	}
	CHECK(dirty == counted && pushed == 0);
	for (uint32_t i = 0; i < core->volume_count; i++)
		unstable -= core->volumes[i]->unstable_count;
	CHECK(unstable == 0);
	CHECK(core->table.touched_head == 0);
	overflow_check(core);
}
