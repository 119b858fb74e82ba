// SPDX-License-Identifier: MIT
#include "core/gaps.h"
#include "core/check.h"

#include <stdlib.h>
#define uthash_fatal(text) CHECK(false) // there is no memory
#include <uthash.h>

struct gap_known {
	UT_hash_handle hh; // in the order in which they were noted
	block_key key;
	struct gap gap;
};

static struct gap_known *
find(const struct core *core, block_key key)
{
	struct gap_known *known;

	HASH_FIND(hh, core->gaps, &key, sizeof(key), known);
	return known;
}

static void
forget(struct core *core, struct gap_known *known)
{
	HASH_DEL(core->gaps, known);
	free(known);
}

void
gaps_note(struct core *core, block_key key, struct gap gap)
{
	struct gap_known *known = find(core, key);

	if (gap.from >= gap.to || (known != NULL && known->gap.to >= gap.to))
		return;
	if (known != NULL)
		forget(core, known);
	else if (HASH_COUNT(core->gaps) >= LIMIT_GAPS)
		forget(core, core->gaps); // the oldest
	known = calloc(1, sizeof(*known));
	CHECK(known != NULL);
	known->key = key;
	known->gap = gap;
	HASH_ADD(hh, core->gaps, key, sizeof(known->key), known);
}

struct gap
gaps_below(const struct core *core, block_key key, version_t version)
{
	const struct gap_known *known = find(core, key);

	return known != NULL && known->gap.to <= version ? known->gap : (struct gap){0};
}

struct gap
gaps_told(const struct message *message)
{
	bool fits = message->count == 1 && message->items != NULL && message->gap.to <= message->items[0].version;

	return fits ? message->gap : (struct gap){0};
}

bool
gaps_have(const struct core *core, block_key key, version_t version)
{
	const struct gap_known *known = find(core, key);

	return known != NULL && known->gap.from < version && version < known->gap.to;
}

void
gaps_forget(struct core *core)
{
	while (core->gaps != NULL)
		forget(core, core->gaps);
}
