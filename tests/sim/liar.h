// SPDX-License-Identifier: MIT
// A Byzantine node of a simulated world: its core is a real one, and obeys; but what that says, and what it hears, passes somebody
// who changes it, keeps it, repeats it or makes something up, as long as he lies. He has no key: what he brings of blocks he has
// from others. He knows all that ever passed this node.
#ifndef HVFS_TESTS_SIM_LIAR_H
#define HVFS_TESTS_SIM_LIAR_H

#include "core/message.h"
#include "tests/sim/heap.h"

struct conn;
struct liar;
struct node;

// Name for reports, what it is.
#define LIAR_LIES(X)                                                                                          \
	X(BYTES, "bytes")           /* a byte of a block is another */                                         \
	X(VERIFIER, "verifier")     /* so is one of a verifier; or it is left out */                           \
	X(SWAP, "swap")             /* two blocks of a message change places, or all are said to be of others */ \
	X(OLD, "old")               /* in the place of a block stands an older content of it */                \
	X(OTHER, "other")           /* or a content of another block */                                        \
	X(ZEROS, "zeros")           /* or zeros, with a verifier or without */                                 \
	X(VERSION, "version")       /* a block is told to have another version */                              \
	X(PERMISSION, "permission") /* more is granted, asked for, kept than is */                             \
	X(LEASE, "lease")           /* leases end at once, or never */                                         \
	X(NUMBER, "number")         /* another number is another one */                                        \
	X(REFUSE, "refuse")         /* in the place of an answer stands an error */                            \
	X(DROP, "drop")             /* it is not said */                                                       \
	X(TWICE, "twice")           /* it is said twice */                                                     \
	X(LATER, "later")           /* it is said when others have been */                                     \
	X(REPLAY, "replay")         /* something that was said before is said again, perhaps to others */      \
	X(MALFORMED, "malformed")   /* what is said is no message */                                           \
	X(IGNORE, "ignore")         /* what was said to it is not heard */                                     \
	X(KEEP, "keep")             /* a recall is answered, and nothing given up */                           \
	X(ACKNOWLEDGE, "acknowledge") /* what was brought is acknowledged, and not passed on */               \
	X(MADE_UP, "made-up")       /* what was asked for is granted, with what is at hand */                  \
	X(PUSH, "push")             /* blocks are pushed that are old, or were never asked for */              \
	X(RECALL, "recall")         /* children have to give up what nobody wants */                           \
	X(CLAIM, "claim")           /* blocks are claimed, and bytes brought, in others' names */              \
	X(EVICT, "evict")           /* others are to be evicted */                                             \
	X(NEWS, "news")             /* children are told of another way up */                                  \
	X(GARBAGE, "garbage")       /* any message */

enum liar_lie {
#define X(name, text) LIAR_##name,
	LIAR_LIES(X)
#undef X
		LIAR_LIE_COUNT
};

// Its name.
const char *liar_lie_name(enum liar_lie lie);

struct liar_config {
	uint64_t seed;
	uint32_t lies;       // one bit each: which it tells
	unsigned percent;    // of messages
	moment_us unasked_us; // mean time between lies that nobody has asked for
};

// ${node} is one, but obeys. Before its first step.
void liar_create(struct node *node, const struct liar_config *config);
void liar_destroy(struct liar *liar);

// It lies from now on.
void liar_begin(struct liar *liar);

// A new process of its node begins: it goes on with what it knows.
void liar_restarted(struct liar *liar);

// ${message}, sealed, is about to go from ${end} of ${conn}, which is the liar's. True: he has seen to it.
bool liar_says(struct liar *liar, struct conn *conn, unsigned end, const struct message *message);

// ${message} has come there, and was not checked yet. True: the core does not hear of it.
bool liar_hears(struct liar *liar, struct conn *conn, unsigned end, const struct message *message);

// Free what an event that will not be has.
void liar_forget(const struct heap_entry *entry);

// How often it has told it.
uint64_t liar_told(const struct liar *liar, enum liar_lie lie);

#endif
