// SPDX-License-Identifier: MIT
// What the cache is told of its level on a disk: it comes, goes, is changed, and levels move between memory and disk.
// There is one at most. It is inclusive: whatever comes to memory is written there, so a second one would have the same
// blocks, or take a read and a write for each one that the first replaces.
#include "node/cache_spec.h"
#include "node/control.h"

#include <inttypes.h>
#include <string.h>

bool
cache_is_disk(const struct client *client, const json_t *request, const char *key)
{
	const struct stack *cache = client->control->node->cache;
	const json_t *position = json_object_get(request, key);

	return stack_disk(cache) != NULL && json_is_integer(position) &&
	       json_integer_value(position) == (json_int_t)stack_level_count(cache);
}

// ---- The end of a change ----

static void
tell_progress(struct client *client)
{
	uint64_t moving, total;

	if (node_cache_disk_opening(client->control->node, &moving, &total) != NULL && total > 0)
		client_answer(client, json_pack("{sIsIss}", "moving", (json_int_t)moving, "moving_total", (json_int_t)total, "phase",
						"opening"));
	else if (node_cache_disk_changes(client->control->node, &moving, &total) && total > 0)
		client_answer(client, json_pack("{sIsI}", "moving", (json_int_t)moving, "moving_total", (json_int_t)total));
}

void
cache_disk_moved(struct control *control)
{
	for (struct client *client = control->clients; client != NULL; client = client->next)
		if (client->wait == WAIT_DISK)
			tell_progress(client);
}

// The position of the level in memory called ${id}; false: it has gone.
static bool
find_position(const struct stack *cache, uint32_t id, uint32_t *ret_position)
{
	struct stack_level_stats stats;

	for (*ret_position = 0; *ret_position < stack_level_count(cache); ++*ret_position) {
		stack_get_level_stats(cache, *ret_position, &stats);
		if (stats.id == id)
			return true;
	}
	return false;
}

// The level in memory called ${id} (0: none) has a place on a disk now, and leaves.
static enum stack_error
leave_memory(struct node *node, uint32_t id)
{
	enum stack_error error;
	uint32_t position;

	if (id == 0 || !find_position(node->cache, id, &position))
		return STACK_OK;
	error = stack_remove(node->cache, position);
	if (error != STACK_OK)
		log_error("the cache: level %" PRIu32 " has a level on a disk below it now, but stays: %s", position,
			  stack_error_text(error));
	else
		node_cache_changed(node);
	return error;
}

void
control_cache_disk_ended(struct control *control, uint32_t id, uint32_t level_id, const char *error)
{
	enum stack_error stays = error == NULL ? leave_memory(control->node, level_id) : STACK_OK;

	cache_log(control->node);
	for (struct client *client = control->clients; client != NULL; client = client->next) {
		if (client->wait != WAIT_DISK || client->level_id != id)
			continue;
		client->wait = WAIT_NOT;
		if (error != NULL)
			client_answer_error(client, "%s", error);
		else if (stays != STACK_OK)
			client_answer_error(client, "the level on a disk is there, but the one in memory stays: %s", stack_error_text(stays));
		else
			cache_wait_for_level(client, level_id);
		if (client->wait == WAIT_NOT)
			client_go_on(client);
	}
}

static void
change_begun(struct client *client, uint32_t id)
{
	client->wait = WAIT_DISK;
	client->level_id = id;
	tell_progress(client);
}

// ---- Actions ----

// Whether nothing else is under way there. False: the client has its answer.
static bool
may_change(struct client *client)
{
	uint64_t moving, total;

	if (!node_cache_disk_changes(client->control->node, &moving, &total))
		return true;
	if (node_cache_disk_opening(client->control->node, &moving, &total) != NULL && total > 0)
		client_answer_error(client, "the level on a disk: its file is being opened, %" PRIu64 " of %" PRIu64
				    " records are still to be read", moving, total);
	else if (total > 0)
		client_answer_error(client, "the level on a disk: it is still changing, %" PRIu64 " of %" PRIu64 " blocks are left",
				    moving, total);
	else
		client_answer_error(client, "the level on a disk: it is still changing, its file is being opened or closed");
	return false;
}

// Whether a level on a disk can come. False: the client has its answer.
static bool
may_add(struct client *client, const struct cache_disk_config *config)
{
	const struct cache_disk_config *present = node_cache_disk_config(client->control->node);
	char why[256];

	if (!may_change(client))
		return false;
	if (present != NULL)
		client_answer_error(client, "there is a level on a disk already, %.300s, and one can be had: it keeps whatever comes to memory, "
				    "so a second one would keep the same; resize it, or move it to another medium", present->path);
	else if (cache_spec_check_disk(config, why, sizeof(why)) != 0)
		client_answer_error(client, "%s", why);
	else
		return true;
	return false;
}

