// SPDX-License-Identifier: MIT
// A client that reads or writes synchronously sleeps while we answer, and we sleep while it computes: the two never
// want a CPU at the same moment. Yet the kernel wakes each of them on an idle CPU, and to wake an idle CPU costs many
// times what the request costs, above all a virtual one. Measured on a virtual machine with 2 CPUs, 4 KiB reads at
// queue depth 1: 25,000 a second with client and server on two CPUs, 170,000 on one.
//
// So while one thread alone sends the requests, and has only one under way, the loop's thread is bound to the CPU on
// which that thread ran last. With several requests at once, or several clients, two CPUs do more than one, and the
// binding goes; also when the client stops asking.
//
// "One under way" cannot be seen from the batches: on one CPU the client may run in between, as soon as its answer is
// written. Exact is to look for a second request before the first is answered; that is done at every PERIOD-th. And a
// request that waits, for a disk or for the parent, is under way too.
#include "fuse/placement.h"

#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	PERIOD = 64,          // requests between looks for a second one
	SAMPLE_PERIOD = 1024, // requests between looks at the client's CPU
	IDLE_MS = 200,        // without requests for so long: no longer bound
	STAT_CPU_FIELD = 39,  // of /proc/PID/stat, counted from 1
};

static void
placement_release(struct placement *placement)
{
	if (!placement->following)
		return;
	sched_setaffinity(0, sizeof(placement->allowed), &placement->allowed);
	placement->following = false;
	event_del(placement->idle);
}

static void
placement_arm(struct placement *placement)
{
	struct timeval delay = {0, IDLE_MS * 1000};

	placement->seen = placement->streak;
	event_add(placement->idle, &delay);
}

static void
on_idle(evutil_socket_t fd, short what, void *arg)
{
	struct placement *placement = arg;

	if (placement->streak == placement->seen)
		placement_release(placement);
	else
		placement_arm(placement);
}

void
placement_init(struct placement *placement, struct event_base *base)
{
	memset(placement, 0, sizeof(*placement));
	placement->idle = evtimer_new(base, on_idle, placement);
	placement->possible = placement->idle != NULL &&
			      sched_getaffinity(0, sizeof(placement->allowed), &placement->allowed) == 0 &&
			      CPU_COUNT(&placement->allowed) > 1;
}

void
placement_fini(struct placement *placement)
{
	if (placement->idle == NULL)
		return;
	placement_release(placement);
	event_free(placement->idle);
}

bool
placement_note(struct placement *placement, pid_t client)
{
	if (!placement->possible)
		return false;
	if (client != placement->client) {
		placement_release(placement);
		placement->client = client;
		placement->streak = 0;
		return false;
	}
	return ++placement->streak % PERIOD == 0;
}

// The CPU on which thread ${tid} ran last, -1 when that cannot be known.
static int
thread_cpu(pid_t tid)
{
	char path[32], text[1024], *at;
	ssize_t size;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	size = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (size <= 0)
		return -1;
	text[size] = '\0';
	at = strrchr(text, ')'); // ends field 2, the name, which may hold anything
	for (int field = 2; at != NULL && field < STAT_CPU_FIELD; field++)
		at = strchr(at + 1, ' ');
	return at != NULL ? atoi(at) : -1;
}

static void
placement_follow(struct placement *placement)
{
	int cpu = thread_cpu(placement->client);
	cpu_set_t set;

	if (cpu < 0 || cpu >= CPU_SETSIZE || !CPU_ISSET(cpu, &placement->allowed)) {
		placement_release(placement);
		return;
	}
	if (placement->following && placement->cpu == cpu)
		return;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0)
		return;
	if (!placement->following)
		placement_arm(placement);
	placement->following = true;
	placement->cpu = cpu;
}

void
placement_alone(struct placement *placement, bool alone)
{
	if (!alone) {
		placement_release(placement);
		placement->streak = 0;
	} else if (!placement->following || placement->streak % SAMPLE_PERIOD == 0) {
		placement_follow(placement);
	}
}
