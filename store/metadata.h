// SPDX-License-Identifier: MIT
// What hvfs knows of a volume's storage beyond its bytes: a small text file beside it, so that the storage itself is
// exactly the raw volume.
#ifndef HVFS_STORE_METADATA_H
#define HVFS_STORE_METADATA_H

#include "core/reclaim.h"
#include "core/types.h"

// A session of a child whose claims are void (protocol.md F2).
struct eviction {
	uint64_t node_id, session;
};

struct metadata {
	uint64_t size;              // bytes of the volume
	uint32_t block_size;        // bytes
	uint32_t epoch;             // of the last open for writing; 0: never
	bool clean;                 // the last root that could write has left in order, or there was none: nobody holds anything
				    // for writing
	uint32_t hb_ttl_ms;         // the longest lease that may have been given since then, or by one that could not write and
				    // was there after it; 0: none
	struct eviction *evictions; // since it was clean
	size_t eviction_count;      // at most LIMIT_EVICTIONS
	uint32_t claims_since;      // epoch: lapsed claims from an earlier one are void (F6); 0: none are,
	struct reclaim *reclaims;   // but for these
	size_t reclaim_count;       // at most LIMIT_RECLAIMS
};

#define METADATA_EPOCH_MAX ((UINT32_C(1) << 24) - 1)

// Read ${path}. Returns 0, and *ret is to be given to metadata_fini; EBADMSG when it is damaged or not ours, or the errno
// value of what failed.
int metadata_read(const char *path, struct metadata *ret);
void metadata_fini(struct metadata *metadata);

// Does ${metadata} have this eviction?
bool metadata_is_evicted(const struct metadata *metadata, const struct eviction *eviction);

// Make ${path} hold ${metadata}, durably and at once: whatever happens, it has the old or the new content. The caller
// holds the lock of the storage. Returns 0 or an errno value; then the old content is there.
int metadata_write(const char *path, const struct metadata *metadata);

// Keep others who do the same out of what is in the directory of ${path}, until the descriptor is closed. Returns it, or a
// negated errno value. Waits as long as others need for one metadata_write.
int metadata_lock_directory(const char *path);

// Make the directory entry of ${path} durable. Returns 0 or an errno value.
int metadata_sync_directory(const char *path);

#endif
