// SPDX-License-Identifier: MIT
// The journal's file: a thread of its own writes its records, one at a time, durably. What comes meanwhile goes into
// the next one, so that many fsyncs share a write. The core is told from the loop, between steps.
#include "node/internal.h"

#include "cache/journal.h"
#include "node/disk_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

// A fsync of the core.
struct waiting {
	struct waiting *next;
	uint32_t volume;
	uint64_t cookie;
	uint64_t point; // of the journal
};

struct node_journal {
	struct node *node;
	struct disk_file file;
	struct journal *journal;
	bool named[LIMIT_VOLUMES];
	struct worker *worker;
	struct event *answer;
	struct waiting *first, **last;
	// The record that is being written.
	struct task task;
	uint64_t offset;
	const uint8_t *bytes;
	size_t size;
	int sys_errno;
};

static void
write_durably(struct node_journal *journal)
{
	size_t progress = 0;

	while (progress < journal->size && journal->sys_errno == 0) {
		struct iovec iov = {.iov_base = (void *)(uintptr_t)(journal->bytes + progress),
				    .iov_len = journal->size - progress};
		ssize_t result = pwritev2(journal->file.fd, &iov, 1, (off_t)(journal->offset + progress), RWF_DSYNC);

		if (result > 0)
			progress += (size_t)result;
		else if (result == 0 || errno != EINTR)
			journal->sys_errno = result == 0 ? EIO : errno;
	}
}

static void
seal_and_write(struct node_journal *journal)
{
	journal->sys_errno = journal_seal(journal->journal);
	if (journal->sys_errno == 0)
		write_durably(journal);
}

static void
run(struct task *task)
{
	seal_and_write((struct node_journal *)((uint8_t *)task - offsetof(struct node_journal, task)));
}

static void
answer_soon(struct node_journal *journal)
{
	evtimer_add(journal->answer, &(struct timeval){.tv_sec = 0});
}

static void
written(struct task *task)
{
	struct node_journal *journal = (struct node_journal *)((uint8_t *)task - offsetof(struct node_journal, task));

	journal_written(journal->journal, journal->sys_errno);
	if (journal->sys_errno != 0)
		log_error("--journal %s: can not be written: %s; nothing is kept there any more: a fsync waits for the "
			  "root",
			  journal->file.path, strerror(journal->sys_errno));
	answer_soon(journal);
	node_journal_kick(journal->node);
}

void
node_journal_kick(struct node *node)
{
	struct node_journal *journal = node->journal;

	if (journal == NULL || journal->journal == NULL || worker_is_busy(journal->worker))
		return;
	if (journal_take(journal->journal, &journal->offset, &journal->bytes, &journal->size)) {
		journal->task = (struct task){.run = run, .done = written};
		worker_submit(journal->worker, &journal->task);
	} else if (journal->first != NULL) {
		answer_soon(journal);
	}
}

// Those whose bytes are there; when nothing is being written, the others, too: there is no room, or no journal any
// more.
static void
answer_waiting(evutil_socket_t fd, short what, void *arg)
{
	struct node_journal *journal = arg;
	uint64_t done = journal_done(journal->journal);
	bool idle = !worker_is_busy(journal->worker);

	while (journal->first != NULL && (journal->first->point <= done || idle)) {
		struct waiting *waiting = journal->first;
		const struct event event = {
			.type = EVENT_JOURNALED,
			.volume = waiting->volume,
			.store_cookie = waiting->cookie,
			.error = waiting->point <= done ? ERR_OK : ERR_NO_SPACE,
		};

		journal->first = waiting->next;
		if (journal->first == NULL)
			journal->last = &journal->first;
		free(waiting);
		if (!journal->node->left)
			node_feed(journal->node, &event);
	}
}

// ---- what the core says ----

static void
name_volume(struct node_journal *journal, uint32_t index)
{
	struct volume_info info;

	if (journal->named[index])
		return;
	core_volume_info(journal->node->core, index, node_now(), &info);
	journal_set_volume(journal->journal, index, info.name);
	journal->named[index] = true;
}

