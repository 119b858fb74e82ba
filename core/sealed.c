// SPDX-License-Identifier: MIT
#include "core/sealed.h"

#include "core/check.h"
#include "core/core.h"

#include <string.h>

void
core_set_volume_key(struct core *core, uint32_t index, const uint8_t id[SEALED_KEY_ID_SIZE])
{
	struct volume *volume = core->volumes[index];

	CHECK(index < core->volume_count);
	volume->sealed = true;
	memcpy(volume->key_id, id, SEALED_KEY_ID_SIZE);
}

void
sealed_say(const struct volume *volume, struct message *message)
{
	if (!volume->sealed)
		return;
	message->present |= PRESENT(KEY);
	message->key = (struct blob){volume->key_id, SEALED_KEY_ID_SIZE};
}

enum status
sealed_check(const struct volume *volume, const struct message *message)
{
	bool sealed = volume != NULL && volume->sealed;

	if (!(message->present & PRESENT(KEY)))
		return sealed ? STATUS_MISSING_PARAM : STATUS_NONE;
	if (!sealed || message->key.size != SEALED_KEY_ID_SIZE ||
	    memcmp(message->key.bytes, volume->key_id, SEALED_KEY_ID_SIZE) != 0)
		return STATUS_BAD_PARAM_VALUE;
	return STATUS_NONE;
}

bool
sealed_may_compare(const struct core *core, const struct entry *entry)
{
	const struct buf *buf;

	if (!entry_volume(core, entry)->sealed)
		return true;
	buf = entry->copy != COPY_ABSENT ? core->copies.ops->get(core->copies.self, entry->key) : NULL;
	return buf == NULL || buf_proof(buf) != NULL;
}

uint16_t
sealed_refused_param(const struct message *message)
{
	return message->present & PRESENT(ERR_PARAM) && message->err_param == PARAM_KEY ? PARAM_KEY : 0;
}

const char *
sealed_refusal_text(const struct message *message)
{
	if (sealed_refused_param(message) == 0)
		return message_status_text(message->status);
	if (message->status == STATUS_MISSING_PARAM)
		return "it is sealed; right would be --volume-key with a key of it";
	return "it is not sealed there with the key of --volume-key";
}

uint32_t
core_volume_id(const struct core *core, uint32_t volume)
{
	return core->volumes[volume]->id;
}

bool
core_parent_volume_id(const struct core *core, uint32_t index, uint32_t *ret)
{
	const struct volume *volume = core->volumes[index];

	*ret = volume->parent_id;
	return !volume->is_root && volume->connected;
}

bool
core_is_all_durable(const struct core *core, uint32_t index)
{
	const struct volume *volume = core->volumes[index];

	return !volume->is_root && !volume->unsynced && !volume->elsewhere && !volume->barrier_out;
}

uint32_t
sealed_lease_ms(const struct message *message)
{
	return (message->present & PRESENT(TTL)) && message->ttl_ms < message->hb_ttl_ms ? message->ttl_ms : message->hb_ttl_ms;
}

void
sealed_outdated(struct core *core, uint32_t index, uint64_t block)
{
	struct entry *entry = table_find(&core->table, block_key_make(index, block));

	if (entry == NULL || entry->copy != COPY_CLEAN || core->volumes[index]->is_root)
		return;
	entry_drop_copy(core, entry);
	if (entry->work != 0)
		table_touch(&core->table, entry);
	else
		entry_rest(core, entry);
}

bool
core_next_copy(struct core *core, uint32_t index, uint32_t *at, uint32_t *looks, uint64_t *ret_block)
{
	if (*at == 0)
		*at = 1;
	for (; *at < core->table.entries.next && *looks > 0; (*at)++, (*looks)--) {
		const struct entry *entry = table_entry(&core->table, *at);

		if (!pool_is_used(&core->table.entries, *at) || block_key_volume(entry->key) != index || !entry_in_memory(core, entry))
			continue;
		(*at)++;
		(*looks)--;
		*ret_block = block_key_block(entry->key);
		return true;
	}
	return false;
}
