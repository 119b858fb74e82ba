// SPDX-License-Identifier: MIT
// Where the verifiers of sealed blocks are that lie as ciphertext on the storage of their root: the second part of the
// sparse file ${metadata}.seals, behind the versions (node/sealed_root.h). A page says which sessions (opens for writing)
// there were; then come 1024 bytes for each block, two slots of 512: the verifier of what is there, and room for that of
// what comes next. Integers are big-endian:
//
//	turn      8 bytes   1 higher than the other slot's; 0: nothing was ever here
//	session   8         that wrote it
//	size      2         of the verifier
//	verifier  0 to 377  (crypto/seal.h)
//	zeros     up to
//	cipher    8         XXH64 of the ciphertext, with the block number as its seed; of zeros: 0
//	sum       8         XXH64 of the 504 bytes before, with the same seed
//
// The sums find what is damaged; what somebody has changed on purpose only the verifier tells. Which slot is the right one:
// node/rest.h. Functions block, and may be called on any thread; of one block not on two at the
// same time.
#ifndef HVFS_NODE_SEAL_SLOTS_H
#define HVFS_NODE_SEAL_SLOTS_H

#include "crypto/seal.h"

enum { SEAL_SLOTS = 2, SEAL_SLOTS_RUN = 64 };

struct seal_slot {
	uint64_t turn;    // 0: there is none, or it is damaged
	uint64_t session;
	uint64_t cipher; // sum of the ciphertext
	struct seal_verifier verifier;
};

struct seal_record {
	struct seal_slot slots[SEAL_SLOTS];
};

struct seal_slots;

// The part of ${fd}, which stays the caller's, from ${offset} on. Unless ${read_only} a new session begins, durably.
// Returns NULL and an errno value (EBADMSG: the page is damaged).
struct seal_slots *seal_slots_open(int fd, uint64_t offset, bool read_only, int *ret_errno);
void seal_slots_close(struct seal_slots *slots);

// The number of this session; and the first of those that have ended in order, one after the other, until this one: what
// they wrote last is what is there. This one is among them as long as it runs.
uint64_t seal_slots_session(const struct seal_slots *slots);
uint64_t seal_slots_settled_from(const struct seal_slots *slots);

// The epoch in which the first of those began; 0: that is not known. It is what seal_slots_settle records.
uint64_t seal_slots_epoch(const struct seal_slots *slots);
void seal_slots_set_epoch(struct seal_slots *slots, uint64_t epoch);

// The session ends in order: all that it wrote is on stable storage, here and on the storage itself. Returns 0 or an errno value.
int seal_slots_settle(struct seal_slots *slots);

// The records of ${count} (at most SEAL_SLOTS_RUN) blocks from ${block} on. Returns 0 or an errno value.
int seal_slots_read(const struct seal_slots *slots, uint64_t block, uint32_t count, struct seal_record *ret);
int seal_slots_write(const struct seal_slots *slots, uint64_t block, uint32_t count, const struct seal_record *records);

// What was written is on stable storage. Returns 0 or an errno value.
int seal_slots_sync(const struct seal_slots *slots);

#endif
