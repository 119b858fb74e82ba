// SPDX-License-Identifier: MIT
// A flush is an IO_SYNC of the core for each volume, as fsync is; it goes on when its client goes away.
#include "node/control.h"

#include <stdlib.h>

void
flush_free(struct flush *flush)
{
	struct flush **at = &flush->control->flushes;

	while (*at != flush)
		at = &(*at)->next;
	*at = flush->next;
	event_free(flush->progress);
	free(flush->waiting_told);
	free(flush);
}

static void
flush_ended(struct flush *flush)
{
	struct client *client = flush->client;

	if (client != NULL) {
		client->flush = NULL;
		client->wait = WAIT_NOT;
		command_flush_ended(client, flush);
		client_go_on(client); // later: this may be within a step
	}
	flush_free(flush);
}

// What it waits for is said when it takes long enough for the timer to come.
static void
flush_progress(evutil_socket_t fd, short what, void *arg)
{
	struct flush *flush = arg;
	struct node *node = flush->control->node;
	json_t *answer, *waiting;

	if (flush->client == NULL)
		return;
	answer = json_pack("{sI}", "dirty_bytes", (json_int_t)node_dirty_bytes(node, flush->volume));
	waiting = (what & EV_TIMEOUT) != 0 ? node_waiting_flush(node, flush->volume, &flush->waiting_told) : NULL;
	if (waiting != NULL)
		json_object_set_new(answer, "waiting", waiting);
	client_answer(flush->client, answer);
}

bool
flush_io_done(struct control *control, struct io *io, enum hvfs_error error)
{
	struct flush *flush = control->flushes;

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
void
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
	client->wait = WAIT_FLUSH;
	flush_progress(-1, 0, flush);
	flush->running = 1;
	for (uint32_t i = 0; i < core_volume_count(node->core); i++) {
		if (!node->volumes[i].ready || (volume >= 0 && (uint32_t)volume != i))
			continue;
		if (node->volumes[i].aborted && client->flush_unmounts)
			continue; // there is nothing to be saved
		flush->running++;
		flush->ios[i] = (struct io){.kind = IO_SYNC, .volume = i, .force_sync = true};
		node_feed(node, &(struct event){.type = EVENT_IO, .io = &flush->ios[i]});
	}
	if (--flush->running == 0)
		flush_ended(flush);
}
