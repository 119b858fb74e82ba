// SPDX-License-Identifier: MIT
// A connection is two pipes. A packet leaves when those before it have left (bandwidth), travels for a time of its own,
// and arrives not before those sent before it (R1). Cutting a connection loses what is under way from a random packet
// on, in each direction; a packet may still arrive after its sender has noticed. Each end learns of the cut at its own
// time, so a child can be back on a new connection before its parent has seen the old one die.
#include "core/check.h"
#include "net/wire.h"
#include "tests/sim/world.h"

#include <stdlib.h>
#include <string.h>

enum { REFUSED_US = 100000 };

static struct node *
conn_node(const struct conn *conn, unsigned end)
{
	return conn->world->nodes[conn->node[end]];
}

// ---- Arriving ----

static struct wire_error malformed;

static void
packet_give_buffers(const struct node *node, struct item *items, const struct message *message)
{
	struct buf_pool *pool = core_pool(node->core, message->data_size != 0 ? message->data_size : node->world->block_size);

	for (uint32_t i = 0; message->items != NULL && i < message->count; i++) {
		if (items[i].kind != ITEM_DATA)
			continue;
		items[i].buf = buf_alloc(pool);
		memcpy(buf_bytes(items[i].buf), items[i].bytes, message->data_size);
		items[i].bytes = NULL;
	}
}

// The message in ${packet}, with a buffer for each block of data, as the performer of a real node would give it. What a liar has
// sent need not be one: false, and ${end} has told it.
static bool
packet_decode(const struct packet *packet, unsigned end, struct item *items, struct message *ret)
{
	struct wire_splitter splitter = {0};
	struct node *node = conn_node(packet->conn, end);
	bool whole = wire_split(&splitter, packet->bytes, packet->size, &malformed) == (long)packet->size;

	memset(ret, 0, sizeof *ret);
	if (whole && wire_decode(packet->bytes, packet->size, items, ret, &malformed) == 0) {
		packet_give_buffers(node, items, ret);
		return true;
	}
	CHECK(node->world->seals != NULL);
	seals_malformed(packet->conn, end, ret, malformed.status, !whole);
	return false;
}

static void
message_deliver(struct conn *conn, unsigned end, struct message *message)
{
	struct node *node = conn_node(conn, end);

	trace_add_message(&node->world->trace, TRACE_RECEIVE, node->world->now, node->name, "<-", conn_node(conn, !end)->name,
			  message);
	if (node->liar != NULL && liar_hears(node->liar, conn, end, message))
		return;
	if (node->world->seals == NULL || seals_receive(conn, end, message))
		world_step(node, &(struct event){.type = EVENT_MESSAGE, .link = conn->link[end], .message = message});
}

static void
packet_deliver(void *context, void *arg, uint64_t number)
{
	static struct item items[LIMIT_RUN_BLOCKS];
	struct packet *packet = arg;
	struct conn *conn = packet->conn;
	unsigned end = !packet->direction;
	struct node *node = conn_node(conn, end);
	struct message *message = node->world->message;

	if (world_defer(node, packet_deliver, arg, number))
		return;
	if (conn->open[end] && !conn->closed[end] && !node->stopped) {
		node->world->messages++;
		if (packet_decode(packet, end, items, message)) {
			conn->answered |= end == PIPE_UP && message->opcode == OP_OK_REPLY; // as node/parent.c: a refusal is no answer
			message_deliver(conn, end, message);
			for (uint32_t i = 0; message->items != NULL && i < message->count; i++)
				if (items[i].kind == ITEM_DATA)
					buf_unref(items[i].buf);
		}
	}
	free(packet);
}

// Until when what arrives in ${direction} has to wait; 0: not at all.
static moment_us
blocked_until(const struct conn *conn, unsigned direction)
{
	return conn->world->obstacles == NULL
		       ? 0
		       : world_blocked_until(conn->world, conn->node[direction], conn->node[!direction]);
}

// Give up to ${count} of those that wait to the receiver. Returns how many there were.
static unsigned
pipe_release(struct conn *conn, unsigned direction, unsigned count)
{
	struct pipe *pipe = &conn->pipe[direction];
	unsigned released = 0;

	while (pipe->head != NULL && released < count) {
		struct packet *packet = pipe->head;

		pipe->head = packet->next;
		if (pipe->head == NULL)
			pipe->tail = &pipe->head;
		packet->next = NULL;
		packet_deliver(conn->world, packet, 0);
		released++;
	}
	return released;
}

