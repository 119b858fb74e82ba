// SPDX-License-Identifier: MIT
// A real core over the real cache, with what it orders done in memory: messages are encoded, the storage's operations
// wait until somebody ends them, local requests are counted. After each step its invariants and its size are checked.
#ifndef HVFS_TESTS_FUZZ_FUZZ_NODE_H
#define HVFS_TESTS_FUZZ_FUZZ_NODE_H

#include "cache/stack.h"
#include "core/core.h"
#include "tests/fuzz/session_script.h"

enum { NODE_IOS = 16 };

struct fuzz_link {
	bool up;
	bool closing; // the core has had enough of it
	uint32_t id;
	uint64_t sent; // bytes of blocks since it was drained
	uint32_t *heard; // transaction ids of all that came on it since it is up
	size_t heard_count, heard_capacity;
};

// An operation of the storage, or an eviction to be recorded, that has not ended.
struct fuzz_op {
	struct fuzz_op *next;
	enum action_type type;
	uint32_t volume, count;
	uint64_t cookie;
	struct buf *bufs[]; // counted
};

struct fuzz_io {
	struct io io;
	bool active;
};

struct fuzz_node {
	struct core *core;
	struct core_config config;
	struct stack *cache;
	struct actions *actions;
	moment_us now;
	struct fuzz_link links[SLOTS];
	struct fuzz_op *ops; // oldest first
	struct fuzz_io ios[NODE_IOS];
	uint32_t credits_max; // the most that the present parent has ever allowed
	uint64_t given_up;    // blocks of local requests that ended with an error
	bool stopped;
	uint64_t cost; // of all steps so far: how much there was to be checked
	// Called with each message the core sends on an open link: as it is after encoding and decoding, and its bytes.
	void (*sent)(void *arg, struct fuzz_node *node, unsigned slot, const struct message *message,
		     const uint8_t *bytes, size_t size);
	void *arg;
};

// ${config} is copied. Volumes remain to be added; ${node} does not move.
void fuzz_node_init(struct fuzz_node *node, const struct core_config *config, uint64_t cache_blocks);
void fuzz_node_fini(struct fuzz_node *node);

// One step, unless it has stopped: actions, checks.
void fuzz_node_step(struct fuzz_node *node, const struct event *event);

// Let the timer run that is due, if it is.
void fuzz_node_timer(struct fuzz_node *node);

// A link is there; nothing when it already is.
void fuzz_node_up(struct fuzz_node *node, unsigned slot);

// It is gone.
void fuzz_node_down(struct fuzz_node *node, unsigned slot);

// Take down the links that the core has had enough of. True when there were any.
bool fuzz_node_close(struct fuzz_node *node);

// The bytes of one or more messages arrive, and are split and decoded as net/ does it.
void fuzz_node_receive(struct fuzz_node *node, unsigned slot, const uint8_t *bytes, size_t size);

// Submit a local request; nothing when too many have not ended.
void fuzz_node_submit(struct fuzz_node *node, const struct io *io);

// End the operation number ${index}, oldest first; ${fill}: what a read finds, 0 for zeros. False when there is none.
bool fuzz_node_end(struct fuzz_node *node, unsigned index, bool evictions, enum hvfs_error error, uint8_t fill);

// How many local requests have not ended.
unsigned fuzz_node_waiting(const struct fuzz_node *node);

// ---- fuzz_bounds.c ----

// What may grow in a step: the blocks of the message that arrived, and what was there before.
uint64_t fuzz_bounds_before(const struct fuzz_node *node, const struct event *event);

// Stops the process when the core is broken or larger than its config allows. ${before}: of the step's beginning.
void fuzz_bounds_check(struct fuzz_node *node, uint64_t before);

#endif
