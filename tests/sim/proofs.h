// SPDX-License-Identifier: MIT
// Cookies in a simulated world (node/cookies.h): what a node sends up of a sealed volume is noted, and a fsync that is to mean the root
// succeeds only if that has it. Here no messages are needed: the file of the root's seals is looked at. And a fsync fails once for
// what is not there, as for what is lost; in life it does until something is written over it.
#ifndef HVFS_TESTS_SIM_PROOFS_H
#define HVFS_TESTS_SIM_PROOFS_H

#include "core/message.h"
#include "core/types.h"

struct conn;
struct node;
struct world;

// ${message} of ${node}, sealed, goes to its parent over ${conn}.
void proofs_sent(struct node *node, uint32_t volume, const struct message *message);

// ${message} has come from there.
void proofs_heard(struct node *node, const struct message *message);

// It has given bytes up.
void proofs_lost(struct node *node, uint32_t volume, uint64_t block);

// Was something sent of ${block} that was sealed before what the root had then? Only who was lied to does: the root takes what it has
// for what was written over that.
bool proofs_misled(const struct world *world, const char *volume, uint64_t block);

// A fsync that the core of ${node} has done: is what it covers at the root?
bool proofs_prove(struct node *node, uint32_t volume);

// Its process has ended.
void proofs_forget(struct node *node);

#endif
