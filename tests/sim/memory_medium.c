// SPDX-License-Identifier: MIT
#include "tests/sim/memory_medium.h"

#include "core/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void
memory_medium_init(struct memory_medium *medium, uint64_t size, uint64_t size_max)
{
	*medium = (struct memory_medium){.size = size, .size_max = size_max, .bytes = calloc(1, size_max)};
	CHECK(medium->bytes != NULL && size <= size_max);
}

void
memory_medium_fini(struct memory_medium *medium)
{
	free(medium->bytes);
	free(medium->pending);
}

static void
check_io(const struct memory_medium *medium, const struct medium_io *io)
{
	CHECK(io->offset % MEDIUM_ALIGN == 0 && io->size % MEDIUM_ALIGN == 0 && io->size > 0);
	CHECK((uintptr_t)io->bytes % MEDIUM_ALIGN == 0);
	CHECK(io->offset <= medium->size && io->size <= medium->size - io->offset);
}

static void
medium_submit(void *self, struct medium_io *io)
{
	struct memory_medium *medium = self;

	check_io(medium, io);
	if (medium->pending_count == medium->pending_capacity) {
		medium->pending_capacity = medium->pending_capacity * 2 + 16;
		medium->pending =
			realloc(medium->pending, medium->pending_capacity * sizeof(struct medium_io *));
		CHECK(medium->pending != NULL);
	}
	medium->pending[medium->pending_count++] = io;
	if (medium->submitted != NULL)
		medium->submitted(medium->arg, io);
}

static int
medium_perform(void *self, struct medium_io *io)
{
	struct memory_medium *medium = self;
	int sys_errno = io->write ? medium->write_errno : medium->read_errno;

	check_io(medium, io);
	if (sys_errno != 0)
		return sys_errno;
	if (io->write)
		memcpy(medium->bytes + io->offset, io->bytes, io->size);
	else
		memcpy(io->bytes, medium->bytes + io->offset, io->size);
	*(io->write ? &medium->writes : &medium->reads) += 1;
	return 0;
}

static int
medium_grow(void *self, uint64_t size)
{
	struct memory_medium *medium = self;

	if (size > medium->size_max)
		return ENOSPC;
	if (size > medium->size)
		medium->size = size;
	return 0;
}

static uint64_t
medium_size(void *self)
{
	return ((struct memory_medium *)self)->size;
}

static const struct medium_ops ops = {
	.submit = medium_submit,
	.perform = medium_perform,
	.grow = medium_grow,
	.size = medium_size,
};

struct medium
memory_medium(struct memory_medium *medium)
{
	return (struct medium){.ops = &ops, .self = medium};
}

bool
memory_medium_end(struct memory_medium *medium, struct medium_io *io)
{
	for (size_t i = 0; i < medium->pending_count; i++)
		if (medium->pending[i] == io) {
			medium->pending[i] = medium->pending[--medium->pending_count];
			io->done(io, medium_perform(medium, io));
			return true;
		}
	return false;
}

void
memory_medium_end_all(struct memory_medium *medium)
{
	while (medium->pending_count > 0)
		memory_medium_end(medium, medium->pending[0]);
}

void
memory_medium_crash(struct memory_medium *medium, bool (*sector)(void *arg), void *arg)
{
	for (size_t i = 0; i < medium->pending_count; i++) {
		const struct medium_io *io = medium->pending[i];

		for (size_t at = 0; io->write && at < io->size; at += MEDIUM_ALIGN)
			if (sector(arg))
				memcpy(medium->bytes + io->offset + at, io->bytes + at, MEDIUM_ALIGN);
	}
	medium->pending_count = 0;
}
