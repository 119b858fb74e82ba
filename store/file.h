// SPDX-License-Identifier: MIT
// The store on a file or block device: what its front (file.c) and its engines share.
#ifndef HVFS_STORE_FILE_H
#define HVFS_STORE_FILE_H

#include "store/metadata.h"
#include "store/store.h"
#include "store/version_file.h"

#include <limits.h>
#include <stdatomic.h>

// First in, first out, linked by store_io.next.
struct io_list {
	struct store_io *first, *last;
};

// Put at the end; take from the front (NULL when empty).
void io_list_append(struct io_list *list, struct store_io *io);
struct store_io *io_list_take(struct io_list *list); // the first one, or NULL

struct file_store;

// What performs the steps of transfers. All members are called on the event loop's thread.
struct engine {
	const char *name;
	// Returns 0 or an errno value: this engine does not work here. Starts no thread: a daemon may fork between open and
	// its first io.
	int (*start)(struct file_store *file);
	void (*stop)(struct file_store *file);
	int (*poll_fd)(struct file_store *file);
	// Queue ${io}; begun in the order of pushes, a bounded number of them at a time.
	void (*push)(struct file_store *file, struct store_io *io);
	// Begin what was pushed, as far as there is room.
	void (*kick)(struct file_store *file);
	// Make poll_fd readable.
	void (*wake)(struct file_store *file);
	// In how many milliseconds it wants to be reaped and kicked though poll_fd is not readable; 0: not. NULL: never.
	unsigned (*due_ms)(struct file_store *file);
	// Call file_io_ended for what has ended. Never blocks.
	void (*reap)(struct file_store *file);
};

struct file_store {
	struct store store;
	const struct engine *engine;
	void *engine_state;
	int fd;
	bool read_only, is_device;
	uint32_t reader_hb_ttl_ms;  // read-only: what it has put on record; 0: nothing
	char metadata_path[PATH_MAX];
	struct metadata metadata;   // as it is on the disk
	atomic_int zero_way_known;  // enum zero_way
	uint64_t running;           // submitted, done not yet called

	struct io_list ended;       // done is to be called, with io->progress as errno
	struct io_list sync_waiting; // barriers for the next fdatasync
	struct io_list sync_group;  // barriers that the running fdatasync answers
	struct store_io sync_io;    // the running fdatasync of the storage
	int sync_parts;             // of it that run: of the storage and of its version log; 0: none runs
	int sync_group_errno;
	struct version_file *versions; // NULL: opened read-only
	struct stored_versions stored; // what it told
	struct io_list unrecorded;  // writes that have ended, whose versions the log has no room for
	int sync_errno;             // of the first fdatasync that failed: no barrier succeeds afterwards
};

extern const struct engine engine_threads;
#ifdef HVFS_HAVE_URING
extern const struct engine engine_uring;
#endif

// Take over the open, locked ${fd} and start an engine: HVFS_STORE_ENGINE's choice, else the first that works. Sizes
// are the caller's to set. Returns NULL and a sentence that names ${spec}; then ${fd} is still the caller's.
struct file_store *file_store_create(const char *spec, int fd, char *error, size_t error_size);

// An engine's report, from its reap.
void file_io_ended(struct file_store *file, struct store_io *io, int sys_errno);

#endif
