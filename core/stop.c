// SPDX-License-Identifier: MIT
#include "core/stop.h"
#include "core/admission.h"
#include "core/dirty.h"
#include "core/server.h"
#include "core/session.h"
#include "core/writeback.h"

enum { STOP_LIMIT_MS = 30 * 1000, STOP_REFUSED_US = 1000 * 1000 };

static uint64_t
dirty_left(const struct core *core)
{
	uint64_t left = core->directory.records.used;

	for (uint32_t i = 0; i < core->volume_count; i++)
		left += core->volumes[i]->dirty_count;
	return left;
}

static uint32_t
limit_ms(const struct core *core)
{
	return core->config.io_timeout_ms != 0 ? core->config.io_timeout_ms : STOP_LIMIT_MS;
}

void
stop_begin(struct core *core)
{
	if (core->stop != STOP_NO)
		return;
	core->stop = STOP_RECALL;
	core->flush_error = ERR_OK;
	core->stop_deadline = moment_after_ms(core->now, limit_ms(core));
	core->stop_left = UINT64_MAX;
	for (uint32_t i = 1; i < core->table.entries.next; i++) {
		struct entry *entry = table_entry(&core->table, i);

		if (pool_is_used(&core->table.entries, i) && entry->dir != 0)
			table_touch(&core->table, entry);
	}
	server_refuse_waiting(core, NULL, PERM_NO, STATUS_UNAVAILABLE);
}

static void
stopped(struct core *core, enum hvfs_error error)
{
	struct action *action = actions_add(core->actions, ACTION_STOPPED);

	core->stop = STOP_DONE;
	action->error = error;
}

// A request that was granted after the barrier had gone up has written more.
static bool
is_unsynced(const struct core *core, const struct volume *volume)
{
	return core->stop_error == ERR_OK && volume->barriers == NULL && volume->dirty_count == 0 && volume->unsynced;
}

// A new name is being told to the parent: until it has answered, it can not be left.
static bool
is_being_named(const struct volume *volume)
{
	return volume->connected && volume->connect_xid != 0;
}

// Nothing is to be brought up any more, and children have nothing that could be: they may have been granted a claim meanwhile.
static bool
all_flushed(const struct core *core)
{
	if (core->directory.records.used > 0)
		return false;
	for (uint32_t i = 0; i < core->volume_count; i++) {
		const struct volume *volume = core->volumes[i];

		if (volume->barriers != NULL || volume->dirty_count > 0 || is_unsynced(core, volume) || is_being_named(volume))
			return false;
	}
	return true;
}

// A child that has yet to hear that what it sent was lost would take the word of the next root that this one has left in order for
// its bytes being durable (AFTER_LEAVE).
static bool
is_loss_untold(const struct core *core)
{
	for (uint32_t i = 0; i < core->child_count; i++) {
		const struct child *child = core->children[i];

		if (child->in_use && child->lost == LOST_UNTOLD && core->volumes[child->volume]->is_root)
			return true;
	}
	return false;
}

void
stop_advance(struct core *core)
{
	if (core->stop == STOP_NO || core->stop == STOP_DONE)
		return;
	if (dirty_left(core) < core->stop_left) { // as long as it gets less, it may take its time
		core->stop_left = dirty_left(core);
		core->stop_deadline = moment_after_ms(core->now, limit_ms(core));
	}
	// A store or a parent that refuses the bytes is given one more chance, not the whole time.
	if (core->flush_error != ERR_OK && core->stop_deadline > core->now + STOP_REFUSED_US)
		core->stop_deadline = core->now + STOP_REFUSED_US;
	core_wake(core, core->stop_deadline);
	if (core->now >= core->stop_deadline) {
		stopped(core, core->flush_error != ERR_OK ? core->flush_error : ERR_TIMED_OUT);
		return;
	}
	if (core->stop == STOP_RECALL && core->directory.records.used == 0) {
		core->stop = STOP_FLUSH;
		for (uint32_t i = 0; i < core->volume_count; i++)
			if (core->volumes[i]->announced)
				barrier_add(core, core->volumes[i], NULL, -1, 0);
	}
	for (uint32_t i = 0; core->stop == STOP_FLUSH && i < core->volume_count; i++) {
		if (is_unsynced(core, core->volumes[i]))
			barrier_add(core, core->volumes[i], NULL, -1, 0);
		writeback_pump(core, core->volumes[i]);
	}
	if (core->stop == STOP_FLUSH && all_flushed(core)) {
		core->stop = STOP_LEAVE;
		if (core->stop_error == ERR_OK && is_loss_untold(core))
			core->stop_error = ERR_LOST;
		for (uint32_t i = 0; core->stop_error == ERR_OK && i < core->volume_count; i++)
			admission_leave(core, core->volumes[i]);
	}
	if (core->stop == STOP_LEAVE && session_leave(core))
		stopped(core, core->stop_error);
}
