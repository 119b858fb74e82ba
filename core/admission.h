// SPDX-License-Identifier: MIT
// Sessions of children: CONNECT, DISCONNECT, HEARTBEAT, and the leases they are given.
#ifndef HVFS_CORE_ADMISSION_H
#define HVFS_CORE_ADMISSION_H

#include "core/state.h"

// A child's CONNECT, DISCONNECT or HEARTBEAT.
void admission_request(struct core *core, uint32_t link, const struct message *message);

// ${volume} is known now (STATUS_NONE), or refused: the CONNECTs that wait for it are answered.
// ${param}: the parameter that it was refused for, or 0.
void admission_answer(struct core *core, struct volume *volume, enum status status, uint16_t param);

// ${child} has nothing any more, and may have nothing: its session is over.
void admission_end(struct core *core, struct child *child);

// Forget the CONNECTs of a link that wait, about ${volume} (-1: all).
void admission_forget(struct core *core, uint32_t link, int32_t volume);

// Leases that are over: silent children are cut off, absent ones forgotten.
void admission_timer(struct core *core);

// For how long a connection may be without a session and without asking for one.
uint32_t admission_silent_ms(const struct core *core);

// Everything that the children sent of ${volume} is on stable storage at the root, and this node, or one above it,
// leaves: they are told, but for those to whom it would be a lie.
void admission_leave(struct core *core, const struct volume *volume);

#endif
