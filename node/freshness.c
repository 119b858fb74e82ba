// SPDX-License-Identifier: MIT
// What is kept until there are news: the answer to a HEARTBEAT, one of a link; the answer to a CONNECT, and behind it what comes
// of that volume. Of that no blocks: before the session counts here nobody can tell whether they are right.
#include "node/freshness.h"

#include "crypto/seal.h"
#include "node/internal.h"
#include "node/news.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { KEPT_MAX = 256 }; // messages of a volume

#define FIRST_XID (COOKIES_XID_LAST + 1) // of questions

struct kept {
	struct kept *next;
	struct message *message;
};

// A volume that this node reads, and is not root of.
struct fresh {
	struct freshness *freshness;
	uint32_t volume;
	struct news *news;
	uint32_t connect_xid; // of the CONNECT that the core has no answer to; 0: none
	bool has_id;          // the parent's, of the volume
	uint32_t id;
	struct kept *kept, **kept_end; // the answer to CONNECT, and what is behind it
	uint32_t kept_count;
	uint64_t outdated;              // copies that were not the newest, though the parent said so
	struct telling dropped, waited; // of what the log has been told
};

struct freshness {
	struct node *node;
	struct node_link *link; // the parent's; NULL: there is none
	uint32_t next_xid, turn;
	struct event *more; // is to be asked, in another step
	uint32_t heartbeat_xid; // 0: none is under way
	bool is_kept;
	struct message heartbeat; // its answer, if that is kept
	struct fresh *volumes[LIMIT_VOLUMES];
};

static const char *
name_of(const struct fresh *fresh)
{
	struct volume_info info;

	core_volume_info(fresh->freshness->node->core, fresh->volume, node_now(), &info);
	return info.name;
}

// ---- What the reader has ----

static version_t
sealed_as(const struct buf *buf)
{
	const struct proof *proof = buf_proof(buf);

	return proof != NULL ? seal_version(proof->bytes, proof->size) : 0;
}

// What was written here has no proof before it is sent; it will be sealed as its own version.
static enum news_copy
find_copy(void *arg, uint64_t block, version_t *ret_sealed)
{
	const struct fresh *fresh = arg;
	struct block_info info;

	core_block_info(fresh->freshness->node->core, fresh->volume, block, node_now(), &info);
	if (info.copy == NULL)
		return NEWS_NO_COPY;
	*ret_sealed = sealed_as(info.copy);
	if (!info.dirty && !info.unstable)
		return NEWS_COPY;
	if (*ret_sealed == 0)
		*ret_sealed = info.version;
	return NEWS_OWN;
}

// The parent has said that this was the newest.
static void
accuse(struct fresh *fresh, uint64_t block, version_t sealed, version_t newest)
{
	const struct node_link *link = fresh->freshness->link;
	char again[80], peer[PEER_TEXT_SIZE];

	fresh->outdated++;
	if (link != NULL && node_telling_due(&fresh->dropped, again, sizeof(again)))
		log_warnx("parent %s, %s, gave block %" PRIu64 " of volume %s as it was before what its root has (sealed as %" PRIu64
			  ", not %" PRIu64 "): it is not used any more%s",
			  link_peer(link->link), peer_print(&link->peer, peer), block, name_of(fresh), sealed, newest, again);
}

static void
drop_copy(void *arg, uint64_t block, version_t sealed, version_t newest)
{
	struct fresh *fresh = arg;
	struct node *node = fresh->freshness->node;
	struct block_info info;

	// What is not held may well be old. As which version what was zeros was sealed is not kept: that may have been the newest.
	core_block_info(node->core, fresh->volume, block, node_now(), &info);
	if (info.readable && sealed != 0)
		accuse(fresh, block, sealed, newest);
	node_feed(node, &(struct event){.type = EVENT_OUTDATED, .volume = fresh->volume, .block = block});
}

