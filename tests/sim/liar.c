// SPDX-License-Identifier: MIT
#include "tests/sim/liar.h"

#include "core/check.h"
#include "net/wire.h"
#include "tests/sim/lies.h"
#include "tests/sim/world.h"

#include <stdlib.h>
#include <string.h>

const char *
liar_lie_name(enum liar_lie lie)
{
	static const char *const names[LIAR_LIE_COUNT] = {
#define X(name, text) text,
		LIAR_LIES(X)
#undef X
	};

	return names[lie];
}

uint64_t
liar_told(const struct liar *liar, enum liar_lie lie)
{
	return liar != NULL ? liar->told[lie] : 0;
}

// ---- What he remembers ----

// Returns bytes to be freed.
static uint8_t *
encode(const struct message *message, uint32_t block_size, size_t *ret_size)
{
	uint8_t *scratch = malloc(wire_scratch_size(message) + 1), *bytes, *at;
	struct wire_segment *segments = malloc((wire_segment_count(message) + 1) * sizeof *segments);
	size_t count;

	CHECK(scratch != NULL && segments != NULL);
	count = wire_encode(message, block_size, scratch, segments);
	*ret_size = 0;
	for (size_t i = 0; i < count; i++)
		*ret_size += segments[i].size;
	at = bytes = malloc(*ret_size + 1);
	CHECK(bytes != NULL);
	for (size_t i = 0; i < count; i++) {
		memcpy(at, segments[i].bytes, segments[i].size);
		at += segments[i].size;
	}
	free(scratch);
	free(segments);
	return bytes;
}

static void
remember_content(struct liar *liar, int volume, uint64_t block, const struct item *item)
{
	uint32_t block_size = liar->node->world->block_size;
	struct lies_content *content = &liar->contents[liar->content_count % LIES_CONTENTS];

	if (item->kind == ITEM_EMPTY || item->verifier.size == 0 || item->verifier.size > LIES_VERIFIER_MAX ||
	    (item->kind == ITEM_DATA && buf_size(item->buf) < block_size))
		return;
	liar->content_count++;
	if (content->bytes == NULL)
		content->bytes = malloc(block_size);
	CHECK(content->bytes != NULL);
	content->volume = volume;
	content->block = block;
	content->version = item->version;
	content->kind = item->kind;
	content->verifier_size = item->verifier.size;
	memcpy(content->verifier, item->verifier.bytes, item->verifier.size);
	if (item->kind == ITEM_DATA)
		memcpy(content->bytes, buf_bytes(item->buf), block_size);
}

static void
remember_number(struct liar *liar, uint64_t number)
{
	for (unsigned i = 0; i < LIES_NUMBERS; i++)
		if (liar->numbers[i] == number)
			return;
	liar->numbers[liar->number_count++ % LIES_NUMBERS] = number;
}

static int
volume_of(const struct liar *liar, const struct conn *conn, unsigned end, const struct message *message)
{
	return conn->open[end] ? core_message_volume(liar->node->core, conn->link[end], message) : -1;
}

// ${down}: from a parent to a child.
static void
remember(struct liar *liar, int volume, bool down, const struct message *message)
{
	struct lies_message *kept = &liar->messages[liar->message_count++ % LIES_MESSAGES];
	uint32_t block_size = message->data_size != 0 ? message->data_size : liar->node->world->block_size;

	free(kept->bytes);
	*kept = (struct lies_message){.volume = volume, .down = down};
	kept->bytes = encode(message, block_size, &kept->size);
	for (uint32_t i = 0; message->items != NULL && i < message->count; i++)
		remember_content(liar, volume, message->block + i, &message->items[i]);
	if (message->present & PRESENT(NODE_ID))
		remember_number(liar, message->node_id);
	if (message->present & PRESENT(SESSION))
		remember_number(liar, message->session);
	for (uint32_t i = 0; i < message->path_count; i++)
		remember_number(liar, message->path[i]);
	if (message->present & PRESENT(GRANT) && message->grant > liar->grant && message->grant < UINT64_MAX / 2)
		liar->grant = message->grant;
	if (message->present & PRESENT(EPOCH) && !liar->lies)
		liar->epoch = message->epoch;
}

// A copy of what ${bytes} say, to be changed. False: they say nothing.
static bool
decode(struct liar *liar, const uint8_t *bytes, size_t size, struct message *ret)
{
	static struct item items[LIMIT_RUN_BLOCKS];
	static struct wire_error error;

	memset(ret, 0, sizeof *ret);
	if (wire_decode(bytes, size, items, ret, &error) != 0 ||
	    (ret->data_size != 0 && ret->data_size != liar->node->world->block_size))
		return false;
	lies_take_buffers(liar, ret);
	return true;
}

// ---- What he says ----

