// SPDX-License-Identifier: MIT
// What was written to a sealed volume has arrived when its root says so (S34), not when a parent does that may be somebody
// else's machine. A node that is not the root notes what it sends up. When the core has a fsync done the node bakes cookies
// for what was sent until then, and answers the fsync when they are burnt; nodes on the way pass them on, both ways.
// The root looks whether all is on its stable storage, and burns them. Questions for news go the same way (node/freshness.h).
#ifndef HVFS_NODE_COOKIES_H
#define HVFS_NODE_COOKIES_H

#include "core/action.h"
#include "core/error.h"
#include "core/io.h"
#include "core/message.h"

enum { COOKIES_AT_ONCE = 256 }; // that one end of a link may have sent, and had no answer to, with questions for news (news.h)

#define COOKIES_XID_LAST UINT32_C(0xbfffffff) // beyond are those of questions

struct cookies;
struct node;
struct node_link;

struct cookies *cookies_create(struct node *node);

// Nothing is held any more: after cookies_give_up.
void cookies_destroy(struct cookies *cookies);

// ${message}, sealed, goes up over ${link}.
void cookies_sent(struct cookies *cookies, const struct node_link *link, const struct message *message);

// Bytes of ${block} were given up, or are kept for the user: whoever asks for a fsync hears of it. Once; what was sent of the block
// before is not asked for any more.
void cookies_lost(struct cookies *cookies, uint32_t volume, uint64_t block);

// ${message} has come over ${link}. True: it was about cookies; the core does not get it.
bool cookies_received(struct cookies *cookies, struct node_link *link, const struct message *message);

// The parent has the volumes, maybe another parent: what is not answered is asked for again.
void cookies_connected(struct cookies *cookies);

// ${link} is going.
void cookies_link_gone(struct cookies *cookies, const struct node_link *link);

// The core has ${io} done well. True: it is answered later.
bool cookies_hold(struct cookies *cookies, struct io *io);

// Who asked for ${io} does not want to wait any more. False: it is not held.
bool cookies_cancel(struct cookies *cookies, const struct io *io);

// ${volume} is aborted.
void cookies_abort(struct cookies *cookies, uint32_t volume);

// Was it one of ours?
bool cookies_io_done(struct cookies *cookies, struct io *io, enum hvfs_error error);

// More of ${volume}, whose root this is, has been written: what is in memory only is brought to its file when it is much.
void cookies_save(struct cookies *cookies, uint32_t volume);

// How many requests are held.
size_t cookies_waiting(const struct cookies *cookies);

// The node is about to leave: prove what was sent; then node_stop_proven is called.
void cookies_prove_all(struct cookies *cookies);

// The node leaves: what is held fails.
void cookies_give_up(struct cookies *cookies);

#endif
