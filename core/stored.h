// SPDX-License-Identifier: MIT
// What the storage of a root volume has that was left uncleanly (protocol.md F6): the bounds of each block's version, as
// its version log tells them, and what has been brought since from the epochs before. Bounds are for claims that came in the
// grace time. What is there is remembered as long as the root runs: whoever had bytes passed up by a node that has died may
// bring them again at any time.
#ifndef HVFS_CORE_STORED_H
#define HVFS_CORE_STORED_H

#include "core/state.h"

// The content of ${low}, or one that came later, is on stable storage; nothing newer than ${high} was ever promised to be.
struct bounds {
	version_t low, high;
};

// The bounds for a claim ${want} of the block. 0 and VERSION_MAX when nothing is known, or when the claim came after the
// grace time: then the entry's version counts.
struct bounds stored_bounds(const struct core *core, const struct entry *entry, const struct want *want);

// Would taking bytes of ${version} destroy what is durable?
bool stored_is_newer(struct bounds bounds, version_t version);

// Has somebody else written over ${version} than who claims the block as the writer? What goes up by way of him he knows: a
// newer version that was written was brought past him, whether its sync was done or not.
bool stored_goes_past(struct bounds bounds, version_t version);

// Bytes of ${version} were taken into the root's copy: noted if they are from an earlier epoch.
void stored_brought(struct volume *volume, uint64_t block, version_t version);

// Were bytes of ${version}, of an earlier epoch, or newer ones among these?
bool stored_was_brought(const struct volume *volume, uint64_t block, version_t version);

// Are bytes of ${version}, of an earlier epoch, on the storage or among what was brought, or newer ones?
bool stored_has(const struct volume *volume, uint64_t block, version_t version);

// Has the root before left in order, with all that it had on stable storage?
bool stored_is_after_leave(const struct volume *volume);

// The claims of the grace time are decided: entries that were kept for them may go.
void stored_rest(struct core *core, struct volume *volume);

#endif
