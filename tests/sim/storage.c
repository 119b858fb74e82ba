// SPDX-License-Identifier: MIT
// What a root's performer does on its host: operations of its disks, the record of evictions beside them, the rescue of
// bytes that were given up.
#include "core/check.h"
#include "tests/sim/world.h"

#include <stdlib.h>
#include <string.h>

enum { RECORD_US = 5000 }; // mean time until an eviction is on record

struct store_op {
	struct node *node;
	enum action_type type;
	struct disk *disk;
	uint64_t block;
	uint32_t count;
	uint64_t cookie;
	uint64_t sync_until;
	bool read_done;
	enum hvfs_error error;
	version_t *versions; // of a write
	struct buf *bufs[];  // counted
};

static const char *const store_names[] = {
	[ACTION_STORE_READ] = "read", [ACTION_STORE_WRITE] = "write", [ACTION_STORE_SYNC] = "sync"};

static void
bufs_drop(struct store_op *op)
{
	for (uint32_t i = 0; i < op->count; i++) {
		buf_unref(op->bufs[i]);
		op->bufs[i] = NULL;
	}
}

static void
store_op_free(struct store_op *op)
{
	bufs_drop(op);
	free(op->versions);
	free(op);
}

// Blocks of zeros come as the zero buffer or as a buffer of zeros: a real store may find out or not.
static void
store_read(struct store_op *op)
{
	struct world *world = op->node->world;
	struct buf_pool *pool = core_pool(op->node->core, world->block_size);

	for (uint32_t i = 0; i < op->count; i++) {
		const uint8_t *bytes = disk_read(op->disk, op->block + i);
		bool zero = bytes[0] == 0 && memcmp(bytes, bytes + 1, world->block_size - 1) == 0;

		op->bufs[i] = zero && rng_chance(&world->rng, 70) ? buf_zero() : buf_alloc(pool);
		if (op->bufs[i] != buf_zero())
			memcpy(buf_bytes(op->bufs[i]), bytes, world->block_size);
	}
}

static void
store_tell(void *context, void *arg, uint64_t number)
{
	struct store_op *op = arg;
	struct event event = {.store_cookie = op->cookie, .error = op->error};

	if (world_defer(op->node, store_tell, arg, number))
		return;
	switch (op->type) {
	case ACTION_STORE_READ:
		event.type = EVENT_STORE_READ;
		event.bufs = op->error == ERR_OK ? op->bufs : NULL;
		event.count = op->count;
		break;
	case ACTION_STORE_WRITE:
		event.type = EVENT_STORE_WROTE;
		break;
	default:
		event.type = EVENT_STORE_SYNCED;
		break;
	}
	trace_add(&op->node->world->trace, TRACE_STORE, op->node->world->now, "%s store: %s block=%llu+%u ended%s",
		  op->node->name, store_names[op->type], (unsigned long long)op->block, op->count,
		  op->error != ERR_OK ? " with an error" : "");
	world_step(op->node, &event);
	store_op_free(op);
}

// ---- What the operations do ----

static bool
op_fails(const struct store_op *op, struct rng *rng)
{
	const struct disk *disk = op->disk;

	switch (op->type) {
	case ACTION_STORE_READ:
		return disk->fail_reads > 0 && rng_chance(rng, disk->fail_reads);
	case ACTION_STORE_WRITE:
		return disk->fail_writes > 0 && rng_chance(rng, disk->fail_writes);
	default:
		return disk->fail_syncs || disk->sync_broken;
	}
}

static void
op_fail(struct store_op *op, struct rng *rng)
{
	op->error = ERR_IO;
	if (op->type == ACTION_STORE_WRITE) {
		for (uint32_t i = 0; i < op->count; i++)
			disk_write_part(op->disk, op->block + i, buf_bytes(op->bufs[i]), rng);
	} else if (op->type == ACTION_STORE_SYNC) {
		disk_sync_fail(op->disk, op->sync_until, rng);
	} else {
		bufs_drop(op);
	}
}

// A sync that outlives the process promises nothing to anybody: what it covers need not be in the version log, so that older
// bytes may be taken over it later (F6).
static void
op_do(struct store_op *op)
{
	struct world *world = op->node->world;

	if (op->type == ACTION_STORE_READ && !op->read_done)
		store_read(op);
	for (uint32_t i = 0; op->type == ACTION_STORE_WRITE && i < op->count; i++) {
		disk_write(op->disk, op->block + i, buf_bytes(op->bufs[i]));
		versions_add(&op->disk->versions, op->block + i, op->versions[i]);
	}
	if (op->type == ACTION_STORE_WRITE && world->broken == BREAK_VERSIONS && rng_chance(&world->rng, 50))
		versions_lie(&op->disk->versions);
	if (op->type == ACTION_STORE_SYNC && world->broken != BREAK_SYNC)
		disk_sync_end(op->disk, op->sync_until, !op->node->stopped);
}

