// SPDX-License-Identifier: MIT
#include "tests/scenario/scenario.h"

#include "core/check.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct scenario *current;

// ---- The trace ----

// A core stopped the process: show how it came to that.
static void
on_abort(int number)
{
	signal(number, SIG_DFL);
	if (current != NULL)
		trace_dump(&current->world->trace);
	raise(number);
}

static void
text_add(struct scenario *scenario, const char *line)
{
	size_t size = strlen(line);

	CHECK(scenario->text_size + size + 2 < sizeof scenario->text);
	memcpy(scenario->text + scenario->text_size, line, size);
	scenario->text_size += size;
	scenario->text[scenario->text_size++] = '\n';
	scenario->text[scenario->text_size] = '\0';
}

// Keep what a story tells: messages other than heartbeats. Microseconds are cut off: "[   2.000000] x" to "[   2.000]
// x".
static void
on_trace(void *arg, enum trace_kind kind, const char *line)
{
	struct scenario *scenario = arg;
	const char *point = strchr(line, '.');
	char text[TRACE_LINE_SIZE];

	if (kind != TRACE_SEND && !(kind == TRACE_STORE && scenario->show_store))
		return;
	snprintf(text, sizeof text, "%.*s%s", (int)(point + 4 - line), line, point + 7);
	text_add(scenario, text);
}

static void
tell(struct scenario *scenario, const char *name, const char *what)
{
	moment_us ms = scenario->world->now / 1000;
	char text[TRACE_LINE_SIZE];

	snprintf(text, sizeof text, "[%4llu.%03llu] %s %s", (unsigned long long)(ms / 1000),
		 (unsigned long long)(ms % 1000), name, what);
	text_add(scenario, text);
}

void
scenario_forget(struct scenario *scenario)
{
	scenario->text_size = 0;
	scenario->text[0] = '\0';
}

void
scenario_expect(struct scenario *scenario, const char *text)
{
	if (strcmp(scenario->text, text) != 0) {
		fprintf(stderr, "---- expected\n%s---- happened\n%s----\n", text, scenario->text);
		ck_abort_msg("the trace differs, see above");
	}
	scenario_forget(scenario);
}

unsigned
scenario_count(const struct scenario *scenario, const char *part)
{
	unsigned count = 0;

	for (const char *at = scenario->text; (at = strstr(at, part)) != NULL; at += strlen(part))
		count++;
	return count;
}

// ---- Worlds ----

static void
on_oracle_fail(void *arg, const char *what)
{
	struct scenario *scenario = arg;

	trace_dump(&scenario->world->trace);
	ck_abort_msg("%s", what);
}

static void
on_stepped(void *arg, struct node *node, const struct event *event)
{
	struct scenario *scenario = arg;

	oracle_look_at_all(&scenario->oracle);
}

static char
letter_of(const uint8_t *bytes, size_t size)
{
	for (size_t i = 1; i < size; i++)
		if (bytes[i] != bytes[0])
			return '?';
	return (char)bytes[0];
}

static void
on_io_done(void *arg, struct world_io *io)
{
	static const char *const kinds[] = {"read", "written", "zeroed", "synced"};
	struct request *request = io->owner;
	char text[160], letter[8] = "";

	request->ended = true;
	if (io->io.kind == IO_READ && io->error == ERR_OK)
		snprintf(letter, sizeof letter, " '%c'", letter_of(request->bytes, io->io.size));
	if (io->io.kind == IO_SYNC)
		snprintf(text, sizeof text, "has %s: %s", kinds[io->io.kind], hvfs_error_text(io->error));
	else
		snprintf(text, sizeof text, "has %s block %llu%s: %s", kinds[io->io.kind],
			 (unsigned long long)(io->io.offset / SCENARIO_BLOCK_SIZE), letter, hvfs_error_text(io->error));
	tell(arg, io->node->name, text);
}

struct scenario *
scenario_create(uint64_t blocks)
{
	struct scenario *scenario = calloc(1, sizeof *scenario);
	struct world *world = world_create(1, SCENARIO_BLOCK_SIZE);
	uint64_t dots;

	CHECK(scenario != NULL);
	memset(&dots, '.', sizeof dots);
	scenario->world = world;
	scenario->disk = disk_create(SCENARIO_BLOCK_SIZE, blocks);
	disk_fill(scenario->disk, dots);
	scenario->cache_blocks = 64;
	core_config_default(&scenario->config);
	scenario->config.has_driver = true;
	scenario->config.readahead_blocks = 0;
	scenario->config.io_timeout_ms = 0;
	scenario->config.epoch = 1;
	world->trace.sink = on_trace;
	world->trace.arg = scenario;
	world->hooks = (struct world_hooks){.arg = scenario, .io_done = on_io_done, .stepped = on_stepped};
	scenario->oracle = (struct oracle){.world = world,
					   .volume_count = 1,
					   .volume_names = {SCENARIO_VOLUME},
					   .block_count = blocks,
					   .every = 1,
					   .fail = on_oracle_fail,
					   .arg = scenario};
	current = scenario;
	signal(SIGABRT, on_abort);
	return scenario;
}

