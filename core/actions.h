// SPDX-License-Identifier: MIT
// How the core fills the list of actions. Effects come before sends in the list, so that bytes are in their buffers
// before a message with them is encoded; what ends something comes last. The order of sends on one link is the order of
// their making (protocol.md R1).
#ifndef HVFS_CORE_ACTIONS_H
#define HVFS_CORE_ACTIONS_H

#include "core/action.h"

// Append an effect (or an end: ACTION_CLOSE, ACTION_STOPPED), zeroed but for its type. Valid until the next append.
struct action *actions_add(struct actions *actions, enum action_type type);

// The last effect, or NULL: for joining adjacent ones.
struct action *actions_last(struct actions *actions);

// Append ${buf} (taking a count) and its version to a store write.
void actions_add_buf(struct actions *actions, struct action *action, struct buf *buf, version_t version);

// Append ACTION_SEND; the message is zeroed and stays where it is until actions_reset.
struct message *actions_send(struct actions *actions, uint32_t link, uint32_t volume);

// Append an item to ${message}; a count of ${buf} is taken.
void actions_add_item(struct actions *actions, struct message *message, enum item_kind kind, version_t version,
		      struct buf *buf);

// Append a digest to ${message}'s DIGEST. At most LIMIT_BLOB_SIZE / BLOCK_DIGEST_SIZE of them.
void actions_add_digest(struct actions *actions, struct message *message, const uint8_t digest[BLOCK_DIGEST_SIZE]);

// How many items ${message} has.
uint32_t actions_item_count(const struct message *message);

#endif
