// SPDX-License-Identifier: MIT
// A reader of a sealed volume takes from its parent, who may be somebody else, that what it is given may be used for some time,
// but only together with news of the root (node/news.h), which the parent passes on as it does with cookies. What the parent says
// of leases, in the answers to CONNECT and HEARTBEAT, comes to the core when a round of questions is over, and as far as the
// root's own lease goes from when that round began. So who gets no news has a lease that ends.
#ifndef HVFS_NODE_FRESHNESS_H
#define HVFS_NODE_FRESHNESS_H

#include "core/message.h"

#include <jansson.h>

struct freshness;
struct node;
struct node_link;

struct freshness *freshness_create(struct node *node);

// NULL does nothing.
void freshness_destroy(struct freshness *freshness);

// There is a cache: what comes up from a disk has to be asked about, too.
void freshness_watch(struct freshness *freshness);

// The core sends ${message} to the parent, over ${link}.
void freshness_sent(struct freshness *freshness, struct node_link *link, const struct message *message);

// ${message} has come from there. True: it is dealt with, or will be delivered later. The link may be gone then.
bool freshness_received(struct freshness *freshness, struct node_link *link, const struct message *message);

// The core has got a message from there: what was kept may go on.
void freshness_go_on(struct freshness *freshness);

// The parent gives ${block} as it was sealed as ${sealed}. False: the root has named a later one.
bool freshness_came(struct freshness *freshness, uint32_t volume, uint64_t block, version_t sealed);

// Is an answer to CONNECT kept? NULL: no.
bool freshness_waits(const struct freshness *freshness);

// ${link} is going.
void freshness_link_gone(struct freshness *freshness, const struct node_link *link);

// For the status; NULL: this node needs no news of ${volume}.
json_t *freshness_status(const struct freshness *freshness, uint32_t volume);

#endif
