// SPDX-License-Identifier: MIT
// What children may do, by who they are; and what becomes of it when that is changed.
#ifndef HVFS_CORE_RIGHTS_H
#define HVFS_CORE_RIGHTS_H

#include "core/state.h"

// What who is at the other end of ${link} may do with the volume of that name, whether there is one or not.
enum right rights_of_link(const struct core *core, uint32_t link, const char *name, size_t name_size);

// ${child} has connected: it may do so much. What it has beyond that is taken back.
void rights_set(struct core *core, struct child *child, enum right right);

// A claim of ${child} was granted, which it had made before its right was lowered.
void rights_granted_claim(struct core *core, struct child *child);

// A parent has said whether ${volume} can be written: children that were told that it can not, and may, connect anew.
void rights_volume_changed(struct core *core, const struct volume *volume);

// Rights may have changed: ask again about all who are connected.
void rights_changed(struct core *core);

// Go on with taking back.
void rights_pump(struct core *core);

// Its link is gone: what is taken back stays with it until it is here again, or its lease is over.
void rights_link_down(struct core *core, struct child *child);

// Why ${message} of ${child} is refused: it is beyond what it may do, or the volume is read-only here; STATUS_NONE: it is not. What it
// has for writing and is to give back may be brought up, and what was brought up be made durable.
enum status rights_refusal(struct core *core, const struct child *child, const struct message *message);

// Nobody above gives this node a right to ${volume} (EVENT_DENIED): what waits for it fails, at once and at every hop below.
void rights_denied(struct core *core, struct volume *volume);

// Somebody has tried what he may not: tell the node. ${volume} -1: he asked for the volume named ${text}, else for ${text} of it.
void rights_tell(struct core *core, uint32_t link, int32_t volume, const char *text);

#endif
