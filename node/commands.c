// SPDX-License-Identifier: MIT
// The commands of the control socket (control.c has the list).
#include "node/control.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

int
command_find_volume(struct client *client, const json_t *request)
{
	const char *name = json_string_value(json_object_get(request, "volume"));
	struct node *node = client->control->node;
	struct volume_info info;

	for (uint32_t i = 0; name != NULL && i < core_volume_count(node->core); i++) {
		core_volume_info(node->core, i, node_now(), &info);
		if (strcmp(info.name, name) == 0)
			return (int)i;
	}
	client_answer_error(client, "volume %.300s is not served by this node", name != NULL ? name : "(not a string)");
	return -1;
}

// ---- flush, unmount ----

static void
command_flush(struct client *client, const json_t *request)
{
	const json_t *name = json_object_get(request, "volume");
	struct node *node = client->control->node;
	int volume;

	client->flush_unmounts = false;
	if (name == NULL || json_is_null(name)) {
		flush_start(client, -1);
		return;
	}
	volume = command_find_volume(client, request);
	if (volume >= 0 && node->volumes[volume].ready)
		flush_start(client, volume);
	else if (volume >= 0)
		client_answer_error(client, "volume %s: its parent was not reached yet", json_string_value(name));
}

// The milliseconds that ${request} gives; 0: none. False: the client has its answer.
static bool
read_timeout(struct client *client, const json_t *request, uint32_t *ret_ms)
{
	const json_t *timeout = json_object_get(request, "timeout_ms");
	json_int_t ms = json_integer_value(timeout);

	if (timeout != NULL && (!json_is_integer(timeout) || ms <= 0 || ms > UINT32_MAX)) {
		client_answer_error(client, "\"timeout_ms\" is no number of milliseconds");
		return false;
	}
	*ret_ms = (uint32_t)ms;
	return true;
}

static void
command_unmount(struct client *client, const json_t *request)
{
	struct node *node = client->control->node;
	uint32_t timeout_ms;

	if (!read_timeout(client, request, &timeout_ms))
		return;
	client->deadline = timeout_ms > 0 ? node_now() + (moment_us)timeout_ms * 1000 : 0;

	if (node->driver == NULL || node->unmounted) {
		client_answer_error(client, "node %s has no mount", node->config.name);
		return;
	}
	client->flush_unmounts = true;
	flush_start(client, -1);
}

void
command_flush_ended(struct client *client, const struct flush *flush)
{
	struct node *node = client->control->node;
	struct volume_info info;

	if (flush->error != ERR_OK) {
		core_volume_info(node->core, flush->failed_volume, node_now(), &info);
		client_answer_error(client, "volume %s: %s", info.name, hvfs_error_text(flush->error));
	} else if (!client->flush_unmounts) {
		client_answer_ok(client);
	} else if (node->unmounted) {
		client_answer_error(client, "the mount is gone already");
	} else {
		client_answer(client, json_pack("{sbss}", "ok", 1, "mount", driver_directory(node->driver)));
		client->wait = WAIT_UNMOUNT;
	}
}

bool
command_unmounted(struct control *control, bool goes_on)
{
	moment_us now = node_now();
	bool ours = false;

	for (struct client *client = control->clients; client != NULL; client = client->next) {
		if (client->wait != WAIT_UNMOUNT)
			continue;
		ours = true;
		client_answer(client, json_pack("{sbsb}", "unmounted", 1, "stopping", !goes_on));
		client->wait = goes_on ? WAIT_NOT : WAIT_STOP;
		if (!goes_on && client->deadline != 0)
			node_stop_within(control->node,
					 client->deadline > now ? (uint32_t)((client->deadline - now) / 1000) : 0);
	}
	return ours;
}

// ---- set ----

static int
read_settings(struct client *client, const json_t *values, struct settings *settings)
{
	const char *key;
	json_t *value;
	char why[300];

	json_object_foreach((json_t *)values, key, value) {
		const char *text = json_string_value(value);

		if (text == NULL)
			snprintf(why, sizeof(why), "no text");
		else if (settings_set(settings, key, text, why, sizeof(why)) == 0)
			continue;
		client_answer_error(client, "%.100s=%.100s: %s", key, text != NULL ? text : "", why);
		return -1;
	}
	return 0;
}

