// SPDX-License-Identifier: MIT
#include "tests/fuzz/fuzz_node.h"

#include "core/check.h"
#include "tests/fuzz/session_trace.h"
#include "tests/fuzz/wire_help.h"

#include <stdlib.h>
#include <string.h>

enum { TIMER_TRIES = 4 };

static uint8_t scratch[LIMIT_IO_SIZE + LIMIT_BLOCK_SIZE_MAX];

// ---- What the core orders ----

// The part of block number ${index} of ${io} that the request covers: from, to within the block; its place in the io.
static void
io_part(const struct fuzz_node *node, const struct action *action, uint64_t *ret_from, uint64_t *ret_to,
	uint32_t *ret_block_size)
{
	const struct io *io = action->io;
	struct volume_info info;
	uint64_t start;

	core_volume_info(node->core, io->volume, node->now, &info);
	start = (io->offset / info.block_size + action->index) * info.block_size;
	CHECK(((const struct fuzz_io *)io)->active && start < io->offset + io->size);
	*ret_from = io->offset > start ? io->offset - start : 0;
	*ret_to = io->offset + io->size < start + info.block_size ? io->offset + io->size - start : info.block_size;
	*ret_block_size = info.block_size;
	CHECK(*ret_from < *ret_to && (action->buf == buf_zero() || buf_size(action->buf) == info.block_size));
}

static void
io_read(struct fuzz_node *node, const struct action *action)
{
	uint64_t from, to;
	uint32_t block_size;

	io_part(node, action, &from, &to, &block_size);
	CHECK(action->io->kind == IO_READ);
	memcpy(scratch, buf_bytes(action->buf) + from, to - from);
}

static void
io_fill(struct fuzz_node *node, const struct action *action)
{
	uint64_t from, to;
	uint32_t block_size;

	io_part(node, action, &from, &to, &block_size);
	CHECK((action->io->kind == IO_WRITE || action->io->kind == IO_ZERO) && action->buf != buf_zero());
	if (action->old != NULL && action->old != action->buf)
		memcpy(buf_bytes(action->buf), buf_bytes(action->old), block_size);
	else
		CHECK(action->old != NULL || to - from == block_size);
	memset(buf_bytes(action->buf) + from, action->io->kind == IO_ZERO ? 0 : (int)action->io->stream + 1, to - from);
}

static void
io_done(struct fuzz_node *node, const struct action *action)
{
	struct fuzz_io *io = (struct fuzz_io *)action->io;

	CHECK(io->active && action->error < ERR_COUNT);
	io->active = false; // once
	session_trace("    %s ends request %td: %s", node->config.name, io - node->ios, hvfs_error_text(action->error));
	node->given_up += action->error != ERR_OK ? io->io.count : 0;
}

static void
op_begin(struct fuzz_node *node, const struct action *action)
{
	uint32_t count = action->type == ACTION_STORE_READ || action->type == ACTION_STORE_WRITE ? action->count : 0;
	struct fuzz_op *op = calloc(1, sizeof(*op) + count * sizeof(op->bufs[0]));
	struct fuzz_op **at = &node->ops;

	CHECK(op != NULL && action->volume < core_volume_count(node->core));
	CHECK(count <= LIMIT_RUN_BLOCKS && (count > 0 || action->type >= ACTION_STORE_SYNC));
	op->type = action->type;
	op->volume = action->volume;
	op->count = count;
	op->cookie = action->store_cookie;
	for (uint32_t i = 0; i < count && action->type == ACTION_STORE_WRITE; i++) {
		CHECK(action->bufs[i] != NULL);
		op->bufs[i] = buf_ref(action->bufs[i]);
	}
	while (*at != NULL)
		at = &(*at)->next;
	*at = op;
	session_trace("    %s store action %d block %llu+%u", node->config.name, (int)op->type,
		      (unsigned long long)action->block, count);
}

static struct fuzz_link *
link_of(struct fuzz_node *node, uint32_t id)
{
	for (unsigned slot = 0; slot < SLOTS; slot++)
		if (node->links[slot].id == id)
			return &node->links[slot];
	CHECK(!"a link that never was");
	return NULL;
}

static void
heard_add(struct fuzz_link *link, uint32_t xid)
{
	if (link->heard_count == link->heard_capacity) {
		link->heard_capacity = link->heard_capacity * 2 + 16;
		link->heard = realloc(link->heard, link->heard_capacity * sizeof(link->heard[0]));
		CHECK(link->heard != NULL);
	}
	link->heard[link->heard_count++] = xid;
}

// An answer to a request that came on another link, before, would be taken for one to something else.
static void
check_asked(const struct fuzz_link *link, const struct message *message)
{
	size_t i = link->heard_count;

	if (!link->up || (message->opcode != OP_OK_REPLY && message->opcode != OP_ERR_REPLY))
		return;
	while (i > 0 && link->heard[i - 1] != message->xid)
		i--;
	CHECK(i > 0);
}

