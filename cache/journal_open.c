// SPDX-License-Identifier: MIT
// What is found on the medium: all headers of records are looked for, page by page. The newest says from where on
// records count; of each block the newest bytes do. What is damaged is told, never used.
#include "cache/journal_internal.h"
#include "cache/sum.h"
#include "core/check.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { READ_PAGES = 256 };

struct opening {
	struct journal *journal;
	char *error;
	size_t error_size;
};

static int __attribute__((format(printf, 2, 3))) refuse(struct opening *opening, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(opening->error, opening->error_size, format, arguments);
	va_end(arguments);
	return -1;
}

static int
perform(struct opening *opening, bool write, uint64_t offset, uint8_t *bytes, size_t size)
{
	struct medium *medium = &opening->journal->medium;
	struct medium_io io = {.write = write, .offset = offset, .bytes = bytes, .size = size};
	int sys_errno = medium->ops->perform(medium->self, &io);

	if (sys_errno != 0)
		return refuse(opening, "can not be %s: %s", write ? "written" : "read", strerror(sys_errno));
	return 0;
}

static uint64_t
medium_size(const struct opening *opening)
{
	return opening->journal->medium.ops->size(opening->journal->medium.self);
}

// Zeros first: space that is only reserved costs a change of the file system with each first write. The superblock is
// last: what is cut short before is formatted again.
static int
format(struct opening *opening, uint64_t pages, uint8_t *bytes)
{
	struct journal *journal = opening->journal;
	uint64_t size = (pages + 1) * JOURNAL_PAGE;
	int sys_errno;

	if (size > medium_size(opening)) {
		sys_errno = journal->medium.ops->grow(journal->medium.self, size);
		if (sys_errno != 0)
			return refuse(opening, "has %" PRIu64 " bytes, and %" PRIu64 " are needed: %s; ask for less",
				      medium_size(opening), size, strerror(sys_errno));
	}
	memset(bytes, 0, (size_t)READ_PAGES * JOURNAL_PAGE);
	for (uint64_t page = 0; page < pages + 1; page += READ_PAGES) {
		uint64_t some = pages + 1 - page < READ_PAGES ? pages + 1 - page : READ_PAGES;

		if (perform(opening, true, page * JOURNAL_PAGE, bytes, some * JOURNAL_PAGE) != 0)
			return -1;
	}
	journal->superblock.pages = pages;
	journal->superblock.sealed = journal->hooks.sealed;
	randombytes_buf(journal->superblock.id, JOURNAL_ID_SIZE);
	journal_superblock_write(&journal->superblock, bytes);
	journal->sequence = journal->run = journal->tail_on_medium = 1;
	journal->empty_on_medium = true;
	return perform(opening, true, 0, bytes, JOURNAL_PAGE);
}

static int
compare_records(const void *a, const void *b)
{
	const struct journal_record *x = a, *y = b;

	return x->sequence < y->sequence ? -1 : x->sequence > y->sequence;
}

static void
record_keep(struct journal *journal, const struct journal_record *record)
{
	struct journal_record *grown;

	if ((journal->record_count & (journal->record_count - 1)) == 0) {
		size_t capacity = journal->record_count == 0 ? 1 : journal->record_count * 2;

		grown = realloc(journal->records, capacity * sizeof(*grown));
		CHECK(grown != NULL);
		journal->records = grown;
	}
	journal->records[journal->record_count++] = *record;
}

static int
find_records(struct opening *opening, uint8_t *bytes)
{
	struct journal *journal = opening->journal;
	uint64_t pages = journal->superblock.pages;
	struct journal_record record;

	for (uint64_t page = 0; page < pages; page += READ_PAGES) {
		uint64_t some = pages - page < READ_PAGES ? pages - page : READ_PAGES;

		if (perform(opening, false, journal_offset(page), bytes, some * JOURNAL_PAGE) != 0)
			return -1;
		for (uint64_t i = 0; i < some; i++)
			if (journal_record_read(&journal->superblock, page + i, bytes + i * JOURNAL_PAGE, &record))
				record_keep(journal, &record);
	}
	if (journal->record_count > 0)
		qsort(journal->records, journal->record_count, sizeof(*journal->records), compare_records);
	return 0;
}

static uint64_t
offset_of(const struct journal_record *record, uint32_t i)
{
	uint64_t offset = journal_offset(record->page) + JOURNAL_PAGE;

	while (i-- > 0)
		offset += journal_entry_room(record, &record->entries[i]);
	return offset;
}

// What entry ${i} has on the medium, to ${bytes}: whether it is what it should be.
static int
read_entry(struct opening *opening, const struct journal_record *record, uint32_t i, uint8_t *bytes, bool *ret_right)
{
	const struct journal_entry *entry = &record->entries[i];
	uint32_t room = journal_entry_room(record, entry);

	*ret_right = true;
	if (room == 0)
		return 0;
	if (perform(opening, false, offset_of(record, i), bytes, room) != 0)
		return -1;
	*ret_right = sum64(bytes, room, entry->version) == entry->sum;
	return 0;
}

