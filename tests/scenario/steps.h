// SPDX-License-Identifier: MIT
// Steps of scenarios that wait for their end, on block 7: short to tell where it does not matter how messages cross.
#ifndef HVFS_TESTS_STEPS_H
#define HVFS_TESTS_STEPS_H

#include "tests/scenario/scenario.h"

enum {
	STEPS_HB_TTL_MS = 3000,
	STEPS_TTL_MS = 20 * 1000,
	STEPS_EVICTED_MS = 3 * STEPS_HB_TTL_MS, // whoever is away for so long has been evicted, if that is wanted
};

// A world without nodes, with short leases, whose nodes bring up what is dirty soon.
struct scenario *steps_create(void);

// The nodes that are added next bring nothing up before they must (${keep}), or soon.
void steps_keep_dirty(struct scenario *scenario, bool keep);

// A root, or the one that comes after it (with a larger epoch).
void steps_root(struct scenario *scenario, const char *name);

// A child of ${parent}, 10 ms away, connected.
void steps_child(struct scenario *scenario, const char *name, const char *parent, bool mounts);

// ${name} writes ${letter}; reads, and finds ${letter}; asks for durability, and is answered ${error}.
void steps_write(struct scenario *scenario, const char *name, char letter);
void steps_read(struct scenario *scenario, const char *name, char letter);
void steps_sync(struct scenario *scenario, const char *name, enum hvfs_error error);

// The same of ${block}.
void steps_write_block(struct scenario *scenario, const char *name, uint64_t block, char letter);
void steps_read_block(struct scenario *scenario, const char *name, uint64_t block, char letter);

// The root A, the proxy P with its children C and E, and B, a child of A. They bring nothing up before they must, and look for
// another parent when theirs is gone.
struct scenario *steps_tree(void);

// Nothing gets through between the two, in both directions, for ${ms}.
void steps_cut(struct scenario *scenario, const char *a, const char *b, uint64_t ms);

// ${name} leaves its parent, which notices at once, and dials ${parent} after ${ms}.
void steps_leave(struct scenario *scenario, const char *name, const char *parent, uint64_t ms);

// From now on ${name} may do so much with the volume.
void steps_right(struct scenario *scenario, const char *name, enum right right);

// Sooner or later ${name} reads ${letter}.
void steps_read_at_last(struct scenario *scenario, const char *name, char letter);

// The root A, started anew, serves others in ${ms}.
void steps_near_the_end_of_the_grace_time(struct scenario *scenario, uint64_t ms);

// From here on all is as before: a write of ${name} reaches the disk.
void steps_work_again(struct scenario *scenario, const char *name);

#endif
