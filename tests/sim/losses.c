// SPDX-License-Identifier: MIT
#include "tests/sim/losses.h"

#include "core/check.h"

#include <stdlib.h>

bool
losses_is_below(const struct losses *losses, int node, int top)
{
	while (node != top && node >= 0)
		node = losses->parents[node];
	return node == top;
}

// The failures that a write has to do with: those after its beginning.
struct window {
	uint64_t own, above, root; // the last one of its author, of an ancestor, of the root; 0: none
};

static void
later(uint64_t *last, uint64_t at)
{
	*last = at > *last ? at : *last;
}

static struct window
window_find(const struct losses *losses, const struct register_op *write)
{
	struct window window = {0};

	for (size_t i = 0; i < losses->failure_count; i++) {
		const struct failure *failure = &losses->failures[i];

		if (failure->at <= write->invoked)
			continue;
		if (failure->node == write->tag)
			later(&window.own, failure->at);
		else if (losses_is_below(losses, (int)write->tag, (int)failure->node))
			later(&window.above, failure->at);
		if (failure->node == 0)
			later(&window.root, failure->at);
	}
	if (write->tag == 0) // it has nobody above
		window.above = window.own;
	return window;
}

static bool
may_be_undone(const struct window *window, const struct fate *fate)
{
	switch (fate->place) {
	case PLACE_NODE:
		return window->own > 0;
	case PLACE_PARENT:
		return window->own > 0 && window->above > 0;
	default:
		return window->own > 0 && window->root > 0;
	}
}

static bool
read_may_be_undone(const struct losses *losses, const struct window *window, const struct register_op *write,
		   const struct register_op *read)
{
	uint64_t last = window->own > window->above ? window->own : window->above;

	return read->invoked < last && (window->above > 0 || losses_is_below(losses, (int)read->tag, (int)write->tag));
}

static bool
is_undone(const struct losses *losses, const struct register_op *ops, const struct fate *fates, size_t count, size_t i)
{
	struct window window = window_find(losses, &ops[i]);

	if (fates[i].durable || !may_be_undone(&window, &fates[i]))
		return false;
	for (size_t k = 0; k < count; k++)
		if (!ops[k].write && ops[k].value == ops[i].value &&
		    !read_may_be_undone(losses, &window, &ops[i], &ops[k]))
			return false;
	return true;
}

size_t
losses_apply(const struct losses *losses, const struct register_op *ops, const struct fate *fates, size_t count,
	     struct register_op *ret)
{
	bool *undone = calloc(count + 1, sizeof *undone);
	size_t kept = 0;

	CHECK(undone != NULL);
	for (size_t i = 0; i < count && losses->failure_count > 0; i++) {
		if (!ops[i].write || !is_undone(losses, ops, fates, count, i))
			continue;
		for (size_t k = 0; k < count; k++)
			if (ops[k].value == ops[i].value)
				undone[k] = true;
	}
	for (size_t i = 0; i < count; i++)
		if (!undone[i])
			ret[kept++] = ops[i];
	free(undone);
	return kept;
}
