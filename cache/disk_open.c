// SPDX-License-Identifier: MIT
// What is found on the medium is taken over, formatted, or left alone: nothing is ever overwritten that is not ours.
#include "cache/disk_level_internal.h"
#include "core/check.h"
#include "core/zeros.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct opening {
	struct disk_level *level;
	char *error;
	size_t error_size;
	bool anew; // whatever of ours is there
	bool emptied;
	bool ours;
	struct disk_superblock found;
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
	struct medium_io io = {.write = write, .offset = offset, .bytes = bytes, .size = size};
	int sys_errno = opening->level->medium.ops->perform(opening->level->medium.self, &io);

	if (sys_errno != 0)
		return refuse(opening, "can not be %s: %s", write ? "written" : "read", strerror(sys_errno));
	return 0;
}

static uint64_t
medium_size(const struct opening *opening)
{
	return opening->level->medium.ops->size(opening->level->medium.self);
}

// Nothing of ours is there: is it nobody's?
static int
check_empty(struct opening *opening, uint8_t *bytes)
{
	size_t size = medium_size(opening) < DISK_EMPTY_SIZE ? (size_t)medium_size(opening) : DISK_EMPTY_SIZE;

	size -= size % MEDIUM_ALIGN;
	if (medium_size(opening) > 0 && size == 0)
		return refuse(opening, "has something else in it; give another path, or remove it");
	if (size > 0 && perform(opening, false, 0, bytes, size) != 0)
		return -1;
	if (!bytes_are_zero(bytes, size))
		return refuse(opening, "has something else in it: it does not begin with a cache of hvfs, nor with %d "
				       "KiB of zeros; give another path, or, if nobody needs what is there, remove it "
				       "(of a device: overwrite that part with zeros)",
			      DISK_EMPTY_SIZE >> 10);
	return 0;
}

static int
check_whole(struct opening *opening)
{
	if (opening->anew || disk_end(&opening->found) <= medium_size(opening))
		return 0;
	return refuse(opening, "is a cache of hvfs that was cut: it has %" PRIu64 " of %" PRIu64
			       " bytes; remove it, and it is made anew",
		      medium_size(opening), disk_end(&opening->found));
}

// Which of the superblocks counts, if any.
static int
find_superblock(struct opening *opening, uint8_t *bytes)
{
	enum disk_found worst = DISK_NOTHING;
	uint32_t version = 0;

	for (uint64_t i = 0; i < DISK_SUPERBLOCKS; i++) {
		struct disk_superblock superblock;
		enum disk_found found;

		if (disk_superblock_offset(i + 1) > medium_size(opening))
			break;
		if (perform(opening, false, disk_superblock_offset(i), bytes, DISK_SUPERBLOCK_SIZE) != 0)
			return -1;
		found = disk_superblock_read(bytes, &superblock, &version);
		if (found == DISK_OURS && (!opening->ours || superblock.generation > opening->found.generation)) {
			opening->ours = true;
			opening->found = superblock;
		} else if (found != DISK_OURS && found > worst) {
			worst = found;
		}
	}
	if (worst == DISK_OTHER_VERSION)
		return refuse(opening, "is a cache of another version of hvfs: %" PRIu32 ", this one has %d; remove it, "
				       "and it is made anew",
			      version, DISK_VERSION_SEALED);
	if (opening->ours)
		return check_whole(opening);
	if (worst == DISK_DAMAGED)
		return refuse(opening, "is a cache of hvfs whose beginning is damaged; remove it, and it is made anew");
	return check_empty(opening, bytes);
}

static int
grow(struct opening *opening, uint64_t size)
{
	int sys_errno = 0;

	if (size > medium_size(opening))
		sys_errno = opening->level->medium.ops->grow(opening->level->medium.self, size);
	if (sys_errno == 0)
		return 0;
	return refuse(opening, "has %" PRIu64 " bytes, and %" PRIu64 " are needed: %s; ask for less", medium_size(opening),
		      disk_end(&opening->level->superblock), strerror(sys_errno));
}

// Both: else the other one might be taken for ours.
static int
write_superblocks(struct opening *opening, uint8_t *bytes)
{
	struct disk_superblock *superblock = &opening->level->superblock;

	for (int i = 0; i < DISK_SUPERBLOCKS; i++) {
		superblock->generation++;
		disk_superblock_write(superblock, bytes);
		if (perform(opening, true, disk_superblock_offset(superblock->generation % DISK_SUPERBLOCKS), bytes,
			    DISK_SUPERBLOCK_SIZE) != 0)
			return -1;
	}
	return 0;
}

