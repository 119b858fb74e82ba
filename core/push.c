// SPDX-License-Identifier: MIT
// A parent sends ahead only what costs nobody else anything: blocks that are in its cache and that nobody writes or waits
// for, on a link on which nothing waits, into places of its directory that are free. How far ahead it goes doubles as
// long as the child goes on where that ended, and is halved with each block that comes back unused; below PUSH_MIN it
// sends nothing until the child has read on for a while, each time for twice as long.
//
// A child takes a block when nothing about it stands against that: it has no other copy, no request of its own that the
// block would interfere with, no claim, no open recall. A request for the same bytes may be under way: its answer, which
// comes later, says what is held then (R7). What it does not take it gives back by a release that names the block's own
// grant (R8): if the parent has granted the block again meanwhile, to that very request, it ignores it. So that release
// need not wait for the request (R19). At most an eighth of the cache has blocks that were sent and not used yet: a parent
// that sends without end throws out nothing.
#include "core/push.h"
#include "core/check.h"
#include "core/claim.h"
#include "core/client.h"
#include "core/outbox.h"
#include "core/server.h"

#include <stdlib.h>

enum {
	PUSH_BEGIN = 64, // blocks ahead at first
	PUSH_MIN = 8,
	REST_MIN = 16, // requests
	REST_MAX = 4096,
	QUEUE_MAX = 4, // requests for a block that are looked at
	PUSH_PART = 8,   // of the cache, for what was sent and not used yet
	INTERESTS = 1024, // blocks that somebody will want to read again
	INTERESTED = 4,  // children that are remembered for each
};

struct interest {
	block_key key;
	uint16_t children[INTERESTED];
	uint32_t count;
};

// ---- As a parent ----

static bool
may_push(const struct core *core, const struct child *child)
{
	const struct volume *volume = core->volumes[child->volume];

	return core->config.push_blocks > 0 && core->stop == STOP_NO && !claim_in_grace(core, volume) && child->settled &&
	       child->link >= 0 && !child->revoking && !core->links[child->link]->closing && !core->links[child->link]->no_push;
}

static bool
has_room(const struct core *core, const struct child *child)
{
	uint32_t link = (uint32_t)child->link;

	return outbox_room(core, link) && core->links[link]->waiting.count == 0 &&
	       core->directory.records.used < core->config.directory_max;
}

static bool
is_to_be_written(const struct core *core, const struct work *work)
{
	const struct want *want = table_want(&core->table, work->want_head);

	for (unsigned i = 0; want != NULL && i < QUEUE_MAX; i++, want = table_want(&core->table, want->next))
		if (want->perm == PERM_WRITE)
			return true;
	return want != NULL; // or it may be
}

// Is anything going on about the block, or is it with the child?
static bool
is_busy(const struct core *core, const struct child *child, const struct entry *entry)
{
	const struct work *work = table_work(&core->table, entry);

	if (directory_find(&core->directory, entry, (uint16_t)child->index) != NULL || !server_worth_granting(core, entry))
		return true;
	return work != NULL && (work->recall_open || work->claim || work->claim_head != 0 || work->revoked ||
				work->settles != 0 || is_to_be_written(core, work));
}

// Returns false when there is no point in going on.
static bool
push_one(struct core *core, struct child *child, struct entry *entry)
{
	if (entry == NULL || !entry_readable(core, entry) || !entry_in_memory(core, entry) || !has_room(core, child))
		return false;
	if (!is_busy(core, child, entry))
		server_push(core, child, entry);
	return true;
}

static void
streams_make(struct child *child)
{
	if (child->streams != NULL)
		return;
	child->streams = calloc(1, sizeof(*child->streams));
	CHECK(child->streams != NULL);
	child->push_max = PUSH_BEGIN;
}

// How far ahead of ${stream}, which goes on at ${block}, it is worth to be; 0: not at all.
static uint32_t
worth_pushing(const struct core *core, struct child *child, const struct stream *stream, uint64_t block)
{
	if (child->push_rest > 0 && --child->push_rest == 0)
		child->push_max = PUSH_MIN;
	if (child->push_rest > 0)
		return 0;
	if (stream->ahead > stream->next && block == stream->ahead) { // it has used all that it was sent
		child->push_max *= 2;
		child->push_penalty = 0;
	}
	if (child->push_max > core->config.push_blocks)
		child->push_max = core->config.push_blocks;
	return child->push_max;
}

void
push_after(struct core *core, struct child *child, const struct message *message)
{
	struct volume *volume = core->volumes[child->volume];
	uint64_t end = message->block + message->count, block, target;
	struct stream *stream;
	uint32_t window_max;

	if (!may_push(core, child))
		return;
	streams_make(child);
	stream = stream_at(child->streams, message->block);
	if (stream->next == UINT64_MAX) {
		stream_restart(stream, end);
		return;
	}
	window_max = worth_pushing(core, child, stream, message->block);
	if (!stream_advance(stream, end, window_max, volume->blocks, &block, &target))
		return;
	while (block < target && push_one(core, child, table_find(&core->table, block_key_make(volume->index, block))))
		block++;
	stream->ahead = block;
}

