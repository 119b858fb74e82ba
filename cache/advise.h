// SPDX-License-Identifier: MIT
// What hit ratio a cache of another size would have, estimated from a sample of the blocks that are used (a miss-ratio
// curve, as LRU would do it).
#ifndef HVFS_CACHE_ADVISE_H
#define HVFS_CACHE_ADVISE_H

#include "core/types.h"

struct advise;

// An estimate for a cache of about ${blocks}; takes about half a megabyte, whatever the size. Never NULL.
struct advise *advise_create(uint64_t blocks);
void advise_destroy(struct advise *advise);

// The block ${key}, which is in the cache, is used.
void advise_use(struct advise *advise, block_key key);

// The block ${key}, which was not in the cache, has been brought because it is wanted: this is a use, and the next
// advise_use, of who wanted it, is not one more.
void advise_bring(struct advise *advise, block_key key);

// The share of uses that an LRU cache of ${blocks} would have served, of late. 0 when there was none.
double advise_hit_ratio(const struct advise *advise, uint64_t blocks);

// Uses that the estimate rests on, sampled or not; those of long ago count less.
double advise_uses(const struct advise *advise);

#endif
