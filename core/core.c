// SPDX-License-Identifier: MIT
// The entrance: an event goes to the face it concerns, the touched blocks are gone through, what is due is sent. See
// state.h for who owns what, transaction.c for the heart.
#include "core/core.h"
#include "core/abort.h"
#include "core/admission.h"
#include "core/check.h"
#include "core/client.h"
#include "core/dirty.h"
#include "core/eviction.h"
#include "core/gaps.h"
#include "core/journaled.h"
#include "core/info.h"
#include "core/local.h"
#include "core/outbox.h"
#include "core/overflow.h"
#include "core/reclaims.h"
#include "core/recovery.h"
#include "core/rights.h"
#include "core/root.h"
#include "core/route.h"
#include "core/sealed.h"
#include "core/session.h"
#include "core/stop.h"
#include "core/stored.h"
#include "core/transaction.h"
#include "core/writeback.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- life ----

void
core_config_default(struct core_config *config)
{
	*config = (struct core_config){
		.epoch = 1,
		.ttl_ms = 1200 * 1000,
		.hb_ttl_ms = 30 * 1000,
		.io_timeout_ms = 120 * 1000,
		.writeback_ms = 5000,
		.dirty_max = 8192,
		.background_size = 128 << 10,
		.readahead_blocks = 1024,
		.credits = 4096,
		.directory_max = 16 << 20,
		.write_mode = WRITE_ASYNC,
		.disconnect_ms = DISCONNECT_WAIT,
	};
}

static void
block_evicted(void *arg, block_key key)
{
	struct core *core = arg;
	struct entry *entry = table_find(&core->table, key);

	CHECK(entry != NULL && entry->copy == COPY_CLEAN);
	entry->copy = COPY_ABSENT;
	entry->stale &= entry->held != PERM_NO;
	entry_set_pushed(core, entry, false);
	entry_ahead_lost(core, entry);
	if (entry->work == 0)
		entry_release_later(core, entry); // else when the block is at rest again
}

struct core *
core_create(const struct core_config *config, const struct copies *copies)
{
	struct core *core = calloc(1, sizeof(*core));

	CHECK(core != NULL && config->node_id != 0 && config->epoch > 0);
	CHECK(config->directory_max > 0 && config->directory_max <= LIMIT_DIRECTORY_MAX);
	core->config = *config;
	snprintf(core->name, sizeof(core->name), "%s", config->name);
	core->config.name = core->name;
	core->copies = *copies;
	core->copies.ops->on_evicted(core->copies.self, block_evicted, core);
	table_init(&core->table);
	directory_init(&core->directory);
	pool_init(&core->store_ops, sizeof(struct store_op));
	core->parent.link = -1;
	core->parent.credits = 64;
	core->session_next = config->session_seed;
	core->release_at = core->retry_at = core->deadline = MOMENT_NEVER;
	return core;
}

static void
volume_free(struct volume *volume)
{
	while (volume->barriers != NULL) {
		struct barrier *barrier = volume->barriers;

		volume->barriers = barrier->next;
		free(barrier);
	}
	while (volume->journal_waits != NULL) {
		struct journal_wait *wait = volume->journal_waits;

		volume->journal_waits = wait->next;
		free(wait);
	}
	free(volume->unjournaled.keys);
	free(volume->read_wait.keys);
	free(volume->dirty_wait.keys);
	free(volume->sweep.list.keys);
	free(volume->stored);
	free(volume->evicted);
	reclaims_forget(volume);
	free(volume);
}