static void
put(struct liar *liar, struct conn *conn, unsigned end, const struct message *message)
{
	struct world *world = liar->node->world;

	trace_add_message(&world->trace, TRACE_SEND, world->now, liar->node->name, "lies ->", world->nodes[conn->node[!end]]->name,
			  message);
	pipe_put(conn, end, message, world->block_size);
}

struct delayed {
	struct conn *conn;
	unsigned end;
	size_t size;
	uint8_t *bytes;
};

static void
delayed_free(struct delayed *delayed)
{
	free(delayed->bytes);
	free(delayed);
}

static void
delayed_due(void *context, void *arg, uint64_t number)
{
	struct delayed *delayed = arg;

	pipe_put_bytes(delayed->conn, delayed->end, delayed->bytes, delayed->size);
	delayed_free(delayed);
}

void
liar_forget(const struct heap_entry *entry)
{
	if (entry->fn == delayed_due)
		delayed_free(entry->arg);
}

static void
say_later(struct liar *liar, struct conn *conn, unsigned end, const struct message *message)
{
	struct world *world = liar->node->world;
	struct delayed *delayed = malloc(sizeof *delayed);
	moment_us lease_us = (moment_us)liar->node->config.hb_ttl_ms * 1000;

	CHECK(delayed != NULL);
	*delayed = (struct delayed){.conn = conn, .end = end};
	delayed->bytes = encode(message, world->block_size, &delayed->size);
	world_at(world, world->now + 1 + rng_below(&liar->rng, rng_chance(&liar->rng, 80) ? 20000 : lease_us), delayed_due, delayed, 0);
}

static void
say_malformed(struct liar *liar, struct conn *conn, unsigned end, const struct message *message)
{
	size_t size;
	uint8_t *bytes = encode(message, liar->node->world->block_size, &size);

	bytes[rng_below(&liar->rng, size < 80 ? size : 80)] ^= (uint8_t)rng_between(&liar->rng, 1, 255);
	pipe_put_bytes(conn, end, bytes, size);
	free(bytes);
}

// In the place of ${message} something that is like it. False: he knows nothing.
static bool
say_changed(struct liar *liar, enum liar_lie lie, struct conn *conn, unsigned end, const struct message *message)
{
	int volume = message->items != NULL ? volume_of(liar, conn, end, message) : -1;
	struct message changed;
	size_t size;
	uint8_t *bytes = encode(message, liar->node->world->block_size, &size);
	bool done = false;

	if (decode(liar, bytes, size, &changed)) {
		done = lies_change(liar, lie, volume, &changed);
		if (done)
			put(liar, conn, end, &changed);
		lies_give_buffers(&changed);
	}
	free(bytes);
	return done;
}

// One that he tells of those from ${from} to ${to}; LIAR_LIE_COUNT: none.
static enum liar_lie
draw_lie(struct liar *liar, enum liar_lie from, enum liar_lie to)
{
	uint64_t at = rng_next(&liar->rng);
	unsigned count = to - from + 1;

	for (unsigned i = 0; i < count; i++) {
		enum liar_lie lie = from + (enum liar_lie)((at + i) % count);

		if (liar->config.lies >> lie & 1)
			return lie;
	}
	return LIAR_LIE_COUNT;
}

static bool
say(struct liar *liar, enum liar_lie lie, struct conn *conn, unsigned end, const struct message *message)
{
	switch (lie) {
	case LIAR_LIE_COUNT:
		return false;
	case LIAR_DROP:
		return true;
	case LIAR_TWICE:
		put(liar, conn, end, message);
		put(liar, conn, end, message);
		return true;
	case LIAR_LATER:
		say_later(liar, conn, end, message);
		return true;
	case LIAR_MALFORMED:
		say_malformed(liar, conn, end, message);
		return true;
	default:
		return say_changed(liar, lie, conn, end, message);
	}
}

bool
liar_says(struct liar *liar, struct conn *conn, unsigned end, const struct message *message)
{
	enum liar_lie lie;

	remember(liar, volume_of(liar, conn, end, message), end == PIPE_DOWN, message);
	if (!liar->lies || !rng_chance(&liar->rng, liar->config.percent))
		return false;
	lie = draw_lie(liar, LIAR_BYTES, message->items != NULL && rng_chance(&liar->rng, 70) ? LIAR_VERSION : LIAR_LATER);
	if (rng_chance(&liar->rng, 5) && liar->config.lies >> LIAR_MALFORMED & 1)
		lie = LIAR_MALFORMED;
	if (!say(liar, lie, conn, end, message))
		return false;
	liar->told[lie]++;
	return true;
}

// ---- What he hears ----

static bool
answer(struct liar *liar, enum liar_lie lie, struct conn *conn, unsigned end, const struct message *message)
{
	struct message made_up;

	if (!lies_answer(liar, lie, volume_of(liar, conn, end, message), message, &made_up))
		return false;
	put(liar, conn, end, &made_up);
	lies_give_buffers(&made_up);
	return true;
}

