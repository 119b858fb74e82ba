// SPDX-License-Identifier: MIT
// Levels of the cache on a disk come and go while the node runs. What waits for a disk (opening and formatting a file,
// reading its records, renaming and closing it) is done by a thread of its own; what moves is moved by the stack, slice
// by slice (cache.c). One change at a time:
//
//   opens    the thread: the file of the one that comes, then records in it, some at a time; at an error all is as before
//   moves    the stack: what is in the one that leaves; a medium that fails in the middle: cache/stack_disk.c
//   ends     the thread: the new file gets the old one's name
//
// Then another thread closes the file of the one that left. The change ends after that, so that whoever wants the file
// has it; but not if it has no name any more: where the file system discards what it frees, that may take longer than all
// the rest. Then the next change ends after that.
//
// A level that takes another shape becomes another file, PATH.new, which is given the name PATH when it has all of the
// old one's blocks. So whenever the node is killed PATH is whole: the old one, or the new one. What is left beside it, or
// where it was to move to, is removed at the next start (cache_left.h).
#include "node/cache_disk.h"

#include "node/cache_left.h"
#include "node/control.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TELL_MS = 250, LOG_MS = 10000 };

enum phase { CHANGE_OPENS, CHANGE_MOVES, CHANGE_ENDS };

struct cache_change {
	struct task task;
	struct node *node;
	uint32_t id;
	enum phase phase;
	struct cache_disk *disk;   // that comes, or NULL
	struct cache_disk *before; // in whose place it comes, or NULL
	struct cache_disk *left;   // that has left
	bool unlinked;             // its file has no name any more
	bool renames;              // ${disk}'s file gets the name of the file of ${before} then,
	char *name;                // which is this, without symbolic links
	char *mark;                // of a move, or NULL
	char (*volumes)[LIMIT_NAME_SIZE + 1]; // whose blocks what is at its place may have
	uint32_t volume_count;
	uint32_t level_id;         // of the level in memory that leaves for it, or 0
	uint64_t unread, records;  // records still to read, of how many
	moment_us told, logged;    // how far that is; 0: not yet
	char error[600];           // "": all is well
};

// A level that has left.
struct closing {
	struct task task;
	struct cache_disk *disk;
	int fd;                      // keeps its file open, or -1
	struct cache_change *change; // that ends then, or NULL
};

// ---- Leftovers ----

void
node_cache_disk_clean_up(const char *path)
{
	char *name = realpath(path, NULL), beside[PATH_MAX + 8], left[PATH_MAX];

	if (snprintf(beside, sizeof(beside), "%s" CACHE_LEFT_SUFFIX, name != NULL ? name : path) < (int)sizeof(beside) &&
	    cache_left_remove(beside, left))
		log_warnx("--cache disk:%s: %s was left by a change that did not end, and is removed", path, left);
	free(name);
}

static void
remove_mark(struct cache_change *change)
{
	if (change->mark != NULL)
		unlink(change->mark);
	free(change->mark);
	change->mark = NULL;
}

// ---- The end ----

static void
change_end(struct cache_change *change)
{
	struct node *node = change->node;

	node->cache_change = NULL;
	if (change->error[0] != '\0')
		log_error("the cache: %s", change->error);
	if (node->control != NULL)
		control_cache_disk_ended(node->control, change->id, change->level_id, change->error[0] != '\0' ? change->error : NULL);
	free(change->volumes);
	free(change->name);
	free(change);
}

static void __attribute__((format(printf, 2, 3))) fail(struct cache_change *change, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(change->error, sizeof(change->error), format, arguments);
	va_end(arguments);
}

// On the thread for it.
static void
close_run(struct task *task)
{
	struct closing *closing = (struct closing *)task;

	disk_level_close(closing->disk->level); // its index may be large
	closing->disk->level = NULL;
	if (closing->fd >= 0)
		close(closing->fd);
}

static void
close_done(struct task *task)
{
	struct closing *closing = (struct closing *)task;
	struct node *node = closing->disk->node;
	struct cache_change *change = closing->change;

	cache_disk_destroy(closing->disk);
	free(closing);
	if (change != NULL)
		change_end(change);
	else
		node_cache_disk_moved(node);
}