void
core_destroy(struct core *core)
{
	if (core == NULL)
		return;
	for (uint32_t i = 1; i < core->table.wants.next; i++)
		if (pool_is_used(&core->table.wants, i))
			buf_unref(table_want(&core->table, i)->buf);
	peer_room_destroy(core);
	for (uint32_t i = 1; i < core->table.works.next; i++)
		if (pool_is_used(&core->table.works, i))
			buf_unref(((struct work *)pool_get(&core->table.works, i))->put_buf);
	for (uint32_t i = 1; i < core->table.entries.next; i++)
		if (pool_is_used(&core->table.entries, i))
			core->copies.ops->drop(core->copies.self, table_entry(&core->table, i)->key);
	for (uint32_t i = 0; i < core->link_capacity; i++)
		if (core->links[i] != NULL) {
			free(core->links[i]->waiting.keys);
			free(core->links[i]);
		}
	for (uint32_t i = 0; i < core->child_count; i++) {
		free(core->children[i]->place_wait.keys);
		free(core->children[i]->streams);
		free(core->children[i]);
	}
	for (uint32_t i = 0; i < core->volume_count; i++)
		volume_free(core->volumes[i]);
	gaps_forget(core);
	while (core->pending_connects != NULL) {
		struct pending_connect *pending = core->pending_connects;

		core->pending_connects = pending->next;
		free(pending);
	}
	for (int i = 0; i < POOLS; i++)
		buf_pool_destroy(core->pools[i]);
	free(core->links);
	free(core->children);
	free(core->opened.keys);
	free(core->released.keys);
	free(core->retry.keys);
	free(core->parent.waiting.keys);
	free(core->claimants);
	free(core->interests);
	while (core->evictions != NULL) {
		struct eviction *eviction = core->evictions;

		core->evictions = eviction->next;
		free(eviction->names);
		free(eviction);
	}
	pool_fini(&core->store_ops);
	directory_fini(&core->directory);
	table_fini(&core->table);
	free(core);
}

struct buf_pool *
core_pool(struct core *core, uint32_t block_size)
{
	int i = 0;

	while ((uint32_t)LIMIT_BLOCK_SIZE_MIN << i < block_size)
		i++;
	CHECK(i < POOLS && (uint32_t)LIMIT_BLOCK_SIZE_MIN << i == block_size);
	if (core->pools[i] == NULL)
		core->pools[i] = buf_pool_create(block_size);
	CHECK(core->pools[i] != NULL);
	return core->pools[i];
}

static struct volume *
add_volume(struct core *core, const char *name)
{
	struct blob blob = {(const uint8_t *)name, strlen(name)};

	if (session_volume_find(core, blob) != NULL)
		return NULL;
	return session_volume_new(core, name, blob.size);
}

int
core_add_root_volume(struct core *core, const char *name, uint64_t size, uint32_t block_size, bool read_only)
{
	struct volume *volume = add_volume(core, name);

	if (volume == NULL)
		return -1;
	CHECK(size > 0 && size % block_size == 0);
	volume->is_root = volume->announced = true;
	volume->read_only = volume->configured_read_only = read_only;
	volume->state = VOLUME_READY;
	volume->size = size;
	volume->block_size = block_size;
	volume->blocks = size / block_size;
	volume->pool = core_pool(core, block_size);
	volume->epoch = volume->held_epoch = core->config.epoch;
	volume->version_floor = version_make(core->config.epoch, 0);
	return (int)volume->index;
}

int
core_add_child_volume(struct core *core, const char *name, bool read_only)
{
	struct volume *volume = add_volume(core, name);

	if (volume == NULL)
		return -1;
	volume->configured_read_only = read_only;
	return (int)volume->index;
}

void
core_set_volume_id(struct core *core, uint32_t volume, uint32_t id)
{
	CHECK(volume < core->volume_count);
	core->volumes[volume]->id = id;
}

void
core_set_write_mode(struct core *core, enum write_mode mode)
{
	core->config.write_mode = mode;
}

void
core_set_durability(struct core *core, enum durability durability)
{
	core->config.durability = durability;
}

void
core_set_push(struct core *core, uint32_t push_blocks)
{
	core->config.push_blocks = push_blocks;
}

void
core_set_dirty_max(struct core *core, uint64_t dirty_max)
{
	CHECK(dirty_max > 0);
	core->config.dirty_max = dirty_max;
}

void
core_hold_writes(struct core *core, uint32_t volume, bool hold)
{
	CHECK(volume < core->volume_count);
	core->volumes[volume]->writes_held = hold;
	if (!hold)
		key_list_touch(core, &core->volumes[volume]->dirty_wait, WAIT_DIRTY);
	core_wake(core, core->now);
}

void
core_set_disconnect(struct core *core, uint32_t disconnect_ms)
{
	core->config.disconnect_ms = disconnect_ms;
	core_wake(core, core->now); // what waits may have waited for too long
}

int
core_add_eviction(struct core *core, uint32_t volume, uint64_t node_id, uint64_t session)
{
	(void)session;
	CHECK(volume < core->volume_count);
	if (core->volumes[volume]->evicted_count == LIMIT_EVICTIONS)
		return -1;
	eviction_remember(core, volume, node_id);
	return 0;
}

