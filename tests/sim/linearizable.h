// SPDX-License-Identifier: MIT
// Was this register linearizable? Exact, for histories in which each write has a value of its own.
#ifndef HVFS_TESTS_SIM_LINEARIZABLE_H
#define HVFS_TESTS_SIM_LINEARIZABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINEARIZABLE_UNKNOWN UINT64_MAX // returned: the outcome is not known (a write that failed or never ended)

// One operation on the register. The initial value is a write that returned before all others were invoked. A read that
// failed is left out by the caller.
struct register_op {
	bool write;
	uint32_t tag; // the caller's: who did it
	uint64_t value;
	uint64_t invoked;  // moments on one clock
	uint64_t returned; // not before invoked; LINEARIZABLE_UNKNOWN for writes only
};

enum { LINEARIZABLE_EVIDENCE_MAX = 6 };

// Why a history is not linearizable, and the few operations that show it.
struct linearizable_verdict {
	const char *why;
	const struct register_op *evidence[LINEARIZABLE_EVIDENCE_MAX];
	size_t evidence_count;
};

// O(n log n). Returns true, or false with *ret filled in.
bool linearizable_check(const struct register_op *ops, size_t count, struct linearizable_verdict *ret);

// For many questions about one (linearizable) history: in every order that explains it, does the write of ${value} come
// before the write of ${other}? False for equal values. This decides whether a store that holds ${value} has lost
// ${other} (testing.md, "Crash consistency"). Questions about the same ${value} after each other cost little. ${ops} must
// stay as long as the order.
struct linearizable_order *linearizable_order_create(const struct register_op *ops, size_t count);
void linearizable_order_destroy(struct linearizable_order *order);
bool linearizable_is_before(struct linearizable_order *order, uint64_t value, uint64_t other);

#endif
