// SPDX-License-Identifier: MIT
// SHARDS with a sample of fixed size (Waldspurger et al., FAST 2015). A block is in the sample when its hash is below a
// limit, so that all its uses are seen, or none. The reuse distance of a use is how many other sampled blocks were used
// since the last one; divided by the share of blocks that are sampled it estimates the distance among all. LRU of a
// size hits whenever the distance is smaller. When there are too many blocks in the sample those with the highest
// hashes go, and the limit comes down to them. It begins where it would come for a user of twice as many blocks as the
// cache has: what costs is a use of a sampled block.
//
// Distances are counted in a tree of sums (Fenwick) over the order of last uses; when its end is reached the order is
// numbered anew. Their histogram has sixteen steps to each power of two. What is known is halved now and then, so that
// it follows what users do.
#include "cache/advise.h"
#include "cache/hash.h"
#include "core/check.h"
#include "core/limits.h"

#include <stdlib.h>
#include <string.h>

enum {
	KEYS_MAX = 8192,             // blocks in the sample
	TIMES = 2 * KEYS_MAX,        // places in the order of last uses
	BUCKETS = 61 * 16,           // of the histogram
	HALVE_AFTER = 16 * KEYS_MAX, // sampled uses
};

struct sample {
	block_key key;
	uint64_t hash;
	uint32_t time;
	uint16_t next; // with the same head
	bool fresh;    // brought, and not yet used by who wanted it
};

struct advise {
	uint64_t limit; // a hash above is not sampled
	struct sample samples[KEYS_MAX];
	uint16_t heads[KEYS_MAX]; // 1 + sample; 0: none
	uint16_t heap[KEYS_MAX];  // samples, the highest hash first
	uint16_t at[TIMES + 1];   // 1 + sample whose last use has this place; 0: none
	uint16_t sums[TIMES + 1]; // tree over at[]
	uint32_t count, time;
	uint32_t since_halved;
	double buckets[BUCKETS]; // uses by distance, sampled ones standing for all
	double counted;          // uses that the sampled ones stand for: those, and of what had never been used
	double uses;             // all that there were
};

static_assert(KEYS_MAX + 1 < UINT16_MAX, "samples have 16-bit indices");

struct advise *
advise_create(uint64_t blocks)
{
	struct advise *advise = calloc(1, sizeof(*advise));

	CHECK(advise != NULL);
	advise->limit = blocks > KEYS_MAX / 2 ? UINT64_MAX / blocks * (KEYS_MAX / 2) : UINT64_MAX;
	return advise;
}

void
advise_destroy(struct advise *advise)
{
	free(advise);
}

// What one sampled block stands for.
static double
weight(const struct advise *advise)
{
	return (double)UINT64_MAX / (double)advise->limit;
}

static void
sums_add(struct advise *advise, uint32_t time, int change)
{
	for (; time <= TIMES; time += time & -time)
		advise->sums[time] = (uint16_t)(advise->sums[time] + change);
}

static uint32_t
sums_up_to(const struct advise *advise, uint32_t time)
{
	uint32_t sum = 0;

	for (; time > 0; time -= time & -time)
		sum += advise->sums[time];
	return sum;
}

static void
number_anew(struct advise *advise)
{
	advise->time = 0;
	for (uint32_t time = 1; time <= TIMES; time++) {
		uint16_t sample = advise->at[time];

		advise->at[time] = 0;
		if (sample == 0)
			continue;
		advise->at[++advise->time] = sample;
		advise->samples[sample - 1].time = advise->time;
	}
	memset(advise->sums, 0, sizeof(advise->sums));
	for (uint32_t time = 1; time <= TIMES; time++) {
		uint32_t parent = time + (time & -time);

		advise->sums[time] += advise->at[time] != 0;
		if (parent <= TIMES)
			advise->sums[parent] += advise->sums[time];
	}
}

static void
place_last(struct advise *advise, uint16_t sample)
{
	if (advise->time == TIMES)
		number_anew(advise);
	advise->time++;
	advise->samples[sample].time = advise->time;
	advise->at[advise->time] = (uint16_t)(sample + 1);
	sums_add(advise, advise->time, 1);
}

static void
unplace(struct advise *advise, uint16_t sample)
{
	uint32_t time = advise->samples[sample].time;

	advise->at[time] = 0;
	sums_add(advise, time, -1);
}

// ---- The sample ----

static uint16_t *
head_of(struct advise *advise, uint64_t hash)
{
	return &advise->heads[hash % KEYS_MAX];
}

static struct sample *
sample_find(struct advise *advise, block_key key, uint64_t hash)
{
	for (uint16_t i = *head_of(advise, hash); i != 0; i = advise->samples[i - 1].next)
		if (advise->samples[i - 1].key == key)
			return &advise->samples[i - 1];
	return NULL;
}

static bool
is_higher(const struct advise *advise, uint32_t a, uint32_t b)
{
	return advise->samples[advise->heap[a]].hash > advise->samples[advise->heap[b]].hash;
}

