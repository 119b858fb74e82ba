// SPDX-License-Identifier: MIT
// How large a core may become, whatever its neighbours say: nothing may grow but by what the configuration allows each
// of them, by what the core holds from above, and by what waits for the storage. And what is counted twice is equal.
#include "core/check.h"
#include "core/state.h"
#include "tests/fuzz/fuzz_node.h"

enum {
	SLACK = 64,
	ACTIONS_EACH = 8, // things that may happen to one block, want or link in one step
	CLEAN_VICTIMS = 64,
};

static uint64_t
barrier_count(const struct core *core)
{
	uint64_t count = 0;

	for (uint32_t i = 0; i < core->volume_count; i++)
		for (const struct barrier *barrier = core->volumes[i]->barriers; barrier != NULL;
		     barrier = barrier->next)
			count++;
	return count;
}

// Everything that one step may go through.
static uint64_t
weight(const struct core *core)
{
	return core->table.entries.used + core->table.works.used + core->table.wants.used +
	       core->directory.records.used + barrier_count(core) + core->pending_connect_count + core->child_count +
	       core->volume_count * SLOTS + NODE_IOS;
}

static uint64_t
io_blocks(const struct fuzz_node *node, const struct event *event)
{
	struct volume_info info;

	if (event->type != EVENT_IO || event->io->kind == IO_SYNC)
		return 0;
	core_volume_info(node->core, event->io->volume, node->now, &info);
	return info.block_size == 0 ? 0 : event->io->size / info.block_size + 2;
}

uint64_t
fuzz_bounds_before(const struct fuzz_node *node, const struct event *event)
{
	uint64_t blocks = event->type == EVENT_MESSAGE ? event->message->count : io_blocks(node, event);

	return weight(node->core) + blocks + event->count;
}

static void
check_actions(const struct fuzz_node *node, uint64_t before)
{
	uint64_t after = weight(node->core);

	CHECK(actions_count(node->actions) <= SLACK + ACTIONS_EACH * (before + after + node->config.readahead_blocks));
}

// Sessions and requests of children.
struct children {
	uint64_t sessions;
	uint64_t connected;
	uint64_t wants; // that they may have here
};

static void
check_children(const struct fuzz_node *node, struct children *ret)
{
	struct core *core = node->core;
	uint64_t pending = 0, wants = 0, records = 0;

	*ret = (struct children){0};
	for (uint32_t i = 0; i < core->child_count; i++) {
		const struct child *child = core->children[i];

		if (!child->in_use)
			continue;
		ret->sessions++;
		ret->connected += child->link >= 0;
		CHECK(child->pending <= LIMIT_CREDITS && (child->link >= 0 || child->pending == 0));
		CHECK(child->link < 0 || core->links[child->link]->child_of[child->volume] == (int32_t)i);
		pending += child->pending;
		records += child->dir.blocks_read + child->dir.blocks_write;
	}
	for (uint32_t i = 1; i < core->table.wants.next; i++)
		wants += pool_is_used(&core->table.wants, i) && table_want(&core->table, i)->kind >= WANT_GET;
	CHECK(pending <= wants && records == core->directory.records.used);
	CHECK(ret->sessions <= LIMIT_CHILDREN && ret->connected <= (uint64_t)SLOTS * core->volume_count);
	CHECK(core->pending_connect_count <= (uint64_t)SLOTS * core->volume_count);
	// As many FLUSHes may wait for an answer as blocks may be asked for; one barrier costs as much as a block.
	ret->wants = 2 * (uint64_t)core->config.credits * (ret->connected + 1);
}

static void
check_lists(const struct core *core, uint64_t bound)
{
	for (uint32_t i = 0; i < core->link_capacity; i++)
		CHECK(core->links[i] == NULL || core->links[i]->waiting.count <= bound);
	for (uint32_t i = 0; i < core->volume_count; i++)
		CHECK(core->volumes[i]->dirty_wait.count <= bound && core->volumes[i]->read_wait.count <= bound);
	for (uint32_t i = 0; i < core->child_count; i++)
		CHECK(core->children[i]->place_wait.count <= bound);
	CHECK(core->parent.waiting.count <= bound && core->retry.count <= bound);
	CHECK(core->released.count < RELEASE_BATCH && core->opened.count == 0);
}

