// SPDX-License-Identifier: MIT
#include "node/internal.h"

uint64_t
node_dirty_max(const struct node *node)
{
	struct copies copies = stack_copies(node->cache);
	uint64_t room = copies.ops->capacity(copies.self, node->block_size) / 4 * 3;

	return room > 0 ? room : 1;
}
