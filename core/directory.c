// SPDX-License-Identifier: MIT
#include "core/directory.h"
#include "core/check.h"

void
directory_init(struct directory *directory)
{
	pool_init(&directory->records, sizeof(struct dir_record));
}

void
directory_fini(struct directory *directory)
{
	pool_fini(&directory->records);
}

struct dir_record *
directory_first(const struct directory *directory, const struct entry *entry)
{
	return pool_get(&directory->records, entry->dir);
}

struct dir_record *
directory_next(const struct directory *directory, const struct dir_record *record)
{
	return pool_get(&directory->records, record->next);
}

struct dir_record *
directory_find(const struct directory *directory, const struct entry *entry, uint16_t child)
{
	struct dir_record *record = directory_first(directory, entry);

	while (record != NULL && record->child != child)
		record = directory_next(directory, record);
	return record;
}

static void
count(struct dir_child *child, enum perm perm, int64_t by)
{
	if (perm == PERM_READ)
		child->blocks_read += (uint64_t)by;
	else if (perm == PERM_WRITE)
		child->blocks_write += (uint64_t)by;
}

void
directory_set_recall(struct dir_child *child, struct dir_record *record, bool open)
{
	if (record->recall_open == open)
		return;
	record->recall_open = open;
	if (open) {
		child->open_recalls++;
	} else {
		CHECK(child->open_recalls > 0);
		child->open_recalls--;
	}
}

static void
record_remove(struct directory *directory, struct dir_child *child, struct entry *entry, struct dir_record *record)
{
	uint32_t *link = &entry->dir;
	uint32_t index;

	directory_set_recall(child, record, false);

	while (pool_get(&directory->records, *link) != record)
		link = &((struct dir_record *)pool_get(&directory->records, *link))->next;
	index = *link;
	*link = record->next;
	if (record->child_prev != 0)
		((struct dir_record *)pool_get(&directory->records, record->child_prev))->child_next =
			record->child_next;
	else
		child->head = record->child_next;
	if (record->child_next != 0)
		((struct dir_record *)pool_get(&directory->records, record->child_next))->child_prev =
			record->child_prev;
	pool_free(&directory->records, index);
}

static struct dir_record *
record_add(struct directory *directory, struct dir_child *child, uint16_t child_index, struct entry *entry,
	   uint32_t entry_index)
{
	uint32_t index = pool_alloc(&directory->records);
	struct dir_record *record = pool_get(&directory->records, index);

	*record = (struct dir_record){
		.next = entry->dir, .entry = entry_index, .child = child_index, .child_next = child->head};
	entry->dir = index;
	if (child->head != 0)
		((struct dir_record *)pool_get(&directory->records, child->head))->child_prev = index;
	child->head = index;
	return record;
}

struct dir_record *
directory_set(struct directory *directory, struct dir_child *child, uint16_t child_index, struct entry *entry,
	      uint32_t entry_index, enum perm perm)
{
	struct dir_record *record = directory_find(directory, entry, child_index);

	if (record != NULL)
		count(child, record->perm, -1);
	count(child, perm, 1);
	if (perm == PERM_NO) {
		if (record != NULL)
			record_remove(directory, child, entry, record);
		return NULL;
	}
	if (record == NULL)
		record = record_add(directory, child, child_index, entry, entry_index);
	record->perm = (uint8_t)perm;
	return record;
}

enum perm
directory_max(const struct directory *directory, const struct entry *entry, int except)
{
	enum perm max = PERM_NO;

	for (struct dir_record *r = directory_first(directory, entry); r != NULL; r = directory_next(directory, r))
		if (r->child != except && r->perm > max)
			max = r->perm;
	return max;
}
