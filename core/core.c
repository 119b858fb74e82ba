// SPDX-License-Identifier: MIT
// The entrance: an event goes to the face it concerns, the touched blocks are gone through, what is due is sent. See
// state.h for who owns what, transaction.c for the heart.
#include "core/core.h"
#include "core/check.h"
#include "core/client.h"
#include "core/dirty.h"
#include "core/local.h"
#include "core/outbox.h"
#include "core/root.h"
#include "core/server.h"
#include "core/session.h"
#include "core/transaction.h"
#include "core/writeback.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STOP_LIMIT_MS = 30 * 1000 };

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
		.readahead_blocks = 1024,
		.credits = 4096,
		.write_mode = WRITE_ASYNC,
	};
}

static void
block_evicted(void *arg, block_key key)
{
	struct core *core = arg;
	struct entry *entry = table_find(&core->table, key);

	CHECK(entry != NULL && entry->copy == COPY_CLEAN);
	entry->copy = COPY_ABSENT;
	key_list_add(&core->released, key);
}

struct core *
core_create(const struct core_config *config, const struct copies *copies)
{
	struct core *core = calloc(1, sizeof(*core));

	CHECK(core != NULL && config->node_id != 0 && config->epoch > 0);
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
	free(volume->dirty_wait.keys);
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
	for (uint32_t i = 0; i < core->child_count; i++)
		free(core->children[i]);
	for (uint32_t i = 0; i < core->volume_count; i++)
		volume_free(core->volumes[i]);
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
	volume->epoch = core->config.epoch;
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

// ---- helpers of all files ----

void
key_list_add(struct key_list *list, block_key key)
{
	if (list->count == list->capacity) {
		list->capacity = list->capacity ? list->capacity * 2 : 16;
		list->keys = realloc(list->keys, list->capacity * sizeof(*list->keys));
		CHECK(list->keys != NULL);
	}
	list->keys[list->count++] = key;
}

static bool
wait_end(struct work *work, enum wait wait)
{
	bool waited = false;

	switch (wait) {
	case WAIT_ROOM:
		waited = work->wait_room;
		work->wait_room = false;
		break;
	case WAIT_DIRTY:
		waited = work->wait_dirty;
		work->wait_dirty = false;
		break;
	case WAIT_ASK:
		waited = work->ask == ASK_WAITING;
		if (waited)
			work->ask = ASK_NONE;
		break;
	}
	return waited;
}

void
key_list_touch_first(struct core *core, struct key_list *list, enum wait wait, uint64_t count)
{
	uint32_t some = count < list->count ? (uint32_t)count : list->count;

	for (uint32_t i = 0; i < some; i++) {
		struct entry *entry = table_find(&core->table, list->keys[i]);
		struct work *work = entry != NULL ? table_work(&core->table, entry) : NULL;

		if (work != NULL && wait_end(work, wait))
			table_touch(&core->table, entry);
	}
	list->count -= some;
	if (list->count > 0)
		memmove(list->keys, list->keys + some, list->count * sizeof(*list->keys));
}

void
key_list_touch(struct core *core, struct key_list *list, enum wait wait)
{
	key_list_touch_first(core, list, wait, list->count);
}

void
core_trace(struct core *core, const char *format, ...)
{
	char text[256], line[640];
	va_list args;

	if (core->config.trace == NULL)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	snprintf(line, sizeof(line), "[%6llu] %s > %s", (unsigned long long)(core->now / 1000), core->name, text);
	core->config.trace(core->config.trace_arg, line);
}

void
core_wake(struct core *core, moment_us at)
{
	if (at < core->deadline)
		core->deadline = at;
}

moment_us
entry_lease_end(const struct core *core, const struct entry *entry)
{
	return core->started + ((moment_us)entry->expiry << EXPIRY_SHIFT);
}

enum perm
entry_held(const struct core *core, const struct entry *entry)
{
	const struct volume *volume = entry_volume(core, entry);

	if (volume->is_root)
		return PERM_WRITE;
	if (core->config.bug != BUG_SKIP_LEASE && (volume->lease_end <= core->now || entry_lease_end(core, entry) <= core->now))
		return PERM_NO;
	return entry->held;
}

void
entry_set_held(struct core *core, struct entry *entry, enum perm held)
{
	struct volume *volume = entry_volume(core, entry);

	volume->held_read -= entry->held == PERM_READ;
	volume->held_write -= entry->held == PERM_WRITE;
	entry->held = (uint32_t)held & 3;
	volume->held_read += held == PERM_READ;
	volume->held_write += held == PERM_WRITE;
}

bool
entry_readable(const struct core *core, const struct entry *entry)
{
	if (entry->copy == COPY_ABSENT || entry_held(core, entry) < PERM_READ)
		return false;
	return entry->dir == 0 || directory_max(&core->directory, entry, -1) < PERM_WRITE;
}

struct entry *
entry_make(struct core *core, struct volume *volume, uint64_t block)
{
	struct entry *entry = table_make(&core->table, block_key_make(volume->index, block), NULL);

	if (entry->version == 0)
		entry->version = volume->version_floor;
	return entry;
}

void
entry_rest(struct core *core, struct entry *entry)
{
	struct volume *volume = entry_volume(core, entry);

	if (!table_work_rest(&core->table, entry) || entry->copy != COPY_ABSENT || entry->dir != 0 || entry->held != PERM_NO)
		return;
	if (entry->version > volume->version_floor)
		volume->version_floor = entry->version;
	table_remove(&core->table, entry);
}

void
entry_put_copy(struct core *core, struct entry *entry, struct buf *buf, enum copy copy)
{
	CHECK(copy != COPY_ABSENT);
	entry->copy = (uint32_t)copy & 3;
	core->copies.ops->put(core->copies.self, entry->key, buf, copy == COPY_DIRTY);
}

void
entry_drop_copy(struct core *core, struct entry *entry)
{
	CHECK(entry->copy != COPY_DIRTY);
	if (entry->copy == COPY_ABSENT)
		return;
	entry->copy = COPY_ABSENT;
	core->copies.ops->drop(core->copies.self, entry->key);
}

version_t
entry_next_version(struct core *core, const struct entry *entry)
{
	struct work *work = table_work(&core->table, entry);
	version_t epoch = version_make(entry_volume(core, entry)->epoch, 0);

	// R11: the same version as long as nobody has seen it.
	if (entry->copy == COPY_DIRTY && (work->in_dirty || work->again) && !work->exposed && !(work->flushing && work->flush_version == entry->version))
		return entry->version;
	if (work != NULL)
		work->exposed = false;
	return (entry->version > epoch ? entry->version : epoch) + 1;
}

// ---- stopping ----

static void
stop_begin(struct core *core)
{
	uint32_t limit = core->config.io_timeout_ms != 0 ? core->config.io_timeout_ms : STOP_LIMIT_MS;

	if (core->stop != STOP_NO)
		return;
	core->stop = STOP_RECALL;
	core->stop_deadline = moment_after_ms(core->now, limit);
	for (uint32_t i = 1; i < core->table.entries.next; i++) {
		struct entry *entry = table_entry(&core->table, i);
		struct work *work;

		if (!pool_is_used(&core->table.entries, i) || entry->dir == 0)
			continue;
		work = table_work_make(&core->table, entry);
		if (!work->recall_open) {
			work->recall_open = work->recall_silent = true;
			work->recall_perm = PERM_NO;
		}
		table_touch(&core->table, entry);
	}
}

static void
stopped(struct core *core, enum hvfs_error error)
{
	struct action *action = actions_add(core->actions, ACTION_STOPPED);

	core->stop = STOP_DONE;
	action->error = error;
}

static bool
all_flushed(const struct core *core)
{
	for (uint32_t i = 0; i < core->volume_count; i++)
		if (core->volumes[i]->barriers != NULL || core->volumes[i]->dirty_count > 0)
			return false;
	return true;
}

// Everything below gives back, then everything goes up, then we leave.
static void
stop_advance(struct core *core)
{
	if (core->stop == STOP_NO || core->stop == STOP_DONE)
		return;
	core_wake(core, core->stop_deadline);
	if (core->now >= core->stop_deadline) {
		stopped(core, ERR_TIMED_OUT);
		return;
	}
	if (core->stop == STOP_RECALL && core->directory.records.used == 0) {
		core->stop = STOP_FLUSH;
		for (uint32_t i = 0; i < core->volume_count; i++)
			if (core->volumes[i]->announced)
				barrier_add(core, core->volumes[i], NULL, -1, 0);
	}
	for (uint32_t i = 0; core->stop == STOP_FLUSH && i < core->volume_count; i++)
		writeback_pump(core, core->volumes[i]);
	if (core->stop == STOP_FLUSH && all_flushed(core))
		core->stop = STOP_LEAVE;
	if (core->stop == STOP_LEAVE && session_leave(core))
		stopped(core, core->stop_error);
}

// ---- events ----

static void
for_blocks(struct core *core, struct volume *volume, const struct message *message,
	void (*fn)(struct core *, struct volume *, const struct message *, uint32_t))
{
	// One block after the other, each to its end: what a run brings must not be evicted by the rest of the run
	// before somebody could use it.
	for (uint32_t i = 0; i < message->count; i++) {
		fn(core, volume, message, i);
		transaction_drain(core);
	}
}

static bool
run_valid(const struct volume *volume, const struct message *message)
{
	return volume != NULL && (message->present & PRESENT(BLOCK_NUM)) && message->block < volume->blocks &&
		message->count <= volume->blocks - message->block;
}

static struct volume *
parent_volume(const struct core *core, const struct message *message)
{
	for (uint32_t i = 0; i < core->volume_count; i++) {
		struct volume *volume = core->volumes[i];

		if (!volume->is_root && volume->connected && (message->present & PRESENT(VOLUME_ID)) && volume->parent_id == message->volume_id)
			return volume;
	}
	return NULL;
}

static void
protocol_error(struct core *core, uint32_t link, const char *why)
{
	struct action *action;

	if (core->links[link]->closing)
		return;
	core->links[link]->closing = true;
	action = actions_add(core->actions, ACTION_CLOSE);
	action->link = link;
	action->text = why;
}

static void
parent_reply(struct core *core, uint32_t link, const struct message *message)
{
	struct volume *volume;

	if (session_reply(core, message))
		return;
	for (uint32_t i = 0; i < core->volume_count; i++) {
		volume = core->volumes[i];
		if (volume->barrier_out && !volume->is_root && volume->barrier_xid == message->xid) {
			writeback_barrier_done(core, volume, message->opcode == OP_OK_REPLY ? ERR_OK
				: message->status == STATUS_NO_SPACE			    ? ERR_NO_SPACE
											    : ERR_IO);
			return;
		}
	}
	volume = parent_volume(core, message);
	if (run_valid(volume, message))
		for_blocks(core, volume, message, client_reply_block);
	else if (message->opcode == OP_ERR_REPLY)
		client_request_refused(core, message);
	else if (message->present & PRESENT(BLOCK_NUM))
		protocol_error(core, link, "an answer about blocks or a volume that we did not ask for");
}

static void
parent_message(struct core *core, uint32_t link, const struct message *message)
{
	struct volume *volume;

	switch ((int)message->opcode) {
	case OP_OK_REPLY:
	case OP_ERR_REPLY:
		parent_reply(core, link, message);
		break;
	case OP_INVALIDATE:
		volume = parent_volume(core, message);
		if (run_valid(volume, message) && (message->present & PRESENT(PERMISSIONS)))
			for_blocks(core, volume, message, client_recall_block);
		else
			outbox_error(core, link, message->xid, STATUS_BAD_PARAM_VALUE, PARAM_BLOCK_NUM, message->block);
		break;
	default:
		outbox_error(core, link, message->xid, STATUS_NOT_SUPPORTED, 0, 0);
		break;
	}
}

static void
child_request(struct core *core, uint32_t link, const struct message *message)
{
	struct child *child;

	if (!server_check_request(core, link, message, &child))
		return;
	if (message->opcode == OP_FLUSH && !(message->present & PRESENT(BLOCK_NUM))) {
		server_barrier(core, child, message);
		return;
	}
	for (uint32_t i = 0; i < message->count; i++) {
		server_request_block(core, child, message, i);
		transaction_drain(core);
	}
}

static void
child_reply(struct core *core, uint32_t link, const struct message *message)
{
	for (uint32_t v = 0; v < core->volume_count; v++) {
		int32_t child = core->links[link]->child_of[v];

		if (child < 0 || core->volumes[v]->id != message->volume_id || !run_valid(core->volumes[v], message))
			continue;
		if (message->opcode == OP_ERR_REPLY) {
			protocol_error(core, link, "the child refuses an INVALIDATE");
			return;
		}
		for (uint32_t i = 0; i < message->count; i++) {
			server_recalled_block(core, core->children[child], message, i);
			transaction_drain(core);
		}
		return;
	}
}

static void
child_message(struct core *core, uint32_t link, const struct message *message)
{
	switch ((int)message->opcode) {
	case OP_CONNECT:
	case OP_DISCONNECT:
	case OP_HEARTBEAT:
		session_request(core, link, message);
		break;
	case OP_GET:
	case OP_PUT:
	case OP_FLUSH:
	case OP_LOCK:
		child_request(core, link, message);
		break;
	case OP_OK_REPLY:
	case OP_ERR_REPLY:
		child_reply(core, link, message);
		break;
	default:
		outbox_error(core, link, message->xid, STATUS_NOT_SUPPORTED, 0, 0);
		break;
	}
}

// All bytes that come in must be of the volume's block size: a peer may not make us read beyond a buffer.
static bool
items_sized(const struct core *core, uint32_t link, const struct message *message)
{
	const struct link *l = core->links[link];

	if (message->items == NULL)
		return true;
	for (uint32_t i = 0; i < message->count; i++) {
		const struct item *item = &message->items[i];

		if (item->kind != ITEM_DATA)
			continue;
		for (uint32_t v = 0; v < core->volume_count; v++) {
			const struct volume *volume = core->volumes[v];
			bool ours = l->role == LINK_PARENT ? !volume->is_root && volume->parent_id == message->volume_id
							   : volume->id == message->volume_id;

			if (ours && volume->block_size != 0 && item->buf != buf_zero() && buf_size(item->buf) != volume->block_size)
				return false;
		}
	}
	return true;
}

static void
core_message(struct core *core, uint32_t link, const struct message *message)
{
	CHECK(link < core->link_capacity && core->links[link] != NULL);
	if (core->links[link]->closing)
		return;
	if (!items_sized(core, link, message)) {
		outbox_error(core, link, message->xid, STATUS_BAD_PARAM_LENGTH, PARAM_DATA, 0);
		return;
	}
	if (core->links[link]->role == LINK_PARENT)
		parent_message(core, link, message);
	else
		child_message(core, link, message);
}

static void
store_event(struct core *core, const struct event *event)
{
	struct store_op op = *root_op(core, event->store_cookie);

	root_op_end(core, event->store_cookie);
	if (event->type == EVENT_STORE_SYNCED) {
		writeback_barrier_done(core, core->volumes[op.volume], event->error);
		return;
	}
	for (uint32_t i = 0; i < op.count; i++) {
		if (event->type == EVENT_STORE_READ)
			root_read_block(core, &op, i, event->bufs != NULL ? event->bufs[i] : NULL, event->error);
		else
			root_wrote_block(core, &op, i, event->error);
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

static void
dispatch(struct core *core, const struct event *event)
{
	switch (event->type) {
	case EVENT_TIMER:
		break;
	case EVENT_LINK_UP:
		session_link_up(core, event->link, event->role);
		break;
	case EVENT_LINK_DOWN:
		break; // core_step
	case EVENT_LINK_ROOM:
		link_room(core, event);
		break;
	case EVENT_MESSAGE:
		core_message(core, event->link, event->message);
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
	case EVENT_STOP:
		stop_begin(core);
		break;
	}
}

static void
timers(struct core *core)
{
	core->deadline = MOMENT_NEVER;
	session_timer(core);
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

// Blocks that wait for credits at the parent, or for fewer dirty blocks. One that goes on may not need what it waited for
// any more: so until nobody waits, or there is nothing to have.
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

		while (volume->dirty_wait.count > 0 && dirty_room(core, volume)) {
			key_list_touch_first(core, &volume->dirty_wait, WAIT_DIRTY, core->config.dirty_max - volume->dirty_count);
			transaction_drain(core);
		}
	}
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

void
core_step(struct core *core, moment_us now, const struct event *event, struct actions *actions)
{
	CHECK(now >= core->now);
	if (core->started == 0)
		core->started = now;
	core->now = now;
	core->actions = actions;
	if (event->type == EVENT_LINK_DOWN)
		session_link_down(core, event->link); // first: nothing may be sent on it any more
	if (now >= core->deadline)
		timers(core);
	dispatch(core, event);
	transaction_drain(core);
	waiters_pump(core);
	for (uint32_t i = 0; i < core->volume_count; i++)
		writeback_pump(core, core->volumes[i]);
	transaction_drain(core);
	waiters_pump(core);
	release_pump(core);
	stop_advance(core);
	outbox_close(core);
	core->actions = NULL;
}

moment_us
core_deadline(const struct core *core)
{
	return core->deadline;
}
