// SPDX-License-Identifier: MIT
// Clients: random requests with unique values. A register is a piece of a block that every write covers whole, filled
// with one 64-bit value, so that a torn register is seen at once and the history of each register can be judged
// exactly. The value zero is not unique: a register gets at most one IO_ZERO (or write of zeros), and only when it did
// not begin as zeros.
#include "core/check.h"
#include "tests/sim/byzantine.h"
#include "tests/sim/run.h"

#include <stdlib.h>
#include <string.h>

// ---- What was promised ----

static void
promise_add(struct promises *promises, struct promise promise)
{
	if (promises->count == promises->size) {
		promises->size = promises->size ? promises->size * 2 : 64;
		promises->list = realloc(promises->list, promises->size * sizeof *promises->list);
		CHECK(promises->list != NULL);
	}
	promises->list[promises->count++] = promise;
}

static uint64_t
promises_until(const struct promises *promises)
{
	return promises->first + promises->count;
}

// Those before number ${until} are kept or void.
static void
promises_drop(struct promises *promises, uint64_t until)
{
	size_t count = until > promises->first ? until - promises->first : 0;

	if (count == 0)
		return;
	promises->count -= count;
	promises->first += count;
	memmove(promises->list, promises->list + count, promises->count * sizeof *promises->list);
}

// The promise is kept: from now on the disk has it or something newer.
static void
firm_add(struct run *run, const struct promise *promise)
{
	struct firm *firm = &run->firm[promise->reg];
	uint32_t i = 0;

	while (i < firm->count && firm->list[i].client != promise->client)
		i++;
	if (i == firm->count) {
		firm->list = realloc(firm->list, (firm->count + 1) * sizeof *firm->list);
		CHECK(firm->list != NULL);
		firm->count++;
	}
	firm->list[i] = *promise;
}

static void
promise_claim(struct run *run, const struct promise *promise, const char *place)
{
	history_claim(run->history, promise->reg, (uint32_t)run->clients[promise->client].node->index, place,
		      promise->value, workload_stored(run, promise->reg));
}

void
workload_claim_all(struct run *run)
{
	uint64_t total = (uint64_t)run->plan->volume_count * run->plan->block_count * run->registers_per_block;

	for (uint64_t reg = 0; reg < total; reg++)
		for (uint32_t i = 0; i < run->firm[reg].count; i++)
			promise_claim(run, &run->firm[reg].list[i], "the disk after a crash");
}

// Everything of ${promises} before number ${until} is on the disk.
static void
promises_keep(struct run *run, struct promises *promises, uint64_t until)
{
	for (size_t i = 0; promises->first + i < until && i < promises->count; i++) {
		const struct promise *promise = &promises->list[i];

		promise_claim(run, promise, "the disk");
		history_write_synced(run->history, promise->reg, promise->index);
		firm_add(run, promise);
	}
	promises_drop(promises, until);
}

// The same, in the node's journal.
static void
promises_journaled(struct run *run, const struct promises *promises, uint64_t until)
{
	for (size_t i = 0; promises->first + i < until && i < promises->count; i++)
		history_write_kept(run->history, promises->list[i].reg, promises->list[i].index);
}

// The same, in the parent's memory.
static void
promises_move(struct run *run, const struct promises *promises, uint64_t until)
{
	for (size_t i = 0; promises->first + i < until && i < promises->count; i++)
		history_write_moved(run->history, promises->list[i].reg, promises->list[i].index, PLACE_PARENT);
}

uint64_t
workload_stored(const struct run *run, uint64_t reg)
{
	uint64_t per_volume = run->plan->block_count * run->registers_per_block, value;
	const struct disk *disk = run->disks[reg / per_volume];

	memcpy(&value, disk->durable + reg % per_volume * run->plan->register_size, sizeof value);
	return value;
}

// What the root has of a register, in its cache or else on its disk: where a synchronous write must have arrived.
static uint64_t
root_value(const struct run *run, uint64_t reg)
{
	uint64_t per_volume = run->plan->block_count * run->registers_per_block, value;
	int volume = (int)(reg / per_volume);
	uint64_t at = reg % per_volume * run->plan->register_size;
	struct node *root = run->world->nodes[0];
	struct block_info info;

	core_block_info(root->core, (uint32_t)world_volume_index(root, run_volume_name(volume)),
			at / run->plan->block_size, world_clock(root), &info);
	if (info.copy != NULL)
		memcpy(&value, buf_bytes(info.copy) + at % run->plan->block_size, sizeof value);
	else
		memcpy(&value, run->disks[volume]->image + at, sizeof value);
	return value;
}