void
core_set_claims_since(struct core *core, uint32_t volume, uint32_t epoch)
{
	CHECK(volume < core->volume_count && core->volumes[volume]->is_root);
	core->volumes[volume]->claims_since = epoch;
}

void
core_set_reclaims(struct core *core, uint32_t volume, const struct reclaim *list, size_t count)
{
	CHECK(volume < core->volume_count && core->volumes[volume]->is_root);
	reclaims_set(core->volumes[volume], list, count);
}

const char *
core_ancestor_address(const struct core *core, uint32_t i)
{
	return i < core->ancestor_count ? core->ancestors[i] : NULL;
}

// ---- events ----

static void
store_event(struct core *core, const struct event *event)
{
	struct store_op op = *root_op(core, event->store_cookie);

	root_op_end(core, event->store_cookie);
	if (event->type == EVENT_STORE_SYNCED) {
		writeback_barrier_done(core, core->volumes[op.volume], event->error);
		return;
	}
	core->volumes[op.volume]->writing -= event->type == EVENT_STORE_WROTE;
	for (uint32_t i = 0; i < op.count; i++) {
		if (event->type == EVENT_STORE_READ)
			root_read_block(core, &op, i, event->error == ERR_OK && event->bufs != NULL ? event->bufs[i] : NULL);
		else
			root_wrote_block(core, &op, i, event->error);
		transaction_drain(core);
	}
}

// One after the other: each is used before the next may take its room in memory.
static void
copies_event(struct core *core)
{
	block_key key;

	while (core->copies.ops->next_loaded(core->copies.self, &key)) {
		entry_loaded(core, key);
		transaction_drain(core);
	}
}

static void
link_room(struct core *core, const struct event *event)
{
	struct link *link = event->link < core->link_capacity ? core->links[event->link] : NULL;

	if (link == NULL)
		return;
	link->queued = event->queued_size;
	if (outbox_room(core, event->link))
		key_list_touch(core, &link->waiting, WAIT_ROOM);
}

// What is claimed from now on under an earlier epoch is void for the roots to come, too: others may be served.
static void
grace_ended(struct core *core, struct volume *volume, enum hvfs_error error)
{
	volume->grace_ending = false;
	reclaims_written(volume);
	if (error != ERR_OK) {
		core->grace_end = core->now + RETRY_US;
		core_wake(core, core->grace_end);
		return;
	}
	volume->in_grace = false;
	core_trace(core, "volume %s: the grace time is over", volume->name);
	table_touch_works(&core->table, volume->index);
}

static void
dispatch(struct core *core, const struct event *event)
{
	switch (event->type) {
	case EVENT_TIMER:
		break;
	case EVENT_LINK_UP:
		session_link_up(core, event->link, event->role, event->peer, event->address);
		break;
	case EVENT_LINK_DOWN:
	case EVENT_LINK_ALIVE:
		break; // core_step
	case EVENT_LINK_ROOM:
		link_room(core, event);
		break;
	case EVENT_MESSAGE:
		route_message(core, event->link, event->message);
		break;
	case EVENT_IO:
		local_submit(core, event->io);
		break;
	case EVENT_IO_CANCEL:
		local_cancel(core, event->io, ERR_CANCELLED);
		break;
	case EVENT_STORE_READ:
	case EVENT_STORE_WROTE:
	case EVENT_STORE_SYNCED:
		store_event(core, event);
		break;
	case EVENT_EVICTED:
		eviction_stored(core, event->store_cookie, event->error);
		break;
	case EVENT_GRACE_ENDED:
		grace_ended(core, core->volumes[event->volume], event->error);
		break;
	case EVENT_JOURNALED:
		journaled_done(core, core->volumes[event->volume], event->store_cookie, event->error);
		break;
	case EVENT_COPIES:
		copies_event(core);
		break;
	case EVENT_RIGHTS:
		rights_changed(core);
		break;
	case EVENT_DENIED:
		rights_denied(core, core->volumes[event->volume]);
		break;
	case EVENT_ABORT:
		abort_volume(core, core->volumes[event->volume]);
		break;
	case EVENT_OUTDATED:
		sealed_outdated(core, event->volume, event->block);
		break;
	case EVENT_STOP:
		stop_begin(core);
		break;
	}
}

