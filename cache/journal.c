// SPDX-License-Identifier: MIT
// Records are written one after the other, each durably before the next: so after a crash only the last one may be
// torn, and it was not reported as done. A record says from which sequence on records count (the tail); places of older
// ones are used again only once that is on the medium. What is live in the oldest records is written again before the
// ring is full.
#include "cache/hash.h"
#include "cache/journal_internal.h"
#include "cache/sum.h"
#include "core/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct journal_block *
block_at(const struct journal *journal, uint32_t index)
{
	return pool_get(&journal->blocks, index);
}

// ---- the index ----

static uint32_t *
bucket_of(struct journal *journal, block_key key)
{
	return &journal->buckets[hash_mix(key) % JOURNAL_BUCKETS];
}

static uint32_t
find(struct journal *journal, block_key key)
{
	uint32_t index = *bucket_of(journal, key);

	while (index != 0 && block_at(journal, index)->key != key)
		index = block_at(journal, index)->next;
	return index;
}

static void
unlink_block(struct journal *journal, uint32_t index)
{
	struct journal_block *block = block_at(journal, index);
	uint32_t *link = bucket_of(journal, block->key);

	while (*link != index)
		link = &block_at(journal, *link)->next;
	*link = block->next;
	journal->counts[block_key_volume(block->key)]--;
	journal->stats.blocks--;
}

static void
pend(struct journal *journal, uint32_t index, uint64_t number)
{
	struct journal_block *block = block_at(journal, index);

	block->number = number;
	if (block->pending)
		return;
	block->pending = true;
	block->next_pending = 0;
	if (journal->pending_tail != 0)
		block_at(journal, journal->pending_tail)->next_pending = index;
	else
		journal->pending_head = index;
	journal->pending_tail = index;
	journal->pending_count++;
}

static struct journal_place *
place_of(const struct journal *journal, uint64_t sequence)
{
	uint64_t first = journal->place_count > 0 ? journal->places[0]->sequence : 0;

	return sequence >= first && sequence - first < journal->place_count ? journal->places[sequence - first] : NULL;
}

// What a record has of the block is not its newest bytes any more.
static void
leave_record(struct journal *journal, struct journal_block *block)
{
	struct journal_place *place = place_of(journal, block->sequence);

	if (place != NULL)
		place->live--;
	block->sequence = 0;
}

// The number of the last put before the first that waits.
static uint64_t
point_reached(const struct journal *journal)
{
	for (uint32_t i = journal->pending_head; i != 0; i = block_at(journal, i)->next_pending)
		if (!block_at(journal, i)->gone && block_at(journal, i)->number != 0)
			return block_at(journal, i)->number - 1;
	return journal->puts;
}

void
journal_put(struct journal *journal, block_key key, version_t version, struct buf *buf, uint32_t block_size)
{
	uint32_t index = find(journal, key), volume = block_key_volume(key);
	struct journal_block *block;
	uint64_t number;

	CHECK(volume < LIMIT_VOLUMES && journal->names[volume][0] != '\0');
	journal->block_sizes[volume] = block_size;
	if (index == 0) {
		index = pool_alloc(&journal->blocks);
		block = block_at(journal, index);
		block->key = key;
		block->next = *bucket_of(journal, key);
		*bucket_of(journal, key) = index;
		journal->counts[volume]++;
		journal->stats.blocks++;
	}
	block = block_at(journal, index);
	buf_ref(buf);
	buf_unref(block->buf);
	block->buf = buf;
	block->version = version;
	// One that waits has its place in the row, which is in the order of numbers: at most the next one's.
	number = point_reached(journal) + 1;
	journal->puts++;
	if (block->pending && block->number != 0)
		number = block->number;
	else if (!block->pending)
		number = journal->puts;
	pend(journal, index, number);
}

