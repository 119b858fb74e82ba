// SPDX-License-Identifier: MIT
// A sealed volume at rest as ciphertext: on the storage of its root each block is at its place as it travels, and beside it
// (node/seal_slots.h) its verifier. Who has the storage can neither read nor change it.
//
// A crash may leave a block as it was or as it was being made. So that both can be told, a new verifier goes to the slot
// that is not in use, durably, before its ciphertext goes to the storage; and before that slot is used again the
// ciphertext is on stable storage. In between the bytes tell which slot is right.
//
// A block that was never written has no verifier, and is zeros; as long as it has a slot that was never used it may still be
// so, though a write of it had begun.
#ifndef HVFS_NODE_REST_H
#define HVFS_NODE_REST_H

#include "node/sealed_root.h"
#include "node/seal_slots.h"

struct rest;

// A block on its way to the storage, or back.
struct rest_block {
	uint64_t block;
	version_t version;  // to the storage: of the protocol
	bool is_open;       // rest_begin: only the bytes can tell which slot is right
	bool had_proof;     // to the storage: in memory, when it was put; the caller's
	bool seals;         // to the storage: ${sealed} is to be written in the place of ${bytes}
	uint8_t *bytes;     // as in memory; to the storage NULL: zeros. Back: as read, then as in memory
	uint8_t *sealed;    // to the storage: as many bytes for ciphertext; NULL: zeros, or they are sealed as this version
	struct seal_verifier verifier; // what it has, as in memory; size 0: none. Afterwards: what it has at rest
	const char *why;    // back: it can not be used; NULL: it can
};

// Of the storage ${spec} with blocks of ${block_size} bytes; ${key} is a writer's, or with ${read_only} anybody's, and outlives
// it, as ${root} does, which has the file. ${is_plain}: blocks are in the clear in memory. Blocks until what a process
// before has written is on stable storage. Returns NULL and a sentence.
struct rest *rest_open(const char *spec, uint32_t block_size, const struct volume_key *key, const struct sealed_root *root,
		       bool is_plain, bool read_only, char *error, size_t error_size);
// NULL does nothing.
void rest_close(struct rest *rest);

// Has the storage ${spec} any bytes but zeros? Returns 0 or 1, or a negated errno value. Blocks.
int rest_has_data(const char *spec);

// Are blocks in the clear in memory?
bool rest_is_plain(const struct rest *rest);

// ---- On the loop ----

// Something of ${count} blocks from ${block} on was written since the last sync of the storage: the next one has to end before
// they are written again.
bool rest_needs_sync(const struct rest *rest, uint64_t block, uint32_t count);

// A sync of the storage begins: its number. It has ended well.
uint64_t rest_sync_began(struct rest *rest);
void rest_synced(struct rest *rest, uint64_t number);

// Fill in what is known of ${block}, before a thread has it.
void rest_begin(const struct rest *rest, struct rest_block *block);

// A write of ${count} blocks to the storage has ended; or has failed, or was not begun though rest_put was.
void rest_wrote(struct rest *rest, uint64_t block, uint32_t count, bool ok);

// The root's epoch is this; ${in_order}: the root before has left in order. Then rest_settled_epoch is the first epoch since which all
// roots did. What was sealed in an earlier one may have been passed on as a later version since (node/sealing.h), of which
// the storage does not know.
void rest_set_epoch(struct rest *rest, uint32_t epoch, bool in_order);
uint32_t rest_settled_epoch(const struct rest *rest);

// Before anything is read or written: as which version is ${block} sealed that is on the storage (0: zeros without a verifier), and
// which content is it? *${entry} is what is known, and gets that. False: it is not right, or was sealed before what is known. Blocks.
bool rest_sealed_as(struct rest *rest, uint64_t block, struct sealed_entry *entry);

// All that was written is on stable storage, and the node leaves in order. Returns 0 or an errno value.
int rest_finish(struct rest *rest);

// ---- On a thread ----

// ${count} neighbours are to be written: seal those that have no proof of their version, and put their verifiers into slots.
// Of one volume by one thread. Returns 0 or an errno value.
int rest_put(struct rest *rest, struct rest_block *blocks, uint32_t count);

// What was put is on stable storage. Once it has failed it always does. Returns 0 or an errno value.
int rest_put_sync(struct rest *rest);

// ${count} neighbours were read: find their verifiers, and decrypt them if they are in the clear in memory. Those that are not
// right have a reason; ciphertext that stays such has only its sum looked at. By one thread. Returns 0 or an errno value.
int rest_get(struct rest *rest, struct rest_block *blocks, uint32_t count);

#endif