// The step that answered may still have buffers to fill: look when it is over. The root may have something newer by
// then, nothing older.
struct root_claim {
	struct run *run;
	uint64_t reg, value;
	uint32_t tag;
	unsigned starts; // of the root, when the write began
};

static void
root_claim_due(void *world, void *arg, uint64_t number)
{
	struct root_claim *claim = arg;
	struct run *run = claim->run;
	const struct node *root = run->world->nodes[0];

	// A root that has been started since promises nothing (G3).
	if (!root->stopped && root->starts == claim->starts)
		history_claim(run->history, claim->reg, claim->tag, "the root", claim->value,
			      root_value(run, claim->reg));
	free(claim);
}

static void
root_claim(struct run *run, const struct client *client, uint64_t reg)
{
	struct root_claim *claim = malloc(sizeof *claim);

	CHECK(claim != NULL);
	*claim = (struct root_claim){run, reg, client->value, (uint32_t)client->node->index, client->root_starts};
	world_at(run->world, run->world->now, root_claim_due, claim, 0);
}

// ---- Requests ----

static uint64_t
register_base(const struct client *client)
{
	return (uint64_t)client->volume * client->run->plan->block_count * client->run->registers_per_block;
}

static void
request_fill(struct client *client)
{
	uint64_t *words = (uint64_t *)client->io.bytes;

	for (uint64_t i = 0; i < client->io.io.size / sizeof *words; i++)
		words[i] = client->value;
}

static void
cancel_due(void *world, void *arg, uint64_t generation)
{
	struct client *client = arg;

	if (client->running && client->generation == generation) {
		client->cancelled = true;
		world_cancel(&client->io);
	}
}

void
workload_request(struct client *client, enum io_kind kind, int volume, uint64_t first, uint64_t count)
{
	struct run *run = client->run;
	struct load *load = &run->loads[client->node->index];
	uint32_t size = run->plan->register_size;

	client->running = true;
	client->cancelled = false;
	client->generation++;
	client->volume = volume;
	client->first = register_base(client) + first;
	client->count = count;
	client->invoked = history_now(run->history);
	client->asked_at = run->world->now;
	client->promised = promises_until(&load->promises[volume]);
	client->root_starts = run->world->nodes[0]->starts;
	client->io.io = (struct io){.kind = kind,
				    .volume = (uint32_t)load->volume[volume],
				    .offset = first * size,
				    .size = count * size,
				    .stream = client->index};
	if (kind == IO_SYNC) // in the end everybody asks for the root, whatever is enough for it otherwise
		client->io.io.force_sync = run->calm || rng_chance(&run->rng, 10);
	if (kind == IO_WRITE || kind == IO_ZERO) {
		client->value = kind == IO_ZERO ? 0 : (uint64_t)(client->node->index + 1) << 32 | ++run->next_value;
		client->io.io.force_sync = kind == IO_WRITE && rng_chance(&run->rng, 5);
		for (uint64_t i = 0; i < count; i++)
			client->begun[i] =
				history_write_began(run->history, client->first + i, (uint32_t)client->node->index,
						    client->value, client->invoked);
	}
	if (kind == IO_WRITE)
		request_fill(client);
	trace_add(&run->world->trace, TRACE_WORLD, run->world->now,
		  "%s volume %d registers [%llu, +%llu) value %#llx, at %llu", client->node->name, volume,
		  (unsigned long long)client->first, (unsigned long long)count,
		  (unsigned long long)(kind == IO_WRITE ? client->value : 0), (unsigned long long)client->invoked);
	if (!run->calm && rng_chance(&run->rng, run->plan->cancel_percent))
		world_at(run->world, run->world->now + rng_below(&run->rng, 50000), cancel_due, client,
			 client->generation);
	world_submit(client->node, &client->io);
}

// A range of registers: mostly within a few hot blocks, sometimes a long run, sometimes only a part of a block.
static void
range_draw(struct run *run, uint64_t *ret_first, uint64_t *ret_count)
{
	const struct plan *plan = run->plan;
	uint64_t total = plan->block_count * run->registers_per_block;
	uint64_t hot = plan->hot_blocks < plan->block_count ? plan->hot_blocks : plan->block_count;
	uint64_t block = rng_below(&run->rng, rng_chance(&run->rng, 70) ? hot : plan->block_count);
	uint64_t blocks = rng_chance(&run->rng, 70) ? 1 : rng_between(&run->rng, 1, plan->run_blocks);

	*ret_first = block * run->registers_per_block;
	*ret_count = blocks * run->registers_per_block;
	if (run->registers_per_block > 1 && rng_chance(&run->rng, 50)) {
		*ret_first += rng_below(&run->rng, run->registers_per_block);
		*ret_count = rng_between(&run->rng, 1, *ret_count);
	}
	if (*ret_first + *ret_count > total)
		*ret_count = total - *ret_first;
}

