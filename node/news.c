// SPDX-License-Identifier: MIT
#include "node/news.h"

#include "core/check.h"

#include <stdlib.h>

enum { FLOOR_WAYS = 4, FLOOR_SETS = NEWS_FLOORS / FLOOR_WAYS };

struct runs {
	struct news_run *list; // a ring; grows to NEWS_WAITING_MAX
	uint32_t head, count, capacity;
};

struct asked {
	bool is_used;
	uint32_t xid;
	struct news_question question;
	uint8_t bytes[NEWS_QUESTION_SIZE_MAX];
	size_t size;
};

// Of a block that the root has named.
struct floor {
	uint64_t block;
	version_t version; // 0: there is none
};

struct news {
	const struct news_callbacks *callbacks;
	void *arg;
	uint64_t log, place; // as far as all is known; 0, 0: nothing is
	uint32_t generation; // with which the root has signed last: none before it counts any more
	uint32_t lease_ms;
	moment_us heard_at;

	struct runs waiting; // for the next round
	bool walk_due;       // in the next round
	// The round.
	bool runs;
	moment_us began;
	struct runs asking;
	bool walks;
	uint32_t walk_at;
	bool log_is_asked; // one of the questions under way does
	bool end_known;
	uint64_t end; // of what was written when the round began
	uint32_t under_way;
	struct asked asked[NEWS_AT_ONCE];

	struct floor floors[FLOOR_SETS][FLOOR_WAYS]; // of each set the newest first
	struct news_answer answer; // that is being looked at
};

// ---- Runs ----

static bool
runs_is_full(const struct runs *runs)
{
	return runs->count == NEWS_WAITING_MAX;
}

static struct news_run *
runs_at(const struct runs *runs, uint32_t i)
{
	return &runs->list[(runs->head + i) % runs->capacity];
}

static void
runs_grow(struct runs *runs)
{
	uint32_t capacity = runs->capacity == 0 ? 256 : 2 * runs->capacity;
	struct news_run *list = calloc(capacity, sizeof(*list));

	CHECK(list != NULL);
	for (uint32_t i = 0; i < runs->count; i++)
		list[i] = *runs_at(runs, i);
	free(runs->list);
	*runs = (struct runs){.list = list, .count = runs->count, .capacity = capacity};
}

// There is room.
static void
runs_add(struct runs *runs, const struct news_run *run)
{
	struct news_run *last = runs->count > 0 ? runs_at(runs, runs->count - 1) : NULL;

	if (last != NULL && last->block + last->count == run->block && last->version == run->version &&
	    last->count + run->count <= NEWS_ASKED_BLOCKS_MAX) {
		last->count += run->count;
		return;
	}
	CHECK(!runs_is_full(runs));
	if (runs->count == runs->capacity)
		runs_grow(runs);
	*runs_at(runs, runs->count++) = *run;
}

static void
runs_pop(struct runs *runs)
{
	runs->head = (runs->head + 1) % runs->capacity;
	runs->count--;
}

static void
runs_clear(struct runs *runs)
{
	free(runs->list);
	*runs = (struct runs){0};
}

// ---- What is to be asked ----

// All that is in memory is to be asked about in the next round.
static void
doubt(struct news *news)
{
	runs_clear(&news->waiting);
	news->walk_due = true;
}

static void
wait_for_round(struct news *news, const struct news_run *run)
{
	if (news->walk_due)
		return;
	if (runs_is_full(&news->waiting))
		doubt(news);
	else
		runs_add(&news->waiting, run);
}

void
news_came(struct news *news, uint64_t block, version_t version)
{
	wait_for_round(news, &(struct news_run){.block = block, .count = 1, .version = version});
}

// What has no copy in memory, which may be most of the table, is passed by: how much of it in one step is bounded.
static bool
walk_on(struct news *news, uint32_t *looks, struct news_run *ret)
{
	uint64_t block;
	version_t sealed = 0;

	while (news->walks && *looks > 0) {
		bool is_found = news->callbacks->next(news->arg, &news->walk_at, looks, &block);

		news->walks = is_found || *looks == 0;
		if (is_found && news->callbacks->find(news->arg, block, &sealed) != NEWS_NO_COPY) {
			*ret = (struct news_run){.block = block, .count = 1, .version = sealed};
			return true;
		}
	}
	return false;
}

