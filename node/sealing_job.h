// SPDX-License-Identifier: MIT
// A message of a sealed volume that something is computed for (node/sealing.c), and what a thread does of it. Not for
// others.
#ifndef HVFS_NODE_SEALING_JOB_H
#define HVFS_NODE_SEALING_JOB_H

#include "core/message.h"
#include "crypto/seal.h"
#include "node/sealed_root.h"
#include "node/worker.h"

#include <stdatomic.h>

struct sealing;
struct sealing_link;

// What becomes of one block.
struct part {
	struct buf *other;          // to be sent: the ciphertext
	const struct proof *before; // to be sent: what the buffer has
	const struct proof *old;    // to be sent: what it has, where it is ciphertext that has to be sealed anew; else NULL
	struct seal_verifier *made; // to be sent: what it gets
};

struct job {
	struct task task;
	struct job *next; // in its link's queue
	struct sealing *sealing;
	struct sealing_link *owner; // NULL: the link was closed
	atomic_bool dropped;        // the same, for the thread: nobody wants it any more
	bool comes;                 // else it goes
	bool is_done;
	int volume;
	const struct volume_key *key, *maker; // as of the volume
	uint32_t block_size;
	struct buf_pool *pool; // comes: of the volume's blocks
	struct seal_cache *cache;
	struct message *copy; // NULL: the message is the caller's, and the job ends before he goes on
	const struct message *message;
	struct part *parts;             // goes: by item
	struct seal_verifier *made;     // goes: for as many items as have no proof
	const struct sealed_root *root; // or NULL
	struct sealed_entry *filed;     // by item: what it has of the block; NULL: there is no root
	uint64_t saves;                 // how often its file was written, when the job began
	bool reads_again;               // comes: it was written since, and all else is done
	bool is_checked;                // comes: its blocks are, on a thread
	size_t size;                    // goes: bytes of blocks. Comes: all that it takes
	const char *why;                // NULL: all is well
	uint64_t fault;                 // the block it is not well with
	bool old;                       // that is older than what is here
};

static inline bool
sealing_may_read(const struct volume_key *key)
{
	return volume_key_role(key) >= VOLUME_ROLE_READER;
}

static inline bool
sealing_may_write(const struct volume_key *key)
{
	return volume_key_role(key) >= VOLUME_ROLE_WRITER;
}

// Block ${i} of the message is the reason that it can not be taken, or sent. Returns false.
bool sealing_job_fail(struct job *job, uint32_t i, const char *why);

// On a thread: check, and decrypt for who may read, what has come; seal what is to be sent.
void sealing_job_run(struct task *task);

#endif
