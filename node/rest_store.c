// SPDX-License-Identifier: MIT
// Writes to a sealed storage wait for their verifiers: those that wait together are a batch, which costs one sync of the
// verifiers' file. A batch that writes a block once more since the last sync of the storage begins with one: there are two
// slots, and both may be needed until then. Reads are opened on another thread, so that they do not wait for syncs.
#include "node/stores.h"

#include "crypto/seal.h"
#include "node/sealing_rules.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { TELL_AGAIN_US = 10 * 1000 * 1000 };

struct rest_store {
	struct node *node;
	struct volume *volume;
	struct worker *putter, *getter;
	struct store_job *waiting, **waiting_end;
	bool runs; // a batch:
	struct task task;
	struct store_job *batch;
	struct store_io sync;
	uint64_t sync_number;
	int sys_errno;
	bool has_failed; // for good, and it was told
	struct telling told;
};

struct rest_store *
rest_store_create(struct node *node, struct volume *volume)
{
	struct rest_store *store = calloc(1, sizeof(*store));

	CHECK(store != NULL);
	store->node = node;
	store->volume = volume;
	store->waiting_end = &store->waiting;
	store->putter = worker_create(node->base);
	store->getter = worker_create(node->base);
	CHECK(store->putter != NULL && store->getter != NULL);
	return store;
}

void
rest_store_destroy(struct rest_store *store)
{
	if (store == NULL)
		return;
	worker_destroy(store->putter);
	worker_destroy(store->getter);
	free(store);
}

static struct buf_pool *
pool_of(const struct store_job *job)
{
	return core_pool(job->node->core, job->volume->block_size);
}

static void
rest_blocks_new(struct store_job *job)
{
	job->rest_blocks = calloc(job->count, sizeof(*job->rest_blocks));
	job->sealed = calloc(job->count, sizeof(struct buf *));
	CHECK(job->rest_blocks != NULL && job->sealed != NULL);
	for (uint32_t i = 0; i < job->count; i++) {
		job->rest_blocks[i].block = job->block + i;
		rest_begin(job->volume->rest, &job->rest_blocks[i]);
	}
}

// ---- Writes ----

static void
prepare_block(struct store_job *job, uint32_t i)
{
	struct rest_block *block = &job->rest_blocks[i];
	struct buf *buf = job->bufs[i];
	const struct proof *proof = buf_proof(buf);

	block->version = job->versions[i];
	block->had_proof = proof != NULL;
	if (proof != NULL) {
		block->verifier.size = proof->size < SEAL_VERIFIER_SIZE_MAX ? proof->size : SEAL_VERIFIER_SIZE_MAX;
		memcpy(block->verifier.bytes, proof->bytes, block->verifier.size);
	}
	if (buf == buf_zero() || (proof != NULL && seal_is_of_zeros(proof->bytes, proof->size)))
		return;
	block->bytes = buf_bytes(buf);
	if (!rest_is_plain(job->volume->rest) && proof != NULL &&
	    seal_version(proof->bytes, proof->size) == block->version)
		return; // it is as it is to be there
	job->sealed[i] = buf_alloc(pool_of(job));
	block->sealed = buf_bytes(job->sealed[i]);
}

// Which content it is is known now.
static void
note_made(struct store_job *job, uint32_t i)
{
	const struct seal_verifier *made = &job->rest_blocks[i].verifier;
	struct sealed_entry entry = sealing_entry(job->versions[i], made->bytes, made->size);

	if (job->bufs[i] != buf_zero() && !job->rest_blocks[i].had_proof)
		sealed_root_wrote(job->volume->sealed_root, job->block + i, &entry);
}

// What memory has in the clear keeps the proof that was made for it.
static void
take_sealed(struct store_job *job)
{
	for (uint32_t i = 0; i < job->count; i++) {
		const struct rest_block *block = &job->rest_blocks[i];

		note_made(job, i);
		if (block->bytes == NULL) {
			buf_unref(job->bufs[i]);
			job->bufs[i] = buf_zero();
		} else if (block->seals) {
			if (rest_is_plain(job->volume->rest) && buf_proof(job->bufs[i]) == NULL)
				buf_set_proof(job->bufs[i], block->verifier.bytes, block->verifier.size);
			buf_unref(job->bufs[i]);
			job->bufs[i] = job->sealed[i];
			job->sealed[i] = NULL;
		}
	}
}

static void
put(struct task *task)
{
	struct rest_store *store = (struct rest_store *)((uint8_t *)task - offsetof(struct rest_store, task));

	for (struct store_job *job = store->batch; job != NULL; job = job->next)
		job->sys_errno = rest_put(store->volume->rest, job->rest_blocks, job->count);
	store->sys_errno = rest_put_sync(store->volume->rest);
}

