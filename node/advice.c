// SPDX-License-Identifier: MIT
// Larger is advised when a fifth of the misses would go, and a hundredth of all uses at least; then the smallest size
// that has most of what the largest would bring. Smaller is advised when next to nothing would be lost by it.
#include "node/advice.h"

#include "node/units.h"

#include <stdio.h>

enum { USES_MIN = 10000 };

static const double gain_min = 0.01, gain_part_min = 0.2, gain_most = 0.8, loss_max = 0.003;

static double
ratio_now(const struct advice_curve *curve)
{
	return curve->points[curve->now].hit_ratio;
}

// The smallest of the larger sizes that is worth it; ${now}: none is.
static uint32_t
find_larger(const struct advice_curve *curve)
{
	double now = ratio_now(curve), best = 0;

	for (uint32_t i = curve->now + 1; i < curve->count && curve->points[i].size <= curve->size_max; i++)
		if (curve->points[i].hit_ratio - now > best)
			best = curve->points[i].hit_ratio - now;
	if (best < gain_min || best < (1 - now) * gain_part_min)
		return curve->now;
	for (uint32_t i = curve->now + 1; i < curve->count; i++)
		if (curve->points[i].hit_ratio - now >= best * gain_most)
			return i;
	return curve->now;
}

// The smallest of the smaller sizes that is nearly as good.
static uint32_t
find_smaller(const struct advice_curve *curve)
{
	uint32_t i = 0;

	while (i < curve->now && ratio_now(curve) - curve->points[i].hit_ratio > loss_max)
		i++;
	return i;
}

uint64_t
advice_give(const struct advice_curve *curve, char text[ADVICE_TEXT_SIZE])
{
	char from[UNITS_TEXT_SIZE], to[UNITS_TEXT_SIZE];
	const struct advice_point *now = &curve->points[curve->now], *then = now;

	units_print_size_short(now->size, from);
	if (curve->uses < USES_MIN) {
		snprintf(text, ADVICE_TEXT_SIZE, "Too little was used so far to say anything: %.0f blocks, of %d.", curve->uses, USES_MIN);
		return now->size;
	}
	then = &curve->points[find_larger(curve)];
	if (then->size == now->size)
		then = &curve->points[find_smaller(curve)];
	units_print_size_short(then->size, to);
	if (then->size > now->size)
		snprintf(text, ADVICE_TEXT_SIZE, "Make the cache larger, %s in place of %s: it would serve about %.1f%% of all uses instead of %.1f%%.",
			 to, from, 100 * then->hit_ratio, 100 * now->hit_ratio);
	else if (then->size < now->size)
		snprintf(text, ADVICE_TEXT_SIZE, "The cache could be smaller, %s in place of %s: it would still serve about %.1f%% of all uses.", to, from,
			 100 * then->hit_ratio);
	else
		snprintf(text, ADVICE_TEXT_SIZE, "Leave the cache as it is, %s: it serves about %.1f%% of all uses, and another size that fits would change little.",
			 from, 100 * now->hit_ratio);
	return then->size;
}
