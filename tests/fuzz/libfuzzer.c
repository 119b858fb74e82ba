// SPDX-License-Identifier: MIT
// Gives libFuzzer our mutator besides its own.
#include "tests/fuzz/mutate.h"

size_t LLVMFuzzerMutate(uint8_t *bytes, size_t size, size_t room);
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t room, unsigned seed);

size_t
LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t room, unsigned seed)
{
	uint64_t state = seed;

	if (mutate_below(&state, 2))
		return LLVMFuzzerMutate(bytes, size, room);
	return mutate(&state, bytes, size, room, NULL, 0);
}
