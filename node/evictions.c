// SPDX-License-Identifier: MIT
// Evictions go on record beside the storage before the core may count on them. One write of the record runs for a volume;
// what comes meanwhile waits, and the next write has all of it.
#include "node/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

// Those of one volume that wait, or are being written.
struct evictions {
	struct task task;
	struct node *node;
	struct volume *volume;
	int sys_errno;
	size_t count, room;
	struct eviction *list;
	uint64_t *cookies; // of the core, for each
};

static struct evictions *
evictions_create(struct node *node, struct volume *volume)
{
	struct evictions *evictions = calloc(1, sizeof(*evictions));

	CHECK(evictions != NULL);
	evictions->node = node;
	evictions->volume = volume;
	return evictions;
}

static void
evictions_free(struct evictions *evictions)
{
	free(evictions->list);
	free(evictions->cookies);
	free(evictions);
}

static void
evictions_add(struct evictions *evictions, const struct action *action)
{
	if (evictions->count == evictions->room) {
		evictions->room = evictions->room == 0 ? 16 : evictions->room * 2;
		evictions->list = realloc(evictions->list, evictions->room * sizeof(*evictions->list));
		evictions->cookies = realloc(evictions->cookies, evictions->room * sizeof(*evictions->cookies));
		CHECK(evictions->list != NULL && evictions->cookies != NULL);
	}
	evictions->list[evictions->count] = (struct eviction){action->node_id, action->session};
	evictions->cookies[evictions->count++] = action->store_cookie;
}

static void
record(struct task *task)
{
	struct evictions *evictions = (struct evictions *)task;

	evictions->sys_errno = store_add_evictions(evictions->volume->store, evictions->list, evictions->count);
}

static enum hvfs_error
error_of_record(int sys_errno)
{
	return sys_errno == ENOBUFS ? ERR_TOO_MANY : node_error_of_errno(sys_errno);
}

static void write_waiting(struct volume *volume);

static void
recorded(struct task *task)
{
	struct evictions *evictions = (struct evictions *)task;
	struct node *node = evictions->node;
	struct volume *volume = evictions->volume;

	if (evictions->sys_errno != 0)
		log_error("%s: %zu evictions can not be recorded: %s", volume->store_name, evictions->count,
			  evictions->sys_errno == ENOBUFS ? "too many are on record" : strerror(evictions->sys_errno));
	volume->evictions_run = false;
	node->store_operations -= evictions->count;
	write_waiting(volume);
	for (size_t i = 0; i < evictions->count; i++)
		node_feed(node, &(struct event){.type = EVENT_EVICTED,
						.store_cookie = evictions->cookies[i],
						.error = error_of_record(evictions->sys_errno)});
	evictions_free(evictions);
}

static void
write_waiting(struct volume *volume)
{
	struct evictions *evictions = volume->evictions_waiting;

	if (volume->evictions_run || evictions == NULL)
		return;
	volume->evictions_run = true;
	volume->evictions_waiting = NULL;
	evictions->task = (struct task){.run = record, .done = recorded};
	worker_submit(evictions->node->worker, &evictions->task);
}

void
node_evict(struct node *node, const struct action *action)
{
	struct volume *volume = &node->volumes[action->volume];

	CHECK(volume->store != NULL);
	log_warnx("%s: the session %016" PRIx64 " of node %016" PRIx64 " did not come back in time and is evicted",
		  volume->store_name, action->session, action->node_id);
	if (volume->evictions_waiting == NULL)
		volume->evictions_waiting = evictions_create(node, volume);
	evictions_add(volume->evictions_waiting, action);
	node->store_operations++;
	write_waiting(volume);
}
