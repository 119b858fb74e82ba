// SPDX-License-Identifier: MIT
#include "node/raised.h"

#include "core/check.h"

#include <stdlib.h>
#include <uthash.h>

enum { RAISED_MAX = 65536 };

struct one {
	uint64_t block;
	UT_hash_handle hh;
};

struct raised {
	struct one *blocks;
	bool all;
};

struct raised *
raised_create(void)
{
	struct raised *raised = calloc(1, sizeof(*raised));

	CHECK(raised != NULL);
	return raised;
}

static void
drop(struct raised *raised)
{
	struct one *one, *next;

	HASH_ITER (hh, raised->blocks, one, next)
	{
		HASH_DEL(raised->blocks, one);
		free(one);
	}
}

void
raised_destroy(struct raised *raised)
{
	if (raised == NULL)
		return;
	drop(raised);
	free(raised);
}

static struct one *
find(const struct raised *raised, uint64_t block)
{
	struct one *one;

	HASH_FIND(hh, raised->blocks, &block, sizeof(block), one);
	return one;
}

static void
set(struct raised *raised, uint64_t block, bool is_raised)
{
	struct one *one = find(raised, block);

	if (raised->all || is_raised == (one != NULL))
		return;
	if (!is_raised) {
		HASH_DEL(raised->blocks, one);
		free(one);
		return;
	}
	if (HASH_COUNT(raised->blocks) == RAISED_MAX) {
		raised->all = true;
		drop(raised);
		return;
	}
	one = calloc(1, sizeof(*one));
	CHECK(one != NULL);
	one->block = block;
	HASH_ADD(hh, raised->blocks, block, sizeof(one->block), one);
}

void
raised_came(struct raised *raised, uint64_t block, version_t sealed, version_t version)
{
	if (sealed != version)
		set(raised, block, true);
}

void
raised_stored(struct raised *raised, uint64_t block, version_t sealed, version_t version)
{
	set(raised, block, sealed != version);
}

bool
raised_has(const struct raised *raised, uint64_t block)
{
	return raised->all || find(raised, block) != NULL;
}
