// SPDX-License-Identifier: MIT
// The control socket: a client writes one JSON object a line, and gets lines of JSON back.
//
//   {"command":"status"}                  one object (status.c)
//   {"command":"flush","volume":NAME}     {"dirty_bytes":N} now and then, at the end {"ok":true}; volume may be
//                                         missing: all
//   {"command":"set","values":{KEY:TEXT}} {"ok":true,"changes":[{"key","was","is"}]}; all of them, or none
//   {"command":"cache","action":ACTION}   control_cache.c
//   {"command":"acl"}, "allow", "deny"  control_acl.c
//   {"command":"abort","volume":NAME}     {"ok":true,"requests":N,"dirty_bytes":N}: how much was given up
//   {"command":"stop","timeout_ms":N}     {"waiting":[{"what":TEXT,...}],"dirty_bytes":N} when that changes (waiting.c);
//                                         {"ok":true} when everything is flushed and unmounted, and then the node ends.
//                                         timeout_ms may be missing
//   {"command":"unmount","timeout_ms":N}  as flush, but {"ok":true,"mount":DIR}: now the client unmounts it; and
//                                         {"unmounted":true,"stopping":BOOL} when it has done so; stopping: then as stop
//   anything else                         {"error":"…"}
//
// A client's commands run one after the other. A request line, the number of clients and what waits to be read by one
// of them are bounded.
#include "node/control.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	CLIENTS_MAX = 64,
	REQUEST_SIZE_MAX = 4096,
	ANSWER_SIZE_MAX = 8 << 20, // a status with LIMIT_CHILDREN children
};

// ---- Answers ----

static void
client_free(struct client *client)
{
	struct client **at = &client->control->clients;

	while (*at != client)
		at = &(*at)->next;
	*at = client->next;
	client->control->client_count--;
	if (client->flush != NULL)
		client->flush->client = NULL;
	if (client->warm != NULL)
		warm_leave(client->warm);
	bufferevent_free(client->stream);
	free(client);
}

// Takes over ${object}. Freeing the client is left to its own callbacks.
void
client_answer(struct client *client, json_t *object)
{
	struct evbuffer *output = bufferevent_get_output(client->stream);
	char *text = json_dumps(object, JSON_COMPACT);

	json_decref(object);
	CHECK(text != NULL);
	if (evbuffer_get_length(output) + strlen(text) <= ANSWER_SIZE_MAX)
		evbuffer_add_printf(output, "%s\n", text);
	else
		bufferevent_disable(client->stream, EV_WRITE); // it does not read; its next event ends it
	free(text);
}

void
client_answer_error(struct client *client, const char *format, ...)
{
	char text[1024];
	va_list arguments;
	json_t *value;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	value = json_string(text);
	if (value == NULL) // not UTF-8
		value = json_string("the request failed; the reason has bytes that are not UTF-8");
	client_answer(client, json_pack("{so}", "error", value));
}

void
client_answer_ok(struct client *client)
{
	client_answer(client, json_pack("{sb}", "ok", 1));
}

// ---- Requests ----

static void
client_request(struct client *client, const char *line, size_t size)
{
	json_error_t why;
	json_t *request = json_loadb(line, size, 0, &why);
	const char *command = json_string_value(json_object_get(request, "command"));

	if (request == NULL)
		client_answer_error(client, "the request is no JSON: %s", why.text);
	else if (command == NULL)
		client_answer_error(client, "the request is no object with a \"command\"");
	else
		command_run(client, command, request);
	json_decref(request);
}

// Handle whole lines until one must be waited for.
static void
client_read(struct client *client)
{
	struct evbuffer *input = bufferevent_get_input(client->stream);
	char *line;
	size_t size;

	while (client->wait == WAIT_NOT && (line = evbuffer_readln(input, &size, EVBUFFER_EOL_LF)) != NULL) {
		client_request(client, line, size);
		free(line);
	}
}

void
client_go_on(struct client *client)
{
	bufferevent_trigger(client->stream, EV_READ, BEV_TRIG_IGNORE_WATERMARKS | BEV_TRIG_DEFER_CALLBACKS);
}

static bool
client_is_done(const struct client *client)
{
	bool waits = client->wait != WAIT_NOT;
	bool can_write = bufferevent_get_enabled(client->stream) & EV_WRITE;

	return !can_write ||
	       (client->ended && !waits && evbuffer_get_length(bufferevent_get_output(client->stream)) == 0);
}