static void
unblocked(void *context, void *arg, uint64_t direction)
{
	struct conn *conn = arg;
	moment_us until = blocked_until(conn, (unsigned)direction);

	if (until > 0)
		world_at(conn->world, until, unblocked, conn, direction);
	else if (!conn_node(conn, PIPE_UP)->hold[direction])
		pipe_release(conn, (unsigned)direction, UINT32_MAX);
}

void
pipe_unblock(struct world *world)
{
	for (struct conn *conn = world->conns; conn != NULL; conn = conn->next)
		for (unsigned direction = 0; direction < 2; direction++)
			if (conn->pipe[direction].head != NULL)
				world_at(world, world->now, unblocked, conn, direction);
}

static void
packet_arrive(void *context, void *arg, uint64_t number)
{
	struct packet *packet = arg;
	struct conn *conn = packet->conn;
	struct pipe *pipe = &conn->pipe[packet->direction];
	moment_us until;

	if (conn->arrived[packet->direction]++ >= conn->heard_max[packet->direction]) {
		free(packet);
		return;
	}
	until = blocked_until(conn, packet->direction);
	if (until == 0 && !conn_node(conn, PIPE_UP)->hold[packet->direction] && pipe->head == NULL) {
		packet_deliver(context, packet, 0);
		return;
	}
	if (until > 0 && pipe->head == NULL)
		world_at(conn->world, until, unblocked, conn, packet->direction);
	*pipe->tail = packet;
	pipe->tail = &packet->next;
}

unsigned
world_release(struct node *node, unsigned direction, unsigned count)
{
	return node->uplink == NULL ? 0 : pipe_release(node->uplink, direction, count);
}

void
world_hold(struct node *node, unsigned direction, bool hold)
{
	node->hold[direction] = hold;
	if (!hold)
		world_release(node, direction, UINT32_MAX);
}

// ---- Leaving ----

// Memory that is used again for each packet.
static void *
reserve(void **memory, size_t *capacity, size_t size)
{
	if (*capacity < size) {
		free(*memory);
		*memory = malloc(size);
		*capacity = size;
		CHECK(*memory != NULL);
	}
	return *memory;
}

static struct packet *
packet_encode(struct conn *conn, unsigned direction, const struct message *message, uint32_t block_size)
{
	static void *bytes_memory, *segments_memory;
	static size_t bytes_capacity, segments_capacity;
	uint8_t *scratch = reserve(&bytes_memory, &bytes_capacity, wire_scratch_size(message) + 1);
	struct wire_segment *segments = reserve(&segments_memory, &segments_capacity,
						(wire_segment_count(message) + 1) * sizeof *segments);
	struct packet *packet;
	size_t count, size = 0;

	count = wire_encode(message, block_size, scratch, segments);
	CHECK(count <= wire_segment_count(message));
	for (size_t i = 0; i < count; i++)
		size += segments[i].size;
	packet = malloc(sizeof *packet + size);
	CHECK(packet != NULL);
	*packet = (struct packet){.conn = conn, .direction = direction};
	for (size_t i = 0; i < count; i++) {
		memcpy(packet->bytes + packet->size, segments[i].bytes, segments[i].size);
		packet->size += segments[i].size;
		packet->data_size += segments[i].buf != NULL ? segments[i].size : 0;
	}
	// For the core of who keeps the proof of zeros these are bytes like others (as in node/links.c).
	for (uint32_t i = 0; message->items != NULL && i < message->count; i++)
		if (message->items[i].kind == ITEM_ZERO && message->items[i].verifier.size > 0)
			packet->data_size += block_size;
	if (message->opcode == OP_RECOVER)
		packet->data_size = packet->size; // claims wait for room, too (protocol.md R16)
	return packet;
}

static void
room_tell(void *context, void *arg, uint64_t direction)
{
	struct conn *conn = arg;
	struct node *node = conn_node(conn, (unsigned)direction);

	if (world_defer(node, room_tell, arg, direction) || !conn->open[direction] || conn->closed[direction])
		return;
	conn->pipe[direction].room_due = false;
	conn->pipe[direction].since_room = conn->pipe[direction].queued;
	world_step(node, &(struct event){.type = EVENT_LINK_ROOM,
					 .link = conn->link[direction],
					 .queued_size = conn->pipe[direction].queued});
}

// The core counts what it sent since the last EVENT_LINK_ROOM: tell it when much of that has left (as net/link does).
static void
room_check(struct conn *conn, unsigned direction)
{
	struct pipe *pipe = &conn->pipe[direction];

	if (pipe->room_due || pipe->since_room < LIMIT_LINK_DATA_SIZE / 2 || pipe->queued >= LIMIT_LINK_DATA_SIZE / 2)
		return;
	pipe->room_due = true;
	world_at(conn->world, conn->world->now, room_tell, conn, direction);
}

