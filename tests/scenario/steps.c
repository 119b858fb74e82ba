// SPDX-License-Identifier: MIT
#include "tests/scenario/steps.h"
#include "tests/scenario/inside.h"

#include <check.h>

enum { SOON_MS = 100, NEVER_MS = 3600 * 1000 };

struct scenario *
steps_create(void)
{
	struct scenario *scenario = scenario_create(16);

	scenario->config.hb_ttl_ms = STEPS_HB_TTL_MS;
	scenario->config.ttl_ms = STEPS_TTL_MS;
	scenario->config.writeback_ms = SOON_MS;
	return scenario;
}

void
steps_keep_dirty(struct scenario *scenario, bool keep)
{
	scenario->config.writeback_ms = keep ? NEVER_MS : SOON_MS;
}

void
steps_root(struct scenario *scenario, const char *name)
{
	scenario_root(scenario, name);
	scenario->config.epoch++;
}

void
steps_child(struct scenario *scenario, const char *name, const char *parent, bool mounts)
{
	scenario_child(scenario, name, parent, 10, 10, mounts);
	scenario_connect(scenario, name);
	scenario_run(scenario, 500);
}

void
steps_write_block(struct scenario *scenario, const char *name, uint64_t block, char letter)
{
	struct request *write = scenario_write(scenario, name, block, letter);

	scenario_run(scenario, 500);
	request_expect_ok(write);
}

void
steps_read_block(struct scenario *scenario, const char *name, uint64_t block, char letter)
{
	struct request *read = scenario_read(scenario, name, block);

	scenario_run(scenario, 500);
	request_expect_letter(read, letter);
}

void
steps_write(struct scenario *scenario, const char *name, char letter)
{
	steps_write_block(scenario, name, 7, letter);
}

void
steps_read(struct scenario *scenario, const char *name, char letter)
{
	steps_read_block(scenario, name, 7, letter);
}

void
steps_sync(struct scenario *scenario, const char *name, enum hvfs_error error)
{
	struct request *sync = scenario_sync(scenario, name);

	scenario_run(scenario, 1000);
	request_expect_error(sync, error);
}

struct scenario *
steps_tree(void)
{
	struct scenario *scenario = steps_create();

	scenario->world->moving = true;
	steps_keep_dirty(scenario, true);
	steps_root(scenario, "A");
	steps_child(scenario, "P", "A", true);
	steps_child(scenario, "C", "P", true);
	steps_child(scenario, "E", "P", true);
	steps_child(scenario, "B", "A", true);
	return scenario;
}

void
steps_cut(struct scenario *scenario, const char *a, const char *b, uint64_t ms)
{
	moment_us until = scenario->world->now + ms * 1000;

	world_block(scenario_node(scenario, a), scenario_node(scenario, b), until);
	world_block(scenario_node(scenario, b), scenario_node(scenario, a), until);
}

void
steps_leave(struct scenario *scenario, const char *name, const char *parent, uint64_t ms)
{
	struct node *node = scenario_node(scenario, name);

	world_cut(node, 0, 0, ms * 1000);
	world_set_parent(node, scenario_node(scenario, parent), node->pipe, ms * 1000);
}

void
steps_read_at_last(struct scenario *scenario, const char *name, char letter)
{
	struct request *read = scenario_read(scenario, name, 7);

	scenario_run(scenario, 2 * STEPS_EVICTED_MS);
	request_expect_letter(read, letter);
}

void
steps_work_again(struct scenario *scenario, const char *name)
{
	steps_write(scenario, name, 'n');
	steps_sync(scenario, name, ERR_OK);
	ck_assert_int_eq(scenario_stored(scenario, 7), 'n');
}

void
steps_right(struct scenario *scenario, const char *name, enum right right)
{
	world_set_right(scenario_node(scenario, name), right);
}

void
steps_near_the_end_of_the_grace_time(struct scenario *scenario, uint64_t ms)
{
	const struct node *root = scenario_node(scenario, "A");

	while (!core_in_grace(root->core))
		scenario_run(scenario, 1);
	while (inside_grace_end(root->core) > world_clock(root) + ms * 1000)
		scenario_run(scenario, 1);
}
