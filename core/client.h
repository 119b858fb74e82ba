// SPDX-License-Identifier: MIT
// The client face: towards the parent.
#ifndef HVFS_CORE_CLIENT_H
#define HVFS_CORE_CLIENT_H

#include "core/outbox.h"

// Ask the parent for what ${want} lacks, unless a request for this block is under way (R7). ${buf}: bytes of a PUT, or
// NULL. Waits for credits or a connection by itself: the block is touched when it goes on.
void client_ask(struct core *core, struct entry *entry, struct want *want, bool needs_data, struct buf *buf);

// Ask for what ${want} needs in these words; bytes that go along are what it writes.
void client_send_ask(struct core *core, struct entry *entry, struct want *want, const struct saying *say);

// A PUT with its bytes.
void client_put(struct core *core, struct entry *entry, struct want *want, struct buf *bytes);

// The parent's INVALIDATE is not open any more. Was it?
bool client_forget_recall(struct core *core, struct work *work);

// What was asked for this block is not under way any more.
void client_ask_end(struct core *core, struct work *work);

// The i-th block of an OK_REPLY or ERR_REPLY from the parent. Touches it.
void client_reply_block(struct core *core, struct volume *volume, const struct message *message, uint32_t i);

// An ERR_REPLY to a whole request, which names no blocks: every block that was asked for in it fails.
void client_request_refused(struct core *core, const struct message *message);

// The i-th block of an INVALIDATE from the parent. Touches it, or answers at once when there is nothing to give up.
void client_recall_block(struct core *core, struct volume *volume, const struct message *message, uint32_t i);

// Everything below is within what the open recall leaves: flush, give up, answer.
void client_answer_recall(struct core *core, struct entry *entry);

// Send the dirty copy up, keeping ${perm}; ${sync}: to the root before the answer.
void client_flush(struct core *core, struct entry *entry, enum perm perm, bool sync);

// May something be said to the parent about ${volume}?
bool client_parent_usable(const struct core *core, const struct volume *volume);

// The answer to a request that was sent at ${asked} gives a permission for the block.
void client_take_grant(struct core *core, struct entry *entry, const struct message *message, moment_us asked);

// The parent says which version it has of a block that we have no bytes of, or none that are as new (it is stale then); 0: it does
// not know, so that whoever claims the block below has a newer one.
void client_learn_version(struct core *core, struct entry *entry, version_t version);

// The recall of a block that is let go for a claimant can not be answered well: he has not left us.
void client_refuse_recall(struct core *core, struct entry *entry);

// Give back the permissions of blocks that have no copy and no holders (lazily, many together).
void client_release(struct core *core);

// The dirty or unstable copy is not brought up any more, because of ${why}: it is gone, and the next fsync says so.
void client_lost(struct core *core, struct entry *entry, const char *why);

// The link to the parent is gone: nothing is under way any more. What is held stays, until its lease is over.
void client_link_down(struct core *core);

// What is held of ${volume} is so under another epoch now, that of a root that was started anew.
void client_epoch_confirmed(struct core *core, const struct volume *volume);

// ${volume}'s CONNECT was answered. ${resumed}: what was held still stands; else all of it is claimed anew, or given up
// (recovery.c). ${lapsed}: the lease had ended meanwhile, and with it what was held for reading.
void client_connected(struct core *core, struct volume *volume, bool resumed, bool lapsed);

// Is ${message}, an error, about the bytes of ${entry}, as they were sealed before what is there? Other blocks that it is about may be
// well: they are sent again.
bool client_superseded(const struct entry *entry, const struct message *message);

#endif