static void
heap_swap(struct advise *advise, uint32_t a, uint32_t b)
{
	uint16_t sample = advise->heap[a];

	advise->heap[a] = advise->heap[b];
	advise->heap[b] = sample;
}

static void
heap_push(struct advise *advise, uint16_t sample)
{
	uint32_t i = advise->count++;

	advise->heap[i] = sample;
	for (; i > 0 && is_higher(advise, i, (i - 1) / 2); i = (i - 1) / 2)
		heap_swap(advise, i, (i - 1) / 2);
}

static uint16_t
heap_pop(struct advise *advise)
{
	uint16_t sample = advise->heap[0];
	uint32_t i = 0;

	advise->heap[0] = advise->heap[--advise->count];
	for (;;) {
		uint32_t child = 2 * i + 1;

		if (child >= advise->count)
			return sample;
		if (child + 1 < advise->count && is_higher(advise, child + 1, child))
			child++;
		if (!is_higher(advise, child, i))
			return sample;
		heap_swap(advise, i, child);
		i = child;
	}
}

// The block with the highest hash leaves the sample, which has none like it any more. Its place among the samples.
static uint16_t
sample_lose(struct advise *advise)
{
	uint16_t lost = heap_pop(advise);
	uint16_t *link = head_of(advise, advise->samples[lost].hash);

	while (*link != lost + 1)
		link = &advise->samples[*link - 1].next;
	*link = advise->samples[lost].next;
	unplace(advise, lost);
	advise->limit = advise->samples[lost].hash - 1;
	return lost;
}

static void
sample_add(struct advise *advise, block_key key, uint64_t hash, bool fresh)
{
	uint16_t *head = head_of(advise, hash);
	uint16_t i = (uint16_t)advise->count;

	if (advise->count == KEYS_MAX && hash > advise->samples[advise->heap[0]].hash) {
		advise->limit = hash - 1; // it would be the first to go
		return;
	}
	if (advise->count == KEYS_MAX)
		i = sample_lose(advise);
	advise->samples[i] = (struct sample){.key = key, .hash = hash, .next = *head, .fresh = fresh};
	*head = (uint16_t)(i + 1);
	heap_push(advise, i);
	place_last(advise, i);
}

// ---- Uses ----

static uint32_t
bucket_of(uint64_t distance)
{
	int bits = 64 - __builtin_clzll(distance | 1);
	int shift = bits > 5 ? bits - 5 : 0;

	return (uint32_t)shift * 16 + (uint32_t)(distance >> shift);
}

// The smallest distance of ${bucket}.
static double
bucket_start(uint32_t bucket)
{
	if (bucket < 32)
		return bucket;
	return (double)(bucket % 16 + 16) * (double)(UINT64_C(1) << (bucket / 16 - 1));
}

static void
halve(struct advise *advise)
{
	for (uint32_t i = 0; i < BUCKETS; i++)
		advise->buckets[i] /= 2;
	advise->counted /= 2;
	advise->uses /= 2;
	advise->since_halved = 0;
}

// A sampled block is used; ${fresh}: this was what it has been brought for.
static void
sampled(struct advise *advise, block_key key, uint64_t hash, bool fresh)
{
	struct sample *sample = sample_find(advise, key, hash);
	double distance;

	if (sample != NULL && sample->fresh && !fresh) {
		sample->fresh = false;
		return;
	}
	if (++advise->since_halved >= HALVE_AFTER)
		halve(advise);
	if (sample == NULL) {
		advise->counted += weight(advise);
		sample_add(advise, key, hash, fresh);
		return;
	}
	distance = (advise->count - sums_up_to(advise, sample->time)) * weight(advise);
	advise->buckets[bucket_of((uint64_t)distance)] += weight(advise);
	advise->counted += weight(advise);
	sample->fresh = fresh;
	unplace(advise, (uint16_t)(sample - advise->samples));
	place_last(advise, (uint16_t)(sample - advise->samples));
}

void
advise_use(struct advise *advise, block_key key)
{
	uint64_t hash = hash_mix(key);

	advise->uses++;
	if (hash <= advise->limit)
		sampled(advise, key, hash, false);
}

void
advise_bring(struct advise *advise, block_key key)
{
	uint64_t hash = hash_mix(key);

	if (hash <= advise->limit)
		sampled(advise, key, hash, true);
}

double
advise_uses(const struct advise *advise)
{
	return advise->uses;
}

double
advise_hit_ratio(const struct advise *advise, uint64_t blocks)
{
	// A few blocks that are used all the time are all in the sample, or none: what is too much or too little by
	// that belongs to the shortest distances.
	double hits = advise->uses - advise->counted;

	if (advise->uses <= 0)
		return 0;
	for (uint32_t i = 0; i + 1 < BUCKETS && bucket_start(i) < (double)blocks; i++) {
		double start = bucket_start(i), width = bucket_start(i + 1) - start;
		double part = ((double)blocks - start) / width;

		hits += advise->buckets[i] * (part < 1 ? part : 1);
	}
	return hits < 0 ? 0 : hits > advise->uses ? 1 : hits / advise->uses;
}