static void
job_failed(struct store_job *job)
{
	rest_wrote(job->volume->rest, job->block, job->count, false);
	store_job_log(job);
	store_job_end(job);
}

static void batch_begin(struct rest_store *store);

static void
batch_over(struct rest_store *store)
{
	struct store_job *job;

	while ((job = store->batch) != NULL) {
		store->batch = job->next;
		if (job->sys_errno == 0)
			job->sys_errno = store->sys_errno;
		if (job->sys_errno != 0) {
			job_failed(job);
			continue;
		}
		take_sealed(job);
		store_job_begin(job);
	}
	store->runs = false;
	if (store->waiting != NULL)
		batch_begin(store);
}

static void
put_done(struct task *task)
{
	struct rest_store *store = (struct rest_store *)((uint8_t *)task - offsetof(struct rest_store, task));

	if (store->sys_errno != 0 && !store->has_failed)
		log_error("%s: the file of its verifiers can not be synced: %s; nothing is written to it until this node is started again",
			  store->volume->store_name, strerror(store->sys_errno));
	store->has_failed |= store->sys_errno != 0;
	batch_over(store);
	store_kick(store->volume);
}

static void
batch_put(struct rest_store *store)
{
	for (struct store_job *job = store->batch; job != NULL; job = job->next) {
		rest_blocks_new(job);
		for (uint32_t i = 0; i < job->count; i++)
			prepare_block(job, i);
	}
	store->task = (struct task){.run = put, .done = put_done};
	worker_submit(store->putter, &store->task);
}

static void
batch_synced(struct store_io *io, int sys_errno)
{
	struct rest_store *store = io->owner;

	store->sys_errno = sys_errno;
	if (sys_errno != 0) {
		batch_over(store);
		return;
	}
	rest_synced(store->volume->rest, store->sync_number);
	batch_put(store);
}

static void
batch_begin(struct rest_store *store)
{
	struct volume *volume = store->volume;
	bool syncs = false;

	store->runs = true;
	store->batch = store->waiting;
	store->waiting = NULL;
	store->waiting_end = &store->waiting;
	for (const struct store_job *job = store->batch; job != NULL && !syncs; job = job->next)
		syncs = rest_needs_sync(volume->rest, job->block, job->count);
	if (!syncs) {
		batch_put(store);
		return;
	}
	store->sync_number = rest_sync_began(volume->rest);
	store->sync = (struct store_io){.op = STORE_SYNC, .done = batch_synced, .owner = store};
	volume->store->ops->submit(volume->store, &store->sync);
	volume->kick = true;
}

void
rest_store_seals(struct rest_store *store, struct store_job *job)
{
	*store->waiting_end = job;
	store->waiting_end = &job->next;
	if (!store->runs)
		batch_begin(store);
}

// ---- Reads ----

static void
get(struct task *task)
{
	struct store_job *job = (struct store_job *)task;

	job->sys_errno = rest_get(job->volume->rest, job->rest_blocks, job->count);
}

// One line now and then: who searches through what was changed finds much.
static void
tell_damaged(struct rest_store *store, const struct rest_block *block)
{
	moment_us now = node_now();
	uint64_t hidden = store->told.hidden;
	struct volume_info info;

	store->volume->damaged++;
	if (store->told.told != 0 && now - store->told.told < TELL_AGAIN_US) {
		store->told.hidden++;
		return;
	}
	store->told = (struct telling){.told = now};
	core_volume_info(store->node->core, (uint32_t)(store->volume - store->node->volumes), now, &info);
	log_error("volume %s: block %" PRIu64 " of %s can not be used: %s (%" PRIu64 " more since it was told last)", info.name,
		  block->block, store->volume->store_name, block->why, hidden);
}

static void
get_done(struct task *task)
{
	struct store_job *job = (struct store_job *)task;

	store_job_log(job);
	for (uint32_t i = 0; i < job->count && job->sys_errno == 0; i++) {
		const struct rest_block *block = &job->rest_blocks[i];
		const struct seal_verifier *verifier = &block->verifier;

		if (block->why == NULL && verifier->size > 0 && !seal_is_of_zeros(verifier->bytes, verifier->size)) {
			buf_set_proof(job->bufs[i], verifier->bytes, verifier->size);
			continue;
		}
		buf_unref(job->bufs[i]);
		job->bufs[i] = block->why == NULL ? buf_zero() : NULL;
		if (block->why != NULL)
			tell_damaged(job->volume->rest_store, block);
	}
	store_job_end(job);
}

void
rest_store_opens(struct rest_store *store, struct store_job *job)
{
	rest_blocks_new(job);
	for (uint32_t i = 0; i < job->count; i++)
		job->rest_blocks[i].bytes = buf_bytes(job->bufs[i]);
	job->task = (struct task){.run = get, .done = get_done};
	worker_submit(store->getter, &job->task);
}
