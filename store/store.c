// SPDX-License-Identifier: MIT
// Opening a store: first what can be wrong with it, each with a sentence of its own, and only then what changes it.
#include "store/store.h"

#include "store/file.h"
#include "store/lock.h"
#include "store/metadata.h"
#include "store/place.h"

#include "core/check.h"
#include "core/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DYING_MS = 3000 }; // that a lock is waited for which nobody has

struct opening {
	const char *spec;
	bool read_only;
	char *error;
	size_t error_size;

	int fd;
	struct stat status;
	char metadata_path[PATH_MAX];
	struct metadata metadata;
	bool was_clean;
	struct version_file *versions;
	struct stored_versions stored;
};

__attribute__((format(printf, 2, 3))) static int
fail(struct opening *opening, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(opening->error, opening->error_size, format, args);
	va_end(args);
	return -1;
}

static int
open_storage(struct opening *opening)
{
	const char *spec = opening->spec;
	int flags = (opening->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC;

	if (stat(spec, &opening->status) < 0 && errno == ENOENT)
		return fail(opening, "%s does not exist: make it with hvfs create", spec);
	if (stat(spec, &opening->status) < 0)
		return fail(opening, "cannot look at %s: %s", spec, strerror(errno));
	if (!S_ISREG(opening->status.st_mode) && !S_ISBLK(opening->status.st_mode))
		return fail(opening, "%s is neither a file nor a block device", spec);
	if (S_ISBLK(opening->status.st_mode) && !opening->read_only)
		flags |= O_EXCL; // refused while the device is mounted
	opening->fd = open(spec, flags);
	if (opening->fd < 0 && errno == EBUSY)
		return fail(opening, "%s is in use by this system (mounted, or part of another device) or another root", spec);
	if (opening->fd < 0)
		return fail(opening, "cannot open %s for %s: %s", spec, opening->read_only ? "reading" : "writing",
			strerror(errno));
	return 0;
}

// A root that was killed has gone before what it had under way in a ring has ended, and its lock with that.
static int
lock_storage(struct opening *opening)
{
	int sys_errno = lock_take(opening->fd, opening->read_only);
	pid_t holder;

	if (sys_errno == 0)
		return 0;
	if (sys_errno != EAGAIN)
		return fail(opening, "cannot lock %s: %s", opening->spec, strerror(sys_errno));
	holder = lock_find_holder(opening->fd);
	if (holder == 0 && lock_take_within(opening->fd, opening->read_only, DYING_MS) == 0)
		return 0;
	if (holder == 0)
		return fail(opening, "%s is in use by another root", opening->spec);
	return fail(opening, "%s is in use by another root (pid %ld)", opening->spec, (long)holder);
}

static int
read_metadata(struct opening *opening)
{
	const char *path = opening->metadata_path;
	int sys_errno = place_find_metadata(opening->spec, &opening->status, opening->metadata_path);

	if (sys_errno != 0)
		return fail(opening, "%s: cannot tell where its metadata is: %s", opening->spec, strerror(sys_errno));
	sys_errno = metadata_read(path, &opening->metadata);
	if (sys_errno == ENOENT)
		return fail(opening, "%s is no hvfs store (there is no %s): make one with hvfs create", opening->spec, path);
	if (sys_errno == EBADMSG)
		return fail(opening, "%s: its metadata %s is damaged", opening->spec, path);
	if (sys_errno != 0)
		return fail(opening, "%s: cannot read its metadata %s: %s", opening->spec, path, strerror(sys_errno));
	return 0;
}

// A volume that lost its end must not be served at all: reads there would fail one by one, and writes would hide it.
static int
check_size(struct opening *opening)
{
	uint64_t there, wanted = opening->metadata.size;
	int sys_errno;

	if (fstat(opening->fd, &opening->status) < 0)
		return fail(opening, "cannot look at %s: %s", opening->spec, strerror(errno));
	sys_errno = place_find_size(opening->fd, &opening->status, &there);
	if (sys_errno != 0)
		return fail(opening, "%s: cannot tell its size: %s", opening->spec, strerror(sys_errno));
	if (there < wanted)
		return fail(opening, "%s is truncated: it has %" PRIu64 " bytes, its volume has %" PRIu64 " (%s)", opening->spec,
			there, wanted, opening->metadata_path);
	if (there > wanted && S_ISREG(opening->status.st_mode))
		return fail(opening, "%s has grown: it has %" PRIu64 " bytes, its volume has %" PRIu64 " (%s)", opening->spec,
			there, wanted, opening->metadata_path);
	return 0;
}

// What a root that died has left in the system's memory has to last before anybody counts on it: its version log says that
// it is there.
static int
sync_storage(struct opening *opening)
{
	int sys_errno;

	if (opening->was_clean || fdatasync(opening->fd) == 0)
		return 0;
	sys_errno = errno;
	version_file_remove(opening->metadata_path); // it does not say the truth
	return fail(opening, "%s can not be synced: %s; what was written last may be lost", opening->spec,
		    strerror(sys_errno));
}

static int
open_versions(struct opening *opening)
{
	const struct metadata *metadata = &opening->metadata;
	int sys_errno;

	if (sync_storage(opening) < 0)
		return -1;
	opening->versions = version_file_open(opening->metadata_path, opening->was_clean, metadata->epoch,
					      metadata->epoch + 1, &opening->stored, &sys_errno);
	if (opening->versions == NULL)
		return fail(opening, "%s: cannot begin its version log beside %s: %s", opening->spec,
			    opening->metadata_path, strerror(sys_errno));
	return 0;
}

// From here on no version that an earlier root gave can come again (protocol.md R11), and whoever opens it next knows that
// somebody was here, until store_set_clean.
static int
begin_epoch(struct opening *opening)
{
	int sys_errno;

	opening->was_clean = opening->metadata.clean || opening->metadata.hb_ttl_ms == 0; // no lease: nobody holds anything
	if (opening->read_only) {
		if (opening->metadata.epoch == 0)
			opening->metadata.epoch = 1;
		return 0;
	}
	if (opening->metadata.epoch >= METADATA_EPOCH_MAX)
		return fail(opening, "%s was opened %" PRIu32 " times: its epochs are used up", opening->spec,
			opening->metadata.epoch);
	if (open_versions(opening) < 0)
		return -1;
	opening->metadata.epoch++;
	opening->metadata.clean = false;
	if (opening->was_clean) { // there is no grace time
		opening->metadata.claims_since = opening->metadata.epoch;
		opening->metadata.reclaim_count = 0;
	}
	sys_errno = metadata_write(opening->metadata_path, &opening->metadata);
	if (sys_errno != 0)
		return fail(opening, "%s: cannot write its metadata %s: %s", opening->spec, opening->metadata_path,
			strerror(sys_errno));
	return 0;
}

static struct store *
start(struct opening *opening)
{
	struct file_store *file = file_store_create(opening->spec, opening->fd, opening->error, opening->error_size);

	if (file == NULL)
		return NULL;
	file->read_only = opening->read_only;
	file->is_device = S_ISBLK(opening->status.st_mode);
	memcpy(file->metadata_path, opening->metadata_path, sizeof(file->metadata_path));
	file->metadata = opening->metadata;
	file->store.size = opening->metadata.size;
	file->store.block_size = opening->metadata.block_size;
	file->store.epoch = opening->metadata.epoch;
	file->store.clean_before = opening->was_clean;
	file->store.hb_ttl_before_ms = opening->metadata.hb_ttl_ms;
	file->store.evictions = opening->metadata.evictions;
	file->store.eviction_count = opening->metadata.eviction_count;
	file->store.claims_since = opening->metadata.claims_since;
	file->store.reclaims = opening->metadata.reclaims;
	file->store.reclaim_count = opening->metadata.reclaim_count;
	file->versions = opening->versions;
	file->stored = opening->stored;
	file->store.versions = &file->stored;
	return &file->store;
}

struct store *
store_open(const char *spec, bool read_only, char *error, size_t error_size)
{
	struct opening opening = {.spec = spec, .read_only = read_only, .error = error, .error_size = error_size, .fd = -1};
	struct store *store = NULL;

	if (open_storage(&opening) == 0 && lock_storage(&opening) == 0 && read_metadata(&opening) == 0 &&
		check_size(&opening) == 0 && begin_epoch(&opening) == 0)
		store = start(&opening);
	if (store == NULL) {
		version_file_close(opening.versions);
		version_log_free(&opening.stored);
		metadata_fini(&opening.metadata);
		if (opening.fd >= 0)
			close(opening.fd);
	}
	return store;
}

// Make ${metadata} what is on the disk. Its arrays are those of ${file}.
static int
change(struct file_store *file, const struct metadata *metadata)
{
	int sys_errno = metadata_write(file->metadata_path, metadata);

	if (sys_errno == 0)
		file->metadata = *metadata;
	return sys_errno;
}

static int
explain(const struct file_store *file, int sys_errno, char *error, size_t error_size)
{
	if (sys_errno == 0)
		return 0;
	snprintf(error, error_size, "cannot write %s: %s", file->metadata_path, strerror(sys_errno));
	return -1;
}

int
store_raise_epoch(struct store *store, uint32_t epoch, char *error, size_t error_size)
{
	struct file_store *file = (struct file_store *)store;
	struct metadata metadata = file->metadata;
	int sys_errno = 0;

	CHECK(epoch >= store->epoch && epoch <= METADATA_EPOCH_MAX);
	metadata.epoch = epoch;
	if (!file->read_only && epoch > store->epoch)
		sys_errno = version_file_set_epoch(file->versions, epoch);
	if (sys_errno == 0 && !file->read_only && epoch > store->epoch)
		sys_errno = change(file, &metadata);
	if (sys_errno == 0)
		store->epoch = epoch;
	return explain(file, sys_errno, error, error_size);
}

void
store_forget_versions(struct store *store)
{
	version_log_free(&((struct file_store *)store)->stored);
}

// What is on record for the readers of a root that can not write: nothing but how long their leases may run. Several such
// roots may serve one store. Each makes the number larger than it found it, so that none takes back what another needs.
static int
set_reader_lease(struct file_store *file, uint32_t hb_ttl_ms)
{
	struct metadata metadata;
	int directory = metadata_lock_directory(file->metadata_path), sys_errno;

	if (directory < 0)
		return -directory;
	sys_errno = metadata_read(file->metadata_path, &metadata);
	if (sys_errno == 0) {
		metadata.clean |= metadata.hb_ttl_ms == 0;
		metadata.hb_ttl_ms = hb_ttl_ms > metadata.hb_ttl_ms ? hb_ttl_ms : metadata.hb_ttl_ms + 1;
		sys_errno = metadata_write(file->metadata_path, &metadata);
		if (sys_errno == 0)
			file->reader_hb_ttl_ms = metadata.hb_ttl_ms;
		metadata_fini(&metadata);
	}
	close(directory);
	return sys_errno;
}

static int
forget_reader_lease(struct file_store *file)
{
	struct metadata metadata;
	int directory, sys_errno;

	if (file->reader_hb_ttl_ms == 0 || file->store.hb_ttl_before_ms != 0)
		return 0;
	directory = metadata_lock_directory(file->metadata_path);
	if (directory < 0)
		return -directory;
	sys_errno = metadata_read(file->metadata_path, &metadata);
	if (sys_errno == 0) {
		if (metadata.clean && metadata.hb_ttl_ms == file->reader_hb_ttl_ms && !lock_is_shared(file->fd)) {
			metadata.hb_ttl_ms = 0;
			sys_errno = metadata_write(file->metadata_path, &metadata);
		}
		metadata_fini(&metadata);
	}
	close(directory);
	return sys_errno;
}

int
store_set_lease(struct store *store, uint32_t hb_ttl_ms, char *error, size_t error_size)
{
	struct file_store *file = (struct file_store *)store;
	struct metadata metadata = file->metadata;

	if (file->read_only)
		return explain(file, set_reader_lease(file, hb_ttl_ms), error, error_size);
	if (!metadata.clean && metadata.hb_ttl_ms >= hb_ttl_ms)
		return 0;
	metadata.clean = false;
	metadata.hb_ttl_ms = hb_ttl_ms; // those of the root before may still run, so never less than before
	return explain(file, change(file, &metadata), error, error_size);
}

// ${evictions} behind those of ${metadata}, which has room, each once.
static void
append_evictions(struct metadata *metadata, const struct eviction *evictions, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!metadata_is_evicted(metadata, &evictions[i]))
			metadata->evictions[metadata->eviction_count++] = evictions[i];
}