// ---- Floors ----

static struct floor *
floor_set(const struct news *news, uint64_t block)
{
	uint64_t hash = block * UINT64_C(0x9e3779b97f4a7c15);

	return (struct floor *)news->floors[(hash >> 32) % FLOOR_SETS];
}

static void
raise_floor(struct news *news, uint64_t block, version_t version)
{
	struct floor *set = floor_set(news, block), mine = {.block = block, .version = version};
	uint32_t i = 0;

	while (i < FLOOR_WAYS - 1 && set[i].version != 0 && set[i].block != block)
		i++;
	if (set[i].version != 0 && set[i].block == block && set[i].version > version)
		mine = set[i];
	for (; i > 0; i--)
		set[i] = set[i - 1];
	set[0] = mine;
}

bool
news_is_old(const struct news *news, uint64_t block, version_t version)
{
	const struct floor *set = floor_set(news, block);

	for (uint32_t i = 0; i < FLOOR_WAYS; i++)
		if (set[i].version != 0 && set[i].block == block)
			return version < set[i].version;
	return false;
}

static void
forget_floors(struct news *news)
{
	for (uint32_t i = 0; i < FLOOR_SETS; i++)
		for (uint32_t j = 0; j < FLOOR_WAYS; j++)
			news->floors[i][j].version = 0;
}

// ---- Rounds ----

void
news_begin(struct news *news, moment_us now)
{
	if (news->runs)
		return;
	CHECK(news->under_way == 0 && news->asking.count == 0);
	news->runs = true;
	news->began = now;
	runs_clear(&news->asking);
	news->asking = news->waiting;
	news->waiting = (struct runs){0};
	news->walks = news->walk_due;
	news->walk_at = 0;
	news->walk_due = news->end_known = news->log_is_asked = false;
}

static void
round_fails(struct news *news)
{
	bool walks = news->walks;

	for (uint32_t i = 0; i < NEWS_AT_ONCE; i++) {
		struct asked *asked = &news->asked[i];

		for (uint32_t j = 0; asked->is_used && j < asked->question.count; j++)
			wait_for_round(news, &asked->question.asked[j]);
		asked->is_used = false;
	}
	for (; news->asking.count > 0; runs_pop(&news->asking))
		wait_for_round(news, runs_at(&news->asking, 0));
	if (walks)
		doubt(news);
	news->under_way = 0;
	news->runs = news->walks = false;
}

void
news_lost(struct news *news)
{
	if (news->runs)
		round_fails(news);
}

static void
round_ends(struct news *news)
{
	if (!news->runs || news->under_way > 0 || news->asking.count > 0 || news->walks || !news->end_known || news->place < news->end)
		return;
	news->runs = false;
	news->heard_at = news->began;
}

// ---- Questions ----

static bool
needs_log(const struct news *news)
{
	return !news->log_is_asked && (!news->end_known || news->place < news->end);
}

// Put into ${question} what it has room for.
static void
fill(struct news *news, uint32_t *looks, struct news_question *question)
{
	struct runs mine = {.list = question->asked, .capacity = NEWS_ASKED_MAX};
	struct news_run walked;
	uint32_t blocks = 0;

	while (mine.count < NEWS_ASKED_MAX && news->asking.count > 0) {
		const struct news_run *next = runs_at(&news->asking, 0);

		if (blocks + next->count > NEWS_ASKED_BLOCKS_MAX)
			break;
		blocks += next->count;
		runs_add(&mine, next);
		runs_pop(&news->asking);
	}
	while (news->asking.count == 0 && mine.count < NEWS_ASKED_MAX && blocks < NEWS_ASKED_BLOCKS_MAX && walk_on(news, looks, &walked)) {
		blocks++;
		runs_add(&mine, &walked);
	}
	question->count = mine.count;
}

