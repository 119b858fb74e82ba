// SPDX-License-Identifier: MIT
// The local face: requests of this host's driver. A requester like any child, without a wire.
#ifndef HVFS_CORE_LOCAL_H
#define HVFS_CORE_LOCAL_H

#include "core/state.h"

// A request arrives: what can be done at once is done, the rest waits block by block.
void local_submit(struct core *core, struct io *io);

// The client was interrupted: what has not happened yet will not.
void local_cancel(struct core *core, struct io *io, enum hvfs_error error);

// Does ${want} (WANT_READ, WANT_WRITE, WANT_PREFETCH) need the block's present bytes?
bool local_needs_data(const struct core *core, const struct entry *entry, const struct want *want);

// Everything ${want} needs is there: do it. Returns false when it was done but waits for an acknowledgement.
bool local_perform(struct core *core, struct entry *entry, struct want *want);

// The bytes of a synchronous write of a whole block, to go up in a PUT; they are kept in want->buf. NULL: ${want} is
// nothing of the kind, or the parent is no root and no doubt is left of an earlier one. (A root applies and grants in one step, so that the same PUT again
// after a broken link can be told from a new one; see put_again.h.)
struct buf *local_put_bytes(struct core *core, const struct entry *entry, struct want *want);

// The block of ${want}, which has left its queue, is finished, or failed. The caller frees the want.
void local_block_done(struct core *core, struct want *want, enum hvfs_error error);

// The request ends now.
void local_finish(struct core *core, struct io *io, enum hvfs_error error);

// Every request of ${volume} ends with ERR_ABORTED, now and from now on.
void local_abort(struct core *core, struct volume *volume);

// Writes of ${volume} were lost: those under way that have written a part already, which may be among them, are going to fail. The
// fsync that says so may end before they do.
void local_lost(struct core *core, const struct volume *volume);

// Requests that wait longer than the limit end with ERR_TIMED_OUT; those that wait for a parent which is away for too long,
// with ERR_CUT_OFF.
void local_expire(struct core *core);

#endif
