// SPDX-License-Identifier: MIT
// A step: the core takes an event and says what to do; the actions are done in their order, then the next event. An
// event that arises while actions are done (a driver that submits from its own answer, a link closed on the core's
// word) waits in a ring, so steps never nest.
//
// What steps write is not flushed one by one: links and stores are marked, and flushed once all callbacks that were due
// in this turn of the loop have run. The batch event is activated behind them and so runs last; the driver, which knows
// where its batch ends, says so itself.
//
// The timer is a timerfd on the lease clock, since the loop's own timers do not count suspended time (protocol.md T1).
// It is only set when the core wants to be called earlier than it is set to: a call that comes early is harmless.
#include "node/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { QUEUE_SIZE_MIN = 64, HITS_MEASURED_ONE_IN = 8 };

moment_us
node_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (moment_us)now.tv_sec * 1000000 + (moment_us)now.tv_nsec / 1000;
}

// ---- Events that wait ----

static void
queue_push(struct event_queue *queue, const struct event *event)
{
	struct event *grown;

	if (queue->count == queue->capacity) {
		size_t capacity = queue->capacity == 0 ? QUEUE_SIZE_MIN : queue->capacity * 2;

		grown = malloc(capacity * sizeof(*grown));
		CHECK(grown != NULL);
		for (size_t i = 0; i < queue->count; i++)
			grown[i] = queue->events[(queue->head + i) % queue->capacity];
		free(queue->events);
		queue->events = grown;
		queue->head = 0;
		queue->capacity = capacity;
	}
	queue->events[(queue->head + queue->count++) % queue->capacity] = *event;
}

static bool
queue_pop(struct event_queue *queue, struct event *ret)
{
	if (queue->count == 0)
		return false;
	*ret = queue->events[queue->head];
	queue->head = (queue->head + 1) % queue->capacity;
	queue->count--;
	return true;
}

// ---- Actions ----

static void
answer_io(struct node *node, struct io *io, enum hvfs_error error, moment_us now)
{
	static const uint8_t kinds[] = {
		[IO_READ] = LATENCY_READ, [IO_WRITE] = LATENCY_WRITE, [IO_ZERO] = LATENCY_WRITE, [IO_SYNC] = LATENCY_FSYNC};

	if (control_io_done(node->control, io, error))
		return;
	if (node->cookies != NULL && cookies_io_done(node->cookies, io, error))
		return;
	latency_add(&node->volumes[io->volume].latencies[kinds[io->kind]], now - io->started);
	driver_io_done(node->driver, io, error);
}

void
node_answer_io(struct node *node, struct io *io, enum hvfs_error error)
{
	answer_io(node, io, error, node_now());
}

// When a request ends that needs no clock for anything else. A later step than its own begins when what it waited for has
// come. A hit ends within its step; reading the clock costs a good part of what a hit does, so one in some is measured
// and stands for the next.
static moment_us
end_of(struct node *node, const struct io *io)
{
	if (io->started != node->step_began)
		return node->step_began;
	if (node->hits_to_measure-- == 0) {
		node->hits_to_measure = HITS_MEASURED_ONE_IN - 1;
		node->hit_us = node_now() - io->started;
	}
	return io->started + node->hit_us;
}

static void
perform_io_done(struct node *node, const struct action *action)
{
	bool has_limit = action->valid_until != MOMENT_NEVER;
	moment_us now = has_limit ? node_now() : end_of(node, action->io);
	enum hvfs_error error = action->error;

	// T4: the process may have been stopped since the core looked at the clock.
	if (error == ERR_OK && has_limit && now >= action->valid_until)
		error = ERR_IO;
	if (error == ERR_OK && node->cookies != NULL && cookies_hold(node->cookies, action->io))
		return;
	if (error != ERR_LOST || !node_rescue_hold(node, action->io))
		answer_io(node, action->io, error, now);
}

