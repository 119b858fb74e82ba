// SPDX-License-Identifier: MIT
// What a stop or a flush waits for, said while it waits and, if the stop was in vain, at its end. The bytes of an aborted volume
// are given up, and have been named.
#include "node/internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TELL_AGAIN_US = 1000 * 1000 };

static json_t *__attribute__((format(printf, 2, 3)))
add(json_t *list, const char *format, ...)
{
	char text[1024];
	va_list arguments;
	json_t *value, *object;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	value = json_string(text);
	object = json_pack("{so}", "what", value != NULL ? value : json_string("something whose name is no UTF-8"));
	json_array_append_new(list, object);
	return object;
}

static void
set(json_t *object, const char *key, uint64_t value)
{
	json_object_set_new(object, key, json_integer((json_int_t)value));
}

static uint64_t
since_ms(moment_us since)
{
	moment_us now = node_now();

	return now > since ? (now - since) / 1000 : 0;
}

// Returns true when its bytes have to go to the parent.
static bool
add_volume(const struct node *node, uint32_t index, json_t *list)
{
	struct volume_info info;

	core_volume_info(node->core, index, node_now(), &info);
	if (info.dirty_blocks + info.unstable_blocks == 0 || node->volumes[index].aborted)
		return false;
	set(info.is_root ? add(list, "volume %s has bytes that are not on its storage %s", info.name, node->volumes[index].store_name)
			 : add(list, "volume %s has bytes that are not at the root", info.name),
	    "bytes", (info.dirty_blocks + info.unstable_blocks) * info.block_size);
	return !info.is_root;
}

static void
add_children(const struct node *node, json_t *list)
{
	struct volume_info info;
	struct child_info child;

	for (uint32_t at = 0; core_child_info(node->core, &at, node_now(), &child);) {
		json_t *object;

		if (child.blocks_read + child.blocks_write == 0)
			continue;
		core_volume_info(node->core, child.volume, node_now(), &info);
		object = add(list, "child %s, which %s, has not given volume %s back", child.name,
			     child.connected ? "is connected" : "is away", info.name);
		set(object, "blocks", child.blocks_read + child.blocks_write);
		if (child.phase_since != 0)
			set(object, "since_ms", since_ms(child.phase_since));
	}
}

// What has to be flushed. A list of objects with "what" and, where there is more to say, "bytes", "blocks" and "since_ms".
static json_t *
flush_list(const struct node *node, int volume)
{
	json_t *list = json_array();
	bool needs_parent = false;

	for (uint32_t i = 0; i < core_volume_count(node->core); i++)
		if (volume < 0 || (uint32_t)volume == i)
			needs_parent |= add_volume(node, i, list);
	if (needs_parent && (node->parent == NULL || !node->parent->heard))
		set(add(list, "parent %s can not be reached", node_parent_address(node)), "since_ms",
		    since_ms(node->parent_lost));
	return list;
}

// The same, and what else a stop needs.
static json_t *
waiting_list(const struct node *node)
{
	json_t *list = flush_list(node, -1);

	add_children(node, list);
	if (json_array_size(list) == 0 && !node->left && node->parent != NULL && node->parent->heard)
		add(list, "parent %s has not answered the good-bye", node_parent_address(node));
	if (node->left && node->store_operations > 0)
		add(list, "the storage does not answer");
	if (node->left && node_cache_disk_is_busy(node))
		add(list, "the disk of the cache does not answer");
	if (worker_is_busy(node->worker))
		add(list, "a file is being written beside the storage, or for the user");
	return list;
}

bool
node_waiting_is_loss(const struct node *node)
{
	struct volume_info volume;
	struct child_info child;

	for (uint32_t i = 0; i < core_volume_count(node->core); i++) {
		core_volume_info(node->core, i, node_now(), &volume);
		if (volume.dirty_blocks + volume.unstable_blocks > 0 && !node->volumes[i].aborted)
			return true;
	}
	for (uint32_t at = 0; core_child_info(node->core, &at, node_now(), &child);)
		if (child.blocks_write > 0)
			return true;
	return node->store_operations > 0 || worker_is_busy(node->worker);
}

bool
node_waiting_is_good_bye(const struct node *node)
{
	struct child_info child;

	for (uint32_t at = 0; core_child_info(node->core, &at, node_now(), &child);)
		if (child.blocks_read > 0)
			return false;
	return node->config.parent_count > 0 && !node_waiting_is_loss(node);
}

void
node_waiting_print(const struct node *node, char *text, size_t size)
{
	json_t *list = waiting_list(node), *object;
	size_t index, used = 0;

	text[0] = '\0';
	json_array_foreach(list, index, object) {
		const char *what = json_string_value(json_object_get(object, "what"));
		json_int_t bytes = json_integer_value(json_object_get(object, "bytes"));

		if (used < size)
			used += (size_t)snprintf(text + used, size - used, "; %s", what);
		if (used < size && bytes > 0)
			used += (size_t)snprintf(text + used, size - used, " (%" JSON_INTEGER_FORMAT " bytes)", bytes);
	}
	json_decref(list);
}

// The same, without the numbers, which change all the time.
static char *
whats(const json_t *list)
{
	char *text = strdup("");
	size_t index;
	const json_t *object;

	json_array_foreach(list, index, object) {
		char *longer;

		CHECK(text != NULL);
		CHECK(asprintf(&longer, "%s%s%s", text, index > 0 ? "; " : "",
			       json_string_value(json_object_get(object, "what"))) >= 0);
		free(text);
		text = longer;
	}
	return text;
}

json_t *
node_waiting_flush(const struct node *node, int volume, char **told)
{
	json_t *list = flush_list(node, volume);
	char *now = whats(list);
	bool is_new = now[0] != '\0' && (*told == NULL || strcmp(now, *told) != 0);

	free(*told);
	*told = now;
	if (is_new)
		return list;
	json_decref(list);
	return NULL;
}

void
node_waiting_tell(struct node *node)
{
	json_t *list = waiting_list(node);
	uint64_t dirty = node_dirty_bytes(node, -1);
	char *now = whats(list);
	bool is_new = node->waiting_told == NULL || strcmp(now, node->waiting_told) != 0;

	if (is_new && now[0] != '\0')
		log_info("stopping: waiting: %s", now);
	if (is_new || (dirty != node->waiting_dirty && node_now() - node->waiting_told_at >= TELL_AGAIN_US)) {
		control_tell_waiting(node->control, list, dirty);
		node->waiting_dirty = dirty;
		node->waiting_told_at = node_now();
	}
	free(node->waiting_told);
	node->waiting_told = now;
	json_decref(list);
}
