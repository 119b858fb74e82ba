// SPDX-License-Identifier: MIT
#include "driver_help.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/check.h"

const struct help_volume help_volumes[VOLUMES] = {
	{"small", 512, false, SIZE},
	{"page", 4096, false, SIZE},
	{"fixed", 4096, true, SIZE},
	{"odd", 512, false, SIZE + 512},
};

struct fixture *fix;

// The core's stand-in, on the loop.

static void
answer_block(struct fixture *f, struct io *io, uint64_t index)
{
	uint32_t size = help_volumes[io->volume].block_size;
	uint64_t block = io->offset / size + index;
	struct buf **slot = &f->blocks[io->volume][block];
	bool whole = io->offset <= block * size && io->offset + io->size >= (block + 1) * size;
	struct buf *buf;

	if (io->kind == IO_READ) {
		driver_io_read(f->driver, io, (uint32_t)index, *slot);
		return;
	}
	if (io->kind == IO_ZERO && whole) {
		buf_unref(*slot);
		*slot = buf_zero();
		return;
	}
	buf = buf_is_shared(*slot) ? buf_alloc(f->pools[io->volume]) : *slot;
	driver_io_fill(f->driver, io, (uint32_t)index, whole ? NULL : *slot, buf);
	if (buf != *slot) {
		buf_unref(*slot);
		*slot = buf;
	}
}

static void
answer(struct fixture *f, struct io *io, bool backwards)
{
	uint32_t size = help_volumes[io->volume].block_size;
	uint64_t count = io->size == 0 ? 0 : (io->offset + io->size - 1) / size - io->offset / size + 1;

	for (uint64_t i = 0; f->error == 0 && i < count; i++)
		answer_block(f, io, backwards ? count - 1 - i : i);
	driver_io_done(f->driver, io, (enum hvfs_error)(io->kind == IO_SYNC && f->sync_error != 0 ? f->sync_error : f->error));
}

static void
note_cpus(struct fixture *f)
{
	cpu_set_t set;
	int cpu = 0;

	CHECK(sched_getaffinity(0, sizeof(set), &set) == 0);
	while (!CPU_ISSET(cpu, &set))
		cpu++;
	f->cpu = cpu;
	f->cpus = CPU_COUNT(&set);
}

static void
on_submit(void *arg, struct io *io)
{
	struct fixture *f = arg;

	note_cpus(f);
	f->submits++;
	f->stream = io->stream;
	f->last_kind = (int)io->kind;
	if (io->kind == IO_SYNC)
		f->syncs++;
	if (io->kind == IO_ZERO)
		f->zeroes++;
	if (io->force_sync)
		f->forced++;
	if (io->kind != IO_ZERO && io->size > f->size_max)
		f->size_max = io->size;
	if (f->mode == ANSWER_NOW) {
		answer(f, io, false);
		return;
	}
	CHECK(f->held_count < HELD_MAX);
	f->held[f->held_count++] = io;
	if (f->mode == ANSWER_LATER)
		event_active(f->later, EV_TIMEOUT, 1);
	else
		sem_post(&f->submitted);
}

static void
on_later(evutil_socket_t fd, short what, void *arg)
{
	struct fixture *f = arg;

	while (f->held_count > 0)
		answer(f, f->held[--f->held_count], true);
}

void
help_answer_held(struct fixture *f)
{
	on_later(-1, 0, f);
}

static void
on_cancel(void *arg, struct io *io)
{
	struct fixture *f = arg;

	for (unsigned i = 0; i < f->held_count; i++) {
		if (f->held[i] != io)
			continue;
		f->held[i] = f->held[--f->held_count];
		driver_io_done(f->driver, io, ERR_CANCELLED);
		break;
	}
	f->cancels++;
	sem_post(&f->cancelled_sem);
}

static void
on_batch_end(void *arg)
{
}

static uint64_t
on_seek(void *arg, uint32_t volume, uint64_t offset, bool data)
{
	struct fixture *f = arg;
	uint32_t size = help_volumes[volume].block_size;
	uint64_t count = help_volumes[volume].size / size, block = offset / size;

	while (block < count && (f->blocks[volume][block] != buf_zero()) != data)
		block++;
	return block == offset / size ? offset : block * size;
}

static void
on_unmounted(void *arg)
{
	struct fixture *f = arg;

	f->unmounts++;
	sem_post(&f->unmounted_sem);
}

static void
on_detached(void *arg, const char *directory)
{
	struct fixture *f = arg;

	snprintf(f->detached, sizeof(f->detached), "%s", directory);
}

static const struct driver_callbacks callbacks = {.submit = on_submit,
						  .cancel = on_cancel,
						  .batch_end = on_batch_end,
						  .seek = on_seek,
						  .unmounted = on_unmounted,
						  .detached = on_detached};

// The loop's thread.

