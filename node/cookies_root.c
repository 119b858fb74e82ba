// SPDX-License-Identifier: MIT
// A root burns cookies on the worker, in rounds: what is asked for meanwhile is the next one's. A child that has a fsync done
// has had everything synced and recorded before it asks. Questions for news are answered there as well.
#include "node/cookies_internal.h"

#include <stdlib.h>
#include <string.h>

enum {
	UNSAVED_MAX = 65536, // blocks that wait for a sync before one is begun
	ROUND_MAX = 16,      // requests that are served together: a question takes some memory meanwhile
};

static struct round *
round_of(struct cookies *cookies, uint32_t volume)
{
	struct round *round = cookies->rounds[volume];

	if (round != NULL)
		return round;
	round = cookies->rounds[volume] = calloc(1, sizeof(*round));
	CHECK(round != NULL);
	round->cookies = cookies;
	round->volume = volume;
	return round;
}

// How many of ${entries} are of neighbours, from the first one on.
static uint32_t
run_length(const struct cookie_entry *entries, uint32_t count)
{
	uint32_t length = 1;

	while (length < count && entries[length].block == entries[0].block + length)
		length++;
	return length;
}

enum there {
	THERE,
	NOT_YET,
	LOST, // another content of that version is
};

static enum there
is_there(const struct sealed_entry *filed, const struct cookie_entry *entry)
{
	if (filed->sealed > entry->version || entry->version == 0)
		return THERE;
	if (filed->sealed < entry->version || !seal_digest_is_known(filed->digest))
		return NOT_YET;
	return memcmp(filed->digest, entry->digest, sizeof(filed->digest)) == 0 ? THERE : LOST;
}

// Of all that the cookie lists; ${map}: which are lost.
static enum there
are_there(const struct sealed_root *root, const struct cookie_entry *entries, uint32_t count, uint8_t map[COOKIE_LOST_MAP_SIZE])
{
	struct sealed_entry filed[COOKIE_ENTRIES_MAX];
	enum there all = THERE;

	for (uint32_t first = 0, run; first < count; first += run) {
		run = run_length(&entries[first], count - first);
		if (sealed_root_read(root, entries[first].block, run, filed) != 0)
			return NOT_YET;
		for (uint32_t i = 0; i < run; i++) {
			enum there there = is_there(&filed[i], &entries[first + i]);

			if (there == LOST)
				cookie_map_add(map, first + i);
			all = there > all ? there : all;
		}
	}
	return all;
}

static void
serve(const struct volume *volume, struct request *request)
{
	struct cookie_entry entries[COOKIE_ENTRIES_MAX];
	uint32_t count = cookie_open(volume->key, request->baked, request->size, entries);
	uint8_t map[COOKIE_LOST_MAP_SIZE] = {0};

	if (count == 0 || volume->sealed_root == NULL)
		return;
	switch (are_there(volume->sealed_root, entries, count, map)) {
	case THERE:
		cookie_burn(volume->key, request->baked, request->size, request->answer);
		request->answer_size = COOKIE_BURNT_SIZE;
		break;
	case LOST:
		cookie_tell_lost(volume->key, request->baked, request->size, map, request->answer);
		request->answer_size = COOKIE_LOST_SIZE;
		break;
	case NOT_YET:
		break;
	}
}

// On the worker. What is in the file is on stable storage.
static void
burn(struct task *task)
{
	const struct round *round = (const struct round *)task;
	const struct volume *volume = &round->cookies->node->volumes[round->volume];

	for (struct request *request = round->served; request != NULL; request = request->next)
		if (request->news != NULL)
			news_root_make(request->news);
		else
			serve(volume, request);
}

static void begin_round(struct round *round);

static void
round_over(struct task *task)
{
	struct round *round = (struct round *)task;
	struct cookies *cookies = round->cookies;
	struct request *request;

	while ((request = round->served) != NULL) {
		const struct news_work *news = request->news;

		round->served = request->next;
		if (news != NULL)
			cookies_answer(cookies, request, news->made, news->is_made ? news->size : 0);
		else
			cookies_answer(cookies, request, request->answer, request->answer_size);
		free(request->news);
		free(request);
	}
	round->runs = false;
	if (round->waiting != NULL)
		begin_round(round);
}

static void
begin_round(struct round *round)
{
	struct node *node = round->cookies->node;
	const struct volume *volume = &node->volumes[round->volume];

	if (round->runs || node->left)
		return;
	round->runs = true;
	for (uint32_t i = 0; i < ROUND_MAX && round->waiting != NULL; i++) {
		struct request *request = round->waiting;

		round->waiting = request->next;
		request->news = news_root_begin(volume->key, volume->sealed_root != NULL ? volume->sealed_root : volume->rest_root,
						volume->news_log, node->config.hb_ttl_ms, request->baked, request->size);
		cookies_add(&round->served, request);
	}
	round->task = (struct task){.run = burn, .done = round_over};
	worker_submit(node->worker, &round->task);
}

void
cookies_root_asked(struct cookies *cookies, struct request *request)
{
	struct round *round = round_of(cookies, request->volume);

	cookies_add(&round->waiting, request);
	begin_round(round);
}

bool
cookies_root_io_done(struct cookies *cookies, const struct io *io)
{
	struct round *round = cookies->rounds[io->volume];

	if (round == NULL || io != &round->save)
		return false;
	round->saves = false;
	return true;
}

void
cookies_save(struct cookies *cookies, uint32_t volume)
{
	struct round *round;

	if (sealed_root_unsaved(cookies->node->volumes[volume].sealed_root) <= UNSAVED_MAX)
		return;
	round = round_of(cookies, volume);
	if (round->saves)
		return;
	round->saves = true;
	round->save = (struct io){.kind = IO_SYNC, .volume = volume, .force_sync = true};
	node_feed(cookies->node, &(struct event){.type = EVENT_IO, .io = &round->save});
}

void
cookies_root_link_gone(struct round *round, const struct node_link *link)
{
	cookies_drop_of(&round->waiting, link);
	for (struct request *request = round->served; request != NULL; request = request->next)
		if (request->child == link)
			request->child = NULL;
}
