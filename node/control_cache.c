// SPDX-License-Identifier: MIT
// What the cache is told on the control socket: {"command":"cache","action":...}, with levels counted from 0, the top.
//
//   list                             node_cache_status
//   add "level":TEXT "position":N    without a position: below the others in memory; one on a disk is the lowest
//   remove "position":N
//   set "position":N "values":{KEY:TEXT}
//   move "from":N "to":N
//   move "from":N "medium":TEXT      "mem", or the path of a file or a block device
//   advise                           {"advice":TEXT,"size":N,"level":N,"level_size":N,"uses":N,"now":I,"curve":[{"size","hit_ratio"}],
//                                    "disk":{"size","hit_ratio"}}; disk: null when there is none
//   warm, pin, unpin                 control_range.c
//
// A change is made, or an error says why not; then {"moving":N,"moving_total":N} now and then while blocks are on their
// way, with "phase":"opening" while records of blocks that are on a disk already are read, and {"ok":true,"cache":TEXT} with the stack as it is then. It goes on without its client.
#include "node/advice.h"
#include "node/cache_spec.h"
#include "node/control.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { STACK_TEXT_SIZE = STACK_LEVELS_MAX * CACHE_SPEC_LEVEL_SIZE + CACHE_SPEC_DISK_SIZE };

// ---- What there is ----

// The levels that stay, but for the one at ${without} (-1: all).
static uint32_t
get_levels(const struct node *node, int without, struct level_config levels[STACK_LEVELS_MAX])
{
	struct stack_level_stats stats;
	uint32_t count = 0;

	for (uint32_t i = 0; i < stack_level_count(node->cache); i++) {
		stack_get_level_stats(node->cache, i, &stats);
		if (!stats.leaving && (int)i != without)
			levels[count++] = stats.config;
	}
	return count;
}

static const char *
print_levels(const struct node *node, char text[STACK_TEXT_SIZE])
{
	struct level_config levels[STACK_LEVELS_MAX];
	const struct cache_disk_config *disk = node_cache_disk_config(node);
	uint32_t count = get_levels(node, -1, levels);
	char level[CACHE_SPEC_LEVEL_SIZE], on_disk[CACHE_SPEC_DISK_SIZE];
	size_t length = 0;

	text[0] = '\0';
	for (uint32_t i = 0; i < count; i++)
		length += (size_t)snprintf(text + length, STACK_TEXT_SIZE - length, "%s%s", i > 0 ? "/" : "",
					   cache_spec_print(&levels[i], level));
	if (disk != NULL)
		snprintf(text + length, STACK_TEXT_SIZE - length, "/%s", cache_spec_print_disk(disk, on_disk));
	return text;
}

void
cache_log(const struct node *node)
{
	char text[STACK_TEXT_SIZE];

	log_info("the cache is %s now", print_levels(node, text));
}

// ---- What is asked for ----

bool
cache_read_position(struct client *client, const json_t *request, const char *key, uint32_t *ret_position,
		    struct stack_level_stats *ret)
{
	const json_t *position = json_object_get(request, key);
	json_int_t number = json_integer_value(position);
	struct stack *cache = client->control->node->cache;
	uint32_t count = stack_level_count(cache);
	uint64_t left, total;

	if (!json_is_integer(position)) {
		client_answer_error(client, "\"%s\" is no number", key);
		return false;
	}
	if (number == count && stack_leaving_disk(cache) != NULL) {
		client_answer_error(client, "level %" JSON_INTEGER_FORMAT ": it is leaving", number);
		return false;
	}
	if (number == count && node_cache_disk_opening(client->control->node, &left, &total) != NULL) {
		client_answer_error(client, "level %" JSON_INTEGER_FORMAT ": it is being opened", number);
		return false;
	}
	if (number < 0 || number >= count) {
		client_answer_error(client, "level %" JSON_INTEGER_FORMAT ": there is no such level%s; the lowest is %" PRIu32, number,
				    number == count && stack_disk(cache) != NULL ? " in memory" : "",
				    stack_disk(cache) != NULL ? count : count - 1);
		return false;
	}
	*ret_position = (uint32_t)number;
	stack_get_level_stats(cache, *ret_position, ret);
	return true;
}

