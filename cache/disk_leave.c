// SPDX-License-Identifier: MIT
// A level that is being emptied while it is used, and one that is filled from it. Whoever empties it goes through the
// groups once: nothing new comes, and a block that is being read when its group's turn is leaves when the read has ended.
//
// What is in the file stays as it is, so that the level can be had again later: so the records that are due are written
// first, as a page of records is made from the index.
#include "cache/disk_level_internal.h"
#include "core/check.h"

void
disk_level_leave(struct disk_level *level)
{
	level->leaving = true;
	level->leave_group = 0;
	level->later_count = 0;
}

void
disk_level_stay(struct disk_level *level)
{
	level->leaving = false;
}

// What was being written when it was to be emptied, records too, is on the disk.
static bool
is_settled(const struct disk_level *level)
{
	return level->writes == 0 && level->page_count == 0 && level->page_ios_running == 0 && !level->superblock_runs;
}

// The one of ${group} that goes next: of those that are not being read the least valuable one.
static bool
choose(struct disk_level *level, uint64_t group, struct assoc_place *ret_place)
{
	struct group view = assoc_group(level->table, group);

	*ret_place = (struct assoc_place){.table = level->table, .group = group, .way = view.used};
	while (ret_place->way-- > 0)
		if (!view.slots[ret_place->way].busy)
			return true;
	return false;
}

bool
disk_level_next(struct disk_level *level, uint32_t *budget, struct disk_block *ret)
{
	struct assoc_place place;

	CHECK(level->leaving);
	if (level->stats.sys_errno != 0 || !is_settled(level))
		return false; // a failed level empties itself (disk_level_step)
	for (; *budget > 0 && level->leave_group < level->table->group_count; (*budget)--) {
		if (!choose(level, level->leave_group, &place)) {
			level->leave_group++;
			continue;
		}
		if (!disk_core_key(level, assoc_slot(&place), &ret->key)) {
			disk_take(level, &place); // of a volume that this node has not: nobody could want it
			continue;
		}
		ret->known = assoc_slot(&place)->known;
		ret->size = slot_disk_size(assoc_slot(&place));
		(*budget)--;
		return true;
	}
	return false;
}

uint64_t
disk_level_reads(const struct disk_level *level)
{
	return level->op_count - level->writes;
}

bool
disk_level_is_empty(const struct disk_level *level)
{
	return level->table->entries == 0 && !disk_level_is_busy(level);
}

bool
disk_level_has_room(struct disk_level *level)
{
	bool has_room = level->stats.sys_errno != 0 || // there is nothing to wait for
			(disk_writes_room(level) && disk_records_room(level) &&
			 level->volumes_written == level->superblock.volume_count);

	level->room_wanted = !has_room;
	return has_room;
}

bool
disk_level_receive(struct disk_level *level, block_key key, struct buf *buf, bool known)
{
	struct assoc_place place;

	if (!known && disk_find(level, key, &place))
		return true; // it has its own
	if (!disk_level_put(level, key, buf, DISK_USED))
		return false;
	CHECK(disk_find(level, key, &place));
	if (!known) {
		assoc_slot(&place)->known = 0;
		level->stats.unknown++;
	}
	return true;
}

static void
take(uint64_t *count, uint64_t *from)
{
	*count += *from;
	*from = 0;
}

void
disk_level_take_counters(struct disk_level *level, struct disk_level *before)
{
	struct disk_level_stats *stats = &level->stats, *from = &before->stats;

	take(&stats->found, &from->found);
	take(&stats->confirmed, &from->confirmed);
	take(&stats->written, &from->written);
	take(&stats->passed, &from->passed);
	take(&stats->refused, &from->refused);
	take(&stats->loaded, &from->loaded);
	take(&stats->damaged, &from->damaged);
	take(&stats->replaced, &from->replaced);
	take(&stats->errors, &from->errors);
}

void
disk_level_set_filling(struct disk_level *level, bool filling)
{
	level->filling = filling;
	if (level->superblock.filling == filling)
		return;
	level->superblock.filling = filling;
	level->superblock_due = true;
	disk_records_pump(level);
}
