// SPDX-License-Identifier: MIT
// The version log of a storage on the disk: two files beside its metadata, written and synced by the store's engine while
// the store is used. The store says what has been written and when a sync begins; here is what goes out when.
#ifndef HVFS_STORE_VERSION_FILE_H
#define HVFS_STORE_VERSION_FILE_H

#include "store/store.h"
#include "store/version_log.h"

struct version_file;

// A sync of the log that has been asked for.
enum version_sync {
	VERSION_SYNC_NONE, // is not under way, or not over
	VERSION_SYNC_OVER,
};

// ---- Before and after: these block ----

// Open the log beside the metadata ${path}, by a root of ${epoch}. ${clean}: the storage was left in order, and the log
// begins anew; else ${ret} is what it tells (to be given to version_log_free), and the storage has been synced since.
// ${least_epoch}: of the last root. Returns NULL and an errno value.
struct version_file *version_file_open(const char *path, bool clean, uint32_t least_epoch, uint32_t epoch,
				       struct stored_versions *ret, int *ret_errno);

// The root has another epoch. Before anything is added. Returns 0 or an errno value.
int version_file_set_epoch(struct version_file *file, uint32_t epoch);

// Take the log beside ${path} away: nothing will be known.
void version_file_remove(const char *path);

// Nothing may be under way. NULL does nothing.
void version_file_close(struct version_file *file);

// ---- While the store is used ----

// ${count} blocks from ${block} on have been written. Returns false when there is no room now: then again when a write of
// the log has ended.
bool version_file_add(struct version_file *file, uint64_t block, const version_t *versions, uint32_t count);

// A sync of the storage begins, after the last one has ended well. Returns 0, and whether there is something to sync here
// too; or an errno value: this sync fails, the next one may not.
int version_file_begin_sync(struct version_file *file, bool *ret_runs);

// The next operation, to be pushed to the engine; NULL: none now. Ask after each of the calls here.
struct store_io *version_file_next(struct version_file *file);

// Is ${io} one of those?
bool version_file_owns(const struct version_file *file, const struct store_io *io);

// It has ended. Whether that ended the sync, how: ${ret_errno}. ENOSPC and EDQUOT may be over the next time; after others
// the log is given up.
enum version_sync version_file_ended(struct version_file *file, struct store_io *io, int sys_errno, int *ret_errno);

// Why there is no room; 0: a write is under way.
int version_file_errno(const struct version_file *file);

// The sync of the storage has failed: what it covered was promised to nobody. No other will be.
void version_file_give_up(struct version_file *file);

// Is an operation under way?
bool version_file_is_busy(const struct version_file *file);

#endif
