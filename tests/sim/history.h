// SPDX-License-Identifier: MIT
// Everything the clients wrote and saw, one list for each register (a piece of a block that is always written whole
// with one value), and what the root's storage held when durability was promised. Judged at the end of a run.
#ifndef HVFS_TESTS_SIM_HISTORY_H
#define HVFS_TESTS_SIM_HISTORY_H

#include "tests/sim/losses.h"

struct history;

// ${count} registers; each begins with a write of ${initial} that ended at moment 0.
struct history *history_create(uint64_t count, uint64_t initial);
void history_destroy(struct history *history);

// The next moment of the history's own clock: every call is later than the one before.
uint64_t history_now(struct history *history);

// Tags are nodes of the tree ${parents} (by node; -1 for node 0), which outlives the history: their failures may undo
// writes (losses.h). Else nothing is ever undone.
void history_set_tree(struct history *history, const int *parents);

// A write begins; its outcome is unknown until history_write_ended with the index returned here: then it is at ${place}
// at least.
uint32_t history_write_began(struct history *history, uint64_t reg, uint32_t tag, uint64_t value, uint64_t invoked);
void history_write_ended(struct history *history, uint64_t reg, uint32_t index, uint64_t returned, enum place place);

// It is promised that this write is on the disk; or at ${place}.
void history_write_synced(struct history *history, uint64_t reg, uint32_t index);
void history_write_moved(struct history *history, uint64_t reg, uint32_t index, enum place place);

// It is promised that this write is in its author's journal.
void history_write_kept(struct history *history, uint64_t reg, uint32_t index);

// The disk is seen to hold ${value} durably.
void history_durable(struct history *history, uint64_t reg, uint64_t value);

// Syncs have failed, and the disk is back at ${value}. If that was never known to be durable, it is what another failed sync has
// left, and may be older than what has been read since: the register is not judged from now on.
void history_reverted(struct history *history, uint64_t reg, uint64_t value);

// Node ${tag} fails. Returns a number for history_failure_over: from then on nobody has a lease from before.
size_t history_failed(struct history *history, uint32_t tag);
void history_failure_over(struct history *history, size_t number);

// The process of node ${tag} ends: what its journal keeps is back with the next one, unless there is none.
size_t history_died(struct history *history, uint32_t tag);
void history_stays_dead(struct history *history, uint32_t tag);

// A process of node ${tag}, which has a journal, is evicted; one that is gone. Return as history_failed.
size_t history_evicted(struct history *history, uint32_t tag);
size_t history_gone_evicted(struct history *history, uint32_t tag);

// The same, if the node is told of a loss later (history_told): it was cut off when a root began to serve others.
size_t history_may_have_failed(struct history *history, uint32_t tag);
void history_told(struct history *history, uint32_t tag);

// From now on some nodes lie: only those that are ${trusted} (by tag; outlives the history) are judged in full. Of the others only
// what they had done before; and that nobody reads what was never written there. Their writes may be lost, or arrive later, once.
void history_lies(struct history *history, const bool *trusted);

// An old content of a register's block may have been made the newest: of trusted nodes it is only judged that what they read was written.
void history_came_again(struct history *history, uint64_t reg);

// Somebody who was lied to has written to a register's block as if what there was was older: of what nodes that are not trusted were
// promised nothing is judged there.
void history_misled(struct history *history, uint64_t reg);

// The liars are gone, and everybody has written since: what is written from now on is seen by everybody.
void history_settled(struct history *history);

// A read that succeeded.
void history_read(struct history *history, uint64_t reg, uint32_t tag, uint64_t value, uint64_t invoked,
		  uint64_t returned);

// It was promised that ${written} has reached ${place} (a static name), which held ${found} at that moment.
void history_claim(struct history *history, uint64_t reg, uint32_t tag, const char *place, uint64_t written,
		   uint64_t found);

// Everything as it must be? Else the reasons are written to stderr. Every register is looked at.
bool history_check(const struct history *history);

// Reads that returned a value, writes and claims: a run that saw none has tested nothing.
struct history_counts {
	uint64_t reads, writes, claims;
};
void history_get_counts(const struct history *history, struct history_counts *ret);

#endif
