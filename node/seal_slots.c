// SPDX-License-Identifier: MIT
// The records of neighbours are written at once, slots that do not change included: what a crash leaves of bytes that
// are the same before and after is the same.
#include "node/seal_slots.h"

#include "cache/sum.h"
#include "core/check.h"
#include "node/seals_io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	PAGE_SIZE = 4096,
	STATE_SIZE = 512, // of a sector: it is written whole or not at all
	SLOT_SIZE = 512,
	SUM_SIZE = 8,
	SUMMED_SIZE = SLOT_SIZE - SUM_SIZE,
	CIPHER_OFFSET = SUMMED_SIZE - SUM_SIZE,
	MAGIC_SIZE = 8,
};

static_assert(8 + 8 + 2 + SEAL_VERIFIER_SIZE_MAX <= CIPHER_OFFSET, "a verifier fits a slot");

static const uint8_t magic[MAGIC_SIZE] = {'h', 'v', 'f', 's', 's', 'l', 'o', 't'};

struct seal_slots {
	int fd;
	uint64_t offset;
	uint64_t session, settled_from, epoch;
};

// ---- The page ----

static int
write_state(const struct seal_slots *slots, bool settled)
{
	uint8_t state[STATE_SIZE] = {0};
	int sys_errno;

	memcpy(state, magic, MAGIC_SIZE);
	seals_put(state + 8, slots->session);
	seals_put(state + 16, slots->settled_from);
	state[24] = settled;
	seals_put(state + 32, slots->epoch);
	seals_put(state + STATE_SIZE - SUM_SIZE, sum64(state, STATE_SIZE - SUM_SIZE, 0));
	sys_errno = seals_write_at(slots->fd, state, STATE_SIZE, slots->offset);
	return sys_errno != 0 ? sys_errno : seal_slots_sync(slots);
}

static int
read_state(struct seal_slots *slots)
{
	static const uint8_t nothing[STATE_SIZE];
	uint8_t state[STATE_SIZE];
	int sys_errno = seals_read_at(slots->fd, state, STATE_SIZE, slots->offset);

	if (sys_errno != 0)
		return sys_errno;
	slots->settled_from = 1;
	if (memcmp(state, nothing, STATE_SIZE) == 0) // it is new
		return 0;
	if (memcmp(state, magic, MAGIC_SIZE) != 0 ||
	    seals_get(state + STATE_SIZE - SUM_SIZE) != sum64(state, STATE_SIZE - SUM_SIZE, 0))
		return EBADMSG;
	slots->session = seals_get(state + 8);
	slots->settled_from = state[24] == 1 ? seals_get(state + 16) : slots->session + 1;
	slots->epoch = state[24] == 1 ? seals_get(state + 32) : 0;
	return 0;
}

struct seal_slots *
seal_slots_open(int fd, uint64_t offset, bool read_only, int *ret_errno)
{
	struct seal_slots *slots = calloc(1, sizeof(*slots));

	CHECK(slots != NULL);
	slots->fd = fd;
	slots->offset = offset;
	*ret_errno = read_state(slots);
	slots->session += !read_only;
	if (*ret_errno == 0 && !read_only)
		*ret_errno = write_state(slots, false);
	if (*ret_errno == 0)
		return slots;
	free(slots);
	return NULL;
}

void
seal_slots_close(struct seal_slots *slots)
{
	free(slots);
}

uint64_t
seal_slots_session(const struct seal_slots *slots)
{
	return slots->session;
}

uint64_t
seal_slots_settled_from(const struct seal_slots *slots)
{
	return slots->settled_from;
}

uint64_t
seal_slots_epoch(const struct seal_slots *slots)
{
	return slots->epoch;
}

void
seal_slots_set_epoch(struct seal_slots *slots, uint64_t epoch)
{
	slots->epoch = epoch;
}

int
seal_slots_settle(struct seal_slots *slots)
{
	int sys_errno = write_state(slots, true);

	if (sys_errno != 0)
		write_state(slots, false); // else who comes next might read what is not there
	return sys_errno;
}

int
seal_slots_sync(const struct seal_slots *slots)
{
	int result;

	do
		result = fdatasync(slots->fd);
	while (result != 0 && errno == EINTR);
	return result == 0 ? 0 : errno;
}

// ---- Records ----

static void
print_slot(uint64_t block, const struct seal_slot *slot, uint8_t bytes[SLOT_SIZE])
{
	memset(bytes, 0, SLOT_SIZE);
	if (slot->turn == 0)
		return;
	seals_put(bytes, slot->turn);
	seals_put(bytes + 8, slot->session);
	bytes[16] = (uint8_t)(slot->verifier.size >> 8);
	bytes[17] = (uint8_t)slot->verifier.size;
	memcpy(bytes + 18, slot->verifier.bytes, slot->verifier.size);
	seals_put(bytes + CIPHER_OFFSET, slot->cipher);
	seals_put(bytes + SUMMED_SIZE, sum64(bytes, SUMMED_SIZE, block));
}

static void
parse_slot(uint64_t block, const uint8_t bytes[SLOT_SIZE], struct seal_slot *ret)
{
	uint16_t size = (uint16_t)(bytes[16] << 8 | bytes[17]);

	ret->turn = 0;
	if (seals_get(bytes) == 0 || size > SEAL_VERIFIER_SIZE_MAX ||
	    seals_get(bytes + SUMMED_SIZE) != sum64(bytes, SUMMED_SIZE, block))
		return;
	ret->turn = seals_get(bytes);
	ret->session = seals_get(bytes + 8);
	ret->cipher = seals_get(bytes + CIPHER_OFFSET);
	ret->verifier.size = size;
	memcpy(ret->verifier.bytes, bytes + 18, size);
}

static uint64_t
offset_of(const struct seal_slots *slots, uint64_t block)
{
	return slots->offset + PAGE_SIZE + block * SEAL_SLOTS * SLOT_SIZE;
}

int
seal_slots_read(const struct seal_slots *slots, uint64_t block, uint32_t count, struct seal_record *ret)
{
	uint8_t bytes[SEAL_SLOTS_RUN * SEAL_SLOTS][SLOT_SIZE];
	int sys_errno;

	CHECK(count <= SEAL_SLOTS_RUN);
	sys_errno = seals_read_at(slots->fd, bytes, (size_t)count * SEAL_SLOTS * SLOT_SIZE, offset_of(slots, block));
	for (uint32_t i = 0; i < count * SEAL_SLOTS && sys_errno == 0; i++)
		parse_slot(block + i / SEAL_SLOTS, bytes[i], &ret[i / SEAL_SLOTS].slots[i % SEAL_SLOTS]);
	return sys_errno;
}

int
seal_slots_write(const struct seal_slots *slots, uint64_t block, uint32_t count, const struct seal_record *records)
{
	uint8_t bytes[SEAL_SLOTS_RUN * SEAL_SLOTS][SLOT_SIZE];

	CHECK(count <= SEAL_SLOTS_RUN);
	for (uint32_t i = 0; i < count * SEAL_SLOTS; i++)
		print_slot(block + i / SEAL_SLOTS, &records[i / SEAL_SLOTS].slots[i % SEAL_SLOTS], bytes[i]);
	return seals_write_at(slots->fd, bytes, (size_t)count * SEAL_SLOTS * SLOT_SIZE, offset_of(slots, block));
}
