// SPDX-License-Identifier: MIT
#include "crypto/wiping_json.h"

#include <sodium.h>
#include <stddef.h>
#include <stdlib.h>

// In front of each piece: how much is to be wiped.
union head {
	size_t size;
	max_align_t align;
};

static void *
head_malloc(size_t size)
{
	union head *head = size <= SIZE_MAX - sizeof(*head) ? malloc(sizeof(*head) + size) : NULL;

	if (head == NULL)
		return NULL;
	head->size = size;
	return head + 1;
}

static void
head_free(void *piece)
{
	union head *head = piece != NULL ? (union head *)piece - 1 : NULL;

	if (head == NULL)
		return;
	sodium_memzero(piece, head->size);
	free(head);
}

void
wiping_json_begin(struct wiping_json *before)
{
	json_get_alloc_funcs(&before->malloc, &before->free);
	json_set_alloc_funcs(head_malloc, head_free);
}

void
wiping_json_end(const struct wiping_json *before)
{
	json_set_alloc_funcs(before->malloc, before->free);
}