void
journal_forget(struct journal *journal, block_key key)
{
	uint32_t index = find(journal, key);
	struct journal_block *block;

	if (index == 0)
		return;
	block = block_at(journal, index);
	unlink_block(journal, index);
	if ((block->sequence != 0 || journal->hold != 0) && journal->forgotten_count < JOURNAL_FORGOTTEN_MAX)
		journal->forgotten[journal->forgotten_count++] = key;
	leave_record(journal, block);
	buf_unref(block->buf);
	block->buf = NULL;
	block->gone = true;
	if (!block->pending)
		pool_free(&journal->blocks, index);
}

// ---- the ring ----

struct journal_place *
journal_place_add(struct journal *journal, const struct journal_record *record)
{
	struct journal_place *place = calloc(1, sizeof(*place));

	if (journal->place_count == journal->place_capacity) {
		journal->place_capacity = journal->place_capacity == 0 ? 64 : journal->place_capacity * 2;
		journal->places = realloc(journal->places, journal->place_capacity * sizeof(struct journal_place *));
		CHECK(journal->places != NULL);
	}
	CHECK(place != NULL);
	*place = (struct journal_place){
		.sequence = record->sequence, .page = record->page, .pages = journal_record_pages(record)};
	journal->places[journal->place_count++] = place;
	return place;
}

static void
free_places(struct journal *journal)
{
	size_t gone = 0;

	while (gone < journal->place_count && journal->places[gone]->sequence < journal->tail_on_medium)
		free(journal->places[gone++]);
	journal->place_count -= gone;
	memmove(journal->places, journal->places + gone, journal->place_count * sizeof(struct journal_place *));
}

// The first record that counts.
static uint64_t
tail(const struct journal *journal)
{
	if (journal->hold != 0)
		return journal->hold;
	for (size_t i = 0; i < journal->place_count; i++)
		if (journal->places[i]->live > 0)
			return journal->places[i]->sequence;
	return journal->sequence;
}

// Where ${pages} can go; false: nowhere.
static bool
room_for(const struct journal *journal, uint64_t pages, uint64_t *ret_page)
{
	uint64_t size = journal->superblock.pages, first = journal->place_count > 0 ? journal->places[0]->page : 0;
	uint64_t end = journal->place_count > 0 && journal->head <= first ? first : size;

	*ret_page = journal->head;
	if (journal->head + pages <= end)
		return true;
	*ret_page = 0;
	if (journal->place_count == 0)
		return pages <= size;
	return journal->head > first && pages <= first;
}

static uint64_t
pages_used(const struct journal *journal)
{
	uint64_t first;

	if (journal->place_count == 0)
		return 0;
	first = journal->places[0]->page;
	return journal->head > first ? journal->head - first : journal->head + journal->superblock.pages - first;
}

// When three quarters are used, what is live in the oldest record that has something is written again,
// with what is to be written anyway.
static void
move_oldest(struct journal *journal)
{
	struct journal_place *place = place_of(journal, tail(journal));

	if (journal->hold != 0 || place == NULL || pages_used(journal) < journal->superblock.pages / 4 * 3 ||
	    point_reached(journal) == journal->puts)
		return;
	for (uint32_t i = 0; i < place->count; i++) {
		uint32_t index = place->blocks[i];

		if (pool_is_used(&journal->blocks, index) && block_at(journal, index)->sequence == place->sequence &&
		    !block_at(journal, index)->pending)
			pend(journal, index, 0);
	}
}

// ---- records ----

static void
drop_gone(struct journal *journal)
{
	while (journal->pending_head != 0 && block_at(journal, journal->pending_head)->gone) {
		uint32_t index = journal->pending_head;

		journal->pending_head = block_at(journal, index)->next_pending;
		journal->pending_count--;
		pool_free(&journal->blocks, index);
	}
	if (journal->pending_head == 0)
		journal->pending_tail = 0;
}

// Nothing of what is on the medium is needed any more: in whose name is that to be said?
static uint32_t
volume_to_say_so(const struct journal *journal)
{
	if (journal->stats.blocks > 0 || journal->hold != 0 || journal->empty_on_medium)
		return LIMIT_VOLUMES;
	for (uint32_t i = 0; i < LIMIT_VOLUMES; i++)
		if (journal->authors[i].node_id != 0 && journal->block_sizes[i] != 0)
			return i;
	return LIMIT_VOLUMES;
}

