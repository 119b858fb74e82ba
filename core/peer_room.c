// SPDX-License-Identifier: MIT
// Only who has bytes is in the list.
#include "core/peer_room.h"
#include "core/check.h"
#include "core/state.h"

#include <stdlib.h>

static const uint64_t limits[PEER_USES] = {[PEER_CLAIMS] = LIMIT_CLAIM_SIZE, [PEER_BROUGHT] = LIMIT_BROUGHT_SIZE};

// Moves it to the front: what a peer brings comes, and goes on, in runs. NULL: he has nothing.
static struct peer_room *
find(struct core *core, uint32_t peer)
{
	struct peer_room **link = &core->peer_rooms, *room;

	while (*link != NULL && (*link)->peer != peer)
		link = &(*link)->next;
	room = *link;
	if (room == NULL || room == core->peer_rooms)
		return room;
	*link = room->next;
	room->next = core->peer_rooms;
	core->peer_rooms = room;
	return room;
}

bool
peer_room_add(struct core *core, uint32_t peer, enum peer_use use, size_t size)
{
	struct peer_room *room;

	if (peer == 0 || size == 0)
		return true;
	room = find(core, peer);
	if (room == NULL) {
		room = calloc(1, sizeof(*room));
		CHECK(room != NULL);
		room->peer = peer;
		room->next = core->peer_rooms;
		core->peer_rooms = room;
	}
	room->used[use] += size;
	return room->used[use] <= limits[use];
}

void
peer_room_give(struct core *core, uint32_t peer, enum peer_use use, size_t size)
{
	struct peer_room *room;

	if (peer == 0 || size == 0)
		return;
	room = find(core, peer);
	CHECK(room != NULL && room->used[use] >= size);
	room->used[use] -= size;
	for (int i = 0; i < PEER_USES; i++)
		if (room->used[i] > 0)
			return;
	core->peer_rooms = room->next;
	free(room);
}

void
peer_room_destroy(struct core *core)
{
	while (core->peer_rooms != NULL) {
		struct peer_room *room = core->peer_rooms;

		core->peer_rooms = room->next;
		free(room);
	}
}
