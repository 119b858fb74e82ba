// SPDX-License-Identifier: MIT
// What the tests, the fuzzer and the corpus of the wire share: messages to make, to flatten, to cut and to compare.
// Nothing here reads the table of net/wire_params.c, so that a mistake there does not agree with itself.
#ifndef HVFS_TESTS_FUZZ_WIRE_HELP_H
#define HVFS_TESTS_FUZZ_WIRE_HELP_H

#include "net/wire.h"

// A message with the memory it points to.
struct sample {
	struct message message;
	struct item items[LIMIT_RUN_BLOCKS];
	size_t block_size;             // of the data items
	uint8_t text[LIMIT_BLOB_SIZE]; // what the blobs point to
};

// Encode and join the segments into memory of exactly *ret_size bytes, to be freed. Stops the process when the encoder
// breaks its own promises on segments and scratch.
uint8_t *wire_help_encode(const struct message *message, size_t block_size, size_t *ret_size);

// Give the decoded data items of ${message} counted copies of their bytes, so that it can be encoded; and take them
// away.
void wire_help_fill(struct message *message);
void wire_help_drop(struct message *message);

// The name of the first part in which the two differ, NULL when they are the same. Data items have bytes or buf.
const char *wire_help_difference(const struct message *a, const struct message *b, size_t block_size);

// Split ${bytes} as they arrive in pieces of pseudo-random size from ${seed} on (0: all at once). As wire_split.
long wire_help_split(const uint8_t *bytes, size_t size, uint64_t seed, struct wire_error *ret_error);

// A message of ${opcode} as the protocol uses it.
void wire_help_typical(struct sample *sample, enum opcode opcode);

// Any message the encoder takes. *seed moves on. To be dropped.
void wire_help_random(struct sample *sample, uint64_t *seed);

// A pseudo-random number below ${limit}; *seed moves on.
uint64_t wire_help_below(uint64_t *seed, uint64_t limit);

// Bytes written by hand.
struct raw {
	uint8_t bytes[LIMIT_MESSAGE_SIZE + 2 * 65536];
	size_t size;
};

// Begin anew with a header: 3 hops left, origin 10.0.0.1, transaction 0x102.
void raw_header(struct raw *raw, uint8_t opcode, uint16_t flags);

// Append a parameter of any type, with ${size} bytes of ${value}.
void raw_param(struct raw *raw, uint16_t type, const void *value, size_t size);

// Append a parameter whose value is an integer of ${size} bytes, 1 to 8; higher bytes of ${value} are cut off.
void raw_number(struct raw *raw, uint16_t type, uint64_t value, size_t size);

#endif