static bool
zero_may(struct client *client, int volume, uint64_t first, uint64_t count)
{
	bool *zeroed = client->run->zeroed +
		       (uint64_t)volume * client->run->plan->block_count * client->run->registers_per_block;

	for (uint64_t i = 0; i < count; i++)
		if (zeroed[first + i])
			return false;
	memset(zeroed + first, true, count);
	return true;
}

// Is its node there, with all volumes?
static bool
client_may_ask(const struct client *client)
{
	const struct load *load = &client->run->loads[client->node->index];

	for (int i = 0; i < client->run->plan->volume_count; i++)
		if (!load->ready[i])
			return false;
	return !client->node->stopped && !client->node->stopping;
}

static moment_us
think_time(struct run *run)
{
	const struct plan *plan = run->plan;

	if (plan->recovery && rng_below(&run->rng, plan->burst) == 0)
		return rng_exponential(&run->rng, plan->idle_us);
	return rng_exponential(&run->rng, plan->think_us);
}

static void
client_next(void *world, void *arg, uint64_t number)
{
	struct client *client = arg;
	struct run *run = client->run;
	const struct plan *plan = run->plan;
	int volume = (int)rng_below(&run->rng, (uint64_t)plan->volume_count);
	unsigned dice = (unsigned)rng_below(&run->rng, 100);
	enum io_kind kind = IO_READ;
	uint64_t first, count;

	client->asleep = !client_may_ask(client);
	if (client->retired || client->asleep)
		return;
	client->left--;
	range_draw(run, &first, &count);
	if (dice < plan->sync_percent)
		kind = IO_SYNC;
	else if (plan->nodes[client->node->index].only_reads)
		kind = IO_READ;
	else if (dice < plan->sync_percent + plan->zero_percent && zero_may(client, volume, first, count))
		kind = IO_ZERO;
	else if (rng_chance(&run->rng, plan->write_percent))
		kind = IO_WRITE;
	if (kind == IO_SYNC)
		first = count = 0;
	workload_request(client, kind, volume, first, count);
}

// ---- Endings ----

static void
read_ended(struct client *client, uint64_t returned)
{
	struct run *run = client->run;
	size_t words = run->plan->register_size / sizeof(uint64_t);
	const uint64_t *bytes = (const uint64_t *)client->io.bytes;

	for (uint64_t i = 0; i < client->count; i++) {
		const uint64_t *reg = bytes + i * words;

		for (size_t word = 1; word < words; word++)
			if (reg[word] != reg[0])
				run_fail(run, "%s read a torn register %llu: %#llx and %#llx", client->node->name,
					 (unsigned long long)(client->first + i), (unsigned long long)reg[0],
					 (unsigned long long)reg[word]);
		history_read(run->history, client->first + i, (uint32_t)client->node->index, reg[0], client->invoked,
			     returned);
		if (run->final != NULL)
			run->final[client->first + i] = reg[0];
	}
}

// Where a write is when it is acknowledged.
static enum place
place_of(const struct client *client)
{
	enum write_mode mode = client->run->plan->nodes[client->node->index].core.write_mode;

	if (mode == WRITE_SYNC || client->io.io.force_sync)
		return PLACE_ROOT;
	return mode == WRITE_SEMI_SYNC ? PLACE_PARENT : PLACE_NODE;
}

static void
write_ended(struct client *client, uint64_t returned)
{
	struct run *run = client->run;
	struct load *load = &run->loads[client->node->index];

	for (uint64_t i = 0; i < client->count; i++) {
		uint64_t reg = client->first + i;

		history_write_ended(run->history, reg, client->begun[i], returned, place_of(client));
		promise_add(&load->promises[client->volume],
			    (struct promise){reg, client->value, client->begun[i], client->index});
		if (place_of(client) == PLACE_ROOT && byzantine_believes(run, client->node))
			root_claim(run, client, reg);
	}
}