void
push_unwanted(struct core *core, struct child *child, uint64_t block)
{
	if (child->streams == NULL || child->push_max == 0 || stream_over(child->streams, block) == NULL)
		return;
	child->push_max /= 2;
	if (child->push_max >= PUSH_MIN)
		return;
	child->push_max = 0;
	child->push_penalty = child->push_penalty == 0 ? REST_MIN : child->push_penalty * 2;
	if (child->push_penalty > REST_MAX)
		child->push_penalty = REST_MAX;
	child->push_rest = child->push_penalty;
}

void
push_interest(struct core *core, const struct entry *entry, const struct child *child)
{
	struct interest *interest;

	if (core->config.push_blocks == 0)
		return;
	if (core->interests == NULL) {
		core->interests = calloc(INTERESTS, sizeof(*core->interests));
		CHECK(core->interests != NULL);
	}
	interest = &core->interests[entry->key % INTERESTS];
	if (interest->key != entry->key)
		*interest = (struct interest){.key = entry->key}; // the other is forgotten
	if (interest->count < INTERESTED)
		interest->children[interest->count++] = (uint16_t)child->index;
}

void
push_news(struct core *core, struct entry *entry)
{
	struct interest *interest;
	uint32_t count;

	if (core->interests == NULL)
		return;
	interest = &core->interests[entry->key % INTERESTS];
	if (interest->key != entry->key)
		return;
	count = interest->count;
	interest->count = 0;
	for (uint32_t i = 0; i < count; i++) {
		struct child *child = core->children[interest->children[i]];

		if (child->in_use && child->volume == block_key_volume(entry->key) && may_push(core, child))
			push_one(core, child, entry);
	}
}

// ---- As a child ----

bool
push_is_valid(const struct message *message)
{
	uint64_t needed = PRESENT(PERMISSIONS) | PRESENT(TTL) | PRESENT(HB_TTL) | PRESENT(GRANT) | PRESENT(EPOCH);

	if ((message->present & needed) != needed || message->perm != PERM_READ || message->items == NULL)
		return false;
	for (uint32_t i = 0; i < message->count; i++)
		if (message->items[i].kind == ITEM_EMPTY)
			return false;
	return true;
}

// Does anything about the block go on with which its bytes would interfere?
static bool
is_work_in_the_way(const struct work *work)
{
	bool asks = work->ask == ASK_SENT && (work->ask_opcode == OP_GET || work->ask_opcode == OP_LOCK);

	return (work->ask == ASK_SENT && !asks) || work->recall_open || work->claim || work->claim_head != 0 ||
	       work->resend || work->flushing || work->revoked || work->gap != 0 || work->put_unknown;
}

static bool
is_wanted(const struct core *core, const struct volume *volume, const struct entry *entry, version_t version)
{
	const struct work *work = entry != NULL ? table_work(&core->table, entry) : NULL;
	uint64_t capacity = core->copies.ops->capacity(core->copies.self, volume->block_size);

	if (core->stop != STOP_NO || volume->claims > 0 || volume->claims_end_due || volume->pushed >= capacity / PUSH_PART)
		return false;
	if (entry == NULL)
		return version >= volume->version_floor || version == 0;
	if ((entry->copy != COPY_ABSENT && !entry_is_hint(core, entry)) || entry->dir != 0 || version < entry->version)
		return false;
	return work == NULL || !is_work_in_the_way(work);
}

static void
give_back(struct core *core, const struct volume *volume, uint64_t block, uint64_t grant)
{
	struct saying say = {
		.link = (uint32_t)core->parent.link,
		.volume = volume->index,
		.volume_id = volume->parent_id,
		.opcode = OP_LOCK,
		.block = block,
		.perm = PERM_NO,
		.grant_seen = grant,
		.hops_left = LIMIT_HOPS,
		.origin = (uint32_t)core->config.node_id,
	};

	if (client_parent_usable(core, volume))
		outbox_say(core, &say);
}

void
push_block(struct core *core, struct volume *volume, const struct message *message, uint32_t i)
{
	const struct item *item = &message->items[i];
	uint64_t block = message->block + i;
	struct entry *entry = table_find(&core->table, block_key_make(volume->index, block));

	if (entry != NULL && entry->held > PERM_READ) {
		outbox_close_link(core, (uint32_t)core->parent.link, "a PUSH of what is held for writing");
		return;
	}
	if (message->grant > core->parent.grant_seen)
		core->parent.grant_seen = message->grant;
	if (entry != NULL && entry->held == PERM_READ)
		return; // as before
	if (!is_wanted(core, volume, entry, item->version)) {
		volume->pushed_back++;
		give_back(core, volume, block, message->grant);
		return;
	}
	entry = entry_make(core, volume, block);
	entry_put_copy(core, entry, item->kind == ITEM_ZERO ? buf_zero() : item->buf, COPY_CLEAN);
	if (item->version != 0)
		entry->version = item->version;
	client_take_grant(core, entry, message, core->parent.answered);
	entry_set_pushed(core, entry, true);
	volume->pushed_in++;
	if (entry->work != 0)
		table_touch(&core->table, entry);
	push_news(core, entry);
}