static struct buf *
alloc(struct opening *opening, uint32_t size)
{
	const struct journal_hooks *hooks = &opening->journal->hooks;

	return buf_alloc(hooks->pool(hooks->arg, size));
}

// The block of a sealed volume that is in ${bytes}, as it is in memory; NULL: nobody who may write has written that.
static struct buf *
open_sealed(struct opening *opening, const struct journal_record *record, uint32_t i, const struct sealed_form *form,
	    uint8_t *bytes)
{
	const struct journal_entry *entry = &record->entries[i];
	struct sealed_block block = {.block = entry->block, .version = entry->version, .size = record->block_size};
	struct buf *buf = entry->size == 0 && form->makes_proofs ? buf_zero() : alloc(opening, record->block_size);

	block.bytes = buf != buf_zero() ? buf_bytes(buf) : NULL;
	block.sealed = entry->size > 0 ? bytes : NULL;
	if (sealed_tail_read(bytes + entry->size, &block) && form->ops->open(form->self, &block)) {
		sealed_give_proof(&block, buf);
		return buf;
	}
	buf_unref(buf);
	return NULL;
}

// The bytes of entry ${i}: *${ret_buf} is NULL if they are not what they should be; *${ret_forged}: though they have
// arrived.
static int
read_block(struct opening *opening, const struct journal_record *record, uint32_t i, const struct sealed_form *form,
	   struct buf **ret_buf, bool *ret_forged)
{
	struct buf *buf = NULL;
	uint8_t *bytes = opening->journal->bytes;
	bool is_right;

	*ret_buf = NULL;
	*ret_forged = false;
	if (form == NULL) {
		buf = record->entries[i].size > 0 ? alloc(opening, record->block_size) : buf_zero();
		bytes = buf_bytes(buf);
	}
	if (read_entry(opening, record, i, bytes, &is_right) != 0) {
		buf_unref(buf);
		return -1;
	}
	if (form != NULL && is_right) {
		*ret_buf = open_sealed(opening, record, i, form, bytes);
		*ret_forged = *ret_buf == NULL;
	} else if (is_right) {
		*ret_buf = buf;
	} else {
		buf_unref(buf);
	}
	return 0;
}

// The last one of a process.
static bool
may_be_torn(const struct journal *journal, const struct journal_record *record)
{
	return record == &journal->records[journal->record_count - 1] || record[1].run == record->sequence + 1;
}

static int
is_torn(struct opening *opening, const struct journal_record *record, bool *ret)
{
	bool is_right = true;

	for (uint32_t i = 0; may_be_torn(opening->journal, record) && i < record->count && is_right; i++)
		if (read_entry(opening, record, i, opening->journal->bytes, &is_right) != 0)
			return -1;
	*ret = !is_right;
	return 0;
}

// As the newest record says that is not torn: what a torn one says is about bytes of its own that may not be there, and
// it was not reported as done.
static int
find_tail(struct opening *opening, uint64_t *ret_tail)
{
	struct journal *journal = opening->journal;
	bool torn;

	for (size_t i = journal->record_count; i-- > 0;) {
		if (is_torn(opening, &journal->records[i], &torn) != 0)
			return -1;
		*ret_tail = journal->records[i].tail;
		if (!torn)
			return 0;
		journal->stats.torn |= i == journal->record_count - 1;
	}
	*ret_tail = journal->records[0].sequence;
	return 0;
}

// Only the records from the tail on count.
static int
cut_records(struct opening *opening)
{
	struct journal *journal = opening->journal;
	size_t old = 0;
	uint64_t tail;

	if (journal->record_count == 0)
		return 0;
	if (find_tail(opening, &tail) != 0)
		return -1;
	while (journal->records[old].sequence < tail)
		old++;
	journal->record_count -= old;
	memmove(journal->records, journal->records + old, journal->record_count * sizeof(*journal->records));
	journal->hold = journal->tail_on_medium = tail;
	return 0;
}

static void
take_places(struct journal *journal)
{
	struct journal_record *last;
	uint64_t sequence;

	if (journal->record_count == 0) {
		journal->sequence = journal->tail_on_medium = 1;
		return;
	}
	last = &journal->records[journal->record_count - 1];
	sequence = journal->tail_on_medium;
	for (size_t i = 0; i < journal->record_count; i++, sequence++) {
		for (; sequence < journal->records[i].sequence; sequence++) {
			const struct journal_record missing = {.sequence = sequence, .page = journal->records[i].page};

			journal->stats.damaged++;
			journal_place_add(journal, &missing)->pages = 0;
		}
		journal_place_add(journal, &journal->records[i]);
	}
	journal->sequence = last->sequence + 1;
	journal->head = last->page + journal_record_pages(last);
}