// What the neighbour gets is what it decodes: the core may say nothing that the decoder refuses.
static void
message_send(struct fuzz_node *node, const struct action *action)
{
	static struct item items[LIMIT_RUN_BLOCKS];
	struct fuzz_link *link = link_of(node, action->link);
	struct volume_info info = {.block_size = LIMIT_BLOCK_SIZE_MIN};
	struct message message;
	struct wire_error error;
	uint8_t *bytes;
	size_t size;

	if (action->message->items != NULL)
		core_volume_info(node->core, action->volume, node->now, &info);
	CHECK(info.block_size != 0);
	bytes = wire_help_encode(action->message, info.block_size, &size);
	CHECK(wire_decode(bytes, size, items, &message, &error) == 0);
	session_trace_message(node->config.name, "says", &message);
	for (uint32_t i = 0; message.items != NULL && i < message.count; i++)
		link->sent += message.items[i].kind == ITEM_DATA ? info.block_size : 0;
	check_asked(link, &message);
	if (link->up)
		node->sent(node->arg, node, (unsigned)(link - node->links), &message, bytes, size);
	free(bytes);
}

static void
perform(struct fuzz_node *node, const struct action *action)
{
	switch (action->type) {
	case ACTION_IO_READ:
		io_read(node, action);
		break;
	case ACTION_IO_FILL:
		io_fill(node, action);
		break;
	case ACTION_IO_DONE:
		io_done(node, action);
		break;
	case ACTION_STORE_READ:
	case ACTION_STORE_WRITE:
	case ACTION_STORE_SYNC:
	case ACTION_EVICT:
	case ACTION_END_GRACE:
		op_begin(node, action);
		break;
	case ACTION_RESCUE:
		CHECK(action->buf != NULL);
		memcpy(scratch, buf_bytes(action->buf), LIMIT_BLOCK_SIZE_MIN);
		break;
	case ACTION_JOURNAL:
	case ACTION_JOURNAL_SYNC:
	case ACTION_JOURNAL_AUTHOR:
		break; // no node has a journal
	case ACTION_LOST:
		session_trace("    %s tells of a loss: %s", node->config.name, action->text);
		break;
	case ACTION_VOLUME_READY:
	case ACTION_VOLUME_FAILED:
		CHECK(action->volume < core_volume_count(node->core));
		break;
	case ACTION_FORBIDDEN:
		session_trace("    %s forbids: %s", node->config.name, action->text);
		break;
	case ACTION_CLOSE:
		session_trace("    %s closes link %u: %s", node->config.name, action->link, action->text);
		link_of(node, action->link)->closing = true;
		break;
	case ACTION_SEND:
		message_send(node, action);
		break;
	case ACTION_STOPPED:
		session_trace("    %s has stopped: %s", node->config.name, hvfs_error_text(action->error));
		node->stopped = true;
		break;
	}
}

void
fuzz_node_step(struct fuzz_node *node, const struct event *event)
{
	uint64_t before;

	if (node->stopped)
		return;
	before = fuzz_bounds_before(node, event);
	node->cost += before;
	core_step(node->core, node->now, event, node->actions);
	for (size_t i = 0; i < actions_count(node->actions); i++)
		perform(node, actions_get(node->actions, i));
	fuzz_bounds_check(node, before);
	actions_reset(node->actions);
}

void
fuzz_node_timer(struct fuzz_node *node)
{
	unsigned tries = 0;

	// A deadline that does not move would keep a processor busy.
	while (!node->stopped && core_deadline(node->core) <= node->now) {
		CHECK(tries++ < TIMER_TRIES);
		fuzz_node_step(node, &(struct event){.type = EVENT_TIMER});
	}
}

// ---- Links ----

void
fuzz_node_up(struct fuzz_node *node, unsigned slot)
{
	struct fuzz_link *link = &node->links[slot];

	if (link->up || node->stopped || (slot == 0 && !node->config.has_parent))
		return;
	link->up = true;
	link->closing = false;
	link->sent = 0;
	link->heard_count = 0;
	fuzz_node_step(node, &(struct event){.type = EVENT_LINK_UP,
					     .link = link->id,
					     .role = slot == 0 ? LINK_PARENT : LINK_CHILD,
					     .address = slot == 0 ? "parent:1" : NULL});
}

void
fuzz_node_down(struct fuzz_node *node, unsigned slot)
{
	if (!node->links[slot].up)
		return;
	node->links[slot].up = false; // what the core still says before it knows is lost
	fuzz_node_step(node, &(struct event){.type = EVENT_LINK_DOWN, .link = node->links[slot].id});
}

bool
fuzz_node_close(struct fuzz_node *node)
{
	bool any = false;

	for (unsigned slot = 0; slot < SLOTS; slot++)
		if (node->links[slot].up && node->links[slot].closing) {
			fuzz_node_down(node, slot);
			any = true;
		}
	return any;
}

// As node/links.c: zeros become the zero buffer.
static void
take_data(struct fuzz_node *node, struct message *message)
{
	static const uint8_t zeros[LIMIT_BLOCK_SIZE_MAX];

	for (uint32_t i = 0; message->items != NULL && i < message->count; i++) {
		struct item *item = &message->items[i];

		if (item->kind != ITEM_DATA)
			continue;
		if (memcmp(item->bytes, zeros, message->data_size) == 0) {
			item->buf = buf_zero();
		} else {
			item->buf = buf_alloc(core_pool(node->core, message->data_size));
			memcpy(buf_bytes(item->buf), item->bytes, message->data_size);
		}
		item->bytes = NULL;
	}
}

