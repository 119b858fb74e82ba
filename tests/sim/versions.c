// SPDX-License-Identifier: MIT
#include "tests/sim/versions.h"

#include "core/check.h"

#include <stdlib.h>
#include <string.h>

static void
bytes_append(struct versions_bytes *to, const void *bytes, size_t size)
{
	to->bytes = realloc(to->bytes, to->size + size);
	CHECK(to->bytes != NULL);
	memcpy(to->bytes + to->size, bytes, size);
	to->size += size;
}

static void
bytes_copy(struct versions_bytes *to, const struct versions_bytes *from)
{
	to->size = 0;
	if (from->size > 0)
		bytes_append(to, from->bytes, from->size);
}

static void
make_durable(struct versions *versions)
{
	for (int i = 0; i < VERSION_LOG_FILES; i++)
		bytes_copy(&versions->durable[i], &versions->image[i]);
}

void
versions_fini(struct versions *versions)
{
	for (int i = 0; i < VERSION_LOG_FILES; i++) {
		free(versions->image[i].bytes);
		free(versions->durable[i].bytes);
	}
	free(versions->pending.bytes);
}

// What is pending, and a marker, go to the file.
static void
mark(struct versions *versions)
{
	uint8_t marker[VERSION_LOG_MARKER_SIZE];

	version_log_mark(&versions->log, marker);
	bytes_append(&versions->pending, marker, sizeof marker);
	bytes_append(&versions->image[versions->file], versions->pending.bytes, versions->pending.size);
	versions->pending.size = 0;
}

static void
begin(struct versions *versions, uint32_t epoch, bool follows)
{
	uint8_t header[VERSION_LOG_HEADER_SIZE];

	version_log_begin(&versions->log, versions->boot, epoch, follows, header);
	versions->file = 0;
	versions->image[0].size = versions->image[1].size = versions->pending.size = 0;
	bytes_append(&versions->image[0], header, sizeof header);
}

void
versions_begin(struct versions *versions, uint32_t epoch)
{
	versions->dead = false;
	versions->syncs = false;
	begin(versions, epoch, false);
	mark(versions);
	make_durable(versions);
}

void
versions_reopen(struct versions *versions, uint32_t epoch, struct stored_versions *ret)
{
	struct version_log_bytes in[VERSION_LOG_FILES];
	struct version_log_end end;

	versions->dead = false;
	versions->syncs = false;
	versions->pending.size = 0;
	for (int i = 0; i < VERSION_LOG_FILES; i++)
		in[i] = (struct version_log_bytes){versions->image[i].bytes, versions->image[i].size};
	if (version_log_read(in, versions->boot, epoch - 1, ret, &versions->log, &end)) {
		versions->file = end.file;
		versions->image[end.file].size = end.offset;
		versions->log.epoch = epoch;
	} else {
		begin(versions, epoch, true);
	}
	mark(versions);
	make_durable(versions);
}

void
versions_add(struct versions *versions, uint64_t block, version_t version)
{
	uint8_t record[VERSION_LOG_RECORD_SIZE];

	if (versions->dead)
		return;
	version_log_add(&versions->log, block, version, record);
	bytes_append(&versions->pending, record, sizeof record);
}

// The file is full: the other one's turn, right behind a marker.
static void
turn(struct versions *versions)
{
	uint8_t header[VERSION_LOG_HEADER_SIZE];

	version_log_turn(&versions->log, header);
	versions->file = 1 - versions->file;
	versions->image[versions->file].size = 0;
	bytes_append(&versions->image[versions->file], header, sizeof header);
}

void
versions_sync_begin(struct versions *versions)
{
	size_t size_max = versions->size_max > 0 ? versions->size_max : VERSION_LOG_FILE_SIZE_MAX;

	if (versions->dead)
		return;
	versions->syncs = true;
	versions->marker_file = versions->file;
	versions->batch_at = versions->image[versions->file].size;
	mark(versions);
	versions->marker_end = versions->image[versions->file].size;
	if (versions->marker_end >= size_max)
		turn(versions);
}

void
versions_sync_end(struct versions *versions)
{
	make_durable(versions);
	versions->syncs = false;
}

void
versions_lie(struct versions *versions)
{
	if (versions->dead)
		return;
	mark(versions);
	mark(versions);
	make_durable(versions);
}

// A part of what is in the files is on stable storage: all of a file that was begun anew, or none; a file that grows up
// to some byte.
static void
make_durable_partly(struct versions *versions, struct rng *rng)
{
	for (int i = 0; i < VERSION_LOG_FILES; i++) {
		const struct versions_bytes *image = &versions->image[i];
		struct versions_bytes *durable = &versions->durable[i];
		size_t cut = image->size;

		if (rng_chance(rng, 30))
			continue;
		if (durable->size <= image->size && durable->size > 0 &&
		    memcmp(durable->bytes, image->bytes, durable->size) == 0 && rng_chance(rng, 50))
			cut = rng_between(rng, durable->size, image->size);
		bytes_copy(durable, image);
		durable->size = cut;
	}
}

// What this sync covered was promised to nobody: its marker is made none. (When the process has ended meanwhile, who opens
// the storage next learns of the failure from a sync of his own, and does that.)
void
versions_sync_fail(struct versions *versions, struct rng *rng)
{
	struct versions_bytes *image = &versions->image[versions->marker_file];

	make_durable_partly(versions, rng);
	if (versions->syncs)
		memset(image->bytes + versions->marker_end - VERSION_LOG_MARKER_SIZE, 0, VERSION_LOG_MARKER_SIZE);
	versions->syncs = false;
	versions->dead = true;
}

void
versions_kill(struct versions *versions, struct rng *rng)
{
	versions->pending.size = 0;
	versions->dead = true;
	if (!versions->syncs || versions->marker_file != versions->file || rng_chance(rng, 50))
		return;
	versions->image[versions->file].size = rng_between(rng, versions->batch_at, versions->marker_end);
	versions->syncs = versions->image[versions->file].size == versions->marker_end;
}

void
versions_crash(struct versions *versions, struct rng *rng)
{
	make_durable_partly(versions, rng);
	for (int i = 0; i < VERSION_LOG_FILES; i++)
		bytes_copy(&versions->image[i], &versions->durable[i]);
	versions->pending.size = 0;
	versions->syncs = false;
	versions->dead = true;
	versions->boot++;
}
