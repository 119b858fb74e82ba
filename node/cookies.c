// SPDX-License-Identifier: MIT
// A barrier (a FLUSH without a block) that the parent has answered covers what went up before it. So what was sent is kept
// in its order, and a fsync waits for all that the last such barrier covers, or for all if the core sees no need for one. What
// is not proven stays, and is asked for again by the next fsync, which fails like the one before as long as the root does not
// have it (G2).
//
// Requests are messages between nodes that the core knows nothing of: their xids are beyond those that it uses. Who passes
// one on keeps it until it is answered, and sends it again to another parent. Over a link so many are under way at most
// (COOKIES_AT_ONCE); others wait where they are.
#include "node/cookies_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
	FIRST_XID = INT32_MAX, // and up to COOKIES_XID_LAST; the core begins at 1 with each link
	AT_ONCE = COOKIES_AT_ONCE - 2 * NEWS_AT_ONCE, // to the parent; questions that nobody waits for any more may still be there, too
	ASKED_MAX = 16,        // cookies of a volume that are on the way
};

// ---- Messages ----

static struct message
about_cookie(enum opcode opcode, uint32_t xid, uint32_t volume_id, const uint8_t *bytes, size_t size)
{
	return (struct message){.opcode = opcode,
				.hops_left = LIMIT_HOPS,
				.xid = xid,
				.present = PRESENT(VOLUME_ID) | PRESENT(COOKIE),
				.volume_id = volume_id,
				.cookie = {bytes, size}};
}

// An answer without bytes: it is not burnt.
void
cookies_answer(struct cookies *cookies, const struct request *request, const uint8_t *answer, size_t size)
{
	uint32_t id = core_volume_id(cookies->node->core, request->volume);
	struct message message = about_cookie(OP_OK_REPLY, request->child_xid, id, answer, size);

	if (request->child == NULL)
		return;
	request->child->cookies--;
	node_link_write(request->child, &message);
}

static void
send_up(struct cookies *cookies, struct request *request)
{
	struct node *node = cookies->node;
	struct message message;
	uint32_t id;

	if (request->sent || node->parent == NULL || cookies->under_way == AT_ONCE ||
	    !core_parent_volume_id(node->core, request->volume, &id))
		return;
	message = about_cookie(OP_GET_COOKIES, request->xid, id, request->baked, request->size);
	node_link_write(node->parent, &message);
	request->sent = true;
	cookies->under_way++;
}

static void
send_waiting(struct cookies *cookies)
{
	for (struct request *request = cookies->requests; request != NULL; request = request->next)
		send_up(cookies, request);
}

void
cookies_add(struct request **list, struct request *request)
{
	while (*list != NULL)
		list = &(*list)->next;
	request->next = NULL;
	*list = request;
}

static struct request *
request_new(struct cookies *cookies, uint32_t volume, size_t size)
{
	struct request *request = calloc(1, sizeof(*request) + size);

	CHECK(request != NULL);
	request->volume = volume;
	if (cookies->next_xid < FIRST_XID || cookies->next_xid > COOKIES_XID_LAST)
		cookies->next_xid = FIRST_XID;
	request->xid = cookies->next_xid++;
	return request;
}

// ---- Ours ----

static uint32_t
count_asked(const struct cookies *cookies, uint32_t volume)
{
	uint32_t count = 0;

	for (const struct request *request = cookies->requests; request != NULL; request = request->next)
		count += request->child == NULL && request->volume == volume;
	return count;
}

// Bake cookies for what is covered.
static void
ask(struct cookies *cookies, uint32_t volume)
{
	struct sent *sent = &cookies->sent[volume];
	uint32_t under_way = count_asked(cookies, volume);

	for (; sent->asked < sent->covered && under_way < ASKED_MAX; under_way++) {
		struct request *request = request_new(cookies, volume, COOKIE_BAKED_SIZE_MAX);
		struct cookie_entry *entries = &sent->entries[sent->first + (sent->asked - sent->gone)];
		uint64_t count = sent->covered - sent->asked;

		if (count > COOKIE_ENTRIES_MAX)
			count = COOKIE_ENTRIES_MAX;
		sent_leave_out_lost(sent, sent->asked, count);
		request->size = cookie_bake(cookies_key(cookies, volume), entries, (uint32_t)count, request->baked);
		sent->asked += count;
		request->end = sent->asked;
		cookies_add(&cookies->requests, request);
		send_up(cookies, request);
	}
}

