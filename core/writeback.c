// SPDX-License-Identifier: MIT
// Brings up what is dirty (the sync daemon of the seed) and lets barriers go on. Barriers that wait together share one
// message above, and one flush of the store at the root (R14).
#include "core/writeback.h"
#include "core/check.h"
#include "core/claim.h"
#include "core/client.h"
#include "core/dirty.h"
#include "core/elevator.h"
#include "core/journaled.h"
#include "core/local.h"
#include "core/outbox.h"
#include "core/recovery.h"
#include "core/root.h"
#include "core/server.h"
#include "core/unstable.h"

#include <stdlib.h>

static const struct flush_window everything = {FLUSH_WINDOW, FLUSH_WINDOW};

static struct work *
work_get(const struct core *core, uint32_t index)
{
	return pool_get(&core->table.works, index);
}

static void
barrier_end(struct core *core, struct barrier *barrier, enum hvfs_error error)
{
	if (barrier->io != NULL)
		local_finish(core, barrier->io, error);
	else if (barrier->child >= 0)
		server_barrier_done(core, barrier->child, barrier->child_generation, barrier->xid, error);
	else if (!barrier->commit && !barrier->restores && error != ERR_OK)
		core->stop_error = error;
	free(barrier);
}

static moment_us
later(moment_us a, moment_us b)
{
	return a > b ? a : b;
}

// They were lost at ${at}, or before; an older loss may be heard of after a newer one.
static void
lost_at(struct core *core, struct volume *volume, moment_us at, const char *why)
{
	bool wrote = volume->writes > 0 || volume->wrote_before, news = wrote && !volume->lost;

	volume->lost = wrote;
	volume->lost_once = true;
	volume->lost_at = later(volume->lost_at, at);
	local_lost(core, volume);
	for (uint32_t i = 0; i < core->child_count; i++) {
		struct child *child = core->children[i];

		if (!child->in_use || child->volume != volume->index || child->acknowledged <= child->synced ||
		    child->unsynced_since > at)
			continue;
		news = news || child->lost != LOST_UNTOLD;
		child->lost = LOST_UNTOLD;
		child->lost_at = later(child->lost_at, at);
		child->sync_failed |= why != NULL;
	}
	if (news && why != NULL) {
		struct action *action = actions_add(core->actions, ACTION_LOST);

		action->volume = volume->index;
		action->text = why;
	}
}

void
writeback_lost(struct core *core, struct volume *volume, const char *why)
{
	lost_at(core, volume, core->now, why);
}

// Is ${barrier} of somebody who has to be told that writes were lost? It is told now. (Who stops the node has been told by the
// abort.)
static bool
take_lost(struct core *core, const struct volume *volume, const struct barrier *barrier, bool lost_here)
{
	struct child *child = barrier->child >= 0 ? core->children[barrier->child] : NULL;

	if (child == NULL)
		return lost_here && (barrier->io != NULL || !volume->aborted);
	if (child->generation != barrier->child_generation || child->lost != LOST_UNTOLD || child->link < 0)
		return false;
	child->lost = LOST_TOLD;
	return true;
}

static void
commit_end(struct core *core, struct volume *volume, enum hvfs_error error)
{
	volume->commit_wanted = false;
	volume->commit_retry_at = error != ERR_OK ? core->now + RETRY_US : 0;
}

void
writeback_restore(struct core *core, struct entry *entry)
{
	struct volume *volume = entry_volume(core, entry);

	table_work_make(&core->table, entry)->settles = volume->restores + 1;
	volume->restore_wanted = true;
}

static void
restore_pump(struct core *core, struct volume *volume)
{
	if (!volume->restore_wanted || volume->restoring)
		return;
	volume->restore_wanted = false;
	volume->restoring = true;
	volume->restores++;
	barrier_add(core, volume, NULL, -1, 0)->restores = true;
}

// The sync has failed, and what it was for may be neither in the storage's cache nor on stable storage: it is to be written again
// before another sync means anything. Who waits is told; the next who asks has it tried again (writeback_restore).
static void
unsettled(struct core *core, struct entry *entry, struct work *work)
{
	enum copy was = entry->copy;

	CHECK(was == COPY_CLEAN || was == COPY_DIRTY);
	entry_dirty_copy(core, entry);
	dirty_mark(core, entry, was);
	for (uint32_t i = work->want_head; i != 0; i = table_want(&core->table, i)->next)
		table_want(&core->table, i)->lost = true;
}