// An entry must say something.
static void
check_table(const struct fuzz_node *node)
{
	const struct core *core = node->core;
	struct stack_stats stats;
	uint64_t copies = 0, held = 0, pinned = 0;

	for (uint32_t i = 1; i < core->table.entries.next; i++) {
		const struct entry *entry = table_entry(&core->table, i);

		if (!pool_is_used(&core->table.entries, i))
			continue;
		CHECK(entry->copy != COPY_ABSENT || entry->dir != 0 || entry->work != 0 || entry->held != PERM_NO ||
		      entry->releasing);
		copies += entry->copy != COPY_ABSENT;
		pinned += entry->copy >= COPY_UNSTABLE;
		held += entry->held != PERM_NO;
	}
	stack_get_stats(node->cache, &stats);
	CHECK(copies == stats.entries + stats.victims && stats.victims <= CLEAN_VICTIMS + pinned);
	for (uint32_t i = 0; i < core->volume_count; i++)
		held -= core->volumes[i]->held_read + core->volumes[i]->held_write;
	CHECK(held == 0);
}

// Buffers that nobody has any more would never come back.
static void
check_buffers(const struct fuzz_node *node)
{
	const struct core *core = node->core;
	struct stack_stats stats;
	uint64_t used = 0, owned;

	stack_get_stats(node->cache, &stats);
	owned = stats.entries + stats.victims;
	for (int i = 0; i < POOLS; i++)
		used += core->pools[i] != NULL ? buf_pool_used(core->pools[i]) : 0;
	for (uint32_t i = 1; i < core->table.wants.next; i++)
		owned += pool_is_used(&core->table.wants, i) && table_want(&core->table, i)->buf != NULL;
	for (uint32_t i = 1; i < core->table.works.next; i++)
		owned += pool_is_used(&core->table.works, i) &&
			 ((struct work *)pool_get(&core->table.works, i))->put_buf != NULL;
	for (const struct fuzz_op *op = node->ops; op != NULL; op = op->next)
		owned += op->count;
	for (size_t i = 0; i < actions_count(node->actions); i++) { // they are returned after this
		const struct action *action = actions_get(node->actions, i);

		owned += (action->buf != NULL) + (action->old != NULL) + action->count +
			 (action->message != NULL ? action->message->count : 0);
	}
	CHECK(used <= owned + LIMIT_RUN_BLOCKS); // a message that is being delivered
}

// Wants of the driver and of read-ahead are as many as there are blocks in them. What remains: claims, FLUSHes that
// wait for an answer, and requests that were given up and have not left their queues yet.
static void
check_wants(const struct fuzz_node *node, const struct children *children)
{
	const struct core *core = node->core;
	uint64_t left = 0, claims = 0, pinned = 0;

	for (uint32_t i = 1; i < core->table.wants.next; i++) {
		const struct want *want = table_want(&core->table, i);

		if (!pool_is_used(&core->table.wants, i))
			continue;
		left += want->kind == WANT_NONE;
		claims += want->kind == WANT_RECOVER;
	}
	for (uint32_t i = 0; i < core->volume_count; i++)
		pinned += core->volumes[i]->dirty_count + core->volumes[i]->unstable_count;
	// Each child may wait for each block that is not yet above.
	CHECK(left <= SLACK + children->wants + node->given_up + pinned * children->connected);
	CHECK(claims <= LIMIT_CLAIMS);
	CHECK(barrier_count(core) <= SLACK + children->wants + NODE_IOS);
}

// Does a block wait for something that nobody wants any more?
static bool
is_stale(const struct work *work)
{
	bool waits = work->wait_room || work->wait_dirty || work->wait_read || work->ask == ASK_WAITING;
	bool wanted = work->want_head != 0 || work->claim_head != 0 || work->sync_head != 0 || work->claim;

	return waits && !wanted && !work->recall_open && !work->in_dirty && !work->again && !work->flushing &&
	       !work->store_reading && work->unstable == UNSTABLE_NOT;
}