void
action_add_disk(struct client *client, const char *text)
{
	struct cache_disk_config config;
	char why[256];

	if (cache_spec_parse_disk(text, &config, why, sizeof(why)) != 0)
		client_answer_error(client, "%s", why);
	else if (may_add(client, &config))
		change_begun(client, node_cache_disk_add(client->control->node, &config, 0));
}

void
action_remove_disk(struct client *client)
{
	if (may_change(client))
		change_begun(client, node_cache_disk_remove(client->control->node));
}

static bool
same_shape(const struct cache_disk_config *a, const struct cache_disk_config *b)
{
	return a->level.size == b->level.size && a->level.ways == b->level.ways && a->level.hash == b->level.hash &&
	       a->slot_size == b->slot_size;
}

static void
replace(struct client *client, const struct cache_disk_config *config)
{
	struct disk_level_stats stats;
	char why[256];

	disk_level_get_stats(stack_disk(client->control->node->cache), &stats);
	if (stats.sys_errno != 0)
		client_answer_error(client, "disk:%.300s has failed: %s; remove it, and add it again", node_cache_disk_config(client->control->node)->path,
				    strerror(stats.sys_errno));
	else if (cache_spec_check_disk(config, why, sizeof(why)) != 0)
		client_answer_error(client, "%s", why);
	else
		change_begun(client, node_cache_disk_replace(client->control->node, config));
}

void
action_set_disk(struct client *client, const json_t *values)
{
	struct node *node = client->control->node;
	const struct cache_disk_config *present = node_cache_disk_config(node);
	struct cache_disk_config config = *present;

	if (!cache_read_values(client, values, &config.level) || !may_change(client))
		return;
	if (config.level.hash == HASH_ANY)
		config.level.hash = present->level.hash;
	if (!same_shape(&config, present) && node_cache_disk_is_device(node)) {
		client_answer_error(client, "%.300s is a block device, which has room for one shape only: remove the level and add it as it is to be; "
				    "what is in it is given up then", present->path);
	} else if (!same_shape(&config, present)) {
		replace(client, &config);
	} else {
		node_cache_disk_set_policy(node, config.level.policy);
		cache_answer_changed(client);
	}
}

// A level in memory goes to ${path}.
static void
move_to_disk(struct client *client, const json_t *request, const char *path)
{
	struct node *node = client->control->node;
	struct cache_disk_config config = {.slot_size = CACHE_DISK_SLOT_SIZE};
	struct stack_level_stats stats;
	uint32_t position, others = 0;

	if (!cache_read_position(client, request, "from", &position, &stats))
		return;
	for (uint32_t i = 0; i < stack_level_count(node->cache); i++) {
		struct stack_level_stats other;

		stack_get_level_stats(node->cache, i, &other);
		others += !other.leaving && other.id != stats.id;
	}
	config.level = stats.config;
	strcpy(config.path, path);
	if (stats.busy)
		client_answer_error(client, "level %" PRIu32 ": it is still changing", position);
	else if (others == 0)
		client_answer_error(client, "level %" PRIu32 ": it is the last one in memory, and there must be one", position);
	else if (may_add(client, &config))
		change_begun(client, node_cache_disk_add(node, &config, stats.id));
}

// The level on a disk goes to memory.
static void
move_to_memory(struct client *client)
{
	struct node *node = client->control->node;
	const struct level_config level = node_cache_disk_config(node)->level;
	enum stack_error error;

	if (!may_change(client) || !cache_check_size(client, -1, &level))
		return;
	error = stack_add(node->cache, stack_level_count(node->cache), &level);
	if (error == STACK_OK)
		change_begun(client, node_cache_disk_remove(node));
	else
		client_answer_error(client, "%s", stack_error_text(error));
}

void
action_move_medium(struct client *client, const json_t *request, const char *medium)
{
	bool is_disk = cache_is_disk(client, request, "from"), to_memory = medium != NULL && strcmp(medium, "mem") == 0;
	struct cache_disk_config config;
	struct stack_level_stats stats;
	uint32_t position;

	if (medium == NULL || medium[0] == '\0' || strlen(medium) >= sizeof(config.path)) {
		client_answer_error(client, "\"medium\": right would be mem, or a path");
	} else if (is_disk && to_memory) {
		move_to_memory(client);
	} else if (is_disk) {
		config = *node_cache_disk_config(client->control->node);
		if (strcmp(config.path, medium) == 0) {
			client_answer_error(client, "it is on %.300s", medium);
			return;
		}
		strcpy(config.path, medium);
		if (may_change(client))
			replace(client, &config);
	} else if (!to_memory) {
		move_to_disk(client, request, medium);
	} else if (cache_read_position(client, request, "from", &position, &stats)) {
		client_answer_error(client, "level %" PRIu32 ": it is in memory", position);
	}
}
