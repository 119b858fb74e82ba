// SPDX-License-Identifier: MIT
// Few ranges, many lookups: a sorted array. A change cuts the ranges at the edges of the changed one, so that each is
// wholly inside or outside, changes counts, and joins what has become equal.
#include "cache/pins.h"
#include "core/check.h"

#include <stdlib.h>
#include <string.h>

void
pins_fini(struct pins *pins)
{
	free(pins->ranges);
	*pins = (struct pins){0};
}

// The first range that ends after ${key}.
static uint32_t
find(const struct pins *pins, block_key key)
{
	uint32_t low = 0, high = pins->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (pins->ranges[middle].end <= key)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool
pins_has(const struct pins *pins, block_key key)
{
	uint32_t i;

	if (pins->count == 0)
		return false;
	i = find(pins, key);
	return i < pins->count && pins->ranges[i].first <= key;
}

uint64_t
pins_new_blocks(const struct pins *pins, block_key first, block_key end)
{
	uint64_t blocks = end - first;

	for (uint32_t i = find(pins, first); i < pins->count && pins->ranges[i].first < end; i++) {
		const struct pin *pin = &pins->ranges[i];

		blocks -= (pin->end < end ? pin->end : end) - (pin->first > first ? pin->first : first);
	}
	return blocks;
}

static void
insert(struct pins *pins, uint32_t i, struct pin pin)
{
	if (pins->count == pins->capacity) {
		pins->capacity = pins->capacity != 0 ? pins->capacity * 2 : 16;
		pins->ranges = realloc(pins->ranges, pins->capacity * sizeof(pin));
		CHECK(pins->ranges != NULL);
	}
	memmove(&pins->ranges[i + 1], &pins->ranges[i], (pins->count - i) * sizeof(pin));
	pins->ranges[i] = pin;
	pins->count++;
}

static void
erase(struct pins *pins, uint32_t i)
{
	pins->count--;
	memmove(&pins->ranges[i], &pins->ranges[i + 1], (pins->count - i) * sizeof(struct pin));
}

// No range lies on both sides of ${key}.
static void
cut(struct pins *pins, block_key key)
{
	uint32_t i = find(pins, key);
	struct pin pin;

	if (i == pins->count || pins->ranges[i].first >= key)
		return;
	pin = pins->ranges[i];
	pins->ranges[i].end = key;
	pin.first = key;
	insert(pins, i + 1, pin);
}

static void
join(struct pins *pins, block_key first, block_key end)
{
	uint32_t i = find(pins, first);

	for (i = i > 0 ? i - 1 : 0; i < pins->count && pins->ranges[i].first <= end;) {
		struct pin *pin = &pins->ranges[i];

		if (pin->count == 0) {
			erase(pins, i);
		} else if (i + 1 < pins->count && pin[1].first == pin->end && pin[1].count == pin->count) {
			pin->end = pin[1].end;
			erase(pins, i + 1);
		} else {
			i++;
		}
	}
}

// A change adds at most two ranges by its cuts, and one in each gap.
static bool
is_room(const struct pins *pins, block_key first, block_key end)
{
	uint32_t needed = 3;

	for (uint32_t i = find(pins, first); i < pins->count && pins->ranges[i].first < end; i++)
		needed++;
	return pins->count + needed <= PINS_RANGES_MAX;
}

bool
pins_add(struct pins *pins, block_key first, block_key end)
{
	block_key at = first;

	CHECK(first < end);
	if (!is_room(pins, first, end))
		return false;
	pins->blocks += pins_new_blocks(pins, first, end);
	cut(pins, first);
	cut(pins, end);
	for (uint32_t i = find(pins, first); at < end; i++) {
		if (i == pins->count || pins->ranges[i].first > at) { // a gap
			block_key next = i < pins->count && pins->ranges[i].first < end ? pins->ranges[i].first : end;

			insert(pins, i, (struct pin){.first = at, .end = next});
		}
		pins->ranges[i].count++;
		at = pins->ranges[i].end;
	}
	join(pins, first, end);
	return true;
}

bool
pins_remove(struct pins *pins, block_key first, block_key end)
{
	CHECK(first < end);
	if (pins_new_blocks(pins, first, end) != 0 || pins->count + 2 > PINS_RANGES_MAX)
		return false;
	cut(pins, first);
	cut(pins, end);
	for (uint32_t i = find(pins, first); i < pins->count && pins->ranges[i].first < end; i++)
		pins->ranges[i].count--;
	join(pins, first, end);
	pins->blocks -= pins_new_blocks(pins, first, end);
	return true;
}
