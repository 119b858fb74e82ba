// SPDX-License-Identifier: MIT
// What a root reads and writes: the storage of one volume. All operations are asynchronous: they are submitted on the
// event loop's thread and end by a callback from store_reap, on the same thread.
#ifndef HVFS_STORE_STORE_H
#define HVFS_STORE_STORE_H

#include "core/error.h"
#include "core/reclaim.h"
#include "core/types.h"

#include <sys/uio.h>

// The order of operations that run at the same time is open. The caller never has two running that overlap and of which
// one writes or zeroes.
enum store_op {
	STORE_READ,  // offset, iov: all bytes; a hole reads as zeros, what lies beyond the end of a cut file is EIO
	STORE_WRITE, // offset, iov: other readers of the storage see it once it has ended; after an error any part of it
	STORE_ZERO,  // offset, size: zeros afterwards, space given back where the storage can
	STORE_SYNC,  // every write and zeroing that ended before the submit is on stable storage. Once it has failed, every
	             // later one fails too until the store is opened again: what the system could not write is lost to it,
	             // and its next "success" would not cover that
};

struct store_io {
	enum store_op op;
	uint64_t offset;     // bytes
	uint64_t size;       // bytes in all
	struct iovec *iov;   // READ and WRITE: the caller's, not changed, valid until done; size bytes in all, no part empty
	int iov_count;
	// WRITE and ZERO: of each block, valid until done; then the version log has them. Or NULL.
	const version_t *versions;
	// Called once, from reap. ${sys_errno} is 0 or an errno value: EINVAL beyond the volume, EROFS for a write to a
	// store opened read-only, else the system's. May submit, this io again too; must not close the store.
	void (*done)(struct store_io *io, int sys_errno);
	void *owner;         // the caller's
	struct store_io *next; // the store's, while it runs
	uint64_t progress;     // the store's: bytes done of a short transfer
	int fd;                // the store's: of which file,
	bool durable;          // and whether a write of it is synced at once
};

struct store;
struct stored_versions;

struct store_ops {
	// Take ${io}, owned by the caller, until done is called. Any number may be submitted: a bounded number runs, the
	// others wait in order. Never fails at once: errors too come by done, from the next reap.
	void (*submit)(struct store *store, struct store_io *io);
	// Readable when store_reap has something to do.
	int (*poll_fd)(struct store *store);
	// After a reap or a kick: in how many milliseconds reap is to be called though poll_fd is not readable; 0: not at all.
	unsigned (*due_ms)(struct store *store);
	// Call done for everything that has ended; ends with a kick of what that submitted. Never blocks.
	void (*reap)(struct store *store);
	// Hand what was submitted to the system: once after a batch of submits.
	void (*kick)(struct store *store);
	// The next byte >= offset that may be data (data true) or is in a hole; the volume's size when there is none.
	// May block shortly (metadata). Stores that cannot tell say: all data.
	uint64_t (*seek)(struct store *store, uint64_t offset, bool data);
	// No operation may be running.
	void (*close)(struct store *store);
};

struct store {
	const struct store_ops *ops;
	uint64_t size;        // bytes of the volume
	uint32_t block_size;  // bytes of a block, from create
	uint32_t epoch;       // raised and made durable at each open for writing (protocol.md R11)
	const char *engine;   // "io_uring", "threads", "memory"

	// How the last root of it that could write has left: in order, so that nobody holds anything for writing (also when there
	// was none, or it gave no lease). The longest lease that it, or one that could not write since, may have given and not
	// taken back; 0: none. And the sessions that are on record as evicted; valid until the
	// next call that changes them.
	bool clean_before;
	uint32_t hb_ttl_before_ms;
	const struct eviction *evictions; // store/metadata.h
	size_t eviction_count;
	uint32_t claims_since; // the epoch in which a root has last served others than those who claimed,
	const struct reclaim *reclaims; // and what it had granted these, as far as it may not have had time to answer; valid as the evictions
	size_t reclaim_count;
	// And which versions its blocks have then (store/version_log.h), until store_forget_versions.
	struct stored_versions *versions;
};

// Make the storage of a new volume at ${spec}, a path: a sparse file is created, which must not exist; a block device
// keeps its bytes and must have at least ${size}, 0 for all of it. The storage is exactly the raw volume; what else is
// to be known (size, block size, epoch, how it was left) is in a small file beside it, ${spec}.hvfs, or for a device in the state
// directory (store/place.c). ${size} is a multiple of ${block_size}. Returns 0, or -1 and a sentence in ${error}; then
// nothing is left behind.
int store_create(const char *spec, uint64_t size, uint32_t block_size, char *error, size_t error_size);

// Open for use by one root: locked against a second one (${read_only}: against writers). Returns NULL and a sentence that
// names the store and what is wrong: missing, no hvfs store, truncated, unreadable, in use. The process may fork before
// the first io and go on in the child; the lock stays with it. HVFS_STORE_ENGINE=io_uring or threads asks for an engine.
struct store *store_open(const char *spec, bool read_only, char *error, size_t error_size);

// ${store} is served under ${epoch}, which is not below its own: a node of several volumes has one epoch, the largest of
// theirs. Made durable, so that the next open goes on from there. Before the first io. Returns 0, or -1 and a sentence.
int store_raise_epoch(struct store *store, uint32_t epoch, char *error, size_t error_size);

// ${store} is going to be served: leases of up to ${hb_ttl_ms} may be given from now on, and until store_set_clean it counts
// as not left in order. Made durable. Before the first lease. Returns 0, or -1 and a sentence. Of a store opened read-only
// only the lease goes on record: a root that writes must not overtake its readers. That may fail where nothing can be
// written.
int store_set_lease(struct store *store, uint32_t hb_ttl_ms, char *error, size_t error_size);

// What the version log told of the last root is not needed any more.
void store_forget_versions(struct store *store);

// Record, durably, that claims of these sessions are void; what is on record already stays so. Blocks, and may be called on another
// thread while the loop uses the store, but not at the same time as another function that changes the metadata. Returns 0 or an
// errno value, and then nothing new is on record: ENOBUFS when there would be more than LIMIT_EVICTIONS, EROFS when a read-only
// store were to get some.
int store_record(struct store *store, const struct eviction *evictions, size_t count);

// The same for the end of a grace time: lapsed claims from before the epoch ${claims_since} are void, but for ${reclaims} (the first
// LIMIT_RECLAIMS; none, if there is no room for them), until the next eviction. That never goes back. Of a read-only store there is
// nothing to record.
int store_end_grace(struct store *store, uint32_t claims_since, const struct reclaim *reclaims, size_t count);

// Everything is on stable storage and nobody holds anything: the next root needs no grace time, and evictions are
// forgotten. The last call before close. Returns 0 or an errno value. Of a store opened read-only only its own lease is
// forgotten, if no other such root has been there meanwhile.
int store_set_clean(struct store *store);

#endif