static uint32_t
volume_that_is_due(const struct journal *journal)
{
	for (uint32_t i = journal->pending_head; i != 0; i = block_at(journal, i)->next_pending)
		if (!block_at(journal, i)->gone && block_at(journal, i)->number != 0)
			return block_key_volume(block_at(journal, i)->key);
	for (uint32_t i = 0; i < LIMIT_VOLUMES; i++)
		if (journal->author_due[i])
			return i;
	return volume_to_say_so(journal);
}

// What a block of ${volume} takes of a record.
static uint32_t
room_of_block(const struct journal *journal, uint32_t volume)
{
	return journal->block_sizes[volume] + (journal->forms[volume] != NULL ? SEALED_TAIL_SIZE : 0);
}

// No more than half of the ring is live, or there would be no room to move it to.
static bool
is_full(const struct journal *journal)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < LIMIT_VOLUMES; i++)
		bytes += journal->counts[i] * room_of_block(journal, i);
	return bytes > journal->superblock.pages / 2 * JOURNAL_PAGE;
}

// How many of ${volume}'s blocks that wait a record may have, and where it goes; false: there is no room even for none.
static bool
measure(const struct journal *journal, uint32_t volume, uint32_t *ret_count, uint64_t *ret_page)
{
	uint32_t count = 0, size = room_of_block(journal, volume);

	for (uint32_t i = journal->pending_head; i != 0 && count < JOURNAL_RECORD_BLOCKS;
	     i = block_at(journal, i)->next_pending)
		count += !block_at(journal, i)->gone && block_key_volume(block_at(journal, i)->key) == volume;
	for (; count > 0 && !is_full(journal); count /= 2) {
		uint64_t pages = 1 + ((uint64_t)count * size + JOURNAL_PAGE - 1) / JOURNAL_PAGE;

		if (room_for(journal, pages + JOURNAL_RESERVE, ret_page)) {
			*ret_count = count;
			return true;
		}
	}
	*ret_count = 0;
	return room_for(journal, 1, ret_page);
}

// The record gets its bytes, and the sum, on the thread that writes it.
static void
add_sealed(struct journal *journal, struct journal_block *block, const struct journal_entry *entry, uint64_t at)
{
	struct sealed_block *sealed = &journal->sealing[journal->sealing_count];
	bool has_bytes = entry->size > 0;

	*sealed = (struct sealed_block){
		.block = entry->block,
		.version = entry->version,
		.size = journal->record.block_size,
		.bytes = has_bytes ? buf_bytes(block->buf) : NULL,
		.sealed = has_bytes ? journal->bytes + at : NULL,
	};
	sealed_take_proof(sealed, block->buf);
	journal->sealing_bufs[journal->sealing_count++] = buf_ref(block->buf);
}

static void
add_block(struct journal *journal, struct journal_place *place, uint32_t index, uint64_t *at)
{
	struct journal_block *block = block_at(journal, index);
	struct journal_entry *entry = &journal->record.entries[journal->record.count++];

	*entry = (struct journal_entry){.block = block_key_block(block->key), .version = block->version};
	entry->size = (uint32_t)buf_size(block->buf);
	if (journal->sealing_form != NULL) {
		add_sealed(journal, block, entry, *at);
		*at += journal_entry_room(&journal->record, entry);
	} else if (entry->size > 0) {
		memcpy(journal->bytes + *at, buf_bytes(block->buf), entry->size);
		entry->sum = sum64(journal->bytes + *at, entry->size, block->version);
		*at += entry->size;
	}
	leave_record(journal, block);
	block->pending = false;
	block->sequence = place->sequence;
	place->blocks[place->count++] = index;
	place->live++;
}