bool
cache_check_size(struct client *client, int replaced, const struct level_config *added)
{
	struct level_config levels[STACK_LEVELS_MAX + 1];
	uint32_t count = get_levels(client->control->node, replaced, levels);
	char why[256];

	levels[count++] = *added;
	if (count > STACK_LEVELS_MAX)
		client_answer_error(client, "there are %d levels already; one must go first", STACK_LEVELS_MAX);
	else if (cache_spec_check(levels, count, why, sizeof(why)) != 0)
		client_answer_error(client, "%s", why);
	else
		return true;
	return false;
}

// ---- The end of a change ----

void
cache_answer_changed(struct client *client)
{
	char text[STACK_TEXT_SIZE];

	client->wait = WAIT_NOT;
	client_answer(client, json_pack("{sbss}", "ok", 1, "cache", print_levels(client->control->node, text)));
}

static bool
find_level(const struct stack *cache, uint32_t id, struct stack_level_stats *ret)
{
	for (uint32_t i = 0; i < stack_level_count(cache); i++) {
		stack_get_level_stats(cache, i, ret);
		if (ret->id == id)
			return true;
	}
	return false;
}

void
control_cache_moved(struct control *control, bool progress_due)
{
	struct stack_level_stats stats;

	if (progress_due)
		cache_disk_moved(control);
	for (struct client *client = control->clients; client != NULL; client = client->next) {
		if (client->wait != WAIT_CACHE)
			continue;
		if (!find_level(control->node->cache, client->level_id, &stats) || !stats.busy) {
			cache_answer_changed(client);
			client_go_on(client);
		} else if (progress_due) {
			client_answer(client, json_pack("{sIsI}", "moving", (json_int_t)stats.moving, "moving_total",
							(json_int_t)stats.moving_total));
		}
	}
}

// The stack was changed as ${client} wanted, at the level called ${id}; it was ${was} before.
static void
change_begun(struct client *client, uint32_t id, const char *was)
{
	struct node *node = client->control->node;
	char is[STACK_TEXT_SIZE];

	if (strcmp(print_levels(node, is), was) != 0)
		log_info("the cache is %s now (was %s)", is, was);
	node_cache_changed(node);
	cache_wait_for_level(client, id);
}

void
cache_wait_for_level(struct client *client, uint32_t id)
{
	struct node *node = client->control->node;
	struct stack_level_stats stats;

	if (!find_level(node->cache, id, &stats) || !stats.busy) {
		cache_answer_changed(client);
		return;
	}
	client->wait = WAIT_CACHE;
	client->level_id = id;
	client_answer(client, json_pack("{sIsI}", "moving", (json_int_t)stats.moving, "moving_total",
					(json_int_t)stats.moving_total));
}

static void
change_failed(struct client *client, uint32_t position, enum stack_error error, const struct stack_level_stats *stats)
{
	if (error == STACK_BUSY)
		client_answer_error(client, "level %" PRIu32 ": it is still changing, %" PRIu64 " of %" PRIu64 " blocks are left",
				    position, stats->moving, stats->moving_total);
	else
		client_answer_error(client, "level %" PRIu32 ": %s", position, stack_error_text(error));
}

// ---- Actions ----

static void
action_list(struct client *client, const json_t *request)
{
	client_answer(client, node_cache_status(client->control->node));
}

static bool
cache_position_is_lowest(const struct client *client, const json_t *where)
{
	return json_is_integer(where) && json_integer_value(where) == stack_level_count(client->control->node->cache);
}

