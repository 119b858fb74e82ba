// SPDX-License-Identifier: MIT
// Clients: random requests with unique values. A register is a piece of a block that every write covers whole, filled
// with one 64-bit value, so that a torn register is seen at once and the history of each register can be judged
// exactly. The value zero is not unique: a register gets at most one IO_ZERO (or write of zeros), and only when it did
// not begin as zeros.
#include "core/check.h"
#include "tests/sim/run.h"

#include <stdlib.h>
#include <string.h>

static void
promise_add(struct load *load, uint64_t reg, uint64_t value)
{
	if (load->promise_count == load->promise_size) {
		load->promise_size = load->promise_size ? load->promise_size * 2 : 64;
		load->promises = realloc(load->promises, load->promise_size * sizeof *load->promises);
		CHECK(load->promises != NULL);
	}
	load->promises[load->promise_count++] = (struct promise){reg, value};
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

	core_block_info(root->core, (uint32_t)world_volume_index(root, run_volume_name(volume)), at / PLAN_BLOCK_SIZE,
			world_clock(root), &info);
	if (info.copy != NULL)
		memcpy(&value, buf_bytes(info.copy) + at % PLAN_BLOCK_SIZE, sizeof value);
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
};

static void
root_claim_due(void *world, void *arg, uint64_t number)
{
	struct root_claim *claim = arg;
	struct run *run = claim->run;

	history_claim(run->history, claim->reg, claim->tag, "the root", claim->value, root_value(run, claim->reg));
	free(claim);
}

static void
root_claim(struct run *run, uint64_t reg, uint64_t value, uint32_t tag)
{
	struct root_claim *claim = malloc(sizeof *claim);

	CHECK(claim != NULL);
	*claim = (struct root_claim){run, reg, value, tag};
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
	client->promised = load->promise_count;
	client->io.io = (struct io){.kind = kind,
				    .volume = (uint32_t)load->volume[volume],
				    .offset = first * size,
				    .size = count * size,
				    .stream = client->index};
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

static void
write_ended(struct client *client, uint64_t returned)
{
	struct run *run = client->run;
	bool mode_sync = run->plan->nodes[client->node->index].core.write_mode == WRITE_SYNC;

	for (uint64_t i = 0; i < client->count; i++) {
		uint64_t reg = client->first + i;

		history_write_ended(run->history, reg, client->begun[i], returned, PLACE_NODE);
		promise_add(&run->loads[client->node->index], reg, client->value);
		if (mode_sync || client->io.io.force_sync)
			root_claim(run, reg, client->value, (uint32_t)client->node->index);
	}
}

static void
sync_ended(struct client *client)
{
	struct run *run = client->run;
	struct load *load = &run->loads[client->node->index];
	uint64_t base = register_base(client), end = base + run->plan->block_count * run->registers_per_block;

	for (size_t i = load->promise_kept; i < client->promised; i++) {
		const struct promise *promise = &load->promises[i];

		if (promise->reg >= base && promise->reg < end)
			history_claim(run->history, promise->reg, (uint32_t)client->node->index, "the disk",
				      promise->value, workload_stored(run, promise->reg));
	}
	if (run->plan->volume_count == 1 && client->promised > load->promise_kept)
		load->promise_kept = client->promised;
}

void
workload_done(struct run *run, struct client *client)
{
	enum hvfs_error error = client->io.error;
	uint64_t returned = history_now(run->history);

	client->running = false;
	if (error != ERR_OK && !(error == ERR_CANCELLED && client->cancelled) && !client->io.lapsed)
		run_fail(run, "%s: a request failed: %s", client->node->name, hvfs_error_text(error));
	if (error == ERR_OK && client->io.io.kind == IO_READ)
		read_ended(client, returned);
	else if (error == ERR_OK && client->io.io.kind == IO_SYNC)
		sync_ended(client);
	else if (error == ERR_OK)
		write_ended(client, returned);
	if (client->left > 0)
		world_at(run->world, run->world->now + rng_exponential(&run->rng, run->plan->think_us), client_next,
			 client, 0);
	else
		run->clients_busy--;
}

// ---- Beginning and end ----

static void
client_create(struct run *run, struct node *node)
{
	uint64_t registers = (run->plan->run_blocks + RUN_READ_BLOCKS) * run->registers_per_block;
	struct client *client = &run->clients[run->client_count];

	*client = (struct client){
		.run = run, .node = node, .index = (uint32_t)run->client_count, .left = run->plan->requests};
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
	CHECK(run->clients != NULL && run->zeroed != NULL);
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
	for (int i = 0; i < run->plan->volume_count; i++)
		if (!load->ready[i])
			return;
	for (size_t i = 0; i < run->client_count; i++)
		if (run->clients[i].node == node)
			world_at(run->world, run->world->now + rng_exponential(&run->rng, run->plan->think_us),
				 client_next, &run->clients[i], 0);
}

void
workload_destroy(struct run *run)
{
	for (size_t i = 0; i < run->client_count; i++) {
		free(run->clients[i].io.bytes);
		free(run->clients[i].begun);
	}
	for (int i = 0; i < run->plan->node_count; i++)
		free(run->loads[i].promises);
	free(run->clients);
	free(run->zeroed);
}
