// SPDX-License-Identifier: MIT
// Which CPU answers: follows a client that asks one thing at a time.
#ifndef HVFS_FUSE_PLACEMENT_H
#define HVFS_FUSE_PLACEMENT_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct event_base;
struct event;

struct placement {
	cpu_set_t allowed; // where this thread may run at all
	bool possible;     // there is a choice
	pid_t client;      // the thread that sent the last data requests
	uint32_t streak;   // how many of them in a row
	bool following;    // bound to the client's CPU
	int cpu;
	uint32_t seen; // streak when the timer last looked
	struct event *idle;
};

void placement_init(struct placement *placement, struct event_base *base);
void placement_fini(struct placement *placement);

// A data request of thread ${client} has been received. True: now and then, to find out by placement_alone whether
// another request is there already before this one is answered.
bool placement_note(struct placement *placement, pid_t client);

// ${alone}: the client had nothing else asked. Follow it, or stop following it.
void placement_alone(struct placement *placement, bool alone);

#endif
