// SPDX-License-Identifier: MIT
// The actions of a step, with simulated effects: what node/ does with sockets, files and FUSE.
#include "core/check.h"
#include "tests/sim/world.h"

#include <stdlib.h>
#include <string.h>

// ---- The storage of a root ----

struct store_op {
	struct node *node;
	enum action_type type;
	struct disk *disk;
	uint64_t block;
	uint32_t count;
	uint64_t cookie;
	struct disk_sync *sync;
	bool read_done;
	struct buf *bufs[]; // counted
};

static const char *const store_names[] = {
	[ACTION_STORE_READ] = "read", [ACTION_STORE_WRITE] = "write", [ACTION_STORE_SYNC] = "sync"};

static void
store_op_free(struct store_op *op)
{
	for (uint32_t i = 0; i < op->count; i++)
		buf_unref(op->bufs[i]);
	free(op);
}

// Blocks of zeros come as the zero buffer or as a buffer of zeros: a real store may find out or not.
static void
store_read(struct store_op *op)
{
	struct world *world = op->node->world;
	struct buf_pool *pool = core_pool(op->node->core, world->block_size);

	for (uint32_t i = 0; i < op->count; i++) {
		const uint8_t *bytes = disk_read(op->disk, op->block + i);
		bool zero = bytes[0] == 0 && memcmp(bytes, bytes + 1, world->block_size - 1) == 0;

		op->bufs[i] = zero && rng_chance(&world->rng, 70) ? buf_zero() : buf_alloc(pool);
		if (op->bufs[i] != buf_zero())
			memcpy(buf_bytes(op->bufs[i]), bytes, world->block_size);
	}
}

static void
store_tell(void *context, void *arg, uint64_t number)
{
	struct store_op *op = arg;
	struct event event = {.store_cookie = op->cookie, .error = ERR_OK};

	if (world_defer(op->node, store_tell, arg, number))
		return;
	switch (op->type) {
	case ACTION_STORE_READ:
		event.type = EVENT_STORE_READ;
		event.bufs = op->bufs;
		event.count = op->count;
		break;
	case ACTION_STORE_WRITE:
		event.type = EVENT_STORE_WROTE;
		break;
	default:
		event.type = EVENT_STORE_SYNCED;
		break;
	}
	trace_add(&op->node->world->trace, TRACE_STORE, op->node->world->now, "%s store: %s block=%llu+%u ended",
		  op->node->name, store_names[op->type], (unsigned long long)op->block, op->count);
	world_step(op->node, &event);
	store_op_free(op);
}

static void
store_end(void *context, void *arg, uint64_t number)
{
	struct store_op *op = arg;

	switch (op->type) {
	case ACTION_STORE_READ:
		if (!op->read_done)
			store_read(op);
		break;
	case ACTION_STORE_WRITE:
		for (uint32_t i = 0; i < op->count; i++)
			disk_write(op->disk, op->block + i, buf_bytes(op->bufs[i]));
		break;
	default:
		disk_sync_end(op->disk, op->sync);
		op->sync = NULL;
		break;
	}
	store_tell(context, op, 0);
}

static moment_us
store_end_time(struct store_op *op, uint32_t volume)
{
	struct world *world = op->node->world;
	unsigned mean = op->type == ACTION_STORE_SYNC ? op->disk->sync_us : op->disk->latency_us;
	moment_us at = world->now + (mean > 0 ? rng_exponential(&world->rng, mean) : 0);

	if (op->type == ACTION_STORE_SYNC) {
		if (at < op->node->sync_end[volume])
			at = op->node->sync_end[volume];
		op->node->sync_end[volume] = at;
	}
	return at;
}

static void
store_begin(struct node *node, const struct action *action)
{
	struct world *world = node->world;
	uint32_t count = action->type == ACTION_STORE_SYNC ? 0 : action->count;
	struct store_op *op = calloc(1, sizeof *op + count * sizeof op->bufs[0]);

	CHECK(op != NULL && action->volume < WORLD_VOLUMES && node->disks[action->volume] != NULL);
	op->node = node;
	op->type = action->type;
	op->disk = node->disks[action->volume];
	op->block = action->block;
	op->count = count;
	op->cookie = action->store_cookie;
	for (uint32_t i = 0; i < count && action->type == ACTION_STORE_WRITE; i++)
		op->bufs[i] = buf_ref(action->bufs[i]);
	if (action->type == ACTION_STORE_SYNC) {
		op->sync = disk_sync_begin(op->disk);
		trace_add(&world->trace, TRACE_STORE, world->now, "%s store sync", node->name);
	} else {
		trace_add(&world->trace, TRACE_STORE, world->now, "%s store %s block=%llu+%u", node->name,
			  store_names[action->type], (unsigned long long)action->block, count);
	}
	if (action->type == ACTION_STORE_READ && op->disk->early_reads) {
		store_read(op);
		op->read_done = true;
	}
	world_at(world, store_end_time(op, action->volume), store_end, op, 0);
}

void
perform_forget(const struct heap_entry *entry)
{
	struct store_op *op = entry->arg;

	if (entry->fn != store_end && entry->fn != store_tell)
		return;
	if (op->sync != NULL)
		disk_sync_end(op->disk, op->sync);
	store_op_free(op);
}

// ---- The driver ----

// The part of block number ${index} of ${io} that the request covers: from, to within the block; the request's offset.
static void
io_part(const struct world *world, const struct io *io, uint32_t index, uint64_t *ret_from, uint64_t *ret_to,
	uint64_t *ret_at)
{
	uint64_t start = (io->offset / world->block_size + index) * world->block_size;
	uint64_t end = start + world->block_size, io_end = io->offset + io->size;

	CHECK(start < io_end);
	*ret_from = io->offset > start ? io->offset - start : 0;
	*ret_to = (io_end < end ? io_end : end) - start;
	*ret_at = start + *ret_from - io->offset;
}

