// SPDX-License-Identifier: MIT
#include "tests/unit/cache_help.h"
#include "core/check.h"

#include <string.h>

struct level_config
cache_level(uint64_t blocks, uint32_t ways, enum hash hash, enum policy policy)
{
	return (struct level_config){
		.size = blocks * CACHE_BLOCK_SIZE, .ways = ways, .hash = hash, .policy = policy};
}

static void
on_evicted(void *arg, block_key key)
{
	struct cache_fixture *fix = arg;

	if (fix->evicted_count < CACHE_EVICTED_MAX)
		fix->evicted[fix->evicted_count] = key;
	fix->evicted_count++;
}

void
cache_setup(struct cache_fixture *fix, const struct level_config *levels, uint32_t count)
{
	*fix = (struct cache_fixture){.pool = buf_pool_create(CACHE_BLOCK_SIZE)};
	fix->stack = stack_create(CACHE_BLOCK_SIZE, levels, count);
	fix->copies = stack_copies(fix->stack);
	fix->copies.ops->on_evicted(fix->copies.self, on_evicted, fix);
}

void
cache_teardown(struct cache_fixture *fix)
{
	stack_check(fix->stack);
	stack_destroy(fix->stack);
	CHECK(buf_pool_used(fix->pool) == 0);
	buf_pool_destroy(fix->pool);
}

void
cache_put(struct cache_fixture *fix, block_key key, bool dirty)
{
	struct buf *buf = buf_alloc(fix->pool);

	memcpy(buf_bytes(buf), &key, sizeof(key));
	fix->copies.ops->put(fix->copies.self, key, buf, dirty);
	buf_unref(buf);
}

bool
cache_get(struct cache_fixture *fix, block_key key)
{
	struct buf *buf = fix->copies.ops->get(fix->copies.self, key);

	CHECK(buf == NULL || memcmp(buf_bytes(buf), &key, sizeof(key)) == 0);
	return buf != NULL;
}

bool
cache_read(struct cache_fixture *fix, block_key key)
{
	if (cache_get(fix, key))
		return true;
	fix->copies.ops->missed(fix->copies.self);
	cache_put(fix, key, false);
	CHECK(cache_get(fix, key));
	return false;
}

void
cache_write(struct cache_fixture *fix, block_key key)
{
	cache_put(fix, key, true);
	fix->copies.ops->set_dirty(fix->copies.self, key, false);
}

double
cache_hit_ratio(const uint64_t *trace, const bool *writes, uint64_t length, uint64_t blocks, uint32_t ways,
		enum policy policy)
{
	struct level_config level = cache_level(blocks, ways, HASH_MURMUR, policy);
	struct cache_fixture fix;
	uint64_t hits = 0, reads = 0;

	cache_setup(&fix, &level, 1);
	for (uint64_t i = 0; i < length; i++) {
		if (writes != NULL && writes[i]) {
			cache_write(&fix, trace[i]);
			continue;
		}
		hits += cache_read(&fix, trace[i]);
		reads++;
	}
	cache_teardown(&fix);
	return (double)hits / (double)reads;
}

struct stack_level_stats
cache_level_stats(const struct cache_fixture *fix, uint32_t position)
{
	struct stack_level_stats stats;

	stack_get_level_stats(fix->stack, position, &stats);
	return stats;
}

struct stack_stats
cache_stats(const struct cache_fixture *fix)
{
	struct stack_stats stats;

	stack_get_stats(fix->stack, &stats);
	return stats;
}
