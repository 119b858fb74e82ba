// SPDX-License-Identifier: MIT
// A cache that changes does so a slice with each turn of the loop: a timer that is due at once comes once in a turn,
// after whoever has I/O for us, so that a request waits for one slice at most.
#include "node/internal.h"

enum { SLICE_SLOTS = 64, TELL_MS = 250 };

uint64_t
node_dirty_max(const struct node *node)
{
	struct copies copies = stack_copies(node->cache);
	uint64_t room = copies.ops->capacity(copies.self, node->block_size) / 4 * 3;

	return room > 0 ? room : 1;
}

static void
slice_due(struct node *node)
{
	evtimer_add(node->cache_slice, &(struct timeval){.tv_sec = 0});
}

static void
slice(evutil_socket_t fd, short what, void *arg)
{
	struct node *node = arg;
	moment_us now = node_now();
	bool more, tell = now - node->cache_told >= TELL_MS * 1000;

	if (node->left)
		return;
	more = stack_step(node->cache, SLICE_SLOTS);
	node_feed(node, &(struct event){.type = EVENT_TIMER}); // the core was told of evictions, and goes on with them
	if (tell)
		node->cache_told = now;
	node_cache_disk_moved(node);
	if (node->control != NULL)
		control_cache_moved(node->control, tell);
	if (more)
		slice_due(node);
}

void
node_cache_changed(struct node *node)
{
	core_set_dirty_max(node->core, node_dirty_max(node));
	node->cache_told = node_now();
	slice_due(node);
}

void
node_cache_go_on(struct node *node)
{
	if (stack_is_changing(node->cache))
		slice_due(node);
}

int
node_cache_init(struct node *node)
{
	node->cache_slice = event_new(node->base, -1, 0, slice, node);
	node->cache_worker = worker_create(node->base);
	node->cache_closer = worker_create(node->base);
	node->cache_sealer = worker_create(node->base);
	return node->cache_slice != NULL && node->cache_worker != NULL && node->cache_closer != NULL &&
			       node->cache_sealer != NULL
		       ? 0
		       : -1;
}

void
node_cache_fini(struct node *node)
{
	if (node->cache_slice != NULL)
		event_free(node->cache_slice);
	worker_destroy(node->cache_worker);
	worker_destroy(node->cache_closer);
	worker_destroy(node->cache_sealer);
}
