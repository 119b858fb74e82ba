// SPDX-License-Identifier: MIT
// A node is a host with a name and, at a root, disks; on it one process after the other may run. A dead process's core
// stays until the next one starts, or the world ends.
#include "core/check.h"
#include "tests/sim/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GRACE_MARGIN_SHIFT = 5, GRACE_MARGIN_MS = 20 }; // as the giver of a lease adds them (protocol.md T2)

static void
node_trace(void *arg, const char *line)
{
	struct node *node = arg;

	trace_add(&node->world->trace, TRACE_CORE, node->world->now, "%s > %s", node->name, line);
}

// ${node} does not go by this name any more.
static void
name_gone(struct node *node, uint64_t *name)
{
	struct world *world = node->world;

	if (*name == 0)
		return;
	world->gone = realloc(world->gone, (world->gone_count + 1) * sizeof *world->gone);
	CHECK(world->gone != NULL);
	world->gone[world->gone_count++] = (struct gone){*name, node};
	*name = 0;
}

static enum right
right_of(void *arg, uint32_t link, const char *volume)
{
	const struct node *node = arg;
	const struct conn *conn = node->links[link];

	return conn != NULL ? node->world->nodes[conn->node[PIPE_UP]]->right : RIGHT_NONE;
}

// A new process: a core over an empty cache.
static void
process_create(struct node *node, const struct core_config *base)
{
	const struct level_config level = {.size = node->cache_size, .ways = node->cache_ways};
	struct core_config config = *base;
	struct copies copies;

	config.name = node->name;
	config.trace = node->world->trace.off ? NULL : node_trace;
	config.trace_arg = node;
	config.right_of = right_of;
	config.right_arg = node;
	for (int volume = 0; volume < WORLD_VOLUMES; volume++)
		for (int i = 0; i < 2; i++)
			name_gone(node, &node->names[volume][i]);
	node->cache = stack_create(node->world->block_size, &level, 1);
	if (node->drive != NULL)
		drive_open(node);
	copies = stack_copies(node->cache);
	node->core = core_create(&config, &copies);
	node->losses_told = 0;
	node->has_told_of_loss = false;
	node->going = -1;
	node->timer_at = MOMENT_NEVER;
	node->timer_generation++;
	node->started_at = node->world->now;
	node->starts++;
}

static void
process_destroy(struct node *node)
{
	drive_close(node);
	journal_file_close(node);
	proofs_forget(node);
	core_destroy(node->core);
	stack_destroy(node->cache);
	node->core = NULL;
	node->cache = NULL;
}

struct node *
world_add_node(struct world *world, const char *name, const struct core_config *config, uint64_t cache_size,
	       uint32_t cache_ways)
{
	struct node *node = calloc(1, sizeof *node);

	CHECK(node != NULL);
	node->world = world;
	node->index = world->node_count++;
	snprintf(node->name, sizeof node->name, "%s", name);
	node->parent = node->home = WORLD_NO_NODE;
	node->config = *config;
	node->cache_size = cache_size;
	node->cache_ways = cache_ways;
	node->metadata.epoch = config->epoch;
	node->right = RIGHT_WRITE;
	for (int i = 0; i < WORLD_VOLUMES; i++)
		node->metadata.claims_since[i] = config->epoch;
	process_create(node, config);
	world->nodes = realloc(world->nodes, (size_t)world->node_count * sizeof *world->nodes);
	CHECK(world->nodes != NULL);
	world->nodes[node->index] = node;
	return node;
}

void
node_destroy(struct node *node)
{
	process_destroy(node);
	drive_destroy(node);
	journal_file_destroy(node);
	liar_destroy(node->liar);
	for (int i = 0; i < WORLD_VOLUMES; i++)
		disk_destroy(node->disks[i]);
	free(node->metadata.evictions);
	for (int i = 0; i < WORLD_VOLUMES; i++)
		free(node->metadata.reclaims[i].list);
	free(node->deferred);
	free(node);
}

// ---- Volumes ----

static void
volume_note(struct node *node, const char *name, struct disk *disk, bool read_only)
{
	struct node_volume *volume = &node->volumes[node->volume_count++];

	CHECK(node->volume_count <= WORLD_VOLUMES);
	snprintf(volume->name, sizeof volume->name, "%s", name);
	volume->disk = disk;
	volume->read_only = read_only;
}