static void
restore_end(struct core *core, struct volume *volume, enum hvfs_error error)
{
	volume->restoring = false;
	for (uint32_t i = 1; i < core->table.works.next; i++) {
		struct work *work = work_get(core, i);
		struct entry *entry;

		if (!pool_is_used(&core->table.works, i) || work->settles == 0 || work->settles > volume->restores)
			continue;
		entry = table_entry(&core->table, work->entry);
		if (entry_volume(core, entry) != volume)
			continue;
		if (error == ERR_OK)
			dirty_settled(core, entry);
		else
			unsettled(core, entry, work);
		table_touch(&core->table, entry);
	}
}

bool
writeback_is_restoring(const struct core *core, const struct entry *entry)
{
	const struct volume *volume = entry_volume(core, entry);

	return volume->restoring || table_work(&core->table, entry)->settles > volume->restores;
}

void
writeback_tell_lost(struct core *core, struct volume *volume, enum hvfs_error error)
{
	struct barrier *next;

	for (struct barrier *barrier = volume->barriers; barrier != NULL; barrier = next) {
		next = barrier->next;
		if (barrier->io == NULL)
			continue;
		volume->lost = false;
		barrier_remove(volume, barrier);
		barrier_end(core, barrier, error);
	}
	journaled_tell_lost(core, volume, error);
}

// End the barriers that are under way (${sent}), or those that are not yet.
static void
barriers_end(struct core *core, struct volume *volume, bool sent, enum hvfs_error error)
{
	bool lost_here = volume->lost;
	bool tell = error == ERR_OK || error == ERR_IO || error == ERR_LOST; // another error may mean that trying again is enough
	struct barrier *next;

	if (tell && lost_here)
		writeback_tell_lost(core, volume, error == ERR_OK ? ERR_LOST : error);
	for (struct barrier *barrier = volume->barriers; barrier != NULL; barrier = next) {
		bool lost = false;

		next = barrier->next;
		if (barrier->sent != sent)
			continue;
		if (barrier->commit) {
			commit_end(core, volume, error);
		} else if (barrier->restores) {
			restore_end(core, volume, error);
		} else if (tell) {
			lost = take_lost(core, volume, barrier, lost_here);
			if (barrier->child < 0)
				volume->lost = false;
			if (error == ERR_LOST && !lost) {
				barrier->sent = false; // nothing that it covers: it goes up again
				continue;
			}
		}
		barrier_remove(volume, barrier);
		barrier_end(core, barrier, error == ERR_OK && lost ? ERR_LOST : error);
	}
}

static void
barrier_done(struct core *core, struct volume *volume, enum hvfs_error error)
{
	if (error != ERR_OK) {
		volume->unsynced = true;
		volume->elsewhere = !volume->is_root;
		unstable_barrier_failed(core, volume);
	} else if (volume->barrier_out) {
		unstable_committed(core, volume);
	}
	volume->barrier_out = false;
}

void
writeback_barrier_done(struct core *core, struct volume *volume, enum hvfs_error error)
{
	barrier_done(core, volume, error);
	if (error == ERR_IO)
		writeback_lost(core, volume, // also those who do not wait now have to know
			       volume->is_root ? "the storage could not be synced"
					       : "the parent answers a sync with an error: it, or a node above it, has "
						 "lost writes, or the storage failed");
	barriers_end(core, volume, true, error);
}

void
writeback_lost_above(struct core *core, struct volume *volume, moment_us ago)
{
	barrier_done(core, volume, ERR_LOST);
	lost_at(core, volume, ago < core->now ? core->now - ago : 0, "the parent, or a node above it, has lost writes");
	barriers_end(core, volume, true, ERR_LOST);
}

static bool
may_send(const struct core *core, const struct volume *volume)
{
	if (volume->is_root)
		return true;
	return core->parent.link >= 0 && volume->connected && !core->links[core->parent.link]->closing;
}

