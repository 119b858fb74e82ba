// SPDX-License-Identifier: MIT
// Links, volumes, and the session with the parent: CONNECT, DISCONNECT, HEARTBEAT, and the lease they carry.
#ifndef HVFS_CORE_SESSION_H
#define HVFS_CORE_SESSION_H

#include "core/state.h"

// A link came; a link is gone: what was under way on it is begun anew or forgotten.
void session_link_up(struct core *core, uint32_t link, enum link_role role, uint32_t peer, const char *address);
void session_link_alive(struct core *core, uint32_t id);
void session_link_down(struct core *core, uint32_t link);

// Ask the parent for ${volume}, naming those below who want it, so that a loop shows (F8).
void session_connect(struct core *core, struct volume *volume);

// The parent leaves in order: what was sent to it is at the root, and the session is over.
void session_parent_left(struct core *core, struct volume *volume);

// The end of a step: tell the children, behind the answers of this step, that the parent has left.
void session_pump(struct core *core, struct volume *volume);

// This node is known above by another name from now on (recovery.c).
void session_renamed(struct core *core, struct volume *volume);

// All claims of ${volume} are answered: children may be served, and learn which way up they have now.
void session_recovered(struct core *core, struct volume *volume);

// The parent says that the nodes above are others than before.
void session_news(struct core *core, struct volume *volume, const struct message *message);

// The parent's answer to one of ours; false when it is about something else.
bool session_reply(struct core *core, const struct message *message);

// Heartbeats, leases that end, CONNECTs to try again.
void session_timer(struct core *core);

// Leave the parent: DISCONNECT for each volume. True when nothing is left to wait for.
bool session_leave(struct core *core);

// Add a volume; NULL when the limit is reached.
struct volume *session_volume_new(struct core *core, const char *name, size_t name_size);

// The volume of that name, or NULL.
struct volume *session_volume_find(const struct core *core, struct blob name);

#endif