static void
perform(struct node *node, const struct action *action)
{
	switch (action->type) {
	case ACTION_IO_READ:
		if (!control_reads(node->control, action->io))
			driver_io_read(node->driver, action->io, action->index, action->buf);
		break;
	case ACTION_IO_FILL:
		driver_io_fill(node->driver, action->io, action->index, action->old, action->buf);
		break;
	case ACTION_IO_DONE:
		perform_io_done(node, action);
		break;
	case ACTION_STORE_READ:
	case ACTION_STORE_WRITE:
	case ACTION_STORE_SYNC:
		node_store_perform(node, action);
		node->batch_due = true;
		break;
	case ACTION_EVICT:
		node_record_eviction(node, action);
		break;
	case ACTION_END_GRACE:
		node_record_grace_end(node, action);
		break;
	case ACTION_RESCUE:
		node_rescue(node, action);
		if (node->cookies != NULL)
			cookies_lost(node->cookies, action->volume, action->block);
		break;
	case ACTION_LOST:
		node_tell_lost(node, action);
		break;
	case ACTION_JOURNAL:
	case ACTION_JOURNAL_SYNC:
	case ACTION_JOURNAL_AUTHOR:
		node_journal_perform(node, action);
		break;
	case ACTION_VOLUME_READY:
		node_volume_ready(node, action->volume);
		break;
	case ACTION_VOLUME_FAILED:
		node_volume_failed(node, action);
		break;
	case ACTION_FORBIDDEN:
		node_access_forbidden(node, action);
		break;
	case ACTION_CLOSE:
		node_link_close(node, action->link, action->text);
		break;
	case ACTION_SEND:
		node_link_send(node, action);
		node->batch_due = true;
		break;
	case ACTION_STOPPED:
		node_stopped(node, action->error);
		break;
	}
}

static void
step(struct node *node, const struct event *event)
{
	node->step_began = node_now();
	core_step(node->core, node->step_began, event, node->actions);
	for (size_t i = 0; i < actions_count(node->actions); i++)
		perform(node, actions_get(node->actions, i));
	actions_reset(node->actions);
}

// An event that waits may not point to what its giver takes back.
static bool
event_may_wait(const struct event *event)
{
	return event->type == EVENT_IO || event->type == EVENT_IO_CANCEL || event->type == EVENT_LINK_DOWN ||
	       event->type == EVENT_LINK_UP || event->type == EVENT_RIGHTS || event->type == EVENT_DENIED || event->type == EVENT_STOP;
}

void
node_feed(struct node *node, const struct event *event)
{
	struct event next;

	if (node->left)
		return;
	if (node->stepping) {
		CHECK(event_may_wait(event));
		queue_push(&node->waiting, event);
		return;
	}
	node->stepping = true;
	step(node, event);
	while (queue_pop(&node->waiting, &next))
		step(node, &next);
	node->stepping = false;
	if (node->batch_due || core_deadline(node->core) < node->timer_armed)
		event_active(node->batch, EV_TIMEOUT, 1);
}

// ---- Batches and the timer ----

static void
timer_arm(struct node *node)
{
	moment_us deadline = core_deadline(node->core);
	struct itimerspec when = {.it_value.tv_sec = 0};

	if (deadline >= node->timer_armed)
		return;
	node->timer_armed = deadline;
	when.it_value.tv_sec = (time_t)(deadline / 1000000);
	when.it_value.tv_nsec = (long)(deadline % 1000000) * 1000 + 1; // never 0, which would mean off
	CHECK(timerfd_settime(node->timer_fd, TFD_TIMER_ABSTIME, &when, NULL) == 0);
}

void
node_end_batch(struct node *node)
{
	struct node_link *link;

	node->batch_due = false;
	while ((link = node->written) != NULL) {
		node->written = link->next_written;
		link->written = false;
		link_flush(link->link);
	}
	node_stores_kick(node);
	node_cache_disk_kick(node);
	node_journal_kick(node);
	if (node->rescue_due)
		node_rescue_write(node);
	if (!node->left && node->core != NULL)
		timer_arm(node);
}

static void
batch_over(evutil_socket_t fd, short what, void *arg)
{
	node_end_batch(arg);
}

static void
timer_fired(evutil_socket_t fd, short what, void *arg)
{
	struct node *node = arg;
	uint64_t count;

	if (read(fd, &count, sizeof(count)) < 0)
		return; // woken for nothing
	node->timer_armed = MOMENT_NEVER;
	if (node->parent != NULL && link_has_progressed(node->parent->link))
		node_feed(node, &(struct event){.type = EVENT_LINK_ALIVE, .link = node->parent->slot});
	node_feed(node, &(struct event){.type = EVENT_TIMER});
	event_active(node->batch, EV_TIMEOUT, 1);
}

int
node_perform_init(struct node *node)
{
	node->timer_armed = MOMENT_NEVER;
	node->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	if (node->timer_fd < 0)
		return -1;
	node->timer = event_new(node->base, node->timer_fd, EV_READ | EV_PERSIST, timer_fired, node);
	node->batch = event_new(node->base, -1, 0, batch_over, node);
	node->actions = actions_create();
	return node->timer != NULL && node->batch != NULL && event_add(node->timer, NULL) == 0 ? 0 : -1;
}

void
node_perform_fini(struct node *node)
{
	if (node->timer != NULL)
		event_free(node->timer);
	if (node->batch != NULL)
		event_free(node->batch);
	if (node->timer_fd >= 0)
		close(node->timer_fd);
	if (node->actions != NULL)
		actions_destroy(node->actions);
	free(node->waiting.events);
}