size_t
news_next(struct news *news, uint32_t xid, uint32_t *looks, uint8_t ret[NEWS_QUESTION_SIZE_MAX])
{
	struct asked *asked = news->asked;
	bool asks_log = needs_log(news);

	if (!news->runs || news->under_way == NEWS_AT_ONCE)
		return 0;
	while (asked->is_used)
		asked++;
	fill(news, looks, &asked->question);
	if (!asks_log && asked->question.count == 0) {
		round_ends(news); // the walk may have come to its end
		return 0;
	}
	asked->question.log = news->log;
	asked->question.place = asks_log ? news->place : NEWS_NO_PLACE;
	news->log_is_asked |= asks_log;
	asked->is_used = true;
	asked->xid = xid;
	asked->size = news_ask(&asked->question, asked->bytes);
	news->under_way++;
	for (size_t i = 0; i < asked->size; i++)
		ret[i] = asked->bytes[i];
	return asked->size;
}

uint32_t
news_under_way(const struct news *news)
{
	return news->under_way;
}

// ---- Answers ----

// There is ${block} as ${version}, or later.
static void
is_written(struct news *news, uint64_t block, version_t version)
{
	version_t sealed = 0;
	enum news_copy copy;

	raise_floor(news, block, version);
	copy = news->callbacks->find(news->arg, block, &sealed);
	if (copy == NEWS_NO_COPY || sealed >= version)
		return;
	if (copy == NEWS_OWN) { // it will be sealed, or given up
		news_came(news, block, 0);
		return;
	}
	news->callbacks->drop(news->arg, block, sealed, version);
}

static void
are_written(struct news *news, const struct news_run *runs, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		for (uint32_t j = 0; j < runs[i].count; j++)
			is_written(news, runs[i].block + j, runs[i].version);
}

// What was written since the place that is known; or, what is known is of no use any more.
static void
take_log(struct news *news, const struct news_answer *answer)
{
	if (answer->log != news->log) // what the root before has named may be lost with it
		forget_floors(news);
	if (answer->log != news->log || answer->from != news->place) {
		news->walks = true;
		news->walk_at = 0;
	} else {
		are_written(news, answer->written, answer->written_count);
	}
	news->log = answer->log;
	news->place = answer->to;
	if (!news->end_known)
		news->end = answer->end;
	news->end_known = true;
}

enum news_result
news_answered(struct news *news, const struct volume_key *key, uint32_t xid, const uint8_t *bytes, size_t size)
{
	struct asked *asked = news->asked;
	struct news_answer *answer = &news->answer;

	while (asked < news->asked + NEWS_AT_ONCE && (!asked->is_used || asked->xid != xid))
		asked++;
	if (asked == news->asked + NEWS_AT_ONCE)
		return NEWS_NOT_ASKED;
	if (size == 0 || !news_answer_open(key, asked->bytes, asked->size, bytes, size, &news->generation, answer)) {
		round_fails(news);
		return size == 0 ? NEWS_NONE : NEWS_FORGED;
	}
	asked->is_used = false;
	news->under_way--;
	news->lease_ms = answer->lease_ms;
	if (asked->question.place != NEWS_NO_PLACE) {
		news->log_is_asked = false;
		take_log(news, answer);
	}
	are_written(news, answer->older, answer->older_count);
	round_ends(news);
	return NEWS_TAKEN;
}

// ---- What is known ----

moment_us
news_good_until(const struct news *news)
{
	return news->heard_at == 0 ? 0 : news->heard_at + (moment_us)news->lease_ms * 1000;
}

uint32_t
news_lease_ms(const struct news *news)
{
	return news->lease_ms;
}

moment_us
news_heard_at(const struct news *news)
{
	return news->heard_at;
}

// ---- Life ----

struct news *
news_create(const struct news_callbacks *callbacks, void *arg)
{
	struct news *news = calloc(1, sizeof(*news));

	CHECK(news != NULL);
	news->callbacks = callbacks;
	news->arg = arg;
	return news;
}

void
news_destroy(struct news *news)
{
	if (news == NULL)
		return;
	free(news->waiting.list);
	free(news->asking.list);
	free(news);
}
