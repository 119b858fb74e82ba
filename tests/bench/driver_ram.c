// SPDX-License-Identifier: MIT
// The driver alone: hvfs's FUSE side over an array of buffers in place of the core. Between the floor and this is
// what the driver costs; between this and `hvfs serve`, what the core costs.
//
//	driver_ram SIZE_MIB DIR [BLOCK_SIZE]     serves DIR/v.img in the foreground until it is unmounted or terminated
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/check.h"
#include "fuse/driver.h"

struct ram {
	struct driver *driver;
	struct event_base *base;
	struct buf **blocks;
	uint64_t size;
	uint32_t block_size;
};

static void
on_submit(void *arg, struct io *io)
{
	struct ram *ram = arg;
	uint64_t first = io->offset / ram->block_size;
	uint64_t count = io->size == 0 ? 0 : (io->offset + io->size - 1) / ram->block_size - first + 1;

	for (uint64_t i = 0; i < count; i++) {
		struct buf *block = ram->blocks[first + i];

		if (io->kind == IO_READ)
			driver_io_read(ram->driver, io, (uint32_t)i, block);
		else
			driver_io_fill(ram->driver, io, (uint32_t)i, block, block);
	}
	driver_io_done(ram->driver, io, ERR_OK);
}

static void
on_cancel(void *arg, struct io *io)
{
}

static void
on_batch_end(void *arg)
{
}

static uint64_t
on_seek(void *arg, uint32_t volume, uint64_t offset, bool data)
{
	struct ram *ram = arg;

	return data ? offset : ram->size;
}

static void
on_unmounted(void *arg)
{
	struct ram *ram = arg;

	event_base_loopbreak(ram->base);
}

static void
on_signal(evutil_socket_t fd, short what, void *arg)
{
	on_unmounted(arg);
}

static void
ram_fill(struct ram *ram, struct buf_pool *pool)
{
	uint64_t count = ram->size / ram->block_size;

	ram->blocks = calloc(count, sizeof(*ram->blocks));
	CHECK(ram->blocks != NULL);
	for (uint64_t i = 0; i < count; i++) {
		ram->blocks[i] = buf_alloc(pool);
		memset(buf_bytes(ram->blocks[i]), 0, ram->block_size);
	}
}

int
main(int argc, char **argv)
{
	static const struct driver_callbacks callbacks = {
		.submit = on_submit,
		.cancel = on_cancel,
		.batch_end = on_batch_end,
		.seek = on_seek,
		.unmounted = on_unmounted,
	};
	struct ram ram = {.base = event_base_new(), .block_size = 4096};
	struct driver_options options = {0};
	struct event *term, *interrupt;
	char error[512];

	if (argc < 3) {
		fprintf(stderr, "usage: driver_ram SIZE_MIB DIR [BLOCK_SIZE]\n");
		return 2;
	}
	ram.size = strtoull(argv[1], NULL, 10) << 20;
	options.directory = argv[2];
	if (argc > 3)
		ram.block_size = (uint32_t)strtoul(argv[3], NULL, 10);
	ram_fill(&ram, buf_pool_create(ram.block_size));
	ram.driver = driver_create(ram.base, &options, &callbacks, &ram, error, sizeof(error));
	if (ram.driver == NULL) {
		fprintf(stderr, "driver_ram: %s\n", error);
		return 1;
	}
	driver_add_volume(ram.driver, 0, "v", ram.size, ram.block_size, false);
	term = evsignal_new(ram.base, SIGTERM, on_signal, &ram);
	interrupt = evsignal_new(ram.base, SIGINT, on_signal, &ram);
	event_add(term, NULL);
	event_add(interrupt, NULL);
	event_base_dispatch(ram.base);
	driver_destroy(ram.driver);
	return 0;
}
