// SPDX-License-Identifier: MIT
// What a scenario can not bring about with a few nodes: it is put into the core by hand.
#ifndef HVFS_TESTS_INSIDE_H
#define HVFS_TESTS_INSIDE_H

#include <stdbool.h>

struct core;

// As many claimants as it can keep claim something (${full}), or none does any more.
void inside_claimants(struct core *core, bool full);

#endif
