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

// Is node ${node} told of a loss at ${at} or later? Without a journal its death will do, which leaves nobody to be told.
static bool
is_told(const struct losses *losses, uint32_t node, uint64_t at, bool kept)
{
	for (size_t i = 0; i < losses->failure_count; i++) {
		const struct failure *later = &losses->failures[i];
		bool dies = later->kind == FAILURE_DEATH || later->kind == FAILURE_EVICTED;

		if ((later->kind == FAILURE || (dies && !kept)) && later->node == node && later->at >= at)
			return true;
	}
	return false;
}

// Nobody has been told that the write is done. What it has done by then may be with those above alone, if its author has left it to
// them (R13).
static bool
is_unfinished(const struct register_op *write)
{
	return write->returned == LINEARIZABLE_UNKNOWN;
}

static bool
is_about(const struct losses *losses, const struct failure *failure, const struct register_op *write, bool kept)
{
	bool own = failure->node == write->tag, holds = own || is_unfinished(write);

	switch (failure->kind) {
	case FAILURE:
		break;
	case FAILURE_IF_TOLD:
		return holds && is_told(losses, failure->node, failure->at, kept);
	case FAILURE_TOLD:
		return holds;
	case FAILURE_GONE:
		return !own || (kept && is_told(losses, failure->node, failure->at, kept));
	case FAILURE_DEATH:
		return !own || !kept;
	case FAILURE_EVICTED:
		return !own || !kept || is_told(losses, failure->node, failure->at, kept);
	}
	return true;
}

// The failures that a write has to do with: those after its beginning.
struct window {
	bool own, above, root; // one of its author, of an ancestor, of the root
	uint64_t first;        // the first of these
	uint64_t until;        // the last moment at which a lease may be older than one of them
};

static struct window
window_find(const struct losses *losses, const struct register_op *write, bool kept)
{
	struct window window = {.first = LINEARIZABLE_UNKNOWN};

	for (size_t i = 0; i < losses->failure_count; i++) {
		const struct failure *failure = &losses->failures[i];

		if (!is_about(losses, failure, write, kept))
			continue;
		if (!losses_is_below(losses, (int)write->tag, (int)failure->node))
			continue;
		// Written under a lease from before: the parent is cut off as its child is.
		if (failure->at <= write->invoked && failure->until > write->invoked && failure->node != write->tag)
			window.above = true;
		if (failure->at <= write->invoked)
			continue;
		window.own = window.own || failure->node == write->tag;
		window.above = window.above || failure->node != write->tag;
		window.root = window.root || failure->node == 0;
		window.first = failure->at < window.first ? failure->at : window.first;
		window.until = failure->until > window.until ? failure->until : window.until;
	}
	if (is_unfinished(write))
		window.own = window.own || window.above;
	if (write->tag == 0) // it has nobody above
		window.above = window.own;
	if (losses->trusted != NULL && !losses->trusted[write->tag])
		window.own = window.own || window.root;
	return window;
}

static bool
may_be_undone(const struct window *window, const struct fate *fate)
{
	switch (fate->place) {
	case PLACE_NODE:
		return window->own;
	case PLACE_PARENT:
		return window->own && window->above;
	default:
		return window->own && window->root;
	}
}

static bool
read_may_be_undone(const struct losses *losses, const struct window *window, const struct register_op *write,
		   const struct register_op *read)
{
	return read->invoked < window->until &&
	       (window->above || losses_is_below(losses, (int)read->tag, (int)write->tag));
}

// May ${read} have seen what was undone, and brought again?
static bool
may_be_back(const struct losses *losses, const struct window *window, const struct register_op *read)
{
	return losses->trusted != NULL && window->root && read->invoked >= window->until;
}

// When ${ops}[i], a write, may first be undone, and those who have read it before ${*ret_until} with it.
static uint64_t
undone_at(const struct losses *losses, const struct register_op *ops, const struct fate *fates, size_t count, size_t i,
	  uint64_t *ret_until)
{
	struct window window = window_find(losses, &ops[i], fates[i].kept);

	if (fates[i].durable || !may_be_undone(&window, &fates[i]))
		return LINEARIZABLE_UNKNOWN;
	for (size_t k = 0; k < count; k++)
		if (!ops[k].write && ops[k].value == ops[i].value &&
		    !read_may_be_undone(losses, &window, &ops[i], &ops[k]) && !may_be_back(losses, &window, &ops[k]))
			return LINEARIZABLE_UNKNOWN;
	*ret_until = losses->trusted != NULL && window.root ? window.until : LINEARIZABLE_UNKNOWN;
	return window.first;
}

void
losses_find(const struct losses *losses, const struct register_op *ops, const struct fate *fates, size_t count,
	    uint64_t *ret)
{
	for (size_t i = 0; i < count; i++)
		ret[i] = LINEARIZABLE_UNKNOWN;
	for (size_t i = 0; i < count && losses->failure_count > 0; i++) {
		uint64_t until = LINEARIZABLE_UNKNOWN;
		uint64_t at = ops[i].write ? undone_at(losses, ops, fates, count, i, &until) : LINEARIZABLE_UNKNOWN;

		for (size_t k = 0; k < count && at != LINEARIZABLE_UNKNOWN; k++)
			if (ops[k].value == ops[i].value && (ops[k].write || ops[k].invoked < until))
				ret[k] = at;
	}
}

size_t
losses_cut(const struct register_op *ops, const uint64_t *undone, size_t count, uint64_t moment,
	   struct register_op *ret)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		if (ops[i].invoked >= moment || undone[i] < moment || (!ops[i].write && ops[i].returned >= moment))
			continue;
		ret[kept] = ops[i];
		if (ret[kept].returned >= moment)
			ret[kept].returned = LINEARIZABLE_UNKNOWN;
		kept++;
	}
	return kept;
}
