// SPDX-License-Identifier: MIT
// What a liar (liar.h) says in the place of something else, or unasked. Messages here are his own: he may change all of them.
#ifndef HVFS_TESTS_SIM_LIES_H
#define HVFS_TESTS_SIM_LIES_H

#include "tests/sim/liar.h"
#include "tests/sim/rng.h"

enum {
	LIES_MESSAGES = 96,  // that he remembers,
	LIES_CONTENTS = 256, // of blocks,
	LIES_NUMBERS = 48,   // names, sessions and such
	LIES_VERIFIER_MAX = 384,
};

// A message that has passed him.
struct lies_message {
	uint8_t *bytes;
	size_t size;
	int volume; // by his core; -1: none
	bool down;  // from a parent to a child
};

// A content of a block, as a writer has sealed it.
struct lies_content {
	int volume;
	uint64_t block;
	version_t version; // that it was told to be
	enum item_kind kind;
	size_t verifier_size;
	uint8_t verifier[LIES_VERIFIER_MAX];
	uint8_t *bytes;
};

struct liar {
	struct node *node;
	struct liar_config config;
	struct rng rng;
	bool lies;
	struct buf_pool *pool;
	struct lies_message messages[LIES_MESSAGES];
	struct lies_content contents[LIES_CONTENTS];
	uint64_t message_count, content_count; // ever; the newest are kept
	uint64_t numbers[LIES_NUMBERS], number_count;
	uint64_t grant; // the newest that he has seen
	uint32_t epoch;
	uint64_t told[LIAR_LIE_COUNT];
};

// Change ${message} (about ${volume}) in this way. False: there is nothing to change.
bool lies_change(struct liar *liar, enum liar_lie lie, int volume, struct message *message);

// Answer ${request} of a child, or a parent, in this way. Items are in the returned message. False: there is no such answer.
bool lies_answer(struct liar *liar, enum liar_lie lie, int volume, const struct message *request, struct message *ret);

// Something for a child (or else the parent), about ${volume}, which has that number on its link. False: there is nothing to say.
bool lies_unasked(struct liar *liar, enum liar_lie lie, int volume, uint32_t volume_id, bool to_child, struct message *ret);

// Take a buffer of the liar's for each block of data of a decoded message; give them back.
void lies_take_buffers(struct liar *liar, struct message *message);
void lies_give_buffers(struct message *message);

#endif
