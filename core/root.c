// SPDX-License-Identifier: MIT
// Reads and writes of adjacent blocks in one step become one store operation. Of one block there is one under way at a time, as
// store/store.h and node/rest.h count on: what is being read is not written before that has ended, and what is being written
// is in memory. What was read while the copy in memory was overwritten is thrown away, and so is that it could not be read.
#include "core/root.h"
#include "core/check.h"
#include "core/dirty.h"

static struct store_op *
op_new(struct core *core, struct volume *volume, uint64_t block, bool sync, uint64_t *ret_cookie)
{
	uint32_t index = pool_alloc(&core->store_ops);
	struct store_op *op = pool_get(&core->store_ops, index);

	*op = (struct store_op){.volume = volume->index, .block = block, .sync = sync};
	*ret_cookie = index;
	return op;
}

struct store_op *
root_op(struct core *core, uint64_t cookie)
{
	return pool_get(&core->store_ops, (uint32_t)cookie);
}

void
root_op_end(struct core *core, uint64_t cookie)
{
	pool_free(&core->store_ops, (uint32_t)cookie);
}

// The last action of this step, if it is a ${type} that ends right before ${block} and has room.
static struct action *
joinable(struct core *core, const struct volume *volume, enum action_type type, uint64_t block)
{
	struct action *last = actions_last(core->actions);

	if (last == NULL || last->type != type || last->volume != volume->index || last->block + last->count != block)
		return NULL;
	if ((uint64_t)(last->count + 1) * volume->block_size > LIMIT_MESSAGE_DATA_SIZE)
		return NULL;
	return last;
}

static struct action *
store_action(struct core *core, struct volume *volume, enum action_type type, uint64_t block)
{
	struct action *action = joinable(core, volume, type, block);

	if (action == NULL) {
		action = actions_add(core->actions, type);
		action->volume = volume->index;
		action->block = block;
		op_new(core, volume, block, false, &action->store_cookie);
		volume->writing += type == ACTION_STORE_WRITE;
	}
	root_op(core, action->store_cookie)->count++;
	return action;
}

void
root_read(struct core *core, struct entry *entry, struct want *want)
{
	struct work *work = table_work_make(&core->table, entry);

	struct volume *volume = entry_volume(core, entry);

	if (work->store_reading)
		return;
	CHECK(!work->flushing);
	if (volume->reading >= READ_WINDOW) { // whoever asked may have left, and ask for others
		key_list_wait(core, &volume->read_wait, entry, WAIT_READ);
		return;
	}
	volume->reading++;
	want->asks = true;
	volume->read_at = core->now;
	work->store_reading = true;
	core->copies.ops->missed(core->copies.self);
	work->read_stale = false;
	store_action(core, volume, ACTION_STORE_READ, block_key_block(entry->key))->count++;
	volume->fetched++;
}

void
root_write(struct core *core, struct entry *entry)
{
	struct volume *volume = entry_volume(core, entry);
	struct buf *buf = core->copies.ops->get(core->copies.self, entry->key);

	CHECK(entry->copy == COPY_DIRTY && buf != NULL && !table_work(&core->table, entry)->store_reading);
	actions_add_buf(core->actions, store_action(core, volume, ACTION_STORE_WRITE, block_key_block(entry->key)),
			buf, entry->version);
	dirty_sent(core, entry);
}

void
root_sync(struct core *core, struct volume *volume)
{
	struct action *action = actions_add(core->actions, ACTION_STORE_SYNC);

	action->volume = volume->index;
	op_new(core, volume, 0, true, &action->store_cookie);
}

void
root_read_block(struct core *core, const struct store_op *op, uint32_t i, struct buf *buf)
{
	struct entry *entry = table_find(&core->table, block_key_make(op->volume, op->block + i));
	struct work *work = table_work(&core->table, entry);

	CHECK(work != NULL && work->store_reading && core->volumes[op->volume]->reading > 0);
	core->volumes[op->volume]->reading--;
	core->volumes[op->volume]->read_at = core->now;
	work->store_reading = false;
	if (buf != NULL && !work->read_stale && entry->copy == COPY_ABSENT)
		entry_put_copy(core, entry, buf, COPY_CLEAN);
	else if (buf == NULL && !work->read_stale)
		work->failed_status = STATUS_STORE_ERROR;
	work->read_stale = false;
	table_touch(&core->table, entry);
}

void
root_wrote_block(struct core *core, const struct store_op *op, uint32_t i, enum hvfs_error error)
{
	struct entry *entry = table_find(&core->table, block_key_make(op->volume, op->block + i));
	struct work *work = entry != NULL ? table_work(&core->table, entry) : NULL;

	CHECK(work != NULL && work->flushing);
	if (error == ERR_OK)
		dirty_flushed(core, entry);
	else
		dirty_failed(core, entry, error);
	table_touch(&core->table, entry);
}
