// SPDX-License-Identifier: MIT
// The sync daemon, and the barriers of fsync (R12, R14).
#ifndef HVFS_CORE_WRITEBACK_H
#define HVFS_CORE_WRITEBACK_H

#include "core/state.h"

// Writes of ${volume} were lost: the next fsync says so, once, to each who has written, on this host or below; and a
// write of this host that is half done fails. The user is told ${why}, when that is new; NULL: the bytes are rescued,
// which tells it.
void writeback_lost(struct core *core, struct volume *volume, const char *why);

// Tell of lost writes (with ${error}) all on this host who wait for a fsync, not only those whose turn it is: one that succeeds
// beside one that fails would promise what that one says is lost.
void writeback_tell_lost(struct core *core, struct volume *volume, enum hvfs_error error);

// A root has taken bytes over what its storage may have: the block is not served before they are on stable storage.
// If the sync fails, those who wait for it end with an error; called again, there is another.
void writeback_restore(struct core *core, struct entry *entry);

// Is there a sync that ${entry}, which was taken so, waits for? If not, one has failed.
bool writeback_is_restoring(const struct core *core, const struct entry *entry);

// The barrier under way has ended. ERR_IO: nobody knows what of it is on stable storage.
void writeback_barrier_done(struct core *core, struct volume *volume, enum hvfs_error error);

// The same, but with the answer that what was sent before is lost, as the parent has known for ${ago} microseconds or less. Whose
// bytes have come since need not fear for them.
void writeback_lost_above(struct core *core, struct volume *volume, moment_us ago);

// Send what is due and let barriers go on: at the end of each step.
void writeback_pump(struct core *core, struct volume *volume);

#endif