static int
format(struct opening *opening, uint8_t *bytes)
{
	struct disk_superblock *superblock = &opening->level->superblock;
	bool says_first = opening->anew && medium_size(opening) == 0;

	randombytes_buf(superblock->id, DISK_ID_SIZE);
	superblock->filling = opening->anew;
	superblock->generation = opening->ours ? opening->found.generation : 0;
	// What a change has made says so before it has its size: if the node is killed, it is not taken for somebody else's
	// (node/cache_left.h).
	if (says_first && (grow(opening, disk_superblock_offset(DISK_SUPERBLOCKS)) != 0 || write_superblocks(opening, bytes) != 0))
		return -1;
	if (grow(opening, disk_end(superblock)) != 0)
		return -1;
	return says_first ? 0 : write_superblocks(opening, bytes);
}

static void
record_found(struct disk_level *level, uint64_t number, const struct disk_record *record)
{
	uint32_t ways = level->table->way_count;
	struct slot slot = {
		.tag = block_key_make(record->number, record->block) + 1,
		.on_disk = 1,
		.way = (uint16_t)(number % ways),
	};
	struct assoc_place place;

	slot_set_disk_size(&slot, record->size);
	if (hash_group(level->table->hash, slot_key(&slot), level->table->group_count) != number / ways ||
	    assoc_find(level->table, slot_key(&slot), &place))
		return; // a record that a crash has left beside a newer one
	memcpy(level->digests[number], record->digest, BLOCK_DIGEST_SIZE);
	assoc_insert(level->table, &slot);
	level->stats.found++;
}

// The next records, as many as one read has.
static int
read_records(struct opening *opening)
{
	struct disk_level *level = opening->level;
	uint64_t first = level->records_read, left = level->records_total - first;
	uint64_t count = left < DISK_PAGES_MAX * DISK_PAGE_RECORDS ? left : DISK_PAGES_MAX * DISK_PAGE_RECORDS;
	uint64_t pages = (count + DISK_PAGE_RECORDS - 1) / DISK_PAGE_RECORDS;

	if (perform(opening, false, disk_page_offset(first / DISK_PAGE_RECORDS), level->page_bytes, pages * DISK_PAGE_SIZE) != 0)
		return -1;
	for (uint64_t i = 0; i < count; i++) {
		struct disk_record record;

		if (disk_record_read(&level->superblock, first + i, level->page_bytes + i * DISK_RECORD_SIZE, &record))
			record_found(level, first + i, &record);
	}
	level->records_read += count;
	level->stats.unknown = level->stats.found;
	return 0;
}

static bool
same_shape(const struct disk_superblock *a, const struct disk_superblock *b)
{
	return a->slot_size == b->slot_size && a->way_count == b->way_count && a->group_count == b->group_count &&
	       a->hash == b->hash;
}

static int
take_over(struct opening *opening)
{
	struct disk_level *level = opening->level;
	uint8_t *bytes = level->page_bytes;
	int rc;

	static_assert(DISK_PAGES_MAX * DISK_PAGE_SIZE >= DISK_EMPTY_SIZE && DISK_EMPTY_SIZE >= DISK_SUPERBLOCK_SIZE,
		      "the buffer is for all of these");
	rc = find_superblock(opening, bytes);
	if (rc == 0 && opening->ours && !opening->anew && same_shape(&opening->found, &level->superblock)) {
		level->superblock = opening->found;
		level->superblock.filling = false; // as of now it is nobody's leftover
		level->superblock_due = opening->found.filling;
		level->records_total = disk_slot_count(&level->superblock);
	} else if (rc == 0) {
		opening->emptied = opening->ours;
		rc = format(opening, bytes);
	}
	level->volumes_written = level->superblock.volume_count;
	return rc;
}

static void
shape(const struct level_config *config, uint32_t slot_size, uint64_t *ret_group_count, uint32_t *ret_ways)
{
	uint64_t slots = disk_slots_within(config->size, slot_size);

	CHECK(slots > 0 && config->ways > 0);
	*ret_ways = config->ways < slots ? config->ways : (uint32_t)slots;
	*ret_group_count = slots / *ret_ways;
}

uint64_t
disk_level_size_min(uint32_t slot_size)
{
	return DISK_EMPTY_SIZE + slot_size;
}

uint64_t
disk_level_index(const struct level_config *config, uint32_t slot_size)
{
	uint64_t group_count;
	uint32_t ways;

	shape(config, slot_size, &group_count, &ways);
	return assoc_index_size(group_count, ways, config->policy, false) + group_count * ways * BLOCK_DIGEST_SIZE;
}

