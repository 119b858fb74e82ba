// SPDX-License-Identifier: MIT
// Records at random, as the mutator inserts them: what makes things happen more often than the rest, and rather honest.
#include "tests/fuzz/session_script.h"

#include "tests/fuzz/mutate.h"
#include "tests/fuzz/session_grammar.h"

#include <string.h>

const size_t fuzz_element_align = RECORD_SIZE;

static uint8_t
random_byte(uint64_t *seed)
{
	return (uint8_t)mutate_below(seed, 256);
}

// 0 in two of three cases, else any.
static uint8_t
mostly_zero(uint64_t *seed)
{
	return mutate_below(seed, 3) ? 0 : random_byte(seed);
}

static void
random_message(uint64_t *seed, uint8_t *record)
{
	record[2] = (uint8_t)mutate_below(seed, grammar_form_count());
	record[3] = mutate_below(seed, 2) ? (uint8_t)mutate_below(seed, 4) : random_byte(seed);
	record[4] = mutate_below(seed, 2) ? (uint8_t)(mutate_below(seed, 4) << 4) : random_byte(seed);
	for (unsigned i = 5; i < RECORD_SIZE; i++)
		record[i] = mostly_zero(seed);
}

static void
random_request(uint64_t *seed, uint8_t *record)
{
	record[2] = (uint8_t)(mutate_below(seed, 4) | mutate_below(seed, 8) << 3);
	record[3] = mutate_below(seed, 2) ? (uint8_t)mutate_below(seed, 8) : random_byte(seed);
	record[4] = mostly_zero(seed);
	record[5] = random_byte(seed);
}

static enum session_op
random_op(uint64_t *seed)
{
	static const uint8_t often[] = {DO_TIME,  DO_TIME,  DO_UP,     DO_DOWN,   DO_IO,     DO_IO,
					DO_IO,    DO_STORE, DO_STORE,  DO_FORGE,  DO_FORGE,  DO_FORGE,
					DO_FORGE, DO_FORGE, DO_FORGE,  DO_ANSWER, DO_ANSWER, DO_ANSWER,
					DO_RELAY, DO_RELAY, DO_REPLAY, DO_MODIFY};

	if (mutate_below(seed, 8) == 0)
		return (enum session_op)mutate_below(seed, DO_COUNT);
	return (enum session_op)often[mutate_below(seed, sizeof(often))];
}

size_t
fuzz_element(uint64_t *seed, uint8_t *bytes, size_t room)
{
	uint64_t count = 1 + mutate_below(seed, 3);

	if (room < count * RECORD_SIZE)
		return 0;
	memset(bytes, 0, count * RECORD_SIZE);
	for (uint64_t i = 0; i < count; i++) {
		uint8_t *record = bytes + i * RECORD_SIZE;

		record[0] = (uint8_t)random_op(seed);
		record[1] = AT((uint8_t)mutate_below(seed, 2), (uint8_t)mutate_below(seed, SLOTS)) |
			    (uint8_t)(mostly_zero(seed) << 3);
		switch ((enum session_op)record[0]) {
		case DO_FORGE:
			random_message(seed, record);
			break;
		case DO_ANSWER:
			random_message(seed, record);
			if (mutate_below(seed, 2))
				record[2] = 0;
			break;
		case DO_IO:
			random_request(seed, record);
			break;
		case DO_TIME:
			record[1] = (uint8_t)mutate_below(seed, 20);
			record[2] = mutate_below(seed, 4) == 0;
			break;
		case DO_REPEAT:
			record[2] = (uint8_t)mutate_below(seed, 8);
			record[3] = random_byte(seed);
			break;
		default:
			for (unsigned k = 2; k < RECORD_SIZE; k++)
				record[k] = mostly_zero(seed);
			break;
		}
	}
	return count * RECORD_SIZE;
}
