// SPDX-License-Identifier: MIT
// How blocks of a sealed volume lie on a medium of this node: as ciphertext, and behind each its proof, so that they
// can be passed on after a restart, and nobody who has the medium can read or change them. The cache knows no keys: who
// has them gives it a form for each sealed volume (node/sealed_form.h). Without one bytes are on the medium as in
// memory.
#ifndef HVFS_CACHE_SEALED_H
#define HVFS_CACHE_SEALED_H

#include "core/buf.h"
#include "core/limits.h"
#include "core/types.h"

enum { SEALED_TAIL_SIZE = 512 }; // behind the bytes of a block on the medium: its proof

static_assert(LIMIT_VERIFIER_SIZE + 2 <= SEALED_TAIL_SIZE, "a proof and its size fit the tail");

// A block on its way to the medium, or back.
struct sealed_block {
	uint64_t block;
	version_t version; // to the medium, without a proof: sealed as this one. Back: as this one or an older one; 0:
			   // any
	uint32_t size;
	uint8_t *bytes;      // as in memory; NULL: zeros without a proof
	uint8_t *sealed;     // as on the medium; NULL: zeros, which have no bytes there
	uint16_t proof_size; // 0: it has none
	uint8_t proof[LIMIT_VERIFIER_SIZE];
};

// On any thread, but of one form not on two at the same time.
struct sealed_ops {
	// Fill ${sealed} of the ${count} blocks, and ${proof} of those that have none. False: one has none, and this
	// node can not make it, or its proof is another one's. Nothing secret is in any ${sealed} then.
	bool (*seal)(void *self, struct sealed_block *blocks, size_t count);

	// Has a writer of the volume written what is in ${sealed}, as ${proof} says? Then ${bytes} are filled, unless
	// NULL.
	bool (*open)(void *self, struct sealed_block *block);
};

struct sealed_form {
	uint8_t id[SEALED_KEY_ID_SIZE]; // of the volume's keys; not zeros
	bool is_plain;                  // blocks are in the clear in memory; else there as on the medium
	bool makes_proofs;              // this node can seal blocks that have none
	const struct sealed_ops *ops;
	void *self;
};

// SEALED_TAIL_SIZE bytes: size (2, little-endian), proof, zeros.
void sealed_tail_write(const struct sealed_block *block, uint8_t *tail);
// False: that is none.
bool sealed_tail_read(const uint8_t *tail, struct sealed_block *ret);

// The proof of ${buf}, if it has one, is that of ${block}.
void sealed_take_proof(struct sealed_block *block, const struct buf *buf);
// The proof of ${block}, if it has one, is that of ${buf}, which has none yet.
void sealed_give_proof(const struct sealed_block *block, struct buf *buf);

// The digest by which two nodes find that they have the same content of a block (core/copies.h): of the proof, of which
// a block has one, in the clear or not; or of the ${size} bytes, of ${buf} without one.
void sealed_digest(struct buf *buf, size_t size, uint8_t ret[BLOCK_DIGEST_SIZE]);
void sealed_proof_digest(const uint8_t *proof, size_t size, uint8_t ret[BLOCK_DIGEST_SIZE]);

#endif