struct disk_level *
disk_level_begin_open(const struct medium *medium, const struct level_config *config, uint32_t slot_size, bool anew,
		      bool *ret_emptied, char *error, size_t error_size)
{
	struct disk_level *level = calloc(1, sizeof(*level));
	struct opening opening = {.level = level, .error = error, .error_size = error_size, .anew = anew};
	uint64_t group_count;
	uint32_t ways;

	CHECK(level != NULL && config->hash != HASH_ANY && config->ways <= ASSOC_WAYS_MAX);
	shape(config, slot_size, &group_count, &ways);
	level->medium = *medium;
	level->config = *config;
	level->config.ways = ways;
	level->superblock.slot_size = slot_size;
	level->superblock.way_count = ways;
	level->superblock.group_count = group_count;
	level->superblock.hash = config->hash;
	// Who comes back has to prove himself anyway (has_proved_itself): beyond that ghosts of the policy bring
	// nothing here (--benchmark cache-policy), and with them the index would take more than 32 bytes a block.
	level->table = assoc_create(group_count, ways, config->hash, config->policy, false);
	level->digests = calloc(disk_slot_count(&level->superblock), BLOCK_DIGEST_SIZE); // lazily zero if large
	level->ended_tail = &level->ended;
	level->held_tail = &level->held;
	level->later = calloc(DISK_LATER_MAX, sizeof(*level->later));
	level->pages = calloc(DISK_PAGES_MAX, sizeof(*level->pages));
	level->batch = calloc(DISK_PAGES_MAX, sizeof(*level->batch));
	level->page_ios = calloc(DISK_PAGES_MAX, sizeof(*level->page_ios));
	level->page_bytes = aligned_alloc(DISK_PAGE_SIZE, DISK_PAGES_MAX * DISK_PAGE_SIZE);
	level->superblock_bytes = aligned_alloc(DISK_PAGE_SIZE, DISK_SUPERBLOCK_SIZE);
	CHECK(level->digests != NULL && level->later != NULL && level->pages != NULL && level->batch != NULL &&
	      level->page_ios != NULL && level->page_bytes != NULL && level->superblock_bytes != NULL);
	if (take_over(&opening) == 0) {
		*ret_emptied = opening.emptied;
		return level;
	}
	disk_level_close(level);
	return NULL;
}

int
disk_level_open_more(struct disk_level *level, uint32_t reads, char *error, size_t error_size)
{
	struct opening opening = {.level = level, .error = error, .error_size = error_size};

	for (uint32_t i = 0; i < reads && level->records_read < level->records_total; i++)
		if (read_records(&opening) != 0)
			return -1;
	return 0;
}

uint64_t
disk_level_open_left(const struct disk_level *level, uint64_t *ret_total)
{
	*ret_total = level->records_total;
	return level->records_total - level->records_read;
}

struct disk_level *
disk_level_open(const struct medium *medium, const struct level_config *config, uint32_t slot_size, bool anew, bool *ret_emptied,
		char *error, size_t error_size)
{
	struct disk_level *level = disk_level_begin_open(medium, config, slot_size, anew, ret_emptied, error, error_size);

	while (level != NULL && level->records_read < level->records_total) {
		if (disk_level_open_more(level, 1, error, error_size) == 0)
			continue;
		disk_level_close(level);
		level = NULL;
	}
	return level;
}

void
disk_level_close(struct disk_level *level)
{
	if (level == NULL)
		return;
	CHECK(!disk_level_is_busy(level));
	assoc_destroy(level->table);
	free(level->digests);
	free(level->later);
	free(level->pages);
	free(level->batch);
	free(level->page_ios);
	free(level->page_bytes);
	free(level->superblock_bytes);
	free(level);
}

void
disk_level_check(const struct disk_level *level)
{
	uint64_t entries = 0, unknown = 0, busy = 0;

	for (uint64_t number = 0; number < level->table->group_count; number++) {
		struct group group = assoc_group(level->table, number);
		bool used[ASSOC_WAYS_MAX] = {false};

		for (uint32_t i = 0; i < group.used; i++) {
			const struct slot *slot = &group.slots[i];

			CHECK(slot->on_disk && slot->way < group.way_count && !used[slot->way] && !slot->dirty);
			CHECK(!slot->writing || slot->busy);
			CHECK(hash_group(level->table->hash, slot_key(slot), level->table->group_count) == number);
			used[slot->way] = true;
			unknown += !slot->known;
			busy += slot->busy;
		}
		entries += group.used;
	}
	CHECK(entries == level->table->entries && unknown == level->stats.unknown && busy <= level->op_count);
}