static void
close_begin(struct cache_change *change)
{
	struct closing *closing = calloc(1, sizeof(*closing));

	CHECK(closing != NULL);
	closing->disk = change->left;
	closing->fd = cache_disk_end(change->left);
	closing->change = change->unlinked ? NULL : change;
	closing->task = (struct task){.run = close_run, .done = close_done};
	worker_submit(change->node->cache_closer, &closing->task);
}

static void
take_name(struct cache_change *change)
{
	const char *path = change->disk->path, *why = NULL;

	if (!disk_file_is_at(&change->left->disk_file, change->name))
		why = "that is not the level's file any more";
	else if (rename(path, change->name) != 0)
		why = strerror(errno);
	change->unlinked = why == NULL;
	if (why != NULL)
		fail(change, "disk:%s: cannot be renamed to %s: %s; it is used under its present name", path, change->name,
		     why);
}

// On the thread.
static void
end_run(struct task *task)
{
	struct cache_change *change = (struct cache_change *)task;
	struct cache_disk *disk = change->disk, *left = change->left;

	remove_mark(change);
	if (left == disk && disk->disk_file.is_new) // it has failed
		change->unlinked = unlink(disk->path) == 0;
	else if (left != disk && change->renames)
		take_name(change);
}

static void
end_done(struct task *task)
{
	struct cache_change *change = (struct cache_change *)task;
	struct cache_disk *disk = change->disk;

	if (change->renames && change->left != disk && change->unlinked)
		snprintf(disk->path, sizeof(disk->path), "%s", change->name);
	else if (change->renames && change->left != disk)
		memcpy(disk->config.path, disk->path, sizeof(disk->config.path)); // it was opened: it is not longer
	close_begin(change);
	if (change->unlinked)
		change_end(change);
}

void
node_cache_disk_moved(struct node *node)
{
	struct cache_change *change = node->cache_change;
	struct disk_level *left;
	void *arg;

	if (change == NULL || change->phase != CHANGE_MOVES || node->left || worker_is_busy(node->cache_closer))
		return;
	left = stack_take_left_disk(node->cache, &arg);
	if (left == NULL)
		return;
	change->phase = CHANGE_ENDS;
	change->left = arg;
	change->left->level = left;
	if (change->left == change->disk)
		fail(change, "disk:%s: %s; the level before stays, without what had come to the new one", change->disk->path,
		     change->left->failure);
	change->task = (struct task){.run = end_run, .done = end_done};
	worker_submit(node->cache_worker, &change->task);
}

// ---- The beginning ----

static struct cache_change *
change_begin(struct node *node, enum phase phase)
{
	static uint32_t last_id;
	struct cache_change *change = calloc(1, sizeof(*change));

	CHECK(change != NULL && node->cache_change == NULL);
	change->node = node;
	change->phase = phase;
	change->id = ++last_id;
	node->cache_change = change;
	return change;
}

// The file of the level as it is, and the one beside it that is to take its place, which a change that did not end may
// have left.
static int
find_name(struct cache_change *change)
{
	struct cache_disk *disk = change->disk;
	char left[PATH_MAX];

	change->name = realpath(disk->config.path, NULL);
	if (change->name == NULL || !disk_file_is_at(&change->before->disk_file, change->name)) {
		fail(change, "disk:%s: what this names is not the level's file any more; move the level to another path",
		     disk->config.path);
		return -1;
	}
	snprintf(disk->path, sizeof(disk->path), "%s" CACHE_LEFT_SUFFIX, change->name);
	cache_left_remove(disk->path, left);
	return 0;
}

// The name of a volume of ${superblock} that this node does not have; NULL: it has all.
static const char *
other_volume(const struct cache_change *change, const struct disk_superblock *superblock)
{
	for (uint32_t i = 0; i < superblock->volume_count; i++) {
		bool has = false;

		for (uint32_t k = 0; k < change->volume_count && !has; k++)
			has = strcmp(change->volumes[k], superblock->volumes[i]) == 0;
		if (!has)
			return superblock->volumes[i];
	}
	return NULL;
}

// The level is to go where a cache is already. What that has would be given up: it may be what an earlier change has left,
// or one of this node's, but not somebody else's.
static int
check_others(struct cache_change *change)
{
	struct disk_superblock *superblock = calloc(1, sizeof(*superblock));
	const char *volume = NULL;

	CHECK(superblock != NULL);
	if (cache_left_look(change->disk->disk_file.fd, superblock) == CACHE_LEFT_WHOLE && superblock->generation > 0)
		volume = other_volume(change, superblock);
	if (volume != NULL)
		fail(change, "disk:%s: is a cache already, with blocks of volume %s, which this node does not have; if nobody needs it, "
			     "remove it (of a device: overwrite its first MiB with zeros)", change->disk->path, volume);
	free(superblock);
	return volume == NULL ? 0 : -1;
}

