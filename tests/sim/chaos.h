// SPDX-License-Identifier: MIT
// The faults of a recovery run: what kinds there are, how many of each a plan has, and how they are done.
#ifndef HVFS_TESTS_SIM_CHAOS_H
#define HVFS_TESTS_SIM_CHAOS_H

#include "core/types.h"

// Name for the command line, what it is.
#define CHAOS_KINDS(X)                                                                                   \
	X(CUT, "cut")               /* a link breaks, both ends notice soon */                           \
	X(HALF_OPEN, "half-open")   /* one end notices at once, the other does not */                    \
	X(CLOG, "clog")             /* what is said on a link waits, then comes all at once */           \
	X(ONE_WAY, "one-way")       /* the same in one direction, for longer; the link may break then */ \
	X(PARTITION, "partition")   /* some nodes do not reach the others */                             \
	X(PAUSE, "pause")           /* a process is stopped and goes on */                               \
	X(SUSPEND, "suspend")       /* so is a host: nobody reaches it meanwhile */                      \
	X(LEAF, "leaf")             /* a leaf's process is killed, or its host loses power */            \
	X(PROXY, "proxy")           /* the same of a node that has children */                           \
	X(ROOT, "root")             /* the same of the root */                                           \
	X(LEAVE, "leave")           /* a node stops in order and comes back */                           \
	X(SLOW_DISK, "slow-disk")   /* the root's disk takes long */                                     \
	X(DISK_ERROR, "disk-error") /* it fails to read and write */                                     \
	X(SYNC_ERROR, "sync-error") /* it fails to sync, and so until the root is started again */     \
	X(ABORT, "abort")           /* a leaf's volumes are aborted; later it is killed. Only when asked for by name */ \
	X(RIGHT, "right")           /* what a node may do is lowered for a while. Only when asked for by name */ \
	X(JOURNAL, "journal")       /* a node dies while it writes to its journal, or soon after. Only where there are some */

enum chaos_kind {
#define X(name, text) CHAOS_##name,
	CHAOS_KINDS(X)
#undef X
		CHAOS_COUNT
};

#define CHAOS_BIT(kind) (UINT32_C(1) << CHAOS_##kind)
#define CHAOS_ALL ((UINT32_C(1) << CHAOS_COUNT) - 1)

// Its name on the command line.
const char *chaos_name(enum chaos_kind kind);

// What a plan has of it.
struct chaos_plan {
	unsigned count[CHAOS_COUNT];
	moment_us shortest_us, longest_us; // how long a fault lasts
	unsigned stay_dead_percent;        // of leaves and proxies that die
};

struct run;
struct node;

// ${node} writes to its journal: it may have to die of that.
void chaos_journal_writes(struct run *run, struct node *node);

// The root of now serves others: it may have to die of that.
void chaos_serves(struct run *run);

// Schedule the plan's faults over the next ${span_us}.
void chaos_schedule(struct run *run, moment_us span_us);

// No more faults: everything gets through, the disk works, who is to come back is back, and the root is.
void chaos_heal(struct run *run);

// ${node} is killed, and back at once.
void chaos_restart(struct run *run, struct node *node);

// ${node} has stopped in order, or tried to. When it was a fault of ours it comes back some time later.
void chaos_stopped(struct run *run, struct node *node);

#endif