// A fsync of this host that need not wait for the root ends when the parent has everything (--durability parent), or now
// (local: it has waited since before that was set).
static void
end_early_barriers(struct core *core, struct volume *volume)
{
	bool local = core->config.durability == DURABILITY_LOCAL && !journaled_suffices(core, volume);
	struct barrier *next;

	if (!local && (core->config.durability != DURABILITY_PARENT || volume->is_root))
		return;
	for (struct barrier *barrier = volume->barriers; barrier != NULL && (local || barrier->count == 0); barrier = next) {
		next = barrier->next;
		if (barrier->io == NULL || barrier->io->force_sync)
			continue;
		if (volume->lost) {
			writeback_tell_lost(core, volume, ERR_LOST);
			return;
		}
		barrier_remove(volume, barrier);
		barrier_end(core, barrier, ERR_OK);
	}
}

static void
barriers_pump(struct core *core, struct volume *volume)
{
	struct barrier *barrier = volume->barriers;
	bool any = false;

	end_early_barriers(core, volume);
	barrier = volume->barriers;
	if (barrier == NULL || volume->barrier_out || volume->flush_retry_at > core->now)
		return;
	for (; barrier != NULL && (barrier->count == 0 || core->config.bug == BUG_BARRIER_EARLY);
	     barrier = barrier->next)
		barrier->sent = any = true;
	if (!any)
		return;
	if ((!volume->unsynced && !volume->elsewhere) || core->config.bug == BUG_BARRIER_EARLY) {
		writeback_barrier_done(core, volume, ERR_OK); // nothing was sent since the last one
		return;
	}
	if (!may_send(core, volume)) {
		for (barrier = volume->barriers; barrier != NULL; barrier = barrier->next)
			barrier->sent = false;
		return;
	}
	volume->barrier_out = true;
	volume->unsynced = false;
	unstable_barrier_sent(core, volume);
	if (volume->is_root) {
		root_sync(core, volume);
	} else {
		struct message *message = outbox_message(core, (uint32_t)core->parent.link, OP_FLUSH, 0);

		message->flags = FLAG_FORCE_SYNC | (volume->elsewhere ? FLAG_RECOVERY_OP : 0);
		message->present = PRESENT(VOLUME_ID);
		volume->elsewhere = false;
		message->volume_id = volume->parent_id;
		volume->barrier_xid = message->xid;
	}
}

// What the node keeps of a block that it brings up: a proxy that does not use the block itself keeps it for reading.
static enum perm
flush_perm(const struct core *core, const struct entry *entry, const struct work *work)
{
	if (work->ask != ASK_NONE || work->want_head != 0 || directory_max(&core->directory, entry, -1) == PERM_WRITE ||
	    claim_decides(core, work))
		return PERM_WRITE; // R19: a request is under way
	if (core->config.give_back && entry->dir == 0)
		return PERM_NO;
	return core->config.has_driver ? PERM_WRITE : PERM_READ;
}

static void
flush_block(struct core *core, struct volume *volume, struct entry *entry)
{
	struct work *work = table_work(&core->table, entry);
	enum perm perm;

	if (volume->is_root) {
		root_write(core, entry);
		return;
	}
	if (work->resend) {
		recovery_resend(core, entry);
		return;
	}
	perm = flush_perm(core, entry, work);
	client_flush(core, entry, perm, dirty_root_awaited(core, work));
	if (perm < entry->held)
		entry_set_held(core, entry, perm);
}

static bool
room_is_short(const struct core *core, const struct volume *volume)
{
	return volume->writes_held || volume->dirty_count + volume->unstable_count > core->config.dirty_max / 4 * 3;
}

