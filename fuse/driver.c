// SPDX-License-Identifier: MIT
// The FUSE session on the event loop.
//
// Cost per request decides the speed of a local hit, and at queue depth 1 one system call more is already some percent.
// So after a wake-up one request is read and answered, and only when the last batch had several (or now and then, to
// find out) reading goes on until the kernel has no more, at most DRIVER_BATCH. A client that keeps several requests
// under way asks the next within microseconds of an answer; to sleep and be woken costs both of us more than that. So
// then, and only then, a few more looks are taken first (measured at queue depth 32: a fifth more requests).
//
// Requests are read into buffers whose write payload begins on a page: the kernel copies page by page and would need
// twice the pieces otherwise. Libfuse reads as much as its own buffer would hold, a size it does not tell; the
// first buffer is therefore libfuse's, and its size is asked of malloc.
//
// What waits is bounded: beyond DRIVER_PENDING_MAX or DRIVER_PENDING_SIZE the fd is not watched until an answer leaves.
#include "fuse/internal.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fuse.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PAGE = 4096 };

struct receive *
driver_receive_take(struct driver *driver)
{
	struct receive *receive = LIST_FIRST(&driver->receive_spare);

	if (receive != NULL) {
		LIST_REMOVE(receive, link);
		driver->receive_spare_count--;
		return receive;
	}
	receive = calloc(1, sizeof(*receive));
	CHECK(receive != NULL);
	if (driver->receive_aligned) {
		size_t header = sizeof(struct fuse_in_header) + sizeof(struct fuse_write_in);

		CHECK(posix_memalign(&receive->memory, PAGE, driver->receive_size + PAGE) == 0);
		receive->buf.mem = (uint8_t *)receive->memory + PAGE - header;
	}
	return receive;
}

static void
receive_free(struct receive *receive)
{
	if (receive == NULL)
		return;
	free(receive->memory != NULL ? receive->memory : receive->buf.mem);
	free(receive);
}

void
driver_receive_return(struct driver *driver, struct receive *receive)
{
	if (driver->receive_spare_count == RECEIVE_SPARE_MAX) {
		receive_free(receive);
		return;
	}
	LIST_INSERT_HEAD(&driver->receive_spare, receive, link);
	driver->receive_spare_count++;
}

// The first request is in: from now on the buffers are ours. Libfuse 3.17 grows and replaces what it is given, so
// there they stay its own.
static void
receive_align(struct driver *driver)
{
	struct receive *first = driver->receive;

	if (driver->receive_aligned || first->buf.mem == NULL || fuse_version() >= 317)
		return;
	driver->receive_size = malloc_usable_size(first->buf.mem);
	driver->receive_aligned = true;
	driver->receive = driver_receive_take(driver);
	receive_free(first);
}

static bool
driver_is_full(const struct driver *driver)
{
	return driver->pending_count >= DRIVER_PENDING_MAX || driver->pending_size >= DRIVER_PENDING_SIZE;
}

void
driver_resume(struct driver *driver)
{
	if (driver->ended || driver_is_full(driver))
		return;
	driver->paused = false;
	event_add(driver->event, NULL);
}

// Read one request into driver->receive. False: there is none, or the session is over.
static bool
driver_receive(struct driver *driver)
{
	int result;

	do
		result = fuse_session_receive_buf(driver->session, &driver->receive->buf);
	while (result == -EINTR);
	if (result <= 0 && result != -EAGAIN)
		driver->ended = true;
	return result > 0;
}

static void
driver_process(struct driver *driver)
{
	fuse_session_process_buf(driver->session, &driver->receive->buf);
	if (!driver->receive_aligned)
		receive_align(driver);
	if (!TAILQ_EMPTY(&driver->interrupted))
		interrupt_look(driver);
}

// Whether the client that is asking now has asked something before that waits. The newest of those that wait tells: who
// keeps several under way is soon that one, and who waits beside him for long, as for a synchronisation, is not.
static bool
client_waits(const struct driver *driver)
{
	const struct request *newest = TAILQ_LAST(&driver->pending, request_list);

	return newest != NULL && fuse_req_ctx(newest->req)->pid == driver->placement.client;
}

