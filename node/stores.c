// SPDX-License-Identifier: MIT
// The core speaks of blocks and buffers, storage of bytes and vectors. An action becomes a job with one or more parts:
// a write is cut where data and zeros meet (zeros give space back) and where a vector would be too long. A job answers
// once, when its last part has ended, with the first error.
#include "node/stores.h"

#include "core/zeros.h"
#include "crypto/seal.h"
#include "node/sealing_rules.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
	PART_BLOCKS_MAX = 1024, // IOV_MAX
	// A child counts a lease from before its root did, by a clock that may be slower (protocol.md T2).
	GRACE_DRIFT = 32,
	GRACE_MARGIN_MS = 20,
};

enum hvfs_error
node_error_of_errno(int sys_errno)
{
	switch (sys_errno) {
	case 0:
		return ERR_OK;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return ERR_NO_SPACE;
	case EROFS:
		return ERR_READ_ONLY;
	default:
		return ERR_IO;
	}
}

// Said once for each kind of error, until something goes well again: a full disk fails every write.
void
store_job_log(const struct store_job *job)
{
	static const char *const verbs[] = {"read", "write", "sync"};
	struct volume *volume = job->volume;
	struct volume_info info;

	if (job->sys_errno != 0 && job->sys_errno != volume->last_errno) {
		core_volume_info(job->node->core, (uint32_t)(volume - job->node->volumes), node_now(), &info);
		log_error("volume %s: cannot %s %" PRIu32 " blocks at block %" PRIu64 " of %s: %s%s", info.name,
			  verbs[job->type - ACTION_STORE_READ], job->count, job->block, volume->store_name,
			  strerror(job->sys_errno),
			  job->type == ACTION_STORE_SYNC && node_error_of_errno(job->sys_errno) == ERR_IO
				  ? "; no fsync succeeds until this node is started again"
				  : "");
	}
	if (job->sys_errno != 0 || job->type != ACTION_STORE_READ)
		volume->last_errno = job->sys_errno;
}

static void
job_free(struct store_job *job)
{
	for (uint32_t i = 0; i < job->count; i++)
		buf_unref(job->bufs[i]);
	for (uint32_t i = 0; i < job->count && job->sealed != NULL; i++)
		buf_unref(job->sealed[i]);
	free(job->sealed);
	free(job->rest_blocks);
	free(job->made);
	free(job->bufs);
	free(job->iov);
	free(job->versions);
	free(job);
}

// Holes of the store take no place in the cache.
static void
zeros_out(struct store_job *job)
{
	for (uint32_t i = 0; i < job->count; i++) {
		if (!bytes_are_zero(buf_bytes(job->bufs[i]), job->volume->block_size))
			continue;
		buf_unref(job->bufs[i]);
		job->bufs[i] = buf_zero();
	}
}

void
store_job_end(struct store_job *job)
{
	struct event event = {.store_cookie = job->cookie, .error = node_error_of_errno(job->sys_errno)};

	switch (job->type) {
	case ACTION_STORE_READ:
		event.type = EVENT_STORE_READ;
		if (job->sys_errno == 0 && job->volume->rest == NULL)
			zeros_out(job);
		event.bufs = job->sys_errno == 0 ? job->bufs : NULL;
		event.count = job->count;
		break;
	case ACTION_STORE_WRITE:
		event.type = EVENT_STORE_WROTE;
		break;
	default:
		event.type = EVENT_STORE_SYNCED;
		break;
	}
	job->node->store_operations--;
	node_feed(job->node, &event);
	job_free(job);
}

// On the worker.
static void
save_sealed(struct task *task)
{
	struct store_job *job = (struct store_job *)task;

	job->sys_errno = sealed_root_save(job->volume->sealed_root);
}

static void
sealed_saved(struct task *task)
{
	struct store_job *job = (struct store_job *)task;

	if (job->sys_errno != 0)
		log_error("%s: which versions of a sealed volume it has can not be recorded: %s", job->volume->store_name,
			  strerror(job->sys_errno));
	sealed_root_end(job->volume->sealed_root, job->sys_errno == 0);
	store_job_end(job);
}