void
scenario_destroy(struct scenario *scenario)
{
	oracle_fini(&scenario->oracle);
	world_destroy(scenario->world);
	current = NULL;
	free(scenario);
}

static struct node *
add_node(struct scenario *scenario, const char *name, bool is_root, bool mounts)
{
	struct core_config config = scenario->config;

	config.node_id = (uint64_t)scenario->world->node_count + 1;
	config.session_seed = config.node_id << 32;
	config.has_parent = !is_root;
	config.has_driver = mounts && config.has_driver;
	return world_add_node(scenario->world, name, &config, scenario->cache_blocks * SCENARIO_BLOCK_SIZE, 0);
}

void
scenario_root(struct scenario *scenario, const char *name)
{
	world_add_root_volume(add_node(scenario, name, true, true), SCENARIO_VOLUME, scenario->disk, false);
}

void
scenario_child(struct scenario *scenario, const char *name, const char *parent, unsigned up_ms, unsigned down_ms,
	       bool mounts)
{
	struct node *node = add_node(scenario, name, false, mounts);

	if (mounts)
		world_add_child_volume(node, SCENARIO_VOLUME, false);
	node->parent = scenario_node(scenario, parent)->index;
	node->pipe[PIPE_UP].delay_us = up_ms * 1000;
	node->pipe[PIPE_DOWN].delay_us = down_ms * 1000;
}

struct scenario *
scenario_fig7(unsigned ms)
{
	struct scenario *scenario = scenario_create(16);

	scenario_root(scenario, "A");
	scenario_child(scenario, "B", "A", ms, ms, true);
	scenario_child(scenario, "C", "A", ms, ms, true);
	scenario_child(scenario, "D", "B", ms, ms, true);
	scenario_child(scenario, "E", "C", ms, ms, true);
	scenario_child(scenario, "F", "C", ms, ms, true);
	for (int i = 1; i < scenario->world->node_count; i++)
		scenario_connect(scenario, scenario->world->nodes[i]->name);
	scenario_run(scenario, 1000 + 10 * ms);
	scenario_forget(scenario);
	return scenario;
}

void
scenario_connect(struct scenario *scenario, const char *name)
{
	pipe_dial(scenario_node(scenario, name), scenario->world->now);
}

void
scenario_kill(struct scenario *scenario, const char *name)
{
	struct node *node = scenario_node(scenario, name);

	trace_add(&scenario->world->trace, TRACE_WORLD, scenario->world->now, "%s is killed", name);
	world_kill(node);
	memset(node->disks, 0, sizeof node->disks); // whoever comes after it has them
}

void
scenario_restart(struct scenario *scenario, const char *name)
{
	oracle_forget(&scenario->oracle, scenario_node(scenario, name));
	world_restart(scenario_node(scenario, name), 1000);
}

void
scenario_move(struct scenario *scenario, const char *name, const char *parent)
{
	scenario_node(scenario, name)->parent = scenario_node(scenario, parent)->index;
}

struct node *
scenario_node(struct scenario *scenario, const char *name)
{
	for (int i = 0; i < scenario->world->node_count; i++)
		if (strcmp(scenario->world->nodes[i]->name, name) == 0)
			return scenario->world->nodes[i];
	ck_abort_msg("no node is called %s", name);
	return NULL;
}

// ---- Requests ----

static struct request *
request_begin(struct scenario *scenario, const char *name, struct io io, char letter)
{
	struct request *request = &scenario->requests[scenario->request_count++];
	struct node *node = scenario_node(scenario, name);
	int volume = world_volume_index(node, SCENARIO_VOLUME);

	CHECK(scenario->request_count <= SCENARIO_REQUESTS && io.size <= sizeof request->bytes);
	ck_assert_msg(volume >= 0, "%s does not know the volume", name);
	request->ended = false; // a test may use its place again
	request->io.io = io;
	request->io.io.volume = (uint32_t)volume;
	request->io.bytes = request->bytes;
	request->io.owner = request;
	memset(request->bytes, letter, sizeof request->bytes);
	world_submit(node, &request->io);
	return request;
}

struct request *
scenario_read_stream(struct scenario *scenario, const char *name, uint32_t stream, uint64_t block, unsigned count)
{
	return request_begin(scenario, name,
			     (struct io){.kind = IO_READ,
					 .stream = stream,
					 .offset = block * SCENARIO_BLOCK_SIZE,
					 .size = (uint64_t)count * SCENARIO_BLOCK_SIZE},
			     '!');
}

struct request *
scenario_read_run(struct scenario *scenario, const char *name, uint64_t block, unsigned count)
{
	return scenario_read_stream(scenario, name, 0, block, count);
}