// Number: the direction in the lowest bit, the size above it.
static void
packet_left(void *context, void *arg, uint64_t number)
{
	struct conn *conn = arg;

	conn->pipe[number & 1].queued -= number >> 1;
	room_check(conn, number & 1);
}

static void
packet_schedule(struct packet *packet)
{
	struct conn *conn = packet->conn;
	struct world *world = conn->world;
	struct pipe *pipe = &conn->pipe[packet->direction];
	const struct pipe_config *config = &conn_node(conn, PIPE_UP)->pipe[packet->direction];
	moment_us at = pipe->sent_until > world->now ? pipe->sent_until : world->now;

	if (config->bytes_per_s > 0) {
		if (pipe->sent_until <= world->now)
			pipe->sent_since = world->now;
		at += packet->size * 1000000 / config->bytes_per_s;
		pipe->sent_until = at;
		pipe->queued += packet->data_size;
		if (packet->data_size > 0)
			world_at(world, at, packet_left, conn, packet->data_size << 1 | packet->direction);
	}
	pipe->since_room += packet->data_size;
	room_check(conn, packet->direction);
	at += config->delay_us + (config->jitter_us > 0 ? rng_exponential(&world->rng, config->jitter_us) : 0);
	if (at < pipe->arrived_until)
		at = pipe->arrived_until;
	pipe->arrived_until = at;
	conn->sent[packet->direction]++;
	world_at(world, at, packet_arrive, packet, 0);
}

static bool
is_busy(const struct conn *conn, unsigned direction)
{
	const struct node *node = conn_node(conn, PIPE_UP);
	const struct pipe *pipe = &conn->pipe[direction];
	moment_us delay_us = direction == PIPE_DOWN ? node->pipe[direction].delay_us : 0; // seen by the child

	return !node->hold[direction] && blocked_until(conn, direction) == 0 && conn->heard_max[direction] == UINT64_MAX &&
	       pipe->sent_since + delay_us <= conn->world->now && conn->world->now < pipe->sent_until + delay_us;
}

bool
pipe_is_busy(const struct node *node)
{
	const struct conn *conn = node->uplink;

	return conn != NULL && conn->open[PIPE_UP] && !conn->silent && (is_busy(conn, PIPE_UP) || is_busy(conn, PIPE_DOWN));
}

static unsigned
conn_end(const struct conn *conn, const struct node *node, uint32_t link)
{
	return conn->node[PIPE_UP] == node->index && conn->link[PIPE_UP] == link ? PIPE_UP : PIPE_DOWN;
}

void
pipe_send(struct node *node, uint32_t link, const struct message *message)
{
	struct conn *conn = link < LIMIT_LINKS ? node->links[link] : NULL;
	unsigned end;
	bool beat;

	CHECK(conn != NULL || node->going == link);
	if (conn == NULL)
		return;
	end = conn_end(conn, node, link);
	if (conn->closed[end])
		return;
	if (message->opcode == OP_CONNECT)
		node_told_name(node, &message->volume_name, message->node_id);
	if (message->opcode == OP_HEARTBEAT)
		conn->beat_xid[end] = message->xid;
	beat = message->opcode == OP_HEARTBEAT ||
	       (message->opcode == OP_OK_REPLY && message->xid == conn->beat_xid[!end]);
	trace_add_message(&node->world->trace, beat ? TRACE_BEAT : TRACE_SEND, node->world->now, node->name, "->",
			  conn_node(conn, !end)->name, message);
	if (node->liar == NULL || !liar_says(node->liar, conn, end, message))
		pipe_put(conn, end, message, node->world->block_size);
}

void
pipe_put(struct conn *conn, unsigned end, const struct message *message, uint32_t block_size)
{
	if (!conn->closed[end])
		packet_schedule(packet_encode(conn, end, message, block_size));
}

void
pipe_put_bytes(struct conn *conn, unsigned end, const uint8_t *bytes, size_t size)
{
	struct packet *packet = malloc(sizeof *packet + size);

	CHECK(packet != NULL);
	*packet = (struct packet){.conn = conn, .direction = end, .size = size};
	memcpy(packet->bytes, bytes, size);
	if (conn->closed[end])
		free(packet);
	else
		packet_schedule(packet);
}

// ---- Coming and going ----

static void conn_down(void *context, void *arg, uint64_t end);

