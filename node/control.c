// SPDX-License-Identifier: MIT
// The control socket: a client writes one JSON object a line, and gets lines of JSON back.
//
//   {"command":"status"}                  one object (status.c)
//   {"command":"flush","volume":NAME}     {"dirty_bytes":N} now and then, at the end {"ok":true}; volume may be
//   missing: all
//   {"command":"stop"}                    {"ok":true} when everything is flushed and unmounted; then the node ends
//   anything else                         {"error":"…"}
//
// A client's commands run one after the other. A request line, the number of clients and what waits to be read by one
// of them are bounded. A flush is an IO_SYNC of the core, as fsync is; it goes on when its client goes away.
#include "node/internal.h"

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
	ANSWER_SIZE_MAX = 4 << 20,
	PROGRESS_MS = 250,
};

struct client {
	struct client *next;
	struct control *control;
	struct bufferevent *stream;
	struct flush *flush; // that it waits for
	bool waits_for_stop;
	bool ended; // it will not ask any more
};

struct flush {
	struct flush *next;
	struct control *control;
	struct client *client; // NULL: gone
	struct event *progress;
	int volume; // -1: all
	unsigned running;
	enum hvfs_error error; // the first one
	uint32_t failed_volume;
	struct io ios[LIMIT_VOLUMES]; // by the core's index
};

struct control {
	struct node *node;
	struct listener *listener;
	struct client *clients;
	unsigned client_count;
	struct flush *flushes;
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
	bufferevent_free(client->stream);
	free(client);
}

// Takes over ${object}. Freeing the client is left to its own callbacks.
static void
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

static void __attribute__((format(printf, 2, 3))) client_answer_error(struct client *client, const char *format, ...)
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

static void
client_answer_ok(struct client *client)
{
	client_answer(client, json_pack("{sb}", "ok", 1));
}

// ---- Flush ----

static void client_go_on(struct client *client);

static void
flush_answer(struct flush *flush)
{
	struct client *client = flush->client;
	struct volume_info info;

	client->flush = NULL;
	if (flush->error == ERR_OK) {
		client_answer_ok(client);
	} else {
		core_volume_info(flush->control->node->core, flush->failed_volume, node_now(), &info);
		client_answer_error(client, "volume %s: %s", info.name, hvfs_error_text(flush->error));
	}
	client_go_on(client);
}

static void
flush_free(struct flush *flush)
{
	struct flush **at = &flush->control->flushes;

	while (*at != flush)
		at = &(*at)->next;
	*at = flush->next;
	event_free(flush->progress);
	free(flush);
}

static void
flush_ended(struct flush *flush)
{
	if (flush->client != NULL)
		flush_answer(flush);
	flush_free(flush);
}

static void
flush_progress(evutil_socket_t fd, short what, void *arg)
{
	struct flush *flush = arg;
	json_int_t dirty;

	if (flush->client == NULL)
		return;
	dirty = (json_int_t)node_dirty_bytes(flush->control->node, flush->volume);
	client_answer(flush->client, json_pack("{sI}", "dirty_bytes", dirty));
}

bool
control_io_done(struct control *control, struct io *io, enum hvfs_error error)
{
	struct flush *flush = control != NULL ? control->flushes : NULL;

	while (flush != NULL && (io < flush->ios || io >= flush->ios + LIMIT_VOLUMES))
		flush = flush->next;
	if (flush == NULL)
		return false;
	if (error != ERR_OK && flush->error == ERR_OK) {
		flush->error = error;
		flush->failed_volume = io->volume;
	}
	if (--flush->running == 0)
		flush_ended(flush);
	return true;
}

// One more is counted while they are handed over, so that the last answer can not come before the last request.
static void
flush_start(struct client *client, int volume)
{
	struct node *node = client->control->node;
	struct flush *flush = calloc(1, sizeof(*flush));

	CHECK(flush != NULL);
	flush->control = client->control;
	flush->client = client;
	flush->volume = volume;
	flush->progress = event_new(node->base, -1, EV_PERSIST, flush_progress, flush);
	CHECK(flush->progress != NULL);
	evtimer_add(flush->progress, &(struct timeval){.tv_usec = PROGRESS_MS * 1000});
	flush->next = client->control->flushes;
	client->control->flushes = flush;
	client->flush = flush;
	flush_progress(-1, 0, flush);
	flush->running = 1;
	for (uint32_t i = 0; i < core_volume_count(node->core); i++) {
		if (!node->volumes[i].ready || (volume >= 0 && (uint32_t)volume != i))
			continue;
		flush->running++;
		flush->ios[i] = (struct io){.kind = IO_SYNC, .volume = i, .force_sync = true};
		node_feed(node, &(struct event){.type = EVENT_IO, .io = &flush->ios[i]});
	}
	if (--flush->running == 0)
		flush_ended(flush);
}

static void
command_flush(struct client *client, const json_t *request)
{
	const json_t *volume = json_object_get(request, "volume");
	struct node *node = client->control->node;
	const char *name = json_string_value(volume);
	struct volume_info info;

	if (volume == NULL || json_is_null(volume)) {
		flush_start(client, -1);
		return;
	}
	for (uint32_t i = 0; name != NULL && i < core_volume_count(node->core); i++) {
		core_volume_info(node->core, i, node_now(), &info);
		if (strcmp(info.name, name) != 0)
			continue;
		if (node->volumes[i].ready)
			flush_start(client, (int)i);
		else
			client_answer_error(client, "volume %s: its parent was not reached yet", name);
		return;
	}
	client_answer_error(client, "flush: volume %.300s is not served by this node",
			    name != NULL ? name : "(not a string)");
}

// ---- Requests ----

static void
command_stop(struct client *client)
{
	client->waits_for_stop = true;
	node_stop(client->control->node, "told so on the control socket");
}

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
	else if (strcmp(command, "status") == 0)
		client_answer(client, node_status(client->control->node));
	else if (strcmp(command, "flush") == 0)
		command_flush(client, request);
	else if (strcmp(command, "stop") == 0)
		command_stop(client);
	else
		client_answer_error(client, "command %.100s is not known; use status, flush or stop", command);
	json_decref(request);
}

// Handle whole lines until one must be waited for.
static void
client_go_on(struct client *client)
{
	struct evbuffer *input = bufferevent_get_input(client->stream);
	char *line;
	size_t size;

	while (client->flush == NULL && !client->waits_for_stop &&
	       (line = evbuffer_readln(input, &size, EVBUFFER_EOL_LF)) != NULL) {
		client_request(client, line, size);
		free(line);
	}
}

static bool
client_is_done(const struct client *client)
{
	bool waits = client->flush != NULL || client->waits_for_stop;
	bool can_write = bufferevent_get_enabled(client->stream) & EV_WRITE;

	return !can_write ||
	       (client->ended && !waits && evbuffer_get_length(bufferevent_get_output(client->stream)) == 0);
}

static void
client_readable(struct bufferevent *stream, void *arg)
{
	struct client *client = arg;
	struct evbuffer *input = bufferevent_get_input(stream);

	client_go_on(client);
	if (client->flush == NULL && !client->waits_for_stop && evbuffer_get_length(input) >= REQUEST_SIZE_MAX) {
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
	if (what & BEV_EVENT_ERROR || client_is_done(client))
		client_free(client);
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

		if (client->flush != NULL)
			client_answer_error(client, "%s", hvfs_error_text(ERR_SHUT_DOWN));
		if (client->waits_for_stop && error != NULL)
			client_answer_error(client, "%s", error);
		else if (client->waits_for_stop)
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
	free(control);
}