static void
apply(struct node *node, const struct settings *settings)
{
	node->config.settings = *settings;
	log_set_level(settings->log_level);
	core_set_write_mode(node->core, settings->write_mode);
	core_set_durability(node->core, settings->durability);
	core_set_disconnect(node->core, settings->disconnect_ms);
	core_set_push(node->core, settings->push_size / node->block_size);
	node_feed(node, &(struct event){.type = EVENT_TIMER});
}

static void
command_set(struct client *client, const json_t *request)
{
	const json_t *values = json_object_get(request, "values");
	struct node *node = client->control->node;
	struct settings was = node->config.settings, is;
	char before[SETTINGS_TEXT_SIZE], after[SETTINGS_TEXT_SIZE];
	json_t *changes = json_array();
	const char *key;
	json_t *value;

	was.log_level = log_get_level();
	is = was;
	if (!json_is_object(values)) {
		client_answer_error(client, "\"values\" is no object");
		json_decref(changes);
		return;
	}
	if (read_settings(client, values, &is) != 0) {
		json_decref(changes);
		return;
	}
	json_object_foreach((json_t *)values, key, value) {
		settings_print(&was, key, before);
		settings_print(&is, key, after);
		log_info("%s is %s now (was %s)", key, after, before);
		json_array_append_new(changes, json_pack("{ssssss}", "key", key, "was", before, "is", after));
	}
	apply(node, &is);
	client_answer(client, json_pack("{sbso}", "ok", 1, "changes", changes));
}

// ---- abort ----

static void
command_abort(struct client *client, const json_t *request)
{
	int volume = command_find_volume(client, request);
	struct node *node = client->control->node;
	uint64_t dirty;
	size_t requests = 0;

	if (volume < 0)
		return;
	dirty = node_dirty_bytes(node, volume);
	log_error("volume %s is aborted: every request fails from now on, %" PRIu64 " bytes are not at the root",
		  json_string_value(json_object_get(request, "volume")), dirty);
	node->volumes[volume].aborted = true;
	if (node->cookies != NULL)
		cookies_abort(node->cookies, (uint32_t)volume);
	if (node->driver != NULL)
		requests = driver_abort(node->driver, (uint32_t)volume);
	node_feed(node, &(struct event){.type = EVENT_ABORT, .volume = (uint32_t)volume});
	client_answer(client, json_pack("{sbsIsI}", "ok", 1, "requests", (json_int_t)requests, "dirty_bytes",
					(json_int_t)dirty));
}

// ---- stop ----

static void
command_stop(struct client *client, const json_t *request)
{
	struct node *node = client->control->node;
	uint32_t timeout_ms;

	if (!read_timeout(client, request, &timeout_ms))
		return;
	client->wait = WAIT_STOP;
	node_stop(node, "told so on the control socket");
	if (timeout_ms > 0)
		node_stop_within(node, timeout_ms);
}

void
control_tell_waiting(struct control *control, json_t *list, uint64_t dirty)
{
	for (struct client *client = control != NULL ? control->clients : NULL; client != NULL; client = client->next)
		if (client->wait == WAIT_STOP)
			client_answer(client,
				      json_pack("{sOsI}", "waiting", list, "dirty_bytes", (json_int_t)dirty));
}

// ---- All ----

void
command_run(struct client *client, const char *command, const json_t *request)
{
	if (strcmp(command, "status") == 0)
		client_answer(client, node_status(client->control->node));
	else if (strcmp(command, "flush") == 0)
		command_flush(client, request);
	else if (strcmp(command, "set") == 0)
		command_set(client, request);
	else if (strcmp(command, "cache") == 0)
		command_run_cache(client, request);
	else if (strcmp(command, "acl") == 0)
		command_run_acl(client, request);
	else if (strcmp(command, "allow") == 0)
		command_run_allow(client, request);
	else if (strcmp(command, "deny") == 0)
		command_run_deny(client, request);
	else if (strcmp(command, "abort") == 0)
		command_abort(client, request);
	else if (strcmp(command, "unmount") == 0)
		command_unmount(client, request);
	else if (strcmp(command, "stop") == 0)
		command_stop(client, request);
	else
		client_answer_error(client,
				    "command %.100s is not known; use status, flush, set, cache, acl, allow, deny, abort, unmount or stop",
				    command);
}