struct request *
scenario_write_run(struct scenario *scenario, const char *name, uint64_t block, unsigned count, char letter)
{
	return request_begin(scenario, name,
			     (struct io){.kind = IO_WRITE,
					 .offset = block * SCENARIO_BLOCK_SIZE,
					 .size = (uint64_t)count * SCENARIO_BLOCK_SIZE},
			     letter);
}

struct request *
scenario_read(struct scenario *scenario, const char *name, uint64_t block)
{
	return scenario_read_run(scenario, name, block, 1);
}

struct request *
scenario_write(struct scenario *scenario, const char *name, uint64_t block, char letter)
{
	return scenario_write_run(scenario, name, block, 1, letter);
}

struct request *
scenario_write_half(struct scenario *scenario, const char *name, uint64_t block, char letter)
{
	return request_begin(
		scenario, name,
		(struct io){.kind = IO_WRITE, .offset = block * SCENARIO_BLOCK_SIZE, .size = SCENARIO_BLOCK_SIZE / 2},
		letter);
}

struct request *
scenario_write_sync(struct scenario *scenario, const char *name, uint64_t block, char letter)
{
	return request_begin(scenario, name,
			     (struct io){.kind = IO_WRITE,
					 .offset = block * SCENARIO_BLOCK_SIZE,
					 .size = SCENARIO_BLOCK_SIZE,
					 .force_sync = true},
			     letter);
}

struct request *
scenario_sync(struct scenario *scenario, const char *name)
{
	return request_begin(scenario, name, (struct io){.kind = IO_SYNC}, '!');
}

void
request_expect_ok(const struct request *request)
{
	ck_assert_msg(request->ended, "the request of %s has not ended", request->io.node->name);
	ck_assert_msg(request->io.error == ERR_OK, "the request of %s failed: %s", request->io.node->name,
		      hvfs_error_text(request->io.error));
}

void
request_expect_letter(const struct request *request, char letter)
{
	char found;

	request_expect_ok(request);
	found = letter_of(request->bytes, request->io.io.size);
	ck_assert_msg(found == letter, "%s read '%c' in place of '%c'", request->io.node->name, found, letter);
}

void
request_expect_halves(const struct request *request, char first, char second)
{
	char found[2];

	request_expect_ok(request);
	found[0] = letter_of(request->bytes, SCENARIO_BLOCK_SIZE / 2);
	found[1] = letter_of(request->bytes + SCENARIO_BLOCK_SIZE / 2, SCENARIO_BLOCK_SIZE / 2);
	ck_assert_msg(found[0] == first && found[1] == second, "%s read '%c%c' in place of '%c%c'",
		      request->io.node->name, found[0], found[1], first, second);
}

void
request_expect_error(const struct request *request, enum hvfs_error error)
{
	ck_assert_msg(request->ended, "the request of %s has not ended", request->io.node->name);
	ck_assert_msg(request->io.error == error, "the request of %s ended with '%s' in place of '%s'",
		      request->io.node->name, hvfs_error_text(request->io.error), hvfs_error_text(error));
}

void
request_expect_waiting(const struct request *request)
{
	ck_assert_msg(!request->ended, "the request of %s has ended already", request->io.node->name);
}

// ---- Time and links ----

void
scenario_run(struct scenario *scenario, uint64_t ms)
{
	uint64_t limit = 1000000;

	ck_assert_msg(world_run(scenario->world, scenario->world->now + ms * 1000, limit) < limit, "a livelock");
}

// The child among the two neighbours, and the direction from ${from} to ${to}.
static struct node *
link_find(struct scenario *scenario, const char *from, const char *to, unsigned *ret_direction)
{
	struct node *sender = scenario_node(scenario, from), *receiver = scenario_node(scenario, to);

	*ret_direction = sender->parent == receiver->index ? PIPE_UP : PIPE_DOWN;
	ck_assert_msg(sender->parent == receiver->index || receiver->parent == sender->index,
		      "%s and %s are no neighbours", from, to);
	return *ret_direction == PIPE_UP ? sender : receiver;
}

void
scenario_hold(struct scenario *scenario, const char *from, const char *to, bool hold)
{
	unsigned direction;
	struct node *child = link_find(scenario, from, to, &direction);

	world_hold(child, direction, hold);
}

unsigned
scenario_deliver(struct scenario *scenario, const char *from, const char *to, unsigned count)
{
	unsigned direction;
	struct node *child = link_find(scenario, from, to, &direction);

	return world_release(child, direction, count);
}

void
scenario_lose_versions(struct scenario *scenario)
{
	struct versions *versions = &scenario->disk->versions;

	for (int i = 0; i < VERSION_LOG_FILES; i++)
		versions->image[i].size = versions->durable[i].size = 0;
}

char
scenario_stored(const struct scenario *scenario, uint64_t block)
{
	return letter_of(scenario->disk->durable + block * SCENARIO_BLOCK_SIZE, SCENARIO_BLOCK_SIZE);
}
