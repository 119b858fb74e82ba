// SPDX-License-Identifier: MIT
// A small language for exact scenarios, over the simulator's engine: nodes by name, delays in milliseconds without any
// jitter, messages that can be held back, requests of one block filled with one letter, and the whole trace as text.
// After each step of any node its core_check runs, and the oracle looks at the whole tree.
//
// The node names of Fig. 7: A is the root; B and C its children; D a child of B; E and F children of C.
#ifndef HVFS_TESTS_SCENARIO_H
#define HVFS_TESTS_SCENARIO_H

#include "tests/sim/oracle.h"
#include "tests/sim/world.h"

enum { SCENARIO_BLOCK_SIZE = 512, SCENARIO_REQUESTS = 256, SCENARIO_TEXT_SIZE = 1 << 18 };
#define SCENARIO_VOLUME "volume_X"

// One request and how it ended.
struct request {
	struct world_io io;
	bool ended;
	uint8_t bytes[4 * SCENARIO_BLOCK_SIZE];
};

struct scenario {
	struct world *world;
	struct core_config config; // of the nodes that will be added; names, ids and has_parent are set for each
	uint64_t cache_blocks;
	struct oracle oracle;
	struct disk *disk;
	struct request requests[SCENARIO_REQUESTS];
	size_t request_count;
	bool show_store;               // lines of the root's store belong to the trace
	char text[SCENARIO_TEXT_SIZE]; // the trace since the last scenario_expect
	size_t text_size;
};

// A world without nodes, whose disk has ${blocks} blocks, filled with dots.
struct scenario *scenario_create(uint64_t blocks);

// End it. The cores' own checks of what they return run here.
void scenario_destroy(struct scenario *scenario);

// A root of the volume, with a driver.
void scenario_root(struct scenario *scenario, const char *name);

// A child of ${parent}, with messages that take the given times. It has the volume (${mounts}), or learns of it from
// its children. It is not connected before scenario_connect.
void scenario_child(struct scenario *scenario, const char *name, const char *parent, unsigned up_ms, unsigned down_ms,
		    bool mounts);

// Fig. 7: six nodes with a driver each, every message takes ${ms}, all connected, the volume ready everywhere, the
// trace empty.
struct scenario *scenario_fig7(unsigned ms);

// ${name} dials its parent now.
void scenario_connect(struct scenario *scenario, const char *name);

// The process of ${name} dies at once, with all that it has in memory. A root's disk stays as it is: another root may be
// made on it (with a larger config.epoch).
void scenario_kill(struct scenario *scenario, const char *name);

// It starts again, with an empty memory; a root with the next epoch, its record of evictions and a grace time.
void scenario_restart(struct scenario *scenario, const char *name);

// ${name} dials ${parent} from now on. To restart a node is to add one with another name and to move its children.
void scenario_move(struct scenario *scenario, const char *name, const char *parent);

// The node called so; the test fails when there is none.
struct node *scenario_node(struct scenario *scenario, const char *name);

// Begin a request: read a block, write a block (its first half) full of ${letter}, ask for durability. The result is
// the scenario's.
struct request *scenario_read(struct scenario *scenario, const char *name, uint64_t block);
struct request *scenario_write(struct scenario *scenario, const char *name, uint64_t block, char letter);
struct request *scenario_write_half(struct scenario *scenario, const char *name, uint64_t block, char letter);
struct request *scenario_write_sync(struct scenario *scenario, const char *name, uint64_t block, char letter);
struct request *scenario_sync(struct scenario *scenario, const char *name);

// The same for a run of up to four blocks.
struct request *scenario_read_run(struct scenario *scenario, const char *name, uint64_t block, unsigned count);
struct request *scenario_write_run(struct scenario *scenario, const char *name, uint64_t block, unsigned count,
				   char letter);

// The opener ${stream} reads such a run; the others are opener 0.
struct request *scenario_read_stream(struct scenario *scenario, const char *name, uint32_t stream, uint64_t block,
				     unsigned count);

// Let time pass.
void scenario_run(struct scenario *scenario, uint64_t ms);

// Hold back, or let through, what ${from} sends to its neighbour ${to}. Held messages are delivered by
// scenario_deliver, or all when the hold ends.
void scenario_hold(struct scenario *scenario, const char *from, const char *to, bool hold);
unsigned scenario_deliver(struct scenario *scenario, const char *from, const char *to, unsigned count);

// The trace since the last call is exactly ${text}.
void scenario_expect(struct scenario *scenario, const char *text);

// Forget the trace so far.
void scenario_forget(struct scenario *scenario);

// How often ${part} stands in the trace since the last scenario_expect or scenario_forget.
unsigned scenario_count(const struct scenario *scenario, const char *part);

// The request has ended well; a read saw ${letter} everywhere.
void request_expect_ok(const struct request *request);
void request_expect_letter(const struct request *request, char letter);

// A read of one block saw these letters in its two halves.
void request_expect_halves(const struct request *request, char first, char second);

// It has ended with ${error}.
void request_expect_error(const struct request *request, enum hvfs_error error);

// It has not ended yet.
void request_expect_waiting(const struct request *request);

// The version log beside the disk is gone.
void scenario_lose_versions(struct scenario *scenario);

// What the disk durably holds: the letter that fills the block, '?' for a mixture.
char scenario_stored(const struct scenario *scenario, uint64_t block);

#endif
