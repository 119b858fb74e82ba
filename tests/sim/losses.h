// SPDX-License-Identifier: MIT
// Which writes a failure may undo (protocol.md G3, G4; a disk with a volatile cache does the same). Applied to the
// history of a register before it is judged.
//
// A write is at its author N, later perhaps known to be further up, in the end on the disk. N's failure (its process
// ends, or it is told that writes of it are lost) may undo what was nowhere else; what was known to be at its parent
// survives that, unless one of N's ancestors fails too (or had failed, and the write was done under a lease from before); what was known to be at the root, unless the root fails too.
// A write that nobody was told is done may be undone by a failure of any of them alone.
// Its readers below N may have read it from N alone; others had it from an ancestor of N: so their reads are undone
// only by a second failure, of an ancestor.
//
// Of a write that is undone nothing may remain: as soon as a sync of the disk covers it, or one read of it counts, it was not
// undone, and its acknowledgement counts too. So does that of a write which a later fsync has covered: a node that is
// told of a loss, or dies, has nothing left for a fsync to cover.
//
// What a fsync has said to be in its author's journal comes back with it: a death of the author undoes it only if he stays dead.
// When what he has is given to others meanwhile, that does, but he has to be told.
//
// Where some lie (${lies}), a liar may have had all that was brought up by way of it from its author, and nobody may bring it again:
// the root's failure alone undoes what nodes that are not trusted wrote. And he may bring later what the root has lost, as long as
// nothing newer is there: a write that the root's failure may undo may be there again after that, once (losses_find leaves
// those who read it then; the caller adds a write).
//
// Up to the first of these failures nothing was undone yet: the history until then is judged with the write in it. So a
// failure does not excuse that somebody read something old before.
#ifndef HVFS_TESTS_SIM_LOSSES_H
#define HVFS_TESTS_SIM_LOSSES_H

#include "tests/sim/linearizable.h"

enum place { PLACE_NODE, PLACE_PARENT, PLACE_ROOT };

// What is known of a write beyond the operation.
struct fate {
	enum place place; // where it is at least, from its acknowledgement on
	bool durable;     // a sync of the disk has covered it, or that was promised
	uint64_t durable_at; // since then
	bool kept;        // it is in its author's journal
};

// Node ${node} failed at ${at}, a moment of the history's clock. Until ${until} others may still have had leases from
// before, under which they went on to read what the failure has undone.
//
// A node that is cut off when a root begins to serve others may lose writes of its own by that: then it is told of it later, or
// dies before that.
//
// FAILURE_GONE: what was granted to a process that had died before is given to others now. Those below it may lose by that what
// they wrote meanwhile, under leases that they had from it.
//
// FAILURE_DEATH: a process has ended whose journal is there when the next one begins. FAILURE_EVICTED: one that has a journal is
// evicted.
enum failure_kind { FAILURE, FAILURE_IF_TOLD, FAILURE_TOLD, FAILURE_GONE, FAILURE_DEATH, FAILURE_EVICTED };

struct failure {
	uint32_t node;
	enum failure_kind kind;
	uint64_t at, until;
};

struct losses {
	const int *parents; // by node; -1 for the root, which is node 0. NULL: there are no failures
	const struct failure *failures;
	size_t failure_count;
	const bool *trusted; // by node; NULL: nobody lies
};

// Since when may each of ${ops} be undone? To ${ret}: a moment of its first failure, LINEARIZABLE_UNKNOWN if it counts for
// ever. Tags are nodes, ${fates} belong to the writes among ${ops}. Where some lie, a read that counts may have no write that does:
// then that one has been undone, and is there again since.
void losses_find(const struct losses *losses, const struct register_op *ops, const struct fate *fates, size_t count,
		 uint64_t *ret);

// Copy to ${ret} what had happened at ${moment} (LINEARIZABLE_UNKNOWN: in the end) and counted then, by what losses_find
// has found. Returns how many.
size_t losses_cut(const struct register_op *ops, const uint64_t *undone, size_t count, uint64_t moment,
		  struct register_op *ret);

// Is ${node} at or below ${top}?
bool losses_is_below(const struct losses *losses, int node, int top);

#endif
