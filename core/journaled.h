// SPDX-License-Identifier: MIT
// With a journal (core_config.journal) a fsync of this host may end when what it covers is there (--durability local): what
// was written here and is not durable at the root is told to the caller, who keeps it over a crash. After one it is brought to the
// parent like bytes that were recalled before a session was lost (protocol.md F3): a journal says what was written, not what
// is held.
#ifndef HVFS_CORE_JOURNALED_H
#define HVFS_CORE_JOURNALED_H

#include "core/state.h"

// The dirty copy has been modified: the journal has not got it.
void journaled_modified(struct core *core, struct entry *entry);

// The bytes that the journal may have of the block are at the root, were superseded, or given up.
void journaled_forget(struct core *core, struct entry *entry);

// May fsyncs of this host end when the journal has everything?
bool journaled_suffices(const struct core *core, const struct volume *volume);

// The queued ${io} ends then.
void journaled_sync(struct core *core, struct volume *volume, struct io *io);

// ${io} is not waited for any more.
void journaled_cancel(struct volume *volume, const struct io *io);

// Those who wait for the journal are told of lost writes (writeback_tell_lost).
void journaled_tell_lost(struct core *core, struct volume *volume, enum hvfs_error error);

// All that was told up to ${number} is there, or (${error}) will not be: then the root is waited for.
void journaled_done(struct core *core, struct volume *volume, uint64_t number, enum hvfs_error error);

// Under which names blocks are held may have changed.
void journaled_author_changed(struct core *core, const struct volume *volume);

#endif
