// SPDX-License-Identifier: MIT
// A message that needs something is a job: copied, given to a thread, and put at the end of its link's queue. The queue
// is worked off from its beginning, as far as jobs are done. A message that needs nothing joins it only when there is
// something before it.
#include "node/sealing.h"

#include "core/check.h"
#include "core/limits.h"
#include "node/sealing_job.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	THREADS_MAX = 4,
	COMING_MAX = 16 << 20,     // bytes of memory that one link's messages may take that wait to be checked,
	COMING_ALL_MAX = 64 << 20, // those of all links;
	COMING_SHARE = 1 << 20,    // and one link's, when those of all take more
};

struct thread {
	struct worker *worker;
	struct seal_cache *cache; // the thread's
};

struct sealing {
	struct thread threads[THREADS_MAX];
	uint32_t thread_count, next;
	size_t coming; // bytes of what waits to be checked, on all links, and of links that are closed
};

struct queue {
	struct job *first, *last;
	size_t size; // of the jobs in it
};

struct sealing_link {
	struct sealing *sealing;
	const struct sealing_callbacks *callbacks;
	void *arg;
	struct queue coming, going;
	bool paused;
	bool advances; // sealing_advance is running
	bool closed;
};

// ---- Jobs ----

static void
job_free(struct job *job)
{
	for (uint32_t i = 0; job->parts != NULL && i < job->message->count; i++)
		buf_unref(job->parts[i].other);
	if (job->comes)
		job->sealing->coming -= job->size;
	free(job->parts);
	free(job->made);
	free(job->filed);
	message_free(job->copy);
	free(job);
}

// The message as the core wants it.
static void
unseal_items(struct job *job)
{
	bool forgets_zeros = sealing_forgets_zeros(volume_key_role(job->key), job->root != NULL);

	for (uint32_t i = 0; i < job->message->count; i++) {
		struct item *item = &job->copy->items[i];
		const struct blob verifier = item->verifier;

		if (sealing_take(item, forgets_zeros, job->pool, job->block_size))
			buf_set_proof(item->buf, verifier.bytes, verifier.size);
	}
	job->copy->data_size = job->block_size;
}

// The message as it travels. What is in memory keeps the proof.
static void
seal_items(struct job *job, const struct message *message, struct item *items)
{
	for (uint32_t i = 0; i < message->count; i++) {
		struct part *part = &job->parts[i];

		struct blob verifier = {0};

		items[i] = message->items[i];
		if (part->before != NULL)
			verifier = (struct blob){part->before->bytes, part->before->size};
		else if (part->made != NULL)
			verifier = (struct blob){part->made->bytes, part->made->size};
		if (verifier.size == 0)
			continue;
		if (seal_version(verifier.bytes, verifier.size) > items[i].version)
			items[i].version = seal_version(verifier.bytes, verifier.size); // a root that can not write has no new epoch
		sealing_give(&items[i], verifier, part->other);
	}
}

static void
send_job(struct job *job)
{
	struct sealing_link *link = job->owner;
	struct message message = *job->message;

	if (job->why != NULL) {
		link->callbacks->unsendable(link->arg, job->message);
		return;
	}
	if (job->parts == NULL) {
		link->callbacks->send(link->arg, &message, job->block_size);
		return;
	}
	message.items = calloc(message.count, sizeof(*message.items));
	CHECK(message.items != NULL);
	seal_items(job, job->message, message.items);
	link->callbacks->send(link->arg, &message, job->block_size);
	free(message.items);
	for (uint32_t i = 0; i < job->message->count; i++) {
		const struct seal_verifier *made = job->parts[i].made;
		const struct item *item = &job->message->items[i];

		if (made != NULL && item->kind == ITEM_DATA &&
		    buf_proof(item->buf) == NULL) // else another job was first
			buf_set_proof(item->buf, made->bytes, made->size);
	}
}

