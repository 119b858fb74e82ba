// SPDX-License-Identifier: MIT
// The actions of a step, with simulated effects: what node/ does with sockets, files and FUSE.
#include "core/check.h"
#include "tests/sim/world.h"

#include <string.h>

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
io_answer(void *context, void *arg, uint64_t serial)
{
	static const char *const kinds[] = {"read", "write", "zero", "sync"};
	struct world *world = context;
	struct world_io *io = arg;
	struct node *node = io->node;

	if (io->serial != serial || io->died || world_defer(node, io_answer, arg, serial))
		return;
	if ((io->io.kind == IO_WRITE || io->io.kind == IO_ZERO) && io->error == ERR_OK &&
	    io->valid_until <= world_clock(node)) {
		io->lapsed = true;
		io->error = ERR_IO;
	}
	trace_add(&world->trace, TRACE_IO, world->now, "%s %s [%llu, +%llu) ended: %s", node->name, kinds[io->io.kind],
		  (unsigned long long)io->io.offset, (unsigned long long)io->io.size, hvfs_error_text(io->error));
	world_io_end(io);
}

static void
io_done(struct node *node, const struct action *action)
{
	struct world *world = node->world;
	struct world_io *io = (struct world_io *)action->io;

	CHECK(!io->done && io->node == node); // ended once, by the node that was asked
	CHECK(action->error != ERR_LOST || node->has_told_of_loss);
	io->done = true;
	io->error = action->error;
	if (io->error == ERR_OK && io->io.kind == IO_SYNC && world->seals != NULL &&
	    (io->io.force_sync || node->config.durability == DURABILITY_ROOT) && !proofs_prove(node, io->io.volume)) {
		trace_add(&world->trace, TRACE_WORLD, world->now, "%s: what was written is not at the root", node->name);
		io->error = ERR_IO;
	}
	io->valid_until = action->valid_until;
	if (node->answer_late_us == 0)
		io_answer(world, io, io->serial);
	else
		world_at(world, world->now + rng_below(&world->rng, node->answer_late_us), io_answer, io, io->serial);
}

// ---- All of them ----

static void
node_stopped(struct node *node, const struct action *action)
{
	enum hvfs_error error = action->error;

	for (uint32_t i = 0; node->world->seals != NULL && i < (uint32_t)node->volume_count; i++)
		if (!proofs_prove(node, i) && error == ERR_OK)
			error = ERR_IO;
	trace_add(&node->world->trace, TRACE_WORLD, node->world->now, "%s has stopped: %s", node->name, hvfs_error_text(error));
	if (error == ERR_OK && node->in_order) {
		node->metadata.clean = true;
		node->metadata.eviction_count = 0;
	}
	journal_file_leave(node);
	world_kill(node);
	if (node->world->hooks.stopped != NULL)
		node->world->hooks.stopped(node->world->hooks.arg, node, error);
}

// Here who is asked is the only one who could give it: with others, node/ asks them first.
static void
right_denied(void *context, void *arg, uint64_t volume)
{
	struct node *node = arg;

	if (!world_defer(node, right_denied, arg, volume) && node->core != NULL && !node->stopped &&
	    volume < core_volume_count(node->core))
		world_step(node, &(struct event){.type = EVENT_DENIED, .volume = (uint32_t)volume});
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
	if (!ready && action->error == ERR_DENIED)
		world_at(world, world->now, right_denied, node, action->volume);
	if (!ready && world->hooks.volume_failed != NULL)
		world->hooks.volume_failed(world->hooks.arg, node, action->volume, action->error);
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
			storage_begin(node, action);
			break;
		case ACTION_EVICT:
			storage_evict(node, action);
			break;
		case ACTION_END_GRACE:
			storage_end_grace(node, action);
			break;
		case ACTION_RESCUE:
			storage_rescue(node, action);
			break;
		case ACTION_JOURNAL:
		case ACTION_JOURNAL_SYNC:
		case ACTION_JOURNAL_AUTHOR:
			journal_file_perform(node, action);
			break;
		case ACTION_LOST:
			node->losses_told++;
			node->world->doubts += strcmp(action->text, LOST_LEFT_ABOVE) == 0;
			node->has_told_of_loss = true;
			trace_add(&node->world->trace, TRACE_WORLD, node->world->now, "%s tells of a loss: %s", node->name,
				  action->text);
			if (node->world->hooks.lost != NULL)
				node->world->hooks.lost(node->world->hooks.arg, node);
			break;
		case ACTION_VOLUME_READY:
		case ACTION_VOLUME_FAILED:
			volume_told(node, action);
			break;
		case ACTION_FORBIDDEN:
			trace_add(&node->world->trace, TRACE_WORLD, node->world->now, "%s forbids: %s", node->name, action->text);
			break;
		case ACTION_CLOSE:
			pipe_close_link(node, action->link, action->text != NULL ? action->text : "");
			break;
		case ACTION_SEND:
			if (node->world->seals != NULL)
				seals_send(node, action->link, action->volume, action->message);
			else
				pipe_send(node, action->link, action->message);
			break;
		case ACTION_STOPPED:
			node_stopped(node, action);
			break;
		}
	}
	journal_file_kick(node);
}