// Takes the first ${count} of ${volume} from those that wait.
static void
add_blocks(struct journal *journal, struct journal_place *place, uint32_t volume, uint32_t count, uint64_t *at)
{
	uint32_t *link = &journal->pending_head, last = 0;

	while (*link != 0) {
		uint32_t index = *link;
		struct journal_block *block = block_at(journal, index);

		if (block->gone || (count > 0 && block_key_volume(block->key) == volume)) {
			*link = block->next_pending;
			journal->pending_count--;
			if (block->gone) {
				pool_free(&journal->blocks, index);
				continue;
			}
			count--;
			add_block(journal, place, index, at);
			continue;
		}
		last = index;
		link = &block->next_pending;
	}
	journal->pending_tail = last;
}

static void
add_forgotten(struct journal *journal, uint32_t volume)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < journal->forgotten_count; i++) {
		block_key key = journal->forgotten[i];

		if (block_key_volume(key) != volume || journal->record.count == JOURNAL_RECORD_BLOCKS)
			journal->forgotten[kept++] = key;
		else if (find(journal, key) == 0) // else it has been put again
			journal->record.entries[journal->record.count++] =
				(struct journal_entry){.block = block_key_block(key), .forgotten = true};
	}
	journal->forgotten_count = kept;
}

bool
journal_take(struct journal *journal, uint64_t *ret_offset, const uint8_t **ret_bytes, size_t *ret_size)
{
	uint32_t volume, count;
	uint64_t page, at = JOURNAL_PAGE;
	struct journal_place *place;
	struct journal_record *record = &journal->record;

	if (journal->running || journal->stats.sys_errno != 0)
		return false;
	drop_gone(journal);
	if (journal->hold_until != 0 && point_reached(journal) >= journal->hold_until)
		journal->hold = journal->hold_until = 0;
	move_oldest(journal);
	volume = volume_that_is_due(journal);
	if (volume == LIMIT_VOLUMES || !measure(journal, volume, &count, &page))
		return false;
	if (count == 0 && tail(journal) <= journal->tail_on_medium &&
	    !(journal->author_due[volume] && room_for(journal, 2, &page)))
		return false; // it would not make room, for which the last page is kept
	*record = (struct journal_record){.sequence = journal->sequence++, .page = page, .run = journal->run};
	record->block_size = journal->block_sizes[volume];
	record->author = journal->authors[volume];
	memcpy(record->volume, journal->names[volume], sizeof(record->volume));
	journal->sealing_form = journal->forms[volume];
	if (journal->sealing_form != NULL)
		memcpy(record->key, journal->sealing_form->id, sizeof(record->key));
	place = journal_place_add(journal, record);
	add_blocks(journal, place, volume, count, &at);
	journal->record_is_empty = record->count == 0;
	add_forgotten(journal, volume);
	place->pages = journal_record_pages(record);
	record->tail = tail(journal) < record->sequence ? tail(journal) : record->sequence;
	journal->record_is_empty = journal->record_is_empty && record->tail == record->sequence;
	journal->author_due[volume] = false;
	journal_record_write(&journal->superblock, record, journal->bytes);
	*ret_size = place->pages * JOURNAL_PAGE;
	memset(journal->bytes + at, 0, *ret_size - at);
	*ret_offset = journal_offset(page);
	*ret_bytes = journal->bytes;
	journal->head = page + place->pages;
	journal->running = true;
	journal->running_point = point_reached(journal);
	return true;
}

int
journal_seal(struct journal *journal)
{
	const struct sealed_form *form = journal->sealing_form;
	uint8_t *bytes = journal->bytes + JOURNAL_PAGE;

	CHECK(journal->running);
	if (form == NULL)
		return 0;
	if (journal->sealing_count > 0 && !form->ops->seal(form->self, journal->sealing, journal->sealing_count))
		return ENOKEY;
	for (uint32_t i = 0; i < journal->sealing_count; i++) {
		struct journal_entry *entry = &journal->record.entries[i];
		uint32_t room = journal_entry_room(&journal->record, entry);

		sealed_tail_write(&journal->sealing[i], bytes + entry->size);
		entry->sum = sum64(bytes, room, entry->version);
		bytes += room;
	}
	journal_record_write(&journal->superblock, &journal->record, journal->bytes);
	return 0;
}