static void
sync_ended(struct client *client)
{
	struct run *run = client->run;
	struct promises *promises = &run->loads[client->node->index].promises[client->volume];

	enum durability durability =
		client->io.io.force_sync ? DURABILITY_ROOT : run->plan->nodes[client->node->index].core.durability;

	// That the root has it the root has said itself (proofs.h); whoever has said anything else is not known.
	if (!byzantine_believes(run, client->node) && durability != DURABILITY_ROOT) {
		promises_drop(promises, client->promised);
		return;
	}
	switch (durability) {
	case DURABILITY_ROOT:
		promises_keep(run, promises, client->promised);
		break;
	case DURABILITY_PARENT:
		promises_move(run, promises, client->promised);
		break;
	case DURABILITY_LOCAL:
		if (client->node->journal != NULL)
			promises_journaled(run, promises, client->promised);
		break;
	}
}

// ---- Errors ----

static moment_us
lease_us(const struct plan *plan)
{
	return (moment_us)plan->nodes[0].core.hb_ttl_ms * 1000;
}

// May a request of this kind end so, as the plan goes?
static bool
error_may_be(const struct client *client)
{
	const struct plan *plan = client->run->plan;
	enum hvfs_error error = client->io.error;
	bool disk_fails = plan->chaos.count[CHAOS_DISK_ERROR] > 0 || plan->chaos.count[CHAOS_SYNC_ERROR] > 0;

	// What liars do to others is refused to those, or lost.
	if (!byzantine_believes(client->run, client->node) &&
	    (!client->run->strict || (error == ERR_LOST && client->io.io.kind == IO_SYNC))) // some hear of it only now
		return true;
	// Where the version log of a root that was started anew leaves a doubt, bytes that others wrote over may be refused. Who has
	// left bytes to two nodes above, and has lost both ways, tells of a loss though they may be well (R13).
	if ((error == ERR_LOST || error == ERR_IO) && client->run->world->doubts > 0 &&
	    client->io.io.kind != IO_READ && !client->run->strict)
		return true;
	if ((error == ERR_CANCELLED && client->cancelled) || client->io.lapsed || client->io.died ||
	    client->node->stopping)
		return true;
	if (error == ERR_ABORTED && plan->chaos.count[CHAOS_ABORT] > 0)
		return true;
	if (error == ERR_DENIED && plan->chaos.count[CHAOS_RIGHT] > 0)
		return true;
	if (error == ERR_READ_ONLY && plan->chaos.count[CHAOS_RIGHT] > 0 && client->io.io.kind != IO_READ)
		return true;
	// Who leaves in order does not wait for who is away: with a journal that one learns of it.
	if (error == ERR_LOST && client->io.io.kind != IO_READ && client->node->journal != NULL &&
	    plan->chaos.count[CHAOS_LEAVE] > 0 && !client->run->strict)
		return true;
	// Blocks that nobody has touched in the end may be somebody's who is gone: he is evicted only now. And so may all, as long as
	// the leases last of those who went last.
	if (error == ERR_TIMED_OUT && plan->may_time_out &&
	    (plan->block_count > SETTLE_BLOCKS || client->run->world->now < client->run->healed_at + 2 * lease_us(plan)))
		return true;
	if (!plan->recovery || plan->fair || client->run->strict)
		return false;
	if (error == ERR_TIMED_OUT || error == ERR_CUT_OFF)
		return error == ERR_TIMED_OUT ? plan->may_time_out : plan->may_cut_off;
	if (client->io.io.kind == IO_READ)
		return error == ERR_IO && disk_fails;
	return error == ERR_LOST || error == ERR_IO;
}

// Nobody but the caller of a fsync learns that writes are lost: this may be about all that were not synced.
static void
sync_failed(struct client *client)
{
	struct run *run = client->run;
	struct load *load = &run->loads[client->node->index];

	if (client->io.error != ERR_LOST && client->io.error != ERR_IO)
		return;
	run_failed(run, client->node);
	history_told(run->history, (uint32_t)client->node->index);
	promises_drop(&load->promises[client->volume], promises_until(&load->promises[client->volume]));
}

static void
failed(struct client *client)
{
	struct run *run = client->run;

	if (!error_may_be(client))
		run_fail(run, "%s: a request failed: %s", client->node->name, hvfs_error_text(client->io.error));
	run->errors[client->io.error] += !client->io.died;
	if (client->io.io.kind == IO_SYNC && !client->io.died)
		sync_failed(client);
}

