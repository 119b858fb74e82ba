// SPDX-License-Identifier: MIT
#include "core/readahead.h"

enum { WINDOW_MIN = 16 }; // blocks

static struct stream *
stream_of(struct volume *volume, uint32_t id)
{
	struct stream *oldest = &volume->streams[0];

	for (int i = 0; i < STREAMS; i++) {
		struct stream *stream = &volume->streams[i];

		if (stream->used && stream->id == id)
			return stream;
		if (stream->last_use < oldest->last_use)
			oldest = stream;
	}
	*oldest = (struct stream){.id = id, .used = true, .next = UINT64_MAX};
	return oldest;
}

static void
prefetch(struct core *core, struct volume *volume, uint64_t block)
{
	struct entry *entry = table_find(&core->table, block_key_make(volume->index, block));

	if (entry != NULL && (entry->copy != COPY_ABSENT || entry->work != 0))
		return; // there, or on its way
	entry = entry_make(core, volume, block);
	table_want_add(&core->table, entry, WANT_PREFETCH, PERM_READ, NULL)->hops_left = LIMIT_HOPS;
	table_touch(&core->table, entry);
}

void
readahead_after(struct core *core, struct volume *volume, const struct io *io)
{
	struct stream *stream;
	uint64_t first = io->first, end = io->first + io->count, target, room;
	uint32_t window_max = core->config.readahead_blocks;

	if (window_max == 0 || core->stop != STOP_NO)
		return;
	stream = stream_of(volume, io->stream);
	stream->last_use = ++volume->stream_clock;
	// A small read may start in the block where the last one ended.
	if (first != stream->next && first + 1 != stream->next) {
		*stream = (struct stream){.id = io->stream, .used = true, .next = end, .last_use = stream->last_use};
		return;
	}
	room = core->copies.ops->capacity(core->copies.self, volume->block_size) / 4;
	if (window_max > room)
		window_max = (uint32_t)room;
	stream->next = end;
	stream->window = stream->window == 0 ? WINDOW_MIN : stream->window;
	if (stream->ahead < end)
		stream->ahead = end;
	if (stream->ahead - end > stream->window / 2)
		return;
	stream->window = stream->window * 2 < window_max ? stream->window * 2 : window_max;
	target = end + stream->window < volume->blocks ? end + stream->window : volume->blocks;
	for (; stream->ahead < target; stream->ahead++)
		prefetch(core, volume, stream->ahead);
}