// The root has waited long enough for those who held something before it was started.
static void
grace_timer(struct core *core)
{
	if (core->grace_end == 0)
		return;
	if (core->grace_end > core->now) {
		core_wake(core, core->grace_end);
		return;
	}
	core->grace_end = 0;
	for (uint32_t i = 0; i < core->volume_count; i++) {
		struct volume *volume = core->volumes[i];
		struct action *action;

		if (!volume->in_grace || volume->grace_ending)
			continue;
		volume->grace_ending = true;
		reclaims_end(core, volume);
		action = actions_add(core->actions, ACTION_END_GRACE);
		action->volume = i;
		action->epoch = volume->epoch;
		action->reclaims = volume->reclaims.list;
		action->count = volume->reclaims.count;
	}
}

static void
timers(struct core *core)
{
	core->deadline = MOMENT_NEVER;
	session_timer(core);
	admission_timer(core);
	eviction_timer(core);
	grace_timer(core);
	local_expire(core);
	if (core->retry_at <= core->now) {
		core->retry_at = MOMENT_NEVER;
		key_list_touch(core, &core->retry, WAIT_ASK);
	}
	core_wake(core, core->retry_at);
	if (core->release_at <= core->now)
		client_release(core);
	core_wake(core, core->release_at);
}

// Blocks that wait for credits at the parent, for the store, for fewer dirty blocks, or for a place in the directory. One that
// goes on may not need what it waited for any more: so until nobody waits, or there is nothing to have.
static void
waiters_pump(struct core *core)
{
	struct parent *parent = &core->parent;

	while (parent->waiting.count > 0 && parent->outstanding < parent->credits) {
		key_list_touch_first(core, &parent->waiting, WAIT_ASK, parent->credits - parent->outstanding);
		transaction_drain(core);
	}
	for (uint32_t i = 0; i < core->volume_count; i++) {
		struct volume *volume = core->volumes[i];

		while (volume->read_wait.count > 0 && volume->reading < READ_WINDOW) {
			key_list_touch_first(core, &volume->read_wait, WAIT_READ, READ_WINDOW - volume->reading);
			transaction_drain(core);
		}
		while (volume->dirty_wait.count > 0 && dirty_room(core, volume)) {
			key_list_touch_first(core, &volume->dirty_wait, WAIT_DIRTY,
					     core->config.dirty_max - volume->dirty_count - volume->unstable_count);
			transaction_drain(core);
		}
	}
	overflow_pump(core);
}

static void
release_pump(struct core *core)
{
	if (core->released.count >= RELEASE_BATCH) {
		client_release(core);
	} else if (core->released.count > 0 && core->release_at == MOMENT_NEVER) {
		core->release_at = core->now + RELEASE_US;
		core_wake(core, core->release_at);
	}
}

static void
begin(struct core *core)
{
	core->started = core->now;
	if (core->config.grace_ms == 0)
		return;
	for (uint32_t i = 0; i < core->volume_count; i++)
		core->volumes[i]->in_grace = core->volumes[i]->stored_kept = core->volumes[i]->is_root;
	core->grace_end = moment_after_ms(core->now, core->config.grace_ms);
	core_wake(core, core->grace_end);
}

void
core_step(struct core *core, moment_us now, const struct event *event, struct actions *actions)
{
	CHECK(now >= core->now);
	core->now = now;
	core->step++;
	if (core->started == 0)
		begin(core);
	core->actions = actions;
	if (event->type == EVENT_LINK_DOWN)
		session_link_down(core, event->link); // first: nothing may be sent on it any more
	if (event->type == EVENT_LINK_ALIVE)
		session_link_alive(core, event->link); // first: it is about the interval that ends now
	if (now >= core->deadline)
		timers(core);
	dispatch(core, event);
	transaction_drain(core);
	waiters_pump(core);
	for (uint32_t i = 0; i < core->volume_count; i++)
		writeback_pump(core, core->volumes[i]);
	transaction_drain(core);
	waiters_pump(core);
	for (uint32_t i = 0; i < core->volume_count; i++)
		recovery_pump(core, core->volumes[i]);
	rights_pump(core);
	transaction_drain(core);
	for (uint32_t i = 0; i < core->volume_count; i++) {
		session_pump(core, core->volumes[i]);
		stored_rest(core, core->volumes[i]);
	}
	overflow_recall(core);
	release_pump(core);
	stop_advance(core);
	info_pump(core);
	outbox_close(core);
	core->actions = NULL;
}

moment_us
core_deadline(const struct core *core)
{
	return core->deadline;
}