// Look for a second request before the one in driver->receive is processed; then process both.
static unsigned
driver_process_looking(struct driver *driver)
{
	struct receive *first = driver->receive, *second = driver_receive_take(driver);
	bool found;

	driver->receive = second;
	found = driver_receive(driver);
	placement_alone(&driver->placement, !found && !client_waits(driver));
	driver->receive = first;
	driver_process(driver);
	if (found) {
		driver_receive_return(driver, driver->receive);
		driver->receive = second;
		driver_process(driver);
	} else {
		driver_receive_return(driver, second);
	}
	return found ? 2 : 1;
}

// Read and start a request. Returns how many (two, rarely), 0: there is none, or the session is over.
static unsigned
driver_step(struct driver *driver)
{
	const struct fuse_in_header *header;

	if (!driver_receive(driver))
		return 0;
	header = driver->receive->buf.mem;
	if ((header->opcode == FUSE_READ || header->opcode == FUSE_WRITE) &&
	    placement_note(&driver->placement, (pid_t)header->pid))
		return driver_process_looking(driver);
	driver_process(driver);
	return 1;
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct driver *driver = arg;
	bool probe = driver->several || ++driver->single_count >= DRIVER_PROBE_PERIOD;
	unsigned limit = probe ? DRIVER_BATCH : 1, count = 0, looks = 0, more;

	while (count < limit && !driver->ended) {
		more = driver_step(driver);
		if (more == 0 && (!driver->several || looks == DRIVER_LOOKS))
			break;
		if (more == 0) {
			if (looks++ == 0)
				driver->callbacks.batch_end(driver->arg);
			continue;
		}
		looks = 0;
		count += more;
		if (driver_is_full(driver)) {
			driver->paused = true;
			event_del(driver->event);
			break;
		}
	}
	driver->several = count > 1;
	if (probe)
		driver->single_count = 0;
	driver->callbacks.batch_end(driver->arg);
	if (driver->ended) {
		event_del(driver->event);
		driver->callbacks.unmounted(driver->arg); // may destroy the driver: last
	}
}

static void
op_init(void *arg, struct fuse_conn_info *conn)
{
	if (conn->max_write > LIMIT_IO_SIZE)
		conn->max_write = LIMIT_IO_SIZE;
	if (conn->max_readahead > LIMIT_IO_SIZE)
		conn->max_readahead = LIMIT_IO_SIZE;
	conn->max_background = DRIVER_BACKGROUND;
	conn->congestion_threshold = DRIVER_BACKGROUND * 3 / 4;
	// Truncation takes time and may be refused, so it must come as a request of its own; no page cache, so no
	// caching of writes.
	conn->want &= ~(unsigned)(FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_WRITEBACK_CACHE | FUSE_CAP_SPLICE_READ);
	conn->want |= conn->capable & (FUSE_CAP_ASYNC_DIO | FUSE_CAP_ASYNC_READ);
}

// Libfuse's session with our operations, not yet mounted.
static struct fuse_session *
session_create(struct driver *driver)
{
	struct fuse_lowlevel_ops ops = {.init = op_init};
	const char *source = driver->options.source;
	char options[PATH_MAX + 160];
	char *argv[] = {(char *)"hvfs", (char *)"-o", options, NULL};
	struct fuse_args args = FUSE_ARGS_INIT(3, argv);
	struct fuse_session *session;

	if (source == NULL || strlen(source) >= PATH_MAX || strpbrk(source, ",\\") != NULL)
		source = "hvfs"; // options would have to be escaped, once or twice
	snprintf(options, sizeof(options), "fsname=%s,subtype=hvfs,default_permissions,nodev,nosuid%s", source,
		 driver->options.allow_other  ? ",allow_other"
		 : driver->options.allow_root ? ",allow_root"
					      : "");
	files_set_ops(&ops);
	ops_set(&ops);
	session = fuse_session_new(&args, &ops, sizeof(ops), driver);
	fuse_opt_free_args(&args);
	return session;
}