// ---- What is held ----

static void
let_go(struct held **at, enum hvfs_error error)
{
	struct held *held = *at;

	*at = held->next;
	held->cookies->held_count--;
	event_free(held->patience);
	node_answer_io(held->cookies->node, held->io, error);
	free(held);
}

static bool
holds_any(const struct cookies *cookies, uint32_t volume)
{
	const struct held *held = cookies->held;

	while (held != NULL && held->io->volume != volume)
		held = held->next;
	return held != NULL;
}

// Those of ${volume} that wait for nothing that was sent after ${end} end.
static void
let_go_until(struct cookies *cookies, uint32_t volume, uint64_t end, enum hvfs_error error)
{
	struct held **at = &cookies->held;

	while (*at != NULL)
		if ((*at)->io->volume == volume && (*at)->end <= end)
			let_go(at, error);
		else
			at = &(*at)->next;
}

static void
patience_over(evutil_socket_t fd, short what, void *arg)
{
	struct held *held = arg, **at = &held->cookies->held;

	while (*at != held)
		at = &(*at)->next;
	log_warnx("a fsync fails: the root has not said in time that what was written has arrived");
	let_go(at, ERR_TIMED_OUT);
}

bool
cookies_hold(struct cookies *cookies, struct io *io)
{
	const struct node *node = cookies->node;
	struct sent *sent = &cookies->sent[io->volume];
	bool to_root = io->force_sync || node->config.settings.durability == DURABILITY_ROOT;
	uint32_t ms = node->config.io_timeout_ms;
	struct timeval timeout = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};
	struct held *held;

	if (io->kind != IO_SYNC || !to_root)
		return false;
	if (core_is_all_durable(node->core, io->volume)) // a parent that leaves, too, only says so
		sent->covered = sent->gone + sent->count;
	if (sent->gone >= sent->covered)
		return false;
	held = calloc(1, sizeof(*held));
	CHECK(held != NULL);
	held->io = io;
	held->end = sent->covered;
	held->cookies = cookies;
	held->patience = evtimer_new(node->base, patience_over, held);
	CHECK(held->patience != NULL);
	if (ms != 0)
		evtimer_add(held->patience, &timeout);
	held->next = cookies->held;
	cookies->held = held;
	cookies->held_count++;
	sent->failed = false;
	ask(cookies, io->volume);
	return true;
}

bool
cookies_cancel(struct cookies *cookies, const struct io *io)
{
	struct held **at = &cookies->held;

	while (*at != NULL && (*at)->io != io)
		at = &(*at)->next;
	if (*at == NULL)
		return false;
	let_go(at, ERR_CANCELLED);
	return true;
}

void
cookies_abort(struct cookies *cookies, uint32_t volume)
{
	let_go_until(cookies, volume, UINT64_MAX, ERR_ABORTED);
}

size_t
cookies_waiting(const struct cookies *cookies)
{
	return cookies->held_count;
}

// ---- Answers ----

// What a volume has asked for is all dropped.
static void
drop_ours(struct cookies *cookies, uint32_t volume)
{
	struct request **at = &cookies->requests;

	while (*at != NULL) {
		struct request *request = *at;

		if (request->child != NULL || request->volume != volume) {
			at = &request->next;
			continue;
		}
		*at = request->next;
		free(request);
	}
}

// What ${map} says of ${request} can not come any more, and is not asked for again.
static void
give_up_lost(struct sent *sent, const struct request *request, const uint8_t *map)
{
	uint32_t count = cookie_count(request->size), lost = 0;
	struct cookie_entry *entries = &sent->entries[sent->first + (request->end - count - sent->gone)];
	uint64_t block = 0;

	for (uint32_t i = 0; i < count; i++) {
		if (!cookie_map_has(map, i) || entries[i].version == ANY_VERSION)
			continue;
		block = lost++ == 0 ? entries[i].block : block;
		entries[i] = (struct cookie_entry){.block = entries[i].block};
	}
	if (lost == 0) // that is known here by now
		return;
	log_warnx("block %" PRIu64 " of a sealed volume: its root has another content of the version that was written here, by somebody "
		  "else; what was written here is lost, and fsync fails (%" PRIu32 " such blocks)",
		  block, lost);
}

