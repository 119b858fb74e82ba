// SPDX-License-Identifier: MIT
// What sealing.h decides without threads, keys or links: what of a message is refused before anything is computed, what is
// older than what is here, which proof goes along, what becomes of a message that is not proven. Functions of their
// arguments: the simulator decides by the same ones (tests/sim/seals.h).
#ifndef HVFS_NODE_SEALING_RULES_H
#define HVFS_NODE_SEALING_RULES_H

#include "core/message.h"
#include "node/sealed_root.h"

// Says ${message} anything of the content of blocks?
bool sealing_has_content(const struct message *message);

// Why ${message}, which does, is refused whatever its verifiers are; NULL: it is not. The end of a sentence, of the verifier.
const char *sealing_refuses(const struct message *message, uint32_t block_size);

// Has a node with that key no use for the proof of zeros, as it can seal them again? A root can not: it has to know as which
// version they were sealed.
bool sealing_forgets_zeros(enum volume_role role, bool is_root);

// What has come of a block is proven, and its bytes are as they are to be kept: make of ${item} what the core wants. ${pool}: where
// bytes of zeros come from. Returns whether the proof is to stay with item->buf.
bool sealing_take(struct item *item, bool forgets_zeros, struct buf_pool *pool, uint32_t block_size);

// The proof that ${item} has and is to be sent with; NULL: it needs a new one, sealed as the version that it is told to be.
const struct proof *sealing_proof_to_send(const struct item *item, bool is_root);

// Make of ${item} what travels: with ${verifier}, and ${cipher} in the place of its bytes (NULL: as they are).
void sealing_give(struct item *item, struct blob verifier, struct buf *cipher);

// May what comes not take the place of what is here: was it sealed before that, or is it, at a root, another content of that
// version? ${coming}: as which version it was sealed, which it is told to be (0: none), which content it is. ${known} is what a
// root remembers of its storage, NULL: this is none; ${on_storage}: it would be taken for what is there (core_storage_has). ${proof}
// of the copy in memory (NULL: it has none, or there is no copy), which is told to be ${copy_version}.
bool sealing_is_old(const struct sealed_entry *coming, const struct sealed_entry *known, bool on_storage, const struct proof *proof,
		    version_t copy_version);

// What is said of content: told to be ${version}, with the verifier of ${size} bytes.
struct sealed_entry sealing_entry(version_t version, const uint8_t *verifier, size_t size);

// What a root remembers of content that goes to its storage as ${version}. What has no proof was written there, or had its proof
// lost on the way: then it is at most as new as it is told to be; which content it is has to be added, if it is not zeros.
struct sealed_entry sealing_stored(version_t version, const struct buf *buf);

// What of a message could not be proven.
struct sealing_fault {
	const char *why; // a sentence's end, of the verifier
	uint64_t block;
	bool old;        // a writer has sealed it, before what is here, or in its place
};

// What is done with such a message: the link it came on is closed; *ret is taken in its place; *ret is sent back. ${value}: memory
// for ERR_VALUE, as long as *ret.
enum sealing_refusal { SEALING_CLOSE, SEALING_TAKE, SEALING_SEND };
enum sealing_refusal sealing_refuse(const struct message *message, const struct sealing_fault *fault, bool from_child, uint8_t value[8],
				    struct message *ret);

#endif
