// SPDX-License-Identifier: MIT
#include "tests/sim/heap.h"

#include "core/check.h"

#include <stdlib.h>

static bool
entry_before(const struct heap_entry *a, const struct heap_entry *b)
{
	return a->at != b->at ? a->at < b->at : a->sequence < b->sequence;
}

void
heap_push(struct heap *heap, moment_us at, void (*fn)(void *context, void *arg, uint64_t number), void *arg,
	  uint64_t number)
{
	struct heap_entry entry = {at, heap->sequence++, fn, arg, number};
	size_t i = heap->count++;

	if (heap->count > heap->size) {
		heap->size = heap->size ? heap->size * 2 : 256;
		heap->entries = realloc(heap->entries, heap->size * sizeof *heap->entries);
		CHECK(heap->entries != NULL);
	}
	for (; i > 0 && entry_before(&entry, &heap->entries[(i - 1) / 2]); i = (i - 1) / 2)
		heap->entries[i] = heap->entries[(i - 1) / 2];
	heap->entries[i] = entry;
}

bool
heap_pop(struct heap *heap, struct heap_entry *ret)
{
	struct heap_entry last;
	size_t i = 0;

	if (heap->count == 0)
		return false;
	*ret = heap->entries[0];
	last = heap->entries[--heap->count];
	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= heap->count)
			break;
		if (child + 1 < heap->count && entry_before(&heap->entries[child + 1], &heap->entries[child]))
			child++;
		if (!entry_before(&heap->entries[child], &last))
			break;
		heap->entries[i] = heap->entries[child];
		i = child;
	}
	heap->entries[i] = last;
	return true;
}

moment_us
heap_next(const struct heap *heap)
{
	return heap->count == 0 ? MOMENT_NEVER : heap->entries[0].at;
}

void
heap_fini(struct heap *heap)
{
	free(heap->entries);
	*heap = (struct heap){0};
}
