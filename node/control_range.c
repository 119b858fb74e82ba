// SPDX-License-Identifier: MIT
// What the cache is told of ranges of a volume: {"command":"cache","action":...,"volume":NAME,"begin":N,"end":N} in
// bytes; without an end, up to the volume's.
//
//   warm          {"done":N,"total":N} now and then, then {"ok":true,"warmed":N,"size":N}: bytes, and how large the
//                 cache is
//   pin, unpin    {"ok":true,"pinned":N}: blocks that are pinned now, of all volumes. Whole blocks, also where the range
//                 has only a part of one
#include "node/control.h"

#include <inttypes.h>

struct range {
	uint32_t volume, block_size;
	uint64_t begin, end;
};

// False: the client has its answer.
static bool
read_range(struct client *client, const json_t *request, struct range *ret)
{
	const json_t *begin = json_object_get(request, "begin"), *end = json_object_get(request, "end");
	struct node *node = client->control->node;
	int volume = command_find_volume(client, request);
	struct volume_info info;

	if (volume < 0)
		return false;
	core_volume_info(node->core, (uint32_t)volume, node_now(), &info);
	*ret = (struct range){.volume = (uint32_t)volume, .block_size = info.block_size, .end = info.size};
	if (!info.ready) {
		client_answer_error(client, "volume %s: its parent was not reached yet", info.name);
		return false;
	}
	if (json_integer_value(begin) < 0 || (end != NULL && json_integer_value(end) <= json_integer_value(begin))) {
		client_answer_error(client, "\"begin\" and \"end\" are no range of bytes");
		return false;
	}
	ret->begin = (uint64_t)json_integer_value(begin);
	if (end != NULL)
		ret->end = (uint64_t)json_integer_value(end);
	if (ret->end <= info.size && ret->begin < ret->end)
		return true;
	client_answer_error(client, "volume %s: the range is beyond its end, which is at %" PRIu64, info.name, info.size);
	return false;
}

void
action_warm(struct client *client, const json_t *request)
{
	struct range range;

	if (read_range(client, request, &range))
		warm_start(client, range.volume, range.begin, range.end);
}

static void
pin(struct client *client, const json_t *request,
    enum stack_error (*change)(struct stack *stack, block_key first, uint64_t count))
{
	struct node *node = client->control->node;
	struct stack_stats stats;
	enum stack_error error;
	struct range range;
	uint64_t first, end;

	if (!read_range(client, request, &range))
		return;
	first = range.begin / range.block_size;
	end = (range.end - 1) / range.block_size + 1;
	error = change(node->cache, block_key_make(range.volume, first), end - first);
	if (error != STACK_OK) {
		client_answer_error(client, "blocks %" PRIu64 " to %" PRIu64 ": %s", first, end - 1, stack_error_text(error));
		return;
	}
	node_cache_changed(node); // what was kept for a pin may go
	stack_get_stats(node->cache, &stats);
	client_answer(client, json_pack("{sbsI}", "ok", 1, "pinned", (json_int_t)stats.pinned));
}

void
action_pin(struct client *client, const json_t *request)
{
	pin(client, request, stack_pin);
}

void
action_unpin(struct client *client, const json_t *request)
{
	pin(client, request, stack_unpin);
}
