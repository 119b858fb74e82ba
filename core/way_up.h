// SPDX-License-Identifier: MIT
// The way up: the names of the nodes above this one (PATH), under which what is held may be recorded, and where they can be reached
// (PARENT_ADDR). Behind a 0 in PATH are names of before, of whoever has bytes to bring from then: nobody is above by these now. What the parent says of them, and what the children are told (protocol.md F3, F9).
#ifndef HVFS_CORE_WAY_UP_H
#define HVFS_CORE_WAY_UP_H

#include "core/state.h"

// Put what leads further up from this node into ${message}.
void way_up_add(struct core *core, const struct volume *volume, struct message *message);

// Tell the children: what they hold is recorded along another way from now on.
void way_up_tell(struct core *core, struct volume *volume);

// Have they been told something else than what is so now?
bool way_up_has_changed(const struct volume *volume);

// The parent has said in ${message} what is above it.
void way_up_learn(struct core *core, struct volume *volume, const struct message *message);

// The nodes above get other names when their sessions are lost. ${message} has the new ones of the way up, and behind them those
// before of the parent and, last, of the node above it, as far as they are the same processes. (Elsewhere the name of that node
// means that another has come between.) The parent is (${same}), or not. Before way_up_learn.
void way_up_follow_names(struct volume *volume, const struct message *message, bool same);

#endif
