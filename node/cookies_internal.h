// SPDX-License-Identifier: MIT
// What a node that asks for cookies, or passes them on (cookies.c), for what it has sent (cookies_sent.c), and a root that burns them
// (cookies_root.c) share.
#ifndef HVFS_NODE_COOKIES_INTERNAL_H
#define HVFS_NODE_COOKIES_INTERNAL_H

#include "crypto/cookie.h"
#include "node/cookies.h"
#include "node/internal.h"
#include "node/news.h"
#include "node/news_root.h"

#include <uthash.h>

// A cookie that is on the way up, from here or from a child; or a child's question for news, which is none but goes the same way.
struct request {
	struct request *next;
	uint32_t volume;
	uint32_t xid;            // towards the parent
	struct node_link *child; // who is to have the answer, NULL: we
	uint32_t child_xid;
	bool sent;
	uint64_t end; // ours: what was sent before this is proven by it
	bool is_burnt;
	uint8_t answer[COOKIE_LOST_SIZE]; // at the root: it is burnt, or why it never will be
	size_t answer_size;               // 0: it is not there, or not yet
	struct news_work *news; // at the root, while it is served: it is a question
	size_t size;
	uint8_t baked[];
};

struct held {
	struct held *next;
	struct io *io;
	uint64_t end; // it waits for all that was sent before
	struct event *patience;
	struct cookies *cookies;
};

// What was sent of a block is lost, as who asks for a fsync is told.
struct lost {
	uint64_t block;
	uint64_t end; // up to this entry; what was sent later is not
	UT_hash_handle hh;
};

// What was sent up of a volume: entries are counted from the beginning, the first ${gone} are proven and dropped.
struct sent {
	struct cookie_entry *entries;
	size_t first, count, capacity; // those that are kept begin at ${first}
	uint64_t gone, asked, covered, barrier_end;
	uint32_t barrier_xid;
	bool barrier_runs;
	struct lost *lost; // of these; at most as many as were kept
	bool failed; // the last answer was that they are not there: only a fsync asks again
	bool is_full; // writes are held until enough is proven
	struct io last; // before the node leaves
};

enum {
	ANY_VERSION = 0,  // of a block: it need not arrive
	SENT_MANY = 8192, // that are covered, until they are asked for though there is no fsync
};

// A root's.
struct round {
	struct task task;
	struct cookies *cookies;
	uint32_t volume;
	bool runs;
	struct request *waiting; // for the next round
	struct request *served;  // by this one
	struct io save;
	bool saves;
};

struct cookies {
	struct node *node;
	uint32_t next_xid;
	uint32_t under_way; // of requests, to the parent, whoever waits for them
	size_t held_count;
	uint32_t last_running; // of sent[].last, and one while they begin
	bool last_failed;
	struct request *requests; // on the way up, in their order
	struct held *held;
	struct sent sent[LIMIT_VOLUMES];
	struct round *rounds[LIMIT_VOLUMES];
};

// Of ${volume}, which is sealed.
static inline const struct volume_key *
cookies_key(const struct cookies *cookies, uint32_t volume)
{
	return cookies->node->volumes[volume].key;
}

// Put ${request} at the end of ${list}.
void cookies_add(struct request **list, struct request *request);

// Answer the child that has asked, if it is still there. Without bytes: it is not burnt.
void cookies_answer(struct cookies *cookies, const struct request *request, const uint8_t *answer, size_t size);

static_assert((int)COOKIE_BURNT_SIZE <= (int)COOKIE_LOST_SIZE, "there is room for either");

// ---- Of what was sent ----

// Of ${count} entries from number ${from} on those that are lost need not arrive.
void sent_leave_out_lost(const struct sent *sent, uint64_t from, uint64_t count);

// What was sent before ${end} is proven.
void cookies_proven(struct cookies *cookies, uint32_t volume, uint64_t end);

void sent_fini(struct sent *sent);

// ---- Of a root ----

// Burn ${request}, which is taken over.
void cookies_root_asked(struct cookies *cookies, struct request *request);

// Was it ours?
bool cookies_root_io_done(struct cookies *cookies, const struct io *io);

// ${link} is going.
void cookies_root_link_gone(struct round *round, const struct node_link *link);

// Take from ${list} what ${link} has asked for.
void cookies_drop_of(struct request **list, const struct node_link *link);

// Free ${list}.
void cookies_free_all(struct request *list);

#endif
