// SPDX-License-Identifier: MIT
#ifndef HVFS_CORE_VERDICT_H
#define HVFS_CORE_VERDICT_H

#include "core/state.h"

enum verdict {
	CLAIM_WAITS,   // for an answer, a lease, other claims, our parent: the block is touched when that has changed
	CLAIM_GRANTED, // the claimant has the block for writing
	CLAIM_TAKEN,   // the bytes are as good as ours: take them by their version
	CLAIM_REFUSED, // with want->refusal
};

// What becomes of ${want}, a claim of ${entry}, by what is known now. Asks whoever has to be asked, passes on what others
// decide.
enum verdict verdict_of(struct core *core, struct entry *entry, struct want *want);

#endif