// What a sealed storage has to know of it. False: it has not ended yet.
static bool
rest_ended(struct store_job *job)
{
	struct volume *volume = job->volume;

	if (job->type == ACTION_STORE_WRITE)
		rest_wrote(volume->rest, job->block, job->count, job->sys_errno == 0);
	if (job->type == ACTION_STORE_SYNC && job->sys_errno == 0)
		rest_synced(volume->rest, job->sync_number);
	if (job->type != ACTION_STORE_READ || job->sys_errno != 0)
		return true;
	rest_store_opens(volume->rest_store, job);
	return false;
}

static void
job_ended(struct store_job *job)
{
	struct sealed_root *root = job->volume->sealed_root;

	store_job_log(job);
	if (job->volume->rest != NULL && !rest_ended(job))
		return;
	if (root != NULL && job->type == ACTION_STORE_WRITE && job->sys_errno == 0)
		sealed_root_stored(root, job->block, job->count);
	if (root == NULL || job->type != ACTION_STORE_SYNC) {
		store_job_end(job);
	} else if (job->sys_errno != 0) {
		sealed_root_end(root, false);
		store_job_end(job);
	} else { // who hears of the sync asks for cookies
		job->task = (struct task){.run = save_sealed, .done = sealed_saved};
		worker_submit(job->node->worker, &job->task);
	}
}

static void
part_ended(struct store_io *io, int sys_errno)
{
	struct store_part *part = io->owner;
	struct store_job *job = part->job;

	if (job->sys_errno == 0)
		job->sys_errno = sys_errno;
	CHECK(job->running > 0);
	if (--job->running == 0)
		job_ended(job);
}

// ---- Cutting an action into parts ----

static enum store_op
block_op(const struct store_job *job, uint32_t index)
{
	if (job->type == ACTION_STORE_READ)
		return STORE_READ;
	return job->bufs[index] == buf_zero() ? STORE_ZERO : STORE_WRITE;
}

// How many blocks from ${first} on make one part.
static uint32_t
part_blocks(const struct store_job *job, uint32_t first)
{
	enum store_op op = block_op(job, first);
	uint32_t count = 1;

	while (first + count < job->count && block_op(job, first + count) == op &&
	       (op == STORE_ZERO || count < PART_BLOCKS_MAX))
		count++;
	return count;
}

static void
part_fill(struct store_job *job, struct store_part *part, uint32_t first, uint32_t count)
{
	uint32_t block_size = job->volume->block_size;
	struct store_io *io = &part->io;

	memset(part, 0, sizeof(*part));
	part->job = job;
	io->op = block_op(job, first);
	io->offset = (job->block + first) * block_size;
	io->size = (uint64_t)count * block_size;
	io->versions = job->versions != NULL ? job->versions + first : NULL;
	io->done = part_ended;
	io->owner = part;
	if (io->op == STORE_ZERO)
		return;
	io->iov = job->iov + first;
	io->iov_count = (int)count;
	for (uint32_t i = first; i < first + count; i++)
		job->iov[i] = (struct iovec){.iov_base = buf_bytes(job->bufs[i]), .iov_len = block_size};
}

static struct store_job *
job_cut(struct store_job *job)
{
	uint32_t parts = 0;

	for (uint32_t first = 0; first < job->count; first += part_blocks(job, first))
		parts++;
	job = realloc(job, sizeof(*job) + (parts > 0 ? parts : 1) * sizeof(job->parts[0]));
	CHECK(job != NULL);
	for (uint32_t first = 0; first < job->count;) {
		uint32_t count = part_blocks(job, first);

		part_fill(job, &job->parts[job->running++], first, count);
		first += count;
	}
	return job;
}

static struct store_job *
job_create(struct node *node, const struct action *action)
{
	struct store_job *job = calloc(1, sizeof(*job));

	CHECK(job != NULL);
	job->node = node;
	job->volume = &node->volumes[action->volume];
	job->type = action->type;
	job->cookie = action->store_cookie;
	job->block = action->block;
	if (action->type == ACTION_STORE_SYNC)
		return job;
	job->count = action->count;
	job->bufs = calloc(action->count, sizeof(struct buf *));
	job->iov = calloc(action->count, sizeof(*job->iov));
	CHECK(action->count > 0 && job->bufs != NULL && job->iov != NULL);
	if (action->type == ACTION_STORE_READ)
		return job;
	job->versions = calloc(action->count, sizeof(*job->versions));
	CHECK(job->versions != NULL);
	memcpy(job->versions, action->versions, action->count * sizeof(*job->versions));
	return job;
}