static void
io_read(const struct world *world, const struct action *action)
{
	struct world_io *io = (struct world_io *)action->io;
	uint64_t from, to, at;

	CHECK(!io->done && io->io.kind == IO_READ && action->buf != NULL);
	io_part(world, action->io, action->index, &from, &to, &at);
	memcpy(io->bytes + at, buf_bytes(action->buf) + from, to - from);
}

static void
io_fill(const struct world *world, const struct action *action)
{
	struct world_io *io = (struct world_io *)action->io;
	uint8_t *bytes = buf_bytes(action->buf);
	uint64_t from, to, at;

	CHECK(!io->done && (io->io.kind == IO_WRITE || io->io.kind == IO_ZERO) && action->buf != buf_zero());
	io_part(world, action->io, action->index, &from, &to, &at);
	if (action->old != NULL && action->old != action->buf)
		memcpy(bytes, buf_bytes(action->old), world->block_size);
	if (io->io.kind == IO_ZERO)
		memset(bytes + from, 0, to - from);
	else
		memcpy(bytes + from, io->bytes + at, to - from);
}

// The answer leaves the process, perhaps later than the core decided it (protocol.md T4).
static void
io_answer(void *context, void *arg, uint64_t number)
{
	static const char *const kinds[] = {"read", "write", "zero", "sync"};
	struct world *world = context;
	struct world_io *io = arg;
	struct node *node = io->node;

	if (world_defer(node, io_answer, arg, number))
		return;
	if ((io->io.kind == IO_WRITE || io->io.kind == IO_ZERO) && io->error == ERR_OK &&
	    io->valid_until < world_clock(node)) {
		io->lapsed = true;
		io->error = ERR_IO;
	}
	trace_add(&world->trace, TRACE_IO, world->now, "%s %s [%llu, +%llu) ended: %s", node->name, kinds[io->io.kind],
		  (unsigned long long)io->io.offset, (unsigned long long)io->io.size, hvfs_error_text(io->error));
	if (world->hooks.io_done != NULL)
		world->hooks.io_done(world->hooks.arg, io);
}

static void
io_done(struct node *node, const struct action *action)
{
	struct world *world = node->world;
	struct world_io *io = (struct world_io *)action->io;

	CHECK(!io->done && io->node == node); // ended once, by the node that was asked
	io->done = true;
	io->error = action->error;
	io->valid_until = action->valid_until;
	if (node->answer_late_us == 0)
		io_answer(world, io, 0);
	else
		world_at(world, world->now + rng_below(&world->rng, node->answer_late_us), io_answer, io, 0);
}

// ---- All of them ----

void
world_kill(struct node *node)
{
	node->stopped = true;
	for (uint32_t link = 0; link < LIMIT_LINKS; link++) {
		struct conn *conn = node->links[link];

		if (conn != NULL)
			pipe_close(conn, conn->node[PIPE_UP] == node->index && conn->link[PIPE_UP] == link ? PIPE_UP
													   : PIPE_DOWN);
	}
}

static void
node_stopped(struct node *node, const struct action *action)
{
	trace_add(&node->world->trace, TRACE_WORLD, node->world->now, "%s has stopped: %s", node->name,
		  hvfs_error_text(action->error));
	world_kill(node);
}

static void
volume_told(struct node *node, const struct action *action)
{
	struct world *world = node->world;
	bool ready = action->type == ACTION_VOLUME_READY;

	trace_add(&world->trace, TRACE_WORLD, world->now, "%s volume %u %s", node->name, action->volume,
		  ready ? "is ready" : hvfs_error_text(action->error));
	if (ready && world->hooks.volume_ready != NULL)
		world->hooks.volume_ready(world->hooks.arg, node, action->volume);
	if (!ready && world->hooks.volume_failed != NULL)
		world->hooks.volume_failed(world->hooks.arg, node, action->volume, action->error);
}

static void
link_close(struct node *node, const struct action *action)
{
	struct conn *conn = node->links[action->link];

	CHECK(conn != NULL || node->going == action->link);
	if (conn == NULL)
		return;
	trace_add(&node->world->trace, TRACE_WORLD, node->world->now, "%s closes a link: %s", node->name,
		  action->text != NULL ? action->text : "");
	pipe_close(conn,
		   conn->node[PIPE_UP] == node->index && conn->link[PIPE_UP] == action->link ? PIPE_UP : PIPE_DOWN);
}

void
perform(struct node *node, struct actions *actions)
{
	// Buffers get their bytes before anybody looks at what the node has.
	for (size_t i = 0; i < actions_count(actions); i++)
		if (actions_get(actions, i)->type == ACTION_IO_FILL)
			io_fill(node->world, actions_get(actions, i));
	for (size_t i = 0; i < actions_count(actions); i++) {
		struct action *action = actions_get(actions, i);

		switch (action->type) {
		case ACTION_IO_READ:
			io_read(node->world, action);
			break;
		case ACTION_IO_FILL:
			break;
		case ACTION_IO_DONE:
			io_done(node, action);
			break;
		case ACTION_STORE_READ:
		case ACTION_STORE_WRITE:
		case ACTION_STORE_SYNC:
			store_begin(node, action);
			break;
		case ACTION_EVICT:
		case ACTION_RESCUE:
			break;
		case ACTION_VOLUME_READY:
		case ACTION_VOLUME_FAILED:
			volume_told(node, action);
			break;
		case ACTION_CLOSE:
			link_close(node, action);
			break;
		case ACTION_SEND:
			pipe_send(node, action->link, action->message);
			break;
		case ACTION_STOPPED:
			node_stopped(node, action);
			break;
		}
	}
}