// The file that the change needs, and no other one's.
static int
open_file(struct cache_change *change)
{
	struct cache_disk *disk = change->disk;

	if (change->renames && find_name(change) != 0)
		return -1;
	if (cache_disk_open_file(disk, "disk:", change->error, sizeof(change->error)) != 0)
		return -1;
	if (change->before != NULL && !change->renames && !disk->disk_file.is_new)
		return check_others(change);
	if (change->before != NULL && !change->renames && !change->before->disk_file.is_device)
		change->mark = cache_left_mark(change->before->path, disk->path);
	if (!change->renames || disk->disk_file.is_new)
		return 0;
	fail(change, "disk:%s: is there already, and no cache; the change makes a file of this name: give that one another name, "
		     "or remove it", disk->path);
	return -1;
}

// On the thread.
static void
open_run(struct task *task)
{
	struct cache_change *change = (struct cache_change *)task;
	struct cache_disk *disk = change->disk;

	if (open_file(change) == 0 &&
	    cache_disk_open_level(disk, change->before != NULL, change->error, sizeof(change->error)) == 0)
		cache_disk_open_more(disk, change->error, sizeof(change->error));
}

// On the thread: also the last close of a file may take its time.
static void
give_up_run(struct task *task)
{
	struct cache_change *change = (struct cache_change *)task;

	remove_mark(change);
	if (change->disk->disk_file.is_new)
		unlink(change->disk->path);
	cache_disk_destroy(change->disk);
}

static void
give_up_done(struct task *task)
{
	change_end((struct cache_change *)task);
}

static void
give_up(struct cache_change *change)
{
	change->phase = CHANGE_ENDS;
	change->task = (struct task){.run = give_up_run, .done = give_up_done};
	worker_submit(change->node->cache_worker, &change->task);
}

// The stack has it from now on.
static void
come(struct cache_change *change, const struct stack_disk_hooks *hooks)
{
	struct node *node = change->node;
	struct disk_level *level = change->disk->level;

	change->disk->level = NULL;
	if (change->before == NULL) {
		stack_set_disk(node->cache, level, hooks);
		change_end(change);
		return;
	}
	CHECK(stack_replace_disk(node->cache, level, hooks) == STACK_OK);
	change->phase = CHANGE_MOVES;
	node_cache_changed(node);
	if (node->control != NULL)
		cache_disk_moved(node->control);
}

// On the thread.
static void
open_more_run(struct task *task)
{
	struct cache_change *change = (struct cache_change *)task;

	cache_disk_open_more(change->disk, change->error, sizeof(change->error));
}

static void
log_opening(struct cache_change *change, moment_us now)
{
	const char *path = change->disk->path;

	if (change->unread == 0)
		log_info("disk:%s: the records of all %" PRIu64 " blocks are read", path, change->records);
	else if (change->logged == 0)
		log_info("disk:%s: the records of %" PRIu64 " blocks are being read; until then nothing comes from there", path,
			 change->records);
	else
		log_info("disk:%s: %" PRIu64 " of %" PRIu64 " records are read, %d%%", path, change->records - change->unread, change->records,
			 (int)(100 * (double)(change->records - change->unread) / (double)change->records));
	change->logged = now;
}

// There are more records than one step reads: whoever waits, and the log, are told how far it is.
static void
tell_opening(struct cache_change *change)
{
	moment_us now = node_now();

	if (change->logged == 0 || change->unread == 0 || now - change->logged >= LOG_MS * 1000)
		log_opening(change, now);
	if (change->node->control != NULL && (change->told == 0 || now - change->told >= TELL_MS * 1000)) {
		change->told = now;
		cache_disk_moved(change->node->control);
	}
}

static void open_done(struct task *task);

// Read more, if there is more. False: that was all.
static bool
open_more(struct cache_change *change)
{
	change->unread = disk_level_open_left(change->disk->level, &change->records);
	if (change->unread > 0 || change->logged != 0)
		tell_opening(change);
	if (change->unread == 0)
		return false;
	change->task = (struct task){.run = open_more_run, .done = open_done};
	worker_submit(change->node->cache_worker, &change->task);
	return true;
}

