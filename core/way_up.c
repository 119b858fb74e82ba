// SPDX-License-Identifier: MIT
#include "core/way_up.h"
#include "core/claimant.h"
#include "core/outbox.h"
#include "core/recovery.h"

#include <string.h>

void
way_up_learn(struct core *core, struct volume *volume, const struct message *message)
{
	const char *at = (const char *)message->parent_addr.bytes;
	size_t left = message->present & PRESENT(PARENT_ADDR) ? message->parent_addr.size : 0;

	memset(volume->above, 0, sizeof(volume->above));
	volume->above_count = message->path_count;
	if (volume->above_count > 0 && (message->connect_flags & CONNECT_NAME_BEFORE))
		volume->above_count--;
	memcpy(volume->above, message->path, volume->above_count * sizeof(uint64_t));
	volume->way_up_count = 0;
	while (volume->way_up_count < volume->above_count && volume->above[volume->way_up_count] != 0)
		volume->way_up_count++;
	core->ancestor_count = 0;
	while (left > 0 && core->ancestor_count < LIMIT_ANCESTORS) {
		const char *end = memchr(at, '\n', left);
		size_t size = end != NULL ? (size_t)(end - at) : left;

		if (size > 0 && size < sizeof(core->ancestors[0]) &&
		    blob_is_printable((struct blob){(const uint8_t *)at, size})) { // it is shown, and told on
			char *address = core->ancestors[core->ancestor_count++];

			memcpy(address, at, size);
			address[size] = '\0';
		}
		size += end != NULL;
		at += size;
		left -= size;
	}
}

static void
add_address(struct core *core, const char *address)
{
	size_t size = strlen(address), used = core->way_up_size;

	if (size == 0 || used + size + 1 > sizeof(core->way_up))
		return;
	if (used > 0)
		core->way_up[used++] = '\n';
	memcpy(core->way_up + used, address, size);
	core->way_up_size = used + size;
}

// What is still to be brought up, or has been lost since, may have been so for the sake of names under which it was recorded
// before: who has it from below brings it under those, too, wherever he goes. (A child that was above then must not find itself
// among those that are now.)
static struct claimant
names_of_owed(const struct core *core, const struct volume *volume)
{
	struct claimant all = volume->own, names = {0};
	bool any = volume->owed > 0;

	for (uint32_t i = 0; i < volume->own_before.path_count; i++)
		claimant_add_name(&all, volume->own_before.path[i]);
	for (uint32_t i = 0; i < core->child_count; i++) {
		const struct child *child = core->children[i];

		if (!child->in_use || child->volume != volume->index)
			continue;
		any |= child->lost != LOST_NOTHING;
		for (uint32_t k = 0; k < all.path_count; k++)
			if (all.path[k] == child->node_id)
				all.path[k] = volume->node_id;
	}
	for (uint32_t i = 0; any && i < all.path_count; i++)
		claimant_add_name(&names, all.path[i]);
	return names;
}

static bool
is_on_path(const struct message *message, uint64_t node_id)
{
	for (uint32_t i = 0; i < message->path_count; i++)
		if (message->path[i] == node_id)
			return true;
	return false;
}

// A name of before: behind the first 0. There is room for one more that is none of these.
static void
add_name_before(struct message *message, uint64_t node_id)
{
	if (node_id == 0 || is_on_path(message, node_id))
		return;
	if (!is_on_path(message, 0) && message->path_count < LIMIT_HOPS - 2)
		message->path[message->path_count++] = 0;
	if (is_on_path(message, 0) && message->path_count < LIMIT_HOPS - 1)
		message->path[message->path_count++] = node_id;
}

static void
add_names(struct core *core, const struct volume *volume, const struct claimant *owed, struct message *message)
{
	message->present |= PRESENT(PATH);
	message->path[message->path_count++] = volume->node_id;
	if (volume->is_root)
		return;
	for (uint32_t i = 0; i < volume->way_up_count && message->path_count < LIMIT_HOPS; i++)
		message->path[message->path_count++] = volume->above[i];
	for (uint32_t i = volume->way_up_count; i < volume->above_count; i++)
		add_name_before(message, volume->above[i]);
	for (uint32_t i = 0; i < owed->path_count; i++)
		add_name_before(message, owed->path[i]);
	add_name_before(message, volume->name_before); // it may still be on record above
	if (volume->parent_before != 0 && message->path_count < LIMIT_HOPS) { // who has left bytes to it knows it by that
		message->path[message->path_count++] = volume->parent_before;
		message->connect_flags |= CONNECT_NAME_BEFORE;
	}
	core->way_up_size = 0;
	add_address(core, core->parent.address);
	for (uint32_t i = 0; i < core->ancestor_count; i++)
		add_address(core, core->ancestors[i]);
	if (core->way_up_size == 0)
		return;
	message->present |= PRESENT(PARENT_ADDR);
	message->parent_addr = (struct blob){(const uint8_t *)core->way_up, core->way_up_size};
}

void
way_up_add(struct core *core, const struct volume *volume, struct message *message)
{
	struct claimant owed = names_of_owed(core, volume);

	add_names(core, volume, &owed, message);
}

void
way_up_tell(struct core *core, struct volume *volume)
{
	struct claimant owed = names_of_owed(core, volume);

	for (uint32_t i = 0; i < core->child_count; i++) {
		const struct child *child = core->children[i];
		struct message *message;

		if (!child->in_use || child->volume != volume->index || child->link < 0 ||
		    core->links[child->link]->closing)
			continue;
		message = outbox_message(core, (uint32_t)child->link, OP_HEARTBEAT, 0);
		message->present = PRESENT(VOLUME_ID) | PRESENT(EPOCH) | PRESENT(CONNECT_FLAGS);
		message->volume_id = volume->id;
		message->epoch = volume->epoch;
		message->connect_flags = recovery_is_confirmed(volume) ? 0 : CONNECT_RECOVERING;
		add_names(core, volume, &owed, message);
	}
	volume->confirms_anew = false;
	memcpy(volume->told_path, volume->above, sizeof(volume->told_path));
	volume->told_name = volume->node_id;
	volume->told_before = volume->name_before;
	volume->told_epoch = volume->held_epoch;
}

bool
way_up_has_changed(const struct volume *volume)
{
	return volume->told_name != volume->node_id || volume->told_before != volume->name_before ||
	       volume->told_epoch != volume->held_epoch ||
	       memcmp(volume->told_path, volume->above, sizeof(volume->told_path)) != 0;
}

void
way_up_follow_names(struct volume *volume, const struct message *message, bool same)
{
	if (!same)
		volume->parent_before = 0;
	if (!same || volume->above_count == 0 || message->path_count == 0)
		return;
	if (volume->above[0] != message->path[0])
		volume->parent_before = volume->above[0];
	if (volume->keeper == volume->above[0])
		volume->keeper = message->path[0];
	else if (volume->way_up_count > 1 && message->path_count > 1 && (message->connect_flags & CONNECT_NAME_BEFORE) &&
		 volume->keeper == volume->above[1] && volume->keeper == message->path[message->path_count - 1])
		volume->keeper = message->path[1];
}
