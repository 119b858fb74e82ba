// SPDX-License-Identifier: MIT
#include "core/memory.h"
#include "core/check.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

void
memory_wish_huge(void *start, size_t size)
{
	madvise(start, size, MADV_HUGEPAGE);
}

void *
memory_table(size_t size)
{
	void *start;

	if (size < MEMORY_HUGE_SIZE) {
		start = calloc(1, size);
		CHECK(start != NULL);
		return start;
	}
	size = (size + MEMORY_HUGE_SIZE - 1) & ~(size_t)(MEMORY_HUGE_SIZE - 1);
	start = aligned_alloc(MEMORY_HUGE_SIZE, size);
	CHECK(start != NULL);
	memory_wish_huge(start, size);
	memset(start, 0, size);
	return start;
}