// An entry of a record, to be sorted by block, the newest first.
struct candidate {
	const struct journal_record *record;
	uint32_t entry;
};

static int
compare_blocks(const struct candidate *x, const struct candidate *y)
{
	uint64_t a = x->record->entries[x->entry].block, b = y->record->entries[y->entry].block;
	int names = strcmp(x->record->volume, y->record->volume);

	return names != 0 ? names : a < b ? -1 : a > b;
}

static int
compare_candidates(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;
	int blocks = compare_blocks(x, y);

	if (blocks != 0)
		return blocks;
	return x->record->sequence > y->record->sequence ? -1 : x->record->sequence < y->record->sequence;
}

static struct candidate *
list_candidates(const struct journal *journal, size_t *ret_count)
{
	struct candidate *list;
	size_t count = 0;

	for (size_t i = 0; i < journal->record_count; i++)
		count += journal->records[i].count;
	list = calloc(count + 1, sizeof(*list));
	CHECK(list != NULL);
	*ret_count = count;
	count = 0;
	for (size_t i = 0; i < journal->record_count; i++)
		for (uint32_t n = 0; n < journal->records[i].count; n++)
			list[count++] = (struct candidate){.record = &journal->records[i], .entry = n};
	qsort(list, count, sizeof(*list), compare_candidates);
	return list;
}

// How the blocks of ${record} are on the medium, now and then: *${ret_form}, NULL if it is not sealed. It has some that are
// needed: so it is not for us to say that they are lost if the keys are not there.
static int
find_form(struct opening *opening, const struct journal_record *record, const struct sealed_form **ret_form)
{
	const struct journal_hooks *hooks = &opening->journal->hooks;
	const struct sealed_form *form = hooks->form != NULL ? hooks->form(hooks->arg, record->volume) : NULL;

	*ret_form = form;
	if (!journal_record_is_sealed(record) && form != NULL)
		return refuse(opening,
			      "has bytes of %s from before it was sealed, that are not at its root yet; start once "
			      "without its key, or, if they are not needed, remove the file",
			      record->volume);
	if (journal_record_is_sealed(record) && (form == NULL || memcmp(form->id, record->key, sizeof(form->id)) != 0))
		return refuse(opening,
			      "has sealed bytes of %s that are not at its root yet; give --volume %s, --parent and the "
			      "key with which they were sealed, or, if they are not needed, remove the file",
			      record->volume, record->volume);
	return 0;
}

// ${count} entries about one block: the newest whose bytes are right counts.
static int
take_newest(struct opening *opening, const struct candidate *list, size_t count)
{
	struct journal *journal = opening->journal;

	for (size_t i = 0; i < count; i++) {
		const struct journal_record *record = list[i].record;
		const struct sealed_form *form;
		bool forged;
		struct journal_leftover *leftover = &journal->leftovers[journal->leftover_count];

		*leftover = (struct journal_leftover){.record = (uint32_t)(record - journal->records)};
		leftover->entry = record->entries[list[i].entry];
		if (leftover->entry.forgotten)
			return 0;
		if (find_form(opening, record, &form) != 0 ||
		    read_block(opening, record, list[i].entry, form, &leftover->buf, &forged) != 0)
			return -1;
		if (leftover->buf != NULL) {
			journal->leftover_count++;
			return 0;
		}
		journal->stats.damaged += forged || !may_be_torn(journal, record);
	}
	return 0;
}

static int
take_leftovers(struct opening *opening)
{
	struct journal *journal = opening->journal;
	size_t count, next;
	struct candidate *list = list_candidates(journal, &count);
	int rc = 0;

	journal->leftovers = calloc(count + 1, sizeof(*journal->leftovers));
	CHECK(journal->leftovers != NULL);
	for (size_t i = 0; i < count && rc == 0; i = next) {
		for (next = i + 1; next < count && compare_blocks(&list[i], &list[next]) == 0; next++)
			;
		rc = take_newest(opening, &list[i], next - i);
	}
	free(list);
	journal->stats.found = journal->leftover_count;
	journal->empty_on_medium = journal->leftover_count == 0;
	return rc;
}

static int
check_empty(struct opening *opening, enum journal_superblock_found found)
{
	switch (found) {
	case JOURNAL_NOTHING:
		return 0;
	case JOURNAL_OTHER_VERSION:
		return refuse(opening,
			      "is a journal of another version of hvfs; start that one with it, or remove it: what was "
			      "not at the root yet is lost then");
	case JOURNAL_DAMAGED:
		return refuse(
			opening,
			"is a journal of hvfs whose beginning is damaged; remove it, and it is made anew: what was not "
			"at the root yet is lost then");
	default:
		return refuse(
			opening,
			"has something else in it; give another path, or, if nobody needs what is there, remove it (of "
			"a device: overwrite its first 4 KiB with zeros)");
	}
}

