// SPDX-License-Identifier: MIT
#include "tests/unit/cache_traces.h"
#include "core/check.h"
#include "tests/sim/rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ZIPF_TIMES = 10 };

#define SCAN_FIRST (UINT64_C(1) << 40) // blocks that only scans touch

static const char *const names[TRACE_COUNT] = {
	[TRACE_ZIPF_07] = "zipf 0.7",
	[TRACE_ZIPF_09] = "zipf 0.9",
	[TRACE_ZIPF_11] = "zipf 1.1",
	[TRACE_ZIPF_12] = "zipf 1.2",
	[TRACE_ZIPF_SCAN] = "zipf, bursts of scan",
	[TRACE_ZIPF_SCAN_HALF] = "zipf, half a scan",
	[TRACE_HOT_SCAN] = "hot set among scans",
	[TRACE_ZIPF_LOOP] = "zipf and a loop",
	[TRACE_LOOP_LARGE] = "loop of 5/4",
	[TRACE_LOOP_SMALL] = "loop of 3/4",
	[TRACE_PHASES] = "phases",
	[TRACE_WINDOW] = "sliding window",
	[TRACE_UNIFORM] = "uniform",
	[TRACE_REUSE] = "reuse distances",
	[TRACE_DRIFT] = "zipf that drifts",
};

const char *
trace_name(enum trace trace)
{
	return names[trace];
}

struct zipf {
	uint64_t count;
	double *below; // probability of a number up to this one
};

static void
zipf_init(struct zipf *zipf, uint64_t count, double exponent)
{
	double sum = 0;

	*zipf = (struct zipf){.count = count, .below = malloc(count * sizeof(double))};
	CHECK(zipf->below != NULL);
	for (uint64_t i = 0; i < count; i++)
		zipf->below[i] = sum += pow((double)(i + 1), -exponent);
	for (uint64_t i = 0; i < count; i++)
		zipf->below[i] /= sum;
}

