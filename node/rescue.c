// SPDX-License-Identifier: MIT
// What the core gives up (ACTION_RESCUE) goes to files of the user's. What comes in a row over one connection to a parent
// is one incident, with one pair of files (node/rescue_file.h): a block that was given up can be written, and given up, again
// only after another connection. It is told as soon as all that has come is safe, and before the fsync fails that it
// belongs to. The writing is the worker's; here are the blocks that wait for it.
#include "node/internal.h"
#include "node/rescue_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { QUIET_S = 5 };

struct rescue_block {
	uint64_t block;
	version_t version;
	struct buf *buf; // a count of ours
	uint32_t connection;
};

struct rescue_batch {
	struct rescue_block *list;
	size_t count, room;
};

struct rescue {
	struct task task;
	struct node *node;
	const struct volume *of;
	const char *volume; // its name
	uint64_t volume_size;
	uint32_t block_size;
	struct rescue_batch waiting, writing; // the second is the worker's while it runs
	bool runs;
	uint32_t connection; // of the incident
	struct io *held; // they are told of the loss when the file is there; linked by next
	struct event *quiet;
	uint64_t bytes, bytes_told; // of this incident, safe
	uint64_t bytes_before;      // of earlier ones
	char path_told[PATH_MAX];   // of the last incident; without .img and .map

	// The worker's, while it runs.
	struct rescue_file file;
	bool is_open;
	size_t safe_count; // blocks of the last batch that are on the disk
	int sys_errno;     // why not all
};

// ---- On the worker ----

static int
open_file(struct rescue *rescue)
{
	const struct node_config *config = &rescue->node->config;
	int sys_errno;

	if (rescue->is_open)
		return 0;
	if (config->rescue[0] == '\0')
		return ENOENT;
	sys_errno = rescue_file_create(&rescue->file, config->rescue, config->name, rescue->volume, rescue->volume_size);
	rescue->is_open = sys_errno == 0;
	return sys_errno;
}

static void
run(struct task *task)
{
	struct rescue *rescue = (struct rescue *)task;
	size_t count = 0;
	int sync_errno;

	rescue->safe_count = 0;
	rescue->sys_errno = open_file(rescue);
	if (rescue->sys_errno != 0)
		return;
	while (count < rescue->writing.count && rescue->sys_errno == 0) {
		const struct rescue_block *block = &rescue->writing.list[count];

		rescue->sys_errno = rescue_file_add(&rescue->file, block->block * rescue->block_size,
						    buf_bytes(block->buf), rescue->block_size, block->version);
		count += rescue->sys_errno == 0;
	}
	sync_errno = rescue_file_sync(&rescue->file);
	if (sync_errno == 0)
		rescue->safe_count = count;
	else if (rescue->sys_errno == 0)
		rescue->sys_errno = sync_errno;
}

// ---- What is told ----

static const char *
reason(const struct rescue *rescue)
{
	return rescue->of->aborted ? "are given up: the volume is aborted"
				   : "can not be brought to the root any more: it has gone on without this node";
}

static void
tell_saved(struct rescue *rescue)
{
	if (rescue->bytes == rescue->bytes_told)
		return;
	rescue->bytes_told = rescue->bytes;
	log_error("volume %s: %" PRIu64 " bytes that were written here %s. They are kept in %s.img; which bytes, and how "
		  "to put them back, is in %s.map",
		  rescue->volume, rescue->bytes, reason(rescue), rescue->path_told, rescue->path_told);
}

static void
tell_lost(const struct rescue *rescue)
{
	const char *directory = rescue->node->config.rescue;

	log_error("volume %s: %zu bytes that were written here %s. They can not be kept in %s either: %s. They are lost",
		  rescue->volume, (rescue->writing.count - rescue->safe_count) * rescue->block_size, reason(rescue),
		  directory[0] != '\0' ? directory : "a file (--rescue DIR)", strerror(rescue->sys_errno));
}

// The incident is over; what comes now is another one.
static void
finish(struct rescue *rescue)
{
	tell_saved(rescue);
	if (rescue->is_open)
		rescue_file_close(&rescue->file);
	rescue->is_open = false;
	rescue->bytes_before += rescue->bytes;
	rescue->bytes = rescue->bytes_told = 0;
}

// ---- Batches ----

static void
batch_clear(struct rescue_batch *batch)
{
	for (size_t i = 0; i < batch->count; i++)
		buf_unref(batch->list[i].buf);
	free(batch->list);
	*batch = (struct rescue_batch){0};
}

// A program that hears EIO finds the file, and the log line that names it.
static void
answer_held(struct rescue *rescue)
{
	struct io *io;

	while ((io = rescue->held) != NULL) {
		rescue->held = io->next;
		node_answer_io(rescue->node, io, ERR_LOST);
	}
}

static void done(struct task *task);