static void
store_end(void *context, void *arg, uint64_t number)
{
	struct store_op *op = arg;

	if (op_fails(op, &op->node->world->rng))
		op_fail(op, &op->node->world->rng);
	else
		op_do(op);
	store_tell(context, op, 0);
}

static moment_us
store_end_time(struct store_op *op, uint32_t volume)
{
	struct world *world = op->node->world;
	unsigned mean = op->type == ACTION_STORE_SYNC ? op->disk->sync_us : op->disk->latency_us;
	moment_us span = mean > 0 ? rng_exponential(&world->rng, mean) : 0;
	moment_us at = world->now + (op->disk->slow > 0 ? (span + 1000) * op->disk->slow : span);

	if (op->disk->block_us > 0)
		at = disk_pass(op->disk, world->now, op->block, op->count);
	if (op->type == ACTION_STORE_SYNC) {
		if (at < op->node->sync_end[volume])
			at = op->node->sync_end[volume];
		op->node->sync_end[volume] = at;
	}
	return at;
}

void
storage_begin(struct node *node, const struct action *action)
{
	struct world *world = node->world;
	uint32_t count = action->type == ACTION_STORE_SYNC ? 0 : action->count;
	struct store_op *op = calloc(1, sizeof *op + count * sizeof op->bufs[0]);

	CHECK(op != NULL && action->volume < WORLD_VOLUMES && node->disks[action->volume] != NULL);
	op->node = node;
	op->type = action->type;
	op->disk = node->disks[action->volume];
	op->block = action->block;
	op->count = count;
	op->cookie = action->store_cookie;
	if (action->type == ACTION_STORE_WRITE) {
		op->versions = malloc(count * sizeof *op->versions);
		CHECK(op->versions != NULL);
		memcpy(op->versions, action->versions, count * sizeof *op->versions);
	}
	for (uint32_t i = 0; i < count && action->type == ACTION_STORE_WRITE; i++) {
		op->bufs[i] = buf_ref(action->bufs[i]);
		if (world->seals != NULL)
			seals_stored(node, action->volume, action->block + i, action->versions[i], action->bufs[i]);
	}
	if (action->type == ACTION_STORE_SYNC) {
		op->sync_until = disk_sync_begin(op->disk);
		trace_add(&world->trace, TRACE_STORE, world->now, "%s store sync", node->name);
	} else {
		trace_add(&world->trace, TRACE_STORE, world->now, "%s store %s block=%llu+%u", node->name,
			  store_names[action->type], (unsigned long long)action->block, count);
	}
	if (action->type == ACTION_STORE_READ && op->disk->early_reads) {
		store_read(op);
		op->read_done = true;
	}
	world_at(world, store_end_time(op, action->volume), store_end, op, 0);
}

// ---- What goes on record, and rescues ----

struct record_op {
	struct node *node;
	bool grace; // the end of a grace time, else an eviction
	struct eviction eviction;
	uint64_t cookie;
	uint32_t volume, epoch;
	struct record_reclaims reclaims;
	bool recorded;
};

static void
record_op_free(struct record_op *op)
{
	free(op->reclaims.list);
	free(op);
}

static void
record_write(struct record_op *op)
{
	struct metadata *metadata = &op->node->metadata;
	struct world *world = op->node->world;

	op->recorded = true;
	if (op->grace) {
		metadata->claims_since[op->volume] = op->epoch;
		free(metadata->reclaims[op->volume].list);
		metadata->reclaims[op->volume] = op->reclaims;
		op->reclaims.list = NULL;
		if (world->hooks.grace_over != NULL)
			world->hooks.grace_over(world->hooks.arg, op->node, op->volume);
		return;
	}
	if (metadata->claims_since[op->eviction.volume] == metadata->epoch)
		metadata->reclaims[op->eviction.volume].count = 0; // the block may be given to others now
	metadata->evictions =
		realloc(metadata->evictions, (metadata->eviction_count + 1) * sizeof *metadata->evictions);
	CHECK(metadata->evictions != NULL);
	metadata->evictions[metadata->eviction_count++] = op->eviction;
	world->eviction_count++;
	if (world->hooks.evicted != NULL)
		world->hooks.evicted(world->hooks.arg, op->eviction.node_id);
}