// Records of sealed volumes may come to a journal that was made without.
static int
allow_sealed(struct opening *opening, uint8_t *bytes)
{
	struct journal *journal = opening->journal;

	if (!journal->hooks.sealed || journal->superblock.sealed)
		return 0;
	journal->superblock.sealed = true;
	journal_superblock_write(&journal->superblock, bytes);
	return perform(opening, true, 0, bytes, JOURNAL_PAGE);
}

static int
take_over(struct opening *opening, uint64_t pages)
{
	struct journal *journal = opening->journal;
	uint8_t *bytes = aligned_alloc(JOURNAL_PAGE, (size_t)READ_PAGES * JOURNAL_PAGE);
	enum journal_superblock_found found = JOURNAL_NOTHING;
	int rc = 0;

	CHECK(bytes != NULL);
	if (medium_size(opening) >= JOURNAL_PAGE)
		rc = perform(opening, false, 0, bytes, JOURNAL_PAGE);
	else if (medium_size(opening) > 0)
		found = JOURNAL_FOREIGN;
	if (rc == 0 && medium_size(opening) >= JOURNAL_PAGE)
		found = journal_superblock_read(bytes, &journal->superblock);
	if (rc == 0 && found != JOURNAL_OURS) {
		rc = check_empty(opening, found);
		if (rc == 0)
			rc = format(opening, pages, bytes);
	} else if (rc == 0 && journal_offset(journal->superblock.pages) > medium_size(opening)) {
		rc = refuse(opening,
			    "is a journal of hvfs that was cut: it has %" PRIu64 " of %" PRIu64
			    " bytes; remove it, and it is made anew: what was not at the root yet is lost then",
			    medium_size(opening), journal_offset(journal->superblock.pages));
	} else if (rc == 0) {
		rc = find_records(opening, bytes);
		rc = rc == 0 ? cut_records(opening) : rc;
		if (rc == 0) {
			take_places(journal);
			journal->run = journal->sequence;
			rc = take_leftovers(opening);
		}
		rc = rc == 0 ? allow_sealed(opening, bytes) : rc;
		// Of another size, with nothing in it: made anew.
		if (rc == 0 && journal->leftover_count == 0 && journal->superblock.pages != pages) {
			while (journal->place_count > 0)
				free(journal->places[--journal->place_count]);
			journal->head = journal->hold = 0;
			rc = format(opening, pages, bytes);
		}
	}
	free(bytes);
	return rc;
}

struct journal *
journal_open(const struct medium *medium, uint64_t size, const struct journal_hooks *hooks, char *error, size_t error_size)
{
	struct journal *journal = calloc(1, sizeof(*journal));
	struct opening opening = {.journal = journal, .error = error, .error_size = error_size};
	const size_t blocks = (size_t)JOURNAL_RECORD_BLOCKS * (LIMIT_BLOCK_SIZE_MAX + SEALED_TAIL_SIZE);
	const size_t bytes = JOURNAL_PAGE + (blocks + JOURNAL_PAGE - 1) / JOURNAL_PAGE * JOURNAL_PAGE;

	CHECK(journal != NULL && size >= 16 * JOURNAL_PAGE);
	journal->medium = *medium;
	journal->hooks = *hooks;
	pool_init(&journal->blocks, sizeof(struct journal_block));
	journal->bytes = aligned_alloc(JOURNAL_PAGE, bytes);
	journal->sealing = hooks->sealed ? calloc(JOURNAL_RECORD_BLOCKS, sizeof(*journal->sealing)) : NULL;
	CHECK(journal->bytes != NULL && (journal->sealing != NULL || !hooks->sealed));
	if (take_over(&opening, size / JOURNAL_PAGE - 1) == 0)
		return journal;
	journal_close(journal);
	return NULL;
}

bool
journal_found(const struct journal *journal, size_t i, struct journal_found *ret)
{
	const struct journal_leftover *leftover = &journal->leftovers[i];

	if (i >= journal->leftover_count)
		return false;
	*ret = (struct journal_found){
		.volume = journal->records[leftover->record].volume,
		.block = leftover->entry.block,
		.version = leftover->entry.version,
		.block_size = journal->records[leftover->record].block_size,
		.buf = leftover->buf,
	};
	return true;
}

// The newest one: earlier names of his may have been evicted since, when nothing was held under them any more.
bool
journal_found_author(const struct journal *journal, const char *volume, struct author *ret)
{
	for (size_t i = journal->record_count; i-- > 0;) {
		const struct journal_record *record = &journal->records[i];

		if (strcmp(record->volume, volume) != 0)
			continue;
		*ret = record->author;
		return true;
	}
	return false;
}
