// SPDX-License-Identifier: MIT
#include "node/news_log.h"

#include "core/check.h"

#include <stdlib.h>

struct news_log {
	uint64_t id;
	uint64_t end;  // entries so far
	uint64_t told; // of these, so many have been told to somebody: they do not change any more
	uint32_t capacity;
	struct news_run *runs; // entry i is at i modulo ${capacity}
};

struct news_log *
news_log_create(uint32_t capacity)
{
	struct news_log *log = calloc(1, sizeof(*log));

	CHECK(log != NULL && capacity > 0);
	log->capacity = capacity;
	log->runs = calloc(capacity, sizeof(*log->runs));
	CHECK(log->runs != NULL);
	while (log->id == 0)
		randombytes_buf(&log->id, sizeof(log->id));
	return log;
}

void
news_log_destroy(struct news_log *log)
{
	if (log == NULL)
		return;
	free(log->runs);
	free(log);
}

static struct news_run *
entry(const struct news_log *log, uint64_t place)
{
	return &log->runs[place % log->capacity];
}

void
news_log_add(struct news_log *log, uint64_t block, version_t version)
{
	struct news_run *last = log->end > log->told ? entry(log, log->end - 1) : NULL;

	if (last != NULL && last->block + last->count == block && last->version == version && last->count < NEWS_RUN_BLOCKS_MAX) {
		last->count++;
		return;
	}
	*entry(log, log->end++) = (struct news_run){.block = block, .count = 1, .version = version};
}

void
news_log_tell(struct news_log *log, const struct news_question *question, struct news_answer *ret)
{
	uint64_t first = log->end > log->capacity ? log->end - log->capacity : 0, at = question->place;
	bool is_known = question->log == log->id && at >= first && at <= log->end;
	uint32_t count = 0, blocks = 0;

	ret->log = log->id;
	ret->end = log->end;
	log->told = log->end;
	if (at != NEWS_NO_PLACE && !is_known)
		at = log->end;
	ret->from = at;
	for (; at < log->end && count < NEWS_WRITTEN_MAX; at++) {
		const struct news_run *run = entry(log, at);

		if (blocks + run->count > NEWS_WRITTEN_BLOCKS_MAX)
			break;
		blocks += run->count;
		ret->written[count++] = *run;
	}
	ret->to = at;
	ret->written_count = count;
}
