// SPDX-License-Identifier: MIT
// A thread reads the bytes of buffers that the job has counted, and the proofs that they have; counts, and which proof
// a buffer has, are the loop's. Nobody changes the bytes of a buffer that has more than one count: what is sent gets
// its ciphertext in another. What has come is the job's alone, as soon as the link has given its count back, and is
// decrypted where it is.
#include "node/sealing_job.h"

#include <string.h>

enum { TOGETHER_MAX = 64 }; // blocks that are checked at once

bool
sealing_job_fail(struct job *job, uint32_t i, const char *why)
{
	job->why = why;
	job->fault = job->message->block + i;
	return false;
}

static struct seal_place
place_of(const struct job *job, uint32_t i)
{
	version_t version = job->message->items[i].version;

	if (!job->comes && job->filed != NULL && job->filed[i].protocol > version)
		version = job->filed[i].protocol; // what this number was given to is there, or what came later and nobody was promised
	return (struct seal_place){.block = job->message->block + i, .version = version, .block_size = job->block_size};
}

static bool
is_dropped(const struct job *job)
{
	return atomic_load_explicit(&job->dropped, memory_order_relaxed);
}

static bool
check_items(struct job *job, const uint32_t *which, uint32_t count)
{
	struct seal_sealed blocks[TOGETHER_MAX];
	enum seal_result result;
	size_t right;

	for (uint32_t i = 0; i < count; i++) {
		const struct item *item = &job->message->items[which[i]];
		uint8_t *bytes = item->kind == ITEM_DATA ? buf_bytes(item->buf) : NULL;

		if (item->version == 0 && seal_version(item->verifier.bytes, item->verifier.size) != 0) // no place has version 0 (seal.h)
			return sealing_job_fail(job, which[i], seal_result_text(SEAL_FORGED));
		blocks[i] = (struct seal_sealed){place_of(job, which[i]), bytes, item->verifier.bytes,
						 item->verifier.size, sealing_may_read(job->key) ? bytes : NULL};
	}
	right = seal_open_all(job->key, job->cache, blocks, count, &result);
	return right == count || sealing_job_fail(job, which[right], seal_result_text(result));
}

// Check, and decrypt for who may read, what has come.
static void
check_all(struct job *job)
{
	uint32_t which[TOGETHER_MAX], count = 0;

	for (uint32_t i = 0; i < job->message->count; i++) {
		const struct item *item = &job->message->items[i];

		if (item->kind == ITEM_EMPTY)
			continue;
		if (item->verifier.size == 0) {
			sealing_job_fail(job, i, "there is none");
			return;
		}
		which[count++] = i;
		if (count < TOGETHER_MAX)
			continue;
		if (is_dropped(job) || !check_items(job, which, count))
			return;
		count = 0;
	}
	if (count > 0)
		check_items(job, which, count);
}

// Seal the blocks ${which} of the message, ${count} of them, as one write.
static void
make_proofs(struct job *job, const uint32_t *which, uint32_t count)
{
	struct seal_block blocks[SEAL_BLOCKS_MAX];
	struct seal_verifier *made = job->parts[which[0]].made;

	for (uint32_t i = 0; i < count; i++) {
		const struct item *item = &job->message->items[which[i]];
		struct part *part = &job->parts[which[i]];
		struct buf *plain = part->old != NULL ? part->other : item->buf; // it was opened to there

		blocks[i] = (struct seal_block){place_of(job, which[i]), part->other != NULL ? buf_bytes(plain) : NULL,
						part->other != NULL ? buf_bytes(part->other) : NULL};
		part->made = &made[i]; // there may be some between that do not need one
	}
	seal_make(job->maker, blocks, count, made);
}

static bool
seal_item_again(struct job *job, uint32_t i)
{
	const struct proof *before = job->parts[i].before;
	struct seal_place place = {.block = job->message->block + i, .block_size = job->block_size}; // as whatever it was sealed
	enum seal_result result = seal_again(job->key, &place, buf_bytes(job->message->items[i].buf), before->bytes,
					     before->size, buf_bytes(job->parts[i].other));

	return result == SEAL_OK || sealing_job_fail(job, i, seal_result_text(result));
}

// In memory it is ciphertext, sealed as an older version. What is not right there (it came from a storage that somebody has
// changed) is not sealed anew: it goes as it is, and whoever gets it refuses it.
static void
open_item(struct job *job, uint32_t i)
{
	struct part *part = &job->parts[i];
	const struct proof *old = part->old;
	struct seal_place place = place_of(job, i);
	const uint8_t *cipher = buf_bytes(job->message->items[i].buf);

	if (seal_open(job->maker, job->cache, &place, cipher, old->bytes, old->size, buf_bytes(part->other)) == SEAL_OK)
		return;
	memcpy(buf_bytes(part->other), cipher, job->block_size);
	part->before = old;
}

// What is to be sent: seal it, or seal it again.
static void
seal_all(struct job *job)
{
	uint32_t which[SEAL_BLOCKS_MAX], count = 0;

	for (uint32_t i = 0; i < job->message->count; i++) {
		const struct part *part = &job->parts[i];

		if (is_dropped(job))
			return;
		if (job->message->items[i].kind == ITEM_EMPTY)
			continue;
		if (part->before != NULL && part->other != NULL && !seal_item_again(job, i))
			return;
		if (part->old != NULL)
			open_item(job, i);
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

void
sealing_job_run(struct task *task)
{
	struct job *job = (struct job *)task;

	if (job->filed != NULL &&
	    sealed_root_read(job->root, job->message->block, job->message->count, job->filed) != 0)
		sealing_job_fail(job, 0, "as which version it was sealed before can not be read");
	else if (job->comes && !job->reads_again)
		check_all(job);
	else if (!job->comes)
		seal_all(job);
}
