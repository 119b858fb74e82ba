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

uint64_t
directory_count(const struct dir_child *child)
{
	return child->blocks_read + child->blocks_write;
}

static void
count(struct directory *directory, struct dir_child *child, enum perm perm, int64_t by)
{
	bool had = directory_count(child) > 0;

	if (perm == PERM_READ)
		child->blocks_read += (uint64_t)by;
	else if (perm == PERM_WRITE)
		child->blocks_write += (uint64_t)by;
	if (perm != PERM_NO && child->absent)
		directory->absent += (uint64_t)by;
	if (had != (directory_count(child) > 0))
		directory->holders += had ? UINT32_MAX : 1;
}

void
directory_set_absent(struct directory *directory, struct dir_child *child, bool absent)
{
	if (child->absent == absent)
		return;
	child->absent = absent;
	directory->absent += absent ? directory_count(child) : -directory_count(child);
	directory->freed = true;
}

void
directory_set_recall(struct directory *directory, struct dir_child *child, struct dir_record *record, bool open)
{
	if (record->recall_open == open)
		return;
	record->recall_open = open;
	CHECK(open || (child->open_recalls > 0 && directory->open_recalls > 0));
	child->open_recalls += open ? 1 : UINT32_MAX;
	directory->open_recalls += open ? 1 : UINT64_MAX;
	directory->freed |= !open;
}

void
directory_set_revoked(struct dir_child *child, struct dir_record *record, bool revoked)
{
	if (record->revoked == revoked)
		return;
	record->revoked = revoked;
	CHECK(revoked || child->revoked > 0);
	child->revoked += revoked ? 1 : UINT64_MAX;
}

static struct dir_record *
record_get(const struct directory *directory, uint32_t index)
{
	return pool_get(&directory->records, index);
}

static void
child_unlink(struct directory *directory, struct dir_child *child, struct dir_record *record)
{
	if (record->child_prev != 0)
		record_get(directory, record->child_prev)->child_next = record->child_next;
	else
		child->head = record->child_next;
	if (record->child_next != 0)
		record_get(directory, record->child_next)->child_prev = record->child_prev;
	else
		child->tail = record->child_prev;
}

static void
child_link(struct directory *directory, struct dir_child *child, uint32_t index)
{
	struct dir_record *record = record_get(directory, index);

	record->child_prev = 0;
	record->child_next = child->head;
	if (child->head != 0)
		record_get(directory, child->head)->child_prev = index;
	else
		child->tail = index;
	child->head = index;
}

static uint32_t
record_index(const struct directory *directory, const struct dir_child *child, const struct dir_record *record)
{
	if (record->child_prev != 0)
		return record_get(directory, record->child_prev)->child_next;
	CHECK(record_get(directory, child->head) == record);
	return child->head;
}

void
directory_to_front(struct directory *directory, struct dir_child *child, struct dir_record *record)
{
	uint32_t index = record_index(directory, child, record);

	if (child->head == index)
		return;
	child_unlink(directory, child, record);
	child_link(directory, child, index);
}

void
directory_granted(struct directory *directory, struct dir_child *child, struct dir_record *record, uint64_t step)
{
	child->newest = record_index(directory, child, record);
	child->granted_in = directory->granted_in = step;
}

static void
record_remove(struct directory *directory, struct dir_child *child, struct entry *entry, struct dir_record *record)
{
	struct dir_record *before = NULL;
	uint32_t index = entry->dir;

	directory_set_recall(directory, child, record, false);
	directory_set_revoked(child, record, false);
	while (pool_get(&directory->records, index) != record) {
		before = pool_get(&directory->records, index);
		index = before->next;
	}
	if (before != NULL)
		before->next = record->next;
	else
		entry->dir = record->next & DIR_MAX;
	child_unlink(directory, child, record);
	if (child->newest == index)
		child->newest = 0;
	directory->beyond -= record->beyond;
	directory->freed = true;
	pool_free(&directory->records, index);
}

static struct dir_record *
record_add(struct directory *directory, struct dir_child *child, uint16_t child_index, struct entry *entry,
	   uint32_t entry_index)
{
	uint32_t index = pool_alloc(&directory->records);
	struct dir_record *record = pool_get(&directory->records, index);

	*record = (struct dir_record){.next = entry->dir, .entry = entry_index, .child = child_index};
	entry->dir = index & DIR_MAX;
	child_link(directory, child, index);
	return record;
}

struct dir_record *
directory_set(struct directory *directory, struct dir_child *child, uint16_t child_index, struct entry *entry,
	      uint32_t entry_index, enum perm perm)
{
	struct dir_record *record = directory_find(directory, entry, child_index);

	if (record != NULL)
		count(directory, child, record->perm, -1);
	count(directory, child, perm, 1);
	if (perm == PERM_NO) {
		if (record != NULL)
			record_remove(directory, child, entry, record);
		return NULL;
	}
	if (record == NULL)
		record = record_add(directory, child, child_index, entry, entry_index);
	record->perm = (uint8_t)perm;
	record->early = record->early && perm == PERM_WRITE;
	return record;
}

struct dir_record *
directory_writer(const struct directory *directory, const struct entry *entry)
{
	struct dir_record *record = directory_first(directory, entry);

	while (record != NULL && (record->perm != PERM_WRITE || record->revoked))
		record = directory_next(directory, record);
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
