// SPDX-License-Identifier: MIT
// A thread for what is seldom and waits for a disk: the record beside a storage, the rescue file. The loop does not.
#ifndef HVFS_NODE_WORKER_H
#define HVFS_NODE_WORKER_H

#include <event2/event.h>
#include <stdbool.h>

struct worker;

// Owned by who submits it, and not touched by him until done.
struct task {
	void (*run)(struct task *task);  // on the thread, one after the other
	void (*done)(struct task *task); // then on the loop; may free the task and submit others
	struct task *next;               // the worker's
};

// The thread starts with the first task. Returns NULL when the system does not give what it needs.
struct worker *worker_create(struct event_base *base);
void worker_submit(struct worker *worker, struct task *task);

// Is there a task that is not done? NULL: no.
bool worker_is_busy(const struct worker *worker);

// Run what was submitted, and be done with it, now: the caller waits. done may not submit anything.
void worker_finish(struct worker *worker);

// Nothing may be under way. NULL does nothing.
void worker_destroy(struct worker *worker);

#endif