static void
client_readable(struct bufferevent *stream, void *arg)
{
	struct client *client = arg;
	struct evbuffer *input = bufferevent_get_input(stream);

	client_read(client);
	if (client->wait == WAIT_NOT && evbuffer_get_length(input) >= REQUEST_SIZE_MAX) {
		evbuffer_drain(input, evbuffer_get_length(input));
		client_answer_error(client, "the request is longer than %d bytes", REQUEST_SIZE_MAX);
		bufferevent_disable(stream, EV_READ);
		client->ended = true;
	}
	if (client_is_done(client))
		client_free(client);
}

static void
client_drained(struct bufferevent *stream, void *arg)
{
	if (client_is_done(arg))
		client_free(arg);
}

// The end of its requests is not the end of its interest: `echo … | nc` closes one direction at once.
static void
client_ended(struct bufferevent *stream, short what, void *arg)
{
	struct client *client = arg;

	client->ended = true;
	if (client->wait == WAIT_UNMOUNT)
		client->wait = WAIT_NOT; // it could not
	if (what & BEV_EVENT_ERROR || client_is_done(client))
		client_free(client);
}

// ---- Requests to the core ----

bool
control_io_done(struct control *control, struct io *io, enum hvfs_error error)
{
	return control != NULL && (flush_io_done(control, io, error) || warm_io_done(control, io, error));
}

bool
control_reads(const struct control *control, const struct io *io)
{
	return control != NULL && control->warms != NULL && warm_has(control, io);
}

// ---- Life ----

static void
on_accepted(void *arg, int fd, const char *peer)
{
	static const char full[] = "{\"error\":\"too many clients\"}\n";
	struct control *control = arg;
	struct client *client;

	if (control->client_count == CLIENTS_MAX) {
		if (write(fd, full, sizeof(full) - 1) < 0)
			log_debug("control: a client is turned away");
		close(fd);
		return;
	}
	client = calloc(1, sizeof(*client));
	CHECK(client != NULL);
	client->control = control;
	client->stream =
		bufferevent_socket_new(control->node->base, fd, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	CHECK(client->stream != NULL);
	client->next = control->clients;
	control->clients = client;
	control->client_count++;
	bufferevent_setcb(client->stream, client_readable, client_drained, client_ended, client);
	bufferevent_setwatermark(client->stream, EV_READ, 0, REQUEST_SIZE_MAX);
	bufferevent_enable(client->stream, EV_READ | EV_WRITE);
}

struct control *
control_create(struct node *node, const char *path, char *error, size_t error_size)
{
	struct control *control = calloc(1, sizeof(*control));
	struct address address = {.is_unix = true};

	CHECK(control != NULL);
	control->node = node;
	snprintf(address.text, sizeof(address.text), "unix:%s", path);
	snprintf(address.path, sizeof(address.path), "%s", path);
	control->listener = listener_create(node->base, &address, on_accepted, control, error, error_size);
	if (control->listener == NULL) {
		free(control);
		return NULL;
	}
	return control;
}

// The loop does not run any more: written at once. The line is short and the client waits for it.
void
control_tell_stopped(struct control *control, const char *error)
{
	listener_destroy(control->listener);
	control->listener = NULL;
	for (struct client *client = control->clients; client != NULL; client = client->next) {
		struct evbuffer *output = bufferevent_get_output(client->stream);

		if (client->wait != WAIT_NOT && client->wait != WAIT_STOP)
			client_answer_error(client, "%s", hvfs_error_text(ERR_SHUT_DOWN));
		if (client->wait == WAIT_STOP && error != NULL)
			client_answer_error(client, "%s", error);
		else if (client->wait == WAIT_STOP)
			client_answer_ok(client);
		bufferevent_disable(client->stream, EV_READ | EV_WRITE); // or the output's front is frozen
		evbuffer_unfreeze(output, 1);
		evbuffer_write(output, bufferevent_getfd(client->stream));
	}
}

void
control_destroy(struct control *control)
{
	if (control == NULL)
		return;
	listener_destroy(control->listener);
	while (control->clients != NULL)
		client_free(control->clients);
	while (control->flushes != NULL)
		flush_free(control->flushes);
	while (control->warms != NULL)
		warm_free(control->warms);
	free(control);
}
