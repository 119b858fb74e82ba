// SPDX-License-Identifier: MIT
// How far ahead is right depends on how long a block takes to come, and on how many the reader uses until then. Neither is
// known, but whether it was enough is: the window doubles when the reader has waited for a block that had been asked for
// ahead of him, is halved when such blocks were evicted, or recalled, before he came by, and stays as it is otherwise.
#include "core/readahead.h"

enum { CACHE_PART = 4 }; // a window is at most so much of the cache

static void
prefetch(struct core *core, struct volume *volume, uint64_t block)
{
	struct entry *entry = table_find(&core->table, block_key_make(volume->index, block));

	if (entry != NULL && (entry_in_memory(core, entry) || entry->work != 0))
		return; // there, or on its way
	entry = entry_make(core, volume, block);
	table_want_add(&core->table, entry, WANT_PREFETCH, PERM_READ, NULL)->hops_left = LIMIT_HOPS;
	table_touch(&core->table, entry);
	volume->ahead_asked++;
}

void
readahead_awaited(struct core *core, struct volume *volume, const struct io *io, const struct entry *entry)
{
	const struct work *work = table_work(&core->table, entry);

	if (work == NULL || work->want_head == 0 || table_want(&core->table, work->want_head)->kind != WANT_PREFETCH)
		return;
	volume->ahead_late++;
	stream_of(&volume->streams, io->stream)->late = true;
}

// Up to which window ${stream} may go now.
static uint32_t
window_limit(const struct core *core, const struct volume *volume, const struct stream *stream)
{
	uint64_t room = core->copies.ops->capacity(core->copies.self, volume->block_size) / CACHE_PART;
	uint32_t limit = core->config.readahead_blocks;

	if (stream->lost)
		limit = stream->window > 1 ? stream->window / 2 : 1;
	else if (stream->window > 0 && !stream->late)
		limit = stream->window;
	if (limit > core->config.readahead_blocks)
		limit = core->config.readahead_blocks;
	return limit < room ? limit : (uint32_t)room;
}

void
readahead_after(struct core *core, struct volume *volume, const struct io *io)
{
	uint64_t first = io->first, end = io->first + io->count, block, target;
	struct stream *stream;

	if (core->config.readahead_blocks == 0 || core->stop != STOP_NO)
		return;
	stream = stream_of(&volume->streams, io->stream);
	// A small read may start in the block where the last one ended.
	if (first != stream->next && first + 1 != stream->next) {
		stream_restart(stream, end);
		return;
	}
	stream->late |= stream->window > 0 && end > stream->ahead;
	if (!stream_advance(stream, end, window_limit(core, volume, stream), volume->blocks, &block, &target))
		return;
	stream->late = stream->lost = false;
	for (; block < target; block++)
		prefetch(core, volume, block);
}
