// SPDX-License-Identifier: MIT
// What all runs of one command have done together. Each run is a process of its own; they add up in memory they share.
#ifndef HVFS_TESTS_SIM_TOTALS_H
#define HVFS_TESTS_SIM_TOTALS_H

#include <stdint.h>
#include <stdio.h>

struct run;

// Make the memory, before the first run's process; in a process that is one, to count apart from the others.
void totals_init(void);

// A run is over, well or not.
void totals_add(const struct run *run);

// Microseconds of virtual time so far: of each run from its beginning to its end, the time after its faults included.
uint64_t totals_time(void);

// Print all of it: a line of sums, and with ${kinds} also what was done how often, and which requests failed how. Tree
// hours are the virtual time of whole trees, from the beginning of each run to its end, whatever the tree's size. Host
// hours are the same time for each node while it had a process.
void totals_print(FILE *out, uint64_t seeds, uint64_t failed, int kinds);

#endif