// Of each block: is there something newer here?
static void
check_age(struct job *job)
{
	struct sealing_link *link = job->owner;

	for (uint32_t i = 0; i < job->message->count; i++) {
		const struct item *item = &job->message->items[i];
		struct sealed_entry coming = sealing_entry(item->version, item->verifier.bytes, item->verifier.size);

		if (item->kind == ITEM_EMPTY || !link->callbacks->is_old(link->arg, job->volume, job->message->block + i, &coming,
									 job->filed != NULL ? &job->filed[i] : NULL))
			continue;
		sealing_job_fail(job, i, "it was sealed before what is here, or known of it, or in its place");
		job->old = true;
	}
}

static void
receive_job(struct job *job)
{
	struct sealing_link *link = job->owner;

	if (job->why == NULL && job->is_checked)
		check_age(job);
	if (job->why != NULL) {
		link->callbacks->refuse(link->arg, job->message, &(struct sealing_fault){job->why, job->fault, job->old});
		return;
	}
	if (job->is_checked)
		unseal_items(job);
	link->callbacks->receive(link->arg, job->message, job->volume);
}

// ---- Queues ----

static void
queue_push(struct queue *queue, struct job *job)
{
	if (queue->first == NULL)
		queue->first = job;
	else
		queue->last->next = job;
	queue->last = job;
	queue->size += job->size;
}

static struct job *
queue_pop_done(struct queue *queue)
{
	struct job *job = queue->first;

	if (job == NULL || !job->is_done)
		return NULL;
	queue->first = job->next;
	queue->size -= job->size;
	return job;
}

static void
set_paused(struct sealing_link *link)
{
	size_t max = link->sealing->coming > COMING_ALL_MAX ? COMING_SHARE : COMING_MAX;
	bool paused = link->coming.size > (link->paused ? max / 2 : max);

	if (paused == link->paused || link->closed)
		return;
	link->paused = paused;
	link->callbacks->pause(link->arg, paused);
}

// Who has checked a block knows the signature of those that were written with it, which costs as much to verify as tens
// of blocks to hash.
static uint32_t
thread_of(struct sealing *sealing, const struct job *job)
{
	const struct message *message = job->message;

	for (uint32_t i = 0; job->comes && i < message->count; i++)
		if (message->items[i].kind != ITEM_EMPTY)
			return seal_write_of(message->items[i].verifier.bytes, message->items[i].verifier.size) %
			       sealing->thread_count;
	return sealing->next++ % sealing->thread_count;
}

static void
submit(struct sealing *sealing, struct job *job)
{
	struct thread *thread = &sealing->threads[thread_of(sealing, job)];

	job->is_done = false;
	job->cache = thread->cache;
	worker_submit(thread->worker, &job->task);
}

// A root's file may have been written since a thread read it: what is in it now may be newer than that, and is not in memory any
// more. Then a thread reads it once more, before the job counts as done.
static bool
reads_again(struct job *job)
{
	if (!job->is_done || job->filed == NULL || job->why != NULL || sealed_root_saves(job->root) == job->saves)
		return false;
	job->saves = sealed_root_saves(job->root);
	job->reads_again = true;
	submit(job->sealing, job);
	return true;
}

// Take from the queues what is done. A callback may close the link; what it sends meanwhile is in its place.
static void
advance(struct sealing_link *link)
{
	struct job *job;

	if (link->advances)
		return;
	link->advances = true;
	while (!link->closed && (job = queue_pop_done(&link->going)) != NULL) {
		send_job(job);
		job_free(job);
	}
	while (!link->closed && link->coming.first != NULL && !reads_again(link->coming.first) &&
	       (job = queue_pop_done(&link->coming)) != NULL) {
		receive_job(job);
		job_free(job);
	}
	link->advances = false;
	if (link->closed)
		free(link);
	else
		set_paused(link);
}

static void
done(struct task *task)
{
	struct job *job = (struct job *)task;

	job->is_done = true;
	if (job->owner == NULL)
		job_free(job);
	else
		advance(job->owner);
}

static size_t
size_of(const struct job *job)
{
	const struct message *message = job->message;
	size_t size = 0;

	if (job->comes)
		size = sizeof(*job) + sizeof(*message) + message->volume_name.size + message->err_value.size +
		       message->node_name.size + message->key.size + message->digest.size + message->parent_addr.size +
		       message->cookie.size + message->range_start.size + message->stripe.size;
	for (uint32_t i = 0; message->items != NULL && i < message->count; i++) {
		if (message->items[i].kind == ITEM_DATA)
			size += job->block_size;
		if (job->comes)
			size += sizeof(struct item) + sizeof(struct sealed_entry) + message->items[i].verifier.size;
	}
	return size;
}

