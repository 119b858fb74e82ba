// SPDX-License-Identifier: MIT
// A signal reached a client while it waits for a request. Only one that kills it cancels the request: reads, writes and
// syncs of a file are never ended by other signals on a disk, and programs rely on that (qemu-img took an interrupted
// close for a failed one; runtimes that switch threads by signals would see errors all the time). So hard mounts of NFS
// do it.
//
// The kernel tells neither which signal it was, nor of a second one. Whether a thread is being killed is in its status:
// the kernel gives SIGKILL to each thread of a process that ends by a signal. As long as there are interrupted
// requests, their clients are looked at again from time to time. A thread that can not be looked at (of another PID
// namespace) waits, at most for the core's time limit.
//
// Libfuse calls interrupt_add with its own lock on the request, where an answer would free what is locked. So it only
// notes the request; the loop looks after libfuse has returned.
#include "fuse/internal.h"

#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool
has_sigkill(const char *status, const char *name)
{
	const char *at = strstr(status, name);

	return at != NULL && (strtoull(at + strlen(name), NULL, 16) >> (SIGKILL - 1) & 1) != 0;
}

static bool
is_being_killed(pid_t thread)
{
	char path[32], status[4096];
	ssize_t size;
	int fd;

	if (thread <= 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)thread);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	size = read(fd, status, sizeof(status) - 1);
	close(fd);
	if (size <= 0)
		return false;
	status[size] = '\0';
	return has_sigkill(status, "\nSigPnd:") || has_sigkill(status, "\nShdPnd:");
}

void
interrupt_add(struct request *request)
{
	if (request->interrupted || request->cancelled)
		return;
	request->interrupted = true;
	request->round = request->driver->interrupt_round;
	TAILQ_INSERT_TAIL(&request->driver->interrupted, request, interrupted_link);
}

// To cancel one may end others: always the first of the list is taken, and put last when it has been looked at.
void
interrupt_look(struct driver *driver)
{
	struct timeval delay = {0, INTERRUPT_LOOK_MS * 1000};
	uint32_t round = ++driver->interrupt_round;
	struct request *request;

	while ((request = TAILQ_FIRST(&driver->interrupted)) != NULL && request->round != round) {
		request->round = round;
		TAILQ_REMOVE(&driver->interrupted, request, interrupted_link);
		if (is_being_killed(fuse_req_ctx(request->req)->pid)) {
			request->interrupted = false;
			request->cancelled = true;
			driver->callbacks.cancel(driver->arg, &request->io);
		} else {
			TAILQ_INSERT_TAIL(&driver->interrupted, request, interrupted_link);
		}
	}
	if (request != NULL && !evtimer_pending(driver->interrupt_timer, NULL))
		evtimer_add(driver->interrupt_timer, &delay);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct driver *driver = arg;

	interrupt_look(driver);
	driver->callbacks.batch_end(driver->arg);
}

void
interrupt_init(struct driver *driver)
{
	TAILQ_INIT(&driver->interrupted);
	driver->interrupt_timer = evtimer_new(driver->base, on_timer, driver);
	CHECK(driver->interrupt_timer != NULL);
}

void
interrupt_fini(struct driver *driver)
{
	event_free(driver->interrupt_timer);
}
