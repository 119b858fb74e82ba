// SPDX-License-Identifier: MIT
// A block is in one place: a level, or the victim repository. Moving it moves the slot, which holds the count of the
// buffer; bytes are never touched.
//
//   put, new -> top level -> ... -> bottom level -> clean: the core is told     dirty, pinned: waits among the victims
//                  ^                     |
//                  +--- used again ------+   (also from the victims)
//
// The core does not expect to lose blocks while it gets one. So a promotion within get parks what falls out, and the
// next put or step tells the core; when too many are parked, a block that is used stays where it is.
#include "cache/stack_internal.h"
#include "cache/sealed.h"
#include "core/check.h"

#include <sodium.h>
#include <stdlib.h>

// With one operation. A large block may need the room of many small ones.
enum { WORK_SLOTS = 8, CLEAN_SLOTS = 8, SQUEEZE_SLOTS = LIMIT_BLOCK_SIZE_MAX / LIMIT_BLOCK_SIZE_MIN };

bool
stack_find(struct stack *stack, block_key key, struct spot *ret)
{
	for (ret->level = 0; ret->level < stack->count; ret->level++)
		if (level_find(stack->levels[ret->level], key, &ret->place))
			return true;
	ret->victim = victims_find(&stack->victims, key);
	return ret->victim != NULL;
}

struct slot
stack_take(struct stack *stack, const struct spot *spot)
{
	return spot->level < stack->count ? assoc_take(&spot->place) : victims_take(&stack->victims, spot->victim);
}

bool
stack_is_full(const struct stack *stack)
{
	return !stack->may_tell && stack->victims.parked_count >= VICTIMS_PARKED_MAX;
}

void
stack_tell(struct stack *stack, const struct slot *slot)
{
	bool stays;

	CHECK(stack->may_tell && !slot->dirty);
	stays = stack_disk_keeps(stack, slot);
	buf_unref(slot->buf);
	if (stays)
		return;
	stack->evictions++;
	if (stack->evicted != NULL)
		stack->evicted(stack->evicted_arg, slot_key(slot));
}

static bool
is_held(const struct stack *stack, const struct slot *slot)
{
	return slot->dirty || (stack->pins.count > 0 && pins_has(&stack->pins, slot_key(slot)));
}

bool
stack_may_forget(const void *arg, const struct slot *slot)
{
	const struct stack *stack = arg;

	return !is_held(stack, slot) && slot->tag != stack->keep_tag;
}

void
stack_fall_out(struct stack *stack, const struct slot *slot)
{
	if (stack->may_tell && stack_may_forget(stack, slot))
		stack_tell(stack, slot);
	else
		victims_add(&stack->victims, slot, !is_held(stack, slot));
}

uint64_t
stack_capacity(const struct stack *stack, uint64_t block_size)
{
	uint64_t blocks = 0;

	for (uint32_t i = 0; i < stack->count; i++)
		blocks += level_capacity(stack->levels[i], block_size);
	return blocks;
}

// The first level from ${level} on that takes blocks, or stack->count.
static uint32_t
taker_from(const struct stack *stack, uint32_t level)
{
	while (level < stack->count && level_is_leaving(stack->levels[level]))
		level++;
	return level;
}

static void
demote(struct stack *stack, uint32_t level, const struct slot *out)
{
	struct slot slot = slot_unmarked(out);
	uint32_t below = taker_from(stack, level + 1);

	if (below == stack->count) {
		stack->levels[level]->evicted++;
		slot.uses = out->uses; // by which a disk level judges
		stack_fall_out(stack, &slot);
		return;
	}
	stack->levels[level]->demoted_out++;
	stack->levels[below]->demoted_in++;
	stack_place(stack, below, &slot);
}

static bool
is_bottom(const struct stack *stack, uint32_t level)
{
	return taker_from(stack, level + 1) == stack->count;
}

// Clean blocks that nobody pinned leave the bottom first, whatever the policy thinks; from other levels all may go.
static policy_may_fn *
who_may(const struct stack *stack, uint32_t level)
{
	return is_bottom(stack, level) ? stack_may_forget : NULL;
}

// The bytes of ${level} are bounded. What waits among the victims takes the room of what might be forgotten.
static void
squeeze(struct stack *stack, uint32_t level, block_key keep)
{
	const struct level *it = stack->levels[level];
	struct slot out;

	if (it->old == NULL && it->now->bytes + stack->victims.waiting_bytes <= it->config.size)
		return; // as a rule
	for (int n = 0; n < SQUEEZE_SLOTS && !stack_is_full(stack); n++) {
		uint64_t outside = is_bottom(stack, level) ? stack->victims.waiting_bytes : 0;

		if (!level_squeeze(stack->levels[level], outside, keep, who_may(stack, level), stack, &out))
			return;
		demote(stack, level, &out);
	}
}

void
stack_place(struct stack *stack, uint32_t level, const struct slot *slot)
{
	struct slot out;

	level = taker_from(stack, level);
	if (level_insert(stack->levels[level], slot, who_may(stack, level), stack, &out))
		demote(stack, level, &out);
	squeeze(stack, level, slot_key(slot));
}