static void
action_add(struct client *client, const json_t *request)
{
	struct node *node = client->control->node;
	const json_t *where = json_object_get(request, "position");
	const char *text = json_string_value(json_object_get(request, "level"));
	json_int_t position = where != NULL ? json_integer_value(where) : stack_level_count(node->cache);
	char was[STACK_TEXT_SIZE], why[256];
	struct stack_level_stats stats;
	struct level_config level;
	enum stack_error error;

	if (text != NULL && strncmp(text, "disk:", 5) == 0) {
		if (where == NULL || cache_position_is_lowest(client, where))
			action_add_disk(client, text);
		else
			client_answer_error(client, "a level on a disk is the lowest: right would be position %" PRIu32 ", or none",
					    stack_level_count(node->cache));
		return;
	}
	if (text == NULL || cache_spec_parse_level(text, &level, why, sizeof(why)) != 0) {
		client_answer_error(client, "%s", text != NULL ? why : "\"level\" is no text");
		return;
	}
	if ((where != NULL && !json_is_integer(where)) || position < 0 || position > stack_level_count(node->cache)) {
		client_answer_error(client, "position %" JSON_INTEGER_FORMAT ": right would be 0 (the top) to %" PRIu32 " (below the others)",
				    position, stack_level_count(node->cache));
		return;
	}
	if (!cache_check_size(client, -1, &level))
		return;
	print_levels(node, was);
	error = stack_add(node->cache, (uint32_t)position, &level);
	if (error != STACK_OK) {
		client_answer_error(client, "%.200s: %s", text, error == STACK_TOO_MANY ? "a level is still leaving; then there is room for one"
										     : stack_error_text(error));
		return;
	}
	stack_get_level_stats(node->cache, (uint32_t)position, &stats);
	change_begun(client, stats.id, was);
}

static void
action_remove(struct client *client, const json_t *request)
{
	struct node *node = client->control->node;
	struct stack_level_stats stats;
	char was[STACK_TEXT_SIZE];
	enum stack_error error;
	uint32_t position;

	if (cache_is_disk(client, request, "position")) {
		action_remove_disk(client);
		return;
	}
	if (!cache_read_position(client, request, "position", &position, &stats))
		return;
	print_levels(node, was);
	error = stack_remove(node->cache, position);
	if (error == STACK_OK)
		change_begun(client, stats.id, was);
	else
		change_failed(client, position, error, &stats);
}

bool
cache_read_values(struct client *client, const json_t *values, struct level_config *level)
{
	const char *key;
	json_t *value;
	char why[256];

	if (!json_is_object(values)) {
		client_answer_error(client, "\"values\" is no object");
		return false;
	}
	json_object_foreach((json_t *)values, key, value) {
		const char *text = json_string_value(value);

		if (text != NULL && cache_spec_set(level, key, text, why, sizeof(why)) == 0)
			continue;
		client_answer_error(client, "%.100s=%.100s: %s", key, text != NULL ? text : "", text != NULL ? why : "no text");
		return false;
	}
	return true;
}

static void
action_set(struct client *client, const json_t *request)
{
	struct node *node = client->control->node;
	struct stack_level_stats stats;
	struct level_config level;
	char was[STACK_TEXT_SIZE];
	enum stack_error error;
	uint32_t position;

	if (cache_is_disk(client, request, "position")) {
		action_set_disk(client, json_object_get(request, "values"));
		return;
	}
	if (!cache_read_position(client, request, "position", &position, &stats))
		return;
	level = stats.config;
	if (!cache_read_values(client, json_object_get(request, "values"), &level) || !cache_check_size(client, (int)position, &level))
		return;
	print_levels(node, was);
	error = stack_set(node->cache, position, &level);
	if (error == STACK_OK)
		change_begun(client, stats.id, was);
	else
		change_failed(client, position, error, &stats);
}

static void
action_move(struct client *client, const json_t *request)
{
	struct node *node = client->control->node;
	struct stack_level_stats stats, other;
	char was[STACK_TEXT_SIZE];
	uint32_t from, to;

	if (json_object_get(request, "medium") != NULL) {
		action_move_medium(client, request, json_string_value(json_object_get(request, "medium")));
		return;
	}
	if (cache_is_disk(client, request, "from") || cache_is_disk(client, request, "to")) {
		client_answer_error(client, "the level on a disk is the lowest, and stays so");
		return;
	}
	if (!cache_read_position(client, request, "from", &from, &stats) || !cache_read_position(client, request, "to", &to, &other))
		return;
	print_levels(node, was);
	CHECK(stack_move(node->cache, from, to) == STACK_OK);
	change_begun(client, 0, was);
}