static struct job *
job_new(struct sealing_link *link, const struct sealing_volume *volume, const struct message *message, bool comes)
{
	struct job *job = calloc(1, sizeof(*job));

	CHECK(job != NULL);
	*job = (struct job){.task = {.run = sealing_job_run, .done = done},
			    .sealing = link->sealing,
			    .owner = link,
			    .comes = comes,
			    .is_done = true,
			    .volume = volume->index,
			    .key = volume->key,
			    .maker = volume->maker,
			    .block_size = volume->block_size,
			    .message = message};
	job->size = size_of(job);
	if (comes)
		link->sealing->coming += job->size;
	return job;
}

// It will be needed when the caller's is gone.
static void
keep_message(struct job *job)
{
	job->copy = message_copy(job->message);
	job->message = job->copy;
}

static struct part *
parts_new(const struct message *message)
{
	struct part *parts = calloc(message->count, sizeof(*parts));

	CHECK(parts != NULL);
	return parts;
}

// ---- What comes ----

void
sealing_received(struct sealing_link *link, const struct sealing_volume *volume, const struct message *message)
{
	struct job *job;
	bool needs_check = volume->key != NULL && sealing_has_content(message);
	const char *why = needs_check ? sealing_refuses(message, volume->block_size) : NULL;

	if (!needs_check && link->coming.first == NULL && !link->advances) {
		link->callbacks->receive(link->arg, message, volume->index);
		return;
	}
	job = job_new(link, volume, message, true);
	keep_message(job);
	if (why != NULL) {
		job->why = why;
		job->fault = message->block;
	} else if (needs_check) {
		job->is_checked = true;
		job->pool = volume->pool;
		job->root = volume->root;
		if (job->root != NULL) {
			job->filed = calloc(message->count, sizeof(*job->filed));
			CHECK(job->filed != NULL);
			job->saves = sealed_root_saves(job->root);
		}
		submit(link->sealing, job);
	}
	queue_push(&link->coming, job);
	set_paused(link);
	advance(link);
}

// ---- What goes ----

// Where the storage has proofs most of what has another number than it was sealed as is content whose number was
// forgotten, and nothing newer is lost as long as the epoch is the same, or a new one that began in order. But a root that did
// not begin in order has passed all that it found on as versions of its own epoch, and who has it so takes no lower one.
static const struct proof *
proof_to_send(const struct sealing_volume *volume, uint64_t block, const struct item *item)
{
	const struct proof *proof = sealing_proof_to_send(item, volume->root != NULL);
	version_t sealed;

	if (proof != NULL || volume->raised == NULL || raised_has(volume->raised, block))
		return proof;
	proof = sealing_proof_to_send(item, false);
	if (proof == NULL)
		return NULL;
	sealed = seal_version(proof->bytes, proof->size);
	if (version_epoch(sealed) == version_epoch(item->version))
		return proof;
	return volume->epoch != 0 && version_epoch(item->version) == volume->epoch && version_epoch(sealed) >= volume->settled &&
			       version_epoch(sealed) <= volume->epoch
		       ? proof
		       : NULL;
}

// Has the job anything to compute?
static bool
prepare_item(const struct sealing_volume *volume, struct job *job, uint32_t i)
{
	const struct item *item = &job->message->items[i];
	struct part *part = &job->parts[i];
	const struct proof *proof = item->kind == ITEM_DATA ? buf_proof(item->buf) : NULL;
	bool zeros = proof != NULL ? seal_is_of_zeros(proof->bytes, proof->size) : item->kind != ITEM_DATA;

	if (item->kind == ITEM_EMPTY)
		return false;
	part->before = proof_to_send(volume, job->message->block + i, item);
	if (part->before == NULL && (volume->maker == NULL || (proof == NULL && !zeros && !sealing_may_read(volume->key)))) {
		sealing_job_fail(job, i, "there is no proof");
		return false;
	}
	if (part->before != NULL && (zeros || !sealing_may_read(volume->key)))
		return false;
	if (zeros)
		return true;
	part->other = buf_alloc(volume->pool);
	part->old = part->before == NULL && !sealing_may_read(volume->key) ? proof : NULL;
	return true;
}

