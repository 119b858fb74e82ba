// SPDX-License-Identifier: MIT
// What is written at a root whose storage is plain gets its proof before it goes there: so the root knows of all that is on its
// storage which content it is (node/sealed_root.h), and takes no other of that version. The bytes keep the proof while they are
// in memory.
#include "node/stores.h"

#include "crypto/seal.h"
#include "node/sealing_rules.h"
#include "node/seals_io.h"

#include <stdlib.h>

static bool
has_none(const struct store_job *job, uint32_t i)
{
	return job->bufs[i] != buf_zero() && buf_proof(job->bufs[i]) == NULL;
}

bool
own_seals_needed(const struct store_job *job)
{
	const struct volume *volume = job->volume;

	if (volume->own_sealer == NULL || volume_key_role(volume->key) < VOLUME_ROLE_WRITER)
		return false;
	for (uint32_t i = 0; i < job->count; i++)
		if (has_none(job, i))
			return true;
	return false;
}

// Of those ${which}, as one write. Their ciphertext is not wanted.
static void
make_some(struct store_job *job, const uint32_t *which, uint32_t count)
{
	struct seal_block blocks[SEAL_BLOCKS_MAX];
	struct seal_verifier made[SEAL_BLOCKS_MAX];

	for (uint32_t i = 0; i < count; i++)
		blocks[i] = (struct seal_block){.place = {.block = job->block + which[i],
							  .version = job->versions[which[i]],
							  .block_size = job->volume->block_size},
						.plain = buf_bytes(job->bufs[which[i]])};
	CHECK(count > 0 && count <= SEAL_BLOCKS_MAX);
	seal_make(job->volume->key, blocks, count, made);
	for (uint32_t i = 0; i < count; i++)
		job->made[which[i]] = made[i];
}

// On the thread. Which blocks are meant the loop has said: proofs are its own.
static void
make_all(struct task *task)
{
	struct store_job *job = (struct store_job *)task;
	uint32_t which[SEAL_BLOCKS_MAX], count = 0;

	for (uint32_t i = 0; i < job->count; i++) {
		if (job->made[i].size == 0)
			continue;
		which[count++] = i;
		if (count == SEAL_BLOCKS_MAX) {
			make_some(job, which, count);
			count = 0;
		}
	}
	if (count > 0)
		make_some(job, which, count);
}

static void
all_made(struct task *task)
{
	struct store_job *job = (struct store_job *)task;
	struct volume *volume = job->volume;

	for (uint32_t i = 0; i < job->count; i++) {
		const struct seal_verifier *made = &job->made[i];
		struct sealed_entry entry = sealing_entry(job->versions[i], made->bytes, made->size);

		if (made->size == 0)
			continue;
		sealed_root_wrote(volume->sealed_root, job->block + i, &entry);
		if (buf_proof(job->bufs[i]) == NULL) // else it was sent meanwhile
			buf_set_proof(job->bufs[i], made->bytes, made->size);
	}
	store_job_begin(job);
	store_kick(volume);
}

void
own_seals_make(struct store_job *job)
{
	job->made = calloc(job->count, sizeof(*job->made));
	CHECK(job->made != NULL);
	for (uint32_t i = 0; i < job->count; i++)
		job->made[i].size = has_none(job, i);
	job->task = (struct task){.run = make_all, .done = all_made};
	worker_submit(job->volume->own_sealer, &job->task);
}

bool
own_seals_find(const struct volume_key *key, int fd, uint32_t block_size, uint64_t block, struct sealed_entry *entry)
{
	uint8_t *bytes = malloc(block_size);
	struct seal_block whole = {.place = {.block = block, .version = entry->sealed, .block_size = block_size}, .plain = bytes, .cipher = bytes};
	struct seal_verifier made;
	bool is_read;

	CHECK(bytes != NULL);
	is_read = seals_read_at(fd, bytes, block_size, block * block_size) == 0;
	if (is_read && volume_key_role(key) >= VOLUME_ROLE_WRITER) {
		seal_make(key, &whole, 1, &made);
		seal_digest(made.bytes, made.size, entry->digest);
	}
	free(bytes);
	return is_read;
}
