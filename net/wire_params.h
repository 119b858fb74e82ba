// SPDX-License-Identifier: MIT
// What decoder (wire.c) and encoder (wire_encode.c) share: the table of parameters and the integers of the wire.
#ifndef HVFS_NET_WIRE_PARAMS_H
#define HVFS_NET_WIRE_PARAMS_H

#include "net/wire.h"

#include <endian.h>
#include <string.h>

#define WIRE_BLOCK_NUM_MAX ((UINT64_C(1) << BLOCK_KEY_BITS) - 1)
#define WIRE_EPOCH_MAX ((UINT32_C(1) << (64 - VERSION_COUNTER_BITS)) - 1)

enum {
	WIRE_OPTIONAL = 0x8000, // bit of a parameter's type: who does not know it skips it
};

enum param_kind {
	KIND_STRUCTURE, // END_MSG and the parameters of blocks: no field of their own
	KIND_NUMBER,    // integer of exactly ${size} bytes, ${min} to ${max}
	KIND_POWER,     // the same, and a power of two
	KIND_FLAGS,     // bits of ${max}, in 1 to ${size} bytes
	KIND_BLOB,      // ${min} to ${max} bytes
	KIND_PATH,      // up to ${max} integers of 8 bytes
};

struct param {
	uint16_t type;
	uint8_t kind;
	uint8_t size;    // bytes on the wire of an integer
	uint16_t width;  // bytes of the field in struct message
	uint16_t offset; // of that field
	uint64_t min, max;
};

// By PRESENT_INDEX.
extern const struct param wire_params[PRESENT_COUNT];

// Bits of message.present that are fields: all but KIND_STRUCTURE.
#define WIRE_PRESENT_FIELDS                     \
	(((UINT64_C(1) << PRESENT_COUNT) - 1) & \
	 ~(PRESENT(END_MSG) | PRESENT(VERSION) | PRESENT(VERIFIER) | PRESENT(DATA) | PRESENT(ZERO_RUN) | \
	   PRESENT(EMPTY_RUN)))
static_assert(PRESENT_COUNT < 64, "the mask can be written down");

// The parameter of ${type}; NULL when it is not known.
const struct param *wire_param_find(uint16_t type);

// Is ${value} one that the integer parameter may have?
bool wire_param_allows(const struct param *param, uint64_t value);

// Is ${opcode} one of MESSAGE_OPCODES?
bool wire_opcode_is_known(unsigned opcode);

static inline bool
wire_is_block_size(uint64_t size)
{
	return size >= LIMIT_BLOCK_SIZE_MIN && size <= LIMIT_BLOCK_SIZE_MAX && (size & (size - 1)) == 0;
}

static inline uint16_t
get16(const uint8_t *bytes)
{
	uint16_t value;

	memcpy(&value, bytes, sizeof(value));
	return be16toh(value);
}

static inline uint32_t
get32(const uint8_t *bytes)
{
	uint32_t value;

	memcpy(&value, bytes, sizeof(value));
	return be32toh(value);
}

static inline uint64_t
get64(const uint8_t *bytes)
{
	uint64_t value;

	memcpy(&value, bytes, sizeof(value));
	return be64toh(value);
}

static inline uint8_t *
put16(uint8_t *at, uint16_t value)
{
	value = htobe16(value);
	memcpy(at, &value, sizeof(value));
	return at + sizeof(value);
}

static inline uint8_t *
put32(uint8_t *at, uint32_t value)
{
	value = htobe32(value);
	memcpy(at, &value, sizeof(value));
	return at + sizeof(value);
}

static inline uint8_t *
put64(uint8_t *at, uint64_t value)
{
	value = htobe64(value);
	memcpy(at, &value, sizeof(value));
	return at + sizeof(value);
}

// An integer of ${size} bytes, 1 to 8.
static inline uint64_t
get_number(const uint8_t *bytes, size_t size)
{
	uint64_t value = 0;

	for (size_t i = 0; i < size; i++)
		value = value << 8 | bytes[i];
	return value;
}

static inline void
put_number(uint8_t *bytes, size_t size, uint64_t value)
{
	for (size_t i = size; i-- > 0; value >>= 8)
		bytes[i] = (uint8_t)value;
}

#endif
