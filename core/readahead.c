// SPDX-License-Identifier: MIT
#include "core/readahead.h"

static void
prefetch(struct core *core, struct volume *volume, uint64_t block)
{
	struct entry *entry = table_find(&core->table, block_key_make(volume->index, block));

	if (entry != NULL && (entry_in_memory(core, entry) || entry->work != 0))
		return; // there, or on its way
	entry = entry_make(core, volume, block);
	table_want_add(&core->table, entry, WANT_PREFETCH, PERM_READ, NULL)->hops_left = LIMIT_HOPS;
	table_touch(&core->table, entry);
}

void
readahead_after(struct core *core, struct volume *volume, const struct io *io)
{
	uint64_t first = io->first, end = io->first + io->count, room, block, target;
	uint32_t window_max = core->config.readahead_blocks;
	struct stream *stream;

	if (window_max == 0 || core->stop != STOP_NO)
		return;
	stream = stream_of(&volume->streams, io->stream);
	// A small read may start in the block where the last one ended.
	if (first != stream->next && first + 1 != stream->next) {
		stream_restart(stream, end);
		return;
	}
	room = core->copies.ops->capacity(core->copies.self, volume->block_size) / 4;
	if (window_max > room)
		window_max = (uint32_t)room;
	if (stream_advance(stream, end, window_max, volume->blocks, &block, &target))
		for (; block < target; block++)
			prefetch(core, volume, block);
}