static bool
next_copy(void *arg, uint32_t *at, uint32_t *looks, uint64_t *ret_block)
{
	const struct fresh *fresh = arg;

	return core_next_copy(fresh->freshness->node->core, fresh->volume, at, looks, ret_block);
}

static const struct news_callbacks news_callbacks = {.find = find_copy, .drop = drop_copy, .next = next_copy};

static void
on_risen(void *arg, block_key key, struct buf *buf)
{
	struct freshness *freshness = arg;
	struct fresh *fresh = freshness->volumes[block_key_volume(key)];

	if (fresh != NULL)
		news_came(fresh->news, block_key_block(key), sealed_as(buf));
}

bool
freshness_came(struct freshness *freshness, uint32_t volume, uint64_t block, version_t sealed)
{
	struct fresh *fresh = freshness->volumes[volume];

	if (fresh == NULL)
		return true;
	if (news_is_old(fresh->news, block, sealed))
		return false;
	news_came(fresh->news, block, sealed);
	return true;
}

// ---- Questions ----

static struct fresh *
fresh_of(struct freshness *freshness, struct blob name)
{
	struct node *node = freshness->node;

	for (uint32_t i = 0; i < core_volume_count(node->core); i++) {
		const struct volume *volume = &node->volumes[i];
		struct fresh *fresh = freshness->volumes[i];
		struct volume_info info;

		core_volume_info(node->core, i, node_now(), &info);
		if (strlen(info.name) != name.size || memcmp(info.name, name.bytes, name.size) != 0)
			continue;
		if (fresh != NULL || volume->key == NULL || volume->store != NULL || volume_key_role(volume->key) < VOLUME_ROLE_READER)
			return fresh;
		fresh = freshness->volumes[i] = calloc(1, sizeof(*fresh));
		CHECK(fresh != NULL);
		*fresh = (struct fresh){.freshness = freshness, .volume = i};
		fresh->news = news_create(&news_callbacks, fresh);
		return fresh;
	}
	return NULL;
}

static void
ask_for(struct fresh *fresh, uint32_t *under_way, uint32_t *looks)
{
	struct freshness *freshness = fresh->freshness;
	uint8_t question[NEWS_QUESTION_SIZE_MAX];
	size_t size;

	while (*under_way < NEWS_AT_ONCE && (size = news_next(fresh->news, freshness->next_xid, looks, question)) > 0) {
		struct message message = {.opcode = OP_GET_COOKIES,
					  .hops_left = LIMIT_HOPS,
					  .xid = freshness->next_xid,
					  .present = PRESENT(VOLUME_ID) | PRESENT(COOKIE),
					  .volume_id = fresh->id,
					  .cookie = {question, size}};

		freshness->next_xid = freshness->next_xid == UINT32_MAX ? FIRST_XID : freshness->next_xid + 1;
		node_link_write(freshness->link, &message);
		(*under_way)++;
	}
}

// What there is to be asked, of all volumes: they take turns. What this step does not get to is for another one.
static void
ask(struct freshness *freshness)
{
	uint32_t under_way = 0, looks = NEWS_LOOKS;

	for (uint32_t i = 0; i < LIMIT_VOLUMES; i++)
		under_way += freshness->volumes[i] != NULL ? news_under_way(freshness->volumes[i]->news) : 0;
	freshness->turn = (freshness->turn + 1) % LIMIT_VOLUMES;
	for (uint32_t i = 0; i < LIMIT_VOLUMES && freshness->link != NULL; i++) {
		struct fresh *fresh = freshness->volumes[(freshness->turn + i) % LIMIT_VOLUMES];

		if (fresh != NULL && fresh->has_id)
			ask_for(fresh, &under_way, &looks);
	}
	if (looks == 0)
		evtimer_add(freshness->more, &(struct timeval){.tv_sec = 0});
}

static void
begin(struct fresh *fresh)
{
	news_begin(fresh->news, node_now());
	ask(fresh->freshness);
}

static bool
is_connected(const struct fresh *fresh)
{
	uint32_t id;

	return fresh != NULL && fresh->has_id && core_parent_volume_id(fresh->freshness->node->core, fresh->volume, &id);
}