static void
set_author(struct node_journal *journal, uint32_t index)
{
	struct author author;

	name_volume(journal, index);
	core_author(journal->node->core, index, &author);
	journal_set_author(journal->journal, index, &author);
}

static void
note(struct node_journal *journal, const struct action *action)
{
	block_key key = block_key_make(action->volume, action->block);
	struct volume_info info;

	name_volume(journal, action->volume);
	if (action->buf == NULL) {
		journal_forget(journal->journal, key);
		return;
	}
	core_volume_info(journal->node->core, action->volume, node_now(), &info);
	journal_put(journal->journal, key, action->version, action->buf, info.block_size);
}

static void
wait_for(struct node_journal *journal, const struct action *action)
{
	struct waiting *waiting = calloc(1, sizeof(*waiting));

	CHECK(waiting != NULL);
	set_author(journal, action->volume);
	*waiting = (struct waiting){
		.volume = action->volume, .cookie = action->store_cookie, .point = journal_point(journal->journal)};
	*journal->last = waiting;
	journal->last = &waiting->next;
}

void
node_journal_perform(struct node *node, const struct action *action)
{
	struct node_journal *journal = node->journal;

	if (journal == NULL || journal->journal == NULL)
		return;
	if (action->type == ACTION_JOURNAL)
		note(journal, action);
	else if (action->type == ACTION_JOURNAL_SYNC)
		wait_for(journal, action);
	else
		set_author(journal, action->volume);
	node->batch_due = true;
}

// ---- the beginning and the end ----

static int
medium_perform(void *self, struct medium_io *io)
{
	return disk_file_perform(&((struct node_journal *)self)->file, io);
}

static uint64_t
medium_size(void *self)
{
	return disk_file_size(&((struct node_journal *)self)->file);
}

static int
medium_grow(void *self, uint64_t size)
{
	return disk_file_grow(&((struct node_journal *)self)->file, size);
}

static const struct medium_ops medium_ops = {.perform = medium_perform, .grow = medium_grow, .size = medium_size};

// The volume of this node that ${name} is, and that it has from a parent; false: there is none.
static bool
find_volume(const struct node *node, const char *name, uint32_t *ret_index)
{
	for (uint32_t i = 0; i < core_volume_count(node->core); i++) {
		struct volume_info info;

		core_volume_info(node->core, i, node_now(), &info);
		if (!info.is_root && strcmp(info.name, name) == 0) {
			*ret_index = i;
			return true;
		}
	}
	return false;
}

static struct buf_pool *
pool_of(void *arg, uint32_t block_size)
{
	return core_pool(((struct node_journal *)arg)->node->core, block_size);
}

static const struct sealed_form *
form_of(void *arg, const char *name)
{
	const struct node *node = ((struct node_journal *)arg)->node;
	uint32_t index;

	return find_volume(node, name, &index) ? node->volumes[index].journal_form : NULL;
}

int
node_journal_init(struct node *node, char *error, size_t error_size)
{
	struct node_journal *journal;

	if (node->config.journal[0] == '\0')
		return 0;
	journal = calloc(1, sizeof(*journal));
	CHECK(journal != NULL);
	journal->node = node;
	journal->last = &journal->first;
	node->journal = journal;
	journal->file.fd = -1;
	journal->answer = evtimer_new(node->base, answer_waiting, journal);
	journal->worker = worker_create(node->base);
	CHECK(journal->answer != NULL && journal->worker != NULL);
	return disk_file_open(&journal->file, "--journal ", node->config.journal, error, error_size);
}