// Tell the core of volume number ${i} of the node.
static int
volume_give(struct node *node, int i)
{
	const struct node_volume *volume = &node->volumes[i];
	struct disk *disk = volume->disk;
	int index = disk != NULL ? core_add_root_volume(node->core, volume->name, disk->block_count * disk->block_size,
							disk->block_size, volume->read_only)
				 : core_add_child_volume(node->core, volume->name, volume->read_only);

	CHECK(index >= 0 && index < WORLD_VOLUMES);
	node->disks[index] = disk;
	if (node->world->seals != NULL)
		seals_volume(node, (uint32_t)index);
	return index;
}

int
world_add_root_volume(struct node *node, const char *name, struct disk *disk, bool read_only)
{
	volume_note(node, name, disk, read_only);
	versions_begin(&disk->versions, node->metadata.epoch);
	return volume_give(node, node->volume_count - 1);
}

void
world_add_child_volume(struct node *node, const char *name, bool read_only)
{
	volume_note(node, name, NULL, read_only);
	volume_give(node, node->volume_count - 1);
}

// ---- Death ----

// Who waited for a request learns that the process is gone.
static void
ios_die(struct node *node)
{
	while (node->ios != NULL) {
		struct world_io *io = node->ios;

		io->died = true;
		io->error = ERR_IO;
		trace_add(&node->world->trace, TRACE_IO, node->world->now, "%s: a request died with the process",
			  node->name);
		world_io_end(io);
	}
}

static void
process_end(struct node *node)
{
	node->ran_us = world_ran(node);
	node->stopped = true;
	node->paused_until = 0;
	for (size_t i = 0; i < node->deferred_count; i++)
		world_forget(&node->deferred[i]);
	node->deferred_count = 0;
	ios_die(node);
	drive_crash(node);
	journal_file_crash(node);
}

void
world_kill(struct node *node)
{
	process_end(node);
	for (int i = 0; i < node->volume_count; i++)
		if (node->volumes[i].disk != NULL)
			disk_left(node->volumes[i].disk, &node->world->rng);
	for (uint32_t link = 0; link < LIMIT_LINKS; link++) {
		struct conn *conn = node->links[link];

		if (conn != NULL)
			pipe_close(conn, conn->node[PIPE_UP] == node->index && conn->link[PIPE_UP] == link ? PIPE_UP
													   : PIPE_DOWN);
	}
}

void
world_crash(struct node *node, moment_us noticed_us)
{
	trace_add(&node->world->trace, TRACE_WORLD, node->world->now, "%s loses power", node->name);
	process_end(node);
	pipe_abandon(node, noticed_us);
	storage_abandon(node, true);
	for (int i = 0; i < node->volume_count; i++)
		if (node->volumes[i].disk != NULL)
			disk_crash(node->volumes[i].disk, &node->world->rng);
}

// ---- The next process ----

static uint32_t
grace_ms(const struct node *node)
{
	uint32_t lease_ms = node->config.hb_ttl_ms;

	if (node->metadata.clean || node->world->broken == BREAK_GRACE)
		return 0;
	return lease_ms + (lease_ms >> GRACE_MARGIN_SHIFT) + GRACE_MARGIN_MS;
}

static void
evictions_give(struct node *node)
{
	for (size_t i = 0; i < node->metadata.eviction_count && node->world->broken != BREAK_EVICTIONS; i++) {
		const struct eviction *eviction = &node->metadata.evictions[i];

		CHECK(core_add_eviction(node->core, eviction->volume, eviction->node_id, eviction->session) == 0);
	}
}