void
freshness_sent(struct freshness *freshness, struct node_link *link, const struct message *message)
{
	struct fresh *fresh;

	freshness->link = link;
	if (message->opcode == OP_CONNECT) {
		fresh = fresh_of(freshness, message->volume_name);
		if (fresh != NULL)
			fresh->connect_xid = message->xid;
	} else if (message->opcode == OP_HEARTBEAT) {
		freshness->heartbeat_xid = message->xid;
		for (uint32_t i = 0; i < LIMIT_VOLUMES; i++)
			if (is_connected(freshness->volumes[i]))
				begin(freshness->volumes[i]);
	}
}

// ---- Leases ----

// How much of a lease of ${ttl_ms} may be believed now.
static uint32_t
believed_ms(const struct fresh *fresh, uint32_t ttl_ms)
{
	moment_us until = news_good_until(fresh->news), now = node_now();
	uint64_t left = until > now ? (until - now) / 1000 : 0;

	return left < ttl_ms ? (uint32_t)left : ttl_ms;
}

// Is that, of the answer to CONNECT, enough to begin with? Else it is better to wait for news.
static bool
is_enough(const struct fresh *fresh, uint32_t ttl_ms)
{
	uint32_t lease = news_lease_ms(fresh->news), believed = believed_ms(fresh, ttl_ms);

	return believed > 0 && believed >= (ttl_ms < lease ? ttl_ms : lease) / 2;
}

// Of the lease in ${answer} only that is believed. How often heartbeats are sent, and what else depends on the lease, does not
// change with that; but it is none that is longer than the root's.
static void
limit_lease(const struct fresh *fresh, struct message *answer)
{
	uint32_t lease = news_lease_ms(fresh->news), believed = believed_ms(fresh, answer->hb_ttl_ms);

	if (answer->hb_ttl_ms > lease)
		answer->hb_ttl_ms = lease;
	if (!(answer->present & PRESENT(TTL)) || answer->ttl_ms > believed)
		answer->ttl_ms = believed;
	answer->present |= PRESENT(TTL);
}

static bool
is_answer_to_connect(const struct fresh *fresh, const struct message *message)
{
	return (message->opcode == OP_OK_REPLY || message->opcode == OP_ERR_REPLY) && fresh->connect_xid != 0 &&
	       fresh->connect_xid == message->xid;
}

// To the core, with what is believed of a lease if that is what gives one.
static void
deliver(struct fresh *fresh, const struct message *message)
{
	struct message answer = *message;

	if (is_answer_to_connect(fresh, message)) {
		fresh->connect_xid = 0;
		limit_lease(fresh, &answer);
	}
	node_link_deliver(fresh->freshness->link, &answer);
}

// False: not now.
static bool
deliver_heartbeat(struct freshness *freshness, const struct message *message)
{
	struct message answer = *message;

	for (uint32_t i = 0; i < LIMIT_VOLUMES; i++) {
		if (!is_connected(freshness->volumes[i]))
			continue;
		if (believed_ms(freshness->volumes[i], UINT32_MAX) == 0)
			return false;
		limit_lease(freshness->volumes[i], &answer);
	}
	freshness->is_kept = false;
	freshness->heartbeat_xid = 0;
	node_link_deliver(freshness->link, &answer);
	return true;
}

// ---- What is kept ----

static void
keep(struct fresh *fresh, const struct message *message)
{
	struct kept *kept;

	if (message->items != NULL)
		return; // an unasked grant, which nobody misses
	if (fresh->kept_count == KEPT_MAX) {
		node_link_close(fresh->freshness->node, fresh->freshness->link->slot, "it says a lot, but passes no news of a root on");
		return;
	}
	kept = calloc(1, sizeof(*kept));
	CHECK(kept != NULL);
	kept->message = message_copy(message);
	if (fresh->kept == NULL)
		fresh->kept_end = &fresh->kept;
	*fresh->kept_end = kept;
	fresh->kept_end = &kept->next;
	fresh->kept_count++;
}

