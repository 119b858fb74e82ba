// SPDX-License-Identifier: MIT
// A group keeps its entries in order of use: way 0 is the most recently used, so a hit moves its entry to the front and
// the last clean entry is the one to evict. No age is stored; an entry costs 16 bytes. Tags are key + 1: an empty
// entry is 0, so fresh zeroed memory is an empty cache and costs nothing until used. Dirty is the low bit of the
// pointer.
//
// Two bounds hold: entries (groups x ways) and bytes of data. Blocks of zeros take an entry but no bytes; blocks larger
// than the cache was made for reach the byte bound first: then a hand goes round the groups and evicts their last
// clean entries.
#include "cache/set_cache.h"
#include "core/check.h"
#include "core/limits.h"
#include "core/memory.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum { WAYS_DEFAULT = 8, WAYS_MAX = 256, CLEAN_VICTIMS_MAX = 64 };

#define DIRTY_BIT ((uintptr_t)1)

struct way {
	uint64_t tag;  // key + 1; 0: empty
	uintptr_t buf; // struct buf *, DIRTY_BIT
};

// A copy that found its group full of dirty blocks (S28). A dirty one leaves when it becomes clean; of clean ones, a
// few are kept so that a block just fetched can be used.
struct victim {
	block_key key;
	struct buf *buf;
	bool dirty;
	UT_hash_handle hh;
};

struct set_cache {
	struct way *ways; // group after group
	uint64_t group_count;
	uint32_t way_count;
	uint64_t hand;          // group from which the byte bound evicts next
	struct victim *victims; // oldest first
	uint32_t clean_victims;
	void (*evicted)(void *arg, block_key key);
	void *evicted_arg;
	struct set_cache_stats stats;
};

static struct buf *
way_buf(const struct way *way)
{
	return (struct buf *)(way->buf & ~DIRTY_BIT);
}

static bool
way_dirty(const struct way *way)
{
	return (way->buf & DIRTY_BIT) != 0;
}

static struct way *
group_of(const struct set_cache *cache, block_key key)
{
	// Fibonacci hashing; the high bits choose. Sixteen neighbours get groups side by side: close in memory, and
	// never all in one group.
	uint64_t hash = (key / 16 + 1) * UINT64_C(0x9e3779b97f4a7c15);
	uint64_t group = (uint64_t)(((__uint128_t)hash * cache->group_count) >> 64) + key % 16;

	group %= cache->group_count;
	return &cache->ways[group * cache->way_count];
}

static struct way *
way_find(const struct set_cache *cache, struct way *group, block_key key)
{
	for (uint32_t i = 0; i < cache->way_count; i++)
		if (group[i].tag == key + 1)
			return &group[i];
	return NULL;
}

static struct victim *
victim_find(const struct set_cache *cache, block_key key)
{
	struct victim *victim = NULL;

	if (cache->victims != NULL)
		HASH_FIND(hh, cache->victims, &key, sizeof(key), victim);
	return victim;
}

static void
victim_remove(struct set_cache *cache, struct victim *victim)
{
	HASH_DELETE(hh, cache->victims, victim);
	cache->clean_victims -= !victim->dirty;
	cache->stats.victims--;
	cache->stats.used -= buf_size(victim->buf);
	buf_unref(victim->buf);
	free(victim);
}

static void
victim_evict(struct set_cache *cache, struct victim *victim)
{
	block_key key = victim->key;

	victim_remove(cache, victim);
	cache->stats.evictions++;
	if (cache->evicted != NULL)
		cache->evicted(cache->evicted_arg, key);
}

static void
victim_put(struct set_cache *cache, block_key key, struct buf *buf, bool dirty)
{
	struct victim *victim = cache->victims, *next;

	for (; cache->clean_victims >= CLEAN_VICTIMS_MAX && victim != NULL; victim = next) {
		next = victim->hh.next;
		if (!victim->dirty)
			victim_evict(cache, victim);
	}
	victim = calloc(1, sizeof(*victim));
	CHECK(victim != NULL);
	victim->key = key;
	victim->buf = buf_ref(buf);
	victim->dirty = dirty;
	cache->clean_victims += !dirty;
	HASH_ADD(hh, cache->victims, key, sizeof(victim->key), victim);
	cache->stats.victims++;
	cache->stats.used += buf_size(buf);
}

