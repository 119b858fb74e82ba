// SPDX-License-Identifier: MIT
// Sealed volumes (S32, S33) at the edge of the node. The core, and the cache in memory, of who may read a volume have its
// blocks in the clear; of who may not, as ciphertext. On links all of them are ciphertext with a verifier each. What a
// message needs for that is computed on threads; messages of a link stay in their order meanwhile, and those that need
// nothing, with nothing before them, do not wait.
//
// Blocks keep the proof that they came with (core/buf.h): so a proxy passes them on, and who may read makes the same
// ciphertext again. Who may write seals what has no proof: what was written here, and what a storage had.
#ifndef HVFS_NODE_SEALING_H
#define HVFS_NODE_SEALING_H

#include "core/message.h"
#include "node/raised.h"
#include "node/sealing_rules.h"

#include <event2/event.h>

struct sealing;      // of a node
struct sealing_link; // of one of its links

struct sealing_callbacks {
	// Take ${message}, which has come: all that it says of blocks is proven.
	void (*receive)(void *arg, const struct message *message, int volume);
	// It is not: it counts for nothing.
	void (*refuse)(void *arg, const struct message *message, const struct sealing_fault *fault);
	// Is ${coming} older than what is here (sealing_is_old)? ${filed}: of its root's file; NULL: this is not its root.
	bool (*is_old)(void *arg, int volume, uint64_t block, const struct sealed_entry *coming, const struct sealed_entry *filed);
	// Send ${message} now.
	void (*send)(void *arg, const struct message *message, size_t block_size);
	// That can not be sent, as there is no proof for its bytes, and no key to make one with.
	void (*unsendable)(void *arg, const struct message *message);
	// So much waits to be checked that no more should be read; that is over.
	void (*pause)(void *arg, bool paused);
};

// A sealed volume.
struct sealing_volume {
	int index;
	const struct volume_key *key; // NULL: it is not sealed; what it can read is in the clear in memory. Lives until
				      // sealing_destroy
	const struct volume_key *maker; // what has no proof gets one; NULL: that can not be done. Lives as the key
	// A root whose storage has proofs: what came with a number that it was not sealed as. All else there was sealed as the
	// number that it had when it came. NULL: another node, or storage.
	const struct raised *raised;
	// The same, if the storage was left in order: the epoch that began then. 0: it was not.
	uint32_t epoch;
	// The same: the first epoch since which every root of it left in order.
	uint32_t settled;
	struct buf_pool *pool;        // of its blocks
	uint32_t block_size;
	const struct sealed_root *root; // this node is its root: zeros have to have proofs, too. Lives as the key
	// This node is its root, and can not write: what is on record of the storage; or NULL. It goes on with the epoch of the one
	// before, whose numbers it does not know: no block gets one below what is on record.
	const struct sealed_root *record;
};

// Threads start with the first message that needs one. Returns NULL when the system does not give what it needs.
struct sealing *sealing_create(struct event_base *base);

// Ends what is under way; all links have been closed.
void sealing_destroy(struct sealing *sealing);

// Callbacks are called from the calls below and from the loop, and may close the link.
struct sealing_link *sealing_open(struct sealing *sealing, const struct sealing_callbacks *callbacks, void *arg);

// No callback is called any more. What waits is dropped.
void sealing_close(struct sealing_link *link);

// ${message} has come, about ${volume}. Nobody but the caller has its buffers, and he gives them back, so that they can be
// decrypted where they are.
void sealing_received(struct sealing_link *link, const struct sealing_volume *volume, const struct message *message);

// ${message} is to be sent.
void sealing_send(struct sealing_link *link, const struct sealing_volume *volume, const struct message *message);

// Bytes of blocks that wait to be sent.
size_t sealing_queued(const struct sealing_link *link);

#endif