static struct message *
take_kept(struct fresh *fresh)
{
	struct kept *kept = fresh->kept;
	struct message *message = kept->message;

	fresh->kept = kept->next;
	fresh->kept_count--;
	free(kept);
	return message;
}

// The first of them is the answer to CONNECT. Whatever is delivered may end the link: then nothing is kept any more.
static void
deliver_kept(struct fresh *fresh)
{
	struct message *message;

	if (fresh->kept == NULL || !is_enough(fresh, fresh->kept->message->hb_ttl_ms))
		return;
	while (fresh->kept != NULL) {
		message = take_kept(fresh);
		deliver(fresh, message);
		message_free(message);
	}
}

void
freshness_go_on(struct freshness *freshness)
{
	if (freshness->link != NULL && freshness->is_kept)
		deliver_heartbeat(freshness, &freshness->heartbeat);
}

// ---- Answers ----

// A round may be over with that.
static void
ask_on(struct freshness *freshness)
{
	ask(freshness);
	for (uint32_t i = 0; i < LIMIT_VOLUMES; i++)
		if (freshness->volumes[i] != NULL)
			deliver_kept(freshness->volumes[i]);
	freshness_go_on(freshness);
}

static void
more(evutil_socket_t fd, short what, void *arg)
{
	struct freshness *freshness = arg;

	if (freshness->link != NULL)
		ask_on(freshness);
}

static void
answered(struct freshness *freshness, const struct message *message)
{
	struct node *node = freshness->node;
	size_t size = message->opcode == OP_OK_REPLY ? message->cookie.size : 0;

	for (uint32_t i = 0; i < LIMIT_VOLUMES; i++) {
		struct fresh *fresh = freshness->volumes[i];
		enum news_result result = NEWS_NOT_ASKED;

		if (fresh != NULL)
			result = news_answered(fresh->news, node->volumes[i].key, message->xid, message->cookie.bytes, size);
		if (result == NEWS_NOT_ASKED)
			continue;
		if (freshness->link == NULL)
			return;
		if (result == NEWS_FORGED) {
			node_link_close(node, freshness->link->slot, "it tells news that the root of a volume has not signed");
			return;
		}
		ask_on(freshness);
		return;
	}
}

// Until the core has that answer it would take another one, which nobody has looked at.
static bool
connected(struct fresh *fresh, const struct message *message)
{
	const struct freshness *freshness = fresh->freshness;

	if (fresh->kept != NULL && fresh->kept->message->xid == message->xid) {
		node_link_close(freshness->node, freshness->link->slot, "it answers CONNECT twice");
		return true;
	}
	if (message->opcode != OP_OK_REPLY || !(message->present & PRESENT(VOLUME_ID)) || !(message->present & PRESENT(HB_TTL))) {
		fresh->connect_xid = 0; // that is the core's answer
		return false;
	}
	fresh->has_id = true;
	fresh->id = message->volume_id;
	begin(fresh);
	if (fresh->kept == NULL && is_enough(fresh, message->hb_ttl_ms))
		deliver(fresh, message);
	else
		keep(fresh, message);
	return true;
}

bool
freshness_received(struct freshness *freshness, struct node_link *link, const struct message *message)
{
	bool is_answer = message->opcode == OP_OK_REPLY || message->opcode == OP_ERR_REPLY;

	if (freshness->link != link)
		return false;
	if (is_answer && message->xid >= FIRST_XID) {
		answered(freshness, message);
		return true;
	}
	for (uint32_t i = 0; i < LIMIT_VOLUMES; i++) {
		struct fresh *fresh = freshness->volumes[i];

		if (fresh == NULL)
			continue;
		if (is_answer_to_connect(fresh, message))
			return connected(fresh, message);
		if (fresh->kept != NULL && (message->present & PRESENT(VOLUME_ID)) && message->volume_id == fresh->id) {
			keep(fresh, message);
			return true;
		}
	}
	if (message->opcode != OP_OK_REPLY || freshness->heartbeat_xid == 0 || freshness->heartbeat_xid != message->xid ||
	    !(message->present & PRESENT(HB_TTL)))
		return false;
	if (!deliver_heartbeat(freshness, message)) {
		freshness->is_kept = true;
		freshness->heartbeat = (struct message){.opcode = OP_OK_REPLY,
							.hops_left = message->hops_left,
							.xid = message->xid,
							.present = PRESENT(HB_TTL),
							.hb_ttl_ms = message->hb_ttl_ms};
	}
	return true;
}

