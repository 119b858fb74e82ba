// SPDX-License-Identifier: MIT
// Sealed volumes in a simulated world: what node/sealing does with keys and on threads, done at once, by the same rules
// (node/sealing_rules.h). Verifiers have the form of real ones; their signature is ideal: a hash with a secret that no node
// knows. Nothing is encrypted: who has no key (a proxy) makes no verifiers, and that is all.
#ifndef HVFS_TESTS_SIM_SEALS_H
#define HVFS_TESTS_SIM_SEALS_H

#include "cache/sealed.h"
#include "core/message.h"
#include "node/sealed_root.h"

struct conn;
struct disk;
struct node;
struct seals;
struct stored_version;
struct world;

// Why messages were refused.
#define SEALS_REFUSALS(X)                                              \
	X(ABSENT, "without a verifier")                                \
	X(FORGED, "not what a writer sealed there")                    \
	X(OLD, "older than what was here")                             \
	X(TIED, "another content of the version that was here")        \
	X(OTHER, "of another size, or bytes in a PUT")                 \
	X(MALFORMED, "no message")

enum seals_refusal {
#define X(name, text) SEALS_##name,
	SEALS_REFUSALS(X)
#undef X
		SEALS_REFUSAL_COUNT
};

// In words.
const char *seals_refusal_text(enum seals_refusal refusal);

// All volumes of ${world} are sealed. Before its first node.
void seals_begin(struct world *world);
void seals_destroy(struct seals *seals);

// Tell the core of ${node} that its volume is sealed.
void seals_volume(struct node *node, uint32_t volume);

// How blocks of ${volume} lie in a journal of ${node}: as in memory, each with its proof, which is made if there is none. To be freed.
struct sealed_form *seals_form_create(struct node *node, uint32_t volume);
void seals_form_destroy(struct sealed_form *form);

// ${node} sends ${message} about its ${volume}.
void seals_send(struct node *node, uint32_t link, uint32_t volume, const struct message *message);

// ${message}, with a count of each item's buffer, has come to ${end} of ${conn}. True: the core is to have it, as it is now.
bool seals_receive(struct conn *conn, unsigned end, struct message *message);

// Bytes have come there that are none; ${header} is what could be read of them, ${fatal}: nothing more can be.
void seals_malformed(struct conn *conn, unsigned end, const struct message *header, enum status status, bool fatal);

// ${node}, a root, writes ${buf} to its disk of ${volume}.
void seals_stored(struct node *node, uint32_t volume, uint64_t block, version_t version, struct buf *buf);

// Its version log has told ${stored} of that, when it begins.
void seals_found(struct node *node, uint32_t volume, const struct stored_version *stored);

// Has somebody other than the root sealed a content of ${block} of the volume anew as a later version? He has taken the block back
// from somebody (R11: a gap), and may have been shown an old content by a liar.
bool seals_came_again(const struct world *world, const char *volume, uint64_t block);

// How often so far.
uint64_t seals_refused(const struct world *world, enum seals_refusal refusal);

#endif