// The blocks that wait and are of the same incident as the first of them.
static struct rescue_batch
batch_take(struct rescue_batch *waiting)
{
	struct rescue_batch batch = *waiting;
	size_t count = 1, rest;

	while (count < waiting->count && waiting->list[count].connection == waiting->list[0].connection)
		count++;
	rest = waiting->count - count;
	*waiting = (struct rescue_batch){.count = rest, .room = rest};
	if (rest > 0) {
		waiting->list = calloc(rest, sizeof(*waiting->list));
		CHECK(waiting->list != NULL);
		memcpy(waiting->list, batch.list + count, rest * sizeof(*waiting->list));
	}
	batch.count = count;
	return batch;
}

static void
write_waiting(struct rescue *rescue)
{
	if (rescue->runs || rescue->waiting.count == 0)
		return;
	rescue->writing = batch_take(&rescue->waiting);
	if (rescue->writing.list[0].connection != rescue->connection)
		finish(rescue);
	rescue->connection = rescue->writing.list[0].connection;
	rescue->runs = true;
	rescue->task = (struct task){.run = run, .done = done};
	worker_submit(rescue->node->worker, &rescue->task);
}

static void
done(struct task *task)
{
	struct rescue *rescue = (struct rescue *)task;

	rescue->bytes += (uint64_t)rescue->safe_count * rescue->block_size;
	if (rescue->safe_count > 0)
		memcpy(rescue->path_told, rescue->file.path, sizeof(rescue->path_told));
	if (rescue->sys_errno != 0)
		tell_lost(rescue);
	batch_clear(&rescue->writing);
	rescue->runs = false;
	write_waiting(rescue);
	if (rescue->runs || rescue->node->left)
		return;
	tell_saved(rescue);
	answer_held(rescue);
	evtimer_add(rescue->quiet, &(struct timeval){.tv_sec = QUIET_S});
}

static void
quiet_over(evutil_socket_t fd, short what, void *arg)
{
	struct rescue *rescue = arg;

	if (!rescue->runs)
		finish(rescue);
}

static struct rescue *
rescue_create(struct node *node, uint32_t index)
{
	struct rescue *rescue = calloc(1, sizeof(*rescue));
	struct volume_info info;

	CHECK(rescue != NULL);
	core_volume_info(node->core, index, node_now(), &info);
	rescue->node = node;
	rescue->of = &node->volumes[index];
	rescue->volume = info.name;
	rescue->volume_size = info.size;
	rescue->block_size = info.block_size;
	rescue->quiet = evtimer_new(node->base, quiet_over, rescue);
	CHECK(rescue->quiet != NULL);
	return rescue;
}

void
node_rescue(struct node *node, const struct action *action)
{
	struct volume *volume = &node->volumes[action->volume];
	struct rescue_batch *batch;

	if (volume->rescue == NULL)
		volume->rescue = rescue_create(node, action->volume);
	batch = &volume->rescue->waiting;
	if (batch->count == batch->room) {
		batch->room = batch->room == 0 ? 64 : batch->room * 2;
		batch->list = realloc(batch->list, batch->room * sizeof(*batch->list));
		CHECK(batch->list != NULL);
	}
	batch->list[batch->count++] = (struct rescue_block){.block = action->block,
							    .version = action->version,
							    .buf = buf_ref(action->buf),
							    .connection = node->parent_connections};
	node->rescue_due = true;
	node->batch_due = true;
}

void
node_tell_lost(const struct node *node, const struct action *action)
{
	struct volume_info info;

	core_volume_info(node->core, action->volume, node_now(), &info);
	log_error("volume %s: bytes that were written here or below may be lost: %s. The next fsync fails", info.name,
		  action->text);
}

bool
node_rescue_hold(struct node *node, struct io *io)
{
	struct rescue *rescue = node->volumes[io->volume].rescue;

	if (rescue == NULL || (!rescue->runs && rescue->waiting.count == 0))
		return false;
	io->next = rescue->held;
	rescue->held = io;
	return true;
}

void
node_rescue_write(struct node *node)
{
	node->rescue_due = false;
	for (uint32_t i = 0; i < LIMIT_VOLUMES; i++)
		if (node->volumes[i].rescue != NULL)
			write_waiting(node->volumes[i].rescue);
}

uint64_t
node_rescued(const struct volume *volume, const char **ret_path)
{
	const struct rescue *rescue = volume->rescue;

	*ret_path = rescue != NULL ? rescue->path_told : "";
	return rescue != NULL ? rescue->bytes_before + rescue->bytes : 0;
}

void
node_rescue_fini(struct volume *volume)
{
	struct rescue *rescue = volume->rescue;

	if (rescue == NULL)
		return;
	CHECK(!rescue->runs);
	finish(rescue);
	event_free(rescue->quiet);
	batch_clear(&rescue->waiting);
	free(rescue);
	volume->rescue = NULL;
}