enum { CURVE_POINTS = 11, CURVE_NOW = 4, LEVEL_SIZE_MIN = 1 << 20 };

// Quarters of the present size.
static void
draw_curve(const struct stack *cache, uint64_t size, struct advice_point points[CURVE_POINTS])
{
	static const uint32_t quarters[CURVE_POINTS] = {0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32};

	for (int i = 0; i < CURVE_POINTS; i++) {
		points[i].size = i > 0 ? size / 4 * quarters[i] : size / 8;
		points[i].hit_ratio = stack_advise(cache, points[i].size);
	}
	points[CURVE_NOW] = (struct advice_point){.size = size, .hit_ratio = stack_advise(cache, size)};
}

// The largest level that stays would be changed: its position.
static uint32_t
find_largest(const struct stack *cache, struct stack_level_stats *ret)
{
	uint32_t largest = 0;

	*ret = (struct stack_level_stats){.entries = 0};
	for (uint32_t i = 0; i < stack_level_count(cache); i++) {
		struct stack_level_stats stats;

		stack_get_level_stats(cache, i, &stats);
		if (stats.leaving || stats.config.size <= ret->config.size)
			continue;
		*ret = stats;
		largest = i;
	}
	return largest;
}

// What the level on a disk adds: it has what is in memory, too.
static json_t *
advise_disk(const struct node *node)
{
	const struct cache_disk_config *disk = node_cache_disk_config(node);

	if (disk == NULL)
		return json_null();
	return json_pack("{sIsf}", "size", (json_int_t)disk->level.size, "hit_ratio", stack_advise(node->cache, disk->level.size));
}

static void
action_advise(struct client *client, const json_t *request)
{
	const struct stack *cache = client->control->node->cache;
	struct advice_point points[CURVE_POINTS];
	struct advice_curve curve = {.points = points, .count = CURVE_POINTS, .now = CURVE_NOW, .size_max = cache_spec_memory()};
	struct stack_level_stats level;
	struct stack_stats stats;
	json_t *array = json_array();
	char text[ADVICE_TEXT_SIZE];
	uint32_t position;
	int64_t level_size;
	uint64_t size;

	stack_get_stats(cache, &stats);
	draw_curve(cache, stats.size, points);
	curve.uses = (double)(stats.hits + stats.misses);
	size = advice_give(&curve, text);
	position = find_largest(cache, &level);
	level_size = (int64_t)level.config.size + (int64_t)size - (int64_t)stats.size;
	if (level_size < LEVEL_SIZE_MIN)
		level_size = LEVEL_SIZE_MIN; // as far as one level goes
	for (int i = 0; i < CURVE_POINTS; i++)
		json_array_append_new(array, json_pack("{sIsf}", "size", (json_int_t)points[i].size, "hit_ratio", points[i].hit_ratio));
	client_answer(client, json_pack("{sssIsisIsIsisoso}", "advice", text, "size", (json_int_t)size, "level", (int)position,
					"level_size", (json_int_t)level_size, "uses", (json_int_t)(stats.hits + stats.misses), "now",
					CURVE_NOW, "curve", array, "disk", advise_disk(client->control->node)));
}

void
command_run_cache(struct client *client, const json_t *request)
{
	static const struct {
		const char *name;
		void (*run)(struct client *client, const json_t *request);
	} actions[] = {
		{"list", action_list}, {"add", action_add},   {"remove", action_remove},
		{"set", action_set},   {"move", action_move}, {"advise", action_advise},
		{"warm", action_warm}, {"pin", action_pin},   {"unpin", action_unpin},
	};
	const char *name = json_string_value(json_object_get(request, "action"));

	for (size_t i = 0; name != NULL && i < sizeof(actions) / sizeof(actions[0]); i++)
		if (strcmp(name, actions[i].name) == 0) {
			actions[i].run(client, request);
			return;
		}
	client_answer_error(client, "action %.100s of cache is not known; use list, add, remove, set, move, advise, warm, pin or unpin",
			    name != NULL ? name : "(not a string)");
}