// ---- The end of a link ----

static bool
waits(const struct freshness *freshness, const struct fresh *fresh)
{
	return fresh->kept != NULL || (freshness->is_kept && is_connected(fresh) && believed_ms(fresh, UINT32_MAX) == 0);
}

bool
freshness_waits(const struct freshness *freshness)
{
	for (uint32_t i = 0; freshness != NULL && i < LIMIT_VOLUMES; i++)
		if (freshness->volumes[i] != NULL && freshness->volumes[i]->kept != NULL)
			return true;
	return false;
}

static void
tell_waited(struct fresh *fresh, const struct node_link *link)
{
	char again[80], peer[PEER_TEXT_SIZE];

	if (node_telling_due(&fresh->waited, again, sizeof(again)))
		log_warnx("volume %s: parent %s, %s, passes no news of its root on: what was read from there is not used longer than the "
			  "root's lease%s",
			  name_of(fresh), node_parent_address(link->node), peer_print(&link->peer, peer), again);
}

void
freshness_link_gone(struct freshness *freshness, const struct node_link *link)
{
	if (freshness->link != link)
		return;
	for (uint32_t i = 0; i < LIMIT_VOLUMES; i++) {
		struct fresh *fresh = freshness->volumes[i];

		if (fresh == NULL)
			continue;
		if (waits(freshness, fresh))
			tell_waited(fresh, link);
		while (fresh->kept != NULL)
			message_free(take_kept(fresh));
		news_lost(fresh->news);
		fresh->has_id = false;
		fresh->connect_xid = 0;
	}
	freshness->link = NULL;
	freshness->is_kept = false;
	freshness->heartbeat_xid = 0;
}

// ---- Status ----

json_t *
freshness_status(const struct freshness *freshness, uint32_t volume)
{
	const struct fresh *fresh = freshness->volumes[volume];
	moment_us heard, now = node_now();

	if (fresh == NULL)
		return NULL;
	heard = news_heard_at(fresh->news);
	return json_pack("{sIsbsbsI}", "heard_ms", heard == 0 ? (json_int_t)-1 : (json_int_t)((now - heard) / 1000), "current",
			 now < news_good_until(fresh->news), "awaited", waits(freshness, fresh), "outdated",
			 (json_int_t)fresh->outdated);
}

// ---- Life ----

struct freshness *
freshness_create(struct node *node)
{
	struct freshness *freshness = calloc(1, sizeof(*freshness));

	CHECK(freshness != NULL);
	freshness->node = node;
	freshness->next_xid = FIRST_XID;
	freshness->more = evtimer_new(node->base, more, freshness);
	CHECK(freshness->more != NULL);
	return freshness;
}

void
freshness_watch(struct freshness *freshness)
{
	stack_on_risen(freshness->node->cache, on_risen, freshness);
}

void
freshness_destroy(struct freshness *freshness)
{
	for (uint32_t i = 0; freshness != NULL && i < LIMIT_VOLUMES; i++) {
		if (freshness->volumes[i] == NULL)
			continue;
		while (freshness->volumes[i]->kept != NULL)
			message_free(take_kept(freshness->volumes[i]));
		news_destroy(freshness->volumes[i]->news);
		free(freshness->volumes[i]);
	}
	if (freshness != NULL)
		event_free(freshness->more);
	free(freshness);
}