static void
not_burnt(struct cookies *cookies, struct request *request, const struct message *message)
{
	uint32_t volume = request->volume;
	struct sent *sent = &cookies->sent[volume];
	const uint8_t *map = cookie_lost(cookies_key(cookies, volume), request->baked, request->size, message->cookie.bytes,
					 message->cookie.size);

	if (map != NULL && holds_any(cookies, volume)) // else the next fsync hears it
		give_up_lost(sent, request, map);
	else if (map == NULL && !sent->failed)
		log_warnx("what was written to a sealed volume is not at its root, though the parent said so: until it is, "
			  "fsync fails");
	drop_ours(cookies, volume);
	sent->asked = sent->gone;
	sent->failed = true;
	let_go_until(cookies, volume, UINT64_MAX, ERR_IO);
}

// It is one of the list. Who passes answers on may do so in another order: what is proven is proven from the beginning.
static void
ours_answered(struct cookies *cookies, struct request *request, const struct message *message)
{
	uint32_t volume = request->volume;
	struct sent *sent = &cookies->sent[volume];
	struct request **at = &cookies->requests;

	request->is_burnt = cookie_is_burnt(cookies_key(cookies, volume), request->baked, request->size, message->cookie.bytes,
					    message->cookie.size);
	if (!request->is_burnt) {
		not_burnt(cookies, request, message);
		return;
	}
	while (*at != NULL) {
		request = *at;
		if (request->child != NULL || request->volume != volume) {
			at = &request->next;
			continue;
		}
		if (!request->is_burnt)
			break;
		*at = request->next;
		cookies_proven(cookies, volume, request->end);
		free(request);
	}
	let_go_until(cookies, volume, sent->gone, ERR_OK);
	ask(cookies, volume);
}

static bool
answered(struct cookies *cookies, const struct message *message)
{
	struct request **at = &cookies->requests, *request;

	cookies->under_way -= cookies->under_way > 0;
	while (*at != NULL && ((*at)->xid != message->xid || !(*at)->sent || (*at)->is_burnt))
		at = &(*at)->next;
	request = *at;
	if (request == NULL) {
		// of who is not here any more
	} else if (request->child == NULL) {
		ours_answered(cookies, request, message);
	} else {
		*at = request->next;
		cookies_answer(cookies, request, message->cookie.bytes, message->cookie.size);
		free(request);
	}
	send_waiting(cookies);
	return true;
}

// ---- Questions ----

static void
last_ended(struct cookies *cookies, enum hvfs_error error)
{
	cookies->last_failed |= error != ERR_OK;
	if (--cookies->last_running == 0)
		node_stop_proven(cookies->node, !cookies->last_failed);
}

void
cookies_prove_all(struct cookies *cookies)
{
	struct node *node = cookies->node;

	cookies->last_running = 1;
	for (uint32_t i = 0; i < core_volume_count(node->core); i++) {
		struct volume *volume = &node->volumes[i];

		if (volume->key == NULL || volume->sealed_root != NULL || !volume->ready || volume->aborted ||
		    node->parent == NULL || volume_key_role(volume->key) < VOLUME_ROLE_WRITER)
			continue;
		cookies->last_running++;
		cookies->sent[i].last = (struct io){.kind = IO_SYNC, .volume = i, .force_sync = true};
		node_feed(node, &(struct event){.type = EVENT_IO, .io = &cookies->sent[i].last});
	}
	last_ended(cookies, ERR_OK);
}

bool
cookies_io_done(struct cookies *cookies, struct io *io, enum hvfs_error error)
{
	if (io == &cookies->sent[io->volume].last) {
		last_ended(cookies, error);
		return true;
	}
	return cookies_root_io_done(cookies, io);
}

