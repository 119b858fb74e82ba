// SPDX-License-Identifier: MIT
#include "core/actions.h"
#include "core/check.h"

#include <stdlib.h>
#include <string.h>

// A message with the item array behind it that grows; kept and used again in later steps.
struct slot {
	struct message message;
	struct item *items;
	uint32_t item_count, item_capacity;
	uint8_t *digests; // LIMIT_BLOB_SIZE bytes, or NULL
};

struct list {
	struct action *actions;
	size_t count, capacity;
};

// The blocks of a store write.
struct run {
	struct buf *bufs[LIMIT_RUN_BLOCKS];
	version_t versions[LIMIT_RUN_BLOCKS];
};

struct actions {
	struct list effects, sends, ends;
	struct slot **slots;
	size_t slot_count, slot_capacity; // in use; allocated
	struct run **runs; // blocks of store writes, kept and used again
	size_t run_count, run_capacity;
};

static void *
grow(void *memory, size_t count, size_t size)
{
	void *grown = realloc(memory, count * size);

	CHECK(grown != NULL);
	return grown;
}

struct actions *
actions_create(void)
{
	struct actions *actions = calloc(1, sizeof(*actions));

	CHECK(actions != NULL);
	return actions;
}

void
actions_destroy(struct actions *actions)
{
	if (actions == NULL)
		return;
	actions_reset(actions);
	for (size_t i = 0; i < actions->slot_capacity; i++) {
		free(actions->slots[i]->items);
		free(actions->slots[i]->digests);
		free(actions->slots[i]);
	}
	for (size_t i = 0; i < actions->run_capacity; i++)
		free(actions->runs[i]);
	free(actions->slots);
	free(actions->runs);
	free(actions->effects.actions);
	free(actions->sends.actions);
	free(actions->ends.actions);
	free(actions);
}

size_t
actions_count(const struct actions *actions)
{
	return actions->effects.count + actions->sends.count + actions->ends.count;
}

struct action *
actions_get(struct actions *actions, size_t index)
{
	CHECK(index < actions_count(actions));
	if (index < actions->effects.count)
		return &actions->effects.actions[index];
	index -= actions->effects.count;
	if (index < actions->sends.count)
		return &actions->sends.actions[index];
	return &actions->ends.actions[index - actions->sends.count];
}

static void
effect_release(struct action *action)
{
	buf_unref(action->old);
	buf_unref(action->buf);
	if (action->type == ACTION_STORE_WRITE)
		for (uint32_t i = 0; i < action->count; i++)
			buf_unref(action->bufs[i]);
}

void
actions_reset(struct actions *actions)
{
	for (size_t i = 0; i < actions->effects.count; i++)
		effect_release(&actions->effects.actions[i]);
	for (size_t i = 0; i < actions->slot_count; i++) {
		struct slot *slot = actions->slots[i];

		for (uint32_t j = 0; j < slot->item_count; j++)
			buf_unref(slot->items[j].buf);
		slot->item_count = 0;
	}
	actions->effects.count = actions->sends.count = actions->ends.count = 0;
	actions->slot_count = actions->run_count = 0;
}

static struct action *
list_add(struct list *list, enum action_type type)
{
	if (list->count == list->capacity) {
		list->capacity = list->capacity ? list->capacity * 2 : 64;
		list->actions = grow(list->actions, list->capacity, sizeof(*list->actions));
	}
	list->actions[list->count] = (struct action){.type = type};
	return &list->actions[list->count++];
}

struct action *
actions_add(struct actions *actions, enum action_type type)
{
	bool ends = type == ACTION_CLOSE || type == ACTION_STOPPED;

	return list_add(ends ? &actions->ends : &actions->effects, type);
}

struct action *
actions_last(struct actions *actions)
{
	return actions->effects.count > 0 ? &actions->effects.actions[actions->effects.count - 1] : NULL;
}

void
actions_add_buf(struct actions *actions, struct action *action, struct buf *buf, version_t version)
{
	CHECK(action->count < LIMIT_RUN_BLOCKS);
	if (action->bufs == NULL) {
		if (actions->run_count == actions->run_capacity) {
			actions->run_capacity++;
			actions->runs = grow(actions->runs, actions->run_capacity, sizeof(*actions->runs));
			actions->runs[actions->run_count] = grow(NULL, 1, sizeof(struct run));
		}
		action->bufs = actions->runs[actions->run_count]->bufs;
		action->versions = actions->runs[actions->run_count++]->versions;
	}
	action->versions[action->count] = version;
	action->bufs[action->count++] = buf_ref(buf);
}

struct message *
actions_send(struct actions *actions, uint32_t link, uint32_t volume)
{
	struct action *action = list_add(&actions->sends, ACTION_SEND);
	struct slot *slot;

	if (actions->slot_count == actions->slot_capacity) {
		actions->slot_capacity++;
		actions->slots = grow(actions->slots, actions->slot_capacity, sizeof(*actions->slots));
		slot = calloc(1, sizeof(*slot));
		CHECK(slot != NULL);
		actions->slots[actions->slot_count] = slot;
	}
	slot = actions->slots[actions->slot_count++];
	memset(&slot->message, 0, sizeof(slot->message));
	action->link = link;
	action->volume = volume;
	action->message = &slot->message;
	return &slot->message;
}

void
actions_add_item(struct actions *actions, struct message *message, enum item_kind kind, version_t version,
		 struct buf *buf)
{
	struct slot *slot = (struct slot *)message;

	(void)actions;
	if (slot->item_count == slot->item_capacity) {
		slot->item_capacity = slot->item_capacity ? slot->item_capacity * 2 : 4;
		slot->items = grow(slot->items, slot->item_capacity, sizeof(*slot->items));
	}
	slot->items[slot->item_count++] = (struct item){.version = version, .kind = kind, .buf = buf_ref(buf)};
	message->items = slot->items;
}

void
actions_add_digest(struct actions *actions, struct message *message, const uint8_t digest[BLOCK_DIGEST_SIZE])
{
	struct slot *slot = (struct slot *)message;

	(void)actions;
	if (slot->digests == NULL)
		slot->digests = grow(NULL, LIMIT_BLOB_SIZE, 1);
	CHECK(message->digest.size + BLOCK_DIGEST_SIZE <= LIMIT_BLOB_SIZE);
	memcpy(slot->digests + message->digest.size, digest, BLOCK_DIGEST_SIZE);
	message->present |= PRESENT(DIGEST);
	message->digest.bytes = slot->digests;
	message->digest.size += BLOCK_DIGEST_SIZE;
}

uint32_t
actions_item_count(const struct message *message)
{
	return ((const struct slot *)message)->item_count;
}