static void
way_clear(struct set_cache *cache, struct way *way)
{
	cache->stats.used -= buf_size(way_buf(way));
	cache->stats.entries--;
	buf_unref(way_buf(way));
	*way = (struct way){0};
}

static void
way_evict(struct set_cache *cache, struct way *way)
{
	block_key key = way->tag - 1;

	way_clear(cache, way);
	cache->stats.evictions++;
	if (cache->evicted != NULL)
		cache->evicted(cache->evicted_arg, key);
}

static void
way_to_front(struct way *group, struct way *way)
{
	struct way moved = *way;

	if (way == group)
		return;
	memmove(group + 1, group, (size_t)((char *)way - (char *)group));
	*group = moved;
}

// An empty way of ${group}, made by evicting the least recently used clean entry if need be; NULL: all are dirty.
static struct way *
group_room(struct set_cache *cache, struct way *group)
{
	struct way *last_clean = NULL;

	for (uint32_t i = 0; i < cache->way_count; i++) {
		if (group[i].tag == 0)
			return &group[i];
		if (!way_dirty(&group[i]))
			last_clean = &group[i];
	}
	if (last_clean != NULL)
		way_evict(cache, last_clean);
	return last_clean;
}

// Keep within the byte bound: the hand takes the last clean entry of group after group, at most once round.
static void
bytes_bound(struct set_cache *cache, block_key keep)
{
	for (uint64_t n = 0; cache->stats.used > cache->stats.size && n < cache->group_count; n++) {
		struct way *group = &cache->ways[cache->hand * cache->way_count];

		cache->hand = (cache->hand + 1) % cache->group_count;
		for (uint32_t i = cache->way_count; i-- > 0;) {
			struct way *way = &group[i];

			if (way->tag == 0 || way_dirty(way) || way->tag == keep + 1 || buf_size(way_buf(way)) == 0)
				continue;
			way_evict(cache, way);
			break;
		}
	}
}

static struct buf *
copies_get(void *self, block_key key)
{
	struct set_cache *cache = self;
	struct way *group = group_of(cache, key);
	struct way *way = way_find(cache, group, key);
	struct victim *victim;

	if (way != NULL) {
		cache->stats.hits++;
		way_to_front(group, way);
		return way_buf(group);
	}
	victim = victim_find(cache, key);
	if (victim != NULL) {
		cache->stats.hits++;
		return victim->buf;
	}
	return NULL;
}

static void
way_replace(struct set_cache *cache, struct way *way, struct buf *buf, bool dirty)
{
	struct buf *old = way_buf(way);

	cache->stats.used += buf_size(buf);
	way->buf = (uintptr_t)buf_ref(buf) | (dirty ? DIRTY_BIT : 0);
	if (old != NULL) {
		cache->stats.used -= buf_size(old);
		buf_unref(old);
	}
}

static void
copies_put(void *self, block_key key, struct buf *buf, bool dirty)
{
	struct set_cache *cache = self;
	struct way *group = group_of(cache, key);
	struct way *way = way_find(cache, group, key);
	struct victim *victim;

	buf_ref(buf); // the old copy may be this very buffer
	if (way == NULL) {
		victim = victim_find(cache, key);
		if (victim != NULL)
			victim_remove(cache, victim);
		way = group_room(cache, group);
		if (way != NULL) {
			way->tag = key + 1;
			cache->stats.entries++;
		}
	}
	if (way == NULL) {
		victim_put(cache, key, buf, dirty);
	} else {
		way_replace(cache, way, buf, dirty);
		way_to_front(group, way);
	}
	buf_unref(buf);
	bytes_bound(cache, key);
}

