// SPDX-License-Identifier: MIT
// What will happen next: calls ordered by (virtual time, order of scheduling).
#ifndef HVFS_TESTS_SIM_HEAP_H
#define HVFS_TESTS_SIM_HEAP_H

#include "core/types.h"

// A call that is due at ${at}: fn(context, arg, number).
struct heap_entry {
	moment_us at;
	uint64_t sequence;
	void (*fn)(void *context, void *arg, uint64_t number);
	void *arg;
	uint64_t number;
};

struct heap {
	struct heap_entry *entries;
	size_t count, size;
	uint64_t sequence;
};

// Add a call.
void heap_push(struct heap *heap, moment_us at, void (*fn)(void *context, void *arg, uint64_t number), void *arg,
	       uint64_t number);

// Take the earliest call; of those at one moment, the one pushed first. False when there is none.
bool heap_pop(struct heap *heap, struct heap_entry *ret);

// When the earliest call is due, MOMENT_NEVER when there is none.
moment_us heap_next(const struct heap *heap);

// Free the memory; the calls are forgotten.
void heap_fini(struct heap *heap);

#endif
