// SPDX-License-Identifier: MIT
// What is done with the storage of a root, among the files that do it (stores.c, rest_store.c, own_seals.c). Nobody else includes this.
#ifndef HVFS_NODE_STORES_H
#define HVFS_NODE_STORES_H

#include "node/internal.h"

struct store_job;

struct store_part {
	struct store_io io;
	struct store_job *job;
};

// An action of the core. It moves when it is begun, and not afterwards.
struct store_job {
	struct task task; // of a sync: what a sealed root knows goes to its file; of a read of a sealed storage: it is opened
	struct store_job *next; // that waits to be sealed
	struct node *node;
	struct volume *volume;
	enum action_type type;
	uint64_t cookie;
	uint64_t block;
	uint32_t count;    // of blocks
	uint32_t running;  // parts
	int sys_errno;     // the first one
	struct buf **bufs; // count, each with a count of ours
	struct iovec *iov; // count
	version_t *versions; // count, of a write
	struct rest_block *rest_blocks; // count, of a sealed storage; or NULL
	struct buf **sealed;            // the same: what is to be written in the place of bufs, where that is not NULL
	uint64_t sync_number;           // the same
	struct seal_verifier *made;     // count, of a plain one: what bufs without a proof get; or NULL
	struct store_part parts[];
};

// Cut it and submit its parts; then store_kick, or the end of the batch.
void store_job_begin(struct store_job *job);
void store_kick(struct volume *volume);

// Log what went wrong; tell the core, and free it. Of a read bufs[i] is NULL where a block can not be used.
void store_job_log(const struct store_job *job);
void store_job_end(struct store_job *job);

// ---- rest_store.c: of a sealed storage ----

// ${volume} does not move any more, and has its store, and its rest.
struct rest_store *rest_store_create(struct node *node, struct volume *volume);
// Nothing may be under way. NULL does nothing.
void rest_store_destroy(struct rest_store *store);

// ${job}, a write, is begun when its blocks are sealed and their verifiers durable.
void rest_store_seals(struct rest_store *store, struct store_job *job);

// ${job}, a read, ends when its blocks are found to be right.
void rest_store_opens(struct rest_store *store, struct store_job *job);

// ---- own_seals.c: of a sealed volume whose storage is plain ----

// Has ${job}, a write, a block of which nobody knows which content it is?
bool own_seals_needed(const struct store_job *job);

// Of ${block} of a plain storage, open as ${fd}: which content of the version ${entry} says is there? False: it can not be read. Blocks.
bool own_seals_find(const struct volume_key *key, int fd, uint32_t block_size, uint64_t block, struct sealed_entry *entry);

// ${job} is begun when that is known.
void own_seals_make(struct store_job *job);

#endif