static void
conn_schedule_down(struct conn *conn, unsigned end, moment_us at)
{
	if (conn->down_at[end] <= at || (conn->down_at[end] != MOMENT_NEVER && !conn->world->moving))
		return;
	conn->down_at[end] = at;
	world_at(conn->world, at, conn_down, conn, end);
}

// A parent that says nothing (it is stopped, or blocked in one direction) is given up.
static void
patience_ends(void *context, void *arg, uint64_t number)
{
	struct conn *conn = arg;
	struct node *node = conn_node(conn, PIPE_UP);

	if (conn->answered || conn->closed[PIPE_UP] || world_defer(node, patience_ends, arg, number))
		return;
	trace_add(&node->world->trace, TRACE_WORLD, node->world->now, "%s gives %s up: no answer", node->name,
		  conn_node(conn, PIPE_DOWN)->name);
	pipe_close(conn, PIPE_UP);
}

static void
conn_up(void *context, void *arg, uint64_t end)
{
	struct conn *conn = arg;
	struct node *node = conn_node(conn, (unsigned)end);
	uint32_t link = 0;

	if (world_defer(node, conn_up, arg, end))
		return;
	if (node->stopped || conn->closed[end]) {
		conn->closed[end] = true;
		conn_schedule_down(conn, !end, conn->world->now + 1);
		return;
	}
	while (node->links[link] != NULL)
		link++;
	CHECK(link < LIMIT_LINKS);
	node->links[link] = conn;
	conn->link[end] = link;
	conn->open[end] = true;
	if (end == PIPE_UP)
		node->backoff_us = 0;
	else
		node->has_had_children = true;
	trace_add(&node->world->trace, TRACE_WORLD, node->world->now, "%s has a link to %s", node->name,
		  conn_node(conn, !end)->name);
	if (end == PIPE_UP && node->world->moving)
		world_at(node->world, node->world->now + (moment_us)node->config.hb_ttl_ms * 1000 / 4, patience_ends,
			 conn, 0);
	world_step(node, &(struct event){.type = EVENT_LINK_UP,
					 .link = link,
					 .role = end == PIPE_UP ? LINK_PARENT : LINK_CHILD,
					 .peer = (uint32_t)conn->node[PIPE_UP] + 1,
					 .address = end == PIPE_UP ? conn_node(conn, PIPE_DOWN)->name : NULL});
}

static void
conn_down(void *context, void *arg, uint64_t end)
{
	struct conn *conn = arg;
	struct node *node = conn_node(conn, (unsigned)end);

	if (conn->gone[end] || world_defer(node, conn_down, arg, end))
		return;
	conn->closed[end] = conn->gone[end] = true;
	if (conn->open[end]) {
		conn->open[end] = false;
		node->links[conn->link[end]] = NULL;
		trace_add(&node->world->trace, TRACE_WORLD, node->world->now, "%s lost its link to %s", node->name,
			  conn_node(conn, !end)->name);
		node->going = conn->link[end];
		world_step(node, &(struct event){.type = EVENT_LINK_DOWN, .link = conn->link[end]});
		node->going = -1;
	}
	if (end == PIPE_UP && node->uplink == conn) {
		node->uplink = NULL;
		if (conn->answered)
			node->way_at = node->way_count = 0; // from the beginning, with this one
		else if (conn->world->patient && conn_node(conn, PIPE_DOWN)->stopping)
			node->backoff_us = REFUSED_US;
		pipe_dial(node, conn->world->now + node->backoff_us);
	}
}

void
pipe_connect(struct node *node, struct node *parent)
{
	struct world *world = node->world;
	struct conn *conn = calloc(1, sizeof *conn);

	CHECK(conn != NULL);
	*conn = (struct conn){.next = world->conns,
			      .world = world,
			      .node = {node->index, parent->index},
			      .heard_max = {UINT64_MAX, UINT64_MAX},
			      .down_at = {MOMENT_NEVER, MOMENT_NEVER}};
	world->conns = node->uplink = conn;
	for (int i = 0; i < 2; i++)
		conn->pipe[i].tail = &conn->pipe[i].head;
	world_at(world, world->now + node->pipe[PIPE_UP].delay_us, conn_up, conn, PIPE_DOWN);
	world_at(world, world->now + node->pipe[PIPE_UP].delay_us + node->pipe[PIPE_DOWN].delay_us, conn_up, conn,
		 PIPE_UP);
}

static void
end_arrives(void *context, void *arg, uint64_t end)
{
	struct conn *conn = arg;
	moment_us until = blocked_until(conn, (unsigned)end);

	if (until > 0)
		world_at(conn->world, until, end_arrives, conn, end);
	else
		conn_schedule_down(conn, !end, conn->world->now);
}

