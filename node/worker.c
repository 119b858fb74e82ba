// SPDX-License-Identifier: MIT
// One mutex guards two lists: what waits for the thread, and what it has run. An eventfd tells the loop of the second,
// when there is something in it that was not. Nobody is woken while the mutex is held, for he would only wait for that.
// When the system gives no thread, the loop does the work itself: slow, but right.
#include "node/worker.h"

#include "core/check.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct task_list {
	struct task *first, *last;
};

struct worker {
	int event_fd;
	struct event *readable;
	size_t running; // submitted, not yet done
	bool started;
	pthread_t thread;

	pthread_mutex_t lock; // guards what follows
	pthread_cond_t changed;
	struct task_list waiting, ended;
	bool stopping;
};

static void
append(struct task_list *list, struct task *task)
{
	task->next = NULL;
	if (list->first == NULL)
		list->first = task;
	else
		list->last->next = task;
	list->last = task;
}

static struct task *
take(struct task_list *list)
{
	struct task *task = list->first;

	if (task != NULL)
		list->first = task->next;
	return task;
}

static void
end(struct worker *worker, struct task *task)
{
	const uint64_t one = 1;
	bool was_empty;

	pthread_mutex_lock(&worker->lock);
	was_empty = worker->ended.first == NULL;
	append(&worker->ended, task);
	pthread_mutex_unlock(&worker->lock);
	if (was_empty)
		(void)!write(worker->event_fd, &one,
			     sizeof(one)); // fails only when the counter is full: then it is readable
}

// The next task; NULL: there will be none.
static struct task *
wait_for_task(struct worker *worker)
{
	struct task *task;

	pthread_mutex_lock(&worker->lock);
	while ((task = take(&worker->waiting)) == NULL && !worker->stopping)
		pthread_cond_wait(&worker->changed, &worker->lock);
	pthread_mutex_unlock(&worker->lock);
	return task;
}

static void *
work(void *arg)
{
	struct worker *worker = arg;
	struct task *task;

	while ((task = wait_for_task(worker)) != NULL) {
		task->run(task);
		end(worker, task);
	}
	return NULL;
}

static bool
start(struct worker *worker)
{
	sigset_t all, before;

	if (worker->started)
		return true;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before); // signals are the loop's
	worker->started = pthread_create(&worker->thread, NULL, work, worker) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return worker->started;
}

void
worker_submit(struct worker *worker, struct task *task)
{
	bool has_thread = start(worker);

	worker->running++;
	if (!has_thread) {
		task->run(task);
		end(worker, task);
		return;
	}
	pthread_mutex_lock(&worker->lock);
	append(&worker->waiting, task);
	pthread_mutex_unlock(&worker->lock);
	pthread_cond_signal(&worker->changed);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct worker *worker = arg;
	struct task_list ended;
	struct task *task;
	uint64_t count;

	// First the event, then the list: what ends between them leaves the descriptor readable. It does not block.
	(void)!read(worker->event_fd, &count, sizeof(count));
	pthread_mutex_lock(&worker->lock);
	ended = worker->ended;
	worker->ended = (struct task_list){0};
	pthread_mutex_unlock(&worker->lock);
	while ((task = take(&ended)) != NULL) {
		worker->running--;
		task->done(task);
	}
}

struct worker *
worker_create(struct event_base *base)
{
	struct worker *worker = calloc(1, sizeof(*worker));

	CHECK(worker != NULL);
	pthread_mutex_init(&worker->lock, NULL);
	pthread_cond_init(&worker->changed, NULL);
	worker->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (worker->event_fd >= 0)
		worker->readable = event_new(base, worker->event_fd, EV_READ | EV_PERSIST, on_readable, worker);
	if (worker->readable != NULL && event_add(worker->readable, NULL) == 0)
		return worker;
	worker_destroy(worker);
	return NULL;
}

bool
worker_is_busy(const struct worker *worker)
{
	return worker != NULL && worker->running > 0;
}

// The thread ends when it has run what waits.
static void
stop(struct worker *worker)
{
	if (!worker->started)
		return;
	pthread_mutex_lock(&worker->lock);
	worker->stopping = true;
	pthread_mutex_unlock(&worker->lock);
	pthread_cond_signal(&worker->changed);
	pthread_join(worker->thread, NULL);
	worker->started = worker->stopping = false;
}

void
worker_finish(struct worker *worker)
{
	stop(worker);
	on_readable(-1, 0, worker);
	CHECK(worker->running == 0);
}

void
worker_destroy(struct worker *worker)
{
	if (worker == NULL)
		return;
	CHECK(worker->running == 0);
	stop(worker);
	if (worker->readable != NULL)
		event_free(worker->readable);
	if (worker->event_fd >= 0)
		close(worker->event_fd);
	pthread_cond_destroy(&worker->changed);
	pthread_mutex_destroy(&worker->lock);
	free(worker);
}