// Make ${metadata} what is on the disk, and give what ${file} had in its place back.
static int
replace(struct file_store *file, struct metadata *metadata)
{
	int sys_errno = metadata_write(file->metadata_path, metadata);

	if (sys_errno != 0)
		return sys_errno;
	if (metadata->evictions != file->metadata.evictions)
		free(file->metadata.evictions);
	if (metadata->reclaims != file->metadata.reclaims)
		free(file->metadata.reclaims);
	file->metadata = *metadata;
	file->store.evictions = metadata->evictions;
	file->store.eviction_count = metadata->eviction_count;
	file->store.claims_since = metadata->claims_since;
	file->store.reclaims = metadata->reclaims;
	file->store.reclaim_count = metadata->reclaim_count;
	return 0;
}

int
store_record(struct store *store, const struct eviction *evictions, size_t count)
{
	struct file_store *file = (struct file_store *)store;
	struct metadata metadata = file->metadata;
	int sys_errno = 0;

	if (file->read_only)
		return count > 0 ? EROFS : 0;
	metadata.evictions = calloc(metadata.eviction_count + count + 1, sizeof(*evictions));
	if (metadata.evictions == NULL)
		return ENOMEM;
	if (metadata.eviction_count > 0)
		memcpy(metadata.evictions, file->metadata.evictions, metadata.eviction_count * sizeof(*evictions));
	append_evictions(&metadata, evictions, count);
	if (metadata.claims_since == metadata.epoch)
		metadata.reclaim_count = 0; // the block may be given to others now
	if (metadata.eviction_count > LIMIT_EVICTIONS)
		sys_errno = ENOBUFS;
	else if (metadata.eviction_count > file->metadata.eviction_count)
		sys_errno = replace(file, &metadata);
	if (metadata.evictions != file->metadata.evictions)
		free(metadata.evictions);
	return sys_errno;
}

