// SPDX-License-Identifier: MIT
// Who reads sequentially, and how far ahead of him it is worth to be: streams of a driver's openers (readahead.c), and of
// a child's requests (push.c).
#ifndef HVFS_CORE_STREAM_H
#define HVFS_CORE_STREAM_H

#include "core/types.h"

enum { STREAMS = 16 }; // that are followed

struct stream {
	uint32_t id;
	bool used;
	uint64_t first;  // block where it began to read sequentially
	uint64_t next;   // block after the last read
	uint64_t ahead;  // block up to which it has been gone ahead
	uint32_t window; // blocks
	uint32_t start;  // the next run of sequential reads begins with so many
	bool late;       // it has waited for what had been asked for ahead of it, or has overtaken that
	bool lost;       // what was ahead of it is gone unused
	uint64_t last_use;
};

struct streams {
	struct stream list[STREAMS];
	uint64_t clock;
};

// The stream of ${id}, made in place of the least recently used one when there is none; it counts as used.
struct stream *stream_of(struct streams *streams, uint32_t id);

// The stream that a read from ${block} on goes on with, wherever in what it has gone ahead; else a new one.
struct stream *stream_at(struct streams *streams, uint64_t block);

// The stream that has gone ahead over ${block}, or NULL.
struct stream *stream_over(struct streams *streams, uint64_t block);

// A read of another place than the one that was expected, up to ${end}: nothing is known of it yet. If most of what was read
// ahead for the last run has not been used, the next one begins with a smaller window.
void stream_restart(struct stream *stream, uint64_t end);

// It has read up to ${end}. True when it is time to go ahead, from *ret_from to before *ret_to: up to a window, which
// doubles each time up to ${window_max}, and not beyond ${blocks}.
bool stream_advance(struct stream *stream, uint64_t end, uint32_t window_max, uint64_t blocks, uint64_t *ret_from,
		    uint64_t *ret_to);

#endif