static void
on_command(evutil_socket_t fd, short what, void *arg)
{
	struct fixture *f = arg;
	help_command function;

	CHECK(read(fd, &function, sizeof(function)) == sizeof(function));
	function(f);
	sem_post(&f->command_done);
}

void
help_on_loop(help_command function)
{
	ck_assert_int_eq(write(fix->command[1], &function, sizeof(function)), sizeof(function));
	sem_wait(&fix->command_done);
}

static void *
run(void *arg)
{
	struct fixture *f = arg;

	event_base_dispatch(f->base);
	return NULL;
}

static void
command_stop(struct fixture *f)
{
	event_base_loopbreak(f->base);
}

void
help_stop(void)
{
	if (!fix->running)
		return;
	help_on_loop(command_stop);
	pthread_join(fix->thread, NULL);
	fix->running = false;
}

void
help_add_volume(uint32_t i)
{
	uint64_t count = help_volumes[i].size / help_volumes[i].block_size;

	fix->pools[i] = buf_pool_create(help_volumes[i].block_size);
	fix->blocks[i] = calloc(count, sizeof(struct buf *));
	for (uint64_t block = 0; block < count; block++)
		fix->blocks[i][block] = buf_zero();
	driver_add_volume(fix->driver, i, help_volumes[i].name, help_volumes[i].size, help_volumes[i].block_size,
			  help_volumes[i].read_only);
}

struct driver *
help_mount(struct event_base *base, const char *directory, char *error, size_t error_size)
{
	struct driver_options options = {.directory = directory};

	return driver_create(base, &options, &callbacks, fix, error, error_size);
}

void
help_setup(void)
{
	static struct event *command_event;
	char error[512];

	fix = calloc(1, sizeof(*fix));
	strcpy(fix->directory, "/tmp/hvfs-driver-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(fix->directory));
	sem_init(&fix->command_done, 0, 0);
	sem_init(&fix->submitted, 0, 0);
	sem_init(&fix->cancelled_sem, 0, 0);
	sem_init(&fix->unmounted_sem, 0, 0);
	fix->base = event_base_new();
	fix->driver = help_mount(fix->base, fix->directory, error, sizeof(error));
	ck_assert_msg(fix->driver != NULL, "%s", error);
	for (uint32_t i = 0; i + 1 < VOLUMES; i++)
		help_add_volume(i);
	ck_assert_int_eq(pipe(fix->command), 0);
	fix->later = event_new(fix->base, -1, 0, on_later, fix);
	command_event = event_new(fix->base, fix->command[0], EV_READ | EV_PERSIST, on_command, fix);
	event_add(command_event, NULL);
	pthread_create(&fix->thread, NULL, run, fix);
	fix->running = true;
}

void
help_teardown(void)
{
	help_stop();
	driver_destroy(fix->driver);
	ck_assert_int_eq(rmdir(fix->directory), 0);
	for (uint32_t i = 0; i < VOLUMES; i++) {
		uint64_t count = help_volumes[i].size / help_volumes[i].block_size;

		for (uint64_t block = 0; fix->blocks[i] != NULL && block < count; block++)
			buf_unref(fix->blocks[i][block]);
		if (fix->pools[i] != NULL) {
			ck_assert_uint_eq(buf_pool_used(fix->pools[i]), 0);
			buf_pool_destroy(fix->pools[i]);
		}
		free(fix->blocks[i]);
	}
}

const char *
help_path(const char *name)
{
	static _Thread_local char text[128];

	snprintf(text, sizeof(text), "%s/%s.img", fix->directory, name);
	return text;
}

int
help_open(const char *name, int flags)
{
	int fd = open(help_path(name), flags | O_CLOEXEC);

	ck_assert_msg(fd >= 0, "%s: %s", help_path(name), strerror(errno));
	return fd;
}

void *
help_page_memory(size_t size)
{
	void *memory;

	ck_assert_int_eq(posix_memalign(&memory, 4096, size), 0);
	return memory;
}

static uint32_t random_state = 12345;

uint32_t
help_random_below(uint32_t limit)
{
	random_state = random_state * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)random_state * limit >> 32);
}

void
help_random_fill(uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)help_random_below(256);
}

bool
help_can_mount(void)
{
	struct fixture none = {0};
	char directory[] = "/tmp/hvfs-driver-probe-XXXXXX", error[512] = "";
	struct event_base *base = event_base_new();
	struct driver *driver;
	bool skip;

	CHECK(mkdtemp(directory) != NULL);
	fix = &none;
	driver = help_mount(base, directory, error, sizeof(error));
	driver_destroy(driver);
	event_base_free(base);
	rmdir(directory);
	// Only what the machine denies is a reason to skip.
	skip = driver == NULL && (strstr(error, "/dev/fuse") || strstr(error, "ermi") || strstr(error, "fusermount3"));
	if (skip)
		printf("skipped: %s\n", error);
	return !skip;
}
