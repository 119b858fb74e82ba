// SPDX-License-Identifier: MIT
#include "core/stream.h"

enum { WINDOW_START = 16 }; // blocks, doubled with the first advance

static struct stream *
stream_new(struct streams *streams, uint32_t id)
{
	struct stream *oldest = &streams->list[0];

	for (int i = 0; i < STREAMS; i++)
		if (streams->list[i].last_use < oldest->last_use)
			oldest = &streams->list[i];
	*oldest = (struct stream){
		.id = id, .used = true, .next = UINT64_MAX, .start = WINDOW_START, .last_use = ++streams->clock};
	return oldest;
}

struct stream *
stream_of(struct streams *streams, uint32_t id)
{
	for (int i = 0; i < STREAMS; i++) {
		struct stream *stream = &streams->list[i];

		if (!stream->used || stream->id != id)
			continue;
		stream->last_use = ++streams->clock;
		return stream;
	}
	return stream_new(streams, id);
}

struct stream *
stream_at(struct streams *streams, uint64_t block)
{
	for (int i = 0; i < STREAMS; i++) {
		struct stream *stream = &streams->list[i];

		if (!stream->used || block < stream->next || (block > stream->next && block > stream->ahead))
			continue;
		stream->last_use = ++streams->clock;
		return stream;
	}
	return stream_new(streams, 0);
}

struct stream *
stream_over(struct streams *streams, uint64_t block)
{
	for (int i = 0; i < STREAMS; i++) {
		struct stream *stream = &streams->list[i];

		if (stream->used && block >= stream->next && block < stream->ahead)
			return stream;
	}
	return NULL;
}

void
stream_restart(struct stream *stream, uint64_t end)
{
	if (stream->ahead > stream->next && stream->ahead - stream->next > stream->next - stream->first)
		stream->start = stream->start > 1 ? stream->start / 2 : 1;
	else if (stream->window > 0 && stream->start < WINDOW_START)
		stream->start *= 2;
	stream->first = stream->next = end;
	stream->ahead = 0;
	stream->window = 0;
	stream->late = stream->lost = false;
}

bool
stream_advance(struct stream *stream, uint64_t end, uint32_t window_max, uint64_t blocks, uint64_t *ret_from,
	       uint64_t *ret_to)
{
	stream->next = end;
	stream->window = stream->window == 0 ? stream->start : stream->window;
	if (stream->ahead < end)
		stream->ahead = end;
	if (stream->ahead - end > stream->window / 2)
		return false;
	stream->window = stream->window * 2 < window_max ? stream->window * 2 : window_max;
	*ret_from = stream->ahead;
	*ret_to = end + stream->window < blocks ? end + stream->window : blocks;
	if (stream->ahead < *ret_to)
		stream->ahead = *ret_to;
	return true;
}
