// SPDX-License-Identifier: MIT
// Only who has bytes waiting is in the list.
#include "core/claim_room.h"
#include "core/check.h"
#include "core/state.h"

#include <stdlib.h>

static struct claim_room **
find(struct core *core, uint32_t peer)
{
	struct claim_room **room = &core->claim_rooms;

	while (*room != NULL && (*room)->peer != peer)
		room = &(*room)->next;
	return room;
}

bool
claim_room_take(struct core *core, uint32_t peer, size_t size)
{
	struct claim_room **room = find(core, peer);

	if (*room == NULL) {
		*room = calloc(1, sizeof(**room));
		CHECK(*room != NULL);
		(*room)->peer = peer;
	}
	if ((*room)->used + size > LIMIT_CLAIM_SIZE)
		return false;
	(*room)->used += size;
	return true;
}

void
claim_room_give(struct core *core, uint32_t peer, size_t size)
{
	struct claim_room **link = find(core, peer), *room = *link;

	CHECK(room != NULL && room->used >= size);
	room->used -= size;
	if (room->used > 0)
		return;
	*link = room->next;
	free(room);
}
