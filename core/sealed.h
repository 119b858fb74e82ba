// SPDX-License-Identifier: MIT
// Sealed volumes (S32, S33), as far as the core is concerned: both ends of a link have to mean the same keys. Their blocks
// it handles as any others; who gives it the messages, and takes them, sees to the verifiers (node/sealing.h).
#ifndef HVFS_CORE_SEALED_H
#define HVFS_CORE_SEALED_H

#include "core/state.h"

// Say in a CONNECT, or its answer, with which keys ${volume} is sealed, if it is.
void sealed_say(const struct volume *volume, struct message *message);

// Does a CONNECT, or its answer, mean ${volume} (NULL: one that is not known here, and so not sealed) as it is here?
// STATUS_NONE, or why not: about KEY.
enum status sealed_check(const struct volume *volume, const struct message *message);

// May the digest of what is here of ${entry} be told, or compared with one that comes? Not if that were one of bytes in the clear:
// who has no key could find out what they are.
bool sealed_may_compare(const struct core *core, const struct entry *entry);

// PARAM_KEY when the parent refuses for that, else 0: who asked through this node is told so, too.
uint16_t sealed_refused_param(const struct message *message);

// How long the lease is that an answer to CONNECT or HEARTBEAT gives: HB_TTL, or what of that the node believes (TTL, which it adds
// for a sealed volume; a parent that did so would only shorten it).
uint32_t sealed_lease_ms(const struct message *message);

// EVENT_OUTDATED.
void sealed_outdated(struct core *core, uint32_t volume, uint64_t block);

// Why the parent refuses, for the user.
const char *sealed_refusal_text(const struct message *message);

#endif