bool
liar_hears(struct liar *liar, struct conn *conn, unsigned end, const struct message *message)
{
	enum liar_lie lie;

	remember(liar, volume_of(liar, conn, end, message), end == PIPE_UP, message);
	if (!liar->lies || !rng_chance(&liar->rng, liar->config.percent))
		return false;
	lie = draw_lie(liar, LIAR_IGNORE, LIAR_MADE_UP);
	if (lie == LIAR_LIE_COUNT || (lie != LIAR_IGNORE && !answer(liar, lie, conn, end, message)))
		return false;
	liar->told[lie]++;
	return true;
}

// ---- What nobody has asked for ----

// Something that has passed, to whoever may take it, under the number that the volume has there.
static bool
replay(struct liar *liar, struct conn *conn, unsigned end, uint32_t volume_id)
{
	uint64_t kept = liar->message_count < LIES_MESSAGES ? liar->message_count : LIES_MESSAGES;
	const struct lies_message *old = &liar->messages[rng_below(&liar->rng, kept)];
	struct message message;

	if (kept == 0 || (old->down != (end == PIPE_DOWN) && rng_chance(&liar->rng, 90)) ||
	    !decode(liar, old->bytes, old->size, &message))
		return false;
	if (message.present & PRESENT(VOLUME_ID) && rng_chance(&liar->rng, 90))
		message.volume_id = volume_id;
	put(liar, conn, end, &message);
	lies_give_buffers(&message);
	return true;
}

static struct conn *
any_conn(struct liar *liar, unsigned *ret_end)
{
	uint64_t at = rng_next(&liar->rng);
	unsigned links = 16; // he has no more, as a rule

	for (unsigned i = 0; i < links; i++) {
		struct conn *conn = liar->node->links[(at + i) % links];

		if (conn == NULL)
			continue;
		*ret_end = conn->node[PIPE_UP] == liar->node->index ? PIPE_UP : PIPE_DOWN;
		return conn;
	}
	return NULL;
}

static bool
say_unasked(struct liar *liar, enum liar_lie lie)
{
	uint32_t volume = (uint32_t)rng_below(&liar->rng, core_volume_count(liar->node->core)), volume_id;
	struct message message;
	unsigned end = 0;
	struct conn *conn = any_conn(liar, &end);
	bool said;

	if (conn == NULL || conn->closed[end])
		return false;
	volume_id = core_volume_id(liar->node->core, volume);
	if (end == PIPE_UP && !core_parent_volume_id(liar->node->core, volume, &volume_id))
		return false;
	if (lie == LIAR_REPLAY)
		return replay(liar, conn, end, volume_id);
	said = lies_unasked(liar, lie, (int)volume, volume_id, end == PIPE_DOWN, &message);
	if (said)
		put(liar, conn, end, &message);
	lies_give_buffers(&message);
	return said;
}

static void
unasked_due(void *context, void *arg, uint64_t number)
{
	struct liar *liar = arg;
	struct node *node = liar->node;
	enum liar_lie lie = draw_lie(liar, LIAR_PUSH, LIAR_GARBAGE);

	if (rng_chance(&liar->rng, 30) && liar->config.lies >> LIAR_REPLAY & 1)
		lie = LIAR_REPLAY;
	if (node->stopped || number != node->starts || world_defer(node, unasked_due, arg, number))
		return;
	if (lie != LIAR_LIE_COUNT && say_unasked(liar, lie))
		liar->told[lie]++;
	world_at(node->world, node->world->now + 1 + rng_exponential(&liar->rng, liar->config.unasked_us), unasked_due, liar, number);
}

// ---- Life ----

void
liar_create(struct node *node, const struct liar_config *config)
{
	struct liar *liar = calloc(1, sizeof *liar);

	CHECK(liar != NULL && node->world->seals != NULL);
	liar->node = node;
	liar->config = *config;
	liar->rng.state = config->seed;
	liar->epoch = 1;
	liar->pool = buf_pool_create(node->world->block_size);
	CHECK(liar->pool != NULL);
	node->liar = liar;
}

void
liar_destroy(struct liar *liar)
{
	if (liar == NULL)
		return;
	for (unsigned i = 0; i < LIES_MESSAGES; i++)
		free(liar->messages[i].bytes);
	for (unsigned i = 0; i < LIES_CONTENTS; i++)
		free(liar->contents[i].bytes);
	buf_pool_destroy(liar->pool);
	free(liar);
}

void
liar_begin(struct liar *liar)
{
	struct world *world = liar->node->world;

	liar->lies = true;
	trace_add(&world->trace, TRACE_WORLD, world->now, "%s lies from now on", liar->node->name);
	liar_restarted(liar);
}

void
liar_restarted(struct liar *liar)
{
	struct node *node = liar->node;

	if (liar->lies && !node->stopped)
		world_at(node->world, node->world->now, unasked_due, liar, node->starts);
}