static void
copies_set_dirty(void *self, block_key key, bool dirty)
{
	struct set_cache *cache = self;
	struct way *way = way_find(cache, group_of(cache, key), key);
	struct victim *victim;

	if (way != NULL) {
		way->buf = dirty ? way->buf | DIRTY_BIT : way->buf & ~DIRTY_BIT;
		return;
	}
	victim = victim_find(cache, key);
	if (victim == NULL || victim->dirty == dirty)
		return;
	if (!dirty) {
		victim_evict(cache, victim);
		return;
	}
	victim->dirty = true;
	cache->clean_victims--;
}

static void
copies_drop(void *self, block_key key)
{
	struct set_cache *cache = self;
	struct way *group = group_of(cache, key);
	struct way *way = way_find(cache, group, key);
	struct victim *victim;

	if (way != NULL) {
		way_clear(cache, way);
		return;
	}
	victim = victim_find(cache, key);
	if (victim != NULL)
		victim_remove(cache, victim);
}

static bool
copies_digest(void *self, block_key key, size_t size, uint8_t ret[BLOCK_DIGEST_SIZE])
{
	struct buf *buf = copies_get(self, key);

	if (buf == NULL)
		return false;
	CHECK(crypto_generichash(ret, BLOCK_DIGEST_SIZE, buf_bytes(buf), size, NULL, 0) == 0);
	return true;
}

static void
copies_missed(void *self)
{
	struct set_cache *cache = self;

	cache->stats.misses++;
}

static void
copies_on_evicted(void *self, void (*fn)(void *arg, block_key key), void *arg)
{
	struct set_cache *cache = self;

	cache->evicted = fn;
	cache->evicted_arg = arg;
}

static uint64_t
copies_capacity(void *self, size_t block_size)
{
	struct set_cache *cache = self;
	uint64_t entries = cache->group_count * cache->way_count;
	uint64_t by_size = cache->stats.size / block_size;

	return by_size < 1 ? 1 : by_size < entries ? by_size : entries;
}

static const struct copies_ops copies_ops = {
	.get = copies_get,
	.put = copies_put,
	.set_dirty = copies_set_dirty,
	.drop = copies_drop,
	.digest = copies_digest,
	.missed = copies_missed,
	.on_evicted = copies_on_evicted,
	.capacity = copies_capacity,
};

struct set_cache *
set_cache_create(uint64_t size, uint32_t block_size, uint32_t ways)
{
	struct set_cache *cache = calloc(1, sizeof(*cache));
	uint64_t entries = size / block_size;

	CHECK(cache != NULL && block_size >= LIMIT_BLOCK_SIZE_MIN && ways <= WAYS_MAX);
	cache->way_count = ways ? ways : WAYS_DEFAULT;
	if (entries < 1)
		entries = 1;
	if (cache->way_count > entries)
		cache->way_count = (uint32_t)entries;
	cache->group_count = entries / cache->way_count;
	cache->ways = memory_table(cache->group_count * cache->way_count * sizeof(*cache->ways));
	cache->stats.size = size;
	return cache;
}

void
set_cache_destroy(struct set_cache *cache)
{
	if (cache == NULL)
		return;
	for (uint64_t i = 0; i < cache->group_count * cache->way_count; i++)
		if (cache->ways[i].tag != 0)
			way_clear(cache, &cache->ways[i]);
	while (cache->victims != NULL)
		victim_remove(cache, cache->victims);
	free(cache->ways);
	free(cache);
}

struct copies
set_cache_copies(struct set_cache *cache)
{
	return (struct copies){.ops = &copies_ops, .self = cache};
}

void
set_cache_get_stats(const struct set_cache *cache, struct set_cache_stats *ret)
{
	*ret = cache->stats;
	// What was missed has been looked up too, once it was there.
	ret->hits = ret->hits > ret->misses ? ret->hits - ret->misses : 0;
}
