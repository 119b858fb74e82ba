// SPDX-License-Identifier: MIT
// Changes inputs at random, but always the same way for the same seed: for fuzzing without libFuzzer, and as its second
// mutator. Besides bits and bytes it moves, repeats and splices whole elements of what the target understands.
#ifndef HVFS_TESTS_FUZZ_MUTATE_H
#define HVFS_TESTS_FUZZ_MUTATE_H

#include <stddef.h>
#include <stdint.h>

// Each target has these two: elements begin at multiples of fuzz_element_align (1: anywhere), and fuzz_element writes
// one that makes sense by itself to ${bytes}, at most ${room}; returns its size, 0 when it does not fit. *seed moves
// on.
extern const size_t fuzz_element_align;
size_t fuzz_element(uint64_t *seed, uint8_t *bytes, size_t room);

// Change the ${size} of ${room} bytes at ${bytes}; pieces of ${other} may be spliced in. Returns the new size, at
// least 1.
size_t mutate(uint64_t *seed, uint8_t *bytes, size_t size, size_t room, const uint8_t *other, size_t other_size);

// A pseudo-random number below ${limit} (0: any); *seed moves on.
uint64_t mutate_below(uint64_t *seed, uint64_t limit);

#endif