static void
check_waiting(const struct fuzz_node *node, const struct children *children)
{
	const struct core *core = node->core;
	int32_t parent = core->parent.link;
	uint64_t stale = 0;

	// A parent that does not read is soon held for dead.
	if (parent >= 0 && core->links[parent]->queued >= LIMIT_LINK_DATA_SIZE)
		return;
	for (uint32_t i = 1; i < core->table.works.next; i++)
		stale += pool_is_used(&core->table.works, i) && is_stale(pool_get(&core->table.works, i));
	CHECK(stale <= SLACK + children->wants + node->given_up);
}

// Store reads go on although whoever asked has left: there are not too many of them.
static void
check_store(const struct fuzz_node *node)
{
	const struct core *core = node->core;
	uint64_t ops = 0, blocks = 0, reading = 0;

	for (const struct fuzz_op *op = node->ops; op != NULL; op = op->next) {
		ops += op->type != ACTION_EVICT && op->type != ACTION_END_GRACE;
		blocks += op->type == ACTION_STORE_READ ? op->count : 0;
	}
	for (uint32_t i = 0; i < core->volume_count; i++) {
		CHECK(core->volumes[i]->reading <= READ_WINDOW);
		reading += core->volumes[i]->reading;
	}
	CHECK(core->store_ops.used == ops && reading == blocks);
}

// Names are kept once, as long as somebody uses them.
static void
check_claimants(const struct core *core)
{
	uint64_t uses = 0, evictions = 0;

	CHECK(core->claimant_count <= LIMIT_CLAIMANTS);
	for (uint32_t i = 0; i < core->volume_count; i++)
		CHECK(core->volumes[i]->evicted_count <= LIMIT_EVICTIONS);
	for (uint32_t i = 0; i < core->claimant_count; i++)
		uses += core->claimants[i].uses;
	for (uint32_t i = 1; i < core->table.wants.next; i++)
		uses -= pool_is_used(&core->table.wants, i) && table_want(&core->table, i)->claimant != 0;
	for (uint32_t i = 1; i < core->table.works.next; i++)
		uses -= pool_is_used(&core->table.works, i) &&
			((const struct work *)pool_get(&core->table.works, i))->recall_mover != 0;
	CHECK(uses == 0);
	for (const struct eviction *eviction = core->evictions; eviction != NULL; eviction = eviction->next)
		evictions++;
	CHECK(evictions <= (uint64_t)LIMIT_CLAIMANTS * core->volume_count + core->child_count);
}

// What this node asks its parent for, its own and its children's, is within what the parent has allowed (R15).
static void
check_credits(struct fuzz_node *node)
{
	const struct core *core = node->core;
	uint64_t own = 0;

	for (uint32_t i = 1; i < core->table.works.next; i++) {
		const struct work *work = pool_get(&core->table.works, i);

		if (pool_is_used(&core->table.works, i))
			own += work->ask == ASK_SENT;
	}
	if (core->parent.credits > node->credits_max || core->parent.link < 0)
		node->credits_max =
			core->parent.credits; // what was asked before it allowed less may still be under way
	CHECK(own == core->parent.outstanding && own <= node->credits_max);
}

void
fuzz_bounds_check(struct fuzz_node *node, uint64_t before)
{
	const struct core *core = node->core;
	struct children children;

	core_check(node->core);
	check_actions(node, before);
	check_children(node, &children);
	check_wants(node, &children);
	check_waiting(node, &children);
	check_claimants(core);
	check_credits(node);
	check_table(node);
	check_buffers(node);
	check_store(node);
	CHECK(core->volume_count <= LIMIT_VOLUMES);
	check_lists(core,
		    4 * LIMIT_RUN_BLOCKS + children.wants + 2 * (core->table.wants.used + core->table.entries.used));
}