// Those that have no proof get one.
static void
prepare_proofs(struct job *job)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < job->message->count; i++)
		count += job->message->items[i].kind != ITEM_EMPTY && job->parts[i].before == NULL;
	if (count == 0)
		return;
	job->made = malloc(count * sizeof(*job->made));
	CHECK(job->made != NULL);
	for (uint32_t i = job->message->count; i-- > 0;)
		if (job->message->items[i].kind != ITEM_EMPTY && job->parts[i].before == NULL)
			job->parts[i].made = &job->made[--count];
}

// Has it all been done?
static bool
prepare(struct job *job, const struct sealing_volume *volume)
{
	bool computes = false;

	job->parts = parts_new(job->message);
	for (uint32_t i = 0; i < job->message->count; i++)
		computes |= prepare_item(volume, job, i);
	if (!computes || job->why != NULL)
		return true;
	prepare_proofs(job);
	if (job->made != NULL && volume->record != NULL) {
		job->root = volume->record;
		job->filed = calloc(job->message->count, sizeof(*job->filed));
		CHECK(job->filed != NULL);
	}
	return false;
}

void
sealing_send(struct sealing_link *link, const struct sealing_volume *volume, const struct message *message)
{
	struct job *job;
	bool needs_seal = volume->key != NULL && sealing_has_content(message), waits = link->going.first != NULL;

	if (!needs_seal && !waits) {
		link->callbacks->send(link->arg, message, volume->block_size);
		return;
	}
	job = job_new(link, volume, message, false);
	if (needs_seal && !prepare(job, volume)) {
		keep_message(job);
		submit(link->sealing, job);
	} else if (!waits) {
		send_job(job);
		job_free(job);
		return;
	} else {
		keep_message(job);
	}
	queue_push(&link->going, job);
}

size_t
sealing_queued(const struct sealing_link *link)
{
	return link->going.size;
}

// ---- Life ----

struct sealing *
sealing_create(struct event_base *base)
{
	struct sealing *sealing = calloc(1, sizeof(*sealing));
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	CHECK(sealing != NULL);
	sealing->thread_count = cores > THREADS_MAX ? THREADS_MAX : cores < 1 ? 1 : (uint32_t)cores;
	for (uint32_t i = 0; i < sealing->thread_count; i++) {
		struct thread *thread = &sealing->threads[i];

		thread->worker = worker_create(base);
		thread->cache = seal_cache_create();
		if (thread->worker != NULL && thread->cache != NULL)
			continue;
		sealing_destroy(sealing);
		return NULL;
	}
	return sealing;
}

void
sealing_destroy(struct sealing *sealing)
{
	if (sealing == NULL)
		return;
	for (uint32_t i = 0; i < sealing->thread_count; i++) {
		struct thread *thread = &sealing->threads[i];

		if (thread->worker != NULL)
			worker_finish(thread->worker);
		worker_destroy(thread->worker);
		if (thread->cache != NULL)
			seal_cache_destroy(thread->cache);
	}
	free(sealing);
}

struct sealing_link *
sealing_open(struct sealing *sealing, const struct sealing_callbacks *callbacks, void *arg)
{
	struct sealing_link *link = calloc(1, sizeof(*link));

	CHECK(link != NULL);
	*link = (struct sealing_link){.sealing = sealing, .callbacks = callbacks, .arg = arg};
	return link;
}

static void
queue_drop(struct queue *queue)
{
	struct job *job, *next;

	for (job = queue->first; job != NULL; job = next) {
		next = job->next;
		job->owner = NULL;
		atomic_store_explicit(&job->dropped, true, memory_order_relaxed);
		if (job->is_done)
			job_free(job);
	}
	*queue = (struct queue){0};
}

void
sealing_close(struct sealing_link *link)
{
	queue_drop(&link->coming);
	queue_drop(&link->going);
	link->closed = true;
	if (!link->advances)
		free(link);
}