// Whoever opens a disk that was not left in order believes its version log.
static void
versions_give(struct node *node, struct disk *disk, int index)
{
	struct world *world = node->world;
	struct stored_versions versions = {.complete = true, .epoch = node->metadata.epoch};

	if (node->metadata.clean) {
		versions_begin(&disk->versions, node->metadata.epoch);
	} else {
		versions_reopen(&disk->versions, node->metadata.epoch, &versions);
		world->doubts += !versions.complete;
	}
	if (world->broken == BREAK_VERSIONS && rng_chance(&world->rng, 50)) { // the log is lost
		versions.count = 0;
		versions.complete = true;
	}
	for (size_t i = 0; i < versions.count; i++) {
		const struct stored_version *stored = &versions.list[i];

		world->doubts += stored->low != stored->high;
		seals_found(node, (uint32_t)index, stored);
		core_add_stored_version(node->core, (uint32_t)index, stored->block, stored->low, stored->high);
	}
	if (versions.complete)
		core_set_versions_complete(node->core, (uint32_t)index, versions.epoch);
	version_log_free(&versions);
}

void
world_restart(struct node *node, moment_us dial_us)
{
	struct core_config config = node->config;
	struct world *world = node->world;
	bool is_root = node->volume_count > 0 && node->volumes[0].disk != NULL;

	CHECK(node->stopped);
	pipe_detach(node);
	storage_abandon(node, false);
	process_destroy(node);
	config.node_id = rng_next(&world->rng) | 1;
	config.session_seed = rng_next(&world->rng);
	if (is_root) {
		node->metadata.epoch += world->broken != BREAK_EPOCH;
		config.epoch = node->metadata.epoch;
		config.grace_ms = grace_ms(node);
		for (int i = 0; config.grace_ms == 0 && i < WORLD_VOLUMES; i++)
			node->metadata.claims_since[i] = config.epoch;
	}
	trace_add(&world->trace, TRACE_WORLD, world->now, "%s starts again, grace %u ms", node->name, config.grace_ms);
	process_create(node, &config);
	node->stopped = node->stopping = false;
	node->backoff_us = 0;
	for (int i = 0; i < node->volume_count; i++) {
		struct disk *disk = node->volumes[i].disk;
		int index;

		if (disk != NULL)
			disk_reopen(disk, &world->rng);
		index = volume_give(node, i);
		if (disk != NULL)
			versions_give(node, disk, index);
	}
	evictions_give(node);
	journal_file_open(node);
	for (int i = 0; is_root && i < node->volume_count && world->broken != BREAK_SINCE; i++) {
		struct record_reclaims *reclaims = &node->metadata.reclaims[i];

		reclaims->count = node->metadata.clean ? 0 : reclaims->count;
		core_set_claims_since(node->core, (uint32_t)i, node->metadata.claims_since[i]);
		if (world->broken != BREAK_RECLAIMS)
			core_set_reclaims(node->core, (uint32_t)i, reclaims->list, reclaims->count);
	}
	node->metadata.clean = false;
	if (node->liar != NULL)
		liar_restarted(node->liar);
	world_step(node, &(struct event){.type = EVENT_TIMER});
	if (node->home != WORLD_NO_NODE)
		node->parent = node->home; // it knows of nobody else
	if (node->parent != WORLD_NO_NODE)
		pipe_dial_anew(node, world->now + dial_us);
}

void
node_told_name(struct node *node, const struct blob *volume, uint64_t node_id)
{
	char name[LIMIT_NAME_SIZE + 1];
	int index;

	CHECK(volume->size < sizeof name);
	memcpy(name, volume->bytes, volume->size);
	name[volume->size] = '\0';
	index = world_volume_index(node, name);
	CHECK(index >= 0);
	if (index >= WORLD_VOLUMES || node->names[index][0] == node_id) // scenarios name more than the world has
		return;
	name_gone(node, &node->names[index][1]);
	node->names[index][1] = node->names[index][0];
	node->names[index][0] = node_id;
}

struct node *
world_find_id(const struct world *world, uint64_t node_id)
{
	for (int i = 0; i < world->node_count; i++)
		for (int volume = 0; volume < WORLD_VOLUMES; volume++)
			if (world->nodes[i]->names[volume][0] == node_id || world->nodes[i]->names[volume][1] == node_id)
				return world->nodes[i];
	return NULL;
}

struct node *
world_find_gone(const struct world *world, uint64_t node_id)
{
	for (size_t i = 0; i < world->gone_count; i++)
		if (world->gone[i].node_id == node_id)
			return world->gone[i].node;
	return NULL;
}
