// SPDX-License-Identifier: MIT
// What a node has sent up of a sealed volume, as far as the root has not said that it is there; and what of that need not arrive:
// what the parent has refused, and what is known to be lost (node/cookies.h).
#include "node/cookies_internal.h"

#include "crypto/seal.h"

#include <stdlib.h>
#include <string.h>

enum { SENT_MIN = 1024 };

static const struct volume_key *
key_of(const struct cookies *cookies, uint32_t volume)
{
	return cookies->node->volumes[volume].key;
}

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

static void
forget_going(struct sent *sent, struct going *going)
{
	HASH_DEL(sent->going, going);
	free(going);
}

// Number ${number}, if it is not proven, need not arrive.
static void
leave_out(struct sent *sent, uint64_t number)
{
	if (number >= sent->gone)
		sent->entries[sent->first + (number - sent->gone)].version = ANY_VERSION;
}

// What was not answered will not be: the core sends it again, or tells that it is lost.
void
sent_link_gone(struct sent *sent)
{
	struct going *going, *next;

	HASH_ITER (hh, sent->going, going, next) {
		for (uint32_t i = 0; i < going->count; i++)
			if (!going->blocks[i].is_answered)
				leave_out(sent, going->from + i);
		forget_going(sent, going);
	}
}

// The last ${count} entries went in the message ${xid}, which will be answered.
static void
note_going(struct sent *sent, uint32_t xid, uint32_t count)
{
	struct going *going;

	HASH_FIND(hh, sent->going, &xid, sizeof(xid), going);
	if (going != NULL)
		forget_going(sent, going);
	going = calloc(1, sizeof(*going) + count * sizeof(*going->blocks));
	CHECK(going != NULL);
	going->xid = xid;
	going->count = going->left = count;
	going->from = sent->gone + sent->count - count;
	for (uint32_t i = 0; i < count; i++)
		going->blocks[i].block = sent->entries[sent->first + sent->count - count + i].block;
	HASH_ADD(hh, sent->going, xid, sizeof(going->xid), going);
}

// The parent answers what was sent of some blocks; no other answer counts. What it refuses need not arrive: the core sends it again,
// or tells that it is lost; or it is a child's, who hears of it.
void
sent_answered(struct sent *sent, const struct message *message)
{
	struct going *going;

	HASH_FIND(hh, sent->going, &message->xid, sizeof(message->xid), going);
	for (uint32_t i = 0; going != NULL && i < going->count; i++) {
		uint64_t block = going->blocks[i].block;

		if (going->blocks[i].is_answered || block < message->block || block - message->block >= message->count)
			continue;
		if (message->opcode == OP_ERR_REPLY)
			leave_out(sent, going->from + i);
		going->blocks[i].is_answered = true;
		going->left--;
	}
	if (going != NULL && going->left == 0)
		forget_going(sent, going);
}

void
cookies_sent(struct cookies *cookies, const struct node_link *link, const struct message *message)
{
	int volume = core_message_volume(cookies->node->core, link->slot, message);
	struct sent *sent;
	uint32_t count = 0;

	if (volume < 0 || key_of(cookies, (uint32_t)volume) == NULL ||
	    volume_key_role(key_of(cookies, (uint32_t)volume)) < VOLUME_ROLE_WRITER)
		return;
	sent = &cookies->sent[volume];
	if (message->opcode == OP_FLUSH && !(message->present & PRESENT(BLOCK_NUM))) {
		sent->barrier_xid = message->xid;
		sent->barrier_end = sent->gone + sent->count;
		sent->barrier_runs = true;
	}
	for (uint32_t i = 0; message->items != NULL && i < message->count; i++) {
		const struct blob *verifier = &message->items[i].verifier;
		struct cookie_entry entry = {.block = message->block + i, .version = seal_version(verifier->bytes, verifier->size)};

		if (verifier->size == 0)
			continue;
		seal_digest(verifier->bytes, verifier->size, entry.digest);
		note(sent, &entry);
		count++;
	}
	if (count > 0)
		note_going(sent, message->xid, count);
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
cookies_lost(struct cookies *cookies, uint32_t volume, uint64_t block, version_t version)
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
	if (lost->version < version)
		lost->version = version;
}

void
sent_leave_out_lost(const struct sent *sent, struct cookie_entry *entries, uint64_t count)
{
	for (uint64_t i = 0; i < count && sent->lost != NULL; i++) {
		const struct lost *lost;

		HASH_FIND(hh, sent->lost, &entries[i].block, sizeof(entries[i].block), lost);
		if (lost != NULL && entries[i].version <= lost->version)
			entries[i].version = ANY_VERSION;
	}
}

void
sent_forget(struct sent *sent, uint64_t end)
{
	size_t count = end > sent->gone ? (size_t)(end - sent->gone) : 0;

	sent->gone += count;
	sent->first += count;
	sent->count -= count;
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
	sent_link_gone(sent);
	free(sent->entries);
	forget_lost(sent);
}
