// SPDX-License-Identifier: MIT
// The journal of a node: the real one, over a file in memory that outlives the processes. What node/journal.c does with a
// thread happens here in virtual time. It has chances of its own, so that a world with one is otherwise like one without.
#include "cache/journal.h"
#include "core/check.h"
#include "tests/sim/seals.h"
#include "tests/sim/world.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { STALL_PERCENT = 2 };

// A fsync of the core.
struct fsync_wait {
	struct fsync_wait *next;
	uint32_t volume;
	uint64_t cookie, point;
};

static struct journal_file *
file_of(struct world *world, uint64_t number, struct node **ret_node)
{
	struct node *node = world->nodes[number & 0xffff];

	*ret_node = node;
	return node->journal != NULL && !node->stopped && node->starts == number >> 16 ? node->journal : NULL;
}

static uint64_t
number_of(const struct node *node)
{
	return (uint64_t)node->index | (uint64_t)node->starts << 16;
}

static bool
sector_arrives(void *arg)
{
	struct journal_file *file = arg;

	return rng_chance(&file->rng, file->sector_percent);
}

// Of the record that is being written nothing arrives, all, or anything of it.
static void
tear(struct journal_file *file)
{
	static const unsigned percents[] = {0, 100, 50, 95};

	file->sector_percent = percents[rng_below(&file->rng, sizeof percents / sizeof percents[0])];
	memory_medium_crash(&file->medium, sector_arrives, file);
}

// ---- What waits for a record ----

static void answer(void *context, void *arg, uint64_t number);

static void
answer_soon(struct node *node)
{
	if (!node->journal->answer_due)
		world_at(node->world, node->world->now, answer, NULL, number_of(node));
	node->journal->answer_due = true;
}

// Those whose bytes are there; when nothing is being written, the others, too, as the node layer does it.
static void
answer(void *context, void *arg, uint64_t number)
{
	struct node *node;
	struct journal_file *file = file_of(context, number, &node);
	bool idle;

	if (file == NULL || world_defer(node, answer, arg, number))
		return;
	file->answer_due = false;
	idle = !file->writing;
	file->answering = true;
	while (!node->stopped && file->first != NULL && (file->first->point <= journal_done(file->journal) || idle)) {
		struct fsync_wait *wait = file->first;
		const struct event event = {
			.type = EVENT_JOURNALED,
			.volume = wait->volume,
			.store_cookie = wait->cookie,
			.error = wait->point <= journal_done(file->journal) ? ERR_OK : ERR_NO_SPACE,
		};

		file->first = wait->next;
		if (file->first == NULL)
			file->last = &file->first;
		free(wait);
		file->kept += event.error == ERR_OK;
		file->full += event.error != ERR_OK;
		world_step(node, &event);
	}
	file->answering = false;
	journal_file_kick(node);
}

static void
told(void *context, void *arg, uint64_t number)
{
	struct node *node;
	struct journal_file *file = file_of(context, number, &node);

	if (file == NULL || world_defer(node, told, arg, number))
		return;
	file->writing = false;
	trace_add(&node->world->trace, TRACE_STORE, node->world->now, "%s journal: written%s", node->name,
		  file->sys_errno != 0 ? ", with an error: it is given up" : "");
	journal_written(file->journal, file->sys_errno);
	answer_soon(node);
	journal_file_kick(node);
}

// Whether the process runs or is stopped.
static void
ended(void *context, void *arg, uint64_t number)
{
	struct node *node;
	struct journal_file *file = file_of(context, number, &node);

	if (file == NULL)
		return;
	file->sys_errno = 0;
	if (rng_below(&file->rng, 1000000) < file->config.fail_ppm) {
		file->sys_errno = rng_chance(&file->rng, 50) ? EIO : ENOSPC;
		tear(file);
	} else {
		CHECK(memory_medium_end(&file->medium, &file->io));
	}
	told(context, NULL, number);
}

static void
nothing(struct medium_io *io, int sys_errno)
{
}

void
journal_file_kick(struct node *node)
{
	struct journal_file *file = node->journal;
	const struct medium medium = file != NULL ? memory_medium(&file->medium) : (struct medium){0};
	moment_us latency_us;
	const uint8_t *bytes;

	if (file == NULL || node->stopped || file->writing || file->answering)
		return;
	file->io = (struct medium_io){.write = true, .done = nothing};
	if (journal_take(file->journal, &file->io.offset, &bytes, &file->io.size)) {
		CHECK(journal_seal(file->journal) == 0);
		file->io.bytes = (uint8_t *)(uintptr_t)bytes;
		file->writing = true;
		medium.ops->submit(medium.self, &file->io);
		latency_us = rng_exponential(&file->rng, file->config.latency_us);
		if (rng_chance(&file->rng, STALL_PERCENT))
			latency_us += rng_below(&file->rng, file->config.stall_us + 1);
		trace_add(&node->world->trace, TRACE_STORE, node->world->now, "%s journal: writes %llu bytes at %llu",
			  node->name, (unsigned long long)file->io.size, (unsigned long long)file->io.offset);
		world_at(node->world, node->world->now + latency_us, ended, NULL, number_of(node));
		if (node->world->hooks.journal_writes != NULL)
			node->world->hooks.journal_writes(node->world->hooks.arg, node);
	} else if (file->first != NULL) {
		answer_soon(node);
	}
}