// The content of a sealed volume that goes to its storage: as which version it was sealed.
static void
note_sealed(struct node *node, struct volume *volume, struct store_job *job)
{
	for (uint32_t i = 0; i < job->count; i++) {
		const struct proof *proof = buf_proof(job->bufs[i]);
		struct sealed_entry entry = sealing_stored(job->versions[i], job->bufs[i]);

		sealed_root_wrote(volume->sealed_root, job->block + i, &entry);
		news_log_add(volume->news_log, job->block + i, entry.sealed);
		if (volume->raised != NULL)
			raised_stored(volume->raised, job->block + i, entry.sealed, entry.protocol);
		if (volume->rest != NULL || proof == NULL || !seal_is_of_zeros(proof->bytes, proof->size))
			continue; // the verifier is needed
		buf_unref(job->bufs[i]);
		job->bufs[i] = buf_zero();
	}
	cookies_save(node->cookies, (uint32_t)(volume - node->volumes));
}

void
store_job_begin(struct store_job *job)
{
	struct store *store = job->volume->store;
	uint32_t parts;

	if (job->type != ACTION_STORE_SYNC)
		job = job_cut(job);
	job->volume->kick = true;
	parts = job->running;
	for (uint32_t i = 0; i < parts; i++)
		store->ops->submit(store, &job->parts[i].io);
}

static struct store_job *
job_create_sync(struct node *node, const struct action *action)
{
	struct store_job *job = job_create(node, action);

	job = realloc(job, sizeof(*job) + sizeof(job->parts[0]));
	CHECK(job != NULL);
	memset(&job->parts[0], 0, sizeof(job->parts[0]));
	job->parts[0].job = job;
	job->parts[0].io = (struct store_io){.op = STORE_SYNC, .done = part_ended, .owner = &job->parts[0]};
	job->running = 1;
	if (job->volume->sealed_root != NULL)
		sealed_root_begin(job->volume->sealed_root); // the core has one sync of a volume at a time
	if (job->volume->rest != NULL)
		job->sync_number = rest_sync_began(job->volume->rest);
	return job;
}

static struct store_job *
job_create_blocks(struct node *node, const struct action *action)
{
	struct store_job *job = job_create(node, action);
	struct buf_pool *pool = core_pool(node->core, job->volume->block_size);

	for (uint32_t i = 0; i < job->count; i++)
		job->bufs[i] = action->type == ACTION_STORE_READ ? buf_alloc(pool) : buf_ref(action->bufs[i]);
	if (action->type == ACTION_STORE_WRITE && job->volume->sealed_root != NULL)
		note_sealed(node, job->volume, job);
	return job;
}

void
node_store_perform(struct node *node, const struct action *action)
{
	struct volume *volume = &node->volumes[action->volume];
	struct store_job *job = action->type == ACTION_STORE_SYNC ? job_create_sync(node, action)
								  : job_create_blocks(node, action);

	CHECK(volume->store != NULL);
	node->store_operations++;
	if (action->type == ACTION_STORE_WRITE && volume->rest != NULL)
		rest_store_seals(volume->rest_store, job);
	else if (action->type == ACTION_STORE_WRITE && own_seals_needed(job))
		own_seals_make(job);
	else
		store_job_begin(job);
}

// ---- Life ----

static void
store_look_again(struct volume *volume)
{
	unsigned due_ms = volume->store->ops->due_ms(volume->store);
	struct timeval due = {.tv_sec = due_ms / 1000, .tv_usec = due_ms % 1000 * 1000};

	if (due_ms > 0)
		evtimer_add(volume->store_due, &due);
}

void
store_kick(struct volume *volume)
{
	volume->kick = false;
	volume->store->ops->kick(volume->store);
	store_look_again(volume);
}

static void
store_reap(evutil_socket_t fd, short what, void *arg)
{
	struct volume *volume = arg;

	volume->store->ops->reap(volume->store);
	store_look_again(volume);
}

int
node_store_open(struct volume *volume, const char *spec, bool read_only, char *error, size_t error_size)
{
	volume->store = store_open(spec, read_only, error, error_size);
	if (volume->store == NULL)
		return -1;
	volume->store_name = spec;
	volume->may_write = !read_only;
	volume->block_size = volume->store->block_size;
	return 0;
}