// ${slot} was at ${spot}, and is used.
static void
promote(struct stack *stack, const struct spot *spot, const struct slot *slot)
{
	uint32_t top = taker_from(stack, 0);
	struct slot promoted = *slot;

	if (spot->level != top) {
		promoted = slot_unmarked(slot);
		stack->levels[top]->promoted_in++;
		if (spot->level < stack->count)
			stack->levels[spot->level]->promoted_out++;
	}
	stack_place(stack, top, &promoted);
}

// The levels above ${level} do not have ${key}, which comes to the top. ${wanted}: somebody has looked for it; else it is
// written, so that nobody cares whether it was here.
static void
missed_above(struct stack *stack, uint32_t level, block_key key, bool wanted)
{
	uint32_t top = taker_from(stack, 0);

	for (uint32_t i = 0; i < level; i++) {
		struct assoc *table = stack->levels[i]->now;

		if (table == NULL || stack->levels[i]->config.policy != POLICY_ADAPTIVE)
			continue;
		if (wanted)
			assoc_missed(table, key);
		if (i != top)
			assoc_forget(table, key); // who had it would have given it to the top
	}
}

void
stack_rise(struct stack *stack, const struct slot *slot)
{
	struct level *top = stack->levels[taker_from(stack, 0)];

	missed_above(stack, stack->count, slot_key(slot), true);
	top->promoted_in++;
	top->first_uses++;
	stack_place(stack, 0, slot);
}

// The lowest level that takes blocks.
static uint32_t
bottom(const struct stack *stack)
{
	uint32_t level = stack->count - 1;

	while (level_is_leaving(stack->levels[level]))
		level--;
	return level;
}

bool
stack_has_room(const struct stack *stack, block_key key, uint64_t size)
{
	const struct level *level = stack->levels[bottom(stack)];

	if (stack->pins.count > 0 && pins_has(&stack->pins, key))
		return true;
	return assoc_has_room(level->now, key) && level_bytes(level) + stack->victims.waiting_bytes + size <= level->config.size;
}

bool
stack_settle(struct stack *stack, const struct slot *slot)
{
	uint32_t level = bottom(stack);

	if (!stack_has_room(stack, slot_key(slot), buf_size(slot->buf)))
		return false;
	stack->levels[level]->promoted_in++;
	stack_place(stack, level, slot);
	return true;
}

static struct buf *
get_below(struct stack *stack, block_key key)
{
	struct spot spot;
	struct slot slot;

	if (!stack_find(stack, key, &spot))
		return NULL;
	advise_use(stack->advise, key);
	stack->hits++;
	missed_above(stack, spot.level, key, true);
	for (uint32_t i = 0; i < spot.level; i++)
		stack->levels[i]->passed++;
	if (spot.level < stack->count) {
		stack->levels[spot.level]->hits++;
		assoc_use_last(&spot.place);
	}
	if (stack_is_full(stack))
		return spot.level < stack->count ? assoc_slot(&spot.place)->buf : victim_slot(spot.victim)->buf;
	slot = stack_take(stack, &spot);
	promote(stack, &spot, &slot);
	return slot.buf;
}

static struct buf *
copies_get(void *self, block_key key)
{
	struct stack *stack = self;
	uint32_t budget = WORK_SLOTS;
	struct level *top;
	struct slot *slot;

	if (stack->busy)
		stack_work(stack, &budget);
	top = stack->levels[0];
	slot = top->now != NULL ? assoc_get(top->now, key) : NULL;
	if (slot == NULL)
		return get_below(stack, key);
	advise_use(stack->advise, key);
	stack->hits++;
	top->hits++;
	return slot->buf;
}

static void
put_new(struct stack *stack, block_key key, struct buf *buf, bool dirty)
{
	struct slot slot = {.tag = key + 1, .fresh = 1, .dirty = dirty, .buf = buf_ref(buf)};

	advise_bring(stack->advise, key);
	missed_above(stack, stack->count, key, !dirty);
	stack_place(stack, 0, &slot);
}

static void
put_again(struct stack *stack, const struct spot *spot, struct buf *buf, bool dirty)
{
	uint32_t top = taker_from(stack, 0);
	struct assoc_place place = spot->place;
	struct slot slot;

	if (spot->level == top && place.table == stack->levels[top]->now) {
		assoc_replace(&place, buf);
		assoc_set_dirty(&place, dirty);
		assoc_touch(&place);
		squeeze(stack, top, slot_key(assoc_slot(&place)));
		return;
	}
	slot = stack_take(stack, spot);
	buf_ref(buf); // the old copy may be this very buffer
	buf_unref(slot.buf);
	slot.buf = buf;
	slot.dirty = dirty;
	promote(stack, spot, &slot);
}