static void
client_goes_on(struct client *client)
{
	struct run *run = client->run;

	if (client->left == 0)
		run->clients_busy--;
	else if (client_may_ask(client))
		world_at(run->world, run->world->now + think_time(run), client_next, client, 0);
	else
		client->asleep = true;
}

void
workload_done(struct run *run, struct client *client)
{
	enum hvfs_error error = client->io.error;
	uint64_t returned = history_now(run->history);

	client->running = false;
	if (!client->io.died && run->world->now - client->asked_at > run->longest_us)
		run->longest_us = run->world->now - client->asked_at;
	if (error != ERR_OK)
		failed(client);
	else if (client->io.io.kind == IO_READ)
		read_ended(client, returned);
	else if (client->io.io.kind == IO_SYNC)
		sync_ended(client);
	else
		write_ended(client, returned);
	client_goes_on(client);
}

// ---- Processes that come and go ----

void
workload_left(struct run *run, struct node *node)
{
	struct load *load = &run->loads[node->index];

	for (int i = 0; i < run->plan->volume_count; i++) {
		if (byzantine_believes(run, node) || run->calm)
			promises_keep(run, &load->promises[i], promises_until(&load->promises[i]));
		else
			promises_drop(&load->promises[i], promises_until(&load->promises[i]));
	}
}

void
workload_died(struct run *run, struct node *node)
{
	struct load *load = &run->loads[node->index];

	memset(load->ready, 0, sizeof load->ready);
	for (int i = 0; i < run->plan->volume_count; i++)
		promises_drop(&load->promises[i], promises_until(&load->promises[i]));
}

void
workload_retire(struct run *run, struct node *node)
{
	run->loads[node->index].retired = true;
	history_stays_dead(run->history, (uint32_t)node->index);
	for (size_t i = 0; i < run->client_count; i++) {
		struct client *client = &run->clients[i];

		if (client->node != node || client->retired)
			continue;
		run->clients_busy -= client->left > 0;
		client->left = 0;
		client->retired = true;
	}
}

// ---- Beginning and end ----

static void
client_create(struct run *run, struct node *node)
{
	uint64_t registers = (run->plan->run_blocks + RUN_READ_BLOCKS) * run->registers_per_block;
	struct client *client = &run->clients[run->client_count];

	*client = (struct client){
		.run = run,
		.node = node,
		.index = (uint32_t)run->client_count,
		.left = run->plan->requests,
		.asleep = true,
	};
	client->io.bytes = malloc(registers * run->plan->register_size);
	client->begun = calloc(registers, sizeof *client->begun);
	CHECK(client->io.bytes != NULL && client->begun != NULL);
	client->io.owner = client;
	run->client_count++;
	run->clients_busy++;
}

void
workload_create(struct run *run)
{
	const struct plan *plan = run->plan;
	uint64_t registers = (uint64_t)plan->volume_count * plan->block_count * run->registers_per_block;

	run->clients = calloc((size_t)plan->node_count * (size_t)plan->clients_per_node, sizeof *run->clients);
	run->zeroed = calloc(registers, sizeof *run->zeroed);
	run->firm = calloc(registers, sizeof *run->firm);
	CHECK(run->clients != NULL && run->zeroed != NULL && run->firm != NULL);
	for (int i = 0; i < plan->node_count; i++)
		for (int k = 0; k < plan->clients_per_node && plan->nodes[i].has_driver; k++)
			client_create(run, run->world->nodes[i]);
}

void
workload_ready(struct run *run, struct node *node, int volume)
{
	struct load *load = &run->loads[node->index];

	if (load->ready[volume])
		return;
	load->ready[volume] = true;
	for (size_t i = 0; i < run->client_count; i++) {
		struct client *client = &run->clients[i];

		if (client->node != node || !client->asleep || !client_may_ask(client))
			continue;
		client->asleep = false;
		world_at(run->world, run->world->now + think_time(run), client_next, client, 0);
	}
}

void
workload_destroy(struct run *run)
{
	uint64_t registers = (uint64_t)run->plan->volume_count * run->plan->block_count * run->registers_per_block;

	for (size_t i = 0; i < run->client_count; i++) {
		free(run->clients[i].io.bytes);
		free(run->clients[i].begun);
	}
	for (int i = 0; i < run->plan->node_count; i++)
		for (int k = 0; k < run->plan->volume_count; k++)
			free(run->loads[i].promises[k].list);
	for (uint64_t reg = 0; reg < registers; reg++)
		free(run->firm[reg].list);
	free(run->firm);
	free(run->clients);
	free(run->zeroed);
}
