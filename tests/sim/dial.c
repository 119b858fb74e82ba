// SPDX-License-Identifier: MIT
// Whom a node dials: the parent it had, then the one it was configured with and that one's ancestors, as it was told
// of them (protocol.md F3; the first of these before, if it has what was left to it), then all of them again after a pause that grows. And what stands in the way between two
// nodes: what is said in a direction that is blocked waits, as TCP would say it again and again, and arrives all at
// once when the way is free; nobody gets through with a new connection meanwhile.
#include "core/check.h"
#include "tests/sim/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BACKOFF_MIN_US = 50000, BACKOFF_MAX_US = 5000000, UNREACHABLE_US = 1000000 };

// ---- What is in the way ----

struct obstacle {
	struct obstacle *next;
	moment_us until;
	int from, to;  // one direction of a pair; or, when from is WORLD_NO_NODE:
	bool inside[]; // by node: the two sides of a partition
};

static struct obstacle *
obstacle_add(struct world *world, moment_us until)
{
	struct obstacle *obstacle = calloc(1, sizeof *obstacle + (size_t)world->node_count * sizeof(bool));

	CHECK(obstacle != NULL);
	obstacle->next = world->obstacles;
	obstacle->until = until;
	world->obstacles = obstacle;
	return obstacle;
}

void
world_block(struct node *from, struct node *to, moment_us until)
{
	struct obstacle *obstacle = obstacle_add(from->world, until);

	obstacle->from = from->index;
	obstacle->to = to->index;
	trace_add(&from->world->trace, TRACE_WORLD, from->world->now, "nothing gets from %s to %s for %llu ms",
		  from->name, to->name, (unsigned long long)((until - from->world->now) / 1000));
}

void
world_partition(struct world *world, const bool *inside, moment_us until)
{
	struct obstacle *obstacle = obstacle_add(world, until);
	char names[200] = "";
	size_t used = 0;

	obstacle->from = WORLD_NO_NODE;
	memcpy(obstacle->inside, inside, (size_t)world->node_count * sizeof(bool));
	for (int i = 0; i < world->node_count && used + WORLD_NAME_SIZE + 1 < sizeof names; i++)
		if (inside[i])
			used += (size_t)snprintf(names + used, sizeof names - used, " %s", world->nodes[i]->name);
	trace_add(&world->trace, TRACE_WORLD, world->now, "a partition around%s for %llu ms", names,
		  (unsigned long long)((until - world->now) / 1000));
}

void
world_unblock(struct world *world)
{
	for (struct obstacle *obstacle = world->obstacles; obstacle != NULL; obstacle = obstacle->next)
		obstacle->until = world->now;
	pipe_unblock(world);
}

static bool
obstacle_between(const struct obstacle *obstacle, int from, int to)
{
	if (obstacle->from == WORLD_NO_NODE)
		return obstacle->inside[from] != obstacle->inside[to];
	return obstacle->from == from && obstacle->to == to;
}

moment_us
world_blocked_until(struct world *world, int from, int to)
{
	moment_us until = 0;

	for (struct obstacle **link = &world->obstacles; *link != NULL;) {
		struct obstacle *obstacle = *link;

		if (obstacle->until <= world->now) {
			*link = obstacle->next;
			free(obstacle);
			continue;
		}
		if (obstacle_between(obstacle, from, to) && obstacle->until > until)
			until = obstacle->until;
		link = &obstacle->next;
	}
	return until;
}

void
world_free_obstacles(struct world *world)
{
	while (world->obstacles != NULL) {
		struct obstacle *obstacle = world->obstacles;

		world->obstacles = obstacle->next;
		free(obstacle);
	}
}

// ---- The ways up ----

static void
way_add(struct node *node, int to)
{
	for (int i = 0; i < node->way_count; i++)
		if (node->ways[i] == to)
			return;
	if (to != WORLD_NO_NODE && to != node->index && node->way_count < WORLD_WAYS)
		node->ways[node->way_count++] = to;
}

static int
find_name(const struct world *world, const char *name)
{
	for (int i = 0; i < world->node_count; i++)
		if (strcmp(world->nodes[i]->name, name) == 0)
			return i;
	CHECK(world->seals != NULL); // the core invented an address; or a liar did
	return WORLD_NO_NODE;
}

static void
ways_find(struct node *node)
{
	struct world *world = node->world;
	const char *address = core_ancestor_address(node->core, 0);

	node->way_count = node->way_at = 0;
	way_add(node, node->parent);
	if (!world->moving)
		return;
	if (address != NULL && core_needs_ancestor(node->core))
		way_add(node, find_name(world, address));
	way_add(node, node->home);
	for (uint32_t i = 0; address != NULL; address = core_ancestor_address(node->core, ++i))
		way_add(node, find_name(world, address));
	if (core_ancestor_address(node->core, 0) != NULL)
		return;
	for (int up = node->home; up != WORLD_NO_NODE; up = world->nodes[up]->home)
		way_add(node, up);
}

void
pipe_dial_anew(struct node *node, moment_us at)
{
	node->way_count = node->way_at = 0;
	pipe_dial(node, at);
}

// Nobody is there, or nobody can be reached: after how long does the caller know?
static moment_us
refusal_us(const struct node *node, bool dead)
{
	moment_us round_trip_us = node->pipe[PIPE_UP].delay_us + node->pipe[PIPE_DOWN].delay_us;
	moment_us patience_us = (moment_us)node->config.hb_ttl_ms * 1000 / 8;

	if (!node->world->moving)
		return 0;
	if (dead)
		return round_trip_us;
	return patience_us < UNREACHABLE_US ? patience_us : UNREACHABLE_US;
}

static void
backoff_grow(struct node *node)
{
	node->backoff_us = node->backoff_us < BACKOFF_MIN_US ? BACKOFF_MIN_US : node->backoff_us * 2;
	if (node->backoff_us > BACKOFF_MAX_US)
		node->backoff_us = BACKOFF_MAX_US;
}

static void
dial(void *context, void *arg, uint64_t generation)
{
	struct node *node = arg, *parent;
	struct world *world = context;
	bool blocked;

	if (node->stopped || node->uplink != NULL || generation != node->dial_generation ||
	    world_defer(node, dial, arg, generation))
		return;
	if (node->way_at == node->way_count) {
		ways_find(node);
		backoff_grow(node);
	}
	parent = world->nodes[node->ways[node->way_at++]];
	blocked = world_blocked_until(world, node->index, parent->index) > 0 ||
		  world_blocked_until(world, parent->index, node->index) > 0;
	if (!parent->stopped && !blocked) {
		world->move_count += node->parent != parent->index;
		node->parent = parent->index;
		pipe_connect(node, parent);
		return;
	}
	pipe_dial(node,
		  world->now + refusal_us(node, !blocked) + (node->way_at == node->way_count ? node->backoff_us : 0));
}

void
pipe_dial(struct node *node, moment_us at)
{
	world_at(node->world, at, dial, node, ++node->dial_generation);
}

void
world_set_parent(struct node *node, struct node *parent, const struct pipe_config pipe[2], moment_us after_us)
{
	node->parent = node->home = parent->index;
	node->pipe[PIPE_UP] = pipe[PIPE_UP];
	node->pipe[PIPE_DOWN] = pipe[PIPE_DOWN];
	pipe_dial_anew(node, node->world->now + after_us);
}
