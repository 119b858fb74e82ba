// SPDX-License-Identifier: MIT
// Blocks are brought into the cache by reading them, some requests at a time, so that who uses the volume meanwhile
// waits behind these at most. They are of one stream, as those of one opener who reads sequentially.
#include "node/control.h"

#include <inttypes.h>
#include <stdlib.h>

enum { REQUESTS = 8, STREAM = -1 };

struct warm {
	struct warm *next;
	struct control *control;
	struct client *client; // NULL: gone
	struct event *progress;
	uint32_t volume;
	uint64_t begin, at, end; // bytes; asked for up to ${at}
	uint64_t done;           // bytes that came
	unsigned running;
	enum hvfs_error error; // the first one
	uint64_t error_at;
	struct io ios[REQUESTS]; // size 0: free
};

void
warm_free(struct warm *warm)
{
	struct warm **at = &warm->control->warms;

	while (*at != warm)
		at = &(*at)->next;
	*at = warm->next;
	event_free(warm->progress);
	free(warm);
}

// Bytes of a volume that the cache has room for. A level on a disk has what is in memory, too; a root keeps nothing there.
static uint64_t
room_for(const struct node *node, const struct volume_info *info)
{
	const struct cache_disk_config *disk = node_cache_disk_config(node);
	struct stack_stats stats;

	stack_get_stats(node->cache, &stats);
	return disk != NULL && !info->is_root && disk->level.size > stats.size ? disk->level.size : stats.size;
}

static void
ended(struct warm *warm)
{
	struct client *client = warm->client;
	struct volume_info info;

	if (client != NULL) {
		client->warm = NULL;
		client->wait = WAIT_NOT;
		core_volume_info(warm->control->node->core, warm->volume, node_now(), &info);
		if (warm->error != ERR_OK)
			client_answer_error(client, "volume %s: at byte %" PRIu64 ": %s", info.name, warm->error_at,
					    hvfs_error_text(warm->error));
		else
			client_answer(client, json_pack("{sbsIsI}", "ok", 1, "warmed", (json_int_t)warm->done, "size",
							(json_int_t)room_for(warm->control->node, &info)));
		client_go_on(client); // later: this may be within a step
	}
	warm_free(warm);
}

static void
submit(struct warm *warm, struct io *io)
{
	uint64_t left = warm->end - warm->at;

	*io = (struct io){.kind = IO_READ,
			  .volume = warm->volume,
			  .offset = warm->at,
			  .size = left < LIMIT_IO_SIZE ? left : LIMIT_IO_SIZE,
			  .stream = (uint32_t)STREAM};
	warm->at += io->size;
	warm->running++;
	node_feed(warm->control->node, &(struct event){.type = EVENT_IO, .io = io});
}

static struct warm *
warm_of(const struct control *control, const struct io *io)
{
	struct warm *warm = control->warms;

	while (warm != NULL && (io < warm->ios || io >= warm->ios + REQUESTS))
		warm = warm->next;
	return warm;
}

bool
warm_has(const struct control *control, const struct io *io)
{
	return warm_of(control, io) != NULL;
}

bool
warm_io_done(struct control *control, struct io *io, enum hvfs_error error)
{
	struct warm *warm = warm_of(control, io);

	if (warm == NULL)
		return false;
	if (error == ERR_OK) {
		warm->done += io->size;
	} else if (warm->error == ERR_OK) {
		warm->error = error;
		warm->error_at = io->offset;
		warm->end = warm->at;
	}
	io->size = 0;
	warm->running--;
	if (warm->at < warm->end)
		submit(warm, io);
	else if (warm->running == 0)
		ended(warm);
	return true;
}

void
warm_leave(struct warm *warm)
{
	warm->client = NULL;
	warm->end = warm->at;
}

static void
progress(evutil_socket_t fd, short what, void *arg)
{
	struct warm *warm = arg;

	if (warm->client != NULL)
		client_answer(warm->client, json_pack("{sIsI}", "done", (json_int_t)warm->done, "total",
						      (json_int_t)(warm->end - warm->begin)));
}

// One more is counted while they are handed over, so that the last answer can not come before the last request.
void
warm_start(struct client *client, uint32_t volume, uint64_t begin, uint64_t end)
{
	struct warm *warm = calloc(1, sizeof(*warm));

	CHECK(warm != NULL && begin < end);
	*warm = (struct warm){.control = client->control, .client = client, .volume = volume, .begin = begin, .at = begin, .end = end};
	warm->progress = event_new(client->control->node->base, -1, EV_PERSIST, progress, warm);
	CHECK(warm->progress != NULL);
	evtimer_add(warm->progress, &(struct timeval){.tv_usec = PROGRESS_MS * 1000});
	warm->next = client->control->warms;
	client->control->warms = warm;
	client->warm = warm;
	client->wait = WAIT_WARM;
	progress(-1, 0, warm);
	warm->running = 1;
	for (int i = 0; i < REQUESTS && warm->at < warm->end; i++)
		submit(warm, &warm->ios[i]);
	if (--warm->running == 0)
		ended(warm);
}
