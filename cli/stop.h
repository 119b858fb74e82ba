// SPDX-License-Identifier: MIT
// The end of a node, watched.
#ifndef HVFS_CLI_STOP_H
#define HVFS_CLI_STOP_H

#include "cli/control.h"

#include <stdint.h>

enum { STOP_END_MS = 3000 }; // what a node has to end beyond its time limit

// Tell the node to stop, within ${timeout_ms} (0: as long as it makes progress), and wait until its process has ended.
// Meanwhile what it waits for is said on standard error, after ${name}. Returns 0, or -1 with control->error: what was
// not brought to the root, or that the node does not answer.
int stop_node(struct control *control, const char *name, uint32_t timeout_ms);

// Say on standard error, after ${name}, what the node has told us that it waits for: a list, or NULL.
void stop_print_waiting(const char *name, const json_t *list);

// The same for a node that is stopping already, for a reason that it has told us.
int stop_wait(struct control *control, const char *name);

#endif
