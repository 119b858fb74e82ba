// SPDX-License-Identifier: MIT
// What a node has sent up of a sealed volume, as far as the root has not said that it is there; and what of that need not arrive:
// what is known to be lost (node/cookies.h). That a parent refuses something proves nothing: what it refuses the core sends again,
// or tells that it is lost.
#include "node/cookies_internal.h"

#include "crypto/seal.h"

#include <stdlib.h>
#include <string.h>

enum { SENT_MIN = 1024 };

static void
note(struct sent *sent, const struct cookie_entry *entry)
{
	if (sent->first + sent->count == sent->capacity && sent->first > sent->capacity / 2) {
		memcpy(sent->entries, sent->entries + sent->first, sent->count * sizeof(*sent->entries));
		sent->first = 0;
	} else if (sent->first + sent->count == sent->capacity) {
		sent->capacity = sent->capacity == 0 ? SENT_MIN : 2 * sent->capacity;
		sent->entries = realloc(sent->entries, sent->capacity * sizeof(*sent->entries));
		CHECK(sent->entries != NULL);
	}
	sent->entries[sent->first + sent->count++] = *entry;
}

// So many are kept. As long as the root says nothing, who writes waits, as he does when there is no room for what is dirty.
static size_t
sent_max(const struct cookies *cookies)
{
	return 4 * SENT_MANY + 2 * node_dirty_max(cookies->node);
}

static void
hold_writes(struct cookies *cookies, uint32_t volume, bool hold)
{
	struct sent *sent = &cookies->sent[volume];
	struct volume_info info;

	if (sent->is_full == hold)
		return;
	sent->is_full = hold;
	core_hold_writes(cookies->node->core, volume, hold);
	core_volume_info(cookies->node->core, volume, node_now(), &info);
	if (hold)
		log_warnx("volume %s: its root has not said for long that what was written has arrived; writes wait until it does", info.name);
	else
		node_feed(cookies->node, &(struct event){.type = EVENT_TIMER});
}

void
cookies_sent(struct cookies *cookies, const struct node_link *link, const struct message *message)
{
	int volume = core_message_volume(cookies->node->core, link->slot, message);
	struct sent *sent;

	if (volume < 0 || cookies_key(cookies, (uint32_t)volume) == NULL ||
	    volume_key_role(cookies_key(cookies, (uint32_t)volume)) < VOLUME_ROLE_WRITER)
		return;
	sent = &cookies->sent[volume];
	if (message->opcode == OP_FLUSH && !(message->present & PRESENT(BLOCK_NUM))) {
		sent->barrier_xid = message->xid;
		sent->barrier_end = sent->gone + sent->count;
		sent->barrier_runs = true;
	}
	if (message->opcode == OP_RECOVER && !core_is_own_claim(cookies->node->core, (uint32_t)volume, message))
		return; // who has brought it has it proven
	for (uint32_t i = 0; message->items != NULL && i < message->count; i++) {
		const struct blob *verifier = &message->items[i].verifier;
		struct cookie_entry entry = {.block = message->block + i, .version = seal_version(verifier->bytes, verifier->size)};

		if (verifier->size == 0)
			continue;
		seal_digest(verifier->bytes, verifier->size, entry.digest);
		note(sent, &entry);
	}
	if (sent->count >= sent_max(cookies))
		hold_writes(cookies, (uint32_t)volume, true);
}

static void
forget_lost(struct sent *sent)
{
	struct lost *lost, *next;

	HASH_ITER (hh, sent->lost, lost, next) {
		HASH_DEL(sent->lost, lost);
		free(lost);
	}
}

void
cookies_lost(struct cookies *cookies, uint32_t volume, uint64_t block)
{
	struct sent *sent = &cookies->sent[volume];
	struct lost *lost;

	if (sent->count == 0)
		return;
	HASH_FIND(hh, sent->lost, &block, sizeof(block), lost);
	if (lost == NULL) {
		lost = calloc(1, sizeof(*lost));
		CHECK(lost != NULL);
		lost->block = block;
		HASH_ADD(hh, sent->lost, block, sizeof(lost->block), lost);
	}
	lost->end = sent->gone + sent->count;
}

void
sent_leave_out_lost(const struct sent *sent, uint64_t from, uint64_t count)
{
	for (uint64_t i = 0; i < count && sent->lost != NULL; i++) {
		struct cookie_entry *entry = &sent->entries[sent->first + (from + i - sent->gone)];
		const struct lost *lost;

		HASH_FIND(hh, sent->lost, &entry->block, sizeof(entry->block), lost);
		if (lost != NULL && from + i < lost->end)
			entry->version = ANY_VERSION;
	}
}

void
cookies_proven(struct cookies *cookies, uint32_t volume, uint64_t end)
{
	struct sent *sent = &cookies->sent[volume];
	size_t count = end > sent->gone ? (size_t)(end - sent->gone) : 0;

	sent->gone += count;
	sent->first += count;
	sent->count -= count;
	if (sent->count < sent_max(cookies) / 2)
		hold_writes(cookies, volume, false);
	if (sent->count > 0)
		return;
	free(sent->entries);
	sent->entries = NULL;
	sent->first = sent->capacity = 0;
	forget_lost(sent);
}

void
sent_fini(struct sent *sent)
{
	free(sent->entries);
	forget_lost(sent);
}
