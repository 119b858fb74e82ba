// SPDX-License-Identifier: MIT
// How a reader of a sealed volume finds out that what it was given is not the newest, though its parent, a machine of somebody
// else, says so (docs/security.md, "News"). It asks the root, in rounds: what was written since it asked last; and of each
// block that came to its memory since then, whether the root knows a later one. A state machine: no links, no clock.
//
// What a copy in memory is good for is known up to a place in the root's list: when the round is over in which it was asked
// about, it was the newest at that place, and from there on the list tells. That does not depend on sessions. When the list is
// another one, or has forgotten too much, all copies in memory are asked about again (a walk). Those on disks are when they come to
// memory.
//
// Of the blocks that the root has named last, the versions stay in a table, the floors: what was sealed before that is not
// taken any more.
//
// There is no false alarm among honest nodes. What is written is recalled from the readers before, and what the root says comes
// later than the recall on the same link; so who hears of a write has nothing older any more that it may use, and is given
// nothing older.
#ifndef HVFS_NODE_NEWS_H
#define HVFS_NODE_NEWS_H

#include "crypto/news.h"

enum {
	NEWS_AT_ONCE = 16,           // questions that are under way, of all volumes of a node
	NEWS_WAITING_MAX = 64 << 10, // runs that wait for the next round; when there are more, all copies are asked about
	NEWS_FLOORS = 64 << 10,      // blocks whose floors are remembered
	NEWS_LOOKS = 16 << 10,       // entries of the node's table that one step of a walk looks at
};

enum news_copy {
	NEWS_NO_COPY, // in memory
	NEWS_COPY,
	NEWS_OWN, // written here or below, and not known to be at the root: can not be dropped
};

// What the reader has.
struct news_callbacks {
	// Of ${block}, and as which version that is sealed; 0: that is not known.
	enum news_copy (*find)(void *arg, uint64_t block, version_t *ret_sealed);
	// The copy is not the newest: it is not to be used any more.
	void (*drop)(void *arg, uint64_t block, version_t sealed, version_t newest);
	// The next block with a copy in memory; ${*at} is 0 for the first. Of ${*looks} it takes what it has looked at. False: there are
	// no more, or ${*looks} is 0.
	bool (*next)(void *arg, uint32_t *at, uint32_t *looks, uint64_t *ret_block);
};

struct news;

// Never NULL.
struct news *news_create(const struct news_callbacks *callbacks, void *arg);

// NULL does nothing.
void news_destroy(struct news *news);

// Bytes of ${block} have come to memory that were sealed as ${version}.
void news_came(struct news *news, uint64_t block, version_t version);

// Has the root named a later version of ${block} than ${version}?
bool news_is_old(const struct news *news, uint64_t block, version_t version);

// A round begins at ${now}, if none runs. A link is there.
void news_begin(struct news *news, moment_us now);

// The next question to be asked, which is called ${xid} from now on. Its size; 0: none now. ${*looks} is what may be looked at in
// this step still; 0 then: there may be more in another step.
size_t news_next(struct news *news, uint32_t xid, uint32_t *looks, uint8_t ret[NEWS_QUESTION_SIZE_MAX]);

// How many are under way.
uint32_t news_under_way(const struct news *news);

enum news_result {
	NEWS_NOT_ASKED, // it is no answer to a question that is under way
	NEWS_TAKEN,
	NEWS_NONE,      // who was asked has none: the round has failed
	NEWS_FORGED,    // the root has not said that; the same
};

// The ${size} bytes have come as the answer to ${xid}.
enum news_result news_answered(struct news *news, const struct volume_key *key, uint32_t xid, const uint8_t *bytes, size_t size);

// Nothing that was asked will be answered any more. The next round asks again.
void news_lost(struct news *news);

// Up to which moment may what is held be used? That of the last round that is over: when it began, and the root's lease. 0: there
// was none.
moment_us news_good_until(const struct news *news);

// The lease that the root gives, as it has said; 0: it has said nothing.
uint32_t news_lease_ms(const struct news *news);

// When the last round that is over began; 0: there was none.
moment_us news_heard_at(const struct news *news);

#endif
