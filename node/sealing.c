// SPDX-License-Identifier: MIT
// A message that needs something is a job: copied, given to a thread, and put at the end of its link's queue. The queue
// is worked off from its beginning, as far as jobs are done. A message that needs nothing joins it only when there is
// something before it.
//
// A thread reads and writes the bytes of buffers that the job has counted; counts, proofs and the message are the
// loop's. Nobody changes the bytes of a buffer that has more than one count.
#include "node/sealing.h"

#include "core/check.h"
#include "core/limits.h"
#include "crypto/seal.h"
#include "node/worker.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	THREADS_MAX = 4,
	COMING_MAX = 16 << 20,       // bytes of memory that one link's messages may take that wait to be checked,
	COMING_ALL_MAX = 64 << 20,   // those of all links;
	COMING_SHARE = 1 << 20,      // and one link's, when those of all take more
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

// What becomes of one block.
struct part {
	struct buf *other;    // to be sent: the ciphertext. Come: the bytes in the clear
	struct proof *proof;  // made, or that it came with
	const struct proof *before; // to be sent: that it has
};

struct job {
	struct task task;
	struct job *next;           // in its link's queue
	struct sealing *sealing;
	struct sealing_link *owner; // NULL: the link was closed
	atomic_bool dropped;        // the same, for the thread: nobody wants it any more
	bool comes;                 // else it goes
	bool is_done;
	int volume;
	const struct volume_key *key;
	uint32_t block_size;
	struct buf_pool *pool; // comes: of the volume's blocks
	struct seal_cache *cache;
	struct message *message;
	struct part *parts; // by item; NULL: nothing is to be done
	const struct sealed_root *root; // or NULL
	struct sealed_entry *filed;     // by item: what it has of the block; NULL: there is no root
	uint64_t saves;                 // how often its file was written, when the job began
	size_t size;        // goes: bytes of blocks. Comes: all that it takes
	const char *why;    // NULL: all is well
	uint64_t fault;     // the block it is not well with
	bool old;           // that is older than what is here
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

static bool
may_read(const struct volume_key *key)
{
	return volume_key_role(key) >= VOLUME_ROLE_READER;
}

static bool
may_write(const struct volume_key *key)
{
	return volume_key_role(key) >= VOLUME_ROLE_WRITER;
}

// ---- On a thread ----

static struct proof *
proof_new(const uint8_t *bytes, size_t size)
{
	struct proof *proof = malloc(sizeof(*proof) + size);

	CHECK(proof != NULL);
	proof->size = (uint16_t)size;
	memcpy(proof->bytes, bytes, size);
	return proof;
}

static struct seal_place
place_of(const struct job *job, uint32_t i)
{
	return (struct seal_place){.block = job->message->block + i,
				   .version = job->message->items[i].version,
				   .block_size = job->block_size};
}

static bool
fail(struct job *job, uint32_t i, const char *why)
{
	job->why = why;
	job->fault = job->message->block + i;
	return false;
}

static bool
check_item(struct job *job, uint32_t i)
{
	const struct item *item = &job->message->items[i];
	struct seal_place place = place_of(job, i);
	const uint8_t *cipher = item->kind == ITEM_DATA ? buf_bytes(item->buf) : NULL;
	enum seal_result result;

	if (item->kind == ITEM_EMPTY)
		return true;
	if (item->verifier.size == 0)
		return fail(job, i, "there is none");
	if (cipher != NULL && may_read(job->key))
		result = seal_open(job->key, job->cache, &place, cipher, item->verifier.bytes, item->verifier.size,
				   buf_bytes(job->parts[i].other));
	else
		result = seal_check(job->key, job->cache, &place, cipher, item->verifier.bytes, item->verifier.size);
	if (result != SEAL_OK)
		return fail(job, i, seal_result_text(result));
	job->parts[i].proof = proof_new(item->verifier.bytes, item->verifier.size);
	return true;
}

// Seal the blocks ${which} of the message, ${count} of them, as one write.
static void
make_proofs(struct job *job, const uint32_t *which, uint32_t count)
{
	struct seal_block blocks[SEAL_BLOCKS_MAX] = {{.plain = NULL}};
	struct seal_verifier *verifiers = calloc(count, sizeof(*verifiers));

	CHECK(verifiers != NULL);
	for (uint32_t i = 0; i < count; i++) {
		const struct item *item = &job->message->items[which[i]];
		struct buf *cipher = job->parts[which[i]].other;

		blocks[i] = (struct seal_block){.place = place_of(job, which[i])};
		if (item->kind == ITEM_DATA) {
			blocks[i].plain = buf_bytes(item->buf);
			blocks[i].cipher = buf_bytes(cipher);
		}
	}
	seal_make(job->key, blocks, count, verifiers);
	for (uint32_t i = 0; i < count; i++)
		job->parts[which[i]].proof = proof_new(verifiers[i].bytes, verifiers[i].size);
	free(verifiers);
}

static bool
seal_item_again(struct job *job, uint32_t i)
{
	const struct proof *before = job->parts[i].before;
	struct seal_place place = place_of(job, i);
	enum seal_result result = seal_again(job->key, &place, buf_bytes(job->message->items[i].buf), before->bytes, before->size,
					     buf_bytes(job->parts[i].other));

	return result == SEAL_OK || fail(job, i, seal_result_text(result));
}

static void
run(struct task *task)
{
	struct job *job = (struct job *)task;
	uint32_t which[SEAL_BLOCKS_MAX], count = 0;

	if (job->filed != NULL && sealed_root_read(job->root, job->message->block, job->message->count, job->filed) != 0) {
		fail(job, 0, "as which version it was sealed before can not be read");
		return;
	}
	for (uint32_t i = 0; i < job->message->count; i++) {
		const struct part *part = &job->parts[i];

		if (atomic_load_explicit(&job->dropped, memory_order_relaxed) || (job->comes && !check_item(job, i)))
			return;
		if (job->comes || job->message->items[i].kind == ITEM_EMPTY)
			continue;
		if (part->before != NULL && part->other != NULL && !seal_item_again(job, i))
			return;
		if (part->before == NULL)
			which[count++] = i;
		if (count == SEAL_BLOCKS_MAX) {
			make_proofs(job, which, count);
			count = 0;
		}
	}
	if (count > 0)
		make_proofs(job, which, count);
}

// ---- Jobs ----

static void
job_free(struct job *job)
{
	for (uint32_t i = 0; job->parts != NULL && i < job->message->count; i++) {
		buf_unref(job->parts[i].other);
		free(job->parts[i].proof);
	}
	if (job->comes)
		job->sealing->coming -= job->size;
	free(job->parts);
	free(job->filed);
	message_free(job->message);
	free(job);
}

static void
give_proof(struct buf *buf, struct part *part)
{
	if (buf_proof(buf) != NULL)
		return; // another job was first
	buf_set_proof(buf, part->proof);
	part->proof = NULL;
}

// The message as the core wants it.
static void
unseal_items(struct job *job)
{
	bool forgets_zeros = sealing_forgets_zeros(volume_key_role(job->key), job->root != NULL);

	for (uint32_t i = 0; i < job->message->count; i++) {
		struct item *item = &job->message->items[i];
		struct part *part = &job->parts[i];
		struct buf *plain = part->other;

		part->other = NULL;
		if (sealing_take(item, plain, forgets_zeros, job->pool, job->block_size))
			give_proof(item->buf, part);
	}
	job->message->data_size = job->block_size;
}

// The message as it travels. What is in memory keeps the proof.
static void
seal_items(struct job *job, const struct message *message, struct item *items)
{
	for (uint32_t i = 0; i < message->count; i++) {
		struct part *part = &job->parts[i];
		const struct proof *proof = part->before != NULL ? part->before : part->proof;

		items[i] = message->items[i];
		if (proof != NULL)
			sealing_give(&items[i], proof, part->other);
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
	for (uint32_t i = 0; i < job->message->count; i++)
		if (job->parts[i].proof != NULL && job->message->items[i].kind == ITEM_DATA)
			give_proof(job->message->items[i].buf, &job->parts[i]);
}

// Of each block: is there something newer here? The file may have been written since a thread read it: what is in it now may be
// newer than that, and is not in memory any more.
static void
check_age(struct job *job)
{
	static const struct sealed_entry nothing;
	struct sealing_link *link = job->owner;

	if (job->filed != NULL && sealed_root_saves(job->root) != job->saves &&
	    sealed_root_read(job->root, job->message->block, job->message->count, job->filed) != 0)
		fail(job, 0, "as which version it was sealed before can not be read");
	for (uint32_t i = 0; i < job->message->count; i++) {
		const struct proof *proof = job->parts[i].proof;

		if (proof == NULL ||
		    !link->callbacks->is_old(link->arg, job->volume, job->message->block + i, job->message->items[i].version,
					     seal_version(proof->bytes, proof->size), job->filed != NULL ? &job->filed[i] : &nothing))
			continue;
		fail(job, i, "it was sealed before what is here");
		job->old = true;
	}
}

static void
receive_job(struct job *job)
{
	struct sealing_link *link = job->owner;

	if (job->why == NULL && job->parts != NULL)
		check_age(job);
	if (job->why != NULL) {
		link->callbacks->refuse(link->arg, job->message, &(struct sealing_fault){job->why, job->fault, job->old});
		return;
	}
	if (job->parts != NULL)
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
	while (!link->closed && (job = queue_pop_done(&link->coming)) != NULL) {
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
			size += job->comes && job->key != NULL && may_read(job->key) ? 2 * job->block_size : job->block_size;
		if (job->comes)
			size += sizeof(struct item) + sizeof(struct part) + sizeof(struct sealed_entry) +
				2 * message->items[i].verifier.size;
	}
	return size;
}

static struct job *
job_new(struct sealing_link *link, const struct sealing_volume *volume, const struct message *message, bool comes)
{
	struct job *job = calloc(1, sizeof(*job));

	CHECK(job != NULL);
	*job = (struct job){.task = {.run = run, .done = done},
			    .sealing = link->sealing,
			    .owner = link,
			    .comes = comes,
			    .is_done = true,
			    .volume = volume->index,
			    .key = volume->key,
			    .block_size = volume->block_size,
			    .message = message_copy(message)};
	job->size = size_of(job);
	if (comes)
		link->sealing->coming += job->size;
	return job;
}

static void
submit(struct sealing *sealing, struct job *job)
{
	struct thread *thread = &sealing->threads[sealing->next++ % sealing->thread_count];

	job->is_done = false;
	job->cache = thread->cache;
	worker_submit(thread->worker, &job->task);
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
	if (why != NULL) {
		job->why = why;
		job->fault = message->block;
	} else if (needs_check) {
		job->parts = parts_new(message);
		job->pool = volume->pool;
		job->root = volume->root;
		if (job->root != NULL) {
			job->filed = calloc(message->count, sizeof(*job->filed));
			CHECK(job->filed != NULL);
			job->saves = sealed_root_saves(job->root);
		}
		for (uint32_t i = 0; i < message->count && may_read(volume->key); i++)
			if (message->items[i].kind == ITEM_DATA)
				job->parts[i].other = buf_alloc(volume->pool);
		submit(link->sealing, job);
	}
	queue_push(&link->coming, job);
	set_paused(link);
	advance(link);
}

// ---- What goes ----

// Has the job anything to compute?
static bool
prepare_item(const struct sealing_volume *volume, struct job *job, uint32_t i)
{
	const struct item *item = &job->message->items[i];
	struct part *part = &job->parts[i];

	if (item->kind == ITEM_EMPTY)
		return false;
	part->before = sealing_proof_to_send(item, volume->root != NULL);
	if (part->before == NULL && !may_write(volume->key)) {
		fail(job, i, "there is no proof");
		return false;
	}
	if (!may_read(volume->key) || (part->before != NULL && seal_is_of_zeros(part->before->bytes, part->before->size)))
		return false;
	if (item->kind == ITEM_DATA)
		part->other = buf_alloc(volume->pool);
	return true;
}

void
sealing_send(struct sealing_link *link, const struct sealing_volume *volume, const struct message *message)
{
	struct job *job;
	bool needs_seal = volume->key != NULL && sealing_has_content(message), computes = false;

	if (!needs_seal && link->going.first == NULL) {
		link->callbacks->send(link->arg, message, volume->block_size);
		return;
	}
	job = job_new(link, volume, message, false);
	if (needs_seal) {
		job->parts = parts_new(message);
		for (uint32_t i = 0; i < message->count; i++)
			computes |= prepare_item(volume, job, i);
	}
	if (computes && job->why == NULL)
		submit(link->sealing, job);
	if (job->is_done && link->going.first == NULL) {
		send_job(job); // it need not wait
		job_free(job);
		return;
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