void
fuzz_node_receive(struct fuzz_node *node, unsigned slot, const uint8_t *bytes, size_t size)
{
	static struct item items[LIMIT_RUN_BLOCKS];
	struct fuzz_link *link = &node->links[slot];
	struct message message;
	struct wire_error error;

	while (size > 0 && link->up && !link->closing && !node->stopped) {
		struct wire_splitter splitter = {0};
		long end = wire_split(&splitter, bytes, size, &error);

		if (end < 0)
			link->closing = true; // the shell closes it
		if (end <= 0)
			return;
		if (wire_decode(bytes, (size_t)end, items, &message, &error) == 0) {
			session_trace_message(node->config.name, "hears", &message);
			heard_add(link, message.xid);
			take_data(node, &message);
			fuzz_node_step(node,
				       &(struct event){.type = EVENT_MESSAGE, .link = link->id, .message = &message});
			wire_help_drop(&message);
		}
		bytes += end;
		size -= (size_t)end;
	}
}

// ---- Requests and storage ----

void
fuzz_node_submit(struct fuzz_node *node, const struct io *io)
{
	for (unsigned i = 0; i < NODE_IOS && !node->stopped; i++) {
		if (node->ios[i].active)
			continue;
		node->ios[i].io = *io;
		node->ios[i].active = true;
		fuzz_node_step(node, &(struct event){.type = EVENT_IO, .io = &node->ios[i].io});
		return;
	}
}

unsigned
fuzz_node_waiting(const struct fuzz_node *node)
{
	unsigned waiting = 0;

	for (unsigned i = 0; i < NODE_IOS; i++)
		waiting += node->ios[i].active;
	return waiting;
}

static void
op_free(struct fuzz_op *op)
{
	for (uint32_t i = 0; i < op->count; i++)
		buf_unref(op->bufs[i]);
	free(op);
}

static void
op_read(struct fuzz_node *node, struct fuzz_op *op, uint8_t fill)
{
	struct volume_info info;

	core_volume_info(node->core, op->volume, node->now, &info);
	for (uint32_t i = 0; i < op->count; i++) {
		op->bufs[i] = fill == 0 ? buf_zero() : buf_alloc(info.pool);
		if (fill != 0)
			memset(buf_bytes(op->bufs[i]), fill, info.block_size);
	}
}

static bool
is_record(const struct fuzz_op *op)
{
	return op->type == ACTION_EVICT || op->type == ACTION_END_GRACE;
}

bool
fuzz_node_end(struct fuzz_node *node, unsigned index, bool evictions, enum hvfs_error error, uint8_t fill)
{
	static const enum event_type types[] = {[ACTION_STORE_READ] = EVENT_STORE_READ,
						[ACTION_STORE_WRITE] = EVENT_STORE_WROTE,
						[ACTION_STORE_SYNC] = EVENT_STORE_SYNCED,
						[ACTION_EVICT] = EVENT_EVICTED,
						[ACTION_END_GRACE] = EVENT_GRACE_ENDED};
	struct fuzz_op **at = &node->ops, *op;
	struct event event = {.error = error};

	while (*at != NULL && (is_record(*at) != evictions || index-- > 0))
		at = &(*at)->next;
	op = *at;
	if (op == NULL || node->stopped)
		return false;
	*at = op->next;
	event.type = types[op->type];
	event.store_cookie = op->cookie;
	event.volume = op->volume;
	if (op->type == ACTION_STORE_READ && error == ERR_OK) {
		op_read(node, op, fill);
		event.bufs = op->bufs;
		event.count = op->count;
	}
	fuzz_node_step(node, &event);
	op_free(op);
	return true;
}

// ---- Life ----

void
fuzz_node_init(struct fuzz_node *node, const struct core_config *config, uint64_t cache_blocks)
{
	const struct level_config level = {.size = cache_blocks * LIMIT_BLOCK_SIZE_MIN};
	struct copies copies;

	memset(node, 0, sizeof(*node));
	node->config = *config;
	node->now = 1000 * 1000;
	node->credits_max = 64; // before it has said anything
	for (unsigned slot = 0; slot < SLOTS; slot++)
		node->links[slot].id = slot * 3;
	node->cache = stack_create(LIMIT_BLOCK_SIZE_MIN, &level, 1);
	copies = stack_copies(node->cache);
	node->core = core_create(config, &copies);
	node->actions = actions_create();
}

void
fuzz_node_fini(struct fuzz_node *node)
{
	while (node->ops != NULL) {
		struct fuzz_op *op = node->ops;

		node->ops = op->next;
		op_free(op);
	}
	for (unsigned slot = 0; slot < SLOTS; slot++)
		free(node->links[slot].heard);
	actions_destroy(node->actions);
	core_destroy(node->core);
	stack_destroy(node->cache);
}