static void
copies_put(void *self, block_key key, struct buf *buf, bool dirty)
{
	struct stack *stack = self;
	uint32_t work = WORK_SLOTS, clean = CLEAN_SLOTS;
	struct spot spot;

	CHECK(block_key_volume(key) < LIMIT_VOLUMES && !stack->may_tell);
	stack->may_tell = true;
	stack->keep_tag = key + 1;
	if (stack->victims.parked_count > 0 || stack->review > 0)
		stack_clean(stack, &clean);
	if (stack->busy)
		stack_work(stack, &work);
	if (dirty)
		stack_disk_forget(stack, key);
	else
		stack_disk_put(stack, key, buf);
	if (stack_find(stack, key, &spot))
		put_again(stack, &spot, buf, dirty);
	else
		put_new(stack, key, buf, dirty);
	stack->keep_tag = 0;
	stack->may_tell = false;
}

static void
victim_set_dirty(struct stack *stack, struct victim *victim, bool dirty)
{
	struct slot slot;

	if (victim_slot(victim)->dirty == dirty)
		return;
	victims_set_dirty(&stack->victims, victim, dirty);
	if (!stack_may_forget(stack, victim_slot(victim)))
		return;
	slot = victims_take(&stack->victims, victim);
	stack->may_tell = true;
	stack_tell(stack, &slot);
	stack->may_tell = false;
}

// The copy at ${spot} becomes clean: now it may be on the disk.
static void
keep_clean(struct stack *stack, const struct spot *spot)
{
	const struct slot *slot = spot->level < stack->count ? assoc_slot(&spot->place) : victim_slot(spot->victim);

	if (slot->dirty)
		stack_disk_put(stack, slot_key(slot), slot->buf);
}

static void
copies_set_dirty(void *self, block_key key, bool dirty)
{
	struct stack *stack = self;
	struct spot spot;

	if (dirty)
		stack_disk_forget(stack, key);
	if (!stack_find(stack, key, &spot))
		return;
	if (!dirty)
		keep_clean(stack, &spot);
	if (spot.level < stack->count)
		assoc_set_dirty(&spot.place, dirty);
	else
		victim_set_dirty(stack, spot.victim, dirty);
}

static void
copies_drop(void *self, block_key key)
{
	struct stack *stack = self;
	struct spot spot;

	stack_disk_forget(stack, key);
	if (stack_find(stack, key, &spot))
		buf_unref(stack_take(stack, &spot).buf);
}

static struct buf *
copies_peek(void *self, block_key key)
{
	struct stack *stack = self;
	struct spot spot;

	if (!stack_find(stack, key, &spot))
		return NULL;
	return spot.level < stack->count ? assoc_slot(&spot.place)->buf : victim_slot(spot.victim)->buf;
}

static bool
copies_digest(void *self, block_key key, size_t size, uint8_t ret[BLOCK_DIGEST_SIZE])
{
	struct stack *stack = self;
	struct buf *buf;

	if (stack_disk_digest(stack, key, size, true, ret))
		return true;
	buf = copies_get(self, key);
	if (buf == NULL)
		return stack_disk_digest(stack, key, size, false, ret);
	sealed_digest(buf, size, ret);
	return true;
}

static void
copies_missed(void *self)
{
	struct stack *stack = self;

	stack->misses++;
	stack->disk_misses += stack->disk != NULL;
	for (uint32_t i = 0; i < stack->count; i++)
		stack->levels[i]->passed++;
	stack->levels[taker_from(stack, 0)]->first_uses++;
}

static void
copies_on_evicted(void *self, void (*fn)(void *arg, block_key key), void *arg)
{
	struct stack *stack = self;

	stack->evicted = fn;
	stack->evicted_arg = arg;
}

static uint64_t
copies_capacity(void *self, size_t block_size)
{
	uint64_t capacity = stack_capacity(self, block_size);

	return capacity > 0 ? capacity : 1;
}

static const struct copies_ops copies_ops = {
	.get = copies_get,
	.peek = copies_peek,
	.ready = stack_copies_ready,
	.next_loaded = stack_copies_next_loaded,
	.adopt = stack_copies_adopt,
	.set_volume = stack_copies_set_volume,
	.put = copies_put,
	.set_dirty = copies_set_dirty,
	.drop = copies_drop,
	.digest = copies_digest,
	.missed = copies_missed,
	.on_evicted = copies_on_evicted,
	.capacity = copies_capacity,
};

struct copies
stack_copies(struct stack *stack)
{
	return (struct copies){.ops = &copies_ops, .self = stack};
}

struct stack *
stack_create(uint32_t block_size, const struct level_config *levels, uint32_t count)
{
	struct stack *stack = calloc(1, sizeof(*stack));

	CHECK(stack != NULL && count > 0);
	stack->block_size = block_size;
	for (uint32_t i = 0; i < count; i++)
		CHECK(stack_add(stack, i, &levels[i]) == STACK_OK);
	stack->advise = advise_create(stack_capacity(stack, block_size));
	return stack;
}

void
stack_destroy(struct stack *stack)
{
	if (stack == NULL)
		return;
	for (uint32_t i = 0; i < stack->count; i++)
		level_destroy(stack->levels[i]);
	stack_disk_fini(stack);
	victims_clear(&stack->victims);
	pins_fini(&stack->pins);
	advise_destroy(stack->advise);
	free(stack);
}