// The other end hears at ${at} that ${end} has closed, or later if the way is blocked.
static void
conn_say_end(struct conn *conn, unsigned end, moment_us at)
{
	if (conn->world->moving)
		world_at(conn->world, at, end_arrives, conn, end);
	else
		conn_schedule_down(conn, !end, at);
}

// What the closing process has sent before still arrives; then the other end sees the end of the stream.
void
pipe_close(struct conn *conn, unsigned end)
{
	moment_us at = conn->world->now + conn_node(conn, PIPE_UP)->pipe[end].delay_us;

	if (conn->closed[end])
		return;
	conn->closed[end] = true;
	conn_schedule_down(conn, end, conn->world->now);
	conn_say_end(conn, end, at > conn->pipe[end].arrived_until ? at : conn->pipe[end].arrived_until);
}

void
pipe_close_link(struct node *node, uint32_t link, const char *why)
{
	struct conn *conn = node->links[link];

	CHECK(conn != NULL || node->going == link);
	if (conn == NULL)
		return;
	trace_add(&node->world->trace, TRACE_WORLD, node->world->now, "%s closes a link: %s", node->name, why);
	pipe_close(conn, conn_end(conn, node, link));
}

// Of what is under way a part is lost.
static void
conn_lose(struct conn *conn)
{
	for (int i = 0; i < 2; i++)
		conn->heard_max[i] = rng_between(&conn->world->rng, conn->arrived[i], conn->sent[i]);
}

// The process at ${end} has nothing to do with it any more.
static void
conn_leave(struct conn *conn, unsigned end)
{
	struct node *node = conn_node(conn, end);

	if (conn->open[end])
		node->links[conn->link[end]] = NULL;
	conn->open[end] = false;
	conn->closed[end] = conn->gone[end] = true;
	if (end == PIPE_UP && node->uplink == conn)
		node->uplink = NULL;
}

void
pipe_abandon(struct node *node, moment_us noticed_us)
{
	for (struct conn *conn = node->world->conns; conn != NULL; conn = conn->next) {
		for (unsigned end = 0; end < 2; end++) {
			if (conn->node[end] != node->index || conn->closed[end])
				continue;
			conn_lose(conn);
			conn_leave(conn, end);
			conn->silent = true;
			conn_schedule_down(conn, !end, node->world->now + noticed_us);
		}
	}
}

// A process that was killed has said so. A lost host has not: whoever still says something to it gets a reset now.
void
pipe_detach(struct node *node)
{
	for (struct conn *conn = node->world->conns; conn != NULL; conn = conn->next) {
		for (unsigned end = 0; end < 2; end++) {
			if (conn->node[end] != node->index)
				continue;
			conn_leave(conn, end);
			if (conn->silent && !conn->gone[!end])
				conn_say_end(conn, end,
					     node->world->now + 2 * conn_node(conn, PIPE_UP)->pipe[end].delay_us);
		}
	}
}

void
world_cut(struct node *node, moment_us child_notices_us, moment_us parent_notices_us, moment_us redial_us)
{
	struct world *world = node->world;
	struct conn *conn = node->uplink;

	if (conn == NULL || !conn->open[PIPE_UP] || !conn->open[PIPE_DOWN] || conn->down_at[PIPE_UP] != MOMENT_NEVER)
		return;
	trace_add(&world->trace, TRACE_WORLD, world->now, "%s is cut off from %s", node->name,
		  conn_node(conn, PIPE_DOWN)->name);
	conn_lose(conn);
	node->backoff_us = redial_us;
	conn_schedule_down(conn, PIPE_UP, world->now + child_notices_us);
	conn_schedule_down(conn, PIPE_DOWN, world->now + parent_notices_us);
}

bool
world_has_uplink(const struct node *node)
{
	const struct conn *conn = node->uplink;
	bool stands = conn != NULL;

	for (unsigned end = 0; end < 2 && stands; end++)
		stands = conn->open[end] && !conn->closed[end] && conn->down_at[end] == MOMENT_NEVER;
	return stands;
}

// ---- The end of the world ----

void
pipe_forget(const struct heap_entry *entry)
{
	if (entry->fn == packet_arrive || entry->fn == packet_deliver)
		free(entry->arg);
}

void
pipe_free_all(struct world *world)
{
	for (struct conn *conn = world->conns, *next; conn != NULL; conn = next) {
		next = conn->next;
		for (int i = 0; i < 2; i++) {
			for (struct packet *packet = conn->pipe[i].head, *behind; packet != NULL; packet = behind) {
				behind = packet->next;
				free(packet);
			}
		}
		free(conn);
	}
}