// Unstable copies take the room of dirty ones, and ask for trouble: once they are durable at the root they need not be
// kept. That is asked for when room gets short, and when they have got old.
static void
commit_pump(struct core *core, struct volume *volume)
{
	bool any = volume->unstable.head != 0 || volume->keeper != 0;
	bool old = any && (volume->keeper_gone || volume->unstable_since + COMMIT_AGE_US <= core->now);

	if (volume->claims > 0) // what is claimed can not be made durable yet
		return;
	if ((volume->unstable_count == 0 && !any) || volume->commit_wanted || !may_send(core, volume))
		return;
	if (!room_is_short(core, volume) && !old) {
		if (any)
			core_wake(core, volume->unstable_since + COMMIT_AGE_US);
		return;
	}
	if (volume->commit_retry_at > core->now) {
		core_wake(core, volume->commit_retry_at);
		return;
	}
	// What a journal has promised may be left to nobody's memory.
	if (core->config.write_mode == WRITE_SEMI_SYNC && !volume->parent_is_root && !old && !core->config.journal &&
	    !volume->forward_refused) {
		unstable_forward(core, volume);
		return;
	}
	volume->commit_wanted = true;
	volume->forward_refused = false;
	barrier_add(core, volume, NULL, -1, 0)->commit = true;
}

// Is everything that is dirty to go up now, whatever its age?
static bool
all_due(const struct core *core, const struct volume *volume)
{
	if (core->stop != STOP_NO || room_is_short(core, volume))
		return true;
	for (const struct barrier *barrier = volume->barriers; barrier != NULL; barrier = barrier->next)
		if (barrier->count > 0)
			return true;
	return false;
}

// How much may be on its way at once in the background: little, as long as others ask for blocks, and would wait behind it in
// the queues of the link and the storage; but the more, the longer it has been due.
static struct flush_window
background_window(const struct core *core, const struct volume *volume)
{
	uint32_t asked = volume->is_root ? volume->reading : core->parent.outstanding;
	moment_us asked_at = volume->is_root ? volume->read_at : core->parent.asked_at;
	moment_us age = (moment_us)core->config.writeback_ms * 1000;
	const struct work *oldest = dirty_oldest(core, volume);
	uint64_t times = oldest != NULL && age > 0 ? (core->now - oldest->dirty_since) / age : 1;
	uint64_t blocks = core->config.background_size / volume->block_size;

	if ((asked == 0 && core->now - asked_at >= QUIET_US) || blocks >= FLUSH_WINDOW)
		return everything;
	times = times == 0 ? 1 : times < FLUSH_WINDOW ? times : FLUSH_WINDOW;
	blocks = blocks == 0 ? times : blocks * times;
	return (struct flush_window){.blocks = blocks < FLUSH_WINDOW ? (uint32_t)blocks : FLUSH_WINDOW,
				     .writes = BACKGROUND_WRITES * (uint32_t)times};
}

static void
dirty_pump(struct core *core, struct volume *volume)
{
	moment_us age = (moment_us)core->config.writeback_ms * 1000;
	bool all = all_due(core, volume);
	struct flush_window window = all ? everything : background_window(core, volume);
	uint32_t next;

	if (volume->flush_retry_at > core->now) {
		core_wake(core, volume->flush_retry_at);
		return;
	}
	for (uint32_t index = volume->dirty_head; index != 0; index = next) {
		struct work *work = work_get(core, index);
		struct entry *entry = table_entry(&core->table, work->entry);

		next = work->dirty_next;
		if (volume->is_root && !work->urgent)
			break;
		if (volume->flush_count >= (work->urgent ? FLUSH_WINDOW : window.blocks) ||
		    (!volume->is_root && !outbox_room(core, (uint32_t)core->parent.link)))
			return;
		if (volume->is_root ? work->store_reading : work->claim || (!work->resend && entry->held != PERM_WRITE))
			continue;
		if (!all && !work->urgent && core->now - work->dirty_since < age) {
			core_wake(core, work->dirty_since + age);
			return;
		}
		flush_block(core, volume, entry);
	}
	if (volume->is_root)
		elevator_pump(core, volume, all, window);
}

void
writeback_pump(struct core *core, struct volume *volume)
{
	if (volume->flush_error != ERR_OK && core->stop == STOP_NO)
		barriers_end(core, volume, false,
			     volume->flush_error); // its data stays dirty; the next fsync tries again
	volume->flush_error = ERR_OK;
	commit_pump(core, volume);
	restore_pump(core, volume);
	if (volume->dirty_head != 0 && may_send(core, volume))
		dirty_pump(core, volume);
	barriers_pump(core, volume);
}