static void
record_end(void *context, void *arg, uint64_t number)
{
	struct record_op *op = arg;

	if (!op->recorded)
		record_write(op);
	if (world_defer(op->node, record_end, arg, number))
		return;
	if (op->grace)
		world_step(op->node, &(struct event){.type = EVENT_GRACE_ENDED, .volume = op->volume});
	else
		world_step(op->node, &(struct event){.type = EVENT_EVICTED, .store_cookie = op->cookie});
	record_op_free(op);
}

void
storage_evict(struct node *node, const struct action *action)
{
	struct world *world = node->world;
	const struct node *evicted = world_find_id(world, action->node_id);
	struct record_op *op = malloc(sizeof *op);

	CHECK(op != NULL);
	*op = (struct record_op){.node = node,
				.eviction = {action->volume, action->node_id, action->session},
				.cookie = action->store_cookie};
	trace_add(&world->trace, TRACE_WORLD, world->now, "%s evicts %s from volume %u", node->name,
		  evicted != NULL ? evicted->name : "a process that is gone", action->volume);
	world_at(world, world->now + 1 + rng_exponential(&world->rng, RECORD_US), record_end, op, 0);
}

void
storage_end_grace(struct node *node, const struct action *action)
{
	struct world *world = node->world;
	struct record_op *op = malloc(sizeof *op);

	CHECK(op != NULL);
	*op = (struct record_op){.node = node, .grace = true, .volume = action->volume, .epoch = action->epoch};
	op->reclaims.count = action->count;
	op->reclaims.list = malloc(action->count * sizeof *action->reclaims + 1);
	CHECK(op->reclaims.list != NULL);
	if (action->count > 0)
		memcpy(op->reclaims.list, action->reclaims, action->count * sizeof *action->reclaims);
	world_at(world, world->now + 1 + rng_exponential(&world->rng, RECORD_US), record_end, op, 0);
}

void
storage_rescue(struct node *node, const struct action *action)
{
	struct world *world = node->world;
	struct rescue *rescue = malloc(sizeof *rescue + world->block_size);

	CHECK(rescue != NULL && action->buf != NULL);
	*rescue = (struct rescue){.next = world->rescues,
				  .node = node->index,
				  .volume = action->volume,
				  .block = action->block,
				  .version = action->version};
	memcpy(rescue->bytes, buf_bytes(action->buf), world->block_size);
	world->rescues = rescue;
	world->rescue_count++;
	node->has_told_of_loss = true;
	proofs_lost(node, action->volume, action->block);
	trace_add(&world->trace, TRACE_WORLD, world->now, "%s rescues block %llu", node->name,
		  (unsigned long long)action->block);
	if (world->hooks.lost != NULL)
		world->hooks.lost(world->hooks.arg, node);
}

// ---- Nobody waits any more ----

static void
nothing(void *context, void *arg, uint64_t number)
{
}

// What was under way when the process ended. At a loss of power a write may have come as far as the disk's own memory.
static void
op_abandon(struct store_op *op, bool power)
{
	struct rng *rng = &op->node->world->rng;

	if (!power && !op_fails(op, rng)) {
		if (op->type != ACTION_STORE_READ)
			op_do(op);
	} else if (op->type == ACTION_STORE_WRITE && rng_chance(rng, 50)) {
		op_fail(op, rng);
	}
	store_op_free(op);
}

void
storage_abandon(struct node *node, bool power)
{
	struct heap *heap = &node->world->heap;

	for (size_t i = 0; i < heap->count; i++) {
		struct heap_entry entry = heap->entries[i];
		struct record_op *record = entry.arg;

		if ((entry.fn != store_end || ((struct store_op *)entry.arg)->node != node) &&
		    (entry.fn != record_end || record->node != node))
			continue;
		heap->entries[i].fn = nothing;
		heap->entries[i].arg = NULL;
		if (entry.fn == store_end) {
			op_abandon(entry.arg, power);
			continue;
		}
		if (!record->recorded && rng_chance(&node->world->rng, 50))
			record_write(record); // something may be planned because of that
		record_op_free(record);
	}
}

void
storage_forget(const struct heap_entry *entry)
{
	if (entry->fn == store_end || entry->fn == store_tell)
		store_op_free(entry->arg);
	else if (entry->fn == record_end)
		record_op_free(entry->arg);
}