// Mount and make the fd ready for the loop. False and a sentence.
static bool
driver_mount(struct driver *driver, const char *path, char *error, size_t error_size)
{
	char text[256];
	int fd, flags;

	mount_capture_log(text, sizeof(text));
	driver->session = session_create(driver);
	driver->mounted = driver->session != NULL && fuse_session_mount(driver->session, path) == 0;
	mount_capture_log(NULL, 0);
	if (!driver->mounted) {
		snprintf(error, error_size, "cannot mount on '%s': %s", path,
			 text[0] != '\0'  ? text
			 : geteuid() == 0 ? "libfuse gave no reason"
					  : "fusermount3 refused, or is missing (package fuse3)");
		return false;
	}
	fd = fuse_session_fd(driver->session);
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) {
		snprintf(error, error_size, "cannot mount on '%s': making its descriptor non-blocking: %s", path,
			 strerror(errno));
		return false;
	}
	driver->event = event_new(driver->base, fd, EV_READ | EV_PERSIST, on_readable, driver);
	CHECK(driver->event != NULL);
	CHECK(event_add(driver->event, NULL) == 0);
	return true;
}

struct driver *
driver_create(struct event_base *base, const struct driver_options *options, const struct driver_callbacks *callbacks,
	      void *arg, char *error, size_t error_size)
{
	struct driver *driver;
	bool ok, detached;
	char *path = mount_check(options, &detached, error, error_size);

	if (path == NULL)
		return NULL;
	if (detached && callbacks->detached != NULL)
		callbacks->detached(arg, path);
	driver = calloc(1, sizeof(*driver));
	CHECK(driver != NULL);
	driver->base = base;
	driver->options = *options;
	driver->options.directory = NULL;
	driver->path = path;
	driver->callbacks = *callbacks;
	driver->arg = arg;
	LIST_INIT(&driver->openers);
	LIST_INIT(&driver->receive_spare);
	LIST_INIT(&driver->tables);
	TAILQ_INIT(&driver->pending);
	TAILQ_INIT(&driver->spare);
	TAILQ_INIT(&driver->abandoned);
	files_init(driver);
	placement_init(&driver->placement, base);
	interrupt_init(driver);
	driver->receive = driver_receive_take(driver);
	ok = driver_mount(driver, path, error, error_size);
	driver->options.source = NULL;
	if (!ok) {
		driver_destroy(driver);
		return NULL;
	}
	return driver;
}

const char *
driver_directory(const struct driver *driver)
{
	return driver->path;
}

size_t
driver_pending(const struct driver *driver)
{
	return driver->pending_count;
}

static void
free_lists(struct driver *driver)
{
	struct receive *receive;
	struct opener *opener;

	request_free_spares(driver);
	while ((receive = LIST_FIRST(&driver->receive_spare)) != NULL) {
		LIST_REMOVE(receive, link);
		receive_free(receive);
	}
	receive_free(driver->receive);
	while ((opener = LIST_FIRST(&driver->openers)) != NULL) {
		LIST_REMOVE(opener, link);
		free(opener);
	}
	free(driver->gather);
	free(driver->path);
}

void
driver_destroy(struct driver *driver)
{
	char text[256];

	if (driver == NULL)
		return;
	CHECK(driver->submitting == NULL);
	driver->ended = true;
	request_fail_all(driver, EIO);
	placement_fini(&driver->placement);
	interrupt_fini(driver);
	if (driver->event != NULL)
		event_free(driver->event);
	if (driver->mounted && driver->options.unmount != NULL)
		driver->options.unmount(driver->options.unmount_arg);
	// Closes the fd first, which answers what the kernel has still queued, then detaches: lazily, so also when
	// busy. If that was done for us, its complaint is none.
	if (driver->options.unmount != NULL)
		mount_capture_log(text, sizeof(text));
	if (driver->mounted)
		fuse_session_unmount(driver->session);
	mount_capture_log(NULL, 0);
	if (driver->session != NULL)
		fuse_session_destroy(driver->session);
	free_lists(driver);
	free(driver);
}