uint32_t
node_stores_grace_ms(const struct volume volumes[LIMIT_VOLUMES])
{
	uint64_t grace_ms = 0;

	for (size_t i = 0; i < LIMIT_VOLUMES; i++) {
		const struct store *store = volumes[i].store;
		uint64_t lease_ms = store != NULL ? store->hb_ttl_before_ms : 0;

		if (lease_ms != 0 && !volumes[i].may_write && store->clean_before)
			lease_ms = 0; // there are only readers, as ours
		if (lease_ms != 0 && lease_ms + lease_ms / GRACE_DRIFT + GRACE_MARGIN_MS > grace_ms)
			grace_ms = lease_ms + lease_ms / GRACE_DRIFT + GRACE_MARGIN_MS;
	}
	return grace_ms < UINT32_MAX ? (uint32_t)grace_ms : UINT32_MAX;
}

int
node_stores_set_lease(struct node *node, char *error, size_t error_size)
{
	for (uint32_t i = 0; i < LIMIT_VOLUMES; i++) {
		struct store *store = node->volumes[i].store;

		if (store == NULL || store_set_lease(store, node->config.hb_ttl_ms, error, error_size) == 0)
			continue;
		if (node->volumes[i].may_write)
			return -1;
		log_warnx("%s; who serves %s for writing after a crash of this node must wait for %" PRIu32 " ms, as "
			  "long as its readers may go on", error, node->volumes[i].store_name, node->config.hb_ttl_ms);
	}
	return 0;
}

void
node_stores_set_clean(struct node *node)
{
	for (uint32_t i = 0; i < LIMIT_VOLUMES; i++) {
		struct volume *volume = &node->volumes[i];
		int sys_errno = volume->sealed_root != NULL ? sealed_root_finish(volume->sealed_root) : 0;

		if (sys_errno == 0 && volume->rest != NULL && volume->may_write) {
			rest_set_epoch(volume->rest, volume->store->epoch, volume->store->clean_before);
			sys_errno = rest_finish(volume->rest);
		}
		if (sys_errno == 0)
			sys_errno = volume->store != NULL ? store_set_clean(volume->store) : 0;

		if (sys_errno != 0)
			log_warnx("%s: that it was left in order can not be recorded: %s; the next start waits for leases",
				  volume->store_name, strerror(sys_errno));
	}
}

void
node_store_watch(struct node *node, struct volume *volume)
{
	if (volume->store == NULL)
		return;
	if (volume->rest != NULL) {
		volume->rest_store = rest_store_create(node, volume);
		volume->raised = raised_create();
	} else if (volume->sealed_root != NULL) {
		volume->own_sealer = worker_create(node->base);
		CHECK(volume->own_sealer != NULL);
	}
	volume->store_readable = event_new(node->base, volume->store->ops->poll_fd(volume->store), EV_READ | EV_PERSIST,
					   store_reap, volume);
	volume->store_due = evtimer_new(node->base, store_reap, volume);
	CHECK(volume->store_readable != NULL && volume->store_due != NULL && event_add(volume->store_readable, NULL) == 0);
}

void
node_stores_kick(struct node *node)
{
	for (uint32_t i = 0; i < LIMIT_VOLUMES; i++) {
		struct volume *volume = &node->volumes[i];

		if (!volume->kick)
			continue;
		store_kick(volume);
	}
}

void
node_store_close(struct volume *volume)
{
	if (volume->store == NULL)
		return;
	if (volume->store_readable != NULL)
		event_free(volume->store_readable);
	if (volume->store_due != NULL)
		event_free(volume->store_due);
	volume->store->ops->close(volume->store);
	volume->store = NULL;
	rest_store_destroy(volume->rest_store);
	volume->rest_store = NULL;
	worker_destroy(volume->own_sealer);
	volume->own_sealer = NULL;
	raised_destroy(volume->raised);
	volume->raised = NULL;
	rest_close(volume->rest);
	volume->rest = NULL;
	sealed_root_close(volume->rest_root);
	volume->rest_root = NULL;
	sealed_root_close(volume->sealed_root);
	volume->sealed_root = NULL;
	news_log_destroy(volume->news_log);
	volume->news_log = NULL;
}
