// SPDX-License-Identifier: MIT
// The engine that works everywhere: a few threads that do blocking calls. One mutex guards two lists: what waits for a
// thread, and what has ended and waits for the loop. The ios link themselves, so neither list needs memory. An eventfd
// tells the loop when the second list stops being empty.
//
// The threads start with the first io, after a daemon has forked. When the system gives none at all, the loop does the
// work itself: slow, but right.
#include "core/check.h"
#include "store/file.h"
#include "store/transfer.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { THREADS = 4 };

struct pool {
	struct file_store *file;
	int event_fd;
	pthread_t threads[THREADS];
	int thread_count;
	bool started;
	struct io_list pushed;  // the loop's: since the last kick

	pthread_mutex_t lock;   // guards what follows
	pthread_cond_t work;    // waiting or stopping has changed
	struct io_list waiting;
	struct io_list ended;   // io->progress: the errno value
	bool stopping;
};

static struct pool *
pool_of(struct file_store *file)
{
	return file->engine_state;
}

static void
pool_wake(struct pool *pool)
{
	const uint64_t one = 1;

	// Fails only when the counter is full: then it is readable.
	(void)!write(pool->event_fd, &one, sizeof(one));
}

static int
run(struct pool *pool, struct store_io *io)
{
	struct transfer transfer;
	int sys_errno;

	transfer_begin(&transfer, io, &pool->file->zero_way_known);
	while (!transfer_advance(&transfer, transfer_perform(&transfer, io->fd), &sys_errno))
		;
	return sys_errno;
}

static void
append_list(struct io_list *to, struct io_list *from)
{
	if (from->first == NULL)
		return;
	if (to->first == NULL)
		to->first = from->first;
	else
		to->last->next = from->first;
	to->last = from->last;
	from->first = NULL;
}

static void *
work(void *arg)
{
	struct pool *pool = arg;
	struct store_io *io;

	pthread_mutex_lock(&pool->lock);
	for (;;) {
		while ((io = io_list_take(&pool->waiting)) == NULL && !pool->stopping)
			pthread_cond_wait(&pool->work, &pool->lock);
		if (io == NULL)
			break;
		pthread_mutex_unlock(&pool->lock);
		int sys_errno = run(pool, io);
		pthread_mutex_lock(&pool->lock);
		io->progress = (uint64_t)sys_errno;
		if (pool->ended.first == NULL)
			pool_wake(pool);
		io_list_append(&pool->ended, io);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

static void
start_threads(struct pool *pool)
{
	sigset_t all, before;

	pool->started = true;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before); // signals are the loop's
	while (pool->thread_count < THREADS &&
	       pthread_create(&pool->threads[pool->thread_count], NULL, work, pool) == 0)
		pool->thread_count++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static int
threads_start(struct file_store *file)
{
	struct pool *pool = calloc(1, sizeof(*pool));

	if (pool == NULL)
		return ENOMEM;
	pool->file = file;
	pool->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (pool->event_fd < 0) {
		int sys_errno = errno;

		free(pool);
		return sys_errno;
	}
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->work, NULL);
	file->engine_state = pool;
	return 0;
}

static void
threads_stop(struct file_store *file)
{
	struct pool *pool = pool_of(file);

	pthread_mutex_lock(&pool->lock);
	pool->stopping = true;
	pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	for (int i = 0; i < pool->thread_count; i++)
		pthread_join(pool->threads[i], NULL);
	pthread_cond_destroy(&pool->work);
	pthread_mutex_destroy(&pool->lock);
	close(pool->event_fd);
	free(pool);
}

static int
threads_poll_fd(struct file_store *file)
{
	return pool_of(file)->event_fd;
}

static void
threads_push(struct file_store *file, struct store_io *io)
{
	io_list_append(&pool_of(file)->pushed, io);
}

static void
run_without_threads(struct pool *pool)
{
	struct store_io *io;

	while ((io = io_list_take(&pool->pushed)) != NULL) {
		int sys_errno = run(pool, io);

		io->progress = (uint64_t)sys_errno;
		io_list_append(&pool->ended, io);
	}
	pool_wake(pool);
}

static void
threads_kick(struct file_store *file)
{
	struct pool *pool = pool_of(file);
	bool several = pool->pushed.first != NULL && pool->pushed.first->next != NULL;

	if (pool->pushed.first == NULL)
		return;
	if (!pool->started)
		start_threads(pool);
	if (pool->thread_count == 0) {
		run_without_threads(pool);
		return;
	}
	pthread_mutex_lock(&pool->lock);
	append_list(&pool->waiting, &pool->pushed);
	if (several)
		pthread_cond_broadcast(&pool->work);
	else
		pthread_cond_signal(&pool->work);
	pthread_mutex_unlock(&pool->lock);
}

static void
threads_wake(struct file_store *file)
{
	pool_wake(pool_of(file));
}

static void
threads_reap(struct file_store *file)
{
	struct pool *pool = pool_of(file);
	struct io_list ended;
	struct store_io *io;
	uint64_t count;

	// First the event, then the list: what ends between them leaves the fd readable.
	(void)!read(pool->event_fd, &count, sizeof(count));
	pthread_mutex_lock(&pool->lock);
	ended = pool->ended;
	pool->ended = (struct io_list){0};
	pthread_mutex_unlock(&pool->lock);
	while ((io = io_list_take(&ended)) != NULL)
		file_io_ended(file, io, (int)io->progress);
}

const struct engine engine_threads = {
	.name = "threads",
	.start = threads_start,
	.stop = threads_stop,
	.poll_fd = threads_poll_fd,
	.push = threads_push,
	.kick = threads_kick,
	.wake = threads_wake,
	.reap = threads_reap,
};
