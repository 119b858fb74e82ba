// SPDX-License-Identifier: MIT
// What to change about the size of the cache, in one sentence.
#ifndef HVFS_NODE_ADVICE_H
#define HVFS_NODE_ADVICE_H

#include <stddef.h>
#include <stdint.h>

// At ${size} bytes, this share of uses would have been served.
struct advice_point {
	uint64_t size;
	double hit_ratio;
};

// Points in order of size; ${now} is the one of the cache as it is. ${size_max}: more can not be had. ${uses}: what the
// estimate rests on.
struct advice_curve {
	const struct advice_point *points;
	uint32_t count, now;
	uint64_t size_max;
	double uses;
};

enum { ADVICE_TEXT_SIZE = 300 };

// The sentence for ${curve} into ${text}. Returns the size to be had, or the present one.
uint64_t advice_give(const struct advice_curve *curve, char text[ADVICE_TEXT_SIZE]);

#endif