// ---- What the core says ----

static void
name_volume(struct node *node, uint32_t index)
{
	struct volume_info info;

	core_volume_info(node->core, index, world_clock(node), &info);
	journal_set_volume(node->journal->journal, index, info.name);
}

static void
set_author(struct node *node, uint32_t index)
{
	struct author author;

	name_volume(node, index);
	core_author(node->core, index, &author);
	journal_set_author(node->journal->journal, index, &author);
}

static void
note(struct node *node, const struct action *action)
{
	block_key key = block_key_make(action->volume, action->block);

	name_volume(node, action->volume);
	if (action->buf != NULL)
		journal_put(node->journal->journal, key, action->version, action->buf, node->world->block_size);
	else
		journal_forget(node->journal->journal, key);
}

static void
wait_for(struct node *node, const struct action *action)
{
	struct journal_file *file = node->journal;
	struct fsync_wait *wait = calloc(1, sizeof *wait);

	CHECK(wait != NULL);
	set_author(node, action->volume);
	*wait = (struct fsync_wait){
		.volume = action->volume, .cookie = action->store_cookie, .point = journal_point(file->journal)};
	*file->last = wait;
	file->last = &wait->next;
	if (node->world->broken != BREAK_JOURNAL)
		return;
	wait->point = 0; // said to be there before it is
	answer_soon(node);
}

void
journal_file_perform(struct node *node, const struct action *action)
{
	if (node->journal == NULL)
		return;
	if (action->type == ACTION_JOURNAL)
		note(node, action);
	else if (action->type == ACTION_JOURNAL_SYNC)
		wait_for(node, action);
	else
		set_author(node, action->volume);
}

// ---- Processes begin and end ----

static struct buf_pool *
pool_of(void *arg, uint32_t block_size)
{
	return core_pool(((struct node *)arg)->core, block_size);
}

static const struct sealed_form *
form_of(void *arg, const char *name)
{
	struct node *node = arg;
	struct journal_file *file = node->journal;

	for (uint32_t i = 0; node->world->seals != NULL && i < (uint32_t)node->volume_count; i++) {
		if (strcmp(node->volumes[i].name, name) != 0)
			continue;
		if (file->forms[i] == NULL)
			file->forms[i] = seals_form_create(node, i);
		return file->forms[i];
	}
	return NULL;
}

static struct journal_hooks
hooks_of(struct node *node)
{
	return (struct journal_hooks){.arg = node, .pool = pool_of, .form = form_of, .sealed = node->world->seals != NULL};
}

static void
take_over(struct node *node)
{
	struct journal *journal = node->journal->journal;
	bool known[WORLD_VOLUMES] = {false};
	struct journal_found found;

	for (size_t i = 0; journal_found(journal, i, &found); i++) {
		int index = world_volume_index(node, found.volume);
		struct author author = {0};

		CHECK(index >= 0);
		if (!known[index]) {
			CHECK(journal_found_author(journal, found.volume, &author));
			if (node->world->broken == BREAK_AUTHOR)
				author = (struct author){.node_id = author.node_id ^ 1, .epoch = author.epoch};
			author.shared &= node->world->broken != BREAK_SHARED;
			core_set_author(node->core, (uint32_t)index, &author);
			name_volume(node, (uint32_t)index);
			journal_set_author(journal, (uint32_t)index, &author);
		}
		known[index] = true;
		CHECK(core_add_uncommitted(node->core, (uint32_t)index, found.block, found.version, found.block_size,
					   found.buf) == 0);
		journal_put(journal, block_key_make((uint32_t)index, found.block), found.version, found.buf,
			    found.block_size);
		trace_add(&node->world->trace, TRACE_STORE, node->world->now,
			  "%s journal: has block %llu of volume %d version %#llx", node->name,
			  (unsigned long long)found.block, index, (unsigned long long)found.version);
	}
	journal_taken_over(journal);
}

// The first page says whose file it is: without it nobody would start.
static bool
rots(struct journal_file *file)
{
	uint64_t at = JOURNAL_PAGE + rng_below(&file->rng, file->medium.size_max - JOURNAL_PAGE);

	if (file->config.rot == 0 || !rng_chance(&file->rng, file->config.rot))
		return false;
	for (int tries = 0; file->medium.bytes[at] == 0 && tries < 100; tries++) // where nothing is nothing is spoilt
		at = JOURNAL_PAGE + rng_below(&file->rng, file->medium.size_max - JOURNAL_PAGE);
	file->medium.bytes[at] ^= (uint8_t)(1 << rng_below(&file->rng, 8));
	return true;
}