// What is in memory keeps the proofs that were made: a parent is sent the same.
static void
end_sealing(struct journal *journal, bool keep_proofs)
{
	for (uint32_t i = 0; i < journal->sealing_count; i++) {
		if (keep_proofs)
			sealed_give_proof(&journal->sealing[i], journal->sealing_bufs[i]);
		buf_unref(journal->sealing_bufs[i]);
	}
	journal->sealing_count = 0;
	journal->sealing_form = NULL;
}

void
journal_written(struct journal *journal, int sys_errno)
{
	CHECK(journal->running);
	journal->running = false;
	end_sealing(journal, sys_errno == 0);
	if (sys_errno != 0) {
		journal->stats.sys_errno = sys_errno;
		return;
	}
	journal->stats.records++;
	journal->stats.written += journal_record_pages(&journal->record) * JOURNAL_PAGE;
	journal->done = journal->running_point;
	journal->tail_on_medium = journal->record.tail;
	journal->empty_on_medium = journal->record_is_empty;
	free_places(journal);
}

void
journal_taken_over(struct journal *journal)
{
	journal->hold_until = journal->puts;
	if (journal->puts == 0)
		journal->hold = 0;
}

bool
journal_is_due(const struct journal *journal)
{
	return volume_that_is_due(journal) < LIMIT_VOLUMES;
}

uint64_t
journal_point(const struct journal *journal)
{
	return journal->puts;
}

uint64_t
journal_done(const struct journal *journal)
{
	return journal->running || journal->stats.sys_errno != 0 ? journal->done : point_reached(journal);
}

void
journal_set_volume(struct journal *journal, uint32_t index, const char *name)
{
	CHECK(index < LIMIT_VOLUMES && strlen(name) <= LIMIT_NAME_SIZE);
	strcpy(journal->names[index], name);
	if (journal->hooks.form != NULL)
		journal->forms[index] = journal->hooks.form(journal->hooks.arg, name);
	CHECK(journal->forms[index] == NULL || journal->superblock.sealed);
}

void
journal_set_author(struct journal *journal, uint32_t index, const struct author *author)
{
	if (memcmp(&journal->authors[index], author, sizeof(*author)) == 0)
		return;
	journal->authors[index] = *author;
	journal->author_due[index] = journal->counts[index] > 0;
}

void
journal_get_stats(const struct journal *journal, struct journal_stats *ret)
{
	*ret = journal->stats;
	ret->size = journal->superblock.pages * JOURNAL_PAGE;
	ret->waiting = journal->pending_count;
}

void
journal_check(const struct journal *journal)
{
	uint64_t live = 0, written = 0;

	for (size_t i = 0; i < journal->place_count; i++) {
		CHECK(journal->places[i]->sequence == journal->places[0]->sequence + i);
		live += journal->places[i]->live;
	}
	for (uint32_t i = 1; i < journal->blocks.next; i++) {
		const struct journal_block *block = block_at(journal, i);

		if (!pool_is_used(&journal->blocks, i))
			continue;
		CHECK(block->gone == (block->buf == NULL) && (block->pending || !block->gone));
		CHECK(block->pending || block->sequence != 0);
		written += block->sequence != 0;
	}
	CHECK(live == written && journal->place_count + 0 <= journal->superblock.pages);
}

void
journal_close(struct journal *journal)
{
	if (journal == NULL)
		return;
	end_sealing(journal, false);
	for (uint32_t i = 1; i < journal->blocks.next; i++)
		if (pool_is_used(&journal->blocks, i))
			buf_unref(block_at(journal, i)->buf);
	for (size_t i = 0; i < journal->leftover_count; i++)
		buf_unref(journal->leftovers[i].buf);
	for (size_t i = 0; i < journal->place_count; i++)
		free(journal->places[i]);
	pool_fini(&journal->blocks);
	free(journal->places);
	free(journal->records);
	free(journal->leftovers);
	free(journal->bytes);
	free(journal->sealing);
	free(journal);
}