static uint64_t
zipf_next(const struct zipf *zipf, struct rng *rng)
{
	double chance = (double)(rng_next(rng) >> 11) / (double)(UINT64_C(1) << 53);
	uint64_t low = 0, high = zipf->count - 1;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (zipf->below[middle] < chance)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

// A block whose last access was ${distance} accesses ago, on average 0.4 of the cache, or a new one.
static uint64_t
reuse_next(const uint64_t *trace, uint64_t i, uint64_t blocks, struct rng *rng)
{
	uint64_t distance = rng_exponential(rng, blocks * 2 / 5) + 1;

	return distance > i || rng_chance(rng, 10) ? SCAN_FIRST + i : trace[i - distance];
}

static uint64_t
next(enum trace trace, const uint64_t *made, uint64_t i, uint64_t blocks, const struct zipf *zipf, struct rng *rng)
{
	switch (trace) {
	case TRACE_ZIPF_SCAN:
		return i % (15 * blocks) < 12 * blocks ? zipf_next(zipf, rng) : SCAN_FIRST + i;
	case TRACE_ZIPF_SCAN_HALF:
		return i % 2 == 0 ? zipf_next(zipf, rng) : SCAN_FIRST + i;
	case TRACE_HOT_SCAN:
		return i % (5 * blocks / 2) < blocks / 2 ? zipf_next(zipf, rng) : SCAN_FIRST + i;
	case TRACE_ZIPF_LOOP:
		return i % 4 != 0 ? zipf_next(zipf, rng) : SCAN_FIRST + i / 4 % (2 * blocks);
	case TRACE_LOOP_LARGE:
		return i % (blocks * 5 / 4);
	case TRACE_LOOP_SMALL:
		return i % (blocks * 3 / 4);
	case TRACE_PHASES:
		return i / (6 * blocks) * blocks + rng_below(rng, blocks / 2);
	case TRACE_WINDOW:
		return i / 10 + rng_below(rng, blocks * 4 / 5);
	case TRACE_UNIFORM:
		return rng_below(rng, 2 * blocks);
	case TRACE_REUSE:
		return reuse_next(made, i, blocks, rng);
	case TRACE_DRIFT:
		return zipf_next(zipf, rng) + i / (5 * blocks / 2) * (blocks / 4);
	default:
		return zipf_next(zipf, rng);
	}
}

uint64_t *
trace_make(enum trace trace, uint64_t blocks, uint64_t length)
{
	static const double exponents[TRACE_COUNT] = {
		[TRACE_ZIPF_07] = 0.7, [TRACE_ZIPF_11] = 1.1, [TRACE_ZIPF_12] = 1.2};
	double exponent = exponents[trace] > 0 ? exponents[trace] : 0.9;
	uint64_t *made = calloc(length, sizeof(*made));
	struct rng rng = {.state = (uint64_t)trace + 1};
	struct zipf zipf;

	CHECK(made != NULL);
	zipf_init(&zipf, trace == TRACE_HOT_SCAN ? blocks / 2 : ZIPF_TIMES * blocks, exponent);
	for (uint64_t i = 0; i < length; i++)
		made[i] = next(trace, made, i, blocks, &zipf, &rng);
	free(zipf.below);
	return made;
}

// The next number of the file at ${bytes}. False: the end.
static bool
read_number(const uint8_t **bytes, const uint8_t *end, uint64_t *ret)
{
	unsigned shift = 0;

	*ret = 0;
	while (*bytes < end) {
		uint8_t byte = *(*bytes)++;

		*ret |= (uint64_t)(byte & 127) << shift;
		if (byte < 128)
			return true;
		shift += 7;
	}
	return false;
}

static void
add(struct recorded *recorded, uint64_t block, bool write)
{
	if ((recorded->length & (recorded->length - 1)) == 0) {
		uint64_t capacity = recorded->length == 0 ? 1 : 2 * recorded->length;

		recorded->blocks = realloc(recorded->blocks, capacity * sizeof(*recorded->blocks));
		recorded->writes = realloc(recorded->writes, capacity * sizeof(*recorded->writes));
		CHECK(recorded->blocks != NULL && recorded->writes != NULL);
	}
	recorded->blocks[recorded->length] = block;
	recorded->writes[recorded->length++] = write;
}

static int
block_compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static uint64_t
count_different(const struct recorded *recorded)
{
	uint64_t *sorted = malloc(recorded->length * sizeof(*sorted)), count = 1;

	CHECK(sorted != NULL);
	memcpy(sorted, recorded->blocks, recorded->length * sizeof(*sorted));
	qsort(sorted, recorded->length, sizeof(*sorted), block_compare);
	for (uint64_t i = 1; i < recorded->length; i++)
		count += sorted[i] != sorted[i - 1];
	free(sorted);
	return count;
}

void
recorded_load(struct recorded *recorded, const char *path)
{
	enum { SIZE_MAX_OF_FILE = 1 << 20 };
	uint8_t *bytes = malloc(SIZE_MAX_OF_FILE);
	const uint8_t *at = bytes + 8;
	FILE *file = fopen(path, "rb");
	uint64_t block = 0, count, distance;
	size_t size;

	CHECK(bytes != NULL && file != NULL);
	size = fread(bytes, 1, SIZE_MAX_OF_FILE, file);
	CHECK(size > 8 && size < SIZE_MAX_OF_FILE && memcmp(bytes, "hvfstrc1", 8) == 0);
	fclose(file);
	*recorded = (struct recorded){0};
	while (read_number(&at, bytes + size, &count) && read_number(&at, bytes + size, &distance)) {
		block += distance % 2 == 0 ? distance / 2 : -(distance / 2 + 1);
		for (uint64_t i = 0; i < count / 2; i++)
			add(recorded, block++, count % 2 == 1);
	}
	free(bytes);
	recorded->different = count_different(recorded);
}

void
recorded_fini(struct recorded *recorded)
{
	free(recorded->blocks);
	free(recorded->writes);
}