// Somebody has kept a copy, and puts it back.
static bool
is_put_back(struct journal_file *file)
{
	bool back = file->config.old > 0 && file->copy != NULL && rng_chance(&file->rng, file->config.old);

	if (back)
		memcpy(file->medium.bytes, file->copy, file->medium.size_max);
	if (file->config.old == 0 || !rng_chance(&file->rng, 50))
		return back;
	if (file->copy == NULL)
		file->copy = malloc(file->medium.size_max);
	CHECK(file->copy != NULL);
	memcpy(file->copy, file->medium.bytes, file->medium.size_max);
	return back;
}

static void
spoil(struct node *node)
{
	struct journal_file *file = node->journal;
	bool old = is_put_back(file), rotten = rots(file);

	file->spoilt = old || rotten;
	if (file->spoilt)
		trace_add(&node->world->trace, TRACE_WORLD, node->world->now, "%s: its journal is%s%s", node->name,
			  old ? " an old one" : "", rotten ? " damaged" : "");
}

void
journal_file_open(struct node *node)
{
	struct journal_file *file = node->journal;
	struct journal_stats stats;
	const struct journal_hooks hooks = hooks_of(node);
	struct medium medium;
	char error[256];

	if (file == NULL)
		return;
	if (node->starts > 1)
		spoil(node);
	CHECK(file->journal == NULL && node->config.journal);
	medium = memory_medium(&file->medium);
	file->journal = journal_open(&medium, file->config.size, &hooks, error, sizeof error);
	CHECK(file->journal != NULL);
	journal_get_stats(file->journal, &stats);
	CHECK(stats.damaged == 0 || file->config.rot > 0);
	file->found += stats.found;
	file->torn += stats.torn;
	take_over(node);
}

void
world_add_journal(struct node *node, const struct journal_config *config)
{
	struct journal_file *file = calloc(1, sizeof *file);

	CHECK(node->journal == NULL && file != NULL);
	file->config = *config;
	file->rng.state = config->seed;
	file->last = &file->first;
	memory_medium_init(&file->medium, 0, config->size);
	node->journal = file;
	journal_file_open(node);
}

static void
waits_free(struct journal_file *file)
{
	while (file->first != NULL) {
		struct fsync_wait *wait = file->first;

		file->first = wait->next;
		free(wait);
	}
	file->last = &file->first;
}

void
journal_file_leave(struct node *node)
{
	struct journal_file *file = node->journal;
	const struct medium medium = file != NULL ? memory_medium(&file->medium) : (struct medium){0};
	const uint8_t *bytes;

	if (file == NULL)
		return;
	if (file->writing) {
		CHECK(memory_medium_end(&file->medium, &file->io));
		journal_written(file->journal, 0);
		file->writing = false;
	}
	while (journal_take(file->journal, &file->io.offset, &bytes, &file->io.size)) {
		CHECK(journal_seal(file->journal) == 0);
		file->io.bytes = (uint8_t *)(uintptr_t)bytes;
		journal_written(file->journal, medium.ops->perform(medium.self, &file->io));
	}
}

uint64_t
journal_file_left(struct node *node)
{
	struct journal_stats stats;
	struct journal *journal;
	const struct journal_hooks hooks = hooks_of(node);
	struct medium medium;
	char error[256];

	if (node->journal == NULL || !node->stopped)
		return 0;
	journal_get_stats(node->journal->journal, &stats);
	if (stats.sys_errno != 0)
		return 0;
	medium = memory_medium(&node->journal->medium);
	journal = journal_open(&medium, node->journal->config.size, &hooks, error, sizeof error);
	CHECK(journal != NULL);
	journal_get_stats(journal, &stats);
	journal_close(journal);
	return stats.found;
}

void
journal_file_crash(struct node *node)
{
	struct journal_file *file = node->journal;
	struct journal_stats stats;

	if (file == NULL)
		return;
	journal_check(file->journal);
	journal_get_stats(file->journal, &stats);
	file->records += stats.records;
	file->failures += stats.sys_errno != 0;
	tear(file);
	waits_free(file);
	file->writing = file->answer_due = file->answering = false;
}

void
journal_file_close(struct node *node)
{
	if (node->journal == NULL)
		return;
	journal_close(node->journal->journal);
	node->journal->journal = NULL;
}

void
journal_file_destroy(struct node *node)
{
	if (node->journal == NULL)
		return;
	waits_free(node->journal);
	memory_medium_fini(&node->journal->medium);
	for (unsigned i = 0; i < LIMIT_VOLUMES; i++)
		seals_form_destroy(node->journal->forms[i]);
	free(node->journal->copy);
	free(node->journal);
}