// What an earlier process has left is the core's now, and comes into the journal again under the present volumes'
// indices.
static int
take_over(struct node_journal *journal, char *error, size_t error_size)
{
	struct journal_found found;
	bool known[LIMIT_VOLUMES] = {false};
	uint32_t index;

	for (size_t i = 0; journal_found(journal->journal, i, &found); i++) {
		struct author author = {0};

		if (!find_volume(journal->node, found.volume, &index))
			return disk_file_refuse(
				&journal->file, error, error_size,
				"has bytes of %s that are not at its root yet; give --volume %s and --parent, or, if "
				"they are not needed, remove the file",
				found.volume, found.volume);
		if (!known[index]) {
			CHECK(journal_found_author(journal->journal, found.volume, &author));
			core_set_author(journal->node->core, index, &author);
			name_volume(journal, index);
			journal_set_author(journal->journal, index, &author);
		}
		known[index] = true;
		if (core_add_uncommitted(journal->node->core, index, found.block, found.version, found.block_size,
					 found.buf) != 0)
			return disk_file_refuse(&journal->file, error, error_size,
						"block %" PRIu64 " of %s is none of its volume", found.block,
						found.volume);
		journal_put(journal->journal, block_key_make(index, found.block), found.version, found.buf,
			    found.block_size);
	}
	journal_taken_over(journal->journal);
	return 0;
}

static void
tell_found(const struct node_journal *journal)
{
	struct journal_stats stats;

	journal_get_stats(journal->journal, &stats);
	if (stats.found > 0)
		log_warnx("--journal %s: this node ended before %" PRIu64
			  " blocks were at the root: they are brought there now",
			  journal->file.path, stats.found);
	if (stats.torn)
		log_info("--journal %s: a record was being written when this node ended: it is left out",
			 journal->file.path);
	if (stats.damaged > 0)
		log_error("--journal %s: %" PRIu64
			  " records or blocks are DAMAGED: bytes that a fsync had promised are lost",
			  journal->file.path, stats.damaged);
}

int
node_journal_open(struct node *node, char *error, size_t error_size)
{
	struct node_journal *journal = node->journal;
	const struct medium medium = {.ops = &medium_ops, .self = journal};
	const struct journal_hooks hooks = {.arg = journal, .pool = pool_of, .form = form_of, .sealed = node_has_sealed_volumes(node)};
	char why[256];

	if (journal == NULL)
		return 0;
	journal->journal = journal_open(&medium, node->config.journal_size, &hooks, why, sizeof(why));
	if (journal->journal == NULL)
		return disk_file_refuse(&journal->file, error, error_size, "%s", why);
	if (fdatasync(journal->file.fd) != 0)
		return disk_file_refuse(&journal->file, error, error_size, "can not be written: %s", strerror(errno));
	tell_found(journal);
	return take_over(journal, error, error_size);
}

bool
node_journal_is_busy(const struct node *node)
{
	return node->journal != NULL && worker_is_busy(node->journal->worker);
}

json_t *
node_journal_status(const struct node *node)
{
	struct journal_stats stats;

	if (node->journal == NULL || node->journal->journal == NULL)
		return json_null();
	journal_get_stats(node->journal->journal, &stats);
	return json_pack("{sssIsIsIsIsIsIsIss}", "path", node->config.journal, "size", (json_int_t)stats.size, "blocks",
			 (json_int_t)stats.blocks, "waiting", (json_int_t)stats.waiting, "found",
			 (json_int_t)stats.found, "damaged", (json_int_t)stats.damaged, "records",
			 (json_int_t)stats.records, "written", (json_int_t)stats.written, "error",
			 stats.sys_errno != 0 ? strerror(stats.sys_errno) : "");
}

void
node_journal_fini(struct node *node)
{
	struct node_journal *journal = node->journal;

	if (journal == NULL)
		return;
	// What was not said yet: that nothing is needed any more.
	while (journal->journal != NULL && node->running &&
	       journal_take(journal->journal, &journal->offset, &journal->bytes, &journal->size)) {
		seal_and_write(journal);
		journal_written(journal->journal, journal->sys_errno);
	}
	while (journal->first != NULL) {
		struct waiting *waiting = journal->first;

		journal->first = waiting->next;
		free(waiting);
	}
	journal_close(journal->journal);
	if (journal->answer != NULL)
		event_free(journal->answer);
	worker_destroy(journal->worker);
	if (journal->file.fd >= 0)
		close(journal->file.fd);
	free(journal);
	node->journal = NULL;
}
