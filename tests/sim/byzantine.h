// SPDX-License-Identifier: MIT
// Byzantine runs. First all obey, and everything is judged. Then some proxies lie (liar.h), until they are taken away and their
// children go elsewhere. What has to hold meanwhile, and after that, is in docs/security.md, "What a proxy sees, and what it can do":
// nobody reads what was not written there; nodes that are neither below a liar nor have one below them, and the root, see one disk, as
// ever; and in the end all is well again.
#ifndef HVFS_TESTS_SIM_BYZANTINE_H
#define HVFS_TESTS_SIM_BYZANTINE_H

#include "tests/sim/run.h"

// ${node}, which has no volumes yet, has the key, or tells the lies, of the plan.
void byzantine_add_node(const struct plan *plan, struct node *node);

// Schedule when they begin to lie, and when they are taken away.
void byzantine_schedule(struct run *run);

// They have been.
bool byzantine_is_over(struct run *run);

// Is ${node} to be believed in what it promises, now?
bool byzantine_believes(const struct run *run, const struct node *node);

// The run is about to be judged.
void byzantine_judge(struct run *run);

#endif