static void
open_done(struct task *task)
{
	struct cache_change *change = (struct cache_change *)task;
	struct stack_disk_hooks hooks;

	if (change->error[0] == '\0' && change->node->left)
		fail(change, "%s", hvfs_error_text(ERR_SHUT_DOWN));
	if (change->error[0] == '\0' && open_more(change))
		return;
	if (change->error[0] == '\0' && cache_disk_begin(change->disk, &hooks, change->error, sizeof(change->error)) == 0)
		come(change, &hooks);
	else
		give_up(change);
}

static uint32_t
open_begin(struct cache_change *change, const struct cache_disk_config *config)
{
	change->disk = cache_disk_create(change->node, config, config->path);
	change->task = (struct task){.run = open_run, .done = open_done};
	worker_submit(change->node->cache_worker, &change->task);
	return change->id;
}

void
node_cache_disk_start(struct node *node)
{
	struct cache_change *change;

	if (node->opening_disk == NULL)
		return;
	change = change_begin(node, CHANGE_OPENS);
	change->disk = node->opening_disk;
	node->opening_disk = NULL;
	open_more(change);
}

uint32_t
node_cache_disk_add(struct node *node, const struct cache_disk_config *config, uint32_t level_id)
{
	struct cache_change *change = change_begin(node, CHANGE_OPENS);

	change->level_id = level_id;
	return open_begin(change, config);
}

static void
copy_names(struct cache_change *change)
{
	const struct node *node = change->node;
	uint32_t count = core_volume_count(node->core);

	change->volumes = calloc(count + 1, sizeof(*change->volumes));
	CHECK(change->volumes != NULL);
	for (uint32_t i = 0; i < count; i++) {
		struct volume_info info;

		core_volume_info(node->core, i, node_now(), &info);
		snprintf(change->volumes[change->volume_count++], LIMIT_NAME_SIZE + 1, "%s", info.name);
	}
}

uint32_t
node_cache_disk_replace(struct node *node, const struct cache_disk_config *config)
{
	struct cache_change *change = change_begin(node, CHANGE_OPENS);

	change->before = stack_disk_owner(node->cache);
	copy_names(change);
	change->renames = strcmp(config->path, node_cache_disk_config(node)->path) == 0;
	return open_begin(change, config);
}

uint32_t
node_cache_disk_remove(struct node *node)
{
	struct cache_change *change = change_begin(node, CHANGE_MOVES);

	CHECK(stack_remove_disk(node->cache) == STACK_OK);
	node_cache_changed(node);
	return change->id;
}

void
node_cache_disk_set_policy(struct node *node, enum policy policy)
{
	struct cache_disk *disk = stack_disk_owner(node->cache);

	CHECK(stack_set_disk_policy(node->cache, policy) == STACK_OK);
	disk->config.level.policy = policy;
}

// ---- What is seen of it ----

bool
node_cache_disk_changes(const struct node *node, uint64_t *ret_moving, uint64_t *ret_total)
{
	bool follows;

	stack_get_disk_change(node->cache, ret_moving, ret_total, &follows);
	return node->cache_change != NULL;
}

const struct cache_disk_config *
node_cache_disk_opening(const struct node *node, uint64_t *ret_left, uint64_t *ret_total)
{
	const struct cache_change *change = node->cache_change;

	if (change == NULL || change->phase != CHANGE_OPENS)
		return NULL;
	*ret_left = change->unread;
	*ret_total = change->records;
	return &change->disk->config;
}

const struct cache_disk_config *
node_cache_disk_config(const struct node *node)
{
	const struct cache_disk *disk = stack_disk_owner(node->cache);

	return disk != NULL ? &disk->config : NULL;
}

bool
node_cache_disk_is_device(const struct node *node)
{
	const struct cache_disk *disk = stack_disk_owner(node->cache);

	return disk != NULL && disk->disk_file.is_device;
}

void
node_cache_change_fini(struct node *node)
{
	struct cache_change *change = node->cache_change;

	if (change == NULL)
		return;
	if (change->before != NULL && change->phase == CHANGE_MOVES && change->disk->disk_file.is_new)
		unlink(change->disk->path); // the one before has all that it had
	remove_mark(change);
	free(change->volumes);
	free(change->name);
	free(change);
	node->cache_change = NULL;
}