int
store_end_grace(struct store *store, uint32_t claims_since, const struct reclaim *reclaims, size_t count)
{
	struct file_store *file = (struct file_store *)store;
	struct metadata metadata = file->metadata;
	int sys_errno;

	if (file->read_only || claims_since < metadata.claims_since)
		return 0;
	metadata.claims_since = claims_since;
	metadata.reclaim_count = count < LIMIT_RECLAIMS ? count : LIMIT_RECLAIMS;
	metadata.reclaims = calloc(metadata.reclaim_count + 1, sizeof(*reclaims));
	if (metadata.reclaims == NULL)
		return ENOMEM;
	if (count > 0)
		memcpy(metadata.reclaims, reclaims, metadata.reclaim_count * sizeof(*reclaims));
	sys_errno = replace(file, &metadata);
	if ((sys_errno == ENOSPC || sys_errno == EDQUOT) && metadata.reclaim_count > 0) { // nobody may have to wait for that
		metadata.reclaim_count = 0;
		sys_errno = replace(file, &metadata);
	}
	if (sys_errno != 0)
		free(metadata.reclaims);
	return sys_errno;
}

int
store_set_clean(struct store *store)
{
	struct file_store *file = (struct file_store *)store;
	struct metadata metadata = file->metadata;
	int sys_errno;

	if (file->read_only)
		return forget_reader_lease(file);
	metadata.clean = true;
	metadata.hb_ttl_ms = 0;
	metadata.eviction_count = metadata.reclaim_count = 0;
	sys_errno = change(file, &metadata);
	if (sys_errno == 0) {
		store->eviction_count = store->reclaim_count = 0;
		version_file_remove(file->metadata_path);
	}
	return sys_errno;
}
