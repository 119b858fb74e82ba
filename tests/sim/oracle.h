// SPDX-License-Identifier: MIT
// What no node can see alone (protocol.md I2, I4): over the whole tree at most one node may write a block, and then no
// other may read it; whoever may read has the same bytes and version. The oracle looks at all nodes at one true moment,
// each by its own clock.
#ifndef HVFS_TESTS_SIM_ORACLE_H
#define HVFS_TESTS_SIM_ORACLE_H

#include "tests/sim/world.h"

struct oracle {
	struct world *world;
	int volume_count;
	const char *volume_names[WORLD_VOLUMES];
	uint64_t block_count; // of each volume
	unsigned every;       // look after each so many steps of the world
	void (*fail)(void *arg, const char *what);
	void *arg;
	int (*indices)[WORLD_VOLUMES]; // by node: the index it has given to each volume, -1 not known yet
	int index_count;
	uint64_t looks, readable_looks; // blocks looked at; of these, readable somewhere
};

// Set everything above before the first look but what follows arg. fini frees what the looks needed.
void oracle_fini(struct oracle *oracle);

// The index ${node} has given to volume number ${volume}, once it is ready there; -1 before.
int oracle_volume(struct oracle *oracle, const struct node *node, int volume);

// ${node} has been started anew: it may give its volumes other indices.
void oracle_forget(struct oracle *oracle, const struct node *node);

// Look at the blocks that ${event} may have changed at some node.
void oracle_look(struct oracle *oracle, const struct event *event);

// Look at every block of small volumes, at the first ones of large volumes.
void oracle_look_at_all(struct oracle *oracle);

#endif