static void
asked(struct cookies *cookies, struct node_link *link, const struct message *message, uint32_t volume)
{
	struct node *node = cookies->node;
	struct request *request;

	if (link->cookies == COOKIES_AT_ONCE) {
		node_link_close(node, link->slot, "more cookies than may be under way");
		return;
	}
	link->cookies++;
	request = request_new(cookies, volume, message->cookie.size);
	request->child = link;
	request->child_xid = message->xid;
	request->size = message->cookie.size;
	if (node->volumes[volume].key == NULL || request->size == 0 || request->size > LIMIT_BLOB_SIZE) {
		cookies_answer(cookies, request, NULL, 0);
		free(request);
		return;
	}
	memcpy(request->baked, message->cookie.bytes, request->size);
	if (node->volumes[volume].store != NULL) {
		cookies_root_asked(cookies, request);
		return;
	}
	cookies_add(&cookies->requests, request);
	send_up(cookies, request);
}

// ---- What happens ----

static void
barrier_answered(struct cookies *cookies, const struct message *message)
{
	for (uint32_t i = 0; i < LIMIT_VOLUMES; i++) {
		struct sent *sent = &cookies->sent[i];

		if (!sent->barrier_runs || sent->barrier_xid != message->xid)
			continue;
		sent->barrier_runs = false;
		sent->covered = sent->barrier_end;
		if (sent->covered - sent->asked >= SENT_MANY && (!sent->failed || sent->is_full))
			ask(cookies, i);
	}
}

bool
cookies_received(struct cookies *cookies, struct node_link *link, const struct message *message)
{
	bool is_answer = message->opcode == OP_OK_REPLY || message->opcode == OP_ERR_REPLY;

	if (link->role == LINK_CHILD) {
		int volume = message->opcode == OP_GET_COOKIES ? core_message_volume(cookies->node->core, link->slot, message) : -1;

		if (volume >= 0)
			asked(cookies, link, message, (uint32_t)volume);
		return volume >= 0; // else the core refuses it
	}
	if (is_answer && message->xid >= FIRST_XID && message->xid <= COOKIES_XID_LAST)
		return answered(cookies, message);
	if (message->opcode == OP_OK_REPLY)
		barrier_answered(cookies, message);
	return false;
}

void
cookies_connected(struct cookies *cookies)
{
	send_waiting(cookies);
}

void
cookies_drop_of(struct request **at, const struct node_link *link)
{
	while (*at != NULL) {
		struct request *request = *at;

		if (request->child != link) {
			at = &request->next;
			continue;
		}
		*at = request->next;
		free(request);
	}
}

void
cookies_link_gone(struct cookies *cookies, const struct node_link *link)
{
	if (link->role == LINK_PARENT) {
		for (struct request *request = cookies->requests; request != NULL; request = request->next)
			request->sent = false;
		cookies->under_way = 0;
		for (uint32_t i = 0; i < LIMIT_VOLUMES; i++)
			cookies->sent[i].barrier_runs = false;
		return;
	}
	cookies_drop_of(&cookies->requests, link);
	for (uint32_t i = 0; i < LIMIT_VOLUMES; i++)
		if (cookies->rounds[i] != NULL)
			cookies_root_link_gone(cookies->rounds[i], link);
}

void
cookies_give_up(struct cookies *cookies)
{
	while (cookies->held != NULL)
		let_go(&cookies->held, ERR_IO);
}

// ---- Life ----

struct cookies *
cookies_create(struct node *node)
{
	struct cookies *cookies = calloc(1, sizeof(*cookies));

	CHECK(cookies != NULL);
	cookies->node = node;
	return cookies;
}

void
cookies_free_all(struct request *request)
{
	struct request *next;

	for (; request != NULL; request = next) {
		next = request->next;
		free(request->news);
		free(request);
	}
}

void
cookies_destroy(struct cookies *cookies)
{
	if (cookies == NULL)
		return;
	cookies_free_all(cookies->requests);
	for (uint32_t i = 0; i < LIMIT_VOLUMES; i++) {
		if (cookies->rounds[i] != NULL) {
			cookies_free_all(cookies->rounds[i]->waiting);
			cookies_free_all(cookies->rounds[i]->served);
		}
		free(cookies->rounds[i]);
		sent_fini(&cookies->sent[i]);
	}
	free(cookies);
}
