// SPDX-License-Identifier: MIT
// Replacement within one group, by name. A group keeps its slots packed at the front, the newest first; what "newest"
// means is the policy's business.
#ifndef HVFS_CACHE_POLICY_H
#define HVFS_CACHE_POLICY_H

#include "cache/slot.h"

enum policy {
	POLICY_LRU,      // least recently used
	POLICY_S3FIFO,   // a small queue for newcomers, a main queue for what was used again, ghosts of who left early
	POLICY_ADAPTIVE, // per table, whichever of the two misses less just now
	POLICY_COUNT
};

enum { POLICY_NONE = UINT32_MAX };

struct group {
	struct slot *slots; // ${way_count}, of which the first ${used} are not empty
	uint16_t *ghosts;   // ${way_count} fingerprints, the newest first; NULL: none are kept
	uint32_t way_count;
	uint32_t used;
};

// Whether the block in ${slot} may be replaced.
typedef bool policy_may_fn(const void *arg, const struct slot *slot);

// The name of ${policy}, as users write it.
const char *policy_name(enum policy policy);

// The policy called ${name}; false when there is none.
bool policy_by_name(const char *name, enum policy *ret_policy);

// The slot at ${way} becomes the first.
void policy_to_front(struct group *group, uint32_t way);

// The slot at ${way} is used. Where it is now. (Here and below: not POLICY_ADAPTIVE, which is a choice between these.)
static inline uint32_t
policy_use(enum policy policy, struct group *group, uint32_t way)
{
	struct slot *slot = &group->slots[way];

	if (slot->fresh)
		slot->fresh = 0;
	else if (slot->uses < SLOT_USES_MAX)
		slot->uses++;
	if (policy != POLICY_LRU || way == 0)
		return way;
	policy_to_front(group, way);
	return 0;
}

// ${slot} comes into ${group}, which has room.
void policy_insert(enum policy policy, struct group *group, const struct slot *slot);

// ${slot} comes into ${group} in place of the one at ${way}.
void policy_replace(enum policy policy, struct group *group, uint32_t way, const struct slot *slot);

// The way to be replaced next, of those for which ${may} (NULL: all) is true; POLICY_NONE: none may. The caller
// removes it.
uint32_t policy_choose(enum policy policy, struct group *group, policy_may_fn *may, const void *arg);

// Admission to a full ${group} of slots that are on a disk: whether ${key}, which has come, has come not long ago before.
// If not, it is remembered by eight bits of its hash, the ghost in one slot or another of its group, which ${turn} says: as
// many of them as there are slots, at no memory. One in 255 / ways is taken for another.
bool policy_admit(struct group *group, block_key key, uint64_t turn);

// Take the slot at ${way} out of ${group}; the others close up.
void policy_remove(struct group *group, uint32_t way);

#endif
