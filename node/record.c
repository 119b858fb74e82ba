// SPDX-License-Identifier: MIT
// What the core may count on only when it is on record beside the storage: evictions, and that a grace time is over. One
// write of the record runs for a volume; what comes meanwhile waits, and the next write has all of it.
#include "node/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

// What waits for one volume, or is being written.
struct record {
	struct task task;
	struct node *node;
	struct volume *volume;
	uint32_t index; // of the volume
	int sys_errno, grace_errno; // of the evictions; of the end of the grace time
	size_t count, room;
	struct eviction *evictions;
	uint64_t *cookies; // of the core, for each
	uint32_t claims_since; // epoch; 0: no grace time has ended
	struct reclaim *reclaims; // in it
	size_t reclaim_count;
};

// What waits for ${index}'s volume and may still be added to.
static struct record *
record_waiting(struct node *node, uint32_t index)
{
	struct volume *volume = &node->volumes[index];
	struct record *record = volume->record_waiting;

	CHECK(volume->store != NULL);
	if (record != NULL)
		return record;
	record = calloc(1, sizeof(*record));
	CHECK(record != NULL);
	record->node = node;
	record->volume = volume;
	record->index = index;
	volume->record_waiting = record;
	return record;
}

static void
record_free(struct record *record)
{
	free(record->evictions);
	free(record->cookies);
	free(record->reclaims);
	free(record);
}

static void
record_add(struct record *record, const struct action *action)
{
	if (record->count == record->room) {
		record->room = record->room == 0 ? 16 : record->room * 2;
		record->evictions = realloc(record->evictions, record->room * sizeof(*record->evictions));
		record->cookies = realloc(record->cookies, record->room * sizeof(*record->cookies));
		CHECK(record->evictions != NULL && record->cookies != NULL);
	}
	record->evictions[record->count] = (struct eviction){action->node_id, action->session};
	record->cookies[record->count++] = action->store_cookie;
}

static void
write_record(struct task *task)
{
	struct record *record = (struct record *)task;
	struct store *store = record->volume->store;

	if (record->count > 0)
		record->sys_errno = store_record(store, record->evictions, record->count);
	if (record->claims_since != 0)
		record->grace_errno = store_end_grace(store, record->claims_since, record->reclaims, record->reclaim_count);
}

// Of both the first, 0: all went well.
static int
record_errno(const struct record *record)
{
	return record->sys_errno != 0 ? record->sys_errno : record->grace_errno;
}

static enum hvfs_error
error_of_record(int sys_errno)
{
	return sys_errno == ENOBUFS ? ERR_TOO_MANY : node_error_of_errno(sys_errno);
}

static void write_waiting(struct volume *volume);

// An error once, until something goes well again: the core tries again and again.
static void
log_outcome(const struct record *record)
{
	const struct volume *volume = record->volume;
	int sys_errno = record_errno(record);

	if (record->sys_errno == 0)
		for (size_t i = 0; i < record->count; i++)
			log_warnx("%s: the session %016" PRIx64 " of node %016" PRIx64
				  " did not come back in time and is evicted",
				  volume->store_name, record->evictions[i].session, record->evictions[i].node_id);
	if (sys_errno != 0 && sys_errno != volume->record_errno)
		log_error("%s: its record can not be written: %s; %s", volume->store_name,
			  sys_errno == ENOBUFS ? "too many evictions are on record" : strerror(sys_errno),
			  record->grace_errno != 0 ? "the grace time does not end"
						    : "what nodes have that are away is not given to others");
}

static void
record_written(struct task *task)
{
	struct record *record = (struct record *)task;
	struct node *node = record->node;
	struct volume *volume = record->volume;

	log_outcome(record);
	volume->record_errno = record_errno(record);
	volume->record_runs = false;
	node->store_operations -= record->count + (record->claims_since != 0);
	write_waiting(volume);
	for (size_t i = 0; i < record->count; i++)
		node_feed(node, &(struct event){.type = EVENT_EVICTED,
						.store_cookie = record->cookies[i],
						.error = error_of_record(record->sys_errno)});
	if (record->claims_since != 0)
		node_feed(node, &(struct event){.type = EVENT_GRACE_ENDED,
						.volume = record->index,
						.error = error_of_record(record->grace_errno)});
	record_free(record);
}

static void
write_waiting(struct volume *volume)
{
	struct record *record = volume->record_waiting;

	if (volume->record_runs || record == NULL)
		return;
	volume->record_runs = true;
	volume->record_waiting = NULL;
	record->task = (struct task){.run = write_record, .done = record_written};
	worker_submit(record->node->worker, &record->task);
}

void
node_record_eviction(struct node *node, const struct action *action)
{
	struct volume *volume = &node->volumes[action->volume];

	record_add(record_waiting(node, action->volume), action);
	node->store_operations++;
	write_waiting(volume);
}

void
node_record_grace_end(struct node *node, const struct action *action)
{
	struct record *record = record_waiting(node, action->volume);

	CHECK(record->reclaims == NULL); // one grace time ends once, until it is answered
	record->claims_since = action->epoch;
	record->reclaim_count = action->count;
	record->reclaims = calloc(action->count + 1, sizeof(*record->reclaims));
	CHECK(record->reclaims != NULL);
	if (action->count > 0)
		memcpy(record->reclaims, action->reclaims, action->count * sizeof(*record->reclaims));
	node->store_operations++;
	write_waiting(&node->volumes[action->volume]);
}
