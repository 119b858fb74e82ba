// SPDX-License-Identifier: MIT
// What the storage of a root volume has that was left uncleanly (protocol.md F6): the bounds of each block's version, as
// its version log tells them. Needed until the claims that came in the grace time are decided.
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

// The memory of it goes once nobody can ask any more.
void stored_rest(struct core *core, struct volume *volume);

#endif
