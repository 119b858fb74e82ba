// SPDX-License-Identifier: MIT
// What is dirty and what is on its way up, and how barriers know when all of theirs has arrived.
#ifndef HVFS_CORE_DIRTY_H
#define HVFS_CORE_DIRTY_H

#include "core/state.h"

// The copy was modified (version set, copy DIRTY by entry_put_copy): it is to go up. ${was}: the copy's state before.
void dirty_mark(struct core *core, struct entry *entry, enum copy was);

// The copy, if it is dirty, has bytes that ${peer} has brought (0: nobody knows who that is, or there are none to keep). False: he
// has brought more than there is room for (peer_room.h).
bool dirty_brought(struct core *core, struct entry *entry, uint32_t peer);

// The copy is on its way up (a FLUSH was said, a store write begun).
void dirty_sent(struct core *core, struct entry *entry);

// What was sent has arrived: clean, unless modified meanwhile.
void dirty_flushed(struct core *core, struct entry *entry);

// The parent has all bytes of ${volume} whose FLUSH, under a permission, it has not answered.
void dirty_all_arrived(struct core *core, const struct volume *volume);

// What was sent may not have arrived: it is to be sent again.
void dirty_unsent(struct core *core, struct entry *entry);

// It was refused: sent again after a while; barriers that wait fail with ${error}.
void dirty_failed(struct core *core, struct entry *entry, enum hvfs_error error);

// The copy need not go up any more (superseded, or lost). It counts as clean afterwards.
void dirty_clear(struct core *core, struct entry *entry);

// The parent has sent newer bytes than the dirty copy's, or the same: they replace it. What is on its way up stays on
// its way: its acknowledgement says when the root, or the parent, has it.
void dirty_superseded(struct core *core, struct entry *entry);

// Has ${version} of the block, or a newer one, been acknowledged (at a root: written)?
bool dirty_accepted(const struct core *core, const struct entry *entry, version_t version);

// Does somebody wait until the root has the bytes of this block?
bool dirty_root_awaited(const struct core *core, const struct work *work);

// The copy was unstable and may have been lost above: it goes up again, and every barrier that waits, waits for it.
void dirty_again(struct core *core, struct entry *entry);

// What the dirty copy has written over may have been lost above: every barrier that waits, waits for it.
void dirty_before_barriers(struct core *core, struct entry *entry);

// A sync has made durable what was taken over the storage's content (work.settles): it is served from now on.
void dirty_settled(struct core *core, struct entry *entry);

// Somebody waits until the dirty copy is above: it goes up at once.
void dirty_urge(struct core *core, struct entry *entry);

// The dirty copy goes up by RECOVER (${resend}), and so it was not covered when ${losses} sessions were lost (work.resend_losses).
void dirty_set_resend(struct core *core, struct entry *entry, bool resend, uint8_t losses);

// The oldest block that is dirty and not urgent; NULL: none.
const struct work *dirty_oldest(const struct core *core, const struct volume *volume);

// May a local write make another block dirty now?
bool dirty_room(const struct core *core, const struct volume *volume);

// May a local write change this block, or make it dirty, now?
bool dirty_room_for(const struct core *core, const struct entry *entry);

// A fsync, a child's barrier (${child} >= 0, ${xid}), or this node's own (neither).
struct barrier *barrier_add(struct core *core, struct volume *volume, struct io *io, int32_t child, uint32_t xid);

// The link to the parent is gone: a barrier under way starts again.
void barriers_link_down(struct core *core, struct volume *volume);

// Take a barrier off the list; its record is the caller's to free.
void barrier_remove(struct volume *volume, struct barrier *barrier);

// The barrier of ${child} that has not ended, or NULL.
struct barrier *barrier_of_child(const struct volume *volume, const struct child *child);

// Forget the barrier of ${io}; true when there was one.
bool barrier_cancel(struct core *core, struct volume *volume, const struct io *io);

#endif
